"""Engines: sums or rows in, draws out; arrays without labels or units."""

"""Sufficient statistics: counts, means and scatter of every cell, in one pass over the rows."""

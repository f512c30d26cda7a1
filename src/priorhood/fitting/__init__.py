"""Fit a model to rows or sums; fit again from the sums alone."""

"""Pictures of places: intervals, shrinkage, lines, correlation, prices."""

"""Pictures of places: intervals, shrinkage, lines, prices."""

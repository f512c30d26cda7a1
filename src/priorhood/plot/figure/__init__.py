"""Figures: layout, style, and the choice of places and parameters."""

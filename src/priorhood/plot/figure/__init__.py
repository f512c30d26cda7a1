"""The frame of pictures: layout, style, kernel density, choice of places and parameters."""

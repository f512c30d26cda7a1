"""Frame of pictures: layout, style, kernel density, selection of places and parameters."""

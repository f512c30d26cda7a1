"""Predictions for rows and places, known, new or unknown."""

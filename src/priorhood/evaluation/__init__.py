"""Evaluation of a fitted model: cross-validation, comparison, checks, calibration, sensitivity."""

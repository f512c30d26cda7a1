"""Pictures of checks: predictive distributions, calibration, comparison, sensitivity."""

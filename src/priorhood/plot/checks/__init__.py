"""Pictures of checks: predictive distributions, PIT values, calibration, comparison, sensitivity."""

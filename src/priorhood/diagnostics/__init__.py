"""Reliability of draws: R-hat, effective sample sizes, Pareto k, verdicts."""

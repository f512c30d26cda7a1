"""Whether draws can be trusted: R-hat, effective sample sizes, Pareto k, verdicts."""

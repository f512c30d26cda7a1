"""The benchmark: one runner, one contender a file, the same data, model and measure of quality for all."""

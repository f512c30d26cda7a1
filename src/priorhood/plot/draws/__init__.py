"""Pictures of the draws: trace, ranks, diagnostics."""

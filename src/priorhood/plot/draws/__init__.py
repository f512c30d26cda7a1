"""Pictures of draws: traces, ranks, diagnostics."""

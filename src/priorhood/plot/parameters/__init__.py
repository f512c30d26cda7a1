"""Pictures of priors and posteriors."""

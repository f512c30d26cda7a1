"""Pictures of priors: their lines, and priors against posteriors."""

"""The model before any data: formula, design, priors, hierarchy, weights, scale, equations."""

"""Equation (11) the slow way: dense Normals of a group's rows on a fine grid of log σ, one group at a time."""

from __future__ import annotations

import numpy as np


def group_heights(y, X, w, cols, cov, mean, prior, t):
    """Log of prior(σ) σ Normal(y | X mean, X Z Σ Zᵀ Xᵀ + σ²W⁻¹) at every t = log σ."""
    root = np.sqrt(w)
    load = root[:, None] * X[:, cols]
    eigenvalues, vectors = np.linalg.eigh(load @ cov @ load.T)
    off = vectors.T @ (root * (y - X @ mean))
    variance = np.maximum(eigenvalues, 0.0) + np.exp(2 * t)[:, None]
    density = -0.5 * (np.log(2 * np.pi * variance) + off**2 / variance).sum(axis=1) + 0.5 * np.log(w).sum()
    return density + prior(t)


def group_posterior(y, X, w, cols, cov, mean, prior, centre, width):
    """Grid of t where the posterior of one group's log σ is, its heights, and the log of its integral.

    prior : log density of t; centre, width : where a narrow one lies
    """
    given = (y, X, w, cols, cov, mean, prior)
    near = centre + width * np.linspace(-40, 40, 16001)
    coarse = np.unique(np.concatenate([np.linspace(-90, 40, 26001), near[np.abs(near) < 320]]))
    heights = group_heights(*given, coarse)
    there = np.flatnonzero(heights > heights.max() - 45)
    first, last = max(there[0] - 1, 0), min(there[-1] + 1, len(coarse) - 1)
    t = np.linspace(coarse[first], coarse[last], 40001)
    heights = group_heights(*given, t)
    top = heights.max()
    step = (t[-1] - t[0]) / (len(t) - 1)
    return t, heights, float(top + np.log(np.exp(heights - top).sum() * step))

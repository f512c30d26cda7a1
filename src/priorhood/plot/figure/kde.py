"""Draws → a density: a Gaussian kernel that keeps within the bounds of a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.sampler import POSITIVE

if TYPE_CHECKING:
    from priorhood._arrays import Array

GRID = 512
BOUNDS = {**dict.fromkeys(POSITIVE, (0.0, np.inf)), "omega": (-1.0, 1.0)}


def smoothed(draws: Array, low: float, high: float) -> tuple[Array, Array]:
    """The density of draws between the bounds of their parameter: a Gaussian kernel, reflected at bounds."""
    from scipy.ndimage import gaussian_filter1d

    if not np.ptp(draws) > 0:
        return np.repeat(draws[0], 2), np.array([0.0, 1.0])
    quarters = np.subtract(*np.quantile(draws, [0.75, 0.25])) / 1.349
    width = 0.9 * min(draws.std(), quarters or np.inf) * len(draws) ** -0.2
    ends = max(draws.min() - 4 * width, low), min(draws.max() + 4 * width, high)
    density, edges = np.histogram(draws, GRID, ends, density=True)
    step = edges[1] - edges[0]
    return (edges[1:] + edges[:-1]) / 2, gaussian_filter1d(density, width / step, mode="reflect")

"""Kernel density of draws, on a grid; no mass leaves the bounds of a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.sampler import POSITIVE

if TYPE_CHECKING:
    from priorhood._arrays import Array

GRID = 512
BOUNDS = {**dict.fromkeys(POSITIVE, (0.0, np.inf)), "omega": (-1.0, 1.0)}


def bandwidth(values: Array) -> float:
    """Silverman's rule of thumb, 0.9 min(sd, IQR / 1.349) n^(−1/5); inf of values that do not vary."""
    quarters = float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.349
    return float(0.9 * min(float(values.std()) or np.inf, quarters or np.inf) * len(values) ** -0.2)


def density_on(edges: Array, values: Array, width: float, mode: str, total: int) -> tuple[Array, Array]:
    """Centres of bins, and there the Gaussian kernel density of values, of `total` with those beyond the edges.

    mode : at the edges, as of scipy's gaussian_filter1d
    """
    from scipy.ndimage import gaussian_filter1d

    step = edges[1] - edges[0]
    density = np.histogram(values, edges)[0] / (total * step)
    return (edges[1:] + edges[:-1]) / 2, gaussian_filter1d(density, width / step, mode=mode)


def smoothed(draws: Array, low: float, high: float) -> tuple[Array, Array]:
    """Grid and density of draws between the bounds of their parameter, reflected there."""
    if not np.ptp(draws) > 0:
        return np.repeat(draws[0], 2), np.array([0.0, 1.0])
    width = bandwidth(draws)
    ends = max(draws.min() - 4 * width, low), min(draws.max() + 4 * width, high)
    return density_on(np.linspace(*ends, GRID + 1), draws, width, "reflect", len(draws))

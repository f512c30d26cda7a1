"""Kernel density of draws on a grid; no mass lies outside the bounds of a parameter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.sampler_verdicts import POSITIVE

if TYPE_CHECKING:
    from priorhood._arrays import Array

GRID = 512
BOUNDS = {**dict.fromkeys(POSITIVE, (0.0, np.inf)), "omega": (-1.0, 1.0)}


def bandwidth(values: Array) -> float:
    """Return Silverman's rule of thumb, 0.9 min(sd, IQR / 1.349) n^(−1/5); inf if the values do not vary."""
    iqr = float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / 1.349
    return float(0.9 * min(float(values.std()) or np.inf, iqr or np.inf) * len(values) ** -0.2)


def binned_density(edges: Array, values: Array, width: float, mode: str, total: int) -> tuple[Array, Array]:
    """Return the centres of bins and the Gaussian kernel density of the values there.

    Parameters
    ----------
    edges, values : array
    width : float
        Bandwidth.
    mode : str
        Treatment of the edges, see `scipy.ndimage.gaussian_filter1d`.
    total : int
        Number of values including those beyond the edges.
    """
    from scipy.ndimage import gaussian_filter1d

    step = edges[1] - edges[0]
    density = np.histogram(values, edges)[0] / (total * step)
    return (edges[1:] + edges[:-1]) / 2, gaussian_filter1d(density, width / step, mode=mode)


def kernel_density(draws: Array, low: float, high: float) -> tuple[Array, Array]:
    """Return grid and kernel density of draws, reflected at the bounds of their parameter."""
    if not np.ptp(draws) > 0:
        return np.repeat(draws[0], 2), np.array([0.0, 1.0])
    width = bandwidth(draws)
    ends = max(draws.min() - 4 * width, low), min(draws.max() + 4 * width, high)
    return binned_density(np.linspace(*ends, GRID + 1), draws, width, "reflect", len(draws))

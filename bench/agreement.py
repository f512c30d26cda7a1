"""Do two sets of draws have one posterior? Means and sds, held against their Monte Carlo errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from arviz_stats.base import array_stats
from scipy import stats

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

# Share of comparisons of equal posteriors in which some mean or sd of them is beyond the limit.
FALSE_ALARMS = 0.001


@dataclass(frozen=True)
class Moments:
    """Means and sds of (n,) parameters, and their Monte Carlo standard errors."""

    mean: Array
    mean_error: Array
    sd: Array
    sd_error: Array


def moments(draws: Array) -> Moments:
    """Of (chain, draw, n); errors by effective sample sizes, those of the sds by that of (x − mean)²."""
    axes = {"chain_axis": 0, "draw_axis": 1}
    mean, sd = draws.mean((0, 1)), draws.std((0, 1), ddof=1)
    squared = (draws - mean) ** 2
    size = array_stats.ess(squared, **axes, method="mean")
    mean_error = sd / np.sqrt(array_stats.ess(draws, **axes, method="mean"))
    return Moments(mean, mean_error, sd, squared.std((0, 1)) / np.sqrt(size) / (2 * sd))


def weighted(draws: Array, log_weight: Array) -> Moments:
    """Of draws that are as good as independent, reweighted to another prior by log_weight (chain, draw).

    mean = Σ w x, sd² = Σ w (x − mean)², errors by the delta method: Σ w² (f − mean of f)². Weights are up to a
    constant.
    """
    w = np.exp(log_weight - log_weight.max())
    w = (w / w.sum())[..., None]
    mean = (w * draws).sum((0, 1))
    away = draws - mean
    variance = (w * away**2).sum((0, 1))
    mean_error = np.sqrt((w**2 * away**2).sum((0, 1)))
    sd = np.sqrt(variance)
    return Moments(mean, mean_error, sd, np.sqrt((w**2 * (away**2 - variance) ** 2).sum((0, 1))) / (2 * sd))


def furthest(one: Moments, other: Moments) -> tuple[float, float]:
    """Largest distance of a mean or an sd in Monte Carlo standard errors, and the limit for it.

    The limit is Normal's and Bonferroni's, for FALSE_ALARMS over all means and sds.
    """
    apart = [
        np.abs(getattr(one, name) - getattr(other, name))
        / np.hypot(getattr(one, f"{name}_error"), getattr(other, f"{name}_error"))
        for name in ("mean", "sd")
    ]
    together = np.concatenate(apart)
    return float(together.max()), float(stats.norm.isf(FALSE_ALARMS / (2 * len(together))))

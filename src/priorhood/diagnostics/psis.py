"""Importance weights with smoothed tails (Vehtari, Simpson, Gelman, Yao, Gabry 2024), many sets at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from priorhood._arrays import Array

MIN_TAIL = 5  # fewer weights in a tail have no shape
MAX_PARETO_K = 0.7


def good_k(draws: int) -> float:
    """Return the largest Pareto k at which estimates from so many draws are reliable: min(1 − 1/log₁₀ S, 0.7)."""
    return min(1.0 - 1.0 / math.log10(draws), MAX_PARETO_K) if draws > 1 else 0.0


def smooth_weights(log_ratios: Array) -> tuple[Array, Array]:
    """Return the smoothed, normalized log weights (n, S) of log importance ratios (n, S), and Pareto k (n,).

    The largest M = min(S/5, 3√S) ratios of a row are replaced by the expected order statistics of the generalized
    Pareto distribution fitted to them, none above the largest. k is −∞ if all ratios in the tail are equal, and ∞
    if there are too few draws to estimate it.
    """
    n, S = log_ratios.shape  # n sets of S weights
    logs = log_ratios - log_ratios.max(axis=1, keepdims=True)
    M = int(min(0.2 * S, 3.0 * math.sqrt(S)))
    k = np.full(n, np.inf)
    if MIN_TAIL <= M < S:
        at = np.argpartition(logs, S - M - 1, axis=1)[:, S - M - 1 :]
        values = np.take_along_axis(logs, at, axis=1)
        order = np.argsort(values, axis=1)
        at, values = np.take_along_axis(at, order, axis=1), np.take_along_axis(values, order, axis=1)
        cut = np.exp(values[:, :1])
        tail = np.exp(values[:, 1:]) - cut
        alike = tail[:, -1] <= 1e-12
        tail[alike] = np.linspace(1.0, 2.0, M)
        k, scale = _fit_tails(tail)
        p = (np.arange(1, M + 1) - 0.5) / M
        # Quantiles of the generalized Pareto distribution, whose limit for k → 0 is the exponential one.
        log_q = np.log1p(-p)[None]
        small = (np.abs(k) < 1e-12)[:, None]
        shape = np.where(small, 1.0, k[:, None])
        order_statistics = scale[:, None] * np.where(small, -log_q, np.expm1(-shape * log_q) / shape)
        new = np.minimum(np.log(cut + order_statistics), 0.0)
        new[alike] = values[alike, 1:]
        k = np.where(alike, -np.inf, k)
        np.put_along_axis(logs, at[:, 1:], new, axis=1)
    return logs - np.log(np.exp(logs).sum(axis=1))[:, None], k


def _fit_tails(tail: Array) -> tuple[Array, Array]:
    """Fit generalized Pareto distributions to ascending tails (n, M): shape and scale (n,) (Zhang, Stephens 2009).

    The shape has the weak prior of Vehtari et al., towards one half.
    """
    M = tail.shape[1]
    points = 30 + int(math.sqrt(M))
    # Rejected proposals repeat a draw; such ties may make it 0.
    quartile = np.maximum(tail[:, int(M / 4 + 0.5) - 1], 1e-250)
    grid = 1.0 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))
    b = grid / (3.0 * quartile[:, None]) + 1.0 / tail[:, -1:]
    k = np.stack([np.log1p(-b[:, g, None] * tail).mean(axis=1) for g in range(points)], axis=1)
    profile = M * (np.log(-b / k) - k - 1.0)
    weights = np.exp(profile - profile.max(axis=1, keepdims=True))
    b_mean = (weights * b).sum(axis=1) / weights.sum(axis=1)
    shape = np.log1p(-b_mean[:, None] * tail).mean(axis=1)
    return (shape * M + 5.0) / (M + 10.0), -shape / b_mean

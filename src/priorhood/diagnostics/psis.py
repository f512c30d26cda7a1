"""Importance weights with smoothed tails (Vehtari, Simpson, Gelman, Yao, Gabry 2024), many sets at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from priorhood._arrays import Array

# Fewer weights in a tail than these have no shape.
LEAST_TAIL = 5
MOST_K = 0.7


def good_k(draws: int) -> float:
    """The Pareto k up to which so many draws serve: min(1 − 1/log₁₀ S, 0.7)."""
    return min(1.0 - 1.0 / math.log10(draws), MOST_K) if draws > 1 else 0.0


def smoothed(log_ratios: Array) -> tuple[Array, Array]:
    """Log importance ratios (n, S) → log weights (n, S) that sum to one in every row, and Pareto k (n,).

    The largest M = min(S/5, 3√S) ratios of a row are replaced by the expected order statistics of the generalized
    Pareto distribution fitted to them, none above the largest. k is −∞ where all in the tail are alike, and ∞
    where there are too few draws to tell.
    """
    n, S = log_ratios.shape
    logs = log_ratios - log_ratios.max(axis=1, keepdims=True)
    M = int(min(0.2 * S, 3.0 * math.sqrt(S)))
    k = np.full(n, np.inf)
    if LEAST_TAIL <= M < S:
        at = np.argpartition(logs, S - M - 1, axis=1)[:, S - M - 1 :]
        values = np.take_along_axis(logs, at, axis=1)
        order = np.argsort(values, axis=1)
        at, values = np.take_along_axis(at, order, axis=1), np.take_along_axis(values, order, axis=1)
        cut = np.exp(values[:, :1])
        tail = np.exp(values[:, 1:]) - cut
        alike = tail[:, -1] <= 1e-12
        tail[alike] = np.linspace(1.0, 2.0, M)
        k, scale = _fitted(tail)
        p = (np.arange(1, M + 1) - 0.5) / M
        new = np.minimum(np.log(cut + _quantiles(p, k, scale)), 0.0)
        new[alike] = values[alike, 1:]
        k = np.where(alike, -np.inf, k)
        np.put_along_axis(logs, at[:, 1:], new, axis=1)
    return logs - _log_sum(logs)[:, None], k


def _fitted(tail: Array) -> tuple[Array, Array]:
    """Shape and scale (n,) of generalized Pareto distributions of ascending tails (n, M) (Zhang, Stephens 2009)."""
    M = tail.shape[1]
    points = 30 + int(math.sqrt(M))
    # Draws that a chain held are ties, which may leave it at 0.
    quartile = np.maximum(tail[:, int(M / 4 + 0.5) - 1], 1e-250)
    grid = 1.0 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))
    b = grid / (3.0 * quartile[:, None]) + 1.0 / tail[:, -1:]
    k = np.stack([np.log1p(-b[:, g, None] * tail).mean(axis=1) for g in range(points)], axis=1)
    profile = M * (np.log(-b / k) - k - 1.0)
    weights = np.exp(profile - profile.max(axis=1, keepdims=True))
    b_mean = (weights * b).sum(axis=1) / weights.sum(axis=1)
    shape = np.log1p(-b_mean[:, None] * tail).mean(axis=1)
    scale = -shape / b_mean
    # Their weak prior towards one half.
    return (shape * M + 5.0) / (M + 10.0), scale


def _quantiles(p: Array, k: Array, scale: Array) -> Array:
    """Of the generalized Pareto distribution: (n, M)."""
    log_q = np.log1p(-p)[None]
    small = np.abs(k) < 1e-12
    safe = np.where(small, 1.0, k)[:, None]
    return scale[:, None] * np.where(small[:, None], -log_q, np.expm1(-safe * log_q) / safe)


def _log_sum(logs: Array) -> Array:
    """Log Σ exp of every row, whose largest entry is near 0: (n,)."""
    return np.asarray(np.log(np.exp(logs).sum(axis=1)))

"""R-hat and effective sample sizes of many parameters at once (Vehtari, Gelman, Simpson, Carpenter, Bürkner 2021).

The numbers are those of ArviZ, which processes one parameter after the other;
tests/unit/diagnostics/test_check.py compares them. Arrays are (parameter, chain, draw).
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from priorhood._arrays import Array

# All draws count as equal if their range is below this.
ALIKE = float(np.finfo(float).resolution)


def split_chains(values: Array) -> Array:
    """Split every chain in two, without its middle draw if their number is odd."""
    half = values.shape[2] // 2
    return np.concatenate([values[:, :, :half], values[:, :, -half:]], axis=1)


def rank_scores(values: Array, tail: tuple[float, float]) -> tuple[Array, Array, Array]:
    """Return Normal scores of the draws' ranks and of the ranks of their distances from the median, and quantiles.

    Equal draws have their mean rank. Only one sort is expensive: the distances of sorted draws fall up to the
    median and rise after it, two runs that a merge puts in order.

    Returns
    -------
    bulk, tails : ndarray
        (P, chain, draw) scores of the draws and of their distances.
    cut : ndarray
        (2, P) quantiles of the draws at the probabilities `tail`.
    """
    flat = values.reshape(len(values), -1)
    bulk, tails, cut = np.empty_like(flat), np.empty_like(flat), np.empty((2, len(flat)))
    size = flat.shape[1]
    for at, draws in enumerate(flat):
        order = draws.argsort()
        ordered = draws[order]
        bulk[at, order] = _scores(ordered)
        distance = np.abs(ordered - (ordered[(size - 1) // 2] + ordered[size // 2]) / 2)
        folded = distance.argsort(kind="stable")
        tails[at, order[folded]] = _scores(distance[folded])
        cut[:, at] = [quantile(ordered, p) for p in tail]
    return bulk.reshape(values.shape), tails.reshape(values.shape), cut


def quantile(ordered: Array, p: float) -> float:
    """Return the quantile of sorted draws (S,), interpolated linearly."""
    at = p * (len(ordered) - 1)
    low, high = ordered[int(at)], ordered[min(int(at) + 1, len(ordered) - 1)]
    return float(low + (high - low) * (at - int(at)))


def _scores(ordered: Array) -> Array:
    """Return the Normal scores of sorted draws (S,)."""
    size = len(ordered)
    table = _score_table(size)
    twice = np.arange(2, 2 * size + 1, 2)
    # A run of equal draws ends before the next different one.
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    if len(last) < size:
        first = np.append(0, last[:-1] + 1)
        twice = np.repeat(first + last + 2, last - first + 1)
    return np.asarray(table[twice])


@lru_cache(maxsize=4)
def _score_table(size: int) -> Array:
    """Return the Normal scores of the ranks 0, ½, 1, …, size: mean ranks are multiples of one half."""
    from scipy.special import ndtri

    return np.asarray(ndtri((np.arange(2 * size + 1) / 2 - 3 / 8) / (size + 1 / 4)))


def r_hat(values: Array) -> Array:
    """Return R-hat √((B/W + n − 1)/n), B and W the variances between and within chains of Normal scores: (P,)."""
    n = values.shape[2]
    between = n * values.mean(axis=2).var(axis=1, ddof=1)
    within = values.var(axis=2, ddof=1).mean(axis=1)
    within[within < ALIKE**2] = 0.0  # the rounding of chains that do not move
    return np.asarray(np.sqrt((between / within + n - 1) / n))


def sample_size(values: Array) -> Array:
    """Return the effective sample size of the mean, mn/τ: (P,).

    τ = −1 + 2 Σ ρ_t over the initial positive sequence ρ_2k + ρ_2k+1, made monotone (Geyer 1992). ρ_t are the
    autocorrelations of all chains together, from their mean autocovariance and the variance between them.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    P, m, n = values.shape
    means = values.mean(axis=2)
    size = next_fast_len(2 * n, real=True)
    padded = np.zeros((P, m, size))
    padded[:, :, :n] = values - means[:, :, None]
    wave = rfft(padded, axis=2)
    # The inverse transform is linear: one of the chains' sum is enough.
    power = (wave.real**2 + wave.imag**2).sum(axis=1)
    covariance = irfft(power, n=size, axis=1)[:, :n] / (m * n)
    within = covariance[:, :1] * n / (n - 1)
    total = covariance[:, 0] + (means.var(axis=1, ddof=1) if m > 1 else 0.0)
    pairs = 1 + len(range(1, n - 3, 2))
    rho = 1.0 - (within - covariance[:, : 2 * pairs]) / total[:, None]
    rho[:, 0] = 1.0
    even = rho[:, ::2]
    both = even + rho[:, 1::2]
    stops = ~(both > 0)
    last = np.where(stops.any(axis=1), stops.argmax(axis=1), pairs - 1)
    falling = np.minimum.accumulate(both, axis=1)
    before = np.where(np.arange(pairs) < last[:, None], falling, 0.0).sum(axis=1)
    single, pair = even[np.arange(P), last], both[np.arange(P), last]
    tau = -1.0 + 2.0 * before + np.where((single > 0) | (pair >= 0), single, 0.0)
    ess = m * n / np.maximum(tau, 1.0 / np.log10(m * n))
    ess[np.isnan(rho[:, 1])] = np.nan
    return np.asarray(np.where(np.ptp(values, axis=(1, 2)) < ALIKE, m * n, ess))

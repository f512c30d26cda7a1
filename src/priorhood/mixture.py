"""The predictive distribution of a row: a mixture of Normals, one a posterior draw; compiled.

F(t) = mean_s Φ((t − m_s) / σ_s). Mean and sd are closed forms; quantiles are roots of F. The inner
loops run over draws without a branch or a library call, so the compiler vectorizes them.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FAST = {"reassoc", "contract", "nsz", "arcp"}
_DENSITY = 1 / math.sqrt(2 * math.pi)


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _distribution(t, m, inverse):
    """F(t) and its derivative; |error| < 2e-7 (Abramowitz & Stegun 7.1.26).

    exp(−u) is a polynomial of u/64 squared six times: five-digit shorter than a library call, but it
    vectorizes; its relative error is under 1e-8 for the u ≤ 36 that occur.
    """
    total = 0.0
    slope = 0.0
    for s in range(len(m)):
        x = (t - m[s]) * inverse[s]
        a = min(abs(x), 8.4)
        v = a * a * (0.5 / 64.0)
        e = 1 - v * (1 - v * (0.5 - v * (1 / 6 - v * (1 / 24 - v * (1 / 120 - v * (1 / 720 - v / 5040))))))
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        e *= e
        k = 1.0 / (1.0 + 0.3275911 * 0.7071067811865476 * a)
        tail = 0.5 * e * k * (
            0.254829592 + k * (-0.284496736 + k * (1.421413741 + k * (-1.453152027 + k * 1.061405429)))
        )  # fmt: skip
        total += tail if x < 0 else 1.0 - tail
        slope += e * inverse[s]
    return total / len(m), slope * 0.3989422804014327 / len(m)


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _quantile(p, start, sd, m, inverse):
    """Root of F(t) = p: Newton, kept inside a bracket that every step narrows."""
    low, high = -np.inf, np.inf
    t = start
    for _ in range(200):
        f, slope = _distribution(t, m, inverse)
        if f < p:
            low = t
        else:
            high = t
        step = (p - f) / slope if slope > 0 else np.inf
        new = t + step
        if not (low < new < high) or abs(step) > 4 * sd:
            if np.isinf(low):
                new = t - 2 * sd
            elif np.isinf(high):
                new = t + 2 * sd
            else:
                new = 0.5 * (low + high)
        if abs(new - t) < 1e-7 * sd:
            return new
        t = new
    return t


@nb.njit(cache=True, nogil=True, error_model="numpy")
def summarize(m, sigma, levels, starts, thresholds, log_unit, mean, sd, quantiles, below):
    """Fill mean (n,), sd (n,), quantiles (n, Q), below (n, T) for locations m (n, S), sigma (S,).

    levels (Q,) probabilities, starts (Q,) their Normal quantiles; thresholds (T,). With log_unit > 0 the
    outcome is the exponential of log_unit times what is modelled: mean and sd are those of the
    exponential, E exp(m + σ²/2); quantiles and thresholds stay on the modelled scale.
    """
    S = m.shape[1]
    inverse = 1.0 / sigma
    for i in range(m.shape[0]):
        row = m[i]
        centre = 0.0
        for s in range(S):
            centre += row[s]
        centre /= S
        spread = 0.0
        for s in range(S):
            spread += (row[s] - centre) ** 2 + sigma[s] ** 2
        width = math.sqrt(spread / S)
        if log_unit > 0:
            # Powers of e relative to the centre, so that nothing overflows before it must.
            first = 0.0
            second = 0.0
            for s in range(S):
                d = log_unit * (row[s] - centre)
                v = (log_unit * sigma[s]) ** 2
                first += math.exp(d + 0.5 * v)
                second += math.exp(2 * d + 2 * v)
            first /= S
            base = math.exp(log_unit * centre)
            mean[i] = base * first
            sd[i] = base * math.sqrt(max(second / S - first**2, 0.0))
        else:
            mean[i] = centre
            sd[i] = width
        for q in range(len(levels)):
            quantiles[i, q] = _quantile(levels[q], centre + starts[q] * width, width, row, inverse)
        for k in range(len(thresholds)):
            below[i, k] = _distribution(thresholds[k], row, inverse)[0]

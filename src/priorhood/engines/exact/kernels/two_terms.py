"""The upward pass if both of two columns vary by the only grouping: equations (6) to (9) in one vector loop.

The model of an intercept and a slope by place. With A = (p q; q r), b = (b d), Λ̃ = (f 0; g h), Σ̃ = ΛΛᵀ/σ² and
adj(·) the adjugate of a 2 × 2 matrix, (6) to (8) are, for one place,

    |M| = 1 + tr AΣ̃ + |A||Σ̃|,   P' = (A + |A| adj Σ̃)/|M|,   h' = (b + adj(Σ̃) c)/|M|,   c = adj(A) b

|A| and c do not depend on θ and are found once. Where a place has one row both are 0 but for rounding, which
|Σ̃| would multiply; so uᵀM⁻¹u is not expanded like this but summed by pivots, where c enters squared:

    uᵀM⁻¹u = u₁²/M₁₁ + (M₁₁u₂ − M₂₁u₁)²/(M₁₁|M|),   M₁₁ = 1 + λ₁ᵀAλ₁,   M₁₁u₂ − M₂₁u₁ = h(d + f²c₂ − fg c₁)

λ₁ is the first column of Λ̃. Blocks of places are outside and θ inside, so that a block's numbers stay in the
fastest cache for all θ. Every θ is computed alone: neither threads nor the others change its bits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from priorhood.engines.exact.kernels.upward import FAST, factor_root, log_pivots, root_space

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.engines.exact.problem import Problem

_LOG_2PI = math.log(2.0 * math.pi)
PLACES = 128  # in a block
NUMBERS = 8  # of a place


def fits(problem: Problem) -> bool:
    """Return True if the problem has this shape: both columns vary by the only level, nothing is crossed."""
    return len(problem.levels) == 1 and not problem.crossed and problem.D == problem.levels[0].K == 2


def sums_of(problem: Problem) -> Array:
    """Return p, q, r, |A|, b and adj(A)b of every place, (NUMBERS, J), in the order of the level's columns."""
    first, second = (int(c) for c in problem.levels[0].cols)
    p, q, r = problem.A[first, first], problem.A[first, second], problem.A[second, second]
    b, d = problem.b[first], problem.b[second]
    det = np.maximum(p * r - q * q, 0.0)  # rounding must not make the 0 of one row negative
    return np.stack([p, q, r, det, b, d, r * b - q * d, p * d - q * b])


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _add_block(x, lo, n, f, g, h, pivots, into):
    """Add a block of places under one θ to into (6,): P'₀₀, P'₁₀, P'₁₁, h'₀, h'₁, Σ uᵀM⁻¹u; store |M| in pivots."""
    p, q, r, det = x[0, lo : lo + n], x[1, lo : lo + n], x[2, lo : lo + n], x[3, lo : lo + n]
    b, d, c, e = x[4, lo : lo + n], x[5, lo : lo + n], x[6, lo : lo + n], x[7, lo : lo + n]
    s, t, v, k = f * f, f * g, g * g + h * h, (f * h) ** 2
    a0 = a1 = a2 = a3 = a4 = a5 = 0.0
    for i in range(n):
        first = 1.0 + s * p[i] + 2.0 * t * q[i] + g * g * r[i]
        m = first + h * h * r[i] + k * det[i]
        pivots[i] = m
        each = 1.0 / (first * m)
        w = first * each
        a0 += (p[i] + v * det[i]) * w
        a1 += (q[i] - t * det[i]) * w
        a2 += (r[i] + s * det[i]) * w
        a3 += (b[i] + v * c[i] - t * e[i]) * w
        a4 += (d[i] + s * e[i] - t * c[i]) * w
        u = f * b[i] + g * d[i]
        z = h * (d[i] + s * e[i] - t * c[i])
        a5 += (u * u * m + z * z) * each
    into[0] += a0
    into[1] += a1
    into[2] += a2
    into[3] += a3
    into[4] += a4
    into[5] += a5


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def add_places(x, lam, sums, logdet):
    """Fill sums (S, 6) of all places as _add_block does, and Σ log|M| (S,), for a batch of θ; lam : (S, 2, 2) Λ̃."""
    M = np.empty((1, 1, PLACES))
    sums[:] = 0.0
    logdet[:] = 0.0
    for lo in range(0, x.shape[1], PLACES):
        n = min(PLACES, x.shape[1] - lo)
        for at in range(lam.shape[0]):
            f, g, h = lam[at, 0, 0], lam[at, 1, 0], lam[at, 1, 1]
            _add_block(x, lo, n, f, g, h, M[0, 0], sums[at])
            logdet[at] += log_pivots(M, 1, n)


@nb.njit(cache=True, nogil=True)
def fill_top(sums, cols, P, h):
    """Copy the sums of places' messages (6,) to the root's slot of P (2, 2, 1), h (2, 1)."""
    a, b = cols[0], cols[1]
    P[a, a, 0] = sums[0]
    P[a, b, 0] = P[b, a, 0] = sums[1]
    P[b, b, 0] = sums[2]
    h[a, 0] = sums[3]
    h[b, 0] = sums[4]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def log_marginals(x, c, N, lam, tree, root, sigma, out):
    """Fill out (S,) with equation (9) for a batch of θ; lam (S, 1, 2, 2), the rest as in marginal.py."""
    S = sigma.shape[0]
    sums, logdet = np.empty((S, 6)), np.empty(S)
    add_places(x, lam[:, 0], sums, logdet)
    spare = root_space(root)
    P, h = np.empty((2, 2, 1)), np.empty((2, 1))
    offset = np.sum(root[1] ** 2)
    for s in range(S):
        fill_top(sums[s], tree[0], P, h)
        more, part = factor_root(P, h, lam[s], tree, root, sigma[s], spare)
        quad = (sums[s, 5] + part - c) / sigma[s] ** 2
        out[s] = 0.5 * (quad - logdet[s] - more - offset) - N * (math.log(sigma[s]) + 0.5 * _LOG_2PI)

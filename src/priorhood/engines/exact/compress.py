"""A group's rows as a few pseudo-rows, for errors whose sd differs by group (math.md, sections 2 and 6).

A rotation of a group's rows leaves its errors as they are. One turns the n rows into r ≤ min(n, D + 1) rows
(R, z) and n − r rows without predictors, of which only the sum of squares is left:

    Σ w (y − xᵀβ)² = |z − Rβ|² + rss                for every β

So no difference of large sums is needed, however small σ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from priorhood._arrays import Array, Index

SAME = 1e-12  # a predictor varies within a group if this share of its square does
ROUNDING = 1e-13  # and an outcome is off its line if this share of its scatter is


@dataclass(frozen=True)
class PseudoRows:
    """R (J, r, D) and z (J, r), padded with 0 to the widest; rank (J,) those in use.

    rest : (J,) ν = n − rank, rows without predictors; rss : (J,) their sum of squares, 0 where there are none
    """

    R: Array
    z: Array
    rank: Index
    rest: Array
    rss: Array

    @property
    def exact(self) -> Index:
        """Groups with more rows than a line needs, all of them on it: nothing keeps their σ off 0."""
        return np.flatnonzero((self.rest > 0) & (self.rss <= 0))


def compress(n: Array, mean: Array, scatter: Array, shift: Array, weight: Array | None = None) -> PseudoRows:
    """Centred moments → pseudo-rows of the outcome less X·shift.

    The first is √W times the mean row; the others are a Cholesky factor of the scatter, whose columns are
    taken in the order of what is left of them, so that it ends where the rank does.

    Parameters
    ----------
    n : (J,) rows; mean : (J, D+1), the outcome last; scatter : (J, D+1, D+1); weight : (J,) Σ w, n if None
    """
    J, D = len(n), len(shift)
    mass = n if weight is None else weight
    contrast = np.append(-shift, 1.0)
    R, z = np.zeros((J, D + 1, D)), np.zeros((J, D + 1))
    R[:, 0] = np.sqrt(mass)[:, None] * mean[:, :D]
    z[:, 0] = np.sqrt(mass) * (mean @ contrast)
    outcome = np.einsum("jab,a,b->j", scatter, contrast, contrast)
    slopes = scatter[:, :D] @ contrast
    level = outcome.sum() / n.sum()
    rank, rss = np.ones(J, np.int64), np.zeros(J)
    for j in range(J):
        least = SAME * (np.diag(scatter[j])[:D] + mass[j] * mean[j, :D] ** 2)
        rows, right = _factor(scatter[j, :D, :D], slopes[j], least, int(n[j]) - 1)
        rank[j] += len(right)
        R[j, 1 : rank[j]], z[j, 1 : rank[j]] = rows, right
        left = outcome[j] - right @ right
        if n[j] > rank[j] and left > ROUNDING * (outcome[j] + 0.01 * n[j] * level):
            rss[j] = left
    widest = int(rank.max())
    return PseudoRows(np.ascontiguousarray(R[:, :widest]), np.ascontiguousarray(z[:, :widest]), rank, n - rank, rss)


def _factor(S: Array, s: Array, least: Array, most: int) -> tuple[Array, Array]:
    """C (rank, D) and C⁻ᵀs with S = CᵀC by Cholesky with pivots; a pivot at or under `least` is 0."""
    left = S.copy()
    own = np.maximum(np.diag(S), 1e-300)
    rest = s.copy()
    rows = [np.zeros((0, len(S)))]
    right: list[float] = []
    while len(right) < most:
        diagonal = np.diag(left)
        share = np.where(diagonal > np.maximum(least, 1e-10 * own), diagonal / own, 0.0)
        pivot = int(np.argmax(share)) if len(share) else 0
        if not len(share) or share[pivot] <= 0:
            break
        row = left[pivot] / np.sqrt(diagonal[pivot])
        right.append(rest[pivot] / np.sqrt(diagonal[pivot]))
        rest = rest - row * right[-1]
        left = left - np.outer(row, row)
        rows.append(row[None])
    return np.concatenate(rows), np.array(right)

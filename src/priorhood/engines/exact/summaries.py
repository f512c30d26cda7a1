"""Summaries of every finest group's coefficients, averaged over θ, without draws (math.md, section 5).

Given a draw s of θ and of all coefficients above, place j's coefficient is Normal(m_js, v_js), equation (10). Over
the draws it is a mixture of S such Normals, whose cumulants are sums; no draws of the coefficient are needed.

The outer loops run over places, or blocks of them, the inner ones over θ, so that a place's sums are read once.
Every place is computed alone: neither threads nor other places change its bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from priorhood.engines.draws import Summaries
from priorhood.engines.exact.effects import coefficient_columns
from priorhood.engines.exact.kernels.leaf import ORDER, conditionals, draw_nodes, sum_pairs, sum_powers
from priorhood.engines.exact.kernels.upward import BLOCK
from priorhood.engines.exact.marginal import in_chunks
from priorhood.engines.exact.theta import Theta, factors
from priorhood.engines.mixture import quantile_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from priorhood._arrays import Array, Index
    from priorhood.engines.exact.problem import Problem

# The expansion to the sixth cumulant is used if its last terms add up to less than LAST_TERMS sds and the
# components' centres have at most the share APART of the variance, so that the cumulants see every lump. Otherwise
# the quantile is a root of the distribution function. In 4,800 skewed, lumpy and heavy-tailed mixtures of 50 or
# more components the expansion's error was at most 5.5e-4 sds where it is used, up to one sd elsewhere. ACCURACY,
# in sds, is the documented bound.
LAST_TERMS = 5e-4
APART = 0.2
ACCURACY = 1e-3
NARROWEST = 1e-5  # smallest sd of a component, in sds of the mixture; needed if τ is 0
PAIR = 2
ROOM = 4_000_000  # numbers of the roots' components at a time


@nb.njit(cache=True, nogil=True, error_model="numpy")
def _roots(mean, variance, sd, levels, starts, out):
    """Fill out (n, Q) with quantiles of mixtures of Normals of mean, variance (n, S); sd (n,) : the mixtures'."""
    inverse = np.empty(mean.shape[1])
    for j in range(mean.shape[0]):
        if not sd[j] > 0.0:
            continue
        least = (NARROWEST * sd[j]) ** 2
        for s in range(mean.shape[1]):
            inverse[s] = 1.0 / np.sqrt(max(variance[j, s], least))
        for q in range(len(levels)):
            out[j, q] = quantile_of(levels[q], starts[j, q], sd[j], mean[j], inverse)


@dataclass(frozen=True)
class Leaves:
    """The finest groups' coefficients given S draws of all other parameters.

    Attributes
    ----------
    problem : Problem
        the sums
    above : array (parents, D, S)
        coefficients of the groups' parents, for the outcome minus X·shift
    lam : array (S, K, K)
        Λ̃
    sigma : array (S,)
        residual sd
    parent : array (J,)
        index of every group's parent
    """

    problem: Problem
    above: Array
    lam: Array
    sigma: Array
    parent: Index

    @property
    def cols(self) -> Index:
        """Columns that vary by the finest group: (K,)."""
        return np.asarray(self.problem.levels[0].cols, np.int64)

    @property
    def inherited(self) -> Index:
        """Further columns, with coefficients that a group inherits from its parent."""
        return coefficient_columns(self.problem, 0)[len(self.cols) :]

    def summarize(
        self, levels: Sequence[float], threads: int = 1, done: Callable[[int, int], None] | None = None
    ) -> Summaries:
        """Return mean, sd and quantiles of every coefficient, over the draws of all other parameters.

        Notes
        -----
        O(S J (D K + K³)). Mean and sd are exact for the mixture. Quantiles are the expansion of Cornish and Fisher
        if it is good enough, else roots of the distribution function: errors are below ACCURACY sds.
        """
        problem, J, K, S = self.problem, self.problem.J, len(self.cols), len(self.sigma)
        shift, C = problem.shift, len(self.cols) + len(self.inherited)
        summaries = Summaries(np.empty((J, C)), np.empty((J, C)), np.empty((J, C, len(levels))))
        blocks, finished = -(-J // BLOCK), 0
        if K == PAIR:
            # Σ₀₀, Σ₀₁, Σ₁₁ and |Σ| of Σ = ΛΛᵀ/σ²: (4, S).
            f, g, h = self.lam[:, 0, 0], self.lam[:, 1, 0], self.lam[:, 1, 1]
            spread, square = np.stack([f**2, f * g, g**2 + h**2, (f * h) ** 2]), self.sigma**2

        def run(first: int, last: int) -> None:
            nonlocal finished
            anchor, sums = np.empty((K, BLOCK)), np.empty((K, ORDER + 1, BLOCK))
            for block in range(first, last):
                lo = block * BLOCK
                n = min(BLOCK, J - lo)
                given = (problem.A, problem.b, lo, n, self.parent, self.above)
                if K == PAIR:
                    sum_pairs(*given, spread, square, self.cols, anchor, sums)
                else:
                    sum_powers(*given, self.lam, self.cols, self.sigma, anchor, sums)
                self._fill(summaries, slice(lo, lo + n), anchor[:, :n], sums[:, :, :n] / S, levels)
                finished += n
                if done:
                    done(finished, J)

        in_chunks(run, blocks, cost=BLOCK * S * K * K, threads=threads)
        mean, sd, quantiles = summaries.mean, summaries.sd, summaries.quantiles
        mean[:, :K] += shift[self.cols]
        quantiles[:, :K] += shift[self.cols][:, None]
        for c, column in enumerate(self.inherited, start=K):
            draws = self.above[:, column] + shift[column]
            mean[:, c], sd[:, c] = draws.mean(axis=1)[self.parent], draws.std(axis=1)[self.parent]
            quantiles[:, c] = np.quantile(draws, levels, axis=1).T[self.parent]
        return summaries

    def _fill(self, found: Summaries, part: slice, anchor: Array, powers: Array, levels: Sequence[float]) -> None:
        """Fill the summaries of a block of places from the means of powers and of v, (K, ORDER + 1, n)."""
        K, probabilities = len(self.cols), np.asarray(levels, float)
        mean, sd, standard = cumulants(powers[:, :ORDER])
        found.mean[part, :K] = (anchor + mean).T
        found.sd[part, :K] = sd.T
        score, last = cornish_fisher(standard, levels)
        found.quantiles[part, :K] = (anchor[..., None] + mean[..., None] + sd[..., None] * score).swapaxes(0, 1)
        easy = (last < LAST_TERMS) & (powers[:, ORDER] > (1 - APART) * sd**2)
        hard = np.flatnonzero(~easy.all(axis=0))
        size = max(1, ROOM // (2 * K * len(self.sigma)))
        for lo in range(0, len(hard), size):
            places = part.start + hard[lo : lo + size]
            means, variances = self.conditionals(places)
            for r in range(K):
                sd, centre = found.sd[places, r], found.mean[places, r]
                # Start near the centre even where the expansion is wild.
                near = np.clip(found.quantiles[places, r], (centre - 3 * sd)[:, None], (centre + 3 * sd)[:, None])
                out = np.where(sd[:, None] > 0, near, centre[:, None])
                _roots(means[:, r], variances[:, r], sd, probabilities, near, out)
                found.quantiles[places, r] = out

    def conditionals(self, places: Index) -> tuple[Array, Array]:
        """Return means and variances of places' own coefficients, minus the shift, for every θ: (n, K, S) each."""
        mean = np.empty((len(places), len(self.cols), len(self.sigma)))
        variance = np.empty_like(mean)
        A, b = self._sums(places)
        conditionals(A, b, self.parent[places], self.above, self.lam, self.cols, self.sigma, mean, variance)
        return mean, variance

    def draw(self, places: Index, z: Array) -> Array:
        """Draw all coefficients of places (n,), once for every θ: (S, C, n); z (S, K, n) is standard Normal.

        A place's bits only depend on its own z.
        """
        S, K, n = z.shape
        padded = -(-n // BLOCK) * BLOCK
        filled = np.concatenate([places, np.repeat(places[-1:], padded - n)])
        noise = np.zeros((S, K, padded))
        noise[:, :, :n] = z
        drawn = np.empty_like(noise)
        A, b = self._sums(filled)
        draw_nodes(A, b, self.parent[filled], self.above, self.lam, self.cols, self.sigma, noise, drawn)
        out = np.empty((S, K + len(self.inherited), n))
        out[:, :K] = drawn[:, :, :n]
        out[:, K:] = self.above[self.parent[places]][:, self.inherited].transpose(2, 1, 0)
        return out + self.problem.shift[coefficient_columns(self.problem, 0), None]

    def _sums(self, places: Index) -> tuple[Array, Array]:
        return np.ascontiguousarray(self.problem.A[:, :, places]), np.ascontiguousarray(self.problem.b[:, places])


def leaves_of(
    problem: Problem, values: Theta, mu: Array, levels: tuple[Array, ...], crossed: tuple[Array, ...]
) -> Leaves:
    """Return the finest groups given θ and draws of all coefficients above, from draw_effects.

    mu : (S, F); levels : (S, C, size) for every coarser level; crossed : (S, K, size) each
    """
    S = len(values.sigma)
    starts = problem.levels[0].starts
    above = np.zeros((S, problem.D, 1))
    above[:, problem.root_cols, 0] = mu - problem.shift[problem.root_cols]
    column = problem.D - problem.crossed_columns
    for grouping, effects in zip(problem.crossed, crossed, strict=True):
        width = grouping.size * grouping.K
        above[:, column : column + width, 0] = effects.swapaxes(1, 2).reshape(S, width)
        column += width
    # The next coarser level has all coefficients that vary; those of other columns are the root's.
    for at in range(1, min(2, len(problem.levels))):
        cols = coefficient_columns(problem, at)
        above = np.repeat(above, problem.levels[at].size, axis=2)
        above[:, cols] = levels[at - 1] - problem.shift[cols, None]
    parent = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    K = problem.levels[0].K
    lam = np.ascontiguousarray(factors(problem, values)[:, 0, :K, :K])
    # A parent's draws are adjacent, in the order of the loops.
    above = np.ascontiguousarray(above.transpose(2, 1, 0))
    return Leaves(problem, above, lam, np.ascontiguousarray(values.sigma), parent)


def cumulants(powers: Array) -> tuple[Array, Array, Array]:
    """Map means of powers about an anchor (K, ORDER, n) to mean − anchor, sd (K, n), κ₃/sd³ … κ₆/sd⁶ (4, K, n)."""
    m1, m2, m3, m4, m5, m6 = powers.swapaxes(0, 1)
    c2 = m2 - m1**2
    c3 = m3 - 3 * m1 * m2 + 2 * m1**3
    c4 = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
    c5 = m5 - 5 * m1 * m4 + 10 * m1**2 * m3 - 10 * m1**3 * m2 + 4 * m1**5
    c6 = m6 - 6 * m1 * m5 + 15 * m1**2 * m4 - 20 * m1**3 * m3 + 15 * m1**4 * m2 - 5 * m1**6
    sd = np.sqrt(np.maximum(c2, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):  # constants have no shape
        k3, k4, k5, k6 = c3 / sd**3, c4 / sd**4, c5 / sd**5, c6 / sd**6
    return m1, sd, np.stack([k3, k4 - 3, k5 - 10 * k3, k6 - 15 * k4 - 10 * k3**2 + 30])


def cornish_fisher(standard: Array, levels: Sequence[float]) -> tuple[Array, Array]:
    """Return quantiles (…, Q) in sds from the mean, and the largest size of the expansion's last terms (…).

    standard : (4, …) κ₃/σ³ … κ₆/σ⁶. Cornish and Fisher 1938; Abramowitz and Stegun 26.2.49
    """
    from scipy.special import ndtri

    z = ndtri(np.asarray(levels, dtype=float))
    g1, g2, g3, g4 = (cumulant[..., None] for cumulant in standard)
    h1, h2, h3 = z, z**2 - 1, z**3 - 3 * z
    h4, h5 = z**4 - 6 * z**2 + 3, z**5 - 10 * z**3 + 15 * z
    third = g3 * h4 / 120 - g1 * g2 * (h4 + h2) / 24 + g1**3 * (12 * h4 + 19 * h2) / 324
    parts = (
        g4 * h5 / 720, -(g2**2) * (3 * h5 + 6 * h3 + 2 * h1) / 384, -g1 * g3 * (2 * h5 + 3 * h3) / 180,
        g1**2 * g2 * (14 * h5 + 37 * h3 + 8 * h1) / 288, -(g1**4) * (252 * h5 + 832 * h3 + 227 * h1) / 7776,
    )  # fmt: skip
    score = z + g1 * h2 / 6 + g2 * h3 / 24 - g1**2 * (2 * h3 + h1) / 36 + third + sum(parts)
    last = sum(np.abs(part) for part in parts)
    return score, np.asarray(last.max(axis=-1))

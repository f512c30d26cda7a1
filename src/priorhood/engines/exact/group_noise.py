"""A residual sd for every group: collapse, explore and expand where σ_j differs (math.md, section 6).

The population's coefficients no longer integrate out with σ, so θ has them:

    θ = (γ, log τ, atanh z, m, log s),     β₀ = shift + scale·γ

with log σ_j ~ Normal(m, s), or without m and s where the σ_j are independent of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.engines.exact.effects import STREAM
from priorhood.engines.exact.kernels import noise_integral
from priorhood.engines.exact.marginal import collapse, in_chunks
from priorhood.engines.exact.mode import beside, bounds_of, centre_of, check_lines, reach_of, scatter_over
from priorhood.engines.exact.theta import (
    Axis,
    Theta,
    axes,
    constrain,
    dimension,
    factors,
    from_prior,
    log_prior,
    of_scale,
)
from priorhood.model.priors import (
    Exponential,
    Fixed,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    LogNormal,
    Uniform,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Index
    from priorhood.engines.exact.problem import Problem
    from priorhood.model.priors import ScalePrior

TAKEN = (Exponential, HalfNormal, HalfStudentT, HalfCauchy, Gamma, LogNormal)
_LOG_2PI = math.log(2.0 * math.pi)
LEAST_SPREAD, MOST_SPREAD = -30.0, math.log(30.0)  # log s: from sds that are one to sds e^±30 apart
LEAST_SHAPE = 0.1  # of a Gamma prior: under it, σ may be smaller than a double can hold
COST = 60  # of a group, in the units of in_chunks: a column of marginal.py's kernel costs 1


@dataclass(frozen=True)
class UnpooledNoise:
    """σ_j ~ prior, one by one."""

    prior: ScalePrior


@dataclass(frozen=True)
class PooledNoise:
    """log σ_j ~ Normal(log median, spread²), median and spread to be learned, or known where they are Fixed."""

    median: ScalePrior
    spread: ScalePrior

    @property
    def free(self) -> tuple[ScalePrior, ...]:
        """Those to be learned."""
        return tuple(p for p in (self.median, self.spread) if not isinstance(p, Fixed))


@dataclass(frozen=True)
class GroupNoiseProblem:
    """One level of groups, each with a σ of its own.

    base : the sums and priors as without, but for σ, which is Fixed there
    rows : the groups' rows, rotated and few
    noise : the prior of the σ_j
    """

    base: Problem
    rows: PseudoRows
    noise: UnpooledNoise | PooledNoise

    @property
    def hyper(self) -> tuple[ScalePrior, ...]:
        """Priors of what is to be learned of the σ_j together."""
        return self.noise.free if isinstance(self.noise, PooledNoise) else ()

    @property
    def dim(self) -> int:
        """Length of θ."""
        return len(self.base.root_cols) + dimension(self.base) + len(self.hyper)


@dataclass(frozen=True)
class NoisyTheta:
    """A batch of θ in the model's own terms.

    beta : (S, D) coefficients of the average group less the shift, 0 where there is none
    scales : τ and Ω, with a σ of 1; median, spread : (S,) of the σ_j, NaN where they are independent
    """

    beta: Array
    scales: Theta
    median: Array
    spread: Array


def refuses(problem: GroupNoiseProblem) -> str | None:
    """Why the engine does not take it, and what to do; None where it does."""
    prior = problem.noise.prior if isinstance(problem.noise, UnpooledNoise) else None
    if prior is not None and not isinstance(prior, TAKEN):
        names = ", ".join(family.__name__ for family in TAKEN)
        return f"the exact engine integrates over every group's sigma under {names}, not under {prior}"
    if isinstance(prior, Gamma) and prior.shape < LEAST_SHAPE:
        return f"the prior sigma ~ {prior} lets sds be smaller than numbers can be: give it a shape of 0.1 or more"
    return None


class GroupNoiseDensity:
    """log p(θ | y) up to a constant, for batches; see mode.Density, whose place it takes.

    γ has the scale that a population coefficient is roughly known to: that of J groups' least squares.
    """

    def __init__(self, problem: GroupNoiseProblem, threads: int) -> None:
        self.problem = problem
        self.threads = threads
        self.evaluations = 0
        self.dim = problem.dim
        base = problem.base
        self.cost = base.J * COST
        self.log_scatter = 0.5 * math.log(max(base.scatter, 1e-200))
        square = base.A[base.root_cols, base.root_cols].sum(axis=1) / base.N
        known = base.J * square * math.exp(-2.0 * self.log_scatter)
        self.scale = 1.0 / np.sqrt(base.root_sd**-2.0 + known)
        F, hyper = len(base.root_cols), problem.hyper
        low, high, centre = [-np.inf] * F, [np.inf] * F, [0.0] * F
        own = axes(base)
        for level in base.levels:
            lows, highs = bounds_of(level, own, self.log_scatter)
            low += lows
            high += highs
            centre += centre_of(level, self.log_scatter)
        if isinstance(problem.noise, PooledNoise):
            median, spread = problem.noise.median, problem.noise.spread
            if not isinstance(median, Fixed):
                own.append(of_scale("sigma_median", median))
                reach = reach_of(median, own[-1], self.log_scatter)
                low.append(reach[0])
                high.append(reach[1])
                centre.append(float(beside(median, np.array(self.log_scatter))))
            if not isinstance(spread, Fixed):
                own.append(of_scale("sigma_spread", spread))
                bounded = isinstance(spread, Uniform)
                low.append(-np.inf if bounded else LEAST_SPREAD)
                high.append(np.inf if bounded else MOST_SPREAD)
                centre.append(float(beside(spread, np.array(-1.0))))
        self.axes: list[Axis | None] = [*[None] * F, *own]
        self.low, self.high = np.array(low), np.array(high)
        self.centre = np.array(centre)
        self.hyper = len(hyper)

    def __call__(self, theta: Array) -> Array:
        """(S, dim) → (S,)."""
        self.evaluations += len(theta)
        bounded = np.clip(theta, self.low, self.high)
        inside = (bounded == theta).all(axis=1)
        values = self.constrain(bounded)
        total = log_marginal(self.problem, values, self.threads) + self._log_prior(bounded, values)
        return np.where(inside & np.isfinite(total), total, -np.inf)

    def constrain(self, theta: Array) -> NoisyTheta:
        """θ (S, dim) → coefficients, spreads, correlations, and what the σ_j have in common."""
        base, noise = self.problem.base, self.problem.noise
        F = len(base.root_cols)
        beta = np.zeros((len(theta), base.D))
        beta[:, base.root_cols] = theta[:, :F] * self.scale
        both = [np.full(len(theta), np.nan)] * 2
        if isinstance(noise, PooledNoise):
            at = theta.shape[1] - self.hyper
            for i, prior in enumerate((noise.median, noise.spread)):
                if isinstance(prior, Fixed):
                    both[i] = np.full(len(theta), prior.value)
                else:
                    both[i] = prior.constrain(theta[:, at])
                    at += 1
        return NoisyTheta(beta, constrain(base, theta[:, F : theta.shape[1] - self.hyper]), *both)

    def _log_prior(self, theta: Array, values: NoisyTheta) -> Array:
        """Log p(θ), normalized: log m and log s bring + m and + log s, γ its scale. (S,)"""
        base, noise = self.problem.base, self.problem.noise
        F, end = len(base.root_cols), theta.shape[1] - self.hyper
        white = values.beta[:, base.root_cols] / base.root_sd - base.root_offset
        total = log_prior(base, theta[:, F:end], values.scales) - 0.5 * (white**2).sum(axis=1)
        total += np.log(self.scale / base.root_sd).sum() - 0.5 * F * _LOG_2PI
        if isinstance(noise, PooledNoise):
            at = end
            for prior, value in ((noise.median, values.median), (noise.spread, values.spread)):
                if not isinstance(prior, Fixed):
                    total = total + prior.logpdf(value) + prior.log_jacobian(theta[:, at])
                    at += 1
        return np.asarray(total)

    def crowd(self, rng: np.random.Generator) -> Array:
        """Around the pooled fit, its residual sd, and sds within e^±1 of each other; and draws from the prior."""
        problem, base = self.problem, self.problem.base
        F = len(base.root_cols)
        crowd = np.zeros((96, self.dim))
        crowd[:, :F] = rng.uniform(-1.0, 1.0, (96, F))
        at = F
        for level in base.levels:
            at = scatter_over(crowd, at, level, self.log_scatter, rng)
        drawn = [(base.root_offset * base.root_sd + base.root_sd * rng.standard_normal((32, F))) / self.scale]
        drawn.append(from_prior(base, 32, rng))
        for i, prior in enumerate(problem.hyper):
            median = isinstance(problem.noise, PooledNoise) and i == 0 and prior is problem.noise.median
            low, high = (self.log_scatter - 3.0, self.log_scatter + 0.2) if median else (-3.0, 0.0)
            crowd[:, at + i] = beside(prior, rng.uniform(low, high, 96))
            drawn.append(np.asarray(prior.coordinate(np.log(prior.sample(rng, 32))))[:, None])
        return np.concatenate([crowd, np.concatenate(drawn, axis=1)])

    def at_border(self, theta: Array) -> Array:
        """Nowhere: a group's own rows are rotated, and nothing is left to a spread above."""
        return np.zeros(len(theta), dtype=bool)

    def refuse(self) -> None:
        """Stop where the rows lie exactly on the model's lines, all groups' together; see mode.check_lines."""
        check_lines(collapse(self.problem.base))


def kernel_priors(noise: UnpooledNoise | PooledNoise, values: NoisyTheta) -> tuple[Array, Array]:
    """The prior of log σ_j as the kernels take it (S, 7), and the log of its constant (S,); see log_integral."""
    S = len(values.beta)
    out, constant = np.zeros((S, 7)), np.zeros(S)
    if isinstance(noise, PooledNoise):
        out[:, 0], out[:, 1] = np.log(values.median), values.spread**-2.0
        return out, -np.log(values.spread) - 0.5 * _LOG_2PI
    prior = noise.prior
    if isinstance(prior, LogNormal):
        out[:, 0], out[:, 1] = prior.mean, prior.sd**-2.0
        return out, constant - math.log(prior.sd) - 0.5 * _LOG_2PI
    out[:, 2] = 1.0
    if isinstance(prior, Exponential):
        out[:, 3] = 1.0 / prior.scale
    elif isinstance(prior, Gamma):
        out[:, 2], out[:, 3] = prior.shape, 1.0 / prior.scale
    elif isinstance(prior, HalfNormal):
        out[:, 4] = prior.sd**-2.0
    elif isinstance(prior, HalfCauchy):
        out[:, 5], out[:, 6] = 1.0, prior.scale**-2.0
    elif isinstance(prior, HalfStudentT):
        out[:, 5], out[:, 6] = (prior.nu + 1.0) / 2.0, prior.scale**-2.0 / prior.nu
    # What the kernels leave out of log p(σ) + log σ, read off at σ = 1.
    one = np.ones(1)
    shape = -out[0, 3] - 0.5 * out[0, 4] - out[0, 5] * math.log1p(out[0, 6])
    return out, constant + prior.logpdf(one)[0] - shape


def log_marginal(problem: GroupNoiseProblem, values: NoisyTheta, threads: int = 1) -> Array:
    """Log density of all outcomes given θ, β_j and σ_j of every group integrated out (math.md, eq. 11).

    log p(y | θ) = Σ_j log ∫ p(σ | φ) Normal(y_j | X_j β₀, X_j Z Σ Zᵀ X_jᵀ + σ² W_j⁻¹) dσ

    Returns
    -------
    (S,) log densities on the standardized scale

    Notes
    -----
    O(S J nodes), with 15 to 40 nodes of σ where a group has many rows; relative error of the integrals about
    1e-8. Checked against quadrature of dense Normals in tests/oracle/test_noise.py.
    """
    base, rows = problem.base, problem.rows
    priors, constant = kernel_priors(problem.noise, values)
    lam, cols = factors(base, values.scales)[:, 0], base.levels[0].cols
    out = np.empty(len(lam))

    def chunk(lo: int, hi: int) -> None:
        noise_integral._log_integrals(
            rows.R, rows.z, rows.rank, rows.rest, rows.rss, cols, lam[lo:hi], values.beta[lo:hi], priors[lo:hi],
            out[lo:hi],
        )  # fmt: skip

    in_chunks(chunk, len(out), cost=base.J * COST, threads=threads)
    # The kernels' σ^−ν is e^−νx in x = log σ − m.
    free = priors[:, 0] * rows.rest.sum()
    return np.asarray(out + base.J * constant - free - 0.5 * base.N * _LOG_2PI + 0.5 * base.log_weight)


def log_by_group(problem: GroupNoiseProblem, values: NoisyTheta, threads: int = 1) -> Array:
    """Every group's part of log_marginal, (J, S), but for its ½ Σ log w: given θ, groups are independent."""
    base, rows = problem.base, problem.rows
    priors, constant = kernel_priors(problem.noise, values)
    lam, cols = factors(base, values.scales)[:, 0], base.levels[0].cols
    out = np.empty((base.J, len(lam)))

    def chunk(lo: int, hi: int) -> None:
        for j in range(lo, hi):
            one = slice(j, j + 1)
            noise_integral._log_integrals(
                rows.R[one], rows.z[one], rows.rank[one], rows.rest[one], rows.rss[one], cols, lam, values.beta,
                priors, out[j],
            )  # fmt: skip

    in_chunks(chunk, base.J, cost=len(lam) * COST, threads=threads)
    n = (rows.rank + rows.rest)[:, None]
    return np.asarray(out + constant - priors[:, 0] * rows.rest[:, None] - 0.5 * n * _LOG_2PI)


def draw_groups(
    problem: GroupNoiseProblem,
    values: NoisyTheta,
    rng: np.random.Generator,
    threads: int = 1,
    done: Callable[[int], None] | None = None,
) -> tuple[Array, Array]:
    """One exact draw of σ_j and β_j of every group for each of a batch of θ (math.md, eqs. 10 and 11).

    Returns
    -------
    sigma (S, J); beta (S, K, J)

    Notes
    -----
    Random streams belong to runs of STREAM draws, so the numbers do not depend on threads.
    """
    base, rows = problem.base, problem.rows
    level = base.levels[0]
    S, J, K = len(values.beta), base.J, level.K
    priors, _ = kernel_priors(problem.noise, values)
    lam = factors(base, values.scales)[:, 0]
    sigma = np.empty((S, J))
    own = values.beta[:, level.cols] + base.shift[level.cols]
    effects = np.repeat(own[:, :, None], J, axis=2)
    seeds = np.random.SeedSequence(rng.integers(2**63, size=4).tolist()).spawn(-(-S // STREAM))
    streams = [np.random.Generator(np.random.SFC64(seed)) for seed in seeds]

    def run(lo: int, hi: int) -> None:
        for stream in range(lo, hi):
            part = slice(stream * STREAM, min(S, (stream + 1) * STREAM))
            size = part.stop - part.start
            noise_integral._draw_noise(
                rows.R, rows.z, rows.rank, rows.rest, rows.rss, level.cols, lam[part], values.beta[part],
                priors[part], streams[stream].random((size, 2, J)),
                streams[stream].standard_normal((size, K + rows.R.shape[1], J)), sigma[part], effects[part],
            )  # fmt: skip
            if done:
                done(size)

    in_chunks(run, len(streams), cost=2 * STREAM * J * COST, threads=threads)
    return sigma, effects


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

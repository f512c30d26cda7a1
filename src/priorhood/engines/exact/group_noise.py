"""A residual sd for every group: collapse, explore and expand if σ_j differs (math.md, section 6).

The population's coefficients cannot be integrated out together with σ, so θ contains them:

    θ = (γ, log τ, atanh z, m, log s),     β₀ = shift + scale·γ

with log σ_j ~ Normal(m, s), or without m and s if the σ_j are independent of each other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.engines.exact.kernels import noise_integral
from priorhood.engines.exact.marginal import collapse, in_chunks, in_streams
from priorhood.engines.exact.mode import allowed_coordinate, box_of, check_lines, coordinate_bounds, scatter_points
from priorhood.engines.exact.theta import (
    Axis,
    Theta,
    axes,
    constrain,
    factors,
    from_prior,
    log_prior,
    scale_axis,
    scale_from_prior,
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
    from priorhood.engines.exact.problem import CentredSums, Problem
    from priorhood.model.priors import ScalePrior

SUPPORTED = (Exponential, HalfNormal, HalfStudentT, HalfCauchy, Gamma, LogNormal)
_LOG_2PI = math.log(2.0 * math.pi)
MIN_SPREAD, MAX_SPREAD = -30.0, math.log(30.0)  # log s: from equal sds to sds that differ by e^±30
MIN_SHAPE = 0.1  # smallest shape of a Gamma prior; with a smaller one σ may underflow
COST = 60  # cost of a group, in the units of in_chunks: a column of marginal.py's kernel costs 1


@dataclass(frozen=True)
class UnpooledNoise:
    """σ_j ~ prior, independently."""

    prior: ScalePrior


@dataclass(frozen=True)
class PooledNoise:
    """log σ_j ~ Normal(log median, spread²); median and spread are learned, or known if Fixed."""

    median: ScalePrior
    spread: ScalePrior

    @property
    def free(self) -> tuple[ScalePrior, ...]:
        """Priors of median and spread, except Fixed ones."""
        return tuple(p for p in (self.median, self.spread) if not isinstance(p, Fixed))


@dataclass(frozen=True)
class GroupNoiseProblem:
    """One level of groups, each with its own σ.

    Attributes
    ----------
    base : Problem
        the problem with one σ, which is Fixed
    rows : PseudoRows
        every group's rows, rotated into few
    noise : UnpooledNoise or PooledNoise
        prior of the σ_j
    """

    base: Problem
    rows: PseudoRows
    noise: UnpooledNoise | PooledNoise

    @property
    def hyper(self) -> tuple[ScalePrior, ...]:
        """Priors of the σ_j's median and spread, if these are learned."""
        return self.noise.free if isinstance(self.noise, PooledNoise) else ()

    @property
    def dim(self) -> int:
        """Length of θ."""
        return len(self.base.root_cols) + self.base.dim + len(self.hyper)


@dataclass(frozen=True)
class NoisyTheta:
    """A batch of θ as the model's parameters.

    Attributes
    ----------
    beta : array (S, D)
        population coefficients minus the shift; 0 for columns without one
    scales : Theta
        τ and Ω, with σ = 1
    median, spread : array (S,)
        median and spread of the σ_j, NaN if they are independent
    """

    beta: Array
    scales: Theta
    median: Array
    spread: Array


def unsupported_reason(problem: GroupNoiseProblem) -> str | None:
    """Return why the engine cannot fit the problem, with advice; None if it can."""
    prior = problem.noise.prior if isinstance(problem.noise, UnpooledNoise) else None
    if prior is not None and not isinstance(prior, SUPPORTED):
        names = ", ".join(family.__name__ for family in SUPPORTED)
        return f"with a sigma for every group, the exact engine supports the priors {names} for sigma, not {prior}"
    if isinstance(prior, Gamma) and prior.shape < MIN_SHAPE:
        return f"sds may underflow under the prior sigma ~ {prior}: use a shape of 0.1 or more"
    return None


class GroupNoiseDensity:
    """log p(θ | y) up to a constant, for batches; the counterpart of mode.Density.

    The scale of γ is the rough posterior sd of a population coefficient, from least squares of J groups.
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
        coordinates = axes(base)
        low, high, centre = box_of(base.levels, coordinates, self.log_scatter)
        if isinstance(problem.noise, PooledNoise):
            median, spread = problem.noise.median, problem.noise.spread
            if not isinstance(median, Fixed):
                coordinates.append(scale_axis("sigma_median", median))
                bounds = coordinate_bounds(median, coordinates[-1], self.log_scatter)
                low.append(bounds[0])
                high.append(bounds[1])
                centre.append(float(allowed_coordinate(median, np.array(self.log_scatter))))
            if not isinstance(spread, Fixed):
                coordinates.append(scale_axis("sigma_spread", spread))
                bounded = isinstance(spread, Uniform)
                low.append(-np.inf if bounded else MIN_SPREAD)
                high.append(np.inf if bounded else MAX_SPREAD)
                centre.append(float(allowed_coordinate(spread, np.array(-1.0))))
        F = len(base.root_cols)
        self.axes: list[Axis | None] = [*[None] * F, *coordinates]
        self.low, self.high = np.array([-np.inf] * F + low), np.array([np.inf] * F + high)
        self.centre = np.array([0.0] * F + centre)
        self.hyper = len(problem.hyper)

    def __call__(self, theta: Array) -> Array:
        """Return the log density of a batch: (S, dim) → (S,).

        Its prior is normalized: log m and log s add m and log s, γ the log of its scale.
        """
        self.evaluations += len(theta)
        bounded = np.clip(theta, self.low, self.high)
        inside = (bounded == theta).all(axis=1)
        values, base, noise = self.constrain(bounded), self.problem.base, self.problem.noise
        F, at = len(base.root_cols), theta.shape[1] - self.hyper
        white = values.beta[:, base.root_cols] / base.root_sd - base.root_offset
        prior = log_prior(base, bounded[:, F:at], values.scales) - 0.5 * (white**2).sum(axis=1)
        prior += np.log(self.scale / base.root_sd).sum() - 0.5 * F * _LOG_2PI
        if isinstance(noise, PooledNoise):
            for family, value in ((noise.median, values.median), (noise.spread, values.spread)):
                if not isinstance(family, Fixed):
                    prior = prior + family.logpdf(value) + family.log_jacobian(bounded[:, at])
                    at += 1
        total = log_marginal(self.problem, values, self.threads) + prior
        return np.where(inside & np.isfinite(total), total, -np.inf)

    def constrain(self, theta: Array) -> NoisyTheta:
        """Map θ (S, dim) to coefficients, spreads, correlations, and the σ_j's median and spread."""
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

    def crowd(self, rng: np.random.Generator) -> Array:
        """Draw θ around the pooled fit, its residual sd, and sds within e^±1 of each other; and from the prior."""
        problem, base = self.problem, self.problem.base
        F = len(base.root_cols)
        crowd = np.zeros((96, self.dim))
        crowd[:, :F] = rng.uniform(-1.0, 1.0, (96, F))
        at = scatter_points(crowd, F, base.levels, self.log_scatter, rng)
        drawn = [(base.root_offset * base.root_sd + base.root_sd * rng.standard_normal((32, F))) / self.scale]
        drawn.append(from_prior(base, 32, rng))
        for i, prior in enumerate(problem.hyper):
            median = isinstance(problem.noise, PooledNoise) and i == 0 and prior is problem.noise.median
            low, high = (self.log_scatter - 3.0, self.log_scatter + 0.2) if median else (-3.0, 0.0)
            crowd[:, at + i] = allowed_coordinate(prior, rng.uniform(low, high, 96))
            drawn.append(scale_from_prior(prior, 32, rng))
        return np.concatenate([crowd, np.concatenate(drawn, axis=1)])

    def at_border(self, theta: Array) -> Array:
        """Return False for all θ: a group's rows are rotated, so no message to a spread above loses digits."""
        return np.zeros(len(theta), dtype=bool)

    def check_explorable(self) -> None:
        """Raise SamplingError if the rows of all groups lie exactly on the model's lines; see mode.check_lines."""
        check_lines(collapse(self.problem.base))


def kernel_priors(noise: UnpooledNoise | PooledNoise, values: NoisyTheta) -> tuple[Array, Array]:
    """Return the prior of log σ_j as a LogPrior's fields (S, 7), and the log of its constant (S,)."""
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
    # The part of log p(σ) + log σ that the kernels leave out, evaluated at σ = 1.
    one = np.ones(1)
    shape = -out[0, 3] - 0.5 * out[0, 4] - out[0, 5] * math.log1p(out[0, 6])
    return out, constant + prior.logpdf(one)[0] - shape


def log_marginal(problem: GroupNoiseProblem, values: NoisyTheta, threads: int = 1) -> Array:
    """Return the log density of all outcomes given θ, every β_j and σ_j integrated out (math.md, eq. 11).

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
    """Return every group's part of log_marginal (J, S), without ½ Σ log w; given θ, groups are independent."""
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
    """Draw σ_j and β_j of every group, once for every θ of a batch (math.md, eqs. 10 and 11).

    Returns
    -------
    sigma (S, J); beta (S, K, J)
    """
    base, rows = problem.base, problem.rows
    level = base.levels[0]
    S, J, K = len(values.beta), base.J, level.K
    priors, _ = kernel_priors(problem.noise, values)
    lam = factors(base, values.scales)[:, 0]
    sigma = np.empty((S, J))
    beta = values.beta[:, level.cols] + base.shift[level.cols]
    effects = np.repeat(beta[:, :, None], J, axis=2)

    def run(stream: np.random.Generator, part: slice) -> None:
        size = part.stop - part.start
        noise_integral._draw_noise(
            rows.R, rows.z, rows.rank, rows.rest, rows.rss, level.cols, lam[part], values.beta[part], priors[part],
            stream.random((size, 2, J)), stream.standard_normal((size, K + rows.R.shape[1], J)), sigma[part],
            effects[part],
        )  # fmt: skip

    in_streams(run, S, rng, cost=2 * J * COST, threads=threads, done=done)
    return sigma, effects


SAME = 1e-12  # a predictor that varies within a group by at most this share of its square is constant
ROUNDING = 1e-13  # an outcome that is off its line by at most this share of its scatter is on the line


@dataclass(frozen=True)
class PseudoRows:
    """Every group's rows, rotated into few.

    Attributes
    ----------
    R, z : array (J, r, D), (J, r)
        predictors and outcomes, padded with 0 to the largest rank r
    rank : array (J,)
        number of pseudo-rows in use
    rest : array (J,)
        ν = n − rank, number of rows without predictors
    rss : array (J,)
        sum of squares of these, 0 if there are none
    """

    R: Array
    z: Array
    rank: Index
    rest: Array
    rss: Array

    @property
    def exact(self) -> Index:
        """Indices of groups with more rows than a line needs, all on it: nothing keeps their σ away from 0."""
        return np.flatnonzero((self.rest > 0) & (self.rss <= 0))


def compress(sums: CentredSums, shift: Array) -> PseudoRows:
    """Return pseudo-rows of the outcome minus X·shift (D,), from the groups' centred moments.

    The first is √W times the mean row; the others are a Cholesky factor of the scatter, pivoted by the largest
    remaining share of a column, so that it ends at the rank.
    """
    n, mean, scatter, mass = sums.n, sums.mean, sums.scatter, sums.mass
    J, D = len(n), len(shift)
    contrast = np.append(-shift, 1.0)
    R, z = np.zeros((J, D + 1, D)), np.zeros((J, D + 1))
    R[:, 0] = np.sqrt(mass)[:, None] * mean[:, :D]
    z[:, 0] = np.sqrt(mass) * (mean @ contrast)
    outcome = np.einsum("jab,a,b->j", scatter, contrast, contrast)
    slopes = scatter[:, :D] @ contrast
    level = outcome.sum() / n.sum()
    rank, rss = np.ones(J, np.int64), np.zeros(J)
    for j in range(J):
        smallest = SAME * (np.diag(scatter[j])[:D] + mass[j] * mean[j, :D] ** 2)
        rows, right = _pivoted_cholesky(scatter[j, :D, :D], slopes[j], smallest, int(n[j]) - 1)
        rank[j] += len(right)
        R[j, 1 : rank[j]], z[j, 1 : rank[j]] = rows, right
        remaining = outcome[j] - right @ right
        if n[j] > rank[j] and remaining > ROUNDING * (outcome[j] + 0.01 * n[j] * level):
            rss[j] = remaining
    widest = int(rank.max())
    return PseudoRows(np.ascontiguousarray(R[:, :widest]), np.ascontiguousarray(z[:, :widest]), rank, n - rank, rss)


def _pivoted_cholesky(S: Array, s: Array, smallest: Array, max_rank: int) -> tuple[Array, Array]:
    """Return C (rank, D) with S = CᵀC, and C⁻ᵀs; pivots up to `smallest` (D,) count as 0."""
    remaining = S.copy()
    scale = np.maximum(np.diag(S), 1e-300)
    rest = s.copy()
    rows = [np.zeros((0, len(S)))]
    right: list[float] = []
    while len(right) < max_rank:
        diagonal = np.diag(remaining)
        share = np.where(diagonal > np.maximum(smallest, 1e-10 * scale), diagonal / scale, 0.0)
        pivot = int(np.argmax(share)) if len(share) else 0
        if not len(share) or share[pivot] <= 0:
            break
        row = remaining[pivot] / np.sqrt(diagonal[pivot])
        right.append(rest[pivot] / np.sqrt(diagonal[pivot]))
        rest = rest - row * right[-1]
        remaining = remaining - np.outer(row, row)
        rows.append(row[None])
    return np.concatenate(rows), np.array(right)

"""The posterior density of θ, where it ends, and where to look for its modes (math.md, section 4)."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from priorhood.engines.exact.marginal import Collapsed, log_marginal
from priorhood.engines.exact.theta import (
    REACH_ABOVE,
    REACH_BELOW,
    Theta,
    axes,
    constrain,
    dimension,
    from_prior,
    log_prior,
)
from priorhood.errors import SamplingError
from priorhood.model.priors import Fixed, Uniform

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.engines.exact.problem import Problem, Varying
    from priorhood.engines.exact.theta import Axis
    from priorhood.model.priors import ScalePrior


# Square of two spreads' ratio to σ, the lesser one's, times the rows: there, (9) is off by some 1e-3 (see Density).
LOST = 1e15
BORDER = math.exp(-1.0)  # a posterior that comes so near to it may go on beyond
MOST_SETS = 4  # spreads of which every set is tried at 0; of more, none, one by one, and all


def one_digit(log_scale: float) -> str:
    """A scale near one whose log is given, as a prior of it is written."""
    return f"{float(f'{math.exp(log_scale):.0e}'):g}"


def _log_noise(problem: Problem) -> float:
    """Log √(c/N): what σ would be if the pooled fit left nothing but noise."""
    return 0.5 * math.log(max(problem.c / problem.N, 1e-200))


def least_log_sigma(problem: Problem) -> float:
    """The least log σ at which (9) is more than rounding error; see Density."""
    reach = float(np.clip(0.5 * math.log(1e13 / problem.N), 6.0, 14.0))
    return _log_noise(problem) - reach


def reach_of(prior: ScalePrior, axis: Axis, scale: float) -> tuple[float, float]:
    """The bounds of a scale's coordinate, around the log of the data's scale; none where the prior has its own.

    They leave out what no posterior has mass in, unless the prior's tail is thicker than any number can be: see
    explore, which measures what is left out.
    """
    if isinstance(prior, Uniform):
        return -math.inf, math.inf
    low, high = min(scale - 50.0, axis.peak - 25.0), max(scale + 20.0, axis.peak + 20.0)
    low -= _further(axis.slope(max(low, -REACH_BELOW), 1.0)) - 50.0
    high += _further(-axis.slope(min(high, REACH_ABOVE) - 1.0, 1.0)) - 50.0
    return max(low, -REACH_BELOW), min(high, REACH_ABOVE)


def _further(slope: float) -> float:
    """How far a tail that falls off at this rate is followed: to e^−25 of it, 50 at the least."""
    return max(50.0, 25.0 / max(slope, 0.01))


def beside(prior: ScalePrior, log_scale: Array) -> Array:
    """The coordinates of scales as given; those that the prior does not allow, near its bounds."""
    return np.asarray(np.nan_to_num(prior.coordinate(log_scale), neginf=-4.0, posinf=4.0))


def bounds_of(level: Varying, axes: list[Axis], scale: float) -> tuple[list[float], list[float]]:
    """The least and largest coordinates of a grouping's spreads and correlations."""
    free = level.free
    reach = [reach_of(level.tau[k], axis, scale) for k, axis in zip(free, axes, strict=False)]
    ends = [max(12.0, 25.0 / max(-axis.slope(12.0, 1.0), 0.01)) for axis in axes[len(free) :][: level.pairs]]
    return [low for low, _ in reach] + [-end for end in ends], [high for _, high in reach] + ends


def scatter_over(crowd: Array, at: int, level: Varying, log_scatter: float, rng: np.random.Generator) -> int:
    """Fill a crowd's columns from `at` with spreads around the rows' scatter and correlations around 0."""
    free, pairs, size = level.free, level.pairs, len(crowd)
    near = log_scatter + rng.uniform(-4.0, 1.0, (size, len(free)))
    for column, k in enumerate(free):
        crowd[:, at + column] = beside(level.tau[k], near[:, column])
    at += len(free)
    crowd[:, at : at + pairs] = rng.uniform(-0.5, 0.5, (size, pairs))
    return at + pairs


def centre_of(level: Varying, log_scatter: float) -> list[float]:
    """The coordinates of spreads of the rows' scatter, and correlations of 0."""
    spreads = [float(beside(level.tau[k], np.array(log_scatter))) for k in level.free]
    return spreads + [0.0] * level.pairs


class Target(Protocol):
    """A posterior density to explore: log p(θ | y) up to a constant, −∞ outside low … high.

    dim : length of θ; cost : of one θ, roughly in units of 2.5 ns; evaluations : θ computed so far
    axes : what every coordinate is, and its prior, None where that is no scale and no correlation
    centre : (dim,) where the data's scale would have every coordinate; log_scatter : the log of that scale
    """

    low: Array
    high: Array
    dim: int
    cost: int
    evaluations: int
    axes: list[Axis | None]
    centre: Array
    log_scatter: float

    def __call__(self, theta: Array) -> Array:
        """(S, dim) → (S,)."""

    def crowd(self, rng: np.random.Generator) -> Array:
        """Points around the data's scale and from the prior, to look for modes from: (n, dim)."""

    def at_border(self, theta: Array) -> Array:
        """Whether θ is where spreads are nearly too far above σ for (9): (S, dim) → (S,)."""

    def refuse(self) -> None:
        """Stop where there is nothing to explore."""


class Density:
    """log p(θ | y) up to a constant, for batches; counts its evaluations; −∞ outside its bounds.

    In (9) c/σ² and Σ uᵀM⁻¹u nearly cancel once σ is far below the rows' scatter s: the rounding is about
    1e-16 N (s/σ)². σ is bounded where that reaches 1e-3, at s/σ = 300,000 for a hundred rows and 3,000 for a
    million. Few rows have next to no posterior mass beyond, which is measured (see explore), many have none, unless
    they lie exactly on their lines, which is refused. A known σ below that bound is refused too.

    What a place's coefficients leave to the grouping above is P̃ − T M⁻¹Tᵀ, about 1/λ² where the ratio λ of its
    spread to σ is great. That is off by 1e-17 N, which the next spread's λ² multiplies: where the lesser of two has
    N λ² over LOST, the density is −∞, and a posterior that comes near is refused. Population coefficients count as
    one such spread, since they are eliminated last and all at once.
    """

    def __init__(self, collapsed: Collapsed, threads: int) -> None:
        self.collapsed = collapsed
        self.threads = threads
        self.evaluations = 0
        problem = collapsed.problem
        self.log_noise = _log_noise(problem)
        self.log_scatter = 0.5 * math.log(max(problem.scatter, 1e-200))
        if isinstance(problem.sigma, Fixed):
            # Rows may lie on their lines by chance: what the errors alone would scatter is the least.
            errors = math.log(problem.sigma.value) + 0.5 * math.log(problem.N / problem.weight)
            self.log_scatter = max(self.log_scatter, errors)
        own = axes(problem)
        self.axes: list[Axis | None] = [*own]
        low: list[float] = []
        high: list[float] = []
        centre: list[float] = []
        for level in problem.varying:
            lows, highs = bounds_of(level, own[len(low) :], self.log_scatter)
            low += lows
            high += highs
            centre += centre_of(level, self.log_scatter)
        if not problem.known_noise:
            low.append(float(problem.sigma.coordinate(least_log_sigma(problem))))
            high.append(reach_of(problem.sigma, own[-1], self.log_noise)[1])
            centre.append(float(beside(problem.sigma, np.array(self.log_noise))))
        self.low, self.high = np.array(low), np.array(high)
        self.centre = np.array(centre)
        self.dim = dimension(problem)
        widest = max([1, *(level.K for level in problem.levels)])
        D = problem.D
        self.cost = int(problem.J * widest * D * (1 + D / 40) + D**3 / 20)

    def __call__(self, theta: Array) -> Array:
        """(S, dim) → (S,)."""
        self.evaluations += len(theta)
        problem = self.collapsed.problem
        bounded = np.clip(theta, self.low, self.high)
        values = constrain(problem, bounded)
        total = log_marginal(self.collapsed, values, self.threads) + log_prior(problem, bounded, values)
        inside = (bounded == theta).all(axis=1) & (self._rounding(values) < LOST)
        return np.where(inside & np.isfinite(total), total, -np.inf)

    def _rounding(self, values: Theta) -> Array:
        """N λ² of the lesser of the two greatest spreads, λ in units of σ, N in those of A's diagonal: (S,)."""
        problem = self.collapsed.problem
        mass = problem.A.diagonal().sum(axis=0)
        spreads = [tau**2 * mass[one.cols] for one, tau in zip(problem.varying, values.tau, strict=True)]
        if not spreads:
            return np.zeros(len(values.sigma))
        root = float(np.max(problem.root_sd**2 * mass[problem.root_cols], initial=0.0))
        both = np.column_stack([*spreads, np.full(len(values.sigma), root)])
        return np.asarray(np.partition(both, -2, axis=1)[:, -2] / values.sigma**2)

    def at_border(self, theta: Array) -> Array:
        """Whether the rounding of two great spreads is nearly LOST: (S, dim) → (S,)."""
        values = constrain(self.collapsed.problem, np.clip(theta, self.low, self.high))
        return np.asarray(self._rounding(values) > BORDER * LOST)

    def _check_known(self, problem: Problem) -> None:
        """Stop where known spreads are too far above the greatest σ that the rows allow.

        Raises
        ------
        SamplingError : with the prior of the greatest of them
        """
        known = [prior for one in problem.varying for prior in one.tau if isinstance(prior, Fixed)]
        if not known:
            return
        tau = [np.array([[p.value if isinstance(p, Fixed) else 0.0 for p in one.tau]]) for one in problem.varying]
        most = problem.sigma.value if isinstance(problem.sigma, Fixed) else math.exp(self.log_scatter + 2.0)
        if self._rounding(Theta(tuple(tau), (), np.array([most]))) < LOST:
            return
        largest = max(known, key=lambda prior: prior.value)
        raise SamplingError(
            f"tau ~ {largest} lets places differ by so many times the residual sd that the sums lose the sd to "
            f"rounding: what the rows scatter is {one_digit(self.log_scatter)} on the model's scale. Give tau a "
            f"value near that, or leave it to be learned, like tau ~ Exponential({one_digit(self.log_scatter)})"
        )

    def crowd(self, rng: np.random.Generator) -> Array:
        """Spreads and noise around the pooled residual sd, correlations around 0; and draws from the prior."""
        problem = self.collapsed.problem
        crowd = np.zeros((96, self.dim))
        at = 0
        for level in problem.varying:
            at = scatter_over(crowd, at, level, self.log_scatter, rng)
        if not problem.known_noise:
            crowd[:, -1] = beside(problem.sigma, self.log_noise + rng.uniform(-2.0, 0.2, 96))
        return np.concatenate([crowd, from_prior(problem, 32, rng)])

    def refuse(self) -> None:
        """Stop where the rows lie exactly on the model's lines.

        Raises
        ------
        SamplingError : they do; or the prior of σ has its mass where the sums are rounding, whatever they say;
            or known spreads are so great that they are
        """
        problem = self.collapsed.problem
        self._check_known(problem)
        if problem.known_noise:
            return
        check_lines(self.collapsed)
        low, axis = float(self.low[-1]), self.axes[-1]
        if axis is None or not math.isfinite(low) or isinstance(problem.sigma, Uniform):
            return
        # What the rows can push σ upwards there, by their log density's slope, and the prior downwards.
        if -axis.slope(low, 1e-3) > 0.01 * problem.c * math.exp(-2.0 * low):
            raise SamplingError(
                f"sigma ~ {axis.prior} keeps sigma so far below the rows' scatter that the sums lose it to "
                f"rounding. Give sigma a prior that allows for what the rows scatter, like "
                f"Exponential({one_digit(self.log_scatter)})"
            )


def check_lines(collapsed: Collapsed) -> None:
    """Stop where the rows lie exactly on the model's lines, whatever the priors say of the noise.

    With spreads of the data's scale and a σ far below that, log p(y | θ) is flat in log σ if coefficients are as
    many as rows; with more rows it falls steeply, the smaller σ, if there is noise, and rises by 1 for each row too
    many if there is none. Where it rises with some spreads at 0, priors may outweigh it, at 1 for each of them.

    Raises
    ------
    SamplingError : they do
    """
    problem = collapsed.problem
    least = least_log_sigma(problem)
    free = [(at, k) for at, level in enumerate(problem.varying) for k in level.free]
    sizes = range(len(free) + 1) if len(free) <= MOST_SETS else (0, 1, len(free))
    sets = [one for size in sizes for one in itertools.combinations(free, size)]
    tau, corr = [], []
    for at, level in enumerate(problem.varying):
        spreads = np.full((len(sets), level.K), math.sqrt(max(problem.scatter, 1e-200)))
        for k, prior in enumerate(level.tau):
            if isinstance(prior, Fixed):
                spreads[:, k] = prior.value
            spreads[[(at, k) in one for one in sets], k] = math.exp(least) * 1e-6
        tau.append(np.repeat(spreads, 2, axis=0))
        corr.append(np.tile(np.eye(level.K), (2 * len(sets), 1, 1)))
    sigma = np.tile(np.exp(least + np.array([0.0, 2.0])), len(sets))
    heights = log_marginal(collapsed, Theta(tuple(tau), tuple(corr), sigma)).reshape(-1, 2)
    rise = (heights[:, 0] - heights[:, 1]) / 2.0
    if (rise > np.array([len(one) for one in sets]) + 0.5).any():
        predictors = "an outcome computed from the predictors, or drop predictors" if problem.D > 1 else ""
        raise SamplingError(
            f"the rows lie exactly on the model's lines: the residual sd is 0 up to rounding, and its posterior "
            f"has no width to explore. Look for {predictors or 'rows that are there twice, and leave these out'}"
        )

"""The posterior density of θ, its bounds, and the points where the search for modes starts (math.md, section 4)."""

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


# (τ/σ)² of the smaller of two spreads, times the rows, at which the error of (9) is about 1e-3 (see Density).
LOST = 1e15
BORDER = math.exp(-1.0)  # share of LOST beyond which a posterior may continue past it
MAX_SETS = 4  # largest number of spreads of which every subset is tried at 0; with more: none, each alone, and all


def one_digit(log_scale: float) -> str:
    """Return a scale, given by its log, as text with one digit, for a prior."""
    return f"{float(f'{math.exp(log_scale):.0e}'):g}"


def _log_noise(problem: Problem) -> float:
    """Return log √(c/N), which is log σ if the residuals of the pooled fit are only noise."""
    return 0.5 * math.log(max(problem.c / problem.N, 1e-200))


def min_log_sigma(problem: Problem) -> float:
    """Return the smallest log σ at which (9) is more than rounding error; see Density."""
    reach = float(np.clip(0.5 * math.log(1e13 / problem.N), 6.0, 14.0))
    return _log_noise(problem) - reach


def coordinate_bounds(prior: ScalePrior, axis: Axis, scale: float) -> tuple[float, float]:
    """Return bounds of a scale's coordinate, around the log of the data's scale; infinite if the prior has bounds.

    They leave out regions without posterior mass, unless the prior's tail reaches beyond the range of doubles:
    explore measures the mass left out.
    """
    if isinstance(prior, Uniform):
        return -math.inf, math.inf
    low, high = min(scale - 50.0, axis.peak - 25.0), max(scale + 20.0, axis.peak + 20.0)
    low -= _tail_length(axis.slope(max(low, -REACH_BELOW), 1.0)) - 50.0
    high += _tail_length(-axis.slope(min(high, REACH_ABOVE) - 1.0, 1.0)) - 50.0
    return max(low, -REACH_BELOW), min(high, REACH_ABOVE)


def _tail_length(slope: float) -> float:
    """Return the distance over which a tail of this rate falls to e^−25, at least 50."""
    return max(50.0, 25.0 / max(slope, 0.01))


def allowed_coordinate(prior: ScalePrior, log_scale: Array) -> Array:
    """Return the coordinates of scales; scales that the prior excludes are moved near its bounds."""
    return np.asarray(np.nan_to_num(prior.coordinate(log_scale), neginf=-4.0, posinf=4.0))


def box_of(
    groupings: tuple[Varying, ...], axes: list[Axis], log_scatter: float
) -> tuple[list[float], list[float], list[float]]:
    """Return bounds of the groupings' coordinates, and a centre: spreads at the rows' scatter, correlations 0."""
    low: list[float] = []
    high: list[float] = []
    centre: list[float] = []
    for level in groupings:
        remaining, free, pairs = axes[len(low) :], level.free, level.pairs
        pairs_of_axes = zip(free, remaining, strict=False)
        bounds = [coordinate_bounds(level.tau[k], axis, log_scatter) for k, axis in pairs_of_axes]
        ends = [max(12.0, 25.0 / max(-axis.slope(12.0, 1.0), 0.01)) for axis in remaining[len(free) :][:pairs]]
        low += [lower for lower, _ in bounds] + [-end for end in ends]
        high += [upper for _, upper in bounds] + ends
        centre += [float(allowed_coordinate(level.tau[k], np.array(log_scatter))) for k in free] + [0.0] * pairs
    return low, high, centre


def scatter_points(
    points: Array, at: int, groupings: tuple[Varying, ...], log_scatter: float, rng: np.random.Generator
) -> int:
    """Fill columns from `at` with spreads near the rows' scatter, correlations near 0; return the next column."""
    for level in groupings:
        free, pairs, size = level.free, level.pairs, len(points)
        near = log_scatter + rng.uniform(-4.0, 1.0, (size, len(free)))
        for column, k in enumerate(free):
            points[:, at + column] = allowed_coordinate(level.tau[k], near[:, column])
        at += len(free)
        points[:, at : at + pairs] = rng.uniform(-0.5, 0.5, (size, pairs))
        at += pairs
    return at


class Target(Protocol):
    """A posterior density to explore: log p(θ | y) up to a constant, −∞ outside low … high.

    Attributes
    ----------
    low, high : array (dim,)
        bounds of θ
    dim : int
        length of θ
    cost : int
        cost of one θ, roughly in units of 2.5 ns
    evaluations : int
        number of θ computed so far
    axes : list of Axis or None
        every coordinate with its prior; None for a coordinate that is neither a scale nor a correlation
    centre : array (dim,)
        θ with every scale at that of the data
    log_scatter : float
        log of the data's scale
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
        """Return the log density of a batch: (S, dim) → (S,)."""

    def crowd(self, rng: np.random.Generator) -> Array:
        """Draw points around the data's scale and from the prior to start the search for modes: (n, dim)."""

    def at_border(self, theta: Array) -> Array:
        """Return True where spreads are almost too far above σ for (9): (S, dim) → (S,)."""

    def check_explorable(self) -> None:
        """Raise SamplingError if there is nothing to explore."""


class Density:
    """log p(θ | y) up to a constant, for batches; counts its evaluations; −∞ outside its bounds.

    In (9) c/σ² and Σ uᵀM⁻¹u nearly cancel once σ is far below the rows' scatter s: the rounding error is about
    1e-16 N (s/σ)². σ is bounded where that reaches 1e-3, at s/σ = 300,000 for a hundred rows and 3,000 for a
    million. With few rows there is almost no posterior mass beyond (explore measures it); with many there is none,
    unless the rows lie exactly on their lines, which raises an error, as does a known σ below that bound.

    A place's message to the grouping above is P̃ − T M⁻¹Tᵀ, about 1/λ² if the ratio λ of its spread to σ is large.
    Its error of 1e-17 N is multiplied by the next spread's λ²: where the smaller of two has N λ² over LOST, the
    density is −∞, and a posterior with mass near that raises an error. Population coefficients count as one such
    spread, since they are eliminated last and all at once.
    """

    def __init__(self, collapsed: Collapsed, threads: int) -> None:
        self.collapsed = collapsed
        self.threads = threads
        self.evaluations = 0
        problem = collapsed.problem
        self.log_noise = _log_noise(problem)
        self.log_scatter = 0.5 * math.log(max(problem.scatter, 1e-200))
        if isinstance(problem.sigma, Fixed):
            # Rows may lie on their lines by chance, so the scatter is at least that of the errors.
            errors = math.log(problem.sigma.value) + 0.5 * math.log(problem.N / problem.weight)
            self.log_scatter = max(self.log_scatter, errors)
        coordinates = axes(problem)
        self.axes: list[Axis | None] = [*coordinates]
        low, high, centre = box_of(problem.varying, coordinates, self.log_scatter)
        if not problem.known_noise:
            low.append(float(problem.sigma.coordinate(min_log_sigma(problem))))
            high.append(coordinate_bounds(problem.sigma, coordinates[-1], self.log_noise)[1])
            centre.append(float(allowed_coordinate(problem.sigma, np.array(self.log_noise))))
        self.low, self.high = np.array(low), np.array(high)
        self.centre = np.array(centre)
        self.dim = problem.dim
        widest = max([1, *(level.K for level in problem.levels)])
        D = problem.D
        self.cost = int(problem.J * widest * D * (1 + D / 40) + D**3 / 20)

    def __call__(self, theta: Array) -> Array:
        """Return the log density of a batch: (S, dim) → (S,)."""
        self.evaluations += len(theta)
        problem = self.collapsed.problem
        bounded = np.clip(theta, self.low, self.high)
        values = constrain(problem, bounded)
        total = log_marginal(self.collapsed, values, self.threads) + log_prior(problem, bounded, values)
        inside = (bounded == theta).all(axis=1) & (self._rounding(values) < LOST)
        return np.where(inside & np.isfinite(total), total, -np.inf)

    def _rounding(self, values: Theta) -> Array:
        """Return N λ² (S,) of the smaller of the two largest spreads; λ in units of σ, N in A's diagonal's."""
        problem = self.collapsed.problem
        mass = problem.A.diagonal().sum(axis=0)
        spreads = [tau**2 * mass[one.cols] for one, tau in zip(problem.varying, values.tau, strict=True)]
        if not spreads:
            return np.zeros(len(values.sigma))
        root = float(np.max(problem.root_sd**2 * mass[problem.root_cols], initial=0.0))
        both = np.column_stack([*spreads, np.full(len(values.sigma), root)])
        return np.asarray(np.partition(both, -2, axis=1)[:, -2] / values.sigma**2)

    def at_border(self, theta: Array) -> Array:
        """Return True where the rounding of two large spreads is nearly LOST: (S, dim) → (S,)."""
        values = constrain(self.collapsed.problem, np.clip(theta, self.low, self.high))
        return np.asarray(self._rounding(values) > BORDER * LOST)

    def crowd(self, rng: np.random.Generator) -> Array:
        """Draw spreads and noise around the pooled residual sd, correlations around 0; and θ from the prior."""
        problem = self.collapsed.problem
        crowd = np.zeros((96, self.dim))
        scatter_points(crowd, 0, problem.varying, self.log_scatter, rng)
        if not problem.known_noise:
            crowd[:, -1] = allowed_coordinate(problem.sigma, self.log_noise + rng.uniform(-2.0, 0.2, 96))
        return np.concatenate([crowd, from_prior(problem, 32, rng)])

    def check_explorable(self) -> None:
        """Raise if the posterior cannot be determined from the sums.

        Raises
        ------
        SamplingError
            if the rows lie exactly on the model's lines, if the prior keeps σ so small that rounding error swamps
            it, or if known spreads are so large that it does
        """
        problem, scale = self.collapsed.problem, one_digit(self.log_scatter)
        known = [prior for level in problem.varying for prior in level.tau if isinstance(prior, Fixed)]
        tau = [np.array([[p.value if isinstance(p, Fixed) else 0.0 for p in x.tau]]) for x in problem.varying]
        sigma = problem.sigma.value if isinstance(problem.sigma, Fixed) else math.exp(self.log_scatter + 2.0)
        if known and self._rounding(Theta(tuple(tau), (), np.array([sigma]))) >= LOST:
            largest = max(known, key=lambda prior: prior.value)
            reason = (
                f"tau ~ {largest} makes the sd between places so much larger than the residual sd that "
                f"the residuals are lost in rounding error"
            )
            raise SamplingError(
                f"{reason}: the residual scatter is {scale} on the standardized scale. Use a value for tau near "
                f"that, or estimate it, for example with tau ~ Exponential({scale})",
                reason=reason,
            )
        if problem.known_noise:
            return
        check_lines(self.collapsed)
        low, axis = float(self.low[-1]), self.axes[-1]
        if axis is None or not math.isfinite(low) or isinstance(problem.sigma, Uniform):
            return
        # The slopes by which the prior pushes σ down at its bound, and the rows push it up.
        if -axis.slope(low, 1e-3) > 0.01 * problem.c * math.exp(-2.0 * low):
            reason = f"sigma ~ {axis.prior} keeps sigma so far below the rows' scatter that rounding swamps it"
            raise SamplingError(
                f"{reason}. Use a prior for sigma that allows for the rows' scatter, such as Exponential({scale})",
                reason=reason,
            )


def check_lines(collapsed: Collapsed) -> None:
    """Raise SamplingError if the rows lie exactly on the model's lines, whatever the priors of the noise.

    With spreads of the data's scale and σ far below it, log p(y | θ) is flat in log σ if there are as many
    coefficients as rows. With more rows, as σ decreases it falls steeply if there is noise, and rises by 1 for each
    surplus row if there is none. Priors may outweigh a rise with some spreads at 0 by 1 for each of these.
    """
    problem = collapsed.problem
    smallest = min_log_sigma(problem)
    free = [(at, k) for at, level in enumerate(problem.varying) for k in level.free]
    sizes = range(len(free) + 1) if len(free) <= MAX_SETS else (0, 1, len(free))
    sets = [subset for size in sizes for subset in itertools.combinations(free, size)]
    tau, corr = [], []
    for at, level in enumerate(problem.varying):
        spreads = np.full((len(sets), level.K), math.sqrt(max(problem.scatter, 1e-200)))
        for k, prior in enumerate(level.tau):
            if isinstance(prior, Fixed):
                spreads[:, k] = prior.value
            spreads[[(at, k) in subset for subset in sets], k] = math.exp(smallest) * 1e-6
        tau.append(np.repeat(spreads, 2, axis=0))
        corr.append(np.tile(np.eye(level.K), (2 * len(sets), 1, 1)))
    sigma = np.tile(np.exp(smallest + np.array([0.0, 2.0])), len(sets))
    heights = log_marginal(collapsed, Theta(tuple(tau), tuple(corr), sigma)).reshape(-1, 2)
    rise = (heights[:, 0] - heights[:, 1]) / 2.0
    if (rise > np.array([len(subset) for subset in sets]) + 0.5).any():
        predictors = "an outcome computed from the predictors, or drop predictors" if problem.D > 1 else ""
        raise SamplingError(
            f"the rows lie exactly on the model's lines: the residual sd is 0 up to rounding, and its posterior "
            f"is a point mass at 0. Look for {predictors or 'duplicate rows, and leave them out'}",
            reason="the rows lie exactly on the model's lines",
        )

"""The posterior density of θ, its mode and its curvature there (math.md, section 4, steps 1 and 2)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

import numpy as np

from priorhood.errors import SamplingError
from priorhood.exact.coordinates import constrain, dimension, from_prior, log_prior
from priorhood.exact.marginal import Collapsed, log_marginal
from priorhood.priors import Fixed, Uniform

if TYPE_CHECKING:
    from priorhood.exact.problem import Array, Problem, Varying
    from priorhood.priors import Scale


def _log_noise(problem: Problem) -> float:
    """Log √(c/N): what σ would be if the pooled fit left nothing but noise."""
    return 0.5 * math.log(max(problem.c / problem.N, 1e-200))


def least_log_sigma(problem: Problem) -> float:
    """The least log σ at which (9) is more than rounding error; see Density."""
    reach = float(np.clip(0.5 * math.log(1e13 / problem.N), 6.0, 14.0))
    return _log_noise(problem) - reach


def reach_of(prior: Scale, low: float, high: float) -> tuple[float, float]:
    """The bounds, logs of the scale, on its coordinate; a prior with bounds of its own needs no others."""
    return (-math.inf, math.inf) if isinstance(prior, Uniform) else (low, high)


def beside(prior: Scale, log_scale: Array) -> Array:
    """The coordinates of scales as given; those that the prior does not allow, near its bounds."""
    return np.asarray(np.nan_to_num(prior.coordinate(log_scale), neginf=-4.0, posinf=4.0))


def bounds_of(level: Varying, log_scatter: float) -> tuple[list[float], list[float]]:
    """The least and largest coordinates of a grouping's spreads and correlations."""
    reach = [reach_of(level.tau[k], log_scatter - 50.0, log_scatter + 20.0) for k in level.free]
    pairs = level.pairs
    return [least for least, _ in reach] + [-12.0] * pairs, [most for _, most in reach] + [12.0] * pairs


def scatter_over(crowd: Array, at: int, level: Varying, log_scatter: float, rng: np.random.Generator) -> int:
    """Fill a crowd's columns from `at` with spreads around the rows' scatter and correlations around 0."""
    free, pairs, size = level.free, level.pairs, len(crowd)
    near = log_scatter + rng.uniform(-4.0, 1.0, (size, len(free)))
    for column, k in enumerate(free):
        crowd[:, at + column] = beside(level.tau[k], near[:, column])
    at += len(free)
    crowd[:, at : at + pairs] = rng.uniform(-0.5, 0.5, (size, pairs))
    return at + pairs


class Target(Protocol):
    """A posterior density to explore: log p(θ | y) up to a constant, −∞ outside low … high.

    dim : length of θ; cost : of one θ, roughly in units of 2.5 ns; evaluations : θ computed so far
    """

    low: Array
    high: Array
    dim: int
    cost: int
    evaluations: int

    def __call__(self, theta: Array) -> Array:
        """(S, dim) → (S,)."""

    def start(self, rng: np.random.Generator) -> Array:
        """A θ of some density, to look for the mode from."""

    def refuse(self, mode: Array) -> None:
        """Stop at a mode that is none."""


class Density:
    """log p(θ | y) up to a constant, for batches; counts its evaluations; −∞ outside its bounds.

    In (9) c/σ² and Σ uᵀM⁻¹u nearly cancel once σ is far below the rows' scatter s: the rounding is about
    1e-16 N (s/σ)². σ is bounded where that reaches 1e-3, at s/σ = 300,000 for a hundred rows and 3,000 for a
    million. Few rows have next to no posterior mass beyond, many have none, unless they lie exactly
    on their lines, which is refused (see explore). A known σ below that bound is refused too.
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
        low, high = [], []
        for level in problem.varying:
            lows, highs = bounds_of(level, self.log_scatter)
            low += lows
            high += highs
        if not problem.known_noise:
            least, most = least_log_sigma(problem), self.log_noise + 20.0
            low.append(float(problem.sigma.coordinate(least)))
            high.append(reach_of(problem.sigma, least, most)[1])
        self.low = np.array(low)
        self.high = np.array(high)
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
        inside = (bounded == theta).all(axis=1)
        return np.where(inside & np.isfinite(total), total, -np.inf)

    def start(self, rng: np.random.Generator) -> Array:
        """The best of a crowd: spreads and noise around the pooled residual sd, correlations around 0."""
        problem = self.collapsed.problem
        crowd = np.zeros((96, self.dim))
        at = 0
        for level in problem.varying:
            at = scatter_over(crowd, at, level, self.log_scatter, rng)
        if not problem.known_noise:
            crowd[:, -1] = beside(problem.sigma, self.log_noise + rng.uniform(-2.0, 0.2, 96))
        return best_of(self, np.concatenate([crowd, from_prior(problem, 32, rng)]))

    def refuse(self, mode: Array) -> None:
        """Stop at a mode where σ is 0 up to rounding.

        Raises
        ------
        SamplingError : there
        """
        if not self.collapsed.problem.known_noise and mode[-1] < self.low[-1] + 1.0:
            raise SamplingError(
                "the rows lie exactly on the model's lines: the residual sd is 0 up to rounding, and its posterior "
                "has no width to explore. Look for an outcome computed from the predictors, or drop predictors"
            )


def best_of(density: Target, crowd: Array) -> Array:
    """The member of a crowd (S, dim) where the density is highest.

    Raises
    ------
    SamplingError : it can be computed at none
    """
    heights = density(crowd)
    if not np.isfinite(heights).any():
        raise SamplingError(
            "the posterior density could not be computed anywhere near the data's scale; "
            "look for extreme values in the outcome and predictors, or give outcome_unit"
        )
    return np.asarray(crowd[np.argmax(heights)])


def _stencil(dim: int) -> Array:
    """Points for central differences: ±e_d, then e_a + e_b and −e_a − e_b for a < b."""
    unit = np.eye(dim)
    pairs = [unit[a] + unit[b] for a in range(dim) for b in range(a)]
    both = np.array(pairs).reshape(-1, dim)
    return np.concatenate([np.zeros((1, dim)), unit, -unit, both, -both])


def _derivatives(density: Target, at: Array, step: Array) -> tuple[float, Array, Array]:
    """Value, gradient and Hessian by central differences from one batch; step (dim,)."""
    dim = len(at)
    f = density(at + _stencil(dim) * step)
    plus, minus = f[1 : dim + 1], f[dim + 1 : 2 * dim + 1]
    gradient = (plus - minus) / (2 * step)
    second = (plus - 2 * f[0] + minus) / step**2
    hessian = np.diag(second)
    pairs = dim * (dim - 1) // 2
    up, down = f[2 * dim + 1 : 2 * dim + 1 + pairs], f[2 * dim + 1 + pairs :]
    index = 0
    for a in range(dim):
        for b in range(a):
            mixed = up[index] + down[index] - plus[a] - minus[a] - plus[b] - minus[b] + 2 * f[0]
            hessian[a, b] = hessian[b, a] = mixed / (2 * step[a] * step[b])
            index += 1
    return float(f[0]), gradient, hessian


def find_mode(density: Target, start: Array) -> tuple[Array, Array]:
    """Damped Newton from a start; returns the mode and a covariance from the curvature there.

    Every iteration is two batches: the stencil of differences, and a line of step lengths. Where the
    density is not curved downwards the step follows the absolute curvature, so it still climbs.
    """
    lengths = np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 1.5, 2.5])
    at = start
    step = np.full(len(start), 1e-2)
    covariance = np.eye(len(start))
    for _ in range(60):
        value, gradient, hessian = _derivatives(density, at, step)
        if not (np.isfinite(hessian).all() and np.isfinite(gradient).all()):
            break
        eigenvalues, vectors = np.linalg.eigh(-hessian)
        # A flat or rising direction is given the curvature of a coordinate known to within e^±2.
        bounded = np.maximum(np.abs(eigenvalues), 0.25)
        covariance = (vectors / bounded) @ vectors.T
        direction = covariance @ gradient
        size = np.abs(direction).max()
        direction *= min(1.0, 2.0 / size) if size > 0 else 1.0
        heights = density(at + lengths[:, None] * direction)
        best = int(np.argmax(heights))
        if heights[best] <= value:
            break
        at = at + lengths[best] * direction
        step = np.clip(0.05 * np.sqrt(np.diag(covariance)), 1e-5, 1e-2)
        if heights[best] - value < 1e-3:
            break
    return at, covariance

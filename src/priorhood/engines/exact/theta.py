"""θ: the unconstrained coordinates of spreads, correlations and noise, and their prior density.

θ = (log τ₁, atanh z₁, …, log τ_L, atanh z_L, log σ), finest level first, crossed groupings last; z are the
canonical partial correlations of Ω_ℓ (none if effects are independent). The coordinate of a scale whose prior has
bounds is the logit between them instead of the log. Known (Fixed) scales are not in θ, which may be empty.
All functions take a batch (S, dim).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING

import numpy as np

from priorhood.model.priors import Fixed, cholesky_of_partial

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array
    from priorhood.engines.exact.problem import Problem
    from priorhood.model.priors import ScalePrior

# Logs of the smallest and the largest scale whose square neither underflows nor overflows.
REACH_BELOW, REACH_ABOVE = 690.0, 300.0


@dataclass(frozen=True)
class Theta:
    """A batch of θ as the model's parameters.

    Attributes
    ----------
    tau : tuple of array (S, K)
        spreads, by grouping
    corr : tuple of array (S, K, K)
        Cholesky factors of Ω, by grouping
    sigma : array (S,)
        residual sd
    """

    tau: tuple[Array, ...]
    corr: tuple[Array, ...]
    sigma: Array


@dataclass(frozen=True)
class Axis:
    """A coordinate of θ.

    Attributes
    ----------
    name : str
        name of the parameter
    prior : str
        text of the prior
    log_density : callable
        log prior density of the coordinate
    value : callable
        parameter as a function of the coordinate
    """

    name: str
    prior: str
    log_density: Callable[[Array], Array]
    value: Callable[[Array], Array]

    def slope(self, u: float, step: float) -> float:
        """Return the mean slope of the log density from u to u + step."""
        below, above = self.log_density(np.array([u, u + step]))
        return float((above - below) / step)

    @cached_property
    def peak(self) -> float:
        """Coordinate of the highest density."""
        grid = np.linspace(-REACH_BELOW, REACH_ABOVE, 3 * int(REACH_BELOW + REACH_ABOVE) + 1)
        for step in (1.0, 0.05):
            with np.errstate(over="ignore", invalid="ignore"):
                heights = np.nan_to_num(self.log_density(grid), nan=-np.inf)
            top = float(grid[np.argmax(heights)])
            grid = top + step * np.linspace(-0.5, 0.5, 41)
        return top


def constrain(problem: Problem, theta: Array) -> Theta:
    """Map θ (S, dim) to spreads, Cholesky factors of the correlations and residual sd."""
    tau, corr = [], []
    at = 0
    for level in problem.varying:
        K, free, pairs = level.K, level.free, level.pairs
        known = [prior.value if isinstance(prior, Fixed) else 0.0 for prior in level.tau]
        spreads = np.tile(np.array(known), (len(theta), 1))
        for k in free:
            spreads[:, k] = level.tau[k].constrain(theta[:, at])
            at += 1
        tau.append(spreads)
        z = np.tanh(theta[:, at : at + pairs]) if pairs else np.zeros((len(theta), K * (K - 1) // 2))
        corr.append(cholesky_of_partial(z, K))
        at += pairs
    if isinstance(problem.sigma, Fixed):
        return Theta(tuple(tau), tuple(corr), np.full(len(theta), problem.sigma.value))
    return Theta(tuple(tau), tuple(corr), problem.sigma.constrain(theta[:, at]))


def unconstrain(problem: Problem, values: Theta) -> Array:
    """Map spreads, Cholesky factors of the correlations and residual sd to θ (S, dim); inverse of constrain."""
    columns = []
    for level, tau, corr in zip(problem.varying, values.tau, values.corr, strict=True):
        columns += [np.asarray(level.tau[k].coordinate(np.log(tau[:, k]))) for k in level.free]
        if not level.pairs:
            continue
        for i in range(level.K):
            left = np.ones(len(tau))
            for j in range(i):
                z = np.clip(corr[:, i, j] / left, -1.0 + 1e-15, 1.0 - 1e-15)
                columns.append(np.arctanh(z))
                left = left * np.sqrt((1.0 - z) * (1.0 + z))
    if not isinstance(problem.sigma, Fixed):
        columns.append(np.asarray(problem.sigma.coordinate(np.log(values.sigma))))
    return np.stack(columns, axis=1) if columns else np.zeros((len(values.sigma), 0))


def factors(problem: Problem, values: Theta) -> Array:
    """Return Λ̃_ℓ = diag(τ_ℓ) L_ℓ / σ of every grouping, padded to the widest: (S, groupings, K, K)."""
    widest = max((level.K for level in problem.varying), default=1)
    out = np.zeros((len(values.sigma), len(problem.varying), widest, widest))
    for at, level in enumerate(problem.varying):
        scaled = values.tau[at] / values.sigma[:, None]
        out[:, at, : level.K, : level.K] = scaled[:, :, None] * values.corr[at]
    return out


def log_prior(problem: Problem, theta: Array, values: Theta) -> Array:
    """Return log p(θ) (S,): priors of τ, Ω, σ with the Jacobian of the unconstrained coordinates, normalized.

    log τ and log σ add log τ and log σ; a logit between bounds adds the log of their distance and of the logistic
    density; atanh z adds log(1 − z²); a known scale adds nothing.
    """
    total = np.zeros(len(theta))
    if not problem.known_noise:
        total = np.asarray(problem.sigma.logpdf(values.sigma) + problem.sigma.log_jacobian(theta[:, -1]))
    at = 0
    for level, tau in zip(problem.varying, values.tau, strict=True):
        for k in level.free:
            total = total + level.tau[k].logpdf(tau[:, k]) + level.tau[k].log_jacobian(theta[:, at])
            at += 1
        if level.omega and level.K > 1:
            b = level.omega.shapes(level.K)
            x = theta[:, at : at + len(b)]
            total = total + np.einsum("sk,k->s", _log_sech2(x), b) - sum(map(_log_norm, b))
            at += len(b)
    return total


def axes(problem: Problem) -> list[Axis]:
    """Return all coordinates of θ, in order; their priors are independent."""
    coordinates = []
    for level in problem.varying:
        coordinates += [scale_axis("tau", level.tau[k]) for k in level.free]
        if level.omega and level.K > 1:
            shapes = map(float, level.omega.shapes(level.K))
            coordinates += [Axis("omega", str(level.omega), partial(log_partial, b), np.tanh) for b in shapes]
    if not problem.known_noise:
        coordinates.append(scale_axis("sigma", problem.sigma))
    return coordinates


def scale_axis(name: str, prior: ScalePrior) -> Axis:
    """Return the coordinate of a scale."""

    def log_density(u: Array) -> Array:
        return np.asarray(prior.logpdf(prior.constrain(u)) + prior.log_jacobian(u))

    return Axis(name, str(prior), log_density, prior.constrain)


def log_partial(b: float, x: Array) -> Array:
    """Return the log density of the coordinate x = atanh z of a partial correlation, (z + 1)/2 ~ Beta(b, b)."""
    return np.asarray(b * _log_sech2(x) - _log_norm(b))


def _log_sech2(x: Array) -> Array:
    """Return log(1 − tanh²x) = −2 log cosh x, without overflow or cancellation."""
    return np.asarray(-2.0 * (np.abs(x) + np.log1p(np.exp(-2.0 * np.abs(x))) - math.log(2.0)))


def _log_norm(b: float) -> float:
    """Return log ∫ (1 − z²)^(b−1) dz over (−1, 1)."""
    return (2 * b - 1) * math.log(2.0) + 2 * math.lgamma(b) - math.lgamma(2 * b)


def from_prior(problem: Problem, draws: int, rng: np.random.Generator) -> Array:
    """Draw θ from its prior: (draws, dim)."""
    parts = [np.zeros((draws, 0))]
    for level in problem.varying:
        parts += [scale_from_prior(level.tau[k], draws, rng) for k in level.free]
        if level.omega and level.K > 1:
            with np.errstate(divide="ignore"):  # a draw that is ±1 up to rounding
                parts.append(np.arctanh(level.omega.sample(rng, (draws, level.K))))
    if not problem.known_noise:
        parts.append(scale_from_prior(problem.sigma, draws, rng))
    return np.concatenate(parts, axis=1)


def scale_from_prior(prior: ScalePrior, draws: int, rng: np.random.Generator) -> Array:
    """Draw the coordinate of a scale from its prior: (draws, 1); −∞ if a draw underflowed to 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(prior.coordinate(np.log(prior.sample(rng, draws))))[:, None]

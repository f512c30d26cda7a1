"""θ: the unconstrained coordinates of spreads, correlations and noise, and their prior density.

θ = (log τ₁, atanh z₁, …, log τ_L, atanh z_L, log σ), finest level first, crossed groupings last; z are the
canonical partial correlations of Ω_ℓ (none where effects are independent). A scale whose prior has bounds has the
logit between them in place of the log. A scale that is known (Fixed) is left out, so that θ may have no coordinate
at all. All functions take a batch (S, dim).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.priors import Fixed, cholesky_of_partial

if TYPE_CHECKING:
    from priorhood.exact.problem import Array, Problem
    from priorhood.priors import Scale


@dataclass(frozen=True)
class Theta:
    """A batch of θ in the model's own terms: per grouping tau (S, K) and corr = chol Ω (S, K, K); sigma (S,)."""

    tau: tuple[Array, ...]
    corr: tuple[Array, ...]
    sigma: Array


def dimension(problem: Problem) -> int:
    """Length of θ."""
    return (not problem.known_noise) + sum(len(x.free) + x.pairs for x in problem.varying)


def constrain(problem: Problem, theta: Array) -> Theta:
    """θ (S, dim) → spreads, Cholesky factors of the correlations, residual sd."""
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
    """Spreads, Cholesky factors of the correlations, residual sd → θ (S, dim); undoes constrain."""
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
    """Λ̃_ℓ = diag(τ_ℓ) L_ℓ / σ of every grouping, padded to the widest: (S, groupings, K, K)."""
    widest = max((level.K for level in problem.varying), default=1)
    out = np.zeros((len(values.sigma), len(problem.varying), widest, widest))
    for at, level in enumerate(problem.varying):
        scaled = values.tau[at] / values.sigma[:, None]
        out[:, at, : level.K, : level.K] = scaled[:, :, None] * values.corr[at]
    return out


def log_prior(problem: Problem, theta: Array, values: Theta) -> Array:
    """Log p(θ): priors of τ, Ω, σ with the Jacobian of the unconstrained coordinates, normalized. (S,)

    log τ and log σ bring + log τ and + log σ, a logit between bounds the log of their width and of the logistic
    density; atanh z brings log(1 − z²); a known scale brings nothing.
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
            # log(1 − tanh²x) = −2 log cosh x, without overflow or cancellation
            log_sech2 = -2.0 * (np.abs(x) + np.log1p(np.exp(-2.0 * np.abs(x))) - math.log(2.0))
            total = total + np.einsum("sk,k->s", log_sech2, b) - sum(map(_log_norm, b))
            at += len(b)
    return total


def _log_norm(b: float) -> float:
    """Log ∫ (1 − z²)^(b−1) dz over (−1, 1)."""
    return (2 * b - 1) * math.log(2.0) + 2 * math.lgamma(b) - math.lgamma(2 * b)


def from_prior(problem: Problem, draws: int, rng: np.random.Generator) -> Array:
    """θ drawn from its prior: (draws, dim)."""
    parts = [np.zeros((draws, 0))]
    for level in problem.varying:
        parts += [_drawn(level.tau[k], draws, rng) for k in level.free]
        if level.omega and level.K > 1:
            parts.append(np.arctanh(level.omega.sample(rng, (draws, level.K))))
    if not problem.known_noise:
        parts.append(_drawn(problem.sigma, draws, rng))
    return np.concatenate(parts, axis=1)


def _drawn(prior: Scale, draws: int, rng: np.random.Generator) -> Array:
    """The coordinate of a scale drawn from its prior: (draws, 1); −∞ for a draw that underflowed to 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(prior.coordinate(np.log(prior.sample(rng, draws))))[:, None]

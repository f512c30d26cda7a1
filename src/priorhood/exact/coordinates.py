"""θ: the unconstrained coordinates of spreads, correlations and noise, and their prior density.

θ = (log τ₁, atanh z₁, …, log τ_L, atanh z_L, log σ), finest level first; z are the canonical partial
correlations of Ω_ℓ (none where effects are independent). All functions take a batch (S, dim).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from priorhood.exact.problem import Array, Problem


@dataclass(frozen=True)
class Theta:
    """A batch of θ in the model's own terms: per level tau (S, K) and corr = chol Ω (S, K, K); sigma (S,)."""

    tau: tuple[Array, ...]
    corr: tuple[Array, ...]
    sigma: Array


def dimension(problem: Problem) -> int:
    """Length of θ."""
    return 1 + sum(x.K + (x.K * (x.K - 1) // 2 if x.omega else 0) for x in problem.levels)


def cholesky_of_partial(z: Array, K: int) -> Array:
    """Canonical partial correlations (S, K(K−1)/2) → lower Cholesky factor of Ω (S, K, K).

    L_ij = z_ij ∏_{k<j} √(1 − z_ik²), L_ii = ∏_{k<i} √(1 − z_ik²); rows have length one.
    """
    L = np.zeros((len(z), K, K))
    L[:, 0, 0] = 1.0
    pair = 0
    for i in range(1, K):
        left = np.ones(len(z))
        for j in range(i):
            L[:, i, j] = z[:, pair] * left
            left = left * np.sqrt((1.0 - z[:, pair]) * (1.0 + z[:, pair]))
            pair += 1
        L[:, i, i] = left
    return L


def constrain(problem: Problem, theta: Array) -> Theta:
    """θ (S, dim) → spreads, Cholesky factors of the correlations, residual sd."""
    tau, corr = [], []
    at = 0
    for level in problem.levels:
        K = level.K
        tau.append(np.exp(theta[:, at : at + K]))
        at += K
        pairs = K * (K - 1) // 2 if level.omega else 0
        z = np.tanh(theta[:, at : at + pairs]) if pairs else np.zeros((len(theta), K * (K - 1) // 2))
        corr.append(cholesky_of_partial(z, K))
        at += pairs
    return Theta(tuple(tau), tuple(corr), np.exp(theta[:, at]))


def factors(problem: Problem, values: Theta) -> Array:
    """Λ̃_ℓ = diag(τ_ℓ) L_ℓ / σ of every level, padded to the widest: (S, levels, K, K)."""
    widest = max((level.K for level in problem.levels), default=1)
    out = np.zeros((len(values.sigma), len(problem.levels), widest, widest))
    for at, level in enumerate(problem.levels):
        scaled = values.tau[at] / values.sigma[:, None]
        out[:, at, : level.K, : level.K] = scaled[:, :, None] * values.corr[at]
    return out


def log_prior(problem: Problem, theta: Array, values: Theta) -> Array:
    """Log p(θ): priors of τ, Ω, σ with the Jacobian of the unconstrained coordinates, normalized. (S,)

    log τ and log σ bring + log τ and + log σ; atanh z brings log(1 − z²).
    """
    total = np.asarray(problem.sigma.logpdf(values.sigma) + theta[:, -1])
    at = 0
    for level, tau in zip(problem.levels, values.tau, strict=True):
        for k, prior in enumerate(level.tau):
            total = total + prior.logpdf(tau[:, k]) + theta[:, at + k]
        at += level.K
        if level.omega and level.K > 1:
            b = level.omega.shapes(level.K)
            x = theta[:, at : at + len(b)]
            # log(1 − tanh²x) = −2 log cosh x, without overflow or cancellation
            log_sech2 = -2.0 * (np.abs(x) + np.log1p(np.exp(-2.0 * np.abs(x))) - math.log(2.0))
            total = total + log_sech2 @ b - sum(map(_log_norm, b))
            at += len(b)
    return total


def _log_norm(b: float) -> float:
    """Log ∫ (1 − z²)^(b−1) dz over (−1, 1)."""
    return (2 * b - 1) * math.log(2.0) + 2 * math.lgamma(b) - math.lgamma(2 * b)


def from_prior(problem: Problem, draws: int, rng: np.random.Generator) -> Array:
    """θ drawn from its prior: (draws, dim)."""
    parts = []
    for level in problem.levels:
        parts += [np.log(prior.sample(rng, draws))[:, None] for prior in level.tau]
        if level.omega and level.K > 1:
            parts.append(np.arctanh(level.omega.sample(rng, (draws, level.K))))
    parts.append(np.log(problem.sigma.sample(rng, draws))[:, None])
    return np.concatenate(parts, axis=1)

"""The proposal for θ: a mixture of t distributions refined by importance weights (math.md, section 4, step 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from priorhood.exact.mode import Target
    from priorhood.exact.problem import Array

DEGREES = 5.0  # of freedom of the t distributions
ROUND = 500  # draws of a refinement round, times 1 + dim/4
ROUNDS = 9
MOST_PARTS = 7
EM_STEPS = 8
ALONG = 15.0  # added variance along an axis, in posterior variances
GOOD_WEIGHTS = 0.7  # refinement stops at this effective share of the weights …
GAIN = 1.05  # … or when a round no longer gains this factor


@dataclass(frozen=True)
class Mixture:
    """Σ_c weight_c t(mean_c, scale_c; DEGREES); lists of (dim,) means and (dim, dim) Cholesky factors."""

    weights: tuple[float, ...]
    means: tuple[Array, ...]
    factors: tuple[Array, ...]

    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """Draws: (count, dim)."""
        dim = len(self.means[0])
        which = rng.choice(len(self.weights), size=count, p=self.weights)
        noise = rng.standard_normal((count, dim))
        noise /= np.sqrt(rng.chisquare(DEGREES, count) / DEGREES)[:, None]
        return np.asarray(
            np.stack(self.means)[which] + np.einsum("cde,ce->cd", np.stack(self.factors)[which], noise)
        )

    def logpdf_parts(self, theta: Array) -> Array:
        """Log weight plus log density of every part: (parts, S)."""
        dim = theta.shape[1]
        norm = math.lgamma((DEGREES + dim) / 2) - math.lgamma(DEGREES / 2) - 0.5 * dim * math.log(DEGREES * math.pi)
        parts = []
        for weight, mean, factor in zip(self.weights, self.means, self.factors, strict=True):
            white = np.linalg.solve(factor, (theta - mean).T)
            distance = np.einsum("ds,ds->s", white, white)
            height = math.log(weight) + norm - np.log(np.diag(factor)).sum()
            parts.append(height - 0.5 * (DEGREES + dim) * np.log1p(distance / DEGREES))
        return np.array(parts)

    def logpdf(self, theta: Array) -> Array:
        """Log density: (S,)."""
        return np.asarray(np.logaddexp.reduce(self.logpdf_parts(theta), axis=0))


def _factor(covariance: Array, floor: Array) -> Array:
    """Cholesky factor of a covariance, its eigenvalues held above a share of the floor's."""
    scale = np.sqrt(np.diag(floor))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    values = np.maximum(values, 1e-4)
    return np.asarray(np.linalg.cholesky((vectors * values) @ vectors.T * np.outer(scale, scale)))


def _weighted(theta: Array, weights: Array) -> tuple[Array, Array]:
    mean = weights @ theta
    off = theta - mean
    return mean, (weights[:, None] * off).T @ off


def _cluster(theta: Array, weights: Array, floor: Array, parts: int, rng: np.random.Generator) -> Mixture:
    """A mixture of `parts` t's fitted to weighted draws by expectation–maximization.

    Each covariance leans a little towards the whole's, so that no part closes in on a few draws.
    """
    mean, covariance = _weighted(theta, weights)
    white = np.asarray(np.linalg.solve(_factor(covariance, floor), (theta - mean).T).T, dtype=np.float64)
    centres = white[_scattered(white, weights, parts, rng)]
    share = np.exp(-0.5 * ((white[:, None] - centres) ** 2).sum(axis=2))
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
    mixture = Mixture((1.0,), (mean,), (_factor(0.8 * covariance, floor),))
    for _ in range(EM_STEPS):
        mass = weights @ share
        keep = mass > 0.02
        share, mass = share[:, keep], mass[keep] / mass[keep].sum()
        fitted = [_weighted(theta, w / w.sum()) for w in (weights[:, None] * share).T]
        mixture = Mixture(
            tuple(mass.tolist()),
            tuple(m for m, _ in fitted),
            tuple(_factor(0.75 * c + 0.05 * covariance, floor) for _, c in fitted),
        )
        logs = mixture.logpdf_parts(theta)
        share = np.exp(logs - np.logaddexp.reduce(logs, axis=0)).T
    return mixture


def _scattered(white: Array, weights: Array, parts: int, rng: np.random.Generator) -> list[int]:
    """Indices of weighted draws far from each other (k-means++), to start the clusters at."""
    chosen = [int(rng.choice(len(white), p=weights))]
    while len(chosen) < parts:
        gap = np.min([((white - white[c]) ** 2).sum(axis=1) for c in chosen], axis=0)
        chances = weights * gap
        if not chances.sum() > 0:
            break  # fewer weighted draws than parts
        chosen.append(int(rng.choice(len(white), p=chances / chances.sum())))
    return chosen


def _guarded(
    fit: Mixture, first: Mixture, theta: Array, weights: Array, floor: Array, guard: float, along: float
) -> Mixture:
    """The fitted parts beside the first proposal, a wide one, and every part drawn out along every axis.

    As a spread goes to 0 the data stop telling and the others stay where they are: log τ then has a
    long tail along its own axis, as thin as the part it starts from, which a wide t covers only thinly.
    """
    mean, covariance = _weighted(theta, weights)
    dim = len(mean)
    axes = [np.diag(along * np.diag(covariance) * unit) for unit in np.eye(dim)]
    drawn_out = [
        (0.6 * guard * weight / dim, centre, _factor(factor @ factor.T + axis, floor))
        for weight, centre, factor in zip(fit.weights, fit.means, fit.factors, strict=True)
        for axis in axes
    ]
    return Mixture(
        (*((1 - guard) * w for w in fit.weights), 0.15 * guard, 0.25 * guard, *(w for w, _, _ in drawn_out)),
        (*fit.means, first.means[0], mean, *(m for _, m, _ in drawn_out)),
        (*fit.factors, first.factors[0], _factor(2.0 * covariance, floor), *(f for _, _, f in drawn_out)),
    )


def _tempered(log_weights: Array) -> Array:
    """Weights that sum to one, none above a fiftieth: a huge one says where the mass is, not how wide."""
    weights = np.exp(log_weights - log_weights.max())
    weights = np.minimum(weights, weights.sum() / 50)
    return np.asarray(weights / weights.sum())


def widen(
    mixture: Mixture, theta: Array, log_weights: Array, floor: Array, attempt: int, rng: np.random.Generator
) -> Mixture:
    """A proposal with heavier tails, fitted to draws whose weights showed that the last one's were thin."""
    weights = _tempered(log_weights)
    fit = _cluster(theta, weights, floor, MOST_PARTS + attempt, rng)
    return _guarded(fit, mixture, theta, weights, floor, guard=0.2, along=ALONG * 2**attempt)


def effective_share(log_weights: Array) -> float:
    """Effective share of importance weights: (Σw)² / (n Σw²)."""
    if not np.isfinite(log_weights).any():
        return 0.0
    w = np.exp(log_weights - log_weights.max())
    return float(w.sum() ** 2 / (len(w) * (w**2).sum()))


def refine(density: Target, mode: Array, covariance: Array, rng: np.random.Generator) -> Mixture:
    """Adaptive multiple importance sampling (Cornuet et al. 2012): weigh, refit, until it serves.

    All draws so far are weighed against the mixture of all proposals so far, so none is wasted.
    """
    floor = covariance
    first = Mixture((1.0,), (mode,), (_factor(covariance, floor),))
    proposals, draws, heights = [first], [], []
    best, best_share = first, 0.0
    count = int(ROUND * (1 + len(mode) / 4))
    for round_number in range(ROUNDS):
        current = proposals[-1]
        theta = current.sample(rng, count)
        draws.append(theta)
        heights.append(density(theta))
        share = effective_share(heights[-1] - current.logpdf(theta))
        gained = share > GAIN * best_share
        if share > best_share:
            best, best_share = current, share
        if best_share > GOOD_WEIGHTS or (round_number > 3 and not gained and best_share > 0.5):
            break
        every = np.concatenate(draws)
        mixture = np.logaddexp.reduce([q.logpdf(every) for q in proposals], axis=0)
        log_weights = np.concatenate(heights) - mixture
        weights = _tempered(log_weights)
        # One part for an ellipse; more, round by round, for the bent and two-armed ones.
        fit = _cluster(every, weights, floor, min(1 + round_number, MOST_PARTS), rng)
        proposals.append(_guarded(fit, first, every, weights, floor, guard=0.16, along=ALONG))
    return best

"""Explore: θ has few dimensions, so draw it almost independently (math.md, section 4).

Mode, curvature, a mixture of t distributions refined by importance weights, then independence
Metropolis–Hastings chains. The chains are exact for the frozen mixture whatever its fit; the fit
only decides how many proposals a draw costs, and is reported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numba as nb
import numpy as np

from priorhood.errors import SamplingError
from priorhood.exact.coordinates import constrain, dimension, from_prior, log_prior
from priorhood.exact.marginal import Collapsed, log_marginal
from priorhood.exact.problem import Array

DEGREES = 5.0  # of freedom of the proposal's t distributions
ROUND = 500  # proposals of a refinement round, times 1 + dim/4
ROUNDS = 9
MOST_PARTS = 7
EM_STEPS = 8
ALONG = 15.0
GOOD_WEIGHTS = 0.7  # refinement stops at this effective share of the weights …
GAIN = 1.05  # … or when a round no longer gains this factor
STUCK = 0.05  # tolerated correlation of successive kept draws, which sets the thinning
MAX_KEEP_EVERY = 24
PARETO_LIMIT = 0.7
ACCEPT_LIMIT = 0.05

LogDensity = Callable[[Array], Array]


@dataclass(frozen=True)
class Explored:
    """Chains of θ with the account of their quality.

    theta : (chains, draws, dim); log_posterior : (chains, draws), log p(y|θ) + log p(θ) in θ's coordinates
    accepted : (chains, draws) share of the proposals accepted between kept draws
    acceptance, pareto_k, ess_share : of the proposals; keep_every : proposals for a kept draw
    log_evidence, log_evidence_error : log p(y) of the standardized outcome and its Monte Carlo error
    evaluations : number of θ at which the density was computed
    """

    theta: Array
    log_posterior: Array
    accepted: Array
    acceptance: float
    pareto_k: float
    ess_share: float
    keep_every: int
    log_evidence: float
    log_evidence_error: float
    evaluations: int


class Density:
    """log p(θ | y) up to a constant, for batches; counts its evaluations; −∞ where it cannot be computed."""

    def __init__(self, collapsed: Collapsed, threads: int) -> None:
        self.collapsed = collapsed
        self.threads = threads
        self.evaluations = 0

    def __call__(self, theta: Array) -> Array:
        """(S, dim) → (S,)."""
        self.evaluations += len(theta)
        problem = self.collapsed.problem
        # Scales beyond e^±60 overflow sums of squares; no prior of this package gives them weight.
        bounded = np.clip(theta, -60.0, 60.0)
        values = constrain(problem, bounded)
        total = log_marginal(self.collapsed, values, self.threads) + log_prior(problem, bounded, values)
        usable = np.isfinite(total) & (np.abs(theta).max(axis=1) <= 60.0)
        return np.where(usable, total, -np.inf)


# -- mode and curvature -----------------------------------------------------------------------------


def _start(density: Density, rng: np.random.Generator) -> Array:
    """The best of a crowd: spreads and noise around the pooled residual sd, correlations around 0."""
    problem = density.collapsed.problem
    residual = 0.5 * math.log(max(problem.c / max(problem.N, 1.0), 1e-30))
    crowd = np.zeros((96, dimension(problem)))
    at = 0
    for level in problem.levels:
        crowd[:, at : at + level.K] = residual + rng.uniform(-4.0, 1.0, (96, level.K))
        at += level.K
        pairs = level.K * (level.K - 1) // 2 if level.omega else 0
        crowd[:, at : at + pairs] = rng.uniform(-0.5, 0.5, (96, pairs))
        at += pairs
    crowd[:, -1] = residual + rng.uniform(-2.0, 0.2, 96)
    crowd = np.concatenate([crowd, from_prior(problem, 32, rng)])
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


def _derivatives(density: Density, at: Array, step: Array) -> tuple[float, Array, Array]:
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


def find_mode(density: Density, start: Array) -> tuple[Array, Array]:
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


# -- proposal ------------------------------------------------------------------------------------------


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
    white = np.linalg.solve(np.linalg.cholesky(covariance + 1e-9 * floor), (theta - mean).T).T
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
        chosen.append(int(rng.choice(len(white), p=chances / chances.sum())))
    return chosen


def _guarded(fit: Mixture, first: Mixture, theta: Array, weights: Array, floor: Array) -> Mixture:
    """The fitted parts beside the first proposal, a wide one, and one drawn out along every axis.

    As a spread goes to 0 the data stop telling and the others stay where they are: log τ then has a
    long tail along its own axis, which a wide t of many dimensions covers only thinly.
    """
    mean, covariance = _weighted(theta, weights)
    dim = len(mean)
    axes = [covariance + np.diag(ALONG * np.diag(covariance) * unit) for unit in np.eye(dim)]
    return Mixture(
        (*(0.84 * w for w in fit.weights), 0.02, 0.04, *([0.1 / dim] * dim)),
        (*fit.means, first.means[0], *([mean] * (dim + 1))),
        (*fit.factors, first.factors[0], *(_factor(c, floor) for c in (2.0 * covariance, *axes))),
    )


def _share(log_weights: Array) -> float:
    """Effective share of importance weights: (Σw)² / (n Σw²)."""
    if not np.isfinite(log_weights).any():
        return 0.0
    w = np.exp(log_weights - log_weights.max())
    return float(w.sum() ** 2 / (len(w) * (w**2).sum()))


def refine(density: Density, mode: Array, covariance: Array, rng: np.random.Generator) -> Mixture:
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
        share = _share(heights[-1] - current.logpdf(theta))
        gained = share > GAIN * best_share
        if share > best_share:
            best, best_share = current, share
        if best_share > GOOD_WEIGHTS or (round_number > 3 and not gained and best_share > 0.5):
            break
        every = np.concatenate(draws)
        mixture = np.logaddexp.reduce([q.logpdf(every) for q in proposals], axis=0)
        log_weights = np.concatenate(heights) - mixture
        weights = np.exp(log_weights - log_weights.max())
        # A few huge weights say where the mass is, not how wide it is: temper them.
        weights = np.minimum(weights, weights.sum() / 50)
        weights /= weights.sum()
        # One part for an ellipse; more, round by round, for the bent and two-armed ones.
        fit = _cluster(every, weights, floor, min(1 + round_number, MOST_PARTS), rng)
        proposals.append(_guarded(fit, first, every, weights, floor))
    return best


# -- chains -----------------------------------------------------------------------------------------------


@nb.njit(cache=True, nogil=True)
def _walk(log_weights, log_uniforms, state, keep_every, picked, accepted):
    """Independence Metropolis–Hastings over one chain's proposals; `picked` holds kept proposal indices."""
    moves = 0
    kept = 0
    # The steps before the first kept draw of full spacing are warm-up.
    warm = len(log_weights) - len(picked) * keep_every
    for i in range(len(log_weights)):
        if log_uniforms[i] < log_weights[i] - log_weights[state]:
            state = i
            moves += 1
        if i >= warm and (i - warm + 1) % keep_every == 0:
            picked[kept] = state
            accepted[kept] = moves / keep_every
            kept += 1
            moves = 0
        elif i < warm:
            moves = 0


def pareto_k(log_weights: Array) -> float:
    """Shape of the generalized Pareto tail of importance weights (Zhang & Stephens 2009; Vehtari et al. 2024)."""
    finite = np.sort(log_weights[np.isfinite(log_weights)])
    size = int(min(0.2 * len(finite), 3 * math.sqrt(len(finite))))
    if size < 5:
        return math.inf
    top = np.exp(finite - finite[-1])
    x = top[-size:] - top[-size - 1]
    if x[-1] <= 1e-12:
        return -math.inf  # all weights alike
    points = 30 + int(math.sqrt(size))
    quartile = max(x[int(size / 4 + 0.5) - 1], 1e-300)
    b = (1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3 * quartile) + 1 / x[-1]
    k = np.mean(np.log1p(-b[:, None] * x), axis=1)
    profile = size * (np.log(-(b / k)) - k - 1)
    weights = 1 / np.exp(profile - profile[:, None]).sum(axis=1)
    shape = float(np.mean(np.log1p(-(b @ weights) * x)))
    return (shape * size + 0.5 * 10) / (size + 10)  # their weak prior towards one half


def explore(
    collapsed: Collapsed,
    chains: int,
    draws: int,
    rng: np.random.Generator,
    threads: int = 1,
    tell: Callable[[int, int], None] | None = None,
) -> Explored:
    """Draw θ | y: independence chains from a frozen mixture.

    Parameters
    ----------
    chains, draws : kept draws; each is the last of keep_every proposals, keep_every chosen so that
        successive kept draws are nearly independent
    tell : told (done, total) proposals weighed

    Raises
    ------
    SamplingError : Pareto k over 0.7 or acceptance under 5 %: the draws could not be trusted
    """
    density = Density(collapsed, threads)
    mode, covariance = find_mode(density, _start(density, rng))
    mixture = refine(density, mode, covariance, rng)

    pilot = mixture.sample(rng, 1000)
    heights = density(pilot)
    pilot_weights = heights - mixture.logpdf(pilot)
    keep_every = _spacing(pilot_weights)
    warm = 20 * keep_every
    length = warm + draws * keep_every
    theta = mixture.sample(rng, chains * length)
    heights = np.concatenate([heights, _in_parts(density, theta, tell)])
    theta = np.concatenate([pilot, theta])
    log_weights = heights - mixture.logpdf(theta)
    _check(log_weights)

    picked = np.empty((chains, draws), np.int64)
    accepted = np.empty((chains, draws))
    log_uniforms = np.log(rng.random((chains, length)))
    chances = np.exp(pilot_weights - pilot_weights.max())
    starts = rng.choice(len(pilot), size=chains, p=chances / chances.sum())
    for chain in range(chains):
        own = slice(len(pilot) + chain * length, len(pilot) + (chain + 1) * length)
        # Slot 0 is the chain's start, drawn from the weighted pilot; its own proposals follow.
        weights = np.concatenate([log_weights[starts[chain] : starts[chain] + 1], log_weights[own]])
        uniforms = np.concatenate([[0.0], log_uniforms[chain]])
        _walk(weights, uniforms, 0, keep_every, picked[chain], accepted[chain])
        picked[chain] = np.where(picked[chain] == 0, starts[chain], picked[chain] - 1 + own.start)
    acceptance = float(accepted.mean())
    k = pareto_k(log_weights)
    if acceptance < ACCEPT_LIMIT or k > PARETO_LIMIT:
        raise SamplingError(
            f"the exact engine could not explore this posterior well enough to be trusted "
            f"(acceptance {acceptance:.0%}, Pareto k {k:.2f}; needed: at least {ACCEPT_LIMIT:.0%}, at most "
            f"{PARETO_LIMIT}). Give tau and sigma tighter priors, or let fewer coefficients vary by group"
        )
    share = _share(log_weights)
    top = log_weights.max()
    return Explored(
        theta=theta[picked],
        log_posterior=heights[picked],
        accepted=accepted,
        acceptance=acceptance,
        pareto_k=k,
        ess_share=share,
        keep_every=keep_every,
        log_evidence=float(top + math.log(np.exp(log_weights - top).mean())),
        log_evidence_error=math.sqrt(max(1 / share - 1, 0.0) / len(log_weights)),
        evaluations=density.evaluations,
    )


def _in_parts(density: Density, theta: Array, tell: Callable[[int, int], None] | None) -> Array:
    """The density of many θ, in parts of a second or less so that progress can be told."""
    cost = density.collapsed.problem.J * density.collapsed.problem.D**2 * 2.5e-9
    size = max(64, min(len(theta), int(1.0 / cost)))
    parts = []
    for lo in range(0, len(theta), size):
        parts.append(density(theta[lo : lo + size]))
        if tell:
            tell(min(lo + size, len(theta)), len(theta))
    return np.concatenate(parts)


def _check(log_weights: Array) -> None:
    if not np.isfinite(log_weights).any():
        raise SamplingError("no proposal of the exact engine has a computable density; rescale the outcome")


def _spacing(log_weights: Array) -> int:
    """Proposals a kept draw: the least k with correlation of successive kept draws under STUCK.

    A chain at a state of weight w stays there with probability s(w) = 1 − E min(1, w'/w); under the
    posterior, k proposals in a row are refused with probability E s(w)^k.
    """
    w = np.exp(np.sort(log_weights) - log_weights.max())
    w = w[w > 0]
    total = np.cumsum(w)
    # E min(1, w'/w_i): the smaller weights count as w'/w_i, the rest as one.
    moved = (total / w + np.arange(len(w) - 1, -1, -1)) / len(log_weights)
    stay = 1.0 - np.minimum(moved, 1.0)
    target = w / w.sum()
    for k in range(1, MAX_KEEP_EVERY):
        if target @ stay**k < STUCK:
            return k
    return MAX_KEEP_EVERY

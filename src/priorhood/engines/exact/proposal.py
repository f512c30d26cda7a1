"""The proposal for θ: a mixture of t distributions refined by importance weights (math.md, section 4, step 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from priorhood._system import ONE_THREAD

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.engines.exact.mode import Target
    from priorhood.engines.exact.mode_search import Modes

DEGREES = 5.0  # degrees of freedom of the t distributions …
NEARLY_NORMAL = 500.0  # … of one that is Normal except in its far tails …
LIGHT = 30.0  # … and of one in between, tried if those tails are too light
GUARD = 0.03  # share of the wide mixture in a mixture with one of these
ROUND = 500  # draws per refinement round, times 1 + dim/4
ROUNDS = 9
MAX_PARTS = 7
EM_STEPS = 8
ALONG = 15.0  # added variance along an axis, in posterior variances
GOOD_WEIGHTS = 0.7  # refinement stops at this effective share of the weights …
GAIN = 1.05  # … or when a round improves it by less than this factor
MAX_FITTED = 20_000  # draws to which a wider proposal is fitted
IN_CACHE = 50_000  # numbers
MIN_SHARE = 0.1  # smallest number of a mode's first draws, as a share of the largest mode's
GRID = 2.0**-8  # step to which a part's mean and factor are rounded, in units of its smallest sd


@dataclass(frozen=True)
class Mixture:
    """A mixture of t distributions, Σ_c weight_c t(mean_c, scale_c; degrees_c).

    Attributes
    ----------
    weights : tuple of float
        weight of every part
    means : tuple of array (dim,)
        mean of every part
    factors : tuple of array (dim, dim)
        Cholesky factor of every part's scale
    drawn_out : array (P, dim) or None
        variances added along the axes: the last P dim parts are the first P parts, each with the variance of one
        axis added. `factors` includes theirs; the variances make their densities cheap
    degrees : tuple of float
        degrees of freedom of every part; DEGREES for all if empty
    """

    weights: tuple[float, ...]
    means: tuple[Array, ...]
    factors: tuple[Array, ...]
    drawn_out: Array | None = None
    degrees: tuple[float, ...] = ()

    @cached_property
    def _degrees(self) -> Array:
        """Degrees of freedom (parts,)."""
        return np.array(self.degrees or (DEGREES,) * len(self.means))

    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """Draw from the mixture: (count, dim)."""
        dim = len(self.means[0])
        which = rng.choice(len(self.weights), size=count, p=self.weights)
        noise = rng.standard_normal((count, dim))
        degrees = self._degrees[which]
        noise /= np.sqrt(rng.chisquare(degrees) / degrees)[:, None]
        theta = np.empty((count, dim))
        order = np.argsort(which, kind="stable")
        ends = np.searchsorted(which[order], np.arange(len(self.means) + 1))
        for part, (mean, factor) in enumerate(zip(self.means, self.factors, strict=True)):
            draws = order[ends[part] : ends[part + 1]]
            theta[draws] = mean + rows_times(factor, noise[draws])
        return theta

    @cached_property
    def plain(self) -> int:
        """Number of parts that are not drawn out."""
        return len(self.means) - (0 if self.drawn_out is None else self.drawn_out.size)

    @cached_property
    def _constants(self) -> tuple[Array, Array, Array]:
        """Means (plain, dim, 1), inverse factors (plain, dim, dim), and log weight + log density at the mean.

        The last is of every part: (parts, 1).
        """
        dim = len(self.means[0])
        norm = np.array([
            math.lgamma((v + dim) / 2) - math.lgamma(v / 2) - 0.5 * dim * math.log(v * math.pi)
            for v in self._degrees.tolist()
        ])  # fmt: skip
        size = np.log(np.einsum("cdd->cd", np.stack(self.factors))).sum(axis=1)
        peaks = np.asarray(np.log(self.weights) + norm - size)[:, None]
        inverse = np.linalg.inv(np.stack(self.factors[: self.plain]))
        return np.stack(self.means[: self.plain])[:, :, None], inverse, peaks

    def logpdf_parts(self, theta: Array) -> Array:
        """Return log weight plus log density of every part: (parts, S)."""
        density = np.empty((len(self.means), len(theta)))
        for block in self._blocks(theta):
            density[:, block] = self._heights(theta[block])
        return density

    def logpdf(self, theta: Array) -> Array:
        """Return the log density: (S,)."""
        density = np.empty(len(theta))
        for block in self._blocks(theta):
            heights = self._heights(theta[block])
            top = heights.max(axis=0)
            density[block] = top + np.log(np.exp(heights - top).sum(axis=0))
        return density

    def _blocks(self, theta: Array) -> list[slice]:
        """Return slices of θ so small that all parts' numbers stay in the cache and products on one thread."""
        dim = theta.shape[1]
        size = max(16, min(IN_CACHE // (len(self.means) * dim), ONE_THREAD // dim**2))
        return [slice(lo, lo + size) for lo in range(0, len(theta), size)]

    def _heights(self, theta: Array) -> Array:
        """Return log weight plus log density of every part for one slice of θ: (parts, S).

        For the drawn out parts, a variance v along an axis e has rank 1 (Sherman & Morrison):

        xᵀ(FFᵀ + v eeᵀ)⁻¹x = |F⁻¹x|² − v (uᵀF⁻¹x)² / (1 + v |u|²),  u = F⁻¹e
        """
        dim = theta.shape[1]
        means, inverse, peaks = self._constants
        white = inverse @ (theta.T - means)
        distance = np.einsum("cds,cds->cs", white, white)
        if self.drawn_out is not None:
            P = len(self.drawn_out)
            size = np.einsum("cda,cda->ca", inverse[:P], inverse[:P])
            across = inverse[:P].swapaxes(1, 2) @ white[:P]
            across *= across
            across *= (self.drawn_out / (1 + self.drawn_out * size))[:, :, None]
            along = np.maximum(distance[:P, None] - across, 0.0).reshape(-1, white.shape[2])
            distance = np.concatenate([distance, along])
        degrees = self._degrees[:, None]
        return np.asarray(peaks - 0.5 * (degrees + dim) * np.log1p(distance / degrees))


def _factor(covariance: Array, floor: Array) -> Array:
    """Return the Cholesky factor of a covariance, its eigenvalues at least a share of the floor's diagonal."""
    scale = np.sqrt(np.diag(floor))
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    values = np.maximum(values, 1e-4)
    return np.asarray(np.linalg.cholesky((vectors * values) @ vectors.T * np.outer(scale, scale)))


def on_grid(mean: Array, factor: Array) -> tuple[Array, Array]:
    """Round a part's mean (dim,) and Cholesky factor (dim, dim) to a grid far finer than the part is wide.

    Rows in another order give sums that differ by rounding, and a mode and curvature that differ slightly more: on
    the grid both give the same part, whose draws have the same bits.
    """
    diagonal = np.diag(factor)
    # Steps are powers of two: a step with a rounding error would move every multiple of it.
    step = GRID * 2.0 ** np.floor(np.log2(diagonal.min()))
    rounded = np.round(factor / step) * step
    each = GRID * 2.0 ** np.floor(np.log2(diagonal))
    np.fill_diagonal(rounded, np.round(diagonal / each) * each)
    return np.round(mean / step) * step, np.tril(rounded)


def rows_times(matrix: Array, theta: Array) -> Array:
    """Multiply every row of theta (S, n) by a matrix (m, n): (S, m).

    It uses NumPy's loop: after a tall product the threads of a linear algebra library keep spinning for a tenth of
    a second on the cores that the engine's threads need. So all sums over many θ use einsum and sum, not @.
    """
    return np.asarray(np.einsum("ab,sb->sa", matrix, theta))


def _whitened(factor: Array, off: Array) -> Array:
    """Return F⁻¹x of every row x of off (S, dim)."""
    return rows_times(np.asarray(np.linalg.inv(factor), dtype=np.float64), off)


def _weighted(theta: Array, weights: Array) -> tuple[Array, Array]:
    """Return mean and covariance of weighted draws."""
    mean = np.einsum("s,sa->a", weights, theta)
    off = (theta - mean) * np.sqrt(weights)[:, None]
    return mean, np.einsum("sa,sb->ab", off, off)


def _cluster(
    theta: Array, weights: Array, floor: Array, parts: int, rng: np.random.Generator, modes: tuple[Array, ...] = ()
) -> Mixture:
    """Fit a mixture of `parts` t's to weighted draws by expectation–maximization, starting at the modes if several.

    Each covariance is shrunk a little towards that of all draws, so that no part collapses onto a few of them.
    """
    mean, covariance = _weighted(theta, weights)
    factor = _factor(covariance, floor)
    white = _whitened(factor, theta - mean)
    if len(modes) > 1:
        at_modes = _whitened(factor, np.array(modes) - mean)
        parts += len(modes) - 1
        centres = np.concatenate([at_modes, white[_spread_out(white, weights, parts, rng, at_modes)]])
    else:
        centres = white[_spread_out(white, weights, parts, rng)]
    share = np.exp(-0.5 * ((white[:, None] - centres) ** 2).sum(axis=2))
    share = share / np.maximum(share.sum(axis=1, keepdims=True), 1e-300)
    mixture = Mixture((1.0,), (mean,), (_factor(0.8 * covariance, floor),))
    for _ in range(EM_STEPS):
        mass = np.einsum("s,sc->c", weights, share)
        keep = mass > (0.02 if len(modes) < 2 else 0.002)
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


def _spread_out(
    white: Array, weights: Array, parts: int, rng: np.random.Generator, modes: Array | None = None
) -> list[int]:
    """Return indices of weighted draws far from each other and from the modes (k-means++), where clusters start."""
    points = [] if modes is None else list(modes)
    chosen = [] if points else [int(rng.choice(len(white), p=weights))]
    while len(points) + len(chosen) < parts:
        gap = np.min([((white - c) ** 2).sum(axis=1) for c in (*points, *white[chosen])], axis=0)
        chances = weights * gap
        if not chances.sum() > 0:
            break  # fewer weighted draws than parts
        chosen.append(int(rng.choice(len(white), p=chances / chances.sum())))
    return chosen


def _guarded(
    fit: Mixture, first: Mixture, theta: Array, weights: Array, floor: Array, guard: float, along: float
) -> Mixture:
    """Add to the fitted parts the first proposal, a wide part, and every part drawn out along every axis.

    As a spread goes to 0 the data are uninformative about it and the other coordinates do not move: log τ then has
    a long tail along its axis, as thin as the part it starts from, which a wide t covers only thinly.
    """
    mean, covariance = _weighted(theta, weights)
    mean, whole = on_grid(mean, _factor(covariance, floor))
    parts = [on_grid(*part) for part in zip(fit.means, fit.factors, strict=True)]
    fit = Mixture(fit.weights, tuple(m for m, _ in parts), tuple(f for _, f in parts))
    covariance, dim = whole @ whole.T, len(mean)
    # The first proposal has the modes that the fit lost, so every mode has a part.
    initial, wide, out = (0.15, 0.25, 0.6) if len(first.means) == 1 else (0.4, 0.2, 0.4)
    added = along * np.diag(covariance)
    axes = [np.diag(added * unit) for unit in np.eye(dim)]
    drawn_out = [
        (out * guard * weight / dim, centre, _factor(factor @ factor.T + axis, floor))
        for weight, centre, factor in zip(fit.weights, fit.means, fit.factors, strict=True)
        for axis in axes
    ]
    return Mixture(
        (
            *((1 - guard) * w for w in fit.weights),
            *(initial * guard * w for w in first.weights),
            wide * guard,
            *(w for w, _, _ in drawn_out),
        ),
        (*fit.means, *first.means, mean, *(m for _, m, _ in drawn_out)),
        (*fit.factors, *first.factors, _factor(2.0 * covariance, floor), *(f for _, _, f in drawn_out)),
        np.tile(added, (len(fit.means), 1)),
    )


def _tempered(log_weights: Array) -> Array:
    """Return weights with sum 1, capped at 1/50: a very large weight shows where the mass is, but not its width."""
    weights = np.exp(log_weights - log_weights.max())
    weights = np.minimum(weights, weights.sum() / 50)
    return np.asarray(weights / weights.sum())


def widen(
    first: Mixture, theta: Array, log_weights: Array, floor: Array, attempt: int, rng: np.random.Generator
) -> Mixture:
    """Fit a proposal with heavier tails to draws whose weights show that the last proposal's tails were too thin.

    With very many draws, a sample by weight gives as good a fit as all of them in a tenth of the time.
    """
    weights = _tempered(log_weights)
    if len(theta) > MAX_FITTED:
        theta = theta[rng.choice(len(theta), size=MAX_FITTED, p=weights)]
        weights = np.full(MAX_FITTED, 1 / MAX_FITTED)
    fit = _cluster(theta, weights, floor, MAX_PARTS + attempt, rng, first.means)
    return _guarded(fit, first, theta, weights, floor, guard=0.2, along=ALONG * 2**attempt)


def effective_share(log_weights: Array) -> float:
    """Return the effective share of importance weights: (Σw)² / (n Σw²)."""
    if not np.isfinite(log_weights).any():
        return 0.0
    w = np.exp(log_weights - log_weights.max())
    return float(w.sum() ** 2 / (len(w) * (w**2).sum()))


@dataclass(frozen=True)
class Refined:
    """The result of refinement: a mixture and its draws.

    Attributes
    ----------
    mixture : Mixture
        the refined mixture
    first : Mixture
        the t's at the modes, with which refinement began
    floor : array (dim, dim)
        matrix whose diagonal keeps parts from collapsing
    theta : array (n, dim)
        draws of the mixture
    heights : array (n,)
        log p(θ | y) up to a constant
    """

    mixture: Mixture
    first: Mixture
    floor: Array
    theta: Array
    heights: Array

    @cached_property
    def log_weights(self) -> Array:
        """Log importance weights (n,)."""
        return np.asarray(self.heights - self.mixture.logpdf(self.theta))


def at_modes(modes: Modes) -> Mixture:
    """Return a t at every mode, with the curvature's covariance, weighted by its mass, at least MIN_SHARE."""
    parts = [on_grid(m, _factor(c, c)) for m, c in zip(modes.means, modes.covariances, strict=True)]
    shares = np.maximum(np.exp(modes.log_masses - modes.log_masses.max()), MIN_SHARE)
    # Masses that differ by rounding give the same draws.
    shares = np.round(shares * 1024.0) / 1024.0
    return Mixture(
        tuple((shares / shares.sum()).tolist()), tuple(mean for mean, _ in parts), tuple(f for _, f in parts)
    )


def refine(density: Target, modes: Modes, rng: np.random.Generator) -> Refined:
    """Refine a proposal by adaptive multiple importance sampling (Cornuet et al. 2012): weight, refit, repeat.

    All draws so far are weighted against the mixture of all proposals so far, so none is wasted.
    """
    first = at_modes(modes)
    factor = first.factors[0] if len(first.means) == 1 else _factor(modes.scale, modes.scale)
    floor, dim = factor @ factor.T, len(factor)
    proposals, heights = [first], []
    every, mixed = np.empty((0, dim)), np.empty(0)
    best, best_share = Refined(first, first, floor, every, mixed), 0.0
    count = int(ROUND * (1 + dim / 4) * (1 + 0.5 * (len(first.means) - 1)))
    for round_number in range(ROUNDS):
        current = proposals[-1]
        theta = current.sample(rng, count)
        heights.append(density(theta))
        share = effective_share(heights[-1] - current.logpdf(theta))
        gained = share > GAIN * best_share
        if share > best_share:
            best, best_share = Refined(current, first, floor, theta, heights[-1]), share
        if best_share > GOOD_WEIGHTS or (round_number > 3 and not gained and best_share > 0.5):
            break
        # Old draws are evaluated under the new proposal, new draws under all proposals.
        mixed = np.logaddexp(mixed, current.logpdf(every))
        mixed = np.concatenate([mixed, np.logaddexp.reduce([q.logpdf(theta) for q in proposals], axis=0)])
        every = np.concatenate([every, theta])
        log_weights = np.concatenate(heights) - mixed
        weights = _tempered(log_weights)
        # One part for an ellipse; more, round by round, for bent and two-armed shapes.
        fit = _cluster(every, weights, floor, min(1 + round_number, MAX_PARTS), rng, first.means)
        proposals.append(_guarded(fit, first, every, weights, floor, guard=0.16, along=ALONG))
    return best


def nearly_normal(refined: Refined) -> list[Mixture]:
    """Return mixtures of a near-Normal t with a little of the refined mixture; none if log p(θ | y) has no peak.

    The log of the Normal is the quadratic nearest to log p(θ | y) in mean square over the posterior, fitted to the
    heights of the refined mixture's draws: heights have no noise, so a hundred determine a quadratic better than
    the mean and covariance of a hundred thousand draws.

    Returns
    -------
    (1 − GUARD) t + GUARD refined mixture, with NEARLY_NORMAL and LIGHT degrees: its density is at least GUARD times
    that of the refined one, so that its weights are bounded if those of the refined one are
    """
    if len(refined.first.means) > 1:
        return []
    theta, dim = refined.theta, refined.theta.shape[1]
    weights = _tempered(refined.log_weights)
    mean, covariance = _weighted(theta, weights)
    # If one draw has all the weight, there is no sd to standardize with.
    if not (np.diag(covariance) > 0).all():
        return []
    factor = _factor(covariance, covariance)
    white = _whitened(factor, theta - mean)
    rows, cols = np.tril_indices(dim)
    features = np.column_stack([np.ones(len(theta)), white, white[:, rows] * white[:, cols]])
    usable = np.isfinite(refined.heights)
    if usable.sum() < 4 * features.shape[1]:
        return []
    # The features are of standardized θ, so that the normal equations keep enough digits.
    root = np.sqrt(weights[usable])
    scaled = np.ascontiguousarray((features[usable] * root[:, None]).T)
    drop = (refined.heights[usable] - refined.heights[usable].max()) * root
    gram = np.einsum("as,bs->ab", scaled, scaled)
    fitted = np.linalg.lstsq(gram, np.einsum("as,s->a", scaled, drop), rcond=None)[0]
    precision = np.zeros((dim, dim))
    np.add.at(precision, (rows, cols), -fitted[1 + dim :])
    precision = precision + precision.T
    eigenvalues, vectors = np.linalg.eigh(precision)
    # The posterior's covariance is the unit matrix here: a Normal far from it does not fit this posterior.
    if eigenvalues[0] < 0.2 or eigenvalues[-1] > 5.0:
        return []
    spread = (vectors / eigenvalues) @ vectors.T
    centre = mean + factor @ (spread @ fitted[1 : 1 + dim])
    centre, narrow = on_grid(centre, np.linalg.cholesky(factor @ spread @ factor.T))
    # The narrow t comes after the plain parts, so that the drawn out parts stay the last.
    mixture, at = refined.mixture, refined.mixture.plain
    shares = [GUARD * weight for weight in mixture.weights]
    return [
        Mixture(
            (*shares[:at], 1 - GUARD, *shares[at:]),
            (*mixture.means[:at], centre, *mixture.means[at:]),
            (*mixture.factors[:at], narrow, *mixture.factors[at:]),
            mixture.drawn_out,
            (*(DEGREES,) * at, degrees, *(DEGREES,) * (len(mixture.means) - at)),
        )
        for degrees in (NEARLY_NORMAL, LIGHT)
    ]

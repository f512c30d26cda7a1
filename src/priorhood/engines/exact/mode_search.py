"""Search for all modes of log p(θ | y) with a share of the posterior (math.md, section 4, steps 1, 2).

If the peaks of priors lie far below the data's scale, each such scale may be small while the others take over its
effects: there are as many modes as ways to divide the rows' scatter. So the climb starts from the best of a crowd
of points, from the best with each subset of such scales moved to their priors' peaks, and from every hump on a line
through each mode found.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.errors import SamplingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array
    from priorhood.engines.exact.mode import Target

FAR, FAR_ABOVE = 1.5, 4.0  # in logs: a prior's peak this far below or above the data's scale is a start
MAX_SETS = 4  # largest number of scales with such a peak of which every subset is tried; else each alone, and all
NEIGHBOURS = 24  # members of the crowd from which the other coordinates are taken
LINE = 24  # points on a line through a mode …
LONG_LINE = 14  # … with more than six coordinates
VALLEY = 0.1  # smallest depth between two separate humps
MATTERS = 12.0  # log mass below the largest at which a mode is dropped
MAX_MODES = 16
STEPS = 60  # of a climb
LENGTHS = np.array([1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 1.5, 2.5])


@dataclass(frozen=True)
class Modes:
    """Modes, sorted by mass, largest first.

    Attributes
    ----------
    means : array (M, dim)
        positions
    covariances : array (M, dim, dim)
        covariances from the curvature
    log_masses : array (M,)
        log masses by Laplace's method, up to a constant
    heights : array (M,)
        log p(θ | y)
    """

    means: Array
    covariances: Array
    log_masses: Array
    heights: Array

    @property
    def scale(self) -> Array:
        """Matrix (dim, dim) whose diagonal has the smallest variance of every coordinate at any mode."""
        if len(self.means) == 1:
            return np.asarray(self.covariances[0])
        return np.diag(np.diagonal(self.covariances, axis1=1, axis2=2).min(axis=0))


def find_modes(density: Target, rng: np.random.Generator) -> Modes:
    """Find all modes within MATTERS of the largest.

    Raises
    ------
    SamplingError
        if the density is not finite anywhere near the data or the priors
    """
    crowd = density.crowd(rng)
    heights = density(crowd)
    if not np.isfinite(heights).any():
        raise SamplingError(
            "the posterior density could not be computed anywhere near the data's scale; "
            "look for extreme values in the outcome and predictors, or set outcome_unit",
            reason="the posterior density could not be computed anywhere near the data's scale",
        )
    starts = np.concatenate([crowd[np.argmax(heights)][None], _starts_at_peaks(density, crowd, heights)])
    return _modes_from(density, starts, [])


def with_more(density: Target, modes: Modes, starts: Array) -> Modes | None:
    """Return the modes and those reached from further starts; None if there are no new modes."""
    known = list(zip(modes.heights.tolist(), modes.means, modes.covariances, strict=True))
    more = _modes_from(density, starts, known)
    return more if len(more.means) > len(modes.means) else None


def _modes_from(density: Target, starts: Array, tops: list[tuple[float, Array, Array]]) -> Modes:
    """Return the known modes, those above the starts, and those above humps on lines through new modes."""
    while len(starts):
        new: list[tuple[float, Array, Array]] = []
        for top in sorted(climb(density, starts), key=lambda top: -top[0]):
            if np.isfinite(top[0]) and not any(_same(density, top, other) for other in (*tops, *new)):
                new.append(top)
        tops += new
        tops.sort(key=lambda top: -top[0])
        del tops[MAX_MODES:]
        starts = np.concatenate([
            np.empty((0, density.dim)),
            *(_humps(density, mean) for _, mean, _ in new if len(tops) < MAX_MODES),
        ])  # fmt: skip
    height, mean, covariance = (np.array(part) for part in zip(*tops, strict=True))
    masses = height + 0.5 * np.linalg.slogdet(covariance)[1]
    order = [at for at in np.argsort(-masses, kind="stable") if masses[at] >= masses.max() - MATTERS]
    return Modes(mean[order], covariance[order], masses[order], height[order])


def _starts_at_peaks(density: Target, crowd: Array, heights: Array) -> Array:
    """Return starts with every subset of the scales whose priors peak far from the data's scale at these peaks."""
    peaks = _peaks(density)
    off = peaks - density.centre
    far = np.flatnonzero((off < -FAR) | (off > FAR_ABOVE))
    if not len(far):
        return np.empty((0, density.dim))
    sizes = range(len(far) + 1) if len(far) <= MAX_SETS else (0, 1, len(far) - 1, len(far))
    sets = [list(subset) for size in sizes for subset in itertools.combinations(far.tolist(), size)]
    best = crowd[np.argsort(-heights, kind="stable")[: NEIGHBOURS // 2]]
    pool = np.concatenate([best, crowd[: NEIGHBOURS // 2]])
    tried = np.repeat(pool[None], 2 * len(sets), axis=0)
    for at, subset in enumerate(sets):
        # The others anywhere; and, to take over the effects of the small scales, those that could be small near the
        # data's scale.
        others = np.setdiff1d(far, subset)
        near = tried[2 * at + 1]
        near[:, others] = np.clip(near[:, others], density.centre[others] - 1.0, density.centre[others] + 1.0)
        tried[2 * at : 2 * at + 2, :, subset] = peaks[subset]
    height = density(tried.reshape(-1, density.dim)).reshape(len(tried), -1)
    usable = np.isfinite(height).any(axis=1)
    return np.asarray(tried[np.arange(len(tried)), np.argmax(height, axis=1)][usable])


def _peaks(density: Target) -> Array:
    """Return the peak of every coordinate's prior, the centre for coordinates without an axis: (dim,)."""
    pairs = zip(density.axes, density.centre.tolist(), strict=True)
    return np.array([centre if axis is None else axis.peak for axis, centre in pairs])


def _humps(density: Target, mode: Array) -> Array:
    """Return the tops of other humps on the lines through a mode along the coordinates: (n, dim)."""
    dim = density.dim
    count = LINE if dim <= 6 else LONG_LINE
    lines = np.tile(mode, (dim, count, 1))
    peaks = _peaks(density)
    low = np.maximum(density.low, np.minimum(density.centre - 8.0, peaks - 4.0))
    high = np.minimum(density.high, np.maximum(density.centre + 4.0, peaks + 4.0))
    for k in range(dim):
        ticks = np.linspace(low[k], high[k], count - 1)
        lines[k, :, k] = np.sort(np.append(ticks, mode[k]))
    heights = density(lines.reshape(-1, dim)).reshape(dim, count)
    tops = []
    for k in range(dim):
        home = int(np.argmin(np.abs(lines[k, :, k] - mode[k])))
        f = heights[k]
        left = np.append(-np.inf, f[:-1])
        right = np.append(f[1:], -np.inf)
        for top in np.flatnonzero(np.isfinite(f) & (f > left) & (f >= right)).tolist():
            between = f[min(top, home) : max(top, home) + 1]
            if top != home and between.min() < f[top] - VALLEY:
                tops.append(lines[k, top])
    return np.array(tops).reshape(-1, dim)


def _same(density: Target, top: tuple[float, Array, Array], other: tuple[float, Array, Array]) -> bool:
    """Return True if two tops are the same: close to each other, or without a valley between them."""
    off = top[1] - other[1]
    distance = min(float(off @ np.linalg.solve(covariance, off)) for covariance in (top[2], other[2]))
    if distance < 0.25:
        return True
    if distance > 25.0 and np.abs(off).max() > 3.0:
        return False
    between = density(other[1] + np.linspace(0.1, 0.9, 9)[:, None] * off)
    return bool(between.min() > min(top[0], other[0]) - VALLEY)


# -- the climb --------------------------------------------------------------------------------------------


def _derivatives(density: Callable[[Array], Array], at: Array, step: Array) -> tuple[Array, Array, Array]:
    """Return values (n,), gradients (n, dim) and Hessians (n, dim, dim) by central differences, in one batch."""
    n, dim = at.shape
    unit = np.eye(dim)
    both = np.array([unit[a] + unit[b] for a in range(dim) for b in range(a)]).reshape(-1, dim)
    stencil = np.concatenate([np.zeros((1, dim)), unit, -unit, both, -both])
    points = at[:, None] + stencil * step[:, None]
    f = density(points.reshape(-1, dim)).reshape(n, -1)
    with np.errstate(invalid="ignore"):
        plus, minus, middle = f[:, 1 : dim + 1], f[:, dim + 1 : 2 * dim + 1], f[:, :1]
        gradient = (plus - minus) / (2 * step)
        hessian = np.zeros((n, dim, dim))
        hessian[:, np.arange(dim), np.arange(dim)] = (plus - 2 * middle + minus) / step**2
        a, b = np.tril_indices(dim, -1)
        up, down = f[:, 2 * dim + 1 : 2 * dim + 1 + len(a)], f[:, 2 * dim + 1 + len(a) :]
        mixed = up + down - plus[:, a] - minus[:, a] - plus[:, b] - minus[:, b] + 2 * middle
        hessian[:, a, b] = hessian[:, b, a] = mixed / (2 * step[:, a] * step[:, b])
    return f[:, 0], gradient, hessian


def climb(density: Callable[[Array], Array], starts: Array) -> list[tuple[float, Array, Array]]:
    """Climb by damped Newton steps from all starts (n, dim) together.

    Every iteration is two batches: the stencils of differences, and a line of step lengths for each. If the density
    is not curved downwards, the step follows the absolute curvature, so it still climbs.

    Returns
    -------
    height, mode (dim,) and covariance (dim, dim) from the curvature, for every start
    """
    n, dim = starts.shape
    at, step = starts.copy(), np.full((n, dim), 1e-2)
    covariance = np.repeat(np.eye(dim)[None], n, axis=0)
    height = np.full(n, -np.inf)
    on = np.arange(n)
    for _ in range(STEPS):
        value, gradient, hessian = _derivatives(density, at[on], step[on])
        height[on] = np.maximum(height[on], value)
        usable = np.isfinite(hessian).all(axis=(1, 2)) & np.isfinite(gradient).all(axis=1)
        on, value, gradient, hessian = on[usable], value[usable], gradient[usable], hessian[usable]
        if not len(on):
            break
        eigenvalues, vectors = np.linalg.eigh(-hessian)
        # Flat or rising directions get the curvature of a coordinate known to within e^±2.
        bounded = np.maximum(np.abs(eigenvalues), 0.25)
        covariance[on] = (vectors / bounded[:, None, :]) @ vectors.swapaxes(1, 2)
        direction = (covariance[on] @ gradient[:, :, None])[:, :, 0]
        size = np.abs(direction).max(axis=1)
        direction *= np.minimum(1.0, 2.0 / np.maximum(size, 1e-300))[:, None]
        lines = at[on][:, None] + LENGTHS[:, None] * direction[:, None]
        heights = density(lines.reshape(-1, dim)).reshape(len(on), -1)
        best = np.argmax(heights, axis=1)
        reached = heights[np.arange(len(on)), best]
        better = reached > value
        on, moved, gain = on[better], lines[np.arange(len(best)), best][better], (reached - value)[better]
        at[on], height[on] = moved, reached[better]
        step[on] = np.clip(0.05 * np.sqrt(np.diagonal(covariance[on], axis1=1, axis2=2)), 1e-5, 1e-2)
        on = on[gain >= 1e-3]
        if not len(on):
            break
    return list(zip(height.tolist(), at, covariance, strict=True))

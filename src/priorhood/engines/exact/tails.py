"""The upper tail of every scale's posterior, far beyond any draws (docs/mathematics.md, section 7).

p(u | y) of a coordinate u of θ is its conditional maximum times the volume there (Laplace), node by node upwards
from its 90 % quantile, where draws of a reference run calibrate it. Everything is computed from the problem with
fixed random numbers, so that posteriors of the same sums have the same tails for every seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.engines.draws import flatten_chains
from priorhood.engines.exact.marginal import collapse
from priorhood.engines.exact.mode import Density
from priorhood.engines.exact.mode_search import climb
from priorhood.engines.exact.sampler import explore
from priorhood.engines.exact.theta import constrain
from priorhood.errors import SamplingError

if TYPE_CHECKING:
    from priorhood._arrays import Array, Index
    from priorhood.engines.exact.problem import Problem
    from priorhood.engines.exact.theta import Theta

# Upper probabilities: a tail is computed from BEGIN and used beyond BODY; the mean must not depend on the part
# between NEAR and FAR.
BEGIN, BODY, NEAR, FAR = 0.1, 0.01, 1e-4, 1e-6
SEED = 1
REFERENCE = 1000  # draws of θ of the reference run
SHOWN = 250  # draws that represent the body
MAX_STEPS = 60
DEEP = 30.0  # a tail ends where its log density is this far below that at its beginning
NODES = 12  # Gauss–Legendre nodes in each of a tail's two parts


@dataclass(frozen=True, repr=False)
class Reach:
    """Values of θ that represent a posterior's body and every scale's tail.

    Attributes
    ----------
    values : Theta
        N draws and nodes of θ
    near, far : array (N,)
        their masses below and above the scales' 1 − NEAR quantiles
    tail_scale : array (N,)
        index of the scale in whose tail the node lies; −1 in the body
    scales : tuple of (int, int)
        grouping and term of every free scale; grouping −1 for σ
    limits : array
        1 − FAR quantiles of the scales
    """

    values: Theta
    near: Array
    far: Array
    tail_scale: Index
    scales: tuple[tuple[int, int], ...]
    limits: Array


def reach_of(problem: Problem, threads: int) -> Reach | None:
    """Compute the reach of every free scale; None if there is none or the reference run fails."""
    density = Density(collapse(problem), threads)
    scales: list[tuple[int, int]] = []
    coordinates: list[int] = []
    first = 0
    for which, level in enumerate(problem.varying):
        scales += [(which, int(k)) for k in level.free]
        coordinates += range(first, first + len(level.free))
        first += len(level.free) + level.pairs
    if not problem.known_noise:
        scales.append((-1, 0))
        coordinates.append(first)
    if not scales:
        return None
    try:
        explored = explore(density, 2, REFERENCE // 2, np.random.default_rng(SEED))
    except SamplingError:
        return None
    theta = flatten_chains(explored.theta)
    tails = [upper_tail(*_marginal(density, theta, at)) for at in coordinates]
    inside = np.ones(len(theta), dtype=bool)
    for at in coordinates:
        inside &= theta[:, at] <= np.quantile(theta[:, at], 1.0 - BODY)
    body = theta[inside][:: max(1, int(inside.sum()) // SHOWN)]
    nodes, near, far = [body], [np.full(len(body), inside.mean() / len(body))], [np.zeros(len(body))]
    tail_scale, limits = [np.full(len(body), -1)], []
    for number, (at, tail) in enumerate(zip(coordinates, tails, strict=True)):
        u, weights, beyond, limit, rest = tail
        nodes.append(np.insert(rest, at, u, axis=1))
        near.append(np.where(beyond, 0.0, weights))
        far.append(np.where(beyond, weights, 0.0))
        tail_scale.append(np.full(len(u), number))
        limits.append(limit)
    values = constrain(problem, np.concatenate(nodes))
    ends = np.tile(np.median(theta, axis=0), (len(limits), 1))
    ends[np.arange(len(limits)), coordinates] = limits
    reached = constrain(problem, ends)
    return Reach(
        values, np.concatenate(near), np.concatenate(far), np.concatenate(tail_scale), tuple(scales),
        np.array([
            reached.sigma[i] if which < 0 else reached.tau[which][i, k] for i, (which, k) in enumerate(scales)
        ]),
    )  # fmt: skip


def _marginal(density: Density, theta: Array, at: int) -> tuple[Array, Array, Array, float]:
    """Return the log density of a coordinate's upper tail, from the reference draws theta (S, dim).

    Returns
    -------
    points (n,) upwards from its 1 − BEGIN quantile, log p there (n,) up to a constant, by Laplace's method, modes
    of the other coordinates (n, dim − 1), and the coordinate's 1 − BODY quantile
    """
    draws = theta[:, at]
    begin, body = np.quantile(draws, [1.0 - BEGIN, 1.0 - BODY])
    step = max(0.75 * (body - begin), 0.02)
    start = np.delete(theta[draws >= begin], at, axis=1).mean(axis=0)
    points, heights, modes = [], [], []
    u = float(begin)
    for _ in range(MAX_STEPS):

        def others(rest: Array, u: float = u) -> Array:
            return density(np.insert(rest, at, u, axis=1))

        if len(start):
            _, start, covariance = climb(others, start[None])[0]
            height = float(others(start[None])[0] + 0.5 * np.linalg.slogdet(covariance)[1])
        else:
            height = float(others(np.zeros((1, 0)))[0])
        if not math.isfinite(height):
            break
        points.append(u)
        heights.append(height)
        modes.append(start)
        if height < heights[0] - DEEP:
            break
        u += step
    return np.array(points), np.array(heights), np.array(modes), float(body)


def upper_tail(
    points: Array, heights: Array, others: Array, body: float
) -> tuple[Array, Array, Array, float, Array]:
    """Return quadrature nodes of a tail of mass BEGIN whose log density is known at points, up to a constant.

    Returns
    -------
    nodes u (n,), their masses (n,), True beyond the 1 − NEAR quantile (n,), the 1 − FAR quantile, and others
    interpolated at u (n, m)
    """
    from scipy.interpolate import PchipInterpolator

    if len(points) < 2:
        u = points if len(points) else np.array([body])
        rest = others if len(points) else np.zeros((1, others.shape[-1] if others.ndim > 1 else 0))
        return u, np.zeros(1), np.zeros(1, dtype=bool), float(u[-1]), rest
    shape = PchipInterpolator(points, heights)
    fine = np.linspace(points[0], points[-1], 200 * len(points))
    p = np.exp(shape(fine) - heights.max())
    pieces = 0.5 * (p[1:] + p[:-1]) * (fine[1] - fine[0])
    above = np.append(np.cumsum(pieces[::-1])[::-1], 0.0)
    above *= BEGIN / above[0]
    scale = BEGIN / pieces.sum()
    near, far = (float(np.interp(math.log(q), np.log(above[:-1])[::-1], fine[:-1][::-1])) for q in (NEAR, FAR))
    at, w = np.polynomial.legendre.leggauss(NODES)
    parts = [(min(body, near), near), (near, far)]
    u = np.concatenate([0.5 * (hi - lo) * at + 0.5 * (hi + lo) for lo, hi in parts])
    mass = np.concatenate([0.5 * (hi - lo) * w for lo, hi in parts]) * scale * np.exp(shape(u) - heights.max())
    rest = PchipInterpolator(points, others, axis=0)(u) if others.shape[1] else np.zeros((len(u), 0))
    return u, mass, np.repeat([False, True], NODES), far, np.asarray(rest)

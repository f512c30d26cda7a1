"""Standardized residuals of rows under every posterior draw, summed by place (docs/mathematics.md, section 9).

If the model is right, a posterior draw together with the data is one more draw of both from the model. So the
standardized residuals under one draw are independent standard Normals, however few rows a place has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from priorhood._system import cores, in_threads
from priorhood._text import suggestion
from priorhood.diagnostics.uniformity import UniformityTest
from priorhood.errors import TableError
from priorhood.model.expression import Expression
from priorhood.prediction.observed import used_rows
from priorhood.prediction.places import Groups
from priorhood.prediction.predict import BLOCK
from priorhood.prediction.rows import locations

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Flags, Index, Labels
    from priorhood.data.sources.table import Table
    from priorhood.posterior.posterior import Posterior
    from priorhood.prediction.coefficients import Coefficients, GroupDraws
    from priorhood.prediction.observed import ObservedRows

INSIDE = (0.5, 0.8, 0.9)
BINS = 50  # of the PIT values' distribution function
DRAWS = 1000  # posterior draws under which residuals are computed, at most
LINES = 50  # draws under which the distribution of the PIT values is tested
MAX_ROWS = 10_000  # rows of which that distribution is made, at most
EFFECT_DRAWS = 200
FLAT = 1e-9
EDGES = tuple(NormalDist().inv_cdf(0.5 + share / 2) for share in INSIDE)


@dataclass(frozen=True)
class PlaceStatistics:
    """Statistics of the residuals of one place.

    pit, tail : (n,) see Residuals; z : (n,) mean of each row's residual over the draws
    mean, sd : of all residuals; inside : (3,) shares of them inside INSIDE
    level, spread : (2,); slopes : (2, T) probabilities of statistics at most and at least as large
    counts : (LINES, BINS) rows by their PIT value under one draw
    """

    pit: Array
    tail: Array
    z: Array
    mean: float
    sd: float
    inside: Array
    level: Array
    spread: Array
    slopes: Array
    counts: Index


@dataclass(frozen=True)
class Residuals:
    """The residuals of a table's rows, place by place.

    place : (N,) index of each row's place; y : (N,) outcome as in the formula, in the data's units
    pit : (N,) P(y < y_i), the mean over the draws; tail : (N,) the smaller of pit and 1 − pit, exact where pit
    rounds to 1; z : (N,) mean of each row's residual over the draws
    labels : (J,) of the places; found : (J,) their statistics; terms : (T,) names of the slopes
    counts : (LINES, BINS − 1) rows whose PIT value under one draw is below k/BINS; (1, BINS − 1) of `pit` where the
    rows are not the fit's; shown : number of rows counted
    own : whether these are the rows of the fit
    """

    used: ObservedRows
    place: Index
    y: Array
    pit: Array
    tail: Array
    z: Array
    labels: Labels
    found: tuple[PlaceStatistics, ...]
    terms: tuple[str, ...]
    counts: Index
    shown: int
    own: bool

    @cached_property
    def p_uniform(self) -> float:
        """p-value of the PIT values' uniformity: twice the mean of the p-values under single draws."""
        uniform = UniformityTest(self.shown, BINS - 1)
        return min(2.0 * float(np.mean([uniform.p_value(counts) for counts in self.counts])), 1.0)

    def of(self, name: str) -> Array:
        """Return one of the fields of OfPlace for all places: places last."""
        return np.stack([np.asarray(getattr(one, name)) for one in self.found], axis=-1)


def residuals(
    post: Posterior,
    table: object,
    unseen: str,
    seed: int,
    places: object = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Residuals:
    """Return the residuals of a table's rows under up to DRAWS draws; rows × draws are never in memory at once.

    Raises
    ------
    TableError, ModelError
        As from posterior_predictive; no outcome in the table.
    """
    c, source = thinned(post, DRAWS), outcome_required(post, post.placed(table, places))
    used = used_rows(source, c, unseen)
    if used.labels is None:
        labels, place = np.array([""]), np.zeros(len(used.kept), np.int64)
    else:
        labels, place = np.unique(used.labels, return_inverse=True)
        place = place.astype(np.int64)
    shown = np.zeros(len(place), dtype=bool)
    shown[:: -(-len(place) // MAX_ROWS)] = True
    work = _Work(post, c, used, Groups(c, used.rows.spots, unseen, seed), shown)
    order = np.lexsort((used.rows.group[used.kept], place))
    parts = np.split(order, np.cumsum(np.bincount(place, minlength=len(labels)))[:-1])
    tell = None if progress is None else partial(progress, "assessing")
    found = in_threads(work.of_place, [(part,) for part in parts], cores(), tell)
    rows = {name: np.empty(len(place)) for name in ("pit", "tail", "z")}
    for name, values in rows.items():
        values[order] = np.concatenate([getattr(one, name) for one in found])
    own = _are_own(post, used, labels, place)
    # Other rows of a place share the uncertainty about it: only their PIT values over all draws are uniform.
    binned = np.sum([one.counts for one in found], axis=0) if own else _binned(rows["pit"][shown, None])
    counts = np.cumsum(binned, axis=1)[:, :-1]
    return Residuals(
        used=used, place=place, y=np.asarray(used.y), **rows, labels=labels, found=tuple(found), terms=work.terms,
        counts=counts.astype(np.int64), shown=int(shown.sum()), own=own,
    )  # fmt: skip


def outcome_required(post: Posterior, source: Table) -> Table:
    """Return the table if it has the outcome.

    Raises
    ------
    TableError
        It has no such column.
    """
    for name in Expression(post.model.formula.outcome).names:
        if name not in source.columns:
            raise TableError(
                f"{source.name} has no column {name!r} (the outcome): {suggestion(name, source.columns)}. Rows "
                f"are held against their outcomes"
            )
    return source


def thinned(post: Posterior, most: int) -> Coefficients:
    """Return the coefficients under at most so many draws, evenly spaced along every chain."""
    draws = post.tree["posterior"].to_dataset()
    step = -(-draws.sizes["chain"] * draws.sizes["draw"] // most)
    # From the end of each chain, whose start counts least.
    chosen = draws.isel(draw=slice(None, None, -step)).isel(draw=slice(None, None, -1))
    return post._coefficients(chosen)


def _are_own(post: Posterior, used: ObservedRows, labels: Labels, place: Index) -> bool:
    """Return whether the rows used are those of the fit, by their number in every place and the mean outcome."""
    m = post.moments
    if len(used.kept) != m.listed:
        return False
    if post.hierarchy.levels and set(labels.tolist()) != set(post.hierarchy.levels[0].labels.tolist()):
        return False
    if post.model.frequency_weights is not None:
        return True
    if post.hierarchy.levels:
        finest = post.hierarchy.levels[0]
        size = dict(zip(finest.labels.tolist(), finest.total(m.n), strict=True))
        if any(size[label] != count for label, count in zip(labels.tolist(), np.bincount(place), strict=True)):
            return False
    return m.weight is not None or bool(np.isclose(np.mean(np.asarray(used.y)), m.pooled()[0][-1], rtol=1e-9))


@dataclass(frozen=True)
class _Work:
    """Input shared by the work on all places.

    shown : (N,) whether a row's PIT values under single draws are counted
    """

    post: Posterior
    c: Coefficients
    used: ObservedRows
    groups: Groups
    shown: Flags

    @cached_property
    def lines(self) -> Index:
        """(LINES,) positions of the draws under which PIT values are counted."""
        return np.unique(np.linspace(0, len(self.c.mu) - 1, LINES).astype(np.int64))

    @cached_property
    def slopes(self) -> Index:
        """(T,) positions of the columns other than the constant."""
        return np.array([d for d, column in enumerate(self.post.design.columns) if column.factors], np.int64)

    @property
    def terms(self) -> tuple[str, ...]:
        """(T,) their names."""
        return tuple(self.post.design.names[d] for d in self.slopes)

    def of_place(self, part: Index) -> PlaceStatistics:
        """Return statistics of a place's residuals z = (y − xᵀβ)/σ under every draw (equations (23) and (24)).

        part : (n,) positions among the rows used
        """
        from scipy.special import ndtr

        T, S = len(self.slopes), len(self.c.mu)
        gram, cross, squares = np.zeros((T + 1, T + 1)), np.zeros((T + 1, S)), np.zeros(S)
        pit, tail, mean, inside = np.empty(len(part)), np.empty(len(part)), np.empty(len(part)), np.zeros(3)
        counts = np.zeros((len(self.lines), BINS), np.int64)
        for lo in range(0, len(part), BLOCK):
            some = part[lo : lo + BLOCK]
            z, W = self._scores(some)
            to = slice(lo, lo + len(some))
            low, high = ndtr(z).mean(axis=1), ndtr(-z).mean(axis=1)
            pit[to], tail[to], mean[to] = low, np.minimum(low, high), z.mean(axis=1)
            inside += [(np.abs(z) <= edge).mean(axis=1).sum() for edge in EDGES]
            counts += _binned(ndtr(z[np.ix_(self.shown[some], self.lines)]))
            gram += W.T @ W
            cross += W.T @ z
            squares += (z * z).sum(axis=0)
        n = len(part)
        level, slopes, spread = _statistics(gram, cross, squares, n)
        return PlaceStatistics(
            pit=pit, tail=tail, z=mean, mean=float(mean.mean()), sd=float(np.sqrt(squares.mean() / n)),
            inside=inside / n, level=level, spread=spread, slopes=slopes, counts=counts,
        )  # fmt: skip

    def _scores(self, some: Index) -> tuple[Array, Array]:
        """Return residuals (n, S) as Normal scores, and the columns 1, x (n, 1 + T) divided by the rows' errors."""
        at = self.used.kept[some]
        rows = self.used.rows
        m = locations(rows, self.groups, at)
        sigma, kind = self.groups.sigmas(rows.group[at])
        error = rows.error[at, None]
        y = self.post.scale.from_outcome(np.asarray(self.used.y)[some, None])
        z = (y - m) / (sigma[kind] * error)
        if self.c.nu is not None:
            from scipy.special import ndtri, stdtr

            z = -np.sign(z) * ndtri(stdtr(self.c.nu, -np.abs(z)))
        return z, np.column_stack([np.ones(len(some)), rows.X[at][:, self.slopes]]) / error


def _binned(u: Array) -> Index:
    """Count PIT values (n, lines) in each of BINS equal bins: (lines, BINS)."""
    at = np.minimum((u * BINS).astype(np.int64), BINS - 1)
    lines = u.shape[1]
    return np.bincount((np.arange(lines) * BINS + at).ravel(), minlength=lines * BINS).reshape(lines, BINS)


def _statistics(gram: Array, cross: Array, squares: Array, n: int) -> tuple[Array, Array, Array]:
    """Return level (2,), slopes (2, T) and spread (2,): means over the draws of both tails' probabilities.

    With W = (1, x) and w_d its d-th column less its part along the first:

        level wᵀz/|w| and slopes w_dᵀz/|w_d| ~ Normal(0, 1),    spread |z|² − |P_W z|² ~ χ²(n − rank W)

    None depends on β but through its mean. Both tails are 1 where a place has too few rows for a statistic.
    """
    from scipy.special import chdtr, chdtrc, ndtr

    slopes = np.ones((2, len(gram) - 1))
    along = gram[0, 1:] / gram[0, 0]
    left = np.diag(gram)[1:] - along * gram[0, 1:]
    for d in np.flatnonzero(left > FLAT * np.diag(gram)[1:]):
        t = (cross[d + 1] - along[d] * cross[0]) / np.sqrt(left[d])
        slopes[:, d] = ndtr(t).mean(), ndtr(-t).mean()
    t = cross[0] / np.sqrt(gram[0, 0])
    level = np.array([ndtr(t).mean(), ndtr(-t).mean()])
    size = np.sqrt(np.where(np.diag(gram) > 0, np.diag(gram), 1.0))
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    there = values > FLAT
    spread = np.ones(2)
    if n > there.sum():
        root = (vectors[:, there] / np.sqrt(values[there])).T @ (cross / size[:, None])
        rest = np.maximum(squares - (root**2).sum(axis=0), 0.0)
        spread[:] = chdtr(n - there.sum(), rest).mean(), chdtrc(n - there.sum(), rest).mean()
    return level, slopes, spread


def two_sided(tails: Array) -> Array:
    """Return two-sided p-values from both tails' probabilities (2, …), means over the draws of uniform p-values.

    A mean of uniform variables, however dependent, is at most α with probability of at most 2α (Rüschendorf 1982,
    Meng 1994): a factor of 2 for that, and 2 for the two sides.
    """
    return np.asarray(np.minimum(4.0 * tails.min(axis=0), 1.0))


def effect_p(post: Posterior, c: Coefficients) -> dict[str, tuple[Labels, Array]]:
    """Return for every grouping its places' labels, and p-values of their effects being like the others'.

    Under a right model ε = Λ⁻¹(β_own − β_parent) ~ Normal(0, I) for a posterior draw, so |ε|² ~ χ²(K). A grouping
    with spreads fixed at 0 is left out.
    """
    from scipy.special import chdtrc

    found = {}
    names = [g.group for g in post.model.formula.groupings]
    for at, grouping in enumerate(c.levels + c.crossed):
        if not (np.diagonal(grouping.spread, axis1=1, axis2=2) > 0).all():
            continue
        every = max(1, len(c.mu) // EFFECT_DRAWS)
        parts = []
        for some in grouping.blocks():
            effect = _effects(c, at, some)[::every]
            solved = np.linalg.solve(grouping.spread[::every], effect.swapaxes(1, 2))
            parts.append(chdtrc(effect.shape[2], (solved**2).sum(axis=1)).mean(axis=0))
        p = np.concatenate(parts)
        found[names[at]] = grouping.places.labels, np.minimum(2.0 * p, 1.0)
    return found


def _effects(c: Coefficients, at: int, some: Index) -> Array:
    """Return the effects of some places of a grouping, β_own − β_parent, in its own columns: (S, some, K)."""
    grouping: GroupDraws = (c.levels + c.crossed)[at]
    if at >= len(c.levels):
        return grouping.drawn(some)
    own = grouping.drawn(some)[:, :, : len(grouping.own)]  # its own columns come first
    parents = np.zeros((len(c.mu), 1, 1 + max(int(grouping.cols.max()), int(c.mu_cols.max(initial=0)))))
    parents[:, 0, c.mu_cols] = c.mu
    if at + 1 < len(c.levels):
        above = c.levels[at + 1]
        parents = np.repeat(parents, above.places.size, axis=1)
        parents[:, :, above.cols] = above.drawn(np.arange(above.places.size))
    return np.asarray(own - parents[:, grouping.places.parent[some]][:, :, grouping.own])

"""Standardized residuals of rows under every posterior draw, summed by place (docs/mathematics.md, section 9).

If the model is correct, a posterior draw together with the data is one more draw of both from the model. So the
standardized residuals under one draw are independent standard Normals, however few rows a place has.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from priorhood._system import cores, run_in_threads
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
    from priorhood.prediction.coefficients import Coefficients
    from priorhood.prediction.observed import ObservedRows

INSIDE = (0.5, 0.8, 0.9)
BINS = 50  # of the PIT values' distribution function
DRAWS = 1000  # at most so many posterior draws are used for residuals
LINES = 50  # draws under which the distribution of the PIT values is tested
MAX_ROWS = 10_000  # at most so many rows make up that distribution
EFFECT_DRAWS = 200
FLAT = 1e-9
EDGES = tuple(NormalDist().inv_cdf(0.5 + share / 2) for share in INSIDE)


@dataclass(frozen=True)
class PlaceStatistics:
    """Statistics of the residuals of one place.

    Attributes
    ----------
    pit, tail : ndarray
        (n,) see Residuals.
    z : ndarray
        (n,) mean of each row's residual over the draws.
    mean, sd : float
        Mean and sd of all residuals.
    inside : ndarray
        (3,) shares of the residuals inside INSIDE.
    level, spread : ndarray
        (2,) probabilities of statistics at most and at least as large.
    slopes : ndarray
        (2, T) the same for every slope.
    counts : ndarray of int
        (LINES, BINS) number of rows by their PIT value under one draw.
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

    Attributes
    ----------
    used : ObservedRows
        The rows used.
    place : ndarray of int
        (N,) index of each row's place.
    y : ndarray
        (N,) outcome as in the formula, in the data's units.
    pit : ndarray
        (N,) P(y < y_i), averaged over the draws.
    tail : ndarray
        (N,) the smaller of pit and 1 − pit, exact where pit rounds to 1.
    z : ndarray
        (N,) mean of each row's residual over the draws.
    labels : ndarray of str
        (J,) labels of the places.
    places : tuple of PlaceStatistics
        (J,) statistics of the places.
    terms : tuple of str
        (T,) names of the slopes.
    counts : ndarray of int
        (LINES, BINS − 1) number of rows whose PIT value under one draw is below k/BINS; (1, BINS − 1), from `pit`,
        if the rows are not those of the fit.
    shown : int
        Number of rows counted in `counts`.
    in_sample : bool
        Whether these are the rows of the fit.
    """

    used: ObservedRows
    place: Index
    y: Array
    pit: Array
    tail: Array
    z: Array
    labels: Labels
    places: tuple[PlaceStatistics, ...]
    terms: tuple[str, ...]
    counts: Index
    shown: int
    in_sample: bool

    @cached_property
    def p_uniform(self) -> float:
        """The p-value of the test of uniform PIT values: twice the mean of the p-values under single draws."""
        uniform = UniformityTest(self.shown, BINS - 1)
        return min(2.0 * float(np.mean([uniform.p_value(counts) for counts in self.counts])), 1.0)

    @property
    def p_far(self) -> float:
        """The p-value of the rows' distance from their predictions, however they depend on each other.

        e times the geometric mean of the rows' two-sided p-values is one (Vovk & Wang 2020, Combining p-values via
        averaging).
        """
        two_sided_p = np.clip(2.0 * self.tail, np.finfo(float).tiny, 1.0)
        return min(float(np.exp(1.0 + np.log(two_sided_p).mean())), 1.0)

    def column(self, name: str) -> Array:
        """Return a field of PlaceStatistics for all places, which are the last axis."""
        return np.stack([np.asarray(getattr(place, name)) for place in self.places], axis=-1)


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
        The outcome is missing; or the same errors as in posterior_predictive.
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
    report = None if progress is None else partial(progress, "assessing")
    statistics = run_in_threads(work.of_place, [(part,) for part in parts], cores(), report)
    rows = {name: np.empty(len(place)) for name in ("pit", "tail", "z")}
    for name, values in rows.items():
        values[order] = np.concatenate([getattr(one, name) for one in statistics])
    in_sample = _are_rows_of_fit(post, used, labels, place)
    # Other rows of a place share the uncertainty about it: only their PIT values over all draws are uniform.
    binned = np.sum([one.counts for one in statistics], axis=0) if in_sample else _binned(rows["pit"][shown, None])
    counts = np.cumsum(binned, axis=1)[:, :-1]
    return Residuals(
        used=used, place=place, y=np.asarray(used.y), **rows, labels=labels, places=tuple(statistics),
        terms=work.terms, counts=counts.astype(np.int64), shown=int(shown.sum()), in_sample=in_sample,
    )  # fmt: skip


def outcome_required(post: Posterior, source: Table) -> Table:
    """Return the table if it has the outcome.

    Raises
    ------
    TableError
        The outcome's column is missing.
    """
    for name in Expression(post.model.formula.outcome).names:
        if name not in source.columns:
            raise TableError(
                f"{source.name} has no column {name!r} (the outcome): {suggestion(name, source.columns)}. The "
                f"outcome is required, since each row is compared with it"
            )
    return source


def thinned(post: Posterior, most: int) -> Coefficients:
    """Return the coefficients under at most so many draws, evenly spaced along every chain."""
    draws = post.tree["posterior"].to_dataset()
    step = -(-draws.sizes["chain"] * draws.sizes["draw"] // most)
    # From the end of each chain, whose start counts least.
    chosen = draws.isel(draw=slice(None, None, -step)).isel(draw=slice(None, None, -1))
    return post._coefficients(chosen)


def _are_rows_of_fit(post: Posterior, used: ObservedRows, labels: Labels, place: Index) -> bool:
    """Check whether the rows used are those of the fit, by their number in every place and the mean outcome."""
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

    Attributes
    ----------
    post : Posterior
        The posterior.
    c : Coefficients
        The coefficients under the draws used.
    used : ObservedRows
        The rows used.
    groups : Groups
        Their groups.
    shown : ndarray of bool
        (N,) whether a row's PIT values under single draws are counted.
    """

    post: Posterior
    c: Coefficients
    used: ObservedRows
    groups: Groups
    shown: Flags

    @cached_property
    def lines(self) -> Index:
        """Positions (LINES,) of the draws under which PIT values are counted."""
        return np.unique(np.linspace(0, len(self.c.mu) - 1, LINES).astype(np.int64))

    @cached_property
    def slopes(self) -> Index:
        """Positions (T,) of the columns other than the constant."""
        return np.array([d for d, column in enumerate(self.post.design.columns) if column.factors], np.int64)

    @property
    def terms(self) -> tuple[str, ...]:
        """Names (T,) of the columns other than the constant."""
        return tuple(self.post.design.names[d] for d in self.slopes)

    def of_place(self, part: Index) -> PlaceStatistics:
        """Return statistics of a place's residuals z = (y − xᵀβ)/σ under every draw (equations (23) and (24)).

        Parameters
        ----------
        part : ndarray of int
            (n,) positions of the place's rows among the rows used.
        """
        from scipy.special import ndtr, ndtri, stdtr

        rows, T, S = self.used.rows, len(self.slopes), len(self.c.mu)
        gram, cross, squares = np.zeros((T + 1, T + 1)), np.zeros((T + 1, S)), np.zeros(S)
        pit, tail, mean, inside = np.empty(len(part)), np.empty(len(part)), np.empty(len(part)), np.zeros(3)
        counts = np.zeros((len(self.lines), BINS), np.int64)
        for lo in range(0, len(part), BLOCK):
            block = part[lo : lo + BLOCK]
            at, to = self.used.kept[block], slice(lo, lo + len(block))
            sigma, kind = self.groups.sigmas(rows.group[at])
            error = rows.error[at, None]
            y = self.post.scale.from_outcome(np.asarray(self.used.y)[block, None])
            z = (y - locations(rows, self.groups, at)) / (sigma[kind] * error)
            if self.c.nu is not None:  # as Normal scores
                z = -np.sign(z) * ndtri(stdtr(self.c.nu, -np.abs(z)))
            W = np.column_stack([np.ones(len(block)), rows.X[at][:, self.slopes]]) / error
            low, high = ndtr(z).mean(axis=1), ndtr(-z).mean(axis=1)
            pit[to], tail[to], mean[to] = low, np.minimum(low, high), z.mean(axis=1)
            inside += [(np.abs(z) <= edge).mean(axis=1).sum() for edge in EDGES]
            counts += _binned(ndtr(z[np.ix_(self.shown[block], self.lines)]))
            gram += W.T @ W
            cross += W.T @ z
            squares += (z * z).sum(axis=0)
        n = len(part)
        level, slopes, spread = _statistics(gram, cross, squares, n)
        return PlaceStatistics(
            pit=pit, tail=tail, z=mean, mean=float(mean.mean()), sd=float(np.sqrt(squares.mean() / n)),
            inside=inside / n, level=level, spread=spread, slopes=slopes, counts=counts,
        )  # fmt: skip


def _binned(u: Array) -> Index:
    """Count the PIT values (n, lines) in each of BINS equal bins: (lines, BINS)."""
    at = np.minimum((u * BINS).astype(np.int64), BINS - 1)
    lines = u.shape[1]
    return np.bincount((np.arange(lines) * BINS + at).ravel(), minlength=lines * BINS).reshape(lines, BINS)


def _statistics(gram: Array, cross: Array, squares: Array, n: int) -> tuple[Array, Array, Array]:
    """Return level (2,), slopes (2, T) and spread (2,): both tails' probabilities, averaged over the draws.

    With W = (1, x) and w_d its d-th column less its part along the first:

        level wᵀz/|w| and slopes w_dᵀz/|w_d| ~ Normal(0, 1),    spread |z|² − |P_W z|² ~ χ²(n − rank W)

    None depends on β except through its mean. Both tails are 1 if a place has too few rows for a statistic.
    """
    from scipy.special import chdtr, chdtrc, ndtr

    slopes = np.ones((2, len(gram) - 1))
    along = gram[0, 1:] / gram[0, 0]
    across = np.diag(gram)[1:] - along * gram[0, 1:]
    for d in np.flatnonzero(across > FLAT * np.diag(gram)[1:]):
        t = (cross[d + 1] - along[d] * cross[0]) / np.sqrt(across[d])
        slopes[:, d] = ndtr(t).mean(), ndtr(-t).mean()
    t = cross[0] / np.sqrt(gram[0, 0])
    level = np.array([ndtr(t).mean(), ndtr(-t).mean()])
    size = np.sqrt(np.where(np.diag(gram) > 0, np.diag(gram), 1.0))
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    spanned = values > FLAT
    df = n - spanned.sum()
    spread = np.ones(2)
    if df > 0:
        root = (vectors[:, spanned] / np.sqrt(values[spanned])).T @ (cross / size[:, None])
        rest = np.maximum(squares - (root**2).sum(axis=0), 0.0)
        spread[:] = chdtr(df, rest).mean(), chdtrc(df, rest).mean()
    return level, slopes, spread


def two_sided(tails: Array) -> Array:
    """Return two-sided p-values from both tails' probabilities (2, …), which are averages over the draws.

    A mean of uniform variables, however dependent, is at most α with a probability of at most 2α (Rüschendorf 1982,
    Meng 1994): hence a factor of 2, and another 2 for the two sides.
    """
    return np.asarray(np.minimum(4.0 * tails.min(axis=0), 1.0))


def effect_p(post: Posterior, c: Coefficients) -> dict[str, tuple[Labels, Array]]:
    """Return for every grouping its places' labels and the p-values of their effects, tested as outliers.

    Under a correct model ε = Λ⁻¹(β_own − β_parent) ~ Normal(0, I) for a posterior draw, so |ε|² ~ χ²(K). A grouping
    with spreads fixed at 0 is left out.
    """
    from scipy.special import chdtrc

    p_values = {}
    every = max(1, len(c.mu) // EFFECT_DRAWS)
    for at, grouping in enumerate(c.levels + c.crossed):
        if not (np.diagonal(grouping.spread, axis1=1, axis2=2) > 0).all():
            continue
        nested, parents = at < len(c.levels), np.zeros(0)
        if nested:
            parents = np.zeros((len(c.mu), 1, 1 + max(int(grouping.cols.max()), int(c.mu_cols.max(initial=0)))))
            parents[:, 0, c.mu_cols] = c.mu
        if at + 1 < len(c.levels):
            above = c.levels[at + 1]
            parents = np.repeat(parents, above.places.size, axis=1)
            parents[:, :, above.cols] = above.draws_of(np.arange(above.places.size))
        parts = []
        for block in grouping.blocks():
            effect = grouping.draws_of(block)
            if nested:  # less the parent's coefficients; the grouping's own columns come first
                effect = effect[:, :, : len(grouping.varying)]
                effect = effect - parents[:, grouping.places.parent[block]][:, :, grouping.varying]
            solved = np.linalg.solve(grouping.spread[::every], effect[::every].swapaxes(1, 2))
            parts.append(chdtrc(effect.shape[2], (solved**2).sum(axis=1)).mean(axis=0))
        labels = grouping.places.labels
        p_values[post.model.formula.groupings[at].group] = labels, np.minimum(2.0 * np.concatenate(parts), 1.0)
    return p_values

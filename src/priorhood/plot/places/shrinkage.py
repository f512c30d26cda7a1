"""Partial pooling: arrows from the least-squares estimate of each place to its posterior mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import plural, row_count
from priorhood.plot.figure import page, style
from priorhood.plot.figure.select_places import (
    average_coefficients,
    chosen_places,
    extreme_places,
    finest_level,
    new_places,
    place_means,
    regions,
    term_positions,
)
from priorhood.suffstats.least_squares import unpooled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Flags, Index
    from priorhood.posterior.posterior import Posterior

MASSES = (0.5, 0.9)
# Places named by default; number of places up to which each has its own line.
NAMED, MAX_LINES = 8, 60
# Arrows in one picture; more would blur it.
MAX_ARROWS = 600
# Unpooled estimates between these quantiles are in the picture; arrows of others, extreme due to few rows, start
# outside.
REACH = (0.03, 0.97)
# Inches.
WIDTH, HIGH, LEFT, RIGHT, FOOT, ROW = 8.5, 5.6, 1.05, 0.3, 0.95, 0.17


@dataclass(frozen=True)
class _Estimates:
    """Unpooled and pooled coefficients of every place, in units of the data.

    Attributes
    ----------
    terms, labels : list of str
        Names of the coefficients and of the places.
    alone : array
        (J, T) least squares of the place's own rows, NaN if they do not suffice.
    pooled : array
        (J, T) posterior means.
    rows : array
        (J,)
    average : array
        (T,) coefficients of the average place.
    new : array
        (draws, T) coefficients of new places.
    """

    terms: list[str]
    labels: list[str]
    alone: Array
    pooled: Array
    rows: Array
    average: Array
    new: Array

    @property
    def has_own_estimate(self) -> Flags:
        """Return whether a place's own rows suffice for its coefficients: (J,)."""
        return np.asarray(np.isfinite(self.alone).all(axis=1))

    @property
    def distance(self) -> Array:
        """Return the distance between both estimates of a place, in sds of the places: (J,)."""
        return np.asarray(np.sqrt((((self.alone - self.pooled) / self.new.std(axis=0)) ** 2).sum(axis=1)))


@suggest_argument_names
def shrinkage(post: Posterior, terms: str | Sequence[str] | None = None, **places: object) -> Figure:
    """Draw arrows from every place's own least-squares estimate to its posterior mean, for two coefficients.

    Parameters
    ----------
    post : Posterior
    terms : str or list of str, optional
        One or two coefficients that vary by place; the first two by default. With one coefficient, the arrows are
        horizontal, and the places with the most rows come first.
    **places : str or list of str
        Labels of the formula's group, for places to name; by default those that move most.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("shrinkage.png")` writes it. The ellipses contain 50 % and 90 % of new places.

    Raises
    ------
    ModelError
        No group; terms that do not vary by it; unknown places; no matplotlib.

    Notes
    -----
    The unpooled estimate is the least-squares fit of the place's own rows, from their sums; coefficients that do
    not vary by place, and those of crossed groupings, are fixed at their posterior means. Places with too few rows
    have only a ring at their posterior mean. The intercept is at the centre of the predictors.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> ph.plot.shrinkage(post, "living_space").axes[0].get_xlabel()
    'beta[living_space], price per living_space'
    """
    level = finest_level(post, "shrinkage")
    chosen = term_positions(post, terms, "shrinkage")
    design = post.design
    columns = design.coefficient_columns(0)
    cols = design.index(columns)
    # The other coefficients of every cell, standardized.
    others = np.zeros((len(post.moments.n), len(design.columns)))
    if "mu" in post.parameters:
        mu = post["mu"].mean(("chain", "draw")).values
        for value, d in zip(mu, design.index(design.population_columns), strict=True):
            if d not in cols:
                others[:, d] = value
    for number, grouping in enumerate(post.hierarchy.crossed, start=len(post.hierarchy.levels)):
        effects = post[post.model.formula.effect_name(number)].mean(("chain", "draw")).values
        others[:, design.index(design.coefficient_columns(number))] += effects[grouping.of_cell]
    alone = unpooled(post.data, others) * post.scale.natural()[cols]
    estimates = _Estimates(
        [columns[term].name for term in chosen], [str(label) for label in level.labels], alone[:, chosen],
        place_means(post)[:, chosen], level.total(post.moments.n),
        average_coefficients(post)[:, chosen].mean(axis=0), new_places(post, np.array(chosen)),
    )  # fmt: skip
    named = chosen_places(post, places)
    if named is None:
        # Arrows that start far outside have no start in the picture: the pooled ends are named.
        distance = np.where(estimates.has_own_estimate, estimates.distance, -1.0)
        order = np.argsort(-distance, kind="stable")
        both = dict.fromkeys([*extreme_places(*estimates.pooled.T), *order[:NAMED].tolist()])
        named = np.array(list(both)[: NAMED + 2], dtype=np.int64)
    return (_on_one_axis if len(chosen) == 1 else _in_the_plane)(post, estimates, named)


def _new_figure(post: Posterior, estimates: _Estimates, outside: int, note: str, body: float) -> Figure:
    """Return a figure whose heading says how far pooling moves the places, and how to read the picture."""
    group, has_own = post.model.formula.group, estimates.has_own_estimate
    title = f"No {group} has enough rows for an estimate of its own"
    if has_own.any():
        distance = estimates.distance[has_own]
        farthest = np.flatnonzero(has_own)[np.argmax(distance)]
        median, most = (page.amount(float(f"{f(distance):.2g}")) for f in (np.median, np.max))
        title = (
            f"Median shift by pooling: {median} between-{group} sds; largest: {most} sds, "
            f"for {estimates.labels[farthest]} ({row_count(int(estimates.rows[farthest]))})"
        )
    subtitle = (
        f"{len(estimates.labels):,} {plural(group)}. Arrows: from each {group}'s own least-squares estimate to its "
        f"posterior mean. {note}"
    )
    if not has_own.all():
        subtitle += f" Rings: {int((~has_own).sum()):,} with too few rows for an estimate of their own."
    if outside:
        subtitle += f" {outside:,} arrow{'s start' if outside > 1 else ' starts'} outside the plot."
    return page.new_figure(title, subtitle, WIDTH, body)


def _limits(values: Array, alone: Array) -> tuple[float, float]:
    """Return limits for all of `values` and most of the unpooled estimates."""
    low, high = float(values.min()), float(values.max())
    if len(alone):
        inner = np.quantile(alone, REACH).tolist()
        reach = high - low
        # At most the width of everything else on either side, so that an extreme estimate does not squeeze it.
        low = min(low, max(inner[0], low - reach))
        high = max(high, min(inner[1], high + reach))
    reach = (high - low) or abs(high) or 1.0
    return float(low - 0.04 * reach), float(high + 0.04 * reach)


def _in_the_plane(post: Posterior, estimates: _Estimates, named: Index) -> Figure:
    """Draw arrows in the plane of two coefficients."""
    has_own, alone, pooled = estimates.has_own_estimate, estimates.alone, estimates.pooled
    # All arrows, or evenly spaced ones and those named.
    arrows = np.flatnonzero(has_own)
    if len(arrows) > MAX_ARROWS:
        even = arrows[np.linspace(0, len(arrows) - 1, MAX_ARROWS).astype(np.int64)]
        arrows = np.union1d(even, named[has_own[named]])
    ellipses = regions(estimates.new, MASSES)
    limits = [_limits(np.concatenate([pooled[:, t], ellipses[-1][:, t]]), alone[has_own, t]) for t in range(2)]
    low, high = np.transpose(limits)
    outside = int(((alone[arrows] < low) | (alone[arrows] > high)).any(axis=1).sum())
    group = post.model.formula.group
    note = f"Ellipses: 50 % and 90 % of new {plural(group)}; cross: the average {group}."
    if len(arrows) < has_own.sum():
        note = f"{len(arrows):,} of {has_own.sum():,} arrows are shown, and all points. {note}"
    figure = _new_figure(post, estimates, outside, note, HIGH + FOOT)
    axes = page.add_panel(figure, LEFT, FOOT, WIDTH - LEFT - RIGHT, HIGH)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    draw_new_places(axes, post, estimates.terms, ellipses, estimates.average)
    _draw_arrows(axes, alone[arrows], pooled[arrows], faint=len(estimates.labels) > MAX_LINES)
    rest = np.setdiff1d(np.flatnonzero(has_own), arrows)
    axes.plot(*pooled[rest].T, "o", color=style.COLOURS[0], markersize=1.5, alpha=0.3, markeredgewidth=0)
    axes.plot(*pooled[~has_own].T, "o", markerfacecolor="none", color=style.COLOURS[1], markersize=5)
    page.name_points(axes, pooled[named], [estimates.labels[place] for place in named])
    _add_key(figure, rings=not has_own.all())
    return figure


def _on_one_axis(post: Posterior, estimates: _Estimates, named: Index) -> Figure:
    """Draw horizontal arrows, the place with the most rows at the top."""
    has_own, alone, pooled = estimates.has_own_estimate, estimates.alone[:, 0], estimates.pooled[:, 0]
    J = len(estimates.labels)
    order = np.argsort(-estimates.rows, kind="stable")
    few = J <= MAX_LINES
    low, high = np.quantile(estimates.new[:, 0], [0.05, 0.95])
    limits = _limits(np.concatenate([pooled, [low, high]]), alone[has_own])
    outside = int(((alone[has_own] < limits[0]) | (alone[has_own] > limits[1])).sum())
    group = post.model.formula.group
    note = f"Most rows at the top. Grey: 90 % of new {plural(group)}; line: the average {group}."
    tall, left = (ROW * J, 2.3) if few else (HIGH, LEFT)
    figure = _new_figure(post, estimates, outside, note, tall + FOOT)
    axes = page.add_panel(figure, left, FOOT, WIDTH - left - 0.9, tall)
    axes.set_xlim(*limits)
    axes.set_ylim(J - 0.5, -0.5)
    axes.axvspan(low, high, color=style.BAND, linewidth=0, zorder=0)
    axes.axvline(estimates.average[0], color=style.SOFT, linewidth=0.9, zorder=1)
    height = np.empty(J)
    height[order] = np.arange(J)
    start, end = (np.column_stack([values, height]) for values in (alone, pooled))
    _draw_arrows(axes, start[has_own], end[has_own], faint=not few)
    axes.plot(*end[~has_own].T, "o", markerfacecolor="none", color=style.COLOURS[1], markersize=5)
    counts = [f"{int(estimates.rows[place]):,}" for place in order]
    if few:
        style.name_ticks(axes.yaxis, np.arange(J), [style.shorten(estimates.labels[place], 34) for place in order])
        for line, count in enumerate(counts):
            page.write_right(axes, line, count)
    else:
        ticks = np.unique(np.linspace(0, J - 1, 12).astype(int))
        axes.set_yticks(ticks, [counts[tick] for tick in ticks])
        style.format_text(axes.set_ylabel("rows of the place"))
        page.name_points(axes, end[named], [estimates.labels[place] for place in named])
    label_axes(axes, post, estimates.terms)
    _add_key(figure, rings=not has_own.all())
    return figure


def label_axes(axes: Axes, post: Posterior, terms: list[str]) -> None:
    """Label the axes with one or two coefficients of the places and their units."""
    for axis, term in zip((axes.xaxis, axes.yaxis), terms, strict=False):
        style.number_ticks(axis, 6, style.shorten(f"beta[{term}], {post.model.unit_of(term)}", 70), pad=4)


def draw_new_places(axes: Axes, post: Posterior, terms: list[str], ellipses: list[Array], average: Array) -> None:
    """Draw the regions of new places and the average place in the plane of two coefficients, and label the axes."""
    for points in ellipses:
        axes.fill(*points.T, facecolor=style.SOFT, alpha=0.10, linewidth=0, zorder=0)
        axes.plot(*points.T, color=style.SOFT, linewidth=0.7, marker="", zorder=1)
    axes.plot(*average, "P", color=style.POPULATION, markeredgecolor="white", markersize=10, zorder=5)
    label_axes(axes, post, terms)


def _draw_arrows(axes: Axes, start: Array, end: Array, *, faint: bool) -> None:
    """Draw lines from (n, 2) to (n, 2), with a larger point at the end."""
    from matplotlib.collections import LineCollection

    segments = np.stack([start, end], axis=1)
    axes.add_collection(
        LineCollection(segments, colors=style.COLOURS[4], linewidths=0.8, alpha=0.55 if faint else 0.9, zorder=2),  # type: ignore[arg-type]
        autolim=False,
    )
    axes.plot(*start.T, ".", color=style.COLOURS[4], markersize=4, alpha=0.8, zorder=2)
    axes.plot(*end.T, "o", color=style.COLOURS[0], markersize=3.2 if faint else 4.5, markeredgewidth=0, zorder=3)


def _add_key(figure: Figure, *, rings: bool) -> None:
    """Add the legend of the marks."""
    marks: list[tuple[str, dict[str, Any]]] = [
        ("own rows alone", {"color": style.COLOURS[4], "marker": ".", "linewidth": 0.9}),
        ("posterior mean", {"color": style.COLOURS[0], "marker": "o", "markersize": 4.0, "linestyle": ""}),
        ("average", {"color": style.POPULATION, "marker": "P", "linestyle": ""}),
    ]
    if rings:
        look = {"color": style.COLOURS[1], "marker": "o", "markerfacecolor": "none", "linestyle": ""}
        marks.append(("too few rows of its own", look))
    page.add_key(figure, marks)

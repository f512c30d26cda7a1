"""Partial pooling: arrows from the least-squares estimate of each place alone to its posterior mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import plural, row_count
from priorhood.plot.figure import page, style
from priorhood.plot.figure.select_places import (
    asked,
    average_coefficients,
    ends,
    finest,
    new_places,
    place_means,
    regions,
    two_terms,
)  # fmt: skip
from priorhood.suffstats.least_squares import unpooled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Flags, Index
    from priorhood.posterior.posterior import Posterior

MASSES = (0.5, 0.9)
# Places named by default, and up to which every one has a line of its own.
NAMED, LINES = 8, 60
# Arrows of one picture; more would be a blot.
MAX_ARROWS = 600
# Unpooled estimates within these quantiles are in the picture; arrows of others, wild with few rows, begin outside.
REACH = (0.03, 0.97)
# Inches.
WIDTH, HIGH, LEFT, RIGHT, FOOT, ROW = 8.5, 5.6, 1.05, 0.3, 0.95, 0.17


@dataclass(frozen=True)
class _Moved:
    """Coefficients of every place, in the data's units.

    alone (J, T) : least squares of its own rows, NaN where they do not suffice; pooled (J, T) : posterior means;
    rows (J,); average (T,) : of the average place; new (draws, T) : of new places
    """

    terms: list[str]
    labels: list[str]
    alone: Array
    pooled: Array
    rows: Array
    average: Array
    new: Array

    @property
    def told(self) -> Flags:
        """Whether a place's own rows suffice for its coefficients: (J,)."""
        return np.asarray(np.isfinite(self.alone).all(axis=1))

    @property
    def distance(self) -> Array:
        """Distance of both estimates of a place, in sds of the places: (J,)."""
        return np.asarray(np.sqrt((((self.alone - self.pooled) / self.new.std(axis=0)) ** 2).sum(axis=1)))


def shrinkage(post: Posterior, terms: str | Sequence[str] | None = None, **places: object) -> Figure:
    """Draw arrows from every place's own least squares to its posterior mean, in the plane of two coefficients.

    Parameters
    ----------
    post : Posterior
    terms : str or list of str, optional
        One or two coefficients that vary by place; the first two by default. Arrows of one coefficient lie on one
        axis, places with most rows first.
    **places : str or list of str
        The formula's group = labels of places to name; by default those that move most.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("shrinkage.png")` writes it. The ellipses hold 50 % and 90 % of new places.

    Raises
    ------
    ModelError
        No group, terms that do not vary by it, unknown places, no matplotlib.

    Notes
    -----
    The unpooled estimate is least squares of the place's own rows, from their sums; coefficients of the
    population alone, and crossed groupings, are held at their posterior means. Places with too few rows for one
    have only a ring at their posterior mean. The intercept is at the centre of the predictors.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> ph.plot.shrinkage(post, "living_space").axes[0].get_xlabel()
    'beta[living_space], price per living_space'
    """
    level = finest(post, "shrinkage")
    at = two_terms(post, terms, "shrinkage")
    design = post.design
    columns = design.coefficient_columns(0)
    cols = design.index(columns)
    # The rest of every cell's coefficients, standardized.
    others = np.zeros((len(post.moments.n), len(design.columns)))
    if "mu" in post.parameters:
        mu = post["mu"].mean(("chain", "draw")).values
        for value, d in zip(mu, design.index(design.population_columns), strict=True):
            if d not in cols:
                others[:, d] = value
    for one, grouping in enumerate(post.hierarchy.crossed, start=len(post.hierarchy.levels)):
        effects = post[post.model.formula.effect_name(one)].mean(("chain", "draw")).values
        others[:, design.index(design.coefficient_columns(one))] += effects[grouping.of_cell]
    alone = unpooled(post.data, others) * post.scale.natural()[cols]
    moved = _Moved(
        [columns[one].name for one in at], [str(label) for label in level.labels], alone[:, at],
        place_means(post)[:, at], level.total(post.moments.n),
        average_coefficients(post)[:, at].mean(axis=0), new_places(post, np.array(at)),
    )  # fmt: skip
    named = asked(post, places)
    if named is None:
        # Arrows that begin far outside have no beginning in the picture: the pooled ends are named.
        order = np.argsort(-np.where(moved.told, moved.distance, -1.0), kind="stable")
        both = dict.fromkeys([*ends(*moved.pooled.T), *order[:NAMED].tolist()])
        named = np.array(list(both)[: NAMED + 2], dtype=np.int64)
    return (_on_one_axis if len(at) == 1 else _in_the_plane)(post, moved, named)


def _heading(post: Posterior, moved: _Moved, outside: int, where: str) -> page.Heading:
    """How far pooling moves the places, and how to read the picture."""
    group, told = post.model.formula.group, moved.told
    finding = f"No {group} has enough rows for an estimate of its own"
    if told.any():
        far = moved.distance[told]
        at = np.flatnonzero(told)[np.argmax(far)]
        median, most = (f"{page.amount(float(f'{value:.2g}'))} sd" for value in (np.median(far), far.max()))
        finding = (
            f"Pooling moves the median {group} by {median} of {plural(group)}, {moved.labels[at]} "
            f"({row_count(int(moved.rows[at]))}) the most, by {most}"
        )
    text = f"{len(moved.labels):,} {plural(group)}: arrows from least squares of its own rows to its posterior."
    text += f" {where}"
    if not told.all():
        text += f" Rings: {int((~told).sum()):,} whose own rows do not suffice for an estimate."
    if outside:
        text += f" {outside:,} arrow{'s begin' if outside > 1 else ' begins'} outside the picture."
    return page.Heading(finding, text, WIDTH)


def _limits(values: Array, alone: Array) -> tuple[float, float]:
    """Limits for all of `values` and the middle of the unpooled estimates."""
    low, high = float(values.min()), float(values.max())
    if len(alone):
        inner = np.quantile(alone, REACH).tolist()
        reach = high - low
        # No further than all else is wide, so that a wild estimate does not press it flat.
        low = min(low, max(inner[0], low - reach))
        high = max(high, min(inner[1], high + reach))
    reach = (high - low) or abs(high) or 1.0
    return float(low - 0.04 * reach), float(high + 0.04 * reach)


def _in_the_plane(post: Posterior, moved: _Moved, named: Index) -> Figure:
    """Arrows in the plane of two coefficients."""
    told = moved.told
    # All arrows, or evenly spaced ones and those named.
    arrowed = np.flatnonzero(told)
    if len(arrowed) > MAX_ARROWS:
        even = arrowed[np.linspace(0, len(arrowed) - 1, MAX_ARROWS).astype(np.int64)]
        arrowed = np.union1d(even, named[told[named]])
    drawn = regions(moved.new, MASSES)
    limits = [
        _limits(np.concatenate([moved.pooled[:, t], drawn[-1][:, t]]), moved.alone[told, t]) for t in range(2)
    ]
    low, high = np.transpose(limits)
    outside = int(((moved.alone[arrowed] < low) | (moved.alone[arrowed] > high)).any(axis=1).sum())
    group = post.model.formula.group
    where = f"Ellipses: 50 % and 90 % of new {plural(group)}; cross: the average {group}."
    if len(arrowed) < told.sum():
        where = f"{len(arrowed):,} of {told.sum():,} arrows are drawn, and all points. {where}"
    heading = _heading(post, moved, outside, where)
    figure = page.sheet(heading, heading.height + HIGH + FOOT)
    axes = page.panel(figure, LEFT, FOOT, WIDTH - LEFT - RIGHT, HIGH)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    draw_region(axes, drawn)
    _arrows(axes, moved.alone[arrowed], moved.pooled[arrowed], faint=len(moved.labels) > LINES)
    rest = np.setdiff1d(np.flatnonzero(told), arrowed)
    axes.plot(*moved.pooled[rest].T, "o", color=style.COLOURS[0], markersize=1.5, alpha=0.3, markeredgewidth=0)
    axes.plot(*moved.pooled[~told].T, "o", markerfacecolor="none", color=style.COLOURS[1], markersize=5)
    axes.plot(*moved.average, "P", color=style.POPULATION, markeredgecolor="white", markersize=10, zorder=5)
    label_axes(axes, post, moved.terms)
    page.name_points(axes, moved.pooled[named], [moved.labels[at] for at in named])
    _key(figure, rings=not told.all())
    return figure


def _on_one_axis(post: Posterior, moved: _Moved, named: Index) -> Figure:
    """Arrows one above the other, the place with most rows at the top."""
    J = len(moved.labels)
    order = np.argsort(-moved.rows, kind="stable")
    told = moved.told
    few = J <= LINES
    low, high = np.quantile(moved.new[:, 0], [0.05, 0.95])
    limits = _limits(np.concatenate([moved.pooled[:, 0], [low, high]]), moved.alone[told, 0])
    outside = int(((moved.alone[told, 0] < limits[0]) | (moved.alone[told, 0] > limits[1])).sum())
    group = post.model.formula.group
    where = f"Most rows at the top. Grey: 90 % of new {plural(group)}; line: the average {group}."
    heading = _heading(post, moved, outside, where)
    tall, left = (ROW * J, 2.3) if few else (HIGH, LEFT)
    figure = page.sheet(heading, heading.height + tall + FOOT)
    axes = page.panel(figure, left, FOOT, WIDTH - left - 0.9, tall)
    axes.set_xlim(*limits)
    axes.set_ylim(J - 0.5, -0.5)
    axes.axvspan(low, high, color=style.BAND, linewidth=0, zorder=0)
    axes.axvline(moved.average[0], color=style.SOFT, linewidth=0.9, zorder=1)
    height = np.empty(J)
    height[order] = np.arange(J)
    start, end = (np.column_stack([values[:, 0], height]) for values in (moved.alone, moved.pooled))
    _arrows(axes, start[told], end[told], faint=not few)
    axes.plot(*end[~told].T, "o", markerfacecolor="none", color=style.COLOURS[1], markersize=5)
    counts = [f"{int(moved.rows[at]):,}" for at in order]
    if few:
        style.names(axes.yaxis, np.arange(J), [style.shortened(moved.labels[at], 34) for at in order])
        for at, count in enumerate(counts):
            page.beside(axes, at, count)
    else:
        ticks = np.unique(np.linspace(0, J - 1, 12).astype(int))
        axes.set_yticks(ticks, [counts[at] for at in ticks])
        style.words(axes.set_ylabel("rows of a place"))
        page.name_points(axes, end[named], [moved.labels[at] for at in named])
    label_axes(axes, post, moved.terms)
    _key(figure, rings=not told.all())
    return figure


def label_axes(axes: Axes, post: Posterior, terms: list[str]) -> None:
    """Label the axes with one or two coefficients of the places and their units."""
    for axis, term in zip((axes.xaxis, axes.yaxis), terms, strict=False):
        style.numbers(axis, 6, style.shortened(f"beta[{term}], {post.model.unit_of(term)}", 70), pad=4)


def draw_region(axes: Axes, polygons: list[Array]) -> None:
    """Draw the regions of new places."""
    for points in polygons:
        axes.fill(*points.T, facecolor=style.SOFT, alpha=0.10, linewidth=0, zorder=0)
        axes.plot(*points.T, color=style.SOFT, linewidth=0.7, marker="", zorder=1)


def _arrows(axes: Axes, start: Array, end: Array, *, faint: bool) -> None:
    """Draw lines from (n, 2) to (n, 2), the end a larger point."""
    from matplotlib.collections import LineCollection

    segments = np.stack([start, end], axis=1)
    axes.add_collection(
        LineCollection(segments, colors=style.COLOURS[4], linewidths=0.8, alpha=0.55 if faint else 0.9, zorder=2),  # type: ignore[arg-type]
        autolim=False,
    )
    axes.plot(*start.T, ".", color=style.COLOURS[4], markersize=4, alpha=0.8, zorder=2)
    axes.plot(*end.T, "o", color=style.COLOURS[0], markersize=3.2 if faint else 4.5, markeredgewidth=0, zorder=3)


def _key(figure: Figure, *, rings: bool) -> None:
    """Explain the marks."""
    marks: list[tuple[str, dict[str, Any]]] = [
        ("its rows alone", {"color": style.COLOURS[4], "marker": ".", "linewidth": 0.9}),
        ("posterior mean", {"color": style.COLOURS[0], "marker": "o", "markersize": 4.0, "linestyle": ""}),
        ("the average", {"color": style.POPULATION, "marker": "P", "linestyle": ""}),
    ]
    if rings:
        look = {"color": style.COLOURS[1], "marker": "o", "markerfacecolor": "none", "linestyle": ""}
        marks.append(("too few rows alone", look))
    page.key(figure, marks)

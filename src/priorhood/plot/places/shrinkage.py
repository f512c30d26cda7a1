"""Partial pooling: arrows from what a place's rows say alone to what they say among all places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import plural, rows_of
from priorhood.plot.figure import page
from priorhood.plot.figure.select_places import (
    asked,
    average_coefficients,
    finest,
    new_places,
    place_means,
    regions,
    rows_in,
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
# Places named where none are asked for, and up to which every one has a line of its own.
NAMED, LINES = 8, 60
# Arrows of one picture; more would be a blot.
MOST_ARROWS = 600
# Of the unpooled estimates these are within the picture; where few rows make them wild, the others begin outside.
REACH = (0.03, 0.97)
# Inches.
WIDTH, HIGH, LEFT, RIGHT, FOOT, ROW = 8.5, 5.6, 1.05, 0.3, 0.95, 0.17


@dataclass(frozen=True)
class _Moved:
    """Of every place, in the data's units: alone (J, T), NaN where its rows do not tell it; pooled (J, T); rows."""

    terms: list[str]
    labels: list[str]
    alone: Array
    pooled: Array
    rows: Array
    average: Array
    new: Array

    @property
    def told(self) -> Flags:
        """(J,) whether a place's rows alone tell its coefficients."""
        return np.asarray(np.isfinite(self.alone).all(axis=1))


def shrinkage(post: Posterior, terms: str | Sequence[str] | None = None, **places: object) -> Figure:
    """Arrows from every place's least squares alone to its posterior mean, in the plane of two coefficients.

    The unpooled estimate is least squares of the place's own rows, from their sums; what is the population's
    alone, and crossed groupings, are held at their posterior means. Places with too few rows for one have only
    a ring at their posterior mean. The intercept is at the centre of the predictors. Of one coefficient, arrows
    lie on one axis, places with most rows first.

    Parameters
    ----------
    post : a posterior
    terms : one or two coefficients that vary by place; the first two if None
    places : places to name, the formula's group = labels; those that move most if none

    Returns
    -------
    matplotlib Figure; `savefig("shrinkage.png")` writes it. The ellipses hold 50 % and 90 % of new places

    Raises
    ------
    ModelError : no group, terms that do not vary by it, unknown places, no matplotlib
    """
    level = finest(post, "shrinkage")
    at = two_terms(post, terms, "shrinkage")
    names = [column.name for column in post.design.coefficient_columns(0)]
    cols = post.design.index(post.design.coefficient_columns(0))
    alone = unpooled(post.data, _others(post)) * post.scale.natural()[cols]
    moved = _Moved(
        [names[one] for one in at], [str(label) for label in level.labels], alone[:, at],
        place_means(post)[:, at], rows_in(post, level),
        average_coefficients(post)[:, at].mean(axis=0), new_places(post, np.array(at)),
    )  # fmt: skip
    chosen = asked(post, places)
    named = _extremes(moved) if chosen is None else chosen
    if len(at) == 1:
        return _on_one_axis(post, moved, named)
    return _in_the_plane(post, moved, named)


def _others(post: Posterior) -> Array:
    """What is known of the rest of a cell's coefficients, standardized: (cells, D)."""
    design, D = post.design, len(post.design.columns)
    found = np.zeros((len(post.moments.n), D))
    own = set(design.index(design.coefficient_columns(0)))
    if "mu" in post.parameters:
        mu = post["mu"].mean(("chain", "draw")).values
        for value, d in zip(mu, design.index(design.population_columns), strict=True):
            if d not in own:
                found[:, d] = value
    levels = len(post.hierarchy.levels)
    for at, grouping in enumerate(post.hierarchy.crossed, start=levels):
        effects = post[post.model.formula.effect_name(at)].mean(("chain", "draw")).values
        found[:, design.index(design.coefficient_columns(at))] += effects[grouping.of_cell]
    return found


def _extremes(moved: _Moved) -> Index:
    """The places that move most, by the spread of places."""
    spread = moved.new.std(axis=0)
    far = (((moved.alone - moved.pooled) / spread) ** 2).sum(axis=1)
    order = np.argsort(-np.where(moved.told, far, -1.0), kind="stable")
    # Those that begin far outside are arrows without a beginning in the picture: the pooled end is named.
    ends = [pick(moved.pooled[:, t]) for t in range(moved.pooled.shape[1]) for pick in (np.argmax, np.argmin)]
    return np.array(list(dict.fromkeys([*map(int, ends), *order[:NAMED].tolist()]))[: NAMED + 2], dtype=np.int64)


# -- the pictures -------------------------------------------------------------------------------------------


def _finding(post: Posterior, moved: _Moved) -> str:
    """How much of the unpooled estimates' distance from the average is left, and where least."""
    group = post.model.formula.group
    told = moved.told
    if not told.any():
        return f"No {group} has rows enough for an estimate of its own"
    spread = moved.new.std(axis=0)
    far = np.sqrt((((moved.alone - moved.pooled) / spread) ** 2).sum(axis=1))[told]
    at = np.flatnonzero(told)[np.argmax(far)]
    return (
        f"Pooling moves the median {group} by {_sds(np.median(far))} of {plural(group)}, "
        f"{moved.labels[at]} ({rows_of(int(moved.rows[at]))}) the most, by {_sds(far.max())}"
    )


def _sds(value: float) -> str:
    """Two digits, in sds."""
    return f"{page.amount(float(f'{value:.2g}'))} sd"


def _shown(post: Posterior, moved: _Moved, outside: int, where: str) -> str:
    group = post.model.formula.group
    few = int((~moved.told).sum())
    text = f"{len(moved.labels):,} {plural(group)}: arrows from least squares of its own rows to its posterior. "
    text += where
    if few:
        text += f" Rings: {few:,} whose rows alone do not tell their coefficients."
    if outside:
        text += f" {outside:,} arrow{'s begin' if outside > 1 else ' begins'} outside the picture."
    return text


def _limits(values: Array, alone: Array) -> tuple[float, float]:
    """All of `values`, and the middle of the unpooled estimates."""
    low, high = float(values.min()), float(values.max())
    if len(alone):
        inner = np.quantile(alone, REACH).tolist()
        reach = high - low
        # No further than the picture of all else is wide, so that a wild estimate does not press it flat.
        low = min(low, max(inner[0], low - reach))
        high = max(high, min(inner[1], high + reach))
    reach = (high - low) or abs(high) or 1.0
    return float(low - 0.04 * reach), float(high + 0.04 * reach)


def _in_the_plane(post: Posterior, moved: _Moved, named: Index) -> Figure:
    from priorhood.plot.figure import style

    told = moved.told
    arrowed = _arrowed(told, named)
    drawn = regions(moved.new, MASSES)
    limits = [
        _limits(np.concatenate([moved.pooled[:, t], drawn[-1][:, t]]), moved.alone[told, t]) for t in range(2)
    ]
    outside = sum(
        any(not low <= value <= high for value, (low, high) in zip(one, limits, strict=True))
        for one in moved.alone[arrowed]
    )
    group = post.model.formula.group
    where = f"Ellipses: 50 % and 90 % of new {plural(group)}; cross: the average {group}."
    if len(arrowed) < told.sum():
        where = f"{len(arrowed):,} of {told.sum():,} arrows are drawn, and all points. {where}"
    heading = page.Heading(_finding(post, moved), _shown(post, moved, outside, where), WIDTH)
    figure = style.picture(WIDTH, heading.height + HIGH + FOOT)
    heading.put(figure)
    axes = page.panel(figure, LEFT, FOOT, WIDTH - LEFT - RIGHT, HIGH)
    axes.set_xlim(*limits[0])
    axes.set_ylim(*limits[1])
    region(axes, drawn)
    few = len(moved.labels) <= LINES
    arrows(axes, moved.alone[arrowed], moved.pooled[arrowed], faint=not few)
    rest = np.setdiff1d(np.flatnonzero(told), arrowed)
    axes.plot(*moved.pooled[rest].T, "o", color=style.COLOURS[0], markersize=1.5, alpha=0.3, markeredgewidth=0)
    ring = {"markerfacecolor": "none", "linestyle": "", "marker": "o", "markersize": 5}
    axes.plot(*moved.pooled[~told].T, **ring, color=style.COLOURS[1])  # type: ignore[arg-type]
    axes.plot(*moved.average, "P", color=style.POPULATION, markeredgecolor="white", markersize=10, zorder=5)
    for axis, term in zip((axes.xaxis, axes.yaxis), moved.terms, strict=True):
        style.numbers(axis, 6)
        style.words(axis.set_label_text(axis_words(post, term)))
    page.name_points(axes, moved.pooled[named], [moved.labels[at] for at in named])
    _key(figure, rings=bool((~told).any()))
    return figure


def _arrowed(told: Flags, named: Index) -> Index:
    """Places whose arrows are drawn: all, or evenly spaced ones and those named, since more would be a blot."""
    found = np.flatnonzero(told)
    if len(found) <= MOST_ARROWS:
        return found
    even = found[np.linspace(0, len(found) - 1, MOST_ARROWS).astype(np.int64)]
    return np.union1d(even, named[told[named]])


def axis_words(post: Posterior, term: str) -> str:
    """A coefficient of the places and its unit."""
    from priorhood.plot.figure import style

    return style.shortened(f"beta[{term}], {post.model.unit_of(term)}", 70)


def region(axes: Axes, polygons: list[Array]) -> None:
    """Where new places lie."""
    from priorhood.plot.figure import style

    for points in polygons:
        axes.fill(*points.T, facecolor=style.SOFT, alpha=0.10, linewidth=0, zorder=0)
        axes.plot(*points.T, color=style.SOFT, linewidth=0.7, marker="", zorder=1)


def arrows(axes: Axes, start: Array, end: Array, *, faint: bool) -> None:
    """From (n, 2) to (n, 2), the end a point."""
    from matplotlib.collections import LineCollection

    from priorhood.plot.figure import style

    segments = np.stack([start, end], axis=1)
    axes.add_collection(
        LineCollection(segments, colors=style.COLOURS[4], linewidths=0.8, alpha=0.55 if faint else 0.9, zorder=2),  # type: ignore[arg-type]
        autolim=False,
    )
    axes.plot(*start.T, ".", color=style.COLOURS[4], markersize=4, alpha=0.8, zorder=2)
    axes.plot(*end.T, "o", color=style.COLOURS[0], markersize=3.2 if faint else 4.5, markeredgewidth=0, zorder=3)


def _key(figure: Figure, *, rings: bool) -> None:
    from priorhood.plot.figure import style

    marks: list[tuple[str, dict[str, Any]]] = [
        ("its rows alone", {"color": style.COLOURS[4], "marker": ".", "linewidth": 0.9}),
        ("posterior mean", {"color": style.COLOURS[0], "marker": "o", "markersize": 4.0, "linestyle": ""}),
        ("the average", {"color": style.POPULATION, "marker": "P", "linestyle": ""}),
    ]
    if rings:
        look = {"color": style.COLOURS[1], "marker": "o", "markerfacecolor": "none", "linestyle": ""}
        marks.append(("rows do not tell", look))
    page.key(figure, marks)


def _on_one_axis(post: Posterior, moved: _Moved, named: Index) -> Figure:
    """Arrows one above the other, the place with most rows at the top."""
    from priorhood.plot.figure import style

    J = len(moved.labels)
    order = np.argsort(-moved.rows, kind="stable")
    told = moved.told
    few = J <= LINES
    low, high = np.quantile(moved.new[:, 0], [0.05, 0.95])
    limits = _limits(np.concatenate([moved.pooled[:, 0], [low, high]]), moved.alone[told, 0])
    outside = int(((moved.alone[told, 0] < limits[0]) | (moved.alone[told, 0] > limits[1])).sum())
    group = post.model.formula.group
    where = f"Most rows at the top. Grey: 90 % of new {plural(group)}; line: the average {group}."
    heading = page.Heading(_finding(post, moved), _shown(post, moved, outside, where), WIDTH)
    tall = ROW * J if few else HIGH
    left = 2.3 if few else LEFT
    figure = style.picture(WIDTH, heading.height + tall + FOOT)
    heading.put(figure)
    axes = page.panel(figure, left, FOOT, WIDTH - left - 0.9, tall)
    axes.set_xlim(*limits)
    axes.set_ylim(J - 0.5, -0.5)
    axes.axvspan(low, high, color=style.BAND, linewidth=0, zorder=0)
    axes.axvline(moved.average[0], color=style.SOFT, linewidth=0.9, zorder=1)
    height = np.empty(J)
    height[order] = np.arange(J)
    start, end = (np.column_stack([values[:, 0], height]) for values in (moved.alone, moved.pooled))
    arrows(axes, start[told], end[told], faint=not few)
    axes.plot(*end[~told].T, "o", markerfacecolor="none", color=style.COLOURS[1], markersize=5)
    ticks = np.arange(J) if few else np.unique(np.linspace(0, J - 1, 12).astype(int))
    axes.set_yticks(ticks, [f"{int(moved.rows[order[at]]):,}" for at in ticks])
    style.words(axes.set_ylabel("rows of a place"))
    if few:
        axes.set_ylabel("")
        axes.set_yticks(ticks, [style.shortened(moved.labels[order[at]], 34) for at in ticks])
        for text, at in zip(axes.get_yticklabels(), ticks, strict=True):
            text.set_parse_math(False)
            number = axes.text(
                1.02, at, f"{int(moved.rows[order[at]]):,}", transform=axes.get_yaxis_transform(), va="center"
            )
            style.words(number)
    else:
        page.name_points(axes, end[named], [moved.labels[at] for at in named])
    style.numbers(axes.xaxis, 6)
    style.words(axes.set_xlabel(axis_words(post, moved.terms[0])))
    _key(figure, rings=bool((~told).any()))
    return figure

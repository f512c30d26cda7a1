"""Outcome against a predictor: lines of places, their uncertainty and rows, beside the average place's line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import plural, row_count, suggestion
from priorhood.errors import ModelError
from priorhood.model.design import Indicator
from priorhood.model.expression import Expression
from priorhood.plot.figure import page, style
from priorhood.plot.figure.select_places import (
    asked,
    average_home,
    expected,
    unit_of_outcome,
    words_of,
)  # fmt: skip
from priorhood.plot.places.points import Cloud, Points, cloud_of, extent, points_of
from priorhood.posterior.price_batches import summarize_expected
from priorhood.prediction.expected import typical_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Index
    from priorhood.posterior.posterior import Posterior

MAX_PANELS = 24
# Places up to which all are shown by default.
ALL = 8
POINTS = 60
# Quantiles of the rows between which the lines run; over those of the places shown in any case.
X_RANGE = (0.005, 0.995)
BAND = (0.05, 0.25, 0.5, 0.75, 0.95)
# Inches.
WIDTH, PANEL, FOOT = 11.0, 2.67, 0.95
GRID = page.Grid(left=0.95, right=0.25, gap=0.22, foot=FOOT, pitch=PANEL, high=2.13)


@dataclass(frozen=True)
class _Along:
    """The predictor of the horizontal axis and its values, numbers or categories."""

    name: str
    values: list[Any]
    categorical: bool

    @property
    def positions(self) -> Array:
        """Positions of the values on the axis."""
        return np.arange(len(self.values), dtype=float) if self.categorical else np.array(self.values, dtype=float)


@dataclass(frozen=True)
class _Panel:
    """A place: reason for its choice, number of rows, quantiles of its line (5, T), its rows or their spread."""

    label: str
    why: str
    rows: int
    band: Array
    points: Points | None
    cloud: Cloud | None


def lines(
    post: Posterior,
    x: str | None = None,
    data: object = None,
    at: Mapping[str, Any] | None = None,
    **places: object,
) -> Figure:
    """Draw the expected outcome along a predictor, one panel a place, with its 50 % and 90 % band and its rows.

    Parameters
    ----------
    post : Posterior
    x : str, optional
        The predictor; by default the first that varies by place.
    data
        The rows, whatever `read` takes; those of the places shown are drawn. A posterior has none; without data an
        ellipse shows the mean of a place's rows ± 1 sd.
    at : mapping, optional
        Values of the other predictors; by default the mean, of a category the most frequent.
    **places : str or list of str
        The formula's group = up to 24 labels, zip=["10405", "13583"]. By default all of up to 8, of more those
        with most and fewest rows and those where the outcome is highest and lowest.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("lines.png")` writes it. The dashed line is the average place's.

    Raises
    ------
    ModelError
        No predictor, an unknown one, one whose range is not known without data, unknown places, more than 24, no
        matplotlib.
    TableError
        Data without a column that is needed.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(6, 120, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> len(ph.plot.lines(post, data=sales).axes)
    6
    """
    name = _predictor(post, x)
    if name in (at or {}):
        raise ModelError(f"the lines run along {name!r}: leave it out of at")
    points = None if data is None else points_of(post, name, data)
    along = _along(post, name, points)
    given = {**(at or {}), name: along.values[0]}
    homes = post.homes(given)
    chosen, why = _chosen(post, places, given, along)
    if len(chosen) > MAX_PANELS:
        raise ModelError(f"{len(chosen)} panels do not fit into one picture, {MAX_PANELS} do: choose fewer places")
    if points is not None and not along.categorical:
        # A far home elsewhere would leave little room for those here.
        own, most = points.x[np.isin(points.place, chosen)], np.quantile(points.x, X_RANGE)
        low, high = (float(end) for end in (min(most[0], *own), max(most[1], *own)))
        along = replace(along, values=np.linspace(low, high, POINTS).tolist()) if high > low else along
    T = len(along.values)
    rows = homes.iloc[np.repeat(chosen, T)].reset_index(drop=True)
    rows[name] = along.values * len(chosen)
    bands = np.quantile(expected(post, rows), BAND, axis=0).reshape(len(BAND), len(chosen), T)
    levels = post.hierarchy.levels
    labels = [str(label) for label in levels[0].labels] if levels else ["all rows"]
    counts = levels[0].total(post.moments.n) if levels else np.array([post.moments.rows])
    panels = [
        _Panel(
            labels[place], why[i], int(counts[place]), bands[:, i],
            None if points is None else points.of(place),
            cloud_of(post, name, int(place)) if points is None else None,
        )
        for i, place in enumerate(chosen)
    ]  # fmt: skip
    # The median of the average place's line, where there is one.
    population, row = None, average_home(post, homes) if levels else None
    if row is not None:
        rows = row.iloc[np.zeros(T, dtype=int)].reset_index(drop=True)
        rows[name] = along.values
        median = np.median(expected(post, rows), axis=0)
        population = median if np.isfinite(median).all() else None

    reading = "Line: median; bands: 50 % and 90 % of the expected outcome."
    if levels and levels[0].size > len(panels):
        reading = f"{len(panels)} of {levels[0].size:,} {plural(levels[0].name)}. {reading}"
    if at:
        reading += " At " + ", ".join(f"{one} {value}" for one, value in at.items()) + "."
    left_out = sum(one.points.left_out for one in panels if one.points is not None)
    if left_out:
        reading += f" {left_out:,} rows are not drawn: {Points.MAX_ROWS:,} of a place are."
    width = WIDTH if len(panels) > 2 else WIDTH * 0.62
    heading = page.Heading(_finding(post, along, panels, population), reading, width)
    return _drawn(post, along, panels, population, heading)


# -- what is shown ------------------------------------------------------------------------------------------


def _predictor(post: Posterior, x: str | None) -> str:
    """The predictor of the horizontal axis."""
    variables = post.design.variables
    if not variables:
        raise ModelError(
            f"{post.model.formula.text!r} has no predictor to draw lines along; plot.forest shows its places"
        )
    if x is None:
        own = set() if post.place_table is None else set(post.place_table.columns)
        varying = post.design.level_columns(0) if post.hierarchy.levels else ()
        factors = [f for column in varying for f in column.factors]
        read = [n for f in factors for n in Expression(f.factor if isinstance(f, Indicator) else f.text).names]
        return next((n for n in (*read, *variables) if n not in own), variables[0])
    if x not in variables:
        raise ModelError(f"the model has no predictor {x!r} (x, --x); {suggestion(x, variables)}")
    return x


def _along(post: Posterior, name: str, points: Points | None) -> _Along:
    """Values of the predictor: its categories, or a grid over its range."""
    for factor, categories in post.design.categories.items():
        if Expression(factor).bare == name:
            values = [float(c) for c in categories] if factor in post.design.numeric else list(categories)
            return _Along(name, values, categorical=True)
    low, high = extent(post, name, points)
    return _Along(name, np.linspace(low, high, POINTS).tolist(), categorical=False)


def _chosen(
    post: Posterior, places: Mapping[str, object], given: dict[str, Any], along: _Along
) -> tuple[Index, list[str]]:
    """Positions of the places, and the reason for each."""
    wanted = asked(post, places)
    if wanted is not None:
        return wanted, [""] * len(wanted)
    if not post.hierarchy.levels:
        return np.zeros(1, np.int64), [""]
    level = post.hierarchy.levels[0]
    if level.size <= ALL:
        return np.arange(level.size), [""] * level.size
    middle = along.values[len(along.values) // 2]
    typical = middle if along.categorical else typical_values(post.design, post.moments).get(along.name, middle)
    homes = post.homes({**given, along.name: typical})
    height = summarize_expected(post, homes, lambda draws: np.median(draws, axis=0))
    rows = level.total(post.moments.n)
    why: dict[int, str] = {}
    for words, values in (("most rows", -rows), ("fewest rows", rows), ("highest", -height), ("lowest", height)):
        fresh = [at for at in np.argsort(values, kind="stable").tolist() if at not in why]
        why |= dict.fromkeys(fresh[: ALL // 4], words)
    return np.array(list(why)), list(why.values())


def _finding(post: Posterior, along: _Along, panels: list[_Panel], population: Array | None) -> str:
    """The outcome at a typical value of the predictor: where highest, where lowest, on average."""
    typical = typical_values(post.design, post.moments).get(along.name)
    middle = len(along.values) // 2
    if along.categorical:
        middle = along.values.index(typical) if typical in along.values else 0
    elif typical is not None:
        middle = int(np.argmin(np.abs(along.positions - float(typical))))
    value = along.values[middle]
    unit = unit_of_outcome(post)
    where = str(value) if along.categorical else page.amount(value, post.model.units.get(along.name, ""))
    heights = [panel.band[2, middle] for panel in panels]
    high, low = int(np.argmax(heights)), int(np.argmin(heights))
    text = f"At {along.name} {where}: {page.amount(heights[high], unit)} expected in {panels[high].label}"
    if high != low:
        text += f", {page.amount(heights[low], unit)} in {panels[low].label}"
    if population is not None:
        text += f"; {page.amount(population[middle], unit)} in the average {post.model.formula.group}"
    return text


# -- the picture --------------------------------------------------------------------------------------------


def _drawn(
    post: Posterior, along: _Along, panels: list[_Panel], population: Array | None, heading: page.Heading
) -> Figure:
    """All panels, on the same axes."""
    columns, width = min(4, len(panels)), heading.width
    height = heading.height + -(-len(panels) // columns) * PANEL + FOOT
    figure = page.sheet(heading, height)

    # Limits of everything that is drawn.
    x, y = [along.positions], [one.band[[0, 4]].ravel() for one in panels]
    y += [population] if population is not None else []
    for one in panels:
        drawn = one.points if one.points is not None else one.cloud
        if drawn is not None and len(drawn.x):
            x.append(drawn.x)
            y.append(drawn.y)
    limits = []
    for values in (np.concatenate(x), np.concatenate(y)):
        values = values[np.isfinite(values)]
        reach = np.ptp(values) or 1.0
        limits.append((float(values.min() - 0.03 * reach), float(values.max() + 0.05 * reach)))
    if along.categorical:
        limits[0] = (-0.6, len(along.values) - 0.4)

    for number, (axes, one) in enumerate(zip(GRID.panels(figure, len(panels), columns), panels, strict=True)):
        _panel(axes, along, one, population)
        axes.set_xlim(*limits[0])
        axes.set_ylim(*limits[1])
        style.numbers(axes.yaxis, 5)
        if along.categorical:
            room = max(34 // len(along.values), 4)
            names = [style.shortened(style.number(v) if isinstance(v, float) else v, room) for v in along.values]
            style.names(axes.xaxis, along.positions, names, 0 if len(names) <= 4 else 60)
        else:
            style.numbers(axes.xaxis, 4)
        axes.tick_params(labelbottom=number + columns >= len(panels), labelleft=number % columns == 0)
        told = row_count(one.rows) + (f", {one.why}" if one.why else "")
        page.title(axes, one.label, told, GRID.wide(width, columns))
    middle = GRID.left + (width - GRID.left - GRID.right) / 2
    page.write(figure, middle, 0.4, style.shortened(words_of(post, along.name), 90), ha="center")
    name = style.shortened(f"expected {words_of(post, post.model.formula.outcome_name)}", int(height * 9))
    page.write(figure, 0.14, height / 2, name, rotation=90, va="center", ha="center")

    marks: list[tuple[str, dict[str, Any]]] = [("expected", {"color": style.COLOURS[0], "linewidth": 1.5})]
    if population is not None:
        look = {"color": style.POPULATION, "linewidth": 1.4, "linestyle": "-" if along.categorical else "--"}
        marks.append((f"the average {post.model.formula.group}", look))
    if any(one.points is not None for one in panels):
        marks.append(("a row", {"color": style.INK, "marker": ".", "linestyle": "", "alpha": 0.5}))
    crosses = {one.cloud.crosses for one in panels if one.cloud is not None}
    if False in crosses:
        marks.append(("mean of its rows ± 1 sd", {"color": style.COLOURS[1], "linewidth": 1.1}))
    if True in crosses:
        marks.append(("mean of its rows", {"color": style.COLOURS[1], "marker": "x", "linestyle": ""}))
    page.key(figure, marks)
    return figure


def _panel(axes: Axes, along: _Along, one: _Panel, population: Array | None) -> None:
    """Rows or their spread, and line and bands, or intervals by category."""
    x, colour = along.positions, style.COLOURS[0]
    if one.points is not None:
        at = one.points.x
        shift = np.random.default_rng(0).uniform(-0.22, 0.22, len(at)) if along.categorical else 0.0
        axes.plot(at + shift, one.points.y, ".", color=style.INK, markersize=3, alpha=0.45, zorder=1)
    if one.cloud is not None:
        marks = {"marker": "x", "linestyle": ""} if one.cloud.crosses else {"marker": "", "linestyle": "-"}
        axes.plot(*one.cloud.outline.T, **marks, color=style.COLOURS[1], linewidth=1.1, zorder=1)  # type: ignore[arg-type]
    if along.categorical:
        for height, low, high in ((1.0, 0, 4), (3.4, 1, 3)):
            axes.vlines(x, one.band[low], one.band[high], color=colour, linewidth=height, zorder=3)
        axes.plot(x, one.band[2], "o", color="white", markeredgecolor=colour, markersize=4.5, zorder=4)
        if population is not None:
            axes.plot(x + 0.3, population, "_", color=style.POPULATION, markersize=9, markeredgewidth=1.6, zorder=3)
        return
    axes.fill_between(x, one.band[0], one.band[4], color=colour, alpha=0.18, linewidth=0, zorder=2)
    axes.fill_between(x, one.band[1], one.band[3], color=colour, alpha=0.30, linewidth=0, zorder=2)
    axes.plot(x, one.band[2], color=colour, linewidth=1.5, marker="", zorder=4)
    if population is not None:
        axes.plot(x, population, color=style.POPULATION, linewidth=1.2, linestyle="--", marker="", zorder=3)

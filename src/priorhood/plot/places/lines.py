"""Outcome against a predictor: lines of places with their uncertainty and rows, and the average place's line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import argument, plural, row_count, suggestion
from priorhood.data.sources.table import read
from priorhood.errors import ModelError
from priorhood.model.design import Indicator
from priorhood.model.expression import Expression
from priorhood.plot.figure import page, style
from priorhood.plot.figure.select_places import (
    average_home,
    axis_name,
    chosen_places,
    expected_draws,
    unit_of_outcome,
)
from priorhood.plot.places.points import Cloud, Points, cloud_of, extent, points_of
from priorhood.posterior.price_batches import summarize_expected
from priorhood.prediction.expected import typical_values
from priorhood.prediction.rows import ANY_NUMBER

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Index
    from priorhood.data.sources.table import Table
    from priorhood.posterior.posterior import Posterior

MAX_PANELS = 24
# Up to this many places, all are shown by default.
MAX_ALL = 8
POINTS = 60
# Quantiles of the rows that the lines cover, extended to all rows of the places shown.
X_RANGE = (0.005, 0.995)
BAND = (0.05, 0.25, 0.5, 0.75, 0.95)
# Inches.
WIDTH, PITCH, FOOT = 11.0, 2.67, 0.95
GRID = page.Grid(left=0.95, right=0.25, gap=0.22, foot=FOOT, pitch=PITCH, height=2.13)


@dataclass(frozen=True)
class _Predictor:
    """Predictor of the horizontal axis and its values, numbers or categories."""

    name: str
    values: list[Any]
    categorical: bool

    @property
    def positions(self) -> Array:
        """Return the positions of the values on the axis."""
        return np.arange(len(self.values), dtype=float) if self.categorical else np.array(self.values, dtype=float)


@dataclass(frozen=True)
class _Panel:
    """One place.

    Attributes
    ----------
    label, reason : str
        Its label, and why it was chosen.
    rows : int
    band : array
        (5, T) quantiles of its line.
    points, cloud : Points, Cloud, optional
        Its rows or, without a table, their spread.
    """

    label: str
    reason: str
    rows: int
    band: Array
    points: Points | None
    cloud: Cloud | None


@suggest_argument_names
def lines(
    post: Posterior,
    x: str | None = None,
    table: object = None,
    at: Mapping[str, Any] | None = None,
    **places: object,
) -> Figure:
    """Draw the expected outcome along a predictor, one panel per place, with 50 % and 90 % bands and the rows.

    Parameters
    ----------
    post : Posterior
    x : str, optional
        The predictor; by default the first whose effect varies by place.
    table
        The rows, anything that `read` accepts, to draw those of the places shown. A posterior does not contain
        them; without a table, an ellipse shows the mean ± 1 sd of a place's rows.
    at : mapping, optional
        Values of the other predictors; by default the mean or, for a category, the most frequent one.
    **places : str or list of str
        Up to 24 labels of the formula's group, zip=["10405", "13583"]. By default all of up to 8 places; of more,
        those with the most and fewest rows and those with the highest and lowest outcome.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("lines.png")` writes it. The dashed line is that of the average place.

    Raises
    ------
    ModelError
        No predictor, an unknown one, or one whose range is unknown without a table; unknown places, or more than
        24; no matplotlib.
    TableError
        A required column is missing.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(6, 120, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> len(ph.plot.lines(post, table=sales).axes)
    6
    """
    chosen = chosen_places(post, places, ("table",))
    along, points = _predictor(post, x, table, at or {})
    name = along.name
    given = {**(at or {}), name: 0.0 if name in post.design.truths else along.values[0]}  # replaced below
    homes = post.homes(given)
    reasons = [""] * (1 if chosen is None else len(chosen))
    if chosen is None:
        chosen, reasons = _default_places(post, given, along)
    page.check_count(len(chosen), MAX_PANELS, "panels", "choose fewer places")
    if points is not None and not along.categorical:
        # An extreme home in another place would leave little room for those shown.
        own, most = points.x[np.isin(points.place, chosen)], np.quantile(points.x, X_RANGE)
        low, high = (float(end) for end in (min(most[0], *own), max(most[1], *own)))
        along = replace(along, values=np.linspace(low, high, POINTS).tolist()) if high > low else along
    T = len(along.values)
    rows = homes.iloc[np.repeat(chosen, T)].reset_index(drop=True)
    rows[name] = along.values * len(chosen)
    bands = np.quantile(expected_draws(post, _any_number(rows)), BAND, axis=0).reshape(len(BAND), len(chosen), T)
    levels = post.hierarchy.levels
    labels = [str(label) for label in levels[0].labels] if levels else ["all rows"]
    counts = levels[0].total(post.moments.n) if levels else np.array([post.moments.rows])
    panels = [
        _Panel(
            labels[place], reasons[i], int(counts[place]), bands[:, i],
            None if points is None else points.in_place(place),
            cloud_of(post, name, int(place)) if points is None else None,
        )
        for i, place in enumerate(chosen)
    ]  # fmt: skip
    # The median line of the average place, if there is one.
    population, row = None, average_home(post, homes) if levels else None
    if row is not None:
        rows = row.iloc[np.zeros(T, dtype=int)].reset_index(drop=True)
        rows[name] = along.values
        median = np.median(expected_draws(post, _any_number(rows)), axis=0)
        population = median if np.isfinite(median).all() else None

    subtitle = "Line: median; bands: 50 % and 90 % of the expected outcome."
    if levels and levels[0].size > len(panels):
        subtitle = f"{len(panels)} of {levels[0].size:,} {plural(levels[0].name)}. {subtitle}"
    if at:
        subtitle += " At " + ", ".join(f"{one} {value}" for one, value in at.items()) + "."
    left_out = sum(panel.points.left_out for panel in panels if panel.points is not None)
    if left_out:
        verb = "is" if left_out == 1 else "are"
        subtitle += f" {row_count(left_out)} {verb} not shown: at most {Points.MAX_ROWS:,} per place are."
    return _draw(post, along, panels, population, _title(post, along, panels, population), subtitle)


def _any_number(rows: pd.DataFrame) -> Table:
    """Return rows whose columns of true and false may have any number, as on a line from 0 to 1."""
    table = read(rows)
    table.checked.add(ANY_NUMBER)
    return table


# -- what is shown ------------------------------------------------------------------------------------------


def _predictor(
    post: Posterior, x: str | None, table: object, at: Mapping[str, Any]
) -> tuple[_Predictor, Points | None]:
    """Return the predictor of the horizontal axis, and the rows of the table along it."""
    variables = post.design.variables
    if not variables:
        raise ModelError(
            f"{post.model.formula.text!r} has no predictor to plot lines along; plot.forest shows its places"
        )
    if x is None:
        own = set() if post.place_table is None else set(post.place_table.columns)
        varying = post.design.level_columns(0) if post.hierarchy.levels else ()
        factors = [f for column in varying for f in column.factors]
        read = [n for f in factors for n in Expression(f.factor if isinstance(f, Indicator) else f.text).names]
        x = next((n for n in (*read, *variables) if n not in own), variables[0])
    if x not in variables:
        raise ModelError(f"the model has no predictor {x!r} ({argument('x')}); {suggestion(x, variables)}")
    if x in at:
        raise ModelError(f"the lines run along {x!r}: leave it out of {argument('at')}")
    points = None if table is None else points_of(post, x, table)
    factor = next((factor for factor in post.design.categories if Expression(factor).bare == x), None)
    if factor is None:
        low, high = extent(post, x, points)
        return _Predictor(x, np.linspace(low, high, POINTS).tolist(), categorical=False), points
    categories = post.design.categories[factor]
    values = [float(c) for c in categories] if factor in post.design.numeric else list(categories)
    return _Predictor(x, values, categorical=True), points


def _default_places(post: Posterior, given: dict[str, Any], along: _Predictor) -> tuple[Index, list[str]]:
    """Return the positions of the places shown by default, and the reason for each."""
    if not post.hierarchy.levels:
        return np.zeros(1, np.int64), [""]
    level = post.hierarchy.levels[0]
    if level.size <= MAX_ALL:
        return np.arange(level.size), [""] * level.size
    middle = along.values[len(along.values) // 2]
    typical = middle if along.categorical else typical_values(post.design, post.moments).get(along.name, middle)
    homes = post.homes(given).assign(**{along.name: typical})
    height = summarize_expected(post, homes, lambda draws: np.median(draws, axis=0))
    rows = level.total(post.moments.n)
    reasons: dict[int, str] = {}
    for reason, values in (("most rows", -rows), ("fewest rows", rows), ("highest", -height), ("lowest", height)):
        fresh = [place for place in np.argsort(values, kind="stable").tolist() if place not in reasons]
        reasons |= dict.fromkeys(fresh[: MAX_ALL // 4], reason)
    return np.array(list(reasons)), list(reasons.values())


def _title(post: Posterior, along: _Predictor, panels: list[_Panel], population: Array | None) -> str:
    """Return the outcome at a typical value of the predictor in words: highest, lowest, average."""
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


def _draw(
    post: Posterior, along: _Predictor, panels: list[_Panel], population: Array | None, title: str, subtitle: str
) -> Figure:
    """Draw all panels on the same axes."""
    columns, width = min(4, len(panels)), WIDTH if len(panels) > 2 else WIDTH * 0.62
    figure = page.new_figure(title, subtitle, width, -(-len(panels) // columns) * PITCH + FOOT)

    # Limits of everything that is drawn.
    x, y = [along.positions], [panel.band[[0, 4]].ravel() for panel in panels]
    y += [population] if population is not None else []
    for panel in panels:
        drawn = panel.points if panel.points is not None else panel.cloud
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

    grid = GRID.panels(figure, len(panels), columns)
    for number, (axes, panel) in enumerate(zip(grid, panels, strict=True)):
        _draw_panel(axes, along, panel, population)
        axes.set_xlim(*limits[0])
        axes.set_ylim(*limits[1])
        style.number_ticks(axes.yaxis, 5)
        if along.categorical:
            room = max(34 // len(along.values), 4)
            names = [style.shorten(style.number(v) if isinstance(v, float) else v, room) for v in along.values]
            style.name_ticks(axes.xaxis, along.positions, names, 0 if len(names) <= 4 else 60)
        else:
            style.number_ticks(axes.xaxis, 4)
        axes.tick_params(labelbottom=number + columns >= len(panels), labelleft=number % columns == 0)
        note = row_count(panel.rows) + (f", {panel.reason}" if panel.reason else "")
        page.panel_title(axes, panel.label, note, GRID.panel_width(width, columns))
    name = style.shorten(
        f"expected {axis_name(post, post.model.formula.outcome_name)}", int(figure.get_size_inches()[1] * 9)
    )
    page.axis_labels(figure, 0.4, grid, style.shorten(axis_name(post, along.name), 90), name)

    marks: list[tuple[str, dict[str, Any]]] = [("expected", {"color": style.COLOURS[0], "linewidth": 1.5})]
    if population is not None:
        look = {"color": style.POPULATION, "linewidth": 1.4, "linestyle": "-" if along.categorical else "--"}
        marks.append((f"average {post.model.formula.group}", look))
    if any(panel.points is not None for panel in panels):
        marks.append(("a row", {"color": style.INK, "marker": ".", "linestyle": "", "alpha": 0.5}))
    crosses = {panel.cloud.crosses for panel in panels if panel.cloud is not None}
    if False in crosses:
        marks.append(("mean of its rows ± 1 sd", {"color": style.COLOURS[1], "linewidth": 1.1}))
    if True in crosses:
        marks.append(("mean of its rows", {"color": style.COLOURS[1], "marker": "x", "linestyle": ""}))
    page.add_key(figure, marks)
    return figure


def _draw_panel(axes: Axes, along: _Predictor, panel: _Panel, population: Array | None) -> None:
    """Draw rows or their spread, and the line with its bands or, for a category, intervals."""
    x, colour = along.positions, style.COLOURS[0]
    if panel.points is not None:
        rows = panel.points.x
        shift = np.random.default_rng(0).uniform(-0.22, 0.22, len(rows)) if along.categorical else 0.0
        axes.plot(rows + shift, panel.points.y, ".", color=style.INK, markersize=3, alpha=0.45, zorder=1)
    if panel.cloud is not None:
        marks = {"marker": "x", "linestyle": ""} if panel.cloud.crosses else {"marker": "", "linestyle": "-"}
        axes.plot(*panel.cloud.outline.T, **marks, color=style.COLOURS[1], linewidth=1.1, zorder=1)  # type: ignore[arg-type]
    if along.categorical:
        for height, low, high in ((1.0, 0, 4), (3.4, 1, 3)):
            axes.vlines(x, panel.band[low], panel.band[high], color=colour, linewidth=height, zorder=3)
        axes.plot(x, panel.band[2], "o", color="white", markeredgecolor=colour, markersize=4.5, zorder=4)
        if population is not None:
            axes.plot(x + 0.3, population, "_", color=style.POPULATION, markersize=9, markeredgewidth=1.6, zorder=3)
        return
    axes.fill_between(x, panel.band[0], panel.band[4], color=colour, alpha=0.18, linewidth=0, zorder=2)
    axes.fill_between(x, panel.band[1], panel.band[3], color=colour, alpha=0.30, linewidth=0, zorder=2)
    axes.plot(x, panel.band[2], color=colour, linewidth=1.5, marker="", zorder=4)
    if population is not None:
        axes.plot(x, population, color=style.POPULATION, linewidth=1.2, linestyle="--", marker="", zorder=3)

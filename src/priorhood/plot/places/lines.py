"""The outcome against a predictor: places' lines, their uncertainty and their rows, against the population's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import near, plural, rows_of
from priorhood.errors import ModelError
from priorhood.model.design import Indicator
from priorhood.model.expression import Expression
from priorhood.plot.figure import page
from priorhood.plot.figure.select_places import (
    asked,
    average_home,
    expected,
    rows_in,
    unit_of_outcome,
    words_of,
)  # fmt: skip
from priorhood.plot.places.points import Cloud, Points, cloud_of, extent, points_of
from priorhood.posterior.price_batches import over_draws
from priorhood.prediction.expected import typical_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Index
    from priorhood.posterior.posterior import Posterior

MOST = 24
# Places up to which all are shown where none are asked for.
ALL = 8
GRID = 60
# The rows that the lines run over, those of the places shown in any case.
MOST_OF = (0.005, 0.995)
BAND = (0.05, 0.25, 0.5, 0.75, 0.95)
# Inches.
WIDTH, PANEL, LEFT, RIGHT, GAP, TITLE, FOOT = 11.0, 2.25, 0.95, 0.25, 0.22, 0.42, 0.95


@dataclass(frozen=True)
class _Along:
    """What the lines run along: the predictor, its values (numbers, or categories), and their positions."""

    name: str
    values: list[Any]
    categorical: bool

    @property
    def positions(self) -> Array:
        """Where the values stand on the axis."""
        return np.arange(len(self.values), dtype=float) if self.categorical else np.array(self.values, dtype=float)


@dataclass(frozen=True)
class _Panel:
    """A place: why it is shown, its number of rows, quantiles of its line (5, T), its rows or their spread."""

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
    """The expected outcome along a predictor, one panel a place, with its 50 % and 90 % band and its rows.

    Parameters
    ----------
    post : a posterior
    x : the predictor; the first that varies by place if None
    data : the rows, whatever read() takes: those of the places shown are drawn. A posterior has none; without
        data the ellipse is the mean of a place's rows ± 1 sd
    at : values of the other predictors; the mean where not named, of a category the most frequent
    places : the formula's group = up to 24 labels, zip=["10405", "13583"]. If none: all of up to 8, of more
        those with most and fewest rows and those where the outcome is highest and lowest

    Returns
    -------
    matplotlib Figure; `savefig("lines.png")` writes it. The dashed line is the average place's

    Raises
    ------
    ModelError : no predictor, an unknown one, one whose range is not known without data, unknown places, more
        than 24, no matplotlib
    TableError : data without a column that is needed
    """
    name = _predictor(post, x)
    if name in (at or {}):
        raise ModelError(f"the lines run along {name!r}: leave it out of at")
    points = None if data is None else points_of(post, name, data)
    along = _along(post, name, points)
    given = {**(at or {}), name: along.values[0]}
    homes = post.homes(given)
    chosen, why = _chosen(post, places, given, along)
    if len(chosen) > MOST:
        raise ModelError(f"{len(chosen)} panels do not fit into one picture, {MOST} do: choose fewer places")
    along = along if points is None else _near(along, points, chosen)
    T = len(along.values)
    rows = homes.iloc[np.repeat(chosen, T)].reset_index(drop=True)
    rows[name] = along.values * len(chosen)
    bands = np.quantile(expected(post, rows), BAND, axis=0).reshape(len(BAND), len(chosen), T)
    levels = post.hierarchy.levels
    labels = [str(label) for label in levels[0].labels] if levels else ["all rows"]
    counts = rows_in(post, levels[0]) if levels else np.array([post.moments.rows])
    panels = [
        _Panel(
            labels[place], why[i], int(counts[place]), bands[:, i],
            None if points is None else points.of(place),
            cloud_of(post, name, int(place)) if points is None else None,
        )
        for i, place in enumerate(chosen)
    ]  # fmt: skip
    return _drawn(post, along, panels, _population(post, homes, along), at)


# -- what is shown ------------------------------------------------------------------------------------------


def _predictor(post: Posterior, x: str | None) -> str:
    """The column that the lines run along."""
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
        raise ModelError(f"the model has no predictor {x!r} (x, --x); {near(x, variables)}")
    return x


def _along(post: Posterior, name: str, points: Points | None) -> _Along:
    """The values of the predictor: its categories, or a grid over its range."""
    for factor, categories in post.design.categories.items():
        if Expression(factor).bare == name:
            values = [float(c) for c in categories] if factor in post.design.numeric else list(categories)
            return _Along(name, values, categorical=True)
    low, high = extent(post, name, points)
    return _Along(name, np.linspace(low, high, GRID).tolist(), categorical=False)


def _near(along: _Along, points: Points, chosen: Index) -> _Along:
    """Over the rows shown and nearly all others: one far home elsewhere would leave little room for those here."""
    if along.categorical:
        return along
    own = points.x[np.isin(points.place, chosen)]
    most = np.quantile(points.x, MOST_OF)
    low, high = (float(end) for end in (min(most[0], *own), max(most[1], *own)))
    return replace(along, values=np.linspace(low, high, GRID).tolist()) if high > low else along


def _chosen(
    post: Posterior, places: Mapping[str, object], given: dict[str, Any], along: _Along
) -> tuple[Index, list[str]]:
    """Positions of the places, and why each is shown."""
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
    height = over_draws(post, post.homes({**given, along.name: typical}), lambda draws: np.median(draws, axis=0))
    rows = rows_in(post, level)
    why: dict[int, str] = {}
    for words, order in (
        ("most rows", np.argsort(-rows, kind="stable")), ("fewest rows", np.argsort(rows, kind="stable")),
        ("highest", np.argsort(-height, kind="stable")), ("lowest", np.argsort(height, kind="stable")),
    ):  # fmt: skip
        fresh = [at for at in order.tolist() if at not in why]
        why |= dict.fromkeys(fresh[: ALL // 4], words)
    return np.array(list(why)), list(why.values())


def _population(post: Posterior, homes: Any, along: _Along) -> Array | None:
    """The median of the average place's line; None where there are no places, or it has none."""
    if not post.hierarchy.levels:
        return None
    row = average_home(post, homes)
    if row is None:
        return None
    rows = row.iloc[np.zeros(len(along.values), dtype=int)].reset_index(drop=True)
    rows[along.name] = along.values
    found = np.median(expected(post, rows), axis=0)
    return found if np.isfinite(found).all() else None


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
    post: Posterior, along: _Along, panels: list[_Panel], population: Array | None, at: Mapping[str, Any] | None
) -> Figure:
    from priorhood.plot.figure import style

    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    width = WIDTH if columns > 2 else WIDTH * 0.62
    heading = page.Heading(_finding(post, along, panels, population), _told(post, panels, at), width)
    figure = style.picture(width, heading.height + rows * (PANEL + TITLE) + FOOT)
    heading.put(figure)
    wide = (width - LEFT - RIGHT - GAP * (columns - 1)) / columns
    limits = _limits(along, panels, population)
    for number, one in enumerate(panels):
        row, column = divmod(number, columns)
        bottom = FOOT + (rows - 1 - row) * (PANEL + TITLE)
        axes = page.panel(figure, LEFT + column * (wide + GAP), bottom, wide, PANEL - 0.12)
        _panel(axes, along, one, population)
        axes.set_xlim(*limits[0])
        axes.set_ylim(*limits[1])
        last = number + columns >= len(panels)
        _ticks(axes, along, bottom=last, left=column == 0)
        told = rows_of(one.rows) + (f", {one.why}" if one.why else "")
        page.title(axes, one.label, told, wide)
    height = figure.get_size_inches()[1]
    middle = (LEFT + (width - LEFT - RIGHT) / 2) / width
    style.words(figure.text(middle, 0.4 / height, style.shortened(words_of(post, along.name), 90), ha="center"))
    name = f"expected {words_of(post, post.model.formula.outcome_name)}"
    across = figure.text(0.14 / width, 0.5, style.shortened(name, int(height * 9)), rotation=90, va="center")
    across.set_horizontalalignment("center")
    style.words(across)
    _key(figure, post, along, panels, population)
    return figure


def _told(post: Posterior, panels: list[_Panel], at: Mapping[str, Any] | None) -> str:
    levels = post.hierarchy.levels
    text = "Line: median; bands: 50 % and 90 % of the expected outcome."
    if levels and levels[0].size > len(panels):
        text = f"{len(panels)} of {levels[0].size:,} {plural(levels[0].name)}. {text}"
    if at:
        text += " At " + ", ".join(f"{name} {value}" for name, value in at.items()) + "."
    left = sum(one.points.left_out for one in panels if one.points is not None)
    if left:
        text += f" {left:,} rows are not drawn: {Points.MOST:,} of a place are."
    return text


def _panel(axes: Axes, along: _Along, one: _Panel, population: Array | None) -> None:
    from priorhood.plot.figure import style

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


def _limits(along: _Along, panels: list[_Panel], population: Array | None) -> list[tuple[float, float]]:
    """The same axes in all panels: everything that is drawn."""
    x, y = [along.positions], [one.band[[0, 4]].ravel() for one in panels]
    y += [population] if population is not None else []
    for one in panels:
        drawn = one.points if one.points is not None else one.cloud
        if drawn is not None and len(drawn.x):
            x.append(drawn.x)
            y.append(drawn.y)
    found = []
    for values in (np.concatenate(x), np.concatenate(y)):
        values = values[np.isfinite(values)]
        reach = np.ptp(values) or 1.0
        found.append((float(values.min() - 0.03 * reach), float(values.max() + 0.05 * reach)))
    if along.categorical:
        found[0] = (-0.6, len(along.values) - 0.4)
    return found


def _ticks(axes: Axes, along: _Along, *, bottom: bool, left: bool) -> None:
    from priorhood.plot.figure import style

    style.numbers(axes.yaxis, 5)
    if along.categorical:
        room = max(34 // len(along.values), 4)
        names = [style.shortened(style.number(v) if isinstance(v, float) else v, room) for v in along.values]
        axes.set_xticks(along.positions, names, rotation=0 if len(names) <= 4 else 60)
        for text in axes.get_xticklabels():
            text.set_parse_math(False)
    else:
        style.numbers(axes.xaxis, 4)
    axes.tick_params(labelbottom=bottom, labelleft=left)


def _key(figure: Figure, post: Posterior, along: _Along, panels: list[_Panel], population: Array | None) -> None:
    from priorhood.plot.figure import style

    marks: list[tuple[str, dict[str, Any]]] = [("expected", {"color": style.COLOURS[0], "linewidth": 1.5})]
    if population is not None:
        look = {"color": style.POPULATION, "linewidth": 1.4, "linestyle": "-" if along.categorical else "--"}
        marks.append((f"the average {post.model.formula.group}", look))
    if any(one.points is not None for one in panels):
        marks.append(("a row", {"color": style.INK, "marker": ".", "linestyle": "", "alpha": 0.5}))
    clouds = [one.cloud for one in panels if one.cloud is not None]
    if any(not cloud.crosses for cloud in clouds):
        marks.append(("mean of its rows ± 1 sd", {"color": style.COLOURS[1], "linewidth": 1.1}))
    if any(cloud.crosses for cloud in clouds):
        marks.append(("mean of its rows", {"color": style.COLOURS[1], "marker": "x", "linestyle": ""}))
    page.key(figure, marks)

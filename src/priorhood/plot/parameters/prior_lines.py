"""What the priors take for possible, as lines in the data's units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_seed, finite, whole
from priorhood._text import near
from priorhood.data.sources.table import read
from priorhood.errors import ModelError
from priorhood.model.expression import Expression
from priorhood.model.weights import Weights
from priorhood.plot.figure import page
from priorhood.posterior.predictive import PriorWorld, prior_world
from priorhood.prediction.expected import checked_home, typical_values
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import AVERAGE, frame_to_predict, locations, read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.model.model import Model
    from priorhood.posterior.posterior import Posterior

POINTS = 60
SDS = 2.0  # the data's range: their mean and so many sds either way
LINES = 100  # drawn; shares are of all
MOST_LINES = 100_000
# Inches.
WIDTH, HEIGHT, LEFT, GAP, RIGHT, TOP, BELOW = 11.0, 4.6, 1.3, 0.5, 0.25, 1.0, 0.6


@dataclass(frozen=True)
class _Lines:
    """Prior lines (draws, POINTS) along x, by what they are of; all in the data's units."""

    x: Array
    name: str
    outcome: str
    lines: dict[str, Array]
    range: tuple[float, float]


def prior_lines(
    model: Model | str | Posterior,
    table: object = None,
    *,
    bounds: tuple[float, float] | None = None,
    x: str | None = None,
    at: Mapping[str, Any] | None = None,
    draws: int = 500,
    seed: int | None = None,
    places: object = None,
) -> Figure:
    """What the priors say of the outcome before any is seen: lines of the average place, and of single places.

    A line is the median home's outcome xᵀβ (its exp where the formula takes the log) along one predictor, the
    others at their typical values. Lines of single places add a place's own effects, and those of crossed groups.

    Parameters
    ----------
    model : a Model or formula, with its table; or a posterior, whose sums give the scale
    table : whatever read() takes, with the outcome, which serves for the scale alone
    bounds : what the outcome can be at the least and the most, (0, 10_000_000); the title says the share of lines
        that leave them somewhere in the data's range
    x : the predictor; the first numeric one if None
    at : values of other predictors, {"rooms": 3}; see Posterior.homes
    draws : from the prior; of more than 100 so many are drawn, shares are of all
    seed : the same seed gives the same lines; 1 if None
    places : a table of places, see fit

    Raises
    ------
    ModelError : no table for a formula; no numeric predictor, a name or bounds that cannot be
    TableError, PriorError : as for a fit
    """
    _check(bounds, draws)
    world = prior_world(model, table, draws, check_seed(1 if seed is None else seed), places)
    return _drawn(_lines(world, x, dict(at or {})), bounds)


def _check(bounds: object, draws: object) -> None:
    whole("draws", draws, 1, MOST_LINES)
    if bounds is None:
        return
    ends = tuple(bounds) if isinstance(bounds, tuple | list) else ()
    if len(ends) != 2 or not all(isinstance(end, int | float) for end in ends) or not ends[0] < ends[1]:
        raise ModelError(
            f"bounds must be the least and the most the outcome can be, (0, 10_000_000), not {bounds!r}"
        )
    for end in ends:
        finite("bounds", end)


# -- the lines --------------------------------------------------------------------------------------------


def _lines(world: PriorWorld, x: str | None, at: dict[str, Any]) -> _Lines:
    import pandas as pd

    design, found, formula = world.data.design, world.data.moments, world.data.model.formula
    name, column, logged = _predictor(world, x)
    for one in at:
        if one not in design.variables:
            raise ModelError(f"the model has no predictor {one!r} (at, --at); {near(one, design.variables)}")
    at = checked_home(design, at)
    mean, scatter = found.pooled()
    where = found.columns.index(column)
    sd = np.sqrt(np.diag(scatter) / found.mass.sum())
    low, high = mean[where] - SDS * sd[where], mean[where] + SDS * sd[where]
    if low < 0 < found.mean[:, where].min() and not logged:
        low = 0.0  # a size has no values below
    grid = np.linspace(low, high, POINTS)
    grid = np.exp(grid) if logged else grid
    typical = typical_values(design, found) | at
    missing = [one for one in design.variables if one not in typical and one != name]
    if missing:
        raise ModelError(f"the mean of {missing[0]!r} is not known: say at={{{missing[0]!r}: …}}")
    frame = pd.DataFrame({**{one: typical[one] for one in design.variables if one != name}, name: grid})
    frame = frame.assign(**dict.fromkeys(formula.keys, AVERAGE))
    lines = {"the average place" if formula.groupings else "all rows": world_lines(world, frame, "population")}
    if formula.groupings:
        lines["single places"] = world_lines(world, frame, "draw")
    ends = np.array([mean[-1] - SDS * sd[-1], mean[-1] + SDS * sd[-1]])
    ends = np.exp(ends) if formula.log_outcome else ends
    units = world.data.model.units
    axis, outcome = (f"{one}, {units[one]}" if one in units else one for one in (name, formula.outcome_name))
    return _Lines(grid, axis, outcome, lines, (float(ends[0]), float(ends[1])))


def world_lines(world: PriorWorld, frame: Any, unseen: str) -> Array:
    """xᵀβ, or its exp, of rows in an unknown place: (draws, rows), in the outcome's units."""
    c = replace(world.coefficients, row_weights=Weights())
    table = read(frame)
    rows = read_rows(c, frame_to_predict(table, c.design, c.row_weights), table.name, unseen)
    m = locations(rows, Groups(c, rows.spots, unseen, world.seed), np.arange(len(rows.X))).T * world.data.scale.unit
    with np.errstate(over="ignore"):
        return np.exp(m) if world.data.design.formula.log_outcome else m


def _predictor(world: PriorWorld, x: str | None) -> tuple[str, str, bool]:
    """The predictor along the axis: its name in the table, its design column, and whether that is its log."""
    found: dict[str, tuple[str, str, bool]] = {}
    for column in world.data.design.columns:
        only = column.factors[0] if len(column.factors) == 1 else None
        if not isinstance(only, Expression):
            continue
        inside = None if only.logged is None else Expression(only.logged).bare
        bare = only.bare or inside
        if bare is not None:
            found.setdefault(bare, (bare, column.name, only.bare is None))
    if not found:
        raise ModelError(f"{world.data.model.formula.text!r} has no numeric predictor to draw lines along")
    if x is not None and x not in found:
        raise ModelError(f"the model has no numeric predictor {x!r}; {near(x, found)}")
    return found[x] if x is not None else next(iter(found.values()))


# -- the picture ------------------------------------------------------------------------------------------


def _drawn(shown: _Lines, bounds: tuple[float, float] | None) -> Figure:
    from priorhood.plot.figure import style

    figure = style.picture(WIDTH, HEIGHT)
    panels = len(shown.lines)
    wide = (WIDTH - LEFT - RIGHT - GAP * (panels - 1)) / panels
    ends = _ends(shown, bounds)
    for at, (name, lines) in enumerate(shown.lines.items()):
        box = ((LEFT + at * (wide + GAP)) / WIDTH, BELOW / HEIGHT, wide / WIDTH, (HEIGHT - TOP - BELOW) / HEIGHT)
        axes = figure.add_axes(box)
        _panel(axes, shown, lines, bounds, ends)
        if at:
            axes.tick_params(labelleft=False)
        else:
            style.words(axes.set_ylabel(shown.outcome, labelpad=4))
        text = axes.text(0, 1.03, _panel_words(name, lines, bounds), transform=axes.transAxes)
        style.words(text, colour=style.INK)
    drawn = min(LINES, len(next(iter(shown.lines.values()))))
    reading = (
        f"{drawn} draws from the prior. Grey: where the data are, mean ± 2 sd"
        + (" of the log" if ends[2] else "")
        + ("; red: the bounds. The axis is cut." if bounds else ". The axis is cut.")
    )
    page.Heading(_title(shown, bounds), reading, WIDTH).put(figure)
    return figure


def _leaving(lines: Array, bounds: tuple[float, float]) -> float:
    """The share of lines that leave the bounds somewhere."""
    return float(((lines < bounds[0]) | (lines > bounds[1])).any(axis=1).mean())


def _title(shown: _Lines, bounds: tuple[float, float] | None) -> str:
    from priorhood.plot.figure import style

    name, lines = list(shown.lines.items())[-1]
    if bounds is None:
        low, high = shown.range
        off = float(((lines > high).any(axis=1) | (lines < low).any(axis=1)).mean())
        return f"{100 * off:.0f} % of the prior's lines of {name} leave the range of the data"
    share = _leaving(lines, bounds)
    told = f"{style.number(bounds[0])} to {style.number(bounds[1])}"
    return f"{100 * share:.0f} % of the prior's lines of {name} are impossible: they leave {told}"


def _panel_words(name: str, lines: Array, bounds: tuple[float, float] | None) -> str:
    own = f"{name[0].upper()}{name[1:]}"
    return own if bounds is None else f"{own}: {100 * _leaving(lines, bounds):.0f} % leave the bounds"


def _ends(shown: _Lines, bounds: tuple[float, float] | None) -> tuple[float, float, bool]:
    """Of the outcome's axis, and whether it is a log one: bounds and data, and most of the lines."""
    every = np.concatenate([lines.ravel() for lines in shown.lines.values()])
    low, high = np.quantile(every[np.isfinite(every)], [0.02, 0.98])
    marks = [*shown.range, *(bounds or ())]
    low, high = min(low, *marks), max(high, *marks)
    if (every > 0).all() and min(shown.range) > 0:
        positive = [mark for mark in marks if mark > 0]
        return max(min(low, *positive), min(positive) * 1e-3) / 1.5, min(high, max(positive) * 1e3) * 1.5, True
    width = max(marks) - min(marks)
    low, high = max(low, min(marks) - 3 * width), min(high, max(marks) + 3 * width)
    return low - 0.04 * (high - low), high + 0.04 * (high - low), False


def _panel(
    axes: Axes, shown: _Lines, lines: Array, bounds: tuple[float, float] | None, ends: tuple[float, float, bool]
) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    from priorhood.plot.figure import style

    style.plain(axes)
    axes.axhspan(*shown.range, color=style.BAND, linewidth=0)
    for line in lines[:LINES]:
        impossible = bounds is not None and _leaving(line[None], bounds) > 0
        look = {"color": style.INK, "linestyle": "--"} if impossible else {"color": style.PRIOR}
        axes.plot(shown.x, line, linewidth=0.8, alpha=0.55, **look)  # type: ignore[arg-type]
    for bound in bounds or ():
        axes.axhline(bound, color=style.WARNING, linewidth=1.4)
    if ends[2]:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(numticks=10))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(FuncFormatter(style.number))
    else:
        style.numbers(axes.yaxis, 7)
    style.numbers(axes.xaxis, 6)
    axes.set_xlim(shown.x[0], shown.x[-1])
    axes.set_ylim(ends[0], ends[1])
    style.words(axes.set_xlabel(shown.name, labelpad=2))

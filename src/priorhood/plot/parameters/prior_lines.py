"""Prior predictive check: lines of the outcome along a predictor, in the data's units."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_finite, check_seed, check_whole
from priorhood._text import suggestion
from priorhood.data.sources.table import read
from priorhood.errors import ModelError
from priorhood.model.expression import Expression
from priorhood.model.weights import Weights
from priorhood.plot.figure import page, style
from priorhood.posterior.predictive import PriorSample, sample_prior
from priorhood.prediction.expected import checked_home, typical_values
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import AVERAGE, frame_to_predict, locations, read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.model.model import Model
    from priorhood.posterior.posterior import Posterior

POINTS = 60
SDS = 2.0  # the data's range: their mean and so many sds either way
LINES = 100  # drawn; shares are of all
MAX_LINES = 100_000
# Inches.
WIDTH, HEIGHT = 11.0, 4.6
GRID = page.Grid(left=1.3, right=0.25, gap=0.5, foot=0.6, pitch=HEIGHT, high=3.0)


@dataclass(frozen=True)
class _Lines:
    """Prior lines (draws, POINTS) along x by their subject, and the data's range; all in the data's units."""

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
    """Draw lines of the outcome from the prior: of the average place, and of single places.

    A line is the median home's outcome xᵀβ (its exp where the formula takes the log) along one predictor, the
    others at their typical values. Lines of single places add a place's own effects, and those of crossed groups.

    Parameters
    ----------
    model : Model, str or Posterior
        A Model or formula, with its table; or a posterior, whose sums give the scale.
    table
        Whatever `read` takes, with the outcome; it serves for the scale alone.
    bounds : (float, float), optional
        The least and the most that the outcome can be, (0, 10_000_000); the title gives the share of lines that
        leave them somewhere in the data's range.
    x : str, optional
        The predictor; by default the first numeric one.
    at : mapping, optional
        Values of other predictors, {"rooms": 3}; see `Posterior.homes`.
    draws : int
        Draws from the prior; of more than 100, a hundred are drawn, shares are of all.
    seed : int, optional
        The same seed gives the same lines; 1 by default.
    places
        A table of places, see `fit`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ModelError
        No table for a formula; no numeric predictor, a name or bounds that are not possible.
    TableError, PriorError
        As for `fit`.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> figure = ph.plot.prior_lines("price ~ living_space + (1 | zip)", sales, bounds=(0, 10_000_000))
    >>> [axes.texts[0].get_text().partition(":")[0] for axes in figure.axes]
    ['The average place', 'Single places']
    """
    check_whole("draws", draws, 1, MAX_LINES)
    if bounds is not None:
        limits = tuple(bounds) if isinstance(bounds, tuple | list) else ()
        numbers = all(isinstance(end, int | float) for end in limits)
        if len(limits) != 2 or not numbers or not limits[0] < limits[1]:
            raise ModelError(
                f"bounds must be the least and the most the outcome can be, (0, 10_000_000), not {bounds!r}"
            )
        for end in limits:
            check_finite("bounds", end)
    world = sample_prior(model, table, draws, check_seed(1 if seed is None else seed), places)
    return _drawn(_lines(world, x, dict(at or {})), bounds)


def _lines(world: PriorSample, x: str | None, at: dict[str, Any]) -> _Lines:
    """Lines along the predictor, over the data's range."""
    import pandas as pd

    design, found, formula = world.data.design, world.data.moments, world.data.model.formula
    # By name in the table: the design column, and whether it is the log of the predictor.
    numeric: dict[str, tuple[str, bool]] = {}
    for column in design.columns:
        only = column.factors[0] if len(column.factors) == 1 else None
        if isinstance(only, Expression):
            bare = only.bare or (None if only.logged is None else Expression(only.logged).bare)
            if bare is not None:
                numeric.setdefault(bare, (column.name, only.bare is None))
    if not numeric:
        raise ModelError(f"{formula.text!r} has no numeric predictor to draw lines along")
    if x is not None and x not in numeric:
        raise ModelError(f"the model has no numeric predictor {x!r}; {suggestion(x, numeric)}")
    name = next(iter(numeric)) if x is None else x
    column_name, logged = numeric[name]
    for one in at:
        if one not in design.variables:
            raise ModelError(f"the model has no predictor {one!r} (at, --at); {suggestion(one, design.variables)}")
    at = checked_home(design, at)
    mean, scatter = found.pooled()
    where = found.columns.index(column_name)
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


def world_lines(world: PriorSample, frame: Any, unseen: str) -> Array:
    """xᵀβ, or its exp, of rows in an unknown place: (draws, rows), in the outcome's units."""
    c, data = replace(world.coefficients, row_weights=Weights()), world.data
    table = read(frame)
    rows = read_rows(c, frame_to_predict(table, c.design, c.row_weights), table.name, unseen)
    m = locations(rows, Groups(c, rows.spots, unseen, world.seed), np.arange(len(rows.X))).T * data.scale.unit
    with np.errstate(over="ignore"):
        return np.exp(m) if data.design.formula.log_outcome else m


def _leaving(lines: Array, bounds: tuple[float, float]) -> float:
    """The percentage of lines that leave the bounds somewhere."""
    return 100 * float(((lines < bounds[0]) | (lines > bounds[1])).any(axis=1).mean())


def _drawn(shown: _Lines, bounds: tuple[float, float] | None) -> Figure:
    """The picture of the lines, those that leave the bounds dashed."""
    name, last = list(shown.lines.items())[-1]
    off = _leaving(last, shown.range if bounds is None else bounds)
    finding = f"{off:.0f} % of the prior's lines of {name} leave the range of the data"
    if bounds is not None:
        told = f"{style.number(bounds[0])} to {style.number(bounds[1])}"
        finding = f"{off:.0f} % of the prior's lines of {name} are impossible: they leave {told}"

    # The outcome's axis has bounds and data, and most of the lines.
    every = np.concatenate([lines.ravel() for lines in shown.lines.values()])
    low, high = np.quantile(every[np.isfinite(every)], [0.02, 0.98])
    marks = [*shown.range, *(bounds or ())]
    low, high = min(low, *marks), max(high, *marks)
    logged = bool((every > 0).all() and min(shown.range) > 0)
    if logged:
        positive = [mark for mark in marks if mark > 0]
        low = max(min(low, *positive), min(positive) * 1e-3) / 1.5
        high = min(high, max(positive) * 1e3) * 1.5
    else:
        width = max(marks) - min(marks)
        low, high = max(low, min(marks) - 3 * width), min(high, max(marks) + 3 * width)
        low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)

    reading = (
        f"{min(LINES, len(last))} draws from the prior. Grey: where the data are, mean ± 2 sd"
        + (" of the log" if logged else "")
        + ("; red: the bounds. The axis is cut." if bounds else ". The axis is cut.")
    )
    figure = page.sheet(page.Heading(finding, reading, WIDTH), HEIGHT)
    panels = GRID.panels(figure, len(shown.lines), len(shown.lines))
    for axes, (name, lines) in zip(panels, shown.lines.items(), strict=True):
        axes.axhspan(*shown.range, color=style.BAND, linewidth=0)
        for line in lines[:LINES]:
            impossible = bounds is not None and _leaving(line[None], bounds) > 0
            look = {"color": style.INK, "linestyle": "--"} if impossible else {"color": style.PRIOR}
            axes.plot(shown.x, line, linewidth=0.8, alpha=0.55, **look)  # type: ignore[arg-type]
        for bound in bounds or ():
            axes.axhline(bound, color=style.WARNING, linewidth=1.4)
        style.numbers(axes.yaxis, 7, shown.outcome if axes is panels[0] else "", pad=4)
        if logged:
            axes.set_yscale("log")
            style.log_numbers(axes.yaxis, (1,), 10)
        style.numbers(axes.xaxis, 6, shown.name)
        axes.set_xlim(shown.x[0], shown.x[-1])
        axes.set_ylim(low, high)
        axes.tick_params(labelleft=axes is panels[0])
        words = f"{name[0].upper()}{name[1:]}"
        if bounds is not None:
            words += f": {_leaving(lines, bounds):.0f} % leave the bounds"
        style.words(axes.text(0, 1.03, words, transform=axes.transAxes), colour=style.INK)
    return figure

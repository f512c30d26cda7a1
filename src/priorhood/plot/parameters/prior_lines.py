"""Prior predictive check: lines of the outcome along a predictor, in units of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_finite, check_seed, check_whole, suggest_argument_names
from priorhood._text import argument, suggestion
from priorhood.data.sources.table import read
from priorhood.errors import ModelError
from priorhood.model.expression import Expression
from priorhood.model.weights import Weights
from priorhood.plot.figure import page, style
from priorhood.posterior.predictive import PriorSample, sample_prior
from priorhood.prediction.expected import checked_home, typical_values
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import ANY_NUMBER, AVERAGE, frame_to_predict, locations, read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.model.model import Model
    from priorhood.posterior.posterior import Posterior

POINTS = 60
SDS = 2.0  # the range of the data: mean ± this many sds
LINES = 100  # lines that are drawn; shares count all draws
MAX_LINES = 100_000
# Inches.
WIDTH, BODY = 11.0, 3.95
GRID = page.Grid(left=1.3, right=0.25, gap=0.5, foot=0.6, pitch=BODY, height=3.0)


@dataclass(frozen=True)
class _Lines:
    """Lines from the prior along a predictor; all in units of the data.

    Attributes
    ----------
    x : array
        (POINTS,) values of the predictor.
    x_label, y_label : str
        Labels of the axes.
    lines : dict of str to array
        (draws, POINTS) of the average place or all rows, and of single places.
    range : (float, float)
        Range of the outcome in the data.
    """

    x: Array
    x_label: str
    y_label: str
    lines: dict[str, Array]
    range: tuple[float, float]


@suggest_argument_names
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
    """Draw lines of the outcome from the prior, for the average place and for single places.

    A line is the median outcome xᵀβ of a home (its exp if the formula takes the log) along one predictor, with the
    others at typical values. Lines of single places add a place's own effects, and those of crossed groups.

    Parameters
    ----------
    model : Model, str or Posterior
        A Model or formula, with its table; or a posterior, whose sums provide the scale.
    table
        Anything that `read` accepts, with the outcome; it is only used for the scale.
    bounds : (float, float), optional
        The lowest and highest possible outcome, (0, 10_000_000); the title states the share of lines that leave
        these bounds somewhere in the range of the data.
    x : str, optional
        The predictor; by default the first numeric one.
    at : mapping, optional
        Values of other predictors, {"rooms": 3}; see `Posterior.homes`.
    draws : int
        Number of draws from the prior; the first 100 are shown, shares count all.
    seed : int, optional
        Random seed, 1 by default; the same seed gives the same lines.
    places
        A table of places, see `fit`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ModelError
        No table for a formula; no numeric predictor; an invalid name or invalid bounds.
    TableError, PriorError
        As for `fit`.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> figure = ph.plot.prior_lines("price ~ living_space + (1 | zip)", sales, bounds=(0, 10_000_000))
    >>> [axes.texts[0].get_text().partition(":")[0] for axes in figure.axes]
    ['The average place', 'Individual places']
    """
    check_whole("draws", draws, 1, MAX_LINES)
    if bounds is not None:
        limits = tuple(bounds) if isinstance(bounds, tuple | list) else ()
        numbers = all(isinstance(end, int | float) for end in limits)
        if len(limits) != 2 or not numbers or not limits[0] < limits[1]:
            raise ModelError(
                f"bounds must be the lowest and highest possible outcome, such as (0, 10_000_000), not {bounds!r}"
            )
        for end in limits:
            check_finite("bounds", end)
    sample = sample_prior(model, table, draws, check_seed(1 if seed is None else seed), places)
    return _draw(_lines(sample, x, dict(at or {})), bounds)


def _lines(sample: PriorSample, x: str | None, at: dict[str, Any]) -> _Lines:
    """Return lines along the predictor, over the range of the data."""
    import pandas as pd

    design, moments, formula = sample.data.design, sample.data.moments, sample.data.model.formula
    # By name in the table: the design column, and whether it is the log of the predictor.
    numeric: dict[str, tuple[str, bool]] = {}
    for column in design.columns:
        only = column.factors[0] if len(column.factors) == 1 else None
        if isinstance(only, Expression):
            bare = only.bare or (None if only.logged is None else Expression(only.logged).bare)
            if bare is not None:
                numeric.setdefault(bare, (column.name, only.bare is None))
    if not numeric:
        raise ModelError(f"{formula.text!r} has no numeric predictor to plot lines along")
    if x is not None and x not in numeric:
        raise ModelError(f"the model has no numeric predictor {x!r}; {suggestion(x, numeric)}")
    name = next(iter(numeric)) if x is None else x
    column_name, logged = numeric[name]
    for given in at:
        if given not in design.variables:
            raise ModelError(
                f"the model has no predictor {given!r} ({argument('at')}); {suggestion(given, design.variables)}"
            )
    at = checked_home(design, at)
    mean, scatter = moments.pooled()
    position = moments.columns.index(column_name)
    sd = np.sqrt(np.diag(scatter) / moments.mass.sum())
    low, high = mean[position] - SDS * sd[position], mean[position] + SDS * sd[position]
    if low < 0 < moments.mean[:, position].min() and not logged:
        low = 0.0  # a size is never negative
    grid = np.linspace(low, high, POINTS)
    grid = np.exp(grid) if logged else grid
    typical = typical_values(design, moments) | at
    others = [variable for variable in design.variables if variable != name]
    missing = [variable for variable in others if variable not in typical]
    if missing:
        raise ModelError(f"the mean of {missing[0]!r} is unknown: set it with {argument('at', {missing[0]: ...})}")
    frame = pd.DataFrame({**{variable: typical[variable] for variable in others}, name: grid})
    frame = frame.assign(**dict.fromkeys(formula.keys, AVERAGE))
    lines = {"the average place" if formula.groupings else "all rows": prior_draws(sample, frame, "population")}
    if formula.groupings:
        lines["individual places"] = prior_draws(sample, frame, "draw")
    ends = np.array([mean[-1] - SDS * sd[-1], mean[-1] + SDS * sd[-1]])
    ends = np.exp(ends) if formula.log_outcome else ends
    units = sample.data.model.units
    x_label, y_label = (f"{one}, {units[one]}" if one in units else one for one in (name, formula.outcome_name))
    return _Lines(grid, x_label, y_label, lines, (float(ends[0]), float(ends[1])))


def prior_draws(sample: PriorSample, frame: Any, unseen: str) -> Array:
    """Return xᵀβ, or its exp, of rows in an unknown place: (draws, rows), in the outcome's units."""
    c, data = replace(sample.coefficients, row_weights=Weights()), sample.data
    table = read(frame)
    table.checked.add(ANY_NUMBER)
    rows = read_rows(c, frame_to_predict(table, c.design, c.row_weights), table.name, unseen)
    m = locations(rows, Groups(c, rows.spots, unseen, sample.seed), np.arange(len(rows.X))).T * data.scale.unit
    with np.errstate(over="ignore"):
        return np.exp(m) if data.design.formula.log_outcome else m


def _percent_outside(lines: Array, bounds: tuple[float, float]) -> float:
    """Return the percentage of lines that leave the bounds somewhere."""
    return 100 * float(((lines < bounds[0]) | (lines > bounds[1])).any(axis=1).mean())


def _draw(prior: _Lines, bounds: tuple[float, float] | None) -> Figure:
    """Draw the lines; those that leave the bounds are dashed."""
    name, last = list(prior.lines.items())[-1]
    outside = _percent_outside(last, prior.range if bounds is None else bounds)
    title = f"{outside:.0f} % of the lines of {name} drawn from the prior leave the range of the data"
    if bounds is not None:
        possible = f"{style.number(bounds[0])} to {style.number(bounds[1])}"
        title = f"{outside:.0f} % of the lines of {name} drawn from the prior are impossible: they leave {possible}"

    # The vertical axis shows the bounds, the data and most of the lines.
    every = np.concatenate([lines.ravel() for lines in prior.lines.values()])
    low, high = np.quantile(every[np.isfinite(every)], [0.02, 0.98])
    marks = [*prior.range, *(bounds or ())]
    low, high = min(low, *marks), max(high, *marks)
    logged = bool((every > 0).all() and min(prior.range) > 0)
    if logged:
        positive = [mark for mark in marks if mark > 0]
        low = max(min(low, *positive), min(positive) * 1e-3) / 1.5
        high = min(high, max(positive) * 1e3) * 1.5
    else:
        width = max(marks) - min(marks)
        low, high = max(low, min(marks) - 3 * width), min(high, max(marks) + 3 * width)
        low, high = low - 0.04 * (high - low), high + 0.04 * (high - low)

    subtitle = (
        f"{min(LINES, len(last))} draws from the prior. Grey: range of the data, mean ± 2 sd"
        + (" of the log" if logged else "")
        + ("; red: bounds. The vertical axis is cut off." if bounds else ". The vertical axis is cut off.")
    )
    figure = page.new_figure(title, subtitle, WIDTH, BODY)
    panels = GRID.panels(figure, len(prior.lines), len(prior.lines))
    for axes, (name, lines) in zip(panels, prior.lines.items(), strict=True):
        axes.axhspan(*prior.range, color=style.BAND, linewidth=0)
        for line in lines[:LINES]:
            impossible = bounds is not None and _percent_outside(line[None], bounds) > 0
            look = {"color": style.INK, "linestyle": "--"} if impossible else {"color": style.PRIOR}
            axes.plot(prior.x, line, linewidth=0.8, alpha=0.55, **look)  # type: ignore[arg-type]
        for bound in bounds or ():
            axes.axhline(bound, color=style.WARNING, linewidth=1.4)
        style.number_ticks(axes.yaxis, 7, prior.y_label if axes is panels[0] else "", pad=4)
        if logged:
            axes.set_yscale("log")
            style.log_ticks(axes.yaxis, (1,), 10)
        style.number_ticks(axes.xaxis, 6, prior.x_label)
        axes.set_xlim(prior.x[0], prior.x[-1])
        axes.set_ylim(low, high)
        axes.tick_params(labelleft=axes is panels[0])
        caption = f"{name[0].upper()}{name[1:]}"
        if bounds is not None:
            caption += f": {_percent_outside(lines, bounds):.0f} % leave the bounds"
        page.panel_caption(axes, caption)
    return figure

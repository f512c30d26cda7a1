"""The price distribution of a home, and the share of it below a threshold."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import some
from priorhood.errors import ModelError
from priorhood.model.tokens import keyword
from priorhood.plot.figure import page
from priorhood.plot.figure.select_places import asked, coefficients, unit_of_outcome, words_of
from priorhood.prediction.density import predictive_density
from priorhood.prediction.expected import checked_home
from priorhood.prediction.predict import request

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

MOST = 20
GRID = 500
PREFIX = "__priorhood_"
ENDS = (0.002, 0.998)
MIDDLE = (0.05, 0.5, 0.95)
# Inches.
WIDTH, ROW, GAP, NAMES, RIGHT, FOOT = 9.8, 0.95, 0.16, 2.2, 2.65, 0.85


@dataclass(frozen=True)
class _Home:
    label: str
    mean: float
    quantiles: Array  # 5, 50, 95 %
    below: float
    density: Array


def price(
    post: Posterior,
    home: object = None,
    below: float | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    unseen: str = "error",
    **places: object,
) -> Figure:
    """What one home may sell for: the predictive density, and the share of it below a threshold.

    p(y) = mean over all draws of Normal(y | xᵀβ, σ²), or of the log-Normal or Student density: a mixture
    computed, not smoothed from simulated prices.

    Parameters
    ----------
    post : a posterior
    home : whatever read() takes, as for predict(): one row a home, up to 20. If None, the home `at` in the
        places asked for, {"living_space": 100}, and of predictors not named the mean
    below : threshold in the outcome's units; what lies below is shaded
    unseen : for places that the fit did not have, see Posterior.predict
    places : the formula's group = labels, zip=["10115", "12047"]; without home alone

    Returns
    -------
    matplotlib Figure; `savefig("price.png")` writes it

    Raises
    ------
    ModelError : no home and no place, both, more than 20, or none that can be predicted; no matplotlib
    TableError : as of predict()
    """
    rows = _rows(post, home, at, places)
    if home is None and unseen == "error":
        _check_crossed(post, at)
    levels = (*ENDS, *MIDDLE)
    frame, predicted = post._predicted(rows, request(levels, below, unseen=unseen, seed=post.seed), prefix=PREFIX)
    found = _frame(frame)
    if not 0 < len(found) <= MOST:
        raise ModelError(f"{len(found):,} homes do not fit into one picture; 1 to {MOST} do")
    numbers = np.column_stack([predicted.quantiles[level] for level in levels])
    if not np.isfinite(numbers).all():
        bad = int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0])
        raise ModelError(f"home {bad + 1} cannot be predicted: {predicted.status[bad]}")
    grid = _grid(numbers, below, positive=post.model.formula.log_outcome)
    density = predictive_density(coefficients(post), post.placed(rows), grid, unseen, post.seed)
    shares = np.full(len(found), np.nan) if below is None else predicted.below[float(below)]
    labels, common = _names(post, found)
    columns = (labels, predicted.mean, numbers[:, len(ENDS) :], np.asarray(shares), density)
    homes = [_Home(*one) for one in zip(*columns, strict=True)]
    return _drawn(post, homes, grid, None if below is None else float(below), common)


def _rows(post: Posterior, home: object, at: Mapping[str, Any] | None, places: Mapping[str, object]) -> Any:
    """The homes, as predict() takes them."""
    if home is not None:
        if places or at:
            raise ModelError("a home says its place and predictors itself: leave at= and the places out, or home")
        if isinstance(home, dict):
            home = {k: v if isinstance(v, list | tuple | np.ndarray) else [v] for k, v in home.items()}
        return home
    chosen = asked(post, places)
    if chosen is None and post.hierarchy.levels:
        checked_home(post.design, at or {})
        group, label = post.model.formula.group, str(post.hierarchy.levels[0].labels[0])
        name = next((v for v in post.design.variables if v not in post.design.categories), None)
        like = "" if name is None else f", like at={{{name!r}: 100}} (--at {shlex.quote(f'{name}=100')})"
        raise ModelError(
            f"which home? Give home={{…}} (--home TABLE), or its place, like {keyword(group, label)} (--group "
            f"{shlex.quote(label)}), and its predictors{like}"
        )
    homes = post.homes(at)
    return homes if chosen is None else homes.iloc[chosen].reset_index(drop=True)


def _check_crossed(post: Posterior, at: Mapping[str, Any] | None) -> None:
    """That the home says where it is of every crossed grouping, which homes() would take the average of."""
    for grouping in post.hierarchy.crossed:
        for column in grouping.path:
            if column not in (*(at or {}), *post.model.formula.levels[0].path):
                known = some(grouping.labels.tolist())
                raise ModelError(
                    f"which {column}? Say it, at={{{column!r}: …}} (there are {known}), or unseen='population' for "
                    f"the average one"
                )


def _frame(found: Any) -> pd.DataFrame:
    """What predict() gives, whatever kind of frame it was asked with."""
    import narwhals.stable.v2 as nw

    from priorhood.data.sources.columns import in_memory

    return in_memory(nw.from_native(found)).to_pandas()


def _names(post: Posterior, homes: pd.DataFrame) -> tuple[list[str], str]:
    """What tells the homes apart, home by home; and what they have in common."""
    columns = [c for c in (*post.model.formula.keys, *post.design.variables) if c in homes.columns]
    same = [c for c in columns if homes[c].nunique(dropna=False) == 1]
    apart = [c for c in columns if c not in same]
    if len(homes) == 1:
        apart = [c for c in columns if c in post.model.formula.keys]
        same = [c for c in columns if c not in apart]
    names = [
        ", ".join(_value(post, c, homes[c].iloc[at]) for c in apart)
        or (f"home {at + 1}" if columns else "all rows")
        for at in range(len(homes))
    ]
    return names, ", ".join(f"{c} {_value(post, c, homes[c].iloc[0])}" for c in same)


def _value(post: Posterior, column: str, value: Any) -> str:
    """A place by its label, a number with its unit."""
    if column in post.model.formula.keys or isinstance(value, str):
        return str(value)
    return page.amount(float(value), post.model.units.get(column, ""))


def _grid(numbers: Array, below: float | None, *, positive: bool) -> Array:
    """Outcomes that hold nearly all of all homes' densities, and the threshold, which is a point of it."""
    low, high = float(numbers.min()), float(numbers.max())
    if below is None:
        return np.linspace(low, high, GRID)
    low, high = min(low, below), max(high, below)
    if positive:
        low = max(low, 0.0)
    return np.unique(np.append(np.linspace(low, high, GRID), below))


# -- the picture ----------------------------------------------------------------------------------------------


def _drawn(post: Posterior, homes: list[_Home], grid: Array, below: float | None, common: str) -> Figure:
    from priorhood.plot.figure import style

    unit = unit_of_outcome(post)
    name = words_of(post, post.model.formula.outcome_name)
    told = f"Predictive density of a single outcome{f': {common}' if common else ''}. "
    told += "Line: median; bar: 90 %." + ("" if below is None else " Shaded: below the threshold.")
    heading = page.Heading(_finding(homes, below, unit), told, WIDTH)
    row = ROW if len(homes) > 1 else 1.9
    figure = style.picture(WIDTH, heading.height + row * len(homes) + FOOT)
    heading.put(figure)
    left = page.room_for([home.label for home in homes], NAMES)
    wide = WIDTH - left - RIGHT
    for at, home in enumerate(homes):
        bottom = FOOT + row * (len(homes) - 1 - at)
        axes = page.panel(figure, left, bottom, wide, row - GAP)
        _density(axes, home, grid, below)
        axes.tick_params(labelbottom=at == len(homes) - 1)
        width, height = figure.get_size_inches()
        middle = (bottom + (row - GAP) / 2) / height
        label = figure.text((left - 0.12) / width, middle, style.shortened(home.label, 32), ha="right", va="center")
        style.words(label, colour=style.INK, bold=True)
        for lift, line in enumerate(_numbers(home, below, unit)):
            high = middle + (0.17 - 0.17 * lift) / height
            note = style.shortened(line, int((RIGHT - 0.15) * page.PLAIN), middle=False)
            style.words(figure.text((WIDTH - RIGHT + 0.12) / width, high, note, va="center"))
    style.words(axes.set_xlabel(style.shortened(name, 80), labelpad=4))
    return figure


def _density(axes: Axes, home: _Home, grid: Array, below: float | None) -> None:
    from priorhood.plot.figure import style

    colour = style.COLOURS[0]
    axes.fill_between(grid, 0, home.density, color=colour, alpha=0.15, linewidth=0)
    if below is not None:
        part = grid <= below
        axes.fill_between(grid[part], 0, home.density[part], color=style.THRESHOLD, alpha=0.55, linewidth=0)
        axes.axvline(below, color=style.THRESHOLD, linewidth=1.4, linestyle="--")
    axes.plot(grid, home.density, color=colour, linewidth=1.3, marker="")
    low, middle, high = home.quantiles
    axes.plot(
        [middle, middle], [0, np.interp(middle, grid, home.density)], color=style.INK, linewidth=1.0, marker=""
    )
    top = home.density.max()
    axes.plot([low, high], [-0.07 * top, -0.07 * top], color=style.INK, linewidth=2.5, marker="", clip_on=False)
    axes.set_ylim(-0.12 * top, 1.05 * top)
    axes.set_xlim(grid[0], grid[-1])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    style.numbers(axes.xaxis, 6)


def _numbers(home: _Home, below: float | None, unit: str) -> list[str]:
    """Mean and median, the interval, and the share below."""
    low, middle, high = home.quantiles
    mean = page.amount(home.mean, unit) if np.isfinite(home.mean) else "infinite" if home.mean > 0 else "none"
    lines = [
        f"median {page.amount(middle)}, mean {mean}",
        f"90 %: {page.amount(low)} to {page.amount(high, unit)}",
    ]
    return lines if below is None else [*lines, f"{page.share(home.below)} below {_threshold(below, unit)}"]


def _finding(homes: list[_Home], below: float | None, unit: str) -> str:
    """The share below the threshold, or the medians, of one home or of those at the ends."""
    if below is None:
        low, high = (pick(homes, key=lambda home: home.quantiles[1]) for pick in (min, max))
        text = f"Median {page.amount(high.quantiles[1], unit)} for {high.label}"
        return text if len(homes) == 1 else f"{text}, {page.amount(low.quantiles[1], unit)} for {low.label}"
    low, high = (pick(homes, key=lambda home: home.below) for pick in (min, max))
    text = f"{page.share(high.below)} below {_threshold(below, unit)}: {high.label}"
    return text if len(homes) == 1 else f"{text}; {page.share(low.below)}: {low.label}"


def _threshold(value: float, unit: str) -> str:
    """The threshold as it was given."""
    from priorhood.plot.figure import style

    return f"{style.number(value)} {unit}".strip()

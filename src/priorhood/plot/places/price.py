"""Price distribution of a home, and the share of it below a threshold."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import preview
from priorhood.errors import ModelError
from priorhood.model.tokens import keyword
from priorhood.plot.figure import page, style
from priorhood.plot.figure.select_places import asked, unit_of_outcome, words_of
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

MAX_HOMES = 20
POINTS = 500
PREFIX = "__priorhood_"
ENDS = (0.002, 0.998)
MIDDLE = (0.05, 0.5, 0.95)
# Inches.
WIDTH, ROW, SINGLE, GAP, NAMES, RIGHT, FOOT = 9.8, 0.95, 1.9, 0.16, 2.2, 2.65, 0.85


@dataclass(frozen=True)
class _Home:
    label: str
    mean: float
    quantiles: Array  # 5, 50, 95 %
    below: float
    density: Array

    @property
    def median(self) -> float:
        return float(self.quantiles[1])


def price(
    post: Posterior,
    home: object = None,
    below: float | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    unseen: str = "error",
    **places: object,
) -> Figure:
    """Draw the predictive density of the price of a home, and the share of it below a threshold.

    Parameters
    ----------
    post : Posterior
    home
        Whatever `read` takes, as for `Posterior.predict`: one row a home, up to 20. By default the home `at` in the
        places given, predictors not named at their mean.
    below : float, optional
        Threshold in the outcome's units; the density below it is shaded.
    at : mapping, optional
        Values of predictors, {"living_space": 100}; without `home` alone.
    unseen : str
        For places that the fit did not have, see `Posterior.predict`.
    **places : str or list of str
        The formula's group = labels, zip=["10115", "12047"]; without `home` alone.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("price.png")` writes it.

    Raises
    ------
    ModelError
        No home and no place, both, more than 20, or none that can be predicted; no matplotlib.
    TableError
        As for `Posterior.predict`.

    Notes
    -----
    p(y) = mean over all draws of Normal(y | xᵀβ, σ²), or of the log-Normal or Student density: a mixture
    computed, not smoothed from simulated prices.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> label = sales["zip"][0]
    >>> figure = ph.plot.price(post, below=350_000, at={"living_space": 80}, zip=label)
    >>> figure.axes[0].get_xlabel()
    'price'
    """
    rows = _rows(post, home, at, places)
    if home is None and unseen == "error":
        # homes() would take the average of a crossed grouping that is not named.
        for grouping in post.hierarchy.crossed:
            for column in grouping.path:
                if column not in (*(at or {}), *post.model.formula.levels[0].path):
                    known = preview(grouping.labels.tolist())
                    raise ModelError(
                        f"which {column}? Say it, at={{{column!r}: …}} (there are {known}), or "
                        f"unseen='population' for the average one"
                    )
    levels = (*ENDS, *MIDDLE)
    frame, predicted = post._predicted(rows, request(levels, below, unseen=unseen, seed=post.seed), prefix=PREFIX)
    found = _frame(frame)
    if not 0 < len(found) <= MAX_HOMES:
        raise ModelError(f"{len(found):,} homes do not fit into one picture; 1 to {MAX_HOMES} do")
    numbers = np.column_stack([predicted.quantiles[level] for level in levels])
    if not np.isfinite(numbers).all():
        bad = int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0])
        raise ModelError(f"home {bad + 1} cannot be predicted: {predicted.status[bad]}")

    # The grid holds nearly all of all homes' densities, and the threshold as one of its points.
    low, high = float(numbers.min()), float(numbers.max())
    shares = np.full(len(found), np.nan)
    grid = np.linspace(low, high, POINTS)
    if below is not None:
        below = float(below)
        low, high = min(low, below), max(high, below)
        low = max(low, 0.0) if post.model.formula.log_outcome else low
        grid = np.unique(np.append(np.linspace(low, high, POINTS), below))
        shares = predicted.below[below]
    density = predictive_density(post._coefficients(), post.placed(rows), grid, unseen, post.seed)
    labels, common = _names(post, found)
    columns = (labels, predicted.mean, numbers[:, len(ENDS) :], shares, density)
    return _drawn(post, [_Home(*one) for one in zip(*columns, strict=True)], grid, below, common)


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


def _frame(found: Any) -> pd.DataFrame:
    """A prediction as pandas, whatever kind of frame the homes were."""
    import narwhals.stable.v2 as nw

    from priorhood.data.sources.columns import in_memory

    return in_memory(nw.from_native(found)).to_pandas()


def _names(post: Posterior, homes: pd.DataFrame) -> tuple[list[str], str]:
    """Differences of the homes, home by home; and what they have in common."""
    keys = post.model.formula.keys

    def value(column: str, at: int) -> str:
        one = homes[column].iloc[at]
        if column in keys or isinstance(one, str):
            return str(one)
        return page.amount(float(one), post.model.units.get(column, ""))

    columns = [c for c in (*keys, *post.design.variables) if c in homes.columns]
    same = [c for c in columns if homes[c].nunique(dropna=False) == 1]
    if len(homes) == 1:
        same = [c for c in columns if c not in keys]
    apart = [c for c in columns if c not in same]
    names = [
        ", ".join(value(c, at) for c in apart) or (f"home {at + 1}" if columns else "all rows")
        for at in range(len(homes))
    ]
    return names, ", ".join(f"{c} {value(c, 0)}" for c in same)


# -- the picture ----------------------------------------------------------------------------------------------


def _drawn(post: Posterior, homes: list[_Home], grid: Array, below: float | None, common: str) -> Figure:
    """One row a home: its density, and its numbers beside it."""
    unit = unit_of_outcome(post)
    threshold = "" if below is None else f"{style.number(below)} {unit}".strip()
    if below is None:
        low, high = (pick(homes, key=lambda home: home.median) for pick in (min, max))
        finding = f"Median {page.amount(high.median, unit)} for {high.label}"
        finding += "" if len(homes) == 1 else f", {page.amount(low.median, unit)} for {low.label}"
    else:
        low, high = (pick(homes, key=lambda home: home.below) for pick in (min, max))
        finding = f"{page.share(high.below)} below {threshold}: {high.label}"
        finding += "" if len(homes) == 1 else f"; {page.share(low.below)}: {low.label}"
    reading = f"Predictive density of a single outcome{f': {common}' if common else ''}. "
    reading += "Line: median; bar: 90 %." + ("" if below is None else " Shaded: below the threshold.")

    heading = page.Heading(finding, reading, WIDTH)
    row = ROW if len(homes) > 1 else SINGLE
    figure = page.sheet(heading, heading.height + row * len(homes) + FOOT)
    left = page.room_for([home.label for home in homes], NAMES)
    grid_of = page.Grid(left=left, right=RIGHT, gap=0, foot=FOOT, pitch=row, high=row - GAP)
    panels = grid_of.panels(figure, len(homes), 1)
    for at, (axes, home) in enumerate(zip(panels, homes, strict=True)):
        _density(axes, home, grid, below)
        axes.tick_params(labelbottom=axes is panels[-1])
        middle = FOOT + row * (len(homes) - 1 - at) + (row - GAP) / 2
        page.write(figure, left - 0.12, middle, style.shortened(home.label, 32), colour=style.INK, bold=True,
                   ha="right", va="center")  # fmt: skip
        mean = "infinite" if home.mean > 0 else "none"
        mean = page.amount(home.mean, unit) if np.isfinite(home.mean) else mean
        told = [
            f"median {page.amount(home.median)}, mean {mean}",
            f"90 %: {page.amount(home.quantiles[0])} to {page.amount(home.quantiles[2], unit)}",
        ]
        if below is not None:
            told.append(f"{page.share(home.below)} below {threshold}")
        for lift, line in enumerate(told):
            note = style.shortened(line, int((RIGHT - 0.15) * page.PLAIN), middle=False)
            page.write(figure, WIDTH - RIGHT + 0.12, middle + 0.17 - 0.17 * lift, note, va="center")
    name = words_of(post, post.model.formula.outcome_name)
    style.words(panels[-1].set_xlabel(style.shortened(name, 80), labelpad=4))
    return figure


def _density(axes: Axes, home: _Home, grid: Array, below: float | None) -> None:
    """Density of a home with its median, its interval and the part below the threshold."""
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
    style.no_height(axes)
    style.numbers(axes.xaxis, 6)

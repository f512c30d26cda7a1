"""Predictive distribution of the price of a home, and its share below a threshold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_finite, suggest_argument_names
from priorhood._text import argument, code_or_command, join_words, preview
from priorhood.errors import ModelError
from priorhood.model.tokens import place_argument
from priorhood.plot.figure import page, style
from priorhood.plot.figure.select_places import axis_name, chosen_places, unit_of_outcome
from priorhood.prediction.density import predictive_density
from priorhood.prediction.expected import checked_home
from priorhood.prediction.predict import request

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    """Prediction of one home.

    Attributes
    ----------
    label : str
    mean : float
    quantiles : array
        5, 50 and 95 %.
    below : float
        Probability of a price below the threshold.
    density : array
        Density on the grid.
    """

    label: str
    mean: float
    quantiles: Array
    below: float
    density: Array

    @property
    def median(self) -> float:
        """Return the median."""
        return float(self.quantiles[1])


@suggest_argument_names
def price(
    post: Posterior,
    home: object = None,
    below: float | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    unseen: str = "error",
    **places: object,
) -> Figure:
    """Draw the predictive density of the price of a home, and its share below a threshold.

    Parameters
    ----------
    post : Posterior
    home
        Anything that `read` accepts, as for `Posterior.predict`: one row per home, up to 20. By default the home
        `at` in the places passed, with predictors not named at their mean.
    below : float, optional
        Threshold in the outcome's units; the density below it is shaded.
    at : mapping, optional
        Values of predictors, {"living_space": 100}; not together with `home`.
    unseen : str
        How to treat places that the fit did not have, see `Posterior.predict`.
    **places : str or list of str
        Labels of the formula's group, zip=["10115", "12047"]; not together with `home`.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("price.png")` writes it.

    Raises
    ------
    ModelError
        Neither a home nor a place, or both; more than 20 homes; a home that cannot be predicted; no matplotlib.
    TableError
        As for `Posterior.predict`.

    Notes
    -----
    p(y) is the mean over all draws of Normal(y | xᵀβ, σ²), or of the log-Normal or Student density: an exact
    mixture, not a smoothed histogram of simulated prices.

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
    import narwhals.stable.v2 as nw

    from priorhood.data.sources.columns import in_memory

    rows = _rows(post, home, at or {}, places, unseen)
    levels = (*ENDS, *MIDDLE)
    frame, predicted = post._predicted(rows, request(levels, below, unseen=unseen, seed=post.seed), prefix=PREFIX)
    homes = in_memory(nw.from_native(frame)).to_pandas()
    page.check_count(len(homes), MAX_HOMES, "homes", f"pass 1 to {MAX_HOMES}")
    numbers = np.column_stack([predicted.quantiles[level] for level in levels])
    if not np.isfinite(numbers).all():
        bad = int(np.flatnonzero(~np.isfinite(numbers).all(axis=1))[0])
        raise ModelError(f"home {bad + 1} cannot be predicted: {predicted.status[bad]}")

    # The grid covers nearly all of each density, and contains the threshold.
    low, high = float(numbers.min()), float(numbers.max())
    grid, shares = np.linspace(low, high, POINTS), np.full(len(homes), np.nan)
    if below is not None:
        below = check_finite("below", below)
        low, high = min(low, below), max(high, below)
        low = max(low, 0.0) if post.model.formula.log_outcome else low
        grid = np.unique(np.append(np.linspace(low, high, POINTS), below))
        shares = predicted.below[below]
    density = predictive_density(post._coefficients(), post.placed(rows), grid, unseen, post.seed)

    # Homes are named by what differs between them.
    def text(column: str, home: int) -> str:
        cell = homes[column].iloc[home]
        if column in keys or isinstance(cell, str):
            return str(cell)
        return page.amount(float(cell), post.model.units.get(column, ""))

    keys = post.model.formula.keys
    shown = [c for c in (*keys, *post.design.variables) if c in homes.columns]
    same = [c for c in shown if homes[c].nunique(dropna=False) == 1]
    if len(homes) == 1:
        same = [c for c in shown if c not in keys]
    labels = [
        ", ".join(text(c, home) for c in shown if c not in same) or (f"home {home + 1}" if shown else "all rows")
        for home in range(len(homes))
    ]
    common = ", ".join(f"{c} {text(c, 0)}" for c in same)
    columns = (labels, predicted.mean, numbers[:, len(ENDS) :], shares, density)
    return _draw(post, [_Home(*one) for one in zip(*columns, strict=True)], grid, below, common)


def _rows(post: Posterior, home: object, at: Mapping[str, Any], places: Mapping[str, object], unseen: str) -> Any:
    """Return the homes as predict() takes them: `home`, or the home `at` in the places passed as keywords."""
    if home is not None:
        if places or at:
            given = [code_or_command("the place", "--group")] if places else []
            given += [argument("at")] if at else []
            raise ModelError(
                f"{argument('home')} already contains the place and the predictors: leave out {join_words(given)}"
            )
        if isinstance(home, dict):
            home = {k: v if isinstance(v, list | tuple | np.ndarray) else [v] for k, v in home.items()}
        return home
    chosen = chosen_places(post, places, ("home",))
    if chosen is None and post.hierarchy.levels:
        checked_home(post.design, at)
        group, label = post.model.formula.group, str(post.hierarchy.levels[0].labels[0])
        name = next((v for v in post.design.variables if v not in post.design.categories), None)
        example = "" if name is None else f", such as {argument('at', {name: 100})}"
        wanted = code_or_command("home={…}", "--home TABLE")
        raise ModelError(
            f"which home? Pass {wanted}, or its place, such as {place_argument(group, label)}, and its "
            f"predictors{example}"
        )
    homes = post.homes(at)
    # homes() would take the average of a crossed grouping that is not named.
    for grouping in post.hierarchy.crossed if unseen == "error" else ():
        for column in grouping.path:
            if column not in (*at, *post.model.formula.levels[0].path):
                known = preview(grouping.labels.tolist())
                raise ModelError(
                    f"{column} is required: set {argument('at', {column: ...})} (choose from {known}), or "
                    f"{argument('unseen', 'population')} for the average one"
                )
    return homes if chosen is None else homes.iloc[chosen].reset_index(drop=True)


# -- the picture ----------------------------------------------------------------------------------------------


def _draw(post: Posterior, homes: list[_Home], grid: Array, below: float | None, common: str) -> Figure:
    """Draw one row per home: its density and, next to it, its numbers."""
    unit = unit_of_outcome(post)
    threshold = "" if below is None else f"{style.number(below)} {unit}".strip()
    outcome = post.model.formula.outcome_name
    # An outcome like price - 100000 is not the price.
    middle, less = f"Median {outcome}:", f"{outcome} below {threshold}"
    if post.model.formula.unlogged.bare is not None:
        middle, less = "Median", f"less than {threshold}"
    if below is None:
        least, most = (pick(homes, key=lambda home: home.median) for pick in (min, max))
        title = f"{middle} {page.amount(most.median, unit)} for {most.label}"
        title += "" if len(homes) == 1 else f", {page.amount(least.median, unit)} for {least.label}"
    else:
        least, most = (pick(homes, key=lambda home: home.below) for pick in (min, max))
        title = f"Probability of {less}: {page.probability_text(most.below)} for {most.label}"
        title += "" if len(homes) == 1 else f", {page.probability_text(least.below)} for {least.label}"
    subtitle = f"Predictive density of a single outcome{f': {common}' if common else ''}. "
    subtitle += "Line: median; bar: 90 % interval." + ("" if below is None else " Shaded: below the threshold.")

    row = ROW if len(homes) > 1 else SINGLE
    figure = page.new_figure(title, subtitle, WIDTH, row * len(homes) + FOOT)
    left = page.label_width([home.label for home in homes], NAMES)
    grid_of_panels = page.Grid(left=left, right=RIGHT, gap=0, foot=FOOT, pitch=row, height=row - GAP)
    panels = grid_of_panels.panels(figure, len(homes), 1)
    for number, (axes, home) in enumerate(zip(panels, homes, strict=True)):
        axes.fill_between(grid, 0, home.density, color=style.COLOURS[0], alpha=0.15, linewidth=0)
        if below is not None:
            part = grid <= below
            axes.fill_between(grid[part], 0, home.density[part], color=style.THRESHOLD, alpha=0.55, linewidth=0)
            axes.axvline(below, color=style.THRESHOLD, linewidth=1.4, linestyle="--")
        axes.plot(grid, home.density, color=style.COLOURS[0], linewidth=1.3, marker="")
        (low, middle, high), top = home.quantiles, home.density.max()
        height = np.interp(middle, grid, home.density)
        axes.plot([middle, middle], [0, height], color=style.INK, linewidth=1.0, marker="")
        axes.plot([low, high], [-0.07 * top, -0.07 * top], color=style.INK, linewidth=2.5, marker="", clip_on=False)
        axes.set_ylim(-0.12 * top, 1.05 * top)
        axes.set_xlim(grid[0], grid[-1])
        style.hide_y_axis(axes)
        style.number_ticks(axes.xaxis, 6)
        axes.tick_params(labelbottom=axes is panels[-1])

        centre = FOOT + row * (len(homes) - 1 - number) + (row - GAP) / 2
        page.write(figure, left - 0.12, centre, style.shorten(home.label, 32), colour=style.INK, bold=True,
                   ha="right", va="center")  # fmt: skip
        mean = "infinite" if home.mean > 0 else "none"
        mean = page.amount(home.mean, unit) if np.isfinite(home.mean) else mean
        notes = [
            f"median {page.amount(home.median)}, mean {mean}",
            f"90 %: {page.amount(home.quantiles[0])} to {page.amount(home.quantiles[2], unit)}",
        ]
        if below is not None:
            notes.append(f"{page.probability_text(home.below)} below {threshold}")
        for lift, line in enumerate(notes):
            note = style.shorten(line, int((RIGHT - 0.15) * page.PLAIN), middle=False)
            page.write(figure, WIDTH - RIGHT + 0.12, centre + 0.17 - 0.17 * lift, note, va="center")
    name = axis_name(post, outcome)
    style.format_text(panels[-1].set_xlabel(style.shorten(name, 80), labelpad=4))
    return figure

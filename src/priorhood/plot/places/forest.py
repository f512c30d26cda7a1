"""Interval of every place, sorted: of a coefficient, or of the expected outcome of a given home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import argument, count_noun, plural, suggestion
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.expression import tidy_label
from priorhood.model.priors import base_of
from priorhood.plot.figure import page, style
from priorhood.plot.figure.select_places import (
    average_home,
    axis_name,
    chosen_places,
    describe_home,
    expected_draws,
    finest_level,
    place_quantiles,
    pooled_draws,
    unit_of_outcome,
)
from priorhood.posterior.lazy_draws import place_positions
from priorhood.posterior.price_batches import summarize_expected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior

SELECT = ("auto", "top", "bottom", "widest")
# Up to MAX_ALL places, all are shown; of more, PART in each section of "auto", or SINGLE in a single section.
MAX_ALL, PART, SINGLE = 40, 10, 30
MAX_PLACES = 200
INTERVALS = (0.05, 0.25, 0.5, 0.75, 0.95)
# Inches.
WIDTH, ROW, NAMES, COUNTS, FOOT = 8.5, 0.19, 2.3, 0.8, 0.85


@dataclass(frozen=True)
class _Intervals:
    """Intervals of the places.

    Attributes
    ----------
    level : Places
    quantiles : array
        (places, 5)
    average : array, optional
        (5,) those of the average place.
    axis, unit, subject : str
        Label of the axis, unit, and what the intervals are of.
    """

    level: Places
    quantiles: Array
    average: Array | None
    axis: str
    unit: str
    subject: str


@suggest_argument_names
def forest(
    post: Posterior,
    var: str = "beta",
    term: str | None = None,
    *,
    select: str | Iterable[object] = "auto",
    at: Mapping[str, Any] | None = None,
    **places: object,
) -> Figure:
    """Draw the 50 % and 90 % interval of every place, highest first, with its number of rows and the population.

    Parameters
    ----------
    post : Posterior
    var : str
        A parameter of the places: beta, beta_district, delta_type, or sigma with noise by place.
    term : str, optional
        The coefficient; by default the intercept or, without one, the first.
    select : str or list of str
        "auto": all of up to 40 places or, of more, the highest, lowest and widest 10; "top", "bottom" or "widest":
        30 of one kind; or labels.
    at : mapping, optional
        Values of predictors, {"living_space": 100}, to show the expected outcome of this home instead of a
        coefficient; predictors not named are at their mean. {} is the average home.
    **places : str or list of str
        Labels of the formula's group, zip=["10115", "12047"], to show these places.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("forest.png")` writes it.

    Raises
    ------
    ModelError
        No group; not a parameter of the places; unknown labels; more than 200 places; no matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> len(ph.plot.forest(post, term="living_space").axes[0].get_yticks())
    8
    """
    finest = finest_level(post, "forest")
    if term is None and "[" in var and var.endswith("]"):
        # beta[Intercept], as in plot.map.
        var, term = (part.strip() for part in var[:-1].split("[", 1))
    if at is None:
        intervals = _coefficient(post, var, term)
    else:
        homes, name = post.homes(at), post.model.formula.outcome_name
        row = average_home(post, homes)
        average = None if row is None else np.quantile(expected_draws(post, row)[:, 0], INTERVALS)
        quantiles = summarize_expected(post, homes, lambda draws: np.quantile(draws, INTERVALS, axis=0)).T
        axis = f"expected {axis_name(post, name)} ({describe_home(post, at)})"
        intervals = _Intervals(finest, quantiles, average, axis, unit_of_outcome(post), f"expected {name}")
    level, middle, unit = intervals.level, intervals.quantiles[:, 2], intervals.unit
    chosen = chosen_places(post, places)
    if chosen is None and not isinstance(select, str):
        chosen = place_positions(level, list(select))
    elif chosen is not None and level is not finest:
        raise ModelError(f"{var} belongs to {plural(level.name)}: choose them with {argument('select', [...])}")
    if chosen is None and select not in SELECT:
        raise ModelError(f"select must be one of {', '.join(SELECT)}, or a list of labels, not {select!r}")
    sections = _sections(intervals.quantiles, chosen, str(select))
    every = np.concatenate([section for _, section in sections])
    page.check_count(len(every), MAX_PLACES, "places", "choose fewer")

    high, low = every[np.argmax(middle[every])], every[np.argmin(middle[every])]
    title = f"{intervals.subject}: {page.amount(middle[high], unit)} in {level.labels[high]}"
    if high != low:
        title += f", {page.amount(middle[low], unit)} in {level.labels[low]}"
    if intervals.average is not None and intervals.average.any():
        title += f"; {page.amount(intervals.average[2], unit)} in the average {level.name}"
    grey = "" if intervals.average is None else f" Grey: the average {level.name}, 90 %."
    subtitle = (
        f"{count_noun(level.size, level.name)}. Point: median; thick line: 50 % interval; thin line: 90 % "
        f"interval.{grey} Right: number of rows."
    )
    # Each line is a place, or the heading of a section.
    lines: list[int | str] = []
    for number, (heading, section) in enumerate(sections):
        lines += [f"… {level.size - 2 * PART:,} more"] if number == 1 else []
        lines += [heading, *section.tolist()] if heading else section.tolist()
    return _draw(intervals, lines, level.total(post.moments.n), title, subtitle)


def _coefficient(post: Posterior, var: str, term: str | None) -> _Intervals:
    """Return the intervals of a coefficient of the places, or of their sigma."""
    formula = post.model.formula
    levels = {formula.effect_name(number): level for number, level in enumerate(post.hierarchy.groupings)}
    if post.model.noise is not None:
        levels["sigma"] = post.hierarchy.levels[0]
    summed = formula.effect_name(0) if post.summed else ""
    levels = {name: level for name, level in levels.items() if name in post.parameters or name == summed}
    if var not in levels:
        raise ModelError(f"{var!r} is not a parameter of the places; {suggestion(var, levels)}")
    if var == "sigma":
        if term is not None:
            raise ModelError(f"sigma has no terms: drop {argument('term')}")
        median = "sigma_median" in post.parameters
        average = np.quantile(pooled_draws(post, "sigma_median"), INTERVALS) if median else None
        unit = post.model.unit_of(INTERCEPT)
        quantiles = np.quantile(pooled_draws(post, var), INTERVALS, axis=0).T
        return _Intervals(levels[var], quantiles, average, f"sigma, {unit}", unit, "sigma")
    terms = [column.name for column in post.design.coefficient_columns(list(levels).index(var))]
    chosen = tidy_label(str(term)) if term is not None else INTERCEPT if INTERCEPT in terms else terms[0]
    if chosen not in terms:
        raise ModelError(f"{var} has no term {chosen!r}; {suggestion(chosen, terms)}")
    position = terms.index(chosen)
    if var == summed:
        quantiles = place_quantiles(post, INTERVALS)[:, position]
    else:
        quantiles = np.quantile(pooled_draws(post, var)[:, :, position], INTERVALS, axis=0).T
    average = None
    if base_of(var) == "delta":
        average = np.zeros(5)  # the centre of crossed effects
    elif "mu" in post.parameters and chosen in (mu := post["mu"]["term"].values.astype(str).tolist()):
        average = np.quantile(pooled_draws(post, "mu")[:, mu.index(chosen)], INTERVALS)
    unit, name = post.model.unit_of(chosen), f"{var}[{chosen}]"
    return _Intervals(levels[var], quantiles, average, f"{name}, {unit}", unit, name)


def _sections(quantiles: Array, chosen: Index | None, select: str) -> list[tuple[str, Index]]:
    """Return heading and positions of the places of every section, highest first."""
    middle, total = quantiles[:, 2], len(quantiles)
    if chosen is not None:
        return [("", chosen[np.argsort(-middle[chosen], kind="stable")])]
    order = np.argsort(-middle, kind="stable")
    wide = np.argsort(-(quantiles[:, 4] - quantiles[:, 0]), kind="stable")
    if select == "auto" and total <= MAX_ALL:
        return [("", order)]
    if select == "auto":
        return [
            (f"highest {PART}", order[:PART]), (f"lowest {PART}", order[-PART:]), (f"widest {PART}", wide[:PART])
        ]  # fmt: skip
    heading, section = {
        "top": ("highest", order[:SINGLE]),
        "bottom": ("lowest", order[-SINGLE:]),
        "widest": ("widest", wide[:SINGLE]),
    }[select]
    return [(f"{heading} {len(section)} of {total:,}" if len(section) < total else "", section)]


def _draw(intervals: _Intervals, lines: list[int | str], rows: Array, title: str, subtitle: str) -> Figure:
    """Draw one line per place or heading."""
    heights = [height for height, line in enumerate(lines) if isinstance(line, int)]
    every = [line for line in lines if isinstance(line, int)]
    tall, average = ROW * len(lines), intervals.average
    figure = page.new_figure(title, subtitle, WIDTH, tall + FOOT)
    left = page.label_width(intervals.level.labels[every], NAMES)
    axes = page.add_panel(figure, left, FOOT - 0.15, WIDTH - left - COUNTS, tall)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    shown = intervals.quantiles[every]
    low, high = shown[:, 0].min(), shown[:, 4].max()
    if average is not None:
        low, high = min(low, average[0]), max(high, average[4])
        axes.axvspan(average[0], average[4], color=style.BAND, linewidth=0, zorder=0)
        axes.axvline(average[2], color=style.POPULATION, linewidth=0.9, linestyle="--", zorder=1)
    reach = (high - low) or abs(high) or 1.0
    axes.set_xlim(low - 0.03 * reach, high + 0.03 * reach)
    colour = style.COLOURS[0]
    for height, line in enumerate(lines):
        if isinstance(line, str):
            page.write_right(axes, height, line, 0)
            continue
        quantiles = intervals.quantiles[line]
        axes.plot(quantiles[[0, 4]], [height, height], color=colour, linewidth=1.0, marker="", zorder=3)
        axes.plot(quantiles[[1, 3]], [height, height], color=colour, linewidth=3.2, marker="", zorder=3)
        axes.plot(quantiles[2], height, "o", color="white", markeredgecolor=colour, markersize=4.2, zorder=4)
        page.write_right(axes, height, f"{int(rows[line]):,}")
    style.name_ticks(
        axes.yaxis, heights, [style.shorten(str(label), 34) for label in intervals.level.labels[every]]
    )
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    style.number_ticks(axes.xaxis, 6, style.shorten(intervals.axis, 85), pad=4)
    return figure

"""Interval of every place, sorted: of a coefficient, or of the expected outcome of one and the same home."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import count_noun, plural, suggestion
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.expression import tidy_label
from priorhood.model.priors import base_of
from priorhood.plot.figure import page, style
from priorhood.plot.figure.select_places import (
    asked,
    average_home,
    expected,
    finest,
    flat,
    home_words,
    place_quantiles,
    unit_of_outcome,
    words_of,
)  # fmt: skip
from priorhood.posterior.lazy_draws import place_positions
from priorhood.posterior.price_batches import summarize_expected

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior

SELECT = ("auto", "top", "bottom", "widest")
# Places up to which all are shown; in a section of "auto", and of a single one.
ALL, PART, SINGLE = 40, 10, 30
MAX_PLACES = 200
INTERVALS = (0.05, 0.25, 0.5, 0.75, 0.95)
# Inches.
WIDTH, ROW, NAMES, COUNTS, FOOT = 8.5, 0.19, 2.3, 0.8, 0.85


@dataclass(frozen=True)
class _Shown:
    """Quantiles of the places (places, 5) and of the average one (5,) or None; label of the axis, unit, subject."""

    level: Places
    quantiles: Array
    average: Array | None
    axis: str
    unit: str
    what: str


def forest(
    post: Posterior,
    var: str = "beta",
    term: str | None = None,
    *,
    select: str | Iterable[object] = "auto",
    at: Mapping[str, Any] | None = None,
    **places: object,
) -> Figure:
    """Draw the 50 % and 90 % interval of every place, highest first, its number of rows, and the population's.

    Parameters
    ----------
    post : Posterior
    var : str
        A parameter that places have: beta, beta_district, delta_type, or sigma with noise by place.
    term : str, optional
        Which of its coefficients; by default the intercept or, without one, the first.
    select : str or list of str
        "auto", all of up to 40 places, of more the highest, lowest and widest 10; "top", "bottom" or "widest" for
        30 of one kind; or labels.
    at : mapping, optional
        Values of predictors, {"living_space": 100}: then the expected outcome of that home is shown, not a
        coefficient; predictors not named are at their mean. {} is the average home.
    **places : str or list of str
        The formula's group = labels, zip=["10115", "12047"], to show these.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("forest.png")` writes it.

    Raises
    ------
    ModelError
        No group, a parameter that places do not have, unknown labels, over 200 places, no matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> len(ph.plot.forest(post, term="living_space").axes[0].get_yticks())
    8
    """
    finest(post, "forest")
    if term is None and "[" in var and var.endswith("]"):
        # beta[Intercept], as a map takes it.
        var, term = (part.strip() for part in var[:-1].split("[", 1))
    shown = _coefficient(post, var, term) if at is None else _homes(post, at)
    level, middle = shown.level, shown.quantiles[:, 2]
    chosen = asked(post, places)
    if chosen is None and not isinstance(select, str):
        chosen = place_positions(level, list(select))
    elif chosen is not None and level is not post.hierarchy.levels[0]:
        raise ModelError(f"{var} is of {plural(level.name)}: name them with select=[…]")
    if chosen is None and select not in SELECT:
        raise ModelError(f"select must be one of {', '.join(SELECT)}, or a list of labels, not {select!r}")
    sections = _sections(shown.quantiles, chosen, str(select))
    every = np.concatenate([section for _, section in sections])
    if len(every) > MAX_PLACES:
        raise ModelError(f"{len(every):,} places do not fit into one picture, {MAX_PLACES} do: choose fewer")

    high, low = every[np.argmax(middle[every])], every[np.argmin(middle[every])]
    finding = f"{shown.what}: {page.amount(middle[high], shown.unit)} in {level.labels[high]}"
    if high != low:
        finding += f", {page.amount(middle[low], shown.unit)} in {level.labels[low]}"
    if shown.average is not None and shown.average.any():
        finding += f"; {page.amount(shown.average[2], shown.unit)} in the average {level.name}"
    grey = "" if shown.average is None else f" Grey: the average {level.name}, 90 %."
    reading = (
        f"{count_noun(level.size, level.name)}. Point: median; thick: 50 %, thin: 90 % interval.{grey} Right: rows."
    )
    # Line by line a place, or the heading of a section.
    lines: list[int | str] = []
    for number, (words, section) in enumerate(sections):
        lines += [f"… {level.size - 2 * PART:,} more"] if number == 1 else []
        lines += [words, *section.tolist()] if words else section.tolist()
    return _drawn(shown, lines, level.total(post.moments.n), page.Heading(finding, reading, WIDTH))


def _coefficient(post: Posterior, var: str, term: str | None) -> _Shown:
    """A coefficient of the places, or their sigma."""
    formula = post.model.formula
    levels = {formula.effect_name(at): level for at, level in enumerate(post.hierarchy.groupings)}
    if post.model.noise is not None:
        levels["sigma"] = post.hierarchy.levels[0]
    summed = formula.effect_name(0) if post.summed else ""
    levels = {name: level for name, level in levels.items() if name in post.parameters or name == summed}
    if var not in levels:
        raise ModelError(f"{var!r} is no parameter of the places; {suggestion(var, levels)}")
    if var == "sigma":
        if term is not None:
            raise ModelError("sigma has no terms: leave term out")
        median = "sigma_median" in post.parameters
        average = np.quantile(flat(post, "sigma_median"), INTERVALS) if median else None
        unit = post.model.unit_of(INTERCEPT)
        quantiles = np.quantile(flat(post, var), INTERVALS, axis=0).T
        return _Shown(levels[var], quantiles, average, f"sigma, {unit}", unit, "sigma")
    terms = [column.name for column in post.design.coefficient_columns(list(levels).index(var))]
    chosen = tidy_label(term) if term is not None else INTERCEPT if INTERCEPT in terms else terms[0]
    if chosen not in terms:
        raise ModelError(f"{var} has no term {chosen!r}; {suggestion(chosen, terms)}")
    at = terms.index(chosen)
    if var == summed:
        quantiles = place_quantiles(post, INTERVALS)[:, at]
    else:
        quantiles = np.quantile(flat(post, var)[:, :, at], INTERVALS, axis=0).T
    average = None
    if base_of(var) == "delta":
        average = np.zeros(5)  # around which crossed effects lie
    elif "mu" in post.parameters and chosen in (mu := post["mu"]["term"].values.astype(str).tolist()):
        average = np.quantile(flat(post, "mu")[:, mu.index(chosen)], INTERVALS)
    unit, name = post.model.unit_of(chosen), f"{var}[{chosen}]"
    return _Shown(levels[var], quantiles, average, f"{name}, {unit}", unit, name)


def _homes(post: Posterior, at: Mapping[str, Any]) -> _Shown:
    """The expected outcome of a home in every place."""
    homes, name = post.homes(at), post.model.formula.outcome_name
    row = average_home(post, homes)
    average = None if row is None else np.quantile(expected(post, row)[:, 0], INTERVALS)
    quantiles = summarize_expected(post, homes, lambda draws: np.quantile(draws, INTERVALS, axis=0)).T
    axis = f"expected {words_of(post, name)} ({home_words(post, at)})"
    return _Shown(post.hierarchy.levels[0], quantiles, average, axis, unit_of_outcome(post), f"expected {name}")


def _sections(quantiles: Array, chosen: Index | None, select: str) -> list[tuple[str, Index]]:
    """Headings and positions of the places of every section, highest first."""
    middle, J = quantiles[:, 2], len(quantiles)
    if chosen is not None:
        return [("", chosen[np.argsort(-middle[chosen], kind="stable")])]
    order = np.argsort(-middle, kind="stable")
    wide = np.argsort(-(quantiles[:, 4] - quantiles[:, 0]), kind="stable")
    if select == "auto" and J <= ALL:
        return [("", order)]
    if select == "auto":
        return [
            (f"highest {PART}", order[:PART]), (f"lowest {PART}", order[-PART:]), (f"widest {PART}", wide[:PART])
        ]  # fmt: skip
    words, some = {
        "top": ("highest", order[:SINGLE]),
        "bottom": ("lowest", order[-SINGLE:]),
        "widest": ("widest", wide[:SINGLE]),
    }[select]
    return [(f"{words} {len(some)} of {J:,}" if len(some) < J else "", some)]


def _drawn(shown: _Shown, lines: list[int | str], rows: Array, heading: page.Heading) -> Figure:
    """The picture, one line a place or a heading."""
    heights = [height for height, line in enumerate(lines) if isinstance(line, int)]
    every = [line for line in lines if isinstance(line, int)]
    tall = ROW * len(lines)
    figure = page.sheet(heading, heading.height + tall + FOOT)
    left = page.room_for(shown.level.labels[every], NAMES)
    axes = page.panel(figure, left, FOOT - 0.15, WIDTH - left - COUNTS, tall)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    drawn = shown.quantiles[every]
    low, high = drawn[:, 0].min(), drawn[:, 4].max()
    if shown.average is not None:
        low, high = min(low, shown.average[0]), max(high, shown.average[4])
    reach = (high - low) or abs(high) or 1.0
    axes.set_xlim(low - 0.03 * reach, high + 0.03 * reach)
    if shown.average is not None:
        axes.axvspan(shown.average[0], shown.average[4], color=style.BAND, linewidth=0, zorder=0)
        axes.axvline(shown.average[2], color=style.POPULATION, linewidth=0.9, linestyle="--", zorder=1)
    colour = style.COLOURS[0]
    for height, line in enumerate(lines):
        if isinstance(line, str):
            page.beside(axes, height, line, 0)
            continue
        quantiles = shown.quantiles[line]
        axes.plot(quantiles[[0, 4]], [height, height], color=colour, linewidth=1.0, marker="", zorder=3)
        axes.plot(quantiles[[1, 3]], [height, height], color=colour, linewidth=3.2, marker="", zorder=3)
        axes.plot(quantiles[2], height, "o", color="white", markeredgecolor=colour, markersize=4.2, zorder=4)
        page.beside(axes, height, f"{int(rows[line]):,}")
    style.names(axes.yaxis, heights, [style.shortened(str(shown.level.labels[at]), 34) for at in every])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    style.numbers(axes.xaxis, 6, style.shortened(shown.axis, 85), pad=4)
    return figure

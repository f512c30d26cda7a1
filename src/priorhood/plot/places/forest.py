"""Every place's interval, sorted: a coefficient, or what one and the same home is expected to cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import counted, near, plural
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.expression import tidy_label
from priorhood.model.priors import base_of
from priorhood.plot.figure import page
from priorhood.plot.figure.select_places import (
    asked,
    average_home,
    expected,
    finest,
    flat,
    home_words,
    place_quantiles,
    rows_in,
    unit_of_outcome,
    words_of,
)  # fmt: skip
from priorhood.posterior.lazy_draws import positions
from priorhood.posterior.price_batches import over_draws

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior

SELECT = ("auto", "top", "bottom", "widest")
# Places up to which all are shown; in a section of "auto", and of a single one.
ALL, PART, SINGLE = 40, 10, 30
MOST = 200
INTERVALS = (0.05, 0.25, 0.5, 0.75, 0.95)
# Inches.
WIDTH, ROW, NAMES, COUNTS, FOOT = 8.5, 0.19, 2.3, 0.8, 0.85


@dataclass(frozen=True)
class _Shown:
    """What is drawn: quantiles (places, 5); the average's (5,) or None; the axis and what it is, in words."""

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
    """The 50 % and 90 % interval of every place, highest first, with its number of rows and the population's.

    Parameters
    ----------
    post : a posterior
    var : a parameter that places have: beta, beta_district, delta_type, or sigma with noise by place
    term : which of its coefficients; the intercept if None, or else the first
    select : "auto", all of up to 40 places, of more the highest, lowest and widest 10; "top", "bottom" or
        "widest" for 30 of one kind; or labels
    at : values of predictors, {"living_space": 100}: then the expected outcome of that home is shown, not a
        coefficient; of predictors not named the mean. {} is the home that is average in all
    places : the formula's group = labels, zip=["10115", "12047"], to show these

    Returns
    -------
    matplotlib Figure; `savefig("forest.png")` writes it

    Raises
    ------
    ModelError : no group, a parameter that places do not have, unknown labels, over 200 places, no matplotlib
    """
    finest(post, "forest")
    var, term = _apart(var, term)
    shown = _coefficient(post, var, term) if at is None else _homes(post, at)
    chosen = asked(post, places)
    if chosen is None and not isinstance(select, str):
        chosen = positions(shown.level, list(select))
    elif chosen is not None and shown.level is not post.hierarchy.levels[0]:
        raise ModelError(f"{var} is of {plural(shown.level.name)}: name them with select=[…]")
    if chosen is None and select not in SELECT:
        raise ModelError(f"select must be one of {', '.join(SELECT)}, or a list of labels, not {select!r}")
    sections = _sections(shown.quantiles, chosen, str(select))
    count = sum(len(section) for _, section in sections)
    if count > MOST:
        raise ModelError(f"{count:,} places do not fit into one picture, {MOST} do: choose fewer")
    return _drawn(shown, sections, rows_in(post, shown.level))


# -- what is shown ------------------------------------------------------------------------------------------


def _apart(var: str, term: str | None) -> tuple[str, str | None]:
    """`beta[Intercept]`, as a map takes it, is beta with the term Intercept."""
    name, bracket, inside = var.partition("[")
    if term is not None or not bracket or not inside.endswith("]"):
        return var, term
    return name, inside[:-1].strip()


def _coefficient(post: Posterior, var: str, term: str | None) -> _Shown:
    formula = post.model.formula
    names = {formula.effect_name(at): level for at, level in enumerate(post.hierarchy.groupings)}
    if post.model.noise is not None:
        names["sigma"] = post.hierarchy.levels[0]
    summed = formula.effect_name(0) if post.summed else ""
    names = {name: level for name, level in names.items() if name in post.parameters or name == summed}
    if var not in names:
        raise ModelError(f"{var!r} is no parameter of the places; {near(var, names)}")
    level = names[var]
    if var == "sigma":
        draws = flat(post, var)
        if term is not None:
            raise ModelError("sigma has no terms: leave term out")
        centre = flat(post, "sigma_median") if "sigma_median" in post.parameters else None
        unit = post.model.unit_of(INTERCEPT)
        return _Shown(level, _quantiles(draws), _average(centre), f"sigma, {unit}", unit, "sigma")
    terms = [column.name for column in post.design.coefficient_columns(list(names).index(var))]
    chosen = tidy_label(term) if term is not None else INTERCEPT if INTERCEPT in terms else terms[0]
    if chosen not in terms:
        raise ModelError(f"{var} has no term {chosen!r}; {near(chosen, terms)}")
    unit = post.model.unit_of(chosen)
    name = f"{var}[{chosen}]"
    one = terms.index(chosen)
    told = place_quantiles(post, INTERVALS)[:, one] if var == summed else _quantiles(flat(post, var)[:, :, one])
    return _Shown(level, told, _population(post, var, chosen), f"{name}, {unit}", unit, name)


def _population(post: Posterior, var: str, term: str) -> Array | None:
    """The population's coefficient; 0, around which crossed effects lie, is nothing to draw an interval of."""
    if base_of(var) == "delta":
        return np.zeros(5)
    if "mu" not in post.parameters or term not in post["mu"]["term"].values:
        return None
    return _average(flat(post, "mu")[:, post["mu"]["term"].values.astype(str).tolist().index(term)])


def _homes(post: Posterior, at: Mapping[str, Any]) -> _Shown:
    homes = post.homes(at)
    name = post.model.formula.outcome_name
    row = average_home(post, homes)
    average = None if row is None else _average(expected(post, row)[:, 0])
    axis = f"expected {words_of(post, name)} ({home_words(post, at)})"
    level = post.hierarchy.levels[0]
    quantiles = over_draws(post, homes, lambda draws: _quantiles(draws).T).T
    return _Shown(level, quantiles, average, axis, unit_of_outcome(post), f"expected {name}")


def _quantiles(draws: Array) -> Array:
    """Of every place: (places, 5)."""
    return np.asarray(np.quantile(draws, INTERVALS, axis=0).T)


def _average(draws: Array | None) -> Array | None:
    return None if draws is None else np.quantile(draws, INTERVALS)


# -- which places -------------------------------------------------------------------------------------------


def _sections(quantiles: Array, chosen: Index | None, select: str) -> list[tuple[str, Index]]:
    """Headings and positions of the places of every section, highest first."""
    middle = quantiles[:, 2]
    order = np.argsort(-middle, kind="stable")
    if chosen is not None:
        return [("", chosen[np.argsort(-middle[chosen], kind="stable")])]
    wide = np.argsort(-(quantiles[:, 4] - quantiles[:, 0]), kind="stable")
    J = len(order)
    if select == "auto" and J <= ALL:
        return [("", order)]
    if select == "auto":
        return [
            (f"highest {PART}", order[:PART]), (f"lowest {PART}", order[-PART:]), (f"widest {PART}", wide[:PART])
        ]  # fmt: skip
    some = {"top": order[:SINGLE], "bottom": order[-SINGLE:], "widest": wide[:SINGLE]}[select]
    words = {"top": "highest", "bottom": "lowest", "widest": "widest"}[select]
    return [(f"{words} {len(some)} of {J:,}" if len(some) < J else "", some)]


def _finding(shown: _Shown, sections: list[tuple[str, Index]]) -> str:
    """The ends of what is shown, and the average, in words."""
    every = np.concatenate([section for _, section in sections])
    middle = shown.quantiles[:, 2]
    high, low = every[np.argmax(middle[every])], every[np.argmin(middle[every])]
    labels = shown.level.labels
    unit = shown.unit
    text = f"{shown.what}: {page.amount(middle[high], unit)} in {labels[high]}"
    if high != low:
        text += f", {page.amount(middle[low], unit)} in {labels[low]}"
    if shown.average is not None and shown.average.any():
        text += f"; {page.amount(shown.average[2], unit)} in the average {shown.level.name}"
    return text


# -- the picture --------------------------------------------------------------------------------------------


def _drawn(shown: _Shown, sections: list[tuple[str, Index]], rows: Array) -> Figure:
    from priorhood.plot.figure import style

    lines = _lines(sections, shown)
    J = shown.level.size
    told = (
        f"{counted(J, shown.level.name)}. Point: median; thick: 50 %, thin: 90 % "
        f"interval. Grey: the average {shown.level.name}, 90 %. Right: rows."
    )
    if shown.average is None:
        told = told.replace(f" Grey: the average {shown.level.name}, 90 %.", "")
    heading = page.Heading(_finding(shown, sections), told, WIDTH)
    tall = ROW * len(lines)
    figure = style.picture(WIDTH, heading.height + tall + FOOT)
    heading.put(figure)
    every = [at for at in lines if isinstance(at, int)]
    left = page.room_for(shown.level.labels[every], NAMES)
    axes = page.panel(figure, left, FOOT - 0.15, WIDTH - left - COUNTS, tall)
    axes.set_ylim(len(lines) - 0.5, -0.5)
    _limits(axes, shown, every)
    if shown.average is not None:
        axes.axvspan(shown.average[0], shown.average[4], color=style.BAND, linewidth=0, zorder=0)
        axes.axvline(shown.average[2], color=style.POPULATION, linewidth=0.9, linestyle="--", zorder=1)
    for height, line in enumerate(lines):
        if isinstance(line, str):
            style.words(axes.text(0, height, line, transform=axes.get_yaxis_transform(), va="center"))
        else:
            _interval(axes, shown.quantiles[line], height)
    heights = [height for height, line in enumerate(lines) if isinstance(line, int)]
    axes.set_yticks(heights, [style.shortened(str(shown.level.labels[at]), 34) for at in every])
    for text in axes.get_yticklabels():
        text.set_parse_math(False)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    for height, place in zip(heights, every, strict=True):
        number = axes.text(1.02, height, f"{int(rows[place]):,}", transform=axes.get_yaxis_transform(), va="center")
        style.words(number)
    style.numbers(axes.xaxis, 6)
    style.words(axes.set_xlabel(style.shortened(shown.axis, 85), labelpad=4))
    return figure


def _lines(sections: list[tuple[str, Index]], shown: _Shown) -> list[int | str]:
    """Line by line: a place, or the heading of a section; what lies between two of them is counted."""
    found: list[int | str] = []
    for at, (heading, section) in enumerate(sections):
        if at == 1:
            found.append(f"… {shown.level.size - 2 * PART:,} more")
        if heading:
            found.append(heading)
        found += section.tolist()
    return found


def _interval(axes: Axes, quantiles: Array, height: float) -> None:
    from priorhood.plot.figure import style

    colour = style.COLOURS[0]
    axes.plot(quantiles[[0, 4]], [height, height], color=colour, linewidth=1.0, marker="", zorder=3)
    axes.plot(quantiles[[1, 3]], [height, height], color=colour, linewidth=3.2, marker="", zorder=3)
    axes.plot(quantiles[2], height, "o", color="white", markeredgecolor=colour, markersize=4.2, zorder=4)


def _limits(axes: Axes, shown: _Shown, every: list[int]) -> None:
    """Of the places shown and the average."""
    ends = shown.quantiles[every]
    low, high = ends[:, 0].min(), ends[:, 4].max()
    if shown.average is not None:
        low, high = min(low, shown.average[0]), max(high, shown.average[4])
    reach = (high - low) or abs(high) or 1.0
    axes.set_xlim(low - 0.03 * reach, high + 0.03 * reach)

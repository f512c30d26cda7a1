"""Intercept against slope of all places, the population's ellipse, and the posterior of their correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import plural
from priorhood.errors import ModelError
from priorhood.plot.figure import page
from priorhood.plot.figure.kde import smoothed
from priorhood.plot.figure.select_places import (
    asked,
    average_coefficients,
    finest,
    flat,
    new_places,
    place_draws,
    place_means,
    regions,
    rows_in,
    two_terms,
)  # fmt: skip
from priorhood.plot.parameters.prior_posterior import marginal_of_lkj
from priorhood.plot.places.shrinkage import MASSES, axis_words, region

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Index
    from priorhood.posterior.posterior import Posterior

MOST = 12
# Inches.
WIDTH, LEFT, WIDE, GAP, RIGHT, HIGH, FOOT = 11.0, 1.0, 5.9, 0.55, 0.3, 4.6, 0.95


def correlation(post: Posterior, terms: Sequence[str] | None = None, **places: object) -> Figure:
    """All places in the plane of two coefficients, and the posterior of their correlation beside it.

    Parameters
    ----------
    post : a posterior
    terms : two coefficients that vary by place; the first two if None
    places : places with their own ellipse and name, the formula's group = up to 12 labels; if none those with
        most and fewest rows and those at the ends

    Returns
    -------
    matplotlib Figure; `savefig("correlation.png")` writes it. Points are posterior means; grey ellipses hold 50 %
    and 90 % of new places, those of a place 90 % of its draws

    Raises
    ------
    ModelError : no group, fewer than two coefficients that vary, unknown places, no matplotlib
    """
    level = finest(post, "correlation")
    at = two_terms(post, terms, "correlation")
    if len(at) < 2:
        raise ModelError(
            f"plot.correlation needs two coefficients that vary by {level.name}; {post.model.formula.text!r} was "
            f"asked for {'one' if terms is not None else 'its only one'}: see plot.shrinkage and plot.forest"
        )
    chosen = asked(post, places)
    means = place_means(post)[:, at]
    named = _notable(means, rows_in(post, level)) if chosen is None else chosen
    if len(named) > MOST:
        raise ModelError(f"{len(named)} ellipses would hide each other; choose up to {MOST} places")
    names = [post.design.coefficient_columns(0)[one].name for one in at]
    return _drawn(post, names, at, means, named)


def _notable(means: Array, rows: Array) -> Index:
    """Most and fewest rows, and the ends of both coefficients."""
    ends = [pick(values) for values in (*means.T, rows) for pick in (np.argmax, np.argmin)]
    return np.array(list(dict.fromkeys(map(int, ends))), dtype=np.int64)


def _correlations(post: Posterior, names: list[str]) -> dict[str, tuple[Array, float]]:
    """Of every level where both vary together: its name → draws of the correlation, and b of its prior."""
    resolved = post.model.resolve(post.design)
    found = {}
    for at, level in enumerate(post.hierarchy.levels):
        own = [column.name for column in post.design.level_columns(at)]
        lkj = resolved.omega[at]
        if lkj is not None and set(names) <= set(own):
            draws = flat(post, f"omega{post.model.formula.suffix(at)}")
            found[level.name] = draws[:, own.index(names[0]), own.index(names[1])], lkj.eta - 1 + len(own) / 2
    return found


def _finding(names: list[str], found: dict[str, tuple[Array, float]]) -> str:
    """What the correlation is, and how sure its sign."""
    if not found:
        return f"{names[0]} and {names[1]} are independent by the formula: no correlation is estimated"
    level, (draws, _) = next(iter(found.items()))
    low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95])
    positive = float((draws > 0).mean())
    sign = f"{page.share(max(positive, 1 - positive))} sure to be {'above' if positive >= 0.5 else 'below'} 0"
    return (
        f"Correlation of {names[0]} and {names[1]} between {plural(level)}: {_signed(middle)} "
        f"(90 %: {_signed(low)} to {_signed(high)}), {sign}"
    )


def _signed(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _drawn(post: Posterior, names: list[str], at: list[int], means: Array, named: Index) -> Figure:
    from priorhood.plot.figure import style

    found = _correlations(post, names)
    group = post.model.formula.group
    J = len(means)
    told = (
        f"Points: posterior means of {J:,} {plural(group)}; grey: 50 % and 90 % of new {plural(group)}; blue: "
        f"90 % of the draws of a {group}; cross: the average {group}."
    )
    heading = page.Heading(_finding(names, found), told, WIDTH)
    figure = style.picture(WIDTH, heading.height + HIGH + FOOT)
    heading.put(figure)
    wide = WIDE if found else WIDTH - LEFT - RIGHT
    axes = page.panel(figure, LEFT, FOOT - 0.1, wide, HIGH)
    _plane(axes, post, at, means, named)
    for axis, name in zip((axes.xaxis, axes.yaxis), names, strict=True):
        style.numbers(axis, 6)
        style.words(axis.set_label_text(axis_words(post, name)))
    level = post.hierarchy.levels[0]
    page.name_points(axes, means[named], [str(level.labels[one]) for one in named])
    if found:
        left = LEFT + WIDE + GAP
        beside = page.panel(figure, left, FOOT - 0.1, WIDTH - left - RIGHT, HIGH * 0.55)
        _beside(beside, found)
        marks = [(name if len(found) > 1 else "posterior", _level_look(k)) for k, name in enumerate(found)]
        page.key(figure, [*marks, ("prior", {"color": style.PRIOR, "linestyle": "--", "linewidth": 1.3})], left)
    return figure


def _plane(axes: Axes, post: Posterior, at: list[int], means: Array, named: Index) -> None:
    from priorhood.plot.figure import style

    grey = regions(new_places(post, np.array(at)), MASSES)
    draws = place_draws(post, named)[:, :, at]
    own = [regions(draws[:, one], (MASSES[-1],))[0] for one in range(len(named))]
    every = np.concatenate([means, *grey, *own])
    region(axes, grey)
    for points in own:
        axes.plot(*points.T, color=style.COLOURS[0], linewidth=1.0, marker="", zorder=3)
    axes.plot(*means.T, "o", color=style.COLOURS[4], markersize=3.5, markeredgewidth=0, zorder=2)
    axes.plot(*means[named].T, "o", color=style.COLOURS[0], markersize=4.5, markeredgewidth=0, zorder=4)
    average = average_coefficients(post)[:, at].mean(axis=0)
    axes.plot(*average, "P", color=style.POPULATION, markeredgecolor="white", markersize=10, zorder=5)
    low, high = every.min(axis=0), every.max(axis=0)
    reach = np.where(high > low, high - low, 1.0)
    axes.set_xlim(low[0] - 0.05 * reach[0], high[0] + 0.05 * reach[0])
    axes.set_ylim(low[1] - 0.05 * reach[1], high[1] + 0.05 * reach[1])


def _level_look(at: int) -> dict[str, object]:
    from priorhood.plot.figure import style

    return {"color": style.COLOURS[(0, 2, 3)[at % 3]], "linewidth": 1.4}


def _beside(axes: Axes, found: dict[str, tuple[Array, float]]) -> None:
    from priorhood.plot.figure import style

    grid = np.linspace(-1, 1, 401)[1:-1]
    tops = [0.5]
    for at, (draws, b) in enumerate(found.values()):
        x, y = smoothed(draws, -1.0, 1.0)
        axes.plot(x, y, marker="", **_level_look(at))  # type: ignore[arg-type]
        axes.plot(grid, marginal_of_lkj(b)(grid), color=style.PRIOR, linestyle="--", linewidth=1.3, marker="")
        tops += [float(y.max()), float(marginal_of_lkj(b)(grid).max()) if b >= 1 else 0.5]
    axes.axvline(0, color=style.SOFT, linewidth=0.6)
    axes.set_xlim(-1, 1)
    axes.set_ylim(0, 1.06 * max(tops))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    style.numbers(axes.xaxis, 5)
    style.words(axes.set_xlabel("correlation"))

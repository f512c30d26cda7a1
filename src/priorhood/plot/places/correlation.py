"""Intercept against slope of all places, ellipses of new places, and the posterior of the correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import plural
from priorhood.errors import ModelError
from priorhood.plot.figure import page, style
from priorhood.plot.figure.kde import smoothed
from priorhood.plot.figure.select_places import (
    asked,
    average_coefficients,
    ends,
    finest,
    flat,
    new_places,
    place_draws,
    place_means,
    regions,
    two_terms,
)  # fmt: skip
from priorhood.plot.parameters.prior_posterior import marginal_of_lkj
from priorhood.plot.places.shrinkage import MASSES, draw_region, label_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Index
    from priorhood.posterior.posterior import Posterior

MAX_PLACES = 12
# Inches.
WIDTH, LEFT, WIDE, GAP, RIGHT, HIGH, FOOT = 11.0, 1.0, 5.9, 0.55, 0.3, 4.6, 0.95


def correlation(post: Posterior, terms: Sequence[str] | None = None, **places: object) -> Figure:
    """Draw all places in the plane of two coefficients, and the posterior of their correlation beside it.

    Parameters
    ----------
    post : Posterior
    terms : (str, str), optional
        Two coefficients that vary by place; the first two by default.
    **places : str or list of str
        The formula's group = up to 12 labels, places with their own ellipse and name; by default those with most
        and fewest rows and those at the ends.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("correlation.png")` writes it. Points are posterior means; grey ellipses hold
        50 % and 90 % of new places, those of a place 90 % of its draws.

    Raises
    ------
    ModelError
        No group, fewer than two coefficients that vary, unknown places, no matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> [axes.get_xlabel() for axes in ph.plot.correlation(post).axes]
    ['beta[Intercept], price', 'correlation']
    """
    level = finest(post, "correlation")
    at = two_terms(post, terms, "correlation")
    if len(at) < 2:
        raise ModelError(
            f"plot.correlation needs two coefficients that vary by {level.name}; {post.model.formula.text!r} was "
            f"asked for {'one' if terms is not None else 'its only one'}: see plot.shrinkage and plot.forest"
        )
    means = place_means(post)[:, at]
    chosen = asked(post, places)
    named = np.array(ends(*means.T, level.total(post.moments.n))) if chosen is None else chosen
    if len(named) > MAX_PLACES:
        raise ModelError(f"{len(named)} ellipses would hide each other; choose up to {MAX_PLACES} places")
    names = [post.design.coefficient_columns(0)[one].name for one in at]

    # By level where both vary together: draws of the correlation, and b of its prior.
    found: dict[str, tuple[Array, float]] = {}
    for one, (lkj, where) in enumerate(
        zip(post.model.resolve(post.design).omega, post.hierarchy.levels, strict=False)
    ):
        own = [column.name for column in post.design.level_columns(one)]
        if lkj is not None and set(names) <= set(own):
            draws = flat(post, f"omega{post.model.formula.suffix(one)}")
            found[where.name] = draws[:, own.index(names[0]), own.index(names[1])], lkj.eta - 1 + len(own) / 2
    finding = f"{names[0]} and {names[1]} are independent by the formula: no correlation is estimated"
    if found:
        first, (draws, _) = next(iter(found.items()))
        low, middle, high = (f"{q:.2f}".replace("-", "−") for q in np.quantile(draws, [0.05, 0.5, 0.95]))
        positive = float((draws > 0).mean())
        sign = f"{page.share(max(positive, 1 - positive))} sure to be {'above' if positive >= 0.5 else 'below'} 0"
        finding = (
            f"Correlation of {names[0]} and {names[1]} between {plural(first)}: {middle} "
            f"(90 %: {low} to {high}), {sign}"
        )
    reading = (
        f"Points: posterior means of {len(means):,} {plural(level.name)}; grey: 50 % and 90 % of new "
        f"{plural(level.name)}; blue: 90 % of the draws of a {level.name}; cross: the average {level.name}."
    )
    heading = page.Heading(finding, reading, WIDTH)
    figure = page.sheet(heading, heading.height + HIGH + FOOT)
    axes = page.panel(figure, LEFT, FOOT - 0.1, WIDE if found else WIDTH - LEFT - RIGHT, HIGH)
    _plane(axes, post, at, means, named)
    label_axes(axes, post, names)
    page.name_points(axes, means[named], [str(level.labels[one]) for one in named])
    if found:
        left = LEFT + WIDE + GAP
        looks = [{"color": style.COLOURS[(0, 2, 3)[k % 3]], "linewidth": 1.4} for k in range(len(found))]
        beside = page.panel(figure, left, FOOT - 0.1, WIDTH - left - RIGHT, HIGH * 0.55)
        grid = np.linspace(-1, 1, 401)[1:-1]
        tops = [0.5]
        for look, (draws, b) in zip(looks, found.values(), strict=True):
            x, y = smoothed(draws, -1.0, 1.0)
            prior = marginal_of_lkj(b)(grid)
            beside.plot(x, y, marker="", **look)  # type: ignore[arg-type]
            beside.plot(grid, prior, color=style.PRIOR, linestyle="--", linewidth=1.3, marker="")
            tops += [float(y.max()), float(prior.max()) if b >= 1 else 0.5]
        beside.axvline(0, color=style.SOFT, linewidth=0.6)
        beside.set_xlim(-1, 1)
        beside.set_ylim(0, 1.06 * max(tops))
        style.no_height(beside)
        style.numbers(beside.xaxis, 5, "correlation", pad=4)
        marks = [(name if len(found) > 1 else "posterior", look) for name, look in zip(found, looks, strict=True)]
        page.key(figure, [*marks, ("prior", {"color": style.PRIOR, "linestyle": "--", "linewidth": 1.3})], left)
    return figure


def _plane(axes: Axes, post: Posterior, at: list[int], means: Array, named: Index) -> None:
    """Places, ellipses of new ones and of those named, and the average place."""
    grey = regions(new_places(post, np.array(at)), MASSES)
    draws = place_draws(post, named)[:, :, at]
    own = [regions(draws[:, one], (MASSES[-1],))[0] for one in range(len(named))]
    draw_region(axes, grey)
    for points in own:
        axes.plot(*points.T, color=style.COLOURS[0], linewidth=1.0, marker="", zorder=3)
    axes.plot(*means.T, "o", color=style.COLOURS[4], markersize=3.5, markeredgewidth=0, zorder=2)
    axes.plot(*means[named].T, "o", color=style.COLOURS[0], markersize=4.5, markeredgewidth=0, zorder=4)
    average = average_coefficients(post)[:, at].mean(axis=0)
    axes.plot(*average, "P", color=style.POPULATION, markeredgecolor="white", markersize=10, zorder=5)
    every = np.concatenate([means, *grey, *own])
    low, high = every.min(axis=0), every.max(axis=0)
    reach = np.where(high > low, high - low, 1.0)
    axes.set_xlim(low[0] - 0.05 * reach[0], high[0] + 0.05 * reach[0])
    axes.set_ylim(low[1] - 0.05 * reach[1], high[1] + 0.05 * reach[1])

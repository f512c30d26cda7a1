"""Intercept against slope of all places, ellipses of new places, and the posterior of the correlation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import plural
from priorhood.errors import ModelError
from priorhood.plot.figure import page, style
from priorhood.plot.figure.kde import kernel_density
from priorhood.plot.figure.select_places import (
    average_coefficients,
    chosen_places,
    extreme_places,
    finest_level,
    new_places,
    place_draws,
    place_means,
    pooled_draws,
    regions,
    term_positions,
)
from priorhood.plot.parameters.prior_posterior import marginal_of_lkj
from priorhood.plot.places.shrinkage import MASSES, draw_new_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

MAX_PLACES = 12
# Inches.
WIDTH, LEFT, PLANE, GAP, RIGHT, HIGH, FOOT = 11.0, 1.0, 5.9, 0.55, 0.3, 4.6, 0.95


@suggest_argument_names
def correlation(post: Posterior, terms: Sequence[str] | None = None, **places: object) -> Figure:
    """Draw all places in the plane of two coefficients, and next to it the posterior of their correlation.

    Parameters
    ----------
    post : Posterior
    terms : (str, str), optional
        Two coefficients that vary by place; the first two by default.
    **places : str or list of str
        Up to 12 labels of the formula's group, for places with their own ellipse and name; by default those with
        the most and fewest rows and those at the extremes.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("correlation.png")` writes it. Points are posterior means; grey ellipses
        contain 50 % and 90 % of new places, blue ones 90 % of the draws of a place.

    Raises
    ------
    ModelError
        No group; fewer than two coefficients that vary; unknown places; no matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> [axes.get_xlabel() for axes in ph.plot.correlation(post).axes]
    ['beta[Intercept], price', 'correlation']
    """
    level = finest_level(post, "correlation")
    columns = term_positions(post, terms, "correlation")
    if len(columns) < 2:
        known = "one was passed" if terms is not None else f"{post.model.formula.text!r} has only one"
        raise ModelError(
            f"plot.correlation needs two coefficients that vary by {level.name}, but {known}: see plot.shrinkage "
            f"and plot.forest"
        )
    means = place_means(post)[:, columns]
    chosen = chosen_places(post, places)
    named = np.array(extreme_places(*means.T, level.total(post.moments.n))) if chosen is None else chosen
    page.check_count(len(named), MAX_PLACES, "ellipses", "choose fewer places")
    names = [post.design.coefficient_columns(0)[column].name for column in columns]

    # By level, if both vary together: draws of the correlation, and b of its prior.
    correlations: dict[str, tuple[Array, float]] = {}
    for number, (lkj, grouping) in enumerate(
        zip(post.model.resolve(post.design).omega, post.hierarchy.levels, strict=False)
    ):
        varying = [column.name for column in post.design.level_columns(number)]
        if lkj is not None and set(names) <= set(varying):
            omega = pooled_draws(post, f"omega{post.model.formula.suffix(number)}")
            draws = omega[:, varying.index(names[0]), varying.index(names[1])]
            correlations[grouping.name] = draws, lkj.eta - 1 + len(varying) / 2
    title = f"{names[0]} and {names[1]} are assumed independent by the formula: no correlation is estimated"
    if correlations:
        first, (draws, _) = next(iter(correlations.items()))
        low, middle, high = (f"{q:.2f}".replace("-", "−") for q in np.quantile(draws, [0.05, 0.5, 0.95]))
        positive = float((draws > 0).mean())
        sign = f"{'positive' if positive >= 0.5 else 'negative'} with probability "
        title = (
            f"Correlation of {names[0]} and {names[1]} between {plural(first)}: {middle} (90 %: {low} to {high}), "
            f"{sign}{page.probability_text(max(positive, 1 - positive))}"
        )
    subtitle = (
        f"Points: posterior means of {len(means):,} {plural(level.name)}; grey: 50 % and 90 % of new "
        f"{plural(level.name)}; blue: 90 % of the draws of one {level.name}; cross: the average {level.name}."
    )
    figure = page.new_figure(title, subtitle, WIDTH, HIGH + FOOT)
    axes = page.add_panel(figure, LEFT, FOOT - 0.1, PLANE if correlations else WIDTH - LEFT - RIGHT, HIGH)
    new = regions(new_places(post, np.array(columns)), MASSES)
    draws = place_draws(post, named)[:, :, columns]
    ellipses = [regions(draws[:, place], (MASSES[-1],))[0] for place in range(len(named))]
    draw_new_places(axes, post, names, new, average_coefficients(post)[:, columns].mean(axis=0))
    for points in ellipses:
        axes.plot(*points.T, color=style.COLOURS[0], linewidth=1.0, marker="", zorder=3)
    axes.plot(*means.T, "o", color=style.COLOURS[4], markersize=3.5, markeredgewidth=0, zorder=2)
    axes.plot(*means[named].T, "o", color=style.COLOURS[0], markersize=4.5, markeredgewidth=0, zorder=4)
    every = np.concatenate([means, *new, *ellipses])
    margin = 0.05 * np.where(np.ptp(every, axis=0) > 0, np.ptp(every, axis=0), 1.0)
    axes.set_xlim(every[:, 0].min() - margin[0], every[:, 0].max() + margin[0])
    axes.set_ylim(every[:, 1].min() - margin[1], every[:, 1].max() + margin[1])
    page.name_points(axes, means[named], [str(level.labels[place]) for place in named])
    if correlations:
        _draw_densities(figure, correlations)
    return figure


def _draw_densities(figure: Figure, correlations: dict[str, tuple[Array, float]]) -> None:
    """Draw prior and posterior of the correlation at every level, to the right of the plane."""
    left = LEFT + PLANE + GAP
    looks = [{"color": style.COLOURS[(0, 2, 3)[k % 3]], "linewidth": 1.4} for k in range(len(correlations))]
    axes = page.add_panel(figure, left, FOOT - 0.1, WIDTH - left - RIGHT, HIGH * 0.55)
    grid = np.linspace(-1, 1, 401)[1:-1]
    tops = [0.5]
    for look, (draws, b) in zip(looks, correlations.values(), strict=True):
        x, y = kernel_density(draws, -1.0, 1.0)
        prior = marginal_of_lkj(b)(grid)
        axes.plot(x, y, marker="", **look)  # type: ignore[arg-type]
        axes.plot(grid, prior, color=style.PRIOR, linestyle="--", linewidth=1.3, marker="")
        tops += [float(y.max()), float(prior.max()) if b >= 1 else 0.5]
    axes.axvline(0, color=style.SOFT, linewidth=0.6)
    axes.set_xlim(-1, 1)
    axes.set_ylim(0, 1.06 * max(tops))
    style.hide_y_axis(axes)
    style.number_ticks(axes.xaxis, 5, "correlation", pad=4)
    names = list(correlations) if len(correlations) > 1 else ["posterior"]
    marks = [
        *zip(names, looks, strict=True),
        ("prior", {"color": style.PRIOR, "linestyle": "--", "linewidth": 1.3}),
    ]
    page.add_key(figure, marks, left)

"""The density and the course of every chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.model.priors import split_label
from priorhood.plot.figure import page
from priorhood.plot.figure.kde import BOUNDS, smoothed
from priorhood.plot.figure.select_parameters import Row, chosen, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Flags
    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, ROW, LEFT, GAP, RIGHT, ABOVE, BELOW, FOOT = 11.0, 2.05, page.EDGE, 1.2, 0.25, 0.48, 0.48, 0.3
# Points of a trace beyond which a line hides what it shows.
LONGEST = 4000


def trace(post: Posterior, var_names: str | Sequence[str] | None = None, **places: object) -> Figure:
    """The density of each chain, left, and its course, right; one row a parameter, in the data's units.

    Parameters
    ----------
    post : a posterior
    var_names : parameters, such as "tau", or single ones as the summary has them, "tau[living_space]"; if None
        those that are not of a place, such as mu, tau, omega; with places, all that the places have
    places : the formula's group = a label or several, zip="12047", for the coefficients of these places

    Returns
    -------
    matplotlib Figure, which notebooks show; `savefig("trace.png")` writes it. Ticks below a trace are
    divergent transitions.

    Raises
    ------
    ModelError : unknown parameters or places, more than 20 rows, no matplotlib
    """
    rows = rows_of(post, chosen(post, var_names, places, "trace"))
    stats = post.tree["sample_stats"]
    diverging = None
    if "diverging" in stats:
        diverging = stats["diverging"].transpose("chain", "draw").values.astype(bool)
    heading = page.Heading(*_told(rows, diverging), WIDTH, all(row.good for row in rows))
    return _drawn(rows, diverging, post[post.parameters[0]]["chain"].values.tolist(), heading)


def _told(rows: list[Row], diverging: Flags | None) -> tuple[str, str]:
    """Whether the chains agree, and how to read it."""
    bad = [row.label for row in rows if not row.good]
    if len(rows[0].values) == 1:
        finding = "One chain: whether others would agree is not known"
    elif bad:
        finding = f"Chains disagree, or are worth too few draws, on {len(bad)} of {len(rows)} parameters"
    else:
        finding = (
            "Chains agree on the parameter" if len(rows) == 1 else f"Chains agree on all {len(rows)} parameters"
        )
    reading = "Left: the density of every chain; right: its course."
    if diverging is not None and diverging.any():
        reading += f" Ticks below: {int(diverging.sum()):,} of {diverging.size:,} transitions diverged."
    return finding, reading


def _drawn(rows: list[Row], diverging: Flags | None, chains: list[Any], heading: page.Heading) -> Figure:
    from priorhood.plot.figure import style

    height = heading.height + ROW * len(rows) + FOOT
    figure = style.picture(WIDTH, height)
    heading.put(figure)
    wide = (WIDTH - LEFT - GAP - RIGHT) / 2
    inner = ROW - ABOVE - BELOW
    for at, row in enumerate(rows):
        bottom = (FOOT + ROW * (len(rows) - 1 - at) + BELOW) / height
        left = figure.add_axes((LEFT / WIDTH, bottom, wide / WIDTH, inner / height))
        right = figure.add_axes(((LEFT + wide + GAP) / WIDTH, bottom, wide / WIDTH, inner / height))
        _density(left, row)
        _course(right, row, diverging)
        top = bottom + inner / height
        for lift, text, look in (
            (0.22, style.shortened(row.label, 100), {"size": style.NORMAL, "colour": style.INK, "bold": True}),
            (0.06, row.verdict, {"colour": style.SOFT if row.good else style.WARNING}),
        ):
            style.words(figure.text(LEFT / WIDTH, top + lift / height, text), **look)
    page.key(figure, page.chain_marks(chains))
    return figure


def _density(axes: Axes, row: Row) -> None:
    from priorhood.plot.figure import style

    style.plain(axes)
    for at, draws in enumerate(row.values):
        grid, density = smoothed(draws, *BOUNDS.get(split_label(row.label)[0], (-np.inf, np.inf)))
        axes.plot(grid, density, linewidth=1.2, marker="", **style.chain_look(at))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(bottom=0)
    style.numbers(axes.xaxis, 6)
    style.words(axes.set_xlabel(style.shortened(row.unit, 80), labelpad=2))


def _course(axes: Axes, row: Row, diverging: Flags | None) -> None:
    from priorhood.plot.figure import style

    style.plain(axes)
    draws = row.values.shape[1]
    step = max(1, -(-draws // LONGEST))
    positions = np.arange(0, draws, step)
    for at, values in enumerate(row.values):
        look = style.chain_look(at)
        axes.plot(positions, values[::step], linewidth=0.5, alpha=0.75, marker="", **look)
        if diverging is not None and diverging[at].any():
            when = np.flatnonzero(diverging[at])
            axes.plot(
                when, np.full(len(when), 0.03), "|", transform=axes.get_xaxis_transform(), markersize=7,
                markeredgewidth=0.8, color=look["color"], clip_on=False, zorder=3,
            )  # fmt: skip
    if diverging is not None and diverging.any():
        low, high = axes.get_ylim()
        axes.set_ylim(low - 0.08 * (high - low), high)
    axes.set_xlim(0, max(draws - 1, 1))
    style.numbers(axes.xaxis, 6)
    style.numbers(axes.yaxis, 4)
    style.words(axes.set_xlabel("draw", labelpad=2))
    style.words(axes.set_ylabel(style.shortened(row.unit, 20, middle=False), labelpad=4))

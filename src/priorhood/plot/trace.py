"""The density and the course of every chain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood.plot.choosing import Row, chosen, rows_of
from priorhood.plot.kernel import BOUNDS, smoothed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood.posterior import Posterior

Array = npt.NDArray[np.float64]

# Inches.
WIDTH, ROW, LEFT, GAP, RIGHT, ABOVE, TOP, BELOW = 11.0, 2.05, 0.45, 1.2, 0.25, 0.48, 0.45, 0.48
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
    return _drawn(rows, diverging, post["mu" if "mu" in post.parameters else post.parameters[0]]["chain"].values)


def _drawn(rows: list[Row], diverging: npt.NDArray[np.bool_] | None, chains: npt.NDArray[Any]) -> Figure:
    from priorhood.plot import style

    height = TOP + ROW * len(rows)
    figure = style.picture(WIDTH, height)
    wide = (WIDTH - LEFT - GAP - RIGHT) / 2
    inner = ROW - ABOVE - BELOW
    for at, row in enumerate(rows):
        bottom = (height - TOP - ROW * (at + 1) + BELOW) / height
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
    _legend(figure, chains, diverging, height)
    return figure


def _density(axes: Axes, row: Row) -> None:
    from priorhood.plot import style

    style.plain(axes)
    for at, draws in enumerate(row.values):
        grid, density = smoothed(draws, *BOUNDS.get(row.label.partition("[")[0], (-np.inf, np.inf)))
        axes.plot(grid, density, linewidth=1.2, marker="", **style.chain_look(at))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(bottom=0)
    style.numbers(axes.xaxis, 6)
    style.words(axes.set_xlabel(style.shortened(row.unit, 80), labelpad=2))


def _course(axes: Axes, row: Row, diverging: npt.NDArray[np.bool_] | None) -> None:
    from priorhood.plot import style

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


def _legend(
    figure: Figure, chains: npt.NDArray[Any], diverging: npt.NDArray[np.bool_] | None, height: float
) -> None:
    from matplotlib.lines import Line2D

    from priorhood.plot import style

    handles: list[Line2D] = [
        Line2D([], [], linewidth=1.5, label=f"chain {name}", **style.chain_look(at))  # type: ignore[arg-type]
        for at, name in enumerate(chains[:8])
    ]
    if len(chains) > 8:
        handles.append(Line2D([], [], linestyle="", label=f"and {len(chains) - 8} more"))
    if diverging is not None and diverging.any():
        count = f"{int(diverging.sum()):,} of {diverging.size:,} transitions diverged"
        handles.append(Line2D([], [], linestyle="", marker="|", color=style.SOFT, markersize=7, label=count))
    figure.legend(
        handles=handles, loc="upper right", bbox_to_anchor=(1 - RIGHT / WIDTH, 1 - 0.08 / height),
        ncols=len(handles), fontsize=style.SMALL, frameon=False, borderaxespad=0, labelcolor=style.INK,
    )  # fmt: skip

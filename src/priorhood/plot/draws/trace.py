"""Trace plots: density and course of every chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood.model.priors import split_label
from priorhood.plot.figure import page, style
from priorhood.plot.figure.kde import BOUNDS, smoothed
from priorhood.plot.figure.select_parameters import Row, select_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Flags
    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, FOOT = 11.0, 0.3
GRID = page.Grid(left=page.EDGE, right=0.25, gap=1.2, foot=FOOT + 0.48, pitch=2.05, high=1.09)
# More points of a trace would hide what its line shows.
LONGEST = 4000


def trace(post: Posterior, var_names: str | Sequence[str] | None = None, **places: object) -> Figure:
    """Draw the density of each chain, left, and its course, right, one row a parameter, in the data's units.

    Parameters
    ----------
    post : Posterior
    var_names : str or list of str, optional
        Parameters, such as "tau", or single ones as the summary has them, "tau[living_space]". By default those
        that no place has of its own, such as mu, tau, omega; with places, all that the places have.
    **places : str or list of str
        The formula's group = one or several labels, zip="12047", for the coefficients of these places.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("trace.png")` writes it. Ticks below a trace are divergent transitions.

    Raises
    ------
    ModelError
        Unknown parameters or places, more than 20 rows, no matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> len(ph.plot.trace(post, ["tau", "sigma"]).axes)
    6
    """
    rows = select_parameters(post, var_names, places, "trace")
    stats = post.tree["sample_stats"]
    diverging = None
    if "diverging" in stats and stats["diverging"].any():
        diverging = stats["diverging"].transpose("chain", "draw").values.astype(bool)
    bad = sum(not row.good for row in rows)
    if len(rows[0].values) == 1:
        finding = "One chain: whether others would agree is not known"
    elif bad:
        finding = f"Chains disagree, or are worth too few draws, on {bad} of {len(rows)} parameters"
    else:
        finding = f"Chains agree on {'the parameter' if len(rows) == 1 else f'all {len(rows)} parameters'}"
    reading = "Left: the density of every chain; right: its course."
    if diverging is not None:
        reading += f" Ticks below: {int(diverging.sum()):,} of {diverging.size:,} transitions diverged."
    heading = page.Heading(finding, reading, WIDTH, not bad)
    height = heading.height + GRID.pitch * len(rows) + FOOT
    figure = page.sheet(heading, height)
    panels = GRID.panels(figure, 2 * len(rows), 2)
    for row, left, right in zip(rows, panels[::2], panels[1::2], strict=True):
        _density(left, row)
        _course(right, row, diverging)
        top = left.get_position().y1 * height
        page.write(figure, page.EDGE, top + 0.22, style.shortened(row.label, 100), size=style.NORMAL,
                   colour=style.INK, bold=True)  # fmt: skip
        page.write(figure, page.EDGE, top + 0.06, row.verdict, colour=style.SOFT if row.good else style.WARNING)
    page.key(figure, page.chain_marks(post[post.parameters[0]]["chain"].values.tolist()))
    return figure


def _density(axes: Axes, row: Row) -> None:
    """Density of every chain."""
    for at, draws in enumerate(row.values):
        grid, density = smoothed(draws, *BOUNDS.get(split_label(row.label)[0], (-np.inf, np.inf)))
        axes.plot(grid, density, linewidth=1.2, marker="", **style.chain_look(at))
    style.no_height(axes)
    axes.set_ylim(bottom=0)
    style.numbers(axes.xaxis, 6, style.shortened(row.unit, 80))


def _course(axes: Axes, row: Row, diverging: Flags | None) -> None:
    """Draws of every chain in their order, and ticks where it diverged."""
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
    if diverging is not None:
        low, high = axes.get_ylim()
        axes.set_ylim(low - 0.08 * (high - low), high)
    axes.set_xlim(0, max(draws - 1, 1))
    style.numbers(axes.xaxis, 6, "draw")
    style.numbers(axes.yaxis, 4, style.shortened(row.unit, 20, middle=False), pad=4)

"""Trace plots: density and trace of every chain."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood.model.priors import split_label
from priorhood.plot.figure import page, style
from priorhood.plot.figure.kde import BOUNDS, kernel_density
from priorhood.plot.figure.select_parameters import select_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, FOOT = 11.0, 0.3
GRID = page.Grid(left=page.EDGE, right=0.25, gap=1.2, foot=FOOT + 0.48, pitch=2.05, height=1.09)
# More points would hide the shape of a trace.
MAX_POINTS = 4000


@suggest_argument_names
def trace(post: Posterior, var_names: str | Sequence[str] | None = None, **places: object) -> Figure:
    """Draw the density of each chain on the left and its trace on the right, one row per parameter, in data units.

    Parameters
    ----------
    post : Posterior
    var_names : str or list of str, optional
        Parameters, such as "tau", or single elements as in the summary, "tau[living_space]". By default those
        shared by all places, such as mu, tau, omega; with places, all parameters of those places.
    **places : str or list of str
        One or several labels of the formula's group, zip="12047", for the coefficients of these places.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("trace.png")` writes it. Ticks below a trace are divergent transitions.

    Raises
    ------
    ModelError
        Unknown parameters or places; more than 20 parameters; no matplotlib.

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
        title = "One chain: whether others would agree is unknown"
    elif bad:
        some = f"{bad} of {len(rows)} parameters" if len(rows) > 1 else "the parameter"
        title = f"Chains disagree, or the effective sample size is too small, for {some}"
    else:
        title = f"Chains agree on {'the parameter' if len(rows) == 1 else f'all {len(rows)} parameters'}"
    subtitle = "Left: density of each chain; right: its trace."
    if diverging is not None:
        subtitle += f" Ticks below: {int(diverging.sum()):,} of {diverging.size:,} transitions diverged."
    figure = page.new_figure(title, subtitle, WIDTH, GRID.pitch * len(rows) + FOOT, good=not bad)
    height = figure.get_size_inches()[1]
    panels = GRID.panels(figure, 2 * len(rows), 2)
    for row, left, right in zip(rows, panels[::2], panels[1::2], strict=True):
        for chain, draws in enumerate(row.values):
            bounds = BOUNDS.get(split_label(row.label)[0], (-np.inf, np.inf))
            left.plot(*kernel_density(draws, *bounds), linewidth=1.2, marker="", **style.chain_look(chain))
        style.hide_y_axis(left)
        left.set_ylim(bottom=0)
        style.number_ticks(left.xaxis, 6, style.shorten(row.unit, 80))

        positions = np.arange(0, row.values.shape[1], max(1, -(-row.values.shape[1] // MAX_POINTS)))
        for chain, draws in enumerate(row.values):
            look = style.chain_look(chain)
            right.plot(positions, draws[positions], linewidth=0.5, alpha=0.75, marker="", **look)
            if diverging is not None and diverging[chain].any():
                when = np.flatnonzero(diverging[chain])
                right.plot(
                    when, np.full(len(when), 0.03), "|", transform=right.get_xaxis_transform(), markersize=7,
                    markeredgewidth=0.8, color=look["color"], clip_on=False, zorder=3,
                )  # fmt: skip
        if diverging is not None:
            low, high = right.get_ylim()
            right.set_ylim(low - 0.08 * (high - low), high)
        right.set_xlim(0, max(row.values.shape[1] - 1, 1))
        style.number_ticks(right.xaxis, 6, "draw")
        style.number_ticks(right.yaxis, 4, style.shorten(row.unit, 20, middle=False), pad=4)

        top = left.get_position().y1 * height
        page.write(figure, page.EDGE, top + 0.22, style.shorten(row.label, 100), size=style.NORMAL,
                   colour=style.INK, bold=True)  # fmt: skip
        page.write(figure, page.EDGE, top + 0.06, row.verdict, colour=style.SOFT if row.good else style.WARNING)
    page.add_key(figure, page.chain_marks(post[post.parameters[0]]["chain"].values.tolist()))
    return figure

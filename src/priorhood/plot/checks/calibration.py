"""Picture of a calibration: distribution of the ranks of the true values, with the band of uniform ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood.diagnostics.uniformity import ALARM, counts_below
from priorhood.plot.figure import page, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.evaluation.sbc import Calibration

MAX_PANELS = 40
# Inches.
WIDTH = 11.0
GRID = page.Grid(left=0.75, right=0.25, gap=0.3, foot=0.6, pitch=1.9, height=1.4)


@suggest_argument_names
def calibration(result: Calibration) -> Figure:
    """Draw the distribution function of every quantity's ranks, minus the uniform one, with a simultaneous band.

    Parameters
    ----------
    result : Calibration
        The result of `priorhood.calibrate`. Of more than 40 quantities, those with the smallest p-values are drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("calibration.png")` writes it.

    Raises
    ------
    ModelError
        No matplotlib.

    Notes
    -----
    For a correct engine, all lines stay within the grey bands except in one picture in a hundred. A hump means that
    the draws are too high, a dip too low; a hump followed by a dip, that they are too narrow, the other way round
    too wide.

    References
    ----------
    Säilynoja, Bürkner & Vehtari (2022), Graphical test for discrete uniformity and its applications in
    goodness-of-fit evaluation and multiple sample comparison.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(4, 40, seed=1)
    >>> model = ph.Model("price ~ 1 + (1 | zip)", "sigma ~ HalfNormal(1)")
    >>> result = ph.calibrate(model, sales, refits=20, draws=19, threads=1, seed=1)
    >>> len(ph.plot.calibration(result).axes) == len(result.quantities)
    True
    """
    shown = sorted(np.argsort(result.p_values, kind="stable")[:MAX_PANELS].tolist())
    total, failed = len(result.quantities), int((~result.good).sum())
    title = f"Calibrated: the ranks of all {total} quantities are uniform"
    if failed:
        title = f"Not calibrated: the ranks of {failed} of {total} quantities are not uniform"
    refused = result.refits - len(result.ranks)
    if refused:
        title += f"; {refused:,} of {result.refits:,} refits failed"
    if len(shown) < total:
        title += f" (showing the {len(shown)} with the smallest p-values)"
    subtitle = (
        f"{len(result.ranks):,} refits of {result.model.formula.text}. For a correct engine all lines stay within "
        f"the grey bands, except in {100 * ALARM:.0f} % of such plots. A hump means that the "
        f"draws are too high; a dip, too low; a hump, then a dip, too narrow; a dip, then a hump, too wide."
    )
    columns = min(4 if len(shown) <= 16 else 5, len(shown))
    body = -(-len(shown) // columns) * GRID.pitch + GRID.foot
    figure = page.new_figure(title, subtitle, WIDTH, body, good=result.passed)

    uniform = np.arange(1, result.draws + 1) / (result.draws + 1)
    low, high = np.stack(result.band) / len(result.ranks) - uniform
    counts = np.stack([counts_below(result.ranks[:, one], result.draws) for one in shown])
    lines = counts / len(result.ranks) - uniform
    limit = 1.15 * max(np.abs([low, high]).max(), np.abs(lines).max())
    panels = GRID.panels(figure, len(shown), columns)
    for number, (axes, quantity) in enumerate(zip(panels, shown, strict=True)):
        good = bool(result.good[quantity])
        look = {"color": style.COLOURS[0] if good else style.WARNING, "linewidth": 1.3}
        page.draw_ecdf_difference(axes, (low, high), [(lines[number], look)], limit)
        style.number_ticks(axes.xaxis, 2)
        style.number_ticks(axes.yaxis, 4)
        axes.tick_params(labelleft=number % columns == 0, labelbottom=number + columns >= len(shown))
        note = ("" if good else "✗ ") + page.p_label(result.p_values[quantity])
        colours = (style.INK, style.SOFT if good else style.WARNING)
        room = GRID.panel_width(WIDTH, columns) + GRID.gap / 2
        page.panel_title(axes, result.quantities[quantity], note, room, colours)
    page.axis_labels(
        figure, 0.12, panels, "rank of the true value among the draws, as a fraction",
        "ECDF minus uniform",
    )  # fmt: skip
    return figure

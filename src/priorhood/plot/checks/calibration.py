"""Picture of a calibration: the distribution of the truths' ranks, in the band of uniform ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.uniformity import ALARM, counts_below, p_text
from priorhood.plot.figure import page, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.evaluation.sbc import Calibration

MAX_PANELS = 40
# Inches.
WIDTH, TOP, BELOW = 11.0, 0.85, 0.6
GRID = page.Grid(left=0.75, right=0.25, gap=0.3, foot=BELOW, pitch=1.9, high=1.4)


def calibration(found: Calibration) -> Figure:
    """Draw the distribution function of every quantity's ranks, less the uniform one, in its simultaneous band.

    Parameters
    ----------
    found : Calibration
        The result of `priorhood.calibrate`; of more than 40 quantities, those with the least p-values are drawn.

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
    The lines of a right engine all stay in the grey bands, but for one picture in a hundred. A line that rises
    first and falls below later has draws that are too narrow, the other way round too wide; a hump, draws that
    are too high, a dip, too low.

    References
    ----------
    Säilynoja, Bürkner & Vehtari (2022), Graphical test for discrete uniformity and its applications in
    goodness-of-fit evaluation and multiple sample comparison.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(4, 40, seed=1)
    >>> model = ph.Model("price ~ 1 + (1 | zip)", "sigma ~ HalfNormal(1)")
    >>> found = ph.calibrate(model, sales, refits=20, draws=19, threads=1, seed=1)
    >>> len(ph.plot.calibration(found).axes) == len(found.quantities)
    True
    """
    shown = sorted(np.argsort(found.p_values, kind="stable")[:MAX_PANELS].tolist())
    total, failed = len(found.quantities), int((~found.good).sum())
    finding = f"Calibrated: all {total} quantities' ranks are uniform"
    if failed:
        finding = f"Not calibrated: the ranks of {failed} of {total} quantities are not uniform"
    refused = found.refits - len(found.ranks)
    if refused:
        finding += f"; {refused:,} of {found.refits:,} refits {'was' if refused == 1 else 'were'} refused"
    if len(shown) < total:
        finding += f" (the {len(shown)} with the least p)"
    reading = (
        f"{len(found.ranks):,} refits of {found.model.formula.text}. Grey: where all lines of a right engine stay, "
        f"but for {ALARM:.0%} of such pictures. A hump: draws too high. A dip: too low. First a hump, then a dip: "
        f"too narrow; the other way: too wide."
    )
    columns = min(4 if len(shown) <= 16 else 5, len(shown))
    height = TOP + -(-len(shown) // columns) * GRID.pitch + BELOW
    figure = page.sheet(page.Heading(finding, reading, WIDTH, found.passed), height)

    uniform = np.arange(1, found.draws + 1) / (found.draws + 1)
    edges = np.stack(found.band) / len(found.ranks) - uniform
    lines = np.stack([counts_below(found.ranks[:, at], found.draws) for at in shown]) / len(found.ranks) - uniform
    most = 1.15 * max(np.abs(edges).max(), np.abs(lines).max())
    # At both ends all distribution functions are alike.
    x = np.concatenate([[0.0], uniform, [1.0]])
    low, high = np.pad(edges, ((0, 0), (1, 1)))
    for at, axes in enumerate(GRID.panels(figure, len(shown), columns)):
        good = bool(found.good[shown[at]])
        axes.fill_between(x, low, high, color=style.BAND, linewidth=0)
        axes.axhline(0, color=style.SOFT, linewidth=0.6)
        axes.plot(x, np.pad(lines[at], 1), color=style.COLOURS[0] if good else style.WARNING, linewidth=1.3)
        axes.set_xlim(0, 1)
        axes.set_ylim(-most, most)
        axes.set_xticks([0, 0.5, 1])
        style.numbers(axes.xaxis, 2)
        style.numbers(axes.yaxis, 4)
        axes.tick_params(labelleft=at % columns == 0, labelbottom=at + columns >= len(shown))
        p = p_text(found.p_values[shown[at]])
        told = f"{'' if good else '✗ '}p {'' if p.startswith('<') else '= '}{p}"
        colours = (style.INK, style.SOFT if good else style.WARNING)
        room = GRID.wide(WIDTH, columns) + GRID.gap / 2
        page.title(axes, found.quantities[shown[at]], told, room, colours)
    page.write(figure, WIDTH / 2, 0.12, "rank of the truth among the draws, as a share", ha="center")
    middle = (height - TOP + BELOW) / 2
    page.write(
        figure, 0.012 * WIDTH, middle, "share of ranks below, less the uniform share", rotation=90, va="center"
    )
    return figure

"""How the truths' ranks are distributed, and the band that uniform ones keep to."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.uniformity import ALARM, counts_below, p_text
from priorhood.plot.figure import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood.evaluation.sbc import Calibration

MOST_PANELS = 40
# Inches.
WIDTH, PANEL, LEFT, RIGHT, TOP, BELOW = 11.0, 1.9, 0.75, 0.25, 0.85, 0.6
GAP, ABOVE = 0.3, 0.5


def calibration(found: Calibration) -> Figure:
    """The distribution function of every quantity's ranks, less the uniform one, in its simultaneous band.

    A right engine's lines all stay in the grey bands, but for once in a hundred pictures. A line that rises
    first and falls below later has draws that are too narrow, the other way round too wide; a hump, draws that
    are too high, a dip, too low (Säilynoja, Bürkner & Vehtari 2022).

    Parameters
    ----------
    found : what calibrate() gives; of more than 40 quantities, those with the least p-values

    Returns
    -------
    matplotlib Figure, which notebooks show; `savefig("calibration.png")` writes it

    Raises
    ------
    ModelError : no matplotlib
    """
    from priorhood.plot.figure import style

    shown = sorted(np.argsort(found.p_values, kind="stable")[:MOST_PANELS].tolist())
    columns = min(4 if len(shown) <= 16 else 5, len(shown))
    rows = math.ceil(len(shown) / columns)
    height = TOP + rows * PANEL + BELOW
    figure = style.picture(WIDTH, height)
    wide = (WIDTH - LEFT - RIGHT - GAP * (columns - 1)) / columns
    low, high = found.band
    uniform = np.arange(1, found.draws + 1) / (found.draws + 1)
    edges = np.stack([low, high]) / len(found.ranks) - uniform
    lines = np.stack([counts_below(found.ranks[:, at], found.draws) for at in shown]) / len(found.ranks) - uniform
    most = 1.15 * max(np.abs(edges).max(), np.abs(lines).max())
    for at, line in enumerate(lines):
        row, column = divmod(at, columns)
        bottom = (height - TOP - (row + 1) * PANEL) / height
        left = (LEFT + column * (wide + GAP)) / WIDTH
        axes = figure.add_axes((left, bottom, wide / WIDTH, (PANEL - ABOVE) / height))
        _panel(axes, uniform, edges, line, good=bool(found.good[shown[at]]))
        axes.set_ylim(-most, most)
        axes.tick_params(labelleft=column == 0, labelbottom=at + columns >= len(shown))
        name = found.quantities[shown[at]]
        _titled(axes, name, found.p_values[shown[at]], int(wide * 12.5), good=bool(found.good[shown[at]]))
    _around(figure, found, len(shown), height)
    return figure


def _panel(axes: Axes, uniform: np.ndarray, edges: np.ndarray, line: np.ndarray, *, good: bool) -> None:
    from priorhood.plot.figure import style

    style.plain(axes)
    # Both ends are 0 for all ranks alike.
    x = np.concatenate([[0.0], uniform, [1.0]])
    low, high, y = (np.concatenate([[0.0], values, [0.0]]) for values in (*edges, line))
    axes.fill_between(x, low, high, color=style.BAND, linewidth=0)
    axes.axhline(0, color=style.SOFT, linewidth=0.6)
    axes.plot(x, y, color=style.COLOURS[0] if good else style.WARNING, linewidth=1.3)
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1])
    style.numbers(axes.xaxis, 2)
    style.numbers(axes.yaxis, 4)


def _titled(axes: Axes, name: str, p: float, room: int, *, good: bool) -> None:
    from priorhood.plot.figure import style

    text = axes.text(0, 1.18, style.shortened(name, room), transform=axes.transAxes)
    style.words(text, colour=style.INK, bold=True)
    p_words = f"p {p_text(p)}" if p_text(p).startswith("<") else f"p = {p_text(p)}"
    told = axes.text(0, 1.04, p_words if good else f"✗ {p_words}", transform=axes.transAxes)
    style.words(told, colour=style.SOFT if good else style.WARNING)


def _around(figure: Figure, found: Calibration, shown: int, height: float) -> None:
    """What the picture says, above; how to read it, and the axes' names."""
    from priorhood.plot.figure import style

    failed = int((~found.good).sum())
    total = len(found.quantities)
    words = (
        f"Calibrated: all {total} quantities' ranks are uniform"
        if not failed
        else f"Not calibrated: the ranks of {failed} of {total} quantities are not uniform"
    )
    refused = found.refits - len(found.ranks)
    words += (
        f"; {refused:,} of {found.refits:,} refits {'was' if refused == 1 else 'were'} refused" if refused else ""
    )
    words += f" (the {shown} with the least p)" if shown < total else ""
    reading = (
        f"{len(found.ranks):,} refits of {found.model.formula.text}. Grey: where all lines of a right engine stay, "
        f"but for {ALARM:.0%} of such pictures."
    )
    shapes = (
        "A hump: draws too high. A dip: too low. First a hump, then a dip: too narrow; the other way: too wide."
    )
    page.Heading(words, f"{reading} {shapes}", WIDTH, found.passed).put(figure)
    style.words(figure.text(0.5, 0.12 / height, "rank of the truth among the draws, as a share", ha="center"))
    middle = (height - TOP + BELOW) / 2 / height
    label = "share of ranks below, less the uniform share"
    style.words(figure.text(0.012, middle, label, rotation=90, va="center"))

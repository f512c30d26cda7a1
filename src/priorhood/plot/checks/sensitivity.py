"""How far parameters move under scaled priors: a line of points for every prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood.evaluation.shift import FAR, far
from priorhood.plot.figure import page

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.evaluation.sensitivity import Sensitivity

# Inches.
WIDTH, LINE, LEFT, RIGHT, BELOW = 9.5, 0.34, 2.9, 0.3, 0.6
LEAST = 0.6  # sds that the axis reaches at least
READING = "Dots: parameters of all places together; ticks: of single places. Grey: too little to matter."


def sensitivity(found: Sensitivity) -> Figure:
    """The shift of every parameter's mean under each scaled prior, in posterior sds; beyond the grey it is far.

    Parameters
    ----------
    found : what sensitivity() gives

    Returns
    -------
    matplotlib Figure, which notebooks show; `savefig("sensitivity.png")` writes it

    Raises
    ------
    ModelError : no matplotlib
    """
    from priorhood.plot.figure import style

    refits = found.refits
    words = f"{found.verdict[0].upper()}{found.verdict[1:]}"
    reading = f"{READING} {found.note[0].upper()}{found.note[1:]}." if found.note else READING
    heading = page.Heading(
        "The data decide: no prior moves anything far" if found.good else words, reading, WIDTH, found.good
    )
    height = heading.height + LINE * len(refits) + BELOW
    figure = style.picture(WIDTH, height)
    axes = figure.add_axes(
        (LEFT / WIDTH, BELOW / height, (WIDTH - LEFT - RIGHT) / WIDTH, LINE * len(refits) / height)
    )
    style.plain(axes)
    axes.axvspan(-FAR, FAR, color=style.BAND, linewidth=0)
    axes.axvline(0, color=style.SOFT, linewidth=0.6)
    most = LEAST
    for at, one in enumerate(refits):
        moving = ~np.isnan(one.shift)
        beyond = far(one.shift, one.ratio)
        for kind, marker, size in ((found.of_place & moving, "|", 6), (~found.of_place & moving, "o", 5)):
            for chosen, colour in ((kind & ~beyond, style.COLOURS[0]), (kind & beyond, style.WARNING)):
                axes.plot(one.shift[chosen], np.full(int(chosen.sum()), at), marker, color=colour, markersize=size)
        if moving.any():
            most = max(most, float(np.abs(one.shift[moving]).max()))
        else:
            style.words(axes.text(0, at, "refused", ha="center", va="center"), colour=style.WARNING)
    axes.set_xlim(-1.1 * most, 1.1 * most)
    axes.set_ylim(len(refits) - 0.5, -0.5)
    axes.set_yticks(range(len(refits)), [style.shortened(f"{one.parameter} ~ {one.prior}", 46) for one in refits])
    for label in axes.get_yticklabels():
        style.words(label, colour=style.INK)
    style.numbers(axes.xaxis, 7)
    style.words(axes.set_xlabel("shift of the mean, in posterior sds", labelpad=3))
    heading.put(figure)
    return figure

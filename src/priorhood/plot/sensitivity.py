"""How far parameters move under scaled priors: a line of points for every prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood.moved import FAR, far

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.sensitivity import Sensitivity

# Inches.
WIDTH, LINE, LEFT, RIGHT, TOP, BELOW = 9.5, 0.34, 2.9, 0.3, 0.85, 0.6
LEAST = 0.6  # sds that the axis reaches at least


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
    from priorhood.plot import style

    refits = found.refits
    height = TOP + LINE * len(refits) + BELOW
    figure = style.picture(WIDTH, height)
    axes = figure.add_axes(
        (LEFT / WIDTH, BELOW / height, (WIDTH - LEFT - RIGHT) / WIDTH, LINE * len(refits) / height)
    )
    style.plain(axes)
    axes.axvspan(-FAR, FAR, color="#E6E6E6", linewidth=0)
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
    colour = style.INK if found.good else style.WARNING
    matters = f"{found.verdict[0].upper()}{found.verdict[1:]}"
    words = "The data decide: no prior moves anything far" if found.good else matters
    title = figure.text(0.2 / WIDTH, 1 - 0.3 / height, style.shortened(words, 105, middle=False))
    style.words(title, size=style.NORMAL, colour=colour, bold=True)
    reading = "Dots: parameters of all places together; ticks: of single places. Grey: too little to matter."
    style.words(figure.text(0.2 / WIDTH, 1 - 0.52 / height, reading))
    return figure

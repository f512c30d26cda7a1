"""Picture of a sensitivity analysis: the shift of parameters under scaled priors, one line a prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood.evaluation.shift import FAR, far
from priorhood.plot.figure import page, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.evaluation.sensitivity import Sensitivity

# Inches.
WIDTH, LINE, LEFT, RIGHT, BELOW = 9.5, 0.34, 2.9, 0.3, 0.6
MIN_AXIS = 0.6  # sds that the axis covers at least


def sensitivity(found: Sensitivity) -> Figure:
    """Draw the shift of every parameter's mean under each scaled prior, in posterior sds.

    Parameters
    ----------
    found : Sensitivity
        The result of `priorhood.sensitivity`.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("sensitivity.png")` writes it. Shifts beyond the grey are far.

    Raises
    ------
    ModelError
        No matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> found = ph.sensitivity(post, (0.5,), ["tau"], chains=2, draws=100)
    >>> ph.plot.sensitivity(found).axes[0].get_xlabel()
    'shift of the mean, in posterior sds'
    """
    refits = found.refits
    reading = "Dots: parameters of all places together; ticks: of single places. Grey: too little to matter."
    if found.note:
        reading += f" {found.note[0].upper()}{found.note[1:]}."
    finding = f"{found.verdict[0].upper()}{found.verdict[1:]}"
    if found.good:
        finding = "The data decide: no prior moves anything far"
    heading = page.Heading(finding, reading, WIDTH, found.good)
    tall = LINE * len(refits)
    figure = page.sheet(heading, heading.height + tall + BELOW)
    axes = page.panel(figure, LEFT, BELOW, WIDTH - LEFT - RIGHT, tall)
    axes.axvspan(-FAR, FAR, color=style.BAND, linewidth=0)
    axes.axvline(0, color=style.SOFT, linewidth=0.6)
    most = MIN_AXIS
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
    labels = [style.shortened(f"{one.parameter} ~ {one.prior}", 46) for one in refits]
    style.names(axes.yaxis, range(len(refits)), labels)
    style.numbers(axes.xaxis, 7, "shift of the mean, in posterior sds", pad=3)
    return figure

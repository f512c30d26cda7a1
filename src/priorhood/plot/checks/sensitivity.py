"""Picture of a sensitivity analysis: shift of the parameters under scaled priors, one line per prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood.evaluation.shift import FAR, far
from priorhood.plot.figure import page, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.evaluation.sensitivity import Sensitivity

# Inches.
WIDTH, LINE, LEFT, RIGHT, BELOW = 9.5, 0.34, 2.9, 0.3, 0.6
MIN_AXIS = 0.6  # smallest shift, in sds, that the axis covers


@suggest_argument_names
def sensitivity(result: Sensitivity) -> Figure:
    """Draw the shift of every parameter's mean under each scaled prior, in posterior sds.

    Parameters
    ----------
    result : Sensitivity
        The result of `priorhood.sensitivity`.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("sensitivity.png")` writes it. Shifts outside the grey band are large.

    Raises
    ------
    ModelError
        No matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> result = ph.sensitivity(post, (0.5,), ["tau"], chains=2, draws=100)
    >>> ph.plot.sensitivity(result).axes[0].get_xlabel()
    'shift of the mean, in posterior sds'
    """
    refits = result.refits
    subtitle = (
        "Dots: parameters shared by all places; ticks: parameters of individual places. Grey: negligible shifts."
    )
    if result.note:
        subtitle += f" {result.note[0].upper()}{result.note[1:]}."
    title = f"{result.verdict[0].upper()}{result.verdict[1:]}"
    if result.good:
        title = "The data dominate: no parameter shifts substantially under any rescaled prior"
    tall = LINE * len(refits)
    figure = page.new_figure(title, subtitle, WIDTH, tall + BELOW, good=result.good)
    axes = page.add_panel(figure, LEFT, BELOW, WIDTH - LEFT - RIGHT, tall)
    axes.axvspan(-FAR, FAR, color=style.BAND, linewidth=0)
    axes.axvline(0, color=style.SOFT, linewidth=0.6)
    reach = MIN_AXIS
    for height, refit in enumerate(refits):
        moving = ~np.isnan(refit.shift)
        beyond = far(refit.shift, refit.ratio)
        for kind, marker, size in ((result.of_place & moving, "|", 6), (~result.of_place & moving, "o", 5)):
            for chosen, colour in ((kind & ~beyond, style.COLOURS[0]), (kind & beyond, style.WARNING)):
                axes.plot(
                    refit.shift[chosen], np.full(int(chosen.sum()), height), marker, color=colour, markersize=size
                )
        if moving.any():
            reach = max(reach, float(np.abs(refit.shift[moving]).max()))
        else:
            style.format_text(axes.text(0, height, "not fitted", ha="center", va="center"), colour=style.WARNING)
    axes.set_xlim(-1.1 * reach, 1.1 * reach)
    axes.set_ylim(len(refits) - 0.5, -0.5)
    labels = [style.shorten(f"{one.parameter} ~ {one.prior}", 46) for one in refits]
    style.name_ticks(axes.yaxis, range(len(refits)), labels)
    style.number_ticks(axes.xaxis, 7, "shift of the mean, in posterior sds", pad=3)
    return figure

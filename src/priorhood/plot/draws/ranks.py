"""The ranks of every chain's draws among those of all chains: chains that agree keep to the band."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.summary import measures
from priorhood.errors import ModelError
from priorhood.plot.figure import page
from priorhood.plot.figure.select_parameters import Row, chosen, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, PANEL, LEFT, RIGHT, TOP, BELOW, GAP, ABOVE, FOOT = 11.0, 2.2, 0.75, 0.25, 0.65, 0.5, 0.35, 0.55, 0.3
POINTS = 100  # places where the distribution functions are held against the uniform one
ALARM = 0.05  # of independent draws, so many pictures have a line outside its band anywhere
SIMULATED, MOST_SIMULATED, SEED = 4000, 250, 1


def ranks(post: Posterior, var_names: str | Sequence[str] | None = None, **places: object) -> Figure:
    """The distribution function of every chain's ranks among all draws, less the uniform one, in its band.

    Chains that agree, of independent draws, keep to the grey band all together in 19 of 20 pictures (Säilynoja,
    Bürkner & Vehtari 2022). A chain whose line lies above has lower draws than the others, one below, higher; a
    wave is a chain with another spread. The band is that of as many independent draws as every chain by itself is
    worth, by its bulk ESS.

    Parameters
    ----------
    post : a posterior of two chains or more
    var_names, places : which parameters, as of trace()

    Returns
    -------
    matplotlib Figure, which notebooks show; `savefig("ranks.png")` writes it

    Raises
    ------
    ModelError : one chain; unknown parameters or places, more than 20 rows, no matplotlib
    """
    from priorhood.plot.figure import style

    rows = rows_of(post, chosen(post, var_names, places, "ranks"))
    chains = len(rows[0].values)
    if chains == 1:
        raise ModelError("the posterior has one chain, and ranks compare chains: fit with at least 2 (chains=4)")
    columns = min(4, len(rows))
    lines = -(-len(rows) // columns)
    height = TOP + lines * PANEL + FOOT
    figure = style.picture(WIDTH, height)
    wide = (WIDTH - LEFT - RIGHT - GAP * (columns - 1)) / columns
    curves = [rank_curves(row.values) for row in rows]
    bands = [band(chains, worth(row.values), ALARM / len(rows)) for row in rows]
    most = 1.15 * max(*(float(np.abs(curve).max()) for curve in curves), *(float(edge.max()) for edge in bands))
    outside = 0
    for at, (row, curve, edge) in enumerate(zip(rows, curves, bands, strict=True)):
        line, column = divmod(at, columns)
        bottom = (height - TOP - (line + 1) * PANEL + BELOW) / height
        left = (LEFT + column * (wide + GAP)) / WIDTH
        axes = figure.add_axes((left, bottom, wide / WIDTH, (PANEL - ABOVE - BELOW) / height))
        good = bool((np.abs(curve) <= edge).all())
        outside += not good
        _panel(axes, curve, edge, row, int(wide * 12.5), good=good)
        axes.set_ylim(-most, most)
        axes.tick_params(labelleft=column == 0, labelbottom=at + columns >= len(rows))
    _around(figure, post, len(rows), outside, height)
    return figure


def rank_curves(values: Array, points: int = POINTS) -> Array:
    """F_c(z) − z at z = 1/points, 2/points, …: F_c is the distribution function of its pooled ranks.

    values : (chain, draw) → (chain, points − 1); 0 where all draws are alike
    """
    from scipy.stats import rankdata

    if not np.ptp(values) > 0:
        return np.zeros((len(values), points - 1))
    place = np.sort((rankdata(values.ravel()) - 0.5).reshape(values.shape) / values.size, axis=1)
    z = np.arange(1, points) / points
    return np.stack([np.searchsorted(own, z) / len(own) for own in place]) - z


def worth(values: Array) -> float:
    """Independent draws that all chains are worth, each by itself: the bulk ESS of every chain, added up.

    That of all chains together falls where they disagree, and would widen the band just there.
    """
    draws = values.shape[1]
    own = [measures(chain[None, :, None])[1][0] for chain in values]
    return float(np.clip(np.nan_to_num(own, nan=2.0), 2.0, draws).sum())


def band(chains: int, worth: float, alarm: float, points: int = POINTS) -> Array:
    """How far from 0 the curves of agreeing chains go: (points − 1,), left by any of them with probability alarm.

    F_c(z) has the variance z(1 − z)(1 − 1/C)/n of a sample without replacement, C chains of n independent draws
    each; the multiple of its root that all keep to at all z is that of simulated chains.

    Parameters
    ----------
    worth : independent draws that all chains are worth together; alarm : probability
    """
    n = max(worth / chains, 2.0)
    z = np.arange(1, points) / points
    return _multiple(chains, int(min(max(n, 20), MOST_SIMULATED)), alarm, points) * _sd(z, chains, n)


def _sd(z: Array, chains: int, n: float) -> Array:
    return np.asarray(np.sqrt(z * (1 - z) * (1 - 1 / chains) / n))


@lru_cache(maxsize=64)
def _multiple(chains: int, n: int, alarm: float, points: int) -> float:
    """The 1 − alarm quantile of max |F_c(z) − z| / sd over chains and z, of simulated ranks."""
    rng = np.random.default_rng(SEED)
    z = np.arange(1, points) / points
    chain = np.repeat(np.arange(chains), n)
    ends = np.floor(z * len(chain)).astype(int)  # so many of the pooled draws lie under z
    most = np.empty(SIMULATED)
    for at in range(SIMULATED):
        order = rng.permutation(chain)
        under = np.cumsum(order == np.arange(chains)[:, None], axis=1)[:, ends - 1]
        most[at] = (np.abs(under / n - z) / _sd(z, chains, n)).max()
    return float(np.quantile(most, 1 - alarm))


# -- the picture ------------------------------------------------------------------------------------------


def _panel(axes: Axes, curve: Array, edge: Array, row: Row, room: int, *, good: bool) -> None:
    from priorhood.plot.figure import style

    style.plain(axes)
    x = np.arange(POINTS + 1) / POINTS
    y = np.pad(edge, 1)
    axes.fill_between(x, -y, y, color=style.BAND, linewidth=0)
    axes.axhline(0, color=style.SOFT, linewidth=0.6)
    for at, line in enumerate(curve):
        axes.plot(x, np.pad(line, 1), linewidth=1.1, **style.chain_look(at))
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1])
    style.numbers(axes.xaxis, 2)
    style.numbers(axes.yaxis, 4)
    title = axes.text(0, 1.17, style.shortened(row.label, room), transform=axes.transAxes)
    style.words(title, colour=style.INK, bold=True)
    words = "a constant" if not row.worth else f"bulk ESS {row.worth:,.0f}"
    if not good:
        words = f"✗ a chain is elsewhere; {words}"
    told = axes.text(0, 1.04, words, transform=axes.transAxes)
    style.words(told, colour=style.SOFT if good else style.WARNING)


def _around(figure: Figure, post: Posterior, shown: int, outside: int, height: float) -> None:
    """What the picture says, above; how to read it, the chains, and the axes' names."""
    from priorhood.plot.figure import style

    many = "the parameter's" if shown == 1 else f"all {shown} parameters'"
    words = f"The chains agree: {many} ranks keep to their bands"
    if outside:
        of = f"{outside} of {shown} parameters" if shown > 1 else "the parameter"
        words = f"The chains disagree: the ranks of {of} leave the band"
    reading = (
        f"Grey: where chains that agree stay, but for {ALARM:.0%} of such pictures. A line above: that chain's "
        f"draws are lower than the others'; below: higher."
    )
    page.Heading(words, reading, WIDTH, not outside).put(figure)
    page.key(figure, page.chain_marks(post[post.parameters[0]]["chain"].values.tolist()))
    style.words(
        figure.text(0.5, (FOOT + 0.12) / height, "rank among the draws of all chains, as a share", ha="center")
    )
    middle = (height - TOP + BELOW + FOOT) / 2 / height
    label = "share below, less the uniform"
    style.words(figure.text(0.012, middle, label, rotation=90, va="center"))

"""Rank plots: the ranks of every chain's draws among those of all chains, in a band for chains that agree."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.summary import measures
from priorhood.errors import ModelError
from priorhood.plot.figure import page, style
from priorhood.plot.figure.select_parameters import select_parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, TOP, FOOT = 11.0, 0.65, 0.3
GRID = page.Grid(left=0.75, right=0.25, gap=0.35, foot=FOOT + 0.5, pitch=2.2, high=1.15)
POINTS = 100  # at which the distribution functions are compared with the uniform one
ALARM = 0.05  # the share of pictures of independent draws that have any line outside its band
SIMULATED, MAX_SIMULATED, SEED = 4000, 250, 1


def ranks(post: Posterior, var_names: str | Sequence[str] | None = None, **places: object) -> Figure:
    """Draw the distribution function of every chain's ranks among all draws, less the uniform one, in its band.

    Parameters
    ----------
    post : Posterior
        With two chains or more.
    var_names, **places
        Which parameters, as for `trace`.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("ranks.png")` writes it.

    Raises
    ------
    ModelError
        One chain; unknown parameters or places, more than 20 rows, no matplotlib.

    Notes
    -----
    Chains that agree, of independent draws, keep to the grey band all together in 19 of 20 pictures. A chain
    whose line lies above has lower draws than the others, one below, higher; a wave is a chain with another
    spread. The band is that of as many independent draws as every chain by itself is worth, by its bulk ESS.

    References
    ----------
    Säilynoja, Bürkner & Vehtari (2022), Graphical test for discrete uniformity and its applications in
    goodness-of-fit evaluation and multiple sample comparison.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> len(ph.plot.ranks(post, "tau").axes)
    2
    """
    rows = select_parameters(post, var_names, places, "ranks")
    chains = len(rows[0].values)
    if chains == 1:
        raise ModelError("the posterior has one chain, and ranks compare chains: fit with at least 2 (chains=4)")
    curves = [rank_curves(row.values) for row in rows]
    bands = [band(chains, worth(row.values), ALARM / len(rows)) for row in rows]
    good = [bool((np.abs(curve) <= edge).all()) for curve, edge in zip(curves, bands, strict=True)]
    outside = len(rows) - sum(good)

    many = "the parameter's" if len(rows) == 1 else f"all {len(rows)} parameters'"
    finding = f"The chains agree: {many} ranks keep to their bands"
    if outside:
        of = f"{outside} of {len(rows)} parameters" if len(rows) > 1 else "the parameter"
        finding = f"The chains disagree: the ranks of {of} leave the band"
    reading = (
        f"Grey: where chains that agree stay, but for {ALARM:.0%} of such pictures. A line above: that chain's "
        f"draws are lower than the others'; below: higher."
    )
    columns = min(4, len(rows))
    height = TOP + -(-len(rows) // columns) * GRID.pitch + FOOT
    figure = page.sheet(page.Heading(finding, reading, WIDTH, not outside), height)
    wide = GRID.wide(WIDTH, columns) + GRID.gap / 2
    most = 1.15 * max(*(float(np.abs(curve).max()) for curve in curves), *(float(edge.max()) for edge in bands))
    x = np.arange(POINTS + 1) / POINTS
    for at, axes in enumerate(GRID.panels(figure, len(rows), columns)):
        y = np.pad(bands[at], 1)
        axes.fill_between(x, -y, y, color=style.BAND, linewidth=0)
        axes.axhline(0, color=style.SOFT, linewidth=0.6)
        for chain, line in enumerate(curves[at]):
            axes.plot(x, np.pad(line, 1), linewidth=1.1, **style.chain_look(chain))
        axes.set_xlim(0, 1)
        axes.set_ylim(-most, most)
        axes.set_xticks([0, 0.5, 1])
        style.numbers(axes.xaxis, 2)
        style.numbers(axes.yaxis, 4)
        axes.tick_params(labelleft=at % columns == 0, labelbottom=at + columns >= len(rows))
        told = "a constant" if not rows[at].worth else f"bulk ESS {rows[at].worth:,.0f}"
        if not good[at]:
            told = f"✗ a chain is elsewhere; {told}"
        page.title(axes, rows[at].label, told, wide, (style.INK, style.SOFT if good[at] else style.WARNING))
    page.key(figure, page.chain_marks(post[post.parameters[0]]["chain"].values.tolist()))
    page.write(figure, WIDTH / 2, FOOT + 0.12, "rank among the draws of all chains, as a share", ha="center")
    middle = (height - TOP + GRID.foot) / 2
    page.write(figure, 0.012 * WIDTH, middle, "share below, less the uniform", rotation=90, va="center")
    return figure


def rank_curves(values: Array, points: int = POINTS) -> Array:
    """F_c(z) − z at z = 1/points, 2/points, …, of the distribution function F_c of every chain's pooled ranks.

    values : (chain, draw) → (chain, points − 1); 0 where all draws are alike
    """
    from scipy.stats import rankdata

    if not np.ptp(values) > 0:
        return np.zeros((len(values), points - 1))
    place = np.sort((rankdata(values.ravel()) - 0.5).reshape(values.shape) / values.size, axis=1)
    z = np.arange(1, points) / points
    return np.stack([np.searchsorted(own, z) / len(own) for own in place]) - z


def worth(values: Array) -> float:
    """Independent draws that all chains are worth: the sum of the bulk ESS of every chain by itself.

    That of all chains together falls where they disagree, and would widen the band just there.
    """
    draws = values.shape[1]
    own = [measures(chain[None, :, None])[1][0] for chain in values]
    return float(np.clip(np.nan_to_num(own, nan=2.0), 2.0, draws).sum())


def band(chains: int, worth: float, alarm: float, points: int = POINTS) -> Array:
    """Distance from 0 (points − 1,) that any curve of agreeing chains passes with probability `alarm`.

    F_c(z) has the variance z(1 − z)(1 − 1/C)/n of a sample without replacement, C chains of n independent draws
    each; the multiple of its root that all keep to at all z is that of simulated chains.

    worth : independent draws that all chains are worth together
    """
    n = max(worth / chains, 2.0)
    z = np.arange(1, points) / points
    return _multiple(chains, int(min(max(n, 20), MAX_SIMULATED)), alarm, points) * _sd(z, chains, n)


def _sd(z: Array, chains: int, n: float) -> Array:
    """Sd of F_c(z)."""
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

"""Rank plots: ranks of each chain's draws among those of all chains, with a band for chains that agree."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import argument
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
WIDTH, FOOT = 11.0, 0.3
GRID = page.Grid(left=0.75, right=0.25, gap=0.35, foot=FOOT + 0.5, pitch=2.2, height=1.15)
POINTS = 100  # where the distribution functions are compared with the uniform one
ALARM = 0.05  # share of pictures of independent draws in which any line leaves its band
SIMULATED, MAX_SIMULATED, SEED = 4000, 250, 1


@suggest_argument_names
def ranks(post: Posterior, var_names: str | Sequence[str] | None = None, **places: object) -> Figure:
    """Draw the distribution function of each chain's ranks among all draws, minus the uniform one, with a band.

    Parameters
    ----------
    post : Posterior
        With at least two chains.
    var_names, **places
        Selection of parameters, as for `trace`.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("ranks.png")` writes it.

    Raises
    ------
    ModelError
        A single chain; unknown parameters or places; more than 20 parameters; no matplotlib.

    Notes
    -----
    For chains of independent draws that agree, all lines stay within the grey band in 19 of 20 pictures. A line
    above the band belongs to a chain with lower draws than the others, a line below to one with higher draws, a
    wave to one with a different spread. The band is for the effective number of independent draws, the bulk ESS of
    each chain.

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
        raise ModelError(
            f"ranks compare chains, but the posterior has only one chain: fit with at least 2 "
            f"({argument('chains', 4)})"
        )
    curves = [rank_curves(row.values) for row in rows]
    bands = [band(chains, effective_draws(row.values), ALARM / len(rows)) for row in rows]
    good = [bool((np.abs(curve) <= edge).all()) for curve, edge in zip(curves, bands, strict=True)]
    outside = len(rows) - sum(good)

    many = "the parameter" if len(rows) == 1 else f"all {len(rows)} parameters"
    title = f"The chains agree: the ranks of {many} stay within their bands"
    if outside:
        failing = f"{outside} of {len(rows)} parameters" if len(rows) > 1 else "the parameter"
        title = f"The chains disagree: the ranks of {failing} leave the band"
    subtitle = (
        f"Chains that agree stay within the grey band, except in {100 * ALARM:.0f} % of such plots. A line "
        f"above the band means that this chain's draws are lower than the others'; below it, higher."
    )
    columns = min(4, len(rows))
    body = -(-len(rows) // columns) * GRID.pitch + FOOT
    figure = page.new_figure(title, subtitle, WIDTH, body, good=not outside)
    width = GRID.panel_width(WIDTH, columns) + GRID.gap / 2
    limit = 1.15 * max(*(float(np.abs(curve).max()) for curve in curves), *(float(edge.max()) for edge in bands))
    panels = GRID.panels(figure, len(rows), columns)
    for number, (axes, row) in enumerate(zip(panels, rows, strict=True)):
        lines = [(line, {"linewidth": 1.1, **style.chain_look(chain)}) for chain, line in enumerate(curves[number])]
        page.draw_ecdf_difference(axes, (-bands[number], bands[number]), lines, limit)
        style.number_ticks(axes.xaxis, 2)
        style.number_ticks(axes.yaxis, 4)
        axes.tick_params(labelleft=number % columns == 0, labelbottom=number + columns >= len(rows))
        note = "a constant" if row.constant else f"bulk ESS {row.ess:,.0f}"
        if not good[number]:
            note = f"✗ one chain differs from the others; {note}"
        page.panel_title(axes, row.label, note, width, (style.INK, style.SOFT if good[number] else style.WARNING))
    page.add_key(figure, page.chain_marks(post[post.parameters[0]]["chain"].values.tolist()))
    page.axis_labels(
        figure,
        FOOT + 0.12,
        panels,
        "rank among the draws of all chains, as a fraction",
        "ECDF minus uniform",
    )
    return figure


def rank_curves(values: Array, points: int = POINTS) -> Array:
    """Return F_c(z) − z at z = 1/points, 2/points, …; F_c is the distribution function of a chain's pooled ranks.

    From values (chain, draw) to (chain, points − 1); 0 if all draws are equal.
    """
    from scipy.stats import rankdata

    if not np.ptp(values) > 0:
        return np.zeros((len(values), points - 1))
    ranks = np.sort((rankdata(values.ravel()) - 0.5).reshape(values.shape) / values.size, axis=1)
    z = np.arange(1, points) / points
    return np.stack([np.searchsorted(chain, z) / len(chain) for chain in ranks]) - z


def effective_draws(values: Array) -> float:
    """Return the effective number of draws of all chains: the sum of the bulk ESS of each chain by itself.

    The ESS of all chains together is low if they disagree, which would widen the band exactly when it matters.
    """
    sizes = [measures(chain[None, :, None])[1][0] for chain in values]
    return float(np.clip(np.nan_to_num(sizes, nan=2.0), 2.0, values.shape[1]).sum())


def band(chains: int, size: float, alarm: float, points: int = POINTS) -> Array:
    """Return the distance from 0 (points − 1,) that any curve of agreeing chains exceeds with probability `alarm`.

    With C chains of n independent draws each, F_c(z) has the variance z(1 − z)(1 − 1/C)/n of a sample without
    replacement; the multiple of its root within which all curves stay at all z comes from simulated chains.

    Parameters
    ----------
    chains : int
    size : float
        Effective number of draws of all chains together.
    alarm : float
    points : int
    """
    n = max(size / chains, 2.0)
    z = np.arange(1, points) / points
    return _multiple(chains, int(min(max(n, 20), MAX_SIMULATED)), alarm, points) * _sd(z, chains, n)


def _sd(z: Array, chains: int, n: float) -> Array:
    """Return the sd of F_c(z)."""
    return np.asarray(np.sqrt(z * (1 - z) * (1 - 1 / chains) / n))


@lru_cache(maxsize=64)
def _multiple(chains: int, n: int, alarm: float, points: int) -> float:
    """Return the 1 − alarm quantile of max |F_c(z) − z| / sd over chains and z, for simulated ranks."""
    rng = np.random.default_rng(SEED)
    z = np.arange(1, points) / points
    chain = np.repeat(np.arange(chains), n)
    ends = np.floor(z * len(chain)).astype(int)  # number of pooled draws below z
    largest = np.empty(SIMULATED)
    for simulation in range(SIMULATED):
        order = rng.permutation(chain)
        below = np.cumsum(order == np.arange(chains)[:, None], axis=1)[:, ends - 1]
        largest[simulation] = (np.abs(below / n - z) / _sd(z, chains, n)).max()
    return float(np.quantile(largest, 1 - alarm))

"""The measures of all parameters' draws as histograms, with their limits, and what the sampler did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from priorhood.diagnostics.convergence import ESS_PER_CHAIN, R_HAT_LIMIT, mcse_limit
from priorhood.diagnostics.sampler import ACCEPT_LIMIT
from priorhood.errors import ModelError
from priorhood.model.priors import split_label
from priorhood.plot.figure import page

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Flags
    from priorhood.diagnostics.check import Check
    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, PANEL, LEFT, RIGHT, TOP, BELOW, GAP, ABOVE = 11.0, 2.5, 0.72, 0.2, 0.65, 0.5, 0.5, 0.55
BINS = 40
KINDS = ("of all places together", "of single places")


@dataclass(frozen=True)
class _Measure:
    """One histogram: its axis, the limit, whether the least or the most is worst, how it is written."""

    name: str
    axis: str
    limit: float
    least: bool
    form: str


def diagnostics(post: Posterior) -> Figure:
    """Histograms over all parameters of R-hat, bulk and tail ESS, and MCSE against the sd; below, the sampler.

    Parameters of single places are the bars, the others, which are few, ticks. The limits of check() are the
    dashed lines. Of the exact engine the second row shows how many proposals every chain accepted; of NUTS the
    acceptance, the depth of its trees and the energies, whose changes should be as wide as the energies are
    (Betancourt 2016).

    Parameters
    ----------
    post : a posterior with at least 100 draws per chain

    Returns
    -------
    matplotlib Figure, which notebooks show; `savefig("diagnostics.png")` writes it

    Raises
    ------
    ModelError : too few draws to judge; nothing that varies; no matplotlib
    """
    from priorhood.plot.figure import style

    check = post.check()
    measures = check.measures
    if measures.empty:
        draws = check["draws"]
        reason = "every parameter of the model is fixed" if draws.good else draws.text
        raise ModelError(f"there is nothing to draw a histogram of: {reason}")
    of_place = _of_places(post, measures.index)
    height = TOP + 2 * PANEL
    figure = style.picture(WIDTH, height)
    for at, measure in enumerate(_measures(int(post._sizes["chain"]))):
        _histogram(_axes(figure, 0, at, 4, height), measures[measure.name], of_place, measure, first=at == 0)
    _sampler(figure, post, height)
    _headline(figure, check, measures, of_place)
    return figure


def _measures(chains: int) -> tuple[_Measure, ...]:
    enough = float(ESS_PER_CHAIN * chains)
    return (
        _Measure("r_hat", "R-hat", R_HAT_LIMIT, least=False, form=".4f"),
        _Measure("ess_bulk", "bulk ESS (draws)", enough, least=True, form=",.0f"),
        _Measure("ess_tail", "tail ESS (draws)", enough, least=True, form=",.0f"),
        _Measure("mcse_over_sd", "MCSE of the mean / sd", mcse_limit(chains), least=False, form=".1%"),
    )


def _of_places(post: Posterior, labels: pd.Index) -> Flags:
    """Which parameters belong to a single place: beta, delta, a sigma of its own."""
    places = set(post.model.formula.places)
    names = {name for name in post.parameters if places & set(map(str, post[name].dims))}
    return np.array([split_label(str(label))[0] in names for label in labels])


def _axes(figure: Figure, row: int, column: int, columns: int, height: float) -> Axes:
    wide = (WIDTH - LEFT - RIGHT - GAP * (columns - 1)) / columns
    bottom = (height - TOP - (row + 1) * PANEL + BELOW) / height
    left = (LEFT + column * (wide + GAP)) / WIDTH
    return figure.add_axes((left, bottom, wide / WIDTH, (PANEL - ABOVE - BELOW) / height))


def _histogram(axes: Axes, found: pd.Series, of_place: Flags, measure: _Measure, *, first: bool) -> None:
    from priorhood.plot.figure import style

    style.plain(axes)
    values = found.to_numpy()
    finite = values[np.isfinite(values)]
    if not finite.size:
        _said(axes, measure.axis, "one chain: none to compare it with", good=False)
        axes.set_axis_off()
        return
    low, high = min(finite.min(), measure.limit), max(finite.max(), measure.limit)
    edges = np.linspace(low, high if high > low else low + 1e-9, BINS + 1).tolist()
    bars = of_place if of_place.any() else np.ones(len(values), dtype=bool)
    axes.hist(np.clip(values[bars & ~np.isnan(values)], low, high), edges, color=style.COLOURS[4])
    axes.set_ylim(bottom=0)
    axes.axvline(measure.limit, color=style.WARNING, linewidth=1.0, linestyle="--")
    if of_place.any():
        few = np.clip(values[~of_place & ~np.isnan(values)], low, high)
        axes.plot(
            few, np.full(len(few), 0.045), "|", transform=axes.get_xaxis_transform(), color=style.INK,
            markersize=10, markeredgewidth=1.4, clip_on=False, zorder=3,
        )  # fmt: skip
    style.numbers(axes.xaxis, 4)
    style.numbers(axes.yaxis, 4)
    style.words(axes.set_xlabel(measure.axis, labelpad=2))
    if first:
        style.words(axes.set_ylabel("parameters", labelpad=4))
    worst = (found.fillna(-np.inf) if measure.least else found.fillna(np.inf)).to_numpy()
    at = int(np.argmin(worst) if measure.least else np.argmax(worst))
    beyond = int((worst < measure.limit).sum() if measure.least else (worst > measure.limit).sum())
    side = "under" if measure.least else "over"
    limit = f"{measure.limit:{'.0%' if measure.form.endswith('%') else ',g'}}"
    told = f"{beyond:,} {side} {limit}" if beyond else f"none {side} {limit}"
    _said(axes, f"{told}; {'least' if measure.least else 'most'} {worst[at]:{measure.form}}", str(found.index[at]),
          good=not beyond)  # fmt: skip


def _said(axes: Axes, text: str, below: str, *, good: bool) -> None:
    """The finding above a panel, and the name of the worst."""
    from priorhood.plot.figure import style

    colour = style.INK if good else style.WARNING
    style.words(axes.text(0, 1.16, text, transform=axes.transAxes), colour=colour, bold=True)
    style.words(axes.text(0, 1.04, style.shortened(below, 40), transform=axes.transAxes), colour=style.SOFT)


# -- the sampler ------------------------------------------------------------------------------------------


def _sampler(figure: Figure, post: Posterior, height: float) -> None:
    stats = post.tree["sample_stats"].to_dataset()
    known = {str(name): stats[name].transpose("chain", "draw").values for name in stats.data_vars}
    if post.attrs["engine"] == "exact":
        if "acceptance_rate" in known:
            _accepted(_axes(figure, 1, 0, 2, height), known["acceptance_rate"], post)
        if "lp" in known:
            _heights(_axes(figure, 1, 1, 2, height), known["lp"])
        return
    if "acceptance_rate" in known:
        _shares(_axes(figure, 1, 0, 3, height), known["acceptance_rate"], post)
    if "tree_depth" in known:
        _depths(_axes(figure, 1, 1, 3, height), known["tree_depth"].astype(int), post)
    if "energy" in known:
        _energies(_axes(figure, 1, 2, 3, height), known["energy"])


def _accepted(axes: Axes, rates: Array, post: Posterior) -> None:
    """The share of proposals that each chain of the exact engine accepted."""
    from priorhood.plot.figure import style

    style.plain(axes)
    shares = rates.mean(axis=1)
    axes.barh(np.arange(len(shares)), shares, height=0.6, color=style.COLOURS[4])
    axes.axvline(ACCEPT_LIMIT, color=style.WARNING, linewidth=1.0, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shares) - 0.4, -0.6)
    names = post[post.parameters[0]]["chain"].values
    shown = np.arange(0, len(shares), max(1, -(-len(shares) // 8)))
    axes.set_yticks(shown, [f"chain {names[at]}" for at in shown])
    style.numbers(axes.xaxis, 5)
    style.words(axes.set_xlabel("share of the proposals accepted", labelpad=2))
    k = post.attrs.get("pareto_k")
    tail = "" if k is None else f"; Pareto k of the proposals' weights {style.number(round(float(k), 2))}"
    _said(axes, f"{shares.min():.0%} to {shares.max():.0%} of the proposals accepted{tail}",
          "limit 5 % (dashed); Pareto k at most 0.7", good=bool(shares.min() >= ACCEPT_LIMIT))  # fmt: skip


def _heights(axes: Axes, lp: Array) -> None:
    """Log p(y, θ) of every chain: where one is elsewhere, its curve is."""
    from priorhood.plot.figure import style

    style.plain(axes)
    edges = np.histogram_bin_edges(lp, BINS).tolist()
    for at, values in enumerate(lp):
        axes.hist(values, edges, histtype="step", linewidth=1.1, **style.chain_look(at))
    style.numbers(axes.xaxis, 5)
    style.numbers(axes.yaxis, 4)
    style.words(axes.set_xlabel("log p(y, θ), up to the scale of θ", labelpad=2))
    style.words(axes.set_ylabel("draws", labelpad=4))
    _said(axes, "Log density of the draws, chain by chain", "chains that agree lie on each other", good=True)


def _shares(axes: Axes, rates: Array, post: Posterior) -> None:
    """Acceptance along the trees of NUTS."""
    from priorhood.plot.figure import style

    style.plain(axes)
    axes.hist(rates.ravel(), np.linspace(0, 1, BINS + 1).tolist(), color=style.COLOURS[4])
    target = float(post.attrs.get("target_accept", 0.8))
    axes.axvline(target, color=style.SOFT, linewidth=1.0, linestyle="--")
    style.numbers(axes.xaxis, 5)
    style.numbers(axes.yaxis, 4)
    style.words(axes.set_xlabel("acceptance along the tree", labelpad=2))
    style.words(axes.set_ylabel("draws", labelpad=4))
    diverged = _diverged(post)
    _said(axes, f"{diverged or 'none'} of {rates.size:,} transitions diverged",
          f"mean acceptance {rates.mean():.2f}, aimed at {target:g} (dashed)", good=not diverged)  # fmt: skip


def _diverged(post: Posterior) -> int:
    """How many transitions diverged, as far as is told."""
    stats = post.tree["sample_stats"].to_dataset()
    return int(stats["diverging"].values.sum()) if "diverging" in stats else 0


def _depths(axes: Axes, depth: npt.NDArray[np.int_], post: Posterior) -> None:
    """How often NUTS doubled its trees."""
    from priorhood.plot.figure import style

    style.plain(axes)
    limit = int(post.attrs.get("max_treedepth", 10))
    counts = np.bincount(depth.ravel(), minlength=limit + 1)
    axes.bar(np.arange(len(counts)), counts, width=0.8, color=style.COLOURS[4])
    axes.axvline(limit - 0.5, color=style.WARNING, linewidth=1.0, linestyle="--")
    style.numbers(axes.xaxis, 6)
    style.numbers(axes.yaxis, 4)
    style.words(axes.set_xlabel("tree depth (2 to this power: steps)", labelpad=2))
    stopped = int(counts[limit:].sum())
    _said(axes, f"{stopped or 'none'} of {depth.size:,} trees stopped at depth {limit}", "the limit is dashed",
          good=stopped <= 0.01 * depth.size)  # fmt: skip


def _energies(axes: Axes, energy: Array) -> None:
    """Energies, and their changes from draw to draw, both around 0 (Betancourt 2016)."""
    from priorhood.plot.figure import style

    style.plain(axes)
    off, steps = (energy - energy.mean(axis=1, keepdims=True)).ravel(), np.diff(energy, axis=1).ravel()
    edges = np.histogram_bin_edges(np.concatenate([off, steps]), BINS).tolist()
    axes.hist(off, edges, density=True, color=style.COLOURS[4], label="energies")
    axes.hist(steps, edges, density=True, histtype="step", color=style.INK, linewidth=1.1, label="changes")
    axes.set_yticks([])
    style.numbers(axes.xaxis, 5)
    style.words(axes.set_xlabel("energy, less its mean", labelpad=2))
    axes.legend(fontsize=style.SMALL, frameon=False, loc="upper right", handlelength=1.2)
    # E-BFMI of every chain: how much of the energies' spread one change covers.
    fraction = (np.diff(energy, axis=1) ** 2).sum(axis=1) / (
        (energy - energy.mean(axis=1, keepdims=True)) ** 2
    ).sum(axis=1)
    _said(axes, f"E-BFMI {fraction.min():.2f} in the worst chain", "under 0.3 it explores slowly",
          good=bool(fraction.min() >= 0.3))  # fmt: skip


def _headline(figure: Figure, check: Check, measures: pd.DataFrame, of_place: Flags) -> None:

    bad = [verdict.about for verdict in check.bad]
    words = f"The draws of all {len(measures):,} parameters can be relied on: every verdict is good"
    if bad:
        words = f"Something is wrong with the draws: {', '.join(bad)}"
    few = int((~of_place).sum())
    reading = "Dashed: the limits of priorhood check."
    if of_place.any():
        reading = (
            f"Bars: {int(of_place.sum()):,} parameters {KINDS[1]}; ticks: {few:,} {KINDS[0]} (mu, tau, sigma, …). "
            f"{reading}"
        )
    page.Heading(words, reading, WIDTH, not bad).put(figure)

"""Histograms of the convergence measures of all parameters, with their limits, and of the sampler's statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.diagnostics.convergence import ESS_PER_CHAIN, R_HAT_LIMIT, mcse_limit
from priorhood.diagnostics.sampler import ACCEPT_LIMIT
from priorhood.errors import ModelError
from priorhood.model.priors import split_label
from priorhood.plot.figure import page, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Flags
    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, HEIGHT, PANEL = 11.0, 5.65, 2.5
GRID = page.Grid(left=0.72, right=0.2, gap=0.5, foot=0.5 + PANEL, pitch=PANEL, high=1.45)
LOWER = page.Grid(left=0.72, right=0.2, gap=0.5, foot=0.5, pitch=PANEL, high=1.45)
BINS = 40


@dataclass(frozen=True)
class _Measure:
    """A convergence measure: its column, axis and limit, whether the least or the most is worst, its format."""

    name: str
    axis: str
    limit: float
    least: bool
    form: str


def diagnostics(post: Posterior) -> Figure:
    """Draw histograms over all parameters of R-hat, bulk and tail ESS, and MCSE over sd; below, the sampler.

    Bars are the parameters of single places, ticks the others, which are few. The dashed lines are the limits of
    `Posterior.check`. For the exact engine the second row shows the share of proposals that every chain
    accepted; for NUTS the acceptance, the depth of its trees and the energies, whose changes should be as wide
    as the energies are.

    Parameters
    ----------
    post : Posterior
        With at least 100 draws per chain.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("diagnostics.png")` writes it.

    Raises
    ------
    ModelError
        Too few draws to judge; no parameter that varies; no matplotlib.

    References
    ----------
    Betancourt (2016), Diagnosing suboptimal cotangent disintegrations in Hamiltonian Monte Carlo.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> [axes.get_xlabel() for axes in ph.plot.diagnostics(post).axes][:2]
    ['R-hat', 'bulk ESS (draws)']
    """
    check = post.check()
    measures = check.measures
    if measures.empty:
        draws = check["draws"]
        reason = "every parameter of the model is fixed" if draws.good else draws.text
        raise ModelError(f"there is nothing to draw a histogram of: {reason}")
    places = set(post.model.formula.places)
    names = {name for name in post.parameters if places & set(map(str, post[name].dims))}
    of_place = np.array([split_label(str(label))[0] in names for label in measures.index])

    bad = [verdict.about for verdict in check.bad]
    finding = f"The draws of all {len(measures):,} parameters can be relied on: every verdict is good"
    if bad:
        finding = f"Something is wrong with the draws: {', '.join(bad)}"
    reading = "Dashed: the limits of priorhood check."
    if of_place.any():
        reading = (
            f"Bars: {int(of_place.sum()):,} parameters of single places; ticks: {int((~of_place).sum()):,} of all "
            f"places together (mu, tau, sigma, …). {reading}"
        )
    figure = page.sheet(page.Heading(finding, reading, WIDTH, not bad), HEIGHT)
    chains = int(post._sizes["chain"])
    enough = float(ESS_PER_CHAIN * chains)
    columns = (
        _Measure("r_hat", "R-hat", R_HAT_LIMIT, least=False, form=".4f"),
        _Measure("ess_bulk", "bulk ESS (draws)", enough, least=True, form=",.0f"),
        _Measure("ess_tail", "tail ESS (draws)", enough, least=True, form=",.0f"),
        _Measure("mcse_over_sd", "MCSE of the mean / sd", mcse_limit(chains), least=False, form=".1%"),
    )
    for axes, measure in zip(GRID.panels(figure, 4, 4), columns, strict=True):
        _histogram(axes, measures[measure.name], of_place, measure)
        if measure is columns[0]:
            style.words(axes.set_ylabel("parameters", labelpad=4))
    _sampler(figure, post)
    return figure


def _histogram(axes: Axes, found: pd.Series, of_place: Flags, measure: _Measure) -> None:
    """Draw one measure of all parameters, its limit and its worst value."""
    values = found.to_numpy()
    finite = values[np.isfinite(values)]
    if not finite.size:
        _title(axes, measure.axis, "one chain: none to compare it with", good=False)
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
    style.numbers(axes.xaxis, 4, measure.axis)
    style.numbers(axes.yaxis, 4)
    worst = (found.fillna(-np.inf) if measure.least else found.fillna(np.inf)).to_numpy()
    at = int(np.argmin(worst) if measure.least else np.argmax(worst))
    beyond = int((worst < measure.limit).sum() if measure.least else (worst > measure.limit).sum())
    limit = f"{measure.limit:{'.0%' if measure.form.endswith('%') else ',g'}}"
    side, end = ("under", "least") if measure.least else ("over", "most")
    told = f"{f'{beyond:,}' if beyond else 'none'} {side} {limit}; {end} {worst[at]:{measure.form}}"
    _title(axes, told, str(found.index[at]), good=not beyond)


def _title(axes: Axes, text: str, below: str, *, good: bool) -> None:
    """Write the finding above a panel, and the name of the worst, or how to read it."""
    wide = axes.get_position().width * WIDTH
    below = style.shortened(below, int((wide + GRID.gap / 2) * page.PLAIN))
    page.title(axes, text, below, WIDTH, (style.INK if good else style.WARNING, style.SOFT))


def _sampler(figure: Figure, post: Posterior) -> None:
    """Draw the statistics of the sampler: of the exact engine two panels, of NUTS three, as far as they exist."""
    stats = post.tree["sample_stats"].to_dataset()
    known = {str(name): stats[name].transpose("chain", "draw").values for name in stats.data_vars}
    exact = post.attrs["engine"] == "exact"
    drawn = (
        {"acceptance_rate": _accepted, "lp": _log_densities}
        if exact
        else {"acceptance_rate": _acceptance, "tree_depth": _depths, "energy": _energies}
    )
    for at, (name, draw) in enumerate(drawn.items()):
        if name in known:
            left = LOWER.left + at * (LOWER.wide(WIDTH, len(drawn)) + LOWER.gap)
            axes = page.panel(figure, left, LOWER.foot, LOWER.wide(WIDTH, len(drawn)), LOWER.high)
            draw(axes, known[name], post)


def _accepted(axes: Axes, rates: Array, post: Posterior) -> None:
    """Share of proposals that each chain of the exact engine accepted."""
    shares = rates.mean(axis=1)
    axes.barh(np.arange(len(shares)), shares, height=0.6, color=style.COLOURS[4])
    axes.axvline(ACCEPT_LIMIT, color=style.WARNING, linewidth=1.0, linestyle="--")
    axes.set_xlim(0, 1)
    axes.set_ylim(len(shares) - 0.4, -0.6)
    names = post[post.parameters[0]]["chain"].values
    shown = np.arange(0, len(shares), max(1, -(-len(shares) // 8)))
    axes.set_yticks(shown, [f"chain {names[at]}" for at in shown])
    style.numbers(axes.xaxis, 5, "share of the proposals accepted")
    k = post.attrs.get("pareto_k")
    tail = "" if k is None else f"; Pareto k of the proposals' weights {style.number(round(float(k), 2))}"
    _title(axes, f"{shares.min():.0%} to {shares.max():.0%} of the proposals accepted{tail}",
           "limit 5 % (dashed); Pareto k at most 0.7", good=bool(shares.min() >= ACCEPT_LIMIT))  # fmt: skip


def _log_densities(axes: Axes, lp: Array, _: Posterior) -> None:
    """Log p(y, θ) of every chain; a chain elsewhere has another curve."""
    edges = np.histogram_bin_edges(lp, BINS).tolist()
    for at, values in enumerate(lp):
        axes.hist(values, edges, histtype="step", linewidth=1.1, **style.chain_look(at))
    style.numbers(axes.xaxis, 5, "log p(y, θ), up to the scale of θ")
    style.numbers(axes.yaxis, 4, "draws", pad=4)
    _title(axes, "Log density of the draws, chain by chain", "chains that agree lie on each other", good=True)


def _acceptance(axes: Axes, rates: Array, post: Posterior) -> None:
    """Acceptance along the trees of NUTS, and divergences."""
    axes.hist(rates.ravel(), np.linspace(0, 1, BINS + 1).tolist(), color=style.COLOURS[4])
    target = float(post.attrs.get("target_accept", 0.8))
    axes.axvline(target, color=style.SOFT, linewidth=1.0, linestyle="--")
    style.numbers(axes.xaxis, 5, "acceptance along the tree")
    style.numbers(axes.yaxis, 4, "draws", pad=4)
    stats = post.tree["sample_stats"].to_dataset()
    diverged = int(stats["diverging"].values.sum()) if "diverging" in stats else 0
    _title(axes, f"{diverged or 'none'} of {rates.size:,} transitions diverged",
           f"mean acceptance {rates.mean():.2f}, aimed at {target:g} (dashed)", good=not diverged)  # fmt: skip


def _depths(axes: Axes, depth: Array, post: Posterior) -> None:
    """Depths of the trees of NUTS."""
    limit = int(post.attrs.get("max_treedepth", 10))
    counts = np.bincount(depth.astype(int).ravel(), minlength=limit + 1)
    axes.bar(np.arange(len(counts)), counts, width=0.8, color=style.COLOURS[4])
    axes.axvline(limit - 0.5, color=style.WARNING, linewidth=1.0, linestyle="--")
    style.numbers(axes.xaxis, 6, "tree depth (2 to this power: steps)")
    style.numbers(axes.yaxis, 4)
    stopped = int(counts[limit:].sum())
    _title(axes, f"{stopped or 'none'} of {depth.size:,} trees stopped at depth {limit}", "the limit is dashed",
           good=stopped <= 0.01 * depth.size)  # fmt: skip


def _energies(axes: Axes, energy: Array, _: Posterior) -> None:
    """Energies and their changes from draw to draw, both around 0."""
    off, steps = energy - energy.mean(axis=1, keepdims=True), np.diff(energy, axis=1)
    edges = np.histogram_bin_edges(np.concatenate([off.ravel(), steps.ravel()]), BINS).tolist()
    axes.hist(off.ravel(), edges, density=True, color=style.COLOURS[4], label="energies")
    axes.hist(steps.ravel(), edges, density=True, histtype="step", color=style.INK, linewidth=1.1, label="changes")
    axes.set_yticks([])
    style.numbers(axes.xaxis, 5, "energy, less its mean")
    axes.legend(fontsize=style.SMALL, frameon=False, loc="upper right", handlelength=1.2)
    # E-BFMI of every chain: the share of the energies' spread that one change covers.
    fraction = (steps**2).sum(axis=1) / (off**2).sum(axis=1)
    _title(axes, f"E-BFMI {fraction.min():.2f} in the worst chain", "under 0.3 it explores slowly",
           good=bool(fraction.min() >= 0.3))  # fmt: skip

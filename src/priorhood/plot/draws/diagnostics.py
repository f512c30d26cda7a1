"""Histograms of the convergence measures of all parameters, with their limits, and of sampler statistics."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood.diagnostics.convergence_verdicts import ESS_PER_CHAIN, R_HAT_LIMIT, mcse_limit
from priorhood.diagnostics.sampler_verdicts import ACCEPT_LIMIT
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
WIDTH, PITCH, BODY = 11.0, 2.5, 4.95
GRID = page.Grid(left=0.72, right=0.2, gap=0.5, foot=0.5 + PITCH, pitch=PITCH, height=1.45)
LOWER = page.Grid(left=0.72, right=0.2, gap=0.5, foot=0.5, pitch=PITCH, height=1.45)
BINS = 40


@dataclass(frozen=True)
class _Measure:
    """A convergence measure.

    Attributes
    ----------
    name, axis : str
        Its column, and the label of its axis.
    limit : float
    low_is_bad : bool
        Whether low values are bad, rather than high ones.
    form : str
        Format of its values.
    """

    name: str
    axis: str
    limit: float
    low_is_bad: bool
    form: str


@suggest_argument_names
def diagnostics(post: Posterior) -> Figure:
    """Draw histograms over all parameters of R-hat, bulk and tail ESS, and MCSE / sd; below, sampler statistics.

    Bars count the parameters of single places; ticks are the others, which are few. The dashed lines are the limits
    of `Posterior.check`. For the exact engine, the second row shows the share of proposals accepted by each chain;
    for NUTS, the acceptance, the tree depths and the energies, whose changes should be as wide as the energies
    themselves.

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
        Too few draws for a check; no parameter that varies; no matplotlib.

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
        raise ModelError(f"plot.diagnostics has no convergence measures to show: {reason}")
    places = set(post.model.formula.places)
    names = {name for name in post.parameters if places & set(map(str, post[name].dims))}
    of_place = np.array([split_label(str(label))[0] in names for label in measures.index])

    bad = [verdict.about for verdict in check.bad]
    title = f"The draws of all {len(measures):,} parameters are reliable: all checks passed"
    if bad:
        title = f"There are problems with the draws: {', '.join(bad)}"
    subtitle = "Dashed: limits used by `priorhood check`."
    if of_place.any():
        subtitle = (
            f"Bars: {int(of_place.sum()):,} parameters of individual places; ticks: {int((~of_place).sum()):,} "
            f"shared by all places (mu, tau, sigma, …). {subtitle}"
        )
    figure = page.new_figure(title, subtitle, WIDTH, BODY, good=not bad)
    chains = int(post._sizes["chain"])
    enough = float(ESS_PER_CHAIN * chains)
    columns = (
        _Measure("r_hat", "R-hat", R_HAT_LIMIT, low_is_bad=False, form=".4f"),
        _Measure("ess_bulk", "bulk ESS (draws)", enough, low_is_bad=True, form=",.0f"),
        _Measure("ess_tail", "tail ESS (draws)", enough, low_is_bad=True, form=",.0f"),
        _Measure("mcse_over_sd", "MCSE of the mean / sd", mcse_limit(chains), low_is_bad=False, form=".1%"),
    )
    for axes, measure in zip(GRID.panels(figure, 4, 4), columns, strict=True):
        _histogram(axes, measures[measure.name], of_place, measure)
        if measure is columns[0]:
            style.format_text(axes.set_ylabel("parameters", labelpad=4))
    stats = post.tree["sample_stats"].to_dataset()
    known = {str(name): stats[name].transpose("chain", "draw").values for name in stats.data_vars}
    (_exact_sampler if post.attrs["engine"] == "exact" else _nuts)(figure, post, known)
    return figure


def _histogram(axes: Axes, values: pd.Series, of_place: Flags, measure: _Measure) -> None:
    """Draw the histogram of a measure over all parameters, its limit and its worst value."""
    numbers = values.to_numpy()
    finite = numbers[np.isfinite(numbers)]
    if not finite.size:
        _panel_title(axes, measure.axis, "one chain, with none to compare it to", good=False)
        axes.set_axis_off()
        return
    low, high = min(finite.min(), measure.limit), max(finite.max(), measure.limit)
    edges = np.linspace(low, high if high > low else low + 1e-9, BINS + 1).tolist()
    bars = of_place if of_place.any() else np.ones(len(numbers), dtype=bool)
    axes.hist(np.clip(numbers[bars & ~np.isnan(numbers)], low, high), edges, color=style.COLOURS[4])
    axes.set_ylim(bottom=0)
    axes.axvline(measure.limit, color=style.WARNING, linewidth=1.0, linestyle="--")
    if of_place.any():
        few = np.clip(numbers[~of_place & ~np.isnan(numbers)], low, high)
        axes.plot(
            few, np.full(len(few), 0.045), "|", transform=axes.get_xaxis_transform(), color=style.INK,
            markersize=10, markeredgewidth=1.4, clip_on=False, zorder=3,
        )  # fmt: skip
    style.number_ticks(axes.xaxis, 4, measure.axis)
    style.number_ticks(axes.yaxis, 4)
    if measure.low_is_bad:
        filled = values.fillna(-np.inf).to_numpy()
        worst, beyond = int(np.argmin(filled)), int((filled < measure.limit).sum())
    else:
        filled = values.fillna(np.inf).to_numpy()
        worst, beyond = int(np.argmax(filled)), int((filled > measure.limit).sum())
    limit = f"{measure.limit:{'.0%' if measure.form.endswith('%') else ',g'}}"
    side, end = ("below", "lowest") if measure.low_is_bad else ("above", "highest")
    text = f"{f'{beyond:,}' if beyond else 'none'} {side} {limit}; {end} {filled[worst]:{measure.form}}"
    _panel_title(axes, text, str(values.index[worst]), good=not beyond)


def _panel_title(axes: Axes, text: str, note: str, *, good: bool) -> None:
    """Write the result above a panel and, below it, the name of the worst parameter or how to read the panel."""
    width = axes.get_position().width * WIDTH
    note = style.shorten(note, int((width + GRID.gap / 2) * page.PLAIN))
    page.panel_title(axes, text, note, WIDTH, (style.INK if good else style.WARNING, style.SOFT))


def _exact_sampler(figure: Figure, post: Posterior, stats: dict[str, Array]) -> None:
    """Draw the acceptance and the log density of every chain of the exact engine, if they are stored."""
    accepted, density = LOWER.panels(figure, 2, 2)
    if "acceptance_rate" in stats:
        shares = stats["acceptance_rate"].mean(axis=1)
        accepted.barh(np.arange(len(shares)), shares, height=0.6, color=style.COLOURS[4])
        accepted.axvline(ACCEPT_LIMIT, color=style.WARNING, linewidth=1.0, linestyle="--")
        accepted.set_xlim(0, 1)
        accepted.set_ylim(len(shares) - 0.4, -0.6)
        names = post[post.parameters[0]]["chain"].values
        shown = np.arange(0, len(shares), max(1, -(-len(shares) // 8)))
        accepted.set_yticks(shown, [f"chain {names[chain]}" for chain in shown])
        style.number_ticks(accepted.xaxis, 5, "share of proposals accepted")
        k = post.attrs.get("pareto_k")
        tail = "" if k is None else f"; Pareto k of the proposals' weights {style.number(round(float(k), 2))}"
        text = f"{shares.min():.0%} to {shares.max():.0%} of proposals accepted{tail}"
        note = "minimum 5 % (dashed); Pareto k at most 0.7"
        _panel_title(accepted, text, note, good=bool(shares.min() >= ACCEPT_LIMIT))
    if "lp" in stats:
        edges = np.histogram_bin_edges(stats["lp"], BINS).tolist()
        for chain, values in enumerate(stats["lp"]):
            density.hist(values, edges, histtype="step", linewidth=1.1, **style.chain_look(chain))
        style.number_ticks(density.xaxis, 5, "log p(y, θ), up to the scale of θ")
        style.number_ticks(density.yaxis, 4, "draws", pad=4)
        _panel_title(density, "Log density of the draws, by chain", "chains that agree overlap", good=True)
    for axes, name in ((accepted, "acceptance_rate"), (density, "lp")):
        if name not in stats:
            axes.remove()


def _nuts(figure: Figure, post: Posterior, stats: dict[str, Array]) -> None:
    """Draw acceptance and divergences, tree depths, and energies of NUTS, if they are stored."""
    acceptance, depths, energies = LOWER.panels(figure, 3, 3)
    if "acceptance_rate" in stats:
        rates, target = stats["acceptance_rate"], float(post.attrs.get("target_accept", 0.8))
        acceptance.hist(rates.ravel(), np.linspace(0, 1, BINS + 1).tolist(), color=style.COLOURS[4])
        acceptance.axvline(target, color=style.SOFT, linewidth=1.0, linestyle="--")
        style.number_ticks(acceptance.xaxis, 5, "acceptance along the tree")
        style.number_ticks(acceptance.yaxis, 4, "draws", pad=4)
        diverged = int(stats["diverging"].sum()) if "diverging" in stats else 0
        text = f"{diverged or 'none'} of {rates.size:,} transitions diverged"
        note = f"mean acceptance {rates.mean():.2f}, target {target:g} (dashed)"
        _panel_title(acceptance, text, note, good=not diverged)
    if "tree_depth" in stats:
        depth, limit = stats["tree_depth"], int(post.attrs.get("max_treedepth", 10))
        counts = np.bincount(depth.astype(int).ravel(), minlength=limit + 1)
        depths.bar(np.arange(len(counts)), counts, width=0.8, color=style.COLOURS[4])
        depths.axvline(limit - 0.5, color=style.WARNING, linewidth=1.0, linestyle="--")
        style.number_ticks(depths.xaxis, 6, "tree depth (log2 of the number of steps)")
        style.number_ticks(depths.yaxis, 4)
        stopped = int(counts[limit:].sum())
        text = f"{stopped or 'none'} of {depth.size:,} trees stopped at depth {limit}"
        _panel_title(depths, text, "dashed: the limit", good=stopped <= 0.01 * depth.size)
    if "energy" in stats:
        energy = stats["energy"]
        off, steps = energy - energy.mean(axis=1, keepdims=True), np.diff(energy, axis=1)
        edges = np.histogram_bin_edges(np.concatenate([off.ravel(), steps.ravel()]), BINS).tolist()
        energies.hist(off.ravel(), edges, density=True, color=style.COLOURS[4], label="energies")
        energies.hist(steps.ravel(), edges, density=True, histtype="step", color=style.INK, linewidth=1.1,
                      label="changes")  # fmt: skip
        energies.set_yticks([])
        style.number_ticks(energies.xaxis, 5, "energy, minus its mean")
        style.corner_legend(energies, handlelength=1.2)
        # E-BFMI of every chain: the share of the energies' spread that one change covers.
        fraction = (steps**2).sum(axis=1) / (off**2).sum(axis=1)
        text = f"E-BFMI {fraction.min():.2f} in the worst chain"
        _panel_title(energies, text, "below 0.3, exploration is slow", good=bool(fraction.min() >= 0.3))
    for axes, name in ((acceptance, "acceptance_rate"), (depths, "tree_depth"), (energies, "energy")):
        if name not in stats:
            axes.remove()

"""Pictures of an assessment: PIT values of all rows, overall and by place; places that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import plural, row_count
from priorhood.diagnostics.uniformity import UniformityTest
from priorhood.evaluation.residuals import BINS
from priorhood.plot.figure import page, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood.evaluation.assess import Assessment

BAND = 0.99
NAMED = 4  # places with their label beside them
MAX_LISTED, LISTED_IF_GOOD = 25, 10  # places in the list: those that do not fit; if all fit
# Inches.
WIDTH, LEFT, TOP, HIGH, BELOW = 11.0, 0.85, 0.35, 2.45, 0.6
GRID = page.Grid(left=LEFT, right=0.25, gap=0.85, foot=BELOW, pitch=HIGH, height=HIGH)
LINE, NAMES, WHY, SIDE = 0.24, 2.0, 3.0, 3.3


@suggest_argument_names
def pit(result: Assessment) -> Figure:
    """Draw the distribution and a histogram of PIT values, P(y < y_i), and by place the share of rows inside 90 %.

    Parameters
    ----------
    result : Assessment
        The result of `priorhood.assess`.

    Returns
    -------
    matplotlib.figure.Figure
        Left, a thin line for every posterior draw, minus the uniform distribution; if the model is correct, the
        whole line stays within the grey band except for one draw in a hundred. Right, a point for every place: the
        share of its rows inside the central 90 % against their number; the grey band holds 99 of 100 places of a
        correct model.

    Raises
    ------
    ModelError
        No matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> [axes.get_xlabel() for axes in ph.plot.pit(ph.assess(post, sales)).axes]
    ['PIT value', 'PIT value', 'rows of the zip']
    """
    r, formula = result.residuals, result.model.formula
    verdict = next(one for one in result if one.code == "intervals")
    p = page.p_label(r.p_uniform)
    if not result.in_sample:
        title = f"Rows not used in the fit: {verdict.values['finding']}"
    elif not verdict.good:
        title = f"The rows are not distributed as the model predicts: {verdict.values['shape']} ({p})"
    elif r.p_uniform < 1 - BAND:
        evidence = f"PIT values show some evidence of non-uniformity ({p})"
        title = f"The rows may not be distributed as the model predicts: {evidence}"
    else:
        title = f"The rows are distributed as the model predicts: PIT values are uniform ({p})"
    subtitle = f"{row_count(len(r.pit))} of {formula.text}"
    subtitle += "" if r.shown == len(r.pit) else f"; the lines show {r.shown:,} of them"
    if r.in_sample:
        subtitle += (
            f". Blue: individual posterior draws; black: their mean; grey: band that contains {100 * BAND:.0f} % "
            f"of the lines if the model is correct."
        )
    else:
        subtitle += ". Grey: for independent rows; rows of one place share the uncertainty about it."
    good = verdict.good or not result.in_sample
    figure = page.new_figure(title, subtitle, WIDTH, TOP + HIGH + BELOW, good=good)
    panels = GRID.panels(figure, 3 if formula.group else 2, 3 if formula.group else 2)

    # The distribution function of the PIT values under every draw, minus the uniform one.
    axes, uniform = panels[0], np.arange(1, BINS) / BINS
    low, high = (edge / r.shown - uniform for edge in UniformityTest(r.shown, BINS - 1).band(1 - BAND))
    lines = r.counts / r.shown - uniform
    single = {"color": style.COLOURS[0], "linewidth": 0.5, "alpha": 0.35}
    curves = [(line, single) for line in lines] + [(lines.mean(axis=0), {"color": style.INK, "linewidth": 1.4})]
    limit = 1.1 * max(np.abs(lines).max(), np.abs(low).max(), np.abs(high).max())
    page.draw_ecdf_difference(axes, (low, high), curves, limit)
    style.number_ticks(axes.xaxis, 5, "PIT value")
    style.number_ticks(axes.yaxis, 5, "ECDF minus uniform", pad=4)
    page.panel_caption(axes, "Distribution function")

    # The histogram of the PIT values, averaged over the draws.
    axes = panels[1]
    counts = np.diff(np.pad(r.counts.mean(axis=0), (1, 1), constant_values=(0, r.shown))).reshape(-1, 2).sum(axis=1)
    share = 100 * counts / r.shown
    edges = np.linspace(0, 1, len(share) + 1)
    axes.bar(
        edges[:-1], share, width=edges[1], align="edge", color=style.COLOURS[4], edgecolor="white", linewidth=0.6
    )
    axes.axhline(100 / len(share), color=style.INK, linewidth=1.0, linestyle="--")
    axes.text(0.5, 100 / len(share), "uniform", va="bottom", ha="center", fontsize=style.SMALL, color=style.INK)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.15 * max(share.max(), 200 / len(share)))
    style.number_ticks(axes.xaxis, 5, "PIT value")
    style.number_ticks(axes.yaxis, 5, "% of rows", pad=4)
    page.panel_caption(axes, "Histogram, mean over the draws")
    if formula.group:
        _funnel(panels[2], result)
    return figure


def _funnel(axes: Axes, result: Assessment) -> None:
    """Draw the share of each place's rows inside 90 % against their number, with binomial limits."""
    group, n, inside = result.model.formula.group, result.n, 100 * result.inside[:, -1]
    grid = np.unique(np.geomspace(1, max(int(n.max()), 2), 200).astype(int))
    low, high = page.draw_coverage_band(axes, grid, grid, step="mid")
    nearest = np.searchsorted(grid, n).clip(0, len(grid) - 1)
    outside = (inside < low[nearest] - 1e-9) | (inside > high[nearest] + 1e-9)
    style.plot_points(axes, n, inside, outside, markersize=4.5, alpha=0.75, markeredgewidth=0)
    axes.set_xscale("log")
    axes.set_ylim(min(float(inside.min()), 75.0) - 4, 102)
    worst = np.flatnonzero(outside)[np.argsort(inside[outside])][:NAMED]
    points = np.column_stack([n, inside])[worst]
    page.name_points(axes, points, [str(result.residuals.labels[place]) for place in worst])
    style.format_text(axes.set_xlabel(f"rows of the {group}", labelpad=2))
    style.number_ticks(axes.yaxis, 5, "% of its rows inside the central 90 %", pad=4)
    first, last = axes.get_xlim()
    style.log_ticks(axes.xaxis, (1, 3) if first > 0 and last > 100 * first else (1, 2, 5))
    count = int(outside.sum())
    page.panel_caption(axes, f"{count:,} of {len(n):,} {plural(group)} outside the grey band (expected: 1 %)")


@suggest_argument_names
def misfit(result: Assessment) -> Figure:
    """Draw the places that fit badly, and how: all places on the left, the worst ones, named, on the right.

    Parameters
    ----------
    result : Assessment
        The result of `priorhood.assess`.

    Returns
    -------
    matplotlib.figure.Figure
        Left, a point for every place: the mean of its residuals, in standard errors, and their scatter, as a
        multiple of the model's. Crosses are places that fail a check.

    Raises
    ------
    ModelError
        No matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> figure = ph.plot.misfit(ph.assess(post, sales))
    >>> len(figure.axes)
    2
    """
    frame, group = result.summary(), result.model.formula.group
    bad = frame[frame["wrong"] != ""]
    listed = bad.head(MAX_LISTED) if len(bad) else frame.head(LISTED_IF_GOOD)
    if not group:
        title = "The model fits the rows as a whole"
        if len(bad):
            title = f"The model does not fit the rows as a whole: {bad['wrong'].iloc[0]}"
    elif len(bad):
        title = f"The model does not fit {len(bad):,} of {len(frame):,} {plural(group)}"
    else:
        title = (
            f"The model fits all {len(frame):,} {plural(group)}"
            if len(frame) > 1
            else f"The model fits the one {group}"
        )
    worst = "all" if len(listed) == len(frame) else f"the {len(listed)} worst" if len(listed) > 1 else "the worst"
    subtitle = (
        f"{result.model.formula.text}. Left: every place; right: {worst}, with mean residual and residual "
        f"sd. For a correct model, at most one plot in a hundred contains any red cross."
    )
    tall = LINE * len(listed)
    body = TOP + max(HIGH, 0.2 + tall) + BELOW
    figure = page.new_figure(title, subtitle, WIDTH, body, good=not len(bad))

    # Every place: level and scatter of its residuals.
    high = min(body - TOP - BELOW, 3.4)
    axes = page.add_panel(figure, LEFT, body - TOP - high, SIDE, high)
    wrong = (frame["wrong"] != "").to_numpy()
    x, y = frame["z"].to_numpy(), frame["sd_z"].to_numpy()
    axes.axvline(0, color=style.SOFT, linewidth=0.6)
    axes.axhline(1, color=style.SOFT, linewidth=0.6)
    style.plot_points(axes, x, y, wrong, markersize=4.5, alpha=0.75, markeredgewidth=0)
    reach = 1.15 * max(float(np.abs(x).max()), 3.0)
    axes.set_xlim(-reach, reach)
    axes.set_ylim(min(0.0, float(y.min())), 1.12 * max(float(y.max()), 1.5))
    style.number_ticks(axes.xaxis, 5, "mean residual, in standard errors")
    style.number_ticks(axes.yaxis, 5, "sd of the residuals, as a multiple of sigma", pad=4)
    named = np.flatnonzero(wrong)[:NAMED]
    page.name_points(axes, np.column_stack([x, y])[named], [str(frame.index[place]) for place in named])
    page.panel_caption(axes, "Every place: mean residual and residual sd")

    # The list: −log10 of the p-value, name and number of rows on the left, the reason on the right.
    left = LEFT + SIDE + NAMES
    axes = page.add_panel(figure, left, body - TOP - tall, WIDTH - left - WHY, tall)
    strength, y = -np.log10(np.maximum(listed["p_value"].to_numpy(), 1e-300)), np.arange(len(listed))
    wrong = (listed["wrong"] != "").to_numpy()
    for chosen, colour in ((~wrong, style.COLOURS[0]), (wrong, style.WARNING)):
        axes.hlines(y[chosen], 0, strength[chosen], color=colour, linewidth=1.0, alpha=0.5)
    style.plot_points(axes, strength, y, wrong, markersize=5, markeredgewidth=0, clip_on=False)
    labels = zip(listed.index, listed["rows"], strict=True)
    style.name_ticks(
        axes.yaxis, y, [f"{style.shorten(str(label) or 'all rows', 22)} ({n:,})" for label, n in labels]
    )
    axes.set_ylim(len(listed) - 0.4, -0.6)
    for height, (_, row) in enumerate(listed.iterrows()):
        off = f"{row['mean_z'] + 0.0:+.2f}".replace("-0.00", "+0.00").replace("-", "−")
        text = f"{row['wrong'] or 'fits'}; {off} sigma, scatter ×{row['sd_z']:.2f}"
        page.write_right(axes, height, style.shorten(text, 46), 1.03, style.INK if row["wrong"] else style.SOFT)
    axes.set_xlim(0, 1.05 * max(float(strength.max()), 3.0))
    style.number_ticks(axes.xaxis, 4, "−log10 p, corrected for the number of checks")
    page.panel_caption(axes, "Place (rows)")
    return figure

"""Pictures of an assessment: PIT values of all rows, overall and by place; places that do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import plural, row_count
from priorhood.diagnostics.uniformity import UniformityTest, p_text
from priorhood.evaluation.residuals import BINS
from priorhood.plot.figure import page, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood.evaluation.assess import Assessment

BAND = 0.99
NAMED = 4  # places with their label beside them
WORST, FITTING = 25, 10  # places with a row of their own: those that do not fit; if all do
# Inches.
WIDTH, HEIGHT, LEFT, TOP, BELOW = 11.0, 4.2, 0.85, 1.15, 0.6
GRID = page.Grid(left=LEFT, right=0.25, gap=0.85, foot=BELOW, pitch=HEIGHT, high=HEIGHT - TOP - BELOW)
LINE, NAMES, WHY, SIDE = 0.24, 2.0, 3.0, 3.3


def pit(found: Assessment) -> Figure:
    """Draw the distribution and a histogram of PIT values, P(y < y_i), and by place the share of rows inside 90 %.

    Parameters
    ----------
    found : Assessment
        The result of `priorhood.assess`.

    Returns
    -------
    matplotlib.figure.Figure
        Left, a thin line for every posterior draw, less the uniform one; if the model is right, all of a line
        stays in the grey band but for one draw in a hundred. Right, a point for every place: the share of its
        rows inside the central 90 % against their number, and where 99 of 100 places of a right model lie.

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
    r, formula = found.residuals, found.model.formula
    verdict = next(one for one in found if one.code == "intervals")
    p = p_text(r.p_uniform)
    p = f"p {'' if '<' in p else '= '}{p}"
    if not found.in_sample:
        finding = f"Rows that the fit did not have: {verdict.values['finding']}"
    elif not verdict.good:
        finding = f"Rows do not fall where the model says: {verdict.values['shape']} ({p})"
    elif r.p_uniform < 1 - BAND:
        finding = f"Not sure whether rows fall where the model says: PIT values are hardly uniform ({p})"
    else:
        finding = f"Rows fall where the model says: PIT values are uniform ({p})"
    reading = f"{row_count(len(r.pit))} of {formula.text}"
    reading += "" if r.shown == len(r.pit) else f", {r.shown:,} of them in the lines"
    if r.in_sample:
        reading += (
            f". Blue: single posterior draws; black: their mean; grey: where {BAND:.0%} of a right model's lines "
            f"stay."
        )
    else:
        reading += ". Grey: for rows with nothing in common; those of a place share what is not known of it."
    figure = page.sheet(page.Heading(finding, reading, WIDTH, verdict.good or not found.in_sample), HEIGHT)
    panels = GRID.panels(figure, 3 if formula.group else 2, 3 if formula.group else 2)
    _difference(panels[0], found)
    _histogram(panels[1], found)
    if formula.group:
        _funnel(panels[2], found)
    return figure


def _difference(axes: Axes, found: Assessment) -> None:
    """Distribution function of every draw's PIT values, less the uniform one."""
    r = found.residuals
    at = np.arange(BINS + 1) / BINS
    low, high = (np.pad(edge / r.shown - at[1:-1], 1) for edge in UniformityTest(r.shown, BINS - 1).band(1 - BAND))
    axes.fill_between(at, low, high, color=style.BAND, linewidth=0)
    axes.axhline(0, color=style.SOFT, linewidth=0.6)
    lines = np.pad(r.counts / r.shown - at[1:-1], ((0, 0), (1, 1)))
    for line in lines:
        axes.plot(at, line, color=style.COLOURS[0], linewidth=0.5, alpha=0.35)
    axes.plot(at, lines.mean(axis=0), color=style.INK, linewidth=1.4)
    most = 1.1 * max(np.abs(lines).max(), np.abs(low).max(), np.abs(high).max())
    axes.set_xlim(0, 1)
    axes.set_ylim(-most, most)
    style.numbers(axes.xaxis, 5, "PIT value")
    style.numbers(axes.yaxis, 5, "share of rows below, less the uniform share", pad=4)
    page.caption(axes, "Distribution function")


def _histogram(axes: Axes, found: Assessment) -> None:
    """Histogram of PIT values, the mean of the draws."""
    r = found.residuals
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
    style.numbers(axes.xaxis, 5, "PIT value")
    style.numbers(axes.yaxis, 5, "% of rows", pad=4)
    page.caption(axes, "Histogram, mean of the draws")


def _funnel(axes: Axes, found: Assessment) -> None:
    """Share of a place's rows inside 90 % against their number, with binomial limits."""
    from scipy.stats import binom

    group, n, inside = found.model.formula.group, found.n, 100 * found.inside[:, -1]
    grid = np.unique(np.geomspace(1, max(int(n.max()), 2), 200).astype(int))
    low, high = (100 * binom.ppf(q, grid, 0.9) / grid for q in (0.005, 0.995))
    axes.fill_between(grid, low, high, color=style.BAND, linewidth=0, step="mid")
    axes.axhline(90, color=style.INK, linewidth=0.8, linestyle="--")
    at = np.searchsorted(grid, n).clip(0, len(grid) - 1)
    out = (inside < low[at] - 1e-9) | (inside > high[at] + 1e-9)
    style.dots(axes, n, inside, out, markersize=4.5, alpha=0.75, markeredgewidth=0)
    axes.set_xscale("log")
    axes.set_ylim(min(float(inside.min()), 75.0) - 4, 102)
    worst = np.flatnonzero(out)[np.argsort(inside[out])][:NAMED]
    points = np.column_stack([n, inside])[worst]
    page.name_points(axes, points, [str(found.residuals.labels[one]) for one in worst])
    style.words(axes.set_xlabel(f"rows of the {group}", labelpad=2))
    style.numbers(axes.yaxis, 5, "% of its rows inside the central 90 %", pad=4)
    first, last = axes.get_xlim()
    style.log_numbers(axes.xaxis, (1, 3) if first > 0 and last > 100 * first else (1, 2, 5))
    page.caption(axes, f"{int(out.sum()):,} of {len(n):,} {plural(group)} outside the grey (1 in 100 expected)")


def misfit(found: Assessment) -> Figure:
    """Draw the places that fit badly, and how: all places left, the worst by name right.

    Parameters
    ----------
    found : Assessment
        The result of `priorhood.assess`.

    Returns
    -------
    matplotlib.figure.Figure
        Left, a point for every place: the mean of its residuals, in standard errors, and their scatter, as a
        multiple of the model's. Crosses are places that a verdict names.

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
    frame, group = found.summary(), found.model.formula.group
    bad = frame[frame["wrong"] != ""]
    listed = bad.head(WORST) if len(bad) else frame.head(FITTING)
    if not group:
        finding = f"The rows, all together, do not fit: {bad['wrong'].iloc[0]}" if len(bad) else "The rows fit"
    elif len(bad):
        finding = f"{len(bad):,} of {len(frame):,} {plural(group)} do not fit"
    else:
        finding = f"All {len(frame):,} {plural(group)} fit" if len(frame) > 1 else f"The one {group} fits"
    reading = (
        f"{found.model.formula.text}. Left: every place; right: "
        f"{f'the {len(listed)} worst' if len(listed) < len(frame) else 'all'}, with what is wrong. A right model "
        f"has any cross in one picture of a hundred at most."
    )
    height = max(HEIGHT, TOP + BELOW + 0.2 + LINE * len(listed))
    figure = page.sheet(page.Heading(finding, reading, WIDTH, not len(bad)), height)
    tall = min(height - TOP - BELOW, 3.4)
    _all_places(page.panel(figure, LEFT, height - TOP - tall, SIDE, tall), frame)
    left, tall = LEFT + SIDE + NAMES, LINE * len(listed)
    _worst(page.panel(figure, left, height - TOP - tall, WIDTH - left - WHY, tall), listed)
    return figure


def _all_places(axes: Axes, frame: Any) -> None:
    """Level and scatter of the residuals of every place."""
    wrong = (frame["wrong"] != "").to_numpy()
    x, y = frame["z"].to_numpy(), frame["sd_z"].to_numpy()
    axes.axvline(0, color=style.SOFT, linewidth=0.6)
    axes.axhline(1, color=style.SOFT, linewidth=0.6)
    style.dots(axes, x, y, wrong, markersize=4.5, alpha=0.75, markeredgewidth=0)
    most = 1.15 * max(float(np.abs(x).max()), 3.0)
    axes.set_xlim(-most, most)
    axes.set_ylim(min(0.0, float(y.min())), 1.12 * max(float(y.max()), 1.5))
    style.numbers(axes.xaxis, 5, "mean residual, in standard errors")
    style.numbers(axes.yaxis, 5, "sd of the residuals, as a multiple of sigma", pad=4)
    named = np.flatnonzero(wrong)[:NAMED]
    page.name_points(axes, np.column_stack([x, y])[named], [str(frame.index[one]) for one in named])
    page.caption(axes, "Every place: level and scatter")


def _worst(axes: Axes, listed: Any) -> None:
    """One line a place: −log10 of its p-value, its name and rows left, what is wrong right."""
    strength = -np.log10(np.maximum(listed["p_value"].to_numpy(), 1e-300))
    y = np.arange(len(listed))
    wrong = (listed["wrong"] != "").to_numpy()
    for those, colour in ((~wrong, style.COLOURS[0]), (wrong, style.WARNING)):
        axes.hlines(y[those], 0, strength[those], color=colour, linewidth=1.0, alpha=0.5)
    style.dots(axes, strength, y, wrong, markersize=5, markeredgewidth=0, clip_on=False)
    labels = zip(listed.index, listed["rows"], strict=True)
    style.names(axes.yaxis, y, [f"{style.shortened(str(label) or 'all rows', 22)} ({n:,})" for label, n in labels])
    axes.set_ylim(len(listed) - 0.4, -0.6)
    for at, (_, one) in enumerate(listed.iterrows()):
        off = f"{one['mean_z'] + 0.0:+.2f}".replace("-0.00", "+0.00").replace("-", "−")
        text = f"{one['wrong'] or 'fits'}; {off} sigma, scatter ×{one['sd_z']:.2f}"
        page.beside(axes, at, style.shortened(text, 46), 1.03, style.INK if one["wrong"] else style.SOFT)
    axes.set_xlim(0, 1.05 * max(float(strength.max()), 3.0))
    style.numbers(axes.xaxis, 4, "−log10 p, all questions counted")
    page.caption(axes, "Place (rows)")

"""Whether rows fall where the model says, overall and by place; and which places do not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import plural, rows_of
from priorhood.diagnostics.uniformity import UniformityTest, p_text
from priorhood.evaluation.residuals import BINS
from priorhood.plot.figure import page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array, Index
    from priorhood.evaluation.assess import Assessment

BAND = 0.99
NAMED = 4  # places with their label beside them
WORST, FITTING = 25, 10  # places that have a row of their own: those that do not fit; if all do
# Inches.
WIDTH, HEIGHT, LEFT, GAP, RIGHT, TOP, BELOW = 11.0, 4.2, 0.85, 0.85, 0.25, 0.85, 0.6
LINE, NAMES, WHY = 0.24, 2.0, 3.0


def pit(found: Assessment) -> Figure:
    """PIT values, P(y < y_i): their distribution function less the uniform one; by place, the share inside 90 %.

    Left, a thin line for every posterior draw; if the model is right, all of a line stays in the grey band but
    for one draw in a hundred. Right, a point for every place: the share of its rows inside the central 90 %
    against their number, and where 99 of 100 places of a right model lie.

    Parameters
    ----------
    found : what assess() gives

    Raises
    ------
    ModelError : no matplotlib
    """
    from priorhood.plot.figure import style

    figure = style.picture(WIDTH, HEIGHT)
    grouped = bool(found.model.formula.group)
    panels = 3 if grouped else 2
    wide = (WIDTH - LEFT - RIGHT - GAP * (panels - 1)) / panels
    axes = [
        figure.add_axes(
            (
                (LEFT + at * (wide + GAP)) / WIDTH,
                BELOW / HEIGHT,
                wide / WIDTH,
                (HEIGHT - TOP - BELOW - 0.3) / HEIGHT,
            )
        )
        for at in range(panels)
    ]
    _difference(axes[0], found)
    _histogram(axes[1], found)
    if grouped:
        _funnel(axes[2], found)
    words, good = _pit_title(found)
    page.Heading(words, _pit_reading(found), WIDTH, good).put(figure)
    return figure


def _pit_title(found: Assessment) -> tuple[str, bool]:
    verdict = next(one for one in found if one.code == "intervals")
    if not found.own:
        return f"Rows that the fit did not have: {verdict.values['finding']}", True
    p = f"p {p_text(found.residuals.p_uniform)}"
    p = p if "<" in p else p.replace("p ", "p = ")
    if verdict.good:
        if found.residuals.p_uniform < 1 - BAND:
            return f"Not sure whether rows fall where the model says: PIT values are hardly uniform ({p})", True
        return f"Rows fall where the model says: PIT values are uniform ({p})", True
    return f"Rows do not fall where the model says: {verdict.values['shape']} ({p})", False


def _pit_reading(found: Assessment) -> str:
    r = found.residuals
    some = "" if r.shown == len(r.pit) else f", {r.shown:,} of them in the lines"
    if not r.own:
        return (
            f"{rows_of(len(r.pit))} of {found.model.formula.text}{some}. Grey: for rows with nothing in common; "
            f"those of a place share what is not known of it."
        )
    return (
        f"{rows_of(len(r.pit))} of {found.model.formula.text}{some}. Blue: single posterior draws; black: "
        f"their mean; grey: where {BAND:.0%} of a right model's lines stay."
    )


def _difference(axes: Axes, found: Assessment) -> None:
    """The distribution function of every draw's PIT values, less the uniform one."""
    from priorhood.plot.figure import style

    r = found.residuals
    style.plain(axes)
    at = np.arange(BINS + 1) / BINS
    low, high = UniformityTest(r.shown, BINS - 1).band(1 - BAND)
    ends = [np.pad(edge / r.shown - at[1:-1], 1) for edge in (low, high)]
    axes.fill_between(at, ends[0], ends[1], color=style.BAND, linewidth=0)
    axes.axhline(0, color=style.SOFT, linewidth=0.6)
    lines = np.pad(r.counts / r.shown - at[1:-1], ((0, 0), (1, 1)))
    for line in lines:
        axes.plot(at, line, color=style.COLOURS[0], linewidth=0.5, alpha=0.35)
    axes.plot(at, lines.mean(axis=0), color=style.INK, linewidth=1.4)
    most = 1.1 * max(np.abs(lines).max(), max(np.abs(edge).max() for edge in ends))
    _dressed(axes, "PIT value", "share of rows below, less the uniform share", (0, 1), (-most, most))
    _named(axes, "Distribution function")


def _histogram(axes: Axes, found: Assessment) -> None:
    from priorhood.plot.figure import style

    r = found.residuals
    style.plain(axes)
    counts = np.diff(np.pad(r.counts.mean(axis=0), (1, 1), constant_values=(0, r.shown))).reshape(-1, 2).sum(axis=1)
    share = 100 * counts / r.shown
    edges = np.linspace(0, 1, len(share) + 1)
    axes.bar(
        edges[:-1], share, width=edges[1], align="edge", color=style.COLOURS[4], edgecolor="white", linewidth=0.6
    )
    axes.axhline(100 / len(share), color=style.INK, linewidth=1.0, linestyle="--")
    axes.text(0.5, 100 / len(share), "uniform", va="bottom", ha="center", fontsize=style.SMALL, color=style.INK)
    _dressed(axes, "PIT value", "% of rows", (0, 1), (0, 1.15 * max(share.max(), 200 / len(share))))
    _named(axes, "Histogram, mean of the draws")


def _funnel(axes: Axes, found: Assessment) -> None:
    """Share of rows inside 90 % against the number of rows, with binomial limits."""
    from scipy.stats import binom

    from priorhood.plot.figure import style

    style.plain(axes)
    n, inside = found.n, 100 * found.inside[:, -1]
    grid = np.unique(np.geomspace(1, max(int(n.max()), 2), 200).astype(int))
    low, high = (100 * binom.ppf(q, grid, 0.9) / grid for q in (0.005, 0.995))
    axes.fill_between(grid, low, high, color=style.BAND, linewidth=0, step="mid")
    axes.axhline(90, color=style.INK, linewidth=0.8, linestyle="--")
    at = np.searchsorted(grid, n).clip(0, len(grid) - 1)
    out = (inside < low[at] - 1e-9) | (inside > high[at] + 1e-9)
    for those, colour, marker in ((~out, style.COLOURS[0], "o"), (out, style.WARNING, "X")):
        axes.plot(n[those], inside[those], marker, color=colour, markersize=4.5, alpha=0.75, markeredgewidth=0)
    axes.set_xscale("log")
    floor = min(float(inside.min()), 75.0)
    _labelled(
        axes, n.astype(float), inside, np.flatnonzero(out)[np.argsort(inside[out])][:NAMED], found.residuals.labels
    )
    group = found.model.formula.group
    _dressed(axes, f"rows of the {group}", "% of its rows inside the central 90 %", None, (floor - 4, 102))
    _log_ticks(axes)
    _named(axes, f"{int(out.sum()):,} of {len(n):,} {plural(group)} outside the grey: 1 in 100 is due")


def misfit(found: Assessment) -> Figure:
    """Which places fit badly, and how: all of them left, the worst by name right.

    A point for every place: how far its rows lie off on average, in standard errors, and how much they scatter
    beside what the model says. Crosses are places that a verdict of assess() names.

    Parameters
    ----------
    found : what assess() gives

    Raises
    ------
    ModelError : no matplotlib
    """
    from priorhood.plot.figure import style

    frame = found.summary()
    bad = frame[frame["wrong"] != ""]
    listed = bad.head(WORST) if len(bad) else frame.head(FITTING)
    height = max(HEIGHT, TOP + BELOW + 0.5 + LINE * len(listed))
    figure = style.picture(WIDTH, height)
    side = 3.3
    tall = height - TOP - BELOW - 0.3
    left = figure.add_axes(
        (LEFT / WIDTH, (height - TOP - 0.3 - min(tall, 3.4)) / height, side / WIDTH, min(tall, 3.4) / height)
    )
    _all_places(left, frame)
    start = LEFT + side + NAMES
    right = figure.add_axes(
        (
            start / WIDTH,
            (height - TOP - 0.3 - LINE * len(listed)) / height,
            (WIDTH - start - WHY) / WIDTH,
            LINE * len(listed) / height,
        )
    )
    _worst(right, listed)
    words = _misfit_title(found.model.formula.group, len(frame), bad)
    shown = f"the {len(listed)} worst" if len(listed) < len(frame) else "all"
    reading = (
        f"{found.model.formula.text}. Left: every place; right: {shown}, with what is wrong. A right model has any "
        f"cross in one picture of a hundred at most."
    )
    page.Heading(words, reading, WIDTH, not len(bad)).put(figure)
    return figure


def _misfit_title(group: str, total: int, bad: Any) -> str:
    if not group:
        return f"The rows, all together, do not fit: {bad['wrong'].iloc[0]}" if len(bad) else "The rows fit"
    if len(bad):
        return f"{len(bad):,} of {total:,} {plural(group)} do not fit"
    return f"All {total:,} {plural(group)} fit" if total > 1 else f"The one {group} fits"


def _all_places(axes: Axes, frame: Any) -> None:
    from priorhood.plot.figure import style

    style.plain(axes)
    wrong = (frame["wrong"] != "").to_numpy()
    x, y = frame["z"].to_numpy(), frame["sd_z"].to_numpy()
    axes.axvline(0, color=style.SOFT, linewidth=0.6)
    axes.axhline(1, color=style.SOFT, linewidth=0.6)
    for those, colour, marker in ((~wrong, style.COLOURS[0], "o"), (wrong, style.WARNING, "X")):
        axes.plot(x[those], y[those], marker, color=colour, markersize=4.5, alpha=0.75, markeredgewidth=0)
    most = 1.15 * max(float(np.abs(x).max()), 3.0)
    tall = (min(0.0, float(y.min())), 1.12 * max(float(y.max()), 1.5))
    beside = "sd of the residuals, as a multiple of sigma"
    _dressed(axes, "mean residual, in standard errors", beside, (-most, most), tall)
    _labelled(axes, x, y, np.flatnonzero(wrong)[:NAMED], frame.index)
    _named(axes, "Every place: level and scatter")


def _worst(axes: Axes, listed: Any) -> None:
    """One line a place: −log10 of its p-value, its name and rows left, what is wrong right."""
    from priorhood.plot.figure import style

    style.plain(axes)
    strength = -np.log10(np.maximum(listed["p_value"].to_numpy(), 1e-300))
    y = np.arange(len(listed))
    wrong = (listed["wrong"] != "").to_numpy()
    for those, colour, marker in ((~wrong, style.COLOURS[0], "o"), (wrong, style.WARNING, "X")):
        axes.hlines(y[those], 0, strength[those], color=colour, linewidth=1.0, alpha=0.5)
        axes.plot(strength[those], y[those], marker, color=colour, markersize=5, markeredgewidth=0, clip_on=False)
    axes.set_yticks(y, [f"{style.shortened(str(label) or 'all rows', 22)} ({n:,})" for label, n in
                        zip(listed.index, listed["rows"], strict=True)])  # fmt: skip
    axes.set_ylim(len(listed) - 0.4, -0.6)
    for at, (_, one) in enumerate(listed.iterrows()):
        told = one["wrong"] or "fits"
        off = f"{one['mean_z'] + 0.0:+.2f}".replace("-0.00", "+0.00").replace("-", "−")
        text = f"{told}; {off} sigma, scatter ×{one['sd_z']:.2f}"
        style.words(
            axes.text(1.03, at, style.shortened(text, 46), transform=axes.get_yaxis_transform(), va="center"),
            colour=style.INK if one["wrong"] else style.SOFT,
        )
    axes.set_xlim(0, 1.05 * max(float(strength.max()), 3.0))
    style.numbers(axes.xaxis, 4)
    style.words(axes.set_xlabel("−log10 p, all questions counted", labelpad=2))
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    _named(axes, "Place (rows)")


# -- common to both ---------------------------------------------------------------------------------------


def _labelled(axes: Axes, x: Array, y: Array, those: Index, labels: Any) -> None:
    """A few points with their names beside them, as far as these find room; the axes' limits are set before."""
    page.name_points(axes, np.column_stack([x, y])[those], [str(labels[at]) for at in those])


def _dressed(
    axes: Axes, below: str, beside: str, x: tuple[float, float] | None, y: tuple[float, float] | None
) -> None:
    from priorhood.plot.figure import style

    if x is not None:
        axes.set_xlim(*x)
        style.numbers(axes.xaxis, 5)
    if y is not None:
        axes.set_ylim(*y)
    style.numbers(axes.yaxis, 5)
    style.words(axes.set_xlabel(below, labelpad=2))
    style.words(axes.set_ylabel(beside, labelpad=4))


def _log_ticks(axes: Axes) -> None:
    """Whole powers of ten and what lies between, as plain numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    from priorhood.plot.figure import style

    low, high = axes.get_xlim()
    axes.xaxis.set_major_locator(
        LogLocator(subs=(1, 3) if low > 0 and high > 100 * low else (1, 2, 5), numticks=12)
    )
    axes.xaxis.set_major_formatter(FuncFormatter(style.number))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)


def _named(axes: Axes, text: str) -> None:
    from priorhood.plot.figure import style

    title = axes.annotate(text, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points")
    style.words(title, colour=style.INK)

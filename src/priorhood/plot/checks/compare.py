"""Pictures of leave-one-out: models against the best one, and places by how well they are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import join_words, plural
from priorhood.errors import ModelError
from priorhood.plot.figure import page, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from priorhood.evaluation.elpd import Elpd

# Inches.
WIDTH, HEIGHT, ROW, RIGHT, BELOW = 8.5, 4.6, 0.34, 0.35, 0.6
LONGEST, NAMED = 30, 5
WORDS = {"row": "new rows", "place": "new places"}


def compare(table: pd.DataFrame) -> Figure:
    """Draw the difference of every model to the best one, with one and two standard errors.

    Parameters
    ----------
    table : pandas.DataFrame
        The result of `priorhood.compare`, by row, by place or by evidence.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("compare.png")` writes it.

    Raises
    ------
    ModelError
        Another table; no matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> line = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> flat = ph.fit("price ~ 1 + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> table = ph.compare({"line": ph.loo(line, sales), "flat": ph.loo(flat, sales)})
    >>> [label.get_text() for label in ph.plot.compare(table).axes[0].get_yticklabels()]
    ['line', 'flat']
    """
    if "by" not in getattr(table, "attrs", {}):
        raise ModelError("plot.compare takes the table that compare() gives")
    attrs = table.attrs
    evidence = attrs["by"] == "evidence"
    off = table["log_bayes_factor" if evidence else "elpd_diff"].to_numpy(float)
    error = np.hypot(table["error"], table["error"].iloc[0]) if evidence else table["dse"].to_numpy(float)
    error = np.where(np.arange(len(off)) == 0, 0.0, error)
    names = [style.shortened(str(name), LONGEST) for name in table.index]

    best = names[0]
    if len(names) == 1:
        finding = f"{best} alone: nothing to compare with"
    elif evidence:
        odds = np.exp(-off[1])
        times = f"{odds:,.1f} times as probable as" if odds < 1e6 else "far more probable than"
        finding = f"{best} is {times} {names[1]}, the next one, with equal prior odds"
    elif -off[1] < 2 * error[1] or -off[1] < 4:
        finding = f"{best} predicts {WORDS[attrs['by']]} best, but not clearly better than {names[1]}"
    else:
        better = f"{-off[1]:,.1f} ± {error[1]:,.1f} better than {names[1]}"
        finding = f"{best} predicts {WORDS[attrs['by']]} best, {better}"
    if evidence:
        reading = (
            f"{attrs['count']:,} rows of {attrs['outcome']}. The evidence depends on the priors, the elpd hardly."
        )
        unit = "difference of log evidences (natural logarithm) to the best model"
    else:
        reading = (
            f"{attrs['count']:,} {plural(attrs['unit'])} left out one by one, outcome {attrs['outcome']}. Bars: "
            f"one and two standard errors of the difference."
        )
        unit = "difference of elpd to the best model (natural logarithm, all left out together)"

    heading = page.Heading(finding, reading, WIDTH)
    left, tall = 0.4 + 0.075 * max(map(len, names)), ROW * max(len(off), 2)
    figure = page.sheet(heading, heading.height + tall + BELOW)
    axes = page.panel(figure, left, BELOW, WIDTH - left - RIGHT, tall)
    y = np.arange(len(off))
    axes.axvline(0, color=style.SOFT, linewidth=0.7, linestyle=":")
    for reach, width in ((2, 1.0), (1, 3.0)):
        axes.hlines(y, off - reach * error, off + reach * error, color=style.COLOURS[0], linewidth=width)
    axes.plot(off, y, "o", color=style.COLOURS[0], markersize=6, markeredgecolor="white")
    axes.set_ylim(len(off) - 0.4, -0.6)
    style.names(axes.yaxis, y, names)
    low = min(float((off - 2 * error).min()), -1.0)
    axes.set_xlim(1.06 * low, max(float((off + 2 * error).max()), 0.06 * -low))
    style.numbers(axes.xaxis, 6)
    page.write(figure, left + (WIDTH - left - RIGHT) / 2, 0.12, unit, ha="center")
    return figure


def loo(result: Elpd) -> Figure:
    """Draw how well every place is predicted: its elpd per row against its number of rows; the worst are named.

    Parameters
    ----------
    result : Elpd
        The result of `priorhood.loo` or `priorhood.loo_places`; of rows the mean by place is drawn, or every row
        where there are no places.

    Returns
    -------
    matplotlib.figure.Figure
        Points with a Pareto k over the limit are red crosses.

    Raises
    ------
    ModelError
        No matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=100, seed=1)
    >>> figure = ph.plot.loo(ph.loo(post, sales))
    >>> figure.axes[0].get_xscale()
    'linear'
    """
    import pandas as pd

    point, bad = result.pointwise, len(result.bad)
    placeless = result.by == "row" and not (point["label"] != "").any()
    # Rows, elpd per row and largest Pareto k of every place.
    if result.by == "place":
        frame = pd.DataFrame({"rows": point["rows"], "each": point["elpd_per_row"], "k": point["pareto_k"]})
    elif placeless:
        at = np.arange(1, len(point) + 1)
        frame = pd.DataFrame(
            {"rows": at, "each": point["elpd"].to_numpy(), "k": point["pareto_k"].to_numpy()},
            index=[f"row {one:,}" for one in at],
        )
    else:
        own = point.assign(total=point["elpd"] * point["rows"]).groupby("label")
        rows = own["rows"].sum()
        frame = pd.DataFrame({"rows": rows, "each": own["total"].sum() / rows, "k": own["pareto_k"].max()})
    worst = frame.nsmallest(NAMED, "each")

    counted = f"{len(point):,} {plural(result.unit)}"
    trust = f"the estimate is reliable for all {counted}"
    if bad:
        trust = f"the estimate is unreliable for {bad:,} of {counted} (red): Pareto k over {result.good_k:.2f}"
    total = f"elpd {result.elpd:,.1f} ± {result.se:,.1f}".replace("-", "−")
    heading = page.Heading(
        f"Predicted worst: {join_words([str(label) for label in worst.index[:3]])}; {trust}",
        f"{result.formula}, {total}, leaving out one {result.unit} at a time. Low points: "
        f"{'rows' if placeless else 'places'} that the others predict badly; dotted: the mean row.",
        WIDTH,
        not bad,
    )
    figure = page.sheet(heading, HEIGHT)
    axes = page.panel(figure, 0.75, BELOW, WIDTH - 1.1, HEIGHT - BELOW - 0.9)
    beyond = frame["k"].to_numpy() > result.good_k
    x, y = frame["rows"].to_numpy(float), frame["each"].to_numpy(float)
    axes.plot(x[~beyond], y[~beyond], "o", color=style.COLOURS[0], markersize=4, alpha=0.6, markeredgewidth=0)
    axes.plot(x[beyond], y[beyond], "x", color=style.WARNING, markersize=6)
    if x.max() > 20 * x.min() and not placeless:
        axes.set_xscale("log")
        axes.minorticks_off()
        ticks = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6]
        ticks = [tick for tick in ticks if x.min() <= tick <= x.max()]
        axes.set_xticks(ticks, [style.number(t) for t in ticks])
    else:
        style.numbers(axes.xaxis)
    axes.axhline(result.elpd / point["rows"].sum(), color=style.SOFT, linewidth=0.7, linestyle=":")
    style.numbers(axes.yaxis)
    page.name_points(axes, worst[["rows", "each"]].to_numpy(float), [str(label) for label in worst.index])
    label = "row, in the table's order" if placeless else "rows of the place"
    page.write(figure, 0.53 * WIDTH, 0.14, label, ha="center")
    page.write(figure, 0.015 * WIDTH, HEIGHT / 2, "elpd per row (natural logarithm)", rotation=90, va="center")
    return figure

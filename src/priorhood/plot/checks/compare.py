"""Pictures of leave-one-out: models compared to the best one, and places by how well they are predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import join_words, plural
from priorhood.errors import ModelError
from priorhood.plot.figure import page, style

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from priorhood.evaluation.elpd import Elpd

# Inches.
WIDTH, HIGH, ROW, RIGHT, BELOW = 8.5, 3.1, 0.34, 0.35, 0.6
MAX_NAME, NAMED = 30, 5
PREDICTED = {"row": "new rows", "place": "new places"}


@suggest_argument_names
def compare(table: pd.DataFrame) -> Figure:
    """Draw the difference between each model and the best one, with one and two standard errors.

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
        The table is not a result of `priorhood.compare`; no matplotlib.

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
        raise ModelError("plot.compare takes the table returned by compare()")
    attrs = table.attrs
    evidence = attrs["by"] == "evidence"
    off = table["log_bayes_factor" if evidence else "elpd_diff"].to_numpy(float)
    error = np.hypot(table["error"], table["error"].iloc[0]) if evidence else table["dse"].to_numpy(float)
    error = np.where(np.arange(len(off)) == 0, 0.0, error)
    names = [style.shorten(str(name), MAX_NAME) for name in table.index]

    best = names[0]
    if len(names) == 1:
        title = f"{best} is the only model: there is nothing to compare it to"
    elif evidence:
        odds = np.exp(-off[1])
        times = f"{odds:,.1f} times as probable as" if odds < 1e6 else "far more probable than"
        title = f"{best} is {times} {names[1]}, the next best, if both are equally probable a priori"
    elif -off[1] < 2 * error[1] or -off[1] < 4:
        title = f"{best} predicts {PREDICTED[attrs['by']]} best, but not clearly better than {names[1]}"
    else:
        better = f"with an elpd {-off[1]:,.1f} ± {error[1]:,.1f} higher than that of {names[1]}"
        title = f"{best} predicts {PREDICTED[attrs['by']]} best, {better}"
    if evidence:
        subtitle = (
            f"{attrs['count']:,} rows, outcome {attrs['outcome']}, compared by evidence. The evidence depends "
            f"strongly on the priors, the elpd hardly at all."
        )
        unit = "difference in log evidence from the best model (natural logarithm)"
    else:
        subtitle = (
            f"{attrs['count']:,} {plural(attrs['unit'])} left out one at a time, outcome {attrs['outcome']}. Bars: "
            f"one and two standard errors of the difference."
        )
        unit = "difference in elpd from the best model (natural logarithm, sum over all left out)"

    left, tall = 0.4 + 0.075 * max(map(len, names)), ROW * max(len(off), 2)
    figure = page.new_figure(title, subtitle, WIDTH, tall + BELOW)
    axes = page.add_panel(figure, left, BELOW, WIDTH - left - RIGHT, tall)
    y = np.arange(len(off))
    axes.axvline(0, color=style.SOFT, linewidth=0.7, linestyle=":")
    for reach, width in ((2, 1.0), (1, 3.0)):
        axes.hlines(y, off - reach * error, off + reach * error, color=style.COLOURS[0], linewidth=width)
    axes.plot(off, y, "o", color=style.COLOURS[0], markersize=6, markeredgecolor="white")
    axes.set_ylim(len(off) - 0.4, -0.6)
    style.name_ticks(axes.yaxis, y, names)
    low = min(float((off - 2 * error).min()), -1.0)
    axes.set_xlim(1.06 * low, max(float((off + 2 * error).max()), 0.06 * -low))
    style.number_ticks(axes.xaxis, 6, unit, pad=4)
    return figure


@suggest_argument_names
def loo(result: Elpd) -> Figure:
    """Draw how well each place is predicted: elpd per row against number of rows, the worst places named.

    Parameters
    ----------
    result : Elpd
        The result of `priorhood.loo` or `priorhood.loo_places`. For rows, the mean by place is drawn, or every row
        if there are no places.

    Returns
    -------
    matplotlib.figure.Figure
        Points with a Pareto k above the limit are red crosses.

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
        number = np.arange(1, len(point) + 1)
        frame = pd.DataFrame(
            {"rows": number, "each": point["elpd"].to_numpy(), "k": point["pareto_k"].to_numpy()},
            index=[f"row {one:,}" for one in number],
        )
    else:
        places = point.assign(total=point["elpd"] * point["rows"]).groupby("label")
        rows = places["rows"].sum()
        frame = pd.DataFrame({"rows": rows, "each": places["total"].sum() / rows, "k": places["pareto_k"].max()})
    worst = frame.nsmallest(NAMED, "each")

    counted = f"{len(point):,} {plural(result.unit)}"
    trust = f"the estimate is reliable for all {counted}"
    if bad:
        trust = f"the estimate is unreliable for {bad:,} of {counted} (red): Pareto k above {result.good_k:.2f}"
    total = f"elpd {result.elpd:,.1f} ± {result.se:,.1f}".replace("-", "−")
    figure = page.new_figure(
        f"Worst predictions: {join_words([str(label) for label in worst.index[:3]])}; {trust}",
        f"{result.formula}, {total}, leaving out one {result.unit} at a time. The lower a point, the worse this "
        f"{'row' if placeless else 'place'} is predicted from the others; dotted: mean of all rows.",
        WIDTH,
        HIGH + BELOW + 0.15,
        good=not bad,
    )
    axes = page.add_panel(figure, 0.85, BELOW, WIDTH - 0.85 - RIGHT, HIGH)
    beyond = frame["k"].to_numpy() > result.good_k
    x, y = frame["rows"].to_numpy(float), frame["each"].to_numpy(float)
    axes.plot(x[~beyond], y[~beyond], "o", color=style.COLOURS[0], markersize=4, alpha=0.6, markeredgewidth=0)
    axes.plot(x[beyond], y[beyond], "x", color=style.WARNING, markersize=6)
    style.number_ticks(axes.xaxis, 5, "row, in the order of the table" if placeless else "rows of the place", pad=4)
    if x.max() > 20 * x.min() and not placeless:
        axes.set_xscale("log")
        style.log_ticks(axes.xaxis)
    axes.axhline(result.elpd / point["rows"].sum(), color=style.SOFT, linewidth=0.7, linestyle=":")
    style.number_ticks(axes.yaxis, 5, "elpd per row (natural logarithm)", pad=4)
    page.name_points(axes, worst[["rows", "each"]].to_numpy(float), [str(label) for label in worst.index])
    return figure

"""How much worse the other models are, and where a model foretells badly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import listed, plural
from priorhood.errors import ModelError
from priorhood.plot.figure import page

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood.evaluation.elpd import Elpd

# Inches.
WIDTH, HEIGHT, ROW, RIGHT, BELOW = 8.5, 4.6, 0.34, 0.35, 0.6
LONGEST, NAMED = 30, 5
WORDS = {"row": "rows that it has not seen", "place": "places that it has not seen"}


def compare(table: pd.DataFrame) -> Figure:
    """Every model's difference to the best one, with one and two standard errors.

    Parameters
    ----------
    table : what compare() gives, by row, by place or by evidence

    Returns
    -------
    matplotlib Figure, which notebooks show; `savefig("compare.png")` writes it

    Raises
    ------
    ModelError : another table; no matplotlib
    """
    from priorhood.plot.figure import style

    if "by" not in getattr(table, "attrs", {}):
        raise ModelError("plot.compare takes the table that compare() gives")
    evidence = table.attrs["by"] == "evidence"
    off = table["log_bayes_factor" if evidence else "elpd_diff"].to_numpy(float)
    error = np.hypot(table["error"], table["error"].iloc[0]) if evidence else table["dse"].to_numpy(float)
    error = np.where(np.arange(len(off)) == 0, 0.0, error)
    names = [style.shortened(str(name), LONGEST) for name in table.index]
    left = 0.4 + 0.075 * max(map(len, names))
    heading = page.Heading(_finding(table, names), _reading(table), WIDTH)
    height = heading.height + ROW * max(len(off), 2) + BELOW
    figure = style.picture(WIDTH, height)
    size = ((WIDTH - left - RIGHT) / WIDTH, ROW * max(len(off), 2) / height)
    axes = figure.add_axes((left / WIDTH, BELOW / height, *size))
    _rows(axes, off, error, names)
    unit = "difference of log evidences (natural logarithm) to the best model"
    if not evidence:
        unit = "difference of elpd to the best model (natural logarithm, all left out together)"
    style.words(figure.text((left + (WIDTH - left - RIGHT) / 2) / WIDTH, 0.12 / height, unit, ha="center"))
    heading.put(figure)
    return figure


def _rows(axes: Axes, off: np.ndarray, error: np.ndarray, names: list[str]) -> None:
    from priorhood.plot.figure import style

    style.plain(axes)
    y = np.arange(len(off))
    axes.axvline(0, color=style.SOFT, linewidth=0.7, linestyle=":")
    for reach, width in ((2, 1.0), (1, 3.0)):
        axes.hlines(y, off - reach * error, off + reach * error, color=style.COLOURS[0], linewidth=width)
    axes.plot(off, y, "o", color=style.COLOURS[0], markersize=6, markeredgecolor="white")
    axes.set_ylim(len(off) - 0.4, -0.6)
    axes.set_yticks(y, names)
    for text in axes.get_yticklabels():
        style.words(text, colour=style.INK)
    low = min(float((off - 2 * error).min()), -1.0)
    axes.set_xlim(1.06 * low, max(float((off + 2 * error).max()), 0.06 * -low))
    style.numbers(axes.xaxis, 6)


def _finding(table: pd.DataFrame, names: list[str]) -> str:
    best = names[0]
    if len(names) == 1:
        return f"{best} alone: nothing to compare with"
    if table.attrs["by"] == "evidence":
        odds = np.exp(-float(table["log_bayes_factor"].iloc[1]))
        times = f"{odds:,.1f} times as probable as" if odds < 1e6 else "far more probable than"
        return f"{best} is {times} {names[1]}, the next one, if all were alike beforehand"
    diff, dse = -float(table["elpd_diff"].iloc[1]), float(table["dse"].iloc[1])
    what = WORDS[table.attrs["by"]]
    if diff < 2 * dse or diff < 4:
        return f"{best} foretells {what} best, but not surely better than {names[1]}"
    return f"{best} foretells {what} best, {diff:,.1f} ± {dse:,.1f} better than {names[1]}"


def _reading(table: pd.DataFrame) -> str:
    attrs = table.attrs
    if attrs["by"] == "evidence":
        return (
            f"{attrs['count']:,} rows of {attrs['outcome']}. The evidence depends on the priors, the elpd hardly."
        )
    what = f"{attrs['count']:,} {plural(attrs['unit'])} left out one by one, outcome {attrs['outcome']}"
    return f"{what}. Bars: one and two standard errors of the difference."


def loo(result: Elpd) -> Figure:
    """How well every place is foretold: elpd per row of each against its rows; the worst are named.

    Parameters
    ----------
    result : what loo() or loo_places() gives; of rows the mean by place, or every row where there are no places

    Returns
    -------
    matplotlib Figure; what has a Pareto k over the limit is red and crossed

    Raises
    ------
    ModelError : no matplotlib
    """
    from priorhood.plot.figure import style

    frame = _by_place(result)
    figure = style.picture(WIDTH, HEIGHT)
    axes = figure.add_axes((0.75 / WIDTH, BELOW / HEIGHT, (WIDTH - 1.1) / WIDTH, (HEIGHT - BELOW - 0.9) / HEIGHT))
    style.plain(axes)
    bad = frame["k"].to_numpy() > result.good_k
    x, y = frame["rows"].to_numpy(float), frame["each"].to_numpy(float)
    axes.plot(x[~bad], y[~bad], "o", color=style.COLOURS[0], markersize=4, alpha=0.6, markeredgewidth=0)
    axes.plot(x[bad], y[bad], "x", color=style.WARNING, markersize=6)
    several = x.min() != x.max()
    if several and x.max() > 20 * x.min() and not _placeless(result):
        axes.set_xscale("log")
        axes.minorticks_off()
        ticks = [t for t in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6) if t <= x.max()]
        axes.set_xticks([t for t in ticks if t >= x.min()], [style.number(t) for t in ticks if t >= x.min()])
    else:
        style.numbers(axes.xaxis)
    axes.axhline(result.elpd / result.pointwise["rows"].sum(), color=style.SOFT, linewidth=0.7, linestyle=":")
    style.numbers(axes.yaxis)
    _name_worst(axes, frame)
    _told(figure, result, [str(one) for one in frame.nsmallest(3, "each").index])
    return figure


def _placeless(result: Elpd) -> bool:
    return result.by == "row" and not (result.pointwise["label"] != "").any()


def _by_place(result: Elpd) -> Any:
    """Rows, elpd per row and greatest Pareto k of every place."""
    import pandas as pd

    point = result.pointwise
    if result.by == "place":
        return pd.DataFrame({"rows": point["rows"], "each": point["elpd_per_row"], "k": point["pareto_k"]})
    if _placeless(result):
        each, k = point["elpd"].to_numpy(), point["pareto_k"].to_numpy()
        at = np.arange(1, len(point) + 1)
        return pd.DataFrame({"rows": at, "each": each, "k": k}, index=[f"row {one:,}" for one in at])
    own = point.assign(total=point["elpd"] * point["rows"]).groupby("label")
    rows = own["rows"].sum()
    return pd.DataFrame({"rows": rows, "each": own["total"].sum() / rows, "k": own["pareto_k"].max()})


def _name_worst(axes: Axes, frame: pd.DataFrame) -> list[str]:
    """The worst by name, as far as their names find room."""
    worst = frame.nsmallest(NAMED, "each")
    return page.name_points(axes, worst[["rows", "each"]].to_numpy(float), [str(label) for label in worst.index])


def _told(figure: Figure, result: Elpd, worst: list[str]) -> None:
    from priorhood.plot.figure import style

    placeless = _placeless(result)
    bad = len(result.bad)
    what = plural(result.unit)
    counted = f"{len(result.pointwise):,} {what}"
    trust = f"all {counted} are judged surely"
    if bad:
        trust = f"{bad:,} of {counted} (red) cannot be judged surely: Pareto k over {result.good_k:.2f}"
    finding = f"Foretold worst: {listed(worst)}; {trust}"
    places = "rows" if placeless else "places"
    total = f"elpd {result.elpd:,.1f} ± {result.se:,.1f}".replace("-", "−")
    reading = (
        f"{result.formula}, {total}, leaving out one {result.unit} at a time. Low points: {places} that the others "
        f"foretell badly; dotted: the mean row."
    )
    page.Heading(finding, reading, WIDTH, not bad).put(figure)
    x_label = "row, in the table's order" if placeless else "rows of the place"
    style.words(figure.text(0.53, 0.14 / HEIGHT, x_label, ha="center"))
    y_label = "elpd per row (natural logarithm)"
    style.words(figure.text(0.015, 0.5, y_label, rotation=90, va="center"))

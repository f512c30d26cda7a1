"""Time against rows and against groups, from the records: one line a contender, labelled where it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench import data
from bench.contenders import CONTENDERS, YARDSTICK
from bench.tables import fit_seconds
from priorhood.plot.figure import style

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

    from bench.contest import Record
    from bench.data import Size
    from bench.scale import Records

PANELS = {
    "first result: import, read, compile, fit": lambda record: record.first,
    "a further fit in the same process": fit_seconds,
}
# Least distance of two labels, in powers of ten a unit of the axis' height.
GAP = 0.052


def draw(records: Records, sizes: tuple[Size, ...], model: str, *, by: str, path: Path) -> None:
    """Both panels over one series; by : "rows" or "groups"."""
    figure = style.picture(10.4, 4.9)
    spans = _spans(records, sizes, model, by)
    for at, (title, seconds) in enumerate(PANELS.items()):
        axes = figure.add_axes((0.07 + 0.47 * at, 0.13, 0.30, 0.74))
        style.simplify_axes(axes)
        axes.set_xscale("log")
        axes.set_yscale("log")
        # Before anything is drawn: the labels need to know where their lines end.
        axes.set_xlim(spans[0])
        axes.set_ylim(spans[1])
        style.format_text(axes.set_title(title, loc="left"), size=style.NORMAL, colour=style.INK)
        style.format_text(axes.set_xlabel(_what(by)), size=style.SMALL)
        _lines(axes, records, sizes, model, by, seconds)
        if at == 0:
            style.format_text(axes.set_ylabel("seconds"), size=style.SMALL)
    style.format_text(
        figure.text(0.07, 0.015, "○ point estimate   × stopped at a limit or failed at the next size"
                    "   ▲ draws short of the quality: it needs longer"),
        size=style.SMALL,
    )  # fmt: skip
    figure.savefig(path)


def _spans(
    records: Records, sizes: tuple[Size, ...], model: str, by: str
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Limits of both axes, the same in all panels, so that they can be compared."""
    here = [
        one for one in records.by_key.values() if one.model == model and data.Size(one.rows, one.groups) in sizes
    ]
    fitted = [one for one in here if one.status == "fitted"]
    x = [getattr(one, by) for one in fitted] or [1]
    y = [value for one in fitted for seconds in PANELS.values() if (value := seconds(one))] or [1.0]
    return (min(x) / 1.4, max(x) * 1.6), (min(y) / 1.6, max(y) * 1.8)


def _what(by: str) -> str:
    return "rows, in 219 groups" if by == "rows" else "groups, of 20 to 50 rows each on average"


def _lines(
    axes: Axes, records: Records, sizes: tuple[Size, ...], model: str, by: str,
    seconds: Callable[[Record], float | None],
) -> None:  # fmt: skip
    ends = []
    for at, (name, contender) in enumerate(CONTENDERS.items()):
        at_sizes = [records.by_key.get((name, model, size.rows, size.groups)) for size in sizes]
        fitted = [one for one in at_sizes if one is not None and one.status == "fitted"]
        if not fitted:
            continue
        x = [getattr(one, by) for one in fitted]
        y = [seconds(one) for one in fitted]
        look = style.chain_look(at) | {"linewidth": 2.6 if name == YARDSTICK else 1.3}
        marker = {
            # Another mark where the colours start again.
            "marker": "o" if at < len(style.COLOURS) else "s",
            "markersize": 4.5,
            "markerfacecolor": look["color"] if contender.draws else "white",
        }
        axes.plot(x, y, **look, **marker, zorder=3 if name == YARDSTICK else 2)
        short = [i for i, one in enumerate(fitted) if not one.reached]
        axes.plot(
            [x[i] for i in short], [y[i] for i in short], linestyle="", marker="^", markersize=8,
            color=look["color"], zorder=4,
        )  # fmt: skip
        if any(one is not None and one.status != "fitted" for one in at_sizes):
            axes.plot(x[-1:], y[-1:], marker="x", markersize=9, color=look["color"], zorder=4)
        ends.append((x[-1], y[-1], contender.label, look["color"], name == YARDSTICK))
    _ticks(axes)
    _labels(axes, ends)


def _ticks(axes: Axes) -> None:
    """Powers of ten as numbers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(10, numticks=12))
        axis.set_major_formatter(FuncFormatter(_short))
        axis.set_minor_formatter(NullFormatter())


def _short(value: float, _: object = None) -> str:
    """10,000 as it is, from a million on in millions."""
    return f"{style.number(value / 1e6)} m" if value >= 1e6 else style.number(value)


def _labels(axes: Axes, ends: list[Any]) -> None:
    """Names beside the axes, at their line's end or as near as the others leave room, with a thread to it."""
    if not ends:
        return
    ends = sorted(ends, key=lambda end: end[1])
    at = axes.transAxes.inverted()
    points = [at.transform(axes.transData.transform((x, y))) for x, y, *_ in ends]
    heights = spread([point[1] for point in points], GAP, most=1.0)
    for (_, _, text, colour, bold), point, height in zip(ends, points, heights, strict=True):
        axes.annotate(
            "", xy=point, xytext=(1.05, height), xycoords="axes fraction", textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "color": colour, "linewidth": 0.5, "alpha": 0.6},
        )  # fmt: skip
        label = axes.text(1.06, height, text, transform=axes.transAxes, va="center")
        style.format_text(label, colour=colour, bold=bold)


def spread(heights: list[float], gap: float, most: float = np.inf) -> list[float]:
    """Heights, ascending, moved as little as it takes to lie so far apart and none above most (least squares).

    With h_i = z_i + i gap, z must not fall: the pool of adjacent violators, cut off where the last is too high.
    """
    pools: list[list[float]] = []
    for at, height in enumerate(heights):
        pools.append([height - at * gap])
        while len(pools) > 1 and np.mean(pools[-2]) > np.mean(pools[-1]):
            last = pools.pop()
            pools[-1] += last
    top = most - (len(heights) - 1) * gap
    flat = [min(float(np.mean(pool)), top) for pool in pools for _ in pool]
    return [z + at * gap for at, z in enumerate(flat)]

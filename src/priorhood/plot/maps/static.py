"""Maps: one number for every place, as the colour of its polygon."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood._arguments import answers_other_names
from priorhood.plot.figure import page
from priorhood.plot.maps.values import Mapped, mapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure
    from matplotlib.text import Text

    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, TALLEST, LOWEST, SIDE, BELOW, BAR = 9.0, 9.5, 3.5, 0.3, 0.62, 1.55
NAMED = 3  # of the highest, and of the lowest
GREY, EDGE = "#DDDDDD", "#FFFFFF"


@answers_other_names
def map(  # noqa: A001  # the word for it
    post: Posterior,
    polygons: object,
    show: str | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    below: float | None = None,
    column: str | None = None,
    level: str | None = None,
    crs: object = None,
) -> Figure:
    """A map of what one and the same home costs in every place, or of what else is known of the places.

    Parameters
    ----------
    post : a posterior with groups
    polygons : of the places: a file that geopandas reads, a GeoDataFrame, GeoJSON as a mapping, or Areas
    show : "price", the mean of E(y | θ); "below", the probability that such a home costs less than `below`; "sd",
        of E(y | θ), what is not known of the place; "rows", of the data; or a coefficient, "beta[living_space]". If
        None, "below" where a threshold is given, else "price"
    at : values of predictors, {"living_space": 100}; the others are typical, see Posterior.homes
    below : threshold in the outcome's units
    column : the polygons' property with the labels; found if None, see read_areas
    level : the grouping whose places are shown; the finest if None
    crs : of the coordinates, where the file does not say it

    Returns
    -------
    matplotlib Figure; `savefig("map.png")` writes it. Below it stands what did not match

    Raises
    ------
    ModelError, TableError, FileError : no group, no such predictor or coefficient, no polygon of any place, no CRS,
        no geopandas or matplotlib
    """
    from priorhood.plot.figure import style

    found = mapped(post, polygons, show, at=at, below=below, column=column, level=level, crs=crs)
    west, south, east, north = found.areas.box
    wide = WIDTH - 2 * SIDE - BAR
    tall = float(np.clip(wide * (north - south) / max(east - west, 1e-9), LOWEST, TALLEST))
    heading = page.Heading(_finding(found), found.note, WIDTH)
    height = heading.height + tall + BELOW
    figure = style.picture(WIDTH, height)
    axes = figure.add_axes((SIDE / WIDTH, BELOW / height, wide / WIDTH, tall / height))
    _polygons(axes, found)
    _extremes(axes, found, wide / (east - west) if east > west else 1.0)
    long = min(tall, 3.6)
    bar = figure.add_axes(
        ((WIDTH - BAR) / WIDTH, (BELOW + tall / 2 - long / 2) / height, 0.18 / WIDTH, long / height)
    )
    _bar(bar, found)
    heading.put(figure)
    account = figure.text(page.EDGE / WIDTH, 0.28 / height, "\n".join(wrap(found.areas.account() + ".", 150)[:2]))
    style.words(account, size=7.0)
    return figure


def _finding(found: Mapped) -> str:
    """What is shown, and the highest and the lowest place."""
    there = np.flatnonzero(np.isfinite(found.values))
    if len(there) < 2 or np.ptp(found.values[there]) == 0:
        return found.title
    ends = (int(there[pick(found.values[there])]) for pick in (np.argmax, np.argmin))
    high, low = (f"{found.text(found.values[at])} in {found.areas.labels[at]}" for at in ends)
    return f"{found.title}: {high}, {low}"


def coloured(found: Mapped) -> list[str]:
    """The colour of every place, #RRGGBB; grey where its value is not known."""
    from matplotlib.colors import to_hex

    colours = _colours(found)
    low, high = found.limits
    share = np.clip((found.values - low) / (high - low), 0, 1)
    return [to_hex(colours(float(one))) if np.isfinite(one) else GREY for one in share]


def colour_stops(found: Mapped, count: int = 9) -> list[str]:
    """Colours of the scale from its lower to its upper limit, for a legend."""
    from matplotlib.colors import to_hex

    colours = _colours(found)
    return [to_hex(colours(one)) for one in np.linspace(0, 1, count).tolist()]


def _colours(found: Mapped) -> Colormap:
    """Told apart by all kinds of colour vision and in grey; two-sided only where the values have a middle."""
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    if found.diverging:
        return LinearSegmentedColormap.from_list(
            "blue to orange", ["#0B4F8A", "#8DB8DE", "#F4F4F0", "#F0A25E", "#A04000"]
        )
    return mpl.colormaps["viridis"]


def _polygons(axes: Axes, found: Mapped) -> None:
    from matplotlib.collections import PatchCollection

    axes.set_axis_off()
    axes.set_aspect("equal")
    shapes = found.areas.plane.to_numpy()
    own = len(found.areas.labels)
    colours = [*coloured(found), *[GREY] * (len(shapes) - own)]
    thin = 0.4 if len(shapes) > 60 else 0.7
    axes.add_collection(
        PatchCollection([_patch(shape) for shape in shapes], facecolors=colours, edgecolors=EDGE, linewidths=thin)
    )
    west, south, east, north = found.areas.box
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)


def _patch(shape: Any) -> Any:
    """A polygon with its holes; of several parts too."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    rings = [
        np.asarray(ring.coords)[:, :2]
        for part in getattr(shape, "geoms", [shape])
        for ring in (part.exterior, *part.interiors)
    ]
    codes: list[npt.NDArray[np.uint8]] = []
    for ring in rings:
        one = np.full(len(ring), Path.LINETO, dtype=np.uint8)
        one[0], one[-1] = Path.MOVETO, Path.CLOSEPOLY
        codes.append(one)
    return PathPatch(Path(np.concatenate(rings), np.concatenate(codes)))


def _extremes(axes: Axes, found: Mapped, inches: float) -> None:
    """Names of the highest and the lowest places, as far as they do not cover each other.

    inches : on the paper, of a metre
    """
    from priorhood.plot.figure import style

    order = [int(one) for one in np.argsort(found.values, kind="stable") if np.isfinite(found.values[one])]
    if len(order) <= 1 or found.values[order[0]] == found.values[order[-1]]:
        return
    chosen = [one for side in (order[::-1], order) for one in _ahead(found, side)]
    points = found.areas.plane.iloc[: len(found.areas.labels)].representative_point()
    taken: list[tuple[float, float, float]] = []
    for one in dict.fromkeys(chosen):
        x, y = float(points.iloc[one].x), float(points.iloc[one].y)
        label = style.shortened(found.areas.labels[one], 24)
        half = 0.036 * max(len(label), 9)
        if any(abs(x - px) * inches < half + other and abs(y - py) * inches < 0.3 for px, py, other in taken):
            continue
        taken.append((x, y, half))
        text = axes.text(x, y, f"{label}\n{_brief(found, one)}", ha="center", va="center", linespacing=1.05)
        style.words(text, size=6.8, colour=style.INK)
        text.set_bbox({"boxstyle": "round,pad=0.2", "facecolor": "white", "alpha": 0.85, "edgecolor": "none"})


def _brief(found: Mapped, one: int) -> str:
    """A value, with its unit where that is short."""
    text = found.text(found.values[one])
    return text if len(found.unit) <= 4 else text.removesuffix(found.unit).strip()


def _ahead(found: Mapped, order: list[int]) -> list[int]:
    """The first of an order, without those that read like one behind them."""
    behind = found.text(found.values[order[NAMED]]) if len(order) > NAMED else ""
    return [one for one in order[:NAMED] if found.text(found.values[one]) != behind]


def _bar(axes: Axes, found: Mapped) -> None:
    """The colours' scale, with arrows where places lie beyond it; and what is grey."""
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    from priorhood.plot.figure import style

    low, high = found.limits
    axes.imshow(
        np.linspace(0, 1, 256)[:, None],
        cmap=_colours(found),
        aspect="auto",
        origin="lower",
        extent=(0, 1, low, high),
    )
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(colors=style.SOFT, labelcolor=style.INK, labelsize=style.SMALL, width=0.7, length=3)
    style.numbers(axes.yaxis, 6)
    if found.kind == "share":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    elif found.kind == "count":
        axes.yaxis.set_major_formatter(FuncFormatter(style.number))
    there = found.values[np.isfinite(found.values)]
    for beyond, mark, lift, side, off in (
        (there[there > high], "▲", 1.0, "bottom", 7), (there[there < low], "▼", 0.0, "top", -7),
    ):  # fmt: skip
        if len(beyond):
            far = beyond.max() if mark == "▲" else beyond.min()
            style.words(_beside(axes, lift, off, f"{mark} to {found.text(far)}", side), colour=style.INK)
    words = found.unit or {"share": "", "count": "rows"}.get(found.kind, "")
    if words:
        off = 21 if (there > high).any() else 7
        style.words(_beside(axes, 1.0, off, "\n".join(wrap(words, 22)[:3]), "bottom"), colour=style.INK)
    if len(found.areas.others) or not np.isfinite(found.values).all():
        from matplotlib.patches import Patch

        axes.legend(
            handles=[Patch(color=GREY, label="no data")], loc="upper left", bbox_to_anchor=(-0.35, -0.08),
            fontsize=style.SMALL, frameon=False, handlelength=1.0, borderpad=0, labelcolor=style.INK,
        )  # fmt: skip


def _beside(axes: Axes, end: float, off: float, text: str, side: str) -> Text:
    """A text above or below the scale, clear of the numbers at its ends."""
    return axes.annotate(text, (0, end), (0, off), xycoords="axes fraction", textcoords="offset points", va=side)

"""Map as a picture: one number for every place, shown as the colour of its polygon."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood.plot.figure import page, style
from priorhood.plot.maps.areas import read_areas
from priorhood.plot.maps.colours import GREY, colour_map, place_colours
from priorhood.plot.maps.values import MapValues, map_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, MAX_HEIGHT, MIN_HEIGHT, SIDE, BELOW, BAR = 9.0, 9.5, 3.5, 0.3, 0.62, 1.55
NAMED = 3  # number of the highest, and of the lowest, places named
EDGE = "#FFFFFF"


@suggest_argument_names
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
    """Draw a map of the expected outcome of a given home in every place, or of another number.

    Parameters
    ----------
    post : Posterior
        With groups.
    polygons
        Polygons of the places: a file that geopandas reads, a GeoDataFrame, GeoJSON as a mapping, or Areas.
    show : str, optional
        "price", the mean of E(y | θ); "below", the probability that the home costs less than `below`; "sd", the
        posterior sd of E(y | θ); "rows", the number of rows of data; or a coefficient, "beta[living_space]". By
        default "below" with a threshold, else "price".
    at : mapping, optional
        Values of predictors, {"living_space": 100}; the others have typical values, see `Posterior.homes`.
    below : float, optional
        Threshold in the outcome's units.
    column : str, optional
        The property of the polygons with the labels; by default the one with the most labels in common.
    level : str, optional
        The grouping whose places are shown; by default the finest.
    crs : optional
        CRS of the coordinates, if the file does not state it.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("map.png")` writes it. The last line lists places and polygons without a match.

    Raises
    ------
    ModelError, TableError, FileError
        No group; an unknown predictor or coefficient; no polygon of a known place; no CRS; no geopandas or
        matplotlib.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> figure = ph.plot.map(post, ph.datasets.simulate_areas(8), at={"living_space": 100})
    >>> figure.texts[-1].get_text()
    'All 8 zips have a polygon in the GeoJSON (zip).'
    """
    areas = read_areas(polygons, post, column=column, level=level, crs=crs)
    values = map_values(post, areas, show, at=at, below=below)
    known = np.flatnonzero(np.isfinite(values.values))
    title = values.title
    if len(known) > 1 and np.ptp(values.values[known]) > 0:
        extremes = (int(known[pick(values.values[known])]) for pick in (np.argmax, np.argmin))
        title += ": " + ", ".join(f"{values.text(values.values[at])} in {areas.labels[at]}" for at in extremes)
    west, south, east, north = areas.box
    wide = WIDTH - 2 * SIDE - BAR
    tall = float(np.clip(wide * (north - south) / max(east - west, 1e-9), MIN_HEIGHT, MAX_HEIGHT))
    figure = page.new_figure(title, values.note, WIDTH, tall + BELOW)
    axes = page.add_panel(figure, SIDE, BELOW, wide, tall)
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    axes.set_axis_off()
    axes.set_aspect("equal")
    patches = []
    for shape in areas.plane.to_numpy():
        parts = getattr(shape, "geoms", [shape])
        rings = [np.asarray(ring.coords)[:, :2] for part in parts for ring in (part.exterior, *part.interiors)]
        codes = [[Path.MOVETO, *[Path.LINETO] * (len(ring) - 2), Path.CLOSEPOLY] for ring in rings]
        patches.append(PathPatch(Path(np.concatenate(rings), np.concatenate(codes))))
    colours = [*place_colours(values), *[GREY] * len(areas.others)]
    thin = 0.4 if len(patches) > 60 else 0.7
    axes.add_collection(PatchCollection(patches, facecolors=colours, edgecolors=EDGE, linewidths=thin))
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    _name_extremes(axes, values, wide / (east - west) if east > west else 1.0)
    long = min(tall, 3.6)
    _draw_scale(page.add_panel(figure, WIDTH - BAR, BELOW + tall / 2 - long / 2, 0.18, long), values)
    page.write(figure, page.EDGE, 0.28, "\n".join(wrap(areas.account() + ".", 150)[:2]), size=7.0)
    return figure


def _name_extremes(axes: Axes, values: MapValues, inches: float) -> None:
    """Name the highest and lowest places, unless a name would cover another one.

    Parameters
    ----------
    axes : Axes
    values : MapValues
    inches : float
        Size of a metre on paper.
    """
    heights = values.values
    order = [int(one) for one in np.argsort(heights, kind="stable") if np.isfinite(heights[one])]
    if len(order) <= 1 or heights[order[0]] == heights[order[-1]]:
        return
    chosen = []
    for side in (order[::-1], order):
        # Without places whose value reads the same as that of the first one not named.
        behind = values.text(heights[side[NAMED]]) if len(side) > NAMED else ""
        chosen += [one for one in side[:NAMED] if values.text(heights[one]) != behind]
    points = values.areas.plane.iloc[: len(values.areas.labels)].representative_point()
    taken: list[tuple[float, float, float]] = []
    for one in dict.fromkeys(chosen):
        x, y = float(points.iloc[one].x), float(points.iloc[one].y)
        label, value = style.shorten(values.areas.labels[one], 24), values.text(heights[one])
        half = 0.036 * max(len(label), 9)
        if any(abs(x - px) * inches < half + other and abs(y - py) * inches < 0.3 for px, py, other in taken):
            continue
        taken.append((x, y, half))
        if len(values.unit) > 4:
            value = value.removesuffix(values.unit).strip()
        text = axes.text(x, y, f"{label}\n{value}", ha="center", va="center", linespacing=1.05)
        style.format_text(text, size=6.8, colour=style.INK)
        text.set_bbox({"boxstyle": "round,pad=0.2", "facecolor": "white", "alpha": 0.85, "edgecolor": "none"})


def _draw_scale(axes: Axes, values: MapValues) -> None:
    """Draw the colour scale, with arrows if places lie beyond it, and the legend of grey."""
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    def annotate(end: float, off: float, text: str, side: str) -> None:
        # Above or below the scale, away from the numbers at its ends.
        note = axes.annotate(
            text, (0, end), (0, off), xycoords="axes fraction", textcoords="offset points", va=side
        )
        style.format_text(note, colour=style.INK)

    low, high = values.limits
    axes.imshow(
        np.linspace(0, 1, 256)[:, None],
        cmap=colour_map(values),
        aspect="auto",
        origin="lower",
        extent=(0, 1, low, high),
    )
    axes.set_xticks([])
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    for spine in axes.spines.values():
        spine.set_visible(False)
    style.number_ticks(axes.yaxis, 6)
    if values.kind == "share":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    elif values.kind == "count":
        axes.yaxis.set_major_formatter(FuncFormatter(style.number))
    known = values.values[np.isfinite(values.values)]
    if (known > high).any():
        annotate(1.0, 7, f"▲ to {values.text(known.max())}", "bottom")
    if (known < low).any():
        annotate(0.0, -7, f"▼ to {values.text(known.min())}", "top")
    label = values.unit or {"count": "rows"}.get(values.kind, "")
    if label:
        annotate(1.0, 21 if (known > high).any() else 7, "\n".join(wrap(label, 22)[:3]), "bottom")
    if len(values.areas.others) or len(known) < len(values.values):
        axes.legend(
            handles=[Patch(color=GREY, label="no data")], loc="upper left", bbox_to_anchor=(-0.35, -0.08),
            fontsize=style.SMALL, frameon=False, handlelength=1.0, borderpad=0, labelcolor=style.INK,
        )  # fmt: skip

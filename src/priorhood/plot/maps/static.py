"""Map as a picture: one number for every place, as the colour of its polygon."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood.plot.figure import page, style
from priorhood.plot.maps.areas import read_areas
from priorhood.plot.maps.values import Mapped, mapped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure

    from priorhood.posterior.posterior import Posterior

# Inches.
WIDTH, TALLEST, LOWEST, SIDE, BELOW, BAR = 9.0, 9.5, 3.5, 0.3, 0.62, 1.55
NAMED = 3  # of the highest, and of the lowest
GREY, EDGE = "#DDDDDD", "#FFFFFF"


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
    """Draw a map of the expected outcome of one and the same home in every place, or of another number.

    Parameters
    ----------
    post : Posterior
        With groups.
    polygons
        Of the places: a file that geopandas reads, a GeoDataFrame, GeoJSON as a mapping, or Areas.
    show : str, optional
        "price", the mean of E(y | θ); "below", the probability that such a home costs less than `below`; "sd", the
        posterior sd of E(y | θ); "rows", of the data; or a coefficient, "beta[living_space]". By default "below"
        with a threshold, else "price".
    at : mapping, optional
        Values of predictors, {"living_space": 100}; the others are typical, see `Posterior.homes`.
    below : float, optional
        Threshold in the outcome's units.
    column : str, optional
        The polygons' property with the labels; by default the one that has most of them.
    level : str, optional
        The grouping whose places are shown; by default the finest.
    crs : optional
        CRS of the coordinates, where the file does not name it.

    Returns
    -------
    matplotlib.figure.Figure
        Notebooks show it; `savefig("map.png")` writes it. The last line names places and polygons without a match.

    Raises
    ------
    ModelError, TableError, FileError
        No group, no such predictor or coefficient, no polygon of any place, no CRS, no geopandas or matplotlib.

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
    found = mapped(post, areas, show, at=at, below=below)
    there = np.flatnonzero(np.isfinite(found.values))
    finding = found.title
    if len(there) > 1 and np.ptp(found.values[there]) > 0:
        ends = (int(there[pick(found.values[there])]) for pick in (np.argmax, np.argmin))
        finding += ": " + ", ".join(f"{found.text(found.values[at])} in {areas.labels[at]}" for at in ends)
    west, south, east, north = areas.box
    wide = WIDTH - 2 * SIDE - BAR
    tall = float(np.clip(wide * (north - south) / max(east - west, 1e-9), LOWEST, TALLEST))
    heading = page.Heading(finding, found.note, WIDTH)
    figure = page.sheet(heading, heading.height + tall + BELOW)
    axes = page.panel(figure, SIDE, BELOW, wide, tall)
    _polygons(axes, found)
    _extremes(axes, found, wide / (east - west) if east > west else 1.0)
    long = min(tall, 3.6)
    _bar(page.panel(figure, WIDTH - BAR, BELOW + tall / 2 - long / 2, 0.18, long), found)
    page.write(figure, page.EDGE, 0.28, "\n".join(wrap(areas.account() + ".", 150)[:2]), size=7.0)
    return figure


def coloured(found: Mapped) -> list[str]:
    """Colour of every place, #RRGGBB; grey where its value is not known."""
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
    """Draw the polygons in their colours."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    axes.set_axis_off()
    axes.set_aspect("equal")
    patches = []
    for shape in found.areas.plane.to_numpy():
        parts = getattr(shape, "geoms", [shape])
        rings = [np.asarray(ring.coords)[:, :2] for part in parts for ring in (part.exterior, *part.interiors)]
        codes = [[Path.MOVETO, *[Path.LINETO] * (len(ring) - 2), Path.CLOSEPOLY] for ring in rings]
        patches.append(PathPatch(Path(np.concatenate(rings), np.concatenate(codes))))
    colours = [*coloured(found), *[GREY] * (len(patches) - len(found.areas.labels))]
    thin = 0.4 if len(patches) > 60 else 0.7
    axes.add_collection(PatchCollection(patches, facecolors=colours, edgecolors=EDGE, linewidths=thin))
    west, south, east, north = found.areas.box
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)


def _extremes(axes: Axes, found: Mapped, inches: float) -> None:
    """Name the highest and the lowest places, as far as their names do not cover each other.

    inches : on the paper, of a metre
    """
    values = found.values
    order = [int(one) for one in np.argsort(values, kind="stable") if np.isfinite(values[one])]
    if len(order) <= 1 or values[order[0]] == values[order[-1]]:
        return
    chosen = []
    for side in (order[::-1], order):
        # Without those that read like the first one that is not named.
        behind = found.text(values[side[NAMED]]) if len(side) > NAMED else ""
        chosen += [one for one in side[:NAMED] if found.text(values[one]) != behind]
    points = found.areas.plane.iloc[: len(found.areas.labels)].representative_point()
    taken: list[tuple[float, float, float]] = []
    for one in dict.fromkeys(chosen):
        x, y = float(points.iloc[one].x), float(points.iloc[one].y)
        label, value = style.shortened(found.areas.labels[one], 24), found.text(values[one])
        half = 0.036 * max(len(label), 9)
        if any(abs(x - px) * inches < half + other and abs(y - py) * inches < 0.3 for px, py, other in taken):
            continue
        taken.append((x, y, half))
        if len(found.unit) > 4:
            value = value.removesuffix(found.unit).strip()
        text = axes.text(x, y, f"{label}\n{value}", ha="center", va="center", linespacing=1.05)
        style.words(text, size=6.8, colour=style.INK)
        text.set_bbox({"boxstyle": "round,pad=0.2", "facecolor": "white", "alpha": 0.85, "edgecolor": "none"})


def _bar(axes: Axes, found: Mapped) -> None:
    """Draw the colours' scale, with arrows where places lie beyond it, and the meaning of grey."""
    from matplotlib.patches import Patch
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    def write(end: float, off: float, text: str, side: str) -> None:
        # Above or below the scale, clear of the numbers at its ends.
        note = axes.annotate(
            text, (0, end), (0, off), xycoords="axes fraction", textcoords="offset points", va=side
        )
        style.words(note, colour=style.INK)

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
    style.numbers(axes.yaxis, 6)
    if found.kind == "share":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None, symbol=" %"))
    elif found.kind == "count":
        axes.yaxis.set_major_formatter(FuncFormatter(style.number))
    there = found.values[np.isfinite(found.values)]
    if (there > high).any():
        write(1.0, 7, f"▲ to {found.text(there.max())}", "bottom")
    if (there < low).any():
        write(0.0, -7, f"▼ to {found.text(there.min())}", "top")
    words = found.unit or {"count": "rows"}.get(found.kind, "")
    if words:
        write(1.0, 21 if (there > high).any() else 7, "\n".join(wrap(words, 22)[:3]), "bottom")
    if len(found.areas.others) or len(there) < len(found.values):
        axes.legend(
            handles=[Patch(color=GREY, label="no data")], loc="upper left", bbox_to_anchor=(-0.35, -0.08),
            fontsize=style.SMALL, frameon=False, handlelength=1.0, borderpad=0, labelcolor=style.INK,
        )  # fmt: skip

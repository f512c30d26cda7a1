"""Frame of all pictures: title and subtitle, panels placed in inches, names of points, legend."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.diagnostics.uniformity import p_text
from priorhood.errors import ModelError
from priorhood.plot.figure import style

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from priorhood._arrays import Array

# Inches.
EDGE, LINE, ABOVE = 0.25, 0.175, 0.14
# Letters per inch of bold and of small text.
BOLD, PLAIN = 12.0, 15.5


def new_figure(title: str, subtitle: str, width: float, body: float, *, good: bool = True) -> Figure:
    """Return a figure with its heading, and `body` inches of room below it.

    Parameters
    ----------
    title : str
        The main finding, in bold; at most two lines.
    subtitle : str
        What is shown, and how to read it; at most three lines.
    width, body : float
        Inches.
    good : bool
        False if the finding is a problem: the title is then red.
    """
    room = width - 2 * EDGE
    bold = textwrap.wrap(title, int(room * BOLD), max_lines=2, placeholder=" …")
    plain = textwrap.wrap(subtitle, int(room * PLAIN), max_lines=3, placeholder=" …")
    height = ABOVE + LINE * (len(bold) + len(plain)) + ABOVE + body
    figure = style.picture(width, height)
    for number, line in enumerate([*bold, *plain]):
        look: dict[str, Any] = {"colour": style.SOFT}
        if number < len(bold):
            look = {"colour": style.INK if good else style.WARNING, "size": style.NORMAL, "bold": True}
        write(figure, EDGE, height - (ABOVE + LINE * number), line, va="top", **look)
    return figure


def check_count(count: int, most: int, noun: str, advice: str) -> None:
    """Check that a picture can show so many rows, panels or points.

    Raises
    ------
    ModelError : there are none, or more than `most`
    """
    if not count:
        raise ModelError(f"there are no {noun} to show: {advice}")
    if count > most:
        raise ModelError(f"{count:,} {noun} are too many for one plot (at most {most}): {advice}")


@dataclass(frozen=True)
class Grid:
    """Panels of equal size in rows and columns; all in inches.

    Attributes
    ----------
    left, right : float
        Margins.
    gap : float
        Distance between columns.
    foot : float
        Room below the last row.
    pitch : float
        Distance from the bottom of one row to the bottom of the next.
    height : float
        Height of a panel.
    """

    left: float
    right: float
    gap: float
    foot: float
    pitch: float
    height: float

    def panel_width(self, width: float, columns: int) -> float:
        """Return the width of a panel in a figure of this width."""
        return (width - self.left - self.right - self.gap * (columns - 1)) / columns

    def panels(self, figure: Figure, count: int, columns: int) -> list[Axes]:
        """Return the axes row by row from the top left."""
        width, rows = self.panel_width(figure.get_size_inches()[0], columns), -(-count // columns)
        return [
            add_panel(
                figure,
                self.left + at % columns * (width + self.gap),
                self.foot + (rows - 1 - at // columns) * self.pitch,
                width,
                self.height,
            )
            for at in range(count)
        ]


def add_panel(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return plain axes at this position, in inches."""
    across, up = figure.get_size_inches()
    axes = figure.add_axes((left / across, bottom / up, width / across, height / up))
    style.simplify_axes(axes)
    return axes


def write(
    figure: Figure, x: float, y: float, text: str, *, colour: str = style.SOFT, size: float = style.SMALL,
    bold: bool = False, **options: Any,
) -> None:  # fmt: skip
    """Write a text at a position in inches; the options are those of Figure.text."""
    width, height = figure.get_size_inches()
    style.format_text(figure.text(x / width, y / height, text, **options), size=size, colour=colour, bold=bold)


def axis_labels(figure: Figure, bottom: float, panels: Sequence[Axes], x: str, y: str) -> None:
    """Write the labels shared by the axes of all panels: below them, at this height in inches, and to the left."""
    width, height = figure.get_size_inches()
    boxes = [axes.get_position() for axes in panels]
    left, right = min(box.x0 for box in boxes), max(box.x1 for box in boxes)
    low, high = min(box.y0 for box in boxes), max(box.y1 for box in boxes)
    write(figure, (left + right) / 2 * width, bottom, x, ha="center")
    write(figure, 0.14, (low + high) / 2 * height, y, rotation=90, va="center", ha="center")


def panel_title(
    axes: Axes, name: str, note: str, width: float, colours: tuple[str, str] = (style.INK, style.SOFT)
) -> None:
    """Write above a panel of this width in inches its name, in bold, and a note below the name."""
    for lift, text, bold in ((15, style.shorten(name, int(width * BOLD)), True), (4, note, False)):
        room = style.shorten(text, int(width * PLAIN), middle=False)
        written = axes.annotate(room, (0, 1), (0, lift), xycoords="axes fraction", textcoords="offset points")
        style.format_text(written, colour=colours[0] if bold else colours[1], bold=bold)


def panel_caption(axes: Axes, text: str) -> None:
    """Write one line above a panel."""
    note = axes.annotate(text, (0, 1), (0, 6), xycoords="axes fraction", textcoords="offset points")
    style.format_text(note, colour=style.INK)


def write_right(axes: Axes, height: float, text: str, x: float = 1.02, colour: str = style.SOFT) -> None:
    """Write a text to the right of a panel, at a height in data units."""
    note = axes.text(x, height, text, transform=axes.get_yaxis_transform(), va="center")
    style.format_text(note, colour=colour)


def draw_ecdf_difference(
    axes: Axes, band: tuple[Array, Array], curves: Sequence[tuple[Array, dict[str, Any]]], limit: float
) -> None:
    """Draw distribution functions on [0, 1] minus the uniform one, over the band of uniform values.

    Parameters
    ----------
    axes : Axes
    band : (array, array)
        Lower and upper edge at k/K, k = 1, …, K − 1; both are 0 at the ends.
    curves : sequence of (array, dict)
        Values at the same points, and how the line looks.
    limit : float
        Largest value on the vertical axis, and smallest with its sign changed.
    """
    x = np.linspace(0, 1, len(band[0]) + 2)
    axes.fill_between(x, np.pad(band[0], 1), np.pad(band[1], 1), color=style.BAND, linewidth=0)
    axes.axhline(0, color=style.SOFT, linewidth=0.6)
    for curve, look in curves:
        axes.plot(x, np.pad(curve, 1), **look)
    axes.set_xlim(0, 1)
    axes.set_ylim(-limit, limit)


def draw_coverage_band(axes: Axes, x: Array, rows: Array, step: str | None = None) -> tuple[Array, Array]:
    """Draw the band of the share of rows inside a correct central 90 % interval, and return its edges in percent.

    Parameters
    ----------
    axes : Axes
    x, rows : array
        Positions and, at each, the number of rows; the band holds 99 % of such shares (binomial).
    step : str, optional
        See `Axes.fill_between`.
    """
    from scipy.stats import binom

    low, high = (100 * binom.ppf(q, rows, 0.9) / rows for q in (0.005, 0.995))
    axes.fill_between(x, low, high, color=style.BAND, linewidth=0, step=step)  # type: ignore[arg-type]
    axes.axhline(90, color=style.INK, linewidth=0.8, linestyle="--")
    return low, high


def label_width(names: Iterable[str], most: float) -> float:
    """Return the width in inches of names to the left of a panel, with the margin; at most `most`."""
    return min(EDGE + 0.35 + max(len(name) for name in names) / BOLD, most)


def add_key(figure: Figure, marks: Sequence[tuple[str, dict[str, Any]]], left: float = EDGE) -> None:
    """Add a legend in one row at the foot: label, and look of a line or (with facecolor) of a patch."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    width, height = figure.get_size_inches()
    handles = [
        Patch(label=label, **look) if "facecolor" in look else Line2D([], [], label=label, **look)
        for label, look in marks
    ]
    legend = figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(left / width, 0.08 / height), ncols=len(handles),
        fontsize=style.SMALL, frameon=False, borderaxespad=0, columnspacing=1.5, handlelength=1.8,
    )  # fmt: skip
    for text in legend.get_texts():
        style.format_text(text)


def chain_marks(chains: Sequence[Any], most: int = 8) -> list[tuple[str, dict[str, Any]]]:
    """Return the legend entries of the chains for add_key(); of many chains, the first `most`."""
    marks = [(f"chain {name}", {"linewidth": 1.5, **style.chain_look(at)}) for at, name in enumerate(chains[:most])]
    return marks if len(chains) <= most else [*marks, (f"and {len(chains) - most} more", {"linestyle": ""})]


# Positions of a name relative to its point, in points, nearest first.
SPOTS = [
    (distance * dx, distance * dy, ha, va)
    for distance in (5, 11, 18)
    for dx, dy, ha, va in (
        (1, 0, "left", "center"), (-1, 0, "right", "center"), (0, 1, "center", "bottom"), (0, -1, "center", "top"),
        (0.7, 0.7, "left", "bottom"), (-0.7, 0.7, "right", "bottom"), (0.7, -0.7, "left", "top"),
        (-0.7, -0.7, "right", "top"),
    )
]  # fmt: skip


def name_points(axes: Axes, points: Array, names: Sequence[str]) -> None:
    """Write names next to their points (n, 2), unless they would cover another name, a named point or an edge.

    The limits of the axes must be set first.
    """
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    frame = axes.get_window_extent(renderer)
    marks = axes.transData.transform(points)
    x, y = marks[:, 0], marks[:, 1]
    taken: list[Any] = []
    for point, mark, name in zip(points, marks, names, strict=True):
        if not frame.contains(*mark):
            continue
        for dx, dy, ha, va in SPOTS:
            note = axes.annotate(
                style.shorten(name, 28),
                tuple(point),
                (dx, dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                zorder=6,
            )
            style.format_text(note, colour=style.INK, bold=True)
            box = note.get_window_extent(renderer)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            covered = (x > box.x0 - 2) & (x < box.x1 + 2) & (y > box.y0 - 2) & (y < box.y1 + 2)
            if inside and not covered.any() and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            note.remove()


def amount(value: float, unit: str = "") -> str:
    """Return a value to three digits with its unit: '412,000 €'."""
    text = style.number(float(f"{value:.3g}")) if np.isfinite(value) else f"{value}"
    return f"{text} {unit}".strip()


def probability_text(value: float) -> str:
    """Return a probability as text that never claims certainty: '<1 %', '37 %', '>99 %'."""
    if value < 0.01:
        return "<1 %"
    return ">99 %" if value > 0.99 else f"{100 * value:.0f} %"


def p_label(p: float) -> str:
    """Return a p-value as text: 'p = 0.23', 'p < 0.001'."""
    text = p_text(p)
    return f"p {text}" if text.startswith("<") else f"p = {text}"

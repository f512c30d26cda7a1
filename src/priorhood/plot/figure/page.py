"""The frame of all pictures: heading, panels placed in inches, texts beside points, key of the marks."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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


@dataclass(frozen=True)
class Heading:
    """The finding of a picture, in bold, and what is shown, for a page so many inches wide.

    good : False where the finding is that something is wrong; it is in red then
    """

    finding: str
    shown: str
    width: float
    good: bool = True

    @property
    def lines(self) -> list[tuple[str, bool]]:
        """The lines and whether they are bold: at most two of these and three others."""
        room = self.width - 2 * EDGE
        bold = textwrap.wrap(self.finding, int(room * BOLD), max_lines=2, placeholder=" …")
        others = textwrap.wrap(self.shown, int(room * PLAIN), max_lines=3, placeholder=" …")
        return [(line, True) for line in bold] + [(line, False) for line in others]

    @property
    def height(self) -> float:
        """Inches that the lines take, with the margin below them."""
        return ABOVE + LINE * len(self.lines) + ABOVE


def sheet(heading: Heading, height: float) -> Figure:
    """Return a figure with its heading, so many inches high."""
    figure = style.picture(heading.width, height)
    for at, (line, bold) in enumerate(heading.lines):
        look: dict[str, Any] = {"size": style.NORMAL, "bold": True} if bold else {}
        colour = style.SOFT if not bold else style.INK if heading.good else style.WARNING
        write(figure, EDGE, height - (ABOVE + LINE * at), line, colour=colour, va="top", **look)
    return figure


@dataclass(frozen=True)
class Grid:
    """Panels of one size in rows and columns, in inches.

    left, right : margins; gap : between columns; foot : below the last row; pitch : from row to row; high : of
    a panel
    """

    left: float
    right: float
    gap: float
    foot: float
    pitch: float
    high: float

    def wide(self, width: float, columns: int) -> float:
        """Width of a panel on a page of this width."""
        return (width - self.left - self.right - self.gap * (columns - 1)) / columns

    def panels(self, figure: Figure, count: int, columns: int) -> list[Axes]:
        """Return the axes row by row from the top left."""
        wide, rows = self.wide(figure.get_size_inches()[0], columns), -(-count // columns)
        return [
            panel(
                figure,
                self.left + at % columns * (wide + self.gap),
                self.foot + (rows - 1 - at // columns) * self.pitch,
                wide,
                self.high,
            )
            for at in range(count)
        ]


def panel(figure: Figure, left: float, bottom: float, wide: float, high: float) -> Axes:
    """Return plain axes at a place in inches."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    style.plain(axes)
    return axes


def write(
    figure: Figure, x: float, y: float, text: str, *, colour: str = style.SOFT, size: float = style.SMALL,
    bold: bool = False, **options: Any,
) -> None:  # fmt: skip
    """Write a text at a place in inches; options as of Figure.text."""
    width, height = figure.get_size_inches()
    style.words(figure.text(x / width, y / height, text, **options), size=size, colour=colour, bold=bold)


def title(
    axes: Axes, name: str, told: str, wide: float, colours: tuple[str, str] = (style.INK, style.SOFT)
) -> None:
    """Write above a panel so many inches wide its name, in bold, and a line about it."""
    for lift, text, bold in ((15, style.shortened(name, int(wide * BOLD)), True), (4, told, False)):
        room = style.shortened(text, int(wide * PLAIN), middle=False)
        note = axes.annotate(room, (0, 1), (0, lift), xycoords="axes fraction", textcoords="offset points")
        style.words(note, colour=colours[0] if bold else colours[1], bold=bold)


def caption(axes: Axes, text: str, lift: float = 6) -> None:
    """Write one line above a panel, so many points over it."""
    note = axes.annotate(text, (0, 1), (0, lift), xycoords="axes fraction", textcoords="offset points")
    style.words(note, colour=style.INK)


def beside(axes: Axes, height: float, text: str, x: float = 1.02, colour: str = style.SOFT) -> None:
    """Write a text right of a panel, at a height in data units."""
    style.words(axes.text(x, height, text, transform=axes.get_yaxis_transform(), va="center"), colour=colour)


def room_for(names: Iterable[str], most: float) -> float:
    """Inches that names left of a panel take, with the edge, up to `most`."""
    return min(EDGE + 0.35 + max(len(name) for name in names) / BOLD, most)


def key(figure: Figure, marks: Sequence[tuple[str, dict[str, Any]]], left: float = EDGE) -> None:
    """Explain the marks in one row at the foot: label, and look of a line or of a patch (with facecolor)."""
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
        style.words(text)


def chain_marks(chains: Sequence[Any], most: int = 8) -> list[tuple[str, dict[str, Any]]]:
    """Marks of chains for key(), as style.chain_look() draws them; the first of more than `most`."""
    marks = [(f"chain {name}", {"linewidth": 1.5, **style.chain_look(at)}) for at, name in enumerate(chains[:most])]
    return marks if len(chains) <= most else [*marks, (f"and {len(chains) - most} more", {"linestyle": ""})]


# Where a name may stand, in points from its point, nearest first.
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
    """Write names beside their points (n, 2) where they cover no other name, no named point, and no edge.

    The axes' limits must be set before.
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
                style.shortened(name, 28),
                tuple(point),
                (dx, dy),
                textcoords="offset points",
                ha=ha,
                va=va,
                zorder=6,
            )
            style.words(note, colour=style.INK, bold=True)
            box = note.get_window_extent(renderer)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            covered = (x > box.x0 - 2) & (x < box.x1 + 2) & (y > box.y0 - 2) & (y < box.y1 + 2)
            if inside and not covered.any() and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                break
            note.remove()


def amount(value: float, unit: str = "") -> str:
    """Three digits, thousands separated, and the unit: '412,000 €'."""
    text = style.number(float(f"{value:.3g}")) if np.isfinite(value) else f"{value}"
    return f"{text} {unit}".strip()


def share(value: float) -> str:
    """A probability in words that never claim certainty: '<1 %', '37 %', '>99 %'."""
    if value < 0.01:
        return "<1 %"
    return ">99 %" if value > 0.99 else f"{100 * value:.0f} %"

"""A page: the finding above, panels placed in inches, names beside points, what the marks mean."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

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
    """What a picture says, in bold, and what it shows, for a page so many inches wide.

    good : False where the finding is that something is wrong; it is in red then
    """

    finding: str
    shown: str
    width: float
    good: bool = True

    @property
    def lines(self) -> list[tuple[str, bool]]:
        """Its lines, and whether they are bold: two of these at the most, and three others."""
        room = self.width - 2 * EDGE
        bold = textwrap.wrap(self.finding, int(room * BOLD), max_lines=2, placeholder=" …")
        others = textwrap.wrap(self.shown, int(room * PLAIN), max_lines=3, placeholder=" …")
        return [(line, True) for line in bold] + [(line, False) for line in others]

    @property
    def height(self) -> float:
        """Inches that it takes, the room below it too."""
        return ABOVE + LINE * len(self.lines) + ABOVE

    def put(self, figure: Figure) -> None:
        """At the top of a figure."""
        from priorhood.plot.figure import style

        width, height = figure.get_size_inches()
        for at, (line, bold) in enumerate(self.lines):
            text = figure.text(EDGE / width, 1 - (ABOVE + LINE * at) / height, line, va="top")
            colour = style.INK if self.good else style.WARNING
            look: dict[str, Any] = {"size": style.NORMAL, "colour": colour, "bold": True} if bold else {}
            style.words(text, **look)


def panel(figure: Figure, left: float, bottom: float, wide: float, high: float) -> Axes:
    """Plain axes, in inches."""
    from priorhood.plot.figure import style

    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, wide / width, high / height))
    style.plain(axes)
    return axes


def title(axes: Axes, name: str, told: str, wide: float) -> None:
    """What a panel so many inches wide shows, in bold, and what is said of it, above the panel."""
    from priorhood.plot.figure import style

    for lift, text, bold in ((15, style.shortened(name, int(wide * BOLD)), True), (4, told, False)):
        room = style.shortened(text, int(wide * PLAIN), middle=False)
        note = axes.annotate(room, (0, 1), (0, lift), xycoords="axes fraction", textcoords="offset points")
        style.words(note, colour=style.INK if bold else style.SOFT, bold=bold)


def room_for(names: Iterable[str], most: float) -> float:
    """Inches that names left of a panel take, the edge too, up to `most`."""
    return min(EDGE + 0.35 + max(len(name) for name in names) / BOLD, most)


def key(figure: Figure, marks: Sequence[tuple[str, dict[str, Any]]], left: float = EDGE) -> None:
    """What the marks mean, in one row at the foot: label and the look of a line or a patch (with facecolor)."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from priorhood.plot.figure import style

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
    """The marks of chains for key(), as style.chain_look() draws them; of more than `most` the first."""
    from priorhood.plot.figure import style

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


def name_points(axes: Axes, points: Array, names: Sequence[str]) -> list[str]:
    """Names beside their points (n, 2), none over another or beyond the axes; those that found room.

    The axes' limits must be set before.
    """
    from priorhood.plot.figure import style

    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    frame = axes.get_window_extent(renderer)
    marks = axes.transData.transform(points)
    taken: list[Any] = []
    found = []
    for point, name in zip(points, names, strict=True):
        if not frame.contains(*axes.transData.transform(point)):
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
            if inside and not any(box.overlaps(other) for other in taken) and not _covers(box, marks):
                taken.append(box)
                found.append(name)
                break
            note.remove()
    return found


def _covers(box: Any, marks: Array) -> bool:
    """Whether a name would hide one of the named points."""
    x, y = marks[:, 0], marks[:, 1]
    return bool(((x > box.x0 - 2) & (x < box.x1 + 2) & (y > box.y0 - 2) & (y < box.y1 + 2)).any())


def amount(value: float, unit: str = "") -> str:
    """Three digits for reading, thousands separated, and the unit: '412,000 €'."""
    from priorhood.plot.figure import style

    text = style.number(float(f"{value:.3g}")) if np.isfinite(value) else f"{value}"
    return f"{text} {unit}" if unit else text


def share(value: float) -> str:
    """A probability in words that never claim certainty: '<1 %', '37 %', '>99 %'."""
    if value < 0.01:
        return "<1 %"
    return ">99 %" if value > 0.99 else f"{100 * value:.0f} %"

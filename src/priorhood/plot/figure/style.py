"""How pictures look: colours, sizes, numbers. Nothing of matplotlib's global state is read for it or changed."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from priorhood._text import visible
from priorhood.errors import ModelError

try:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator
except ModuleNotFoundError as problem:
    raise ModelError(
        f"pictures need matplotlib, which is not here ({problem}): "
        f"pip install matplotlib (priorhood's extra [plot])"
    ) from None

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

# Okabe and Ito's colours, told apart by all kinds of colour vision; yellow, too pale for lines, is left out.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
# The first colour is what the model says of a place, the fifth, pale, its single draws or what rows say alone.
PRIOR, THRESHOLD = COLOURS[5], COLOURS[3]
STROKES = ("-", "--", ":", "-.")
INK, SOFT, WARNING = "#222222", "#666666", "#B00020"
# The population, or the average place; where a right model's points lie.
POPULATION, BAND = INK, "#DDDDDD"
SMALL, NORMAL = 8.0, 9.5
DPI = 110


class Picture(Figure):
    """A Figure outside pyplot's register, so that none is left open, which notebooks show all the same."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png")
        return file.getvalue()


def picture(width: float, height: float) -> Picture:
    """An empty figure, in inches."""
    figure = Picture(figsize=(width, height), dpi=DPI, facecolor="white")
    figure.set_layout_engine("none")
    FigureCanvasAgg(figure)
    return figure


def chain_look(at: int) -> dict[str, Any]:
    """Colour and stroke of the at-th chain: strokes change where the colours start again."""
    return {"color": COLOURS[at % len(COLOURS)], "linestyle": STROKES[at // len(COLOURS) % len(STROKES)]}


def number(value: float, _: object = None) -> str:
    """1,234,500 or 0.25: thousands separated, no offsets or powers of ten within the usual range."""
    if value != 0 and not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3g}"
    text = f"{value:,.10f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def plain(axes: Axes) -> None:
    """Axes with few lines, whatever the user's settings are."""
    axes.set_facecolor("white")
    axes.grid(visible=False)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=SOFT, linewidth=0.7)
    axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=SMALL, width=0.7, length=3)


def numbers(axis: Axis, most: int = 5) -> None:
    """Ticks at round values, thousands separated."""
    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(number))


def words(texts: Any, *, size: float = SMALL, colour: str = SOFT, bold: bool = False) -> None:
    """Dress a text; names and units are shown as they are, `$` too."""
    texts.set(
        text=visible(texts.get_text()),
        fontsize=size,
        color=colour,
        fontweight="bold" if bold else "normal",
        parse_math=False,
    )


def shortened(text: str, most: int, *, middle: bool = True) -> str:
    """A text with what a font and a file can show, and if it is long without its middle, or without its end."""
    text = visible(text)
    half = (most - 1) // 2 if middle else 0
    return text if len(text) <= most else f"{text[: most - 1 - half]}…{text[len(text) - half :]}"

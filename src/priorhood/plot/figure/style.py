"""Colours, sizes, numbers and ticks of pictures; matplotlib's global settings are neither read nor changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from priorhood._text import escape_control
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

    from priorhood._arrays import Array, Flags, Index
    from priorhood.plot.figure.picture import Picture

# The colours of Okabe and Ito, which readers of all kinds of colour vision tell apart; without yellow, too pale
# for lines.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
# The first colour is the model's estimate of a place; the fifth, pale, single draws or a place's rows alone.
PRIOR, THRESHOLD = COLOURS[5], COLOURS[3]
STROKES = ("-", "--", ":", "-.")
INK, SOFT, WARNING = "#222222", "#666666", "#B00020"
# The population, or the average place; the region where points of a right model lie.
POPULATION, BAND = INK, "#DDDDDD"
SMALL, NORMAL = 8.0, 9.5


def picture(width: float, height: float) -> Picture:
    """Return an empty figure of this size in inches.

    Raises
    ------
    ModelError : matplotlib is not installed
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as problem:
        raise ModelError(
            f"pictures need matplotlib, which is not installed ({problem}): "
            f"pip install matplotlib (priorhood's extra [plot])"
        ) from None
    from priorhood.plot.figure.picture import Picture

    return Picture(width, height)


def chain_look(at: int) -> dict[str, Any]:
    """Colour and stroke of the at-th chain; the stroke changes where the colours start again."""
    return {"color": COLOURS[at % len(COLOURS)], "linestyle": STROKES[at // len(COLOURS) % len(STROKES)]}


def number(value: float, _: object = None) -> str:
    """1,234,500 or 0.25: thousands separated, no offsets or powers of ten within the usual range."""
    if value != 0 and not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3g}"
    text = f"{value:,.10f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def words(texts: Any, *, size: float = SMALL, colour: str = SOFT, bold: bool = False) -> None:
    """Set the look of a text; names and units are shown as they are, `$` too."""
    texts.set(
        text=escape_control(texts.get_text()),
        fontsize=size,
        color=colour,
        fontweight="bold" if bold else "normal",
        parse_math=False,
    )


def shortened(text: str, most: int, *, middle: bool = True) -> str:
    """The visible text; one longer than `most` letters without its middle, or without its end."""
    text = escape_control(text)
    half = (most - 1) // 2 if middle else 0
    return text if len(text) <= most else f"{text[: most - 1 - half]}…{text[len(text) - half :]}"


# -- axes -------------------------------------------------------------------------------------------------


def plain(axes: Axes) -> None:
    """Reduce axes to two lines, whatever the user's settings are."""
    axes.set_facecolor("white")
    axes.grid(visible=False)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=SOFT, linewidth=0.7)
    axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=SMALL, width=0.7, length=3)


def no_height(axes: Axes) -> None:
    """Remove the vertical axis, for densities and for rows with names of their own."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def numbers(axis: Axis, most: int = 5, label: str = "", pad: float = 2) -> None:
    """Put ticks at round values, thousands separated, and a label if there is one."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(number))
    if label:
        words(axis.set_label_text(label))
        axis.labelpad = pad


def log_numbers(axis: Axis, parts: tuple[int, ...] = (1, 2, 5), most: int = 12) -> None:
    """Ticks of a log axis at these multiples of powers of ten, as plain numbers; none between them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=parts, numticks=most))
    axis.set_major_formatter(FuncFormatter(number))
    axis.set_minor_locator(NullLocator())


def names(axis: Axis, positions: Any, labels: Sequence[str], rotation: float = 0) -> None:
    """Write names at positions of an axis, `$` as it is."""
    axis.set_ticks(positions, labels, rotation=rotation)
    for text in axis.get_ticklabels():
        words(text, colour=INK)


def dots(axes: Axes, x: Array | Index, y: Array | Index, wrong: Flags, **look: Any) -> None:
    """Plot points as dots, and those that are wrong as red crosses."""
    for those, colour, marker in ((~wrong, COLOURS[0], "o"), (wrong, WARNING, "X")):
        axes.plot(x[those], y[those], marker, color=colour, **look)


def legend(axes: Axes, side: str = "right", **options: Any) -> None:
    """Write the legend of labelled marks into an upper corner."""
    axes.legend(loc=f"upper {side}", fontsize=SMALL, frameon=False, labelcolor=INK, **options)

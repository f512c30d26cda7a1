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

# The colours of Okabe and Ito, which readers with any kind of colour vision can distinguish; without yellow, which
# is too pale for lines.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
# The first colour shows the model's estimate of a place; the fifth, pale, single draws or a place's rows alone.
PRIOR, THRESHOLD = COLOURS[5], COLOURS[3]
STROKES = ("-", "--", ":", "-.")
INK, SOFT, WARNING = "#222222", "#666666", "#B00020"
# The population, or the average place; the region where the points of a correct model lie.
POPULATION, BAND = INK, "#DDDDDD"
SMALL, NORMAL = 8.0, 9.5


def check_matplotlib() -> None:
    """Check that pictures can be drawn.

    Raises
    ------
    ModelError : matplotlib is not installed
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ModuleNotFoundError as problem:
        raise ModelError(
            f"plots need matplotlib, which is not installed ({problem}): "
            f"pip install matplotlib (priorhood's extra [plot])"
        ) from None


def picture(width: float, height: float) -> Picture:
    """Return an empty figure of this size in inches.

    Raises
    ------
    ModelError : matplotlib is not installed
    """
    check_matplotlib()
    from priorhood.plot.figure.picture import Picture

    return Picture(width, height)


def chain_look(number: int) -> dict[str, Any]:
    """Return colour and line style of a chain; the line style changes when the colours start again."""
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": STROKES[number // len(COLOURS) % len(STROKES)]}


def number(value: float, _: object = None) -> str:
    """Return a number as 1,234,500 or 0.25, without offset or power of ten in the usual range."""
    if value != 0 and not 1e-4 <= abs(value) < 1e12:
        return f"{value:.3g}"
    text = f"{value:,.10f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text.replace("-", "−")


def format_text(texts: Any, *, size: float = SMALL, colour: str = SOFT, bold: bool = False) -> None:
    """Set size, colour and weight of a text; names and units are shown as they are, including `$`."""
    texts.set(
        text=escape_control(texts.get_text()),
        fontsize=size,
        color=colour,
        fontweight="bold" if bold else "normal",
        parse_math=False,
    )


def shorten(text: str, most: int, *, middle: bool = True) -> str:
    """Return the text with control characters escaped, its middle or end cut out if it has over `most` letters."""
    text = escape_control(text)
    half = (most - 1) // 2 if middle else 0
    return text if len(text) <= most else f"{text[: most - 1 - half]}…{text[len(text) - half :]}"


# -- axes -------------------------------------------------------------------------------------------------


def simplify_axes(axes: Axes) -> None:
    """Reduce axes to two lines, regardless of the user's settings."""
    axes.set_facecolor("white")
    axes.grid(visible=False)
    for side, spine in axes.spines.items():
        spine.set(visible=side in ("left", "bottom"), color=SOFT, linewidth=0.7)
    axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=SMALL, width=0.7, length=3)


def hide_y_axis(axes: Axes) -> None:
    """Remove the vertical axis, as in pictures of densities."""
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)


def number_ticks(axis: Axis, most: int = 5, label: str = "", pad: float = 2) -> None:
    """Set ticks at round values with thousands separated, and a label if one is passed."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(most, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(FuncFormatter(number))
    if label:
        format_text(axis.set_label_text(label))
        axis.labelpad = pad


def log_ticks(axis: Axis, parts: tuple[int, ...] = (1, 2, 5), most: int = 12) -> None:
    """Set ticks of a log axis at these multiples of powers of ten, as plain numbers, without minor ticks."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=parts, numticks=most))
    axis.set_major_formatter(FuncFormatter(number))
    axis.set_minor_locator(NullLocator())


def name_ticks(axis: Axis, positions: Any, labels: Sequence[str], rotation: float = 0) -> None:
    """Set names as tick labels at positions of an axis; `$` is shown as it is."""
    axis.set_ticks(positions, labels, rotation=rotation)
    for text in axis.get_ticklabels():
        format_text(text, colour=INK)


def plot_points(axes: Axes, x: Array | Index, y: Array | Index, bad: Flags, **look: Any) -> None:
    """Plot good points as dots, bad ones as red crosses."""
    for chosen, colour, marker in ((~bad, COLOURS[0], "o"), (bad, WARNING, "X")):
        axes.plot(x[chosen], y[chosen], marker, color=colour, **look)


def corner_legend(axes: Axes, side: str = "right", **options: Any) -> None:
    """Add the legend of labelled marks in an upper corner."""
    axes.legend(loc=f"upper {side}", fontsize=SMALL, frameon=False, labelcolor=INK, **options)

"""`priorhood plot KIND`: the pictures of ph.plot, drawn from a saved posterior into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from priorhood.cli.options import Group, Picture, Saved, Vars
from priorhood.cli.screen import say
from priorhood.errors import FileError, ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure

    from priorhood.posterior.posterior import Posterior

PICTURES = (".png", ".svg", ".pdf")

plot = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Draw a picture of a saved posterior: PNG, SVG or PDF.",
)


@plot.command()
def trace(
    file: Saved,
    out: Picture,
    var: Vars = None,
    group: Group = None,
) -> None:
    """The density and the course of every chain."""
    from priorhood import plot as pictures

    drawn(file, out, lambda post: pictures.trace(post, var, **places_of(post, group)))


def drawn(file: Path, out: Path, draw: Callable[[Posterior], Figure], *inputs: str | Path | None) -> None:
    """Load, draw, write: the common course of all pictures."""
    from priorhood.posterior.io import load

    check_picture(out, file, *inputs)
    write_picture(draw(load(file)), out)
    say(f"written to {out}")


def check_picture(out: Path, *inputs: str | Path | None) -> None:
    """Raise before any work is done if a picture cannot be drawn, or written there."""
    from priorhood._system import check_writable

    # Says what to install where matplotlib is not.

    check_writable(out, *(given for given in inputs if given))
    if out.suffix.lower() not in PICTURES:
        raise FileError(f"cannot write a picture to {str(out)!r}; its name must end in {', '.join(PICTURES)}")


def write_picture(figure: Figure, out: Path) -> None:
    """Whole or not at all; the kind by the name's ending."""
    from priorhood._system import write_atomically

    write_atomically(out, lambda file: figure.savefig(file, format=out.suffix[1:].lower()))


def places_of(post: Posterior, labels: list[str] | None) -> dict[str, Any]:
    """`--group 10115 --group 12047` as the argument zip=["10115", "12047"] of the formula's group.

    Raises
    ------
    ModelError : the formula has no group
    """
    if not labels:
        return {}
    group = post.model.formula.group
    if not group:
        raise ModelError(f"{post.model.formula.text!r} has no group, so there are no places to choose with --group")
    return {group: labels}

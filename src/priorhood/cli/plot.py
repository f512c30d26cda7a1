"""`priorhood plot KIND`: the pictures of ph.plot, drawn from a saved posterior into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.options import (
    At,
    Column,
    Crs,
    Decimal,
    Group,
    Level,
    Null,
    Picture,
    Saved,
    Thousands,
    Vars,
    Where,
    spelled,
    table_of,
    values_of,
)
from priorhood.cli.output import say
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


Terms = Annotated[
    list[str] | None,
    typer.Option("--terms", metavar="TERM", help="A coefficient that varies by place; twice for two."),
]
Data = Annotated[str | None, typer.Option(metavar="TABLE", help="The rows, to be drawn too.")]


def lines(
    file: Saved,
    out: Picture,
    x: Annotated[str | None, typer.Option("--x", help="The predictor along which lines run.")] = None,
    data: Data = None,
    where: Where = None,
    at: At = None,
    group: Group = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
) -> None:
    """The outcome against a predictor: places' lines and bands, against the average place's."""
    from priorhood import plot as pictures

    def draw(post: Posterior) -> Figure:
        rows = table_of("--data", data, where, spelled(null, decimal, thousands))
        return pictures.lines(post, x, rows, values_of(at), **places_of(post, group))

    drawn(file, out, draw, data)


def shrinkage(file: Saved, out: Picture, terms: Terms = None, group: Group = None) -> None:
    """Partial pooling: arrows from every place's own estimate to its posterior mean."""
    from priorhood import plot as pictures

    drawn(file, out, lambda post: pictures.shrinkage(post, terms, **places_of(post, group)))


def forest(
    file: Saved,
    out: Picture,
    var: Annotated[
        str, typer.Option("--var", metavar="NAME", help="beta, beta_district, delta_type, sigma.")
    ] = "beta",
    term: Annotated[str | None, typer.Option(help="Which coefficient: living_space.")] = None,
    select: Annotated[str, typer.Option(help="auto, top, bottom or widest.")] = "auto",
    at: At = None,
    group: Group = None,
) -> None:
    """Every place's interval, sorted; with --at, of what that home is expected to cost."""
    from priorhood import plot as pictures

    home = None if at is None else values_of(at)
    drawn(
        file, out, lambda post: pictures.forest(post, var, term, select=select, at=home, **places_of(post, group))
    )


def priors(
    file: Saved,
    out: Picture,
    var: Vars = None,
) -> None:
    """Prior against posterior."""
    from priorhood import plot as pictures

    drawn(file, out, lambda post: pictures.priors(post, var))


def correlation(file: Saved, out: Picture, terms: Terms = None, group: Group = None) -> None:
    """Intercept against slope of all places, and the posterior of their correlation."""
    from priorhood import plot as pictures

    drawn(file, out, lambda post: pictures.correlation(post, terms, **places_of(post, group)))


def price(
    file: Saved,
    out: Picture,
    home: Annotated[str | None, typer.Option(metavar="TABLE", help="Homes, one a row, instead of --at.")] = None,
    below: Annotated[float | None, typer.Option(help="Shade what lies below.")] = None,
    at: At = None,
    unseen: Annotated[str, typer.Option(help="New groups: error, population or draw.")] = "error",
    group: Group = None,
    where: Where = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
) -> None:
    """The price distribution of a home, and the share below a threshold."""
    from priorhood import plot as pictures

    def draw(post: Posterior) -> Figure:
        homes = table_of("--home", home, where, spelled(null, decimal, thousands))
        return pictures.price(post, homes, below, at=values_of(at), unseen=unseen, **places_of(post, group))

    drawn(file, out, draw, home)


DRAWN = (lines, shrinkage, forest, priors, correlation, price)


def map_places(
    file: Saved,
    places: Annotated[
        Path, typer.Argument(metavar="POLYGONS", help="GeoJSON, or what geopandas reads.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Map to write: PNG, SVG, PDF, or HTML to look around in.")
    ],
    show: Annotated[
        str | None, typer.Option(help="price, below, sd, rows, or a coefficient: 'beta[living_space]'.")
    ] = None,
    at: At = None,
    below: Annotated[
        float | None, typer.Option(help="Threshold: shows the probability to find a home below it.")
    ] = None,
    column: Column = None,
    level: Level = None,
    crs: Crs = None,
) -> None:
    """What one and the same home costs in every place; the probability that it costs less than --below."""
    from priorhood import plot as pictures
    from priorhood.plot.maps.interactive import check_page

    values = values_of(at)
    options = {"at": values, "below": below, "column": column, "level": level, "crs": crs}
    if not check_page(out):
        if out.suffix.lower() not in PICTURES:
            raise FileError(
                f"cannot write a map to {str(out)!r}; its name must end in {', '.join(PICTURES)} or .html"
            )
        drawn(file, out, lambda post: pictures.map(post, places, show, **options), places)  # type: ignore[arg-type]
        return
    from priorhood._system import check_writable
    from priorhood.posterior.io import load

    check_writable(out, file, places)
    pictures.interactive_map(load(file), places, show, **options).save(out)  # type: ignore[arg-type]
    say(f"written to {out}")

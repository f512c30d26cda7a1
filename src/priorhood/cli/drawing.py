"""`priorhood plot lines | shrinkage | forest | priors | correlation | price`: what a posterior says, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from priorhood.cli.options import (
    At,
    Decimal,
    Group,
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
from priorhood.cli.plotting import drawn, places_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.posterior.posterior import Posterior

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

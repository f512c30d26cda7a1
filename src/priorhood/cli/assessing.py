"""`priorhood assess`, and `priorhood plot prior | predictive | pit | misfit`: rows held against the model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.options import (
    At,
    Decimal,
    Group,
    Json,
    Null,
    Picture,
    Places,
    Rows,
    Saved,
    Seed,
    Thousands,
    Where,
    spelled,
    table_of,
    values_of,
)
from priorhood.cli.plotting import check_picture, drawn, places_of, plot, write_picture
from priorhood.cli.screen import progress, say

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.data.sources.table import Table
    from priorhood.evaluation.assessment import Assessment
    from priorhood.posterior.posterior import Posterior

WRONG = 1  # exit code: the command did its work, and something is wrong

Data = Annotated[str, typer.Option("--data", metavar="TABLE", help="The rows, with their outcomes.")]
Unseen = Annotated[str, typer.Option(help="New groups: error, population or draw.")]


def assess(
    file: Saved,
    table: Rows,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Table of the places to write, the worst first.", show_default=False),
    ] = None,
    unseen: Unseen = "error",
    places: Places = None,
    where: Where = None,
    seed: Seed = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    as_json: Json = False,
) -> None:
    """Which places and rows does the model fit badly, and what would help? Exit code 1 if any."""
    from priorhood.data.sources.export import check_output, write_frame

    if out is not None:
        check_output(out, file, table, *([places] if places else []))
    options = spelled(null, decimal, thousands)
    found = _assessed(file, table, unseen, places, where, seed, options, quiet=as_json)
    if out is not None:
        write_frame(found.summary().reset_index(), out)
    if as_json:
        told = [{"good": v.good, "about": v.about, "text": v.text} for v in found]
        frame = found.summary().reset_index()
        print(
            json.dumps({
                **({} if out is None else {"out": str(out)}), "good": found.good, "own": found.own,
                "rows": len(found.residuals.pit), "verdicts": told,
                "places": json.loads(frame.to_json(orient="records")),
                "outliers": [int(found.residuals.used.kept[at]) for at in found.outliers],
            })
        )  # fmt: skip
    else:
        print(found)
        if out is not None:
            say(f"written to {out}")
    if not found.good:
        raise typer.Exit(WRONG)


def _assessed(
    file: Path,
    table: str,
    unseen: str,
    places: str | None,
    where: str | None,
    seed: int | None,
    options: dict[str, Any],
    *,
    quiet: bool,
) -> Assessment:
    from priorhood.data.sources.table import read
    from priorhood.evaluation.assess import assess as run
    from priorhood.posterior.io import load

    post = load(file)
    rows = read(table, where=where, **options)
    known = None if places is None else read(places, **options)
    with progress(quiet=quiet) as tell:
        return run(post, rows, unseen=unseen, seed=seed, places=known, progress=tell)


def _against(post: Posterior, rows: Table, unseen: str, seed: int | None) -> Assessment:
    """The rows of a picture held against the model."""
    from priorhood.evaluation.assess import assess as run

    return run(post, rows, unseen=unseen, seed=seed)


@plot.command()
def prior(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A saved posterior (.nc), or a formula.")],
    out: Picture,
    data: Annotated[str | None, typer.Option("--data", metavar="TABLE", help="The rows of a formula.")] = None,
    bounds: Annotated[
        tuple[float, float] | None, typer.Option(help="The least and the most that the outcome can be.")
    ] = None,
    x: Annotated[str | None, typer.Option("--x", help="The predictor along the axis.")] = None,
    where: Where = None,
    at: At = None,
    draws: Annotated[int, typer.Option(help="Draws from the prior.")] = 500,
    seed: Seed = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
) -> None:
    """Lines of the average place and of single places, drawn from the prior."""
    from priorhood import plot as pictures
    from priorhood.posterior.io import load

    check_picture(out, model if "~" not in model else None, data)
    given = model if "~" in model else load(model)
    rows = table_of("--data", data, where, spelled(null, decimal, thousands))
    figure = pictures.prior_lines(given, rows, bounds=bounds, x=x, at=values_of(at), draws=draws, seed=seed)
    write_picture(figure, out)
    say(f"written to {out}")


@plot.command()
def predictive(
    file: Saved,
    out: Picture,
    data: Data,
    kind: Annotated[str, typer.Option(help="density, histogram or scatter.")] = "density",
    draws: Annotated[int | None, typer.Option(help="Posterior draws.")] = None,
    unseen: Unseen = "error",
    where: Where = None,
    seed: Seed = None,
    group: Group = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
) -> None:
    """Observed outcomes against replicated ones."""
    from priorhood import plot as pictures
    from priorhood.data.sources.table import read

    def draw(post: Posterior) -> Figure:
        rows = read(data, where=where, **spelled(null, decimal, thousands))
        return pictures.predictive(
            post, rows, kind, draws=draws, unseen=unseen, seed=seed, **places_of(post, group)
        )

    drawn(file, out, draw, data)


@plot.command()
def pit(
    file: Saved,
    out: Picture,
    data: Data,
    unseen: Unseen = "error",
    where: Where = None,
    seed: Seed = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
) -> None:
    """Whether rows fall where the model says, overall and by place."""
    from priorhood import plot as pictures
    from priorhood.data.sources.table import read

    def draw(post: Posterior) -> Figure:
        rows = read(data, where=where, **spelled(null, decimal, thousands))
        return pictures.pit(_against(post, rows, unseen, seed))

    drawn(file, out, draw, data)


@plot.command()
def misfit(
    file: Saved,
    out: Picture,
    data: Data,
    unseen: Unseen = "error",
    where: Where = None,
    seed: Seed = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
) -> None:
    """Which places fit badly, and how."""
    from priorhood import plot as pictures
    from priorhood.data.sources.table import read

    def draw(post: Posterior) -> Figure:
        rows = read(data, where=where, **spelled(null, decimal, thousands))
        return pictures.misfit(_against(post, rows, unseen, seed))

    drawn(file, out, draw, data)

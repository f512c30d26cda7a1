"""`priorhood assess | calibrate`: rows against the model, and the model against its own simulations."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.options import (
    At,
    Decimal,
    Family,
    FrequencyWeights,
    Group,
    Json,
    KnownErrors,
    Noise,
    NoStandardize,
    Null,
    OutcomeUnit,
    Outliers,
    Picture,
    Places,
    PrecisionWeights,
    Priors,
    Rows,
    Saved,
    Seed,
    Thousands,
    Threads,
    Where,
    spelled,
    table_of,
    values_of,
)
from priorhood.cli.output import announce_compile, console, print_calibration, progress, say
from priorhood.cli.plot import check_picture, drawn, places_of, plot, write_picture
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.data.sources.table import Table
    from priorhood.evaluation.assess import Assessment
    from priorhood.model.model import Model
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
        told = [v.to_dict() for v in found]
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


NOT_PASSED = 1  # exit code: the command did its work, and the answer is no


def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A formula, or a saved posterior (.nc).")],
    data: Annotated[
        str | None, typer.Argument(metavar="[TABLE]", help="The rows; a posterior's own if not given.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Picture to write: PNG, SVG or PDF.", show_default=False)
    ] = None,
    refits: Annotated[int, typer.Option(help="Simulated outcomes that are fitted.")] = 500,
    draws: Annotated[int, typer.Option(help="Draws that a truth is ranked among.")] = 99,
    places: Places = None,
    where: Where = None,
    drop_outliers: Outliers = None,
    prior: Priors = None,
    outcome_unit: OutcomeUnit = "auto",
    no_standardize: NoStandardize = False,
    family: Family = "normal",
    noise: Noise = None,
    se: KnownErrors = None,
    precision_weights: PrecisionWeights = None,
    frequency_weights: FrequencyWeights = None,
    seed: Seed = None,
    threads: Threads = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    as_json: Json = False,
) -> None:
    """Fit simulated outcomes whose truth is known: is it where the draws say? Exit code 1 if not."""
    from priorhood.data.sources.table import read
    from priorhood.evaluation.sbc import calibrate as run

    if out is not None:
        check_picture(out, model, data, places)
    chosen = {
        "outcome_unit": outcome_unit, "standardize": not no_standardize, "family": family, "noise": noise, "se": se,
        "precision_weights": precision_weights, "frequency_weights": frequency_weights,
    }  # fmt: skip
    of_rows = {"places": places, "where": where, "drop_outliers": drop_outliers, "null": null,
               "decimal": decimal, "thousands": thousands}  # fmt: skip
    if data is None:
        _only_with("a table", {key: value for key, value in of_rows.items() if value})
    given = _model(model, prior, chosen)
    rows = None if data is None else read(data, where=where, **spelled(null, decimal, thousands))
    known = None if places is None else read(places, **spelled(null, decimal, thousands))
    announce_compile(quiet=as_json)
    started = time.perf_counter()
    with progress(quiet=as_json) as tell:
        found = run(
            given, rows, refits=refits, draws=draws, seed=seed, places=known, drop_outliers=drop_outliers,
            threads=threads, progress=tell,
        )  # fmt: skip
    seconds = time.perf_counter() - started
    if out is not None:
        from priorhood.plot import calibration

        write_picture(calibration(found), out)
    print_calibration(found, as_json=as_json, facts={} if out is None else {"out": str(out)})
    if not as_json:
        written = "" if out is None else f", the picture written to {out}"
        console().print(f"calibrated in {seconds:.2f} s{written}", soft_wrap=True)
    if not found.passed:
        raise typer.Exit(NOT_PASSED)


def _model(text: str, prior: list[str] | None, chosen: dict[str, Any]) -> Model | Posterior:
    """A formula's Model, or a posterior, with other priors where some are given."""
    from dataclasses import replace

    from priorhood.model.model import Model
    from priorhood.posterior.io import load

    if "~" in text:
        return Model(text, prior, **chosen)
    usual = {
        "outcome_unit": "auto",
        "standardize": True,
        "family": "normal",
        "noise": None,
        "se": None,
    } | dict.fromkeys(("precision_weights", "frequency_weights"))
    _only_with("a formula", {key: value for key, value in chosen.items() if value != usual[key]})
    post = load(text)
    return replace(post, data=post.data.with_model(post.model.with_priors(prior))) if prior else post


def _only_with(what: str, given: dict[str, Any]) -> None:
    for key in given:
        option = "no-standardize" if key == "standardize" else key.replace("_", "-")
        raise ModelError(f"--{option} goes with {what}, not with a saved posterior alone, which has its own")

"""`priorhood assess | calibrate`: rows against the model, and the model against its own simulations."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.options import Json, MayPicture, Places, Reading, Rows, Saved, takes
from priorhood.cli.output import (
    announce_compile,
    console,
    print_calibration,
    print_json,
    progress,
    records,
    say,
)
from priorhood.cli.plot import check_picture, write_picture
from priorhood.cli.posterior import WRONG
from priorhood.cli.signatures import parameters_of
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from priorhood.model.model import Model
    from priorhood.posterior.posterior import Posterior


@takes(options="assess")
def assess(
    file: Saved,
    table: Rows,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Table of the places to write, the worst first.", show_default=False),
    ] = None,
    places: Places = None,
    *,
    options: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Which places and rows does the model fit badly, and what would help? Exit code 1 if any."""
    from priorhood.data.sources.export import check_output, write_frame
    from priorhood.evaluation.assess import assess as run
    from priorhood.posterior.io import load

    if out is not None:
        check_output(out, file, table, *([places] if places else []))
    post, rows, known = load(file), reading.rows(table), reading.places(places)
    with progress(quiet=as_json) as report:
        found = run(post, rows, places=known, progress=report, **options)
    frame = found.summary().reset_index()
    if out is not None:
        write_frame(frame, out)
    if as_json:
        print_json(
            out=out, good=found.good, own=found.own, rows=len(found.residuals.pit),
            verdicts=[v.to_dict() for v in found], places=records(frame),
            outliers=[int(found.residuals.used.kept[at]) for at in found.outliers],
        )  # fmt: skip
    else:
        print(found)
        if out is not None:
            say(f"written to {out}")
    if not found.good:
        raise typer.Exit(WRONG)


@takes(chosen="Model: priors outcome_unit standardize family noise se precision_weights frequency_weights",
       options="calibrate")  # fmt: skip
def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A formula, or a saved posterior (.nc).")],
    table: Annotated[
        str | None, typer.Argument(metavar="[TABLE]", help="The rows; a posterior's own if not given.")
    ] = None,
    out: MayPicture = None,
    places: Places = None,
    *,
    chosen: dict[str, Any],
    options: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Fit simulated outcomes whose truth is known: is it where the draws say? Exit code 1 if not."""
    from priorhood.evaluation.sbc import calibrate as run

    if out is not None:
        check_picture(out, model, table, places)
    if table is None:
        _only_with("a table", {"places": places, "drop_outliers": options["drop_outliers"], **reading._asdict()})
    given = _model(model, chosen)
    rows, known = None if table is None else reading.rows(table), reading.places(places)
    announce_compile(quiet=as_json)
    started = time.perf_counter()
    with progress(quiet=as_json) as report:
        found = run(given, rows, places=known, progress=report, **options)
    seconds = time.perf_counter() - started
    if out is not None:
        from priorhood.plot import calibration

        write_picture(calibration(found), out)
    print_calibration(found, as_json=as_json, out=out)
    if not as_json:
        written = "" if out is None else f", the picture written to {out}"
        console().print(f"calibrated in {seconds:.2f} s{written}", soft_wrap=True)
    if not found.passed:
        raise typer.Exit(WRONG)


def _model(text: str, chosen: dict[str, Any]) -> Model | Posterior:
    """The Model of a formula; or a saved posterior, with other priors where some are given."""
    from priorhood.model.model import Model
    from priorhood.posterior.io import load

    if "~" in text:
        return Model(text, **chosen)
    defaults = {one.name: one.default for one in parameters_of("Model")}
    priors = chosen.pop("priors")
    _only_with("a formula", {name: value != defaults[name] for name, value in chosen.items()})
    post = load(text)
    return replace(post, data=post.data.with_model(post.model.with_priors(priors))) if priors else post


def _only_with(what: str, options: dict[str, Any]) -> None:
    """Raise for an option that a saved posterior alone does not take."""
    for name, value in options.items():
        if value:
            option = {"standardize": "no-standardize", "nulls": "null"}.get(name, name.replace("_", "-"))
            raise ModelError(f"--{option} goes with {what}, not with a saved posterior alone, which has its own")

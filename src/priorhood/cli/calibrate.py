"""`priorhood calibrate`: the engine tested on outcomes simulated from the model."""

from __future__ import annotations

import shlex
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood._text import row_count
from priorhood.cli.options import Json, MayPicture, Places, Reading, check_order, is_netcdf, takes
from priorhood.cli.output import (
    NEEDS_ATTENTION,
    announce_compile,
    console,
    new_table,
    print_json,
    progress,
    records,
)
from priorhood.cli.plot import check_picture, write_picture
from priorhood.cli.signatures import parameters_of
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from priorhood.evaluation.sbc import Calibration
    from priorhood.model.model import Model
    from priorhood.posterior.posterior import Posterior


@takes(chosen="Model: priors outcome_unit standardize family noise se precision_weights frequency_weights",
       options="calibrate")  # fmt: skip
def calibrate(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A formula, or a saved posterior (.nc).")],
    table: Annotated[
        str | None,
        typer.Argument(metavar="[TABLE]", help="The rows; by default those of the saved posterior."),
    ] = None,
    out: MayPicture = None,
    places: Places = None,
    *,
    chosen: dict[str, Any],
    options: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Check with simulated outcomes that the engine recovers known parameters. Exit code 1 if it does not."""
    from priorhood.evaluation.sbc import calibrate as run
    from priorhood.model.model import Model
    from priorhood.posterior.io import load

    if table is not None and "~" in table and "~" not in model and not is_netcdf(model):
        raise ModelError(f"the formula comes first, then the table: write {shlex.join([table, model])}")
    check_order(Path(model), table)
    if out is not None:
        check_picture(out, model, table, places)
    if table is None:
        _check_unused("a table", {"places": places, "drop_outliers": options["drop_outliers"], **reading._asdict()})
    subject: Model | Posterior
    if "~" in model:
        subject = Model(model, **chosen)
    else:
        defaults = {parameter.name: parameter.default for parameter in parameters_of("Model")}
        priors = chosen.pop("priors")
        _check_unused("a formula", {name: value != defaults[name] for name, value in chosen.items()})
        subject = load(model)
        if priors:
            subject = replace(subject, data=subject.data.with_model(subject.model.with_priors(priors)))
    rows, known = None if table is None else reading.rows(table), reading.places(places)
    announce_compile(quiet=as_json)
    started = time.perf_counter()
    with progress(quiet=as_json) as report:
        calibration = run(subject, rows, places=known, progress=report, **options)
    seconds = time.perf_counter() - started
    if out is not None:
        from priorhood.plot import calibration as draw

        write_picture(draw(calibration), out)
    if as_json:
        print_json(
            out=out, passed=calibration.passed, refits=calibration.refits, draws=calibration.draws,
            seed=calibration.seed, refused=dict(calibration.refused), places=calibration.places,
            seconds=calibration.seconds, verdicts=[v.to_dict() for v in calibration.verdicts],
            summary=records(calibration.summary().reset_index()),
            ranks={name: calibration.ranks[:, at].tolist() for at, name in enumerate(calibration.quantities)},
        )  # fmt: skip
    else:
        _print_calibration(calibration)
        written = "" if out is None else f", plot written to {out}"
        console().print(f"calibrated in {seconds:.2f} s{written}", soft_wrap=True)
    if not calibration.passed:
        raise typer.Exit(NEEDS_ATTENTION)


def _check_unused(what: str, options: dict[str, Any]) -> None:
    """Raise if an option is used that a saved posterior alone does not take."""
    for name, value in options.items():
        if value:
            option = {"standardize": "no-standardize", "nulls": "null"}.get(name, name.replace("_", "-"))
            raise ModelError(f"--{option} requires {what}; a saved posterior already determines it")


def _print_calibration(calibration: Calibration) -> None:
    """Print table and verdicts."""
    from priorhood.diagnostics.uniformity import p_text

    table = new_table(
        f"{len(calibration.ranks):,} refits, true values ranked among {calibration.draws} draws each, "
        f"seed {calibration.seed}",
        "share of the true values", ("in 50 %", "in 90 %", "below median", "p"),
    )  # fmt: skip
    table.add_column("", no_wrap=True)
    for label, row in calibration.summary().iterrows():
        shares = [f"{row[name]:.1%}" for name in ("in50", "in90", "below")]
        table.add_row(str(label), *shares, p_text(row["p_value"]), "✓" if row["good"] else "✗")
    screen = console()
    screen.print(table)
    if calibration.places:
        sizes = ", ".join(f"{label} ({row_count(rows)})" for label, rows in calibration.places.items())
        screen.print(f"places with the most, the median and the fewest rows: {sizes}", soft_wrap=True)
    for verdict in calibration.verdicts:
        screen.print(str(verdict), soft_wrap=True)

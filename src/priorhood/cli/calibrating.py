"""`priorhood calibrate`: a command with two kinds of input, a formula with its table, or a saved posterior."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.options import (
    Decimal,
    Family,
    FrequencyWeights,
    Json,
    KnownErrors,
    Noise,
    NoStandardize,
    Null,
    OutcomeUnit,
    Outliers,
    Places,
    PrecisionWeights,
    Priors,
    Seed,
    Thousands,
    Threads,
    Where,
    spelled,
)
from priorhood.cli.plotting import check_picture, write_picture
from priorhood.cli.screen import announce_compile, console, print_calibration, progress
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from priorhood.model.model import Model
    from priorhood.posterior.posterior import Posterior

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
    return replace(post, model=post.model.with_priors(prior)) if prior else post


def _only_with(what: str, given: dict[str, Any]) -> None:
    for key in given:
        option = "no-standardize" if key == "standardize" else key.replace("_", "-")
        raise ModelError(f"--{option} goes with {what}, not with a saved posterior alone, which has its own")

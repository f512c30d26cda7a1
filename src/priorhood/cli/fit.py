"""`priorhood fit | refit | update | merge`: what ends in a saved posterior."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.interrupts import interruptible
from priorhood.cli.moments import Given, parts_of, pooled, table_and_formula
from priorhood.cli.options import Json, OutNc, Places, Reading, Rows, Saved, takes
from priorhood.cli.output import announce_compile, console, print_summary, printed_warnings, progress, say

if TYPE_CHECKING:
    from priorhood.data.sources.table import Table
    from priorhood.fitting.federated import Moments
    from priorhood.posterior.posterior import Posterior


def _save_fit(
    make: Callable[[Callable[[str, int, int], None]], Posterior],
    out: Path,
    *inputs: str | None,
    as_json: bool,
    exact: bool = True,
    by_group: bool = False,
) -> None:
    """Fit, save, report: the common end of fit, refit, update and merge."""
    from priorhood._system import check_netcdf, check_writable

    check_writable(out, *(path for path in inputs if path))
    check_netcdf(out, "a posterior", ".nc")
    if exact:
        announce_compile(quiet=as_json, by_group=by_group)
    started = time.perf_counter()
    with interruptible(), printed_warnings(quiet=as_json), progress(quiet=as_json) as report:

        def announced(stage: str, done: int, total: int) -> None:
            if stage == "compiling the model" and done == 0 and not as_json:
                say("compiling the model for NUTS (10 seconds to a minute), then sampling …")
            report(stage, done, total)

        post = make(announced)
    seconds = time.perf_counter() - started
    post.save(out)
    print_summary(post, as_json=as_json, out=out)
    if not as_json:
        console().print(f"fitted in {seconds:.2f} s, written to {out}", soft_wrap=True)


@takes(chosen="Model", run="fit")
def fit(
    given: Given,
    out: OutNc,
    places: Places = None,
    *,
    chosen: dict[str, Any],
    run: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Fit a model to a table, or to the sums of several, and save the posterior."""
    from priorhood.fitting.fit import fit as run_fit
    from priorhood.model.model import Model

    files, formula = parts_of(given)
    rows: Table | Moments
    if files:
        with printed_warnings(quiet=as_json):
            rows = pooled(files, formula, chosen, reading, places=places, drop_outliers=run["drop_outliers"])
        model = Model(rows.formula.text, **chosen)
    else:
        table, formula = table_and_formula(given, "fit")
        model = Model(formula, **chosen)
        rows = reading.rows(table)
    known = reading.places(places)
    exact = run["engine"] != "nuts" and model.family == "normal"
    _save_fit(
        lambda report: run_fit(model, rows, places=known, progress=report, **run),
        out, *(files or given[:1]), places, as_json=as_json, exact=exact, by_group=model.noise is not None,
    )  # fmt: skip


@takes(run="refit")
def refit(file: Saved, out: OutNc, *, run: dict[str, Any], as_json: Json = False) -> None:
    """Fit again under other priors, from a saved file alone."""
    from priorhood.fitting.fit import refit as run_refit
    from priorhood.posterior.io import load

    post = load(file)
    _save_fit(
        lambda report: run_refit(post, progress=report, **run),
        out, as_json=as_json, by_group=post.model.noise is not None,
    )  # fmt: skip


@takes(run="update")
def update(
    file: Saved,
    table: Rows,
    out: OutNc,
    places: Places = None,
    *,
    run: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Add new rows to a saved posterior; only the new rows are read."""
    from priorhood.fitting.fit import update as run_update
    from priorhood.posterior.io import load

    post, rows, known = load(file), reading.rows(table), reading.places(places)
    _save_fit(
        lambda report: run_update(post, rows, places=known, progress=report, **run),
        out, table, places, as_json=as_json,
    )  # fmt: skip


@takes(run="merge")
def merge(
    files: Annotated[list[Path], typer.Argument(help="Saved posteriors of one model.", show_default=False)],
    out: OutNc,
    *,
    run: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Pool several saved posteriors of one model: the posterior of all their rows."""
    from priorhood.fitting.fit import merge as run_merge
    from priorhood.posterior.io import load

    posts = [load(file) for file in files]
    _save_fit(
        lambda report: run_merge(*posts, progress=report, **run),
        out, as_json=as_json, by_group=posts[0].model.noise is not None,
    )  # fmt: skip

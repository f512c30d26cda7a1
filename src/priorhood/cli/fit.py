"""`priorhood fit`: a table, or the sums of several, to a saved posterior; and how all fitting commands end."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood.cli.moments import Inputs, parts_of, pool_files, table_and_formula
from priorhood.cli.options import Json, OutNc, Places, Reading, takes
from priorhood.cli.output import COMPILING, console, print_summary, printed_warnings, progress, say
from priorhood.cli.signals import interruptible

if TYPE_CHECKING:
    from priorhood.data.sources.table import Table
    from priorhood.fitting.federated import Moments
    from priorhood.posterior.posterior import Posterior


def save_fit(
    make: Callable[[Callable[[str, int, int], None]], Posterior],
    out: Path,
    *inputs: str | None,
    as_json: bool,
) -> None:
    """Fit, save and report, for fit, refit, update and merge."""
    from priorhood._system import check_netcdf, check_writable

    check_writable(out, *(path for path in inputs if path))
    check_netcdf(out, "a posterior", ".nc")
    started = time.perf_counter()
    with (
        interruptible(),
        printed_warnings(quiet=as_json) as warned,
        progress(quiet=as_json) as report,
    ):

        def announce(stage: str, done: int, total: int) -> None:
            if stage in COMPILING and done == 0 and not as_json:
                say(COMPILING[stage])
            report(stage, done, total)

        post = make(announce)
    seconds = time.perf_counter() - started
    post.save(out)
    print_summary(post, as_json=as_json, out=out, warned=warned)
    if not as_json:
        console().print(f"fitted in {seconds:.2f} s, written to {out}", soft_wrap=True)


@takes(chosen="Model", run="fit")
def fit(
    inputs: Inputs,
    out: OutNc,
    places: Places = None,
    *,
    chosen: dict[str, Any],
    run: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Fit a model to a table, or to the sums of several tables, and save the posterior."""
    from priorhood.fitting.fit import fit as run_fit
    from priorhood.model.model import Model

    files, formula = parts_of(inputs)
    rows: Table | Moments
    if files:
        with printed_warnings(quiet=as_json):
            rows = pool_files(files, formula, chosen, reading, places=places, drop_outliers=run["drop_outliers"])
        model = Model(rows.formula.text, **chosen)
    else:
        table, formula = table_and_formula(inputs, "fit")
        model = Model(formula, **chosen)
        rows = reading.rows(table)
    known = reading.places(places)
    save_fit(
        lambda report: run_fit(model, rows, places=known, progress=report, **run),
        out, *(files or inputs[:1]), places, as_json=as_json,
    )  # fmt: skip

"""`priorhood summary | predict | check`: questions to a saved posterior."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from priorhood._text import escape_control, row_count
from priorhood.cli.options import Json, MayPicture, Places, Reading, Rows, Saved, takes
from priorhood.cli.output import console, finite, print_json, print_summary, progress, say
from priorhood.cli.plot import check_picture, write_picture

WRONG = 1  # exit code: the command did its work, and something is wrong
# Whether the least or the most of a measure is the worst.
WORST = {"r_hat": "max", "ess_bulk": "min", "ess_tail": "min", "mcse_over_sd": "max"}


def summary(
    file: Saved,
    standardized: Annotated[bool, typer.Option("--standardized", help="On the model's own scale.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every group too.")] = False,
    as_json: Json = False,
) -> None:
    """Print what a saved posterior says."""
    from priorhood.posterior.io import load

    print_summary(load(file), as_json=as_json, everything=everything, standardized=standardized)


@takes(wanted="Posterior.predict")
def predict(
    file: Saved,
    table: Rows,
    out: Annotated[Path, typer.Option("-o", "--out", help="CSV or Parquet file to write.")],
    places: Places = None,
    *,
    wanted: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Write a table with the predictive distribution of every row beside it."""
    from priorhood.data.sources.export import check_kinds, check_output, kinds_of, write_frame
    from priorhood.posterior.io import load
    from priorhood.prediction.predict import request

    check_output(out, file, table, *([places] if places else []))
    post, rows = load(file), reading.rows(table)
    check_kinds(out, rows)
    known, prefix, seed = reading.places(places), wanted.pop("prefix"), wanted.pop("seed")
    asked = request(**wanted, seed=post.seed if seed is None else seed)
    with progress(quiet=as_json) as report:
        result, found = post._predicted(rows, asked, prefix=prefix, places=known, progress=report)
    write_frame(result, out, kinds_of(rows))
    counts = {str(k): int(v) for k, v in result[prefix + "status"].value_counts().items()}
    note = found.note
    if as_json:
        print_json(out=out, rows=len(result), status=counts, notes=[note] if note else [])
        return
    statuses = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    print(f"{row_count(len(result))} predicted ({statuses}), written to {out}")
    if note:
        print(f"note: {note}")


def check(file: Saved, out: MayPicture = None, as_json: Json = False) -> None:
    """Can the draws be relied on? A sentence for each question. Exit code 1 if something is wrong."""
    from priorhood.posterior.io import load

    if out is not None:
        check_picture(out, file)
    post = load(file)
    found = post.check()
    if out is not None:
        from priorhood.plot import diagnostics

        write_picture(diagnostics(post), out)
    if as_json:
        print_json(
            good=found.good, parameters=len(found.measures), verdicts=[v.to_dict() for v in found],
            worst={name: _worst(found.measures[name].dropna(), side) for name, side in WORST.items()}, out=out,
        )  # fmt: skip
    else:
        from rich.text import Text

        screen = console()
        for verdict in found:
            mark = Text("✓ " if verdict.good else "✗ ", style="green" if verdict.good else "bold red")
            mark.append(f"{escape_control(verdict.about)}: ", style="bold").append(
                escape_control(verdict.text), style="not bold"
            )
            screen.print(mark, soft_wrap=True)
        if found.bad:
            screen.print(f"{len(found.bad)} of {len(found)} verdicts ask for something to be done")
        if out is not None:
            say(f"the picture written to {out}")
    if not found.good:
        raise typer.Exit(WRONG)


def _worst(measure: Any, side: str) -> dict[str, Any] | None:
    """The worst value of a measure and its parameter; None where no parameter has one."""
    if measure.empty:
        return None
    at = int(measure.argmax() if side == "max" else measure.argmin())
    return {"parameter": str(measure.index[at]), "value": finite(float(measure.iloc[at]))}

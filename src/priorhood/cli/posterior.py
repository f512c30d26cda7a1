"""`priorhood summary | predict | check`: what a saved posterior is asked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood._text import rows_of, visible
from priorhood.cli.options import (
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
    Vars,
    Where,
    spelled,
)
from priorhood.cli.output import console, print_summary, progress, say
from priorhood.cli.plot import check_picture, drawn, places_of, plot, write_picture
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from priorhood.diagnostics.check import Check


def summary(
    file: Saved,
    standardized: Annotated[bool, typer.Option("--standardized", help="On the model's own scale.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every group too.")] = False,
    as_json: Json = False,
) -> None:
    """Print what a saved posterior says."""
    from priorhood.posterior.io import load

    print_summary(load(file), as_json=as_json, everything=everything, standardized=standardized, facts={})


def predict(
    file: Saved,
    table: Rows,
    out: Annotated[Path, typer.Option("-o", "--out", help="CSV or Parquet file to write.")],
    below: Annotated[list[float] | None, typer.Option(help="Probability below this; repeatable.")] = None,
    above: Annotated[list[float] | None, typer.Option(help="Probability above this; repeatable.")] = None,
    quantiles: Annotated[str, typer.Option(help="Comma-separated probabilities.")] = "0.05,0.5,0.95",
    unseen: Annotated[str, typer.Option(help="New groups: error, population or draw.")] = "error",
    places: Places = None,
    where: Where = None,
    prefix: Annotated[str, typer.Option(help="Put before the new columns' names.")] = "",
    seed: Seed = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    as_json: Json = False,
) -> None:
    """Write a table with the predictive distribution of every row beside it."""
    from priorhood.data.sources.export import check_kinds, check_output, kinds_of, write_frame
    from priorhood.data.sources.table import read
    from priorhood.posterior.io import load
    from priorhood.prediction.predict import request

    check_output(out, file, table, *([places] if places else []))
    post = load(file)
    rows = read(table, where=where, **spelled(null, decimal, thousands))
    check_kinds(out, rows)
    known = None if places is None else read(places, **spelled(null, decimal, thousands))
    wanted = request(_quantiles(quantiles), below, above, unseen, seed=post.seed if seed is None else seed)
    with progress(quiet=as_json) as tell:
        result, found = post._predicted(rows, wanted, prefix=prefix, places=known, progress=tell)
    write_frame(result, out, kinds_of(rows))
    counts = {str(k): int(v) for k, v in result[prefix + "status"].value_counts().items()}
    note = found.note
    if as_json:
        notes = [note] if note else []
        print(json.dumps({"out": str(out), "rows": len(result), "status": counts, "notes": notes}))
    else:
        told = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        print(f"{rows_of(len(result))} predicted ({told}), written to {out}")
        if note:
            print(f"note: {note}")


def _quantiles(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ModelError(f"--quantiles {text!r}: write it like 0.05,0.5,0.95") from None


WRONG = 1  # exit code: the command did its work, and something is wrong
# Of every measure, whether its least or its most is the worst.
WORST = {"r_hat": "max", "ess_bulk": "min", "ess_tail": "min", "mcse_over_sd": "max"}


def check(
    file: Saved,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Picture to write: PNG, SVG or PDF.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
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
        print(json.dumps({**_as_json(found), **({} if out is None else {"out": str(out)})}))
    else:
        _print(found)
        if out is not None:
            say(f"the picture written to {out}")
    if not found.good:
        raise typer.Exit(WRONG)


def _print(found: Check) -> None:
    from rich.text import Text

    screen = console()
    for verdict in found:
        mark = Text("✓ " if verdict.good else "✗ ", style="green" if verdict.good else "bold red")
        mark.append(f"{visible(verdict.about)}: ", style="bold").append(visible(verdict.text), style="not bold")
        screen.print(mark, soft_wrap=True)
    bad = len(found.bad)
    if bad:
        screen.print(f"{bad} of {len(found)} verdicts ask for something to be done")


def _as_json(found: Check) -> dict[str, Any]:
    """Verdicts, and the worst of each measure with the parameter that has it; JSON has no infinities."""
    measures = found.measures
    worst: dict[str, dict[str, str | float | None] | None] = {}
    for name, side in WORST.items():
        column = measures[name].dropna()
        if column.empty:
            worst[name] = None
            continue
        at = int(column.argmax() if side == "max" else column.argmin())
        value = float(column.iloc[at])
        worst[name] = {"parameter": str(column.index[at]), "value": value if math.isfinite(value) else None}
    told = [verdict.to_dict() for verdict in found]
    return {"good": found.good, "parameters": len(measures), "verdicts": told, "worst": worst}


@plot.command()
def diagnostics(file: Saved, out: Picture) -> None:
    """R-hat, effective sample sizes and Monte Carlo errors of all parameters, and what the sampler did."""
    from priorhood import plot as pictures

    drawn(file, out, pictures.diagnostics)


@plot.command()
def ranks(
    file: Saved,
    out: Picture,
    var: Vars = None,
    group: Group = None,
) -> None:
    """The ranks of every chain among the draws of all: do the chains agree?"""
    from priorhood import plot as pictures

    drawn(file, out, lambda post: pictures.ranks(post, var, **places_of(post, group)))

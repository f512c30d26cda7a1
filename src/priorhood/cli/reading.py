"""`priorhood summary | predict`: what a saved posterior is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from priorhood.cli.options import (
    Decimal,
    Json,
    Null,
    Places,
    Rows,
    Saved,
    Seed,
    Thousands,
    Where,
    spelled,
)
from priorhood.cli.screen import print_summary, progress
from priorhood.errors import ModelError, rows_of


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

    check_output(out, file, table, *([places] if places else []))
    post = load(file)
    rows = read(table, where=where, **spelled(null, decimal, thousands))
    check_kinds(out, rows)
    known = None if places is None else read(places, **spelled(null, decimal, thousands))
    levels = _quantiles(quantiles)
    with progress(quiet=as_json) as tell:
        result, note = post._predicted(
            rows, levels, below=below, above=above, unseen=unseen, prefix=prefix, seed=seed, places=known,
            progress=tell,
        )  # fmt: skip
    write_frame(result, out, kinds_of(rows))
    counts = {str(k): int(v) for k, v in result[prefix + "status"].value_counts().items()}
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

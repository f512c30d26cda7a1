"""`priorhood compare`: leave-one-out of one model, or of several models of the same rows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.options import Json, MayPicture, Places, Reading, takes
from priorhood.cli.output import console, finite, new_table, print_json, records, say
from priorhood.cli.plot import check_picture, write_picture
from priorhood.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd
    from rich.table import Table

DECIMALS = {"weight": ".2f", "p_worse": ".2f", "probability": ".2f", "error": ".2g", "bayes_factor": ".2g"}


@takes(options="compare")
def compare(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Saved posteriors (.nc).")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="TABLE", help="The fits' rows, for --by row.")
    ] = None,
    out: MayPicture = None,
    places: Places = None,
    *,
    options: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Which model predicts better: leave one row or one place out, or the evidence. No refits."""
    from priorhood.evaluation.compare import compare as run_compare
    from priorhood.evaluation.compare import leave_out
    from priorhood.evaluation.elpd import Elpd
    from priorhood.posterior.io import load

    if out is not None:
        check_picture(out, *files, data, places)
    # The files' names without folders and endings where these tell them apart.
    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    if len(set(names)) < len(names):
        raise ModelError("a file is given twice; give each model once")
    posts = dict(zip(names, map(load, files), strict=True))
    options["places"], by = reading.places(places), options.pop("by")
    rows = reading.rows_if(data, "--data", places)
    found: Any
    if len(posts) == 1 and by != "evidence":
        found = leave_out(next(iter(posts.values())), rows, by, **options)
        if as_json:
            print_json(
                by=found.by, unit=found.unit, elpd=found.elpd, se=found.se, p=finite(found.p), mcse=found.mcse,
                draws=found.draws, good_k=found.good_k, way=found.way, verdicts=[v.to_dict() for v in found.check],
                pointwise=records(found.pointwise.reset_index(), 15),
            )  # fmt: skip
        else:
            console().print(str(found), soft_wrap=True)
    else:
        found = run_compare(posts, rows, by, **options)
        note = found.attrs.get("note")
        if as_json:
            print_json(by=by, models=records(found.reset_index(), 15), **({"note": note} if note else {}))
        else:
            screen = console()
            screen.print(_table(found))
            if note:
                screen.print(f"note: {note}", soft_wrap=True)
    if out is not None:
        from priorhood import plot

        write_picture(plot.loo(found) if isinstance(found, Elpd) else plot.compare(found), out)
        say(f"written to {out}")


def _table(frame: pd.DataFrame) -> Table:
    attrs = frame.attrs
    title = f"{attrs['count']:,} rows of {attrs['outcome']}, by evidence"
    if attrs["by"] != "evidence":
        left_out = f"{attrs['unit']}s" if attrs["by"] == "row" else f"places ({attrs['unit']})"
        title = f"{attrs['count']:,} {left_out} left out one by one, outcome {attrs['outcome']}"
    columns = [c for c in frame.columns if c != "rank" and not (frame[c] == "").all()]
    table = new_table(title, "model", columns)
    for label, row in frame.iterrows():
        cells = [row[name] for name in columns]
        table.add_row(
            str(label),
            *(
                cell
                if isinstance(cell, str)
                else f"{cell:{DECIMALS.get(name, ',.1f')}}"
                if math.isfinite(cell)
                else ""
                for name, cell in zip(columns, cells, strict=True)
            ),
        )
    return table

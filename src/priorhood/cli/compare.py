"""`priorhood compare`: leave-one-out of one model, or a comparison of several models of the same rows."""

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
        str | None, typer.Option("--data", metavar="TABLE", help="The rows of the fits, needed for --by row.")
    ] = None,
    out: MayPicture = None,
    places: Places = None,
    *,
    options: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Compare models without refits: by leaving out one row or one place at a time, or by the evidence."""
    from priorhood.evaluation.compare import compare as run_compare
    from priorhood.evaluation.compare import leave_out
    from priorhood.evaluation.elpd import Elpd
    from priorhood.posterior.io import load

    if out is not None:
        check_picture(out, *files, data, places)
    # The files' names without folders and extensions if these are unique.
    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    if len(set(names)) < len(names):
        raise ModelError("a file is given twice; name each model once")
    posts = dict(zip(names, map(load, files), strict=True))
    options["places"], by = reading.places(places), options.pop("by")
    rows = reading.rows_if(data, "--data", places)
    result: Any
    if len(posts) == 1 and by != "evidence":
        result = leave_out(next(iter(posts.values())), rows, by, **options)
        if as_json:
            print_json(
                by=result.by, unit=result.unit, elpd=result.elpd, se=result.se, p=finite(result.p),
                mcse=result.mcse, draws=result.draws, good_k=result.good_k, way=result.way,
                verdicts=[v.to_dict() for v in result.check],
                pointwise=records(result.pointwise.reset_index(), 15),
            )  # fmt: skip
        else:
            console().print(str(result), soft_wrap=True)
    else:
        result = run_compare(posts, rows, by, **options)
        note = result.attrs.get("note")
        if as_json:
            print_json(by=by, models=records(result.reset_index(), 15), **({"note": note} if note else {}))
        else:
            screen = console()
            screen.print(_table(result))
            if note:
                screen.print(f"note: {note}", soft_wrap=True)
    if out is not None:
        from priorhood import plot

        write_picture(plot.loo(result) if isinstance(result, Elpd) else plot.compare(result), out)
        say(f"written to {out}")


def _table(frame: pd.DataFrame) -> Table:
    """Return the comparison of several models as a table for the terminal."""
    attrs = frame.attrs
    title = f"{attrs['count']:,} rows, outcome {attrs['outcome']}, compared by evidence"
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

"""`priorhood predict`: the predictive distribution of every row of a table."""

from __future__ import annotations

from typing import Any

from priorhood._text import row_count
from priorhood.cli.options import Json, OutTable, Places, Reading, Rows, Saved, check_order, check_thresholds, takes
from priorhood.cli.output import print_json, progress


@takes(wanted="Posterior.predict")
def predict(
    file: Saved,
    table: Rows,
    out: OutTable,
    places: Places = None,
    *,
    wanted: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Write the table with the predictive distribution of every row added as columns."""
    from priorhood.data.sources.export import check_kinds, check_output, kinds_of, write_frame
    from priorhood.posterior.io import load
    from priorhood.prediction.predict import request

    check_order(file, table)
    check_output(out, file, table, *([places] if places else []))
    post, rows = load(file), reading.rows(table)
    check_thresholds(post, wanted)
    check_kinds(out, rows)
    known, prefix, seed = reading.places(places), wanted.pop("prefix"), wanted.pop("seed")
    quantities = request(**wanted, seed=post.seed if seed is None else seed)
    with progress(quiet=as_json) as report:
        frame, predicted = post._predicted(rows, quantities, prefix=prefix, places=known, progress=report)
    write_frame(frame, out, kinds_of(rows))
    counts = {str(k): int(v) for k, v in frame[prefix + "status"].value_counts().items()}
    note = predicted.note
    if as_json:
        print_json(out=out, rows=len(frame), status=counts, notes=[note] if note else [])
        return
    statuses = ", ".join(f"{count:,} {status}" for status, count in counts.items())
    print(f"{row_count(len(frame))} predicted{statuses and f' ({statuses})'}, written to {out}")
    formula = post.model.formula
    if formula.unlogged.bare is None:
        thresholds = " and thresholds" if quantities.below or quantities.above else ""
        print(f"predictions{thresholds} refer to {formula.outcome_name}, the outcome in the formula")
    if note:
        print(f"note: {note}")

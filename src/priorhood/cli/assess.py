"""`priorhood assess`: rows compared with the model."""

from __future__ import annotations

from typing import Any

import typer

from priorhood.cli.options import Json, MayTable, Places, Reading, Rows, Saved, check_order, takes
from priorhood.cli.output import NEEDS_ATTENTION, print_json, progress, records, say


@takes(options="assess")
def assess(
    file: Saved,
    table: Rows,
    out: MayTable = None,
    places: Places = None,
    *,
    options: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Report which places and rows the model fits badly, and what would help. Exit code 1 if there are any."""
    from priorhood.data.sources.export import check_output, write_frame
    from priorhood.evaluation.assess import assess as run
    from priorhood.posterior.io import load

    check_order(file, table)
    if out is not None:
        check_output(out, file, table, *([places] if places else []))
    post, rows, known = load(file), reading.rows(table), reading.places(places)
    with progress(quiet=as_json) as report:
        assessment = run(post, rows, places=known, progress=report, **options)
    frame = assessment.summary().reset_index()
    if out is not None:
        write_frame(frame, out)
    if as_json:
        r = assessment.residuals
        print_json(
            out=out, good=assessment.good, own=assessment.in_sample, rows=len(r.pit),
            verdicts=[v.to_dict() for v in assessment], places=records(frame),
            outliers=[int(r.used.kept[at]) for at in assessment.outliers],
        )  # fmt: skip
    else:
        print(assessment)
        if out is not None:
            say(f"written to {out}")
    if not assessment.good:
        raise typer.Exit(NEEDS_ATTENTION)

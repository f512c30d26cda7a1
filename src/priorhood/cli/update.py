"""`priorhood update`: a saved fit with more rows."""

from __future__ import annotations

from typing import Any

from priorhood.cli.fit import save_fit
from priorhood.cli.options import Json, OutNc, Places, Reading, Rows, Saved, check_order, takes


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

    check_order(file, table)
    post, rows, known = load(file), reading.rows(table), reading.places(places)
    save_fit(
        lambda report: run_update(post, rows, places=known, progress=report, **run),
        out, str(file), table, places, as_json=as_json,
    )  # fmt: skip

"""`priorhood report`: a saved posterior as a web page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from priorhood.cli.options import Polygons, Saved, check_thresholds, takes
from priorhood.cli.output import say
from priorhood.cli.plot import joined_areas


@takes(options="report")
def report(
    file: Saved,
    out: Annotated[Path, typer.Option("-o", "--out", help="Output file (HTML).")],
    polygons: Polygons = None,
    *,
    options: dict[str, Any],
) -> None:
    """Write a report as a web page that works offline: the model, the results, and the price of any home."""
    from priorhood.posterior.io import load
    from priorhood.reporting import check_report
    from priorhood.reporting import report as write_report

    check_report(out, file, *([polygons] if polygons else []))
    post = load(file)
    check_thresholds(post, options)
    known = joined_areas(post, polygons, options) if polygons and post.hierarchy.levels else polygons
    write_report(post, out, known, **options)
    say(f"written to {out} ({out.stat().st_size / 1000:,.0f} kB)")

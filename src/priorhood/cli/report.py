"""`priorhood report`: a saved posterior as one page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from priorhood.cli.options import At, Column, Crs, Level, Saved, values_of
from priorhood.cli.output import say


def report(
    file: Saved,
    out: Annotated[Path, typer.Option("-o", "--out", help="HTML file to write.")],
    places: Annotated[
        str | None, typer.Option(metavar="POLYGONS", help="For a map: GeoJSON, or what geopandas reads.")
    ] = None,
    at: At = None,
    below: Annotated[
        float | None, typer.Option(help="Threshold: shows the probability to find a home below it.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title of the page; like 'Price by zip' if not given.")] = None,
    column: Column = None,
    level: Level = None,
    crs: Crs = None,
) -> None:
    """Write a page that a browser opens without a network: what was fitted and found, what a home costs."""
    from priorhood.posterior.io import load
    from priorhood.reporting import check_report
    from priorhood.reporting import report as write_report

    check_report(out, file, *([places] if places else []))
    write_report(
        load(file), out, places, at=values_of(at), below=below, title=title, column=column, level=level, crs=crs
    )
    say(f"written to {out} ({out.stat().st_size / 1000:,.0f} kB)")

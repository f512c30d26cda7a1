"""`priorhood simulate`: sales whose true parameters are known."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from priorhood.cli.options import Json, OutTable, takes
from priorhood.cli.output import print_json


@takes(options="simulate")
def simulate(
    out: OutTable,
    places: Annotated[int, typer.Option(help="Number of ZIP codes.")] = 219,
    polygons: Annotated[
        Path | None, typer.Option(help="GeoJSON file to write the ZIP codes' polygons to, for `plot map`.")
    ] = None,
    *,
    options: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Write simulated sales like those of Berlin: zip, living_space, price."""
    from priorhood._arguments import check_whole
    from priorhood._system import check_writable, write_text
    from priorhood.data.sources.export import check_output, write_frame
    from priorhood.datasets import MAX_AREAS, simulate_areas
    from priorhood.datasets import simulate as run
    from priorhood.errors import FileError

    check_output(out)
    if polygons:
        check_writable(polygons)
        check_whole("places", places, 1, MAX_AREAS)
        if polygons.suffix.lower() not in (".geojson", ".json"):
            raise FileError(f"cannot write polygons to {str(polygons)!r}; its name must end in .geojson or .json")
        if polygons.resolve() == out.resolve():
            raise FileError(f"--polygons {str(polygons)!r} is the same file as --out; choose another name")
    frame, _ = run(places, **options)
    areas = json.dumps(simulate_areas(places, options["seed"])) if polygons else ""
    write_frame(frame, out)
    if polygons:
        write_text(polygons, areas)
    if as_json:
        written = {"polygons": str(polygons)} if polygons else {}
        print_json(out=out, rows=len(frame), places=places, seed=options["seed"], **written)
        return
    print(f"{len(frame):,} simulated sales in {places:,} ZIP codes, written to {out}")
    if polygons:
        print(f"{places:,} polygons, written to {polygons}")

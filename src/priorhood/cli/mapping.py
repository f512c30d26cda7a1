"""`priorhood plot map`: a saved posterior on a map."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from priorhood.cli.options import At, Column, Crs, Level, Saved, values_of
from priorhood.cli.plotting import PICTURES, drawn
from priorhood.cli.screen import say
from priorhood.errors import FileError


def map_places(
    file: Saved,
    places: Annotated[
        Path, typer.Argument(metavar="POLYGONS", help="GeoJSON, or what geopandas reads.", show_default=False)
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Map to write: PNG, SVG, PDF, or HTML to look around in.")
    ],
    show: Annotated[
        str | None, typer.Option(help="price, below, sd, rows, or a coefficient: 'beta[living_space]'.")
    ] = None,
    at: At = None,
    below: Annotated[
        float | None, typer.Option(help="Threshold: shows the probability to find a home below it.")
    ] = None,
    column: Column = None,
    level: Level = None,
    crs: Crs = None,
) -> None:
    """What one and the same home costs in every place; the probability that it costs less than --below."""
    from priorhood import plot as pictures
    from priorhood.plot.maps.interactive import check_page

    values = values_of(at)
    options = {"at": values, "below": below, "column": column, "level": level, "crs": crs}
    if not check_page(out):
        if out.suffix.lower() not in PICTURES:
            raise FileError(
                f"cannot write a map to {str(out)!r}; its name must end in {', '.join(PICTURES)} or .html"
            )
        drawn(file, out, lambda post: pictures.map(post, places, show, **options), places)  # type: ignore[arg-type]
        return
    from priorhood._system import check_writable
    from priorhood.posterior.io import load

    check_writable(out, file, places)
    pictures.interactive_map(load(file), places, show, **options).save(out)  # type: ignore[arg-type]
    say(f"written to {out}")

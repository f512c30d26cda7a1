"""`priorhood simulate | demo`: sales with a known truth, and the main job on them."""

from __future__ import annotations

import json
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from priorhood.cli.options import Json, takes
from priorhood.cli.output import console, print_json

FORMULA = "price ~ living_space + (living_space | zip)"


@takes(options="simulate")
def simulate(
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write.")],
    places: Annotated[int, typer.Option(help="Number of ZIP codes.")] = 219,
    polygons: Annotated[
        Path | None, typer.Option(help="GeoJSON file to write the ZIP codes' polygons to, for `plot map`.")
    ] = None,
    *,
    options: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Write simulated Berlin-like sales: zip, living_space, price."""
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
            raise FileError(f"--polygons {str(polygons)!r} is the file of the sales; give another name")
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


@takes(options="simulate: seed")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("demo"), *, options: dict[str, Any]
) -> None:
    """The main job on simulated sales, from a table to a report, with pictures where the extras are installed."""
    from priorhood.cli import app
    from priorhood.errors import FileError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileError(f"cannot make the folder {str(out)!r}: {problem.strerror}") from None
    screen = console()
    for words in _steps(out, options["seed"], pictures=find_spec("matplotlib"), maps=find_spec("geopandas")):
        screen.print(f"\n$ priorhood {shlex.join(words)}", style="bold", soft_wrap=True)
        app(words, standalone_mode=False)
    page = out / "report.html"
    screen.print(f"\nThe report opens in any browser: {page.resolve()}", soft_wrap=True)


def _steps(out: Path, seed: int, *, pictures: object, maps: object) -> list[list[str]]:
    """The demo's commands, as they are typed."""
    sales, post, zips = (str(out / name) for name in ("sales.csv", "posterior.nc", "zips.geojson"))
    home = ["--at", "living_space=100", "--below", "450000"]

    def to(name: str) -> list[str]:
        return ["-o", str(out / name)]

    units = ["--unit", "price=€", "--unit", "living_space=m²"]
    steps = [
        ["simulate", *to("sales.csv"), "--polygons", zips, "--seed", str(seed)],
        ["fit", sales, FORMULA, *to("posterior.nc"), *units, "--seed", str(seed)],
        ["check", post],
        ["predict", post, sales, *to("predictions.csv"), "--below", "450000"],
    ]
    if pictures:
        steps += [
            ["plot", "lines", post, *to("lines.png"), "--data", sales],
            ["plot", "shrinkage", post, *to("shrinkage.png")],
            ["plot", "price", post, *to("price.png"), "--group", "10115", *home],
        ]
    if pictures and maps:
        steps += [["plot", "map", post, *to("map.png"), "--polygons", zips, *home]]
    return [*steps, ["report", post, *to("report.html"), *(["--polygons", zips] if maps else []), *home]]

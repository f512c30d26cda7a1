"""`priorhood simulate | demo`: sales with a known truth, and the main job on them."""

from __future__ import annotations

import json
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from priorhood.cli.options import Json, Out
from priorhood.cli.output import console

FORMULA = "price ~ living_space + (living_space | zip)"


def simulate(
    out: Out,
    places: Annotated[int, typer.Option(help="Number of ZIP codes.")] = 219,
    rows: Annotated[int, typer.Option(help="Number of sales.")] = 7500,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 2412,
    areas: Annotated[
        Path | None, typer.Option(help="GeoJSON file for polygons of the ZIP codes, for `plot map`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write simulated Berlin-like sales: zip, living_space, price."""
    from priorhood._system import write_text
    from priorhood.data.sources.export import check_output, write_frame
    from priorhood.datasets import simulate as run

    check_output(out)
    if areas:
        _check_areas(areas, out, places)
    frame, _ = run(places, rows, seed)
    polygons = _polygons(places, seed) if areas else ""
    write_frame(frame, out)
    if areas:
        write_text(areas, polygons)
    if as_json:
        told = {"out": str(out), "rows": len(frame), "places": places, "seed": seed}
        print(json.dumps(told | ({"areas": str(areas)} if areas else {})))
    else:
        print(f"{len(frame):,} simulated sales in {places:,} ZIP codes, written to {out}")
        if areas:
            print(f"{places:,} polygons, written to {areas}")


def _check_areas(areas: Path, out: Path, places: int) -> None:
    from priorhood._arguments import whole
    from priorhood._system import check_writable
    from priorhood.datasets import MOST_AREAS
    from priorhood.errors import FileError

    check_writable(areas)
    whole("places", places, 1, MOST_AREAS)
    if areas.suffix.lower() not in (".geojson", ".json"):
        raise FileError(f"cannot write polygons to {str(areas)!r}; its name must end in .geojson or .json")
    if areas.resolve() == out.resolve():
        raise FileError(f"--areas {str(areas)!r} is the file of the sales; give another name")


def _polygons(places: int, seed: int) -> str:
    from priorhood.datasets import simulate_areas

    return json.dumps(simulate_areas(places, seed))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Random seed.")] = 2412,
) -> None:
    """The main job on simulated sales, from a table to a report, with pictures where the extras are installed."""
    from priorhood.cli import app
    from priorhood.errors import FileError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileError(f"cannot make the folder {str(out)!r}: {problem.strerror}") from None
    screen = console()
    for words in _steps(out, seed, pictures=find_spec("matplotlib"), maps=find_spec("geopandas")):
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
        ["simulate", *to("sales.csv"), "--areas", zips, "--seed", str(seed)],
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
        steps += [["plot", "map", post, zips, *to("map.png"), *home]]
    return [*steps, ["report", post, *to("report.html"), *(["--places", zips] if maps else []), *home]]

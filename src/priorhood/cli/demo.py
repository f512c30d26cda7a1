"""`priorhood simulate | demo`: sales with a known truth, and the main job on them."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from priorhood.cli.fitting import fit
from priorhood.cli.mapping import map_places
from priorhood.cli.options import Json, Out
from priorhood.cli.reading import predict
from priorhood.cli.screen import console


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
    from priorhood.simulate import simulate as run
    from priorhood.table import check_output, write_frame

    check_output(out)
    if areas:
        _check_areas(areas, out)
    frame, _ = run(places, rows, seed)
    write_frame(frame, out)
    if areas:
        _write_areas(areas, places, seed)
    if as_json:
        told = {"out": str(out), "rows": len(frame), "places": places, "seed": seed}
        print(json.dumps(told | ({"areas": str(areas)} if areas else {})))
    else:
        print(f"{len(frame):,} simulated sales in {places:,} ZIP codes, written to {out}")
        if areas:
            print(f"{places:,} polygons, written to {areas}")


def _check_areas(areas: Path, out: Path) -> None:
    from priorhood.errors import FileError
    from priorhood.files import check_writable

    check_writable(areas)
    if areas.suffix.lower() not in (".geojson", ".json"):
        raise FileError(f"cannot write polygons to {str(areas)!r}; its name must end in .geojson or .json")
    if areas.resolve() == out.resolve():
        raise FileError(f"--areas {str(areas)!r} is the file of the sales; give another name")


def _write_areas(areas: Path, places: int, seed: int) -> None:
    from priorhood.city import simulate_areas
    from priorhood.files import write_atomically

    text = json.dumps(simulate_areas(places, seed))
    write_atomically(areas, lambda name: Path(name).write_text(text, encoding="utf-8"))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Random seed.")] = 2412,
) -> None:
    """The main job on simulated sales: simulate, fit, summary, predict, and a map where geopandas is installed."""
    from priorhood.errors import FileError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileError(f"cannot make the folder {str(out)!r}: {problem.strerror}") from None
    sales, post, prices = out / "sales.csv", out / "posterior.nc", out / "predictions.csv"
    zips, picture = out / "zips.geojson", out / "map.png"
    formula = "price ~ living_space + (living_space | zip)"
    screen = console()
    screen.print(f"\n[bold]$ priorhood simulate -o {sales} --areas {zips}[/bold]", soft_wrap=True)
    simulate(sales, seed=seed, areas=zips)
    screen.print(
        f'\n[bold]$ priorhood fit {sales} "{formula}" -o {post} --unit price=€ --unit living_space=m²[/bold]',
        soft_wrap=True,
    )
    fit(str(sales), formula, post, seed=seed, unit=["price=€", "living_space=m²"])
    screen.print(f"\n[bold]$ priorhood predict {post} {sales} -o {prices} --below 350000[/bold]", soft_wrap=True)
    predict(post, str(sales), prices, below=[350_000.0])
    if find_spec("geopandas") and find_spec("matplotlib"):
        options = "--at living_space=100 --below 350000"
        screen.print(f"\n[bold]$ priorhood plot map {post} {zips} -o {picture} {options}[/bold]", soft_wrap=True)
        map_places(post, zips, picture, at=["living_space=100"], below=350_000.0)

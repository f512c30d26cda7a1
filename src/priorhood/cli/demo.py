"""`priorhood demo`: the usual commands on simulated sales, from a table to a report."""

from __future__ import annotations

import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from priorhood.cli.options import takes
from priorhood.cli.output import console

FORMULA = "price ~ living_space + (living_space | zip)"


@takes(options="simulate: seed")
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("demo"), *, options: dict[str, Any]
) -> None:
    """Run the usual commands on simulated sales, from a table to a report.

    Pictures are drawn if the extras for plots and maps are installed.
    """
    from priorhood.cli import app
    from priorhood.errors import FileError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileError(f"cannot make the folder {str(out)!r}: {problem.strerror}") from None
    sales, post, zips, page = (
        str(out / name) for name in ("sales.csv", "posterior.nc", "zips.geojson", "report.html")
    )
    home = ["--at", "living_space=100", "--below", "450000"]
    seed = ["--seed", str(options["seed"])]

    def to(name: str) -> list[str]:
        return ["-o", str(out / name)]

    commands = [
        ["simulate", *to("sales.csv"), "--polygons", zips, *seed],
        ["fit", sales, FORMULA, *to("posterior.nc"), "--unit", "price=€", "--unit", "living_space=m²", *seed],
        ["check", post],
        ["predict", post, sales, *to("predictions.csv"), "--below", "450000"],
    ]
    pictures, maps = find_spec("matplotlib"), find_spec("geopandas")
    if pictures:
        commands += [
            ["plot", "lines", post, *to("lines.png"), "--data", sales],
            ["plot", "shrinkage", post, *to("shrinkage.png")],
            ["plot", "price", post, *to("price.png"), "--group", "10115", *home],
        ]
    if pictures and maps:
        commands += [["plot", "map", post, *to("map.png"), "--polygons", zips, *home]]
    commands += [["report", post, "-o", page, *(["--polygons", zips] if maps else []), *home]]
    screen = console()
    for words in commands:
        screen.print(f"\n$ priorhood {shlex.join(words)}", style="bold", soft_wrap=True)
        app(words, standalone_mode=False)
    screen.print(f"\nOpen the report in any browser: {Path(page).resolve()}", soft_wrap=True)

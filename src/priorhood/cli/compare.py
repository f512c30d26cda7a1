"""`priorhood compare`: one model's leave-one-out, or several models of the same rows beside each other."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.options import Decimal, Json, Null, Outliers, Places, Thousands, Where, spelled, table_of
from priorhood.cli.output import console, say
from priorhood.cli.plot import check_picture, write_picture
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from priorhood.evaluation.elpd import Elpd
    from priorhood.posterior.posterior import Posterior


def compare(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Saved posteriors (.nc).")],
    data: Annotated[
        str | None, typer.Option("--data", metavar="TABLE", help="The fits' rows, for --by row.")
    ] = None,
    by: Annotated[str, typer.Option(help="row, place (leave one out) or evidence.")] = "row",
    level: Annotated[
        str | None,
        typer.Option(metavar="GROUP", help="With --by place, of nested places, which; the finest if not given."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Picture to write: PNG, SVG or PDF.", show_default=False)
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of θ that are taken.")] = 1000,
    places: Places = None,
    where: Where = None,
    drop_outliers: Outliers = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    as_json: Json = False,
) -> None:
    """Which model predicts better: leave one row or one place out, or the evidence. No refits."""
    from priorhood.data.sources.table import read
    from priorhood.posterior.io import load

    if out is not None:
        check_picture(out, *files, data, places)
    posts = dict(zip(_names(files), map(load, files), strict=True))
    spelling = spelled(null, decimal, thousands)
    known = None if places is None else read(places, **spelling)
    # What is said of values is said of the table of places too.
    rows = table_of("--data", data, where, spelling if data or known is None else spelled(None, None, None))
    options = {"level": level, "draws": draws, "places": known, "drop_outliers": drop_outliers}
    if len(posts) == 1 and by != "evidence":
        figure = _one(next(iter(posts.values())), rows, by, options, as_json=as_json, picture=out is not None)
    else:
        figure = _several(posts, rows, by, options, as_json=as_json, picture=out is not None)
    if out is not None:
        write_picture(figure, out)
        say(f"written to {out}")


def _names(files: list[Path]) -> list[str]:
    """The files' names without folders and endings where these tell them apart."""
    for names in ([file.stem for file in files], [str(file) for file in files]):
        if len(set(names)) == len(names):
            return names
    raise ModelError("a file is given twice; give each model once")


def _one(post: Posterior, rows: object, by: str, options: dict[str, Any], *, as_json: bool, picture: bool) -> Any:
    """One model's own elpd."""
    from priorhood.evaluation.compare import leave_out

    found = leave_out(post, rows, by, **options)
    if as_json:
        print(json.dumps({**_facts(found), "pointwise": _records(found.pointwise)}))
    else:
        console().print(str(found), soft_wrap=True)
    if not picture:
        return None
    from priorhood.plot import loo

    return loo(found)


def _facts(found: Elpd) -> dict[str, Any]:
    told = [v.to_dict() for v in found.check]
    return {
        "by": found.by, "unit": found.unit, "elpd": found.elpd, "se": found.se, "p": _finite(found.p),
        "mcse": found.mcse, "draws": found.draws, "good_k": found.good_k, "way": found.way, "verdicts": told,
    }  # fmt: skip


def _finite(value: float) -> float | None:
    """JSON has no infinities, nor what is not known."""
    return value if math.isfinite(value) else None


def _records(frame: Any) -> Any:
    return json.loads(frame.reset_index().to_json(orient="records", double_precision=15))


def _several(
    posts: dict[str, Posterior], rows: object, by: str, options: dict[str, Any], *, as_json: bool, picture: bool
) -> Any:
    """The table of several models."""
    from priorhood.evaluation.compare import compare as run

    frame = run(posts, rows, by, **options)
    note = frame.attrs.get("note")
    if as_json:
        print(json.dumps({"by": by, "models": _records(frame), **({"note": note} if note else {})}))
    else:
        screen = console()
        screen.print(_table(frame))
        if note:
            screen.print(f"note: {note}", soft_wrap=True)
    if not picture:
        return None
    from priorhood.plot import compare as draw

    return draw(frame)


def _table(frame: Any) -> Any:
    from rich import box
    from rich.table import Table

    attrs = frame.attrs
    title = f"{attrs['count']:,} rows of {attrs['outcome']}, by evidence"
    if attrs["by"] != "evidence":
        left_out = f"{attrs['unit']}s" if attrs["by"] == "row" else f"places ({attrs['unit']})"
        title = f"{attrs['count']:,} {left_out} left out one by one, outcome {attrs['outcome']}"
    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    table.add_column("model", overflow="fold")
    columns = [c for c in frame.columns if c != "rank" and not (frame[c] == "").all()]
    for name in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for label, row in frame.iterrows():
        table.add_row(str(label), *(_cell(name, row[name]) for name in columns))
    return table


def _cell(name: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if not math.isfinite(value):
        return ""
    if name in ("weight", "p_worse", "probability"):
        return f"{value:.2f}"
    if name in ("error", "bayes_factor"):
        return f"{value:.2g}"
    return f"{value:,.1f}"

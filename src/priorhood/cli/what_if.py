"""`priorhood sensitivity | influence`: other priors; without a place or a row."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood._text import rows_of
from priorhood.cli.options import Chains, DrawCount, Json, Picture, Saved, Seed, Threads, row_of
from priorhood.cli.output import announce_compile, console, progress
from priorhood.cli.plot import drawn, places_of, plot

if TYPE_CHECKING:
    import pandas as pd

Factors = Annotated[list[float] | None, typer.Option("--factors", help="Scale every prior by this; repeatable.")]
Parameters = Annotated[
    list[str] | None, typer.Option("--parameters", help="Prior to scale: tau, 'tau[area]'; repeatable.")
]
USUAL = (0.5, 2.0)
MOST = 20  # lines of a table in the terminal


def sensitivity(
    file: Saved,
    factors: Factors = None,
    parameters: Parameters = None,
    chains: Chains = 4,
    draws: DrawCount = 1000,
    seed: Seed = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """How far the posterior moves under other priors: each made narrower and wider, from the file alone."""
    from priorhood.evaluation.sensitivity import sensitivity as run
    from priorhood.posterior.io import load

    post = load(file)
    announce_compile(quiet=as_json, by_group=post.model.noise is not None)
    with progress(quiet=as_json) as tell:
        found = run(
            post, tuple(factors or USUAL), parameters, chains=chains, draws=draws, seed=seed, threads=threads,
            progress=tell,
        )  # fmt: skip
    if as_json:
        told = {"good": found.good, "verdict": found.verdict, "note": found.note}
        print(json.dumps({**told, "table": _records(found.table)}))
        return
    _print(_farthest(found.table), "under each prior, the parameter that moves most: how far, in posterior sds")
    console().print(f"{'✓' if found.good else '✗'} {found.verdict}", soft_wrap=True)
    if found.note:
        console().print(found.note, soft_wrap=True)


def influence(
    file: Saved,
    group: Annotated[str | None, typer.Option("--group", metavar="LABEL", help="The place to leave out.")] = None,
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="NAME=VALUE", help="A column of the row: price=310000; repeatable."),
    ] = None,
    chains: Chains = 4,
    draws: DrawCount = 1000,
    seed: Seed = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """What moves without a place (--group) or a row (--row); without either, of every place, the most first."""
    from priorhood.evaluation.influence import Influence
    from priorhood.evaluation.influence import influence as run
    from priorhood.posterior.io import load

    post = load(file)
    places = places_of(post, [group] if group else None)
    announce_compile(quiet=as_json, by_group=post.model.noise is not None)
    with progress(quiet=as_json) as tell:
        found = run(
            post, row_of(row, post.model.formula.keys), chains=chains, draws=draws, seed=seed, threads=threads,
            progress=tell, **{name: labels[0] for name, labels in places.items()},
        )  # fmt: skip
    one = isinstance(found, Influence)
    frame = found.table.reset_index() if one else found.reset_index()
    if as_json:
        print(json.dumps({"what": found.what if one else "every place", "table": _records(frame)}))
        return
    size = "" if not one or found.rows == 1 else f" ({rows_of(found.rows)})"
    told = f"without {found.what}{size}" if one else "without each place"
    shown = frame.drop(columns=[] if one else ["place_change", "place_unit"])
    _print(shown.head(MOST), f"{told}: how far means move, in posterior sds")
    if len(frame) > MOST:
        console().print(f"the {MOST} that {'move' if one else 'matter'} most of {len(frame):,}; --json has all")


def _farthest(table: pd.DataFrame) -> pd.DataFrame:
    """Of each prior and factor the parameter that moves most, and all that move far."""
    ranked = table.assign(size=table["shift"].abs()).sort_values("size", ascending=False, kind="stable")
    most = ~ranked.duplicated(["prior", "factor"])
    shown = ranked[most | ranked["far"]].sort_index()
    return shown[["prior", "factor", "parameter", "shift", "sd_ratio", "log_evidence_change", "far"]]


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON can hold them: no NaN, no infinities."""
    rows = json.loads(frame.to_json(orient="records"))
    return [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()} for row in rows
    ]


def _print(frame: pd.DataFrame, title: str) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
    for name in frame.columns:
        table.add_column(str(name).replace("_", " "), overflow="fold",
                         justify="right" if frame[name].dtype.kind == "f" else "left")  # fmt: skip
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value, name) for name, value in zip(frame.columns, row, strict=True)))
    console().print(table)


# Decimals that mean something beside a Monte Carlo error of 0.02 sds.
DECIMALS = {"shift": 2, "place_shift": 2, "sd_ratio": 2, "log_evidence_change": 1, "pareto_k": 2}


def _cell(value: Any, name: str) -> str:
    if isinstance(value, float) and name in DECIMALS and math.isfinite(value):
        return f"{round(value, DECIMALS[name]) + 0.0:.{DECIMALS[name]}f}"  # no -0.00
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, bool):
        return "yes" if value else ""
    return str(value)


@plot.command("sensitivity")
def sensitivity_picture(file: Saved, out: Picture, factors: Factors = None, parameters: Parameters = None) -> None:
    """How far every parameter moves under scaled priors."""
    from priorhood import plot as pictures
    from priorhood.evaluation.sensitivity import sensitivity as run

    drawn(file, out, lambda post: pictures.sensitivity(run(post, tuple(factors or USUAL), parameters)))

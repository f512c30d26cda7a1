"""`priorhood sensitivity | influence`: other priors; without a place or a row."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood._text import row_count
from priorhood.cli.options import Json, Saved, row_of, takes
from priorhood.cli.output import announce_compile, console, new_table, print_json, progress, records
from priorhood.cli.plot import places_of

if TYPE_CHECKING:
    import pandas as pd

MAX_LINES = 20  # lines of a table in the terminal
# Decimals above the Monte Carlo error of 0.02 sds.
DECIMALS = {"shift": 2, "place_shift": 2, "sd_ratio": 2, "log_evidence_change": 1, "pareto_k": 2}


@takes(options="sensitivity")
def sensitivity(file: Saved, *, options: dict[str, Any], as_json: Json = False) -> None:
    """How far the posterior moves under other priors: each made narrower and wider, from the file alone."""
    from priorhood.evaluation.sensitivity import sensitivity as run
    from priorhood.posterior.io import load

    post = load(file)
    announce_compile(quiet=as_json, by_group=post.model.noise is not None)
    with progress(quiet=as_json) as report:
        found = run(post, progress=report, **options)
    if as_json:
        print_json(good=found.good, verdict=found.verdict, note=found.note, table=records(found.table))
        return
    # Of each prior and factor the parameter that moves most, and all that move far.
    ranked = found.table.assign(size=found.table["shift"].abs())
    ranked = ranked.sort_values("size", ascending=False, kind="stable")
    most = ~ranked.duplicated(["prior", "factor"])
    columns = ["prior", "factor", "parameter", "shift", "sd_ratio", "log_evidence_change", "far"]
    _print(
        ranked[most | ranked["far"]].sort_index()[columns],
        "under each prior, the parameter that moves most: how far, in posterior sds",
    )
    console().print(f"{'✓' if found.good else '✗'} {found.verdict}", soft_wrap=True)
    if found.note:
        console().print(found.note, soft_wrap=True)


@takes(options="influence")
def influence(
    file: Saved,
    group: Annotated[str | None, typer.Option("--group", metavar="LABEL", help="The place to leave out.")] = None,
    row: Annotated[
        list[str] | None,
        typer.Option("--row", metavar="NAME=VALUE", help="A column of the row: price=310000; repeatable."),
    ] = None,
    *,
    options: dict[str, Any],
    as_json: Json = False,
) -> None:
    """What moves without a place (--group) or a row (--row); without either, of every place, the most first."""
    from priorhood.evaluation.influence import Influence
    from priorhood.evaluation.influence import influence as run
    from priorhood.posterior.io import load

    post = load(file)
    places = {name: labels[0] for name, labels in places_of(post, [group] if group else None).items()}
    announce_compile(quiet=as_json, by_group=post.model.noise is not None)
    with progress(quiet=as_json) as report:
        found = run(post, row_of(row, post.model.formula.keys), progress=report, **options, **places)
    one = isinstance(found, Influence)
    frame = found.table.reset_index() if one else found.reset_index()
    if as_json:
        print_json(what=found.what if one else "every place", table=records(frame))
        return
    size = "" if not one or found.rows == 1 else f" ({row_count(found.rows)})"
    without = f"without {found.what}{size}" if one else "without each place"
    shown = frame if one else frame.drop(columns=["place_change", "place_unit"])
    _print(shown.head(MAX_LINES), f"{without}: how far means move, in posterior sds")
    if len(frame) > MAX_LINES:
        console().print(
            f"the {MAX_LINES} that {'move' if one else 'matter'} most of {len(frame):,}; --json has all"
        )


def _print(frame: pd.DataFrame, title: str) -> None:
    table = new_table(title)
    for name in frame.columns:
        table.add_column(str(name).replace("_", " "), overflow="fold",
                         justify="right" if frame[name].dtype.kind == "f" else "left")  # fmt: skip
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value, name) for name, value in zip(frame.columns, row, strict=True)))
    console().print(table)


def _cell(value: Any, name: str) -> str:
    if isinstance(value, float) and name in DECIMALS and math.isfinite(value):
        return f"{round(value, DECIMALS[name]) + 0.0:.{DECIMALS[name]}f}"  # no -0.00
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    if isinstance(value, bool):
        return "yes" if value else ""
    return str(value)

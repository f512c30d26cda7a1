"""`priorhood check`, and the pictures of how the draws were made: `priorhood plot diagnostics | ranks`."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.options import Group, Json, Picture, Saved, Vars
from priorhood.cli.plotting import check_picture, drawn, places_of, plot, write_picture
from priorhood.cli.screen import console, say
from priorhood.errors import visible

if TYPE_CHECKING:
    from priorhood.diagnostics.check import Check

WRONG = 1  # exit code: the command did its work, and something is wrong
# Of every measure, whether its least or its most is the worst.
WORST = {"r_hat": "max", "ess_bulk": "min", "ess_tail": "min", "mcse_over_sd": "max"}


def check(
    file: Saved,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Picture to write: PNG, SVG or PDF.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Can the draws be relied on? A sentence for each question. Exit code 1 if something is wrong."""
    from priorhood.posterior.io import load

    if out is not None:
        check_picture(out, file)
    post = load(file)
    found = post.check()
    if out is not None:
        from priorhood.plot import diagnostics

        write_picture(diagnostics(post), out)
    if as_json:
        print(json.dumps({**_as_json(found), **({} if out is None else {"out": str(out)})}))
    else:
        _print(found)
        if out is not None:
            say(f"the picture written to {out}")
    if not found.good:
        raise typer.Exit(WRONG)


def _print(found: Check) -> None:
    from rich.text import Text

    screen = console()
    for verdict in found:
        mark = Text("✓ " if verdict.good else "✗ ", style="green" if verdict.good else "bold red")
        mark.append(f"{visible(verdict.about)}: ", style="bold").append(visible(verdict.text), style="not bold")
        screen.print(mark, soft_wrap=True)
    bad = len(found.bad)
    if bad:
        screen.print(f"{bad} of {len(found)} verdicts ask for something to be done")


def _as_json(found: Check) -> dict[str, Any]:
    """Verdicts, and the worst of each measure with the parameter that has it; JSON has no infinities."""
    measures = found.measures
    worst: dict[str, dict[str, str | float | None] | None] = {}
    for name, side in WORST.items():
        column = measures[name].dropna()
        if column.empty:
            worst[name] = None
            continue
        at = int(column.argmax() if side == "max" else column.argmin())
        value = float(column.iloc[at])
        worst[name] = {"parameter": str(column.index[at]), "value": value if math.isfinite(value) else None}
    told = [{"good": verdict.good, "about": verdict.about, "text": verdict.text} for verdict in found]
    return {"good": found.good, "parameters": len(measures), "verdicts": told, "worst": worst}


@plot.command()
def diagnostics(file: Saved, out: Picture) -> None:
    """R-hat, effective sample sizes and Monte Carlo errors of all parameters, and what the sampler did."""
    from priorhood import plot as pictures

    drawn(file, out, pictures.diagnostics)


@plot.command()
def ranks(
    file: Saved,
    out: Picture,
    var: Vars = None,
    group: Group = None,
) -> None:
    """The ranks of every chain among the draws of all: do the chains agree?"""
    from priorhood import plot as pictures

    drawn(file, out, lambda post: pictures.ranks(post, var, **places_of(post, group)))

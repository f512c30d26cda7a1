"""Arguments and options that several commands share: their words, and how they are written."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.errors import ModelError
from priorhood.model.tokens import unquoted

if TYPE_CHECKING:
    from priorhood.data.sources.table import Table

Out = Annotated[Path, typer.Option("-o", "--out", help="File to write.")]
OutNc = Annotated[Path, typer.Option("-o", "--out", help="netCDF file to write the posterior to.")]
Saved = Annotated[Path, typer.Argument(metavar="FILE", help="A saved posterior (.nc).", show_default=False)]
Rows = Annotated[
    str,
    typer.Argument(
        metavar="TABLE", help="CSV, TSV, Parquet or JSON-lines file, a glob, a folder of parts, a DuckDB file."
    ),
]
Where = Annotated[str | None, typer.Option(help="SQL condition on the rows: 'price > 0 and living_space > 0'.")]
Outliers = Annotated[
    float | None,
    typer.Option(help="Drop rows whose log outcome per predictor is beyond the quartiles ± this × IQR."),
]
Null = Annotated[list[str] | None, typer.Option("--null", help="Text that means a missing value; repeatable.")]
Decimal = Annotated[str | None, typer.Option(metavar="SIGN", help="Decimal sign of a CSV; a point if not given.")]
Thousands = Annotated[
    str | None,
    typer.Option(metavar="SIGN", help="What stands between a number's thousands: ',' in 1,250,000."),
]
Priors = Annotated[
    list[str] | None, typer.Option("--prior", help="'tau[area] ~ Exponential(scale=5)'; repeatable.")
]
OutcomeUnit = Annotated[str, typer.Option(help="Divide the outcome by this number; 'auto' chooses.")]
NoStandardize = Annotated[bool, typer.Option("--no-standardize", help="Leave predictors as they are.")]
Family = Annotated[str, typer.Option(help="Errors: normal or student.")]
Noise = Annotated[
    str | None,
    typer.Option(metavar="GROUP", help="The group column: a residual sd of its own for every group."),
]
KnownErrors = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Known standard errors of the outcome (meta-analysis).")
]
PrecisionWeights = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Weights w of the rows: errors are Normal(0, σ²/w).")
]
FrequencyWeights = Annotated[
    str | None, typer.Option(metavar="COLUMN", help="Counts: a row stands for so many equal rows.")
]
Places = Annotated[
    str | None, typer.Option(metavar="TABLE", help="Table with one row per place: its label, its predictors.")
]
Chains = Annotated[int, typer.Option(help="Number of chains.")]
DrawCount = Annotated[int, typer.Option(help="Draws of every chain.")]
Seed = Annotated[int | None, typer.Option(help="Random seed; one is chosen and recorded if not given.")]
Threads = Annotated[int | None, typer.Option(help="Threads; all cores if not given.")]
Store = Annotated[
    str,
    typer.Option(help="Of the finest places keep draws, or summaries (their mean, sd, quantiles); auto: by size."),
]
StoreAgain = Annotated[
    str | None,
    typer.Option("--store", help="As of fit; if not given, what that of the file was asked for."),
]
Picture = Annotated[Path, typer.Option("-o", "--out", help="Picture to write: PNG, SVG or PDF.")]
Group = Annotated[list[str] | None, typer.Option("--group", metavar="LABEL", help="A place; repeatable.")]
At = Annotated[
    list[str] | None,
    typer.Option("--at", metavar="NAME=VALUE", help="Of the home, a predictor: living_space=100; repeatable."),
]
Column = Annotated[
    str | None, typer.Option(help="The polygons' property that holds the labels; found if not given.")
]
Level = Annotated[
    str | None, typer.Option(metavar="GROUP", help="Of nested places, whose to show; the finest if not given.")
]
Crs = Annotated[
    str | None, typer.Option(help="Of the polygons' coordinates, where the file does not say it: EPSG:4326.")
]
Vars = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME", help="Parameter: tau, 'tau[living_space]'; repeatable."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


def spelled(null: list[str] | None, decimal: str | None, thousands: str | None) -> dict[str, Any]:
    """How values are written in a table, as read() takes it."""
    return {"nulls": null or (), "decimal": decimal, "thousands": thousands}


def table_of(option: str, path: str | None, where: str | None, spelling: dict[str, Any]) -> Table | None:
    """The table that an option or argument names, read as the command says; None where there is none.

    Raises
    ------
    ModelError : it is said how to read it, and there is none
    """
    from priorhood.data.sources.table import read

    if path is not None:
        return read(path, where=where, **spelling)
    said = {"where": where, "null": spelling["nulls"], **{k: spelling[k] for k in ("decimal", "thousands")}}
    for name in (name for name, value in said.items() if value):
        raise ModelError(f"--{name} says how a table is read, and none is given: name it with {option}")
    return None


def units_of(given: list[str]) -> dict[str, str]:
    """`--unit price=€ --unit area=m²` as a mapping."""
    return _pairs("unit", "price=€", given)


def values_of(given: list[str] | None) -> dict[str, float | str]:
    """`--at living_space=100 --at type=loft` as a mapping; what reads as a number is one."""
    return {name: _number(text) for name, text in _pairs("at", "living_space=100", given or []).items()}


def row_of(given: list[str] | None, labels: tuple[str, ...]) -> dict[str, float | str] | None:
    """`--row zip=10115 --row price=310000` as one row; labels : columns whose values stay text, as 01067 is."""
    if not given:
        return None
    pairs = _pairs("row", "price=310000", given)
    return {name: text if name in labels else _number(text) for name, text in pairs.items()}


_PAIR = re.compile(r"(`[^`]*`|[^=]*)(=?)(.*)", re.DOTALL)


def _pairs(option: str, example: str, given: list[str]) -> dict[str, str]:
    # Not at a sign within a name in backticks.
    pairs = [_PAIR.fullmatch(text).groups() for text in given]  # type: ignore[union-attr]
    wrong = [whole for whole, parts in zip(given, pairs, strict=True) if not all(parts)]
    if wrong:
        own = "" if set("=:") & set(wrong[0]) else shlex.quote(f"{wrong[0]}={example.partition('=')[2]}")
        raise ModelError(f"--{option} {wrong[0]!r}: write it like --{option} {own or example}")
    return {unquoted(left): right for left, _, right in pairs}


def _number(text: str) -> float | str:
    # 01067 is a label; whoever wants a number makes one of it.
    if re.match(r"0[0-9]", text):
        return text
    try:
        return float(text)
    except ValueError:
        return text

"""Options of commands: those that several share, and those that follow from a Python function's parameters."""

from __future__ import annotations

import inspect
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from priorhood.cli.signatures import Parameter, parameters_of
from priorhood.errors import ModelError
from priorhood.model.tokens import unquoted

if TYPE_CHECKING:
    from priorhood.data.sources.table import Table

OutNc = Annotated[Path, typer.Option("-o", "--out", help="netCDF file to write the posterior to.")]
Picture = Annotated[Path, typer.Option("-o", "--out", help="Picture to write: PNG, SVG or PDF.")]
MayPicture = Annotated[
    Path | None, typer.Option("-o", "--out", help="Picture to write: PNG, SVG or PDF.", show_default=False)
]
Saved = Annotated[Path, typer.Argument(metavar="FILE", help="A saved posterior (.nc).", show_default=False)]
Rows = Annotated[
    str,
    typer.Argument(
        metavar="TABLE", help="CSV, TSV, Parquet or JSON-lines file, a glob, a folder of parts, a DuckDB file."
    ),
]
Places = Annotated[
    str | None, typer.Option(metavar="TABLE", help="Table with one row per place: its label, its predictors.")
]
Polygons = Annotated[
    str | None, typer.Option(metavar="POLYGONS", help="Polygons of the places: GeoJSON, or what geopandas reads.")
]
Group = Annotated[list[str] | None, typer.Option("--group", metavar="LABEL", help="A place; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]


class Reading(NamedTuple):
    """How a command's tables are read: the options that every command has that reads one."""

    where: str | None = None
    nulls: list[str] | None = None
    decimal: str | None = None
    thousands: str | None = None

    def rows(self, path: str) -> Table:
        """Return the table of rows."""
        return self._read(path, self.where)

    def places(self, path: str | None) -> Table | None:
        """Return the table of places, to which no condition on the rows applies."""
        return None if path is None else self._read(path, None)

    def rows_if(self, path: str | None, option: str, *others: str | None) -> Table | None:
        """Return the table of rows that an option names; None where there is none.

        Raises
        ------
        ModelError : an option of reading, though neither this table nor any of the others is given
        """
        if path is not None:
            return self.rows(path)
        given = (self.where, *(() if any(others) else (self.nulls, self.decimal, self.thousands)))
        for name, value in zip(("where", "null", "decimal", "thousands"), given, strict=False):
            if value:
                raise ModelError(f"--{name} says how a table is read, and none is given: name it with {option}")
        return None

    def _read(self, path: str, where: str | None) -> Table:
        from priorhood.data.sources.table import read

        return read(path, where=where, nulls=self.nulls or (), decimal=self.decimal, thousands=self.thousands)


# -- options from parameters -------------------------------------------------------------------------------


def values_of(given: list[str] | None) -> dict[str, float | str] | None:
    """`--at living_space=100 --at type=loft` as a mapping; what reads as a number is one."""
    if given is None:
        return None
    return {name: _number(text) for name, text in _pairs("at", "living_space=100", given).items()}


def row_of(given: list[str] | None, labels: tuple[str, ...]) -> dict[str, float | str] | None:
    """`--row zip=10115 --row price=310000` as one row; labels : columns whose values stay text, as 01067 is."""
    if not given:
        return None
    pairs = _pairs("row", "price=310000", given)
    return {name: text if name in labels else _number(text) for name, text in pairs.items()}


_PAIR = re.compile(r"(`[^`]*`|[^=]*)(=?)(.*)", re.DOTALL)


def _pairs(option: str, example: str, given: list[str]) -> dict[str, str]:
    # Not split at a sign within a name in backticks.
    pairs = [_PAIR.fullmatch(text).groups() for text in given]  # type: ignore[union-attr]
    wrong = [whole for whole, parts in zip(given, pairs, strict=True) if not all(parts)]
    if wrong:
        own = "" if set("=:") & set(wrong[0]) else shlex.quote(f"{wrong[0]}={example.partition('=')[2]}")
        raise ModelError(f"--{option} {wrong[0]!r}: write it like --{option} {own or example}")
    return {unquoted(left): right for left, _, right in pairs}


def _number(text: str) -> float | str:
    # 01067 is a label; where a number is needed, it is made one there.
    if re.match(r"0[0-9]", text):
        return text
    try:
        return float(text)
    except ValueError:
        return text


def _quantiles(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ModelError(f"--quantiles {text!r}: write it like 0.05,0.5,0.95") from None


@dataclass(frozen=True)
class Shared:
    """An option whose words or form are not those of the Python parameter.

    kind : type on the command line; read : from that to the parameter's value
    """

    help: str = ""
    flag: str | None = None
    metavar: str | None = None
    kind: Any = None
    read: Callable[[Any], Any] | None = None


SEVERAL = list[str]
SHARED = {
    "Posterior.predict.above": Shared("Probability above this; repeatable."),
    "Posterior.predict.below": Shared("Probability below this; repeatable."),
    "bounds": Shared("The least and the most that the outcome can be."),
    "calibrate.draws": Shared("Draws that a truth is ranked among."),
    "calibrate.refits": Shared("Simulated outcomes that are fitted."),
    "compare.by": Shared("row, place (leave one out) or evidence."),
    "compare.draws": Shared("Draws of θ that are taken."),
    "compare.level": Shared(
        "With --by place, of nested places, which; the finest if not given.", metavar="GROUP"
    ),
    "plot.forest.term": Shared("Which coefficient: living_space."),
    "plot.forest.var": Shared(metavar="NAME"),
    "plot.predictive.draws": Shared("Posterior draws."),
    "plot.prior_lines.draws": Shared("Draws from the prior."),
    "at": Shared(
        "A predictor of the home: living_space=100; repeatable.", None, "NAME=VALUE", SEVERAL, values_of
    ),
    "chains": Shared("Number of chains."),
    "column": Shared("The polygons' property that holds the labels; found if not given."),
    "crs": Shared("CRS of the polygons, where the file does not name it: EPSG:4326.", kind=str),
    "data": Shared("The rows, to be drawn too.", metavar="TABLE"),
    "draws": Shared("Draws per chain."),
    "decimal": Shared(metavar="SIGN"),
    "drop_outliers": Shared("Drop rows whose log outcome per predictor is beyond the quartiles ± this × IQR."),
    "factors": Shared("Scale every prior by this; repeatable."),
    "frequency_weights": Shared(metavar="COLUMN"),
    "home": Shared("Homes, one a row, instead of --at.", metavar="TABLE"),
    "level": Shared("Of nested places, the level to show; the finest if not given.", metavar="GROUP"),
    "noise": Shared("The group's column: a residual sd of its own for every group.", metavar="GROUP"),
    "nulls": Shared("Text that means a missing value; repeatable.", "--null"),
    "parameterization": Shared("Of NUTS: centered or noncentered."),
    "parameters": Shared("Prior to scale: tau, 'tau[area]'; repeatable."),
    "places": Shared("Table with one row per place: its label, its predictors.", metavar="TABLE"),
    "precision_weights": Shared(metavar="COLUMN"),
    "priors": Shared("'tau[area] ~ Exponential(scale=5)'; repeatable.", "--prior", kind=SEVERAL),
    "quantiles": Shared("Comma-separated probabilities.", kind=str, read=_quantiles),
    "rows": Shared("Number of sales."),
    "sampler": Shared("Of NUTS: nutpie, pymc or numpyro."),
    "se": Shared(metavar="COLUMN"),
    "seed": Shared("Random seed; one is chosen and recorded if not given."),
    "select": Shared("auto, top, bottom or widest.", kind=str),
    "show": Shared("price, below, sd, rows, or a coefficient: 'beta[living_space]'."),
    "standardize": Shared("Leave predictors as they are.", "--no-standardize", read=lambda off: not off),
    "store": Shared(
        "What to keep of the finest places: draws, summaries (mean, sd, quantiles), or auto: by size; as for the "
        "file if not given."
    ),
    "table": Shared("The rows, with their outcomes.", "--data", "TABLE"),
    "terms": Shared(metavar="TERM"),
    "target_accept": Shared("Of NUTS: aimed-at acceptance, like 0.95."),
    "thousands": Shared(metavar="SIGN"),
    "threads": Shared("Threads; all cores if not given."),
    "tune": Shared("Of NUTS: steps to adapt every chain."),
    "units": Shared(
        "Unit for printing: 'price=€'; repeatable.", "--unit", None, SEVERAL,
        lambda given: _pairs("unit", "price=€", given or []),
    ),
    "unseen": Shared("New groups: error, population or draw."),
    "var_names": Shared("Parameter: tau, 'tau[living_space]'; repeatable.", "--var", "NAME"),
}  # fmt: skip
# Parameters that take rows, and their options.
ROWS = {"data": "--data", "table": "--data", "home": "--home"}
# Parameters that a command gives itself.
NO_OPTIONS = {"post", "model", "models", "formula", "source", "progress", "found", "out"}


def takes(*, rows: bool = False, **functions: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of Python functions, by their public names: run="fit", chosen="Model: se noise".

    The command gets the options of each (after a colon: of these parameters alone) as a mapping under the keyword,
    ready for the call; those that it names itself are its own, and so are the rows unless `rows`. Its `group` is
    for a function's **places, its `reading` for one that takes a table; elsewhere these are no options.
    """

    def noted(command: Callable[..., None]) -> Callable[..., None]:
        command.functions, command.own = functions, () if rows else ROWS  # type: ignore[attr-defined]
        return command

    return noted


def callback(command: Callable[..., None]) -> Callable[..., None]:
    """Return the function that Typer calls: the command with all its options in the signature."""
    functions: dict[str, str] = dict(getattr(command, "functions", {}))
    own = dict(inspect.signature(command, eval_str=True).parameters)
    json = [own.pop(name) for name in ("as_json",) if name in own]
    known = {one.name for text in functions.values() for one in parameters_of(text.partition(": ")[0])}
    if "reading" in own and known & ROWS.keys():
        functions["reading"] = "read"
    without = {*functions, "reading", *([] if any(name.startswith("**") for name in known) else ["group"])}
    given = {name: one for name, one in own.items() if name not in without}
    reads: dict[str, Callable[[Any], Any]] = {}
    taken, parts = {*given, *NO_OPTIONS, *getattr(command, "own", ())}, dict[str, list[str]]()
    for part, text in functions.items():
        function, _, only = text.partition(": ")
        chosen = {one.name: one for one in parameters_of(function) if not only or one.name in only.split()}
        parts[part] = [name for name in chosen if name not in taken and not name.startswith("**")]
        for name in parts[part]:
            said = SHARED.get(f"{function}.{name}", SHARED.get(name, Shared()))
            given[name] = _option(chosen[name], said)
            if said.read is not None:
                reads[name] = said.read
        taken |= given.keys()

    def call(**values: Any) -> None:
        values |= {name: read(values[name]) for name, read in reads.items()}
        grouped: dict[str, Any] = {
            part: {name: values.pop(name) for name in names} for part, names in parts.items()
        }
        if "reading" in grouped:
            grouped["reading"] = Reading(**grouped["reading"])
        command(**values, **grouped)

    ordered = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*given.values(), *json)]
    call.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in ordered}
    call.__name__, call.__doc__ = command.__name__, command.__doc__
    return call


def _option(parameter: Parameter, said: Shared) -> inspect.Parameter:
    """A Python parameter as an option of Typer."""
    kind: Any = said.kind or (list[parameter.kind] if parameter.several else parameter.kind)  # type: ignore[name-defined]
    default, words = parameter.default, said.help or f"{parameter.help}."
    if default is not None:
        words = re.sub("; [^;]* if not given", "", words)
    if said.kind is str and isinstance(default, tuple):
        default = ",".join(map(str, default))
    elif isinstance(default, tuple):
        default = list(default) or None
    elif said.read is not None and kind is bool:
        default = not default
    option = typer.Option(*([said.flag] if said.flag else []), metavar=said.metavar, help=words)
    return inspect.Parameter(
        parameter.name, inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if parameter.required else default,
        annotation=Annotated[kind if parameter.required or default is not None else kind | None, option],
    )  # fmt: skip

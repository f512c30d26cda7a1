"""Options of commands: those that several share, and those derived from a Python function's parameters."""

from __future__ import annotations

import inspect
import math
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from priorhood._system import is_file
from priorhood.cli.signatures import Parameter, parameters_of
from priorhood.errors import ModelError
from priorhood.model.tokens import unquoted

if TYPE_CHECKING:
    from priorhood.data.sources.table import Table
    from priorhood.posterior.posterior import Posterior

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # of every netCDF4 file
PLACES_HELP = "Table with one row per place: its label and its predictors."
OutNc = Annotated[Path, typer.Option("-o", "--out", help="Output file for the posterior (netCDF).")]
Picture = Annotated[Path, typer.Option("-o", "--out", help="Output file (PNG, SVG or PDF).")]
MayPicture = Annotated[
    Path | None,
    typer.Option("-o", "--out", help="Also draw a plot to this file (PNG, SVG or PDF).", show_default=False),
]
TABLES_WRITTEN = "CSV, TSV, Parquet or JSON lines, by the extension: .csv, .csv.gz, .tsv, .parquet or .jsonl"
OutTable = Annotated[Path, typer.Option("-o", "--out", help=f"Output file ({TABLES_WRITTEN}).")]
MayTable = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        help=f"Output file, one row per place, worst fit first ({TABLES_WRITTEN}).",
        show_default=False,
    ),
]
Saved = Annotated[Path, typer.Argument(metavar="FILE", help="A saved posterior (.nc).", show_default=False)]
Rows = Annotated[
    str,
    typer.Argument(
        metavar="TABLE", help="CSV, TSV, Parquet or JSON-lines file, a glob, a folder of parts, or a DuckDB file."
    ),
]
Places = Annotated[str | None, typer.Option(metavar="TABLE", help=PLACES_HELP)]
Polygons = Annotated[
    str | None,
    typer.Option(metavar="POLYGONS", help="Polygons of the places: GeoJSON, or any file that geopandas reads."),
]
Group = Annotated[list[str] | None, typer.Option("--group", metavar="LABEL", help="Label of a place; repeatable.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def check_order(file: Path, other: str | None, what: str = "table") -> None:
    """Raise if the saved posterior of a command comes second, after the table.

    Raises
    ------
    ModelError
        The second argument is a saved posterior, and the first is not.
    """
    if other is not None and is_netcdf(other) and not is_netcdf(file):
        raise ModelError(f"the posterior comes first, then the {what}: write {shlex.join([other, str(file)])}")


def is_netcdf(path: str | Path) -> bool:
    """Return whether a file is netCDF by its content; if there is none, by its name."""
    if not is_file(path) or not Path(path).stat().st_size:  # a kernel's file, which may block forever, has no size
        return Path(path).suffix == ".nc"
    with Path(path).open("rb") as file:
        return file.read(len(SIGNATURE)) == SIGNATURE


class Reading(NamedTuple):
    """The options of every command that reads tables."""

    where: str | None = None
    nulls: list[str] | None = None
    decimal: str | None = None
    thousands: str | None = None

    def rows(self, path: str) -> Table:
        """Return the table of rows."""
        return self._read(path, self.where)

    def places(self, path: str | None) -> Table | None:
        """Return the table of places, to which conditions on rows do not apply."""
        return None if path is None else self._read(path, None)

    def rows_if(self, path: str | None, option: str, *others: str | None) -> Table | None:
        """Return the table of rows that an option names; None if there is none.

        Raises
        ------
        ModelError
            An option for reading tables is used, but no table is given.
        """
        if path is not None:
            return self.rows(path)
        given = (self.where, *(() if any(others) else (self.nulls, self.decimal, self.thousands)))
        for name, value in zip(("where", "null", "decimal", "thousands"), given, strict=False):
            if value:
                raise ModelError(f"--{name} applies to a table, but none was given: give one with {option}")
        return None

    def _read(self, path: str, where: str | None) -> Table:
        from priorhood.data.sources.table import read

        return read(path, where=where, nulls=self.nulls or (), decimal=self.decimal, thousands=self.thousands)


# -- options from parameters -------------------------------------------------------------------------------


def values_of(texts: list[str] | None) -> dict[str, float | str] | None:
    """Return `--at living_space=100 --at type=loft` as a mapping; values that look like numbers are converted."""
    if texts is None:
        return None
    return {name: _number(text) for name, text in _pairs("at", "living_space=100", texts).items()}


def row_of(texts: list[str] | None, labels: tuple[str, ...]) -> dict[str, float | str] | None:
    """Return `--row zip=10115 --row price=310000` as one row; values of the columns `labels` stay text (01067)."""
    if not texts:
        return None
    pairs = _pairs("row", "price=310000", texts)
    return {name: text if name in labels else _number(text) for name, text in pairs.items()}


_PAIR = re.compile(r"(`[^`]*`|[^=]*)(=?)(.*)", re.DOTALL)

_APART = re.compile(r"(`[^`]*`|[^\s:=]*)([\s:=]*)(.*)", re.DOTALL)


def _pairs(option: str, example: str, texts: list[str]) -> dict[str, str]:
    """Return NAME=VALUE texts as a mapping."""
    # An equals sign within a name in backticks does not separate.
    pairs = [_PAIR.fullmatch(text).groups() for text in texts]  # type: ignore[union-attr]
    wrong = [text for text, parts in zip(texts, pairs, strict=True) if not all(parts)]
    if wrong:
        # NAME:VALUE, "NAME VALUE" or NAME alone; what does not begin with a name is answered with an example.
        name, sign, value = _APART.match(wrong[0]).groups()  # type: ignore[union-attr]
        named = bool(re.match(r"[^\W\d]|`", name)) and (not sign or bool(value))
        fixed = shlex.quote(f"{name}={value or example.partition('=')[2]}") if named else ""
        raise ModelError(f"--{option} {wrong[0]!r}: write it like --{option} {fixed or example}")
    return {unquoted(name): value for name, _, value in pairs}


def _number(text: str) -> float | str:
    """Return a text as a number if it is one."""
    # 01067 is a label; it is converted later if a number is needed.
    if re.match(r"0[0-9]", text):
        return text
    try:
        return float(text)
    except ValueError:
        return text


def _quantiles(text: str) -> list[float]:
    """Return comma-separated numbers."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ModelError(f"--quantiles {text!r}: write it like 0.05,0.5,0.95") from None


class Threshold(float):
    """A threshold, and its text on the command line."""

    def __new__(cls, text: str) -> Threshold:
        """Read the text as a number."""
        number = super().__new__(cls, text)
        number.text = text.strip()
        return number

    text: str


def _threshold(text: str | None) -> float | None:
    """Return a threshold as a number that keeps its text."""
    if text is None:
        return None
    try:
        return Threshold(text)
    except ValueError:
        raise ModelError(f"{text!r} is not a number, as a threshold must be (--below, --above)") from None


def _thresholds(texts: list[str] | None) -> list[float | None] | None:
    """Return several thresholds."""
    return None if texts is None else [_threshold(text) for text in texts]


_THREE_DECIMALS = re.compile(r"[1-9][0-9]{0,2}\.[0-9]{3}")


def check_thresholds(post: Posterior, options: dict[str, Any]) -> None:
    """Raise for a threshold like 350.000 if a thousand times as much is of the size of the outcome's mean.

    Raises
    ------
    ModelError
        It may be meant as 350000.
    """
    formula = post.model.formula
    mean = float(post.moments.pooled()[0][-1])
    mean = math.exp(mean) if formula.log_outcome else mean
    for name in ("below", "above"):
        given = options.get(name)
        for one in given if isinstance(given, list | tuple) else [given]:
            if not isinstance(one, Threshold) or not _THREE_DECIMALS.fullmatch(one.text):
                continue
            if 0.1 * mean <= 1000 * one <= 10 * mean:
                raise ModelError(
                    f"--{name} {one.text} is {one:g}, but the mean of {formula.outcome_name} is {mean:,.6g}: write "
                    f"{1000 * one:.0f} or {one:g}"
                )


@dataclass(frozen=True)
class Shared:
    """An option whose help or form differs from that of the Python parameter.

    Attributes
    ----------
    help : str
        Help text; the parameter's description if empty.
    flag, metavar : str
        The option's name and its placeholder; derived from the parameter if None.
    kind : type
        Type on the command line; the parameter's if None.
    read : callable
        Conversion from that to the parameter's value.
    """

    help: str = ""
    flag: str | None = None
    metavar: str | None = None
    kind: Any = None
    read: Callable[[Any], Any] | None = None


SEVERAL = list[str]
NEW_SEED = "Random seed (default: chosen at random, and recorded)."
SHARED = {
    "Posterior.predict.above": Shared(
        "Add the probability of an outcome above this; repeatable.", None, "NUMBER", SEVERAL, _thresholds
    ),
    "Posterior.predict.below": Shared(
        "Add the probability of an outcome below this; repeatable.", None, "NUMBER", SEVERAL, _thresholds
    ),
    "Posterior.predict.prefix": Shared("Prefix for the names of the new columns."),
    "report.below": Shared(
        "Threshold in the outcome's units: the map and the table show the probability of a lower outcome.",
        None, "NUMBER", str, _threshold,
    ),
    "report.title": Shared('Title of the page (default: "Price by zip", for example).'),
    "below": Shared("", None, "NUMBER", str, _threshold),
    "bounds": Shared(
        "Smallest and largest plausible outcome, separated by a space: --bounds 0 900000.", metavar="LOW HIGH"
    ),
    "calibrate.draws": Shared("Number of draws among which each true value is ranked."),
    "calibrate.refits": Shared("Number of simulated data sets to fit."),
    "compare.by": Shared(
        "How to compare: by leaving out one row or one place at a time, or by evidence (marginal likelihood)."
    ),
    "compare.draws": Shared("Number of posterior draws to use."),
    "compare.level": Shared(
        "With --by place: the level of nested places of which one at a time is left out (default: the finest).",
        metavar="GROUP",
    ),
    "plot.correlation.terms": Shared(
        "A coefficient that varies by place; give exactly two (default: the first two).", metavar="TERM"
    ),
    "plot.forest.term": Shared("Coefficient to show, e.g. living_space."),
    "plot.forest.var": Shared(
        "Place-level parameter: beta, beta_district, delta_type, or sigma if it varies by place.", metavar="NAME"
    ),
    "plot.lines.table": Shared("Also plot the rows of this table.", "--data", "TABLE"),
    "plot.predictive.draws": Shared("Number of posterior draws."),
    "plot.predictive.kind": Shared("density, histogram, or scatter (outcomes against predictions)."),
    "plot.prior_lines.draws": Shared("Number of draws from the prior."),
    "plot.shrinkage.terms": Shared(
        "A coefficient that varies by place (default: the first two); repeatable.", metavar="TERM"
    ),
    "at": Shared(
        "A predictor of the home, e.g. living_space=100; repeatable.", None, "NAME=VALUE", SEVERAL, values_of
    ),
    "chains": Shared("Number of chains."),
    "column": Shared("Property of the polygons that holds the labels (default: found by comparing labels)."),
    "crs": Shared("CRS of the polygons if the file does not name it, e.g. EPSG:4326.", kind=str),
    "decimal": Shared(
        'Decimal separator of numbers stored as text (default: "."; "," if --thousands is ".").',
        metavar="CHARACTER",
    ),
    "draws": Shared("Number of draws per chain."),
    "drop_outliers": Shared(
        "Drop rows for which log(outcome / first numeric predictor) lies more than this many IQRs outside the "
        "quartiles."
    ),
    "engine": Shared("auto, exact, or nuts (needs PyMC)."),
    "factors": Shared("Factor by which to scale every prior; repeatable."),
    "family": Shared(
        "Error distribution: normal, or student (t with scale sigma and nu degrees of freedom)."
    ),
    "frequency_weights": Shared("Column of counts n: a row stands for n identical rows.", metavar="COLUMN"),
    "home": Shared("Table of homes, one per row, instead of --at.", metavar="TABLE"),
    "level": Shared("Which level of nested places to show (default: the finest).", metavar="GROUP"),
    "noise": Shared("Group column, to give each group its own residual sd.", metavar="GROUP"),
    "nulls": Shared("Text that means a missing value; repeatable.", "--null"),
    "outcome_unit": Shared("Number by which the outcome is divided; auto: the power of ten nearest its sd."),
    "parameterization": Shared("NUTS only: centered or noncentered."),
    "parameters": Shared("Prior to scale, e.g. tau or 'tau[area]'; repeatable."),
    "places": Shared(PLACES_HELP, metavar="TABLE"),
    "precision_weights": Shared(
        "Column of weights w > 0, e.g. the number of sales of which a row is the mean.", metavar="COLUMN"
    ),
    "priors": Shared("A prior, e.g. 'tau[area] ~ Exponential(scale=5)'; repeatable.", "--prior", kind=SEVERAL),
    "quantiles": Shared("Quantiles to predict, separated by commas.", kind=str, read=_quantiles),
    "rows": Shared("Number of sales."),
    "sampler": Shared("NUTS only: nutpie, pymc or numpyro."),
    "se": Shared(
        "Column of known standard errors, for outcomes that are estimates (meta-analysis).", metavar="COLUMN"
    ),
    "fit.seed": Shared(NEW_SEED),
    "calibrate.seed": Shared(NEW_SEED),
    "plot.prior_lines.seed": Shared("Random seed (default: 1)."),
    "seed": Shared("Random seed (default: that of the saved posterior)."),
    "select": Shared("Which places to show: auto, top, bottom or widest.", kind=str),
    "show": Shared("Values to show: price, below, sd, rows, or a coefficient such as 'beta[living_space]'."),
    "standardize": Shared("Do not standardize predictors.", "--no-standardize", read=lambda off: not off),
    "store": Shared(
        "What to store for places of the finest level: draws, summaries (mean, sd, quantiles), or auto (by size); "
        "the same as in the file if not given."
    ),
    "table": Shared("The rows, including their outcomes.", "--data", "TABLE"),
    "target_accept": Shared("NUTS only: target acceptance rate, e.g. 0.95."),
    "thousands": Shared(
        "Thousands separator of numbers stored as text: one of , . ' _ or space.", metavar="CHARACTER"
    ),
    "threads": Shared("Number of threads (default: all cores)."),
    "tune": Shared("NUTS only: number of tuning steps per chain."),
    "units": Shared(
        "Unit for printing, e.g. 'price=€'; repeatable.", "--unit", None, SEVERAL,
        lambda texts: _pairs("unit", "price=€", texts or []),
    ),
    "unseen": Shared("How to treat new places: error, population or draw."),
    "var_names": Shared("Parameter, e.g. tau or 'tau[living_space]'; repeatable.", "--var", "NAME"),
    "where": Shared("SQL condition on the rows, e.g. 'living_space > 0 and price > 0'."),
    "plot.prior_lines.x": Shared("Predictor on the horizontal axis (default: the first numeric one)."),
    "x": Shared("Predictor on the horizontal axis (default: the first that varies by place)."),
}  # fmt: skip
# Parameters that take rows → their options.
ROWS = {"table": "--data", "home": "--home"}
# Parameters that commands pass themselves.
NO_OPTIONS = {"post", "model", "models", "formula", "source", "progress", "found", "out"}


def takes(*, rows: bool = False, **functions: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of Python functions, by their public names: run="fit", chosen="Model: se noise".

    The command receives the options of each function as a mapping under the keyword, ready for the call. A colon
    restricts them to the parameters after it. Parameters that the command declares itself are not added. Row tables
    are added only if rows=True. The command's `group` becomes an option only if a function has **places, and its
    `reading` only if one takes a table.
    """

    def mark(command: Callable[..., None]) -> Callable[..., None]:
        command.functions, command.own = functions, () if rows else ROWS  # type: ignore[attr-defined]
        return command

    return mark


def callback(command: Callable[..., None]) -> Callable[..., None]:
    """Return the function that Typer calls: the command with all its options in the signature."""
    functions: dict[str, str] = dict(getattr(command, "functions", {}))
    own = dict(inspect.signature(command, eval_str=True).parameters)
    json = [own.pop(name) for name in ("as_json",) if name in own]
    known = {one.name for text in functions.values() for one in parameters_of(text.partition(": ")[0])}
    if "reading" in own and known & ROWS.keys():
        functions["reading"] = "read"
    without = {*functions, "reading", *([] if any(name.startswith("**") for name in known) else ["group"])}
    declared = {name: one for name, one in own.items() if name not in without}
    reads: dict[str, Callable[[Any], Any]] = {}
    taken, parts = {*declared, *NO_OPTIONS, *getattr(command, "own", ())}, dict[str, list[str]]()
    for part, text in functions.items():
        function, _, only = text.partition(": ")
        chosen = {one.name: one for one in parameters_of(function) if not only or one.name in only.split()}
        parts[part] = [name for name in chosen if name not in taken and not name.startswith("**")]
        for name in parts[part]:
            shared = SHARED.get(f"{function}.{name}", SHARED.get(name, Shared()))
            declared[name] = _option(chosen[name], shared)
            if shared.read is not None:
                reads[name] = shared.read
        taken |= declared.keys()

    def call(**values: Any) -> None:
        values |= {name: read(values[name]) for name, read in reads.items()}
        grouped: dict[str, Any] = {
            part: {name: values.pop(name) for name in names} for part, names in parts.items()
        }
        if "reading" in grouped:
            grouped["reading"] = Reading(**grouped["reading"])
        command(**values, **grouped)

    ordered = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in (*declared.values(), *json)]
    call.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in ordered}
    call.__name__, call.__doc__ = command.__name__, command.__doc__
    return call


def _option(parameter: Parameter, shared: Shared) -> inspect.Parameter:
    """Return a Python parameter as an option of Typer."""
    kind: Any = shared.kind or (list[parameter.kind] if parameter.several else parameter.kind)  # type: ignore[name-defined]
    default, words = parameter.default, shared.help or f"{parameter.help}."
    if default is not None:
        words = re.sub(r" \(default: [^)]*\)|; [^;]* if not given", "", words)
    if shared.kind is str and isinstance(default, tuple):
        default = ",".join(map(str, default))
    elif isinstance(default, tuple):
        default = list(default) or None
    elif shared.read is not None and kind is bool:
        default = not default
    option = typer.Option(*([shared.flag] if shared.flag else []), metavar=shared.metavar, help=words)
    return inspect.Parameter(
        parameter.name, inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if parameter.required else default,
        annotation=Annotated[kind if parameter.required or default is not None else kind | None, option],
    )  # fmt: skip

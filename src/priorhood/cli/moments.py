"""`priorhood moments`: the sums that a site sends instead of its rows; and which of a command's files hold sums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from priorhood._system import is_file
from priorhood._text import some
from priorhood.cli.options import (
    Decimal,
    FrequencyWeights,
    Json,
    KnownErrors,
    Null,
    Outliers,
    Places,
    PrecisionWeights,
    Thousands,
    Where,
    spelled,
)
from priorhood.cli.output import heard, say
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from priorhood.fitting.federated import Moments

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # of every netCDF4 file
ENDINGS = (".moments", ".nc")

Given = Annotated[
    list[str],
    typer.Argument(
        metavar="TABLE FORMULA | FILE...",
        help="A table (CSV, TSV, Parquet or JSON-lines file, or a glob) and a formula, 'price ~ living_space + "
        "(living_space | zip)'; or files of sums (priorhood moments), one a site.",
        show_default=False,
    ),
]


def parts_of(given: list[str]) -> tuple[list[str], str | None]:
    """Files of sums among a command's arguments, and the formula beside them; no files for TABLE FORMULA.

    The content decides, not the name.

    Raises
    ------
    ModelError : sums and a table together, several formulas
    """
    files = [text for text in given if _holds_sums(text)]
    others = [text for text in given if text not in files]
    if not files:
        return [], None
    tables = [text for text in others if "~" not in text]
    if tables:
        raise ModelError(
            f"{tables[0]!r} is no file of sums, {files[0]!r} is: take the sums of a table first (priorhood moments "
            f"TABLE FORMULA -o FILE)"
        )
    if len(others) > 1:
        raise ModelError(f"several formulas are given: {some(others)}; the files have one")
    return files, others[0] if others else None


def _holds_sums(text: str) -> bool:
    path = Path(text)
    if "~" in text and not is_file(path):
        return False
    if is_file(path) and path.stat().st_size:  # a kernel's file, which may wait for ever, has no size
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE or path.suffix in ENDINGS
    return path.suffix in ENDINGS


def table_and_formula(given: list[str], command: str) -> tuple[str, str]:
    """The two arguments that a table takes.

    Raises
    ------
    ModelError : fewer or more, or the formula first
    """
    if len(given) == 2 and "~" in given[0] and "~" not in given[1]:
        raise ModelError(f"the table comes first, then the formula: {given[1]!r} before {given[0]!r}")
    if len(given) != 2:
        raise ModelError(
            f"{command} takes a table and a formula, or files of sums (priorhood moments), not {some(given)}; "
            f"write a formula in quotes, like 'price ~ living_space + (living_space | zip)'"
        )
    return given[0], given[1]


def pooled(files: list[str], formula: str | None, **rows_only: object) -> Moments:
    """The sums of several files together.

    Parameters
    ----------
    formula : given beside them; theirs must be the same
    rows_only : options that need the rows, by their Python names; none may be given

    Raises
    ------
    PriorhoodError
    """
    from priorhood.fitting.federated import load_moments, pool
    from priorhood.model.formula import parse
    from priorhood.suffstats.recode import same_formula

    for name, value in rows_only.items():
        if value:
            raise ModelError(
                f"--{name.replace('_', '-')} needs the rows, and {files[0]!r} holds sums: give it where they are "
                f"taken (priorhood moments TABLE FORMULA)"
            )
    sums = pool(*(load_moments(file) for file in files))
    if formula is not None and not same_formula(parse(formula), sums.formula):
        raise ModelError(f"{files[0]!r} was taken for {sums.formula.text!r}, not for {formula!r}")
    return sums


def same_weights(sums: Moments, **given: str | None) -> None:
    """Raise where options of weights say otherwise than the sums; those left out are known of them."""
    known = {
        "se": sums.weights.se,
        "precision_weights": sums.weights.precision,
        "frequency_weights": sums.weights.frequency,
    }
    for name, column in given.items():
        if column is not None and column != known[name]:
            raise ModelError(
                f"--{name.replace('_', '-')} {column}: the sums were taken with "
                f"{known[name] if known[name] else 'none'}; leave it out, or take them again"
            )


def moments(
    given: Given,
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write the sums to.")],
    minimum: Annotated[int, typer.Option(help="Leave out places with fewer rows, in all or of one category.")] = 1,
    places: Places = None,
    where: Where = None,
    drop_outliers: Outliers = None,
    se: KnownErrors = None,
    precision_weights: PrecisionWeights = None,
    frequency_weights: FrequencyWeights = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    as_json: Json = False,
) -> None:
    """Write the sums of a table that a fit needs, and no row; or pool files of sums into one."""
    from priorhood._system import check_netcdf, check_writable
    from priorhood.data.sources.table import read
    from priorhood.fitting.federated import moments as taken
    from priorhood.model.model import Model

    files, formula = parts_of(given)
    check_writable(out, *(files or given[:1]), *([places] if places else []))
    check_netcdf(out, "the sums of rows", ".moments")
    with heard(quiet=as_json):
        if files:
            sums = pooled(
                files, formula, minimum=minimum if minimum != 1 else None, places=places, where=where,
                drop_outliers=drop_outliers, null=null, decimal=decimal, thousands=thousands,
            )  # fmt: skip
            same_weights(sums, se=se, precision_weights=precision_weights, frequency_weights=frequency_weights)
        else:
            table, formula = table_and_formula(given, "moments")
            model = Model(formula, se=se, precision_weights=precision_weights, frequency_weights=frequency_weights)
            known = None if places is None else read(places, **spelled(null, decimal, thousands))
            rows = read(table, where=where, **spelled(null, decimal, thousands))
            sums = taken(model, rows, minimum=minimum, places=known, drop_outliers=drop_outliers)
    sums.save(out)
    _print(sums, out, as_json=as_json)


def _print(sums: Moments, out: Path, *, as_json: bool) -> None:
    found = sums.moments
    if as_json:
        print(
            json.dumps({
                "out": str(out), "formula": sums.formula.text, "rows_read": found.read, "rows_used": found.rows,
                "places": len(found.n), "places_of_one_row": int((found.n == 1).sum()),
                "places_of_two_rows": int((found.n == 2).sum()), "minimum": sums.minimum,
                "dropped": [[d.reason, d.column, d.rows, d.places] for d in found.dropped],
                "reveals": list(sums.reveals()),
            })
        )  # fmt: skip
        return
    print(f"{found.listed:,} of {found.read:,} rows used")
    for dropped in found.dropped:
        print(f"  dropped {dropped}")
    for sentence in sums.reveals():
        print(sentence)
    say(f"the sums written to {out}")

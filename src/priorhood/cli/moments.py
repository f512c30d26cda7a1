"""`priorhood moments`: the sums that a site sends instead of its rows; and which of a command's files hold sums."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood._system import is_file
from priorhood._text import preview
from priorhood.cli.options import Json, Places, Reading, takes
from priorhood.cli.output import print_json, printed_warnings, say
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from priorhood.fitting.federated import Moments

SIGNATURE = b"\x89HDF\r\n\x1a\n"  # of every netCDF4 file
ENDINGS = (".moments", ".nc")
WEIGHTS = ("se", "precision_weights", "frequency_weights")

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
    """Return the files of sums among a command's arguments, and the formula; no files for TABLE FORMULA.

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
        raise ModelError(f"several formulas are given: {preview(others)}; the files have one")
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
    """Return the two arguments of a command that reads a table.

    Raises
    ------
    ModelError : fewer or more, or the formula first
    """
    if len(given) == 2 and "~" in given[0] and "~" not in given[1]:
        raise ModelError(f"the table comes first, then the formula: {given[1]!r} before {given[0]!r}")
    if len(given) != 2:
        raise ModelError(
            f"{command} takes a table and a formula, or files of sums (priorhood moments), not {preview(given)}; "
            f"write a formula in quotes, like 'price ~ living_space + (living_space | zip)'"
        )
    return given[0], given[1]


def pooled(
    files: list[str], formula: str | None, weights: dict[str, Any], reading: Reading, **rows_only: object
) -> Moments:
    """Return the sums of several files together, and put their weights' columns into `weights`.

    Parameters
    ----------
    formula : given with the files; theirs must be the same
    weights : columns given as options; those of the files must be the same where one is given
    rows_only : options that need the rows, by their Python names; none may be given, nor one of reading

    Raises
    ------
    PriorhoodError
    """
    from priorhood.fitting.federated import load_moments, pool
    from priorhood.model.formula import parse, same_formula

    for name, value in {**rows_only, **reading._asdict()}.items():
        if value:
            option = "null" if name == "nulls" else name.replace("_", "-")
            raise ModelError(
                f"--{option} needs the rows, and {files[0]!r} holds sums: give it where they are "
                f"taken (priorhood moments TABLE FORMULA)"
            )
    sums = pool(*(load_moments(file) for file in files))
    if formula is not None and not same_formula(parse(formula), sums.formula):
        raise ModelError(f"{files[0]!r} was taken for {sums.formula.text!r}, not for {formula!r}")
    for name, known in zip(WEIGHTS, (sums.weights.se, sums.weights.precision, sums.weights.frequency), strict=True):
        if weights[name] not in (None, known):
            raise ModelError(
                f"--{name.replace('_', '-')} {weights[name]}: the sums were taken with {known or 'none'}; leave it "
                f"out, or take them again"
            )
        weights[name] = known
    return sums


@takes(run="moments", chosen=f"Model: {' '.join(WEIGHTS)}")
def moments(
    given: Given,
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write the sums to.")],
    places: Places = None,
    *,
    run: dict[str, Any],
    chosen: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Write the sums of a table that a fit needs, and no row; or pool files of sums into one."""
    from priorhood._system import check_netcdf, check_writable
    from priorhood.fitting.federated import moments as taken
    from priorhood.model.model import Model

    files, formula = parts_of(given)
    check_writable(out, *(files or given[:1]), *([places] if places else []))
    check_netcdf(out, "the sums of rows", ".moments")
    with printed_warnings(quiet=as_json):
        if files:
            minimum = run["minimum"] if run["minimum"] != 1 else None
            sums = pooled(files, formula, chosen, reading, **run | {"minimum": minimum, "places": places})
        else:
            table, formula = table_and_formula(given, "moments")
            model, known = Model(formula, **chosen), reading.places(places)
            sums = taken(model, reading.rows(table), places=known, **run)
    sums.save(out)
    found = sums.moments
    if as_json:
        print_json(
            out=out, formula=sums.formula.text, rows_read=found.read, rows_used=found.rows, places=len(found.n),
            places_of_one_row=int((found.n == 1).sum()), places_of_two_rows=int((found.n == 2).sum()),
            minimum=sums.minimum, dropped=[[d.reason, d.column, d.rows, d.places] for d in found.dropped],
            reveals=list(sums.reveals()),
        )  # fmt: skip
        return
    print(f"{found.listed:,} of {found.read:,} rows used")
    for dropped in found.dropped:
        print(f"  dropped {dropped}")
    for sentence in sums.reveals():
        print(sentence)
    say(f"the sums written to {out}")

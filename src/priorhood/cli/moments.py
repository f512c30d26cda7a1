"""`priorhood moments`: the sums that a site sends instead of its rows; and how commands recognize files of sums."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood._system import is_file
from priorhood._text import preview
from priorhood.cli.options import SIGNATURE, Json, Places, Reading, takes
from priorhood.cli.output import print_json, printed_warnings, say
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from priorhood.fitting.federated import Moments

ENDINGS = (".moments", ".nc")
WEIGHTS = ("se", "precision_weights", "frequency_weights")

Inputs = Annotated[
    list[str],
    typer.Argument(
        metavar="TABLE FORMULA | FILE...",
        help="A table (CSV, TSV, Parquet or JSON-lines file, or a glob) and a formula, 'price ~ living_space + "
        "(living_space | zip)'; or files of sums (priorhood moments), one per site.",
        show_default=False,
    ),
]


def parts_of(inputs: list[str]) -> tuple[list[str], str | None]:
    """Return the files of sums among a command's arguments, and the formula; no files for TABLE FORMULA.

    Files are recognized by their content, not by their names.

    Raises
    ------
    ModelError
        Sums and a table are given together, or several formulas.
    """
    files = [text for text in inputs if _holds_sums(text)]
    others = [text for text in inputs if text not in files]
    if not files:
        return [], None
    tables = [text for text in others if "~" not in text]
    if tables:
        raise ModelError(
            f"{tables[0]!r} is a table but {files[0]!r} holds sums: compute the sums of the table first (priorhood "
            f"moments TABLE FORMULA -o FILE)"
        )
    if len(others) > 1:
        raise ModelError(f"several formulas were given: {preview(others)}; the files of sums already have one")
    return files, others[0] if others else None


def _holds_sums(text: str) -> bool:
    """Check whether an argument is a file of sums; one that does not exist counts by its name."""
    path = Path(text)
    if "~" in text and not is_file(path):
        return False
    if is_file(path) and path.stat().st_size:  # a kernel's file, which may block forever, has no size
        with path.open("rb") as file:
            return file.read(len(SIGNATURE)) == SIGNATURE or path.suffix in ENDINGS
    return path.suffix in ENDINGS


def table_and_formula(inputs: list[str], command: str) -> tuple[str, str]:
    """Return the two arguments of a command that reads a table.

    Raises
    ------
    ModelError
        There are fewer or more than two arguments, or the formula comes first.
    """
    if len(inputs) == 2 and "~" in inputs[0] and "~" not in inputs[1]:
        raise ModelError(f"the table comes first, then the formula: write {shlex.join(reversed(inputs))}")
    if len(inputs) > 2 and ["~" in one for one in inputs] == [False] * (len(inputs) - 1) + [True]:
        from priorhood.data.sources.files import SEVERAL_FILES

        raise ModelError(f"{command} takes one table and a formula, not {preview(inputs)}: {SEVERAL_FILES}")
    if len(inputs) != 2:
        raise ModelError(
            f"{command} takes a table and a formula, or files of sums (priorhood moments), not {preview(inputs)}; "
            f"write a formula in quotes, such as 'price ~ living_space + (living_space | zip)'"
        )
    return inputs[0], inputs[1]


def pool_files(
    files: list[str], formula: str | None, weights: dict[str, Any], reading: Reading, **rows_only: object
) -> Moments:
    """Return the pooled sums of several files, and write the columns of their weights to `weights`.

    Parameters
    ----------
    files : list of str
        Files of sums.
    formula : str, optional
        The formula given with the files, which must be theirs.
    weights : dict
        Columns of weights given as options, which must be those of the files.
    reading : Reading
        Options for reading tables, none of which may be given.
    rows_only : object
        Options that need the rows, by their Python names, none of which may be given.

    Raises
    ------
    PriorhoodError
        The options or the formula do not fit the files, or the files cannot be pooled.
    """
    from priorhood.fitting.federated import load_moments, pool
    from priorhood.model.formula import parse, same_formula

    for name, value in {**rows_only, **reading._asdict()}.items():
        if value:
            option = "null" if name == "nulls" else name.replace("_", "-")
            raise ModelError(
                f"--{option} needs the rows, but {files[0]!r} holds sums: use it when the sums are computed "
                f"(priorhood moments TABLE FORMULA)"
            )
    sums = pool(*(load_moments(file) for file in files))
    if formula is not None and not same_formula(parse(formula), sums.formula):
        raise ModelError(f"{files[0]!r} holds the sums for {sums.formula.text!r}, not for {formula!r}")
    for name, known in zip(WEIGHTS, (sums.weights.se, sums.weights.precision, sums.weights.frequency), strict=True):
        if weights[name] not in (None, known):
            raise ModelError(
                f"--{name.replace('_', '-')} {weights[name]}: the sums were computed with {known or 'none'}; omit "
                f"the option, or compute the sums again"
            )
        weights[name] = known
    return sums


@takes(run="moments", chosen=f"Model: {' '.join(WEIGHTS)}")
def moments(
    inputs: Inputs,
    out: Annotated[Path, typer.Option("-o", "--out", help="File to write the sums to (.moments).")],
    places: Places = None,
    *,
    run: dict[str, Any],
    chosen: dict[str, Any],
    reading: Reading,
    as_json: Json = False,
) -> None:
    """Write a table's sums, from which a model can be fitted without the rows; or pool several files of sums."""
    from priorhood._system import check_netcdf, check_writable
    from priorhood.fitting.federated import moments as compute
    from priorhood.model.model import Model

    files, formula = parts_of(inputs)
    check_writable(out, *(files or inputs[:1]), *([places] if places else []))
    check_netcdf(out, "the sums of rows", ".moments")
    with printed_warnings(quiet=as_json):
        if files:
            minimum = run["minimum"] if run["minimum"] != 1 else None
            sums = pool_files(files, formula, chosen, reading, **run | {"minimum": minimum, "places": places})
        else:
            table, formula = table_and_formula(inputs, "moments")
            model, known = Model(formula, **chosen), reading.places(places)
            sums = compute(model, reading.rows(table), places=known, **run)
    sums.save(out)
    totals = sums.moments
    if as_json:
        print_json(
            out=out, formula=sums.formula.text, rows_read=totals.read, rows_used=totals.rows, places=len(totals.n),
            places_of_one_row=int((totals.n == 1).sum()), places_of_two_rows=int((totals.n == 2).sum()),
            minimum=sums.minimum, dropped=[[d.reason, d.column, d.rows, d.places] for d in totals.dropped],
            reveals=list(sums.reveals()),
        )  # fmt: skip
        return
    print(f"{totals.listed:,} of {totals.read:,} rows used")
    for dropped in totals.dropped:
        print(f"  dropped {dropped}")
    for sentence in sums.reveals():
        print(sentence)
    say(f"sums written to {out}")

"""Numbers that may be something else: dates, 20140502, labels with leading zeros, thousands read as decimals."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import preview
from priorhood.data.date_advice import dates_advice
from priorhood.data.date_formats import like_numbered, numbered_dates
from priorhood.data.misread_thousands import check_thousands, warn_of_thousandths
from priorhood.data.sources.backend import ENGINES
from priorhood.data.sources.columns import FIRST, in_numpy, run
from priorhood.data.text_columns import FEW
from priorhood.errors import TableError, warn
from priorhood.model.tokens import written

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.data.roles import Role
    from priorhood.data.sources.backend import Frame
    from priorhood.data.sources.table import Table

_ZERO_FIRST = re.compile(r"0[0-9]+")
_FOUR_DIGITS = re.compile(r"[+-]?[0-9]{4}")
# Prefix in Table.checked of a column of numbers that was checked for dates.
_NO_DATES = "no dates: "


def check_numbers(frame: Frame, roles: dict[str, Role], table: Table) -> None:
    """Check the first rows for numbers that are dates, 20140502, or thousands read as decimals, 1.200.

    Parameters
    ----------
    frame : Frame
        Rows with their columns converted to their roles.

    Raises
    ------
    TableError
        Dates that a formula uses as a predictor by themselves; see also check_thousands.
    """
    schema = frame.collect_schema()
    numbers = [c for c in roles if not roles[c].category and schema[c].is_numeric() and c not in table.joined]
    thousands = [c for c in numbers if c not in table.checked and not table.number_format.thousands]
    dates = [c for c in numbers if not roles[c].number and _NO_DATES + c not in table.checked]
    columns = list(dict.fromkeys((*thousands, *dates)))
    if not columns or table.kind in ENGINES:
        return
    # Columns are only noted as checked if nothing is raised: an error is raised again the next time.
    if table.csv is not None:
        texts = table.csv.sample_texts(columns)
        _refuse_numbered({c: texts[c] for c in dates if c in texts}, roles, table)
        for column in (c for c in dates if c in texts and roles[c].predictor):
            zeros = list(dict.fromkeys(filter(_ZERO_FIRST.fullmatch, texts[column])))
            if zeros and len(set(map(len, texts[column]))) == 1:
                warn(
                    f"{table.name}: column {column!r} has leading zeros, such as {preview(zeros, 2)}, and is read "
                    f"as numbers; if these are labels, write C({written(column)}) to use them as categories"
                )
        for column in (c for c in thousands if c in texts):
            # A column that has 1234 has no thousands separators.
            if not check_thousands(column, texts[column], table, numbers) and not any(
                map(_FOUR_DIGITS.match, texts[column])
            ):
                table.unchecked_thousands.add(column)
    else:
        found = _first_numbers(frame, [c for c in columns if c in dates or not schema[c].is_integer()], table)
        _refuse_numbered(
            {c: list(map("{:.0f}".format, found[c])) for c in dates if _may_be_dates(found[c])}, roles, table
        )
        for column in (c for c in thousands if c in found and not schema[c].is_integer()):
            warn_of_thousandths(column, found[column], table)
    table.checked.update((*thousands, *(_NO_DATES + c for c in dates)))


def _refuse_numbered(columns: dict[str, list[str]], roles: dict[str, Role], table: Table) -> None:
    """Raise if a column of whole numbers has dates."""
    for column, values in columns.items():
        found = numbered_dates(values)
        if found is not None:
            dates = sorted(set(filter(like_numbered, values)))
            advice = dates_advice(column, roles[column], dates, found, table)
            raise TableError(f"{table.name}: column {column!r} ({roles[column].purpose}) {advice}")


def _first_numbers(frame: Frame, columns: list[str], table: Table) -> dict[str, Array]:
    """Return the finite values of the first rows; of a frame in memory, where it is cheap, rows from all of it."""
    import narwhals.stable.v2 as nw

    if not columns:
        return {}
    if in_numpy(frame, columns):  # narwhals would cast the frame whole
        native: Any = frame.to_native()
        values = {c: native[c].to_numpy()[:: len(native) // FIRST + 1].astype(float) for c in columns}
    else:
        rows = frame.gather_every(len(frame) // FIRST + 1) if isinstance(frame, nw.DataFrame) else frame.head(FIRST)
        found = run(rows.select(*(nw.col(c).cast(nw.Float64) for c in columns)), table.name)
        values = {column: np.asarray(given, dtype=float) for column, given in found.items()}
    return {column: numbers[np.isfinite(numbers)] for column, numbers in values.items()}


def _may_be_dates(values: Array) -> bool:
    """Return whether no value rules out dates, as the first values of nearly all columns do."""
    for sample in (values[:FEW], values):
        size = sample[sample != 0]
        if not ((size >= 190001) & (size == np.floor(size))).all():
            return False
    return len(values) > 0

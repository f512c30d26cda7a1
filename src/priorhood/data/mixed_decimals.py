"""Tables whose columns have different decimal separators, so that no option reads all of them."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from priorhood._system import is_file
from priorhood.data.date_advice import script
from priorhood.data.unusual_numbers import Rewriting, calls_to_respell, conversion_advice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from priorhood.data.number_formats import Separators
    from priorhood.data.sources.table import Table

# A number whose decimals cannot be thousands, 84.5 or 0.125 but not 1.125; signs or units may be around it.
_DECIMALS = re.compile(
    r"\D*(?:\d{1,3}(?:[.,'\u2019_\s]\d{3})+|\d+)([.,])(?:\d{1,2}|\d{4,}|(?<=\b0[.,])\d{3})\D*[23]?"
)


def decimal_sign(texts: Iterable[str]) -> str:
    """Return the decimal separator of a column's texts; '' if none is certain.

    Examples
    --------
    >>> decimal_sign(["1.250,5", "84"]), decimal_sign(["1.250"])
    (',', '')
    """
    signs = {match[1] for text in texts if (match := _DECIMALS.fullmatch(text))}
    return signs.pop() if len(signs) == 1 else ""


def column_with(signs: str, columns: Mapping[str, Iterable[str]]) -> str:
    """Return the first column that has one of the signs as its decimal separator; '' if there is none."""
    found = ((column, decimal_sign(texts)) for column, texts in columns.items())
    return next((column for column, sign in found if sign and sign in signs), "")


def command_of(table: Table) -> Callable[[str], str] | None:
    """Return the function from a line of Python for the rows d to a command for a table's file; None for frames."""
    return partial(script, table.name, ending="plain") if table.csv and is_file(table.name) else None


def respelling(column: str, separators: Separators, decimal: str, table: Table) -> str:
    """Return code that writes a column's numbers without thousands and with another decimal separator.

    For a file it is only the command: pandas' and Polars' own readers may read such a column as numbers.
    """
    found = Rewriting("", *calls_to_respell(separators, decimal))
    command = command_of(table)
    if command is None:
        return conversion_advice(column, found.pandas, found.polars)
    rows = f"d[{column!r}]"
    return command(f"{rows} = {rows}{found.pandas}")

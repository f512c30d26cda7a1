"""Columns that cannot be distinguished: with the same name, or with names that an engine treats as the same.

For DuckDB, Spark and most databases price and Price are the same name. DuckDB renames the second one in a file to
price_1.
"""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING

from priorhood._text import join_words, preview

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def as_engines(name: str) -> str:
    """Return a name as DuckDB compares it: ASCII letters in lower case, others unchanged."""
    return name.translate(_LOWER)


def perhaps_renamed(columns: Sequence[str]) -> bool:
    """Return whether a reader may have renamed a second column of the same name: price and price_1."""
    known = set(map(as_engines, columns))
    return any((end := re.fullmatch(r"(.*)[_:]\d+", name)) and as_engines(end[1]) in known for name in columns)


def ambiguous_columns(names: Sequence[str], columns: Sequence[str] = ()) -> dict[str, str]:
    """Return the columns whose names cannot be distinguished, with the reason and advice.

    Parameters
    ----------
    names : sequence of str
        Names in the table, in order.
    columns : sequence of str
        Names that the table's reader gives them.
    """
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        positions.setdefault(as_engines(name), []).append(position)
    found: dict[str, str] = {}
    for same in positions.values():
        spelled = dict.fromkeys(names[position] for position in same)
        numbers = join_words(str(position + 1) for position in same)
        for name in spelled if len(same) > 1 else ():
            if len(spelled) == 1:
                found[name] = f"occurs {len(same)} times (columns {numbers}): rename all but one of them"
            else:
                others = preview(other for other in spelled if other != name)
                found[name] = (
                    f"differs from {others} only in case (columns {numbers}), and case is ignored here: "
                    f"rename all but one of them"
                )
    for name, column in zip(names, columns, strict=False):
        if column != name and column not in names and name in found:
            found[column] = (
                f"is not in the table: it is the name that the reader gave to a second column {name!r}. {name!r} "
                f"{found[name]}"
            )
    return found


def first_ambiguous(columns: Iterable[str], why: Mapping[str, str]) -> str | None:
    """Return the first key of `why` that an engine treats as the same as one of the columns; None if none is."""
    names = list(columns)
    wanted = set(map(as_engines, names))
    exact = (name for name in names if name in why)
    return next(exact, next((name for name in why if as_engines(name) in wanted), None))

"""Columns that cannot be told apart: with one name, or with names that an engine takes for one.

DuckDB, Spark and most databases read price and Price as one name. DuckDB renames the second of a file to price_1.
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
    """Return a name as DuckDB compares it: ASCII letters in lower case, others as they are."""
    return name.translate(_LOWER)


def perhaps_renamed(columns: Sequence[str]) -> bool:
    """Whether there may be a name that a reader gave to a second column of one name: price and price_1."""
    there = set(map(as_engines, columns))
    return any((end := re.fullmatch(r"(.*)[_:]\d+", name)) and as_engines(end[1]) in there for name in columns)


def twins(names: Sequence[str], columns: Sequence[str] = ()) -> dict[str, str]:
    """Return column → why it cannot be used, where names cannot be told apart.

    Parameters
    ----------
    names : sequence of str
        As the table has them, in order.
    columns : sequence of str
        As its reader calls them.
    """
    at: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        at.setdefault(as_engines(name), []).append(place)
    found: dict[str, str] = {}
    for places in at.values():
        spelled = dict.fromkeys(names[place] for place in places)
        numbers = join_words(str(place + 1) for place in places)
        for name in spelled if len(places) > 1 else ():
            if len(spelled) == 1:
                found[name] = f"is there {len(places)} times, as columns {numbers}: rename all but one of them"
            else:
                others = preview(other for other in spelled if other != name)
                found[name] = (
                    f"differs from {others} by the case of its letters alone (columns {numbers}), which is "
                    f"ignored here: rename all but one of them"
                )
    for name, column in zip(names, columns, strict=False):
        if column != name and column not in names and name in found:
            found[column] = f"is no name of the table, but the reader's for a second {name!r}, which {found[name]}"
    return found


def refused(columns: Iterable[str], why: Mapping[str, str]) -> str | None:
    """Return the first column of `why` that an engine takes one of some names for; None where there is none."""
    join_words = list(columns)
    wanted = set(map(as_engines, join_words))
    exact = (name for name in join_words if name in why)
    return next(exact, next((name for name in why if as_engines(name) in wanted), None))

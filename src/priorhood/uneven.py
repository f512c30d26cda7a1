"""Text files that do not fall into columns: which line is not like the line of names."""

from __future__ import annotations

import csv
import gzip
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEPARATORS = ",;\t|"
# DuckDB looks at 20,480 lines before it settles for the columns; what comes later it finds itself.
LINES = 25_000
FILES = 50
# Of these it complains itself, or another room does.
_UNREAD = (OSError, EOFError, UnicodeDecodeError, csv.Error)


def shown(line: str) -> str:
    """A line as messages quote it."""
    text = line.rstrip("\r\n")
    return repr(text if len(text) <= 60 else text[:57] + "…")


def first_names(file: str) -> int | None:
    """How many names the line of names has; None where it cannot be read."""
    with suppress(*_UNREAD), _opened(file) as text:
        first = _record(_lines(text))
        return _values(first, _separator([first])) if first else None
    return None


def heading(file: str) -> tuple[str, list[str]] | None:
    """The separator of the line of names, and the names; None where it cannot be read."""
    with suppress(*_UNREAD), _opened(file) as text:
        first = _record(_lines(text))
        separator = _separator([first]) if first else ""
        if separator:
            return separator, [name.strip() for name in next(csv.reader([first], delimiter=separator))]
    return None


def uneven(files: Iterable[str]) -> str | None:
    """What is wrong with the first line that has more or fewer values than the line of names; None if none has.

    Parameters
    ----------
    files : of separated values, as text or compressed with gzip; of others nothing is said
    """
    several = list(files)
    for file in several[:FILES]:
        with suppress(*_UNREAD), _opened(file) as text:
            found = _uneven(list(islice(_lines(text), LINES)))
            if found:
                return f"file {file!r}: {found}" if len(several) > 1 else found
    return None


def _opened(file: str) -> TextIO:
    if file.lower().endswith(".gz"):
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return Path(file).open(encoding="utf-8-sig", newline="")


def _lines(text: TextIO) -> Iterator[str]:
    """Those that DuckDB counts: neither blank nor comments."""
    return (line for line in text if line.strip() and not line.startswith("#"))


def _record(lines: Iterator[str]) -> str:
    """The first line, with those that a quoted line break makes part of it."""
    record = next(lines, "")
    while record.count('"') % 2 and (more := next(lines, "")):
        record += more
    return record


def _uneven(lines: list[str]) -> str | None:
    if not lines:
        return None
    rest = iter(lines)
    first = _record(rest)
    separator = _separator([first, *islice(rest, 1)])
    wanted = _values(first, separator)
    reader = csv.reader(lines, delimiter=separator)
    for at, values in enumerate(reader):
        if len(values) != wanted:
            has = f"{len(values)} {'value' if len(values) == 1 else 'values'}"
            names = f"{wanted} {'name' if wanted == 1 else 'names'}"
            return (
                f"row {at}, {shown(lines[reader.line_num - 1])}, has {has} and the first line {names}; fix the "
                "one that is wrong, or leave it out"
            )
    return None


def _separator(lines: list[str]) -> str:
    """The one that makes most names of the first line; where none does, most values of the next."""
    return max(SEPARATORS, key=lambda separator: [_values(line, separator) for line in lines])


def _values(line: str, separator: str) -> int:
    return len(next(csv.reader(line.splitlines(keepends=True), delimiter=separator)))

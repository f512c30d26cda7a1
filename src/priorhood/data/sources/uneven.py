"""Text files that do not fall into columns: which line is not like the line of names."""

from __future__ import annotations

import csv
import gzip
import re
import shlex
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from priorhood._system import free_name
from priorhood.data.number_formats import is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEPARATORS = ",;\t|"
# DuckDB looks at 20,480 lines before it settles for the columns; what comes later it finds itself.
LINES = 25_000
FILES = 50
# So many lines of a title are looked for, and so many of a table below them make it one.
TITLE, TABLE = 20, 200
# What a spreadsheet takes for the separator, and nothing else does.
_TOLD = re.compile(r"\"?sep=.?\"?\s*", re.IGNORECASE)
# Of these it complains itself, or another room does.
_UNREAD = (OSError, EOFError, UnicodeDecodeError, csv.Error)


def shown(line: str) -> str:
    """A line as messages quote it."""
    text = line.rstrip("\r\n")
    return repr(text if len(text) <= 60 else text[:57] + "…")


def first_names(file: str) -> int | None:
    """How many names the line of names has, none where it says the separator; None where it cannot be read."""
    with suppress(*_UNREAD), _opened(file) as text:
        first = _record(_lines(text))
        if _TOLD.fullmatch(first):
            return 0
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

    Where a table begins below the first line, what is above it is wrong.

    Parameters
    ----------
    files : of separated values, as text or compressed with gzip; of others nothing is said
    """
    several = list(files)
    for file in several[:FILES]:
        with suppress(*_UNREAD), _opened(file) as text:
            lines = list(islice(text, LINES))
            found = _titled(file, lines) or _uneven([line for line in lines if line.strip()])
            if found:
                return f"file {file!r}: {found}" if len(several) > 1 else found
    return None


def named_below(file: str, name: str) -> str | None:
    """What is said where a name that the first line has not is in a line of names below it; None where none has it.

    A spreadsheet writes as many separators behind a title as behind the names: nothing is uneven then.
    """
    with suppress(*_UNREAD), _opened(file) as text:
        lines = list(islice(text, TITLE + 1))
        for at in range(1, len(lines) - 1):
            if "".join(lines[:at]).count('"') % 2:  # within a value of several lines
                continue
            separator = _separator(lines[at : at + 1])
            first, *rest = csv.reader(lines[at : at + 2], delimiter=separator)
            names = [one.strip() for one in first]
            if len(names) < 2 or name not in names or any(not one or is_number(one) for one in names):
                continue
            if any(
                is_number(one.strip()) for row in rest for one in row
            ):  # no row of texts, of which one is the name
                return _taken_away(file, lines, at)
    return None


def _opened(file: str) -> TextIO:
    if file.lower().endswith(".gz"):
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return Path(file).open(encoding="utf-8-sig", newline="")


def _lines(text: TextIO) -> Iterator[str]:
    """Those that DuckDB counts: not blank."""
    return (line for line in text if line.strip())


def _record(lines: Iterator[str]) -> str:
    """The first line, with those that a quoted line break makes part of it."""
    record = next(lines, "")
    while record.count('"') % 2 and (more := next(lines, "")):
        record += more
    return record


def _titled(file: str, lines: list[str]) -> str | None:
    """What is said of lines above the line of names; None where there are none."""
    above = next((at for at in range(1, min(TITLE, len(lines) - 1)) if _begins(lines, at)), 0)
    return _taken_away(file, lines, above) if above else None


def _taken_away(file: str, lines: list[str], above: int) -> str:
    """What is said of the first so many lines, and what takes them away."""
    gzipped = file.lower().endswith(".gz")
    out = free_name(Path(file.removesuffix(".gz") if gzipped else file), " plain")
    rest = f"tail -n +{above + 1}"
    command = f"gzip -dc {shlex.quote(file)} | {rest}" if gzipped else f"{rest} {shlex.quote(file)}"
    which = "line 1 is" if above == 1 else f"lines 1 to {above} are"
    first = next(line for line in lines if line.strip())
    return (
        f"{which} above the line of names, with {shown(first)}; take {'it' if above == 1 else 'them'} away, like "
        f"{command} > {shlex.quote(str(out))}"
    )


def _begins(lines: list[str], at: int) -> bool:
    """Whether a table begins at a line: names, and no line above has so many values as all below have."""
    rest = [line for line in lines[at : at + TABLE] if line.strip()]
    if not lines[at].strip() or not "".join(lines[:at]).strip() or len(rest) < 2:
        return False
    separator = _separator(rest[:2])
    names, *rows = csv.reader(rest, delimiter=separator)
    if len(names) < 2 or any(not name.strip() or is_number(name.strip()) for name in names):
        return False
    if any(len(row) != len(names) for row in rows):
        return False
    above = (line for line in lines[:at] if line.strip() and not _TOLD.fullmatch(line))
    return all(_values(line, separator) != len(names) for line in above)


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

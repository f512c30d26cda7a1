"""The layout of CSV files: separator, header, lines above it, and lines with a different number of values."""

from __future__ import annotations

import csv
import gzip
import re
import shlex
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from priorhood._system import unused_name
from priorhood.data.number_formats import is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEPARATORS = ",;\t|"
# DuckDB determines the columns from 20,480 lines; it reports later errors itself.
LINES = 25_000
FILES = 50
# Maximal number of title lines, and of lines below them that must look like a table.
TITLE, TABLE = 20, 200
# A line that names the separator, for spreadsheets.
_SEP_LINE = re.compile(r"\"?sep=.?\"?\s*", re.IGNORECASE)
# Errors that DuckDB reports itself.
_UNREAD = (OSError, EOFError, UnicodeDecodeError, csv.Error)


def shown(line: str) -> str:
    """Return a line as messages quote it."""
    text = line.rstrip("\r\n")
    return repr(text if len(text) <= 60 else text[:57] + "…")


def count_names(file: str) -> int | None:
    """Return the number of names in the first line, 0 if it names the separator; None if it cannot be read."""
    with suppress(*_UNREAD), _opened(file) as text:
        first = _record(line for line in text if line.strip())
        if _SEP_LINE.fullmatch(first):
            return 0
        return _values(first, _separator([first])) if first else None
    return None


def heading(file: str) -> tuple[str, list[str]] | None:
    """Return the separator of the first line, and its names; None if it cannot be read."""
    with suppress(*_UNREAD), _opened(file) as text:
        first = _record(line for line in text if line.strip())
        separator = _separator([first]) if first else ""
        if separator:
            return separator, [name.strip() for name in next(csv.reader([first], delimiter=separator))]
    return None


def uneven(files: Iterable[str]) -> str | None:
    """Describe the first line that has more or fewer values than there are names; None if there is none.

    If the table begins below the first line, the lines above it are reported.

    Parameters
    ----------
    files : iterable of str
        CSV files, as text or compressed with gzip; others are skipped.
    """
    several = list(files)
    for file in several[:FILES]:
        with suppress(*_UNREAD), _opened(file) as text:
            lines = list(islice(text, LINES))
            prefix = f"file {file!r}: " if len(several) > 1 else ""
            above = next((at for at in range(1, min(TITLE, len(lines) - 1)) if _begins(lines, at)), 0)
            if above:
                return prefix + _removal(file, lines, above)
            lines = [line for line in lines if line.strip()]
            rest = iter(lines)
            first = _record(rest)
            if not first:
                continue
            separator = _separator([first, *islice(rest, 1)])
            wanted = _values(first, separator)
            reader = csv.reader(lines, delimiter=separator)
            for at, values in enumerate(reader):
                if len(values) != wanted:
                    has = f"{len(values)} {'value' if len(values) == 1 else 'values'}"
                    names = f"{wanted} {'name' if wanted == 1 else 'names'}"
                    return (
                        f"{prefix}row {at}, {shown(lines[reader.line_num - 1])}, has {has}, but the first line has "
                        f"{names}; fix the line that is wrong, or leave it out"
                    )
    return None


def header_advice(file: str, name: str) -> str | None:
    """Return advice if a name that the first line lacks is in a header below it, else None.

    A spreadsheet writes as many separators after a title as after the names, so all lines have the same length.
    """
    with suppress(*_UNREAD), _opened(file) as text:
        lines = list(islice(text, TITLE + 1))
        for at in range(1, len(lines) - 1):
            if "".join(lines[:at]).count('"') % 2:  # within a value of several lines
                continue
            separator = _separator(lines[at : at + 1])
            first, *rest = csv.reader(lines[at : at + 2], delimiter=separator)
            names = [text.strip() for text in first]
            if len(names) < 2 or name not in names or any(not text or is_number(text) for text in names):
                continue
            # Without a number below, it may be a row of texts, one of which is the name.
            if any(is_number(text.strip()) for row in rest for text in row):
                return _removal(file, lines, at)
    return None


def _opened(file: str) -> TextIO:
    if file.lower().endswith(".gz"):
        return gzip.open(file, "rt", encoding="utf-8-sig", newline="")
    return Path(file).open(encoding="utf-8-sig", newline="")


def _record(lines: Iterator[str]) -> str:
    """Return the first line, with the lines that a quoted line break makes part of it."""
    record = next(lines, "")
    while record.count('"') % 2 and (more := next(lines, "")):
        record += more
    return record


def _removal(file: str, lines: list[str], above: int) -> str:
    """Return advice to remove the first lines, with a command."""
    gzipped = file.lower().endswith(".gz")
    out = unused_name(Path(file.removesuffix(".gz") if gzipped else file), " plain")
    rest = f"tail -n +{above + 1}"
    command = f"gzip -dc {shlex.quote(file)} | {rest}" if gzipped else f"{rest} {shlex.quote(file)}"
    which = "line 1" if above == 1 else f"lines 1 to {above}"
    first = next(line for line in lines if line.strip())
    return (
        f"{which} ({shown(first)}) {'precedes' if above == 1 else 'precede'} the header; remove "
        f"{'it' if above == 1 else 'them'}, for example with: {command} > {shlex.quote(str(out))}"
    )


def _begins(lines: list[str], at: int) -> bool:
    """Return whether a line is a header: of names, with as many values in all lines below, and in none above."""
    rest = [line for line in lines[at : at + TABLE] if line.strip()]
    if not lines[at].strip() or not "".join(lines[:at]).strip() or len(rest) < 2:
        return False
    separator = _separator(rest[:2])
    names, *rows = csv.reader(rest, delimiter=separator)
    if len(names) < 2 or any(not name.strip() or is_number(name.strip()) for name in names):
        return False
    if any(len(row) != len(names) for row in rows):
        return False
    above = (line for line in lines[:at] if line.strip() and not _SEP_LINE.fullmatch(line))
    return all(_values(line, separator) != len(names) for line in above)


def _separator(lines: list[str]) -> str:
    """Return the separator that gives the first line the most names; in a tie, the next one the most values."""
    return max(SEPARATORS, key=lambda separator: [_values(line, separator) for line in lines])


def _values(line: str, separator: str) -> int:
    return len(next(csv.reader(line.splitlines(keepends=True), delimiter=separator)))

"""What DuckDB says of files that it cannot read → our words: which file, which line, what to do."""

from __future__ import annotations

import csv
import gzip
import re
import shlex
import tempfile
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from priorhood._system import free_name, is_file
from priorhood.data.number_formats import is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DAMAGED = re.compile(
    r"No magic bytes|too small to be a Parquet|Footer length|decompression failure|TProtocolException|corrupt"
    r"|Unexpected end of \w+ stream|Could not decompress|don't know what type|Out of buffer"
)
# Where it does not say which file it is about.
UNNAMED = "one of the files"
_ADVICE = re.compile(r"\n\s*(?:LINE|Possible |Potential |Expected Type|The search space)|\n\n")


def plainly(message: str, name: str = "") -> str:
    """The complaint about a table, whose name is often its file's, without advice for DuckDB's own users."""
    for words in (
        _other_encoding,
        _spoilt,
        _no_room,
        _twins,
        _damaged,
        _line,
        _no_columns,
        _in_use,
        _reached,
        _overflow,
    ):
        found = words(message, _file(message, name))
        if found:
            return found
    first = re.sub(r"^(?:[A-Z]\w* )+Error: ", "", _ADVICE.split(message.strip())[0].strip())
    return re.sub(r"\s+", " ", first)


def _overflow(message: str, _: str) -> str | None:
    """Whole numbers of a condition, beyond 64 bits."""
    found = re.search(r"Overflow in \w+ of \w+ \((-?\d+) (.) (-?\d+)\)", message)
    if found is None:
        return None
    return (
        f"where= goes beyond whole numbers, at {found[1]} {found[2]} {found[3]}; make decimals of a column first, "
        f"like size::double {found[2]} size"
    )


def _file(message: str, name: str) -> str:
    """The file as a sentence names it: by its name where the table has several."""
    named = re.search(r"^\s*file = (.+)$|[Ff]ile ['\"]([^'\"]+)['\"]", message, re.MULTILINE)
    if named is None:
        return "the file" if is_file(name) else UNNAMED
    file = (named[1] or named[2]).strip()
    return "the file" if file == name else f"file {file!r}"


def _spoilt(message: str, file: str) -> str | None:
    """A text where numbers are."""
    found = re.search(
        r'Error when converting column "([^"]+)"\. Could not convert string "(.*?)" to ', message, re.DOTALL
    )
    if found is None:
        return None
    value = found[2].strip('"')
    line = re.search(r"CSV Error on Line: (\d+)", message)
    where = f" in line {line[1]}" if line else ""
    where += f" of {file}" if line and file.startswith("file ") else ""
    return (
        f"column {found[1]!r} holds {value!r}{where} among numbers; fix the file, or say that "
        f"{value!r} means a missing value (nulls=[{value!r}], --null {value!r})"
    )


def _no_room(message: str, _: str) -> str | None:
    if not re.search(r"max_temp_directory_size|duckdb_temp_", message):
        return None
    return (
        "neither memory nor the disk for temporary files has room; nothing was written. Free space in "
        f"{tempfile.gettempdir()!r}, or name another folder in the environment (TMPDIR)"
    )


def _damaged(message: str, file: str) -> str | None:
    found = _DAMAGED.search(message)
    if found is None:
        return None
    return f"{file} is damaged, cut off or not what its name says ({found[0]}); make it anew, or leave it out"


def _line(message: str, file: str) -> str | None:
    """A line of a CSV that is not like the others."""
    found = re.search(r"CSV Error on Line: (\d+)(?:\s*\nOriginal Line: ?(.*))?", message)
    if found is None:
        return None
    text = f", {shown(found[2])}," if found[2] else ""
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    what = f"has {counts[2]} columns, not {counts[1]}" if counts else "is not like the others (quotes, line ends?)"
    return f"line {found[1]} of {file}{text} {what}; fix the line or leave it out"


def _other_encoding(message: str, file: str) -> str | None:
    """Text that is not UTF-8: what it is, as far as its bytes say, and how it becomes UTF-8."""
    if "not utf-8" not in message:
        return None
    line = re.search(r"CSV Error on Line: (\d+)", message)
    where = f", from line {line[1]} on" if line else ""
    named = re.search(r"^\s*file = (.+)$", message, re.MULTILINE)
    path = named[1].strip() if named else ""
    encoding = "" if path.endswith((".gz", ".zst")) else _encoding(path)
    if not encoding:
        return f"{file} is not UTF-8 text{where}; write it as UTF-8 (iconv -f CP1252 -t UTF-8, or from what it is)"
    out = str(free_name(Path(path), "-utf8"))
    return (
        f"{file} is not UTF-8 text{where}, and looks like {encoding}; write it as UTF-8: "
        f"iconv -f {encoding} -t UTF-8 {shlex.quote(path)} > {shlex.quote(out)}"
    )


def _encoding(path: str) -> str:
    """The encoding that a file's first bytes have, as iconv calls it; '' where it cannot be read as it is."""
    try:
        with Path(path).open("rb") as file:
            first = file.read(1 << 20)
    except OSError:
        return ""
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    if first.count(0) > len(first) / 4:
        return "UTF-16LE" if first[1:2] == b"\0" else "UTF-16BE"
    # Bytes that Windows has no letters for.
    return "ISO-8859-1" if set(first) & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "CP1252"


def _twins(message: str, file: str) -> str | None:
    """Two values of one name in a line of JSON; the reader lowers the case of names to compare them."""
    found = re.search(r'duplicate key "([^"]+)"|the keys \'(.+?)\' and \'(.+?)\' differ only in case', message)
    if found is None:
        return None
    if found[1]:
        return f"{file} has the name {found[1]!r} more than once in a line: rename all but one of them"
    return (
        f"{file} has the names {found[2]!r} and {found[3]!r}, which differ by the case of their letters alone and "
        f"are one name here: rename one of them"
    )


def _no_columns(message: str, file: str) -> str | None:
    if "Error when sniffing file" not in message:
        return None
    return (
        f"no columns can be made out in {file}: it should be UTF-8 text with a line of names, and one separator "
        "(comma, semicolon, tab or |) between as many values in every line"
    )


def _in_use(message: str, _: str) -> str | None:
    """Another thread has the connection of a relation that is not ours."""
    if "connection is busy" not in message:
        return None
    return (
        "the relation's connection is in use by another thread of this program; give every thread a relation of "
        "its own (connection.cursor().sql(…)), or a frame (relation.df())"
    )


def _reached(message: str, _: str) -> str | None:
    """A view of a database that is not asked for what is elsewhere."""
    found = re.search(r'Cannot access (?:file|directory) "(.*?)" - file system operations are disabled', message)
    if found is None:
        return None
    return (
        f"a view in it reads another file, {found[1]!r}, which a database is not let do; have its owner make a "
        f"table of the view (CREATE TABLE … AS FROM …), or read that file itself"
    )


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

"""What DuckDB says of files that it cannot read → our words: which file, which line, what to do."""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

from priorhood._system import free_name, is_file
from priorhood.data.sources.uneven import shown

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

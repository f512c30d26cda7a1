"""Messages of DuckDB about files that it cannot read → ours: which file, which line, what to do.

DuckDB's tables of rejected lines (store_rejects) are not used: they hold the value and the numbers of columns in
the same sentences only, know three of these ten kinds of errors, and make a pass skip bad lines in silence.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from contextlib import suppress
from pathlib import Path

from priorhood._system import free_name, is_file
from priorhood.data.sources.csv_layout import shown

_DAMAGED = re.compile(
    r"No magic bytes|too small to be a Parquet|Footer length|decompression failure|TProtocolException|corrupt"
    r"|Unexpected end of \w+ stream|Could not decompress|don't know what type|Out of buffer"
)
# Stands for a file where DuckDB does not name it.
UNNAMED = "one of the files"
_ADVICE = re.compile(r"\n\s*(?:LINE|Possible |Potential |Expected Type|The search space)|\n\n")


def plainly(message: str, name: str = "") -> str:
    """Return DuckDB's message about a table without its advice to SQL users.

    Parameters
    ----------
    name : str
        The table's name, which is often its file's.
    """
    named = re.search(r"^\s*file = (.+)$|[Ff]ile ['\"]([^'\"]+)['\"]", message, re.MULTILINE)
    path = (named[1] or named[2]).strip() if named else ""
    file = f"file {path!r}" if path and path != name else "the file" if path or is_file(name) else UNNAMED
    line = re.search(r"CSV Error on Line: (\d+)(?:\s*\nOriginal Line: ?(.*))?", message)
    if "not utf-8" in message:
        return _not_utf8(message, file, f", from line {line[1]} on" if line else "")
    if found := re.search(
        r'Error when converting column "([^"]+)"\. Could not convert string "(.*?)" to ', message, re.DOTALL
    ):
        value = found[2].strip('"')
        where = f" in line {line[1]}" if line else ""
        where += f" of {file}" if line and file.startswith("file ") else ""
        return (
            f"column {found[1]!r} holds {value!r}{where} among numbers; fix the file, or say that "
            f"{value!r} means a missing value (nulls=[{value!r}], --null {value!r})"
        )
    if re.search(r"max_temp_directory_size|duckdb_temp_", message):
        return (
            "neither memory nor the disk for temporary files has room; nothing was written. Free space in "
            f"{tempfile.gettempdir()!r}, or name another folder in the environment (TMPDIR)"
        )
    # The reader of JSON lowers the case of names to compare them.
    if found := re.search(r'duplicate key "([^"]+)"', message):
        return f"{file} has the name {found[1]!r} more than once in a line: rename all but one of them"
    if found := re.search(r"the keys '(.+?)' and '(.+?)' differ only in case", message):
        return (
            f"{file} has the names {found[1]!r} and {found[2]!r}, which differ by the case of their letters alone "
            f"and are one name here: rename one of them"
        )
    if found := _DAMAGED.search(message):
        return f"{file} is damaged, cut off or not what its name says ({found[0]}); write it again, or leave it out"
    if line:
        text = f", {shown(line[2])}," if line[2] else ""
        counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
        what = (
            f"has {counts[2]} columns, not {counts[1]}" if counts else "is not like the others (quotes, line ends?)"
        )
        return f"line {line[1]} of {file}{text} {what}; fix the line or leave it out"
    if "Error when sniffing file" in message:
        return (
            f"no columns can be made out in {file}: it should be UTF-8 text with a line of names, and one "
            "separator (comma, semicolon, tab or |) between as many values in every line"
        )
    if "connection is busy" in message:
        return (
            "the relation's connection is in use by another thread of this program; give every thread a relation "
            "of its own (connection.cursor().sql(…)), or a frame (relation.df())"
        )
    if found := re.search(
        r'Cannot access (?:file|directory) "(.*?)" - file system operations are disabled', message
    ):
        return (
            f"a view in it reads another file, {found[1]!r}, which a database may not do here; have its owner make "
            f"a table of the view (CREATE TABLE … AS FROM …), or read that file itself"
        )
    if found := re.search(r"Overflow in \w+ of \w+ \((-?\d+) (.) (-?\d+)\)", message):
        return (
            f"where= exceeds whole numbers of 64 bits, at {found[1]} {found[2]} {found[3]}; make decimals of a "
            f"column first, like size::double {found[2]} size"
        )
    first = re.sub(r"^(?:[A-Z]\w* )+Error: ", "", _ADVICE.split(message.strip())[0].strip())
    return re.sub(r"\s+", " ", first)


def _not_utf8(message: str, file: str, where: str) -> str:
    """Return what to do about text that is not UTF-8: its encoding as far as its bytes tell, and a command."""
    named = re.search(r"^\s*file = (.+)$", message, re.MULTILINE)
    path = named[1].strip() if named else ""
    first = None
    if not path.endswith((".gz", ".zst")):
        with suppress(OSError), Path(path).open("rb") as rows:
            first = rows.read(1 << 20)
    if first is None:
        return f"{file} is not UTF-8 text{where}; write it as UTF-8 (iconv -f CP1252 -t UTF-8, or from what it is)"
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
    elif first.count(0) > len(first) / 4:
        encoding = "UTF-16LE" if first[1:2] == b"\0" else "UTF-16BE"
    else:  # bytes that Windows has no letters for
        encoding = "ISO-8859-1" if set(first) & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "CP1252"
    out = str(free_name(Path(path), "-utf8"))
    return (
        f"{file} is not UTF-8 text{where}, and looks like {encoding}; write it as UTF-8: "
        f"iconv -f {encoding} -t UTF-8 {shlex.quote(path)} > {shlex.quote(out)}"
    )

"""DuckDB's error messages about files, reworded: which file, which line, and advice.

DuckDB's tables of rejected lines (store_rejects) are not used: they have the value and the numbers of columns only
within the same sentences, cover three of these ten kinds of errors, and make DuckDB skip bad lines silently.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from contextlib import suppress
from pathlib import Path

from priorhood._system import is_file, unused_name
from priorhood._text import argument, sql_name, sql_text
from priorhood.data.sources.csv_layout import shown

# Stands for a file that DuckDB does not name.
UNNAMED = "one of the files"
_DAMAGED = (
    r"No magic bytes|too small to be a Parquet|Footer length|decompression failure|TProtocolException|corrupt"
    r"|Unexpected end of \w+ stream|Could not decompress|don't know what type|Out of buffer"
)
_LINE = re.compile(r"CSV Error on Line: (\d+)(?:\s*\nOriginal Line: ?(.*))?")
# DuckDB's message → ours, with the groups of the pattern by number; the first pattern that is found counts.
_REWORDED = (
    (
        r'Error when converting column "([^"]+)"\. Could not convert string "+(.*?)"+ to ',
        "column {1!r} holds {2!r}{in_line} among numbers; fix the file, or declare {2!r} as a missing value "
        "({nulls})",
    ),
    (
        r"max_temp_directory_size|duckdb_temp_",
        "there is neither enough memory nor enough disk space for temporary files; nothing was written. Free "
        "space in {folder!r}, or set the environment variable TMPDIR to another folder",
    ),
    (r'duplicate key "([^"]+)"', "{file} has the name {1!r} more than once in a line: rename all but one of them"),
    (  # DuckDB's JSON reader compares names in lower case
        r"the keys '(.+?)' and '(.+?)' differ only in case",
        "{file} has the names {1!r} and {2!r}, which differ only in case, and case is ignored here: "
        "rename one of them",
    ),
    (
        _DAMAGED,
        "{file} is damaged, truncated, or not in the format that its extension claims ({0}); write it again, or "
        "leave it out",
    ),
    (_LINE.pattern, "line {1} of {file}{line} {wrong}; fix the line or leave it out"),
    (
        r"Error when sniffing file",
        "no columns can be found in {file}: it should be UTF-8 text with a header, and one separator (comma, "
        "semicolon, tab or |) between the values, the same number in every line",
    ),
    (
        r"connection is busy",
        "the relation's connection is in use by another thread of this program; use a separate relation in every "
        "thread (connection.cursor().sql(…)), or a frame (relation.df())",
    ),
    (
        r'Cannot access (?:file|directory) "(.*?)" - file system operations are disabled',
        "a view in it reads another file, {1!r}, which is not allowed here; have the owner of the database make a "
        "table of the view (CREATE TABLE … AS FROM …), or read that file itself",
    ),
    (
        r"Overflow in \w+ of \w+ \((-?\d+) (.) (-?\d+)\)",
        "{where} overflows 64-bit integers at {1} {2} {3}; convert a column to floating-point numbers first, for "
        "example size::double {2} size",
    ),
)  # fmt: skip
# A condition's comparison of a text with a number, which fails when the row is read.
_COMPARED = re.compile(
    r"Could not convert string '(?P<text>.*?)' to (?P<kind>\w+)"
    r"(?: when casting from source column (?P<column>[^\n]+))?"
)
_ADVICE = re.compile(r" You might need to|\n\s*(?:LINE|Possible |Potential |Expected Type|The search space)|\n\n")


def reword_message(message: str, name: str = "") -> str:
    """Return DuckDB's message about a table in plain words, without its advice to SQL users.

    Parameters
    ----------
    name : str
        Name of the table, which is often the path of its file.
    """
    named = re.search(r"^\s*file = (.+)$|[Ff]ile ['\"]([^'\"]+)['\"]", message, re.MULTILINE)
    path = (named[1] or named[2]).strip() if named else ""
    file = f"file {path!r}" if path and path != name else "the file" if path or is_file(name) else UNNAMED
    line = _LINE.search(message)
    if "not utf-8" in message:
        return _not_utf8(message, file, f", from line {line[1]} on" if line else "")
    counts = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    context = {
        "file": file,
        "folder": tempfile.gettempdir(),
        "line": f", {shown(line[2])}," if line and line[2] else "",
        "wrong": (
            f"has {counts[2]} columns, not {counts[1]}"
            if counts
            else "differs from the others (quoting or line endings?)"
        ),
        "where": argument("where"),
        "in_line": f" in line {line[1]}{f' of {file}' if path and path != name else ''}" if line else "",
    }
    for pattern, words in _REWORDED:
        if found := re.search(pattern, message, re.DOTALL):
            nulls = argument("nulls", list(found.groups()[1:2]))
            return words.format(found[0], *found.groups(), nulls=nulls, **context)
    if compared := _COMPARED.search(message):
        return _compared_text(**compared.groupdict())
    first = re.sub(r"^(?:[A-Z]\w* )+Error: ", "", _ADVICE.split(message.strip())[0].strip())
    return re.sub(r"\s+", " ", first)


def _compared_text(text: str, kind: str, column: str | None) -> str:
    """Return advice on a text that a condition compares with a number, or uses as true or false."""
    where = argument("where")
    if column is None:
        return f"{where} compares a number with the text {text!r}; compare it with a number, without quotes"
    column = column.strip().strip('"')
    use = "uses as true or false" if kind.startswith("BOOL") else "compares with a number"
    name = column if column.isidentifier() else sql_name(column)
    return (
        f"column {column!r} holds the text {text!r}, which {where} {use}: compare it with text in "
        f"single quotes, like {name} = {sql_text(text)}; or, if {text!r} means a missing value, say so "
        f"({argument('nulls', [text])})"
    )


def _not_utf8(message: str, file: str, where: str) -> str:
    """Return advice on text that is not UTF-8: its encoding, guessed from its bytes, and a command."""
    named = re.search(r"^\s*file = (.+)$", message, re.MULTILINE)
    path = named[1].strip() if named else ""
    first = None
    if not path.endswith((".gz", ".zst")):
        with suppress(OSError), Path(path).open("rb") as rows:
            first = rows.read(1 << 20)
    if first is None:
        return (
            f"{file} is not UTF-8 text{where}; convert it to UTF-8 (iconv -f CP1252 -t UTF-8, or from its actual "
            f"encoding)"
        )
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "UTF-16"
    elif first.count(0) > len(first) / 4:
        encoding = "UTF-16LE" if first[1:2] == b"\0" else "UTF-16BE"
    else:  # bytes that Windows has no letters for
        encoding = "ISO-8859-1" if set(first) & {0x81, 0x8D, 0x8F, 0x90, 0x9D} else "CP1252"
    out = str(unused_name(Path(path), "-utf8"))
    return (
        f"{file} is not UTF-8 text{where}, and looks like {encoding}; convert it to UTF-8: "
        f"iconv -f {encoding} -t UTF-8 {shlex.quote(path)} > {shlex.quote(out)}"
    )

"""Columns of dates where numbers should be: what makes days of them, as lines that work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from priorhood._system import free_name, is_file
from priorhood._text import listed
from priorhood.data.date_formats import Dates
from priorhood.data.sources.columns import zoned
from priorhood.data.sources.duckdb_io import DATABASE
from priorhood.data.sources.paths import find_parts

if TYPE_CHECKING:
    from priorhood.data.sources.table import Table

DAYS = "days"
ISO = Dates("%Y-%m-%d")
# What is no date is missing then.
_COERCED = ", errors='coerce'"


def days_since(table: Table, column: str, texts: list[str], found: Dates | None) -> str:
    """How a column of dates becomes days since the first of some of its texts, said to those who have the table.

    Parameters
    ----------
    texts : some of its values that are dates; of a column that has dates and no text, as 2014-10-13
    found : how they are written; None for a column that has dates
    """
    days = (found or ISO).read(texts) or []
    first = min(days, default="2000-01-01")
    said = f"make days since a date of it{_doubt(found)}, and write {DAYS} in its place: "
    if table.kind == "polars" or table.kind == "polars-lazy":
        return said + _polars(table, column, found, first)
    line = f"d[{DAYS!r}] = ({_pandas(table, column, found)} - pd.Timestamp({first!r})).dt.days"
    if table.kind == "pandas":
        return said + line
    if command := command_for(table, line, DAYS):
        return said + command
    return f"{said}{line} of a pandas frame d, or the like where the rows are"


def _doubt(found: Dates | None) -> str:
    if found is None or not found.others:
        return ""
    names = {"m": "month", "d": "day", "y": "year", "Y": "year"}
    order = ", ".join(names[letter] for letter in re.findall(r"%([mdyY])", found.form))
    others = listed(map(repr, found.others), "or")
    return f" (taken for {order}, in this order; if not, with {others} in place of {found.form!r})"


def _pandas(table: Table, column: str, found: Dates | None) -> str:
    value = f"d[{column!r}]"
    if found is None:
        return (
            f"pd.to_datetime({value}).dt.tz_localize(None)" if _zoned(table, column) else f"pd.to_datetime({value})"
        )
    if _numeric(table, column):
        value += ".astype('Int64').astype('string')"
    value += ".str.strip()" if found.blank else ""
    if found.first:
        value += f".str[:{found.first}]"
    if found.months:
        value += ".str.lower()"
        value += r".str.replace(r'^\D+', '', regex=True)" if found.before else ""
        value += f".replace({found.months!r}, regex=True)" + r".str.replace(r'\D+', '-', regex=True)"
    return f"pd.to_datetime({value}, format={found.form!r}{'' if found.whole else _COERCED})"


def _polars(table: Table, column: str, found: Dates | None, first: str) -> str:
    value = f"pl.col({column!r})"
    if found is None:
        made = value + (".dt.replace_time_zone(None)" if _zoned(table, column) else ".cast(pl.Datetime)")
    else:
        if _numeric(table, column):
            value += ".cast(pl.Int64, strict=False).cast(pl.String)"
        value += ".str.strip_chars()" if found.blank else ""
        if found.first:
            value += f".str.slice(0, {found.first})"
        if found.months:
            value += ".str.to_lowercase()"
            value += r".str.replace(r'^\D+', '')" if found.before else ""
            value += f".str.replace_many({list(found.months)!r}, {list(found.months.values())!r})"
            value += r".str.replace_all(r'\D+', '-')"
        form = found.form
        if found.of_months:  # of which Polars makes no date
            value, form = f"('01 ' + {value})", f"%d {form}"
        made = f"{value}.str.to_datetime({form!r}{'' if found.whole else ', strict=False'})"
    year, month, day = map(int, first.split("-"))
    return f"d.with_columns(({made} - pl.datetime({year}, {month}, {day})).dt.total_days().alias({DAYS!r}))"


def _numeric(table: Table, column: str) -> bool:
    """Whether the values are numbers to who follows the advice, who has a CSV's as texts."""
    return table.written is None and bool(table.frame(()).collect_schema()[column].is_numeric())


def _zoned(table: Table, column: str) -> bool:
    return zoned(table.frame(()), column)


def command_for(table: Table, line: str, ending: str) -> str | None:
    """A command that changes the rows d of the file that a table is (see script); None where it is no one file."""
    if not table.path:
        return None
    parts = find_parts(table.path)
    if parts.kind == DATABASE:
        return script(parts.files[0], line, ending, inside=parts.inside)
    return script(table.path, line, ending) if is_file(table.path) else None


def script(path: str, line: str, ending: str, *, inside: str = "") -> str:
    """A command that changes the rows d of a file by a line of Python, and writes them to a file beside it.

    Parameters
    ----------
    inside : the table of a DuckDB file, quoted for SQL
    """
    if inside:
        out = str(free_name(Path(path).with_suffix(".parquet"), f" {ending}"))
        read = f"duckdb.connect({path!r}, read_only=True).sql({f'FROM {inside}'!r}).df()"
        write = f"duckdb.from_df(d).write_parquet({out!r})"
        return f"python -c {shlex.quote(f'import duckdb; import pandas as pd; d = {read}; {line}; {write}')}"
    plain = path.removesuffix(".gz").removesuffix(".zst")
    columnar, lines = plain.endswith((".parquet", ".pq")), plain.endswith((".jsonl", ".ndjson"))
    suffix = ".parquet" if columnar else ".jsonl" if lines else ".csv"
    out = str(free_name(Path(plain).with_suffix(suffix), f" {ending}"))
    if columnar:
        read, write = f"pd.read_parquet({path!r})", f"d.to_parquet({out!r})"
    elif lines:
        # pandas' own reader makes dates of some columns by their names.
        held = f"pathlib.Path({path!r}).read_bytes()"
        held = f"gzip.decompress({held})" if path.endswith(".gz") else held
        read = f"pd.DataFrame(json.loads(line) for line in {held}.splitlines() if line.strip())"
        write = f"d.to_json({out!r}, orient='records', lines=True)"
    else:
        read = f"pd.read_csv({path!r}, sep=None, engine='python', dtype=str, keep_default_na=False)"
        write = f"d.to_csv({out!r}, index=False)"
    used = "".join(f"import {name}; " for name in ("gzip", "json", "pathlib") if f"{name}." in read)
    return f"python -c {shlex.quote(f'{used}import pandas as pd; d = {read}; {line}; {write}')}"

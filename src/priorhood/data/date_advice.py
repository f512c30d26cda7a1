"""Advice on columns of dates where numbers are required: code that converts them to days."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from priorhood._system import is_file, unused_name
from priorhood._text import join_words, preview
from priorhood.data.date_formats import Dates, dates_of, like_numbered, numbered_dates
from priorhood.data.labels import BLANKS
from priorhood.data.sources.columns import first_texts, textual, zoned
from priorhood.data.sources.duckdb_io import DATABASE
from priorhood.model.tokens import written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from priorhood.data.roles import Role
    from priorhood.data.sources.backend import Frame
    from priorhood.data.sources.table import Table

DAYS = "days"
ISO = Dates("%Y-%m-%d")


def advice_if_dates(column: str, role: Role, counts: Iterable[str], table: Table) -> str:
    """Return advice on a column of texts if most of them are dates, else ''.

    Parameters
    ----------
    counts : iterable of str
        Distinct texts of the column, as given.
    """
    texts = list(counts)
    values = sorted({text.strip(BLANKS) for text in texts} - {""})
    dates, found = values, dates_of(values, short=True)
    if found is None:
        dates = [v for v in values if dates_of([v])]
        found = dates_of(dates) if len(dates) > len(values) / 2 else None
    if found is None and not role.number:
        dates = [v for v in values if like_numbered(v)]
        found = numbered_dates(dates) if len(dates) > len(values) / 2 else None
    if found is None:
        return ""
    found = replace(found, whole=found.whole and len(dates) == len(values))
    return dates_advice(column, role, dates, note_blanks(found, texts), table)


def note_blanks(found: Dates, texts: Iterable[str]) -> Dates:
    """Return the format of dates, with a note of blank texts and of blanks around texts."""
    plain = {text: text.strip(BLANKS) for text in texts}
    blank = any(text != stripped for text, stripped in plain.items())
    return replace(found, whole=found.whole and all(plain.values()), blank=blank)


def dates_advice(column: str, role: Role, dates: list[str], found: Dates, table: Table) -> str:
    """Describe a column of dates, with advice."""
    ways = []
    if not role.number and (found.of_months or not found.sure or "%y" in found.form):
        ways.append(f"write C({written(column)}) to use it as categories")
    if found.numbered and not role.number:
        ways.append(f"write I({written(column)}) to use it as a plain number")
    if found.form:
        ways.append(_days_since(table, column, dates, found))
    else:
        ways.append("write them like 2014-10-13, since priorhood does not know these names of months")
    return f"holds {found.term}, such as {preview(dates[:1])}, not numbers; {', or '.join(ways)}"


def typed_dates_advice(frame: Frame, column: str, table: Table) -> str:
    """Return advice on a column that its reader has converted to dates, though it may be text in the file."""
    as_text = table.frame((column,))
    if not textual(as_text.collect_schema()[column]):
        dates = [text[:10] for text in first_texts(frame, column, table.name)]
        return f"holds dates, not numbers; {_days_since(table, column, dates, None)}"
    given = first_texts(as_text, column, table.name)
    texts = [text for text in (text.strip(BLANKS) for text in given) if text]
    found = dates_of(texts, short=True)
    if found is None:  # pandas' guess could take days for months
        return (
            f"holds dates, not numbers; first write all of them like 2014-10-13, not like {preview(texts[:1])}; "
            f"the next error message then shows how to convert them to days"
        )
    return f"holds dates, not numbers; {_days_since(table, column, texts, note_blanks(found, given))}"


# Templates of pandas and Polars: the column, and method calls on it.
_PANDAS = {
    "column": "d[{!r}]", "text": ".astype('Int64').astype('string')", "strip": ".str.strip()", "first": ".str[:{}]",
    "lower": ".str.lower()", "cut": r".str.replace(r'^\D+', '', regex=True)",
    "join": r".str.replace(r'\D+', '-', regex=True)", "coerce": ", errors='coerce'",
}  # fmt: skip
_POLARS = {
    "column": "pl.col({!r})", "text": ".cast(pl.Int64, strict=False).cast(pl.String)",
    "strip": ".str.strip_chars()", "first": ".str.slice(0, {})", "lower": ".str.to_lowercase()",
    "cut": r".str.replace(r'^\D+', '')", "join": r".str.replace_all(r'\D+', '-')", "coerce": ", strict=False",
}  # fmt: skip


def _days_since(table: Table, column: str, texts: list[str], found: Dates | None) -> str:
    """Return code that converts a column to days since its first date, for the table's library or file.

    Parameters
    ----------
    texts : list of str
        Some of the dates; like 2014-10-13 if the column has a date type.
    found : Dates or None
        Format of the dates; None if the column has a date type.
    """
    days = (found or ISO).read(texts) or []
    first = min(days, default="2000-01-01")
    doubt = ""
    if found is not None and found.others:
        names = {"m": "month", "d": "day", "y": "year", "Y": "year"}
        order = ", ".join(names[letter] for letter in re.findall(r"%([mdyY])", found.form))
        others = join_words(map(repr, found.others), "or")
        doubt = f" (read as {order}, in this order; if that is wrong, use {others} instead of {found.form!r})"
    advice = f"convert it to days since a reference date{doubt}, and use {DAYS} instead: "

    in_polars = table.kind in ("polars", "polars-lazy")
    calls = _POLARS if in_polars else _PANDAS
    value = calls["column"].format(column)
    if found is None:
        if zoned(table.frame(()), column):
            value += ".dt.replace_time_zone(None)" if in_polars else ""
            made = value if in_polars else f"pd.to_datetime({value}).dt.tz_localize(None)"
        else:
            made = f"{value}.cast(pl.Datetime)" if in_polars else f"pd.to_datetime({value})"
    else:
        # A CSV's values are texts to those who follow the advice.
        if table.csv is None and table.frame(()).collect_schema()[column].is_numeric():
            value += calls["text"]
        value += calls["strip"] if found.blank else ""
        value += calls["first"].format(found.first) if found.first else ""
        if found.months:
            several = f".str.replace_many({list(found.months)!r}, {list(found.months.values())!r})"
            several = several if in_polars else f".replace({found.months!r}, regex=True)"
            value += calls["lower"] + (calls["cut"] if found.before else "") + several + calls["join"]
        form, coerce = found.form, "" if found.whole else calls["coerce"]
        if in_polars and found.of_months:  # Polars makes no date without a day
            value, form = f"('01 ' + {value})", f"%d {form}"
        made = (
            f"{value}.str.to_datetime({form!r}{coerce})"
            if in_polars
            else f"pd.to_datetime({value}, format={form!r}{coerce})"
        )
    if in_polars:
        year, month, day = map(int, first.split("-"))
        since = f"pl.datetime({year}, {month}, {day})"
        return f"{advice}d.with_columns(({made} - {since}).dt.total_days().alias({DAYS!r}))"
    line = f"d[{DAYS!r}] = ({made} - pd.Timestamp({first!r})).dt.days"
    if table.kind == "pandas":
        return advice + line
    if command := command_for(table, line, DAYS):
        return advice + command
    return f"{advice}{line} for a pandas frame d, or its equivalent in the system that holds the rows"


def command_for(table: Table, line: str, ending: str) -> str | None:
    """Return a command that changes the rows d of a table's file (see script); None unless it is a single file."""
    parts = table.parts
    if parts is None:
        return None
    if parts.kind == DATABASE:
        return script(parts.files[0], line, ending, inside=parts.inside)
    return script(parts.path, line, ending) if is_file(parts.path) else None


def script(path: str, line: str, ending: str, *, inside: str = "") -> str:
    """Return a command that changes the rows d of a file with a line of Python, and writes them to a new file.

    Parameters
    ----------
    inside : str
        Table of a DuckDB file, quoted for SQL.
    """
    if inside:
        out = str(unused_name(Path(path).with_suffix(".parquet"), f" {ending}"))
        read = f"duckdb.connect({path!r}, read_only=True).sql({f'FROM {inside}'!r}).df()"
        write = f"duckdb.from_df(d).write_parquet({out!r})"
        return f"python -c {shlex.quote(f'import duckdb; import pandas as pd; d = {read}; {line}; {write}')}"
    plain = path.removesuffix(".gz").removesuffix(".zst")
    columnar, lines = plain.endswith((".parquet", ".pq")), plain.endswith((".jsonl", ".ndjson"))
    suffix = ".parquet" if columnar else ".jsonl" if lines else ".csv"
    out = str(unused_name(Path(plain).with_suffix(suffix), f" {ending}"))
    if columnar:
        read, write = f"pd.read_parquet({path!r})", f"d.to_parquet({out!r})"
    elif lines:
        # pandas' own reader makes dates of some columns by their names.
        rows = f"pathlib.Path({path!r}).read_bytes()"
        rows = f"gzip.decompress({rows})" if path.endswith(".gz") else rows
        read = f"pd.DataFrame(json.loads(line) for line in {rows}.splitlines() if line.strip())"
        write = f"d.to_json({out!r}, orient='records', lines=True)"
    else:
        read = f"pd.read_csv({path!r}, sep=None, engine='python', dtype=str, keep_default_na=False)"
        write = f"d.to_csv({out!r}, index=False)"
    used = "".join(f"import {name}; " for name in ("gzip", "json", "pathlib") if f"{name}." in read)
    return f"python -c {shlex.quote(f'{used}import pandas as pd; d = {read}; {line}; {write}')}"

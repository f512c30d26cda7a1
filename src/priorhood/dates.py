"""Columns of dates where numbers should be: what makes days of them, as lines that work."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from priorhood.spelling import date_format

if TYPE_CHECKING:
    from priorhood.table import Table

DAYS = "days"


def days_since(table: Table, column: str, texts: list[str], *, typed: bool = False) -> str:
    """How a column of dates becomes days since the first of some of its texts, said to those who have the table.

    Parameters
    ----------
    typed : whether the column has dates, which are text here alone
    """
    form, first = None if typed else date_format(texts), min(_days(texts), default="2000-01-01")
    said = f"make days since a date of it, and write {DAYS} in its place: "
    if table.kind == "polars" or table.kind == "polars-lazy":
        return said + _polars(column, form, first)
    line = f"d[{DAYS!r}] = ({_parsed(column, form)} - pd.Timestamp({first!r})).dt.days"
    if table.kind == "pandas":
        return said + line
    if table.kind == "file" and Path(table.name).is_file():
        return f"{said}python -c {shlex.quote(_script(table.name, line))}"
    return f"{said}{line} of a pandas frame d, or the like where the rows are"


def _parsed(column: str, form: str | None) -> str:
    of = f"d[{column!r}]" + (f", format={form!r}" if form else "")
    if form and form.endswith("%z"):
        return f"pd.to_datetime({of}, utc=True).dt.tz_localize(None)"
    return f"pd.to_datetime({of})"


def _polars(column: str, form: str | None, first: str) -> str:
    made = f"pl.col({column!r})" + (f".str.to_datetime({form!r})" if form else ".cast(pl.Datetime)")
    if form and form.endswith("%z"):
        made += ".dt.replace_time_zone(None)"
    year, month, day = map(int, first.split("-"))
    return f"d.with_columns(({made} - pl.datetime({year}, {month}, {day})).dt.total_days().alias({DAYS!r}))"


def _script(path: str, line: str) -> str:
    """What writes a file with the days beside it."""
    plain = path.removesuffix(".gz").removesuffix(".zst")
    stem = str(Path(plain).with_suffix(""))
    if plain.endswith((".parquet", ".pq")):
        read, write = f"pd.read_parquet({path!r})", f"d.to_parquet({stem + ' days.parquet'!r})"
    elif plain.endswith((".jsonl", ".ndjson")):
        read = f"pd.read_json({path!r}, lines=True, dtype=False, convert_dates=False)"
        write = f"d.to_json({stem + ' days.jsonl'!r}, orient='records', lines=True)"
    else:
        read = f"pd.read_csv({path!r}, sep=None, engine='python', dtype=str, keep_default_na=False)"
        write = f"d.to_csv({stem + ' days.csv'!r}, index=False)"
    return f"import pandas as pd; d = {read}; {line}; {write}"


def _days(texts: list[str]) -> list[str]:
    """The dates as 2014-10-13."""
    from datetime import datetime

    form = date_format(texts)
    if form is None:
        return []
    return [datetime.strptime(text, form).strftime("%Y-%m-%d") for text in texts]  # a date

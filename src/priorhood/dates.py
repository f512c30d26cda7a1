"""Columns of dates where numbers should be: what makes days of them, as lines that work."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from priorhood.spelling import date_format, day_first, of_months

if TYPE_CHECKING:
    from priorhood.table import Table

DAYS = "days"


def days_since(table: Table, column: str, texts: list[str], *, typed: bool = False) -> str:
    """How a column of dates becomes days since the first of some of its texts, said to those who have the table.

    Parameters
    ----------
    typed : whether the column has dates, which are text here alone
    """
    form = date_format(texts, short=True)
    first = min(_days(texts, form), default="2000-01-01")
    if typed:
        form = None
    elif form is None:  # any guess of pandas' could take days for months
        return (
            f"make days since a date of it, with the format that {texts[0]!r} has, if texts: "
            f"pd.to_datetime(d[{column!r}], format=…) of a pandas frame d, and write {DAYS} in its place"
        )
    other = day_first(texts, form)
    doubt = f" (months are taken to come before days; if not, with {other!r} in place of {form!r})" if other else ""
    said = f"make days since a date of it{doubt}, and write {DAYS} in its place: "
    if table.kind == "polars" or table.kind == "polars-lazy":
        return said + _polars(column, form, first)
    line = f"d[{DAYS!r}] = ({_parsed(column, form)} - pd.Timestamp({first!r})).dt.days"
    if table.kind == "pandas":
        return said + line
    if table.kind == "file" and Path(table.name).is_file():
        return said + script(table.name, line, DAYS)
    return f"{said}{line} of a pandas frame d, or the like where the rows are"


def _parsed(column: str, form: str | None) -> str:
    of = f"d[{column!r}]" + (f", format={form!r}" if form else "")
    if form and form.endswith("%z"):
        return f"pd.to_datetime({of}, utc=True).dt.tz_localize(None)"
    return f"pd.to_datetime({of})"


def _polars(column: str, form: str | None, first: str) -> str:
    zone = bool(form and form.endswith("%z"))
    form = form and form.replace(".%f", "%.f").replace("%z", "%#z")  # as Polars writes fractions, and zones or Z
    if of_months(form):  # of which Polars makes no date
        made = f"('01 ' + pl.col({column!r})).str.to_datetime({f'%d {form}'!r})"
    else:
        made = f"pl.col({column!r})" + (f".str.to_datetime({form!r})" if form else ".cast(pl.Datetime)")
    if zone:
        made += ".dt.replace_time_zone(None)"
    year, month, day = map(int, first.split("-"))
    return f"d.with_columns(({made} - pl.datetime({year}, {month}, {day})).dt.total_days().alias({DAYS!r}))"


def script(path: str, line: str, ending: str) -> str:
    """A command that changes the rows d of a file by a line of Python, and writes them to a file beside it."""
    plain = path.removesuffix(".gz").removesuffix(".zst")
    stem = str(Path(plain).with_suffix(""))
    if plain.endswith((".parquet", ".pq")):
        read, write = f"pd.read_parquet({path!r})", f"d.to_parquet({f'{stem} {ending}.parquet'!r})"
    elif plain.endswith((".jsonl", ".ndjson")):
        read = f"pd.read_json({path!r}, lines=True, dtype=False, convert_dates=False)"
        write = f"d.to_json({f'{stem} {ending}.jsonl'!r}, orient='records', lines=True)"
    else:
        read = f"pd.read_csv({path!r}, sep=None, engine='python', dtype=str, keep_default_na=False)"
        write = f"d.to_csv({f'{stem} {ending}.csv'!r}, index=False)"
    return f"python -c {shlex.quote(f'import pandas as pd; d = {read}; {line}; {write}')}"


def _days(texts: list[str], form: str | None) -> list[str]:
    """The dates as 2014-10-13."""
    from datetime import datetime

    if form is None:
        return []
    return [datetime.strptime(text, form).strftime("%Y-%m-%d") for text in texts]  # a date

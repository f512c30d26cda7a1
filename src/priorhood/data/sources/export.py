"""A pandas frame → a file of its rows: CSV, TSV, Parquet, JSON lines."""

from __future__ import annotations

import datetime
import json
import math
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._system import check_writable, write_atomically, write_text
from priorhood._text import some, sql_name, sql_text
from priorhood.data.sources.duckdb_io import connection, explained, format_of
from priorhood.errors import TableError

if TYPE_CHECKING:
    from pathlib import Path

    from priorhood.data.sources.table import Table

_WRITABLE = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".jsonl", ".ndjson")
# A number of 64 bits has so many decimal digits.
DIGITS = 15
_DECIMAL = re.compile(r"DECIMAL\((\d+),")


def check_output(path: str | Path, *inputs: str | Path) -> None:
    """Raise before any work is done if a table cannot be written there, or would replace an input."""
    check_writable(path, *inputs)
    if not str(path).lower().endswith(_WRITABLE):
        raise TableError(f"cannot write a table to {str(path)!r}; its name must end in one of {some(_WRITABLE, 9)}")


def kinds_of(table: Table) -> dict[str, str]:
    """Column → its type in DuckDB's words, of a file that says it: pandas has some as another one."""
    if table.kind != "file" or table.written is not None:
        return {}
    rows: Any = table.frame(()).to_native()
    return dict(zip(rows.columns, map(str, rows.types), strict=True))


def check_kinds(path: str | Path, table: Table) -> None:
    """Raise before any work is done if the file cannot have what is in a column of the table."""
    if format_of(str(path)) == "parquet":
        return
    odd = next((column for column, kind in kinds_of(table).items() if "BLOB" in kind), None)
    if odd is not None:
        raise TableError(
            f"{table.name}: column {odd!r} holds bytes, which a file of text like {str(path)!r} cannot have; give "
            f"the name of a Parquet file (.parquet)"
        )


def write_frame(frame: Any, path: str | Path, kinds: Mapping[str, str] | None = None) -> None:
    """Write a pandas frame as CSV, TSV, Parquet or JSON lines by the file's name, whole or not at all.

    Parameters
    ----------
    kinds : see kinds_of, of the table that the frame's rows are from
    """
    kind, kinds = format_of(str(path)), kinds or {}
    if kind == "json":
        # pandas' own writer keeps 15 decimals, not 15 digits.
        rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
        days = {column for column, told in kinds.items() if told == "DATE"}
        plain = ({name: _plain(value, day=name in days) for name, value in row.items()} for row in rows)
        write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in plain))
    elif kind == "parquet":
        with explained(f"cannot write {str(path)!r}"):
            write_atomically(path, lambda file: _write_parquet(frame, file.name, kinds))
    else:
        packed = "gzip" if str(path).lower().endswith(".gz") else None
        sign = "\t" if kind == "tsv" else ","
        several = [name for name, told in kinds.items() if name in frame and _several(told)]
        texts = frame.assign(**{name: frame[name].map(_as_text) for name in several})
        write_atomically(
            path, lambda file: texts.to_csv(file, index=False, sep=sign, compression=packed, encoding="utf-8")
        )


def _several(kind: str) -> bool:
    """Whether a value of DuckDB's type has several values."""
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))


def _as_text(value: Any) -> Any:
    return (
        json.dumps(_plain(value), ensure_ascii=False) if isinstance(value, (Mapping, list, np.ndarray)) else value
    )


def _plain(value: Any, *, day: bool = False) -> Any:
    """A value as JSON has it: dates and times as ISO 8601 has them, several as an array, no infinities.

    Parameters
    ----------
    day : whether a time is a date, which pandas has with a time of 0:00
    """
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(one) for one in np.asarray(value, dtype=object)] if len(value) else []
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, np.generic):
        return _plain(_from_numpy(value))
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if day and isinstance(value, datetime.datetime):
        return value.date().isoformat()
    if hasattr(value, "isoformat"):  # pandas' durations too
        return value.isoformat()
    return str(value)


def _from_numpy(value: np.generic) -> Any:
    """NumPy's value as Python's, of times pandas', which has their nanoseconds."""
    import pandas as pd

    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else pd.Timestamp(value)
    if isinstance(value, np.timedelta64):
        return None if np.isnat(value) else pd.Timedelta(value)
    return value.item()


def _write_parquet(frame: Any, name: str, kinds: Mapping[str, str]) -> None:
    """Let DuckDB write into the file itself: it would make one of its own beside it, for another to clear away.

    Raises
    ------
    OSError : no space
    """
    import duckdb

    try:
        rows = connection().from_df(frame)
        again = [
            f"{sql_name(column)}::{kinds[column]} AS {sql_name(column)}"
            for column, now in zip(rows.columns, map(str, rows.types), strict=True)
            if _comes_back(kinds.get(column, now), now)
        ]
        rows = rows.project(f"* REPLACE ({', '.join(again)})") if again else rows
        rows.query("frame", f"COPY frame TO {sql_text(name)} (FORMAT parquet, USE_TMP_FILE false)")
    except duckdb.IOException as problem:
        number = re.search(r'"errno":\s*"(\d+)"', str(problem))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from None


def _comes_back(kind: str, now: str) -> bool:
    """Whether a type of a file, of which pandas made another one, is had again without loss."""
    if kind == now:
        return False
    if kind == "DATE":
        return now.startswith("TIMESTAMP")
    decimal = _DECIMAL.match(kind)
    if decimal is not None:
        return now == "DOUBLE" and int(decimal[1]) <= DIGITS
    return _several(kind) and _several(now) and _shape(kind) == _shape(now)


def _shape(kind: str) -> str:
    """What a type of several values is, without what they are."""
    return "[]" if kind.endswith("]") else kind.partition("(")[0]

"""Files of rows, written from a pandas frame: CSV, TSV, Parquet, JSON lines."""

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
from priorhood._text import preview, sql_name, sql_text
from priorhood.data.sources.duckdb_io import connection, explain_errors, format_of
from priorhood.errors import TableError

if TYPE_CHECKING:
    from pathlib import Path

    from priorhood.data.sources.table import Table

_WRITABLE = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".jsonl", ".ndjson")
# Decimal digits of a floating-point number with 64 bits.
DIGITS = 15
_DECIMAL = re.compile(r"DECIMAL\((\d+),")


def check_output(path: str | Path, *inputs: str | Path) -> None:
    """Raise, before any work is done, if a table cannot be written to a path, or would replace an input."""
    check_writable(path, *inputs)
    if not str(path).lower().endswith(_WRITABLE):
        raise TableError(
            f"cannot write a table to {str(path)!r}; its extension must be one of {preview(_WRITABLE, 9)}"
        )


def kinds_of(table: Table) -> dict[str, str]:
    """Return DuckDB's type of every column of a file that has types, some of which pandas lacks; else empty."""
    if table.kind != "file" or table.csv is not None:
        return {}
    rows: Any = table.frame(()).to_native()
    return dict(zip(rows.columns, map(str, rows.types), strict=True))


def check_kinds(path: str | Path, table: Table) -> None:
    """Raise, before any work is done, if the format of a file cannot hold a column of the table."""
    if format_of(str(path)) == "parquet":
        return
    odd = next((column for column, kind in kinds_of(table).items() if "BLOB" in kind), None)
    if odd is not None:
        raise TableError(
            f"{table.name}: column {odd!r} holds bytes, which a text file like {str(path)!r} cannot hold; "
            f"write a Parquet file (.parquet) instead"
        )


def write_frame(frame: Any, path: str | Path, kinds: Mapping[str, str] | None = None) -> None:
    """Write a pandas frame as CSV, TSV, Parquet or JSON lines by the file's extension, completely or not at all.

    Parameters
    ----------
    kinds : mapping of str to str, optional
        Result of kinds_of for the original table of the rows.
    """
    kind, kinds = format_of(str(path)), kinds or {}
    if kind == "json":
        # pandas' own writer keeps 15 decimals, not 15 digits.
        rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
        days = {column for column, dtype in kinds.items() if dtype == "DATE"}
        plain = ({name: _plain(value, day=name in days) for name, value in row.items()} for row in rows)
        write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in plain))
    elif kind == "parquet":
        with explain_errors(f"cannot write {str(path)!r}"):
            write_atomically(path, lambda file: _write_parquet(frame, file.name, kinds))
    else:
        packed = "gzip" if str(path).lower().endswith(".gz") else None
        sign = "\t" if kind == "tsv" else ","
        nested = [name for name, dtype in kinds.items() if name in frame and _nested(dtype)]

        def as_text(value: Any) -> Any:
            several = isinstance(value, (Mapping, list, np.ndarray))
            return json.dumps(_plain(value), ensure_ascii=False) if several else value

        texts = frame.assign(**{name: frame[name].map(as_text) for name in nested})
        write_atomically(
            path, lambda file: texts.to_csv(file, index=False, sep=sign, compression=packed, encoding="utf-8")
        )


def _nested(kind: str) -> bool:
    """Return whether a DuckDB type is a list, struct, map or union."""
    return kind.endswith("]") or kind.startswith(("STRUCT", "MAP", "UNION"))


def _plain(value: Any, *, day: bool = False) -> Any:
    """Return a value for JSON: dates and times in ISO 8601, nested values as arrays and objects, infinity as null.

    Parameters
    ----------
    day : bool
        Whether a time is a date, which pandas stores with the time 0:00.
    """
    if isinstance(value, Mapping):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(item) for item in np.asarray(value, dtype=object)] if len(value) else []
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, (np.datetime64, np.timedelta64)):
        if np.isnat(value):
            return None
        import pandas as pd  # whose types have nanoseconds

        value = pd.Timestamp(value) if isinstance(value, np.datetime64) else pd.Timedelta(value)
    elif isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if day and isinstance(value, datetime.datetime):
        return value.date().isoformat()
    if hasattr(value, "isoformat"):  # pandas' durations too
        return value.isoformat()
    return str(value)


def _write_parquet(frame: Any, name: str, kinds: Mapping[str, str]) -> None:
    """Let DuckDB write into the file directly, without a temporary one; raise OSError if the disk is full."""
    import duckdb

    try:
        rows = connection().from_df(frame)
        again = [
            f"{sql_name(column)}::{kinds[column]} AS {sql_name(column)}"
            for column, now in zip(rows.columns, map(str, rows.types), strict=True)
            if _is_restorable(kinds.get(column, now), now)
        ]
        rows = rows.project(f"* REPLACE ({', '.join(again)})") if again else rows
        rows.query("frame", f"COPY frame TO {sql_text(name)} (FORMAT parquet, USE_TMP_FILE false)")
    except duckdb.IOException as problem:
        number = re.search(r'"errno":\s*"(\d+)"', str(problem))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from None


def _is_restorable(kind: str, now: str) -> bool:
    """Return whether a file's type, which pandas changed, can be restored without loss."""
    if kind == now:
        return False
    if kind == "DATE":
        return now.startswith("TIMESTAMP")
    decimal = _DECIMAL.match(kind)
    if decimal is not None:
        return now == "DOUBLE" and int(decimal[1]) <= DIGITS
    outer = ["[]" if name.endswith("]") else name.partition("(")[0] for name in (kind, now)]
    return _nested(kind) and _nested(now) and outer[0] == outer[1]

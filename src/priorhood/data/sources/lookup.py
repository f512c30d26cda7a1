"""Columns found by a text, as in a dictionary: on the backend that holds the rows, and without moving them.

A join would do on every backend, but the order of the rows is promised by none of them, and a join keeps it
on few.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from priorhood._text import sql_name, sql_text
from priorhood.data.sources.columns import in_memory
from priorhood.data.sources.remote import beside, is_elsewhere

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw
    import polars as pl

    from priorhood.data.sources.table import Frame


def looked_up(frame: Frame, key: str, columns: dict[str, dict[str, Any]]) -> Frame:
    """The rows, in order, with a column of values found by the text in `key`; null where it is not there.

    Parameters
    ----------
    key : a column of text, which is taken away
    columns : name → text → value, all numbers or all text; DuckDB and Polars' lazy frames stay lazy, and
        those of engines elsewhere, whose rows have no order; others are in memory anyway or are taken there
    """
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        return beside(frame, key, columns)
    native: Any = frame.to_native()
    backend = str(frame.implementation).lower()
    if backend.endswith("duckdb"):
        found = ", ".join(f"{_sql(key, values)} AS {sql_name(name)}" for name, values in columns.items())
        native = native.project(f"* EXCLUDE ({sql_name(key)}), {found}")
    elif backend.endswith("polars"):
        native = native.with_columns(*(_polars(key, v).alias(name) for name, v in columns.items())).drop(key)
    else:
        return _in_memory(in_memory(frame), key, columns)
    rows: Frame = nw.from_native(native)
    return rows


def _in_memory(rows: nw.DataFrame[Any], key: str, columns: dict[str, dict[str, Any]]) -> nw.DataFrame[Any]:
    import narwhals.stable.v2 as nw

    texts = rows[key].to_list()
    added = [
        nw.new_series(
            name,
            [values.get(text) for text in texts],
            nw.String() if _textual(values) else nw.Float64(),
            backend=rows.implementation,
        )
        for name, values in columns.items()
    ]
    return rows.drop(key).with_columns(*added)


def _polars(key: str, values: dict[str, Any]) -> pl.Expr:
    import polars as pl

    kind = pl.String if _textual(values) else pl.Float64
    if not values:
        return pl.lit(None, dtype=kind)
    return pl.col(key).replace_strict(list(values), list(values.values()), default=None, return_dtype=kind)


def _textual(values: dict[str, Any]) -> bool:
    return any(isinstance(value, str) for value in values.values())


def _sql(key: str, values: dict[str, Any]) -> str:
    """DuckDB's expression: the text's number in an ENUM of all texts, found by hashing, and a list of values."""
    kind = "VARCHAR" if _textual(values) else "DOUBLE"
    if not values:
        return f"CAST(NULL AS {kind})"
    texts = ", ".join(map(sql_text, values))
    at = f"CAST(enum_code(TRY_CAST({sql_name(key)} AS ENUM({texts}))) AS BIGINT) + 1"
    if kind == "DOUBLE":
        return f"list_extract(CAST({_listed(values.values())} AS DOUBLE[]), {at})"
    # A list of numbers is read from one literal, a list of texts from as many as there are.
    different = list(dict.fromkeys(values.values()))
    place = {text: i + 1 for i, text in enumerate(different)}
    which = f"list_extract(CAST({_listed(place[text] for text in values.values())} AS BIGINT[]), {at})"
    return f"list_extract([{', '.join(map(sql_text, different))}], {which})"


def _listed(numbers: Any) -> str:
    return "'[" + ", ".join(map(repr, numbers)) + "]'"

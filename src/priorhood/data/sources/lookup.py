"""Columns of values looked up by a text, on the backend that holds the rows.

A join would do the same, but keeps the order of rows on few backends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from priorhood._text import sql_name, sql_text
from priorhood.data.sources.backend import backend_of, is_elsewhere
from priorhood.data.sources.columns import in_memory
from priorhood.data.sources.remote import joined_values

if TYPE_CHECKING:
    from priorhood.data.sources.backend import Frame


def looked_up(frame: Frame, key: str, columns: dict[str, dict[str, Any]]) -> Frame:
    """Return the rows, in order, with columns of values looked up by the text in `key`; null where it is unknown.

    DuckDB and Polars' lazy frames stay lazy, as do engines elsewhere, whose rows have no order; others are in
    memory, or are brought there.

    Parameters
    ----------
    key : str
        A column of text, which is dropped.
    columns : dict of str to dict
        Name → text → value; the values of a column are all numbers or all text.
    """
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        return joined_values(frame, key, columns)
    native: Any = frame.to_native()
    backend = backend_of(frame)
    if backend == "duckdb":
        found = ", ".join(f"{_sql(key, values)} AS {sql_name(name)}" for name, values in columns.items())
        native = native.project(f"* EXCLUDE ({sql_name(key)}), {found}")
    elif backend == "polars":
        import polars as pl

        added: list[Any] = []
        for name, values in columns.items():
            kind = pl.String if _textual(values) else pl.Float64
            given = pl.lit(None, dtype=kind)
            if values:
                given = pl.col(key).replace_strict(
                    list(values), list(values.values()), default=None, return_dtype=kind
                )
            added.append(given.alias(name))
        native = native.with_columns(*added).drop(key)
    else:
        held = in_memory(frame)
        texts = held[key].to_list()
        series = [
            nw.new_series(
                name,
                [values.get(text) for text in texts],
                nw.String() if _textual(values) else nw.Float64(),
                backend=held.implementation,
            )
            for name, values in columns.items()
        ]
        return held.drop(key).with_columns(*series)
    rows: Frame = nw.from_native(native)
    return rows


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
    # A list of numbers is one literal, a list of texts as many as it has texts: so a list of the different texts,
    # and one of their places in it.
    different = list(dict.fromkeys(values.values()))
    place = {text: i + 1 for i, text in enumerate(different)}
    which = f"list_extract(CAST({_listed(place[text] for text in values.values())} AS BIGINT[]), {at})"
    return f"list_extract([{', '.join(map(sql_text, different))}], {which})"


def _listed(numbers: Any) -> str:
    return "'[" + ", ".join(map(repr, numbers)) + "]'"

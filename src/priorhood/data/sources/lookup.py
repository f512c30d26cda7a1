"""Columns of values looked up by a text, on the backend that holds the rows.

A join would do the same, but few backends preserve the order of rows in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from priorhood._text import sql_name, sql_text
from priorhood.data.sources.backend import backend_of, is_elsewhere
from priorhood.data.sources.columns import in_memory
from priorhood.data.sources.remote import join_values

if TYPE_CHECKING:
    from priorhood.data.sources.backend import Frame


def look_up_columns(frame: Frame, key: str, columns: dict[str, dict[str, Any]]) -> Frame:
    """Return the rows, in order, with columns of values looked up by the text in `key`; null if it is unknown.

    DuckDB relations and Polars' lazy frames stay lazy, as do frames of engines elsewhere, whose rows have no order;
    other frames are brought into memory.

    Parameters
    ----------
    key : str
        Column of text, which is dropped.
    columns : dict of str to dict
        Values by text of every new column; those of a column are all numbers or all texts.
    """
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        return join_values(frame, key, columns)
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
    """Return DuckDB's expression: the text's position in an ENUM of all texts, and a list of values."""
    kind = "VARCHAR" if _textual(values) else "DOUBLE"
    if not values:
        return f"CAST(NULL AS {kind})"
    texts = ", ".join(map(sql_text, values))
    position = f"CAST(enum_code(TRY_CAST({sql_name(key)} AS ENUM({texts}))) AS BIGINT) + 1"
    if kind == "DOUBLE":
        return f"list_extract(CAST({_listed(values.values())} AS DOUBLE[]), {position})"
    # A list of numbers is one literal, a list of texts one literal per text: so a list of distinct texts, and one
    # of their positions in it.
    distinct = list(dict.fromkeys(values.values()))
    index = {text: i + 1 for i, text in enumerate(distinct)}
    which = f"list_extract(CAST({_listed(index[text] for text in values.values())} AS BIGINT[]), {position})"
    return f"list_extract([{', '.join(map(sql_text, distinct))}], {which})"


def _listed(numbers: Any) -> str:
    return "'[" + ", ".join(map(repr, numbers)) + "]'"

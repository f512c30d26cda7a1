"""Conditions on rows, where=: evaluated by the engine that holds them, and never met by missing values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from priorhood._text import preview, sql_name, sql_text
from priorhood.data.date_formats import dates_of
from priorhood.data.number_advice import affixed, or_null
from priorhood.data.number_formats import PLAIN, affix, guessed
from priorhood.data.sources.arrow import plainly_typed
from priorhood.data.sources.backend import ENGINES, backend_of
from priorhood.data.sources.column_names import as_engines, refused
from priorhood.data.sources.column_names import twins as twins_of
from priorhood.data.sources.columns import GIVEN, collected, declared_order, missing, stripped, textual
from priorhood.data.sources.duckdb_io import KEPT, connection
from priorhood.data.sources.remote import plain, with_condition
from priorhood.data.sources.where_sql import (
    check_elsewhere,
    check_where,
    columns_of,
    kept,
    no_condition,
    orderings,
)
from priorhood.errors import TableError
from priorhood.model.tokens import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from priorhood.data.sources.backend import Frame

# Rows that are checked for dates.
LOOK = 1000
# A dictionary of more texts holds labels, not the categories of a predictor.
MAX_ORDERED = 1000


def conditioned(frame: Frame, where: str, *, sealed: bool = False, twins: Mapping[str, str] | None = None) -> Frame:
    """Return the rows with the SQL condition as the column KEPT, false where it is unknown.

    NaN counts as missing, though engines sort it above every number; so does blank text.

    Parameters
    ----------
    sealed : see where_sql.kept
    twins : dict of str to str, optional
        Column → why it cannot be used, where the engine takes it for another one.

    Raises
    ------
    TableError
        No condition; one on such a column, or on numbers in a column that has texts too.
    """
    import narwhals.stable.v2 as nw

    check_where(where)
    schema = frame.collect_schema()
    if backend_of(frame) == "polars":
        twins = twins_of(_met(schema.names(), where))
    if twins and (unclear := refused(columns_of(where), twins)):
        raise TableError(f"where {where!r}: column {unclear!r} {twins[unclear]}")
    may_lack = [c for c in _mentioned(frame, where) if schema[c].is_float() or textual(schema[c])]
    present = [nw.when(~missing(frame, c, schema[c])).then(nw.col(c)).alias(c) for c in may_lack]
    frame = frame.with_columns(*present) if present else frame
    _check_dates(frame, where)
    frame = frame.drop(KEPT) if KEPT in schema.names() else frame
    try:
        return _evaluated(frame, where, sealed=sealed)
    except TableError:
        why = _texts(frame, where)
        if why is None:
            raise
        raise TableError(f"where {where!r}: {why}") from None


def _mentioned(frame: Frame, where: str) -> list[str]:
    """Return all columns that a condition in whatever SQL reads, and perhaps more."""
    return [c for c in frame.collect_schema().names() if c.casefold() in where.casefold()]


def _as_in_a_file(frame: Frame, where: str) -> tuple[Frame, tuple[str, ...]]:
    """Return DuckDB's rows with short integers and decimals as floats, and the names of these columns.

    A CSV has floats, whose products and remainders differ. Integers of 64 bits stay, since not all of them are
    floats. The columns also stay as they were given, under other names. Other engines' casts of decimals are not
    exact.
    """
    import narwhals.stable.v2 as nw

    schema = frame.collect_schema()
    exact = (nw.Int64, nw.UInt64, nw.Int128, nw.UInt128)
    given = tuple(
        c
        for c in _mentioned(frame, where)
        if (schema[c].is_integer() and schema[c] not in exact) or schema[c] == nw.Decimal
    )
    if not given:
        return frame, ()
    both = frame.with_columns(*(nw.col(c).alias(GIVEN + c) for c in given))
    return both.with_columns(*(nw.col(c).cast(nw.Float64) for c in given)), given


# Format of dates whose texts sort by date → pattern of the beginnings that they may be compared with.
_IN_ORDER = {
    "%Y-%m-%d": r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?",
    "%Y-%m": r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?",
    "%Y%m%dT%H%M%S": r"\d{4}(\d\d(\d\d(T.*)?)?)?",
    "%Y/%m/%d": r"\d{4}(/\d\d(/\d\d)?)?",
}


def _check_dates(frame: Frame, where: str) -> None:
    """Raise where dates that are text are compared as text, and sort otherwise than by date."""
    schema = frame.collect_schema()
    for name, text in orderings(where):
        column = next((c for c in schema.names() if as_engines(c) == as_engines(name)), None)
        if column is None or not textual(schema[column]):
            continue
        first = collected(frame.select(stripped(frame, column).alias(column)).drop_nulls().head(LOOK))[column]
        values = list(dict.fromkeys(value for value in first.tolist() if value))
        found = dates_of(values, short=True)
        if found is None:
            continue
        equal = len(set(map(len, values))) == 1 or found.first
        if equal and re.fullmatch(_IN_ORDER.get(found.form, "(?!)"), text):
            continue
        why = f"where {where!r}: column {column!r} is text, like {values[0]!r}, in another order than its dates"
        if not found.form or found.months or found.first:
            raise TableError(f"{why}; compare {column!r} with dates in the same format, or make a column of dates")
        own = dates_of([text], short=True)
        day = (found.read([text]) or (own and own.read([text])) or ["2024-06-01"])[0]
        other = f" (or {found.others[0]!r}, if these are days first)" if found.others else ""
        raise TableError(
            f"{why}; compare dates, like try_strptime({sql_name(column)}, {found.form!r}) > date {day!r}{other}"
        )


def _evaluated(frame: Frame, where: str, *, sealed: bool) -> Frame:
    import narwhals.stable.v2 as nw

    kind = backend_of(frame)
    native: Any = frame.to_native()
    if kind == "polars":
        found: Frame = nw.from_native(_with_flag(native, where, _mentioned(frame, where)))
        return found
    if kind in ENGINES:
        check_elsewhere(where)
        try:
            held: Frame = nw.from_native(with_condition(native, kind, where, KEPT))
        except Exception as problem:  # noqa: BLE001  # each engine has its own
            raise TableError(no_condition(where, plain(problem))) from None
        return held
    relation: Frame = frame if kind == "duckdb" else nw.from_native(_ordered_relation(frame))
    numbers, given = _as_in_a_file(relation, where)
    held = nw.from_native(kept(numbers.to_native(), where, sealed=sealed))
    if not given:
        return held
    return held.with_columns(*(nw.col(GIVEN + c).alias(c) for c in given)).drop(*(GIVEN + c for c in given))


def _met(columns: list[str], where: str) -> list[str]:
    """Return the columns without those that DuckDB takes for one that the condition names exactly."""
    read = columns_of(where)
    exact = {as_engines(name) for name in read if name in columns}
    return [name for name in columns if name in read or as_engines(name) not in exact]


def _with_flag(native: Any, where: str, mentioned: list[str]) -> Any:
    """Return a Polars frame, lazy or not, with the column KEPT, as DuckDB evaluates it.

    In Polars' own SQL round(2.5) and 2.5::int are 2, and 7 / 2 is 3.
    """
    import narwhals.stable.v2 as nw
    import polars as pl

    def flag(columns: Any) -> Any:
        numbers, _ = _as_in_a_file(nw.from_native(_ordered_relation(nw.from_native(columns))), where)
        relation = kept(numbers.to_native(), where)
        return pl.DataFrame(relation.project(sql_name(KEPT)).to_arrow_table()).to_series().cast(pl.Boolean)

    schema = native.collect_schema()
    known = [name for name in _met(schema.names(), where) if schema[name] != pl.Object]
    # Without rows: raises where it is no condition on these columns.
    flag(pl.DataFrame(schema={name: schema[name] for name in known}))
    chosen = [name for name in mentioned if name in known] or known[:1]
    if isinstance(native, pl.DataFrame):
        return native.with_columns(flag(native.select(chosen)).alias(KEPT))
    whole = pl.struct(chosen).map_batches(lambda rows: flag(rows.struct.unnest()), return_dtype=pl.Boolean)
    return native.with_columns(whole.alias(KEPT))


def _ordered_relation(frame: Frame) -> Any:
    """Return an eager frame as a DuckDB relation, with the order of dictionaries, which DuckDB's reader loses."""
    native: Any = frame.to_native()
    if backend_of(frame) == "pandas":
        # DuckDB reads no frame that has periods, intervals and the like: they become texts.
        given = native
        for at, dtype in enumerate(given.dtypes):
            categories = getattr(dtype, "categories", None)
            if not re.match(r"period|interval|complex|float128", str(getattr(categories, "dtype", dtype))):
                continue
            native, column = native.copy(deep=False), given.iloc[:, at]
            if categories is None:
                native.isetitem(at, column.astype(object).map(str, na_action="ignore"))
            else:
                native.isetitem(at, column.cat.rename_categories(categories.astype(str)))
        relation = connection().from_df(native)
    else:
        relation = connection().from_arrow(
            plainly_typed(native.to_arrow()) if backend_of(frame) == "polars" else native
        )
    for column, kind in zip(relation.columns, relation.types, strict=True):
        order = declared_order(frame, column) if str(kind) == "VARCHAR" else ()
        if not 0 < len(order) <= MAX_ORDERED:
            continue
        texts = ", ".join(map(sql_text, order))
        name = sql_name(column)
        relation = relation.project(f"* REPLACE (CAST({name} AS ENUM({texts})) AS {name})")
    return relation


def _texts(frame: Frame, where: str) -> str | None:
    """Return why a column of the condition is text though it looks like numbers; None where none does."""
    schema = frame.collect_schema()
    read = set(map(as_engines, columns_of(where)))
    for column in schema.names():
        if as_engines(column) not in read or not textual(schema[column]):
            continue
        found = collected(frame.select(stripped(frame, column).alias(column)).unique())[column]
        values = sorted({v for v in found.tolist() if isinstance(v, str) and v})
        signed = guessed(values)
        reads = signed[0].read if signed else PLAIN.read
        odd = [v for v in values if not reads(v)]
        found_affix = affix(values) if odd else None
        if found_affix is not None:
            return f"column {column!r} is text: it has {affixed(found_affix, column)}"
        if 2 * len(odd) >= len(values):
            continue
        if odd:
            shown = preview(map(cut, odd))
            return f"column {column!r} holds {shown} among numbers, and is text so; fix these rows{or_null(odd)}"
        if signed:
            return f"column {column!r} is text, like {preview(signed[1], 2)}; read it with {signed[0]}"
        return f"column {column!r} is text though all its values are numbers; convert it, or compare it with texts"
    return None

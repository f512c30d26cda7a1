"""Conditions on rows (where=), evaluated by the engine that holds the rows, and never met by missing values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from priorhood._text import preview, sql_name, sql_text
from priorhood.data.date_formats import dates_of
from priorhood.data.number_formats import PLAIN, find_affix, guess_separators
from priorhood.data.sources.arrow import with_common_types
from priorhood.data.sources.backend import ENGINES, backend_of
from priorhood.data.sources.column_names import ambiguous_columns, as_engines, first_ambiguous
from priorhood.data.sources.columns import GIVEN, collected, declared_order, missing, stripped, textual
from priorhood.data.sources.duckdb_io import KEPT, connection
from priorhood.data.sources.remote import condition_elsewhere, one_line
from priorhood.data.sources.where_advice import in_sql
from priorhood.data.sources.where_syntax import (
    ONLY_COLUMNS,
    check_elsewhere,
    check_where,
    columns_of,
    invalid_where,
    orderings,
    with_condition,
)
from priorhood.data.unusual_numbers import affix_advice, null_advice
from priorhood.errors import TableError
from priorhood.model.tokens import cut

if TYPE_CHECKING:
    from collections.abc import Mapping

    from priorhood.data.sources.backend import Frame

# Rows that are checked for dates.
LOOK = 1000
# A dictionary of more texts holds labels, not the categories of a predictor.
MAX_ORDERED = 1000


def flag_rows(
    frame: Frame, where: str, *, sealed: bool = False, ambiguous: Mapping[str, str] | None = None
) -> Frame:
    """Return the rows with the SQL condition as the column KEPT, false if it is unknown.

    NaN counts as missing, although engines sort it above every number; so does blank text.

    Parameters
    ----------
    sealed : bool
        As in where_syntax.with_condition.
    ambiguous : dict of str to str, optional
        Columns whose name the engine treats as the same as another one's, with an explanation.

    Raises
    ------
    TableError
        An invalid condition; one on an ambiguous column, or on numbers in a column that also has texts.
    """
    import narwhals.stable.v2 as nw

    check_where(where)
    schema = frame.collect_schema()
    if backend_of(frame) == "polars":
        ambiguous = ambiguous_columns(_without_twins(schema.names(), where))
    if ambiguous and (unclear := first_ambiguous(columns_of(where), ambiguous)):
        raise TableError(f"where {where!r}: column {unclear!r} {ambiguous[unclear]}")
    may_lack = [c for c in _mentioned(frame, where) if schema[c].is_float() or textual(schema[c])]
    present = [nw.when(~missing(frame, c, schema[c])).then(nw.col(c)).alias(c) for c in may_lack]
    frame = frame.with_columns(*present) if present else frame
    _check_dates(frame, where)
    frame = frame.drop(KEPT) if KEPT in schema.names() else frame
    try:
        return _evaluate(frame, where, sealed=sealed)
    except TableError as problem:
        why = None
        if problem.reason != ONLY_COLUMNS:
            why = _sql_advice(frame, where, sealed=sealed) or _text_advice(frame, where)
        if why is None:
            raise
        raise TableError(f"where {where!r}: {why}") from None


def _mentioned(frame: Frame, where: str) -> list[str]:
    """Return all columns that a condition in any SQL dialect reads, and perhaps more."""
    return [c for c in frame.collect_schema().names() if c.casefold() in where.casefold()]


def _as_in_a_file(frame: Frame, where: str) -> tuple[Frame, tuple[str, ...]]:
    """Return DuckDB's rows with short integers and decimals as floats, and the names of these columns.

    A CSV has floats, whose products and remainders differ. Integers of 64 bits are kept, since floats cannot
    represent all of them. The original columns are kept under other names. Other engines' casts of decimals are
    not exact.
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


# Format of dates whose texts sort by date → pattern of the prefixes that they may be compared with.
_IN_ORDER = {
    "%Y-%m-%d": r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?",
    "%Y-%m": r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?",
    "%Y%m%dT%H%M%S": r"\d{4}(\d\d(\d\d(T.*)?)?)?",
    "%Y/%m/%d": r"\d{4}(/\d\d(/\d\d)?)?",
}


def _check_dates(frame: Frame, where: str) -> None:
    """Raise if dates are compared as texts, which do not sort by date."""
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
        why = f"where {where!r}: column {column!r} is text, such as {values[0]!r}, which does not sort by date"
        if not found.form or found.months or found.first:
            raise TableError(f"{why}; compare {column!r} with dates in the same format, or make a column of dates")
        own = dates_of([text], short=True)
        day = (found.read([text]) or (own and own.read([text])) or ["2024-06-01"])[0]
        other = f" (or {found.others[0]!r}, if these are days first)" if found.others else ""
        raise TableError(
            f"{why}; compare dates, for example try_strptime({sql_name(column)}, {found.form!r}) > date {day!r}"
            f"{other}"
        )


def _evaluate(frame: Frame, where: str, *, sealed: bool) -> Frame:
    """Return the rows with the condition as the column KEPT, evaluated by their own engine or by DuckDB."""
    import narwhals.stable.v2 as nw

    kind = backend_of(frame)
    native: Any = frame.to_native()
    if kind == "polars":
        # DuckDB evaluates the condition: in Polars' own SQL round(2.5) and 2.5::int are 2, and 7 / 2 is 3.
        import polars as pl

        def flag(columns: Any) -> Any:
            numbers, _ = _as_in_a_file(nw.from_native(_ordered_relation(nw.from_native(columns))), where)
            relation = with_condition(numbers.to_native(), where)
            return pl.DataFrame(relation.project(sql_name(KEPT)).to_arrow_table()).to_series().cast(pl.Boolean)

        schema = native.collect_schema()
        known = [name for name in _without_twins(schema.names(), where) if schema[name] != pl.Object]
        # Without rows: raises if the condition is invalid for these columns.
        flag(pl.DataFrame(schema={name: schema[name] for name in known}))
        chosen = [name for name in _mentioned(frame, where) if name in known] or known[:1]
        if isinstance(native, pl.DataFrame):
            flags = flag(native.select(chosen))
        else:
            flags = pl.struct(chosen).map_batches(lambda rows: flag(rows.struct.unnest()), return_dtype=pl.Boolean)
        flagged: Frame = nw.from_native(native.with_columns(flags.alias(KEPT)))
        return flagged
    if kind in ENGINES:
        check_elsewhere(where)
        try:
            held: Frame = nw.from_native(condition_elsewhere(native, kind, where, KEPT))
        except Exception as problem:  # noqa: BLE001  # each engine has its own
            raise TableError(invalid_where(where, one_line(problem))) from None
        return held
    relation: Frame = frame if kind == "duckdb" else nw.from_native(_ordered_relation(frame))
    numbers, given = _as_in_a_file(relation, where)
    held = nw.from_native(with_condition(numbers.to_native(), where, sealed=sealed))
    if not given:
        return held
    return held.with_columns(*(nw.col(GIVEN + c).alias(c) for c in given)).drop(*(GIVEN + c for c in given))


def _without_twins(columns: list[str], where: str) -> list[str]:
    """Return the columns, without those that DuckDB would confuse with one that the condition names exactly."""
    read = columns_of(where)
    exact = {as_engines(name) for name in read if name in columns}
    return [name for name in columns if name in read or as_engines(name) not in exact]


def _ordered_relation(frame: Frame) -> Any:
    """Return an eager frame as a DuckDB relation, with the order of dictionaries, which DuckDB would lose."""
    native: Any = frame.to_native()
    if backend_of(frame) == "pandas":
        # DuckDB cannot read frames with periods, intervals and the like: they become texts.
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
            with_common_types(native.to_arrow()) if backend_of(frame) == "polars" else native
        )
    for column, kind in zip(relation.columns, relation.types, strict=True):
        order = declared_order(frame, column) if str(kind) == "VARCHAR" else ()
        if not 0 < len(order) <= MAX_ORDERED:
            continue
        texts = ", ".join(map(sql_text, order))
        name = sql_name(column)
        relation = relation.project(f"* REPLACE (CAST({name} AS ENUM({texts})) AS {name})")
    return relation


def _sql_advice(frame: Frame, where: str, *, sealed: bool) -> str | None:
    """Return the condition in SQL if it is one of Python or lacks quotes and is valid then, else None."""
    right, wrong = in_sql(where, {column: textual(kind) for column, kind in frame.collect_schema().items()})
    if not wrong:
        return None
    try:
        _evaluate(frame, right, sealed=sealed)
    except TableError:
        return None
    return f"{wrong}; write {right!r}"


def _text_advice(frame: Frame, where: str) -> str | None:
    """Return advice if a column of the condition is text but looks like numbers, else None."""
    schema = frame.collect_schema()
    read = set(map(as_engines, columns_of(where)))
    for column in schema.names():
        if as_engines(column) not in read or not textual(schema[column]):
            continue
        found = collected(frame.select(stripped(frame, column).alias(column)).unique())[column]
        values = sorted({v for v in found.tolist() if isinstance(v, str) and v})
        guess = guess_separators(values)
        matches = guess[0].match if guess else PLAIN.match
        odd = [v for v in values if not matches(v)]
        found_affix = find_affix(values) if odd else None
        if found_affix is not None:
            return f"column {column!r} is text: it has {affix_advice(found_affix, column)}"
        if 2 * len(odd) >= len(values):
            continue
        if odd:
            shown = preview(map(cut, odd))
            return f"column {column!r} holds {shown} among numbers, so it is text; fix these rows{null_advice(odd)}"
        if guess:
            return f"column {column!r} is text, such as {preview(guess[1], 2)}; read it with {guess[0]}"
        return (
            f"column {column!r} is text, though all its values are numbers; convert it, or compare it with strings"
        )
    return None

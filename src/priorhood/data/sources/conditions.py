"""Conditions on rows, where=: by the engine that holds them, of missing values never met."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from priorhood._text import listed, some, sql_name, sql_text
from priorhood.data.date_formats import dates_of
from priorhood.data.number_advice import COLUMN, times
from priorhood.data.number_formats import PLAIN, affix, guessed, perhaps_missing
from priorhood.data.sources.arrow import plainly_typed
from priorhood.data.sources.column_names import as_engines, refused
from priorhood.data.sources.column_names import twins as twins_of
from priorhood.data.sources.columns import GIVEN, collected, declared_order, missing, stripped, textual
from priorhood.data.sources.duckdb_io import (
    KEPT,
    check_elsewhere,
    check_where,
    columns_of,
    connection,
    kept,
    no_condition,
    orderings,
)
from priorhood.data.sources.remote import ENGINES, kind_of, plain, with_condition
from priorhood.errors import TableError
from priorhood.model.tokens import cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from priorhood.data.number_formats import Affix
    from priorhood.data.sources.columns import Frame


# So many rows are looked at for dates.
LOOK = 1000
# A dictionary of more texts is one of labels, not of the categories of a predictor.
MOST_ORDERED = 1000


def conditioned(frame: Frame, where: str, *, sealed: bool = False, twins: Mapping[str, str] | None = None) -> Frame:
    """The rows with the SQL condition as the column KEPT, false where it is unknown.

    Parameters
    ----------
    sealed : see sources.kept
    twins : column → why it cannot be used: what evaluates the condition takes it for another one

    Raises
    ------
    TableError : no condition; one of such a column, or of numbers where a column has texts among them
    """
    check_where(where)
    schema = frame.collect_schema()
    if kind_of(frame) == "polars":
        twins = twins_of(_met(schema.names(), where))
    if twins and (unclear := refused(columns_of(where), twins)):
        raise TableError(f"where {where!r}: column {unclear!r} {twins[unclear]}")
    frame = _without_missing(frame, where)
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
    """Columns that a condition may read, in whatever SQL: one more does no harm."""
    return [c for c in frame.collect_schema().names() if c.casefold() in where.casefold()]


def _without_missing(frame: Frame, where: str) -> Frame:
    """NaN is a missing value, though engines have it above every number; and so is text of blanks alone."""
    import narwhals.stable.v2 as nw

    schema = frame.collect_schema()
    may_lack = [c for c in _mentioned(frame, where) if schema[c].is_float() or textual(schema[c])]
    present = [nw.when(~missing(frame, c, schema[c])).then(nw.col(c)).alias(c) for c in may_lack]
    found: Frame = frame.with_columns(*present) if present else frame
    return found


def _as_in_a_file(frame: Frame, where: str) -> tuple[Frame, tuple[str, ...]]:
    """DuckDB's whole numbers of few bits and decimals as a CSV has them, whose products and remainders are others.

    Whole numbers of 64 bits stay: not all of them are floating-point numbers. Other engines' own casts of decimals
    are not exact.

    Returns
    -------
    the relation; the columns that are others, which stand beside as they were
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
    beside = frame.with_columns(*(nw.col(c).alias(GIVEN + c) for c in given))
    return beside.with_columns(*(nw.col(c).cast(nw.Float64) for c in given)), given


def _as_given(frame: Frame, given: tuple[str, ...]) -> Frame:
    import narwhals.stable.v2 as nw

    if not given:
        return frame
    return frame.with_columns(*(nw.col(GIVEN + c).alias(c) for c in given)).drop(*(GIVEN + c for c in given))


# Dates that are in order as texts, and the beginnings of those that they may be compared with.
_IN_ORDER = {
    "%Y-%m-%d": r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?",
    "%Y-%m": r"\d{4}(-\d\d(-\d\d([T ].*)?)?)?",
    "%Y%m%dT%H%M%S": r"\d{4}(\d\d(\d\d(T.*)?)?)?",
    "%Y/%m/%d": r"\d{4}(/\d\d(/\d\d)?)?",
}


def _check_dates(frame: Frame, where: str) -> None:
    """Raise where dates that are text are compared by their letters, and that is another order.

    Raises
    ------
    TableError : with a condition of dates
    """
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
            raise TableError(f"{why}; compare {column!r} with dates written alike, or make a column of dates")
        own = dates_of([text], short=True)
        day = (found.read([text]) or (own and own.read([text])) or ["2024-06-01"])[0]
        other = f" (or {found.others[0]!r}, if these are days first)" if found.others else ""
        raise TableError(
            f"{why}; compare dates, like try_strptime({sql_name(column)}, {found.form!r}) > date {day!r}{other}"
        )


def _evaluated(frame: Frame, where: str, *, sealed: bool) -> Frame:
    import narwhals.stable.v2 as nw

    kind = kind_of(frame)
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
    return _as_given(held, given)


def _met(columns: list[str], where: str) -> list[str]:
    """The columns without those that DuckDB takes for one that the condition names letter by letter."""
    read = columns_of(where)
    exact = {as_engines(name) for name in read if name in columns}
    return [name for name in columns if name in read or as_engines(name) not in exact]


def _with_flag(native: Any, where: str, mentioned: list[str]) -> Any:
    """A Polars frame, lazy or not, with the column KEPT, as DuckDB has it.

    Polars has an SQL of its own, in which round(2.5) is 2, 2.5::int too, and 7 / 2 is 3.
    """
    import narwhals.stable.v2 as nw
    import polars as pl

    def flag(columns: Any) -> Any:
        numbers, _ = _as_in_a_file(nw.from_native(_ordered_relation(nw.from_native(columns))), where)
        relation = kept(numbers.to_native(), where)
        return pl.DataFrame(relation.project(sql_name(KEPT)).to_arrow_table()).to_series().cast(pl.Boolean)

    schema = native.collect_schema()
    known = [name for name in _met(schema.names(), where) if schema[name] != pl.Object]
    # Without rows: whether it is a condition on these columns at all.
    flag(pl.DataFrame(schema={name: schema[name] for name in known}))
    chosen = [name for name in mentioned if name in known] or known[:1]
    if isinstance(native, pl.DataFrame):
        return native.with_columns(flag(native.select(chosen)).alias(KEPT))
    whole = pl.struct(chosen).map_batches(lambda rows: flag(rows.struct.unnest()), return_dtype=pl.Boolean)
    return native.with_columns(whole.alias(KEPT))


def _ordered_relation(frame: Frame) -> Any:
    """An eager frame as DuckDB has it, whose own reading forgets the order of a dictionary."""
    native = _known_to_duckdb(frame.to_native()) if kind_of(frame) == "pandas" else frame.to_native()
    if kind_of(frame) == "polars":
        native = plainly_typed(native.to_arrow())
    relation = connection().from_df(native) if kind_of(frame) == "pandas" else connection().from_arrow(native)
    for column, kind in zip(relation.columns, relation.types, strict=True):
        order = declared_order(frame, column) if str(kind) == "VARCHAR" else ()
        if not 0 < len(order) <= MOST_ORDERED:
            continue
        texts = ", ".join(map(sql_text, order))
        name = sql_name(column)
        relation = relation.project(f"* REPLACE (CAST({name} AS ENUM({texts})) AS {name})")
    return relation


def _known_to_duckdb(rows: Any) -> Any:
    """A pandas frame with periods, intervals and the like as texts: DuckDB reads no frame that has any."""
    found = rows
    for at, dtype in enumerate(rows.dtypes):
        categories = getattr(dtype, "categories", None)
        if not re.match(r"period|interval|complex|float128", str(getattr(categories, "dtype", dtype))):
            continue
        found, column = found.copy(deep=False), rows.iloc[:, at]
        if categories is None:
            found.isetitem(at, column.astype(object).map(str, na_action="ignore"))
        else:
            found.isetitem(at, column.cat.rename_categories(categories.astype(str)))
    return found


def _texts(frame: Frame, where: str) -> str | None:
    """Why a column of the condition is not the numbers that it looks like; None where none is."""
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
            shown = some(map(cut, odd))
            return f"column {column!r} holds {shown} among numbers, and is text so; fix these rows{or_null(odd)}"
        if signed:
            return f"column {column!r} is text, like {some(signed[1], 2)}; read it with {signed[0]}"
        return f"column {column!r} is text though all its values are numbers; convert it, or compare it with texts"
    return None


def or_null(texts: list[str]) -> str:
    """What to do about texts among numbers that may mean a missing value; '' where none does."""
    words = perhaps_missing(texts)
    if not words:
        return ""
    options = " ".join(f"--null {shell_word(word)}" for word in words)
    return f", or name texts that mean a missing value (nulls={words!r}, {options})"


def affixed(found: Affix, column: str, command: Callable[[str], str] | None = None, instead: str = "") -> str:
    """What to do about numbers with a sign before or behind them.

    Parameters
    ----------
    command : a line of Python about the rows d → the command that does it to the file that they are in
    instead : see changed
    """
    signs = [sign for sign in (found.before, found.behind) if sign]
    places = [f"{sign!r} {where}" for sign, where in ((found.before, "before"), (found.behind, "behind")) if sign]
    look = f"numbers with {listed(places)} them, like {some(found.odd, 2)}"
    if found.times > 1:
        scaled = changed(column, *times({found.behind: found.times}, found.signs), command, instead)
        return f"{look}; make numbers {found.times:,} times as large of them: {scaled}"
    take = "".join(f".str.replace({sign!r}, '', regex=False)" for sign in signs)
    polars = "".join(f".str.replace_all({sign!r}, '', literal=True)" for sign in signs)
    reads = f", and read what comes of it with {found.signs}" if found.signs != PLAIN else ""
    advice = changed(column, take, polars, command, instead)
    return f"{look}; take {'it' if len(signs) == 1 else 'them'} away{reads}: {advice}"


def changed(
    column: str, pandas: str, polars: str, command: Callable[[str], str] | None = None, instead: str = ""
) -> str:
    """How a column is changed by calls of pandas, of Polars, or by a command (see affixed).

    The command is the last that is said: who copies it copies to the end of the line.

    Parameters
    ----------
    instead : what else may be done, such as "; or write …"
    """
    frame, own = f"frame[{column!r}]", f"d[{column!r}]"
    in_polars = polars.replace(COLUMN, f"pl.col({column!r})")
    advice = f"{frame}{pandas.replace(COLUMN, frame)} in pandas, {in_polars} in Polars{instead}"
    if command is None:
        return advice
    return f"{advice}{';' if instead else ','} or {command(f'{own} = {own}{pandas.replace(COLUMN, own)}')}"


def shell_word(text: str) -> str:
    """A text as one word of a command line."""
    import shlex

    return shlex.quote(text)

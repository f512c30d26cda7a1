"""Columns of any backend: what is missing, labels and texts as expressions, and results brought out of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from priorhood.data.labels import BLANKS
from priorhood.data.sources.duckdb_errors import UNNAMED
from priorhood.data.sources.duckdb_io import explained
from priorhood.data.sources.paths import broken_part
from priorhood.data.sources.remote import fetched, is_elsewhere, kind_of, rows_fetched
from priorhood.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import narwhals.stable.v2 as nw
    from narwhals.stable.v2.dtypes import DType

    Frame = nw.LazyFrame[Any] | nw.DataFrame[Any]

# Before the name of a column as it was given, where one is read otherwise for a while.
GIVEN = "__priorhood_given_"


def collected(frame: Frame) -> dict[str, Any]:
    """A small result as NumPy columns; text as objects, with None for missing.

    NumPy's own text would lose a character 0 at the end, and with it two labels become one.
    """
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        frame = fetched(frame)
    if isinstance(frame, nw.LazyFrame):
        if str(frame.implementation).lower().endswith("duckdb"):
            found: dict[str, Any] = frame.to_native().fetchnumpy()
            return {name: _unmasked(values) for name, values in found.items()}
        frame = frame.collect() if "polars" in str(frame.implementation).lower() else frame.collect("pandas")
    return {name: _plain(frame[name]) for name in frame.columns}


def _plain(column: nw.Series[Any]) -> Any:
    import narwhals.stable.v2 as nw
    import numpy as np

    found = column.to_list() if column.dtype == nw.String else column.to_numpy()
    if isinstance(found, np.ndarray) and found.dtype.kind != "O":
        return found
    # Of pandas, whose missing value is neither a text nor a number.
    whole = [None if gone else value for value, gone in zip(found, column.is_null(), strict=True)]
    return np.array(whole, dtype=float if column.dtype.is_numeric() else object)


def _unmasked(values: Any) -> Any:
    import numpy as np

    if isinstance(values, np.ma.MaskedArray):
        empty = None if values.dtype.kind in "OUS" else np.nan
        filled: Any = values.astype(object if empty is None else float)
        return filled.filled(empty)
    return values


def stripped(frame: Frame, column: str) -> nw.Expr:
    """A column as text without surrounding blanks, of all kinds that Unicode has."""
    import narwhals.stable.v2 as nw

    text = nw.col(column).cast(nw.String)
    if kind_of(frame) == "ibis":  # whose strip takes no characters
        return text.str.strip_chars_start(BLANKS).str.strip_chars_end(BLANKS)
    return text.str.strip_chars(BLANKS)


def textual(dtype: object) -> bool:
    """Whether a column's values are texts, or may be."""
    import narwhals.stable.v2 as nw

    return dtype in (nw.String, nw.Categorical, nw.Enum, nw.Object)


def has_dates(frame: Frame, column: str) -> bool:
    """Whether a column's values are dates, with or without a time."""
    import narwhals.stable.v2 as nw

    dtype = frame.collect_schema()[column]
    return dtype in (nw.Date, nw.Datetime) or zoned(frame, column)


def zoned(frame: Frame, column: str) -> bool:
    """Whether a column's values are times of a zone.

    Of a zone like America/New_York in a pandas frame, narwhals finds no type.
    """
    dtype: Any = frame.collect_schema()[column]
    if kind_of(frame) == "pandas":
        dtype = frame.to_native()[column].dtype  # type: ignore[union-attr]
        dtype = getattr(dtype, "pyarrow_dtype", dtype)
    return any(getattr(dtype, name, None) is not None for name in ("time_zone", "tz"))


def is_nan(column: str) -> nw.Expr:
    """Whether a value is NaN, also of Parquet files that say nothing of it in their statistics.

    Many writers leave NaN out of a column's least and largest value, and DuckDB takes a column so for one without,
    as far as it can see through an expression: not through a CASE.
    """
    import narwhals.stable.v2 as nw

    return nw.when(~nw.col(column).is_null()).then(nw.col(column)).is_nan()


def missing(frame: Frame, column: str, dtype: DType | None = None) -> nw.Expr:
    """Whether a row has no value in a column: null, NaN, or blank text.

    dtype : of the column, where it is known; a frame of many columns takes long to be asked for each
    """
    import narwhals.stable.v2 as nw

    dtype = frame.collect_schema()[column] if dtype is None else dtype
    none = nw.col(column).is_null()
    if dtype.is_float():
        return none | is_nan(column)
    return none | _blank(frame, column) if textual(dtype) else none


def _blank(frame: Frame, column: str) -> nw.Expr:
    """Whether a text is blank."""
    import narwhals.stable.v2 as nw

    blank = stripped(frame, column) == ""
    if kind_of(frame) != "duckdb":
        return blank
    # DuckDB takes letters apart to strip them, and looks into a CASE only where it must: not at texts that begin
    # with one of ASCII's visible signs.
    text = nw.col(column).cast(nw.String)
    return nw.when(~((text >= "!") & (text < "\x7f"))).then(blank).otherwise(nw.lit(value=False))


def thousands_marks(columns: tuple[str, ...]) -> list[nw.Expr]:
    """Two marks a row for each column of numbers: 1,000 or more; less, with a third decimal, as 1.050 is read."""
    import narwhals.stable.v2 as nw

    marks: list[Any] = []
    for column in columns:
        value = nw.col(column).cast(nw.Float64)
        size, hundredfold = value.abs(), value * 100
        large = (size >= THOUSAND) & (size <= FINITE)
        third = ((hundredfold - hundredfold.round()).abs() > ROUNDING) & (size < THOUSAND)
        marks += [nw.when(mark).then(nw.lit(1)).otherwise(nw.lit(0)) for mark in (large, third)]
    return marks


def may_be_thousands(columns: tuple[str, ...], marks: Iterable[float]) -> tuple[str, ...]:
    """The columns that may have thousands read as decimals, by the largest marks of all rows."""
    found = list(marks)
    pairs = zip(found[::2], found[1::2], strict=True)
    return tuple(column for column, (large, third) in zip(columns, pairs, strict=True) if third and not large)


# What tells of a size; what NaN and infinity are above; what rounding leaves of a hundredfold.
THOUSAND, FINITE, ROUNDING = 1000.0, 1e300, 1e-6
# Whole numbers below it are whole numbers of 64 bits.
WHOLE = 9e18


def label_text(frame: Frame, column: str) -> nw.Expr:
    """A column of labels as text: of decimal numbers that are whole all digits, which no two backends write alike.

    Java has 1.2345678E7, PyArrow 3.6e+14. What is left is for normal_label.
    """
    import narwhals.stable.v2 as nw

    if not frame.collect_schema()[column].is_float():
        return nw.col(column).cast(nw.String)
    # Without NaN, and without what statistics say of it.
    value = nw.when(~(nw.col(column).is_null() | is_nan(column))).then(nw.col(column))
    whole = (value == value.floor()) & (value < WHOLE) & (value > -WHOLE)
    digits = nw.when(whole).then(value).otherwise(nw.lit(0.0)).cast(nw.Int64).cast(nw.String)
    text = nw.when(whole).then(digits).otherwise(value.cast(nw.String))
    return nw.when(~value.is_null()).then(text)


def in_memory(frame: Frame) -> nw.DataFrame[Any]:
    """A lazy frame's rows, in order; pandas holds what DuckDB and engines elsewhere read."""
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        return rows_fetched(frame)
    if not isinstance(frame, nw.LazyFrame):
        return frame
    if str(frame.implementation).lower().endswith("duckdb"):
        return nw.from_native(frame.to_native().df(), eager_only=True)
    return frame.collect() if "polars" in str(frame.implementation).lower() else frame.collect("pandas")


def with_readings(frame: Frame, readings: dict[str, nw.Expr], keep: Iterable[str]) -> Frame:
    """The frame with columns read otherwise; those in keep stay, as they were given, under other names."""
    import narwhals.stable.v2 as nw

    if not readings:
        return frame
    there = frame.collect_schema().names()
    given = [nw.col(c).alias(GIVEN + c) for c in keep if GIVEN + c not in there]
    rows: Any = frame.with_columns(*given) if given else frame
    found: Frame = rows.with_columns(*(reading.alias(c) for c, reading in readings.items()))
    return found


def restored(frame: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """The rows with all columns as they were given."""
    import narwhals.stable.v2 as nw

    given = [c for c in frame.columns if c.startswith(GIVEN)]
    if not given:
        return frame
    return frame.with_columns(nw.col(c).alias(c.removeprefix(GIVEN)) for c in given).drop(given)


def declared_order(frame: Frame, column: str) -> tuple[str, ...]:
    """The categories of a column in the order that its type has them; none where the type has no order.

    pandas' Categorical, Polars' Enum, Arrow's dictionary, DuckDB's ENUM. Polars' Categorical has none: its
    categories come in the order in which this process happened to see them.
    """
    import narwhals.stable.v2 as nw

    dtype = frame.collect_schema()[column]
    if dtype == nw.Enum:
        return tuple(map(str, dtype.categories))  # type: ignore[attr-defined]
    if dtype != nw.Categorical or kind_of(frame) == "polars":
        return ()
    if kind_of(frame) == "dask":
        told = frame.to_native()[column].cat
        return tuple(map(str, told.categories)) if told.known else ()
    if isinstance(frame, nw.LazyFrame):
        return ()
    native: Any = frame[column].to_native()
    if hasattr(getattr(native, "dtype", None), "pyarrow_dtype"):
        # A dictionary of Arrow in a pandas frame.
        import pyarrow as pa

        chunks = pa.chunked_array(native.array.__arrow_array__()).unify_dictionaries().chunks
        found = chunks[0].dictionary.to_pylist() if chunks else []
    else:
        found = frame[column].cat.get_categories().to_list()
    return tuple(dict.fromkeys(str(category) for category in found if category is not None))


def in_numpy(frame: Frame, columns: Iterable[str]) -> bool:
    """Whether a frame is of pandas, with all these columns in NumPy's own numbers."""
    import narwhals.stable.v2 as nw
    import numpy as np

    if not isinstance(frame, nw.DataFrame) or not frame.implementation.is_pandas():
        return False
    types = frame.to_native().dtypes
    return all(isinstance(types[column], np.dtype) and types[column].kind in "biuf" for column in columns)


def run(frame: Frame, name: str) -> dict[str, Any]:
    """Collect with the backend's errors explained, and the part of a table that they are about found."""
    with part_named(name):
        return collected(frame)


@contextmanager
def part_named(name: str) -> Iterator[None]:
    """Explain the backend's errors, and find the part of a table that they are about."""
    try:
        with explained(name):
            yield
    except TableError as problem:
        part = broken_part(name) if ".parquet" not in str(problem).removeprefix(name) else None
        if part is None:
            raise
        if UNNAMED in str(problem):
            raise TableError(str(problem).replace(UNNAMED, f"file {part!r}", 1)) from None
        raise TableError(f"{problem}: file {part!r} cannot be read whole; make it anew, or leave it out") from None

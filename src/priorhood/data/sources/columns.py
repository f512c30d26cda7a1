"""Columns on any backend: missing values, labels and texts as expressions, and results brought into memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from priorhood.data.labels import BLANKS
from priorhood.data.sources.backend import backend_of, is_elsewhere
from priorhood.data.sources.duckdb_errors import UNNAMED
from priorhood.data.sources.duckdb_io import KEPT, explained
from priorhood.data.sources.paths import broken_part
from priorhood.data.sources.remote import fetched, rows_fetched
from priorhood.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import narwhals.stable.v2 as nw
    from narwhals.stable.v2.dtypes import DType

    from priorhood.data.sources.backend import Frame

# Prefix of a column as it was given, where the rows have another reading of it.
GIVEN = "__priorhood_given_"
# Rows that are checked for how values are written.
FIRST = 10_000
# Smaller whole numbers fit into 64 bits.
WHOLE = 9e18


# -- types --------------------------------------------------------------------------------------------------


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
    """Whether a column's values are times with a zone.

    narwhals knows no type for a zone like America/New_York in a pandas frame.
    """
    dtype: Any = frame.collect_schema()[column]
    if backend_of(frame) == "pandas":
        dtype = frame.to_native()[column].dtype  # type: ignore[union-attr]
        dtype = getattr(dtype, "pyarrow_dtype", dtype)
    return any(getattr(dtype, name, None) is not None for name in ("time_zone", "tz"))


def in_numpy(frame: Frame, columns: Iterable[str]) -> bool:
    """Whether a frame is of pandas, with all these columns in NumPy's own numbers."""
    import narwhals.stable.v2 as nw
    import numpy as np

    if not isinstance(frame, nw.DataFrame) or backend_of(frame) != "pandas":
        return False
    types = frame.to_native().dtypes
    return all(isinstance(types[column], np.dtype) and types[column].kind in "biuf" for column in columns)


def declared_order(frame: Frame, column: str) -> tuple[str, ...]:
    """Return the categories of a column in the order of its type; empty where the type has no order.

    Types with an order are pandas' Categorical, Polars' Enum, Arrow's dictionary and DuckDB's ENUM. In Polars'
    Categorical the categories come in the order in which this process happened to see them.
    """
    import narwhals.stable.v2 as nw

    dtype = frame.collect_schema()[column]
    if dtype == nw.Enum:
        return tuple(map(str, dtype.categories))  # type: ignore[attr-defined]
    backend = backend_of(frame)
    if dtype != nw.Categorical or backend == "polars":
        return ()
    if backend == "dask":
        held = frame.to_native()[column].cat
        return tuple(map(str, held.categories)) if held.known else ()
    if isinstance(frame, nw.LazyFrame):
        return ()
    native: Any = frame[column].to_native()
    if hasattr(getattr(native, "dtype", None), "pyarrow_dtype"):
        # Arrow's dictionary in a pandas frame.
        import pyarrow as pa

        chunks = pa.chunked_array(native.array.__arrow_array__()).unify_dictionaries().chunks
        found = chunks[0].dictionary.to_pylist() if chunks else []
    else:
        found = frame[column].cat.get_categories().to_list()
    return tuple(dict.fromkeys(str(category) for category in found if category is not None))


# -- expressions --------------------------------------------------------------------------------------------


def stripped(frame: Frame, column: str) -> nw.Expr:
    """A column as text without surrounding blanks of any kind in Unicode."""
    import narwhals.stable.v2 as nw

    text = nw.col(column).cast(nw.String)
    if backend_of(frame) == "ibis":  # whose strip takes no characters
        return text.str.strip_chars_start(BLANKS).str.strip_chars_end(BLANKS)
    return text.str.strip_chars(BLANKS)


def is_nan(column: str) -> nw.Expr:
    """Whether a value is NaN, also in Parquet files whose statistics ignore NaN.

    Many writers leave NaN out of a column's minimum and maximum; DuckDB then takes the column for one without NaN,
    as far as it can see through an expression. It does not see through a CASE.
    """
    import narwhals.stable.v2 as nw

    return nw.when(~nw.col(column).is_null()).then(nw.col(column)).is_nan()


def missing(frame: Frame, column: str, dtype: DType | None = None) -> nw.Expr:
    """Whether a row has no value in a column: null, NaN, or blank text.

    dtype : of the column, where it is known; asking a frame for many columns' types one by one is slow
    """
    import narwhals.stable.v2 as nw

    dtype = frame.collect_schema()[column] if dtype is None else dtype
    none = nw.col(column).is_null()
    if dtype.is_float():
        return none | is_nan(column)
    if not textual(dtype):
        return none
    blank = stripped(frame, column) == ""
    if backend_of(frame) == "duckdb":
        # DuckDB strips slowly, character by character, and evaluates a CASE only where it must: not for texts that
        # begin with a visible ASCII character.
        text = nw.col(column).cast(nw.String)
        blank = nw.when(~((text >= "!") & (text < "\x7f"))).then(blank).otherwise(nw.lit(value=False))
    return none | blank


def label_text(frame: Frame, column: str) -> nw.Expr:
    """A column of labels as text; whole numbers in columns of decimals with all their digits.

    Java writes 1.2345678E7, PyArrow 3.6e+14. normal_label does the rest.
    """
    import narwhals.stable.v2 as nw

    if not frame.collect_schema()[column].is_float():
        return nw.col(column).cast(nw.String)
    # Without NaN, whatever statistics say of it.
    value = nw.when(~(nw.col(column).is_null() | is_nan(column))).then(nw.col(column))
    whole = (value == value.floor()) & (value < WHOLE) & (value > -WHOLE)
    digits = nw.when(whole).then(value).otherwise(nw.lit(0.0)).cast(nw.Int64).cast(nw.String)
    text = nw.when(whole).then(digits).otherwise(value.cast(nw.String))
    return nw.when(~value.is_null()).then(text)


# -- rows ---------------------------------------------------------------------------------------------------


def kept_rows(frame: Frame) -> Frame:
    """Return the rows that meet the table's condition (where)."""
    import narwhals.stable.v2 as nw

    return frame.filter(nw.col(KEPT)) if KEPT in frame.collect_schema().names() else frame


def with_readings(frame: Frame, readings: dict[str, nw.Expr], keep: Iterable[str]) -> Frame:
    """Return the frame with columns replaced by other readings; those in keep stay under other names as well."""
    import narwhals.stable.v2 as nw

    if not readings:
        return frame
    there = frame.collect_schema().names()
    given = [nw.col(c).alias(GIVEN + c) for c in keep if GIVEN + c not in there]
    rows: Any = frame.with_columns(*given) if given else frame
    found: Frame = rows.with_columns(*(reading.alias(c) for c, reading in readings.items()))
    return found


def restored(frame: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """Return the rows with all columns as they were given."""
    import narwhals.stable.v2 as nw

    given = [c for c in frame.columns if c.startswith(GIVEN)]
    if not given:
        return frame
    return frame.with_columns(nw.col(c).alias(c.removeprefix(GIVEN)) for c in given).drop(given)


# -- results ------------------------------------------------------------------------------------------------


def in_memory(frame: Frame) -> nw.DataFrame[Any]:
    """Return the rows in memory, in order; pandas holds those of DuckDB and of engines elsewhere."""
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        return rows_fetched(frame)
    if not isinstance(frame, nw.LazyFrame):
        return frame
    backend = backend_of(frame)
    if backend == "duckdb":
        return nw.from_native(frame.to_native().df(), eager_only=True)
    return frame.collect() if backend == "polars" else frame.collect("pandas")


def collected(frame: Frame) -> dict[str, Any]:
    """Return a small result as NumPy columns; texts as objects, with None for missing ones.

    NumPy's own texts lose a character 0 at their end, so that two labels could become one.
    """
    import narwhals.stable.v2 as nw
    import numpy as np

    if is_elsewhere(frame):
        frame = fetched(frame)
    if isinstance(frame, nw.LazyFrame) and backend_of(frame) == "duckdb":
        native: dict[str, Any] = frame.to_native().fetchnumpy()
        for name, values in native.items():
            if isinstance(values, np.ma.MaskedArray):
                texts = values.dtype.kind in "OUS"
                filled: Any = values.astype(object if texts else float)
                native[name] = filled.filled(None if texts else np.nan)
        return native
    rows = in_memory(frame)
    result = {}
    for name in rows.columns:
        column = rows[name]
        found: Any = column.to_list() if column.dtype == nw.String else column.to_numpy()
        if not isinstance(found, np.ndarray) or found.dtype.kind == "O":
            # pandas' missing value is neither a text nor a number.
            whole = [None if gone else value for value, gone in zip(found, column.is_null(), strict=True)]
            found = np.array(whole, dtype=float if column.dtype.is_numeric() else object)
        result[name] = found
    return result


def run(frame: Frame, name: str) -> dict[str, Any]:
    """Collect with the backend's errors explained, and the part of a table that they are about found."""
    with part_named(name):
        return collected(frame)


def first_texts(frame: Frame, column: str, name: str) -> list[str]:
    """Return the texts of the first rows, missing ones left out."""
    import narwhals.stable.v2 as nw

    found = run(frame.select(nw.col(column).cast(nw.String)).head(FIRST), name)[column].tolist()
    return [text for text in found if isinstance(text, str)]


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
        raise TableError(
            f"{problem}: file {part!r} cannot be read to its end; write it again, or leave it out"
        ) from None

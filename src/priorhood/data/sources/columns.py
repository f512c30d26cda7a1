"""Columns on any backend: missing values, labels and texts as expressions, and results brought into memory."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from priorhood.data.labels import BLANKS
from priorhood.data.sources.backend import backend_of, is_elsewhere
from priorhood.data.sources.duckdb_errors import UNNAMED
from priorhood.data.sources.duckdb_io import KEPT, explain_errors
from priorhood.data.sources.files import broken_part
from priorhood.data.sources.remote import fetch, fetch_rows
from priorhood.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import narwhals.stable.v2 as nw
    from narwhals.stable.v2.dtypes import DType

    from priorhood.data.sources.backend import Frame

# Prefix of an original column, if the rows have a converted one under its name.
GIVEN = "__priorhood_given_"
# Rows whose values are checked for their format.
FIRST = 10_000
# Smaller whole numbers fit into 64 bits.
WHOLE = 9e18


# -- types --------------------------------------------------------------------------------------------------


def textual(dtype: object) -> bool:
    """Return whether a column's values are texts, or may be."""
    import narwhals.stable.v2 as nw

    return dtype in (nw.String, nw.Categorical, nw.Enum, nw.Object)


def has_dates(frame: Frame, column: str) -> bool:
    """Return whether a column's values are dates, with or without a time."""
    import narwhals.stable.v2 as nw

    dtype = frame.collect_schema()[column]
    return dtype in (nw.Date, nw.Datetime) or zoned(frame, column)


def zoned(frame: Frame, column: str) -> bool:
    """Return whether a column's values are times with a zone.

    narwhals has no type for a zone like America/New_York in a pandas frame.
    """
    dtype: Any = frame.collect_schema()[column]
    if backend_of(frame) == "pandas":
        dtype = frame.to_native()[column].dtype  # type: ignore[union-attr]
        dtype = getattr(dtype, "pyarrow_dtype", dtype)
    return any(getattr(dtype, name, None) is not None for name in ("time_zone", "tz"))


def in_numpy(frame: Frame, columns: Iterable[str]) -> bool:
    """Return whether a frame is a pandas frame with all of these columns in NumPy's own numbers."""
    import narwhals.stable.v2 as nw
    import numpy as np

    if not isinstance(frame, nw.DataFrame) or backend_of(frame) != "pandas":
        return False
    types = frame.to_native().dtypes
    return all(isinstance(types[column], np.dtype) and types[column].kind in "biuf" for column in columns)


def declared_order(frame: Frame, column: str) -> tuple[str, ...]:
    """Return the categories of a column in the order of its type; empty if the type has no order.

    Types with an order are pandas' Categorical, Polars' Enum, Arrow's dictionary and DuckDB's ENUM. In Polars'
    Categorical the order of the categories is the one in which this process happened to see them.
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
    """Return a column as text, without surrounding blanks of any kind in Unicode."""
    import narwhals.stable.v2 as nw

    text = nw.col(column).cast(nw.String)
    if backend_of(frame) == "ibis":  # whose strip takes no characters
        return text.str.strip_chars_start(BLANKS).str.strip_chars_end(BLANKS)
    return text.str.strip_chars(BLANKS)


def is_nan(column: str) -> nw.Expr:
    """Return an expression that is true for NaN, even in Parquet files whose statistics ignore NaN.

    Many writers leave NaN out of a column's minimum and maximum; DuckDB then assumes that the column has no NaN
    wherever it can simplify an expression, but it does not simplify a CASE.
    """
    import narwhals.stable.v2 as nw

    return nw.when(~nw.col(column).is_null()).then(nw.col(column)).is_nan()


def missing(frame: Frame, column: str, dtype: DType | None = None) -> nw.Expr:
    """Return an expression that is true for rows without a value in a column: null, NaN, or blank text.

    Parameters
    ----------
    dtype : DType, optional
        Type of the column, if it is known; asking a frame for many columns' types one by one is slow.
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
        # DuckDB strips slowly, character by character, and evaluates a CASE only if it has to: not for texts that
        # begin with a visible ASCII character.
        text = nw.col(column).cast(nw.String)
        blank = nw.when(~((text >= "!") & (text < "\x7f"))).then(blank).otherwise(nw.lit(value=False))
    return none | blank


def label_text(frame: Frame, column: str) -> nw.Expr:
    """Return a column of labels as text; whole numbers in columns of decimals have all their digits.

    Java writes 1.2345678E7, PyArrow 3.6e+14. normal_label does the rest.
    """
    import narwhals.stable.v2 as nw

    if not frame.collect_schema()[column].is_float():
        return nw.col(column).cast(nw.String)
    # Without NaN, whatever a file's statistics say.
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
    """Return the frame with columns replaced by converted ones; those in `keep` also stay, under other names."""
    import narwhals.stable.v2 as nw

    if not readings:
        return frame
    names = frame.collect_schema().names()
    given = [nw.col(c).alias(GIVEN + c) for c in keep if GIVEN + c not in names]
    rows: Any = frame.with_columns(*given) if given else frame
    found: Frame = rows.with_columns(*(reading.alias(c) for c, reading in readings.items()))
    return found


def restored(frame: nw.DataFrame[Any]) -> nw.DataFrame[Any]:
    """Return the rows with the original values of all columns."""
    import narwhals.stable.v2 as nw

    given = [c for c in frame.columns if c.startswith(GIVEN)]
    if not given:
        return frame
    return frame.with_columns(nw.col(c).alias(c.removeprefix(GIVEN)) for c in given).drop(given)


# -- results ------------------------------------------------------------------------------------------------


def in_memory(frame: Frame) -> nw.DataFrame[Any]:
    """Return the rows in memory, in order; those of DuckDB and of engines elsewhere as a pandas frame."""
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        return fetch_rows(frame)
    if not isinstance(frame, nw.LazyFrame):
        return frame
    backend = backend_of(frame)
    if backend == "duckdb":
        return nw.from_native(frame.to_native().df(), eager_only=True)
    return frame.collect() if backend == "polars" else frame.collect("pandas")


def collected(frame: Frame) -> dict[str, Any]:
    """Return a small result as NumPy columns; texts as objects, with None for missing ones.

    NumPy's own texts lose a trailing character 0, so that two labels could become the same.
    """
    import narwhals.stable.v2 as nw
    import numpy as np

    if is_elsewhere(frame):
        frame = fetch(frame)
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
    """Collect a result; errors of the backend are explained, with the part of the table that caused them."""
    with explain_table_errors(name):
        return collected(frame)


def first_texts(frame: Frame, column: str, name: str) -> list[str]:
    """Return the texts of the first rows, without missing ones."""
    import narwhals.stable.v2 as nw

    found = run(frame.select(nw.col(column).cast(nw.String)).head(FIRST), name)[column].tolist()
    return [text for text in found if isinstance(text, str)]


@contextmanager
def explain_table_errors(name: str) -> Iterator[None]:
    """Explain the backend's errors, with the part of a table that caused them."""
    try:
        with explain_errors(name):
            yield
    except TableError as problem:
        part = broken_part(name) if ".parquet" not in str(problem).removeprefix(name) else None
        if part is None:
            raise
        if UNNAMED in str(problem):
            raise TableError(str(problem).replace(UNNAMED, f"file {part!r}", 1)) from None
        raise TableError(
            f"{problem}: file {part!r} is truncated or damaged; write it again, or leave it out"
        ) from None

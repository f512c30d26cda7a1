"""Arrow's rarer types of columns, cast to common ones with the same values.

Polars and DuckDB return texts as views; half floats, run-end encoded columns and decimals of 32 bits come from
files. PyArrow cannot filter, group or compare these types, and DuckDB does not read some of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

# Prefixes of Arrow's names of types.
_VIEWS = {"string_view": "large_string", "binary_view": "large_binary"}
_RARE = (*_VIEWS, "run_end_encoded", "halffloat", "decimal32", "decimal64", "extension<")


def is_rare(kind: Any) -> bool:
    """Return whether a column of an Arrow type has to be cast to another type."""
    text = str(kind)
    return text.startswith(_RARE) or (text.startswith("dictionary") and "_view" in text)


def with_common_types(source: Any) -> Any:
    """Return a PyArrow table, or pandas frame with Arrow columns, without rare types; other sources unchanged."""
    library = type(source).__module__.partition(".")[0]
    if library == "pyarrow" and hasattr(source, "set_column"):
        for at, field in enumerate(source.schema):
            if is_rare(field.type):
                source = source.set_column(at, field.name, _plain(source.column(at)))
        return source
    if library != "pandas" or getattr(source, "ndim", 0) != 2:
        return source
    import pandas as pd

    found = source
    for at, dtype in enumerate(source.dtypes):
        if isinstance(dtype, pd.SparseDtype):
            found = found.copy(deep=False)
            found.isetitem(at, source.iloc[:, at].sparse.to_dense())
        if not is_rare(getattr(dtype, "pyarrow_dtype", "")):
            continue
        found = found.copy(deep=False)
        column = _plain(_arrow_of(source.iloc[:, at]))
        made: Any = pd.array(column, dtype=pd.ArrowDtype(column.type))
        found.isetitem(at, pd.Series(made, index=source.index))
    return found


def _arrow_of(column: Any) -> pa.ChunkedArray:
    import pyarrow as pa

    held = column.array.__arrow_array__()
    return held if isinstance(held, pa.ChunkedArray) else pa.chunked_array([held])


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with its type cast to a common one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    text = str(kind)
    if text.startswith("extension<arrow.bool8"):
        return pa.chunked_array([chunk.storage.cast(pa.bool_()) for chunk in column.chunks], pa.bool_())
    if text.startswith("extension<arrow.uuid"):
        texts = [None if value is None else str(value) for value in column.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])
    if text.startswith("extension"):
        stored = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        return _plain(stored) if is_rare(stored.type) else stored
    if text.startswith("run_end_encoded"):
        decoded = pa.chunked_array([pc.run_end_decode(chunk) for chunk in column.chunks], kind.value_type)
        return _plain(decoded) if is_rare(decoded.type) else decoded
    if text.startswith("dictionary"):
        values = pa.large_string() if "string" in str(kind.value_type) else pa.large_binary()
        chunks = [
            pa.DictionaryArray.from_arrays(chunk.indices, chunk.dictionary.cast(values), ordered=kind.ordered)
            for chunk in column.chunks
        ]
        return pa.chunked_array(chunks, pa.dictionary(kind.index_type, values, kind.ordered))
    if text.startswith("decimal"):
        return column.cast(pa.decimal128(kind.precision, kind.scale))
    return column.cast(pa.type_for_alias(_VIEWS.get(text, "float32")))


def wide_numbers(native: Any, column: str) -> Any:
    """Return a column of whole numbers as the nearest floats if Arrow refuses to cast it, else None.

    Arrow does not cast numbers beyond 2^53, like nanoseconds since 1970.

    Parameters
    ----------
    native : pyarrow.Table or pandas.DataFrame
        Frame that has the column.
    """
    if type(native).__module__.partition(".")[0] == "pyarrow":
        held = native[column]
    elif hasattr(native[column].dtype, "pyarrow_dtype"):
        held = _arrow_of(native[column])
    else:
        return None
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    ends = pc.min_max(held).as_py()
    if all(end is None or abs(end) <= 2**53 for end in ends.values()):
        return None
    numbers = pc.cast(held, pa.float64(), safe=False)
    if isinstance(native, pd.DataFrame):
        return pd.Series(pd.array(numbers, dtype=pd.ArrowDtype(pa.float64())), index=native.index, name=column)
    return numbers

"""Backends: the library or engine that holds a frame's rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    Frame = nw.LazyFrame[Any] | nw.DataFrame[Any]

# Engines outside of this process: narwhals' names and their own.
ENGINES = {"pyspark": "Spark", "pyspark_connect": "Spark", "dask": "Dask", "ibis": "Ibis"}


def backend_of(frame: Frame) -> str:
    """Return the name of a frame's backend: 'pandas', 'polars', 'pyarrow', 'duckdb' or one of ENGINES."""
    return frame.implementation.name.lower()


def is_elsewhere(frame: Frame) -> bool:
    """Return whether an engine outside of this process holds the rows."""
    return backend_of(frame) in ENGINES

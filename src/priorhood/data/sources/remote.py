"""Frames of engines outside of this process, Spark, Dask and Ibis: what narwhals does not cover.

Such frames compute where their rows are. An engine is only imported if the user has a frame of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from priorhood._text import row_count
from priorhood.data.sources.backend import ENGINES, backend_of
from priorhood.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import narwhals.stable.v2 as nw

    from priorhood.data.sources.backend import Frame

# Rows that may be brought here if rows are needed, not sums: some hundred MB as a pandas frame.
MAX_ROWS = 1_000_000


def as_numbers(frame: Frame, columns: Iterable[str]) -> Frame:
    """Return the rows with truth values in some columns as 1 and 0: PostgreSQL cannot cast them to decimals."""
    import narwhals.stable.v2 as nw

    if backend_of(frame) != "ibis":
        return frame
    schema = frame.collect_schema()
    truths = [column for column in dict.fromkeys(columns) if schema[column] == nw.Boolean]
    return frame.with_columns(*(nw.col(column).cast(nw.Int32) for column in truths)) if truths else frame


def condition_elsewhere(native: Any, kind: str, where: str, name: str) -> Any:
    """Return a native frame with the SQL condition as a boolean column, false if it is unknown.

    Spark and Ibis's engines read their own SQL. Dask has no SQL: DuckDB evaluates the condition on every partition,
    in the worker that holds it.
    """
    if kind == "dask":
        # The meta frame has no rows: an invalid condition fails here, before any row is read.
        return native.map_partitions(_partition, where, name, meta=_partition(native._meta, where, name))
    if kind == "ibis":
        import ibis

        backend, schema = native.get_backend(), {**native.schema(), name: ibis.dtype("boolean")}
        rows, held_there = ibis.to_sql(native), f'coalesce(({where}), false) AS "{name}"'
        selected = f"SELECT *, {held_there} FROM ({rows}) AS rows_there"  # noqa: S608  # the condition is SQL
        held = backend.sql(selected, schema=ibis.schema(schema))
        held.limit(0).to_pandas()  # so that errors are raised here
        return held
    return native.selectExpr("*", f"coalesce(({where}), false) AS `{name}`")


def _partition(part: Any, where: str, name: str) -> Any:
    """Return one partition of a Dask frame, a pandas frame, with the condition. Runs in the workers."""
    import duckdb

    alone = {
        "enable_external_access": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(config={**alone, "threads": 1}) as connection:
        held = connection.from_df(part.reset_index(drop=True)).project(f"coalesce(({where}), false) AS held")
        return part.assign(**{name: held.fetchnumpy()["held"].astype(bool)})


def join_values(frame: Frame, key: str, columns: dict[str, dict[str, Any]]) -> Frame:
    """Return the rows with columns of values for the text in `key`, which is dropped, by a join with a small table.

    The table goes to the engine whole (Spark is told to broadcast it). The order of rows is not guaranteed.
    """
    import narwhals.stable.v2 as nw
    import pyarrow as pa

    texts = sorted({text for values in columns.values() for text in values})
    found = {key: texts, **{name: [values.get(text) for text in texts] for name, values in columns.items()}}
    textual = [key, *(n for n, values in columns.items() if any(isinstance(v, str) for v in values.values()))]
    types = {name: pa.string() if name in textual else pa.float64() for name in found}
    table = pa.table({name: pa.array(values, types[name]) for name, values in found.items()})
    native: Any = frame.to_native()
    backend = backend_of(frame)
    small: Any
    if backend.startswith("pyspark"):
        small = native.sparkSession.createDataFrame(table).hint("broadcast")
    elif backend == "ibis":
        import ibis

        small = ibis.memtable(table)
    else:
        import dask.dataframe as dd

        library: Any = dd
        # pandas has several types of text, and a join needs the same one on both sides.
        small = library.from_pandas(table.to_pandas(), npartitions=1)
        small = small.astype(dict.fromkeys(textual, native.dtypes[key]))
    rows: Any = frame
    joined: Frame = rows.join(nw.from_native(small), on=key, how="left").drop(key)
    return joined


def count_labels(frame: Frame, column: str) -> tuple[int, int]:
    """Return the number of rows, and the approximate number of distinct values of a column, in constant memory.

    The latter is within a few per cent; PostgreSQL counts exactly.

    Raises
    ------
    TableError
        The engine failed, with its own message.
    """
    import narwhals.stable.v2 as nw

    kind = backend_of(frame)
    native: Any = frame.to_native()
    if kind == "dask":
        import dask

        library: Any = dask
        asked = native[column].size, native[column].nunique_approx()
        rows, labels = answer_of(kind, lambda: library.compute(*asked))
        return int(rows), round(labels)
    if kind == "ibis":
        asked = native.aggregate(rows=native.count(), labels=native[column].approx_nunique())
    else:
        quoted = "`" + column.replace("`", "``") + "`"
        asked = native.selectExpr("count(*) AS rows", f"approx_count_distinct({quoted}, 0.02) AS labels")
    found = fetch(nw.from_native(asked))
    return int(found["rows"][0]), int(found["labels"][0])


def fetch(frame: Frame) -> nw.DataFrame[Any]:
    """Return a result in memory: PyArrow's from Spark, else pandas'.

    Raises
    ------
    TableError
        The engine failed, with its own message.
    """
    kind = backend_of(frame)
    lazy: Any = frame
    found: nw.DataFrame[Any] = answer_of(
        kind, lambda: lazy.collect("pyarrow" if kind.startswith("pyspark") else "pandas")
    )
    return found


def fetch_rows(frame: Frame, max_rows: int = MAX_ROWS) -> nw.DataFrame[Any]:
    """Return the rows in memory as a pandas frame, in the order in which the engine returns them.

    Raises
    ------
    TableError
        More rows than `max_rows`, or the engine failed.
    """
    import narwhals.stable.v2 as nw

    found: Any = fetch(frame.head(max_rows + 1)).to_pandas().reset_index(drop=True)
    if len(found) > max_rows:
        raise TableError(
            f"this needs the rows themselves, and the {ENGINES[backend_of(frame)]} table has more than "
            f"{row_count(max_rows)}; a fit by the exact engine only needs sums. Select fewer rows there, for "
            f"example those of a few places, or transfer them in batches"
        )
    return nw.from_native(found, eager_only=True)


def answer_of(kind: str, ask: Callable[[], Any]) -> Any:
    """Return an engine's answer; raise its errors, whose types differ between engines, as TableError."""
    try:
        return ask()
    except TableError:
        raise
    except Exception as problem:  # noqa: BLE001  # a lost worker, no such table, a full disk: whatever it was
        advice = "fix the problem on that engine, where the columns can be inspected, and try again"
        if _LOST.search(f"{type(problem).__name__} {problem}"):
            advice = (
                "a worker or the connection was lost, and nothing was written here: see the engine's own log, give "
                "its workers more memory or smaller partitions, and try again"
            )
        raise TableError(f"{ENGINES[kind]} failed: {one_line(problem)}; {advice}") from None


_LOST = re.compile(
    r"lost|killed|heartbeat|connection|closed|terminat|refused|shut ?down|unavailable", re.IGNORECASE
)


def one_line(problem: BaseException) -> str:
    """Return an engine's error message as one line, without its traceback."""
    text = re.split(r"\n\s*(?:at |JVM stacktrace|SQLSTATE|== SQL|LINE \d|Driver stacktrace)", str(problem))[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    message = re.sub(r"\s+", " ", " ".join(lines[:3])).strip().rstrip(".;")
    # Py4J puts the call before the message.
    message = re.sub(r"^An error occurred while calling \S+ : ", "", message)
    shown = message if len(message) <= 500 else f"{message[:500]} …"
    return f"{type(problem).__name__}: {shown}" if shown else type(problem).__name__

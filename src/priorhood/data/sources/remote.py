"""Frames whose rows are on another engine, Spark's, Dask's or one that Ibis speaks to: what is otherwise there.

Such frames say what to compute, and compute it where the rows are. narwhals has one language for all of them;
here is what that language does not say. None of the engines is imported but by those who have its frame.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from priorhood._text import rows_of, sql_name
from priorhood.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import narwhals.stable.v2 as nw

    Frame = nw.LazyFrame[Any] | nw.DataFrame[Any]

# narwhals' names of the engines, and their own.
ENGINES = {"pyspark": "Spark", "pyspark_connect": "Spark", "dask": "Dask", "ibis": "Ibis"}
# Rows that may come here where rows themselves are asked for, not sums: as a pandas frame some hundred MB.
MOST_ROWS = 1_000_000


def kind_of(frame: Frame) -> str:
    """Narwhals' name of what holds the rows, as a Table has it: 'pandas', 'duckdb', 'pyspark' …"""
    return str(frame.implementation).lower().rsplit(".", 1)[-1].replace("implementation", "").strip("<>: '\"")


def is_elsewhere(frame: Frame) -> bool:
    """Whether an engine other than this process holds the rows."""
    return kind_of(frame) in ENGINES


def as_numbers(frame: Frame, columns: Iterable[str]) -> Frame:
    """Columns of truths that serve as numbers, as 1 and 0: PostgreSQL makes no decimals of truths."""
    import narwhals.stable.v2 as nw

    if kind_of(frame) != "ibis":
        return frame
    schema = frame.collect_schema()
    truths = [column for column in dict.fromkeys(columns) if schema[column] == nw.Boolean]
    return frame.with_columns(*(nw.col(column).cast(nw.Int32) for column in truths)) if truths else frame


def with_condition(native: Any, kind: str, where: str, name: str) -> Any:
    """A native frame with the SQL condition as a boolean column, false where it is unknown.

    Spark and Ibis's engines read their own SQL. Dask has none: there DuckDB looks at every partition, on the
    worker that has it.
    """
    if kind == "dask":
        # The meta frame has no rows, so that a condition that cannot be read is found before any is.
        return native.map_partitions(_partition, where, name, meta=_partition(native._meta, where, name))
    if kind == "ibis":
        import ibis

        backend, schema = native.get_backend(), {**native.schema(), name: ibis.dtype("boolean")}
        rows, held_there = ibis.to_sql(native), f'coalesce(({where}), false) AS "{name}"'
        selected = f"SELECT *, {held_there} FROM ({rows}) AS rows_there"  # noqa: S608  # the condition is SQL
        held = backend.sql(selected, schema=ibis.schema(schema))
        held.limit(0).to_pandas()  # said to be wrong now, or never
        return held
    return native.selectExpr("*", f"coalesce(({where}), false) AS `{name}`")


def _partition(part: Any, where: str, name: str) -> Any:
    """One partition of a Dask frame, a pandas frame, with the condition; runs on the workers."""
    import duckdb

    alone = {
        "enable_external_access": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    with duckdb.connect(config={**alone, "threads": 1}) as connection:
        held = connection.from_df(part.reset_index(drop=True)).project(f"coalesce(({where}), false) AS held")
        return part.assign(**{name: held.fetchnumpy()["held"].astype(bool)})


def beside(frame: Frame, key: str, columns: dict[str, dict[str, Any]]) -> Frame:
    """The rows with columns of values found by the text in `key`, which is taken away: a join with a small table.

    The table goes to the engine once and whole (Spark is told to broadcast it). No order of rows is promised.
    """
    import narwhals.stable.v2 as nw

    texts = sorted({text for values in columns.values() for text in values})
    found = {name: [values.get(text) for text in texts] for name, values in columns.items()}
    textual = {name for name, values in columns.items() if any(isinstance(v, str) for v in values.values())}
    small: Any = nw.from_native(_small(frame.to_native(), kind_of(frame), {key: texts, **found}, [key, *textual]))
    rows: Any = frame
    joined: Frame = rows.join(small, on=key, how="left").drop(key)
    return joined


def _small(native: Any, kind: str, columns: dict[str, list[Any]], textual: list[str]) -> Any:
    """Columns of this process, numbers but for the textual ones, as a frame of the engine that has `native`."""
    import pyarrow as pa

    types = {name: pa.string() if name in textual else pa.float64() for name in columns}
    table = pa.table({name: pa.array(values, types[name]) for name, values in columns.items()})
    if kind.startswith("pyspark"):
        return native.sparkSession.createDataFrame(table).hint("broadcast")
    if kind == "ibis":
        import ibis

        return ibis.memtable(table)
    import dask.dataframe as dd

    taken: Any = dd
    # pandas has several kinds of text, and a join wants one.
    small = taken.from_pandas(table.to_pandas(), npartitions=1)
    return small.astype(dict.fromkeys(textual, native.dtypes[textual[0]]))


def counted_labels(frame: Frame, column: str) -> tuple[int, int]:
    """Rows, and different values of a column, within a few per cent: in memory that does not grow with them.

    PostgreSQL alone counts exactly.

    Raises
    ------
    TableError : whatever stopped the engine, in its own words
    """
    import narwhals.stable.v2 as nw

    kind = kind_of(frame)
    native: Any = frame.to_native()
    if kind == "dask":
        import dask

        library: Any = dask
        asked = native[column].size, native[column].nunique_approx()
        rows, labels = told(kind, lambda: library.compute(*asked))
        return int(rows), round(labels)
    if kind == "ibis":
        asked = native.aggregate(rows=native.count(), labels=native[column].approx_nunique())
    else:
        asked = native.selectExpr(
            "count(*) AS rows", f"approx_count_distinct({sql_name(column, '`')}, 0.02) AS labels"
        )
    found = fetched(nw.from_native(asked))
    return int(found["rows"][0]), int(found["labels"][0])


def fetched(frame: Frame) -> nw.DataFrame[Any]:
    """A result, brought here: as PyArrow's from Spark, else as pandas'.

    Raises
    ------
    TableError : whatever stopped the engine, in its own words
    """
    kind = kind_of(frame)
    lazy: Any = frame
    found: nw.DataFrame[Any] = told(
        kind, lambda: lazy.collect("pyarrow" if kind.startswith("pyspark") else "pandas")
    )
    return found


def rows_fetched(frame: Frame, most: int = MOST_ROWS) -> nw.DataFrame[Any]:
    """Rows themselves, brought here as a pandas frame, in the order that the engine gives them.

    Raises
    ------
    TableError : more than `most`; whatever stopped the engine
    """
    import narwhals.stable.v2 as nw

    found: Any = fetched(frame.head(most + 1)).to_pandas().reset_index(drop=True)
    if len(found) > most:
        raise TableError(
            f"this needs the rows themselves, and {ENGINES[kind_of(frame)]} has more than {rows_of(most)}; a fit "
            f"by the exact engine takes sums from there alone. Choose the rows wanted there, such as those of a "
            f"few places, or bring them here in parts"
        )
    return nw.from_native(found, eager_only=True)


def told(kind: str, ask: Callable[[], Any]) -> Any:
    """What an engine answers; its errors, of which every engine has its own kinds, as ours."""
    try:
        return ask()
    except TableError:
        raise
    except Exception as problem:  # noqa: BLE001  # a lost worker, no such table, a full disk: whatever it was
        raise TableError(f"{ENGINES[kind]} stopped: {plain(problem)}; {_advice(problem)}") from None


def plain(problem: BaseException) -> str:
    """An engine's error as one line: what it says first, without what its own programs called."""
    text = re.split(r"\n\s*(?:at |JVM stacktrace|SQLSTATE|== SQL|LINE \d|Driver stacktrace)", str(problem))[0]
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = re.sub(r"\s+", " ", " ".join(lines[:3])).strip().rstrip(".;")
    # Py4J puts what it called before what was said.
    said = re.sub(r"^An error occurred while calling \S+ : ", "", said)
    shown = said if len(said) <= 500 else f"{said[:500]} …"
    return f"{type(problem).__name__}: {shown}" if shown else type(problem).__name__


_LOST = re.compile(
    r"lost|killed|heartbeat|connection|closed|terminat|refused|shut ?down|unavailable", re.IGNORECASE
)


def _advice(problem: BaseException) -> str:
    if _LOST.search(f"{type(problem).__name__} {problem}"):
        return (
            "a worker or the connection was lost, and nothing was written here: see the engine's own log, give its "
            "workers more memory or smaller partitions, and run the same call again"
        )
    return "fix it on that engine, where the same columns can be looked at, and run the same call again"

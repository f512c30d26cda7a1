"""File, frame or relation → Table: named columns, lazily read, on whatever backend holds the rows.

Nothing but this module knows files and frames. Columns are typed when their role is known: a
group's labels are text whatever they look like, so a file is opened only then.
"""

from __future__ import annotations

import glob
import json
import os
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood.elsewhere import (
    ENGINES,
    as_text,
    fetched,
    is_elsewhere,
    kind_of,
    plain,
    rows_fetched,
    told,
    with_condition,
)
from priorhood.errors import TableError, near, some
from priorhood.files import check_writable, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import duckdb
    import narwhals.stable.v2 as nw

    Frame = nw.LazyFrame[Any] | nw.DataFrame[Any]

# The boolean column that holds the outcome of where= for every row.
KEPT = "__priorhood_kept"

_SUFFIXES = {
    "csv": (".csv", ".csv.gz", ".csv.zst", ".txt"),
    "tsv": (".tsv", ".tsv.gz", ".tab"),
    "parquet": (".parquet", ".pq"),
    "json": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
}


@dataclass(frozen=True)
class Table:
    """Rows somewhere, not read yet.

    name : for messages: the path, or the kind of frame
    columns : the names there are
    kind : 'file', 'pandas', 'polars', 'polars-lazy', 'pyarrow', 'duckdb' or one of the engines elsewhere
    open : roles → narwhals frame, with the column KEPT where where= is given
    where : the row filter as SQL, or None
    joined : the columns that came from a table of places (places=)
    """

    name: str
    columns: tuple[str, ...]
    kind: str
    open: Callable[[frozenset[str]], Any]
    where: str | None = None
    joined: tuple[str, ...] = ()

    def require(self, column: str, role: str) -> None:
        """Raise unless the column is there."""
        if column not in self.columns:
            raise TableError(f"{self.name} has no column {column!r} ({role}): {near(column, self.columns)}")

    def eager(self, numbers: Iterable[str]) -> nw.DataFrame[Any]:
        """All rows in memory, in order; a CSV's columns other than `numbers` as the text they are."""
        text = frozenset(self.columns) - frozenset(numbers) if self.kind not in ENGINES else frozenset()
        with explained(self.name):
            frame = self.open(text)
            return in_memory(frame)

    def frame(self, text: Iterable[str]) -> Frame:
        """The rows as a narwhals frame; the columns named in text come as text, untouched."""
        with explained(self.name):
            opened: Frame = self.open(frozenset(text) & frozenset(self.columns))
            return opened


def read(source: object, *, where: str | None = None, nulls: Iterable[str] = (), decimal: str = ".") -> Table:
    """Take a table of rows, without reading it yet.

    Parameters
    ----------
    source : path or glob of CSV, TSV, Parquet or JSON-lines files; a pandas or Polars frame (eager or
        lazy); a PyArrow table; a DuckDB relation; a PySpark or Dask frame or an Ibis table, whose rows stay
        where they are; a mapping of columns; or a Table
    where : SQL condition on the rows, such as "living_space > 0 and price > 0"
    nulls : texts in a CSV that mean a missing value, besides nothing at all: ["NA", "n/a"]
    decimal : decimal sign of a CSV

    Raises
    ------
    TableError : no such file, nothing in it, a condition that cannot be read
    """
    if isinstance(source, Table):
        return source if where is None else _with_where(source, where)
    if decimal not in (".", ","):
        raise TableError(f"decimal must be '.' or ',', not {decimal!r}")
    if isinstance(source, str | Path):
        return _read_file(str(source), where, tuple(nulls), decimal)
    if isinstance(source, dict):
        source = _from_mapping(source)
    return _read_frame(source, where)


def connection() -> duckdb.DuckDBPyConnection:
    """The one DuckDB connection of this process, of our own, so that no user's settings are touched."""
    return _connection(os.getpid())


@cache
def _connection(process: int) -> duckdb.DuckDBPyConnection:  # noqa: ARG001  # a fork has no threads of its parent's
    import duckdb

    return duckdb.connect()


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn the backends' errors on bad rows into ours, which name the column and the value."""
    import duckdb

    try:
        yield
    except duckdb.Error as problem:
        raise TableError(f"{name}: {_plain(str(problem))}") from None


def _plain(message: str) -> str:
    spoilt = re.search(
        r'Error when converting column "([^"]+)"\. Could not convert string "(.*?)" to ', message, re.DOTALL
    )
    if spoilt:
        value = spoilt[2].strip('"')
        line = re.search(r"CSV Error on Line: (\d+)", message)
        where = f" in line {line[1]}" if line else ""
        return (
            f"column {spoilt[1]!r} holds {value!r}{where} among numbers; mend the file, or say that "
            f"{value!r} means a missing value (nulls=[{value!r}], --null {value!r})"
        )
    text = re.sub(r"\s+", " ", message.split("\nLINE")[0].split("\n\n")[0]).strip()
    return re.sub(r"^\w+ Error: ", "", text)


# -- files ---------------------------------------------------------------------------------------------


def _read_file(path: str, where: str | None, nulls: tuple[str, ...], decimal: str) -> Table:
    files = sorted(glob.glob(path)) if glob.has_magic(path) else [path]  # noqa: PTH207
    missing = [f for f in files if not Path(f).exists()]
    if missing or not files:
        raise TableError(f"no file {path!r}{nearby_files(path)}")
    if Path(files[0]).is_dir():
        raise TableError(f"{path!r} is a folder; name its files, like '{path.rstrip('/')}/*.parquet'")
    kind = _kind(files[0])
    if all(Path(f).stat().st_size == 0 for f in files):
        raise TableError(f"file {path!r} is empty")

    def relation(text: frozenset[str]) -> duckdb.DuckDBPyRelation:
        return _scan(kind, files, text, nulls, decimal)

    with explained(path):
        columns = tuple(relation(frozenset()).columns)

    def opened(text: frozenset[str]) -> Any:
        import narwhals.stable.v2 as nw

        return nw.from_native(_kept(relation(text), where))

    table = Table(path, columns, "file", opened, where)
    if where is not None:
        table.frame(())
    return table


def _kind(path: str) -> str:
    for kind, suffixes in _SUFFIXES.items():
        if path.lower().endswith(suffixes):
            return kind
    if path.lower().endswith((".geojson", ".json", ".shp", ".gpkg")):
        raise TableError(
            f"{path!r} is no table, by its name; polygons are for the map (priorhood plot map FILE POLYGONS) and "
            f"the report (--places POLYGONS), tables are .csv, .tsv, .parquet or .jsonl"
        )
    known = some([s for suffixes in _SUFFIXES.values() for s in suffixes], 20)
    raise TableError(f"cannot tell the format of {path!r} by its name; known are {known}")


def nearby_files(path: str) -> str:
    """': did you mean …?' where a file of the folder is named almost so."""
    folder = Path(path).parent
    names = [f.name for f in folder.iterdir() if f.is_file()] if folder.is_dir() else []
    hint = near(Path(path).name, names)
    return f": {hint}" if hint.startswith("did you") else ""


def _scan(
    kind: str, files: Any, text: frozenset[str], nulls: tuple[str, ...], decimal: str
) -> duckdb.DuckDBPyRelation:
    con = connection()
    if kind == "parquet":
        return con.read_parquet(files)
    if kind == "json":
        relation = con.read_json(files, format="newline_delimited")
        # Text columns are read again as text, before any digits could be lost.
        types = dict(zip(relation.columns, map(str, relation.types), strict=True))
        lossy = {c: "VARCHAR" if c in text else t for c, t in types.items()}
        return con.read_json(files, format="newline_delimited", columns=lossy)
    # The quote is said, not sniffed: quotes may come late in a file.
    options: dict[str, Any] = {
        "header": True,
        "quotechar": '"',
        "escapechar": '"',
        "na_values": ["", *nulls],
        "decimal": decimal,
    }
    if kind == "tsv":
        options["delimiter"] = "\t"
    if text:
        options["dtype"] = dict.fromkeys(sorted(text), "VARCHAR")
    return con.read_csv(files, **options)


def _no_condition(where: str, why: str) -> str:
    if not where.strip():
        return "the where condition is empty; write it like 'living_space > 0 and price > 0'"
    return f"where {where!r} is no condition on rows ({why}); write it like 'living_space > 0 and price > 0'"


def _kept(relation: duckdb.DuckDBPyRelation, where: str | None) -> duckdb.DuckDBPyRelation:
    if where is None:
        return relation
    _check_where(where)
    import duckdb

    try:
        return relation.project(f'*, coalesce(({where}), false) AS "{KEPT}"')
    except duckdb.BinderException as problem:
        unknown = re.search(r'column "?([^"]+?)"? (?:was )?not found', str(problem), re.IGNORECASE)
        if unknown is None:
            raise TableError(_no_condition(where, _plain(str(problem)))) from None
        why = f"no column {unknown[1]!r}: {near(unknown[1], relation.columns)}"
        raise TableError(_no_condition(where, why)) from None
    except duckdb.Error:
        raise TableError(_no_condition(where, "a syntax error")) from None


def _check_where(where: str) -> None:
    if not where.strip() or ";" in where or "--" in where:
        raise TableError(_no_condition(where, "it has a ; or -- in it"))


# -- frames --------------------------------------------------------------------------------------------


def _from_mapping(columns: dict[Any, Any]) -> Any:
    import pandas as pd

    try:
        # One home may be given by plain values.
        scalar = all(isinstance(v, str) or not hasattr(v, "__len__") for v in columns.values())
        return pd.DataFrame({k: [v] for k, v in columns.items()} if scalar else columns)
    except ValueError as problem:
        raise TableError(f"the columns given do not make a table: {problem}") from None


def _read_frame(source: object, where: str | None) -> Table:
    import narwhals.stable.v2 as nw

    try:
        frame: Any = nw.from_native(source)
        schema = frame.collect_schema
        columns = tuple((told(kind_of(frame), schema) if is_elsewhere(frame) else schema()).names())
    except nw.exceptions.DuplicateError as problem:
        repeated = str(problem).splitlines()[-1].strip("- ")
        raise TableError(f"the frame has a column more than once: {repeated}; rename it") from None
    except TypeError:
        raise TableError(
            f"cannot read a table from {type(source).__name__}; give a path, a pandas, Polars or PyArrow "
            f"frame, a DuckDB relation, a PySpark or Dask frame, an Ibis table or a mapping of columns"
        ) from None
    kind = kind_of(frame)
    if kind in ENGINES:
        table = Table(f"{ENGINES[kind]} frame", columns, kind, lambda text: as_text(frame, text))
        return table if where is None else _with_where(table, where)
    if kind == "polars" and isinstance(frame, nw.LazyFrame):
        kind = "polars-lazy"
    table = Table(f"{kind} frame", columns, kind, lambda _: frame)
    return table if where is None else _with_where(table, where)


def _with_where(table: Table, where: str) -> Table:
    """A frame's rows with the SQL condition evaluated by the engine that fits it."""
    import narwhals.stable.v2 as nw

    _check_where(where)
    if table.where is not None:
        where = f"({table.where}) and ({where})"
    if table.kind == "file":
        raise TableError("give where= where the file is read: read(path, where=...)")

    def opened(text: frozenset[str]) -> Any:
        native: Any = table.open(text).to_native()
        if table.kind.startswith("polars"):
            import polars as pl

            flag = pl.sql_expr(where).fill_null(value=False).alias(KEPT)
            return nw.from_native(native.with_columns(flag))
        if table.kind in ENGINES:
            try:
                return nw.from_native(with_condition(native, table.kind, where, KEPT))
            except Exception as problem:  # noqa: BLE001  # each engine has its own
                raise TableError(_no_condition(where, plain(problem))) from None
        relation = (
            native
            if table.kind == "duckdb"
            else connection().from_arrow(native)
            if (table.kind == "pyarrow")
            else connection().from_df(native)
        )
        return nw.from_native(_kept(relation, where))

    filtered = Table(table.name, table.columns, table.kind, opened, where)
    try:
        filtered.frame(()).collect_schema()
    except TableError:
        raise
    except Exception as problem:  # noqa: BLE001  # each backend has its own
        raise TableError(_no_condition(where, str(problem).splitlines()[0])) from None
    return filtered


# -- out of the backend ---------------------------------------------------------------------------------


def collected(frame: Frame) -> dict[str, Any]:
    """A small result as NumPy columns; text with None for missing."""
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        frame = fetched(frame)
    if isinstance(frame, nw.LazyFrame):
        if str(frame.implementation).lower().endswith("duckdb"):
            found: dict[str, Any] = frame.to_native().fetchnumpy()
            return {name: _unmasked(values) for name, values in found.items()}
        frame = frame.collect() if "polars" in str(frame.implementation).lower() else frame.collect("pandas")
    return {name: frame[name].to_numpy() for name in frame.columns}


def _unmasked(values: Any) -> Any:
    import numpy as np

    if isinstance(values, np.ma.MaskedArray):
        empty = None if values.dtype.kind in "OUS" else np.nan
        filled: Any = values.astype(object if empty is None else float)
        return filled.filled(empty)
    return values


def missing(frame: Frame, column: str) -> nw.Expr:
    """Whether a row has no value in a column: null, NaN, or blank text."""
    import narwhals.stable.v2 as nw

    dtype = frame.collect_schema()[column]
    none = nw.col(column).is_null()
    if dtype.is_float():
        return none | nw.col(column).is_nan()
    if dtype in (nw.String, nw.Categorical, nw.Enum, nw.Object):
        return none | (nw.col(column).cast(nw.String).str.strip_chars() == "")
    return none


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


def with_columns(table: Table, frame: nw.DataFrame[Any], columns: dict[str, Any]) -> Any:
    """The collected rows with columns added, as the kind of frame the table was; pandas for files and engines."""
    import narwhals.stable.v2 as nw

    native: Any = frame.to_native()
    if table.kind in ("pandas", "file", "duckdb", *ENGINES):
        result = native.assign(**columns)
        return connection().from_df(result) if table.kind == "duckdb" else result
    backend = frame.implementation
    added = [nw.new_series(name, values.tolist(), backend=backend) for name, values in columns.items()]
    result = frame.with_columns(*added).to_native()
    return result.lazy() if table.kind == "polars-lazy" else result


_WRITABLE = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".parquet", ".jsonl", ".ndjson")


def check_output(path: str | Path, *inputs: str | Path) -> None:
    """Raise before any work is done if a table cannot be written there, or would replace an input."""
    check_writable(path, *inputs)
    if not str(path).lower().endswith(_WRITABLE):
        raise TableError(f"cannot write a table to {str(path)!r}; its name must end in one of {some(_WRITABLE, 9)}")


def write_frame(frame: Any, path: str | Path) -> None:
    """Write a pandas frame as CSV, TSV, Parquet or JSON lines by the file's name, whole or not at all."""
    kind = _kind(str(path))
    if kind == "json":
        # pandas' own writer keeps 15 decimals, not 15 digits.
        rows = frame.astype(object).where(frame.notna(), None).to_dict(orient="records")
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        write_atomically(path, lambda name: Path(name).write_text(text, encoding="utf-8"))
    elif kind == "parquet":
        write_atomically(path, lambda name: connection().from_df(frame).write_parquet(name))
    else:
        write_atomically(path, lambda name: frame.to_csv(name, index=False, sep="\t" if kind == "tsv" else ","))

"""Files of rows → DuckDB relations: formats by name, conditions on rows.

Nothing but this module knows files of rows. A column's type follows from its role: a group's labels are
text whatever they look like, so a file is opened only when roles are known.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood.complaints import plainly
from priorhood.errors import TableError, near, some
from priorhood.machine import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

# The boolean column that holds the outcome of where= for every row.
KEPT = "__priorhood_kept"

DATABASE = "duckdb"

_SUFFIXES = {
    "csv": (".csv", ".csv.gz", ".csv.zst", ".txt"),
    "tsv": (".tsv", ".tsv.gz", ".tab"),
    "parquet": (".parquet", ".pq"),
    "json": (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"),
    DATABASE: (".duckdb", ".ddb"),
}


def connection() -> duckdb.DuckDBPyConnection:
    """The one DuckDB connection of this process, of our own, so that no user's settings are touched."""
    con, threads = _connection(os.getpid()), _threads.get() or cores()
    if _given.get(os.getpid()) != threads:
        con.execute(f"SET threads = {threads}")
        _given[os.getpid()] = threads
    return con


# Threads of the connection, by process.
_given: dict[int, int] = {}


@cache
def _connection(process: int) -> duckdb.DuckDBPyConnection:  # noqa: ARG001  # a fork has no threads of its parent's
    import duckdb

    return _quiet(duckdb.connect(config=_settings()))


def reading(database: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB file opened to read; it is let go of with the last relation of the connection.

    Raises
    ------
    TableError : another program, or this one, has it open to write
    """
    import duckdb

    try:
        return _quiet(duckdb.connect(database, read_only=True, config=_settings()))
    except duckdb.ConnectionException:
        raise TableError(
            f"{database!r} is open in this program already, by a connection with other settings: close that one, "
            f"or give a relation of it"
        ) from None
    except duckdb.IOException as problem:
        why = "another program has it open to write" if "lock" in str(problem) else plainly(str(problem))
        raise TableError(f"cannot read {database!r}: {why}") from None


def _quiet(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Without DuckDB's own bar of progress: a fit shows one."""
    import duckdb

    # In a notebook without ipywidgets there is none, and setting it is an error.
    with suppress(duckdb.InvalidInputException):
        con.execute("SET enable_progress_bar = false")
    return con


def _settings() -> dict[str, Any]:
    """Of every connection of our own: threads, and where a group-by goes that memory does not hold."""
    return {"threads": _threads.get() or cores(), "temp_directory": str(spilled())}


def spilled() -> Path:
    """Where a group-by of this process goes that memory does not hold; gone with its connection."""
    return Path(tempfile.gettempdir()) / f"priorhood-{os.getpid()}"


_threads: ContextVar[int | None] = ContextVar("threads", default=None)


@contextmanager
def using(threads: int | None) -> Iterator[None]:
    """Let DuckDB take so many threads for what is read inside; all cores if None."""
    before = _threads.set(threads)
    try:
        yield
    finally:
        _threads.reset(before)


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn the backends' errors on bad rows into ours, which name the column and the value."""
    import duckdb

    try:
        yield
    except duckdb.Error as problem:
        raise TableError(f"{name}: {plainly(str(problem), name)}") from None


def format_of(path: str) -> str:
    """The format of a file of rows, by its name."""
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


def no_condition(where: str, why: str) -> str:
    """Why a where= cannot be read, and how to write one."""
    if not where.strip():
        return "the where condition is empty; write it like 'living_space > 0 and price > 0'"
    return f"where {where!r} is no condition on rows ({why}); write it like 'living_space > 0 and price > 0'"


def kept(relation: duckdb.DuckDBPyRelation, where: str | None) -> duckdb.DuckDBPyRelation:
    """The rows with the column KEPT where there is a condition."""
    if where is None:
        return relation
    check_where(where)
    import duckdb

    try:
        return relation.project(f'*, coalesce(({where}), false) AS "{KEPT}"')
    except duckdb.BinderException as problem:
        unknown = re.search(r'column "?([^"]+?)"? (?:was )?not found', str(problem), re.IGNORECASE)
        if unknown is None:
            raise TableError(no_condition(where, plainly(str(problem)))) from None
        why = f"no column {unknown[1]!r}: {near(unknown[1], relation.columns)}"
        raise TableError(no_condition(where, why)) from None
    except duckdb.Error:
        raise TableError(no_condition(where, "a syntax error")) from None


def check_where(where: str) -> None:
    """Raise where a condition is empty, or more than a condition."""
    if not where.strip() or ";" in where or "--" in where:
        raise TableError(no_condition(where, "it has a ; or -- in it"))

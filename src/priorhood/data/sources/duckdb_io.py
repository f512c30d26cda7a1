"""DuckDB: connections, settings and errors; and the format of a file by its extension."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import threading
import weakref
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood._system import cores, is_folder
from priorhood._text import argument, code_or_command, preview, sql_text, suggestion
from priorhood.data.sources.duckdb_errors import reword_message
from priorhood.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

# Boolean column: whether a row meets where=.
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
    """Return this thread's connection to a DuckDB database of priorhood, so that the user's settings never change.

    A connection in use refuses other threads. All connections of this process with the same number of threads share
    one database, with its memory: changing the number of threads during a sum would change its last bits.
    """
    import duckdb

    key = os.getpid(), _threads.get() or cores()
    con = _mine.connections.get(key)
    if con is None:
        if key not in _databases:  # of two made at once, one is dropped
            _databases.setdefault(key, duckdb.connect(config=_settings(str(key[1]))))
        con = _mine.connections[key] = _quiet(_databases[key].cursor())
    return con


class _Connections(dict[tuple[int, int], "duckdb.DuckDBPyConnection"]):
    """Connections by process and number of threads: a fork lacks its parent's threads, and closes nothing."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # compared by identity


class _Mine(threading.local):
    """The connections of one thread."""

    def __init__(self) -> None:
        self.connections = _Connections()
        _every.add(self.connections)


_every: weakref.WeakSet[_Connections] = weakref.WeakSet()
_mine = _Mine()
_databases = _Connections()


@atexit.register
def close_connections() -> None:
    """Close all connections before the interpreter ends; DuckDB reports those of running threads as leaks."""
    for connections in (*_every, _databases):
        for key in [key for key in connections if key[0] == os.getpid()]:
            connections.pop(key, None)


# Settings for the user's databases, whose views could read any file that the user can read. They need no lock,
# since nothing can undo them; they come first, see _settings.
_SEALED = {"enable_external_access": False, "allow_persistent_secrets": False}


def reading(database: str) -> duckdb.DuckDBPyConnection:
    """Return a connection that can only read one DuckDB file; its last relation closes the file.

    Raises
    ------
    TableError
        Another program, or this one, has the file open for writing.
    """
    import duckdb

    # All connections to a file have the settings of the first, which another thread may have made.
    wanted = {**_SEALED, **_settings(hashlib.sha256(os.path.realpath(database).encode()).hexdigest()[:12])}
    _asked.add(wanted["threads"])
    for threads in (wanted["threads"], *sorted(_asked)):
        try:
            if os.getpid() == _LOADED_IN:
                return _quiet(duckdb.connect(database, read_only=True, config={**wanted, "threads": threads}))
            # A thread that this fork lacks may hold the lock of DuckDB's list of open files: attach instead.
            con = _quiet(duckdb.connect(config={name: v for name, v in wanted.items() if name not in _SEALED}))
            con.execute(f"ATTACH {sql_text(database)} AS {KEPT} (TYPE duckdb, READ_ONLY)")
            con.execute(f"USE {KEPT}")
            for setting in _SEALED:
                con.execute(f"SET {setting} = false")
            return con
        except duckdb.ConnectionException:
            continue
        except duckdb.IOException as problem:
            why = (
                "another program has it open for writing"
                if "lock" in str(problem)
                else reword_message(str(problem))
            )
            raise TableError(f"cannot read {database!r}: {why}") from None
    raise TableError(
        f"{database!r} is already open in this program, through a connection with other settings: close that "
        f"connection, or pass a relation from it"
    )


# The process that loaded this module; others are its forks.
_LOADED_IN = os.getpid()


# Numbers of threads with which this process opened databases.
_asked: set[int] = set()


def _quiet(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Return the connection without DuckDB's progress bar, since a fit shows its own."""
    import duckdb

    # In a notebook without ipywidgets there is no progress bar, and the setting is an error.
    with suppress(duckdb.InvalidInputException):
        con.execute("SET enable_progress_bar = false")
    return con


def _settings(name: str) -> dict[str, Any]:
    """Return the settings of every database: threads, folder for temporary files, no extensions.

    DuckDB applies them from the last to the first, and refuses a temporary folder once access to other files is
    disabled.
    """
    return {
        "threads": _threads.get() or cores(),
        "temp_directory": str(spill_folder(name)),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def spill_folder(name: str = "") -> Path:
    """Return the folder for temporary files of this process, which is deleted with its database.

    With some versions of DuckDB, databases that share a folder write into each other's files.
    """
    return Path(tempfile.gettempdir()) / f"priorhood-{os.getpid()}{name and f'-{name}'}"


def clear_spill_folders() -> None:
    """Delete the temporary files, for a process that is about to end."""
    for folder in (spill_folder(), *spill_folder().parent.glob(f"{spill_folder().name}-*")):
        shutil.rmtree(folder, ignore_errors=True)


_threads: ContextVar[int | None] = ContextVar("threads", default=None)


@contextmanager
def using(threads: int | None) -> Iterator[None]:
    """Let DuckDB use this many threads inside the context; all cores if None."""
    before = _threads.set(threads)
    try:
        yield
    finally:
        _threads.reset(before)


@contextmanager
def explain_errors(name: str) -> Iterator[None]:
    """Turn DuckDB's errors into TableError, with the table's name and advice."""
    import duckdb

    try:
        yield
    except duckdb.Error as problem:
        raise TableError(f"{name}: {reword_message(str(problem), name)}") from None


def format_of(path: str) -> str:
    """Return the format of a file of rows, by its extension."""
    for kind, suffixes in _SUFFIXES.items():
        if path.lower().endswith(suffixes):
            return kind
    if path.lower().endswith((".geojson", ".json", ".shp", ".gpkg")):
        raise TableError(
            f"{path!r} does not look like a table (judging by its extension); tables are .csv, .tsv, .parquet or "
            f".jsonl files, and polygons are for maps and reports ({argument('polygons')})"
        )
    if path.lower().endswith(".moments"):
        raise TableError(
            f"{path!r} holds sums, not rows (judging by its extension); "
            + code_or_command(
                f"read it with priorhood.load_moments({path!r})", "pass it to priorhood fit without a table"
            )
        )
    if path.lower().endswith(".nc"):
        raise TableError(
            f"{path!r} is a posterior, not rows (judging by its extension); "
            + code_or_command(
                f"read it with priorhood.load({path!r})",
                "pass it to a command for posteriors, such as priorhood summary",
            )
        )
    known = preview([s for suffixes in _SUFFIXES.values() for s in suffixes], 20)
    raise TableError(f"unknown file format: {path!r}; supported extensions are {known}")


def nearby_files(path: str) -> str:
    """Return ': did you mean …?' if a file in the folder has a similar name, else ''."""
    folder = Path(path).parent
    names = [f.name for f in folder.iterdir() if f.is_file()] if is_folder(folder) else []
    hint = suggestion(Path(path).name, names)
    return f": {hint}" if hint.startswith("did you") else ""

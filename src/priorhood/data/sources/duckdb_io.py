"""Files of rows → DuckDB relations: formats by name, conditions on rows.

Nothing but this module knows files of rows. A column's type follows from its role: a group's labels are
text whatever they look like, so a file is opened only when roles are known.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import re
import shutil
import tempfile
import threading
import weakref
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood._system import cores, is_folder
from priorhood._text import near, some, sql_name, sql_text
from priorhood.data.sources.column_names import as_engines
from priorhood.data.sources.duckdb_errors import plainly
from priorhood.errors import TableError

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
    """The thread's connection to a DuckDB of our own, so that no user's settings are touched.

    A connection in use refuses other threads. The database, with its memory and its threads, is one for all of this
    process who want as many threads: changing that under a sum would change its last bits.
    """
    key = os.getpid(), _threads.get() or cores()
    con = _mine.connections.get(key)
    if con is None:
        con = _mine.connections[key] = _quiet(_database(key).cursor())
    return con


class _Connections(dict[tuple[int, int], "duckdb.DuckDBPyConnection"]):
    """By process and threads: a fork lacks its parent's threads, and closes nothing."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # one is no other, whatever both hold


class _Mine(threading.local):
    """What one thread has."""

    def __init__(self) -> None:
        self.connections = _Connections()
        _every.add(self.connections)


_every: weakref.WeakSet[_Connections] = weakref.WeakSet()
_mine = _Mine()
_databases = _Connections()


@atexit.register
def _let_go() -> None:
    """Before the interpreter ends, which leaves a running thread what it has: DuckDB then tells of leaks."""
    for connections in (*_every, _databases):
        for key in [key for key in connections if key[0] == os.getpid()]:
            connections.pop(key, None)


def _database(key: tuple[int, int]) -> duckdb.DuckDBPyConnection:
    """The first connection to a database of the process; where two threads make one at once, the later goes."""
    import duckdb

    if key not in _databases:
        _databases.setdefault(key, duckdb.connect(config=_settings(str(key[1]))))
    return _databases[key]


# What a stranger's database may not do: its views are theirs, and would read whatever its reader can. Settings are
# not locked: nobody can undo these, and a connection silences DuckDB's bar itself. They come first, see _settings.
_SEALED = {"enable_external_access": False, "allow_persistent_secrets": False}


def reading(database: str) -> duckdb.DuckDBPyConnection:
    """A DuckDB file opened to read, and no other file; it is let go of with the last relation of the connection.

    Raises
    ------
    TableError : another program, or this one, has it open to write
    """
    import duckdb

    # Connections to one file have the settings of the first, which another thread may have made.
    wanted = {**_SEALED, **_settings(hashlib.sha256(os.path.realpath(database).encode()).hexdigest()[:12])}
    _asked.add(wanted["threads"])
    for threads in (wanted["threads"], *sorted(_asked)):
        try:
            if os.getpid() != _LOADED_IN:
                return _attached(database, wanted)
            return _quiet(duckdb.connect(database, read_only=True, config={**wanted, "threads": threads}))
        except duckdb.ConnectionException:
            continue
        except duckdb.IOException as problem:
            why = "another program has it open to write" if "lock" in str(problem) else plainly(str(problem))
            raise TableError(f"cannot read {database!r}: {why}") from None
    raise TableError(
        f"{database!r} is open in this program already, by a connection with other settings: close that one, "
        f"or give a relation of it"
    )


# Another process is a fork of the one that loaded this module.
_LOADED_IN = os.getpid()


def _attached(database: str, wanted: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """The same in a fork. DuckDB has a list of all open files, which a thread that is not there may hold."""
    import duckdb

    con = _quiet(duckdb.connect(config={name: value for name, value in wanted.items() if name not in _SEALED}))
    con.execute(f"ATTACH {sql_text(database)} AS {KEPT} (TYPE duckdb, READ_ONLY)")
    con.execute(f"USE {KEPT}")
    for setting in _SEALED:
        con.execute(f"SET {setting} = false")
    return con


# Numbers of threads that a database was opened with in this process.
_asked: set[int] = set()


def _quiet(con: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    """Without DuckDB's own bar of progress: a fit shows one."""
    import duckdb

    # In a notebook without ipywidgets there is none, and setting it is an error.
    with suppress(duckdb.InvalidInputException):
        con.execute("SET enable_progress_bar = false")
    return con


def _settings(name: str) -> dict[str, Any]:
    """Of every database that we open: threads, where a group-by goes that memory does not hold, no extensions.

    DuckDB takes them from the last to the first, and no temporary directory once other files are out of reach.
    """
    return {
        "threads": _threads.get() or cores(),
        "temp_directory": str(spilled(name)),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }


def spilled(name: str = "") -> Path:
    """Where a group-by of this process goes that memory does not hold; gone with its database.

    Databases that share a folder would, by some versions of DuckDB, write into each other's files.
    """
    return Path(tempfile.gettempdir()) / f"priorhood-{os.getpid()}{name and f'-{name}'}"


def clear_spilled() -> None:
    """Delete what a process that ends at once would leave there."""
    for folder in (spilled(), *spilled().parent.glob(f"{spilled().name}-*")):
        shutil.rmtree(folder, ignore_errors=True)


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
    if path.lower().endswith(".moments"):
        raise TableError(f"{path!r} has sums, by its name, not rows; priorhood.load_moments({path!r}) reads it")
    if path.lower().endswith(".nc"):
        raise TableError(f"{path!r} is a posterior, by its name, not rows; priorhood.load({path!r}) reads it")
    known = some([s for suffixes in _SUFFIXES.values() for s in suffixes], 20)
    raise TableError(f"cannot tell the format of {path!r} by its name; known are {known}")


def nearby_files(path: str) -> str:
    """': did you mean …?' where a file of the folder is named almost so."""
    folder = Path(path).parent
    names = [f.name for f in folder.iterdir() if f.is_file()] if is_folder(folder) else []
    hint = near(Path(path).name, names)
    return f": {hint}" if hint.startswith("did you") else ""


def no_condition(where: str, why: str) -> str:
    """Why a where= cannot be read, and how to write one."""
    if not where.strip():
        return "the where condition is empty; write it like 'living_space > 0 and price > 0'"
    return f"where {where!r} is no condition on rows ({why}); write it like 'living_space > 0 and price > 0'"


def kept(relation: duckdb.DuckDBPyRelation, where: str | None, *, sealed: bool = False) -> duckdb.DuckDBPyRelation:
    """The rows with the column KEPT where there is a condition.

    Parameters
    ----------
    sealed : whether the relation is of a database that reads no other file, whose tables a condition may ask
    """
    if where is None:
        return relation
    check_where(where)
    _check_alike(where, _expression(where, sealed=sealed), relation)
    import duckdb

    try:
        return relation.project(f'*, coalesce(({where}), false) AS "{KEPT}"')
    except duckdb.BinderException as problem:
        unknown = re.search(r'column "?([^"]+?)"? (?:was )?not found', str(problem), re.IGNORECASE)
        kind = re.search(r"values of type (\w+) and BOOLEAN in COALESCE", str(problem))
        if kind is not None:
            held = "a text" if kind[1] == "VARCHAR" else f"of type {kind[1]}"
            raise TableError(no_condition(where, f"it is {held}, neither true nor false; compare it")) from None
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


_ASKS = "it asks for more than the row's own columns"
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`")
# What begins a query within an expression, and functions of engines elsewhere that read files or run programs.
_QUERY = re.compile(
    r"\(\s*(?:select|from|table|with)\b|/\*"
    r"|\b(?:java_method|try_reflect|reflect|pg_\w+|lo_\w+|dblink\w*|query_to_xml\w*|read_\w+|load_file|getenv)\s*\(",
    re.IGNORECASE,
)


def check_elsewhere(where: str) -> None:
    """Raise where a condition in another engine's SQL is a query of its own, which would read tables and files."""
    check_where(where)
    # A backslash quotes a quote in some engines, and none in others.
    bare = where if "\\" in where else _QUOTED.sub("''", where)
    if _QUERY.search(bare):
        raise TableError(no_condition(where, _ASKS))


def _expression(where: str, *, sealed: bool) -> dict[str, Any]:
    """The condition as DuckDB parses it; raise where that is more than one expression of a row's columns.

    A view, a table and a file are named in a query within it; a variable of Python's would be found by its name.
    """
    parsed = _parsed(where)
    nodes = [statement["node"] for statement in parsed["statements"]]
    alone = len(nodes) == 1 and len(nodes[0].get("select_list", ())) == 1
    if not (alone and nodes[0]["from_table"]["type"] == "EMPTY"):
        raise TableError(no_condition(where, "a syntax error"))
    if not sealed and any(map(_reads, _parts_of(parsed))):
        raise TableError(no_condition(where, _ASKS))
    return parsed


# What depends on whether a whole number is held as one, which a CSV does not say, or on the moment.
_UNSURE = {
    "//": "// divides whole numbers and others in different ways; write floor(a / b)",
    "divide": "divide() does so to whole numbers and others in different ways; write floor(a / b)",
    **dict.fromkeys(
        ("hash", "typeof", "pg_typeof"), "{}() asks how a number is stored, which is not the same in every file"
    ),
    **dict.fromkeys(
        ("random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "nextval"),
        "{}() is another one each time that the rows are read; make a column of it",
    ),
}
_BY_PLACE = ("row_number", "ntile", "lag", "lead", "first", "first_value", "last", "last_value", "nth_value")
_TEXTS = ("||", "concat", "concat_ws", "format", "printf")
_NUMBERS = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DOUBLE|FLOAT|DECIMAL.*")


def _check_alike(where: str, parsed: dict[str, Any], relation: duckdb.DuckDBPyRelation) -> None:
    """Raise where the same row could meet the condition in one file or frame and not in another."""
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    numbers = {as_engines(name) for name, kind in kinds.items() if _NUMBERS.fullmatch(kind)}
    for node in _parts_of(parsed):
        name = str(node.get("function_name", "")).lower()
        if name in _BY_PLACE and node.get("class") == "WINDOW" and not node["orders"]:
            raise TableError(
                f"where {where!r}: {name}() without an order counts rows as they happen to come; give it one, "
                f"like {name}(…) over (order by …)"
            )
        if name in _UNSURE:
            raise TableError(f"where {where!r}: {_UNSURE[name].format(name)}")
        if name in _TEXTS or _cast_to(node) in ("VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR"):
            for column in _written_out(node):
                if as_engines(column) in numbers:
                    raise TableError(
                        f"where {where!r}: {column!r} is a number, which is the text 50 in some files or frames "
                        f"and 50.0 in others; compare numbers, or write {sql_name(column)}::bigint::varchar"
                    )


def _cast_to(node: dict[str, Any]) -> str:
    """The type that a node of a parsed condition casts to; '' for others."""
    if node.get("type") != "OPERATOR_CAST":
        return ""
    # Versions of DuckDB before 1.5 have the type by its id.
    return str(node["type_expr"]["type_name"] if "type_expr" in node else node["cast_type"]["id"]).upper()


def _written_out(node: Any) -> Iterator[str]:
    """The columns in a node that become text there: none of a comparison, or cast to a whole number before."""
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif (
            isinstance(one, dict)
            and one.get("class") != "COMPARISON"
            and not _cast_to(one).endswith(("INT", "INTEGER"))
        ):
            if one.get("type") == "COLUMN_REF":
                yield one["column_names"][-1]
            waiting += one.values()


def columns_of(where: str) -> list[str]:
    """The names that a condition reads, as DuckDB parses it; all words of one that it cannot parse."""
    try:
        nodes = list(_parts_of(_parsed(where)))
    except TableError:  # in the SQL of another engine
        return re.findall(r"\w+", where)
    return [name for node in nodes if node.get("type") == "COLUMN_REF" for name in node["column_names"]]


_ORDERED = ("COMPARE_LESSTHAN", "COMPARE_GREATERTHAN", "COMPARE_LESSTHANOREQUALTO", "COMPARE_GREATERTHANOREQUALTO")


def orderings(where: str) -> list[tuple[str, str]]:
    """The columns that a condition compares with a text by <, >, <=, >= or between, each with that text."""
    found = []
    try:
        nodes = list(_parts_of(_parsed(where)))
    except TableError:  # in the SQL of another engine
        return []
    for node in nodes:
        if node.get("type") in _ORDERED:
            pairs = [(node["left"], node["right"]), (node["right"], node["left"])]
        elif node.get("type") in ("COMPARE_BETWEEN", "COMPARE_NOT_BETWEEN"):
            pairs = [(node["input"], node["lower"]), (node["input"], node["upper"])]
        else:
            continue
        for one, other in pairs:
            literal = other.get("literal") or {}
            if one.get("type") == "COLUMN_REF" and literal.get("kind") == "STRING":
                found.append((str(one["column_names"][-1]), str(literal["text"])))
    return found


def _parsed(where: str) -> dict[str, Any]:
    """DuckDB's own account of a condition.

    Raises
    ------
    TableError : it is none
    """
    said = connection().execute("SELECT json_serialize_sql($1)", [f"SELECT ({where}\n)"]).fetchall()
    try:
        parsed: dict[str, Any] = json.loads(said[0][0])
    except RecursionError:
        raise TableError(no_condition(where, "it is nested too deeply")) from None
    if parsed["error"]:
        raise TableError(no_condition(where, "a syntax error"))
    return parsed


def _parts_of(parsed: Any) -> Iterator[dict[str, Any]]:
    """Every node of a parsed query."""
    waiting = [parsed]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
        if isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one


_OF_ROWS = ("unnest", "range", "generate_series")


def _reads(node: dict[str, Any]) -> bool:
    """Whether a node names a table, or calls a function that makes one of something else than the row."""
    kind = node.get("type")
    if kind == "TABLE_FUNCTION":
        return node["function"].get("function_name") not in _OF_ROWS
    return kind in ("BASE_TABLE", "SHOW_REF") or node.get("function_name") == "getenv"

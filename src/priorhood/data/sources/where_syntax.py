"""Conditions on rows (where=) as DuckDB parses them: checks, and the columns that they read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from priorhood._text import sql_name, suggestion
from priorhood.data.sources.column_names import as_engines
from priorhood.data.sources.duckdb_errors import reword_message
from priorhood.data.sources.duckdb_io import KEPT, connection
from priorhood.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb


def invalid_where(where: str, why: str) -> str:
    """Return the message for an invalid where=, with an example of a valid one."""
    if not where.strip():
        return "the where condition is empty; write it like 'living_space > 0 and price > 0'"
    return f"where {where!r} is not a valid row condition ({why}); write it like 'living_space > 0 and price > 0'"


def with_condition(
    relation: duckdb.DuckDBPyRelation, where: str, *, sealed: bool = False
) -> duckdb.DuckDBPyRelation:
    """Return the rows with the column KEPT: whether a row meets the condition.

    Parameters
    ----------
    sealed : bool
        Whether the relation's connection can read no other file, so that a condition may query the database.
    """
    check_where(where)
    parsed = _parsed(where)
    nodes = [statement["node"] for statement in parsed["statements"]]
    alone = len(nodes) == 1 and len(nodes[0].get("select_list", ())) == 1
    if not (alone and nodes[0]["from_table"]["type"] == "EMPTY"):
        raise TableError(invalid_where(where, "a syntax error"))
    # Queries within a condition could read views, tables, files, and even Python variables.
    for node in () if sealed else _nodes(parsed):
        reads_more = node.get("type") in ("BASE_TABLE", "SHOW_REF") or node.get("function_name") == "getenv"
        if node.get("type") == "TABLE_FUNCTION":
            reads_more = node["function"].get("function_name") not in _OF_ROWS
        if reads_more:
            raise TableError(invalid_where(where, ONLY_COLUMNS), reason=ONLY_COLUMNS)
    _check_same_everywhere(where, parsed, relation)
    import duckdb

    try:
        return relation.project(f'*, coalesce(({where}), false) AS "{KEPT}"')
    except duckdb.BinderException as problem:
        unknown = re.search(r'column "?([^"]+?)"? (?:was )?not found', str(problem), re.IGNORECASE)
        kind = re.search(r"values of type (\w+)(?:\(.*\))? and BOOLEAN in COALESCE", str(problem))
        if kind is not None:
            value = "a string" if kind[1] == "VARCHAR" else f"of type {kind[1]}"
            why = f"its value is {value}, neither true nor false; compare it with something"
            if kind[1] in ("TUPLE", "STRUCT", "ROW"):
                why = "a comma separates two values; write decimals with a point and thousands without a separator"
            raise TableError(invalid_where(where, why)) from None
        if "Catalog" in str(problem):
            raise TableError(invalid_where(where, "it calls a method, which SQL does not have")) from None
        if unknown is None:
            raise TableError(invalid_where(where, reword_message(str(problem)))) from None
        why = f"no column {unknown[1]!r}: {suggestion(unknown[1], relation.columns)}"
        raise TableError(invalid_where(where, why)) from None
    except duckdb.Error:
        raise TableError(invalid_where(where, "a syntax error")) from None


def check_where(where: str) -> None:
    """Raise if a condition is empty, or more than one condition."""
    if not where.strip() or ";" in where or "--" in where:
        raise TableError(invalid_where(where, "it contains ; or --"))


# Functions that make a table from values of the row.
_OF_ROWS = ("unnest", "range", "generate_series")
ONLY_COLUMNS = "it reads more than the columns of the rows"
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`")
# The beginning of a query in an expression, and functions of engines elsewhere that read files or run programs.
_QUERY = re.compile(
    r"\(\s*(?:select|from|table|with)\b|/\*"
    r"|\b(?:java_method|try_reflect|reflect|pg_\w+|lo_\w+|dblink\w*|query_to_xml\w*|read_\w+|load_file|getenv)\s*\(",
    re.IGNORECASE,
)


def check_elsewhere(where: str) -> None:
    """Raise if a condition in another engine's SQL contains a query, which could read tables and files."""
    check_where(where)
    # In some engines a backslash quotes a quote.
    bare = where if "\\" in where else _QUOTED.sub("''", where)
    if _QUERY.search(bare):
        raise TableError(invalid_where(where, ONLY_COLUMNS), reason=ONLY_COLUMNS)


# Functions whose result depends on how a number is stored, which a CSV does not specify, or on the time.
_UNSURE = {
    "//": "// divides whole numbers and decimals differently; write floor(a / b)",
    "divide": "divide() divides whole numbers and decimals differently; write floor(a / b)",
    **dict.fromkeys(
        ("hash", "typeof", "pg_typeof"), "{}() depends on how a number is stored, which differs between files"
    ),
    **dict.fromkeys(
        ("random", "uuid", "uuidv4", "uuidv7", "gen_random_uuid", "nextval"),
        "{}() differs each time that the rows are read; store it in a column",
    ),
}
_BY_PLACE = ("row_number", "ntile", "lag", "lead", "first", "first_value", "last", "last_value", "nth_value")
_TEXTS = ("||", "concat", "concat_ws", "format", "printf")
_NUMBERS = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)INT|U?INTEGER|DOUBLE|FLOAT|DECIMAL.*")


def _check_same_everywhere(where: str, parsed: dict[str, Any], relation: duckdb.DuckDBPyRelation) -> None:
    """Raise if the same row could meet the condition in one file or frame and not in another."""
    kinds = dict(zip(relation.columns, map(str, relation.types), strict=True))
    numbers = {as_engines(name) for name, kind in kinds.items() if _NUMBERS.fullmatch(kind)}
    for node in _nodes(parsed):
        name = str(node.get("function_name", "")).lower()
        if name in _BY_PLACE and node.get("class") == "WINDOW" and not node["orders"]:
            raise TableError(
                f"where {where!r}: {name}() without an order depends on the arbitrary order of the rows; specify "
                f"one, such as {name}(…) over (order by …)"
            )
        if name in _UNSURE:
            raise TableError(f"where {where!r}: {_UNSURE[name].format(name)}")
        if name in _TEXTS or _cast_to(node) in ("VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR"):
            for column in _columns_as_text(node):
                if as_engines(column) in numbers:
                    raise TableError(
                        f"where {where!r}: {column!r} is a number; converted to text it is '50' in some files "
                        f"or frames and '50.0' in others; compare numbers, or write "
                        f"{sql_name(column)}::bigint::varchar"
                    )


def _cast_to(node: dict[str, Any]) -> str:
    """Return the type that a node of a parsed condition casts to; '' for other nodes."""
    if node.get("type") != "OPERATOR_CAST":
        return ""
    # Versions of DuckDB before 1.5 give the type by its id.
    return str(node["type_expr"]["type_name"] if "type_expr" in node else node["cast_type"]["id"]).upper()


def _columns_as_text(node: Any) -> Iterator[str]:
    """Yield the columns that a node converts to text, except in comparisons, or after a cast to whole numbers."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif (
            isinstance(part, dict)
            and part.get("class") != "COMPARISON"
            and not _cast_to(part).endswith(("INT", "INTEGER"))
        ):
            if part.get("type") == "COLUMN_REF":
                yield part["column_names"][-1]
            waiting += part.values()


def columns_of(where: str) -> list[str]:
    """Return the names that a condition reads; all of its words if DuckDB cannot parse it."""
    try:
        nodes = list(_nodes(_parsed(where)))
    except TableError:  # in the SQL of another engine
        return re.findall(r"\w+", where)
    return [name for node in nodes if node.get("type") == "COLUMN_REF" for name in node["column_names"]]


_ORDERED = ("COMPARE_LESSTHAN", "COMPARE_GREATERTHAN", "COMPARE_LESSTHANOREQUALTO", "COMPARE_GREATERTHANOREQUALTO")


def orderings(where: str) -> list[tuple[str, str]]:
    """Return pairs of a column and the text that a condition compares it with by <, >, <=, >= or between."""
    found = []
    try:
        nodes = list(_nodes(_parsed(where)))
    except TableError:  # in the SQL of another engine
        return []
    for node in nodes:
        if node.get("type") in _ORDERED:
            pairs = [(node["left"], node["right"]), (node["right"], node["left"])]
        elif node.get("type") in ("COMPARE_BETWEEN", "COMPARE_NOT_BETWEEN"):
            pairs = [(node["input"], node["lower"]), (node["input"], node["upper"])]
        else:
            continue
        for column, value in pairs:
            literal = value.get("literal") or {}
            if column.get("type") == "COLUMN_REF" and literal.get("kind") == "STRING":
                found.append((str(column["column_names"][-1]), str(literal["text"])))
    return found


def _parsed(where: str) -> dict[str, Any]:
    """Return DuckDB's syntax tree of a condition; raise TableError if it cannot be parsed."""
    tree = connection().execute("SELECT json_serialize_sql($1)", [f"SELECT ({where}\n)"]).fetchall()
    try:
        parsed: dict[str, Any] = json.loads(tree[0][0])
    except RecursionError:
        raise TableError(invalid_where(where, "it is nested too deeply")) from None
    if parsed["error"]:
        raise TableError(invalid_where(where, "a syntax error"))
    return parsed


def _nodes(parsed: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of a syntax tree."""
    waiting = [parsed]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
        if isinstance(part, dict | list):
            waiting += part.values() if isinstance(part, dict) else part

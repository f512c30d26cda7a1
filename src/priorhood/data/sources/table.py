"""Files, frames and relations as a Table: named columns, read lazily, on whatever backend holds the rows.

Columns get their types once their roles are known: a group's labels are text whatever they look like, so a file is
only opened then.
"""

from __future__ import annotations

import os
import re
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood._arguments import suggest_argument_names
from priorhood._text import argument, join_words, suggestion
from priorhood.data.number_formats import DEFAULT_FORMAT, PLAIN, NumberFormat
from priorhood.data.parse_numbers import NumberParser
from priorhood.data.sources.arrow import with_common_types
from priorhood.data.sources.backend import ENGINES, backend_of, is_elsewhere
from priorhood.data.sources.column_names import ambiguous_columns
from priorhood.data.sources.columns import in_memory, restored, with_readings
from priorhood.data.sources.duckdb_io import KEPT, connection, explain_errors
from priorhood.data.sources.files import SEVERAL_FILES, Parts, find_parts
from priorhood.data.sources.remote import answer_of
from priorhood.data.sources.where_filter import flag_rows
from priorhood.data.sources.where_syntax import invalid_where
from priorhood.errors import TableError
from priorhood.model.tokens import brief, same_letters, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import narwhals.stable.v2 as nw

    from priorhood.data.sources.backend import Frame

# Backends that read Price and price as one name.
ONE_CASE = ("duckdb", "pyspark", "pyspark_connect", "ibis")
# Prefix of the columns that priorhood adds.
OWN = "__priorhood"


@dataclass(frozen=True)
class Table:
    """Rows of a file, frame or database that have not been read yet; made by read().

    Attributes
    ----------
    name : str
        Name for messages: the path, or the kind of frame.
    columns : tuple of str
        Names of the columns.
    kind : str
        'file', 'pandas', 'polars', 'polars-lazy', 'pyarrow', 'duckdb', or one of ENGINES.
    open : callable
        Function from the columns to read as text to a narwhals frame, with the column KEPT if there is a condition;
        a file ignores the condition if KEPT is among the columns of text.
    where : str or None
        Condition on rows in SQL.
    joined : tuple of str
        Columns from a table of places (places=).
    orders : dict of str to tuple of str
        Categories of those columns, in the order of their type.
    ambiguous : dict of str to str
        Columns whose name an engine treats as the same as another one's, with an explanation.
    number_format : NumberFormat
        Nulls and separators in texts, as given by the user.
    parts : Parts or None
        Files of the table; None for a frame.
    unchecked_thousands : set of str
        Columns of a CSV whose first texts have no thousands, and whose other texts have not been checked.
    checked : set of str
        Checks that were made, like columns for thousands, so that warnings are given once.

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.read({"area": [50, 70], "price": [1, 2]}).columns
    ('area', 'price')
    """

    name: str
    columns: tuple[str, ...]
    kind: str
    open: Callable[[frozenset[str]], Any]
    where: str | None = None
    joined: tuple[str, ...] = ()
    orders: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ambiguous: dict[str, str] = field(default_factory=dict)
    number_format: NumberFormat = DEFAULT_FORMAT
    parts: Parts | None = None
    unchecked_thousands: set[str] = field(default_factory=set, compare=False)
    checked: set[str] = field(default_factory=set, compare=False)

    @property
    def csv(self) -> Parts | None:
        """Files of a CSV or TSV table, whose columns are texts; None for other tables."""
        return self.parts if self.parts is not None and self.parts.separated else None

    def require(self, column: str, role: str, advice: str = "") -> None:
        """Raise unless the table has the column and it can be used; `advice` names alternatives for the user."""
        unusable = self.parts.unusable if self.parts is not None else {}
        why = unusable.get(column) or self.ambiguous.get(column)
        if why is not None:
            raise TableError(f"{self.name}: column {column!r} ({role}) {why}")
        if column not in self.columns:
            instead = _instead(column, tuple(c for c in self.columns if c not in self.ambiguous), role)
            in_later_line = self.parts.header_advice(column) if self.parts is not None else None
            why = in_later_line or f"{instead}{advice}"
            raise TableError(f"{self.name} has no column {brief(column)} ({role}): {why}")

    def check_unambiguous(self, columns: Iterable[str]) -> None:
        """Raise if the engine that reads the rows cannot distinguish one of the columns from another."""
        for column in columns:
            if column in self.ambiguous:
                raise TableError(f"{self.name}: column {column!r} {self.ambiguous[column]}")

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Let no other thread read a DuckDB relation inside the context: all threads share its connection."""
        if self.kind != "duckdb":
            yield
            return
        # A lock per process: a fork lacks the thread that may have held its parent's lock.
        with _relations.setdefault(os.getpid(), threading.RLock()), explain_errors(self.name):
            yield

    def eager(self, numbers: Iterable[str], labels: Iterable[str]) -> nw.DataFrame[Any]:
        """Return all rows in memory, in order; a file's columns other than `numbers` as their original text.

        Except in labels, texts are converted to numbers if the user gave separators for them, so that a table that
        is returned to the user has its numbers in one form.
        """
        import narwhals.stable.v2 as nw

        numbers, labels = tuple(numbers), tuple(labels)
        self.check_unambiguous((*numbers, *labels))
        kept = frozenset(labels) & frozenset(self.columns)
        text = frozenset(self.columns) - frozenset(numbers) if self.kind == "file" else kept
        with explain_errors(self.name), self.exclusive():
            if self.kind == "file" and self.where:
                # The condition is evaluated as in a fit, on numbers: a second reading has the same order of rows.
                rows = in_memory(self._labelled(self.open(text | {KEPT}), kept))
                rows = nw.concat([rows, in_memory(self.open(kept).select(KEPT))], how="horizontal")
            else:
                rows = in_memory(self._labelled(self.open(text), kept))
            integers = self.parts.integer_columns() if self.parts is not None else ()
            whole = [n for n in numbers if n in integers]
            if self.parts is not None and self.number_format.separators != PLAIN:
                before = rows.schema
                text = kept | self.parts.non_text_columns()
                rows = in_memory(NumberParser(self.number_format).read(rows, text))
                # 1.250 too, which no reader takes for a whole number.
                whole += [c for c in rows.columns if rows.schema[c] != before[c] and rows.schema[c].is_float()]
            if self.kind != "file" and len(set(self.columns)) == len(self.columns):
                # DuckDB renames one of two ambiguous columns when it evaluates a condition.
                rows = rows.rename(
                    {c: name for c, name in zip(rows.columns, self.columns, strict=False) if c != name}
                )
            # Columns that have only whole numbers become integers again.
            floats = [c for c in whole if rows.schema[c].is_float()]
            whole = [c for c in floats if (rows[c].is_finite() & (rows[c].round() == rows[c])).all()]
            return rows.with_columns(nw.col(c).cast(nw.Int64) for c in whole) if whole else rows

    def frame(self, text: Iterable[str]) -> Frame:
        """Return the rows as a narwhals frame; the columns named in `text` come as text, untouched."""
        text = frozenset(text)
        self.check_unambiguous(sorted(text))
        with explain_errors(self.name):
            opened: Frame = self.open(text & frozenset(self.columns))
            return opened

    def _labelled(self, rows: Frame, labels: frozenset[str]) -> Frame:
        """Return DuckDB's rows with numeric labels as texts; their original values are kept under other names.

        Outside of DuckDB decimals become floats, and with older versions so do large whole numbers with nulls.
        """
        import narwhals.stable.v2 as nw

        if backend_of(rows) != "duckdb":
            return rows
        schema = rows.collect_schema()
        numbers = [c for c in sorted(labels) if schema[c].is_integer() or schema[c].is_decimal()]
        return with_readings(rows, {c: nw.col(c).cast(nw.String) for c in numbers}, numbers)


# Locks of relations' connections, by process.
_relations: dict[int, threading.RLock] = {}


def _instead(column: str, columns: tuple[str, ...], role: str) -> str:
    """Return advice on a missing column: which one may be meant."""
    alike = [name for name in columns if same_letters(name, column)]
    if alike:
        letters = ", ".join(f"U+{ord(letter):04X}" for letter in dict.fromkeys(alike[0]) if letter not in column)
        return (
            f"there is {alike[0]!r}, which Unicode treats as equivalent, but it is a different name"
            f"{f' ({letters})' if letters else ''}; copy the name from the table"
        )
    # Without backticks, `Bad / WC` would be Bad.
    whole = [name for name in columns if written(name) != name and column in re.split(r"\W+", name)]
    hint = f"did you mean {join_words(map(repr, whole[:3]), 'or')}?" if whole else suggestion(column, columns)
    odd = [name for name in columns if repr(name) in hint and written(name) != name]
    backtick = next((name for name in odd if "`" in name), None)
    if backtick is not None:
        return f"{hint} A name with a backtick cannot be written in a formula: rename the column {backtick!r}"
    if not odd or "fitted model" in role:  # no formula that could be changed
        return hint
    return f"{hint} (in a formula {', '.join(map(written, odd))}; in a shell, put the formula in single quotes)"


def _checked(columns: tuple[str, ...], name: str) -> tuple[str, ...]:
    """Return the names; raise if one starts like the names that priorhood adds."""
    taken = next((column for column in columns if column.casefold().startswith(OWN)), None)
    if taken is not None:
        raise TableError(
            f"{name}: a column cannot be called {taken!r}, since names like this are reserved; rename it"
        )
    return columns


@suggest_argument_names
def read(
    source: object,
    *,
    where: str | None = None,
    nulls: Iterable[str] = (),
    decimal: str | None = None,
    thousands: str | None = None,
) -> Table:
    """Open a table of rows, without reading them yet.

    Parameters
    ----------
    source : path, frame, mapping or Table
        A path or glob of CSV, TSV, Parquet or JSON-lines files, or a folder of such parts; a DuckDB file,
        "sales.duckdb", or one of several tables in it, "sales.duckdb::homes"; a pandas or Polars frame (eager or
        lazy); a PyArrow table; a DuckDB relation; a PySpark or Dask frame or an Ibis table, whose rows stay where
        they are; a mapping of columns; or a Table.
    where : str, optional
        SQL condition on the rows, such as "living_space > 0 and price > 0".
    nulls : iterable of str
        Texts that mean a missing value, besides empty ones: ["NA", "n/a"].
    decimal : str, optional
        Decimal separator of numbers in texts, as in a CSV; "." by default, or "," if thousands is ".".
    thousands : str, optional
        Thousands separator of numbers in texts: "," in 1,250,000, or one of . ' _ and a space.

    Returns
    -------
    Table
        Its string columns are converted to numbers if all values are numeric under the given nulls and separators.

    Raises
    ------
    TableError
        No such file, an empty one, an invalid condition, or the same separator for decimals and thousands.

    Examples
    --------
    >>> import priorhood as ph
    >>> homes = ph.read({"zip": ["01067", "10115"], "price": ["1.250.000", "980.000"]}, thousands=".")
    >>> homes.columns
    ('zip', 'price')
    >>> homes.eager(numbers=["price"], labels=["zip"])["price"].to_list()
    [1250000.0, 980000.0]
    """
    if where is not None and not isinstance(where, str):
        raise TableError(
            f"where must be a condition in SQL, as text, such as 'living_space > 0 and price > 0', not "
            f"{type(where).__name__}; or filter a frame before it is passed"
        )
    nulls = (nulls,) if isinstance(nulls, str) else tuple(map(str, nulls))
    number_format = NumberFormat(nulls, decimal, thousands or "")
    if isinstance(source, Table):
        if number_format != DEFAULT_FORMAT:
            raise TableError("pass nulls, decimal and thousands when the table is first read: read(path, nulls=…)")
        return source if where is None else _with_where(source, where)
    if isinstance(source, str | Path):
        return _read_file(str(source), where, number_format)
    if isinstance(source, dict):
        import pandas as pd

        try:
            # One home may be given by plain values.
            scalar = all(isinstance(v, str) or not hasattr(v, "__len__") for v in source.values())
            columns = pd.DataFrame({k: [v] for k, v in source.items()} if scalar else source)
        except ValueError as problem:
            raise TableError(f"the given columns do not form a table: {problem}") from None
        return _read_frame(columns, where, number_format, "dict of columns")
    return _read_frame(source, where, number_format)


# -- files ---------------------------------------------------------------------------------------------


def _read_file(path: str, where: str | None, number_format: NumberFormat) -> Table:
    parts = find_parts(path, number_format)
    columns = _checked(parts.columns(), path)
    # A CSV's reader applies nulls when it infers types, except those with separators.
    parser = NumberParser(number_format)
    if parts.separated:
        parser = NumberParser(replace(number_format, nulls=number_format.with_separators), number_format.nulls)
    ambiguous = parts.ambiguous_columns(columns)
    table = Table(
        path, columns, "file", _OfFile(parts, where, parser, ambiguous), where,
        ambiguous=ambiguous, number_format=number_format, parts=parts,
    )  # fmt: skip
    if where is not None:
        table.frame(())
    return table


@dataclass(frozen=True)
class _OfFile:
    """Function that opens files in the calling thread, with that thread's connection."""

    parts: Parts
    where: str | None
    parser: NumberParser
    ambiguous: dict[str, str]

    def __call__(self, text: frozenset[str]) -> Any:
        import narwhals.stable.v2 as nw

        rows = self.parser.read(nw.from_native(self.parts.relation(text - {KEPT})), text)
        if self.where is None or KEPT in text:
            return rows
        return flag_rows(rows, self.where, sealed=self.parts.sealed, ambiguous=self.ambiguous)


# -- frames --------------------------------------------------------------------------------------------


def _read_frame(source: Any, where: str | None, number_format: NumberFormat, name: str = "") -> Table:
    import narwhals.stable.v2 as nw

    # Only pandas has names that are not texts; asking a lazy frame for its columns may be costly.
    names = getattr(source, "columns", None) if type(source).__module__.partition(".")[0] == "pandas" else None
    if names is not None and names.nlevels > 1:
        raise TableError(
            "the frame has multi-level column names: join them, frame.columns = ['_'.join(map(str, name)) "
            "for name in frame.columns]"
        )
    if names is not None and not all(isinstance(name, str) for name in names):
        texts = [str(name) for name in names]
        twice = next((text for at, text in enumerate(texts) if text in texts[:at]), None)
        if twice is not None:
            raise TableError(
                f"the frame has the column {twice!r} more than once, as text and as a number; rename one"
            )
        source = source.set_axis(texts, axis=1)
    source = with_common_types(source)
    try:
        frame: Any = nw.from_native(source)
        schema = frame.collect_schema
        columns = tuple((answer_of(backend_of(frame), schema) if is_elsewhere(frame) else schema()).names())
        # A relation's schema merges two columns with the same name.
        names = tuple(map(str, frame.to_native().columns)) if backend_of(frame) == "duckdb" else columns
    except nw.exceptions.DuplicateError as problem:
        repeated = str(problem).splitlines()[-1].strip("- ")
        raise TableError(f"the frame has a column more than once: {repeated}; rename it") from None
    except TypeError:
        if isinstance(source, list | tuple) and source and all(isinstance(one, str | Path) for one in source):
            raise TableError(f"cannot read a table from a {type(source).__name__}: {SEVERAL_FILES}") from None
        raise TableError(
            f"cannot read a table from {type(source).__name__}; pass a path, a pandas, Polars or PyArrow "
            f"frame, a DuckDB relation, a PySpark or Dask frame, an Ibis table or a mapping of columns"
        ) from None
    kind = backend_of(frame)
    name = name or f"{ENGINES.get(kind, kind)} frame"
    _checked(columns, name)
    if kind == "polars" and isinstance(frame, nw.LazyFrame):
        kind = "polars-lazy"
    ambiguous = ambiguous_columns(names) if kind in ONE_CASE else {}
    opener = _OfFrame(frame.to_native(), kind, NumberParser(number_format))
    table = Table(name, columns, kind, opener, number_format=number_format, ambiguous=ambiguous)
    return table if where is None else _with_where(table, where)


@dataclass(frozen=True)
class _OfFrame:
    """Function that opens a frame."""

    native: Any
    kind: str
    parser: NumberParser

    def __call__(self, text: frozenset[str]) -> Any:
        import narwhals.stable.v2 as nw

        frame: Any = nw.from_native(self.native)
        schema = frame.collect_schema() if self.kind == "pandas" else {}
        readings: dict[str, Any] = {}
        for column in (name for name, dtype in schema.items() if dtype in (nw.Categorical, nw.Enum)):
            held = self.native[column]
            categories = getattr(getattr(held, "cat", None), "categories", None)
            if categories is None or hasattr(held.dtype, "pyarrow_dtype"):
                continue
            # Numeric categories as texts: in a column with gaps pandas writes 1 as 1.0.
            texts = categories.astype(str)
            if categories.inferred_type != "string" and texts.is_unique:
                readings[column] = nw.from_native(held.cat.rename_categories(texts), series_only=True)
        return self.parser.read(with_readings(frame, readings, readings), text)

    def __getstate__(self) -> dict[str, Any]:
        if self.kind == "duckdb" or (self.kind in ENGINES and self.kind != "dask"):
            raise TableError(
                f"the rows of a {ENGINES.get(self.kind, 'duckdb')} frame belong to a connection of this process: "
                f"they cannot be copied or sent to another process; use the path of a file, or a pandas frame"
            )
        return self.__dict__


def _with_where(table: Table, where: str) -> Table:
    """Return a frame's table with a condition, which the backend evaluates, or DuckDB on its behalf."""
    if table.where is not None:
        where = f"({table.where}) and ({where})"
    if table.kind == "file":
        raise TableError(f"pass {argument('where')} when the file is first read: read(path, where=…)")
    if table.kind not in (*ONE_CASE, "polars", "polars-lazy"):
        # DuckDB evaluates the condition.
        table = replace(table, ambiguous=ambiguous_columns(table.columns))
    filtered = replace(table, open=_Filtered(table, where), where=where)
    try:
        with table.exclusive():
            filtered.frame(()).collect_schema()
    except TableError:
        raise
    except Exception as problem:  # noqa: BLE001  # each backend has its own
        raise TableError(invalid_where(where, str(problem).splitlines()[0])) from None
    return filtered


@dataclass(frozen=True)
class _Filtered:
    """Function that opens a frame with the column KEPT."""

    table: Table
    where: str

    def __call__(self, text: frozenset[str]) -> Any:
        return flag_rows(self.table.open(text), self.where, ambiguous=self.table.ambiguous)


def with_columns(table: Table, frame: nw.DataFrame[Any], columns: dict[str, Any]) -> Any:
    """Return rows with added columns, as the same kind of frame as the table; pandas for files and engines."""
    import narwhals.stable.v2 as nw

    frame = restored(frame)
    native: Any = frame.to_native()
    if table.kind in ("pandas", "file", "duckdb", *ENGINES):
        result = native.assign(**columns)
        # A relation for the user gets its own connection, so that ours stay free.
        return connection().cursor().from_df(result) if table.kind == "duckdb" else result
    backend = frame.implementation
    added = [nw.new_series(name, values.tolist(), backend=backend) for name, values in columns.items()]
    result = frame.with_columns(*added)
    if table.kind == "pyarrow" and not backend.is_pyarrow():  # DuckDB has evaluated a condition
        import pyarrow as pa

        return pa.Table.from_pandas(result.to_native(), preserve_index=False)
    return result.to_native().lazy() if table.kind == "polars-lazy" else result.to_native()

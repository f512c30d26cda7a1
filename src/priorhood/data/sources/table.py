"""Files, frames and relations as a Table: named columns, read lazily, on whatever backend holds the rows.

Columns get their types when their roles are known: a group's labels are text whatever they look like, so a file is
opened only then.
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
from priorhood._text import join_words, suggestion
from priorhood.data.number_formats import PLAIN, UNSAID, Spelling
from priorhood.data.sources.arrow import plainly_typed
from priorhood.data.sources.backend import ENGINES, backend_of, is_elsewhere
from priorhood.data.sources.column_names import twins
from priorhood.data.sources.columns import in_memory, restored, with_readings
from priorhood.data.sources.conditions import conditioned
from priorhood.data.sources.duckdb_io import KEPT, connection, explained
from priorhood.data.sources.paths import Parts, find_parts
from priorhood.data.sources.remote import answer_of
from priorhood.data.sources.where_sql import no_condition
from priorhood.data.text_numbers import Numbers
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
        For messages: the path, or the kind of frame.
    columns : tuple of str
        The columns' names.
    kind : str
        'file', 'pandas', 'polars', 'polars-lazy', 'pyarrow', 'duckdb', or one of ENGINES.
    open : callable
        Columns of text → narwhals frame, with the column KEPT where there is a condition; a file leaves the
        condition out where KEPT is among the columns of text.
    where : str or None
        The condition on rows in SQL.
    joined : tuple of str
        Columns that came from a table of places (places=).
    orders : dict of str to tuple of str
        Column → its categories in the order of its type there.
    odd : dict of str to str
        Column → why it cannot be used.
    twins : dict of str to str
        The same for columns that a reader takes for another one.
    whole : callable
        Returns the columns of a file that look like whole numbers.
    typed : callable
        Returns the columns of a file that are no texts in it.
    spelling : Spelling
        How the user says that texts are written.
    written : callable or None
        Columns of a CSV → texts of the first rows, or all different ones, by column.
    unread : set of str
        Columns of a CSV whose first texts have no thousands, and whose other texts are unchecked.
    told : set of str
        What was checked, such as columns for thousands, so that warnings are given once.
    path : str
        The path of a file, whatever `name` adds to it.
    below : callable or None
        Column that is not there → advice where a text file names it in a later line.

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
    odd: dict[str, str] = field(default_factory=dict)
    twins: dict[str, str] = field(default_factory=dict)
    whole: Callable[[], tuple[str, ...]] = field(default_factory=lambda: tuple)
    typed: Callable[[], frozenset[str]] = field(default_factory=lambda: frozenset)
    spelling: Spelling = UNSAID
    written: Callable[..., dict[str, list[str]]] | None = None
    unread: set[str] = field(default_factory=set, compare=False)
    told: set[str] = field(default_factory=set, compare=False)
    path: str = ""
    below: Callable[[str], str | None] | None = None

    def require(self, column: str, role: str, advice: str = "") -> None:
        """Raise unless the column is there and can be used; `advice` says what else the user may do."""
        why = self.odd.get(column) or self.twins.get(column)
        if why is not None:
            raise TableError(f"{self.name}: column {column!r} ({role}) {why}")
        if column not in self.columns:
            instead = _instead(column, tuple(c for c in self.columns if c not in self.twins), role)
            titled = self.below(column) if self.below is not None else None
            why = titled or f"{instead}{advice}"
            raise TableError(f"{self.name} has no column {brief(column)} ({role}): {why}")

    def check_apart(self, columns: Iterable[str]) -> None:
        """Raise where the rows' reader takes a column for another one."""
        for column in columns:
            if column in self.twins:
                raise TableError(f"{self.name}: column {column!r} {self.twins[column]}")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other thread read a DuckDB relation inside the context: all threads share its connection."""
        if self.kind != "duckdb":
            yield
            return
        with _relations, explained(self.name):
            yield

    def eager(self, numbers: Iterable[str], labels: Iterable[str]) -> nw.DataFrame[Any]:
        """Return all rows in memory, in order; a file's columns other than `numbers` as the text they are.

        But for labels, texts become numbers where the user's signs make them some, so that a table that is handed
        back has its numbers in one form.
        """
        import narwhals.stable.v2 as nw

        numbers, labels = tuple(numbers), tuple(labels)
        self.check_apart((*numbers, *labels))
        kept = frozenset(labels) & frozenset(self.columns)
        text = frozenset(self.columns) - frozenset(numbers) if self.kind == "file" else kept
        with explained(self.name), self.alone():
            if self.kind == "file" and self.where:
                # The condition is met as in a fit, with numbers as numbers: a second reading has the same order.
                rows = in_memory(self._labelled(self.open(text | {KEPT}), kept))
                rows = nw.concat([rows, in_memory(self.open(kept).select(KEPT))], how="horizontal")
            else:
                rows = in_memory(self._labelled(self.open(text), kept))
            whole = [n for n in numbers if n in self.whole()]
            if self.kind == "file" and self.spelling.signs != PLAIN:
                before = rows.schema
                rows = in_memory(Numbers(self.spelling).read(rows, kept | self.typed()))
                # 1.250 too, which no reader takes for a whole number.
                whole += [c for c in rows.columns if rows.schema[c] != before[c] and rows.schema[c].is_float()]
            if self.kind != "file" and len(set(self.columns)) == len(self.columns):
                # DuckDB renames one of two twins where it evaluates a condition.
                rows = rows.rename({c: own for c, own in zip(rows.columns, self.columns, strict=False) if c != own})
            # Columns of whole numbers alone become integers again.
            floats = [c for c in whole if rows.schema[c].is_float()]
            whole = [c for c in floats if (rows[c].is_finite() & (rows[c].round() == rows[c])).all()]
            return rows.with_columns(nw.col(c).cast(nw.Int64) for c in whole) if whole else rows

    def frame(self, text: Iterable[str]) -> Frame:
        """Return the rows as a narwhals frame; the columns named in `text` come as text, untouched."""
        text = frozenset(text)
        self.check_apart(sorted(text))
        with explained(self.name):
            opened: Frame = self.open(text & frozenset(self.columns))
            return opened

    def _labelled(self, rows: Frame, labels: frozenset[str]) -> Frame:
        """Return DuckDB's rows with labels that are numbers as texts, and as they were given under other names.

        On the way out of DuckDB decimals become floats, and in older versions so do large whole numbers with nulls.
        """
        import narwhals.stable.v2 as nw

        if backend_of(rows) != "duckdb":
            return rows
        schema = rows.collect_schema()
        numbers = [c for c in sorted(labels) if schema[c].is_integer() or schema[c].is_decimal()]
        return with_readings(rows, {c: nw.col(c).cast(nw.String) for c in numbers}, numbers)


_relations = threading.RLock()


def _renew() -> None:
    """Renew the lock in a forked process, which lacks the thread that may have held it."""
    global _relations
    _relations = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def _instead(column: str, columns: tuple[str, ...], role: str) -> str:
    """Return which column may be meant by one that is not there."""
    alike = [name for name in columns if same_letters(name, column)]
    if alike:
        own = ", ".join(f"U+{ord(letter):04X}" for letter in dict.fromkeys(alike[0]) if letter not in column)
        return (
            f"there is {alike[0]!r}, which Unicode treats as equivalent, but is another name"
            f"{f' ({own})' if own else ''}; copy it from there"
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
    """Return the names; raise where one begins as those that priorhood adds."""
    taken = next((column for column in columns if column.casefold().startswith(OWN)), None)
    if taken is not None:
        raise TableError(f"{name}: a column cannot be called {taken!r}; such names are reserved: rename it")
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
        Decimal sign of numbers in texts, as in a CSV; "." by default, "," where thousands is ".".
    thousands : str, optional
        Sign between the thousands of numbers in texts: "," in 1,250,000, or one of . ' _ and a blank.

    Returns
    -------
    Table
        Its texts are numbers where nulls and signs make them some.

    Raises
    ------
    TableError
        No such file, an empty one, a condition that cannot be read, or one sign for decimals and thousands.

    Examples
    --------
    >>> import priorhood as ph
    >>> homes = ph.read({"zip": ["01067", "10115"], "price": ["1.250.000", "980.000"]}, thousands=".")
    >>> homes.columns
    ('zip', 'price')
    >>> homes.eager(numbers=["price"], labels=["zip"])["price"].to_list()
    [1250000.0, 980000.0]
    """
    spelling = Spelling((nulls,) if isinstance(nulls, str) else tuple(map(str, nulls)), decimal, thousands or "")
    if isinstance(source, Table):
        if spelling != UNSAID:
            raise TableError("give nulls, decimal and thousands where the table is read first: read(path, nulls=…)")
        return source if where is None else _with_where(source, where)
    if isinstance(source, str | Path):
        return _read_file(str(source), where, spelling)
    if isinstance(source, dict):
        import pandas as pd

        try:
            # One home may be given by plain values.
            scalar = all(isinstance(v, str) or not hasattr(v, "__len__") for v in source.values())
            source = pd.DataFrame({k: [v] for k, v in source.items()} if scalar else source)
        except ValueError as problem:
            raise TableError(f"the columns given do not make a table: {problem}") from None
    return _read_frame(source, where, spelling)


# -- files ---------------------------------------------------------------------------------------------


def _read_file(path: str, where: str | None, spelling: Spelling) -> Table:
    parts = find_parts(path, spelling)
    columns = _checked(parts.columns(), path)
    # A CSV's reader takes nulls where it infers types, but for those with separators.
    numbers = Numbers(spelling)
    if parts.separated:
        numbers = Numbers(replace(spelling, nulls=spelling.with_separators), spelling.nulls)
    alike = parts.twins(columns)
    table = Table(
        path, columns, "file", _OfFile(parts, where, numbers, alike), where, odd=parts.odd, twins=alike,
        whole=parts.whole, typed=parts.typed, spelling=spelling, written=parts.written if parts.separated else None,
        below=parts.named_below, path=path,
    )  # fmt: skip
    if where is not None:
        table.frame(())
    return table


@dataclass(frozen=True)
class _OfFile:
    """Opens files in the thread that asks, with that thread's connection."""

    parts: Parts
    where: str | None
    numbers: Numbers
    twins: dict[str, str]

    def __call__(self, text: frozenset[str]) -> Any:
        import narwhals.stable.v2 as nw

        rows = self.numbers.read(nw.from_native(self.parts.relation(text - {KEPT})), text)
        if self.where is None or KEPT in text:
            return rows
        return conditioned(rows, self.where, sealed=self.parts.sealed, twins=self.twins)


# -- frames --------------------------------------------------------------------------------------------


def _named_by_text(source: object) -> object:
    """Return a pandas frame with its columns' names as text, where some are numbers; other sources as they are."""
    # Only pandas: the columns of a lazy frame may be costly to ask for.
    names = getattr(source, "columns", None) if type(source).__module__.partition(".")[0] == "pandas" else None
    if names is None:
        return source
    if names.nlevels > 1:
        raise TableError(
            "the frame's columns have names of several parts: join them, frame.columns = ['_'.join(map(str, name)) "
            "for name in frame.columns]"
        )
    texts = [str(name) for name in names]
    if all(isinstance(name, str) for name in names):
        return source
    twice = next((text for at, text in enumerate(texts) if text in texts[:at]), None)
    if twice is not None:
        raise TableError(f"the frame has the column {twice!r} more than once, as text and as a number; rename one")
    return source.set_axis(texts, axis=1)  # type: ignore[attr-defined]


def _read_frame(source: object, where: str | None, spelling: Spelling) -> Table:
    import narwhals.stable.v2 as nw

    source = plainly_typed(_named_by_text(source))
    try:
        frame: Any = nw.from_native(source)
        schema = frame.collect_schema
        columns = tuple((answer_of(backend_of(frame), schema) if is_elsewhere(frame) else schema()).names())
        # A relation's schema merges two columns with one name.
        names = tuple(map(str, frame.to_native().columns)) if backend_of(frame) == "duckdb" else columns
    except nw.exceptions.DuplicateError as problem:
        repeated = str(problem).splitlines()[-1].strip("- ")
        raise TableError(f"the frame has a column more than once: {repeated}; rename it") from None
    except TypeError:
        raise TableError(
            f"cannot read a table from {type(source).__name__}; give a path, a pandas, Polars or PyArrow "
            f"frame, a DuckDB relation, a PySpark or Dask frame, an Ibis table or a mapping of columns"
        ) from None
    kind = backend_of(frame)
    _checked(columns, f"{kind} frame")
    name = f"{ENGINES.get(kind, kind)} frame"
    if kind == "polars" and isinstance(frame, nw.LazyFrame):
        kind = "polars-lazy"
    alike = twins(names) if kind in ONE_CASE else {}
    table = Table(name, columns, kind, _OfFrame(frame, kind, Numbers(spelling)), spelling=spelling, twins=alike)
    return table if where is None else _with_where(table, where)


@dataclass(frozen=True)
class _OfFrame:
    """Opens a frame."""

    frame: Any
    kind: str
    numbers: Numbers

    def __call__(self, text: frozenset[str]) -> Any:
        return self.numbers.read(_with_texts_of_categories(self.frame), text)

    def __reduce__(self) -> Any:
        if self.kind == "duckdb" or (self.kind in ENGINES and self.kind != "dask"):
            raise TableError(
                f"the rows of a {ENGINES.get(self.kind, 'duckdb')} frame belong to a connection of this process: "
                f"they can be neither copied nor sent to another one; give the name of a file, or a pandas frame"
            )
        return _reopened, (self.frame.to_native(), self.kind, self.numbers)


def _with_texts_of_categories(frame: Any) -> Any:
    """Return a pandas frame with categories that are numbers as texts: next to a gap pandas writes 1 as 1.0."""
    import narwhals.stable.v2 as nw

    schema = frame.collect_schema() if backend_of(frame) == "pandas" else {}
    readings: dict[str, Any] = {}
    for column in (name for name, dtype in schema.items() if dtype in (nw.Categorical, nw.Enum)):
        held = frame.to_native()[column]
        categories = getattr(getattr(held, "cat", None), "categories", None)
        if categories is None or hasattr(held.dtype, "pyarrow_dtype"):
            continue
        texts = categories.astype(str)
        if categories.inferred_type != "string" and texts.is_unique:
            readings[column] = nw.from_native(held.cat.rename_categories(texts), series_only=True)
    return with_readings(frame, readings, readings)


def _reopened(native: Any, kind: str, numbers: Numbers) -> _OfFrame:
    import narwhals.stable.v2 as nw

    return _OfFrame(nw.from_native(native), kind, numbers)


def _with_where(table: Table, where: str) -> Table:
    """Return a frame's table with a condition, which the backend evaluates, or DuckDB for it."""
    if table.where is not None:
        where = f"({table.where}) and ({where})"
    if table.kind == "file":
        raise TableError("give where= where the file is read: read(path, where=...)")
    if table.kind not in (*ONE_CASE, "polars", "polars-lazy"):
        # DuckDB evaluates the condition.
        table = replace(table, twins=twins(table.columns))
    filtered = replace(table, open=_Filtered(table, where), where=where)
    try:
        with table.alone():
            filtered.frame(()).collect_schema()
    except TableError:
        raise
    except Exception as problem:  # noqa: BLE001  # each backend has its own
        raise TableError(no_condition(where, str(problem).splitlines()[0])) from None
    return filtered


@dataclass(frozen=True)
class _Filtered:
    """Opens a frame with the column KEPT."""

    table: Table
    where: str

    def __call__(self, text: frozenset[str]) -> Any:
        return conditioned(self.table.open(text), self.where, twins=self.table.twins)


def with_columns(table: Table, frame: nw.DataFrame[Any], columns: dict[str, Any]) -> Any:
    """Return rows with columns added, as the kind of frame that the table was; pandas for files and engines."""
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

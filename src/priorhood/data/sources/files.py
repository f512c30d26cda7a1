"""Paths → the files behind them, as one DuckDB relation: parts, folders, partitions, databases.

Parts with different columns are detected from their headers, before any row is read.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood._system import is_folder, path_exists
from priorhood._text import preview, sql_name, sql_text, suggestion
from priorhood.data.labels import BLANKS, normal_label
from priorhood.data.number_formats import DEFAULT_FORMAT, NumberFormat
from priorhood.data.sources.column_names import ambiguous_columns, as_engines, perhaps_renamed
from priorhood.data.sources.csv_layout import count_names, header_advice, heading, uneven
from priorhood.data.sources.duckdb_io import (
    DATABASE,
    connection,
    explain_errors,
    format_of,
    nearby_files,
    reading,
)
from priorhood.errors import TableError

if TYPE_CHECKING:
    import duckdb

INSIDE = "::"
SEVERAL_FILES = (
    "several files are read as one table by a pattern in quotes, such as 'sales-*.csv' or '[ab].csv', or by the "
    "name of their folder"
)
# Rows of a CSV whose texts show the format of numbers.
FIRST = 10_000
# Rows that determine types, and bytes of a read, if only a few rows are wanted.
LOOK, BUFFER = 2_048, 1 << 21
# Smaller whole numbers are all floating-point numbers.
LARGEST_WHOLE = 2**53
# First lines, one of which is the header.
FEW = 100


@dataclass(frozen=True)
class Parts:
    """Files of one format that form one table.

    Attributes
    ----------
    path : str
        Path as given.
    kind : str
        Format of the files.
    files : tuple of str
        Paths of the files.
    number_format : NumberFormat
        Nulls and separators of a CSV's values.
    inside : str
        Table of a database, quoted for SQL.
    partitioned : bool
        Whether folders called column=value add columns.
    mixed : bool
        Whether the parts differ in their columns.
    unusable : dict of str to str
        Columns that cannot be used, with the reason and advice.
    """

    path: str
    kind: str
    files: tuple[str, ...]
    number_format: NumberFormat = DEFAULT_FORMAT
    inside: str = ""
    partitioned: bool = False
    mixed: bool = False
    unusable: dict[str, str] = field(default_factory=dict)

    def relation(self, text: frozenset[str]) -> duckdb.DuckDBPyRelation:
        """Return the rows as DuckDB reads them; the columns named in `text` are read as text, unchanged.

        Columns of a text file whose first rows are whole numbers are read as numbers that may have decimals.
        """
        if self.kind == DATABASE:
            return reading(self.files[0]).sql(f"FROM {self.inside}")
        if self.kind == "parquet":
            options = ", union_by_name = true" if self.mixed else ""
            if self.partitioned:
                labels = ", ".join(f"{sql_name(c)}: VARCHAR" for c in sorted(text & self.partitions()))
                options += ", hive_partitioning = true" + (f", hive_types = {{{labels}}}" if labels else "")
            return connection().sql(f"FROM read_parquet({_listed(self.files)}{options})")
        hive, partitions = self._hive(text), self.partitions()
        if self.kind == "json":
            # Text columns are read as text from the start, before any digits are lost.
            first = self._read_json(hive)
            types = {
                c: str(kind) for c, kind in zip(first.columns, first.types, strict=True) if c not in partitions
            }
            wider = dict.fromkeys(_narrow(first), "DOUBLE") | dict.fromkeys(text, "VARCHAR")
            return self._read_json(hive, columns={c: wider.get(c, kind) for c, kind in types.items()})
        types = dict.fromkeys(sorted(text - partitions), "VARCHAR")
        first = self._read_csv(hive, types)
        wider = types | dict.fromkeys((c for c in _narrow(first) if c not in partitions), "DOUBLE")
        return first if wider == types else self._read_csv(hive, wider)

    @property
    def sealed(self) -> bool:
        """Whether the connection can read no other file, so that a condition may query the database's tables."""
        return self.kind == DATABASE

    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns.

        If a line has more or fewer values than the first, DuckDB may use a later line as the header, and skip the
        lines above it.

        Raises
        ------
        TableError
            Files that cannot be read, or a line with more or fewer values than the first.
        """
        try:
            with explain_errors(self.path):
                found = tuple(self.relation(frozenset()).columns)
        except TableError:
            self._check_even()
            raise
        names = count_names(self.files[0]) if self.separated else None
        if names not in (None, 1, len(set(found) - self.partitions())):
            self._check_even()
        return found

    def header_advice(self, column: str) -> str | None:
        """Return advice if a later line than the first is a header with this column, else None."""
        return header_advice(self.files[0], column) if self.separated and len(self.files) == 1 else None

    def ambiguous_columns(self, columns: tuple[str, ...]) -> dict[str, str]:
        """Return the columns whose names the files' reader cannot distinguish, with the reason and advice.

        The files' own names are only read if a column may have been renamed.

        Parameters
        ----------
        columns : tuple of str
            Names that the reader gives.
        """
        in_files = tuple(c for c in columns if c not in self.partitions())
        with explain_errors(self.path):
            found = self._contradicting_partitions() if self.partitioned else {}
            if perhaps_renamed(in_files) and (self.kind == "parquet" or self.separated):
                found |= ambiguous_columns(self._own_names(in_files), in_files)
        return found

    def _contradicting_partitions(self) -> dict[str, str]:
        """Return the columns whose values in the files differ from the folders' names, which DuckDB uses."""
        folders = {as_engines(c): c for c in self.partitions()}
        if self.kind == "parquet":
            rows = connection().read_parquet(literal(self.files[0]), hive_partitioning=False)
        elif self.separated:
            rows = connection().read_csv(literal(self.files[0]), header=True, all_varchar=True, **self._as_quoted())
        else:
            rows = replace(self, files=self.files[:1])._read_json({"hive_partitioning": False})
        both = [name for name in rows.columns if as_engines(name) in folders]
        if not both:
            return {}
        values = rows.project(", ".join(f"{sql_name(name)}::VARCHAR" for name in both)).limit(1).fetchall()
        parts = Path(self.files[0]).parent.parts
        return {
            name: (
                f"has values in the files ({value!r}) that differ from those in the folder names ({part}): rename "
                f"one of them"
            )
            for row in values
            for name, value in zip(both, row, strict=True)
            for part in parts
            if as_engines(part).startswith(f"{as_engines(name)}=")
            and normal_label(str(value)) != normal_label(part.partition("=")[2])
        }

    def _own_names(self, columns: tuple[str, ...]) -> list[str]:
        """Return the names in the first file, in order; the reader's names if they cannot be determined."""
        if self.kind == "parquet":
            found = connection().sql(
                f"SELECT name, num_children FROM parquet_schema({_listed(self.files[:1])})"  # noqa: S608  # quoted
            ).fetchall()[1:]  # fmt: skip
            top: list[str] = []
            nested = 0  # entries of nested columns that are still to come
            for name, children in found:
                if not nested:
                    top.append(name)
                nested = max(nested - 1, 0) + (children or 0)
            return top if len(top) == len(columns) else list(columns)
        options: dict[str, Any] = {"header": False, "all_varchar": True, "sample_size": LOOK, "buffer_size": BUFFER}
        rows = connection().read_csv(literal(self.files[0]), **{**self._as_quoted(), **options})
        for values in rows.limit(FEW).fetchall():
            names = [str(value or "").strip() for value in values]
            if len(names) == len(columns) and all(
                as_engines(column).startswith(as_engines(name)) for name, column in zip(names, columns, strict=True)
            ):
                return names
        return list(columns)

    @property
    def separated(self) -> bool:
        """Whether the files are CSV or TSV, whose types their reader infers."""
        return self.kind in ("csv", "tsv")

    def sample_texts(self, columns: list[str], *, every: bool = False) -> dict[str, list[str]]:
        """Return the original texts of the first rows, without missing values, by column.

        Parameters
        ----------
        every : bool
            Whether to return all distinct texts of a column instead.
        """
        wanted = [c for c in columns if c not in self.partitions()]
        if not wanted:
            return {}
        # A small buffer for a few rows.
        rows = self._read_csv(self._hive(frozenset()), all_varchar=True, sample_size=LOOK, buffer_size=BUFFER)
        if every:
            texts = {c: rows.project(sql_name(c)).distinct().fetchall() for c in wanted}
            return {c: [v.strip(BLANKS) for (v,) in values if v is not None] for c, values in texts.items()}
        found = rows.project(", ".join(map(sql_name, wanted))).limit(FIRST).fetchnumpy()
        return {c: [str(v).strip(BLANKS) for v in values.tolist() if v is not None] for c, values in found.items()}

    def _check_even(self) -> None:
        """Raise if a line of a text file has more or fewer values than there are names."""
        odd = uneven(self.files) if self.separated else None
        if odd is not None:
            raise TableError(f"{self.path}: {odd}") from None

    def integer_columns(self) -> tuple[str, ...]:
        """Return the columns of text files whose first rows are whole numbers."""
        if self.kind in ("parquet", DATABASE):
            return ()
        return _integer_columns(self._read_json({}) if self.kind == "json" else self._read_csv({}))

    def non_text_columns(self) -> frozenset[str]:
        """Return the columns whose values are not texts in the files."""
        if self.separated:
            return frozenset()
        found = self._read_json(self._hive(frozenset())) if self.kind == "json" else self.relation(frozenset())
        types = zip(found.columns, map(str, found.types), strict=True)
        return frozenset(column for column, kind in types if kind != "VARCHAR")

    def partitions(self) -> frozenset[str]:
        """Return the columns that come from the folders' names."""
        names = Path(self.files[0]).parent.parts if self.partitioned else ()
        return frozenset(part.partition("=")[0] for part in names if "=" in part)

    def _hive(self, text: frozenset[str]) -> dict[str, Any]:
        """Return the reader's options for columns that come from the folders' names."""
        if not self.partitioned:
            return {}
        labels = dict.fromkeys(sorted(text & self.partitions()), "VARCHAR")
        return {"hive_partitioning": True, **({"hive_types": labels} if labels else {})}

    def _read_json(self, hive: dict[str, Any], **options: Any) -> duckdb.DuckDBPyRelation:
        files: Any = [literal(f) for f in self.files]
        return connection().read_json(files, format="newline_delimited", **hive, **options)

    def _read_csv(
        self, hive: dict[str, Any], types: dict[str, str] | None = None, **how: Any
    ) -> duckdb.DuckDBPyRelation:
        given = self.number_format
        # The quote is fixed, since sniffing may miss quotes late in a file.
        options: dict[str, Any] = {
            "header": True,
            "quotechar": '"',
            "escapechar": '"',
            "na_values": ["", *(null for null in given.nulls if null not in given.with_separators)],
            "decimal": given.separators.decimal,
        }
        if given.thousands:
            # All rows determine the types: a column's thousands may begin late.
            options["sample_size"] = -1
        files: Any = [literal(f) for f in self.files]
        if given.nulls:
            # A name that is one of the nulls would be read as missing.
            names: list[str] = connection().read_csv(files, header=True, **self._as_quoted()).columns
            if set(names) & set(given.nulls):
                options["names"] = names
        if self.kind == "tsv":
            options["delimiter"] = "\t"
        if types:
            options["dtype"] = types
        return connection().read_csv(files, **hive, **{**options, **how})

    def heading_of(self, file: str) -> tuple[str, list[str]]:
        """Return the separator and the names that the reader finds in a text file."""
        with explain_errors(file):
            names = connection().read_csv(literal(file), header=True, **self._as_quoted()).columns
            asked = "SELECT Delimiter FROM sniff_csv($1, header = true)"
            separators = connection().execute(asked, [literal(file)]).fetchall()
        return (separators[0][0] if len(names) > 1 else "", names)

    def check_headings(self) -> None:
        """Raise if a part's header differs from the first part's: the reader joins columns by position."""
        headings = [heading(file) for file in self.files]
        different = [f for f, head in zip(self.files, headings, strict=True) if head is None or head != headings[0]]
        if not different:
            return
        # The reader also handles compressed files, and lines above the header.
        separator, names = self.heading_of(self.files[0])
        for file in different:
            part_separator, part_names = self.heading_of(file)
            if (part_separator, part_names) == (separator, names):
                continue
            difference = f"the separator {part_separator!r}, not {separator!r}"
            if sorted(part_names) != sorted(names):
                difference = f"the names {preview(part_names, 8)}, not {preview(names, 8)}"
            elif part_names != names:
                difference = "the same names in another order"
            raise TableError(
                f"{self.path}: the part {_name(file)} has a different header than {_name(self.files[0])}: it has "
                f"{difference}. Use the same names, in the same order, and the same separator in all parts"
            )

    def with_differences(self) -> Parts:
        """Return Parquet parts with a note of the columns that some parts lack, or have with another type."""
        with explain_errors(self.path):
            schema = connection().sql(  # the files' names are quoted
                "SELECT name, file_name, type, coalesce(converted_type, logical_type, '') FROM "  # noqa: S608
                f"parquet_schema({_listed(self.files)}) WHERE num_children IS NULL"
            ).fetchall()  # fmt: skip
        columns: dict[str, dict[str, tuple[str, str]]] = {}
        for name, file, *kind in schema:
            columns.setdefault(name, {})[file] = (kind[0], kind[1])
        unusable: dict[str, str] = {}
        mixed = False
        for name, kinds in columns.items():
            lacking = [f for f in self.files if f not in kinds]
            mixed |= bool(lacking) or len(set(kinds.values())) > 1
            if lacking:
                unusable[name] = f"is missing from the part {_name(lacking[0])}; fix the parts"
            elif len({_textual(kind) for kind in kinds.values()}) > 1:
                text, other = (next(f for f, k in kinds.items() if _textual(k) is w) for w in (True, False))
                unusable[name] = (
                    f"has different types in the parts: {_type(text, name)} in {_name(text)}, {_type(other, name)} "
                    f"in {_name(other)}; write them with the same type"
                )
        return replace(self, mixed=mixed, unusable=unusable)

    def _as_quoted(self) -> dict[str, Any]:
        """Return the reader's options for separator and quotes, as far as they are fixed."""
        options: dict[str, Any] = {"quotechar": '"', "escapechar": '"', "hive_partitioning": False}
        return {**options, "delimiter": "\t"} if self.kind == "tsv" else options


def _integer_columns(relation: duckdb.DuckDBPyRelation) -> tuple[str, ...]:
    """Return the columns whose first rows are whole numbers; later rows may have decimals."""
    types = zip(relation.columns, map(str, relation.types), strict=True)
    return tuple(column for column, kind in types if kind in ("BIGINT", "HUGEINT"))


def _narrow(relation: duckdb.DuckDBPyRelation) -> tuple[str, ...]:
    """Return the integer columns whose numbers are exact as floats, as ids of 17 digits are not."""
    columns = _integer_columns(relation)
    if not columns:
        return ()
    asked = ", ".join(f"max({sql_name(c)}), min({sql_name(c)})" for c in columns)
    found = relation.limit(FIRST).aggregate(asked).fetchall()[0]
    ends = zip(found[::2], found[1::2], strict=True)
    return tuple(
        column for column, (high, low) in zip(columns, ends, strict=True)
        if high is None or max(high, -low) <= LARGEST_WHOLE
    )  # fmt: skip


def find_parts(path: str, number_format: NumberFormat = DEFAULT_FORMAT) -> Parts:
    """Find the files behind a path: a file, a glob, a folder of parts, or a table of a DuckDB file.

    Raises
    ------
    TableError
        No such file, an unknown format, several formats or tables, or parts that cannot be read.
    """
    named, _, inside = (path, "", "") if path_exists(path) else path.partition(INSIDE)
    files = _files(named)
    kinds = {format_of(f): f for f in files}
    if len(kinds) > 1:
        raise TableError(
            f"{named!r} has files of several formats: {preview(map(_name, kinds.values()))}; choose one format"
        )
    kind = format_of(files[0])
    if inside and kind != DATABASE:
        raise TableError(f"{path!r}: only a DuckDB file contains tables; leave out {INSIDE + inside!r}")
    if all(Path(f).stat().st_size == 0 for f in files):
        raise TableError(f"file {path!r} is empty")
    if kind == DATABASE:
        return Parts(path, kind, tuple(files), inside=_table_of(named, files, inside))
    if kind != "parquet":
        files = [f for f in files if Path(f).stat().st_size > 0]
    # Only folders below the given path are partitions; a glob's path ends at its first wildcard.
    parts = Path(named).parts
    above = len(parts)
    if not is_folder(named):
        above = next((i for i, part in enumerate(parts) if glob.has_magic(part)), above)
    partitioned = any("=" in part for part in Path(files[0]).parent.parts[above:])
    found = Parts(path, kind, tuple(files), number_format, partitioned=partitioned)
    if found.separated and len(files) > 1:
        found.check_headings()
    return found.with_differences() if kind == "parquet" and len(files) > 1 else found


def _files(path: str) -> list[str]:
    """Return the files of a path, without those that engines write next to their parts: _SUCCESS, .crc."""
    # A file's own name may look like a pattern.
    found = [path]
    if glob.has_magic(path) and not path_exists(path):
        found = sorted(glob.glob(path, recursive=True))  # noqa: PTH207
    missing = [f for f in found if not path_exists(f)]
    if missing or not found:
        raise TableError(f"no file {path!r}{nearby_files(path)}")
    files: list[str] = []
    for file in found:
        if not is_folder(file):
            files.append(file)
            continue
        below = sorted(f for f in Path(file).rglob("*") if f.is_file())
        inside = [f for f in below if not any(p.startswith(("_", ".")) for p in f.relative_to(file).parts)]
        if not inside:
            raise TableError(f"folder {file!r} contains no data files")
        files += map(str, inside)
    return files


def _table_of(path: str, files: list[str], inside: str) -> str:
    """Return the table of a database, quoted for SQL."""
    if len(files) > 1:
        raise TableError(
            f"{path!r} matches {len(files)} DuckDB files; name one, or write their tables to Parquet files"
        )
    with explain_errors(path):
        found = reading(path).sql(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary UNION ALL "
            "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
        ).fetchall()  # fmt: skip
    tables = {
        t if schema == "main" else f"{schema}.{t}": f"{sql_name(schema)}.{sql_name(t)}" for schema, t in found
    }
    if not tables:
        raise TableError(f"{path!r} contains no table")
    if not inside and len(tables) > 1:
        raise TableError(
            f"{path!r} has {len(tables)} tables: {preview(tables, 12)}; name one of them, for example "
            f"'{path}{INSIDE}{next(iter(tables))}'"
        )
    name = inside or next(iter(tables))
    if name not in tables:
        raise TableError(f"{path!r} has no table {name!r}: {suggestion(name, tables)}")
    return tables[name]


def broken_part(path: str) -> str | None:
    """Return the first of several Parquet parts that cannot be read to its end, for messages after an error."""
    import duckdb

    try:
        found = find_parts(path)
    except TableError:
        return None
    for file in found.files if found.kind == "parquet" and len(found.files) > 1 else ():
        try:
            # Reads every value: aggregates alone might be answered from the file's statistics.
            connection().read_parquet(literal(file)).aggregate("max(hash(COLUMNS(*)))").fetchall()
        except duckdb.Error:
            return _name(file)
    return None


def _textual(kind: tuple[str, str]) -> bool:
    return kind[0] == "BYTE_ARRAY" and "DECIMAL" not in kind[1]


def _type(file: str, column: str) -> str:
    relation = connection().read_parquet(literal(file))
    return str(relation.types[relation.columns.index(column)])


def _name(path: object) -> str:
    return Path(str(path)).name


def _listed(files: tuple[str, ...]) -> str:
    return "[" + ", ".join(sql_text(literal(f)) for f in files) + "]"


def literal(file: str) -> str:
    """Return a file's name for DuckDB, which treats [1], * and ? as patterns unless there is a backslash."""
    return file if "\\" in file else glob.escape(file)

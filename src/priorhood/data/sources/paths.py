"""A path → the files behind it, as one DuckDB relation: parts, folders, partitions, databases.

Nothing but this room and `sources` knows files of rows. Parts that do not fit together are found before any
row is read, from what they say of themselves.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood._system import is_folder, is_there
from priorhood._text import near, some, sql_name, sql_text
from priorhood.data.labels import BLANKS, normal_label
from priorhood.data.number_formats import UNSAID, Spelling
from priorhood.data.sources.column_names import as_engines, perhaps_renamed, twins
from priorhood.data.sources.duckdb_errors import first_names, heading, named_below, uneven
from priorhood.data.sources.duckdb_io import (
    DATABASE,
    connection,
    explained,
    format_of,
    nearby_files,
    reading,
)
from priorhood.errors import TableError

if TYPE_CHECKING:
    import duckdb

INSIDE = "::"
# Rows of a CSV whose texts are looked at for how numbers are written.
FIRST = 10_000
LOOK, BUFFER = 2_048, 1 << 21
# Up to it all whole numbers are floating-point numbers.
LARGEST_WHOLE = 2**53
# Lines among which that of the names is.
FEW = 100


@dataclass(frozen=True)
class Parts:
    """Files of one format that are one table.

    path : as given; kind : the format; inside : the table of a database; spelling : of a CSV's values
    partitioned : whether folders called column=value say more columns
    mixed : whether the parts differ in their columns; odd : column → why it cannot be used
    """

    path: str
    kind: str
    files: tuple[str, ...]
    spelling: Spelling = UNSAID
    inside: str = ""
    partitioned: bool = False
    mixed: bool = False
    odd: dict[str, str] = field(default_factory=dict)

    def relation(self, text: frozenset[str]) -> duckdb.DuckDBPyRelation:
        """The rows as DuckDB reads them; the columns named in text come as text, untouched.

        A column of a text file whose first rows are whole numbers is read as numbers that may have decimals.
        """
        if self.kind == DATABASE:
            return reading(self.files[0]).sql(f"FROM {self.inside}")
        if self.kind == "parquet":
            return connection().sql(f"FROM read_parquet({_listed(self.files)}{self._options(text)})")
        return self._json(text) if self.kind == "json" else self._csv(text)

    @property
    def sealed(self) -> bool:
        """Whether what reads them reads no other file: a database's views are someone's own."""
        return self.kind == DATABASE

    def columns(self) -> tuple[str, ...]:
        """Their names.

        Where a line has other values than the first has names, DuckDB may take a later line for the names, and what
        is above it for no rows at all.

        Raises
        ------
        TableError : files that cannot be read; a line that is not like the first
        """
        try:
            with explained(self.path):
                found = tuple(self.relation(frozenset()).columns)
        except TableError:
            self._even()
            raise
        names = first_names(self.files[0]) if self.separated else None
        if names not in (None, 1, len(set(found) - self.partitions())):
            self._even()
        return found

    def named_below(self, column: str) -> str | None:
        """What is said of a column that is named below the first line, with what makes a table of the file."""
        return named_below(self.files[0], column) if self.separated and len(self.files) == 1 else None

    def twins(self, columns: tuple[str, ...]) -> dict[str, str]:
        """Column → why it cannot be used, where two have one name for the files' reader.

        Parameters
        ----------
        columns : see columns; only where one may have been renamed the files are asked for their own names
        """
        own = tuple(c for c in columns if c not in self.partitions())
        with explained(self.path):
            found = self._in_folders_too() if self.partitioned else {}
            if perhaps_renamed(own) and self.kind == "parquet":
                found |= twins(self._names_in_parquet(own), own)
            elif perhaps_renamed(own) and self.separated:
                found |= twins(self._names_in_text(own), own)
        return found

    def _in_folders_too(self) -> dict[str, str]:
        """The columns of which folders say otherwise than their files do: the reader believes the folders."""
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
            name: f"is in the files ({value!r}), and otherwise in their folders' names ({part}): rename one of them"
            for row in values
            for name, value in zip(both, row, strict=True)
            for part in parts
            if as_engines(part).startswith(f"{as_engines(name)}=")
            and normal_label(str(value)) != normal_label(part.partition("=")[2])
        }

    def _names_in_parquet(self, columns: tuple[str, ...]) -> list[str]:
        """Those of the first file, but for what is inside columns of several values."""
        found = connection().sql(
            f"SELECT name, num_children FROM parquet_schema({_listed(self.files[:1])})"  # noqa: S608  # quoted
        ).fetchall()[1:]  # fmt: skip
        names: list[str] = []
        inside = 0
        for name, children in found:
            if not inside:
                names.append(name)
            inside = max(inside - 1, 0) + (children or 0)
        return names if len(names) == len(columns) else list(columns)

    def _names_in_text(self, columns: tuple[str, ...]) -> list[str]:
        """The line of names as it stands, which is the one that the columns are called after."""
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
        """Whether they are text with separators, whose types are made up by their reader."""
        return self.kind in ("csv", "tsv")

    def written(self, columns: list[str], *, every: bool = False) -> dict[str, list[str]]:
        """The texts of the first rows, column by column, as they are written; missing values left out.

        every : all different texts of a column in place of them
        """
        wanted = [c for c in columns if c not in self.partitions()]
        if not wanted:
            return {}
        # A small buffer, since so few rows are read.
        rows = self._read_csv(self._hive(frozenset()), all_varchar=True, sample_size=LOOK, buffer_size=BUFFER)
        if every:
            texts = {c: rows.project(sql_name(c)).distinct().fetchall() for c in wanted}
            return {c: [v.strip(BLANKS) for (v,) in values if v is not None] for c, values in texts.items()}
        found = rows.project(", ".join(map(sql_name, wanted))).limit(FIRST).fetchnumpy()
        return {c: [str(v).strip(BLANKS) for v in values.tolist() if v is not None] for c, values in found.items()}

    def _even(self) -> None:
        """Raise where a line of a text file has more or fewer values than there are names."""
        odd = uneven(self.files) if self.separated else None
        if odd is not None:
            raise TableError(f"{self.path}: {odd}") from None

    def whole(self) -> tuple[str, ...]:
        """The columns of text files whose first rows are whole numbers."""
        if self.kind in ("parquet", DATABASE):
            return ()
        first = self._read_json({}) if self.kind == "json" else self._read_csv({})
        return _whole(first)

    def typed(self) -> frozenset[str]:
        """The columns whose values are no texts in the files, whatever they are read as."""
        if self.separated:
            return frozenset()
        found = self._read_json(self._hive(frozenset())) if self.kind == "json" else self.relation(frozenset())
        types = zip(found.columns, map(str, found.types), strict=True)
        return frozenset(column for column, kind in types if kind != "VARCHAR")

    def _options(self, text: frozenset[str]) -> str:
        asked = ", union_by_name = true" if self.mixed else ""
        if self.partitioned:
            labels = ", ".join(f"{sql_name(c)}: VARCHAR" for c in sorted(text & self.partitions()))
            asked += ", hive_partitioning = true" + (f", hive_types = {{{labels}}}" if labels else "")
        return asked

    def partitions(self) -> frozenset[str]:
        """The columns that folders say."""
        names = (Path(self.files[0]).parent.parts) if self.partitioned else ()
        return frozenset(part.partition("=")[0] for part in names if "=" in part)

    def _hive(self, text: frozenset[str]) -> dict[str, Any]:
        if not self.partitioned:
            return {}
        labels = dict.fromkeys(sorted(text & self.partitions()), "VARCHAR")
        return {"hive_partitioning": True, **({"hive_types": labels} if labels else {})}

    def _json(self, text: frozenset[str]) -> duckdb.DuckDBPyRelation:
        # Text columns are read again as text, before any digits could be lost.
        first = self._read_json(self._hive(text))
        types = {c: str(t) for c, t in zip(first.columns, first.types, strict=True) if c not in self.partitions()}
        wider = dict.fromkeys(_narrow(first), "DOUBLE") | dict.fromkeys(text, "VARCHAR")
        return self._read_json(self._hive(text), columns={c: wider.get(c, t) for c, t in types.items()})

    def _read_json(self, hive: dict[str, Any], **options: Any) -> duckdb.DuckDBPyRelation:
        files: Any = [literal(f) for f in self.files]
        return connection().read_json(files, format="newline_delimited", **hive, **options)

    def _csv(self, text: frozenset[str]) -> duckdb.DuckDBPyRelation:
        hive, own = self._hive(text), text - self.partitions()
        types = dict.fromkeys(sorted(own), "VARCHAR")
        first = self._read_csv(hive, types)
        wider = types | dict.fromkeys((c for c in _narrow(first) if c not in self.partitions()), "DOUBLE")
        return first if wider == types else self._read_csv(hive, wider)

    def _read_csv(
        self, hive: dict[str, Any], types: dict[str, str] | None = None, **how: Any
    ) -> duckdb.DuckDBPyRelation:
        # The quote is said, not sniffed: quotes may come late in a file.
        options: dict[str, Any] = {
            "header": True,
            "quotechar": '"',
            "escapechar": '"',
            "na_values": ["", *(null for null in self.spelling.nulls if null not in self.spelling.with_separators)],
            "decimal": self.spelling.signs.decimal,
        }
        if self.spelling.thousands:
            # A column is text wherever its thousands begin.
            options["sample_size"] = -1
        if self.spelling.nulls and (names := self._names()):
            options["names"] = names
        if self.kind == "tsv":
            options["delimiter"] = "\t"
        if types:
            options["dtype"] = types
        files: Any = [literal(f) for f in self.files]
        return connection().read_csv(files, **hive, **{**options, **how})

    def heading_of(self, file: str) -> tuple[str, list[str]]:
        """The separator and the names that the reader finds in one file of text."""
        with explained(file):
            names = connection().read_csv(literal(file), header=True, **self._as_quoted()).columns
            asked = "SELECT Delimiter FROM sniff_csv($1, header = true)"
            separators = connection().execute(asked, [literal(file)]).fetchall()
        return (separators[0][0] if len(names) > 1 else "", names)

    def _as_quoted(self) -> dict[str, Any]:
        """How the values of a line are told apart, as far as that is not sniffed."""
        options: dict[str, Any] = {"quotechar": '"', "escapechar": '"', "hive_partitioning": False}
        return {**options, "delimiter": "\t"} if self.kind == "tsv" else options

    def _names(self) -> list[str] | None:
        """The line of names, where a text that means a missing value is a name too; None otherwise."""
        files: Any = [literal(f) for f in self.files]
        names: list[str] = connection().read_csv(files, header=True, **self._as_quoted()).columns
        return names if set(names) & set(self.spelling.nulls) else None


def _whole(relation: duckdb.DuckDBPyRelation) -> tuple[str, ...]:
    """Columns found to be whole numbers: from the first rows alone, so that later ones may have decimals."""
    types = zip(relation.columns, map(str, relation.types), strict=True)
    return tuple(column for column, kind in types if kind in ("BIGINT", "HUGEINT"))


def _narrow(relation: duckdb.DuckDBPyRelation) -> tuple[str, ...]:
    """Those of them that are floating-point numbers too, as ids of 17 digits are not."""
    columns = _whole(relation)
    if not columns:
        return ()
    asked = ", ".join(f"max({sql_name(c)}), min({sql_name(c)})" for c in columns)
    found = relation.limit(FIRST).aggregate(asked).fetchall()[0]
    ends = zip(found[::2], found[1::2], strict=True)
    return tuple(
        column for column, (most, least) in zip(columns, ends, strict=True)
        if most is None or max(most, -least) <= LARGEST_WHOLE
    )  # fmt: skip


def find_parts(path: str, spelling: Spelling = UNSAID) -> Parts:
    """What a path stands for: a file, a glob, a folder of parts, a table of a DuckDB file.

    Raises
    ------
    TableError : no such file, an unknown format, several formats or tables, parts that cannot be read
    """
    named, _, inside = (path, "", "") if is_there(path) else path.partition(INSIDE)
    files = _files(named)
    kinds = {format_of(f): f for f in files}
    if len(kinds) > 1:
        raise TableError(
            f"{named!r} has files of several formats: {some(map(_name, kinds.values()))}; name one kind"
        )
    kind = format_of(files[0])
    if inside and kind != DATABASE:
        raise TableError(f"{path!r}: only a DuckDB file has tables inside; leave {INSIDE + inside!r} out")
    if all(Path(f).stat().st_size == 0 for f in files):
        raise TableError(f"file {path!r} is empty")
    if kind == DATABASE:
        return Parts(path, kind, tuple(files), inside=_table_of(named, files, inside))
    if kind != "parquet":
        files = [f for f in files if Path(f).stat().st_size > 0]
    # Folders of the path as given are no partitions: only those found below it are.
    above = len(Path(named).parts) if is_folder(named) else _plain_parts(named)
    partitioned = any("=" in part for part in Path(files[0]).parent.parts[above:])
    found = Parts(path, kind, tuple(files), spelling, partitioned=partitioned)
    if found.separated and len(files) > 1:
        _check_headings(found)
    return _compared(found) if kind == "parquet" and len(files) > 1 else found


def _check_headings(found: Parts) -> None:
    """Raise where a part's line of names is not that of the first: the reader puts columns together by their place.

    Raises
    ------
    TableError
    """
    headings = [heading(file) for file in found.files]
    unlike = [file for file, one in zip(found.files, headings, strict=True) if one is None or one != headings[0]]
    if not unlike:
        return
    # Compressed, or with lines above the names, which the reader knows better.
    separator, names = found.heading_of(found.files[0])
    for file in unlike:
        own_separator, own = found.heading_of(file)
        if (own_separator, own) == (separator, names):
            continue
        how = (
            f"the names {some(own, 8)}, not {some(names, 8)}" if sorted(own) != sorted(names)
            else "the same names in another order" if own != names
            else f"the separator {own_separator!r}, not {separator!r}"
        )  # fmt: skip
        raise TableError(
            f"{found.path}: the part {_name(file)} does not begin as {_name(found.files[0])} does: it has {how}. "
            f"Write the parts alike: the same names in one order, with one separator"
        )


def _plain_parts(path: str) -> int:
    """How many of a glob's parts come before its first wildcard."""
    parts = Path(path).parts
    return next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))


def _files(path: str) -> list[str]:
    # A file's own name may look like a pattern.
    found = sorted(glob.glob(path, recursive=True)) if glob.has_magic(path) and not is_there(path) else [path]  # noqa: PTH207
    missing = [f for f in found if not is_there(f)]
    if missing or not found:
        raise TableError(f"no file {path!r}{nearby_files(path)}")
    return [inner for f in found for inner in (_inside_folder(f) if is_folder(f) else [f])]


def _inside_folder(path: str) -> list[str]:
    """The files below a folder but those that engines leave beside their parts: _SUCCESS, .crc."""
    below = sorted(f for f in Path(path).rglob("*") if f.is_file())
    parts = [f for f in below if not any(p.startswith(("_", ".")) for p in f.relative_to(path).parts)]
    if not parts:
        raise TableError(f"folder {path!r} has no files of rows")
    return [str(f) for f in parts]


def _table_of(path: str, files: list[str], inside: str) -> str:
    """The table of a database, quoted for SQL."""
    if len(files) > 1:
        raise TableError(
            f"{path!r} are {len(files)} DuckDB files; give one, or write their tables to Parquet files"
        )
    with explained(path):
        found = reading(path).sql(
            "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary UNION ALL "
            "SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal ORDER BY ALL"
        ).fetchall()  # fmt: skip
    tables = {
        t if schema == "main" else f"{schema}.{t}": f"{sql_name(schema)}.{sql_name(t)}" for schema, t in found
    }
    if not tables:
        raise TableError(f"{path!r} has no table in it")
    if not inside and len(tables) > 1:
        raise TableError(
            f"{path!r} has {len(tables)} tables: {some(tables, 12)}; say which, like "
            f"'{path}{INSIDE}{next(iter(tables))}'"
        )
    name = inside or next(iter(tables))
    if name not in tables:
        raise TableError(f"{path!r} has no table {name!r}: {near(name, tables)}")
    return tables[name]


def _compared(found: Parts) -> Parts:
    """Parquet parts with the columns that they do not share, or not as the same kind of values."""
    with explained(found.path):
        said = connection().sql(  # the files' names are quoted
            "SELECT name, file_name, type, coalesce(converted_type, logical_type, '') FROM "  # noqa: S608
            f"parquet_schema({_listed(found.files)}) WHERE num_children IS NULL"
        ).fetchall()  # fmt: skip
    columns: dict[str, dict[str, tuple[str, str]]] = {}
    for name, file, *kind in said:
        columns.setdefault(name, {})[file] = (kind[0], kind[1])
    odd: dict[str, str] = {}
    mixed = False
    for name, kinds in columns.items():
        lacking = [f for f in found.files if f not in kinds]
        mixed |= bool(lacking) or len(set(kinds.values())) > 1
        if lacking:
            odd[name] = f"is not in every part: {_name(lacking[0])} has none; fix the parts"
        elif len({_textual(kind) for kind in kinds.values()}) > 1:
            text, other = (next(f for f, k in kinds.items() if _textual(k) is w) for w in (True, False))
            odd[name] = (
                f"is of different types in the parts: {_type(text, name)} in {_name(text)}, {_type(other, name)} "
                f"in {_name(other)}; write them alike"
            )
    return Parts(found.path, found.kind, found.files, partitioned=found.partitioned, mixed=mixed, odd=odd)


def broken_part(path: str) -> str | None:
    """The first of several Parquet parts that cannot be read to its end; looked for after an error only."""
    import duckdb

    try:
        found = find_parts(path)
    except TableError:
        return None
    for file in found.files if found.kind == "parquet" and len(found.files) > 1 else ():
        try:
            # Every value is read: what a file says of itself would do for less.
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
    """A file's name for DuckDB, which takes [1], * and ? for patterns where there is no backslash."""
    return file if "\\" in file else glob.escape(file)

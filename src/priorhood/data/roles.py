"""Columns read as their roles want them: numbers, truth values and categories in one form, on whatever backend."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._system import is_file
from priorhood._text import join_words, preview, row_count
from priorhood.data.date_advice import as_they_stand, dates_advice, dates_among, script, typed_dates_advice
from priorhood.data.date_formats import like_numbered, numbered_dates
from priorhood.data.labels import BLANKS, normal_label
from priorhood.data.number_advice import affixed, changed, or_null, ranges, rewriting, truths
from priorhood.data.number_formats import FALSE, PLAIN, TRUE, affix, guessed, truth
from priorhood.data.sources.arrow import wide_numbers
from priorhood.data.sources.backend import ENGINES, backend_of
from priorhood.data.sources.columns import (
    FIRST,
    first_texts,
    has_dates,
    in_numpy,
    kept_rows,
    label_text,
    run,
    stripped,
    textual,
    with_readings,
)
from priorhood.data.sources.duckdb_io import KEPT
from priorhood.data.thousands import all_in_thousands, check_thousands, in_two_ways, warn_of_thousandths
from priorhood.errors import TableError, warn
from priorhood.model.tokens import cut, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import narwhals.stable.v2 as nw
    from narwhals.stable.v2.dtypes import DType

    from priorhood._arrays import Array
    from priorhood.data.sources.backend import Frame
    from priorhood.data.sources.table import Table

FEW = 20
# More categories than this belong in a group part.
MAX_CATEGORIES = 100
_ZERO_FIRST = re.compile(r"0[0-9]+")
_FOUR_DIGITS = re.compile(r"[+-]?[0-9]{4}")
# Prefix in Table.told of a column of numbers that was checked for dates.
_NO_DATES = "no dates: "


@dataclass(frozen=True)
class Role:
    """What a column is for: a number, categories, or either where neither is required.

    purpose : in words, for messages
    predictor : whether a formula could have it as categories instead
    known : the categories of an earlier fit, whose spelling is kept
    """

    purpose: str
    number: bool = False
    category: bool = False
    predictor: bool = False
    known: tuple[str, ...] = ()


@dataclass(frozen=True)
class TextColumn:
    """A column of text whose role wants numbers.

    counts : text as it stands → how many rows have it
    """

    name: str
    role: Role
    table: Table
    counts: dict[str, int]

    @cached_property
    def values(self) -> list[str]:
        """The different texts without surrounding blanks."""
        return sorted({text.strip(BLANKS) for text in self.counts} - {""})

    @property
    def title(self) -> str:
        """The beginning of messages."""
        return f"{self.table.name}: column {self.name!r} ({self.role.purpose})"

    @property
    def or_categories(self) -> str:
        """Advice to use a predictor as categories; '' where it has to be a number."""
        return "" if self.role.number else f"; or write C({written(self.name)}) to use it as categories"

    def changed(self, pandas: str, polars: str, instead: str = "") -> str:
        """Code that changes the column, also as a command where the table is a file of text."""
        return changed(self.name, pandas, polars, self.command, instead)

    @property
    def command(self) -> Callable[[str], str] | None:
        """A function from a line of Python about the rows d to a command for the table's file; None for frames."""
        table = self.table
        return partial(script, table.name, ending="plain") if table.written and is_file(table.name) else None


def in_roles(frame: Frame, roles: dict[str, Role], table: Table, *, keep: bool = False) -> Frame:
    """Return the rows with every column as its role wants it: numbers, or categories in their normal form.

    Only rows that meet the table's condition (where) are checked.

    Parameters
    ----------
    keep : bool
        Whether the columns stay under other names as they were given.

    Raises
    ------
    TableError
        Text or dates where numbers should be.
    """
    import narwhals.stable.v2 as nw

    table.check_apart(roles)
    readings = {}
    schema = frame.collect_schema()
    labels = [c for c, role in roles.items() if role.category or (schema[c] == nw.Object and not role.number)]
    refuse_nested(frame, {column: roles[column].purpose for column in labels}, table.name)
    for column in roles:
        reading = _reading(frame, column, schema[column], roles, table)
        if reading is not None:
            readings[column] = reading
    # The type of a column may order its categories.
    ordered = [c for c in readings if schema[c] in (nw.Categorical, nw.Enum)]
    return with_readings(frame, readings, readings if keep else ordered)


def as_written(frame: Frame, roles: dict[str, Role], table: Table, texts: tuple[str, ...]) -> Frame:
    """Return the rows with categories as text, where a CSV's reader found truth values, dates or times in them.

    DuckDB would write them in its own way, 2024-01-03, and at the next reading in the file's, 03.01.2024.

    Parameters
    ----------
    frame : as opened with `texts` as text
    """
    if table.written is None:
        return frame
    schema = frame.collect_schema()
    typed = [c for c in roles if roles[c].category and not (schema[c].is_numeric() or textual(schema[c]))]
    return table.frame((*texts, *typed)) if typed else frame


def _reading(frame: Frame, column: str, dtype: DType, roles: dict[str, Role], table: Table) -> nw.Expr | None:
    """Return the expression that reads a column; None where it is as its role wants it."""
    import narwhals.stable.v2 as nw

    role = roles[column]
    if dtype.is_numeric() and not role.known:
        if dtype not in (nw.Int64, nw.UInt64) or backend_of(frame) not in ("pyarrow", "pandas"):
            return None
        wide = wide_numbers(frame.to_native(), column)
        # with_columns takes a series as it takes an expression.
        return None if wide is None else nw.from_native(wide, series_only=True)
    if role.category:
        if dtype == nw.Object and not role.known:
            numbers = _python_numbers(frame, column, truths=False)
            if numbers is not None:
                return numbers
        return _categories(frame, column, role, _text_counts(frame, column, table.name))
    if dtype == nw.Boolean:
        return None
    title = f"{table.name}: column {column!r} ({role.purpose})"
    # A number of hundreds of digits gives a CSV's column an unknown type.
    if not textual(dtype) and not (dtype == nw.Unknown and table.written):
        if has_dates(frame, column):
            raise TableError(f"{title} {typed_dates_advice(frame, column, table)}")
        what, instead = next((words for kind, *words in _kinds() if dtype == kind), ["values of another kind", ""])
        times = [text[:10] for text in first_texts(frame, column, table.name)][:1] if dtype == nw.Time else []
        like = f", like {preview(times)}" if times else ""
        raise TableError(f"{title} holds {what}{like}, not numbers; make numbers of them first{instead}")
    if dtype == nw.Object and (numbers := _python_numbers(frame, column)) is not None:
        return numbers
    text = TextColumn(column, role, table, _text_counts(frame, column, table.name))
    values, signs = text.values, table.spelling.signs
    if values and all(truth(value) is not None for value in values):
        word = stripped(frame, column).str.to_lowercase()
        false = nw.when(word.is_in(FALSE)).then(nw.lit(0.0))
        return nw.when(word.is_in(TRUE)).then(nw.lit(1.0)).otherwise(false)
    if in_ways := truths(values):
        advice = text.changed(in_ways.pandas, in_ways.polars, text.or_categories)
        raise TableError(f"{title} {in_ways.look}: {advice}")
    odd = [v for v in values if not signs.read(v)]
    odd = odd or [v for v in values if not math.isfinite(float(signs.plain(v)))]
    if odd:
        if _is_categorical(text, odd, frame, roles):
            return _categories(frame, column, role, text.counts)
        raise TableError(f"{title} {_odd_texts(text, odd)}")
    if not role.number and (dates := numbered_dates(values)):
        raise TableError(f"{title} {dates_advice(column, role, values, as_they_stand(dates, text.counts), table)}")
    if values and table.written is None and not _has_other_texts(frame, column, table):
        held = "categories" if dtype in (nw.Categorical, nw.Enum) else "text"
        three = all_in_thousands(values)
        thousands = (
            f" (if {three[0]!r} is {three[0].replace('.', '')}, read the table with thousands='.')" if three else ""
        )
        if role.number:
            raise TableError(f"{title} is {held}, like {preview(values, 2)}; convert it{thousands}")
        raise TableError(
            f"{table.name}: column {column!r} is {held} though all its values are numbers, like "
            f"{preview(values, 2)}; "
            f"convert it to numbers{thousands}, or write C({written(column)}) to use it as categories"
        )
    check_thousands(column, values, table)
    read = nw.when(stripped(frame, column) != "").then(stripped(frame, column))
    if KEPT in frame.collect_schema().names():
        read = nw.when(nw.col(KEPT)).then(read)
    return signs.number(read)


def _python_numbers(frame: Frame, column: str, *, truths: bool = True) -> nw.Expr | None:
    """Return a pandas column of Python's own numbers, and truth values, as numbers; None where it has others."""
    import narwhals.stable.v2 as nw
    import pandas as pd

    if backend_of(frame) != "pandas":
        return None
    values: Any = frame.to_native()[column]  # type: ignore[union-attr]
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind not in ("integer", "floating", "mixed-integer-float", "decimal", *(["boolean"] if truths else [])):
        return None
    numbers = [float("nan") if gone else float(v) for v, gone in zip(values, pd.isna(values), strict=True)]
    series: Any = pd.Series(numbers, index=values.index, dtype="float64", name=column)
    made: Any = nw.from_native(series, series_only=True)
    return made  # type: ignore[no-any-return]  # with_columns takes a series as it takes an expression


def _text_counts(frame: Frame, column: str, name: str) -> dict[str, int]:
    """Return the different texts of the rows that count, as they stand, and how many rows have each."""
    import narwhals.stable.v2 as nw

    rows: Any = kept_rows(frame)
    texts = rows.filter(~nw.col(column).is_null()).select(label_text(frame, column).alias("text"))
    found = run(texts.group_by("text").agg(nw.len().alias("rows")), name)
    pairs = zip(found["text"].tolist(), found["rows"].tolist(), strict=True)
    return {str(text): int(count) for text, count in pairs if text is not None}


def _has_other_texts(frame: Frame, column: str, table: Table) -> bool:
    """Whether rows that a condition leaves out have texts that are no numbers."""
    import narwhals.stable.v2 as nw

    if KEPT not in frame.collect_schema().names():
        return False
    rest: Any = frame.filter(~nw.col(KEPT) & ~nw.col(column).is_null())
    found = run(rest.select(stripped(frame, column).alias("text")).unique(), table.name)["text"].tolist()
    return any(isinstance(text, str) and text and not table.spelling.signs.read(text) for text in found)


# -- texts that are no numbers ------------------------------------------------------------------------------


def _is_categorical(text: TextColumn, odd: list[str], frame: Frame, roles: dict[str, Role]) -> bool:
    """Whether a predictor of text is categorical: most of its texts are no numbers.

    Parameters
    ----------
    odd : the values that are no numbers
    frame, roles : the table's other columns

    Raises
    ------
    TableError
        It is numbers in another format, or dates.
    """
    values, role, spelling = text.values, text.role, text.table.spelling
    given = spelling.signs
    if not given.thousands and (ways := in_two_ways(values)):
        both = join_words(map(repr, ways))
        raise TableError(
            f"{text.title} has thousands written in two ways, {both}: write them the same way{text.or_categories}"
        )
    found = guessed(values, spelling)
    if found is not None and (set(odd) <= set(found[1]) or len(found[1]) > len(values) / 2):
        signs, unread = found
        if signs.thousands:
            look = f"has numbers that look like thousands: {preview(unread, 3)}"
        else:
            look = f"has decimal {'commas' if signs.decimal == ',' else 'points'}: {preview(unread, 3)}"
            # In a table with 84,5 and 356.448,00 one message is enough for both.
            for other, others in roles.items():
                if others.category or not textual(frame.collect_schema()[other]):
                    continue
                texts = {one.strip(BLANKS) for one in _text_counts(frame, other, text.table.name)} - {""}
                more = guessed(texts)
                if more is not None and more[0].thousands and more[0].decimal == signs.decimal:
                    signs = more[0]
                    look += f", and column {other!r} has thousands with {signs.thousands!r}"
                    break
        if signs.decimal == given.thousands:
            raise TableError(
                f"{text.title} {look}, but {given} was given for the whole table: write this column like the "
                f"others, frame[{text.name!r}].str.replace({signs.decimal!r}, {given.decimal!r}, regex=False) "
                f"in pandas"
            )
        replaced = spelling.decimal not in (None, found[0].decimal)
        instead = f" in place of decimal={given.decimal!r}" if replaced else ""
        raise TableError(
            f"{text.title} {look}; read the table with {signs}{instead}, or convert the column{text.or_categories}"
        )
    if dates := dates_among(text.name, role, text.counts, text.table):
        raise TableError(f"{text.title} {dates}")
    mostly = 2 * len(odd) > sum(value.lower() != "nan" for value in values)
    sign = affix(values, spelling)
    if sign is not None and (sign.usual or role.number or not mostly):
        # 100.5 m² is measured; 60 m² and 90 m² may be two kinds.
        decimals = re.compile(rf"\d{re.escape(sign.signs.decimal)}\d")
        measured = sign.usual and (len(values) > FEW or any(map(decimals.search, values)))
        raise TableError(
            f"{text.title} has {affixed(sign, text.name, text.command, '' if measured else text.or_categories)}"
        )
    unusual = rewriting(values, spelling) if sign is None else None
    if unusual is not None:
        advice = text.or_categories
        if unusual.pandas:
            advice = f": {text.changed(unusual.pandas, unusual.polars, advice)}"
        raise TableError(f"{text.title} {unusual.look}{advice}")
    if mostly and not role.number and len(values) > MAX_CATEGORIES:
        bounded = ranges(odd, set(values) - set(odd), spelling)
        if bounded is not None:
            wider = "; or write wider ranges to use them as categories"
            advice = text.changed(bounded.pandas, bounded.polars, wider)
            raise TableError(
                f"{text.title} has {len(values):,} ranges and numbers, like {preview(odd, 3)}; {bounded.look}: "
                f"{advice}"
            )
    return not role.number and mostly


def _odd_texts(text: TextColumn, odd: list[str]) -> str:
    """What a column of numbers holds where some of its values, or all, are no numbers, and what to do about it."""
    if len(odd) == len(text.values) and not any(any(map(str.isdigit, one)) for one in odd):
        categories = f"write {written(text.name)} by itself to use it as categories"
        instead = categories if text.role.predictor else "name a column of numbers"
        return f"holds text, not numbers, like {preview(odd, 3)}; {instead}"
    if all(any(map(str.isdigit, one)) and PLAIN.read(one) for one in odd):
        longest = max(odd, key=len)
        what = f"a number that is too large: {longest[:15]}{'…' * (len(longest) > 15)} ({len(longest)} characters)"
    else:
        what = f"text where a number should be: {preview(map(cut, odd))}"
    rows = sum(count for one, count in text.counts.items() if one.strip(BLANKS) in set(odd))
    null = or_null(odd)
    said = f"holds {what} ({row_count(rows)}); fix these rows{',' if null else ' or'} filter them out (where)"
    bounded = ranges(odd, set(text.values) - set(odd), text.table.spelling)
    if bounded is None:
        return f"{said}{null}"
    return f"{said}; or {bounded.look}: {text.changed(bounded.pandas, bounded.polars, text.or_categories)}"


# -- labels and categories ----------------------------------------------------------------------------------


def refuse_nested(frame: Frame, purposes: dict[str, str], name: str) -> None:
    """Raise where a column of labels or categories holds lists, bytes, durations or the like.

    Parameters
    ----------
    purposes : dict of str to str
        Column → what it is for, in words.
    """
    import narwhals.stable.v2 as nw

    schema = frame.collect_schema()
    for column, purpose in purposes.items():
        dtype = schema[column]
        what = next((words for kind, words, _ in _kinds() if dtype == kind and kind != nw.Time), "")
        if not what and dtype == nw.Object and backend_of(frame) == "pandas":
            native: Any = frame.to_native()
            held = {
                kind
                for kind in map(type, native[column].array)
                if kind.__hash__ is None or issubclass(kind, tuple | frozenset | bytes)
            }
            what = f"values of type {min(kind.__name__ for kind in held)}" if held else ""
        if not what and dtype == nw.Unknown and backend_of(frame) in ("polars", "pyarrow"):
            try:  # intervals of months cannot be written as text
                run(frame.head(1).select(nw.col(column).cast(nw.String)), "")
            except Exception:  # noqa: BLE001  # each library has its own
                what = "values of another kind"
        if what:
            raise TableError(f"{name}: column {column!r} ({purpose}) holds {what}, no labels; make text of them")


def _kinds() -> tuple[tuple[type[DType], str, str], ...]:
    """Types of values that are no numbers, their names, and what makes numbers of them."""
    import narwhals.stable.v2 as nw

    return (
        (nw.Time, "times of day", ", such as hours since midnight"),
        (nw.Duration, "durations", ", such as days"),
        (nw.List, "lists", ""),
        (nw.Array, "lists", ""),
        (nw.Struct, "several values each", ""),
        (nw.Binary, "bytes", ""),
    )


def _categories(frame: Frame, column: str, role: Role, texts: Iterable[str]) -> nw.Expr | None:
    """Return the expression for a column with one spelling per category; None where it has that already."""
    import narwhals.stable.v2 as nw

    plain: Any = label_text(frame, column)
    known = {normal_label(category): category for category in role.known}
    meant = {text: known.get(normal := normal_label(text), normal) for text in texts}
    other = {text: category for text, category in meant.items() if text != category}
    if not other:
        return None if textual(frame.collect_schema()[column]) else plain  # type: ignore[no-any-return]
    found: Any = plain
    for category in dict.fromkeys(other.values()):
        spelled = [text for text, meaning in other.items() if meaning == category]
        found = nw.when(plain.is_in(spelled)).then(nw.lit(category)).otherwise(found)
    return found  # type: ignore[no-any-return]


# -- numbers that may be something else ---------------------------------------------------------------------


def check_numbers(frame: Frame, roles: dict[str, Role], table: Table) -> None:
    """Check the first rows for numbers that are dates, 20140502, or thousands read as decimals, 1.200.

    Parameters
    ----------
    frame : rows with their columns as their roles want them

    Raises
    ------
    TableError
        Dates that a formula has as a predictor by themselves; see also check_thousands.
    """
    schema = frame.collect_schema()
    numbers = [c for c in roles if not roles[c].category and schema[c].is_numeric() and c not in table.joined]
    thousands = [c for c in numbers if c not in table.told and not table.spelling.thousands]
    dates = [c for c in numbers if not roles[c].number and _NO_DATES + c not in table.told]
    columns = list(dict.fromkeys((*thousands, *dates)))
    if not columns or table.kind in ENGINES:
        return
    # Columns are noted as checked only where nothing is raised: what is refused is refused again.
    if table.written is not None:
        texts = table.written(columns)
        _refuse_numbered({c: texts[c] for c in dates if c in texts}, roles, table)
        for column in (c for c in dates if c in texts and roles[c].predictor):
            zeros = list(dict.fromkeys(filter(_ZERO_FIRST.fullmatch, texts[column])))
            if zeros and len(set(map(len, texts[column]))) == 1:
                warn(
                    f"{table.name}: column {column!r} has zeros before its numbers, like {preview(zeros, 2)}, and "
                    f"is read as numbers; if they are labels, write C({written(column)}) to use them as categories"
                )
        for column in (c for c in thousands if c in texts):
            # A column that has 1234 has no signs in its thousands.
            if not check_thousands(column, texts[column], table) and not any(
                map(_FOUR_DIGITS.match, texts[column])
            ):
                table.unread.add(column)
    else:
        found = _first_numbers(frame, [c for c in columns if c in dates or not schema[c].is_integer()], table)
        _refuse_numbered(
            {c: list(map("{:.0f}".format, found[c])) for c in dates if _may_be_dates(found[c])}, roles, table
        )
        for column in (c for c in thousands if c in found and not schema[c].is_integer()):
            warn_of_thousandths(column, found[column], table)
    table.told.update((*thousands, *(_NO_DATES + c for c in dates)))


def _refuse_numbered(columns: dict[str, list[str]], roles: dict[str, Role], table: Table) -> None:
    """Raise for a column of whole numbers that are dates."""
    for column, values in columns.items():
        found = numbered_dates(values)
        if found is not None:
            dates = sorted(set(filter(like_numbered, values)))
            advice = dates_advice(column, roles[column], dates, found, table)
            raise TableError(f"{table.name}: column {column!r} ({roles[column].purpose}) {advice}")


def _first_numbers(frame: Frame, columns: list[str], table: Table) -> dict[str, Array]:
    """Return the finite values of the first rows; in memory, where it is cheap, of rows from the whole frame."""
    import narwhals.stable.v2 as nw

    if not columns:
        return {}
    if in_numpy(frame, columns):  # narwhals would cast the frame whole
        native: Any = frame.to_native()
        values = {c: native[c].to_numpy()[:: len(native) // FIRST + 1].astype(float) for c in columns}
    else:
        every = (
            frame.gather_every(len(frame) // FIRST + 1) if isinstance(frame, nw.DataFrame) else frame.head(FIRST)
        )
        found = run(every.select(*(nw.col(c).cast(nw.Float64) for c in columns)), table.name)
        values = {column: np.asarray(given, dtype=float) for column, given in found.items()}
    return {column: one[np.isfinite(one)] for column, one in values.items()}


def _may_be_dates(values: Array) -> bool:
    """Whether no value rules out dates, as the first ones of nearly all columns do."""
    for some_of_them in (values[:FEW], values):
        size = some_of_them[some_of_them != 0]
        if not ((size >= 190001) & (size == np.floor(size))).all():
            return False
    return len(values) > 0

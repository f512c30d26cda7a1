"""A table's columns as their roles want them: numbers, truths and categories in one form, whatever holds them."""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._system import is_file
from priorhood._text import listed, rows_of, some
from priorhood.data.date_advice import days_since, script
from priorhood.data.date_formats import Dates, dates_of, like_numbered, numbered_dates
from priorhood.data.labels import BLANKS, normal_label
from priorhood.data.number_advice import ranges, rewriting, truths
from priorhood.data.number_formats import (
    FALSE,
    PLAIN,
    TRUE,
    affix,
    all_in_thousands,
    guessed,
    in_thousands,
    in_two_ways,
    truth,
    two_kinds,
)
from priorhood.data.sources.arrow import wide_numbers
from priorhood.data.sources.columns import (
    has_dates,
    in_numpy,
    label_text,
    may_be_thousands,
    run,
    stripped,
    textual,
    thousands_marks,
    with_readings,
)
from priorhood.data.sources.conditions import affixed, changed, or_null
from priorhood.data.sources.duckdb_io import KEPT
from priorhood.data.sources.remote import ENGINES, kind_of
from priorhood.errors import PriorhoodWarning, TableError
from priorhood.model.tokens import cut, written

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import narwhals.stable.v2 as nw
    from narwhals.stable.v2.dtypes import DType

    from priorhood._arrays import Array, Flags
    from priorhood.data.number_formats import Signs
    from priorhood.data.sources.columns import Frame
    from priorhood.data.sources.table import Table

# Rows looked at for numbers that are dates, or thousands that were read as decimals.
FIRST = 10_000
FEW = 20
# More belong in a group part.
MOST_CATEGORIES = 100
_ZERO_FIRST = re.compile(r"0[0-9]+")
_FOUR_DIGITS = re.compile(r"[+-]?[0-9]{4}")
# Before the name of a column of numbers that was looked at for dates.
_NO_DATES = "no dates: "


@dataclass(frozen=True)
class Role:
    """What a column is for: said in words; a number, categories, or either where neither is asked for.

    predictor : whether a formula could have it as categories instead
    known : the categories of a fit, whose spelling stays
    """

    said: str
    number: bool = False
    category: bool = False
    predictor: bool = False
    known: tuple[str, ...] = ()


def in_roles(frame: Frame, roles: dict[str, Role], table: Table, *, keep: bool = False) -> Frame:
    """The rows with every column as its role wants it: numbers, or categories in their normal form.

    Only rows that meet the table's condition (where) count.

    Parameters
    ----------
    keep : whether the columns as they were given stay beside

    Raises
    ------
    TableError : text or dates where numbers should be
    """
    import narwhals.stable.v2 as nw

    table.check_apart(roles)
    readings = {}
    schema = frame.collect_schema()
    labels = [c for c, role in roles.items() if role.category or (schema[c] == nw.Object and not role.number)]
    refuse_nested(frame, {column: roles[column].said for column in labels}, table.name)
    for column in roles:
        reading = _reading(frame, column, schema[column], roles, table)
        if reading is not None:
            readings[column] = reading
    # The type of a column may have an order of its categories.
    ordered = [c for c in readings if schema[c] in (nw.Categorical, nw.Enum)]
    return with_readings(frame, readings, readings if keep else ordered)


def as_written(frame: Frame, roles: dict[str, Role], table: Table, texts: tuple[str, ...]) -> Frame:
    """The rows, of a CSV with its truths, dates and times as they are written where categories are wanted of them.

    DuckDB would find them in its own words once, 2024-01-03, and at the next reading in the file's, 03.01.2024.

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
    """How a column is read; None where it is as it should be."""
    import narwhals.stable.v2 as nw

    role = roles[column]
    if dtype.is_numeric() and not role.known:
        return _wide(frame, column, dtype)
    if role.category:
        if dtype == nw.Object and not role.known and (numbers := _object(frame, column, truths=False)) is not None:
            return numbers
        return _category(frame, column, role, _counted(frame, column, table.name))
    if dtype == nw.Boolean:
        return None
    # Of a CSV, a number of hundreds of digits makes a column of neither.
    what = f"{table.name}: column {column!r} ({role.said})"
    if not textual(dtype) and not (dtype == nw.Unknown and table.written):
        raise TableError(f"{what} {_no_number(frame, column, dtype, table)}")
    if dtype == nw.Object and (numbers := _object(frame, column)) is not None:
        return numbers
    counts = _counted(frame, column, table.name)
    values = sorted({text.strip(BLANKS) for text in counts} - {""})
    signs = table.spelling.signs
    if all(truth(value) is not None for value in values) and values:
        word = stripped(frame, column).str.to_lowercase()
        false = nw.when(word.is_in(FALSE)).then(nw.lit(0.0))
        return nw.when(word.is_in(TRUE)).then(nw.lit(1.0)).otherwise(false)
    if in_ways := truths(values):
        instead = _or_categories(role, column)
        advice = changed(column, in_ways.pandas, in_ways.polars, _command(table), instead)
        raise TableError(f"{what} {in_ways.look}: {advice}")
    spoilt = [v for v in values if not signs.read(v)]
    spoilt = spoilt or [v for v in values if not math.isfinite(float(signs.plain(v)))]
    if spoilt:
        if _is_category(frame, roles, values, spoilt, column, table, counts):
            return _category(frame, column, role, counts)
        rows = sum(count for text, count in counts.items() if text.strip(BLANKS) in set(spoilt))
        why = _words(spoilt, column, role) if len(spoilt) == len(values) else ""
        raise TableError(f"{what} {why or _spoilt(spoilt, rows, values, column, role, table)}")
    if not role.number and (dates := numbered_dates(values)):
        raise TableError(f"{what} {_dates(column, role, values, _as_they_stand(dates, counts), table)}")
    if values and table.written is None and not _others(frame, column, table):
        held = "categories" if dtype in (nw.Categorical, nw.Enum) else "text"
        raise TableError(f"{table.name}: column {column!r} {_numbers_as_text(column, role, values, held)}")
    _tell_thousands(column, values, table)
    text = nw.when(stripped(frame, column) != "").then(stripped(frame, column))
    if KEPT in frame.collect_schema().names():
        text = nw.when(nw.col(KEPT)).then(text)
    return signs.number(text)


def _is_category(
    frame: Frame,
    roles: dict[str, Role],
    values: list[str],
    spoilt: list[str],
    column: str,
    table: Table,
    texts: Iterable[str],
) -> bool:
    """Whether a predictor with texts is categories.

    Parameters
    ----------
    values : without surrounding blanks; texts : as they stand

    Raises
    ------
    TableError : it is numbers written otherwise, or dates
    """
    role, given = roles[column], table.spelling.signs
    what = f"{table.name}: column {column!r} ({role.said})"
    categories = _or_categories(role, column)
    if not given.thousands and (ways := in_two_ways(values)):
        both = listed(map(repr, ways))
        raise TableError(f"{what} has thousands written in two ways, {both}: write them alike{categories}")
    found = guessed(values, table.spelling)
    if found is not None and (set(spoilt) <= set(found[1]) or len(found[1]) > len(values) / 2):
        signs, odd = found
        instead = (
            f" in place of decimal={given.decimal!r}" if table.spelling.decimal not in (None, signs.decimal) else ""
        )
        if signs.thousands:
            look = f"has numbers that look like thousands: {some(odd, 3)}"
        else:
            look = f"has decimal {'commas' if signs.decimal == ',' else 'points'}: {some(odd, 3)}"
        if not signs.thousands and (whole := _with_thousands(signs, roles, frame, table)):
            signs, other = whole
            look += f", and column {other!r} has thousands with {signs.thousands!r}"
        if signs.decimal == given.thousands:
            raise TableError(
                f"{what} {look}, where {given} was said of the whole table: write this column as the others, "
                f"frame[{column!r}].str.replace({signs.decimal!r}, {given.decimal!r}, regex=False) in pandas"
            )
        raise TableError(f"{what} {look}; read the table with {signs}{instead}, or convert the column{categories}")
    if dates := _of_dates(column, role, values, table, texts):
        raise TableError(f"{what} {dates}")
    beside = _command(table)
    found_affix = affix(values, table.spelling)
    mostly = 2 * len(spoilt) > sum(value.lower() != "nan" for value in values)
    if found_affix is not None and (found_affix.usual or role.number or not mostly):
        categories = "" if found_affix.usual and _measures(values, found_affix.signs) else categories
        raise TableError(f"{what} has {affixed(found_affix, column, beside, categories)}")
    unusual = rewriting(values, table.spelling) if found_affix is None else None
    if unusual is not None:
        advice = categories
        if unusual.pandas:
            advice = f": {changed(column, unusual.pandas, unusual.polars, beside, categories)}"
        raise TableError(f"{what} {unusual.look}{advice}")
    bounded = ranges(spoilt, set(values) - set(spoilt), table.spelling) if len(values) > MOST_CATEGORIES else None
    if mostly and not role.number and bounded is not None:
        wider = "; or write wider ranges to use them as categories"
        advice = changed(column, bounded.pandas, bounded.polars, beside, wider)
        raise TableError(
            f"{what} has {len(values):,} ranges and numbers, like {some(spoilt, 3)}; {bounded.look}: {advice}"
        )
    return not role.number and mostly


def _with_thousands(signs: Signs, roles: dict[str, Role], frame: Frame, table: Table) -> tuple[Signs, str] | None:
    """The signs of another column that has the same decimals, and thousands besides, and its name.

    In a table with 84,5 and 356.448,00 nobody should be told of one after the other.
    """
    for column, role in roles.items():
        if not role.category and textual(frame.collect_schema()[column]):
            found = guessed({text.strip(BLANKS) for text in _counted(frame, column, table.name)} - {""})
            if found is not None and found[0].thousands and found[0].decimal == signs.decimal:
                return found[0], column
    return None


def _measures(values: list[str], signs: Signs) -> bool:
    """Whether values with a unit are measured, like 100.5 m², and not a few kinds, like 60 m² and 90 m²."""
    return len(values) > FEW or any(re.search(rf"\d{re.escape(signs.decimal)}\d", value) for value in values)


def _or_categories(role: Role, column: str) -> str:
    return "" if role.number else f"; or write C({written(column)}) to use it as categories"


def _command(table: Table) -> Callable[[str], str] | None:
    """What makes a command, for the file that a table is, of a line of Python about its rows d."""
    return partial(script, table.name, ending="plain") if table.written and is_file(table.name) else None


def _of_dates(column: str, role: Role, values: list[str], table: Table, texts: Iterable[str]) -> str:
    """What is said where most values of a column are dates, written as texts; '' where they are not.

    Parameters
    ----------
    texts : the values as they stand
    """
    dates, found = values, dates_of(values, short=True)
    if found is None:
        dates = [v for v in values if dates_of([v])]
        found = dates_of(dates) if len(dates) > len(values) / 2 else None
    if found is None and not role.number:
        dates = [v for v in values if like_numbered(v)]
        found = numbered_dates(dates) if len(dates) > len(values) / 2 else None
    if found is None:
        return ""
    found = replace(found, whole=found.whole and len(dates) == len(values))
    return _dates(column, role, dates, _as_they_stand(found, texts), table)


def _as_they_stand(found: Dates, texts: Iterable[str]) -> Dates:
    """With what the texts have around dates, or in place of them."""
    plain = {text: text.strip(BLANKS) for text in texts}
    blank = any(text != stripped for text, stripped in plain.items())
    return replace(found, whole=found.whole and all(plain.values()), blank=blank)


def _dates(column: str, role: Role, dates: list[str], found: Dates, table: Table) -> str:
    """What is said of a column of dates."""
    ways = []
    if not role.number and (found.of_months or not found.sure or "%y" in found.form):
        ways.append(f"write C({written(column)}) to use it as categories")
    if found.numbered and not role.number:
        ways.append(f"write I({written(column)}) to use it as the number that it is")
    if found.form:
        ways.append(days_since(table, column, dates, found))
    else:
        ways.append("write them as 2014-10-13, since the months' names are not known here")
    return f"holds {found.called}, like {some(dates[:1])}, not numbers; {', or '.join(ways)}"


def _spoilt(spoilt: list[str], count: int, values: list[str], column: str, role: Role, table: Table) -> str:
    if all(any(map(str.isdigit, text)) and PLAIN.read(text) for text in spoilt):
        longest = max(spoilt, key=len)
        what = f"a number that is too large: {longest[:15]}{'…' * (len(longest) > 15)} ({len(longest)} signs)"
    else:
        what = f"text where a number should be: {some(map(cut, spoilt))}"
    null = or_null(spoilt)
    bounded = ranges(spoilt, set(values) - set(spoilt), table.spelling)
    said = f"holds {what} ({rows_of(count)}); fix these rows{',' if null else ' or'} filter them out (where)"
    if bounded is None:
        return f"{said}{null}"
    instead = _or_categories(role, column)
    advice = changed(column, bounded.pandas, bounded.polars, _command(table), instead)
    return f"{said}; or {bounded.look}: {advice}"


def _words(texts: list[str], column: str, role: Role) -> str:
    """What is said of a column without any number; '' where its texts have digits."""
    if any(any(map(str.isdigit, text)) for text in texts):
        return ""
    categories = f"write {written(column)} by itself to use it as categories"
    instead = categories if role.predictor else "name a column of numbers"
    return f"holds text, not numbers, like {some(texts, 3)}; {instead}"


def _numbers_as_text(column: str, role: Role, values: list[str], held: str) -> str:
    three = all_in_thousands(values)
    thousands = (
        f" (if {three[0]!r} is {three[0].replace('.', '')}, read the table with thousands='.')" if three else ""
    )
    if role.number:
        return f"({role.said}) is {held}, like {some(values, 2)}; convert it{thousands}"
    return (
        f"is {held} though all its values are numbers, like {some(values, 2)}; convert it to numbers{thousands}, "
        f"or write C({written(column)}) to use it as categories"
    )


def _no_number(frame: Frame, column: str, dtype: Any, table: Table) -> str:
    """Of dates and the like."""
    import narwhals.stable.v2 as nw

    if not has_dates(frame, column):
        what, instead = next((said for kind, *said in _kinds() if dtype == kind), ["values of another kind", ""])
        like = some([text[:10] for text in _first_texts(frame, column, table)][:1]) if dtype == nw.Time else ""
        return f"holds {what}{like and f', like {like}'}, not numbers; make numbers of them first{instead}"
    return f"holds dates, not numbers; {_days_of_typed(frame, column, table)}"


def _days_of_typed(frame: Frame, column: str, table: Table) -> str:
    """How days are made of a column in which its reader finds dates, though they are texts in some files."""
    as_text = table.frame((column,))
    if not textual(as_text.collect_schema()[column]):
        return days_since(table, column, [text[:10] for text in _first_texts(frame, column, table)], None)
    given = _first_texts(as_text, column, table)
    texts = [text for text in (text.strip(BLANKS) for text in given) if text]
    found = dates_of(texts, short=True)
    if found is None:  # any guess of pandas' could take days for months
        shown = some(texts[:1])
        return f"write them alike, as 2014-10-13, in place of {shown}, and you are told how to make days of them"
    return days_since(table, column, texts, _as_they_stand(found, given))


def refuse_nested(frame: Frame, said: dict[str, str], name: str) -> None:
    """Raise where a column of labels or categories has values that are no labels: lists, bytes, durations.

    Parameters
    ----------
    said : column → what it is for, in words
    """
    import narwhals.stable.v2 as nw

    schema = frame.collect_schema()
    for column, role in said.items():
        dtype = schema[column]
        what = next((words for kind, words, _ in _kinds() if dtype == kind and kind != nw.Time), "")
        if not what and dtype == nw.Object and kind_of(frame) == "pandas":
            native: Any = frame.to_native()
            held = {kind for kind in map(type, native[column].array) if _holds_several(kind)}
            what = f"values of type {min(kind.__name__ for kind in held)}" if held else ""
        if (
            not what
            and dtype == nw.Unknown
            and kind_of(frame) in ("polars", "pyarrow")
            and _has_no_text(frame, column)
        ):
            what = "values of another kind"
        if what:
            raise TableError(f"{name}: column {column!r} ({role}) holds {what}, no labels; make text of them")


def _has_no_text(frame: Frame, column: str) -> bool:
    """Whether a column of a type unknown here cannot be written as text, as intervals of months cannot."""
    import narwhals.stable.v2 as nw

    try:
        run(frame.head(1).select(nw.col(column).cast(nw.String)), "")
    except Exception:  # noqa: BLE001  # each library has its own
        return True
    return False


def _holds_several(kind: type) -> bool:
    return kind.__hash__ is None or issubclass(kind, tuple | frozenset | bytes)


def _kinds() -> tuple[tuple[type[DType], str, str], ...]:
    """Kinds of values that are no numbers, in words, and what makes numbers of them."""
    import narwhals.stable.v2 as nw

    return (
        (nw.Time, "times of day", ", such as hours since midnight"),
        (nw.Duration, "durations", ", such as days"),
        (nw.List, "lists", ""),
        (nw.Array, "lists", ""),
        (nw.Struct, "several values each", ""),
        (nw.Binary, "bytes", ""),
    )


def _first_texts(frame: Frame, column: str, table: Table) -> list[str]:
    import narwhals.stable.v2 as nw

    found = run(frame.select(nw.col(column).cast(nw.String)).head(FIRST), table.name)[column].tolist()
    return [text for text in found if isinstance(text, str)]


def _counted(frame: Frame, column: str, name: str) -> dict[str, int]:
    """The different texts of the rows that count, as they stand, and how many rows have them."""
    import narwhals.stable.v2 as nw

    names = frame.collect_schema().names()
    rows: Any = frame.filter(nw.col(KEPT)) if KEPT in names else frame
    texts = rows.filter(~nw.col(column).is_null()).select(label_text(frame, column).alias("text"))
    found = run(texts.group_by("text").agg(nw.len().alias("rows")), name)
    pairs = zip(found["text"].tolist(), found["rows"].tolist(), strict=True)
    return {str(text): int(count) for text, count in pairs if text is not None}


def _others(frame: Frame, column: str, table: Table) -> bool:
    """Whether rows that a condition leaves out have texts that are no numbers."""
    import narwhals.stable.v2 as nw

    if KEPT not in frame.collect_schema().names():
        return False
    rest: Any = frame.filter(~nw.col(KEPT) & ~nw.col(column).is_null())
    found = run(rest.select(stripped(frame, column).alias("text")).unique(), table.name)["text"].tolist()
    return any(isinstance(text, str) and text and not table.spelling.signs.read(text) for text in found)


def _wide(frame: Frame, column: str, dtype: DType) -> nw.Expr | None:
    """Whole numbers of Arrow's that are too large for its own way to make floating-point ones; None of others."""
    import narwhals.stable.v2 as nw

    if dtype not in (nw.Int64, nw.UInt64) or kind_of(frame) not in ("pyarrow", "pandas"):
        return None
    made = wide_numbers(frame.to_native(), column)
    if made is None:
        return None
    series: Any = nw.from_native(made, series_only=True)
    return series  # type: ignore[no-any-return]  # as in _object


def _object(frame: Frame, column: str, *, truths: bool = True) -> nw.Expr | None:
    """Python's own numbers, and truths, in a column of pandas as numbers; None where there are others."""
    import narwhals.stable.v2 as nw
    import pandas as pd

    if kind_of(frame) != "pandas":
        return None
    values: Any = frame.to_native()[column]  # type: ignore[union-attr]
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind not in ("integer", "floating", "mixed-integer-float", "decimal", *(["boolean"] if truths else [])):
        return None
    numbers = [float("nan") if gone else float(v) for v, gone in zip(values, pd.isna(values), strict=True)]
    made: Any = pd.Series(numbers, index=values.index, dtype="float64", name=column)
    series: Any = nw.from_native(made, series_only=True)
    return series  # type: ignore[no-any-return]  # with_columns takes it as it takes an expression


# -- categories -------------------------------------------------------------------------------------------


def _category(frame: Frame, column: str, role: Role, texts: Iterable[str]) -> nw.Expr | None:
    """The column with every spelling of a category as one; None where all are so."""
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


# -- numbers that are others --------------------------------------------------------------------------------


def check_numbers(frame: Frame, roles: dict[str, Role], table: Table) -> None:
    """Say where numbers are dates, 20140502, or were read as decimals that look like thousands: 1.200 beside 950.

    Parameters
    ----------
    frame : the rows with their columns as their roles want them

    Raises
    ------
    TableError : dates that a formula has as a predictor by itself; of a CSV, thousands of which nothing was said
    """
    schema = frame.collect_schema()
    numbers = [c for c in roles if not roles[c].category and schema[c].is_numeric() and c not in table.joined]
    thousands = [c for c in numbers if c not in table.told and not table.spelling.thousands]
    dates = [c for c in numbers if not roles[c].number and _NO_DATES + c not in table.told]
    looked = list(dict.fromkeys((*thousands, *dates)))
    if not looked or table.kind in ENGINES:
        return
    # What was refused is refused again: it is told of only where nothing is raised.
    if table.written is not None:
        texts = table.written(looked)
        _refuse_numbered({c: texts[c] for c in dates if c in texts}, roles, table)
        _tell_zeros({c: texts[c] for c in dates if c in texts and roles[c].predictor}, table)
        for column in (c for c in thousands if c in texts):
            # A column that has 1234 has no signs in its thousands.
            if not _tell_thousands(column, texts[column], table) and not any(
                map(_FOUR_DIGITS.match, texts[column])
            ):
                table.unread.add(column)
    else:
        found = _first_numbers(frame, [c for c in looked if c in dates or not schema[c].is_integer()], table)
        _refuse_numbered(
            {c: list(map("{:.0f}".format, found[c])) for c in dates if _may_be_dates(found[c])}, roles, table
        )
        for column in (c for c in thousands if c in found and not schema[c].is_integer()):
            _tell_thousandths(column, found[column], table)
    table.told.update((*thousands, *(_NO_DATES + c for c in dates)))


def _first_numbers(frame: Frame, columns: list[str], table: Table) -> dict[str, Array]:
    """The finite values of the first rows."""
    import narwhals.stable.v2 as nw

    if not columns:
        return {}
    # An eager frame would be cast whole; its rows are taken from all over, since it may be sorted.
    if in_numpy(frame, columns):
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
    """Whether no value tells that they are none, as nearly all columns' first ones do."""
    for some_of_them in (values[:FEW], values):
        size = some_of_them[some_of_them != 0]
        if not ((size >= 190001) & (size == np.floor(size))).all():
            return False
    return len(values) > 0


def _refuse_numbered(columns: dict[str, list[str]], roles: dict[str, Role], table: Table) -> None:
    """Raise for a column of whole numbers that are dates."""
    for column, values in columns.items():
        found = numbered_dates(values)
        if found is not None:
            dates = sorted(set(filter(like_numbered, values)))
            what = f"{table.name}: column {column!r} ({roles[column].said})"
            raise TableError(f"{what} {_dates(column, roles[column], dates, found, table)}")


def _tell_zeros(columns: dict[str, list[str]], table: Table) -> None:
    """Warn of numbers that are written as labels are, with zeros before them to one width: 01028, 10115."""
    for column, texts in columns.items():
        zeros = list(dict.fromkeys(filter(_ZERO_FIRST.fullmatch, texts)))
        if zeros and len(set(map(len, texts))) == 1:
            warnings.warn(
                f"{table.name}: column {column!r} has zeros before its numbers, like {some(zeros, 2)}, and is read "
                f"as numbers; if they are labels, write C({written(column)}) to use them as categories",
                PriorhoodWarning,
                stacklevel=7,
            )


def _tell_thousandths(column: str, values: Array, table: Table) -> None:
    """Warn of numbers that look like thousands read as decimals."""
    size = np.abs(values)
    if not len(values) or size.max() >= 1000:
        return
    high = (values == np.floor(values)) & (size >= 10)
    # Nothing in between, as two_kinds wants it.
    if not high.any() or high.all() or size[high].min() < 5 * size[~high].max():
        return
    small, large = values[~high], values[high]
    broken = small[small != np.floor(small)]
    # The first few values tell of most columns.
    if len(broken) < 3 or not _thousandths(small[:FEW]).all() or not _thousandths(small).all():
        return
    if not two_kinds(small.tolist(), large.tolist()):
        return
    shown = ", ".join(f"{v:g}" for v in broken[:3].tolist())
    warnings.warn(
        f"{table.name}: column {column!r} has {shown} beside whole numbers hundreds of times as large, like "
        f"{large.max():g}: if 1.2 was written 1.200 for 1,200, such values are 1,000 times too small; read the "
        f"file that they come from with thousands='.'",
        PriorhoodWarning,
        stacklevel=7,
    )


def _thousandths(values: Array) -> Flags:
    """Which values are at least 1 in size, and whole numbers of thousandths."""
    scaled = values * 1000
    return (np.abs(values) >= 1) & np.isclose(scaled, np.round(scaled), rtol=1e-12, atol=0.0)


def check_rest(frame: Frame, table: Table, late: tuple[str, ...] | None = None) -> None:
    """Say where thousands are read as decimals beyond the rows that were looked at first, as in a sorted table.

    Parameters
    ----------
    late : columns of which the numbers of all rows leave that possible, where that is known

    Raises
    ------
    TableError : as check_numbers
    """
    for column in _late(frame, table) if late is None else late:
        if table.written is not None and column in table.unread:
            table.told.discard(column)
            _tell_thousands(column, table.written([column], every=True)[column], table)
            table.told.add(column)
    table.unread.clear()


def _late(frame: Frame, table: Table) -> tuple[str, ...]:
    import narwhals.stable.v2 as nw

    looked = tuple(sorted(table.unread))
    marks = [mark.alias(f"m{i}") for i, mark in enumerate(thousands_marks(looked))]
    if not marks:
        return ()
    found = run(frame.select(*marks).select(nw.all().max()), table.name)
    return may_be_thousands(looked, [found[f"m{i}"][0] for i in range(len(marks))])


def _tell_thousands(column: str, texts: list[str], table: Table) -> bool:
    """Of a CSV's texts: refuse two kinds of values of which nothing was said, warn of other likely thousands.

    Returns
    -------
    whether it has warned
    """
    spelling = table.spelling
    signs = spelling.signs
    if signs.thousands or column in table.told:
        return False
    odd = in_thousands(texts, signs.decimal)
    if not odd and spelling.decimal is None and (three := all_in_thousands(texts)):
        one = three[0]
        warnings.warn(
            f"{table.name}: every value of column {column!r} has a point and three digits, like {some(three, 3)}: "
            f"{one!r} is read as {float(one):g}; if it is {one.replace('.', '')}, read the file with thousands='.' "
            f"(--thousands .), and if they are decimals, say so: decimal='.' (--decimal .)",
            PriorhoodWarning,
            stacklevel=7,
        )
        table.told.add(column)
        return True
    if not odd and signs.decimal == ",":
        odd = _every_three(texts)
    if not odd:
        return False
    whole = [t for t in texts if signs.decimal not in t and t.isdigit()]
    beside = f" beside whole numbers hundreds of times as large, like {some(whole, 1)}" if whole else ""
    look = (
        f"{table.name}: column {column!r} has values with exactly three digits after {signs.decimal!r}, like "
        f"{some(dict.fromkeys(odd), 3)}{beside}: they look like thousands"
    )
    instead = f"thousands={signs.decimal!r} (--thousands {signs.decimal})"
    if spelling.decimal is None:
        raise TableError(
            f"{look}; read the file with {instead}, or, if they are decimals, say so: decimal={signs.decimal!r} "
            f"(--decimal {signs.decimal})"
        )
    warnings.warn(
        f"{look}, and are read as decimals, as decimal={signs.decimal!r} says; if they are thousands, give "
        f"{instead} in its place",
        PriorhoodWarning,
        stacklevel=7,
    )
    return True


def _every_three(texts: list[str]) -> list[str]:
    """The texts with a comma, where there are several, and every one has three digits behind it."""
    signed = [t for t in texts if "," in t]
    exact = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
    return signed if len(signed) >= 3 and all(map(exact.fullmatch, signed)) else []

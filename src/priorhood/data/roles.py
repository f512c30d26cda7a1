"""Columns converted to the form that their roles require, on any backend: numbers, truth values, categories."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from priorhood._text import argument, preview
from priorhood.data.date_advice import advice_if_dates, dates_advice, note_blanks, typed_dates_advice
from priorhood.data.date_formats import numbered_dates
from priorhood.data.labels import normal_label
from priorhood.data.misread_thousands import all_in_thousands, check_thousands
from priorhood.data.number_formats import FALSE, TRUE, parse_bool
from priorhood.data.sources.arrow import wide_numbers
from priorhood.data.sources.backend import backend_of
from priorhood.data.sources.columns import (
    first_texts,
    has_dates,
    label_text,
    run,
    stripped,
    textual,
    with_readings,
)
from priorhood.data.sources.duckdb_io import KEPT
from priorhood.data.text_columns import TextColumn, text_counts
from priorhood.data.unusual_numbers import boolean_rewriting
from priorhood.errors import TableError
from priorhood.model.tokens import written

if TYPE_CHECKING:
    from collections.abc import Iterable

    import narwhals.stable.v2 as nw
    from narwhals.stable.v2.dtypes import DType

    from priorhood.data.sources.backend import Frame
    from priorhood.data.sources.table import Table

# Prefix in Table.checked of a column of numbers that are truth values.
TRUTHS = "truth values: "
TRUE_OR_FALSE = "in the fit it was true or false: write true and false, or 1 and 0"


@dataclass(frozen=True)
class Role:
    """Purpose of a column: a number, categories, or either if neither is required.

    Attributes
    ----------
    purpose : str
        Purpose in words, for messages.
    number : bool
        Whether the column has to be numeric.
    category : bool
        Whether the column has to be categorical.
    predictor : bool
        Whether a formula could use the column as categories instead.
    known : tuple of str
        Categories of an earlier fit, whose spelling is kept.
    instead : str
        What to write instead of texts, if the column was true or false in an earlier fit.
    """

    purpose: str
    number: bool = False
    category: bool = False
    predictor: bool = False
    known: tuple[str, ...] = ()
    instead: str = ""


def convert_to_roles(frame: Frame, roles: dict[str, Role], table: Table, *, keep: bool = False) -> Frame:
    """Return the rows with every column in the form that its role requires: numbers, or normalized categories.

    Only rows that meet the table's condition (where) are checked.

    Parameters
    ----------
    keep : bool
        Whether the original columns are kept under other names.

    Raises
    ------
    TableError
        Text or dates in a column that should be numeric.
    """
    import narwhals.stable.v2 as nw

    table.check_unambiguous(roles)
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


def with_original_texts(frame: Frame, roles: dict[str, Role], table: Table, texts: tuple[str, ...]) -> Frame:
    """Return the rows with categories as text that a CSV's reader has converted to truth values, dates or times.

    DuckDB would write them in its own format, 2024-01-03, but the next time the file's, 03.01.2024, may be read.

    Parameters
    ----------
    frame : Frame
        Rows of the table, opened with `texts` as text.
    """
    if table.csv is None:
        return frame
    schema = frame.collect_schema()
    typed = [c for c in roles if roles[c].category and not (schema[c].is_numeric() or textual(schema[c]))]
    return table.frame((*texts, *typed)) if typed else frame


def _reading(frame: Frame, column: str, dtype: DType, roles: dict[str, Role], table: Table) -> nw.Expr | None:
    """Return the expression that converts a column to its role; None if it needs no conversion."""
    import narwhals.stable.v2 as nw

    role = roles[column]
    if dtype.is_numeric() and not role.known:
        if dtype not in (nw.Int64, nw.UInt64) or backend_of(frame) not in ("pyarrow", "pandas"):
            return None
        wide = wide_numbers(frame.to_native(), column)
        # with_columns takes a series as well as an expression.
        return None if wide is None else nw.from_native(wide, series_only=True)
    if role.category:
        if dtype == nw.Object and not role.known:
            numbers = _python_numbers(frame, column, booleans=False)
            if numbers is not None:
                return numbers
        return _categories(frame, column, role, text_counts(frame, column, table.name))
    if dtype == nw.Boolean:
        table.checked.add(TRUTHS + column)
        return None
    # A number of hundreds of digits gives a CSV's column an unknown type.
    if not textual(dtype) and not (dtype == nw.Unknown and table.csv):
        title = f"{table.name}: column {column!r} ({role.purpose})"
        if has_dates(frame, column):
            raise TableError(f"{title} {typed_dates_advice(frame, column, table)}")
        what, instead = next((words for kind, *words in _kinds() if dtype == kind), ["values of another type", ""])
        times = [text[:10] for text in first_texts(frame, column, table.name)][:1] if dtype == nw.Time else []
        like = f", such as {preview(times)}" if times else ""
        raise TableError(f"{title} holds {what}{like}, not numbers; convert them to numbers first{instead}")
    if dtype == nw.Object and (numbers := _python_numbers(frame, column)) is not None:
        if _python_numbers(frame, column, booleans=False) is None:
            table.checked.add(TRUTHS + column)
        return numbers
    return _text_reading(TextColumn(column, role, table, text_counts(frame, column, table.name)), frame, roles)


def _text_reading(text: TextColumn, frame: Frame, roles: dict[str, Role]) -> nw.Expr | None:
    """Return the expression that converts a column of text; None if it is one of categories already."""
    import narwhals.stable.v2 as nw

    column, role, table, values = text.name, text.role, text.table, text.values
    separators = table.number_format.separators
    present = stripped(frame, column)
    if values and all(parse_bool(value) is not None for value in values):
        table.checked.add(TRUTHS + column)
        word = present.str.to_lowercase()
        false = nw.when(word.is_in(FALSE)).then(nw.lit(0.0))
        return nw.when(word.is_in(TRUE)).then(nw.lit(1.0)).otherwise(false)
    if mixed := boolean_rewriting(values):
        raise TableError(f"{text.title} {mixed.description}: {text.conversion(mixed, text.or_categories)}")
    odd = [v for v in values if not separators.match(v)]
    odd = odd or [v for v in values if not math.isfinite(float(separators.to_plain(v)))]
    if odd:
        text.check_separators(odd, frame, roles)
        if dates := advice_if_dates(column, role, text.counts, table):
            raise TableError(f"{text.title} {dates}")
        # A predictor is categorical if most of its texts are not numbers.
        mostly_odd = 2 * len(odd) > sum(value.lower() != "nan" for value in values)
        categorical = mostly_odd and not role.number
        text.check_units(odd, frame, roles, categorical=categorical)
        if categorical:
            return _categories(frame, column, role, text.counts)
        raise TableError(f"{text.title} {text.describe_odd(odd)}")
    if not role.number and (numbered := numbered_dates(values)):
        raise TableError(
            f"{text.title} {dates_advice(column, role, values, note_blanks(numbered, text.counts), table)}"
        )
    if values and table.csv is None:
        others: list[Any] = []  # texts of rows that the condition leaves out
        if KEPT in frame.collect_schema().names():
            rest: Any = frame.filter(~nw.col(KEPT) & ~nw.col(column).is_null())
            others = run(rest.select(present.alias("text")).unique(), table.name)["text"].tolist()
        if all(separators.match(other) for other in others if isinstance(other, str) and other):
            dtype = frame.collect_schema()[column]
            held = "categories" if dtype in (nw.Categorical, nw.Enum) else "text"
            like = preview(values, 2)
            three = all_in_thousands(values)
            thousands = (
                f" (if {three[0]!r} is {three[0].replace('.', '')}, read the table with "
                f"{argument('thousands', '.')})"
                if three
                else ""
            )
            if role.number:
                raise TableError(f"{text.title} is {held}, such as {like}; convert it to numbers{thousands}")
            raise TableError(
                f"{table.name}: column {column!r} is {held} though all its values are numbers, such as {like}; "
                f"convert it to numbers{thousands}, or write C({written(column)}) to use it as categories"
            )
    numbers = [one for one, other in roles.items() if not other.category]
    check_thousands(column, values, table, numbers)
    read = nw.when(present != "").then(present)
    if KEPT in frame.collect_schema().names():
        read = nw.when(nw.col(KEPT)).then(read)
    return separators.to_number(read)


def _python_numbers(frame: Frame, column: str, *, booleans: bool = True) -> nw.Expr | None:
    """Return a pandas column of Python numbers (and truth values) as numbers; None if it has other values."""
    import narwhals.stable.v2 as nw
    import pandas as pd

    if backend_of(frame) != "pandas":
        return None
    values: Any = frame.to_native()[column]  # type: ignore[union-attr]
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind not in ("integer", "floating", "mixed-integer-float", "decimal", *(["boolean"] if booleans else [])):
        return None
    numbers = [float("nan") if gone else float(v) for v, gone in zip(values, pd.isna(values), strict=True)]
    series: Any = pd.Series(numbers, index=values.index, dtype="float64", name=column)
    made: Any = nw.from_native(series, series_only=True)
    return made  # type: ignore[no-any-return]  # with_columns takes a series as well as an expression


# -- labels and categories ----------------------------------------------------------------------------------


def refuse_nested(frame: Frame, purposes: dict[str, str], name: str) -> None:
    """Raise if a column of labels or categories holds lists, bytes, durations or the like.

    Parameters
    ----------
    purposes : dict of str to str
        Purpose of each column, in words.
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
            try:  # intervals of months cannot be converted to text
                run(frame.head(1).select(nw.col(column).cast(nw.String)), "")
            except Exception:  # noqa: BLE001  # each library has its own
                what = "values of another type"
        if what:
            raise TableError(
                f"{name}: column {column!r} ({purpose}) holds {what}, not labels; convert them to text"
            )


def _kinds() -> tuple[tuple[type[DType], str, str], ...]:
    """Return types of values that are not numbers, with their names and examples of a conversion."""
    import narwhals.stable.v2 as nw

    return (
        (nw.Time, "times of day", ", for example hours since midnight"),
        (nw.Duration, "durations", ", for example days"),
        (nw.List, "lists", ""),
        (nw.Array, "lists", ""),
        (nw.Struct, "several values each", ""),
        (nw.Binary, "bytes", ""),
    )


def _categories(frame: Frame, column: str, role: Role, texts: Iterable[str]) -> nw.Expr | None:
    """Return the expression for a column with one spelling per category; None if it has that already."""
    import narwhals.stable.v2 as nw

    plain: Any = label_text(frame, column)
    known = {normal_label(category): category for category in role.known}
    categories = {text: known.get(normal := normal_label(text), normal) for text in texts}
    respelled = {text: category for text, category in categories.items() if text != category}
    if not respelled:
        return None if textual(frame.collect_schema()[column]) else plain  # type: ignore[no-any-return]
    found: Any = plain
    for category in dict.fromkeys(respelled.values()):
        spelled = [text for text, meaning in respelled.items() if meaning == category]
        found = nw.when(plain.is_in(spelled)).then(nw.lit(category)).otherwise(found)
    return found  # type: ignore[no-any-return]

"""Thousands separators misread as decimal points: 1.250 for 1,250, which makes a value 1,000 times too small."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, preview
from priorhood.data.mixed_decimals import column_with, respelling
from priorhood.data.number_formats import SAME_SEPARATOR, Separators
from priorhood.data.sources.columns import run
from priorhood.errors import TableError, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import narwhals.stable.v2 as nw

    from priorhood._arrays import Array, Flags
    from priorhood.data.sources.backend import Frame
    from priorhood.data.sources.table import Table

# The first values of most columns already rule thousands out.
FEW = 20
# Values from THOUSAND on are not thousands read as decimals; NaN and infinity are above FINITE; ROUNDING is the
# error of a value times 100.
THOUSAND, FINITE, ROUNDING = 1000.0, 1e300, 1e-6


# -- texts --------------------------------------------------------------------------------------------------


def in_thousands(texts: Sequence[str], decimal: str) -> list[str]:
    """Return the texts that look like thousands but can be read as decimals: 1.200 in a column with 950.

    Every value with a separator has exactly three digits after it, and the whole numbers are all below 1,000 or all
    at least 1,000, and hundreds of times as large: read as decimals, the column would have two kinds of values.
    """
    numeral = re.compile(r"[+-]?[0-9.,]+")
    exact = re.compile(rf"[+-]?[1-9][0-9]{{0,2}}{re.escape(decimal)}[0-9]{{3}}")
    signed = []
    for text in texts:  # in most columns the first text with a separator decides
        if decimal in text:
            if exact.fullmatch(text):
                signed.append(text)
            elif numeral.fullmatch(text):
                return []
    if not signed:
        return []
    rest = [t for t in texts if decimal not in t and numeral.fullmatch(t)]
    if not rest or not all(re.fullmatch(r"[+-]?[0-9]+", t) for t in rest):
        return []
    small, whole = [abs(float(t.replace(decimal, "."))) for t in signed], [abs(float(t)) for t in rest]
    return signed if (max(whole) < 1000 or min(whole) >= 1000) and _two_kinds(small, whole) else []


def _two_kinds(small: list[float], large: list[float]) -> bool:
    """Return whether the small values look like thousands of the large ones, with no value in between."""
    small, large = sorted(abs(value) for value in small), sorted(abs(value) for value in large if value)
    if not small or not large:
        return False
    # Medians 500 times apart; half of that allows for few values with a wide spread.
    return large[len(large) // 2] >= 250 * small[len(small) // 2] and large[0] >= 5 * small[-1]


# One to three digits, then three digits after every separator, which is the same throughout.
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}([,.'\u2019_\s])[0-9]{3}(?:\1[0-9]{3})*")


def in_two_ways(texts: Sequence[str]) -> list[str]:
    """Return one text for each thousands separator, if there are two of them and they have no other use.

    No choice of separators fits both: 623,210 with 195.719 or 195 719. Empty if most texts are not numbers.
    """
    found: dict[str, str] = {}
    numbers = 0
    for text in texts:
        match = _GROUPED.fullmatch(text)
        numbers += bool(match) or text.isdecimal()
        if match:
            sign = next((s for s, same in SAME_SEPARATOR.items() if match[1] in same), match[1])
            found.setdefault(sign, text)
    if numbers <= len(texts) / 2:
        return []
    for sign in ",.":
        if sign in found and any(sign in text and not _GROUPED.fullmatch(text) for text in texts):
            del found[sign]
    return list(found.values()) if len(found) > 1 else []


def all_in_thousands(texts: Sequence[str]) -> list[str]:
    """Return the distinct texts if all of them look like thousands with points, 124.508, but may be decimals.

    None begins with 0, there are at least five, and they are not all close to one value, as a city's latitudes are.
    """
    exact = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
    if not all(map(exact.fullmatch, texts)):  # in most columns the first text decides
        return []
    distinct = list(dict.fromkeys(texts))
    sizes = [abs(float(text)) for text in distinct]
    return distinct if len(distinct) >= 5 and max(sizes) >= 2 * min(sizes) else []


def check_thousands(column: str, texts: list[str], table: Table, numbers: Iterable[str] = ()) -> bool:
    """Check the texts of a CSV's column of numbers, unless the user gave the separators.

    Parameters
    ----------
    numbers : iterable of str
        Columns of numbers, whose decimals may contradict the thousands of this one.

    Returns
    -------
    bool
        Whether a warning was given for values that may well be thousands.

    Raises
    ------
    TableError
        The column has two kinds of values, and the user did not give the decimal separator.
    """
    given = table.number_format
    decimal = given.separators.decimal
    if given.thousands or column in table.checked:
        return False
    odd = in_thousands(texts, decimal)
    if not odd and given.decimal is None and (three := all_in_thousands(texts)):
        example = three[0]
        command = _command_instead(column, ".", table, numbers)
        meant = f"if it means {example.replace('.', '')},"
        decimals = f"if these are decimals, use {argument('decimal', '.')}"
        warn(
            f"{table.name}: every value of column {column!r} has a period and three digits, such as "
            f"{preview(three, 3)}: {example!r} is read as a decimal, {float(example):g}; "
            + (
                f"{decimals}, and {meant} {command}"
                if command
                else f"{meant} read the file with {argument('thousands', '.')}, and {decimals}"
            )
        )
        table.checked.add(column)
        return True
    if not odd and decimal == ",":
        signed = [t for t in texts if "," in t]
        exact = re.compile(r"[+-]?[1-9][0-9]{0,2},[0-9]{3}")
        odd = signed if len(signed) >= 3 and all(map(exact.fullmatch, signed)) else []
    if not odd:
        return False
    whole = [t for t in texts if decimal not in t and t.isdigit()]
    others = f" and whole numbers hundreds of times larger, such as {preview(whole, 1)}" if whole else ""
    description = (
        f"{table.name}: column {column!r} has values with exactly three digits after {decimal!r}, such as "
        f"{preview(dict.fromkeys(odd), 3)}{others}: {'the former' if whole else 'they'} look like thousands"
    )
    command = _command_instead(column, decimal, table, numbers)
    instead = argument("thousands", decimal)
    if given.decimal is None:
        if command:
            raise TableError(
                f"{description}; if they are decimals, read the file with {argument('decimal', decimal)}; if they "
                f"are thousands, {command}"
            )
        raise TableError(
            f"{description}; read the file with {instead}, or, if they are decimals, with "
            f"{argument('decimal', decimal)}"
        )
    warn(
        f"{description}, but are read as decimals because of {argument('decimal', decimal)}; if they are "
        f"thousands, {command or f'use {instead} instead'}"
    )
    return True


def _command_instead(column: str, sign: str, table: Table, numbers: Iterable[str]) -> str:
    """Return the command that removes the thousands separators of a column if the sign means decimals elsewhere."""
    others = [one for one in numbers if one != column]
    other = column_with(sign, table.csv.sample_texts(others)) if table.csv is not None else ""
    if not other:
        return ""
    removed = respelling(column, Separators(".", sign), ".", table)
    return f"remove {sign!r} from this column alone, since column {other!r} has decimals with it: {removed}"


# -- numbers ------------------------------------------------------------------------------------------------


def warn_of_thousandths(column: str, values: Array, table: Table) -> None:
    """Warn of numbers that look like thousands read as decimals; values (n,) must be finite."""
    size = np.abs(values)
    if not len(values) or size.max() >= 1000:
        return
    high = (values == np.floor(values)) & (size >= 10)
    # Cheaper than _two_kinds, which wants the same gap.
    if not high.any() or high.all() or size[high].min() < 5 * size[~high].max():
        return
    small, large = values[~high], values[high]
    broken = small[small != np.floor(small)]
    if len(broken) < 3 or not _are_thousandths(small[:FEW]).all() or not _are_thousandths(small).all():
        return
    if not _two_kinds(small.tolist(), large.tolist()):
        return
    shown = ", ".join(f"{v:g}" for v in broken[:3].tolist())
    warn(
        f"{table.name}: column {column!r} contains both {shown} and much larger whole numbers such as "
        f"{large.max():g}. If 1.2 was written 1.200 and means 1,200, the former are too small by a factor of "
        f"1,000; read the original file with {argument('thousands', '.')}"
    )


def _are_thousandths(values: Array) -> Flags:
    """Return which values are at least 1 in size, and whole numbers of thousandths; (n,)."""
    scaled = values * 1000
    return (np.abs(values) >= 1) & np.isclose(scaled, np.round(scaled), rtol=1e-12, atol=0.0)


# -- all rows -----------------------------------------------------------------------------------------------


def thousands_marks(columns: tuple[str, ...]) -> list[nw.Expr]:
    """Return two 0/1 flags per row for each column of numbers, m0, m1, …

    The first flags a size of at least 1,000; the second a smaller one with a third decimal, as 1.050 is read.
    """
    import narwhals.stable.v2 as nw

    marks: list[Any] = []
    for column in columns:
        value = nw.col(column).cast(nw.Float64)
        size, hundredfold = value.abs(), value * 100
        large = (size >= THOUSAND) & (size <= FINITE)
        third = ((hundredfold - hundredfold.round()).abs() > ROUNDING) & (size < THOUSAND)
        marks += [nw.when(mark).then(nw.lit(1)).otherwise(nw.lit(0)) for mark in (large, third)]
    return [mark.alias(f"m{i}") for i, mark in enumerate(marks)]


def may_be_thousands(columns: tuple[str, ...], marks: Iterable[float]) -> tuple[str, ...]:
    """Return the columns that may have thousands read as decimals, given the maxima of thousands_marks."""
    found = list(marks)
    pairs = zip(found[::2], found[1::2], strict=True)
    return tuple(column for column, (large, third) in zip(columns, pairs, strict=True) if third and not large)


def check_all_rows(frame: Frame, table: Table, late: tuple[str, ...] | None = None) -> None:
    """Check the rows after the first ones for thousands read as decimals, as in a sorted table.

    Parameters
    ----------
    late : tuple of str, optional
        Result of may_be_thousands, if a pass over all rows has found it already.

    Raises
    ------
    TableError
        A column has two kinds of values, as in check_thousands.
    """
    import narwhals.stable.v2 as nw

    columns = tuple(sorted(table.unchecked_thousands))
    if late is None and columns:
        found = run(frame.select(*thousands_marks(columns)).select(nw.all().max()), table.name)
        late = may_be_thousands(columns, [found[f"m{i}"][0] for i in range(2 * len(columns))])
    for column in late or ():
        if table.csv is not None and column in table.unchecked_thousands:
            table.checked.discard(column)
            check_thousands(column, table.csv.sample_texts([column], every=True)[column], table)
            table.checked.add(column)
    table.unchecked_thousands.clear()

"""Advice on numbers that are written unusually: in other digits, in brackets, in lakhs, with units, as ranges."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from priorhood._text import argument, join_words, preview
from priorhood.data.number_formats import (
    DEFAULT_FORMAT,
    MEASURES,
    METRES,
    PLAIN,
    Affix,
    AffixedNumber,
    NumberFormat,
    Separators,
    find_separators,
    is_indian_grouping,
    is_number,
    is_unit,
    mixed_booleans,
    multiple,
    possible_nulls,
    split_affixes,
    unit_meaning,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Characters that stand for ASCII ones: minus and dashes; plus, points and commas of full width; Arabic separators.
_ASCII = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"),
    **{"\uff0b": "+", "\uff0e": ".", "\uff0c": ",", "\u066b": ".", "\u066c": ","},
}
# Stands for the column itself in the calls of a rewriting.
COLUMN = "<column>"
_BRACKETS = re.compile(r"\((.+)\)")


@dataclass(frozen=True)
class Rewriting:
    """An unusual form of numbers, and calls of pandas and Polars that convert them to plain numbers.

    Attributes
    ----------
    description : str
        Description of the column, with advice.
    pandas, polars : str
        Method calls on the column; '' if only the user can convert it.
    """

    description: str
    pandas: str = ""
    polars: str = ""


def rewriting(texts: Iterable[str], given: NumberFormat = DEFAULT_FORMAT) -> Rewriting | None:
    """Return the conversion of texts that are numbers in an unusual form; None for other texts.

    Texts without a digit are ignored.
    """
    numbers = [text for text in texts if any(map(str.isdigit, text))]

    def changed_by(change: Callable[[str], str]) -> list[str]:
        """Return the texts that change, if all texts are numbers afterwards."""
        others = [text for text in numbers if change(text) != text]
        return others if others and all(is_number(change(text), given) for text in numbers) else []

    found = changed_by(lambda text: "".join(map(_ascii, text)))
    letters = sorted({letter for text in found for letter in text if _ascii(letter) != letter}, key=_ascii)
    if letters:
        plain = list(map(_ascii, letters))
        return Rewriting(
            f"has numbers in digits other than 0 to 9, such as {preview(found[:2])}; replace them",
            f".str.translate(str.maketrans({''.join(letters)!r}, {''.join(plain)!r}))",
            f".str.replace_many({letters!r}, {plain!r})",
        )
    found = changed_by(lambda text: _BRACKETS.sub(r"\1", text) if _BRACKETS.fullmatch(text) else text)
    if found:
        return Rewriting(
            f"has numbers in brackets, such as {preview(found[:2])}, which often stand for negative numbers; if "
            f"so, write them with a minus sign",
            r".str.replace(r'^\((.+)\)$', r'-\1', regex=True)",
            r".str.replace(r'^\((.+)\)$', '-${1}')",
        )
    found = [text for text in numbers if is_indian_grouping(text)]
    if any(re.search(r",\d\d,", text) for text in found) and all(is_number(text, given) for text in numbers):
        return Rewriting(
            f"has numbers with Indian digit grouping (lakhs), such as {preview(found[:2])}; remove the commas",
            ".str.replace(',', '', regex=False)",
            ".str.replace_all(',', '', literal=True)",
        )
    return _with_several_signs(numbers, given)


def _ascii(letter: str) -> str:
    return str(unicodedata.decimal(letter, _ASCII.get(letter, letter)))


def _with_several_signs(texts: list[str], given: NumberFormat) -> Rewriting | None:
    """Return advice on numbers with multiples, in several units, or in one unit written in several ways."""
    found = split_affixes(texts, given)
    pairs: dict[tuple[str, str], str] = {}
    for number in found:
        pairs.setdefault((number.before, number.after), number.text)
    units = [next(filter(None, map(unit_meaning, (n.before, n.after))), None) for n in found]
    if any(unit is not None and unit[0] == METRES[0] for unit in units):  # next to 40 ft, 12 m are not millions
        units = [METRES if n.after.casefold() == "m" else unit for n, unit in zip(found, units, strict=True)]
    if any(multiple(n.after) for n, unit in zip(found, units, strict=True) if unit != METRES):
        return _with_multiples(found, given)
    if len(set(units) - {None}) > 1:  # square metres and square feet, or euros and dollars
        examples = {unit: number.text for number, unit in zip(found, units, strict=True)}
        shown = preview([text for unit, text in examples.items() if unit is not None][:3])
        description = (
            f"has numbers in {'two' if len(examples.keys() - {None}) == 2 else 'several'} units, such as {shown}"
        )
        kinds = {unit[0] for unit in units if unit is not None}
        separators = find_separators([number.core for number in found], given)
        if len(kinds) > 1 or None in units or separators is None:
            return Rewriting(f"{description}; convert them to one unit first")
        commonest = max(examples, key=units.count)
        target = next(number.after for number, unit in zip(found, units, strict=True) if unit == commonest)
        factors = {
            number.after: float(f"{unit[1] / commonest[1]:.9g}")
            for number, unit in zip(found, units, strict=True)
            if unit is not None and commonest is not None and unit != commonest
        }
        return Rewriting(f"{description}; convert them to {target}", *_times(factors, separators))
    pairs.pop(("", ""), None)
    if len(pairs) < 2:
        return None
    before, after = ({pair[at] for pair in pairs} - {""} for at in (0, 1))
    ends = [rf"^(?:{_any(before)})"] * bool(before) + [rf"(?:{_any(after)})$"] * bool(after)
    pattern = "|".join(ends)
    return Rewriting(
        f"has numbers with different units or symbols, such as {preview(list(pairs.values())[:3])}; if all of them "
        f"mean the same, remove them",
        f".str.replace({pattern!r}, '', regex=True)",
        f".str.replace_all({pattern!r}, '')",
    )


def _with_multiples(found: list[AffixedNumber], given: NumberFormat) -> Rewriting | None:
    """Return advice on numbers, some of which are in thousands or millions."""
    after = dict.fromkeys(number.after for number in found)
    shown = preview([next(n.text for n in found if n.after == sign) for sign in after][:3])
    factors = {sign: multiple(sign) or 1 for sign in after if multiple(sign)}
    units = {unit_meaning(sign) for n in found for sign in (n.before, n.after)} - {None}
    by_hand = "convert them to one unit first"
    if len(after) == 1:
        if next(iter(after)).casefold() == "m" and not any(number.before for number in found):
            return None  # metres, or millions
        words = {1_000: "thousands", 1_000_000: "millions", 1_000_000_000: "billions"}
        description = f"has numbers in {words[next(iter(factors.values()))]}, such as {shown}"
    else:
        description = f"has numbers with different multipliers, such as {shown}"
        if all(sign.casefold() == "m" for sign in factors) and not units:
            return Rewriting(f"{description}; {by_hand}")
    separators = find_separators([number.core for number in found], given)
    if separators is None or len(units) > 1 or any(unit[0] in MEASURES for unit in units if unit is not None):
        return Rewriting(f"{description}; {by_hand}")
    return Rewriting(f"{description}; multiply them", *_times(factors, separators))


def _times(factors: Mapping[str, float], separators: Separators) -> tuple[str, str]:
    """Return calls of pandas and Polars that multiply a column's numbers by the factor of the sign after them."""
    between = re.sub(r"([\\\]^-])", r"\\\1", separators.between_thousands + separators.decimal)
    number = rf"([+-]?(?:\d(?:[\d{between}]*\d)?))"
    pandas, polars = f".str.extract({number!r}, expand=False)", f".str.extract({number!r})"
    pandas, polars = (
        f"{calls}{more}" for calls, more in zip((pandas, polars), calls_to_respell(separators), strict=True)
    )
    after = rf"({_any(factors)})\s*$"
    pandas += f".astype(float) * {COLUMN}.str.extract({after!r}, expand=False).map({dict(factors)!r}).fillna(1)"
    polars += (
        f".cast(pl.Float64) * {COLUMN}.str.extract({after!r}).replace_strict({dict(factors)!r}, default=1, "
        f"return_dtype=pl.Float64)"
    )
    return pandas, polars


def calls_to_respell(separators: Separators, decimal: str = ".") -> tuple[str, str]:
    """Return calls of pandas and Polars that write a column's numbers without thousands, with this decimal sign."""
    pandas = polars = ""
    for sign, plain in (*((sign, "") for sign in separators.between_thousands), (separators.decimal, decimal)):
        if sign != plain:
            pandas += f".str.replace({sign!r}, {plain!r}, regex=False)"
            polars += f".str.replace_all({sign!r}, {plain!r}, literal=True)"
    return pandas, polars


def _any(signs: Iterable[str]) -> str:
    """Return a pattern for pandas and Polars that matches any of the signs, longer ones first."""
    ordered = sorted(signs, key=lambda sign: (-len(sign), sign))
    return "|".join(re.sub(r"([.^$*+?{}\[\]|()\\])", r"\\\1", sign) for sign in ordered)


def boolean_rewriting(texts: Iterable[str]) -> Rewriting | None:
    """Return the conversion of texts with truth values in two forms, Y, N, 1 and 0; None for other texts."""
    values = mixed_booleans(texts)
    if not values:
        return None
    description = f"has true/false values in more than one form, {preview(texts, 6)}; use one form"
    return Rewriting(description, *calls_to_map(values))


def calls_to_map(values: Mapping[str, bool]) -> tuple[str, str]:
    """Return calls of pandas and Polars that replace a column's words, given in lower case, by truth values."""
    return (
        f".astype(str).str.strip().str.lower().map({values!r})",
        f".str.strip_chars().str.to_lowercase().replace_strict({values!r}, default=None, return_dtype=pl.Boolean)",
    )


_NUMBER, _AROUND = r"((?:0|[1-9]\d*)(?:[.,']\d+)*)", r"([^\d<>≤≥+-]*)"
_BOUNDED = {
    "range": re.compile(rf"{_AROUND}{_NUMBER}{_AROUND}?\s*(?:[-\u2010-\u2015\u2212]|to|bis)\s*{_NUMBER}{_AROUND}"),
    "lower": re.compile(
        rf"(?:>=?|≥)\s*{_AROUND}{_NUMBER}{_AROUND}|{_AROUND}{_NUMBER}{_AROUND}\s*(?:\+|or more|und mehr)"
    ),
    "upper": re.compile(rf"(?:<=?|≤)\s*{_AROUND}{_NUMBER}{_AROUND}"),
}


def range_rewriting(
    odd: Iterable[str], numbers: Iterable[str] = (), given: NumberFormat = DEFAULT_FORMAT
) -> Rewriting | None:
    """Return the conversion of ranges and bounds to numbers, 30-35, 5+, <10; None if a text is anything else.

    Parameters
    ----------
    odd : iterable of str
        Texts that are not numbers.
    numbers : iterable of str
        Other texts of the column.
    """
    cores = list(numbers)
    if any(number.startswith("-") for number in cores):
        return None
    found: dict[str, str] = {}
    for text in odd:
        kind, match = next(((k, m) for k, form in _BOUNDED.items() if (m := form.fullmatch(text))), ("", None))
        if match is None:
            return None
        parts = [part or "" for part in match.groups()]
        ends = [part for part in parts if part[:1].isdecimal()]
        if not all(is_unit(part) for part in parts if part not in ends):
            return None
        cores += ends
        found.setdefault(kind, text)
        if kind == "range":
            separators = find_separators(ends, given)
            if separators is None or float(separators.to_plain(ends[0])) >= float(separators.to_plain(ends[1])):
                return None
    separators = find_separators(cores, given)
    if separators is None or not found:
        return None
    pandas, polars = calls_to_respell(separators)
    number = r"\d+(?:\.\d+)?"
    both = rf"({number})(?:\D+({number}))?"
    advice = {
        "range": "use the middle of ranges such as {!r}",
        "lower": "use the lower bound of {!r}, though the value may be larger",
        "upper": "use the upper bound of {!r}, though the value may be smaller",
    }
    return Rewriting(
        ", ".join(advice[name].format(found[name]) for name in advice if name in found),
        f"{pandas}.str.extract({both!r}).astype(float).mean(axis=1)",
        f"{polars}.str.extract_all({number!r}).list.eval(pl.element().cast(pl.Float64)).list.mean()",
    )


# -- advice in words ----------------------------------------------------------------------------------------


def null_advice(texts: list[str]) -> str:
    """Return advice to name texts among numbers as nulls; '' if none is likely to mean a missing value."""
    words = possible_nulls(texts)
    if not words:
        return ""
    return f", or name the strings that mean a missing value ({argument('nulls', words)})"


def affix_advice(
    found: Affix,
    column: str,
    command: Callable[[str], str] | None = None,
    instead: str = "",
    decimals: tuple[str, str] | None = None,
) -> str:
    """Return advice on numbers with a sign before or after them.

    Parameters
    ----------
    command : callable, optional
        As in conversion_advice.
    instead : str
        As in conversion_advice.
    decimals : tuple of str, optional
        Another column of numbers and its decimal separator, if it contradicts that of this column.
    """
    signs = [sign for sign in (found.before, found.after) if sign]
    places = [f"{sign!r} {where}" for sign, where in ((found.before, "before"), (found.after, "after")) if sign]
    description = f"numbers with {join_words(places)} them, such as {preview(found.odd, 2)}"
    if found.times > 1:
        factors = {found.after: found.times}
        scaled = conversion_advice(column, *_times(factors, found.separators), command, instead)
        return f"{description}; multiply them by {found.times:,}: {scaled}"
    pandas = "".join(f".str.replace({sign!r}, '', regex=False)" for sign in signs)
    polars = "".join(f".str.replace_all({sign!r}, '', literal=True)" for sign in signs)
    if decimals:
        other, decimal = decimals
        reads = f", and write decimals with {decimal!r} like column {other!r}"
        calls = calls_to_respell(found.separators, decimal)
        pandas, polars = pandas + calls[0], polars + calls[1]
    else:
        reads = f", and read the result with {found.separators}" if found.separators != PLAIN else ""
    # In rows without the unit, the numbers may be in another one.
    alike = "if all others are in the same unit, " if found.partial and any(map(unit_meaning, signs)) else ""
    advice = conversion_advice(column, pandas, polars, command, instead)
    return f"{description}; {alike}remove {'it' if len(signs) == 1 else 'them'}{reads}: {advice}"


def conversion_advice(
    column: str, pandas: str, polars: str, command: Callable[[str], str] | None = None, instead: str = ""
) -> str:
    """Return code that converts a column, in pandas, in Polars or as a command.

    The command comes last, since users copy it up to the end of the line.

    Parameters
    ----------
    pandas, polars : str
        Method calls on the column, in which COLUMN stands for the column itself.
    command : callable, optional
        Function from a line of Python for the rows d to the command that applies it to their file.
    instead : str
        Alternative advice, like "; or write …".
    """
    frame, rows = f"frame[{column!r}]", f"d[{column!r}]"
    in_polars = polars.replace(COLUMN, f"pl.col({column!r})")
    advice = f"{frame}{pandas.replace(COLUMN, frame)} in pandas, {in_polars} in Polars{instead}"
    if command is None:
        return advice
    return f"{advice}{';' if instead else ','} or {command(f'{rows} = {rows}{pandas.replace(COLUMN, rows)}')}"

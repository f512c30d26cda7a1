"""Advice for numbers that no reader takes: in other digits, in brackets, in lakhs, with units, as ranges."""

from __future__ import annotations

import re
import shlex
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from priorhood._text import join_words, preview
from priorhood.data.number_formats import (
    MEASURED,
    METRES,
    PLAIN,
    UNSAID,
    Affix,
    Marked,
    Signs,
    Spelling,
    is_number,
    is_unit,
    lakhs,
    meaning,
    multiple,
    perhaps_missing,
    signs_of,
    truths_in_two_ways,
    usual_signs,
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
    """How the numbers of a column are written, and calls of pandas and Polars that make plain numbers of them.

    look : what the column has and what to do about it
    pandas, polars : calls on the column, '' where only the user can convert it
    """

    look: str
    pandas: str = ""
    polars: str = ""


def rewriting(texts: Iterable[str], given: Spelling = UNSAID) -> Rewriting | None:
    """Return how to make plain numbers of texts that are numbers written unusually; None for other texts.

    Texts without a digit are ignored.
    """
    numbers = [text for text in texts if any(map(str.isdigit, text))]

    def odd(change: Callable[[str], str]) -> list[str]:
        """The texts that change, where all are numbers afterwards."""
        others = [text for text in numbers if change(text) != text]
        return others if others and all(is_number(change(text), given) for text in numbers) else []

    found = odd(lambda text: "".join(map(_ascii, text)))
    letters = sorted({letter for text in found for letter in text if _ascii(letter) != letter}, key=_ascii)
    if letters:
        plain = list(map(_ascii, letters))
        return Rewriting(
            f"has numbers in other characters than 0 to 9, like {preview(found[:2])}; replace them",
            f".str.translate(str.maketrans({''.join(letters)!r}, {''.join(plain)!r}))",
            f".str.replace_many({letters!r}, {plain!r})",
        )
    found = odd(lambda text: _BRACKETS.sub(r"\1", text) if _BRACKETS.fullmatch(text) else text)
    if found:
        return Rewriting(
            f"has numbers in brackets, like {preview(found[:2])}, which accounts use for numbers below 0; if so, "
            "give "
            f"them a minus",
            r".str.replace(r'^\((.+)\)$', r'-\1', regex=True)",
            r".str.replace(r'^\((.+)\)$', '-${1}')",
        )
    found = [text for text in numbers if lakhs(text)]
    if any(re.search(r",\d\d,", text) for text in found) and all(is_number(text, given) for text in numbers):
        return Rewriting(
            f"has numbers with the commas of lakhs, like {preview(found[:2])}; remove them",
            ".str.replace(',', '', regex=False)",
            ".str.replace_all(',', '', literal=True)",
        )
    return _with_several_signs(numbers, given)


def _ascii(letter: str) -> str:
    return str(unicodedata.decimal(letter, _ASCII.get(letter, letter)))


def _with_several_signs(texts: list[str], given: Spelling) -> Rewriting | None:
    """Advice for numbers with multiples, in several units, or in one unit that is written in several ways."""
    found = usual_signs(texts, given)
    pairs: dict[tuple[str, str], str] = {}
    for one in found:
        pairs.setdefault((one.before, one.after), one.text)
    units = [next(filter(None, map(meaning, (one.before, one.after))), None) for one in found]
    if any(unit is not None and unit[0] == METRES[0] for unit in units):  # next to 40 ft, 12 m are not millions
        units = [METRES if one.after.casefold() == "m" else unit for one, unit in zip(found, units, strict=True)]
    if any(multiple(one.after) for one, unit in zip(found, units, strict=True) if unit != METRES):
        return _with_multiples(found, given)
    if len(set(units) - {None}) > 1:
        return _in_several_units(found, units, given)
    pairs.pop(("", ""), None)
    if len(pairs) < 2:
        return None
    before, after = ({pair[at] for pair in pairs} - {""} for at in (0, 1))
    ends = [rf"^(?:{_any(before)})"] * bool(before) + [rf"(?:{_any(after)})$"] * bool(after)
    pattern = "|".join(ends)
    return Rewriting(
        f"has numbers with different signs, like {preview(list(pairs.values())[:3])}; if all mean the same, remove "
        f"them",
        f".str.replace({pattern!r}, '', regex=True)",
        f".str.replace_all({pattern!r}, '')",
    )


def _with_multiples(found: list[Marked], given: Spelling) -> Rewriting | None:
    """Advice for numbers of which some are in thousands or millions."""
    after = dict.fromkeys(one.after for one in found)
    shown = preview([next(one.text for one in found if one.after == sign) for sign in after][:3])
    factors = {sign: multiple(sign) or 1 for sign in after if multiple(sign)}
    units = {meaning(sign) for one in found for sign in (one.before, one.after)} - {None}
    by_hand = "convert them to one unit first"
    if len(after) == 1:
        if next(iter(after)).casefold() == "m" and not any(one.before for one in found):
            return None  # metres, or millions
        words = {1_000: "thousands", 1_000_000: "millions", 1_000_000_000: "billions"}
        look = f"has numbers in {words[next(iter(factors.values()))]}, like {shown}"
    else:
        look = f"has numbers of different sizes, like {shown}"
        if all(sign.casefold() == "m" for sign in factors) and not units:
            return Rewriting(f"{look}; {by_hand}")
    signs = signs_of([one.core for one in found], given)
    if signs is None or len(units) > 1 or any(unit[0] in MEASURED for unit in units if unit is not None):
        return Rewriting(f"{look}; {by_hand}")
    return Rewriting(f"{look}; multiply them", *_times(factors, signs))


def _in_several_units(found: list[Marked], units: list[tuple[str, float] | None], given: Spelling) -> Rewriting:
    """Advice for numbers in square metres and square feet, or in euros and dollars."""
    first = {unit: one.text for one, unit in zip(found, units, strict=True)}
    shown = preview([text for unit, text in first.items() if unit is not None][:3])
    look = f"has numbers in {'two' if len(first.keys() - {None}) == 2 else 'several'} units, like {shown}"
    kinds = {unit[0] for unit in units if unit is not None}
    signs = signs_of([one.core for one in found], given)
    if len(kinds) > 1 or None in units or signs is None:
        return Rewriting(f"{look}; convert them to one unit first")
    most = max(first, key=units.count)
    own = next(one.after for one, unit in zip(found, units, strict=True) if unit == most)
    factors = {
        one.after: float(f"{unit[1] / most[1]:.9g}")
        for one, unit in zip(found, units, strict=True)
        if unit is not None and most is not None and unit != most
    }
    return Rewriting(f"{look}; convert them to {own}", *_times(factors, signs))


def _times(factors: Mapping[str, float], signs: Signs) -> tuple[str, str]:
    """Calls of pandas and Polars that multiply a column's numbers by the factor of the sign after them."""
    between = re.sub(r"([\\\]^-])", r"\\\1", signs.separators + signs.decimal)
    number = rf"([+-]?(?:\d(?:[\d{between}]*\d)?))"
    pandas, polars = f".str.extract({number!r}, expand=False)", f".str.extract({number!r})"
    pandas, polars = (f"{calls}{more}" for calls, more in zip((pandas, polars), _plain(signs), strict=True))
    after = rf"({_any(factors)})\s*$"
    pandas += f".astype(float) * {COLUMN}.str.extract({after!r}, expand=False).map({dict(factors)!r}).fillna(1)"
    polars += (
        f".cast(pl.Float64) * {COLUMN}.str.extract({after!r}).replace_strict({dict(factors)!r}, default=1, "
        f"return_dtype=pl.Float64)"
    )
    return pandas, polars


def _plain(signs: Signs) -> tuple[str, str]:
    """Calls of pandas and Polars that write a column's numbers as Python does."""
    pandas = polars = ""
    for sign, plain in (*((one, "") for one in signs.separators), (signs.decimal, ".")):
        if sign != plain:
            pandas += f".str.replace({sign!r}, {plain!r}, regex=False)"
            polars += f".str.replace_all({sign!r}, {plain!r}, literal=True)"
    return pandas, polars


def _any(signs: Iterable[str]) -> str:
    """A pattern of pandas and Polars for any of the signs, longer ones first."""
    ordered = sorted(signs, key=lambda sign: (-len(sign), sign))
    return "|".join(re.sub(r"([.^$*+?{}\[\]|()\\])", r"\\\1", sign) for sign in ordered)


def truths(texts: Iterable[str]) -> Rewriting | None:
    """Return how to make truth values of texts that write them in two ways: Y, N, 1 and 0; None for other texts."""
    meant = truths_in_two_ways(texts)
    if not meant:
        return None
    return Rewriting(
        f"writes truth values in more than one way, {preview(texts, 6)}; write them the same way",
        f".astype(str).str.strip().str.lower().map({meant!r})",
        f".str.strip_chars().str.to_lowercase().replace_strict({meant!r}, default=None, return_dtype=pl.Boolean)",
    )


_NUMBER, _AROUND = r"((?:0|[1-9]\d*)(?:[.,']\d+)*)", r"([^\d<>≤≥+-]*)"
_BOUNDED = {
    "range": re.compile(rf"{_AROUND}{_NUMBER}{_AROUND}?\s*(?:[-\u2010-\u2015\u2212]|to|bis)\s*{_NUMBER}{_AROUND}"),
    "least": re.compile(
        rf"(?:>=?|≥)\s*{_AROUND}{_NUMBER}{_AROUND}|{_AROUND}{_NUMBER}{_AROUND}\s*(?:\+|or more|und mehr)"
    ),
    "most": re.compile(rf"(?:<=?|≤)\s*{_AROUND}{_NUMBER}{_AROUND}"),
}


def ranges(odd: Iterable[str], numbers: Iterable[str] = (), given: Spelling = UNSAID) -> Rewriting | None:
    """Return how to make numbers of ranges and bounds: 30-35, 5+, <10; None where a text is something else.

    Parameters
    ----------
    odd : iterable of str
        Texts that are no numbers.
    numbers : iterable of str
        The other texts of the column.
    """
    cores = list(numbers)
    if any(number.startswith("-") for number in cores):
        return None
    found: dict[str, str] = {}
    for text in odd:
        what, match = next(((n, m) for n, one in _BOUNDED.items() if (m := one.fullmatch(text))), ("", None))
        if match is None:
            return None
        parts = [part or "" for part in match.groups()]
        own = [part for part in parts if part[:1].isdecimal()]
        if not all(is_unit(part) for part in parts if part not in own):
            return None
        cores += own
        found.setdefault(what, text)
        if what == "range":
            signs = signs_of(own, given)
            if signs is None or float(signs.plain(own[0])) >= float(signs.plain(own[1])):
                return None
    signs = signs_of(cores, given)
    if signs is None or not found:
        return None
    pandas, polars = _plain(signs)
    one = r"\d+(?:\.\d+)?"
    both = rf"({one})(?:\D+({one}))?"
    advice = {
        "range": "take the middle of ranges like {!r}",
        "least": "take {!r} for the number that it begins at, though the value may be larger",
        "most": "take {!r} for the number that it ends at, though the value may be smaller",
    }
    return Rewriting(
        ", ".join(advice[name].format(found[name]) for name in advice if name in found),
        f"{pandas}.str.extract({both!r}).astype(float).mean(axis=1)",
        f"{polars}.str.extract_all({one!r}).list.eval(pl.element().cast(pl.Float64)).list.mean()",
    )


# -- advice in words ----------------------------------------------------------------------------------------


def or_null(texts: list[str]) -> str:
    """Advice to name texts among numbers as nulls, where they may mean a missing value; '' where none does."""
    words = perhaps_missing(texts)
    if not words:
        return ""
    options = " ".join(f"--null {shlex.quote(word)}" for word in words)
    return f", or name texts that mean a missing value (nulls={words!r}, {options})"


def affixed(found: Affix, column: str, command: Callable[[str], str] | None = None, instead: str = "") -> str:
    """Advice for numbers with a sign before or after them.

    Parameters
    ----------
    command, instead : see changed
    """
    signs = [sign for sign in (found.before, found.after) if sign]
    places = [f"{sign!r} {where}" for sign, where in ((found.before, "before"), (found.after, "after")) if sign]
    look = f"numbers with {join_words(places)} them, like {preview(found.odd, 2)}"
    if found.times > 1:
        scaled = changed(column, *_times({found.after: found.times}, found.signs), command, instead)
        return f"{look}; multiply them by {found.times:,}: {scaled}"
    take = "".join(f".str.replace({sign!r}, '', regex=False)" for sign in signs)
    polars = "".join(f".str.replace_all({sign!r}, '', literal=True)" for sign in signs)
    reads = f", and read the result with {found.signs}" if found.signs != PLAIN else ""
    advice = changed(column, take, polars, command, instead)
    return f"{look}; remove {'it' if len(signs) == 1 else 'them'}{reads}: {advice}"


def changed(
    column: str, pandas: str, polars: str, command: Callable[[str], str] | None = None, instead: str = ""
) -> str:
    """Code that changes a column, in pandas, in Polars or as a command.

    The command comes last, since users copy it to the end of the line.

    Parameters
    ----------
    pandas, polars : str
        Method calls on the column, in which COLUMN stands for the column itself.
    command : callable, optional
        A line of Python about the rows d → the command that applies it to their file.
    instead : str
        What else may be done, such as "; or write …".
    """
    frame, own = f"frame[{column!r}]", f"d[{column!r}]"
    in_polars = polars.replace(COLUMN, f"pl.col({column!r})")
    advice = f"{frame}{pandas.replace(COLUMN, frame)} in pandas, {in_polars} in Polars{instead}"
    if command is None:
        return advice
    return f"{advice}{';' if instead else ','} or {command(f'{own} = {own}{pandas.replace(COLUMN, own)}')}"

"""Numbers that are written as no reader takes them: in other digits, in brackets, in lakhs, with several signs."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from priorhood._text import some
from priorhood.data.number_formats import (
    MEASURED,
    METRES,
    UNSAID,
    Marked,
    Signs,
    Spelling,
    is_number,
    is_unit,
    lakhs,
    meaning,
    multiple,
    signs_of,
    truths_in_two_ways,
    usual_signs,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

# What stands for a sign of ASCII: minus and dashes, plus, points and commas of full width, those of Arabic.
_SIGNS = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"),
    **{"\uff0b": "+", "\uff0e": ".", "\uff0c": ",", "\u066b": ".", "\u066c": ","},
}
# Stands for the column itself in the calls of a rewriting.
COLUMN = "<column>"
_BRACKETS = re.compile(r"\((.+)\)")


@dataclass(frozen=True)
class Rewriting:
    """How numbers of a column are written, and calls for a column of pandas and of Polars that do away with it."""

    look: str
    pandas: str = ""
    polars: str = ""


def rewriting(texts: Iterable[str], given: Spelling = UNSAID) -> Rewriting | None:
    """What makes numbers of texts that are nothing else but numbers written unusually; None where they are not.

    Texts without a digit do not count.
    """
    numbers = [text for text in texts if any(map(str.isdigit, text))]
    found = (kind(numbers, given) for kind in _KINDS)
    return next((one for one in found if one is not None), None)


def _odd(texts: list[str], change: Callable[[str], str], given: Spelling) -> list[str]:
    """The texts that a change makes numbers of, where all are numbers then."""
    odd = [text for text in texts if change(text) != text]
    return odd if odd and all(is_number(change(text), given) for text in texts) else []


def _in_other_digits(texts: list[str], given: Spelling) -> Rewriting | None:
    odd = _odd(texts, lambda text: "".join(map(_ascii, text)), given)
    letters = sorted({letter for text in odd for letter in text if _ascii(letter) != letter}, key=_ascii)
    if not letters:
        return None
    plain = list(map(_ascii, letters))
    return Rewriting(
        f"has numbers in other signs than those of 0 to 9, like {some(odd[:2])}; write them so",
        f".str.translate(str.maketrans({''.join(letters)!r}, {''.join(plain)!r}))",
        f".str.replace_many({letters!r}, {plain!r})",
    )


def _ascii(letter: str) -> str:
    return str(unicodedata.decimal(letter, _SIGNS.get(letter, letter)))


def _in_brackets(texts: list[str], given: Spelling) -> Rewriting | None:
    odd = _odd(texts, lambda text: _BRACKETS.sub(r"\1", text) if _BRACKETS.fullmatch(text) else text, given)
    if not odd:
        return None
    return Rewriting(
        f"has numbers in brackets, like {some(odd[:2])}, which are below 0 in accounts; if so, give them a minus",
        r".str.replace(r'^\((.+)\)$', r'-\1', regex=True)",
        r".str.replace(r'^\((.+)\)$', '-${1}')",
    )


def _in_lakhs(texts: list[str], given: Spelling) -> Rewriting | None:
    odd = [text for text in texts if lakhs(text)]
    if not any(re.search(r",\d\d,", text) for text in odd) or not all(is_number(text, given) for text in texts):
        return None
    return Rewriting(
        f"has numbers with the commas of lakhs, like {some(odd[:2])}; take them away",
        ".str.replace(',', '', regex=False)",
        ".str.replace_all(',', '', literal=True)",
    )


def _with_several_signs(texts: list[str], given: Spelling) -> Rewriting | None:
    """With multiples, in several units, or in one unit that is written in several ways."""
    found = usual_signs(texts, given)
    pairs: dict[tuple[str, str], str] = {}
    for one in found:
        pairs.setdefault((one.before, one.behind), one.text)
    units = [next(filter(None, map(meaning, (one.before, one.behind))), None) for one in found]
    if any(unit is not None and unit[0] == METRES[0] for unit in units):  # beside 40 ft, 12 m are no millions
        units = [METRES if one.behind.casefold() == "m" else unit for one, unit in zip(found, units, strict=True)]
    if any(multiple(one.behind) for one, unit in zip(found, units, strict=True) if unit != METRES):
        return _of_sizes(found, given)
    if len(set(units) - {None}) > 1:
        return _of_units(found, units, given)
    pairs.pop(("", ""), None)
    if len(pairs) < 2:
        return None
    before, behind = ({pair[at] for pair in pairs} - {""} for at in (0, 1))
    ends = [rf"^(?:{_any(before)})"] * bool(before) + [rf"(?:{_any(behind)})$"] * bool(behind)
    pattern = "|".join(ends)
    return Rewriting(
        f"has numbers with different signs, like {some(list(pairs.values())[:3])}; if all mean the same, take them "
        f"away",
        f".str.replace({pattern!r}, '', regex=True)",
        f".str.replace_all({pattern!r}, '')",
    )


def _of_sizes(found: list[Marked], given: Spelling) -> Rewriting | None:
    """Some are thousands or millions."""
    behind = dict.fromkeys(one.behind for one in found)
    shown = some([next(one.text for one in found if one.behind == sign) for sign in behind][:3])
    factors = {sign: multiple(sign) or 1 for sign in behind if multiple(sign)}
    units = {meaning(sign) for one in found for sign in (one.before, one.behind)} - {None}
    if len(behind) == 1:
        if next(iter(behind)).casefold() == "m" and not any(one.before for one in found):
            return None  # metres, or millions
        look = f"has numbers in {_counted(factors)}, like {shown}"
    else:
        look = f"has numbers of different sizes, like {shown}"
        if all(sign.casefold() == "m" for sign in factors) and not units:
            return Rewriting(f"{look}; make numbers of one unit of them first")
    signs = signs_of([one.core for one in found], given)
    if signs is None or len(units) > 1 or any(unit[0] in MEASURED for unit in units if unit is not None):
        return Rewriting(f"{look}; make numbers of one unit of them first")
    return Rewriting(f"{look}; multiply them", *times(factors, signs))


def _counted(factors: Mapping[str, float]) -> str:
    words = {1_000: "thousands", 1_000_000: "millions", 1_000_000_000: "billions"}
    return words[int(next(iter(factors.values())))]


def _of_units(found: list[Marked], units: list[tuple[str, float] | None], given: Spelling) -> Rewriting:
    """In square metres and in square feet, in euros and in dollars."""
    first = {unit: one.text for one, unit in zip(found, units, strict=True)}
    shown = some([text for unit, text in first.items() if unit is not None][:3])
    look = f"has numbers in {'two' if len(first.keys() - {None}) == 2 else 'several'} units, like {shown}"
    kinds = {unit[0] for unit in units if unit is not None}
    signs = signs_of([one.core for one in found], given)
    if len(kinds) > 1 or None in units or signs is None:
        return Rewriting(f"{look}; convert them to one unit first")
    most = max(first, key=units.count)
    own = next(one.behind for one, unit in zip(found, units, strict=True) if unit == most)
    factors = {
        one.behind: float(f"{unit[1] / most[1]:.9g}")
        for one, unit in zip(found, units, strict=True)
        if unit is not None and most is not None and unit != most
    }
    return Rewriting(f"{look}; convert them to {own}", *times(factors, signs))


def times(factors: Mapping[str, float], signs: Signs) -> tuple[str, str]:
    """Calls for a column of pandas and of Polars: its numbers, so many times as large with a sign behind them."""
    between = re.sub(r"([\\\]^-])", r"\\\1", signs.separators + signs.decimal)
    number = rf"([+-]?(?:\d(?:[\d{between}]*\d)?))"
    pandas, polars = f".str.extract({number!r}, expand=False)", f".str.extract({number!r})"
    pandas, polars = (f"{calls}{more}" for calls, more in zip((pandas, polars), _plain(signs), strict=True))
    behind = rf"({_any(factors)})\s*$"
    pandas += f".astype(float) * {COLUMN}.str.extract({behind!r}, expand=False).map({dict(factors)!r}).fillna(1)"
    polars += (
        f".cast(pl.Float64) * {COLUMN}.str.extract({behind!r}).replace_strict({dict(factors)!r}, default=1, "
        f"return_dtype=pl.Float64)"
    )
    return pandas, polars


def _plain(signs: Signs) -> tuple[str, str]:
    """Calls for a column of pandas and of Polars that write its numbers as Python does."""
    pandas = polars = ""
    for sign, plain in (*((one, "") for one in signs.separators), (signs.decimal, ".")):
        if sign != plain:
            pandas += f".str.replace({sign!r}, {plain!r}, regex=False)"
            polars += f".str.replace_all({sign!r}, {plain!r}, literal=True)"
    return pandas, polars


def truths(texts: Iterable[str]) -> Rewriting | None:
    """What makes truths of texts that write them in two ways: Y, N, 1 and 0."""
    said = truths_in_two_ways(texts)
    if not said:
        return None
    return Rewriting(
        f"writes truths in more than one way, {some(texts, 6)}; write them alike",
        f".astype(str).str.strip().str.lower().map({said!r})",
        f".str.strip_chars().str.to_lowercase().replace_strict({said!r}, default=None, return_dtype=pl.Boolean)",
    )


_NUMBER, _AROUND = r"((?:0|[1-9]\d*)(?:[.,']\d+)*)", r"([^\d<>≤≥+-]*)"
_RANGE = re.compile(rf"{_AROUND}{_NUMBER}{_AROUND}?\s*(?:[-\u2010-\u2015\u2212]|to|bis)\s*{_NUMBER}{_AROUND}")
_LEAST = re.compile(
    rf"(?:>=?|≥)\s*{_AROUND}{_NUMBER}{_AROUND}|{_AROUND}{_NUMBER}{_AROUND}\s*(?:\+|or more|und mehr)"
)
_MOST = re.compile(rf"(?:<=?|≤)\s*{_AROUND}{_NUMBER}{_AROUND}")


def ranges(odd: Iterable[str], numbers: Iterable[str] = (), given: Spelling = UNSAID) -> Rewriting | None:
    """What makes numbers of ranges and bounds: 30-35, 5+, <10; None where a text is something else.

    Parameters
    ----------
    numbers : the others
    """
    cores = list(numbers)
    if any(number.startswith("-") for number in cores):
        return None
    found: dict[str, str] = {}
    for text in odd:
        what = next((name for name, one in _BOUNDED.items() if one.fullmatch(text)), None)
        if what is None:
            return None
        parts = [part or "" for part in _BOUNDED[what].fullmatch(text).groups()]  # type: ignore[union-attr]
        own = [part for part in parts if part[:1].isdecimal()]
        if not all(is_unit(part) for part in parts if part not in own):
            return None
        cores += own
        found.setdefault(what, text)
        signs = signs_of(own, given)
        if what == "range" and (signs is None or not _ascending(own, signs)):
            return None
    signs = signs_of(cores, given)
    if signs is None or not found:
        return None
    pandas, polars = _plain(signs)
    one = r"\d+(?:\.\d+)?"
    both = rf"({one})(?:\D+({one}))?"
    says = {
        "range": "take the middle of ranges like {!r}",
        "least": "take {!r} for the number that it begins at, though the value may be larger",
        "most": "take {!r} for the number that it ends at, though the value may be smaller",
    }
    return Rewriting(
        ", ".join(says[name].format(found[name]) for name in says if name in found),
        f"{pandas}.str.extract({both!r}).astype(float).mean(axis=1)",
        f"{polars}.str.extract_all({one!r}).list.eval(pl.element().cast(pl.Float64)).list.mean()",
    )


_BOUNDED = {"range": _RANGE, "least": _LEAST, "most": _MOST}


def _ascending(numbers: Sequence[str], signs: Signs) -> bool:
    low, high = (float(signs.plain(number)) for number in numbers)
    return low < high


def _any(signs: Iterable[str]) -> str:
    """A pattern of pandas and of Polars, longer signs first."""
    ordered = sorted(signs, key=lambda sign: (-len(sign), sign))
    return "|".join(re.sub(r"([.^$*+?{}\[\]|()\\])", r"\\\1", sign) for sign in ordered)


_KINDS = (_in_other_digits, _in_brackets, _in_lakhs, _with_several_signs)

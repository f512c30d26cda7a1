"""Numbers that are written as no reader takes them: in other digits, in brackets, in lakhs, with several signs."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from priorhood.errors import some
from priorhood.spelling import UNSAID, Spelling, is_number, lakhs, usual_signs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

# What stands for a sign of ASCII: minus and dashes, plus, points and commas of full width, those of Arabic.
_SIGNS = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"),
    **{"\uff0b": "+", "\uff0e": ".", "\uff0c": ",", "\u066b": ".", "\u066c": ","},
}
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
    pairs, sizes = usual_signs(texts, given)
    shown = some(list(pairs.values())[:3])
    if sizes:
        return Rewriting(f"has numbers of different sizes, like {shown}; make numbers of one unit of them first")
    if len(pairs) < 2:
        return None
    before, behind = ({pair[at] for pair in pairs} - {""} for at in (0, 1))
    ends = [rf"^(?:{_any(before)})"] * bool(before) + [rf"(?:{_any(behind)})$"] * bool(behind)
    pattern = "|".join(ends)
    return Rewriting(
        f"has numbers with different signs, like {shown}; if all mean the same, take them away",
        f".str.replace({pattern!r}, '', regex=True)",
        f".str.replace_all({pattern!r}, '')",
    )


def _any(signs: Iterable[str]) -> str:
    """A pattern of pandas and of Polars, longer signs first."""
    ordered = sorted(signs, key=lambda sign: (-len(sign), sign))
    return "|".join(re.sub(r"([.^$*+?{}\[\]|()\\])", r"\\\1", sign) for sign in ordered)


_KINDS = (_in_other_digits, _in_brackets, _in_lakhs, _with_several_signs)

"""Formats of truth values and numbers in texts: decimal and thousands separators, currencies, units."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from priorhood._text import argument, code_or_command
from priorhood.data.labels import BLANKS
from priorhood.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import narwhals.stable.v2 as nw


# The words that DuckDB reads as truth values in a CSV; case does not matter.
TRUE = ("true", "t", "yes")
FALSE = ("false", "f", "no")


# Words for yes and no, without single letters that may stand for something else.
_TRUTHS = (
    ("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("on", "off"), ("ja", "nein"), ("j", "n"),
    ("wahr", "falsch"), ("oui", "non"), ("vrai", "faux"), ("sí", "no"), ("si", "no"), ("sì", "no"), ("ja", "nee"),
)  # fmt: skip
_DIGITS = {"1": True, "0": False, "1.0": True, "0.0": False}


def mixed_booleans(texts: Iterable[str]) -> dict[str, bool]:
    """Return the truth values of texts that mix two pairs of words, or words and digits, by text in lower case.

    Empty if a text is not a truth value, or if all are written the same way.
    """
    words = {text.strip(BLANKS).lower() for text in texts}
    values = {word: word == true for true, false in _TRUTHS for word in (true, false)} | _DIGITS
    if not words or not words <= values.keys():
        return {}
    pairs = sum(words >= set(pair) for pair in _TRUTHS)
    with_digits = bool(words & _DIGITS.keys()) and bool(words - _DIGITS.keys())
    return {word: values[word] for word in sorted(words)} if with_digits or pairs > 1 else {}


def foreign_booleans(texts: Iterable[str]) -> dict[str, bool]:
    """Return the truth values of words of one pair, like ja and nein, in lower case; empty for other texts."""
    words = {text.strip(BLANKS).lower() for text in texts}
    found = ({true: True, false: False} for true, false in _TRUTHS if words and words <= {true, false})
    return next(found, {})


def parse_bool(text: str) -> bool | None:
    """Return the truth value of a word; None for other texts."""
    word = text.strip(BLANKS).lower()
    return True if word in TRUE else False if word in FALSE else None


# -- numbers ----------------------------------------------------------------------------------------------

# A thousands separator as the user gives it → the characters that stand for it in files.
SAME_SEPARATOR = {" ": " \xa0\u202f\u2009", "'": "'\u2019"}
DECIMALS = (".", ",")
THOUSANDS = (",", ".", " ", "'", "_")


@dataclass(frozen=True)
class Separators:
    """Decimal separator of numbers, and their thousands separator ('' for none)."""

    decimal: str = "."
    thousands: str = ""

    @cached_property
    def between_thousands(self) -> str:
        """All characters that may separate thousands."""
        return SAME_SEPARATOR.get(self.thousands, self.thousands)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        point = re.escape(self.decimal)
        whole = r"[0-9]+"
        if self.thousands:
            # 0,430 is no thousands: the first digit of a number with thousands is not 0.
            whole = rf"(?:[1-9][0-9]{{0,2}}(?:[{re.escape(self.between_thousands)}][0-9]{{3}})+|[0-9]+)"
        number = rf"(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"
        return re.compile(rf"[+-]?(?:{number}|[iI]nf(?:inity)?)|[nN][aA][nN]")

    def match(self, text: str) -> bool:
        """Return whether a text without surrounding blanks is a number with these separators."""
        return self._pattern.fullmatch(text) is not None

    def to_plain(self, text: str) -> str:
        """Return a number with these separators as Python and every backend write it."""
        for sign in self.between_thousands:
            text = text.replace(sign, "")
        return text.replace(self.decimal, ".")

    def to_number(self, text: nw.Expr) -> nw.Expr:
        """Return the numbers of a column of such texts, as an expression."""
        import narwhals.stable.v2 as nw

        for sign in self.between_thousands:
            text = text.str.replace_all(sign, "", literal=True)
        if self.decimal != ".":
            text = text.str.replace_all(self.decimal, ".", literal=True)
        return text.cast(nw.Float64)

    def __str__(self) -> str:
        with_decimal = not self.thousands or (self.decimal == "," and self.thousands != ".")
        arguments = [argument("decimal", self.decimal)] if with_decimal else []
        arguments += [argument("thousands", self.thousands)] if self.thousands else []
        return code_or_command(", ", " ").join(arguments)


PLAIN = Separators()
# Thousands come before decimal commas: 1,250 may be either, and as decimals it would be 1,000 times too small.
_GUESSES = (
    Separators(".", ","), Separators(",", ""), Separators(",", "."),
    Separators(".", " "), Separators(".", "'"), Separators(",", " "), Separators(",", "'"), Separators(".", "_"),
)  # fmt: skip


@dataclass(frozen=True)
class NumberFormat:
    """Format of the numbers and missing values in a table's texts, as given by the user.

    Attributes
    ----------
    nulls : tuple of str
        Texts that mean a missing value.
    decimal : str or None
        Decimal separator; None if the user did not give it.
    thousands : str
        Thousands separator; '' for none.
    """

    nulls: tuple[str, ...] = ()
    decimal: str | None = None
    thousands: str = ""

    @property
    def with_separators(self) -> tuple[str, ...]:
        """Nulls that contain a possible separator of a CSV."""
        return tuple(null for null in self.nulls if set(null) & set(",;\t|"))

    def __post_init__(self) -> None:
        if self.decimal not in (None, *DECIMALS):
            raise TableError(f"decimal must be '.' or ',', not {self.decimal!r}")
        if self.thousands not in ("", *THOUSANDS):
            listed = ", ".join(map(repr, THOUSANDS))
            raise TableError(f"thousands must be one of {listed}, or empty, not {self.thousands!r}")
        if self.thousands and self.thousands == self.decimal:
            raise TableError(
                f"decimal and thousands are both {self.decimal!r}, but a number needs different characters for "
                f"them; leave one of them out"
            )

    @property
    def separators(self) -> Separators:
        """Separators as given; if points separate thousands, the decimal separator is a comma."""
        return Separators(self.decimal or ("," if self.thousands == "." else "."), self.thousands)


DEFAULT_FORMAT = NumberFormat()


def guess_separators(
    texts: Iterable[str], given: NumberFormat = DEFAULT_FORMAT
) -> tuple[Separators, list[str]] | None:
    """Guess the separators with which all texts that look like numbers are numbers.

    Separators that agree with the given ones are preferred; the given ones themselves are never returned.

    Returns
    -------
    tuple of Separators and list of str, or None
        Separators, and the texts that are not numbers with the given separators.
    """
    guesses = [s for s in (*_GUESSES, PLAIN) if s != given.separators]
    guesses.sort(key=lambda separators: given.decimal not in (None, separators.decimal))
    numbers = [t for t in texts if any(separators.match(t) for separators in (given.separators, *guesses))]
    odd = [t for t in numbers if not given.separators.match(t)]
    for guess in guesses if odd else ():
        # A thousands separator is only a guess if some text has it.
        used = not guess.thousands or any(sign in text for text in numbers for sign in guess.between_thousands)
        if used and all(map(guess.match, numbers)):
            return guess, odd
    return None


# -- currencies and units -----------------------------------------------------------------------------------

# Signs for no cents, and the apostrophe that a spreadsheet writes before texts.
_NO_CENTS = (",-", ".-", ",\u2013", ".\u2013", ",\u2014", ".\u2014", "'")
# Currencies and units of homes that are written next to numbers, and not in names of categories.
_CURRENCIES = (
    *("eur", "euro", "euros", "usd", "us$", "a$", "c$", "r$", "nz$", "gbp", "chf", "fr", "fr.", "sfr", "sfr."),
    *("kr", "kr.", "sek", "nok", "dkk", "isk", "zł", "pln", "kč", "czk", "huf", "rs", "rs.", "inr", "aud", "cad"),
    *_NO_CENTS,
)
_UNITS = (
    *("%", "m²", "m2", "m³", "m3", "qm", "sqm", "sq.m", "km", "km²", "km2", "cm", "mm", "ha", "kwh"),
    *("ft", "ft²", "ft2", "sqft", "sq.ft", "sq.ft.", "sf", "mi", "ac", "acre", "acres"),
)
_NEARLY = ("ca", "ca.", "circa", "approx", "approx.", "about", "etwa", "rd.", "~", "\u223c", "\u2248")
# Multiples: every number of a column must have the same one.
_TIMES = {
    **dict.fromkeys(("k", "tsd", "tsd."), 1_000),
    **dict.fromkeys(("m", "mio", "mio.", "mn", "mn.", "million", "millions"), 1_000_000),
    **dict.fromkeys(("bn", "mrd", "mrd.", "billion"), 1_000_000_000),
}
# With a currency alone: T€, TEUR.
_TIMES_OF_MONEY = {**_TIMES, "t": 1_000, "b": 1_000_000_000}
# Unit → what it measures, and its size in the first unit of that kind; currency → its sign.
_MEANINGS = {
    **dict.fromkeys(("m²", "m2", "qm", "sqm", "sq.m"), ("area", 1.0)),
    **dict.fromkeys(("ft²", "ft2", "sqft", "sq.ft", "sq.ft.", "sf"), ("area", 0.09290304)),
    **dict.fromkeys(("ac", "acre", "acres"), ("area", 4046.8564224)),
    "ha": ("area", 1e4),
    **dict.fromkeys(("km²", "km2"), ("area", 1e6)),
    "km": ("length", 1000.0), "cm": ("length", 0.01), "mm": ("length", 0.001), "ft": ("length", 0.3048),
    "mi": ("length", 1609.344),
    **dict.fromkeys(("m³", "m3"), ("volume", 1.0)),
    **dict.fromkeys(("eur", "euro", "euros"), ("€", 1.0)),
    **dict.fromkeys(("usd", "us$"), ("$", 1.0)),
    **dict.fromkeys(("fr", "fr.", "sfr", "sfr."), ("chf", 1.0)),
    **dict.fromkeys(("kr.", "sek", "nok", "dkk", "isk"), ("kr", 1.0)),
    "gbp": ("£", 1.0), "aud": ("a$", 1.0), "cad": ("c$", 1.0), "pln": ("zł", 1.0), "czk": ("kč", 1.0),
    **dict.fromkeys(("rs", "rs.", "inr"), ("₹", 1.0)),
}  # fmt: skip
METRES = ("length", 1.0)
MEASURES = ("area", "length", "volume")
_AFFIXED = re.compile(
    r"((?:[^\d.,+\-]|(?<=[^\W\d_])\.)*)([+-]?(?:\d(?:[\d.,\s'\u2019_]*\d)?))([^\d]*(?:(?<=[A-Za-z])[23])?)"
)
_LAKHS = re.compile(r"[+-]?\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d*)?")
# Signs that change a number: bounds, brackets for losses, every kind of minus.
_BOUNDS = set("()<>≤≥±-\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d+\uff0b")


@dataclass(frozen=True)
class Affix:
    """A sign before or after all numbers of a column, as in $294,100 and 78 m².

    Attributes
    ----------
    before, after : str
        Sign before and after the numbers; '' for none.
    separators : Separators
        Separators of the numbers.
    odd : tuple of str
        Texts that have the sign.
    partial : bool
        Whether other numbers of the column have no sign.
    """

    before: str
    after: str
    separators: Separators
    odd: tuple[str, ...]
    partial: bool = False

    @property
    def usual(self) -> bool:
        """Whether the sign is a currency or a unit, which categories do not have."""
        return all(is_unit(sign) or multiple(sign) for sign in (self.before, self.after))

    @property
    def times(self) -> int:
        """Multiple that the sign stands for; 1 if that is uncertain: 12 m may be metres."""
        return 1 if not self.before and _joined(self.after) == "m" else multiple(self.after) or 1


def multiple(sign: str) -> int | None:
    """Return the multiple that a sign after a number stands for, as in 425k and 1.2 Mio. €, or None."""
    joined = _joined(sign)
    if joined in _TIMES:
        return _TIMES[joined]
    for word in sorted(_TIMES_OF_MONEY, key=len, reverse=True):
        if joined.startswith(word) and joined not in _CURRENCIES and _is_currency(joined.removeprefix(word)):
            return _TIMES_OF_MONEY[word]
    return None


def unit_meaning(sign: str) -> tuple[str, float] | None:
    """Return the quantity that a unit measures, and its size in the base unit; None for other signs."""
    joined = _joined(sign)
    if not joined or joined in (*_NEARLY, *_NO_CENTS) or multiple(sign):
        return None
    return _MEANINGS.get(joined, (joined, 1.0))


def is_unit(sign: str) -> bool:
    """Return whether a sign is blank, a currency or a unit: numbers with and without it can be compared."""
    sign = sign.strip(BLANKS)
    return not sign or _is_currency(sign) or _joined(sign) in (*_UNITS, *_NEARLY)


def _is_currency(sign: str) -> bool:
    symbols = all(unicodedata.category(letter) == "Sc" for letter in sign)
    return _joined(sign) in _CURRENCIES or (bool(sign) and symbols)


def _joined(sign: str) -> str:
    return re.sub(r"\s", "", sign.casefold())


def find_affix(texts: Iterable[str], given: NumberFormat = DEFAULT_FORMAT) -> Affix | None:
    """Return the single sign that keeps texts from being numbers; None if there is no such sign.

    Texts without a digit are ignored. Letters that may stand for a multiple must be in every text.
    """
    found = {t: m for t in texts if any(map(str.isdigit, t)) and (m := _AFFIXED.fullmatch(t))}
    if not found or any(any(map(str.isdigit, t)) and t not in found for t in texts):
        return None
    pairs = {t: (m[1].strip(BLANKS), m[3].strip(BLANKS)) for t, m in found.items()}
    odd = tuple(t for t, pair in pairs.items() if any(pair))
    if len({pairs[t] for t in odd}) != 1:
        return None
    before, after = pairs[odd[0]]
    partial = len(odd) < len(pairs)
    plain = not partial or all(not any(map(str.isalpha, s)) or is_unit(s) for s in (before, after))
    # A price may end in .- for no cents.
    bounds = _BOUNDS & set(before + re.sub(r"[.,][-\u2013\u2014]+", "", after))
    bounds |= {letter for letter in before + after if unicodedata.decomposition(letter).startswith("<fraction>")}
    if not plain or bounds or not (before + after).isprintable() or "`" in before + after:
        return None
    cores = [m[2] for m in found.values()]
    money = any(map(_is_currency, filter(None, (before, after))))
    # No price has three decimals.
    if money and given.decimal is None and all(re.fullmatch(r"[+-]?\d{1,3}(?:\.\d{3})+", core) for core in cores):
        return Affix(before, after, Separators(",", "."), odd, partial)
    if any(re.search(r",\d\d,", core) for core in cores) and all(is_number(core, given) for core in cores):
        return Affix(before, after, PLAIN, odd, partial)  # in lakhs, reported once the sign is gone
    separators = find_separators(cores, given)
    return None if separators is None else Affix(before, after, separators, odd, partial)


@dataclass(frozen=True)
class AffixedNumber:
    """A number with signs of a currency, unit or multiple around it: $1.2m."""

    text: str
    before: str
    core: str
    after: str


def split_affixes(texts: Sequence[str], given: NumberFormat = DEFAULT_FORMAT) -> list[AffixedNumber]:
    """Split each text into its number and the signs around it; empty if a text is anything else."""
    found = []
    for text in texts:
        match = _AFFIXED.fullmatch(text)
        pair = (match[1].strip(BLANKS), match[3].strip(BLANKS)) if match else ("", "")
        known = all(is_unit(sign) or multiple(sign) for sign in pair)
        if not match or not known or not is_number(match[2], given):
            return []
        found.append(AffixedNumber(text, pair[0], match[2], pair[1]))
    return found


def find_separators(numbers: Sequence[str], given: NumberFormat = DEFAULT_FORMAT) -> Separators | None:
    """Return the separators with which all texts are numbers: the given ones, or a guess."""
    if all(map(given.separators.match, numbers)):
        return given.separators
    guess = guess_separators(numbers, given)
    return guess[0] if guess and all(map(guess[0].match, numbers)) else None


def is_indian_grouping(text: str) -> bool:
    """Return whether a text is a number with commas in lakhs, 1,02,368, or in thousands, 102,368."""
    return _LAKHS.fullmatch(text) is not None


def is_number(text: str, given: NumberFormat = DEFAULT_FORMAT) -> bool:
    """Return whether a text is a number with the given separators, or with any likely ones."""
    return any(likely.match(text) for likely in (given.separators, PLAIN, *_GUESSES)) or is_indian_grouping(text)


def possible_nulls(texts: Iterable[str]) -> list[str]:
    """Return the texts that may mean a missing value, like n/a, - and unknown: without a digit, at most five."""
    words = [text for text in texts if not any(map(str.isdigit, text))]
    return words if len(words) <= 5 else []

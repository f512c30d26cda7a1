"""How labels, truths and numbers are spelled in a table: one form, whoever wrote them.

A backend has its own words for the same value: 360470001001000.0 is '3.60470001001e+14' to PyArrow, True is
'true' to DuckDB. What is decided here holds for all of them.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from priorhood.data.labels import BLANKS
from priorhood.errors import TableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import narwhals.stable.v2 as nw


# The words that DuckDB takes for truths where it reads a CSV; case does not matter.
TRUE = ("true", "t", "yes")
FALSE = ("false", "f", "no")


# Words for yes and no; no letters that may stand for sides and kinds.
_TRUTHS = (
    *(("true", "false"), ("t", "f"), ("yes", "no"), ("y", "n"), ("on", "off"), ("ja", "nein"), ("j", "n")),
    *(
        ("wahr", "falsch"),
        ("oui", "non"),
        ("vrai", "faux"),
        ("sí", "no"),
        ("si", "no"),
        ("sì", "no"),
        ("ja", "nee"),
    ),
)
_DIGITS = {"1": True, "0": False, "1.0": True, "0.0": False}


def truths_in_two_ways(texts: Iterable[str]) -> dict[str, bool]:
    """Text in lower case → what it says, where all texts are truths, in two pairs of words or with digits beside.

    {} for others.
    """
    words = {text.strip(BLANKS).lower() for text in texts}
    said = {word: word == true for true, false in _TRUTHS for word in (true, false)}
    if not words or not words <= {*said, *_DIGITS}:
        return {}
    whole = sum(words >= set(pair) for pair in _TRUTHS)
    with_digits = bool(words & _DIGITS.keys()) and bool(words - _DIGITS.keys())
    return {word: (said | _DIGITS)[word] for word in sorted(words)} if with_digits or whole > 1 else {}


def truth(text: str) -> bool | None:
    """True or False for the words that say so, None for others."""
    word = text.strip(BLANKS).lower()
    return True if word in TRUE else False if word in FALSE else None


# -- numbers ----------------------------------------------------------------------------------------------

# A sign as it is given → all that stand for it in files.
_SAME_SIGN = {" ": " \xa0\u202f\u2009", "'": "'\u2019"}
DECIMALS = (".", ",")
THOUSANDS = (",", ".", " ", "'", "_")


@dataclass(frozen=True)
class Signs:
    """What stands before the decimals of a number, and between its thousands ('' for nothing)."""

    decimal: str = "."
    thousands: str = ""

    @cached_property
    def separators(self) -> str:
        """All characters that stand between thousands."""
        return _SAME_SIGN.get(self.thousands, self.thousands)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        point = re.escape(self.decimal)
        whole = r"[0-9]+"
        if self.thousands:
            whole = rf"(?:[0-9]{{1,3}}(?:[{re.escape(self.separators)}][0-9]{{3}})+|[0-9]+)"
        number = rf"(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)(?:[eE][+-]?[0-9]+)?"
        return re.compile(rf"[+-]?(?:{number}|[iI]nf(?:inity)?)|[nN][aA][nN]")

    def read(self, text: str) -> bool:
        """Whether a text without surrounding blanks is a number so written."""
        return self._pattern.fullmatch(text) is not None

    def plain(self, text: str) -> str:
        """A number so written, as Python and every backend write it."""
        for sign in self.separators:
            text = text.replace(sign, "")
        return text.replace(self.decimal, ".")

    def number(self, text: nw.Expr) -> nw.Expr:
        """The same of a column of such texts: numbers."""
        import narwhals.stable.v2 as nw

        for sign in self.separators:
            text = text.str.replace_all(sign, "", literal=True)
        if self.decimal != ".":
            text = text.str.replace_all(self.decimal, ".", literal=True)
        return text.cast(nw.Float64)

    def __str__(self) -> str:
        shown = self.decimal == "," if self.thousands != "." else False
        options = [f"--decimal {self.decimal}"] if shown or not self.thousands else []
        said = [f"decimal={self.decimal!r}"] if options else []
        if self.thousands:
            options.append(f"--thousands {self.thousands if self.thousands in ',._' else repr(self.thousands)}")
            said.append(f"thousands={self.thousands!r}")
        return f"{', '.join(said)} ({' '.join(options)})"


PLAIN = Signs()
# Thousands before decimal commas: 1,250 may be either, and read as the wrong one is 1,000 times too small.
_GUESSES = (
    Signs(".", ","), Signs(",", ""), Signs(",", "."),
    Signs(".", " "), Signs(".", "'"), Signs(",", " "), Signs(",", "'"), Signs(".", "_"),
)  # fmt: skip


def in_thousands(texts: Sequence[str], decimal: str) -> list[str]:
    """The texts that look like thousands though they can be read as decimals: 1.200 beside 950.

    Every value with a sign has exactly three digits behind it, and every whole number is below 1,000, or none is;
    those are hundreds of times as large: as decimals, one column would have two kinds of values.
    """
    numeral = re.compile(r"[+-]?[0-9.,]+")
    exact = re.compile(rf"[+-]?[1-9][0-9]{{0,2}}{re.escape(decimal)}[0-9]{{3}}")
    signed = []
    for text in texts:  # of most columns the first that has a sign tells
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
    return signed if (max(whole) < 1000 or min(whole) >= 1000) and two_kinds(small, whole) else []


# Of one to three digits, and three more behind every sign, which is the same throughout.
_GROUPED = re.compile(r"[+-]?[1-9][0-9]{0,2}([,.'\u2019_\s])[0-9]{3}(?:\1[0-9]{3})*")


def in_two_ways(texts: Sequence[str]) -> list[str]:
    """A text of every way in which thousands are written, where there are two ways and no other use of their signs.

    No choice of signs reads both: 623,210 beside 195.719, or beside 195 719. Where most texts are no numbers, there
    are none.
    """
    found: dict[str, str] = {}
    numbers = 0
    for text in texts:
        match = _GROUPED.fullmatch(text)
        numbers += bool(match) or text.isdecimal()
        if match:
            sign = next((one for one, like in _SAME_SIGN.items() if match[1] in like), match[1])
            found.setdefault(sign, text)
    if numbers <= len(texts) / 2:
        return []
    for sign in ",.":
        if sign in found and any(sign in text and not _GROUPED.fullmatch(text) for text in texts):
            del found[sign]
    return list(found.values()) if len(found) > 1 else []


def all_in_thousands(texts: Sequence[str]) -> list[str]:
    """The different texts where all look like thousands with points, 124.508, and may as well be decimals.

    None of them begins with 0, there are several, and they are not all near one value, as latitudes of a city are.
    """
    exact = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
    if not all(map(exact.fullmatch, texts)):  # of most columns the first tells
        return []
    different = list(dict.fromkeys(texts))
    sizes = [abs(float(text)) for text in different]
    return different if len(different) >= 5 and max(sizes) >= 2 * min(sizes) else []


def two_kinds(small: list[float], large: list[float]) -> bool:
    """Whether the small values look like thousands of the large ones: with nothing in between."""
    small, large = [abs(value) for value in small], [abs(value) for value in large if value]
    if not small or not large:
        return False
    # 500 times as large in the middle; half of that allows for few values of a wide spread.
    return _middle(large) >= 250 * _middle(small) and min(large) >= 5 * max(small)


def _middle(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[len(ordered) // 2]


@dataclass(frozen=True)
class Spelling:
    """What the user says of a table's texts.

    nulls : texts that mean a missing value; decimal : None where it is not said
    """

    nulls: tuple[str, ...] = ()
    decimal: str | None = None
    thousands: str = ""

    @property
    def with_separators(self) -> tuple[str, ...]:
        """The nulls with a sign that may separate the values of a CSV."""
        return tuple(null for null in self.nulls if set(null) & set(",;\t|"))

    def __post_init__(self) -> None:
        if self.decimal not in (None, *DECIMALS):
            raise TableError(f"decimal must be '.' or ',', not {self.decimal!r}")
        if self.thousands not in ("", *THOUSANDS):
            listed = ", ".join(map(repr, THOUSANDS))
            raise TableError(f"thousands must be one of {listed}, or nothing, not {self.thousands!r}")
        if self.thousands and self.thousands == self.decimal:
            raise TableError(
                f"decimal and thousands are both {self.decimal!r}: no number has one sign for both; leave out the "
                f"one that is not so"
            )

    @property
    def signs(self) -> Signs:
        """As given; thousands points leave decimals the comma."""
        return Signs(self.decimal or ("," if self.thousands == "." else "."), self.thousands)


UNSAID = Spelling()


def guessed(texts: Iterable[str], given: Spelling = UNSAID) -> tuple[Signs, list[str]] | None:
    """The signs under which all texts that look like numbers are numbers, and those that are none as it is.

    Signs that agree with what was given come first; what was given is never found.
    """
    order = [s for s in (*_GUESSES, PLAIN) if s != given.signs]
    order.sort(key=lambda signs: given.decimal not in (None, signs.decimal))
    numbers = [t for t in texts if any(signs.read(t) for signs in (given.signs, *order))]
    odd = [t for t in numbers if not given.signs.read(t)]
    # Thousands are no guess where nothing stands between them.
    order = [s for s in order if not s.thousands or any(sign in text for text in numbers for sign in s.separators)]
    found = next((signs for signs in order if all(map(signs.read, numbers))), None) if odd else None
    return None if found is None else (found, odd)


# -- currencies and units -----------------------------------------------------------------------------------

# And what a spreadsheet has before texts.
_NO_CENTS = (",-", ".-", ",\u2013", ".\u2013", ",\u2014", ".\u2014", "'")
# Of money and of homes: what is written at numbers, and not at names of kinds.
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
# How many times a number is meant: what every number of a column must have, or it is another number.
_TIMES = {
    **dict.fromkeys(("k", "tsd", "tsd."), 1_000),
    **dict.fromkeys(("m", "mio", "mio.", "mn", "mn.", "million", "millions"), 1_000_000),
    **dict.fromkeys(("bn", "mrd", "mrd.", "billion"), 1_000_000_000),
}
# With a currency alone: T€, TEUR.
_TIMES_OF_MONEY = {**_TIMES, "t": 1_000, "b": 1_000_000_000}
# What units measure, and how many times the first of their kind they are; signs of one currency.
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
MEASURED = ("area", "length", "volume")
_AFFIXED = re.compile(
    r"((?:[^\d.,+\-]|(?<=[^\W\d_])\.)*)([+-]?(?:\d(?:[\d.,\s'\u2019_]*\d)?))([^\d]*(?:(?<=[A-Za-z])[23])?)"
)
_LAKHS = re.compile(r"[+-]?\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d*)?")
# What makes another number of a number: bounds, losses, signs of minus in whatever typography.
_BOUNDS = set("()<>≤≥±-\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d+\uff0b")


@dataclass(frozen=True)
class Affix:
    """A sign before or behind all numbers of a column, as in $294,100 and 78 m².

    signs : how the numbers are written; odd : the texts that have it
    """

    before: str
    behind: str
    signs: Signs
    odd: tuple[str, ...]

    @property
    def usual(self) -> bool:
        """Whether it is a currency or a unit, which no category has."""
        return all(not sign or _is_usual(sign) or multiple(sign) for sign in (self.before, self.behind))

    @property
    def times(self) -> int:
        """How many times the numbers are meant, 1 where that is not sure: 12 m may be metres."""
        return 1 if not self.before and _joined(self.behind) == "m" else multiple(self.behind) or 1


def multiple(sign: str) -> int | None:
    """How many times a number with a sign behind it is meant, as in 425k and 1.2 Mio. €; None for other signs."""
    joined = _joined(sign)
    if joined in _TIMES:
        return _TIMES[joined]
    for word in sorted(_TIMES_OF_MONEY, key=len, reverse=True):
        if joined.startswith(word) and joined not in _CURRENCIES and _is_currency(joined.removeprefix(word)):
            return _TIMES_OF_MONEY[word]
    return None


def meaning(sign: str) -> tuple[str, float] | None:
    """What a unit measures, and how many times the first one of its kind it is; None for what is no unit."""
    joined = _joined(sign)
    if not joined or joined in (*_NEARLY, *_NO_CENTS) or multiple(sign):
        return None
    return _MEANINGS.get(joined, (joined, 1.0))


def _is_usual(sign: str) -> bool:
    """Whether numbers with and without it are of one kind."""
    return _is_currency(sign) or _joined(sign) in (*_UNITS, *_NEARLY)


def is_unit(sign: str) -> bool:
    """Whether it is nothing, or a currency or unit."""
    return not sign.strip(BLANKS) or _is_usual(sign.strip(BLANKS))


def _is_currency(sign: str) -> bool:
    symbols = all(unicodedata.category(letter) == "Sc" for letter in sign)
    return _joined(sign) in _CURRENCIES or (bool(sign) and symbols)


def _joined(sign: str) -> str:
    return re.sub(r"\s", "", sign.casefold())


def affix(texts: Iterable[str], given: Spelling = UNSAID) -> Affix | None:
    """The sign that keeps texts from being numbers, where it is one and the same; None where it is not that.

    Texts without a digit do not count. Letters may stand for thousands: then every text must have them.
    """
    found = {t: m for t in texts if any(map(str.isdigit, t)) and (m := _AFFIXED.fullmatch(t))}
    if not found or any(any(map(str.isdigit, t)) and t not in found for t in texts):
        return None
    pairs = {t: (m[1].strip(BLANKS), m[3].strip(BLANKS)) for t, m in found.items()}
    odd = tuple(t for t, pair in pairs.items() if any(pair))
    if len({pairs[t] for t in odd}) != 1:
        return None
    before, behind = pairs[odd[0]]
    plain = len(odd) == len(pairs) or all(not any(map(str.isalpha, s)) or _is_usual(s) for s in (before, behind))
    # A price may end in .- for no cents.
    bounds = _BOUNDS & set(before + re.sub(r"[.,][-\u2013\u2014]+", "", behind))
    bounds |= {letter for letter in before + behind if unicodedata.decomposition(letter).startswith("<fraction>")}
    if not plain or bounds or not (before + behind).isprintable() or "`" in before + behind:
        return None
    cores = [m[2] for m in found.values()]
    money = any(map(_is_currency, filter(None, (before, behind))))
    if money and given.decimal is None and all(re.fullmatch(r"[+-]?\d{1,3}(?:\.\d{3})+", core) for core in cores):
        # No money has three decimals.
        return Affix(before, behind, Signs(",", "."), odd)
    if any(re.search(r",\d\d,", core) for core in cores) and all(is_number(core, given) for core in cores):
        return Affix(before, behind, PLAIN, odd)  # in lakhs, which is told of what is left
    guess = (given.signs, cores) if all(map(given.signs.read, cores)) else guessed(cores, given)
    return Affix(before, behind, guess[0], odd) if guess and all(map(guess[0].read, cores)) else None


@dataclass(frozen=True)
class Marked:
    """A text that is a number with signs of currencies, units or multiples: $1.2m."""

    text: str
    before: str
    core: str
    behind: str


def usual_signs(texts: Sequence[str], given: Spelling = UNSAID) -> list[Marked]:
    """The texts with the signs before and behind their numbers taken apart; none where a text is anything else."""
    found = []
    for text in texts:
        match = _AFFIXED.fullmatch(text)
        pair = (match[1].strip(BLANKS), match[3].strip(BLANKS)) if match else ("", "")
        known = all(not sign or _is_usual(sign) or multiple(sign) for sign in pair)
        if not match or not known or not is_number(match[2], given):
            return []
        found.append(Marked(text, pair[0], match[2], pair[1]))
    return found


def signs_of(numbers: Sequence[str], given: Spelling = UNSAID) -> Signs | None:
    """The signs by which all are numbers: what was given, or what they look like."""
    if all(map(given.signs.read, numbers)):
        return given.signs
    guess = guessed(numbers, given)
    return guess[0] if guess and all(map(guess[0].read, numbers)) else None


def lakhs(text: str) -> bool:
    """Whether a text is a number with commas as in 1,02,368, or as in 102,368."""
    return _LAKHS.fullmatch(text) is not None


def is_number(text: str, given: Spelling = UNSAID) -> bool:
    """Whether a text is a number by what was given, or by some signs that could be."""
    return any(signs.read(text) for signs in (given.signs, PLAIN, *_GUESSES)) or lakhs(text)


def perhaps_missing(texts: Iterable[str]) -> list[str]:
    """Those that may mean a missing value, as n/a, - and unknown do: few, and without a digit."""
    words = [text for text in texts if not any(map(str.isdigit, text))]
    return words if len(words) <= 5 else []

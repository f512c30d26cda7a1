"""Formats of dates: as texts, with the names of months in several languages, or as whole numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_CLOCK = r"[T ]\d\d:\d\d(?::\d\d(?:[.,]\d{1,9})?)? ?(?:Z|UTC|[+-]\d\d(?::?\d\d)?)?"
_DATES = {
    r"\d{4}-\d\d-\d\d": "%Y-%m-%d",
    r"\d{4}/\d\d?/\d\d?": "%Y/%m/%d",
    r"\d{8}T\d{6}": "%Y%m%dT%H%M%S",
    r"\d\d?\.\d\d?\.\d{4}": "%d.%m.%Y",
    r"\d\d?/\d\d?/\d{4}": "%m/%d/%Y",
    r"\d\d?-\d\d?-\d{4}": "%m-%d-%Y",
    r"\d\d?-[A-Za-z]{3}-\d{4}": "%d-%b-%Y",
    r"\d\d?-[A-Za-z]{3}-\d\d": "%d-%b-%y",
    r"\d\d? [A-Za-z]{3} \d{4}": "%d %b %Y",
    r"\d\d? [A-Za-z]+ \d{4}": "%d %B %Y",
    r"\d\d?[A-Za-z]{3}\d{4}": "%d%b%Y",
    r"[A-Za-z]{3} \d\d?, \d{4}": "%b %d, %Y",
    r"[A-Za-z]+ \d\d?, \d{4}": "%B %d, %Y",
    r"[A-Za-z]{3}, \d\d? [A-Za-z]{3} \d{4}": "%a, %d %b %Y",
    r"[A-Za-z]+, \d\d? [A-Za-z]+ \d{4}": "%A, %d %B %Y",
    r"[A-Za-z]+, [A-Za-z]+ \d\d?, \d{4}": "%A, %B %d, %Y",
    r"\d\d?\.\d\d?\.\d{4} \d\d?:\d\d": "%d.%m.%Y %H:%M",
    r"\d\d?\.\d\d?\.\d{4} \d\d?:\d\d:\d\d": "%d.%m.%Y %H:%M:%S",
    r"\d\d?/\d\d?/\d{4} \d\d?:\d\d": "%m/%d/%Y %H:%M",
    r"\d\d?/\d\d?/\d{4} \d\d?:\d\d:\d\d": "%m/%d/%Y %H:%M:%S",
    r"\d\d?/\d\d?/\d{4} \d\d?:\d\d [AP]M": "%m/%d/%Y %I:%M %p",
    r"\d\d?/\d\d?/\d{4} \d\d?:\d\d:\d\d [AP]M": "%m/%d/%Y %I:%M:%S %p",
    # Months, which may be categories instead.
    r"(?:18|19|20)\d\d-\d\d": "%Y-%m",
    r"\d\d?/(?:18|19|20)\d\d": "%m/%Y",
    r"[A-Za-z]{3} \d{4}": "%b %Y",
    r"[A-Za-z]+ \d{4}": "%B %Y",
    r"[A-Za-z]{3}-\d{4}": "%b-%Y",
    r"[A-Za-z]{3}-\d\d": "%b-%y",
}
# Such texts may be something else unless all of a column are.
_SHORT_DATES = {
    r"\d\d?\.\d\d?\.\d\d": "%d.%m.%y",
    r"\d\d?/\d\d?/\d\d": "%m/%d/%y",
    r"\d\d?-\d\d?-\d\d": "%m-%d-%y",
}
# Other ways to read the same texts.
_OTHERS = {
    "%m/%d/%Y": ("%d/%m/%Y",), "%m-%d-%Y": ("%d-%m-%Y",),
    "%m/%d/%Y %H:%M": ("%d/%m/%Y %H:%M",), "%m/%d/%Y %H:%M:%S": ("%d/%m/%Y %H:%M:%S",),
    "%m/%d/%y": ("%d/%m/%y", "%y/%m/%d"), "%m-%d-%y": ("%d-%m-%y", "%y-%m-%d"), "%d.%m.%y": ("%y.%m.%d",),
}  # fmt: skip
# Dates with a time.
_TIMED = re.compile(r"\d{4}-\d\d-\d\d" + _CLOCK)

# Beginnings that distinguish the names of the months.
_STEMS = (
    "jan feb mar apr may jun jul aug sep oct nov dec",
    "jan feb mär apr mai jun jul aug sep okt nov dez",
    "jän feb mär apr mai jun jul aug sep okt nov dez",
    "jan feb mrz apr mai jun jul aug sep okt nov dez",
    "jan fév mars avr mai juin juil août sep oct nov déc",
    "ene feb mar abr may jun jul ago sep oct nov dic",
    "gen feb mar apr mag giu lug ago set ott nov dic",
    "jan feb maa apr mei jun jul aug sep okt nov dec",
    "jan feb mrt apr mei jun jul aug sep okt nov dec",
    "jan fev mar abr mai jun jul ago set out nov dez",
    "jan feb mar apr maj jun jul aug sep okt nov dec",
    "jan feb mar apr mai jun jul aug sep okt nov des",
    "sty lut mar kwi maj cze lip sie wrz paź lis gru",
)
_NAMES = (
    "january february march april may june july august september october november december",
    "januar februar märz april mai juni juli august september oktober november dezember",
    "jänner februar märz april mai juni juli august september oktober november dezember",
    "januar februar mrz april mai juni juli august september oktober november dezember",
    "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "januari februari maart april mei juni juli augustus september oktober november december",
    "januari februari mrt april mei juni juli augustus september oktober november december",
    "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "januari februari mars april maj juni juli augusti september oktober november december",
    "januar februar mars april mai juni juli august september oktober november desember",
    "stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia",
)
_LANGUAGES = tuple((stems.split(), names.split()) for stems, names in zip(_STEMS, _NAMES, strict=True))

_DAY, _WORD, _YEAR = r"\d\d?(?:\.|st|nd|rd|th|º|er)?", r"(?P<month>[^\W\d_]{3,})\.?", r"(?:1[6-9]|20|21)\d\d"
# Patterns in lower case: 9. juli 2021, friday 9th of july, 2021, 9-jul-21; july 9th, 2021; juli 2021, jul-21.
_WORDED = {
    rf"(?P<before>[^\W\d_]+\.?,? )?{_DAY}[ -]?(?:de |of )?{_WORD},?[ -]?(?:de )?{_YEAR}": "%d-%m-%Y",
    rf"\d\d?\.?[ -]?{_WORD}[ -]\d\d": "%d-%m-%y",
    rf"{_WORD} {_DAY},? {_YEAR}": "-%m-%d-%Y",
    rf"{_WORD}[ -]?(?:de )?{_YEAR}": "-%m-%Y",
    rf"{_WORD}-\d\d": "-%m-%y",
}  # fmt: skip
_ANY_WORDED = re.compile(r"(?:[^\W\d_]+\.?,? )?\d{0,2}[^\d]{3,24}(?:\d\d?[a-z]{0,2},? )?\d{2,4}")
_ANY_DATE = re.compile("|".join(f"(?:{pattern})" for pattern in (*_DATES, *_SHORT_DATES)))

# Whole numbers: format of their first digits, how many digits these are, how many distinct numbers make dates.
_NUMBERED = {
    r"(?:19|20)\d{6}(?:\.0+)?": ("%Y%m%d", 8, 3),
    r"(?:19|20)\d{12}(?:\.0+)?": ("%Y%m%d", 8, 3),
    r"(?:19|20)\d{4}(?:\.0+)?": ("%Y%m", 6, 6),
}
_NO_NUMBER = {"0", "0.0", "99999999", "99999999.0", "999999", "999999.0"}


@dataclass(frozen=True)
class Dates:
    """Format of all dates of a column.

    Attributes
    ----------
    form : str
        Format of plain(text) for strptime; '' if the names of the months are unknown.
    first : int
        Number of characters of a text that are the date; 0 for all of them.
    months : dict of str to str
        Replacement for the beginning of each month's name, in lower case.
    before : bool
        Whether words come before the date.
    others : tuple of str
        Formats with which the same texts are other dates.
    sure : bool
        Whether the texts can only be dates.
    whole : bool
        Whether the column has no other texts.
    blank : bool
        Whether some texts have blanks around them.
    numbered : bool
        Whether the texts are whole numbers, which may be something other than dates.
    """

    form: str
    first: int = 0
    months: dict[str, str] = field(default_factory=dict, hash=False)
    before: bool = False
    others: tuple[str, ...] = ()
    sure: bool = True
    whole: bool = True
    blank: bool = False
    numbered: bool = False

    @property
    def of_months(self) -> bool:
        """Whether the dates have no day."""
        return "%d" not in self.form

    def plain(self, text: str) -> str:
        """Return a text as `form` can read it."""
        text = text[: self.first or None]
        if not self.months:
            return text
        text = re.sub(r"^\D+", "", text.lower()) if self.before else text.lower()
        for name, number in self.months.items():
            text = text.replace(name, number)
        return re.sub(r"\D+", "-", text)

    def read(self, texts: Iterable[str], form: str = "") -> list[str] | None:
        """Return the dates like 2014-10-13; None if a text is not a date."""
        from datetime import datetime

        try:
            return [datetime.strptime(self.plain(text), form or self.form).strftime("%Y-%m-%d") for text in texts]
        except ValueError:
            return None

    @cached_property
    def term(self) -> str:
        """Term for the dates in messages."""
        return "dates" if self.sure else "what looks like dates"


def dates_of(texts: Sequence[str], *, short: bool = False) -> Dates | None:
    """Return the format of texts that are all dates in one format; None for others.

    Parameters
    ----------
    short : bool
        Whether years may have two digits.
    """
    if not texts:
        return None
    if all(map(_TIMED.fullmatch, texts)):
        found = Dates("%Y-%m-%d", first=10)
        return found if found.read(texts) else None
    if _ANY_DATE.fullmatch(texts[0]):
        for pattern, form in {**_DATES, **(_SHORT_DATES if short else {})}.items():
            if not all(re.fullmatch(pattern, text) for text in texts):
                continue
            readings = {f: days for f in (form, *_OTHERS.get(form, ())) if (days := Dates(f).read(texts))}
            if not readings:
                continue
            forms = list(readings)
            if "%y" in form and len(forms) > 1:
                # Sales span few years: 21-07-09 and 22-04-30 are in 2021 and 2022, not in 2009 and 2030.
                years = {f: len({day[:4] for day in days}) for f, days in readings.items()}
                forms = [f for f in forms if 2 * years[f] <= 3 * min(years.values())]
            return Dates(forms[0], others=tuple(forms[1:]))
    return _worded(texts) if _ANY_WORDED.fullmatch(texts[0].lower()) else None


def _worded(texts: Sequence[str]) -> Dates | None:
    """Return the format of dates with names of months in any known language, in any of the usual orders."""
    lower = [text.lower() for text in texts]
    for pattern, form in _WORDED.items():
        matches = [re.fullmatch(pattern, text) for text in lower]
        if not all(matches):
            continue
        words = {match["month"] for match in matches if match}
        before = any(match.groupdict().get("before") for match in matches if match)
        for stems, names in _LANGUAGES:
            pairs = list(zip(stems, names, strict=True))
            if all(any(word.startswith(stem) and name.startswith(word) for stem, name in pairs) for word in words):
                months = {stem: f"-{at:02d}-" for at, stem in enumerate(stems, start=1)}
                found = Dates(form, months=months, before=before)
                return found if found.read(texts) else None
        if form != "%d-%m-%Y" or before:
            return None
        # Up to twelve words of an unknown language, with numbers from 13 to 31 before them, look like dates.
        days = {int(re.split(r"\D", text, maxsplit=1)[0]) for text in lower}
        return Dates("", sure=False) if 3 <= len(words) <= 12 < max(days) <= 31 and len(days) >= 6 else None
    return None


def like_numbered(text: str) -> bool:
    """Return whether a text is a whole number that may be a date."""
    return any(re.fullmatch(pattern, text) for pattern in _NUMBERED)


def numbered_dates(texts: Sequence[str]) -> Dates | None:
    """Return the format of texts that are all whole numbers and dates: 20210709, 202107; None for others.

    A few numbers may look like dates by chance. Zeros and nines may stand for a missing date.
    """
    first_text = next((text for text in texts if text not in _NO_NUMBER), "")  # in most columns it decides
    for pattern, (form, first, least) in _NUMBERED.items():
        if not re.fullmatch(pattern, first_text):
            continue
        given = [text for text in dict.fromkeys(texts) if text not in _NO_NUMBER]
        found = Dates(form, first=first, numbered=True)
        all_match = len(given) >= least and all(re.fullmatch(pattern, text) for text in given)
        days = found.read(given) if all_match else None
        # Up to twelve consecutive numbers may be anything.
        if days and (not found.of_months or len({day[:4] for day in days}) > 1):
            return replace(found, whole=not any(text in _NO_NUMBER for text in texts))
    return None

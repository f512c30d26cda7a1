"""Labels of places and categories: their normal form, and labels that differ only in spelling."""

from __future__ import annotations

import re
import unicodedata
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import argument, code_or_command, join_words, row_count
from priorhood.errors import warn
from priorhood.model.formula import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from priorhood._arrays import Array


# All white space of Unicode, and the zero-width marks that spreadsheets and web pages leave around texts.
# Joiners (U+200C, U+200D) belong to the spelling of some languages and are kept.
BLANKS = (
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009"
    "\u200a\u2028\u2029\u202f\u205f\u3000\u200b\u200e\u200f\u2060\ufeff"
)


_CLOCK = re.compile(r"(?:(\d{4}-\d\d-\d\d)[ T])?(\d\d:\d\d:\d\d)(?:\.(\d+))?(?:(Z)|([+-]\d\d)(?::?(\d\d))?)?")


def normal_label(text: str) -> str:
    """Return a label or category in the form that all backends share.

    Surrounding blanks and the '.0' of a float column are removed; characters are in Unicode's composed form (NFC);
    truth values become 'true' and 'false'; a time at midnight becomes its date; a time with a zone is in UTC.
    """
    text = text.strip(BLANKS)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    if "." in text and re.fullmatch(r"[+-]?\d+\.0+", text):
        whole = text.partition(".")[0]
        return "0" if whole == "-0" else whole
    if text in ("True", "TRUE", "False", "FALSE"):
        return text.lower()
    # A small number is 1e-07 to Python and DuckDB, 1e-7 to others.
    if "e-0" in text and re.fullmatch(r"[+-]?\d(?:\.\d+)?e-\d+", text):
        return re.sub(r"e-0(\d)$", r"e-\1", text)
    clock = _CLOCK.fullmatch(text) if ":" in text else None
    if clock is None:
        return text
    day, time, fraction, utc, hours, minutes = clock.groups()
    fraction = (fraction or "").rstrip("0")
    zone = "+00:00" if utc else f"{hours}:{minutes or '00'}" if hours else ""
    if day and time == "00:00:00" and not fraction and not zone:
        return day
    if day and zone:
        # Parquet holds the instant without its zone, and DuckDB writes it in the zone of the machine.
        with suppress(OverflowError):
            day, time = datetime.fromisoformat(f"{day}T{time}{zone}").astimezone(UTC).isoformat()[:19].split("T")
            zone = "+00:00"
    return f"{day + ' ' if day else ''}{time}{'.' + fraction if fraction else ''}{zone}"


def match_spelling(new: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return new labels with the known label that differs only in leading zeros, case, blanks or a ZIP+4 ending."""
    index: dict[str, str] = {}
    for label in known:
        index.setdefault(loose_form(label), label)
    return {label: index[loose] for label in new if (loose := loose_form(label)) in index}


def loose_form(label: str) -> str:
    """Return a label in lower case, without leading zeros, blanks and a ZIP+4 ending."""
    parts = re.sub(r"\s", "", label.casefold()).split("/")
    return "/".join(re.sub(r"^(\d{5})-\d{4}$", r"\1", part).lstrip("0") for part in parts)


def similar_groups(labels: Sequence[str], separator: str) -> list[list[str]]:
    """Return groups of labels that differ only in leading zeros, case and blanks.

    A ZIP+4 label belongs to the group of its ZIP, if that is one of the labels.

    Parameters
    ----------
    separator : str
        Separator between the parts of a label.
    """
    if not _may_be_alike(labels, separator):
        return []
    groups: dict[str, list[str]] = {}
    for label in labels:
        groups.setdefault(loose_form(label.replace(separator, "/")), []).append(label)
    return [group for group in groups.values() if len(group) > 1 and not all(map(_PLUS_FOUR.search, group))]


_PLUS_FOUR = re.compile(r"\b\d{5}-\d{4}\b")


def _may_be_alike(labels: Sequence[str], separator: str) -> bool:
    """Return whether any labels can be similar: a quick test of all of them at once."""
    whole = "\n".join(labels)
    if "-" in whole and _PLUS_FOUR.search(whole):
        return True
    # Where all labels have capitals in the same places, folding them changes nothing.
    one_case = any(whole == form(whole) for form in (str.casefold, str.upper, str.title))
    text = whole if one_case else whole.casefold()
    text = text.replace(" ", "") if text.isascii() else re.sub(rf"[^\S\n{separator}]+", "", text)
    zeros = re.search(rf"(?:\A|[\n{separator}])0[^\n{separator}]", text)
    if text == whole and zeros is None:
        return False
    # Digits of one width have lost no zeros.
    if text == whole and len(set(map(len, labels))) == 1 and "".join(labels).isdecimal():
        return False
    if zeros and separator in text:
        text = re.sub(rf"(?:^|(?<={separator}))0+", "", text, flags=re.MULTILINE)
    parts = text.split("\n")
    if zeros and separator not in text:
        parts = [label.lstrip("0") for label in parts]
    return len(parts) != len(labels) or len(set(parts)) < len(labels)


def spelling_advice(new: str, known: str, columns: Sequence[str], older: str = "") -> str:
    """Return advice on two labels that differ only in spelling.

    Parameters
    ----------
    columns : sequence of str
        Label columns, one for each part between slashes.
    older : str
        Name of the source that has the known label, if it is not a fit.
    """
    if new.casefold() == known.casefold():
        return "labels are case-sensitive; use the same spelling"
    if re.search(r"\d{5}-\d{4}", new) or re.search(r"\d{5}-\d{4}", known):
        return "one of them is ZIP+4; write both with the same number of digits"
    parts = list(zip(columns, new.split("/"), known.split("/"), strict=False))
    if len(parts) != new.count("/") + 1:
        parts = [(columns[-1], new, known)]
    column, one, other = next((part for part in parts if part[1] != part[2]), parts[0])
    if one == other or one.lstrip("0") != other.lstrip("0"):
        return "use the same spelling"
    as_text = (
        f"as text (pandas: dtype={{{column!r}: str}}; Polars: schema_overrides={{{column!r}: pl.String}}; a CSV "
        f"file that priorhood reads itself keeps its zeros)"
    )
    in_file = f"write {column!r} there as text, with all digits"
    if len(one) < len(other):
        read_again = (
            f"read {column!r} {as_text}, or restore them, "
            f"frame[{column!r}].astype(str).str.removesuffix('.0').str.zfill({len(other)})"
            f".where(frame[{column!r}].notna())"
        )
        restored = code_or_command(read_again, f"restore them in the file: {in_file}")
        return f"{one!r} has lost its leading zeros: {restored}"
    again = code_or_command(f"read {column!r} there {as_text}", in_file)
    here = code_or_command(
        f"remove the zeros here too, frame[{column!r}].str.lstrip('0')", "write it without the zeros here too"
    )
    return (
        f"{older or 'the table of the fit'} has lost the leading zeros of {other!r}: "
        f"{again}{'' if older else ', and fit again'}; or {here}"
    )


def normal_key(key: str) -> str:
    """Return a joined key with each label in its normal form."""
    return SEPARATOR.join(map(normal_label, key.split(SEPARATOR))) if SEPARATOR in key else normal_label(key)


# What missing values become if a frame's column is converted to text.
_MISSING = {"nan", "NaN", "NaT", "<NA>", "None"}


def null_options(labels: Iterable[str]) -> str:
    """Return the argument to read labels like 'nan' or 'None' as missing; '' if there is no such label."""
    found = sorted(_MISSING.intersection(labels))
    return argument("nulls", found) if found else ""


# Words for a total, in lower case and without spaces: English, German, French, Italian, Spanish, Dutch, Swedish,
# Danish, Polish, Czech, Turkish, Russian, Chinese, Japanese.
_TOTALS = frozenset({
    "total", "totals", "grandtotal", "sum", "sumtotal", "all", "overall", "gesamt", "insgesamt", "summe",
    "gesamtsumme", "endsumme", "totalgénéral", "totalgeneral", "ensemble", "somme", "totale", "totali", "somma",
    "totaal", "suma", "totalt", "summa", "ialt", "razem", "ogółem", "łącznie", "celkem", "součet", "toplam",
    "geneltoplam", "итого", "всего", "合计", "总计", "合計", "総計", "σ", "∑",
})  # fmt: skip


def is_total(label: str) -> bool:
    """Return whether a label is a usual word for a total.

    Examples
    --------
    >>> is_total("Grand total:"), is_total("Totnes")
    (True, False)
    """
    return re.sub(r"[\s:.*=-]+", "", label).casefold() in _TOTALS


def warn_of_missing(name: str, labels: Sequence[str], rows: Array | None, what: str) -> None:
    """Warn of labels like 'nan' or 'None', which missing values become if they are converted to text.

    Parameters
    ----------
    name : of the table; rows : number of each label's rows; what : the labels' kind, in words
    """
    found = sorted(_MISSING.intersection(labels))
    if not found:
        return
    count = "" if rows is None else f" ({row_count(int(rows[np.isin(labels, found)].sum()))})"
    these = f"{join_words(map(repr, found))} {'is' if len(found) == 1 else 'are'}"
    warn(
        f"{name}: {these} among the {what}{count}; missing values turn into such text when a column is converted "
        f"to text. If that happened here, read the table with {null_options(found)}"
    )

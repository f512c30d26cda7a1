"""What can go wrong for a user: what is wrong, where, and what to do. No traceback is needed to act."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class PriorhoodError(ValueError):
    """A problem in the input that its user can fix; the command line prints it and exits with 2."""


class TableError(PriorhoodError):
    """A file, frame or column that cannot be used as it is."""


class FormulaError(PriorhoodError):
    """A formula that cannot be read, or that asks for what this version does not have."""


class PriorError(PriorhoodError):
    """A prior that is no distribution, or that names no parameter of the model."""


class ModelError(PriorhoodError):
    """A model that the data cannot inform, or that no engine takes."""


class FileError(PriorhoodError):
    """A saved posterior that cannot be read or written."""


class SamplingError(PriorhoodError):
    """Draws that could not be made to the promised quality."""


class PriorhoodWarning(UserWarning):
    """Something the data cannot tell, or draws that want a second look; the fit goes on."""


def near(name: str, options: Iterable[str]) -> str:
    """', did you mean …?' where an option is close to name, else the options there are."""
    listed = [str(option) for option in options]
    folded = {option.casefold(): option for option in reversed(listed)}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(repr(folded[key]) for key in close) + "?"
    return "there are " + some(listed, 12) if listed else "there are none"


def rows_of(count: int) -> str:
    """'1 row', '2,500 rows'."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def plural(name: str) -> str:
    """A column's name for several of its places: zips, counties, branches; zip:type stays."""
    if ":" in name:
        return name
    if name[-1:].lower() == "y" and name[-2:-1].lower() not in ("", "a", "e", "i", "o", "u", "_"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.lower().endswith(("s", "x", "ch", "sh")) else f"{name}s"


def some(values: Iterable[object], most: int = 5) -> str:
    """The first few values as text, with how many more there are."""
    listed = [repr(value) if isinstance(value, str) else str(value) for value in values]
    shown = ", ".join(listed[:most])
    return f"{shown} and {len(listed) - most:,} more" if len(listed) > most else shown


# What a terminal obeys and a page of XML must not hold: C0 but tab and line feed, C1, what turns the direction of
# writing, and halves of characters, which no file of text can hold.
_UNSEEN = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\ufffe\\uffff]"
)


def visible(text: str) -> str:
    """The text with its control characters as Python writes them: names and labels come from files."""
    return _UNSEEN.sub(lambda found: ascii(found[0])[1:-1], text)

"""Text for messages and reports: suggestions, plurals, lists, quoted names, control characters, arguments."""

from __future__ import annotations

import difflib
import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


SHORT = 3  # characters of a name that another one can be close to


def suggestion(name: str, options: Iterable[str]) -> str:
    """Return 'did you mean …?' if an option is close to the name, else a list of the options."""
    name, names = str(name), [str(option) for option in options]
    folded = {option.casefold(): option for option in reversed(names)}
    cutoff = 0.6 if len(name) >= SHORT else 0.75  # '2' is a part of '12', not close to it
    close = difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=cutoff)
    if close:
        return "did you mean " + " or ".join(repr(folded[key]) for key in close) + "?"
    return "choose from " + preview(names, 12) if names else "there is none"


def plural(name: str) -> str:
    """Return the plural of a column's name: zips, counties, branches, buses.

    An interaction, zip:type, and what seems to be a plural already, rooms, are unchanged.
    """
    ending = name[-2:].lower()
    if ":" in name or (ending.endswith("s") and ending not in ("ss", "us", "is")):
        return name
    if name[-1:].lower() == "y" and name[-2:-1].lower() not in ("", "a", "e", "i", "o", "u", "_"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.lower().endswith(("s", "x", "ch", "sh")) else f"{name}s"


def count_noun(count: int, name: str) -> str:
    """Return a count with its noun: '1 zip', '2,500 zips'."""
    return f"{count:,} {name if count == 1 else plural(name)}"


def row_count(count: int) -> str:
    """Return a count of rows: '1 row', '2,500 rows'."""
    return count_noun(count, "row")


def preview(values: Iterable[object], limit: int = 5) -> str:
    """Return the first values, strings quoted, and how many more there are: "'a', 'b' and 7 more"."""
    shown = [repr(value) if isinstance(value, str) else str(value) for value in values]
    more = f" and {len(shown) - limit:,} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more


def join_words(texts: Iterable[str], conjunction: str = "and", *, limit: int | None = None) -> str:
    """Join texts as in a sentence: 'a', 'a and b', 'a, b and c'; with limit=2: 'a, b and 4 more'."""
    shown = list(texts)
    if limit is not None and len(shown) > limit:
        shown[limit:] = [f"{len(shown) - limit:,} more"]
    return f" {conjunction} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def sql_name(name: str, mark: str = '"') -> str:
    """Quote a column's name for SQL, in double quotes; Spark's mark is a backtick."""
    return mark + name.replace(mark, 2 * mark) + mark


def sql_text(text: str) -> str:
    """Quote a string for SQL, in single quotes."""
    return sql_name(text, "'")


# Control characters, which a terminal interprets and XML forbids: C0 except tab and line feed, C1, bidirectional
# controls, and lone surrogates, which cannot be encoded.
_CONTROL = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\ufffe\\uffff]"
)


def escape_control(text: str) -> str:
    """Escape control characters as Python's repr does: names and labels come from files."""
    return _CONTROL.sub(lambda match: ascii(match[0])[1:-1], text)


# -- arguments: Python names them engine='nuts', the command line --engine nuts -----------------------------------


def _in_python(name: str, *value: object) -> str:
    """Return an argument as in a call of a function."""
    return f"{name}={''.join(map(repr, value)).replace('Ellipsis', '…')}"


_NAMING: ContextVar[Callable[..., str]] = ContextVar("naming", default=_in_python)


def argument(name: str, *value: object) -> str:
    """Return an argument of a public function for a message, in Python's form or in that of the command line.

    Parameters
    ----------
    name : str
        The argument's name in Python.
    value : object, optional
        Its value; an ellipsis stands for any value, also inside a list or dict.

    Examples
    --------
    >>> argument("engine", "nuts"), argument("draws"), argument("at", {"zip": ...})
    ("engine='nuts'", 'draws=', "at={'zip': …}")
    >>> with naming_of(lambda name, *value: " ".join([f"--{name}", *value])):
    ...     argument("engine", "nuts"), argument("draws")
    ('--engine nuts', '--draws')
    """
    return _NAMING.get()(name, *value)


def code_or_command(code: str, command: str) -> str:
    """Return code for a message in Python, or the command or words that replace it on the command line.

    Examples
    --------
    >>> code_or_command("ph.loo", "priorhood compare --by row")
    'ph.loo'
    """
    return code if _NAMING.get() is _in_python else command


@contextmanager
def naming_of(option: Callable[..., str]) -> Iterator[None]:
    """Name arguments in messages by this function of their name and value."""
    before = _NAMING.set(option)
    try:
        yield
    finally:
        _NAMING.reset(before)

"""Words for messages and reports: near names, plurals, lists, quoted names, control characters made visible."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def suggestion(name: str, options: Iterable[str]) -> str:
    """'did you mean …?' where an option is close to the name, else the options there are."""
    every = [str(option) for option in options]
    folded = {option.casefold(): option for option in reversed(every)}
    close = difflib.get_close_matches(name.casefold(), list(folded), n=3, cutoff=0.6)
    if close:
        return "did you mean " + " or ".join(repr(folded[key]) for key in close) + "?"
    return "there are " + preview(every, 12) if every else "there are none"


def plural(name: str) -> str:
    """A column's name for several of its places: zips, counties, branches; zip:type stays."""
    if ":" in name:
        return name
    if name[-1:].lower() == "y" and name[-2:-1].lower() not in ("", "a", "e", "i", "o", "u", "_"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.lower().endswith(("s", "x", "ch", "sh")) else f"{name}s"


def count_noun(count: int, name: str) -> str:
    """'1 zip', '2,500 zips'."""
    return f"{count:,} {name if count == 1 else plural(name)}"


def row_count(count: int) -> str:
    """'1 row', '2,500 rows'."""
    return count_noun(count, "row")


def preview(values: Iterable[object], most: int = 5) -> str:
    """The first few values, texts in quotes, and how many more there are: "'a', 'b' and 7 more"."""
    shown = [repr(value) if isinstance(value, str) else str(value) for value in values]
    more = f" and {len(shown) - most:,} more" if len(shown) > most else ""
    return ", ".join(shown[:most]) + more


def join_words(texts: Iterable[str], last: str = "and", *, most: int | None = None) -> str:
    """The texts as a sentence lists them: 'a', 'a and b', 'a, b and c'; at most two: 'a, b and 4 more'."""
    shown = list(texts)
    if most is not None and len(shown) > most:
        shown[most:] = [f"{len(shown) - most:,} more"]
    return f" {last} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def sql_name(name: str, mark: str = '"') -> str:
    """The name of a column as SQL has it, in double quotes; Spark's mark is a backtick."""
    return mark + name.replace(mark, 2 * mark) + mark


def sql_text(text: str) -> str:
    """A text as SQL has it, in single quotes."""
    return sql_name(text, "'")


# Control characters, which a terminal obeys and a page of XML must not hold: C0 but tab and line feed, C1, what
# turns the direction of writing, and halves of characters, which no file of text can hold.
_CONTROL = re.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069\\ud800-\\udfff\\ufffe\\uffff]"
)


def escape_control(text: str) -> str:
    """The text with its control characters as Python writes them: names and labels come from files."""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text)

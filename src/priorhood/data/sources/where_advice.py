"""Conditions on rows as they are written in Python or from habit, and the same in SQL."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from priorhood._text import join_words, sql_text
from priorhood.data.sources.column_names import as_engines

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\d[\w.]*|\w+|&&|\|\||[<>=!]=|<>|\s+|.""", re.DOTALL)
_COMPARED = ("=", "==", "!=", "<>", "<", ">", "<=", ">=", "in", "like", "ilike", "between")
_SIGNS = {"&": "AND", "&&": "AND", "|": "OR", "~": "NOT", "!": "NOT"}
_JOINED = "||"  # joins texts in SQL
_METHODS = (
    (re.compile(r"\.(?:isna|isnull)\(\)"), " IS NULL"),
    (re.compile(r"\.(?:notna|notnull)\(\)"), " IS NOT NULL"),
    (re.compile(r"\.isin\(\s*\[(.*?)\]\s*\)", re.DOTALL), r" IN (\1)"),
)
_WORDS = frozenset({
    "all", "and", "any", "as", "between", "case", "cast", "date", "distinct", "else", "end", "escape", "exists",
    "false", "from", "ilike", "in", "interval", "is", "like", "not", "null", "or", "select", "similar", "then",
    "timestamp", "to", "true", "when",
})  # fmt: skip
_TYPOGRAPHIC = str.maketrans(dict.fromkeys("‘’‚‛“”„‟", "'"))  # quotes of word processors


def in_sql(where: str, textual: Mapping[str, bool]) -> tuple[str, str]:
    """Return a condition with &, |, ~, methods and texts as in SQL, write them, and what was wrong with it.

    Parameters
    ----------
    where : str
        The condition.
    textual : dict of str to bool
        Whether a column is text, by its name.

    Examples
    --------
    >>> right, wrong = in_sql("~(price > 1) & type == flat", {"price": False, "type": True})
    >>> print(right)
    NOT (price > 1) AND type == 'flat'
    >>> print(wrong)
    in SQL, write NOT and AND instead of ~ and &, and text in single quotes
    """
    columns = {as_engines(name): text for name, text in textual.items()}
    straight = plain = where.translate(_TYPOGRAPHIC)
    for method, operator in _METHODS:
        plain = method.sub(operator, plain)
    tokens: list[str] = _TOKEN.findall(plain)
    signs: dict[str, str] = {}
    quoted = straight != where
    text = compared = between = False
    right: list[str] = []
    for at, token in enumerate(tokens):
        word, following = token.lower(), "".join(tokens[at + 1 : at + 3]).strip()[:1]
        name = token[1:-1] if token[0] in '"`' else token
        before = right[-1][-1] if right else " "
        written = token
        if token in _SIGNS or (token == _JOINED and (following == "(" or "".join(right[-2:]).rstrip()[-1:] == ")")):
            written = _SIGNS.get(token, "OR")
            signs[written] = token
            written = ("" if before.isspace() or before == "(" else " ") + written
            written += "" if "".join(tokens[at + 1 : at + 2]).isspace() else " "
            compared = False
        elif word in _COMPARED:
            compared, between = True, word == "between"
        elif word in ("and", "or"):
            compared, between = compared and between, False
        elif as_engines(name) in columns:
            text, compared = columns[as_engines(name)], False
        elif word not in _WORDS:
            bare = compared and text and re.fullmatch(r"[^\W\d]\w*", token) and following not in ("(", ".")
            if bare or token[0] == '"':
                written, quoted = sql_text(name), True
        right.append(written)
    wrong = []
    if signs:
        wrong.append(f"{join_words(signs)} instead of {join_words(signs.values())}")
    if plain != straight:
        wrong.append("IN and IS NULL instead of methods")
    if quoted:
        wrong.append("text in single quotes")
    return "".join(right), f"in SQL, write {', and '.join(wrong)}" if wrong else ""

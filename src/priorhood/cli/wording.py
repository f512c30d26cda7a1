"""Messages of Python's functions in the words of the command line: options for arguments."""

from __future__ import annotations

import ast
import re
import shlex
from typing import TYPE_CHECKING

from priorhood.cli.options import NO_OPTIONS, ROWS, SHARED

if TYPE_CHECKING:
    from collections.abc import Iterator

# Arguments whose option has no entry in the table of shared ones.
_OTHERS = (
    "above",
    "below",
    "by",
    "data",
    "interval",
    "kind",
    "minimum",
    "polygons",
    "refits",
    "term",
    "terms",
    "var",
)
_TEXT = r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\""""
_VALUE = rf"(?:{_TEXT}|\[(?:{_TEXT}|[^\]'\"])*\]|\{{(?:{_TEXT}|[^}}'\"])*\}}|[^\s,;:()]*)"
_ARGUMENT = rf"(?<![\w.'\"`/-])(?:(?P<name>[^\W\d]\w*)=(?P<value>{_VALUE})|\*\*\{{[^}}]*\}})"
_ALONE = re.compile(_ARGUMENT)
# engine='nuts' (--engine nuts)
_BOTH = re.compile(rf"{_ARGUMENT} \((?P<option>--[^()]*)\)")
# (draws=, --draws), (at, --at, for example --at kind=flat)
_BRACKETED = re.compile(rf"\((?:\w+|{_ARGUMENT}), (?=--[a-z])")
_FUNCTIONS = tuple(
    (re.compile(pattern), words)
    for pattern, words in (
        (r"read it with priorhood\.load\w*\((?:'[^']*'|\"[^\"]*\")\), or ", ""),
        (
            r"load_moments reads it, and fit computes a posterior from it \((priorhood fit .*?\.nc)\)",
            r"\1 computes a posterior from it",
        ),
        (r"\bph\.\w+ \((priorhood [^)]*)\)", r"\1"),
        (r"\bsee ph\.loo\b", "see priorhood compare --by row"),
        (r"post\.draws\(.*? a fit with ", "a fit with "),
        (r"pass it to moments\(\) instead", "pass it to priorhood moments instead"),
        (r"choose them with select=\[…\]", "choose them with --select, not with --group"),
        (r"\(where\)", "(--where)"),
        (r"\btable=…", "--data TABLE"),
        (
            r"read ('.*?') as text \(pandas: .*? keeps its zeros\), or restore them, frame\[.*?\.notna\(\)\)",
            r"restore them in the file: write \1 there as text, with all digits",
        ),
        (
            r"read ('.*?') there as text \(pandas: .*? keeps its zeros\)(.*?); or remove the zeros here too, "
            r"frame\[.*?\.str\.lstrip\('0'\)",
            r"write \1 there as text, with all digits\2; or write it without the zeros here too",
        ),
    )
)
_QUOTED = re.compile(r"""(?<![\w='"])'[^']*'(?!\w)|(?<![\w='"])"[^"]*"(?!\w)""")
_PROGRAM = "python -c "  # what follows it is run by the shell, letter by letter


def flags() -> dict[str, str]:
    """Return the options of all commands by the names of Python's arguments: nulls → --null."""
    shared = {name.rpartition(".")[2]: one.flag for name, one in SHARED.items() if one.flag}
    names = {name.rpartition(".")[2] for name in SHARED} - NO_OPTIONS
    plain = {name: f"--{name.replace('_', '-')}" for name in (*names, *_OTHERS)}
    return plain | shared | ROWS


def as_options(message: str) -> str:
    """Return a message of a Python function with options instead of arguments.

    Code in a message, and what users wrote themselves, stay as they are.

    Examples
    --------
    >>> as_options("set engine='nuts' (--engine nuts), or drop where=; use more draws (draws=, --draws)")
    'set --engine nuts, or drop --where; use more draws (--draws)'
    """
    words, program, rest = message.partition(_PROGRAM)
    for pattern, instead in _FUNCTIONS:
        words = pattern.sub(instead, words)
    words = _BRACKETED.sub("(", _BOTH.sub(_option, words))
    known, parts, end = flags(), [], 0
    for found in _arguments(words):
        if found["name"] in known:
            parts += [words[end : found.start()], _with_value(known[found["name"]], found["value"])]
            end = found.end()
    return "".join(parts) + words[end:] + program + rest


def _option(found: re.Match[str]) -> str:
    """Return the option of an argument that is followed by it in brackets."""
    flag, colon, explanation = found["option"].partition(": ")
    if colon:
        return f"{flag} ({explanation})"
    if re.fullmatch(r"--[a-z-]+", flag):
        return _with_value(flag, found["value"] or "")
    return re.sub(r" ([^\w\s'])$", r" '\1'", flag)


def _arguments(words: str) -> Iterator[re.Match[str]]:
    """Yield the arguments in a message that are not in a call or a quotation, nor the value of an option."""
    quoted = [found.span() for found in _QUOTED.finditer(words)]
    calls, opened = [], list[bool]()
    for at, letter in enumerate(words):
        if letter == "(":
            opened.append(at > 0 and (words[at - 1].isalnum() or words[at - 1] == "_"))
        elif letter == ")" and opened:
            opened.pop()
        calls.append(any(opened))
    for found in _ALONE.finditer(words):
        start = found.start()
        of_option = re.search(r"--[a-z-]+ $", words[:start])
        if not calls[start] and not of_option and not any(first <= start < last for first, last in quoted):
            yield found


def _with_value(flag: str, text: str) -> str:
    """Return an option with the value of an argument, as the shell takes it."""
    try:
        value = ast.literal_eval(re.sub("(?<!')…(?!')", "'…'", text))
    except (SyntaxError, ValueError):
        return f"{flag} {text}".rstrip()
    values = value if isinstance(value, list) else [value]
    if isinstance(value, dict):
        values = [f"{name}={one}" for name, one in value.items()]
    return " ".join(f"{flag} {_shell(str(one))}" for one in values if one != "…") or f"{flag} …"


def _shell(text: str) -> str:
    """Return a text as a word of the shell; an ellipsis stands for a value, and a sign alone is easier to see."""
    if "…" in text:
        return text
    return shlex.quote(text) if re.search(r"\w", text) else f"'{text}'"

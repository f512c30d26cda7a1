"""Arguments of Python's functions as options of the command line, for messages."""

from __future__ import annotations

import re
import shlex

from priorhood.cli.options import NO_OPTIONS, ROWS, SHARED

# Arguments whose option has no entry in the table of shared ones.
_OTHERS = (
    "above", "below", "by", "data", "interval", "kind", "minimum", "polygons", "refits", "row", "term", "terms",
    "var",
)  # fmt: skip


def flags() -> dict[str, str]:
    """Return the options of all commands by the names of Python's arguments: nulls → --null."""
    shared = {name.rpartition(".")[2]: one.flag for name, one in SHARED.items() if one.flag}
    names = {name.rpartition(".")[2] for name in SHARED} - NO_OPTIONS
    plain = {name: f"--{name.replace('_', '-')}" for name in (*names, *_OTHERS)}
    return plain | shared | ROWS


def options(name: str, *value: object) -> str:
    """Return an argument as its option, once for each of several values, as the shell takes it.

    Examples
    --------
    >>> options("nulls", ["n. a.", "?"]), options("units", {"price": "€"}), options("data", ...)
    ("--null 'n. a.' --null '?'", "--unit 'price=€'", '--data …')
    >>> print(options("where", "zip <> 'Total'"), options("at", {"my zip": ...}))
    --where "zip <> 'Total'" --at 'my zip'=…
    """
    flag = flags()[name]
    if not value:
        return flag
    if isinstance(value[0], dict):
        pairs = [(key, str(one).lower() if isinstance(one, bool) else one) for key, one in value[0].items()]
        words = [f"{_shell(key)}=…" if one is ... else _shell(f"{key}={one}") for key, one in pairs]
    else:
        words = [_shell(one) for one in (value[0] if isinstance(value[0], list | tuple) else value)]
    return " ".join(f"{flag} {word}" for word in words)


def _shell(value: object) -> str:
    """Return a value as a word of the shell: a sign alone is quoted, and double quotes surround single ones."""
    if value is ... or value == "…":
        return "…"
    text = str(value)
    if "'" in text and not set(text) & set('"$`!\\'):
        return f'"{text}"'
    return shlex.quote(text) if re.search(r"[\w']", text) else f"'{text}'"

"""Words of a formula: names, numbers, texts, signs; and names written back into a formula.

A name in backticks is used exactly as written, without normalization. Without backticks a name is a letter followed
by letters, digits, dots and underscores.
"""

from __future__ import annotations

import re
import shlex
import unicodedata
from dataclasses import dataclass
from keyword import iskeyword

from priorhood._text import code_or_command
from priorhood.errors import FormulaError

# Limits of the characters and of the depth of brackets, beyond any formula written by hand. A program that needs
# more can compute a column.
LONGEST = 50_000
DEEPEST = 40

INTERCEPT = "Intercept"

_WORD = re.compile(
    r"""(?P<blank>\s+)
    |`(?P<quoted>[^`]*)`
    |(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
    |(?P<number>(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    |(?P<sign>\*\*|\|\||%in%|[][~+*/^:|(),=-])""",
    re.VERBOSE | re.DOTALL,
)
_NUMBER = re.compile(r"[0-9._]+(?:[eE][+-]?[0-9]+)?")

# Characters of typography, word processors and other keyboards, by the sign that they stand for.
_SIGNS = {
    "~": "\u02dc\u2053\u223c\u223d\u301c\uff5e", "+": "\u2795\ufe62\uff0b",
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2796\ufe63\uff0d", "*": "\u00d7\u2217\u22c5\uff0a",
    "/": "\u00f7\u2044\u2215\uff0f", "|": "\u01c0\u2223\u2502\uff5c", "||": "\u2016\u2225", "(": "\uff08",
    ")": "\uff09", "[": "\uff3b", "]": "\uff3d", ",": "\uff0c", ":": "\u2236\uff1a", "=": "\uff1d",
    "`": "\u00b4\u02cb\uff40", "'": "\u2018\u2019\uff07", '"': "\u201c\u201d\u201e\uff02",
    "": "\u00ad\u200b\u200c\u200d\u2060\ufeff",
}  # fmt: skip
_QUOTED = re.compile(r"""(`[^`]*`|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')""")
_MEANT = {ord(odd): sign for sign, several in _SIGNS.items() for odd in several}


@dataclass(frozen=True)
class Word:
    """A word of a formula.

    Attributes
    ----------
    kind : str
        name, number, text or sign
    text : str
        the word as written; a name without its backticks
    start, end : int
        position in the formula
    """

    kind: str
    text: str
    start: int
    end: int

    def __bool__(self) -> bool:
        return self.kind != "end"

    def is_sign(self, *signs: str) -> bool:
        """Return True if the word is one of the signs."""
        return self.kind == "sign" and self.text in signs


END = Word("end", "", -1, -1)


def words_of(text: str) -> tuple[Word, ...]:
    """Split a formula, or a part of one, into words.

    Raises
    ------
    FormulaError
        for a backtick that is not closed, an unexpected character, or too many characters or nested brackets

    Examples
    --------
    >>> [word.text for word in words_of("price ~ `living space`*2")]
    ['price', '~', 'living space', '*', '2']
    """
    if len(text) > LONGEST:
        raise FormulaError(
            f"the formula {brief(text)} has {len(text):,} characters; at most {LONGEST:,} are allowed"
        )
    words: list[Word] = []
    at = depth = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None or (match["number"] and _continues(text, match.end())):
            end = _name_end(text, at)
            if end == at:
                raise _stray(text, at)
            words.append(Word("name", text[at:end], at, end))
        else:
            end = match.end()
            kind = str(match.lastgroup)
            if kind == "quoted":
                name = match["quoted"]
                # A name goes on after its closing backtick in `ti``ck` and ``tick``.
                if text[end : end + 1] == "`" or _continues(text, end):
                    raise FormulaError(f"formula {brief(text)}: {BACKTICK}")
                if not name:
                    raise FormulaError(
                        f"formula {brief(text)}: a column without a name cannot be used; give it a name, and write "
                        f"that name"
                    )
                bad = next((letter for letter in name if letter == "\0" or "\ud800" <= letter <= "\udfff"), None)
                if bad is not None:
                    raise FormulaError(
                        f"formula {brief(text)}: a column name cannot contain the character {bad!r}; rename the "
                        f"column"
                    )
                words.append(Word("name", name, at, end))
            elif kind != "blank":
                words.append(Word(kind, match[kind], at, end))
        at = end
    for word in words:
        depth += word.is_sign("(") - word.is_sign(")")
        if depth > DEEPEST:
            raise FormulaError(f"formula {brief(text)} has brackets nested more than {DEEPEST} deep")
    return tuple(words)


# A backtick cannot be escaped.
BACKTICK = (
    "a name that contains a backtick cannot be written in a formula, not even with a second backtick or a "
    "backslash: rename that column, and write the new name"
)


def _name_end(text: str, start: int) -> int:
    """Return the end of the name that begins at start, or start if none does."""
    first = text[start] if text[start] != "." else text[start + 1 : start + 2]
    if not (first == "_" or first.isalpha()):
        return start
    end = start + 1
    while _continues(text, end):
        end += 1
    return end


def _continues(text: str, at: int) -> bool:
    """Return True if a character belongs to the name or number before it, like the dots of a decomposed umlaut."""
    if at >= len(text):
        return False
    return text[at] in "_." or text[at].isalnum() or unicodedata.category(text[at]).startswith("M")


def _stray(text: str, at: int) -> FormulaError:
    """Return the error for a character that cannot begin a word."""
    if text[at] == "`":
        return FormulaError(
            f"formula {brief(text)}: a backtick is not closed (a name that contains a backtick cannot be written: "
            f"rename that column)"
        )
    if text[at : at + 2] == "\\`":
        return FormulaError(f"formula {brief(text)}: {BACKTICK}")
    if text[at] == ".":
        return FormulaError(f"formula {brief(text)}: '.' is not supported; name the columns")
    word = text[at:]
    if word[0].isdigit():
        end = 1
        while _continues(word, end):
            end += 1
        return FormulaError(
            f"formula {brief(text)}: {word[:end]!r} is not a number; put names that begin with a digit in backticks"
        )
    advice = unusual(text, text[at])
    if advice:
        return FormulaError(f"formula {brief(text)}: {advice}; put column names that contain it in backticks")
    return FormulaError(f"formula {brief(text)}: unexpected {text[at]!r}; put unusual column names in backticks")


def unusual(text: str, letter: str) -> str:
    """Return advice for a character that only looks like a sign or is invisible, '' for any other.

    Examples
    --------
    >>> unusual("price \u223c area", "\u223c")
    "'\u223c' (U+223C) is not the character '~'; write 'price ~ area'"
    """
    sign = _MEANT.get(ord(letter))
    if sign is None:
        return ""
    code = f"U+{ord(letter):04X}"
    fault = (
        f"{letter!r} ({code}) is not the character {sign!r}" if sign else f"it has an invisible character ({code})"
    )
    return f"{fault}; write {brief(usual(text))}"


def usual(text: str) -> str:
    """Replace characters that look like signs of a formula by the signs, except within backticks and quotes."""
    return "".join(p if at % 2 else p.translate(_MEANT) for at, p in enumerate(_QUOTED.split(text)))


def tidied(text: str) -> str:
    """Replace several blanks by one, except within backticks and quotes."""
    parts = _QUOTED.split(text)
    return "".join(p if at % 2 else re.sub(r"\s+", " ", p) for at, p in enumerate(parts)).strip()


def brief(text: str) -> str:
    """Return the text in quotes for a message, shortened if it is long."""
    return repr(cut(text))


def cut(text: str) -> str:
    """Return the text, without its middle if it is long."""
    return text if len(text) <= 300 else f"{text[:200]} … {text[-50:]}"


def written(name: str) -> str:
    """Return a column's name within an expression, in backticks if it needs them.

    Examples
    --------
    >>> written("area"), written("living space")
    ('area', '`living space`')
    """
    plain = bool(name) and name[0] != "." and _name_end(name, 0) == len(name)
    return name if plain else f"`{name}`"


def is_loose(text: str) -> bool:
    """Return True if the whole text can only be the name of a column: `living space`, `2nd floor`.

    It consists of letters, digits, single blanks and characters without a meaning in formulas, and is neither a
    number nor the name of the intercept.
    """
    if text == INTERCEPT or not text or _NUMBER.fullmatch(text) or text != text.strip(" ") or "  " in text:
        return False
    return all(
        letter in " _.%&#@§" or letter.isalnum() or unicodedata.category(letter) in ("Mn", "Mc", "Me", "Sc", "So")
        for letter in text
    )


def alone(name: str) -> str:
    """Return a column's name as a whole term or as the end of a parameter's name, in backticks if needed.

    Examples
    --------
    >>> alone("living space"), alone("a-b")
    ('living space', '`a-b`')
    """
    return name if is_loose(name) else f"`{name}`"


def dimension(name: str) -> str:
    """Return a name for a dimension: slashes, which would be paths in a file, become division signs."""
    return name.replace("/", "\u2215")


def keyword(name: str, value: object) -> str:
    """Return the text of a column's name and value as an argument of a call.

    Names that Python cannot read or would normalize (it reads nº as no) are written in a dictionary.

    Examples
    --------
    >>> keyword("area", 80), keyword("living space", 80)
    ('area=80', "**{'living space': 80}")
    """
    plain = name.isidentifier() and unicodedata.normalize("NFKC", name) == name and not iskeyword(name)
    return f"{name}={value!r}" if plain else f"**{{{name!r}: {value!r}}}"


def same_letters(name: str, other: str) -> bool:
    """Return True if two different names are equal after Unicode normalization, like nº and no."""
    return name != other and unicodedata.normalize("NFKC", name) == unicodedata.normalize("NFKC", other)


def unquoted(text: str) -> str:
    """Return a name without its backticks, if it has any."""
    stripped = text.strip()
    quoted = len(stripped) > 2 and stripped[0] == stripped[-1] == "`" and "`" not in stripped[1:-1]
    return stripped[1:-1] if quoted else text


def place_argument(group: str, label: str) -> str:
    """Return the argument that chooses a place: zip='10115', or --group 10115 on the command line; … for any."""
    return code_or_command(keyword(group, label), f"--group {'…' if label == '…' else shlex.quote(label)}")

"""The letters of a formula → its words: names, numbers, texts, signs; and names back into letters.

A name in backticks is that name letter by letter: nothing in it is read, and nothing is normalized. Without
backticks a name is a letter followed by letters, digits, dots and underscores.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from keyword import iskeyword

from priorhood.errors import FormulaError

# Longer, and with more brackets within brackets, than any formula written by hand; what makes one by program
# can make a column as well.
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

# Signs of typography, of word processors and of other keyboards → the signs that they stand for.
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
    """One word of a formula: its kind (name, number, text or sign), and where it stands.

    text : a name without its backticks; of the others as written
    """

    kind: str
    text: str
    start: int
    end: int

    def __bool__(self) -> bool:
        return self.kind != "end"

    def is_sign(self, *signs: str) -> bool:
        """Whether it is one of the signs."""
        return self.kind == "sign" and self.text in signs


END = Word("end", "", -1, -1)


def words_of(text: str) -> tuple[Word, ...]:
    """The words of a formula or of a part of it.

    Raises
    ------
    FormulaError : a backtick that is not closed, a letter that means nothing here
    """
    if len(text) > LONGEST:
        raise FormulaError(f"the formula {brief(text)} has {len(text):,} letters; the most are {LONGEST:,}")
    found: list[Word] = []
    at = 0
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None or (match["number"] and _continues(text, match.end())):
            end = _name_end(text, at)
            if end == at:
                raise _stray(text, at)
            found.append(Word("name", text[at:end], at, end))
        else:
            end = match.end()
            kind = str(match.lastgroup)
            if kind == "quoted" and _goes_on(text, end):
                raise FormulaError(f"formula {brief(text)}: {BACKTICK}")
            if kind == "quoted":
                found.append(Word("name", _checked(match["quoted"], text), at, end))
            elif kind != "blank":
                found.append(Word(kind, match[kind], at, end))
        at = end
    _check_depth(found, text)
    return tuple(found)


# No sign takes a backtick's meaning away, neither a second one nor a backslash.
BACKTICK = (
    "a name that has a backtick itself cannot be written in a formula, not by a second backtick or a backslash "
    "either: rename that column, and write the new name"
)


def _goes_on(text: str, end: int) -> bool:
    """Whether a name goes on after its closing backtick, as in `ti``ck` and ``tick``."""
    return text[end : end + 1] == "`" or _continues(text, end)


def _check_depth(words: list[Word], text: str) -> None:
    depth = 0
    for word in words:
        depth += (word.kind == "sign") * ((word.text == "(") - (word.text == ")"))
        if depth > DEEPEST:
            raise FormulaError(f"formula {brief(text)} has brackets more than {DEEPEST} deep")


def _name_end(text: str, start: int) -> int:
    """Where a name that begins there ends; the start where none does."""
    first = text[start] if text[start] != "." else text[start + 1 : start + 2]
    if not (first == "_" or first.isalpha()):
        return start
    end = start + 1
    while _continues(text, end):
        end += 1
    return end


def _continues(text: str, at: int) -> bool:
    """Whether a letter there belongs to the name or number before it."""
    return at < len(text) and (text[at] in "_." or text[at].isalnum() or _is_mark(text[at]))


def _is_mark(letter: str) -> bool:
    """Whether a letter stands on the one before it, as the two dots of an umlaut in two code points do."""
    return unicodedata.category(letter).startswith("M")


def _checked(name: str, text: str) -> str:
    if not name:
        raise FormulaError(
            f"formula {brief(text)}: a column without a name cannot be used; rename it, and write that name"
        )
    bad = next((letter for letter in name if letter == "\0" or "\ud800" <= letter <= "\udfff"), None)
    if bad is not None:
        raise FormulaError(f"formula {brief(text)}: no column name can hold the letter {bad!r}; rename the column")
    return name


def _stray(text: str, at: int) -> FormulaError:
    if text[at] == "`":
        return FormulaError(
            f"formula {brief(text)}: a backtick is not closed (a name that has a backtick itself cannot be "
            f"written: rename that column)"
        )
    if text[at : at + 2] == "\\`":
        return FormulaError(f"formula {brief(text)}: {BACKTICK}")
    if text[at] == ".":
        return FormulaError(f"formula {brief(text)}: '.' is not read; name the columns")
    word = text[at:]
    if word[0].isdigit():
        end = 1
        while _continues(word, end):
            end += 1
        return FormulaError(
            f"formula {brief(text)}: {word[:end]!r} is no number; a name that begins with a digit goes in backticks"
        )
    found = unusual(text, text[at])
    if found:
        return FormulaError(f"formula {brief(text)}: {found}; column names that have it go in backticks")
    return FormulaError(
        f"formula {brief(text)}: {text[at]!r} has no meaning here; put odd column names in backticks"
    )


def unusual(text: str, letter: str) -> str:
    """What is said of a letter of a text that only looks like a sign, or like nothing; '' of any other."""
    sign = _MEANT.get(ord(letter))
    if sign is None:
        return ""
    code = f"U+{ord(letter):04X}"
    what = f"{letter!r} ({code}) is not the sign {sign!r}" if sign else f"it has an invisible letter ({code})"
    return f"{what}; write {brief(usual(text))}"


def usual(text: str) -> str:
    """The text with the signs of a formula for those that look like them, but within backticks and quotes."""
    return "".join(p if at % 2 else p.translate(_MEANT) for at, p in enumerate(_QUOTED.split(text)))


def tidied(text: str) -> str:
    """The text with one blank for several, but within backticks and quotes, which stay as they are."""
    parts = _QUOTED.split(text)
    return "".join(p if at % 2 else re.sub(r"\s+", " ", p) for at, p in enumerate(parts)).strip()


def brief(text: str) -> str:
    """The text in quotes for a message, long ones cut."""
    return repr(cut(text))


def cut(text: str) -> str:
    """The text without the middle of a long one."""
    return text if len(text) <= 300 else f"{text[:200]} … {text[-50:]}"


def written(name: str) -> str:
    """A column's name within an expression: in backticks unless it is read as itself without."""
    return name if _is_plain(name) else f"`{name}`"


def _is_plain(name: str) -> bool:
    return bool(name) and name[0] != "." and _name_end(name, 0) == len(name)


def is_loose(text: str) -> bool:
    """Whether a text that stands alone can be nothing but the name of a column: `living space`, `2nd floor`.

    Letters, digits, single blanks and signs that have no meaning in a formula; not a number, which would look like
    one, nor the name of the intercept.
    """
    if text == INTERCEPT or not text or _NUMBER.fullmatch(text):
        return False
    return text == " ".join(text.split(" ")).strip(" ") and "  " not in text and all(map(_means_nothing, text))


def _means_nothing(letter: str) -> bool:
    return (
        letter in " _.%&#@§" or letter.isalnum() or unicodedata.category(letter) in ("Mn", "Mc", "Me", "Sc", "So")
    )


def alone(name: str) -> str:
    """A column's name where it stands alone, as a term, or at the end of a parameter's name."""
    return name if is_loose(name) else f"`{name}`"


def dimension(name: str) -> str:
    """A name for a dimension: in a file a slash would be a path, so that the sign of division stands for it."""
    return name.replace("/", "\u2215")


def keyword(name: str, value: object) -> str:
    """A column's name as an argument of a call, with its value: Python reads no name as nº, which is no to it."""
    plain = name.isidentifier() and unicodedata.normalize("NFKC", name) == name and not iskeyword(name)
    return f"{name}={value!r}" if plain else f"**{{{name!r}: {value!r}}}"


def same_letters(one: str, other: str) -> bool:
    """Whether two different names differ by Unicode's ways to write a letter alone, as nº and no do."""
    return one != other and unicodedata.normalize("NFKC", one) == unicodedata.normalize("NFKC", other)


def unquoted(text: str) -> str:
    """A name that may stand in backticks, without them."""
    stripped = text.strip()
    quoted = len(stripped) > 2 and stripped[0] == stripped[-1] == "`" and "`" not in stripped[1:-1]
    return stripped[1:-1] if quoted else text

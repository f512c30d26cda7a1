"""Arithmetic of columns as a tree: `I(area ** 2)` from text and back to text.

Expressions have a normal form, in which a name has backticks only if it would be misread without them.
"""

from __future__ import annotations

import ast
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from priorhood._text import suggestion
from priorhood.errors import FormulaError
from priorhood.model.tokens import END, Word, alone, brief, is_loose, words_of, written

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTIONS = ("log", "log2", "log10", "log1p", "sqrt", "exp", "I")

# Words of one expression; a longer one should be computed as a column first.
MAX_WORDS = 200

# Names of the coding that C() accepts after its column, as spelled in patsy, formulaic and R.
_TREATMENTS = ("Treatment", "treatment", "contr.treatment")

# Advice for functions of other packages.
_FUNCTION_ADVICE = {
    **dict.fromkeys(
        ("scale", "center", "standardize"),
        "write the column itself, since numbers are centred and divided by their sd anyway",
    ),
    "offset": "subtract it from the outcome, as in price - known ~ …",
    **dict.fromkeys(("factor", "as_factor"), "write C(…)"),
    **dict.fromkeys(
        ("relevel", "fct_relevel"), 'write C(type, Treatment("house")) to make that level the reference'
    ),
    **dict.fromkeys(
        ("poly", "bs", "ns", "cr", "cc", "s", "te"),
        "write powers of a column as I(area ** 2), or compute the columns first",
    ),
}

Value = str | int | float | bool


@dataclass(frozen=True)
class Name:
    """A column."""

    name: str


@dataclass(frozen=True)
class Number:
    """A constant."""

    value: int | float


@dataclass(frozen=True)
class Binary:
    """Two operands and the operator between them: left + right."""

    sign: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Negative:
    """The negative of an expression: −inside."""

    inside: Node


@dataclass(frozen=True)
class Call:
    """A function of an expression, log(inside); I(inside) equals inside."""

    function: str
    inside: Node


@dataclass(frozen=True)
class Coded:
    """A column treated as categorical, C(column), with its reference or its levels if they are given."""

    column: str
    reference: Value | None = None
    levels: tuple[Value, ...] | None = None


Node = Name | Number | Binary | Negative | Call | Coded

# Precedence of the operators; a unary minus is between * and **.
_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2, "**": 4}
_UNARY = 3


@lru_cache(maxsize=4096)
def tree_of(text: str) -> Node:
    """Parse an expression; a single name may contain blanks and is that column.

    Raises
    ------
    FormulaError
        if it is not arithmetic of columns

    Examples
    --------
    >>> tree_of("log(area)")
    Call(function='log', inside=Name(name='area'))
    >>> tree_of("living space")
    Name(name='living space')
    """
    return Name(text) if is_loose(text) else _Reader(words_of(text), text).whole()


def tree_of_words(words: tuple[Word, ...], text: str) -> Node:
    """Parse the expression of some words of a formula.

    Raises
    ------
    FormulaError
        if the words are not arithmetic of columns
    """
    return _Reader(words, text).whole()


# -- text → tree ------------------------------------------------------------------------------------------


class _Reader:
    """A recursive-descent parser of an expression's words; rejects everything that is not arithmetic of columns."""

    def __init__(self, words: tuple[Word, ...], text: str) -> None:
        self.words = words
        self.text = text
        self.at = 0
        self.part = text[words[0].start : words[-1].end] if words else text

    def whole(self) -> Node:
        if not self.words:
            raise self.syntax_error()
        if self.words[0].kind == "name" and self.words[0].text == "C" and self.peek(1).is_sign("("):
            tree = self.coded()
        else:
            if len(self.words) > MAX_WORDS:
                raise FormulaError(
                    f"{brief(self.part)} in the formula has more than {MAX_WORDS} names, numbers and operators; "
                    f"compute it as a column first"
                )
            tree = self.sums(0)
        if self.at < len(self.words):
            raise self.syntax_error()
        return tree

    def peek(self, ahead: int = 0) -> Word:
        return self.words[self.at + ahead] if self.at + ahead < len(self.words) else END

    def take(self) -> Word:
        word = self.peek()
        self.at += 1
        return word

    def expect(self, sign: str) -> None:
        if not self.take().is_sign(sign):
            raise self.syntax_error()

    def syntax_error(self) -> FormulaError:
        for word, after in pairwise(self.words):
            if word.kind in ("name", "number") and after.kind in ("name", "number"):
                both = self.text[word.start : after.end]
                return FormulaError(
                    f"{brief(self.part)} in the formula cannot be read: an operator is missing in {both!r}; put "
                    f"names with spaces in backticks"
                )
        if any(word.is_sign("^") for word in self.words):
            return FormulaError(f"{brief(self.part)} in the formula: write a power with '**', as in x ** 2")
        stray = next((w.text[0] for w in self.words if w.kind == "text" or w.is_sign("[", "]", "=")), None)
        if stray:
            return FormulaError(
                f"formula {brief(self.text)}: unexpected {stray!r}; put unusual column names in backticks"
            )
        return FormulaError(f"{brief(self.part)} in the formula cannot be read as arithmetic of columns")

    def sums(self, least: int) -> Node:
        """Parse operators of a precedence above `least`, left-associative except **."""
        left = self.unary()
        while (sign := self.peek()).kind == "sign" and _STRENGTH.get(sign.text, -1) > least:
            self.take()
            strength = _STRENGTH[sign.text]
            left = Binary(sign.text, left, self.sums(strength - (sign.text == "**")))
        return left

    def unary(self) -> Node:
        if self.peek().is_sign("-"):
            self.take()
            return Negative(self.sums(_UNARY))
        return self.atom()

    def atom(self) -> Node:
        word = self.take()
        if word.is_sign("("):
            inside = self.sums(0)
            self.expect(")")
            return inside
        if word.kind == "number":
            return Number(self.number(word.text))
        if word.kind != "name":
            raise self.syntax_error()
        if self.peek().is_sign("(") and self.text[word.start] != "`":
            return self.call(word.text)
        return Name(word.text)

    def number(self, text: str) -> int | float:
        digits = text.replace("_", "")
        if digits.isdigit() and len(digits) <= 300:
            return int(digits)
        value = float(digits)
        if not math.isfinite(value):
            raise FormulaError(f"{brief(self.part)} in the formula: the number {brief(text)} is too large")
        return value

    def call(self, function: str) -> Node:
        if function == "C":
            raise FormulaError(f"{brief(self.part)}: C() must be a whole term and contain one column")
        if function not in FUNCTIONS:
            name = function.rpartition(".")[2]
            advice = _FUNCTION_ADVICE.get(name) or suggestion(function, FUNCTIONS)
            if name in FUNCTIONS:
                advice = f"write {brief(self.part.replace(f'{function}(', f'{name}('))}"
            raise FormulaError(f"unknown function {function!r} in {brief(self.part)}: {advice}")
        self.expect("(")
        one_argument = FormulaError(f"{brief(self.part)}: {function}() takes one argument")
        if self.peek().is_sign(")"):
            raise one_argument
        inside = self.sums(0)
        if self.peek().is_sign(",", "="):
            raise one_argument
        self.expect(")")
        return Call(function, inside)

    # C(column), C(column, Treatment("level")), C(column, levels=["level", "level"])

    def coded(self) -> Node:
        self.take(), self.take()
        wrong = FormulaError(
            f'{brief(self.part)}: C() takes one column, and optionally Treatment("…") with the reference level or '
            f'levels=["…", "…"] with all levels in order'
        )
        column = self.take()
        if column.kind != "name":
            raise wrong
        reference: Value | None = None
        levels: tuple[Value, ...] | None = None
        while self.peek().is_sign(","):
            self.take()
            option = self.take()
            if option.kind != "name":
                raise wrong
            if option.text in _TREATMENTS and self.peek().is_sign("(") and reference is None:
                self.take()
                if self.peek().text in ("reference", "base") and self.peek(1).is_sign("="):
                    self.take(), self.take()
                reference = self.value(wrong)
                closed = self.take().is_sign(")")
            elif (
                option.text == "levels"
                and self.peek().is_sign("=")
                and self.peek(1).is_sign("[")
                and levels is None
            ):
                self.take(), self.take()
                values: list[Value] = []
                while not (closed := self.peek().is_sign("]")):
                    values.append(self.value(wrong))
                    if self.peek().is_sign(","):
                        self.take()
                    elif not self.peek().is_sign("]"):
                        raise wrong
                self.take()
                levels = tuple(values)
            else:
                closed = False
            if not closed:
                raise wrong
        if not self.take().is_sign(")"):
            raise wrong
        return Coded(column.text, reference, levels)

    def value(self, wrong: FormulaError) -> Value:
        word = self.take()
        if word.kind == "text":
            try:
                return str(ast.literal_eval(word.text))
            except (ValueError, SyntaxError):
                raise wrong from None
        if word.kind == "name" and word.text in ("True", "False"):
            return word.text == "True"
        sign = 1
        if word.is_sign("-"):
            sign, word = -1, self.take()
        if word.kind != "number":
            raise wrong
        return sign * self.number(word.text)


# -- tree → text, values ------------------------------------------------------------------------------------


def text_of(tree: Node) -> str:
    """Return the text of an expression in its normal form.

    Examples
    --------
    >>> text_of(tree_of("log( area/2 )"))
    'log(area / 2)'
    """
    return alone(tree.name) if isinstance(tree, Name) else inner_text(tree)


def inner_text(tree: Node) -> str:
    """Return the text of an expression inside a larger one, where a name of several words needs backticks."""
    if isinstance(tree, Name):
        return written(tree.name)
    if isinstance(tree, Number):
        return repr(tree.value)
    if isinstance(tree, Call):
        return f"{tree.function}({inner_text(tree.inside)})"
    if isinstance(tree, Negative):
        return f"-{_within(tree.inside, _UNARY)}"
    if isinstance(tree, Coded):
        options = [] if tree.reference is None else [f"Treatment({_literal(tree.reference)})"]
        options += [] if tree.levels is None else [f"levels=[{', '.join(map(_literal, tree.levels))}]"]
        return f"C({', '.join([written(tree.column), *options])})"
    strength = _STRENGTH[tree.sign]
    right_first = tree.sign == "**"
    left = _within(tree.left, strength + right_first)
    return f"{left} {tree.sign} {_within(tree.right, strength + (not right_first))}"


def _within(tree: Node, strength: int) -> str:
    """Return the text of an operand, in brackets if its precedence is below `strength`."""
    own = _STRENGTH[tree.sign] if isinstance(tree, Binary) else _UNARY if isinstance(tree, Negative) else 5
    return inner_text(tree) if own >= strength else f"({inner_text(tree)})"


def _literal(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def nodes_of(tree: Node) -> Iterator[Node]:
    """Yield all nodes of a tree in preorder, from left to right."""
    yield tree
    if isinstance(tree, Binary):
        yield from nodes_of(tree.left)
        yield from nodes_of(tree.right)
    elif isinstance(tree, Negative | Call):
        yield from nodes_of(tree.inside)


def nested_of(tree: Node) -> list[Any]:
    """Return a checked expression as nested lists for JSON."""
    if isinstance(tree, Name):
        return ["column", tree.name]
    if isinstance(tree, Coded):
        return ["column", tree.column]
    if isinstance(tree, Binary):
        return [tree.sign, nested_of(tree.left), nested_of(tree.right)]
    if isinstance(tree, Negative):
        return ["-", ["number", 0.0], nested_of(tree.inside)]
    if isinstance(tree, Call):
        inside = nested_of(tree.inside)
        return inside if tree.function == "I" else [tree.function, inside]
    return ["number", float(tree.value)]

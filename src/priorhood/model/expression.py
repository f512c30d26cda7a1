"""One factor of a formula as text, `log(price)` or `I(area ** 2)`, and its value as a narwhals expression."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from priorhood.errors import FormulaError
from priorhood.model.arithmetic import (
    Binary,
    Call,
    Coded,
    Name,
    Negative,
    Node,
    Number,
    Value,
    columns_of,
    functions_of,
    inner_text,
    nested_of,
    text_of,
    tree_of,
    tree_of_words,
)
from priorhood.model.tokens import INTERCEPT, Word, brief

if TYPE_CHECKING:
    from collections.abc import Callable

    import narwhals.stable.v2 as nw

# Whole numbers up to here are the same as floating-point numbers.
_WHOLE = 2**53


@dataclass(frozen=True)
class Guard:
    """A condition that a row must meet for an expression to have a value: what > 0, what ≥ 0.

    text : what is wrong with a row that does not; finite : the same of a finite value, where that is another matter
    """

    text: str
    holds: nw.Expr
    value: nw.Expr
    advice: str = "fix these rows or filter them out (where)"
    finite: str = ""


@dataclass(frozen=True)
class Expression:
    """One factor of a formula as text, e.g. `area`, `log(area)`, `I(area ** 2)`, `C(rooms)`."""

    text: str

    @property
    def tree(self) -> Node:
        """The text as a tree."""
        return tree_of(self.text)

    @property
    def categorical(self) -> bool:
        """Whether the formula itself says so: C(column)."""
        return isinstance(self.tree, Coded)

    @property
    def reference(self) -> Value | None:
        """The reference level that C(column, Treatment("house")) asks for."""
        return self.tree.reference if isinstance(self.tree, Coded) else None

    @property
    def levels(self) -> tuple[Value, ...] | None:
        """The levels, in order, that C(column, levels=["house", "flat"]) asks for."""
        return self.tree.levels if isinstance(self.tree, Coded) else None

    @property
    def bare(self) -> str | None:
        """The column's name where the expression is nothing but a column, or C(column)."""
        if isinstance(self.tree, Coded):
            return self.tree.column
        return self.tree.name if isinstance(self.tree, Name) else None

    @property
    def logged(self) -> str | None:
        """What stands inside where the whole is log(…)."""
        inside = self._inside_log()
        return None if inside is None else text_of(inside)

    @property
    def logged_column(self) -> str | None:
        """The column's name where the whole is log(column)."""
        inside = self._inside_log()
        return inside.name if isinstance(inside, Name) else None

    def _inside_log(self) -> Node | None:
        return self.tree.inside if isinstance(self.tree, Call) and self.tree.function == "log" else None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the expression reads, in order."""
        return tuple(dict.fromkeys(columns_of(self.tree)))

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions that it calls."""
        return tuple(dict.fromkeys(functions_of(self.tree)))

    @property
    def shown(self) -> str:
        """For a title: a column's own name, else the text."""
        return self.tree.name if isinstance(self.tree, Name) else self.text

    @property
    def inner(self) -> str:
        """The text within a larger expression, as in log(…)."""
        return inner_text(self.tree)

    def check(self) -> Expression:
        """Itself, if it is arithmetic of columns."""
        if not isinstance(self.tree, Coded):
            self.build()
            if not self.names:
                raise FormulaError(f"{brief(self.text)} in the formula names no column")
        return self

    def build(self) -> nw.Expr:
        """The value as a narwhals expression; null where a guard does not hold."""
        built: nw.Expr = _Builder(self.text, []).visit(self.tree)
        return built

    def guards(self) -> list[Guard]:
        """The conditions of its logarithms and roots."""
        found: list[Guard] = []
        _Builder(self.text, found).visit(self.tree)
        return found

    def nested(self) -> list[Any]:
        """The arithmetic as lists that JSON can hold: ["log", ["column", "area"]], ["**", …, ["number", 2.0]]."""
        self.check()
        return nested_of(self.tree)


def expression_of(words: tuple[Word, ...], text: str) -> Expression:
    """The expression that some words of a formula are, in the one form in which it is written.

    Raises
    ------
    FormulaError : they are no arithmetic of columns
    """
    return Expression(text_of(tree_of_words(words, text)))


def column_of(label: str) -> str | None:
    """The column that a term's label is about where the term is nothing but a column; else None."""
    try:
        tree = Expression(label).tree
    except FormulaError:
        return None
    return tree.name if isinstance(tree, Name) and label != INTERCEPT else None


def tidy_label(label: str) -> str:
    """A term's label in the one form in which it is written: `log( area ):type[loft]` → `log(area):type[loft]`."""
    label = label.strip()
    if label == INTERCEPT:
        return label
    # A category may hold any letter, and stays as it is.
    parts = re.findall(r"((?:`[^`]*`|[^`:\[])+)(\[.*?\](?=:|$))?(:|$)", label, re.DOTALL)
    if "".join(part + category + mark for part, category, mark in parts) != label:
        return label
    return "".join(_tidy_factor(part) + category + mark for part, category, mark in parts)


def _tidy_factor(text: str) -> str:
    try:
        tree = tree_of(text.strip())
    except FormulaError:
        return text
    # Arithmetic is no factor but within I(…): it is a name that lacks its backticks, Objekt-Typ.
    return text if isinstance(tree, Binary | Negative) else text_of(tree)


_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
}
_OF_CONSTANTS: dict[str, Callable[[float], float]] = {
    "log": math.log, "log2": math.log2, "log10": math.log10, "log1p": math.log1p,
    "sqrt": math.sqrt, "exp": math.exp,
}  # fmt: skip


class _Builder:
    """One walk over the tree. Constants are floating-point numbers, which no power makes long."""

    def __init__(self, text: str, guards: list[Guard]) -> None:
        self.text = text
        self.guards = guards

    def visit(self, tree: Node) -> Any:
        import narwhals.stable.v2 as nw

        if isinstance(tree, Name):
            return nw.col(tree.name).cast(nw.Float64)
        if isinstance(tree, Number):
            return tree.value if abs(tree.value) <= _WHOLE else float(tree.value)
        if isinstance(tree, Binary):
            left, right = self.visit(tree.left), self.visit(tree.right)
            if _constant(left) and _constant(right):
                return self._finite(tree, lambda: _of_numbers(tree.sign, left, right))
            return _OPERATORS[tree.sign](left, right)
        if isinstance(tree, Negative):
            return 0.0 - self.visit(tree.inside)
        if isinstance(tree, Call):
            return self._call(tree)
        raise FormulaError(f"{self.text!r} in the formula: only columns, numbers, + - * / ** and functions")

    def _finite(self, tree: Node, value: Callable[[], float]) -> float:
        try:
            found = value()
        except (OverflowError, ZeroDivisionError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise FormulaError(f"{brief(self.text)} in the formula: {brief(inner_text(tree))} is no finite number")
        return found

    def _call(self, tree: Call) -> Any:
        name, inside = tree.function, self.visit(tree.inside)
        if name == "I":
            return inside
        if _constant(inside):
            return self._finite(tree, lambda: _OF_CONSTANTS[name](float(inside)))
        text = text_of(tree.inside)
        if name == "exp":
            return inside.exp()
        if name == "sqrt":
            return self._guard(f"{text} < 0", inside >= 0, inside).sqrt()
        if name == "log1p":
            return self._guard(f"{text} <= -1", inside > -1, inside + 1, inside).log()
        base = {"log": None, "log2": 2.0, "log10": 10.0}[name]
        value = self._guard(f"{text} <= 0", inside > 0, inside)
        return value.log() if base is None else value.log(base)

    def _guard(self, text: str, holds: Any, value: Any, shown: Any = None) -> Any:
        import narwhals.stable.v2 as nw

        self.guards.append(Guard(text, holds, value if shown is None else shown))
        return nw.when(holds).then(value)


def _constant(value: object) -> bool:
    return isinstance(value, int | float)


def _of_numbers(sign: str, left: float, right: float) -> float:
    # math.pow has no complex values, and ends where floating-point numbers do.
    return math.pow(left, right) if sign == "**" else float(_OPERATORS[sign](float(left), float(right)))

"""A factor of a formula as text, `log(price)` or `I(area ** 2)`, and its value as a narwhals expression."""

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
    inner_text,
    nested_of,
    nodes_of,
    text_of,
    tree_of,
    tree_of_words,
)
from priorhood.model.tokens import INTERCEPT, Word, brief

if TYPE_CHECKING:
    from collections.abc import Callable

    import narwhals.stable.v2 as nw

# Whole numbers up to here are floating-point numbers too; greater ones are made such, which no power makes long.
_WHOLE = 2**53


@dataclass(frozen=True)
class Guard:
    """A condition that a row must meet for an expression to have a value, such as x > 0.

    text : the fault of a row that does not meet it; finite : that of a finite value, where it is another one
    """

    text: str
    holds: nw.Expr
    value: nw.Expr
    advice: str = "fix these rows or filter them out (where)"
    finite: str = ""


@dataclass(frozen=True)
class Expression:
    """A factor of a formula as text, such as `area`, `log(area)`, `I(area ** 2)`, `C(rooms)`.

    Examples
    --------
    >>> Expression("log(area / rooms)").names
    ('area', 'rooms')
    """

    text: str

    @property
    def tree(self) -> Node:
        """The text as a tree."""
        return tree_of(self.text)

    @property
    def categorical(self) -> bool:
        """Whether the formula makes it categorical: C(column)."""
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
        """The column's name where the expression is nothing but a column or C(column), else None."""
        if isinstance(self.tree, Coded):
            return self.tree.column
        return self.tree.name if isinstance(self.tree, Name) else None

    @property
    def logged(self) -> str | None:
        """The text inside where the whole is log(…), else None."""
        tree = self.tree
        return text_of(tree.inside) if isinstance(tree, Call) and tree.function == "log" else None

    @property
    def logged_column(self) -> str | None:
        """The column's name where the whole is log(column), else None."""
        return None if self.logged is None else Expression(self.logged).bare

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the expression reads, in order."""
        read = (node for node in nodes_of(self.tree) if isinstance(node, Name | Coded))
        return tuple(dict.fromkeys(node.name if isinstance(node, Name) else node.column for node in read))

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions that it calls."""
        return tuple(dict.fromkeys(node.function for node in nodes_of(self.tree) if isinstance(node, Call)))

    def check(self) -> Expression:
        """Return itself, if it is arithmetic of columns.

        Raises
        ------
        FormulaError : it is not, or names no column
        """
        if not isinstance(self.tree, Coded):
            self.build()
            if not self.names:
                raise FormulaError(f"{brief(self.text)} in the formula names no column")
        return self

    def build(self) -> nw.Expr:
        """Return the value as a narwhals expression; null where a guard does not hold."""
        built: nw.Expr = _value(self.tree, self.text, [])
        return built

    def guards(self) -> list[Guard]:
        """Return the conditions of its logarithms and roots."""
        found: list[Guard] = []
        _value(self.tree, self.text, found)
        return found

    def nested(self) -> list[Any]:
        """Return the arithmetic as lists that JSON can hold.

        Examples
        --------
        >>> Expression("I(area ** 2)").nested()
        ['**', ['column', 'area'], ['number', 2.0]]
        """
        self.check()
        return nested_of(self.tree)


def expression_of(words: tuple[Word, ...], text: str) -> Expression:
    """Return the expression of some words of a formula, in its one form.

    Raises
    ------
    FormulaError : they are no arithmetic of columns
    """
    return Expression(text_of(tree_of_words(words, text)))


def column_of(label: str) -> str | None:
    """Return the column that a term's label names where the term is nothing but a column; else None.

    Examples
    --------
    >>> column_of("area"), column_of("log(area)")
    ('area', None)
    """
    try:
        tree = Expression(label).tree
    except FormulaError:
        return None
    return tree.name if isinstance(tree, Name) and label != INTERCEPT else None


def tidy_label(label: str) -> str:
    """Return a term's label in its one form.

    Examples
    --------
    >>> tidy_label("log( area ):type[loft]")
    'log(area):type[loft]'
    """
    label = label.strip()
    if label == INTERCEPT:
        return label
    # A category may hold any letter, and stays as it is.
    parts = re.findall(r"((?:`[^`]*`|[^`:\[])+)(\[.*?\](?=:|$))?(:|$)", label, re.DOTALL)
    if "".join(part + category + mark for part, category, mark in parts) != label:
        return label
    return "".join(_tidy_factor(part) + category + mark for part, category, mark in parts)


def _tidy_factor(text: str) -> str:
    """A factor's text in its one form; unchanged where it is no factor."""
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


def _value(tree: Node, text: str, guards: list[Guard]) -> Any:
    """The value of a tree, a number where it reads no column; conditions of its functions go into guards."""
    import narwhals.stable.v2 as nw

    if isinstance(tree, Name):
        return nw.col(tree.name).cast(nw.Float64)
    if isinstance(tree, Number):
        return tree.value if abs(tree.value) <= _WHOLE else float(tree.value)
    if isinstance(tree, Negative):
        return 0.0 - _value(tree.inside, text, guards)
    if isinstance(tree, Binary):
        left, right = _value(tree.left, text, guards), _value(tree.right, text, guards)
        if isinstance(left, int | float) and isinstance(right, int | float):
            # math.pow has no complex values, and ends where floating-point numbers do.
            operator = math.pow if tree.sign == "**" else _OPERATORS[tree.sign]
            return _finite(operator, (float(left), float(right)), tree, text)
        return _OPERATORS[tree.sign](left, right)
    if not isinstance(tree, Call):
        raise FormulaError(f"{text!r} in the formula: only columns, numbers, + - * / ** and functions")
    name, inside = tree.function, _value(tree.inside, text, guards)
    if name == "I":
        return inside
    if isinstance(inside, int | float):
        return _finite(_OF_CONSTANTS[name], (float(inside),), tree, text)
    if name == "exp":
        return inside.exp()
    least = -1 if name == "log1p" else 0
    holds, fault = (inside >= 0, "<") if name == "sqrt" else (inside > least, "<=")
    guards.append(Guard(f"{text_of(tree.inside)} {fault} {least}", holds, inside))
    value = nw.when(holds).then(inside + 1 if name == "log1p" else inside)
    if name == "sqrt":
        return value.sqrt()
    return value.log({"log2": 2.0, "log10": 10.0}[name]) if name in ("log2", "log10") else value.log()


def _finite(function: Callable[..., float], values: tuple[float, ...], tree: Node, text: str) -> float:
    """The value of a function of constants."""
    try:
        found = function(*values)
    except (OverflowError, ZeroDivisionError, ValueError):
        found = math.nan
    if not math.isfinite(found):
        raise FormulaError(f"{brief(text)} in the formula: {brief(inner_text(tree))} is no finite number")
    return found

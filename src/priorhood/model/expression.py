"""A factor of a formula as text, `log(price)` or `I(area ** 2)`, and its value as a narwhals expression."""

from __future__ import annotations

import math
import re
from contextlib import suppress
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

# Integers up to here are exact as floats; larger ones become floats, so that powers of them do not grow long.
_WHOLE = 2**53


@dataclass(frozen=True)
class Guard:
    """A condition that a row must satisfy for an expression to have a value, such as x > 0.

    Attributes
    ----------
    text : str
        message for a row that violates the condition
    holds : narwhals.Expr
        the condition
    value : narwhals.Expr
        the value to show in the message
    advice : str
        what to do about such rows, if not to fix or leave out any
    finite : str
        message for finite values, if different
    """

    text: str
    holds: nw.Expr
    value: nw.Expr
    advice: str = ""
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
        """True if the formula makes the column categorical: C(column)."""
        return isinstance(self.tree, Coded)

    @property
    def reference(self) -> Value | None:
        """Reference level set by C(column, Treatment("house"))."""
        return self.tree.reference if isinstance(self.tree, Coded) else None

    @property
    def levels(self) -> tuple[Value, ...] | None:
        """Levels, in order, set by C(column, levels=["house", "flat"])."""
        return self.tree.levels if isinstance(self.tree, Coded) else None

    @property
    def bare(self) -> str | None:
        """Name of the column if the expression is only a column or C(column), else None."""
        if isinstance(self.tree, Coded):
            return self.tree.column
        return self.tree.name if isinstance(self.tree, Name) else None

    @property
    def logged(self) -> str | None:
        """Text of the argument if the whole expression is log(…), else None."""
        tree = self.tree
        return text_of(tree.inside) if isinstance(tree, Call) and tree.function == "log" else None

    @property
    def logged_column(self) -> str | None:
        """Name of the column if the whole expression is log(column), else None."""
        return None if self.logged is None else Expression(self.logged).bare

    @property
    def names(self) -> tuple[str, ...]:
        """Columns that the expression uses, in order."""
        read = (node for node in nodes_of(self.tree) if isinstance(node, Name | Coded))
        return tuple(dict.fromkeys(node.name if isinstance(node, Name) else node.column for node in read))

    @property
    def functions(self) -> tuple[str, ...]:
        """Functions that the expression calls."""
        return tuple(dict.fromkeys(node.function for node in nodes_of(self.tree) if isinstance(node, Call)))

    def check(self) -> Expression:
        """Return the expression itself if it is valid arithmetic of columns.

        Raises
        ------
        FormulaError
            if it is not, or does not name a column
        """
        if not isinstance(self.tree, Coded):
            self.build()
            if not self.names:
                raise FormulaError(f"{brief(self.text)} in the formula does not name a column")
        return self

    def build(self) -> nw.Expr:
        """Return the value as a narwhals expression; null if a guard does not hold."""
        built: nw.Expr = _value(self.tree, self.text, [])
        return built

    def guards(self) -> list[Guard]:
        """Return the conditions of the expression's logarithms and roots."""
        guards: list[Guard] = []
        _value(self.tree, self.text, guards)
        return guards

    def nested(self) -> list[Any]:
        """Return the expression as nested lists for JSON.

        Examples
        --------
        >>> Expression("I(area ** 2)").nested()
        ['**', ['column', 'area'], ['number', 2.0]]
        """
        self.check()
        return nested_of(self.tree)


def expression_of(words: tuple[Word, ...], text: str) -> Expression:
    """Return the expression of some words of a formula, in its normal form.

    Raises
    ------
    FormulaError
        if the words are not arithmetic of columns
    """
    return Expression(text_of(tree_of_words(words, text)))


def column_of(label: str) -> str | None:
    """Return the column's name if a term's label is only a column, else None.

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
    """Return a term's label in its normal form.

    Examples
    --------
    >>> tidy_label("log( area ):type[loft]")
    'log(area):type[loft]'
    """
    label = label.strip()
    if label == INTERCEPT:
        return label
    # A category may contain any character and is not changed.
    parts = re.findall(r"((?:`[^`]*`|[^`:\[])+)(\[.*?\](?=:|$))?(:|$)", label, re.DOTALL)
    if "".join(part + category + mark for part, category, mark in parts) != label:
        return label
    tidied = ""
    for factor, category, mark in parts:
        tidied_factor = factor  # unless it can be read as a factor
        with suppress(FormulaError):
            tree = tree_of(factor.strip())
            # Arithmetic outside I(…) is not a factor but a name without its backticks, like Objekt-Typ.
            tidied_factor = factor if isinstance(tree, Binary | Negative) else text_of(tree)
        tidied += tidied_factor + category + mark
    return tidied


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
    """Return the value of a tree, a number if it uses no column; add the conditions of its functions to guards."""
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
            # math.pow never returns complex values, and raises where floats overflow.
            operator = math.pow if tree.sign == "**" else _OPERATORS[tree.sign]
            return _finite(operator, (float(left), float(right)), tree, text)
        return _OPERATORS[tree.sign](left, right)
    if not isinstance(tree, Call):
        raise FormulaError(f"{text!r} in the formula: only columns, numbers, + - * / ** and functions are allowed")
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
    """Return the value of a function of constants."""
    try:
        result = function(*values)
    except (OverflowError, ZeroDivisionError, ValueError):
        result = math.nan
    if not math.isfinite(result):
        raise FormulaError(f"{brief(text)} in the formula: {brief(inner_text(tree))} is not a finite number")
    return result

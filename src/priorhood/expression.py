"""Arithmetic of columns, `log(price)` or `I(area ** 2)`: Python's own syntax → narwhals expressions."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from priorhood.errors import FormulaError, near

if TYPE_CHECKING:
    from collections.abc import Callable

    import narwhals.stable.v2 as nw

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}

_FUNCTIONS = ("log", "log2", "log10", "log1p", "sqrt", "exp", "I")

_BACKTICKED = re.compile(r"`([^`]*)`")


@dataclass(frozen=True)
class Guard:
    """A condition that a row must meet for an expression to have a value: what > 0, what ≥ 0.

    text : what is wrong with a row that does not; finite : the same of a finite value, where that is another matter
    """

    text: str
    holds: nw.Expr
    value: nw.Expr
    advice: str = "mend these rows or filter them out (where)"
    finite: str = ""


@dataclass(frozen=True)
class Expression:
    """One factor of a formula as text, e.g. `area`, `log(area)`, `I(area ** 2)`, `C(rooms)`."""

    text: str

    @cached_property
    def _parsed(self) -> tuple[ast.expr, dict[str, str]]:
        quoted: dict[str, str] = {}

        def hide(match: re.Match[str]) -> str:
            name = f"_column_{len(quoted)}"
            quoted[name] = match[1]
            return name

        if not self.text.isidentifier() and re.fullmatch(r"[^`()+*/-]*", self.text):
            return ast.Name("_column_0"), {"_column_0": self.text}
        try:
            tree = ast.parse(_BACKTICKED.sub(hide, self.text.strip()), mode="eval").body
        except SyntaxError:
            raise FormulaError(f"{self.text!r} in the formula cannot be read as arithmetic of columns") from None
        return tree, quoted

    @property
    def categorical(self) -> bool:
        """Whether the formula itself says so: C(column)."""
        tree, _ = self._parsed
        return isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "C"

    @property
    def bare(self) -> str | None:
        """The column's name where the expression is nothing but a column, or C(column)."""
        tree, quoted = self._parsed
        if self.categorical and isinstance(tree, ast.Call):
            if len(tree.args) != 1 or not isinstance(tree.args[0], ast.Name):
                raise FormulaError(f"{self.text}: C() takes one column")
            tree = tree.args[0]
        return quoted.get(tree.id, tree.id) if isinstance(tree, ast.Name) else None

    @property
    def logged(self) -> str | None:
        """What stands inside where the whole is log(…)."""
        tree, _ = self._parsed
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name) and tree.func.id == "log":
            return self.text.strip()[4:-1].strip()
        return None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns that the expression reads, in order."""
        tree, quoted = self._parsed
        called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        found = [n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called]
        return tuple(dict.fromkeys(quoted.get(name, name) for name in found))

    def check(self) -> Expression:
        """Itself, if it is arithmetic of columns."""
        self.build()
        return self

    def build(self) -> nw.Expr:
        """The value as a narwhals expression; null where a guard does not hold."""
        built: nw.Expr = self._build([])
        return built

    def guards(self) -> list[Guard]:
        """The conditions of its logarithms and roots."""
        found: list[Guard] = []
        self._build(found)
        return found

    def nested(self) -> list[Any]:
        """The arithmetic as lists that JSON can hold: ["log", ["column", "area"]], ["**", …, ["number", 2.0]]."""
        tree, quoted = self._parsed
        self.check()
        return _nested(tree, quoted)

    def _build(self, guards: list[Guard]) -> Any:
        tree, quoted = self._parsed
        return _Builder(self.text, quoted, guards).visit(tree)


_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Pow: "**",
}


def _nested(node: ast.expr, quoted: dict[str, str]) -> list[Any]:
    """Of an expression that has been checked."""
    if isinstance(node, ast.Name):
        return ["column", quoted.get(node.id, node.id)]
    if isinstance(node, ast.BinOp):
        return [_SIGNS[type(node.op)], _nested(node.left, quoted), _nested(node.right, quoted)]
    if isinstance(node, ast.UnaryOp):
        return ["-", ["number", 0.0], _nested(node.operand, quoted)]
    if isinstance(node, ast.Call):
        inside, name = _nested(node.args[0], quoted), node.func.id  # type: ignore[attr-defined]
        return inside if name == "I" else [name, inside]
    return ["number", float(node.value)]  # type: ignore[attr-defined]


class _Builder:
    """One walk over the syntax tree; refuses whatever is not arithmetic of columns."""

    def __init__(self, text: str, quoted: dict[str, str], guards: list[Guard]) -> None:
        self.text = text
        self.quoted = quoted
        self.guards = guards

    def visit(self, node: ast.expr) -> Any:
        import narwhals.stable.v2 as nw

        if isinstance(node, ast.Name):
            return nw.col(self.quoted.get(node.id, node.id)).cast(nw.Float64)
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
            return node.value
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            return _OPERATORS[type(node.op)](self.visit(node.left), self.visit(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return 0.0 - self.visit(node.operand)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return self._call(node.func.id, node)
        raise FormulaError(f"{self.text!r} in the formula: only columns, numbers, + - * / ** and functions")

    def _call(self, name: str, node: ast.Call) -> Any:
        if name not in _FUNCTIONS:
            raise FormulaError(f"function {name!r} in {self.text!r} is not known: {near(name, _FUNCTIONS)}")
        if len(node.args) != 1 or node.keywords:
            raise FormulaError(f"{self.text!r}: {name}() takes one argument")
        inside = self.visit(node.args[0])
        text = ast.unparse(node.args[0])
        for hidden, column in self.quoted.items():
            text = text.replace(hidden, column)
        if name == "I":
            return inside
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

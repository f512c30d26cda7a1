"""Signatures and parameter descriptions of Python functions, read from their source without importing it.

A command's options have the defaults, types and descriptions of the function that it calls. The help reads them
from the source, since an import would load NumPy, Numba and DuckDB first.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
KINDS = {"int": int, "float": float, "bool": bool, "str": str, "tuple[float, float]": tuple[float, float]}
# A numpydoc entry starts with a type; other text after the colon is the description itself.
TYPED = re.compile(r"(an? )?(int|float|str|bool|list|tuple|dict|path|object|sequence|mapping|iterable|\{)\b", re.I)

LONG = 120  # a longer description is cut at its first semicolon


@dataclass(frozen=True)
class Parameter:
    """A parameter of a Python function.

    Attributes
    ----------
    name : str
        Its name.
    kind : type
        Type of one value.
    several : bool
        Whether it takes a sequence of values.
    required : bool
        Whether it has no default.
    default : object
        Its default.
    help : str
        First clause of its description.
    """

    name: str
    kind: Any = str
    several: bool = False
    required: bool = False
    default: Any = None
    help: str = ""


@cache
def parameters_of(name: str) -> tuple[Parameter, ...]:
    """Return the parameters of a public name ("fit", "Model", "Posterior.predict", "plot.lines") in their order.

    A catch-all comes last, named "**places"; *posts is left out.
    """
    plot, parts = name.startswith("plot."), name.removeprefix("plot.").split(".")
    module = _imported("priorhood.plot" if plot else "priorhood", parts[0])
    body, docs = _tree(module).body, ""
    for part in parts:
        found: Any = next(node for node in body if getattr(node, "name", None) == part)
        body, docs = found.body, docs + (ast.get_docstring(found) or "") + "\n"
    if isinstance(found, ast.ClassDef):
        found = next(node for node in body if getattr(node, "name", None) == "__init__")
    arguments, texts = found.args, descriptions(docs)
    required = [None] * (len(arguments.args) - len(arguments.defaults))
    defaults = [*required, *arguments.defaults, *arguments.kw_defaults]
    parameters = []
    for one, default in zip([*arguments.args, *arguments.kwonlyargs], defaults, strict=True):
        if one.arg == "self":
            continue
        annotation = ast.unparse(one.annotation)
        inner = re.search(r"(?:Sequence|Iterable)\[(.*?)\]", annotation)
        kinds = [inner[1]] if inner else annotation.split(" | ")
        kind = str if "str" in kinds else KINDS.get(kinds[0], str)
        parameters.append(
            Parameter(
                one.arg, kind, inner is not None, default is None, _value(default, module), texts.get(one.arg, "")
            )
        )
    if arguments.kwarg:
        parameters.append(Parameter(f"**{arguments.kwarg.arg}"))
    return tuple(parameters)


@cache
def _tree(module: str) -> ast.Module:
    """Return the syntax tree of a module."""
    path = ROOT.joinpath(*module.split("."))
    return ast.parse((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text("utf-8"))


def _imported(module: str, name: str) -> str:
    """Return the module from which another one imports a name."""
    return next(
        str(node.module)
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.ImportFrom) and any((one.asname or one.name) == name for one in node.names)
    )


def _value(node: ast.expr | None, module: str) -> Any:
    """Return the value of a default: a literal, or a constant of its module or of one that it imports."""
    if not isinstance(node, ast.Name):
        return None if node is None else ast.literal_eval(node)
    for line in _tree(module).body:
        if isinstance(line, ast.Assign) and ast.unparse(line.targets[0]) == node.id:
            return ast.literal_eval(line.value)
    return _value(node, _imported(module, node.id))


def descriptions(doc: str) -> dict[str, str]:
    """Return the first clause of every parameter's description in a numpydoc docstring."""
    clauses: dict[str, str] = {}
    for section in re.findall(r"^Parameters\n-+\n(.*?)(?=^\S[^\n]*\n-+\n|\Z)", doc, re.DOTALL | re.MULTILINE):
        for names, text in re.findall(r"^([\w, *]+) : (.*(?:\n(?: .*)?)*)", section, re.MULTILINE):
            first, _, more = text.partition("\n")
            words = " ".join((more if more and TYPED.match(first) else text).replace("`", "").split())
            # A full stop ends the clause if a sentence follows, not in "0.05" or "i.e.".
            clause = re.split(r"\.\s+(?=[A-Z])|\.$", words)[0].replace("if None", "if not given")
            clause = clause.partition("; ")[0] if len(clause) > LONG else clause
            clauses |= dict.fromkeys(names.split(", "), clause[:1].upper() + clause[1:])
    return clauses

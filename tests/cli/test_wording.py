"""Messages name arguments of Python's functions in Python, and options on the command line."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

import priorhood as ph
from priorhood._text import argument, code_or_command, naming_of
from priorhood.cli import app
from priorhood.cli.wording import flags, options

SOURCE = Path(ph.__file__).parent
TOP = typer.main.get_command(app).commands
EVERY = [one for name, one in TOP.items() if name != "plot"] + list(TOP["plot"].commands.values())


def test_every_option_is_known_by_its_argument():
    known = flags()
    unlike = {
        (option.name, flag)
        for command in EVERY
        for option in command.params
        if (flag := max(option.opts, key=len)).startswith("--") and known.get(option.name) != flag
    }
    assert unlike == {
        ("as_json", "--json"), ("everything", "--all"), ("group", "--group"), ("out", "--out"),
        ("standardized", "--standardized"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "value", "python", "command"),
    [
        ("engine", (), "engine=", "--engine"),
        ("engine", ("nuts",), "engine='nuts'", "--engine nuts"),
        ("draws", (400,), "draws=400", "--draws 400"),
        ("table", (...,), "table=…", "--data …"),
        ("at", ({"zip": ...},), "at={'zip': …}", "--at zip=…"),
        ("at", ({"kind": "a b"},), "at={'kind': 'a b'}", "--at 'kind=a b'"),
        ("units", ({"a b": "m", "c": "€"},), "units={'a b': 'm', 'c': '€'}", "--unit 'a b=m' --unit 'c=€'"),
        ("nulls", (["n. a.", "?"],), "nulls=['n. a.', '?']", "--null 'n. a.' --null '?'"),
        ("decimal", (",",), "decimal=','", "--decimal ','"),
        ("thousands", (" ",), "thousands=' '", "--thousands ' '"),
        ("where", ("zip <> 'Total'",), "where=\"zip <> 'Total'\"", "--where \"zip <> 'Total'\""),
        ("where", ("a = '$1'",), "where=\"a = '$1'\"", "--where 'a = '\"'\"'$1'\"'\"''"),
    ],
)
def test_an_argument_is_named_as_it_is_given(name, value, python, command):
    assert argument(name, *value) == python
    with naming_of(options):
        assert argument(name, *value) == command
    assert argument(name, *value) == python


def test_code_or_command():
    assert code_or_command("ph.loo", "priorhood compare --by row") == "ph.loo"
    with naming_of(options):
        assert code_or_command("ph.loo", "priorhood compare --by row") == "priorhood compare --by row"


# Code that is the same everywhere, and what is said in Python alone.
CODE = ("engine='python', dtype=str", "read(path, ", "+units=m", "<")


def written_out(tree: ast.AST) -> list[str]:
    """Texts outside docstrings and code_or_command() that write out an argument or an option."""
    names = "|".join(sorted(flags(), key=len, reverse=True))
    pattern = re.compile(rf"(?<![\w.])(?:{names})=|(?<![\w-])--[a-z]")
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            skipped.add(id(node.value))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "code_or_command":
            skipped |= {id(one) for one in ast.walk(node)}
    texts = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and id(one) not in skipped]
    return [
        one for one in texts if isinstance(one, str) and pattern.search(one) and not any(c in one for c in CODE)
    ]


def test_no_text_of_the_library_writes_an_argument_or_option_out():
    files = [path for path in sorted(SOURCE.rglob("*.py")) if "cli" not in path.parts]
    assert len(files) > 100
    assert {path.name: found for path in files if (found := written_out(ast.parse(path.read_text("utf-8"))))} == {}


@pytest.mark.parametrize("text", ["use draws=400", "use --draws", "x (draws=)", "{name} (engine='nuts')"])
def test_one_that_is_written_out_is_seen(text):
    assert written_out(ast.parse(f'raise ValueError(f"{text}")'))


def test_one_message_in_both_forms(fitted, stock, refused):
    with pytest.raises(ph.ModelError, match=r"at must|^compare|level='zip' selects .* with by='place'$"):
        ph.compare({"a": fitted}, stock / "sales.csv", level="zip")
    refused(
        "compare", stock / "post.nc", "--data", stock / "sales.csv", "--level", "zip",
        says=("--level zip selects the places to leave out: use it with --by place",),
    )  # fmt: skip

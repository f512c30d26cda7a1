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


NAMES = "|".join(sorted(flags(), key=len, reverse=True))
ARGUMENT = rf"(?<![\w.])(?:{NAMES})="
# Code that is the same everywhere, and what is said in Python alone.
CODE = ("engine='python', dtype=str", "read(path, ", "+units=m", "<!")


def written_out(tree: ast.AST) -> list[str]:
    """Texts outside docstrings and code_or_command() that write out an argument or an option."""
    pattern = re.compile(rf"{ARGUMENT}|(?<![\w-])--[a-z]")
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


SPACE = {"living_space": 100}


@pytest.mark.parametrize(
    ("call", "command", "python", "shell"),
    [
        (
            lambda post, rows, out: ph.compare({"a": post}, rows, level="zip"),
            ("compare", "post.nc", "--data", "sales.csv", "--level", "zip"),
            "level='zip' selects the places to leave out: use it with by='place'",
            "--level zip selects the places to leave out: use it with --by place",
        ),
        (
            lambda post, rows, out: ph.report(post, out, column="zip"),
            ("report", "post.nc", "-o", "new.html", "--column", "zip"),
            "column= refers to polygons, but none are passed: add polygons=…",
            "--column refers to polygons, but none are passed: add --polygons …",
        ),
        (
            lambda post, rows, out: ph.report(post, out, at={"area": 1}),
            ("report", "post.nc", "-o", "new.html", "--at", "area=1"),
            "no predictor 'area' (at=)",
            "no predictor 'area' (--at)",
        ),
        (
            lambda post, rows, out: ph.report(post, out, at={"living_space": "large"}),
            ("report", "post.nc", "-o", "new.html", "--at", "living_space=large"),
            "such as at={'living_space': 100.5}, not 'large'",
            "such as --at living_space=100.5, not 'large'",
        ),
        (
            lambda post, rows, out: post.predict(rows.assign(zip="99999")),
            ("predict", "post.nc", "elsewhere.csv", "-o", "new.csv"),
            "unseen='draw' (a zip drawn at random from the population)",
            "--unseen draw (a zip drawn at random from the population)",
        ),
        (
            lambda post, rows, out: ph.plot.price(post, at=SPACE),
            ("plot", "price", "post.nc", "-o", "new.png", "--at", "living_space=100"),
            "such as at={'living_space': 100}",
            "such as --at living_space=100",
        ),
        (
            lambda post, rows, out: ph.plot.price(post, home=rows.head(1), at=SPACE, zip=rows["zip"].iloc[0]),
            ("plot", "price", "post.nc", "-o", "new.png", "--home", "sales.csv", "--at", "living_space=1",
             "--group", "1"),
            "home= already contains the place and the predictors: leave out the place and at=",
            "--home already contains the place and the predictors: leave out --group and --at",
        ),
    ],
)  # fmt: skip
def test_a_message_names_arguments_as_its_reader_gives_them(
    fitted, sales, folder, refused, call, command, python, shell
):
    with pytest.raises(ph.PriorhoodError) as caught:
        call(fitted, sales, folder / "new.html")
    assert python in str(caught.value)
    assert not re.search(r"(?<![\w-])--[a-z]", str(caught.value))
    said = refused(*(folder / one if "." in one else one for one in command), says=(shell,))
    assert not re.search(ARGUMENT, said)

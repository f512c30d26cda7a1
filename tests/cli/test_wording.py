"""What a Python function says about its arguments is said on the command line about options."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import typer

import priorhood as ph
from priorhood.cli import app
from priorhood.cli.wording import as_options, flags

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
        ("row", "--row"), ("standardized", "--standardized"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("drop engine=, or fit a table", "drop --engine, or fit a table"),
        ("with its where=, drop_outliers= and places=", "with its --where, --drop-outliers and --places"),
        ("drop below=, or drop show= to see it", "drop --below, or drop --show to see it"),
        ("set at={'zip': …} (there are 'a')", "set --at zip=… (there are 'a')"),
        ("draws=400, tune=2000", "--draws 400, --tune 2000"),
        ("filter them out (where)", "filter them out (--where)"),
        ("run at least 2, better 4 (chains=4)", "run at least 2, better 4 (--chains 4)"),
        ("engine='nuts' (--engine nuts) can fit it", "--engine nuts can fit it"),
        ("use more draws (draws=, --draws)", "use more draws (--draws)"),
        ("missing (nulls=['n. a.'], --null 'n. a.')", "missing (--null 'n. a.')"),
        ("single ones, var_names=['beta[a, b]', …]", "single ones, --var 'beta[a, b]'"),
        ("by='place' and by='evidence' (--by) do not", "--by place and --by evidence do not"),
        ("unseen='draw' (--unseen draw: a zip like others)", "--unseen draw (a zip like others)"),
        ("Pass home={…} (--home TABLE), or zip='1' (--group 1)", "Pass --home TABLE, or --group 1"),
        ("**{'my zip': '1'} (--group 1)", "--group 1"),
        ("decimal=',' (--decimal ,), or", "--decimal ',', or"),
        ("thousands=' ' (--thousands ' '), or", "--thousands ' ', or"),
        ("(family='student' has nu)", "(--family student has nu)"),
        ("units={'a b': 'm'}", "--unit 'a b=m'"),
        (
            "read it with priorhood.load_moments('x.y'), or pass it to priorhood fit without a table",
            "pass it to priorhood fit without a table",
        ),
        ("works: ph.loo (priorhood compare --by row)", "works: priorhood compare --by row"),
    ],
)
def test_arguments_become_options(said, words):
    assert as_options(said) == words


@pytest.mark.parametrize(
    "text",
    [
        "write it like --at level=3",
        "where 'draws = 3' and 'draws=3' is not valid",
        "no file 'parts/draws=3/x.csv'",
        "no file parts/draws=3/x.csv",
        'C() takes one column, and optionally levels in C(type, levels=["a", "b"])',
        "write it like Exponential(scale=5)",
        "python -c 'import pandas; pandas.read_csv(1, engine=2); draws=3'",
        "frame['a'].str.replace('a', '', where=False) in pandas",
        "living_space=100 and price=300000",
    ],
)
def test_code_and_what_users_wrote_stays(text):
    assert as_options(text) == text


def sentences() -> list[tuple[str, str]]:
    """Every text of the library in an error, a warning or a verdict, with a value in each of its places."""
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        if "cli" in path.parts:
            continue
        inner: set[int] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Raise | ast.Call | ast.Assign | ast.Return):
                continue
            for one in ast.walk(node):
                if isinstance(one, ast.JoinedStr) and id(one) not in inner:
                    inner |= {id(part) for part in ast.walk(one)}
                    parts = [
                        str(part.value)
                        if isinstance(part, ast.Constant)
                        else "'v'" if part.conversion == ord("r") else "v"
                        for part in one.values
                    ]  # fmt: skip
                    found.append((f"{path.name}:{one.lineno}", "".join(parts)))
                elif isinstance(one, ast.Constant) and isinstance(one.value, str) and id(one) not in inner:
                    inner.add(id(one))
                    found.append((f"{path.name}:{one.lineno}", one.value))
    return found


# Said of Python's own arguments and code: never on the command line, or as code of Python in what it says.
PYTHON_ONLY = (
    "pass where= when", "pass nulls, decimal", "in the C", "var_names must", "style=", "predict(rows", "<",
    "pd.read_csv(",
)  # fmt: skip


def test_no_sentence_of_the_library_speaks_python_on_the_command_line():
    names = "|".join(sorted(flags(), key=len, reverse=True))
    argument = re.compile(rf"(?<![\w.'\"/-])(?:{names})=")
    seen, wrong = 0, []
    for place, text in sentences():
        if " " not in text or not argument.search(text) or any(part in text for part in PYTHON_ONLY):
            continue
        seen += 1
        left = re.sub(r"--(?:at|row|unit) \S+", "", as_options(text))
        if argument.search(left):
            wrong.append((place, as_options(text)))
    assert seen > 40
    assert not wrong

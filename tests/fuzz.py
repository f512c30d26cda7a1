"""Random commands with hostile values, and what must hold of whatever they do: shared by the tests of a fuzzer."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import random
import re
import shutil
import signal
import traceback
import types
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin, get_type_hints

import duckdb
from typer.main import get_command

import priorhood as ph
from priorhood.cli import app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORMULA = "price ~ living_space + (living_space | zip)"
SECONDS = 60  # no command may take longer


@dataclass(frozen=True)
class Parameter:
    """An argument or option: how it is written, and what kind of value it takes: int, float, str, Path or bool."""

    name: str
    option: str
    kind: type
    required: bool


def commands() -> dict[tuple[str, ...], list[Parameter]]:
    """Every command there is, with its parameters, as Typer has them: a new one need not be named here."""
    found: dict[tuple[str, ...], list[Parameter]] = {}
    waiting: list[tuple[tuple[str, ...], Any]] = [((), get_command(app))]
    while waiting:
        words, one = waiting.pop()
        if hasattr(one, "commands"):
            waiting += [((*words, name), each) for name, each in one.commands.items()]
            continue
        hints = get_type_hints(inspect.unwrap(one.callback), include_extras=True)
        found[words] = [
            Parameter(p.name, _option(p), _kind(hints[p.name]), p.required) for p in one.params if p.name in hints
        ]
    return dict(sorted(found.items()))


def _option(parameter: Any) -> str:
    return max(parameter.opts, key=len) if parameter.param_type_name == "option" else ""


def _kind(hint: Any) -> type:
    """The kind of one value: what is within Annotated, Optional and list."""
    while get_origin(hint) in (Annotated, list, Union, types.UnionType):
        hint = next(one for one in get_args(hint) if one is not type(None))
    return hint if isinstance(hint, type) else str


# What a required parameter takes where nothing is wrong, by its name; of a new name, say it here.
GIVEN = {
    "inputs": ["sales.csv", FORMULA],
    "file": ["post.nc"],
    "files": ["post.nc", "elsewhere.nc"],
    "table": ["sales.csv"],
    "data": ["sales.csv"],
    "model": [FORMULA],
}
# Where a command writes, by its first word; pictures otherwise.
OUT = {"report": "out.html", "predict": "out.csv", "simulate": "out.csv", "moments": "out.moments", "demo": "out"}
POSTERIORS = ("fit", "refit", "update", "merge")
# Given unless the fuzzer chooses otherwise, so that a case takes a fraction of a second.
QUICK = {"chains": "2", "draws": "40", "seed": "1", "refits": "4", "threads": "1", "rows": "50"}

NUMBERS = (
    "0", "1", "-1", "2", "3.5", "1000", "2147483647", "2147483648", "-2147483649", "9223372036854775807",
    "9223372036854775808", "99999999999999999999", "1e3", "1e308", "-1e308", "1e400", "1e-320", "-0.0", "nan",
    "inf",
    "-inf", "", " 7", "0x10", "1_000", "١٢", "1,5", "abc", "0.5", "100000000", "1" * 5000,
)  # fmt: skip
TEXTS = (
    "", " ", "\x1b[31mred", "\x9b31m", "\u202egpj", "\udcff", "a\nb", "a\rb", "a" * 5000,
    "🏠" * 300, "zip", "price", "living_space", "Intercept", "`zip`", "1 +", "9**9**9**9", "('", "tau ~",
    "tau ~ Exponential(scale=5)", "tau ~ Normal(0, nan)",
    "tau[living_space] ~ Exponential(scale=0)", "mu ~ Normal(0, 1e308)", "omega ~ LKJ(eta=-1)", "sigma ~ Fixed(0)",
    "{}", "%s%n", "../..", "-5", "--", "NaN", "x=y", "=", "living_space=nan", "living_space=1e999", "living_space=",
    "price=€", "zip=10115", "10115", "__import__('os')", "1; DROP TABLE x", "price > 0", "price > (SELECT 1",
    "price / 0 > 1", "EXISTS (FROM read_text('/etc/passwd'))", "auto", "draws", "summaries", "EPSG:4978",
    "EPSG:4326",
    "epsg:0", "beta", "tau", "sigma", "0.05,0.5,0.95", "0,1", "nan,2", "1e-300,0.5", ",", ".", "student",
    "population", "mean", "price ~ living_space", "price ~ 1 + (1 | zip)", "log(price) ~ 1", "price ~", "~",
    "y ~ x",
    "price ~ " + "(" * 500 + "living_space", "price ~ " + " + ".join(["living_space"] * 400),
    "place", "row", "all", "10%", "1e3x", "\\", "'", '"', "<script>", "NULL", "0",
)  # fmt: skip
PATHS = (
    "", ".", "..", "/", "~", "none.nc", "none.csv", "no/such/out.nc", "/dev/null",
    "/dev/zero", "/proc/self/mem", "/proc/x.nc",
    "post.nc", "elsewhere.nc", "sales.csv", "sums.moments", "zips.geojson", "folder", "folder.csv", "folder.nc",
    "x" * 300 + ".nc", "x" * 250 + ".csv", "x" * 248 + ".png",
    "\x1b[31m.csv", "\udcff.nc", "a\nb.csv", "*.csv", "[a].csv",
    "**/*", "sales.csv::homes", "sales.duckdb", "sales.duckdb::none", "-", "--", "-x.csv", "out.nc", "out.csv",
    "out.png", "out.svg", "out.pdf", "out.html", "out.xyz", "loop.csv", "pipe.csv", "pipe.nc",
)  # fmt: skip
BAD = {
    "empty.csv": b"",
    "empty.nc": b"",
    "empty.geojson": b"",
    "names.csv": b"zip,living_space,price\n",
    "one.csv": b"zip\n1\n2\n",
    "row.csv": b"zip,living_space,price\n10115,80,300000\n",
    "wide.csv": b"zip,living_space,price\n" + b"1" * 3_000_000 + b",2,3\n",
    "nul.csv": b"zip,living_space,price\n1\x002,80,3\n1,\x00,4\n",
    "latin.csv": "zip,living_space,price\nKöln,80,300000\nKöln,90,320000\n".encode("latin-1"),
    "binary.csv": bytes(range(256)) * 40,
    "binary.parquet": b"PAR1" + bytes(range(256)) * 40 + b"PAR1",
    "binary.nc": b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 40,
    "binary.moments": bytes(range(256)) * 40,
    "binary.duckdb": bytes(range(256)) * 40,
    "text.nc": b"zip,living_space,price\n1,2,3\n",
    "broken.geojson": b'{"type": "FeatureCollection", "features": [',
    "other.geojson": b'{"type": "FeatureCollection", "features": []}',
    "list.geojson": b"[1, 2, 3]",
    "deep.geojson": b'{"a":' * 3000,
    "broken.jsonl": b'{"zip": 1,\n{"price"\n',
    "words.csv": b"zip,living_space,price\n" + b"".join(b"%d,many,%d\n" % (i, i) for i in range(20)),
    "infinite.csv": b"zip,living_space,price\n" + b"1,inf,nan\n" * 20 + b"2,1e308,-1e308\n" * 20,
    "alike.csv": b"zip,living_space,price\n" + b"1,50,100000\n" * 30,
    "odd.csv": b"zip,living_space,price\n"
    + "".join(
        f"{label},{40 + 7 * (i % 9)},{100_000 + 9_000 * ((i * 7) % 13)}\n"
        for i, label in enumerate(["\x1b[31mred", "\x9b31m", "\u202egnp", "a\x07b", "<b>&", "'\u2028"] * 6)
    ).encode(),
}  # fmt: skip


def stocked(folder: Path, stock: Path) -> Path:
    """A folder with what commands read, and beside it a copy: good files, wrong ones, and what is no file."""
    folder.mkdir(exist_ok=True)
    for file in stock.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    for name, data in BAD.items():
        (folder / name).write_bytes(data)
    (folder / "short.nc").write_bytes((stock / "post.nc").read_bytes()[:5000])
    (folder / "zips.geojson").write_text(json.dumps(ph.simulate_areas(8, 1)))
    ph.moments(FORMULA, str(stock / "sales.csv")).save(folder / "sums.moments")
    ph.fit(FORMULA, str(folder / "odd.csv"), chains=2, draws=40, seed=1).save(folder / "odd.nc")
    with duckdb.connect(str(folder / "sales.duckdb")) as database:
        database.execute("CREATE TABLE homes AS FROM read_csv($1)", [str(stock / "sales.csv")])
    shutil.copytree(folder, _kept(folder))
    for name in ("folder", "folder.csv", "folder.nc"):
        (folder / name).mkdir()
    (folder / "loop.csv").symlink_to("loop.csv")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.csv")
        os.mkfifo(folder / "pipe.nc")
    return folder


def _kept(folder: Path) -> Path:
    return folder.with_name("kept")


def prints(folder: Path) -> dict[str, str]:
    """What is in a folder, and what is in its files."""
    return {
        f.name: hashlib.sha256(f.read_bytes()).hexdigest() if f.is_file() else "" for f in sorted(folder.iterdir())
    }


def case(seed: int, known: dict[tuple[str, ...], list[Parameter]]) -> list[str]:
    """One command line: what is required, mostly right, and one to three values that are not."""
    luck = random.Random(seed)
    words = luck.choice(sorted(known))
    wrong = luck.choices((0, 1, 2, 3), (1, 6, 3, 1))[0]
    chosen = set(luck.sample(range(len(known[words])), min(wrong, len(known[words]))))
    given: list[str] = []
    positional: list[str] = []
    for at, parameter in enumerate(known[words]):
        if at in chosen:
            values = _hostile(luck, parameter, words)
        elif parameter.required:
            values = _right(parameter, words, luck)
        elif parameter.name in QUICK:
            values = [QUICK[parameter.name]]
        else:
            continue
        if not parameter.option:
            positional += values
        elif parameter.kind is bool:
            given.append(parameter.option)
        else:
            given += [word for value in values for word in (parameter.option, value)]
    dashes = ["--"] if any(value.startswith("-") for value in positional) and luck.random() < 0.5 else []
    return [*words, *given, *dashes, *positional]


def _right(parameter: Parameter, words: tuple[str, ...], luck: random.Random) -> list[str]:
    if parameter.name == "out":
        return ["out.nc" if words[0] in POSTERIORS else OUT.get(words[0], luck.choice(["out.png", "out.svg"]))]
    values = GIVEN[parameter.name]
    return ["odd.nc"] if values == ["post.nc"] and luck.random() < 0.2 else values


def _hostile(luck: random.Random, parameter: Parameter, words: tuple[str, ...]) -> list[str]:
    kinds = {int: (NUMBERS,), float: (NUMBERS,), Path: (PATHS, tuple(BAD))}
    pools = kinds.get(parameter.kind, (TEXTS, PATHS, tuple(BAD), NUMBERS) if luck.random() < 0.7 else (TEXTS,))
    pool = luck.choice(pools) if luck.random() < 0.93 else luck.choice((NUMBERS, TEXTS, PATHS))
    many = luck.choice((1, 1, 1, 2, 4)) if not parameter.required or parameter.name in ("inputs", "files") else 1
    values = [luck.choice(pool) for _ in range(many)]
    if parameter.name == "inputs" and luck.random() < 0.7:
        return [luck.choice(("sales.csv", *BAD, *PATHS)), luck.choice((FORMULA, *TEXTS))]
    return values


# What a terminal would obey.
RAW = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class Late(BaseException):
    """Caught by nobody, as an error of the system might be."""


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Raise where what is inside takes longer."""

    def late(number: int, frame: object) -> None:
        raise Late(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def judged(run: Callable[..., Any], argv: list[str], folder: Path) -> str | None:
    """What a command did that no command may do; None where all is well. What it wrote is deleted."""
    before = prints(folder)
    try:
        with within(SECONDS):
            ran = run(*argv)
    except BaseException as problem:  # noqa: BLE001  # whatever it was, it is a finding
        return "".join(traceback.format_exception(problem)[-4:])
    finally:
        after = prints(folder)
        for name in after.keys() - before.keys():
            _remove(folder / name)
    if ran.code not in (0, 1, 2):
        return f"exit code {ran.code!r}: {ran.err[-500:]}"
    if ran.code and not ran.err.strip() and not ran.out.strip():
        return f"exit code {ran.code} without a word"
    if ran.code == 2 and after.keys() - before.keys():
        return f"refused, and left {sorted(after.keys() - before.keys())}"
    changed = {name for name in before if after.get(name) != before[name]}
    for name in changed:
        shutil.copy(_kept(folder) / name, folder / name)
    if changed - {value for option, value in pairwise(argv) if option in ("--out", "--polygons")}:
        return f"an input was changed: {changed}"
    if "Traceback" in ran.err:
        return ran.err
    raw = RAW.search(ran.out + ran.err)
    if raw:
        return f"prints {raw[0]!r} as it is"
    return None


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for inner in path.iterdir():
            _remove(inner)
        path.rmdir()
    else:
        path.unlink()

"""Whatever is typed: no traceback, no hang, no signal, nothing changed or left behind; a sentence and a code."""

from __future__ import annotations

import importlib
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import fuzz

pytest.importorskip("matplotlib")
pytest.importorskip("geopandas")
if not hasattr(os, "mkfifo"):
    pytest.skip("no pipes to be read here", allow_module_level=True)

pytestmark = pytest.mark.once

KNOWN = fuzz.commands()
CHUNK, EVERYDAY, MANY = 25, 200, 6000


@pytest.fixture(scope="module")
def prey(stock, tmp_path_factory):
    return fuzz.stocked(tmp_path_factory.mktemp("fuzz") / "prey", stock)


def _found(cli, prey, seeds):
    """Command line → what it did wrong."""
    wrong = {}
    for seed in seeds:
        argv = fuzz.case(seed, KNOWN)
        if argv[0] == "demo":  # half a minute, of the other commands
            continue
        problem = fuzz.judged(cli, argv, prey)
        if problem:
            wrong[f"{seed}: {shlex.join(argv)[:600]}"] = problem
    return wrong


@pytest.mark.parametrize(
    "first", [0, CHUNK, *(pytest.param(at, marks=pytest.mark.slow) for at in range(2 * CHUNK, EVERYDAY, CHUNK))]
)
def test_whatever_is_typed(cli, prey, monkeypatch, first):
    monkeypatch.chdir(prey)
    assert _found(cli, prey, range(first, first + CHUNK)) == {}


# -- what was found first, and what the fuzzer would find ----------------------------------------------

TOO_MUCH = {
    "draws": ["fit", "sales.csv", fuzz.FORMULA, "--draws", "2147483648", "-o", "out.nc"],
    "draws in all": ["fit", "sales.csv", fuzz.FORMULA, "--draws", "1000000", "--chains", "1000", "-o", "out.nc"],
    "chains": ["refit", "post.nc", "--chains", "2147483647", "-o", "out.nc"],
    "threads": ["refit", "post.nc", "--threads", "2147483648", "-o", "out.nc"],
    "tune": ["fit", "sales.csv", fuzz.FORMULA, "--engine", "nuts", "--tune", "99999999999", "-o", "out.nc"],
    "seed": ["sensitivity", "post.nc", "--seed", "-1"],
    "seed of a row": ["influence", "post.nc", "--seed", "-2147483649"],
    "simulated seed": ["simulate", "--seed", "-1", "-o", "out.csv"],
    "rows": ["simulate", "--rows", "99999999999999999999", "-o", "out.csv"],
    "places": ["simulate", "--rows", "99999999", "--places", "99999998", "-o", "out.csv"],
    "areas": ["simulate", "--rows", "200000", "--places", "100000", "--polygons", "out.geojson", "-o", "out.csv"],
    "bounds": ["plot", "prior", "post.nc", "--bounds", "-inf", "5", "-o", "out.png"],
    "bounds of nothing": ["plot", "prior", "post.nc", "--bounds", "nan", "nan", "-o", "out.png"],
    "prior lines": ["plot", "prior", "post.nc", "--draws", "2147483648", "-o", "out.png"],
    "replicates": [
        "plot",
        "predictive",
        "post.nc",
        "--data",
        "sales.csv",
        "--draws",
        "99999999999",
        "-o",
        "out.png",
    ],
    "geocentric": ["report", "post.nc", "--polygons", "zips.geojson", "--crs", "EPSG:4978", "-o", "out.html"],
    "geocentric map": [
        "plot",
        "map",
        "post.nc",
        "--polygons",
        "zips.geojson",
        "--crs",
        "EPSG:4978",
        "-o",
        "out.png",
    ],
    # What seed 782 found: a factor of the prior's scale that no number holds.
    "factors": ["plot", "sensitivity", "--out", "out.svg", "--factors", "9223372036854775808", "post.nc"],
    "factors of a table": ["sensitivity", "post.nc", "--factors", "9223372036854775808"],
    "factors near 0": ["sensitivity", "post.nc", "--factors", "1e-320"],
    "refits": ["calibrate", fuzz.FORMULA, "sales.csv", "--refits", "99999999999"],
    "nesting": ["fit", "sales.csv", fuzz.FORMULA, "--where", "(" * 2000 + "price" + ")" * 2000, "-o", "out.nc"],
    "a long where": ["fit", "sales.csv", fuzz.FORMULA, "--where", " + ".join(["price"] * 3000), "-o", "out.nc"],
    "a pipe": ["fit", "pipe.csv", fuzz.FORMULA, "-o", "out.nc"],
    "a pipe of draws": ["summary", "pipe.nc"],
    "a kernel's file that waits": ["summary", "/proc/kmsg"],
    "rows that wait": ["fit", "/proc/kmsg", fuzz.FORMULA, "-o", "out.nc"],
    "polygons that wait": ["plot", "map", "post.nc", "--polygons", "/proc/kmsg", "-o", "out.png"],
    # What seed 1367 found: the whole disk was read.
    "polygons of a disk": ["plot", "map", "post.nc", "--polygons", "/", "-o", "out.png"],
    "a loop": ["fit", "loop.csv", fuzz.FORMULA, "-o", "out.nc"],
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_no_machine_does_is_refused_in_a_sentence(cli, prey, monkeypatch, name):
    monkeypatch.chdir(prey)
    problem = fuzz.judged(cli, TOO_MUCH[name], prey)
    assert problem is None
    before = fuzz.prints(prey)
    ran = cli(*TOO_MUCH[name])
    assert (ran.code, ran.err.count("\n")) == (2, 1), ran.err
    assert ran.err.startswith("priorhood: ")
    assert fuzz.prints(prey) == before


def test_every_command_is_among_the_prey():
    """Found from Typer; and of every required argument the fuzzer knows what is right."""
    drawn = {
        tuple(words) for seed in range(1500) for words in KNOWN if fuzz.case(seed, KNOWN)[: len(words)] == [*words]
    }
    assert drawn == set(KNOWN)
    assert ("fit",) in KNOWN
    assert ("plot", "map") in KNOWN


PLANTED = {
    "traceback": lambda post: 1 / 0,
    "exit": lambda post: sys.exit(7),
    "silence": lambda post: sys.exit(2),
    "hang": lambda post: time.sleep(30),
    "escape": lambda post: print("\x1b[2J", file=sys.stdout.stream),
    "left": lambda post: (Path("left.part").write_text("half"), sys.exit(2)),
    "changed": lambda post: Path("sales.csv").write_text("gone"),
}


@pytest.mark.parametrize("bug", PLANTED)
def test_a_planted_bug_is_found(cli, prey, monkeypatch, bug):
    """The control: a summary that does one of these is among the first hundred cases, and judged."""
    monkeypatch.chdir(prey)
    if bug == "hang":
        monkeypatch.setattr(fuzz, "SECONDS", 5)
    saved = importlib.import_module("priorhood.posterior.io")
    load = saved.load

    def planted(file):
        post = load(file)
        PLANTED[bug](post)
        return post

    monkeypatch.setattr(saved, "load", planted)
    seed = next(s for s in range(100) if fuzz.case(s, KNOWN)[0] == "summary" and "post.nc" in fuzz.case(s, KNOWN))
    assert fuzz.judged(cli, fuzz.case(seed, KNOWN), prey) is not None
    monkeypatch.setattr(saved, "load", load)
    monkeypatch.setattr(fuzz, "SECONDS", 60)
    assert fuzz.judged(cli, fuzz.case(seed, KNOWN), prey) is None


def _as_a_program(*argv):
    """A command in a process of its own, as a shell starts it."""
    words = [sys.executable, "-m", "priorhood", *argv]
    ran = subprocess.run(words, capture_output=True, timeout=fuzz.SECONDS, check=False, stdin=subprocess.DEVNULL)
    return SimpleNamespace(code=ran.returncode, out=ran.stdout.decode(), err=ran.stderr.decode())


@pytest.mark.parametrize("seed", [3, 14, *(pytest.param(s, marks=pytest.mark.slow) for s in range(7000, 7100))])
def test_whatever_is_typed_into_a_shell(prey, monkeypatch, seed):
    monkeypatch.chdir(prey)
    argv = fuzz.case(seed, KNOWN)
    if argv[0] == "demo" or any("\x00" in word for word in argv):
        return
    assert fuzz.judged(_as_a_program, argv, prey) is None, argv


@pytest.mark.slow
@pytest.mark.parametrize("first", range(EVERYDAY, MANY, 100))
def test_whatever_is_typed_at_length(cli, prey, monkeypatch, first):
    monkeypatch.chdir(prey)
    assert _found(cli, prey, range(first, first + 100)) == {}

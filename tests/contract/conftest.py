"""What the contract tests share: the command line called in this process, a folder with sales and fits."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

import pytest

import priorhood as ph
from priorhood.cli import main

if TYPE_CHECKING:
    from pathlib import Path

FORMULA = "price ~ living_space + (living_space | zip)"
FAST = {"chains": 2, "draws": 50, "seed": 1}
FAST_OPTIONS = ("--chains", "2", "--draws", "50", "--seed", "1")


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: object
    out: str
    err: str


def run_cli(*argv: object) -> Ran:
    """Call the console script's entry point as the shell would; a traceback is a test's failure."""
    out, err = io.StringIO(), io.StringIO()
    before, sys.argv = sys.argv, ["priorhood", *map(str, argv)]
    try:
        with (
            contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as stop,
            mock.patch.object(os, "_exit", sys.exit),
        ):  # fmt: skip
            main()
    finally:
        sys.argv = before
    return Ran(stop.value.code or 0, out.getvalue(), err.getvalue())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file and folder below, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else b"" for p in folder.rglob("*")}


@pytest.fixture(scope="session")
def sales():
    frame, _ = ph.simulate(8, 160, seed=1)
    return frame


@pytest.fixture(scope="session")
def fitted(sales):
    return ph.fit(FORMULA, sales, **FAST)


@pytest.fixture(scope="session")
def elsewhere():
    """The same model on other rows, some in the same places."""
    return ph.fit(FORMULA, ph.simulate(16, 160, seed=2)[0], **FAST)


@pytest.fixture(scope="session")
def stock(tmp_path_factory, sales, fitted, elsewhere):
    """sales.csv and elsewhere.csv, and the fits of one model to them, post.nc and elsewhere.nc; made once."""
    folder = tmp_path_factory.mktemp("stock")
    sales.to_csv(folder / "sales.csv", index=False)
    ph.simulate(16, 160, seed=2)[0].to_csv(folder / "elsewhere.csv", index=False)
    fitted.save(folder / "post.nc")
    elsewhere.save(folder / "elsewhere.nc")
    return folder


@pytest.fixture
def folder(tmp_path, stock):
    """A folder of one's own with sales.csv, post.nc and elsewhere.nc."""
    for file in stock.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.fixture
def cli():
    return run_cli


@pytest.fixture
def fit_options():
    return FAST_OPTIONS


@pytest.fixture
def fast():
    return dict(FAST)


@pytest.fixture(scope="session")
def formula():
    return FORMULA


@pytest.fixture
def refused(folder):
    """Run a command that must fail: one message that has every given text, code 2, nothing written."""

    def check(*argv: object, says: tuple[str, ...] = ()) -> str:
        before = contents(folder)
        ran = run_cli(*argv)
        assert ran.code == 2, ran
        assert ran.out == ""
        lines = ran.err.strip().splitlines()
        assert len(lines) == 1, ran.err
        assert lines[0].startswith("priorhood: ")
        assert "Traceback" not in ran.err
        # A message with an empty place in it names nothing.
        assert "''" not in lines[0].replace("=''", "").replace("where ''", "")
        assert "like ;" not in lines[0]
        # The folder is called after the test, whose name would do for many a text.
        shown = lines[0].replace(str(folder), "<folder>")
        for text in says:
            assert text.replace(str(folder), "<folder>") in shown, f"{text!r} is not in {shown!r}"
        assert contents(folder) == before
        return lines[0]

    return check

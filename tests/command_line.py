"""The command line, called in this process; what it left behind."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING
from unittest import mock

import pytest

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

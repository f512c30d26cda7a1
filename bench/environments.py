"""An interpreter for every contender: virtual environments from pinned requirements, made on demand in .bench/."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.contenders import Contender

FOLDER = Path(__file__).parents[1] / ".bench"
VARIABLE = "PRIORHOOD_BENCH_PEERS"
LATER = ("3.13", "3.12", "3.14")


def command_of(contender: Contender, *, install: bool = True) -> tuple[list[str], str]:
    """What its script is called with, or an empty list and the reason."""
    if contender.python == "own":
        return [sys.executable], ""
    if not contender.python:
        return _r(contender)
    made = FOLDER / "environments" / contender.name
    python = made / "bin" / "python"
    mark = made / "pins.sha256"
    wanted = hashlib.sha256(contender.pins.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return [str(python)], ""
    if not install:
        return [], f"{made} has no environment of the pinned versions, and none is to be made"
    return _make(contender, made, mark, wanted)


def _make(contender: Contender, made: Path, mark: Path, wanted: str) -> tuple[list[str], str]:
    base = python_of(contender.python)
    if base is None:
        return [], f"there is no Python {contender.python.replace('+', ' or later')} on the path"
    shutil.rmtree(made, ignore_errors=True)
    made.parent.mkdir(parents=True, exist_ok=True)
    python = str(made / "bin" / "python")
    steps = (
        [base, "-m", "venv", str(made)],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(contender.pins)],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
            return [], f"its environment could not be made: {lines[-1].strip()}"
    mark.write_text(wanted)
    return [python], ""


def python_of(wanted: str) -> str | None:
    """The path of a Python: "3.11" is that one, "3.12+" this one if it is as late, else the first on the path."""
    least = tuple(int(part) for part in wanted.rstrip("+").split("."))
    here = sys.version_info[:2]
    if here == least or (wanted.endswith("+") and here >= least):
        return sys.executable
    names = LATER if wanted.endswith("+") else (wanted,)
    found = (shutil.which(f"python{name}") for name in names)
    return next((path for path in found if path and _starts(path)), None)


def _starts(path: str) -> bool:
    """Whether it is more than a name: version managers put names on the path that lead nowhere."""
    return subprocess.run([path, "-c", ""], capture_output=True).returncode == 0


def _r(contender: Contender) -> tuple[list[str], str]:
    if shutil.which("Rscript") is None:
        return [], "there is no Rscript on the path"
    lacking = [name for name in contender.packages if not _has(name)]
    if lacking:
        debian = " ".join(f"r-cran-{name.lower()}" for name in lacking)
        return [], f"R has no package {', '.join(lacking)}; on Debian: apt-get install {debian}"
    return ["Rscript"], ""


def _has(package: str) -> bool:
    asked = ["Rscript", "-e", f'quit(status = !requireNamespace("{package}", quietly = TRUE))']
    return subprocess.run(asked, capture_output=True).returncode == 0


def interpreter(modules: tuple[str, ...]) -> tuple[str | None, str]:
    """The Python that has these modules beside priorhood, or None and the reason."""
    lacking = [m for m in modules if importlib.util.find_spec(m) is None]
    if not lacking:
        return sys.executable, ""
    other = os.environ.get(VARIABLE, "")
    if not other:
        return None, f"{', '.join(lacking)} cannot be imported here, and {VARIABLE} names no other Python"
    if not Path(other).is_file():
        return None, f"{lacking[0]} cannot be imported here, and {VARIABLE} names no file"
    wanted = "; ".join(f"import {m}" for m in modules)
    if subprocess.run([other, "-c", wanted], capture_output=True).returncode:
        return None, f"the Python that {VARIABLE} names cannot import {', '.join(modules)}"
    return other, ""

"""An interpreter for every contender: virtual environments from pinned requirements, made on demand in .bench/."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.contenders import Contender

FOLDER = Path(__file__).parents[1] / ".bench"
LATER = ("3.13", "3.12", "3.14")


def _runs(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0


def command_of(contender: Contender, *, install: bool = True) -> tuple[list[str], str]:
    """The command that its script is given to, or an empty list and the reason."""
    if contender.python == "own":
        return [sys.executable], ""
    if not contender.python:
        return _r(contender)
    made = FOLDER / "environments" / contender.name
    python, mark = str(made / "bin" / "python"), made / "pins.sha256"
    wanted = hashlib.sha256(contender.pins.read_bytes()).hexdigest()
    if mark.exists() and mark.read_text() == wanted:
        return [python], ""
    if not install:
        return [], f"{made} has no environment of the pinned versions, and none is to be made"
    base = python_of(contender.python)
    if base is None:
        return [], f"there is no Python {contender.python.replace('+', ' or later')} on the path"
    shutil.rmtree(made, ignore_errors=True)
    made.parent.mkdir(parents=True, exist_ok=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(contender.pins)]
    for step in ([base, "-m", "venv", str(made)], pip):
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
            return [], f"its environment could not be made: {lines[-1].strip()}"
    mark.write_text(wanted)
    return [python], ""


def python_of(wanted: str) -> str | None:
    """The path of a Python: "3.11" is that one, "3.12+" this one if it is as late, else the first on the path."""
    least, here = tuple(map(int, wanted.rstrip("+").split("."))), sys.version_info[:2]
    if here == least or (wanted.endswith("+") and here >= least):
        return sys.executable
    paths = (shutil.which(f"python{name}") for name in (LATER if wanted.endswith("+") else (wanted,)))
    # Version managers put names on the path that lead nowhere.
    return next((path for path in paths if path and _runs(path, "-c", "")), None)


def _r(contender: Contender) -> tuple[list[str], str]:
    if shutil.which("Rscript") is None:
        return [], "there is no Rscript on the path"
    there = 'quit(status = !requireNamespace("{}", quietly = TRUE))'
    lacking = [name for name in contender.packages if not _runs("Rscript", "-e", there.format(name))]
    if lacking:
        debian = " ".join(f"r-cran-{name.lower()}" for name in lacking)
        return [], f"R has no package {', '.join(lacking)}; on Debian: apt-get install {debian}"
    return ["Rscript"], ""

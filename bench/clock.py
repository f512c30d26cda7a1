"""Repeat and time: in this process, or whole processes with their peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# For processes whose threads are not what is measured: linear algebra stays on the core that called it.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def environment(changes: dict[str, str] | None = None) -> dict[str, str]:
    """Variables for another process: those of this one, changed.

    Python keeps its bytecode there, as it does for whoever has not told it otherwise: compiling all imports anew
    takes a multiple of a whole fit.
    """
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, **(changes or {})}


@dataclass(frozen=True)
class Ended:
    """A process from start to end: wall seconds, seconds of processor time, peak resident memory in MB."""

    seconds: float
    cpu: float
    peak_mb: float


def repeat(work: Callable[[int], object], times: int, warm_up: int = 2) -> tuple[float, ...]:
    """Seconds of work(0), work(1), …; the warm-up calls get negative numbers and are not counted."""
    for at in range(warm_up):
        work(-1 - at)
    seconds = []
    for at in range(times):
        started = time.perf_counter()
        work(at)
        seconds.append(time.perf_counter() - started)
    return tuple(seconds)


def whole_process(command: list[str], folder: Path, env: dict[str, str] | None = None) -> Ended:
    """Run a command to its end.

    Raises
    ------
    RuntimeError : it failed; the message holds the end of its standard error
    """
    # A child's peak memory starts from that of the process that starts it, so a small one must start it.
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), *command]
    done = subprocess.run(launcher, cwd=folder, env=environment(env), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return Ended(**json.loads(done.stdout))


def output_of(command: list[str], folder: Path, env: dict[str, str] | None = None) -> str:
    """Standard output of a command.

    Raises
    ------
    RuntimeError : it failed; the message holds the end of its standard error
    """
    done = subprocess.run(command, cwd=folder, env=environment(env), capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    return done.stdout

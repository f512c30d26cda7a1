"""Repeat and time: work in this process, or whole processes with their peak memory, held to limits."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[1]
# For processes whose threads are not what is measured: linear algebra stays on the core that called it.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def caches(folder: Path) -> dict[str, str]:
    """Variables that keep compile caches in a folder."""
    return {"NUMBA_CACHE_DIR": str(folder / "numba"), "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}"}


def repeat(work: Callable[[int], object], times: int, warm_up: int = 2) -> tuple[float, ...]:
    """Seconds of work(0), work(1), …; the warm-up calls get negative numbers and are not counted."""
    seconds = []
    for at in range(-warm_up, times):
        started = time.perf_counter()
        work(at)
        seconds.append(time.perf_counter() - started)
    return tuple(seconds[warm_up:])


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    seconds, cpu : of the wall clock and of the processors
    peak_mb : greatest resident memory of the process and its children
    stopped : "time" or "memory" if it was stopped there, else ""
    """

    seconds: float
    cpu: float
    peak_mb: float
    stopped: str
    status: int
    output: str
    errors: str


def run(
    command: list[str],
    folder: Path,
    env: dict[str, str] | None = None,
    *,
    too_long: Callable[[float], bool] | None = None,
    memory_mb: float = float("inf"),
) -> Ended:
    """Run a command; stop it and its children if it runs too long or takes more memory than allowed."""
    # With its bytecode, which most users keep: compiling all imports anew takes a multiple of a fit.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    peak, stopped, before = 0.0, "", resource.getrusage(resource.RUSAGE_CHILDREN)
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=kept | (env or {}), stdout=output, stderr=errors, stdin=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            while process.poll() is None and not stopped:
                now, seconds = resident_mb(process.pid), time.perf_counter() - started
                peak = max(peak, now)
                stopped = "memory" if now > memory_mb else "time" if too_long and too_long(seconds) else ""
                # Peaks of a short process are short.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0 if stopped else min(0.1, 0.01 + seconds / 50))
        finally:
            # The command leads a session of its own: its group is the whole tree, also after an interrupt.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        texts = []
        for stream in (output, errors):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Ended(seconds, cpu, peak, stopped, process.returncode, texts[0], texts[1])


def done(command: list[str], folder: Path, env: dict[str, str] | None = None) -> Ended:
    """Run a command that must succeed.

    Raises
    ------
    RuntimeError : it failed; the message has the end of its standard error
    """
    ended = run(command, folder, env)
    if ended.status:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ended.errors[-2000:]}")
    return ended


def resident_mb(pid: int) -> float:
    """Resident memory of a process, at its greatest so far, or of it and its children now, in MB.

    Pages that several processes share count once. Without /proc, that of the process alone, by ps.
    """
    if not Path("/proc/self/status").exists():
        printed = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True).stdout
        return float(printed.strip() or 0) * 1024 / 1e6
    pids = family(pid)
    if len(pids) == 1:
        return _kilobytes(pid, "status", "VmHWM:") * 1024 / 1e6
    # Shared pages cost the kernel a walk through all pages: only where there is someone to share with.
    return sum(_kilobytes(one, "smaps_rollup", "Pss:") for one in pids) * 1024 / 1e6


def family(pid: int) -> list[int]:
    """A process and its descendants, of all its threads."""
    pids = [pid]
    for one in pids:
        with contextlib.suppress(OSError):  # a process may end at any time
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
    return pids


def _kilobytes(pid: int, file: str, name: str) -> int:
    """A number of a file of /proc; 0 of a process that has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1])
    return 0

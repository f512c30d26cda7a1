"""A process and its children from start to end, held to limits of time and memory."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.clock import environment

if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE = 0.1


@dataclass(frozen=True)
class Watched:
    """How it ended: wall seconds, greatest resident memory of the tree, why it was stopped (or ""), last words."""

    seconds: float
    peak_mb: float
    stopped: str
    status: int
    errors: str


def watched(
    command: list[str],
    folder: Path,
    env: dict[str, str],
    *,
    too_long: Callable[[float], bool],
    memory_mb: float,
) -> Watched:
    """Run a command; end it and its children when it has run too long or takes more memory than allowed."""
    log = folder / "errors.log"
    with log.open("w", encoding="utf-8") as errors:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=folder, env=environment(env), stdout=errors, stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            peak, stopped = _watch(process, started, too_long, memory_mb)
        finally:
            # Also what an interrupt of the benchmark leaves behind.
            _end(process)
        seconds = time.perf_counter() - started
    said = log.read_text(encoding="utf-8", errors="replace")
    return Watched(seconds, peak, stopped, process.returncode, said[-4000:])


def _watch(
    process: subprocess.Popen[bytes], started: float, too_long: Callable[[float], bool], memory_mb: float
) -> tuple[float, str]:
    peak = 0.0
    while process.poll() is None:
        now = resident_mb(process.pid)
        peak = max(peak, now)
        if now > memory_mb:
            return peak, "memory"
        if too_long(time.perf_counter() - started):
            return peak, "time"
        time.sleep(PAUSE)
    return peak, ""


def _end(process: subprocess.Popen[bytes]) -> None:
    # The command leads a session of its own: its group is the whole tree, and nothing else.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def resident_mb(pid: int) -> float:
    """Resident memory of a process and all its descendants, in MB; pages that they share count once.

    Without /proc, that of the process alone, by ps.
    """
    if not Path("/proc/self/statm").exists():
        told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True).stdout
        return float(told.strip() or 0) * 1024 / 1e6
    found = family(pid)
    # What is shared costs the kernel a walk through all pages: only where there is someone to share with.
    return sum(map(_shared, found) if len(found) > 1 else map(_resident, found)) / 1e6


def family(pid: int) -> list[int]:
    """A process and its descendants, of all its threads."""
    found = [pid]
    for one in found:
        for task in _entries(Path(f"/proc/{one}/task")):
            found += [int(child) for child in _text(task / "children").split()]
    return found


def _resident(pid: int) -> float:
    """Resident bytes of one process."""
    text = _text(Path(f"/proc/{pid}/statm"))
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") if text else 0.0


def _shared(pid: int) -> float:
    """Resident bytes of one process, a page that n processes have counted as its nth part."""
    for line in _text(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return _resident(pid)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _text(path: Path) -> str:
    """What a file of /proc says; a process may end at any time."""
    try:
        return path.read_text()
    except OSError:
        return ""

"""Threads: how many cores a fit keeps busy, and that reading, kernels and linear algebra never work at once."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import priorhood as ph
from bench.case import CORRELATED, QUICK, Effort, Measurement
from bench.clock import output_of
from bench.places import write_sales

AGAIN = "python -m bench --only threads"
PLACES, ROWS = 5_000, 1_000_000
# Processor seconds a second of wall: what the machine's clocks and the interpreter's own threads may add.
SLACK = 0.05


def work(path: str, threads: int) -> None:
    """A fit with nothing left to compile or import: wall and processor seconds."""
    seconds = busy = 0.0
    for _ in range(2):
        started, before = time.perf_counter(), time.process_time()
        ph.fit(CORRELATED, path, seed=1, threads=threads)
        seconds, busy = time.perf_counter() - started, time.process_time() - before
    print(json.dumps({"seconds": seconds, "busy": busy}))


def measure(effort: Effort) -> list[Measurement]:
    """Cores kept busy on average, with one thread and with two; never more than were allowed."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "sales.parquet"
        rows = ROWS // 5 if effort == QUICK else ROWS
        write_sales(path, PLACES, rows)
        for threads in (1, 2):
            command = [sys.executable, "-m", "bench.threads", str(path), str(threads)]
            told = json.loads(output_of(command, Path(__file__).parents[1]))
            what = f"threads={threads}: processor seconds a second, fit of {rows:,} rows in {PLACES:,} places"
            found.append(
                Measurement(
                    f"threads {threads}", what, "", (told["busy"] / told["seconds"],), AGAIN,
                    target=threads + SLACK,
                    note=f"{told['seconds']:.2f} s wall, {told['busy']:.2f} s processor time",
                )
            )  # fmt: skip
    return found


if __name__ == "__main__":
    work(sys.argv[1], int(sys.argv[2]))

"""Fresh processes: the import, a whole `priorhood fit`, and the first one ever."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.case import CORRELATED, DATA_SEED, Measurement
from bench.clock import Ended, output_of, whole_process

if TYPE_CHECKING:
    from bench.case import Effort

IMPORT = "import time; t = time.perf_counter(); import priorhood; {} print(time.perf_counter() - t)"


def _command() -> str:
    """The installed command beside this interpreter."""
    return str(Path(sys.executable).with_name("priorhood"))


def measure_import(effort: Effort) -> list[Measurement]:
    """`import priorhood` in fresh processes; the first, which may read from disk, is not counted."""
    found = []
    # A name brings its module when it is asked for.
    for key, told, then in (("import", "", ""), ("import_fit", " and `priorhood.fit`", "priorhood.fit;")):
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-c", IMPORT.format(then)]
            seconds = [float(output_of(command, Path(folder))) for _ in range(effort.imports + 1)]
        found.append(
            Measurement(
                key, f"`import priorhood`{told}, fresh process", "s", tuple(seconds[1:]),
                "python -m bench --only import", target=0.2,
            )
        )  # fmt: skip
    return found


def _fits(folder: Path, count: int, caches: list[dict[str, str]]) -> list[Ended]:
    """`priorhood fit` on the demo's CSV, `count` times, each with its cache's environment."""
    sales = folder / "sales.csv"
    output_of([_command(), "simulate", "-o", str(sales), "--seed", str(DATA_SEED)], folder)
    command = [_command(), "fit", str(sales), CORRELATED, "-o", str(folder / "posterior.nc"), "--seed", "1"]
    return [whole_process(command, folder, caches[at % len(caches)]) for at in range(count)]


def _cpu(ended: list[Ended]) -> str:
    """Processor time, which others on the machine hardly change."""
    return f"processor time {min(e.cpu for e in ended):.2f} s at the least"


def measure_cli(effort: Effort) -> list[Measurement]:
    """Seconds and peak memory of whole processes; the first fills the compile cache and is not counted."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ended = _fits(folder, effort.processes + 1, [{"NUMBA_CACHE_DIR": str(folder / "cache")}])[1:]
    told = "whole process `priorhood fit sales.csv`, compiled before"
    again = "python -m bench --only cli"
    return [
        Measurement("cli", told, "s", tuple(e.seconds for e in ended), again, target=1.6, note=_cpu(ended)),
        Measurement(
            "cli_memory", f"{told}: peak memory", "MB", tuple(e.peak_mb for e in ended), again,
            target=500.0, worst=True,
        ),
    ]  # fmt: skip


def measure_compile(effort: Effort) -> list[Measurement]:
    """The same with an empty compile cache each time."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        empty = [{"NUMBA_CACHE_DIR": str(folder / f"cache{at}")} for at in range(effort.compiles)]
        ended = _fits(folder, effort.compiles, empty)
    return [
        Measurement(
            "compile", "whole process `priorhood fit sales.csv`, first ever (compiles)", "s",
            tuple(e.seconds for e in ended), "python -m bench --only compile", target=20.0,
            note=_cpu(ended),
        )
    ]  # fmt: skip

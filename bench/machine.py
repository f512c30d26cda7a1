"""Where and when it was measured, and whether other programs were at work."""

from __future__ import annotations

import os
import platform
import time
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from priorhood._system import cores

LIBRARIES = (
    *("priorhood", "numpy", "numba", "scipy", "pandas", "polars", "narwhals", "duckdb", "xarray", "arviz-stats"),
)
# Cores that others keep busy before a measurement, beyond which its times are not those of a free machine.
BUSY = 0.25


def describe() -> dict[str, Any]:
    """Processor, memory, system, versions and date; others : cores that other programs keep busy."""
    return {
        "cpu": _cpu(),
        "cores": cores(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "others": _others(),
    }


def _others(seconds: float = 1.0) -> float:
    """Cores at work while this process waits; the load average, which counts earlier work, without /proc."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return round(os.getloadavg()[0], 2)

    def worked() -> int:
        ticks = [int(number) for number in stat.read_text().split("\n")[0].split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4]  # neither idle nor waiting for a disk

    before, started = worked(), time.perf_counter()
    time.sleep(seconds)
    return round((worked() - before) / os.sysconf("SC_CLK_TCK") / (time.perf_counter() - started), 2)


def busy(facts: dict[str, Any]) -> float:
    """Cores that others kept busy before a measurement."""
    return float(facts["others"])


def remark(facts: dict[str, Any], then: str) -> str:
    """What a busy machine does to the times, as a sentence; nothing for a free one."""
    return f"Other work ran on the machine ({busy(facts):.1f} cores): {then}. " if busy(facts) > BUSY else ""


def sentence(facts: dict[str, Any], *libraries: str) -> str:
    """Return processor, cores, Python, further libraries and the day, as the end of a page's remarks."""
    named = (f"{facts['cpu']}, {facts['cores']} cores", f"Python {facts['python']}", *libraries, facts["date"][:10])
    return f"{', '.join(named)}."


def _cpu() -> str:
    """The processor's name, with the family and model that a virtual machine's name leaves out."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    pairs = [line.partition(":") for line in info.read_text().split("\n\n")[0].splitlines()]
    facts = {name.strip(): value.strip() for name, _, value in pairs}
    name = facts.get("model name", platform.machine())
    return f"{name} (family {facts['cpu family']}, model {facts['model']})" if "model" in facts else name

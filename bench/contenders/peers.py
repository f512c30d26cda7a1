"""Contenders that are Python libraries: found here or in the interpreter that PRIORHOOD_BENCH_PEERS names."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import quality
from bench.case import CHAINS, DRAWS, TUNE, Reference, Result
from bench.clock import ONE_THREAD, output_of
from priorhood.machine import cores

if TYPE_CHECKING:
    import pandas as pd

    from bench.case import Effort

VARIABLE = "PRIORHOOD_BENCH_PEERS"
SCRIPTS = Path(__file__).parents[1] / "scripts"
# Runs of one process: the first compiles with empty caches, the others find them filled.
RUNS = 2


def interpreter(modules: tuple[str, ...]) -> tuple[str | None, str]:
    """The Python that has these modules, or None and the reason."""
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


def run(
    contender: str, modules: tuple[str, ...], model: str, frame: pd.DataFrame, reference: Reference, effort: Effort
) -> Result:
    """Several processes with empty compile caches, each building, compiling and sampling RUNS times."""
    python, reason = interpreter(modules)
    if python is None:
        raise RuntimeError(reason)
    runs = []
    quantities = []
    means = []
    versions: dict[str, str] = {}
    for process in range(effort.peers):
        with tempfile.TemporaryDirectory() as name:
            told, draws = _process(python, contender, model, frame, reference, 1 + process * RUNS, Path(name))
        runs.append(told["runs"])
        versions = told["versions"]
        quantities += [quality.worst(d) for d in draws]
        means += [quality.moments(d)[0] for d in draws]
    later = [r for process in runs for r in process[1:]]
    return Result(
        contender,
        model,
        f"{CHAINS} × {DRAWS} draws",
        total=tuple(r["total_s"] for r in later),
        cold=tuple(process[0]["compile_s"] for process in runs),
        warm=tuple(r["compile_s"] for r in later),
        sample=tuple(r["sample_s"] for process in runs for r in process),
        least_ess=min(q[1] for q in quantities),
        greatest_rhat=max(q[2] for q in quantities),
        difference=max(reference.difference(m) for m in means),
        versions=versions,
        threads=f"{min(CHAINS, cores())} chains at a time",
    )


def _process(
    python: str, contender: str, model: str, frame: pd.DataFrame, reference: Reference, seed: int, folder: Path
) -> tuple[dict[str, Any], list[dict[str, np.ndarray]]]:
    """One process; returns what it printed and the draws of every run by parameter."""
    frame.to_csv(folder / "sales.csv", index=False)
    numbers = {
        "centre": reference.centre, "spread": reference.spread, "unit": reference.unit, "chains": CHAINS,
        "draws": DRAWS, "tune": TUNE, "cores": min(CHAINS, cores()), "repeats": RUNS, "seed": seed,
    }  # fmt: skip
    command = [python, str(SCRIPTS / f"run_{contender}.py"), "sales.csv", "draws.npz"]
    command += [text for name, value in numbers.items() for text in (f"--{name}", repr(value))]
    command += ["--correlated"] if model == "correlated" else []
    caches = {"NUMBA_CACHE_DIR": str(folder / "numba"), "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}"}
    told = json.loads(output_of(command, folder, {**ONE_THREAD, **caches}).splitlines()[-1])
    draws: list[dict[str, np.ndarray]] = [{} for _ in range(RUNS)]
    with np.load(folder / "draws.npz") as stored:
        for key in stored.files:
            name, _, at = key.rpartition("__")
            draws[int(at)][name] = stored[key]
    return told, draws

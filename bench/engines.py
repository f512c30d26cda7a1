"""The four models of the notebook by each engine: what it costs to compile and to draw, and what is drawn.

Takes minutes, so a quick run leaves it out; `--quick --only engines` tries it with few draws. Its results are in a
file of their own, from which `python -m bench.publish engines` fills the table of docs/engines.md.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import tables
from bench.case import CHAINS, CORRELATED, DATA_SEED, DRAWS, INDEPENDENT, PLACES, ROWS, TUNE
from bench.contenders import SCRIPTS
from bench.data import RESULTS, dumped
from bench.process import ONE_THREAD, caches, done

if TYPE_CHECKING:
    from rich.console import Console

SEED = 2412
# The first is what the others' means are held against.
HOWS = {"exact": ("numba",), "nutpie": ("pymc", "nutpie"), "pymc": ("pymc",)}
FULL = {"chains": CHAINS, "draws": DRAWS, "tune": TUNE, "repeats": 30}
TRIAL = {"chains": CHAINS, "draws": 100, "tune": 100, "repeats": 3}
# To compile once more one need not sample long; only the exact engine's times depend on it, and it is fast.
SHORT = {"draws": 10, "tune": 10}


@dataclass(frozen=True)
class Case:
    """A model of the notebook in one line of ours, with the priors of the notebook's code."""

    name: str
    formula: str
    priors: tuple[str, ...] = ()
    noise: str | None = None
    parameterization: str = "centered"


CASES = (
    Case("naive", INDEPENDENT, ("tau ~ Exponential(2.5)", "sigma ~ Exponential(2.5)"), noise="zip"),
    Case("centred", INDEPENDENT),
    Case("non-centred", INDEPENDENT, parameterization="noncentered"),
    Case("correlated", CORRELATED, ("mu ~ Normal(0, 5)",)),
)


@dataclass(frozen=True)
class Row:
    """One model by one engine.

    status : "fitted"; "refused", the engine does not take the model; "failed", it could not be measured
    compile_first, compile_again : seconds to build and compile, with empty and with filled compile caches
    sample : seconds to draw; divergences : None for an engine that has none
    least_ess, greatest_rhat : the worst of all parameters
    difference : largest |mean − the exact engine's| / the exact engine's posterior sd, of all but single places
    """

    model: str
    how: str
    status: str
    reason: str = ""
    compile_first: float | None = None
    compile_again: float | None = None
    sample: float | None = None
    parameters: int | None = None
    divergences: int | None = None
    least_ess: float | None = None
    greatest_rhat: float | None = None
    difference: float | None = None
    versions: dict[str, str] = field(default_factory=dict)


def measure(machine: dict[str, Any], console: Console, *, quick: bool) -> Path:
    """Measure all, keep every result at once, print the table; return the file of results."""
    amount = TRIAL if quick else FULL
    # A trial must not stand for the measurement.
    target = RESULTS / ("engines_trial.json" if quick else "engines.json")
    results = {
        "machine": machine, "quick": quick, "places": PLACES, "rows": ROWS, "data_seed": DATA_SEED, "seed": SEED,
        **amount, "complete": False, "runs": [],
    }  # fmt: skip
    for case in CASES:
        reference: dict[str, Any] | None = None
        for how in HOWS:
            console.print(f"measuring engines, {case.name}, {how} …", style="dim")
            row, printed = _measured(case, how, amount, reference)
            reference = printed if how == "exact" else reference
            results["runs"].append(asdict(row))
            dumped(results, target)
    dumped(results | {"complete": True}, target)
    console.print(tables.engines(results | {"complete": True}), soft_wrap=True, markup=False)
    console.print(f"written to {os.path.relpath(target)}")
    return target


def _measured(
    case: Case, how: str, amount: dict[str, int], reference: dict[str, Any] | None
) -> tuple[Row, dict[str, Any] | None]:
    """A row, and what the engine's process printed; whatever goes wrong is a row, too."""
    if lacking := [name for name in HOWS[how] if find_spec(name) is None]:
        return Row(case.name, how, "failed", f"{', '.join(lacking)} cannot be imported"), None
    try:
        with tempfile.TemporaryDirectory() as name:
            first = _process(case, how, amount, Path(name))
            if "refused" in first:
                return Row(case.name, how, "refused", first["refused"], versions=first["versions"]), None
            again = _process(case, how, amount if how == "exact" else amount | SHORT, Path(name))
    except (RuntimeError, OSError, ValueError, IndexError) as problem:
        # The end of a traceback; a process that was killed leaves none.
        lines = [line.strip() for line in str(problem).splitlines() if line.strip()] or [type(problem).__name__]
        killed = isinstance(problem, RuntimeError) and len(lines) < 2
        return Row(case.name, how, "failed", "its process was ended from outside" if killed else lines[-1]), None
    far = None
    if reference is not None:
        far = max(abs(first["means"][k] - reference["means"][k]) / sd for k, sd in reference["sds"].items())
    same = {k: first[k] for k in ("parameters", "divergences", "least_ess", "greatest_rhat", "versions")}
    times = {"compile_first": first["compile_s"], "compile_again": again["compile_s"], "sample": first["sample_s"]}
    return Row(case.name, how, "fitted", difference=far, **times, **same), first


def _process(case: Case, how: str, amount: dict[str, int], folder: Path) -> dict[str, Any]:
    """The result of one process, whose caches are those of the folder: empty, or filled by the one before it."""
    data = {"places": PLACES, "rows": ROWS, "data_seed": DATA_SEED}
    asked = json.dumps(asdict(case) | amount | data | {"how": how, "seed": SEED})
    threads = {} if how == "exact" else ONE_THREAD
    ended = done([sys.executable, str(SCRIPTS / "run_engine.py"), asked], folder, threads | caches(folder))
    return dict(json.loads(ended.output.splitlines()[-1]))

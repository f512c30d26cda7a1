"""The four models of the notebook by each engine: what it costs to compile and to draw, and what is drawn.

Takes minutes, so a quick run leaves it out; `--quick --only engines` tries it with few draws. Its results are in a
file of their own, from which `python -m bench.engines_table --write` fills the table of docs/engines.md.
"""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import engines_table, environments
from bench.case import CHAINS, DATA_SEED, DRAWS, INDEPENDENT, PLACES, ROWS, TUNE
from bench.case import CORRELATED as CORRELATED_FORMULA
from bench.clock import ONE_THREAD, output_of

if TYPE_CHECKING:
    from rich.console import Console

NAME = "engines"
SEED = 2412
SCRIPT = Path(__file__).parent / "scripts" / "run_engine.py"
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
    Case("correlated", CORRELATED_FORMULA, ("mu ~ Normal(0, 5)",)),
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
    """Measure all, keep every result as soon as it is there, print the table; return the file of results."""
    amount = TRIAL if quick else FULL
    target = engines_table.results(quick=quick)
    told = {
        "machine": machine, "quick": quick, "places": PLACES, "rows": ROWS, "data_seed": DATA_SEED, "seed": SEED,
        **amount, "complete": False, "runs": [],
    }  # fmt: skip
    for case in CASES:
        reference: dict[str, Any] | None = None
        for how in HOWS:
            console.print(f"measuring {NAME}, {case.name}, {how} …", style="dim")
            row, found = _measured(case, how, amount, reference)
            reference = found if how == "exact" else reference
            told["runs"].append(asdict(row))
            _write(target, told)
    told["complete"] = True
    _write(target, told)
    console.print(engines_table.markdown(told), soft_wrap=True, markup=False)
    console.print(f"written to {os.path.relpath(target)}")
    return target


def _write(target: Path, told: dict[str, Any]) -> None:
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _measured(
    case: Case, how: str, amount: dict[str, int], reference: dict[str, Any] | None
) -> tuple[Row, dict[str, Any] | None]:
    """A row, and what the engine's process told; whatever goes wrong is a row, too."""
    python, reason = environments.interpreter(HOWS[how])
    if python is None:
        return Row(case.name, how, "failed", reason), None
    try:
        with tempfile.TemporaryDirectory() as name:
            first = _process(python, case, how, amount, Path(name))
            if "refused" in first:
                return Row(case.name, how, "refused", first["refused"], versions=first["versions"]), None
            again = _process(python, case, how, amount if how == "exact" else amount | SHORT, Path(name))
    except (RuntimeError, OSError, ValueError, IndexError) as problem:
        return Row(case.name, how, "failed", _last_words(problem)), None
    row = Row(
        case.name, how, "fitted", compile_first=first["compile_s"], compile_again=again["compile_s"],
        sample=first["sample_s"], difference=_difference(first, reference),
        **{k: first[k] for k in ("parameters", "divergences", "least_ess", "greatest_rhat", "versions")},
    )  # fmt: skip
    return row, first


def _process(python: str, case: Case, how: str, amount: dict[str, int], folder: Path) -> dict[str, Any]:
    """What one process tells; the caches of the folder are empty or those that the one before it filled."""
    asked = {
        **asdict(case), **amount, "how": how, "seed": SEED, "places": PLACES, "rows": ROWS, "data_seed": DATA_SEED
    }  # fmt: skip
    caches = {"NUMBA_CACHE_DIR": str(folder / "numba"), "PYTENSOR_FLAGS": f"base_compiledir={folder / 'pytensor'}"}
    threads = {} if how == "exact" else ONE_THREAD
    told = output_of([python, str(SCRIPT), json.dumps(asked)], folder, {**threads, **caches})
    return dict(json.loads(told.splitlines()[-1]))


def _last_words(problem: Exception) -> str:
    """The end of a traceback; a process that was killed leaves none."""
    lines = [line.strip() for line in str(problem).splitlines() if line.strip()]
    if isinstance(problem, RuntimeError) and len(lines) < 2:
        return "its process was ended from outside"
    return lines[-1] if lines else type(problem).__name__


def _difference(found: dict[str, Any], reference: dict[str, Any] | None) -> float | None:
    """Largest distance of the means from the reference's, in its posterior sds; None without a reference."""
    if reference is None:
        return None
    means, sds = reference["means"], reference["sds"]
    return max(abs(found["means"][name] - means[name]) / sds[name] for name in means)

"""One contender on one size of data: processes of its own, limits, the same measure of quality for all."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from arviz_stats.base import array_stats

from bench import data
from bench.case import CHAINS, DRAWS, TUNE
from bench.contenders import SCRIPTS, Contender
from bench.process import ONE_THREAD, Ended, caches, run
from priorhood._system import cores

if TYPE_CHECKING:
    from collections.abc import Iterator

# The quality that all draws are brought to: by twice as many of them, as often as it takes.
MIN_ESS, GREATEST_RHAT, MAX_DRAWS = 400.0, 1.01, 8000
SEED = 1
KEPT_OF_A_TRY = ("draws", "status", "reason", "first", "least_ess", "greatest_rhat")
# R's last lines, after the error.
AFTERWORDS = ("Execution halted", "Calls: ", "In addition: ")
# A first fit that takes longer is not repeated with filled caches.
WORTH_REPEATING = 120.0


@dataclass(frozen=True)
class Limits:
    """Limits of one fit. fits, spend : at most so many further fits, and so many seconds for them."""

    seconds: float = 600.0
    memory_mb: float = 16_000.0
    fits: int = 5
    spend: float = 60.0


@dataclass(frozen=True)
class Record:
    """The result of one contender, model and size; seconds, MB.

    status : "fitted"; "time" or "memory", it was stopped there; "failed"; "refused", it has no such model
    first : a whole process to its first result, with import, reading and compiling, compile caches empty
    ready : the same with filled caches, where that was tried
    fits : further fits in the same process
    draws, tries : draws a chain, the most that it finished, and the result of every number that was tried;
        `limits` are those of the last
    mean, sd : of mu, tau, omega, sigma; a point estimate has no sd
    """

    contender: str
    model: str
    rows: int
    groups: int
    status: str
    reason: str = ""
    first: float | None = None
    ready: float | None = None
    fits: tuple[float, ...] = ()
    peak_mb: float | None = None
    draws: int | None = None
    least_ess: float | None = None
    greatest_rhat: float | None = None
    tries: tuple[dict[str, Any], ...] = ()
    mean: dict[str, float] = field(default_factory=dict)
    sd: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    limits: dict[str, float] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int, int]:
        """Contender, model, rows, groups."""
        return self.contender, self.model, self.rows, self.groups

    @property
    def reached(self) -> bool:
        """Whether its draws have the quality; a point estimate has none to have."""
        return self.least_ess is None or good(self.least_ess, self.greatest_rhat or np.inf)

    def may_go_on(self, limits: Limits) -> bool:
        """Whether it has draws short of the quality, and these limits leave room for twice as many."""
        if self.status != "fitted" or self.reached or (self.draws or 0) >= MAX_DRAWS:
            return False
        if self.tries and self.tries[-1]["status"] != "fitted":
            return self.outgrown(limits, self.tries[-1]["status"])
        return 2 * (self.first or np.inf) <= limits.seconds

    def outgrown(self, limits: Limits, status: str = "") -> bool:
        """Whether it was stopped by a limit below these.

        What failed may have been repaired since: its own size is tried again, by a new run alone.
        """
        bound = {"time": "seconds", "memory": "memory_mb"}.get(status or self.status)
        return bound is not None and self.limits[bound] < getattr(limits, bound)


def good(least_ess: float, greatest_rhat: float) -> bool:
    """Whether draws have the quality that all are brought to."""
    return least_ess >= MIN_ESS and greatest_rhat <= GREATEST_RHAT


def contest(
    contender: Contender,
    model: str,
    path: Path,
    size: data.Size,
    limits: Limits,
    command: list[str],
    earlier: Record | None = None,
) -> Iterator[Record]:
    """Fit with ever more draws, until they have the quality or a limit is reached.

    Yields the record after every number of draws, so that nothing is lost if the next is broken off. If a limit or
    a failure stops it, the record keeps the most draws that were finished.

    earlier : the record of a run under smaller limits or broken off, which this one goes on from
    """
    here = {"contender": contender.name, "model": model, "rows": size.rows, "groups": size.groups}
    if model not in contender.models:
        yield Record(**here, status="refused", reason=contender.differs)
        return
    asked = {"data": str(path.resolve()), "model": model, "places": data.places(size), "chains": CHAINS}
    finished = earlier
    while True:
        draws = 2 * (finished.draws or 0) if finished else DRAWS
        with tempfile.TemporaryDirectory() as name:
            amount = {"draws": draws, "tune": TUNE * draws // DRAWS}
            answer = answered(contender, asked | amount, limits, command, Path(name))
        tries = (*(finished.tries if finished else ()), {k: answer.get(k) for k in KEPT_OF_A_TRY})
        if answer["status"] == "fitted" or finished is None:
            finished = Record(**here, **answer)
        finished = replace(finished, tries=tries, limits=asdict(limits))
        yield finished
        if not finished.may_go_on(limits):
            return


def answered(
    contender: Contender,
    asked: dict[str, Any],
    limits: Limits,
    command: list[str],
    folder: Path,
    *,
    twice: bool = True,
) -> dict[str, Any]:
    """Fit with one number of draws; return fields of a Record. The folder keeps the draws.

    twice : start a second process with the first one's compile caches, if that is no long wait
    """
    usual = {"cores": min(asked["chains"], cores()), "seed": SEED, "fits": limits.fits, "spend": limits.spend}
    asked = usual | asked | {"contender": contender.name}
    ended = _process(contender, command, asked, limits, folder)
    answer = read_answer(folder)
    if answer is None:
        status, reason = _ending(ended, limits)
        return {"status": status, "reason": reason, "peak_mb": ended.peak_mb, "draws": asked["draws"]}
    result = {
        "status": "fitted", "first": answer["first_s"], "fits": tuple(answer["fits_s"]), "peak_mb": ended.peak_mb,
        "versions": answer["versions"],
    }  # fmt: skip
    if "point" in answer:
        result["mean"] = {name: value for name, value in answer["point"].items() if not name.startswith("beta")}
    else:
        result |= {"draws": answer["draws"], **quality(read_draws(answer, folder), answer["names"])}
    if twice and answer["first_s"] < WORTH_REPEATING:
        _process(contender, command, asked | {"fits": 0}, limits, folder)
        again = read_answer(folder)
        result["ready"] = again and again["first_s"]
    return result


def _process(
    contender: Contender, command: list[str], asked: dict[str, Any], limits: Limits, folder: Path
) -> Ended:
    """Run its script with the caches of the folder; an earlier result there is removed."""
    path = folder / "answer.json"
    path.unlink(missing_ok=True)
    # Chains share the cores already; priorhood's own threads are its own business.
    threads = {} if contender.python == "own" else ONE_THREAD

    def too_long(seconds: float) -> bool:
        # Once a first result is there, further fits have as much time again.
        return seconds > (2 * limits.seconds + limits.spend if path.exists() else limits.seconds)

    data.dumped(asked | {"began": time.time()}, folder / "asked.json")
    script = [*command, str(SCRIPTS / contender.script), str(folder / "asked.json")]
    env = caches(folder) | threads | {"BENCH_CHAINS": str(asked["chains"])}
    return run(script, folder, env, too_long=too_long, memory_mb=limits.memory_mb)


def read_draws(answer: dict[str, Any], folder: Path) -> np.ndarray:
    """The draws of the last process, (chain, draw, parameter)."""
    shape = (answer["draws"], answer["chains"], len(answer["names"]))
    return np.fromfile(folder / "draws.f64").reshape(shape, order="F").transpose(1, 0, 2)


def read_answer(folder: Path) -> dict[str, Any] | None:
    """The result of the last process, or None if it came to none."""
    path = folder / "answer.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def _ending(ended: Ended, limits: Limits) -> tuple[str, str]:
    """Status and reason of a process that gave no result."""
    if ended.stopped == "time":
        return "time", f"no result after {limits.seconds:,.0f} s"
    if ended.stopped == "memory":
        return "memory", f"more than {limits.memory_mb:,.0f} MB"
    lines = [line.strip() for line in ended.errors.splitlines() if line.strip() and not line.startswith(AFTERWORDS)]
    if ended.status < 0:
        return "failed", f"its process was ended by signal {-ended.status}"
    return "failed", lines[-1][:300] if lines else f"it ended with status {ended.status} and no word"


def quality(draws: np.ndarray, names: list[str]) -> dict[str, Any]:
    """Smallest bulk ESS and largest R-hat of (chain, draw, n); means and sds except those of single places."""
    ess = array_stats.ess(draws, chain_axis=0, draw_axis=1, method="bulk")
    rhat = array_stats.rhat(draws, chain_axis=0, draw_axis=1)
    few = [at for at, name in enumerate(names) if not name.startswith("beta")]
    flat = draws[:, :, few].reshape(-1, len(few))
    return {
        "least_ess": float(np.min(ess)),
        "greatest_rhat": float(np.max(rhat)),
        "mean": {names[at]: float(value) for at, value in zip(few, flat.mean(0), strict=True)},
        "sd": {names[at]: float(value) for at, value in zip(few, flat.std(0, ddof=1), strict=True)},
    }

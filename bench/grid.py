"""The grid of Pichler, Jewson and Avalos-Pacheco (arXiv 2502.04990): random intercepts, five predictors.

As in the paper: one chain, 5,000 draws after 1,000 to adapt, adapt_delta 0.95, seed 123 for the data. The paper's
priors, b ~ Normal(0, 10), sigma and sigma_u half-t of 3 degrees of freedom and scale 2.5, are those of priorhood
and of a Stan program here. rstanarm cannot have them: it makes sigma_u a multiple of sigma, and is called as in the
paper. So posteriors are compared under equal priors: priorhood's with Stan's as they are, and with rstanarm's after
priorhood's draws are reweighted from the one prior to the other, which is exact up to Monte Carlo error.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench import agreement, contest, environments, grid_table, machine
from bench.contenders import SCRIPTS, Contender
from bench.data import dumped
from bench.scale import FACTS, FILES
from priorhood.model.distributions import HalfStudentT

if TYPE_CHECKING:
    from rich.console import Console

    from bench.contest import Limits

NAME = "grid"
RESULTS = Path(__file__).with_name("results") / "grid.json"
PREDICTORS = 5
SIZES = ((100, 5), (1000, 5), (10_000, 5), (1000, 50), (1000, 250))
AMOUNT = {"chains": 1, "draws": 5000, "tune": 1000, "cores": 1}
OF_R = ("data.table", "jsonlite")
WHO = (
    Contender("priorhood", "priorhood", "grid_priorhood.py", python="own"),
    Contender("stan", "Stan", "grid_stan.R", python="", packages=("rstan", *OF_R)),
    Contender("rstanarm", "rstanarm", "grid_rstanarm.R", python="", packages=("rstanarm", *OF_R)),
)
# sigma's prior in rstanarm's call in the paper.
PAPER, AUXILIARY = HalfStudentT(3.0, 2.5), HalfStudentT(3.0, 3.7)


def measure(console: Console, limits: Limits, *, again: bool, target: Path = RESULTS) -> dict[str, Any]:
    """Every size that the file does not have yet; it is written after each."""
    told: dict[str, Any] = {"sizes": []}
    if target.exists() and not again:
        told = json.loads(target.read_text(encoding="utf-8"))
    if shutil.which("Rscript") is None:
        console.print(
            f"[yellow]skipped: {NAME}: its data come from R, and there is no Rscript on the path[/yellow]"
        )
        return told
    there = {(one["rows"], one["groups"]) for one in told["sizes"]}
    for size in (one for one in SIZES if one not in there):
        console.print(f"measuring {NAME}, n = {size[0]:,}, J = {size[1]} …", style="dim")
        told["sizes"].append(_size(*size, limits))
        dumped(told, target)
    console.print(grid_table.markdown(told), soft_wrap=True, markup=False)
    return told


def _size(n: int, J: int, limits: Limits) -> dict[str, Any]:
    """All contenders at one size, and whether they agree."""
    before = machine.describe()
    path = _data(n, J)
    # The labels that the data have: with 250 groups of 4 rows on average one may have none.
    asked = {"data": str(path.resolve()), "model": NAME, "places": _labels(path), **AMOUNT}
    fits: dict[str, Any] = {}
    draws: dict[str, tuple[np.ndarray, list[str]]] = {}
    for one in WHO:
        command, reason = environments.command_of(one)
        if reason:
            fits[one.name] = {"status": "skipped", "reason": reason}
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            fits[one.name] = contest.answered(one, asked, limits, command, folder, twice=False)
            if fits[one.name]["status"] == "fitted":
                last = contest.read_told(folder) or {}
                draws[one.name] = contest.read_draws(last, folder), last["names"]
    return {
        "rows": n, "groups": J, "fits": fits, "agreement": agree(draws),
        "machine": {name: before[name] for name in FACTS},
    }  # fmt: skip


def _data(n: int, J: int) -> Path:
    target = FILES / f"grid_{n}x{J}.csv"
    if not target.exists():
        FILES.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        script = str(SCRIPTS / "grid_data.R")
        subprocess.run(["Rscript", script, str(n), str(J), str(PREDICTORS), str(part)], check=True)
        part.replace(target)
    return target


def _labels(path: Path) -> list[int]:
    return np.unique(np.loadtxt(path, delimiter=",", skiprows=1, usecols=1).astype(int)).tolist()


def agree(draws: dict[str, tuple[np.ndarray, list[str]]]) -> dict[str, dict[str, float]]:
    """Of every other contender: its largest distance from priorhood in Monte Carlo errors, and the limit."""
    if "priorhood" not in draws:
        return {}
    mine, names = draws["priorhood"]
    found = {}
    for name, (theirs, labels) in draws.items():
        if name == "priorhood":
            continue
        assert labels == names, f"{name} tells {labels[:8]}, priorhood {names[:8]}"
        own = agreement.moments(mine) if name == "stan" else agreement.weighted(mine, to_rstanarm(mine, names))
        apart, limit = agreement.furthest(own, agreement.moments(theirs))
        found[name] = {"apart": apart, "limit": limit}
    return found


def to_rstanarm(draws: np.ndarray, names: list[str]) -> np.ndarray:
    """Log of rstanarm's prior over the paper's at (chain, draw).

    rstanarm: sigma half-t of 3 degrees of freedom and scale 3.7, sigma_u | sigma Exponential of scale sigma.
    """
    tau, sigma = draws[..., names.index("tau[0]")], draws[..., names.index("sigma[0]")]
    theirs = AUXILIARY.logpdf(sigma) - tau / sigma - np.log(sigma)
    return np.asarray(theirs - PAPER.logpdf(sigma) - PAPER.logpdf(tau))

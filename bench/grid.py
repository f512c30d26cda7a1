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
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from arviz_stats.base import array_stats
from scipy import stats

from bench import contest, environments, machine, tables
from bench.contenders import OF_R, SCRIPTS, Contender
from bench.data import FILES, RESULTS, dumped
from bench.scale import FACTS
from priorhood.model.distributions import HalfStudentT

if TYPE_CHECKING:
    from rich.console import Console

    from bench.contest import Limits

PREDICTORS = 5
SIZES = ((100, 5), (1000, 5), (10_000, 5), (1000, 50), (1000, 250))
AMOUNT = {"chains": 1, "draws": 5000, "tune": 1000, "cores": 1}
WHO = (
    Contender("priorhood", "priorhood", "run_priorhood.py", python="own"),
    Contender("stan", "Stan", "grid_stan.R", python="", packages=("rstan", *OF_R)),
    Contender("rstanarm", "rstanarm", "grid_rstanarm.R", python="", packages=("rstanarm", *OF_R)),
)
# sigma's prior in rstanarm's call in the paper.
PAPER, AUXILIARY = HalfStudentT(3.0, 2.5), HalfStudentT(3.0, 3.7)
# Share of comparisons of equal posteriors in which some mean or sd of them is beyond the limit.
FALSE_ALARMS = 0.001


def measure(console: Console, limits: Limits, *, again: bool, sizes: tuple[tuple[int, int], ...] = SIZES) -> None:
    """Measure every size that the file of results does not have yet; it is written after each."""
    target = RESULTS / "grid.json"
    results: dict[str, Any] = {"sizes": []}
    if target.exists() and not again:
        results = json.loads(target.read_text(encoding="utf-8"))
    if shutil.which("Rscript") is None:
        console.print("[yellow]skipped: grid: its data come from R, and there is no Rscript on the path[/yellow]")
        return
    there = {(one["rows"], one["groups"]) for one in results["sizes"]}
    for n, J in (one for one in sizes if one not in there):
        console.print(f"measuring grid, n = {n:,}, J = {J} …", style="dim")
        results["sizes"].append(_size(n, J, limits))
        dumped(results, target)
    console.print(tables.grid(results), soft_wrap=True, markup=False)


def _size(n: int, J: int, limits: Limits) -> dict[str, Any]:
    """All contenders at one size, and whether they agree."""
    before = machine.describe()
    path = FILES / f"grid_{n}x{J}.csv"
    if not path.exists():
        FILES.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        given = [str(SCRIPTS / "grid_data.R"), str(n), str(J), str(PREDICTORS), str(part)]
        subprocess.run(["Rscript", *given], check=True)
        part.replace(path)
    # The labels that the data have: with 250 groups of 4 rows on average one may have none.
    labels = np.unique(np.loadtxt(path, delimiter=",", skiprows=1, usecols=1).astype(int)).tolist()
    asked = {"data": str(path.resolve()), "model": "grid", "places": labels, **AMOUNT}
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
                last = contest.read_answer(folder) or {}
                draws[one.name] = contest.read_draws(last, folder), last["names"]
    facts = {name: before[name] for name in FACTS}
    return {"rows": n, "groups": J, "fits": fits, "agreement": agree(draws), "machine": facts}


# -- do two sets of draws have one posterior? ---------------------------------------------------------------


@dataclass(frozen=True)
class Moments:
    """Means and sds of (n,) parameters, and their Monte Carlo standard errors."""

    mean: np.ndarray
    mean_error: np.ndarray
    sd: np.ndarray
    sd_error: np.ndarray


def moments(draws: np.ndarray) -> Moments:
    """Of (chain, draw, n); errors by effective sample sizes, those of the sds by that of (x − mean)²."""
    axes = {"chain_axis": 0, "draw_axis": 1, "method": "mean"}
    mean, sd = draws.mean((0, 1)), draws.std((0, 1), ddof=1)
    squared = (draws - mean) ** 2
    sd_error = squared.std((0, 1)) / np.sqrt(array_stats.ess(squared, **axes)) / (2 * sd)
    return Moments(mean, sd / np.sqrt(array_stats.ess(draws, **axes)), sd, sd_error)


def weighted(draws: np.ndarray, log_weight: np.ndarray) -> Moments:
    """Of draws that are as good as independent, reweighted to another prior by log_weight (chain, draw).

    mean = Σ w x, sd² = Σ w (x − mean)², errors by the delta method: Σ w² (f − mean of f)². Weights are up to a
    constant.
    """
    w = np.exp(log_weight - log_weight.max())
    w = (w / w.sum())[..., None]
    mean = (w * draws).sum((0, 1))
    squared = (draws - mean) ** 2
    variance = (w * squared).sum((0, 1))
    sd_error = np.sqrt((w**2 * (squared - variance) ** 2).sum((0, 1))) / (2 * np.sqrt(variance))
    return Moments(mean, np.sqrt((w**2 * squared).sum((0, 1))), np.sqrt(variance), sd_error)


def furthest(one: Moments, other: Moments) -> tuple[float, float]:
    """Largest distance of a mean or an sd in Monte Carlo standard errors, and the limit for it.

    The limit is Normal's and Bonferroni's, for FALSE_ALARMS over all means and sds.
    """
    means = np.abs(one.mean - other.mean) / np.hypot(one.mean_error, other.mean_error)
    sds = np.abs(one.sd - other.sd) / np.hypot(one.sd_error, other.sd_error)
    together = np.concatenate([means, sds])
    return float(together.max()), float(stats.norm.isf(FALSE_ALARMS / (2 * len(together))))


def agree(draws: dict[str, tuple[np.ndarray, list[str]]]) -> dict[str, dict[str, float]]:
    """Of every other contender: its largest distance from priorhood in Monte Carlo errors, and the limit."""
    others = dict(draws)
    if "priorhood" not in others:
        return {}
    mine, names = others.pop("priorhood")
    agreement = {}
    for name, (theirs, labels) in others.items():
        assert labels == names, f"{name} has {labels[:8]}, priorhood {names[:8]}"
        own = moments(mine) if name == "stan" else weighted(mine, to_rstanarm(mine, names))
        apart, limit = furthest(own, moments(theirs))
        agreement[name] = {"apart": apart, "limit": limit}
    return agreement


def to_rstanarm(draws: np.ndarray, names: list[str]) -> np.ndarray:
    """Log of rstanarm's prior over the paper's at (chain, draw).

    rstanarm: sigma half-t of 3 degrees of freedom and scale 3.7, sigma_u | sigma Exponential of scale sigma.
    """
    tau, sigma = draws[..., names.index("tau[0]")], draws[..., names.index("sigma[0]")]
    theirs = AUXILIARY.logpdf(sigma) - tau / sigma - np.log(sigma)
    return np.asarray(theirs - PAPER.logpdf(sigma) - PAPER.logpdf(tau))

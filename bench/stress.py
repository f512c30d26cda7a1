"""Hard posteriors through the exact engine: is the stated quality reached, or the fit refused?

`python -m bench.stress` measures, prints, and writes bench/results/stress.json; `--write` puts the tables into
docs/stress.md between its markers. Two questions, a table each:

- quality: for every structure (groups, rows, terms, priors) and every true spread one fit of 4 × 1000 draws to
  outcomes simulated under that spread: acceptance, Pareto k, ESS, R-hat;
- coverage: for every structure many refits of outcomes whose truth is drawn from the prior, by ph.calibrate: the
  share of truths in the central 90 % of the draws, which is 90 % whatever the design, if the engine is right.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import priorhood as ph
from bench import machine
from bench.machine import busy
from bench.readme_table import BUSY, rewritten
from bench.report import number
from bench.stress_designs import DESIGNS, Design
from priorhood.data.sources.table import read
from priorhood.diagnostics.summary import measures, varies
from priorhood.diagnostics.uniformity import ALARM
from priorhood.evaluation.sbc import simulate_sums
from priorhood.fitting.run import FitOptions, fit_moments
from priorhood.posterior.predictive import draw_prior
from priorhood.suffstats import collect
from priorhood.suffstats.fit_data import FitData

if TYPE_CHECKING:
    from priorhood.evaluation.sbc import Calibration
    from priorhood.posterior.posterior import Posterior

NAME = "stress"
PAGE = Path(__file__).parents[1] / "docs" / "stress.md"
RESULTS = Path(__file__).parent / "results" / "stress.json"
START, END = "<!-- stress:start -->", "<!-- stress:end -->"
SEED = 2412
CHAINS, DRAWS = 4, 1000
# The stated quality; acceptance and Pareto k have the engine's own limits.
LEAST_ESS, MOST_RHAT = 100 * CHAINS, 1.01
# Of 19 draws, 18 of the 20 equally likely ranks are the central 90 %, exactly.
REFITS, QUICK_REFITS, RANKED = 100, 20, 19
COVERED = 0.9
QUICK = 8  # every eighth design
LIBRARIES = {"priorhood": "priorhood", "numpy": "NumPy", "numba": "Numba"}
REACHED, REFUSED, MISSED = "reached", "refused", "missed"


@dataclass(frozen=True)
class Fitted:
    """One fit of a design under one true spread; numbers are None where it was refused.

    spread : true sd of every effect, in residual sds; None where the design has outcomes of its own
    dim : of θ; verdict : reached, refused or missed; reason : of a refusal, or what was missed
    """

    design: str
    spread: float | None
    dim: int
    verdict: str
    reason: str
    seconds: float
    acceptance: float | None = None
    pareto_k: float | None = None
    keep_every: int | None = None
    least_ess: float | None = None
    greatest_rhat: float | None = None


@dataclass(frozen=True)
class Covered:
    """Refits of one design: the share of truths in the central 90 %.

    least, greatest : over its quantities; joint : of the log-likelihood, which all share
    low, high : between which all quantities' shares of all designs lie in 99 of 100 tables, if the engine is right
    p_value : of the most uneven ranks, times the number of quantities
    passed : shares within the bounds, and p_value not under calibrate's error rate, shared out over the table
    """

    design: str
    refits: int
    refused: int
    reasons: tuple[str, ...]
    quantities: int
    mean: float
    least: float
    least_of: str
    greatest: float
    low: float
    high: float
    joint: float
    p_value: float
    passed: bool
    seconds: float


def _posed(design: Design) -> tuple[ph.Model, Any, Any]:
    """The model, the columns and the sums of a design; its outcomes are a placeholder of sd 1, or its own."""
    model = ph.Model(design.formula, list(design.priors), **design.options)
    columns, found = collect.collect_moments(read(design.frame()), model.formula, weights=model.weights)
    return model, columns, found


def _outcomes(design: Design, spread: float | None, model: ph.Model, columns: Any, found: Any) -> Any:
    """Sums of outcomes with effects of that sd and residuals of sd 1, by the simulator of calibrate."""
    if spread is None:
        return found
    data = FitData.learn(model, columns, found)
    # A spread of 0 is no value of a scale; this one is lost to rounding.
    known = {"mu": "Normal(0, 1)", "tau": f"Fixed({max(spread, 1e-12)})"}
    if model.se is None:
        known["sigma"] = "Fixed(1)"
    particular = {key: known["tau"] for key in model.priors if key.startswith("tau")}
    true = model.with_priors({**known, **particular})
    rng = np.random.default_rng([SEED, *design.name.encode()])
    return simulate_sums(data, draw_prior(data.with_model(true), 1, rng), rng)


def fitted(design: Design, spread: float | None, threads: int | None = None) -> Fitted:
    """One fit and its quality."""
    model, columns, found = _posed(design)
    sums = _outcomes(design, spread, model, columns, found)
    dim = dimensions(model, columns)
    started = time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ph.PriorhoodWarning)  # of one row a group: said, and fitted
            post = fit_moments(
                FitData.learn(model, columns, sums),
                FitOptions.checked(CHAINS, DRAWS, seed=SEED, threads=threads, engine="exact"),
            )
    except ph.PriorhoodError as problem:
        return Fitted(design.name, spread, dim, REFUSED, str(problem), time.perf_counter() - started)
    return judged(design.name, spread, dim, post, time.perf_counter() - started)


def dimensions(model: ph.Model, columns: Any) -> int:
    """Length of θ: spreads, correlations, and the residual sd unless it is known.

    With a residual sd for every place (math.md section 6), mu and what those sds have in common instead of sigma.
    """
    resolved = model.resolve(columns)
    correlated = [len(tau) for tau, omega in zip(resolved.tau, resolved.omega, strict=True) if omega]
    pairs = sum(K * (K - 1) // 2 for K in correlated)
    scales = sum(map(len, resolved.tau)) + pairs
    if model.noise:
        return scales + len(resolved.mu) + 2 * (resolved.sigma_median is not None)
    return scales + (resolved.sigma is not None)


def judged(name: str, spread: float | None, dim: int, post: Posterior, seconds: float) -> Fitted:
    """Whether a posterior's draws have the stated quality, all parameters of all places included."""
    values = [v.values.reshape(CHAINS, DRAWS, -1) for v in post.tree["posterior"].data_vars.values()]
    together = np.concatenate(values, axis=2)
    r_hat, ess = measures(together[:, :, varies(together)])[:2]
    least, greatest = float(ess.min()), float(r_hat.max())
    missed = [f"ESS {least:.0f}"] * (least < LEAST_ESS) + [f"R-hat {greatest:.3f}"] * (greatest > MOST_RHAT)
    return Fitted(
        name, spread, dim, MISSED if missed else REACHED, ", ".join(missed), seconds,
        float(post.attrs["acceptance"]), float(post.attrs["pareto_k"]), int(post.attrs["keep_every"]),
        least, greatest,
    )  # fmt: skip


def covered(design: Design, refits: int, tables: int, threads: int | None = None) -> Covered:
    """Coverage of a design; `tables` says among how many designs the error rate is shared out."""
    model = ph.Model(design.formula, list(design.priors), **design.options)
    # One seed for all would draw the same truths in all: their shares could not be put together.
    seed = SEED + zlib.crc32(design.name.encode())
    found = ph.calibrate(model, design.frame(), refits=refits, draws=RANKED, seed=seed, threads=threads)
    return _coverage(design.name, found, tables)


def _coverage(name: str, found: Calibration, tables: int) -> Covered:
    shares = found.summary()["in90"]
    least, greatest = float(shares.min()), float(shares.max())
    low, high = binomial_bounds(len(found.ranks), ALARM / tables / len(shares))
    p_value = min(1.0, float(found.p_values.min()) * len(shares))
    passed = low <= least and greatest <= high and p_value > ALARM / tables
    return Covered(
        name, len(found.ranks), found.refits - len(found.ranks), tuple(f"{why} ({n})" for why, n in found.refused),
        len(shares), float(shares.mean()), least, str(shares.idxmin()), greatest, low, high,
        float(shares["log_likelihood"]), p_value, passed, found.seconds,
    )  # fmt: skip


def binomial_bounds(trials: int, alarm: float) -> tuple[float, float]:
    """Shares outside of which a coverage of exactly 90 % falls with probability of at most alarm."""
    from scipy.stats import binom

    low, high = binom.ppf([alarm / 2, 1 - alarm / 2], trials, COVERED)
    return float(low) / trials, float(high) / trials


# -- the page ---------------------------------------------------------------------------------------------

QUALITY = (
    "design", "true spread / noise", "dim θ", "acceptance", "Pareto k", "keep every", "least bulk ESS",
    "greatest R-hat", "seconds", "verdict",
)  # fmt: skip
COVERAGE = (
    "design", "refits", "refused", "quantities", "mean", "least", "greatest", "bounds", "joint", "p", "verdict",
)  # fmt: skip


def markdown(told: dict[str, Any]) -> str:
    """Both tables, what they say in all, and under which circumstances they were measured."""
    fits = [Fitted(**one) for one in told["fits"]]
    shares = [Covered(**{**one, "reasons": tuple(one["reasons"])}) for one in told["coverage"]]
    lines = [_in_all(fits, shares), "", f"| {' | '.join(QUALITY)} |", f"|---|{'---:|' * (len(QUALITY) - 2)}---|"]
    lines += [f"| {' | '.join(_fit_cells(one))} |" for one in fits]
    lines += [f"\nRefused: {one.design}, {_spread(one)}: {one.reason}." for one in fits if one.verdict == REFUSED]
    lines += ["", f"| {' | '.join(COVERAGE)} |", f"|---|{'---:|' * (len(COVERAGE) - 2)}---|"]
    lines += [f"| {' | '.join(_share_cells(one))} |" for one in shares]
    missing = {one.design: None for one in fits if one.design not in {share.design for share in shares}}
    lines += [f"\nCoverage not measured in this run: {'; '.join(missing)}."] if missing else []
    lines += [f"\nRefused in {one.design}: {'; '.join(one.reasons)}." for one in shares if one.reasons]
    return "\n".join([*lines, "", _circumstances(told)])


def _in_all(fits: list[Fitted], shares: list[Covered]) -> str:
    """The verdicts counted, and the coverage of all refits together, whose joint ranks are independent."""
    count = {verdict: sum(one.verdict == verdict for one in fits) for verdict in (REACHED, REFUSED, MISSED)}
    told = (
        f"**{len(fits)} fits: {count[REACHED]} reached the quality, {count[REFUSED]} were refused, "
        f"{count[MISSED]} missed it in silence.**"
    )
    if not shares:
        return told
    refits = sum(one.refits for one in shares)
    joint = sum(one.joint * one.refits for one in shares) / refits
    low, high = binomial_bounds(refits, ALARM)
    failed = sum(not one.passed for one in shares)
    return (
        f"{told} Of {refits:,} refits in {len(shares)} designs, {joint:.2%} have the true log-likelihood in its "
        f"central 90 % (a right engine: {low:.2%} to {high:.2%} in 99 of 100 runs); the ranks of "
        f"{'no design' if not failed else f'{failed} designs'} are uneven."
    )


def _spread(one: Fitted) -> str:
    return "own" if one.spread is None else f"{one.spread:g}"


def _fit_cells(one: Fitted) -> list[str]:
    if one.acceptance is None or one.pareto_k is None or one.least_ess is None or one.greatest_rhat is None:
        return [one.design, _spread(one), str(one.dim), *["–"] * 5, number(one.seconds), one.verdict]
    return [
        one.design, _spread(one), str(one.dim), f"{one.acceptance:.0%}", f"{one.pareto_k:.2f}", str(one.keep_every),
        f"{one.least_ess:,.0f}", f"{one.greatest_rhat:.3f}", number(one.seconds),
        one.verdict + (f": {one.reason}" if one.reason else ""),
    ]  # fmt: skip


def _share_cells(one: Covered) -> list[str]:
    return [
        one.design, str(one.refits), str(one.refused), str(one.quantities), f"{one.mean:.1%}",
        f"{one.least:.0%}, {one.least_of}", f"{one.greatest:.0%}", f"{one.low:.0%} to {one.high:.0%}",
        f"{one.joint:.0%}", f"{one.p_value:.2g}", "calibrated" if one.passed else "uneven",
    ]  # fmt: skip


def _circumstances(told: dict[str, Any]) -> str:
    found = told["machine"]
    load = busy(found)
    others = f"Other work ran on the machine ({load:.1f} cores): times are long. " if load > BUSY else ""
    short = ("Trial of some designs. " if told["quick"] else "") + ("" if told["complete"] else "Unfinished run. ")
    libraries = ", ".join(f"{name} {found['libraries'][key]}" for key, name in LIBRARIES.items())
    return (
        f"{short}{others}{CHAINS} chains × {DRAWS:,} draws a fit; {RANKED} draws a refit; seed {SEED}. "
        f"{found['cpu']}, {found['cores']} cores, Python {found['python']}, {libraries}, {found['date'][:10]}; "
        f"{told['seconds']:,.0f} s in all."
    )


# -- the run ----------------------------------------------------------------------------------------------


def measure(
    earlier: dict[str, Any] | None = None, *, quick: bool = False, target: Path = RESULTS
) -> dict[str, Any]:
    """All designs, written as soon as they are there; a quick run takes every eighth, with few refits.

    earlier : an unfinished run, to be gone on with
    """
    designs = DESIGNS[2::QUICK] if quick else DESIGNS
    new = {"quick": quick, "complete": False, "seconds": 0.0, "fits": [], "coverage": []}
    told: dict[str, Any] = {**(earlier or new), "machine": machine.describe()}
    started = time.perf_counter() - told["seconds"]
    done = {what: {one["design"] for one in told[what]} for what in ("fits", "coverage")}

    def keep(what: str, found: list[Fitted | Covered]) -> None:
        told[what] += [asdict(one) for one in found]
        told["seconds"] = time.perf_counter() - started
        target.parent.mkdir(exist_ok=True)
        target.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(f"{told['seconds']:6.0f} s  {what}: {found[0].design}", flush=True)

    for design in (one for one in designs if one.name not in done["fits"]):
        keep("fits", [fitted(design, spread) for spread in design.spreads])
    # Those of few dimensions first: a run that is broken off has most designs.
    dims = {one["design"]: one["dim"] for one in told["fits"]}
    left = [one for one in designs if one.name not in done["coverage"]]
    for design in sorted(left, key=lambda one: dims[one.name]):
        keep("coverage", [covered(design, QUICK_REFITS if quick else REFITS, len(designs))])
    told["complete"] = True
    target.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return told


def main() -> None:
    """Measure and print, or write into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.stress", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every eighth design, with few refits: a trial")
    parser.add_argument("--write", action="store_true", help="rewrite the block between the page's markers")
    parser.add_argument("--page", type=Path, default=PAGE, help="the file to rewrite")
    parser.add_argument("--measured", type=Path, help="show results of an earlier run, and measure nothing")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was broken off")
    given = parser.parse_args()
    target = RESULTS.with_name("stress_trial.json") if given.quick else RESULTS
    earlier = given.measured or (target if given.resume else None)
    told = json.loads(earlier.read_text(encoding="utf-8")) if earlier else None
    if told is None or not given.measured:
        told = measure(told, quick=given.quick, target=target)
    table = markdown(told)
    if given.write:
        text = given.page.read_text(encoding="utf-8")
        given.page.write_text(rewritten(text, table, START, END), encoding="utf-8")
    else:
        print(table)


if __name__ == "__main__":
    main()

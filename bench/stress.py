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
from scipy.stats import binom

import priorhood as ph
from bench import machine, tables
from bench.data import RESULTS, dumped
from bench.stress_designs import DESIGNS, Design
from priorhood.data.rows import prepare_rows
from priorhood.diagnostics.summary import measures, varies
from priorhood.diagnostics.uniformity import ALARM
from priorhood.evaluation.sbc import simulate_sums
from priorhood.fitting.engine_choice import FitOptions, fit_moments
from priorhood.posterior.predictive import draw_prior
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.fit_data import FitData

if TYPE_CHECKING:
    from priorhood.posterior.posterior import Posterior

PAGE = Path(__file__).parents[1] / "docs" / "stress.md"
SEED = 2412
CHAINS, DRAWS = 4, 1000
# The stated quality; acceptance and Pareto k have the engine's own limits.
MIN_ESS, MAX_RHAT = 100 * CHAINS, 1.01
# Of 19 draws, 18 of the 20 equally likely ranks are the central 90 %, exactly.
REFITS, QUICK_REFITS, RANKED = 100, 20, 19
COVERED = 0.9
QUICK = 8  # every eighth design
REACHED, REFUSED, MISSED = "reached", "refused", "missed"


@dataclass(frozen=True)
class Fitted:
    """One fit of a design under one true spread; numbers are None if it was refused.

    spread : true sd of every effect, in residual sds; None for a design that has outcomes of its own
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


def fitted(design: Design, spread: float | None, threads: int | None = None) -> Fitted:
    """Fit outcomes with effects of that sd and residuals of sd 1, by the simulator of calibrate."""
    model = ph.Model(design.formula, list(design.priors), **design.options)
    rows = prepare_rows(design.frame(), model.formula, weights=model.weights)
    columns, sums = rows.design, collect_moments(rows)
    if spread is not None:
        # A spread of 0 is no value of a scale; this one is lost to rounding.
        known = {"mu": "Normal(0, 1)", "tau": f"Fixed({max(spread, 1e-12)})"}
        known |= {} if model.se is not None else {"sigma": "Fixed(1)"}
        known |= {key: known["tau"] for key in model.priors if key.startswith("tau")}
        data, rng = FitData.learn(model, columns, sums), np.random.default_rng([SEED, *design.name.encode()])
        sums = simulate_sums(data, draw_prior(data.with_model(model.with_priors(known)), 1, rng), rng)
    dim, started = dimensions(model, columns), time.perf_counter()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ph.PriorhoodWarning)  # of one row a group
            options = FitOptions.checked(CHAINS, DRAWS, seed=SEED, threads=threads, engine="exact")
            post = fit_moments(FitData.learn(model, columns, sums), options)
    except ph.PriorhoodError as problem:
        return Fitted(design.name, spread, dim, REFUSED, str(problem), time.perf_counter() - started)
    return judged(design.name, spread, dim, post, time.perf_counter() - started)


def dimensions(model: ph.Model, columns: Any) -> int:
    """Length of θ: spreads, correlations, and the residual sd unless it is known.

    With a residual sd for every place (math.md section 6), mu and what those sds have in common instead of sigma.
    """
    resolved = model.resolve(columns)
    correlated = [len(tau) for tau, omega in zip(resolved.tau, resolved.omega, strict=True) if omega]
    scales = sum(map(len, resolved.tau)) + sum(K * (K - 1) // 2 for K in correlated)
    if model.noise:
        return scales + len(resolved.mu) + 2 * (resolved.sigma_median is not None)
    return scales + (resolved.sigma is not None)


def judged(name: str, spread: float | None, dim: int, post: Posterior, seconds: float) -> Fitted:
    """Whether a posterior's draws have the stated quality, all parameters of all places included."""
    values = [v.values.reshape(CHAINS, DRAWS, -1) for v in post.tree["posterior"].data_vars.values()]
    together = np.concatenate(values, axis=2)
    r_hat, ess = measures(together[:, :, varies(together)])[:2]
    least, greatest = float(ess.min()), float(r_hat.max())
    missed = [f"ESS {least:.0f}"] * (least < MIN_ESS) + [f"R-hat {greatest:.3f}"] * (greatest > MAX_RHAT)
    return Fitted(
        name, spread, dim, MISSED if missed else REACHED, ", ".join(missed), seconds,
        float(post.attrs["acceptance"]), float(post.attrs["pareto_k"]), int(post.attrs["keep_every"]),
        least, greatest,
    )  # fmt: skip


def covered(design: Design, refits: int, table: int, threads: int | None = None) -> Covered:
    """Coverage of a design; `table` is the number of designs that share the error rate."""
    model = ph.Model(design.formula, list(design.priors), **design.options)
    # One seed for all would draw the same truths in all: their shares could not be put together.
    seed = SEED + zlib.crc32(design.name.encode())
    calibration = ph.calibrate(model, design.frame(), refits=refits, draws=RANKED, seed=seed, threads=threads)
    shares, ranked = calibration.summary()["in90"], len(calibration.ranks)
    least, greatest = float(shares.min()), float(shares.max())
    low, high = binomial_bounds(ranked, ALARM / table / len(shares))
    p_value = min(1.0, float(calibration.p_values.min()) * len(shares))
    return Covered(
        design.name, ranked, calibration.refits - ranked, tuple(f"{why} ({n})" for why, n in calibration.refused),
        len(shares), float(shares.mean()), least, str(shares.idxmin()), greatest, low, high,
        float(shares["log_likelihood"]), p_value, low <= least and greatest <= high and p_value > ALARM / table,
        calibration.seconds,
    )  # fmt: skip


def binomial_bounds(trials: int, alarm: float) -> tuple[float, float]:
    """Shares outside of which a coverage of exactly 90 % falls with probability of at most alarm."""
    low, high = binom.ppf([alarm / 2, 1 - alarm / 2], trials, COVERED)
    return float(low) / trials, float(high) / trials


# -- the page ---------------------------------------------------------------------------------------------

QUALITY = (
    *("design", "true spread / noise", "dim θ", "acceptance", "Pareto k", "keep every", "smallest bulk ESS"),
    *("largest R-hat", "seconds", "verdict"),
)
COVERAGE = (
    *(
        "design",
        "refits",
        "refused",
        "quantities",
        "mean",
        "smallest",
        "largest",
        "bounds",
        "joint",
        "p",
        "verdict",
    ),
)


def markdown(results: dict[str, Any]) -> str:
    """Both tables, what they say in all, and under which circumstances they were measured."""
    fits = [Fitted(**one) for one in results["fits"]]
    shares = [Covered(**{**one, "reasons": tuple(one["reasons"])}) for one in results["coverage"]]
    lines = [_in_all(fits, shares), "", tables.table(QUALITY, "l" + "r" * 8 + "l", map(_fit_cells, fits))]
    lines += [f"\nRefused: {one.design}, {_spread(one)}: {one.reason}." for one in fits if one.verdict == REFUSED]
    lines += ["", tables.table(COVERAGE, "l" + "r" * 9 + "l", map(_share_cells, shares))]
    missing = {one.design: None for one in fits if one.design not in {share.design for share in shares}}
    lines += [f"\nCoverage not measured in this run: {'; '.join(missing)}."] if missing else []
    lines += [f"\nRefused in {one.design}: {'; '.join(one.reasons)}." for one in shares if one.reasons]
    where = results["machine"]
    named = (
        f"{tables.LIBRARIES.get(key, key)} {where['libraries'][key]}" for key in ("priorhood", "numpy", "numba")
    )
    short = tables.unfinished(results, "Trial of some designs") + machine.remark(where, "times are long")
    about = (
        f"{short}{CHAINS} chains × {DRAWS:,} draws a fit; {RANKED} draws a refit; seed {SEED}; "
        f"{results['seconds']:,.0f} s in all. {machine.sentence(where, *named)}"
    )
    return "\n".join([*lines, "", about])


def _in_all(fits: list[Fitted], shares: list[Covered]) -> str:
    """The verdicts counted, and the coverage of all refits together, whose joint ranks are independent."""
    count = {verdict: sum(one.verdict == verdict for one in fits) for verdict in (REACHED, REFUSED, MISSED)}
    verdicts = (
        f"**{len(fits)} fits: {count[REACHED]} reached the quality, {count[REFUSED]} were refused, "
        f"{count[MISSED]} missed it in silence.**"
    )
    if not shares:
        return verdicts
    refits = sum(one.refits for one in shares)
    joint = sum(one.joint * one.refits for one in shares) / refits
    low, high = binomial_bounds(refits, ALARM)
    failed = sum(not one.passed for one in shares)
    return (
        f"{verdicts} Of {refits:,} refits in {len(shares)} designs, {joint:.2%} have the true log-likelihood in "
        f"its central 90 % (a right engine: {low:.2%} to {high:.2%} in 99 of 100 runs); the ranks of "
        f"{'no design' if not failed else f'{failed} designs'} are uneven."
    )


def _spread(one: Fitted) -> str:
    return "own" if one.spread is None else f"{one.spread:g}"


def _fit_cells(one: Fitted) -> list[str]:
    numbers = ["–"] * 5
    if one.least_ess is not None:
        numbers = [f"{one.acceptance:.0%}", f"{one.pareto_k:.2f}", str(one.keep_every)]
        numbers += [f"{one.least_ess:,.0f}", f"{one.greatest_rhat:.3f}"]
    verdict = one.verdict + (f": {one.reason}" if one.reason and one.verdict != REFUSED else "")
    return [one.design, _spread(one), str(one.dim), *numbers, tables.number(one.seconds), verdict]


def _share_cells(one: Covered) -> list[str]:
    return [
        one.design, str(one.refits), str(one.refused), str(one.quantities), f"{one.mean:.1%}",
        f"{one.least:.0%}, {one.least_of}", f"{one.greatest:.0%}", f"{one.low:.0%} to {one.high:.0%}",
        f"{one.joint:.0%}", f"{one.p_value:.2g}", "calibrated" if one.passed else "uneven",
    ]  # fmt: skip


# -- the run ----------------------------------------------------------------------------------------------


def measure(earlier: dict[str, Any] | None, target: Path, *, quick: bool) -> dict[str, Any]:
    """All designs, written as soon as they are there; a quick run takes every eighth, with few refits.

    earlier : an unfinished run, to be gone on with
    """
    designs = DESIGNS[2::QUICK] if quick else DESIGNS
    new = {"quick": quick, "complete": False, "seconds": 0.0, "fits": [], "coverage": []}
    results: dict[str, Any] = {**(earlier or new), "machine": machine.describe()}
    started = time.perf_counter() - results["seconds"]
    done = {what: {one["design"] for one in results[what]} for what in ("fits", "coverage")}

    def keep(what: str, rows: list[Fitted] | list[Covered]) -> None:
        results[what] += [asdict(one) for one in rows]
        results["seconds"] = time.perf_counter() - started
        dumped(results, target)
        print(f"{results['seconds']:6.0f} s  {what}: {rows[0].design}", flush=True)

    for design in (one for one in designs if one.name not in done["fits"]):
        keep("fits", [fitted(design, spread) for spread in design.spreads])
    # Those of few dimensions first: a run that is broken off has most designs.
    dims = {one["design"]: one["dim"] for one in results["fits"]}
    left = [one for one in designs if one.name not in done["coverage"]]
    for design in sorted(left, key=lambda one: dims[one.name]):
        keep("coverage", [covered(design, QUICK_REFITS if quick else REFITS, len(designs))])
    results["complete"] = True
    dumped(results, target)
    return results


def main() -> None:
    """Measure and print, or write into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.stress", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="every eighth design, with few refits: a trial")
    parser.add_argument("--write", action="store_true", help="rewrite the block between the page's markers")
    parser.add_argument("--measured", type=Path, help="show results of an earlier run, and measure nothing")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was broken off")
    given = parser.parse_args()
    target = RESULTS / ("stress_trial.json" if given.quick else "stress.json")
    earlier = given.measured or (target if given.resume else None)
    results = json.loads(earlier.read_text(encoding="utf-8")) if earlier else None
    if results is None or not given.measured:
        results = measure(results, target, quick=given.quick)
    table = markdown(results)
    if given.write:
        PAGE.write_text(tables.rewritten(PAGE.read_text(encoding="utf-8"), table, "stress"), encoding="utf-8")
    else:
        print(table)


if __name__ == "__main__":
    main()

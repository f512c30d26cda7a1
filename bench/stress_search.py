"""A search for silent errors: random small designs and priors, the engine against quadrature that is not its own.

`python -m bench.stress_search` explores each of 1,000 with 4 × 20,000 draws and counts what was right, refused, and
wrong without a word; bench/results/stress_search.json has every design. A design is wrong where

- log p(y) is off by more than 0.1 and by more than 5 reported errors, or
- the share of draws below a quantile of the quadrature is off by more than 0.03 and by more than 5 standard errors.

Priors are of every family, with scales from 1/1,000 to 1,000 times the data's, LKJ from 0.1 to 10. Designs are
made to have several modes: outlying places, one row a place, predictors that hardly vary, parents of one child.
From index 1,000 on, rows count differently (frequency and precision weights), or every place has its own noise.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import priorhood as ph
from bench import tables
from priorhood.data.rows import prepare_rows
from priorhood.engines import adapt, exact
from priorhood.engines.exact.group_noise import MIN_SHAPE, SUPPORTED, GroupNoiseDensity, draw_groups
from priorhood.engines.exact.marginal import collapse
from priorhood.engines.exact.mode import Density
from priorhood.engines.exact.sampler import explore
from priorhood.engines.exact.theta import constrain
from priorhood.model.distributions import (
    Exponential,
    Fixed,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Uniform,
)
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.standardize import learn_scale

sys.path.append(str(Path(__file__).parents[1] / "tests"))
from oracle import quadrature
from priorhood.suffstats.fit_data import FitData

HERE = Path(__file__).parent
RESULTS, MEASURED = HERE / "results" / "stress_search.json", HERE / "measured" / "stress_search.json"
PAGE = HERE.parent / "docs" / "stress.md"
SEED = 1717
CHAINS, DRAWS = 4, 20_000
EVIDENCE_OFF, SHARE_OFF, ERRORS = 0.1, 0.03, 5.0
RIGHT, REFUSED, SILENT, UNKNOWN = "right", "refused", "silently wrong", "no quadrature"
VERDICTS = (RIGHT, REFUSED, SILENT, UNKNOWN)
SANE = 30.0  # a prior whose scale is within this factor of the data's, without an extreme tail


@dataclass(frozen=True)
class Posed:
    """A design: what ph.Model and ph.fit are given, and the same as one big Normal.

    names : of the quadrature's axes, as (parameter, element)
    sane : whether all priors are of the data's scale
    """

    structure: str
    formula: str
    priors: tuple[str, ...]
    options: dict[str, Any]
    frame: dict[str, Any]
    dense: quadrature.Dense
    names: tuple[tuple[str, int], ...]
    sane: bool


@dataclass(frozen=True)
class Judged:
    """What became of a design."""

    index: int
    structure: str
    formula: str
    priors: tuple[str, ...]
    rows: int
    sane: bool
    verdict: str
    reason: str = ""
    log_evidence: float = math.nan
    evidence_off: float = math.nan
    evidence_error: float = math.nan
    share_off: float = math.nan
    share_errors: float = math.nan
    worst: str = ""
    acceptance: float = math.nan
    pareto_k: float = math.nan
    evaluations: int = 0
    seconds: float = 0.0
    quadrature_seconds: float = 0.0
    points: int = field(default=0)


# Designs of these kinds, in turn, follow the first thousand.
FIRST_OF_KINDS = 1000
KINDS = ("frequency weights", "precision weights", "noise by place", "noise by place, alike")
FREQUENCY, PRECISION, OWN, ALIKE = KINDS
DESIGNS = FIRST_OF_KINDS + 160
TERMS = ("[Intercept]", "[x]")
BARS = {
    "places": " + (1 | b)", "slopes": " + (0 + x | b)", "uncorrelated": " + (x || b)", "correlated": " + (x | b)",
    "nested": " + (1 | a/b)", "crossed": " + (1 | b) + (1 | a)",
}  # fmt: skip
STRUCTURES = ("pooled", "places", "places", "uncorrelated", "correlated", "slopes", "nested", "nested", "crossed")


def random_scale(rng: np.random.Generator, data: float, *, tight: bool = False) -> tuple[Any, bool]:
    """A prior of a scale, 1/1,000 to 1,000 times the data's, and whether it is an ordinary one."""
    power = rng.uniform(-3.0, -1.0) if tight else rng.uniform(-3.0, 3.0)
    s = data * 10.0**power
    ordinary = abs(power) < math.log10(SANE)
    kind = rng.integers(0, 4 if tight else 9)

    def one_of(*values: float) -> float:
        return float(rng.choice(values))

    if kind == 0:
        shape = one_of(0.5, 1, 2, 3, 5, 10, 30)
        return InverseGamma(shape, s * (shape + 1)), ordinary and shape >= 1
    if kind == 1:
        return HalfStudentT(one_of(0.5, 1, 2, 3, 4, 7, 30), s), ordinary
    if kind == 2:
        sd = one_of(0.1, 0.3, 0.5, 1, 2, 5)
        return LogNormal(math.log(s), sd), ordinary and sd >= 0.3
    if kind == 3:
        shape = one_of(0.1, 0.2, 0.5, 1, 2, 5, 20)
        return Gamma(shape, s / shape), ordinary and shape >= 0.5
    if kind == 7:
        return Uniform(0 if rng.random() < 0.7 else s / 3, s), ordinary and power > -0.5
    return {4: Exponential, 5: HalfNormal, 6: HalfCauchy}.get(kind, Fixed)(s), ordinary


class Draft:
    """What a design collects while it is drawn: lines of priors, axes of the quadrature, whether all are sane."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.names: list[tuple[str, int]] = []
        self.sane = True

    def scale(self, name: str, prior: Any, *, ordinary: bool, term: str = "", element: int = 0) -> Any:
        """Add the prior of a scale; return what the quadrature takes: its value, or how it is distributed."""
        self.sane = self.sane and ordinary
        self.texts.append(f"{name}{term} ~ {prior!r}")
        if isinstance(prior, Fixed):
            return prior.value
        self.names.append((name, element))
        return quadrature.scale_of(prior)

    def posed(self, structure: str, formula: str, options: Any, frame: Any, dense: quadrature.Dense) -> Posed:
        """The design that it has become."""
        return Posed(structure, formula, tuple(self.texts), options, frame, dense, tuple(self.names), self.sane)


def random_design(index: int) -> Posed:
    """The index-th design, always the same."""
    rng = np.random.default_rng([SEED, index])
    kind = KINDS[index % len(KINDS)] if index >= FIRST_OF_KINDS else None
    if kind in (OWN, ALIKE):
        return _own_noise(rng, kind)
    structure = str(rng.choice(STRUCTURES))
    (a, b), rows = _groups(rng, structure, 8 if kind == FREQUENCY else 18)
    one, x = np.ones(rows), rng.normal(size=rows)
    if structure in ("uncorrelated", "correlated") and rng.random() < 0.4:
        x = 1.0 + float(rng.choice([0.01, 0.05, 0.3])) * x
    data = float(10.0 ** rng.uniform(-1.0, 1.0)) if rng.random() < 0.3 else 1.0
    noise = data * float(rng.choice([0.03, 0.3, 1.0]))
    y = noise * rng.normal(size=rows) + data * _effects(rng, b) * (x if structure == "slopes" else one)
    if structure in ("uncorrelated", "correlated"):
        y = y + data * _effects(rng, b) * x
    if structure in ("nested", "crossed"):
        y = y + data * _effects(rng, a)
    if rng.random() < 0.2:  # alternating
        y = data * 3.0 * (-1.0) ** np.arange(rows) + noise * rng.normal(size=rows)
    tight = rng.random() < 0.5
    shared = random_scale(rng, data, tight=tight)

    def prior() -> tuple[Any, bool]:
        return shared if rng.random() < 0.6 else random_scale(rng, data, tight=tight)

    draft = Draft()

    def spreads(name: str, count: int) -> list[Any]:
        scales = []
        for k in range(count):
            chosen, fine = prior()
            scales.append(draft.scale(name, chosen, ordinary=fine, term=TERMS[k] if count == 2 else "", element=k))
        return scales

    mu_sd = data * float(rng.choice([0.1, 1.0, 20.0]))
    slope = structure in ("uncorrelated", "correlated", "slopes")
    columns, mu = [one, *([x] if slope else [])], [(0.0, mu_sd)] * (1 + slope)
    draft.texts.append(f"mu ~ Normal(0, {mu_sd!r})")
    given, eta = [], None
    if structure != "pooled":
        varies = {"slopes": [x], "uncorrelated": [one, x], "correlated": [one, x]}.get(structure, [one])
        taus = spreads("tau", len(varies))
        if structure == "correlated":
            eta = float(rng.choice([0.1, 0.3, 0.5, 1, 2, 10]))
            draft.sane = draft.sane and eta >= 0.5
            draft.texts.append(f"omega ~ LKJ({eta})")
            draft.names.append(("omega", 0))
        given.append((b, varies, taus, eta))
    if structure in ("nested", "crossed"):
        given.append((a, [one], spreads("tau_a", 1), None))
    frame: dict[str, Any] = {"y": y, "x": x, "a": [f"a{i}" for i in a], "b": [f"b{i}" for i in b]}
    options: dict[str, Any] = {}
    known = weights = sigma = None
    how = rng.random()
    # θ has three coordinates at most.
    full = structure == "correlated" and len(draft.names) > 2
    if kind == PRECISION and full:
        sigma = draft.scale("sigma", Fixed(noise), ordinary=True)
    elif not draft.names or kind == PRECISION or (how >= 0.3 and not full):
        chosen, fine = prior()
        if isinstance(chosen, Fixed) and not draft.names:
            chosen = Exponential(data)
        sigma = draft.scale("sigma", chosen, ordinary=fine)
        if how > 0.85 and kind is None:
            weights = 10.0 ** rng.uniform(-1.0, 1.0, rows)
    else:
        known = noise * 10.0 ** rng.uniform(-0.5, 0.5, rows) if rng.random() < 0.5 else np.full(rows, noise)
        frame["e"], options["se"] = known, "e"
    times = np.ones(rows, int)
    if kind == PRECISION or (kind == FREQUENCY and known is None and rng.random() < 0.3):
        weights = 10.0 ** (float(rng.choice([0.3, 1.0, 3.0])) * rng.uniform(-1.0, 1.0, rows))
    if weights is not None:
        frame["w"], options["precision_weights"] = weights, "w"
    if kind == FREQUENCY:
        times = counts_of_rows(rng, rows)
        frame["n"], options["frequency_weights"] = times, "n"
    dense = as_rows(times, y, columns, mu, given, sigma, known, weights)
    formula = f"y ~ {'x' if slope else '1'}{BARS.get(structure, '')}"
    return Posed(
        kind or structure, formula, tuple(draft.texts), options, frame, dense, tuple(draft.names), draft.sane
    )


def counts_of_rows(rng: np.random.Generator, rows: int) -> np.ndarray:
    """How many rows each stands for: none to five, two of them at least one."""
    times = rng.choice([0, 1, 1, 2, 3, 5], rows)
    times[[0, -1]] = np.maximum(times[[0, -1]], 1)
    return np.asarray(times)


def as_rows(
    times: np.ndarray, y: np.ndarray, columns: list[Any], mu: list[Any], given: list[Any], sigma: Any, known: Any,
    weights: Any, noise: Any = None,
) -> Any:  # fmt: skip
    """The quadrature's model, with every row as often as it counts."""

    def rows(each: Any) -> Any:
        return None if each is None else np.repeat(each, times)

    groupings = [(rows(labels), [rows(x) for x in cols], taus, eta) for labels, cols, taus, eta in given]
    return quadrature.regression(
        rows(y), [rows(x) for x in columns], mu, groupings, sigma, rows(known), rows(weights), rows(noise)
    )


def _own_noise(rng: np.random.Generator, kind: str) -> Posed:
    """A residual sd for each of two or three places, independent of each other or alike."""
    places = 3 if kind == OWN and rng.random() < 0.4 else 2
    counts = rng.integers(1, 7, places)
    if rng.random() < 0.3:
        counts[rng.integers(places)] = 1
    b = np.repeat(np.arange(places), counts)
    rows = len(b)
    data = float(10.0 ** rng.uniform(-1.0, 1.0)) if rng.random() < 0.3 else 1.0
    noise = data * float(rng.choice([0.03, 0.3, 1.0]))
    noise = noise * 10.0 ** (float(rng.choice([0, 0.3, 1])) * rng.normal(size=places))
    one, x = np.ones(rows), rng.normal(size=rows)
    shape = str(rng.choice(["places", "places", "slopes", "uncorrelated"]))
    varies = {"places": [one], "slopes": [x], "uncorrelated": [one, x]}[shape]
    y = noise[b] * rng.normal(size=rows) + sum(data * _effects(rng, b) * each for each in varies)
    tight = rng.random() < 0.4
    draft, taus = Draft(), []
    # Three coordinates at most, the residual sds among them: spreads are known where those are many.
    free = shape != "uncorrelated" and places == 2 and rng.random() < (0.7 if kind == OWN else 0.4)
    for k in range(len(varies)):
        prior, fine = random_scale(rng, data, tight=tight)
        if not free:
            prior, fine = Fixed(data * 10.0 ** rng.uniform(-2.0, 1.0)), True
        term = TERMS[k] if len(varies) == 2 else ""
        taus.append(draft.scale("tau", prior, ordinary=fine, term=term, element=k))
    sigma: Any
    if kind == OWN:
        prior, fine = random_scale(rng, data, tight=tight)
        while not isinstance(prior, SUPPORTED) or (isinstance(prior, Gamma) and prior.shape < MIN_SHAPE):
            prior, fine = random_scale(rng, data, tight=tight)
        sigma = draft.scale("sigma", prior, ordinary=fine)
        draft.names += [("sigma", j) for j in range(1, places)]
    else:
        sigma = []
        known = str(rng.choice(["", *["sigma_median", "sigma_spread"] * 4])) if free else ""
        for name, size in (("sigma_median", data), ("sigma_spread", 1.0)):
            prior, fine = random_scale(rng, size, tight=tight and name == "sigma_median")
            if name == known and not isinstance(prior, Fixed):
                prior, fine = Fixed(size * 10.0 ** rng.uniform(-2.0, 1.0)), True
            sigma.append(draft.scale(name, prior, ordinary=fine))
    mu_sd = data * float(rng.choice([0.1, 1.0, 20.0]))
    columns, terms = [[one], [one, x]][shape != "places"], ["1", "x"][shape != "places"]
    if shape == "places" and rng.random() < 0.15:
        columns, terms = [], "0"
    if columns:
        draft.texts.append(f"mu ~ Normal(0, {mu_sd!r})")
    frame: dict[str, Any] = {"y": y, "x": x, "b": [f"b{i}" for i in b]}
    options: dict[str, Any] = {"noise": "b"}
    times, weights = np.ones(rows, int), None
    if rng.random() < 0.3:
        weights = 10.0 ** rng.uniform(-1.0, 1.0, rows)
        frame["w"], options["precision_weights"] = weights, "w"
    if rng.random() < 0.2:
        times = counts_of_rows(rng, rows)
        times[np.unique(b, return_index=True)[1]] = 1  # of every place one
        frame["n"], options["frequency_weights"] = times, "n"
    dense = as_rows(
        times, y, columns, [(0.0, mu_sd)] * len(columns), [(b, varies, taus, None)], sigma, None, weights, b
    )
    return draft.posed(kind, f"y ~ {terms}{BARS[shape]}", options, frame, dense)


def _groups(rng: np.random.Generator, structure: str, most: int) -> tuple[tuple[np.ndarray, np.ndarray], int]:
    """Labels of two groupings of rows, coarse and fine; of rows, one to some in a place."""
    places = int(rng.integers(2, 10))
    per = rng.choice([1, 1, 2, 3, 0])
    counts = rng.integers(1, 5, places) if per == 0 else np.full(places, per)
    b = np.repeat(np.arange(places), counts)[:most]
    if structure == "crossed":
        return (rng.integers(0, int(rng.integers(2, 5)), len(b)), b), len(b)
    # Parents: many of one child, as in tables of districts with one ZIP code.
    parents = rng.integers(0, places, places) if rng.random() < 0.5 else np.maximum(np.arange(places) - 2, 0)
    return (parents[b], b), len(b)


def _effects(rng: np.random.Generator, label: np.ndarray) -> np.ndarray:
    """Effects of groups in units of the data's scale: none, some, or one outlying group."""
    effects = rng.normal(size=label.max() + 1) * float(rng.choice([0.0, 0.01, 0.3, 1.0, 3.0]))
    if rng.random() < 0.25:
        effects[rng.integers(0, len(effects))] += float(rng.choice([-4.0, 4.0]))
    return np.asarray(effects[label])


def explored_design(posed: Posed, seed: int, draws: int) -> tuple[Any, dict[tuple[str, int], np.ndarray]]:
    """What a fit explores, without the coefficients' draws; the values of every scale and correlation (draws,)."""
    model = ph.Model(posed.formula, list(posed.priors), standardize=False, outcome_unit=1.0, **posed.options)
    rows = prepare_rows(posed.frame, model.formula, weights=model.weights)
    sums = collect_moments(rows)
    scale = learn_scale(sums, rows.design, standardize=model.standardize, unit=model.outcome_unit)
    problem = adapt.to_exact(FitData(model, rows.design, sums, scale))
    reason = exact.unsupported_reason(problem)
    base = problem.base
    if model.se is None and base.c <= 1e-14 * sums.pooled()[1][-1, -1]:
        reason = "the outcome is an exact function of the predictors"  # as a fit says
    if isinstance(problem, exact.GroupNoiseProblem) and len(problem.rows.exact):
        reason = "all rows of a group lie exactly on a line"  # as a fit says
    if reason:
        raise ph.ModelError(reason)
    rng = np.random.default_rng(seed)
    if isinstance(problem, exact.GroupNoiseProblem):
        density = GroupNoiseDensity(problem, 1)
        explored = explore(density, CHAINS, draws, rng)
        own = density.constrain(explored.theta.reshape(CHAINS * draws, -1))
        sigma, _ = draw_groups(problem, own, rng)
        values = {("sigma", j): sigma[:, j] for j in range(sigma.shape[1])}
        values |= {("tau", k): own.scales.tau[0][:, k] for k in range(own.scales.tau[0].shape[1])}
        return explored, values | {("sigma_median", 0): own.median, ("sigma_spread", 0): own.spread}
    explored = explore(Density(collapse(problem), 1), CHAINS, draws, rng)
    theta = explored.theta.reshape(CHAINS * draws, -1)
    made = constrain(problem, theta)
    values = {("sigma", 0): made.sigma}
    for suffix, tau, corr in zip(("", "_a"), made.tau, made.corr, strict=False):
        values |= {(f"tau{suffix}", k): tau[:, k] for k in range(tau.shape[1])}
        if tau.shape[1] == 2:
            values["omega", 0] = corr[:, 1, 0]
    return explored, values


def _integrated(dense: quadrature.Dense) -> quadrature.Found:
    """The quadrature; from a finer lattice where the first one does not settle."""
    try:
        return quadrature.integrate(dense)
    except RuntimeError:
        return quadrature.integrate(dense, step=0.4 if len(dense.axes) > 2 else 0.2, least=5000)


def judge(index: int, posed: Posed | None = None, draws: int = DRAWS) -> Judged:
    """Fit a design, and hold it against the quadrature."""
    posed = posed or random_design(index)
    started = time.perf_counter()
    facts: dict[str, Any] = {
        "index": index, "structure": posed.structure, "formula": posed.formula, "priors": posed.priors,
        "rows": len(posed.frame["y"]), "sane": posed.sane,
    }  # fmt: skip
    try:
        explored, values = explored_design(posed, index, draws)
    except ph.PriorhoodError as problem:
        seconds = time.perf_counter() - started
        return Judged(**facts, verdict=REFUSED, reason=str(problem), seconds=seconds)
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    try:
        truth = _integrated(posed.dense)
    except RuntimeError as problem:
        return Judged(**facts, verdict=UNKNOWN, reason=str(problem), seconds=seconds)
    off = explored.log_evidence - truth.log_evidence
    error = explored.log_evidence_error
    share_off = share_errors = 0.0
    worst = ""
    silent = abs(off) > EVIDENCE_OFF and abs(off) > ERRORS * error
    for axis, (name, element) in enumerate(posed.names):
        for p in quadrature.PROBABILITIES:
            edge = truth.quantile(axis, p)
            if name == "omega" and abs(edge) > 1 - 1e-12:
                continue  # 1 up to rounding
            below = values[name, element] < edge
            # Batch means: draws of a chain that stays at a state are judged by them.
            batches = below.reshape(40, -1).mean(axis=1)
            se = max(float(batches.std(ddof=1)) / math.sqrt(40), math.sqrt(p * (1 - p) / below.size))
            far = float(below.mean()) - p
            if abs(far) > abs(share_off):
                share_off, share_errors, worst = far, far / se, f"{name} {element} at {p}"
            silent = silent or (abs(far) > SHARE_OFF and abs(far) > ERRORS * se)
    return Judged(
        **facts, verdict=SILENT if silent else RIGHT, log_evidence=truth.log_evidence, evidence_off=off,
        evidence_error=error, share_off=share_off, share_errors=share_errors, worst=worst,
        acceptance=explored.acceptance, pareto_k=explored.pareto_k, evaluations=explored.evaluations,
        seconds=seconds,
        quadrature_seconds=time.perf_counter() - started, points=truth.points,
    )  # fmt: skip


# -- the table --------------------------------------------------------------------------------------------


def markdown(designs: list[dict[str, Any]]) -> str:
    """The counts, by structure."""
    silent = sum(one["verdict"] == SILENT for one in designs)
    refused = [one for one in designs if one["verdict"] == REFUSED]
    sane = [one for one in designs if one["sane"]]
    right = [one for one in designs if one["verdict"] == RIGHT]
    off = [abs(one["evidence_off"]) / one["evidence_error"] for one in right if one["evidence_error"] > 0]
    within = sum(one < 2 for one in off) / max(len(off), 1)
    furthest = max((abs(one["evidence_off"]) for one in right), default=0.0)
    shares = max((abs(one["share_off"]) for one in right), default=0.0)
    counts = (
        f"**{len(designs):,} designs: {len(right):,} right, {len(refused):,} refused, {silent} silently wrong.** "
        f"Of the {len(sane):,} whose priors have the data's scale, {sum(one['sane'] for one in refused)} were "
        f"refused. Where it was right, log p(y) is within two reported errors of the quadrature's in {within:.0%} "
        f"(Normal errors: 95%) and off by {furthest:.3f} at most; shares of draws are off by {shares:.3f} at most."
    )
    rows = []
    for name in dict.fromkeys((*STRUCTURES, *KINDS)):
        own = [one["verdict"] for one in designs if one["structure"] == name]
        rows.append([name, str(len(own)), *(str(own.count(v)) for v in VERDICTS)])
    return f"{counts}\n\n{tables.table(('structure', 'designs', *VERDICTS), 'lr', rows)}"


def main() -> None:
    """Judge a range of designs, or write results into the page."""
    parser = argparse.ArgumentParser(prog="python -m bench.stress_search", description=__doc__)
    parser.add_argument("--designs", type=int, default=DESIGNS)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--target", type=Path, default=RESULTS)
    parser.add_argument("--write", nargs="+", type=Path, help="results to keep in bench/measured and on the page")
    given = parser.parse_args()
    if given.write:
        parts = [json.loads(path.read_text(encoding="utf-8")) for path in given.write]
        every = {one["index"]: one for part in parts for one in part}
        designs = [every[index] for index in sorted(every)]
        lines = (json.dumps({key: _short(value) for key, value in one.items()}) for one in designs)
        MEASURED.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
        block = markdown(json.loads(MEASURED.read_text(encoding="utf-8")))
        PAGE.write_text(tables.rewritten(PAGE.read_text(encoding="utf-8"), block, "search"), encoding="utf-8")
        return
    designs = []
    for index in range(given.first, given.first + given.designs):
        one = judge(index)
        designs.append(asdict(one))
        if one.verdict != RIGHT:
            off = f"{one.evidence_off:.3f} ± {one.evidence_error:.4f}, {one.share_off:.3f}, {one.worst}"
            print(index, one.verdict, one.formula, *one.priors, off, one.reason, flush=True)
        if index % 20 == 19 or len(designs) == given.designs:
            given.target.parent.mkdir(exist_ok=True)
            given.target.write_text(json.dumps(designs, indent=1) + "\n", encoding="utf-8")
    print({v: sum(one["verdict"] == v for one in designs) for v in VERDICTS})


def _short(value: Any) -> Any:
    """A number of four digits; what is no number is none in JSON."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.4g}") if math.isfinite(value) else None


if __name__ == "__main__":
    main()

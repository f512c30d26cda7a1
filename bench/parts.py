"""priorhood alone: a function for every part of `python -m bench --only PART`, which returns its measurements."""

from __future__ import annotations

import statistics
import sys
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import polars as pl

import priorhood as ph
from bench import kernel
from bench.case import CHAINS, CORRELATED, DATA_SEED, DRAWS, FORMULAS, Measurement, sales
from bench.contenders import CONTENDERS
from bench.contest import Limits, answered
from bench.environments import command_of
from bench.process import Ended, done, repeat

if TYPE_CHECKING:
    from bench.case import Effort


def _fits(
    key: str, what: str, model: Any, rows: Any, times: int, target: float | None = None, warm_up: int = 3
) -> Measurement:
    """Whole fits, from rows in memory to 4 × 1000 labelled draws in memory, each with another seed."""
    seconds = repeat(lambda at: ph.fit(model, rows, seed=1000 + at), times, warm_up)
    kind = "Polars" if isinstance(rows, pl.DataFrame) else "pandas"
    return Measurement(key, f"{kind} frame → {what}", "s", seconds, target)


def own(effort: Effort) -> list[Measurement]:
    """Both models on the demo's sales, beside lme4's estimate where it is installed."""
    frame, measured = sales(), []
    for name, formula in FORMULAS.items():
        estimated = _by_lme4(name, frame, effort)
        summaries = [ph.fit(formula, frame, seed=1 + at).summary(standardized=True) for at in range(effort.seeds)]
        parameters = f"{len(summaries[0])} parameters, {name} effects"
        label = f"{CHAINS} × {DRAWS} draws of {parameters}"
        fit = _fits(f"fit_{name}", label, formula, frame, effort.fits, 0.10)
        measured.append(fit)
        # Before and after: what else the machine does is the same for both.
        estimated += _by_lme4(name, frame, effort)
        if estimated:
            what = f"lme4, one thread: data frame → estimate, {name} effects"
            measured.append(Measurement(f"lme4_{name}", what, "s", estimated))
            ratio = statistics.median(fit.values) / statistics.median(estimated)
            what, target = f"{fit.what}, relative to lme4's time", 0.7 if name == "correlated" else None
            measured.append(Measurement(f"fit_lme4_{name}", what, "×", (ratio,), target))
        measured.append(_fits(f"fit_polars_{name}", label, formula, pl.from_pandas(frame), effort.fits, 0.10))
        least = tuple(float(s["ess_bulk"].min()) for s in summaries)
        greatest = tuple(float(s["r_hat"].max()) for s in summaries)
        what = f"smallest bulk ESS of the {parameters}"
        measured.append(Measurement(f"ess_{name}", what, "", least, 3000.0, at_most=False, worst=True))
        what = f"largest R-hat of the {parameters}"
        measured.append(Measurement(f"rhat_{name}", what, "", greatest, 1.01, worst=True))
    return measured


def _by_lme4(name: str, frame: pd.DataFrame, effort: Effort) -> tuple[float, ...]:
    """Seconds of lme4's further fits of the same rows, standardized as it wants them; none without it."""
    command, _ = command_of(CONTENDERS["lme4"])
    if not command:
        return ()
    space = frame["living_space"]
    rows = {"g": frame["zip"], "x": (space - space.mean()) / space.std(), "y": frame["price"] / 100_000}
    with tempfile.TemporaryDirectory() as made:
        path = Path(made) / "rows.csv"
        pd.DataFrame(rows).to_csv(path, index=False)
        asked = {"data": str(path), "model": name, "places": sorted(set(frame["zip"])), "chains": CHAINS}
        limits = Limits(fits=effort.fits // 2)
        measured = answered(CONTENDERS["lme4"], asked | {"draws": DRAWS}, limits, command, path.parent, twice=False)
    return tuple(measured.get("fits", ()))


# -- fresh processes --------------------------------------------------------------------------------------

IMPORT = "import time; t = time.perf_counter(); import priorhood; {} print(time.perf_counter() - t)"


def imports(effort: Effort) -> list[Measurement]:
    """`import priorhood` in fresh processes; the first, which may read from disk, is not counted."""
    measured = []
    # A name loads its module when it is used.
    for key, label, then in (("import", "", ""), ("import_fit", " and `priorhood.fit`", "priorhood.fit;")):
        command = [sys.executable, "-c", IMPORT.format(then)]
        with tempfile.TemporaryDirectory() as folder:
            seconds = [float(done(command, Path(folder)).output) for _ in range(effort.imports + 1)]
        what = f"`import priorhood`{label}, fresh process"
        measured.append(Measurement(key, what, "s", tuple(seconds[1:]), 0.2))
    return measured


def _commands(count: int, *, compiled: bool) -> list[Ended]:
    """`priorhood fit` on the demo's CSV, with the compile cache of the first or an empty one each."""
    program = str(Path(sys.executable).with_name("priorhood"))
    ended = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        done([program, "simulate", "-o", "sales.csv", "--seed", str(DATA_SEED)], folder)
        for at in range(count):
            command = [program, "fit", "sales.csv", CORRELATED, "-o", "posterior.nc", "--seed", "1"]
            cache = folder / ("cache" if compiled else f"cache{at}")
            ended.append(done(command, folder, {"NUMBA_CACHE_DIR": str(cache)}))
    return ended


def _cpu(ended: list[Ended]) -> str:
    """CPU time, which others on the machine hardly change."""
    return f"CPU time {min(e.cpu for e in ended):.2f} s at least"


def command_line(effort: Effort) -> list[Measurement]:
    """Seconds and peak memory of whole processes; the first fills the compile cache and is not counted."""
    ended = _commands(effort.processes + 1, compiled=True)[1:]
    label = "whole process `priorhood fit sales.csv`, compiled before"
    peaks = tuple(e.peak_mb for e in ended)
    return [
        Measurement("cli", label, "s", tuple(e.seconds for e in ended), 1.6, note=_cpu(ended)),
        Measurement("cli_memory", f"{label}: peak memory", "MB", peaks, 500.0, worst=True),
    ]


def compiling(effort: Effort) -> list[Measurement]:
    """The same with an empty compile cache each time."""
    ended = _commands(effort.compiles, compiled=False)
    label = "whole process `priorhood fit sales.csv`, first run, including compilation"
    return [Measurement("compile", label, "s", tuple(e.seconds for e in ended), 20.0, note=_cpu(ended))]


# -- from a posterior -------------------------------------------------------------------------------------


def predictive(effort: Effort) -> list[Measurement]:
    """posterior_predictive of all 7,500 rows, from 4,000 draws of the exact engine's posterior."""
    frame, measured = sales(), []
    post = ph.fit(CORRELATED, frame, seed=1)
    variants: dict[str, tuple[str, dict[str, Any]]] = {
        "draws": ("outcomes only", {"log_likelihood": False}),
        "draws and log-likelihood": ("outcomes and log-likelihood", {}),
        "draws and log-likelihood, float32": ("outcomes and log-likelihood, float32", {"dtype": "float32"}),
    }
    for key, (what, options) in variants.items():
        seconds = repeat(
            lambda at, o=options: ph.posterior_predictive(post, frame, seed=abs(at), **o), effort.fits // 3
        )
        label = f"posterior_predictive, 7,500 rows × 4,000 draws, {what}"
        measured.append(Measurement(f"predictive {key}", label, "s", seconds, 2.0))
    return measured


def calibrate(effort: Effort) -> list[Measurement]:
    """ph.calibrate with all cores, from rows in memory to verdicts."""
    frame, refits = sales(), 500
    seconds = repeat(
        lambda at: ph.calibrate(CORRELATED, frame, refits=refits, seed=abs(at)), max(1, effort.fits // 10)
    )
    return [Measurement("calibrate", f"calibrate, {refits} refits, 219 ZIP codes, correlated", "s", seconds, 120.0)]


def leave_out(effort: Effort) -> list[Measurement]:
    """From a posterior (and its rows in memory) to elpd with standard error and Pareto k; also ArviZ's PSIS."""
    frame = sales()
    post = ph.fit(CORRELATED, frame, seed=1)

    def by_arviz(_: int) -> None:
        from arviz_stats.base import array_stats

        drawn = ph.posterior_predictive(post, frame)["log_likelihood"]["price"].values
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for row in range(drawn.shape[2]):
                array_stats.loo(drawn[:, :, row], chain_axis=0, draw_axis=1)

    elpd = ph.loo(post, frame)
    note = f"{len(elpd.bad)} rows with a Pareto k over {elpd.good_k:.2f}, Monte Carlo error {elpd.mcse:.2g}"
    places = repeat(lambda _: ph.loo_places(post), effort.fits // 3)
    rows = repeat(lambda _: ph.loo(post, frame), effort.fits // 3)
    what = "leave-one-out, rows, 7,500"
    return [
        Measurement("leave out places", "leave-one-out, places, 219 ZIP codes", "s", places, 2.0),
        Measurement("leave out rows", what, "s", rows, note=note),
        Measurement("leave out rows, ArviZ", f"{what}, log-likelihoods and ArviZ's PSIS", "s", repeat(by_arviz, 1)),
    ]


# -- other models -----------------------------------------------------------------------------------------

# Rubin 1981.
SCHOOLS = pd.DataFrame(
    {"school": [*"ABCDEFGH"], "effect": [28, 8, -3, 7, -1, 1, 18, 12], "se": [15, 10, 16, 11, 9, 11, 10, 18]}
)
EIGHT = ph.Model(
    "effect ~ 1 + (1 | school)", ["mu ~ Normal(0, 5)", "tau ~ HalfCauchy(5)"], se="se", standardize=False,
    outcome_unit=1,
)  # fmt: skip


def weights(effort: Effort) -> list[Measurement]:
    """Rows that count differently: eight schools, whose errors are known, and the sales with weights."""
    rng, frame = np.random.default_rng(1), sales()
    frame = frame.assign(w=10.0 ** rng.uniform(-1, 1, len(frame)), n=rng.integers(1, 10, len(frame)))
    jobs = {
        "eight schools, known errors": (EIGHT, SCHOOLS),
        "precision weights, correlated": (ph.Model(CORRELATED, precision_weights="w"), frame),
        "frequency weights, correlated": (ph.Model(CORRELATED, frequency_weights="n"), frame),
    }
    return [
        _fits(f"fit {what}", f"4 × 1000 draws, {what}", model, rows, effort.fits, 0.10)
        for what, (model, rows) in jobs.items()
    ]


def noise(effort: Effort) -> list[Measurement]:
    """A residual sd for every ZIP code, by the exact engine: fits, worst ESS, and the kernel of one θ."""
    priors, frame, measured = {"alike": None, "independent": "sigma ~ Exponential(5)"}, sales(), []
    for formula, text in FORMULAS.items():
        for name, prior in priors.items():
            model = ph.Model(text, prior, noise="zip")
            label = f"4 × 1000 draws, residual sd by ZIP code: {kernel.POOLING[name]}; effects {formula}"
            key = f"{formula}_{name}"
            measured.append(_fits(f"noise_fit_{key}", label, model, frame, max(effort.fits // 5, 2), 2.0, 1))
            summaries = [ph.fit(model, frame, seed=1000 - at).summary() for at in range(effort.seeds)]
            least, what = tuple(float(s["ess_bulk"].min()) for s in summaries), f"smallest bulk ESS, {label}"
            measured.append(Measurement(f"noise_ess_{key}", what, "", least, 2000.0, at_most=False, worst=True))
    return measured + kernel.measure_noise(priors, effort)


def groupings(effort: Effort) -> list[Measurement]:
    """Nested and crossed groupings: 219 ZIP codes in 12 districts in 3 cities, and across 6 types."""
    rng, frame = np.random.default_rng(1), sales()
    code, kind = frame.zip.astype(int) % 12, rng.integers(0, 6, len(frame))
    far = 8e4 * rng.normal(size=3)[code % 3] + 6e4 * rng.normal(size=12)[code] + 4e4 * rng.normal(size=6)[kind]
    names = {"district": code.astype(str), "city": (code % 3).astype(str), "type": kind.astype(str)}
    frame = frame.assign(price=frame.price + far, **names)
    formulas = {
        "one level, correlated": CORRELATED,
        "ZIPs in 12 districts in 3 cities, correlated": "price ~ living_space + (living_space | city/district/zip)",
        "ZIPs, correlated, crossed with 6 types": CORRELATED + " + (1 | type)",
    }
    return [
        _fits(f"fit {what}", f"4 × 1000 draws, {what}", formula, frame, effort.fits)
        for what, formula in formulas.items()
    ]


def predictors(effort: Effort) -> list[Measurement]:
    """Many predictors: 5,000 rows in 200 places, an intercept and one slope that vary by place."""
    rows, places, measured = 5_000, 200, []
    for count, target in {20: None, 50: None, 100: 3.0, 200: 10.0}.items():
        rng, names = np.random.default_rng(count), [f"x{i}" for i in range(count)]
        x, place = rng.normal(size=(rows, count)), rng.integers(0, places, rows)
        effects = rng.normal(size=(places, 2)) * [1.0, 0.3]
        y = 10 + x @ rng.normal(size=count) + effects[place, 0] + effects[place, 1] * x[:, 0]
        frame = pd.DataFrame(x, columns=names).assign(y=y + rng.normal(size=rows), g=place.astype(str))
        label = f"4 × 1000 draws, {count} predictors, {rows:,} rows, {places} places"
        formula = f"y ~ {' + '.join(names)} + (x0 | g)"
        measured.append(
            _fits(f"fit {count} predictors", label, formula, frame, max(2, effort.fits // 6), target, warm_up=1)
        )
    return measured

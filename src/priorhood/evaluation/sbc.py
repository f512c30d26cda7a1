"""Simulation-based calibration of a user's own model on their own design: is the truth where the draws say?

Truths from the prior, outcomes from the truths, a fit of every outcome: the truth is then one more draw of
the posterior, and its rank among the draws uniform (Talts et al. 2018; Modrák et al. 2023).
"""

from __future__ import annotations

import re
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import MOST_DRAWS, answers_other_names, check_seed, whole
from priorhood.data.join_places import placed
from priorhood.data.sources.table import read
from priorhood.diagnostics.summary import below_diagonal, labels_of
from priorhood.diagnostics.uniformity import ALARM, UniformityTest, counts_below, judge, places
from priorhood.errors import ModelError, PriorhoodError, SamplingError
from priorhood.fitting.identifiability import check_informed
from priorhood.fitting.run import FitOptions, draw_exact, exact_refusal
from priorhood.model.model import Model, as_model
from priorhood.posterior.posterior import Posterior
from priorhood.posterior.predictive import draw_prior
from priorhood.posterior.tree import labelled
from priorhood.prediction.coefficients import CALIBRATION, stream
from priorhood.suffstats import collect
from priorhood.suffstats.fit_data import FitData

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd
    import xarray as xr

    from priorhood._arrays import Array, Flags, Index
    from priorhood.diagnostics.verdict import Verdict
    from priorhood.engines.draws import Draws
    from priorhood.model.design import Design
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.model.scale import Scale
    from priorhood.suffstats.moments import CellMoments

# A draw that is ranked is the last of so many: two in a row share their θ with a probability under STUCK⁴.
THIN = 4
LEAST_REFITS, LEAST_DRAWS = 20, 19
JOINT = "log_likelihood"


@dataclass(frozen=True, repr=False)
class Calibration:
    """What many fits of simulated outcomes say of a model on a design; printed, a table and verdicts.

    quantities : (Q,) names, such as tau[living_space], and log_likelihood, which all parameters share
    ranks : (R, Q) how many of a refit's draws lie under the truth; uniform on 0 … draws for a right engine
    draws : posterior draws that a truth is ranked among
    refits : asked for; R of them could be drawn
    refused : reasons of the others, with their number
    p_values : (Q,) of the ranks' uniformity
    verdicts : sentences; places : rows of the places whose coefficients are among the quantities
    """

    model: Model
    quantities: tuple[str, ...]
    ranks: Index
    draws: int
    refits: int
    refused: tuple[tuple[str, int], ...]
    p_values: Array
    verdicts: tuple[Verdict, ...]
    places: dict[str, int]
    seed: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every verdict is good."""
        return all(verdict.good for verdict in self.verdicts)

    @property
    def good(self) -> Flags:
        """Which quantities' ranks are uniform, as far as can be told: (Q,)."""
        return np.asarray(self.p_values > ALARM / len(self.quantities))

    @property
    def band(self) -> tuple[Index, Index]:
        """The least and the largest number of ranks under 1, 2, … draws that are good: (draws,) each."""
        return UniformityTest(len(self.ranks), self.draws).band(ALARM / len(self.quantities))

    def summary(self) -> pd.DataFrame:
        """One row for every quantity.

        Returns
        -------
        frame: in50, in90, the shares of refits whose truth is in the central 50 % and 90 % of the draws; below,
        the share with the truth under the draws' median; p_value; good
        """
        import pandas as pd

        off = places(self.ranks, self.draws) - 0.5
        return pd.DataFrame(
            {
                "in50": (np.abs(off) <= 0.25).mean(axis=0),
                "in90": (np.abs(off) <= 0.45).mean(axis=0),
                "below": (off < 0).mean(axis=0),
                "p_value": self.p_values,
                "good": self.good,
            },
            index=pd.Index(self.quantities, name="quantity"),
        )

    def __str__(self) -> str:
        table = self.summary().to_string(float_format=lambda value: f"{value:.3g}")
        return "\n".join([table, "", *map(str, self.verdicts)])

    def __repr__(self) -> str:
        state = "passed" if self.passed else "not passed"
        return f"Calibration({self.model.formula.text!r}: {len(self.ranks):,} refits, {state})"


@answers_other_names
def calibrate(
    model: Model | str | Posterior,
    table: object = None,
    *,
    refits: int = 500,
    draws: int = 99,
    seed: int | None = None,
    places: object = None,
    drop_outliers: float | None = None,
    threads: int | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Calibration:
    """Does the exact engine find what is true, for this model and these predictors?

    Every refit draws parameters from the prior, outcomes from the parameters, fits the outcomes, and ranks
    the parameters among the posterior's draws. Predictors, groups and scale are those of the data; of its
    outcomes nothing else is used.

    Ranked are mu, tau, omega, sigma, the coefficients of the places with the most rows, the median and the
    fewest, and the log-likelihood, which sees errors that no single parameter's rank sees. A right engine
    fails once in a hundred runs, all quantities together.

    Parameters
    ----------
    model : a Model, a formula, or a posterior, whose sums serve where no table is given
    table : whatever read() takes
    refits : 500 see draws that are a fifth too narrow, or a quarter of their sd off, nine times in ten; 2,000 see
        a tenth
    draws : of every posterior, nearly independent, that a truth is ranked among
    seed : the same seed gives the same ranks; one is chosen and recorded if None
    places, drop_outliers : as for a fit
    threads : all cores if None; the ranks do not depend on it
    progress : called with (stage, done, total)

    Raises
    ------
    ModelError : a model that only NUTS takes: hundreds of its fits would take hours
    SamplingError : no refit could be drawn
    """
    FitOptions.checked(1, 10, seed=seed, threads=threads, progress=progress)
    refits, draws = (
        whole("refits", refits, LEAST_REFITS, MOST_DRAWS),
        whole("draws", draws, LEAST_DRAWS, MOST_DRAWS),
    )
    seed = int(np.random.default_rng().integers(2**31)) if seed is None else check_seed(seed)
    started = time.perf_counter()
    options = FitOptions.checked(1, draws * THIN, seed=seed, threads=threads, progress=progress)
    bench = _bench(model, table, places, drop_outliers, options)
    found = _all_refits(bench, refits, options)
    ranks = [one for one in found if not isinstance(one, str)]
    reasons = Counter(one for one in found if isinstance(one, str)).most_common()
    if not ranks:
        raise SamplingError(f"none of {refits:,} refits could be drawn: {reasons[0][0]}")
    return _judged(bench, ranks, draws, refits, tuple(reasons), seed, time.perf_counter() - started)


# -- one refit --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Bench:
    """What all refits share: the model on its data, and the places that are ranked."""

    data: FitData
    places: dict[str, dict[str, int]]

    def quantities(self, draws: Draws, likelihood: Array) -> dict[str, Array]:
        """The draws of every quantity that is to be ranked, by name; of groups, the chosen ones'."""
        dataset = labelled(self.data.design, self.data.hierarchy, draws)
        shared: dict[str, Array] = {}
        own: dict[str, Array] = {}
        for name, values in dataset.data_vars.items():
            group = next((one for one in self.places if one in values.dims), None)
            if group:
                own |= _elements(str(name), values.sel({group: list(self.places[group])}))
            else:
                shared |= _elements(str(name), values)
        return {**shared, **own, JOINT: likelihood}


def _elements(name: str, values: xr.DataArray) -> dict[str, Array]:
    """The elements of a parameter, one chain's draws of each; a correlation once."""
    flat = values.values.reshape(values.shape[1], -1)
    keep = below_diagonal(values) if name.startswith("omega") else np.ones(flat.shape[1], dtype=bool)
    labels = labels_of(name, values)
    return {label: flat[:, at] for at, label in enumerate(labels) if keep[at]}


def _bench(
    model: Model | str | Posterior, data: object, given: object, drop_outliers: float | None, options: FitOptions
) -> _Bench:
    """The model on its data.

    Raises
    ------
    ModelError : no data; a model that the exact engine does not take, or that the design cannot inform
    """
    post = model if isinstance(model, Posterior) else None
    chosen = post.model if post else as_model(model, data)
    if data is None and given is not None:
        raise ModelError("places goes with a table of rows, not with a saved posterior alone, which has its own")
    if data is not None:
        options.progress("reading rows", 0, 1)
        source, _ = placed(read(data), given, chosen.formula, post.place_table if post else None)
        design, found = collect.collect_moments(source, chosen.formula, drop_outliers, weights=chosen.weights)
        options.progress("reading rows", 1, 1)
        fit_data = FitData.learn(chosen, design, found)
    elif post is not None:
        fit_data = post.data
    else:
        raise ModelError("calibrate needs the table whose predictors are to be used: calibrate(model, table)")
    check_informed(fit_data)
    refusal = exact_refusal(fit_data, options)
    if refusal:
        raise ModelError(
            f"{refusal}; calibrate fits hundreds of simulated outcomes, which takes seconds by the exact engine "
            f"and hours by NUTS: calibrate the nearest model that the exact engine takes"
        )
    return _Bench(fit_data, _places(fit_data.hierarchy, fit_data.moments))


def _places(hierarchy: Hierarchy, found: CellMoments) -> dict[str, dict[str, int]]:
    """Of every grouping the places with the most, the median and the fewest rows, and how many these are."""
    chosen: dict[str, dict[str, int]] = {}
    for one in hierarchy.groupings:
        n = one.total(found.n).astype(int)
        order = np.argsort(n, kind="stable")
        picked = dict.fromkeys(int(order[at]) for at in (-1, len(order) // 2, 0))
        chosen[one.name] = {str(one.labels[at]): int(n[at]) for at in picked}
    return chosen


def _all_refits(bench: _Bench, refits: int, options: FitOptions) -> list[dict[str, int] | str]:
    """Ranks of every refit, or why there are none; several at a time, since the kernels release the lock."""
    pool = ThreadPoolExecutor(options.threads, thread_name_prefix="priorhood-calibrate")
    try:
        futures = [pool.submit(_one_refit, bench, at, options) for at in range(refits)]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()  # a bug is raised at once, not after all others
            options.progress("refits", done, refits)
        return [future.result() for future in futures]
    finally:
        # After Ctrl-C too: what has begun ends, which takes a moment; the others do not begin.
        pool.shutdown(cancel_futures=True)


def _one_refit(bench: _Bench, at: int, options: FitOptions) -> dict[str, int] | str:
    """Truth from the prior, outcomes from the truth, a fit, ranks; or why the engine refused."""
    rng = stream(int(options.seed or 0), CALIBRATION, at)
    truth = draw_prior(bench.data, 1, rng)
    with np.errstate(over="ignore", invalid="ignore"):
        imagined = bench.data.with_moments(simulate_sums(bench.data, truth, rng))
    if not (np.isfinite(imagined.moments.mean).all() and np.isfinite(imagined.moments.scatter).all()):
        return "the prior drew outcomes beyond the largest number"
    try:
        drawn = draw_exact(imagined, options.alone(int(rng.integers(2**31))))
    except PriorhoodError as problem:
        # The numbers in brackets, and the advice after a colon, differ from one outcome to the next.
        return re.split(r"\s*[(:;]|\. ", str(problem), maxsplit=1)[0]
    true = bench.quantities(truth, log_likelihood(imagined, truth))
    values = bench.quantities(drawn, log_likelihood(imagined, drawn))
    kept = slice(THIN - 1, None, THIN)
    # What is known is not ranked.
    return {name: int((sampled[kept] < true[name][0]).sum()) for name, sampled in values.items() if np.ptp(sampled)}


def _judged(
    bench: _Bench, found: list[Any], draws: int, refits: int, refused: tuple[tuple[str, int], ...], seed: int,
    seconds: float,
) -> Calibration:  # fmt: skip
    names = tuple(found[0])
    ranks = np.array([[one[name] for name in names] for one in found], dtype=np.int64)
    uniform = UniformityTest(len(ranks), draws)
    p_values = np.array([uniform.p_value(counts_below(one, draws)) for one in ranks.T])
    verdicts = judge(names, ranks, draws, p_values, refused)
    ranked = {label: rows for places in bench.places.values() for label, rows in places.items()}
    return Calibration(
        bench.data.model, names, ranks, draws, refits, refused, p_values, verdicts, ranked, seed, seconds
    )


# Directions in which a group's columns hardly differ, beside those in which they do.
FLAT = 1e-12
# Coefficients in memory at a time.
MOST = 2_000_000


def _coefficients(design: Design, draws: Draws, part: slice, hierarchy: Hierarchy, cells: int) -> Array:
    """β of every column in every cell, of one chain's draws in a slice: (S, cells, D)."""
    mu = draws.mu[0, part]
    found = np.zeros((len(mu), cells, len(design.columns)))
    found[:, :, design.index(design.population_columns)] = mu[:, None, :]
    for at, (grouping, effects) in enumerate(zip(hierarchy.groupings, draws.effects, strict=True)):
        columns = design.index(design.coefficient_columns(at))
        if effects.beta is None:  # of summaries no outcomes are made
            raise TypeError(grouping.name)
        if at == 0:  # whole coefficients, those passed down by coarser levels too
            found[:, :, columns] = effects.beta[0, part][:, grouping.of_cell]
        elif at >= len(hierarchy.levels):
            found[:, :, columns] += effects.beta[0, part][:, grouping.of_cell]
    return found


def _noise(draws: Draws, part: slice, scale: Scale, hierarchy: Hierarchy) -> Array:
    """σ of one chain's draws in a slice, (S, 1), or of every cell, (S, cells); of known errors the unit's."""
    count = len(draws.mu[0, part])
    sigma = np.full(count, 1.0 / scale.unit) if draws.sigma is None else draws.sigma[0, part]
    return np.asarray(sigma.reshape(count, 1) if sigma.ndim == 1 else sigma[:, hierarchy.levels[0].of_cell])


def simulate_sums(data: FitData, truth: Draws, rng: np.random.Generator) -> CellMoments:
    """The moments of rows with the same predictors, and outcomes drawn under the first of `truth`'s draws.

    With y = Xβ + ε, ε_i ~ Normal(0, σ²/w_i), a group of n rows, mass m = Σ w, mean x̄ and centred scatter
    S = R Rᵀ of rank r has, independently of each other,

        ȳ = x̄ᵀβ + σ e/√m,    S_xy = Sβ + σ R z,    S_yy = βᵀSβ + 2σ βᵀR z + σ² (|z|² + q),
        e ~ Normal(0, 1),    z ~ Normal(0, I_r),    q ~ χ²(n − 1 − r)

    Notes
    -----
    O(J D³), free of the number of rows. Exact in distribution: tests/oracle/test_outcomes.py.
    """
    design, scale, found, hierarchy = data.design, data.scale, data.moments, data.hierarchy
    D, J = len(design.columns), len(found.n)
    mean, scatter = data.standardized
    X, S = mean[:, :D], scatter[:, :D, :D]
    b = _coefficients(design, truth, slice(1), hierarchy, J)[0]
    sigma = np.broadcast_to(_noise(truth, slice(1), scale, hierarchy)[0], J)
    R, rank = _root(S, found.n)
    z = rng.standard_normal((J, D)) * (np.arange(D) < rank[:, None])
    left = found.n - 1 - rank
    q = 2.0 * rng.standard_gamma(left / 2)
    moved = sigma[:, None] * np.einsum("jab,jb->ja", R, z)
    fitted = np.einsum("jab,jb->ja", S, b)
    own = [d for d, column in enumerate(design.columns) if column.factors]
    outcome = np.einsum("ja,ja->j", X, b) + sigma * rng.standard_normal(J) / np.sqrt(found.mass)
    within = np.einsum("ja,ja->j", b, fitted + 2 * moved) + sigma**2 * ((z**2).sum(axis=1) + q)
    new_mean, new_scatter = found.mean.copy(), found.scatter.copy()
    new_mean[:, -1] = outcome * scale.unit
    cross = (fitted + moved)[:, own] * scale.spread[own] * scale.unit
    new_scatter[:, :-1, -1] = new_scatter[:, -1, :-1] = cross
    new_scatter[:, -1, -1] = np.maximum(within, 0.0) * scale.unit**2
    return replace(found, mean=new_mean, scatter=new_scatter)


def _root(S: Array, n: Array) -> tuple[Array, Array]:
    """R (J, D, D) with S = R Rᵀ, its columns beyond the rank 0, and the ranks (J,), under n of each group.

    S is scaled to a unit diagonal first, so that a column's own unit does not decide what is flat.
    """
    size = np.sqrt(np.maximum(np.einsum("jaa->ja", S), 0.0))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(S / (size[:, :, None] * size[:, None, :]))
    values, vectors = values[:, ::-1], vectors[:, :, ::-1]
    # Rows leave one dimension less than they are; what is beyond is rounding.
    there = (values > FLAT) & (np.arange(S.shape[1]) < n[:, None] - 1)
    root = vectors * np.sqrt(np.where(there, values, 0.0))[:, None, :]
    return size[:, :, None] * root, there.sum(axis=1).astype(float)


def log_likelihood(data: FitData, draws: Draws) -> Array:
    """Log p(y | β, σ) of all rows for every draw of one chain, up to a constant of the data: (S,).

    Σ_j −n_j log σ − (Σ w(y − xᵀβ_j)²) / 2σ²
    """
    design, found, hierarchy = data.design, data.moments, data.hierarchy
    J, total = len(found.n), draws.mu.shape[1]
    mean, scatter = data.standardized
    out = np.empty(total)
    step = max(1, MOST // (J * (len(design.columns) + 1)))
    for lo in range(0, total, step):
        part = slice(lo, lo + step)
        b = _coefficients(design, draws, part, hierarchy, J)
        contrast = np.concatenate([-b, np.ones((*b.shape[:2], 1))], axis=2)
        sigma = _noise(draws, part, data.scale, hierarchy)
        spread = (contrast.swapaxes(0, 1) @ scatter).swapaxes(0, 1)
        residual = np.einsum("sja,sja->sj", spread, contrast)
        residual += found.mass * np.einsum("ja,sja->sj", mean, contrast) ** 2
        out[part] = (-found.n * np.log(sigma) - residual / (2 * sigma**2)).sum(axis=1)
    return out

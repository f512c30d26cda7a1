"""Simulation-based calibration of a model on its own design: are the ranks of the true values uniform?

True values are drawn from the prior and outcomes from the true values, and every outcome is fitted. With a correct
engine the true value is distributed like one more posterior draw, so its rank among the draws is uniform (Talts et
al. 2018; Modrák et al. 2023).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import MAX_DRAWS, check_whole, suggest_argument_names
from priorhood._system import run_in_threads
from priorhood.data.join_places import combine_places
from priorhood.data.rows import prepare_rows
from priorhood.diagnostics.summary import below_diagonal, labels_of
from priorhood.diagnostics.uniformity import ALARM, UniformityTest, counts_below, judge, rank_midpoints
from priorhood.errors import ModelError, PriorhoodError, SamplingError
from priorhood.fitting.engine_choice import FitOptions, draw_exact, exact_refusal
from priorhood.fitting.identifiability import check_informed
from priorhood.model.model import Model, as_model
from priorhood.posterior.posterior import Posterior
from priorhood.posterior.predictive import draw_prior
from priorhood.posterior.tree import label_draws
from priorhood.prediction.coefficients import CALIBRATION, stream
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.fit_data import FitData

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from priorhood._arrays import Array, Flags, Index
    from priorhood.diagnostics.verdict import Verdict
    from priorhood.engines.draws import Draws
    from priorhood.suffstats.moments import CellMoments

# Every fourth draw is used for ranks: two in a row share their θ with probability < MAX_AUTOCORRELATION⁴.
THIN = 4
MIN_REFITS, MIN_DRAWS = 20, 19
JOINT = "log_likelihood"
FLAT = 1e-12  # relative variance below which columns do not differ within a group
MAX_COEFFICIENTS = 2_000_000  # coefficients in memory at a time


@dataclass(frozen=True, repr=False)
class Calibration:
    """Result of calibrate; printed as a table and verdicts.

    Parameters
    ----------
    model : Model
        The model that was calibrated.
    quantities : tuple of str
        (Q,) names such as tau[living_space], and log_likelihood, to which all parameters contribute.
    ranks : ndarray of int
        (R, Q) number of a refit's draws below the true value; uniform on 0 … draws with a correct engine.
    draws : int
        Number of posterior draws among which every true value is ranked.
    refits : int
        Number of refits requested; R of them succeeded.
    refused : tuple of (str, int)
        Reasons why the others failed, with their numbers.
    p_values : ndarray
        (Q,) p-values of the tests of uniform ranks.
    verdicts : tuple of Verdict
        The answers in sentences.
    places : dict
        Places whose coefficients are among the quantities, with their numbers of rows.
    seed : int
        The seed, given or chosen.
    seconds : float
        Time taken.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(5, 40, seed=1)
    >>> ph.calibrate("price ~ living_space", sales, refits=20, draws=19, seed=1)
    Calibration('price ~ living_space': 20 refits, passed)
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
        """True if every verdict is good."""
        return all(verdict.good for verdict in self.verdicts)

    @property
    def good(self) -> Flags:
        """True for each quantity whose ranks are compatible with a uniform distribution: (Q,)."""
        return np.asarray(self.p_values > ALARM / len(self.quantities))

    @property
    def band(self) -> tuple[Index, Index]:
        """Smallest and largest number of ranks below 1, 2, … draws that pass: (draws,) each."""
        return UniformityTest(len(self.ranks), self.draws).band(ALARM / len(self.quantities))

    def summary(self) -> pd.DataFrame:
        """Return one row per quantity.

        Returns
        -------
        pandas.DataFrame
            in50 and in90, the shares of refits whose central 50 % and 90 % intervals contain the true value; below,
            the share in which it lies below the draws' median; p_value; good.

        Examples
        --------
        >>> import priorhood as ph
        >>> from priorhood.datasets import simulate
        >>> sales, _ = simulate(5, 40, seed=1)
        >>> calibration = ph.calibrate("price ~ living_space", sales, refits=20, draws=19, seed=1)
        >>> calibration.summary()["good"].to_dict()
        {'mu[Intercept]': True, 'mu[living_space]': True, 'sigma': True, 'log_likelihood': True}
        """
        import pandas as pd

        off = rank_midpoints(self.ranks, self.draws) - 0.5
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


@suggest_argument_names
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
    """Check by simulation that the exact engine recovers known parameters of this model on this design.

    Every refit draws parameters from the prior and outcomes from the parameters, fits the outcomes, and ranks the
    parameters among the posterior draws. Predictors, groups and scale are those of the data; its outcomes are used
    for nothing else.

    The ranked quantities are mu, tau, omega, sigma, the coefficients of the places with the most, the median and
    the fewest rows, and the log-likelihood, which shows errors that no single parameter's rank shows. A correct
    engine fails in one of a hundred runs, all quantities together.

    Parameters
    ----------
    model : Model, str or Posterior
        A model, a formula, or a posterior, whose sums are used if no table is given.
    table : table, optional
        Anything that read() accepts.
    refits : int
        Number of refits: 500 detect draws that are a fifth too narrow, or a quarter of their sd off, nine times in
        ten; 2,000 detect a tenth.
    draws : int
        Number of nearly independent draws of every posterior among which the true value is ranked.
    seed : int, optional
        The same seed gives the same ranks; one is chosen and recorded if None.
    places, drop_outliers : optional
        See fit().
    threads : int, optional
        Number of threads, all cores if None; the ranks do not depend on it.
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    Calibration

    Raises
    ------
    ModelError
        Only NUTS can fit the model, and hundreds of such fits would take hours.
    SamplingError
        All refits failed.

    References
    ----------
    Talts et al. (2018), Validating Bayesian inference algorithms with simulation-based calibration.
    Modrák et al. (2023), Simulation-based calibration checking for Bayesian computation.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(5, 40, seed=1)
    >>> calibration = ph.calibrate("price ~ living_space", sales, refits=20, draws=19, seed=1)
    >>> print(calibration.verdicts[0])
    ✓ all 20 simulated data sets could be fitted
    """
    refits = check_whole("refits", refits, MIN_REFITS, MAX_DRAWS)
    draws = check_whole("draws", draws, MIN_DRAWS, MAX_DRAWS)
    options = FitOptions.checked(1, draws * THIN, seed=seed, threads=threads, progress=progress)
    if options.seed is None:
        options = replace(options, seed=int(np.random.default_rng().integers(2**31)))
    started = time.perf_counter()
    fit_data = _fit_data(model, table, places, drop_outliers, options)
    # Of each grouping, the coefficients of the places with the most, the median and the fewest rows are ranked.
    chosen: dict[str, dict[str, int]] = {}
    for grouping in fit_data.hierarchy.groupings:
        n = grouping.total(fit_data.moments.n).astype(int)
        order = np.argsort(n, kind="stable")
        picked = dict.fromkeys(int(order[at]) for at in (-1, len(order) // 2, 0))
        chosen[grouping.name] = {str(grouping.labels[at]): int(n[at]) for at in picked}
    results = run_in_threads(
        _one_refit, [(fit_data, chosen, at, options) for at in range(refits)], options.threads,
        lambda done, total: options.progress("refits", done, total),
    )  # fmt: skip
    drawn = [result for result in results if not isinstance(result, str)]
    refused = tuple(Counter(result for result in results if isinstance(result, str)).most_common())
    if not drawn:
        raise SamplingError(f"all {refits:,} refits failed: {refused[0][0]}")
    names = tuple(drawn[0])
    ranks = np.array([[result[name] for name in names] for result in drawn], dtype=np.int64)
    uniform = UniformityTest(len(ranks), draws)
    p_values = np.array([uniform.p_value(counts_below(column, draws)) for column in ranks.T])
    return Calibration(
        fit_data.model, names, ranks, draws, refits, refused, p_values,
        judge(names, ranks, draws, p_values, refused),
        {label: rows for group in chosen.values() for label, rows in group.items()},
        int(options.seed or 0), time.perf_counter() - started,
    )  # fmt: skip


def _fit_data(
    model: Model | str | Posterior, table: object, places: object, drop_outliers: float | None, options: FitOptions
) -> FitData:
    """Return the model and the sums of its rows.

    Raises
    ------
    ModelError
        There is no table; the exact engine cannot fit the model, or the design cannot inform it.
    """
    post = model if isinstance(model, Posterior) else None
    chosen = post.model if post else as_model(model, table)
    if table is None and places is not None:
        raise ModelError("places requires a table of rows; a saved posterior alone already has its own places")
    if table is not None:
        options.progress("reading rows", 0, 1)
        rows = prepare_rows(
            table, chosen.formula, weights=chosen.weights, drop_outliers=drop_outliers,
            places=combine_places(places, chosen.formula, post.place_table) if post else places,
        )  # fmt: skip
        moments = collect_moments(rows)
        options.progress("reading rows", 1, 1)
        fit_data = FitData.learn(chosen, rows.design, moments)
    elif post is not None:
        fit_data = post.data
    else:
        raise ModelError("calibrate needs a table for its predictors: calibrate(model, table)")
    check_informed(fit_data)
    refusal = exact_refusal(fit_data, options)
    if refusal:
        raise ModelError(
            f"{refusal}; calibrate fits hundreds of simulated data sets, which takes seconds with the exact engine "
            f"and hours with NUTS: calibrate the most similar model that the exact engine can fit"
        )
    return fit_data


# -- one refit --------------------------------------------------------------------------------------------


def _one_refit(
    data: FitData, places: dict[str, dict[str, int]], at: int, options: FitOptions
) -> dict[str, int] | str:
    """Return the ranks of parameters drawn from the prior, or why the engine refused.

    They are ranked among the draws of the refit to data simulated from them.
    """
    rng = stream(int(options.seed or 0), CALIBRATION, at)
    truth = draw_prior(data, 1, rng)
    with np.errstate(over="ignore", invalid="ignore"):
        simulated = data.with_moments(simulate_sums(data, truth, rng))
    if not (np.isfinite(simulated.moments.mean).all() and np.isfinite(simulated.moments.scatter).all()):
        return "the outcomes drawn from the prior overflow"
    try:
        drawn = draw_exact(simulated, options.alone(int(rng.integers(2**31))))
    except PriorhoodError as problem:
        return problem.reason
    true = _quantities(data, places, truth, log_likelihood(simulated, truth))
    values = _quantities(data, places, drawn, log_likelihood(simulated, drawn))
    kept = slice(THIN - 1, None, THIN)
    # Known parameters, whose draws are all the same, are not ranked.
    return {name: int((sampled[kept] < true[name][0]).sum()) for name, sampled in values.items() if np.ptp(sampled)}


def _quantities(
    data: FitData, places: dict[str, dict[str, int]], draws: Draws, likelihood: Array
) -> dict[str, Array]:
    """Return one chain's draws of every ranked quantity by its label; of places only the chosen ones."""
    shared: dict[str, Array] = {}
    of_place: dict[str, Array] = {}
    for name, values in label_draws(data.design, data.hierarchy, draws).dataset().data_vars.items():
        group = next((dim for dim in places if dim in values.dims), None)
        part = values.sel({group: list(places[group])}) if group else values
        flat = part.values.reshape(part.shape[1], -1)
        keep = below_diagonal(part) if str(name).startswith("omega") else np.ones(flat.shape[1], dtype=bool)
        labels = labels_of(str(name), part)
        (of_place if group else shared).update({label: flat[:, at] for at, label in enumerate(labels) if keep[at]})
    return {**shared, **of_place, JOINT: likelihood}


def _coefficients(data: FitData, draws: Draws, part: slice) -> Array:
    """Return β of every column in every cell, for one chain's draws in a slice: (S, J, D)."""
    design, hierarchy = data.design, data.hierarchy
    mu = draws.mu[0, part]
    beta = np.zeros((len(mu), len(data.moments.n), len(design.columns)))
    beta[:, :, design.index(design.population_columns)] = mu[:, None, :]
    for at, (grouping, effects) in enumerate(zip(hierarchy.groupings, draws.effects, strict=True)):
        columns = design.index(design.coefficient_columns(at))
        if effects.beta is None:  # outcomes cannot be drawn from summaries
            raise TypeError(grouping.name)
        if at == 0:  # whole coefficients, including those passed down by coarser levels
            beta[:, :, columns] = effects.beta[0, part][:, grouping.of_cell]
        elif at >= len(hierarchy.levels):
            beta[:, :, columns] += effects.beta[0, part][:, grouping.of_cell]
    return beta


def _noise(data: FitData, draws: Draws, part: slice) -> Array:
    """Return σ for one chain's draws in a slice: (S, 1), or (S, J) by cell; 1/unit if errors are known."""
    count = len(draws.mu[0, part])
    sigma = np.full(count, 1.0 / data.scale.unit) if draws.sigma is None else draws.sigma[0, part]
    return np.asarray(sigma.reshape(count, 1) if sigma.ndim == 1 else sigma[:, data.hierarchy.levels[0].of_cell])


def simulate_sums(data: FitData, truth: Draws, rng: np.random.Generator) -> CellMoments:
    """Return moments of rows with the same predictors, and with outcomes drawn under the first draw of `truth`.

    With y = Xβ + ε, ε_i ~ Normal(0, σ²/w_i), a group of n rows, mass m = Σ w, mean x̄ and centred scatter
    S = R Rᵀ of rank r has, independently of each other,

        ȳ = x̄ᵀβ + σ e/√m,    S_xy = Sβ + σ R z,    S_yy = βᵀSβ + 2σ βᵀR z + σ² (|z|² + q),
        e ~ Normal(0, 1),    z ~ Normal(0, I_r),    q ~ χ²(n − 1 − r)

    Notes
    -----
    O(J D³), whatever the number of rows. Exact in distribution: tests/oracle/test_outcomes.py.
    """
    design, scale, moments = data.design, data.scale, data.moments
    D, J = len(design.columns), len(moments.n)
    mean, scatter = data.standardized
    X, S = mean[:, :D], scatter[:, :D, :D]
    b = _coefficients(data, truth, slice(1))[0]
    sigma = np.broadcast_to(_noise(data, truth, slice(1))[0], J)
    R, rank = _root(S, moments.n)
    z = rng.standard_normal((J, D)) * (np.arange(D) < rank[:, None])
    df = moments.n - 1 - rank
    q = 2.0 * rng.standard_gamma(df / 2)
    noise = sigma[:, None] * np.einsum("jab,jb->ja", R, z)
    fitted = np.einsum("jab,jb->ja", S, b)
    varying = [d for d, column in enumerate(design.columns) if column.factors]
    outcome = np.einsum("ja,ja->j", X, b) + sigma * rng.standard_normal(J) / np.sqrt(moments.mass)
    within = np.einsum("ja,ja->j", b, fitted + 2 * noise) + sigma**2 * ((z**2).sum(axis=1) + q)
    new_mean, new_scatter = moments.mean.copy(), moments.scatter.copy()
    new_mean[:, -1] = outcome * scale.unit
    cross = (fitted + noise)[:, varying] * scale.spread[varying] * scale.unit
    new_scatter[:, :-1, -1] = new_scatter[:, -1, :-1] = cross
    new_scatter[:, -1, -1] = np.maximum(within, 0.0) * scale.unit**2
    return replace(moments, mean=new_mean, scatter=new_scatter)


def _root(S: Array, n: Array) -> tuple[Array, Array]:
    """Return R (J, D, D) with S = R Rᵀ, whose columns beyond the rank are 0, and the ranks (J,), for n rows each.

    S is scaled to a unit diagonal first, so that a column's unit does not decide which directions are flat.
    """
    size = np.sqrt(np.maximum(np.einsum("jaa->ja", S), 0.0))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(S / (size[:, :, None] * size[:, None, :]))
    values, vectors = values[:, ::-1], vectors[:, :, ::-1]
    # n centred rows span at most n − 1 dimensions; any variance beyond is rounding.
    spanned = (values > FLAT) & (np.arange(S.shape[1]) < n[:, None] - 1)
    root = vectors * np.sqrt(np.where(spanned, values, 0.0))[:, None, :]
    return size[:, :, None] * root, spanned.sum(axis=1).astype(float)


def log_likelihood(data: FitData, draws: Draws) -> Array:
    """Return log p(y | β, σ) of all rows for every draw of one chain, up to a constant of the data: (S,).

    Σ_j −n_j log σ − (Σ w(y − xᵀβ_j)²) / 2σ²
    """
    moments = data.moments
    total = draws.mu.shape[1]
    mean, scatter = data.standardized
    out = np.empty(total)
    step = max(1, MAX_COEFFICIENTS // (len(moments.n) * (len(data.design.columns) + 1)))
    for lo in range(0, total, step):
        part = slice(lo, lo + step)
        b = _coefficients(data, draws, part)
        contrast = np.concatenate([-b, np.ones((*b.shape[:2], 1))], axis=2)
        sigma = _noise(data, draws, part)
        spread = (contrast.swapaxes(0, 1) @ scatter).swapaxes(0, 1)
        residual = np.einsum("sja,sja->sj", spread, contrast)
        residual += moments.mass * np.einsum("ja,sja->sj", mean, contrast) ** 2
        out[part] = (-moments.n * np.log(sigma) - residual / (2 * sigma**2)).sum(axis=1)
    return out

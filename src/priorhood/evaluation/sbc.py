"""Simulation-based calibration of a model on its own design: does the truth rank as one more draw?

Truths are drawn from the prior and outcomes from the truths, and every outcome is fitted. Under a right engine the
truth is one more posterior draw, so its rank among the draws is uniform (Talts et al. 2018; Modrák et al. 2023).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import MAX_DRAWS, check_whole, suggest_argument_names
from priorhood._system import in_threads
from priorhood.data.join_places import together
from priorhood.data.rows import prepare_rows
from priorhood.diagnostics.summary import below_diagonal, labels_of
from priorhood.diagnostics.uniformity import ALARM, UniformityTest, counts_below, judge
from priorhood.diagnostics.uniformity import places as rank_places
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

# Truths are ranked among every fourth draw: two in a row share their θ with probability < MAX_AUTOCORRELATION⁴.
THIN = 4
MIN_REFITS, MIN_DRAWS = 20, 19
JOINT = "log_likelihood"
FLAT = 1e-12  # relative variance below which columns do not differ within a group
MAX_COEFFICIENTS = 2_000_000  # coefficients in memory at a time


@dataclass(frozen=True, repr=False)
class Calibration:
    """Result of calibrate; printed, a table and verdicts.

    Parameters
    ----------
    model : Model
        The model that was calibrated.
    quantities : tuple of str
        (Q,) names such as tau[living_space], and log_likelihood, to which all parameters contribute.
    ranks : ndarray of int
        (R, Q) number of a refit's draws below the truth; uniform on 0 … draws under a right engine.
    draws : int
        Posterior draws that every truth is ranked among.
    refits : int
        Refits asked for; R of them could be drawn.
    refused : tuple of (str, int)
        Reasons why the others could not, with their numbers.
    p_values : ndarray
        (Q,) p-values of the ranks' uniformity.
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
        """Whether every verdict is good."""
        return all(verdict.good for verdict in self.verdicts)

    @property
    def good(self) -> Flags:
        """Whether each quantity's ranks are compatible with uniform ones: (Q,)."""
        return np.asarray(self.p_values > ALARM / len(self.quantities))

    @property
    def band(self) -> tuple[Index, Index]:
        """Least and largest number of ranks below 1, 2, … draws that pass: (draws,) each."""
        return UniformityTest(len(self.ranks), self.draws).band(ALARM / len(self.quantities))

    def summary(self) -> pd.DataFrame:
        """Return one row per quantity.

        Returns
        -------
        pandas.DataFrame
            in50 and in90, the shares of refits whose truth is in the central 50 % and 90 % of the draws; below,
            the share with the truth below the draws' median; p_value; good.

        Examples
        --------
        >>> import priorhood as ph
        >>> from priorhood.datasets import simulate
        >>> sales, _ = simulate(5, 40, seed=1)
        >>> found = ph.calibrate("price ~ living_space", sales, refits=20, draws=19, seed=1)
        >>> found.summary()["good"].to_dict()
        {'mu[Intercept]': True, 'mu[living_space]': True, 'sigma': True, 'log_likelihood': True}
        """
        import pandas as pd

        off = rank_places(self.ranks, self.draws) - 0.5
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
    parameters among the posterior draws. Predictors, groups and scale are those of the data; nothing else of its
    outcomes is used.

    Ranked are mu, tau, omega, sigma, the coefficients of the places with the most, the median and the fewest
    rows, and the log-likelihood, which shows errors that no single parameter's rank shows. A right engine fails
    once in a hundred runs, all quantities together.

    Parameters
    ----------
    model : Model, str or Posterior
        A model, a formula, or a posterior, whose sums are used where no table is given.
    table : table, optional
        Anything that read() takes.
    refits : int
        500 show draws that are a fifth too narrow, or a quarter of their sd off, nine times in ten; 2,000 show a
        tenth.
    draws : int
        Nearly independent draws of every posterior that the truth is ranked among.
    seed : int, optional
        The same seed gives the same ranks; one is chosen and recorded if None.
    places, drop_outliers : optional
        As for fit().
    threads : int, optional
        All cores if None; the ranks do not depend on it.
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    Calibration

    Raises
    ------
    ModelError
        A model that only NUTS takes: hundreds of its fits would take hours.
    SamplingError
        No refit could be drawn.

    References
    ----------
    Talts et al. (2018), Validating Bayesian inference algorithms with simulation-based calibration.
    Modrák et al. (2023), Simulation-based calibration checking for Bayesian computation.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(5, 40, seed=1)
    >>> found = ph.calibrate("price ~ living_space", sales, refits=20, draws=19, seed=1)
    >>> print(found.verdicts[0])
    ✓ all 20 simulated outcomes could be fitted
    """
    refits = check_whole("refits", refits, MIN_REFITS, MAX_DRAWS)
    draws = check_whole("draws", draws, MIN_DRAWS, MAX_DRAWS)
    options = FitOptions.checked(1, draws * THIN, seed=seed, threads=threads, progress=progress)
    if options.seed is None:
        options = replace(options, seed=int(np.random.default_rng().integers(2**31)))
    started = time.perf_counter()
    fit_data = _fit_data(model, table, places, drop_outliers, options)
    # Ranked are, of every grouping, the places with the most, the median and the fewest rows.
    chosen: dict[str, dict[str, int]] = {}
    for one in fit_data.hierarchy.groupings:
        n = one.total(fit_data.moments.n).astype(int)
        order = np.argsort(n, kind="stable")
        picked = dict.fromkeys(int(order[at]) for at in (-1, len(order) // 2, 0))
        chosen[one.name] = {str(one.labels[at]): int(n[at]) for at in picked}
    found = in_threads(
        _one_refit, [(fit_data, chosen, at, options) for at in range(refits)], options.threads,
        lambda done, total: options.progress("refits", done, total),
    )  # fmt: skip
    drawn = [one for one in found if not isinstance(one, str)]
    refused = tuple(Counter(one for one in found if isinstance(one, str)).most_common())
    if not drawn:
        raise SamplingError(f"none of {refits:,} refits could be drawn: {refused[0][0]}")
    names = tuple(drawn[0])
    ranks = np.array([[one[name] for name in names] for one in drawn], dtype=np.int64)
    uniform = UniformityTest(len(ranks), draws)
    p_values = np.array([uniform.p_value(counts_below(one, draws)) for one in ranks.T])
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
        No table; a model that the exact engine does not take, or that the design cannot inform.
    """
    post = model if isinstance(model, Posterior) else None
    chosen = post.model if post else as_model(model, table)
    if table is None and places is not None:
        raise ModelError("places goes with a table of rows, not with a saved posterior alone, which has its own")
    if table is not None:
        options.progress("reading rows", 0, 1)
        rows = prepare_rows(
            table, chosen.formula, weights=chosen.weights, drop_outliers=drop_outliers,
            places=together(places, chosen.formula, post.place_table) if post else places,
        )  # fmt: skip
        found = collect_moments(rows)
        options.progress("reading rows", 1, 1)
        fit_data = FitData.learn(chosen, rows.design, found)
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
    return fit_data


# -- one refit --------------------------------------------------------------------------------------------


def _one_refit(
    data: FitData, places: dict[str, dict[str, int]], at: int, options: FitOptions
) -> dict[str, int] | str:
    """Return the ranks of a truth from the prior among the draws of its refit, or why the engine refused."""
    rng = stream(int(options.seed or 0), CALIBRATION, at)
    truth = draw_prior(data, 1, rng)
    with np.errstate(over="ignore", invalid="ignore"):
        imagined = data.with_moments(simulate_sums(data, truth, rng))
    if not (np.isfinite(imagined.moments.mean).all() and np.isfinite(imagined.moments.scatter).all()):
        return "the prior drew outcomes beyond the largest number"
    try:
        drawn = draw_exact(imagined, options.alone(int(rng.integers(2**31))))
    except PriorhoodError as problem:
        return problem.reason
    true = _quantities(data, places, truth, log_likelihood(imagined, truth))
    values = _quantities(data, places, drawn, log_likelihood(imagined, drawn))
    kept = slice(THIN - 1, None, THIN)
    # Known parameters, whose draws are all the same, are not ranked.
    return {name: int((sampled[kept] < true[name][0]).sum()) for name, sampled in values.items() if np.ptp(sampled)}


def _quantities(
    data: FitData, places: dict[str, dict[str, int]], draws: Draws, likelihood: Array
) -> dict[str, Array]:
    """Return one chain's draws of every ranked quantity by its label; for groups, those of the chosen places."""
    shared: dict[str, Array] = {}
    own: dict[str, Array] = {}
    for name, values in label_draws(data.design, data.hierarchy, draws).dataset().data_vars.items():
        group = next((one for one in places if one in values.dims), None)
        part = values.sel({group: list(places[group])}) if group else values
        flat = part.values.reshape(part.shape[1], -1)
        keep = below_diagonal(part) if str(name).startswith("omega") else np.ones(flat.shape[1], dtype=bool)
        labels = labels_of(str(name), part)
        (own if group else shared).update({label: flat[:, at] for at, label in enumerate(labels) if keep[at]})
    return {**shared, **own, JOINT: likelihood}


def _coefficients(data: FitData, draws: Draws, part: slice) -> Array:
    """Return β of every column in every cell, for one chain's draws in a slice: (S, J, D)."""
    design, hierarchy = data.design, data.hierarchy
    mu = draws.mu[0, part]
    found = np.zeros((len(mu), len(data.moments.n), len(design.columns)))
    found[:, :, design.index(design.population_columns)] = mu[:, None, :]
    for at, (grouping, effects) in enumerate(zip(hierarchy.groupings, draws.effects, strict=True)):
        columns = design.index(design.coefficient_columns(at))
        if effects.beta is None:  # outcomes cannot be drawn from summaries
            raise TypeError(grouping.name)
        if at == 0:  # whole coefficients, including those passed down by coarser levels
            found[:, :, columns] = effects.beta[0, part][:, grouping.of_cell]
        elif at >= len(hierarchy.levels):
            found[:, :, columns] += effects.beta[0, part][:, grouping.of_cell]
    return found


def _noise(data: FitData, draws: Draws, part: slice) -> Array:
    """Return σ for one chain's draws in a slice: (S, 1), or (S, J) by cell; 1/unit where errors are known."""
    count = len(draws.mu[0, part])
    sigma = np.full(count, 1.0 / data.scale.unit) if draws.sigma is None else draws.sigma[0, part]
    return np.asarray(sigma.reshape(count, 1) if sigma.ndim == 1 else sigma[:, data.hierarchy.levels[0].of_cell])


def simulate_sums(data: FitData, truth: Draws, rng: np.random.Generator) -> CellMoments:
    """Return moments of rows with the same predictors, and outcomes drawn under the first draw of `truth`.

    With y = Xβ + ε, ε_i ~ Normal(0, σ²/w_i), a group of n rows, mass m = Σ w, mean x̄ and centred scatter
    S = R Rᵀ of rank r has, independently of each other,

        ȳ = x̄ᵀβ + σ e/√m,    S_xy = Sβ + σ R z,    S_yy = βᵀSβ + 2σ βᵀR z + σ² (|z|² + q),
        e ~ Normal(0, 1),    z ~ Normal(0, I_r),    q ~ χ²(n − 1 − r)

    Notes
    -----
    O(J D³), whatever the number of rows. Exact in distribution: tests/oracle/test_outcomes.py.
    """
    design, scale, found = data.design, data.scale, data.moments
    D, J = len(design.columns), len(found.n)
    mean, scatter = data.standardized
    X, S = mean[:, :D], scatter[:, :D, :D]
    b = _coefficients(data, truth, slice(1))[0]
    sigma = np.broadcast_to(_noise(data, truth, slice(1))[0], J)
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
    """Return R (J, D, D) with S = R Rᵀ, its columns beyond the rank 0, and the ranks (J,); n rows in each group.

    S is scaled to a unit diagonal first, so that a column's unit does not decide which directions are flat.
    """
    size = np.sqrt(np.maximum(np.einsum("jaa->ja", S), 0.0))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(S / (size[:, :, None] * size[:, None, :]))
    values, vectors = values[:, ::-1], vectors[:, :, ::-1]
    # n centred rows span at most n − 1 dimensions; any variance beyond is rounding.
    there = (values > FLAT) & (np.arange(S.shape[1]) < n[:, None] - 1)
    root = vectors * np.sqrt(np.where(there, values, 0.0))[:, None, :]
    return size[:, :, None] * root, there.sum(axis=1).astype(float)


def log_likelihood(data: FitData, draws: Draws) -> Array:
    """Return log p(y | β, σ) of all rows for every draw of one chain, up to a constant of the data: (S,).

    Σ_j −n_j log σ − (Σ w(y − xᵀβ_j)²) / 2σ²
    """
    found = data.moments
    total = draws.mu.shape[1]
    mean, scatter = data.standardized
    out = np.empty(total)
    step = max(1, MAX_COEFFICIENTS // (len(found.n) * (len(data.design.columns) + 1)))
    for lo in range(0, total, step):
        part = slice(lo, lo + step)
        b = _coefficients(data, draws, part)
        contrast = np.concatenate([-b, np.ones((*b.shape[:2], 1))], axis=2)
        sigma = _noise(data, draws, part)
        spread = (contrast.swapaxes(0, 1) @ scatter).swapaxes(0, 1)
        residual = np.einsum("sja,sja->sj", spread, contrast)
        residual += found.mass * np.einsum("ja,sja->sj", mean, contrast) ** 2
        out[part] = (-found.n * np.log(sigma) - residual / (2 * sigma**2)).sum(axis=1)
    return out

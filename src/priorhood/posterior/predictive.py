"""Prior and posterior predictive draws, in groups for ArviZ (math.md, section 7)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import (
    MAX_DRAWS,
    brief_value,
    check_choice,
    check_seed,
    check_whole,
    suggest_argument_names,
)
from priorhood._text import join_words
from priorhood.data.rows import prepare_rows
from priorhood.engines.draws import Draws, Effects
from priorhood.errors import ModelError
from priorhood.model.model import Model, as_model
from priorhood.posterior.posterior import Posterior
from priorhood.posterior.tree import label_draws
from priorhood.prediction.coefficients import PRIOR, coefficients_of, stream
from priorhood.prediction.observed import ObservedRows, used_rows
from priorhood.prediction.places import Groups
from priorhood.prediction.predict import UNSEEN, simulate
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.fit_data import FitData

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from priorhood.model.scale import Scale
    from priorhood.prediction.coefficients import Coefficients

DTYPES = ("float64", "float32")


@suggest_argument_names
def prior_predictive(
    model: Model | str,
    table: object,
    *,
    draws: int = 500,
    seed: int | None = None,
    dtype: str = "float64",
    places: object = None,
) -> xr.DataTree:
    """Draw the parameters and every row's outcome from the prior.

    θ ~ p(θ),  β_g ~ Normal(mu, diag(tau) omega diag(tau)),  y_i ~ p(y | x_iᵀ β_g(i), sigma, nu)

    Nothing is fitted. The table's outcomes only determine the scale on which priors are stated.

    Parameters
    ----------
    model : Model or str
        A model; a formula means a model with default priors.
    table : table
        Anything read() takes, including the outcome; the same rows are used as in a fit.
    draws : int
        Number of draws of the parameters and of every row, in one chain.
    seed : int, optional
        Seed of the draws; by default, one is chosen and recorded.
    dtype : str
        Type of the rows' draws; "float32" halves their memory.
    places : table, optional
        A table with one row per place and its predictors, see fit.

    Returns
    -------
    xarray.DataTree
        Groups prior: parameters, standardized, named as in a posterior; prior_predictive (chain, draw, row) and
        observed_data (row): the outcome in its own units, under its name. row is the position in the table; if
        there are groups, the row's label is a coordinate too. With wide priors on a log outcome, draws can exceed
        the largest floating-point number; they are infinite then.

    Raises
    ------
    TableError, PriorError, ModelError
        For the same reasons as a fit, or if draws or dtype is invalid.

    Examples
    --------
    >>> import priorhood as ph
    >>> rows = {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}
    >>> ph.prior_predictive("price ~ area", rows, draws=100, seed=1)["prior_predictive"]["price"].shape
    (1, 100, 4)
    """
    model = as_model(model, table)
    _check_dtype(dtype)
    check_whole("draws", draws, 1, MAX_DRAWS)
    seed = int(np.random.default_rng().integers(2**31)) if seed is None else check_seed(seed)
    rows = prepare_rows(table, model.formula, weights=model.weights, places=places)
    data = FitData.learn(model, rows.design, collect_moments(rows))
    sample = _sample_prior_of(data, draws, seed)
    prior, c = sample.draws, sample.coefficients
    used = used_rows(rows.table, c, "error")
    outcomes = np.empty((draws, len(used.kept)), dtype=dtype)
    simulate(used.rows, Groups(c, used.rows.spots, "error", seed), used.kept, outcomes)
    groups = {"prior": prior, "prior_predictive": used.labelled(outcomes, prior), "observed_data": used.observed()}
    return _tree(groups, model, data.scale, used, seed)


@dataclass(frozen=True)
class PriorSample:
    """Standardized draws from the prior, on the scale of some data.

    Attributes
    ----------
    data : FitData
        Model, sums and scale.
    draws : xarray.Dataset
        The draws, labelled.
    coefficients : Coefficients
        The same draws, in the form that predictions use.
    seed : int
        Seed of the draws.
    """

    data: FitData
    draws: xr.Dataset
    coefficients: Coefficients
    seed: int


def sample_prior(
    model: Model | str | Posterior, table: object, draws: int, seed: int, places: object = None
) -> PriorSample:
    """Draw from the prior of a model, on the scale of a table; a posterior needs no table.

    Raises
    ------
    ModelError
        A formula without a table.
    """
    if isinstance(model, Posterior) and table is None:
        return _sample_prior_of(model.data, draws, seed)
    model = model.model if isinstance(model, Posterior) else as_model(model, table)
    if table is None:
        raise ModelError(f"{model.formula.text!r} needs a table, which determines the scale of its priors")
    rows = prepare_rows(table, model.formula, weights=model.weights, places=places)
    return _sample_prior_of(FitData.learn(model, rows.design, collect_moments(rows)), draws, seed)


def _sample_prior_of(data: FitData, draws: int, seed: int) -> PriorSample:
    prior = label_draws(data.design, data.hierarchy, draw_prior(data, draws, stream(seed, PRIOR))).dataset()
    return PriorSample(data, prior, coefficients_of(prior, data), seed)


@suggest_argument_names
def posterior_predictive(
    post: Posterior,
    table: object,
    *,
    seed: int | None = None,
    dtype: str = "float64",
    unseen: str = "error",
    log_likelihood: bool = True,
    places: object = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> xr.DataTree:
    """Draw an outcome for every row and posterior draw, and compute the log-likelihood of the observed outcomes.

    y_i ~ p(y | x_iᵀ β_g(i), sigma, nu), the same numbers as Posterior.predict_draws with the same seed.

    log p(y_i | θ) is the log density of the outcome in its own units: that of the standardized outcome, minus
    log(unit), and minus log(y_i) if the formula takes the log. So models of price and of log(price) can be
    compared. A row that stands for n identical ones has one draw and the log-likelihood of one of them.

    Parameters
    ----------
    post : Posterior
        The posterior.
    table : table
        Anything read() takes, with the predictors and the group, and with the outcome for log-likelihoods.
    seed : int, optional
        Seed of the draws; the posterior's by default.
    dtype : str
        Type of the draws; "float32" halves the memory: rows × draws × 8 bytes, twice that with log-likelihoods.
    unseen : str
        How to predict for groups that the fit did not have, see Posterior.predict.
    log_likelihood : bool
        Whether to compute log-likelihoods.
    places : table, optional
        More places with their predictors, see Posterior.predict.
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    xarray.DataTree
        Groups posterior and sample_stats, unchanged, and posterior_predictive and log_likelihood (chain, draw,
        row), observed_data (row), for arviz.loo and the predictive checks of ArviZ (before ArviZ 1.0: attach it,
        save, and open the file with arviz.from_netcdf). row is the position in the table; if there are groups,
        the row's label is a coordinate too. The last two groups need the outcome. Rows that lack a predictor, the
        group or the outcome, have impossible values or frequency 0, or do not satisfy where= are left out; the
        attributes rows_read, rows_used and rows_dropped count them.

    Raises
    ------
    TableError
        A column is missing, or the fit did not have a group or category.
    ModelError
        dtype, seed or unseen is invalid, or no row can be used.

    Examples
    --------
    >>> import priorhood as ph
    >>> rows = {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}
    >>> post = ph.fit("price ~ area", rows, seed=1)
    >>> ph.posterior_predictive(post, rows)["log_likelihood"]["price"].dims
    ('chain', 'draw', 'row')
    """
    _check_dtype(dtype)
    check_choice("unseen", unseen, UNSEEN)
    seed = post.seed if seed is None else check_seed(seed)
    posterior = post.tree["posterior"].to_dataset()
    c = coefficients_of(posterior, post.data)
    used = used_rows(post.placed(table, places), c, unseen)
    outcomes = np.empty((len(c.mu), len(used.kept)), dtype=dtype)
    density = np.empty_like(outcomes) if log_likelihood and used.y is not None else None
    compute_density = None if density is None else used.density_into(density, c)
    simulate(used.rows, Groups(c, used.rows.spots, unseen, seed), used.kept, outcomes, compute_density, progress)
    groups = {
        "posterior": posterior,
        "sample_stats": post.tree["sample_stats"].to_dataset(),
        "posterior_predictive": used.labelled(outcomes, posterior),
    }
    if density is not None:
        groups["log_likelihood"] = used.labelled(density, posterior)
    if used.y is not None:
        groups["observed_data"] = used.observed()
    return _tree(groups, post.model, post.scale, used, seed, unseen=unseen)


def _check_dtype(dtype: object) -> None:
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ModelError(f"dtype must be {join_words(map(repr, DTYPES), 'or')}, not {brief_value(dtype)}")


def _tree(
    groups: dict[str, xr.Dataset], model: Model, scale: Scale, used: ObservedRows, seed: int, **more: str
) -> xr.DataTree:
    """Combine the groups; new ones have the attributes too, in case they are attached to another tree."""
    import xarray as xr

    attrs = {
        "model": json.dumps(model.to_dict()),
        "scale": json.dumps(scale.to_dict()),
        "seed": seed,
        "rows_read": len(used.rows.X),
        "rows_used": len(used.kept),
        "rows_dropped": json.dumps([[d.reason, d.column, d.rows] for d in used.dropped]),
        **more,
    }
    run = {key: value for key, value in attrs.items() if key not in ("model", "scale")}
    new = {"inference_library": "priorhood", **run}
    tree = xr.DataTree.from_dict(
        {k: v if k in ("posterior", "sample_stats") else v.assign_attrs(new) for k, v in groups.items()}
    )
    tree.attrs = attrs
    return tree


def draw_prior(data: FitData, draws: int, rng: np.random.Generator) -> Draws:
    """Draw every parameter and all groups' coefficients from the prior, in one chain."""
    model, design, resolved, hierarchy = data.model, data.design, data.resolved, data.hierarchy
    mu = np.stack([p.sample(rng, draws) for p in resolved.mu], axis=-1) if resolved.mu else np.empty((draws, 0))
    spreads = [np.stack([p.sample(rng, draws) for p in tau], axis=-1) for tau in resolved.tau]
    coefficients = np.zeros((draws, 1, len(design.columns)))
    coefficients[:, 0, design.index(design.population_columns)] = mu
    effects: list[Effects] = []
    for i in reversed(range(len(hierarchy.groupings))):
        places, crossed = hierarchy.groupings[i], i >= len(hierarchy.levels)
        prior, tau, K = resolved.omega[i], spreads[i], spreads[i].shape[-1]
        corr = prior.cholesky(rng, draws, K) if prior else np.broadcast_to(np.eye(K), (draws, K, K))
        deviations = rng.standard_normal((draws, places.size, K)) @ (tau[:, :, None] * corr).swapaxes(1, 2)
        if not crossed:
            coefficients = coefficients[:, places.parent]
            coefficients[:, :, design.index(design.level_columns(i))] += deviations
        beta = deviations if crossed else coefficients[:, :, design.index(design.coefficient_columns(i))]
        effects.insert(0, Effects(beta[None], tau[None], (corr @ corr.swapaxes(1, 2))[None] if prior else None))
    shape = (draws, hierarchy.levels[0].size) if model.noise else (draws,)
    sigma, nu, median, spread = (
        None if prior is None else prior.sample(rng, size)
        for prior, size in (
            (resolved.sigma, shape),
            (resolved.nu, draws),
            (resolved.sigma_median, draws),
            (resolved.sigma_spread, draws),
        )
    )
    if median is not None and spread is not None:
        sigma = median[:, None] * np.exp(spread[:, None] * rng.standard_normal(shape))
    sigma, nu, median, spread = (None if values is None else values[None] for values in (sigma, nu, median, spread))
    return Draws(
        mu[None], tuple(effects), sigma, stats={}, facts={}, nu=nu, sigma_median=median, sigma_spread=spread
    )

"""Draws of outcomes from prior and posterior, with the groups that ArviZ needs (math.md, section 7)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import MAX_DRAWS, check_seed, check_whole, suggest_argument_names
from priorhood._text import join_words
from priorhood.data.rows import prepare_rows
from priorhood.engines.draws import Draws, Effects
from priorhood.errors import ModelError
from priorhood.model.model import Model, as_model
from priorhood.posterior.posterior import Posterior
from priorhood.posterior.tree import labelled
from priorhood.prediction.coefficients import PRIOR, coefficients_of, stream
from priorhood.prediction.observed import ObservedRows, used_rows
from priorhood.prediction.places import Groups
from priorhood.prediction.predict import UNSEEN, simulate
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.fit_data import FitData

if TYPE_CHECKING:
    from collections.abc import Callable

    import xarray as xr

    from priorhood._arrays import Array
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
    """Draws of the parameters and of every row's outcome from the prior, before the model sees an outcome.

    θ ~ p(θ),  β_g ~ Normal(mu, diag(tau) omega diag(tau)),  y_i ~ p(y | x_iᵀ β_g(i), sigma, nu)

    Nothing is fitted. The table's outcomes only give the scale on which priors are stated.

    Parameters
    ----------
    model : Model or str
        A formula stands for a model with default priors.
    table : anything read() takes
        With the outcome; rows count as they do for a fit.
    draws : int
        Of the parameters and of every row, in one chain.
    seed : int, optional
        The same seed gives the same draws; one is chosen and recorded if None.
    dtype : str
        "float32" halves the memory of the rows' draws.
    places : anything read() takes, optional
        A table with one row per place and predictors of it, see fit.

    Returns
    -------
    xarray.DataTree
        Groups prior: parameters, standardized, named like a posterior's; prior_predictive (chain, draw, row) and
        observed_data (row): the outcome in its own units, by its name. row is the position in the table; where
        there are groups, the row's label is a coordinate too. Wide priors on a log outcome give draws beyond the
        largest number, which are infinite.

    Raises
    ------
    TableError, PriorError, ModelError
        As for a fit; impossible draws or dtype.

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
    world = _world(data, draws, seed)
    drawn, c = world.drawn, world.coefficients
    used = used_rows(rows.table, c, "error")
    out = np.empty((draws, len(used.kept)), dtype=dtype)
    simulate(used.rows, Groups(c, used.rows.spots, "error", seed), used.kept, out)
    made = {"prior": drawn, "prior_predictive": used.labelled(out, drawn), "observed_data": used.observed()}
    return _tree(made, model, data.scale, used, seed)


@dataclass(frozen=True)
class PriorSample:
    """Draws from the prior on the scale of some data, standardized: labelled, and as predictions take them."""

    data: FitData
    drawn: xr.Dataset
    coefficients: Coefficients
    seed: int


def sample_prior(
    model: Model | str | Posterior, table: object, draws: int, seed: int, places: object = None
) -> PriorSample:
    """Draws from the prior of a model on a table, or of a posterior, on its own sums if there is no table.

    Raises
    ------
    ModelError
        A formula without a table.
    """
    if isinstance(model, Posterior) and table is None:
        return _world(model.data, draws, seed)
    model = model.model if isinstance(model, Posterior) else as_model(model, table)
    if table is None:
        raise ModelError(f"{model.formula.text!r} needs a table, whose scale its priors are stated on")
    rows = prepare_rows(table, model.formula, weights=model.weights, places=places)
    return _world(FitData.learn(model, rows.design, collect_moments(rows)), draws, seed)


def _world(data: FitData, draws: int, seed: int) -> PriorSample:
    drawn = labelled(data.design, data.hierarchy, draw_prior(data, draws, stream(seed, PRIOR)))
    return PriorSample(data, drawn, coefficients_of(drawn, data), seed)


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
    """One predicted outcome of every row for every posterior draw, and the log-likelihood of its observed outcome.

    y_i ~ p(y | x_iᵀ β_g(i), sigma, nu): the numbers of Posterior.predict_draws with the same seed.

    log p(y_i | θ) is the log density of the outcome in its own units: of the standardized outcome, less
    log(unit), and less log(y_i) where the formula takes the log. So models of price and of log(price) can be
    compared. A row that stands for n equal ones has one draw, and the log-likelihood of one of them.

    Parameters
    ----------
    post : Posterior
    table : anything read() takes
        With the predictors and the group; with the outcome for log-likelihoods.
    seed : int, optional
        The posterior's if None.
    dtype : str
        "float32" halves the memory: rows × draws × 8 bytes, twice with log-likelihoods.
    unseen : str
        For a group that the fit did not have, see Posterior.predict.
    log_likelihood : bool
        False to leave it out.
    places : anything read() takes, optional
        More places with their predictors, see Posterior.predict.
    progress : callable, optional
        Called with (stage, done, total).

    Returns
    -------
    xarray.DataTree
        Groups posterior and sample_stats, as they are, and posterior_predictive and log_likelihood (chain, draw,
        row), observed_data (row), for arviz.loo and the predictive checks of ArviZ (before ArviZ 1.0: attach it,
        save, and open the file with arviz.from_netcdf). row is the position in the table; where there are groups,
        the row's label is a coordinate too. The last two need the outcome. Rows without a predictor, group or
        outcome, with impossible values, frequency 0 or not in where= are left out; the attributes rows_read,
        rows_used and rows_dropped count them.

    Raises
    ------
    TableError
        A column that is not there; a group or category that the fit did not have.
    ModelError
        An impossible dtype, seed or unseen; no row that can be used.

    Examples
    --------
    >>> import priorhood as ph
    >>> rows = {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}
    >>> post = ph.fit("price ~ area", rows, seed=1)
    >>> ph.posterior_predictive(post, rows)["log_likelihood"]["price"].dims
    ('chain', 'draw', 'row')
    """
    _check_dtype(dtype)
    if unseen not in UNSEEN:
        raise ModelError(f"unseen must be one of {', '.join(UNSEEN)}, not {unseen!r}")
    seed = post.seed if seed is None else check_seed(seed)
    drawn = post.tree["posterior"].to_dataset()
    c = coefficients_of(drawn, post.data)
    used = used_rows(post.placed(table, places), c, unseen)
    out = np.empty((len(c.mu), len(used.kept)), dtype=dtype)
    density = np.empty_like(out) if log_likelihood and used.y is not None else None
    also = None if density is None else used.density_into(density, c)
    simulate(used.rows, Groups(c, used.rows.spots, unseen, seed), used.kept, out, also, progress)
    made = {
        "posterior": drawn,
        "sample_stats": post.tree["sample_stats"].to_dataset(),
        "posterior_predictive": used.labelled(out, drawn),
    }
    if density is not None:
        made["log_likelihood"] = used.labelled(density, drawn)
    if used.y is not None:
        made["observed_data"] = used.observed()
    return _tree(made, post.model, post.scale, used, seed, unseen=unseen)


def _check_dtype(dtype: object) -> None:
    if dtype not in DTYPES:
        raise ModelError(f"dtype must be {join_words(map(repr, DTYPES), 'or')}, not {dtype!r}")


def _tree(
    made: dict[str, xr.Dataset], model: Model, scale: Scale, used: ObservedRows, seed: int, **more: str
) -> xr.DataTree:
    """The groups as one tree; each new one has the attributes too, for when it is attached elsewhere."""
    import xarray as xr

    facts = {
        "model": json.dumps(model.to_dict()),
        "scale": json.dumps(scale.to_dict()),
        "seed": seed,
        "rows_read": len(used.rows.X),
        "rows_used": len(used.kept),
        "rows_dropped": json.dumps([[d.reason, d.column, d.rows] for d in used.dropped]),
        **more,
    }
    own = {key: facts[key] for key in facts if key not in ("model", "scale")}
    attrs = {"inference_library": "priorhood", **own}
    tree = xr.DataTree.from_dict(
        {k: v if k in ("posterior", "sample_stats") else v.assign_attrs(attrs) for k, v in made.items()}
    )
    tree.attrs = facts
    return tree


def draw_prior(data: FitData, draws: int, rng: np.random.Generator) -> Draws:
    """Draws of every parameter and of all groups' coefficients from the prior, one chain."""
    model, design, resolved, hierarchy = data.model, data.design, data.resolved, data.hierarchy
    mu = np.stack([p.sample(rng, draws) for p in resolved.mu], axis=-1) if resolved.mu else np.empty((draws, 0))
    spreads = [np.stack([p.sample(rng, draws) for p in tau], axis=-1) for tau in resolved.tau]
    check_whole = np.zeros((draws, 1, len(design.columns)))
    check_whole[:, 0, design.index(design.population_columns)] = mu
    effects: list[Effects] = []
    for at in reversed(range(len(hierarchy.groupings))):
        places, across = hierarchy.groupings[at], at >= len(hierarchy.levels)
        prior, tau, K = resolved.omega[at], spreads[at], spreads[at].shape[-1]
        corr = prior.cholesky(rng, draws, K) if prior else np.broadcast_to(np.eye(K), (draws, K, K))
        own = rng.standard_normal((draws, places.size, K)) @ (tau[:, :, None] * corr).swapaxes(1, 2)
        if not across:
            check_whole = check_whole[:, places.parent]
            check_whole[:, :, design.index(design.level_columns(at))] += own
        beta = own if across else check_whole[:, :, design.index(design.coefficient_columns(at))]
        effects.insert(0, Effects(beta[None], tau[None], (corr @ corr.swapaxes(1, 2))[None] if prior else None))
    shape = (draws, hierarchy.levels[0].size) if model.noise else (draws,)
    sigma, nu, median, apart = (
        None if prior is None else prior.sample(rng, size)
        for prior, size in (
            (resolved.sigma, shape),
            (resolved.nu, draws),
            (resolved.sigma_median, draws),
            (resolved.sigma_spread, draws),
        )
    )
    if median is not None and apart is not None:
        sigma = median[:, None] * np.exp(apart[:, None] * rng.standard_normal(shape))
    return Draws(
        mu[None], tuple(effects), _one(sigma), stats={}, facts={}, nu=_one(nu),
        sigma_median=_one(median), sigma_spread=_one(apart),
    )  # fmt: skip


def _one(values: Array | None) -> Array | None:
    """One chain of draws."""
    return None if values is None else values[None]

"""A posterior for PyMC: rows for the containers of its models, and draws of every variable that these draw.

A model of to_pymc has free variables that a posterior does not have: factors of covariances, and standardized
effects. They follow from the parameters that it has (math.md, 2 and 3).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import preview
from priorhood.engines.draws import term_dimension
from priorhood.engines.observations import Observations
from priorhood.errors import ModelError, TableError, warn
from priorhood.model.formula import SEPARATOR
from priorhood.posterior.lazy_draws import flat_of
from priorhood.prediction.coefficients import correlation_factor
from priorhood.prediction.places import spot_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    import xarray as xr

    from priorhood._arrays import Array, Index
    from priorhood.engines.nuts import Regression
    from priorhood.prediction.coefficients import Coefficients
    from priorhood.prediction.observed import ObservedRows

WEIGHTS = ("se", "precision_weights", "frequency_weights")
SAME_SCALE = 1e-9  # in sds of a column: other orders of adding up the same rows differ by less
ROWS_OF_THE_FIT = (
    "Model.to_pymc learns them from its rows, which must be the fit's; Posterior.to_pymc(rows) takes the "
    "posterior's, whatever the rows"
)


# -- rows -------------------------------------------------------------------------------------------------


def regression_of(used: ObservedRows, c: Coefficients, like: Regression, name: str) -> Regression:
    """The rows of a table that can be used, standardized as the posterior's were, each in its places.

    like : the posterior's own regression, whose rows do not matter; name : of the table

    Raises
    ------
    TableError
        A row in a place that the fit did not have, or without its place.
    """
    left = [d for d in used.dropped if d.reason in ("missing", "impossible value")]
    if left:
        warn(
            f"{name}: {sum(d.rows for d in left):,} of {len(used.rows.X):,} rows are left out "
            f"({'; '.join(map(str, left))}); the coordinate `row` says which rows are there"
        )
    X, error, spot = used.rows.X[used.kept], used.rows.error[used.kept], used.rows.group[used.kept]
    spots, cell = np.unique(spot, return_inverse=True)
    rows = Observations(
        X=X,
        y=np.full(len(X), np.nan) if used.y is None else c.scale.from_outcome(used.y),
        cell=cell.astype(np.int64),
        se=error if c.row_weights.se is not None else None,
        precision=error**-2.0 if c.row_weights.precision is not None else None,
        times=used.times,
        row=used.kept,
    )
    places = _places(used, c, spots, name)
    found = tuple(
        replace(grouping, of_cell=places.get(at, grouping.of_cell)) for at, grouping in enumerate(like.groupings)
    )
    return replace(like, rows=rows, groupings=found)


def _places(used: ObservedRows, c: Coefficients, spots: Index, name: str) -> dict[int, Index]:
    """The place of every spot in the finest level and in every crossed grouping, by the grouping's position."""
    known = [spot_of(c, used.rows.spots[at]) for at in spots.tolist()]
    new = dict.fromkeys(place for spot in known for place in spot.new)
    if new:
        group = next(iter(new))[0]
        labels = [label for column, label in new if column == group]
        raise TableError(
            f"{name}: {group} {preview(labels)} {'was' if len(labels) == 1 else 'were'} not in the data of the "
            "fit, "
            f"and the PyMC model has coefficients of the fit's places alone. Leave these rows out, or predict them "
            f"without PyMC: predict(rows, unseen='draw')"
        )
    silent = np.array([spot.status != "known" for spot in known])
    if silent.any():
        rows = int(np.isin(used.rows.group[used.kept], spots[silent]).sum())
        raise TableError(
            f"{name}: {rows:,} rows do not say where they are ({', '.join(c.keys)}), and the PyMC model takes a "
            f"place for every row. Leave these rows out, or predict them without PyMC: predict(rows), which "
            f"averages over the places that they may be in"
        )
    found = {}
    for at, grouping in enumerate(c.levels[:1] + c.crossed):
        positions = np.zeros(len(known), dtype=np.int64)
        for i, spot in enumerate(known):
            # A known spot lies in one place of each grouping, though not always in a cell that has rows.
            key = SEPARATOR.join(spot.labels[column] for column in grouping.places.path)
            positions[i] = grouping.places.of_cell[spot.cells[0]] if at == 0 else grouping.at[key]
        found[at if at == 0 else len(c.levels) + at - 1] = positions
    return found


# -- draws ------------------------------------------------------------------------------------------------


def completed(posterior: xr.Dataset, stats: xr.Dataset, r: Regression, c: Coefficients, model: pm.Model) -> Any:
    """Draws of all variables that a model of to_pymc draws, with its data, as pymc.sample would return them.

    r : the posterior's own regression; its rows do not matter

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        InferenceData where ArviZ is older than 1.0.

    Raises
    ------
    ModelError
        Another model, or one of other rows.
    """
    import xarray as xr

    _check_same(r, model)
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    effect = r.effect(0) if r.groupings else None
    if effect is not None and effect not in posterior.data_vars:
        # Only summaries of the finest places are stored.
        g, values = r.groupings[0], c.levels[0].drawn(np.arange(c.levels[0].places.size))
        term = term_dimension(g.name, g.coefficients, r.population)
        named = {g.name: g.labels, term: [r.columns[d] for d in g.coefficients]}
        values = values.reshape(*shape, *values.shape[1:])
        posterior = posterior.assign({effect: (("chain", "draw", g.name, term), values)}).assign_coords(named)
    derived = _derived(posterior, r)
    found = {}
    for variable in model.free_RVs:
        name = variable.name
        if name in posterior.data_vars:
            continue
        if name not in derived:
            raise ModelError(
                f"the PyMC model draws {name!r}, which is no variable of to_pymc and does not follow from the "
                f"posterior; complete the posterior first (for_pymc), then extend the model"
            )
        values = derived[name]()
        dims = model.named_vars_to_dims.get(name) or [f"{name}_dim_{i}" for i in range(values.ndim - 1)]
        found[name] = (("chain", "draw", *dims), values.reshape(*shape, *values.shape[1:]))
    drawn = posterior.assign(found)
    coords = {d: np.asarray(model.coords[d]) for d in drawn.dims if d not in drawn.coords and d in model.coords}
    held = {variable.name: variable for variable in model.data_vars}
    constant = {name: variable for name, variable in held.items() if name != "outcome"}
    tree = xr.DataTree.from_dict(
        {
            "posterior": drawn.assign_coords(coords),
            "sample_stats": stats,
            "observed_data": _data({"y": held["outcome"]}, model),
            "constant_data": _data(constant, model),
        }
    )
    from priorhood.posterior.notebook_names import for_arviz

    return for_arviz(tree)


def _data(variables: dict[str, Any], model: pm.Model) -> xr.Dataset:
    """Values of a model's containers, with its coordinates."""
    import xarray as xr

    dims = {name: model.named_vars_to_dims.get(held.name) or () for name, held in variables.items()}
    return xr.Dataset(
        {name: (dims[name], np.asarray(held.get_value())) for name, held in variables.items()},
        coords={d: np.asarray(model.coords[d]) for own in dims.values() for d in own if d is not None},
    )


def _derived(posterior: xr.Dataset, r: Regression) -> dict[str, Callable[[], Array]]:
    """Functions that make the draws (S, …) of variables of either parameterization from those of the parameters."""
    found: dict[str, Callable[[], Array]] = {}
    for at in range(len(r.groupings)):
        found |= _derived_by(posterior, r, at)
    if r.sigma_median is not None:
        found["sigma_z"] = lambda: (
            np.log(flat_of(posterior, "sigma") / flat_of(posterior, "sigma_median")[:, None])
            / flat_of(posterior, "sigma_spread")[:, None]
        )
    return found


def _derived_by(posterior: xr.Dataset, r: Regression, at: int) -> dict[str, Callable[[], Array]]:
    """Those functions of one grouping's variables."""
    g, K = r.groupings[at], len(r.groupings[at].varying)
    tau = flat_of(posterior, f"tau{g.suffix}")

    def own() -> Array:
        """The coefficients that vary by the grouping (S, places, K)."""
        return flat_of(posterior, r.effect(at))[:, :, [g.coefficients.index(d) for d in g.varying]]

    def factor() -> Array:
        """Cholesky factors L of its correlations (S, K, K)."""
        return correlation_factor(flat_of(posterior, f"omega{g.suffix}"))

    def spread() -> Array:
        """Λ = diag(τ) L (S, K, K)."""
        return np.asarray(tau[:, :, None] * (np.eye(K) if g.omega is None else factor()))

    def centre() -> Array:
        """What the coefficients vary around: their parents', mu or 0; (S, places or 1, K)."""
        coarser = r.groupings[at + 1].coefficients if g.parent is not None else ()
        above = flat_of(posterior, r.effect(at + 1))[:, g.parent] if g.parent is not None else None
        mu = flat_of(posterior, "mu")[:, None] if r.population and at < r.levels else None
        out = np.zeros((len(tau), 1 if above is None else above.shape[1], K))
        for k, d in enumerate(g.varying):
            if above is not None and d in coarser:
                out[:, :, k] = above[:, :, coarser.index(d)]
            elif mu is not None and d in r.population:
                out[:, :, k] = mu[:, :, r.population.index(d)]
        return out

    found: dict[str, Callable[[], Array]] = {
        f"{r.effect(at)}_own": own,
        f"z{g.suffix}": lambda: _standardized(own() - centre(), spread()),
    }
    found |= {f"tau{g.suffix}[{r.columns[d]}]": partial(np.take, tau, k, axis=1) for k, d in enumerate(g.varying)}
    if g.omega is not None:
        # As PyMC packs them: lower triangles row by row; canonical partial correlations as shares, 0 … 1.
        found[f"spread{g.suffix}"] = lambda: spread()[:, *np.tril_indices(K)]
        found[f"partial{g.suffix}"] = lambda: 0.5 + 0.5 * _partial(factor())
    return found


def _standardized(effects: Array, spread: Array) -> Array:
    """Solve Λ z = effects for z (S, places, K), Λ (S, K, K) lower triangular; 0 where Λ's diagonal is 0."""
    z = np.zeros_like(effects)
    for k in range(effects.shape[2]):
        rest = effects[:, :, k] - np.einsum("si,sji->sj", spread[:, k, :k], z[:, :, :k])
        pivot = spread[:, k, k, None]
        np.divide(rest, pivot, out=z[:, :, k], where=pivot > 0)
    return z


def _partial(factor: Array) -> Array:
    """Canonical partial correlations (S, K (K − 1)/2) of Cholesky factors of correlations, row by row."""
    found = []
    for i in range(1, factor.shape[1]):
        left = np.ones(len(factor))
        for j in range(i):
            one = np.divide(factor[:, i, j], left, out=np.zeros(len(factor)), where=left > 0).clip(-1, 1)
            found.append(one)
            left = left * np.sqrt(1 - one**2)
    return np.stack(found, axis=1)


# -- whether it is the posterior's model ------------------------------------------------------------------


def _check_same(r: Regression, model: Any) -> None:
    """Raise unless a PyMC model has the posterior's columns, places, parameters and scale."""
    there = getattr(model, "named_vars", {})
    absent = [n for n in ("y", "X", "outcome", "outcome_unit", "column_centre", "column_spread") if n not in there]
    if absent:
        raise ModelError(
            f"for_pymc takes a PyMC model that to_pymc made, and this one has no variable {absent[0]!r}: "
            f"Model.to_pymc(rows) makes one of the fit's rows, Posterior.to_pymc(rows) one of any rows"
        )
    theirs = str(model.coords["response"][0])
    if theirs != r.outcome:
        raise ModelError(f"the PyMC model is of the outcome {theirs!r}, the posterior of {r.outcome!r}")
    for dim, own in (("column", r.columns), *((g.name, g.labels.tolist()) for g in r.groupings)):
        other = [str(label) for label in model.coords.get(dim, ())]
        if other != list(own):
            odd = [label for label in (*own, *other) if (label in own) != (label in other)] or other
            raise ModelError(f"the PyMC model and the posterior differ in {dim}: {preview(odd)}. {ROWS_OF_THE_FIT}")
    optional = ("mu", "sigma", "sigma_median", "sigma_spread", "nu", *(f"omega{g.suffix}" for g in r.groupings))
    for name in dict.fromkeys((*r.parameters, *optional, *WEIGHTS)):
        mine = name in r.parameters or name in r.data
        if mine != (name in there):
            has, lacks = ("posterior", "PyMC model") if mine else ("PyMC model", "posterior")
            raise ModelError(f"the {has} has {name}, the {lacks} does not: they are of two models")
    centre, spread, unit = (there[n].get_value() for n in ("column_centre", "column_spread", "outcome_unit"))
    apart = np.abs(centre - r.scale.centre) / r.scale.spread, np.abs(spread / r.scale.spread - 1)
    worst = np.maximum(*apart)
    if abs(unit[0] / r.scale.unit - 1) > SAME_SCALE:
        raise ModelError(
            f"the PyMC model's outcome is in units of {unit[0]:g}, the posterior's in {r.scale.unit:g}. "
            f"{ROWS_OF_THE_FIT}"
        )
    if worst.max() > SAME_SCALE:
        at = int(worst.argmax())
        raise ModelError(
            f"the PyMC model has standardized {r.columns[at]!r} by {centre[at]:g} and {spread[at]:g}, the "
            f"posterior by {r.scale.centre[at]:g} and {r.scale.spread[at]:g}. {ROWS_OF_THE_FIT}"
        )

"""A posterior for PyMC: rows for the data containers of its models, and draws of all their free variables.

A model of to_pymc has free variables that a posterior lacks, such as factors of covariances and standardized
effects. They follow from the posterior's parameters (math.md, 2 and 3).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, preview, row_count
from priorhood.engines.draws import term_dimension
from priorhood.engines.observations import Observations
from priorhood.errors import ModelError, TableError, warn
from priorhood.model.formula import SEPARATOR
from priorhood.posterior.lazy_draws import flat_draws
from priorhood.prediction.coefficients import correlation_factor
from priorhood.prediction.places import place_key

if TYPE_CHECKING:
    from collections.abc import Callable

    import pymc as pm
    import xarray as xr

    from priorhood._arrays import Array, Index
    from priorhood.engines.nuts import Regression
    from priorhood.prediction.coefficients import Coefficients
    from priorhood.prediction.observed import ObservedRows

WEIGHTS = ("se", "precision_weights", "frequency_weights")
SAME_SCALE = 1e-9  # in sds of a column: summing the same rows in another order changes less
ROWS_OF_THE_FIT = (
    "Model.to_pymc takes the scale and places from the rows it is given, which must be those of the fit; "
    "Posterior.to_pymc(rows) takes them from the posterior, whatever the rows"
)


# -- rows -------------------------------------------------------------------------------------------------


def regression_of_rows(used: ObservedRows, c: Coefficients, like: Regression, name: str) -> Regression:
    """Return the usable rows of a table, standardized like the posterior's, with their places.

    Parameters
    ----------
    used : ObservedRows
        The rows.
    c : Coefficients
        The posterior's draws and places.
    like : Regression
        The posterior's regression; its rows are replaced.
    name : str
        The table's name, for messages.

    Raises
    ------
    TableError
        A row is in a place that the fit did not have, or its place is missing.
    """
    dropped = [d for d in used.dropped if d.reason in ("missing", "impossible value")]
    if dropped:
        warn(
            f"{name}: {sum(d.rows for d in dropped):,} of {len(used.rows.X):,} rows are left out "
            f"({'; '.join(map(str, dropped))}); the coordinate `row` lists those that remain"
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
    places = _place_positions(used, c, spots, name)
    groupings = tuple(
        replace(grouping, of_cell=places.get(i, grouping.of_cell)) for i, grouping in enumerate(like.groupings)
    )
    return replace(like, rows=rows, groupings=groupings)


def _place_positions(used: ObservedRows, c: Coefficients, spots: Index, name: str) -> dict[int, Index]:
    """Return the place of every spot in the finest level and in every crossed grouping, by grouping."""
    resolved = [place_key(c, used.rows.spots[i]) for i in spots.tolist()]
    new = dict.fromkeys(place for spot in resolved for place in spot.new)
    if new:
        group = next(iter(new))[0]
        labels = [label for column, label in new if column == group]
        raise TableError(
            f"{name}: {group} {preview(labels)} {'was' if len(labels) == 1 else 'were'} not in the data of the "
            f"fit, and the PyMC model has coefficients only for the fit's places. Leave these rows out, or predict "
            f"them without PyMC: predict(rows, {argument('unseen', 'draw')})"
        )
    unknown = np.array([spot.status != "known" for spot in resolved])
    if unknown.any():
        rows = int(np.isin(used.rows.group[used.kept], spots[unknown]).sum())
        raise TableError(
            f"{name}: {row_count(rows)} {'lacks its' if rows == 1 else 'lack their'} place ({', '.join(c.keys)}), "
            f"and the PyMC model needs a place for every row. Leave these rows out, or predict them without PyMC: "
            f"predict(rows), which averages over their possible places"
        )
    by_grouping = {}
    for i, grouping in enumerate(c.levels[:1] + c.crossed):
        positions = np.zeros(len(resolved), dtype=np.int64)
        for row, spot in enumerate(resolved):
            # A known spot lies in one place of each grouping, though not always in a cell that has rows.
            key = SEPARATOR.join(spot.labels[column] for column in grouping.places.path)
            positions[row] = grouping.places.of_cell[spot.cells[0]] if i == 0 else grouping.positions[key]
        by_grouping[i if i == 0 else len(c.levels) + i - 1] = positions
    return by_grouping


# -- draws ------------------------------------------------------------------------------------------------


def pymc_inference_data(
    posterior: xr.Dataset, stats: xr.Dataset, r: Regression, c: Coefficients, model: pm.Model
) -> Any:
    """Return draws of all free variables of a model of to_pymc, with its data, as pymc.sample would.

    Parameters
    ----------
    posterior, stats : xarray.Dataset
        The posterior's draws and sample statistics.
    r : Regression
        The posterior's regression; its rows do not matter.
    c : Coefficients
        The same draws, in the form that predictions use.
    model : pymc.Model
        The model.

    Returns
    -------
    arviz.InferenceData or xarray.DataTree
        InferenceData if ArviZ is older than 1.0.

    Raises
    ------
    ModelError
        The model is another one, or is of other rows.
    """
    import xarray as xr

    _check_same(r, model)
    shape = (posterior.sizes["chain"], posterior.sizes["draw"])
    effect = r.effect(0) if r.groupings else None
    if effect is not None and effect not in posterior.data_vars:
        # Only summaries of the finest places are stored.
        g, values = r.groupings[0], c.levels[0].draws_of(np.arange(c.levels[0].places.size))
        term = term_dimension(g.name, g.coefficients, r.population)
        named = {g.name: g.labels, term: [r.columns[d] for d in g.coefficients]}
        values = values.reshape(*shape, *values.shape[1:])
        posterior = posterior.assign({effect: (("chain", "draw", g.name, term), values)}).assign_coords(named)
    derived: dict[str, Callable[[], Array]] = {}
    for i in range(len(r.groupings)):
        derived |= _derived_variables(posterior, r, i)
    if r.sigma_median is not None:
        derived["sigma_z"] = lambda: (
            np.log(flat_draws(posterior, "sigma") / flat_draws(posterior, "sigma_median")[:, None])
            / flat_draws(posterior, "sigma_spread")[:, None]
        )
    added = {}
    for variable in model.free_RVs:
        name = variable.name
        if name in posterior.data_vars:
            continue
        if name not in derived:
            raise ModelError(
                f"the PyMC model has a variable {name!r} that to_pymc does not create and that does not follow "
                f"from the posterior; call for_pymc before you extend the model"
            )
        values = derived[name]()
        dims = model.named_vars_to_dims.get(name) or [f"{name}_dim_{i}" for i in range(values.ndim - 1)]
        added[name] = (("chain", "draw", *dims), values.reshape(*shape, *values.shape[1:]))
    complete = posterior.assign(added)
    coords = {
        d: np.asarray(model.coords[d]) for d in complete.dims if d not in complete.coords and d in model.coords
    }
    containers = {variable.name: variable for variable in model.data_vars}
    constant = {name: variable for name, variable in containers.items() if name != "outcome"}
    tree = xr.DataTree.from_dict(
        {
            "posterior": complete.assign_coords(coords),
            "sample_stats": stats,
            "observed_data": _container_values({"y": containers["outcome"]}, model),
            "constant_data": _container_values(constant, model),
        }
    )
    from priorhood.posterior.notebook_names import for_arviz

    return for_arviz(tree)


def _container_values(variables: dict[str, Any], model: pm.Model) -> xr.Dataset:
    """Return the values of a model's data containers, with its coordinates."""
    import xarray as xr

    dims = {name: model.named_vars_to_dims.get(variable.name) or () for name, variable in variables.items()}
    return xr.Dataset(
        {name: (dims[name], np.asarray(variable.get_value())) for name, variable in variables.items()},
        coords={d: np.asarray(model.coords[d]) for names in dims.values() for d in names if d is not None},
    )


def _derived_variables(posterior: xr.Dataset, r: Regression, i: int) -> dict[str, Callable[[], Array]]:
    """Return functions that compute draws (S, …) of a grouping's variables, in either parameterization."""
    g, K = r.groupings[i], len(r.groupings[i].varying)
    tau = flat_draws(posterior, f"tau{g.suffix}")

    def varying() -> Array:
        """Return the coefficients that vary by the grouping (S, places, K)."""
        return flat_draws(posterior, r.effect(i))[:, :, [g.coefficients.index(d) for d in g.varying]]

    def factor() -> Array:
        """Return Cholesky factors L of the correlations (S, K, K)."""
        return correlation_factor(flat_draws(posterior, f"omega{g.suffix}"))

    def spread() -> Array:
        """Return Λ = diag(τ) L (S, K, K)."""
        return np.asarray(tau[:, :, None] * (np.eye(K) if g.omega is None else factor()))

    def centre() -> Array:
        """Return what the coefficients vary around: their parents', mu or 0; (S, places or 1, K)."""
        coarser = r.groupings[i + 1].coefficients if g.parent is not None else ()
        parents = flat_draws(posterior, r.effect(i + 1))[:, g.parent] if g.parent is not None else None
        mu = flat_draws(posterior, "mu")[:, None] if r.population and i < r.levels else None
        out = np.zeros((len(tau), 1 if parents is None else parents.shape[1], K))
        for k, d in enumerate(g.varying):
            if parents is not None and d in coarser:
                out[:, :, k] = parents[:, :, coarser.index(d)]
            elif mu is not None and d in r.population:
                out[:, :, k] = mu[:, :, r.population.index(d)]
        return out

    def standardized() -> Array:
        """Solve Λ z = varying − centre for z (S, places, K), Λ lower triangular; 0 where its diagonal is 0."""
        effects, scale = varying() - centre(), spread()
        z = np.zeros_like(effects)
        for k in range(K):
            rest = effects[:, :, k] - np.einsum("si,sji->sj", scale[:, k, :k], z[:, :, :k])
            pivot = scale[:, k, k, None]
            np.divide(rest, pivot, out=z[:, :, k], where=pivot > 0)
        return z

    def partial_correlations() -> Array:
        """Return canonical partial correlations (S, K (K − 1)/2), row by row."""
        L, columns = factor(), []
        for row in range(1, K):
            remaining = np.ones(len(L))
            for col in range(row):
                quotient = np.divide(L[:, row, col], remaining, out=np.zeros(len(L)), where=remaining > 0)
                columns.append(quotient.clip(-1, 1))
                remaining = remaining * np.sqrt(1 - columns[-1] ** 2)
        return np.stack(columns, axis=1)

    derived: dict[str, Callable[[], Array]] = {f"{r.effect(i)}_own": varying, f"z{g.suffix}": standardized}
    derived |= {f"tau{g.suffix}[{r.columns[d]}]": partial(np.take, tau, k, axis=1) for k, d in enumerate(g.varying)}
    if g.omega is not None:
        # In PyMC's form: lower triangles row by row; canonical partial correlations mapped from (−1, 1) to (0, 1).
        derived[f"spread{g.suffix}"] = lambda: spread()[:, *np.tril_indices(K)]
        derived[f"partial{g.suffix}"] = lambda: 0.5 + 0.5 * partial_correlations()
    return derived


# -- is it the posterior's model? -------------------------------------------------------------------------


def _check_same(r: Regression, model: Any) -> None:
    """Raise unless a PyMC model has the posterior's columns, places, parameters and scale."""
    variables = getattr(model, "named_vars", {})
    required = ("y", "X", "outcome", "outcome_unit", "column_centre", "column_spread")
    missing = [name for name in required if name not in variables]
    if missing:
        raise ModelError(
            f"for_pymc needs a PyMC model that to_pymc created, and this one has no variable {missing[0]!r}: "
            f"Model.to_pymc(rows) creates one for the fit's rows, Posterior.to_pymc(rows) one for any rows"
        )
    outcome = str(model.coords["response"][0])
    if outcome != r.outcome:
        raise ModelError(f"the outcome of the PyMC model is {outcome!r}, that of the posterior {r.outcome!r}")
    for dim, ours in (("column", r.columns), *((g.name, g.labels.tolist()) for g in r.groupings)):
        theirs = [str(label) for label in model.coords.get(dim, ())]
        if theirs != list(ours):
            different = [label for label in (*ours, *theirs) if (label in ours) != (label in theirs)] or theirs
            raise ModelError(
                f"the PyMC model and the posterior differ in {dim}: {preview(different)}. {ROWS_OF_THE_FIT}"
            )
    optional = ("mu", "sigma", "sigma_median", "sigma_spread", "nu", *(f"omega{g.suffix}" for g in r.groupings))
    for name in dict.fromkeys((*r.parameters, *optional, *WEIGHTS)):
        ours_has = name in r.parameters or name in r.data
        if ours_has != (name in variables):
            has, lacks = ("posterior", "PyMC model") if ours_has else ("PyMC model", "posterior")
            raise ModelError(f"the {has} has {name}, but the {lacks} does not: they are different models")
    centre, spread, unit = (variables[n].get_value() for n in ("column_centre", "column_spread", "outcome_unit"))
    difference = np.maximum(np.abs(centre - r.scale.centre) / r.scale.spread, np.abs(spread / r.scale.spread - 1))
    if abs(unit[0] / r.scale.unit - 1) > SAME_SCALE:
        raise ModelError(
            f"the PyMC model's outcome is in units of {unit[0]:g}, the posterior's in units of {r.scale.unit:g}. "
            f"{ROWS_OF_THE_FIT}"
        )
    if difference.max() > SAME_SCALE:
        worst = int(difference.argmax())
        raise ModelError(
            f"the PyMC model standardizes {r.columns[worst]!r} with mean {centre[worst]:g} and sd "
            f"{spread[worst]:g}, the posterior with {r.scale.centre[worst]:g} and {r.scale.spread[worst]:g}. "
            f"{ROWS_OF_THE_FIT}"
        )

"""PyMC models of a model and rows, and Regressions of a model and standardized rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from priorhood.data.rows import prepare_rows
from priorhood.engines.draws import spread_dimension, term_dimension
from priorhood.engines.nuts.build import build
from priorhood.engines.nuts.regression import Regression, RegressionGrouping
from priorhood.engines.nuts.settings import check_installed
from priorhood.engines.observations import read_observations
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.fit_data import FitData

if TYPE_CHECKING:
    import pymc as pm

    from priorhood.engines.observations import Observations
    from priorhood.model.model import Model


def to_pymc(
    model: Model, table: object, parameterization: str, *, places: object, drop_outliers: float | None
) -> pm.Model:
    """Return a plain PyMC model of a table's rows; see Model.to_pymc."""
    check_installed(parameterization)
    rows = prepare_rows(table, model.formula, weights=model.weights, places=places, drop_outliers=drop_outliers)
    data = FitData.learn(model, rows.design, collect_moments(rows))
    observations = read_observations(rows, data.scale, data.moments.labels)
    return build(regression_of(data, observations), parameterization)


def regression_of(data: FitData, rows: Observations) -> Regression:
    """Return the model and standardized rows as a Regression."""
    model, design, scale = data.model, data.design, data.scale
    resolved, hierarchy = data.resolved, data.hierarchy
    population = tuple(design.index(design.population_columns))
    groupings = []
    for at, places in enumerate(hierarchy.groupings):
        varying = tuple(design.index(design.level_columns(at)))
        coefficients = tuple(design.index(design.coefficient_columns(at)))
        groupings.append(
            RegressionGrouping(
                name=places.name,
                suffix=model.formula.suffix(at),
                labels=places.labels,
                of_cell=places.of_cell,
                parent=places.parent if at + 1 < len(hierarchy.levels) else None,
                varying=varying,
                coefficients=coefficients,
                term=term_dimension(places.name, coefficients, population),
                spread_term=spread_dimension(places.name, varying, coefficients, population),
                tau=resolved.tau[at],
                omega=resolved.omega[at],
            )
        )
    return Regression(
        rows=rows,
        scale=scale,
        outcome=model.formula.outcome,
        logged=model.formula.log_outcome,
        columns=design.names,
        constant=design.constant,
        population=population,
        groupings=tuple(groupings),
        levels=len(hierarchy.levels),
        mu=resolved.mu,
        sigma=resolved.sigma,
        nu=resolved.nu,
        noise=model.noise is not None,
        sigma_median=resolved.sigma_median,
        sigma_spread=resolved.sigma_spread,
    )

"""The labelled tree of a posterior, for ArviZ and the file: groups, dimensions and attributes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import suggestion
from priorhood.engines.draws import QUANTILES, spread_dimension, term_dimension
from priorhood.errors import ModelError
from priorhood.suffstats.io import PLACES, dropped_as_text, labelled_group, moments_arrays
from priorhood.suffstats.netcdf import Arrays, ArrayTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import xarray as xr

    from priorhood.engines.draws import Draws, Summaries
    from priorhood.model.design import Design
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.suffstats.fit_data import FitData


# Version of the file format: 2 added family, noise and se; 3 nested and crossed groupings; 4 summaries in place of
# draws; 5 checksums. Older files are read unchanged.
FORMAT = 5
SUMMARIES = "summaries"
FITTED = ("posterior", "sample_stats", "moments", SUMMARIES, PLACES)
ATTACHED = ("prior", "prior_predictive", "posterior_predictive", "log_likelihood", "observed_data")


def make_tree(data: FitData, draws: Draws, facts: dict[str, Any]) -> ArrayTree:
    """Label an engine's arrays; `facts` are attributes of the run."""
    posterior = label_draws(data.design, data.hierarchy, draws)
    lead = ("chain", "draw")
    arviz = {"inference_library": "priorhood", "sampling_engine": str(draws.facts.get("engine", ""))}
    stats: dict[str, Any] = {name: (lead, values) for name, values in draws.stats.items()}
    coords = {k: posterior.coords[k] for k in lead}
    groups = {
        "posterior": replace(posterior, attrs=arviz),
        "sample_stats": Arrays(stats, coords, arviz),
        "moments": moments_arrays(data.moments),
    }
    if draws.summaries is not None:
        groups[SUMMARIES] = label_summaries(data.design, data.hierarchy, draws.summaries, QUANTILES)
    attrs = {
        "priorhood_format": FORMAT,
        "model": json.dumps(data.model.to_dict()),
        "categories": json.dumps({k: list(v) for k, v in data.design.categories.items()}),
        "numeric_categories": json.dumps(sorted(data.design.numeric)),
        **({"boolean_columns": json.dumps(sorted(data.design.truths))} if data.design.truths else {}),
        "scale": json.dumps(data.scale.to_dict()),
        "rows_read": data.moments.read,
        "rows_used": data.moments.rows,
        "rows_dropped": dropped_as_text(data.moments.dropped),
    }
    return ArrayTree(groups, {**attrs, **draws.facts, **facts})


def label_draws(design: Design, hierarchy: Hierarchy, draws: Draws) -> Arrays:
    """Label draws of all parameters: names, terms and places as coordinates."""
    population = [c.name for c in design.population_columns]
    lead = ("chain", "draw")
    formula = design.formula
    coords: dict[str, Any] = {
        "chain": np.arange(draws.mu.shape[0]),
        "draw": np.arange(draws.mu.shape[1]),
    }
    variables: dict[str, Any] = {}
    spreads: dict[str, Any] = {}
    for i, (places, effects) in enumerate(zip(hierarchy.groupings, draws.effects, strict=True)):
        # The coefficients come first: some versions of ArviZ label a variable's values wrongly if another variable
        # made `term` an earlier dimension of the dataset than the group.
        coefficients = [c.name for c in design.coefficient_columns(i)]
        varying = [c.name for c in design.level_columns(i)]
        term = term_dimension(places.name, coefficients, population)
        spread_term = spread_dimension(places.name, varying, coefficients, population)
        coords |= {spread_term: varying}
        if effects.beta is not None:
            coords |= {places.name: places.labels, term: coefficients}
            variables[formula.effect_name(i)] = ((*lead, places.name, term), effects.beta)
        spreads[f"tau{formula.suffix(i)}"] = ((*lead, spread_term), effects.tau)
        if effects.omega is not None:
            coords[f"{spread_term}_bis"] = varying
            spreads[f"omega{formula.suffix(i)}"] = ((*lead, spread_term, f"{spread_term}_bis"), effects.omega)
    if population:
        coords["term"] = population
        variables["mu"] = ((*lead, "term"), draws.mu)
    variables |= spreads
    if draws.sigma is not None:
        variables["sigma"] = ((*lead, formula.group)[: draws.sigma.ndim], draws.sigma)
    for name, values in (("sigma_median", draws.sigma_median), ("sigma_spread", draws.sigma_spread)):
        if values is not None:
            variables[name] = (lead, values)
    if draws.nu is not None:
        variables["nu"] = (lead, draws.nu)
    return labelled_group(variables, coords)


def label_summaries(
    design: Design, hierarchy: Hierarchy, summaries: Summaries, probabilities: Sequence[float]
) -> Arrays:
    """Label means, sds and quantiles of the finest places' coefficients: beta_mean, beta_sd, beta_q5, …."""
    places = hierarchy.levels[0]
    terms = [c.name for c in design.coefficient_columns(0)]
    term = term_dimension(places.name, terms, [c.name for c in design.population_columns])
    columns = {"mean": summaries.mean, "sd": summaries.sd}
    columns |= {f"q{100 * p:g}": summaries.quantiles[:, :, i] for i, p in enumerate(probabilities)}
    beta = design.formula.effect_name(0)
    return labelled_group(
        {f"{beta}_{name}": ((places.name, term), values) for name, values in columns.items()},
        {places.name: places.labels, term: terms},
    )


def attach_groups(tree: xr.DataTree, others: Iterable[xr.DataTree]) -> xr.DataTree:
    """Add the groups of other trees; see Posterior.attach."""
    import xarray as xr

    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    for other in others:
        if not isinstance(other, xr.DataTree):
            raise ModelError(f"attach needs trees from prior_predictive() or posterior_predictive(), not {other!r}")
        for name, node in other.children.items():
            if name not in FITTED + ATTACHED:
                raise ModelError(f"cannot attach the group {name!r} to a posterior; {suggestion(name, ATTACHED)}")
            if name not in FITTED:
                groups[name] = node.to_dataset()
    attached = xr.DataTree.from_dict(groups)
    attached.attrs = dict(tree.attrs)
    return attached

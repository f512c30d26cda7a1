"""The labelled tree of a posterior, for ArviZ and the file: groups, dimensions, attributes."""

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


# Version of the file format: 2 came with family, noise and se; 3 with nested and crossed groupings; 4 with
# summaries in place of draws; 5 with checksums. Older files are read unchanged.
FORMAT = 5
SUMMARIES = "summaries"
OWN = ("posterior", "sample_stats", "moments", SUMMARIES, PLACES)
ATTACHED = ("prior", "prior_predictive", "posterior_predictive", "log_likelihood", "observed_data")


def tree_of(data: FitData, draws: Draws, facts: dict[str, Any]) -> ArrayTree:
    """Label an engine's arrays; facts : attributes of the run."""
    posterior = _labelled(data.design, data.hierarchy, draws)
    lead = ("chain", "draw")
    arviz = {"inference_library": "priorhood", "sampling_engine": str(draws.facts.get("engine", ""))}
    stats: dict[str, Any] = {name: (lead, values) for name, values in draws.stats.items()}
    only = {k: posterior.coords[k] for k in lead}
    groups = {
        "posterior": replace(posterior, attrs=arviz),
        "sample_stats": Arrays(stats, only, arviz),
        "moments": moments_arrays(data.moments),
    }
    if draws.summaries is not None:
        groups[SUMMARIES] = _summarized(data.design, data.hierarchy, draws.summaries, QUANTILES)
    learned = {
        "priorhood_format": FORMAT,
        "model": json.dumps(data.model.to_dict()),
        "categories": json.dumps({k: list(v) for k, v in data.design.categories.items()}),
        "numeric_categories": json.dumps(sorted(data.design.numeric)),
        "scale": json.dumps(data.scale.to_dict()),
        "rows_read": data.moments.read,
        "rows_used": data.moments.rows,
        "rows_dropped": dropped_as_text(data.moments.dropped),
    }
    return ArrayTree(groups, {**learned, **draws.facts, **facts})


def labelled(design: Design, hierarchy: Hierarchy, draws: Draws) -> xr.Dataset:
    """Draws of all parameters by name, with the terms' names and the groups' labels as coordinates."""
    return _labelled(design, hierarchy, draws).dataset()


def _labelled(design: Design, hierarchy: Hierarchy, draws: Draws) -> Arrays:
    population = [c.name for c in design.population_columns]
    lead = ("chain", "draw")
    formula = design.formula
    coords: dict[str, Any] = {
        "chain": np.arange(draws.mu.shape[0]),
        "draw": np.arange(draws.mu.shape[1]),
    }
    variables: dict[str, Any] = {}
    spreads: dict[str, Any] = {}
    for at, (places, effects) in enumerate(zip(hierarchy.groupings, draws.effects, strict=True)):
        # The coefficients come first: some versions of ArviZ label a variable's values wrongly where another
        # one made `term` an earlier dimension of the dataset than the group.
        named = [c.name for c in design.coefficient_columns(at)]
        varying = [c.name for c in design.level_columns(at)]
        term = term_dimension(places.name, named, population)
        own = spread_dimension(places.name, varying, named, population)
        coords |= {own: varying}
        if effects.beta is not None:
            coords |= {places.name: places.labels, term: named}
            variables[formula.effect_name(at)] = ((*lead, places.name, term), effects.beta)
        spreads[f"tau{formula.suffix(at)}"] = ((*lead, own), effects.tau)
        if effects.omega is not None:
            coords[f"{own}_bis"] = varying
            spreads[f"omega{formula.suffix(at)}"] = ((*lead, own, f"{own}_bis"), effects.omega)
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


def summarized(design: Design, hierarchy: Hierarchy, found: Summaries, levels: Sequence[float]) -> xr.Dataset:
    """Means, sds and quantiles of the finest places' coefficients by name: beta_mean, beta_sd, beta_q5, …."""
    return _summarized(design, hierarchy, found, levels).dataset()


def _summarized(design: Design, hierarchy: Hierarchy, found: Summaries, levels: Sequence[float]) -> Arrays:
    places = hierarchy.levels[0]
    named = [c.name for c in design.coefficient_columns(0)]
    term = term_dimension(places.name, named, [c.name for c in design.population_columns])
    columns = {"mean": found.mean, "sd": found.sd}
    columns |= {f"q{100 * level:g}": found.quantiles[:, :, at] for at, level in enumerate(levels)}
    beta = design.formula.effect_name(0)
    return labelled_group(
        {f"{beta}_{name}": ((places.name, term), values) for name, values in columns.items()},
        {places.name: places.labels, term: named},
    )


def attached(tree: xr.DataTree, more: Iterable[xr.DataTree]) -> xr.DataTree:
    """The tree with groups of other trees; see Posterior.attach."""
    import xarray as xr

    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    for other in more:
        if not isinstance(other, xr.DataTree):
            raise ModelError(f"attach takes trees of prior_predictive or posterior_predictive, not {other!r}")
        for name, node in other.children.items():
            if name not in OWN + ATTACHED:
                raise ModelError(f"a posterior has no place for the group {name!r}; {suggestion(name, ATTACHED)}")
            if name not in OWN:
                groups[name] = node.to_dataset()
    together = xr.DataTree.from_dict(groups)
    together.attrs = dict(tree.attrs)
    return together

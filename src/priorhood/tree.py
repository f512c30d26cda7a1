"""The labelled tree of a posterior, as ArviZ and the file have it: datasets and attributes, there and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from priorhood.draws import QUANTILES, spread_dimension, term_dimension
from priorhood.errors import ModelError, near
from priorhood.gazetteer import Gazetteer
from priorhood.hierarchy import apart, hierarchy_of, joined_labels, shown
from priorhood.moments import Moments
from priorhood.netcdf import Arrays, ArrayTree
from priorhood.rows import Dropped
from priorhood.words import dimension

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    import xarray as xr

    from priorhood.design import Design
    from priorhood.draws import Draws, Summaries
    from priorhood.model import Model
    from priorhood.scale import Scale

Tree = TypeVar("Tree", "ArrayTree", "xr.DataTree")

# 2 came with family, noise and se; 3 with nested and crossed groupings; 4 with summaries in place of draws. Older
# files are read as they were. 5 came with checksums.
FORMAT = 5
PLACES = "places"
SUMMARIES = "summaries"
OWN = ("posterior", "sample_stats", "moments", SUMMARIES, PLACES)
ATTACHED = ("prior", "prior_predictive", "posterior_predictive", "log_likelihood", "observed_data")


def tree_of(
    model: Model, design: Design, scale: Scale, moments: Moments, draws: Draws, facts: dict[str, Any]
) -> ArrayTree:
    """Label an engine's arrays."""
    posterior = _labelled(design, moments.labels, draws)
    lead = ("chain", "draw")
    stats: dict[str, Any] = {name: (lead, values) for name, values in draws.stats.items()}
    only = {k: posterior.coords[k] for k in lead}
    groups = {
        "posterior": replace(posterior, attrs=_arviz_attrs(draws)),
        "sample_stats": Arrays(stats, only, _arviz_attrs(draws)),
        "moments": moments_arrays(moments),
    }
    if draws.summaries is not None:
        groups[SUMMARIES] = _summarized(design, moments.labels, draws.summaries, QUANTILES)
    return ArrayTree(groups, {**_described(model, design, scale, moments), **draws.facts, **facts})


def labelled(design: Design, labels: npt.NDArray[np.str_], draws: Draws) -> xr.Dataset:
    """Draws of all parameters by name, with the terms' names and the groups' labels as coordinates."""
    return _labelled(design, labels, draws).dataset()


def _arrays(variables: dict[str, Any], coords: dict[str, Any], attrs: dict[str, Any] | None = None) -> Arrays:
    """Of the values of coordinates, each a dimension of its own."""
    return Arrays(variables, {name: ((name,), np.asarray(values)) for name, values in coords.items()}, attrs or {})


def _labelled(design: Design, labels: npt.NDArray[np.str_], draws: Draws) -> Arrays:
    population = [c.name for c in design.population_columns]
    lead = ("chain", "draw")
    formula, hierarchy = design.formula, hierarchy_of(design.formula, labels)
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
    return _arrays(variables, coords)


def summarized(
    design: Design, labels: npt.NDArray[np.str_], found: Summaries, levels: Sequence[float]
) -> xr.Dataset:
    """Means, sds and quantiles of the finest places' coefficients by name: beta_mean, beta_sd, beta_q5, …."""
    return _summarized(design, labels, found, levels).dataset()


def _summarized(design: Design, labels: npt.NDArray[np.str_], found: Summaries, levels: Sequence[float]) -> Arrays:
    places = hierarchy_of(design.formula, labels).levels[0]
    named = [c.name for c in design.coefficient_columns(0)]
    term = term_dimension(places.name, named, [c.name for c in design.population_columns])
    columns = {"mean": found.mean, "sd": found.sd}
    columns |= {f"q{100 * level:g}": found.quantiles[:, :, at] for at, level in enumerate(levels)}
    beta = design.formula.effect_name(0)
    return _arrays(
        {f"{beta}_{name}": ((places.name, term), values) for name, values in columns.items()},
        {places.name: places.labels, term: named},
    )


def _described(model: Model, design: Design, scale: Scale, moments: Moments) -> dict[str, Any]:
    """What was chosen and learned, as attributes of the file."""
    return {
        "priorhood_format": FORMAT,
        "model": json.dumps(model.to_dict()),
        "categories": json.dumps({k: list(v) for k, v in design.categories.items()}),
        "numeric_categories": json.dumps(sorted(design.numeric)),
        "scale": json.dumps(scale.to_dict()),
        "rows_read": moments.read,
        "rows_used": moments.rows,
        "rows_dropped": dropped_as_text(moments.dropped),
    }


def dropped_as_text(dropped: tuple[Dropped, ...]) -> str:
    """Rows left out, as an attribute; the number of places is there where it says something."""
    return json.dumps([[d.reason, d.column, d.rows, *([d.places] if d.places else [])] for d in dropped])


def _arviz_attrs(draws: Draws) -> dict[str, str]:
    return {"inference_library": "priorhood", "sampling_engine": str(draws.facts.get("engine", ""))}


def moments_arrays(moments: Moments) -> Arrays:
    """The sums, with the labels of their cells and the names of their columns."""
    group = _cell_dimension(moments.keys)
    columns = list(moments.columns)
    variables: dict[str, Any] = {
        "n": ((group,), moments.n),
        "mean": ((group, "column"), moments.mean),
        "scatter": ((group, "column", "column_bis"), moments.scatter),
    }
    coords: dict[str, Any] = {group: shown(moments.labels), "column": columns, "column_bis": columns}
    if len(moments.keys) > 1:
        # The labels apart: a label may have a slash of its own.
        labels = np.array(apart(moments.labels, len(moments.keys)), dtype=str).reshape(-1, len(moments.keys))
        variables["key"] = ((group, "key_column"), labels)
        coords["key_column"] = list(moments.keys)
    if moments.weight is not None:
        variables["weight"] = ((group,), moments.weight)
    if moments.log_weights is not None:
        variables["log_weight"] = ((group,), moments.log_weights)
    return _arrays(variables, coords, None if moments.weight is None else {"log_weight": moments.log_weight})


def _cell_dimension(keys: tuple[str, ...]) -> str:
    """The dimension of the sums: the group's own name where the cells are its places."""
    return dimension(keys[0]) if len(keys) == 1 else "cell" if keys else "group"


def stored_moments(tree: xr.DataTree, model: Model | Design) -> Moments:
    """The moments that a tree holds; model : of which formula they are."""
    stored = tree["moments"].to_dataset()
    keys = model.formula.keys
    labels = stored[_cell_dimension(keys)].values.astype(str)
    if len(keys) > 1:
        labels = joined_labels(list(stored["key"].values.astype(str).T))
    return Moments(
        keys=keys,
        labels=labels,
        columns=tuple(str(c) for c in stored["column"].values),
        n=stored["n"].values,
        mean=stored["mean"].values,
        scatter=stored["scatter"].values,
        read=int(tree.attrs["rows_read"]),
        dropped=tuple(Dropped(*d) for d in json.loads(tree.attrs["rows_dropped"])),
        weight=stored["weight"].values if "weight" in stored else None,
        log_weight=float(stored.attrs.get("log_weight", 0.0)),
        log_weights=stored["log_weight"].values if "log_weight" in stored else None,
    )


def with_places(tree: Tree, gazetteer: Gazetteer | None) -> Tree:
    """The tree with what is known of the places."""
    if gazetteer is None:
        return tree
    places = _places_arrays(gazetteer)
    if isinstance(tree, ArrayTree):
        return replace(tree, groups={**tree.groups, PLACES: places})
    import xarray as xr

    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    together = xr.DataTree.from_dict({**groups, PLACES: places.dataset()})
    together.attrs = dict(tree.attrs)
    return together


def _places_arrays(gazetteer: Gazetteer) -> Arrays:
    labels = np.array(list(gazetteer.places), dtype=str).reshape(-1, len(gazetteer.keys))
    variables: dict[str, Any] = {"key": (("place", "key_column"), labels)}
    coords: dict[str, Any] = {"key_column": list(gazetteer.keys)}
    for name, textual, dtype in (("number", False, float), ("text", True, str)):
        own = [at for at, column in enumerate(gazetteer.columns) if (column in gazetteer.textual) == textual]
        if own:
            values = [[place[at] for at in own] for place in gazetteer.places.values()]
            variables[name] = (("place", f"{name}_column"), np.array(values, dtype=dtype).reshape(-1, len(own)))
            coords[f"{name}_column"] = [gazetteer.columns[at] for at in own]
    return _arrays(variables, coords)


def stored_places(tree: xr.DataTree) -> Gazetteer | None:
    """What a tree knows of the places; None where the fit had no table of places."""
    if PLACES not in tree.children:
        return None
    stored = tree[PLACES].to_dataset()
    own = {name: tuple(map(str, stored[f"{name}_column"].values)) for name in ("number", "text") if name in stored}
    lists = [stored[name].values.tolist() for name in own]
    values = [tuple(value for part in parts for value in part) for parts in zip(*lists, strict=True)]
    labels = [tuple(parts) for parts in stored["key"].values.astype(str).tolist()]
    return Gazetteer(
        name="the posterior",
        keys=tuple(map(str, stored["key_column"].values)),
        columns=tuple(column for columns in own.values() for column in columns),
        places=dict(zip(labels, values, strict=True)),
        textual=frozenset(own.get("text", ())),
    )


def attached(tree: xr.DataTree, more: Iterable[xr.DataTree]) -> xr.DataTree:
    """The tree with the groups of other trees that have a place in it; see Posterior.attach."""
    import xarray as xr

    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    for other in more:
        if not isinstance(other, xr.DataTree):
            raise ModelError(f"attach takes trees of prior_predictive or posterior_predictive, not {other!r}")
        for name, node in other.children.items():
            if name not in OWN + ATTACHED:
                raise ModelError(f"a posterior has no place for the group {name!r}; {near(name, ATTACHED)}")
            if name not in OWN:
                groups[name] = node.to_dataset()
    together = xr.DataTree.from_dict(groups)
    together.attrs = dict(tree.attrs)
    return together

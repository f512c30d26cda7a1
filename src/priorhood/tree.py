"""The labelled tree of a posterior, as ArviZ and the file have it: datasets and attributes, there and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.draws import spread_dimension, term_dimension
from priorhood.gazetteer import Gazetteer
from priorhood.hierarchy import apart, hierarchy_of, joined_labels, shown
from priorhood.moments import Moments
from priorhood.rows import Dropped

if TYPE_CHECKING:
    import numpy.typing as npt
    import xarray as xr

    from priorhood.design import Design
    from priorhood.draws import Draws
    from priorhood.model import Model
    from priorhood.scale import Scale

# 2 came with family, noise and se; 3 with nested and crossed groupings. Files of 1 and 2 are read as they were.
FORMAT = 3
PLACES = "places"


def tree_of(
    model: Model, design: Design, scale: Scale, moments: Moments, draws: Draws, facts: dict[str, Any]
) -> xr.DataTree:
    """Label an engine's arrays."""
    import xarray as xr

    posterior = labelled(design, moments.labels, draws)
    lead = ("chain", "draw")
    stats = {name: (lead, values) for name, values in draws.stats.items()}
    only = {k: posterior[k] for k in lead}
    tree = xr.DataTree.from_dict(
        {
            "/posterior": posterior.assign_attrs(_arviz_attrs(draws)),
            "/sample_stats": xr.Dataset(stats, coords=only, attrs=_arviz_attrs(draws)),
            "/moments": _moments_dataset(moments),
        }
    )
    tree.attrs = {**_described(model, design, scale, moments), **draws.facts, **facts}
    return tree


def labelled(design: Design, labels: npt.NDArray[np.str_], draws: Draws) -> xr.Dataset:
    """Draws of all parameters by name, with the terms' names and the groups' labels as coordinates."""
    import xarray as xr

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
        coords |= {places.name: places.labels, term: named, own: varying}
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
    return xr.Dataset(variables, coords=coords)


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
        "rows_dropped": json.dumps([[d.reason, d.column, d.rows] for d in moments.dropped]),
    }


def _arviz_attrs(draws: Draws) -> dict[str, str]:
    return {"inference_library": "priorhood", "sampling_engine": str(draws.facts.get("engine", ""))}


def _moments_dataset(moments: Moments) -> xr.Dataset:
    import xarray as xr

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
    return xr.Dataset(
        variables,
        coords=coords,
        attrs={} if moments.weight is None else {"log_weight": moments.log_weight},
    )


def _cell_dimension(keys: tuple[str, ...]) -> str:
    """The dimension of the sums: the group's own name where the cells are its places."""
    return keys[0] if len(keys) == 1 else "cell" if keys else "group"


def stored_moments(tree: xr.DataTree, model: Model) -> Moments:
    """The moments that a tree holds."""
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
    )


def with_places(tree: xr.DataTree, gazetteer: Gazetteer | None) -> xr.DataTree:
    """The tree with what is known of the places."""
    import xarray as xr

    if gazetteer is None:
        return tree
    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    together = xr.DataTree.from_dict({**groups, PLACES: _places_dataset(gazetteer)})
    together.attrs = dict(tree.attrs)
    return together


def _places_dataset(gazetteer: Gazetteer) -> xr.Dataset:
    import xarray as xr

    labels = np.array(list(gazetteer.places), dtype=str).reshape(-1, len(gazetteer.keys))
    variables: dict[str, Any] = {"key": (("place", "key_column"), labels)}
    coords: dict[str, Any] = {"key_column": list(gazetteer.keys)}
    for name, textual, dtype in (("number", False, float), ("text", True, str)):
        own = [at for at, column in enumerate(gazetteer.columns) if (column in gazetteer.textual) == textual]
        if own:
            values = [[place[at] for at in own] for place in gazetteer.places.values()]
            variables[name] = (("place", f"{name}_column"), np.array(values, dtype=dtype).reshape(-1, len(own)))
            coords[f"{name}_column"] = [gazetteer.columns[at] for at in own]
    return xr.Dataset(variables, coords=coords)


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

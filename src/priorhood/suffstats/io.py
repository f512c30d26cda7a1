"""Conversion of sums of rows and tables of places to groups of a labelled tree, and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from priorhood.data.dropped import Dropped
from priorhood.data.place_table import PlaceTable
from priorhood.model.hierarchy import apart, joined_labels, shown
from priorhood.model.tokens import dimension
from priorhood.suffstats.moments import CellMoments
from priorhood.suffstats.netcdf import Arrays, ArrayTree

if TYPE_CHECKING:
    import xarray as xr

    from priorhood.model.design import Design
    from priorhood.model.model import Model

Tree = TypeVar("Tree", "ArrayTree", "xr.DataTree")
PLACES = "places"


def labelled_group(
    variables: dict[str, Any], coords: dict[str, Any], attrs: dict[str, Any] | None = None
) -> Arrays:
    """Return a group whose coordinates, given by their values, are dimensions."""
    return Arrays(variables, {name: ((name,), np.asarray(values)) for name, values in coords.items()}, attrs or {})


def dropped_as_text(dropped: tuple[Dropped, ...]) -> str:
    """Return the rows left out as text for an attribute, with the number of places unless it is 0."""
    return json.dumps([[d.reason, d.column, d.rows, *([d.places] if d.places else [])] for d in dropped])


def moments_arrays(moments: CellMoments) -> Arrays:
    """Return the sums as a group, with the labels of their cells and the names of their columns."""
    group = _cell_dimension(moments.keys)
    columns = list(moments.columns)
    variables: dict[str, Any] = {
        "n": ((group,), moments.n),
        "mean": ((group, "column"), moments.mean),
        "scatter": ((group, "column", "column_bis"), moments.scatter),
    }
    coords: dict[str, Any] = {group: shown(moments.labels), "column": columns, "column_bis": columns}
    if len(moments.keys) > 1:
        # The parts of labels are stored separately: a label may contain a slash.
        labels = np.array(apart(moments.labels, len(moments.keys)), dtype=str).reshape(-1, len(moments.keys))
        variables["key"] = ((group, "key_column"), labels)
        coords["key_column"] = list(moments.keys)
    if moments.weight is not None:
        variables["weight"] = ((group,), moments.weight)
    if moments.log_weights is not None:
        variables["log_weight"] = ((group,), moments.log_weights)
    return labelled_group(variables, coords, None if moments.weight is None else {"log_weight": moments.log_weight})


def _cell_dimension(keys: tuple[str, ...]) -> str:
    """Return the dimension of the sums: the group's name if the cells are its places."""
    return dimension(keys[0]) if len(keys) == 1 else "cell" if keys else "group"


def stored_moments(tree: xr.DataTree, model: Model | Design) -> CellMoments:
    """Return the moments in a tree; model : the model or design of their formula."""
    stored = tree["moments"].to_dataset()
    keys = model.formula.keys
    labels = stored[_cell_dimension(keys)].values.astype(str)
    if len(keys) > 1:
        labels = joined_labels(list(stored["key"].values.astype(str).T))
    return CellMoments(
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


def with_places(tree: Tree, place_table: PlaceTable | None) -> Tree:
    """Add the table of places, if there is one, to a tree."""
    if place_table is None:
        return tree
    labels = np.array(list(place_table.places), dtype=str).reshape(-1, len(place_table.keys))
    variables: dict[str, Any] = {"key": (("place", "key_column"), labels)}
    coords: dict[str, Any] = {"key_column": list(place_table.keys)}
    for name, textual, dtype in (("number", False, float), ("text", True, str)):
        own = [at for at, column in enumerate(place_table.columns) if (column in place_table.textual) == textual]
        if own:
            values = [[place[at] for at in own] for place in place_table.places.values()]
            variables[name] = (("place", f"{name}_column"), np.array(values, dtype=dtype).reshape(-1, len(own)))
            coords[f"{name}_column"] = [place_table.columns[at] for at in own]
    places = labelled_group(variables, coords)
    if isinstance(tree, ArrayTree):
        return replace(tree, groups={**tree.groups, PLACES: places})
    import xarray as xr

    groups = {name: node.to_dataset() for name, node in tree.children.items()}
    together = xr.DataTree.from_dict({**groups, PLACES: places.dataset()})
    together.attrs = dict(tree.attrs)
    return together


def stored_places(tree: xr.DataTree) -> PlaceTable | None:
    """Return the table of places in a tree; None if there is none."""
    if PLACES not in tree.children:
        return None
    stored = tree[PLACES].to_dataset()
    own = {name: tuple(map(str, stored[f"{name}_column"].values)) for name in ("number", "text") if name in stored}
    lists = [stored[name].values.tolist() for name in own]
    values = [tuple(value for part in parts for value in part) for parts in zip(*lists, strict=True)]
    labels = [tuple(parts) for parts in stored["key"].values.astype(str).tolist()]
    return PlaceTable(
        name="the posterior",
        keys=tuple(map(str, stored["key_column"].values)),
        columns=tuple(column for columns in own.values() for column in columns),
        places=dict(zip(labels, values, strict=True)),
        textual=frozenset(own.get("text", ())),
    )

"""Relabelling of files from versions that wrote names without their backticks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from priorhood.model.design import Design, Indicator
from priorhood.model.expression import Expression
from priorhood.model.formula import parse
from priorhood.model.priors import split_label
from priorhood.model.tokens import is_loose

if TYPE_CHECKING:
    import xarray as xr

    from priorhood.model.design import Column


def with_current_labels(tree: xr.DataTree) -> xr.DataTree:
    """Relabel the terms of a tree the way this version labels them.

    Up to 0.1 the column `a:b` had the label of the interaction a:b. A file without such names, or with backticks,
    is returned unchanged.
    """
    stored = tree.attrs.get("model")
    try:
        model = json.loads(stored) if isinstance(stored, str) else None
        formula = parse(tree.attrs["formula"] if model is None else model["formula"])
        quoted = [e for e in map(Expression, formula.factors()) if e.bare is not None and not is_loose(e.bare)]
        factors = {str(e.bare): e.text for e in quoted if not e.categorical}
        categories = json.loads(tree.attrs["categories"])
        if not quoted or any(text in categories for text in factors.values()):
            return tree
        categories = {factors.get(key, key): list(values) for key, values in categories.items()}
        numeric = [factors.get(key, key) for key in json.loads(tree.attrs["numeric_categories"])]
        design = Design(formula, {key: tuple(values) for key, values in categories.items()}, frozenset(numeric))
        labels = {_former_label(column): column.name for column in design.columns}
    except (KeyError, TypeError, AttributeError, ValueError):
        return tree  # the checks of the file report what is wrong
    labels = {old: new for old, new in labels.items() if old != new}
    groups = {}
    for name, node in tree.children.items():
        group, changed = node.to_dataset(), {}
        for coord in group.coords:
            kind = str(coord).removesuffix("_bis")
            if kind in ("term", "column") or kind.endswith(("_term", "_varying")):
                values = [str(value) for value in group[coord].values]
                if set(values) & set(labels.values()):
                    return tree  # has today's labels already
                if set(values) & set(labels):
                    changed[coord] = [labels.get(value, value) for value in values]
        groups[f"/{name}"] = group.assign_coords(changed)
    attrs: dict[Any, Any] = dict(tree.attrs)
    attrs |= {"categories": json.dumps(categories), "numeric_categories": json.dumps(sorted(numeric))}
    if model is not None:
        priors = {}
        for key, prior in model["priors"].items():
            name, inside = split_label(key)
            priors[f"{name}[{labels.get(inside, inside)}]" if inside else key] = prior
        attrs["model"] = json.dumps({**model, "priors": priors})
    relabelled = type(tree).from_dict(groups)
    relabelled.attrs = attrs
    return relabelled


def _former_label(column: Column) -> str:
    """Return the label of a column in those versions."""
    parts = []
    for factor in column.factors:
        expression = Expression(factor.factor) if isinstance(factor, Indicator) else factor
        bare = expression.bare if isinstance(factor, Indicator) or not expression.categorical else None
        text = expression.text if bare is None else bare
        parts.append(f"{text}[{factor.category}]" if isinstance(factor, Indicator) else text)
    return ":".join(parts) or column.name

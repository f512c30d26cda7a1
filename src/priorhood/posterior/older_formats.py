"""Files of versions that wrote names without their backticks, relabelled as this version would."""

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
    """Relabel the terms of a tree as this version would.

    Up to 0.1 the column `a:b` had the label of the interaction a:b. A file without such names, or with their
    backticks, stays as it is.
    """
    stored = tree.attrs.get("model")
    try:
        model = json.loads(stored) if isinstance(stored, str) else None
        formula = parse(tree.attrs["formula"] if model is None else model["formula"])
        odd = [e for e in map(Expression, formula.factors()) if e.bare is not None and not is_loose(e.bare)]
        factors = {str(e.bare): e.text for e in odd if not e.categorical}
        categories = json.loads(tree.attrs["categories"])
        if not odd or any(text in categories for text in factors.values()):
            return tree
        categories = {factors.get(key, key): list(values) for key, values in categories.items()}
        numeric = [factors.get(key, key) for key in json.loads(tree.attrs["numeric_categories"])]
        design = Design(formula, {key: tuple(values) for key, values in categories.items()}, frozenset(numeric))
        labels = {_before(column): column.name for column in design.columns}
    except (KeyError, TypeError, AttributeError, ValueError):
        return tree  # the checks of the file say what is wrong with it
    labels = {old: new for old, new in labels.items() if old != new}
    groups = {name: _relabelled(node.to_dataset(), labels) for name, node in tree.children.items()}
    if any(group is None for group in groups.values()):
        return tree
    attrs: dict[Any, Any] = dict(tree.attrs)
    attrs |= {"categories": json.dumps(categories), "numeric_categories": json.dumps(sorted(numeric))}
    if model is not None:
        priors = {}
        for key, prior in model["priors"].items():
            name, inside = split_label(key)
            priors[f"{name}[{labels.get(inside, inside)}]" if inside else key] = prior
        attrs["model"] = json.dumps({**model, "priors": priors})
    found = type(tree).from_dict({f"/{name}": group for name, group in groups.items()})
    found.attrs = attrs
    return found


def _before(column: Column) -> str:
    """The label that a column had then."""
    parts = []
    for factor in column.factors:
        expression = Expression(factor.factor) if isinstance(factor, Indicator) else factor
        own = expression.bare if isinstance(factor, Indicator) or not expression.categorical else None
        text = expression.text if own is None else own
        parts.append(f"{text}[{factor.category}]" if isinstance(factor, Indicator) else text)
    return ":".join(parts) or column.name


def _relabelled(group: xr.Dataset, labels: dict[str, str]) -> xr.Dataset | None:
    """A group with its terms relabelled; None where they have today's labels already."""
    changed = {}
    for name in group.coords:
        own = str(name).removesuffix("_bis")
        if own not in ("term", "column") and not own.endswith(("_term", "_varying")):
            continue
        values = [str(value) for value in group[name].values]
        if set(values) & set(labels.values()):
            return None
        if set(values) & set(labels):
            changed[name] = [labels.get(value, value) for value in values]
    return group.assign_coords(changed)

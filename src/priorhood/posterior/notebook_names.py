"""A posterior's draws under names common in notebooks on hierarchical models: alpha, beta, mu_alpha, …."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from priorhood._text import argument
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from priorhood.model.design import Design

GROUP = "zip_code"
PAIR = ["alpha", "beta"]
LEFT_OUT = ("moments",)


class NotebookTree(xr.DataTree):  # type: ignore[no-untyped-call]
    """A DataTree whose groups can be filtered by a condition, like an InferenceData of ArviZ before 1.0."""

    __slots__ = ()

    def where(self, condition: Any, other: Any = np.nan, *, drop: bool = False) -> xr.Dataset:
        """Return this group's values where a condition holds, see Dataset.where."""
        return self.to_dataset().where(condition, other, drop=drop)


def notebook_names(groups: Mapping[str, xr.Dataset], design: Design, attrs: Mapping[str, Any]) -> NotebookTree:
    """Rename the draws of a model with an intercept and one slope by one group; views, not copies.

    Parameters
    ----------
    groups : mapping of xarray.Dataset
        Groups of a posterior's tree; `posterior` and `prior` are renamed, `moments` is left out, the others are
        unchanged.
    design : Design
        The columns of the model.
    attrs : mapping
        Attributes of the new tree.

    Returns
    -------
    NotebookTree
        On the standardized scale and with the groups' dimension called zip_code: alpha, beta (chain, draw,
        zip_code); mu_alpha, mu_beta, sigma_alpha, sigma_beta (chain, draw); and

        - independent effects: sigma (chain, draw), or (chain, draw, zip_code) if every group has its own
        - correlated effects: mu (…, param), ab (…, zip_code, param), sigma (…, sigma_dim_0), the spread of the
          groups, C_triu (…, C_triu_dim_0), their correlation, and sd_price, the residual sd

    Raises
    ------
    ModelError
        The model is not an intercept and one numeric slope, in the population and by one group.
    """
    formula = design.formula
    supported = (
        "notebook_names() supports an intercept and one numeric slope that vary by one group, "
        "'price ~ living_space + (living_space | zip)'"
    )
    if len(formula.groupings) != 1:
        raise ModelError(f"{supported}; {formula.text!r} has {len(formula.groupings) or 'no'} grouping terms")
    population = [c.name for c in design.population_columns]
    varying = [c.name for c in design.level_columns(0)]
    for names, what in ((varying, f"by {formula.group}"), (population, "of the population")):
        if len(names) != 2 or INTERCEPT not in names:
            raise ModelError(
                f"{supported}; the coefficients {what} of {formula.text!r} are {', '.join(names) or 'none'}"
            )
    slope = next(c for c in design.level_columns(0) if c.name != INTERCEPT)
    if slope.name not in population:
        raise ModelError(f"{supported}; in {formula.text!r} the slopes of the population and of the groups differ")
    if slope.indicator:
        raise ModelError(f"{supported}; {slope.name!r} is a category, not a number")
    if design.formula.effect_name(0) not in groups["posterior"]:
        raise ModelError(
            "notebook_names() needs draws of all places, but only summaries are stored: fit with "
            f"{argument('store', 'draws')}"
        )
    tree = NotebookTree.from_dict(
        {
            f"/{name}": _rename(group, formula.group, slope.name) if name in ("posterior", "prior") else group
            for name, group in groups.items()
            if name not in LEFT_OUT
        }
    )
    tree.attrs = dict(attrs)
    return tree


def for_arviz(tree: xr.DataTree) -> Any:
    """Convert a tree for the installed ArviZ: to InferenceData before 1.0; else, or without ArviZ, as it is."""
    try:
        older = int(metadata.version("arviz").partition(".")[0]) < 1
    except metadata.PackageNotFoundError:
        return tree
    if not older:
        return tree
    import arviz  # type: ignore[import-untyped]

    groups: Any = {str(name): node.to_dataset() for name, node in tree.children.items()}
    return arviz.InferenceData(attrs=dict(tree.attrs), **groups)


def _rename(draws: xr.Dataset, group: str, slope: str) -> xr.Dataset:
    """Rename the parameters that a posterior or prior has."""
    parts: dict[str, xr.DataArray] = {}
    if group in draws.dims:
        draws = draws.assign_coords({group: draws[group].astype(str)})
        if group != GROUP:
            draws = draws.rename({group: GROUP})
    for name, old in (("", "beta"), ("mu_", "mu"), ("sigma_", "tau")):
        if old in draws:
            for letter, term in zip(PAIR, (INTERCEPT, slope), strict=True):
                parts[name + letter] = draws[old].sel({draws[old].dims[-1]: term}, drop=True)
    if "omega" in draws:
        for name, old, dim in (("ab", "beta", "param"), ("mu", "mu", "param"), ("sigma", "tau", "sigma_dim_0")):
            if old in draws:
                term, pair = str(draws[old].dims[-1]), draws[old]
                if pair[term].values.tolist() != [INTERCEPT, slope]:
                    pair = pair.sel({term: [INTERCEPT, slope]})
                parts[name] = pair.rename({term: dim}).assign_coords({dim: PAIR})
        rows, columns = draws["omega"].dims[-2:]
        correlation = draws["omega"].sel({rows: INTERCEPT, columns: slope}, drop=True)
        parts["C_triu"] = correlation.expand_dims({"C_triu_dim_0": [0]}, axis=-1)
        if "sigma" in draws:
            parts["sd_price"] = draws["sigma"]
    elif "sigma" in draws:
        parts["sigma"] = draws["sigma"]
    parts |= {name: draws[name] for name in ("sigma_median", "sigma_spread", "nu") if name in draws}
    # The groups' dimension comes before param: some versions of ArviZ label values wrongly otherwise.
    return xr.Dataset(parts, attrs=draws.attrs)

"""A posterior's draws under the names of a hierarchical-model notebook: alpha, beta, mu_alpha, …."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from priorhood.model.design import Design

GROUP = "zip_code"
PAIR = ["alpha", "beta"]
LEFT_OUT = ("moments",)


class NotebookTree(xr.DataTree):  # type: ignore[no-untyped-call]
    """A DataTree whose groups can be filtered by a condition, like those of ArviZ before 1.0."""

    __slots__ = ()

    def where(self, condition: Any, other: Any = np.nan, *, drop: bool = False) -> xr.Dataset:
        """Values of this group where a condition holds, see Dataset.where."""
        return self.to_dataset().where(condition, other, drop=drop)


def notebook_names(groups: Mapping[str, xr.Dataset], design: Design, attrs: Mapping[str, Any]) -> NotebookTree:
    """The draws of a model with an intercept and one slope by one group, renamed; views, no copies.

    Parameters
    ----------
    groups : mapping of xarray.Dataset
        Of a posterior's tree; `posterior` and `prior` are renamed, `moments` is left out, the others stay.
    design : Design
        The columns of the model.
    attrs : mapping
        Of the new tree.

    Returns
    -------
    NotebookTree
        On the standardized scale and with the groups' dimension called zip_code: alpha, beta (chain, draw,
        zip_code); mu_alpha, mu_beta, sigma_alpha, sigma_beta (chain, draw); and

        - independent effects: sigma (chain, draw), with zip_code where every group has its own
        - correlated effects: mu (…, param), ab (…, zip_code, param), sigma (…, sigma_dim_0), the spread of the
          groups, C_triu (…, C_triu_dim_0), their correlation, and sd_price, the residual sd

    Raises
    ------
    ModelError
        The model is another one.
    """
    slope = _slope(design)
    if design.formula.effect_name(0) not in groups["posterior"]:
        raise ModelError(
            "the notebook's names need the draws of all places, and only summaries are stored: fit with "
            "store='draws' (--store draws)"
        )
    found = {
        name: _renamed(held, design.formula.group, slope) if name in ("posterior", "prior") else held
        for name, held in groups.items()
        if name not in LEFT_OUT
    }
    tree = NotebookTree.from_dict({f"/{name}": held for name, held in found.items()})
    tree.attrs = dict(attrs)
    return tree


def for_arviz(tree: xr.DataTree) -> Any:
    """The tree for the installed ArviZ: its own InferenceData before 1.0; else, and without ArviZ, the tree."""
    try:
        older = int(metadata.version("arviz").partition(".")[0]) < 1
    except metadata.PackageNotFoundError:
        return tree
    if not older:
        return tree
    import arviz  # type: ignore[import-untyped]

    groups: Any = {str(name): node.to_dataset() for name, node in tree.children.items()}
    return arviz.InferenceData(attrs=dict(tree.attrs), **groups)


def _slope(design: Design) -> str:
    """Name of the one slope.

    Raises
    ------
    ModelError
        Not exactly an intercept and a numeric slope, each of the population and by one group.
    """
    formula = design.formula
    needs = (
        "the notebook's names are for an intercept and one numeric slope that vary by one group, "
        "'price ~ living_space + (living_space | zip)'"
    )
    if len(formula.groupings) != 1:
        raise ModelError(f"{needs}; {formula.text!r} has {len(formula.groupings) or 'no'} group parts")
    population = [c.name for c in design.population_columns]
    varying = [c.name for c in design.level_columns(0)]
    for names, what in ((varying, f"by {formula.group}"), (population, "of the population")):
        if len(names) != 2 or INTERCEPT not in names:
            raise ModelError(
                f"{needs}; the coefficients {what} of {formula.text!r} are {', '.join(names) or 'none'}"
            )
    slope = next(c for c in design.level_columns(0) if c.name != INTERCEPT)
    if slope.name not in population:
        raise ModelError(f"{needs}; in {formula.text!r} the population's slopes and the groups' differ")
    if slope.indicator:
        raise ModelError(f"{needs}; {slope.name!r} is a category, not a number")
    return slope.name


def _renamed(draws: xr.Dataset, group: str, slope: str) -> xr.Dataset:
    """A posterior's or prior's parameters by their new names, without those that it does not have."""
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
        one = draws["omega"].sel({rows: INTERCEPT, columns: slope}, drop=True)
        parts["C_triu"] = one.expand_dims({"C_triu_dim_0": [0]}, axis=-1)
        if "sigma" in draws:
            parts["sd_price"] = draws["sigma"]
    elif "sigma" in draws:
        parts["sigma"] = draws["sigma"]
    parts |= {name: draws[name] for name in ("sigma_median", "sigma_spread", "nu") if name in draws}
    # The groups' dimension before param: some versions of ArviZ label values wrongly otherwise.
    return xr.Dataset(parts, attrs=draws.attrs)

"""Choice of parameters: one row for each, by name or by place, with its unit and its convergence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import suggestion
from priorhood.diagnostics.convergence import ESS_PER_CHAIN, R_HAT_LIMIT
from priorhood.diagnostics.summary import below_diagonal, labels_of, measures
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.expression import tidy_label
from priorhood.model.priors import base_of, split_label
from priorhood.model.tokens import keyword
from priorhood.plot.figure.select_places import asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

MAX_ROWS = 20
# Parameters that have no unit of the data.
PURE = {"nu": "degrees of freedom", "sigma_spread": "sd of log sigma"}


@dataclass(frozen=True)
class Row:
    """One parameter.

    unit : label of its axis; values : draws (chain, draw), in the data's units; verdict : its convergence in
    words, good : whether that suffices; worth : bulk ESS, 0 for a constant
    """

    label: str
    unit: str
    values: Array
    verdict: str
    good: bool
    worth: float


def select_parameters(
    post: Posterior, var_names: str | Sequence[str] | None, places: dict[str, object], picture: str
) -> list[Row]:
    """Rows of the parameters with these names, of the places given as keywords.

    Without names they are all that no place has of its own or, with places, all that the places have.

    Raises
    ------
    ModelError : unknown parameters or places; none, or more than fit into one picture
    """
    formula, group = post.model.formula, post.model.formula.group
    known = [str(label) for label in post.hierarchy.levels[0].labels] if post.hierarchy.levels else []
    at = asked(post, places)
    labels = [] if at is None else [known[one] for one in at]
    names = [var_names] if isinstance(var_names, str) else var_names
    if names is None:
        kinds = {group} if labels else set(formula.places)
        names = [name for name in post.parameters if bool(kinds & set(post[name].dims)) == bool(labels)]
        if labels and post.summed:
            names.insert(0, formula.effect_name(0))
    if not names:
        raise ModelError(f"{picture} was given no parameters; there are {', '.join(post.parameters)}")
    chosen: list[tuple[str, xr.DataArray]] = []
    for name in dict.fromkeys(names):
        base, _ = split_label(str(name))
        if labels and post.summed and base == formula.effect_name(0):
            chosen.append((name, post.draws(standardized=True, **{group: labels})))
            continue
        if base not in post.parameters:
            post[base]  # raises with the names there are, where the posterior knows better
            raise ModelError(f"the posterior has no parameter {name!r}; {suggestion(str(name), post.parameters)}")
        draws = post[base]
        chosen.append((name, draws.sel({group: labels}) if labels and group in draws.dims else draws))

    counts = {name: 1 if "[" in name else len(_elements(name, draws)) for name, draws in chosen}
    total = sum(counts.values())
    if total > MAX_ROWS:
        name, draws = max(chosen, key=lambda one: counts[one[0]])
        advice = f"single ones, var_names=[{_elements(split_label(name)[0], draws)[0][1]!r}, …]"
        if any(group in draws.dims for _, draws in chosen):
            advice = f"fewer places, {keyword(group, known[0])}, or {advice}"
        raise ModelError(f"{total:,} parameters do not fit into one picture, {MAX_ROWS} do: choose {advice}")

    found: dict[str, Array] = {}
    for name, draws in chosen:
        base, single = split_label(name)
        values = (draws * post.natural_factor(base, draws)).transpose(*draws.dims).values
        values = values.reshape(*draws.shape[:2], -1)
        shown = {label: values[:, :, at] for at, label in _elements(base, draws)}
        if single and name not in shown:
            name = f"{base}[{tidy_label(single)}]"  # as labels are written
        if single and name not in shown:
            raise ModelError(f"the posterior has no parameter {name!r}; {suggestion(name, shown)}")
        found |= {name: shown[name]} if single else shown
    r_hat, bulk = measures(np.stack(list(found.values()), axis=-1))[:2]
    return [
        Row(label, _unit(post, label), values, *_verdict(r, ess, len(values)), float(np.nan_to_num(ess)))
        for (label, values), r, ess in zip(found.items(), r_hat, bulk, strict=True)
    ]


def _elements(base: str, draws: xr.DataArray) -> list[tuple[int, str]]:
    """Positions and labels of a parameter's elements; of omega those below the diagonal."""
    labels = list(enumerate(labels_of(base, draws)))
    if base_of(base) != "omega":
        return labels
    return [one for one, below in zip(labels, below_diagonal(draws), strict=True) if below]


def _unit(post: Posterior, label: str) -> str:
    """Label of a parameter's axis."""
    name, term = split_label(label)
    if base_of(name) == "omega":
        return "correlation"
    if name in PURE:
        return PURE[name]
    if name in ("sigma", "sigma_median"):
        return post.model.unit_of(INTERCEPT)
    if base_of(name) in ("beta", "delta"):
        # Labels of groups may have commas; terms are those of the model.
        term = next(t for t in sorted(post.design.names, key=len, reverse=True) if term.endswith(f", {t}"))
    return post.model.unit_of(term)


def _verdict(r_hat: float, bulk: float, chains: int) -> tuple[str, bool]:
    """Convergence in words, and whether it suffices."""
    if np.isnan(bulk):
        return "a constant", True
    least = ESS_PER_CHAIN * chains
    worth = f"worth {bulk:,.0f} independent draws (bulk ESS{'' if bulk >= least else f', under {least:,}'})"
    if chains == 1:
        return f"one chain, none to compare it with; {worth}", False
    agree = bool(r_hat <= R_HAT_LIMIT)
    text = f"agree (R-hat {r_hat:.3f})" if agree else f"disagree (R-hat {r_hat:.3f}, over {R_HAT_LIMIT})"
    return f"chains {text}, {worth}", agree and bool(bulk >= least)

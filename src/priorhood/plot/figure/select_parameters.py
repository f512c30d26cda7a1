"""Selection of parameters, by name or by place: draws, unit and convergence of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import argument, suggestion
from priorhood.diagnostics.convergence_verdicts import ESS_PER_CHAIN, R_HAT_LIMIT
from priorhood.diagnostics.summary import below_diagonal, labels_of, measures
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.expression import tidy_label
from priorhood.model.priors import base_of, split_label
from priorhood.model.tokens import place_argument
from priorhood.plot.figure.page import check_count
from priorhood.plot.figure.select_places import chosen_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr

    from priorhood._arrays import Array
    from priorhood.posterior.posterior import Posterior

MAX_ROWS = 20
# Labels of the parameters that are not in units of the data.
PURE = {"nu": "degrees of freedom", "sigma_spread": "sd of log sigma"}


@dataclass(frozen=True)
class Row:
    """One parameter.

    Attributes
    ----------
    label, unit : str
        Its name, and the label of its axis.
    values : array
        Draws (chain, draw) in units of the data.
    r_hat, ess : float
        R-hat and bulk ESS; NaN for a constant.
    """

    label: str
    unit: str
    values: Array
    r_hat: float
    ess: float

    @property
    def constant(self) -> bool:
        """Return whether the draws do not vary."""
        return bool(np.isnan(self.ess))

    @property
    def agree(self) -> bool:
        """Return whether there are several chains and R-hat is within its limit."""
        return len(self.values) > 1 and bool(self.r_hat <= R_HAT_LIMIT)

    @property
    def good(self) -> bool:
        """Return whether the chains agree and have enough draws."""
        return self.constant or (self.agree and bool(self.ess >= ESS_PER_CHAIN * len(self.values)))

    @property
    def verdict(self) -> str:
        """Return the convergence in words."""
        if self.constant:
            return "a constant"
        least = ESS_PER_CHAIN * len(self.values)
        enough = "" if self.ess >= least else f", below {least:,}"
        size = f"bulk ESS {self.ess:,.0f}{enough}"
        if len(self.values) == 1:
            return f"one chain, with none to compare it to; {size}"
        if self.agree:
            return f"chains agree (R-hat {self.r_hat:.3f}); {size}"
        return f"chains disagree (R-hat {self.r_hat:.3f}, above {R_HAT_LIMIT}); {size}"


def select_parameters(
    post: Posterior, var_names: str | Sequence[str] | None, places: dict[str, object], picture: str
) -> list[Row]:
    """Return the parameters with these names, for the places passed as keywords.

    Without names, these are all parameters shared by the places or, with places, all parameters of those places.

    Raises
    ------
    ModelError : unknown parameters or places; no parameters, or too many for one picture
    """
    formula, group = post.model.formula, post.model.formula.group
    known = [str(label) for label in post.hierarchy.levels[0].labels] if post.hierarchy.levels else []
    chosen = chosen_places(post, places)
    labels = [] if chosen is None else [known[place] for place in chosen]
    names = [var_names] if isinstance(var_names, str) else var_names
    if names is None:
        kinds = {group} if labels else set(formula.places)
        names = [name for name in post.parameters if bool(kinds & set(post[name].dims)) == bool(labels)]
        if labels and post.summed:
            names.insert(0, formula.effect_name(0))
    names = list(names)
    if not names:
        raise ModelError(f"plot.{picture} was passed no parameters; choose from {', '.join(post.parameters)}")
    named: list[tuple[str, xr.DataArray]] = []
    for name in dict.fromkeys(names):
        base, _ = split_label(str(name))
        if labels and post.summed and base == formula.effect_name(0):
            named.append((name, post.draws(standardized=True, **{group: labels})))
            continue
        if base not in post.parameters:
            post[base]  # raises with the known names, if the posterior has a better message
            raise ModelError(f"the posterior has no parameter {name!r}; {suggestion(str(name), post.parameters)}")
        draws = post[base]
        named.append((name, draws.sel({group: labels}) if labels and group in draws.dims else draws))

    counts = {name: 1 if "[" in name else len(_elements(name, draws)) for name, draws in named}
    name, draws = max(named, key=lambda pair: counts[pair[0]])
    advice = f"single ones, {argument('var_names', [_elements(split_label(name)[0], draws)[0][1], ...])}"
    if any(group in draws.dims for _, draws in named):
        advice = f"fewer places, {place_argument(group, str(known[0]))}, or {advice}"
    check_count(sum(counts.values()), MAX_ROWS, "parameters", f"choose {advice}")

    elements: dict[str, Array] = {}
    for name, draws in named:
        base, single = split_label(name)
        values = (draws * post.natural_factor(base, draws)).transpose(*draws.dims).values
        values = values.reshape(*draws.shape[:2], -1)
        shown = {label: values[:, :, position] for position, label in _elements(base, draws)}
        if single and name not in shown:
            name = f"{base}[{tidy_label(single)}]"  # as labels are written
        if single and name not in shown:
            raise ModelError(f"the posterior has no parameter {name!r}; {suggestion(name, shown)}")
        elements |= {name: shown[name]} if single else shown
    rows = []
    measured = measures(np.stack(list(elements.values()), axis=-1))
    for (label, values), r_hat, ess in zip(elements.items(), *measured[:2], strict=True):
        name, term = split_label(label)
        if base_of(name) in ("beta", "delta"):
            # Labels of places may contain commas, so compare with the terms of the model.
            term = next(t for t in sorted(post.design.names, key=len, reverse=True) if term.endswith(f", {t}"))
        if name in PURE or base_of(name) == "omega":
            unit = PURE.get(name, "correlation")
        else:
            unit = post.model.unit_of(INTERCEPT if name in ("sigma", "sigma_median") else term)
        rows.append(Row(label, unit, values, float(r_hat), float(ess)))
    return rows


def _elements(base: str, draws: xr.DataArray) -> list[tuple[int, str]]:
    """Return positions and labels of a parameter's elements; for omega, of those below the diagonal."""
    labels = list(enumerate(labels_of(base, draws)))
    if base_of(base) != "omega":
        return labels
    return [pair for pair, below in zip(labels, below_diagonal(draws), strict=True) if below]

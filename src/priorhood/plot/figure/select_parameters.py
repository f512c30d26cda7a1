"""Which parameters a picture shows, one row each: by name, by place; in which units, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import near
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

MOST_ROWS = 20


@dataclass(frozen=True)
class Row:
    """One parameter: its name, its axis in words, draws (chain, draw); convergence in words, whether it will do.

    worth : bulk ESS, the independent draws that they are worth; 0 for a constant
    """

    label: str
    unit: str
    values: Array
    verdict: str
    good: bool
    worth: float


def chosen(
    post: Posterior, var_names: str | Sequence[str] | None, places: dict[str, object], picture: str
) -> list[tuple[str, xr.DataArray]]:
    """Names and standardized draws of the parameters asked for, of the places asked for.

    Raises
    ------
    ModelError : unknown parameters or places; none, or more than fit into one picture
    """
    names = [var_names] if isinstance(var_names, str) else var_names
    group = _group(post)
    labels = _labels(post, places)
    if names is None:
        kinds = {group} if labels else set(post.model.formula.places)
        names = [name for name in post.parameters if bool(kinds & set(post[name].dims)) == bool(labels)]
        if labels and post.summed:
            names.insert(0, post.model.formula.effect_name(0))
    if not names:
        raise ModelError(f"{picture} was given no parameters; there are {', '.join(post.parameters)}")
    found = []
    for name in dict.fromkeys(names):
        base, _ = split_label(str(name))
        if labels and post.summed and base == post.model.formula.effect_name(0):
            found.append((name, post.draws(standardized=True, **{group: labels})))
            continue
        if base not in post.parameters:
            post[base]  # says what there is instead, where there is
            raise ModelError(f"the posterior has no parameter {name!r}; {near(str(name), post.parameters)}")
        draws = post[base]
        if labels and group in draws.dims:
            draws = draws.sel({group: labels})
        found.append((name, draws))
    _check_number(post, found)
    return found


def _group(post: Posterior) -> str:
    return post.model.formula.group


def _known(post: Posterior) -> list[str]:
    """The labels of the finest groups."""
    return [str(label) for label in post.hierarchy.levels[0].labels] if post.hierarchy.levels else []


def _labels(post: Posterior, places: dict[str, object]) -> list[str]:
    """The places asked for, as the posterior writes them."""
    at = asked(post, places)
    return [] if at is None else [_known(post)[one] for one in at]


def rows_of(post: Posterior, chosen: list[tuple[str, xr.DataArray]]) -> list[Row]:
    """The elements of chosen parameters, one row each, in the data's units.

    Raises
    ------
    ModelError : a single element that the parameter does not have
    """
    found: dict[str, Array] = {}
    for name, draws in chosen:
        base, single = split_label(name)
        values = (draws * post.natural_factor(base, draws)).transpose(*draws.dims).values
        values = values.reshape(*draws.shape[:2], -1)
        shown = {label: values[:, :, at] for at, label in _shown(base, draws)}
        if single and name not in shown:
            name = f"{base}[{tidy_label(single)}]"  # as we write it
        if single and name not in shown:
            raise ModelError(f"the posterior has no parameter {name!r}; {near(name, shown)}")
        found |= {name: shown[name]} if single else shown
    r_hat, bulk = measures(np.stack(list(found.values()), axis=-1))[:2]
    return [
        Row(
            label,
            _axis_words(post, label),
            values,
            *_verdict(r_hat[at], bulk[at], len(values)),
            float(np.nan_to_num(bulk[at])),
        )
        for at, (label, values) in enumerate(found.items())
    ]


def _shown(base: str, draws: xr.DataArray) -> list[tuple[int, str]]:
    """Positions and labels of a parameter's elements; of omega those below the diagonal."""
    labels = list(enumerate(labels_of(base, draws)))
    if base_of(base) != "omega":
        return labels
    return [one for one, below in zip(labels, below_diagonal(draws), strict=True) if below]


def _check_number(post: Posterior, chosen: list[tuple[str, xr.DataArray]]) -> None:
    counts = {name: 1 if "[" in name else len(_shown(name, draws)) for name, draws in chosen}
    total = sum(counts.values())
    if total <= MOST_ROWS:
        return
    group = _group(post)
    name, draws = max(chosen, key=lambda one: counts[one[0]])
    advice = f"single ones, var_names=[{_shown(split_label(name)[0], draws)[0][1]!r}, …]"
    if any(group in draws.dims for _, draws in chosen):
        label = _known(post)[0]
        advice = f"fewer places, {keyword(group, label)}, or {advice}"
    raise ModelError(f"{total:,} parameters do not fit into one picture, {MOST_ROWS} do: choose {advice}")


def _axis_words(post: Posterior, label: str) -> str:
    """What the axis of a parameter counts."""
    name, term = split_label(label)
    if base_of(name) == "omega":
        return "correlation"
    if name == "nu":
        return "degrees of freedom"
    if name == "sigma_spread":
        return "sd of log sigma"
    if name in ("sigma", "sigma_median"):
        return post.model.unit_of(INTERCEPT)
    if base_of(name) in ("beta", "delta"):
        # Labels of groups may have commas; terms are those of the model.
        term = next(t for t in sorted(post.design.names, key=len, reverse=True) if term.endswith(f", {t}"))
    return post.model.unit_of(term)


def _verdict(r_hat: float, bulk: float, chains: int) -> tuple[str, bool]:
    """Convergence in words, and whether it will do."""
    if np.isnan(bulk):
        return "a constant", True
    enough = bulk >= ESS_PER_CHAIN * chains
    worth = (
        f"worth {bulk:,.0f} independent draws (bulk ESS{'' if enough else f', under {ESS_PER_CHAIN * chains:,}'})"
    )
    if chains == 1:
        return f"one chain, none to compare it with; {worth}", False
    agree = r_hat <= R_HAT_LIMIT
    text = (
        f"chains agree (R-hat {r_hat:.3f})" if agree else f"chains disagree (R-hat {r_hat:.3f}, over {R_HAT_LIMIT})"
    )
    return f"{text}, {worth}", bool(agree and enough)

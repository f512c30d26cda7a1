"""The finest places' coefficients: draws of chosen places, and means, sds and quantiles of all, stored or made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from priorhood._system import cores
from priorhood._text import some
from priorhood.diagnostics.summary import summaries_of
from priorhood.engines.draws import QUANTILES
from priorhood.errors import ModelError
from priorhood.posterior.lazy_draws import asked
from priorhood.posterior.tree import SUMMARIES, summarized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import xarray as xr

    from priorhood.model.design import Design
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.model.model import Model
    from priorhood.posterior.lazy_draws import OnDemand


def not_stored(name: str, hierarchy: Hierarchy, attrs: Mapping[str, Any]) -> str:
    """What there is where no draws of the finest places are stored."""
    level = hierarchy.levels[0]
    return (
        f"no draws of {name} are stored ({attrs['store_reason']}): draws of chosen places are made by "
        f"post.draws({level.name}=[{str(level.labels[0])!r}]), means, sds and quantiles of all by "
        f"post.coefficients(); a fit with store='draws' (--store draws) keeps them all"
    )


def draws(
    tree: xr.DataTree,
    model: Model,
    hierarchy: Hierarchy,
    places: Mapping[str, object],
    made: Callable[[], OnDemand],
) -> xr.DataArray:
    """Draws of chosen places, standardized: (chain, draw, group, term); see Posterior.draws."""
    import xarray as xr

    at = asked(model.formula, hierarchy, places)
    if at is None:
        raise ModelError(f"draws() takes places by their labels: {model.formula.group or 'group'}=…")
    beta, stored, level = model.formula.effect_name(0), tree["posterior"].to_dataset(), hierarchy.levels[0]
    if beta in stored:
        return stored[beta].isel({level.name: at})
    named = tree[SUMMARIES].to_dataset()[f"{beta}_mean"]
    term = str(named.dims[-1])
    coords: dict[str, Any] = {name: stored[name].values for name in ("chain", "draw")}
    coords |= {level.name: level.labels[at], term: named[term].values}
    values = made().draws(at).reshape(stored.sizes["chain"], stored.sizes["draw"], len(at), -1)
    return xr.DataArray(values, dims=("chain", "draw", *named.dims), coords=coords, name=beta)


def coefficients(
    tree: xr.DataTree,
    design: Design,
    hierarchy: Hierarchy,
    quantiles: Sequence[float],
    made: Callable[[], OnDemand],
) -> xr.Dataset:
    """Mean, sd and quantiles of all places, standardized; see Posterior.coefficients."""
    formula = design.formula
    if not formula.levels:
        raise ModelError(f"{formula.text!r} has no group, so there are no places")
    if not all(0 < level < 1 for level in quantiles):
        raise ModelError(f"quantiles must lie between 0 and 1, like 0.05,0.5,0.95, not {some(quantiles)}")
    stored = tree["posterior"].to_dataset()
    beta = formula.effect_name(0)
    if beta in stored:
        return summarized(design, hierarchy, summaries_of(stored[beta], quantiles), quantiles)
    if tuple(quantiles) == QUANTILES:
        return tree[SUMMARIES].to_dataset()
    return summarized(design, hierarchy, made().summaries(quantiles, cores()), quantiles)


def units(unit_of: Callable[[str], str], labels: Sequence[str]) -> list[str]:
    """The unit of every label of one parameter, asked for once a term: of places there may be millions."""
    terms = [label.partition(", ")[2] for label in labels]
    of_term = {term: unit_of(label) for term, label in dict(zip(terms, labels, strict=True)).items() if term}
    return [of_term[term] if term else unit_of(label) for term, label in zip(terms, labels, strict=True)]

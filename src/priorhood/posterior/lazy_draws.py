"""Draws of known places' coefficients that are not stored, made on demand (math.md, equation 10).

Given a draw of θ and of the levels above, a place's coefficients are Normal. So its draws follow from the stored
ones, its own sums, and its own stream of random numbers: they are the same in whatever company the place is, and
after the posterior was saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import preview, suggestion
from priorhood.engines.adapt import to_exact
from priorhood.errors import ModelError
from priorhood.model.priors import Fixed
from priorhood.model.tokens import keyword
from priorhood.prediction.coefficients import PLACE, correlation_factor, stream

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from priorhood._arrays import Array, Index, Labels
    from priorhood.engines.exact import Leaves, Problem
    from priorhood.engines.exact.theta import Theta
    from priorhood.model.formula import Formula
    from priorhood.model.hierarchy import Hierarchy, Places
    from priorhood.model.model import Model
    from priorhood.suffstats.fit_data import FitData


@dataclass(frozen=True)
class LazyDraws:
    """The finest places given draws of all other parameters.

    keys : (J,) the places' labels along their paths, which name their streams
    at : (S,) positions of the draws taken among the posterior's `total`
    """

    leaves: Leaves
    keys: Labels
    seed: int
    at: Index
    total: int

    def draws(self, places: Index) -> Array:
        """Coefficients (S, n, C) of some places, standardized: one draw a place for every draw of θ."""
        K = len(self.leaves.cols)
        z = np.empty((len(self.at), K, len(places)))
        for i, place in enumerate(places.tolist()):
            rng = stream(self.seed, PLACE, *str(self.keys[place]).encode())
            z[:, :, i] = rng.standard_normal((self.total, K))[self.at]
        return np.asarray(self.leaves.draw(places, z).swapaxes(1, 2))


def make_lazy_draws(posterior: xr.Dataset, data: FitData, seed: int, at: Index | None = None) -> LazyDraws:
    """Prepare the finest places' draws.

    posterior : (chain, draw, …) of all stored parameters; at : positions among its draws, chain after chain
    """
    from priorhood.engines import exact

    problem = to_exact(data)
    base = problem.base
    formula, depth = data.model.formula, len(base.levels)
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    at = np.arange(total) if at is None else at
    above = [flat_of(posterior, formula.effect_name(i))[at].swapaxes(1, 2) for i in range(1, len(base.varying))]
    mu = flat_of(posterior, "mu")[at] if "mu" in posterior else np.zeros((len(at), 0))
    leaves = exact.leaves_of(
        base, theta_of(posterior, data.model, base, at), mu, tuple(above[: depth - 1]), tuple(above[depth - 1 :])
    )
    return LazyDraws(leaves, data.hierarchy.levels[0].keys, seed, at, total)


def flat_of(posterior: xr.Dataset, name: str) -> Array:
    """A parameter's draws, chain after chain: (S, …)."""
    values = posterior[name].transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=float)


def theta_of(posterior: xr.Dataset, model: Model, base: Problem, at: Index) -> Theta:
    """Spreads, correlations and σ of some draws, as the engine takes them."""
    from priorhood.engines.exact.theta import Theta

    tau, corr = [], []
    for i, varying in enumerate(base.varying):
        tau.append(flat_of(posterior, f"tau{model.formula.suffix(i)}")[at])
        omega = f"omega{model.formula.suffix(i)}"
        corr.append(
            correlation_factor(flat_of(posterior, omega)[at])
            if omega in posterior
            else np.broadcast_to(np.eye(varying.K), (len(at), varying.K, varying.K))
        )
    if isinstance(base.sigma, Fixed):
        return Theta(tuple(tau), tuple(corr), np.full(len(at), base.sigma.value))
    return Theta(tuple(tau), tuple(corr), flat_of(posterior, "sigma")[at])


def numbers_of(posterior: xr.Dataset, thinned: xr.Dataset) -> Index:
    """Positions of thinned draws among a posterior's, chain after chain, by their coordinates."""
    chain, draw = (np.searchsorted(posterior[name].values, thinned[name].values) for name in ("chain", "draw"))
    return np.asarray((chain[:, None] * posterior.sizes["draw"] + draw).ravel(), dtype=np.int64)


# -- which places -----------------------------------------------------------------------------------------


def asked(formula: Formula, hierarchy: Hierarchy, places: Mapping[str, object]) -> Index | None:
    """Positions of the places chosen by zip=…, in the order given; None where none is chosen.

    Raises
    ------
    ModelError
        Not the formula's group, or labels that the posterior does not have.
    """
    if not places:
        return None
    group = formula.group
    for name in places:
        if not (group and formula.levels[0].is_called(name)):
            raise ModelError(
                f"{name!r} is not the group of {formula.text!r}; "
                + (f"it is {group!r}: {keyword(group, '…')}" if group else "it has none")
            )
    return positions(hierarchy.levels[0], next(iter(places.values())))


def positions(level: Places, given: object) -> Index:
    """Positions of one label or several among a level's, each once."""
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    known = {str(label): at for at, label in enumerate(level.labels.tolist())}
    found: list[int] = []
    for label in several:
        if str(label) not in known:
            raise ModelError(f"the posterior has no {level.name} {str(label)!r}; {suggestion(str(label), known)}")
        found.append(known[str(label)])
    if not found:
        raise ModelError(f"{level.name} was given no label; there are {preview(known)}")
    return np.array(list(dict.fromkeys(found)), dtype=np.int64)

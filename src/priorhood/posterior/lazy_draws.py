"""Draws of places' coefficients that are not stored, generated on demand (math.md, equation 10).

Given a draw of θ and of the levels above, a place's coefficients are Normal. So its draws follow from the stored
ones, its own sums and its own random number stream: they are the same no matter which other places are requested,
and also after saving and loading.
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
    """The conditional posterior of the finest places, given draws of all other parameters.

    Attributes
    ----------
    leaves : Leaves
        The engine's conditional distributions of the places.
    keys : array (J,) of str
        Full paths of the places, which key their random number streams.
    seed : int
        Seed of the posterior.
    kept : array (S,)
        Positions of the draws used, among the `total` draws of the posterior.
    total : int
        Number of draws of the posterior.
    """

    leaves: Leaves
    keys: Labels
    seed: int
    kept: Index
    total: int

    def draws(self, places: Index) -> Array:
        """Return standardized coefficients (S, n, C) of some places: one draw per place and draw of θ."""
        K = len(self.leaves.cols)
        z = np.empty((len(self.kept), K, len(places)))
        for i, place in enumerate(places.tolist()):
            rng = stream(self.seed, PLACE, *str(self.keys[place]).encode())
            z[:, :, i] = rng.standard_normal((self.total, K))[self.kept]
        return np.asarray(self.leaves.draw(places, z).swapaxes(1, 2))


def make_lazy_draws(posterior: xr.Dataset, data: FitData, seed: int, kept: Index | None = None) -> LazyDraws:
    """Prepare the finest places' draws.

    Parameters
    ----------
    posterior : xarray.Dataset (chain, draw, …)
        All stored parameters.
    data : FitData
        What was fitted.
    seed : int
        Seed of the posterior.
    kept : array, optional
        Positions of the draws to use, counted chain by chain; all by default.
    """
    from priorhood.engines import exact

    problem = to_exact(data)
    base = problem.base
    formula, depth = data.model.formula, len(base.levels)
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    kept = np.arange(total) if kept is None else kept
    others = [
        flat_draws(posterior, formula.effect_name(i))[kept].swapaxes(1, 2) for i in range(1, len(base.varying))
    ]
    mu = flat_draws(posterior, "mu")[kept] if "mu" in posterior else np.zeros((len(kept), 0))
    theta = stored_theta(posterior, data.model, base, kept)
    leaves = exact.leaves_of(base, theta, mu, tuple(others[: depth - 1]), tuple(others[depth - 1 :]))
    return LazyDraws(leaves, data.hierarchy.levels[0].keys, seed, kept, total)


def flat_draws(posterior: xr.Dataset, name: str) -> Array:
    """Return a parameter's draws (S, …), chain after chain."""
    values = posterior[name].transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=float)


def stored_theta(posterior: xr.Dataset, model: Model, base: Problem, kept: Index) -> Theta:
    """Return spreads, correlations and σ of some draws, in the form that the exact engine uses."""
    from priorhood.engines.exact.theta import Theta

    tau, corr = [], []
    for i, varying in enumerate(base.varying):
        tau.append(flat_draws(posterior, f"tau{model.formula.suffix(i)}")[kept])
        omega = f"omega{model.formula.suffix(i)}"
        corr.append(
            correlation_factor(flat_draws(posterior, omega)[kept])
            if omega in posterior
            else np.broadcast_to(np.eye(varying.K), (len(kept), varying.K, varying.K))
        )
    if isinstance(base.sigma, Fixed):
        return Theta(tuple(tau), tuple(corr), np.full(len(kept), base.sigma.value))
    return Theta(tuple(tau), tuple(corr), flat_draws(posterior, "sigma")[kept])


def draw_positions(posterior: xr.Dataset, thinned: xr.Dataset) -> Index:
    """Return the positions of thinned draws among a posterior's, counted chain by chain."""
    chain, draw = (np.searchsorted(posterior[name].values, thinned[name].values) for name in ("chain", "draw"))
    return np.asarray((chain[:, None] * posterior.sizes["draw"] + draw).ravel(), dtype=np.int64)


# -- choice of places --------------------------------------------------------------------------------------


def chosen_places(formula: Formula, hierarchy: Hierarchy, places: Mapping[str, object]) -> Index | None:
    """Return the positions of the places chosen by zip=…, in the order given; None if none are chosen.

    Raises
    ------
    ModelError
        The keyword is not the formula's group, or the posterior does not have a label.
    """
    if not places:
        return None
    group = formula.group
    for name in places:
        if not (group and formula.levels[0].is_called(name)):
            raise ModelError(
                f"{name!r} is not the group of {formula.text!r}; "
                + (f"the group is {group!r}: {keyword(group, '…')}" if group else "it has no group")
            )
    return place_positions(hierarchy.levels[0], next(iter(places.values())))


def place_positions(level: Places, labels: object) -> Index:
    """Return the positions of one or more labels in a level, without repetitions."""
    chosen = labels if isinstance(labels, Iterable) and not isinstance(labels, str) else [labels]
    known = {str(label): i for i, label in enumerate(level.labels.tolist())}
    positions: list[int] = []
    for label in chosen:
        if str(label) not in known:
            raise ModelError(f"the posterior has no {level.name} {str(label)!r}; {suggestion(str(label), known)}")
        positions.append(known[str(label)])
    if not positions:
        raise ModelError(f"{level.name} needs at least one label; choose from {preview(known)}")
    return np.array(list(dict.fromkeys(positions)), dtype=np.int64)

"""Draws of known places' coefficients that were not stored, made when asked for (math.md, equation 10).

Given a draw of θ and of what lies above, a place's coefficients are Normal. So its draws follow from the stored
ones, its own sums, and a stream of random numbers that is its own: they are the same whichever places are asked for
together, and after the posterior was saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import near, some
from priorhood.engines.adapt import to_exact
from priorhood.errors import ModelError
from priorhood.model.priors import Fixed
from priorhood.model.tokens import keyword
from priorhood.prediction.coefficients import PLACE, correlation_factor, stream

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import xarray as xr

    from priorhood._arrays import Array, Index, Labels
    from priorhood.engines.draws import Summaries
    from priorhood.engines.exact import Leaves, Problem
    from priorhood.engines.exact.theta import Theta
    from priorhood.model.formula import Formula
    from priorhood.model.hierarchy import Hierarchy, Places
    from priorhood.model.model import Model
    from priorhood.suffstats.fit_data import FitData


@dataclass(frozen=True)
class OnDemand:
    """The finest places given all draws of all else.

    at : (S,) which of the posterior's draws are taken, of `total`
    keys : (J,) the places' labels along their paths, which name their streams
    """

    leaves: Leaves
    keys: Labels
    seed: int
    at: Index
    total: int

    def draws(self, places: Index) -> Array:
        """Coefficients of some places (S, n, C), standardized; one draw a place for every draw of θ."""
        K = len(self.leaves.cols)
        z = np.empty((len(self.at), K, len(places)))
        for i, place in enumerate(places.tolist()):
            rng = stream(self.seed, PLACE, *str(self.keys[place]).encode())
            z[:, :, i] = rng.standard_normal((self.total, K))[self.at]
        return np.asarray(self.leaves.draw(places, z).swapaxes(1, 2))

    def summaries(self, levels: Sequence[float], threads: int) -> Summaries:
        """Of all places' coefficients, with other quantiles than the stored ones."""
        return self.leaves.summarize(levels, threads)


def on_demand(posterior: xr.Dataset, data: FitData, seed: int, at: Index | None = None) -> OnDemand:
    """What the places' draws are made of.

    posterior : (chain, draw, …) of all that is stored; at : which of its draws, chains one after the other
    """
    from priorhood.engines import exact

    problem = to_exact(data)
    base = problem.base if isinstance(problem, exact.GroupNoiseProblem) else problem
    formula, depth = data.model.formula, len(base.levels)
    total = posterior.sizes["chain"] * posterior.sizes["draw"]
    at = np.arange(total) if at is None else at
    above = [flat_of(posterior, formula.effect_name(i))[at].swapaxes(1, 2) for i in range(1, len(base.varying))]
    mu = flat_of(posterior, "mu")[at] if "mu" in posterior else np.zeros((len(at), 0))
    leaves = exact.leaves_of(
        base, theta_of(posterior, data.model, base, at), mu, tuple(above[: depth - 1]), tuple(above[depth - 1 :])
    )
    return OnDemand(leaves, data.hierarchy.levels[0].keys, seed, at, total)


def flat_of(posterior: xr.Dataset, name: str) -> Array:
    """A parameter's draws with chains one after the other: (S, …)."""
    values = posterior[name].transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=float)


def theta_of(posterior: xr.Dataset, model: Model, base: Problem, at: Index) -> Theta:
    """Spreads, correlations and σ of some draws, as the engine has them."""
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
    """Which of a posterior's draws some of them are, chains one after the other, by their coordinates."""
    chain, draw = (np.searchsorted(posterior[name].values, thinned[name].values) for name in ("chain", "draw"))
    return np.asarray((chain[:, None] * posterior.sizes["draw"] + draw).ravel(), dtype=np.int64)


# -- which places -----------------------------------------------------------------------------------------


def asked(formula: Formula, hierarchy: Hierarchy, places: Mapping[str, object]) -> Index | None:
    """Positions of the places asked for by zip=…, in the order given; None where nothing was asked.

    Raises
    ------
    ModelError : not the formula's group, or labels that are not there
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
    """Where some labels stand among a level's, each once."""
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    known = {str(label): at for at, label in enumerate(level.labels.tolist())}
    found: list[int] = []
    for label in several:
        if str(label) not in known:
            raise ModelError(f"the posterior has no {level.name} {str(label)!r}; {near(str(label), known)}")
        found.append(known[str(label)])
    if not found:
        raise ModelError(f"{level.name} was given no label; there are {some(known)}")
    return np.array(list(dict.fromkeys(found)), dtype=np.int64)

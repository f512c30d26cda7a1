"""A saved posterior as the exact engine takes it: its sums as a problem, its draws as θ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from priorhood.choices import MOST_DRAWS, whole
from priorhood.engines import exact_refusal, new_run
from priorhood.ondemand import flat_of
from priorhood.ondemand import theta_of as thetas
from priorhood.posing import pose

if TYPE_CHECKING:
    from priorhood.exact import NoisyProblem, Problem
    from priorhood.exact.coordinates import Theta
    from priorhood.exact.given import Given
    from priorhood.posterior import Posterior

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


def collapse_refusal(post: Posterior) -> str | None:
    """Why the coefficients do not integrate out; None where they do."""
    run = new_run(1, 10, None, None, None)
    return exact_refusal(post.model, post.design, post.scale, post.moments, run)


def chosen_draws(post: Posterior, draws: int) -> Index:
    """Which draws are taken: evenly spread over all chains."""
    whole("draws", draws, 50, MOST_DRAWS)
    sizes = post._sizes
    total = sizes["chain"] * sizes["draw"]
    return np.unique(np.linspace(0, total - 1, min(draws, total)).round().astype(np.int64))


@dataclass(frozen=True)
class Posed:
    """A saved posterior as the exact engine takes it: the problem, draws `at` of θ, coefficients given them."""

    at: Index
    problem: Problem | NoisyProblem
    base: Problem
    values: Theta
    given: Given


def posed_of(post: Posterior, at: Index) -> Posed:
    """The problem of a posterior's sums, and so many of its draws of θ."""
    from priorhood import exact
    from priorhood.exact.given import Given

    problem = pose(post.model, post.design, post.scale, post.moments)
    base = problem.base if isinstance(problem, exact.NoisyProblem) else problem
    values = theta_of(post, base, at)
    if not isinstance(problem, exact.NoisyProblem):
        return Posed(at, problem, base, values, Given(base, values, values.sigma))
    root = np.zeros((len(at), base.D))
    root[:, base.root_cols] = flat_draws(post, "mu")[at] - base.shift[base.root_cols]
    return Posed(at, problem, base, values, Given(base, values, flat_draws(post, "sigma")[at], root))


def flat_draws(post: Posterior, name: str) -> Array:
    """A parameter's draws with chains one after the other."""
    return flat_of(post.tree["posterior"].to_dataset(), name)


def theta_of(post: Posterior, base: Problem, at: Index) -> Theta:
    """Spreads, correlations and σ of some draws, as the engine has them."""
    return thetas(post.tree["posterior"].to_dataset(), post.model, base, at)

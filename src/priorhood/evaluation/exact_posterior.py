"""A saved posterior as the exact engine takes it: its sums as a problem, its draws as θ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import MOST_DRAWS, whole
from priorhood.engines.adapt import to_exact
from priorhood.fitting.run import FitOptions, exact_refusal
from priorhood.posterior.lazy_draws import flat_of
from priorhood.posterior.lazy_draws import theta_of as thetas
from priorhood.prediction.coefficients import correlation_factor

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Index
    from priorhood.engines.exact import GroupNoiseProblem, Problem
    from priorhood.engines.exact.conditional import Given
    from priorhood.engines.exact.theta import Theta
    from priorhood.posterior.posterior import Posterior


def collapse_refusal(post: Posterior) -> str | None:
    """Why the coefficients do not integrate out; None where they do."""
    options = FitOptions.checked(1, 10)
    return exact_refusal(post.data, options)


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
    problem: Problem | GroupNoiseProblem
    base: Problem
    values: Theta
    given: Given


def posed_of(post: Posterior, at: Index) -> Posed:
    """The problem of a posterior's sums, and so many of its draws of θ."""
    from priorhood.engines import exact
    from priorhood.engines.exact.conditional import Given

    problem = to_exact(post.data)
    base = problem.base if isinstance(problem, exact.GroupNoiseProblem) else problem
    values = theta_of(post, base, at)
    if not isinstance(problem, exact.GroupNoiseProblem):
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


def log_of_places(post: Posterior) -> Callable[[int], Array] | None:
    r"""Log p(y_j | β_parent(j), θ) of the rows of a finest place at every draw, but for a constant (equation 21).

    With γ the parent's coefficients (of crossed groupings their effects too), r = y − Xγ, and T, M, u as in (6):

        log p = −n log σ − rᵀWr/(2σ²) − ½ log|M| + ½ uᵀM⁻¹u,   M = I + ΛᵀZᵀA_jZΛ/σ²,  u = ΛᵀZᵀXᵀWr/σ²

    Given β_parent and θ the other places do not depend on y_j, so that draws weighed by 1/p are draws of their
    posterior without place j.

    Returns
    -------
    a function of the place's index: (S,); None where every place has a sigma of its own, or errors are Student's
    """
    draws = {name: _flat(post, name) for name in post.parameters}
    if post.model.noise is not None or post.model.family != "normal":
        return None
    mean, scatter = post.data.standardized
    mass, design, formula = post.moments.mass, post.design, post.model.formula
    finest = post.hierarchy.levels[0]
    sigma = draws["sigma"] if "sigma" in draws else np.full(len(next(iter(draws.values()))), 1 / post.scale.unit)
    cols = design.index(design.level_columns(0))
    factor = draws[f"tau{formula.suffix(0)}"][:, :, None] * _correlations(
        draws, f"omega{formula.suffix(0)}", len(cols)
    )
    n = finest.total(post.moments.n)

    def log_density(place: int) -> Array:
        cells = np.flatnonzero(finest.of_cell == place)
        g, q, A = np.zeros((len(sigma), len(cols))), np.zeros(len(sigma)), np.zeros((len(cols), len(cols)))
        for cell in cells:
            contrast = np.append(-_outside(post, draws, int(cell)), np.ones((len(sigma), 1)), axis=1)
            residual = contrast @ mean[cell]
            spread = contrast @ scatter[cell]
            q += np.einsum("sa,sa->s", spread, contrast) + mass[cell] * residual**2
            g += spread[:, cols] + mass[cell] * residual[:, None] * mean[cell, cols]
            A += scatter[cell][np.ix_(cols, cols)] + mass[cell] * np.outer(mean[cell, cols], mean[cell, cols])
        u = np.einsum("skl,sk->sl", factor, g) / sigma[:, None] ** 2
        M = np.eye(len(cols)) + factor.swapaxes(1, 2) @ (A @ factor) / sigma[:, None, None] ** 2
        found = -n[place] * np.log(sigma) - q / (2 * sigma**2) - 0.5 * np.linalg.slogdet(M)[1]
        return np.asarray(found + 0.5 * np.einsum("sk,sk->s", u, np.linalg.solve(M, u[:, :, None])[:, :, 0]))

    return log_density


def _flat(post: Posterior, name: str) -> Array:
    """Draws of one parameter, chains one after the other: (S, …)."""
    values = post[name].transpose("chain", "draw", ...).values
    return np.asarray(values.reshape(-1, *values.shape[2:]))


def _correlations(draws: dict[str, Array], name: str, K: int) -> Array:
    """(S or 1, K, K) the lower Cholesky factor of Ω; I where the effects are independent."""
    return correlation_factor(draws[name]) if name in draws else np.eye(K)[None]


def _outside(post: Posterior, draws: dict[str, Array], cell: int) -> Array:
    """(S, D) the coefficients of a cell's rows without the finest place's own effects."""
    design, hierarchy, formula = post.design, post.hierarchy, post.model.formula
    found = np.zeros((len(next(iter(draws.values()))), len(design.columns)))
    if "mu" in draws:
        found[:, design.index(design.population_columns)] = draws["mu"]
    if len(hierarchy.levels) > 1:
        parent = hierarchy.levels[1].of_cell[cell]
        found[:, design.index(design.coefficient_columns(1))] = draws[formula.effect_name(1)][:, parent]
    for at, places in enumerate(hierarchy.crossed, start=len(hierarchy.levels)):
        effects = draws[formula.effect_name(at)][:, places.of_cell[cell]]
        found[:, design.index(design.coefficient_columns(at))] += effects
    return found

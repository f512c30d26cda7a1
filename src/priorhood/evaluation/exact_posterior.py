"""A saved posterior in the exact engine's terms: its sums as a problem, its draws as θ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood._arguments import MAX_DRAWS, check_whole
from priorhood.engines.adapt import to_exact
from priorhood.fitting.engine_choice import FitOptions, exact_refusal
from priorhood.posterior.lazy_draws import flat_draws, stored_theta

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Index
    from priorhood.engines.exact import GroupNoiseProblem, Problem
    from priorhood.engines.exact.conditional import ConditionalPosterior
    from priorhood.engines.exact.theta import Theta
    from priorhood.posterior.posterior import Posterior
    from priorhood.prediction.coefficients import Coefficients, GroupDraws


def collapse_refusal(post: Posterior) -> str | None:
    """Return the reason why the coefficients do not integrate out; None if they do."""
    return exact_refusal(post.data, FitOptions.checked(1, 10))


def chosen_draws(post: Posterior, draws: int) -> Index:
    """Return the positions of at most `draws` draws, evenly spread over all chains."""
    check_whole("draws", draws, 50, MAX_DRAWS)
    total = post._sizes["chain"] * post._sizes["draw"]
    return np.unique(np.linspace(0, total - 1, min(draws, total)).round().astype(np.int64))


@dataclass(frozen=True)
class ExactPosterior:
    """A posterior in the exact engine's terms.

    Attributes
    ----------
    at : ndarray of int
        (S,) positions of the draws of θ among those of all chains.
    problem : Problem or GroupNoiseProblem
        The standardized sums and priors.
    base : Problem
        The problem without a residual sd of each group's own.
    values : Theta
        (S,) the draws of θ.
    given : ConditionalPosterior
        The coefficients given θ.
    """

    at: Index
    problem: Problem | GroupNoiseProblem
    base: Problem
    values: Theta
    given: ConditionalPosterior

    @classmethod
    def from_posterior(cls, post: Posterior, at: Index) -> ExactPosterior:
        """Return the problem of a posterior's sums, with the draws of θ at the given positions."""
        from priorhood.engines import exact
        from priorhood.engines.exact.conditional import ConditionalPosterior

        posterior = post.tree["posterior"].to_dataset()
        problem = to_exact(post.data)
        base = problem.base
        values = stored_theta(posterior, post.model, base, at)
        if not isinstance(problem, exact.GroupNoiseProblem):
            return cls(at, problem, base, values, ConditionalPosterior(base, values, values.sigma))
        root = np.zeros((len(at), base.D))
        root[:, base.root_cols] = flat_draws(posterior, "mu")[at] - base.shift[base.root_cols]
        return cls(
            at, problem, base, values, ConditionalPosterior(base, values, flat_draws(posterior, "sigma")[at], root)
        )


def cell_coefficients(c: Coefficients, cell: int, level: tuple[GroupDraws, ...]) -> Array:
    """Return the coefficients (S, D) of a cell's rows, from one level or none and from all crossed groupings."""
    beta = np.zeros((len(c.mu), len(c.design.columns)))
    beta[:, c.mu_cols] = c.mu
    for grouping in level:
        beta[:, grouping.cols] = grouping.draws_of(grouping.places.of_cell[[cell]])[:, 0]
    for grouping in c.crossed:
        beta[:, grouping.cols] += grouping.draws_of(grouping.places.of_cell[[cell]])[:, 0]
    return beta


def log_of_places(post: Posterior) -> Callable[[int], Array] | None:
    r"""Return log p(y_j | β_parent(j), θ) of a finest place's rows, up to a constant, as a function (equation 21).

    With γ the parent's coefficients (for crossed groupings plus their effects), r = y − Xγ, and T, M, u as in (6):

        log p = −n log σ − rᵀWr/(2σ²) − ½ log|M| + ½ uᵀM⁻¹u,   M = I + ΛᵀZᵀA_jZΛ/σ²,  u = ΛᵀZᵀXᵀWr/σ²

    Given β_parent and θ, the other places do not depend on y_j, so draws weighted by 1/p are draws of their
    posterior without place j.

    Returns
    -------
    callable or None
        A function of the place's index that returns values for every draw (S,); None if every place has its own
        sigma, or errors are Student-t.
    """
    if post.model.noise is not None or post.model.family != "normal":
        return None
    c, (mean, scatter) = post._coefficients(), post.data.standardized
    mass, finest = post.moments.mass, c.levels[0].places
    cols, factor, S = c.levels[0].varying, c.levels[0].spread, len(c.mu)
    sigma = c.sigma if post.model.se is None else c.sigma / post.scale.unit
    n = finest.total(post.moments.n)

    def log_density(place: int) -> Array:
        cells = np.flatnonzero(finest.of_cell == place)
        g, q, A = np.zeros((S, len(cols))), np.zeros(S), np.zeros((len(cols), len(cols)))
        for cell in cells:
            gamma = cell_coefficients(c, int(cell), c.levels[1:2])
            contrast = np.append(-gamma, np.ones((S, 1)), axis=1)
            residual = contrast @ mean[cell]
            spread = contrast @ scatter[cell]
            q += np.einsum("sa,sa->s", spread, contrast) + mass[cell] * residual**2
            g += spread[:, cols] + mass[cell] * residual[:, None] * mean[cell, cols]
            A += scatter[cell][np.ix_(cols, cols)] + mass[cell] * np.outer(mean[cell, cols], mean[cell, cols])
        u = np.einsum("skl,sk->sl", factor, g) / sigma[:, None] ** 2
        M = np.eye(len(cols)) + factor.swapaxes(1, 2) @ (A @ factor) / sigma[:, None, None] ** 2
        log_p = -n[place] * np.log(sigma) - q / (2 * sigma**2) - 0.5 * np.linalg.slogdet(M)[1]
        return np.asarray(log_p + 0.5 * np.einsum("sk,sk->s", u, np.linalg.solve(M, u[:, :, None])[:, :, 0]))

    return log_density

"""The exact engine: collapse the rows, explore θ, expand to every coefficient."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.draws import Draws
from priorhood.exact.compress import compress
from priorhood.exact.coordinates import constrain, dimension
from priorhood.exact.effects import draw_effects
from priorhood.exact.explore import Explored, explore
from priorhood.exact.marginal import collapse
from priorhood.exact.mode import Density, least_log_sigma
from priorhood.exact.noise import Alike, Independent, NoisyDensity, NoisyProblem, draw_groups
from priorhood.exact.noise import refuses as refuses_noise
from priorhood.exact.problem import Level, Problem, pose
from priorhood.priors import Fixed

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood.exact.coordinates import Theta
    from priorhood.exact.mode import Target
    from priorhood.exact.problem import Array

__all__ = [
    "Alike", "Independent", "Level", "NoisyProblem", "Problem", "compiled", "compress", "draw", "pose", "refuses",
]  # fmt: skip


def compiled(*, by_group: bool = False) -> bool:
    """Whether the kernels were compiled on this machine before; if not, the first fit takes longer.

    by_group : those of a residual sd for every group
    """
    from priorhood.exact import effects, integral, marginal

    kernels: tuple[Any, ...] = (marginal._log_marginals, effects._draw_effects)
    names = ("_log_marginals", "_draw_effects")
    if by_group:
        kernels, names = (integral._log_integrals, integral._draw_noise), ("_log_integrals", "_draw_noise")
    return all(
        any(Path(str(kernel.stats.cache_path)).glob(f"*{name}*.nbi"))
        for kernel, name in zip(kernels, names, strict=True)
    )


# Spreads, correlations and the residual sd beyond which a mixture of t's no longer finds its way.
MOST_DIMENSIONS = 40


def refuses(problem: Problem | NoisyProblem) -> str | None:
    """Why this engine does not take a problem, and what to do; None where it does."""
    by_group = isinstance(problem, NoisyProblem)
    dim = problem.dim if isinstance(problem, NoisyProblem) else dimension(problem)
    if dim > MOST_DIMENSIONS:
        what = "coefficients, spreads and correlations" if by_group else "spreads and correlations"
        return (
            f"{dim} {what} would have to be explored, more than {MOST_DIMENSIONS}: let fewer "
            f"coefficients vary by group, or write || for independent ones"
        )
    if isinstance(problem, NoisyProblem):
        return refuses_noise(problem)
    if isinstance(problem.sigma, Fixed) and math.log(problem.sigma.value) < least_log_sigma(problem):
        return (
            "the known errors are so far below the rows' scatter that the sums lose them to rounding: look for "
            "an error in the wrong unit, or leave sigma to be learned"
        )
    return None


def draw(
    problem: Problem | NoisyProblem,
    chains: int,
    draws: int,
    rng: np.random.Generator,
    threads: int,
    tell: Callable[[str, int, int], None],
) -> Draws:
    """Exact posterior draws of all parameters, on the standardized scale (math.md, sections 3 to 6)."""
    total, finished = chains * draws, 0

    def count(size: int) -> None:
        nonlocal finished
        finished += size
        tell("drawing coefficients", finished, total)

    def explored_by(density: Target) -> Explored:
        return explore(density, chains, draws, rng, lambda d, n: tell("exploring", d, n))

    if isinstance(problem, NoisyProblem):
        density = NoisyDensity(problem, threads)
        explored = explored_by(density)
        own = density.constrain(explored.theta.reshape(total, -1))
        sigma, beta = draw_groups(problem, own, rng, threads, count)
        base = problem.base
        mu = own.beta[:, base.root_cols] + base.shift[base.root_cols]
        made = _shaped(base, own.scales, explored, mu, beta, sigma)
        if not isinstance(problem.noise, Alike):
            return made
        lead = (chains, draws)
        return replace(made, sigma_median=own.median.reshape(lead), sigma_spread=own.spread.reshape(lead))
    collapsed = collapse(problem)
    explored = explored_by(Density(collapsed, threads))
    values = constrain(problem, explored.theta.reshape(total, -1))
    mu, beta = draw_effects(collapsed, values, rng, threads, count)
    return _shaped(problem, values, explored, mu, beta, values.sigma)


def _shaped(problem: Problem, values: Theta, explored: Explored, mu: Array, beta: Array, sigma: Array) -> Draws:
    """Flat arrays of draws → chains and draws, with the account of the run."""
    shape = explored.log_posterior.shape
    level = problem.levels[0] if problem.levels else None
    omega = None
    if level and level.omega:
        corr = values.corr[0]
        omega = (corr @ corr.swapaxes(1, 2)).reshape(*shape, level.K, level.K)
    return Draws(
        mu=mu.reshape(*shape, -1),
        beta=beta.reshape(*shape, *beta.shape[1:]).swapaxes(2, 3) if level else None,
        tau=values.tau[0].reshape(*shape, -1) if level else None,
        omega=omega,
        sigma=sigma.reshape(*shape, *sigma.shape[1:]),
        stats=_stats(explored),
        facts={
            "engine": "exact",
            "acceptance": explored.acceptance,
            "pareto_k": explored.pareto_k,
            "proposal_ess_share": explored.ess_share,
            "keep_every": explored.keep_every,
            "evaluations": explored.evaluations,
            "log_evidence_standardized": explored.log_evidence,
            "log_evidence_error": explored.log_evidence_error,
        },
    )


def _stats(explored: Explored) -> dict[str, np.ndarray]:
    """What ArviZ's functions look for in sample_stats: (chains, draws) each."""
    shape = explored.log_posterior.shape
    return {
        "lp": explored.log_posterior,
        # An independence sampler has no momentum: its energy is the potential alone.
        "energy": -explored.log_posterior,
        "acceptance_rate": explored.accepted,
        "diverging": np.zeros(shape, dtype=bool),
        "n_steps": np.full(shape, explored.keep_every),
    }

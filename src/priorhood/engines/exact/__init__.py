"""The exact engine: collapse the rows, explore θ, draw every coefficient."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.engines.draws import QUANTILES, Draws, Effects, flatten_chains
from priorhood.engines.exact.effects import draw_effects
from priorhood.engines.exact.group_noise import (
    GroupNoiseDensity,
    GroupNoiseProblem,
    PooledNoise,
    UnpooledNoise,
    compress,
    draw_groups,
)
from priorhood.engines.exact.group_noise import refuses as refuses_noise
from priorhood.engines.exact.marginal import collapse
from priorhood.engines.exact.mode import Density, least_log_sigma, one_digit
from priorhood.engines.exact.problem import CentredSums, Crossed, Level, Problem, Root, build_problem
from priorhood.engines.exact.sampler import Explored, explore
from priorhood.engines.exact.summaries import Leaves, leaves_of
from priorhood.engines.exact.theta import constrain
from priorhood.model.priors import Fixed, Uniform

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array
    from priorhood.engines.exact.mode import Target
    from priorhood.engines.exact.theta import Theta

__all__ = [
    "CentredSums",
    "Crossed",
    "GroupNoiseProblem",
    "Leaves",
    "Level",
    "PooledNoise",
    "Problem",
    "Root",
    "UnpooledNoise",
    "build_problem",
    "compiled",
    "compress",
    "draw",
    "leaves_of",
    "refuses",
    "refuses_known_noise",
    "too_wide",
]  # fmt: skip


def compiled(*, by_group: bool = False) -> bool:
    """Whether the kernels are in the cache of compiled code; if not, the first fit takes longer.

    by_group : whether to look for those of a residual sd for every group
    """
    from priorhood.engines.exact import effects
    from priorhood.engines.exact.kernels import noise_integral, two_terms

    kernels: tuple[Any, ...] = (two_terms.log_marginals, effects._draw_effects)
    if by_group:
        kernels = (noise_integral._log_integrals, noise_integral._draw_noise)
    return all(any(Path(str(one.stats.cache_path)).glob(f"*{one.py_func.__name__}*.nbi")) for one in kernels)


# Crossed effects are eliminated as one dense matrix: (columns² × groups) products for every θ.
MAX_CROSSED = 100
MAX_PRODUCTS = 20_000_000
# Spreads, correlations and the residual sd: with more, a mixture of t's no longer fits their posterior.
MAX_DIMENSIONS = 40
NO_SPREAD = 0.01  # largest sigma_spread under which all places have nearly the same σ


def too_wide(effects: int, groups: int) -> str | None:
    """Return why the engine cannot take this many effects of crossed groupings and groups; None if it can."""
    most = min(MAX_CROSSED, int(math.sqrt(MAX_PRODUCTS / groups)))
    if effects <= most:
        return None
    return (
        f"the groupings that cut across the first one have {effects:,} effects, which the exact engine eliminates "
        f"together, at most {most:,} with {groups:,} groups"
    )


def refuses(problem: Problem | GroupNoiseProblem) -> str | None:
    """Return why the engine cannot fit a problem, with advice; None if it can."""
    if problem.dim > MAX_DIMENSIONS:
        by_group = isinstance(problem, GroupNoiseProblem)
        what = "coefficients, spreads and correlations" if by_group else "spreads and correlations"
        return (
            f"{problem.dim} {what} would have to be explored, more than {MAX_DIMENSIONS}: let fewer "
            f"coefficients vary by group, or write || for independent ones"
        )
    return refuses_known_noise(problem) or (
        refuses_noise(problem) if isinstance(problem, GroupNoiseProblem) else None
    )


def refuses_known_noise(problem: Problem | GroupNoiseProblem) -> str | None:
    """Return why no engine can explore a residual sd known to be far below the rows' scatter; None if it is not.

    The sums lose such an sd to rounding, and in NUTS every other parameter depends on its digits.
    """
    base = problem.base
    noise = problem.noise if isinstance(problem, GroupNoiseProblem) else None
    scale = one_digit(0.5 * math.log(max(base.c / base.N, 1e-200)))
    if noise is None:
        sigma = base.sigma
        # Known errors belong to the rows, not to a prior.
        given = base.weight != base.N or base.log_weight != 0.0
        what, advice = f"sigma ~ {sigma} is", f"leave it to be learned, like sigma ~ Exponential({scale})"
        if given:
            what = "the known errors are"
            advice = "look for an error in the wrong unit, or leave sigma to be learned"
    elif isinstance(noise, PooledNoise) and isinstance(noise.spread, Fixed) and noise.spread.value <= NO_SPREAD:
        sigma, given = noise.median, False
        what = f"sigma_median ~ {sigma}, with sigma_spread ~ {noise.spread}, is"
        advice = f"leave it to be learned, like sigma_median ~ Exponential({scale})"
    else:
        return None
    if isinstance(sigma, Uniform):
        most = sigma.upper
        what, advice = f"{what} at most", f"give it a greater upper bound, like Uniform(0, {10 * float(scale):g})"
    elif isinstance(sigma, Fixed):
        most = sigma.value
    else:
        return None
    if math.log(most) >= least_log_sigma(base):
        return None
    times = math.sqrt(base.c / base.N) / most
    far = f"{times:,.0f}" if times < 1e7 else f"{times:.0e}"
    size = "" if given else f", {scale} on the model's scale"
    return (
        f"{what} {far} times less than what the rows scatter around one line{size}, so that all that it says is "
        f"lost to rounding: {advice}"
    )


def draw(
    problem: Problem | GroupNoiseProblem,
    chains: int,
    draws: int,
    rng: np.random.Generator,
    threads: int,
    tell: Callable[[str, int, int], None],
    *,
    stored: bool = True,
) -> Draws:
    """Draw all parameters from their posterior, on the standardized scale (math.md, sections 3 to 6).

    tell : called with the stage's name and the numbers of steps done and to do
    stored : whether the finest groups' coefficients are drawn; if not they are summarized, which needs one σ
    """
    total, finished = chains * draws, 0

    def count(size: int) -> None:
        nonlocal finished
        finished += size
        tell("drawing coefficients", finished, total)

    def explored_by(density: Target) -> Explored:
        return explore(density, chains, draws, rng, lambda d, n: tell("exploring", d, n))

    if isinstance(problem, GroupNoiseProblem):
        density = GroupNoiseDensity(problem, threads)
        explored = explored_by(density)
        own = density.constrain(flatten_chains(explored.theta))
        sigma, beta = draw_groups(problem, own, rng, threads, count)
        base = problem.base
        mu = own.beta[:, base.root_cols] + base.shift[base.root_cols]
        made = _shaped(base, own.scales, explored, mu, (beta,), sigma)
        if not isinstance(problem.noise, PooledNoise):
            return made
        lead = (chains, draws)
        return replace(made, sigma_median=own.median.reshape(lead), sigma_spread=own.spread.reshape(lead))
    collapsed = collapse(problem)
    explored = explored_by(Density(collapsed, threads))
    values = constrain(problem, flatten_chains(explored.theta))
    found = draw_effects(collapsed, values, rng, threads, count, finest=stored)
    made = _shaped(problem, values, explored, found.mu, found.levels + found.crossed, values.sigma)
    if stored:
        return made
    leaves = leaves_of(problem, values, found.mu, found.levels[1:], found.crossed)
    told = leaves.summarize(QUANTILES, threads, lambda at, size: tell("summing up places", at, size))
    effects = (replace(made.effects[0], beta=None), *made.effects[1:])
    return replace(made, effects=effects, summaries=told)


def _shaped(
    problem: Problem, values: Theta, explored: Explored, mu: Array, coefficients: tuple[Array, ...], sigma: Array
) -> Draws:
    """Return flat arrays of draws by chain, with statistics of the run; coefficients : (S, C, places) each."""
    shape = explored.log_posterior.shape
    effects = []
    for one, beta, tau, corr in zip(problem.varying, coefficients, values.tau, values.corr, strict=True):
        omega = (corr @ corr.swapaxes(1, 2)).reshape(*shape, one.K, one.K) if one.omega else None
        by_place = beta.reshape(*shape, *beta.shape[1:]).swapaxes(2, 3)
        effects.append(Effects(by_place, tau.reshape(*shape, -1), omega))
    return Draws(
        mu=mu.reshape(*shape, -1),
        effects=tuple(effects),
        sigma=sigma.reshape(*shape, *sigma.shape[1:]),
        stats={
            "lp": explored.log_posterior,
            # An independence sampler has no momentum: its energy is the potential alone.
            "energy": -explored.log_posterior,
            "acceptance_rate": explored.accepted,
            "diverging": np.zeros(shape, dtype=bool),
            "n_steps": np.full(shape, explored.keep_every),
        },
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

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
from priorhood.engines.exact.group_noise import unsupported_reason as unsupported_noise_reason
from priorhood.engines.exact.marginal import collapse
from priorhood.engines.exact.mode import Density, min_log_sigma, one_digit
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
    "lost_noise_reason",
    "too_many_effects",
    "unsupported_reason",
]  # fmt: skip


def compiled(problem: Problem | GroupNoiseProblem | None = None, *, by_group: bool = False) -> bool:
    """Return True if the kernels are in the cache of compiled code; if not, the first fit takes longer.

    problem : the one whose kernel to look for; None if any will do
    by_group : whether to look for the kernels of a residual sd for every group if there is no problem
    """
    from priorhood.engines.exact import marginal
    from priorhood.engines.exact.kernels import noise_integral, two_terms

    if by_group or isinstance(problem, GroupNoiseProblem):
        return _is_cached(noise_integral._log_integrals) and _is_cached(noise_integral._draw_noise)
    if problem is None:
        return _is_cached(two_terms.log_marginals) or _is_cached(marginal._log_marginals)
    return _is_cached(two_terms.log_marginals if two_terms.fits(problem) else marginal._log_marginals)


def _is_cached(kernel: Any) -> bool:
    return any(Path(str(kernel.stats.cache_path)).glob(f"*.{kernel.py_func.__name__}-*.nbi"))


# Crossed effects are eliminated as one dense matrix: (columns² × groups) products for every θ.
MAX_CROSSED = 100
MAX_PRODUCTS = 20_000_000
# Spreads, correlations and the residual sd: with more of them, a mixture of t's no longer fits their posterior.
MAX_DIMENSIONS = 40
NO_SPREAD = 0.01  # largest sigma_spread under which all places have nearly the same σ


def too_many_effects(effects: int, groups: int) -> str | None:
    """Return why the engine cannot eliminate this many effects of crossed groupings with these groups, or None."""
    limit = min(MAX_CROSSED, int(math.sqrt(MAX_PRODUCTS / groups)))
    if effects <= limit:
        return None
    return (
        f"the crossed groupings have {effects:,} effects; the exact engine integrates these out jointly, and "
        f"supports at most {limit:,} with {groups:,} groups"
    )


def unsupported_reason(problem: Problem | GroupNoiseProblem) -> str | None:
    """Return why the engine cannot fit a problem, with advice; None if it can."""
    if problem.dim > MAX_DIMENSIONS:
        by_group = isinstance(problem, GroupNoiseProblem)
        what = "coefficients, sds and correlations" if by_group else "sds and correlations"
        return (
            f"the exact engine would have to explore {problem.dim} {what}, but supports at most {MAX_DIMENSIONS}: "
            f"let fewer coefficients vary by group, or write || for independent ones"
        )
    return lost_noise_reason(problem) or (
        unsupported_noise_reason(problem) if isinstance(problem, GroupNoiseProblem) else None
    )


def lost_noise_reason(problem: Problem | GroupNoiseProblem) -> str | None:
    """Return why no engine can explore a residual sd known to be far below the rows' scatter; None if it is not.

    In the sums, rounding error swamps such an sd; in NUTS every other parameter depends on its digits.
    """
    base = problem.base
    noise = problem.noise if isinstance(problem, GroupNoiseProblem) else None
    scale = one_digit(0.5 * math.log(max(base.c / base.N, 1e-200)))
    if noise is None:
        sigma = base.sigma
        # Known errors are given by the rows, not by a prior.
        given = base.weight != base.N or base.log_weight != 0.0
        what, advice = f"sigma ~ {sigma} is", f"estimate it, for example with sigma ~ Exponential({scale})"
        if given:
            what = "the known errors are"
            advice = "look for errors in the wrong unit, or let sigma be estimated"
    elif isinstance(noise, PooledNoise) and isinstance(noise.spread, Fixed) and noise.spread.value <= NO_SPREAD:
        sigma, given = noise.median, False
        what = f"sigma_median ~ {sigma}, with sigma_spread ~ {noise.spread}, is"
        advice = f"estimate it, for example with sigma_median ~ Exponential({scale})"
    else:
        return None
    if isinstance(sigma, Uniform):
        largest = sigma.upper
        what, advice = f"{what} at least", f"use a larger upper bound, such as Uniform(0, {10 * float(scale):g})"
    elif isinstance(sigma, Fixed):
        largest = sigma.value
    else:
        return None
    if math.log(largest) >= min_log_sigma(base):
        return None
    times = math.sqrt(base.c / base.N) / largest
    far = f"{times:,.0f}" if times < 1e7 else f"{times:.0e}"
    size = "" if given else f", {scale} on the standardized scale"
    return (
        f"{what} {far} times smaller than the scatter of the rows around a single line{size}, so rounding error "
        f"swamps {'them' if given else 'it'}: {advice}"
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

    tell : called with the name of the stage, the steps done and the total steps
    stored : whether the finest groups' coefficients are drawn; if not, they are summarized, which requires one σ
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
        noisy = density.constrain(flatten_chains(explored.theta))
        sigma, beta = draw_groups(problem, noisy, rng, threads, count)
        base = problem.base
        mu = noisy.beta[:, base.root_cols] + base.shift[base.root_cols]
        result = _shaped(base, noisy.scales, explored, mu, (beta,), sigma)
        if not isinstance(problem.noise, PooledNoise):
            return result
        shape = (chains, draws)
        return replace(result, sigma_median=noisy.median.reshape(shape), sigma_spread=noisy.spread.reshape(shape))
    collapsed = collapse(problem)
    explored = explored_by(Density(collapsed, threads))
    values = constrain(problem, flatten_chains(explored.theta))
    drawn = draw_effects(collapsed, values, rng, threads, count, finest=stored)
    result = _shaped(problem, values, explored, drawn.mu, drawn.levels + drawn.crossed, values.sigma)
    if stored:
        return result
    leaves = leaves_of(problem, values, drawn.mu, drawn.levels[1:], drawn.crossed)
    summaries = leaves.summarize(QUANTILES, threads, lambda done, size: tell("summarizing places", done, size))
    effects = (replace(result.effects[0], beta=None), *result.effects[1:])
    return replace(result, effects=effects, summaries=summaries)


def _shaped(
    problem: Problem, values: Theta, explored: Explored, mu: Array, coefficients: tuple[Array, ...], sigma: Array
) -> Draws:
    """Return flat arrays of draws by chain, with statistics of the run; coefficients : (S, C, places) each."""
    shape = explored.log_posterior.shape
    effects = []
    for level, beta, tau, corr in zip(problem.varying, coefficients, values.tau, values.corr, strict=True):
        omega = (corr @ corr.swapaxes(1, 2)).reshape(*shape, level.K, level.K) if level.omega else None
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

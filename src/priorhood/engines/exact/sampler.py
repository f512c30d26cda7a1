"""The sampler of θ: few dimensions, so nearly independent draws (math.md, section 4, steps 4 and 5).

Independence Metropolis–Hastings chains that propose from a frozen mixture. The chains are exact however well the
mixture fits; the fit only determines how many proposals a draw costs, and is reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numba as nb
import numpy as np

from priorhood._text import argument, join_words
from priorhood.engines.exact.mode import one_digit
from priorhood.engines.exact.mode_search import Modes, find_modes, with_more
from priorhood.engines.exact.proposal import Mixture, Refined, effective_share, nearly_normal, refine, widen
from priorhood.errors import SamplingError

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Index
    from priorhood.engines.exact.mode import Target
    from priorhood.engines.exact.theta import Axis

PILOT = 1000  # proposals that judge the mixture and start the chains
WARM_UP = 20  # warm-up, in kept draws
MAX_AUTOCORRELATION = 0.02  # largest correlation of successive kept draws, which determines the thinning …
MAX_AUTOCORRELATION_EXPENSIVE = 0.25  # … if θ is expensive: twice the proposals would add less than they cost
EXPENSIVE = 100_000  # in the units of Target.cost, a quarter of a millisecond
MAX_KEEP_EVERY = 24
ATTEMPTS = 3  # at a proposal whose weights have a Pareto k of at most …
GOOD_TAIL = 0.5
HEAVIEST = 6  # draws from which the search for further modes starts if k is larger
PARETO_LIMIT = 0.7
GOOD_STAY = 4.0  # largest good number of kept draws that a chain is expected to stay at its heaviest state
MAX_STAY = 20.0
MAX_WEIGHT_RATIO = 1.5  # the largest weight, in mean weights, of a proposal narrower than the refined one
ACCEPT_LIMIT = 0.05
MAX_MASS_BEYOND = 1e-3  # largest share of the posterior that may lie beyond the bounds


@dataclass(frozen=True)
class Explored:
    """Chains of θ and measures of their quality.

    Attributes
    ----------
    theta : array (chains, draws, dim)
        kept draws
    log_posterior : array (chains, draws)
        log p(y|θ) + log p(θ) in θ's coordinates
    accepted : array (chains, draws)
        share of accepted proposals between kept draws
    acceptance, pareto_k, ess_share : float
        quality of the proposals
    keep_every : int
        proposals per kept draw
    log_evidence, log_evidence_error : float
        log p(y) of the standardized outcome and its Monte Carlo error
    evaluations : int
        number of θ at which the density was computed
    """

    theta: Array
    log_posterior: Array
    accepted: Array
    acceptance: float
    pareto_k: float
    ess_share: float
    keep_every: int
    log_evidence: float
    log_evidence_error: float
    evaluations: int


@nb.njit(cache=True, nogil=True)
def _walk(log_weights, log_uniforms, state, keep_every, picked, accepted):
    """Independence Metropolis–Hastings over one chain's proposals; `picked` holds kept proposal indices."""
    moves = 0
    kept = 0
    # The steps before the first kept draw of full spacing are warm-up.
    warm = len(log_weights) - len(picked) * keep_every
    for i in range(len(log_weights)):
        if log_uniforms[i] < log_weights[i] - log_weights[state]:
            state = i
            moves += 1
        if i >= warm and (i - warm + 1) % keep_every == 0:
            picked[kept] = state
            accepted[kept] = moves / keep_every
            kept += 1
            moves = 0
        elif i < warm:
            moves = 0


def pareto_k(log_weights: Array) -> float:
    """Return the shape of the weights' generalized Pareto tail (Zhang & Stephens 2009; Vehtari et al. 2024)."""
    finite = np.sort(log_weights[np.isfinite(log_weights)])
    size = int(min(0.2 * len(finite), 3 * math.sqrt(len(finite))))
    if size < 5:
        return math.inf
    top = np.exp(finite - finite[-1])
    x = top[-size:] - top[-size - 1]
    if x[-1] <= 1e-12:
        return -math.inf  # all weights are equal
    points = 30 + int(math.sqrt(size))
    quartile = max(x[int(size / 4 + 0.5) - 1], 1e-300)
    b = (1 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3 * quartile) + 1 / x[-1]
    k = np.mean(np.log1p(-b[:, None] * x), axis=1)
    profile = size * (np.log(-(b / k)) - k - 1)
    weights = np.exp(profile - profile.max())
    shape = float(np.mean(np.log1p(-(b @ weights) / weights.sum() * x)))
    shape = (shape * size + 0.5 * 10) / (size + 10)  # their weak prior towards one half
    # A few weights above a plateau look like a long tail. Of this many draws from a tail of shape k, the largest is
    # at least (size/E)^k times the smallest, E standard exponential, which is under 5 in 993 of 1,000 cases.
    largest = -float(finite[-size - 1] - finite[-1]) / math.log(max(size / 5, 2.0))
    return shape if shape <= GOOD_TAIL else min(shape, largest)


class _WithProgress:
    """A density that is computed in parts of at most half a second and reports progress.

    ahead : smallest number of further θ after the current call
    """

    def __init__(self, density: Target, tell: Callable[[int, int], None], ahead: int) -> None:
        self.density = density
        self.tell = tell
        self.ahead = ahead
        self.size = max(16, int(0.5 / (density.cost * 2.5e-9)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.density, name)

    def __call__(self, theta: Array) -> Array:
        """Return the log density of a batch: (S, dim) → (S,)."""
        heights = np.empty(len(theta))
        for lo in range(0, len(theta), self.size):
            part = slice(lo, lo + self.size)
            heights[part] = self.density(theta[part])
            done, remaining = self.density.evaluations, max(len(theta) - part.stop, 0)
            self.tell(done, done + remaining + self.ahead)
        return heights


def explore(
    density: Target,
    chains: int,
    draws: int,
    rng: np.random.Generator,
    tell: Callable[[int, int], None] | None = None,
) -> Explored:
    """Draw θ | y: independence chains from a frozen mixture.

    Parameters
    ----------
    density : Target
        posterior density
    chains, draws : int
        number of chains and of kept draws per chain; each kept draw is the last of keep_every proposals, which make
        successive kept draws nearly independent
    rng : numpy.random.Generator
        random numbers
    tell : callable
        called about twice a second with the numbers of θ computed so far and in total, as far as known

    Raises
    ------
    SamplingError
        if Pareto k is over 0.7 or the acceptance below 5 %, so that the draws could not be trusted
    """
    density.check_explorable()
    if density.dim == 0:
        return _explore_nothing(density, chains, draws)
    if tell:
        density = cast("Target", _WithProgress(density, tell, ahead=chains * (WARM_UP + draws)))
    try:
        modes = find_modes(density, rng)
        proposed = _best_proposals(density, modes, chains, draws, rng)
    except (np.linalg.LinAlgError, ZeroDivisionError) as problem:
        raise SamplingError(
            "the posterior is too narrow for the exact engine's arithmetic: the priors overwhelm the data. Use "
            "wider priors",
            reason="the posterior is too narrow for the exact engine's arithmetic",
        ) from problem
    _check_ends(density, proposed)
    picked, accepted = _walk_chains(proposed, chains, draws, rng)
    acceptance = float(accepted.mean())
    if acceptance < ACCEPT_LIMIT or proposed.pareto_k > PARETO_LIMIT or proposed.expected_stay > MAX_STAY:
        raise SamplingError(
            f"the exact engine could not explore this posterior well enough to be trusted (acceptance "
            f"{acceptance:.0%}, must be at least {ACCEPT_LIMIT:.0%}; Pareto k {proposed.pareto_k:.2f}, must be at "
            f"most {PARETO_LIMIT}; longest expected stay in one state {proposed.expected_stay:.0f} draws, must be "
            f"at most {MAX_STAY}). Use tighter priors for tau and sigma, let fewer coefficients vary by group, or "
            f"use NUTS ({argument('engine', 'nuts')})",
            reason="the exact engine could not explore this posterior well enough to be trusted",
        )
    share = effective_share(proposed.log_weights)
    top = proposed.log_weights.max()
    return Explored(
        theta=proposed.theta[picked],
        log_posterior=proposed.heights[picked],
        accepted=accepted,
        acceptance=acceptance,
        pareto_k=proposed.pareto_k,
        ess_share=share,
        keep_every=proposed.keep_every,
        log_evidence=float(top + math.log(np.exp(proposed.log_weights - top).mean())),
        log_evidence_error=math.sqrt(max(1 / share - 1, 0.0) / len(proposed.log_weights)),
        evaluations=density.evaluations,
    )


def _check_ends(density: Target, proposed: _Proposed) -> None:
    """Raise for a posterior with mass beyond the bounds of θ, where rounding error swamps σ or a scale overflows.

    There the data are uninformative about the coordinate, so that its posterior falls off like its prior, as e^−su
    at u beyond the bound: the mass beyond is the mass from the bound to r within, divided by e^sr − 1. r is where
    the prior's density is twice that at the bound, or a quarter of the way to the posterior's median, if nearer.

    Raises
    ------
    SamplingError
        if more than MAX_MASS_BEYOND of the posterior lies beyond
    """
    weights = np.exp(proposed.log_weights - proposed.log_weights.max())
    total = weights.sum()
    for k, axis in enumerate(density.axes):
        for end, side in ((density.low[k], 1.0), (density.high[k], -1.0)):
            if axis is None or not math.isfinite(end):
                continue
            slope = max(axis.slope(end, 1e-3 * side) * side, 1e-3)
            inwards = (proposed.theta[:, k] - end) * side
            reach = math.log(2.0) / slope
            if inwards.min() >= reach:  # nearly always: the median, which requires a sort, cannot matter
                continue
            order = np.argsort(inwards)
            mass = np.cumsum(weights[order])
            median = float(inwards[order[np.searchsorted(mass, 0.5 * mass[-1])]])
            reach = min(reach, max(0.25 * median, 1e-3))
            near = float(weights[inwards < reach].sum() / total) / math.expm1(slope * reach)
            cut = near / (1.0 + near)
            if cut > MAX_MASS_BEYOND:
                raise SamplingError(
                    _beyond_bound(density, axis, float(end), side, cut),
                    reason=f"part of the posterior lies where {axis.name} cannot be computed",
                )
    near = float(weights[density.at_border(proposed.theta)].sum() / total)
    if near > MAX_MASS_BEYOND:
        scale = one_digit(density.log_scatter)
        raise SamplingError(
            f"about {near:.1%} of the posterior lies where group-level sds (tau) are so far above sigma that "
            f"rounding error swamps it: neither the data nor the priors rule that out. Use priors on the data's "
            f"scale for tau and mu, for example tau ~ Exponential({scale}), and a prior that keeps sigma away from "
            f"0, such as LogNormal({math.floor(density.log_scatter):g}, 1)",
            reason="part of the posterior lies where rounding error swamps sigma",
        )


def _beyond_bound(density: Target, axis: Axis, end: float, side: float, cut: float) -> str:
    """Return the error message for a posterior with mass beyond a bound, with a prior that leaves none there."""
    share = f"about {cut:.1%} of the posterior lies"
    leads = f"{axis.prior} puts mass there, and the data do not rule it out"
    scale = one_digit(density.log_scatter)
    if axis.name == "sigma" and side > 0:
        # The first prior's share below the bound is bound/scale, the second's that of a Normal below −5.
        bound = math.log(axis.value(np.array([end]))[0])
        wide = math.exp(bound - density.log_scatter) < MAX_MASS_BEYOND / 10
        advice = [f"Exponential({scale})"] * wide + [f"LogNormal({math.ceil(bound + 5.0)}, 1)"]
        return (
            f"{share} where sigma is too small to be recovered from the sums: neither the data nor {axis.prior} "
            f"keeps it away from 0. Use a prior for sigma that does, such as {join_words(advice, 'or')}"
        )
    if axis.name == "omega":
        larger = "a larger eta for omega, such as LKJ(1)"
        return f"{share} where correlations are 1 up to rounding: {leads}. Use {larger}"
    if axis.name == "sigma_spread":
        where = "sigma_spread is so small that all sigmas are equal up to rounding"
        if side < 0:
            where = f"sigma_spread, the sd of log sigma, exceeds {math.exp(end):.0f}"
        return (
            f"{share} where {where}: {leads}. Use a prior for sigma_spread with less mass there, "
            f"such as HalfNormal(1), or one sigma for all groups (without noise)"
        )
    return (
        f"{share} where {axis.name} is too {'close to 0' if side > 0 else 'large'} to be computed: {leads}. Use "
        f"a prior on the data's scale instead, such as {axis.name} ~ Exponential({scale})"
    )


def _best_proposals(density: Target, modes: Modes, chains: int, draws: int, rng: np.random.Generator) -> _Proposed:
    """Draw proposals from the best mixture found within ATTEMPTS.

    Draws with a large weight may belong to a mode that the search missed, so it continues from them.
    """
    refined = refine(density, modes, rng)
    mixture = _cheaper(refined)
    proposed = _propose(density, mixture, chains, draws, rng)
    if mixture is not refined.mixture and not proposed.good:
        proposed = _propose(density, refined.mixture, chains, draws, rng)
    for attempt in range(ATTEMPTS):
        if proposed.good:
            break
        more = with_more(density, modes, proposed.heaviest)
        if more:
            modes, refined = more, refine(density, more, rng)
            mixture = refined.mixture
        else:
            mixture = widen(refined.first, proposed.theta, proposed.log_weights, refined.floor, attempt, rng)
        again = _propose(density, mixture, chains, draws, rng)
        # A mixture with more modes covers more of the posterior, whatever its tail.
        proposed = again if more else min(proposed, again, key=lambda p: (p.expected_stay > MAX_STAY, p.pareto_k))
    return proposed


def _cheaper(refined: Refined) -> Mixture:
    """Return the refined mixture, or a nearly Normal one if that saves at least half of the proposals.

    It does with many groups, which together make log p(θ | y) nearly quadratic. The refined mixture's draws,
    weighted for the other one, judge both, so that the choice needs no further θ.
    """
    spacing = _spacing(refined.log_weights)
    for slim in nearly_normal(refined):
        height = slim.logpdf(refined.theta)
        share = np.exp(height - refined.mixture.logpdf(refined.theta))
        log_weights = refined.heights - height
        peak = share.sum() / (share * np.exp(log_weights - log_weights.max())).sum()
        if peak < MAX_WEIGHT_RATIO and 2 * _spacing(log_weights, share) <= spacing:
            return slim
    return refined.mixture


def _explore_nothing(density: Target, chains: int, draws: int) -> Explored:
    """Return the chains of a θ without coordinates, if every scale is known: p(y) is p(y | θ) without error."""
    height = float(density(np.zeros((1, 0)))[0])
    if not math.isfinite(height):
        raise SamplingError(
            "the posterior density could not be computed under the known scales; look for extreme values in the "
            "outcome and predictors",
            reason="the posterior density could not be computed under the known scales",
        )
    return Explored(
        theta=np.zeros((chains, draws, 0)),
        log_posterior=np.full((chains, draws), height),
        accepted=np.ones((chains, draws)),
        acceptance=1.0,
        pareto_k=-math.inf,
        ess_share=1.0,
        keep_every=1,
        log_evidence=height,
        log_evidence_error=0.0,
        evaluations=density.evaluations,
    )


@dataclass(frozen=True)
class _Proposed:
    """Draws of the frozen mixture with their weights: first PILOT draws, then those of every chain in turn.

    Attributes
    ----------
    theta : array (n, dim)
        draws
    heights : array (n,)
        log p(θ | y) up to a constant
    log_weights : array (n,)
        log importance weights
    keep_every : int
        proposals per kept draw
    pareto_k : float
        shape of the weights' tail
    expected_stay : float
        number of kept draws that a chain is expected to stay at the largest weight
    """

    theta: Array
    heights: Array
    log_weights: Array
    keep_every: int
    pareto_k: float
    expected_stay: float

    @property
    def heaviest(self) -> Array:
        """Draws with the largest weights: (HEAVIEST, dim)."""
        return np.asarray(self.theta[np.argsort(-self.log_weights, kind="stable")[:HEAVIEST]])

    @property
    def good(self) -> bool:
        """True if no further mixture is tried."""
        return self.pareto_k <= GOOD_TAIL and self.expected_stay <= GOOD_STAY


def _propose(
    density: Target,
    mixture: Mixture,
    chains: int,
    draws: int,
    rng: np.random.Generator,
) -> _Proposed:
    """Draw as many proposals as the chains need, with a spacing determined by a pilot."""
    pilot = mixture.sample(rng, PILOT)
    pilot_heights = density(pilot)
    limit = MAX_AUTOCORRELATION if density.cost < EXPENSIVE else MAX_AUTOCORRELATION_EXPENSIVE
    keep_every = _spacing(pilot_heights - mixture.logpdf(pilot), limit=limit)
    theta = mixture.sample(rng, chains * (WARM_UP + draws) * keep_every)
    if isinstance(density, _WithProgress):
        density.ahead = 0  # the last batch, unless another mixture is tried
    heights = np.concatenate([pilot_heights, density(theta)])
    theta = np.concatenate([pilot, theta])
    log_weights = heights - mixture.logpdf(theta)
    if not np.isfinite(log_weights).any():
        raise SamplingError(
            "the density could not be computed at any proposal of the exact engine; rescale the outcome",
            reason="the density could not be computed at any proposal of the exact engine",
        )
    # A chain leaves the state of the largest weight w with probability mean(w')/w per proposal.
    stay = math.exp(log_weights.max() - np.logaddexp.reduce(log_weights) + math.log(len(log_weights))) / keep_every
    return _Proposed(theta, heights, log_weights, keep_every, pareto_k(log_weights), stay)


def _walk_chains(proposed: _Proposed, chains: int, draws: int, rng: np.random.Generator) -> tuple[Index, Array]:
    """Run every chain over its proposals, starting at a pilot draw selected by weight.

    Returns
    -------
    indices of the kept proposals, and shares accepted: (chains, draws) each
    """
    picked = np.empty((chains, draws), np.int64)
    accepted = np.empty((chains, draws))
    length = (WARM_UP + draws) * proposed.keep_every
    log_uniforms = np.log(rng.random((chains, length)))
    pilot = proposed.log_weights[:PILOT]
    chances = np.exp(pilot - pilot.max())
    starts = rng.choice(PILOT, size=chains, p=chances / chances.sum())
    for chain in range(chains):
        first = PILOT + chain * length
        # Position 0 is the chain's start; its proposals follow.
        weights = np.concatenate([pilot[starts[chain], None], proposed.log_weights[first : first + length]])
        uniforms = np.concatenate([[0.0], log_uniforms[chain]])
        _walk(weights, uniforms, 0, proposed.keep_every, picked[chain], accepted[chain])
        picked[chain] = np.where(picked[chain] == 0, starts[chain], picked[chain] - 1 + first)
    return picked, accepted


def _spacing(log_weights: Array, share: Array | None = None, limit: float = MAX_AUTOCORRELATION) -> int:
    """Return the proposals per kept draw: the smallest k with a correlation of successive kept draws below `limit`.

    A chain at a state of weight w stays there with probability s(w) = 1 − E min(1, w'/w); under the
    posterior, k proposals in a row are rejected with probability E s(w)^k.

    share : the draws' masses, if they were not drawn from the proposal that is judged; equal if None
    """
    order = np.argsort(log_weights)
    order = order[log_weights[order] - log_weights.max() > -700.0]
    w = np.exp(log_weights[order] - log_weights.max())
    mass = np.full(len(log_weights), 1.0) if share is None else share
    total = np.cumsum(mass[order] * w)
    above = mass[order].sum() - np.cumsum(mass[order])
    # E min(1, w'/w_i): smaller weights w' count as w'/w_i, the others as 1.
    moved = (total / w + above) / mass.sum()
    stay = 1.0 - np.minimum(moved, 1.0)
    target = mass[order] * w / total[-1]
    for k in range(1, MAX_KEEP_EVERY):
        if (target * stay**k).sum() < limit:
            return k
    return MAX_KEEP_EVERY

"""Ranks of truths among draws: whether they are uniform, and what it means where they are not.

Säilynoja, Bürkner & Vehtari (2022): the ranks' distribution function is held against the uniform one
everywhere at once. The error rates are computed, not simulated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import listed
from priorhood.diagnostics.verdict import Verdict
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from priorhood._arrays import Array, Index

ALARM = 0.01  # a right engine is called wrong once in a hundred runs, all quantities together
# Refits left out shift a distribution function by no more than their share, which the band of 500 hardly sees.
REFUSED_LIMIT = 0.05
NOTABLE = 3.0  # standard errors by which ranks are off in one way, for that to be named
NAMED = 4

SHAPES = {
    "narrow": "the intervals are too narrow",
    "wide": "the intervals are too wide",
    "high": "the draws are too high",
    "low": "the draws are too low",
    "uneven": "the ranks are uneven",
}
TOLD = "tell the authors, with the seed; until then compare with engine='nuts'"


def counts_below(ranks: Index, draws: int) -> Index:
    """How many ranks (N,) of 0 … L lie under 1, 2, … L: (L,), N times the distribution function."""
    return np.cumsum(np.bincount(ranks, minlength=draws + 1))[:draws].astype(np.int64)


class UniformityTest:
    """N independent ranks, each one of 0 … L alike.

    C_i, the number of ranks under i, is Binomial(N, i/(L + 1)). How unusual ranks are is the least two-sided
    tail probability of their C_1 … C_L:

        γ = min_i 2 min{P(C_i ≤ c_i), P(C_i ≥ c_i)}
    """

    def __init__(self, ranks: int, draws: int) -> None:
        from scipy.stats import binom, poisson

        self.N, self.L = ranks, draws
        share = np.arange(1, draws + 1) / (draws + 1)
        c = np.arange(ranks + 1)[:, None]
        self._tails = 2.0 * np.minimum(binom.cdf(c, ranks, share), binom.sf(c - 1, ranks, share))
        # Ranks in the L + 1 places are independent Poisson counts, given that they are N in all.
        self._steps = poisson.pmf(np.arange(ranks + 1), ranks / (draws + 1))
        self._all = float(poisson.pmf(ranks, ranks))

    def gamma(self, counts: Index) -> float:
        """γ of counts (L,)."""
        return float(self._tails[counts, np.arange(self.L)].min())

    def p_value(self, counts: Index) -> float:
        """P(γ ≤ that of these counts), where ranks are uniform: exact but for rounding, 1e-12 or so."""
        return self._beyond(self.gamma(counts))

    def band(self, alarm: float) -> tuple[Index, Index]:
        """The least and largest counts (L,) inside: left anywhere with probability of at most alarm."""
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self._beyond(middle) <= alarm else (low, middle)
        inside = self._inside(low)
        if inside is None:  # not for any alarm under 1
            raise ModelError(f"no band is left by chance with probability {alarm:g}; it must be below 1")
        return inside

    def _inside(self, gamma: float) -> tuple[Index, Index] | None:
        """The counts whose two-sided tail is above γ: first and last of every i; None if some i has none."""
        # Tails that are equal by symmetry differ by their rounding.
        inside = self._tails > gamma * (1 + 1e-9)
        if not inside.any(axis=0).all():
            return None
        return inside.argmax(axis=0), self.N - inside[::-1].argmax(axis=0)

    def _beyond(self, gamma: float) -> float:
        """P(C leaves the counts with tails above γ anywhere), by adding up one place of ranks at a time.

        chance[c] is the probability that C_1 … C_i all stay inside and C_i is low_i + c.
        """
        inside = self._inside(gamma)
        if inside is None:
            return 1.0
        low, high = inside
        chance, first = np.ones(1), 0
        for least, most in zip(low.tolist(), high.tolist(), strict=True):
            reached = np.convolve(chance, self._steps[: most - first + 1])
            if least > first + len(reached) - 1:
                return 1.0
            chance, first = reached[max(least - first, 0) : most - first + 1], max(least, first)
        left = self.N - first - np.arange(len(chance))
        stays = float(chance @ self._steps[left]) / self._all
        return min(max(1.0 - stays, 0.0), 1.0) if math.isfinite(stays) else 1.0


# -- in sentences -----------------------------------------------------------------------------------------


def places(ranks: Index, draws: int) -> Array:
    """Ranks 0 … L as the middles of L + 1 equal places in (0, 1)."""
    return np.asarray((2 * ranks + 1) / (2 * (draws + 1)))


def shape(ranks: Index, draws: int) -> str:
    """In which way ranks (N,) are not uniform: what is wrong with the draws.

    Truths at both ends: the draws are too narrow. Truths below most draws: the draws are too high.
    """
    u = places(ranks, draws)
    # A hump of the distribution function, and a wave: the first two terms of its sine series, each with a
    # standard Normal distribution under uniform ranks.
    shifted = float(np.cos(np.pi * u).sum()) * math.sqrt(2 / len(u))
    spread = float(np.cos(2 * np.pi * u).sum()) * math.sqrt(2 / len(u))
    if max(abs(shifted), abs(spread)) < NOTABLE:
        return "uneven"
    if abs(spread) > abs(shifted):
        return "narrow" if spread > 0 else "wide"
    return "high" if shifted > 0 else "low"


def judge(
    names: Sequence[str], ranks: Index, draws: int, p_values: Array, refused: Sequence[tuple[str, int]]
) -> tuple[Verdict, ...]:
    """Verdicts on the ranks (N, Q) of Q quantities and on the refits that the engine refused.

    A quantity fails where its p-value is at most ALARM/Q: with uniform ranks any does with probability of at
    most ALARM (Bonferroni), whatever the quantities have to do with each other.
    """
    bad = p_values <= ALARM / len(names)
    found = [_of_refusals(len(ranks), refused)]
    if not bad.any():
        least = int(np.argmin(p_values))
        return (*found, Verdict(good=True, about="ranks", text=_all_uniform(names, p_values, least)))
    shapes = {name: shape(ranks[:, at], draws) for at, name in enumerate(names) if bad[at]}
    for kind, words in SHAPES.items():
        those = [at for at, name in enumerate(names) if shapes.get(name) == kind]
        if those:
            those.sort(key=lambda at: p_values[at])
            found.append(Verdict(good=False, about=kind, text=_failed(names, ranks, draws, p_values, those, words)))
    return tuple(found)


def _all_uniform(names: Sequence[str], p_values: Array, least: int) -> str:
    return (
        f"the truth ranks as one more draw would, in all {len(names)} quantities: the engine is calibrated for "
        f"this model (least p-value {p_text(p_values[least])}, of {names[least]}; a right engine fails with "
        f"probability {ALARM:.0%})"
    )


def _failed(names: Sequence[str], ranks: Index, draws: int, p_values: Array, those: list[int], words: str) -> str:
    """What is wrong with quantities of one shape, the worst first, in numbers of the worst."""
    named = listed([names[at] for at in those], most=NAMED)
    worst = places(ranks[:, those[0]], draws) - 0.5
    # Of few draws the places cannot be halved or cut at 5 % exactly: this is what uniform ranks would give.
    every = places(np.arange(draws + 1), draws) - 0.5
    within, due = (np.abs(worst) <= 0.45).mean(), (np.abs(every) <= 0.45).mean()
    told = (
        f"the central {due:.0%} of the draws have the truth in {within:.0%} of the refits, and "
        f"{(worst < 0).mean():.0%} of the truths lie below the median"
    )
    of = f" (of {names[those[0]]})" if len(those) > 1 else ""
    return f"{named}: {words}; {told}{of}, p {p_text(p_values[those[0]])}. Do not rely on them: {TOLD}"


def _of_refusals(drawn: int, refused: Sequence[tuple[str, int]]) -> Verdict:
    left = sum(count for _, count in refused)
    total = drawn + left
    if not left:
        return Verdict(good=True, about="refits", text=f"all {total:,} simulated outcomes could be fitted")
    reasons = "; ".join(f"{reason} ({count:,})" for reason, count in refused[:NAMED])
    text = f"the engine refused {left:,} of {total:,} simulated outcomes, of which the ranks say nothing: {reasons}"
    if left <= REFUSED_LIMIT * total:
        return Verdict(good=True, about="refits", text=text)
    return Verdict(
        good=False,
        about="refits",
        text=f"{text}. More than {REFUSED_LIMIT:.0%} are too many: give tau and sigma priors that draw fewer "
        f"extremes, or let fewer coefficients vary",
    )


def p_text(p: float) -> str:
    """A p-value for reading; below a millionth it is one of rounding."""
    return "< 1e-6" if p < 1e-6 else f"{p:.2g}"

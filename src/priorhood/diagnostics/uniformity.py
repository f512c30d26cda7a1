"""Ranks of truths among draws: whether they are uniform, and what it means where they are not.

The ranks' distribution function is compared with the uniform one everywhere at once (Säilynoja, Bürkner & Vehtari
2022). The error rates are computed, not simulated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import join_words
from priorhood.diagnostics.verdict import Verdict, bad, good
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


def counts_below(ranks: Index, draws: int) -> Index:
    """Number of ranks (N,) of 0 … L under 1, 2, … L: (L,), N times their distribution function."""
    return np.cumsum(np.bincount(ranks, minlength=draws + 1))[:draws].astype(np.int64)


class UniformityTest:
    """Test of N independent ranks, uniform on 0 … L.

    C_i, the number of ranks under i, is Binomial(N, i/(L + 1)). The test's statistic is the least two-sided tail
    probability of C_1 … C_L:

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
        """P(γ ≤ that of these counts) for uniform ranks: exact up to rounding, about 1e-12."""
        return self._beyond(self.gamma(counts))

    def band(self, alarm: float) -> tuple[Index, Index]:
        """Least and largest counts (L,) of the band that uniform ranks leave with probability alarm at most."""
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self._beyond(middle) <= alarm else (low, middle)
        inside = self._inside(low)
        if inside is None:  # not for any alarm under 1
            raise ModelError(f"no band is left by chance with probability {alarm:g}; it must be below 1")
        return inside

    def _inside(self, gamma: float) -> tuple[Index, Index] | None:
        """First and last count of every i whose two-sided tail is above γ; None if some i has none."""
        # Tails that are equal by symmetry differ by their rounding.
        inside = self._tails > gamma * (1 + 1e-9)
        if not inside.any(axis=0).all():
            return None
        return inside.argmax(axis=0), self.N - inside[::-1].argmax(axis=0)

    def _beyond(self, gamma: float) -> float:
        """P(C leaves the counts with tails above γ anywhere), by adding one place of ranks at a time.

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
    """Ranks 0 … L as the midpoints of L + 1 equal intervals of (0, 1)."""
    return np.asarray((2 * ranks + 1) / (2 * (draws + 1)))


def shape(ranks: Index, draws: int) -> str:
    """How ranks (N,) depart from uniform, which says what is wrong with the draws; a key of SHAPES.

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
    most ALARM (Bonferroni), however the quantities depend on each other.
    """
    left = sum(count for _, count in refused)
    numbers: dict[str, Any] = {"refused": left, "total": len(ranks) + left, "reasons": dict(refused)}
    if left:
        few = left <= REFUSED_LIMIT * (len(ranks) + left)
        sentence = "the engine refused {refused:,} of {total:,} simulated outcomes, of which the ranks say nothing"
        sentence += ": {listed}"
        if not few:
            sentence += (
                ". More than {limit:.0%} are too many: give tau and sigma priors that draw fewer extremes, or let "
                "fewer coefficients vary"
            )
        reasons = "; ".join(f"{reason} ({count:,})" for reason, count in refused[:NAMED])
        found = [(good if few else bad)("refits", sentence, **numbers, limit=REFUSED_LIMIT, listed=reasons)]
    else:
        found = [good("refits", "all {total:,} simulated outcomes could be fitted", **numbers)]
    failing = p_values <= ALARM / len(names)
    if not failing.any():
        least = int(np.argmin(p_values))
        sentence = (
            "the truth ranks as one more draw would, in all {quantities} quantities: the engine is calibrated for "
            "this model (least p-value {p_text}, of {first}; a right engine fails with probability {alarm:.0%})"
        )
        numbers = {"quantities": len(names), "first": names[least], "p": p_values[least], "alarm": ALARM}
        return (*found, good("ranks", sentence, **numbers, p_text=p_text(p_values[least])))
    shapes = {at: shape(ranks[:, at], draws) for at in np.flatnonzero(failing).tolist()}
    # Of few draws the places cannot be halved or cut at 5 % exactly: this is what uniform ranks would give.
    due = float((np.abs(places(np.arange(draws + 1), draws) - 0.5) <= 0.45).mean())
    for kind, words in SHAPES.items():
        those = sorted((at for at, one in shapes.items() if one == kind), key=lambda at: p_values[at])
        if not those:
            continue
        named = [names[at] for at in those]
        worst, p = places(ranks[:, those[0]], draws) - 0.5, float(p_values[those[0]])
        found.append(
            bad(
                kind,
                "{listed}: {shape}; the central {due:.0%} of the draws have the truth in {within:.0%} of the "
                "refits, and {below:.0%} of the truths lie below the median{of}, p {p_text}. Do not rely on them: "
                "tell the authors, with the seed; until then compare with engine='nuts'",
                failing=named, shape=words, due=due, within=float((np.abs(worst) <= 0.45).mean()),
                below=float((worst < 0).mean()), p=p, p_text=p_text(p),
                of=f" (of {named[0]})" if len(named) > 1 else "",
                listed=join_words(named, limit=NAMED),
            )
        )  # fmt: skip
    return tuple(found)


def p_text(p: float) -> str:
    """A p-value in words; below a millionth rounding decides it."""
    return "< 1e-6" if p < 1e-6 else f"{p:.2g}"

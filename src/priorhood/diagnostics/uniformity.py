"""Test whether the ranks of true values among draws are uniform, and interpret their shape if they are not.

The ranks' distribution function is compared with the uniform one at all points simultaneously (Säilynoja, Bürkner &
Vehtari 2022). The error rates are computed, not simulated.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, join_words
from priorhood.diagnostics.verdict import Verdict, bad, good
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from priorhood._arrays import Array, Index

ALARM = 0.01  # false alarms: a correct engine fails in one of a hundred runs, all quantities together
# Refits left out shift a distribution function by no more than their share, which hardly matters for 500 refits.
REFUSED_LIMIT = 0.05
NOTABLE = 3.0  # a shape is named if the ranks depart from uniform by so many standard errors
MAX_NAMED = 4

SHAPES = {
    "narrow": "the intervals are too narrow",
    "wide": "the intervals are too wide",
    "high": "the draws are too high",
    "low": "the draws are too low",
    "uneven": "the ranks are uneven",
}


def counts_below(ranks: Index, draws: int) -> Index:
    """Return the number of ranks (N,) on 0 … L below 1, 2, … L: (L,), N times their distribution function."""
    return np.cumsum(np.bincount(ranks, minlength=draws + 1))[:draws].astype(np.int64)


class UniformityTest:
    """Test of N independent ranks, uniform on 0 … L.

    C_i, the number of ranks below i, is Binomial(N, i/(L + 1)). The test statistic is the smallest two-sided tail
    probability of C_1 … C_L:

        γ = min_i 2 min{P(C_i ≤ c_i), P(C_i ≥ c_i)}
    """

    def __init__(self, ranks: int, draws: int) -> None:
        from scipy.stats import binom, poisson

        self.N, self.L = ranks, draws
        share = np.arange(1, draws + 1) / (draws + 1)
        c = np.arange(ranks + 1)[:, None]
        self._tails = 2.0 * np.minimum(binom.cdf(c, ranks, share), binom.sf(c - 1, ranks, share))
        # The numbers of ranks at the L + 1 values are independent Poisson counts, given that their sum is N.
        self._steps = poisson.pmf(np.arange(ranks + 1), ranks / (draws + 1))
        self._all = float(poisson.pmf(ranks, ranks))

    def gamma(self, counts: Index) -> float:
        """Return γ of counts (L,)."""
        return float(self._tails[counts, np.arange(self.L)].min())

    def p_value(self, counts: Index) -> float:
        """Return P(γ ≤ that of these counts) for uniform ranks: exact up to rounding, about 1e-12."""
        return self._beyond(self.gamma(counts))

    def band(self, alarm: float) -> tuple[Index, Index]:
        """Return the bounds (L,) of the band that uniform ranks leave with a probability of at most alarm."""
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            low, high = (middle, high) if self._beyond(middle) <= alarm else (low, middle)
        inside = self._inside(low)
        if inside is None:  # not for any alarm under 1
            raise ModelError(f"there is no band for a false-alarm rate of {alarm:g}; it must be below 1")
        return inside

    def _inside(self, gamma: float) -> tuple[Index, Index] | None:
        """Return the first and last count of every i whose two-sided tail is above γ; None if some i has none."""
        # Tails that are equal by symmetry differ by rounding.
        inside = self._tails > gamma * (1 + 1e-9)
        if not inside.any(axis=0).all():
            return None
        return inside.argmax(axis=0), self.N - inside[::-1].argmax(axis=0)

    def _beyond(self, gamma: float) -> float:
        """Return P(C leaves the counts with tails above γ anywhere), adding one value of the ranks at a time.

        chance[c] is the probability that C_1 … C_i all stay inside and C_i is low_i + c.
        """
        inside = self._inside(gamma)
        if inside is None:
            return 1.0
        low, high = inside
        chance, first = np.ones(1), 0
        for lower, upper in zip(low.tolist(), high.tolist(), strict=True):
            reached = np.convolve(chance, self._steps[: upper - first + 1])
            if lower > first + len(reached) - 1:
                return 1.0
            chance, first = reached[max(lower - first, 0) : upper - first + 1], max(lower, first)
        remaining = self.N - first - np.arange(len(chance))
        stays = float(chance @ self._steps[remaining]) / self._all
        return min(max(1.0 - stays, 0.0), 1.0) if math.isfinite(stays) else 1.0


# -- in sentences -----------------------------------------------------------------------------------------


def rank_midpoints(ranks: Index, draws: int) -> Array:
    """Map ranks 0 … L to the midpoints of L + 1 equal intervals of (0, 1)."""
    return np.asarray((2 * ranks + 1) / (2 * (draws + 1)))


def shape(ranks: Index, draws: int) -> str:
    """Return how ranks (N,) depart from uniform, which tells what is wrong with the draws; a key of SHAPES.

    If true values lie at both ends, the draws are too narrow; if they lie below most draws, the draws are too high.
    """
    u = rank_midpoints(ranks, draws)
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
    """Return the verdicts on the ranks (N, Q) of Q quantities, and on refits that the engine could not do.

    A quantity fails if its p-value is at most ALARM/Q: with uniform ranks the probability that any quantity fails
    is at most ALARM (Bonferroni), however the quantities depend on each other.
    """
    count = sum(number for _, number in refused)
    numbers: dict[str, Any] = {"refused": count, "total": len(ranks) + count, "reasons": dict(refused)}
    if count:
        few = count <= REFUSED_LIMIT * (len(ranks) + count)
        sentence = (
            "the engine could not fit {refused:,} of {total:,} simulated data sets, which are not included in the "
            "ranks: {listed}"
        )
        if not few:
            sentence += (
                ". More than {limit:.0%} are too many: give tau and sigma priors that produce fewer extremes, or "
                "let fewer coefficients vary"
            )
        reasons = "; ".join(f"{reason} ({number:,})" for reason, number in refused[:MAX_NAMED])
        verdicts = [(good if few else bad)("refits", sentence, **numbers, limit=REFUSED_LIMIT, listed=reasons)]
    else:
        verdicts = [good("refits", "all {total:,} simulated data sets could be fitted", **numbers)]
    failing = p_values <= ALARM / len(names)
    if not failing.any():
        lowest = int(np.argmin(p_values))
        sentence = (
            "the ranks of the true values are uniform for all {quantities} quantities: the engine is calibrated "
            "for this model (smallest p-value {p_text}, of {first}; a correct engine fails with probability "
            "{alarm:.0%})"
        )
        numbers = {"quantities": len(names), "first": names[lowest], "p": p_values[lowest], "alarm": ALARM}
        return (*verdicts, good("ranks", sentence, **numbers, p_text=p_text(p_values[lowest])))
    shapes = {at: shape(ranks[:, at], draws) for at in np.flatnonzero(failing).tolist()}
    # With few draws the intervals cannot have exactly 90 %: this is what uniform ranks would give.
    due = float((np.abs(rank_midpoints(np.arange(draws + 1), draws) - 0.5) <= 0.45).mean())
    for kind, words in SHAPES.items():
        positions = sorted((at for at, own_kind in shapes.items() if own_kind == kind), key=lambda at: p_values[at])
        if not positions:
            continue
        named = [names[at] for at in positions]
        worst, p = rank_midpoints(ranks[:, positions[0]], draws) - 0.5, float(p_values[positions[0]])
        verdicts.append(
            bad(
                kind,
                "{listed}: {shape}; the central {due:.0%} interval covers the true value in {within:.0%} of the "
                "refits, and {below:.0%} of the true values lie below the median{of}, p {p_text}. Do not rely on "
                "these draws: report this to the maintainers, including the seed; until then compare with "
                "{other}",
                failing=named, shape=words, due=due, within=float((np.abs(worst) <= 0.45).mean()),
                below=float((worst < 0).mean()), p=p, p_text=p_text(p),
                of=f" (for {named[0]})" if len(named) > 1 else "",
                listed=join_words(named, limit=MAX_NAMED), other=argument("engine", "nuts"),
            )
        )  # fmt: skip
    return tuple(verdicts)


def p_text(p: float) -> str:
    """Return a p-value as text; below a millionth it is dominated by rounding."""
    return "< 1e-6" if p < 1e-6 else f"{p:.2g}"

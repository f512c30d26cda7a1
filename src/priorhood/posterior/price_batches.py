"""What many homes are expected to cost, some at a time: rows × draws of all never stand in memory together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood.model.weights import Weights
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import frame_to_predict, kept_rows, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd

    from priorhood._arrays import Array, Flags
    from priorhood.posterior.posterior import Posterior
    from priorhood.prediction.finite_moments import MomentVerdict, Tails

# Draws that stand in memory at once: 80 MB, and as much again to sum them up.
AT_ONCE = 10_000_000
# Sds between the ends of a Normal's 90 % interval.
INTERVAL_SDS = 3.2897


def portions(post: Posterior, homes: pd.DataFrame, unseen: str = "population") -> Iterator[Array]:
    """E(y_i | θ) of the homes in order, in the outcome's units: (S, n) of n homes each."""
    sizes = post._sizes
    step = max(AT_ONCE // (sizes["chain"] * sizes["draw"]), 1)
    for lo in range(0, len(homes), step):
        some = homes.iloc[lo : lo + step].reset_index(drop=True)
        yield post.expected(some, unseen=unseen).values.reshape(-1, len(some))


@dataclass(frozen=True)
class PriceMoments:
    """How draws of what homes are expected to cost are summed up, all of them in one way.

    mean, sd : whether they exist; kept (S,) : the draws that count for them, None where all do
    """

    mean: bool = True
    sd: bool = True
    kept: Flags | None = None

    @property
    def name(self) -> str:
        """Of the centre."""
        return "mean" if self.mean else "median"

    def centre(self, draws: Array) -> Array:
        """The mean of draws (S, …), or, where any home's is infinite, the median."""
        if not self.mean:
            return np.asarray(np.median(draws, axis=0))
        return np.asarray(self._within(draws).mean(axis=0))

    def spread(self, draws: Array, ddof: int = 0) -> Array:
        """The sd of draws (S, …), or, where any home's is infinite, that of a Normal with their 90 % interval."""
        if not self.sd:
            low, high = np.quantile(draws, (0.05, 0.95), axis=0)
            return np.asarray((high - low) / INTERVAL_SDS)
        return np.asarray(self._within(draws).std(axis=0, ddof=ddof))

    def _within(self, draws: Array) -> Array:
        return draws if self.kept is None else draws[self.kept]


def moments_of(post: Posterior, homes: Iterable[pd.DataFrame], unseen: str = "population") -> PriceMoments:
    """Whether mean and sd of E(y | θ) exist for all of some homes; under no log they do."""
    tails = post._tails
    if tails is None:
        return PriceMoments()
    found = PriceMoments()
    for some in homes:
        told = judged(post, tails, some, unseen, noise=False)
        found = PriceMoments(
            mean=found.mean and not told.mean.any(),
            sd=found.sd and not told.sd.any(),
            kept=tails.kept(tails.c) if told.judged.any() else found.kept,
        )
    return found


def judged(post: Posterior, tails: Tails, homes: pd.DataFrame, unseen: str, *, noise: bool) -> MomentVerdict:
    """Whether the moments of homes are infinite; noise : of their outcomes, or else of E(y | θ)."""
    c = tails.c if noise else replace(tails.c, row_weights=Weights())
    table = post.placed(homes)
    frame = kept_rows(frame_to_predict(table, post.design, c.row_weights))
    rows = read_rows(post.design, post.scale, c, frame, table.name, unseen)
    known = post.model.se is not None
    return tails.judge(rows, Groups(c, rows.spots, unseen, post.seed), noise=noise, centre=known and not noise)


def over_draws(
    post: Posterior, homes: pd.DataFrame, what: Callable[[Array], Array], unseen: str = "population"
) -> Array:
    """What a function makes of the draws of every home, (S, n) → (…, n), for all homes: (…, homes)."""
    return np.concatenate([what(part) for part in portions(post, homes, unseen)], axis=-1)

"""Expected prices of many homes, a batch at a time: rows × draws of all are never in memory together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood.model.weights import Weights
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import table_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pandas as pd

    from priorhood._arrays import Array, Flags
    from priorhood.posterior.posterior import Posterior
    from priorhood.prediction.finite_moments import MomentVerdict, Tails

AT_ONCE = 10_000_000  # draws in memory at once: 80 MB, and as much again to sum them up
INTERVAL_SDS = 3.2897  # sds between the ends of a Normal's 90 % interval


def portions(post: Posterior, homes: pd.DataFrame, unseen: str = "population") -> Iterator[Array]:
    """Yield E(y_i | θ) of the homes in order, in the outcome's units: (S, n) of n homes each."""
    sizes = post._sizes
    step = max(AT_ONCE // (sizes["chain"] * sizes["draw"]), 1)
    for lo in range(0, len(homes), step):
        some = homes.iloc[lo : lo + step].reset_index(drop=True)
        yield post.expected(some, unseen=unseen).values.reshape(-1, len(some))


@dataclass(frozen=True)
class PriceMoments:
    """How draws of homes' expected prices are summed up, all homes in the same way.

    mean, sd : whether these moments exist; kept (S,) : the draws that count for them, None where all do
    """

    mean: bool = True
    sd: bool = True
    kept: Flags | None = None

    @property
    def name(self) -> str:
        """Name of the centre: mean or median."""
        return "mean" if self.mean else "median"

    def centre(self, draws: Array) -> Array:
        """The mean of draws (S, …), or, where any home's is infinite, the median."""
        if not self.mean:
            return np.asarray(np.median(draws, axis=0))
        return np.asarray((draws if self.kept is None else draws[self.kept]).mean(axis=0))

    def spread(self, draws: Array, ddof: int = 0) -> Array:
        """The sd of draws (S, …), or, where any home's is infinite, that of a Normal with their 90 % interval."""
        if not self.sd:
            low, high = np.quantile(draws, (0.05, 0.95), axis=0)
            return np.asarray((high - low) / INTERVAL_SDS)
        return np.asarray((draws if self.kept is None else draws[self.kept]).std(axis=0, ddof=ddof))


def moments_of(post: Posterior, homes: Iterable[pd.DataFrame], unseen: str = "population") -> PriceMoments:
    """Whether mean and sd of E(y | θ) exist for all homes, as they do unless the outcome is a log."""
    tails = post._tails
    if tails is None:
        return PriceMoments()
    found = PriceMoments()
    for some in homes:
        verdict = judged(post, tails, some, unseen, noise=False)
        found = PriceMoments(
            mean=found.mean and not verdict.mean.any(),
            sd=found.sd and not verdict.sd.any(),
            kept=tails.kept(tails.c) if verdict.judged.any() else found.kept,
        )
    return found


def judged(post: Posterior, tails: Tails, homes: pd.DataFrame, unseen: str, *, noise: bool) -> MomentVerdict:
    """Whether moments of homes are infinite; noise : those of their outcomes, or else of E(y | θ)."""
    c = tails.c if noise else replace(tails.c, row_weights=Weights())
    rows = table_rows(c, post.placed(homes), unseen)
    known = post.model.se is not None
    return tails.judge(rows, Groups(c, rows.spots, unseen, post.seed), noise=noise, centre=known and not noise)


def over_draws(
    post: Posterior, homes: pd.DataFrame, what: Callable[[Array], Array], unseen: str = "population"
) -> Array:
    """Apply a function of draws, (S, n) → (…, n), to all homes: (…, homes)."""
    return np.concatenate([what(part) for part in portions(post, homes, unseen)], axis=-1)

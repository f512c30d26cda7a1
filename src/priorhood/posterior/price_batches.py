"""Expected prices of many homes in batches, so that rows × draws are never all in memory."""

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

BATCH = 10_000_000  # draws in memory at once: 80 MB, and as much again to summarize them
INTERVAL_SDS = 3.2897  # width of a Normal's 90 % interval, in sds


def expected_batches(post: Posterior, homes: pd.DataFrame, unseen: str = "population") -> Iterator[Array]:
    """Yield E(y_i | θ) of the homes in order, in the outcome's units: (S, n) for each batch of n homes."""
    sizes = post._sizes
    step = max(BATCH // (sizes["chain"] * sizes["draw"]), 1)
    for start in range(0, len(homes), step):
        batch = homes.iloc[start : start + step].reset_index(drop=True)
        yield post.expected(batch, unseen=unseen).values.reshape(-1, len(batch))


@dataclass(frozen=True)
class PriceMoments:
    """Summary statistics for draws of homes' expected prices, the same for all homes.

    Attributes
    ----------
    mean, sd : bool
        Whether these moments exist.
    kept : array (S,) of bool, optional
        The draws that count towards them; None for all.
    """

    mean: bool = True
    sd: bool = True
    kept: Flags | None = None

    @property
    def name(self) -> str:
        """The name of the centre: mean or median."""
        return "mean" if self.mean else "median"

    def centre(self, draws: Array) -> Array:
        """Return the mean of draws (S, …), or the median if any home's mean is infinite."""
        if not self.mean:
            return np.asarray(np.median(draws, axis=0))
        return np.asarray((draws if self.kept is None else draws[self.kept]).mean(axis=0))

    def spread(self, draws: Array, ddof: int = 0) -> Array:
        """Return the sd of draws (S, …), or if any home's is infinite, that of a Normal with that 90 % interval."""
        if not self.sd:
            low, high = np.quantile(draws, (0.05, 0.95), axis=0)
            return np.asarray((high - low) / INTERVAL_SDS)
        return np.asarray((draws if self.kept is None else draws[self.kept]).std(axis=0, ddof=ddof))


def price_moments(post: Posterior, homes: Iterable[pd.DataFrame], unseen: str = "population") -> PriceMoments:
    """Determine whether mean and sd of E(y | θ) exist for all homes, as they do unless the outcome is a log."""
    tails = post._tails
    moments = PriceMoments()
    if tails is None:
        return moments
    for batch in homes:
        verdict = judge_moments(post, tails, batch, unseen, noise=False)
        moments = PriceMoments(
            mean=moments.mean and not verdict.mean.any(),
            sd=moments.sd and not verdict.sd.any(),
            kept=tails.kept(tails.c) if verdict.judged.any() else moments.kept,
        )
    return moments


def judge_moments(post: Posterior, tails: Tails, homes: pd.DataFrame, unseen: str, *, noise: bool) -> MomentVerdict:
    """Determine which homes have infinite moments, of the outcome with noise=True, else of E(y | θ)."""
    c = tails.c if noise else replace(tails.c, row_weights=Weights())
    rows = table_rows(c, post.placed(homes), unseen)
    known = post.model.se is not None
    return tails.judge(rows, Groups(c, rows.spots, unseen, post.seed), noise=noise, centre=known and not noise)


def summarize_expected(
    post: Posterior, homes: pd.DataFrame, summary: Callable[[Array], Array], unseen: str = "population"
) -> Array:
    """Apply a function of draws, (S, n) → (…, n), to all homes: (…, homes)."""
    return np.concatenate([summary(batch) for batch in expected_batches(post, homes, unseen)], axis=-1)

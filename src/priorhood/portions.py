"""What many homes are expected to cost, some at a time: rows × draws of all never stand in memory together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import pandas as pd

    from priorhood.posterior import Posterior

Array = npt.NDArray[np.float64]

# Draws that stand in memory at once: 80 MB, and as much again to sum them up.
AT_ONCE = 10_000_000


def portions(post: Posterior, homes: pd.DataFrame, unseen: str = "population") -> Iterator[Array]:
    """E(y_i | θ) of the homes in order, in the outcome's units: (S, n) of n homes each."""
    sizes = post.tree["posterior"].sizes
    step = max(AT_ONCE // (sizes["chain"] * sizes["draw"]), 1)
    for lo in range(0, len(homes), step):
        some = homes.iloc[lo : lo + step].reset_index(drop=True)
        yield post.expected(some, unseen=unseen).values.reshape(-1, len(some))


def over_draws(
    post: Posterior, homes: pd.DataFrame, what: Callable[[Array], Array], unseen: str = "population"
) -> Array:
    """What a function makes of the draws of every home, (S, n) → (…, n), for all homes: (…, homes)."""
    return np.concatenate([what(part) for part in portions(post, homes, unseen)], axis=-1)

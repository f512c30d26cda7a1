"""What an engine returns: arrays, no labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Draws:
    """What an engine returns, arrays only, standardized: leading dimensions (chains, draws).

    mu (…, F); beta (…, J, K) or None; tau (…, K) or None; omega (…, K, K) or None
    sigma : residual sd (…), of every group (…, J), or None where the errors are known
    nu : degrees of freedom of Student-t errors (…), or None
    sigma_median, sigma_spread : (…) of the groups' sigma, where they have a distribution in common; or None
    stats : sample_stats by ArviZ's names; facts : numbers about the run, for the attributes
    """

    mu: Array
    beta: Array | None
    tau: Array | None
    omega: Array | None
    sigma: Array | None
    stats: dict[str, npt.NDArray[Any]]
    facts: dict[str, float | int | str]
    nu: Array | None = None
    sigma_median: Array | None = None
    sigma_spread: Array | None = None

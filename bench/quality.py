"""The measure of quality that all contenders' draws are held to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from arviz_stats.base import array_stats

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]


def flat(draws: dict[str, Array]) -> dict[str, Array]:
    """Draws by name as (chain, draw, n); of omega (…, 2, 2) the one entry that is not constant."""
    out = {}
    for name, values in draws.items():
        moving = values[..., 1, 0] if name == "omega" else values
        out[name] = moving.reshape(*values.shape[:2], -1)
    return out


def worst(draws: dict[str, Array]) -> tuple[int, float, float]:
    """Number of parameters, least bulk ESS and greatest R-hat of all of them."""
    together = np.concatenate(list(flat(draws).values()), axis=2)
    ess = array_stats.ess(together, chain_axis=0, draw_axis=1, method="bulk")
    rhat = array_stats.rhat(together, chain_axis=0, draw_axis=1)
    return together.shape[2], float(np.min(ess)), float(np.max(rhat))


def moments(draws: dict[str, Array]) -> tuple[dict[str, Array], dict[str, Array]]:
    """Posterior means and sds of the few parameters, by name."""
    few = {name: values for name, values in flat(draws).items() if name != "beta"}
    mean = {name: values.mean(axis=(0, 1)) for name, values in few.items()}
    sd = {name: values.std(axis=(0, 1), ddof=1) for name, values in few.items()}
    return mean, sd

"""Draws of one parameter → a table of its means, intervals and convergence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = npt.NDArray[np.float64]


def summarize_draws(name: str, draws: xr.DataArray, interval: float) -> pd.DataFrame:
    """One row for every element of a parameter, labelled like beta[10115, living_space].

    Parameters
    ----------
    draws : (chain, draw, …) with labelled coordinates
    interval : probability of the equal-tailed interval

    Notes
    -----
    Monte Carlo error, effective sample sizes and R-hat are ArviZ's.
    """
    import pandas as pd
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]

    stacked = draws.values.reshape(*draws.shape[:2], -1)
    low, high = (1 - interval) / 2, (1 + interval) / 2
    quantiles = np.quantile(stacked, [low, 0.5, high], axis=(0, 1))
    sd = stacked.std(axis=(0, 1), ddof=1)
    # A constant, such as the diagonal of omega, has no convergence to speak of.
    moving = sd > 1e-12

    def measured(which: str, **options: Any) -> Array:
        out = np.full(stacked.shape[2], np.nan)
        if moving.any():
            measure = getattr(array_stats, which)
            out[moving] = measure(stacked[:, :, moving], chain_axis=0, draw_axis=1, **options)
        return out

    percent = f"eti{interval * 100:g}"
    frame = pd.DataFrame(
        {
            "mean": stacked.mean(axis=(0, 1)),
            "sd": sd,
            "median": quantiles[1],
            f"{percent}_lb": quantiles[0],
            f"{percent}_ub": quantiles[2],
            "mcse_mean": measured("mcse", method="mean"),
            "ess_bulk": measured("ess", method="bulk"),
            "ess_tail": measured("ess", method="tail", prob=(low, high)),
            "r_hat": measured("rhat"),
        },
        index=pd.Index(_labels(name, draws), name="parameter"),
    )
    return frame[_below_diagonal(draws)] if name == "omega" else frame


def _labels(name: str, draws: xr.DataArray) -> list[str]:
    coordinates = [draws[d].values.astype(str).tolist() for d in draws.dims[2:]]
    found = [""]
    for values in coordinates:
        found = [f"{left}, {right}" if left else right for left in found for right in values]
    return [f"{name}[{inside}]" if coordinates else name for inside in found]


def _below_diagonal(draws: xr.DataArray) -> npt.NDArray[np.bool_]:
    """A correlation matrix is shown once: below its diagonal."""
    K = draws.shape[-1]
    return np.asarray(np.tril(np.ones((K, K), dtype=bool), -1).ravel())

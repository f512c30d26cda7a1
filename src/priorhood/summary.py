"""Draws of one parameter → a table of its means, intervals and convergence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood.priors import base_of

if TYPE_CHECKING:
    import pandas as pd
    import xarray as xr

Array = npt.NDArray[np.float64]

BLOCK = 32  # parameters at a time: their draws and ranks stay in the processor's cache
TAIL = (0.05, 0.95)


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

    stacked = draws.values.reshape(*draws.shape[:2], -1)
    low, high = (1 - interval) / 2, (1 + interval) / 2
    quantiles = np.quantile(stacked, [low, 0.5, high], axis=(0, 1))
    sd = stacked.std(axis=(0, 1), ddof=1)
    moving = varies(stacked)
    sd = np.where(moving, sd, 0.0)
    mcse = np.full(stacked.shape[2], np.nan)
    if moving.any():
        mcse[moving] = _arviz().mcse(stacked[:, :, moving], chain_axis=0, draw_axis=1, method="mean")
    r_hat, ess_bulk, ess_tail = convergence(stacked, (low, high))
    percent = f"eti{interval * 100:g}"
    frame = pd.DataFrame(
        {
            "mean": stacked.mean(axis=(0, 1)),
            "sd": sd,
            "median": quantiles[1],
            f"{percent}_lb": quantiles[0],
            f"{percent}_ub": quantiles[2],
            "mcse_mean": mcse,
            "ess_bulk": ess_bulk,
            "ess_tail": ess_tail,
            "r_hat": r_hat,
        },
        index=pd.Index(labels_of(name, draws), name="parameter"),
    )
    return frame[below_diagonal(draws)] if base_of(name) == "omega" else frame


def varies(values: Array) -> npt.NDArray[np.bool_]:
    """Which parameters have a convergence to speak of: constants, as the diagonal of omega, do not.

    values : (chain, draw, parameter)
    """
    sd = values.std(axis=(0, 1), ddof=1)
    # A constant's sd is its rounding, whatever its unit.
    return np.asarray((sd > 0) & (sd > 1e-11 * np.abs(values[0, 0])))


def convergence(values: Array, tail: tuple[float, float] = TAIL) -> tuple[Array, Array, Array]:
    """R-hat, bulk and tail effective sample size of every parameter, those of ArviZ.

    Parameters
    ----------
    values : (chain, draw, parameter)
    tail : probabilities of the quantiles whose effective sample sizes' minimum is the tail's

    Returns
    -------
    three arrays (parameter,), NaN for constants; R-hat NaN for a single chain, inf for chains that each
    stay where they are
    """
    found = np.full((3, values.shape[2]), np.nan)
    moving = np.flatnonzero(varies(values))
    for at in range(0, len(moving), BLOCK):
        block = moving[at : at + BLOCK]
        found[:, block] = _convergence_block(values[:, :, block], tail)
    return found[0], found[1], found[2]


def mcse_over_sd(values: Array) -> Array:
    """The Monte Carlo error of every parameter's mean in posterior sds, 1/√ESS of the mean: (parameter,).

    values : (chain, draw, parameter); NaN for constants
    """
    found = np.full(values.shape[2], np.nan)
    moving = np.flatnonzero(varies(values))
    for at in range(0, len(moving), BLOCK):
        block = moving[at : at + BLOCK]
        own = np.ascontiguousarray(np.moveaxis(values[:, :, block], 2, 0))
        with np.errstate(divide="ignore", invalid="ignore"):  # chains that do not move have no variance
            found[block] = 1 / np.sqrt(_arviz().ess(own, method="mean", chain_axis=-2, draw_axis=-1))
    return found


def _convergence_block(values: Array, tail: tuple[float, float]) -> Array:
    array_stats = _arviz()
    axes = {"chain_axis": -2, "draw_axis": -1}
    own = np.ascontiguousarray(np.moveaxis(values, 2, 0))
    half = own.shape[2] // 2
    halves = np.concatenate([own[:, :, :half], own[:, :, -half:]], axis=1)
    # R-hat and the bulk's sample size share the ranks, which are most of the work.
    ranked = _rank_normalized(halves)
    folded = _rank_normalized(np.abs(halves - np.median(halves, axis=(1, 2), keepdims=True)))
    r_hat = np.full(len(own), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that do not move have no variance
        if own.shape[1] > 1:
            both = [array_stats.rhat(z, method="identity", **axes) for z in (ranked, folded)]
            r_hat = np.fmax(*both)
        bulk = array_stats.ess(ranked, method="identity", **axes)
        low = array_stats.ess(own, method="tail", prob=tail, **axes)
    return np.stack([r_hat, bulk, low])


def _arviz() -> Any:
    from arviz_stats.base import array_stats  # type: ignore[attr-defined]

    return array_stats


def _rank_normalized(values: Array) -> Array:
    """Every parameter's draws as Normal quantiles of their ranks (Vehtari et al. 2021): (parameter, …)."""
    from scipy.special import ndtri
    from scipy.stats import rankdata

    flat = values.reshape(len(values), -1)
    size = flat.shape[1]
    # Ranks are multiples of one half, so that their quantiles can be looked up.
    quantiles = ndtri((np.arange(2 * size + 1) / 2 - 3 / 8) / (size + 1 / 4))
    return np.asarray(quantiles[(2 * rankdata(flat, axis=1)).astype(np.intp)].reshape(values.shape))


def labels_of(name: str, draws: xr.DataArray) -> list[str]:
    """The name of every element of a parameter, in the order of its values: beta[10115, living_space]."""
    coordinates = [draws[d].values.astype(str).tolist() for d in draws.dims[2:]]
    found = [""]
    for values in coordinates:
        found = [f"{left}, {right}" if left else right for left in found for right in values]
    return [f"{name}[{inside}]" if coordinates else name for inside in found]


def below_diagonal(draws: xr.DataArray) -> npt.NDArray[np.bool_]:
    """A correlation matrix is shown once: below its diagonal."""
    K = draws.shape[-1]
    return np.asarray(np.tril(np.ones((K, K), dtype=bool), -1).ravel())

"""Means, intervals and convergence measures of a parameter's draws."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood._arrays import Array
from priorhood._system import cores
from priorhood.diagnostics.rhat_ess import quantile, r_hat, rank_scores, sample_size, split_chains
from priorhood.engines.draws import Summaries
from priorhood.model.priors import base_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import xarray as xr

    from priorhood._arrays import Flags

CHUNK = 128  # parameters copied at a time: neighbours in memory, whose draws lie far apart
BLOCK = 16  # parameters measured at a time: their draws and spectra stay in the processor's cache
TAIL = (0.05, 0.95)
MIN_DRAWS = 4  # per chain, as in ArviZ


# Labels of a parameter's elements, and their summaries by name.
Columns = tuple[list[str], dict[str, Array]]


def summarize_draws(name: str, draws: Array, labels: list[str], interval: float) -> Columns:
    """Return means, intervals and convergence measures of every element of a parameter.

    Parameters
    ----------
    name : str
        Name of the parameter.
    draws : ndarray
        (chain, draw, …) its draws.
    labels : list of str
        Labels of the elements, in the order of a draw's values.
    interval : float
        Probability of the equal-tailed interval.

    Notes
    -----
    Monte Carlo error, effective sample sizes and R-hat are those of ArviZ.
    """
    stacked = draws.reshape(*draws.shape[:2], -1)
    low, high = (1 - interval) / 2, (1 + interval) / 2
    quantiles = np.quantile(stacked, [low, 0.5, high], axis=(0, 1))
    sd = np.where(varies(stacked), stacked.std(axis=(0, 1), ddof=1), 0.0)
    rhat, ess_bulk, ess_tail, ess_mean = measures(stacked, (low, high))
    percent = f"eti{interval * 100:g}"
    columns = {
        "mean": stacked.mean(axis=(0, 1)),
        "sd": sd,
        "median": quantiles[1],
        f"{percent}_lb": quantiles[0],
        f"{percent}_ub": quantiles[2],
        "mcse_mean": sd / np.sqrt(ess_mean),
        "ess_bulk": ess_bulk,
        "ess_tail": ess_tail,
        "r_hat": rhat,
    }
    if base_of(name) != "omega":
        return labels, columns
    keep = below_diagonal(draws)
    return list(compress(labels, keep)), {key: values[keep] for key, values in columns.items()}


def bounds_of(interval: float) -> tuple[float, float, float]:
    """Return the probabilities of an equal-tailed interval's lower bound, the median and the upper bound."""
    return round((1 - interval) / 2, 12), 0.5, round((1 + interval) / 2, 12)


def summarize_mixtures(name: str, stored: xr.Dataset, interval: float) -> Columns:
    """Return the summaries of summarize_draws from a parameter's mean, sd and quantiles at bounds_of(interval).

    Parameters
    ----------
    name : str
        Name of the parameter.
    stored : xarray.Dataset
        Variables of Posterior.coefficients.
    interval : float
        Probability of the equal-tailed interval.
    """
    low, middle, high = (f"{name}_q{100 * level:g}" for level in bounds_of(interval))
    percent = f"eti{interval * 100:g}"
    mean = stored[f"{name}_mean"]
    parts = {"mean": mean, "sd": stored[f"{name}_sd"], "median": stored[middle], f"{percent}_lb": stored[low],
             f"{percent}_ub": stored[high]}  # fmt: skip
    columns = {key: values.values.ravel() for key, values in parts.items()}
    none = dict.fromkeys(("mcse_mean", "ess_bulk", "ess_tail", "r_hat"), np.full(mean.size, np.nan))
    return labels_along(name, [mean[dim].values for dim in mean.dims]), {**columns, **none}


def summaries_of(draws: xr.DataArray, levels: Sequence[float]) -> Summaries:
    """Return mean, sd and quantiles of draws (chain, draw, place, term)."""
    flat = draws.transpose("chain", "draw", ...).values
    flat = flat.reshape(-1, *flat.shape[2:])
    quantiles = np.moveaxis(np.quantile(flat, levels, axis=0), 0, -1)
    return Summaries(flat.mean(axis=0), flat.std(axis=0), quantiles)


def varies(values: Array) -> Flags:
    """Check which parameters (chain, draw, parameter) vary, unlike constants like the diagonal of omega: (P,)."""
    return np.concatenate([np.zeros(0, dtype=bool), *(_varies(chunk) for chunk in _chunks(values))])


def _varies(chunk: Array) -> Flags:
    """Check which of the parameters (P, chain, draw) vary: (P,)."""
    sd = chunk.std(axis=(1, 2), ddof=1)
    # A constant's sd is its rounding error, whatever its unit.
    return np.asarray((sd > 0) & (sd > 1e-11 * np.abs(chunk[:, 0, 0])))


def measures(values: Array, tail: tuple[float, float] = TAIL) -> Array:
    """Return R-hat and the effective sample sizes of bulk, tail and mean of every parameter, like ArviZ's.

    Parameters
    ----------
    values : ndarray
        (chain, draw, parameter) the draws.
    tail : pair of float
        Probabilities of the tail quantiles; the smaller of their effective sample sizes is that of the tail.

    Returns
    -------
    ndarray
        (4, parameter), NaN for constants; R-hat is NaN for a single chain, inf for chains that do not move.

    Notes
    -----
    Computed in chunks on all processors, with little memory besides the draws. With the effective sample size n of
    the mean, its Monte Carlo error is sd/√n.
    """
    if values.shape[1] < MIN_DRAWS or not values.shape[2]:
        return np.full((4, values.shape[2]), np.nan)
    with ThreadPoolExecutor(cores()) as pool:
        return np.concatenate(list(pool.map(lambda chunk: _measure_chunk(chunk, tail), _chunks(values))), axis=1)


def _chunks(values: Array) -> Iterator[Array]:
    """Yield views (P, chain, draw) of draws (chain, draw, parameter), CHUNK parameters at a time."""
    for lo in range(0, values.shape[2], CHUNK):
        yield values[:, :, lo : lo + CHUNK].transpose(2, 0, 1)


def _measure_chunk(view: Array, tail: tuple[float, float]) -> Array:
    """Return the measures (4, P) of draws (P, chain, draw)."""
    draws = np.ascontiguousarray(view)
    result = np.full((4, len(draws)), np.nan)
    varying = np.flatnonzero(_varies(draws))
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that do not move have no variance
        for lo in range(0, len(varying), BLOCK):
            at = varying[lo : lo + BLOCK]
            block = draws[at]
            halves = split_chains(block)
            bulk, tails, cut = rank_scores(halves, tail)
            if halves.shape[2] * 2 < block.shape[2]:
                ordered = np.sort(block.reshape(len(block), -1), axis=1)
                cut = np.array([[quantile(values, p) for values in ordered] for p in tail])
            if block.shape[1] > 1:
                result[0, at] = np.fmax(r_hat(bulk), r_hat(tails))
            low = [sample_size((halves <= bound[:, None, None]).astype(float)) for bound in cut]
            result[1:, at] = sample_size(bulk), np.minimum(*low), sample_size(halves)
    return result


def labels_of(name: str, draws: xr.DataArray) -> list[str]:
    """Return the labels of a parameter's elements, in the order of its values: beta[10115, living_space]."""
    return labels_along(name, [draws[d].values for d in draws.dims[2:]])


def labels_along(name: str, coordinates: Sequence[npt.NDArray[Any]]) -> list[str]:
    """Return the labels of a parameter's elements from the coordinates of its dimensions after chain and draw."""
    indices = [""]
    for values in coordinates:
        last = values.astype(str).tolist()
        indices = [f"{index}, {label}" if index else label for index in indices for label in last]
    return [f"{name}[{index}]" if len(coordinates) else name for index in indices]


def below_diagonal(draws: xr.DataArray | Array) -> Flags:
    """Return which elements of a correlation matrix lie below its diagonal, so that each is shown once: (K²,)."""
    K = draws.shape[-1]
    return np.asarray(np.tril(np.ones((K, K), dtype=bool), -1).ravel())

"""Draws of one parameter → its means, intervals and convergence."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import compress
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood._arrays import Array
from priorhood._system import cores
from priorhood.diagnostics.rhat_ess import halved, quantile, r_hat, ranked, sample_size
from priorhood.engines.draws import Summaries
from priorhood.model.priors import base_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import xarray as xr

    from priorhood._arrays import Flags

CHUNK = 128  # parameters copied at a time: neighbours in memory, which lie far apart by draw
BLOCK = 16  # parameters measured at a time: their draws and spectra stay in the processor's cache
TAIL = (0.05, 0.95)
MIN_DRAWS = 4  # of a chain, as ArviZ has it


# Labels of a parameter's elements, and their summaries by name.
Columns = tuple[list[str], dict[str, Array]]


def summarize_draws(name: str, draws: Array, labels: list[str], interval: float) -> Columns:
    """Means, intervals and convergence of every element of a parameter.

    Parameters
    ----------
    name : str
    draws : array (chain, draw, …)
    labels : list of str
        Of the elements, in the order of a draw's values.
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
    """Probabilities of an equal-tailed interval's lower bound, the median and the upper bound."""
    return round((1 - interval) / 2, 12), 0.5, round((1 + interval) / 2, 12)


def summarize_mixtures(name: str, found: xr.Dataset, interval: float) -> Columns:
    """Summaries as of summarize_draws from a parameter's mean, sd and quantiles at bounds_of(interval).

    found : variables of Posterior.coefficients
    """
    low, middle, high = (f"{name}_q{100 * level:g}" for level in bounds_of(interval))
    percent = f"eti{interval * 100:g}"
    mean = found[f"{name}_mean"]
    parts = {"mean": mean, "sd": found[f"{name}_sd"], "median": found[middle], f"{percent}_lb": found[low],
             f"{percent}_ub": found[high]}  # fmt: skip
    columns = {key: values.values.ravel() for key, values in parts.items()}
    none = dict.fromkeys(("mcse_mean", "ess_bulk", "ess_tail", "r_hat"), np.full(mean.size, np.nan))
    return labels_along(name, [mean[dim].values for dim in mean.dims]), {**columns, **none}


def summaries_of(draws: xr.DataArray, levels: Sequence[float]) -> Summaries:
    """Mean, sd and quantiles of draws (chain, draw, place, term)."""
    flat = draws.transpose("chain", "draw", ...).values
    flat = flat.reshape(-1, *flat.shape[2:])
    quantiles = np.moveaxis(np.quantile(flat, levels, axis=0), 0, -1)
    return Summaries(flat.mean(axis=0), flat.std(axis=0), quantiles)


def varies(values: Array) -> Flags:
    """Which parameters (chain, draw, parameter) vary, unlike constants such as the diagonal of omega: (P,)."""
    return np.concatenate([np.zeros(0, dtype=bool), *(_moving(own) for own in _gathered(values))])


def _moving(own: Array) -> Flags:
    """Which of the parameters (P, chain, draw) vary: (P,)."""
    sd = own.std(axis=(1, 2), ddof=1)
    # A constant's sd is its rounding, whatever its unit.
    return np.asarray((sd > 0) & (sd > 1e-11 * np.abs(own[:, 0, 0])))


def measures(values: Array, tail: tuple[float, float] = TAIL) -> Array:
    """R-hat and the effective sample sizes of bulk, tail and mean of every parameter: those of ArviZ.

    Parameters
    ----------
    values : array (chain, draw, parameter)
    tail : pair of float
        Probabilities; the tail's effective sample size is the least of these quantiles'.

    Returns
    -------
    array (4, parameter)
        NaN for constants; R-hat NaN for a single chain, inf for chains that each stay where they are.

    Notes
    -----
    In chunks on all processors, with little memory besides the draws. With the last, n, the Monte Carlo error of
    the mean is sd/√n.
    """
    if values.shape[1] < MIN_DRAWS or not values.shape[2]:
        return np.full((4, values.shape[2]), np.nan)
    with ThreadPoolExecutor(cores()) as pool:
        return np.concatenate(list(pool.map(lambda own: _of_chunk(own, tail), _gathered(values))), axis=1)


def _gathered(values: Array) -> Iterator[Array]:
    """Yield views (P, chain, draw) of draws (chain, draw, parameter), CHUNK parameters at a time."""
    for lo in range(0, values.shape[2], CHUNK):
        yield values[:, :, lo : lo + CHUNK].transpose(2, 0, 1)


def _of_chunk(view: Array, tail: tuple[float, float]) -> Array:
    """Measures (4, P) of draws (P, chain, draw)."""
    own = np.ascontiguousarray(view)
    found = np.full((4, len(own)), np.nan)
    moving = np.flatnonzero(_moving(own))
    with np.errstate(divide="ignore", invalid="ignore"):  # chains that do not move have no variance
        for lo in range(0, len(moving), BLOCK):
            some = moving[lo : lo + BLOCK]
            block = own[some]
            halves = halved(block)
            bulk, tails, cut = ranked(halves, tail)
            if halves.shape[2] * 2 < block.shape[2]:
                whole = np.sort(block.reshape(len(block), -1), axis=1)
                cut = np.array([[quantile(ordered, p) for ordered in whole] for p in tail])
            if block.shape[1] > 1:
                found[0, some] = np.fmax(r_hat(bulk), r_hat(tails))
            low = [sample_size((halves <= at[:, None, None]).astype(float)) for at in cut]
            found[1:, some] = sample_size(bulk), np.minimum(*low), sample_size(halves)
    return found


def labels_of(name: str, draws: xr.DataArray) -> list[str]:
    """Labels of a parameter's elements, in the order of its values: beta[10115, living_space]."""
    return labels_along(name, [draws[d].values for d in draws.dims[2:]])


def labels_along(name: str, coordinates: Sequence[npt.NDArray[Any]]) -> list[str]:
    """Labels of a parameter's elements by the coordinates of its dimensions after chain and draw."""
    found = [""]
    for values in coordinates:
        found = [f"{left}, {right}" if left else right for left in found for right in values.astype(str).tolist()]
    return [f"{name}[{inside}]" if len(coordinates) else name for inside in found]


def below_diagonal(draws: xr.DataArray | Array) -> Flags:
    """Which elements of a correlation matrix lie below its diagonal, where each is shown once: (K²,)."""
    K = draws.shape[-1]
    return np.asarray(np.tril(np.ones((K, K), dtype=bool), -1).ravel())

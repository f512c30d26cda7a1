"""Draws of all coefficients as flat arrays, and the random number streams for new ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from priorhood.data.labels import normal_key
from priorhood.model.hierarchy import labels_by_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    import xarray as xr

    from priorhood._arrays import Array, Index, Labels
    from priorhood.model.design import Column, Design
    from priorhood.model.hierarchy import Places
    from priorhood.model.priors import ScalePrior
    from priorhood.model.scale import Scale
    from priorhood.model.weights import Weights
    from priorhood.suffstats.fit_data import FitData

# Purposes of random numbers: each has a separate stream, so that none affects another.
NEW_GROUP, UNKNOWN, NOISE, NEW_SIGMA, TAILS, HEAVY, PRIOR, CALIBRATION, NEW_ACROSS, UNKNOWN_ACROSS, PLACE = range(
    1, 12
)

TOGETHER = 128  # places whose draws are computed together on demand


def stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    """Return the random numbers for one purpose, which do not depend on those used for other purposes."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, purpose, *more])))


class DrawSource(Protocol):
    """A source that computes the draws of given places on demand; see lazy_draws."""

    def draws(self, places: Index) -> Array:
        """Return draws (S, n, C) of places, given by position."""
        ...


@dataclass(frozen=True)
class GroupDraws:
    """Draws of one grouping, flattened to (S, …).

    Attributes
    ----------
    places : Places
        places of the grouping
    stored : array (S, places, C) or None
        coefficients of the columns cols, or the effects of a crossed grouping; None if `source` computes them
    cols : array (C,)
        columns of the coefficients
    varying : array (K,)
        columns that vary by the grouping itself
    spread : array (S, K, K)
        diag(τ) chol Ω
    source : DrawSource or None
        computes the draws on demand
    """

    places: Places
    stored: Array | None
    cols: Index
    varying: Index
    spread: Array
    source: DrawSource | None = None

    @cached_property
    def cells_by_place(self) -> tuple[Index, Index]:
        """Cells sorted by place (cells,), and the position of every place's first cell (places + 1,)."""
        order = np.argsort(self.places.of_cell, kind="stable")
        return order, np.searchsorted(self.places.of_cell[order], np.arange(self.places.size + 1))

    def draws_of(self, places: Index) -> Array:
        """Return draws (S, n, C) of places, given by position."""
        if self.stored is not None:
            return self.stored[:, places]
        if self.source is None:
            raise TypeError(f"draws of {self.places.name} are neither stored nor computable")
        return self.source.draws(places)

    def blocks(self) -> Iterator[Index]:
        """Yield all places in blocks, so that few draws on demand are in memory."""
        size = self.places.size if self.stored is not None else TOGETHER
        for lo in range(0, self.places.size, size):
            yield np.arange(lo, min(lo + size, self.places.size))

    def draw_each(self, places: Index) -> Array:
        """Return coefficients (S, C), draw s being that of the place at position places[s]."""
        if self.stored is not None:
            return np.asarray(self.stored[np.arange(len(places)), places])
        out = np.empty((len(places), len(self.cols)))
        distinct = np.unique(places)
        for lo in range(0, len(distinct), TOGETHER):
            block = distinct[lo : lo + TOGETHER]
            draws = np.flatnonzero(np.isin(places, block))
            out[draws] = self.draws_of(block)[draws, np.searchsorted(block, places[draws])]
        return out

    @cached_property
    def positions(self) -> dict[str, int]:
        """Position of every place by its key, and by the normal form of a key from an older version."""
        keys = self.places.keys.tolist()
        return {normal_key(key): i for i, key in enumerate(keys)} | {key: i for i, key in enumerate(keys)}


@dataclass(frozen=True)
class Coefficients:
    """Draws of a model's parameters for predictions, flattened to (S, …) and standardized.

    Attributes
    ----------
    data : FitData
        the fit's model, columns, sums and scale
    mu : array (S, F)
        population coefficients
    mu_cols : array (F,)
        columns of mu
    levels : tuple of GroupDraws
        nested groupings, finest first
    crossed : tuple of GroupDraws
        crossed groupings
    sigma : array (S,) or (S, J)
        residual sd, or that of every finest group; 1 if the errors are known
    nu : array (S,) or None
        degrees of freedom of Student-t errors; None if the errors are Normal
    noise : prior or None
        prior of a new group's sigma if the groups' sigmas are independent
    common : tuple of two arrays (S,), or None
        median and spread of the groups' sigmas if these are partially pooled
    row_weights : Weights
        columns with standard errors and weights of rows
    cell_labels : dict of str to array (cells,)
        label of every cell by key column
    weights : array (cells,)
        the cells' shares of the rows
    """

    data: FitData
    mu: Array
    mu_cols: Index
    levels: tuple[GroupDraws, ...]
    crossed: tuple[GroupDraws, ...]
    sigma: Array
    nu: Array | None
    noise: ScalePrior | None
    common: tuple[Array, Array] | None
    row_weights: Weights
    cell_labels: dict[str, Labels]
    weights: Array

    @property
    def design(self) -> Design:
        """Columns of the model."""
        return self.data.design

    @property
    def scale(self) -> Scale:
        """Standardization of the columns and of the outcome."""
        return self.data.scale

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns that determine a row's place."""
        return tuple(self.cell_labels)


def coefficients_of(draws: xr.Dataset, data: FitData, source: DrawSource | None = None) -> Coefficients:
    """Return the draws of a labelled dataset (chain, draw, …) as flat arrays for predictions.

    source : computes the finest places' coefficients if the dataset does not have them
    """
    model, design, hierarchy = data.model, data.design, data.hierarchy
    S = draws.sizes["chain"] * draws.sizes["draw"]

    def flat(name: str) -> Array:
        values: Array = draws[name].values
        return values.reshape(S, *values.shape[2:])

    def index(columns: tuple[Column, ...]) -> Index:
        return np.array(design.index(columns), dtype=np.int64)

    formula = model.formula
    groupings = []
    for at, places in enumerate(hierarchy.groupings):
        suffix, varying = formula.suffix(at), design.level_columns(at)
        correlated = f"omega{suffix}" in draws.data_vars
        corr = correlation_factor(flat(f"omega{suffix}")) if correlated else np.eye(len(varying))
        groupings.append(
            GroupDraws(
                places=places,
                stored=flat(formula.effect_name(at)) if formula.effect_name(at) in draws else None,
                source=source if at == 0 else None,
                cols=index(design.coefficient_columns(at)),
                varying=index(varying),
                spread=flat(f"tau{suffix}")[:, :, None] * corr,
            )
        )
    depth = len(hierarchy.levels)
    return Coefficients(
        data=data,
        mu=flat("mu") if "mu" in draws else np.zeros((S, 0)),
        mu_cols=index(design.population_columns),
        levels=tuple(groupings[:depth]),
        crossed=tuple(groupings[depth:]),
        sigma=flat("sigma") if model.se is None else np.ones(S),
        nu=flat("nu") if "nu" in draws.data_vars else None,
        noise=data.resolved.sigma if model.noise else None,
        common=(flat("sigma_median"), flat("sigma_spread")) if "sigma_median" in draws.data_vars else None,
        row_weights=model.weights,
        cell_labels=labels_by_column(formula, data.moments.labels),
        weights=data.moments.n / data.moments.n.sum(),
    )


def correlation_factor(omega: Array) -> Array:
    """Return lower Cholesky factors of correlation matrices (S, K, K), even if rounding made them singular."""
    K = omega.shape[-1]
    L = np.zeros_like(omega)
    for i in range(K):
        for j in range(i):
            rest = omega[:, i, j] - (L[:, i, :j] * L[:, j, :j]).sum(axis=1)
            pivot = L[:, j, j]
            L[:, i, j] = np.divide(rest, pivot, out=np.zeros_like(rest), where=pivot > 1e-8)
        L[:, i, i] = np.sqrt(np.maximum(1.0 - (L[:, i, :i] ** 2).sum(axis=1), 0.0))
    return L

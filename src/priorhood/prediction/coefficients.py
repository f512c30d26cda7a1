"""Draws of all coefficients as flat arrays, and the streams of random numbers for new ones."""

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

# Purposes of random numbers: each has a stream of its own, so that none disturbs another.
NEW_GROUP, UNKNOWN, NOISE, NEW_SIGMA, TAILS, HEAVY, PRIOR, CALIBRATION, NEW_ACROSS, UNKNOWN_ACROSS, PLACE = range(
    1, 12
)

TOGETHER = 128  # places whose draws are made together on demand


def stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    """Random numbers for one purpose, the same whatever other purposes take."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, purpose, *more])))


class DrawSource(Protocol):
    """Something that makes the draws of chosen places; see lazy_draws."""

    def draws(self, places: Index) -> Array:
        """Draws (S, n, C) of places, by their positions."""
        ...


@dataclass(frozen=True)
class GroupDraws:
    """Draws of one grouping, flattened to (S, …).

    stored (S, places, C) : coefficients of the columns cols, of a crossed grouping its effects; None where `made`
        makes them on demand
    own (K,) : columns that vary by the grouping itself; spread (S, K, K) = diag(τ) chol Ω
    """

    places: Places
    stored: Array | None
    cols: Index
    own: Index
    spread: Array
    made: DrawSource | None = None

    @cached_property
    def _cells(self) -> tuple[Index, Index]:
        """The cells in order of their places, and where each place's begin."""
        order = np.argsort(self.places.of_cell, kind="stable")
        return order, np.searchsorted(self.places.of_cell[order], np.arange(self.places.size + 1))

    def cells_of(self, at: int) -> Index:
        """Cells of one place."""
        order, starts = self._cells
        return order[starts[at] : starts[at + 1]]

    def drawn(self, places: Index) -> Array:
        """Draws (S, n, C) of some places, by their positions."""
        if self.stored is not None:
            return self.stored[:, places]
        if self.made is None:
            raise TypeError(f"draws of {self.places.name} are neither stored nor can they be made")
        return self.made.draws(places)

    def blocks(self) -> Iterator[Index]:
        """Yield all places, a block at a time, so that few draws on demand are in memory."""
        size = self.places.size if self.stored is not None else TOGETHER
        for lo in range(0, self.places.size, size):
            yield np.arange(lo, min(lo + size, self.places.size))

    def mixed(self, places: Index) -> Array:
        """Coefficients (S, C) where every draw takes a place of its own; places : (S,) positions."""
        if self.stored is not None:
            return np.asarray(self.stored[np.arange(len(places)), places])
        out = np.empty((len(places), len(self.cols)))
        there = np.unique(places)
        for lo in range(0, len(there), TOGETHER):
            some = there[lo : lo + TOGETHER]
            own = np.flatnonzero(np.isin(places, some))
            out[own] = self.drawn(some)[own, np.searchsorted(some, places[own])]
        return out

    @cached_property
    def at(self) -> dict[str, int]:
        """Position of every place by its key, and by the normal form of a key that an older version wrote."""
        keys = self.places.keys.tolist()
        return {normal_key(key): i for i, key in enumerate(keys)} | {key: i for i, key in enumerate(keys)}


@dataclass(frozen=True)
class Coefficients:
    """Draws of a model's parameters, flattened to (S, …) and standardized, as predictions take them.

    data : the fit's model, columns, sums and scale
    mu (S, F) and its columns; levels : finest first; crossed : the groupings across them
    sigma : (S,), or of every finest group (S, J); 1 where the errors are known
    nu : (S,), degrees of freedom of Student-t errors; None where they are Normal
    noise : the prior of a new group's sigma where groups have their own, independent ones
    common : (S,) median and spread of the groups' sigma where these are partially pooled
    row_weights : the columns with standard errors and weights of rows
    cell_labels : label of every cell by key column; weights (cells,) : the cells' shares of the rows
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
        """The model's columns."""
        return self.data.design

    @property
    def scale(self) -> Scale:
        """Standardization of the columns and of the outcome."""
        return self.data.scale

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that locate a row."""
        return tuple(self.cell_labels)


def coefficients_of(draws: xr.Dataset, data: FitData, made: DrawSource | None = None) -> Coefficients:
    """The draws of a labelled dataset (chain, draw, …) as predictions take them.

    made : makes the finest places' coefficients where the dataset does not have them
    """
    model, design, hierarchy = data.model, data.design, data.hierarchy
    S = draws.sizes["chain"] * draws.sizes["draw"]

    def flat(name: str) -> Array:
        values: Array = draws[name].values
        return values.reshape(S, *values.shape[2:])

    def index(columns: tuple[Column, ...]) -> Index:
        return np.array(design.index(columns), dtype=np.int64)

    formula = model.formula
    found = []
    for at, places in enumerate(hierarchy.groupings):
        suffix, own = formula.suffix(at), design.level_columns(at)
        correlated = f"omega{suffix}" in draws.data_vars
        corr = correlation_factor(flat(f"omega{suffix}")) if correlated else np.eye(len(own))
        found.append(
            GroupDraws(
                places=places,
                stored=flat(formula.effect_name(at)) if formula.effect_name(at) in draws else None,
                made=made if at == 0 else None,
                cols=index(design.coefficient_columns(at)),
                own=index(own),
                spread=flat(f"tau{suffix}")[:, :, None] * corr,
            )
        )
    depth = len(hierarchy.levels)
    return Coefficients(
        data=data,
        mu=flat("mu") if "mu" in draws else np.zeros((S, 0)),
        mu_cols=index(design.population_columns),
        levels=tuple(found[:depth]),
        crossed=tuple(found[depth:]),
        sigma=flat("sigma") if model.se is None else np.ones(S),
        nu=flat("nu") if "nu" in draws.data_vars else None,
        noise=data.resolved.sigma if model.noise else None,
        common=(flat("sigma_median"), flat("sigma_spread")) if "sigma_median" in draws.data_vars else None,
        row_weights=model.weights,
        cell_labels=labels_by_column(formula, data.moments.labels),
        weights=data.moments.n / data.moments.n.sum(),
    )


def correlation_factor(omega: Array) -> Array:
    """Lower Cholesky factors of correlation matrices (S, K, K), even where rounding left them singular."""
    K = omega.shape[-1]
    L = np.zeros_like(omega)
    for i in range(K):
        for j in range(i):
            rest = omega[:, i, j] - (L[:, i, :j] * L[:, j, :j]).sum(axis=1)
            pivot = L[:, j, j]
            L[:, i, j] = np.divide(rest, pivot, out=np.zeros_like(rest), where=pivot > 1e-8)
        L[:, i, i] = np.sqrt(np.maximum(1.0 - (L[:, i, :i] ** 2).sum(axis=1), 0.0))
    return L

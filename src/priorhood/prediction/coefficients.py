"""Draws of all coefficients as flat arrays, and the streams of random numbers that new ones come from."""

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
    from priorhood.model.design import Design
    from priorhood.model.hierarchy import Places
    from priorhood.model.priors import ScalePrior
    from priorhood.model.weights import Weights
    from priorhood.suffstats.fit_data import FitData

# Streams of random numbers, so that one purpose does not disturb another.
NEW_GROUP, UNKNOWN, NOISE, NEW_SIGMA, TAILS, HEAVY, PRIOR, CALIBRATION, NEW_ACROSS, UNKNOWN_ACROSS, PLACE = range(
    1, 12
)


# Places whose draws are made together on demand.
TOGETHER = 128


def stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    """The random numbers of one purpose: the same whatever other purposes take."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, purpose, *more])))


class Draughts(Protocol):
    """Makes the draws of places that are asked for: (S, n, C); see ondemand."""

    def draws(self, places: Index) -> Array:
        """Of these places, by their positions."""
        ...


@dataclass(frozen=True)
class GroupDraws:
    """Draws of one grouping, flattened to (S, …).

    stored (S, places, C) : of its columns cols; of a crossed grouping its effects; made on demand where it is None
    own (K,) : columns with a spread of its own; spread (S, K, K) = diag(τ) chol Ω
    """

    places: Places
    stored: Array | None
    cols: Index
    own: Index
    spread: Array
    made: Draughts | None = None

    @cached_property
    def _cells(self) -> tuple[Index, Index]:
        """The cells, place by place, and where every place's begin."""
        order = np.argsort(self.places.of_cell, kind="stable")
        return order, np.searchsorted(self.places.of_cell[order], np.arange(self.places.size + 1))

    def cells_of(self, at: int) -> Index:
        """The cells of one place."""
        order, starts = self._cells
        return order[starts[at] : starts[at + 1]]

    def drawn(self, places: Index) -> Array:
        """Draws of some places, by their positions: (S, n, C)."""
        if self.stored is not None:
            return self.stored[:, places]
        if self.made is None:
            raise TypeError(f"the draws of {self.places.name} are neither stored nor can be made")
        return self.made.draws(places)

    def blocks(self) -> Iterator[Index]:
        """All places, some at a time, so that draws on demand stay few."""
        size = self.places.size if self.stored is not None else TOGETHER
        for lo in range(0, self.places.size, size):
            yield np.arange(lo, min(lo + size, self.places.size))

    def mixed(self, places: Index) -> Array:
        """Of every draw another place, (S,) positions: (S, C)."""
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
        """Key → index of every place; also the normal form of those that an older version spelled otherwise."""
        keys = self.places.keys.tolist()
        return {normal_key(key): i for i, key in enumerate(keys)} | {key: i for i, key in enumerate(keys)}


@dataclass(frozen=True)
class Coefficients:
    """Draws, flattened to (S, …), standardized, with what is known of the places and the errors.

    mu (S, F) and its columns; levels : finest first; crossed : the groupings across them
    sigma : (S,), or of every finest group (S, J); 1 where the errors are known
    nu : (S,), degrees of freedom of Student-t errors; None where they are Normal
    noise : the prior of a new group's sigma where groups have their own, independent ones
    common : (S,) median and spread of the groups' sigma where they are alike
    row_weights : the columns that say what a row counts
    cell_labels : label of every cell by key column; weights (cells,) : the cells' shares of the rows
    """

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
    def keys(self) -> tuple[str, ...]:
        """The columns that say where a row is."""
        return tuple(self.cell_labels)


def coefficients_of(draws: xr.Dataset, data: FitData, made: Draughts | None = None) -> Coefficients:
    """The draws of a labelled dataset (chain, draw, …) as prediction takes them; made : what it lacks of beta."""
    model, design, hierarchy = data.model, data.design, data.hierarchy
    S = draws.sizes["chain"] * draws.sizes["draw"]

    def flat(name: str, *shape: int) -> Array:
        values: Array = draws[name].values if name in draws else np.zeros((S, *shape))
        return values.reshape(S, *values.shape[2:]) if name in draws else values

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
                cols=_index(design, design.coefficient_columns(at)),
                own=_index(design, own),
                spread=flat(f"tau{suffix}")[:, :, None] * corr,
            )
        )
    depth = len(hierarchy.levels)
    return Coefficients(
        mu=flat("mu", 0),
        mu_cols=_index(design, design.population_columns),
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


def _index(design: Design, columns: tuple[object, ...]) -> Index:
    return np.array(design.index(columns), dtype=np.int64)  # type: ignore[arg-type]


def correlation_factor(omega: Array) -> Array:
    """Lower Cholesky factors of correlation matrices (S, K, K), also of those that rounding left singular."""
    K = omega.shape[-1]
    L = np.zeros_like(omega)
    for i in range(K):
        for j in range(i):
            rest = omega[:, i, j] - (L[:, i, :j] * L[:, j, :j]).sum(axis=1)
            pivot = L[:, j, j]
            L[:, i, j] = np.divide(rest, pivot, out=np.zeros_like(rest), where=pivot > 1e-8)
        L[:, i, i] = np.sqrt(np.maximum(1.0 - (L[:, i, :i] ** 2).sum(axis=1), 0.0))
    return L

"""The draws of any place: known, new or unknown (math.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from priorhood.errors import TableError, some
from priorhood.formula import SEPARATOR
from priorhood.hierarchy import hierarchy_of, labels_by_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import xarray as xr

    from priorhood.design import Design
    from priorhood.hierarchy import Places
    from priorhood.model import Model
    from priorhood.priors import Scale as ScalePrior
    from priorhood.weights import Weights

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]

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
class Grouping:
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
        """Key → index of every place."""
        return {key: i for i, key in enumerate(self.places.keys.tolist())}


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
    levels: tuple[Grouping, ...]
    crossed: tuple[Grouping, ...]
    sigma: Array
    nu: Array | None
    noise: ScalePrior | None
    common: tuple[Array, Array] | None
    row_weights: Weights
    cell_labels: dict[str, npt.NDArray[np.str_]]
    weights: Array

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that say where a row is."""
        return tuple(self.cell_labels)


def coefficients_of(
    draws: xr.Dataset,
    model: Model,
    design: Design,
    cells: npt.NDArray[np.str_],
    weights: Array,
    made: Draughts | None = None,
) -> Coefficients:
    """The draws of a labelled dataset (chain, draw, …) as prediction takes them; made : what it lacks of beta."""
    S = draws.sizes["chain"] * draws.sizes["draw"]

    def flat(name: str, *shape: int) -> Array:
        values: Array = draws[name].values if name in draws else np.zeros((S, *shape))
        return values.reshape(S, *values.shape[2:]) if name in draws else values

    formula, hierarchy = model.formula, hierarchy_of(model.formula, cells)
    found = []
    for at, places in enumerate(hierarchy.groupings):
        suffix, own = formula.suffix(at), design.level_columns(at)
        correlated = f"omega{suffix}" in draws
        corr = correlation_factor(flat(f"omega{suffix}")) if correlated else np.eye(len(own))
        found.append(
            Grouping(
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
        nu=flat("nu") if "nu" in draws else None,
        noise=model.resolve(design).sigma if model.noise else None,
        common=(flat("sigma_median"), flat("sigma_spread")) if "sigma_median" in draws else None,
        row_weights=model.weights,
        cell_labels=labels_by_column(formula, cells),
        weights=weights,
    )


def _index(design: Design, columns: tuple[object, ...]) -> Index:
    return np.array(design.index(columns), dtype=np.int64)  # type: ignore[arg-type]


def refuse_new(spots: Iterable[Spot], c: Coefficients, name: str) -> None:
    """Raise for places that the fit did not have, where nothing was said about them."""
    places = dict.fromkeys(one for spot in spots for one in spot.new)
    if not places:
        return
    group = next(iter(places))[0]
    new = [label for column, label in places if column == group]
    known = next(one.places.labels for one in c.levels + c.crossed if one.places.name == group)
    nested = group == c.levels[0].places.name and len(c.levels) > 1
    average = f"that of its {c.levels[1].places.name}" if nested else f"the average {group}"
    raise TableError(
        f"{name}: {group} {some(new)} {'was' if len(new) == 1 else 'were'} not in the data of the "
        f"fit{_lost_zeros(new[0], known)}. Say what to do with new ones: unseen=population ({average}) "
        f"or unseen=draw (a {group} like the others)"
    )


def _lost_zeros(label: str, labels: npt.NDArray[np.str_]) -> str:
    """A hint where a label lost its leading zeros on the way: 1067 for 01067."""
    bare = _without_zeros(label)
    same = [known for known in labels.tolist() if _without_zeros(known) == bare]
    return f" (but {same[0]!r} was: read the column as text to keep its zeros)" if same else ""


def _without_zeros(label: str) -> str:
    return "/".join(part.lstrip("0") for part in label.split("/"))


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


@dataclass(frozen=True)
class Spot:
    """What is known of where a row is.

    labels : column → label, '' where the row does not say
    cells : the cells that it may be one of; none where the place is new
    status : known, new or unknown
    """

    labels: dict[str, str]
    cells: Index
    status: str
    new: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Groups:
    """Index of a spot among the rows' → its draws, made where its places are new or unknown.

    A new place's draw depends on the seed and its labels only, so neither the order nor the chunking of
    rows changes it. Its mean is its parent, as far as that is known; a parent that is new too is drawn once
    for all its places. An unknown place is one of the known ones that it may be: every posterior draw takes
    one, as often as its share of the rows.

    spots : joined labels of c.keys of every different place of the rows
    """

    c: Coefficients
    spots: tuple[str, ...]
    unseen: str
    seed: int

    @cached_property
    def found(self) -> tuple[Spot, ...]:
        """What is known of every spot."""
        return tuple(spot_of(self.c, key) for key in self.spots)

    def beta(self, spot: int) -> Array:
        """The finest group's coefficients (S, C): its own, or drawn around its parent's, where it is new."""
        c, one = self.c, self.found[spot]
        finest = c.levels[0]
        if len(one.cells):
            leaves = np.unique(finest.places.of_cell[one.cells])
            if len(leaves) == 1:
                return np.asarray(finest.drawn(leaves)[:, 0])
            return finest.mixed(self._leaf(one))
        return self._new(one)

    def together(self, spots: Index) -> dict[int, Array]:
        """Spot → coefficients (S, C) of the finest group, those that are made on demand all at once."""
        finest = self.c.levels[0]
        known: dict[int, int] = {}
        if finest.stored is None:
            for spot in spots.tolist():
                leaves = np.unique(finest.places.of_cell[self.found[spot].cells])
                if len(leaves) == 1:
                    known[spot] = int(leaves[0])
        made = finest.drawn(np.array(list(known.values()), dtype=np.int64)) if known else np.zeros((0, 0, 0))
        at = {spot: i for i, spot in enumerate(known)}
        return {spot: made[:, at[spot]] if spot in at else self.beta(spot) for spot in spots.tolist()}

    def _leaf(self, one: Spot) -> Index:
        """For a row that does not say where it is: the known finest group that every draw takes, (S,)."""
        path = [one.labels[column] for column in self.c.levels[0].places.path]
        rng = stream(self.seed, UNKNOWN, *SEPARATOR.join(path).strip(SEPARATOR).encode())
        return np.asarray(self.c.levels[0].places.of_cell[self._chosen(one.cells, rng)])

    def _chosen(self, cells: Index, rng: np.random.Generator) -> Index:
        """One of some cells for every draw, as often as their shares of the rows: (S,)."""
        S = len(self.c.mu)
        shares = np.cumsum(self.c.weights[cells])
        at = np.searchsorted(shares / shares[-1], (rng.permutation(S) + rng.random()) / S)
        return np.asarray(cells[at.clip(0, len(cells) - 1)])

    def _new(self, one: Spot) -> Array:
        """A new place: from the coarsest level down, what is known of it, and draws of what is not."""
        c, finest = self.c, self.c.levels[0]
        whole = np.zeros((len(c.mu), 1 + max(int(finest.cols.max()), int(c.mu_cols.max(initial=0)))))
        whole[:, c.mu_cols] = c.mu
        for level in reversed(c.levels):
            path = [one.labels[column] for column in level.places.path]
            key = SEPARATOR.join(path)
            known = level.at.get(key)
            if known is not None:
                whole[:, level.cols] = level.drawn(np.array([known]))[:, 0]
            elif "" in path and len(cells := _matching(c, one.labels, level.places.path)):
                rng = stream(self.seed, UNKNOWN, *key.encode())
                node = level.places.of_cell[self._chosen(cells, rng)]
                whole[:, level.cols] = level.mixed(node)
            elif self.unseen != "population":
                rng = stream(self.seed, NEW_GROUP, *key.encode())
                noise = rng.standard_normal((len(c.mu), len(level.own)))
                whole[:, level.own] += np.einsum("skl,sl->sk", level.spread, noise)
        return whole[:, finest.cols]

    def across(self, at: int, spot: int) -> Array:
        """The effects (S, K) of a spot's place in a crossed grouping."""
        c, grouping, labels = self.c, self.c.crossed[at], self.found[spot].labels
        path = [labels[column] for column in grouping.places.path]
        key = SEPARATOR.join(path)
        known = grouping.at.get(key)
        if known is not None:
            return np.asarray(grouping.drawn(np.array([known]))[:, 0])
        cells = _matching(c, labels, grouping.places.path) if "" in path else np.zeros(0, np.int64)
        if len(cells):
            node = grouping.places.of_cell[self._chosen(cells, stream(self.seed, UNKNOWN_ACROSS, at))]
            return grouping.mixed(node)
        if self.unseen == "population":
            return np.zeros((len(c.mu), len(grouping.own)))
        noise = stream(self.seed, NEW_ACROSS, at, *key.encode()).standard_normal((len(c.mu), len(grouping.own)))
        return np.asarray(np.einsum("skl,sl->sk", grouping.spread, noise))

    def sigma(self, spot: int) -> Array:
        """Its own residual sd (S,); where it is new, from what the groups' have in common, or from its prior."""
        c, one = self.c, self.found[spot]
        if len(one.cells):
            leaves = np.unique(c.levels[0].places.of_cell[one.cells])
            if len(leaves) == 1:
                return np.asarray(c.sigma[:, leaves[0]])
            return np.asarray(c.sigma[np.arange(len(c.mu)), self._leaf(one)])
        key = SEPARATOR.join(one.labels[column] for column in c.levels[0].places.path)
        rng = stream(self.seed, NEW_SIGMA, *key.encode())
        if c.common is not None:
            median, spread = c.common
            return np.asarray(median * np.exp(spread * rng.standard_normal(len(median))))
        # Groups with their own sigma have either something in common or a prior.
        return c.noise.sample(rng, len(c.sigma))  # type: ignore[union-attr]

    def sigmas(self, spots: Index) -> tuple[Array, Index]:
        """The different sds (G, S) of rows in these spots, and which of them each row has."""
        if self.c.sigma.ndim == 1:
            return self.c.sigma[None], np.zeros(len(spots), np.int64)
        unique, kind = np.unique(spots, return_inverse=True)
        return np.stack([self.sigma(int(spot)) for spot in unique]), kind


def spot_of(c: Coefficients, key: str) -> Spot:
    """What is known of a place, by the joined labels of c.keys.

    A finest group whose label is known without all of its parents' is the one that has them, if one does.
    """
    if not c.levels:
        return Spot({}, np.zeros(0, np.int64), "known", ())
    labels = dict(zip(c.keys, key.split(SEPARATOR, len(c.keys) - 1), strict=True))
    finest = c.levels[0].places
    path = [labels[column] for column in finest.path]
    known = c.levels[0].at.get(SEPARATOR.join(path))
    if known is not None:
        cells = c.levels[0].cells_of(known)
        status = "known"
    else:
        cells = _matching(c, labels, finest.path) if "" in path else np.zeros(0, np.int64)
        one = len(cells) > 0 and len(np.unique(finest.of_cell[cells])) == 1 and path[-1] != ""
        status = "known" if one else "unknown" if len(cells) else "new"
    new = [] if status != "new" else [(finest.name, _without_blanks(path))]
    for grouping in c.crossed:
        own = [labels[column] for column in grouping.places.path]
        if SEPARATOR.join(own) in grouping.at:
            continue
        if "" in own:
            status = status if status == "new" else "unknown"
        else:
            status = "new"
            new.append((grouping.places.name, _without_blanks(own)))
    return Spot(labels, cells, status, tuple(new))


def _matching(c: Coefficients, labels: dict[str, str], path: tuple[str, ...]) -> Index:
    """The cells that have all labels given along a path."""
    fits = np.ones(len(c.weights), dtype=bool)
    for column in path:
        if labels[column]:
            fits &= c.cell_labels[column] == labels[column]
    return np.flatnonzero(fits)


def _without_blanks(path: list[str]) -> str:
    return "/".join(label or "?" for label in path)

"""The draws of any place: known, new or unknown (math.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import preview
from priorhood.data.labels import alike, null_options, unlike, warn_of_missing
from priorhood.errors import TableError, warn
from priorhood.model.formula import SEPARATOR
from priorhood.prediction.coefficients import NEW_ACROSS, NEW_GROUP, NEW_SIGMA, UNKNOWN, UNKNOWN_ACROSS, stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from priorhood._arrays import Array, Index
    from priorhood.prediction.coefficients import Coefficients


def refuse_new(spots: Iterable[PlaceKey], c: Coefficients, name: str) -> None:
    """Raise for places that the fit did not have, with unseen="error"; name : of the table."""
    places = dict.fromkeys(one for spot in spots for one in spot.new)
    if not places:
        return
    group = next(iter(places))[0]
    new = [label for column, label in places if column == group]
    nested = group == c.levels[0].places.name and len(c.levels) > 1
    # The last label of a nested place is its own.
    nulls = null_options(label.rpartition("/")[2] for label in new)
    average = f"that of its {c.levels[1].places.name}" if nested else f"the average {group}"
    but = ""
    if found := _alike(c, group, new):
        first, known = next(iter(found.items()))
        more = f", and {len(found) - 1:,} more like it" if len(found) > 1 else ""
        but = f" (but {known!r} was{more}: {unlike(first, known, _path(c, group))})"
    raise TableError(
        f"{name}: {group} {preview(new)} {'was' if len(new) == 1 else 'were'} not in the data of the fit{but}. Say "
        f"what to do with new ones: unseen='population' (--unseen population: {average}) or unseen='draw' "
        f"(--unseen draw: a {group} like the others)"
        f"{f'; or, where it is a missing value, read the table with {nulls}' if nulls else ''}"
    )


def tell_doubtful(spots: Sequence[PlaceKey], rows: Index, c: Coefficients, name: str) -> None:
    """Warn of new places that may be known ones, as 1067 may be 01067, or missing values, as nan.

    rows : (spots,) number of rows of each
    """
    places = dict.fromkeys(one for spot in spots for one in spot.new)
    for group in dict.fromkeys(column for column, _ in places):
        found = _alike(c, group, [label for column, label in places if column == group])
        if found:
            new, known = next(iter(found.items()))
            others = f" and {len(found) - 1:,} more like it" if len(found) > 1 else ""
            warn(
                f"{name}: {group} {new!r}{others} {'is' if len(found) == 1 else 'are'} new, but {known!r} was in "
                f"the data of the fit: {unlike(new, known, _path(c, group))}"
            )
    of_spot = [{column for group, _ in spot.new for column in _path(c, group)} for spot in spots]
    for column in c.keys:
        at = [i for i, columns in enumerate(of_spot) if column in columns]
        warn_of_missing(
            name, [spots[i].labels[column] for i in at], rows[at].astype(float), f"new labels of {column}"
        )


def _alike(c: Coefficients, group: str, new: list[str]) -> dict[str, str]:
    """New labels that differ from known ones as 1067 does from 01067, with these."""
    known = next(one.places.labels for one in c.levels + c.crossed if one.places.name == group)
    return alike(new, known.tolist())


def _path(c: Coefficients, group: str) -> tuple[str, ...]:
    """The key columns of a grouping."""
    return next(one.places.path for one in c.levels + c.crossed if one.places.name == group)


@dataclass(frozen=True)
class PlaceKey:
    """Where a row is.

    labels : by column, '' where the row has none
    cells : the cells that it may be in; none where the place is new
    status : known, new or unknown
    new : grouping and label of each new place
    """

    labels: dict[str, str]
    cells: Index
    status: str
    new: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Groups:
    """Draws of the rows' places, by position among spots; new and unknown places are drawn.

    A new place's draw depends on the seed and its labels only, so neither the order nor the chunking of rows
    changes it. Its mean is its parent, as far as that is known; a parent that is new too is drawn once for all its
    places. An unknown place is one of the known ones that it may be: every posterior draw takes one, as often as
    its share of the rows.

    spots : joined labels of c.keys of every different place of the rows
    unseen : see Posterior.predict
    """

    c: Coefficients
    spots: tuple[str, ...]
    unseen: str
    seed: int

    @cached_property
    def found(self) -> tuple[PlaceKey, ...]:
        """Where every spot is."""
        return tuple(spot_of(self.c, key) for key in self.spots)

    def beta(self, spot: int) -> Array:
        """The finest group's coefficients (S, C): its own, or where it is new, drawn around its parent's."""
        c, one = self.c, self.found[spot]
        finest = c.levels[0]
        if len(one.cells):
            leaves = np.unique(finest.places.of_cell[one.cells])
            if len(leaves) == 1:
                return np.asarray(finest.drawn(leaves)[:, 0])
            return finest.mixed(self._leaf(one))
        # A new place: from the coarsest level down, the known levels, and draws of the others.
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

    def together(self, spots: Index) -> dict[int, Array]:
        """Coefficients (S, C) of the finest group by spot, those made on demand all at once."""
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

    def _leaf(self, one: PlaceKey) -> Index:
        """For a row without its place: the known finest group that every draw takes, (S,)."""
        path = [one.labels[column] for column in self.c.levels[0].places.path]
        rng = stream(self.seed, UNKNOWN, *SEPARATOR.join(path).strip(SEPARATOR).encode())
        return np.asarray(self.c.levels[0].places.of_cell[self._chosen(one.cells, rng)])

    def _chosen(self, cells: Index, rng: np.random.Generator) -> Index:
        """A cell for every draw, each as often as its share of the rows: (S,)."""
        S = len(self.c.mu)
        shares = np.cumsum(self.c.weights[cells])
        at = np.searchsorted(shares / shares[-1], (rng.permutation(S) + rng.random()) / S)
        return np.asarray(cells[at.clip(0, len(cells) - 1)])

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
        """A place's own residual sd (S,); where it is new, from the groups' distribution or from its prior."""
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
        # Groups with their own sigma have either a common distribution or a prior.
        return c.noise.sample(rng, len(c.sigma))  # type: ignore[union-attr]

    def sigmas(self, spots: Index) -> tuple[Array, Index]:
        """The different residual sds (G, S) of rows in these spots, and each row's position among them."""
        if self.c.sigma.ndim == 1:
            return self.c.sigma[None], np.zeros(len(spots), np.int64)
        unique, kind = np.unique(spots, return_inverse=True)
        return np.stack([self.sigma(int(spot)) for spot in unique]), kind


def spot_of(c: Coefficients, key: str) -> PlaceKey:
    """Where a row with these joined labels of c.keys is.

    A finest group without all of its parents' labels is the one known group with its label, if there is one.
    """
    if not c.levels:
        return PlaceKey({}, np.zeros(0, np.int64), "known", ())
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
    new = [] if status != "new" else [(finest.name, "/".join(label or "?" for label in path))]
    for grouping in c.crossed:
        own = [labels[column] for column in grouping.places.path]
        if SEPARATOR.join(own) in grouping.at:
            continue
        if "" in own:
            status = status if status == "new" else "unknown"
        else:
            status = "new"
            new.append((grouping.places.name, "/".join(own)))
    return PlaceKey(labels, cells, status, tuple(new))


def _matching(c: Coefficients, labels: dict[str, str], path: tuple[str, ...]) -> Index:
    """Cells that have all labels given along a path."""
    fits = np.ones(len(c.weights), dtype=bool)
    for column in path:
        if labels[column]:
            fits &= c.cell_labels[column] == labels[column]
    return np.flatnonzero(fits)

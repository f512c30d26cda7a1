"""Draws of any place: known, new or unknown (math.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import argument, preview
from priorhood.data.labels import match_spelling, null_options, spelling_advice, warn_of_missing
from priorhood.errors import TableError, warn
from priorhood.model.formula import SEPARATOR
from priorhood.prediction.coefficients import NEW_ACROSS, NEW_GROUP, NEW_SIGMA, UNKNOWN, UNKNOWN_ACROSS, stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from priorhood._arrays import Array, Index
    from priorhood.model.hierarchy import Places
    from priorhood.prediction.coefficients import Coefficients


def check_known_places(keys: Iterable[PlaceKey], c: Coefficients, name: str) -> None:
    """Raise for places that were not in the data of the fit; name is that of the table."""
    places = dict.fromkeys(place for key in keys for place in key.new)
    if not places:
        return
    group = next(iter(places))[0]
    new = [label for column, label in places if column == group]
    nested = group == c.levels[0].places.name and len(c.levels) > 1
    # The last label of a nested place is the one in the group's column.
    nulls = null_options(label.rpartition("/")[2] for label in new)
    average = f"the average of its {c.levels[1].places.name}" if nested else f"the average {group}"
    but = ""
    if respelt := _similar_labels(c, group, new):
        first, known = next(iter(respelt.items()))
        more = f", and {len(respelt) - 1:,} more like it" if len(respelt) > 1 else ""
        but = f" (but {known!r} was{more}: {spelling_advice(first, known, _places(c, group).path)})"
    raise TableError(
        f"{name}: {group} {preview(new)} {'was' if len(new) == 1 else 'were'} not in the data of the fit{but}. Set "
        f"{argument('unseen')} to say how to predict for new places: {argument('unseen', 'population')} "
        f"({average}) or {argument('unseen', 'draw')} (a {group} drawn at random from the population)"
        f"{f'; or, if it means a missing value, read the table with {nulls}' if nulls else ''}"
    )


def warn_of_suspicious_places(keys: Sequence[PlaceKey], rows: Index, c: Coefficients, name: str) -> None:
    """Warn of new places that may be known places, as 1067 may be 01067, or missing values, as nan may be.

    rows : (keys,) number of rows of every place
    """
    places = dict.fromkeys(place for key in keys for place in key.new)
    for group in dict.fromkeys(column for column, _ in places):
        respelt = _similar_labels(c, group, [label for column, label in places if column == group])
        if respelt:
            new, known = next(iter(respelt.items()))
            others = f" and {len(respelt) - 1:,} more like it" if len(respelt) > 1 else ""
            warn(
                f"{name}: {group} {new!r}{others} {'is' if len(respelt) == 1 else 'are'} new, but {known!r} was in "
                f"the data of the fit: {spelling_advice(new, known, _places(c, group).path)}"
            )
    new_columns = [{column for group, _ in key.new for column in _places(c, group).path} for key in keys]
    for column in c.keys:
        at = [i for i, columns in enumerate(new_columns) if column in columns]
        warn_of_missing(
            name, [keys[i].labels[column] for i in at], rows[at].astype(float), f"new labels of {column}"
        )


def _similar_labels(c: Coefficients, group: str, new: list[str]) -> dict[str, str]:
    """Return new labels that are probably known ones in another spelling (1067, 01067), with these."""
    return match_spelling(new, _places(c, group).labels.tolist())


def _places(c: Coefficients, group: str) -> Places:
    """Return the places of a grouping."""
    return next(grouping.places for grouping in c.levels + c.crossed if grouping.places.name == group)


@dataclass(frozen=True)
class PlaceKey:
    """The place of a row.

    Attributes
    ----------
    labels : dict of str to str
        label by column, '' if the row has none
    cells : array
        cells that the row may belong to; empty if the place is new
    status : str
        known, new or unknown
    new : tuple of (str, str)
        grouping and label of every new place
    """

    labels: dict[str, str]
    cells: Index
    status: str
    new: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Groups:
    """Draws of the rows' places, by position among spots; new and unknown places are drawn.

    A new place's draw depends only on the seed and its labels, not on the order or chunking of rows. Its mean is
    its parent's, if that is known; a parent that is also new is drawn once for all its places. An unknown place is
    one of the known places that it may be: every posterior draw uses one of them, with probability proportional to
    its rows.

    Attributes
    ----------
    c : Coefficients
        draws of the model's parameters
    spots : tuple of str
        labels of c.keys, joined, of every distinct place of the rows
    unseen, seed : str, int
        see Posterior.predict
    """

    c: Coefficients
    spots: tuple[str, ...]
    unseen: str
    seed: int

    @cached_property
    def keys(self) -> tuple[PlaceKey, ...]:
        """Place of every spot."""
        return tuple(place_key(self.c, spot) for spot in self.spots)

    def beta(self, spot: int) -> Array:
        """Return the finest group's coefficients (S, C), drawn around its parent's if it is new."""
        c, place = self.c, self.keys[spot]
        finest = c.levels[0]
        if len(place.cells):
            leaves = np.unique(finest.places.of_cell[place.cells])
            if len(leaves) == 1:
                return np.asarray(finest.draws_of(leaves)[:, 0])
            return finest.draw_each(self._leaf(place))
        # A new place: from the coarsest level down, the known levels, and draws of the others.
        whole = np.zeros((len(c.mu), 1 + max(int(finest.cols.max()), int(c.mu_cols.max(initial=0)))))
        whole[:, c.mu_cols] = c.mu
        for level in reversed(c.levels):
            path = [place.labels[column] for column in level.places.path]
            key = SEPARATOR.join(path)
            known = level.positions.get(key)
            if known is not None:
                whole[:, level.cols] = level.draws_of(np.array([known]))[:, 0]
            elif "" in path and len(cells := _matching(c, place.labels, level.places.path)):
                rng = stream(self.seed, UNKNOWN, *key.encode())
                node = level.places.of_cell[self._draw_cells(cells, rng)]
                whole[:, level.cols] = level.draw_each(node)
            elif self.unseen != "population":
                rng = stream(self.seed, NEW_GROUP, *key.encode())
                noise = rng.standard_normal((len(c.mu), len(level.varying)))
                whole[:, level.varying] += np.einsum("skl,sl->sk", level.spread, noise)
        return whole[:, finest.cols]

    def together(self, spots: Index) -> dict[int, Array]:
        """Return the finest group's coefficients (S, C) by spot; those on demand are computed all at once."""
        finest = self.c.levels[0]
        known: dict[int, int] = {}
        if finest.stored is None:
            for spot in spots.tolist():
                leaves = np.unique(finest.places.of_cell[self.keys[spot].cells])
                if len(leaves) == 1:
                    known[spot] = int(leaves[0])
        draws = finest.draws_of(np.array(list(known.values()), dtype=np.int64)) if known else np.zeros((0, 0, 0))
        at = {spot: i for i, spot in enumerate(known)}
        return {spot: draws[:, at[spot]] if spot in at else self.beta(spot) for spot in spots.tolist()}

    def _leaf(self, place: PlaceKey) -> Index:
        """Return the known finest group (S,) that every draw uses for a row whose place is unknown."""
        path = [place.labels[column] for column in self.c.levels[0].places.path]
        rng = stream(self.seed, UNKNOWN, *SEPARATOR.join(path).strip(SEPARATOR).encode())
        return np.asarray(self.c.levels[0].places.of_cell[self._draw_cells(place.cells, rng)])

    def _draw_cells(self, cells: Index, rng: np.random.Generator) -> Index:
        """Draw one cell per posterior draw (S,), with probability proportional to its rows."""
        S = len(self.c.mu)
        shares = np.cumsum(self.c.weights[cells])
        at = np.searchsorted(shares / shares[-1], (rng.permutation(S) + rng.random()) / S)
        return np.asarray(cells[at.clip(0, len(cells) - 1)])

    def across(self, at: int, spot: int) -> Array:
        """Return the effects (S, K) of a spot's place in a crossed grouping."""
        c, grouping, labels = self.c, self.c.crossed[at], self.keys[spot].labels
        path = [labels[column] for column in grouping.places.path]
        key = SEPARATOR.join(path)
        known = grouping.positions.get(key)
        if known is not None:
            return np.asarray(grouping.draws_of(np.array([known]))[:, 0])
        cells = _matching(c, labels, grouping.places.path) if "" in path else np.zeros(0, np.int64)
        if len(cells):
            node = grouping.places.of_cell[self._draw_cells(cells, stream(self.seed, UNKNOWN_ACROSS, at))]
            return grouping.draw_each(node)
        size = (len(c.mu), len(grouping.varying))
        if self.unseen == "population":
            return np.zeros(size)
        noise = stream(self.seed, NEW_ACROSS, at, *key.encode()).standard_normal(size)
        return np.asarray(np.einsum("skl,sl->sk", grouping.spread, noise))

    def sigma(self, spot: int) -> Array:
        """Return a place's residual sd (S,); for a new place, from the groups' distribution or from the prior."""
        c, place = self.c, self.keys[spot]
        if len(place.cells):
            leaves = np.unique(c.levels[0].places.of_cell[place.cells])
            if len(leaves) == 1:
                return np.asarray(c.sigma[:, leaves[0]])
            return np.asarray(c.sigma[np.arange(len(c.mu)), self._leaf(place)])
        key = SEPARATOR.join(place.labels[column] for column in c.levels[0].places.path)
        rng = stream(self.seed, NEW_SIGMA, *key.encode())
        if c.common is not None:
            median, spread = c.common
            return np.asarray(median * np.exp(spread * rng.standard_normal(len(median))))
        # The groups' sigmas have either a common distribution or a prior each.
        return c.noise.sample(rng, len(c.sigma))  # type: ignore[union-attr]

    def sigmas(self, spots: Index) -> tuple[Array, Index]:
        """Return the distinct residual sds (G, S) of rows in these spots, and every row's position among them."""
        if self.c.sigma.ndim == 1:
            return self.c.sigma[None], np.zeros(len(spots), np.int64)
        unique, kind = np.unique(spots, return_inverse=True)
        return np.stack([self.sigma(int(spot)) for spot in unique]), kind


def place_key(c: Coefficients, spot: str) -> PlaceKey:
    """Return the place of rows with these labels of c.keys, joined.

    A finest group without all of its parents' labels is the known group with its label, if there is exactly one.
    """
    if not c.levels:
        return PlaceKey({}, np.zeros(0, np.int64), "known", ())
    labels = dict(zip(c.keys, spot.split(SEPARATOR, len(c.keys) - 1), strict=True))
    finest = c.levels[0].places
    path = [labels[column] for column in finest.path]
    known = c.levels[0].positions.get(SEPARATOR.join(path))
    if known is not None:
        order, starts = c.levels[0].cells_by_place
        cells = order[starts[known] : starts[known + 1]]
        status = "known"
    else:
        cells = _matching(c, labels, finest.path) if "" in path else np.zeros(0, np.int64)
        unique = len(cells) > 0 and len(np.unique(finest.of_cell[cells])) == 1 and path[-1] != ""
        status = "known" if unique else "unknown" if len(cells) else "new"
    new = [] if status != "new" else [(finest.name, "/".join(label or "?" for label in path))]
    for grouping in c.crossed:
        path = [labels[column] for column in grouping.places.path]
        if SEPARATOR.join(path) in grouping.positions:
            continue
        if "" in path:
            status = status if status == "new" else "unknown"
        else:
            status = "new"
            new.append((grouping.places.name, "/".join(path)))
    return PlaceKey(labels, cells, status, tuple(new))


def _matching(c: Coefficients, labels: dict[str, str], path: tuple[str, ...]) -> Index:
    """Return the cells that have all given labels along a path."""
    fits = np.ones(len(c.weights), dtype=bool)
    for column in path:
        if labels[column]:
            fits &= c.cell_labels[column] == labels[column]
    return np.flatnonzero(fits)

"""Hierarchy: the places of all groupings, and the place of every cell of the sums (math.md, section 1)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from priorhood._text import join_words
from priorhood.errors import ModelError
from priorhood.model.formula import SEPARATOR

if TYPE_CHECKING:
    from priorhood._arrays import Array, Index, Labels
    from priorhood.model.formula import Formula


@dataclass(frozen=True)
class Places:
    """The places of one grouping, sorted by parent.

    Attributes
    ----------
    path : tuple of str
        columns that identify a place, coarsest first
    name : str
        name of the dimension: the last column, or `zip_year`
    title : str
        word for a place in counts of places: zip, zip:type
    keys : array (size,)
        labels along the path, joined by SEPARATOR
    of_cell : array (cells,)
        place of every cell of the sums
    parent : array (size,)
        index of the place of the next coarser level that contains it; 0 if there is none
    """

    path: tuple[str, ...]
    name: str
    title: str
    keys: Labels
    of_cell: Index
    parent: Index

    @property
    def size(self) -> int:
        """Number of places."""
        return len(self.keys)

    def total(self, values: Array) -> Array:
        """Return the sums (size,) of the cells' values over every place."""
        return np.bincount(self.of_cell, weights=values, minlength=self.size).astype(np.float64)

    @cached_property
    def labels(self) -> Labels:
        """Labels (size,) as displayed: `parent/label`."""
        return shown(self.keys)


@dataclass(frozen=True)
class Hierarchy:
    """The places of all groupings: nested levels, finest first, and crossed groupings."""

    levels: tuple[Places, ...]
    crossed: tuple[Places, ...]

    @property
    def groupings(self) -> tuple[Places, ...]:
        """Places of all groupings, in the formula's order."""
        return self.levels + self.crossed

    def starts(self, at: int) -> Index:
        """Return starts (parents + 1,): the places of level `at` in parent p are starts[p] … starts[p + 1] − 1."""
        level = self.levels[at]
        parents = self.levels[at + 1].size if at + 1 < len(self.levels) else 1
        return np.searchsorted(level.parent, np.arange(parents + 1)).astype(np.int64)


def shown(keys: Labels) -> Labels:
    """Return keys as displayed labels: Berlin/Mitte/10115."""
    letters = _letters(keys)
    return np.where(letters == ord(SEPARATOR), np.uint32(ord("/")), letters).view(keys.dtype).reshape(keys.shape)


def _letters(keys: Labels) -> npt.NDArray[np.uint32]:
    """Return the characters of keys as code points (k, width), 0 after the end of a key."""
    return np.ascontiguousarray(keys).view(np.uint32).reshape(len(keys), keys.dtype.itemsize // 4)


def hierarchy_of(formula: Formula, cells: Labels) -> Hierarchy:
    """Return the places of all groupings, from the cells of the sums.

    Parameters
    ----------
    formula : Formula
        formula of the model
    cells : array (cells,)
        labels of formula.keys, joined by SEPARATOR

    Raises
    ------
    ModelError
        if two places would be displayed with the same label

    Notes
    -----
    O(J log J); FitData.hierarchy keeps it.

    Examples
    --------
    >>> from priorhood.model.formula import parse
    >>> formula = parse("price ~ area + (area | city/zip)")
    >>> cells = np.array([SEPARATOR.join(("Berlin", zip)) for zip in ("10115", "10117")])
    >>> [(level.name, level.labels.tolist()) for level in hierarchy_of(formula, cells).levels]
    [('zip', ['Berlin/10115', 'Berlin/10117']), ('city', ['Berlin'])]
    """
    columns = labels_by_column(formula, cells)
    levels: list[Places] = []
    for at in reversed(range(len(formula.levels))):
        levels.insert(0, _places(formula, at, columns, levels[0] if levels else None))
    crossed = range(len(formula.levels), len(formula.groupings))
    return Hierarchy(tuple(levels), tuple(_places(formula, at, columns, None) for at in crossed))


def labels_by_column(formula: Formula, cells: Labels) -> dict[str, Labels]:
    """Return the label of every cell in every key column."""
    keys = formula.keys
    if len(keys) < 2:
        return dict.fromkeys(keys, cells)
    odd = np.flatnonzero((_letters(cells) == ord(SEPARATOR)).sum(axis=1) != len(keys) - 1)
    if len(odd):
        raise ModelError(f"the label {str(cells[odd[0]])!r} contains the character {SEPARATOR!r}; remove it")
    columns = apart(cells, len(keys))
    return {key: np.array(columns[at :: len(keys)], dtype=str) for at, key in enumerate(keys)}


def apart(cells: Labels, count: int) -> list[str]:
    """Return the labels of all cells in one list, `count` for each cell."""
    return SEPARATOR.join(cells.tolist()).split(SEPARATOR) if len(cells) and count else []


def joined_labels(columns: list[Labels]) -> Labels:
    """Return the joined labels (cells,) of several columns."""
    joined = columns[0]
    for column in columns[1:]:
        joined = np.char.add(np.char.add(joined, SEPARATOR), column)
    return joined


def _places(formula: Formula, at: int, columns: dict[str, Labels], parents: Places | None) -> Places:
    """Return the places of one grouping, sorted by parent and then by label."""
    grouping = formula.groupings[at]
    joined = joined_labels([columns[column] for column in grouping.path])
    keys, first, of_cell = np.unique(joined, return_index=True, return_inverse=True)
    parent = np.zeros(len(keys), np.int64) if parents is None else parents.of_cell[first]
    order = np.argsort(parent, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    places = Places(
        grouping.path, grouping.group, formula.title(at), keys[order], rank[of_cell.ravel()], parent[order]
    )
    # Only labels that contain a slash can become equal when they are joined by slashes.
    slashes = len(grouping.path) > 1 and bool((_letters(places.keys) == ord("/")).any())
    if slashes and len(np.unique(places.labels)) < places.size:
        unique, count = np.unique(places.labels, return_counts=True)
        raise ModelError(
            f"two places of {grouping.column!r} would both be shown as {str(unique[count > 1][0])!r}, since labels "
            f"of {join_words(grouping.path)} contain '/'; replace it in the labels"
        )
    return places

"""What the rows leave behind: counts, means and centred scatter per cell (math.md, section 2); merge.

A cell is a finest group; where groupings cross, it is where one place of each meets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from priorhood.errors import ModelError
from priorhood.formula import SEPARATOR
from priorhood.rows import Dropped

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """What the rows leave behind, on the data's own scale.

    keys : the columns that tell the cells apart, none without groups
    labels : (J,) the cells, sorted: their labels in these columns, joined where there are several (see hierarchy)
    columns : (C,) the design without intercept, then the outcome
    n : (J,) rows, one that stands for several as often
    mean : (J, C); scatter : (J, C, C), sums of products of deviations from the cell's mean
    read : rows looked at; dropped : those left out, by reason
    weight : (J,) Σ w where every row has a weight w, which mean and scatter then have too; None without
    log_weight : Σ log w of all rows
    """

    keys: tuple[str, ...]
    labels: npt.NDArray[np.str_]
    columns: tuple[str, ...]
    n: Array
    mean: Array
    scatter: Array
    read: int
    dropped: tuple[Dropped, ...]
    weight: Array | None = None
    log_weight: float = 0.0

    @property
    def rows(self) -> int:
        """Rows used, one that stands for several as often."""
        return int(self.n.sum())

    @property
    def listed(self) -> int:
        """Rows used as the table has them, each once."""
        return self.read - sum(d.rows for d in self.dropped)

    @property
    def mass(self) -> Array:
        """(J,) what a group's mean counts: its rows, or their weight."""
        return self.n if self.weight is None else self.weight

    def pooled(self) -> tuple[Array, Array]:
        """Mean (C,) and centred scatter (C, C) of all rows together."""
        mass = self.mass
        mean = (mass @ self.mean) / mass.sum()
        off = self.mean - mean
        return mean, self.scatter.sum(axis=0) + np.einsum("j,ja,jb->ab", mass, off, off)


def normal_label(text: str) -> str:
    """A group's label without surrounding blanks, and without the '.0' that a float column left."""
    text = text.strip()
    return text.partition(".")[0] if re.fullmatch(r"[+-]?\d+\.0+", text) else text


def normal_key(key: str) -> str:
    """The labels of a joined key, each in its normal form."""
    return SEPARATOR.join(map(normal_label, key.split(SEPARATOR)))


def fold(
    keys: npt.NDArray[np.str_], mass: Array, mean: Array, scatter: Array
) -> tuple[npt.NDArray[np.str_], Array, Array, Array]:
    """Join the moments of equal keys, exactly: labels (J,) sorted, mass (J,), mean (J, C), scatter (J, C, C).

    mean = Σ nᵢ meanᵢ / n,  scatter = Σ scatterᵢ + Σ nᵢ (meanᵢ − mean)(meanᵢ − mean)ᵀ,  n rows or weights
    """
    labels, at = np.unique(keys, return_inverse=True)
    J, C = len(labels), mean.shape[1]
    total = np.bincount(at, weights=mass, minlength=J).astype(np.float64)
    # Means are averaged as differences to one of theirs: a lone part keeps its mean to the last bit.
    anchor = np.zeros((J, C))
    anchor[at] = mean
    off = np.zeros((J, C))
    np.add.at(off, at, mass[:, None] * (mean - anchor[at]))
    joined = anchor + off / total[:, None]
    away = mean - joined[at]
    spread = np.zeros((J, C, C))
    np.add.at(spread, at, scatter + mass[:, None, None] * away[:, :, None] * away[:, None, :])
    return labels, total, joined, spread


def add_up(keys: npt.NDArray[np.str_], n: Array) -> Array:
    """The sums of equal keys, in the order of their labels: (J,)."""
    labels, at = np.unique(keys, return_inverse=True)
    return np.bincount(at, weights=n, minlength=len(labels)).astype(np.float64)


def merge(first: Moments, second: Moments) -> Moments:
    """The moments of both sets of rows together, exactly (Chan, Golub & LeVeque 1979).

    n = n₁ + n₂, scatter = scatter₁ + scatter₂ + δδᵀ n₁n₂/n, δ = mean₂ − mean₁; see fold

    Raises
    ------
    ModelError : the columns differ, or only one of both is weighted
    """
    if first.columns != second.columns or first.keys != second.keys:
        raise ModelError(
            f"these were fitted with different columns: {', '.join(first.columns)} by {', '.join(first.keys)!r}, "
            f"and {', '.join(second.columns)} by {', '.join(second.keys)!r}"
        )
    if (first.weight is None) != (second.weight is None):
        raise ModelError(
            "these were fitted with and without known standard errors or precision weights: their rows cannot be "
            "put together"
        )
    keys = np.concatenate([first.labels, second.labels])
    labels, mass, mean, scatter = fold(
        keys,
        np.concatenate([first.mass, second.mass]),
        np.concatenate([first.mean, second.mean]),
        np.concatenate([first.scatter, second.scatter]),
    )
    return replace(
        first,
        labels=labels,
        n=mass if first.weight is None else add_up(keys, np.concatenate([first.n, second.n])),
        mean=mean,
        scatter=scatter,
        read=first.read + second.read,
        dropped=_added(first.dropped + second.dropped),
        weight=None if first.weight is None else mass,
        log_weight=first.log_weight + second.log_weight,
    )


def same(first: Moments, second: Moments) -> bool:
    """Whether two sets of moments are of the same rows, to the last bit."""
    return bool(
        np.array_equal(first.labels, second.labels)
        and np.array_equal(first.n, second.n)
        and np.array_equal(first.mean, second.mean)
        and np.array_equal(first.scatter, second.scatter)
        and np.array_equal(first.mass, second.mass)
        and first.log_weight == second.log_weight
    )


def _added(dropped: tuple[Dropped, ...]) -> tuple[Dropped, ...]:
    totals: dict[tuple[str, str], int] = {}
    for d in dropped:
        totals[d.reason, d.column] = totals.get((d.reason, d.column), 0) + d.rows
    return tuple(Dropped(reason, column, rows) for (reason, column), rows in totals.items())

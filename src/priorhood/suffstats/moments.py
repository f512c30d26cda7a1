"""What the rows leave behind: counts, means and centred scatter per cell (math.md, section 2); merge.

A cell is a finest group; where groupings cross, it is where one place of each meets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import listed
from priorhood.errors import ModelError
from priorhood.model.formula import SEPARATOR

if TYPE_CHECKING:
    from priorhood._arrays import Array, Flags, Index, Labels
    from priorhood.data.dropped import Dropped


@dataclass(frozen=True)
class CellMoments:
    """What the rows leave behind, on the data's own scale.

    keys : the columns that tell the cells apart, none without groups
    labels : (J,) the cells, sorted: their labels in these columns, joined where there are several (see hierarchy)
    columns : (C,) the design without intercept, then the outcome
    n : (J,) rows, one that stands for several as often
    mean : (J, C); scatter : (J, C, C), sums of products of deviations from the cell's mean
    read : rows looked at; dropped : those left out, by reason
    weight : (J,) Σ w where every row has a weight w, which mean and scatter then have too; None without
    log_weight : Σ log w of all rows; log_weights : (J,) of every cell; None without weights, and in files
        of earlier versions, which have that of all rows alone
    """

    keys: tuple[str, ...]
    labels: Labels
    columns: tuple[str, ...]
    n: Array
    mean: Array
    scatter: Array
    read: int
    dropped: tuple[Dropped, ...]
    weight: Array | None = None
    log_weight: float = 0.0
    log_weights: Array | None = None

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


def fold(keys: Labels, mass: Array, mean: Array, scatter: Array) -> tuple[Labels, Array, Array, Array]:
    """Join the moments of equal keys, exactly: labels (J,) sorted, mass (J,), mean (J, C), scatter (J, C, C).

    mean = Σ nᵢ meanᵢ / n,  scatter = Σ scatterᵢ + Σ nᵢ (meanᵢ − mean)(meanᵢ − mean)ᵀ,  n rows or weights
    """
    labels, first, at = np.unique(keys, return_index=True, return_inverse=True)
    if len(labels) == len(keys):
        return labels, mass[first].astype(np.float64), mean[first], scatter[first]
    J, C = len(labels), mean.shape[1]
    total = np.bincount(at, weights=mass, minlength=J).astype(np.float64)
    # Means are averaged as differences to one of theirs: a lone part keeps its mean to the last bit.
    anchor = mean[first]
    joined = anchor + _summed(mass[:, None] * (mean - anchor[at]), at, J) / total[:, None]
    away = mean - joined[at]
    spread = scatter + mass[:, None, None] * away[:, :, None] * away[:, None, :]
    return labels, total, joined, _summed(spread.reshape(-1, C * C), at, J).reshape(J, C, C)


def _summed(values: Array, at: Index, size: int) -> Array:
    """The rows of values (k, …) that go to each of `size` places, added up: (size, …)."""
    return np.stack([np.bincount(at, weights=column, minlength=size) for column in values.T], axis=1)


def add_up(keys: Labels, n: Array) -> Array:
    """The sums of equal keys, in the order of their labels: (J,)."""
    labels, at = np.unique(keys, return_inverse=True)
    return np.bincount(at, weights=n, minlength=len(labels)).astype(np.float64)


def merge(first: CellMoments, second: CellMoments) -> CellMoments:
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
        log_weights=None
        if first.log_weights is None or second.log_weights is None
        else add_up(keys, np.concatenate([first.log_weights, second.log_weights])),
    )


def keep(found: CellMoments, cells: Flags, dropped: tuple[Dropped, ...] = ()) -> CellMoments:
    """The moments of some cells (J,) alone; dropped : why the rows of the others are left out.

    Where log_weight is known of all rows together only, it stays theirs: it is the same for every θ.
    """
    logs = None if found.log_weights is None else found.log_weights[cells]
    return replace(
        found,
        labels=found.labels[cells],
        n=found.n[cells],
        mean=found.mean[cells],
        scatter=found.scatter[cells],
        weight=None if found.weight is None else found.weight[cells],
        log_weight=found.log_weight if logs is None else float(logs.sum()),
        log_weights=logs,
        dropped=_added(found.dropped + dropped),
    )


# Rounding of sums, relative to what they are sums of; a row that was not there misses by far more.
ROUNDING = 1e-9


def subtract(whole: CellMoments, part: CellMoments) -> CellMoments:
    """The moments of the rows of whole that are not in part, exactly: merge the other way round.

    n₁ = n − n₂, mean₁ = mean + (mean − mean₂) n₂/n₁, scatter₁ = scatter − scatter₂ − δδᵀ n₁n₂/n,
    δ = mean₂ − mean₁; a cell without rows left is dropped

    Raises
    ------
    ModelError : part's rows cannot have been among those of whole: no such cell, too few rows, or deviations
        beyond what the cell's scatter allows
    """
    at = np.searchsorted(whole.labels, part.labels)
    at = np.minimum(at, len(whole.labels) - 1)
    for cell, label in zip(at, part.labels, strict=True):
        if whole.labels[cell] != label:
            name = ", ".join(str(label).split(SEPARATOR))
            raise ModelError(f"no row of {listed(whole.keys)} {name!r} is in the posterior's data")
    n, mass = whole.n.copy(), whole.mass.copy()
    logs = None
    if whole.log_weights is not None and part.log_weights is not None:
        logs = whole.log_weights.copy()
        logs[at] -= part.log_weights
    mean, scatter = whole.mean.copy(), whole.scatter.copy()
    for cell, n2, m2, mean2, scatter2 in zip(at, part.n, part.mass, part.mean, part.scatter, strict=True):
        n[cell] -= n2
        left = mass[cell] - m2
        name = ", ".join(str(whole.labels[cell]).split(SEPARATOR))
        if n[cell] < 0 or (n[cell] > 0 and left <= 0):
            raise ModelError(f"{name!r} has {whole.n[cell]:,.0f} rows, from which {n2:,.0f} cannot be taken")
        mean[cell], scatter[cell] = _without(
            (whole.mass[cell], whole.mean[cell], whole.scatter[cell]), (m2, mean2, scatter2), name, whole.columns,
            rows_left=float(n[cell]),
        )  # fmt: skip
        mass[cell] = left
    rest = replace(
        whole, n=n, mean=mean, scatter=scatter, read=whole.read - part.read,
        weight=None if whole.weight is None else mass, log_weight=whole.log_weight - part.log_weight,
        log_weights=logs,
    )  # fmt: skip
    return keep(rest, n > 0)


def _without(
    whole: tuple[float, Array, Array], part: tuple[float, Array, Array], name: str, columns: tuple[str, ...],
    rows_left: float,
) -> tuple[Array, Array]:  # fmt: skip
    """One cell's mean and scatter less those of some of its rows; whole, part: mass, mean, scatter.

    Raises
    ------
    ModelError : the rest would have a negative scatter, or a single row any
    """
    (mass, mean, scatter), (m2, mean2, scatter2) = whole, part
    empty, single = rows_left == 0, rows_left == 1
    left = mass - m2
    rest = mean + (mean - mean2) * (m2 / left) if not empty else mean
    delta = mean2 - rest
    between = np.outer(delta, delta) * (left * m2 / mass)
    spread = scatter - scatter2 - between
    # Sums lose digits to what they are sums of, and means to their own size.
    size = np.sqrt(np.diag(scatter) + np.diag(scatter2) + mass * (1e-3 * np.abs(mean)) ** 2)
    size = np.where(size > 0, size, 1.0)
    # In units of the whole's scatter: what is left must be the scatter of some rows, and of one row none.
    relative = spread / np.outer(size, size)
    column = int(np.argmin(np.diag(relative)))
    least = float(np.linalg.eigvalsh(relative)[0])
    off = float(np.abs(relative).max()) if single or empty else 0.0
    away = float((np.abs(delta) / size).max()) if empty else 0.0
    if least < -ROUNDING or off > ROUNDING or away > 1e-6:
        raise ModelError(
            f"the row cannot have been one of the rows of {name!r}: its values "
            f"lie farther from their means than their scatter allows "
            f"({columns[column]} is {mean2[column]:,.6g})"
        )
    return rest, np.zeros_like(spread) if single or empty else spread


def _added(dropped: tuple[Dropped, ...]) -> tuple[Dropped, ...]:
    totals: dict[tuple[str, str], Dropped] = {}
    for d in dropped:
        before = totals.get((d.reason, d.column), replace(d, rows=0, places=0))
        totals[d.reason, d.column] = replace(d, rows=before.rows + d.rows, places=before.places + d.places)
    return tuple(totals.values())

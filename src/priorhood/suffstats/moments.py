"""Sufficient statistics of the rows: counts, means and centred scatter per cell (math.md, section 2).

A cell is a finest group; if groupings cross, a combination of one place of each.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import join_words
from priorhood.errors import ModelError
from priorhood.model.formula import SEPARATOR

if TYPE_CHECKING:
    from priorhood._arrays import Array, Flags, Index, Labels
    from priorhood.data.dropped import Dropped


@dataclass(frozen=True)
class CellMoments:
    """Sufficient statistics of the rows, on the data's own scale.

    Attributes
    ----------
    keys : tuple of str
        Columns that identify the cells; empty without groups.
    labels : (J,) array of str
        The cells, sorted: their labels in these columns, joined if there are several (see model.hierarchy).
    columns : tuple of str
        The C columns of the sums: the design without intercept, then the outcome.
    n : (J,) array
        Rows; a row with a frequency weight counts as often as it says.
    mean : (J, C) array
        Means of the columns.
    scatter : (J, C, C) array
        Sums of products of deviations from the cell's means.
    read : int
        Rows read.
    dropped : tuple of Dropped
        Rows left out, by reason.
    weight : (J,) array, optional
        Σ w if every row has a weight w; mean and scatter are then weighted.
    log_weight : float
        Σ log w of all rows.
    log_weights : (J,) array, optional
        Σ log w of every cell; None without weights, and in files of earlier versions.

    Examples
    --------
    >>> import numpy as np
    >>> from priorhood.suffstats.moments import CellMoments
    >>> n, mean = np.array([2.0]), np.array([[1.5]])
    >>> first = CellMoments(("zip",), np.array(["10115"]), ("price",), n, mean, np.array([[[0.5]]]), 2, ())
    >>> first.rows
    2
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
        """Number of used rows, each counted as often as its frequency weight says."""
        return int(self.n.sum())

    @property
    def listed(self) -> int:
        """Number of used rows of the table, each counted once."""
        return self.read - sum(d.rows for d in self.dropped)

    @property
    def mass(self) -> Array:
        """The weight (J,) of every cell's mean: its rows, or Σ w."""
        return self.n if self.weight is None else self.weight

    def pooled(self) -> tuple[Array, Array]:
        """Return mean (C,) and centred scatter (C, C) of all rows together."""
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
    # Average differences from the first of the means: a single part keeps its mean to the last bit.
    anchor = mean[first]
    joined = anchor + _summed(mass[:, None] * (mean - anchor[at]), at, J) / total[:, None]
    away = mean - joined[at]
    spread = scatter + mass[:, None, None] * away[:, :, None] * away[:, None, :]
    return labels, total, joined, _summed(spread.reshape(-1, C * C), at, J).reshape(J, C, C)


def _summed(values: Array, at: Index, size: int) -> Array:
    """Return the sums (size, C) of the rows of values (k, C) that belong to each place."""
    return np.stack([np.bincount(at, weights=column, minlength=size) for column in values.T], axis=1)


def add_up(keys: Labels, n: Array) -> Array:
    """Return the sums (J,) of n over equal keys, in the order of their labels."""
    labels, at = np.unique(keys, return_inverse=True)
    return np.bincount(at, weights=n, minlength=len(labels)).astype(np.float64)


def merge(first: CellMoments, second: CellMoments) -> CellMoments:
    """Return the moments of two sets of rows together, exactly (Chan, Golub & LeVeque 1979).

    n = n₁ + n₂, scatter = scatter₁ + scatter₂ + δδᵀ n₁n₂/n, δ = mean₂ − mean₁; see fold

    Raises
    ------
    ModelError
        The columns differ, or only one of the two is weighted.

    Examples
    --------
    >>> import numpy as np
    >>> from priorhood.suffstats.moments import CellMoments, merge
    >>> n, scatter = np.array([2.0]), np.array([[[0.5]]])
    >>> a, b = (
    ...     CellMoments(("zip",), np.array([place]), ("price",), n, np.array([[mean]]), scatter, 2, ())
    ...     for place, mean in (("10115", 1.5), ("10115", 3.5))
    ... )
    >>> both = merge(a, b)
    >>> both.rows, both.mean.item(), both.scatter.item()
    (4, 2.5, 5.0)
    """
    if first.columns != second.columns or first.keys != second.keys:
        raise ModelError(
            f"these sums have different columns: {', '.join(first.columns)} by {', '.join(first.keys)!r}, and "
            f"{', '.join(second.columns)} by {', '.join(second.keys)!r}"
        )
    if (first.weight is None) != (second.weight is None):
        raise ModelError(
            "only one of these has known standard errors or precision weights: their rows cannot be merged"
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
    """Return the moments of the cells that are True (J,); dropped : reasons for leaving out the others' rows.

    A log_weight that is only known for all rows together is kept: it is the same for every θ.
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


# Relative rounding of sums; a row that was not in the sums is off by far more.
ROUNDING = 1e-9


def subtract(whole: CellMoments, part: CellMoments) -> CellMoments:
    """Return the moments of the rows of whole that are not in part, exactly; the inverse of merge.

    n₁ = n − n₂, mean₁ = mean + (mean − mean₂) n₂/n₁, scatter₁ = scatter − scatter₂ − δδᵀ n₁n₂/n,
    δ = mean₂ − mean₁; a cell without remaining rows is dropped

    Raises
    ------
    ModelError
        The rows of part cannot be among those of whole: no such cell, too few rows, or deviations beyond the
        cell's scatter.
    """
    at = np.searchsorted(whole.labels, part.labels)
    at = np.minimum(at, len(whole.labels) - 1)
    for cell, label in zip(at, part.labels, strict=True):
        if whole.labels[cell] != label:
            name = ", ".join(str(label).split(SEPARATOR))
            raise ModelError(f"no row of {join_words(whole.keys)} {name!r} is in the posterior's data")
    n, mass = whole.n.copy(), whole.mass.copy()
    logs = None
    if whole.log_weights is not None and part.log_weights is not None:
        logs = whole.log_weights.copy()
        logs[at] -= part.log_weights
    mean, scatter = whole.mean.copy(), whole.scatter.copy()
    for cell, n2, m2, mean2, scatter2 in zip(at, part.n, part.mass, part.mean, part.scatter, strict=True):
        n[cell] -= n2
        rest = mass[cell] - m2
        name = ", ".join(str(whole.labels[cell]).split(SEPARATOR))
        if n[cell] < 0 or (n[cell] > 0 and rest <= 0):
            raise ModelError(f"{name!r} has {whole.n[cell]:,.0f} rows, so {n2:,.0f} cannot be removed")
        mean[cell], scatter[cell] = _subtract_cell(
            (whole.mass[cell], whole.mean[cell], whole.scatter[cell]), (m2, mean2, scatter2), name, whole.columns,
            rows_left=float(n[cell]),
        )  # fmt: skip
        mass[cell] = rest
    remaining = replace(
        whole, n=n, mean=mean, scatter=scatter, read=whole.read - part.read,
        weight=None if whole.weight is None else mass, log_weight=whole.log_weight - part.log_weight,
        log_weights=logs,
    )  # fmt: skip
    return keep(remaining, n > 0)


def _subtract_cell(
    whole: tuple[float, Array, Array], part: tuple[float, Array, Array], name: str, columns: tuple[str, ...],
    rows_left: float,
) -> tuple[Array, Array]:  # fmt: skip
    """Return a cell's mean and scatter without some of its rows; whole, part : mass, mean, scatter.

    Raises
    ------
    ModelError
        The rest would have a negative scatter, or be a single row with a scatter.
    """
    (mass, mean, scatter), (m2, mean2, scatter2) = whole, part
    empty, single = rows_left == 0, rows_left == 1
    left = mass - m2
    rest = mean + (mean - mean2) * (m2 / left) if not empty else mean
    delta = mean2 - rest
    between = np.outer(delta, delta) * (left * m2 / mass)
    spread = scatter - scatter2 - between
    # Sums lose digits relative to their terms, and means relative to their size.
    size = np.sqrt(np.diag(scatter) + np.diag(scatter2) + mass * (1e-3 * np.abs(mean)) ** 2)
    size = np.where(size > 0, size, 1.0)
    # In units of the whole's scatter, the rest must be the scatter of rows: 0 for one row.
    relative = spread / np.outer(size, size)
    column = int(np.argmin(np.diag(relative)))
    least = float(np.linalg.eigvalsh(relative)[0])
    off = float(np.abs(relative).max()) if single or empty else 0.0
    away = float((np.abs(delta) / size).max()) if empty else 0.0
    if least < -ROUNDING or off > ROUNDING or away > 1e-6:
        raise ModelError(
            f"the row cannot have been one of the rows of {name!r}: its values lie farther from their means than "
            f"their scatter allows ({columns[column]} is {mean2[column]:,.6g})"
        )
    return rest, np.zeros_like(spread) if single or empty else spread


def _added(dropped: tuple[Dropped, ...]) -> tuple[Dropped, ...]:
    """Add up rows and places left out for the same reason."""
    totals: dict[tuple[str, str], Dropped] = {}
    for d in dropped:
        before = totals.get((d.reason, d.column), replace(d, rows=0, places=0))
        totals[d.reason, d.column] = replace(d, rows=before.rows + d.rows, places=before.places + d.places)
    return tuple(totals.values())

"""What the rows leave behind: counts, means and centred scatter per group (math.md, section 2); merge."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from priorhood.errors import ModelError
from priorhood.rows import Dropped

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """What the rows leave behind, on the data's own scale.

    group : the finest group's column, '' without groups
    labels : (J,) the groups, sorted; columns : (C,) the design without intercept, then the outcome
    n : (J,) rows; mean : (J, C); scatter : (J, C, C), sums of products of deviations from the group's mean
    read : rows looked at; dropped : those left out, by reason
    """

    group: str
    labels: npt.NDArray[np.str_]
    columns: tuple[str, ...]
    n: Array
    mean: Array
    scatter: Array
    read: int
    dropped: tuple[Dropped, ...]

    @property
    def rows(self) -> int:
        """Rows used."""
        return int(self.n.sum())

    def pooled(self) -> tuple[Array, Array]:
        """Mean (C,) and centred scatter (C, C) of all rows together."""
        mean = (self.n @ self.mean) / self.n.sum()
        off = self.mean - mean
        return mean, self.scatter.sum(axis=0) + np.einsum("j,ja,jb->ab", self.n, off, off)


def normal_label(text: str) -> str:
    """A group's label without surrounding blanks, and without the '.0' that a float column left."""
    text = text.strip()
    return text.partition(".")[0] if re.fullmatch(r"[+-]?\d+\.0+", text) else text


def fold(
    keys: npt.NDArray[np.str_], n: Array, mean: Array, scatter: Array
) -> tuple[npt.NDArray[np.str_], Array, Array, Array]:
    """Join the moments of equal keys, exactly: labels (J,) sorted, n (J,), mean (J, C), scatter (J, C, C).

    mean = Σ nᵢ meanᵢ / n,  scatter = Σ scatterᵢ + Σ nᵢ (meanᵢ − mean)(meanᵢ − mean)ᵀ
    """
    labels, at = np.unique(keys, return_inverse=True)
    J, C = len(labels), mean.shape[1]
    total = np.bincount(at, weights=n, minlength=J).astype(np.float64)
    # Means are averaged as differences to one of theirs: a lone part keeps its mean to the last bit.
    anchor = np.zeros((J, C))
    anchor[at] = mean
    off = np.zeros((J, C))
    np.add.at(off, at, n[:, None] * (mean - anchor[at]))
    joined = anchor + off / total[:, None]
    away = mean - joined[at]
    spread = np.zeros((J, C, C))
    np.add.at(spread, at, scatter + n[:, None, None] * away[:, :, None] * away[:, None, :])
    return labels, total, joined, spread


def merge(first: Moments, second: Moments) -> Moments:
    """The moments of both sets of rows together, exactly (Chan, Golub & LeVeque 1979).

    n = n₁ + n₂, scatter = scatter₁ + scatter₂ + δδᵀ n₁n₂/n, δ = mean₂ − mean₁; see fold
    """
    if first.columns != second.columns or first.group != second.group:
        raise ModelError(
            f"these were fitted with different columns: {', '.join(first.columns)} by {first.group!r}, and "
            f"{', '.join(second.columns)} by {second.group!r}"
        )
    labels, n, mean, scatter = fold(
        np.concatenate([first.labels, second.labels]),
        np.concatenate([first.n, second.n]),
        np.concatenate([first.mean, second.mean]),
        np.concatenate([first.scatter, second.scatter]),
    )
    return replace(
        first,
        labels=labels,
        n=n,
        mean=mean,
        scatter=scatter,
        read=first.read + second.read,
        dropped=_added(first.dropped + second.dropped),
    )


def same(first: Moments, second: Moments) -> bool:
    """Whether two sets of moments are of the same rows, to the last bit."""
    return bool(
        np.array_equal(first.labels, second.labels)
        and np.array_equal(first.n, second.n)
        and np.array_equal(first.mean, second.mean)
        and np.array_equal(first.scatter, second.scatter)
    )


def _added(dropped: tuple[Dropped, ...]) -> tuple[Dropped, ...]:
    totals: dict[tuple[str, str], int] = {}
    for d in dropped:
        totals[d.reason, d.column] = totals.get((d.reason, d.column), 0) + d.rows
    return tuple(Dropped(reason, column, rows) for (reason, column), rows in totals.items())

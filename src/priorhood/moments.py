"""The one pass over rows: counts, means and centred scatter per group (math.md, section 2).

Sums are taken of differences to a value near the mean, products formed first, on the backend that
holds the rows; nothing but the sums comes to Python.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from priorhood.errors import ModelError, TableError
from priorhood.rows import (
    KEY,
    REASON,
    Dropped,
    Prepared,
    check_name,
    learn_design,
    open_rows,
    prepare,
    refuse,
    run,
    value_name,
)

if TYPE_CHECKING:
    from priorhood.design import Design
    from priorhood.formula import Formula
    from priorhood.table import Frame, Table

Array = npt.NDArray[np.float64]

# Rows looked at for values near the means; any value within some thousand sds of the mean will do.
PREVIEW = 10_000
FAR = 1e3


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


def take(
    table: Table, formula: Formula, drop_outliers: float | None = None, design: Design | None = None
) -> tuple[Design, Moments]:
    """One pass over the rows of a table.

    Parameters
    ----------
    design : of an earlier fit, to take new rows into the same columns; learned from the table if None

    Raises
    ------
    TableError : a column that is not there or cannot be used; no rows left
    """
    frame = open_rows(table, formula)
    learned = learn_design(frame, formula, table.name)
    if design is None:
        design = learned
    else:
        _same_categories(design, learned, table.name)
    prepared = prepare(frame, design, drop_outliers)
    shift = _preview_means(prepared, table.name)
    moments = _sums(frame, design, prepared, shift, table)
    mean, scatter = moments.pooled()
    spread = np.sqrt(np.diag(scatter) / moments.rows)
    if (np.abs(mean - shift) > FAR * spread).any():
        moments = _sums(frame, design, prepared, mean, table)
    return design, moments


def _same_categories(design: Design, found: Design, name: str) -> None:
    for factor, categories in found.categories.items():
        new = [c for c in categories if c not in design.categories.get(factor, ())]
        if new:
            raise TableError(
                f"{name}: predictor {factor!r} has the category {new[0]!r}, which the fitted model has not; "
                f"fit the model again from all rows"
            )


def _preview_means(prepared: Prepared, name: str) -> Array:
    """Means of the first usable rows."""
    import narwhals.stable.v2 as nw

    some_rows = prepared.frame.filter(nw.col(REASON) == 0).head(PREVIEW)
    found = run(some_rows.select(*(nw.col(value_name(i)).mean() for i in range(prepared.values))), name)
    means = np.array([found[value_name(i)][0] for i in range(prepared.values)], dtype=float)
    return np.asarray(np.nan_to_num(means))


def _sums(frame: Frame, design: Design, prepared: Prepared, shift: Array, table: Table) -> Moments:
    """Group-by with products formed first, then plain sums: the form that every backend computes."""
    import narwhals.stable.v2 as nw

    C = prepared.values
    centred = prepared.frame.with_columns(
        *((nw.col(value_name(i)) - float(shift[i])).alias(value_name(i)) for i in range(C))
    )
    pairs = [(a, b) for a in range(C) for b in range(a + 1)]
    products = [(nw.col(value_name(a)) * nw.col(value_name(b))).alias(f"p{a}_{b}") for a, b in pairs]
    counts = [
        nw.when(nw.col(REASON) == r).then(nw.lit(1)).otherwise(nw.lit(0)).alias(f"r{r}")
        for r in range(len(prepared.flags) + 1)
    ]
    failures = [check_name(i) for i in range(len(prepared.checks))]
    reasons = [f"r{r}" for r in range(len(counts))]
    sums = [*reasons, *failures, *map(value_name, range(C)), *(f"p{a}_{b}" for a, b in pairs)]
    grouped = (
        centred.with_columns(*products, *counts)
        .select(KEY, *sums)
        .group_by(KEY)
        .agg(*(nw.col(s).sum() for s in sums))
    )
    found = run(grouped, table.name)
    keys = ["" if _no_label(k) else normal_label(str(k)) for k in found[KEY]]
    labels, inverse = np.unique(np.array(keys, dtype=str), return_inverse=True)

    def total(column: str) -> Array:
        values = np.nan_to_num(np.asarray(found[column], dtype=float))
        return np.bincount(inverse, weights=values, minlength=len(labels)).astype(np.float64)

    refuse(frame, design, prepared, [int(total(f).sum()) for f in failures], table.name)
    read = int(sum(total(r).sum() for r in reasons))
    dropped = tuple(
        Dropped(flag.reason, flag.column, int(total(f"r{at + 1}").sum())) for at, flag in enumerate(prepared.flags)
    )
    dropped = tuple(d for d in dropped if d.rows)
    n = total("r0")
    if not n.sum():
        raise TableError(_nothing_left(table.name, read, dropped))
    used = n > 0
    first = np.stack([total(value_name(i)) for i in range(C)], axis=1)[used]
    second = np.empty((len(labels), C, C))
    for a, b in pairs:
        second[:, a, b] = second[:, b, a] = total(f"p{a}_{b}")
    n = n[used]
    off = first / n[:, None]
    scatter = second[used] - n[:, None, None] * off[:, :, None] * off[:, None, :]
    scatter[n == 1] = 0.0
    diagonal = np.arange(C)
    scatter[:, diagonal, diagonal] = np.maximum(scatter[:, diagonal, diagonal], 0.0)
    formula = design.formula
    group = formula.groups[0] if formula.groups else ""
    names = (*(c.name for c in design.columns if c.factors), formula.outcome)
    return Moments(group, labels[used], names, n, shift + off, scatter, read, dropped)


def _no_label(key: object) -> bool:
    return key is None or (isinstance(key, float) and np.isnan(key))


def _nothing_left(name: str, read: int, dropped: tuple[Dropped, ...]) -> str:
    if not read:
        return f"{name} has a header but no rows"
    reasons = "; ".join(str(d) for d in dropped)
    return f"{name}: none of the {read:,} rows can be used ({reasons})"


def merge(first: Moments, second: Moments) -> Moments:
    """The moments of both sets of rows together, exactly (Chan, Golub & LeVeque 1979).

    n = n₁ + n₂, mean = mean₁ + δ n₂/n, scatter = scatter₁ + scatter₂ + δδᵀ n₁n₂/n, δ = mean₂ − mean₁
    """
    if first.columns != second.columns or first.group != second.group:
        raise ModelError(
            f"these were fitted with different columns: {', '.join(first.columns)} by {first.group!r}, and "
            f"{', '.join(second.columns)} by {second.group!r}"
        )
    labels = np.union1d(first.labels, second.labels)
    C = len(first.columns)

    def spread_out(part: Moments) -> tuple[Array, Array, Array]:
        at = np.searchsorted(labels, part.labels)
        n, mean, scatter = np.zeros(len(labels)), np.zeros((len(labels), C)), np.zeros((len(labels), C, C))
        n[at], mean[at], scatter[at] = part.n, part.mean, part.scatter
        return n, mean, scatter

    n1, mean1, scatter1 = spread_out(first)
    n2, mean2, scatter2 = spread_out(second)
    n = n1 + n2
    mean1 = np.where(n1[:, None] > 0, mean1, mean2)
    delta = np.where(n2[:, None] > 0, mean2 - mean1, 0.0)
    mean = mean1 + delta * (n2 / n)[:, None]
    scatter = scatter1 + scatter2 + (n1 * n2 / n)[:, None, None] * delta[:, :, None] * delta[:, None, :]
    return replace(
        first,
        labels=labels,
        n=n,
        mean=mean,
        scatter=scatter,
        read=first.read + second.read,
        dropped=_added(first.dropped + second.dropped),
    )


def _added(dropped: tuple[Dropped, ...]) -> tuple[Dropped, ...]:
    totals: dict[tuple[str, str], int] = {}
    for d in dropped:
        totals[d.reason, d.column] = totals.get((d.reason, d.column), 0) + d.rows
    return tuple(Dropped(reason, column, rows) for (reason, column), rows in totals.items())

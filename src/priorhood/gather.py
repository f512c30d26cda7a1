"""The one pass over rows: a table's sums, taken on the backend that holds the rows.

Products are formed first, of differences to a value near the mean; then come plain sums by group, the
form that every backend computes. Nothing but the sums comes to Python.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood.design import Design, Indicator
from priorhood.errors import TableError
from priorhood.moments import Array, Moments, fold, normal_label
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
    from priorhood.formula import Formula
    from priorhood.table import Table

# Rows looked at for values near the means; any value within some thousand sds of the mean will do.
PREVIEW = 10_000
FAR = 1e3
# A group this many of its sds from the common centre is summed again around its own.
APART = 1e3


def take(
    table: Table, formula: Formula, drop_outliers: float | None = None, design: Design | None = None
) -> tuple[Design, Moments]:
    """One pass over the rows of a table; a second where the first one's centres were far off.

    Parameters
    ----------
    design : of an earlier fit, to take new rows into the same columns; learned from the table if None

    Raises
    ------
    TableError : a column that is not there or cannot be used; no rows left
    """
    frame = open_rows(table, formula)
    learned = learn_design(frame, formula, table.name, least=2 if design is None else 0)
    if design is None:
        design = learned
    else:
        _same_categories(design, learned, table.name)
    prepared = prepare(frame, design, drop_outliers)
    shift = _preview_means(prepared, design, table.name)
    found = _sums(prepared, design, shift, table.name)
    refuse(frame, design, prepared, found.failures, table.name)
    moments = _moments(found, prepared, design, table.name)
    if _too_far(moments, shift):
        found = _sums(prepared, design, None, table.name)
        moments = _moments(found, prepared, design, table.name)
    return design, moments


def _same_categories(design: Design, found: Design, name: str) -> None:
    for factor, categories in found.categories.items():
        new = [c for c in categories if c not in design.categories.get(factor, ())]
        if new:
            raise TableError(
                f"{name}: predictor {factor!r} has the category {new[0]!r}, which the fitted model has not; "
                f"fit the model again from all rows"
            )


def _too_far(moments: Moments, shift: Array) -> bool:
    """Whether n (mean − shift)² outweighs a scatter so far that their difference lost digits."""
    _, scatter = moments.pooled()
    scale = np.sqrt(np.diag(scatter) / moments.rows)
    sd = np.sqrt(np.diagonal(moments.scatter, axis1=1, axis2=2) / moments.n[:, None])
    away = np.abs(moments.mean - shift)
    # A group without any spread of its own is judged by what rounding alone would leave of it.
    lost = (away > APART * sd) & (sd > 1e-9 * away) & (moments.n[:, None] > 1)
    return bool(lost.any() or (away.min(axis=0) > FAR * scale).any())


def _indicators(design: Design) -> list[str | None]:
    """For every value: the factor whose single indicator it is, or None."""
    columns = [c for c in design.columns if c.factors]
    own = [c.factors[0] if len(c.factors) == 1 else None for c in columns]
    return [f.factor if isinstance(f, Indicator) else None for f in own] + [None]


def _preview_means(prepared: Prepared, design: Design, name: str) -> Array:
    """Means of the first usable rows; 0 for indicators, whose products then vanish."""
    import narwhals.stable.v2 as nw

    some_rows = prepared.frame.filter(nw.col(REASON) == 0).head(PREVIEW)
    found = run(some_rows.select(*(nw.col(value_name(i)).mean() for i in range(prepared.values))), name)
    means = np.array([found[value_name(i)][0] for i in range(prepared.values)], dtype=float)
    plain = np.array([factor is None for factor in _indicators(design)])
    return np.where(plain, np.nan_to_num(means), 0.0)


@dataclass(frozen=True)
class _Sums:
    """Per key as the table has it: centres (k, C), sums (k, C) and products (k, C, C) around them.

    counts (k, 1 + flags) : rows by reason, used ones first; failures : rows that fail each check
    """

    keys: list[str]
    centre: Array
    first: Array
    second: Array
    counts: Array
    failures: list[int]


def _sums(prepared: Prepared, design: Design, shift: Array | None, name: str) -> _Sums:
    """Sums around a common shift or, without one, around every group's own mean."""
    import narwhals.stable.v2 as nw

    C = prepared.values
    values = [value_name(i) for i in range(C)]
    frame: Any = prepared.frame
    centres: list[str] = []
    if shift is None:
        centres = [f"c{i}" for i in range(C)]
        frame = frame.with_columns(
            *(nw.col(v).mean().over(KEY).alias(c) for v, c in zip(values, centres, strict=True))
        )
        centred = [(nw.col(v) - nw.col(c)).alias(v) for v, c in zip(values, centres, strict=True)]
    else:
        centred = [(nw.col(v) - float(s)).alias(v) for v, s in zip(values, shift, strict=True)]
    # Indicators of one factor exclude each other: around 0 their products are nothing, or themselves.
    factors = _indicators(design) if shift is not None else [None] * C
    pairs = [(a, b) for a in range(C) for b in range(a + 1) if factors[a] is None or factors[a] != factors[b]]
    products = [(nw.col(values[a]) * nw.col(values[b])).alias(f"p{a}_{b}") for a, b in pairs]
    reasons = [f"r{r}" for r in range(len(prepared.flags) + 1)]
    counts = [
        nw.when(nw.col(REASON) == r).then(nw.lit(1)).otherwise(nw.lit(0)).alias(reason)
        for r, reason in enumerate(reasons)
    ]
    failures = [check_name(i) for i in range(len(prepared.checks))]
    sums = [*reasons, *failures, *values, *(f"p{a}_{b}" for a, b in pairs)]
    grouped = (
        frame.with_columns(*centred)
        .with_columns(*products, *counts)
        .select(KEY, *sums, *centres)
        .group_by(KEY)
        .agg(*(nw.col(s).sum() for s in sums), *(nw.col(c).min() for c in centres))
    )
    found = run(grouped, name)
    first = _stacked(found, values)
    second = np.zeros((len(first), C, C))
    for a, b in pairs:
        second[:, a, b] = second[:, b, a] = _numbers(found[f"p{a}_{b}"])
    for a in range(C):
        if factors[a] is not None:
            second[:, a, a] = first[:, a]
    return _Sums(
        keys=["" if _no_label(k) else normal_label(str(k)) for k in found[KEY]],
        centre=np.broadcast_to(shift, first.shape) if shift is not None else _stacked(found, centres),
        first=first,
        second=second,
        counts=_stacked(found, reasons),
        failures=[int(_numbers(found[f]).sum()) for f in failures],
    )


def _numbers(column: Any) -> Array:
    """A column of sums; the sum of no value is 0."""
    return np.asarray(np.nan_to_num(np.asarray(column, dtype=float)), dtype=np.float64)


def _stacked(found: dict[str, Any], columns: list[str]) -> Array:
    return np.stack([_numbers(found[c]) for c in columns], axis=1)


def _moments(found: _Sums, prepared: Prepared, design: Design, name: str) -> Moments:
    """Sums → moments; keys that are one label in different spellings are joined."""
    read = int(found.counts.sum())
    rows = found.counts.sum(axis=0).astype(int)[1:]
    reasons = zip(prepared.flags, rows.tolist(), strict=True)
    dropped = tuple(Dropped(flag.reason, flag.column, count) for flag, count in reasons if count)
    used = found.counts[:, 0] > 0
    if not used.any():
        raise TableError(_nothing_left(name, read, dropped))
    n = found.counts[used, 0]
    off = found.first[used] / n[:, None]
    scatter = found.second[used] - n[:, None, None] * off[:, :, None] * off[:, None, :]
    scatter[n == 1] = 0.0
    diagonal = np.arange(scatter.shape[1])
    scatter[:, diagonal, diagonal] = np.maximum(scatter[:, diagonal, diagonal], 0.0)
    keys: npt.NDArray[np.str_] = np.array(found.keys, dtype=str)[used]
    labels, n, mean, scatter = fold(keys, n, found.centre[used] + off, scatter)
    formula = design.formula
    group = formula.groups[0] if formula.groups else ""
    names = (*(c.name for c in design.columns if c.factors), formula.outcome)
    return Moments(group, labels, names, n, mean, scatter, read, dropped)


def _no_label(key: object) -> bool:
    return key is None or (isinstance(key, float) and np.isnan(key))


def _nothing_left(name: str, read: int, dropped: tuple[Dropped, ...]) -> str:
    if not read:
        return f"{name} has a header but no rows"
    reasons = "; ".join(str(d) for d in dropped)
    return f"{name}: none of the {read:,} rows can be used ({reasons})"

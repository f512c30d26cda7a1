"""The single pass over the rows: a table's sums, computed on the backend that holds the rows.

The pass forms products of differences from a value near the mean, then plain sums by group, which every backend
can compute. Only the sums come to Python. A row counts with its weight w, 1/se² if its error is known
(math.md, equation 5), and as often as the identical rows that it represents.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import join_words
from priorhood.data.dropped import Dropped
from priorhood.data.labels import normal_key
from priorhood.data.rows import KEY, REASON, check_name, value_name
from priorhood.data.schema import refuse_unwritable
from priorhood.data.sources.backend import is_elsewhere
from priorhood.data.sources.columns import explain_table_errors, in_numpy, run
from priorhood.errors import TableError
from priorhood.model.design import Indicator
from priorhood.suffstats.duckdb_scan import scanned
from priorhood.suffstats.memory_scan import MANY, BatchedRows, BatchSums, FewColumns, Names, summed
from priorhood.suffstats.moments import CellMoments, add_up, fold

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Labels
    from priorhood.data.rows import PreparedRows
    from priorhood.model.design import Design
    from priorhood.model.weights import Weights

PREVIEW = 10_000  # rows read for values near the means: within some thousand sds suffices
MAX_SUM = 1e305  # largest sum of products, of weighted values too
# A centre this many sds (of all rows, and of the group) from a group's mean is replaced by the group's mean.
FAR, APART = 1e3, 1e3
FRAGMENTED = 99  # largest number of columns, without the key, that pandas does not call fragmented
WEIGHT = "__priorhood_weight"
LOG_WEIGHT = "__priorhood_log_weight"
TIMES = "__priorhood_times"


def collect_moments(rows: PreparedRows) -> CellMoments:
    """Sum the rows in one pass, or in two if the first one's centres were far off.

    Raises
    ------
    TableError
        Values that cannot be used, named with their rows; no rows are left.
    """
    # Infinite values are refused by name later; NumPy need not warn of them.
    with rows.exclusive(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        in_process = _in_process(rows)
        shift = _preview_means(rows, in_process)
        indicators = _indicators(rows.design)
        scan = scanned(rows, shift, _pairs(indicators)) if len(shift) < MANY else None
        if scan:
            _square_indicators(scan[0], indicators)
        sums, thousands = scan or (_sums(rows, in_process, shift), None)
        rows.check(sums.failures, thousands)
        # A file's statistics may be wrong, so that no single value seems too large.
        largest = np.abs(np.diagonal(sums.second, axis1=1, axis2=2)).max(axis=0, initial=0)
        largest = np.maximum(largest, np.abs(sums.first).max(axis=0, initial=0))
        if not (largest < MAX_SUM).all():
            names = (*(c.name for c in rows.design.columns if c.factors), rows.design.formula.outcome)
            raise TableError(
                f"{rows.name}: the sums of {names[int(np.argmin(largest < MAX_SUM))]!r} overflow, although no "
                f"single value is too large; a file may be damaged: write it again"
            )
        moments = _moments(sums, rows)
        return _moments(_sums(rows, in_process, None), rows) if _too_far(moments, shift) else moments


def _too_far(moments: CellMoments, shift: Array) -> bool:
    """Return whether n (mean − shift)² is so much larger than a scatter that their difference lost digits."""
    _, scatter = moments.pooled()
    scale = np.sqrt(np.diag(scatter) / moments.mass.sum())
    sd = np.sqrt(np.diagonal(moments.scatter, axis1=1, axis2=2) / moments.mass[:, None])
    away = np.abs(moments.mean - shift)
    # Spreads that may be mere rounding do not count: up to √(nε) away, the bound of a plain sum, for predictors,
    # which are often constant within a place; less for the outcome.
    rounding = np.full(sd.shape, 1e-9)
    rounding[:, :-1] = np.sqrt(moments.n * np.finfo(float).eps)[:, None]
    lost = (away > APART * sd) & (sd > rounding * away) & (moments.n[:, None] > 1)
    return bool(lost.any() or (away.min(axis=0) > FAR * scale).any())


def _indicators(design: Design) -> list[str | None]:
    """Return, for every column and the outcome, the factor whose single indicator it is, or None."""
    columns = [c for c in design.columns if c.factors]
    single = [c.factors[0] if len(c.factors) == 1 else None for c in columns]
    return [f.factor if isinstance(f, Indicator) else None for f in single] + [None]


def _in_process(rows: PreparedRows) -> BatchedRows | FewColumns | None:
    """Return the rows as matrices if they have many columns or are NumPy arrays; None if elsewhere or too large."""
    import narwhals.stable.v2 as nw

    C = sum(1 for column in rows.design.columns if column.factors) + 1
    numbers = tuple(dict.fromkeys(value.column for value in rows.values if value.column))
    few = C < MANY
    # FewColumns is for rows without weights, left out for missing values alone, in NumPy's numbers.
    alike = not rows.weights.columns and all(flag.reason == "missing" for flag in rows.flags)
    if is_elsewhere(rows.rows) or (few and not (alike and in_numpy(rows.rows, numbers))):
        return None
    schema = rows.rows.collect_schema()
    about = {flag.column: at for at, flag in enumerate(rows.flags, start=1) if flag.reason == "missing"}
    gaps = tuple(about[column] for column in numbers)
    values = [value.column or value_name(i) for i, value in enumerate(rows.values[:C])]
    checks = [c.bounded if c.bounded in numbers else check_name(i) for i, c in enumerate(rows.checks)]
    weighing = _weighing(rows.weights, lambda column: nw.col(column).cast(nw.Float64))
    marks = [mark if mark in weighing else None for mark in (WEIGHT, LOG_WEIGHT, TIMES)]
    own = [
        *(v.built.alias(value_name(i)) for i, v in enumerate(rows.values[:C]) if not v.column),
        *(
            nw.when(~check.guard.holds).then(nw.lit(1)).otherwise(nw.lit(0)).alias(check_name(i))
            for i, check in enumerate(rows.checks)
            if check.bounded not in numbers
        ),
        *(weight.alias(mark) for mark, weight in weighing.items()),
    ]
    plain = [column for column in numbers if schema[column] == nw.Float64]
    if other := [column for column in numbers if schema[column] != nw.Float64]:
        own.append(nw.col(*other).cast(nw.Float64))
    reason = rows.reason(set(range(1, len(rows.flags) + 1)) - set(gaps))
    names = Names(KEY, REASON, numbers, gaps, tuple(values), tuple(checks), *marks)
    with explain_table_errors(rows.name):
        if few:
            return _few_columns(rows, names, own)
        batched = BatchedRows(rows.rows.select(rows.key.alias(KEY), reason, *plain, *own), names)
        return batched if batched.fit() else None


def _few_columns(rows: PreparedRows, names: Names, own: list[Any]) -> FewColumns:
    """Return the rows of a pandas frame as FewColumns; own : expressions for columns missing from the frame."""
    frame: Any = rows.rows
    labels = {
        at: flag.applies.alias(check_name(-at)) for at, flag in enumerate(rows.flags, 1) if at not in names.gaps
    }
    native = frame.to_native()
    chosen = frame.select(rows.key.alias(KEY), *labels.values(), *own).to_native()
    # Constants alone make a single row.
    key = chosen[KEY] if len(chosen) == len(native) else np.full(len(native), "", dtype=object)
    others = [name for name in dict.fromkeys((*names.values, *names.checks)) if name not in names.numbers]
    return FewColumns(
        names,
        key,
        {at: chosen[check_name(-at)].to_numpy(dtype=bool, na_value=False) for at in labels},
        [native[column].to_numpy(dtype=np.float64) for column in names.numbers],
        {name: chosen[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in others},
    )


def _preview_means(rows: PreparedRows, in_process: BatchedRows | FewColumns | None) -> Array:
    """Return means of the first used rows (C,); 0 for indicators, most of whose products are then 0."""
    import narwhals.stable.v2 as nw

    plain = np.array([factor is None for factor in _indicators(rows.design)])
    if in_process is not None:
        with explain_table_errors(rows.name):
            means = in_process.preview(PREVIEW) if isinstance(in_process, FewColumns) else in_process.preview()
    else:
        some_rows = rows.frame.filter(nw.col(REASON) == 0).head(PREVIEW)
        found = run(some_rows.select(*(nw.col(value_name(i)).mean() for i in range(len(plain)))), rows.name)
        means = np.array([found[value_name(i)][0] for i in range(len(plain))], dtype=float)
    return np.where(plain & np.isfinite(means), means, 0.0)


def _weighing(weights: Weights, of: Callable[[str], Any]) -> dict[str, Any]:
    """Return every used row's number n of identical rows (TIMES), n w and n log w; nothing if all weigh the same.

    of : column of weights → its numbers
    """
    import narwhals.stable.v2 as nw

    if not weights.columns:
        return {}
    given = weights.se or weights.precision
    w: Any = nw.lit(1.0)
    log_w: Any = nw.lit(0.0)
    if given is not None:
        # A weight of 0 is refused later, by name; its logarithm would be an error of the backend.
        value = of(given)
        safe = nw.when(value > 0).then(value)
        w, log_w = (safe, safe.log()) if weights.se is None else (1.0 / (safe * safe), safe.log() * -2.0)
    if weights.frequency is None:
        return {WEIGHT: w, LOG_WEIGHT: log_w}
    times = of(weights.frequency)
    return {TIMES: times, WEIGHT: times * w, LOG_WEIGHT: times * log_w}


def _times_weight(frame: Any, values: list[str]) -> tuple[Any, list[str]]:
    """Return the frame with w × every value, and the products' names."""
    import narwhals.stable.v2 as nw

    names = [f"w{i}" for i in range(len(values))]
    products = [(nw.col(WEIGHT) * nw.col(v)).alias(w) for v, w in zip(values, names, strict=True)]
    return frame.with_columns(*products), names


def _centred(frame: Any, values: list[str], shift: Array | None, *, weighted: bool) -> tuple[Any, list[str]]:
    """Return the frame with values minus the shift, or minus their group's mean, and the names of these means."""
    import narwhals.stable.v2 as nw

    if shift is not None:
        return frame.with_columns(
            *((nw.col(v) - float(s)).alias(v) for v, s in zip(values, shift, strict=True))
        ), []
    centres = [f"c{i}" for i in range(len(values))]
    weighed, products = _times_weight(frame, values) if weighted else (frame, [])
    if is_elsewhere(frame):
        # Means are joined: a window would move all rows of a place to one worker.
        if weighted:
            total = nw.col(WEIGHT).sum().alias("total")
            totals = weighed.group_by(KEY).agg(total, *(nw.col(p).sum() for p in products))
            shares = [(nw.col(p) / nw.col("total")).alias(c) for p, c in zip(products, centres, strict=True)]
            means = totals.filter(nw.col("total") > 0).select(KEY, *shares)
        else:
            each = [nw.col(v).mean().alias(c) for v, c in zip(values, centres, strict=True)]
            means = frame.group_by(KEY).agg(*each)
        frame = frame.join(means, on=KEY, how="left")
    else:
        each = [nw.col(v).mean().over(KEY) for v in values]
        if weighted:
            each = [nw.col(p).sum().over(KEY) / nw.col(WEIGHT).sum().over(KEY) for p in products]
        frame = weighed.with_columns(*(mean.alias(c) for mean, c in zip(each, centres, strict=True)))
    off = [(nw.col(v) - nw.col(c)).alias(v) for v, c in zip(values, centres, strict=True)]
    return frame.with_columns(*off), centres


def _pairs(factors: list[str | None]) -> list[tuple[int, int]]:
    """Return the products to sum; those of one factor's indicators, around 0, are 0 or the indicator itself."""
    C = len(factors)
    return [(a, b) for a in range(C) for b in range(a + 1) if factors[a] is None or factors[a] != factors[b]]


def _square_indicators(found: BatchSums, factors: list[str | None]) -> None:
    """Fill in the squares of indicators around 0, which _pairs omits: they equal the indicators."""
    for a, factor in enumerate(factors):
        if factor is not None:
            found.second[:, a, a] = found.first[:, a]


def _sums(rows: PreparedRows, in_process: BatchedRows | FewColumns | None, shift: Array | None) -> BatchSums:
    """Sum the rows around a common shift (C,) or, without one, around every group's mean."""
    factors = _indicators(rows.design)
    if isinstance(in_process, BatchedRows):
        with explain_table_errors(rows.name):
            return summed(in_process, shift, len(rows.flags))
    if in_process is not None and shift is not None:
        sums = in_process.summed(shift, len(rows.flags), _pairs(factors))
    else:
        sums = _backend_sums(rows, factors if shift is not None else [None] * len(factors), shift)
    _square_indicators(sums, factors if shift is not None else [])
    return sums


def _backend_sums(rows: PreparedRows, factors: list[str | None], shift: Array | None) -> BatchSums:
    """Sum the rows on the backend that holds them; factors : see _indicators, None if squares are not around 0."""
    import narwhals.stable.v2 as nw

    C = len(factors)
    values = weighted_values = [value_name(i) for i in range(C)]
    has_precisions, repeated = rows.weights.has_precisions, rows.weights.frequency is not None
    names = rows.weight_names()
    weighing = _weighing(rows.weights, lambda column: nw.col(names[column]))
    frame: Any = rows.frame
    if weighted := bool(weighing):
        frame = frame.with_columns(*(weight.alias(mark) for mark, weight in weighing.items()))
    failures = [check_name(i) for i in range(len(rows.checks))]
    frame, centres = _centred(frame, values, shift, weighted=weighted)
    if weighted:
        frame, weighted_values = _times_weight(frame, values)
    pairs = _pairs(factors)
    products = [(nw.col(weighted_values[a]) * nw.col(values[b])).alias(f"p{a}_{b}") for a, b in pairs]
    reasons = [f"r{r}" for r in range(len(rows.flags) + 1)]
    counts = [
        nw.when(nw.col(REASON) == r).then(nw.lit(1)).otherwise(nw.lit(0)).alias(reason)
        for r, reason in enumerate(reasons)
    ]
    columns = [
        *failures,
        *weighted_values,
        *([WEIGHT, LOG_WEIGHT] if has_precisions else []),
        *([TIMES] if repeated else []),
    ]
    summands = [*reasons, *(f"p{a}_{b}" for a, b in pairs), *columns]
    frame = frame.select(KEY, *products, *counts, *columns, *centres)
    # All threads share the filters of warnings, so they are changed only if pandas would warn of a fragmented
    # frame: from a hundred sums on, about a frame with one row per key, which the user cannot change.
    with warnings.catch_warnings() if len(summands) + len(centres) > FRAGMENTED else nullcontext():
        if len(summands) + len(centres) > MANY:
            warnings.filterwarnings("ignore", "DataFrame is highly fragmented")
        grouped = frame.group_by(KEY).agg(*(nw.col(s).sum() for s in summands), *(nw.col(c).min() for c in centres))
    found = run(grouped, rows.name)
    first = _stacked(found, weighted_values)
    second = np.zeros((len(first), C, C))
    for a, b in pairs:
        second[:, a, b] = second[:, b, a] = _numbers(found[f"p{a}_{b}"])
    counted = _stacked(found, reasons)
    return BatchSums(
        keys=list(found[KEY]),
        centre=np.broadcast_to(shift, first.shape) if shift is not None else _stacked(found, centres),
        first=first,
        second=second,
        counts=counted,
        n=_numbers(found[TIMES]) if repeated else counted[:, 0],
        failures=tuple(int(_numbers(found[f]).sum()) for f in failures),
        weight=_numbers(found[WEIGHT]) if has_precisions else None,
        log_weight=_numbers(found[LOG_WEIGHT]) if has_precisions else None,
    )


def _numbers(column: Any) -> Array:
    """Return a column of sums (k,); the sum of no values is 0."""
    return np.asarray(np.nan_to_num(np.asarray(column, dtype=float)), dtype=np.float64)


def _stacked(found: dict[str, Any], columns: list[str]) -> Array:
    """Return columns of sums side by side: (k, columns)."""
    return np.stack([_numbers(found[c]) for c in columns], axis=1)


def _moments(found: BatchSums, rows: PreparedRows) -> CellMoments:
    """Return the moments of sums; keys that spell one label differently are joined."""
    name, design = rows.name, rows.design
    read = int(found.counts.sum())
    left_out = zip(rows.flags, found.counts.sum(axis=0).astype(int)[1:].tolist(), strict=True)
    dropped = tuple(Dropped(flag.reason, flag.column, count) for flag, count in left_out if count)
    used = found.counts[:, 0] > 0
    if not read:
        raise TableError(f"{name} has a header but no rows")
    if not used.any():
        reasons = "; ".join(str(d) for d in dropped)
        raise TableError(f"{name}: none of the {read:,} rows can be used ({reasons})")
    n = found.n[used]
    mass = n if found.weight is None else found.weight[used]
    off = found.first[used] / mass[:, None]
    scatter = found.second[used]
    scatter -= (mass[:, None] * off)[:, :, None] * off[:, None, :]
    scatter[found.counts[used, 0] == 1] = 0.0
    diagonal = np.arange(scatter.shape[1])
    scatter[:, diagonal, diagonal] = np.maximum(scatter[:, diagonal, diagonal], 0.0)
    where = design.formula.keys
    normal = ["" if k is None or (isinstance(k, float) and np.isnan(k)) else normal_key(str(k)) for k in found.keys]
    labels_used = (key for key, counts in zip(normal, used, strict=True) if counts)
    refuse_unwritable(labels_used, join_words(map(repr, where), "or"), name, max(len(where), 1))
    for factor, categories in design.categories.items():
        refuse_unwritable(categories, repr(factor), name)
    keys: Labels = np.array(normal, dtype=str)[used]
    labels, mass, mean, scatter = fold(keys, mass, found.centre[used] + off, scatter)
    names = (*(c.name for c in design.columns if c.factors), design.formula.outcome)
    if found.weight is None or found.log_weight is None:
        return CellMoments(where, labels, names, mass, mean, scatter, read, dropped)
    rows_by_label, logs = add_up(keys, n), add_up(keys, found.log_weight[used])
    return CellMoments(
        where, labels, names, rows_by_label, mean, scatter, read, dropped, mass, float(logs.sum()), logs
    )

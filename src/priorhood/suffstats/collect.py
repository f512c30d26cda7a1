"""The one pass over rows: a table's sums, taken on the backend that holds the rows.

Products are formed first, of differences to a value near the mean; then come plain sums by group, the
form that every backend computes. Nothing but the sums comes to Python. A row counts with its weight w, 1/se²
where its error is known (math.md, equation 5), and as often as it stands for equal rows.
"""

from __future__ import annotations

import warnings
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import listed
from priorhood.data.dropped import Dropped
from priorhood.data.labels import normal_key
from priorhood.data.roles import check_rest
from priorhood.data.rows import KEY, REASON, Prepared, check_name, open_rows, prepare, refuse, value_name
from priorhood.data.schema import learn_design, refuse_ids, refuse_unwritable
from priorhood.data.sources.columns import in_numpy, part_named, run
from priorhood.data.sources.remote import is_elsewhere
from priorhood.errors import TableError
from priorhood.model.design import Design, Indicator
from priorhood.model.weights import UNWEIGHTED, Weights
from priorhood.suffstats.duckdb_scan import scanned
from priorhood.suffstats.memory_scan import MANY, BatchedRows, BatchSums, FewColumns, Names, summed
from priorhood.suffstats.moments import CellMoments, add_up, fold
from priorhood.suffstats.recode import united

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Labels
    from priorhood.data.sources.table import Frame, Table
    from priorhood.model.formula import Formula

# Rows looked at for values near the means; any value within some thousand sds of the mean will do.
PREVIEW = 10_000
# Products of sums, of weighted values too, are numbers up to here.
MOST = 1e305
FAR = 1e3
# A group this many of its sds from the common centre is summed again around its own.
APART = 1e3
# Columns of a pandas frame that it calls fragmented, less the key.
FRAGMENTED = 99
WEIGHT = "__priorhood_weight"
LOG_WEIGHT = "__priorhood_log_weight"
TIMES = "__priorhood_times"


def collect_moments(
    table: Table,
    formula: Formula,
    drop_outliers: float | None = None,
    design: Design | None = None,
    weights: Weights = UNWEIGHTED,
    *,
    least: int = 2,
    grow: bool = False,
) -> tuple[Design, CellMoments]:
    """One pass over the rows of a table; a second where the first one's centres were far off.

    Parameters
    ----------
    design : of an earlier fit, to take new rows into the same columns; learned from the table if None
    weights : the columns that say what a row counts
    least : categories that a categorical predictor needs where the design is learned
    grow : whether categories that the earlier fit had not become columns of the design returned; else refused

    Raises
    ------
    TableError : a column that is not there or cannot be used; a group that is an id of rows; no rows left
    """
    # What a row makes infinite is refused by its name; NumPy need not warn of it before.
    with table.alone(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        frame = open_rows(table, formula, weights, design)
        refuse_ids(frame, formula.keys, table.name)
        least = least if design is None else 0
        learned = learn_design(frame, formula, table.name, least, table.orders)
        if design is None:
            design = learned
        elif grow:
            design = united(design, learned)
        else:
            _same_categories(design, learned, table.name)
        prepared = prepare(frame, design, drop_outliers, weights)
        rows = _in_batches(prepared, design, table.name)
        shift = _preview_means(prepared, rows, design, table.name)
        looked = tuple(sorted(table.unread))
        scan = _scanned(frame, prepared, design, shift, looked, table.name) if len(shift) < MANY else None
        found, late = scan or (_sums(prepared, rows, design, shift, table.name), None)
        check_rest(frame, table, late)
        refuse(frame, design, prepared, found.failures, table.name)
        _refuse_overflow(found, design, table.name)
        moments = _moments(found, prepared, design, table.name)
        if _too_far(moments, shift):
            found = _sums(prepared, rows, design, None, table.name)
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


def _refuse_overflow(found: BatchSums, design: Design, name: str) -> None:
    """What no row was found guilty of: a part that is not as its own statistics say."""
    names = (*(c.name for c in design.columns if c.factors), design.formula.outcome)
    square = np.abs(np.diagonal(found.second, axis1=1, axis2=2)).max(axis=0, initial=0)
    wrong = [n for n, most, first in zip(names, square, found.first.T, strict=True)
             if not max(most, np.abs(first).max(initial=0)) < MOST]  # fmt: skip
    if wrong:
        raise TableError(
            f"{name}: the sums of {wrong[0]!r} are too large for numbers, though no value was found to be; a file "
            f"may be damaged: make it anew"
        )


def _too_far(moments: CellMoments, shift: Array) -> bool:
    """Whether n (mean − shift)² outweighs a scatter so far that their difference lost digits."""
    _, scatter = moments.pooled()
    scale = np.sqrt(np.diag(scatter) / moments.mass.sum())
    sd = np.sqrt(np.diagonal(moments.scatter, axis1=1, axis2=2) / moments.mass[:, None])
    away = np.abs(moments.mean - shift)
    # A group without any spread of its own is judged by what rounding alone would leave of it: of predictors,
    # which often are constant within a place, up to √(nε) away, the bound of a plain sum; of the outcome less.
    least = np.full(sd.shape, 1e-9)
    least[:, :-1] = np.sqrt(moments.n * np.finfo(float).eps)[:, None]
    lost = (away > APART * sd) & (sd > least * away) & (moments.n[:, None] > 1)
    return bool(lost.any() or (away.min(axis=0) > FAR * scale).any())


def _indicators(design: Design) -> list[str | None]:
    """For every column and the outcome: the factor whose single indicator it is, or None."""
    columns = [c for c in design.columns if c.factors]
    own = [c.factors[0] if len(c.factors) == 1 else None for c in columns]
    return [f.factor if isinstance(f, Indicator) else None for f in own] + [None]


def _in_batches(prepared: Prepared, design: Design, name: str) -> BatchedRows | FewColumns | None:
    """The rows as matrices where columns are many, or there already; None elsewhere, or without room in memory."""
    import narwhals.stable.v2 as nw

    C = sum(1 for column in design.columns if column.factors) + 1
    numbers = tuple(dict.fromkeys(value.column for value in prepared.values if value.column))
    few = C < MANY
    if is_elsewhere(prepared.rows) or (few and not _are_few(prepared, numbers)):
        return None
    schema = prepared.rows.collect_schema()
    about = {flag.column: at for at, flag in enumerate(prepared.flags, start=1) if flag.reason == "missing"}
    gaps = tuple(about[column] for column in numbers)
    values = [value.column or value_name(i) for i, value in enumerate(prepared.values[:C])]
    checks = [c.bounded if c.bounded in numbers else check_name(i) for i, c in enumerate(prepared.checks)]
    weighing = _weighing(prepared.weights, lambda column: nw.col(column).cast(nw.Float64))
    marks = [mark if mark in weighing else None for mark in (WEIGHT, LOG_WEIGHT, TIMES)]
    own = [
        *(v.built.alias(value_name(i)) for i, v in enumerate(prepared.values[:C]) if not v.column),
        *(
            nw.when(~check.guard.holds).then(nw.lit(1)).otherwise(nw.lit(0)).alias(check_name(i))
            for i, check in enumerate(prepared.checks)
            if check.bounded not in numbers
        ),
        *(weight.alias(mark) for mark, weight in weighing.items()),
    ]
    plain = [column for column in numbers if schema[column] == nw.Float64]
    if other := [column for column in numbers if schema[column] != nw.Float64]:
        own.append(nw.col(*other).cast(nw.Float64))
    reason = prepared.reason(set(range(1, len(prepared.flags) + 1)) - set(gaps))
    names = Names(KEY, REASON, numbers, gaps, tuple(values), tuple(checks), *marks)
    with part_named(name):
        if few:
            return _few(prepared, names, own)
        rows = BatchedRows(prepared.rows.select(prepared.key.alias(KEY), reason, *plain, *own), names)
        return rows if rows.fit() else None


def _are_few(prepared: Prepared, numbers: tuple[str, ...]) -> bool:
    """Whether FewColumns takes them: every row alike, left out for what is missing alone, and NumPy's numbers."""
    plain = not prepared.weights.columns and all(flag.reason == "missing" for flag in prepared.flags)
    return plain and in_numpy(prepared.rows, numbers)


def _few(prepared: Prepared, names: Names, own: list[Any]) -> FewColumns:
    rows: Any = prepared.rows
    labels = {
        at: flag.applies.alias(check_name(-at)) for at, flag in enumerate(prepared.flags, 1) if at not in names.gaps
    }
    native = rows.to_native()
    chosen = rows.select(prepared.key.alias(KEY), *labels.values(), *own).to_native()
    # A constant alone has one row.
    key = chosen[KEY] if len(chosen) == len(native) else np.full(len(native), "", dtype=object)
    others = [name for name in dict.fromkeys((*names.values, *names.checks)) if name not in names.numbers]
    return FewColumns(
        names,
        key,
        {at: chosen[check_name(-at)].to_numpy(dtype=bool, na_value=False) for at in labels},
        [native[column].to_numpy(dtype=np.float64) for column in names.numbers],
        {name: chosen[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in others},
    )


def _preview_means(prepared: Prepared, rows: BatchedRows | FewColumns | None, design: Design, name: str) -> Array:
    """Means of the first usable rows; 0 for indicators, whose products then vanish."""
    import narwhals.stable.v2 as nw

    plain = np.array([factor is None for factor in _indicators(design)])
    if rows is not None:
        with part_named(name):
            means = rows.preview(PREVIEW) if isinstance(rows, FewColumns) else rows.preview()
    else:
        some_rows = prepared.frame.filter(nw.col(REASON) == 0).head(PREVIEW)
        found = run(some_rows.select(*(nw.col(value_name(i)).mean() for i in range(len(plain)))), name)
        means = np.array([found[value_name(i)][0] for i in range(len(plain))], dtype=float)
    return np.where(plain & np.isfinite(means), means, 0.0)


def _weighing(weights: Weights, of: Callable[[str], Any]) -> dict[str, Any]:
    """What every used row counts: n equal rows (TIMES), n w and n log w; nothing where rows count alike.

    of : the numbers of a column of weights
    """
    import narwhals.stable.v2 as nw

    if not weights.columns:
        return {}
    given = weights.se or weights.precision
    w: Any = nw.lit(1.0)
    log_w: Any = nw.lit(0.0)
    if given is not None:
        # A weight of 0 is refused later, by name; its logarithm would be an error of the backend's own.
        value = of(given)
        safe = nw.when(value > 0).then(value)
        w, log_w = (safe, safe.log()) if weights.se is None else (1.0 / (safe * safe), safe.log() * -2.0)
    if weights.frequency is None:
        return {WEIGHT: w, LOG_WEIGHT: log_w}
    times = of(weights.frequency)
    return {TIMES: times, WEIGHT: times * w, LOG_WEIGHT: times * log_w}


def _times_weight(frame: Any, values: list[str]) -> tuple[Any, list[str]]:
    """The frame with w × every value, and the products' names."""
    import narwhals.stable.v2 as nw

    names = [f"w{i}" for i in range(len(values))]
    products = [(nw.col(WEIGHT) * nw.col(v)).alias(w) for v, w in zip(values, names, strict=True)]
    return frame.with_columns(*products), names


def _centred(frame: Any, values: list[str], shift: Array | None, *, weighted: bool) -> tuple[Any, list[str]]:
    """The frame with the values less the shift, or less their group's mean; the names of these means."""
    import narwhals.stable.v2 as nw

    if shift is not None:
        return frame.with_columns(
            *((nw.col(v) - float(s)).alias(v) for v, s in zip(values, shift, strict=True))
        ), []
    centres = [f"c{i}" for i in range(len(values))]
    if is_elsewhere(frame):
        frame = _beside_means(frame, values, centres, weighted=weighted)
        return _less(frame, values, centres), centres
    if weighted:
        frame, products = _times_weight(frame, values)
        total = nw.col(WEIGHT).sum().over(KEY)
        means = [nw.col(p).sum().over(KEY) / total for p in products]
    else:
        means = [nw.col(v).mean().over(KEY) for v in values]
    frame = frame.with_columns(*(mean.alias(c) for mean, c in zip(means, centres, strict=True)))
    return _less(frame, values, centres), centres


def _less(frame: Any, values: list[str], centres: list[str]) -> Any:
    import narwhals.stable.v2 as nw

    return frame.with_columns(*((nw.col(v) - nw.col(c)).alias(v) for v, c in zip(values, centres, strict=True)))


def _beside_means(frame: Any, values: list[str], centres: list[str], *, weighted: bool) -> Any:
    """The rows with their group's means, joined: a window would move all rows of a place to one worker."""
    import narwhals.stable.v2 as nw

    if weighted:
        products, names = _times_weight(frame, values)
        totals = products.group_by(KEY).agg(nw.col(WEIGHT).sum().alias("total"), *(nw.col(p).sum() for p in names))
        shares = [(nw.col(p) / nw.col("total")).alias(c) for p, c in zip(names, centres, strict=True)]
        means = totals.filter(nw.col("total") > 0).select(KEY, *shares)
    else:
        means = frame.group_by(KEY).agg(*(nw.col(v).mean().alias(c) for v, c in zip(values, centres, strict=True)))
    return frame.join(means, on=KEY, how="left")


def _pairs(factors: list[str | None]) -> list[tuple[int, int]]:
    """The products to sum: indicators of one factor exclude each other, around 0 they are nothing or themselves."""
    C = len(factors)
    return [(a, b) for a in range(C) for b in range(a + 1) if factors[a] is None or factors[a] != factors[b]]


def _scanned(
    frame: Frame, prepared: Prepared, design: Design, shift: Array, looked: tuple[str, ...], name: str
) -> tuple[BatchSums, tuple[str, ...]] | None:
    """The same as _sums where one plain scan finds it, and the columns for check_rest."""
    factors = _indicators(design)
    found = scanned(frame, design, prepared, shift, _pairs(factors), name, looked)
    if found is None:
        return None
    sums = BatchSums(
        keys=[normal_key(key) for key in found.keys],
        centre=np.broadcast_to(shift, found.first.shape),
        first=found.first,
        second=found.second,
        counts=found.counts,
        failures=[0] * len(prepared.checks),
        n=found.counts[:, 0],
        weight=None,
        log_weight=None,
    )
    _square_indicators(sums, factors)
    return sums, found.late


def _square_indicators(found: BatchSums, factors: list[str | None]) -> None:
    """Put in the squares of indicators around 0, which _pairs leaves out: they are themselves."""
    for a, factor in enumerate(factors):
        if factor is not None:
            found.second[:, a, a] = found.first[:, a]


def _sums(
    prepared: Prepared, rows: BatchedRows | FewColumns | None, design: Design, shift: Array | None, name: str
) -> BatchSums:
    """Sums around a common shift or, without one, around every group's own mean."""
    import narwhals.stable.v2 as nw

    factors = _indicators(design)
    added = None
    if isinstance(rows, BatchedRows):
        with part_named(name):
            added = summed(rows, shift, len(prepared.flags))
    elif rows is not None and shift is not None:
        added = rows.summed(shift, len(prepared.flags), _pairs(factors))
        _square_indicators(added, factors)
    if added is not None:
        return replace(added, keys=["" if _no_label(k) else normal_key(str(k)) for k in added.keys])
    C = len(factors)
    values = left = [value_name(i) for i in range(C)]
    graded, repeated = prepared.weights.graded, prepared.weights.frequency is not None
    names = prepared.weight_names()
    weighing = _weighing(prepared.weights, lambda column: nw.col(names[column]))
    frame: Any = prepared.frame
    if weighted := bool(weighing):
        frame = frame.with_columns(*(weight.alias(mark) for mark, weight in weighing.items()))
    failures = [check_name(i) for i in range(len(prepared.checks))]
    frame, centres = _centred(frame, values, shift, weighted=weighted)
    if weighted:
        frame, left = _times_weight(frame, values)
    factors = factors if shift is not None else [None] * C
    pairs = _pairs(factors)
    products = [(nw.col(left[a]) * nw.col(values[b])).alias(f"p{a}_{b}") for a, b in pairs]
    reasons = [f"r{r}" for r in range(len(prepared.flags) + 1)]
    counts = [
        nw.when(nw.col(REASON) == r).then(nw.lit(1)).otherwise(nw.lit(0)).alias(reason)
        for r, reason in enumerate(reasons)
    ]
    there = [*failures, *left, *([WEIGHT, LOG_WEIGHT] if graded else []), *([TIMES] if repeated else [])]
    sums = [*reasons, *(f"p{a}_{b}" for a, b in pairs), *there]
    grouped = _by_key(frame.select(KEY, *products, *counts, *there, *centres), sums, centres)
    found = run(grouped, name)
    first = _stacked(found, left)
    second = np.zeros((len(first), C, C))
    for a, b in pairs:
        second[:, a, b] = second[:, b, a] = _numbers(found[f"p{a}_{b}"])
    for a in range(C):
        if factors[a] is not None:
            second[:, a, a] = first[:, a]
    counted = _stacked(found, reasons)
    return BatchSums(
        keys=["" if _no_label(k) else normal_key(str(k)) for k in found[KEY]],
        centre=np.broadcast_to(shift, first.shape) if shift is not None else _stacked(found, centres),
        first=first,
        second=second,
        counts=counted,
        failures=[int(_numbers(found[f]).sum()) for f in failures],
        n=_numbers(found[TIMES]) if repeated else counted[:, 0],
        weight=_numbers(found[WEIGHT]) if graded else None,
        log_weight=_numbers(found[LOG_WEIGHT]) if graded else None,
    )


def _by_key(frame: Any, sums: list[str], centres: list[str]) -> Any:
    """The sums of every key, and the centre that all its rows have."""
    import narwhals.stable.v2 as nw

    # Filters are one for all threads, and changed only where pandas would warn: from a hundred sums on, of what is
    # one row a key, so that nobody could fix it.
    with warnings.catch_warnings() if len(sums) + len(centres) > FRAGMENTED else nullcontext():
        if len(sums) + len(centres) > MANY:
            warnings.filterwarnings("ignore", "DataFrame is highly fragmented")
        return frame.group_by(KEY).agg(*(nw.col(s).sum() for s in sums), *(nw.col(c).min() for c in centres))


def _numbers(column: Any) -> Array:
    """A column of sums; the sum of no value is 0."""
    return np.asarray(np.nan_to_num(np.asarray(column, dtype=float)), dtype=np.float64)


def _stacked(found: dict[str, Any], columns: list[str]) -> Array:
    return np.stack([_numbers(found[c]) for c in columns], axis=1)


def _moments(found: BatchSums, prepared: Prepared, design: Design, name: str) -> CellMoments:
    """Sums → moments; keys that are one label in different spellings are joined."""
    read = int(found.counts.sum())
    rows = found.counts.sum(axis=0).astype(int)[1:]
    reasons = zip(prepared.flags, rows.tolist(), strict=True)
    dropped = tuple(Dropped(flag.reason, flag.column, count) for flag, count in reasons if count)
    used = found.counts[:, 0] > 0
    if not used.any():
        raise TableError(_nothing_left(name, read, dropped))
    n = found.n[used]
    mass = n if found.weight is None else found.weight[used]
    off = found.first[used] / mass[:, None]
    scatter = found.second[used]
    scatter -= (mass[:, None] * off)[:, :, None] * off[:, None, :]
    scatter[found.counts[used, 0] == 1] = 0.0
    diagonal = np.arange(scatter.shape[1])
    scatter[:, diagonal, diagonal] = np.maximum(scatter[:, diagonal, diagonal], 0.0)
    by = design.formula.keys
    labels_used = (str(key) for key, counts in zip(found.keys, used, strict=True) if counts)
    refuse_unwritable(labels_used, listed(map(repr, by), "or"), name, max(len(by), 1))
    for factor, categories in design.categories.items():
        refuse_unwritable(categories, repr(factor), name)
    keys: Labels = np.array(found.keys, dtype=str)[used]
    labels, mass, mean, scatter = fold(keys, mass, found.centre[used] + off, scatter)
    where = design.formula.keys
    names = (*(c.name for c in design.columns if c.factors), design.formula.outcome)
    if found.weight is None or found.log_weight is None:
        return CellMoments(where, labels, names, mass, mean, scatter, read, dropped)
    rows_by_label, logs = add_up(keys, n), add_up(keys, found.log_weight[used])
    return CellMoments(
        where, labels, names, rows_by_label, mean, scatter, read, dropped, mass, float(logs.sum()), logs
    )


def _no_label(key: object) -> bool:
    return key is None or (isinstance(key, float) and np.isnan(key))


def _nothing_left(name: str, read: int, dropped: tuple[Dropped, ...]) -> str:
    if not read:
        return f"{name} has a header but no rows"
    reasons = "; ".join(str(d) for d in dropped)
    return f"{name}: none of the {read:,} rows can be used ({reasons})"

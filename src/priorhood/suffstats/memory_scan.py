"""Rows of many columns, in this process, and their sums of products as products of matrices.

A backend takes C²/2 sums one by one, each an expression of its own: at a hundred columns it plans longer than it
adds up. As numbers, the rows of a place are one matrix, whose product with itself has them all. So with what is
asked of every column, whether it has a value and whether that can be squared: of a matrix it is asked once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood._system import ONE_THREAD, memory
from priorhood.data.sources.columns import collected, in_memory
from priorhood.model.scale import LARGEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from priorhood._arrays import Array, Index
    from priorhood.data.sources.table import Frame

# Columns, the outcome among them, from which on this is the faster way.
MANY = 24
# Numbers that are turned into a matrix at a time.
BATCH = 2_000_000
# Share of the machine's memory that rows may take which are elsewhere: in a file, or a query of Polars.
ROOM = 0.15


@dataclass(frozen=True)
class Names:
    """Columns of the rows: where a row is, why it is left out (0: it is not), its values, failed checks.

    numbers : columns of the table; gaps : of each, the number of the reason that a row without a value is left out
        for, where it is not left out for another of a lesser number
    values, checks : numbers, which must be at most LARGEST in size, or columns of their own, 1 where a check fails
    weight, log_weight, times : what it counts, where rows differ in that
    """

    key: str
    reason: str
    numbers: tuple[str, ...]
    gaps: tuple[int, ...]
    values: tuple[str, ...]
    checks: tuple[str, ...]
    weight: str | None
    log_weight: str | None
    times: str | None

    @property
    def every(self) -> tuple[str, ...]:
        """All of them, each once."""
        marks = [name for name in (self.weight, self.log_weight, self.times) if name]
        return tuple(dict.fromkeys((self.key, self.reason, *self.numbers, *self.values, *self.checks, *marks)))


@dataclass(frozen=True)
class Batch:
    """Some rows: the numbers of their places, and what Names has: (n,), values (n, C); failures of each check."""

    place: Index
    reason: Index
    values: Array
    failures: Index
    weight: Array | None
    log_weight: Array | None
    times: Array | None


@dataclass(frozen=True)
class BatchSums:
    """Per key: first (k, C) and second (k, C, C) sums of values less their centre (k, C), every row by its weight.

    counts (k, 1 + reasons) : rows by reason, used ones first; failures : rows that fail each check
    n : (k,) rows used, each as often as it stands for equal rows; sums and products count them so
    weight : (k,) Σ w where rows have weights, as sums and products then have; log_weight : (k,) Σ log w
    """

    keys: list[Any]
    centre: Array
    first: Array
    second: Array
    counts: Array
    failures: list[int]
    n: Array
    weight: Array | None
    log_weight: Array | None


class BatchedRows:
    """Rows in memory, read in batches as often as they are asked for; keys in the order met."""

    def __init__(self, frame: Frame, names: Names) -> None:
        self.frame = frame
        self.names = names
        self.width = len(names.every)
        self.places: dict[Any, int] = {}

    def fit(self) -> bool:
        """Whether memory has room for them, where they are not there already."""
        import narwhals.stable.v2 as nw

        if not isinstance(self.frame, nw.LazyFrame):
            return True
        rows = int(collected(self.frame.select(nw.len().alias("rows")))["rows"][0])
        return 8 * self.width * rows <= (memory() or 0) * ROOM

    def preview(self) -> Array:
        """Means of the values in the first batch that has rows that count; NaN where none has."""
        for batch in self:
            used = batch.values[batch.reason == 0]
            if len(used):
                there = ~np.isnan(used)
                with np.errstate(invalid="ignore", over="ignore"):
                    return np.asarray(np.where(there, used, 0.0).sum(axis=0) / there.sum(axis=0))
        return np.full(len(self.names.values), np.nan)

    def __iter__(self) -> Iterator[Batch]:
        self.frame = in_memory(self.frame)
        rows = max(1, BATCH // self.width)
        for lo in range(0, len(self.frame), rows):
            yield self._read(self.frame[lo : lo + rows])

    def _read(self, rows: Any) -> Batch:
        import pandas as pd

        names = self.names

        def numbers(name: str | None) -> Array | None:
            return None if name is None else np.asarray(rows[name].to_numpy(), dtype=np.float64)

        def stacked(columns: Iterable[str]) -> Array:
            wanted = list(columns)
            found = rows.select(*wanted).to_numpy() if wanted else np.empty((len(rows), 0))
            return np.ascontiguousarray(found, dtype=np.float64)

        codes, keys = pd.factorize(np.asarray(rows[names.key].to_numpy(), dtype=object))
        every = [*keys.tolist(), None] if (codes < 0).any() else keys.tolist()
        known = np.array([self.places.setdefault(key, len(self.places)) for key in every], np.int64)
        reason = np.array(rows[names.reason].to_numpy(), np.int64)
        own = stacked(names.numbers)
        _add_gaps(reason, own, names.gaps)
        place_of = {name: at for at, name in enumerate(names.numbers)}
        used = reason == 0
        large = (np.abs(own[used]) > LARGEST).sum(axis=0)
        marked = stacked(c for c in names.checks if c not in place_of)[used].sum(axis=0)
        marks = iter(marked.tolist())
        failures = [large[place_of[c]] if c in place_of else next(marks) for c in names.checks]
        if names.values != names.numbers:
            others = [name for name in names.values if name not in place_of]
            place_of |= {name: at for at, name in enumerate(others, start=len(names.numbers))}
            own = np.hstack([own, stacked(others)])[:, [place_of[name] for name in names.values]]
        return Batch(
            place=known[codes],
            reason=reason,
            values=own,
            failures=np.array(failures, np.int64),
            weight=numbers(names.weight),
            log_weight=numbers(names.log_weight),
            times=numbers(names.times),
        )


def _add_gaps(reason: Index, numbers: Array, gaps: tuple[int, ...]) -> None:
    """Put the reasons of rows without a value among those that are there, the least first."""
    gone = np.isnan(numbers)
    some = np.flatnonzero(gone.any(axis=1))
    if len(some):
        first = np.where(gone[some], np.array(gaps), np.iinfo(np.int64).max).min(axis=1)
        before = reason[some]
        reason[some] = np.where(before == 0, first, np.minimum(before, first))


class FewColumns:
    """All rows of a pandas frame with few columns, those of the table NumPy's own numbers, added up as pandas does.

    Expressions of narwhals, one a column and sum, take several times as long for some thousand rows. The sums have
    the same bits: pandas adds up with a compensation for rounding, each column by itself.

    Parameters
    ----------
    key : where each row is; missing : the number of a reason that rows are left out for → which, by labels
    numbers : the values of the columns that names.numbers has, as they are; own : those of all others by name
    """

    def __init__(
        self,
        names: Names,
        key: Any,
        missing: dict[int, npt.NDArray[np.bool_]],
        numbers: list[Array],
        own: dict[str, Array],
    ) -> None:
        import pandas as pd

        codes, found = pd.factorize(key)
        self.keys = [*found.tolist(), *[None] * bool((codes < 0).any())]
        self.place = np.where(codes < 0, len(self.keys) - 1, codes)
        self.reason = np.zeros(len(codes), np.int64)
        gaps = {gap: np.isnan(column) for gap, column in zip(names.gaps, numbers, strict=True)}
        for number, gone in sorted({**missing, **gaps}.items(), reverse=True):
            self.reason[gone] = number
        used = self.reason == 0
        at: Any = slice(None) if used.all() else used
        columns = {**own, **dict(zip(names.numbers, numbers, strict=True))}
        self.used = self.place[at]
        self.values = np.stack([columns[name][at] for name in names.values])
        plain, checked = set(names.numbers), [columns[name][at] for name in names.checks]
        self.failures = [
            int((np.abs(column) > LARGEST).sum() if name in plain else column.sum())
            for name, column in zip(names.checks, checked, strict=True)
        ]

    def preview(self, most: int) -> Array:
        """Means of the first rows that count."""
        import pandas as pd

        return np.array([pd.Series(column[:most]).mean() for column in self.values])

    def summed(self, shift: Array, reasons: int, pairs: list[tuple[int, int]]) -> BatchSums:
        """The sums around a common shift.

        Parameters
        ----------
        pairs : (a, b), a ≥ b, whose products are summed; the others are 0
        """
        size, C = len(self.keys), len(shift)
        off = self.values - shift[:, None]
        tally = np.bincount(self.place * (reasons + 1) + self.reason, minlength=size * (reasons + 1))
        counts = tally.reshape(size, reasons + 1).astype(np.float64)
        wide = max(1, BATCH // max(len(self.used), 1))
        wanted: list[tuple[int, int | None]] = [*((a, None) for a in range(C)), *pairs]
        sums = np.empty((size, len(wanted)))
        for lo in range(0, len(wanted), wide):
            columns = [off[a] if b is None else off[a] * off[b] for a, b in wanted[lo : lo + wide]]
            sums[:, lo : lo + wide] = _by_code(columns, self.used, size)
        first, second = sums[:, :C].copy(), np.zeros((size, C, C))
        for at, (a, b) in enumerate(pairs, start=C):
            second[:, a, b] = second[:, b, a] = sums[:, at]
        return BatchSums(
            keys=self.keys,
            centre=np.broadcast_to(shift, first.shape),
            first=first,
            second=second,
            counts=counts,
            failures=self.failures,
            n=counts[:, 0],
            weight=None,
            log_weight=None,
        )


def _by_code(columns: list[Array], codes: Index, size: int) -> Array:
    """Sums of columns (n,) by code: (size, columns), 0 where a code has no row."""
    import pandas as pd

    found = pd.DataFrame(np.stack(columns).T).groupby(codes, sort=False).sum()
    sums = np.zeros((size, len(columns)))
    sums[found.index.to_numpy()] = found.to_numpy()
    return sums


# Values of which a check fails may be infinite, or too large to square; they are refused by name afterwards.
@np.errstate(invalid="ignore", over="ignore")
def summed(rows: BatchedRows, shift: Array | None, reasons: int) -> BatchSums:
    """The sums around a common shift or, without one, around every place's own mean, which takes a pass before.

    Parameters
    ----------
    reasons : how many reasons to leave a row out there are
    """
    C = len(rows.names.values)
    centre = None if shift is not None else _means(rows)
    tally: list[Array] = []  # of every place: rows by reason, then what the used ones count, Σ w and Σ log w
    first: list[Array] = []
    second: list[Array] = []
    failures = np.zeros(len(rows.names.checks), np.int64)
    for batch in rows:
        for _ in range(len(rows.places) - len(first)):
            tally.append(np.zeros(reasons + 4))
            first.append(np.zeros(C))
            second.append(np.zeros((C, C)))
        failures += batch.failures
        heavy = batch.times if batch.weight is None else batch.weight
        for place, part in _by_place(batch):
            used = part[batch.reason[part] == 0]
            tally[place][: reasons + 1] += np.bincount(batch.reason[part], minlength=reasons + 1)
            for at, counted in enumerate((batch.times, batch.weight, batch.log_weight), start=reasons + 1):
                tally[place][at] += 0.0 if counted is None else counted[used].sum()
            off = batch.values[used] - (shift if centre is None else centre[place])
            for lo in range(0, len(used), most := max(1, ONE_THREAD // C**2)):
                few = off[lo : lo + most]
                times = few if heavy is None else few * heavy[used[lo : lo + most], None]
                first[place] += times.sum(axis=0)
                second[place] += times.T @ few
    told = np.array(tally).reshape(-1, reasons + 4)
    return BatchSums(
        keys=list(rows.places),
        centre=np.broadcast_to(shift, (len(told), C)) if shift is not None else np.asarray(centre)[: len(told)],
        first=np.array(first).reshape(-1, C),
        second=np.array(second).reshape(-1, C, C),
        counts=told[:, : reasons + 1],
        failures=failures.tolist(),
        n=told[:, reasons + 1] if rows.names.times else told[:, 0],
        weight=told[:, reasons + 2] if rows.names.weight else None,
        log_weight=told[:, reasons + 3] if rows.names.log_weight else None,
    )


def _means(rows: BatchedRows) -> Array:
    """Every place's means of its used rows: (k, C)."""
    sums: list[Array] = []
    for batch in rows:
        sums += [np.zeros(batch.values.shape[1] + 1) for _ in range(len(rows.places) - len(sums))]
        heavy = batch.times if batch.weight is None else batch.weight
        for place, part in _by_place(batch):
            used = part[batch.reason[part] == 0]
            mass = np.ones(len(used)) if heavy is None else heavy[used]
            sums[place][0] += mass.sum()
            sums[place][1:] += mass @ batch.values[used]
    total = np.array(sums)
    return np.asarray(total[:, 1:] / np.where(total[:, :1] > 0, total[:, :1], 1.0))


def _by_place(batch: Batch) -> Iterator[tuple[int, Index]]:
    """Every place of a batch, and its rows."""
    order = np.argsort(batch.place, kind="stable")
    places, starts = np.unique(batch.place[order], return_index=True)
    yield from zip(places.tolist(), np.split(order, starts[1:]), strict=True)

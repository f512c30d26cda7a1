"""Sums of rows in this process: of many columns by products of matrices, of few in the way pandas adds them.

A backend computes C²/2 sums one by one, each an expression of its own: with a hundred columns, planning takes
longer than adding. In memory, the rows of a place are one matrix, whose product with itself has all the sums.
Checks of every column, for missing values and for values too large to square, are done on the matrix as well.
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
    from priorhood.data.sources.backend import Frame

MANY = 24  # smallest number of columns, including the outcome, at which matrices are faster
BATCH = 2_000_000  # numbers in a matrix
ROOM = 0.15  # share of the machine's memory for rows from elsewhere: a file, or a query of Polars


@dataclass(frozen=True)
class Names:
    """Names of the rows' columns.

    Attributes
    ----------
    key : str
        A row's place.
    reason : str
        The number of the reason why a row is left out, 0 if it is used.
    numbers : tuple of str
        Columns of the table.
    gaps : tuple of int
        Per column, the number of the reason for rows without its value, if none of a smaller number applies.
    values : tuple of str
        The design's columns and the outcome.
    checks : tuple of str
        Columns of numbers, which must be at most LARGEST in size, or others, 1 if a check fails.
    weight, log_weight, times : str or None
        Weights w, log w and the number of identical rows; None if all rows have equal weight.
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
        """All names, each once."""
        marks = [name for name in (self.weight, self.log_weight, self.times) if name]
        return tuple(dict.fromkeys((self.key, self.reason, *self.numbers, *self.values, *self.checks, *marks)))


@dataclass(frozen=True)
class Batch:
    """A batch of n rows: indices of their places, the columns of Names, values (n, C), failures of every check."""

    place: Index
    reason: Index
    values: Array
    failures: Index
    weight: Array | None
    log_weight: Array | None
    times: Array | None


@dataclass(frozen=True)
class BatchSums:
    """Sums by key.

    Attributes
    ----------
    keys : list
        The k keys.
    centre : (k, C) array
        The values that were subtracted.
    first : (k, C) array
        Sums of the values minus their centre.
    second : (k, C, C) array
        Sums of products of the values minus their centre.
    counts : (k, 1 + reasons) array
        Rows by reason, used ones first.
    n : (k,) array
        Used rows, each as often as the identical rows that it represents; so are the sums.
    failures : tuple of int
        Number of rows that fail each check; empty if none fails any.
    weight : (k,) array, optional
        Σ w if rows have weights; the sums are then weighted.
    log_weight : (k,) array, optional
        Σ log w.
    """

    keys: list[Any]
    centre: Array
    first: Array
    second: Array
    counts: Array
    n: Array
    failures: tuple[int, ...] = ()
    weight: Array | None = None
    log_weight: Array | None = None


class BatchedRows:
    """Rows in memory that can be read in batches repeatedly; keys are in the order of their first rows."""

    def __init__(self, frame: Frame, names: Names) -> None:
        self.frame = frame
        self.names = names
        self.width = len(names.every)
        self.places: dict[Any, int] = {}

    def fit(self) -> bool:
        """Return whether the rows are in memory or there is room for them."""
        import narwhals.stable.v2 as nw

        if not isinstance(self.frame, nw.LazyFrame):
            return True
        rows = int(collected(self.frame.select(nw.len().alias("rows")))["rows"][0])
        return 8 * self.width * rows <= (memory() or 0) * ROOM

    def preview(self) -> Array:
        """Return means of the values in the first batch with used rows; NaN without any."""
        for batch in self:
            used = batch.values[batch.reason == 0]
            if len(used):
                present = ~np.isnan(used)
                with np.errstate(invalid="ignore", over="ignore"):
                    return np.asarray(np.where(present, used, 0.0).sum(axis=0) / present.sum(axis=0))
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
        gone = np.isnan(own)
        some = np.flatnonzero(gone.any(axis=1))
        if len(some):
            # The reason with the smallest number counts, also among gaps.
            first = np.where(gone[some], np.array(names.gaps), np.iinfo(np.int64).max).min(axis=1)
            reason[some] = np.where(reason[some] == 0, first, np.minimum(reason[some], first))
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


class FewColumns:
    """All rows of a pandas frame with few columns of NumPy's own numbers, added in the way pandas does.

    Expressions of narwhals, one per column and sum, take several times as long for some thousand rows. The sums
    have the same bits: pandas adds every column separately, with compensation for rounding.

    Parameters
    ----------
    names : Names
        Names of the columns.
    key : array
        The place of every row.
    missing : dict of int to array of bool
        Number of a reason → the rows that it leaves out, for reasons other than gaps.
    numbers : list of array
        The columns names.numbers.
    own : dict of str to array
        The other columns, by name.
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
        self.failures = tuple(
            int((np.abs(column) > LARGEST).sum() if name in plain else column.sum())
            for name, column in zip(names.checks, checked, strict=True)
        )

    def preview(self, count: int) -> Array:
        """Return means of the first `count` used rows."""
        import pandas as pd

        return np.array([pd.Series(column[:count]).mean() for column in self.values])

    def summed(self, shift: Array, reasons: int, pairs: list[tuple[int, int]]) -> BatchSums:
        """Sum the rows around a common shift (C,).

        Parameters
        ----------
        shift : (C,) array
            Values near the means.
        reasons : int
            Number of reasons to leave a row out.
        pairs : list of (int, int)
            Columns (a, b), a ≥ b, whose products are summed; the others are 0.
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
        centre = np.broadcast_to(shift, first.shape)
        return BatchSums(self.keys, centre, first, second, counts, n=counts[:, 0], failures=self.failures)


def _by_code(columns: list[Array], codes: Index, size: int) -> Array:
    """Sum columns (n,) by code: (size, columns), 0 for a code without rows."""
    import pandas as pd

    found = pd.DataFrame(np.stack(columns).T).groupby(codes, sort=False).sum()
    sums = np.zeros((size, len(columns)))
    sums[found.index.to_numpy()] = found.to_numpy()
    return sums


# Values that fail a check may be infinite or too large to square; they are refused by name afterwards.
@np.errstate(invalid="ignore", over="ignore")
def summed(rows: BatchedRows, shift: Array | None, reasons: int) -> BatchSums:
    """Sum rows around a common shift (C,) or, without one, around every place's mean, after a pass for these means.

    Parameters
    ----------
    rows : BatchedRows
        The rows.
    shift : (C,) array, optional
        Values near the means.
    reasons : int
        Number of reasons to leave a row out.
    """
    C = len(rows.names.values)
    centre = None if shift is not None else _means(rows)
    # Per place: rows by reason, then the used rows' number of identical rows, Σ w and Σ log w.
    tally: list[Array] = []
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
    counts = np.array(tally).reshape(-1, reasons + 4)
    return BatchSums(
        keys=list(rows.places),
        centre=np.broadcast_to(shift, (len(counts), C)) if shift is not None else np.asarray(centre)[: len(counts)],
        first=np.array(first).reshape(-1, C),
        second=np.array(second).reshape(-1, C, C),
        counts=counts[:, : reasons + 1],
        n=counts[:, reasons + 1] if rows.names.times else counts[:, 0],
        failures=tuple(failures.tolist()),
        weight=counts[:, reasons + 2] if rows.names.weight else None,
        log_weight=counts[:, reasons + 3] if rows.names.log_weight else None,
    )


def _means(rows: BatchedRows) -> Array:
    """Return the means (k, C) of every place's used rows."""
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
    """Yield every place of a batch, and the indices of its rows."""
    order = np.argsort(batch.place, kind="stable")
    places, starts = np.unique(batch.place[order], return_index=True)
    yield from zip(places.tolist(), np.split(order, starts[1:]), strict=True)

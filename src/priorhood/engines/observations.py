"""Standardized rows, for engines that cannot work from sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.data.labels import normal_key
from priorhood.data.rows import KEY, REASON, value_name
from priorhood.data.sources.backend import is_elsewhere
from priorhood.data.sources.columns import run
from priorhood.data.sources.remote import fetch_rows

if TYPE_CHECKING:
    from priorhood._arrays import Array, Index, Labels
    from priorhood.data.rows import PreparedRows
    from priorhood.model.scale import Scale


@dataclass(frozen=True)
class Observations:
    """The rows used, on the standardized scale.

    Attributes
    ----------
    X : array (N, D)
        columns of the design
    y : array (N,)
        outcomes
    cell : array (N,)
        index of every row's cell in the sums, 0 without groups
    se : array (N,) or None
        known standard errors of y
    precision : array (N,) or None
        weights w of equation (1)
    times : array (N,) or None
        number of identical rows that a row stands for
    row : array (N,) or None
        positions in the table
    """

    X: Array
    y: Array
    cell: Index
    se: Array | None = None
    precision: Array | None = None
    times: Array | None = None
    row: Index | None = None


def read_observations(rows: PreparedRows, scale: Scale, labels: Labels) -> Observations:
    """Read the rows that the sums use, in the table's order.

    Parameters
    ----------
    rows : PreparedRows
        rows of the fit
    scale : Scale
        standardization of the columns and the outcome
    labels : array (J,) of str
        labels of the sums' cells

    Raises
    ------
    TableError
        if there are too many rows to fetch from a remote engine
    """
    design, weights = rows.design, rows.weights
    with rows.exclusive():
        values = [value_name(i) for i in range(len(rows.values))]
        wanted: Any = rows.frame.select(KEY, REASON, *values)
        fetched = run(fetch_rows(wanted) if is_elsewhere(wanted) else wanted, rows.name)
    row = np.flatnonzero(np.asarray(fetched[REASON]) == 0)
    columns = [np.asarray(fetched[v], dtype=np.float64)[row] for v in values]
    with_factors = [d for d, column in enumerate(design.columns) if column.factors]
    given = {c: np.asarray(fetched[name], dtype=np.float64)[row] for c, name in rows.weight_names().items()}
    X = np.ones((len(columns[0]), len(design.columns)))
    for d, raw in zip(with_factors, columns, strict=False):
        X[:, d] = (raw - scale.centre[d]) / scale.spread[d]
    cell = np.zeros(len(X), np.int64)
    if design.formula.keys:
        # The table may spell a label differently from the sums.
        spelled = np.asarray(np.asarray(fetched[KEY], object)[row], dtype=str)
        keys, inverse = np.unique(spelled, return_inverse=True)
        positions = {label: i for i, label in enumerate(labels.tolist())}
        cell = np.array([positions[normal_key(str(key))] for key in keys], dtype=np.int64)[inverse]
    return Observations(
        X=X,
        y=scale.from_outcome(columns[len(with_factors)]),
        cell=cell,
        se=None if weights.se is None else scale.from_outcome(given[weights.se]),
        precision=None if weights.precision is None else given[weights.precision],
        times=None if weights.frequency is None else given[weights.frequency],
        row=row,
    )

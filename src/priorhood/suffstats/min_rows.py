"""Places of few rows left out of the sums, since their sums would show the rows: a minimum count per place.

The sums of a place show every category apart: rows, means and products of its lofts alone. So the least count of
a place is that of its rarest category, and of the rarest combination where the formula has an interaction.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.data.dropped import Dropped
from priorhood.data.labels import normal_key
from priorhood.data.rows import KEY, joined_key, open_rows, prepare
from priorhood.data.schema import number_label
from priorhood.data.sources.columns import run
from priorhood.errors import PriorhoodWarning, TableError
from priorhood.model.design import Design
from priorhood.model.expression import Expression
from priorhood.suffstats.moments import add_up, keep
from priorhood.suffstats.recode import recoded

if TYPE_CHECKING:
    from priorhood._arrays import Array, Labels
    from priorhood.data.sources.table import Table
    from priorhood.model.weights import Weights
    from priorhood.suffstats.moments import CellMoments

ROWS = "__priorhood_rows"


def withheld(
    found: CellMoments, design: Design, table: Table, weights: Weights, drop_outliers: float | None, minimum: int
) -> tuple[Design, CellMoments]:
    """The sums without the places that have fewer rows than a minimum, in all or of one category.

    Counted are rows of the table, one that stands for several once: a second pass over the rows. A category that
    only such places have is none of the design returned.

    Raises
    ------
    TableError : no place has enough rows
    """
    with table.alone():
        cells = _counted(table, design, weights, drop_outliers)
    labels, rows = np.unique(cells.labels), add_up(cells.labels, cells.rows)
    least = _least(cells, design)
    few = np.array([least[label] < minimum for label in labels.tolist()])
    if few.all():
        raise TableError(
            f"{table.name}: no {design.formula.group or 'table'} has {minimum:,} rows or more"
            f"{', in all and of every category that it has' if design.categories else ''}; the largest has "
            f"{max(rows):,.0f}: lower minimum (--minimum)"
        )
    if rows[few].sum() > rows.sum() / 2:
        _tell_rare(cells, minimum, rows[few].sum() / rows.sum())
    told = ~np.isin(cells.labels, labels[few])
    reason = f"fewer than {minimum:,} rows{' of a category' if design.categories else ''}"
    dropped = (Dropped(reason, "", int(rows[few].sum()), int(few.sum())),) if few.any() else ()
    rest = keep(found, ~np.isin(found.labels, labels[few]), dropped)
    left = {
        factor: tuple(c for c in design.categories[factor] if c in set(values[told].tolist()))
        for factor, values in cells.factors.items()
    }
    kept = Design(design.formula, left, design.numeric)
    return kept, recoded(rest, design, kept)


def _tell_rare(cells: _Cells, minimum: int, share: float) -> None:
    """Warn that most rows are left out, and of the category that most of them are left out for."""
    rare: dict[str, int] = {}
    for factor, values in cells.factors.items():
        for category in np.unique(values):
            here = values == category
            count = int((add_up(cells.labels[here], cells.rows[here]) < minimum).sum())
            rare[f"{factor} {str(category)!r}"] = count
    worst = max(rare, key=lambda name: rare[name], default="")
    why = f": {worst} has so few in {rare[worst]:,} places; join rare categories" if worst else ""
    warnings.warn(
        f"{share:.0%} of the rows are in places with fewer than {minimum:,} rows"
        f"{' of a category' if rare else ''}, and left out{why}",
        PriorhoodWarning,
        stacklevel=4,
    )


class _Cells:
    """Rows used, counted by place and by the categories of every factor.

    labels : (G,) places; factors : factor → (G,) its category; rows : (G,)
    """

    def __init__(self, found: dict[str, Any], design: Design) -> None:
        self.labels: Labels = np.array([normal_key(str(key)) for key in found[KEY]], dtype=str)
        self.rows: Array = np.asarray(found[ROWS], dtype=float)
        self.factors: dict[str, Labels] = {}
        for at, factor in enumerate(design.categories):
            values = found[_factor_name(at)]
            texts = [number_label(float(v)) for v in values] if factor in design.numeric else list(map(str, values))
            self.factors[factor] = np.array(texts, dtype=str)


def _factor_name(at: int) -> str:
    return f"__priorhood_factor_{at}"


def _counted(table: Table, design: Design, weights: Weights, drop_outliers: float | None) -> _Cells:
    """Count the rows that the sums are of, on the backend that holds them."""
    import narwhals.stable.v2 as nw

    frame: Any = open_rows(table, design.formula, weights, design)
    for flag in prepare(frame, design, drop_outliers, weights).flags:
        frame = frame.filter(~flag.applies)
    factors = []
    for at, factor in enumerate(design.categories):
        column = nw.col(str(Expression(factor).bare))
        value = column.cast(nw.Float64) if factor in design.numeric else column.cast(nw.String)
        factors.append(value.alias(_factor_name(at)))
    names = [KEY, *map(_factor_name, range(len(factors)))]
    counts = frame.select(joined_key(frame, design.formula.keys).alias(KEY), *factors, nw.lit(1).alias(ROWS))
    return _Cells(run(counts.group_by(*names).agg(nw.col(ROWS).sum()), table.name), design)


def _least(cells: _Cells, design: Design) -> dict[str, float]:
    """Place → the fewest rows that it has, in all or of the categories that one term tells apart."""
    terms = {tuple(f for f in term if f in design.categories) for term in design.formula.terms} | {()}
    least: dict[str, float] = {}
    for factors in sorted(terms):
        columns = [cells.labels, *(cells.factors[factor] for factor in factors)]
        ids = [np.unique(column, return_inverse=True)[1].ravel() for column in columns]
        _, first, at = np.unique(np.stack(ids, axis=1), axis=0, return_index=True, return_inverse=True)
        rows = np.bincount(at.ravel(), weights=cells.rows)
        for label, count in zip(cells.labels[first].tolist(), rows.tolist(), strict=True):
            least[label] = min(count, least.get(label, np.inf))
    return least

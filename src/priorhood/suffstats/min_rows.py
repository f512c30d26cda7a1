"""A minimum number of rows per place: the sums of fewer would disclose the rows.

The sums of a place show its categories separately: rows, means and products of its lofts alone. So the smallest
count of a place is that of its rarest category, and of the rarest combination if the formula has an interaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, count_noun
from priorhood.data.dropped import Dropped
from priorhood.data.labels import normal_key
from priorhood.data.rows import KEY
from priorhood.data.sources.columns import run
from priorhood.errors import TableError, warn
from priorhood.model.design import Design, number_label
from priorhood.model.expression import Expression
from priorhood.suffstats.moments import add_up, keep
from priorhood.suffstats.recode import recode

if TYPE_CHECKING:
    from priorhood._arrays import Array, Labels
    from priorhood.data.rows import PreparedRows
    from priorhood.suffstats.moments import CellMoments

ROWS = "__priorhood_rows"


def withhold_small_places(moments: CellMoments, prepared: PreparedRows, minimum: int) -> tuple[Design, CellMoments]:
    """Remove from the sums the places with fewer rows than a minimum, in total or of one category.

    Rows of the table are counted, whatever their frequency weights, in a second pass over the rows. The returned
    design omits categories that only occur in the removed places.

    Raises
    ------
    TableError
        No place has enough rows.
    """
    design = prepared.design
    with prepared.exclusive():
        cells = _count_rows(prepared)
    labels, rows = np.unique(cells.labels), add_up(cells.labels, cells.rows)
    smallest = _smallest_counts(cells, design)
    few = np.array([smallest[label] < minimum for label in labels.tolist()])
    if few.all():
        raise TableError(
            f"{prepared.name}: no {design.formula.group or 'table'} has at least {minimum:,} rows"
            f"{' overall and in each category that occurs there' if design.categories else ''}; the largest has "
            f"{max(rows):,.0f}: set a lower minimum ({argument('minimum')})"
        )
    if rows[few].sum() > rows.sum() / 2:
        # Name the category that is rare in most places.
        rare: dict[str, int] = {}
        for factor, values in cells.factors.items():
            for category in np.unique(values):
                here = values == category
                count = int((add_up(cells.labels[here], cells.rows[here]) < minimum).sum())
                rare[f"{factor} {str(category)!r}"] = count
        worst = max(rare, key=lambda name: rare[name], default="")
        why = (
            f"; {count_noun(rare[worst], 'place')} {'has' if rare[worst] == 1 else 'have'} fewer than {minimum:,} "
            f"rows of {worst}: combine rare categories"
            if worst
            else ""
        )
        warn(
            f"{rows[few].sum() / rows.sum():.0%} of the rows are in places with fewer than {minimum:,} rows"
            f"{' of some category' if rare else ''}, and are left out{why}"
        )
    shown = ~np.isin(cells.labels, labels[few])
    reason = f"fewer than {minimum:,} rows{' of some category' if design.categories else ''}"
    dropped = (Dropped(reason, "", int(rows[few].sum()), int(few.sum())),) if few.any() else ()
    rest = keep(moments, ~np.isin(moments.labels, labels[few]), dropped)
    categories = {
        factor: tuple(c for c in design.categories[factor] if c in set(values[shown].tolist()))
        for factor, values in cells.factors.items()
    }
    kept = Design(design.formula, categories, design.numeric)
    return kept, recode(rest, design, kept)


@dataclass(frozen=True)
class _Cells:
    """Used rows, counted by place and by the categories of every factor.

    Attributes
    ----------
    labels : (G,) array of str
        Places.
    rows : (G,) array
        Numbers of rows.
    factors : dict of str to (G,) array of str
        Factor → its category.
    """

    labels: Labels
    rows: Array
    factors: dict[str, Labels]


def _count_rows(rows: PreparedRows) -> _Cells:
    """Count the rows of the sums, on the backend that holds them."""
    import narwhals.stable.v2 as nw

    frame: Any = rows.used
    design = rows.design
    names = {factor: f"__priorhood_factor_{at}" for at, factor in enumerate(design.categories)}
    columns = []
    for factor, name in names.items():
        column = nw.col(str(Expression(factor).bare))
        columns.append(column.cast(nw.Float64 if factor in design.numeric else nw.String).alias(name))
    counts = frame.select(rows.key.alias(KEY), *columns, nw.lit(1).alias(ROWS))
    found = run(counts.group_by(KEY, *names.values()).agg(nw.col(ROWS).sum()), rows.name)
    factors = {}
    for factor, name in names.items():
        numeric = factor in design.numeric
        factors[factor] = np.array([number_label(float(v)) if numeric else str(v) for v in found[name]], dtype=str)
    labels = np.array([normal_key(str(key)) for key in found[KEY]], dtype=str)
    return _Cells(labels, np.asarray(found[ROWS], dtype=float), factors)


def _smallest_counts(cells: _Cells, design: Design) -> dict[str, float]:
    """Return every place's smallest number of rows, in total or of the categories that one term distinguishes."""
    terms = {tuple(f for f in term if f in design.categories) for term in design.formula.terms} | {()}
    smallest: dict[str, float] = {}
    for factors in sorted(terms):
        columns = [cells.labels, *(cells.factors[factor] for factor in factors)]
        ids = [np.unique(column, return_inverse=True)[1].ravel() for column in columns]
        _, first, at = np.unique(np.stack(ids, axis=1), axis=0, return_index=True, return_inverse=True)
        rows = np.bincount(at.ravel(), weights=cells.rows)
        for label, count in zip(cells.labels[first].tolist(), rows.tolist(), strict=True):
            smallest[label] = min(count, smallest.get(label, np.inf))
    return smallest

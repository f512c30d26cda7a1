"""Design and moments of a table's rows, for tests that start from sums."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from priorhood.data.rows import prepare_rows
from priorhood.suffstats import collect

if TYPE_CHECKING:
    from priorhood.model.design import Design
    from priorhood.model.formula import Formula
    from priorhood.suffstats.moments import CellMoments


def design_and_moments(
    table: object, formula: Formula, *, design: Design | None = None, **options: Any
) -> tuple[Design, CellMoments]:
    """Return the design and the moments of the rows; design : that of an earlier fit, whose columns they have."""
    fitted = None if design is None else SimpleNamespace(design=design, place_table=None, cells=None)
    rows = prepare_rows(table, formula, fitted=fitted, **options)
    return rows.design, collect.collect_moments(rows)

"""Standardization: an affine map of the moments, learned once and kept with the posterior."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import row_count
from priorhood.errors import ModelError
from priorhood.model.arithmetic import inner_text
from priorhood.model.formula import less, shifted
from priorhood.model.scale import LARGEST, Scale

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.model.design import Design
    from priorhood.model.expression import Expression
    from priorhood.suffstats.moments import CellMoments


def learn_scale(moments: CellMoments, design: Design, *, standardize: bool, unit: float | None) -> Scale:
    """Learn centres, spreads and the outcome's unit from the rows' moments.

    A column is centred only if intercepts can absorb the shift: one in every part, population or level, in which
    the column has a coefficient. Otherwise centring would change the model, not its coordinates.
    Indicator columns are centred but not divided. Weighted moments give weighted centres and spreads.

    Raises
    ------
    ModelError
        A column or the outcome does not vary.
    """
    mean, scatter = moments.pooled()
    sd = np.sqrt(np.diag(scatter) / moments.mass.sum())
    D = len(design.columns)
    centre, spread = np.zeros(D), np.ones(D)
    empty = without_rows(moments, design)
    position = 0
    for d, column in enumerate(design.columns):
        if not column.factors:
            continue
        if position in empty:
            # Only the prior determines its coefficient, see identifiability.empty_cells.
            spread[d] = empty[position] if standardize else 1.0
            position += 1
            continue
        if _too_near_zero(mean[position], sd[position]):
            single = len(column.factors) == 1 and not column.indicator
            text = inner_text(next(iter(column.numbers)).tree) if single else ""
            text = text if text.isidentifier() else f"({text})"
            advice = (
                f"write I({text} * {_factor(mean[position], sd[position])}) instead, or leave it out"
                if single
                else "leave it out"
            )
            raise ModelError(_tiny(f"predictor {column.name!r}", mean[position], sd[position], moments, advice))
        if sd[position] <= 1e-13 * abs(mean[position]) or sd[position] == 0:
            advice = "leave it out"
            if sd[position] > 0 and len(column.factors) == 1 and not column.indicator:
                shorter = less(next(iter(column.numbers)).text, mean[position], sd[position])
                advice = f"write I({shorter}) instead, or leave it out"
            raise ModelError(_constant(f"predictor {column.name!r}", mean[position], sd[position], moments, advice))
        if standardize:
            centre[d] = mean[position] if _absorbed(design, d) else 0.0
            spread[d] = 1.0 if column.indicator else sd[position]
        position += 1
    if _too_near_zero(mean[-1], sd[-1]):
        what = f"the outcome {design.formula.outcome!r}"
        raise ModelError(
            _tiny(what, mean[-1], sd[-1], moments, f"multiply it by {_factor(mean[-1], sd[-1])} first")
        )
    if sd[-1] <= 1e-13 * abs(mean[-1]) or sd[-1] == 0:
        what = f"the outcome {design.formula.outcome!r}"
        if sd[-1] == 0:
            advice = "check how the column was read and filtered"
        else:
            advice = f"subtract the mean from the outcome: fit {shifted(design.formula, mean[-1], sd[-1])!r}"
        raise ModelError(_constant(what, mean[-1], sd[-1], moments, advice))
    if unit is None:
        # A log has no unit to divide by.
        unit = 1.0 if design.formula.log_outcome else 10.0 ** round(math.log10(sd[-1]))
    return Scale(centre, spread, unit)


def without_rows(moments: CellMoments, design: Design) -> dict[int, float]:
    """Return the positions of columns for combinations of categories without rows, each with a spread.

    The spread is that of other columns of the same numbers; 1 without numbers.
    """
    mean, scatter = moments.pooled()
    sd = np.sqrt(np.diag(scatter) / moments.mass.sum())
    columns = [column for column in design.columns if column.factors]
    found: dict[int, float] = {}
    numbers = [column.numbers for column in columns]
    of: dict[frozenset[Expression], list[int]] = {}
    for at, own_numbers in enumerate(numbers):
        of.setdefault(own_numbers, []).append(at)
    for own, column in enumerate(columns):
        alike = [at for at in of[numbers[own]] if at != own and sd[at] > 0]
        spread = float(sd[alike].mean()) if numbers[own] and alike else 1.0
        # If sites have other categories, a sum of 0 is a difference of sums.
        if column.indicators and abs(mean[own]) <= 1e-12 * spread and sd[own] <= 1e-7 * spread:
            found[own] = spread
    return found


def _absorbed(design: Design, d: int) -> bool:
    """Return whether every part of the formula with the column also has an intercept.

    Centring turns a part's intercept a into a + c b, b its coefficient of the column. A part without the
    column has b = 0 and nothing to absorb. So a column that only levels have needs no intercept of the
    population: the means of a and b there are m and 0, and that of a + c b is m, or 0 if there is none.
    """
    column = design.columns[d]
    parts = [design.population_columns, *(design.level_columns(at) for at in range(len(design.formula.groupings)))]
    return all(any(not c.factors for c in part) for part in parts if column in part)


def standardized(moments: CellMoments, design: Design, scale: Scale) -> tuple[Array, Array]:
    """Return moments of the standardized design and outcome: mean (J, D+1), scatter (J, D+1, D+1)."""
    J, D = len(moments.n), len(design.columns)
    summed = [d for d, column in enumerate(design.columns) if column.factors] + [D]
    centre = np.append(scale.centre, 0.0)[summed]
    spread = np.append(scale.spread, scale.unit)[summed]
    mean = np.zeros((J, D + 1))
    mean[:, summed] = (moments.mean - centre) / spread
    if design.constant is not None:
        mean[:, design.constant] = 1.0
    scatter = np.zeros((J, D + 1, D + 1))
    scatter[np.ix_(range(J), summed, summed)] = moments.scatter / np.outer(spread, spread)
    return mean, scatter


def _too_near_zero(mean: float, sd: float) -> bool:
    """Return whether values are so close to 0 that sums of their squares underflow."""
    return bool(0 < max(abs(mean), sd) < 1.0 / LARGEST)


def _factor(mean: float, sd: float) -> str:
    """Return a power of ten that makes values of this size large enough for squares."""
    return f"1e{-math.floor(math.log10(max(abs(mean), sd, 1e-300)))}"


def _tiny(what: str, mean: float, sd: float, moments: CellMoments, advice: str) -> str:
    """Return the error message for a column whose sums of squares underflow."""
    size = f"{mean:.3g} on average" if mean else f"within {sd:.2g} of 0"
    return (
        f"{what} is {size} in the {row_count(moments.rows)} used, so close to 0 that the squares of its values "
        f"underflow: {advice}"
    )


def _constant(what: str, mean: float, sd: float, moments: CellMoments, advice: str) -> str:
    """Return the error message for a column that varies by nothing, or by less than the rounding of its sums."""
    if sd == 0:
        rows = f"all {moments.rows:,} rows" if moments.rows > 1 else "the only row"
        return f"{what} is {mean:g} in {rows} used: it contains no information; {advice}"
    return (
        f"{what} is {mean:.15g} ± {sd:.2g} in the {row_count(moments.rows)} used: such small differences are lost "
        f"when numbers of that size are rounded; {advice}"
    )

"""Numbers and units as sentences say them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priorhood.posterior import Posterior


def unit_of(post: Posterior, column: str) -> str:
    """The unit of a column, '' where none is known."""
    return post.model.units.get(column, "")


def absent_label(post: Posterior) -> str:
    """A label that no place has, for one that the data do not have."""
    taken = {label for labels in post.cells.values() for label in labels.tolist()}
    label = "(new)"
    while label in taken:
        label = f"({label})"
    return label


def number(value: float, spread: float) -> str:
    """A value with the digits that an uncertainty of this size leaves: two of the spread's."""
    if not math.isfinite(value):
        return "not finite"
    if not (math.isfinite(spread) and spread > 0):
        return f"{value:,.4g}".replace("-", "−") if abs(value) < 1e4 else f"{value:,.0f}".replace("-", "−")
    digits = 1 - math.floor(math.log10(spread))
    return f"{round(value, digits):,.{max(digits, 0)}f}".replace("-", "−")


def with_unit(value: float, spread: float, unit: str) -> str:
    """395,200 €."""
    return f"{number(value, spread)} {unit}".rstrip()


def round_near(value: float) -> float:
    """The value to two digits: 390,000 for 394,812."""
    return float(f"{value:.1e}") if math.isfinite(value) else 0.0

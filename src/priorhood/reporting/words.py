"""Numbers and units as sentences say them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priorhood.posterior.posterior import Posterior


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
    # Zero has no sign.
    return f"{round(value, digits) + 0.0:,.{max(digits, 0)}f}".replace("-", "−")


def with_unit(value: float, spread: float, unit: str) -> str:
    """395,200 €."""
    return joined(number(value, spread), unit)


def joined(text: str, unit: str) -> str:
    """A number and its unit, which no line may break apart."""
    return f"{text}\u00a0{unit}" if unit else text


def plainly(value: float) -> str:
    """A value of a home: 72, 83.7, 12,500; four digits as a year has them, 1963.9."""
    text = number(value, abs(value) / 10) if abs(value) < 1000 else f"{value:,.1f}"
    text = text.replace(",", "") if abs(value) < 10_000 else text
    return text.rstrip("0").rstrip(".") if "." in text else text


def round_near(value: float) -> float:
    """The value to two digits: 390,000 for 394,812."""
    return float(f"{value:.1e}") if math.isfinite(value) else 0.0

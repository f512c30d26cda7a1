"""Numbers and units as text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from priorhood.posterior.posterior import Posterior


def unit_of(post: Posterior, column: str) -> str:
    """Return the unit of a column, '' if none is known."""
    return post.model.units.get(column, "")


def absent_label(post: Posterior) -> str:
    """Return a label that no place of the data has."""
    taken = {label for labels in post.cells.values() for label in labels.tolist()}
    label = "(new)"
    while label in taken:
        label = f"({label})"
    return label


def number(value: float, spread: float) -> str:
    """Return a value rounded to two significant digits of its uncertainty.

    Examples
    --------
    >>> number(395_212.7, 1_234.0)
    '395,200'
    """
    if not math.isfinite(value):
        return "not finite"
    if not (math.isfinite(spread) and spread > 0):
        return f"{value:,.4g}".replace("-", "−") if abs(value) < 1e4 else f"{value:,.0f}".replace("-", "−")
    digits = 1 - math.floor(math.log10(spread))
    # Zero has no sign.
    return f"{round(value, digits) + 0.0:,.{max(digits, 0)}f}".replace("-", "−")


def with_unit(value: float, spread: float, unit: str) -> str:
    """Return a value rounded according to its uncertainty, with its unit: 395,200 €."""
    return joined(number(value, spread), unit)


def joined(text: str, unit: str) -> str:
    """Return a number and its unit, joined by a non-breaking space."""
    return f"{text}\u00a0{unit}" if unit else text


def plainly(value: float) -> str:
    """Return a predictor's value as text: 72, 83.7, 12,500; without a comma in four digits, as in a year: 1963.9.

    Examples
    --------
    >>> plainly(72.0), plainly(1963.9), plainly(12_500.0)
    ('72', '1963.9', '12,500')
    """
    text = number(value, abs(value) / 10) if abs(value) < 1000 else f"{value:,.1f}"
    text = text.replace(",", "") if abs(value) < 10_000 else text
    return text.rstrip("0").rstrip(".") if "." in text else text


def round_near(value: float) -> float:
    """Return the value rounded to two digits.

    Examples
    --------
    >>> round_near(394_812.0)
    390000.0
    """
    return float(f"{value:.1e}") if math.isfinite(value) else 0.0

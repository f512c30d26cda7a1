"""Weights of rows: known standard errors, precisions, frequencies (math.md, equation 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from priorhood._text import argument
from priorhood.model.expression import Guard

if TYPE_CHECKING:
    from collections.abc import Sequence


ERRORS = "the standard errors"
PRECISIONS = "the precision weights"
FREQUENCIES = "the frequency weights"
# Within these bounds the square of a standard error, a weight, their inverses and sums do not overflow a double.
MIN_WEIGHT, MAX_WEIGHT = 1e-100, 1e100
# Above this, not every integer is exact as a float.
MAX_FREQUENCY = 2.0**53


@dataclass(frozen=True)
class Weights:
    """The columns of a row's weights; None if there is no such column.

    Attributes
    ----------
    se : str or None
        column of known standard errors of the outcome, w = 1/se²
    precision : str or None
        column of weights w
    frequency : str or None
        column of the number of identical rows that a row stands for

    Examples
    --------
    >>> Weights(precision="sales").roles()
    {'sales': 'the precision weights'}
    """

    se: str | None = None
    precision: str | None = None
    frequency: str | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the model has, in the order of the attributes."""
        return tuple(column for column in (self.se, self.precision, self.frequency) if column is not None)

    @property
    def has_precisions(self) -> bool:
        """True if rows have weights w, from standard errors or given."""
        return self.se is not None or self.precision is not None

    def roles(self) -> dict[str, str]:
        """Return the role of every column, in words."""
        every = {self.se: ERRORS, self.precision: PRECISIONS, self.frequency: FREQUENCIES}
        return {column: role for column, role in every.items() if column is not None}

    def to_predict(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of the errors of rows to predict: se, or precision weights if the table has them."""
        if self.se is not None:
            return (self.se,)
        return (self.precision,) if self.precision is not None and self.precision in columns else ()

    def guards(self) -> list[tuple[str, str, Guard]]:
        """Return the conditions that every row used must satisfy: role, column, guard."""
        import narwhals.stable.v2 as nw

        conditions: list[tuple[str, str, Guard]] = []
        for column, role in self.roles().items():
            value = nw.col(column).cast(nw.Float64)
            infinite = Guard(f"{column!r} is infinite", value.is_finite(), value)
            if role == FREQUENCIES:  # rows with 0 were left out before
                advice = (
                    "a row stands for a whole number of identical rows; other weights, such as the number of sales "
                    f"of which a row is the mean, are precision weights ({argument('precision_weights')})"
                )
                guards = [
                    Guard(f"{column!r} is below 0", value >= 0, value),
                    infinite,
                    Guard(f"{column!r} is too large for a count", value <= MAX_FREQUENCY, value),
                    Guard(f"{column!r} is not a whole number", value == value.floor(), value, advice),
                ]
            else:
                extreme = f"{column!r} is too small or large{' to square' if role == ERRORS else ''}"
                guards = [
                    Guard(f"{column!r} is not above 0", value > 0, value),
                    infinite,
                    Guard(extreme, (value >= MIN_WEIGHT) & (value <= MAX_WEIGHT), value),
                ]
            conditions += [(role, column, guard) for guard in guards]
        return conditions


UNWEIGHTED = Weights()

"""Weights of rows: known standard errors, precisions, frequencies (math.md, equation 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from priorhood.model.expression import Guard

if TYPE_CHECKING:
    from collections.abc import Sequence


ERRORS = "the standard errors"
PRECISIONS = "the precision weights"
FREQUENCIES = "the frequency weights"
# Between these the square of a standard error, a weight, their inverses and sums are within a double.
MIN_WEIGHT, MAX_WEIGHT = 1e-100, 1e100
# Above, not every whole number is a floating-point number.
MAX_FREQUENCY = 2.0**53


@dataclass(frozen=True)
class Weights:
    """The columns of a row's weights; None where there is no such column.

    se : known standard errors of the outcome, w = 1/se²; precision : w itself
    frequency : number of equal rows that a row stands for

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
        """The columns there are, in the order of the fields."""
        return tuple(column for column in (self.se, self.precision, self.frequency) if column is not None)

    @property
    def graded(self) -> bool:
        """Whether rows have weights w, so that one may count more than another."""
        return self.se is not None or self.precision is not None

    def roles(self) -> dict[str, str]:
        """Return the role of each column, in words."""
        every = {self.se: ERRORS, self.precision: PRECISIONS, self.frequency: FREQUENCIES}
        return {column: role for column, role in every.items() if column is not None}

    def to_predict(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the columns of the errors of rows to predict: se, or precision weights if the table has them."""
        if self.se is not None:
            return (self.se,)
        return (self.precision,) if self.precision is not None and self.precision in columns else ()

    def guards(self) -> list[tuple[str, str, Guard]]:
        """Return the conditions that a used row must meet: role, column, guard."""
        import narwhals.stable.v2 as nw

        found: list[tuple[str, str, Guard]] = []
        for column, role in self.roles().items():
            value = nw.col(column).cast(nw.Float64)
            infinite = Guard(f"{column!r} is infinite", value.is_finite(), value)
            if role == FREQUENCIES:  # rows of 0 are left out before
                advice = (
                    "a row stands for a whole number of equal rows; weights of any size, such as how many sales a "
                    "row is the mean of, are precision_weights (--precision-weights)"
                )
                guards = [
                    Guard(f"{column!r} is below 0", value >= 0, value),
                    infinite,
                    Guard(f"{column!r} is too large a count", value <= MAX_FREQUENCY, value),
                    Guard(f"{column!r} is not a whole number", value == value.floor(), value, advice),
                ]
            else:
                extreme = f"{column!r} is too small or large{' to square' if role == ERRORS else ''}"
                guards = [
                    Guard(f"{column!r} is not above 0", value > 0, value),
                    infinite,
                    Guard(extreme, (value >= MIN_WEIGHT) & (value <= MAX_WEIGHT), value),
                ]
            found += [(role, column, guard) for guard in guards]
        return found


UNWEIGHTED = Weights()

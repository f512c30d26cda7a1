"""What a row counts: known standard errors, precisions, repetitions (math.md, equation 1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from priorhood.model.expression import Guard

if TYPE_CHECKING:
    from collections.abc import Sequence


ERRORS = "the standard errors"
PRECISIONS = "the precision weights"
FREQUENCIES = "the frequency weights"
# Between these a standard error's square, a weight, their inverses and sums are numbers.
LEAST, MOST = 1e-100, 1e100
# Above, not every whole number is a floating-point number.
MOST_TIMES = 2.0**53


@dataclass(frozen=True)
class Weights:
    """The columns that say what a row counts; None where there is no such column.

    se : known standard errors of the outcome, w = 1/se²; precision : w itself
    frequency : how many equal rows a row stands for
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
        """Whether one row may count more than another: whether there are w."""
        return self.se is not None or self.precision is not None

    def roles(self) -> dict[str, str]:
        """Column → what it is, in words."""
        every = {self.se: ERRORS, self.precision: PRECISIONS, self.frequency: FREQUENCIES}
        return {column: role for column, role in every.items() if column is not None}

    def to_predict(self, columns: Sequence[str]) -> tuple[str, ...]:
        """What says how large the error of a row to predict is: se; precision weights if the table has them."""
        if self.se is not None:
            return (self.se,)
        return (self.precision,) if self.precision is not None and self.precision in columns else ()

    def guards(self) -> list[tuple[str, str, Guard]]:
        """What a used row must meet: role, column, guard."""
        makers = {ERRORS: _error, PRECISIONS: _precision, FREQUENCIES: _frequency}
        return [(role, column, guard) for column, role in self.roles().items() for guard in makers[role](column)]


UNWEIGHTED = Weights()


def _error(column: str) -> tuple[Guard, ...]:
    """A known standard error is a finite number above 0."""
    return _positive(column, "too small or large to square")


def _precision(column: str) -> tuple[Guard, ...]:
    """A weight w is a finite number above 0."""
    return _positive(column, "too small or large")


def _positive(column: str, extreme: str) -> tuple[Guard, ...]:
    import narwhals.stable.v2 as nw

    value = nw.col(column).cast(nw.Float64)
    return (
        Guard(f"{column!r} is not above 0", value > 0, value),
        Guard(f"{column!r} is infinite", value.is_finite(), value),
        Guard(f"{column!r} is {extreme}", (value >= LEAST) & (value <= MOST), value),
    )


def _frequency(column: str) -> tuple[Guard, ...]:
    """A frequency is a count; rows of 0 are left out before."""
    import narwhals.stable.v2 as nw

    value = nw.col(column).cast(nw.Float64)
    advice = (
        "a row stands for a whole number of equal rows; weights of any size, such as how many sales a row is "
        "the mean of, are precision_weights (--precision-weights)"
    )
    return (
        Guard(f"{column!r} is below 0", value >= 0, value),
        Guard(f"{column!r} is infinite", value.is_finite(), value),
        Guard(f"{column!r} is too large a count", value <= MOST_TIMES, value),
        Guard(f"{column!r} is not a whole number", value == value.floor(), value, advice),
    )

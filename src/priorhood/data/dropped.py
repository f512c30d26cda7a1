"""Rows that were left out, by reason."""

from __future__ import annotations

from dataclasses import dataclass

from priorhood._text import count_noun, row_count


@dataclass(frozen=True)
class Dropped:
    """Rows that were left out for one reason.

    Attributes
    ----------
    reason : str
        The reason.
    column : str
        The column that it is about, or ''.
    rows : int
        Number of rows.
    places : int
        Number of places that were left out with all their rows; 0 if the reason is about rows.
    """

    reason: str
    column: str
    rows: int
    places: int = 0

    @property
    def why(self) -> str:
        """The reason, with the column that it is about."""
        return f"{self.reason} {self.column!r}" if self.column else self.reason

    def __str__(self) -> str:
        where = f" in {count_noun(self.places, 'place')}" if self.places else ""
        return f"{row_count(self.rows)}{where}: {self.why}"

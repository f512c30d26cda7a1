"""Rows left out, by reason."""

from __future__ import annotations

from dataclasses import dataclass

from priorhood._text import counted, rows_of


@dataclass(frozen=True)
class Dropped:
    """Rows left out for one reason; column is '' where the reason is no single column's.

    places : how many places are left out whole, 0 where the reason is one of rows
    """

    reason: str
    column: str
    rows: int
    places: int = 0

    def __str__(self) -> str:
        where = f" in {counted(self.places, 'place')}" if self.places else ""
        return f"{rows_of(self.rows)}{where}: {self.reason}{f' {self.column!r}' if self.column else ''}"

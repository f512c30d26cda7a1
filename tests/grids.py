"""Half of a grid of cases, as the fields of one colour on a chessboard."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence


def half_of_grid(cases: Sequence[Sequence[Hashable]]) -> list[bool]:
    """Choose cases, given as the values of their parameters; all of them if they are not a grid.

    Every value of a parameter is kept, with every other value of the next one; of three and more parameters also
    each pair of values. A parameter that follows from another does not count. Cases are a grid if they are at least
    half of all combinations.
    """
    columns: list[list[int]] = []
    for values in zip(*cases, strict=True):
        order = list(dict.fromkeys(values))
        column = [order.index(value) for value in values]
        if any(_count(column, other) == _count(other) for other in columns):
            continue
        columns = [other for other in columns if _count(column, other) > len(order)] + [column]
    columns = [column for column in columns if max(column)]
    if len(columns) < 2 or 2 * len(cases) < prod(map(_count, columns)):
        return [True] * len(cases)
    kept = [sum(position) % 2 == 0 for position in zip(*columns, strict=True)]
    for column in columns:  # a grid with gaps may have a value on the other colour alone
        for value in set(column) - {v for v, keep in zip(column, kept, strict=True) if keep}:
            kept[column.index(value)] = True
    return kept


def _count(*columns: list[int]) -> int:
    return len(set(zip(*columns, strict=True)))

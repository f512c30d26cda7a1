"""Sums under other categories: if sites have different ones, an affine map makes their sums comparable.

The indicator of a category missing from a site is 0 there, and that of its reference category is 1 minus those of
the others. So every column of the joint design is an affine function of a site's columns, and means and scatter
follow without the rows (math.md, section 2).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood.errors import ModelError
from priorhood.model.design import Indicator

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.model.design import Column, Design
    from priorhood.suffstats.moments import CellMoments

# A product of numbers, by their texts, and of indicators of categories except their factor's first.
Product = tuple[tuple[str, ...], frozenset[tuple[str, str]]]
CONSTANT: Product = ((), frozenset())


def recode(moments: CellMoments, own: Design, target: Design) -> CellMoments:
    """Return the moments of the same rows in the columns of another design of the same formula.

    x' = A x + a, so mean' = A mean + a and scatter' = A scatter Aᵀ; A and a are whole numbers.

    Parameters
    ----------
    moments : CellMoments
        The moments.
    own : Design
        Their design.
    target : Design
        The other design, with every category of their rows.

    Raises
    ------
    ModelError
        A column of the target is not an affine function of the own columns.
    """
    if own.categories == target.categories:
        return moments
    mine = [column for column in own.columns if column.factors]
    theirs = [column for column in target.columns if column.factors]
    expanded = [_expanded(column, own.categories) for column in mine]
    A, a = np.zeros((len(theirs) + 1, len(mine) + 1)), np.zeros(len(theirs) + 1)
    A[-1, -1] = 1.0
    for row, column in enumerate(theirs):
        if column in mine:
            A[row, mine.index(column)] = 1.0
            continue
        weights = _solved(_expanded(column, own.categories), expanded)
        if weights is None:
            raise ModelError(
                f"the sums do not determine {column.name!r}: it is not a combination of "
                f"{', '.join(c.name for c in mine)}; compute the sums again, from rows of all categories"
            )
        A[row, :-1], a[row] = weights[:-1], weights[-1]
    scatter = A @ moments.scatter @ A.T
    # Rounding may make a difference of nearly equal sums negative.
    diagonal = np.arange(len(a))
    scatter[:, diagonal, diagonal] = np.maximum(scatter[:, diagonal, diagonal], 0.0)
    columns = (*(c.name for c in theirs), moments.columns[-1])
    return replace(moments, columns=columns, mean=moments.mean @ A.T + a, scatter=scatter)


def _expanded(column: Column, seen: dict[str, tuple[str, ...]]) -> dict[Product, int]:
    """Write a column as a sum of products, for rows of the categories seen; empty for an unseen category."""
    numbers = tuple(sorted(f.text for f in column.factors if not isinstance(f, Indicator)))
    total: dict[frozenset[tuple[str, str]], int] = {frozenset(): 1}
    for factor in column.factors:
        if not isinstance(factor, Indicator):
            continue
        first, *others = seen[factor.factor]
        if factor.category == first:  # 1 − Σ of the others
            parts = [(frozenset(), 1), *((frozenset({(factor.factor, c)}), -1) for c in others)]
        elif factor.category in others:
            parts = [(frozenset({(factor.factor, factor.category)}), 1)]
        else:
            return {}
        total = {left | right: p * q for left, p in total.items() for right, q in parts}
    return {(numbers, product): count for product, count in total.items()}


def _solved(wanted: dict[Product, int], given: list[dict[Product, int]]) -> Array | None:
    """Return weights (C + 1,) by which the given sums of products, and 1, add up to the wanted one, or None."""
    weights = np.zeros(len(given) + 1)
    # Nearly every column is a single product, so that no system needs to be solved.
    alone = {next(iter(each)): at for at, each in enumerate(given) if list(each.values()) == [1]}
    alone[CONSTANT] = len(given)
    if all(product in alone for product in wanted):
        for product, count in wanted.items():
            weights[alone[product]] = count
        return weights
    numbers = {product[0] for product in wanted}
    near = [at for at, each in enumerate([*given, {CONSTANT: 1}]) if {p[0] for p in each} & numbers]
    sums = [[*given, {CONSTANT: 1}][at] for at in near]
    products = sorted({p for each in (wanted, *sums) for p in each}, key=repr)
    matrix = np.array([[each.get(p, 0) for each in sums] for p in products], dtype=float)
    right = np.array([wanted.get(p, 0) for p in products], dtype=float)
    solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
    whole = np.round(solution)
    solution = whole if np.array_equal(matrix @ whole, right) else solution
    if np.abs(matrix @ solution - right).max() > 1e-9:
        return None
    weights[near] = solution
    return weights

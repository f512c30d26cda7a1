"""Design: the columns of x_i, each as an expression of a row, from the formula and the categories found.

The formula is chosen, the categories are learned from the table; both travel with the posterior, so that new rows
get the same columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from priorhood.errors import FormulaError
from priorhood.model.expression import Expression
from priorhood.model.tokens import INTERCEPT as INTERCEPT
from priorhood.model.tokens import alone

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from priorhood.model.formula import Formula
    from priorhood.model.terms import Term


@dataclass(frozen=True)
class Indicator:
    """1 where a categorical factor has this category, else 0."""

    factor: str
    category: str


@dataclass(frozen=True)
class Column:
    """A column of the design: a product of numeric factors and indicators; the intercept has none."""

    factors: tuple[Expression | Indicator, ...]

    @property
    def name(self) -> str:
        """The name: `Intercept`, `area`, `type[loft]`, `area:type[loft]`."""
        labels = (
            f"{alone(str(Expression(f.factor).bare))}[{f.category}]" if isinstance(f, Indicator) else f.text
            for f in self.factors
        )
        return ":".join(labels) or INTERCEPT

    @property
    def term(self) -> str:
        """The name of its term, without categories: `area:type` of `area:type[loft]`."""
        plain = (
            alone(str(Expression(f.factor).bare)) if isinstance(f, Indicator) else f.text for f in self.factors
        )
        return ":".join(map(str, plain)) or INTERCEPT

    @property
    def indicators(self) -> tuple[Indicator, ...]:
        """The factors that are indicators."""
        return tuple(f for f in self.factors if isinstance(f, Indicator))

    @property
    def numbers(self) -> frozenset[Expression]:
        """The factors that are numbers."""
        return frozenset(f for f in self.factors if isinstance(f, Expression))

    @property
    def indicator(self) -> bool:
        """Whether all factors are indicators, so that it is not divided by its sd."""
        return bool(self.factors) and all(isinstance(f, Indicator) for f in self.factors)


@dataclass(frozen=True)
class Design:
    """All columns, and the groupings by which the coefficient of each varies.

    Parameters
    ----------
    formula : Formula
        the formula
    categories : dict of str to tuple of str
        factor → its categories in order; the first is the reference where one is dropped
    numeric : frozenset of str
        categorical columns that are numbers in the table (C(rooms)), compared as numbers

    Examples
    --------
    >>> from priorhood.model.formula import parse
    >>> Design(parse("price ~ area + type"), {"type": ("flat", "loft")}, frozenset()).names
    ('Intercept', 'area', 'type[loft]')
    """

    formula: Formula
    categories: dict[str, tuple[str, ...]]
    numeric: frozenset[str]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """All D columns, the population's first."""
        varying = (c for at in range(len(self.formula.groupings)) for c in self.level_columns(at))
        return tuple(dict.fromkeys((*self.population_columns, *varying)))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def population_columns(self) -> tuple[Column, ...]:
        """The columns with a population coefficient."""
        return _expand(self.formula.population, self.categories)

    def level_columns(self, at: int) -> tuple[Column, ...]:
        """Return the columns whose coefficient varies by a grouping, counted as in formula.groupings."""
        return _expand(self.formula.groupings[at].terms, self.categories)

    def correlated(self, at: int) -> bool:
        """Return whether the coefficients that vary by a grouping are correlated: written with `|`, and several."""
        return self.formula.groupings[at].correlated and len(self.level_columns(at)) > 1

    def coefficient_columns(self, at: int) -> tuple[Column, ...]:
        """Return the columns whose coefficient differs between the places of a grouping.

        They are those that vary by it and, for a level, those that vary by a coarser one.
        """
        above = range(at, len(self.formula.levels)) if at < len(self.formula.levels) else [at]
        return tuple(dict.fromkeys(c for level in above for c in self.level_columns(level)))

    def index(self, columns: tuple[Column, ...]) -> list[int]:
        """Return the positions of columns among all columns."""
        return [self.columns.index(column) for column in columns]

    @property
    def constant(self) -> int | None:
        """The intercept's position, or None."""
        names = self.names
        return names.index(INTERCEPT) if INTERCEPT in names else None

    @property
    def variables(self) -> tuple[str, ...]:
        """The columns of the table that the predictors read."""
        return tuple(dict.fromkeys(n for f in self.formula.factors() for n in Expression(f).names))

    @cached_property
    def references(self) -> dict[str, str]:
        """Categorical column → the category that its coefficients are relative to, where they are to one."""
        found: dict[str, str] = {}
        parts = (self.population_columns, *map(self.level_columns, range(len(self.formula.groupings))))
        for factor, categories in self.categories.items():
            for part in parts:
                seen: dict[frozenset[Expression | Indicator], set[str]] = {}
                for column in part:
                    for one in column.factors:
                        if isinstance(one, Indicator) and one.factor == factor:
                            seen.setdefault(frozenset(column.factors) - {one}, set()).add(one.category)
                if any(categories[0] not in those for those in seen.values()):
                    found[str(Expression(factor).bare)] = categories[0]
        return found

    def build(self, column: Column) -> nw.Expr:
        """Return a design column as a narwhals expression (not for the intercept)."""
        import narwhals.stable.v2 as nw

        product: nw.Expr | None = None
        for factor in column.factors:
            if isinstance(factor, Indicator):
                name = str(Expression(factor.factor).bare)
                if factor.factor in self.numeric:
                    number = float(factor.category)
                    same = nw.col(name).cast(nw.Float64) == number
                    # A number of 32 bits is written 1.1, and is another one with 64.
                    with np.errstate(over="ignore"):
                        shorter = float(np.float32(number))
                    if shorter != number:
                        same = same | (nw.col(name).cast(nw.Float64) == shorter)
                else:
                    same = nw.col(name).cast(nw.String) == factor.category
                value = nw.when(same).then(nw.lit(1.0)).otherwise(nw.lit(0.0))
            else:
                value = factor.build()
            product = value if product is None else product * value
        if product is None:
            raise FormulaError("the intercept has no expression")
        return product


def _expand(terms: tuple[Term, ...], categories: dict[str, tuple[str, ...]]) -> tuple[Column, ...]:
    """Columns of terms, with treatment coding.

    A categorical factor f of a term loses its first category where the term without f is there too
    (`1 + f`, `a + a:f`): the columns would otherwise add up to those of that term. Where it is not
    (`0 + f`, `a:f` alone) every category has its own column; and where no part of an interaction of several is
    there (`0 + f:g`), every combination has.
    """
    present = {frozenset(term) for term in terms}
    columns: list[Column] = []
    for term in terms:
        options: list[list[Expression | Indicator]] = []
        several = [f for f in term if f in categories]
        # The term without one or more of its categorical factors.
        parts = {frozenset(term)}
        for factor in several:
            parts |= {part - {factor} for part in parts}
        parts -= {frozenset(term)}
        whole = not parts & present
        for factor in term:
            if factor not in categories:
                options.append([Expression(factor)])
                continue
            rest = frozenset(term) - {factor}
            reduced = rest in present
            # All categories of f add up to the term without it, so that a later term finds it there.
            present.add(rest)
            if len(several) > 1 and not reduced and not whole:
                joined, starred = ":".join(term), "*".join(term)
                raise FormulaError(
                    f"the interaction {joined!r} of categorical columns needs its parts in the formula too: "
                    f"write {starred!r}, or without an intercept '0 + {joined}'"
                )
            options.append([Indicator(factor, c) for c in categories[factor][1 if reduced else 0 :]])
        present |= parts if whole else set()
        products: list[tuple[Expression | Indicator, ...]] = [()]
        for option in options:
            products = [(*left, right) for left in products for right in option]
        columns += [Column(product) for product in products]
    return tuple(columns)

"""Design: the columns of x_i, each as an expression of a row, from the formula and the categories.

The formula is chosen, the categories are learned from the table; the posterior keeps both, so that new rows get the
same columns.
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
    """A factor that is 1 where a categorical factor has this category, else 0."""

    factor: str
    category: str


@dataclass(frozen=True)
class Column:
    """A column of the design: a product of numeric factors and indicators; the intercept has no factors."""

    factors: tuple[Expression | Indicator, ...]

    @property
    def name(self) -> str:
        """Name of the column: `Intercept`, `area`, `type[loft]`, `area:type[loft]`."""
        labels = (
            f"{alone(str(Expression(f.factor).bare))}[{f.category}]" if isinstance(f, Indicator) else f.text
            for f in self.factors
        )
        return ":".join(labels) or INTERCEPT

    @property
    def term(self) -> str:
        """Name of the column's term, without categories: `area:type` for `area:type[loft]`."""
        plain = (
            alone(str(Expression(f.factor).bare)) if isinstance(f, Indicator) else f.text for f in self.factors
        )
        return ":".join(map(str, plain)) or INTERCEPT

    @property
    def indicators(self) -> tuple[Indicator, ...]:
        """Factors that are indicators."""
        return tuple(f for f in self.factors if isinstance(f, Indicator))

    @property
    def numbers(self) -> frozenset[Expression]:
        """Factors that are numbers."""
        return frozenset(f for f in self.factors if isinstance(f, Expression))

    @property
    def indicator(self) -> bool:
        """True if all factors are indicators; such a column is not divided by its sd."""
        return bool(self.factors) and all(isinstance(f, Indicator) for f in self.factors)


@dataclass(frozen=True)
class Design:
    """All columns, and the groupings by which their coefficients vary.

    Parameters
    ----------
    formula : Formula
        formula of the model
    categories : dict of str to tuple of str
        categories of every categorical factor, in order; if one is dropped, the first is the reference
    numeric : frozenset of str
        categorical columns that are numbers in the table (C(rooms)) and are compared as numbers

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
        """All D columns, starting with those of the population."""
        varying = (c for at in range(len(self.formula.groupings)) for c in self.level_columns(at))
        return tuple(dict.fromkeys((*self.population_columns, *varying)))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def population_columns(self) -> tuple[Column, ...]:
        """Columns with a population coefficient."""
        return _expand(self.formula.population, self.categories)

    def level_columns(self, at: int) -> tuple[Column, ...]:
        """Return the columns whose coefficients vary by the grouping formula.groupings[at]."""
        return _expand(self.formula.groupings[at].terms, self.categories)

    def correlated(self, at: int) -> bool:
        """Return True if several coefficients vary by a grouping and are correlated (written with `|`)."""
        return self.formula.groupings[at].correlated and len(self.level_columns(at)) > 1

    def coefficient_columns(self, at: int) -> tuple[Column, ...]:
        """Return the columns whose coefficients differ between the places of a grouping.

        They are the columns that vary by it and, for a level, those that vary by a coarser level.
        """
        above = range(at, len(self.formula.levels)) if at < len(self.formula.levels) else [at]
        return tuple(dict.fromkeys(c for level in above for c in self.level_columns(level)))

    def index(self, columns: tuple[Column, ...]) -> list[int]:
        """Return the positions of columns among all columns."""
        return [self.columns.index(column) for column in columns]

    @property
    def constant(self) -> int | None:
        """Position of the intercept, or None."""
        names = self.names
        return names.index(INTERCEPT) if INTERCEPT in names else None

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns of the table that the predictors use."""
        return tuple(dict.fromkeys(n for f in self.formula.factors() for n in Expression(f).names))

    @cached_property
    def references(self) -> dict[str, str]:
        """Reference category by categorical column, for columns whose coefficients are relative to one."""
        references: dict[str, str] = {}
        parts = (self.population_columns, *map(self.level_columns, range(len(self.formula.groupings))))
        for factor, categories in self.categories.items():
            for part in parts:
                seen: dict[frozenset[Expression | Indicator], set[str]] = {}
                for column in part:
                    for indicator in column.indicators:
                        if indicator.factor == factor:
                            others = frozenset(column.factors) - {indicator}
                            seen.setdefault(others, set()).add(indicator.category)
                if any(categories[0] not in present for present in seen.values()):
                    references[str(Expression(factor).bare)] = categories[0]
        return references

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
                    # A float32 printed as 1.1 differs from the float64 1.1.
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
            raise FormulaError("the intercept cannot be built from columns")
        return product


def _expand(terms: tuple[Term, ...], categories: dict[str, tuple[str, ...]]) -> tuple[Column, ...]:
    """Return the columns of terms, with treatment coding.

    A categorical factor f of a term loses its first category if the formula also has the term without f
    (`1 + f`, `a + a:f`): otherwise the columns would add up to those of that term. If it does not (`0 + f`, `a:f`
    alone), every category has a column; and if the formula has no part of an interaction (`0 + f:g`), every
    combination has one.
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
            # All categories of f add up to the term without f, so for later terms that term is present.
            present.add(rest)
            if len(several) > 1 and not reduced and not whole:
                joined, starred = ":".join(term), "*".join(term)
                raise FormulaError(
                    f"the formula has the interaction {joined!r} of categorical columns without its main effects: "
                    f"write {starred!r}, or '0 + {joined}' without an intercept"
                )
            options.append([Indicator(factor, c) for c in categories[factor][1 if reduced else 0 :]])
        present |= parts if whole else set()
        products: list[tuple[Expression | Indicator, ...]] = [()]
        for option in options:
            products = [(*left, right) for left in products for right in option]
        columns += [Column(product) for product in products]
    return tuple(columns)

"""Design: the columns of x_i, each as an expression of a row, from the formula and the categories.

The formula is chosen, the categories are learned from the table; the posterior keeps both, so that new rows get the
same columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import preview
from priorhood.errors import FormulaError, ModelError, TableError
from priorhood.model.expression import Expression
from priorhood.model.formula import same_formula
from priorhood.model.tokens import INTERCEPT as INTERCEPT
from priorhood.model.tokens import alone, brief, cut

if TYPE_CHECKING:
    from collections.abc import Callable

    import narwhals.stable.v2 as nw

    from priorhood.model.arithmetic import Value
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
    truths : frozenset of str
        columns of true and false, whose numbers are 1 and 0

    Examples
    --------
    >>> from priorhood.model.formula import parse
    >>> Design(parse("price ~ area + type"), {"type": ("flat", "loft")}, frozenset()).names
    ('Intercept', 'area', 'type[loft]')
    """

    formula: Formula
    categories: dict[str, tuple[str, ...]]
    numeric: frozenset[str]
    truths: frozenset[str] = frozenset()

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


def ordered_categories(
    expression: Expression, found: tuple[str, ...], name: str, *, whole: bool
) -> tuple[str, ...]:
    """Order the categories as C(column, Treatment("house")) or C(column, levels=[…]) does: the reference first.

    Parameters
    ----------
    whole : bool
        Whether these are all rows, so that the reference must be among them.

    Raises
    ------
    TableError
        No row has the reference, or a category is not listed.
    """
    column = expression.bare
    if expression.levels is not None:
        listed = tuple(level_label(value, found) for value in expression.levels)
        new = [category for category in found if category not in listed]
        if new:
            raise TableError(
                f"{name}: predictor {column!r} has the category {new[0]!r}, which {expression.text} does not list; "
                f"the column has {preview(found, 12)}"
            )
        found = tuple(category for category in listed if category in found)
    if expression.reference is None:
        return found
    reference = level_label(expression.reference, found)
    if reference not in found and whole:
        raise TableError(
            f"{name}: {cut(expression.text)}: no row has the level {brief(reference)} of {column!r}; choose "
            f"from {preview(found, 12)}"
        )
    return tuple(sorted(found, key=lambda category: category != reference))


def level_label(value: Value, found: tuple[str, ...]) -> str:
    """Return a level of a formula as categories are written: 3 and 3.0 are the number 3."""
    if isinstance(value, bool):
        return next((category for category in found if category.casefold() == str(value).casefold()), str(value))
    return value if isinstance(value, str) else number_label(float(value))


def number_label(value: float) -> str:
    """Return a category that is a number as text, with all digits, since it is read back."""
    return repr(value).removesuffix(".0")


def union_design(first: Design, other: Design) -> Design:
    """Return the design of both: every factor with the categories of either, in order.

    The order is that of a table of all rows: numbers by size, text alphabetically, unless one of the two declares
    another order. If both do and they contradict each other, the first one is used.

    Raises
    ------
    ModelError
        The formulas differ; a column is numeric in one and categorical in the other.
    """
    if not same_formula(first.formula, other.formula):
        raise ModelError(f"the formulas differ: {first.formula.text!r} and {other.formula.text!r}")
    odd = sorted(set(first.categories) ^ set(other.categories))
    if odd:
        raise ModelError(
            f"predictor {odd[0]!r} is categorical in one part and numeric in another; counts per category cannot "
            f"be recovered from numeric sums: make it text, or numbers, everywhere"
        )
    numeric = first.numeric | other.numeric
    for factor in sorted(first.numeric ^ other.numeric):
        # Numbers as text are the same categories, if they are written in the same way.
        texts = [c for c in first.categories[factor] + other.categories[factor] if not _plain_number(c)]
        if texts:
            raise ModelError(
                f"predictor {factor!r} is numeric in one part and text in another, where it is "
                f"{preview(texts, 3)}; use one type everywhere"
            )
    categories = {}
    for factor in first.categories:
        usual: Callable[[str], float | str] = float if factor in numeric else str
        either = []
        for design in (first, other):
            own = design.categories[factor]
            # Numbers in one of both, and here texts in the alphabet's order, are sorted by size.
            as_text = factor in numeric and factor not in design.numeric and list(own) == sorted(own)
            either.append(tuple(sorted(own, key=float)) if as_text else own)
        reference = Expression(factor).reference
        ahead = () if reference is None else (level_label(reference, either[0] + either[1]),)
        there = tuple(category for category in ahead if category in either[0] + either[1])
        rest = [tuple(category for category in own if category not in ahead) for own in either]
        order = (*there, *_in_order(rest[0], rest[1], usual))
        categories[factor] = ordered_categories(Expression(factor), order, "the sums", whole=False)
    return Design(first.formula, categories, numeric, first.truths & other.truths)


def _in_order(
    first: tuple[str, ...], other: tuple[str, ...], usual: Callable[[str], float | str]
) -> tuple[str, ...]:
    """Return the categories of either, in the usual order if both have it; else see union_design."""
    if all(list(own) == sorted(own, key=usual) for own in (first, other)):
        return tuple(sorted({*first, *other}, key=usual))
    if list(first) == sorted(first, key=usual):
        first, other = other, first
    if list(other) == sorted(other, key=usual):
        return (*first, *(category for category in other if category not in first))
    found = list(first)
    for at, category in enumerate(other):
        if category in found:
            continue
        # Insert it next to the nearest neighbour that both have.
        before = next((found.index(one) + 1 for one in reversed(other[:at]) if one in found), None)
        behind = next((found.index(one) for one in other[at:] if one in found), len(found))
        found.insert(behind if before is None else before, category)
    return tuple(found)


def _plain_number(text: str) -> bool:
    """Whether a category is spelled as a design spells a number."""
    try:
        return repr(float(text)).removesuffix(".0") == text
    except ValueError:
        return False

"""What a column is, numbers or categories, of the rows of a fit and of those to predict."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from priorhood.design import Design
from priorhood.errors import FormulaError, TableError, rows_of, some
from priorhood.expression import Expression
from priorhood.formula import Grouping, written_out
from priorhood.sources import KEPT
from priorhood.table import Table, collected, declared_order, missing
from priorhood.words import written

if TYPE_CHECKING:
    from priorhood.arithmetic import Value
    from priorhood.formula import Formula
    from priorhood.table import Frame

MOST_CATEGORIES = 100


def learn_design(frame: Frame, formula: Formula, name: str, least: int = 2) -> Design:
    """Look at the predictors: which are numbers, which are categories, and which categories there are.

    A categorical predictor needs `least` categories: two for a fit, any number for rows added to one.
    """
    import narwhals.stable.v2 as nw

    schema = frame.collect_schema()
    for part in Expression(formula.outcome).names:
        require_number(frame, part, name, "the outcome", may_be_categorical=False)
    categories: dict[str, tuple[str, ...]] = {}
    numeric: set[str] = set()
    for factor in formula.factors():
        expression = Expression(factor)
        column = expression.bare
        textual = column is not None and not (schema[column].is_numeric() or schema[column] == nw.Boolean)
        if column is None or not (expression.categorical or textual):
            for part in expression.names:
                require_number(frame, part, name, f"predictor {factor}", may_be_categorical=False)
            continue
        if not expression.categorical and not require_number(
            frame, column, name, "predictor", may_be_categorical=True
        ):
            continue
        if schema[column].is_numeric():
            numeric.add(factor)
        found = _categories(frame, formula, column, number=factor in numeric)
        if len(found) > MOST_CATEGORIES:
            raise TableError(
                f"{name}: column {column!r} has {len(found):,} categories; so many belong in a group part: fit "
                f"{_as_group(formula, factor, column)!r}"
            )
        if len(found) < least:
            only = f"only the category {found[0]!r}" if found else "no value"
            raise TableError(f"{name}: categorical predictor {column!r} has {only}; leave it out")
        categories[factor] = asked_order(expression, found, name, whole=least > 1)
    _check_alike(categories)
    return Design(formula, categories, frozenset(numeric))


def _as_group(formula: Formula, factor: str, column: str) -> str:
    """The formula with a categorical factor as a grouping."""
    groupings = [
        replace(one, terms=tuple(term for term in one.terms if factor not in term) or ((),))
        for one in formula.groupings
    ]
    if all(one.path != (column,) for one in groupings):
        groupings.append(Grouping((column,), ((),), correlated=False))
    population = tuple(term for term in formula.population if factor not in term)
    return written_out(replace(formula, population=population, levels=tuple(groupings), crossed=()))


def asked_order(expression: Expression, found: tuple[str, ...], name: str, *, whole: bool) -> tuple[str, ...]:
    """The categories as C(column, Treatment("house")) or C(column, levels=[…]) has them: the reference first.

    Parameters
    ----------
    whole : whether the rows are all there are, so that the reference must be among them

    Raises
    ------
    TableError : a level that no row has, or that is not listed
    """
    column = expression.bare
    if expression.levels is not None:
        listed = tuple(level_label(value, found) for value in expression.levels)
        new = [category for category in found if category not in listed]
        if new:
            raise TableError(
                f"{name}: predictor {column!r} has the category {new[0]!r}, which {expression.text} does not list; "
                f"there are {some(found, 12)}"
            )
        found = tuple(category for category in listed if category in found)
    if expression.reference is None:
        return found
    reference = level_label(expression.reference, found)
    if reference not in found and whole:
        raise TableError(
            f"{name}: {expression.text}: no row has the level {reference!r} of {column!r}; there are "
            f"{some(found, 12)}"
        )
    return tuple(sorted(found, key=lambda category: category != reference))


def level_label(value: Value, found: tuple[str, ...]) -> str:
    """A level as a formula writes it, as categories are written: 3 and 3.0 are the number 3."""
    if isinstance(value, bool):
        return next((category for category in found if category.casefold() == str(value).casefold()), str(value))
    return value if isinstance(value, str) else number_label(float(value))


def _check_alike(categories: dict[str, tuple[str, ...]]) -> None:
    """Refuse a column that a formula takes as categories in two ways: its coefficients would have one name.

    Raises
    ------
    FormulaError
    """
    ways: dict[str, str] = {}
    for factor in categories:
        other = ways.setdefault(str(Expression(factor).bare), factor)
        if other != factor:
            raise FormulaError(
                f"the formula has {other} and {factor}, the same categories in two ways: write {other} everywhere"
            )


def require_number(frame: Frame, column: str, name: str, role: str, *, may_be_categorical: bool) -> bool:
    """Raise unless a column can serve as a number; True where it should serve as categories instead."""
    import narwhals.stable.v2 as nw

    dtype = frame.collect_schema()[column]
    if dtype.is_numeric() or dtype == nw.Boolean:
        return False
    if dtype not in (nw.String, nw.Categorical, nw.Enum, nw.Object):
        raise TableError(
            f"{name}: column {column!r} ({role}) holds {dtype}, not numbers; make a number of it first, "
            f"such as days since a date"
        )
    values = _distinct(frame, column)
    if not values:
        return False  # no value at all: the rows are counted as missing later
    # A lone 'inf' makes text of a CSV's whole column.
    spoilt = [v for v in values if not _is_number(v)] or [v for v in values if not math.isfinite(float(v))]
    commas = [v for v in spoilt if _is_number(v.replace(".", "").replace(",", "."))]
    if len(commas) > len(values) / 2:
        raise TableError(
            f"{name}: column {column!r} ({role}) has decimal commas: {some(commas, 3)}; read the file with "
            f"decimal=',' (--decimal ,) or convert the column"
        )
    if not spoilt:
        if may_be_categorical:
            raise TableError(
                f"{name}: column {column!r} is text though all its values are numbers, like {some(values, 2)}; "
                f"convert it to numbers, or write C({written(column)}) to use it as categories"
            )
        raise TableError(f"{name}: column {column!r} ({role}) is text, like {some(values, 2)}; convert it")
    if may_be_categorical and len(spoilt) > len(values) / 2:
        return True
    count = _count_rows(frame, column, spoilt[:50])
    raise TableError(
        f"{name}: column {column!r} ({role}) holds text where a number should be: {some(spoilt)} "
        f"({rows_of(count)}); mend these rows, filter them out (where), or name texts that mean a missing value "
        f"(nulls, --null)"
    )


def number_label(value: float) -> str:
    """A category that is a number: all its digits, since it is read back to compare."""
    return repr(value).removesuffix(".0")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _distinct(frame: Frame, column: str) -> list[str]:
    """The different non-missing values as text, sorted."""
    import narwhals.stable.v2 as nw

    present = frame.filter(~missing(frame, column))
    found = collected(present.select(nw.col(column).cast(nw.String).str.strip_chars()).unique())
    return sorted(str(v) for v in found[column])


def _count_rows(frame: Frame, column: str, values: list[str]) -> int:
    import narwhals.stable.v2 as nw

    text = nw.col(column).cast(nw.String).str.strip_chars()
    one = nw.when(text.is_in(values)).then(nw.lit(1)).otherwise(nw.lit(0))
    return int(collected(frame.select(one.alias(column).sum()))[column][0])


def _categories(frame: Frame, formula: Formula, column: str, *, number: bool) -> tuple[str, ...]:
    """The categories of the rows that have all that the formula reads, in order."""
    used = frame if KEPT not in frame.collect_schema().names() else _only_kept(frame)
    read = [name for factor in formula.factors() for name in Expression(factor).names]
    for other in dict.fromkeys((*Expression(formula.outcome).names, *formula.keys, *read)):
        used = used.filter(~missing(used, other))
    values = _distinct(used, column)
    if number:
        values = [number_label(v) for v in sorted({float(v) for v in values})]
    order = [text.strip() for text in declared_order(frame, column)]
    return tuple(dict.fromkeys([*(v for v in order if v in values), *values]))


def _only_kept(frame: Frame) -> Frame:
    import narwhals.stable.v2 as nw

    return frame.filter(nw.col(KEPT))


def rows_to_predict(table: Table, design: Design, unseen: str = "error") -> Any:
    """Rows to predict, in memory, after the same checks of columns and categories as for a fit.

    unseen : "population" for the average place where the column of the places is not there
    """
    for factor in design.formula.factors():
        for name in Expression(factor).names:
            table.require(name, "a predictor of the fitted model")
    for grouping in design.formula.groupings[:1] + design.formula.crossed:
        # The places that it lies in may be left out where its own label tells which it is.
        if unseen == "population" and grouping.column not in table.columns:
            continue
        advice = f"; for the average {grouping.column} say unseen=population"
        table.require(grouping.column, "the group of the fitted model", advice)
    categorical = {Expression(f).bare for f in design.categories if f not in design.numeric}
    numbers = [v for v in design.variables if v not in categorical]
    frame = table.eager(numbers)
    for number in numbers:
        require_number(frame, number, table.name, "a predictor of the fitted model", may_be_categorical=False)
    for factor, categories in design.categories.items():
        column = Expression(factor).bare
        if column is None:
            continue
        values = _distinct(frame, column)
        if factor in design.numeric:
            values = [number_label(float(v)) for v in values]
        new = [v for v in values if v not in categories]
        if new:
            raise TableError(
                f"{table.name}: predictor {column!r} has the category {new[0]!r}, which the data of the fit had "
                f"not; there are {some(categories, 12)}"
            )
    return frame

"""What a column is, numbers or categories, of the rows of a fit and of those to predict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import some, sql_name
from priorhood.data.labels import normal_label
from priorhood.data.roles import MOST_CATEGORIES, Role, check_numbers, check_rest, in_roles, refuse_nested
from priorhood.data.sources.columns import GIVEN, collected, declared_order, missing, run, textual
from priorhood.data.sources.duckdb_io import KEPT
from priorhood.data.sources.remote import counted_labels, is_elsewhere
from priorhood.errors import FormulaError, TableError
from priorhood.model.design import Design
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR, Grouping, written_out
from priorhood.model.tokens import brief, cut

if TYPE_CHECKING:
    from collections.abc import Iterable

    from priorhood.data.sources.table import Frame, Table
    from priorhood.model.arithmetic import Value
    from priorhood.model.formula import Formula


def learn_design(
    frame: Frame, formula: Formula, name: str, least: int = 2, orders: dict[str, tuple[str, ...]] | None = None
) -> Design:
    """Look at the predictors: which are numbers, which are categories, and which categories there are.

    A categorical predictor needs `least` categories: two for a fit, any number for rows added to one.

    Parameters
    ----------
    frame : rows with their columns as their roles want them (roles): what is text is categories
    orders : column → the order of its categories, of columns whose type in the frame does not say it
    """
    schema = frame.collect_schema()
    categories: dict[str, tuple[str, ...]] = {}
    numeric: set[str] = set()
    for factor in formula.factors():
        expression = Expression(factor)
        column = expression.bare
        if column is None or not (expression.categorical or textual(schema[column])):
            continue
        if schema[column].is_numeric():
            numeric.add(factor)
        declared = (orders or {}).get(column) or _declared(frame, column)
        found = _categories(frame, formula, column, declared, number=factor in numeric)
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


def roles_of(formula: Formula, design: Design | None = None) -> dict[str, Role]:
    """Column → what the outcome and the predictors want it to be; with a design, as that fit had it."""
    roles: dict[str, Role] = {}
    for factor in formula.factors():
        expression = Expression(factor)
        if expression.bare is None:
            free = design is None
            roles |= {part: Role(f"predictor {factor}", number=True, predictor=free) for part in expression.names}
        elif design is not None and factor in design.categories:
            numeric = factor in design.numeric
            known = () if numeric else design.categories[factor]
            roles.setdefault(expression.bare, Role("predictor", number=numeric, category=not numeric, known=known))
        elif expression.categorical:
            roles.setdefault(expression.bare, Role("predictor", category=True))
        else:
            before = roles.get(expression.bare, Role(""))
            number = before.number or design is not None
            said = before.said if before.number else "predictor"
            roles[expression.bare] = Role(said, number=number, predictor=design is None)
    return roles | {part: Role("the outcome", number=True) for part in Expression(formula.outcome).names}


def texts_of(formula: Formula, design: Design | None = None) -> tuple[str, ...]:
    """The columns that are text whatever they look like: labels, and what an earlier fit had as categories."""
    known = () if design is None else tuple(f for f in design.categories if f not in design.numeric)
    return tuple(dict.fromkeys((*formula.keys, *(str(Expression(f).bare) for f in known))))


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
            f"{name}: {cut(expression.text)}: no row has the level {brief(reference)} of {column!r}; there are "
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


def _check_bits(numbers: set[float], column: str) -> None:
    """Refuse two categories that are one number with 32 bits: a row of one would count for both (see design).

    Raises
    ------
    FormulaError
    """
    with np.errstate(over="ignore"):
        twin = next((v for v in sorted(numbers) if (other := float(np.float32(v))) != v and other in numbers), None)
    if twin is not None:
        raise FormulaError(
            f"column {column!r} has the categories {twin!r} and {float(np.float32(twin))!r}, which are one number "
            f"with 32 bits: round the column"
        )


def number_label(value: float) -> str:
    """A category that is a number: all its digits, since it is read back to compare."""
    return repr(value).removesuffix(".0")


def _distinct(frame: Frame, column: str) -> list[str]:
    """The different non-missing values as text, sorted."""
    import narwhals.stable.v2 as nw

    present = frame.filter(~missing(frame, column))
    found = collected(present.select(nw.col(column).cast(nw.String)).unique())
    return sorted(str(v) for v in found[column])


def _declared(frame: Frame, column: str) -> tuple[str, ...]:
    """The order of a column's categories as its type had it where it was given."""
    return declared_order(frame, GIVEN + column if GIVEN + column in frame.collect_schema().names() else column)


def _categories(
    frame: Frame, formula: Formula, column: str, declared: tuple[str, ...], *, number: bool
) -> tuple[str, ...]:
    """The categories of the rows that have all that the formula reads, in the order declared, else their own."""
    used = frame if KEPT not in frame.collect_schema().names() else _only_kept(frame)
    read = [name for factor in formula.factors() for name in Expression(factor).names]
    for other in dict.fromkeys((*Expression(formula.outcome).names, *formula.keys, *read)):
        used = used.filter(~missing(used, other))
    values = _distinct(used, column)
    if number:
        numbers = {float(v) for v in values}
        _check_bits(numbers, column)
        values = [number_label(v) for v in sorted(numbers)]
    order = map(normal_label, declared)
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
        advice = f"; for the average {grouping.column} say unseen='population' (--unseen population)"
        table.require(grouping.column, "the group of the fitted model", advice)
    every, said = roles_of(design.formula, design), "a predictor of the fitted model"
    roles = {column: replace(every[column], said=said) for column in design.variables}
    numbers = [column for column, role in roles.items() if not role.category]
    rows = table.eager(numbers, texts_of(design.formula, design))
    keys = [key for key in design.formula.keys if key in table.columns]
    refuse_nested(rows, dict.fromkeys(keys, "the group"), table.name)
    frame = in_roles(rows, roles, table, keep=True)
    check_numbers(frame, roles, table)
    check_rest(frame, table)
    for factor, categories in design.categories.items():
        column = Expression(factor).bare
        if column is None:
            continue
        values = _distinct(frame if KEPT not in frame.columns else _only_kept(frame), column)
        if factor in design.numeric:
            values = [number_label(float(v)) for v in values]
        new = [v for v in values if v not in categories]
        if new:
            raise TableError(
                f"{table.name}: predictor {column!r} has the category {new[0]!r}, which the data of the fit had "
                f"not; there are {some(categories, 12)}"
            )
    return frame


# First looks: so many rows, of which so large a share of different labels asks for a second look.
LOOKS = ((10_000, 0.5), (1_000_000, 0.9))
# Of places with fewer rows than this on average, nothing is left to be learned of them.
FEWEST_ROWS = 1.5
MOST_PLACES = 5_000_000


def refuse_ids(frame: Frame, keys: tuple[str, ...], name: str) -> None:
    """Raise where a group's column is an id of rows, or has more labels than there can be places.

    Only where the first rows look so is the whole column counted, approximately.
    """
    for key in keys:
        if not _looks_so(frame, key, name):
            continue
        rows, labels = _counted(frame, key, name)
        others = [c for c in frame.collect_schema().names() if c != key and not c.startswith("__")]
        said = f"{name}: the group {key!r} has about {labels:,} different values in {rows:,} rows"
        if rows < FEWEST_ROWS * labels:
            raise TableError(
                f"{said}: it looks like an id of rows, not a place; name the column that says where a row is "
                f"(there are {some(others, 12)})"
            )
        if labels > MOST_PLACES:
            raise TableError(
                f"{said}, and at most {MOST_PLACES:,} places can be fitted; group by something coarser, or choose "
                f"rows (where)"
            )


def _looks_so(frame: Frame, key: str, name: str) -> bool:
    """Whether nearly every one of the first rows has another label; a short table never does."""
    import narwhals.stable.v2 as nw

    for rows, share in LOOKS:
        if isinstance(frame, nw.DataFrame):
            first = frame.get_column(key).head(rows)
            seen, labels = len(first), first.n_unique()
        else:
            seen, labels = _counted(frame.select(key).head(rows), key, name, roughly=False)
        if seen < rows or labels <= share * rows:
            return False
    return True


def _counted(frame: Frame, key: str, name: str, *, roughly: bool = True) -> tuple[int, int]:
    """Rows, and different labels: within a few per cent by engines elsewhere and, if roughly, by DuckDB."""
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        return counted_labels(frame, key)
    if roughly and str(frame.implementation).lower().endswith("duckdb"):
        native: Any = frame.to_native()
        asked = nw.from_native(
            native.aggregate(f"count(*) AS rows, approx_count_distinct({sql_name(key)}) AS labels")
        )
    else:
        asked = frame.select(nw.len().alias("rows"), nw.col(key).n_unique().alias("labels"))
    found = run(asked, name)
    rows = int(found["rows"][0])
    return rows, int(found["labels"][0]) if rows else 0  # of no rows the second is missing


def refuse_unwritable(texts: Iterable[str], column: str, name: str, keys: int = 1) -> None:
    """Raise before a fit where a label or category could not be saved: no text in UTF-8, or with a character 0.

    Parameters
    ----------
    texts : of several keys their labels, joined, in which none may have what joins them
    """
    listed = list(texts)
    whole = "\n".join(listed)
    joined = next((text for text in listed if text.count(SEPARATOR) >= keys), None) if SEPARATOR in whole else None
    if joined is not None:
        raise TableError(
            f"{name}: {column} has the value {joined!r} with the character {SEPARATOR!r}, which no label may have; "
            f"replace it in the table"
        )
    try:
        whole.encode()
        odd = next(text for text in listed if "\0" in text) if "\0" in whole else None
    except UnicodeEncodeError:
        odd = next(text for text in listed if text != text.encode(errors="replace").decode())
    if odd is not None:
        odd = odd.replace(SEPARATOR, "/")
        raise TableError(
            f"{name}: {column} has the value {odd!r}, which cannot be saved as text; replace such characters in "
            f"the table"
        )

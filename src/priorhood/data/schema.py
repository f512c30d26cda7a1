"""Detection of numeric and categorical columns, in the rows of a fit and in rows to predict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, preview, sql_name
from priorhood.data.labels import normal_label
from priorhood.data.misread_numbers import check_numbers
from priorhood.data.misread_thousands import check_all_rows
from priorhood.data.number_formats import guess_separators
from priorhood.data.roles import TRUE_OR_FALSE, Role, convert_to_roles, refuse_nested
from priorhood.data.sources.backend import backend_of, is_elsewhere
from priorhood.data.sources.columns import GIVEN, collected, declared_order, kept_rows, missing, run, textual
from priorhood.data.sources.remote import count_labels
from priorhood.data.text_columns import MAX_CATEGORIES
from priorhood.errors import FormulaError, TableError
from priorhood.model.design import Design, number_label, ordered_categories
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR, Grouping, written_out
from priorhood.model.tokens import written

if TYPE_CHECKING:
    from collections.abc import Iterable

    from priorhood.data.sources.backend import Frame
    from priorhood.data.sources.table import Table
    from priorhood.model.formula import Formula


def learn_design(
    frame: Frame, formula: Formula, name: str, least: int = 2, orders: dict[str, tuple[str, ...]] | None = None
) -> Design:
    """Detect which predictors are numeric and which are categorical, and find the categories.

    Parameters
    ----------
    frame : narwhals frame
        Rows with their columns as their roles require: text is categorical.
    least : int
        Smallest number of categories of a categorical predictor: two for a fit.
    orders : dict of str to tuple of str, optional
        Column → order of its categories, if its type in the frame does not define it.
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
        given = GIVEN + column if GIVEN + column in schema.names() else column
        declared = (orders or {}).get(column) or declared_order(frame, given)
        # Only rows without missing values in the formula's columns.
        used = kept_rows(frame)
        read = [n for one in formula.factors() for n in Expression(one).names]
        for other in dict.fromkeys((*Expression(formula.outcome).names, *formula.keys, *read)):
            used = used.filter(~missing(used, other))
        values = _distinct(used, column)
        if factor in numeric:
            numbers = {float(v) for v in values}
            # A row of one of two categories that are the same float32 would count for both (see Design).
            with np.errstate(over="ignore"):
                shorter = {v: float(np.float32(v)) for v in sorted(numbers)}
            twin = next((v for v, other in shorter.items() if other != v and other in numbers), None)
            if twin is not None:
                raise FormulaError(
                    f"column {column!r} has the categories {twin!r} and {shorter[twin]!r}, which are the same "
                    f"number in 32-bit precision: round the column"
                )
            values = [number_label(v) for v in sorted(numbers)]
        found = tuple(dict.fromkeys([*(v for v in map(normal_label, declared) if v in values), *values]))
        if len(found) > MAX_CATEGORIES:
            guess = guess_separators(found) if factor not in numeric else None
            if guess is not None and 2 * len(guess[1]) > len(found):
                raise TableError(
                    f"{name}: column {column!r} has {len(found):,} categories that look like numbers, such as "
                    f"{preview(guess[1], 2)}; read the table with {guess[0]}, and write {written(column)} without "
                    f"C()"
                )
            groupings = [
                replace(one, terms=tuple(term for term in one.terms if factor not in term) or ((),))
                for one in formula.groupings
            ]
            if all(one.path != (column,) for one in groupings):
                groupings.append(Grouping((column,), ((),), correlated=False))
            population = tuple(term for term in formula.population if factor not in term)
            grouped = written_out(replace(formula, population=population, levels=tuple(groupings), crossed=()))
            raise TableError(
                f"{name}: column {column!r} has {len(found):,} categories; use a grouping term for so many: fit "
                f"{grouped!r}"
            )
        if len(found) < least:
            only = f"only the category {found[0]!r}" if found else "no value"
            raise TableError(f"{name}: categorical predictor {column!r} has {only}; leave it out")
        categories[factor] = ordered_categories(expression, found, name, whole=least > 1)
    ways: dict[str, str] = {}
    for factor in categories:
        other = ways.setdefault(str(Expression(factor).bare), factor)
        if other != factor:  # their coefficients would have the same name
            raise FormulaError(
                f"the formula has {other} and {factor}, the same categories in two forms: write {other} everywhere"
            )
    return Design(formula, categories, frozenset(numeric))


def roles_of(formula: Formula, design: Design | None = None) -> dict[str, Role]:
    """Return column → role in the outcome and the predictors; with a design, its role in that fit."""
    roles: dict[str, Role] = {}
    instead = dict.fromkeys(design.truths if design is not None else (), TRUE_OR_FALSE)
    for factor in formula.factors():
        expression = Expression(factor)
        if expression.bare is None:
            free = design is None
            roles |= {
                part: Role(f"predictor {factor}", number=True, predictor=free, instead=instead.get(part, ""))
                for part in expression.names
            }
        elif design is not None and factor in design.categories:
            numeric = factor in design.numeric
            known = () if numeric else design.categories[factor]
            roles.setdefault(expression.bare, Role("predictor", number=numeric, category=not numeric, known=known))
        elif expression.categorical:
            roles.setdefault(expression.bare, Role("predictor", category=True))
        else:
            before = roles.get(expression.bare, Role(""))
            number = before.number or design is not None
            purpose = before.purpose if before.number else "predictor"
            words = instead.get(expression.bare, "")
            roles[expression.bare] = Role(purpose, number=number, predictor=design is None, instead=words)
    return roles | {part: Role("the outcome", number=True) for part in Expression(formula.outcome).names}


def texts_of(formula: Formula, design: Design | None = None) -> tuple[str, ...]:
    """Return the columns that are always text: labels, and categories of an earlier fit."""
    known = () if design is None else tuple(f for f in design.categories if f not in design.numeric)
    return tuple(dict.fromkeys((*formula.keys, *(str(Expression(f).bare) for f in known))))


def _distinct(frame: Frame, column: str) -> list[str]:
    """Return the different non-missing values as text, sorted."""
    import narwhals.stable.v2 as nw

    present = frame.filter(~missing(frame, column))
    found = collected(present.select(nw.col(column).cast(nw.String)).unique())
    return sorted(str(v) for v in found[column])


def rows_to_predict(table: Table, design: Design, unseen: str = "error") -> Any:
    """Return rows to predict, in memory, after the same checks of columns and categories as for a fit.

    Parameters
    ----------
    unseen : str
        "population" for the average place if the column of places is missing.
    """
    for factor in design.formula.factors():
        for name in Expression(factor).names:
            table.require(name, "a predictor of the fitted model")
    for grouping in design.formula.groupings[:1] + design.formula.crossed:
        # Coarser places may be missing if its own label is enough.
        if unseen == "population" and grouping.column not in table.columns:
            continue
        advice = f"; for the average {grouping.column} set {argument('unseen', 'population')}"
        table.require(grouping.column, "the group of the fitted model", advice)
    every, purpose = roles_of(design.formula, design), "a predictor of the fitted model"
    roles = {column: replace(every[column], purpose=purpose) for column in design.variables}
    numbers = [column for column, role in roles.items() if not role.category]
    rows = table.eager(numbers, texts_of(design.formula, design))
    keys = [key for key in design.formula.keys if key in table.columns]
    refuse_nested(rows, dict.fromkeys(keys, "the group"), table.name)
    frame = convert_to_roles(rows, roles, table, keep=True)
    check_numbers(frame, roles, table)
    check_all_rows(frame, table)
    for factor, categories in design.categories.items():
        column = Expression(factor).bare
        if column is None:
            continue
        values = _distinct(kept_rows(frame), column)
        if factor in design.numeric:
            values = [number_label(float(v)) for v in values]
        new = [v for v in values if v not in categories]
        if new:
            raise TableError(
                f"{table.name}: predictor {column!r} has the category {new[0]!r}, which does not occur in the "
                f"data of the fit; its categories are {preview(categories, 12)}"
            )
    return frame


# Numbers of first rows, and the proportion of different labels among them above which more rows are counted.
LOOKS = ((10_000, 0.5), (1_000_000, 0.9))
# With fewer rows per place on average there is nothing to learn about places.
MIN_ROWS_PER_PLACE = 1.5
MAX_PLACES = 5_000_000


def refuse_ids(frame: Frame, keys: tuple[str, ...], name: str) -> None:
    """Raise if a group's column is an id of rows, or has more labels than there can be places.

    All rows are counted, approximately, only if the first ones look like it.
    """
    for key in keys:
        if not _looks_so(frame, key, name):
            continue
        rows, labels = _counted(frame, key, name)
        others = [c for c in frame.collect_schema().names() if c != key and not c.startswith("__")]
        said = f"{name}: the group {key!r} has about {labels:,} different values in {rows:,} rows"
        if rows < MIN_ROWS_PER_PLACE * labels:
            raise TableError(
                f"{said}: it looks like a row ID, not a place; use the column that identifies the place of a "
                f"row (choose from {preview(others, 12)})"
            )
        if labels > MAX_PLACES:
            raise TableError(
                f"{said}, but at most {MAX_PLACES:,} places can be fitted; group by something coarser, or select "
                f"rows ({argument('where')})"
            )


def _looks_so(frame: Frame, key: str, name: str) -> bool:
    """Return whether nearly all of the first rows have different labels; never for a short table."""
    import narwhals.stable.v2 as nw

    for rows, share in LOOKS:
        if isinstance(frame, nw.DataFrame):
            first = frame.get_column(key).head(rows)
            seen, labels = len(first), first.n_unique()
        else:
            seen, labels = _counted(frame.select(key).head(rows), key, name, approximately=False)
        if seen < rows or labels <= share * rows:
            return False
    return True


def _counted(frame: Frame, key: str, name: str, *, approximately: bool = True) -> tuple[int, int]:
    """Return the numbers of rows and of different labels, the latter within a few per cent if approximate."""
    import narwhals.stable.v2 as nw

    if is_elsewhere(frame):
        return count_labels(frame, key)
    if approximately and backend_of(frame) == "duckdb":
        native: Any = frame.to_native()
        asked = nw.from_native(
            native.aggregate(f"count(*) AS rows, approx_count_distinct({sql_name(key)}) AS labels")
        )
    else:
        asked = frame.select(nw.len().alias("rows"), nw.col(key).n_unique().alias("labels"))
    found = run(asked, name)
    rows = int(found["rows"][0])
    return rows, int(found["labels"][0]) if rows else 0  # without rows the second is missing


def refuse_unwritable(texts: Iterable[str], column: str, name: str, keys: int = 1) -> None:
    """Raise before a fit if a label or category cannot be saved: not in UTF-8, or with a null character.

    Parameters
    ----------
    texts : iterable of str
        Labels; those of several keys are joined by a separator, which labels must not contain.
    """
    listed = list(texts)
    whole = "\n".join(listed)
    joined = next((text for text in listed if text.count(SEPARATOR) >= keys), None) if SEPARATOR in whole else None
    if joined is not None:
        raise TableError(
            f"{name}: {column} has the value {joined!r} with the character {SEPARATOR!r}, which labels must not "
            f"contain; replace it in the table"
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

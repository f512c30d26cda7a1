"""From a table to rows ready to be summed: which rows are used, their values, and reasons to leave others out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from priorhood._text import argument, row_count
from priorhood.data.join_places import join_places
from priorhood.data.misread_numbers import check_numbers
from priorhood.data.misread_thousands import check_all_rows
from priorhood.data.outliers import outlier_rule
from priorhood.data.roles import TRUE_OR_FALSE, TRUTHS, Role, convert_to_roles, refuse_nested, with_original_texts
from priorhood.data.schema import learn_design, refuse_ids, roles_of, texts_of
from priorhood.data.sources.columns import label_text, missing, run
from priorhood.data.sources.duckdb_io import KEPT
from priorhood.data.sources.remote import as_numbers
from priorhood.data.sources.table import read
from priorhood.errors import TableError
from priorhood.model.design import union_design
from priorhood.model.expression import Expression, Guard
from priorhood.model.formula import SEPARATOR
from priorhood.model.scale import LARGEST
from priorhood.model.weights import UNWEIGHTED, Weights

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from contextlib import AbstractContextManager

    import narwhals.stable.v2 as nw

    from priorhood._arrays import Labels
    from priorhood.data.place_table import PlaceTable
    from priorhood.data.sources.backend import Frame
    from priorhood.data.sources.table import Table
    from priorhood.model.design import Design
    from priorhood.model.formula import Formula

KEY = "__priorhood_key"
REASON = "__priorhood_reason"


def value_name(at: int) -> str:
    """Return the name of the at-th value in the prepared frame."""
    return f"__priorhood_{at}"


def check_name(at: int) -> str:
    """Return the name of the at-th check's column in the prepared frame."""
    return f"__priorhood_check_{at}"


@dataclass(frozen=True)
class Flag:
    """A reason to leave a row out, the column it is about, and the condition."""

    reason: str
    column: str
    applies: nw.Expr


@dataclass(frozen=True)
class RowCheck:
    """A condition that a used row must meet.

    Attributes
    ----------
    role : str
        The role of `text`, for messages.
    text : str
        The factor, outcome or column of weights that the condition is about.
    guard : Guard
        The condition.
    bounded : str or None
        The column that must be at most LARGEST in size, if that is the whole condition.
    """

    role: str
    text: str
    guard: Guard
    bounded: str | None = None


@dataclass(frozen=True)
class Value:
    """A value of every row; `column` is set if it is just the numbers of that column."""

    built: nw.Expr
    column: str | None = None


class EarlierFit(Protocol):
    """A fit that new rows belong to, such as a Posterior."""

    @property
    def design(self) -> Design:
        """The columns of its sums."""

    @property
    def place_table(self) -> PlaceTable | None:
        """Its table of places, if it had one."""

    @property
    def cells(self) -> dict[str, Labels]:
        """Key column → label of every cell of its sums."""


@dataclass(frozen=True)
class PreparedRows:
    """Rows ready to be summed; made by prepare_rows.

    Attributes
    ----------
    table : Table
        The source of the rows, with the predictors of the places (places=) as columns.
    place_table : PlaceTable or None
        The table of places.
    design : Design
        The columns of the sums, with the categories found.
    weights : Weights
        The columns of weights.
    rows : narwhals frame
        All rows, with the columns as their roles require: labels as text, predictors as numbers or categories.
    key : narwhals expression
        The labels of a row's place, as one text.
    flags : tuple of Flag
        Reasons to leave a row out; the first that applies counts.
    values : tuple of Value
        The design's columns without the intercept, the outcome and the columns of weights.
    checks : tuple of RowCheck
        Conditions that every used row must meet.
    """

    table: Table
    place_table: PlaceTable | None
    design: Design
    weights: Weights
    rows: Frame
    key: nw.Expr
    flags: tuple[Flag, ...]
    values: tuple[Value, ...]
    checks: tuple[RowCheck, ...]

    @property
    def name(self) -> str:
        """The table's name, for messages."""
        return self.table.name

    @property
    def used(self) -> Frame:
        """The rows to which no flag applies, with the columns of `rows`."""
        return _passing(self.rows, self.flags)

    def exclusive(self) -> AbstractContextManager[None]:
        """Let no other thread read a DuckDB relation inside the context: all threads share its connection."""
        return self.table.exclusive()

    @cached_property
    def frame(self) -> Frame:
        """The columns KEY, REASON (0: used; k: dropped for flags[k − 1]), values and checks.

        Values are null unless the row is used. A check's column is 1 where a used row fails it.
        """
        import narwhals.stable.v2 as nw

        values = [value.built.alias(value_name(i)) for i, value in enumerate(self.values)]
        failures = [(~check.guard.holds).alias(check_name(i)) for i, check in enumerate(self.checks)]
        chosen: Any = self.rows.select(
            self.key.alias(KEY), self.reason(range(1, len(self.flags) + 1)), *values, *failures
        )
        used = nw.col(REASON) == 0
        masked = [nw.when(used).then(nw.col(value_name(i))).alias(value_name(i)) for i in range(len(values))]
        counted = [
            nw.when(used & nw.col(check_name(i))).then(nw.lit(1)).otherwise(nw.lit(0)).alias(check_name(i))
            for i in range(len(failures))
        ]
        found: Frame = chosen.with_columns(*masked, *counted)
        return found

    def reason(self, chosen: Container[int]) -> nw.Expr:
        """Return the column REASON for the flags with chosen numbers: the first that applies, 0 if none does."""
        import narwhals.stable.v2 as nw

        # Nested conditions would be as deep as there are columns.
        flags = enumerate(self.flags, start=1)
        numbered = [nw.when(flag.applies).then(nw.lit(at)) for at, flag in flags if at in chosen]
        return nw.coalesce(*numbered, nw.lit(0)).alias(REASON)

    def weight_names(self) -> dict[str, str]:
        """Return column of weights → its name in the frame."""
        first = len(self.values) - len(self.weights.columns)
        return {column: value_name(first + i) for i, column in enumerate(self.weights.columns)}

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Columns of numbers of a CSV of which only the first texts were checked for thousands."""
        return tuple(sorted(self.table.unchecked_thousands))

    def check(self, failures: Iterable[int], thousands: tuple[str, ...] | None = None) -> None:
        """Raise for rows with impossible values, after a pass that has counted them.

        Parameters
        ----------
        failures : iterable of int
            Number of used rows that fail each check; empty if none fails any.
        thousands : tuple of str, optional
            Columns that may have thousands read as decimals, if the pass has looked for them.

        Raises
        ------
        TableError
            A column with thousands read as decimals; a check that rows fail, with a few of their values.
        """
        check_all_rows(self.rows, self.table, thousands)
        failed = next(((check, count) for check, count in zip(self.checks, failures, strict=False) if count), None)
        if failed is None:
            return
        (check, count), guard, keys = failed, failed[0].guard, self.design.formula.keys
        labels = [label_text(self.rows, key).alias(f"label{i}") for i, key in enumerate(keys)]
        failing = self.used.filter(~guard.holds).select(guard.value.alias("value"), *labels)
        shown = run(failing.head(3), self.name)
        what = guard.finite if guard.finite and all(map(math.isfinite, shown["value"])) else guard.text
        examples = []
        for row, value in enumerate(shown["value"]):
            place = "/".join(str(shown[f"label{i}"][row]) for i in range(len(keys)))
            examples.append(f"{value:g}" + (f" ({self.design.formula.group} {place!r})" if keys else ""))
        advice = guard.advice or f"fix these rows or filter them out ({argument('where')})"
        raise TableError(
            f"{self.name}: {what} in {row_count(count)}, so {check.role} {check.text!r} cannot be used: "
            f"{', '.join(examples)}; {advice}"
        )


def prepare_rows(
    table: object,
    formula: Formula,
    *,
    weights: Weights = UNWEIGHTED,
    places: object = None,
    drop_outliers: float | None = None,
    fitted: EarlierFit | None = None,
    min_categories: int = 2,
    grow: bool = False,
) -> PreparedRows:
    """Open a table and prepare its rows to be summed: the one way from a table to a fit.

    Parameters
    ----------
    table : table
        Anything that read() takes.
    formula : Formula
        The model's formula.
    weights : Weights
        The columns of weights; their numbers are the last of the values.
    places : table or PlaceTable, optional
        The table of places, added to that of an earlier fit.
    drop_outliers : float, optional
        Leave out rows for which log(outcome / first numeric predictor) lies more than this many IQRs outside the
        quartiles; see fit().
    fitted : EarlierFit, optional
        The fit whose columns the rows have again; they are learned from the table if None.
    min_categories : int
        Fewest categories of a categorical predictor if the columns are learned.
    grow : bool
        Whether categories that the earlier fit did not have become columns; they are refused otherwise.

    Raises
    ------
    TableError
        A column is missing or cannot be used; a group identifies single rows; a new category.
    FormulaError
        A slope that varies by a group within which its predictor is constant.
    """
    known = None if fitted is None else fitted.design
    known_places, cells = (None, None) if fitted is None else (fitted.place_table, fitted.cells)
    source, place_table = join_places(read(table), places, formula, known_places, cells)
    # Infinite values are refused by name later; NumPy need not warn of them.
    with source.exclusive(), np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        frame = _open_rows(source, formula, weights, known)
        refuse_ids(frame, formula.keys, source.name)
        learned = learn_design(frame, formula, source.name, 0 if known else min_categories, source.orders)
        design = learned if known is None else union_design(known, learned) if grow else known
        of_places = place_table.truths if place_table else ()
        truths = frozenset(c for c in learned.variables if TRUTHS + c in source.checked or c in of_places)
        if design is not known:
            design = replace(design, truths=known.truths if known else truths)
        for factor, categories in learned.categories.items():
            new = [c for c in categories if c not in design.categories.get(factor, ())]
            if new:
                raise TableError(
                    f"{source.name}: predictor {factor!r} has the category {new[0]!r}, which the fitted model "
                    f"does not have; fit the model again from all rows"
                )
        flags = _flags(frame, design, weights, drop_outliers)
        checks = _checks(design) + tuple(RowCheck(*each) for each in weights.guards())
        checks += tuple(_truth_check(column) for column in sorted(design.truths - truths))
        key, values = joined_key(frame, formula.keys), _values(frame, design, weights)
    return PreparedRows(source, place_table, design, weights, frame, key, flags, values, checks)


def _open_rows(table: Table, formula: Formula, weights: Weights, design: Design | None) -> Frame:
    """Return the rows with their columns as their roles require: labels as text, weights as numbers.

    design : of an earlier fit; its numbers and categories are numbers and categories again
    """
    outcome = Expression(formula.outcome)
    for name in outcome.names:
        table.require(name, "the outcome")
    for factor in formula.factors():
        for name in Expression(factor).names:
            table.require(name, f"predictor {factor}" if factor != name else "a predictor")
    for group in formula.keys:
        table.require(group, "the group")
    for column, role in weights.roles().items():
        table.require(column, role)
    roles = roles_of(formula, design) | {c: Role(purpose, number=True) for c, purpose in weights.roles().items()}
    texts = texts_of(formula, design)
    frame = table.frame(texts)
    refuse_nested(frame, dict.fromkeys(formula.keys, "the group"), table.name)
    frame = convert_to_roles(with_original_texts(frame, roles, table, texts), roles, table)
    numbers = [c for c, role in roles.items() if not role.category]
    check_numbers(frame, roles, table)
    return as_numbers(frame, numbers)


def _flags(frame: Frame, design: Design, weights: Weights, drop_outliers: float | None) -> tuple[Flag, ...]:
    """Return the reasons to leave rows out: the condition, missing values, a frequency of 0, outliers."""
    import narwhals.stable.v2 as nw

    formula, schema = design.formula, frame.collect_schema()
    flags = [Flag("where condition not met", "", ~nw.col(KEPT))] if KEPT in schema else []
    needed = dict.fromkeys(Expression(formula.outcome).names + design.variables + formula.keys + weights.columns)
    flags += [Flag("missing", column, missing(frame, column, schema[column])) for column in needed]
    if weights.frequency is not None:
        flags.append(
            Flag("frequency weight of 0 in", weights.frequency, nw.col(weights.frequency).cast(nw.Float64) == 0)
        )
    if drop_outliers is not None:
        text, outside = outlier_rule(_passing(frame, flags), design, drop_outliers, weights.frequency)
        flags.append(Flag(f"outlier in {text}", "", outside))
    return tuple(flags)


def _values(frame: Frame, design: Design, weights: Weights) -> tuple[Value, ...]:
    """Return the values of every row: the design's columns without the intercept, the outcome, the weights."""
    import narwhals.stable.v2 as nw

    schema, outcome = frame.collect_schema(), Expression(design.formula.outcome)
    made = [(c.factors[0] if len(c.factors) == 1 else None, design.build(c)) for c in design.columns if c.factors]
    bare = [part.bare if isinstance(part, Expression) else None for part, _ in made]
    built = [*(value for _, value in made), outcome.build(), *map(nw.col, weights.columns)]
    columns = [
        column if column and (schema[column].is_numeric() or schema[column] == nw.Boolean) else None
        for column in (*bare, outcome.bare, *weights.columns)
    ]
    return tuple(Value(v.cast(nw.Float64), column) for v, column in zip(built, columns, strict=True))


def _passing(frame: Frame, flags: Iterable[Flag]) -> Frame:
    passing = [~flag.applies for flag in flags]
    return frame.filter(*passing) if passing else frame


def _checks(design: Design) -> tuple[RowCheck, ...]:
    """Return the conditions on every used row: finite columns and terms, logarithms of positive numbers only."""
    import narwhals.stable.v2 as nw

    numbers = [f for f in design.formula.factors() if f not in design.categories]
    checks: list[RowCheck] = []
    for text in (design.formula.outcome, *numbers):
        role = "the outcome" if text == design.formula.outcome else "the predictor"
        expression = Expression(text)
        for column in expression.names:
            value = nw.col(column).cast(nw.Float64)
            holds = value.is_finite() if expression.bare is None else value.abs() <= LARGEST
            guard = Guard(f"{column!r} is infinite", holds, value, finite=f"{column!r} is too large to square")
            checks.append(RowCheck(role, text, guard, expression.bare))
        checks += [RowCheck(role, text, guard) for guard in expression.guards()]
        if expression.bare is None:
            value = expression.build()
            guard = Guard(
                f"{text} is not finite", value.abs() <= LARGEST, value, finite=f"{text} is too large to square"
            )
            checks.append(RowCheck(role, text, guard))
    return tuple(checks)


def _truth_check(column: str) -> RowCheck:
    """Return the condition that a column of the fit's truth values has no other numbers than 1 and 0."""
    import narwhals.stable.v2 as nw

    value = nw.col(column).cast(nw.Float64)
    guard = Guard(f"{column!r} is neither true nor false", (value == 0) | (value == 1), value, TRUE_OR_FALSE)
    return RowCheck("the predictor", column, guard)


def joined_key(frame: Frame, keys: tuple[str, ...]) -> nw.Expr:
    """Return a row's labels in the key columns, joined to one text."""
    import narwhals.stable.v2 as nw

    if not keys:
        return nw.lit("")
    texts = [label_text(frame, key) for key in keys]
    return texts[0] if len(texts) == 1 else nw.concat_str(texts, separator=SEPARATOR)

"""What is known of the places themselves: a table with one row per place, found by label for rows and predictions.

A place-level predictor, the distance to the centre, has one value per place. So it need not be in every row,
and is there for places that no row is in yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import listed, near, some
from priorhood.data.labels import normal_label
from priorhood.data.roles import as_written, check_numbers, in_roles, refuse_nested
from priorhood.data.schema import refuse_unwritable, roles_of
from priorhood.data.sources.columns import declared_order, in_memory, label_text, missing
from priorhood.data.sources.duckdb_io import KEPT, explained
from priorhood.data.sources.table import read
from priorhood.errors import FormulaError, TableError
from priorhood.model.expression import Expression
from priorhood.model.formula import written_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    import narwhals.stable.v2 as nw

    from priorhood.data.sources.table import Frame
    from priorhood.model.formula import Formula, Grouping
    from priorhood.model.terms import Term

LABEL = "__priorhood_place"
Value = float | str
PlaceLabels = tuple[str, ...]


@dataclass(frozen=True)
class PlaceTable:
    """What is known of every place, those without rows too.

    name : for messages
    keys : the label columns that tell the places apart, in the formula's order
    columns : the predictors it has
    places : labels in normal form → value of every column; NaN or '' where it is not known
    textual : which columns are text, and so categories
    orders : column → its categories in the order that its type declares; a design has it from there on
    """

    name: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    places: dict[PlaceLabels, tuple[Value, ...]]
    textual: frozenset[str]
    orders: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    @cached_property
    def _by_part(self) -> dict[tuple[bool, ...], dict[PlaceLabels, PlaceLabels | None]]:
        return {}

    def find(self, labels: PlaceLabels) -> tuple[Value, ...] | None:
        """The values of one place; a label '' is not known, and the others may tell the place all the same."""
        if all(labels):
            return self.places.get(labels)
        given = tuple(map(bool, labels))
        if given not in self._by_part:
            parts: dict[PlaceLabels, PlaceLabels | None] = {}
            for place in self.places:
                part = _part(place, given)
                parts[part] = None if part in parts else place
            self._by_part[given] = parts
        found = self._by_part[given].get(_part(labels, given)) if any(given) else None
        return None if found is None else self.places[found]

    def check(self, formula: Formula) -> None:
        """Raise for a slope that would vary by what it is constant within.

        Raises
        ------
        FormulaError
        """
        for grouping in formula.groupings:
            for term in grouping.terms:
                names = {name for factor in term for name in Expression(factor).names}
                if not names or not names <= set(self.columns) or not set(self.keys) <= set(grouping.path):
                    continue
                one = ":".join(term)
                raise FormulaError(
                    f"{one} is constant within every {grouping.group}, since it comes from {self.name}: its slope "
                    f"cannot vary by {grouping.group}; among the other predictors it has its coefficient: fit "
                    f"{_moved(formula, grouping, term)!r}"
                )

    def joined(self, other: PlaceTable) -> PlaceTable:
        """The places of both.

        Raises
        ------
        TableError : other label columns or predictors; a place with two values
        """
        if set(self.columns) != set(other.columns) or self.keys != other.keys:
            raise TableError(
                f"{other.name} has {', '.join(other.columns)} by {', '.join(other.keys)}, {self.name} has "
                f"{', '.join(self.columns)} by {', '.join(self.keys)}; give the same columns"
            )
        if self.textual != other.textual:
            odd = min(self.textual ^ other.textual)
            raise TableError(f"column {odd!r} is text in one of {self.name} and {other.name}, numbers in the other")
        order = [other.columns.index(column) for column in self.columns]
        places = dict(self.places)
        for labels, values in other.places.items():
            own = tuple(values[at] for at in order)
            both = f"in {self.name} and in {other.name}"
            places[labels] = _agreed(self, labels, places[labels], own, both) if labels in places else own
        return replace(self, places=places, orders={**other.orders, **self.orders})


def _part(labels: PlaceLabels, given: tuple[bool, ...]) -> PlaceLabels:
    return tuple(label for label, there in zip(labels, given, strict=True) if there)


def no_value(value: Value) -> bool:
    """Whether a value says nothing: NaN, or no text."""
    return value == "" if isinstance(value, str) else bool(np.isnan(value))


def _agreed(
    known: PlaceTable, labels: PlaceLabels, one: tuple[Value, ...], other: tuple[Value, ...], where: str
) -> tuple[Value, ...]:
    """The values of a place that is there twice; what only one of both says counts.

    Raises
    ------
    TableError : they differ
    """
    for column, left, right in zip(known.columns, one, other, strict=True):
        if left != right and not no_value(left) and not no_value(right):
            raise TableError(
                f"{known.keys[-1]} {'/'.join(labels)!r} is there twice, {where}, with {column} {_shown(left)} and "
                f"{_shown(right)}: a place-level predictor has one value per place"
            )
    return tuple(right if no_value(left) else left for left, right in zip(one, other, strict=True))


def _shown(value: Value) -> str:
    return repr(value) if isinstance(value, str) else f"{value:.12g}"


def read_place_table(source: object, formula: Formula) -> PlaceTable:
    """Read a table of places: the label columns that the formula has, and the predictors that it reads.

    Parameters
    ----------
    source : whatever read() takes

    Raises
    ------
    TableError : no label column, no predictor, a column of neither numbers nor text, a place with two values
    """
    import narwhals.stable.v2 as nw

    table = read(source)
    keys = tuple(key for key in formula.keys if key in table.columns)
    if not keys:
        wanted = f"the formula's {listed(formula.keys, 'or')}" if formula.keys else "the formula has no group part"
        raise TableError(
            f"{table.name} (places) has no column that tells which place a row is about: {wanted}; "
            f"{near(formula.keys[-1], table.columns) if formula.keys else 'add one like (1 | zip)'}"
        )
    read_by_formula = dict.fromkeys(n for f in formula.factors() for n in Expression(f).names)
    table.check_apart(read_by_formula)
    columns = tuple(name for name in read_by_formula if name in table.columns and name not in keys)
    if not columns:
        others = [column for column in table.columns if column not in keys]
        raise TableError(
            f"{table.name} (places) has none of the formula's predictors {some(read_by_formula)}; there are "
            f"{some(others, 12) if others else 'none'}"
        )
    every = roles_of(formula)
    roles = {column: replace(every[column], said="a predictor of places") for column in columns}
    with table.alone():
        given = table.frame(keys)
        orders = {c: order for c in columns if (order := declared_order(given, c))}
        refuse_nested(given, dict.fromkeys(keys, "the places"), table.name)
        given = in_roles(as_written(given, roles, table, keys), roles, table)
        check_numbers(given, roles, table)
        frame = kept(given)
        schema = frame.collect_schema()
        textual = frozenset(c for c in columns if not (schema[c].is_numeric() or schema[c] == nw.Boolean))
        place_table = PlaceTable(table.name, keys, columns, {}, textual, orders)
        return replace(place_table, places=_places(place_table, _listed(frame, place_table)))


def kept(frame: Frame) -> Frame:
    """The rows that meet the table's condition (where)."""
    import narwhals.stable.v2 as nw

    return frame.filter(nw.col(KEPT)) if KEPT in frame.collect_schema().names() else frame


def _listed(frame: Frame, known: PlaceTable) -> list[tuple[PlaceLabels, tuple[Value, ...]]]:
    """Labels and values of every row of a table of places that says which place it is about."""
    import narwhals.stable.v2 as nw

    values = []
    for column in known.columns:
        number = nw.col(column).cast(nw.Float64)
        value = nw.col(column).cast(nw.String) if column in known.textual else number
        values.append(nw.when(~missing(frame, column)).then(value).alias(column))
    names = {f"{LABEL}{at}": label_of(frame, key) for at, key in enumerate(known.keys)}
    with explained(known.name):
        found = in_memory(frame.select(*(label.alias(name) for name, label in names.items()), *values))
    labels = zip(*(map(normal_label, found[name].to_list()) for name in names), strict=True)
    lists = [_plain(found[c], text=c in known.textual) for c in known.columns]
    return [(at, values) for at, values in zip(labels, zip(*lists, strict=True), strict=True) if all(at)]


def _plain(column: nw.Series[Any], *, text: bool) -> list[Value]:
    """Its values; of missing ones, of which pandas has several kinds, none is a number or a text."""
    if text:
        return [value if isinstance(value, str) else "" for value in column.to_list()]
    pairs = zip(column.to_list(), column.is_null(), strict=True)
    return [float("nan") if gone else float(value) for value, gone in pairs]


def _places(
    known: PlaceTable, rows: Iterable[tuple[PlaceLabels, tuple[Value, ...]]]
) -> dict[PlaceLabels, tuple[Value, ...]]:
    """The rows of a table of places as one entry a place."""
    places: dict[PlaceLabels, tuple[Value, ...]] = {}
    for labels, values in rows:
        refuse_unwritable((*labels, *(value for value in values if isinstance(value, str))), "a place", known.name)
        before = places.get(labels)
        places[labels] = values if before is None else _agreed(known, labels, before, values, f"in {known.name}")
    return places


def label_of(frame: Frame, key: str) -> nw.Expr:
    """The label in a column as text; '' where there is none."""
    import narwhals.stable.v2 as nw

    return nw.when(missing(frame, key)).then(nw.lit("")).otherwise(label_text(frame, key))


def _moved(formula: Formula, grouping: Grouping, term: Term) -> str:
    """The formula with a term of a grouping among the population's."""
    rest = replace(grouping, terms=tuple(other for other in grouping.terms if other != term) or ((),))
    groupings = tuple(rest if other is grouping else other for other in formula.groupings)
    population = tuple(dict.fromkeys((*formula.population, term)))
    return written_out(replace(formula, population=population, levels=groupings, crossed=()))

"""Tables of places (places=): predictors with one value per place, looked up by label for rows and predictions.

A place-level predictor, like the distance to the centre, need not be in every row, and can be known for places
that have no rows yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from priorhood._text import join_words, preview, suggestion
from priorhood.data.labels import normal_label
from priorhood.data.misread_numbers import check_numbers
from priorhood.data.roles import TRUTHS, convert_to_roles, refuse_nested, with_original_texts
from priorhood.data.schema import refuse_unwritable, roles_of
from priorhood.data.sources.columns import declared_order, in_memory, kept_rows, label_text, missing
from priorhood.data.sources.duckdb_io import explain_errors
from priorhood.data.sources.table import read
from priorhood.errors import FormulaError, TableError
from priorhood.model.expression import Expression
from priorhood.model.formula import written_out

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from priorhood.data.sources.backend import Frame
    from priorhood.model.formula import Formula

LABEL = "__priorhood_place"
Value = float | str
PlaceLabels = tuple[str, ...]


@dataclass(frozen=True)
class PlaceTable:
    """Predictors of places, including places without rows.

    Attributes
    ----------
    name : str
        Name for messages.
    keys : tuple of str
        Label columns that identify a place, in the formula's order.
    columns : tuple of str
        Predictors.
    places : dict of tuple of str to tuple of float or str
        Labels in normal form, with the value of every column; NaN or '' if it is missing.
    textual : frozenset of str
        Columns of text, which are categories.
    orders : dict of str to tuple of str
        Categories of a column in the order of its type, which becomes the order in a fit's design.
    truths : frozenset of str
        Columns of true and false, as far as a fit's design has to learn it.
    """

    name: str
    keys: tuple[str, ...]
    columns: tuple[str, ...]
    places: dict[PlaceLabels, tuple[Value, ...]]
    textual: frozenset[str]
    orders: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)
    truths: frozenset[str] = field(default=frozenset(), compare=False)

    @cached_property
    def _by_part(self) -> dict[tuple[bool, ...], dict[PlaceLabels, PlaceLabels | None]]:
        return {}

    def find(self, labels: PlaceLabels) -> tuple[Value, ...] | None:
        """Return the values of one place, or None; a label '' is unknown, and the others may be sufficient."""
        if all(labels):
            return self.places.get(labels)
        given = tuple(map(bool, labels))

        def part(place: PlaceLabels) -> PlaceLabels:
            return tuple(label for label, known in zip(place, given, strict=True) if known)

        if given not in self._by_part:
            parts: dict[PlaceLabels, PlaceLabels | None] = {}
            for place in self.places:
                own = part(place)
                parts[own] = None if own in parts else place
            self._by_part[given] = parts
        found = self._by_part[given].get(part(labels)) if any(given) else None
        return None if found is None else self.places[found]

    def check(self, formula: Formula) -> None:
        """Raise FormulaError for a slope that varies by a group within which its predictor is constant."""
        for grouping in formula.groupings:
            for term in grouping.terms:
                names = {name for factor in term for name in Expression(factor).names}
                if not names or not names <= set(self.columns) or not set(self.keys) <= set(grouping.path):
                    continue
                rest = replace(grouping, terms=tuple(t for t in grouping.terms if t != term) or ((),))
                groupings = tuple(rest if g is grouping else g for g in formula.groupings)
                population = tuple(dict.fromkeys((*formula.population, term)))
                moved = written_out(replace(formula, population=population, levels=groupings, crossed=()))
                raise FormulaError(
                    f"{':'.join(term)} is constant within every {grouping.group}, since it comes from {self.name}: "
                    f"its slope cannot vary by {grouping.group}; use it as an ordinary predictor instead: "
                    f"fit {moved!r}"
                )

    def joined(self, other: PlaceTable) -> PlaceTable:
        """Return the places of both tables.

        Raises
        ------
        TableError
            Different label columns or predictors, or a place with two values.
        """
        if set(self.columns) != set(other.columns) or self.keys != other.keys:
            raise TableError(
                f"{other.name} has {', '.join(other.columns)} by {', '.join(other.keys)}, {self.name} has "
                f"{', '.join(self.columns)} by {', '.join(self.keys)}; use the same columns in both"
            )
        if self.textual != other.textual:
            odd = min(self.textual ^ other.textual)
            raise TableError(
                f"column {odd!r} is text in one of {self.name} and {other.name}, and numeric in the other"
            )
        order = [other.columns.index(column) for column in self.columns]
        places = dict(self.places)
        for labels, values in other.places.items():
            own = tuple(values[at] for at in order)
            both = f"in {self.name} and in {other.name}"
            places[labels] = _agreed(self, labels, places[labels], own, both) if labels in places else own
        orders = {**other.orders, **self.orders}
        return replace(self, places=places, orders=orders, truths=self.truths & other.truths)


def no_value(value: Value) -> bool:
    """Return whether a value is missing: NaN or an empty text."""
    return value == "" if isinstance(value, str) else bool(np.isnan(value))


def _agreed(
    known: PlaceTable, labels: PlaceLabels, one: tuple[Value, ...], other: tuple[Value, ...], where: str
) -> tuple[Value, ...]:
    """Return the values of a place that occurs twice: for each column the one that is not missing.

    Raises
    ------
    TableError
        The values differ.
    """
    for column, left, right in zip(known.columns, one, other, strict=True):
        if left != right and not no_value(left) and not no_value(right):
            both = " and ".join(repr(v) if isinstance(v, str) else f"{v:.12g}" for v in (left, right))
            raise TableError(
                f"{known.keys[-1]} {'/'.join(labels)!r} occurs twice, {where}, with {column} {both}: a "
                f"place-level predictor has one value per place"
            )
    return tuple(right if no_value(left) else left for left, right in zip(one, other, strict=True))


def read_place_table(source: object, formula: Formula) -> PlaceTable:
    """Read a table of places: the formula's label columns and predictors.

    Parameters
    ----------
    source : path, frame, mapping or Table
        As read() takes it.

    Raises
    ------
    TableError
        No label column, no predictor, a column that is neither numbers nor text, or a place with two values.
    """
    import narwhals.stable.v2 as nw

    table = read(source)
    keys = tuple(key for key in formula.keys if key in table.columns)
    if not keys:
        wanted = (
            f"the formula's {join_words(formula.keys, 'or')}"
            if formula.keys
            else "the formula has no grouping term"
        )
        raise TableError(
            f"{table.name} (places) has no column that identifies the place of a row: {wanted}; "
            f"{suggestion(formula.keys[-1], table.columns) if formula.keys else 'add one such as (1 | zip)'}"
        )
    read_by_formula = dict.fromkeys(n for f in formula.factors() for n in Expression(f).names)
    table.check_unambiguous(read_by_formula)
    columns = tuple(name for name in read_by_formula if name in table.columns and name not in keys)
    if not columns:
        others = [column for column in table.columns if column not in keys]
        raise TableError(
            f"{table.name} (places) has none of the formula's predictors {preview(read_by_formula)}; its other "
            f"columns are {preview(others, 12) if others else 'none'}"
        )
    every = roles_of(formula)
    roles = {column: replace(every[column], purpose="a predictor of places") for column in columns}
    with table.exclusive():
        given = table.frame(keys)
        orders = {c: order for c in columns if (order := declared_order(given, c))}
        refuse_nested(given, dict.fromkeys(keys, "the places"), table.name)
        given = convert_to_roles(with_original_texts(given, roles, table, keys), roles, table)
        check_numbers(given, roles, table)
        frame = kept_rows(given)
        schema = frame.collect_schema()
        textual = frozenset(c for c in columns if not (schema[c].is_numeric() or schema[c] == nw.Boolean))
        truths = frozenset(column for column in columns if TRUTHS + column in table.checked)
        known = PlaceTable(table.name, keys, columns, {}, textual, orders, truths)
        values = []
        for column in columns:
            value = nw.col(column).cast(nw.String if column in textual else nw.Float64)
            values.append(nw.when(~missing(frame, column)).then(value).alias(column))
        names = [f"{LABEL}{at}" for at in range(len(keys))]
        labels = [label_of(frame, key).alias(name) for key, name in zip(keys, names, strict=True)]
        with explain_errors(table.name):
            found = in_memory(frame.select(*labels, *values))
    lists: list[list[Value]] = []
    for column in columns:
        # pandas has several missing values, none of which is a number or a text.
        pairs = zip(found[column].to_list(), found[column].is_null(), strict=True)
        if column in textual:
            lists.append([value if isinstance(value, str) else "" for value, _ in pairs])
        else:
            lists.append([float("nan") if gone else float(value) for value, gone in pairs])
    places: dict[PlaceLabels, tuple[Value, ...]] = {}
    keyed = zip(*(map(normal_label, found[name].to_list()) for name in names), strict=True)
    for place, row in zip(keyed, zip(*lists, strict=True), strict=True):
        if all(place):
            refuse_unwritable((*place, *(v for v in row if isinstance(v, str))), "a place", table.name)
            before = places.get(place)
            places[place] = row if before is None else _agreed(known, place, before, row, f"in {table.name}")
    return replace(known, places=places)


def label_of(frame: Frame, key: str) -> nw.Expr:
    """Return a column's labels as text; '' for missing ones."""
    import narwhals.stable.v2 as nw

    return nw.when(missing(frame, key)).then(nw.lit("")).otherwise(label_text(frame, key))

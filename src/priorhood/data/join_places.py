"""Rows with the predictors of their places (places=) added as columns."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from priorhood._text import join_words, preview
from priorhood.data.labels import match_spelling, normal_label, spelling_advice
from priorhood.data.place_table import LABEL, PlaceLabels, PlaceTable, label_of, no_value, read_place_table
from priorhood.data.sources.columns import collected, kept_rows
from priorhood.data.sources.duckdb_io import KEPT, explain_errors
from priorhood.data.sources.lookup import look_up_columns
from priorhood.errors import TableError, warn
from priorhood.model.formula import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    import narwhals.stable.v2 as nw

    from priorhood.data.sources.backend import Frame
    from priorhood.data.sources.table import Table
    from priorhood.model.formula import Formula


def join_places(
    table: Table,
    places: object,
    formula: Formula,
    known: PlaceTable | None = None,
    cells: dict[str, Any] | None = None,
) -> tuple[Table, PlaceTable | None]:
    """Return a table of rows with the predictors of the places as columns, and the table of places.

    Parameters
    ----------
    places : path, frame, mapping, Table, PlaceTable or None
        Table of places, in any form that read() takes, or as returned by read_place_table.
    known : PlaceTable, optional
        Places of a posterior, to which `places` is added.
    cells : dict of str to Array, optional
        Labels of every cell of the posterior's sums, by key column.

    Raises
    ------
    TableError
        Anything that read_place_table raises; a predictor that the rows have too; no place in common.
    FormulaError
        A slope that varies by a group within which its predictor is constant.
    """
    place_table = combine_places(places, formula, known)
    if place_table is None:
        return table, None
    place_table.check(formula)
    _check_apart(table, place_table, place_table.columns)
    for key in place_table.keys:
        table.require(key, "the group")
    found = _labels_of(table, place_table, formula, cells)
    labels = sorted({place for place in found.values() if all(place)})
    if labels and not any(place in place_table.places for place in labels):
        name = "/".join(place_table.keys)
        raise TableError(
            f"no {name} of {table.name} is in {place_table.name}: the rows have {_some(labels)}, the places "
            f"{_some(sorted(place_table.places))}; labels are compared as text{_similar(place_table, labels)}"
        )
    for at, column in enumerate(place_table.columns):
        unknown = [s for s in labels if s not in place_table.places or no_value(place_table.places[s][at])]
        if unknown:
            warn(
                f"{place_table.name} has no {column!r} for {len(unknown):,} of the {len(labels):,} places of "
                f"{table.name}: {place_table.keys[-1]} {_some(unknown)}; their rows are left "
                f"out{_similar(place_table, [s for s in unknown if s not in place_table.places])}"
            )
    return _with_columns(table, place_table, place_table.columns, found), place_table


def combine_places(places: object, formula: Formula, known: PlaceTable | None) -> PlaceTable | None:
    """Return the known places and the given ones as one table; None if there are neither.

    Raises
    ------
    TableError
        A place with two values.
    """
    if places is None:
        return known
    new = places if isinstance(places, PlaceTable) else read_place_table(places, formula)
    return new if known is None else known.joined(new)


def _check_apart(table: Table, place_table: PlaceTable, columns: tuple[str, ...]) -> None:
    """Raise if rows and places share a column; DuckDB treats names that differ only in case as the same."""
    folded = {column.casefold(): column for column in table.columns}
    both = next((column for column in columns if column.casefold() in folded), None)
    if both is not None:
        raise TableError(
            f"{folded[both.casefold()]!r} is a column of the rows ({table.name}) and {both!r} of the places "
            f"({place_table.name}): which one is meant? Remove it from one of them, or rename it"
        )


def join_places_to_predict(
    table: Table, place_table: PlaceTable | None, formula: Formula, cells: dict[str, Any]
) -> Table:
    """Return rows to predict, with the predictors of the places that they do not have themselves.

    Rows of an unknown place have no value.

    Parameters
    ----------
    cells : dict of str to Array
        As in placed.
    """
    wanted = () if place_table is None else tuple(c for c in place_table.columns if c not in table.columns)
    if place_table is None or not wanted or not any(key in table.columns for key in place_table.keys):
        return table
    _check_apart(table, place_table, wanted)
    return _with_columns(table, place_table, wanted, _labels_of(table, place_table, formula, cells))


def _joined_label(frame: Frame, keys: tuple[str, ...]) -> nw.Expr:
    """Return the labels of some columns, joined, as the table spells them; '' for a missing column."""
    import narwhals.stable.v2 as nw

    columns = frame.collect_schema().names()
    texts = [label_of(frame, key) if key in columns else nw.lit("") for key in keys]
    return texts[0] if len(texts) == 1 else nw.concat_str(texts, separator=SEPARATOR)


def _labels_of(
    table: Table, place_table: PlaceTable, formula: Formula, cells: dict[str, Any] | None
) -> dict[str, PlaceLabels]:
    """Return the distinct labels of the rows: as the table spells them → in normal form.

    Raises
    ------
    TableError
        The labels do not identify a place.
    """
    above = dict.fromkeys(
        key
        for grouping in formula.groupings
        if grouping.column in place_table.keys
        for key in grouping.path
        if key not in place_table.keys and key in table.columns
    )
    keys = place_table.keys + tuple(above)
    with explain_errors(table.name), table.exclusive():
        frame = kept_rows(table.frame(formula.keys))
        found = collected(frame.select(_joined_label(frame, keys).alias(LABEL)).unique())[LABEL]
    labelled: dict[str, PlaceLabels] = {}
    # Labels of the posterior's places → their labels in the columns above.
    seen: dict[PlaceLabels, PlaceLabels] = {}
    if cells is not None and above:
        lower, upper = (
            zip(*(cells[key].tolist() for key in part), strict=True) for part in (place_table.keys, above)
        )
        seen = dict(zip(lower, upper, strict=True))
    for text in map(str, found):
        parts = text.split(SEPARATOR)
        labels = tuple(map(normal_label, parts))
        own, rest = labels[: len(place_table.keys)], labels[len(place_table.keys) :]
        labelled[SEPARATOR.join(parts[: len(place_table.keys)])] = own
        if all(labels) and seen.setdefault(own, rest) != rest:
            raise TableError(
                f"{place_table.keys[-1]} {'/'.join(own)!r} of {table.name} occurs in several places: "
                f"{preview(sorted({'/'.join(seen[own]), '/'.join(rest)}))}; add the column {join_words(above)} to "
                f"{place_table.name}, to tell them apart"
            )
    return labelled


def _similar(place_table: PlaceTable, labels: list[PlaceLabels]) -> str:
    """Return advice if one of the unknown places is known in another spelling, else ''."""
    found = match_spelling(map("/".join, labels), map("/".join, place_table.places))
    new, known = next(iter(found.items()), ("", ""))
    return (
        f"; {new!r} is spelled {known!r} there: {spelling_advice(new, known, place_table.keys, place_table.name)}"
        if found
        else ""
    )


def _some(places: Iterable[PlaceLabels]) -> str:
    names = ["/".join(labels) for labels in places]
    return preview(names, 3) if names else "none"


def _with_columns(
    table: Table, place_table: PlaceTable, columns: tuple[str, ...], labelled: dict[str, PlaceLabels]
) -> Table:
    """Return the table with some of the places' predictors added as columns."""
    found: dict[str, dict[str, Any]] = {column: {} for column in columns}
    for text, labels in labelled.items():
        values = place_table.find(labels)
        for column, value in zip(place_table.columns, values or (), strict=False):
            if column in found and not no_value(value):
                found[column][text] = value

    def opened(text: frozenset[str]) -> Any:
        # Labels are text here as well, as in _labels_of.
        frame: Any = table.open((text | frozenset(place_table.keys)) & frozenset((*table.columns, KEPT)))
        return look_up_columns(
            frame.with_columns(_joined_label(frame, place_table.keys).alias(LABEL)), LABEL, found
        )

    return replace(
        table,
        name=f"{table.name} with {place_table.name}",
        columns=table.columns + columns,
        open=opened,
        joined=columns,
        orders={column: order for column, order in place_table.orders.items() if column in columns},
    )

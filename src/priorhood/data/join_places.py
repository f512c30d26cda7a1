"""Rows and what is known of their places, put together: the one way in for place-level predictors."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from priorhood._text import listed, some
from priorhood.data.labels import alike, normal_label, unlike
from priorhood.data.place_table import LABEL, PlaceLabels, kept, label_of, no_value, read_place_table
from priorhood.data.sources.columns import collected
from priorhood.data.sources.duckdb_io import KEPT, explained
from priorhood.data.sources.lookup import looked_up
from priorhood.errors import PriorhoodWarning, TableError
from priorhood.model.formula import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    import narwhals.stable.v2 as nw

    from priorhood.data.place_table import PlaceTable
    from priorhood.data.sources.table import Frame, Table
    from priorhood.model.formula import Formula


def placed(
    table: Table,
    places: object,
    formula: Formula,
    known: PlaceTable | None = None,
    cells: dict[str, Any] | None = None,
) -> tuple[Table, PlaceTable | None]:
    """A table of rows with the places' predictors as columns of its own; and what is known of the places.

    Whatever reads the table sees plain columns.

    Parameters
    ----------
    places : whatever read() takes, or None
    known : what a posterior knows of places, to which `places` is added
    cells : key column → label of every cell of the posterior's sums

    Raises
    ------
    TableError : see read_place_table; a predictor that the rows have too; no place in common
    FormulaError : a slope that varies by what it is constant within
    """
    place_table = together(places, formula, known)
    if place_table is None:
        return table, None
    place_table.check(formula)
    _check_apart(table, place_table, place_table.columns)
    for key in place_table.keys:
        table.require(key, "the group")
    spots = _spots(table, place_table, formula, cells)
    _tell_unknown(table, place_table, spots)
    return _with_columns(table, place_table, place_table.columns, spots), place_table


def together(places: object, formula: Formula, known: PlaceTable | None) -> PlaceTable | None:
    """What is known of places and what is said now, as one; None where there is nothing.

    Raises
    ------
    TableError : a place with two values
    """
    if places is None:
        return known
    new = read_place_table(places, formula)
    return new if known is None else known.joined(new)


def _check_apart(table: Table, place_table: PlaceTable, columns: tuple[str, ...]) -> None:
    """Raise for a column that rows and places have; names that differ by case alone are one name to DuckDB."""
    folded = {column.casefold(): column for column in table.columns}
    both = next((column for column in columns if column.casefold() in folded), None)
    if both is not None:
        raise TableError(
            f"{folded[both.casefold()]!r} is a column of the rows ({table.name}) and {both!r} of the places "
            f"({place_table.name}): which one is meant? Leave it out of one of them, or rename it"
        )


def placed_to_predict(
    table: Table, place_table: PlaceTable | None, formula: Formula, cells: dict[str, Any]
) -> Table:
    """Rows to predict with the places' predictors that they do not bring themselves.

    A place that is not known has no value, and its rows are marked as missing it.

    Parameters
    ----------
    cells : see placed
    """
    wanted = () if place_table is None else tuple(c for c in place_table.columns if c not in table.columns)
    if place_table is None or not wanted or not any(key in table.columns for key in place_table.keys):
        return table
    _check_apart(table, place_table, wanted)
    return _with_columns(table, place_table, wanted, _spots(table, place_table, formula, cells))


def _joined_label(frame: Frame, keys: tuple[str, ...]) -> nw.Expr:
    """A row's labels in some columns, as the table spells them; '' for a column that it has not."""
    import narwhals.stable.v2 as nw

    there = frame.collect_schema().names()
    texts = [label_of(frame, key) if key in there else nw.lit("") for key in keys]
    return texts[0] if len(texts) == 1 else nw.concat_str(texts, separator=SEPARATOR)


def _spots(
    table: Table, place_table: PlaceTable, formula: Formula, cells: dict[str, Any] | None
) -> dict[str, PlaceLabels]:
    """The different labels of the rows, as the table spells them → in normal form.

    Raises
    ------
    TableError : the labels do not tell the places apart
    """
    above = dict.fromkeys(
        key
        for grouping in formula.groupings
        if grouping.column in place_table.keys
        for key in grouping.path
        if key not in place_table.keys and key in table.columns
    )
    keys = place_table.keys + tuple(above)
    with explained(table.name), table.alone():
        frame = kept(table.frame(formula.keys))
        found = collected(frame.select(_joined_label(frame, keys).alias(LABEL)).unique())[LABEL]
    spots: dict[str, PlaceLabels] = {}
    seen = _lying_in(place_table.keys, tuple(above), cells)
    for text in map(str, found):
        parts = text.split(SEPARATOR)
        labels = tuple(map(normal_label, parts))
        own, rest = labels[: len(place_table.keys)], labels[len(place_table.keys) :]
        spots[SEPARATOR.join(parts[: len(place_table.keys)])] = own
        if all(labels) and seen.setdefault(own, rest) != rest:
            raise TableError(
                f"{place_table.keys[-1]} {'/'.join(own)!r} of {table.name} is there in several: "
                f"{some(sorted({'/'.join(seen[own]), '/'.join(rest)}))}; give {place_table.name} the column "
                f"{listed(above)} too, so that it tells them apart"
            )
    return spots


def _lying_in(
    keys: tuple[str, ...], above: tuple[str, ...], cells: dict[str, Any] | None
) -> dict[PlaceLabels, PlaceLabels]:
    """Labels in some columns of the places that the fit had → their labels in the columns above."""
    if cells is None or not above:
        return {}
    own, rest = (zip(*(cells[key].tolist() for key in part), strict=True) for part in (keys, above))
    return dict(zip(own, rest, strict=True))


def _tell_unknown(table: Table, place_table: PlaceTable, spots: dict[str, PlaceLabels]) -> None:
    """Warn of places of the rows of which a predictor is not known.

    Raises
    ------
    TableError : none is known
    """
    labels = sorted({spot for spot in spots.values() if all(spot)})
    if labels and not any(spot in place_table.places for spot in labels):
        name = "/".join(place_table.keys)
        raise TableError(
            f"no {name} of {table.name} is in {place_table.name}: there are {_some(labels)}, and here "
            f"{_some(sorted(place_table.places))}; labels are compared as text{_alike_in(place_table, labels)}"
        )
    for at, column in enumerate(place_table.columns):
        unknown = [s for s in labels if s not in place_table.places or no_value(place_table.places[s][at])]
        if unknown:
            warnings.warn(
                f"{place_table.name} does not say {column!r} of {len(unknown):,} of the {len(labels):,} places of "
                f"{table.name}: {place_table.keys[-1]} {_some(unknown)}; their rows are left "
                f"out{_alike_in(place_table, [s for s in unknown if s not in place_table.places])}",
                PriorhoodWarning,
                stacklevel=4,
            )


def _alike_in(place_table: PlaceTable, labels: list[PlaceLabels]) -> str:
    """Of places that are not there, one that is but for its spelling."""
    found = alike(map("/".join, labels), map("/".join, place_table.places))
    new, known = next(iter(found.items()), ("", ""))
    return (
        f"; {new!r} is {known!r} there: {unlike(new, known, place_table.keys, place_table.name)}" if found else ""
    )


def _some(places: Iterable[PlaceLabels]) -> str:
    listed = ["/".join(labels) for labels in places]
    return some(listed, 3) if listed else "none"


def _with_columns(
    table: Table, place_table: PlaceTable, columns: tuple[str, ...], spots: dict[str, PlaceLabels]
) -> Table:
    """The table with some of the places' predictors as columns."""
    found: dict[str, dict[str, Any]] = {column: {} for column in columns}
    for text, labels in spots.items():
        values = place_table.find(labels)
        for column, value in zip(place_table.columns, values or (), strict=False):
            if column in found and not no_value(value):
                found[column][text] = value

    def opened(text: frozenset[str]) -> Any:
        # Labels are text here in any case, as they are where the spots were read.
        frame: Any = table.open((text | frozenset(place_table.keys)) & frozenset((*table.columns, KEPT)))
        return looked_up(frame.with_columns(_joined_label(frame, place_table.keys).alias(LABEL)), LABEL, found)

    return replace(
        table,
        name=f"{table.name} with {place_table.name}",
        columns=table.columns + columns,
        open=opened,
        joined=columns,
        orders={column: order for column, order in place_table.orders.items() if column in columns},
    )

"""Rows and what is known of their places, put together: the one way in for place-level predictors."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from priorhood.data.labels import alike, normal_label, unlike
from priorhood.data.place_table import LABEL, PlaceLabels, kept, label_of, no_value, read_gazetteer
from priorhood.data.sources.columns import collected
from priorhood.data.sources.duckdb_io import KEPT, explained
from priorhood.data.sources.lookup import looked_up
from priorhood.errors import PriorhoodWarning, TableError, some
from priorhood.model.formula import SEPARATOR

if TYPE_CHECKING:
    from collections.abc import Iterable

    import narwhals.stable.v2 as nw

    from priorhood.data.place_table import Gazetteer
    from priorhood.data.sources.table import Frame, Table
    from priorhood.model.formula import Formula


def placed(
    table: Table,
    places: object,
    formula: Formula,
    known: Gazetteer | None = None,
    cells: dict[str, Any] | None = None,
) -> tuple[Table, Gazetteer | None]:
    """A table of rows with the places' predictors as columns of its own; and what is known of the places.

    Whatever reads the table sees plain columns.

    Parameters
    ----------
    places : whatever read() takes, or None
    known : what a posterior knows of places, to which `places` is added
    cells : key column → label of every cell of the posterior's sums

    Raises
    ------
    TableError : see read_gazetteer; a predictor that the rows have too; no place in common
    FormulaError : a slope that varies by what it is constant within
    """
    gazetteer = together(places, formula, known)
    if gazetteer is None:
        return table, None
    gazetteer.check(formula)
    _check_apart(table, gazetteer, gazetteer.columns)
    for key in gazetteer.keys:
        table.require(key, "the group")
    spots = _spots(table, gazetteer, formula, cells)
    _tell_unknown(table, gazetteer, spots)
    return _with_columns(table, gazetteer, gazetteer.columns, spots), gazetteer


def together(places: object, formula: Formula, known: Gazetteer | None) -> Gazetteer | None:
    """What is known of places and what is said now, as one; None where there is nothing.

    Raises
    ------
    TableError : a place with two values
    """
    if places is None:
        return known
    new = read_gazetteer(places, formula)
    return new if known is None else known.joined(new)


def _check_apart(table: Table, gazetteer: Gazetteer, columns: tuple[str, ...]) -> None:
    """Raise for a column that rows and places have; names that differ by case alone are one name to DuckDB."""
    folded = {column.casefold(): column for column in table.columns}
    both = next((column for column in columns if column.casefold() in folded), None)
    if both is not None:
        raise TableError(
            f"{folded[both.casefold()]!r} is a column of the rows ({table.name}) and {both!r} of the places "
            f"({gazetteer.name}): which one is meant? Leave it out of one of them, or rename it"
        )


def placed_to_predict(table: Table, gazetteer: Gazetteer | None, formula: Formula, cells: dict[str, Any]) -> Table:
    """Rows to predict with the places' predictors that they do not bring themselves.

    A place that is not known has no value, and its rows are marked as missing it.

    Parameters
    ----------
    cells : see placed
    """
    wanted = () if gazetteer is None else tuple(c for c in gazetteer.columns if c not in table.columns)
    if gazetteer is None or not wanted or not any(key in table.columns for key in gazetteer.keys):
        return table
    _check_apart(table, gazetteer, wanted)
    return _with_columns(table, gazetteer, wanted, _spots(table, gazetteer, formula, cells))


def _joined_label(frame: Frame, keys: tuple[str, ...]) -> nw.Expr:
    """A row's labels in some columns, as the table spells them; '' for a column that it has not."""
    import narwhals.stable.v2 as nw

    there = frame.collect_schema().names()
    texts = [label_of(frame, key) if key in there else nw.lit("") for key in keys]
    return texts[0] if len(texts) == 1 else nw.concat_str(texts, separator=SEPARATOR)


def _spots(
    table: Table, gazetteer: Gazetteer, formula: Formula, cells: dict[str, Any] | None
) -> dict[str, PlaceLabels]:
    """The different labels of the rows, as the table spells them → in normal form.

    Raises
    ------
    TableError : the labels do not tell the places apart
    """
    above = dict.fromkeys(
        key
        for grouping in formula.groupings
        if grouping.column in gazetteer.keys
        for key in grouping.path
        if key not in gazetteer.keys and key in table.columns
    )
    keys = gazetteer.keys + tuple(above)
    with explained(table.name), table.alone():
        frame = kept(table.frame(formula.keys))
        found = collected(frame.select(_joined_label(frame, keys).alias(LABEL)).unique())[LABEL]
    spots: dict[str, PlaceLabels] = {}
    seen = _lying_in(gazetteer.keys, tuple(above), cells)
    for text in map(str, found):
        parts = text.split(SEPARATOR)
        labels = tuple(map(normal_label, parts))
        own, rest = labels[: len(gazetteer.keys)], labels[len(gazetteer.keys) :]
        spots[SEPARATOR.join(parts[: len(gazetteer.keys)])] = own
        if all(labels) and seen.setdefault(own, rest) != rest:
            raise TableError(
                f"{gazetteer.keys[-1]} {'/'.join(own)!r} of {table.name} is there in several: "
                f"{some(sorted({'/'.join(seen[own]), '/'.join(rest)}))}; give {gazetteer.name} the column "
                f"{' and '.join(above)} too, so that it tells them apart"
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


def _tell_unknown(table: Table, gazetteer: Gazetteer, spots: dict[str, PlaceLabels]) -> None:
    """Warn of places of the rows of which a predictor is not known.

    Raises
    ------
    TableError : none is known
    """
    labels = sorted({spot for spot in spots.values() if all(spot)})
    if labels and not any(spot in gazetteer.places for spot in labels):
        name = "/".join(gazetteer.keys)
        raise TableError(
            f"no {name} of {table.name} is in {gazetteer.name}: there are {_some(labels)}, and here "
            f"{_some(sorted(gazetteer.places))}; labels are compared as text{_alike_in(gazetteer, labels)}"
        )
    for at, column in enumerate(gazetteer.columns):
        unknown = [s for s in labels if s not in gazetteer.places or no_value(gazetteer.places[s][at])]
        if unknown:
            warnings.warn(
                f"{gazetteer.name} does not say {column!r} of {len(unknown):,} of the {len(labels):,} places of "
                f"{table.name}: {gazetteer.keys[-1]} {_some(unknown)}; their rows are left "
                f"out{_alike_in(gazetteer, [s for s in unknown if s not in gazetteer.places])}",
                PriorhoodWarning,
                stacklevel=4,
            )


def _alike_in(gazetteer: Gazetteer, labels: list[PlaceLabels]) -> str:
    """Of places that are not there, one that is but for its spelling."""
    found = alike(map("/".join, labels), map("/".join, gazetteer.places))
    new, known = next(iter(found.items()), ("", ""))
    return f"; {new!r} is {known!r} there: {unlike(new, known, gazetteer.keys, gazetteer.name)}" if found else ""


def _some(places: Iterable[PlaceLabels]) -> str:
    listed = ["/".join(labels) for labels in places]
    return some(listed, 3) if listed else "none"


def _with_columns(
    table: Table, gazetteer: Gazetteer, columns: tuple[str, ...], spots: dict[str, PlaceLabels]
) -> Table:
    """The table with some of the places' predictors as columns."""
    found: dict[str, dict[str, Any]] = {column: {} for column in columns}
    for text, labels in spots.items():
        values = gazetteer.find(labels)
        for column, value in zip(gazetteer.columns, values or (), strict=False):
            if column in found and not no_value(value):
                found[column][text] = value

    def opened(text: frozenset[str]) -> Any:
        # Labels are text here in any case, as they are where the spots were read.
        frame: Any = table.open((text | frozenset(gazetteer.keys)) & frozenset((*table.columns, KEPT)))
        return looked_up(frame.with_columns(_joined_label(frame, gazetteer.keys).alias(LABEL)), LABEL, found)

    return replace(
        table,
        name=f"{table.name} with {gazetteer.name}",
        columns=table.columns + columns,
        open=opened,
        joined=columns,
        orders={column: order for column, order in gazetteer.orders.items() if column in columns},
    )

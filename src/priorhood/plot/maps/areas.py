"""Polygons of places: joined to the places of a posterior by label, projected, as outlines for SVG."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import argument, code_or_command, join_words, plural, preview, suggestion
from priorhood.data.labels import loose_form, match_spelling, normal_label, spelling_advice
from priorhood.errors import ModelError, TableError
from priorhood.model.formula import SEPARATOR
from priorhood.plot.maps.polygons import WGS84, polygons_in, read_polygons

if TYPE_CHECKING:
    import geopandas

    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior

Ring = list[tuple[float, float]]

# Details below this share of the longer side of the map are invisible in a picture of a thousand pixels.
DETAIL = 1 / 1500
# Units of a drawing's longer side, and of the margin around it.
SIZE, MARGIN = 1000, 8


@dataclass(frozen=True)
class Drawing:
    """Polygons as path data for SVG (fill-rule evenodd).

    Attributes
    ----------
    paths : dict of str to str
        Those of the places, by label.
    others : list of str
        Those without a place.
    box : list of float
        Left, top, width and height of the view.
    """

    paths: dict[str, str]
    others: list[str]
    box: list[float]


@dataclass(frozen=True)
class Areas:
    """Polygons of places, in the order of the posterior.

    Attributes
    ----------
    source : str
        Name of the file, for messages.
    column : str
        The property with the labels; for nested places possibly `state/county`.
    level : str
        The grouping of the places.
    labels : tuple of str
        Places with a polygon, as in the posterior.
    frame : GeoDataFrame
        Their polygons, one row per label.
    unmatched_places, unmatched_areas : tuple of str
        Labels of places without a polygon, and of polygons without a place.
    others : GeoDataFrame
        Polygons without a place.
    merged, repaired : int
        Number of polygons merged with others of the same label, and of repaired outlines that crossed themselves.
    loose : dict of str to str
        Labels that match a place only without leading zeros, case, spaces and ZIP+4, and the label of that place.
    """

    source: str
    column: str
    level: str
    labels: tuple[str, ...]
    frame: geopandas.GeoDataFrame
    unmatched_places: tuple[str, ...]
    unmatched_areas: tuple[str, ...]
    others: geopandas.GeoDataFrame
    merged: int = 0
    repaired: int = 0
    loose: dict[str, str] = field(default_factory=dict)

    def account(self) -> str:
        """Return the matches and mismatches of polygons and places in one sentence."""
        total = len(self.labels) + len(self.unmatched_places)
        names = plural(self.level)
        if self.unmatched_places:
            have = "has" if len(self.labels) == 1 else "have"
            matched = f"{len(self.labels):,} of {total:,} {names} {have} a polygon in {self.source} ({self.column})"
        else:
            matched = f"All {total:,} {names} have" if total > 1 else f"The one {self.level} has"
            matched += f" a polygon in {self.source} ({self.column})"
        parts = [matched]
        if self.unmatched_places:
            parts.append(f"none: {join_words(self.unmatched_places, limit=4)}")
        if self.unmatched_areas:
            are = "polygon matches" if len(self.unmatched_areas) == 1 else "polygons match"
            parts.append(f"{len(self.unmatched_areas):,} {are} no {self.level} in the data")
        if self.merged:
            were = "polygon was" if self.merged == 1 else "polygons were"
            parts.append(f"{self.merged:,} {were} merged with others of the same label")
        if self.repaired:
            were = (
                "outline that crosses itself was" if self.repaired == 1 else "outlines that cross themselves were"
            )
            parts.append(f"{self.repaired:,} {were} repaired")
        if self.loose:
            label, own = next(iter(self.loose.items()))
            match = "label matches" if len(self.loose) == 1 else "labels match"
            parts.append(
                f"{len(self.loose):,} {match} only without leading zeros, case, spaces or ZIP+4: {own!r} as "
                f"{label!r}"
            )
        return "; ".join(parts)

    def rings(self, tolerance: float = DETAIL) -> dict[str, list[Ring]]:
        """Return the outlines of every place: rings in a box whose longer side is 1, with y downwards as in SVG.

        Islands and holes are separate rings (fill rule evenodd). The projection preserves areas; shared borders are
        simplified consistently, so no gaps open.

        Parameters
        ----------
        tolerance : float
            Details below this share of the longer side are dropped; 0 keeps all.
        """
        return dict(zip(self.labels, self._outlines(tolerance), strict=False))

    def drawing(self) -> Drawing:
        """Return the polygons of the places and the others as path data for SVG."""
        outlines = self._outlines(DETAIL)
        points = SIZE * np.array([point for outline in outlines for ring in outline for point in ring])
        low, high = points.min(axis=0), points.max(axis=0)
        box = np.round([*(low - MARGIN), *(high - low + 2 * MARGIN)], 1).tolist()
        paths = []
        for outline in outlines:
            path = ""
            for ring in outline:
                texts = [f"{round(SIZE * x, 1):g} {round(SIZE * y, 1):g}" for x, y in ring]
                # Drop repeated points.
                kept = [text for text, before in zip(texts, [None, *texts], strict=False) if text != before]
                path += f"M{'L'.join(kept)}Z" if len(kept) > 2 else ""
            paths.append(path)
        return Drawing(dict(zip(self.labels, paths, strict=False)), paths[len(self.labels) :], box)

    @cached_property
    def plane(self) -> geopandas.GeoSeries:
        """Return all polygons in metres, those of places first: Lambert azimuthal equal-area projection."""
        import geopandas
        import pandas as pd

        both = pd.concat([self.frame.geometry, self.others.geometry])
        # Centred on the mean direction, which is also correct across the 180th meridian.
        inside = both.to_crs(WGS84).representative_point()
        east, north = np.radians(inside.x.to_numpy()), np.radians(inside.y.to_numpy())
        x, y, z = np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)
        middle_east = np.degrees(np.arctan2(y.mean(), x.mean()))
        middle_north = np.degrees(np.arctan2(z.mean(), np.hypot(x.mean(), y.mean())))
        local = f"+proj=laea +lat_0={middle_north:.4f} +lon_0={middle_east:.4f} +datum=WGS84 +units=m"
        return geopandas.GeoSeries(both, crs=self.frame.crs).to_crs(local)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Return west, south, east and north of all polygons, in metres of the plane."""
        west, south, east, north = (float(edge) for edge in self.plane.total_bounds)
        return west, south, east, north

    def _outlines(self, tolerance: float) -> list[list[Ring]]:
        """Return the rings of every polygon in the unit box, those of places first."""
        west, south, east, north = self.box
        size = max(east - west, north - south)
        outlines = []
        for shape in simplify(self.plane.to_numpy(), tolerance * size):
            rings = [r for part in polygons_in(shape) for r in (part.exterior, *part.interiors)]
            scaled = [(np.asarray(ring.coords)[:, :2] - (west, north)) / (size, -size) for ring in rings]
            outlines.append([[(float(x), float(y)) for x, y in ring.round(5)] for ring in scaled])
        return outlines


def simplify(shapes: Any, tolerance: float) -> Any:
    """Return polygons with fewer points and consistent shared borders; one that would vanish is not changed."""
    import shapely

    if not tolerance > 0:
        return shapes
    simple = shapely.coverage_simplify(shapes, tolerance)
    return np.where(shapely.is_empty(simple), shapes, simple)


# -- reading ----------------------------------------------------------------------------------------------


def read_areas(
    source: object, post: Posterior, *, column: str | None = None, level: str | None = None, crs: object = None
) -> Areas:
    """Return the polygons of a posterior's places.

    Labels are compared as text in their normal form (10115, even if the file has the number 10115.0). A label
    without a match is compared again without leading zeros, case, spaces and the end of ZIP+4, if that is
    unambiguous. Nested places match by their own label if it is unique, by `parent/label`, or by one property for
    each column of their path.

    Parameters
    ----------
    source
        A file that geopandas reads (GeoJSON, Shapefile, GeoPackage, …), a GeoDataFrame, or GeoJSON as a mapping;
        Areas are returned as they are.
    column : str, optional
        The property with the labels; by default the one named like the group, or else the one with the most labels
        in common.
    level : str, optional
        The grouping of the places; by default the finest.
    crs : optional
        CRS of the coordinates, "EPSG:4326", if the source does not state it or states a wrong one.

    Raises
    ------
    FileError
        A missing file, or one that geopandas cannot read.
    TableError
        No polygons; a missing property; no label in common; several properties to choose from; no CRS.
    ModelError
        The posterior has no group, or not this one; geopandas is not installed.
    """
    if isinstance(source, Areas):
        return source
    places = level_of(post, level)
    name, frame, repaired = read_polygons(source, crs)
    column, keys = _join_column(name, frame, places, column)
    matches, loose = _match(keys, places)
    matches |= loose

    # The polygons by place, merged if they have the same label.
    labels = places.labels.tolist()
    place = np.array([matches.get(key, -1) for key in keys])
    shape = frame.geometry.name
    matched = frame.loc[place >= 0, [shape]].set_axis(place[place >= 0]).dissolve(level=0)
    others = frame.loc[place < 0, [shape]].set_axis([key for key in keys if key not in matches])
    with_polygon = set(matched.index.tolist())
    return Areas(
        source=name,
        column=column,
        level=places.name,
        labels=tuple(labels[number] for number in matched.index),
        frame=matched.set_axis([labels[number] for number in matched.index]),
        unmatched_places=tuple(label for number, label in enumerate(labels) if number not in with_polygon),
        unmatched_areas=tuple(key or "(no label)" for key in others.index),
        others=others,
        merged=int((place >= 0).sum()) - len(matched),
        repaired=repaired,
        loose={key: labels[number] for key, number in loose.items()},
    )


def level_of(post: Posterior, level: str | None = None) -> Places:
    """Return the places of the grouping with this name, or of the finest level.

    Raises
    ------
    ModelError : no group, or not this one
    """
    groupings = post.hierarchy.groupings
    text = post.model.formula.text
    if not groupings:
        raise ModelError(
            f"{text!r} has no group, so there are no places to map; fit it with one: {_fit(f'{text} + (1 | zip)')}"
        )
    names = [places.name for places in groupings]
    if level is None:
        return groupings[0]
    if level not in names:
        raise ModelError(
            f"{text!r} has no group {level!r}; {suggestion(level, names)}. To add one, fit it: "
            f"{_fit(f'{text} + (1 | {level})')}"
        )
    return groupings[names.index(level)]


def _fit(formula: str) -> str:
    """Return how to fit a formula."""
    return code_or_command(f"ph.fit({formula!r}, table)", f"priorhood fit TABLE {shlex.quote(formula)} -o FILE")


# -- joining ----------------------------------------------------------------------------------------------


def _join_column(name: str, frame: Any, places: Places, column: str | None) -> tuple[str, list[str]]:
    """Return the property to join on, and the label of every polygon."""
    import pandas as pd

    def labels(name: str) -> list[str]:
        values = frame[name]
        return ["" if null else normal_label(str(v)) for v, null in zip(values, pd.isna(values), strict=True)]

    def hits(keys: list[str]) -> int:
        exact, loose = _match(keys, places)
        return len({*exact.values(), *loose.values()})

    properties = [str(name) for name in frame.columns if name != frame.geometry.name]
    folded = {name.casefold(): name for name in reversed(properties)}
    path = [folded.get(name.casefold(), "") for name in places.path]
    keys: list[str] | None = None
    if column is not None:
        if column not in properties:
            options = f"choose from {preview(properties, 12)}" if properties else "it has no properties"
            raise TableError(f"{name} has no property {column!r} to join on; {options}")
        keys = labels(column)
    elif len(path) > 1 and all(path):
        column = "/".join(path)
        keys = ["/".join(parts) for parts in zip(*(labels(part) for part in path), strict=True)]
    if column is not None and keys is not None:
        if not hits(keys):
            raise TableError(_nothing_in_common(name, {column: keys}, places))
        return column, keys
    texts = {name: labels(name) for name in properties}
    if path[-1] and hits(texts[path[-1]]):
        return path[-1], texts[path[-1]]
    counts = {name: hits(keys) for name, keys in texts.items()}
    most = max(counts.values(), default=0)
    if not most:
        raise TableError(_nothing_in_common(name, texts, places))
    # The id of a feature comes first, but a property with the same values is a better name.
    best = sorted((name for name, count in counts.items() if count == most), key=lambda name: name == "id")
    if any(texts[name] != texts[best[0]] for name in best[1:]):
        raise TableError(
            f"{name} has several properties with {most:,} labels of {places.name}: {preview(best)}; choose one "
            f"with {argument('column', best[0])}"
        )
    return best[0], texts[best[0]]


def _nothing_in_common(name: str, texts: dict[str, list[str]], places: Places) -> str:
    """Return the message for polygons that match no place, with three labels of each side and advice."""
    properties = [f"{column!r} with {preview(sorted(set(keys)), 3)}" for column, keys in list(texts.items())[:5]]
    keys = {key for keys in texts.values() for key in keys}
    shared = {key.rpartition(SEPARATOR)[2] for key in places.keys.tolist()} & keys
    advice = ""
    if shared:
        advice = f"; {preview(sorted(shared), 3)} is the name of several, so use {'/'.join(places.path)}"
    elif nearly := match_spelling(sorted(key for key in keys if key), places.labels.tolist()):
        label, known = next(iter(nearly.items()))
        advice = f"; {label!r} may be {known!r}, but not only that: {spelling_advice(label, known, places.path)}"
    return (
        f"{name} has no polygon of a known {places.name}: the posterior has {preview(places.labels.tolist(), 3)}, "
        f"the polygons have {', '.join(properties) or 'no properties'}{advice}"
    )


def _match(keys: list[str], places: Places) -> tuple[dict[str, int], dict[str, int]]:
    """Return the place of every label of the polygons: exact matches, and those in another spelling.

    Spellings are compared in the same way as labels in predictions (see data.labels.alike).
    """
    # Names of a place: its label as shown, and its own label if that is unique.
    last = [key.rpartition(SEPARATOR)[2] for key in places.keys.tolist()]
    counts = Counter(last)
    names = {label: place for place, label in enumerate(last) if counts[label] == 1}
    names |= {label: place for place, label in enumerate(places.labels.tolist())}
    exact = {key: names[key] for key in dict.fromkeys(keys) if key in names}
    taken = set(exact.values())
    # Names of the same place that differ only in spelling are not ambiguous.
    spellings: dict[str, set[int]] = {}
    for name, place in names.items():
        spellings.setdefault(loose_form(name), set()).add(place)
    others = {key: spellings.get(loose_form(key), set()) for key in dict.fromkeys(keys) if key and key not in exact}
    loose = {key: next(iter(meant)) for key, meant in others.items() if len(meant) == 1 and not meant & taken}
    # Two different labels that would match the same place match none.
    matches = Counter(loose.values())
    return exact, {key: place for key, place in loose.items() if matches[place] == 1}

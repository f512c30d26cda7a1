"""Polygons of places: joined with a posterior's places by label, projected, as outlines of an SVG."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._text import join_words, plural, preview, suggestion
from priorhood.data.labels import alike, loosely, normal_label, unlike
from priorhood.errors import ModelError, TableError
from priorhood.model.formula import SEPARATOR
from priorhood.plot.maps.polygons import WGS84, polygons_in, read_polygons

if TYPE_CHECKING:
    import geopandas

    from priorhood.model.hierarchy import Places
    from priorhood.posterior.posterior import Posterior

Ring = list[tuple[float, float]]

# Details below this share of the map's longer side are not seen in a picture of a thousand points.
DETAIL = 1 / 1500
# Units of a drawing's longer side, and of the margin around it.
SIZE, MARGIN = 1000, 8


@dataclass(frozen=True)
class Drawing:
    """Polygons as SVG draws them: path data (fill-rule evenodd) of the places by label, and of the others.

    box : left, top, width and height of the view
    """

    paths: dict[str, str]
    others: list[str]
    box: list[float]


@dataclass(frozen=True)
class Areas:
    """Polygons of places, in the order of the posterior's.

    source : name of the file, for messages; column : the property with the labels, of nested places maybe
    `state/county`; level : the grouping whose places these are
    labels : of the places with a polygon, as the posterior writes them; frame : their polygons, one row a label
    unmatched_places : labels of places without a polygon
    unmatched_areas : labels of polygons without a place; others : these polygons
    merged : polygons joined with others of the same label; repaired : outlines that crossed themselves
    loose : labels that match a place only without zeros, case, blanks and ZIP+4 → the place's own
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
        """Matches and mismatches of polygons and places, in one sentence."""
        total = len(self.labels) + len(self.unmatched_places)
        names = plural(self.level)
        if self.unmatched_places:
            have = "has" if len(self.labels) == 1 else "have"
            found = f"{len(self.labels):,} of {total:,} {names} {have} a polygon in {self.source} ({self.column})"
        else:
            found = f"All {total:,} {names} have" if total > 1 else f"The one {self.level} has"
            found += f" a polygon in {self.source} ({self.column})"
        parts = [found]
        if self.unmatched_places:
            parts.append(f"none: {join_words(self.unmatched_places, limit=4)}")
        if self.unmatched_areas:
            are = "polygon is" if len(self.unmatched_areas) == 1 else "polygons are"
            parts.append(f"{len(self.unmatched_areas):,} {are} of no {self.level} of the data")
        if self.merged:
            parts.append(f"{self.merged:,} polygons were joined to others of the same label")
        if self.repaired:
            were = (
                "outline that crosses itself was" if self.repaired == 1 else "outlines that cross themselves were"
            )
            parts.append(f"{self.repaired:,} {were} repaired")
        if self.loose:
            label, own = next(iter(self.loose.items()))
            match = "label matches" if len(self.loose) == 1 else "labels match"
            parts.append(
                f"{len(self.loose):,} {match} only without leading zeros, case, blanks or ZIP+4: {own!r} as "
                f"{label!r}"
            )
        return "; ".join(parts)

    def rings(self, tolerance: float = DETAIL) -> dict[str, list[Ring]]:
        """Outlines of every place: rings of points in a box whose longer side is 1, y downwards, as in SVG.

        Islands are rings of their own, and so are holes (fill rule evenodd). The projection keeps areas; borders
        of neighbours are simplified alike, so that no gaps open.

        Parameters
        ----------
        tolerance : details below this share of the longer side are left out; 0 keeps all
        """
        return dict(zip(self.labels, self._outlines(tolerance), strict=False))

    def drawing(self) -> Drawing:
        """Return the polygons as SVG draws them, those of the places and the others."""
        outlines = self._outlines(DETAIL)
        points = SIZE * np.array([point for outline in outlines for ring in outline for point in ring])
        low, high = points.min(axis=0), points.max(axis=0)
        box = np.round([*(low - MARGIN), *(high - low + 2 * MARGIN)], 1).tolist()
        paths = []
        for outline in outlines:
            path = ""
            for ring in outline:
                texts = [f"{round(SIZE * x, 1):g} {round(SIZE * y, 1):g}" for x, y in ring]
                # Points that fall together are one.
                kept = [one for one, before in zip(texts, [None, *texts], strict=False) if one != before]
                path += f"M{'L'.join(kept)}Z" if len(kept) > 2 else ""
            paths.append(path)
        own = len(self.labels)
        return Drawing(dict(zip(self.labels, paths, strict=False)), paths[own:], box)

    @cached_property
    def plane(self) -> geopandas.GeoSeries:
        """All polygons in metres, the places' first: Lambert's azimuthal equal-area map about their middle."""
        import geopandas
        import pandas as pd

        both = pd.concat([self.frame.geometry, self.others.geometry])
        # The middle as a mean of directions, which is right also across the 180th meridian.
        inside = both.to_crs(WGS84).representative_point()
        east, north = np.radians(inside.x.to_numpy()), np.radians(inside.y.to_numpy())
        x, y, z = np.cos(north) * np.cos(east), np.cos(north) * np.sin(east), np.sin(north)
        middle_east = np.degrees(np.arctan2(y.mean(), x.mean()))
        middle_north = np.degrees(np.arctan2(z.mean(), np.hypot(x.mean(), y.mean())))
        local = f"+proj=laea +lat_0={middle_north:.4f} +lon_0={middle_east:.4f} +datum=WGS84 +units=m"
        return geopandas.GeoSeries(both, crs=self.frame.crs).to_crs(local)

    @property
    def box(self) -> tuple[float, float, float, float]:
        """West, south, east and north of all polygons, in metres of the plane."""
        west, south, east, north = (float(edge) for edge in self.plane.total_bounds)
        return west, south, east, north

    def _outlines(self, tolerance: float) -> list[list[Ring]]:
        """Rings of every polygon, the places' first, in the unit box."""
        west, south, east, north = self.box
        size = max(east - west, north - south)
        found = []
        for shape in simplified(self.plane.to_numpy(), tolerance * size):
            rings = [r for part in polygons_in(shape) for r in (part.exterior, *part.interiors)]
            scaled = [(np.asarray(ring.coords)[:, :2] - (west, north)) / (size, -size) for ring in rings]
            found.append([[(float(x), float(y)) for x, y in ring.round(5)] for ring in scaled])
        return found


def simplified(shapes: Any, tolerance: float) -> Any:
    """Polygons with fewer points, borders of neighbours alike; a polygon that would vanish stays as it was."""
    import shapely

    if not tolerance > 0:
        return shapes
    found = shapely.coverage_simplify(shapes, tolerance)
    return np.where(shapely.is_empty(found), shapes, found)


# -- reading ----------------------------------------------------------------------------------------------


def read_areas(
    source: object, post: Posterior, *, column: str | None = None, level: str | None = None, crs: object = None
) -> Areas:
    """Return the polygons of a posterior's places.

    Labels are compared as text in their normal form (10115, also where the file has the number 10115.0), and,
    where that finds nothing and only one place and one label are meant, without leading zeros, case, blanks and
    the end of ZIP+4. Nested places are found by their own label where only one has it, by `parent/label`, or by a
    property for every column of their path.

    Parameters
    ----------
    source
        A file that geopandas reads (GeoJSON, Shapefile, GeoPackage, …), a GeoDataFrame, or GeoJSON as a mapping;
        Areas are returned as they are.
    column : str, optional
        The property with the labels; by default the one that is named like the group, else the one that has most
        of the labels.
    level : str, optional
        The grouping whose places are meant; by default the finest.
    crs : optional
        CRS of the coordinates, "EPSG:4326", where the source does not name it or names a wrong one.

    Raises
    ------
    FileError
        No such file, or not one that geopandas reads.
    TableError
        No polygons, no such property, no label in common, several properties to choose from, no CRS.
    ModelError
        The posterior has no group, or not this level; geopandas is not installed.
    """
    if isinstance(source, Areas):
        return source
    places = level_of(post, level)
    name, frame, repaired = read_polygons(source, crs)
    column, keys = _join_column(name, frame, places, column)
    found, loose = _match(keys, places)
    found |= loose

    # The polygons by place, those of one label as one.
    labels = places.labels.tolist()
    own = np.array([found.get(key, -1) for key in keys])
    shape = frame.geometry.name
    mine = frame.loc[own >= 0, [shape]].set_axis(own[own >= 0]).dissolve(level=0)
    rest = frame.loc[own < 0, [shape]].set_axis([key for key in keys if key not in found])
    there = set(mine.index.tolist())
    return Areas(
        source=name,
        column=column,
        level=places.name,
        labels=tuple(labels[at] for at in mine.index),
        frame=mine.set_axis([labels[at] for at in mine.index]),
        unmatched_places=tuple(label for at, label in enumerate(labels) if at not in there),
        unmatched_areas=tuple(key or "(no label)" for key in rest.index),
        others=rest,
        merged=int((own >= 0).sum()) - len(mine),
        repaired=repaired,
        loose={key: labels[at] for key, at in loose.items()},
    )


def level_of(post: Posterior, level: str | None = None) -> Places:
    """Return the places of a grouping by its name, or of the finest level.

    Raises
    ------
    ModelError : no group, or not this one
    """
    groupings = post.hierarchy.groupings
    text = post.model.formula.text
    if not groupings:
        raise ModelError(
            f"{text!r} has no group, so there are no places to map; fit it with one: "
            f"priorhood fit TABLE {f'{text} + (1 | zip)'!r} -o FILE"
        )
    names = [places.name for places in groupings]
    if level is None:
        return groupings[0]
    if level not in names:
        raise ModelError(
            f"{text!r} has no group {level!r}; {suggestion(level, names)}. One is added by a fit: "
            f"priorhood fit TABLE {f'{text} + (1 | {level})'!r} -o FILE"
        )
    return groupings[names.index(level)]


# -- joining ----------------------------------------------------------------------------------------------


def _join_column(name: str, frame: Any, places: Places, column: str | None) -> tuple[str, list[str]]:
    """The property to join on, and the label of every polygon."""
    import pandas as pd

    def labels(one: str) -> list[str]:
        values = frame[one]
        return ["" if gone else normal_label(str(v)) for v, gone in zip(values, pd.isna(values), strict=True)]

    def hits(keys: list[str]) -> int:
        found, loose = _match(keys, places)
        return len({*found.values(), *loose.values()})

    properties = [str(one) for one in frame.columns if one != frame.geometry.name]
    folded = {one.casefold(): one for one in reversed(properties)}
    own = [folded.get(one.casefold(), "") for one in places.path]
    keys: list[str] | None = None
    if column is not None:
        if column not in properties:
            there = f"there are {preview(properties, 12)}" if properties else "it has none at all"
            raise TableError(f"{name} has no property {column!r} to join on; {there}")
        keys = labels(column)
    elif len(own) > 1 and all(own):
        column = "/".join(own)
        keys = ["/".join(path) for path in zip(*(labels(one) for one in own), strict=True)]
    if column is not None and keys is not None:
        if not hits(keys):
            raise TableError(_nothing_in_common(name, {column: keys}, places))
        return column, keys
    texts = {one: labels(one) for one in properties}
    if own[-1] and hits(texts[own[-1]]):
        return own[-1], texts[own[-1]]
    counts = {one: hits(keys) for one, keys in texts.items()}
    most = max(counts.values(), default=0)
    if not most:
        raise TableError(_nothing_in_common(name, texts, places))
    # A feature's id comes first, and says less than a property of the same values.
    best = sorted((one for one, count in counts.items() if count == most), key=lambda one: one == "id")
    if any(texts[one] != texts[best[0]] for one in best[1:]):
        raise TableError(
            f"{name} has several properties with {most:,} labels of {places.name}: {preview(best)}; say which with "
            f"column= (--column {best[0]})"
        )
    return best[0], texts[best[0]]


def _nothing_in_common(name: str, texts: dict[str, list[str]], places: Places) -> str:
    """The error for polygons of no place: three labels of each side, and advice."""
    held = [f"{column!r} with {preview(sorted(set(keys)), 3)}" for column, keys in list(texts.items())[:5]]
    keys = {key for keys in texts.values() for key in keys}
    shared = {key.rpartition(SEPARATOR)[2] for key in places.keys.tolist()} & keys
    advice = ""
    if shared:
        advice = f"; {preview(sorted(shared), 3)} is the name of several, so give {'/'.join(places.path)}"
    elif nearly := alike(sorted(key for key in keys if key), places.labels.tolist()):
        label, known = next(iter(nearly.items()))
        advice = f"; {label!r} may be {known!r}, but not it alone: {unlike(label, known, places.path)}"
    return (
        f"{name} has no polygon of any {places.name}: the posterior has {preview(places.labels.tolist(), 3)}, the "
        f"polygons have {', '.join(held) or 'no properties'}{advice}"
    )


def _match(keys: list[str], places: Places) -> tuple[dict[str, int], dict[str, int]]:
    """Place of every different label of the polygons, exactly, and in another spelling.

    Spellings are compared as predictions compare a new label with the known ones (data.labels.alike).
    """
    # Names of a place: as it is shown, and its own label where no other place has it.
    own = [key.rpartition(SEPARATOR)[2] for key in places.keys.tolist()]
    counts = Counter(own)
    names = {label: at for at, label in enumerate(own) if counts[label] == 1}
    names |= {label: at for at, label in enumerate(places.labels.tolist())}
    found = {key: names[key] for key in dict.fromkeys(keys) if key in names}
    taken = set(found.values())
    # Names of one place that differ in their spelling alone are no reason to doubt which place is meant.
    meant: dict[str, set[int]] = {}
    for name, at in names.items():
        meant.setdefault(loosely(name), set()).add(at)
    more = {key: meant.get(loosely(key), set()) - taken for key in dict.fromkeys(keys) if key and key not in found}
    late = {key: next(iter(at)) for key, at in more.items() if len(at) == len(meant.get(loosely(key), ())) == 1}
    # Two different labels that would become one place match none.
    matches = Counter(late.values())
    return found, {key: at for key, at in late.items() if matches[at] == 1}

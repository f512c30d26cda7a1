"""Polygons from whatever geopandas reads, with a known CRS and valid outlines."""

from __future__ import annotations

import itertools
import re
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from priorhood._system import path_exists
from priorhood._text import join_words
from priorhood.data.sources.duckdb_io import nearby_files
from priorhood.errors import FileError, ModelError, TableError

WGS84 = "EPSG:4326"  # longitude and latitude: GeoJSON's, by its standard (RFC 7946)


def read_polygons(source: object, crs: object) -> tuple[str, Any, int]:
    """Return the source's name for messages, its frame of MultiPolygons, and the number of repaired outlines.

    Raises
    ------
    FileError, TableError, ModelError : see areas.read_areas
    """
    name, raw = _open(source)
    import shapely

    frame = _located(name, raw, crs)
    shapes = frame.geometry.to_numpy()
    there = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    broken = there & ~shapely.is_valid(shapes)
    # Valid outlines stay as they are, so that borders shared with neighbours stay so.
    shapes = np.where(broken, shapely.make_valid(shapes), shapes)
    kinds = sorted({shape.geom_type for shape in shapes[there]})
    shapes = np.array([shapely.MultiPolygon(polygons_in(shape)) for shape in shapes], dtype=object)
    kept = ~shapely.is_empty(shapes)
    if not kept.any():
        raise TableError(f"{name} has no polygons, but {join_words(kinds) or 'empty geometries'}")
    return name, frame.set_geometry(shapes, crs=frame.crs)[kept], int((broken & kept).sum())


def _open(source: object) -> tuple[str, Any]:
    """Name of the source for messages, and its frame."""
    try:
        import geopandas
    except ModuleNotFoundError as problem:
        raise ModelError(
            f"maps need geopandas, which is not installed ({problem}): pip install geopandas (priorhood's extra "
            f"[map])"
        ) from None
    if isinstance(source, geopandas.GeoDataFrame):
        return "the GeoDataFrame", source
    if isinstance(source, Mapping):
        if source.get("type") != "FeatureCollection" or not isinstance(source.get("features"), list):
            raise TableError("the GeoJSON is no FeatureCollection with a list of features")
        try:
            return "the GeoJSON", geopandas.GeoDataFrame.from_features(source["features"], crs=WGS84)
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            raise TableError(f"the GeoJSON cannot be read ({problem})") from None
    if not isinstance(source, str | Path):
        raise TableError(
            f"polygons come from a file, a GeoDataFrame or GeoJSON as a mapping, not {type(source).__name__}"
        )
    path = Path(source)
    if not path_exists(path):
        raise FileError(f"no file {str(source)!r}{nearby_files(str(path))}")
    try:
        elsewhere = any(map(_POINTER.search, _heads(path)))
    except OSError as problem:
        raise FileError(f"cannot read {str(problem.filename or path)!r}: {problem.strerror}") from None
    if elsewhere:
        raise FileError(
            f"{str(source)!r} has no polygons in it, but says where others are (GDAL's VRT or WFS); give that file"
        )
    try:
        return path.name, geopandas.read_file(path)
    except Exception as problem:  # noqa: BLE001  # whatever the drivers raise on foreign bytes
        detail = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise FileError(f"{str(source)!r} cannot be read as a file of polygons ({detail})") from None


# Documents that GDAL would follow, whatever their name, to any file of the reader's or into the network.
_POINTER = re.compile(rb"<\s*(?:OGR(?:VRT|WFS)|VRTDataset|GDAL_W)", re.IGNORECASE)
_HEAD = 65_536
_MAX_FILES = 1_000  # in a folder: a geodatabase of every layer of a country has some hundreds


def _heads(path: Path) -> Iterator[bytes]:
    """Beginnings of a file, of every file directly in a folder, as GDAL reads it, of every member of an archive.

    Raises
    ------
    FileError : neither a file nor a folder, an empty file, or a folder of something else
    """
    if not path.is_file() and not path.is_dir():
        raise FileError(f"{str(path)!r} is a device or a pipe, not a file of polygons")
    if path.is_file() and not path.stat().st_size:  # or a kernel's, which may wait for ever: /proc/kmsg
        raise FileError(f"{str(path)!r} is empty")
    files = [path] if path.is_file() else list(itertools.islice(path.iterdir(), _MAX_FILES + 1))
    if len(files) > _MAX_FILES:
        raise FileError(f"the folder {str(path)!r} has over {_MAX_FILES:,} files; name the one with the polygons")
    for file in files:
        if not file.is_file() or not file.stat().st_size:
            continue
        with file.open("rb") as opened:
            yield opened.read(_HEAD)
        if zipfile.is_zipfile(file):
            with suppress(zipfile.BadZipFile, NotImplementedError, RuntimeError), zipfile.ZipFile(file) as archive:
                for member in archive.namelist():
                    with archive.open(member) as opened:
                        yield opened.read(_HEAD)


def _located(name: str, frame: Any, crs: object) -> Any:
    """The frame with a known CRS, whose coordinates are on the Earth."""
    import geopandas
    from pyproj.exceptions import CRSError

    if not isinstance(frame, geopandas.GeoDataFrame) or frame.active_geometry_name is None:
        raise TableError(f"{name} is a table without polygons; give a file of polygons, such as GeoJSON")
    if not len(frame):
        raise TableError(f"{name} has no polygons: it is empty")
    if crs is not None:
        try:
            frame = frame.set_crs(crs, allow_override=True)
        except CRSError:
            raise TableError(f"crs {crs!r} is no coordinate reference system; write it like {WGS84}") from None
    if frame.crs is None:
        raise TableError(
            f"{name} does not say which coordinates it has (no CRS); say it: crs={WGS84!r} (--crs {WGS84}) for "
            f"longitude and latitude"
        )
    if frame.crs.is_geocentric or not (frame.crs.is_geographic or frame.crs.is_projected):
        raise TableError(
            f"{name} has coordinates ({frame.crs.name}) that are no map's; say what they are with crs= (--crs "
            f"{WGS84} for longitude and latitude)"
        )
    west, south, east, north = frame.total_bounds
    if frame.crs.is_geographic and (min(west, south) < -361 or east > 361 or max(abs(south), abs(north)) > 90.1):
        raise TableError(
            f"{name} has coordinates such as {west:,.0f} and {south:,.0f}, which are no degrees of longitude and "
            f"latitude; say what they are with crs= (--crs EPSG:25833 for UTM zone 33)"
        )
    _check_on_earth(name, frame)
    return frame


def _check_on_earth(name: str, frame: Any) -> None:
    """Raise for coordinates without a longitude and latitude on the Earth."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    west, south, east, north = frame.total_bounds
    if not np.isfinite([west, south, east, north]).all():  # nothing but empty geometries
        return
    try:
        found = Transformer.from_crs(frame.crs, WGS84, always_xy=True).transform([west, east], [south, north])
        there = bool(np.isfinite(found).all(axis=0).any())
    except ProjError:
        there = False
    if not there:
        raise TableError(
            f"{name} has coordinates ({frame.crs.name}) such as {west:,.6g} and {south:,.6g}, which are no place "
            f"on the Earth; say what they are with crs= (--crs {WGS84} for longitude and latitude)"
        )


def polygons_in(shape: Any) -> list[Any]:
    """Polygons within a geometry of any type."""
    if shape is None or shape.is_empty:
        return []
    if shape.geom_type == "Polygon":
        return [shape]
    return [part for one in getattr(shape, "geoms", ()) for part in polygons_in(one)]

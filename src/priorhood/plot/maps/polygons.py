"""Polygons from any source that geopandas reads, with a known CRS and valid outlines."""

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
from priorhood._text import argument, join_words
from priorhood.data.sources.duckdb_io import nearby_files
from priorhood.errors import FileError, ModelError, TableError

WGS84 = "EPSG:4326"  # longitude and latitude: GeoJSON's, by its standard (RFC 7946)


def read_polygons(source: object, crs: object) -> tuple[str, Any, int]:
    """Return the name of the source, for messages, its frame of MultiPolygons, and the number of repaired outlines.

    Raises
    ------
    FileError, TableError, ModelError : see areas.read_areas
    """
    name, raw = _open(source)
    import shapely

    frame = _check_location(name, raw, crs)
    shapes = frame.geometry.to_numpy()
    present = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    broken = present & ~shapely.is_valid(shapes)
    # Valid outlines are not changed, so that neighbours still share their borders.
    shapes = np.where(broken, shapely.make_valid(shapes), shapes)
    kinds = sorted({shape.geom_type for shape in shapes[present]})
    shapes = np.array([shapely.MultiPolygon(polygons_in(shape)) for shape in shapes], dtype=object)
    kept = ~shapely.is_empty(shapes)
    if not kept.any():
        raise TableError(f"{name} has no polygons, only {join_words(kinds) or 'empty geometries'}")
    return name, frame.set_geometry(shapes, crs=frame.crs)[kept], int((broken & kept).sum())


def _open(source: object) -> tuple[str, Any]:
    """Return the name of the source, for messages, and its frame."""
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
            raise TableError("the GeoJSON is not a FeatureCollection with a list of features")
        try:
            return "the GeoJSON", geopandas.GeoDataFrame.from_features(source["features"], crs=WGS84)
        except (AttributeError, KeyError, TypeError, ValueError) as problem:
            raise TableError(f"the GeoJSON cannot be read ({problem})") from None
    if not isinstance(source, str | Path):
        raise TableError(
            f"polygons must be a file, a GeoDataFrame or GeoJSON as a mapping, not {type(source).__name__}"
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
            f"{str(source)!r} contains no polygons, only a reference to another source (GDAL VRT or WFS); pass "
            f"that file"
        )
    try:
        return path.name, geopandas.read_file(path)
    except Exception as problem:  # noqa: BLE001  # drivers raise anything on unexpected bytes
        detail = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise FileError(f"{str(source)!r} cannot be read as a file of polygons ({detail})") from None


# Documents whose references GDAL would follow, regardless of their name, to any file or into the network.
_POINTER = re.compile(rb"<\s*(?:OGR(?:VRT|WFS)|VRTDataset|GDAL_W)", re.IGNORECASE)
_HEAD = 65_536
_MAX_FILES = 1_000  # in a folder: a geodatabase with all layers of a country has some hundreds


def _heads(path: Path) -> Iterator[bytes]:
    """Yield the beginning of a file, of every file directly in a folder, and of every member of an archive.

    Raises
    ------
    FileError : neither a file nor a folder; an empty file; a folder of too many files
    """
    if not path.is_file() and not path.is_dir():
        raise FileError(f"{str(path)!r} is a device or a pipe, not a file of polygons")
    if (
        path.is_file() and not path.stat().st_size
    ):  # or a file of the kernel that may block forever, such as /proc/kmsg
        raise FileError(f"{str(path)!r} is empty")
    files = [path] if path.is_file() else list(itertools.islice(path.iterdir(), _MAX_FILES + 1))
    if len(files) > _MAX_FILES:
        raise FileError(f"the folder {str(path)!r} has over {_MAX_FILES:,} files; pass the one with the polygons")
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


def _check_location(name: str, frame: Any, crs: object) -> Any:
    """Return the frame with a known CRS, after checking that its coordinates are on the Earth."""
    import geopandas
    from pyproj import Transformer
    from pyproj.exceptions import CRSError, ProjError

    if not isinstance(frame, geopandas.GeoDataFrame) or frame.active_geometry_name is None:
        raise TableError(f"{name} is a table without polygons; pass a file of polygons, such as GeoJSON")
    if not len(frame):
        raise TableError(f"{name} has no polygons: it is empty")
    if crs is not None:
        try:
            frame = frame.set_crs(crs, allow_override=True)
        except CRSError:
            raise TableError(f"crs {crs!r} is not a coordinate reference system; write it like {WGS84}") from None
    degrees = f"{argument('crs', WGS84)} for longitude and latitude"
    if frame.crs is None:
        raise TableError(f"{name} does not state its coordinate reference system (no CRS); set {degrees}")
    if frame.crs.is_geocentric or not (frame.crs.is_geographic or frame.crs.is_projected):
        raise TableError(f"{name}: its CRS ({frame.crs.name}) is not a map projection; set {degrees}")
    west, south, east, north = frame.total_bounds
    if frame.crs.is_geographic and (min(west, south) < -361 or east > 361 or max(abs(south), abs(north)) > 90.1):
        raise TableError(
            f"{name} has coordinates such as {west:,.0f} and {south:,.0f}, which are not degrees of longitude and "
            f"latitude; set {argument('crs', 'EPSG:25833')} for UTM zone 33"
        )
    if np.isfinite([west, south, east, north]).all():  # or there are only empty geometries
        try:
            corners = Transformer.from_crs(frame.crs, WGS84, always_xy=True).transform([west, east], [south, north])
            on_earth = bool(np.isfinite(corners).all(axis=0).any())
        except ProjError:
            on_earth = False
        if not on_earth:
            raise TableError(
                f"{name} has coordinates ({frame.crs.name}) such as {west:,.6g} and {south:,.6g}, which are not on "
                f"the Earth; set {degrees}"
            )
    return frame


def polygons_in(shape: Any) -> list[Any]:
    """Return the polygons within a geometry of any type."""
    if shape is None or shape.is_empty:
        return []
    if shape.geom_type == "Polygon":
        return [shape]
    return [polygon for part in getattr(shape, "geoms", ()) for polygon in polygons_in(part)]

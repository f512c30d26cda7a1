"""Polygons for simulated ZIP codes: a city that is nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.choices import check_seed, whole
from priorhood.simulate import zip_codes

if TYPE_CHECKING:
    from priorhood._arrays import Array

# Degrees, about the point 0° N, 0° E in the sea, where a degree is as long in both directions.
RADIUS = 0.18
RELAXED = 12  # rounds of Lloyd's algorithm: cells of similar, not of equal size
BORDER = 256  # points of the outline
MOST_AREAS = 20_000  # whose cells are found in a minute or so


def simulate_areas(places: int = 219, seed: int = 2412) -> dict[str, Any]:
    """Polygons for the ZIP codes of simulate(places): GeoJSON, property `zip`.

    Voronoi cells of random points in a rounded outline, denser towards the middle. The simulated prices know
    nothing of them: the ZIP codes of neighbours are no more alike than others. The place of a ZIP code depends on
    `places` and `seed` alone.

    Returns
    -------
    mapping that json.dump writes, and that read_areas and plot.map take

    Raises
    ------
    ModelError : no place, or more than a map shows
    """
    whole("places", places, 1, MOST_AREAS)
    rng = np.random.default_rng([check_seed(seed), places])
    outline = _outline(rng)
    points = _inside(rng, outline, places)
    for _ in range(RELAXED):
        points = np.array([_centroid(cell) for cell in _cells(points, outline)])
    # Neighbours have neighbouring codes, roughly, as round a clock.
    order = np.argsort(np.arctan2(points[:, 1], points[:, 0]), kind="stable")
    cells = _cells(points[order], outline)
    features = [
        {
            "type": "Feature",
            "properties": {"zip": code},
            "geometry": {"type": "Polygon", "coordinates": [_ring(cell)]},
        }
        for code, cell in zip(zip_codes(places), cells, strict=True)
    ]
    return {"type": "FeatureCollection", "features": features}


def _outline(rng: np.random.Generator) -> Array:
    """A closed smooth curve (BORDER, 2), anticlockwise, wider than high."""
    angle = np.linspace(0, 2 * np.pi, BORDER, endpoint=False)
    radius = np.ones(BORDER)
    for wave in range(2, 6):
        size, phase = rng.uniform(0.02, 0.07), rng.uniform(0, 2 * np.pi)
        radius += size * np.cos(wave * angle + phase)
    return np.asarray(RADIUS * radius[:, None] * np.stack([np.cos(angle), 0.8 * np.sin(angle)], axis=1))


def _inside(rng: np.random.Generator, outline: Array, places: int) -> Array:
    """Random points within the outline, denser towards the middle."""
    at = rng.integers(BORDER, size=places)
    return np.asarray(outline[at] * rng.uniform(0.01, 0.95, size=(places, 1)) ** 0.7)


def _cells(points: Array, outline: Array) -> list[Array]:
    """The Voronoi cell of every point: the outline, cut by the lines half way to its neighbours."""
    from scipy.spatial import Voronoi

    far = 50 * RADIUS * np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])
    diagram = Voronoi(np.concatenate([points, far]))
    neighbours: list[list[int]] = [[] for _ in range(len(points) + 4)]
    for one, other in diagram.ridge_points.tolist():
        neighbours[one].append(other)
        neighbours[other].append(one)
    everyone = np.concatenate([points, far])
    return [_cut(outline, points[at], everyone[neighbours[at]]) for at in range(len(points))]


def _cut(shape: Array, own: Array, others: Array) -> Array:
    """What of a polygon is nearer to `own` than to any of the others (Sutherland & Hodgman)."""
    for other in others:
        side = (shape - (own + other) / 2) @ (other - own)
        step, beyond = np.roll(shape, -1, axis=0) - shape, np.roll(side, -1)
        crosses = side * beyond < 0
        share = np.divide(side, side - beyond, out=np.zeros_like(side), where=crosses)
        # Every corner, then where its edge crosses the line.
        both = np.stack([shape, shape + share[:, None] * step], axis=1)
        shape = both[np.stack([side <= 0, crosses], axis=1)]
    return shape


def _centroid(cell: Array) -> Array:
    """Of a polygon's area."""
    following = np.roll(cell, -1, axis=0)
    cross = cell[:, 0] * following[:, 1] - following[:, 0] * cell[:, 1]
    return np.asarray(((cell + following) * cross[:, None]).sum(axis=0) / (3 * cross.sum()))


def _ring(cell: Array) -> list[list[float]]:
    """A closed ring, to about a decimetre."""
    points = cell.round(6).tolist()
    return [*points, points[0]]

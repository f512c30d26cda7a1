"""Polygons of simulated places: a partition of one outline, the same for one seed, sales unchanged."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest

import priorhood as ph
from priorhood import datasets

shapely = pytest.importorskip("shapely")


def polygons(found):
    return np.array([shapely.geometry.shape(feature["geometry"]) for feature in found["features"]])


@pytest.mark.parametrize("places", [1, 2, 3, 12, 219])
def test_cells_fill_the_outline_without_overlap(places):
    found = ph.simulate_areas(places)
    _, truth = ph.simulate(places, 7500)
    assert [feature["properties"]["zip"] for feature in found["features"]] == truth.zip.tolist()
    shapes = polygons(found)
    assert shapely.is_valid(shapes).all()
    outline = shapely.Polygon(datasets._outline(np.random.default_rng([2412, places])))
    assert shapely.area(shapes).sum() == pytest.approx(outline.area, rel=1e-4)
    assert shapely.union_all(shapes).area == pytest.approx(outline.area, rel=1e-4)
    assert shapely.area(shapes).min() > 0.1 * shapely.area(shapes).mean()


def test_cells_are_nearest_to_their_points():
    """The obvious way: which of the points is nearest."""
    rng = np.random.default_rng(1)
    outline = datasets._outline(rng)
    points = outline[rng.integers(len(outline), size=20)] * rng.uniform(0.01, 0.95, size=(20, 1))
    shapes = [shapely.Polygon(cell) for cell in datasets._voronoi_cells(points, outline)]
    whole = shapely.Polygon(outline)
    tried = 0
    for x, y in rng.uniform(-0.2, 0.2, size=(600, 2)):
        if not whole.contains(shapely.Point(x, y)):
            continue
        nearest = int(((points - (x, y)) ** 2).sum(axis=1).argmin())
        assert shapes[nearest].buffer(1e-9).contains(shapely.Point(x, y))
        tried += 1
    assert tried > 200


def test_seeds():
    assert json.dumps(ph.simulate_areas(12)) == json.dumps(ph.simulate_areas(12))
    assert ph.simulate_areas(12, 1) != ph.simulate_areas(12, 2)
    with pytest.raises(ph.ModelError, match="places must be a whole number of at least 1, not 0"):
        ph.simulate_areas(0)


def test_sales_are_what_they_were_before_there_were_polygons():
    frame, truth = ph.simulate(12, 300, seed=5)
    text = frame.to_csv(index=False) + repr(truth.beta.round(6).tolist())
    assert hashlib.sha256(text.encode()).hexdigest() == SALES


# Of the version before.
SALES = "0c8ef1df0f334ddd7b2a2d9aab53b126ee96d941d0d3fdf3c95d6d7e95f85b40"

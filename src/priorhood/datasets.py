"""Simulated sales with known parameters, in ZIP codes most of which have few sales, and polygons for a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_seed, check_whole, suggest_argument_names
from priorhood.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

    from priorhood._arrays import Array, Labels

# The range of Berlin's 219 ZIP codes with sales; the simulated codes are spread over it.
FIRST_ZIP, LAST_ZIP = 10115, 14199
MAX_ROWS = 150  # rows of the largest place, roughly
MAX_SIMULATED = 20_000_000  # rows or places of a frame in memory


@dataclass(frozen=True)
class Truth:
    """The parameters of simulated sales, in € and €/m²; intercepts are the price of a home of mean_size m².

    Attributes
    ----------
    mu : array (2,)
        Intercept and slope of the average ZIP code.
    tau : array (2,)
        Standard deviations of intercept and slope between ZIP codes.
    rho : float
        Correlation of intercept and slope.
    sigma : float
        Residual sd.
    mean_size : float
        Living space in m² at which the intercept is the price.
    zip : array (J,) of str
        The ZIP codes.
    beta : array (J, 2)
        Intercept and slope of every ZIP code.
    """

    mu: Array
    tau: Array
    rho: float
    sigma: float
    mean_size: float
    zip: Labels
    beta: Array


@suggest_argument_names
def simulate(places: int = 219, rows: int = 7500, seed: int = 2412) -> tuple[pd.DataFrame, Truth]:
    """Simulate sales of homes.

    price = β₀[zip] + β₁[zip] (living_space − 82) + ε,  ε ~ Normal(0, sigma)

    The number of sales per ZIP code follows a gamma distribution and is at least 1: for 219 places and 7,500
    rows it ranges from 1 to about 150.

    Parameters
    ----------
    places, rows : int
        Number of ZIP codes and of sales.
    seed : int
        Seed of the random number generator.

    Returns
    -------
    frame : pandas.DataFrame
        Columns zip, living_space (m²) and price (€).
    truth : Truth
        The parameters.

    Raises
    ------
    ModelError
        No place, or fewer rows than places.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, truth = ph.datasets.simulate(places=3, rows=100)
    >>> sales.shape, list(sales.columns), truth.beta.shape
    ((100, 3), ['zip', 'living_space', 'price'], (3, 2))
    """
    import pandas as pd

    check_whole("places", places, 1, MAX_SIMULATED)
    if check_whole("rows", rows, 1, MAX_SIMULATED) < places:
        raise ModelError(f"every place needs at least one row: {rows} rows are too few for {places} places")
    rng = np.random.default_rng(check_seed(seed))
    # Rows per place: at least 1, at most about MAX_ROWS unless the mean is high.
    weight = rng.gamma(1.1, size=places)
    limit = max(MAX_ROWS, 3 * rows // places)
    weight = np.minimum(weight / weight.sum(), (limit - 1) / rows)
    counts = 1 + np.floor((rows - places) * weight / weight.sum()).astype(np.int64)
    for _ in range(rows - int(counts.sum())):
        open_places = np.flatnonzero(counts < limit)
        counts[rng.choice(open_places if len(open_places) else places)] += 1
    mu, tau, rho = np.array([390_000.0, 4_000.0]), np.array([50_000.0, 550.0]), 0.6
    z = rng.standard_normal((places, 2))
    z[:, 1] = rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]
    truth = Truth(mu, tau, rho, 40_000.0, 82.0, np.array(zip_codes(places), dtype=str), mu + tau * z)
    place = rng.permutation(np.repeat(np.arange(places), counts))
    # Log-normal living space, clipped to between a small flat and a large house.
    size = np.clip(np.exp(rng.normal(np.log(76.0), 0.42, rows)), 30.0, 420.0).round(1)
    mean = truth.beta[place, 0] + truth.beta[place, 1] * (size - truth.mean_size)
    price = np.round(mean + rng.normal(0.0, truth.sigma, rows), -2)
    frame = pd.DataFrame({"zip": truth.zip[place], "living_space": size, "price": price})
    return frame, truth


def zip_codes(places: int) -> list[str]:
    """Return the labels of simulated ZIP codes."""
    span = LAST_ZIP - FIRST_ZIP + 1
    codes = FIRST_ZIP + np.arange(places) * span // places if places <= span else np.arange(places)
    return [f"{code:05d}" for code in codes]


# In degrees, around 0° N, 0° E, in the sea, where a degree is equally long in both directions.
RADIUS = 0.18
LLOYD_STEPS = 12  # steps of Lloyd's algorithm: cells become similar, not equal, in size
OUTLINE_POINTS = 256
MAX_AREAS = 20_000  # takes about a minute


@suggest_argument_names
def simulate_areas(places: int = 219, seed: int = 2412) -> dict[str, Any]:
    """Simulate polygons for the ZIP codes of simulate(places): GeoJSON with the property `zip`.

    They are Voronoi cells of random points in a rounded outline, denser towards the middle. The simulated prices
    do not depend on them: neighbouring ZIP codes are no more similar than others. The position of a ZIP code
    depends only on `places` and `seed`.

    Parameters
    ----------
    places : int
        Number of ZIP codes.
    seed : int
        Seed of the random number generator.

    Returns
    -------
    dict
        GeoJSON, as json.dump can write it and plot.map reads it.

    Raises
    ------
    ModelError
        No place, or more places than a map can show.

    Examples
    --------
    >>> import priorhood as ph
    >>> areas = ph.datasets.simulate_areas(places=3)
    >>> [area["properties"]["zip"] for area in areas["features"]]
    ['10115', '11476', '12838']
    """
    check_whole("places", places, 1, MAX_AREAS)
    rng = np.random.default_rng([check_seed(seed), places])
    outline = _outline(rng)
    directions = rng.integers(OUTLINE_POINTS, size=places)
    points = np.asarray(outline[directions] * rng.uniform(0.01, 0.95, size=(places, 1)) ** 0.7)
    for _ in range(LLOYD_STEPS):
        centroids = []
        for cell in _voronoi_cells(points, outline):
            following = np.roll(cell, -1, axis=0)
            cross = cell[:, 0] * following[:, 1] - following[:, 0] * cell[:, 1]
            centroids.append(((cell + following) * cross[:, None]).sum(axis=0) / (3 * cross.sum()))
        points = np.array(centroids)
    # Codes follow the angle, so that neighbours roughly have neighbouring codes.
    order = np.argsort(np.arctan2(points[:, 1], points[:, 0]), kind="stable")
    features = []
    for code, cell in zip(zip_codes(places), _voronoi_cells(points[order], outline), strict=True):
        ring = cell.round(6).tolist()  # to about a decimetre
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        features.append({"type": "Feature", "properties": {"zip": code}, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def _outline(rng: np.random.Generator) -> Array:
    """Return a closed smooth curve (OUTLINE_POINTS, 2), anticlockwise, wider than high."""
    angle = np.linspace(0, 2 * np.pi, OUTLINE_POINTS, endpoint=False)
    radius = np.ones(OUTLINE_POINTS)
    for wave in range(2, 6):
        size, phase = rng.uniform(0.02, 0.07), rng.uniform(0, 2 * np.pi)
        radius += size * np.cos(wave * angle + phase)
    return np.asarray(RADIUS * radius[:, None] * np.stack([np.cos(angle), 0.8 * np.sin(angle)], axis=1))


def _voronoi_cells(points: Array, outline: Array) -> list[Array]:
    """Return the Voronoi cell of every point: the outline, cut halfway to each of its neighbours."""
    from scipy.spatial import Voronoi

    # Four far points bound the cells of all others.
    sites = np.concatenate([points, 50 * RADIUS * np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])])
    neighbours: list[list[int]] = [[] for _ in sites]
    for first, second in Voronoi(sites).ridge_points.tolist():
        neighbours[first].append(second)
        neighbours[second].append(first)
    cells = []
    for point, near in zip(points, neighbours, strict=False):
        cell = outline
        for other in sites[near]:  # Sutherland & Hodgman's clipping
            side = (cell - (point + other) / 2) @ (other - point)
            step, next_side = np.roll(cell, -1, axis=0) - cell, np.roll(side, -1)
            crosses = side * next_side < 0
            share = np.divide(side, side - next_side, out=np.zeros_like(side), where=crosses)
            # Every corner, followed by the point where its edge crosses the line.
            both = np.stack([cell, cell + share[:, None] * step], axis=1)
            cell = both[np.stack([side <= 0, crosses], axis=1)]
        cells.append(cell)
    return cells

"""Simulated sales with a known truth, in ZIP codes like Berlin's with few sales in most; and polygons for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import check_seed, check_whole, suggest_argument_names
from priorhood.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

    from priorhood._arrays import Array, Labels

# Berlin's 219 ZIP codes with sales lie in this range; the simulated ones are spread over it.
FIRST_ZIP, LAST_ZIP = 10115, 14199
MAX_ROWS = 150
# Rows, and places, of a frame in memory.
MAX_SIMULATED = 20_000_000


@dataclass(frozen=True)
class Truth:
    """The parameters of simulated sales, in € and €/m², for a home of mean_size m².

    mu : (2,) price of an average home, € per m²; tau : (2,), rho : spread and correlation between ZIP codes
    sigma : residual sd; beta : (J, 2) intercept and slope of every ZIP code in `zip`
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

    The ZIP codes' sizes follow a gamma distribution: counts from 1 to about 150 for 219 places and
    7,500 rows, each place at least one row.

    Parameters
    ----------
    places, rows : int
        number of ZIP codes and of sales
    seed : int
        of the random numbers

    Returns
    -------
    frame : pandas.DataFrame
        columns zip, living_space (m²), price (€)
    truth : Truth
        the parameters

    Raises
    ------
    ModelError : no place, or fewer rows than places

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
        raise ModelError(f"needed: at least 1 place and a row for each, not {places} places and {rows} rows")
    rng = np.random.default_rng(check_seed(seed))
    # Rows of every place: at least 1, the most about MAX_ROWS where the mean allows it.
    weight = rng.gamma(1.1, size=places)
    most = max(MAX_ROWS, 3 * rows // places)
    weight = np.minimum(weight / weight.sum(), (most - 1) / rows)
    counts = 1 + np.floor((rows - places) * weight / weight.sum()).astype(np.int64)
    for _ in range(rows - int(counts.sum())):
        open_places = np.flatnonzero(counts < most)
        counts[rng.choice(open_places if len(open_places) else places)] += 1
    mu, tau, rho = np.array([390_000.0, 4_000.0]), np.array([50_000.0, 550.0]), 0.6
    z = rng.standard_normal((places, 2))
    z[:, 1] = rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]
    truth = Truth(mu, tau, rho, 40_000.0, 82.0, np.array(zip_codes(places), dtype=str), mu + tau * z)
    place = rng.permutation(np.repeat(np.arange(places), counts))
    # A log-normal of homes' sizes, kept between a small flat and a large house.
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


# Degrees, around the point 0° N, 0° E in the sea, where a degree is as long in both directions.
RADIUS = 0.18
RELAXED = 12  # rounds of Lloyd's algorithm: cells of similar, not of equal size
BORDER = 256  # points of the outline
MAX_AREAS = 20_000  # their cells take a minute or so


@suggest_argument_names
def simulate_areas(places: int = 219, seed: int = 2412) -> dict[str, Any]:
    """Simulate polygons for the ZIP codes of simulate(places): GeoJSON with the property `zip`.

    They are Voronoi cells of random points in a rounded outline, denser towards the middle. The simulated prices
    do not depend on them: neighbouring ZIP codes are no more alike than others. The place of a ZIP code depends
    only on `places` and `seed`.

    Parameters
    ----------
    places : int
        number of ZIP codes
    seed : int
        of the random numbers

    Returns
    -------
    dict
        GeoJSON that json.dump writes, and that read_areas and plot.map take

    Raises
    ------
    ModelError : no place, or more than a map shows

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
    within = rng.integers(BORDER, size=places)
    points = np.asarray(outline[within] * rng.uniform(0.01, 0.95, size=(places, 1)) ** 0.7)
    for _ in range(RELAXED):
        points = np.array([_centroid(cell) for cell in _cells(points, outline)])
    # Neighbours have neighbouring codes, roughly, as round a clock.
    order = np.argsort(np.arctan2(points[:, 1], points[:, 0]), kind="stable")
    features = []
    for code, cell in zip(zip_codes(places), _cells(points[order], outline), strict=True):
        ring = cell.round(6).tolist()  # to about a decimetre, and closed
        geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
        features.append({"type": "Feature", "properties": {"zip": code}, "geometry": geometry})
    return {"type": "FeatureCollection", "features": features}


def _outline(rng: np.random.Generator) -> Array:
    """A closed smooth curve (BORDER, 2), anticlockwise, wider than high."""
    angle = np.linspace(0, 2 * np.pi, BORDER, endpoint=False)
    radius = np.ones(BORDER)
    for wave in range(2, 6):
        size, phase = rng.uniform(0.02, 0.07), rng.uniform(0, 2 * np.pi)
        radius += size * np.cos(wave * angle + phase)
    return np.asarray(RADIUS * radius[:, None] * np.stack([np.cos(angle), 0.8 * np.sin(angle)], axis=1))


def _cells(points: Array, outline: Array) -> list[Array]:
    """The Voronoi cell of every point: the outline, cut by the lines half way to its neighbours."""
    from scipy.spatial import Voronoi

    everyone = np.concatenate([points, 50 * RADIUS * np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])])
    neighbours: list[list[int]] = [[] for _ in everyone]
    for one, other in Voronoi(everyone).ridge_points.tolist():
        neighbours[one].append(other)
        neighbours[other].append(one)
    return [_cut(outline, points[at], everyone[neighbours[at]]) for at in range(len(points))]


def _cut(shape: Array, own: Array, others: Array) -> Array:
    """The part of a polygon nearer to `own` than to any of the others (Sutherland & Hodgman)."""
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
    """The centroid of a polygon's area."""
    following = np.roll(cell, -1, axis=0)
    cross = cell[:, 0] * following[:, 1] - following[:, 0] * cell[:, 1]
    return np.asarray(((cell + following) * cross[:, None]).sum(axis=0) / (3 * cross.sum()))

"""Sales with a known truth: Berlin-like ZIP codes, few sales in most of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.choices import check_seed, whole
from priorhood.errors import ModelError

if TYPE_CHECKING:
    import pandas as pd

    from priorhood._arrays import Array, Index, Labels

# Berlin's 219 ZIP codes with sales lie in this range; the simulated ones are spread over it.
FIRST_ZIP, LAST_ZIP = 10115, 14199
MOST_ROWS = 150
# Rows, and places: what a frame in memory does for.
MOST_SIMULATED = 20_000_000


@dataclass(frozen=True)
class Truth:
    """The parameters behind simulated sales, in € and €/m², for a home of mean_size m².

    mu (2,): price of an average home, € per m²; tau (2,), rho: spread and correlation between ZIP codes
    sigma : noise; beta (J, 2) of every ZIP code in `zip`
    """

    mu: Array
    tau: Array
    rho: float
    sigma: float
    mean_size: float
    zip: Labels
    beta: Array


def simulate(places: int = 219, rows: int = 7500, seed: int = 2412) -> tuple[pd.DataFrame, Truth]:
    """Simulated sales: columns zip, living_space (m²), price (€), and the truth behind them.

    price = β₀[zip] + β₁[zip] (living_space − 82) + ε,  ε ~ Normal(0, sigma)

    The ZIP codes' sizes follow a gamma distribution: counts from 1 to about 150 for 219 places and
    7,500 rows, each place at least one row.
    """
    import pandas as pd

    whole("places", places, 1, MOST_SIMULATED)
    if whole("rows", rows, 1, MOST_SIMULATED) < places:
        raise ModelError(f"needed: at least 1 place and a row for each, not {places} places and {rows} rows")
    rng = np.random.default_rng(check_seed(seed))
    counts = _counts(places, rows, rng)
    truth = _truth(places, rng)
    place = rng.permutation(np.repeat(np.arange(places), counts))
    # A log-normal of homes' sizes, kept between a small flat and a large house.
    size = np.clip(np.exp(rng.normal(np.log(76.0), 0.42, rows)), 30.0, 420.0).round(1)
    mean = truth.beta[place, 0] + truth.beta[place, 1] * (size - truth.mean_size)
    price = np.round(mean + rng.normal(0.0, truth.sigma, rows), -2)
    frame = pd.DataFrame({"zip": truth.zip[place], "living_space": size, "price": price})
    return frame, truth


def _counts(places: int, rows: int, rng: np.random.Generator) -> Index:
    """Rows of every place: at least 1, the most about MOST_ROWS where the mean allows it."""
    weight = rng.gamma(1.1, size=places)
    most = max(MOST_ROWS, 3 * rows // places)
    weight = np.minimum(weight / weight.sum(), (most - 1) / rows)
    counts = 1 + np.floor((rows - places) * weight / weight.sum()).astype(np.int64)
    for _ in range(rows - int(counts.sum())):
        open_places = np.flatnonzero(counts < most)
        counts[rng.choice(open_places if len(open_places) else places)] += 1
    return np.asarray(counts, dtype=np.int64)


def _truth(places: int, rng: np.random.Generator) -> Truth:
    mu, tau, rho = np.array([390_000.0, 4_000.0]), np.array([50_000.0, 550.0]), 0.6
    z = rng.standard_normal((places, 2))
    z[:, 1] = rho * z[:, 0] + np.sqrt(1 - rho**2) * z[:, 1]
    labels: Any = zip_codes(places)
    return Truth(mu, tau, rho, 40_000.0, 82.0, np.array(labels), mu + tau * z)


def zip_codes(places: int) -> list[str]:
    """The labels of so many simulated ZIP codes."""
    span = LAST_ZIP - FIRST_ZIP + 1
    codes = FIRST_ZIP + np.arange(places) * span // places if places <= span else np.arange(places)
    return [f"{code:05d}" for code in codes]

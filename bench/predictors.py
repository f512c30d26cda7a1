"""Many predictors: 5,000 rows in 200 places, an intercept and one slope that vary by place."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

import priorhood as ph
from bench.case import Measurement
from bench.clock import repeat

if TYPE_CHECKING:
    from bench.case import Effort

AGAIN = "python -m bench --only predictors"
ROWS, PLACES = 5_000, 200
# Predictors, and the seconds that their sums and fit may take.
TARGETS = {20: None, 50: None, 100: 3.0, 200: 10.0}


def table(predictors: int) -> tuple[str, pd.DataFrame]:
    """Independent predictors, each with a coefficient of its own."""
    rng = np.random.default_rng(predictors)
    names = [f"x{i}" for i in range(predictors)]
    x, place = rng.normal(size=(ROWS, predictors)), rng.integers(0, PLACES, ROWS)
    own = rng.normal(size=(PLACES, 2)) * [1.0, 0.3]
    y = 10 + x @ rng.normal(size=predictors) + own[place, 0] + own[place, 1] * x[:, 0] + rng.normal(size=ROWS)
    return f"y ~ {' + '.join(names)} + (x0 | g)", pd.DataFrame(x, columns=names).assign(y=y, g=place.astype(str))


def _once(formula: str, frame: pd.DataFrame, at: int) -> None:
    ph.fit(formula, frame, seed=1000 + at)


def measure(effort: Effort) -> list[Measurement]:
    """Whole fits, from a frame in memory to 4 × 1000 labelled draws, each with another seed."""
    found = []
    for predictors, target in TARGETS.items():
        seconds = repeat(partial(_once, *table(predictors)), max(2, effort.fits // 6), warm_up=1)
        told = f"pandas frame → 4 × 1000 draws, {predictors} predictors, {ROWS:,} rows, {PLACES} places"
        found.append(Measurement(f"fit {predictors} predictors", told, "s", seconds, AGAIN, target=target))
    return found

"""Nested and crossed groupings: the sales' 219 ZIP codes in 12 districts in 3 cities, and across 6 types."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import priorhood as ph
from bench.case import CORRELATED, Measurement, sales
from bench.clock import repeat

if TYPE_CHECKING:
    from bench.case import Effort

AGAIN = "python -m bench --only groupings"
FORMULAS = {
    "one level, correlated": CORRELATED,
    "ZIPs in 12 districts in 3 cities, correlated": "price ~ living_space + (living_space | city/district/zip)",
    "ZIPs, correlated, crossed with 6 types": CORRELATED + " + (1 | type)",
}


def _once(formula: str, frame: Any, at: int) -> None:
    ph.fit(formula, frame, seed=1000 + at)


def towns() -> Any:
    """The sales with districts, cities and types that differ."""
    rng = np.random.default_rng(1)
    frame = sales()
    code = frame.zip.astype(int) % 12
    kind = rng.integers(0, 6, len(frame))
    far = 8e4 * rng.normal(size=3)[code % 3] + 6e4 * rng.normal(size=12)[code] + 4e4 * rng.normal(size=6)[kind]
    names = {"district": code, "city": code % 3, "type": kind}
    return frame.assign(price=frame.price + far, **{name: values.astype(str) for name, values in names.items()})


def measure(effort: Effort) -> list[Measurement]:
    """Whole fits, from a frame in memory to 4 × 1000 labelled draws, each with another seed."""
    frame = towns()
    found = []
    for what, formula in FORMULAS.items():
        seconds = repeat(partial(_once, formula, frame), effort.fits, warm_up=3)
        told = f"pandas frame → 4 × 1000 draws, {what}"
        found.append(Measurement(f"fit {what}", told, "s", seconds, AGAIN))
    return found

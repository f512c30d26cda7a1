"""Rows that count differently: eight schools, whose errors are known, and the sales with weights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

import priorhood as ph
from bench.case import CORRELATED, Measurement, sales
from bench.clock import repeat

if TYPE_CHECKING:
    from bench.case import Effort

AGAIN = "python -m bench --only weights"
# Rubin 1981.
SCHOOLS = pd.DataFrame(
    {"school": [*"ABCDEFGH"], "effect": [28, 8, -3, 7, -1, 1, 18, 12], "se": [15, 10, 16, 11, 9, 11, 10, 18]}
)
EIGHT = ph.Model(
    "effect ~ 1 + (1 | school)",
    ["mu ~ Normal(0, 5)", "tau ~ HalfCauchy(5)"],
    se="se",
    standardize=False,
    outcome_unit=1,
)


def _once(model: ph.Model, frame: Any, at: int) -> None:
    ph.fit(model, frame, seed=1000 + at)


def measure(effort: Effort) -> list[Measurement]:
    """Whole fits, from a frame in memory to 4 × 1000 labelled draws, each with another seed."""
    rng = np.random.default_rng(1)
    frame = sales()
    frame = frame.assign(w=10.0 ** rng.uniform(-1, 1, len(frame)), n=rng.integers(1, 10, len(frame)))
    jobs = {
        "eight schools, known errors": (EIGHT, SCHOOLS),
        "precision weights, correlated": (ph.Model(CORRELATED, precision_weights="w"), frame),
        "frequency weights, correlated": (ph.Model(CORRELATED, frequency_weights="n"), frame),
    }
    found = []
    for what, (model, rows) in jobs.items():
        seconds = repeat(partial(_once, model, rows), effort.fits, warm_up=3)
        told = f"pandas frame → 4 × 1000 draws, {what}"
        found.append(Measurement(f"fit {what}", told, "s", seconds, AGAIN, target=0.10))
    return found

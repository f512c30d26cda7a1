"""Predictive draws of every row: 7,500 rows × 4,000 posterior draws."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import priorhood as ph
from bench.case import CORRELATED, Measurement, sales
from bench.clock import repeat

if TYPE_CHECKING:
    from bench.case import Effort

AGAIN = "python -m bench --only predictive"
VARIANTS: dict[str, dict[str, Any]] = {
    "draws": {"log_likelihood": False},
    "draws and log-likelihood": {},
    "draws and log-likelihood, float32": {"dtype": "float32"},
}


def _once(post: ph.Posterior, frame: Any, options: dict[str, Any], at: int) -> None:
    ph.posterior_predictive(post, frame, seed=abs(at), **options)


def measure(effort: Effort) -> list[Measurement]:
    """posterior_predictive of the benchmark's own rows, from the exact engine's posterior."""
    frame = sales()
    post = ph.fit(CORRELATED, frame, seed=1)
    found = []
    for what, options in VARIANTS.items():
        seconds = repeat(partial(_once, post, frame, options), effort.fits // 3)
        told = f"posterior_predictive, 7,500 rows × 4,000 draws, {what}"
        found.append(Measurement(f"predictive {what}", told, "s", seconds, AGAIN, target=2.0))
    return found

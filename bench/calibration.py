"""Calibration of the demo's model on the demo's design: 500 refits."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import priorhood as ph
from bench.case import CORRELATED, Measurement, sales
from bench.clock import repeat

if TYPE_CHECKING:
    from bench.case import Effort

REFITS = 500


def _once(frame: Any, at: int) -> None:
    ph.calibrate(CORRELATED, frame, refits=REFITS, seed=abs(at))


def measure(effort: Effort) -> list[Measurement]:
    """ph.calibrate with all cores, from rows in memory to verdicts."""
    seconds = repeat(partial(_once, sales()), max(1, effort.fits // 10))
    told = f"calibrate, {REFITS} refits, 219 ZIP codes, correlated"
    return [Measurement("calibrate", told, "s", seconds, "python -m bench --only calibrate", target=120.0)]

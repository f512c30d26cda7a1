"""PyMC's own sampler, NUTS, on the centred model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.contenders import peers

if TYPE_CHECKING:
    import pandas as pd

    from bench.case import Effort, Reference, Result

NAME = "pymc"
MODULES = ("pymc",)


def unavailable() -> str | None:
    """Why it cannot be run here."""
    python, reason = peers.interpreter(MODULES)
    return None if python else reason


def run(model: str, frame: pd.DataFrame, reference: Reference, effort: Effort) -> Result:
    """Build, compile and sample in processes of their own."""
    return peers.run(NAME, MODULES, model, frame, reference, effort)

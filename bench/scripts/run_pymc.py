"""PyMC's own NUTS, of whichever version is installed here."""

from __future__ import annotations

from typing import Any

import protocol
import pymc as pm
from regression import build, collect


def fit(rows: protocol.Rows, asked: protocol.Asked, seed: int) -> Any:
    """Build, compile and sample."""
    with build(rows, correlated=asked["model"] == "correlated"):
        return pm.sample(
            asked["draws"], tune=asked["tune"], chains=asked["chains"], cores=asked["cores"], random_seed=seed,
            nuts_sampler="pymc", progressbar=False, compute_convergence_checks=False,
        )  # fmt: skip


if __name__ == "__main__":
    protocol.run(fit, collect, {"PyMC": pm.__version__})

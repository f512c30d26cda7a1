"""nutpie, the fastest NUTS for PyMC models on a processor."""

from __future__ import annotations

from typing import Any

import nutpie
import protocol
import pymc as pm
from regression import build, collect


def fit(rows: protocol.Rows, asked: protocol.Asked, seed: int) -> Any:
    """Build, compile with numba and sample."""
    compiled = nutpie.compile_pymc_model(build(rows, correlated=asked["model"] == "correlated"))
    return nutpie.sample(
        compiled, draws=asked["draws"], tune=asked["tune"], chains=asked["chains"], cores=asked["cores"],
        seed=seed, progress_bar=False, save_warmup=False,
    )  # fmt: skip


if __name__ == "__main__":
    protocol.run(fit, collect, {"nutpie": nutpie.__version__, "PyMC": pm.__version__})

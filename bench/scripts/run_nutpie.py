"""Time nutpie on the benchmark's model; see regression.main for the arguments."""

from __future__ import annotations

import time
from typing import Any

import nutpie
import pymc as pm
from regression import main


def sample(model: Any, chains: int, draws: int, tune: int, cores: int, seed: int) -> tuple[float, float, Any]:
    """Compile with numba, then sample."""
    started = time.perf_counter()
    compiled = nutpie.compile_pymc_model(model)
    ready = time.perf_counter()
    tree = nutpie.sample(
        compiled,
        draws=draws,
        tune=tune,
        chains=chains,
        cores=cores,
        seed=seed,
        progress_bar=False,
        save_warmup=False,
    )
    return ready - started, time.perf_counter() - ready, tree


if __name__ == "__main__":
    main(sample, {"nutpie": nutpie.__version__, "PyMC": pm.__version__})

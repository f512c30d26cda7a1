"""Time PyMC's own NUTS on the benchmark's model; see regression.main for the arguments."""

from __future__ import annotations

import time
from typing import Any

import pymc as pm
from regression import main


def sample(model: Any, chains: int, draws: int, tune: int, cores: int, seed: int) -> tuple[float, float, Any]:
    """Let PyMC compile and sample in one call; it says how much of the time was sampling."""
    started = time.perf_counter()
    with model:
        tree = pm.sample(
            draws,
            tune=tune,
            chains=chains,
            cores=cores,
            random_seed=seed,
            nuts_sampler="pymc",
            progressbar=False,
            compute_convergence_checks=False,
        )
    total = time.perf_counter() - started
    sampling = float(tree["posterior"].attrs["sampling_time"])
    return total - sampling, sampling, tree


if __name__ == "__main__":
    main(sample, {"PyMC": pm.__version__})

"""The benchmark's model for PyMC, with priorhood's default priors; and the loop that times a sampler.

Centred: most places of the benchmark have many rows, and NUTS then mixes better than in the non-centred form,
which reached a least bulk ESS of 31 to 137 on the same data.

Runs in the contender's own interpreter: only PyMC and NumPy are imported, nothing of this package.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pymc as pm

PARAMETERS = ("mu", "tau", "sigma", "beta", "omega")

# (model, chains, draws, tune, cores, seed) → seconds to compile, seconds to sample, DataTree
Sampler = Callable[[Any, int, int, int, int, int], tuple[float, float, Any]]


def build(zip_code: np.ndarray, x: np.ndarray, y: np.ndarray, *, correlated: bool) -> pm.Model:
    """The model y ~ Normal(beta[zip] · (1, x), sigma), beta ~ Normal(mu, spread) for every ZIP code."""
    groups = int(zip_code.max()) + 1
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, np.array([20.0, 5.0]), shape=2)
        if correlated:
            spread, corr, sds = pm.LKJCholeskyCov("chol", eta=2.0, n=2, sd_dist=pm.Exponential.dist(scale=5.0))
            pm.Deterministic("tau", sds)
            pm.Deterministic("omega", corr)
            beta = pm.MvNormal("beta", mu, chol=spread, shape=(groups, 2))
        else:
            tau = pm.Exponential("tau", scale=5.0, shape=2)
            beta = pm.Normal("beta", mu, tau, shape=(groups, 2))
        sigma = pm.Exponential("sigma", scale=5.0)
        pm.Normal("y", beta[zip_code, 0] + beta[zip_code, 1] * x, sigma, observed=y)
    return model


def main(sampler: Sampler, versions: dict[str, str]) -> None:
    """Read the data, build, compile and sample several times; draws go to a file, times to stdout as JSON."""
    parser = argparse.ArgumentParser()
    for name in ("data", "out"):
        parser.add_argument(name)
    for name in ("--centre", "--spread", "--unit"):
        parser.add_argument(name, type=float, required=True)
    for name in ("--chains", "--draws", "--tune", "--cores", "--repeats", "--seed"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--correlated", action="store_true")
    given = parser.parse_args()
    rows = pd.read_csv(given.data, dtype={"zip": str})
    codes = np.unique(rows["zip"].to_numpy(str), return_inverse=True)[1]
    x = (rows["living_space"].to_numpy(float) - given.centre) / given.spread
    y = rows["price"].to_numpy(float) / given.unit
    runs: list[dict[str, float]] = []
    draws: list[dict[str, np.ndarray]] = []
    for repeat in range(given.repeats):
        started = time.perf_counter()
        model = build(codes, x, y, correlated=given.correlated)
        built = time.perf_counter() - started
        compiling, sampling, tree = sampler(
            model, given.chains, given.draws, given.tune, given.cores, given.seed + repeat
        )
        posterior = tree["posterior"]
        draws.append({name: np.asarray(posterior[name]) for name in PARAMETERS if name in posterior})
        runs.append(
            {"compile_s": built + compiling, "sample_s": sampling, "total_s": time.perf_counter() - started}
        )
    np.savez(given.out, **{f"{name}__{at}": values for at, d in enumerate(draws) for name, values in d.items()})
    print(json.dumps({"runs": runs, "versions": versions}))

"""The benchmark's model by PyMC's own NUTS, of whichever version is installed here, or by nutpie.

Centred: most places of the benchmark have many rows, and NUTS then mixes better than in the non-centred form,
which reached a smallest bulk ESS of 31 to 137 on data like these.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import protocol
import pymc as pm

NUTPIE = protocol.asked()["contender"] == "nutpie"
if NUTPIE:
    import nutpie


def build(rows: protocol.Rows, *, correlated: bool) -> pm.Model:
    """The model y ~ Normal(beta[g] · (1, x), sigma), beta ~ Normal(mu, spread), with priorhood's default priors."""
    groups = len(rows.labels)
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, np.array([20.0, 5.0]), shape=2)
        if correlated:
            spread, corr, sds = pm.LKJCholeskyCov("chol", eta=2.0, n=2, sd_dist=pm.Exponential.dist(scale=5.0))
            pm.Deterministic("tau", sds)
            pm.Deterministic("omega", corr[1, 0])
            beta = pm.MvNormal("beta", mu, chol=spread, shape=(groups, 2))
        else:
            tau = pm.Exponential("tau", scale=5.0, shape=2)
            beta = pm.Normal("beta", mu, tau, shape=(groups, 2))
        sigma = pm.Exponential("sigma", scale=5.0)
        pm.Normal("y", beta[rows.codes, 0] + beta[rows.codes, 1] * rows.x, sigma, observed=rows.y)
    return model


def fit(rows: protocol.Rows, asked: protocol.Asked, seed: int) -> Any:
    """Build, compile and sample."""
    model = build(rows, correlated=asked["model"] == "correlated")
    amount = {name: asked[name] for name in ("draws", "tune", "chains", "cores")}
    if NUTPIE:
        compiled = nutpie.compile_pymc_model(model)
        return nutpie.sample(compiled, **amount, seed=seed, progress_bar=False, save_warmup=False)
    with model:
        return pm.sample(
            **amount, random_seed=seed, nuts_sampler="pymc", progressbar=False, compute_convergence_checks=False
        )


def collect(tree: Any, rows: protocol.Rows, asked: protocol.Asked) -> protocol.Parameters:
    """The draws of the population and of the places asked for."""
    posterior = tree["posterior"]
    names = ("mu", "tau", "sigma", *(["omega"] if asked["model"] == "correlated" else []))
    draws = {name: np.asarray(posterior[name]) for name in names}
    return draws | {"beta": np.asarray(posterior["beta"])[:, :, rows.places]}


if __name__ == "__main__":
    own = {"nutpie": nutpie.__version__} if NUTPIE else {}
    protocol.run(fit, collect, {**own, "PyMC": pm.__version__})

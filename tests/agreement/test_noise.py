"""A residual sd for every place: exact and NUTS, the same posterior within Monte Carlo error.

NUTS takes the whole model where places have rows enough. Where they have one or two it does not converge, and the
judge is a PyMC model written here from the rows, with the places' coefficients integrated out by dense Normals.
"""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
import pytest

import priorhood as ph
from agreement.compare import Z, disagreements, z_scores

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::priorhood.PriorhoodWarning")]

FORMULA = "y ~ x + (x || g)"
PRIORS = {
    "alike": ["sigma_median ~ HalfNormal(2)", "sigma_spread ~ HalfNormal(1)", "tau ~ HalfNormal(1)"],
    "independent": ["sigma ~ Exponential(2)", "tau ~ HalfNormal(1)"],
}


def table(counts, seed, apart=0.5):
    """Rows of places whose sds are e^±apart apart."""
    rng = np.random.default_rng(seed)
    J = len(counts)
    group = np.repeat(np.arange(J), counts)
    x = rng.normal(size=len(group))
    effect = rng.normal(size=(J, 2)) * [1.0, 0.5]
    sigma = 0.6 * np.exp(apart * rng.standard_normal(J))
    y = 2 + x + effect[group, 0] + effect[group, 1] * x + sigma[group] * rng.normal(size=len(group))
    return {"g": [f"g{i:02}" for i in group], "x": x, "y": y}


def model(prior):
    return ph.Model(FORMULA, PRIORS[prior], noise="g", outcome_unit=1)


@cache
def exact(prior, counts, seed):
    post = ph.fit(model(prior), table(counts, seed), seed=1, draws=5000)
    assert post.attrs["engine"] == "exact"
    assert post.summary()["ess_bulk"].min() > 10_000
    return post


@pytest.mark.parametrize("parameterization", ["centered", "noncentered"])
@pytest.mark.parametrize("prior", PRIORS)
def test_places_with_many_rows(prior, parameterization):
    counts, seed = (15,) * 12, 3
    nuts = ph.fit(
        model(prior), table(counts, seed), seed=2412, draws=5000, engine="nuts", target_accept=0.95,
        parameterization=parameterization,
    )  # fmt: skip
    assert disagreements(exact(prior, counts, seed), nuts) == []


def marginalized(prior, rows):
    """A PyMC model of mu, tau and the places' sigma; every place's rows are one dense Normal."""
    import pymc as pm
    import pytensor.tensor as pt

    x = np.array(rows["x"])
    x = (x - x.mean()) / x.std()
    y, g = np.array(rows["y"]), np.array(rows["g"])
    labels = sorted(set(rows["g"]))
    with pm.Model() as built:
        mu = pm.Normal("mu", [0.0, 0.0], [20.0, 5.0], shape=2)
        tau = pm.HalfNormal("tau", 1.0, shape=2)
        if prior == "alike":
            median, spread = pm.HalfNormal("sigma_median", 2.0), pm.HalfNormal("sigma_spread", 1.0)
            z = pm.Normal("z", shape=len(labels))
            sigma = pm.Deterministic("sigma", median * pt.exp(spread * z))
        else:
            sigma = pm.Exponential("sigma", scale=2.0, shape=len(labels))
        for j, label in enumerate(labels):
            X = np.column_stack([np.ones((g == label).sum()), x[g == label]])
            cov = (X * tau**2) @ X.T + sigma[j] ** 2 * np.eye(len(X))
            pm.MvNormal(f"y{j}", X @ mu, cov, observed=y[g == label])
    return built


@pytest.mark.parametrize("prior", PRIORS)
def test_places_with_few_rows(prior):
    counts, seed = (1, 1, 2, 2, 3, 3, 4, 6, 9), 5
    import pymc as pm

    with warnings.catch_warnings(), marginalized(prior, table(counts, seed)):
        warnings.simplefilter("ignore")
        trace = pm.sample(
            10_000, tune=3000, chains=4, cores=2, random_seed=1, target_accept=0.99, progressbar=False,
            compute_convergence_checks=False,
        )  # fmt: skip
    post = exact(prior, counts, seed)
    found = trace["posterior"]
    for name in ("mu", "tau", "sigma", "sigma_median", "sigma_spread"):
        if name not in post.parameters:
            continue
        mine, theirs = (
            np.log(d.reshape(*d.shape[:2], -1)) if name != "mu" else d.reshape(*d.shape[:2], -1)
            for d in (post[name].values, np.asarray(found[name]))
        )
        for what, z in z_scores(mine, theirs).items():
            assert np.abs(z).max() < Z, (name, what, z)

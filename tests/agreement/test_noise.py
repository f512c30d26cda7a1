"""A residual sd for every place: exact and NUTS, the same posterior within Monte Carlo error.

NUTS takes the whole model where places have rows enough. Where they have one or two it does not converge, and the
judge is a PyMC model written here from the rows, with the places' coefficients integrated out, which is compared
with one dense Normal itself.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import priorhood as ph
from agreement.compare import Z, disagreements, z_scores
from oracle import dense

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::priorhood.PriorhoodWarning")]

FORMULA = "y ~ x + (x || g)"
FEW = (1, 1, 2, 2, 3, 3, 4, 6, 9)
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


def arrays(rows):
    """The outcome, the standardized predictor and the place's number of every row."""
    x = np.array(rows["x"])
    return np.array(rows["y"]), (x - x.mean()) / x.std(), np.unique(rows["g"], return_inverse=True)[1]


def marginalized(prior, rows):
    """A PyMC model of mu, tau and the places' sigma; the places' coefficients are integrated out.

    A place's rows are one Normal(X mu, V), V = X diag(tau²) Xᵀ + σ² I. Its inverse and determinant are written
    out for two coefficients, all places at once: a dense Normal for every place takes an hour.
    """
    import pymc as pm
    import pytensor.tensor as pt

    y, x, g = arrays(rows)
    member = (np.arange(g.max() + 1)[:, None] == g).astype(float)
    n, sx, sxx = (member @ column for column in (np.ones_like(x), x, x**2))
    with pm.Model() as built:
        mu = pm.Normal("mu", [0.0, 0.0], [20.0, 5.0], shape=2)
        tau = pm.HalfNormal("tau", 1.0, shape=2)
        if prior == "alike":
            median, spread = pm.HalfNormal("sigma_median", 2.0), pm.HalfNormal("sigma_spread", 1.0)
            z = pm.Normal("z", shape=len(n))
            sigma = pm.Deterministic("sigma", median * pt.exp(spread * z))
        else:
            sigma = pm.Exponential("sigma", scale=2.0, shape=len(n))
        (a, b), v = (tau[0] ** 2, tau[1] ** 2), sigma**2
        r = y - mu[0] - mu[1] * x
        rr, r1, rx = (pt.sum(member * column, axis=1) for column in (r**2, r, x * r))
        det = (v + a * n) * (v + b * sxx) - a * b * sx**2  # of V, but for vⁿ⁻²
        explained = (a * (v + b * sxx) * r1**2 + b * (v + a * n) * rx**2 - 2 * a * b * sx * r1 * rx) / det
        deviance = n * np.log(2 * np.pi) + (n - 2) * pt.log(v) + pt.log(det) + (rr - explained) / v
        pm.Potential("rows", -pt.sum(deviance) / 2)
    return built


def test_the_judge_of_few_rows_is_right():
    """Its log density of the rows is that of one dense Normal, in decimals of 60 digits."""
    rows, rng, J = table(FEW, 5), np.random.default_rng(1), len(FEW)
    y, x, g = arrays(rows)
    X, own = np.column_stack([np.ones_like(x), x]), np.eye(2 * J).reshape(J, 2, 2 * J)
    built = marginalized("independent", rows)
    judged = built.compile_logp(built.potentials)
    for _ in range(50):
        mu, tau, sigma = rng.normal(0, 5, 2), *(np.exp(rng.normal(-0.5, 1, size)) for size in (2, J))
        found = judged({"mu": mu, "tau_log__": np.log(tau), "sigma_log__": np.log(sigma)})
        want = dense.log_density(y, X, g, own, None, np.diag(np.tile(tau**2, J)), mu, sigma[g])
        assert found == pytest.approx(want, rel=1e-8)


@pytest.mark.parametrize("prior", PRIORS)
def test_places_with_few_rows(prior):
    import nutpie

    built = marginalized(prior, table(FEW, 5))
    trace = nutpie.sample(
        nutpie.compile_pymc_model(built), draws=10_000, tune=3000, chains=4, cores=2, seed=1, target_accept=0.99,
        progress_bar=False,
    )  # fmt: skip
    post = exact(prior, FEW, 5)
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

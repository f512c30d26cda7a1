"""Known standard errors from the rows to the saved file: the evidence in the data's units, update, merge."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

import priorhood as ph

Z = 4.5
TEXT = "y ~ x + (1 | g)"
PRIORS = {"mu[Intercept]": ph.Normal(0, 3), "mu[x]": ph.Normal(0, 2), "tau": ph.HalfNormal(1.5)}


@pytest.fixture(scope="module")
def estimates():
    rng = np.random.default_rng(14)
    n = 30
    g = np.arange(n) % 7
    x = rng.normal(50, 10, n)
    se = rng.uniform(400, 4000, n)
    y = 5000 + 80 * (x - 50) + 1500 * rng.normal(size=7)[g] + se * rng.normal(size=n)
    return pd.DataFrame({"g": [f"g{i}" for i in g], "x": x, "y": y, "error": se})


def model(unit, **options):
    return ph.Model(TEXT, PRIORS, se="error", outcome_unit=unit, **options)


def raw_log_evidence(frame, unit):
    """log p(y) of the outcome as it is, every row's covariance written out; τ integrated by quadrature."""
    w = 1 / frame["error"].to_numpy() ** 2
    x = frame["x"].to_numpy()
    centre = np.average(x, weights=w)
    z = (x - centre) / np.sqrt(np.average((x - centre) ** 2, weights=w))
    X = np.column_stack([np.ones(len(x)), z])
    same = (frame["g"].to_numpy()[:, None] == frame["g"].to_numpy()).astype(float)
    fixed = X @ np.diag([(3 * unit) ** 2, (2 * unit) ** 2]) @ X.T + np.diag(1 / w)

    def log_likelihood(tau):
        return stats.multivariate_normal.logpdf(frame["y"], np.zeros(len(x)), fixed + (tau * unit) ** 2 * same)

    top = max(log_likelihood(tau) for tau in np.linspace(0, 6, 60))
    total, _ = integrate.quad(
        lambda tau: np.exp(log_likelihood(tau) - top) * stats.halfnorm.pdf(tau, scale=1.5), 0, 12, epsabs=1e-10
    )
    return top + np.log(total)


@pytest.mark.parametrize("unit", [1000.0, 2500.0])
def test_evidence_is_that_of_the_outcome_as_it_is(estimates, unit):
    post = ph.fit(model(unit), estimates, seed=1)
    assert post.parameters == ["mu", "beta", "tau"]
    error = post.attrs["log_evidence_error"]
    assert error < 0.01
    assert post.log_evidence == pytest.approx(raw_log_evidence(estimates, unit), abs=Z * error + 1e-6)


def test_a_unit_is_only_a_unit(estimates):
    """The same model in another unit: the same posterior in the data's units.

    The proposals' grid does not follow the unit, so that chains part; 0.1 sds are some four errors of 4,000 draws'
    means and sds together.
    """
    one = ph.fit(model(1000.0), estimates, seed=1)
    scaled = {
        "mu[Intercept]": ph.Normal(0, 30), "mu[x]": ph.Normal(0, 20), "tau": ph.HalfNormal(15),
    }  # fmt: skip
    other = ph.fit(ph.Model(TEXT, scaled, se="error", outcome_unit=100.0), estimates, seed=1)
    error = np.hypot(one.attrs["log_evidence_error"], other.attrs["log_evidence_error"])
    assert other.log_evidence == pytest.approx(one.log_evidence, abs=Z * error + 1e-6)
    for name in ("mu", "beta", "tau"):
        draws = [post.natural(name).values for post in (one, other)]
        (mean, sd), (again, spread) = ((d.mean(axis=(0, 1)), d.std(axis=(0, 1))) for d in draws)
        assert (np.abs(again - mean) < 0.1 * sd).all()
        assert (np.abs(spread / sd - 1) < 0.1).all()


def test_equal_errors_are_a_known_sigma(estimates):
    """se = 2,000 in every row, and sigma ~ Fixed(2) in units of 1,000."""
    frame = estimates.assign(error=2000.0)
    known = ph.fit(ph.Model(TEXT, {**PRIORS, "sigma": ph.Fixed(2)}, outcome_unit=1000.0), frame, seed=1)
    post = ph.fit(model(1000.0), frame, seed=1)
    assert post.log_evidence == pytest.approx(known.log_evidence, abs=1e-6)
    np.testing.assert_allclose(post["beta"].values, known["beta"].values, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(known["sigma"], 2.0)


def test_saved_updated_and_merged(estimates, tmp_path):
    how = {"draws": 100, "seed": 2}
    whole = ph.fit(model(1000.0), estimates, **how)
    whole.save(tmp_path / "whole.nc")
    back = ph.load(tmp_path / "whole.nc")
    np.testing.assert_array_equal(back.moments.weight, whole.moments.weight)
    assert back.moments.log_weight == whole.moments.log_weight
    np.testing.assert_array_equal(ph.refit(back, **how)["mu"], whole["mu"])
    first = np.arange(30) % 3 > 0
    begun = ph.fit(model(1000.0), estimates[first], **how)
    rest = ph.fit(model(1000.0), estimates[~first], **how)
    for other in (ph.update(begun, estimates[~first], **how), ph.merge(begun, rest, **how)):
        assert other.log_evidence == pytest.approx(whole.log_evidence, abs=1e-6)
        np.testing.assert_allclose(other["beta"].values, whole["beta"].values, rtol=1e-6, atol=1e-6)


def test_a_file_without_weights_has_none(estimates, tmp_path):
    post = ph.fit(TEXT, estimates, draws=50, seed=2)
    post.save(tmp_path / "plain.nc")
    back = ph.load(tmp_path / "plain.nc")
    assert back.moments.weight is None
    assert back.moments.log_weight == 0.0
    assert "weight" not in back.tree["moments"].to_dataset()
    assert "log_weight" not in back.tree["moments"].attrs


def test_estimates_that_agree_by_chance(estimates):
    """As many rows as coefficients, on their line: no scatter, but the errors say how well it is known."""
    frame = pd.DataFrame({"x": [0.0, 1.0], "y": [3.0, 5.0], "error": [0.5, 1.5]})
    wide = {"mu": ph.Normal(0, 1e4)}
    post = ph.fit(ph.Model("y ~ x", wide, se="error", standardize=False, outcome_unit=1), frame, seed=3)
    mu = post["mu"].values.reshape(-1, 2)
    sd = np.array([0.5, np.hypot(0.5, 1.5)])
    assert (np.abs(mu.mean(axis=0) - [3.0, 2.0]) < 5 * sd / np.sqrt(len(mu))).all()
    assert (np.abs(mu.std(axis=0) / sd - 1) < 5 / np.sqrt(2 * len(mu))).all()
    grouped = pd.DataFrame({"g": list("abc"), "y": [4.0, 4.0, 4.0 + 1e-9], "error": [1.0, 2.0, 3.0]})
    some = ph.fit(ph.Model("y ~ 1 + (1 | g)", se="error", outcome_unit=1), grouped, seed=3)
    assert 3.5 < float(some["mu"].mean()) < 4.5

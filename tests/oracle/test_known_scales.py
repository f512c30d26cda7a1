"""Known spreads and residual sds over 24 orders of magnitude: the dense Gaussian's posterior, or a reason."""

from __future__ import annotations

import re
from decimal import Decimal, localcontext

import numpy as np
import pandas as pd
import pytest

import priorhood as ph

SIZES = 10.0 ** np.arange(-12, 13, 4)
TAUS = (1e-12, 1.0, 1e6, 1e12)
FORMULAS = {
    "one level": "y ~ x + (1 | g)",
    "slopes": "y ~ x + (x || g)",
    "nested": "y ~ x + (1 | c/g)",
    "crossed": "y ~ x + (1 | g) + (1 | t)",
    "known errors": "y ~ x + (1 | g)",
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    g = np.arange(30) % 6
    x = rng.normal(size=30)
    y = 1 + 0.5 * x + rng.normal(size=6)[g] + 0.7 * rng.normal(size=30)
    return pd.DataFrame(
        {
            "g": [f"g{i}" for i in g],
            "c": [f"c{i // 3}" for i in g],
            "t": [f"t{i}" for i in rng.integers(0, 3, 30)],
            "x": x,
            "y": y,
        }
    )


def dense(rows, kind, sigma, tau):
    """Mean and sd of the population's coefficients and log p(y), in 120 digits."""
    parts = [np.ones((30, 1)), rows[["x"]].to_numpy(), pd.get_dummies(rows["g"], dtype=float).to_numpy()]
    variances = [1e2, 1e2] + [float(tau) ** 2] * 6
    if kind == "slopes":
        parts.append(parts[2] * parts[1])
    if kind in ("nested", "crossed"):
        parts.append(pd.get_dummies(rows["c" if kind == "nested" else "t"], dtype=float).to_numpy())
    R = np.concatenate(parts, axis=1)
    variances += [float(tau) ** 2] * (R.shape[1] - len(variances))
    with localcontext() as context:
        context.prec = 120
        number = np.vectorize(lambda value: Decimal(float(value)), otypes=[object])
        gain = number(R) * number(variances)
        V = gain @ number(R).T
        L = np.full((30, 30), Decimal(0), dtype=object)
        right = np.concatenate([gain[:, :2], number(rows[["y"]])], axis=1)
        for i in range(30):
            V[i, i] += Decimal(float(sigma)) ** 2
            for j in range(i):
                L[i, j] = (V[i, j] - L[i, :j] @ L[j, :j]) / L[j, j]
            L[i, i] = (V[i, i] - L[i, :i] @ L[i, :i]).sqrt()
            right[i] = (right[i] - L[i, :i] @ right[:i]) / L[i, i]
        mean = right[:, :2].T @ right[:, 2]
        variance = number([1e2, 1e2]) - (right[:, :2] ** 2).sum(axis=0)
        height = -sum(L[i, i].ln() for i in range(30)) - (right[:, 2] ** 2).sum() / 2
        return mean.astype(float), np.sqrt(variance.astype(float)), float(height) - 15 * np.log(2 * np.pi)


@pytest.mark.filterwarnings("ignore:.* the scatter of the rows")  # of scales that are far from it
@pytest.mark.parametrize("kind", FORMULAS)
def test_known_scales_give_the_dense_posterior_or_a_reason(rows, kind):
    fitted, refused = [], []
    for sigma in SIZES:
        for tau in TAUS:
            priors = {"mu": ph.Normal(0, 10), "tau": ph.Fixed(tau)}
            priors |= {} if kind == "known errors" else {"sigma": ph.Fixed(sigma)}
            how = {"se": "se"} if kind == "known errors" else {}
            model = ph.Model(FORMULAS[kind], priors, standardize=False, outcome_unit=1.0, **how)
            reason = ""
            try:
                post = ph.fit(model, rows.assign(se=sigma), seed=1, draws=500)
            except ph.PriorhoodError as problem:
                reason = str(problem)
            if reason:
                what = "known errors" if kind == "known errors" else f"sigma ~ Fixed(value={sigma:.15g})"
                told = what if sigma <= 1e-8 else f"tau ~ Fixed(value={tau:.15g})"
                assert told in reason, (sigma, tau)
                refused.append((sigma, tau))
                continue
            mean, sd, height = dense(rows, kind, sigma, tau)
            mu = post["mu"].values.reshape(-1, 2)
            assert post.attrs["engine"] == "exact"
            assert (np.abs(mu.mean(axis=0) - mean) < 5 * sd / np.sqrt(len(mu))).all(), (sigma, tau)
            np.testing.assert_allclose(mu.std(axis=0), sd, rtol=0.08, err_msg=f"{sigma} {tau}")
            assert post.log_evidence == pytest.approx(height, rel=1e-12, abs=0.005), (sigma, tau)
            fitted.append((sigma, tau))
    near = {(sigma, tau) for sigma in SIZES if sigma >= 1e-4 for tau in TAUS if tau <= 1 or tau / sigma <= 1e4}
    assert near <= set(fitted)
    assert {(sigma, tau) for sigma in SIZES if sigma <= 1e-8 for tau in TAUS} <= set(refused)


def test_a_known_spread_leaves_room_for_a_sigma_that_is_learned(rows):
    told = r"^tau ~ Fixed\(value=1000000000000\) .* for example with tau ~ Exponential"
    with pytest.raises(ph.SamplingError, match=told):
        ph.fit(ph.Model(FORMULAS["nested"], ["tau ~ Fixed(1e12)"]), rows, seed=1)
    post = ph.fit(ph.Model(FORMULAS["nested"], ["tau ~ Exponential(1)"]), rows, seed=1)
    assert post.attrs["engine"] == "exact"


@pytest.mark.parametrize("median", [1e-12, 1e-6])
def test_known_sigma_of_all_places_far_below_the_rows(rows, median):
    priors = {"sigma_median": ph.Fixed(median), "sigma_spread": ph.Fixed(1e-6)}
    with pytest.raises(ph.ModelError, match=r"^sigma_median ~ Fixed\(.* with sigma_spread ~ Fixed\("):
        ph.fit(ph.Model(FORMULAS["one level"], priors, noise="g"), rows, seed=1)


@pytest.mark.parametrize("prior", ["sigma ~ Fixed(1e-8)", "sigma ~ Uniform(0, 1e-8)"])
def test_advice_on_a_sigma_that_is_lost_works(rows, prior):
    with pytest.raises(ph.ModelError) as caught:
        ph.fit(ph.Model(FORMULAS["one level"], [prior]), rows, seed=1)
    text = str(caught.value)
    assert "smaller than the scatter of the rows around a single line, 1 on the standardized scale" in text
    advice = "sigma ~ " + re.findall(r"(?:Exponential|Uniform)\(.*?\)", text)[-1]
    assert ph.fit(ph.Model(FORMULAS["one level"], [advice]), rows, seed=1).attrs["engine"] == "exact"

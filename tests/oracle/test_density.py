"""The predictive density of a row, against scipy's densities draw by draw; its integral and share below."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import priorhood as ph
from priorhood.prediction.coefficients import coefficients_of
from priorhood.prediction.density import predictive_density


@pytest.fixture(scope="module")
def sales():
    frame, _ = ph.simulate(6, 90, seed=8)
    return frame.assign(se=20_000.0)


def density(post, home, at, nu=None, unseen="error"):
    c = coefficients_of(post.tree["posterior"].to_dataset(), post.data)
    c = dataclasses.replace(c, nu=nu)
    return predictive_density(c, post.placed(home), at, unseen, post.seed)


@pytest.mark.parametrize(
    ("formula", "options"),
    [
        ("price ~ living_space + (living_space | zip)", {}),
        ("log(price) ~ log(living_space) + (1 | zip)", {}),
        ("price ~ living_space + (1 | zip)", {"noise": "zip"}),
        ("price ~ living_space + (1 | zip)", {"se": "se"}),
        ("price ~ living_space", {}),
    ],
)
def test_density_integrates_to_one_and_to_predicts_share(sales, formula, options):
    post = ph.fit(ph.Model(formula, **options), sales, chains=2, draws=100, seed=1)
    home = pd.DataFrame({"zip": sales.zip.iloc[:1], "living_space": [90.0], "se": [30_000.0]})
    told = post.predict(home, quantiles=(1e-6, 1 - 1e-6), below=400_000.0)
    at = np.linspace(told["q0.0001"].iloc[0], 400_000.0, 4001)
    beyond = np.linspace(400_000.0, told["q99.9999"].iloc[0], 4001)
    below, above = (np.trapezoid(density(post, home, grid)[0], grid) for grid in (at, beyond))
    assert below == pytest.approx(told["below_400000"].iloc[0], abs=5e-5)
    assert below + above == pytest.approx(1, abs=5e-5)


def test_against_scipy_draw_by_draw(sales):
    post = ph.fit("price ~ living_space + (living_space | zip)", sales, chains=2, draws=50, seed=1)
    home = pd.DataFrame({"zip": sales.zip.iloc[:1], "living_space": [90.0]})
    at = np.linspace(1e5, 8e5, 7)
    m = post.expected(home).values.ravel()
    sigma = post.natural("sigma").values.ravel()
    np.testing.assert_allclose(
        density(post, home, at)[0], stats.norm.pdf(at[:, None], m, sigma).mean(axis=1), rtol=1e-10
    )
    nu = np.linspace(1.5, 30, len(m))
    np.testing.assert_allclose(
        density(post, home, at, nu)[0], stats.t.pdf(at[:, None], nu, m, sigma).mean(axis=1), rtol=1e-10
    )


def test_nothing_below_zero_under_a_log_and_none_where_a_predictor_is_missing(sales):
    post = ph.fit("log(price) ~ living_space + (1 | zip)", sales, chains=2, draws=50, seed=1)
    home = pd.DataFrame({"zip": sales.zip.iloc[[0, 0]].to_list(), "living_space": [90.0, np.nan]})
    found = density(post, home, np.array([-1.0, 0.0, 3e5]))
    assert found[0, :2].tolist() == [0.0, 0.0]
    assert found[0, 2] > 0
    assert np.isnan(found[1]).all()

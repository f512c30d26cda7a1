"""Expected outcomes against xᵀβ written out, and typical homes against the rows' own means."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph


@pytest.fixture(scope="module")
def sales():
    rng = np.random.default_rng(4)
    n = 400
    place = rng.integers(0, 12, n)
    kind = rng.choice(["flat", "house", "loft"], n, p=[0.3, 0.5, 0.2])
    area = rng.uniform(40, 160, n)
    price = 1000.0 * (50 + 3 * area + 20 * (kind == "house") + 15 * np.sin(place) + rng.normal(0, 30, n))
    return pd.DataFrame({"zip": [f"z{p:02d}" for p in place], "kind": kind, "area": area, "price": price})


def test_expected_is_the_line_written_out(sales):
    post = ph.fit("price ~ area + (area | zip)", sales, chains=2, draws=50, seed=1)
    found = post.expected({"zip": ["z03", "z07"], "area": [70.0, 120.0]})
    assert found.dims == ("chain", "draw", "row")
    for row, (zip_, area) in enumerate([("z03", 70.0), ("z07", 120.0)]):
        beta = post["beta"].sel(zip=zip_).values
        x = (area - sales["area"].mean()) / sales["area"].std(ddof=0)
        line = post.scale.unit * (beta[..., 0] + x * beta[..., 1])
        np.testing.assert_allclose(found.values[..., row], line, rtol=1e-10)


@pytest.mark.parametrize("family", ["normal"])
@pytest.mark.parametrize("outcome", ["price", "log(price)"])
def test_its_mean_is_the_predictive_mean_and_its_sd_smaller(sales, outcome, family):
    post = ph.fit(ph.Model(f"{outcome} ~ area + (area | zip)", family=family), sales, chains=2, draws=200, seed=1)
    homes = post.homes({"area": 100})
    found, told = post.expected(homes), post.predict(homes)
    np.testing.assert_allclose(found.mean(("chain", "draw")).values, told["mean"], rtol=1e-9)
    assert (found.std(("chain", "draw")).values < 0.8 * told["sd"]).all()


def test_typical_homes_are_means_and_frequent_categories(sales):
    post = ph.fit("price ~ log(area) + kind + (1 | zip)", sales, chains=1, draws=50, seed=1)
    homes = post.homes()
    assert homes["zip"].tolist() == sorted(sales["zip"].unique())
    np.testing.assert_allclose(homes["area"], np.exp(np.log(sales["area"]).mean()))
    assert set(homes["kind"]) == {"house"}
    assert set(post.homes({"kind": "loft"})["kind"]) == {"loft"}


def test_across_another_grouping_the_average_one_is_taken(sales):
    post = ph.fit("price ~ area + (1 | zip) + (1 | kind)", sales, chains=2, draws=50, seed=1)
    average = post.expected(post.homes({"area": 80}), unseen="population").values
    loft = post.expected(post.homes({"area": 80, "kind": "loft"})).values
    effect = post.scale.unit * post["delta_kind"].sel(kind="loft").values[..., 0]
    np.testing.assert_allclose(loft - average, np.broadcast_to(effect[..., None], loft.shape), atol=1e-6)


def test_known_errors_and_weights_are_not_asked_for(sales):
    noisy = sales.assign(e=30_000.0, w=2.0)
    for options in ({"se": "e"}, {"precision_weights": "w"}):
        post = ph.fit(ph.Model("price ~ area + (1 | zip)", **options), noisy, chains=1, draws=50, seed=1)
        assert np.isfinite(post.expected(post.homes()).values).all()


def test_what_has_no_mean_must_be_said(sales):
    post = ph.fit("price ~ I(area ** 2) + (1 | zip)", sales, chains=1, draws=50, seed=1)
    with pytest.raises(ph.ModelError, match="set at="):
        post.homes()
    np.testing.assert_allclose(post.homes({"area": 90})["area"], 90)
    with pytest.raises(ph.ModelError, match="did you mean 'area'"):
        post.homes({"aera": 90})

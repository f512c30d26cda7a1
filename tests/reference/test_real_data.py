"""The real tables run from their CSV files, and say what simple summaries of them say too."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from shared_data import data_file


def converged(post: ph.Posterior) -> None:
    summary = post.summary()
    assert summary["r_hat"].max() < 1.015
    assert summary["ess_bulk"].min() > 2800
    assert post.attrs["pareto_k"] < 0.5


def test_king_county_in_logs():
    path = data_file("king_county.csv")
    post = ph.fit("log(price) ~ log(sqft_living) + (log(sqft_living) | zipcode)", path, seed=1)
    converged(post)
    frame = pd.read_csv(path, dtype={"zipcode": str})
    assert post.moments.rows == len(frame) == 21_613
    # A ZIP code with hundreds of sales is barely pooled: its own least squares is close.
    for zipcode in ("98103", "98038"):
        part = frame[frame["zipcode"] == zipcode]
        slope = np.polyfit(np.log(part["sqft_living"]), np.log(part["price"]), 1)[0]
        drawn = post.natural("beta").sel(zipcode=zipcode, term="log(sqft_living)")
        assert abs(float(drawn.mean()) - slope) < 2 * float(drawn.std())
    # The dearest ZIP code, Medina, has the highest level.
    level = post.natural("beta").sel(term="Intercept").mean(("chain", "draw"))
    assert str(level.idxmax().values) == "98039"
    # Nine in ten of the prices lie in their 90 % predictive intervals (a log-normal is only nearly right).
    predicted = post.predict(frame.head(4000))
    inside = (predicted["q5"] < predicted["price"]) & (predicted["price"] < predicted["q95"])
    assert 0.86 < inside.mean() < 0.95


def test_king_county_in_levels():
    post = ph.fit("price ~ sqft_living + (sqft_living | zipcode)", data_file("king_county.csv"), seed=1)
    converged(post)
    assert post.scale.unit == 100_000 or post.scale.unit == 1_000_000
    slope = float(post.natural("mu").sel(term="sqft_living").mean())
    assert 200 < slope < 350  # dollars a square foot


def test_king_county_with_population_terms_categories_and_interaction():
    model = "log(price) ~ log(sqft_living) * waterfront + floors + C(condition) + (1 | zipcode)"
    post = ph.fit(model, data_file("king_county.csv"), seed=2)
    converged(post)
    assert "C(condition)" not in "".join(post.design.names)
    assert float(post.natural("mu").sel(term="condition[5]").mean()) > 0


@pytest.mark.parametrize(
    "formula",
    [
        "rent ~ living_space + (living_space | zip)",
        "log(rent) ~ log(living_space) + flattype + (log(living_space) || zip)",
    ],
)
def test_berlin_rents(formula):
    path = data_file("berlin_rents_clean.csv")
    post = ph.fit(formula, path, seed=3, drop_outliers=2.0)
    converged(post)
    assert len(post.moments.n) > 190
    assert post.moments.read == 3570
    assert post.moments.rows + sum(d.rows for d in post.moments.dropped) == 3570
    predicted = post.predict(path, below=800)
    assert len(predicted) == 3570
    assert predicted["status"].isin(["known", "new"]).all()


def test_radon_us_has_coded_missing_values_to_filter():
    path = data_file("radon_us.csv.gz")
    rows = ph.read(path, where="floor < 9")
    post = ph.fit("log_radon ~ floor + (1 | fips)", rows, seed=4)
    converged(post)
    assert next(d.reason for d in post.moments.dropped) == "where condition not met"
    assert post.moments.rows == 12_573 - 284


def test_radon_with_the_uranium_of_counties():
    """Gelman & Hill 2007, section 12.6: uranium from a table of counties of its own."""
    path = data_file("radon_mn.csv")
    houses = pd.read_csv(path, dtype={"fips": str})
    counties = houses.drop_duplicates("fips")[["fips", "log_uppm"]].sample(frac=1, random_state=1)
    formula = "log_radon ~ floor + log_uppm + (1 | fips)"
    post = ph.fit(formula, houses.drop(columns="log_uppm"), places=counties, seed=1)
    converged(post)
    pasted = ph.fit(formula, path, seed=1)
    for name in post.parameters:
        np.testing.assert_allclose(post[name].values, pasted[name].values, rtol=1e-8, atol=1e-8)
    mu = post.natural("mu").mean(("chain", "draw")).values
    intercept = mu[0] - mu[1:] @ post.scale.centre[1:3]
    # Published: 1.47 (0.04), −0.67 (0.07), 0.72 (0.09); sds of counties 0.16, of houses 0.76.
    np.testing.assert_allclose([intercept, *mu[1:]], [1.47, -0.67, 0.72], atol=0.01)
    assert float(post.natural("tau").mean()) == pytest.approx(0.16, abs=0.01)
    assert float(post.natural("sigma").mean()) == pytest.approx(0.76, abs=0.005)

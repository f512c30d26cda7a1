"""Where moments of a price are infinite: what predictions, pictures, the report and the command say then."""

from __future__ import annotations

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import priorhood as ph
from priorhood.cli import app
from priorhood.data.sources.table import read
from priorhood.plot.maps.areas import read_areas
from priorhood.plot.maps.values import map_values
from priorhood.posterior.price_batches import price_moments
from priorhood.prediction.finite_moments import _fit_tail, _upper_bound
from priorhood.prediction.places import Groups
from priorhood.prediction.rows import frame_to_predict, read_rows
from priorhood.reporting.content import content


@pytest.fixture(scope="module")
def few():
    """Six sales in three places: hardly anything is known of any scale."""
    rng = np.random.default_rng(0)
    g = np.repeat(np.arange(3), 2)
    log = 12.8 + rng.normal(0, 0.25, 3)[g] + rng.normal(0, 0.2, 6)
    return pd.DataFrame({"zip": [f"p{i}" for i in g], "x": rng.normal(size=6), "price": np.exp(log)})


@pytest.fixture(scope="module")
def post(few):
    return ph.fit("log(price) ~ x + (1 | zip)", few, seed=1, chains=2, draws=500)


def square(label, at):
    ring = [[at, 0], [at + 1, 0], [at + 1, 1], [at, 1], [at, 0]]
    return {"type": "Feature", "properties": {"zip": label}, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def test_a_map_shows_medians_and_says_so(post):
    areas = {"type": "FeatureCollection", "features": [square(f"p{i}", i) for i in range(3)]}
    areas = read_areas(areas, post)
    home = {"x": 0.0}
    draws = post.expected(post.homes(home), unseen="population").values.reshape(1000, 3)
    price = map_values(post, areas, at=home, details=True)
    np.testing.assert_allclose(price.values, np.median(draws, axis=0))
    assert price.title.startswith("Median price")
    assert "the mean is infinite" in price.note
    assert price.centre == "median"
    sd = map_values(post, areas, "sd", at=home)
    low, high = np.quantile(draws, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(sd.values, (high - low) / 3.29, rtol=1e-3)
    assert "the posterior sd is infinite" in sd.note
    assert all("inf" not in price.text(value) for value in price.values)


def test_a_report_has_numbers_and_says_which(post, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        told = content(post, None, at={"x": 0.0}, below=None, title=None, level=None)
    json.dumps(told, allow_nan=False)
    assert told["places"]["centre"] == "median"
    assert "this is the median, because the mean is infinite" in told["summary"][1]
    for row in (told["places"]["average"], *told["places"]["rows"]):
        assert all(row[name] is not None for name in ("mean", "sd", "low", "high"))
        assert row["low"] < row["mean"] < row["high"]
    assert all(told["home"]["infinite"]["here"])
    ph.report(post, tmp_path / "page.html", at={"x": 0.0})
    assert "(median)" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_under_thin_tails_nothing_is_infinite(few):
    thin = ph.Model("log(price) ~ x + (1 | zip)", ["tau ~ HalfNormal(0.2)", "sigma ~ HalfNormal(0.2)"])
    post = ph.fit(thin, few, seed=1, chains=2, draws=500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = post.predict({"zip": ["p0", "new"], "x": [0.0, 0.0]}, unseen="draw")
        told = content(post, None, at={"x": 0.0}, below=None, title=None, level=None)
    assert np.isfinite(found[["mean", "sd"]].to_numpy(dtype=float)).all()
    assert told["places"]["centre"] == "mean"
    assert not any(told["home"]["infinite"]["here"])


def test_a_price_picture_says_infinite(post):
    figure = ph.plot.price(post, {"zip": "p0", "x": 0.0})
    assert any("mean infinite" in text.get_text() for text in figure.texts)


def test_the_command_writes_inf_and_prints_the_note(post, tmp_path):
    post.save(tmp_path / "x.nc")
    (tmp_path / "homes.csv").write_text("zip,x\nnew,0\np0,0\n")
    how = ["predict", str(tmp_path / "x.nc"), str(tmp_path / "homes.csv"), "--unseen", "draw", "-o"]
    told = CliRunner().invoke(app, [*how, str(tmp_path / "out.csv")])
    assert told.exit_code == 0, told.output
    assert "note: mean and sd of 2 of 2 rows are infinite" in told.output
    back = pd.read_csv(tmp_path / "out.csv")
    assert np.isinf(back["mean"]).all()
    assert np.isfinite(back["q50"]).all()
    told = CliRunner().invoke(app, [*how, str(tmp_path / "again.csv"), "--json"])
    assert json.loads(told.stdout)["notes"][0].startswith("mean and sd of 2 of 2 rows are infinite")


def test_a_loaded_posterior_says_the_same(post, tmp_path):
    post.save(tmp_path / "x.nc")
    homes = {"zip": ["p0"], "x": [0.0]}
    with pytest.warns(ph.PriorhoodWarning) as ours:
        post.predict(homes)
    with pytest.warns(ph.PriorhoodWarning) as theirs:
        ph.load(tmp_path / "x.nc").predict(homes)
    assert str(ours[0].message) == str(theirs[0].message)


def test_many_places_are_never_asked_of_the_density():
    """So that predictions of usual posteriors cost what they did."""
    table, _ = ph.simulate(219, 5000, seed=4)
    post = ph.fit("log(price) ~ living_space + (living_space | zip)", table, seed=1, chains=2, draws=200)
    found = post.predict(table.drop(columns="price"))
    assert np.isfinite(found[["mean", "sd"]].to_numpy()).all()
    assert "reach" not in post._tails.__dict__


def test_a_draw_beyond_a_scales_limit_counts_for_quantiles_alone(few):
    thin = ph.Model("log(price) ~ x + (1 | zip)", ["tau ~ HalfNormal(0.3)", "sigma ~ HalfNormal(0.3)"])
    post = ph.fit(thin, few, seed=1, chains=2, draws=500)
    homes = {"zip": ["p0"], "x": [0.0]}
    whole = post.predict(homes, quantiles=(0.5,)).iloc[0]
    tails = post._tails
    c = tails.c
    beyond = replace(c, sigma=np.where(np.arange(1000) == 7, 40.0, c.sigma))
    rows = read_rows(c, frame_to_predict(read(homes), post.design, c.row_weights), "", "error")
    groups = Groups(beyond, rows.spots, "error", 1)
    mean, _ = tails.moments(beyond, rows, groups, np.array([0]))
    assert not tails.kept(beyond)[7]
    assert mean[0] == pytest.approx(whole["mean"], rel=0.01)


def test_a_sigma_of_its_own_for_every_place_is_judged_by_a_run_of_reference():
    rng = np.random.default_rng(3)
    g = np.repeat(np.arange(6), [2, 3, 4, 8, 12, 40])
    table = pd.DataFrame({"zip": [f"p{i}" for i in g], "price": np.exp(12 + rng.normal(0, 0.2, len(g)))})
    model = ph.Model("log(price) ~ 1 + (1 | zip)", ["sigma ~ Exponential(5)"], noise="zip")
    for seed in range(3):
        post = ph.fit(model, table, seed=seed, draws=200)
        with pytest.warns(ph.PriorhoodWarning, match="[Uu]se the median"):
            found = post.predict({"zip": ["p0", "p5", "new"]}, unseen="draw")
        # Two rows leave the tail of a place's own sigma to its prior, forty do not; a new one's is the prior.
        assert np.isinf(found["mean"]).tolist() == [True, False, True]


def test_a_tail_from_draws_has_the_quantile_of_a_known_law():
    rng = np.random.default_rng(1)

    def log_prior(x):
        return -x / 5

    # p(t) ∝ exp(−t/5) t⁻⁴ above 1: the power is found from the draws.
    t = np.exp(rng.exponential(1 / 3, 200_000))
    draws = t[rng.random(len(t)) < np.exp(-(t - 1) / 5)]
    _, mass, beyond, limit = _fit_tail(draws[:4000], log_prior)
    right = np.quantile(draws, 1 - 1e-4)
    assert mass[beyond].sum() == pytest.approx(1e-4, rel=0.05)
    assert limit > right
    assert _upper_bound(draws) > right


def test_no_log_no_question(few):
    post = ph.fit("price ~ x + (1 | zip)", few, seed=1, chains=2, draws=100)
    assert post._tails is None
    assert price_moments(post, [post.homes()]).mean

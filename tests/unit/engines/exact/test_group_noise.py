"""noise=: which priors a model has, what the exact engine fits, says and refuses."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import priorhood as ph

pytestmark = pytest.mark.once

LINES = "price ~ living_space + (living_space || zip)"
ALIKE = {"sigma_median": ph.Exponential(5), "sigma_spread": ph.HalfNormal(1)}


@pytest.fixture(scope="module")
def few():
    return ph.simulate(12, 240, 4)[0]


def of_sigma(model):
    return {key: prior for key, prior in model.priors.items() if key.startswith("sigma")}


def test_the_places_are_alike_unless_sigma_has_a_prior():
    assert of_sigma(ph.Model(LINES)) == {"sigma": ph.Exponential(5)}
    assert of_sigma(ph.Model(LINES, noise="zip")) == ALIKE
    assert of_sigma(ph.Model(LINES, "sigma ~ Exponential(2)", noise="zip")) == {"sigma": ph.Exponential(2)}
    narrow = ph.Model(LINES, "sigma_spread ~ HalfNormal(0.2)", noise="zip")
    assert of_sigma(narrow) == {**ALIKE, "sigma_spread": ph.HalfNormal(0.2)}


def test_with_priors_goes_from_one_to_the_other():
    alike = ph.Model(LINES, noise="zip")
    independent = alike.with_priors("sigma ~ Gamma(3, 0.2)")
    assert of_sigma(independent) == {"sigma": ph.Gamma(3, 0.2)}
    assert of_sigma(independent.with_priors("tau ~ HalfNormal(1)")) == of_sigma(independent)
    back = independent.with_priors("sigma_median ~ HalfNormal(2)")
    assert of_sigma(back) == {**ALIKE, "sigma_median": ph.HalfNormal(2)}
    with pytest.raises(ph.PriorError, match=r"sigma \(independent per zip\).*choose one"):
        alike.with_priors(["sigma ~ Exponential(1)", "sigma_median ~ Exponential(1)"])
    with pytest.raises(ph.PriorError, match=r"sigma_spread.*one sigma.*noise="):
        ph.Model(LINES).with_priors("sigma_spread ~ HalfNormal(1)")


def test_models_are_read_back_and_older_ones_stay_independent():
    for model in (ph.Model(LINES, noise="zip"), ph.Model(LINES, "sigma ~ Exponential(2)", noise="zip")):
        assert ph.Model.from_dict(model.to_dict()) == model
    stored = ph.Model(LINES, noise="zip").to_dict()
    stored["priors"] = {"mu": "Normal(0, 5)", "tau": "Exponential(5)", "sigma": "Exponential(5)"}
    assert of_sigma(ph.Model.from_dict(stored)) == {"sigma": ph.Exponential(5)}


@pytest.mark.long
@pytest.mark.parametrize("prior", [None, "sigma ~ Exponential(5)"])
@pytest.mark.parametrize("bar", ["||", pytest.param("|", marks=pytest.mark.slow)])
def test_every_parameter_is_drawn_well(bar, prior):
    """The demonstration's 219 ZIP codes, as ever an ESS of 2,000 of 4,000 draws at least."""
    sales = ph.simulate(seed=1)[0]
    model = ph.Model(LINES.replace("||", bar), prior, noise="zip")
    post = ph.fit(model, sales, seed=1)
    assert post.attrs["engine"] == "exact"
    summary = post.summary()
    assert len(summary) == 2 + 438 + 2 + (bar == "|") + 219 + 2 * (prior is None)
    assert summary["ess_bulk"].min() > 2000
    assert summary["r_hat"].max() < 1.01


VARIANTS = {
    "one level": ("price ~ living_space + (1 | zip)", None),
    "population only": ("price ~ living_space + rooms + (1 + living_space | zip)", None),
    "no population": ("price ~ 0 + (living_space || zip)", "tau ~ Fixed(10)"),
    "known tau": (LINES, ["tau ~ Fixed(0.5)", "sigma ~ HalfNormal(1)"]),
    "known spread": (LINES, "sigma_spread ~ Fixed(0.3)"),
    "log": ("log(price) ~ living_space + (1 | zip)", "sigma_spread ~ Exponential(0.5)"),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_with_what_else_the_engine_takes(few, name):
    formula, priors = VARIANTS[name]
    table = few.assign(rooms=np.arange(len(few)) % 4)
    model = ph.Model(formula, priors, noise="zip", units={"price": "€"})
    post = ph.fit(model, table, seed=1)
    summary = post.summary()
    moving = summary["sd"] > 0
    assert summary["ess_bulk"][moving].min() > 1500
    assert np.isfinite(post.log_evidence)
    assert list(post.parameters)[-1] in ("sigma", "sigma_spread")
    shown = summary[summary.index.str.startswith("sigma_spread")]
    assert (shown["unit"] == "").all()
    assert "sigma" in post.equations()
    home = {"zip": ["new"], "living_space": [90.0], "rooms": [2]}
    if name == "log":  # the square of exp(σ²/2), where log σ of a new place is Normal: no moment
        with pytest.warns(ph.PriorhoodWarning, match="sd of 1 of 1 row is infinite.*tail of sigma is too heavy"):
            row = post.predict(home, unseen="draw")
        assert row["sd"][0] == np.inf
        assert np.isfinite(row[["q5", "q50", "q95"]]).all(axis=None)
    else:
        assert np.isfinite(post.predict(home, unseen="draw")["sd"]).all()


def test_a_known_sigma_is_the_same_in_every_place(few):
    post = ph.fit(ph.Model(LINES, "sigma ~ Fixed(0.4)", noise="zip"), few, seed=1)
    one = ph.fit(ph.Model(LINES, "sigma ~ Fixed(0.4)"), few, seed=1)
    assert post["sigma"].dims == ("chain", "draw", "zip")
    np.testing.assert_array_equal(post["sigma"], 0.4)
    np.testing.assert_array_equal(post["beta"], one["beta"])
    assert post.log_evidence == one.log_evidence


def test_spread_of_next_to_nothing_is_one_sigma(few):
    """σ_j alike to a millionth: the evidence and coefficients of the model with one σ."""
    alike = ph.fit(ph.Model(LINES, ["sigma_spread ~ Fixed(1e-6)"], noise="zip"), few, seed=1)
    one = ph.fit(LINES, few, seed=1)
    error = np.hypot(alike.attrs["log_evidence_error"], one.attrs["log_evidence_error"])
    assert alike.log_evidence == pytest.approx(one.log_evidence, abs=4.5 * error)
    ours, theirs = alike.summary("beta"), one.summary("beta")
    z = (ours["mean"] - theirs["mean"]) / np.hypot(ours["mcse_mean"], theirs["mcse_mean"])
    assert np.abs(z).max() < 4.5


def test_a_saved_posterior_is_fitted_again_and_merged(few, tmp_path):
    post = ph.fit(ph.Model(LINES, noise="zip"), few, seed=1)
    post.save(tmp_path / "noise.nc")
    again = ph.load(tmp_path / "noise.nc")
    np.testing.assert_array_equal(ph.refit(again)["sigma"], post["sigma"])
    independent = ph.refit(again, priors="sigma ~ Exponential(2)")
    assert "sigma_median" not in independent.parameters
    more = ph.simulate(12, 120, 5)[0]
    merged = ph.merge(post, ph.fit(ph.Model(LINES, noise="zip", outcome_unit="auto"), more, seed=1))
    assert merged.moments.rows == 360


def test_places_on_a_line_are_refused_by_name(few):
    twice = few.copy()
    own = twice.index[twice["zip"] == twice["zip"].iloc[0]]
    twice = twice.drop(own[2:])
    twice.loc[own[1], ["living_space", "price"]] = twice.loc[own[0], ["living_space", "price"]].to_numpy()
    label = str(few["zip"].iloc[0])
    with pytest.raises(ph.ModelError, match=rf"zip '{label}' \(2 rows\).*exactly on a line.*noise"):
        ph.fit(ph.Model(LINES, noise="zip"), twice, seed=1)
    # One sigma for all takes them, and so does the model where the two differ by a euro.
    ph.fit(LINES, twice, seed=1, draws=50)
    twice.loc[own[1], "price"] += 1.0
    ph.fit(ph.Model(LINES, noise="zip"), twice, seed=1, draws=50)


def test_a_prior_no_double_can_hold_is_refused(few):
    with pytest.raises(ph.ModelError, match=r"Gamma.*shape of 0\.1 or more"):
        ph.fit(ph.Model(LINES, "sigma ~ Gamma(0.01, 1)", noise="zip"), few, engine="exact")


@pytest.mark.parametrize("parameterization", ["centered", "noncentered"])
def test_pymc_has_the_same_names(few, parameterization):
    pytest.importorskip("pymc")
    post = ph.fit(ph.Model(LINES, noise="zip"), few, seed=1, draws=10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        built = post.model.to_pymc(few, parameterization)
    for name in post.parameters:
        assert tuple(built.named_vars_to_dims.get(name, ())) == post[name].dims[2:]

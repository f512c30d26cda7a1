"""calibrate: the engine passes; changed engines do not, with the power that the guide states.

False-alarm rate of one call: 1 % for a fresh seed; the seeds are fixed.
"""

from __future__ import annotations

import importlib
from dataclasses import replace

import numpy as np
import pytest

import priorhood as ph
from priorhood.errors import SamplingError
from priorhood.posterior.predictive import draw_prior

pytestmark = [pytest.mark.long, pytest.mark.once]

# The package exports the function of this name too.
module = importlib.import_module("priorhood.evaluation.sbc")

FORMULA = "price ~ living_space + (living_space | zip)"
POOLED = ["sigma ~ HalfNormal(1)", "mu ~ Normal(0, 2)"]
TIGHT = ["tau ~ HalfNormal(1)", *POOLED]


@pytest.fixture(scope="module")
def sales():
    return ph.simulate(12, 120, seed=1)[0]


def changed(monkeypatch, change):
    """An engine whose draws are changed."""
    right = module.draw_exact
    monkeypatch.setattr(module, "draw_exact", lambda *args: change(right(*args), *args))


def failed(found):
    return {name for name, good in zip(found.quantities, found.good, strict=True) if not good}


@pytest.mark.parametrize(
    "formula",
    [
        FORMULA,
        "price ~ living_space + (1 | zip)",
        "price ~ living_space",
        "price ~ living_space + (0 + living_space || zip)",
    ],
)
def test_the_engine_is_calibrated(sales, formula):
    found = ph.calibrate(ph.Model(formula, TIGHT if "|" in formula else POOLED), sales, refits=100, seed=1)
    assert found.passed, str(found)
    assert found.ranks.shape == (100, len(found.quantities))
    assert found.quantities[-1] == "log_likelihood"


def test_known_scales_are_not_ranked(sales):
    model = ph.Model(FORMULA.replace("|", "||"), ["tau[living_space] ~ Fixed(0.5)", "sigma ~ Fixed(1)"])
    found = ph.calibrate(model, sales, refits=100, seed=2)
    assert found.passed, str(found)
    assert not {"tau[living_space]", "sigma"} & set(found.quantities)
    assert "tau[Intercept]" in found.quantities


def test_known_errors(sales):
    frame = sales.assign(e=np.random.default_rng(1).uniform(2e4, 2e5, len(sales)))
    found = ph.calibrate(ph.Model("price ~ living_space + (1 | zip)", TIGHT[:1], se="e"), frame, refits=100, seed=3)
    assert found.passed, str(found)
    assert "sigma" not in found.quantities


def test_ranks_depend_on_the_seed_alone(sales):
    post = ph.fit(ph.Model(FORMULA, TIGHT), sales, seed=1, chains=1, draws=50)
    told = []
    one = ph.calibrate(post, refits=20, draws=19, seed=4, threads=1, progress=lambda *args: told.append(args))
    two = ph.calibrate(ph.Model(FORMULA, TIGHT), sales, refits=20, draws=19, seed=4, threads=3)
    other = ph.calibrate(post, refits=20, draws=19, seed=5)
    assert (one.ranks == two.ranks).all()
    assert (one.ranks != other.ranks).any()
    assert told == [("refits", done, 20) for done in range(1, 21)]
    assert list(one.places.values()) == sorted(one.places.values(), reverse=True)


def test_sigma_a_tenth_too_small_is_seen(sales, monkeypatch):
    changed(monkeypatch, lambda draws, *_: replace(draws, sigma=0.9 * draws.sigma))
    found = ph.calibrate(ph.Model(FORMULA, TIGHT), sales, refits=150, seed=6)
    assert "sigma" in failed(found)
    low = next(v for v in found.verdicts if v.about == "low")
    assert "sigma" in low.text


def test_a_wrong_prior_of_tau_is_seen(sales, monkeypatch):
    """The engine's prior of tau has half the scale that the truths are drawn from."""
    right = module.draw_exact

    def wrong(data, options):
        return right(data.with_model(data.model.with_priors("tau ~ HalfNormal(0.5)")), options)

    monkeypatch.setattr(module, "draw_exact", wrong)
    found = ph.calibrate(ph.Model(FORMULA, TIGHT), sales, refits=150, seed=7)
    assert {"tau[Intercept]", "tau[living_space]"} & failed(found)


def test_narrow_draws_are_seen(sales, monkeypatch):
    """Coefficients of places with three quarters of their sd."""

    def narrow(draws, *_):
        middle = draws.beta.mean(axis=1, keepdims=True)
        effects = replace(draws.effects[0], beta=middle + 0.75 * (draws.beta - middle))
        return replace(draws, effects=(effects,))

    changed(monkeypatch, narrow)
    found = ph.calibrate(ph.Model(FORMULA, TIGHT), sales, refits=150, seed=8)
    assert any(name.startswith("beta") for name in failed(found))
    assert any(v.about == "narrow" for v in found.verdicts)
    assert not failed(found) & {"mu[Intercept]", "mu[living_space]", "sigma"}


def test_an_engine_that_ignores_the_data_is_seen_by_the_likelihood_alone(sales, monkeypatch):
    """Draws from the prior: every parameter's rank is uniform (Modrák et al. 2023, section 3)."""

    def prior(draws, data, options):
        return draw_prior(data, options.draws, np.random.default_rng(options.seed))

    changed(monkeypatch, prior)
    found = ph.calibrate(ph.Model(FORMULA, TIGHT), sales, refits=100, seed=9)
    assert failed(found) == {"log_likelihood"}


def test_refused_outcomes_are_counted(sales, monkeypatch):
    count = iter(range(1000))

    def refuse(draws, *_):
        if (at := next(count)) % 10 == 0:
            message = f"could not be explored (acceptance {at}%). Give other priors"
            raise SamplingError(message, reason="could not be explored")
        return draws

    changed(monkeypatch, refuse)
    found = ph.calibrate(ph.Model(FORMULA, TIGHT), sales, refits=40, draws=19, seed=10)
    assert found.refused == (("could not be explored", 4),)
    assert len(found.ranks) == 36
    assert not found.passed
    assert "4 of 40 simulated data sets" in found.verdicts[0].text
    monkeypatch.setattr(module, "draw_exact", lambda *_: (_ for _ in ()).throw(SamplingError("never")))
    with pytest.raises(SamplingError, match="all 20 refits failed: never"):
        ph.calibrate(ph.Model(FORMULA, TIGHT), sales, refits=20, draws=19, seed=10)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ({"refits": 5}, "refits must be a whole number of at least 20, not 5"),
        ({"draws": 9.5}, "draws must be a whole number of at least 19, not 9.5"),
        ({"threads": 0}, "threads"),
        ({"seed": -1}, "seed"),
        ({"data": None}, "calibrate needs a table"),
        ({"model": ph.Model(FORMULA, family="student")}, "hours with NUTS"),
    ],
)
def test_wrong_calls_are_refused(sales, call, says):
    given = {"model": FORMULA, "data": sales, **call}
    with pytest.raises(ph.PriorhoodError, match=says):
        ph.calibrate(given.pop("model"), given.pop("data"), **given)


@pytest.mark.slow
def test_the_demo_is_calibrated_in_many_refits():
    found = ph.calibrate(FORMULA, ph.simulate()[0], refits=4000, seed=11)
    assert found.passed, str(found)


def test_ranked_draws_are_as_good_as_independent(sales):
    """Ranks of refits assume independent draws: successive ones are correlated by less than 0.03."""
    post = ph.fit(ph.Model(FORMULA, TIGHT), sales, seed=1, chains=4, draws=2000)
    worst = 0.0
    for values in (post["tau"].values[..., 0], post["sigma"].values, post["mu"].values[..., 0]):
        kept = values[:, module.THIN - 1 :: module.THIN]
        kept = kept - kept.mean(axis=1, keepdims=True)
        worst = max(worst, float((kept[:, 1:] * kept[:, :-1]).mean() / kept.var()))
    assert worst < 0.03 + 2 / np.sqrt(2000)

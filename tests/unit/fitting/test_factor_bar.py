"""`(0 + kind | zip)`: a level of its own for every kind, correlated, on every way to a posterior."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.suffstats.fit_data import FitData
from table_moments import design_and_moments

BAR = "y ~ kind + (0 + kind | zip)"


@pytest.fixture(scope="module")
def rows():
    """Dear places are dear for flats and houses alike (correlation .95); a third of the places sold no house."""
    rng = np.random.default_rng(1)
    K, n = 40, 1200
    z, kind = rng.integers(0, K, n), rng.integers(0, 2, n)
    level, own = rng.normal(0, 8, K), rng.normal(0, 1.8, (K, 2))
    y = 40 + level[z] + own[z, kind] + 5 * kind + rng.normal(0, 3, n)
    frame = pd.DataFrame({"zip": [f"Z{i:02d}" for i in z], "kind": np.array(["flat", "house"])[kind], "y": y})
    truth = pd.DataFrame({"zip": [f"Z{i:02d}" for i in range(0, K, 3)], "kind": "house"})
    return frame[~((z % 3 == 0) & (kind == 1))], truth, 45 + level[::3] + own[::3, 1]


def error(post, homes, truth):
    return float(np.sqrt(((post.expected(homes).mean(("chain", "draw")).values - truth) ** 2).mean()))


def test_a_kind_never_sold_in_a_place_learns_from_the_other_kind(rows):
    """As by the equivalent (kind | zip); with || it learns nothing but the average."""
    frame, homes, truth = rows
    posts = {text: ph.fit(text, frame, seed=1, draws=500)
             for text in (BAR, "y ~ kind + (kind | zip)", "y ~ kind + (0 + kind || zip)")}  # fmt: skip
    own, other, apart = posts.values()
    assert own["omega"].dims == ("chain", "draw", "zip_term", "zip_term_bis")
    assert 0.85 < own["omega"].values[:, :, 0, 1].mean() < 0.99
    assert "omega" not in apart.parameters
    assert error(own, homes, truth) == pytest.approx(error(other, homes, truth), rel=0.05)
    assert error(own, homes, truth) < error(apart, homes, truth) / 2
    assert own.log_evidence > apart.log_evidence + 10


def test_the_same_from_sums_of_sites_and_by_update_and_merge(rows):
    frame, *_ = rows
    whole = ph.fit(BAR, frame, seed=1, draws=100)
    parts = [frame.iloc[::2], frame.iloc[1::2]]
    posts = [ph.fit(BAR, part, seed=1, draws=100) for part in parts]
    again = {
        "sums": ph.fit(BAR, [ph.moments(BAR, part) for part in parts], seed=1, draws=100),
        "update": ph.update(posts[0], parts[1], seed=1, draws=100),
        "merge": ph.merge(*posts, seed=1, draws=100),
        "refit": ph.refit(whole, draws=100),
    }
    for how, post in again.items():
        assert "omega" in post.parameters, how
        assert post.log_evidence == pytest.approx(whole.log_evidence, abs=1e-6), how


def test_omega_is_in_the_pymc_model(rows):
    """PyMC's model has it; tests/agreement compares the draws."""
    pytest.importorskip("pymc")
    frame = rows[0].iloc[:300]
    for form in ("centered", "noncentered"):
        assert "omega" in ph.Model(BAR).to_pymc(frame, form).named_vars
    assert "omega" not in ph.Model("y ~ kind + (0 + kind || zip)").to_pymc(frame).named_vars


def test_log_evidence_is_that_of_the_reparameterized_model_under_priors_that_match(rows):
    """With tau and omega known, a place's (flat, house) is T times its (level, difference): one and the same model.

    Cov(flat, house) of tau = (8, 9), omega = LKJ → fixed scales only; so both are compared given θ, over a grid of
    omega: the likelihood of (0 + kind | zip) at Σ is that of (kind | zip) at T Σ Tᵀ, T = ((1, 0), (−1, 1)).
    """
    from priorhood.engines.adapt import to_exact
    from priorhood.engines.exact.marginal import collapse, log_marginal
    from priorhood.engines.exact.theta import Theta
    from priorhood.suffstats.standardize import learn_scale

    frame = rows[0]
    change = np.array([[1.0, 0.0], [-1.0, 1.0]])
    found = {}
    for text, how in ((BAR, np.eye(2)), ("y ~ kind + (kind | zip)", change)):
        model = ph.Model(text, standardize=False, outcome_unit=1)
        design, sums = design_and_moments(ph.read(frame), model.formula)
        scale = learn_scale(sums, design, standardize=False, unit=1.0)
        problem = to_exact(FitData(model, design, sums, scale))
        covariances = [how @ np.array([[64, r * 72], [r * 72, 81]]) @ how.T for r in (-0.5, 0.0, 0.6, 0.95)]
        sd = np.sqrt([np.diag(each) for each in covariances])
        corr = np.array([np.linalg.cholesky(c / np.outer(s, s)) for c, s in zip(covariances, sd, strict=True)])
        found[text] = log_marginal(collapse(problem), Theta((sd,), (corr,), np.full(4, 3.0)))
    one, two = found.values()
    np.testing.assert_allclose(one, two, rtol=1e-11)
    assert np.ptp(one) > 1  # the correlation matters here

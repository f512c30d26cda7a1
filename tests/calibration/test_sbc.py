"""The correlated model is calibrated; an engine with a Jacobian dropped is not.

False-alarm rate: each test rejects at 0.001 over its quantities (Bonferroni) for a fresh seed; the seeds
are fixed, so a test that passes goes on passing until the engine changes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calibration import sbc
from calibration.sbc import p_values
from priorhood.engines.exact import mode
from priorhood.model.priors import HalfStudentT, InverseGamma, LogNormal, Uniform

pytestmark = [pytest.mark.long, pytest.mark.once]

ALARM = 1e-3


@pytest.mark.parametrize(("correlated", "seed"), [(True, 101), pytest.param(False, 102, marks=pytest.mark.slow)])
def test_ranks_are_uniform(correlated, seed):
    found = p_values(320, seed, correlated=correlated)
    assert min(found.values()) > ALARM / len(found), found


@pytest.mark.parametrize(("correlated", "seed"), [pytest.param(True, 105, marks=pytest.mark.slow), (False, 106)])
def test_ranks_are_uniform_where_errors_and_a_spread_are_known(correlated, seed):
    found = p_values(320, seed, correlated=correlated, rows=sbc.known_errors)
    assert not {"sigma", "tau0"} & set(found)
    assert ("omega" in found) == correlated
    assert min(found.values()) > ALARM / len(found), found


# Bounds, which the truth is often near, and tails light and heavy.
FAMILIES = {"tau": (Uniform(0, 1.5), InverseGamma(3, 1)), "sigma": LogNormal(-0.5, 0.6)}
BOUNDED = {"tau": (HalfStudentT(3, 0.7), Uniform(0.3, 1)), "sigma": Uniform(0.2, 2)}


@pytest.mark.parametrize(
    ("priors", "correlated", "seed"),
    [pytest.param(FAMILIES, True, 108, marks=pytest.mark.slow), (BOUNDED, False, 109)],
)
def test_ranks_are_uniform_under_other_families(priors, correlated, seed):
    found = p_values(200, seed, correlated=correlated, **priors)
    assert min(found.values()) > ALARM / len(found), found


@pytest.mark.slow
@pytest.mark.parametrize(("priors", "correlated", "seed"), [(FAMILIES, True, 203), (BOUNDED, False, 204)])
def test_ranks_are_uniform_under_other_families_in_many_simulations(priors, correlated, seed):
    found = p_values(5000, seed, correlated=correlated, **priors)
    assert min(found.values()) > ALARM / len(found), found


def test_another_prior_is_seen(monkeypatch):
    """Negative control: truths from one bounded prior, fits under one whose bound is lower."""
    right = sbc.exact.draw

    def narrower(problem, *args):
        return right(replace(problem, sigma=Uniform(0.2, 1.5)), *args)

    monkeypatch.setattr(sbc.exact, "draw", narrower)
    found = p_values(200, 110, correlated=False, **BOUNDED)
    assert found["sigma"] < ALARM / len(found), found


@pytest.mark.slow
@pytest.mark.parametrize(("correlated", "seed"), [(True, 201), (False, 202)])
def test_ranks_are_uniform_in_many_simulations(correlated, seed):
    found = p_values(5000, seed, correlated=correlated)
    assert min(found.values()) > ALARM / len(found), found


def test_ranks_are_uniform_where_rows_have_weights():
    found = p_values(320, 108, correlated=False, rows=sbc.weighed)
    assert "sigma" in found
    assert min(found.values()) > ALARM / len(found), found


@pytest.mark.parametrize(("rows", "seed", "simulations"), [(sbc.known_errors, 107, 240), (sbc.weighed, 109, 120)])
def test_weights_left_out_are_seen(monkeypatch, rows, seed, simulations):
    """Negative control: rows that all count alike though their errors differ."""
    right = sbc.pose_rows
    monkeypatch.setattr(sbc, "pose_rows", lambda *args, weights, **options: right(*args, **options))
    found = p_values(simulations, seed, correlated=rows is sbc.known_errors, rows=rows)
    assert min(found.values()) < ALARM / len(found), found


def test_a_dropped_jacobian_is_seen(monkeypatch):
    """Negative control: without + log σ the prior of the residual sd is another one.

    (Without + log τ there is no posterior at all: it could not be normalized as τ goes to 0.)
    """
    right = mode.log_prior
    monkeypatch.setattr(mode, "log_prior", lambda *args: right(*args) - args[1][:, -1])
    found = p_values(240, 103, correlated=False)
    assert min(found["sigma"], found["log-likelihood"]) < ALARM / len(found), found


def test_a_narrow_posterior_is_seen(monkeypatch):
    """Negative control: coefficients drawn with six tenths of their sd."""
    from priorhood.engines.exact import effects

    kernel = effects._draw_effects

    def narrow(*args):
        args = list(args)
        args[8] = args[8] * 0.6
        args[9] = args[9] * 0.6
        return kernel(*args)

    monkeypatch.setattr(effects, "_draw_effects", narrow)
    found = p_values(160, 104, correlated=False)
    assert min(found.values()) < ALARM / len(found), found
    assert np.isfinite(list(found.values())).all()

"""Hard posteriors reach the stated quality or are refused (docs/stress.md), and failures would be seen.

Deterministic: outcomes, truths and draws have fixed seeds. The coverage of all designs in one table fails with
probability of at most ranks.ALARM if the engine is right, by its bounds, and as often by its ranks.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from priorhood.diagnostics.uniformity import ALARM

pytestmark = [pytest.mark.slow, pytest.mark.once]

explore = importlib.import_module("priorhood.engines.exact.sampler")
ROOT = Path(__file__).parents[2]

HARDEST = [
    ("2 groups, 1 row, 1 term", 100.0),
    ("5 groups, 5 rows, 4 terms correlated", 0.0),
    ("200 groups, 1 row, 2 terms correlated", 1e-3),
    ("20 groups, 5 rows, 3 terms correlated, two predictors alike to 0.001", 0.0),
    ("8 groups, 1 row, 1 term, known errors", 0.0),
]


@pytest.fixture
def stress(monkeypatch):
    """The benchmark's module, which is not installed."""
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("bench.stress")


@pytest.fixture
def named(stress):
    return {design.name: design for design in stress.DESIGNS}


@pytest.mark.parametrize(("name", "spread"), HARDEST)
def test_the_hardest_reach_the_quality(stress, named, name, spread):
    found = stress.fitted(named[name], spread)
    assert found.verdict == stress.REACHED, found.reason
    assert found.least_ess > stress.MIN_ESS
    assert found.pareto_k <= explore.PARETO_LIMIT


def test_what_prior_and_data_tear_apart_is_fitted(stress, named):
    """Two modes: the spread far beyond its prior, or the noise."""
    found = stress.fitted(named["3 groups, 5 rows, 2 terms correlated, HalfNormal(0.1)"], 100.0)
    assert found.verdict == stress.REACHED, found.reason


def _shrunk(mixture, by):
    return explore.Mixture(mixture.weights, mixture.means, tuple(by * f for f in mixture.factors))


def _narrow(monkeypatch, by):
    """Every proposal a share as wide as was fitted."""
    fitted, widened = explore.refine, explore.widen

    def refined(*args):
        found = fitted(*args)
        return replace(found, mixture=_shrunk(found.mixture, by))

    monkeypatch.setattr(explore, "refine", refined)
    monkeypatch.setattr(explore, "nearly_normal", lambda refined: [])  # it would find the posterior again
    monkeypatch.setattr(explore, "widen", lambda *args: _shrunk(widened(*args), by))


def _frozen(monkeypatch):
    """The t from mode and curvature, not refined: as the first round has it."""
    monkeypatch.setattr(importlib.import_module("priorhood.engines.exact.proposal"), "ROUNDS", 1)
    monkeypatch.setattr(explore, "ATTEMPTS", 0)


@pytest.mark.parametrize(
    ("control", "name"),
    [
        (lambda patch: _narrow(patch, 0.1), "20 groups, 2 rows, 2 terms correlated"),
        (_frozen, "3 districts of 5 places, 3 terms"),
    ],
    ids=["narrow", "frozen"],
)
def test_a_bad_proposal_is_refused_or_misses(stress, named, monkeypatch, control, name):
    """Negative controls: with the fitted proposal both designs reach the quality."""
    assert stress.fitted(named[name], 0.0).verdict == stress.REACHED
    control(monkeypatch)
    assert stress.fitted(named[name], 0.0).verdict != stress.REACHED


def test_draws_too_narrow_fail_the_coverage(stress, named, monkeypatch):
    """Negative control: the narrow proposal's own draws, all accepted and none refused, do not cover the truth."""
    design = named["3 groups, 2 rows, 1 term"]
    assert stress.covered(design, 100, len(stress.DESIGNS)).passed
    _narrow(monkeypatch, 0.3)
    monkeypatch.setattr(explore, "ATTEMPTS", 0)
    for limit in ("PARETO_LIMIT", "MAX_STAY"):
        monkeypatch.setattr(explore, limit, np.inf)

    def accept_all(log_weights, log_uniforms, state, keep_every, picked, accepted):
        picked[:] = np.arange(len(log_weights))[-len(picked) :]
        accepted[:] = 1.0

    monkeypatch.setattr(explore, "_walk", accept_all)
    wrong = stress.covered(design, 100, len(stress.DESIGNS))
    assert not wrong.passed
    assert wrong.least < wrong.low


@pytest.mark.parametrize(("trials", "alarm"), [(100, 0.01), (100, 1e-5), (4000, 0.01)])
def test_bounds_hold_what_they_promise(stress, trials, alarm):
    low, high = (round(share * trials) for share in stress.binomial_bounds(trials, alarm))
    outside = binom.cdf(low - 1, trials, 0.9) + binom.sf(high, trials, 0.9)
    assert outside <= alarm
    # Not by being idle: one step narrower on each side would be left too often.
    assert binom.cdf(low, trials, 0.9) + binom.sf(high - 1, trials, 0.9) > alarm


def test_the_page_shows_what_was_measured(stress, named):
    """Every design is on the page, its verdict told; none has been missed in silence."""
    page = (ROOT / "docs" / "stress.md").read_text(encoding="utf-8")
    table = page.partition("<!-- stress:start -->")[2].partition("<!-- stress:end -->")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    for name, design in named.items():
        assert sum(line.startswith(f"| {name} |") for line in rows) >= len(design.spreads), name
    fits = [line for line in rows if line.count(" | ") == len(stress.QUALITY) - 1]
    assert len(fits) - 1 == sum(len(design.spreads) for design in named.values()) >= 72
    assert "0 missed it in silence" in table


def test_no_design_misses_the_quality_in_silence(stress):
    found = [stress.fitted(design, spread) for design in stress.DESIGNS for spread in design.spreads]
    assert not [one for one in found if one.verdict == stress.MISSED]
    assert sum(one.verdict == stress.REFUSED for one in found) <= 2


def test_every_design_covers_the_truth(stress):
    found = [stress.covered(design, stress.REFITS, len(stress.DESIGNS)) for design in stress.DESIGNS]
    assert not [one for one in found if not one.passed]
    refits = sum(one.refits for one in found)
    low, high = stress.binomial_bounds(refits, ALARM)
    assert low <= sum(one.joint * one.refits for one in found) / refits <= high

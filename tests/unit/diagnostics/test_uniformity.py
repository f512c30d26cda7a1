"""The test of uniformity against counting every possible outcome and against simulation; what shapes mean."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binom

from priorhood.diagnostics.uniformity import ALARM, UniformityTest, counts_below, judge, shape

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("N", "L"), [(1, 1), (3, 2), (4, 3), (5, 2)])
def test_p_values_are_those_of_all_possible_ranks(N, L):
    """Every one of (L + 1)^N ranks has the same probability: count those at least as unusual."""
    uniform = UniformityTest(N, L)
    all_counts = [counts_below(np.array(r), L) for r in itertools.product(range(L + 1), repeat=N)]
    shares = np.arange(1, L + 1) / (L + 1)
    gammas = np.array(
        [2 * np.minimum(binom.cdf(c, N, shares), binom.sf(c - 1, N, shares)).min() for c in all_counts]
    )
    for counts, gamma in zip(all_counts, gammas, strict=True):
        assert uniform.gamma(counts) == pytest.approx(gamma, abs=1e-14)
        assert uniform.p_value(counts) == pytest.approx((gammas <= gamma + 1e-12).mean(), abs=1e-10)


@pytest.mark.parametrize(("N", "L"), [(60, 19), (500, 99)])
def test_uniform_ranks_fail_as_often_as_is_said(N, L):
    """4,000 sets of uniform ranks: shares within 4 standard errors of what was aimed at, or below (discrete)."""
    rng = np.random.default_rng(3)
    uniform = UniformityTest(N, L)
    low, high = uniform.band(0.05)
    sets = [counts_below(rng.integers(0, L + 1, N), L) for _ in range(4000)]
    outside = np.array([((c < low) | (c > high)).any() for c in sets])
    p = np.array([uniform.p_value(c) for c in sets])
    assert ((p <= 0.05) == outside).all()
    assert 0.03 < outside.mean() < 0.05 + 4 * np.sqrt(0.05 * 0.95 / 4000)
    assert 0.4 < (p <= 0.5).mean() < 0.5 + 4 * np.sqrt(0.25 / 4000)


def test_many_quantities_fail_together_once_in_a_hundred():
    """1,000 right runs of 10 quantities: at most 10 + 3 standard errors are called wrong, and not none."""
    rng = np.random.default_rng(4)
    uniform = UniformityTest(100, 39)
    wrong = 0
    for _ in range(1000):
        ranks = rng.integers(0, 40, (100, 10))
        p = np.array([uniform.p_value(counts_below(one, 39)) for one in ranks.T])
        wrong += not all(v.good for v in judge([f"q{i}" for i in range(10)], ranks, 39, p, []))
    assert 0 < wrong <= 1000 * ALARM + 3 * np.sqrt(1000 * ALARM)


@pytest.mark.parametrize(
    ("factor", "shift", "named"),
    [(0.7, 0, "narrow"), (1.5, 0, "wide"), (1, 0.5, "high"), (1, -0.5, "low"), (1, 0, "uneven")],
)
def test_shapes_are_named(factor, shift, named):
    """Truths are Normal(0, 1); draws have another width or place."""
    rng = np.random.default_rng(5)
    draws = shift + factor * rng.normal(size=(500, 99))
    assert shape((draws < rng.normal(size=(500, 1))).sum(axis=1), 99) == named


def test_verdicts_name_quantities_and_refusals():
    rng = np.random.default_rng(6)
    ranks = np.column_stack([rng.integers(0, 100, 200), rng.binomial(99, 0.5, 200), np.zeros(200, int)])
    uniform = UniformityTest(200, 99)
    p = np.array([uniform.p_value(counts_below(one, 99)) for one in ranks.T])
    told = judge(["mu", "tau", "sigma"], ranks, 99, p, [("no way", 9)])
    assert [(v.good, v.about) for v in told] == [(True, "refits"), (False, "wide"), (False, "high")]
    assert "9 of 209" in told[0].text
    assert told[1].text.startswith(
        "tau: the intervals are too wide; the central 90% interval covers the true value in"
    )
    assert "100% of the true values lie below the median" in told[2].text
    assert not judge(["mu"], ranks[:, :1], 99, p[:1], [("no way", 11)])[0].good

"""Moments under a log outcome against quadrature over all scales: whether they exist, and what they are.

Places of n rows each, log y = μ + δ_j + ε: given τ and σ the rows count through the means of the places and the
squares within them, so that log p(y | τ, σ) and the law of a new place's log outcome are closed forms, and all else
is a sum over a grid of log τ and log σ that has nothing to do with the engine.
"""

from __future__ import annotations

import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import priorhood as ph

MU, MU_SD = 0.0, 20.0  # of the default prior of the intercept
HALF_NORMAL = re.compile(r"'([^']+ ~ HalfNormal\([^)]+\))'")


def sales(places, rows=4, seed=0):
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(places), rows)
    log = rng.normal(0, 0.25, places)[g] + rng.normal(0, 0.2, places * rows)
    return pd.DataFrame({"g": [f"p{i}" for i in g], "y": 360_000 * np.exp(log)})


class Quadrature:
    """p(τ, σ | y) on a grid, and moments of a new place's and of p0's price with both scales cut off."""

    def __init__(self, table, tau_pdf, sigma_pdf):
        y = np.log(table["y"].to_numpy()).reshape(table["g"].nunique(), -1)
        J, n = y.shape
        means, within = y.mean(axis=1), ((y - y.mean(axis=1, keepdims=True)) ** 2).sum()
        self.u, self.v = np.linspace(-14, 5, 3000), np.linspace(-5, 3.5, 300)
        self.tau, self.sigma = np.exp(self.u)[:, None], np.exp(self.v)[None]
        a = self.tau**2 + self.sigma**2 / n  # of a place's mean, μ given
        precision = J / a + MU_SD**-2
        self.mean, self.variance = (means.sum() / a + MU / MU_SD**2) / precision, 1 / precision
        square = (means**2).sum() / a + MU**2 / MU_SD**2 - self.mean**2 * precision
        log = -0.5 * (J * np.log(a) + np.log(precision) + square) - J * (n - 1) * np.log(self.sigma)
        log = log - within / (2 * self.sigma**2) + self.u[:, None] + self.v[None]
        p = np.exp(log - log.max()) * tau_pdf(self.tau) * sigma_pdf(self.sigma)
        self.p = p / p.sum()
        # p0 given the rest: shrunken towards μ, and what is not known of μ with it.
        keep = self.tau**2 / a
        self.own = means[0] * keep + self.mean * (1 - keep)
        self.own_variance = self.sigma**2 / n * keep + (1 - keep) ** 2 * self.variance

    def quantiles(self, q):
        by_tau, by_sigma = np.cumsum(self.p.sum(axis=1)), np.cumsum(self.p.sum(axis=0))
        return np.exp(np.interp(q, by_tau, self.u)), np.exp(np.interp(q, by_sigma, self.v))

    def moments(self, q, *, new=True):
        """Mean and sd with both scales below their q quantiles."""
        tau, sigma = self.quantiles(q)
        p = self.p * (self.tau <= tau) * (self.sigma <= sigma)
        p = p / p.sum()
        m, v = (self.mean, self.variance + self.tau**2) if new else (self.own, self.own_variance)
        v = v + self.sigma**2
        base = np.log(360_000)
        # Powers of e beyond numbers lie far beyond the truncation.
        one, two = np.minimum(m - base + v / 2, 300), np.minimum(2 * (m - base) + 2 * v, 600)
        first, second = (p * np.exp(one)).sum(), (p * np.exp(two)).sum()
        return first * np.exp(base), np.sqrt(second - first**2) * np.exp(base)

    def moved(self, *, new=True):
        """By what share mean and sd move between the two truncations."""
        near, far = self.moments(1 - 1e-4, new=new), self.moments(1 - 1e-6, new=new)
        return tuple(abs(b - a) / b for a, b in zip(near, far, strict=True))


def exponential(scale):
    return stats.expon(scale=scale).pdf


def predicted(table, priors, seed, draws=1000, **how):
    post = ph.fit(ph.Model("log(y) ~ 1 + (1 | g)", priors), table, seed=seed, draws=draws)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = post.predict({"g": ["new", "p0"]}, unseen="draw", **how)
    return found, [str(one.message) for one in caught]


CASES = [
    (3, None, exponential(5)),
    (5, None, exponential(5)),
    (6, None, exponential(5)),
    (8, None, exponential(5)),
    (12, None, exponential(5)),
    (3, ["tau ~ HalfNormal(0.5)"], stats.halfnorm(scale=0.5).pdf),
    (3, ["tau ~ HalfNormal(0.25)"], stats.halfnorm(scale=0.25).pdf),
    (4, ["tau ~ HalfCauchy(0.2)"], stats.halfcauchy(scale=0.2).pdf),
    (7, ["tau ~ InverseGamma(2, 0.3)"], stats.invgamma(2, scale=0.3).pdf),
    (5, ["tau ~ Uniform(0, 1)"], stats.uniform(0, 1).pdf),
]


@pytest.mark.parametrize(("places", "priors", "pdf"), CASES, ids=lambda v: str(v) if not callable(v) else "")
def test_moments_are_those_of_quadrature_or_infinite_where_the_tail_decides(places, priors, pdf):
    table = sales(places)
    right = Quadrature(table, pdf, exponential(5))
    found, notes = predicted(table, priors, seed=1)
    for row, new in enumerate((True, False)):
        moved = right.moved(new=new)
        # No case is within a quarter of where the verdict turns, so that it has to be right.
        for name, share, limit in zip(("mean", "sd"), moved, (0.01, 0.05), strict=True):
            assert not 0.8 * limit < share < 1.25 * limit, (name, new, share)
            assert np.isinf(found[name][row]) == (share > limit), (name, new, share)
        mean, sd = right.moments(1 - 1e-6, new=new)
        # 4,000 nearly independent draws of θ know the mean to sd/√4000 at the most, and the sd to a few per cent.
        if moved[0] < 0.01:
            assert found["mean"][row] == pytest.approx(
                mean, abs=5 * right.moments(1 - 1e-4, new=new)[1] / 4000**0.5
            )
        if moved[1] < 0.05:
            assert found["sd"][row] == pytest.approx(sd, rel=0.1)
    assert bool(notes) == (not np.isfinite(found[["mean", "sd"]]).all(axis=None))


def test_every_seed_says_the_same_and_the_median_stays():
    table = sales(3)
    told = [predicted(table, None, seed) for seed in range(4)]
    for found, notes in told:
        assert np.isinf(found["mean"][0])
        assert np.isinf(found["sd"][0])
        assert found["q50"][0] == pytest.approx(told[0][0]["q50"][0], rel=0.05)
        assert np.isfinite(found.loc[1, ["mean", "sd"]].astype(float)).all()
        assert len(notes) == 1
        assert "mean and sd of 1 of 2 rows are infinite" in notes[0]
        assert "tau[Intercept]" in notes[0]
    assert len({notes[0] for _, notes in told}) == 1
    # The negative control: what the draws themselves give differs by orders of magnitude between seeds.
    plain = []
    for seed in range(4):
        post = ph.fit("log(y) ~ 1 + (1 | g)", table, seed=seed)
        plain.append(float(post.expected({"g": ["new"]}, unseen="draw").mean()))
    assert max(plain) > 2 * min(plain)


@pytest.mark.parametrize("places", range(4, 11))
def test_the_verdict_near_where_it_turns_does_not_depend_on_the_seed(places):
    table = sales(places, seed=3)
    told = [predicted(table, None, seed, draws=200)[0] for seed in range(4)]
    for name in ("mean", "sd"):
        assert len({bool(np.isinf(found[name][0])) for found in told}) == 1


@pytest.mark.parametrize("which", ["mean", "sd"])
def test_the_advice_of_the_note_is_true(which):
    """The prior that it names is followed: the moment exists then, and is that of quadrature."""
    table = sales(3)
    _, notes = predicted(table, None, seed=1)
    for_mean, for_sd = HALF_NORMAL.findall(notes[0])
    prior = for_mean if which == "mean" else for_sd
    scale = float(prior.rpartition("(")[2][:-1])
    assert scale < {"mean": 1.0, "sd": 0.5}[which]
    found, after = predicted(table, [prior], seed=2)
    right = Quadrature(table, stats.halfnorm(scale=scale).pdf, exponential(5))
    mean, sd = right.moments(1 - 1e-6)
    assert found["mean"][0] == pytest.approx(mean, abs=5 * right.moments(1 - 1e-4)[1] / 4000**0.5)
    if which == "sd":
        assert found["sd"][0] == pytest.approx(sd, rel=0.1)
        assert after == []


def test_the_advice_for_a_slope_is_divided_by_how_far_out_the_row_is():
    rng = np.random.default_rng(5)
    g = np.repeat(np.arange(4), 5)
    x = rng.normal(size=20)
    slope = 0.1 + 0.05 * rng.normal(size=4)
    table = pd.DataFrame({"g": [f"p{i}" for i in g], "x": x})
    table["y"] = np.exp(12 + slope[g] * x + rng.normal(0, 0.2, 20))
    post = ph.fit("log(y) ~ x + (0 + x | g)", table, seed=1)
    homes = {"g": ["new"], "x": [6.0]}
    with pytest.warns(ph.PriorhoodWarning, match=r"tau\[x\]") as caught:
        found = post.predict(homes, unseen="draw")
    assert np.isinf(found["mean"][0])
    for_mean, for_sd = HALF_NORMAL.findall(str(caught[0].message))
    far = abs(6.0 - post.scale.centre[1]) / post.scale.spread[1]
    scales = [float(prior.rpartition("(")[2][:-1]) for prior in (for_mean, for_sd)]
    assert scales == [pytest.approx(0.5 / far, rel=0.1), pytest.approx(0.25 / far, rel=0.1)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = ph.fit(ph.Model("log(y) ~ x + (0 + x | g)", [for_sd]), table, seed=1).predict(homes, unseen="draw")
    assert np.isfinite(again[["mean", "sd"]].to_numpy(dtype=float)).all()

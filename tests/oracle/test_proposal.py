"""The proposal's density against SciPy's multivariate t, part by part; its draws against its density."""

import importlib

import numpy as np
import pytest
from scipy import stats

from priorhood.engines.exact.proposal import (
    DEGREES,
    GUARD,
    LIGHT,
    NEARLY_NORMAL,
    Mixture,
    Refined,
    _cluster,
    _factor,
    _guarded,
    nearly_normal,
    on_grid,
)

# The package exports the function of this name too.
explore = importlib.import_module("priorhood.engines.exact.sampler")

DIM = 5


@pytest.fixture(scope="module")
def mixture():
    """A fitted mixture with all its guards, of coordinates of very different widths."""
    rng = np.random.default_rng(31)
    theta = rng.standard_t(4, size=(900, DIM)) * 3.0 ** np.arange(-2, DIM - 2) + rng.normal(size=DIM) * 5
    weights = rng.random(900)
    weights /= weights.sum()
    floor = np.cov(theta.T)
    first = Mixture((1.0,), (theta[0],), (_factor(floor, floor),))
    fit = _cluster(theta, weights, floor, 3, rng)
    return _guarded(fit, first, theta, weights, floor, guard=0.16, along=15.0)


def test_density_is_that_of_the_dense_parts(mixture):
    """Drawn out parts, computed as a change of rank one, are t's of their own factors; far tails included."""
    rng = np.random.default_rng(32)
    theta = np.concatenate([mixture.sample(rng, 200), 30 * mixture.sample(rng, 20)])
    assert mixture.drawn_out.size > 2 * DIM
    dense = [
        np.log(weight) + stats.multivariate_t(mean, factor @ factor.T, df=DEGREES).logpdf(theta)
        for weight, mean, factor in zip(mixture.weights, mixture.means, mixture.factors, strict=True)
    ]
    np.testing.assert_allclose(mixture.logpdf_parts(theta), dense, rtol=0, atol=1e-9)
    np.testing.assert_allclose(mixture.logpdf(theta), np.logaddexp.reduce(dense, axis=0), rtol=0, atol=1e-9)
    assert sum(mixture.weights) == pytest.approx(1)


def test_draws_have_the_density(mixture):
    """E_q[r/q] = 1 for any density r: with a t in place of r, within five standard errors of 40,000 draws."""
    theta = mixture.sample(np.random.default_rng(33), 40_000)
    for at in (0, len(mixture.means) - 1):
        part = Mixture((1.0,), (mixture.means[at],), (mixture.factors[at],))
        ratio = np.exp(part.logpdf(theta) - mixture.logpdf(theta))
        error = ratio.std() / np.sqrt(len(ratio))
        assert abs(ratio.mean() - 1) < 5 * error
        assert error < 0.2


def test_draws_of_a_wrong_width_do_not(mixture):
    """Negative control: draws of a mixture a tenth narrower fail the same test."""
    narrow = Mixture(mixture.weights, mixture.means, tuple(0.9 * f for f in mixture.factors))
    theta = narrow.sample(np.random.default_rng(33), 40_000)
    part = Mixture((1.0,), (mixture.means[0],), (mixture.factors[0],))
    ratio = np.exp(part.logpdf(theta) - mixture.logpdf(theta))
    assert abs(ratio.mean() - 1) > 5 * ratio.std() / np.sqrt(len(ratio))


@pytest.fixture(scope="module")
def truth():
    """Mean and covariance of a Normal of very different widths."""
    rng = np.random.default_rng(34)
    factor = np.tril(rng.normal(size=(DIM, DIM))) + 2 * np.eye(DIM)
    return rng.normal(size=DIM), factor @ factor.T


def refined_for(mixture, logpdf):
    theta = mixture.sample(np.random.default_rng(35), 1000)
    first = Mixture((1.0,), mixture.means[:1], mixture.factors[:1])
    return Refined(mixture, first, np.eye(DIM), theta, logpdf(theta) - 1234.5)


def beside(truth):
    """A wide t near a Normal, as curvature gives it, with a part drawn out along every axis."""
    mean, covariance = truth
    factor = _factor(1.2 * covariance, covariance)
    first = Mixture((1.0,), (mean + 0.1,), (factor,))
    theta = first.sample(np.random.default_rng(36), 500)
    return _guarded(first, first, theta, np.full(500, 1 / 500), covariance, guard=0.16, along=15.0)


def test_a_normal_target_is_found_from_heights(truth):
    """Heights tell a Normal to rounding; beside it the guard keeps its share of every density."""
    target = stats.multivariate_normal(*truth)
    refined = refined_for(beside(truth), target.logpdf)
    for slim, degrees in zip(nearly_normal(refined), (NEARLY_NORMAL, LIGHT), strict=True):
        at = slim.degrees.index(degrees)
        mean, factor = on_grid(truth[0], np.linalg.cholesky(truth[1]))
        np.testing.assert_allclose(slim.means[at], mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(slim.factors[at], factor, rtol=0, atol=1e-12)
        theta = np.concatenate([refined.theta, 20 * refined.theta])
        parts = [
            stats.multivariate_t(mean, factor @ factor.T, df=degrees).logpdf(theta),
            refined.mixture.logpdf(theta),
        ]
        dense = np.logaddexp(np.log(1 - GUARD) + parts[0], np.log(GUARD) + parts[1])
        np.testing.assert_allclose(slim.logpdf(theta), dense, rtol=0, atol=1e-6)
        test_draws_have_the_density(slim)
    assert explore._cheaper(refined) is not refined.mixture


def test_the_grid_is_finer_than_the_part(truth):
    """A grid of GRID of the least sd, also of a ridge; what is on it stays there."""
    for covariance in (truth[1], np.array([[1.0, 0.9999], [0.9999, 1.0]]), np.diag([1e-8, 1.0, 1e8])):
        factor = np.linalg.cholesky(covariance)
        mean, rounded = on_grid(np.arange(1.0, len(factor) + 1), factor)
        assert np.linalg.norm(np.linalg.solve(factor, rounded) - np.eye(len(factor)), 2) < 0.02
        assert np.linalg.norm(np.linalg.solve(factor, mean - np.arange(1.0, len(factor) + 1))) < 0.02
        again = on_grid(mean, rounded)
        assert np.array_equal(again[0], mean)
        assert np.array_equal(again[1], rounded)


def test_a_heavy_tailed_target_keeps_its_wide_proposal(truth):
    """Negative control: of a t with 3 degrees a Normal's weights would have a long tail; it is not taken."""
    refined = refined_for(beside(truth), stats.multivariate_t(*truth, df=3).logpdf)
    assert explore._cheaper(refined) is refined.mixture


def test_a_ridge_without_a_peak_gives_no_normal(truth):
    """A density that is lowest in its middle has no Normal's curvature there."""
    refined = refined_for(
        beside(truth), lambda theta: np.abs((theta - truth[0]) @ np.linalg.inv(truth[1])).sum(axis=1)
    )
    assert nearly_normal(refined) == []


def test_spacing_of_weighed_draws_is_that_of_own_draws(truth):
    """One spacing whether a proposal is judged by its own draws or by another one's, weighed."""
    mixture = beside(truth)
    target = stats.multivariate_normal(*truth)
    first = Mixture((1.0,), (mixture.means[0],), (1.3 * mixture.factors[0],))
    own = first.sample(np.random.default_rng(37), 20_000)
    other = mixture.sample(np.random.default_rng(38), 20_000)
    share = np.exp(first.logpdf(other) - mixture.logpdf(other))
    weighed = explore._spacing(target.logpdf(other) - first.logpdf(other), share)
    assert weighed == explore._spacing(target.logpdf(own) - first.logpdf(own))
    assert weighed > explore._spacing(target.logpdf(other) - mixture.logpdf(other))

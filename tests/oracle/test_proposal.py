"""The proposal's density against SciPy's multivariate t, part by part; its draws against its density."""

import numpy as np
import pytest
from scipy import stats

from priorhood.exact.proposal import DEGREES, Mixture, _cluster, _factor, _guarded

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

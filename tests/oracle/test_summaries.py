"""Places without draws: equation (10) against matrices written out, summaries against the mixture itself."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import ndtr

from cases import named_cases, random_case
from priorhood.engines.draws import QUANTILES
from priorhood.engines.exact.effects import coefficient_columns, draw_effects
from priorhood.engines.exact.marginal import collapse
from priorhood.engines.exact.summaries import ACCURACY, APART, LAST_TERMS, cornish_fisher, cumulants, leaves_of
from priorhood.engines.exact.theta import constrain, from_prior

CASES = {name: case for name, case in named_cases().items() if case.problem.levels}


def leaves(case, theta):
    """The leaves given draws of all above them, and those draws."""
    values = constrain(case.problem, theta)
    found = draw_effects(collapse(case.problem), values, np.random.default_rng(2), finest=False)
    assert not found.levels[0].size
    return leaves_of(case.problem, values, found.mu, found.levels[1:], found.crossed), values


def around(count, centre, width, seed=5):
    """θ as a posterior has it: Normal, not too wide."""
    return centre + width * np.random.default_rng(seed).standard_normal((count, len(centre)))


def written_out(own, values):
    """Mean (J, K, S) and covariance (J, S, K, K) of every leaf's varying coefficients, by inverses."""
    problem, cols = own.problem, own.cols
    other = np.setdiff1d(np.arange(problem.D), cols)
    S, K, J = len(own.sigma), len(cols), problem.J
    mean, cov = np.empty((J, K, S)), np.empty((J, S, K, K))
    for j in range(J):
        A, b = problem.A[:, :, j], problem.b[:, j]
        for s in range(S):
            above, precision = own.above[own.parent[j], :, s], values.sigma[s] ** -2.0
            factor = values.tau[0][s][:, None] * values.corr[0][s]
            # In the effects' own units, so that a spread of next to nothing has no inverse to lose.
            inverse = np.eye(K) + precision * factor.T @ A[np.ix_(cols, cols)] @ factor
            score = (
                precision
                * factor.T
                @ (b[cols] - A[np.ix_(cols, cols)] @ above[cols] - A[np.ix_(cols, other)] @ above[other])
            )
            mean[j, :, s] = above[cols] + factor @ np.linalg.solve(inverse, score)
            cov[j, s] = factor @ np.linalg.solve(inverse, factor.T)
    return mean, cov


@pytest.mark.parametrize("name", CASES)
def test_conditionals_are_those_written_out(name):
    case = CASES[name]
    own, values = leaves(case, from_prior(case.problem, 4, np.random.default_rng(1)))
    mean, variance = own.conditionals(np.arange(case.problem.J))
    want, cov = written_out(own, values)
    scale = np.abs(want).max() + np.sqrt(cov.max())
    np.testing.assert_allclose(mean, want, rtol=1e-8, atol=1e-9 * scale)
    np.testing.assert_allclose(variance, np.einsum("jskk->jks", cov), rtol=1e-8, atol=1e-18 * scale**2)


def quantile(p, mean, sd):
    """Of a mixture of Normals, by bisection."""
    reach = 9 * sd.max()
    return brentq(lambda t: ndtr((t - mean) / sd).mean() - p, mean.min() - reach, mean.max() + reach, xtol=1e-13)


MIXTURES = {
    "many rows": (random_case(np.random.default_rng(3), J=140, most=40, D=2), 0.1),
    "few rows": (random_case(np.random.default_rng(4), J=7, most=2, D=2), 0.4),
    "wide": (random_case(np.random.default_rng(5), J=6, most=3, D=3), 1.5),
    "nested": (CASES["nested"], 0.3),
    "spread near 0 at times": (CASES["known errors, one row a group"], 3.0),
    "six terms": (CASES["six terms"], 0.2),
}


@pytest.mark.parametrize("name", MIXTURES)
def test_summaries_are_those_of_the_mixture(name):
    case, width = MIXTURES[name]
    theta = from_prior(case.problem, 1, np.random.default_rng(8))[0]
    own, _ = leaves(case, around(300, 0.3 * theta, width))
    found = own.summarize(QUANTILES)
    mean, variance = own.conditionals(np.arange(case.problem.J))
    shift = case.problem.shift[own.cols]
    total = mean.mean(axis=2)
    sd = np.sqrt(variance.mean(axis=2) + mean.var(axis=2))
    K = len(own.cols)
    np.testing.assert_allclose(found.mean[:, :K], total + shift, rtol=1e-10, atol=1e-10 * sd.max())
    np.testing.assert_allclose(found.sd[:, :K], sd, rtol=1e-9)
    errors = []
    for j in range(min(case.problem.J, 30)):
        for k in range(K):
            exact = [quantile(p, mean[j, k], np.sqrt(variance[j, k])) + shift[k] for p in QUANTILES]
            errors.append(np.abs(found.quantiles[j, k] - exact).max() / sd[j, k])
    assert max(errors) < ACCURACY


def test_inherited_coefficients_are_the_parents():
    """A column that varies by district alone is the district's in every place."""
    rng = np.random.default_rng(6)
    case = random_case(rng, J=7, D=3, cols=(0,), parents=np.array([0, 0, 0, 1, 1, 2, 2]))
    upper = case.problem.levels[1]
    wider = type(upper)(np.array([0, 2]), upper.tau * 2, None, upper.starts)
    problem = type(case.problem)(**{**case.problem.__dict__, "levels": (case.problem.levels[0], wider)})
    values = constrain(problem, around(200, np.zeros(4), 0.2))
    found = draw_effects(collapse(problem), values, np.random.default_rng(2), finest=False)
    own = leaves_of(problem, values, found.mu, found.levels[1:], found.crossed)
    told = own.summarize(QUANTILES)
    assert coefficient_columns(problem, 0).tolist() == [0, 2]
    parents = found.levels[1][:, 1, [0, 0, 0, 1, 1, 2, 2]]
    np.testing.assert_allclose(told.mean[:, 1], parents.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(told.sd[:, 1], parents.std(axis=0), rtol=1e-12)
    np.testing.assert_allclose(told.quantiles[:, 1], np.quantile(parents, QUANTILES, axis=0).T, rtol=1e-12)
    drawn = own.draw(np.array([5, 0]), rng.standard_normal((200, 1, 2)))
    np.testing.assert_allclose(drawn[:, 1], parents[:, [5, 0]], rtol=1e-12)


@pytest.mark.parametrize("name", ["plain", "nested, many terms", "weighted", "no intercept", "known noise"])
def test_draws_on_demand_have_the_conditionals_moments(name):
    """Means and covariances of 20,000 draws at one θ each; limits at 5 standard errors: 1 false alarm in 10,000."""
    case, S = CASES[name], 20_000
    theta = np.repeat(from_prior(case.problem, 1, np.random.default_rng(1)), S, axis=0)
    own, values = leaves(case, theta)
    own.above[:] = own.above[:, :, :1]
    places = np.arange(case.problem.J)
    z = np.random.default_rng(3).standard_normal((S, len(own.cols), len(places)))
    drawn = own.draw(places, z)[:, : len(own.cols)] - case.problem.shift[own.cols, None]
    one = type(own)(own.problem, own.above[:, :, :1], own.lam[:1], own.sigma[:1], own.parent)
    mean, cov = written_out(
        one, type(values)(tuple(t[:1] for t in values.tau), tuple(c[:1] for c in values.corr), values.sigma[:1])
    )
    sd = np.sqrt(np.einsum("jskk->jk", cov))
    assert (np.abs(drawn.mean(axis=0).T - mean[:, :, 0]) < 5 * sd / np.sqrt(S)).all()
    for j in places:
        error = np.cov(drawn[:, :, j].T).reshape(cov[j, 0].shape) - cov[j, 0]
        assert (np.abs(error) < 5 * np.outer(sd[j], sd[j]) * np.sqrt(2 / S)).all()


def test_a_places_bits_do_not_depend_on_other_places_or_threads():
    case = MIXTURES["many rows"][0]
    own, _ = leaves(case, around(64, np.zeros(4), 0.2))
    z = np.random.default_rng(1).standard_normal((64, 2, 140))
    every = own.draw(np.arange(140), z)
    some = np.array([139, 3, 77])
    np.testing.assert_array_equal(own.draw(some, z[:, :, some]), every[:, :, some])
    one, four = own.summarize(QUANTILES), own.summarize(QUANTILES, threads=4)
    for name in ("mean", "sd", "quantiles"):
        np.testing.assert_array_equal(getattr(one, name), getattr(four, name))


def mixtures(rng, count):
    """Means and variances of components: nearly Normal, skewed, heavy-tailed, in two lumps, few and lumpy."""
    for _ in range(count):
        S, size, c = int(rng.choice([50, 200, 1000])), 10 ** rng.uniform(-2, 0.3), 10 ** rng.uniform(-2, -0.2)
        kind = rng.integers(4)
        x = (rng.standard_normal(S), rng.exponential(size=S) - 1, rng.choice([-1.0, 1.0], S))[max(kind - 1, 0)]
        yield size * x, np.exp(c * (x if kind % 2 else rng.standard_normal(S)))


def test_the_expansion_is_accurate_wherever_it_is_taken():
    """And is not taken everywhere, since it is not accurate everywhere."""
    worst, taken, refused = 0.0, 0, 0.0
    for x, v in mixtures(np.random.default_rng(9), 400):
        powers = np.array([
            x, x**2 + v, x**3 + 3 * x * v, x**4 + 6 * x**2 * v + 3 * v**2, x**5 + 10 * x**3 * v + 15 * x * v**2,
            x**6 + 15 * x**4 * v + 45 * x**2 * v**2 + 15 * v**3,
        ]).mean(axis=1)  # fmt: skip
        centre, sd, standard = (one[..., 0, 0] for one in cumulants(powers[None, :, None]))
        score, last = cornish_fisher(standard, QUANTILES)
        exact = [quantile(p, x, np.sqrt(v)) for p in QUANTILES]
        error = np.abs(centre + sd * score - exact).max() / sd
        if last < LAST_TERMS and v.mean() > (1 - APART) * sd**2:
            worst, taken = max(worst, error), taken + 1
        else:
            refused = max(refused, error)
    assert taken > 100
    assert worst < ACCURACY
    assert refused > 20 * ACCURACY

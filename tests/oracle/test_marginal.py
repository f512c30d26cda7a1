"""Equation (9) and (10) against the dense Normal of all rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cases import named_cases, pose_rows, random_case
from oracle import dense
from priorhood.engines.exact.effects import coefficient_columns, draw_effects
from priorhood.engines.exact.marginal import collapse, log_marginal
from priorhood.engines.exact.theta import Theta, constrain, from_prior
from priorhood.model.priors import Exponential, Fixed

CASES = named_cases()


def thetas(case, count=4):
    """θ drawn from the prior, with extreme spreads beside them."""
    theta = from_prior(case.problem, count, np.random.default_rng(1))
    extreme = theta[:2].copy()
    if case.problem.levels and case.problem.levels[0].free:
        extreme[0, 0] = -30.0  # a spread of next to nothing
        extreme[1, 0] = 6.0  # and a huge one
    return np.concatenate([theta, extreme])


def dense_log_density(case, values, at):
    problem = case.problem
    leaf, root, cov = dense.coefficients(
        problem.root_cols, problem.root_sd, case.covariances(values, at), problem.D
    )
    return dense.log_density(case.y, case.X, case.group, leaf, root, cov, case.root_mean, case.noise(values, at))


@pytest.mark.parametrize("name", CASES)
def test_log_marginal_is_the_dense_normal(name):
    case = CASES[name]
    values = constrain(case.problem, thetas(case))
    got = log_marginal(collapse(case.problem), values)
    want = [dense_log_density(case, values, at) for at in range(len(got))]
    np.testing.assert_allclose(got, want, rtol=1e-9)


@pytest.mark.parametrize("ratio", [1e-1, 1e-3, 1e-5])
def test_one_row_a_place_and_spreads_far_above_sigma(ratio):
    """Where every A has rank one, and what is 0 but for rounding meets factors of (τ/σ)⁴.

    The rows are independent given μ, so the density is that of a weighted regression, which QR solves without
    loss. What may be lost is the rounding of each A, times the places' variance in that of σ; |A||Σ̃| multiplied out
    loses its square.
    """
    rng = np.random.default_rng(5)
    case = random_case(rng, J=40, most=1, D=2, cols=(0, 1), correlated=True)
    values = constrain(case.problem, from_prior(case.problem, 6, rng))
    values = replace(values, sigma=ratio * values.tau[0].min(axis=1))
    collapsed = collapse(case.problem)
    assert collapsed.places is not None
    want, multiplied = [], []
    for at in range(len(values.sigma)):
        cov = case.covariances(values, at)[0][-1]
        across = np.einsum("nd,de,ne->n", case.X, cov, case.X)
        multiplied.append(across.max() / values.sigma[at] ** 2)
        sd = np.sqrt(values.sigma[at] ** 2 + across)
        prior = case.problem.root_sd
        X = np.vstack([case.X / sd[:, None], np.diag(1.0 / prior)])
        y = np.concatenate([case.y / sd, case.root_mean / prior])
        q, r = np.linalg.qr(X)
        rest = y - q @ (q.T @ y)
        logdet = np.log(sd).sum() + np.log(np.abs(np.diag(r))).sum() + np.log(prior).sum()
        want.append(-0.5 * rest @ rest - logdet - 0.5 * len(case.y) * np.log(2 * np.pi))
    for way in (collapsed, replace(collapsed, places=None)):
        error = np.abs(log_marginal(way, values) - want)
        assert (error < 20 * np.finfo(float).eps * len(case.y) * np.array(multiplied)).all()


def test_many_random_cases():
    rng = np.random.default_rng(7)
    for _ in range(90):
        D = int(rng.integers(1, 6))
        cols = np.sort(rng.choice(D, rng.integers(1, D + 1), replace=False))
        case = random_case(
            rng, J=int(rng.integers(1, 12)), most=int(rng.integers(1, 6)), D=D, cols=tuple(cols),
            correlated=bool(rng.integers(2)), offset=10.0 ** rng.integers(0, 6),
            decades=rng.choice([None, 2.0, 6.0]), sigma=rng.choice([None, Fixed(0.3)]),
            tau=tuple(rng.choice([Exponential(1), Fixed(2)], len(cols))),
        )  # fmt: skip
        values = constrain(case.problem, from_prior(case.problem, 2, rng))
        got = log_marginal(collapse(case.problem), values)
        np.testing.assert_allclose(got, [dense_log_density(case, values, at) for at in range(2)], rtol=1e-9)


def test_weights_of_one_change_nothing():
    """And weights are no more than a way to write the rows' own errors: w and σ trade places."""
    plain, rng = CASES["plain"], np.random.default_rng(8)
    values = constrain(plain.problem, thetas(plain))
    want = log_marginal(collapse(plain.problem), values)
    for weights, sigma in ((np.ones(len(plain.y)), 1.0), (np.full(len(plain.y), 1e-8), 1e-4)):
        case = pose_rows(plain.X, plain.y, plain.group, plain.problem.J, weights=weights)
        scaled = Theta(values.tau, values.corr, values.sigma * sigma)
        np.testing.assert_allclose(log_marginal(collapse(case.problem), scaled), want, rtol=1e-10)
    # Negative control: one row that counts a millionth more.
    weights = np.ones(len(plain.y))
    weights[rng.integers(len(weights))] += 1e-6
    case = pose_rows(plain.X, plain.y, plain.group, plain.problem.J, weights=weights)
    assert np.abs(log_marginal(collapse(case.problem), values) / want - 1).max() > 1e-9


def test_a_wrong_sum_is_seen():
    """Negative control: one part in 10⁶ of one sum is a difference that the test above catches."""
    case = CASES["plain"]
    values = constrain(case.problem, thetas(case, 2))
    right = log_marginal(collapse(case.problem), values)
    case.problem.b[1, 2] *= 1 + 1e-6
    try:
        wrong = log_marginal(collapse(case.problem), values)
    finally:
        case.problem.b[1, 2] /= 1 + 1e-6
    assert np.abs(wrong / right - 1).max() > 1e-9


def test_threads_and_batches_do_not_change_a_bit():
    case = CASES["many groups"]
    theta = from_prior(case.problem, 400, np.random.default_rng(3))
    collapsed = collapse(case.problem)
    whole = log_marginal(collapsed, constrain(case.problem, theta), threads=2)
    single = [log_marginal(collapsed, constrain(case.problem, t[None]))[0] for t in theta]
    assert np.array_equal(whole, single)


# -- coefficients ---------------------------------------------------------------------------------------

DRAWS = 20_000


def repeated(values: Theta, at: int) -> Theta:
    return Theta(
        tuple(np.repeat(t[at : at + 1], DRAWS, 0) for t in values.tau),
        tuple(np.repeat(c[at : at + 1], DRAWS, 0) for c in values.corr),
        np.repeat(values.sigma[at : at + 1], DRAWS),
    )


@pytest.mark.parametrize("name", CASES)
def test_coefficients_given_theta_have_the_conditional_moments(name):
    """Means, variances and correlations of all coefficients together.

    Whitened by the dense conditional covariance the draws are standard Normal: their squared length
    sums to a chi-square with DRAWS × dim degrees of freedom, their mean's to one with dim. Two tests a
    case at 1e-4 each: the suite's false-alarm rate is below 0.5 %, once, since seeds are fixed.
    """
    case = CASES[name]
    problem = case.problem
    values = constrain(problem, thetas(case, 2))
    found = draw_effects(collapse(problem), repeated(values, 0), np.random.default_rng(5), threads=2)
    leaf, root, cov = dense.coefficients(problem.root_cols, problem.root_sd, case.covariances(values, 0), problem.D)
    mean, covariance = dense.conditional(
        case.y, case.X, case.group, leaf, root, cov, case.root_mean, case.noise(values, 0)
    )
    pick = list(problem.root_cols)
    draws = [found.mu]
    if problem.levels:
        # A few groups: the covariance of all of many cannot be inverted.
        for j in range(min(problem.J, 6)):
            pick += [problem.D * (1 + j) + c for c in coefficient_columns(problem, 0)]
            draws.append(found.levels[0][:, :, j])
    joined = np.concatenate(draws, axis=1)
    C = covariance[np.ix_(pick, pick)]
    scale = np.sqrt(np.diag(C))
    eigenvalues, vectors = np.linalg.eigh(C / np.outer(scale, scale))
    # Directions without variance (a coefficient without population part repeats another) are left out.
    keep = eigenvalues > 1e-8
    white = ((joined - mean[pick]) / scale) @ vectors[:, keep] / np.sqrt(eigenvalues[keep])
    dim = int(keep.sum())
    assert stats.chi2.sf(DRAWS * (white.mean(0) ** 2).sum(), dim) > 1e-4
    spread = (white**2).sum()
    assert 5e-5 < stats.chi2.cdf(spread, DRAWS * dim) < 1 - 5e-5
    correlation = np.corrcoef(white.T).reshape(dim, dim)[np.tril_indices(dim, -1)]
    assert np.abs(correlation).max(initial=0.0) * np.sqrt(DRAWS) < stats.norm.isf(1e-4 / max(len(correlation), 1))


def test_draws_do_not_depend_on_threads():
    case = CASES["nested"]
    values = constrain(case.problem, from_prior(case.problem, 500, np.random.default_rng(0)))
    one = draw_effects(collapse(case.problem), values, np.random.default_rng(9), threads=1)
    two = draw_effects(collapse(case.problem), values, np.random.default_rng(9), threads=3)
    assert np.array_equal(one.mu, two.mu)
    assert all(map(np.array_equal, one.levels, two.levels))


def test_dimension_counts_the_coordinates():
    assert CASES["plain"].problem.dim == 4
    assert CASES["four terms"].problem.dim == 4 + 6 + 1
    assert CASES["pooled"].problem.dim == 1
    assert CASES["known errors"].problem.dim == 3
    assert CASES["known spreads, correlation to learn"].problem.dim == 2
    assert CASES["first spread known"].problem.dim == 3
    assert CASES["all known"].problem.dim == 0


def test_known_scales_are_themselves():
    problem = CASES["second spread known"].problem
    values = constrain(problem, np.array([[0.1, 0.2, 0.3], [1.1, 1.2, 1.3]]))
    np.testing.assert_allclose(values.tau[0], [[np.exp(0.1), 0.5], [np.exp(1.1), 0.5]])
    np.testing.assert_allclose(values.sigma, np.exp([0.3, 1.3]))
    np.testing.assert_array_equal(constrain(CASES["all known"].problem, np.zeros((2, 0))).sigma, 0.5)

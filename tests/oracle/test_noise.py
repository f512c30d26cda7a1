"""A residual sd for every group: equations (10) and (11) against dense Normals and quadrature."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from oracle import noise as oracle
from oracle.noise_cases import INDEPENDENT, LEARNED, log_prior_of, noisy, with_noise
from priorhood.engines import exact
from priorhood.engines.exact import PooledNoise, UnpooledNoise
from priorhood.engines.exact.group_noise import (
    GroupNoiseDensity,
    NoisyTheta,
    draw_groups,
    kernel_priors,
    log_marginal,
)
from priorhood.engines.exact.kernels import noise_integral
from priorhood.engines.exact.theta import factors
from priorhood.model.priors import Exponential, Fixed, Gamma, HalfCauchy, HalfNormal

Z = 4.5
SPREADS = [1e-10, 1e-6, 1e-3, 0.02, 0.1, 0.3, 1.0, 3.0, 10.0, 25.0]
PRIORS = [LEARNED, *map(UnpooledNoise, INDEPENDENT)]


def few_rows(rng):
    group = np.repeat(np.arange(6), [1, 1, 2, 3, 5, 40])
    X = np.column_stack([np.ones(len(group)), rng.normal(size=len(group))])
    y = X @ [1.0, 0.5] + rng.normal(size=len(group))
    y[0] += 15.0  # a lone row far from all others
    y[-40:] *= 0.2
    return noisy(X, y, group, 6)


def columns_of_the_population(rng):
    group = np.repeat(np.arange(5), [1, 2, 4, 6, 9])
    X = np.column_stack([np.ones(len(group)), rng.normal(size=(len(group), 3))])
    return noisy(X, X @ [1, 0.5, -1, 2] + rng.normal(size=len(group)), group, 5, cols=(0, 2))


def three_terms(rng):
    group = np.repeat(np.arange(4), [2, 3, 5, 12])
    X = np.column_stack([np.ones(len(group)), rng.normal(size=(len(group), 2))])
    return noisy(X, rng.normal(size=len(group)), group, 4, cols=(0, 1, 2))


def weighted(rng):
    group = np.repeat(np.arange(4), [1, 2, 4, 9])
    X = np.column_stack([np.ones(len(group)), rng.normal(size=len(group))])
    return noisy(X, rng.normal(size=len(group)), group, 4, weights=10.0 ** rng.uniform(-1, 1, len(group)))


def slopes_through_the_origin(rng):
    group = np.repeat(np.arange(4), [1, 2, 4, 9])
    X = rng.normal(3.0, 1.0, size=(len(group), 1))
    y = 2 * X[:, 0] + rng.normal(size=len(group))
    return noisy(X, y, group, 4, cols=(0,), constant=None)


def far_offset(rng):
    group = np.repeat(np.arange(4), [1, 2, 4, 9])
    X = np.column_stack([np.ones(len(group)), 2000 + rng.normal(size=len(group))])
    return noisy(X, 1e4 + 3 * X[:, 1] + rng.normal(size=len(group)), group, 4, root_sd=1e5)


def a_constant_predictor_and_one_outcome_alike(rng):
    group = np.repeat(np.arange(3), [3, 2, 6])
    X = np.column_stack([np.ones(len(group)), rng.normal(size=len(group))])
    X[:3, 1] = 0.4
    y = rng.normal(size=len(group))
    y[3:5] = y[3]
    return noisy(X, y, group, 3)


MAKERS = [few_rows, columns_of_the_population, three_terms, weighted, slopes_through_the_origin, far_offset,
          a_constant_predictor_and_one_outcome_alike]  # fmt: skip


def thetas(problem, rng, spreads=SPREADS):
    """θ around the data, under every spread of log σ_j, some with next to no or huge τ."""
    theta = np.zeros((len(spreads), problem.dim))
    F, K = len(problem.base.root_cols), problem.base.levels[0].K
    theta[:, : problem.dim] = rng.normal(size=theta.shape)
    theta[:, F : F + K] = rng.uniform(-4.0, 1.0, (len(spreads), K))
    theta[:2, F : F + K] = [[-20.0], [-8.0]]
    theta[2, F] = 5.0
    if isinstance(problem.noise, PooledNoise):
        theta[:, -1] = np.log(spreads)
    return theta


def dense(case, problem, values: NoisyTheta, at: int) -> list:
    """Every group's grid of log σ, heights and log integral under the at-th θ."""
    base = problem.base
    factor = values.scales.tau[0][at][:, None] * values.scales.corr[0][at]
    prior, centre, width = log_prior_of(problem.noise, values.median[at], values.spread[at])
    found = []
    for j in range(base.J):
        own = case.group == j
        rows = (case.y[own], case.X[own], case.weights[own])
        mean = values.beta[at] + base.shift
        found.append(
            oracle.group_posterior(*rows, base.levels[0].cols, factor @ factor.T, mean, prior, centre, width)
        )
    return found


@pytest.mark.parametrize(
    ("make", "noise"),
    # Every prior and all rows once; each with each in `make long`.
    [
        pytest.param(make, noise, marks=[] if few_rows is make or noise is LEARNED else pytest.mark.long)
        for make in MAKERS
        for noise in PRIORS
    ],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_log_marginal_is_the_integral_of_dense_normals(make, noise):
    case, problem = make(np.random.default_rng(31))
    problem = with_noise(problem, noise)
    values = GroupNoiseDensity(problem, 1).constrain(thetas(problem, np.random.default_rng(32)))
    got = log_marginal(problem, values)
    want = [sum(one[2] for one in dense(case, problem, values, at)) for at in range(len(got))]
    # A far offset costs the dense sums digits, not the engine's.
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=2e-6 if make is far_offset else 1e-7)


@pytest.mark.parametrize(
    "prior", [HalfNormal(1e-2), Exponential(1e-3), HalfCauchy(1e-5), Gamma(2.0, 1e-3)], ids=str
)
def test_a_prior_far_below_the_rows(prior):
    """The integrand is narrow and far above the prior's own place: right, and of few nodes from there on.

    Nearer to 0 than these priors, sigma leaves neither the dense sums nor ours the digits to compare.
    """
    case, problem = few_rows(np.random.default_rng(31))
    problem = with_noise(problem, UnpooledNoise(prior))
    values = GroupNoiseDensity(problem, 1).constrain(thetas(problem, np.random.default_rng(32)))
    grids = [dense(case, problem, values, at) for at in range(len(values.beta))]
    want = [sum(g[2] for g in one) for one in grids]
    np.testing.assert_allclose(log_marginal(problem, values), want, rtol=1e-9, atol=1e-7)
    rows, (priors, _) = problem.rows, kernel_priors(problem.noise, values)
    for j in np.flatnonzero(rows.rss > 0):
        G, d, e, norm = noise_integral.space(rows.R.shape[1], problem.base.levels[0].K)
        lam = factors(problem.base, values.scales)[5, 0]
        cols, rank = problem.base.levels[0].cols, rows.rank[j]
        noise_integral.rotate(rows.R[j], rows.z[j], rank, lam, cols, values.beta[5], G, d, e)
        own = noise_integral.LogPrior(*priors[5])
        _, x, h = noise_integral.log_integral(own, rows.rest[j], rows.rss[j], rank, d, e, norm)
        t, heights, _ = grids[5][j]
        assert (t[np.argmax(heights)] - x) / h < 150


def test_a_wrong_sum_is_seen():
    """Negative control: one part in 10⁶ of one pseudo-row."""
    _, problem = few_rows(np.random.default_rng(31))
    values = GroupNoiseDensity(problem, 1).constrain(thetas(problem, np.random.default_rng(32)))
    right = log_marginal(problem, values)
    problem.rows.z[5, 1] *= 1 + 1e-6
    assert np.abs(log_marginal(problem, values) - right).max() > 1e-7


def test_many_groups_are_the_sum_of_each():
    """A thousand, most of one row and one of 500."""
    rng = np.random.default_rng(33)
    group = np.concatenate([np.arange(999), np.full(500, 999)])
    X = np.column_stack([np.ones(len(group)), rng.normal(size=len(group))])
    case, problem = noisy(X, rng.standard_t(2, size=len(group)), group, 1000)
    base, rows = problem.base, problem.rows
    values = GroupNoiseDensity(problem, 2).constrain(thetas(problem, rng, [1e-3, 0.5, 3.0]))
    alone = np.empty((1000, 3))
    for j in range(1000):
        one = replace(rows, **{k: getattr(rows, k)[[j]] for k in ("R", "z", "rank", "rest", "rss")})
        n = float(rows.rank[j] + rows.rest[j])
        alone[j] = log_marginal(
            replace(problem, base=replace(base, A=base.A[:, :, [j]], b=base.b[:, [j]], N=n), rows=one), values
        )
    np.testing.assert_allclose(log_marginal(problem, values, threads=2), alone.sum(axis=0), rtol=1e-12)
    for j in (0, 500, 999):
        own = group == j
        small, its = noisy(X[own], case.y[own], np.zeros(own.sum(), int), 1)
        shifted = replace(values, beta=values.beta + base.shift - its.base.shift)
        want = [dense(small, its, shifted, at)[0][2] for at in range(3)]
        np.testing.assert_allclose(alone[j], want, rtol=1e-9, atol=1e-7)


def test_threads_and_batches_do_not_change_a_bit():
    _, problem = few_rows(np.random.default_rng(31))
    theta = np.repeat(thetas(problem, np.random.default_rng(34)), 300, axis=0)
    density = GroupNoiseDensity(problem, 3)
    whole = density(theta)
    assert np.array_equal(whole[::300], [GroupNoiseDensity(problem, 1)(t[None])[0] for t in theta[::300]])
    values = density.constrain(theta)
    one = draw_groups(problem, values, np.random.default_rng(9), threads=1)
    two = draw_groups(problem, values, np.random.default_rng(9), threads=3)
    assert np.array_equal(one[0], two[0])
    assert np.array_equal(one[1], two[1])


# -- draws given θ --------------------------------------------------------------------------------------

DRAWS = 20_000


def many(problem, values: NoisyTheta, at: int):
    """σ_j and β_j, drawn DRAWS times under one θ."""
    S = DRAWS
    scales = replace(
        values.scales, tau=(np.repeat(values.scales.tau[0][[at]], S, 0),),
        corr=(np.repeat(values.scales.corr[0][[at]], S, 0),), sigma=np.ones(S),
    )  # fmt: skip
    repeated = NoisyTheta(
        np.repeat(values.beta[[at]], S, 0), scales, np.repeat(values.median[at], S), np.repeat(values.spread[at], S)
    )
    return draw_groups(problem, repeated, np.random.default_rng([5, at]), threads=2)


def uniform_ranks(case, problem, values, at):
    """What should be uniform: σ through its distribution function, β through its Normal given that σ."""
    sigma, beta = many(problem, values, at)
    base = problem.base
    cols = base.levels[0].cols
    factor = values.scales.tau[0][at][:, None] * values.scales.corr[0][at]
    mean = values.beta[at] + base.shift
    found = []
    for j, (t, heights, _) in enumerate(dense(case, problem, values, at)):
        mass = np.cumsum(np.exp(heights - heights.max()))
        found.append(np.interp(np.log(sigma[:, j]), t, mass / mass[-1]))
        own = case.group == j
        load = case.X[own][:, cols] @ factor
        residual = case.y[own] - case.X[own] @ mean
        V = load @ load.T + sigma[:, j, None, None] ** 2 * np.diag(1 / case.weights[own])
        gain = np.linalg.solve(V, np.broadcast_to(load, (DRAWS, *load.shape))).swapaxes(1, 2)
        covariance = factor @ (np.eye(len(cols)) - gain @ load) @ factor.T
        off = beta[:, :, j] - mean[cols] - gain @ residual @ factor.T
        found += [stats.norm.cdf(off[:, k] / np.sqrt(covariance[:, k, k])) for k in range(len(cols))]
    return found


@pytest.mark.parametrize("noise", PRIORS[:2], ids=str)
@pytest.mark.parametrize(
    "make",
    [
        few_rows,
        *(pytest.param(m, marks=pytest.mark.long) for m in (columns_of_the_population, three_terms, weighted)),
    ],
)
def test_draws_given_theta_have_their_distribution(make, noise):
    """Kolmogorov–Smirnov at 1e-4 over all quantities of a case (Bonferroni); seeds are fixed."""
    case, problem = make(np.random.default_rng(31))
    problem = with_noise(problem, noise)
    values = GroupNoiseDensity(problem, 1).constrain(
        thetas(problem, np.random.default_rng(35), [0.02, 0.5, 0.9, 3.0])
    )
    for at in (2, 3):
        found = [stats.kstest(ranks, "uniform").pvalue for ranks in uniform_ranks(case, problem, values, at)]
        assert min(found) > 1e-4 / len(found), (at, found)


@pytest.mark.parametrize("center", [0.3, 1.0, 8.0])
@pytest.mark.parametrize("make", [few_rows, pytest.param(three_terms, marks=pytest.mark.long)])
def test_draws_under_a_prior_narrower_than_the_step(make, center):
    """The first step is then too long: it is halved alike for every draw, wherever the draw's nodes lie.

    Halved by the draw's own nodes, shares of σ were off by up to 0.06. Kolmogorov–Smirnov as above.
    """
    case, problem = make(np.random.default_rng(31))
    problem = with_noise(problem, UnpooledNoise(Gamma(200, center / 200)))
    values = GroupNoiseDensity(problem, 1).constrain(
        thetas(problem, np.random.default_rng(35), [0.02, 0.5, 0.9, 3.0])
    )
    found = [stats.kstest(ranks, "uniform").pvalue for ranks in uniform_ranks(case, problem, values, 2)]
    assert min(found) > 1e-4 / len(found), found


def test_draws_on_a_grid_are_seen(monkeypatch):
    """Negative control: nodes that do not move leave a trace."""
    case, problem = few_rows(np.random.default_rng(31))
    values = GroupNoiseDensity(problem, 1).constrain(
        thetas(problem, np.random.default_rng(35), [0.02, 0.5, 0.9, 3.0])
    )
    kernel = noise_integral._draw_noise

    def still(*args):
        args[9][:, 0] = 0.5
        return kernel(*args)

    monkeypatch.setattr(noise_integral, "_draw_noise", still)
    ranks = uniform_ranks(case, problem, values, 3)
    assert min(stats.kstest(r, "uniform").pvalue for r in ranks) < 1e-10


# -- the posterior of θ -----------------------------------------------------------------------------------


def alone(noise, tau, seed):
    """Three groups of intercepts only."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(3), [2, 3, 5])
    X = np.ones((10, 1))
    return noisy(
        X, rng.normal(size=10) * [1, 1, 2, 2, 2, 0.3, 0.3, 0.3, 0.3, 0.3], group, 3, noise, cols=(0,), tau=tau
    )


GRIDS = [
    (UnpooledNoise(Exponential(1)), HalfNormal(1), ([-9, -14], [9, 3]), 401),
    (UnpooledNoise(HalfNormal(1)), Fixed(0.7), ([-9], [9]), 2001),
    (PooledNoise(Exponential(1), HalfNormal(1)), Fixed(0.7), ([-8, -6, -11], [8, 4, 2.2]), 71),
    (PooledNoise(HalfCauchy(1), Fixed(0.5)), Exponential(1), ([-9, -14, -5], [9, 3.5, 4]), 71),
    (PooledNoise(Fixed(0.8), Gamma(2, 0.3)), Fixed(0.7), ([-9, -6], [9, 3]), 401),
]


@pytest.mark.parametrize(("noise", "tau", "bounds", "points"), GRIDS, ids=lambda x: str(x) if "(" in str(x) else "")
def test_draws_and_evidence_are_those_of_quadrature(noise, tau, bounds, points):
    """Shares below the grid's quantiles, as in test_evidence: Z = 4.5, seeds fixed."""
    _, problem = alone(noise, tau, 41)
    assert exact.unsupported_reason(problem) is None
    density = GroupNoiseDensity(problem, 2)
    axes = [np.linspace(a, b, points) for a, b in zip(*bounds, strict=True)]
    theta = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
    log_p = density(theta)
    weights = np.exp(log_p - log_p.max())
    evidence = float(log_p.max() + np.log(weights.sum() * np.prod([a[1] - a[0] for a in axes])))
    draws = exact.draw(problem, 4, 5000, np.random.default_rng(6), 2, lambda *_: None)
    coarse = 0.01 if len(axes) > 2 else 1e-3
    error = float(draws.facts["log_evidence_error"])
    assert draws.facts["log_evidence_standardized"] == pytest.approx(evidence, abs=Z * error + coarse)
    found = [(draws.mu[..., 0] - problem.base.shift[0]) / density.scale[0]]
    found += [] if isinstance(tau, Fixed) else [np.log(draws.tau[..., 0])]
    if isinstance(noise, PooledNoise):
        found += [] if isinstance(noise.median, Fixed) else [np.log(draws.sigma_median)]
        found += [] if isinstance(noise.spread, Fixed) else [np.log(draws.sigma_spread)]
    assert len(found) == len(axes)
    for coordinate, drawn in enumerate(found):
        step = axes[coordinate][1] - axes[coordinate][0]
        for edge in np.quantile(drawn, [0.05, 0.25, 0.5, 0.75, 0.95]):
            below = np.clip((edge - theta[:, coordinate]) / step + 0.5, 0, 1)
            share = (weights * below).sum() / weights.sum()
            limit = Z * np.sqrt(1.2 * share * (1 - share) / drawn.size) + coarse / 2
            assert abs((drawn < edge).mean() - share) < limit

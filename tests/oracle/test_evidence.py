"""Posterior of θ and evidence against brute-force quadrature on a grid of θ.

The engine's θ draws are compared by the shares below the grid's quantiles: binomial errors, Z = 4.5 over
a few dozen comparisons (false-alarm rate below 0.1 %, once: seeds are fixed).
"""

from __future__ import annotations

import numpy as np
import pytest

from cases import named_cases, pose_rows, random_case
from oracle import dense
from priorhood.engines import exact
from priorhood.engines.exact.marginal import collapse
from priorhood.engines.exact.mode import Density
from priorhood.engines.exact.theta import constrain
from priorhood.model.priors import Exponential, Fixed, HalfCauchy, HalfNormal

Z = 4.5
DRAWS = 5000


def grid_of(case, low, high, points):
    """Points (n, dim), their posterior probabilities, and log p(y), by the trapezoid rule in every coordinate."""
    density = Density(collapse(case.problem), 2)
    axes = [np.linspace(a, b, points) for a, b in zip(low, high, strict=True)]
    theta = np.stack([g.ravel() for g in np.meshgrid(*axes, indexing="ij")], axis=1)
    log_p = np.concatenate([density(part) for part in np.array_split(theta, 40)])
    weights = np.exp(log_p - log_p.max())
    volume = np.prod([axis[1] - axis[0] for axis in axes])
    return theta, weights / weights.sum(), float(log_p.max() + np.log(weights.sum() * volume))


def pooled():
    rng = np.random.default_rng(3)
    return random_case(rng, J=1, most=9, D=2, cols=(), sigma=HalfNormal(2.0)), [-4.0], [4.0], 4001


def intercepts():
    rng = np.random.default_rng(4)
    group = np.repeat(np.arange(4), [1, 2, 3, 4])
    X = np.column_stack([np.ones(10), rng.normal(size=10)])
    case = pose_rows(X, rng.normal(size=10), group, 4, cols=(0,), tau=HalfNormal(1.0), sigma=HalfCauchy(1.0))
    return case, [-14.0, -5.0], [3.0, 5.0], 601


def correlated():
    rng = np.random.default_rng(5)
    return random_case(rng, J=6, most=5, D=2), [-11.0, -11.0, -5.0, -2.5], [3.0, 3.0, 5.0, 2.5], 46


def known_errors():
    rng = np.random.default_rng(7)
    return random_case(rng, J=9, most=2, D=1, cols=(0,), decades=2, sigma=Fixed(1)), [-16.0], [5.0], 4001


def one_spread_known():
    rng = np.random.default_rng(8)
    options = {"tau": (Fixed(0.8), Exponential(1)), "sigma": HalfNormal(1.0)}
    return random_case(rng, J=7, most=5, D=2, **options), [-11.0, -2.5, -5.0], [3.0, 2.5, 4.0], 121


def only_a_correlation():
    rng = np.random.default_rng(9)
    options = {"tau": (Fixed(0.8), Fixed(1.2)), "sigma": Fixed(0.9)}
    return random_case(rng, J=7, most=5, D=2, **options), [-5.0], [5.0], 4001


MAKERS = [pooled, intercepts, correlated, known_errors, one_spread_known, only_a_correlation]


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_draws_and_evidence_are_those_of_quadrature(make):
    case, low, high, points = make()
    theta, probability, log_evidence = grid_of(case, low, high, points)
    draws = exact.draw(case.problem, 4, DRAWS, np.random.default_rng(6), 2, lambda *_: None)
    error = float(draws.facts["log_evidence_error"])
    coarse = 0.01 if make is correlated else 1e-4
    assert draws.facts["log_evidence_standardized"] == pytest.approx(log_evidence, abs=Z * error + coarse)

    found = [] if draws.tau is None else [np.log(draws.tau[..., k]) for k in case.problem.levels[0].free]
    found += [] if draws.omega is None else [np.arctanh(draws.omega[..., 1, 0])]
    found += [] if case.problem.known_noise else [np.log(draws.sigma)]
    assert len(found) == len(low)
    for coordinate, drawn in enumerate(found):
        step = (high[coordinate] - low[coordinate]) / (points - 1)
        for edge in np.quantile(drawn, [0.05, 0.25, 0.5, 0.75, 0.95]):
            # The grid's distribution function, linear across a cell.
            share = (probability * np.clip((edge - theta[:, coordinate]) / step + 0.5, 0, 1)).sum()
            got = (drawn < edge).mean()
            # Successive draws are correlated by less than a tenth.
            assert abs(got - share) < Z * np.sqrt(1.2 * share * (1 - share) / drawn.size) + coarse / 2


@pytest.mark.parametrize(
    "name", ["all known", "all known, weighted", "all known, nested", "no population, all known",
             "pooled, noise known", "known errors, pooled"],
)  # fmt: skip
def test_known_scales_leave_a_conjugate_regression(name):
    """Nothing to explore: independent draws, and the evidence is the dense Normal's density."""
    case = named_cases()[name]
    problem = case.problem
    assert exact.unsupported_reason(problem) is None
    draws = exact.draw(problem, 2, 1000, np.random.default_rng(6), 2, lambda *_: None)
    values = constrain(problem, np.zeros((1, 0)))
    prior = dense.coefficients(problem.root_cols, problem.root_sd, case.covariances(values, 0), problem.D)
    rows = (case.y, case.X, case.group, *prior, case.root_mean, case.noise(values, 0))
    assert draws.facts["log_evidence_standardized"] == pytest.approx(dense.log_density(*rows), rel=1e-9)
    assert draws.facts["log_evidence_error"] == 0.0
    assert (draws.facts["acceptance"], draws.facts["pareto_k"]) == (1.0, -np.inf)
    np.testing.assert_array_equal(draws.stats["lp"], draws.facts["log_evidence_standardized"])
    np.testing.assert_array_equal(draws.sigma, problem.sigma.value)
    if draws.tau is not None:
        np.testing.assert_array_equal(draws.tau, np.broadcast_to(values.tau[0][0], draws.tau.shape))
    mean, covariance = dense.conditional(*rows)
    drawn = draws.mu if draws.mu.shape[-1] else draws.beta[:, :, 0]
    at = problem.root_cols if draws.mu.shape[-1] else problem.D + problem.levels[0].cols
    error = np.sqrt(np.diag(covariance)[at] / 2000)
    assert (np.abs(drawn.mean(axis=(0, 1)) - mean[at]) < Z * error).all()


def test_errors_below_the_rounding_of_the_sums_are_refused():
    rng = np.random.default_rng(10)
    for scale, refused in ((1e-3, False), (1e-8, True)):
        case = random_case(rng, J=20, most=5, D=2, sigma=Fixed(scale))
        assert (exact.unsupported_reason(case.problem) is not None) == refused


def test_a_dropped_constant_is_seen():
    """Negative control: a prior not normalized, by the constant of a HalfNormal, moves the evidence visibly."""
    case, low, high, points = pooled()
    _, _, log_evidence = grid_of(case, low, high, points)
    draws = exact.draw(case.problem, 4, 1000, np.random.default_rng(6), 1, lambda *_: None)
    wrong = float(draws.facts["log_evidence_standardized"]) + 0.5 * np.log(np.pi / 2)
    assert abs(wrong - log_evidence) > 10 * (Z * float(draws.facts["log_evidence_error"]) + 1e-4)

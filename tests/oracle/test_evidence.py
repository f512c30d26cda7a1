"""Posterior of θ and evidence against brute-force quadrature on a grid of θ.

The engine's θ draws are compared by the shares below the grid's quantiles: binomial errors, Z = 4.5 over
a few dozen comparisons (false-alarm rate below 0.1 %, once: seeds are fixed).
"""

from __future__ import annotations

import numpy as np
import pytest

from cases import pose_rows, random_case
from priorhood import exact
from priorhood.exact.marginal import collapse
from priorhood.exact.mode import Density
from priorhood.priors import HalfCauchy, HalfNormal

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


@pytest.mark.parametrize("make", [pooled, intercepts, correlated], ids=lambda make: make.__name__)
def test_draws_and_evidence_are_those_of_quadrature(make):
    case, low, high, points = make()
    theta, probability, log_evidence = grid_of(case, low, high, points)
    draws = exact.draw(case.problem, 4, DRAWS, np.random.default_rng(6), 2, lambda *_: None)
    error = float(draws.facts["log_evidence_error"])
    coarse = 0.01 if make is correlated else 1e-4
    assert draws.facts["log_evidence_standardized"] == pytest.approx(log_evidence, abs=Z * error + coarse)

    found = {len(low) - 1: np.log(draws.sigma)}
    if draws.tau is not None:
        found |= {k: np.log(draws.tau[..., k]) for k in range(draws.tau.shape[-1])}
    if draws.omega is not None:
        found[2] = np.arctanh(draws.omega[..., 1, 0])
    assert set(found) == set(range(len(low)))
    for coordinate, drawn in found.items():
        step = (high[coordinate] - low[coordinate]) / (points - 1)
        for edge in np.quantile(drawn, [0.05, 0.25, 0.5, 0.75, 0.95]):
            # The grid's distribution function, linear across a cell.
            share = (probability * np.clip((edge - theta[:, coordinate]) / step + 0.5, 0, 1)).sum()
            got = (drawn < edge).mean()
            # Successive draws are correlated by less than a tenth.
            assert abs(got - share) < Z * np.sqrt(1.2 * share * (1 - share) / drawn.size) + coarse / 2


def test_a_dropped_constant_is_seen():
    """Negative control: a prior not normalized, by the constant of a HalfNormal, moves the evidence visibly."""
    case, low, high, points = pooled()
    _, _, log_evidence = grid_of(case, low, high, points)
    draws = exact.draw(case.problem, 4, 1000, np.random.default_rng(6), 1, lambda *_: None)
    wrong = float(draws.facts["log_evidence_standardized"]) + 0.5 * np.log(np.pi / 2)
    assert abs(wrong - log_evidence) > 10 * (Z * float(draws.facts["log_evidence_error"]) + 1e-4)

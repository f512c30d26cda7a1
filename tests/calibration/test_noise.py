"""A residual sd for every group is calibrated, under both priors; a group's rows left out of its σ are not.

As sbc.py: truth from the prior, rows from the model, ranks of the truth among posterior draws. Each test rejects
at 0.001 over its quantities (Bonferroni) for a fresh seed; the seeds are fixed.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from calibration.sbc import RANKS, THIN
from oracle.noise_cases import noisy
from priorhood.engines import exact
from priorhood.engines.exact import PooledNoise, UnpooledNoise
from priorhood.errors import SamplingError
from priorhood.model.priors import Exponential, Gamma, HalfNormal

pytestmark = [pytest.mark.slow, pytest.mark.once]

ALARM = 1e-3
GROUP = np.repeat(np.arange(7), [1, 1, 2, 2, 3, 4, 9])
J, D = 7, 2
NOISE = {"alike": PooledNoise(Exponential(1), HalfNormal(0.7)), "independent": UnpooledNoise(Gamma(2, 0.5))}


def log_likelihood(y, X, beta, sigma):
    mean = np.einsum("id,sid->si", X, beta[:, GROUP])
    return stats.norm.logpdf(y, mean, sigma[:, GROUP]).sum(axis=1)


def one_rank(X, rng, noise, changed):
    """Ranks of one simulated truth in its posterior; None where the engine refuses."""
    tau, mu = rng.exponential(1.0, D), rng.normal(0.0, 1.0, D)
    beta = mu + tau * rng.standard_normal((J, D))
    median = spread = None
    if isinstance(noise, PooledNoise):
        median, spread = noise.median.sample(rng, 1)[0], noise.spread.sample(rng, 1)[0]
        sigma = median * np.exp(spread * rng.standard_normal(J))
    else:
        sigma = noise.prior.sample(rng, J)
    y = (X * beta[GROUP]).sum(axis=1) + sigma[GROUP] * rng.standard_normal(len(GROUP))
    _, problem = noisy(X, y, GROUP, J, noise, correlated=False, tau=Exponential(1.0), root_sd=1.0)
    try:
        draws = exact.draw(changed(problem), 1, RANKS * THIN, rng, 1, lambda *_: None)
    except SamplingError:
        return None
    pick = slice(THIN - 1, None, THIN)
    sds, coefficients = draws.sigma[0, pick], draws.beta[0, pick]
    drawn = {
        "mu0": (draws.mu[0, pick, 0], mu[0]), "tau1": (draws.tau[0, pick, 1], tau[1]),
        "sigma, one row": (sds[:, 0], sigma[0]), "sigma, nine rows": (sds[:, 6], sigma[6]),
        "beta, two rows": (coefficients[:, 2, 1], beta[2, 1]), "beta, nine": (coefficients[:, 6, 0], beta[6, 0]),
        "log-likelihood": (
            log_likelihood(y, X, coefficients, sds), log_likelihood(y, X, beta[None], sigma[None])[0],
        ),
    }  # fmt: skip
    if median is not None:
        drawn["median"] = (draws.sigma_median[0, pick], median)
        drawn["spread"] = (draws.sigma_spread[0, pick], spread)
    return {name: int((values < true).sum()) for name, (values, true) in drawn.items()}


def p_values(noise, simulations, seed, changed=lambda problem: problem, bins=8):
    rng = np.random.default_rng(seed)
    X = np.column_stack([np.ones(len(GROUP)), rng.normal(size=len(GROUP))])
    ranks = [one_rank(X, rng, NOISE[noise], changed) for _ in range(simulations)]
    refused = ranks.count(None)
    assert refused <= max(1, simulations / 1000), f"{refused} of {simulations} refused"
    ranks = [r for r in ranks if r is not None]
    counts = {n: np.bincount([r[n] * bins // (RANKS + 1) for r in ranks], minlength=bins) for n in ranks[0]}
    return {name: float(stats.chisquare(count).pvalue) for name, count in counts.items()}


def test_ranks_are_uniform():
    found = p_values("alike", 64, 301)
    assert min(found.values()) > ALARM / len(found), found


@pytest.mark.parametrize(("noise", "seed"), [("alike", 401), ("independent", 402)])
def test_ranks_are_uniform_in_many_simulations(noise, seed):
    found = p_values(noise, 1500, seed, bins=16)
    assert min(found.values()) > ALARM / len(found), found


@pytest.mark.parametrize(("noise", "seed"), [("independent", 303), ("alike", 304)])
def test_rows_left_out_of_sigma_are_seen(noise, seed):
    """Negative control: what the rows beyond a line leave over counts a fifth."""

    def less(problem):
        return replace(problem, rows=replace(problem.rows, rss=0.2 * problem.rows.rss))

    found = p_values(noise, 64, seed, less)
    assert min(found.values()) < ALARM / len(found), found

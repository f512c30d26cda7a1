"""Small problems in which every group has a residual sd of its own, and what the oracle needs of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cases import moments_of, pose_rows
from priorhood.engines.exact import CentredSums, GroupNoiseProblem, PooledNoise, UnpooledNoise, compress
from priorhood.model.priors import Exponential, Fixed, Gamma, HalfCauchy, HalfNormal, HalfStudentT, LogNormal

LEARNED = PooledNoise(Exponential(5), HalfNormal(1))
INDEPENDENT = [
    Exponential(5),
    HalfNormal(2),
    HalfCauchy(1),
    Gamma(3, 0.3),
    HalfStudentT(3, 0.7),
    LogNormal(-0.5, 0.6),
]


def noisy(X, y, group, J, noise=LEARNED, weights=None, **options):
    """Rows → Case and NoisyProblem."""
    case = pose_rows(X, y, group, J, sigma=Fixed(1), weights=weights, **options)
    problem = case.problem
    w = np.ones(len(y)) if weights is None else weights
    mass = None if weights is None else np.bincount(group, weights=w, minlength=J)
    rows = compress(CentredSums(*moments_of(X, y, group, J, w), mass), problem.shift)
    return case, GroupNoiseProblem(problem, rows, noise)


def with_noise(problem, noise):
    """The same rows under another prior."""
    return replace(problem, noise=noise)


def log_prior_of(noise, median, spread):
    """The log density of t = log σ_j as a function, and where it is centred and how wide."""
    if isinstance(noise, UnpooledNoise):
        return lambda t: noise.prior.logpdf(np.exp(t)) + t, 0.0, 1.0
    m = np.log(median)
    return (
        lambda t: -0.5 * ((t - m) / spread) ** 2 - np.log(spread) - 0.5 * np.log(2 * np.pi),
        m,
        spread,
    )

"""Simulation-based calibration (Talts et al. 2018; Modrák et al. 2023) of the exact engine.

θ and coefficients from the prior, rows from the model, ranks of the truth among posterior draws: uniform
if and only if the engine draws from the posterior. The joint log-likelihood is ranked too, since it sees
errors that no single parameter's rank sees.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from cases import pose_rows
from priorhood.engines import exact
from priorhood.engines.exact.theta import constrain, from_prior
from priorhood.errors import SamplingError
from priorhood.model.priors import Exponential, Fixed

GROUPS, ROWS, D = 6, 12, 2
RANKS = 63  # draws a rank is taken among: 64 equally likely ranks
BINS = 16
THIN = 2


def design(rng):
    """Fixed groups of 1 to 4 rows, intercept and one predictor."""
    group = np.repeat(np.arange(GROUPS), [1, 1, 1, 2, 3, 4])
    X = np.column_stack([np.ones(ROWS), rng.normal(size=ROWS)])
    return X, group


def log_likelihood(y, X, group, beta, sigma, weights):
    """Σ log Normal(y | xᵀβ, σ²/w) for draws beta (S, J, D), sigma (S,)."""
    mean = np.einsum("id,sid->si", X, beta[:, group])
    return stats.norm.logpdf(y, mean, sigma[:, None] / np.sqrt(weights)).sum(axis=1)


def known_errors(rng):
    """Errors known to be between 0.3 and 3, and one spread that is known too."""
    weights = 10.0 ** rng.uniform(-1, 1, ROWS)
    return {"sigma": Fixed(1.0), "weights": weights, "tau": (Fixed(0.7), Exponential(1.0))}


def weighed(rng):
    """Precisions over two decades; σ is to be learned."""
    return {"weights": 10.0 ** rng.uniform(-1, 1, ROWS)}


def one_rank(X, group, rng, changed):
    """Ranks of one simulated truth in its posterior, one for every quantity that is not known."""
    options = {"tau": Exponential(1.0), "sigma": Exponential(1.0), "root_sd": 1.0, **changed}
    weights = options.get("weights", np.ones(ROWS))
    blank = pose_rows(X, np.arange(ROWS, dtype=float), group, GROUPS, **options).problem
    truth = constrain(blank, from_prior(blank, 1, rng))
    mu = rng.normal(0.0, 1.0, D)
    beta = mu + rng.standard_normal((GROUPS, D)) @ (truth.tau[0][0][:, None] * truth.corr[0][0]).T
    y = (X * beta[group]).sum(axis=1) + truth.sigma[0] / np.sqrt(weights) * rng.standard_normal(ROWS)
    problem = pose_rows(X, y, group, GROUPS, **options).problem
    try:
        draws = exact.draw(problem, 1, RANKS * THIN, rng, 1, lambda *_: None)
    except SamplingError:
        return None  # said, not silent: see p_values
    pick = slice(THIN - 1, None, THIN)
    drawn = {
        "mu0": draws.mu[0, pick, 0], "mu1": draws.mu[0, pick, 1],
        "tau0": draws.tau[0, pick, 0], "tau1": draws.tau[0, pick, 1], "sigma": draws.sigma[0, pick],
        "beta, one row": draws.beta[0, pick, 0, 1], "beta, four rows": draws.beta[0, pick, 5, 0],
        "log-likelihood": log_likelihood(y, X, group, draws.beta[0, pick], draws.sigma[0, pick], weights),
    }  # fmt: skip
    true = {
        "mu0": mu[0], "mu1": mu[1], "tau0": truth.tau[0][0, 0], "tau1": truth.tau[0][0, 1],
        "sigma": truth.sigma[0], "beta, one row": beta[0, 1], "beta, four rows": beta[5, 0],
        "log-likelihood": log_likelihood(y, X, group, beta[None], truth.sigma, weights)[0],
    }  # fmt: skip
    if draws.omega is not None:
        drawn["omega"] = draws.omega[0, pick, 1, 0]
        true["omega"] = (truth.corr[0][0] @ truth.corr[0][0].T)[1, 0]
    learned = [name for name in true if np.ptp(drawn[name]) > 0]
    return {name: int((drawn[name] < true[name]).sum()) for name in learned}


def p_values(simulations, seed, *, correlated=True, rows=lambda _: {}, **priors):
    """Chi-square p-value of the uniformity of every quantity's ranks; rows: known_errors, weighed, or neither."""
    rng = np.random.default_rng(seed)
    X, group = design(rng)
    changed = {"correlated": correlated, **rows(rng), **priors}
    ranks = [one_rank(X, group, rng, changed) for _ in range(simulations)]
    refused = ranks.count(None)
    # A prior that allows σ = 0 makes rows on exact lines now and then, which the engine refuses, and the few
    # draws here tell little of the weights' tail. One in a few hundred, or one or two in thousands cannot bend a
    # rank's distribution; more would.
    assert refused <= max(1, simulations / 1000), f"{refused} of {simulations} refused"
    ranks = [r for r in ranks if r is not None]
    found = {}
    for name in ranks[0]:
        counts = np.bincount([r[name] * BINS // (RANKS + 1) for r in ranks], minlength=BINS)
        found[name] = float(stats.chisquare(counts).pvalue)
    return found

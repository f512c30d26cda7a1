"""Against REML and ML estimates of lme4's classics, as far as a posterior under weak priors should agree."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import priorhood as ph
from priorhood.engines.adapt import to_exact
from priorhood.engines.exact.marginal import collapse, log_marginal
from priorhood.engines.exact.theta import Theta
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.standardize import learn_scale
from shared_data import data_file, data_json
from table_moments import design_and_moments

WEAK = ["mu ~ Normal(0, 100000)", "tau ~ HalfCauchy(1000)", "sigma ~ HalfCauchy(1000)"]

FITS = {
    "sleepstudy: Reaction ~ Days + (Days | Subject)": ("sleepstudy.csv", ["Days"]),
    "sleepstudy: Reaction ~ Days + (1 | Subject)": ("sleepstudy.csv", ["Days"]),
    "radon_mn: log_radon ~ floor + (1 | county)": ("radon_mn.csv", ["floor"]),
    "radon_mn: log_radon ~ floor + (floor | county)": ("radon_mn.csv", ["floor"]),
    "ames: log(Sale_Price) ~ log(Gr_Liv_Area/1500) + (log(Gr_Liv_Area/1500) | Neighborhood)": (
        "ames.csv",
        ["log(Gr_Liv_Area/1500)"],
    ),
    "dyestuff: Yield ~ 1 + (1 | Batch)": ("dyestuff.csv", []),
}


def weak(name):
    """The formula of a fit under weak priors, with one for correlations where there are any."""
    formula = name.partition(": ")[2]
    return ph.Model(formula, WEAK + ["omega ~ LKJ(1)"] * ("(1 |" not in formula), standardize=False, outcome_unit=1)


@pytest.mark.parametrize("name", FITS)
def test_posterior_agrees_with_reml(name):
    """Fixed effects within a tenth of their standard error, noise within 2 %, group sds within 0.75 × to
    1.6 × (85 counties tell little about how slopes differ; 6 batches little about anything).

    The bounds are properties of the posteriors, not Monte Carlo error: with the flat prior on a spread
    its posterior is wide and skewed, the more so the fewer the groups.
    """
    file, predictors = FITS[name]
    reference = data_json("lmm_reference.json")[name]["REML"]
    model = weak(name)
    post = ph.fit(model, data_file(file), seed=13, draws=2500)
    mu = post["mu"].mean(("chain", "draw")).values
    few = file == "dyestuff.csv"  # six batches: the fixed effect's posterior is a t with few degrees
    for estimate, fixed, se in zip(mu, reference["fixed"], reference["se"], strict=True):
        assert abs(estimate - fixed) < (0.2 if few else 0.1) * se
    assert len(mu) == 1 + len(predictors)
    sigma = float(post["sigma"].median())
    assert abs(sigma / reference["sd_resid"] - 1) < (0.05 if few else 0.02)
    tau = post["tau"].median(("chain", "draw")).values
    for spread, estimate in zip(tau, reference["sd_group"], strict=True):
        assert 0.75 * estimate < spread < 1.6 * estimate
    if "corr" in reference:
        corr = float(post["omega"].values[..., 1, 0].mean())
        assert abs(corr - reference["corr"]) < 0.2


@pytest.mark.parametrize("name", FITS)
def test_collapsed_likelihood_is_the_reml_criterion(name):
    """With a flat prior on the coefficients, −2 log p(y | θ) is lme4's REML criterion up to constants.

    ∫ L(β) Normal(β; m₀, S₀) dβ = Normal(β̂; m₀, S₀) ∫ L(β) dβ as S₀ grows. Compared at the published
    estimates, and as a maximum: no θ nearby is better by more than the published digits allow.
    """
    reference = data_json("lmm_reference.json")[name]["REML"]
    model = weak(name)
    design, found = design_and_moments(ph.read(data_file(FITS[name][0])), model.formula)
    scale = learn_scale(found, design, standardize=False, unit=1.0)
    collapsed = collapse(to_exact(FitData(model, design, found, scale)))
    K = len(reference["sd_group"])
    rho = reference.get("corr", 0.0)
    corr = np.array([[1.0, 0.0], [rho, np.sqrt(1 - rho**2)]])[:K, :K]
    steps = np.concatenate([np.zeros((1, K + 1)), 0.01 * np.eye(K + 1), -0.01 * np.eye(K + 1)])
    scales = np.exp(np.log([*reference["sd_group"], reference["sd_resid"]]) + steps)
    values = Theta((scales[:, :K],), (np.repeat(corr[None], len(scales), 0),), scales[:, K])
    log_p = log_marginal(collapsed, values)
    sd = 100_000.0
    constant = stats.norm.logpdf(np.array(reference["fixed"]), 0.0, sd).sum()
    criterion = -2 * (log_p[0] - constant)
    assert criterion == pytest.approx(reference["deviance"], abs=2e-4)
    assert log_p[0] == log_p.max()

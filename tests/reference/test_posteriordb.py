"""The exact engine against posteriordb's data: quadrature posteriors and reference draws."""

from __future__ import annotations

import numpy as np
import pytest

import priorhood as ph
from reference.agree import disagreements
from shared_data import data_json

DRAWS = 5000
RADON_PRIORS = ["mu ~ Normal(0, 10)", "tau ~ HalfNormal(1)", "sigma ~ HalfNormal(1)"]


def radon(formula: str) -> ph.Posterior:
    data = data_json("posteriordb/radon_mn.json")
    table = {
        "log_radon": data["log_radon"],
        "floor": data["floor_measure"],
        "county": [f"{i:02d}" for i in data["county_idx"]],
    }
    priors = [p for p in RADON_PRIORS if "|" in formula or not p.startswith("tau")]
    model = ph.Model(formula, priors, standardize=False, outcome_unit=1)
    return ph.fit(model, table, draws=DRAWS, seed=11)


def radon_reference(name: str) -> dict:
    return data_json(f"posteriordb/radon_mn-radon_{name}.quadrature.json")["parameters"]


def pairs_of(post: ph.Posterior, reference: dict, names: dict[str, str], beta: str | None = None) -> dict:
    """Published parameter → (our draws, its summary); every published parameter must be met."""
    pairs = {}
    for ours, theirs in names.items():
        variable, _, term = ours.partition("[")
        draws = post[variable]
        pairs[theirs] = (draws.sel(term=term[:-1]).values if term else draws.values, reference[theirs])
    if beta:
        values = post["beta"].values
        for j in range(values.shape[2]):
            pairs[f"{beta}[{j + 1}]"] = (values[:, :, j, 0], reference[f"{beta}[{j + 1}]"])
    assert set(pairs) == set(reference)
    return pairs


def test_radon_pooled():
    post = radon("log_radon ~ floor")
    names = {"mu[Intercept]": "alpha", "mu[floor]": "beta", "sigma": "sigma_y"}
    assert disagreements(pairs_of(post, radon_reference("pooled"), names)) == []


def test_radon_partially_pooled():
    post = radon("log_radon ~ 1 + (1 | county)")
    names = {"mu[Intercept]": "mu_alpha", "tau": "sigma_alpha", "sigma": "sigma_y"}
    pairs = pairs_of(post, radon_reference("partially_pooled"), names, "alpha")
    assert disagreements(flattened(pairs)) == []


def test_radon_variable_intercept():
    post = radon("log_radon ~ floor + (1 | county)")
    names = {"mu[Intercept]": "mu_alpha", "mu[floor]": "beta", "tau": "sigma_alpha", "sigma": "sigma_y"}
    pairs = pairs_of(post, radon_reference("variable_intercept"), names, "alpha")
    assert disagreements(flattened(pairs)) == []


def test_radon_variable_slope():
    post = radon("log_radon ~ floor + (0 + floor | county)")
    names = {"mu[Intercept]": "alpha", "mu[floor]": "mu_beta", "tau": "sigma_beta", "sigma": "sigma_y"}
    pairs = pairs_of(post, radon_reference("variable_slope"), names, "beta")
    assert disagreements(flattened(pairs)) == []


def test_a_scale_off_by_3_percent_is_caught():
    """Negative control: the same comparison of draws whose sigma is 3 % too large."""
    post = radon("log_radon ~ floor + (1 | county)")
    reference = radon_reference("variable_intercept")
    wrong = post["sigma"].values * 1.03
    stretched = post["mu"].sel(term="floor").values
    stretched = stretched.mean() + 1.03 * (stretched - stretched.mean())
    assert disagreements({"sigma_y": (wrong, reference["sigma_y"])})
    assert any("sd" in d for d in disagreements({"beta": (stretched, reference["beta"])}))


def flattened(pairs: dict) -> dict:
    """One-term arrays without their last axis."""
    return {k: (np.squeeze(d, -1) if d.ndim == 3 else d, r) for k, (d, r) in pairs.items()}


def eight_schools(unit: float) -> ph.Posterior:
    data = data_json("posteriordb/eight_schools.json")
    table = {"school": [f"{j + 1}" for j in range(8)], "y": data["y"], "sigma": data["sigma"]}
    priors = [f"mu ~ Normal(0, {5 / unit})", f"tau ~ HalfCauchy({5 / unit})"]
    model = ph.Model("y ~ 1 + (1 | school)", priors, se="sigma", standardize=False, outcome_unit=unit)
    return ph.fit(model, table, draws=DRAWS, seed=13)


@pytest.mark.parametrize("unit", [1, 10])
@pytest.mark.parametrize(
    "source", ["eight_schools-eight_schools_centered.summary", "eight_schools-eight_schools_noncentered.summary",
               "eight_schools.quadrature"],
)  # fmt: skip
def test_eight_schools(source, unit):
    reference = data_json(f"posteriordb/{source}.json")["parameters"]
    post = eight_schools(unit)
    assert post.parameters == ["mu", "beta", "tau"]
    beta = post.natural("beta").values
    pairs = {
        "mu": (post.natural("mu").values, reference["mu"]),
        "tau": (post.natural("tau").values, reference["tau"]),
    }
    pairs |= {f"theta[{j + 1}]": (beta[:, :, j], reference[f"theta[{j + 1}]"]) for j in range(8)}
    assert set(pairs) == set(reference)
    assert disagreements(flattened(pairs)) == []


KIDIQ = {
    "momhs": "kid_score ~ mom_hs",
    "momiq": "kid_score ~ mom_iq",
    "momhsiq": "kid_score ~ mom_hs + mom_iq",
    "interaction": "kid_score ~ mom_hs * mom_iq",
}


@pytest.mark.parametrize("name", KIDIQ)
def test_kidiq_regressions(name):
    """Flat coefficients there, Normal(0, 10,000) here: 300 posterior sds wide."""
    data = data_json("posteriordb/kidiq.json")
    reference = data_json(f"posteriordb/kidiq-kidscore_{name}.summary.json")["parameters"]
    table = {k: data[k] for k in ("kid_score", "mom_hs", "mom_iq")}
    priors = ["mu ~ Normal(0, 10000)", "sigma ~ HalfCauchy(2.5)"]
    model = ph.Model(KIDIQ[name], priors, standardize=False, outcome_unit=1)
    post = ph.fit(model, table, draws=DRAWS, seed=12)
    pairs = {f"beta[{k + 1}]": (post["mu"].values[:, :, k], reference[f"beta[{k + 1}]"])
             for k in range(post["mu"].sizes["term"])}  # fmt: skip
    pairs["sigma"] = (post["sigma"].values, reference["sigma"])
    assert set(pairs) == set(reference)
    assert disagreements(pairs) == []

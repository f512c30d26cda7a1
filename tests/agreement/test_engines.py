"""Exact and NUTS, centred and non-centred: the same posterior within Monte Carlo error.

PyMC's model is written from the rows and knows nothing of moments, so it judges everything between the table
and the draws. `make slow` has the combinations that compile or mix slowly.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import priorhood as ph
from agreement.compare import disagreements
from shared_data import data_file

pytestmark = [pytest.mark.once, pytest.mark.filterwarnings("ignore::priorhood.PriorhoodWarning")]

# Radon's slopes hardly vary between counties: only the non-centred form mixes well there.
CASES = {
    "simulated": ("price ~ living_space + (living_space {} zip)", "centered"),
    "radon_mn": ("log_radon ~ floor + (floor {} county)", "noncentered"),
    "rents": ("rent ~ living_space + (living_space {} zip)", "centered"),
    "radon_mn, intercepts": ("log_radon ~ floor + (1 {} county)", "noncentered"),
    "radon_mn, slopes apart": ("log_radon ~ floor + (floor {} county)", "noncentered"),
}
DRAWS = 2500
OTHER = {"centered": "noncentered", "noncentered": "centered"}
# Scales of different families, and bounds that the posteriors lean on: they would be around 0.47.
MIXED = [
    "tau[Intercept] ~ Uniform(0, 0.45)",
    "tau[living_space] ~ InverseGamma(2, 0.2)",
    "sigma ~ LogNormal(-1, 1)",
]
PRIORS = {
    ("simulated", "||"): MIXED,
    ("simulated", "|"): ["tau[Intercept] ~ Uniform(0.48, 2)", "tau[living_space] ~ HalfStudentT(3, 0.2)"],
    # Under the default priors tau[floor] goes down to 0, where the centred form diverges and so disagrees.
    ("radon_mn, slopes apart", "||"): ["tau[floor] ~ Gamma(20, 0.02)"],
    ("radon_mn, slopes apart", "|"): ["tau[floor] ~ Gamma(20, 0.02)"],
}


def rows(case: str) -> object:
    if case == "simulated":
        return ph.simulate(60, 1500, 7)[0]
    return data_file("berlin_rents_clean.csv" if case == "rents" else "radon_mn.csv")


def model(case: str, bar: str) -> ph.Model:
    return ph.Model(CASES[case][0].format(bar), PRIORS.get((case, bar)))


@cache
def exact(case: str, bar: str) -> ph.Posterior:
    return ph.fit(model(case, bar), rows(case), seed=1, draws=DRAWS)


def nuts(case: str, bar: str, parameterization: str, draws: int = DRAWS) -> ph.Posterior:
    return _nuts(case, bar, parameterization, draws)


@cache  # which takes an argument that is left out for another one
def _nuts(case: str, bar: str, parameterization: str, draws: int) -> ph.Posterior:
    return ph.fit(
        model(case, bar), rows(case), seed=2412, draws=draws, engine="nuts", parameterization=parameterization,
        target_accept=0.9,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("case", "bar"),
    [
        ("simulated", "||"),
        pytest.param("simulated", "|", marks=pytest.mark.long),
        pytest.param("radon_mn", "|", marks=pytest.mark.slow),
        pytest.param("radon_mn", "||", marks=pytest.mark.slow),
        pytest.param("rents", "||", marks=pytest.mark.slow),
        pytest.param("rents", "|", marks=pytest.mark.slow),
    ],
)
def test_exact_and_nuts_agree(case, bar):
    # Radon tells little of its slopes: more draws for the same Monte Carlo error.
    post = nuts(case, bar, CASES[case][1], 6000 if case == "radon_mn" else DRAWS)
    assert post.attrs["engine"] == "nuts"
    assert disagreements(exact(case, bar), post) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", ["simulated", "radon_mn, intercepts"])
def test_centred_and_noncentred_agree(case):
    assert disagreements(nuts(case, "||", "centered"), nuts(case, "||", "noncentered")) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", ["simulated", "radon_mn, slopes apart", "rents"])
@pytest.mark.parametrize("bar", ["||", "|"], ids=["independent", "correlated"])
def test_centred_and_noncentred_agree_in_long_runs(case, bar):
    centred, noncentred = (nuts(case, bar, p, 10_000) for p in OTHER)
    assert disagreements(centred, noncentred) == []
    assert disagreements(exact(case, bar), noncentred) == []


def altered(post: ph.Posterior, name: str, change) -> ph.Posterior:
    tree = post.tree.copy()
    draws = tree["posterior"].to_dataset().copy()
    draws[name] = change(draws[name])
    tree["posterior"] = tree["posterior"].__class__(draws)
    return replace(post, tree=tree)


@pytest.mark.parametrize("name", ["tau", "sigma"])
def test_a_scale_off_by_3_percent_is_caught(name):
    """Negative control: the comparison sees a spread or a residual sd that is 3 % too large."""
    wrong = altered(nuts("simulated", "||", "centered"), name, lambda d: d * 1.03)
    assert any(found.startswith(name) for found in disagreements(exact("simulated", "||"), wrong))


def test_posterior_sds_off_by_3_percent_are_caught():
    """Negative control: right means, but every place's coefficients 3 % too certain."""
    wrong = altered(
        nuts("simulated", "||", "centered"), "beta", lambda d: d - (d - d.mean(["chain", "draw"])) * 0.03
    )
    assert any("sds differ" in found for found in disagreements(exact("simulated", "||"), wrong))


def test_two_exact_fits_agree():
    one = exact("simulated", "|")
    two = ph.fit(one.model, rows("simulated"), seed=99, draws=1000)
    assert disagreements(one, two) == []


@pytest.mark.long
def test_one_line_of_arviz_compares_them():
    """Same names, dims, coords and order."""
    one, two = exact("simulated", "|"), nuts("simulated", "|", "centered")
    assert list(one.tree["posterior"].data_vars) == list(two.tree["posterior"].data_vars)
    for name in one.parameters:
        assert one[name].dims == two[name].dims
        for dim in one[name].dims[2:]:
            assert np.array_equal(one[name][dim].values, two[name][dim].values)
    assert list(one.summary().index) == list(two.summary().index)

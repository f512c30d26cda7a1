"""Eight schools, the meta-analysis of known standard errors, by both engines against posteriordb."""

from __future__ import annotations

import pytest

import priorhood as ph
from agreement.compare import disagreements as differences
from reference.agree import disagreements
from shared_data import data_json

PRIORS = ["mu ~ Normal(0, 5)", "tau ~ HalfCauchy(5)"]


def fit(engine: str, **options) -> ph.Posterior:
    data = data_json("posteriordb/eight_schools.json")
    table = {"effect": data["y"], "se": data["sigma"], "school": [str(j + 1) for j in range(data["J"])]}
    model = ph.Model("effect ~ 1 + (1 | school)", PRIORS, se="se", standardize=False, outcome_unit=1)
    return ph.fit(model, table, seed=8, draws=5000, engine=engine, **options)


@pytest.fixture(scope="module")
def by_nuts() -> ph.Posterior:
    return fit("nuts", parameterization="noncentered", target_accept=0.95)


@pytest.mark.parametrize(
    "published", ["eight_schools-eight_schools_noncentered.summary", "eight_schools.quadrature"]
)
@pytest.mark.parametrize("engine", ["exact", "nuts"])
def test_eight_schools(engine, published, by_nuts):
    post = by_nuts if engine == "nuts" else fit("exact")
    reference = data_json(f"posteriordb/{published}.json")["parameters"]
    pairs = {
        "mu": (post["mu"].values[:, :, 0], reference["mu"]),
        "tau": (post["tau"].values[:, :, 0], reference["tau"]),
    }
    pairs |= {f"theta[{j + 1}]": (post["beta"].values[:, :, j, 0], reference[f"theta[{j + 1}]"]) for j in range(8)}
    assert set(pairs) == set(reference)
    assert disagreements(pairs) == []


def test_the_engines_agree(by_nuts):
    assert "sigma" not in by_nuts.parameters
    assert differences(fit("exact"), by_nuts) == []

"""Nested and crossed groupings by both engines: the same posterior within Monte Carlo error.

PyMC's model adds up every row's coefficients by index; it knows no messages between levels and no wide root.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from agreement.compare import disagreements
from shared_data import data_file

pytestmark = pytest.mark.filterwarnings("ignore::priorhood.PriorhoodWarning")

# Spreads that keep off 0, where neither of PyMC's forms mixes well.
PRIORS = ["tau ~ Gamma(6, 0.1)", "sigma ~ HalfNormal(1)", "mu ~ Normal(0, 2)"]
TOGETHER = "y ~ x + (1 | district/zip) + (1 | kind)"
APART = ["y ~ x + (x | district/zip)", "y ~ x + (x | zip) + (1 | kind)", "y ~ x + (0 + half | zip)"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    z, kind, x = rng.integers(0, 8, 160), rng.integers(0, 4, 160), rng.normal(size=160)
    level = 0.8 * rng.normal(size=8) + 0.7 * rng.normal(size=4).repeat(2)
    slope = 1 + 0.6 * rng.normal(size=8)
    y = level[z] + slope[z] * x + 0.6 * rng.normal(size=4)[kind] + 0.7 * rng.normal(size=160)
    frame = pd.DataFrame({"zip": z, "district": z // 2, "kind": kind}).astype(str)
    return frame.assign(half=np.where(kind < 2, "low", "high"), x=x, y=y)


def fit(rows, formula, engine, draws=1500, **options):
    model = ph.Model(formula, PRIORS, outcome_unit=1)
    return ph.fit(model, rows, seed=4, draws=draws, engine=engine, **options)


@pytest.mark.long
@pytest.mark.once
def test_exact_and_nuts_agree(rows):
    by_nuts = fit(rows, TOGETHER, "nuts", parameterization="noncentered")
    assert disagreements(fit(rows, TOGETHER, "exact"), by_nuts) == []
    # Negative controls: a ZIP in another district; rows of one kind that are taken for another's.
    for column, moved in (("district", rows.zip == "4"), ("kind", rows.index < 30)):
        wrong = rows.assign(**{column: np.where(moved, "0", rows[column])})
        assert disagreements(fit(wrong, TOGETHER, "exact"), by_nuts) != []


@pytest.mark.slow
@pytest.mark.parametrize("formula", APART)
def test_exact_and_nuts_agree_with_correlations(rows, formula):
    by_nuts = fit(rows, formula, "nuts", 4000, parameterization="noncentered")
    assert disagreements(fit(rows, formula, "exact", 4000), by_nuts) == []


@pytest.mark.slow
def test_counties_in_states():
    table = ph.read(data_file("radon_us.csv.gz"), where="floor < 9")
    model = ph.Model("log_radon ~ floor + (floor | state/county)")
    options = {"engine": "nuts", "parameterization": "noncentered", "target_accept": 0.95}
    by_nuts = ph.fit(model, table, seed=2, draws=4000, **options)
    assert disagreements(ph.fit(model, table, seed=2, draws=4000), by_nuts) == []

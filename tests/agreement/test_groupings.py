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
FORMULAS = {
    "nested": "y ~ x + (x || district/zip)",
    "crossed": "y ~ x + (x | zip) + (1 | kind)",
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(5)
    z, kind, x = rng.integers(0, 12, 240), rng.integers(0, 4, 240), rng.normal(size=240)
    level = 0.8 * rng.normal(size=12) + 0.7 * rng.normal(size=4).repeat(3)
    slope = 1 + 0.6 * rng.normal(size=12)
    y = level[z] + slope[z] * x + 0.6 * rng.normal(size=4)[kind] + 0.7 * rng.normal(size=240)
    frame = pd.DataFrame({"zip": z, "district": z // 3, "kind": kind}).astype(str)
    return frame.assign(x=x, y=y)


def fit(rows, formula, engine, draws=2500, **options):
    model = ph.Model(formula, PRIORS, outcome_unit=1)
    return ph.fit(model, rows, seed=4, draws=draws, engine=engine, **options)


@pytest.mark.parametrize("name", FORMULAS)
def test_exact_and_nuts_agree(name, rows):
    by_nuts = fit(rows, FORMULAS[name], "nuts", parameterization="noncentered")
    assert disagreements(fit(rows, FORMULAS[name], "exact"), by_nuts) == []
    # Negative control: a ZIP in another district, rows of one kind that are taken for another's.
    moved = (rows.zip == "4") if name == "nested" else (rows.index < 30)
    column = "district" if name == "nested" else "kind"
    wrong = rows.assign(**{column: np.where(moved, "0", rows[column])})
    assert disagreements(fit(wrong, FORMULAS[name], "exact"), by_nuts) != []


@pytest.mark.slow
def test_counties_in_states():
    table = ph.read(data_file("radon_us.csv.gz"), where="floor < 9")
    model = ph.Model("log_radon ~ floor + (floor | state/county)")
    options = {"engine": "nuts", "parameterization": "noncentered", "target_accept": 0.95}
    by_nuts = ph.fit(model, table, seed=2, draws=4000, **options)
    assert disagreements(ph.fit(model, table, seed=2, draws=4000), by_nuts) == []

"""Weighted and repeated rows by both engines: the same posterior within Monte Carlo error.

PyMC's model scales every row's sigma and repeats its log density; the exact engine's sums know neither.
"""

from __future__ import annotations

import numpy as np
import pytest

import priorhood as ph
from agreement.compare import disagreements


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(12)
    sales = ph.simulate(10, 150, 7)[0]
    return sales.assign(w=10.0 ** rng.uniform(-1, 1, len(sales)), n=rng.integers(1, 5, len(sales)))


def fit(rows, engine, **weights):
    model = ph.Model("price ~ living_space + (1 | zip)", **weights)
    return ph.fit(model, rows, seed=3, draws=2500, engine=engine)


@pytest.mark.long
@pytest.mark.once
def test_the_engines_agree(rows):
    weights = {"precision_weights": "w", "frequency_weights": "n"}
    by_nuts = fit(rows, "nuts", **weights)
    assert disagreements(fit(rows, "exact", **weights), by_nuts) == []
    # Negative controls: each kind of weight left out.
    for kind in weights:
        left = {k: v for k, v in weights.items() if k != kind}
        assert disagreements(fit(rows, "exact", **left), by_nuts) != []

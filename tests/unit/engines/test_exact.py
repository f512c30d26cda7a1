"""The exact engine's own questions: is its code compiled?"""

from __future__ import annotations

import pytest

import priorhood as ph
from priorhood.engines import exact
from priorhood.engines.adapt import to_exact
from priorhood.engines.exact import marginal
from priorhood.engines.exact.kernels import noise_integral, two_terms
from priorhood.model.model import Model
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.standardize import learn_scale
from table_moments import design_and_moments

KERNELS = {
    "1 + (1 | zip)": [marginal._log_marginals],
    "living_space + (living_space | zip)": [two_terms.log_marginals],
    "living_space + (1 | zip)": [marginal._log_marginals],
}


@pytest.mark.parametrize("right", KERNELS)
def test_a_model_needs_its_own_kernel(sales, monkeypatch, right):
    """A machine that has compiled other models' kernels only still has to compile; one that has its own has not."""
    model = Model(f"price ~ {right}")
    design, moments = design_and_moments(sales, model.formula)
    problem = to_exact(FitData(model, design, moments, learn_scale(moments, design, standardize=True, unit=None)))
    own = KERNELS[right]
    every = {marginal._log_marginals, two_terms.log_marginals, noise_integral._log_integrals}
    monkeypatch.setattr(exact, "_is_cached", own.__contains__)
    assert exact.compiled(problem)
    monkeypatch.setattr(exact, "_is_cached", (every - set(own)).__contains__)
    assert not exact.compiled(problem)


def test_a_fit_compiles_its_kernel(sales):
    ph.fit("price ~ 1 + (1 | zip)", sales, chains=1, draws=50, seed=1)
    assert exact._is_cached(marginal._log_marginals)
    assert exact.compiled()

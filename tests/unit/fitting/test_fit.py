"""A fit's way from rows to a posterior: what it learns is learned once; its warnings are about the user's line."""

from __future__ import annotations

import warnings

import pytest

import priorhood as ph
from priorhood.datasets import simulate
from priorhood.model.hierarchy import hierarchy_of
from priorhood.model.model import Model
from priorhood.suffstats import fit_data, similar_labels
from priorhood.suffstats.standardize import standardized

FORMULAS = [
    "price ~ living_space + (living_space | zip)",
    "log(price) ~ log(living_space) + (1 | zip)",
    "price ~ living_space",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_priors_places_and_standardized_sums_are_found_once(sales, formula, monkeypatch):
    found = {"resolve": 0, "hierarchy": 0, "standardized": 0}

    def counted(name, function):
        def counting(*args):
            found[name] += 1
            return function(*args)

        return counting

    monkeypatch.setattr(Model, "resolve", counted("resolve", Model.resolve))
    monkeypatch.setattr(fit_data, "standardized", counted("standardized", standardized))
    for module in (fit_data, similar_labels):
        monkeypatch.setattr(module, "hierarchy_of", counted("hierarchy", hierarchy_of))
    post = ph.fit(formula, sales, chains=1, draws=50, seed=1)
    assert found == {"resolve": 1, "hierarchy": 1, "standardized": 1}
    assert post.hierarchy is post.data.hierarchy


def test_other_sums_keep_what_does_not_depend_on_them(fitted):
    data = fitted.data
    again = data.with_moments(data.moments)
    assert again.hierarchy is data.hierarchy
    assert again.resolved is data.resolved
    wider = data.with_model(data.model.with_priors("tau ~ HalfNormal(9)"))
    assert wider.scale is data.scale
    assert wider.resolved.tau != data.resolved.tau


def test_warnings_name_the_line_of_the_call():
    sales, _ = simulate(8, 100, seed=1)
    formula = "price ~ living_space + (1 | zip)"
    post = ph.fit(formula, sales, chains=1, draws=50, seed=1)
    far = "mu[Intercept] ~ Normal(40, 1)"
    calls = [
        lambda: ph.fit(ph.Model(formula, far), sales, chains=1, draws=50, seed=1),
        lambda: ph.refit(post, priors=far, chains=1, draws=50),
        lambda: post.refit(priors=far, chains=1, draws=50),
        lambda: ph.update(post, sales, chains=1, draws=50),
        lambda: ph.moments(formula, sales, drop_outliers=1.5),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            call()
        assert found
        assert {one.filename for one in found} == {__file__}

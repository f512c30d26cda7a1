"""Warnings of a fit are about the user's line, however many functions they come through."""

from __future__ import annotations

import warnings

import priorhood as ph
from priorhood.datasets import simulate


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

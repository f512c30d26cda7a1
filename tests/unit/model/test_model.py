"""A prior for a parameter that the model does not have is refused, whichever it is and however it is said."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph

ABSENT = [
    # formula, options, the prior, what the message says
    ("y ~ x + (1 | zip)", {}, "omega ~ LKJ(50)", "no effects are correlated"),
    ("y ~ x + (x || zip)", {}, "omega ~ LKJ(50)", "no effects are correlated"),
    ("y ~ x + (0 + kind || zip)", {}, "omega ~ LKJ(2)", "no effects are correlated"),
    ("y ~ x + (0 + x | zip)", {}, "omega ~ LKJ(50)", "no grouping has two correlated effects"),
    ("y ~ x + (0 + x | zip)", {}, "omega ~ LKJ(2)", "no grouping has two correlated effects"),
    ("y ~ x", {}, "omega ~ LKJ(2)", "no grouping term"),
    ("y ~ x", {}, "tau ~ Exponential(1)", "no grouping term"),
    ("y ~ x", {}, "tau[x] ~ Exponential(1)", "no grouping term"),
    ("y ~ x + (1 | zip)", {}, "tau[x] ~ Exponential(1)", "did you mean"),
    ("y ~ x + (1 | zip)", {}, "tau_zip ~ Exponential(1)", "write 'tau' for zip, the finest grouping"),
    ("y ~ x + (x | zip)", {}, "tau_zip[x] ~ Exponential(1)", "write 'tau[x]' for zip"),
    ("y ~ x + (x | zip)", {}, "omega_zip ~ LKJ(3)", "write 'omega' for zip"),
    ("y ~ x + (x | zip) + (1 | kind)", {}, "omega_kind ~ LKJ(3)", "no such parameter"),
    ("y ~ x + (1 | zip)", {}, "tau_kind ~ Exponential(1)", "no such parameter"),
    ("y ~ x + (1 | zip)", {}, "nu ~ Gamma(2, 10)", "the errors are Normal"),
    ("y ~ x + (1 | zip)", {}, "sigma_median ~ Exponential(1)", "all rows have one sigma"),
    ("y ~ x + (1 | zip)", {}, "sigma_spread ~ HalfNormal(1)", "all rows have one sigma"),
    ("y ~ x + (1 | zip)", {"se": "e"}, "sigma ~ Exponential(1)", "the errors are known (e)"),
    ("y ~ x + (1 | zip)", {}, "mu[kind] ~ Normal(0, 1)", "no such parameter"),
    ("y ~ x + (1 | zip)", {}, "mu[X] ~ Normal(0, 1)", "did you mean 'mu[x]'?"),
    ("y ~ 0 + x + (1 | zip)", {}, "mu[Intercept] ~ Normal(0, 1)", "the formula has no intercept"),
    ("y ~ 0 + (1 | zip)", {}, "mu ~ Normal(0, 1)", "no population-level terms"),
    ("y ~ x + kind", {}, "mu[kind[flat]] ~ Normal(0, 1)", "did you mean"),
]  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    n = 120
    frame = pd.DataFrame(
        {
            "zip": rng.choice(list("abcdef"), n), "kind": rng.choice(["flat", "house", "loft"], n),
            "x": rng.normal(size=n), "e": rng.uniform(0.5, 1.5, n),
        }
    )  # fmt: skip
    return frame.assign(y=2 + frame.x + (frame.kind == "loft") + rng.normal(size=n))


@pytest.mark.parametrize(("text", "options", "prior", "says"), ABSENT)
def test_refused(rows, text, options, prior, says):
    with pytest.raises(ph.PriorError) as problem:
        ph.fit(ph.Model(text, prior, **options), rows, draws=20)
    assert says in str(problem.value)
    key, _, family = prior.partition(" ~ ")
    with pytest.raises(ph.PriorError, match="no such parameter"):
        ph.equations(ph.Model(text, {key: family}, **options), rows)


@pytest.mark.parametrize("at", [0, 3, 4, 9, 18])
def test_refused_in_a_refit_too(rows, at):
    text, options, prior, _ = ABSENT[at]
    post = ph.fit(ph.Model(text, **options), rows, seed=1, draws=20)
    with pytest.raises(ph.PriorError, match="no such parameter"):
        ph.refit(post, priors=prior)


@pytest.mark.parametrize("text", ["y ~ x + (1 | zip)", "y ~ x + (0 + x | zip)", "y ~ 0 + x + (1 | zip)", "y ~ x"])
def test_what_a_posterior_says_of_its_priors_is_taken_back(rows, text, tmp_path):
    """No prior of a parameter that is not there is kept, in the file neither, and none is missing."""
    post = ph.fit(text, rows, seed=1, draws=20)
    assert "omega" not in post.priors()
    assert ("tau" in post.priors()) == ("|" in text)
    again = ph.fit(ph.Model(text, post.priors()), rows, seed=1, draws=20)
    np.testing.assert_array_equal(again["mu"].values, post["mu"].values)
    post.save(tmp_path / "post.nc")
    assert ph.load(tmp_path / "post.nc").priors() == post.priors()
    assert ph.refit(ph.load(tmp_path / "post.nc"), draws=20).priors() == post.priors()


def test_a_prior_for_a_whole_factor_is_that_of_all_its_columns(rows):
    """The column's own prior counts before the factor's, and that before the general one."""
    priors = {
        "mu": "Normal(0, 7)", "mu[kind]": "Normal(1, 2)", "mu[kind[loft]]": "Normal(3, 4)",
        "mu[x:kind]": "Normal(5, 6)", "tau[kind]": "HalfNormal(0.5)",
    }  # fmt: skip
    model = ph.Model("y ~ x*kind + (kind | zip)", priors)
    post = ph.fit(model, rows, seed=1, draws=20)
    found = dict(zip(post.design.names, map(str, model.resolve(post.design).mu), strict=True))
    assert found == {
        "Intercept": "Normal(mean=0, sd=7)", "x": "Normal(mean=0, sd=7)", "kind[house]": "Normal(mean=1, sd=2)",
        "kind[loft]": "Normal(mean=3, sd=4)", "x:kind[house]": "Normal(mean=5, sd=6)",
        "x:kind[loft]": "Normal(mean=5, sd=6)",
    }  # fmt: skip
    assert [str(p) for p in model.resolve(post.design).tau[0]] == [
        "Exponential(scale=5)", "HalfNormal(sd=0.5)", "HalfNormal(sd=0.5)",
    ]  # fmt: skip
    each = {"mu": "Normal(0, 7)", "mu[kind[house]]": "Normal(1, 2)", "mu[kind[loft]]": "Normal(3, 4)",
            "mu[x:kind[house]]": "Normal(5, 6)", "mu[x:kind[loft]]": "Normal(5, 6)",
            "tau[kind[house]]": "HalfNormal(0.5)", "tau[kind[loft]]": "HalfNormal(0.5)"}  # fmt: skip
    written_out = ph.fit(ph.Model("y ~ x*kind + (kind | zip)", each), rows, seed=1, draws=20)
    assert written_out.log_evidence == post.log_evidence

"""Other priors, and the rest without a place or a row: against fits of the table itself."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.evaluation.sensitivity import scaled_prior
from priorhood.evaluation.shift import FAR
from priorhood.model.distributions import FAMILIES
from priorhood.model.formula import parse
from priorhood.suffstats.moments import keep, merge, subtract
from table_moments import design_and_moments

FORMULA = "price ~ living_space + (living_space | zip)"
# The sums' own scale is the model's, so that a fit of fewer rows has the same priors.
PLAIN = {"standardize": False, "outcome_unit": 1e5}


@pytest.fixture(scope="module")
def rows(sales):
    return sales.assign(living_space=sales["living_space"] / 100)


@pytest.fixture(scope="module")
def post(rows):
    return ph.fit(ph.Model(FORMULA, **PLAIN), rows, seed=3)


def close(found, wanted):
    """Moments of the same rows, to 1e-9."""
    assert found.labels.tolist() == wanted.labels.tolist()
    np.testing.assert_array_equal(found.n, wanted.n)
    for name in ("mean", "scatter", "mass"):
        mine, theirs = getattr(found, name), getattr(wanted, name)
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9 * np.abs(theirs).max())


def same_posterior(found, wanted):
    """Population means five Monte Carlo errors apart at most: a right one fails once in a million."""
    mine, theirs = (one.summary(["mu", "tau", "sigma"], standardized=True) for one in (found, wanted))
    error = np.hypot(mine["mcse_mean"], theirs["mcse_mean"])
    assert (np.abs(mine["mean"] - theirs["mean"]) < 5 * error).all(), pd.concat(
        [mine["mean"], theirs["mean"]], axis=1
    )


# -- rows taken out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"se": "se"}, {"precision_weights": "w"}, {"frequency_weights": "k"}])
def test_subtract_is_merge_the_other_way_round(sales, options):
    rng = np.random.default_rng(1)
    size = len(sales)
    table = sales.assign(se=rng.uniform(1e4, 2e4, size), w=rng.uniform(0.5, 2, size), k=rng.integers(1, 4, size))
    model = ph.Model("price ~ living_space + (1 | zip)", **options)
    design, whole = design_and_moments(ph.read(table), model.formula, weights=model.weights)
    gone = rng.random(size) < 0.3
    gone |= (table["zip"] == table["zip"].iloc[0]).to_numpy()
    _, part = design_and_moments(ph.read(table[gone]), model.formula, design=design, weights=model.weights)
    _, rest = design_and_moments(ph.read(table[~gone]), model.formula, design=design, weights=model.weights)
    close(subtract(whole, part), rest)
    close(merge(rest, part), whole)
    assert subtract(whole, part).log_weight == pytest.approx(rest.log_weight)


def test_a_single_row_and_a_crossed_design(sales):
    table = sales.assign(kind=np.where(np.arange(len(sales)) % 3, "flat", "house"))
    formula = parse("price ~ living_space + (1 | zip) + (1 | kind)")
    design, whole = design_and_moments(ph.read(table), formula)
    for at in (0, 7, 100):
        _, part = design_and_moments(ph.read(table.iloc[[at]]), formula, design=design)
        _, rest = design_and_moments(ph.read(table.drop(table.index[at])), formula, design=design)
        close(subtract(whole, part), rest)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"zip": "99999", "living_space": 80.0, "price": 3e5}, "99999"),
        ({"price": 9e6}, "farther from their means"),
        ({"living_space": 4000.0}, "farther from their means"),
    ],
)
def test_a_row_that_was_not_there_is_refused(sales, moments_of, row, says):
    design, whole = moments_of(FORMULA, sales)
    made = pd.DataFrame([{**sales.iloc[0].to_dict(), **row}])
    _, part = design_and_moments(ph.read(made), parse(FORMULA), design=design)
    with pytest.raises(ph.ModelError, match=says):
        subtract(whole, part)


def test_of_two_rows_only_these_can_be_taken(moments_of):
    table = {"y": [1.0, 2.0, 4.0, 5.0, 7.0], "zip": ["a", "a", "b", "b", "b"]}
    design, whole = moments_of("y ~ 1 + (1 | zip)", table)
    _, part = design_and_moments(ph.read({"y": [1.0], "zip": ["a"]}), parse("y ~ 1 + (1 | zip)"), design=design)
    assert subtract(whole, part).mean[0, 0] == pytest.approx(2.0)
    _, other = design_and_moments(ph.read({"y": [1.4], "zip": ["a"]}), parse("y ~ 1 + (1 | zip)"), design=design)
    with pytest.raises(ph.ModelError, match="farther"):
        subtract(whole, other)


# -- influence --------------------------------------------------------------------------------------------


def test_without_a_place_is_the_fit_of_the_other_rows(post, rows):
    place = str(post.moments.labels[2])
    found = ph.influence(post, zip=place)
    rest = ph.fit(post.model, rows[rows["zip"] != place], seed=8)
    close(found.without.moments, rest.moments)
    same_posterior(found.without, rest)
    assert found.rows == int((rows["zip"] == place).sum())
    assert not any(place in label for label in found.labels)
    assert f"without zip '{place}'" in str(found)


def test_without_a_row_is_the_fit_of_the_other_rows(post, rows):
    far_one = (rows["price"] - rows["price"].mean()).abs().idxmax()
    found = ph.influence(post, rows.loc[far_one].to_dict())
    rest = ph.fit(post.model, rows.drop(far_one), seed=8)
    close(found.without.moments, rest.moments)
    same_posterior(found.without, rest)
    assert found.rows == 1
    assert found.table["shift"].abs().is_monotonic_decreasing


def test_every_place_by_weights_is_as_by_refits(post):
    table = ph.influence(post)
    assert len(table) == 12
    assert table["shift"].abs().is_monotonic_decreasing
    assert (table["how"] == "weights").any()
    for place in table.index[[0, 5, 11]]:
        one = ph.influence(post, zip=place).table
        of, name = table.loc[place], table.loc[place, "parameter"]
        assert of["unit"] == one.loc[name, "unit"]
        # Per sd it is the same unit, whatever moves it.
        assert of["change"] / of["shift"] == pytest.approx(
            one.loc[name, "change"] / one.loc[name, "shift"], rel=1e-6
        )
        # Both have Monte Carlo errors; five times theirs.
        assert one.loc[table.loc[place, "parameter"], "shift"] == pytest.approx(table.loc[place, "shift"], abs=0.17)
        moved = table.loc[place, "place_parameter"]
        assert place not in moved
        assert one.loc[moved, "shift"] == pytest.approx(table.loc[place, "place_shift"], abs=0.17)


def test_wrong_wishes(post, sales):
    for wrong, says in (
        ({"zip": "99999"}, "no zip '99999'"),
        ({"district": "x"}, "'district' is not a grouping"),
        ({"row": {"zip": ["a", "b"]}}, "one value per column"),
        ({"row": {"zip": "a"}, "zip": "a"}, "not both"),
    ):
        with pytest.raises(ph.ModelError, match=says):
            ph.influence(post, **wrong)
    pooled = ph.fit("price ~ living_space", sales, draws=100, seed=1)
    with pytest.raises(ph.ModelError, match="has no group"):
        ph.influence(pooled)


def test_cells_are_kept(moments_of, sales):
    _, whole = moments_of(FORMULA, sales)
    kept = keep(whole, whole.n > 20)
    assert kept.labels.tolist() == whole.labels[whole.n > 20].tolist()


# -- sensitivity ------------------------------------------------------------------------------------------


def test_every_family_is_scaled():
    """The scaled prior of a scale is that of a multiple of it: the same quantiles, times the factor."""
    made = {"Normal": ph.Normal(3, 2), "LKJ": ph.LKJ(2), "Fixed": ph.Fixed(0.5), "Uniform": ph.Uniform(1, 3)}
    one = ("Exponential", "HalfNormal", "HalfCauchy")
    for name, family in FAMILIES.items():
        prior = made.get(name) or (family(2.0) if name in one else family(3.0, 2.0))
        wider = scaled_prior(prior, 2.0)
        assert wider != prior
        assert type(wider) is type(prior)
        if prior.domain == "positive":
            draws = [each.sample(np.random.default_rng(1), 500) for each in (prior, wider)]
            np.testing.assert_allclose(draws[1], 2 * draws[0])
    assert scaled_prior(ph.Normal(3, 2), 2.0) == ph.Normal(3, 4)
    assert scaled_prior(ph.LKJ(2), 2.0) == ph.LKJ(1)


def test_data_that_decide(post):
    found = ph.sensitivity(post)
    assert {one.parameter for one in found.refits} == {"mu[Intercept]", "mu", "tau", "sigma", "omega"}
    assert len(found.refits) == 10
    mu = found.table.query("prior == 'mu' and parameter == 'mu[living_space]'")
    assert (mu["shift"].abs() < 0.15).all()


def test_a_prior_that_matters_is_named(post):
    narrow = ph.refit(post, priors="mu[living_space] ~ Normal(0, 0.1)", seed=3)
    found = ph.sensitivity(narrow, parameters="mu[living_space]")
    assert not found.good
    assert "the prior for mu[living_space] matters for" in found.verdict
    wider = found.table.query("factor == 2 and parameter == 'mu[living_space]'").iloc[0]
    assert wider["shift"] > FAR
    assert wider["log_evidence_change"] > 0
    assert "sensitivity" in repr(found).casefold()


def test_shifts_are_those_of_a_refit(post):
    found = ph.sensitivity(post, (0.05,), "tau")
    other = ph.refit(post, priors="tau ~ Exponential(0.25)", seed=9)
    before, after = (one.summary("tau", standardized=True) for one in (post, other))
    wanted = (after["mean"] - before["mean"]) / before["sd"]
    shown = found.table.set_index("parameter").loc[wanted.index, "shift"]
    np.testing.assert_allclose(shown, wanted, atol=0.15)
    assert found.refits[0].log_evidence_change == pytest.approx(other.log_evidence - post.log_evidence, abs=0.1)


def test_wrong_factors(post):
    for wrong in ((), (0.0,), (1.0,), "2"):
        with pytest.raises(ph.ModelError, match="factors"):
            ph.sensitivity(post, wrong)
    with pytest.raises(ph.PriorhoodError, match="mu"):
        ph.sensitivity(post, parameters="mu[rooms]")
    for wrong in (["sigm"], "sigm"):
        with pytest.raises(ph.PriorError, match=r"^there is no parameter 'sigm': did you mean 'sigma'\?$"):
            ph.sensitivity(post, parameters=wrong)
    with pytest.raises(ph.PriorError, match="there is no parameter '3': choose from "):
        ph.sensitivity(post, parameters=[3])

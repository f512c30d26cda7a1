"""What users of other tools write first: it works, or the message names the way, and the way works."""

from __future__ import annotations

import re
import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

import priorhood as ph

HOW = {"seed": 1, "draws": 50, "chains": 2}
TEXT = "price ~ area + type + (1 | zip)"


@pytest.fixture(scope="module")
def homes():
    rng = np.random.default_rng(3)
    n = 200
    zips = rng.integers(0, 8, n)
    frame = pd.DataFrame(
        {
            "zip": [f"{z:02d}" for z in zips], "district": np.array(["n", "s"])[zips % 2],
            "type": rng.choice(["flat", "house"], n), "area": rng.uniform(40, 160, n),
            "year": rng.integers(2019, 2022, n),
        }
    )  # fmt: skip
    frame["known"] = 1000 * frame.area
    frame["garage"] = rng.integers(0, 2, n) > 0
    return frame.assign(price=3000 * frame.area + 20_000 * rng.normal(size=8)[zips] + 9000 * rng.normal(size=n))


@pytest.fixture(scope="module")
def post(homes):
    return ph.fit(TEXT, homes, **HOW)


@pytest.mark.parametrize(
    ("wrong", "says", "right"),
    [
        ("np.log(price) ~ area + (1 | zip)", "write 'log(price)'", "log(price) ~ area + (1 | zip)"),
        ("price ~ np.log(area) + (1 | zip)", "write 'log(area)'", "price ~ log(area) + (1 | zip)"),
        ("price ~ scale(area) + (1 | zip)", "write the column itself", "price ~ area + (1 | zip)"),
        ("price ~ area + offset(known) + (1 | zip)", "as in price - known ~", "price - known ~ area + (1 | zip)"),
        ("price ~ factor(year) + (1 | zip)", "write C(…)", "price ~ C(year) + (1 | zip)"),
        ("price ~ as.factor(year) + (1 | zip)", "write C(…)", "price ~ C(year) + (1 | zip)"),
        ("price ~ relevel(type, house)", 'C(type, Treatment("house"))', 'price ~ C(type, Treatment("house"))'),
        ("price ~ poly(area, 2)", "I(area ** 2)", "price ~ area + I(area ** 2)"),
    ],
)
def test_functions_of_other_tools(homes, wrong, says, right):
    with pytest.raises(ph.FormulaError) as problem:
        ph.fit(wrong, homes)
    assert says in str(problem.value)
    ph.fit(right, homes, **HOW)


def test_without_the_places_column_the_average_one_serves(homes, post):
    """As for a made-up label; without unseen= the message says so."""
    rows = pd.DataFrame({"area": [100.0, 60.0], "type": ["flat", "house"]})
    for unseen in ("error", "draw"):
        with pytest.raises(ph.TableError, match=r"for the average zip set unseen='population'$"):
            post.predict(rows, unseen=unseen)
    found = post.predict(rows, unseen="population")
    named = post.predict(rows.assign(zip="nowhere"), unseen="population")
    assert found["status"].tolist() == ["new", "new"]
    assert list(found.columns) == [name for name in named.columns if name != "zip"]
    assert found["mean"].tolist() == named["mean"].tolist()
    expected = post.expected(rows, unseen="population").mean(("chain", "draw"))
    np.testing.assert_allclose(expected, found["mean"], rtol=1e-12)
    assert post.predict_draws(rows, unseen="population").shape == (2, 50, 2)


@pytest.mark.parametrize(
    "part", ["(1 | district/zip)", "(1 | zip) + (1 | type)", "(1 | zip) + (1 | year) + (1 | zip:year)"]
)
def test_without_some_of_the_places_columns(homes, part):
    """A district that is given counts; all that is not is the average one."""
    post = ph.fit(f"price ~ area + {part}", homes, **HOW)
    keys = post.model.formula.keys
    home = {"area": [100.0], **{key: [homes[key].iloc[0]] for key in keys}}
    for left_out in (keys, keys[-1:]):
        given = {name: value for name, value in home.items() if name not in left_out}
        made_up = {**given, **{name: ["made up"] for name in left_out}}
        one, other = (post.predict(rows, unseen="population") for rows in (given, made_up))
        assert one["mean"].tolist() == other["mean"].tolist()


def test_a_forest_takes_the_spelling_of_a_map(post):
    pytest.importorskip("matplotlib")
    ph.plot.forest(post, "beta[Intercept]")
    with pytest.raises(ph.ModelError, match="beta has no term 'area'; choose from 'Intercept'"):
        ph.plot.forest(post, "beta[area]")


def test_compare_takes_a_list(homes, post):
    other = ph.fit("price ~ area + (1 | zip)", homes, **HOW)
    found, named = ph.compare([post, other], homes), ph.compare({TEXT: post, "b": other}, homes)
    assert set(found.index) == {TEXT, "price ~ area + (1 | zip)"}
    assert found["elpd"].tolist() == named["elpd"].tolist()
    assert set(ph.compare((post, post), by="evidence").index) == {"model 1", "model 2"}
    with pytest.raises(ph.ModelError, match="compare takes several models"):
        ph.compare(post, homes)


def test_arguments_the_other_way_round(homes, post):
    """Named, with what was given; turned round they work."""
    for call in (ph.fit, ph.moments, ph.equations, ph.prior_predictive):
        with pytest.raises(
            ph.ModelError, match=r"the formula comes first, then the table: swap the first argument, DataFrame"
        ):
            call(homes, TEXT)
        with pytest.raises(ph.ModelError, match=r"the first argument, 'sales\.csv', and the second, 'price ~ area"):
            call("sales.csv", "price ~ area + (1 | zip)")
        with pytest.raises(ph.ModelError, match="swap the first"):
            call(homes, ph.Model(TEXT))
        call(TEXT, homes)
    for wrong in (homes, ["price ~ area"], 3, None):
        with pytest.raises(ph.FormulaError, match="expected a formula such as"):
            ph.Model(wrong)
        with pytest.raises(ph.FormulaError, match="expected a formula such as"):
            ph.fit(wrong, homes)
    with pytest.raises(ph.FormulaError, match=r"post\.model"):
        ph.fit(post, homes)
    ph.fit(post.model, homes, **HOW)
    for call in (ph.update, ph.refit):
        with pytest.raises(ph.ModelError, match="expected a Posterior, got DataFrame"):
            call(*(homes, post)[: 2 if call is ph.update else 1])
    others = {
        ph.assess: homes, ph.loo: homes, ph.posterior_predictive: homes, ph.sensitivity: (0.5, 2),
        ph.report: "r.html", ph.plot.map: {},
    }  # fmt: skip
    for call, other in others.items():
        name = "plot.map" if call is ph.plot.map else call.__name__
        first = rf"expected a Posterior, got .*; the posterior comes first in {re.escape(name)}\(\)"
        with pytest.raises(ph.ModelError, match=first):
            call(other, post)


def test_plots_of_something_else(homes, post):
    """A frame in place of the posterior or result; no argument at all; pictures of results as methods."""
    pytest.importorskip("matplotlib")
    wanted = {
        "calibration": r"a Calibration, got DataFrame; pass the result of calibrate\(\)",
        "compare": r"plot\.compare takes the table returned by compare\(\)",
        "loo": r"an Elpd, got DataFrame; pass the result of loo\(\) or loo_places\(\)",
        "misfit": r"an Assessment, got DataFrame; pass the result of assess\(\)",
        "pit": r"an Assessment, got DataFrame; pass the result of assess\(\)",
        "prior_lines": "expected a formula such as .*, not DataFrame",
        "sensitivity": r"a Sensitivity, got DataFrame; pass the result of sensitivity\(\)",
    }
    drawn = [name for name in ph.plot.__all__ if name != "InteractiveMap"]
    assert set(wanted) < set(drawn)
    for name in drawn:
        says = wanted.get(name, r"a Posterior, got DataFrame; pass the result of fit\(\)")
        with pytest.raises(ph.PriorhoodError, match=says):
            getattr(ph.plot, name)(homes)
        with pytest.raises(ph.ModelError, match=f"plot.{name} needs "):
            getattr(ph.plot, name)()
    with pytest.raises(ph.ModelError, match=r"an Assessment, got Posterior; pass the result of assess\(\)"):
        ph.plot.pit(post)
    ph.plot.pit(post.assess(homes))
    with pytest.raises(ph.ModelError, match="got DataFrame"):
        ph.plot.trace(post=homes)
    ph.plot.trace(post=post)
    for name, source in {"pit": "assess", "loo": "loo", "compare": "compare"}.items():
        with pytest.raises(
            AttributeError,
            match=rf"no plot '{name}': it takes the result of {source}\(\), ph\.plot\.{name}\(result\)",
        ):
            getattr(post.plot, name)


def test_too_many_or_too_few_arguments(homes, post):
    with pytest.raises(
        ph.ModelError, match=r"refit takes only post without a name; .* priors=\{'tau': 'HalfNormal"
    ):
        ph.refit(post, "HalfNormal(1)")
    assert str(ph.refit(post, priors={"tau": "HalfNormal(1)"}, **HOW).priors()["tau"]) == "HalfNormal(sd=1)"
    with pytest.raises(
        ph.ModelError, match=r"predict takes only table without a name; name the others, such as quantiles="
    ):
        post.predict(homes, (0.5,), 1, 2, 3, 4, 5, 6, 7)
    with pytest.raises(ph.ModelError, match="needs table"):
        post.predict()
    with pytest.raises(ph.ModelError, match="multiple values for argument 'model'"):
        ph.fit(TEXT, homes, model=TEXT)
    with pytest.raises(ph.ModelError, match="fit needs model and table, in this order: table is missing"):
        ph.fit(TEXT)
    sums = ph.moments(TEXT, homes)
    with pytest.raises(ph.ModelError, match=r"table is missing; the model of sums is sums\.model\(\)"):
        ph.fit(sums, seed=1)
    with pytest.raises(ph.FormulaError, match=r"got Moments; the model of sums is sums\.model\(\)"):
        ph.fit(sums, sums)
    assert ph.fit(sums.model(), sums, **HOW).moments.rows == len(homes)


def test_frames_and_texts_where_they_do_not_belong(homes, post, tmp_path):
    """The third argument of compare, a factor that is no list, a function or a mask as a condition."""
    with pytest.raises(ph.ModelError, match=r"compare takes several models, .*; not Posterior"):
        ph.compare(post, post, homes)
    with pytest.raises(ph.ModelError, match="by must be one of row, place, evidence, not DataFrame"):
        ph.compare([post, post], homes, homes)
    with pytest.raises(ph.ModelError, match=r"unseen must be one of .*, not ndarray"):
        post.predict(homes, unseen=np.zeros(2))
    for wrong in (2, None, ("a", "b"), [True], [None]):
        with pytest.raises(ph.ModelError, match=r"factors must be numbers above 0 .*, such as \(0\.5, 2\)"):
            ph.sensitivity(post, wrong)
    path = tmp_path / "homes.csv"
    homes.to_csv(path, index=False)
    for table in (path, homes):
        for wrong in (lambda frame: frame.area > 60, homes.area > 60, 3):
            with pytest.raises(
                ph.TableError, match=f"where must be a condition in SQL, .* not {type(wrong).__name__}"
            ):
                ph.read(table, where=wrong)
    ph.read(path, where="area > 60")


@pytest.fixture(scope="module")
def odd(homes):
    return {
        "frame": homes, "function": len, "dict": {"a": 1}, "array": np.zeros(3), "object": object(), "list": [1, 2]
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["frame", "function", "dict", "array", "object", "list"])
def test_odd_values_of_any_argument(homes, post, odd, kind):
    """Named, whatever a text, a number or names are replaced by; a list or array may be one of names."""
    pytest.importorskip("matplotlib")
    calls = {
        "level": [ph.loo_places, ph.plot.map, ph.report], "sampler": [ph.fit], "family": [ph.Model],
        "noise": [ph.Model], "dtype": [ph.posterior_predictive], "drop_outliers": [ph.fit, ph.loo, ph.update],
        "prefix": [ph.Posterior.predict], "interval": [ph.Posterior.summary], "var": [ph.plot.forest],
        "term": [ph.plot.forest], "x": [ph.plot.lines, ph.plot.prior_lines], "title": [ph.report],
        "decimal": [ph.read], "standardize": [ph.Model], "below": [ph.plot.price],
        "standardized": [ph.Posterior.summary, ph.Posterior.coefficients],
    }  # fmt: skip
    if kind in ("frame", "function", "object"):
        calls |= {"parameters": [ph.sensitivity], "var_names": [ph.plot.trace, ph.plot.ranks]}
        calls |= {"terms": [ph.plot.shrinkage], "nulls": [ph.read], "select": [ph.plot.forest]}
    first = {ph.fit: (TEXT, homes), ph.Model: (TEXT,), ph.read: (homes,), ph.report: (post, "r.html")}
    first |= dict.fromkeys((ph.loo, ph.update, ph.posterior_predictive, ph.Posterior.predict), (post, homes))
    first[ph.plot.map] = (post, {})
    for name, functions in calls.items():
        for call in functions:
            with pytest.raises(ph.ModelError, match=f"^(unknown family|{name} must be) "):
                call(*first.get(call, (post,)), **{name: odd[kind]})


def test_numbers_where_names_belong(homes, post):
    pytest.importorskip("matplotlib")
    for call in (
        lambda: ph.loo_places(post, 3), lambda: post.plot.lines(3), lambda: post.report("r.html", level=3),
        lambda: post.plot.trace([3]), lambda: post.plot.trace(np.array(["mu", "wrong"])),
        lambda: post.summary([3]), lambda: post.plot.shrinkage([3]), lambda: ph.sensitivity(post, parameters=3),
        lambda: post.summary(interval="x"), lambda: post.coefficients("0.5"), lambda: post.coefficients(0),
        lambda: post.coefficients(["a"]), lambda: ph.influence(homes), lambda: ph.influence(post, wrong="a"),
        lambda: post.plot.forest(3), lambda: post.plot.forest(term=3), lambda: post.predict(homes, prefix=3),
    ):  # fmt: skip
        with pytest.raises(ph.PriorhoodError):
            call()
    assert post.coefficients(0.5).equals(post.coefficients((0.5,)))


def test_a_home_is_a_mapping(post):
    pytest.importorskip("matplotlib")
    areas = ph.datasets.simulate_areas(8)
    calls = [
        post.homes, post.plot.forest, post.plot.lines, post.plot.price, post.plot.prior_lines,
        lambda at: post.plot.map(areas, at=at), lambda at: post.report("r.html", at=at),
    ]  # fmt: skip
    for call in calls:
        for wrong in ("area=80", ["area"], 80):
            with pytest.raises(
                ph.ModelError, match=r"at must be a dict of predictors, such as at=\{'living_space': 100\}"
            ):
                call(at=wrong)
    assert post.homes(at={"area": 80})["area"].eq(80).all()
    with pytest.raises(ph.ModelError, match=r"below must be a finite number, not \[1, 2\]"):
        post.plot.price(below=[1, 2], at={"area": 80}, zip="00")


def test_columns_in_a_dict_are_not_called_a_frame():
    rows = {"zip": ["a", "b"], "price": [1, 2]}
    with pytest.raises(ph.TableError, match=r"^dict of columns has no column 'area'"):
        ph.fit(TEXT, rows)
    with pytest.raises(ph.TableError, match=r"^pandas frame has no column 'area'"):
        ph.fit(TEXT, pd.DataFrame(rows))


def test_a_text_or_a_truth_value_is_no_number(homes, post):
    """'350000' would be six thresholds, True the factor 1."""
    at = {"zip": ["00"], "area": [80], "type": ["flat"]}
    for wrong in ("350000", True, ["350000"], [True]):
        with pytest.raises(ph.ModelError, match="below must be a number or a list of numbers"):
            post.predict(at, below=wrong)
        with pytest.raises(ph.ModelError, match="above must be a number or a list of numbers"):
            post.predict(at, above=wrong)
    columns = set(post.predict(at, below=np.float64(350_000), above=[3e5]).columns)
    assert {"below_350000", "above_300000"} <= columns
    for wrong in (True, "1.5", np.nan):
        with pytest.raises(ph.TableError, match="drop_outliers must be a positive number"):
            ph.fit(TEXT, homes, drop_outliers=wrong)
    with pytest.raises(ph.ModelError, match="seed must be a whole number"):
        ph.fit(TEXT, homes, seed=True)
    with pytest.raises(ph.ModelError, match="below must be a number"):
        ph.plot.price(post, {"area": 80, "type": "flat"}, below="350000")
    with pytest.raises(ph.ModelError, match="below must be a finite number, not '350000'"):
        post.report("never.html", below="350000")


def test_an_outcome_of_truths_is_noted(homes):
    with pytest.warns(ph.PriorhoodWarning, match="'garage' is 0 or 1 in every row"):
        post = ph.fit("garage ~ area + (1 | zip)", homes, **HOW)
    assert "proportions" in post.notes[0]
    assert ph.fit("share ~ area + (1 | zip)", homes.assign(share=homes.garage * 0.99), **HOW).notes == ()


@pytest.mark.parametrize("of_rows", [str, int, float, "Int64"])
@pytest.mark.parametrize("of_places", [str, int, float])
def test_labels_that_are_numbers_find_their_places(of_rows, of_places):
    """In the rows, in the table of places, whatever their types are."""
    rng = np.random.default_rng(5)
    zips = rng.integers(1, 9, 120)
    rows = pd.DataFrame({"zip": zips, "y": zips + rng.normal(size=120)}).astype({"zip": of_rows})
    places = pd.DataFrame({"zip": np.arange(1, 9), "far": np.arange(8.0)}).astype({"zip": of_places})
    post = ph.fit("y ~ far + (1 | zip)", rows, places=places, **HOW)
    assert post.attrs["rows_used"] == 120
    assert post["beta"]["zip"].values.tolist() == [str(z) for z in range(1, 9)]


# -- priors that no data are near --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prior", "said"),
    [
        (
            "tau ~ Exponential(1e300)",
            "scale in Exponential(scale=1e+300) must be at most 1e+30; priors are on",
        ),
        ("tau ~ Exponential(1e-300)", "scale in Exponential(scale=1e-300) must be at least 1e-30"),
        ("mu ~ Normal(-1e31, 1)", "mean in Normal(mean=-1e+31, sd=1) must be at most 1e+30"),
        ("sigma ~ LogNormal(-70, 1)", "mean in LogNormal(mean=-70, sd=1) must be at most 69"),
        (
            "sigma ~ Gamma(1e15, 1e-15)",
            "shape in Gamma(shape=1000000000000000, scale=1e-15) must be at most 1e+10",
        ),
        ("tau ~ HalfStudentT(1e-9, 1)", "nu in HalfStudentT(nu=1e-09, scale=1) must be at least 1e-06"),
    ],
)
def test_priors_of_which_nothing_can_be_computed(prior, said):
    with pytest.raises(ph.PriorError) as problem:
        ph.Model(TEXT, prior)
    assert said in str(problem.value)


@pytest.mark.parametrize(
    "prior",
    [
        f"{parameter} ~ {family}"
        for parameter in ("tau", "sigma")
        for scale in ("1e-30", "1e30")
        for family in (f"Exponential({scale})", f"HalfNormal({scale})", f"HalfCauchy({scale})",
                       f"Gamma(2, {scale})", f"InverseGamma(2, {scale})", f"HalfStudentT(3, {scale})")
    ] + ["mu ~ Normal(0, 1e30)", "mu ~ Normal(1e30, 1e30)", "mu ~ Normal(0, 1e-30)", "mu ~ Normal(1e30, 1e-30)",
         "mu[area] ~ Normal(1e30, 1e-30)"],
)  # fmt: skip
def test_the_farthest_priors_are_fitted_or_refused(homes, prior):
    """NumPy's warnings are errors here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)
        with suppress(ph.SamplingError):
            ph.fit(ph.Model(TEXT, prior), homes, **HOW)


@pytest.mark.parametrize(
    ("prior", "formulas"),
    [
        ("mu[Intercept] ~ Normal(0, 0.05)", 0), ("mu[Intercept] ~ Normal(1000, 1)", 0),
        ("mu[Intercept] ~ Normal(0, 1)", 1), ("mu[Intercept] ~ Normal(-9, 0.001)", 0),
        ("mu[Intercept] ~ Normal(0, 1e-30)", 0),
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", [TEXT, TEXT.replace("price", "log(price)")])
def test_what_is_advised_about_a_far_prior_is_near_enough(homes, text, prior, formulas):
    """Priors and formulas alike; no formula takes off nothing, or less than would do."""
    priced = homes.assign(price=homes.price + 200_000)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with suppress(ph.SamplingError):
            ph.fit(ph.Model(text, prior), priced, **HOW)
    (told,) = [str(one.message) for one in caught]
    wider = re.findall(r"mu\[Intercept\] ~ Normal\(0, [\de+]+\)", told.partition(" and will pull")[2])
    found = re.findall(r"outcome, '([^']*)'", told)
    assert len(wider) == 1
    assert len(found) >= formulas
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ph.fit(ph.Model(text, wider), priced, **HOW)
        for formula in found:
            ph.fit(ph.Model(formula, prior), priced, **HOW)


def test_an_outcome_around_0_with_a_far_prior():
    """Its mean has no logarithm."""
    frame = pd.DataFrame({"y": [-1.0, 1.0, -2.0, 2.0, -1.5, 1.5], "zip": list("aabbcc")})
    with pytest.warns(ph.PriorhoodWarning, match=r"such as mu\[Intercept\] ~ Normal\(0, 10\)"):
        ph.fit(ph.Model("y ~ 1 + (1 | zip)", "mu ~ Normal(100, 1)"), frame, **HOW)
    ph.fit(ph.Model("y ~ 1 + (1 | zip)", "mu ~ Normal(0, 10)"), frame, **HOW)


@pytest.mark.parametrize("weight", [1e-6, 1.0, 30.0, 1e8, 1e9])
def test_weights_that_make_sigma_larger_than_its_prior_are_told(homes, weight):
    """Alike for all rows they change nothing but sigma, which its prior then holds back: 0.69 of it at 1e8."""
    weighted = homes.assign(w=weight)
    model = ph.Model(TEXT, precision_weights="w")
    right = float(ph.fit(ph.Model(TEXT), homes, **HOW).natural("sigma").mean())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = float(ph.fit(model, weighted, **HOW).natural("sigma").mean()) / weight**0.5
    told = [str(one.message) for one in caught]
    assert bool(told) == (weight > 1000)
    if not told:
        assert found == pytest.approx(right, rel=0.03)
        return
    assert found < 0.97 * right
    mean, prior = re.search(
        r"by their mean, (\S+), or use .*, such as (sigma ~ HalfNormal\(\d+\))", told[0]
    ).groups()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        divided = ph.fit(model, weighted.assign(w=weighted.w / float(mean)), **HOW)
        wider = ph.fit(ph.Model(TEXT, prior, precision_weights="w"), weighted, **HOW)
    assert float(divided.natural("sigma").mean()) == pytest.approx(right, rel=0.03)
    assert float(wider.natural("sigma").mean()) / weight**0.5 == pytest.approx(right, rel=0.03)


# -- too few rows -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["price ~ area", "price ~ area + (1 | zip)"])
def test_as_many_rows_as_coefficients(homes, text):
    """Any outcome is a function of the predictors then; both ways out are ways out."""
    few = homes.drop_duplicates("zip")[:2]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)  # one row a zip
        with pytest.raises(
            ph.ModelError, match=r"as many coefficients as there are rows to use, 2.*more rows, or fewer"
        ):
            ph.fit(text, few, **HOW)
        ph.fit(text, homes.drop_duplicates("zip")[:3], **HOW)
        ph.fit(text.replace("area", "1"), few, **HOW)


def test_rows_that_are_there_twice(homes):
    few = homes.drop_duplicates("zip")[:3]
    with pytest.raises(ph.SamplingError, match=r"Look for duplicate rows, and leave them out$"):
        ph.fit("price ~ 1 + (1 | zip)", pd.concat([few, few]), **HOW)
    with pytest.warns(ph.PriorhoodWarning, match="has one row"):
        ph.fit("price ~ 1 + (1 | zip)", pd.concat([few, few]).drop_duplicates(), **HOW)


@pytest.mark.parametrize(("family", "own"), [("gaussian", "normal"), ("Student-t", "student"), ("t", "student")])
def test_other_names_of_families_are_answered_with_ours(family, own):
    with pytest.raises(ph.ModelError, match=f"unknown family '{family}'; write '{own}'"):
        ph.Model(TEXT, family=family)


@pytest.mark.parametrize(
    ("argument", "own"),
    [("family", "family=…"), ("prior", "priors=…"), ("weights", "precision_weights=… or frequency_weights=…")],
)
def test_arguments_of_the_model_are_sent_there(homes, argument, own):
    with pytest.raises(ph.ModelError, match=re.escape(f"pass it to the model, Model(formula, {own})")):
        ph.fit(TEXT, homes, **{argument: "x"})

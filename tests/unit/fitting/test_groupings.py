"""Nested and crossed groupings from a user's side: refusals, files, updates, other orders of rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.errors import FormulaError, ModelError, PriorError, TableError
from shared_data import data_file

FORMULAS = {
    "nested": "y ~ x + (x | city/district/zip)",
    "own terms": "y ~ x + (1 | city) + (x || city:district) + (1 | city:district:zip)",
    "crossed": "y ~ x + (x | zip) + (1 | kind)",
    "nested and crossed": "y ~ x + (1 | district/zip) + (x | kind)",
}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    z = rng.integers(0, 24, 240)
    kind = rng.choice(["flat", "house", "loft"], 240)
    x = rng.normal(size=240)
    return pd.DataFrame(
        {
            "city": np.array(["B", "A"])[z % 2],
            "district": np.array(["n", "s", "w"])[z // 2 % 3],
            "zip": [f"{k // 2:02d}" for k in z],
            "kind": kind,
            "x": x,
            "one": "same",
            "zip_again": [f"{k // 2:02d}" for k in z],
            "row": np.arange(240).astype(str),
            "y": 3 + x + 0.3 * z + (kind == "loft") + rng.normal(size=240),
        }
    )


@pytest.fixture(scope="module", params=FORMULAS)
def post(request, rows):
    return ph.fit(FORMULAS[request.param], rows, seed=1, draws=100)


def same(one, two):
    for name in one.parameters:
        assert one[name].dims == two[name].dims
        for dim in one[name].dims:
            assert np.array_equal(one[name][dim].values, two[name][dim].values)
        np.testing.assert_allclose(one[name].values, two[name].values, rtol=1e-6, atol=1e-6)


# -- what is refused ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("(1 | zip_again/zip)", ["12 zip_agains has one zip", "drop one of the two"]),
        ("(1 | one/zip)", ["the same one 'same'", "fit 'y ~ x + (1 | one:zip)'"]),
        ("(1 | zip) + (1 | one)", ["the same one 'same'", "fit 'y ~ x + (1 | zip)'"]),
    ],
)
def test_groupings_that_no_data_of_this_form_can_tell(rows, part, words):
    with pytest.raises(ModelError) as problem:
        ph.fit(f"y ~ x + {part}", rows)
    assert all(word in str(problem.value) for word in words), problem.value


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("(1 | city + zip)", ["a/b (b within", "(1 | a) + (1 | b)"]),
        ("(1 | city_zip) + (1 | zip) + (1 | city:zip)", ["'city_zip' and 'city:zip'", "rename a column"]),
        ("(1 | city/zip/city)", ["contains a column twice"]),
        ("(1 | city:zip) + (x | zip:city)", ["in one part", "zip:city"]),
        ("(1 | city/zip) + (x | city)", ["in one part", "'city'"]),
        ("(1 | city//zip)", ["a column is missing"]),
        ("(1 | city/)", ["a column is missing"]),
        ("(1 | city*zip)", ["backticks"]),
        ("(1 | tau_city) + (1 | city)", ["'tau_city'", "rename"]),
        ("(1 | zip) + (1 | mu)", ["'mu'", "rename"]),
    ],
)
def test_group_parts_that_cannot_be(part, words):
    with pytest.raises(FormulaError) as problem:
        ph.Model(f"y ~ x + {part}")
    assert all(word in str(problem.value) for word in words), problem.value


ORDERS = [
    "(1 | zip) + (1 | kind) + (1 | zip:kind)", "(1 | kind) + (1 | zip) + (1 | zip:kind)",
    "(1 | zip:kind) + (1 | kind) + (1 | zip)", "(1 | zip/kind) + (1 | kind)",
]  # fmt: skip


@pytest.mark.parametrize("part", ORDERS)
def test_places_times_and_both_have_names_of_their_own(rows, part):
    """However it is written: zip:kind lies in zip, kind crosses both; the posterior is that of a copied column."""
    post = ph.fit(f"y ~ x + {part}", rows, seed=1, draws=100)
    assert post.parameters == ["mu", "beta", "beta_zip", "delta_kind", "tau", "tau_zip", "tau_kind", "sigma"]
    assert post["beta"].dims == ("chain", "draw", "zip_kind", "zip_kind_term")
    assert post["beta"].sizes["zip_kind"] == rows.groupby(["zip", "kind"]).ngroups
    copied = ph.fit("y ~ x + (1 | zip/sort) + (1 | kind)", rows.assign(sort=rows.kind), seed=1, draws=100)
    np.testing.assert_array_equal(post["beta"].values, copied["beta"].values)
    assert post.log_evidence == copied.log_evidence
    assert "12 zips, 3 kinds" in repr(post)
    assert f"{post['beta'].sizes['zip_kind']} zip:kind" in repr(post)


def test_a_new_time_is_new_in_its_known_place(rows, tmp_path):
    post = ph.fit("y ~ x + (1 | zip) + (1 | kind) + (1 | zip:kind)", rows, seed=1, draws=100)
    post.save(tmp_path / "post.nc")
    post = ph.load(tmp_path / "post.nc")
    homes = {"zip": ["00", "00", "99"], "kind": ["flat", "barn", "flat"], "x": [0.0, 0.0, 0.0]}
    found = post.predict(homes, unseen="population")
    assert found["status"].tolist() == ["known", "new", "new"]
    # The average kind in a known zip: mu is within, beta_zip has it; its centre is that of x.
    base = post.natural("beta_zip").sel(zip="00").mean().item() - post.natural("mu").sel(
        term="x"
    ).mean().item() * post.scale.centre[post.design.names.index("x")]  # fmt: skip
    assert found["mean"][1] == pytest.approx(base, rel=1e-9)
    with pytest.raises(TableError, match="zip_kind '00/barn', '99/flat' were not"):
        post.predict(homes)
    assert post.draws(zip_kind="00/flat").sizes["zip_kind"] == 1
    priors = ph.Model(post.model.formula, {"tau_kind": "Fixed(0.5)", "tau_zip": "HalfNormal(1)"})
    assert (ph.fit(priors, rows, seed=1, draws=50)["tau_kind"] == 0.5).all()


def test_two_groupings_with_the_same_last_column_both_have_long_names(rows):
    formula = ph.Model("y ~ x + (1 | city/zip) + (1 | district:zip)").formula
    assert formula.places == ("city_zip", "city", "district_zip")
    assert [formula.suffix(at) for at in range(3)] == ["", "_city", "_district_zip"]


def test_what_is_counted_is_named(rows):
    """Combinations are no kinds: 36 zip:kind, not 36 kinds; places in places are named by their own column."""
    count = rows.groupby(["zip", "kind"]).ngroups
    assert f"{count} zip:kind," in repr(ph.fit("y ~ x + (1 | zip:kind)", rows, seed=1, draws=20))
    assert f"each of {count} zip:kind its label" in str(ph.moments("y ~ x + (1 | zip:kind)", rows))
    nested = ph.Model("y ~ x + (1 | city) + (1 | city:district:zip)").formula
    assert [nested.title(at) for at in range(2)] == ["district:zip", "city"]


def test_a_group_is_not_called_like_a_parameter():
    with pytest.raises(ModelError, match="'sigma'"):
        ph.Model("y ~ x + (1 | sigma/zip)")
    assert ph.Model("y ~ x + (1 | nu/zip)").formula.group == "zip"  # Normal errors have no nu


def test_labels_that_would_look_alike(rows):
    twice = rows.assign(district=np.where(rows.city == "A", "s/1", "s"), zip=np.where(rows.city == "A", "a", "1/a"))
    with pytest.raises(ModelError, match="two places of 'zip' would both be shown as 's/1/a'"):
        ph.fit("y ~ x + (1 | district/zip)", twice)


def test_crossed_effects_have_a_limit_that_says_what_to_do(rows):
    with pytest.raises(ModelError, match=r"at most 100 with 3 groups: write the grouping term of row first"):
        ph.fit("y ~ x + (1 | kind) + (1 | row)", rows, engine="exact")
    # Two large ones, however they are written: refused before anything is taken of their product.
    rng = np.random.default_rng(2)
    large = pd.DataFrame({name: rng.integers(0, 30_000, 40_000).astype(str) for name in "ab"})
    told = r"integrates these out jointly, and supports at most \d+ with [0-9,]+ groups; engine"
    with pytest.raises(ModelError, match=told):
        ph.fit("y ~ 1 + (1 | a) + (1 | b)", large.assign(y=rng.normal(size=40_000)), engine="exact")


def test_the_larger_grouping_first_is_taken(rows):
    with pytest.warns(ph.PriorhoodWarning, match="every row has one row"):
        post = ph.fit("y ~ x + (1 | row) + (1 | kind)", rows, seed=1, draws=20)
    assert post.attrs["engine"] == "exact"
    assert "few effects of crossed groups" in post.attrs["engine_reason"]


def test_priors_of_further_groupings(rows):
    model = ph.Model(
        "y ~ x + (x | district/zip) + (1 | kind)",
        {
            "tau": "Exponential(1)",
            "tau_district[x]": "HalfNormal(0.5)",
            "omega_district": "LKJ(5)",
            "tau_kind": "Fixed(0.3)",
        },
    )
    post = ph.fit(model, rows, seed=1, draws=20)
    resolved = model.resolve(post.design)
    assert [str(p) for p in resolved.tau[1]] == ["Exponential(scale=1)", "HalfNormal(sd=0.5)"]
    assert [str(p) for p in resolved.omega if p] == ["LKJ(eta=2)", "LKJ(eta=5)"]
    assert (post["tau_kind"] == 0.3).all()
    for key in ("tau_city ~ Exponential(1)", "omega_kind ~ LKJ(2)", "tau_kind[x] ~ Exponential(1)"):
        wrong = ph.Model("y ~ x + (x | district/zip) + (1 | kind)", key)
        with pytest.raises(PriorError, match="no such parameter"):
            ph.fit(wrong, rows)


def test_new_places_are_refused_by_name(rows):
    post = ph.fit("y ~ x + (x | district/zip) + (1 | kind)", rows, seed=1, draws=20)
    frame = pd.DataFrame({"x": 0.0, "district": ["n", "n"], "zip": ["00", "3"], "kind": ["flat", "flat"]})
    said = r"zip 'n/3' was .* \(but 'n/03' was: .*unseen='population' \(the average of its district\)"
    with pytest.raises(TableError, match=said):
        post.predict(frame)
    with pytest.raises(TableError, match=r"kind 'hut' was not in the data of the fit.*the average kind"):
        post.predict(frame.assign(zip="00", kind=["flat", "hut"]))


# -- files, updates, orders --------------------------------------------------------------------------------


def test_a_saved_posterior_predicts_the_same(post, rows, tmp_path):
    post.save(tmp_path / "p.nc")
    again = ph.load(tmp_path / "p.nc")
    same(post, again)
    assert again.moments.keys == post.moments.keys
    assert np.array_equal(again.moments.labels, post.moments.labels)
    frame = rows.head(5).assign(zip=["00", "new", None, "01", "02"])
    for unseen in ("population", "draw"):
        pd.testing.assert_frame_equal(post.predict(frame, unseen=unseen), again.predict(frame, unseen=unseen))
    tree = ph.posterior_predictive(again, rows)
    finest = tree["posterior_predictive"]["zip"].values
    assert set(finest) == set(post[post.model.formula.effect_name(0)]["zip"].values)


@pytest.mark.once
def test_refit_update_and_merge_are_the_fit_of_all_rows(post, rows, tmp_path):
    model = post.model
    same(ph.refit(post), ph.fit(model, rows, seed=1))
    # The second half has places that the first has not, and the other way round.
    parts = [rows[rows.zip < "06"], rows[rows.zip >= "06"]]
    halves = [ph.fit(model, part, seed=1, draws=20) for part in parts]
    halves[0].save(tmp_path / "half.nc")
    whole = ph.fit(model, rows, seed=1, draws=50)
    same(ph.merge(ph.load(tmp_path / "half.nc"), halves[1], draws=50), whole)
    same(ph.update(halves[0], parts[1], draws=50), whole)


def test_the_order_of_rows_does_not_matter(post, rows):
    same(post, ph.fit(post.model, rows.sample(frac=1, random_state=3), seed=1, draws=100))


def test_prior_draws_have_the_spreads_they_were_given(rows):
    """Draws of beta around their parents, over tau: standard Normal. Negative control: around mu."""
    model = ph.Model("y ~ x + (1 | district/zip) + (1 | kind)", ["tau ~ Fixed(2)", "tau_district ~ Fixed(3)"])
    prior = ph.prior_predictive(model, rows, draws=2000, seed=3)["prior"].to_dataset().isel(chain=0)
    labels = prior["zip"].values.astype(str)
    above = prior["beta_district"].sel(district=[label.partition("/")[0] for label in labels]).values[..., 0]
    z = (prior["beta"].values[..., 0] - above) / 2
    assert abs((z**2).mean() - 1) < 5 * np.sqrt(2 / z.size)
    mu = prior["mu"].sel(term="Intercept").values[:, None]
    district = (prior["beta_district"].values[..., 0] - mu) / 3
    assert abs((district**2).mean() - 1) < 5 * np.sqrt(2 / district.size)
    assert abs((((prior["beta"].values[..., 0] - mu) / 2) ** 2).mean() - 1) > 1


def test_summary_and_equations_name_every_grouping(post, rows):
    names = " ".join(post.summary().index)
    text = post.equations()
    for at, grouping in enumerate(post.model.formula.groupings):
        suffix = post.model.formula.suffix(at)
        assert f"tau{suffix}[Intercept]" in names
        assert f"  tau{suffix}[Intercept]" in text
        assert (f"  omega{suffix} " in text) == grouping.correlated
        assert f"[{grouping.group}] ~ Normal(" in text
    assert all(verdict.text for verdict in post.check())


def test_verdicts_name_coefficients_of_upper_levels(post):
    from dataclasses import replace

    names = [n for n in post.parameters if n.startswith(("beta_", "delta_"))]
    tree = post.tree.copy()
    draws = tree["posterior"].to_dataset().copy(deep=True)
    draws[names[0]][0] += 100.0  # one chain elsewhere
    tree["posterior"] = tree["posterior"].__class__(draws)
    bad = next(v for v in replace(post, tree=tree).check() if v.about == "R-hat")
    assert not bad.good
    assert f"{names[0]}[" in bad.text


def test_counties_of_the_same_name_in_several_states():
    table = ph.read(data_file("radon_us.csv.gz"), where="floor < 9")
    post = ph.fit("log_radon ~ floor + (floor | state/county)", table, seed=1)
    assert post.attrs["engine"] == "exact"
    labels = post["beta"]["county"].values.astype(str)
    assert (post["beta"].sizes["county"], post["beta_state"].sizes["state"]) == (467, 8)
    washingtons = [label for label in labels if label.endswith("/WASHINGTON")]
    assert len(washingtons) >= 4
    means = [post["beta"].sel(county=label, term="Intercept").mean() for label in washingtons]
    assert np.ptp(means) > 0.3

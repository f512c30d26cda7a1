"""Tables of several models: their form, what is refused, stacking, pictures."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.evaluation.compare import stacking

COLUMNS = ["rank", "elpd_diff", "dse", "p_worse", "diag_diff", "diag_elpd", "p", "elpd", "se", "weight"]


@pytest.fixture(scope="module")
def table():
    frame, _ = ph.simulate(12, 240, seed=3)
    district = np.array(["n", "s", "w"])[pd.factorize(frame["zip"])[0] % 3]
    return frame.assign(district=district, noise=np.random.default_rng(1).normal(size=len(frame)))


@pytest.fixture(scope="module")
def posts(table):
    formulas = {
        "lines": "price ~ living_space + (living_space | zip)",
        "levels": "price ~ living_space + (1 | zip)",
        "logs": "log(price) ~ living_space + (1 | district/zip)",
    }
    return {name: ph.fit(formula, table, chains=2, draws=300, seed=1) for name, formula in formulas.items()}


def test_the_table_has_the_form_of_arviz(posts, table):
    found = ph.compare(posts, table)
    assert found.columns.tolist() == COLUMNS
    assert found["rank"].tolist() == [0, 1, 2]
    assert found["elpd"].is_monotonic_decreasing
    assert found["weight"].sum() == pytest.approx(1)
    one = {name: ph.loo(post, table) for name, post in posts.items()}
    pd.testing.assert_frame_equal(ph.compare(one), found)
    best, second = found.index[:2]
    off = one[second].pointwise["elpd"] - one[best].pointwise["elpd"]
    assert found.loc[second, "elpd_diff"] == pytest.approx(off.sum())
    assert found.loc[second, "dse"] == pytest.approx(np.sqrt(len(off) * off.var(ddof=0)))


@pytest.mark.parametrize("by", ["row", "place", "evidence"])
def test_mappings_pairs_and_lists_are_the_same_models(posts, table, by):
    one = {name: posts[name] for name in ("levels", "lines")}
    found = ph.compare(one, table, by)
    for pairs in (list(one.items()), tuple(one.items())):
        pd.testing.assert_frame_equal(ph.compare(pairs, table, by), found)
    formulas = {name: post.model.formula.text for name, post in one.items()}
    for models in (list(one.values()), tuple(one.values())):
        listed = ph.compare(models, table, by)
        assert listed.index.tolist() == [formulas[name] for name in found.index]
        pd.testing.assert_frame_equal(listed.reset_index(drop=True), found.reset_index(drop=True))


def test_results_of_loo_in_lists_and_pairs(posts):
    left = {name: ph.loo_places(posts[name]) for name in ("levels", "lines")}
    found = ph.compare(left, by="place")
    pd.testing.assert_frame_equal(ph.compare(list(left.items()), by="place"), found)
    listed = ph.compare(list(left.values()), by="place")
    assert set(listed.index) == {one.formula for one in left.values()}
    assert ph.compare([left["lines"]] * 2, by="place").index.tolist() == ["model 1", "model 2"]


def test_two_models_of_one_name_are_refused(posts, table):
    with pytest.raises(ph.ModelError, match="two models are called 'a'"):
        ph.compare([("a", posts["levels"]), ("b", posts["lines"]), ("a", posts["lines"])], table)
    with pytest.raises(ph.ModelError, match=r"\[\('name', posterior\), …\]"):
        ph.compare(posts["levels"], table)


def test_stacking_is_the_best_mixture():
    rng = np.random.default_rng(2)
    values = rng.normal(-1, [0.3, 0.5, 0.8], (200, 3))
    found = stacking(values, np.ones(200))
    assert found.sum() == pytest.approx(1)
    best = np.log(np.exp(values) @ found).sum()
    others = rng.dirichlet(np.ones(3), 3000)
    assert best >= np.log(np.exp(values) @ others.T).sum(axis=0).max() - 1e-6
    # A row counted twice is the row written twice.
    again = stacking(np.repeat(values, 2, axis=0), np.ones(400))
    np.testing.assert_allclose(stacking(values, np.full(200, 2.0)), again, atol=1e-5)
    np.testing.assert_allclose(stacking(values - 800.0, np.ones(200)), found, atol=1e-5)


def test_stacking_is_that_of_arviz(posts, table):
    azs = pytest.importorskip("arviz_stats")
    trees = {name: ph.posterior_predictive(post, table) for name, post in posts.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = {name: azs.loo(tree, pointwise=True) for name, tree in trees.items()}
        theirs = azs.compare(one, method="stacking")
    values = np.stack([one[name].elpd_i.values for name in theirs.index], axis=1)
    weights = theirs["weight"].astype(float)
    # Theirs may be rounded for print.
    np.testing.assert_allclose(stacking(values, np.ones(len(values))), weights, atol=6e-3)
    # Another model's, the negative control, are not theirs.
    assert np.abs(stacking(values[:, ::-1], np.ones(len(values))) - weights).max() > 0.1


def test_places_are_found_again_in_a_deeper_tree(posts):
    found = ph.compare(posts, by="place")
    assert found.attrs["count"] == 12
    assert set(found.index) == set(posts)


def test_evidence_says_what_the_evidences_say(posts):
    found = ph.compare({name: posts[name] for name in ("levels", "lines")}, by="evidence")
    best, other = found.index
    off = posts[other].log_evidence - posts[best].log_evidence
    assert found.loc[other, "log_bayes_factor"] == pytest.approx(off)
    assert found.loc[other, "probability"] == pytest.approx(np.exp(off) / (1 + np.exp(off)))
    assert "priors" in found.attrs["note"]


def test_evidence_of_a_log_outcome_is_on_the_outcomes_scale(posts, table):
    found = ph.compare({name: posts[name] for name in ("levels", "logs")}, by="evidence")
    own = posts["logs"].log_evidence - np.log(table["price"]).sum()
    assert found.loc["logs", "log_evidence"] == pytest.approx(own, rel=1e-9)


def test_other_rows_and_outcomes_are_refused(posts, table):
    fewer = ph.fit("price ~ living_space + (1 | zip)", table.iloc[5:], chains=1, draws=100, seed=1)
    other = ph.fit("noise ~ living_space + (1 | zip)", table, chains=1, draws=100, seed=1)
    mixed = {"all": posts["levels"], "fewer": fewer}
    with pytest.raises(ph.TableError, match=r"fewer: .* 240 rows that can be used, the fit had 235"):
        ph.compare(mixed, table)
    with pytest.raises(ph.ModelError, match="different rows"):
        ph.compare(mixed, by="evidence")
    with pytest.raises(ph.ModelError, match="different rows"):
        ph.compare(mixed, by="place")
    for by in ("row", "place", "evidence"):
        with pytest.raises(ph.ModelError, match="'noise'"):
            ph.compare({"price": posts["levels"], "noise": other}, table, by=by)
    left = {"all": ph.loo(posts["levels"], table), "fewer": ph.loo(fewer, table.iloc[5:])}
    with pytest.raises(ph.ModelError, match=r"were fitted to different rows .fewer has 235, all 240"):
        ph.compare(left)


def test_as_many_rows_that_are_others_are_refused(table):
    # The same number in every place: other ones lack a predictor, or other halves of the table were read.
    by_zip = table.groupby("zip").cumcount()
    rows = table.groupby("zip")["price"].transform("size")
    table = table[(by_zip < rows // 2 * 2) & (rows > 3)]
    by_zip = by_zip[table.index]
    gaps = {"first": table["noise"].mask(by_zip == 0), "second": table["noise"].mask(by_zip == 1)}
    pairs = [[table.assign(noise=gap) for gap in gaps.values()], [table[by_zip % 2 == half] for half in (0, 1)]]
    for pair in pairs:
        fits = [ph.fit("price ~ noise + (1 | zip)", rows, chains=1, draws=100, seed=1) for rows in pair]
        one, two = ({"a": fits[0], "b": fits[1]}, dict(zip("ab", map(ph.loo_places, fits), strict=True)))
        for models in (one, two):
            with pytest.raises(ph.ModelError, match=r"outcomes: the mean of 'price' in '\d+' is .* same rows"):
                ph.compare(models, by="place")
        with pytest.raises(ph.ModelError, match="different outcomes: the mean of 'price' is"):
            ph.compare(one, by="evidence")
    # Halves have the same positions, and are not the same rows.
    halves = {name: rows.reset_index(drop=True) for name, rows in zip("ab", pairs[1], strict=True)}
    rows = {name: ph.loo(post, halves[name]) for name, post in zip("ab", fits, strict=True)}
    with pytest.raises(ph.ModelError, match="different outcomes: the mean of 'price' is"):
        ph.compare(rows)


def test_rows_in_another_order_and_reading_are_the_same(table, tmp_path):
    table.sample(frac=1, random_state=1).to_csv(tmp_path / "t.csv", index=False)
    other = ph.fit("price ~ (1 | district/zip)", str(tmp_path / "t.csv"), chains=1, draws=100, seed=1)
    first = ph.fit("price ~ living_space + (1 | zip)", table, chains=1, draws=100, seed=1)
    for by in ("place", "evidence"):
        assert len(ph.compare([first, other], by=by)) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [({}, "pass the fit's table"), ({"by": "zip"}, "by must be one of row, place, evidence"),
     ({"by": "place", "level": "distrct"}, "'distrct' is not a grouping"),
     ({"by": "place", "draws": 3}, "at least 50")],
)  # fmt: skip
def test_what_cannot_be_is_refused(posts, options, says):
    with pytest.raises(ph.ModelError, match=says):
        ph.compare({"one": posts["lines"]}, **options)


def test_rows_that_are_not_those_of_the_fit(posts, table):
    changed = table.assign(price=table["price"].where(table.index != 7, 1e6))
    with pytest.raises(ph.TableError, match=r"'price' in '.* not those of the fit"):
        ph.loo(posts["lines"], changed)
    with pytest.raises(ph.TableError, match="a place 'elsewhere'"):
        ph.loo(posts["lines"], table.assign(zip=table["zip"].where(table.index != 7, "elsewhere")))


def test_rows_are_told_by_their_position(posts, table):
    spoilt = pd.concat([table.iloc[:3].assign(price=np.nan), table], ignore_index=True)
    found = ph.loo(posts["lines"], spoilt)
    assert found.pointwise.index.tolist() == list(range(3, 243))
    assert found.pointwise["label"].tolist() == table["zip"].tolist()


def test_blocks_change_nothing(posts, table, monkeypatch):
    whole = ph.loo(posts["lines"], table), ph.loo_places(posts["logs"])
    monkeypatch.setattr("priorhood.evaluation.loo.BLOCK", 5000)
    monkeypatch.setattr("priorhood.engines.exact.conditional.STACK", 5000)
    parts = ph.loo(posts["lines"], table), ph.loo_places(posts["logs"])
    for one, two in zip(whole, parts, strict=True):
        pd.testing.assert_frame_equal(one.pointwise, two.pointwise, rtol=1e-9)
        assert one.mcse == pytest.approx(two.mcse)


# -- pictures -----------------------------------------------------------------------------------------------


def texts(figure):
    return [text.get_text() for text in figure.texts]


def test_pictures_say_what_the_table_says(posts, table):
    pytest.importorskip("matplotlib")
    found = ph.compare(posts, table)
    figure = ph.plot.compare(found)
    assert any(text.startswith(f"{found.index[0]} predicts new rows") for text in texts(figure))
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == found.index.tolist()
    assert figure._repr_png_().startswith(b"\x89PNG")
    evidence = ph.plot.compare(ph.compare({k: posts[k] for k in ("levels", "lines")}, by="evidence"))
    assert any("as probable as" in text or "far more probable" in text for text in texts(evidence))
    for result in (ph.loo(posts["lines"], table), ph.loo_places(posts["lines"])):
        figure = ph.plot.loo(result)
        assert sum(len(line.get_xdata()) for line in figure.axes[0].lines[:2]) == 12
    with pytest.raises(ph.ModelError, match=r"takes the table returned by compare\(\)"):
        ph.plot.compare(pd.DataFrame())

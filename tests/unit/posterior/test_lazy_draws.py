"""Fits that keep summaries of places: the same posterior, and every question answered or refused in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import priorhood as ph
from priorhood.fitting import engine_choice as engines
from priorhood.posterior import price_batches
from priorhood.prediction import predict
from priorhood.reporting import calculator
from priorhood.reporting.content import content

FORMULA = "price ~ living_space + (living_space | zip)"
FIT = {"chains": 4, "draws": 500, "seed": 3}


@pytest.fixture(scope="module")
def summed(sales):
    return ph.fit(FORMULA, sales, store="summaries", **FIT)


@pytest.fixture(scope="module")
def drawn(sales):
    return ph.fit(FORMULA, sales, store="draws", **FIT)


@pytest.fixture(scope="module")
def saved(summed, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "summed.nc"
    summed.save(path)
    return ph.load(path)


def test_what_is_stored_is_said(summed, drawn, saved):
    assert (summed.attrs["store"], summed.attrs["store_reason"]) == ("summaries", "requested")
    assert drawn.attrs["store"] == "draws"
    assert "summaries" in repr(summed)
    assert "summaries" not in repr(drawn)
    assert list(summed.tree["summaries"].data_vars) == ["beta_mean", "beta_sd", "beta_q5", "beta_q50", "beta_q95"]
    assert "beta" not in summed.parameters
    assert repr(saved) == repr(summed)


def test_size_decides(sales, monkeypatch):
    auto = {"chains": 1, "draws": 50, "seed": 1}
    few = ph.fit(FORMULA, sales, **auto)
    assert few.attrs["store"] == "draws"
    monkeypatch.setattr(engines, "MAX_STORED", 1000)
    many = ph.fit(FORMULA, sales, **auto)
    assert many.attrs["store_reason"] == "beta has 1,200 draws, more than 1,000"
    assert ph.refit(few, **auto).summed
    noisy = ph.fit(ph.Model(FORMULA, noise="zip"), sales, **auto)
    assert (
        noisy.attrs["store_reason"]
        == "beta has 1,200 draws, more than 1,000, but their posterior has no closed form"
    )


def test_theta_is_the_same_and_summaries_are_within_monte_carlo_error(summed, drawn):
    np.testing.assert_array_equal(summed["tau"], drawn["tau"])
    np.testing.assert_array_equal(summed["sigma"], drawn["sigma"])
    told, made = summed.coefficients(), drawn.coefficients()
    sd = told["beta_sd"]
    # 24 of each: at 4.5 standard errors of independent draws, which these are to 20 %, one false alarm in 1,000.
    error = 4.5 * np.sqrt(1.2 / 2000)
    assert (np.abs(told["beta_mean"] - made["beta_mean"]) < error * sd).all()
    assert (np.abs(told["beta_sd"] / made["beta_sd"] - 1) < error).all()
    # Of a Normal's q-quantile: √(q(1−q)/S)/density.
    for name, width in (("beta_q5", 2.12), ("beta_q50", 1.26), ("beta_q95", 2.12)):
        assert (np.abs(told[name] - made[name]) < width * error * sd).all()


def test_draws_of_a_place_are_its_own(summed, saved):
    labels = summed.hierarchy.levels[0].labels.tolist()
    every = summed.draws(zip=labels)
    assert every.dims == ("chain", "draw", "zip", "term")
    for post in (summed, saved):
        some = post.draws(zip=[labels[7], labels[2]])
        np.testing.assert_array_equal(some, every.sel(zip=[labels[7], labels[2]]))
    alone = summed.draws(standardized=True, zip=labels[2])
    np.testing.assert_allclose(alone * summed.natural_factor("mu"), every.sel(zip=[labels[2]]), rtol=1e-13)
    assert np.abs(np.corrcoef(every.values.reshape(2000, -1)[:, ::2].T) - np.eye(12)).max() < 0.5
    told = summed.coefficients()
    error = 4.5 / np.sqrt(2000)
    assert (np.abs(every.mean(("chain", "draw")) - told["beta_mean"]) < 1.1 * error * told["beta_sd"]).all()


def test_draws_of_stored_places_are_the_stored_ones(drawn):
    labels = drawn.hierarchy.levels[0].labels[[4, 1]]
    np.testing.assert_array_equal(drawn.draws(zip=labels), drawn.natural("beta").sel(zip=labels))


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda post: post["beta"], r"no draws of beta are stored \(requested\).*post\.draws\(zip=\['"),
        (lambda post: post.draws(), "needs the labels of places: zip=…"),
        (lambda post: post.draws(zip="nowhere"), "has no zip 'nowhere'"),
        (lambda post: post.draws(city="x"), "'city' is not the group"),
        (lambda post: post.coefficients((0.5, 1.5)), r"quantiles must lie between 0 and 1.*1\.5"),
        (lambda post: post.notebook_names(), "needs draws of all places"),
        (lambda post: ph.plot.trace(post, "beta"), "no draws of beta are stored"),
    ],
)
def test_what_cannot_be_is_refused_in_words(summed, ask, told):
    with pytest.raises(ph.ModelError, match=told):
        ask(summed)


def test_summaries_need_a_closed_form(sales):
    auto = {"chains": 1, "draws": 50, "seed": 1, "store": "summaries"}
    with pytest.raises(ph.ModelError, match="a residual sd for every zip"):
        ph.fit(ph.Model(FORMULA, noise="zip"), sales, **auto)
    with pytest.raises(ph.ModelError, match="the model has no groups"):
        ph.fit("price ~ living_space", sales, **auto)
    with pytest.raises(ph.ModelError, match="store must be one of auto, draws, summaries, not 'all'"):
        ph.fit(FORMULA, sales, store="all")


def test_summary_has_the_places_without_convergence(summed, drawn):
    told, made = summed.summary(), drawn.summary()
    assert told.index.tolist() == made.index.tolist()
    assert told["unit"].tolist() == made["unit"].tolist()
    places = told.index.str.startswith("beta[")
    assert told.loc[places, ["mcse_mean", "ess_bulk", "ess_tail", "r_hat"]].isna().all(axis=None)
    assert told.loc[~places & (told["sd"] > 0), "ess_bulk"].notna().all()
    half = summed.summary("beta", interval=0.5)
    assert ((half["eti50_ub"] - half["eti50_lb"]) / told.loc[places, "sd"]).between(1.3, 1.4).all()


def test_predictions_are_those_with_stored_draws(summed, drawn):
    labels = drawn.hierarchy.levels[0].labels
    rows = {"zip": [*labels, "new", None], "living_space": [80.0] * 14}
    told, made = (post.predict(rows, unseen="draw") for post in (summed, drawn))
    assert told["status"].tolist() == made["status"].tolist()
    assert (np.abs(told["mean"] - made["mean"]) < 0.15 * made["sd"]).all()
    np.testing.assert_allclose(told["q95"], made["q95"], rtol=0.02)
    expected = summed.expected({"zip": labels[[3]], "living_space": [80.0]})
    alone = summed.draws(zip=labels[3])
    centre = summed.scale.centre[1]
    want = alone[..., 0, 0] + alone[..., 0, 1] * (80.0 - centre)
    np.testing.assert_allclose(expected[..., 0], want, rtol=1e-10)
    again = summed.predict(rows, unseen="draw")
    np.testing.assert_array_equal(again["mean"], told["mean"])


def test_pictures_and_questions_of_places(summed, drawn, sales):
    labels = drawn.hierarchy.levels[0].labels[:2].tolist()
    for picture in (ph.plot.forest, ph.plot.shrinkage, ph.plot.correlation, ph.plot.trace, ph.plot.lines):
        assert picture(summed, zip=labels).axes
    loo = [ph.loo_places(post).elpd for post in (summed, drawn)]
    assert loo[0] == pytest.approx(loo[1], abs=0.5)
    assert summed.check().good
    judged = [ph.assess(post, sales) for post in (summed, drawn)]
    assert judged[0].good == judged[1].good
    assert ph.sensitivity(summed, chains=2, draws=100).labels == tuple(
        one for one in ph.sensitivity(drawn, chains=2, draws=100).labels if not one.startswith("beta[")
    )
    assert set(ph.influence(summed, zip=labels[0], chains=2, draws=100).labels) == set(
        summed.summary(summed.parameters).index
    ) - {"omega[living_space, living_space]"}


@pytest.fixture(scope="module")
def nested(sales):
    frame = sales.assign(
        district=sales["zip"].astype(str).str[:1] + (sales["zip"].astype(int) % 3).astype(str),
        kind=np.resize(["a", "b", "c"], len(sales)),
    )
    formula = "price ~ living_space + (living_space | district/zip) + (1 | kind)"
    return {store: ph.fit(formula, frame, store=store, **FIT) for store in ("summaries", "draws")}


def scores(post, leaves):
    """Stored draws of places as distances from what is known of them given all else, in sds: (J, K, S)."""
    mean, variance = leaves.conditionals(np.arange(12))
    drawn = post["beta"].values.reshape(2000, 12, 2) - leaves.problem.shift[leaves.cols]
    return (drawn.transpose(1, 2, 0) - mean) / np.sqrt(variance)


def test_stored_draws_are_normal_around_what_is_known_given_all_else(nested):
    """48,000 standard Normal scores, independent but for the two of a place; limits at 5 standard errors."""
    post = nested["draws"]
    leaves = post._lazy_draws.leaves
    z = scores(post, leaves)
    assert abs(z.mean()) < 5 * np.sqrt(2 / z.size)
    assert abs(z.var() - 1) < 5 * np.sqrt(4 / z.size)
    # Without the crossed effects, or with those of other draws, they are not.
    for other in (np.zeros_like(leaves.above), leaves.above[:, :, ::-1]):
        wrong = leaves.above.copy()
        wrong[:, -3:] = other[:, -3:]
        off = scores(post, replace(leaves, above=wrong))
        assert abs(off.var() - 1) > 5 * np.sqrt(4 / z.size)


def test_summaries_and_draws_on_demand_of_nested_and_crossed_places_agree(nested):
    """Both of the same θ and parents, so that only the places' own part is drawn: 5 standard errors of 2,000."""
    post = nested["summaries"]
    told, drawn = post.coefficients(), post.draws(zip=post.hierarchy.levels[0].labels)
    assert (np.abs(drawn.mean(("chain", "draw")) - told["beta_mean"]) < 5 / np.sqrt(2000) * told["beta_sd"]).all()
    assert (np.abs(drawn.std(("chain", "draw")) / told["beta_sd"] - 1) < 5 * np.sqrt(0.5 / 2000)).all()
    homes = {"district": ["10"], "zip": [""], "kind": ["b"], "living_space": [80.0]}
    means = [one.predict(homes, unseen="draw")["mean"].iloc[0] for one in nested.values()]
    assert means[0] == pytest.approx(means[1], rel=0.02)


def test_what_was_asked_for_is_kept_to(summed, sales, tmp_path):
    """By refit, update and merge, also from a file; unless another is asked for."""
    few, more = {"chains": 1, "draws": 20}, {"chains": 2, "draws": 30, "seed": 1}
    path = tmp_path / "asked.nc"
    ph.fit(FORMULA, sales, store="summaries", **more).save(path)
    post = ph.load(path)
    halves = [ph.fit(FORMULA, part, store="summaries", **more) for part in (sales[::2], sales[1::2])]
    again = [ph.refit(post, **few), ph.update(halves[0], sales[1::2], **few), ph.merge(*halves, **few)]
    assert [(one.store, one.attrs["store_asked"]) for one in again] == [("summaries", "summaries")] * 3
    assert not ph.refit(post, store="auto", **few).summed
    assert ph.refit(ph.refit(post, store="auto", **few), **few).attrs["store_asked"] == "auto"
    plain = replace(post, tree=post.tree.copy())
    del plain.tree.attrs["store_asked"]  # a file from before
    assert not ph.refit(plain, **few).summed


def test_sensitivity_says_what_it_did_not_compare(summed, drawn):
    run = {"parameters": "tau", "chains": 2, "draws": 50}
    told = ph.sensitivity(summed, **run)
    assert told.note == "individual zips were not compared: only their summaries are stored, not their draws"
    assert str(told).endswith(told.note)
    made = ph.sensitivity(drawn, **run)
    assert made.note == ""
    assert str(made).endswith(made.verdict)


def test_expected_outcomes_beyond_memory_are_refused(summed, monkeypatch):
    homes = summed.homes()
    need = 2 * 8 * len(homes) * 2000
    monkeypatch.setattr(predict, "memory", lambda: need)
    for ask in (summed.expected, summed.predict_draws):
        with pytest.raises(ph.ModelError, match=r"12 rows × 2,000 draws of .* fewer rows at a time"):
            ask(homes)
    monkeypatch.setattr(predict, "memory", lambda: 2 * need)
    assert summed.expected(homes).shape == (4, 500, 12)


def test_homes_some_at_a_time_are_those_all_at_once(summed, drawn, nested, monkeypatch):
    """Reports and pictures of many places: the same numbers, and no home left out or told twice."""
    whole = {name: report_content(post) for name, post in (("zip", summed), ("drawn", drawn))}
    level = report_content(nested["summaries"], level="district")
    monkeypatch.setattr(price_batches, "BATCH", 5 * 2000)
    monkeypatch.setattr(calculator, "TOGETHER", 5)
    assert_alike(report_content(summed), whole["zip"])
    assert_alike(report_content(drawn), whole["drawn"])
    assert_alike(report_content(nested["summaries"], level="district"), level)
    homes = drawn.homes()
    found = price_batches.summarize_expected(drawn, homes, lambda draws: draws.mean(axis=0))
    np.testing.assert_allclose(found, drawn.expected(homes).values.mean(axis=(0, 1)), rtol=1e-12)


def report_content(post, level=None):
    return content(post, None, at={}, below=None, title=None, level=level)["places"]


def assert_alike(one, other):
    assert [row["label"] for row in one["rows"]] == [row["label"] for row in other["rows"]]
    for key in ("mean", "sd", "low", "high", "below", "rows", "option"):
        want = [row[key] for row in other["rows"]]
        assert [row[key] for row in one["rows"]] == pytest.approx(want, rel=1e-6)
    assert one["apart"] == pytest.approx(other["apart"], rel=1e-6)


def test_a_level_of_a_report_is_the_mean_of_its_places_by_rows(nested):
    post = nested["summaries"]
    homes = post.homes()
    expected = post.expected(homes, unseen="population").values.reshape(-1, len(homes))
    rows = dict(zip(post.hierarchy.levels[0].labels, post.hierarchy.levels[0].total(post.moments.n), strict=True))
    told = report_content(post, level="district")["rows"]
    for row in told:
        inside = [at for at, label in enumerate(rows) if label.startswith(f"{row['label']}/")]
        shares = np.array([list(rows.values())[at] for at in inside])
        want = expected[:, inside] @ shares / shares.sum()
        assert (row["mean"], row["sd"]) == pytest.approx((want.mean(), want.std()), rel=1e-6)


def test_a_page_holds_so_many_places(nested, summed, monkeypatch):
    monkeypatch.setattr(calculator, "MAX_PLACES", 8)
    monkeypatch.setitem(content.__globals__, "MAX_PLACES", 8)
    with pytest.raises(ph.ModelError, match=r"at most 8 places, but there are 12 zips: write a table of all"):
        report_content(summed)
    with pytest.raises(ph.ModelError, match=r"12 zips: show the districts \(level='district'\)"):
        report_content(nested["summaries"])
    districts = report_content(nested["summaries"], level="district")["rows"]
    assert len(districts) == nested["summaries"].hierarchy.levels[1].size


def test_shrinkage_of_very_many_places_draws_some_arrows(summed, monkeypatch):
    draws = ph.plot.shrinkage.__wrapped__.__globals__
    whole = ph.plot.shrinkage(summed)
    monkeypatch.setitem(draws, "MAX_ARROWS", 3)
    some = ph.plot.shrinkage(summed, zip=summed.hierarchy.levels[0].labels[[1]].tolist())
    counts = [len(figure.axes[0].collections[0].get_segments()) for figure in (whole, some)]
    assert counts[0] == 12
    assert counts[1] in (3, 4)
    texts = " ".join(text.get_text() for text in some.texts)
    assert f"{counts[1]} of 12 arrows are shown" in " ".join(texts.split())

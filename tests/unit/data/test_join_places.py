"""Place-level predictors: a table of places beside the rows is the column pasted into every row."""

from __future__ import annotations

import warnings

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import priorhood as ph
from priorhood.data.place_table import read_place_table
from priorhood.model.formula import parse
from priorhood.suffstats import collect
from table_moments import design_and_moments

FORMULA = "price ~ living_space + distance + kind + (living_space | zip)"
FAST = {"chains": 2, "draws": 50, "seed": 1}
FURTHER = "99999"  # a place without sales

CONNECTION = duckdb.connect()
BACKENDS = {
    "pandas": lambda f: f,
    "numbers": lambda f: f.assign(zip=f["zip"].astype(float)),
    "categorical": lambda f: f.assign(zip=f["zip"].astype("category")),
    "polars": pl.from_pandas,
    "polars-lazy": lambda f: pl.from_pandas(f).lazy(),
    "pyarrow": lambda f: pa.Table.from_pandas(f, preserve_index=False),
    "duckdb": lambda f: CONNECTION.from_arrow(pa.Table.from_pandas(f, preserve_index=False)),
}


@pytest.fixture(scope="module")
def zips(sales):
    """One row per ZIP, in no order, and one more place that has no sales."""
    rng = np.random.default_rng(7)
    labels = rng.permutation([*sales["zip"].unique(), FURTHER])
    kinds = rng.permutation(["city", "it's", "rural"] * 5)[: len(labels)]
    return pd.DataFrame({"zip": labels, "distance": rng.gamma(2, 3, len(labels)), "kind": kinds, "mayor": "x"})


@pytest.fixture(scope="module")
def pasted(sales, zips):
    return sales.merge(zips, on="zip", how="left")


@pytest.fixture(scope="module")
def by_paste(pasted):
    return ph.fit(FORMULA, pasted, **FAST)


@pytest.fixture(scope="module")
def by_places(sales, zips):
    return ph.fit(FORMULA, sales, places=zips, **FAST)


def same(one: ph.Posterior, other: ph.Posterior) -> None:
    """The same draws, equal to rounding."""
    assert one.parameters == other.parameters
    for name in one.parameters:
        np.testing.assert_allclose(one[name].values, other[name].values, rtol=1e-8, atol=1e-8)


# -- the column pasted in -----------------------------------------------------------------------------------


def test_a_table_of_places_is_the_column_pasted_into_the_rows(by_places, by_paste):
    same(by_places, by_paste)
    assert by_places.log_evidence == pytest.approx(by_paste.log_evidence)
    assert "distance" in by_places["mu"]["term"].values


def test_other_values_are_another_posterior(sales, zips, by_paste):
    other = ph.fit(FORMULA, sales, places=zips.assign(distance=zips["distance"].to_numpy()[::-1]), **FAST)
    with pytest.raises(AssertionError):
        same(other, by_paste)


@pytest.mark.parametrize("make", BACKENDS.values(), ids=BACKENDS)
def test_rows_and_places_on_any_backend(sales, zips, by_paste, make):
    same(ph.fit(FORMULA, make(sales), places=zips, **FAST), by_paste)
    same(ph.fit(FORMULA, sales, places=make(zips), **FAST), by_paste)


def test_files_with_labels_that_keep_their_zeros(tmp_path, sales, zips):
    zeros = {label: f"0{label[1:]}" for label in zips["zip"]}
    sales, zips = (f.assign(zip=f["zip"].map(zeros)) for f in (sales, zips))
    sales.to_csv(tmp_path / "sales.csv", index=False)
    zips.to_csv(tmp_path / "zips.csv", index=False)
    post = ph.fit(FORMULA, tmp_path / "sales.csv", places=tmp_path / "zips.csv", **FAST)
    same(post, ph.fit(FORMULA, sales.merge(zips, on="zip"), **FAST))
    assert (FURTHER.replace("9", "0", 1),) in post.place_table.places


@pytest.mark.parametrize("kind", ["pandas", "polars", "duckdb"])
def test_rows_that_meet_a_condition_alone(sales, zips, pasted, kind):
    rows = ph.read(BACKENDS[kind](sales), where="living_space > 80")
    same(ph.fit(FORMULA, rows, places=zips, **FAST), ph.fit(FORMULA, pasted[pasted["living_space"] > 80], **FAST))


def test_places_that_meet_a_condition_alone(sales, zips, by_paste):
    both = pd.concat([zips.assign(year=2020), zips.assign(year=2021, distance=1.0)])
    same(ph.fit(FORMULA, sales, places=ph.read(both, where="year = 2020"), **FAST), by_paste)


def test_rows_keep_their_order(sales, zips, pasted):
    """Positions of rows mean something to predictive draws, whatever backend looks places up."""
    formula = "price ~ distance + (1 | zip)"
    want = ph.prior_predictive(formula, pasted, draws=20, seed=3)["prior_predictive"]["price"]
    for make in BACKENDS.values():
        found = ph.prior_predictive(formula, make(sales), places=zips, draws=20, seed=3)
        np.testing.assert_allclose(found["prior_predictive"]["price"].values, want.values, rtol=1e-8)


def test_equations_and_the_outlier_rule_see_the_column(sales, zips, pasted):
    assert ph.equations(FORMULA, sales, places=zips) == ph.equations(FORMULA, pasted)
    formula = "price ~ distance + (1 | zip)"
    same(
        ph.fit(formula, sales, places=zips, drop_outliers=1.0, **FAST),
        ph.fit(formula, pasted, drop_outliers=1.0, **FAST),
    )


def test_nuts_and_pymc_see_the_column(sales, zips, pasted):
    pytest.importorskip("pymc")
    built = ph.Model(FORMULA).to_pymc(sales, places=zips)
    want = ph.Model(FORMULA).to_pymc(pasted)
    np.testing.assert_allclose(built["X"].get_value(), want["X"].get_value())


@pytest.mark.slow
def test_nuts_draws_as_with_the_pasted_column(sales, zips, pasted):
    pytest.importorskip("pymc")
    options = {"engine": "nuts", "sampler": "pymc", "chains": 1, "draws": 50, "tune": 100, "seed": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)
        found, want = ph.fit(FORMULA, sales, places=zips, **options), ph.fit(FORMULA, pasted, **options)
    same(found, want)
    assert found.place_table is not None


def test_calibrate_sees_the_column(sales, zips, pasted, by_places):
    formula = "price ~ distance + (1 | zip)"
    found = ph.calibrate(formula, sales, places=zips, refits=20, seed=1)
    want = ph.calibrate(formula, pasted, refits=20, seed=1)
    assert "mu[distance]" in found.quantities
    np.testing.assert_array_equal(found.ranks, want.ranks)
    with pytest.raises(ph.ModelError, match="places requires a table"):
        ph.calibrate(by_places, places=zips)


# -- nested and crossed places ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def counties():
    """Two states that each have a county 'Washington'."""
    rng = np.random.default_rng(3)
    places = [(s, c) for s in ("IA", "MN", "WI") for c in ("Washington", "Lincoln", f"Own {s}", f"Other {s}")]
    at = rng.integers(len(places), size=240)
    rows = pd.DataFrame([places[i] for i in at], columns=["state", "county"])
    rows["area"] = rng.normal(size=len(rows))
    rows["y"] = rows["area"] + at / 5 + rng.normal(size=len(rows))
    table = pd.DataFrame(places, columns=["state", "county"])
    table["uranium"] = rng.normal(size=len(table))
    return rows, table


NESTED = "y ~ area + uranium + (1 | state/county)"


def test_nested_places_take_as_many_columns_as_they_need(counties):
    rows, table = counties
    found = ph.fit(NESTED, rows, places=table.sample(frac=1, random_state=1), **FAST)
    same(found, ph.fit(NESTED, rows.merge(table, on=["state", "county"]), **FAST))


def test_a_coarser_level_has_a_table_of_its_own(counties):
    rows, table = counties
    states = table.groupby("state", as_index=False)["uranium"].mean()
    found = ph.fit(NESTED, rows, places=states, **FAST)
    same(found, ph.fit(NESTED, rows.merge(states, on="state"), **FAST))


def test_a_slope_may_vary_by_what_holds_several_places(counties):
    rows, table = counties
    formula = "y ~ area + uranium + (uranium | state) + (1 | state:county)"
    same(
        ph.fit(formula, rows, places=table, **FAST),
        ph.fit(formula, rows.merge(table, on=["state", "county"]), **FAST),
    )


def test_labels_that_do_not_tell_the_places_apart_are_refused(counties):
    rows, table = counties
    short = table.drop_duplicates("county").drop(columns="state")
    with pytest.raises(
        ph.TableError, match=r"county '(Washington|Lincoln)'.*several places: '..', '..'.*column state"
    ):
        ph.fit(NESTED, rows, places=short, **FAST)
    # Where they do, the finest label will do.
    clear = rows["state"] + " " + rows["county"]
    own = table.assign(county=table["state"] + " " + table["county"])
    found = ph.fit(NESTED, rows.assign(county=clear), places=own.drop(columns="state"), **FAST)
    same(found, ph.fit(NESTED, rows.assign(county=clear).merge(own, on=["state", "county"]), **FAST))


def test_crossed_places(counties):
    rows, _ = counties
    rows = rows.assign(year=np.arange(len(rows)) % 5)
    formula = "y ~ area + uranium + (1 | state:county) + (1 | year)"
    years = pd.DataFrame({"year": range(5), "uranium": np.arange(5.0) ** 2})
    same(ph.fit(formula, rows, places=years, **FAST), ph.fit(formula, rows.merge(years, on="year"), **FAST))


# -- what is refused, what is said --------------------------------------------------------------------------


def refused(sales, zips, formula=FORMULA, kind=ph.TableError) -> str:
    with pytest.raises(kind) as problem:
        ph.fit(formula, sales, places=zips, **FAST)
    return str(problem.value)


def test_a_predictor_that_is_not_constant_within_a_place_is_refused(sales, zips):
    twice = pd.concat([zips, zips.iloc[:1].assign(distance=4.5)])
    label = zips["zip"].iloc[0]
    said = refused(sales, twice)
    assert f"zip '{label}' occurs twice" in said
    assert "and 4.5: a place-level predictor has one value per place" in said
    twice = pd.concat([zips, zips.iloc[:1].assign(zip=f" {label}.0 ", kind="other")])
    assert "with kind " in refused(sales, twice)


def test_a_place_that_is_there_twice_with_one_value_is_one_place(sales, zips, by_paste):
    gap = zips.assign(distance=np.nan, kind=None)
    same(ph.fit(FORMULA, sales, places=pd.concat([zips, zips, gap]), **FAST), by_paste)


def test_a_column_in_both_tables_is_refused(pasted, zips):
    said = refused(pasted, zips)
    assert (
        "'distance' is a column of the rows (pandas frame) and 'distance' of the places (pandas frame): which"
        in said
    )


def test_columns_that_differ_by_case_alone_are_refused(sales, zips, by_places):
    """DuckDB takes them for one."""
    assert "'Distance' is a column of the rows" in refused(sales.assign(Distance=1.0), zips)
    with pytest.raises(ph.TableError, match="'Distance' is a column of the rows"):
        by_places.predict({"zip": [FURTHER], "living_space": [80], "Distance": [1.0]}, unseen="draw")


def test_columns_that_the_formula_does_not_read_may_be_in_both(sales, zips, by_paste):
    same(ph.fit(FORMULA, sales.assign(mayor="y"), places=zips, **FAST), by_paste)


def test_a_table_that_says_nothing_is_refused(sales, zips):
    assert "none of the formula's predictors 'living_space'" in refused(
        sales, zips, "price ~ living_space + (1 | zip)"
    )
    assert "has no column that identifies the place of a row: the formula's zip; did you mean 'zips'" in refused(
        sales, zips.rename(columns={"zip": "zips"})
    )
    assert "no grouping term" in refused(sales, zips, "price ~ distance")
    assert "has no column 'kind'" in refused(sales, zips.drop(columns="kind"))


def test_no_place_in_common_shows_both_sides(sales, zips):
    said = refused(sales, zips.assign(zip=[f"DE-{label}" for label in zips["zip"]]))
    assert "no zip of pandas frame is in pandas frame: the rows have '1" in said
    assert "the places 'DE-1" in said
    assert "more; labels are compared as text" in said


def test_text_numbers_dates_and_infinities_are_refused_as_in_rows(sales, zips):
    assert "'distance' is text though all its values are numbers" in refused(
        sales, zips.assign(distance=zips["distance"].astype(str))
    )
    far = zips.assign(distance=["far" if z == sales["zip"].iloc[0] else "3" for z in zips["zip"]])
    assert "'distance' (a predictor of places) holds text where a number should be: 'far' (1 row)" in refused(
        sales, far
    )
    assert "(a predictor of places) holds dates, not numbers; convert it to days since a reference date" in refused(
        sales, zips.assign(distance=pd.Timestamp("2020-01-01"))
    )
    assert "'distance' is infinite in" in refused(sales, zips.assign(distance=np.inf))


def test_a_slope_cannot_vary_by_what_it_is_constant_within(sales, zips):
    said = refused(sales, zips, "price ~ distance + (distance | zip)", ph.FormulaError)
    assert "distance is constant within every zip" in said
    assert "its slope cannot vary by zip" in said
    said = refused(sales, zips, "price ~ log(distance):kind + (1 + log(distance):kind || zip)", ph.FormulaError)
    assert "log(distance):kind is constant" in said
    # With a column of the rows it is not.
    ph.fit("price ~ living_space + (living_space:distance || zip)", sales, places=zips, **FAST)


def test_rows_of_places_that_are_not_there_are_counted_and_named(sales, zips, pasted):
    gone = sorted(sales["zip"].unique())[:4]
    known = zips[~zips["zip"].isin(gone[1:])].assign(distance=lambda f: f["distance"].where(f["zip"] != gone[0]))
    formula = "price ~ living_space + distance + (1 | zip)"
    with pytest.warns(ph.PriorhoodWarning, match=rf"'distance' for 4 of the 12 places.*zip '{gone[0]}'"):
        post = ph.fit(formula, sales, places=known, **FAST)
    rows = int(sales["zip"].isin(gone).sum())
    assert [(d.reason, d.column, d.rows) for d in post.moments.dropped] == [("missing", "distance", rows)]
    same(post, ph.fit(formula, pasted[~pasted["zip"].isin(gone)], **FAST))


def test_rows_left_out_by_where_are_not_warned_of(sales, zips):
    first = sorted(sales["zip"].unique())[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = ph.read(sales, where=f"zip != '{first}'")
        post = ph.fit(FORMULA, rows, places=zips[zips["zip"] != first], **FAST)
    assert post.hierarchy.levels[0].size == 11


# -- remembered ---------------------------------------------------------------------------------------------


def frames_equal(one: pd.DataFrame, other: pd.DataFrame) -> None:
    for column in one.columns:
        if column in ("zip", "kind", "status"):
            assert one[column].tolist() == other[column].tolist()
        else:
            np.testing.assert_allclose(one[column], other[column], rtol=1e-6)


def test_predictions_at_new_places_are_those_of_the_pasted_column(by_places, by_paste, zips, tmp_path):
    by_places.save(tmp_path / "post.nc")
    loaded = ph.load(tmp_path / "post.nc")
    assert loaded.place_table.places == by_places.place_table.places
    homes = pd.DataFrame({"zip": [FURTHER, zips["zip"].iloc[0], FURTHER], "living_space": [80.0, 90.0, 100.0]})
    with_columns = homes.merge(zips[["zip", "distance", "kind"]], on="zip", how="left")
    want = by_paste.predict(with_columns, unseen="draw")
    for post in (by_places, loaded):
        found = post.predict(homes, unseen="draw")
        assert list(found.columns) == [c for c in want.columns if c not in ("distance", "kind")]
        assert set(found["status"]) == {"new", "known"}
        frames_equal(found, want)
        # Rows that bring the columns themselves are asked for nothing.
        frames_equal(post.predict(with_columns, unseen="draw"), want)
        drawn = post.predict_draws(homes, unseen="draw")
        wanted = by_paste.predict_draws(with_columns, unseen="draw")
        np.testing.assert_allclose(drawn.values, wanted.values, rtol=1e-6)
        forward = ph.posterior_predictive(post, homes, unseen="draw")["posterior_predictive"]["price"]
        np.testing.assert_allclose(forward.values, drawn.values, rtol=1e-12)


@pytest.mark.parametrize("kind", ["pandas", "polars", "polars-lazy", "pyarrow", "duckdb"])
def test_predictions_on_any_backend(by_places, sales, kind):
    homes = sales[["zip", "living_space"]].iloc[[5, 3, 200, 3]]
    found = by_places.predict(BACKENDS[kind](homes))
    native = found.collect() if kind == "polars-lazy" else found
    frame = native if kind == "pandas" else native.df() if kind == "duckdb" else native.to_pandas()
    frames_equal(frame.reset_index(drop=True), by_places.predict(homes).reset_index(drop=True))


def test_a_place_that_no_table_has_is_missing_its_predictor(by_places, zips):
    homes = {"zip": ["11111", FURTHER], "living_space": [80, 80]}
    found = by_places.predict(homes, unseen="draw")
    assert found["status"].tolist() == ["missing", "new"]
    assert np.isnan(found["mean"][0])
    more = pd.DataFrame({"zip": ["11111"], "distance": [3.0], "kind": ["city"]})
    found = by_places.predict(homes, unseen="draw", places=more)
    assert found["status"].tolist() == ["new", "new"]
    want = by_places.predict({**homes, "distance": [3.0, 3.0], "kind": ["city"] * 2}, unseen="draw")
    assert found["mean"][0] == pytest.approx(want["mean"][0])
    with pytest.raises(ph.TableError, match="in the posterior and in pandas frame, with distance"):
        by_places.predict(homes, unseen="draw", places=zips.assign(distance=1.0))


def test_a_finest_label_alone_finds_its_place(counties):
    rows, table = counties
    post = ph.fit(NESTED, rows, places=table, **FAST)
    homes = {"county": ["Own MN", "Washington"], "area": [0.0, 0.0]}
    found = post.predict(homes)
    want = post.predict({"county": ["Own MN"], "state": ["MN"], "area": [0.0]})
    # Three states have a Washington, and each its own uranium.
    assert found["status"].tolist() == ["known", "missing"]
    assert found["mean"][0] == pytest.approx(want["mean"][0])


def test_a_finest_label_that_lay_elsewhere_in_the_fit_is_refused(counties):
    """A table by county alone would give a new state's county the value of its namesake."""
    rows, table = counties
    clear = rows[rows["county"].str.startswith("O")]
    post = ph.fit(NESTED, clear, places=table[table["county"].str.startswith("O")].drop(columns="state"), **FAST)
    home = {"county": ["Own MN"], "area": [0.0]}
    known = post.predict({**home, "state": ["MN"]})
    assert known["status"].tolist() == ["known"]
    assert post.predict({**home, "state": [None]})["mean"][0] == pytest.approx(known["mean"][0])
    with pytest.raises(
        ph.TableError, match="county 'Own MN' of dict of columns occurs in several places: 'MN', 'TX'"
    ):
        post.predict({**home, "state": ["TX"]}, unseen="draw")
    with pytest.raises(ph.TableError, match="several places: 'MN', 'TX'"):
        ph.update(post, clear[clear["county"] == "Own MN"].assign(state="TX"))


def test_update_adds_places(by_paste, sales, zips, pasted):
    first = sales["zip"].isin(sorted(sales["zip"].unique())[:8])
    known = zips["zip"].isin(sales["zip"][first])
    early = ph.fit(FORMULA, sales[first], places=zips[known], **FAST)
    late = ph.update(early, sales[~first], places=zips[~known])
    want = ph.update(ph.fit(FORMULA, pasted[first], **FAST), pasted[~first])
    same(late, want)
    assert len(late.place_table.places) == len(zips)
    with pytest.raises(ph.TableError, match=r"twice, in the posterior and in pandas frame, with distance"):
        ph.update(early, sales[~first], places=zips.assign(distance=2.0))
    with pytest.raises(ph.TableError, match="'distance' is a column of the rows"):
        ph.update(early, pasted[~first])


def test_refit_and_merge_keep_the_places(by_places, sales, zips):
    assert ph.refit(by_places, priors="sigma ~ HalfNormal(sd=3)").place_table.places == by_places.place_table.places
    formula = "price ~ living_space + distance + (1 | zip)"
    few = zips[["zip", "distance"]]
    halves = [ph.fit(formula, part, places=few, **FAST) for part in (sales[:150], sales[150:])]
    together = ph.merge(*halves)
    assert together.place_table.places == halves[0].place_table.places
    other = ph.fit(formula, sales[150:], places=few.assign(distance=few["distance"] + 1), **FAST)
    with pytest.raises(ph.TableError, match="in the posterior and in file 2, with distance"):
        ph.merge(halves[0], other)


def test_attach_and_the_notebooks_names_keep_the_places(by_places, sales):
    tree = ph.posterior_predictive(by_places, sales)
    kept = by_places.attach(tree, by_places.tree)
    assert kept.place_table.places == by_places.place_table.places
    assert "posterior_predictive" in kept.tree.children


def test_only_what_the_formula_reads_is_kept(zips):
    found = read_place_table(zips, parse(FORMULA))
    assert found.columns == ("distance", "kind")
    assert found.textual == {"kind"}
    assert len(found.places) == len(zips)


def test_predictors_of_places_need_no_second_pass(sales, zips, monkeypatch):
    """A predictor without any spread within its groups is not a group far from the others."""
    passes = []
    sums = collect._sums
    monkeypatch.setattr(collect, "_sums", lambda *given: passes.append(given[2]) or sums(*given))
    rng = np.random.default_rng(1)
    many = pd.DataFrame({"zip": rng.choice(zips["zip"], 20_000), "x": rng.normal(size=20_000)})
    many["y"] = many["x"] + rng.normal(size=len(many))
    formula = "y ~ x + distance + (1 | zip)"
    design_and_moments(many, parse(formula), places=zips)
    assert len(passes) == 1
    # The control: groups whose outcomes lie thousands of their sds apart are.
    many["y"] += many["zip"].astype(float) * 1e4
    design_and_moments(many, parse(formula), places=zips)
    assert len(passes) == 3


def test_a_posterior_without_places_knows_none(by_paste):
    assert by_paste.place_table is None
    assert "places" not in by_paste.tree.children

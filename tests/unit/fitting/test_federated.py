"""What a site sends: what it tells of the rows, places left out, sums that cannot be pooled, the file."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import priorhood as ph

FORMULA = "price ~ living_space + (living_space | zip)"
FAST = {"chains": 1, "draws": 20, "seed": 1}


@pytest.fixture(scope="module")
def rows():
    """Places of 1, 2, 3, … rows; lofts are rare, and common where there are many rows."""
    rng = np.random.default_rng(62)
    sizes = [1, 1, 2, 3, 5, 8, 20, 40, 60]
    frame = pd.DataFrame({"zip": np.repeat([f"{k:05}" for k in range(len(sizes))], sizes)})
    n = len(frame)
    frame["living_space"] = rng.uniform(30, 150, n)
    frame["kind"] = np.where(rng.uniform(size=n) < 0.15, "loft", "flat")
    frame.loc[frame["zip"] == "00000", "kind"] = "castle"
    frame["view"] = rng.choice(["lake", "none"], n)
    frame["price"] = 3000 * frame["living_space"] + rng.normal(0, 4e4, n)
    frame["w"] = rng.uniform(0.5, 2, n)
    frame["times"] = rng.choice([1, 3], n)
    return frame


@pytest.fixture(scope="module")
def sums(rows):
    return ph.moments(FORMULA, rows)


def test_a_place_with_one_row_is_that_row_and_two_rows_are_determined(rows, sums):
    found = sums.moments
    lone = rows[rows["zip"] == "00000"]
    np.testing.assert_array_equal(found.mean[0], lone[["living_space", "price"]].to_numpy()[0])
    pair = rows[rows["zip"] == "00002"][["living_space", "price"]].to_numpy()
    # Two rows from their mean and scatter alone: m ± d, with 2 d dᵀ the scatter.
    spread = found.scatter[2]
    away = np.sqrt(spread[0, 0] / 2) * np.array([1.0, spread[0, 1] / spread[0, 0]])
    told = np.array([found.mean[2] - away, found.mean[2] + away])
    np.testing.assert_allclose(told, pair[np.argsort(pair[:, 0])], rtol=1e-9)
    assert sums.reveals()[1:3] == (
        "2 zips each have a single row, so their sums reveal that row",
        "1 zip has two rows, so its sums reveal both rows",
    )
    assert str(sums).splitlines()[0] == repr(sums) == f"Moments({FORMULA!r}, 140 rows)"


def test_what_is_revealed_counts_categories_too(rows):
    told = ph.moments("price ~ kind + (1 | zip)", rows[rows["kind"] != "castle"])
    by = rows[rows["kind"] != "castle"].groupby(["zip", "kind"]).size().unstack(fill_value=0)
    few = int((by.isin([1, 2]).any(axis=1) & (by.sum(axis=1) > 2)).sum())
    assert few > 0
    assert any(s.startswith(f"{few} zip") and "only one or two rows of some category" in s for s in told.reveals())
    assert not any("category" in s for s in ph.moments("price ~ living_space + (1 | zip)", rows).reveals())


def test_one_row_that_stands_for_several_is_that_row_too(rows):
    repeated = rows.assign(times=7)
    told = ph.moments(ph.Model(FORMULA, frequency_weights="times"), repeated).reveals()
    assert told[1] == "2 zips each have a single distinct row, so their sums reveal that row"


def kept_rows(frame, minimum, *sets):
    """The obvious way: places with a count below the minimum, in all or of a category, leave the table."""
    small = set()
    for columns in [[], *sets]:
        counts = frame.groupby(["zip", *columns]).size()
        small |= {key[0] if isinstance(key, tuple) else key for key in counts.index[counts < minimum]}
    return frame[~frame["zip"].isin(small)], small


@pytest.mark.filterwarnings(r"ignore:\d+% of the rows are in places:priorhood.errors.PriorhoodWarning")
@pytest.mark.parametrize("backend", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize(
    ("formula", "weights", "sets"),
    [
        (FORMULA, {}, []),
        ("price ~ living_space + kind + (1 | zip)", {}, [["kind"]]),
        ("price ~ kind * view + (1 | zip)", {"precision_weights": "w"}, [["kind"], ["view"], ["kind", "view"]]),
        ("price ~ kind + view + (1 | zip)", {"se": "w", "frequency_weights": "times"}, [["kind"], ["view"]]),
    ],
)
def test_minimum_gives_the_sums_of_the_other_places(rows, formula, weights, sets, backend):
    kept, small = kept_rows(rows, 3, *sets)
    model = ph.Model(formula, **weights)
    found, wanted = ph.moments(model, backend(rows), minimum=3), ph.moments(model, kept)
    assert small
    assert found.design == wanted.design
    assert found.moments.labels.tolist() == wanted.moments.labels.tolist()
    np.testing.assert_array_equal(found.moments.n, wanted.moments.n)
    np.testing.assert_allclose(found.moments.mean, wanted.moments.mean, rtol=1e-12)
    np.testing.assert_allclose(found.moments.scatter, wanted.moments.scatter, rtol=1e-9, atol=1e-6)
    assert found.moments.log_weight == pytest.approx(wanted.moments.log_weight, rel=1e-12)
    (dropped,) = found.moments.dropped
    assert (dropped.rows, dropped.places) == (len(rows) - len(kept), len(small))
    assert found.moments.listed == len(kept)
    assert str(dropped).startswith(f"{dropped.rows} rows in {len(small)} places: fewer than 3 rows")


def test_spellings_of_a_place_count_together(rows):
    some = rows[rows["zip"].isin(["00003", "00008"])]
    spelt = some.assign(zip=[f" {z}" if k % 2 else z for k, z in enumerate(some["zip"])])
    assert ph.moments(FORMULA, spelt, minimum=3).moments.labels.tolist() == ["00003", "00008"]


@pytest.mark.filterwarnings(r"ignore:\d+% of the rows are in places:priorhood.errors.PriorhoodWarning")
def test_places_left_out_of_two_sites_are_counted_together(rows):
    first, second = rows[rows["zip"] < "00004"], rows[rows["zip"] >= "00004"]
    pooled = ph.pool(ph.moments(FORMULA, first, minimum=3), ph.moments(FORMULA, second, minimum=6))
    few, fewer = sorted(pooled.moments.dropped, key=lambda d: d.reason)
    assert (few.rows, few.places) == (4, 3)
    assert (fewer.rows, fewer.places) == (5, 1)
    same = ph.pool(ph.moments(FORMULA, first, minimum=3), ph.moments(FORMULA, second.head(2).assign(
        zip=["1", "2"]).pipe(lambda f: pd.concat([f, second])), minimum=3))  # fmt: skip
    (both,) = same.moments.dropped
    assert (both.rows, both.places) == (6, 5)


def test_a_rare_category_that_costs_most_rows_is_named(rows):
    rare = rows.assign(kind=np.where(np.arange(len(rows)) % 30 == 0, "mill", "flat"))
    with pytest.warns(
        ph.PriorhoodWarning, match=r"of the rows are .* \d places have fewer than \d+ rows of kind 'mill': comb"
    ):
        found = ph.moments("price ~ kind + (1 | zip)", rare, minimum=3)
    assert found.moments.listed < len(rows) / 2


def test_no_place_is_large_enough(rows):
    with pytest.raises(ph.TableError, match=r"no zip has at least 100 rows; the largest has 60.*\(minimum=\)"):
        ph.moments(FORMULA, rows, minimum=100)


@pytest.mark.parametrize("minimum", [0, -1, 2.5, True, "3"])
def test_minimum_is_a_count(rows, minimum):
    with pytest.raises(ph.ModelError, match="minimum must be a whole number of at least 1"):
        ph.moments(FORMULA, rows, minimum=minimum)


# -- what cannot be pooled or fitted ------------------------------------------------------------------------


def test_the_same_rows_twice(rows, sums):
    again = ph.moments(FORMULA, rows.sample(frac=1, random_state=1))
    with pytest.raises(ph.ModelError, match=r"the same rows as part 1.*pass each once"):
        ph.fit(FORMULA, [sums, again], **FAST)
    with pytest.raises(ph.ModelError, match="the same rows as part 1"):
        ph.pool(sums, ph.fit(FORMULA, rows, **FAST))


def test_merge_and_pool_say_why_they_cannot(rows, sums):
    post = ph.fit(FORMULA, rows, **FAST)
    with pytest.raises(ph.ModelError, match=r"merge takes separate arguments.* not a list.*merge\(\*parts\)"):
        ph.merge([post, post])
    with pytest.raises(ph.ModelError, match="at least two posteriors, got 1"):
        ph.merge(post)
    with pytest.raises(ph.ModelError, match=r"file 2 has the same rows as file 1.*pass each file once"):
        ph.merge(*[post, post])
    with pytest.raises(ph.ModelError, match="argument 2 of merge must be a posterior, not Moments"):
        ph.merge(post, sums)
    with pytest.raises(ph.ModelError, match=r"pool takes separate arguments.* not a list.*pool\(\*parts\)"):
        ph.pool([sums])
    with pytest.raises(ph.ModelError, match="argument 1 of pool must be sums or a posterior, not DataFrame"):
        ph.pool(rows)


COUNTED = "these rows seem to be in the posterior already: "


@pytest.mark.parametrize("formula", [FORMULA, "price ~ living_space"])
def test_rows_that_a_posterior_has_are_told(rows, formula):
    post = ph.fit(formula, rows[rows["zip"] > "00002"], **FAST)
    what = "every place has" if "zip" in formula else "their sums are"
    with pytest.warns(ph.PriorhoodWarning, match=COUNTED + f"{what} identical"):
        twice = ph.update(post, rows[rows["zip"] > "00002"].sample(frac=1, random_state=3), **FAST)
    assert twice.moments.rows == 2 * post.moments.rows
    with warnings.catch_warnings():
        warnings.simplefilter("error", ph.PriorhoodWarning)
        ph.update(post, rows[rows["zip"] <= "00002"], **FAST)


def test_places_that_a_posterior_has_are_told(rows):
    post = ph.fit(FORMULA, rows[rows["zip"] > "00002"], **FAST)
    with pytest.warns(ph.PriorhoodWarning, match=COUNTED + r"\d+ places have identical sums, e\.g\. '00003'"):
        ph.update(post, rows, **FAST)
    other = ph.fit(FORMULA, rows[rows["zip"] > "00006"], **FAST)
    with pytest.warns(ph.PriorhoodWarning, match="2 places have identical sums in file 1 and file 2"):
        ph.merge(post, other, **FAST)
    changed = rows.assign(price=rows["price"].where(rows["zip"] == "00008", rows["price"] + 1))
    one = ph.fit(FORMULA, changed, **FAST)
    with pytest.warns(ph.PriorhoodWarning, match="1 place has identical sums in file 1 and file 2"):
        ph.merge(post, one, **FAST)
    with pytest.warns(ph.PriorhoodWarning, match=COUNTED + "1 place has identical sums, e"):
        ph.update(one, rows, **FAST)


def test_some_of_the_rows_twice_is_a_warning(rows, sums):
    part = ph.moments(FORMULA, rows[rows["zip"] > "00006"])
    with pytest.warns(ph.PriorhoodWarning, match="2 places have identical sums .*'00007', '00008'"):
        ph.pool(sums, part)


def test_a_label_that_lost_its_zeros_is_a_warning(rows, sums):
    lost = rows[rows["zip"] > "00004"].assign(zip=lambda f: f["zip"].astype(int), price=lambda f: f["price"] + 1)
    with pytest.warns(ph.PriorhoodWarning, match="treats zip '00005' and '5' as different places"):
        found = ph.pool(sums, ph.moments(FORMULA, lost))
    assert len(found.moments.n) == 13


def test_other_formulas_weights_and_types(rows, sums):
    def refused(match, *parts):
        with pytest.raises(ph.ModelError, match=match):
            ph.pool(*parts)

    refused("formula", sums, ph.moments("price ~ living_space + (1 | zip)", rows))
    weighted = ph.moments(ph.Model(FORMULA, precision_weights="w"), rows)
    refused("precision_weights is None in part 1 .*, w in part 2", sums, weighted)
    formula = "price ~ kind + (1 | zip)"
    numbers = ph.moments(formula, rows.assign(kind=rows["living_space"] / 100))
    refused("'kind' is categorical in one part and numeric in another", ph.moments(formula, rows), numbers)
    rooms = "price ~ C(view) + (1 | zip)"
    coded = ph.moments(rooms, rows.assign(view=(rows["view"] == "lake") * 1))
    refused(r"'C\(view\)' is numeric in one part and text in another", ph.moments(rooms, rows), coded)
    refused("no sums", *())
    written = ph.moments(
        "price ~ 1 + living_space + (1 + living_space | zip)", rows.assign(price=rows["price"] * 2)
    )
    assert ph.pool(sums, written).rows == 280


def test_numbers_as_text_are_the_same_categories(rows):
    formula = "price ~ C(rooms) + (1 | zip)"
    rooms = rows.assign(rooms=np.arange(len(rows)) % 3 + 9)
    whole = ph.moments(formula, rooms)
    texts = rooms.iloc[70:].assign(rooms=lambda f: f["rooms"].astype(str))
    found = ph.pool(ph.moments(formula, rooms.iloc[:70]), ph.moments(formula, texts))
    assert found.design.categories == whole.design.categories == {"C(rooms)": ("9", "10", "11")}
    np.testing.assert_allclose(found.moments.mean, whole.moments.mean, rtol=1e-12)


def test_a_fit_of_sums_refuses_what_needs_rows(rows, sums):
    def refused(match, model=FORMULA, table=sums, **options):
        with pytest.raises(ph.ModelError, match=match):
            ph.fit(model, table, **FAST, **options)

    refused("the sums were computed for", "price ~ living_space + (1 | zip)")
    refused("no weights, the model has precision_weights='w'", ph.Model(FORMULA, precision_weights="w"))
    refused("needs the rows", ph.Model(FORMULA, family="student"))
    refused("NUTS needs the rows", engine="nuts")
    refused(r"drop_outliers= requires the rows, .*pass it to moments\(\) instead", drop_outliers=1.5)
    refused("places= requires the rows", places=rows)
    refused("cannot fit sums and a DataFrame together", table=[sums, rows])
    flats = ph.moments("price ~ kind + (1 | zip)", rows[rows["kind"] == "flat"])
    refused("'kind' has only the category 'flat' in all parts", "price ~ kind + (1 | zip)", flats)


def test_sums_say_their_weights_to_a_formula(rows):
    sums = ph.moments(ph.Model(FORMULA, precision_weights="w"), rows)
    post = ph.fit(FORMULA, sums, **FAST)
    assert post.model == sums.model() == ph.Model(FORMULA, precision_weights="w")
    assert sums.model("tau ~ HalfNormal(1)", noise="zip").noise == "zip"


def test_outliers_are_judged_by_one_site_alone(rows):
    with pytest.warns(ph.PriorhoodWarning, match="quartiles of this table alone"):
        found = ph.moments(FORMULA, rows, drop_outliers=1.0)
    assert found.moments.dropped[0].reason == "outlier in price / living_space"
    with pytest.warns(ph.PriorhoodWarning, match="quartiles"):
        fewer = ph.moments(FORMULA, rows, drop_outliers=1.0, minimum=3)
    assert fewer.moments.dropped[0] == found.moments.dropped[0]
    assert fewer.moments.listed < found.moments.listed


# -- the file ----------------------------------------------------------------------------------------------


def test_saved_and_read_again(rows, tmp_path):
    model = ph.Model("log(price) ~ log(living_space) + kind + far + (1 | view/zip)", precision_weights="w")
    places = rows[["view", "zip"]].drop_duplicates().assign(far=lambda f: np.arange(float(len(f))))
    sums = ph.moments(model, rows, places=places, minimum=2)
    sums.save(tmp_path / "one.any")
    found = ph.load_moments(tmp_path / "one.any")
    assert found.design == sums.design
    assert (found.weights, found.minimum) == (sums.weights, 2)
    assert found.moments.dropped == sums.moments.dropped
    assert found.place_table.places == sums.place_table.places
    for name in ("labels", "n", "mean", "scatter", "weight", "read", "log_weight", "columns", "keys"):
        np.testing.assert_array_equal(getattr(found.moments, name), getattr(sums.moments, name))


def test_the_file_tells_nothing_of_whose_it_is_nor_of_places_left_out(rows, tmp_path):
    rows.to_csv(tmp_path / "confidential_customers.csv", index=False)
    sums = ph.moments("price ~ kind + (1 | zip)", tmp_path / "confidential_customers.csv", minimum=3)
    sums.save(tmp_path / "out.moments")
    content = (tmp_path / "out.moments").read_bytes()
    assert b"00008" in content
    for secret in ("confidential", str(tmp_path.name), "00000", "castle"):
        assert secret.encode() not in content, secret


def test_files_that_are_no_sums(tmp_path, sums, rows):
    import xarray as xr

    from priorhood.suffstats.netcdf import read_tree, write_tree

    def refused(path, match, load=ph.load_moments):
        with pytest.raises(ph.FileError, match=match):
            load(path)

    path = tmp_path / "a.moments"
    sums.save(path)
    tree = read_tree(path, {})
    refused(path, "holds sums of rows, not a posterior: read it with load_moments", ph.load)
    refused(tmp_path / "b.moments", "did you mean 'a.moments'")
    path.write_bytes(path.read_bytes()[:3000])
    refused(path, "truncated")
    xr.DataTree.from_dict({"/": xr.Dataset({"x": 1})}).to_netcdf(path, engine="h5netcdf")
    refused(path, "not a priorhood posterior")
    for name, value, match in (
        ("priorhood_moments_format", 99, "sums format 99.*upgrade"), ("weights", "{", "not a JSON mapping"),
        ("priorhood_moments_format", "x", "sums format x"), ("weights", '{"other": 1}', "'weights' cannot be"),
    ):  # fmt: skip
        odd = tree.copy()
        odd.attrs = {**tree.attrs, name: value}
        with path.open("w+b") as file:
            write_tree(file, odd)
        refused(path, match)


def test_sums_of_a_saved_posterior(rows, sums, tmp_path):
    ph.fit(FORMULA, rows, **FAST).save(tmp_path / "post.nc")
    found = ph.load_moments(tmp_path / "post.nc")
    np.testing.assert_array_equal(found.moments.scatter, sums.moments.scatter)
    ph.fit(ph.Model(FORMULA, "tau ~ HalfNormal(1)"), rows, **FAST).save(tmp_path / "post.nc")
    with pytest.warns(ph.PriorhoodWarning, match="not its priors and other choices; refit"):
        ph.load_moments(tmp_path / "post.nc")


def test_a_line_of_totals_is_told(rows):
    """It is a place of its own, whose line goes through it, so that no residual tells it."""
    total = pd.DataFrame({"zip": ["Total"], "living_space": [rows["living_space"].sum()]})
    both = pd.concat([rows, total.assign(price=rows["price"].sum())])
    with pytest.warns(ph.PriorhoodWarning, match="only row of zip 'Total' .* sum of all other rows.*") as told:
        ph.fit(FORMULA, both, **FAST)
    advised = (
        next(str(one.message) for one in told if "Total" in str(one.message))
        .split("with the condition ")[1]
        .split(" (where)")[0]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ph.PriorhoodWarning)
        left = ph.fit(FORMULA, ph.read(both, where=advised), **FAST)
        assert left.moments.rows == len(rows)
        nearly = total.assign(price=rows["price"].sum() * 1.001)
        ph.fit(FORMULA, pd.concat([rows, nearly.assign(zip="99999")]), **FAST)
    with pytest.warns(ph.PriorhoodWarning, match="the last row is the only one of zip 'Total'"):
        ph.fit(FORMULA, pd.concat([rows, nearly]), **FAST)

"""The order of categories is the one that the column's type has, and it travels; text is in the alphabet's."""

from __future__ import annotations

import json

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import priorhood as ph
from priorhood.model.design import Design, union_design
from priorhood.model.formula import parse

ORDER = ["house", "loft", "attic", "flat"]  # attic is never there
TEXT = "y ~ x + type + (1 | zip)"
HOW = {"seed": 1, "draws": 50, "chains": 2}


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    n = 200
    frame = pd.DataFrame(
        {
            "zip": rng.choice(list("abcdef"), n), "type": rng.choice(["flat", "house", "loft"], n),
            "x": rng.normal(size=n), "keep": rng.integers(0, 3, n),
        }
    )  # fmt: skip
    return frame.assign(y=1 + frame.x + 2 * (frame.type == "loft") + rng.normal(size=n))


def categorical(frame, order=ORDER, **how):
    return frame.assign(type=pd.Categorical(frame.type, categories=order, **how))


def dictionary(frame):
    codes = pa.array([ORDER.index(one) for one in frame.type])
    table = pa.Table.from_pandas(frame.drop(columns="type"), preserve_index=False)
    return table.append_column("type", pa.DictionaryArray.from_arrays(codes, ORDER))


def enum(frame):
    return pl.from_pandas(frame).with_columns(pl.col("type").cast(pl.Enum(ORDER)))


def duckdb_enum(connection, frame):
    listed = ", ".join(f"'{one}'" for one in ORDER)
    return connection.from_df(frame).project(f"* REPLACE (CAST(type AS ENUM({listed})) AS type)")


FORMS = {
    "pandas": categorical,
    "pandas, ordered": lambda f: categorical(f, ordered=True),
    "pandas of Arrow": lambda f: f.assign(
        type=pd.Series(pa.chunked_array([dictionary(f)["type"].combine_chunks()]), dtype=pd.ArrowDtype(
            dictionary(f)["type"].type), index=f.index)
    ),
    "polars": enum,
    "polars, lazy": lambda f: enum(f).lazy(),
    "arrow": dictionary,
    "arrow, in chunks": lambda f: pa.concat_tables([dictionary(f[: len(f) // 2]), dictionary(f[len(f) // 2 :])]),
    "duckdb": lambda f: duckdb_enum(duckdb.connect(), f),
}  # fmt: skip


@pytest.mark.parametrize("where", [None, "keep > 0"])
@pytest.mark.parametrize("form", FORMS)
def test_the_order_of_the_type_is_that_of_the_levels(rows, form, where):
    """The first one is the reference; a category that no row has is no column. With where= too."""
    post = ph.fit(TEXT, ph.read(FORMS[form](rows), where=where), **HOW)
    assert post.design.categories == {"type": ("house", "loft", "flat")}
    assert post.design.names == ("Intercept", "x", "type[loft]", "type[flat]")
    text = ph.fit(TEXT, ph.read(categorical(rows), where=where), **HOW)
    np.testing.assert_allclose(post["mu"].values, text["mu"].values, rtol=1e-6, atol=1e-6)


def test_a_file_of_duckdb_has_its_enum(rows, tmp_path):
    path = tmp_path / "homes.duckdb"
    with duckdb.connect(str(path)) as connection:
        duckdb_enum(connection, rows).create("homes")
    assert ph.fit(TEXT, path, **HOW).design.categories == {"type": ("house", "loft", "flat")}


def test_text_and_types_without_an_order_are_in_the_alphabets(rows, tmp_path):
    rows.to_csv(tmp_path / "homes.csv", index=False)
    categorical(rows).to_parquet(tmp_path / "homes.parquet")
    plain = pl.from_pandas(rows).with_columns(pl.col("type").cast(pl.Categorical))
    for table in (
        rows,
        tmp_path / "homes.csv",
        tmp_path / "homes.parquet",
        plain,
        rows.astype({"type": "category"}),
    ):
        assert ph.fit(TEXT, table, **HOW).design.categories == {"type": ("flat", "house", "loft")}


def test_the_order_changes_coefficients_and_no_prediction(rows):
    """What is relative to another category is another number of the same fit, where priors are wide."""
    wide = {"mu": "Normal(0, 1000)", "tau": "HalfNormal(1)", "sigma": "HalfNormal(3)"}
    one, two = (ph.fit(ph.Model(TEXT, wide), frame, seed=1, draws=500) for frame in (rows, categorical(rows)))
    homes = pd.DataFrame({"zip": ["a", "b", "c"], "type": ["flat", "house", "loft"], "x": [0.0, 1.0, -1.0]})
    np.testing.assert_allclose(one.predict(homes)["mean"], two.predict(homes)["mean"], atol=0.03)
    moved = one.natural("mu").sel(term="type[loft]").mean() - one.natural("mu").sel(term="type[house]").mean()
    assert two.natural("mu").sel(term="type[loft]").mean() == pytest.approx(float(moved), abs=0.03)


def test_categories_that_are_numbers_are_in_the_types_order():
    rng = np.random.default_rng(2)
    rooms = rng.choice([2, 3, 10], 90)
    frame = pd.DataFrame({"rooms": pd.Categorical(rooms, categories=[10, 3, 2]), "y": rng.normal(size=90)})
    assert ph.fit("y ~ C(rooms)", frame, **HOW).design.names == ("Intercept", "rooms[3]", "rooms[2]")
    plain = frame.astype({"rooms": "int64"})
    assert ph.fit("y ~ C(rooms)", plain, **HOW).design.names == ("Intercept", "rooms[3]", "rooms[10]")


# -- it travels ---------------------------------------------------------------------------------------------


def test_file_predictions_and_refits_keep_it(rows, tmp_path):
    post = ph.fit(TEXT, categorical(rows), **HOW)
    post.save(tmp_path / "post.nc")
    again = ph.load(tmp_path / "post.nc")
    assert again.design == post.design
    assert ph.refit(again, **HOW).design == post.design
    homes = pd.DataFrame({"zip": ["a", "b", "c"], "type": ["flat", "house", "loft"], "x": [0.0, 1.0, -1.0]})
    wanted = post.predict(homes)["mean"].tolist()
    other = {"text": homes, "alphabet": homes.astype({"type": "category"}), "again": categorical(homes),
             "backwards": categorical(homes, ORDER[::-1])}  # fmt: skip
    for name, table in other.items():
        assert again.predict(table)["mean"].tolist() == wanted, name
    assert again.predict(enum(homes))["mean"].to_list() == wanted


@pytest.mark.parametrize("second", ["text", "the same order", "another order"])
def test_update_merge_and_pool_are_a_fit_of_all_rows(rows, second):
    """In the first one's order, whatever the second one's is: the sums are turned, exactly."""
    parts = rows[:90], rows[90:]
    whole = ph.fit(TEXT, categorical(rows), **HOW)
    first = categorical(parts[0])
    then = {"text": parts[1], "the same order": categorical(parts[1]),
            "another order": categorical(parts[1], ORDER[::-1])}[second]  # fmt: skip
    found = {
        "update": ph.update(ph.fit(TEXT, first, **HOW), then, **HOW),
        "merge": ph.merge(ph.fit(TEXT, first, **HOW), ph.fit(TEXT, then, **HOW), **HOW),
        "pool": ph.fit(TEXT, [ph.moments(TEXT, first), ph.moments(TEXT, then)], **HOW),
    }
    for how, post in found.items():
        assert post.design == whole.design, how
        assert post.log_evidence == pytest.approx(whole.log_evidence, abs=1e-6), how


@pytest.mark.parametrize(
    ("first", "other", "both"),
    [
        ("abc", "bd", "abcd"),  # the alphabet's
        ("ca", "ab", "cab"),  # the declared one counts, whichever it is
        ("ab", "ca", "cab"),
        ("ca", "cba", "cba"),  # the nearest neighbour tells where
        ("ca", "dca", "dca"),
        ("dac", "cda", "dac"),  # a contradiction: the first one's
        ("ca", "bz", "cabz"),
        ("ca", "zb", "cazb"),
    ],
)
def test_the_order_of_both(first, other, both):
    formula = parse("y ~ f")
    designs = [Design(formula, {"f": tuple(order)}, frozenset()) for order in (first, other)]
    assert "".join(union_design(*designs).categories["f"]) == both


def test_numbers_are_by_size_unless_their_type_says_otherwise():
    formula = parse("y ~ C(k)")
    made = [
        Design(formula, {"C(k)": order}, frozenset({"C(k)"})) for order in (("2", "10"), ("3", "10"), ("10", "2"))
    ]
    assert union_design(made[0], made[1]).categories["C(k)"] == ("2", "3", "10")
    assert union_design(made[1], made[2]).categories["C(k)"] == ("10", "2", "3")


# -- the reference is told ------------------------------------------------------------------------------------


def test_equations_name_the_reference(rows):
    post = ph.fit("y ~ x*type + C(keep) + (1 | zip)", categorical(rows), **HOW)
    assert "\n  reference levels: type 'house', keep '0'\n" in post.equations()
    assert post.design.references == {"type": "house", "keep": "0"}
    for text in ("y ~ x + (1 | zip)", "y ~ 0 + type + (0 + type | zip)", "y ~ x:type"):
        assert "reference" not in ph.equations(text, rows), text
    assert "reference level: type 'flat'" in ph.equations("y ~ 1 + (type | zip)", rows)


def test_report_and_command_name_the_reference(rows, tmp_path, capsys):
    from priorhood.cli.output import print_summary

    post = ph.fit(TEXT, categorical(rows), **HOW)
    ph.report(post, tmp_path / "report.html")
    assert "reference level: type 'house'" in (tmp_path / "report.html").read_text()
    print_summary(post, as_json=False)
    assert "reference level: type 'house'" in capsys.readouterr().out
    print_summary(post, as_json=True)
    assert json.loads(capsys.readouterr().out)["references"] == {"type": "house"}


# -- tables of places -----------------------------------------------------------------------------------------

BY_PLACE = "y ~ x + type + (1 | zip)"


@pytest.fixture(scope="module")
def homes():
    """Rows without a type, and the type of every ZIP as text."""
    rng = np.random.default_rng(3)
    zips = pd.DataFrame({"zip": list("abcdefgh"), "type": ["flat", "house", "loft", "house"] * 2})
    rows = pd.DataFrame({"zip": rng.choice(zips["zip"], 120), "x": rng.normal(size=120)})
    return rows.assign(y=rows.x + rng.normal(size=120)), zips


@pytest.mark.parametrize("where", [None, "zip <> 'z'"])
@pytest.mark.parametrize("form", FORMS)
def test_a_table_of_places_has_the_order_of_its_type(homes, form, where):
    """Beside rows of any kind, as if the column were in the rows."""
    rows, zips = homes
    pasted = ph.fit(BY_PLACE, categorical(rows.merge(zips, on="zip", how="left")), **HOW)
    for table in (rows, pl.from_pandas(rows)):
        post = ph.fit(BY_PLACE, table, places=ph.read(FORMS[form](zips), where=where), **HOW)
        assert post.design.categories == {"type": ("house", "loft", "flat")}
        assert "reference level: type 'house'" in post.equations()
        np.testing.assert_allclose(post["mu"].values, pasted["mu"].values, rtol=1e-6, atol=1e-6)
    # The control: text is in the alphabet's order.
    assert ph.fit(BY_PLACE, rows, places=zips, **HOW).design.categories == {"type": ("flat", "house", "loft")}


def test_the_order_of_a_table_of_places_travels(homes, tmp_path):
    rows, zips = homes
    whole = ph.fit(BY_PLACE, rows, places=categorical(zips), **HOW)
    whole.save(tmp_path / "post.nc")
    sums = ph.moments(BY_PLACE, rows, places=categorical(zips))
    sums.save(tmp_path / "a.moments")
    first = ph.fit(BY_PLACE, rows[:60], places=categorical(zips), **HOW)
    for post in (
        ph.load(tmp_path / "post.nc"),
        ph.fit(BY_PLACE, ph.load_moments(tmp_path / "a.moments"), **HOW),
        ph.update(first, rows[60:], **HOW),
        ph.update(first, rows[60:], places=categorical(zips, ORDER[::-1]), **HOW),
    ):
        assert post.design == whole.design
        assert post.log_evidence == pytest.approx(whole.log_evidence, abs=1e-6)


def test_numbers_of_places_as_categories_are_in_their_types_order(homes):
    rows, zips = homes
    rooms = pd.Categorical([2, 3, 10, 3] * 2, categories=[10, 3, 2])
    post = ph.fit("y ~ C(type) + (1 | zip)", rows, places=zips.assign(type=rooms), **HOW)
    assert post.design.categories == {"C(type)": ("10", "3", "2")}

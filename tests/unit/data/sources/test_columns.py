"""Columns of types that are seldom: labels, categories and numbers are those of the same values typed plainly."""

from __future__ import annotations

import datetime
import decimal

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
import pytest

import priorhood as ph
from priorhood.data.labels import normal_label
from priorhood.model.formula import parse
from table_moments import design_and_moments

ROWS = 24
FEW = {"chains": 2, "draws": 50, "seed": 1}


def sums(table, text, **options):
    return design_and_moments(ph.read(table, **options), parse(text))


def refused(table, text, **options):
    with pytest.raises(ph.TableError) as caught:
        sums(table, text, **options)
    return str(caught.value)


def rows(**columns):
    """Rows in three places, with an outcome and more columns."""
    price = np.random.default_rng(1).normal(3, 1, ROWS)
    return {"zip": ["a", "b", "c"] * (ROWS // 3), "price": price, **columns}


def means(table, text, **options):
    return sums(table, text, **options)[1].mean


BOTH_WAYS = pytest.mark.parametrize("where", [None, "price is not null"])

# -- categories -------------------------------------------------------------------------------------------


@BOTH_WAYS
@pytest.mark.parametrize(
    "categories",
    [
        pd.Categorical([1, 2, 3, None] * 6),
        pd.Categorical([1.5, 2.0, 3.0, None] * 6),
        pd.Categorical([True, False, None, True] * 6),
        pd.cut(np.arange(ROWS) % 7, [0, 2, 4]),
        pd.cut(np.arange(ROWS) % 30, [0, 2, 10, 20], labels=[10, 2, 3]),
    ],
    ids=["whole", "decimal", "truths", "cut", "ordered"],
)
def test_categories_of_numbers_beside_gaps(categories, where):
    """pandas writes 1 as 1.0 where values are missing: no row was in any category."""
    table = pd.DataFrame(rows(kind=categories))
    plain = table.assign(kind=[None if v is None else f"k{v}" for v in categories.astype(object).tolist()])
    plain.loc[table["kind"].isna(), "kind"] = None
    design, found = sums(table, "price ~ C(kind) + (1 | zip)", where=where)
    order = [f"k{v}" for v in categories.categories]
    levels = f"C(kind, levels={order})"
    expected = sums(plain, f"price ~ {levels} + (1 | zip)")[1]
    assert len(design.categories["C(kind)"]) == len(order)
    np.testing.assert_allclose(found.mean, expected.mean)
    assert found.mean[:, :-1].sum() > 0
    # Labels too, and what is handed back has the type that was given.
    labels = sums(table, "price ~ 1 + (1 | kind)", where=where)[1].labels.tolist()
    assert labels == sorted(normal_label(str(v)) for v in categories.categories)
    if where is None:
        post = ph.fit("price ~ C(kind) + (1 | zip)", table, **FEW)
        assert post.predict(table)["kind"].dtype == table["kind"].dtype


@BOTH_WAYS
@pytest.mark.parametrize(
    "written",
    [("03.01.2024", "13.02.2024"), ("2024/01/03", "2024/02/13"), ("2024-01-03T00:00", "2024-02-13T12:30"),
     ("1:30", "12:30"), ("2024-01-03 10:00:00.500", "2024-01-03 11:00:00"), ("2024-01-03 00:00:00+0530", "")],
)  # fmt: skip
def test_dates_of_a_csv_as_categories(tmp_path, written, where):
    """DuckDB names a date in its own words once, and then in the file's: no row was in any category."""
    table = pd.DataFrame(rows(kind=[*written, written[0]] * 8))
    if not written[1]:
        table["kind"] = ["2024-01-03 00:00:00+0530", "2024-01-04 00:00:00+0530", None] * 8
    path = tmp_path / "rows.csv"
    table.to_csv(path, index=False)
    text = "price ~ C(kind) + (1 | zip)"
    np.testing.assert_allclose(means(path, text, where=where), means(table, text))
    assert means(table, text)[:, 0].sum() > 0
    # In a table of places as well, and rows to predict have the same categories.
    places = tmp_path / "places.csv"
    named = pd.DataFrame({"zip": ["a", "b", "c"], "day": [written[0], written[1] or None, written[0]]})
    named.to_csv(places, index=False)
    if written[1]:
        found = [
            ph.fit("price ~ C(day) + (1 | zip)", pd.DataFrame(rows()), places=one, **FEW).predict(
                {"zip": ["a", "b"]}
            )["mean"]
            for one in (places, named)
        ]
        np.testing.assert_allclose(*found)
    post = ph.fit(text, path, **FEW)
    found = [post.predict(one, unseen="population")["mean"] for one in (path, table)]
    np.testing.assert_allclose(*found)


@pytest.mark.parametrize("form", [pd.DataFrame, pl.DataFrame, pa.table, lambda t: duckdb.from_arrow(pa.table(t))])
def test_numbers_of_32_bits_as_categories(form):
    """1.1 of 32 bits is another number than 1.1 of 64."""
    kind = np.array([1.1, 2.2, 3.0, 4.5] * 6)
    text = "price ~ C(kind) + (1 | zip)"
    expected = means(pd.DataFrame(rows(kind=kind)), text)
    table = form(rows(kind=kind.astype("float32")))
    np.testing.assert_allclose(means(table, text), expected)
    post = ph.fit(text, pd.DataFrame(rows(kind=kind)), **FEW)
    np.testing.assert_allclose(numbers(post.predict(table)), numbers(post.predict(pa.table(rows(kind=kind)))))


def numbers(frame, column="mean"):
    found = frame.df() if isinstance(frame, duckdb.DuckDBPyRelation) else frame
    return np.asarray(found[column].to_numpy(), dtype=float)


# -- Arrow's rarer types ------------------------------------------------------------------------------------

TEXTS = ["x", "y", None, "z"] * 6
RARE = {
    "views": pa.array(TEXTS, pa.string_view()),
    "run ends": pc.run_end_encode(pa.array(TEXTS)),
    "dictionary of views": pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None, 2] * 6), pa.array(["x", "y", "z"], pa.string_view())
    ),
}


@BOTH_WAYS
@pytest.mark.parametrize("form", [lambda t: t, lambda t: t.to_pandas(types_mapper=pd.ArrowDtype)])
@pytest.mark.parametrize("rare", RARE)
def test_texts_of_rarer_types(rare, form, where):
    """PyArrow can neither group nor filter them."""
    table, plain = form(pa.table(rows(kind=RARE[rare]))), pd.DataFrame(rows(kind=TEXTS))
    for text in ("price ~ 1 + (1 | kind)", "price ~ kind + (1 | zip)"):
        (_, found), (_, expected) = sums(table, text, where=where), sums(plain, text)
        assert found.labels.tolist() == expected.labels.tolist()
        np.testing.assert_allclose(found.mean, expected.mean)
    post = ph.fit("price ~ kind + (1 | zip)", plain, **FEW)
    np.testing.assert_allclose(numbers(post.predict(table)), numbers(post.predict(plain)))


HALF = np.array([1.5, 2.0, 3.0, 4.25] * 6)
RARE_NUMBERS = {
    "half": pa.array(HALF.astype("float16")),
    "run ends": pc.run_end_encode(pa.array(HALF)),
    "decimals": pa.array([decimal.Decimal(str(v)) for v in HALF], pa.decimal128(5, 2)),
}
if hasattr(pa, "decimal32"):
    RARE_NUMBERS["small decimals"] = RARE_NUMBERS["decimals"].cast(pa.decimal32(5, 2))


@BOTH_WAYS
@pytest.mark.parametrize("form", [lambda t: t, lambda t: t.to_pandas(types_mapper=pd.ArrowDtype)])
@pytest.mark.parametrize("rare", RARE_NUMBERS)
def test_numbers_of_rarer_types(rare, form, where):
    table, plain = form(pa.table(rows(x=RARE_NUMBERS[rare]))), pd.DataFrame(rows(x=HALF))
    for text in ("price ~ x + (1 | zip)", "x ~ 1 + (1 | zip)", "price ~ C(x) + (1 | zip)", "price ~ 1 + (1 | zip)"):
        np.testing.assert_allclose(means(table, text, where=where), means(plain, text))
    assert len(sums(table, "price ~ 1 + (1 | x)", where=where)[1].labels) == 4


@pytest.mark.parametrize("lazy", [False, True])
def test_half_numbers_of_polars_beside_a_condition(lazy):
    table = pl.DataFrame(rows(x=HALF)).with_columns(pl.col("x").cast(pl.Float16))
    found = means(table.lazy() if lazy else table, "price ~ x + (1 | zip)", where="price > 0")
    np.testing.assert_allclose(found, means(pd.DataFrame(rows(x=HALF)), "price ~ x + (1 | zip)", where="price > 0"))


@pytest.mark.parametrize("form", [lambda t: t, lambda t: t.to_pandas(types_mapper=pd.ArrowDtype)])
@pytest.mark.parametrize("large", [[2**63, 2**64 - 1, 5, None], [1_700_000_000_123_456_789, 2**53 + 1, 3, None]])
def test_whole_numbers_that_a_float_rounds(form, large):
    """PyArrow's own cast refuses what is above 2^53, in a traceback."""
    exact = pa.array(large * 6, pa.uint64())
    plain = pd.DataFrame(rows(x=[None if v is None else float(v) for v in large * 6]))
    table = form(pa.table(rows(x=exact)))
    for text in ("price ~ x + (1 | zip)", "x ~ 1 + (1 | zip)", "price ~ C(x) + (1 | zip)"):
        np.testing.assert_allclose(means(table, text), means(plain, text), rtol=1e-15)


# -- labels -------------------------------------------------------------------------------------------------

FORMS = {
    "pyarrow": lambda t, _: t,
    "polars": lambda t, _: pl.from_arrow(t),
    "duckdb": lambda t, _: duckdb.from_arrow(t),
    "parquet": lambda t, folder: _parquet(t, folder / "rows.parquet"),
}
through = pytest.mark.parametrize("form", FORMS)


def _parquet(table, path):
    pyarrow.parquet.write_table(table, path)
    return path


LABELS = {
    "decimals": (
        pa.array([decimal.Decimal("1.50"), decimal.Decimal("2.00"), None] * 8, pa.decimal128(10, 2)), ["1.50", "2"],
    ),
    "large numbers beside a gap": (
        pa.array([2**53 + 1, 2**53, None] * 8, pa.int64()), ["9007199254740992", "9007199254740993"],
    ),
}  # fmt: skip


@BOTH_WAYS
@pytest.mark.parametrize("kind", LABELS)
@through
def test_labels_are_the_same_in_a_fit_and_in_predictions(tmp_path, form, kind, where):
    """DuckDB hands decimals over as floats."""
    labels, expected = LABELS[kind]
    table = FORMS[form](pa.table(rows(zip=labels)), tmp_path)
    post = ph.fit("price ~ 1 + (1 | zip)", ph.read(table, where=where), **FEW)
    assert sorted(post["beta"]["zip"].values.tolist()) == expected
    predicted = post.predict(ph.read(table, where=where))
    found = predicted.df() if form == "duckdb" else predicted
    assert list(found.column_names if form == "pyarrow" else found.columns)[:3] == ["zip", "price", "mean"]
    status = found["status"].to_pylist() if form == "pyarrow" else found["status"].to_list()
    assert status == ["known", "known", "unknown"] * 8


@pytest.mark.parametrize("form", ["pandas", "csv", *FORMS])
def test_minus_nothing_is_nothing(tmp_path, form):
    table = pa.table(rows(place=[0.0, -0.0, 1.0] * 8))
    made = {"pandas": lambda t, _: t.to_pandas(), "csv": _csv, **FORMS}[form](table, tmp_path)
    assert sums(made, "price ~ 1 + (1 | place)")[1].labels.tolist() == ["0", "1"]


def _csv(table, folder):
    table.to_pandas().to_csv(folder / "rows.csv", index=False)
    return folder / "rows.csv"


@pytest.mark.parametrize("form", ["pandas", "csv", *FORMS])
def test_moments_of_a_zone_are_labels_of_utc(tmp_path, form):
    """Parquet keeps the moment and not the zone, and DuckDB writes it in the zone of the machine."""
    moments = [datetime.datetime(2024, 1, 1, 3), datetime.datetime(2024, 7, 1, 4)] * 12
    table = pa.table(rows(at=pa.array(moments, pa.timestamp("us", tz="Asia/Kolkata"))))
    made = {"pandas": lambda t, _: t.to_pandas(), "csv": _csv, **FORMS}[form](table, tmp_path)
    expected = ["2024-01-01 03:00:00+00:00", "2024-07-01 04:00:00+00:00"]
    assert sums(made, "price ~ 1 + (1 | at)")[1].labels.tolist() == expected
    assert normal_label("2024-01-01 00:30:00.250-05:30") == "2024-01-01 06:00:00.25+00:00"
    assert normal_label("0001-01-01 00:30:00+01:00") == "0001-01-01 00:30:00+01:00"  # before the first year


@BOTH_WAYS
@through
def test_ids_beside_gaps_come_back_as_they_were(tmp_path, form, where):
    ids = [2**53 + 1, None, 7] * 8
    table = pa.table(rows(id=pa.array(ids, pa.int64())))
    post = ph.fit("price ~ 1 + (1 | zip)", table, **FEW)
    predicted = post.predict(ph.read(FORMS[form](table, tmp_path), where=where))
    kind = {"parquet": pd.DataFrame, "duckdb": duckdb.DuckDBPyRelation, "pyarrow": pa.Table}.get(form, pl.DataFrame)
    assert isinstance(predicted, kind)
    some = post.predict(ph.read(FORMS[form](table, tmp_path), where="id is null"))
    assert (some.column_names if form == "pyarrow" else list(some.columns))[:4] == ["zip", "price", "id", "mean"]
    if form == "parquet":
        predicted = pa.Table.from_pandas(predicted)
    elif form == "duckdb":
        predicted = predicted.to_arrow_table()
    assert (predicted["id"].to_list() if form == "polars" else predicted["id"].to_pylist()) == ids


# -- pandas' own types ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "column",
    [pd.period_range("2024-01", periods=4, freq="M").repeat(6), pd.arrays.IntervalArray.from_breaks(range(25)),
     pd.arrays.SparseArray([1.0, 0, 0, 2] * 6), np.array([1 + 2j] * ROWS), pd.cut(np.arange(ROWS), 3)],
    ids=lambda column: str(column.dtype)[:8],
)  # fmt: skip
def test_a_condition_beside_columns_that_duckdb_does_not_know(column):
    table = pd.DataFrame(rows(extra=column))
    text = "price ~ 1 + (1 | zip)"
    np.testing.assert_allclose(means(table, text, where="price > 3"), means(table[table["price"] > 3], text))
    labels = "price ~ 1 + (1 | extra)"
    assert sums(table, labels, where="true")[1].labels.tolist() == sums(table, labels)[1].labels.tolist()


def test_sparse_numbers_are_numbers():
    values = np.array([1.0, 0, 0, 2] * 6)
    table = pd.DataFrame(rows(x=pd.arrays.SparseArray(values)))
    text = "price ~ x + (1 | zip)"
    np.testing.assert_allclose(means(table, text), means(pd.DataFrame(rows(x=values)), text))


@pytest.mark.parametrize("kind", ["UInt16", "Int64", "Float32", "uint8[pyarrow]", "double[pyarrow]"])
def test_counts_of_pandas_own_types(kind):
    """Arrow has no remainder of a division: a column of counts ended in a traceback."""
    table = pd.DataFrame(rows(n=[1, 2, 3, 1] * 6))
    text = ph.Model("price ~ 1 + (1 | zip)", frequency_weights="n")
    found, expected = (ph.fit(text, one, **FEW).moments for one in (table.astype({"n": kind}), table))
    np.testing.assert_allclose(found.n, expected.n)
    np.testing.assert_allclose(found.mean, expected.mean)
    with pytest.raises(ph.TableError, match="'n' is not a whole number"):
        ph.fit(text, table.assign(n=table["n"] + 0.5).astype({"n": "double[pyarrow]"}))


@pytest.mark.parametrize("kind", ["Float64", "double[pyarrow]", pd.ArrowDtype(pa.decimal128(6, 2)), "object"])
def test_gaps_in_a_table_of_places(kind):
    """pandas has several kinds of missing values, not all of them numbers."""
    table = pd.DataFrame(rows()).assign(zip=["a", "b", "c", "d"] * 6)
    places = pd.DataFrame({"zip": list("abcd"), "dist": [1.5, 2.0, 4.25, None]})
    text = "price ~ dist + (1 | zip)"
    given = [None if v != v else decimal.Decimal(str(v)) for v in places["dist"]]
    typed = places.assign(
        dist=pd.Series(given, dtype=kind) if "ecimal" in str(kind) else places["dist"].astype(kind)
    )
    with pytest.warns(ph.PriorhoodWarning, match="has no 'dist' for 1 of the 4"):
        found, expected = (ph.fit(text, table, places=one, **FEW).moments for one in (typed, places))
    np.testing.assert_allclose(found.mean, expected.mean)
    assert found.labels.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize("made", [int, float, lambda v: decimal.Decimal(f"{v}.50")])
def test_categories_of_python_objects_are_in_the_order_of_numbers(made):
    """As texts 10 came before 9, and was the reference."""
    values = [made(v) for v in (9, 10, 11, 9) * 6]
    objects = pd.DataFrame(rows(kind=pd.Series(values, dtype=object)))
    plain = pd.DataFrame(rows(kind=list(map(float, values))))
    text = "price ~ C(kind) + (1 | zip)"
    for where in (None, "price is not null"):
        design, found = sums(objects, text, where=where)
        assert design.categories == sums(plain, text)[0].categories
        np.testing.assert_allclose(found.mean, means(plain, text))
    posts = [ph.fit(text, one, **FEW) for one in (objects, plain)]
    np.testing.assert_allclose(*(numbers(post.predict(objects)) for post in posts))


@pytest.mark.parametrize("kind", [int, str])
def test_categories_that_a_condition_leaves_out_of_predictions(kind):
    """A fit under the same condition never saw them, and predictions were refused."""
    table = pd.DataFrame(rows(rooms=list(map(kind, (1, 2, 3, 4) * 6)), size=[1, 2, 3, 4] * 6))
    post = ph.fit("price ~ C(rooms) + (1 | zip)", ph.read(table, where="size < 4"), **FEW)
    assert len(post.predict(ph.read(table, where="size < 4"))) == 18
    with pytest.raises(ph.TableError, match="has the category '4'"):
        post.predict(table)


def test_categories_that_are_one_number_with_32_bits_are_refused():
    """A row of one would count for both."""
    rows = pd.DataFrame({"zip": ["a", "b"] * 12, "x": [1.1, float(np.float32(1.1)), 2.0] * 8, "y": np.arange(24.0)})
    with pytest.raises(
        ph.FormulaError, match=r"'x' has the categories 1.1 and 1.10000002\d+, which are the same number"
    ):
        ph.moments("y ~ C(x) + (1 | zip)", rows)
    ph.moments("y ~ C(x) + (1 | zip)", rows.assign(x=rows.x.round(3)))

"""The same rows on every backend: the same moments, labels, dropped rows."""

from __future__ import annotations

import datetime
import io

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import priorhood as ph
from priorhood.data.dropped import Dropped

TEXT = "price ~ area * kind + log(area) + balcony + (area | zip)"


@pytest.fixture(scope="module")
def homes():
    rng = np.random.default_rng(4)
    n = 240
    frame = pd.DataFrame(
        {
            "zip": [f"{1060 + i % 9:05d}" for i in range(n)],
            "area": rng.uniform(20, 180, n).round(1),
            "kind": np.array(["flat", "loft", "house"])[rng.integers(3, size=n)],
            "balcony": rng.random(n) < 0.4,
            "price": (rng.normal(3e5, 9e4, n)).round(-2),
        }
    )
    frame.loc[[3, 50], "area"] = np.nan
    frame.loc[[7], "price"] = np.nan
    frame.loc[[11, 12, 13], "zip"] = None
    frame.loc[[20], "kind"] = None
    return frame


def _parts(frame, folder):
    frame.iloc[:100].to_csv(folder / "part1.csv", index=False)
    frame.iloc[100:].to_csv(folder / "part2.csv", index=False)
    return str(folder / "part*.csv")


def _file(suffix, write):
    def made(frame, folder):
        path = folder / f"rows{suffix}"
        write(frame, path)
        return path

    return made


BACKENDS = {
    "csv": _file(".csv", lambda f, p: f.to_csv(p, index=False)),
    "csv.gz": _file(".csv.gz", lambda f, p: f.to_csv(p, index=False)),
    "csv semicolons": _file(".csv", lambda f, p: f.to_csv(p, index=False, sep=";")),
    "csv quoted": _file(".csv", lambda f, p: f.to_csv(p, index=False, quoting=1)),
    "csv parts": _parts,
    "tsv": _file(".tsv", lambda f, p: f.to_csv(p, index=False, sep="\t")),
    "parquet": _file(".parquet", lambda f, p: f.to_parquet(p)),
    "jsonl": _file(".jsonl", lambda f, p: f.to_json(p, orient="records", lines=True)),
    "str path": lambda f, folder: str(_file(".csv", lambda g, p: g.to_csv(p, index=False))(f, folder)),
    "polars": lambda f, _: pl.from_pandas(f),
    "polars-lazy": lambda f, _: pl.from_pandas(f).lazy(),
    "pyarrow": lambda f, _: pa.Table.from_pandas(f, preserve_index=False),
    "duckdb": lambda f, _: duckdb.from_df(f),
    "mapping": lambda f, _: {c: f[c].tolist() for c in f},
    "table": lambda f, _: ph.read(f),
    "odd index": lambda f, _: f.set_axis(np.arange(len(f))[::-1] * 3),
}


def same(one, other):
    assert one.labels.tolist() == other.labels.tolist()
    assert one.columns == other.columns
    assert (one.keys, one.read, one.rows) == (other.keys, other.read, other.rows)
    assert one.dropped == other.dropped
    np.testing.assert_array_equal(one.n, other.n)
    np.testing.assert_allclose(one.mean, other.mean, rtol=1e-9, atol=1e-12)
    size = np.sqrt(np.diag(other.pooled()[1]))
    np.testing.assert_allclose(one.scatter / np.outer(size, size), other.scatter / np.outer(size, size), atol=1e-9)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("options", [{}, {"drop_outliers": 1.0}], ids=["all", "outliers"])
def test_backends_agree(moments_of, homes, tmp_path, backend, options):
    design, found = moments_of(TEXT, BACKENDS[backend](homes, tmp_path), **options)
    expected_design, expected = moments_of(TEXT, homes, **options)
    assert design.categories == expected_design.categories == {"kind": ("flat", "house", "loft")}
    same(found, expected)


@pytest.mark.parametrize(
    "backend", ["csv", "csv parts", "parquet", "jsonl", "polars", "polars-lazy", "pyarrow", "duckdb", "mapping"]
)
@pytest.mark.parametrize(
    ("condition", "kept"),
    [
        ("area > 40 and price < 400000", lambda f: (f["area"] > 40) & (f["price"] < 400_000)),
        ("kind = 'loft' or kind = 'house'", lambda f: f["kind"].isin(["loft", "house"])),
        ("zip <> '01063'", lambda f: f["zip"].notna() & (f["zip"] != "01063")),
        ("not balcony", lambda f: ~f["balcony"]),
    ],
)
def test_where(moments_of, homes, tmp_path, backend, condition, kept):
    """Rows of which the condition is unknown are left out too, as SQL has it."""
    table = ph.read(BACKENDS[backend](homes, tmp_path), where=condition)
    text = "price ~ area + (area | zip)"
    _, found = moments_of(text, table)
    _, expected = moments_of(text, homes[kept(homes)])
    assert found.labels.tolist() == expected.labels.tolist()
    np.testing.assert_array_equal(found.n, expected.n)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-9)
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-8)
    assert found.read == len(homes)
    reasons = {(d.reason, d.column): d.rows for d in found.dropped}
    assert reasons.pop(("where condition not met", "")) == int((~kept(homes)).sum())
    assert reasons == {(d.reason, d.column): d.rows for d in expected.dropped}


# -- labels -----------------------------------------------------------------------------------------------

CODES = ["01067", "01069", "10115", "01067", "00501", "10115"] * 5


def coded(codes):
    rng = np.random.default_rng(1)
    return pd.DataFrame({"zip": codes, "x": rng.normal(size=len(codes)), "y": rng.normal(size=len(codes))})


def labels(moments_of, table, text="y ~ x + (1 | zip)"):
    return moments_of(text, table)[1].labels.tolist()


TEXTUAL = [b for b in BACKENDS if b != "table"]


@pytest.mark.parametrize("backend", TEXTUAL)
def test_leading_zeros_stay(moments_of, tmp_path, backend):
    assert labels(moments_of, BACKENDS[backend](coded(CODES), tmp_path)) == ["00501", "01067", "01069", "10115"]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_leading_zeros_stay_where_all_labels_are_digits_without_quotes(moments_of, tmp_path, suffix):
    frame = coded(CODES)
    path = tmp_path / f"rows{suffix}"
    if suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False, sep="\t" if suffix == ".tsv" else ",")
        assert '"' not in path.read_text()
    assert labels(moments_of, path) == ["00501", "01067", "01069", "10115"]


@pytest.mark.parametrize(
    "codes",
    [
        [1067, 1069] * 15,
        [1067.0, 1069.0] * 15,
        ["1067.0", "1069.0"] * 15,
        [" 1067", "1069 "] * 15,
        ["1067", "1067.0", "1069.00"] * 10,
        pd.Categorical(["1067", "1069"] * 15),
        pd.Categorical([1067, 1069] * 15),
        np.array([1067, 1069] * 15, dtype="int16"),
        pd.array([1067, 1069] * 15, dtype="Int64"),
        pd.array(["1067", "1069"] * 15, dtype="string"),
    ],
    ids=[
        "int",
        "float",
        "float text",
        "blanks",
        "mixed",
        "categorical",
        "categorical int",
        "int16",
        "Int64",
        "string",
    ],
)
@pytest.mark.parametrize("through", ["pandas", "polars", "csv", "parquet"])
def test_labels_that_mean_the_same(moments_of, tmp_path, codes, through):
    frame = coded([str(i) for i in range(30)]).assign(zip=codes)
    if through == "polars":
        frame = pl.from_pandas(frame)
    elif through != "pandas":
        frame = BACKENDS[through](frame, tmp_path)
    assert labels(moments_of, frame) == ["1067", "1069"]


@pytest.mark.parametrize(
    "backend", ["csv", "tsv", "parquet", "jsonl", "polars", "pyarrow", "duckdb", "mapping", "odd index"]
)
def test_no_label_is_a_missing_one(moments_of, tmp_path, backend):
    codes = ["01067", None, "", "   ", "10115"] * 6
    _, found = moments_of("y ~ x + (1 | zip)", BACKENDS[backend](coded(codes), tmp_path))
    assert found.labels.tolist() == ["01067", "10115"]
    assert found.dropped == (Dropped("missing", "zip", 18),)
    assert found.read == 30


def test_a_float_column_of_labels_with_gaps(moments_of):
    """What pandas makes of a column of whole numbers with an empty place."""
    frame = coded(CODES).assign(zip=[np.nan if i % 7 == 0 else 1067.0 + i % 2 for i in range(30)])
    _, found = moments_of("y ~ x + (1 | zip)", frame)
    assert found.labels.tolist() == ["1067", "1068"]
    assert found.dropped == (Dropped("missing", "zip", 5),)


def test_labels_are_case_sensitive_and_whole(moments_of):
    frame = coded(["Mitte", "mitte", "Mitte Nord", "1067.5", "1e3", "-"] * 5)
    assert labels(moments_of, frame) == sorted(["Mitte", "mitte", "Mitte Nord", "1067.5", "1e3", "-"])


@pytest.mark.parametrize("backend", ["csv", "polars", "duckdb"])
def test_new_rows_find_their_groups_whatever_the_labels_type(tmp_path, backend):
    frame = coded(["1067", "1069", "1070"] * 10)
    post = ph.fit("y ~ x + (1 | zip)", BACKENDS[backend](frame, tmp_path), chains=1, draws=20, seed=1)
    for codes in ([1067, 1069], [1067.0, 1069.0], ["1067", " 1069"], pd.Categorical(["1067", "1069"])):
        found = post.predict(pd.DataFrame({"zip": codes, "x": [0.0, 1.0]}))
        assert found["status"].tolist() == ["known", "known"]


# -- dropped rows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "backend", ["csv", "parquet", "jsonl", "polars-lazy", "pyarrow", "duckdb", "mapping", "table"]
)
def test_account_of_rows(moments_of, homes, tmp_path, backend):
    """Every row is used or left out for one reason, the first that holds."""
    both = homes.copy()
    both.loc[3, "price"] = np.nan  # two reasons; the outcome's comes first
    table = ph.read(BACKENDS[backend](both, tmp_path)) if backend != "table" else ph.read(both)
    _, found = moments_of("price ~ area + kind + (1 | zip)", table)
    assert found.dropped == (
        Dropped("missing", "price", 2), Dropped("missing", "area", 1), Dropped("missing", "kind", 1),
        Dropped("missing", "zip", 3),
    )  # fmt: skip
    assert found.read == 240
    assert found.rows + sum(d.rows for d in found.dropped) == found.read
    assert str(found.dropped[0]) == "2 rows: missing 'price'"


def test_reasons_add_up_with_where_and_outliers(moments_of, homes):
    table = ph.read(homes, where="area > 30")
    _, found = moments_of(TEXT, table, drop_outliers=0.8)
    reasons = [d.reason for d in found.dropped]
    assert reasons[0] == "where condition not met"
    assert reasons[-1] == "outlier in price / area"
    assert found.rows + sum(d.rows for d in found.dropped) == found.read == 240


@pytest.mark.parametrize("factor", [0.5, 1.5, 3.0])
@pytest.mark.parametrize("backend", ["csv", "parquet", "polars", "pyarrow", "duckdb", "odd index"])
def test_outlier_rule(moments_of, homes, tmp_path, backend, factor):
    """The notebook's rule computed with NumPy; values that have no logarithm go too."""
    frame = homes.copy()
    frame.loc[[30, 31], "price"] = [-5.0, 0.0]
    frame.loc[[32, 33], "price"] = [9e7, 12.0]
    table = BACKENDS[backend](frame, tmp_path)
    _, found = moments_of("price ~ area + (area | zip)", table, drop_outliers=factor)
    whole = frame.dropna(subset=["price", "area", "zip"])
    score = np.log(whole["price"].where(whole["price"] > 0) / whole["area"])
    low, high = np.nanquantile(score, [0.25, 0.75])
    keep = (score >= low - factor * (high - low)) & (score <= high + factor * (high - low))
    assert not keep[[30, 31, 32, 33]].any()
    assert found.rows == int(keep.sum())
    assert found.dropped[-1] == Dropped("outlier in price / area", "", int((~keep).sum()))
    np.testing.assert_allclose(found.pooled()[0], whole.loc[keep, ["area", "price"]].mean(), rtol=1e-12)


def test_outlier_rule_needs_a_number(moments_of, homes):
    with pytest.raises(ph.TableError, match="no numeric predictor"):
        moments_of("price ~ kind + (1 | zip)", homes, drop_outliers=1.5)


# -- texts of a CSV ---------------------------------------------------------------------------------------


def test_nulls(moments_of, homes, tmp_path):
    text = homes.to_csv(index=False, na_rep="n/a").replace("n/a", "k. A.", 1)
    (tmp_path / "rows.csv").write_text(text)
    table = ph.read(tmp_path / "rows.csv", nulls=["n/a", "k. A."])
    same(moments_of(TEXT, table)[1], moments_of(TEXT, homes)[1])


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
def test_decimal_comma(moments_of, homes, tmp_path, suffix):
    path = tmp_path / f"rows{suffix}"
    homes.to_csv(path, index=False, sep=";" if suffix == ".csv" else "\t", decimal=",")
    same(moments_of(TEXT, ph.read(path, decimal=","))[1], moments_of(TEXT, homes)[1])


def test_quoted_numbers_are_numbers(moments_of, tmp_path):
    (tmp_path / "rows.csv").write_text(
        "zip,x,y\n" + "".join(f'"{i % 3:05d}","{i}.5","{i * i}"\n' for i in range(30)), encoding="utf-8"
    )
    _, found = moments_of("y ~ x + (1 | zip)", tmp_path / "rows.csv")
    assert found.columns == ("x", "y")
    assert found.pooled()[0].tolist() == [15.0, np.mean(np.arange(30) ** 2)]


@pytest.mark.parametrize("encoded", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_a_name(moments_of, homes, tmp_path, encoded):
    buffer = io.StringIO()
    homes.to_csv(buffer, index=False)
    (tmp_path / "rows.csv").write_bytes(buffer.getvalue().encode(encoded))
    assert ph.read(tmp_path / "rows.csv").columns[0] == "zip"


def test_windows_line_ends(moments_of, homes, tmp_path):
    homes.to_csv(tmp_path / "rows.csv", index=False, lineterminator="\r\n")
    same(moments_of(TEXT, tmp_path / "rows.csv")[1], moments_of(TEXT, homes)[1])


def test_numbers_as_text_in_a_frame_are_refused(moments_of, homes):
    with pytest.raises(ph.TableError, match=r"'area'.*convert"):
        moments_of("price ~ area + (1 | zip)", homes.dropna().assign(area=lambda f: f["area"].astype(str)))


# -- kinds of columns -------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["csv", "parquet", "jsonl", "polars", "pyarrow", "duckdb", "mapping"])
def test_boolean_predictor_is_0_or_1(moments_of, homes, tmp_path, backend):
    _, found = moments_of("price ~ balcony + (1 | zip)", BACKENDS[backend](homes, tmp_path))
    used = homes.dropna(subset=["price", "zip"])
    assert found.columns[0] == "balcony"
    assert found.pooled()[0][0] == pytest.approx(used["balcony"].mean(), rel=1e-12)


@pytest.mark.parametrize("backend", ["csv", "parquet", "polars", "pyarrow", "duckdb", "odd index"])
@pytest.mark.parametrize("role", ["predictor", "outcome"])
def test_dates_are_refused(moments_of, homes, tmp_path, backend, role):
    dated = homes.assign(sold=[datetime.date(2024, 1, 1) + datetime.timedelta(days=i) for i in range(240)])
    if backend in ("parquet", "duckdb", "odd index"):
        dated["sold"] = pd.to_datetime(dated["sold"])
    text = "price ~ sold + (1 | zip)" if role == "predictor" else "sold ~ area + (1 | zip)"
    with pytest.raises(ph.TableError, match=r"'sold'.*days since"):
        moments_of(text, BACKENDS[backend](dated, tmp_path))


def test_too_many_categories_belong_in_a_group_part(moments_of, homes):
    with pytest.raises(ph.TableError, match=r"'id'.*240 categories.*\(1 \| id\)"):
        moments_of("price ~ id", homes.assign(id=[f"no {i}" for i in range(240)]).ffill())


def test_one_category_is_none(moments_of, homes):
    with pytest.raises(ph.TableError, match="only the category 'flat'"):
        moments_of("price ~ kind + (1 | zip)", ph.read(homes, where="kind = 'flat'"))


@pytest.mark.parametrize("backend", ["csv", "parquet", "jsonl", "polars", "pyarrow", "duckdb", "mapping"])
def test_numbers_as_categories(moments_of, homes, tmp_path, backend):
    rooms = homes.assign(rooms=[float(1 + i % 3) for i in range(240)])
    design, found = moments_of("price ~ C(rooms) + (1 | zip)", BACKENDS[backend](rooms, tmp_path))
    assert design.categories == {"C(rooms)": ("1", "2", "3")}
    assert found.columns == ("rooms[2]", "rooms[3]", "price")


def test_repeated_columns_are_refused(homes):
    with pytest.raises(ph.TableError, match="more than once"):
        ph.read(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))


def test_reading_is_lazy_and_leaves_the_frame_alone(moments_of, homes):
    before = homes.copy()
    table = ph.read(homes, where="area > 50")
    moments_of(TEXT, table, drop_outliers=1.5)
    pd.testing.assert_frame_equal(homes, before)
    assert table.columns == tuple(homes)

"""Columns of one name, or of names that an engine takes for one: never another one than the formula names."""

from __future__ import annotations

import gzip

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import priorhood as ph
from priorhood.model.formula import parse
from table_moments import design_and_moments

TEXT = "price ~ area + (1 | zip)"


@pytest.fixture(scope="module")
def homes():
    """Rows with the price of the formula in the fourth column, and another of that name before it."""
    rng = np.random.default_rng(5)
    n = 40
    return {
        "first": rng.integers(1, 9, n),
        "area": rng.integers(40, 110, n),
        "zip": [("01067", "01069", "10115")[i % 3] for i in range(n)],
        "last": rng.integers(150, 450, n) * 1000,
    }


def csv_of(homes, names, path):
    lines = [",".join(names), *(",".join(map(str, row)) for row in zip(*homes.values(), strict=True))]
    text = "\n".join(lines)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def parquet_of(homes, names, path):
    pq.write_table(pa.Table.from_arrays([pa.array(list(v)) for v in homes.values()], names=list(names)), path)
    return path


def relation_of(homes, names, path):
    frame = pd.DataFrame(homes)
    chosen = ", ".join(f'"{own}" AS "{name}"' for own, name in zip(frame, names, strict=True))
    return duckdb.from_df(frame).project(chosen)


READ_BY_DUCKDB = {
    "csv": (csv_of, "rows.csv"),
    "csv.gz": (csv_of, "rows.csv.gz"),
    "parquet": (parquet_of, "rows.parquet"),
    "duckdb": (relation_of, ""),
}


def sums(source, text=TEXT, **options):
    return design_and_moments(ph.read(source, **options), parse(text))[1]


@pytest.mark.parametrize("source", READ_BY_DUCKDB)
def test_two_columns_of_one_name_are_refused_where_they_are_meant(homes, tmp_path, source):
    make, name = READ_BY_DUCKDB[source]
    rows = make(homes, ["price", "area", "zip", "price"], tmp_path / name)
    rest = "area ~ 1 + (1 | zip)"
    for text, where in (
        (TEXT, None),
        ("area ~ price", None),
        ("area ~ 1 + (1 | price)", None),
        (rest, "price > 5"),
    ):
        with pytest.raises(ph.TableError, match=r"'price'.* occurs 2 times \(columns 1 and 4\): rename"):
            sums(rows, text, where=where)
    assert sums(rows, rest).rows == 40


@pytest.mark.parametrize("source", READ_BY_DUCKDB)
@pytest.mark.parametrize("names", [("Price", "price"), ("price", "Price")])
def test_names_that_differ_by_case_are_refused_where_one_is_meant(homes, tmp_path, source, names):
    make, name = READ_BY_DUCKDB[source]
    rows = make(homes, [names[0], "area", "zip", names[1]], tmp_path / name)
    for one, other in (names, names[::-1]):
        why = rf"'{one}'.* differs from '{other}' only in case \(columns 1 and 4\)"
        with pytest.raises(ph.TableError, match=why):
            sums(rows, f"{one} ~ area + (1 | zip)")
        with pytest.raises(ph.TableError, match=why):
            sums(rows, "area ~ 1 + (1 | zip)", where=f'"{one}" > 5')
    with pytest.raises(ph.TableError, match=r"'p(rice|RICE)'"):
        sums(rows, "area ~ 1 + (1 | zip)", where="PRICE > 5")
    assert sums(rows, "area ~ 1 + (1 | zip)", where="area > 0").rows == 40


def test_a_name_that_a_reader_made_up_is_no_column(homes, tmp_path):
    rows = csv_of(homes, ["price", "area", "zip", "price"], tmp_path / "rows.csv")
    with pytest.raises(
        ph.TableError,
        match=r"'price_1' \(the outcome\) is not in the table: .* gave to a second column 'price'",
    ):
        sums(rows, "price_1 ~ area + (1 | zip)")
    with pytest.raises(ph.TableError, match=r"no column 'prices' \(the outcome\): choose from 'area', 'zip'"):
        sums(rows, "prices ~ area + (1 | zip)")


@pytest.mark.parametrize("names", [("price", "price_1"), ("price_1", "price"), ("PRICE", "price_1")])
@pytest.mark.parametrize("source", ["csv", "csv.gz", "parquet"])
def test_a_column_that_is_called_as_a_second_one_would_be_is_that_column(homes, tmp_path, source, names):
    make, name = READ_BY_DUCKDB[source]
    rows = make(homes, [names[0], "area", "zip", names[1]], tmp_path / name)
    for one, values in zip(names, (homes["first"], homes["last"]), strict=True):
        found = sums(rows, f"{one} ~ area + (1 | zip)")
        assert found.pooled()[0][-1] == pytest.approx(np.mean(values))


def test_names_inside_a_column_of_parquet_are_none_of_the_table(homes, tmp_path):
    path = tmp_path / "rows.parquet"
    inner = [{"price": 1.0, "PRICE": {"price": 2}}] * 40
    columns = [pa.array(list(v)) for v in homes.values()]
    pq.write_table(pa.Table.from_arrays([pa.array(inner), *columns], names=["x", "a", "area", "zip", "a_1"]), path)
    assert sums(path, "a_1 ~ area + a + (1 | zip)").pooled()[0][-1] == pytest.approx(np.mean(homes["last"]))


FRAMES = {"pandas": lambda f: f, "pyarrow": pa.Table.from_pandas, "polars": pl.from_pandas}


@pytest.mark.parametrize("kind", FRAMES)
def test_frames_tell_cases_apart_unless_a_condition_cannot(homes, kind):
    frame = pd.DataFrame(dict(zip(("Price", "area", "zip", "price"), homes.values(), strict=True)))
    rows = FRAMES[kind](frame)
    for one in ("Price", "price"):
        text = f"{one} ~ area + (1 | zip)"
        assert sums(rows, text).pooled()[0][-1] == pytest.approx(frame[one].mean())
        if kind == "polars":
            kept = sums(rows, text, where="price > 300000")
            assert kept.rows == (frame["price"] > 300000).sum()
            continue
        for where, formula in (("area > 0", text), (f"{one} > 5", "area ~ 1 + (1 | zip)")):
            with pytest.raises(ph.TableError, match=f"'{one}'.* differs from"):
                sums(rows, formula, where=where)


def test_rows_handed_back_keep_the_names_that_they_had(homes, tmp_path):
    frame = pd.DataFrame(dict(zip(("price", "area", "zip", "last"), homes.values(), strict=True)))
    post = ph.fit("last ~ area + (1 | zip)", frame, seed=1, chains=1, draws=50)
    back = post.predict(ph.read(frame.assign(ID=1, Id=2), where="area > 60"))
    assert [*back.columns[:6]] == ["price", "area", "zip", "last", "ID", "Id"]
    frame.assign(Area=1).to_csv(tmp_path / "rows.csv", index=False)
    for use in (post.predict, lambda rows: ph.update(post, rows), lambda rows: ph.loo(post, rows)):
        with pytest.raises(ph.TableError, match=r"'area' .* differs from 'Area'"):
            use(tmp_path / "rows.csv")
    places = pd.DataFrame({"zip": ["01067", "01069", "10115"], "income": [1, 2, 4], "Income": [7, 5, 9]})
    places.to_csv(tmp_path / "places.csv", index=False)
    for one in ("income", "Income"):
        with pytest.raises(ph.TableError, match=f"column '{one}' differs from"):
            ph.fit(f"last ~ area + {one} + (1 | zip)", frame, places=tmp_path / "places.csv")


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_folders_that_say_otherwise_than_their_files_are_refused(homes, tmp_path, suffix):
    frame = pd.DataFrame(dict(zip(("code", "area", "zip", "price"), homes.values(), strict=True)))
    for place, rows in frame.groupby("zip"):
        for folder, said in (("alike", place), ("other", f"x{place}")):
            inner = tmp_path / folder / f"zip={place}"
            inner.mkdir(parents=True)
            path = inner / f"rows{suffix}"
            rows = rows.assign(zip=said)
            if suffix == ".parquet":
                rows.to_parquet(path)
            elif suffix == ".csv":
                rows.to_csv(path, index=False)
            else:
                rows.to_json(path, orient="records", lines=True)
    assert sums(tmp_path / "alike").labels.tolist() == ["01067", "01069", "10115"]
    assert sums(tmp_path / "other", "price ~ area").rows == 40
    with pytest.raises(
        ph.TableError, match=r"has values in the files \('x01067'\) that differ from those in the folder names"
    ):
        sums(tmp_path / "other")


@pytest.mark.parametrize("names", [("price", "price"), ("Price", "price")])
def test_names_in_json_are_refused_in_plain_words(tmp_path, names):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"{names[0]}": {i}, "area": 1, "{names[1]}": 2}}\n' for i in range(9)))
    with pytest.raises(ph.TableError, match=r"rows.jsonl: the file has the names? '[Pp]rice'.*rename") as caught:
        sums(path, "price ~ area")
    assert "columns=" not in str(caught.value)
    assert "auto_detect" not in str(caught.value)

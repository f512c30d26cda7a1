"""Tables of many files: parts, folders, partitions, databases; what is said where they do not fit together."""

from __future__ import annotations

import gc
import gzip
import re
import resource
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.cli import main
from priorhood.data import rows, schema
from priorhood.data.dropped import Dropped
from priorhood.data.schema import refuse_ids
from priorhood.data.sources import duckdb_io
from priorhood.data.sources.export import write_frame
from priorhood.model.formula import SEPARATOR, parse
from priorhood.suffstats import collect
from table_moments import design_and_moments

TEXT = "price ~ area + (area | zip)"


@pytest.fixture(scope="module")
def homes():
    rng = np.random.default_rng(61)
    n = 300
    return pd.DataFrame(
        {
            "zip": [f"{1067 + i % 7:05d}" for i in range(n)],
            "area": rng.uniform(20, 180, n).round(1),
            "price": rng.normal(3e5, 9e4, n).round(-2),
        }
    )


def sums(table, text=TEXT, **options):
    return design_and_moments(ph.read(table, **options), parse(text))[1]


def folder_of(homes, folder, suffix):
    for at, part in enumerate((homes[:100], homes[100:200], homes[200:])):
        path = folder / f"part-{at}{suffix}"
        part.to_parquet(path) if suffix == ".parquet" else part.to_csv(path, index=False)
    (folder / "_SUCCESS").touch()
    (folder / ".part-0.crc").write_text("x")
    return folder


def partitioned(homes, folder, suffix):
    for code, part in homes.groupby("zip"):
        inner = folder / f"zip={code}"
        inner.mkdir()
        rest = part.drop(columns="zip")
        rest.to_parquet(inner / "part.parquet") if suffix == ".parquet" else rest.to_csv(
            inner / "part.csv", index=False
        )
    return folder


def database(homes, folder, tables=("sales",)):
    path = folder / "sales.duckdb"
    with duckdb.connect(str(path)) as con:
        for name in tables:
            con.execute(f'CREATE TABLE "{name}" AS SELECT * FROM homes')
    return path


SOURCES = {
    "folder of csv": lambda f, d: folder_of(f, d, ".csv"),
    "folder of parquet": lambda f, d: folder_of(f, d, ".parquet"),
    "partitions of csv": lambda f, d: partitioned(f, d, ".csv"),
    "partitions of parquet": lambda f, d: partitioned(f, d, ".parquet"),
    "glob of partitions": lambda f, d: f"{partitioned(f, d, '.parquet')}/zip=*/*.parquet",
    "glob of deep files": lambda f, d: f"{partitioned(f, d, '.parquet')}/**/*.parquet",
    "database": database,
    "table of a database": lambda f, d: f"{database(f, d, ('sales', 'other'))}::sales",
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("where", [None, "area > 50 and zip <> '01067'"])
def test_the_same_rows_from_files_of_every_shape(homes, tmp_path, source, where):
    found, expected = sums(SOURCES[source](homes, tmp_path), where=where), sums(homes, where=where)
    assert found.labels.tolist() == expected.labels.tolist()
    assert (found.read, found.rows, found.dropped) == (expected.read, expected.rows, expected.dropped)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)
    np.testing.assert_allclose(found.scatter, expected.scatter, rtol=1e-9)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_partition_of_digits_alone_is_text(homes, tmp_path, suffix):
    digits = homes.assign(zip=homes["zip"].str.replace("010", "110"))
    found = sums(partitioned(digits, tmp_path, suffix))
    assert found.labels.tolist() == sorted(set(digits["zip"]))


def test_the_command_line_takes_them(homes, tmp_path, monkeypatch):
    out = tmp_path / "post.nc"
    table = f"{database(homes, tmp_path)}::sales"
    argv = ["priorhood", "fit", table, TEXT, "-o", str(out), "--seed", "1", "--draws", "50", "--threads", "1"]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert ph.load(out).moments.rows == len(homes)


def test_several_tables_of_a_database_are_named(homes, tmp_path):
    path = database(homes, tmp_path, ("rents", "sales"))
    with pytest.raises(
        ph.TableError, match=r"has 2 tables: 'rents', 'sales'; name one of them, for example '.*::rents'"
    ):
        ph.read(path)
    with pytest.raises(ph.TableError, match="no table 'sale': did you mean 'sales'"):
        ph.read(f"{path}::sale")
    homes.to_csv(tmp_path / "s.csv")
    with pytest.raises(ph.TableError, match="only a DuckDB file contains tables"):
        ph.read(f"{tmp_path / 's.csv'}::sales")


def test_a_database_is_not_locked_after_reading(homes, tmp_path):
    path = database(homes, tmp_path)
    table = ph.read(path)
    design_and_moments(table, parse(TEXT))
    gc.collect()
    write = f"import duckdb; duckdb.connect({str(path)!r}).execute('CREATE TABLE t AS SELECT 1')"
    subprocess.run([sys.executable, "-c", write], check=True)
    with duckdb.connect(str(path)) as con:
        assert con.execute("SELECT count(*) FROM t").fetchone() == (1,)
        with pytest.raises(ph.TableError, match="is already open in this program"):
            design_and_moments(table, parse(TEXT))


def test_what_is_no_database_is_said(tmp_path):
    (tmp_path / "bad.duckdb").write_text("hello" * 1000)
    with pytest.raises(ph.TableError, match="not a valid DuckDB database"):
        ph.read(tmp_path / "bad.duckdb")
    with duckdb.connect(str(tmp_path / "empty.duckdb")):
        pass
    with pytest.raises(ph.TableError, match="contains no table"):
        ph.read(tmp_path / "empty.duckdb")


def test_folders_without_rows_or_of_two_formats(homes, tmp_path):
    with pytest.raises(ph.TableError, match="contains no data files"):
        ph.read(tmp_path)
    homes.to_csv(tmp_path / "a.csv")
    homes.to_parquet(tmp_path / "b.parquet")
    with pytest.raises(ph.TableError, match=r"several formats: 'a.csv', 'b.parquet'"):
        ph.read(tmp_path)


# -- parts that do not fit together ---------------------------------------------------------------------


def test_a_broken_part_is_named(homes, tmp_path):
    folder = folder_of(homes, tmp_path, ".parquet")
    part = folder / "part-1.parquet"
    whole = part.read_bytes()
    for broken in (whole[:200], b""):
        part.write_bytes(broken)
        with pytest.raises(
            ph.TableError, match=r"part-1\.parquet' is damaged, truncated, or not .* write it again, or"
        ):
            sums(folder)


def test_a_part_with_spoilt_pages_is_named(homes, tmp_path):
    folder = folder_of(homes, tmp_path, ".parquet")
    part = folder / "part-1.parquet"
    whole = bytearray(part.read_bytes())
    whole[4:400] = b"\xff" * 396
    part.write_bytes(whole)
    with pytest.raises(ph.TableError, match=r"part-1\.parquet' is damaged"):
        sums(folder)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_an_empty_part_is_no_rows(homes, tmp_path, suffix):
    folder = folder_of(homes, tmp_path, suffix)
    path = folder / f"part-00{suffix}"
    homes.head(0).to_parquet(path) if suffix == ".parquet" else homes.head(0).to_csv(path, index=False)
    if suffix == ".csv":
        (folder / "part-000.csv").touch()
    assert sums(folder).read == len(homes)


UNLIKE = {
    "another order": ("zip,lot,area,price\n1,9,80,300\n2,8,90,310\n", "the same names in another order"),
    "another separator": ("zip;area;lot;price\n1;80;9;300\n2;90;8;310\n", "the separator ';', not ','"),
    "another name": (
        "zip,space,lot,price\n1,80,9,300\n2,90,8,310\n",
        "the names 'zip', 'space', 'lot', 'price', not",
    ),
    "one more": ("zip,area,lot,price,day\n1,80,9,300,1\n2,90,8,310,2\n", "'lot', 'price', 'day', not"),
    "one less": ("zip,area,price\n1,80,300\n2,90,310\n", "the names 'zip', 'area', 'price', not"),
    "no names": ("1,80,9,300\n2,90,8,310\n", "the names '1', '80', '9', '300', not"),
}


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".csv.zst"])
@pytest.mark.parametrize("how", UNLIKE)
def test_text_parts_with_unlike_names_are_refused(tmp_path, how, ending):
    """They were put together by place: 45 a square metre, where 3,005 is right."""

    def write(name, text):
        path = tmp_path / f"{name}.csv"
        path.write_text(text)
        if ending == ".csv.gz":
            path.with_name(f"{name}.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
        elif ending == ".csv.zst":
            sign = ";" if ";" in text else ","
            with duckdb.connect() as con:
                rows = con.read_csv(str(path), header=True, all_varchar=True, sep=sign)
                rows.write_csv(f"{path}.zst", compression="zstd", sep=sign)
        if ending != ".csv":
            path.unlink()

    write("a", "zip,area,lot,price\n1,70,7,290\n2,75,6,280\n")
    write("b", "zip,area,lot,price\r\n1,71,7,291\r\n2,76,6,281\r\n")
    assert ph.read(str(tmp_path / f"*{ending}")).columns == ("zip", "area", "lot", "price")
    text, said = UNLIKE[how]
    write("c", text)
    for path in (tmp_path / f"*{ending}", tmp_path):
        with pytest.raises(ph.TableError, match=re.escape(said)) as refused:
            ph.read(str(path))
        assert f"the part c{ending} has a different header than a{ending}" in str(refused.value)


def test_text_parts_whose_names_are_quoted_in_one_are_alike(tmp_path):
    (tmp_path / "a.csv").write_text("zip,area\n1,70\n")
    (tmp_path / "b.csv").write_text('\ufeff"zip", "area"\n1,71\n')
    assert ph.read(str(tmp_path / "*.csv")).columns == ("zip", "area")


def test_types_that_differ_between_parts(homes, tmp_path):
    folder = folder_of(homes, tmp_path, ".parquet")
    homes.assign(area=homes["area"].astype(str), note=1).to_parquet(folder / "part-3.parquet")
    with pytest.raises(
        ph.TableError, match=r"column 'area' .*VARCHAR in part-3\.parquet, DOUBLE in part-0\.parquet; write"
    ):
        sums(folder)
    assert sums(folder, "price ~ 1 + (1 | zip)").read == 2 * len(homes)


def test_whole_numbers_in_one_part_do_not_round_those_of_another(homes, tmp_path):
    whole = homes.assign(area=homes["area"].round().astype(int))
    whole.to_parquet(tmp_path / "a.parquet")
    homes.to_parquet(tmp_path / "b.parquet")
    found = sums(tmp_path)
    expected = sums(pd.concat([whole.assign(area=whole["area"].astype(float)), homes]))
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-12)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_part_without_a_column(homes, tmp_path, suffix):
    folder = folder_of(homes, tmp_path, suffix)
    rest = homes.drop(columns="area")
    path = folder / f"part-3{suffix}"
    rest.to_parquet(path) if suffix == ".parquet" else rest.to_csv(path, index=False)
    with pytest.raises(ph.TableError, match=rf"part-3\{suffix}"):
        sums(folder)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_late_decimals_are_kept(tmp_path, suffix):
    """The first rows alone say what a column of a text file is like; 1.5 once came as 2."""
    n = 60_000
    frame = pd.DataFrame({"area": np.arange(n) % 50 + 0.0, "price": np.arange(n) % 7.0})
    frame.loc[n - 1, "area"] = 1.5
    path = tmp_path / f"late{suffix}"
    if suffix == ".csv":
        lines = [f"{a:g},{p:g}\n" for a, p in zip(frame["area"], frame["price"], strict=True)]
        path.write_text("area,price\n" + "".join(lines))
    else:
        rows = zip(frame["area"], frame["price"], strict=True)
        path.write_text("".join(f'{{"area": {a:g}, "price": {p:g}}}\n' for a, p in rows))
    found = sums(path, "price ~ area")
    np.testing.assert_allclose(found.mean[0, 0], frame["area"].mean(), rtol=1e-13)


# -- one plain scan -------------------------------------------------------------------------------------


MESSY = {
    "as they are": ("price ~ area + (area | zip)", {}),
    "logs and interactions": ("log(price) ~ area * kind + I(area ** 2) + (area | zip)", {}),
    "two labels": ("price ~ area + (1 | kind/zip)", {}),
    "outliers": ("price ~ area + (area | zip)", {"drop_outliers": 1.0}),
    "no groups": ("price ~ area + kind", {}),
    "labels of whole numbers": ("price ~ area + (area | code)", {}),
}


def messy(homes):
    frame = homes.assign(kind=np.array(["flat", "loft"])[np.arange(len(homes)) % 2])
    frame["code"] = pd.array(frame["zip"].astype(int), dtype="Int64")
    frame.loc[[3, 50], "area"] = np.nan
    frame.loc[[50, 60], "price"] = np.nan
    frame.loc[[5, 50], "zip"] = None
    frame.loc[[6], "zip"] = "  "
    frame.loc[[8], "zip"] = " 01068 "
    frame.loc[[9], "code"] = pd.NA
    frame.loc[[20, 21], "kind"] = [None, " "]
    return frame


@pytest.mark.parametrize("where", [None, "area > 50"])
@pytest.mark.parametrize("case", MESSY)
@pytest.mark.parametrize("spoilt", [None, "nan"])
def test_one_plain_scan_finds_what_the_longer_way_finds(homes, tmp_path, monkeypatch, case, where, spoilt):
    """Both ways, rows that do not count among them; NaN shows in the sums, and the longer way is taken."""
    text, options = MESSY[case]
    path = tmp_path / "messy.parquet"
    duckdb.from_df(messy(homes)).to_parquet(str(path))
    if spoilt:
        duckdb.sql(
            f"SELECT * REPLACE (CASE WHEN area > 170 THEN 'nan'::DOUBLE ELSE area END AS area) FROM '{path}'"
        ).to_parquet(str(path := tmp_path / "nan.parquet"))
    took: list[bool] = []
    plain = collect.scanned

    def watched(*args):
        took.append((found := plain(*args)) is not None)
        return found

    monkeypatch.setattr(collect, "scanned", watched)
    _, quick = design_and_moments(ph.read(path, where=where), parse(text), **options)
    monkeypatch.setattr(collect, "scanned", lambda *_: None)
    _, slow = design_and_moments(ph.read(path, where=where), parse(text), **options)
    # A condition has NaN of its column as null.
    assert took == [spoilt is None or where is not None]
    assert quick.labels.tolist() == slow.labels.tolist()
    assert (quick.read, quick.dropped) == (slow.read, slow.dropped)
    np.testing.assert_array_equal(quick.n, slow.n)
    np.testing.assert_allclose(quick.mean, slow.mean, rtol=1e-13)
    np.testing.assert_allclose(quick.scatter, slow.scatter, rtol=1e-11, atol=1e-6)


@pytest.mark.parametrize("text", ["price ~ area + (1 | zip)", "log(price) ~ log(area) + (1 | zip)"])
def test_a_row_counts_for_its_first_reason_also_where_that_is_nan(homes, tmp_path, text):
    path = tmp_path / "nan.parquet"
    frame = homes.assign(zip=homes["zip"].where(homes.index != 4))
    duckdb.from_df(frame).project(
        "* REPLACE (CASE WHEN zip IS NULL THEN 'nan'::DOUBLE ELSE area END AS area)"
    ).to_parquet(str(path))
    assert sums(path, text).dropped == (Dropped("missing", "area", 1),)


def test_large_whole_numbers_stay_whole(tmp_path):
    """Labels beyond 2⁵³, with gaps, in both columns of nested places."""
    path = tmp_path / "ids.parquet"
    label = "CASE WHEN i = {} THEN NULL ELSE 9007199254740993 + i % {} END"
    duckdb.sql(
        f"SELECT {label.format(3, 2)} AS city, {label.format(5, 4)} AS zip, i % 7 + 0.5 AS area, i % 11 AS price "
        "FROM range(100) t(i)"
    ).to_parquet(str(path))
    found = sums(path, "price ~ area + (1 | city/zip)")
    assert {part for label in found.labels for part in label.split(SEPARATOR)} == {
        str(9007199254740993 + k) for k in range(4)
    }


@pytest.mark.parametrize(
    ("text", "column", "value", "message"),
    [
        ("price ~ area + (1 | zip)", "area", np.inf, "'area' is infinite in 1 row"),
        ("log(price) ~ area + (1 | zip)", "price", -1.0, "price <= 0 in 1 row"),
        ("price ~ I(area ** 0) + (1 | zip)", "area", np.inf, "'area' is infinite in 1 row"),
    ],
)
def test_one_plain_scan_lets_nothing_impossible_pass(homes, tmp_path, text, column, value, message):
    frame = homes.copy()
    frame.loc[7, column] = value
    frame.to_parquet(tmp_path / "bad.parquet")
    with pytest.raises(ph.TableError, match=message):
        sums(tmp_path / "bad.parquet", text)


# -- ids that are no places -----------------------------------------------------------------------------


def numbered(folder, label, rows):
    """A file of so many rows with a label computed from their number i."""
    path = folder / "numbered.parquet"
    duckdb.sql(f"SELECT {label} AS zip, i % 97 AS area, i % 89 AS price FROM range({rows}) t(i)").to_parquet(
        str(path)
    )
    return path


def test_an_id_of_rows_is_no_place(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "_flags", lambda *_: pytest.fail("said before trying"))
    path = numbered(tmp_path, "'sale ' || i", 1_200_000)
    with pytest.raises(
        ph.TableError, match=r"the group 'zip' has about 1,\d+,\d+ .* in 1,200,000 rows: .* row ID"
    ) as said:
        sums(path)
    assert "choose from 'area', 'price'" in str(said.value)


@pytest.mark.parametrize("label", ["hash(i) % 600000", "i // 2"], ids=["anywhere", "one after the other"])
def test_many_places_with_two_rows_each_are_places(tmp_path, label):
    rows = 1_200_000
    frame = ph.read(numbered(tmp_path, f"({label})::VARCHAR", rows)).frame(["zip"])
    refuse_ids(frame, ("zip",), "sales")


def test_more_places_than_can_be_fitted(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "MAX_PLACES", 400_000)
    monkeypatch.setattr(schema, "LOOKS", ((10_000, 0.5),))
    path = numbered(tmp_path, "(hash(i) % 500000)::VARCHAR", 1_200_000)
    with pytest.raises(ph.TableError, match=r"at most 400,000 places can be fitted; group by something coarser"):
        sums(path)


# -- threads, memory, disk ------------------------------------------------------------------------------


def test_threads_limit_the_reader_too():
    def now():
        return duckdb_io.connection().execute("SELECT current_setting('threads')").fetchall()[0][0]

    before = now()
    with duckdb_io.using(1):
        assert now() == 1
    assert now() == before


def test_a_full_disk_while_spilling_is_said(tmp_path, monkeypatch):
    """A group-by that neither memory nor disk holds ends with a message; the connection lives on."""
    n = 3_000_000
    path = tmp_path / "many.parquet"
    duckdb.sql(
        f"SELECT hash(i // 2)::VARCHAR AS zip, i % 7 AS area, i % 11 AS price FROM range({n}) t(i)"
    ).to_parquet(str(path))
    con = duckdb_io.connection()
    con.execute("SET memory_limit = '60MB'; SET max_temp_directory_size = '1MB'")
    try:
        with pytest.raises(
            ph.TableError, match=r"neither enough memory nor enough disk .*nothing was written\. Free space in"
        ):
            sums(path)
    finally:
        con.execute("RESET memory_limit; SET max_temp_directory_size = '1GB'")
    assert not list(Path(tmp_path).glob("priorhood*"))


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_a_full_disk_while_writing_leaves_nothing_half_written(tmp_path, suffix):
    """A limit on the size of files stands for the disk; what was there stays as it was."""
    frame = pd.DataFrame({"price": np.random.default_rng(1).random(200_000)})
    path = tmp_path / f"out{suffix}"
    path.write_text("as it was")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(ph.PriorhoodError, match="cannot write"):
            write_frame(frame, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "as it was"
    assert [f.name for f in tmp_path.iterdir()] == [path.name]


# -- any order, any threads, any parts ------------------------------------------------------------------


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Rows enough for several groups of a Parquet file, so that threads share them."""
    folder = tmp_path_factory.mktemp("large")
    rows = "SELECT 10001 + hash(i) % 40 AS zip, (hash(i + 1) % 1300) / 10 AS area, hash(i + 2) % 1000003 AS price"
    made = duckdb.sql(f"SELECT zip::VARCHAR AS zip, area::DOUBLE AS area, price::DOUBLE AS price FROM ({rows} FROM "
                      "range(600000) t(i))")  # fmt: skip
    made.to_parquet(str(folder / "all.parquet"))
    duckdb.read_parquet(str(folder / "all.parquet")).order("hash(price * area)").to_csv(
        str(folder / "shuffled.csv")
    )
    (folder / "parts").mkdir()
    for at in range(4):
        part = duckdb.read_parquet(str(folder / "all.parquet")).filter(f"price % 4 = {at}")
        part.to_parquet(str(folder / "parts" / f"{at}.parquet"))
    return folder


@pytest.mark.parametrize("file", ["all.parquet", "shuffled.csv", "parts"])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_sums_in_any_order_parts_and_threads(large, file, threads):
    frame = duckdb.read_parquet(str(large / "all.parquet")).df()
    by = frame.groupby("zip")
    with duckdb_io.using(threads):
        found = sums(large / file)
    assert found.labels.tolist() == sorted(by.groups)
    np.testing.assert_array_equal(found.n, by.size())
    np.testing.assert_allclose(found.mean, by[["area", "price"]].mean(), rtol=1e-12)
    off = frame[["area", "price"]] - by[["area", "price"]].transform("mean")
    for a, first in enumerate(off):
        for b, second in enumerate(off):
            expected = (off[first] * off[second]).groupby(frame["zip"]).sum()
            size = np.sqrt(found.scatter[:, a, a] * found.scatter[:, b, b])
            np.testing.assert_allclose(found.scatter[:, a, b] / size, expected / size, atol=1e-12)


def test_one_thread_gives_the_same_bits(large):
    with duckdb_io.using(1):
        one, again = (sums(large / "all.parquet") for _ in range(2))
    assert np.array_equal(one.mean, again.mean)
    assert np.array_equal(one.scatter, again.scatter)

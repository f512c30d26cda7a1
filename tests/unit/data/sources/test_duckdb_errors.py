"""Files that DuckDB cannot read: which file, which line, what to do; none of its own advice."""

from __future__ import annotations

import gzip
import random

import duckdb
import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.data.sources.duckdb_errors import reword_message
from priorhood.data.sources.duckdb_io import explain_errors

FORMULA = "price ~ area + (1 | zip)"
# DuckDB's own options, which no one can give here.
FOREIGN = r"strict_mode|ignore_errors|null_padding|union_by_name|sample_size|encoding=|Error:|Possible|Potential"


@pytest.fixture(scope="module")
def homes():
    rng = np.random.default_rng(8)
    n = 2000
    return pd.DataFrame({
        "zip": rng.integers(10_000, 10_040, n).astype(str), "area": rng.normal(80, 20, n).round(3),
        "price": rng.normal(300, 50, n).round(3),
    })  # fmt: skip


def complaint(path) -> str:
    with pytest.raises(ph.PriorhoodError) as caught:
        ph.moments(FORMULA, path)
    said = str(caught.value)
    assert not pd.Series([said]).str.contains(FOREIGN).any(), said
    return said


def csv(homes) -> str:
    return homes.to_csv(index=False)


SPOILT = {
    "half a line": (lambda t: t[: t.rindex(",")], "row 2000, '", "has 2 values, but the first line has 3 names"),
    "a value more": (
        lambda t: t + "10001,3,4,5\n",
        "row 2001, '10001,3,4,5', has 4 values, but the first line has 3",
    ),
    "two tables": (
        lambda t: t + "zip,area,price,rooms\n" + "10001,3,4,5\n" * 5000,
        "row 2001, 'zip,area,",
        "4 values",
    ),
    "a line of words": (lambda t: t.replace("\n", "\nto be continued\n", 1), "row 1, 'to be", "1 value, but"),
    "a title": (
        lambda t: "Sales, Berlin\n" + t,
        "line 1 ('Sales, ",
    ),
    "a title of as many values": (
        lambda t: "Sales 2023,,\n" + t,
        "has no column 'price' (the outcome): line 1 ('Sales 2023",
        "remove it, for example with: ",
        "tail -n +2 ",
    ),
    "a title of as many words": (
        lambda t: "Sales,Berlin,final\n,,\n" + t,
        "has no column 'price' (the outcome): lines 1 to 2 ('Sales",
        "tail -n +3 ",
    ),
    "a lone title": (lambda t: "\nSales\n\n" + t, "lines 1 to 3 ('Sales'"),
    "comments": (
        lambda t: "# Sales\n# of, Berlin\n" + t,
        "precede the header",
        "tail -n +3 ",
    ),
    "a comment below": (
        lambda t: t + "# the end\n",
        "row 2001, '# the end', has 1 value, but the first line has 3",
    ),
    "a name too few": (
        lambda t: t.replace("zip,", "", 1),
        "row 1, '",
        "has 3 values, but the first line has 2 names",
    ),
    "not numbers": (
        lambda t: t + "10001,many,4\n",
        "column 'area' (predictor) holds text",
        "'many' (1 row)",
        "nulls=['many']",
    ),
    "not UTF-8": (lambda t: (t + "Köln,3,4\n").encode("latin-1"), "not UTF-8 text", "iconv"),
}


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".tsv", " semicolons.csv"])
@pytest.mark.parametrize("name", SPOILT)
def test_a_spoilt_line(homes, tmp_path, name, suffix):
    change, *says = SPOILT[name]
    text = change(csv(homes))
    found = text if isinstance(text, bytes) else text.encode()
    other = {".tsv": "\t", " semicolons.csv": ";"}.get(suffix, ",")
    found = found.replace(b",", other.encode())
    path = tmp_path / f"homes{suffix}"
    path.write_bytes(gzip.compress(found) if suffix.endswith(".gz") else found)
    said = complaint(path)
    said = said.replace("\\t", ",").replace(";", ",")
    assert all(one in said for one in says), said


@pytest.mark.parametrize("bad", ["10001,3\n", "10001,many,4\n", "10001,3,4,5\n"])
def test_a_late_line_is_named(tmp_path, homes, bad):
    """Beyond the lines that are looked at to find the columns."""
    (tmp_path / "homes.csv").write_text(csv(pd.concat([homes] * 20)) + bad)
    said = complaint(tmp_path / "homes.csv")
    assert "line 40002" in said
    assert "leave it out" in said or "nulls=['many']" in said


def test_which_of_several_files_has_the_line(homes, tmp_path):
    homes.to_csv(tmp_path / "1.csv", index=False)
    for spoilt in ("10001,3\n", "10001,3,4,5\n"):
        (tmp_path / "2.csv").write_text(csv(homes) + spoilt)
        said = complaint(tmp_path)
        assert "2.csv': row 2001, '" in said


FINE = {
    "blank lines": lambda t: t.replace("\n", "\n\n", 5) + "\n\n",
    "a mark of the byte order": lambda t: "\ufeff" + t,
    "quotes": lambda t: t.replace("zip,area,price", '"zip","area","price"'),
    "line ends": lambda t: t.replace("\n", "\r\n"),
    "signs of comments": lambda t: t.replace("\n10001,", "\n#10001,").replace("\n10002,", "\n//10002,"),
}


@pytest.mark.parametrize("name", FINE)
def test_a_file_that_only_looks_odd_is_read_whole(homes, tmp_path, name):
    (tmp_path / "homes.csv").write_bytes(FINE[name](csv(homes)).encode())
    assert ph.moments(FORMULA, tmp_path / "homes.csv").moments.read == len(homes)


def test_bytes_that_are_no_table(tmp_path):
    (tmp_path / "homes.csv").write_bytes(random.Random(1).randbytes(5000))
    said = complaint(tmp_path / "homes.csv")
    assert "UTF-8" in said


def test_a_compressed_file_that_ends_early(homes, tmp_path):
    (tmp_path / "homes.csv.gz").write_bytes(gzip.compress(csv(homes).encode())[:-400])
    said = complaint(tmp_path / "homes.csv.gz")
    assert "the file is damaged, truncated" in said
    assert "leave it out" in said


def test_a_database_that_is_none(tmp_path):
    (tmp_path / "homes.duckdb").write_bytes(b"no database " * 500)
    assert "not a valid DuckDB database" in complaint(tmp_path / "homes.duckdb")


@pytest.mark.parametrize("seed", range(40))
def test_a_parquet_file_with_bytes_changed_is_named_or_read(homes, tmp_path, seed):
    """Wherever a few bytes are not what they were: one message with what to do, or a fit; never a traceback."""
    path, rng = tmp_path / "homes.parquet", random.Random(seed)
    homes.to_parquet(path)
    spoilt = bytearray(path.read_bytes())
    at = rng.randrange(4, len(spoilt) - 108)
    spoilt[at : at + 100] = rng.randbytes(100)
    path.write_bytes(spoilt)
    try:
        ph.moments(FORMULA, path)
    except ph.PriorhoodError as problem:
        said = str(problem)
        assert "homes.parquet" in said
        assert not pd.Series([said]).str.contains(FOREIGN).any(), said


def test_what_is_not_known_is_told_in_its_first_words():
    message = "Some Odd Error: the table is odd\n\nCandidates: one, two\nLINE 1: SELECT x"
    assert reword_message(message) == "the table is odd"
    with pytest.raises(ph.TableError, match=r"^homes: .*nothing"), explain_errors("homes"):
        duckdb.sql("SELECT * FROM nothing")


def test_a_label_that_is_called_as_a_column_is_no_line_of_names(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text('zip,what\na,price\n"b\nc",price\n1,price\n')
    with pytest.raises(ph.TableError, match=r"no column 'price' \(the outcome\): choose from 'zip', 'what'$"):
        ph.moments("price ~ 1 + (1 | zip)", str(path))

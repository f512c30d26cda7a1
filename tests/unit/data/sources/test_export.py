"""Tables as they are written: types that pandas has not, and values that JSON has not."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal

import pandas as pd
import pytest

import priorhood as ph
from priorhood.data.sources.export import check_kinds, kinds_of, write_frame

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

# DuckDB's own, where it makes a pandas frame of dates.
pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")

DAY, TIME = dt.date(2020, 1, 2), dt.datetime(2020, 1, 2, 3, 4, 5)
COLUMNS = {
    "day": pa.array([DAY, None]),
    "at": pa.array([TIME, None]),
    "zoned": pa.array([TIME, None], pa.timestamp("us", "UTC")),
    "hour": pa.array([dt.time(3, 4), None]),
    "fee": pa.array([Decimal("1.50"), None]),
    "rooms": pa.array([[1, 2], []]),
    "days": pa.array([[DAY], None]),
    "both": pa.array([{"a": 1, "b": "x"}, None]),
    "flag": pa.array([True, None]),
    "size": pa.array([float("inf"), 2.5]),
    "code": pa.array(["01", None]),
}


@pytest.fixture
def rows(tmp_path):
    pq.write_table(pa.table(COLUMNS), tmp_path / "rows.parquet")
    return ph.read(tmp_path / "rows.parquet")


def written(table, path):
    write_frame(table.eager((), ()).to_native(), path, kinds_of(table))
    return path


def test_parquet_keeps_the_types_of_parquet(rows, tmp_path):
    path = written(rows, tmp_path / "out.parquet")
    assert pq.read_schema(path).types == pa.table(COLUMNS).schema.types
    assert pq.read_table(path).to_pylist() == pa.table(COLUMNS).to_pylist()


def test_json_has_dates_as_text_and_no_infinity(rows, tmp_path):
    first, second = map(json.loads, written(rows, tmp_path / "out.jsonl").read_text().splitlines())
    assert first == {
        "day": "2020-01-02", "at": "2020-01-02T03:04:05", "zoned": "2020-01-02T03:04:05+00:00", "hour": "03:04:00",
        "fee": 1.5, "rooms": [1, 2], "days": ["2020-01-02T00:00:00"], "both": {"a": 1, "b": "x"}, "flag": True,
        "size": None, "code": "01",
    }  # fmt: skip
    assert second == {**dict.fromkeys(COLUMNS), "rooms": [], "size": 2.5}
    frame = pd.DataFrame({"wait": [pd.Timedelta(days=1, hours=2), None], "low": [-float("inf"), 1.0]})
    write_frame(frame, tmp_path / "two.jsonl")
    assert list(map(json.loads, (tmp_path / "two.jsonl").read_text().splitlines())) == [
        {"wait": "P1DT2H0M0S", "low": None}, {"wait": None, "low": 1.0},
    ]  # fmt: skip


def test_csv_has_lists_as_json(rows, tmp_path):
    found = pd.read_csv(written(rows, tmp_path / "out.csv"))
    assert found["day"].tolist()[0] == "2020-01-02"
    assert json.loads(found["rooms"][0]) == [1, 2]
    assert json.loads(found["both"][0]) == {"a": 1, "b": "x"}


def test_bytes_are_refused_where_they_cannot_be(tmp_path):
    pq.write_table(pa.table({"form": pa.array([b"\xff"])}), tmp_path / "rows.parquet")
    table = ph.read(tmp_path / "rows.parquet")
    for name in ("x.csv", "x.jsonl"):
        with pytest.raises(ph.TableError, match=r"column 'form' holds bytes, .* a Parquet file"):
            check_kinds(name, table)
    check_kinds("x.parquet", table)
    path = written(table, tmp_path / "out.parquet")
    assert pq.read_table(path).to_pylist() == [{"form": b"\xff"}]

"""docs/cluster.md: its examples run on the engines that they are about."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from backends.conftest import _to_postgres
from backends.homes import HOMES

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"
EXAMPLES = {
    found[0]: found[1] for found in re.findall(r"```python\n# (\w+)(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
}
SALES = HOMES[["zip", "area", "price"]]


def run(name, **known):
    """What the page's code leaves behind: its names and values."""
    exec(compile(f"# {EXAMPLES[name]}", f"{PAGE.name}, {name}", "exec"), known)
    if "database" in known:
        known["database"].disconnect()
    return known


def test_every_example_is_run():
    assert sorted(EXAMPLES) == ["Dask", "PostgreSQL", "Spark"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "sales").mkdir()
    for at, rows in enumerate(np.array_split(np.arange(len(SALES)), 2)):
        SALES.iloc[rows].to_parquet(tmp_path / "sales" / f"{at}.parquet", index=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def expected():
    return int((SALES["area"].gt(0) & SALES["price"].notna() & SALES["zip"].fillna(" ").str.strip().ne("")).sum())


@pytest.mark.long
def test_dask(folder, expected, dask_put):
    assert run("Dask")["post"].moments.rows == expected


@pytest.mark.slow
def test_spark(folder, expected, spark, tmp_path):
    text = EXAMPLES["Spark"].replace('"sales/"', repr(str(tmp_path / "sales")))
    EXAMPLES["Spark here"] = text  # the session was started elsewhere
    assert run("Spark here", spark=spark)["post"].moments.rows == expected


@pytest.mark.long
def test_postgres(expected, postgres, monkeypatch):
    ibis = pytest.importorskip("ibis", reason="Ibis is not installed")
    writer = ibis.postgres.connect(host=str(postgres), user="priorhood", database="postgres")
    there = _to_postgres(writer)(SALES)
    with writer.con.cursor() as cursor:
        cursor.execute(f"CREATE VIEW sales AS SELECT * FROM {there.get_name()}")
    writer.con.commit()
    monkeypatch.setenv("PGHOST", str(postgres))
    monkeypatch.setenv("PGUSER", "priorhood")
    writer.disconnect()
    assert run("PostgreSQL")["post"].moments.rows == expected

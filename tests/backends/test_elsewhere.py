"""Rows that stay where they are, on real engines: sums, rows left out and messages are those of local rows."""

from __future__ import annotations

import os
import re

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from backends import servers
from backends.conftest import _to_dask, _to_postgres
from backends.homes import FITS, HOMES
from priorhood.data import schema
from priorhood.data.sources import remote
from priorhood.errors import TableError
from priorhood.model.model import Model
from table_moments import design_and_moments


def sums(source, formula, model, reading):
    reading = dict(reading)
    chosen, places = reading.pop("where", None), reading.pop("places", None)
    model = Model(formula, **model)
    return design_and_moments(
        ph.read(source, where=chosen), model.formula, weights=model.weights, places=places, **reading
    )


def same(found, expected, tolerance=1e-9):
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.columns == expected.columns
    assert (found.keys, found.read, found.dropped) == (expected.keys, expected.read, expected.dropped)
    for name in ("n", "mass", "mean"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=tolerance, atol=0)
    assert found.log_weight == pytest.approx(expected.log_weight, rel=tolerance)
    own = np.diagonal(expected.scatter, axis1=1, axis2=2)
    # A column that is constant within places has nothing there but the rounding of sums as large as n mean².
    sums = expected.mass[:, None] * expected.mean**2
    size = np.sqrt(np.where(own.max(axis=0) > 1e-13 * sums.max(axis=0), own.max(axis=0), 1e-6 * sums.max(axis=0)))
    assert np.all(np.abs(found.scatter - expected.scatter) <= tolerance * size[:, None] * size)


@pytest.fixture(scope="module")
def local():
    return {name: sums(HOMES, *fit) for name, fit in FITS.items()}


RICH = "categories, missing, spellings, where"


@pytest.mark.parametrize("name", FITS)
def test_sums_are_those_of_the_local_rows(name, put, local):
    if put.name == "dask in processes" and name != RICH:
        pytest.skip("one fit shows that the workers can do what the threads can, and takes ten seconds")
    design, expected = local[name]
    found_design, found = sums(put(HOMES), *FITS[name])
    assert found_design == design
    same(found, expected)


@pytest.mark.long
def test_spark_takes_the_sums(spark_put, local):
    """The one fit there that is run every time: two workers, text, a condition, labels to be repaired."""
    assert RICH in FITS
    test_sums_are_those_of_the_local_rows(RICH, spark_put, local)


def refused(source, formula, reading) -> str:
    with pytest.raises(TableError) as told:
        sums(source, formula, {}, reading)
    return re.sub(r"^\w+ frame", "frame", str(told.value))


WRONG = HOMES.assign(area=HOMES["area"].fillna(50.0).where(HOMES.index != 5, np.inf), depth=HOMES["area"] - 200)
MISTAKES = {
    "no such column": ("price ~ are + (1 | zip)", {}),
    "text for a number": ("price ~ sqrt(kind) + (1 | zip)", {}),
    "infinite": ("price ~ area + (1 | zip)", {}),
    "logarithm of 0": ("log(price) ~ rooms + (1 | zip)", {}),
    "too many categories": ("price ~ id + (1 | zip)", {}),
    "nothing left": ("price ~ rooms + (1 | zip)", {"where": "price < 0"}),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_messages_are_those_of_the_local_rows(name, put):
    if put.name == "dask in processes":
        pytest.skip("the same code as Dask's threads")
    assert refused(put(WRONG), *MISTAKES[name]) == refused(WRONG, *MISTAKES[name])


@pytest.mark.parametrize("where", ["price >", "prize > 3", "price > 3; drop"])
def test_a_condition_that_cannot_be_read_is_said_before_rows_are(where, put):
    assert re.search(
        r"is not a valid row condition \(.*\); write it like", refused(put(HOMES), "price ~ 1", {"where": where})
    )


def test_only_sums_travel(put, monkeypatch):
    """Rows fetched, all told: those of the sums, one a place, and single ones."""
    came, answer_of = [], remote.answer_of

    def counted(kind, ask):
        found = answer_of(kind, ask)
        came.append(len(found) if hasattr(found, "columns") else 1)
        return found

    monkeypatch.setattr(remote, "answer_of", counted)
    many = pd.concat([HOMES] * 5, ignore_index=True)
    found = sums(put(many), "price ~ area * kind + (area | zip)", {}, {})[1]
    assert found.rows > 1000
    # How many labels the first rows have; the three kinds, twice; the preview's means; places, with their
    # spellings and those of no label.
    assert len(came) == 5
    assert sorted(came)[:4] == [1, 1, 3, 3]
    assert sorted(came)[-1] <= len(found.labels) + 4


def ids(rows: int) -> pd.DataFrame:
    """Rows of which each has a label of its own, some none."""
    frame = pd.DataFrame(
        {"zip": [f"sale {i}" for i in range(rows)], "area": 1.0 + np.arange(rows) % 7, "price": 2.0}
    )
    frame.loc[::50, "zip"] = None
    return frame


def test_an_id_of_rows_is_no_place(put, monkeypatch):
    monkeypatch.setattr(schema, "LOOKS", ((500, 0.5), (1500, 0.9)))
    monkeypatch.setattr("priorhood.data.rows._flags", lambda *_: pytest.fail("said before the sums are asked for"))
    said = refused(put(ids(3000)), "price ~ area + (1 | zip)", {})
    about = re.search(r"the group 'zip' has about ([\d,]+) different values in 3,000 rows: .* row ID", said)
    assert about, said
    assert abs(int(about[1].replace(",", "")) / 2940 - 1) < 0.1
    assert "choose from 'area', 'price'" in said


def test_places_of_a_few_rows_are_places(put, monkeypatch):
    """The first rows look like ids, all rows do not: three of each label, far apart."""
    monkeypatch.setattr(schema, "LOOKS", ((500, 0.5), (1500, 0.9)))
    found = sums(put(pd.concat([ids(1600)] * 3, ignore_index=True)), "price ~ area + (1 | zip)", {}, {})[1]
    assert len(found.labels) == 1600 - 32
    assert set(found.n) == {3.0}


@pytest.mark.filterwarnings(r"ignore:\d+% of the rows are in places:priorhood.errors.PriorhoodWarning")
@pytest.mark.parametrize("options", [{}, {"precision_weights": "precision", "frequency_weights": "times"}])
def test_places_of_few_rows_are_withheld(options, put):
    """Rows of two places are made rare, of one in a category alone; the rest are those of a local fit."""
    place = HOMES["zip"].str.strip().str.removesuffix(".0")
    here = (place == "01060") & (place.groupby(place).cumcount() > 1)
    rare = (place == "01064") & (HOMES["kind"] == "loft") & ((place + HOMES["kind"].fillna("")).duplicated())
    rows = HOMES[~here & ~rare]
    model = Model("price ~ area + kind + (area | zip)", **options)
    found, expected = (ph.moments(model, each, minimum=3) for each in (put(rows), rows))
    assert found.design == expected.design
    assert {"01060", "01064"}.isdisjoint(expected.moments.labels)
    assert 0 < len(expected.moments.labels) < 9
    same(found.moments, expected.moments)


def test_predictions_bring_a_limited_number_of_rows(put, monkeypatch):
    post = ph.fit("price ~ area + (area | zip)", HOMES, draws=50, chains=2, seed=1)
    rows = HOMES[["zip", "area", "branch"]].iloc[40:52]
    wanted = post.predict(rows, seed=3)
    found = post.predict(put(rows), seed=3)
    assert isinstance(found, pd.DataFrame)
    both = [frame.sort_values(["area", "zip"]).reset_index(drop=True) for frame in (found, wanted)]
    assert both[0]["zip"].tolist() == both[1]["zip"].tolist()
    np.testing.assert_allclose(both[0]["mean"], both[1]["mean"], rtol=1e-9)
    monkeypatch.setattr(remote.fetch_rows, "__defaults__", (5,))
    with pytest.raises(TableError, match="more than 5 rows; a fit by the exact engine only needs sums"):
        post.predict(put(rows))


def test_update_adds_rows_from_elsewhere(put):
    first, rest = HOMES.iloc[:100], HOMES.iloc[100:]
    text = "price ~ area + kind + (area | zip)"
    post = ph.fit(text, first, draws=50, chains=2, seed=1)
    both = ph.update(post, put(rest))
    same(both.moments, sums(HOMES, text, {}, {})[1])


@pytest.mark.long
def test_a_lost_server_is_one_sentence(tmp_path):
    ibis = pytest.importorskip("ibis", reason="Ibis is not installed")
    with servers.postgres() as (folder, stop):
        connection = ibis.postgres.connect(host=str(folder), user="priorhood", database="postgres")
        homes = _to_postgres(connection)(HOMES)
        with connection.con.cursor() as cursor:
            cursor.execute(f"DROP TABLE {homes.get_name()}")
        connection.con.commit()
        with pytest.raises(TableError, match=r"Ibis failed: UndefinedTable: .* does not exist.*; fix the problem"):
            ph.fit("price ~ area + (1 | zip)", homes)
        stop()
        with pytest.raises(TableError, match=r"Ibis failed: .*; a worker or the connection was lost"):
            ph.fit("price ~ area + (1 | zip)", homes)
        connection.disconnect()


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@pytest.mark.long
def test_a_lost_dask_worker_is_one_sentence():
    distributed = pytest.importorskip("distributed", reason="Dask's distributed scheduler is not installed")
    import dask

    def dies(part):
        os._exit(1)

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        servers.dask_cluster(1) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
        client.as_current(),
    ):
        lost = _to_dask(HOMES).map_partitions(dies, meta=HOMES.iloc[:0])
        with pytest.raises(TableError, match=r"Dask failed: KilledWorker: .* was lost, and"):
            ph.fit("price ~ area + (1 | zip)", lost)


@pytest.mark.long
def test_a_lost_spark_worker_is_one_sentence(spark):
    """A task that ends its executor's process; the other worker's, started again, serves the later tests."""
    from pyspark.sql.functions import col, expr

    lost = spark.range(100).select(
        col("id").cast("string").alias("zip"),
        col("id").cast("double").alias("area"),
        expr("double(java_method('java.lang.System', 'exit', int(id * 0 + 1)))").alias("price"),
    )
    with pytest.raises(TableError, match=r"Spark failed: .*; a worker or the connection was lost"):
        ph.fit("price ~ area + (1 | zip)", lost)

"""Fits from threads, event loops and other processes give the bits of a fit alone; what is sent arrives whole."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec

import duckdb
import numpy as np
import pytest

import priorhood as ph
from priorhood.data.sources import duckdb_io
from priorhood.data.sources.table import with_columns

pl = pytest.importorskip("polars")
pa = pytest.importorskip("pyarrow")

FORMULA = "price ~ living_space + (living_space | zip)"
FAST = {"chains": 2, "draws": 50, "seed": 1}
FILES = ("sales.csv", "sales.parquet", "sales.jsonl", "sales.duckdb")
KINDS = (*FILES, "pandas", "polars", "pyarrow", "relation")


@pytest.fixture(scope="module")
def sold(tmp_path_factory, sales):
    """The same rows in every form but Polars' lazy one, whose sums differ in their last bits from run to run."""
    folder = tmp_path_factory.mktemp("sold")
    sales.to_csv(folder / "sales.csv", index=False)
    sales.to_json(folder / "sales.jsonl", orient="records", lines=True)
    connection = duckdb.connect()
    relation = connection.from_df(sales)
    relation.write_parquet(str(folder / "sales.parquet"))
    with duckdb.connect(str(folder / "sales.duckdb")) as database:
        database.execute("CREATE TABLE homes AS FROM sales")
    own = connection.cursor().from_df(sales)
    frames = {"pandas": sales, "polars": pl.from_pandas(sales), "pyarrow": pa.table(sales), "relation": own}
    return frames | {name: str(folder / name) for name in FILES}


def _done(source, threads=None):
    """A fit with a condition, and predictions: every number as bytes."""
    table = ph.read(source, where="living_space > 30 and zip <> '0'")
    post = ph.fit(FORMULA, table, threads=threads, **FAST)
    predicted = post.predict(source)
    if isinstance(predicted, duckdb.DuckDBPyRelation):
        predicted = predicted.df()
    means = np.asarray(predicted["mean"], dtype=float)
    return post["beta"].values.tobytes(), means.tobytes(), post.log_evidence


@pytest.fixture(scope="module")
def alone(sold):
    """Kind → what a fit alone gives."""
    return {kind: _done(source) for kind, source in sold.items()}


def test_every_kind_of_table_from_many_threads_at_once(sold, alone):
    wanted = [(kind, threads) for kind in KINDS for threads in (1, 2, None)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda one: _done(sold[one[0]], one[1]), wanted))
    assert all(result == alone[kind] for (kind, _), result in zip(wanted, found, strict=True))


def test_one_connection_for_all_threads_would_fail(sold, monkeypatch):
    """The control: what was there before this test was, one connection a process."""
    lone = duckdb_io.connection()
    monkeypatch.setattr(duckdb_io, "connection", lambda: lone)
    monkeypatch.setattr("priorhood.data.sources.files.connection", lambda: lone)
    with ThreadPoolExecutor(12) as pool:
        waiting = [pool.submit(_done, sold["sales.csv"]) for _ in range(12)]
    assert any(one.exception() is not None for one in waiting)


def test_one_table_for_all_threads(sold, alone):
    """Whoever opened it first, every thread reads it on its own."""
    for kind in ("sales.csv", "sales.duckdb", "relation"):
        table = ph.read(sold[kind], where="living_space > 30 and zip <> '0'")
        with ThreadPoolExecutor(6) as pool:
            posts = list(pool.map(lambda _, rows=table: ph.fit(FORMULA, rows, **FAST), range(6)))
        assert {post["beta"].values.tobytes() for post in posts} == {alone[kind][0]}


def test_from_an_event_loop(sold, alone):
    async def all_of_them():
        return await asyncio.gather(*(asyncio.to_thread(_done, sold[kind]) for kind in KINDS))

    assert asyncio.run(all_of_them()) == [alone[kind] for kind in KINDS]


def test_a_relation_that_its_owner_is_using_is_said_to_be(sales):
    """Only the owner can keep a connection free. Versions of DuckDB that wait have nothing to say."""
    if not hasattr(duckdb, "ResourceInUseException"):
        pytest.skip("this DuckDB waits until the connection is free")
    connection = duckdb.connect()
    relation = connection.from_df(sales)
    endless = "SELECT count(*) FROM range(100_000_000_000) t(i) WHERE hash(i) % 7 = 3"

    def work():
        with pytest.raises(duckdb.InterruptException):
            connection.execute(endless)

    owner = threading.Thread(target=work)
    owner.start()
    try:
        while _free(relation) and owner.is_alive():
            pass
        with pytest.raises(ph.TableError, match=r"in use by another thread .* separate relation"):
            ph.fit(FORMULA, relation, **FAST)
    finally:
        while owner.is_alive():
            connection.interrupt()
            owner.join(0.05)


def _free(relation):
    """Whether the relation's connection does nothing now; asked seldom, so that its owner finds it free."""
    time.sleep(0.2)
    try:
        relation.project("1")
    except duckdb.ResourceInUseException:
        return False
    return True


def test_predictions_for_a_relation_have_a_connection_of_their_own(sold, fitted):
    """So that whoever has them may read them while the thread that made them goes on."""
    table = ph.read(sold["relation"])
    made = with_columns(table, table.eager(["living_space"], []), {"mean": np.zeros(160)})
    before = duckdb_io.connection()
    before.execute("SELECT * FROM range(10)")  # a result that is not fetched keeps the connection
    try:
        assert len(made.df()) == 160
    finally:
        before.fetchall()
        before.execute("SELECT 1").fetchall()


# -- pickles and copies --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "relation"])
def test_a_table_goes_through_a_pickle(sold, alone, kind):
    table = ph.read(sold[kind], where="living_space > 30 and zip <> '0'")
    for again in (pickle.loads(pickle.dumps(table)), copy.deepcopy(table)):
        assert ph.fit(FORMULA, again, **FAST)["beta"].values.tobytes() == alone[kind][0]


def test_a_table_of_a_lazy_frame_goes_through_a_pickle(sales):
    table = pickle.loads(pickle.dumps(ph.read(pl.from_pandas(sales).lazy(), where="living_space > 30")))
    assert ph.fit(FORMULA, table, **FAST).moments.n.sum() == (sales["living_space"] > 30).sum()


def test_a_table_of_a_relation_says_why_it_does_not(sold):
    for send in (pickle.dumps, copy.deepcopy):
        with pytest.raises(ph.TableError, match=r"connection of this process.*use the path of a file, or a pandas"):
            send(ph.read(sold["relation"], where="price > 0"))


def test_whatever_a_fit_makes_goes_through_a_pickle(sold, fitted, tmp_path):
    sums = ph.moments(FORMULA, sold["sales.csv"])
    for copied in (lambda one: pickle.loads(pickle.dumps(one)), copy.deepcopy):
        again = copied(fitted)
        assert again.model == fitted.model
        assert again["beta"].equals(fitted["beta"])
        again.save(tmp_path / "again.nc")
        assert ph.load(tmp_path / "again.nc")["beta"].equals(fitted["beta"])
        assert again.predict(sold["pandas"]).equals(fitted.predict(sold["pandas"]))
        assert copied(fitted.model) == fitted.model
        assert np.array_equal(copied(fitted.moments).scatter, fitted.moments.scatter)
        assert np.array_equal(copied(sums).moments.scatter, sums.moments.scatter)
        assert copied(fitted.check()) == fitted.check()


# -- other processes -----------------------------------------------------------------------------------

SCRIPT = """
import concurrent.futures as futures, functools, multiprocessing, sys, threading, warnings
import priorhood as ph

FORMULA = "price ~ living_space + (living_space | zip)"

def fitted(table, seed):
    return ph.fit(FORMULA, table, chains=2, draws=50, seed=seed)

def told(way, posts, alone):
    print(way, all(one["beta"].equals(other["beta"]) for one, other in zip(posts, alone, strict=True)), flush=True)

if __name__ == "__main__":
    table, seeds = ph.read(sys.argv[1], where="living_space > 30"), range(2)
    fit = functools.partial(fitted, table)
    alone = [fit(seed) for seed in seeds]
    for start in sys.argv[2:]:
        if start in ("loky", "threading"):
            import joblib
            told(start, joblib.Parallel(2, backend=start)(joblib.delayed(fit)(seed) for seed in seeds), alone)
        else:
            # Another thread reads while the process is forked.
            reader = threading.Thread(target=fit, args=(0,))
            reader.start()
            with futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(start)) as pool:
                told(start, list(pool.map(fit, seeds)), alone)
            reader.join()
"""


@pytest.mark.slow  # of forked ones test_fork asks every day
def test_processes_that_are_started_or_forked_and_joblib(tmp_path, sold):
    (tmp_path / "several.py").write_text(SCRIPT)
    ways = [
        "spawn",
        *(["fork"] if hasattr(os, "fork") else []),
        *(["loky", "threading"] if find_spec("joblib") else []),
    ]
    command = [sys.executable, "-W", "ignore", str(tmp_path / "several.py"), sold["sales.duckdb"], *ways]
    said = subprocess.run(command, check=True, timeout=240, capture_output=True, text=True)
    assert said.stdout.split("\n")[:-1] == [f"{way} True" for way in ways]


COLD = """
import concurrent.futures as futures, sys
import priorhood as ph
frame, _ = ph.simulate(5, 60, seed=1)
with futures.ThreadPoolExecutor(4) as pool:
    found = list(pool.map(lambda _: ph.fit("price ~ living_space + (living_space | zip)", frame, seed=1), range(4)))
print(len({post["beta"].values.tobytes() for post in found}))
"""


@pytest.mark.slow
def test_threads_that_meet_before_anything_is_compiled(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", COLD]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "kernels")}
    said = subprocess.run(command, check=True, timeout=600, capture_output=True, text=True, env=environment)
    assert said.stdout == "1\n"


# A thread that is not waited for, still running with a table at the end of the program.
LEFT_RUNNING = """
import sys, threading, time
import priorhood as ph

read = threading.Event()


def go():
    table = ph.read(sys.argv[1])
    ph.moments("price ~ living_space + (1 | zip)", table)
    read.set()
    time.sleep(100)


threading.Thread(target=go, daemon=True).start()
assert read.wait(60)
time.sleep(0.3)
print(len(ph.moments("price ~ living_space + (1 | zip)", sys.argv[1]).moments.n))
"""


def test_the_end_of_a_program_whose_threads_still_run_says_nothing(tmp_path, sales):
    """DuckDB's "leaked … instances" of connections that nobody let go of."""
    path = tmp_path / "sales.csv"
    sales.to_csv(path, index=False)
    said = subprocess.run(
        [sys.executable, "-c", LEFT_RUNNING, str(path)], check=True, timeout=120, capture_output=True, text=True
    )
    assert said.stderr == ""
    assert int(said.stdout) == sales["zip"].nunique()

"""A process that has fitted can be forked, and its children can fit: threads do not survive a fork."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing, sys, threading
import duckdb
import priorhood as ph

frame, _ = ph.simulate()
frame.to_csv(sys.argv[1], index=False)
with duckdb.connect(sys.argv[2]) as database:
    database.execute("CREATE TABLE homes AS FROM frame")
formula = "price ~ living_space + (living_space || zip)"

def fitted(source):
    return float(ph.fit(formula, source, seed=1, threads=2)["sigma"].sum())

def child(queue, source):
    queue.put(fitted(source))

def reading(done):
    while not done.is_set():
        ph.moments(formula, sys.argv[2])

for source in (frame, *sys.argv[1:]):
    before = fitted(source)
    # Another thread opens a database meanwhile: what DuckDB holds then, its fork holds for ever.
    done = threading.Event()
    reader = threading.Thread(target=reading, args=(done,))
    reader.start()
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue, source), daemon=True)
    process.start()
    done.set()
    assert queue.get(timeout=60) == before
    process.join()
    reader.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_fits_what_its_parent_did(tmp_path):
    files = [str(tmp_path / name) for name in ("sales.csv", "sales.duckdb")]
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, *files]
    try:
        subprocess.run(command, check=True, timeout=180)
    except subprocess.TimeoutExpired:
        pytest.fail("the forked child never finished")

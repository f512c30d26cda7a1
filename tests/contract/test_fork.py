"""A process that has fitted can be forked, and its children can fit: threads do not survive a fork."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

SCRIPT = """
import multiprocessing, sys
import priorhood as ph

frame, _ = ph.simulate()
frame.to_csv(sys.argv[1], index=False)
formula = "price ~ living_space + (living_space || zip)"

def fitted(source):
    return float(ph.fit(formula, source, seed=1, threads=2)["sigma"].sum())

def child(queue, source):
    queue.put(fitted(source))

for source in (frame, sys.argv[1]):
    before = fitted(source)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=child, args=(queue, source))
    process.start()
    assert queue.get(timeout=60) == before
    process.join()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_child_fits_what_its_parent_did(tmp_path):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, str(tmp_path / "sales.csv")]
    try:
        subprocess.run(command, check=True, timeout=180)
    except subprocess.TimeoutExpired:
        pytest.fail("the forked child never finished")

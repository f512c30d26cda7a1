"""The order of the files among several processes, and `--cases N`: of every test with more cases, N of them."""

from __future__ import annotations

import os
import zlib
from itertools import groupby

import pytest

# The files that take longest come first, so that no process is alone with one of them at the end.
LONGEST = ("test_docs.py", "test_nuts.py", "test_firm_engines.py", "test_modes.py", "test_pymc.py")


def pytest_addoption(parser):
    parser.addoption("--cases", type=int, metavar="N", help="of every test with more cases, N that differ widely")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores, since some tests wait for servers, browsers and commands."""
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_collection_modifyitems(config, items):
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    most = config.getoption("cases")
    if most is None:
        return
    kept = set()
    for _, cases in groupby(items, lambda item: item.nodeid.partition("[")[0]):
        # By a hash of their names, which takes cases of every kind where every n-th would be of one backend.
        kept.update(sorted(cases, key=lambda item: zlib.crc32(item.nodeid.encode()))[:most])
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]

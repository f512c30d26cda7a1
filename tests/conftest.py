"""What tests share: sales, fits, a folder with both, the command line; and how many cases of a test are run."""

from __future__ import annotations

import os
import shutil
import zlib
from itertools import groupby

import pytest

import priorhood as ph
from command_line import FAST, FAST_OPTIONS, FORMULA, contents, run_cli
from grids import half_of_grid

# The files that take longest come first, so that no process is alone with one of them at the end.
LONGEST = (
    "test_docs.py", "test_build.py", "test_number_formats.py", "test_refusals_engines.py", "test_modes.py",
    "test_sbc.py", "test_refusals.py", "test_roles.py", "test_noise.py", "test_damaged.py", "test_engines.py",
    "test_memory_scan.py", "test_advice.py", "test_tokens.py", "test_pymc.py", "test_calibrate.py",
)  # fmt: skip
# Of a grid of parameters with at least so many cases, half are asked; `make slow` asks the others. Not of oracles,
# and not of what takes no time.
GRID = 8
WHOLE_GRIDS = ("tests/oracle", "tests/reference", "tests/unit/model")


def pytest_addoption(parser):
    parser.addoption("--cases", type=int, metavar="N", help="of a test with more cases N, chosen by their names")
    parser.addoption("--beyond", type=int, metavar="N", help="what --cases N leaves out, and all that is long")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers():
    """One more than there are cores, since some tests wait for servers, browsers and commands."""
    return 1 + (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def pytest_collection_modifyitems(config, items):
    _leave_half_of_grids(items)
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    cases, beyond = config.getoption("cases"), config.getoption("beyond")
    if cases is None and beyond is None:
        return
    long = {item for item in items if item.get_closest_marker("long")}
    daily = [item for item in items if item not in long and not item.get_closest_marker("slow")]
    few = set()
    for _, one in groupby(daily, lambda item: item.nodeid.partition("[")[0]):
        # By a hash of their names, which finds cases of every kind where every n-th would be of one backend.
        few.update(sorted(one, key=lambda item: zlib.crc32(item.nodeid.encode()))[: cases or beyond])
    out = set(daily) - few if cases else few
    config.hook.pytest_deselected(items=[item for item in items if item in out])
    items[:] = [item for item in items if item not in out]


def _leave_half_of_grids(items):
    """Mark the other half slow."""
    for test, group in groupby(items, lambda item: item.nodeid.partition("[")[0]):
        if test.startswith(WHOLE_GRIDS):
            continue
        grid = [item for item in group if hasattr(item, "callspec") and not item.get_closest_marker("slow")]
        if len(grid) < GRID:
            continue
        cases = [[id(value) for _, value in sorted(item.callspec.params.items())] for item in grid]
        for item, keep in zip(grid, half_of_grid(cases), strict=True):
            if not keep:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def sales():
    frame, _ = ph.simulate(8, 160, seed=1)
    return frame


@pytest.fixture(scope="session")
def fitted(sales):
    return ph.fit(FORMULA, sales, **FAST)


@pytest.fixture(scope="session")
def elsewhere():
    """The same model on other rows, some in the same places."""
    return ph.fit(FORMULA, ph.simulate(16, 160, seed=2)[0], **FAST)


@pytest.fixture(scope="session")
def stock(tmp_path_factory, sales, fitted, elsewhere):
    """sales.csv and elsewhere.csv, and the fits of one model to them, post.nc and elsewhere.nc; made once."""
    folder = tmp_path_factory.mktemp("stock")
    sales.to_csv(folder / "sales.csv", index=False)
    ph.simulate(16, 160, seed=2)[0].to_csv(folder / "elsewhere.csv", index=False)
    fitted.save(folder / "post.nc")
    elsewhere.save(folder / "elsewhere.nc")
    return folder


@pytest.fixture
def folder(tmp_path, stock):
    """A folder of one's own with sales.csv, post.nc and elsewhere.nc."""
    for file in stock.iterdir():
        shutil.copy(file, tmp_path)
    return tmp_path


@pytest.fixture
def cli():
    return run_cli


@pytest.fixture
def fit_options():
    return FAST_OPTIONS


@pytest.fixture
def fast():
    return dict(FAST)


@pytest.fixture(scope="session")
def formula():
    return FORMULA


@pytest.fixture
def refused(folder):
    """Run a command that must fail: one message that has every given text, code 2, nothing written."""

    def check(*argv: object, says: tuple[str, ...] = ()) -> str:
        before = contents(folder)
        ran = run_cli(*argv)
        assert ran.code == 2, ran
        assert ran.out == ""
        lines = ran.err.strip().splitlines()
        assert len(lines) == 1, ran.err
        assert lines[0].startswith("priorhood: ")
        assert "Traceback" not in ran.err
        # A message with an empty place in it names nothing.
        assert "''" not in lines[0].replace("=''", "").replace("where ''", "")
        assert "like ;" not in lines[0]
        # The folder is called after the test, whose name would do for many a text.
        shown = lines[0].replace(str(folder), "<folder>")
        for text in says:
            assert text.replace(str(folder), "<folder>") in shown, f"{text!r} is not in {shown!r}"
        assert contents(folder) == before
        return lines[0]

    return check

"""Ctrl-C and SIGTERM while modules load, and later: the documented code, one sentence, nothing left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

import priorhood as ph

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only POSIX has these signals")
FORMULA = "price ~ living_space + (living_space | zip)"
SAID = {
    signal.SIGINT: (130, "priorhood: interrupted; nothing was written"),
    signal.SIGTERM: (143, "priorhood: stopped by SIGTERM"),
}


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """Rows of which a fit of many draws takes longer than the test waits."""
    path = tmp_path_factory.mktemp("many") / "sales.csv"
    ph.simulate(500, 20_000, seed=1)[0].to_csv(path, index=False)
    return path


def _stopped(folder, many, which, seconds):
    """A fit that gets a signal after so long: code and what it said."""
    words = ["fit", str(many), FORMULA, "-o", str(folder / "out.nc"), "--draws", "100000", "--chains", "4"]
    command = [sys.executable, "-m", "priorhood", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        time.sleep(seconds)
        running.send_signal(which)
        _, said = running.communicate(timeout=60)
    return running.returncode, said.strip()


# Seconds after the start: Python itself, its modules, ours, NumPy and DuckDB, reading, fitting.
WHEN = (0.3, 0.6, 1.0, 2.0, 5.0)


@pytest.mark.parametrize("which", SAID, ids=lambda which: which.name)
@pytest.mark.parametrize(
    "seconds", [*WHEN[1::2], *(pytest.param(one, marks=pytest.mark.slow) for one in WHEN[::2])]
)
def test_a_signal_ends_a_command_with_a_sentence(tmp_path, many, which, seconds):
    code, said = _stopped(tmp_path, many, which, seconds)
    own, sentence = SAID[which]
    assert "Traceback" not in said
    assert [*tmp_path.iterdir()] == []
    # Before our first line Python ends by the signal itself; SIGTERM is Python's own until all is loaded.
    if code == -which:
        assert which == signal.SIGTERM or seconds < 0.5
        return
    assert (code, said.splitlines()[-1]) == (own, sentence)


# The command, with an interrupt at the moment when a module is first asked for.
AT_IMPORT = """
import signal, sys
from priorhood.cli import main

module = sys.argv.pop(1)

class Interrupt:
    def find_spec(name, path, target=None):
        if name == module:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupt)
main()
"""


@pytest.mark.parametrize("module", ["numpy", "numpy._core", "numpy.lib", "numpy.ma", "duckdb", "numba"])
def test_an_interrupt_inside_an_import_ends_a_command_with_a_sentence(tmp_path, module):
    (tmp_path / "sales.csv").write_text("price,area\n1,2\n2,3\n3,5\n5,6\n8,8\n")
    words = ["fit", "sales.csv", "price ~ area", "-o", "out.nc"]
    command = [sys.executable, "-c", AT_IMPORT, module, *words]
    ended = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, timeout=120)
    assert (ended.returncode, ended.stderr.strip()) == SAID[signal.SIGINT]
    assert [one.name for one in tmp_path.iterdir()] == ["sales.csv"]

"""Servers of the tests end with them, however these end."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backends import servers

TESTS = Path(__file__).parents[1]
STARTED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from backends import servers
with servers.postgres() as (folder, _):
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.mark.long
@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGKILL])
def test_a_server_ends_with_a_killed_test(by):
    servers._postgres_programs()
    child = subprocess.Popen([sys.executable, "-c", STARTED, str(TESTS)], stdout=subprocess.PIPE, text=True)
    folder = Path(child.stdout.readline().strip())
    if child.poll() is not None or not folder.name.startswith("priorhood-"):
        pytest.skip("PostgreSQL does not start here")
    server = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    child.send_signal(by)
    child.wait(10)
    child.stdout.close()
    until = time.monotonic() + 20
    while (folder.exists() or Path(f"/proc/{server}").exists()) and time.monotonic() < until:
        time.sleep(0.05)
    assert not folder.exists()
    assert not Path(f"/proc/{server}").exists()

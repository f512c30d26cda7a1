"""Engines of their own for the tests: skipped with the reason where they cannot start, and stopped in any case."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest


def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="priorhood-"))


@contextlib.contextmanager
def spark(**settings: object):
    """A Spark of one master and two workers, each a process with one core, as small as they come."""
    pytest.importorskip("pyspark", reason="PySpark is not installed")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("Spark needs Java (openjdk-17-jre-headless), which is not here")
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    os.environ |= {"SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
    folder, quick = _folder(), "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
    wanted = {
        "spark.ui.enabled": False,
        "spark.sql.shuffle.partitions": 2,
        "spark.sql.adaptive.enabled": False,
        "spark.driver.memory": "512m",
        "spark.executor.memory": "512m",
        "spark.driver.extraJavaOptions": quick,
        "spark.executor.extraJavaOptions": quick,
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.log.level": "OFF",
        "spark.ui.showConsoleProgress": False,
        "spark.task.maxFailures": 1,
        "spark.local.dir": folder,
        "spark.sql.warehouse.dir": folder / "warehouse",
        **settings,
    }
    builder = SparkSession.builder.master("local-cluster[2,1,512]").appName("priorhood")
    for name, value in wanted.items():
        builder = builder.config(name, str(value).lower() if isinstance(value, bool) else str(value))
    before = Path.cwd()
    os.chdir(folder)  # the workers' logs are written where the master starts
    try:
        session = builder.getOrCreate()
    except (PySparkException, Py4JError, OSError) as problem:
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"Spark does not start here: {problem}")
    finally:
        os.chdir(before)
    try:
        yield session
    finally:
        session.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _postgres_programs() -> Path:
    found = shutil.which("pg_ctl") or next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin/pg_ctl"))[::-1]), None)  # noqa: PTH207
    if found is None:
        pytest.skip("PostgreSQL's server (Debian: postgresql) is not here")
    return Path(found).parent


@contextlib.contextmanager
def postgres():
    """A PostgreSQL server on a socket of its own; yields its folder, and a function that stops it at once."""
    programs, folder = _postgres_programs(), _folder()
    who = {}
    if os.geteuid() == 0:  # PostgreSQL refuses to be root
        shutil.chown(folder, "nobody", "nogroup")
        who = {"user": "nobody", "group": "nogroup", "extra_groups": []}

    def call(program: str, *words: object) -> None:
        done = subprocess.run(
            [programs / program, *map(str, words)], cwd=folder, capture_output=True, text=True, timeout=60, **who
        )
        if done.returncode:
            raise OSError(f"{program}: {done.stderr.strip() or done.stdout.strip()}")

    data, watch = folder / "data", None

    def stop() -> None:
        if watch is not None and not watch.stdin.closed:
            watch.stdin.close()
            watch.wait(60)

    try:
        call("initdb", "-D", data, "-A", "trust", "-U", "priorhood", "-E", "UTF8", "--no-locale", "--no-sync")
        watch = _watch([programs / "pg_ctl", "stop", "-D", data, "-m", "immediate"], folder, who)
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c max_connections=20"
        call("pg_ctl", "start", "-D", data, "-w", "-l", folder / "log", "-o", options)
    except (OSError, subprocess.TimeoutExpired) as problem:
        stop()
        shutil.rmtree(folder, ignore_errors=True)
        pytest.skip(f"PostgreSQL does not start here: {problem}")
    try:
        yield folder, stop
    finally:
        stop()
        shutil.rmtree(folder, ignore_errors=True)


def _watch(end: list[object], folder: Path, who: dict[str, object]) -> subprocess.Popen[bytes]:
    """A process that waits for its input to end, be it that this process is killed, then stops and cleans."""
    script = 'folder=$1; shift; read -r _; "$@" >/dev/null 2>&1; rm -rf "$folder"'
    return subprocess.Popen(
        ["/bin/sh", "-c", script, "watch", str(folder), *map(str, end)],
        cwd="/", stdin=subprocess.PIPE, start_new_session=True, **who,
    )  # fmt: skip


def dask_cluster(processes: int = 2):
    """A Dask cluster of that many processes; its dashboard on any free port, for several on one machine."""
    distributed = pytest.importorskip("distributed", reason="Dask's distributed scheduler is not installed")
    return distributed.LocalCluster(
        n_workers=processes,
        threads_per_worker=1,
        processes=True,
        dashboard_address="127.0.0.1:0",
        memory_limit="1GB",
    )

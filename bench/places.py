"""Very many places: from a Parquet file to the summaries of every place, each size in a process of its own."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

import priorhood as ph
from bench.case import CORRELATED, QUICK, Effort, Measurement
from bench.clock import whole_process

AGAIN = "python -m bench --only places"
# (places, rows, seconds that a fit may take, MB that it may take)
WARM = (300, 3_000)  # compiles what the others take from the cache
SIZES = ((20_000, 1_000_000, 5.0, 4_000.0), (1_000_000, 20_000_000, 180.0, 4_000.0))
# Every place has rows, one to some tens, and a level and a slope of its own. Normal draws (Box, Muller) from
# hashes of the row's number, so that the file is the same each time and no row is ever in Python.
SALES = """
COPY (
    WITH row AS (
        SELECT i, CASE WHEN i < {places} THEN i
            ELSE floor({places} * pow((hash(i) % 1000003) / 1000003, 1.6))::BIGINT END AS p
        FROM range({rows}) t(i)
    ), own AS (
        SELECT p, sqrt(-2 * ln((hash(p + 11) % 1000003 + 1) / 1000004)) AS r,
            6.283185307 * (hash(p + 12345678901) % 1000003) / 1000003 AS a,
            40 + 90 * (hash(i + 987654321987) % 1000003) / 1000003 AS x,
            sqrt(-2 * ln((hash(i + 777777777777) % 1000003 + 1) / 1000004))
                * cos(6.283185307 * (hash(i + 555555555555) % 1000003) / 1000003) AS e
        FROM row
    )
    SELECT lpad(p::VARCHAR, 7, '0') AS zip, x AS living_space,
        350000 + 60000 * r * cos(a) + (4000 + 700 * r * sin(a)) * (x - 85) + 90000 * e AS price
    FROM own
) TO '{path}' (FORMAT parquet)
"""


def write_sales(path: Path, places: int, rows: int) -> None:
    """Sales of so many places, streamed into a Parquet file."""
    import duckdb

    with duckdb.connect() as connection:
        connection.execute("SET memory_limit = '1GB'")
        connection.execute(SALES.format(places=places, rows=rows, path=path))


def stages(path: str, told: str, store: str = "auto") -> None:
    """Fit, summarize, draw three places, save; the seconds of every stage to a JSON file."""
    seconds: dict[str, float] = {}
    began: dict[str, float] = {}

    def heard(stage: str, done: int, total: int) -> None:
        began.setdefault(stage, time.perf_counter())
        if done >= total:
            seconds[stage] = time.perf_counter() - began[stage]

    started = time.perf_counter()
    post = ph.fit(CORRELATED, path, seed=1, store=store, progress=heard)
    seconds["fit"] = time.perf_counter() - started
    started = time.perf_counter()
    frame = post.summary()
    seconds["summary()"] = time.perf_counter() - started
    started = time.perf_counter()
    post.draws(zip=post.hierarchy.levels[0].labels[[0, 5, 9]])
    seconds["draws of three places"] = time.perf_counter() - started
    seconds["parameters"] = len(frame)
    Path(told).write_text(json.dumps(seconds))


def measure(effort: Effort) -> list[Measurement]:
    """Seconds and peak memory; a quick run leaves the million out."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        table, told = Path(name) / "sales.parquet", Path(name) / "told.json"
        command = [sys.executable, "-m", "bench.places", str(table), str(told)]
        here = Path(__file__).parents[1]
        write_sales(table, *WARM)
        whole_process([*command, "summaries"], here)
        for places, rows, least, memory in SIZES[: 1 if effort == QUICK else None]:
            write_sales(table, places, rows)
            ended = whole_process(command, here)
            seconds = json.loads(told.read_text())
            note = ", ".join(f"{stage} {value:.2f} s" for stage, value in seconds.items() if stage != "parameters")
            note = f"{note}; whole process {ended.seconds:.1f} s, processor time {ended.cpu:.1f} s"
            what = f"Parquet → mean, sd, quantiles of {places:,} places, {rows:,} rows"
            fit = seconds["fit"] + seconds["summary()"]
            found += [
                Measurement(f"places {places}", what, "s", (fit,), AGAIN, target=least, note=note),
                Measurement(
                    f"places {places} memory", f"{what}: peak memory", "MB", (ended.peak_mb,), AGAIN, target=memory,
                    worst=True,
                ),
            ]  # fmt: skip
    return found


if __name__ == "__main__":
    stages(*sys.argv[1:])

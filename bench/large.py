"""Large files: rows without limit, very many places, threads. Every job is a process of its own."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from bench.case import PLACES, QUICK, Measurement
from bench.process import Ended, done

if TYPE_CHECKING:
    from bench.case import Effort

SCRIPT = Path(__file__).with_name("scripts") / "run_large.py"
THREADS, REPEATS = 2, 3
FORMATS = {"Parquet": "sales.parquet", "CSV": "sales.csv", "DuckDB": "sales.duckdb::sales"}
# (places, rows, seconds that a fit may take, MB that it may take)
SIZES = ((20_000, 1_000_000, 5.0, 4_000.0), (1_000_000, 20_000_000, 180.0, 4_000.0))
# Processor seconds a second of wall: what the machine's clocks and the interpreter's own threads may add.
SLACK = 0.05
# Every place has rows, one to some tens, and a level and a slope of its own. Normal draws (Box, Muller) from
# hashes of the row's number, so that the file is the same each time and no row is ever in Python.
OF_PLACES = """
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
"""


def _sql(count: int) -> str:
    """SQL of so many sales: each row from its number alone, so that they can be made one after the other."""
    even = "(hash(i + {}) % 1000003) / 1000003.0"
    noise = f"({even.format(7)} + {even.format(13)} + {even.format(29)} - 1.5) * 2 * 110000"
    return (
        f"SELECT zip, area::DOUBLE AS living_space, "
        f"round(16000 + 4200 * area + 400 * (place % 97) + {noise})::DOUBLE AS price FROM ("
        f"SELECT i, hash(i) % {PLACES} AS place, (10001 + place)::VARCHAR AS zip, "
        f"round(20 + 130 * {even.format(3)}, 1) AS area FROM range({count}) t(i))"
    )


def _write(*statements: str) -> None:
    """Run statements in bounded memory."""
    with duckdb.connect(config={"memory_limit": "1GB", "threads": THREADS}) as con:
        con.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
        for statement in statements:
            con.execute(statement)


def _run(job: str, source: str, threads: int, folder: Path) -> tuple[dict[str, Any], Ended]:
    """What the job printed, and the whole process's time and memory."""
    ended = done([sys.executable, str(SCRIPT), job, source, str(threads)], folder)
    return json.loads(ended.output.splitlines()[-1]), ended


def rows(effort: Effort) -> list[Measurement]:
    """One table in three formats: the plain group-by and the sums in turn; a fit, and 1,000 sales added to it."""
    measured: list[Measurement] = []
    with tempfile.TemporaryDirectory() as name:
        folder, sales = Path(name), f"{name}/sales"
        _write(
            f"COPY ({_sql(effort.rows)}) TO '{sales}.parquet'", f"COPY (FROM '{sales}.parquet') TO '{sales}.csv'",
            f"ATTACH '{sales}.duckdb' AS file", f"CREATE TABLE file.sales AS FROM '{sales}.parquet'",
            f"COPY ({_sql(1000)}) TO '{folder}/few.csv'",
        )  # fmt: skip
        note = f"of the least of {REPEATS}, in turn, each in a process of its own with libraries loaded; "
        note += f"{THREADS} threads"
        for title, file in FORMATS.items():
            bare, ours, peaks = [], [], []
            for _ in range(REPEATS):
                bare.append(_run("bare", file, THREADS, folder)[0]["seconds"])
                printed, ended = _run("sums", file, THREADS, folder)
                ours.append(printed["seconds"])
                peaks.append(ended.peak_mb)
            key, label = f"rows {title.lower()}", f"{effort.rows:,} rows, {title}"
            ratio, relative = (min(ours) / min(bare),), f"sums relative to a plain group-by, {label}"
            measured += [
                Measurement(f"{key} bare", f"plain group-by, {label}", "s", tuple(bare)),
                Measurement(f"{key} sums", f"full scan for a fit, {label}", "s", tuple(ours)),
                Measurement(f"{key} ratio", relative, "×", ratio, 1.5, note=note),
                Measurement(f"{key} memory", f"peak memory, {label}", "MB", tuple(peaks), 1000.0, worst=True),
            ]
        fitted = _run("fit", FORMATS["Parquet"], THREADS, folder)[0]["seconds"]
        added = tuple(_run("update", "few.csv", THREADS, folder)[0]["seconds"] for _ in range(REPEATS))
    label = f"Parquet file of {effort.rows:,} rows → 4 × 1000 draws"
    return [
        *measured,
        Measurement("rows fit", label, "s", (fitted,)),
        Measurement("rows update", f"1,000 sales added to {effort.rows:,}", "s", added, 1.0),
    ]


def places(effort: Effort) -> list[Measurement]:
    """From a Parquet file to the summaries of every place; a quick run leaves the million out."""
    measured = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count, lines, seconds, memory in SIZES[: 1 if effort == QUICK else None]:
            _write(f"COPY ({OF_PLACES.format(places=count, rows=lines)}) TO '{folder}/sales.parquet'")
            printed, ended = _run("places", "sales.parquet", 0, folder)
            note = ", ".join(f"{stage} {value:.2f} s" for stage, value in printed.items())
            note += f"; whole process {ended.seconds:.1f} s, CPU time {ended.cpu:.1f} s"
            what = f"Parquet → mean, sd, quantiles of {count:,} places, {lines:,} rows"
            fit, peak = (printed["fit"] + printed["summary()"],), (ended.peak_mb,)
            measured += [
                Measurement(f"places {count}", what, "s", fit, seconds, note=note),
                Measurement(f"places {count} memory", f"{what}: peak memory", "MB", peak, memory, worst=True),
            ]
    return measured


def threads(effort: Effort) -> list[Measurement]:
    """Cores kept busy on average, with one thread and with two; never more than were allowed."""
    measured, count = [], 200_000 if effort == QUICK else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        _write(f"COPY ({OF_PLACES.format(places=5_000, rows=count)}) TO '{name}/sales.parquet'")
        for allowed in (1, 2):
            printed = _run("threads", "sales.parquet", allowed, Path(name))[0]
            what = f"threads={allowed}: CPU seconds per elapsed second, fit of {count:,} rows in 5,000 places"
            note = f"{printed['seconds']:.2f} s wall, {printed['busy']:.2f} s CPU time"
            busy = (printed["busy"] / printed["seconds"],)
            measured.append(Measurement(f"threads {allowed}", what, "", busy, allowed + SLACK, note=note))
    return measured

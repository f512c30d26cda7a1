"""Rows without limit: one table as Parquet, CSV and DuckDB file, against the bare group-by on the same file."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from bench.case import PLACES, Measurement
from bench.clock import Ended, whole_process

if TYPE_CHECKING:
    from bench.case import Effort

AGAIN = "python -m bench --only rows"
THREADS = 2
REPEATS = 3
FORMATS = {"Parquet": "sales.parquet", "CSV": "sales.csv", "DuckDB": "sales.duckdb::sales"}
SCRIPT = Path(__file__).with_name("scripts") / "run_rows.py"


def _rows(count: int) -> str:
    """SQL of so many sales: each row from its number alone, so that they can be made one after the other."""
    even = "(hash(i + {}) % 1000003) / 1000003.0"
    noise = f"({even.format(7)} + {even.format(13)} + {even.format(29)} - 1.5) * 2 * 110000"
    return (
        f"SELECT zip, area::DOUBLE AS living_space, "
        f"round(16000 + 4200 * area + 400 * (place % 97) + {noise})::DOUBLE AS price FROM ("
        f"SELECT i, hash(i) % {PLACES} AS place, (10001 + place)::VARCHAR AS zip, "
        f"round(20 + 130 * {even.format(3)}, 1) AS area FROM range({count}) t(i))"
    )


def _write(folder: Path, rows: int) -> None:
    """The three files, and a small one of new sales; in bounded memory."""
    with duckdb.connect(config={"memory_limit": "1GB", "threads": THREADS}) as con:
        con.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
        con.execute(f"COPY ({_rows(rows)}) TO '{folder}/sales.parquet'")
        con.execute(f"COPY (FROM '{folder}/sales.parquet') TO '{folder}/sales.csv'")
        con.execute(f"ATTACH '{folder}/sales.duckdb' AS file")
        con.execute(f"CREATE TABLE file.sales AS FROM '{folder}/sales.parquet'")
        con.execute(f"COPY ({_rows(1000)}) TO '{folder}/few.csv'")


def _run(what: str, source: str, folder: Path) -> tuple[float, Ended]:
    """Seconds of the job alone, and the whole process's time and memory."""
    out = folder / "seconds.txt"
    ended = whole_process([sys.executable, str(SCRIPT), what, source, str(THREADS), str(out)], folder)
    return float(out.read_text()), ended


def measure(effort: Effort) -> list[Measurement]:
    """Bare group-by and sums in turn, least of each; then a fit, and 1,000 sales added to it."""
    found: list[Measurement] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write(folder, effort.rows)
        for title, file in FORMATS.items():
            found += _one_format(f"{effort.rows:,} rows, {title}", title.lower(), file, folder)
        fitted = _run("fit", FORMATS["Parquet"], folder)[0]
        added = [_run("update", "few.csv", folder)[0] for _ in range(REPEATS)]
    told = f"Parquet file of {effort.rows:,} rows → 4 × 1000 draws"
    return [
        *found,
        Measurement("rows fit", told, "s", (fitted,), AGAIN),
        Measurement("rows update", f"1,000 sales added to {effort.rows:,}", "s", tuple(added), AGAIN, target=1.0),
    ]


def _one_format(told: str, key: str, file: str, folder: Path) -> list[Measurement]:
    bare, ours, peaks = [], [], []
    for _ in range(REPEATS):
        bare.append(_run("bare", file, folder)[0])
        seconds, ended = _run("sums", file, folder)
        ours.append(seconds)
        peaks.append(ended.peak_mb)
    note = (
        f"of the least of {REPEATS}, in turn, each in a process of its own with libraries loaded; {THREADS} threads"
    )
    return [
        Measurement(f"rows {key} bare", f"bare group-by, {told}", "s", tuple(bare), AGAIN),
        Measurement(f"rows {key} sums", f"all that a fit reads, {told}", "s", tuple(ours), AGAIN),
        Measurement(
            f"rows {key} ratio", f"sums ÷ bare, {told}", "×", (min(ours) / min(bare),), AGAIN, target=1.5, note=note
        ),
        Measurement(
            f"rows {key} memory", f"peak memory, {told}", "MB", tuple(peaks), AGAIN, target=1000.0, worst=True
        ),
    ]  # fmt: skip

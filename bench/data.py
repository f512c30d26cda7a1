"""The data of the contenders: intercept and slope by group, of any size, written by DuckDB without holding them.

One generating model and one seed for all sizes: y = β₀[g] + β₁[g] x + ε, x and ε standard Normal but for ε's sd,
β[g] ~ Normal(MU, diag(TAU) Ω diag(TAU)). A group's share of the rows goes with one over the square root of its
place in the order, so that a few have many rows and most have less than the mean; every group has a row.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

RESULTS = Path(__file__).with_name("results")
FILES = Path(__file__).parents[1] / ".bench" / "data"
SEED = 2412
MU, TAU, RHO, SIGMA = (4.0, 0.5), (0.6, 0.25), 0.5, 0.8
# Coefficients of so many places are judged: all of them up to here, some of more.
JUDGED = 250


@dataclass(frozen=True, order=True)
class Size:
    """So many rows in so many groups."""

    rows: int
    groups: int

    def __str__(self) -> str:
        return f"{self.rows:,} rows, {self.groups:,} groups"


def uniform(row: str, purpose: str) -> str:
    """SQL of a number in (0, 1) that depends on the row's number, the purpose and the seed alone."""
    return f"((hash({row}, '{purpose}', {SEED}) >> 11)::DOUBLE + 0.5) / 9007199254740992.0"


def normal(row: str, purpose: str) -> str:
    """SQL of a standard Normal number, by Box and Muller's formula."""
    u, v = uniform(row, purpose + " u"), uniform(row, purpose + " v")
    return f"(sqrt(-2 * ln({u})) * cos(2 * pi() * {v}))"


def query(size: Size) -> str:
    """SQL of the table (g, x, y)."""
    group = (
        f"CASE WHEN i < {size.groups} THEN i ELSE "
        f"least(floor({size.groups} * power({uniform('i', 'group')}, 2)), {size.groups - 1})::BIGINT END"
    )
    z, w = normal("g", "first"), normal("g", "second")
    slope = f"({RHO} * z + {float(np.sqrt(1 - RHO**2))!r} * w)"
    return (
        f"WITH row AS (SELECT i, {group} AS g, {normal('i', 'x')} AS x, {normal('i', 'noise')} AS e "
        f"FROM range({size.rows}) AS t(i)), "
        f"place AS (SELECT g, {z} AS z, {w} AS w FROM range({size.groups}) AS t(g)) "
        f"SELECT row.g::INTEGER AS g, x, {MU[0]} + {TAU[0]} * z + ({MU[1]} + {TAU[1]} * {slope}) * x + {SIGMA} * e "
        f"AS y FROM row JOIN place ON row.g = place.g"
    )


def made(size: Size, folder: Path, *, csv: bool = False) -> Path:
    """The file of this size, Parquet or CSV, written where it is not there yet."""
    target = folder / f"{size.rows}x{size.groups}.{'csv' if csv else 'parquet'}"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    source = f"FROM '{made(size, folder)}'" if csv else query(size)
    form = "FORMAT csv, HEADER" if csv else "FORMAT parquet"
    with duckdb.connect() as connection:
        connection.execute(f"SET temp_directory = '{folder / 'spill'}'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"COPY ({source}) TO '{part}' ({form})")
    part.replace(target)
    return target


def facts(path: Path) -> dict[str, Any]:
    """Facts that identify the data: numbers of rows and groups, sums to six digits."""
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT count(*), count(DISTINCT g), sum(x), sum(y) FROM '{path}'").fetchall()
    n, groups, x, y = rows[0]
    return {"rows": n, "groups": groups, "sum_x": float(f"{x:.6g}"), "sum_y": float(f"{y:.6g}")}


def places(size: Size) -> list[int]:
    """The groups whose coefficients are judged."""
    return np.unique(np.linspace(0, size.groups - 1, min(JUDGED, size.groups)).round().astype(int)).tolist()


def dumped(value: object, path: Path) -> Path:
    """Write JSON whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)
    return path

"""Quartiles by counting alone, exactly: where the rows are too many, or too far apart, to be sorted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.data.sources.columns import collected

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.data.sources.table import Frame

# Intervals counted at a time: 10 billion different values take three looks.
INTERVALS = 10_000


def counted_quartiles(scored: Frame) -> tuple[float, float]:
    """Quartiles of `score`, of which a row stands for `times`: the values at the places (n − 1)q, from 0.

    The span of the scores is cut into intervals, each counted where the rows are, with its least and greatest
    score; then the one that holds the place is cut in turn, until all its scores are equal. Between two
    neighbours the value is interpolated linearly, as every backend of this process does it.
    """
    import narwhals.stable.v2 as nw

    score = nw.col("score")
    scored = scored.filter(nw.col("times") > 0)  # a score that no row has is no neighbour
    ends = [nw.col("times").sum().alias("n"), score.min().alias("low"), score.max().alias("high")]
    found = collected(scored.select(*ends))
    n, low, high = (float(found[name][0] or 0.0) for name in ("n", "low", "high"))
    if n == 0:
        return math.nan, math.nan
    looks: dict[tuple[float, float], Array] = {}
    quartiles = []
    for q in (0.25, 0.75):
        place = (n - 1) * q
        value, above = _neighbours(scored, math.floor(place), low, high, looks)
        quartiles.append(value + (above - value) * (place - math.floor(place)))
    return quartiles[0], quartiles[1]


def _neighbours(
    scored: Frame, place: int, low: float, high: float, looks: dict[tuple[float, float], Array]
) -> tuple[float, float]:
    """The scores at a place and at the next; places are counted from 0 among the scores from low to high."""
    above = high
    while low < high:
        if (low, high) not in looks:
            looks[low, high] = _intervals(scored, low, high)
        _, counts, least, greatest = looks[low, high].T
        passed = np.cumsum(counts)
        at = int(np.searchsorted(passed, place, side="right"))
        above = float(least[at + 1]) if at + 1 < len(least) else above
        if passed[at] > place + 1 and least[at] == greatest[at]:
            above = float(least[at])
        place -= int(passed[at] - counts[at])
        low, high = float(least[at]), float(greatest[at])
    return low, above


def _intervals(scored: Frame, low: float, high: float) -> Array:
    """(intervals with a score, 4) : their order, how many rows, the least and the greatest score."""
    import narwhals.stable.v2 as nw

    score = nw.col("score")
    inside: Any = scored.filter((score >= low) & (score <= high))
    cut = inside.with_columns(((score - low) * (INTERVALS / (high - low))).floor().alias("interval"))
    names = ("interval", "times", "least", "greatest")
    found = collected(
        cut.with_columns(score.alias("least"), score.alias("greatest"))
        .group_by("interval")
        .agg(nw.col("times").sum(), nw.col("least").min(), nw.col("greatest").max())
    )
    counted = np.stack([np.asarray(found[name], dtype=float) for name in names], axis=1)
    return counted[np.argsort(counted[:, 0])]


def repeated_quartiles(scored: Frame) -> tuple[float, float]:
    """Quartiles of `score` where a row stands for `times` equal ones: at the places (n − 1)q, counted from 0."""
    import narwhals.stable.v2 as nw

    n = float(collected(scored.select(nw.col("times").sum()))["times"][0] or 0.0)
    places = [(n - 1) * q for q in (0.25, 0.75)]
    passed = scored.with_columns(nw.col("times").cum_sum().over(order_by="score").alias("passed"))
    at = [math.floor(place) for place in places] + [math.ceil(place) for place in places]
    found = collected(
        passed.select(
            *(nw.when(nw.col("passed") > k).then(nw.col("score")).min().alias(f"s{i}") for i, k in enumerate(at))
        )
    )
    low, high, above_low, above_high = (float(found[f"s{i}"][0]) for i in range(4))
    low += (above_low - low) * (places[0] - at[0])
    high += (above_high - high) * (places[1] - at[1])
    return low, high

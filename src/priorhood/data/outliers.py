"""The outlier rule, and exact quartiles by counting, for rows that cannot be sorted on one machine."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.data.sources.backend import is_elsewhere
from priorhood.data.sources.columns import collected
from priorhood.errors import TableError
from priorhood.model.expression import Expression
from priorhood.model.tokens import alone

if TYPE_CHECKING:
    import narwhals.stable.v2 as nw

    from priorhood._arrays import Array
    from priorhood.data.sources.backend import Frame
    from priorhood.model.design import Design

# Number of intervals per pass: 10 billion different values take three passes.
INTERVALS = 10_000


def outlier_rule(used: Frame, design: Design, factor: float, frequency: str | None) -> tuple[str, nw.Expr]:
    """Return outcome / first predictor as text, and whether its log is outside the quartiles ± factor × IQR.

    Parameters
    ----------
    used : narwhals frame
        The rows whose quartiles count: those that no other rule leaves out.
    design : Design
        The columns of the fit.
    factor : float
        Distance to the quartiles in interquartile ranges.
    frequency : str or None
        The column that says how many identical rows a row represents.

    Raises
    ------
    TableError
        The factor is not positive, or no predictor is numeric.
    """
    import narwhals.stable.v2 as nw

    if isinstance(factor, bool | str) or not (math.isfinite(factor) and factor > 0):
        raise TableError(f"drop_outliers must be a positive number (1.5 is usual), not {factor!r}")
    numbers = [f for f in design.formula.factors() if f not in design.categories]
    if not numbers:
        raise TableError(
            "drop_outliers compares the outcome divided by the first numeric predictor, but the formula has no "
            "numeric predictor"
        )
    predictor = Expression(alone(Expression(numbers[0]).names[0]))
    outcome = design.formula.unlogged
    ratio = outcome.build() / predictor.build()
    safe = nw.when((outcome.build() > 0) & (predictor.build() > 0)).then(ratio).log()
    times = nw.lit(1.0) if frequency is None else nw.col(frequency).cast(nw.Float64)
    scored = used.select(safe.alias("score"), times.alias("times"))
    scored = scored.filter(~nw.col("score").is_null())
    if is_elsewhere(scored):
        low, high = counted_quartiles(scored)
    elif frequency is not None:
        low, high = repeated_quartiles(scored)
    else:
        score = nw.col("score")
        found = collected(
            scored.select(*(score.quantile(q, interpolation="linear").alias(f"q{q}") for q in (0.25, 0.75)))
        )
        low, high = float(found["q0.25"][0]), float(found["q0.75"][0])
    reach = factor * (high - low)
    inside = (safe >= low - reach) & (safe <= high + reach)
    keep = nw.when(inside).then(nw.lit(value=True)).otherwise(nw.lit(value=False))
    return f"{outcome.text} / {predictor.text}", ~keep


def counted_quartiles(scored: Frame) -> tuple[float, float]:
    """Return the quartiles of `score` if a row represents `times` equal ones: ranks (n − 1)q, from 0.

    The range of the scores is divided into intervals, each counted where the rows are, with its lowest and highest
    score; then the interval that contains the rank is divided in turn, until all its scores are equal. Between two
    neighbours the quartile is interpolated linearly, as by every backend in this process.
    """
    import narwhals.stable.v2 as nw

    score = nw.col("score")
    scored = scored.filter(nw.col("times") > 0)  # rows that represent none are not neighbours
    ends = [nw.col("times").sum().alias("n"), score.min().alias("low"), score.max().alias("high")]
    found = collected(scored.select(*ends))
    n, low, high = (float(found[name][0] or 0.0) for name in ("n", "low", "high"))
    if n == 0:
        return math.nan, math.nan
    passes: dict[tuple[float, float], Array] = {}
    quartiles = []
    for q in (0.25, 0.75):
        rank = (n - 1) * q
        value, above = _neighbours(scored, math.floor(rank), low, high, passes)
        quartiles.append(value + (above - value) * (rank - math.floor(rank)))
    return quartiles[0], quartiles[1]


def _neighbours(
    scored: Frame, rank: int, low: float, high: float, passes: dict[tuple[float, float], Array]
) -> tuple[float, float]:
    """Return the scores at a rank and at the next one, counted from 0 among the scores from low to high."""
    above = high
    while low < high:
        if (low, high) not in passes:
            passes[low, high] = _intervals(scored, low, high)
        _, counts, lowest, highest = passes[low, high].T
        reached = np.cumsum(counts)
        at = int(np.searchsorted(reached, rank, side="right"))
        above = float(lowest[at + 1]) if at + 1 < len(lowest) else above
        if reached[at] > rank + 1 and lowest[at] == highest[at]:
            above = float(lowest[at])
        rank -= int(reached[at] - counts[at])
        low, high = float(lowest[at]), float(highest[at])
    return low, above


def _intervals(scored: Frame, low: float, high: float) -> Array:
    """Return number, rows, lowest and highest score of every interval with scores: (intervals, 4)."""
    import narwhals.stable.v2 as nw

    score = nw.col("score")
    inside: Any = scored.filter((score >= low) & (score <= high))
    cut = inside.with_columns(((score - low) * (INTERVALS / (high - low))).floor().alias("interval"))
    names = ("interval", "times", "lowest", "highest")
    found = collected(
        cut.with_columns(score.alias("lowest"), score.alias("highest"))
        .group_by("interval")
        .agg(nw.col("times").sum(), nw.col("lowest").min(), nw.col("highest").max())
    )
    counted = np.stack([np.asarray(found[name], dtype=float) for name in names], axis=1)
    return counted[np.argsort(counted[:, 0])]


def repeated_quartiles(scored: Frame) -> tuple[float, float]:
    """Return the quartiles of `score` if a row represents `times` equal ones, for rows that can be sorted."""
    import narwhals.stable.v2 as nw

    n = float(collected(scored.select(nw.col("times").sum()))["times"][0] or 0.0)
    ranks = [(n - 1) * q for q in (0.25, 0.75)]
    reached = scored.with_columns(nw.col("times").cum_sum().over(order_by="score").alias("reached"))
    at = [math.floor(rank) for rank in ranks] + [math.ceil(rank) for rank in ranks]
    found = collected(
        reached.select(
            *(nw.when(nw.col("reached") > k).then(nw.col("score")).min().alias(f"s{i}") for i, k in enumerate(at))
        )
    )
    low, high, above_low, above_high = (float(found[f"s{i}"][0]) for i in range(4))
    low += (above_low - low) * (ranks[0] - at[0])
    high += (above_high - high) * (ranks[1] - at[1])
    return low, high

"""Quartiles by counting are NumPy's of all scores, however these lie."""

from __future__ import annotations

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import polars as pl
import pytest

from priorhood.data import outliers as quantiles
from priorhood.data.outliers import counted_quartiles

RNG = np.random.default_rng(12)
SCORES = {
    "one": np.array([0.3]),
    "two": np.array([0.3, -1.0]),
    "all equal": np.full(9, 2.5),
    "ties": RNG.integers(0, 4, 400).astype(float),
    "half equal": np.where(RNG.random(301) < 0.5, 0.0, RNG.normal(size=301)),
    "many": RNG.normal(size=30_000),
    "a far one": np.append(RNG.normal(size=2_000), [1e9, -1e12]),
    "next to each other": np.nextafter(1.0, 2.0) ** np.arange(9) + 0.0,
    "tails": RNG.standard_cauchy(5_000),
    "two heaps": np.concatenate([RNG.normal(-1e6, 1e-6, 500), RNG.normal(1e6, 1e-6, 1500)]),
}


def frame(score, times, make=pd.DataFrame):
    return nw.from_native(make({"score": score, "times": np.asarray(times, dtype=float)}))


@pytest.mark.parametrize("intervals", [2, 7, 10_000])
@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame])
@pytest.mark.parametrize("name", SCORES)
def test_those_of_all_scores(name, make, intervals, monkeypatch):
    """Whatever the number of intervals: few, so that every look cuts the one before."""
    monkeypatch.setattr(quantiles, "INTERVALS", intervals)
    score = SCORES[name]
    found = counted_quartiles(frame(score, np.ones(len(score)), make))
    np.testing.assert_allclose(found, np.quantile(score, [0.25, 0.75]), rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("intervals", [2, 10_000])
def test_those_of_repeated_scores(intervals, monkeypatch):
    monkeypatch.setattr(quantiles, "INTERVALS", intervals)
    rng = np.random.default_rng(3)
    for size in (1, 2, 3, 4, 5, 30, 200):
        for _ in range(8):
            score, times = rng.normal(size=size).round(1), rng.integers(0, 4, size)
            times[0] += times.sum() == 0
            known = np.quantile(np.repeat(score, times), [0.25, 0.75])
            np.testing.assert_allclose(counted_quartiles(frame(score, times)), known, rtol=1e-14, atol=1e-15)


def test_of_nothing_there_are_none():
    assert np.isnan(counted_quartiles(frame([], []))).all()
    assert np.isnan(counted_quartiles(frame([1.0, 2.0], [0, 0]))).all()


def test_a_look_counts_intervals_not_rows(monkeypatch):
    """What comes here, at most: the ends, then INTERVALS rows a look, three looks for each quartile."""
    came, whole = [], quantiles.collected

    def counted(asked):
        found = whole(asked)
        came.append(len(next(iter(found.values()))))
        return found

    monkeypatch.setattr(quantiles, "collected", counted)
    monkeypatch.setattr(quantiles, "INTERVALS", 100)
    score = np.random.default_rng(5).uniform(size=50_000)
    found = counted_quartiles(frame(score, np.ones(len(score))))
    np.testing.assert_allclose(found, np.quantile(score, [0.25, 0.75]), rtol=1e-14)
    assert max(came) <= 101
    assert len(came) <= 1 + 2 * 4

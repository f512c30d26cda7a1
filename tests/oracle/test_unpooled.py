"""Least squares of every place from the sums, against numpy's of the rows."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.data.sources.table import read
from priorhood.model.weights import Weights
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.least_squares import unpooled
from priorhood.suffstats.standardize import learn_scale
from table_moments import design_and_moments


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(4)
    sizes = [1, 2, 3, 9, 30]
    zips = np.repeat([f"{10 + at}" for at in range(5)], sizes)
    n = len(zips)
    area = rng.uniform(30, 200, n)
    area[zips == "11"] = 80.0  # two homes of one size: no slope of their own
    return pd.DataFrame({
        "zip": zips, "area": area, "year": rng.integers(1900, 2020, n), "kind": rng.choice(["a", "b"], n),
        "price": 1e5 + 3000 * area + rng.normal(0, 3e4, n), "w": rng.uniform(0.5, 3, n),
    })  # fmt: skip


def found(formula, rows, others=None, weights=None):
    """The estimates in the data's units, by place."""
    model = ph.Model(formula)
    design, moments = design_and_moments(read(rows), model.formula, weights=weights or Weights())
    scale = learn_scale(moments, design, standardize=True, unit=None)
    given = np.zeros((len(moments.n), len(design.columns))) if others is None else others(design, scale, moments)
    cols = design.index(design.coefficient_columns(0))
    return unpooled(FitData(model, design, moments, scale), given) * scale.natural()[cols], scale, design


@pytest.mark.parametrize("weight", [None, "w"])
def test_least_squares_of_a_places_rows(rows, weight):
    own, scale, _ = found("price ~ area + (area | zip)", rows, weights=Weights(precision=weight))
    assert np.isnan(own[:2]).all()
    for at, label in enumerate(sorted(set(rows.zip))[2:], start=2):
        part = rows[rows.zip == label]
        root = np.sqrt(part[weight].to_numpy() if weight else np.ones(len(part)))
        X = np.column_stack([np.ones(len(part)), part.area - scale.centre[1]])
        expected = np.linalg.lstsq(X * root[:, None], part.price * root, rcond=None)[0]
        np.testing.assert_allclose(own[at], expected, rtol=1e-9)


def test_what_is_the_populations_is_taken_off(rows):
    slope = 2500.0

    def others(design, scale, moments):
        given = np.zeros((len(moments.n), 2))
        given[:, 1] = slope / scale.natural()[1]
        return given

    own, scale, _ = found("price ~ area + (1 | zip)", rows, others)
    for at, label in enumerate(sorted(set(rows.zip))):
        part = rows[rows.zip == label]
        rest = part.price - slope * (part.area - scale.centre[1])
        assert own[at, 0] == pytest.approx(rest.mean(), rel=1e-10)


def test_cells_of_crossed_groupings_are_put_together(rows):
    crossed, *_ = found("price ~ area + (area | zip) + (1 | kind)", rows)
    plain, *_ = found("price ~ area + (area | zip)", rows)
    np.testing.assert_allclose(crossed, plain, rtol=1e-8)


def test_far_from_zero_without_centring(rows):
    model = ph.Model("price ~ year + (year | zip)")
    design, moments = design_and_moments(read(rows), model.formula)
    scale = dataclasses.replace(learn_scale(moments, design, standardize=False, unit=1.0))
    own = unpooled(FitData(model, design, moments, scale), np.zeros((5, 2)))
    part = rows[rows.zip == "14"]
    np.testing.assert_allclose(own[4], np.polyfit(part.year, part.price, 1)[::-1], rtol=1e-5)

"""Rows that stay where they are, on real engines: sums, rows left out and messages are those of local rows."""

from __future__ import annotations

import numpy as np
import pytest

import priorhood as ph
from backends.homes import FITS, HOMES
from priorhood import gather
from priorhood.model import Model
from priorhood.placing import placed


def sums(source, formula, model, reading):
    reading = dict(reading)
    chosen, places = reading.pop("where", None), reading.pop("places", None)
    model = Model(formula, **model)
    table, _ = placed(ph.read(source, where=chosen), places, model.formula)
    return gather.take(table, model.formula, weights=model.weights, **reading)


def same(found, expected, tolerance=1e-9):
    assert found.labels.tolist() == expected.labels.tolist()
    assert found.columns == expected.columns
    assert (found.keys, found.read, found.dropped) == (expected.keys, expected.read, expected.dropped)
    for name in ("n", "mass", "mean"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=tolerance, atol=0)
    assert found.log_weight == pytest.approx(expected.log_weight, rel=tolerance)
    own = np.diagonal(expected.scatter, axis1=1, axis2=2)
    # A column that is constant within places has nothing there but the rounding of sums as large as n mean².
    sums = expected.mass[:, None] * expected.mean**2
    size = np.sqrt(np.where(own.max(axis=0) > 1e-13 * sums.max(axis=0), own.max(axis=0), 1e-6 * sums.max(axis=0)))
    assert np.all(np.abs(found.scatter - expected.scatter) <= tolerance * size[:, None] * size)


@pytest.fixture(scope="module")
def local():
    return {name: sums(HOMES, *fit) for name, fit in FITS.items()}


@pytest.mark.parametrize("name", FITS)
def test_sums_are_those_of_the_local_rows(name, put, local):
    if put.name == "dask in processes" and "where" not in name:
        pytest.skip("one fit shows that the workers can do what the threads can, and takes ten seconds")
    design, expected = local[name]
    found_design, found = sums(put(HOMES), *FITS[name])
    assert found_design == design
    same(found, expected)

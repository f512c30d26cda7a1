"""Sums of tables with many columns: rows in batches here, and as expressions of the backend, are one thing."""

from __future__ import annotations

import warnings

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pytest

import priorhood as ph
from priorhood.data.sources.table import read
from priorhood.model.formula import parse
from priorhood.suffstats import collect, memory_scan
from table_moments import design_and_moments

PREDICTORS = 30


@pytest.fixture(scope="module")
def homes() -> pd.DataFrame:
    rng = np.random.default_rng(4)
    rows = 400
    frame = pd.DataFrame(rng.normal(3.0, 1.0, (rows, PREDICTORS)), columns=[f"x{i}" for i in range(PREDICTORS)])
    frame["type"] = rng.choice(["flat", "house", "loft"], rows)
    frame["zip"] = [f"{z:05d}" for z in rng.integers(1000, 1012, rows)]
    frame["se"] = rng.uniform(0.5, 2.0, rows)
    frame["times"] = rng.integers(0, 4, rows)
    frame["price"] = 1e6 + frame[["x0", "x1"]].sum(axis=1) * 1e3 + rng.normal(0, 1e3, rows)
    frame.loc[3, "x7"] = np.nan
    frame.loc[5, "price"] = np.nan
    frame.loc[9, "zip"] = None
    return frame


def formula(log: bool = False) -> str:
    terms = " + ".join(f"log(x{i} ** 2 + 1)" if log and i == 2 else f"x{i}" for i in range(PREDICTORS))
    return f"price ~ {terms} + type + (x0 | zip)"


FORMS = {
    "pandas": lambda frame: frame,
    "polars": pl.from_pandas,
    "polars-lazy": lambda frame: pl.from_pandas(frame).lazy(),
    "pyarrow": lambda frame: pl.from_pandas(frame).to_arrow(),
    "duckdb": lambda frame: duckdb.from_df(frame),
}


SLOW = []


def apart(table: object, frame: pd.DataFrame, monkeypatch: pytest.MonkeyPatch, model: ph.Model, **options: object):
    """The sums of the table in batches, and of the frame by the backend's own expressions, taken once a model."""
    found = ph.moments(model, ph.read(table, **options)).moments
    monkeypatch.setattr(collect, "MANY", 10_000)
    for one, rows, chosen, slow in SLOW:
        if one == model and chosen == options and rows.equals(frame):
            return found, slow
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", pd.errors.PerformanceWarning)  # so many columns
        SLOW.append((model, frame, options, ph.moments(model, ph.read(frame, **options)).moments))
    return found, SLOW[-1][-1]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("weights", [{}, {"se": "se"}, {"precision_weights": "se", "frequency_weights": "times"}])
def test_batches_add_up_to_the_sums_of_the_backend(form, weights, homes, monkeypatch):
    monkeypatch.setattr(memory_scan, "BATCH", 5_000)  # several memory_scan, and places in more than one
    model = ph.Model(formula(), **weights)
    found, slow = apart(FORMS[form](homes), homes, monkeypatch, model, where="x0 > 1")
    assert found.labels.tolist() == slow.labels.tolist()
    assert found.dropped == slow.dropped
    assert found.log_weight == pytest.approx(slow.log_weight, rel=1e-12)
    for name in ("n", "mass", "mean", "scatter"):
        ours, theirs = getattr(found, name), getattr(slow, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12 * np.abs(theirs).max())


def test_a_place_far_from_the_others_keeps_its_digits(homes, monkeypatch):
    far = homes.assign(x5=homes.x5 + np.where(homes.zip == "01003", 1e6, 0.0))
    found, slow = apart(far, far, monkeypatch, ph.Model(formula()))
    np.testing.assert_allclose(found.scatter, slow.scatter, rtol=1e-9, atol=1e-9)


def test_two_hundred_predictors_are_read(homes):
    rng = np.random.default_rng(5)
    wide = pd.DataFrame(rng.normal(size=(300, 200)), columns=[f"v{i}" for i in range(200)])
    wide["zip"], wide["price"] = rng.integers(1000, 1010, 300).astype(str), rng.normal(size=300)
    model = ph.Model("price ~ " + " + ".join(f"v{i}" for i in range(200)) + " + (1 | zip)")
    for form in ("pandas", "polars", "duckdb"):
        assert ph.moments(model, FORMS[form](wide)).moments.n.sum() == 300


def test_a_logarithm_of_a_row_that_has_none_is_named(homes):
    bad = homes.assign(x2=np.where(homes.index == 20, -1.0, homes.x2))
    terms = formula().replace("x2 ", "log(x2) ")
    for form in ("pandas", "duckdb"):
        with pytest.raises(ph.PriorhoodError, match=r"x2 <= 0 in .* row"):
            ph.moments(terms, FORMS[form](bad))


@pytest.mark.parametrize("form", ["pandas", "nullable", "polars", "polars-lazy", "pyarrow", "duckdb"])
def test_numbers_of_every_type_and_their_gaps(form, homes, monkeypatch):
    rng = np.random.default_rng(6)
    wide = homes.drop(columns=["type"]).assign(
        whole=rng.integers(0, 9, len(homes)),
        small=rng.normal(size=len(homes)).astype(np.float32),
        sold=rng.integers(0, 2, len(homes)).astype(bool),
        counted=pd.array(rng.integers(0, 2**53, len(homes)), dtype="Int64"),
        # A label, and a number too.
        zone=rng.integers(1, 8, len(homes)),
    )
    wide.loc[[3, 30], "counted"] = pd.NA  # row 3 has another gap
    wide.loc[[30, 31], ["zip", "x9"]] = None
    native = {"nullable": lambda frame: frame.convert_dtypes(), **FORMS}[form](wide)
    terms = f"{formula().split(' + type')[0]} + whole + small + sold + counted + zone"
    model = ph.Model(f"{terms} + (x0 | zone/zip)")
    found, slow = apart(native, wide, monkeypatch, model, where="x1 > 1")
    assert found.labels.tolist() == slow.labels.tolist()
    assert found.labels[0][0] in "1234567"
    assert found.dropped == slow.dropped
    for name in ("n", "mean", "scatter"):
        ours, theirs = getattr(found, name), getattr(slow, name)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-12 * np.abs(theirs).max())


WRONG = [
    ("x7", np.inf, "'x7' is infinite in 2 rows, so the predictor 'x7' cannot be used: inf"),
    ("x7", -1e200, "'x7' is too large to square in 2 rows, so the predictor 'x7' cannot be used: -1e+200"),
    ("x2", 1e60, "x2 is too large"),
    ("price", np.inf, "'price' is infinite in 2 rows, so the outcome 'price' cannot be used: inf"),
    ("se", 0.0, "'se' is not above 0 in 2 rows, so the standard errors 'se' cannot be used: 0"),
]


@pytest.mark.parametrize(
    ("form", "column", "value", "message"),
    # Every form and every message once; each of one with each of the other in `make slow`.
    [
        pytest.param(form, *wrong, marks=[] if form == "pandas" or wrong is WRONG[at % 5] else pytest.mark.slow)
        for at, form in enumerate(FORMS)
        for wrong in WRONG
    ],
)
def test_a_value_that_cannot_be_is_named_as_of_few_columns(form, column, value, message, homes, monkeypatch):
    # Row 9 has no label, and does not count.
    bad = homes.assign(**{column: np.where(homes.index.isin([9, 20, 21]), value, homes[column])})
    model = ph.Model(formula().replace("x2 ", "I(x2 ** 2) "), se="se")
    said = []
    for many in (collect.MANY, 10_000):
        monkeypatch.setattr(collect, "MANY", many)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.PerformanceWarning)  # so many columns
            with pytest.raises(ph.PriorhoodError) as caught:
                ph.moments(model, FORMS[form](bad))
        said.append(str(caught.value))
    assert message.replace("x2 is", "I(x2 ** 2) is") in said[0]
    assert said[0] == said[1]


def test_the_user_s_frame_is_left_as_it_was(homes):
    before = homes.copy(deep=True)
    ph.moments(formula(), homes)
    pd.testing.assert_frame_equal(homes, before)


def test_few_columns_of_numpy_have_the_sums_of_any_frame(monkeypatch):
    """Rows of a pandas frame are added up as arrays: the same bits as by expressions, whatever is left out."""
    rng = np.random.default_rng(5)
    rows = 400
    frame = pd.DataFrame({
        "price": rng.normal(3e5, 1e5, rows),
        "area": rng.uniform(20, 200, rows),
        "floor": rng.integers(0, 9, rows),
        "lift": rng.integers(0, 2, rows).astype(bool),
        "kind": rng.choice(["flat", "house", "loft"], rows),
        "zip": rng.choice(["1", "01.0", " 2 ", "b", "", "nan"], rows),
        "town": rng.choice(["x", "y"], rows),
    })  # fmt: skip
    frame.loc[rng.choice(rows, 20, replace=False), "area"] = np.nan
    frame.loc[rng.choice(rows, 9, replace=False), "price"] = np.nan
    frame.loc[rng.choice(rows, 9, replace=False), "zip"] = None
    formulas = [
        "price ~ area", "price ~ 1", "price ~ 1 + (1 | zip)", "price ~ area + floor + lift + (area | zip)",
        "log(price) ~ log(area) * kind + I(floor ** 2) + (1 | town/zip)",
        "price ~ area:lift + C(floor) + (1 | zip)",
    ]  # fmt: skip
    added = []
    by_code = memory_scan._by_code
    monkeypatch.setattr(memory_scan, "_by_code", lambda *given: added.append(given) or by_code(*given))
    for formula in formulas:
        added.clear()
        ours = design_and_moments(read(frame), parse(formula))
        assert added
        with monkeypatch.context() as patched:
            patched.setattr(collect, "in_numpy", lambda *_: False)
            theirs = design_and_moments(read(frame), parse(formula))
        assert ours[0] == theirs[0]
        assert ours[1].dropped == theirs[1].dropped
        assert ours[1].read == theirs[1].read
        for name in ("labels", "n", "mean", "scatter"):
            np.testing.assert_array_equal(getattr(ours[1], name), getattr(theirs[1], name), err_msg=formula)

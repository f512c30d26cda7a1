"""A fit's way from rows to a posterior: what it learns is learned once; its warnings are about the user's line."""

from __future__ import annotations

import sys
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from priorhood.data.rows import PreparedRows
from priorhood.data.sources.table import Table
from priorhood.datasets import simulate
from priorhood.fitting import similar_labels
from priorhood.model.hierarchy import hierarchy_of
from priorhood.model.model import Model
from priorhood.suffstats import fit_data
from priorhood.suffstats.standardize import standardized

FORMULAS = [
    "price ~ living_space + (living_space | zip)",
    "log(price) ~ log(living_space) + (1 | zip)",
    "price ~ living_space",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_priors_places_and_standardized_sums_are_found_once(sales, formula, monkeypatch):
    found = {"resolve": 0, "hierarchy": 0, "standardized": 0}

    def counted(name, function):
        def counting(*args):
            found[name] += 1
            return function(*args)

        return counting

    monkeypatch.setattr(Model, "resolve", counted("resolve", Model.resolve))
    monkeypatch.setattr(fit_data, "standardized", counted("standardized", standardized))
    for module in (fit_data, similar_labels):
        monkeypatch.setattr(module, "hierarchy_of", counted("hierarchy", hierarchy_of))
    post = ph.fit(formula, sales, chains=1, draws=50, seed=1)
    assert found == {"resolve": 1, "hierarchy": 1, "standardized": 1}
    assert post.hierarchy is post.data.hierarchy


def entries(call, source):
    """Return how often a call hands the source's rows, as it stands, opened or prepared, from package to package.

    Modules at the top of priorhood, such as the wrapper of public functions, belong to their callers; an object's
    own methods do not hand it on.
    """
    found = Counter()

    def package_of(frame):
        parts = frame.f_globals.get("__name__", "").split(".") if frame else ["", "none"]
        inside = parts[0] == "priorhood" and len(parts) > 2
        return parts[1] if inside or frame is None else package_of(frame.f_back)

    def profile(frame, event, _):
        if event == "call" and frame.f_globals.get("__name__", "").count(".") > 1:
            names = frame.f_code.co_varnames[: frame.f_code.co_argcount + frame.f_code.co_kwonlyargcount]
            given = [frame.f_locals.get(name) for name in names if name != "self"]
            carried = any(one is source or isinstance(one, Table | PreparedRows) for one in given)
            if carried and package_of(frame) != package_of(frame.f_back):
                found[package_of(frame)] += 1

    sys.setprofile(profile)
    try:
        call()
    finally:
        sys.setprofile(None)
    return dict(found)


FAST = {"chains": 1, "draws": 50, "seed": 1}
WITH_PLACES = "price ~ living_space + distance + kind + (living_space | zip)"
CALLS = {
    "fit": lambda rows, _, places: ph.fit(WITH_PLACES, rows, places=places, drop_outliers=3.0, **FAST),
    "update": lambda rows, post, _: ph.update(post, rows, **FAST),
    "moments": lambda rows, _, places: ph.moments(WITH_PLACES, rows, places=places),
    "loo": lambda rows, post, _: ph.loo(post, rows),
    "to_pymc": lambda rows, _, places: ph.Model(WITH_PLACES).to_pymc(rows, places=places),
}


@pytest.mark.filterwarnings("ignore:these rows")
@pytest.mark.parametrize("kind", ["frame", "csv"])
@pytest.mark.parametrize("name", CALLS)
def test_a_table_enters_no_package_twice(sales, tmp_path, name, kind):
    if name == "to_pymc":
        pytest.importorskip("pymc")
    rows = sales.assign(kind=np.where(np.arange(len(sales)) % 3, "flat", "house"))
    zips = sorted(set(rows["zip"]))
    places = pd.DataFrame({"zip": zips, "distance": np.arange(len(zips)) % 5 + 1.0})
    post = ph.fit(WITH_PLACES, rows, places=places, **FAST) if name in ("update", "loo") else None
    source = rows
    if kind == "csv":
        source = tmp_path / "sales.csv"
        rows.to_csv(source, index=False)
    found = entries(lambda: CALLS[name](source, post, places), source)
    assert {"data", "suffstats"} <= set(found)
    assert max(found.values()) == 1, found


def test_other_sums_keep_what_does_not_depend_on_them(fitted):
    data = fitted.data
    again = data.with_moments(data.moments)
    assert again.hierarchy is data.hierarchy
    assert again.resolved is data.resolved
    wider = data.with_model(data.model.with_priors("tau ~ HalfNormal(9)"))
    assert wider.scale is data.scale
    assert wider.resolved.tau != data.resolved.tau


def test_warnings_name_the_line_of_the_call():
    sales, _ = simulate(8, 100, seed=1)
    formula = "price ~ living_space + (1 | zip)"
    post = ph.fit(formula, sales, chains=1, draws=50, seed=1)
    far = "mu[Intercept] ~ Normal(40, 1)"
    calls = [
        lambda: ph.fit(ph.Model(formula, far), sales, chains=1, draws=50, seed=1),
        lambda: ph.refit(post, priors=far, chains=1, draws=50),
        lambda: post.refit(priors=far, chains=1, draws=50),
        lambda: ph.update(post, sales, chains=1, draws=50),
        lambda: ph.moments(formula, sales, drop_outliers=1.5),
    ]
    for call in calls:
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            call()
        assert found
        assert {one.filename for one in found} == {__file__}

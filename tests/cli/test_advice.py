"""Advice that works: whoever does what a message says gets further.

Each case brings about a message, holds that it says the advice, and does what it says: that must succeed, or at
least be stopped by something else. What must be installed, bought (memory) or looked at is not followed here.
"""

from __future__ import annotations

import gzip
import json
import shlex
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd
import pytest

import priorhood as ph
from command_line import FAST, FAST_OPTIONS, FORMULA, run_cli

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

BLOCKS = "price ~ centre + (1 | district/block)"
ONE = "price ~ living_space + (1 | zip)"
SMALL = {**FAST, "engine": "exact"}


@cache
def sales() -> pd.DataFrame:
    """Homes in 8 ZIP codes of 3 districts, of 3 kinds, with errors and weights of their own."""
    frame, _ = ph.simulate(8, 160, seed=1)
    rng = np.random.default_rng(2)
    at = frame["zip"].map({z: i for i, z in enumerate(sorted(set(frame["zip"])))})
    return frame.assign(
        district=np.array(["north", "south", "west"])[at % 3],
        kind=rng.choice(["flat", "house", "loft"], len(frame)),
        error=rng.uniform(1e4, 5e4, len(frame)),
        weight=rng.uniform(0.5, 2, len(frame)),
        times=rng.integers(1, 4, len(frame)),
        garden=rng.random(len(frame)) < 0.5,
    )


@cache
def fit(formula: str = FORMULA, **options: Any) -> ph.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)
        chosen = {k: options.pop(k) for k in ("family", "noise", "se", "precision_weights") if k in options}
        return ph.fit(ph.Model(formula, **chosen), sales(), **{**SMALL, **options})


def new_homes(zip_code: str = "99999") -> dict[str, list[Any]]:
    return {"zip": [zip_code], "living_space": [80.0]}


def square(x: float, label: str, column: str = "zip") -> dict[str, Any]:
    ring = [[x, 0], [x + 1, 0], [x + 1, 1], [x, 1], [x, 0]]
    return {
        "type": "Feature",
        "properties": {column: label},
        "geometry": {"type": "Polygon", "coordinates": [ring]},
    }


def polygons(column: str = "zip") -> dict[str, Any]:
    labels = sorted(set(sales()["zip"]))
    return {"type": "FeatureCollection", "features": [square(i, z, column) for i, z in enumerate(labels)]}


@dataclass(frozen=True)
class Case:
    """What brings the message about, what it must say, and what it says to do, followed."""

    wrong: Callable[[], object]
    says: tuple[str, ...]
    right: tuple[Callable[[], object], ...]


def case(wrong: Callable[[], object], says: str | tuple[str, ...], *right: Callable[[], object]) -> Case:
    return Case(wrong, (says,) if isinstance(says, str) else says, right)


def told(what: Callable[[], object]) -> list[str]:
    """The messages of a call: its error, else its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ph.PriorhoodWarning)
        try:
            what()
        except ph.PriorhoodError as problem:
            return [str(problem)]
    return [str(one.message) for one in caught if issubclass(one.category, ph.PriorhoodWarning)]


PLACES = pd.DataFrame({"zip": sorted(set(sales()["zip"])), "centre": np.arange(8.0)})
STUDENT = {"family": "student"}

PYTHON = {
    # -- files -------------------------------------------------------------------------------------------------
    "a posterior saved as a table": case(
        lambda: fit().save("nowhere/x.csv.gz"), "e.g. 'nowhere/x.nc'", lambda: fit().save("nowhere/x.nc")
    ),
    "sums saved as a page": case(
        lambda: ph.moments(FORMULA, sales()).save("nowhere/x.html"),
        "e.g. 'nowhere/x.moments'",
        lambda: ph.moments(FORMULA, sales()).save("nowhere/x.moments"),
    ),
    # -- models ------------------------------------------------------------------------------------------------
    "noise without a group": case(
        lambda: ph.Model("price ~ living_space", noise="zip"),
        "add (1 | zip)",
        lambda: ph.Model("price ~ living_space + (1 | zip)", noise="zip"),
    ),
    "noise of another group": case(
        lambda: ph.Model(FORMULA, noise="district"), "its group is 'zip'", lambda: ph.Model(FORMULA, noise="zip")
    ),
    "known errors and a noise": case(
        lambda: ph.Model(FORMULA, noise="zip", se="error"),
        "choose one",
        lambda: ph.Model(FORMULA, noise="zip"),
        lambda: ph.Model(FORMULA, se="error"),
    ),
    "known errors and precision": case(
        lambda: ph.Model(FORMULA, se="error", precision_weights="weight"),
        "choose one",
        lambda: ph.Model(FORMULA, se="error"),
        lambda: ph.Model(FORMULA, precision_weights="weight"),
    ),
    "one column of two weights": case(
        lambda: ph.Model(FORMULA, precision_weights="times", frequency_weights="times"),
        ("use frequency_weights if a row stands for n", "precision_weights if it is the mean of n rows"),
        lambda: ph.Model(FORMULA, frequency_weights="times"),
        lambda: ph.Model(FORMULA, precision_weights="times"),
    ),
    "frequencies that are no counts": case(
        lambda: ph.moments(ph.Model(FORMULA, frequency_weights="weight"), sales()),
        "are precision weights (precision_weights=)",
        lambda: ph.moments(ph.Model(FORMULA, precision_weights="weight"), sales()),
    ),
    "priors for sigma and what they have in common": case(
        lambda: ph.Model(FORMULA, ["sigma ~ Exponential(1)", "sigma_spread ~ Exponential(1)"], noise="zip"),
        "choose one",
        lambda: ph.Model(FORMULA, ["sigma ~ Exponential(1)"], noise="zip"),
        lambda: ph.Model(FORMULA, ["sigma_spread ~ Exponential(1)"], noise="zip"),
    ),
    "a prior of all sigma without noise": case(
        lambda: ph.Model(FORMULA, ["sigma_spread ~ Exponential(1)"]),
        "noise= gives every group its own",
        lambda: ph.Model(FORMULA, ["sigma_spread ~ Exponential(1)"], noise="zip"),
    ),
    "a prior of nu with Normal errors": case(
        lambda: ph.Model(FORMULA, ["nu ~ Gamma(2, 10)"]),
        "family='student' has nu",
        lambda: ph.Model(FORMULA, ["nu ~ Gamma(2, 10)"], family="student"),
    ),
    "a group called like a parameter": case(
        lambda: ph.Model("price ~ 1 + (1 | sigma)"), "rename it", lambda: ph.Model("price ~ 1 + (1 | sigma_1)")
    ),
    "an outcome_unit that is none": case(
        lambda: ph.Model(FORMULA, outcome_unit="euro"),
        "'auto' or a number above 0",
        lambda: ph.Model(FORMULA, outcome_unit=1000),
        lambda: ph.Model(FORMULA, outcome_unit="auto"),
    ),
    "a unit of a column misspelt": case(
        lambda: ph.Model(FORMULA, units={"livingspace": "m²"}),
        "did you mean 'living_space'?",
        lambda: ph.Model(FORMULA, units={"living_space": "m²"}),
    ),
    # -- priors ------------------------------------------------------------------------------------------------
    "a prior that cannot be read": case(
        lambda: ph.Model(FORMULA, ["tau ~ Exponential("]),
        "write it like Exponential(scale=5)",
        lambda: ph.Model(FORMULA, ["tau ~ Exponential(scale=5)"]),
    ),
    "a prior that is no distribution": case(
        lambda: ph.Model(FORMULA, ["tau ~ 5"]),
        "write it like Exponential(scale=5)",
        lambda: ph.Model(FORMULA, ["tau ~ Exponential(scale=5)"]),
    ),
    "a prior without a parameter": case(
        lambda: ph.Model("price ~ area + (area | zip)", ["Exponential(5)"]),
        "write it like 'tau[area] ~ Exponential(scale=5)'",
        lambda: ph.Model("price ~ area + (area | zip)", ["tau[area] ~ Exponential(scale=5)"]),
    ),
    "another tool's family of scales": case(
        lambda: ph.Model(FORMULA, ["tau ~ student_t(3, 0, 2.5)"]),
        ("HalfStudentT", "student_t(3, 0, 2.5) for an sd is HalfStudentT(3, 2.5)"),
        lambda: ph.Model(FORMULA, ["tau ~ HalfStudentT(3, 2.5)"]),
    ),
    "a scale's prior for a coefficient": case(
        lambda: ph.Model(FORMULA, ["mu ~ HalfNormal(1)"]),
        ("use Normal", "in the model that Model.to_pymc() returns"),
        lambda: ph.Model(FORMULA, ["mu ~ Normal(0, 100)"]),
    ),
    "a coefficient's prior for a scale": case(
        lambda: ph.Model(FORMULA, ["tau ~ Normal(0, 1)"]),
        "HalfNormal",
        lambda: ph.Model(FORMULA, ["tau ~ HalfNormal(1)"]),
    ),
    "bounds the wrong way round": case(
        lambda: ph.Model(FORMULA, ["tau ~ Uniform(3, 3)"]),
        "for a known scale use Fixed",
        lambda: ph.Model(FORMULA, ["tau ~ Fixed(3)"]),
    ),
    "a prior of a term misspelt": case(
        lambda: ph.fit(ph.Model(FORMULA, ["tau[livingspace] ~ Exponential(1)"]), sales(), **SMALL),
        "did you mean 'tau[living_space]'",
        lambda: ph.fit(ph.Model(FORMULA, ["tau[living_space] ~ Exponential(1)"]), sales(), **SMALL),
    ),
    "a prior far from the outcome": case(
        lambda: ph.fit(ph.Model(FORMULA, outcome_unit=1), sales(), **SMALL),
        (
            "use a wider prior, such as mu[Intercept] ~ Normal(0, 1000000)",
            "choose an outcome_unit near the outcome's sd",
        ),
        lambda: ph.fit(ph.Model(FORMULA, ["mu[Intercept] ~ Normal(0, 1000000)"], outcome_unit=1), sales(), **SMALL),
        lambda: ph.fit(ph.Model(FORMULA, outcome_unit=sales()["price"].std()), sales(), **SMALL),
    ),
    # -- formulas ----------------------------------------------------------------------------------------------
    "an empty formula": case(
        lambda: ph.Model(""),
        "write it like 'price ~ living_space + (living_space | zip)'",
        lambda: ph.moments("price ~ living_space + (living_space | zip)", sales()),
    ),
    "nothing after ~": case(
        lambda: ph.Model("price ~"), "write 'price ~ 1' for only a mean", lambda: ph.moments("price ~ 1", sales())
    ),
    "an outcome as categories": case(
        lambda: ph.Model("C(price) ~ 1"), "write the column without C()", lambda: ph.moments("price ~ 1", sales())
    ),
    "a log within an outcome": case(
        lambda: ph.Model("1 + log(price) ~ 1"),
        "or log(…) around the whole",
        lambda: ph.moments("log(1 + price) ~ 1", sales()),
    ),
    "a bar without terms": case(
        lambda: ph.Model("price ~ area + (area | )"),
        "write it like '(1 + area | zip)'",
        lambda: ph.Model("price ~ area + (1 + area | zip)"),
    ),
    "a group without its second column": case(
        lambda: ph.Model("price ~ 1 + (1 | district/)"),
        "write a/b for b within a",
        lambda: ph.moments("price ~ 1 + (1 | district/zip)", sales()),
    ),
    "groups that are added": case(
        lambda: ph.Model("price ~ 1 + (1 | zip + kind)"),
        ("write nested groups as a/b (b within a)", "crossed groups as separate parts: (1 | a) + (1 | b)"),
        lambda: ph.moments("price ~ 1 + (1 | zip/kind)", sales()),
        lambda: ph.moments("price ~ 1 + (1 | zip) + (1 | kind)", sales()),
    ),
    "a group with a name of the result": case(
        lambda: ph.moments("price ~ 1 + (1 | mu)", sales().rename(columns={"zip": "mu"})),
        "rename it",
        lambda: ph.moments("price ~ 1 + (1 | mu_)", sales().rename(columns={"zip": "mu_"})),
    ),
    "a group before the bar": case(
        lambda: ph.Model("price ~ living_space + (zip | 1)"), "write '(1 | zip)'", lambda: ph.moments(ONE, sales())
    ),
    "a group of brms": case(
        lambda: ph.Model("price ~ living_space + (1 | gr(zip, by = kind))"),
        "write the group without gr(): '(1 | zip)'",
        lambda: ph.moments(ONE, sales()),
    ),
    "a formula of brms": case(
        lambda: ph.Model(f"bf({ONE}, sigma ~ kind)"),
        f"write it without bf(): {ONE!r}",
        lambda: ph.moments(ONE, sales()),
    ),
    "errors and weights of brms": case(
        lambda: ph.Model("price | se(error, sigma = TRUE) + weights(times) ~ living_space + (1 | zip)"),
        (f"write only the outcome before '~', {ONE!r}", "se='error'", "frequency_weights='times'"),
        lambda: ph.moments(ph.Model(ONE, se="error"), sales()),
        lambda: ph.moments(ph.Model(ONE, frequency_weights="times"), sales()),
        lambda: ph.moments(ph.Model(ONE, precision_weights="times"), sales()),
    ),
    "one group in two parts": case(
        lambda: ph.Model("price ~ area + (1 | zip) + (0 + area | zip)"),
        ("(1 + area | zip) with correlation", "(1 + area || zip) without"),
        lambda: ph.Model("price ~ area + (1 + area | zip)"),
        lambda: ph.Model("price ~ area + (1 + area || zip)"),
    ),
    "a group without brackets": case(
        lambda: ph.Model("price ~ area + 1 + area | zip"),
        "write grouping terms in brackets, such as '+ (1 + area | zip)'",
        lambda: ph.Model("price ~ area + (1 + area | zip)"),
    ),
    "an interaction without its parts": case(
        lambda: ph.moments("price ~ kind:district", sales()),
        ("write 'kind*district'", "'0 + kind:district'"),
        lambda: ph.moments("price ~ kind*district", sales()),
        lambda: ph.moments("price ~ 0 + kind:district", sales()),
    ),
    "a backtick that is not closed": case(
        lambda: ph.Model("price ~ `living space"),
        "a backtick is not closed",
        lambda: ph.Model("price ~ `living space`"),
    ),
    "a column misspelt": case(
        lambda: ph.moments("price ~ livingspace", sales()),
        "did you mean 'living_space'",
        lambda: ph.moments("price ~ living_space", sales()),
    ),
    "categories in two ways": case(
        lambda: ph.moments("price ~ kind + C(kind):living_space", sales()),
        ("the same categories in two forms: write", "everywhere"),
        lambda: ph.moments("price ~ kind + kind:living_space", sales()),
    ),
    # -- engines -----------------------------------------------------------------------------------------------
    "what the exact engine does not take": case(
        lambda: ph.fit(ph.Model(FORMULA, **STUDENT), sales(), engine="exact"),
        "engine='nuts' can fit this model",
        lambda: ph.Model(FORMULA, **STUDENT).to_pymc(sales()),
    ),
    "NUTS from sums": case(
        lambda: ph.fit(FORMULA, ph.moments(FORMULA, sales()), engine="nuts"),
        "drop engine=",
        lambda: ph.fit(FORMULA, ph.moments(FORMULA, sales()), **FAST),
    ),
    "summaries without groups": case(
        lambda: ph.fit("price ~ living_space", sales(), store="summaries", **FAST),
        "the model has no groups",
        lambda: ph.fit(FORMULA, sales(), store="summaries", **FAST),
    ),
    "a fixed spread with correlations in PyMC": case(
        lambda: ph.Model(FORMULA, ["tau[living_space] ~ Fixed(0.1)"]).to_pymc(sales()),
        ("use the exact engine (engine='exact')", "write || for independent effects"),
        lambda: ph.fit(ph.Model(FORMULA, ["tau[living_space] ~ Fixed(0.1)"]), sales(), **SMALL),
        lambda: ph.Model(FORMULA.replace("|", "||"), ["tau[living_space] ~ Fixed(0.1)"]).to_pymc(sales()),
    ),
    "one group alone": case(
        lambda: ph.fit(FORMULA, sales()[sales()["zip"] == sales()["zip"][0]], **SMALL),
        "fit 'price ~ living_space'",
        lambda: ph.fit("price ~ living_space", sales()[sales()["zip"] == sales()["zip"][0]], **SMALL),
    ),
    "a level that says nothing": case(
        lambda: ph.fit("price ~ 1 + (1 | own/zip)", sales().assign(own=sales()["zip"]), **SMALL),
        "drop one of the two: fit 'price ~ 1 + (1 | own:zip)' or 'price ~ 1 + (1 | own)'",
        lambda: ph.fit("price ~ 1 + (1 | own:zip)", sales().assign(own=sales()["zip"]), **SMALL),
        lambda: ph.fit("price ~ 1 + (1 | own)", sales().assign(own=sales()["zip"]), **SMALL),
    ),
    "an outcome that is computed": case(
        lambda: ph.fit(
            "price ~ living_space + (1 | zip)", sales().assign(price=2 * sales()["living_space"]), **SMALL
        ),
        "Check whether the outcome was computed from",
        lambda: ph.fit(ONE, sales(), **SMALL),
    ),
    "a predictor that does not vary": case(
        lambda: ph.fit("price ~ living_space + one", sales().assign(one=1.0), **SMALL),
        "leave it out",
        lambda: ph.fit("price ~ living_space", sales().assign(one=1.0), **SMALL),
    ),
    # -- sums, updates, merges ---------------------------------------------------------------------------------
    "a table beside sums": case(
        lambda: ph.fit(FORMULA, [ph.moments(FORMULA, sales()[:80]), sales()[80:]], **FAST),
        "compute the sums of the DataFrame with moments() first",
        lambda: ph.fit(FORMULA, [ph.moments(FORMULA, part) for part in (sales()[:80], sales()[80:])], **FAST),
    ),
    "outliers of sums": case(
        lambda: ph.fit(FORMULA, ph.moments(FORMULA, sales()), drop_outliers=1.5),
        "pass it to moments() instead",
        lambda: ph.fit(FORMULA, told_and_done(lambda: ph.moments(FORMULA, sales(), drop_outliers=1.5)), **FAST),
    ),
    "sums with other weights": case(
        lambda: ph.fit(
            ph.Model(FORMULA), ph.moments(ph.Model(FORMULA, precision_weights="weight"), sales()), **FAST
        ),
        ("precision_weights='weight'", "use the same in the model"),
        lambda: ph.fit(ph.Model(FORMULA, precision_weights="weight"), weighted_sums(), **FAST),
    ),
    "too high a minimum": case(
        lambda: ph.moments(FORMULA, sales(), minimum=1000),
        "set a lower minimum (minimum=)",
        lambda: ph.moments(FORMULA, sales(), minimum=2),
    ),
    "the same rows twice": case(
        lambda: ph.merge(fit(), fit(), **FAST),
        "pass each file once",
        lambda: ph.merge(
            *(ph.fit(ph.Model(FORMULA), part, **SMALL) for part in (sales()[:80], sales()[80:])), **FAST
        ),
    ),
    "merging models that differ": case(
        lambda: ph.merge(*parts_with_priors(refitted=False), **FAST),
        "refit one of them first",
        lambda: ph.merge(*parts_with_priors(refitted=True), **FAST),
    ),
    "a category that the fit had not": case(
        lambda: fit("price ~ kind + (1 | zip)").predict({"zip": [sales()["zip"][0]], "kind": ["barn"]}),
        "its categories are 'flat', 'house', 'loft'",
        lambda: fit("price ~ kind + (1 | zip)").predict({"zip": [sales()["zip"][0]], "kind": ["loft"]}),
    ),
    # -- predictions -------------------------------------------------------------------------------------------
    "a place that the fit had not": case(
        lambda: fit().predict(new_homes()),
        ("unseen=", "population", "draw"),
        lambda: fit().predict(new_homes(), unseen="population"),
        lambda: fit().predict(new_homes(), unseen="draw"),
    ),
    "a column of the predictions' name": case(
        lambda: fit().predict(sales().assign(mean=1.0)),
        "a prefix, such as predicted_",
        lambda: fit().predict(sales().assign(mean=1.0), prefix="predicted_"),
    ),
    "quantiles in percent": case(
        lambda: fit().predict(sales(), quantiles=[5, 50, 95]),
        "between 0 and 1, such as 0.05,0.5,0.95",
        lambda: fit().predict(sales(), quantiles=[0.05, 0.5, 0.95]),
    ),
    "unseen misspelt": case(
        lambda: fit().predict(sales(), unseen="new"),
        "error, population, draw",
        lambda: fit().predict(sales(), unseen="draw"),
    ),
    "no standard errors to predict": case(
        lambda: fit(se="error").predict(sales().drop(columns="error")),
        "every row to predict needs the standard error",
        lambda: fit(se="error").predict(sales()),
    ),
    "a home that says where it is": case(
        lambda: ph.plot.forest(fit(), at={"zip": sales()["zip"][0]}),
        "choose the place with zip=",
        lambda: ph.plot.forest(fit(), zip=sales()["zip"][0], at={"living_space": 100}),
    ),
    "a home without its size": case(
        lambda: fit("price ~ living_space:weight + (1 | zip)").homes({"weight": 1}),
        "set at={'living_space': …}",
        lambda: fit("price ~ living_space:weight + (1 | zip)").homes({"weight": 1, "living_space": 80}),
    ),
    "a home with no number": case(
        lambda: ph.plot.forest(fit(), at={"living_space": "big"}),
        "such as at={'living_space': 100.5}",
        lambda: ph.plot.forest(fit(), at={"living_space": 100}),
    ),
    "a home with half a garden": case(
        lambda: fit("price ~ garden + (1 | zip)").homes({"garden": 0.5}),
        "such as at={'garden': True}",
        lambda: fit("price ~ garden + (1 | zip)").homes({"garden": True}),
        lambda: fit("price ~ garden + (1 | zip)").homes({"garden": "true"}),
    ),
    "draws that were not stored": case(
        lambda: fit(store="summaries")["beta"],
        ("post.draws(zip=['10115'])", "post.coefficients()", "store='draws'"),
        lambda: fit(store="summaries").draws(zip=["10115"]),
        lambda: fit(store="summaries").coefficients(),
        lambda: fit(store="draws")["beta"],
    ),
    "the notebook's names of summaries": case(
        lambda: fit(store="summaries").notebook_names(),
        "fit with store='draws'",
        lambda: fit(store="draws").notebook_names(),
    ),
    # -- places ------------------------------------------------------------------------------------------------
    "a predictor in both tables": case(
        lambda: ph.moments("price ~ centre + (1 | zip)", sales().assign(centre=1.0), places=PLACES),
        "Remove it from one of them, or rename it",
        lambda: ph.moments("price ~ centre + (1 | zip)", sales(), places=PLACES),
        lambda: ph.moments("price ~ centre + (1 | zip)", sales().assign(other=1.0), places=PLACES),
    ),
    "a slope that cannot vary": case(
        lambda: ph.moments("price ~ centre + (centre | zip)", sales(), places=PLACES),
        ("use it as an ordinary predictor instead", "fit 'price ~ centre + (1 | zip)'"),
        lambda: ph.moments("price ~ centre + (1 | zip)", sales(), places=PLACES),
    ),
    "places without a group": case(
        lambda: ph.moments("price ~ centre", sales(), places=PLACES),
        "add one such as (1 | zip)",
        lambda: ph.moments("price ~ centre + (1 | zip)", sales(), places=PLACES),
    ),
    "labels that several places have": case(
        lambda: ph.moments("price ~ centre + (1 | district/block)", blocks(), places=block_places("block")),
        "add the column district",
        lambda: ph.moments(
            "price ~ centre + (1 | district/block)", blocks(), places=block_places("district", "block")
        ),
    ),
    # -- comparisons -------------------------------------------------------------------------------------------
    "leave-one-row-out without rows": case(
        lambda: ph.compare({"a": fit(), "b": fit("price ~ 1 + (1 | zip)")}),
        ("pass the fit's table", "by='place' and by='evidence'", "do not need it"),
        lambda: ph.compare({"a": fit(), "b": fit("price ~ 1 + (1 | zip)")}, sales()),
        lambda: ph.compare({"a": fit(), "b": fit("price ~ 1 + (1 | zip)")}, by="place"),
        lambda: ph.compare({"a": fit(), "b": fit("price ~ 1 + (1 | zip)")}, by="evidence"),
    ),
    "a level without places left out": case(
        lambda: ph.compare({"a": nested(), "b": nested("1")}, sales(), level="district"),
        "use it with by='place'",
        lambda: ph.compare({"a": nested(), "b": nested("1")}, by="place", level="district"),
    ),
    "an Elpd of another kind": case(
        lambda: ph.compare({"a": ph.loo_places(fit()), "b": fit()}, sales(), by="row"),
        "use it with by='place'",
        lambda: ph.compare({"a": ph.loo_places(fit()), "b": fit()}, by="place"),
    ),
    "leave-one-out with other rows": case(
        lambda: ph.loo(fit(), sales()[:100]),
        "needs the rows of the fit: pass its table",
        lambda: ph.loo(fit(), sales()),
    ),
    "leave-one-place-out without closed form": case(
        lambda: ph.loo_places(forged_student()),
        "leave-one-row-out works for every model: ph.loo",
        lambda: ph.loo(forged_student(), sales()),
    ),
    "leave-one-place-out of weighted log rows": case(
        lambda: ph.loo_places(fit("log(price) ~ living_space + (1 | zip)", precision_weights="weight")),
        "use leave-one-row-out, ph.loo",
        lambda: ph.loo(fit("log(price) ~ living_space + (1 | zip)", precision_weights="weight"), sales()),
    ),
    "influence without places": case(
        lambda: ph.influence(fit("price ~ living_space")),
        "pass row=…",
        lambda: ph.influence(fit("price ~ living_space"), row=dict(sales().iloc[0])),
    ),
    # -- pictures and pages ------------------------------------------------------------------------------------
    "a map of shares without a threshold": case(
        lambda: ph.plot.map(fit(), polygons(), show="below"),
        "such as below=350000",
        lambda: ph.plot.map(fit(), polygons(), show="below", below=350_000),
    ),
    "polygons without coordinates' names": case(
        lambda: ph.plot.map(fit(), frame_of_polygons(None)),
        "crs='EPSG:4326'",
        lambda: ph.plot.map(fit(), frame_of_polygons(None), crs="EPSG:4326"),
    ),
    "polygons with metres for degrees": case(
        lambda: ph.plot.map(fit(), frame_of_polygons("EPSG:4326", by=500_000.0)),
        "crs='EPSG:25833' for UTM zone 33",
        lambda: ph.plot.map(fit(), frame_of_polygons("EPSG:4326", by=500_000.0), crs="EPSG:25833"),
    ),
    "coordinates misspelt": case(
        lambda: ph.plot.map(fit(), polygons(), crs="WGS"),
        "write it like EPSG:4326",
        lambda: ph.plot.map(fit(), polygons(), crs="EPSG:4326"),
    ),
    "a map of a group that is not there": case(
        lambda: ph.plot.map(fit(), polygons("district"), level="district"),
        "ph.fit('price ~ living_space + (living_space | zip) + (1 | district)', table)",
        lambda: ph.plot.map(
            fit("price ~ living_space + (living_space | zip) + (1 | district)"),
            polygons("district"),
            level="district",
        ),
    ),
    "a map without a group": case(
        lambda: ph.plot.map(fit("price ~ living_space"), polygons()),
        "ph.fit('price ~ living_space + (1 | zip)', table)",
        lambda: ph.plot.map(fit("price ~ living_space + (1 | zip)"), polygons()),
    ),
    "lines along what is given": case(
        lambda: ph.plot.lines(fit(), at={"living_space": 80}), "leave it out of at=", lambda: ph.plot.lines(fit())
    ),
    "a price of no home": case(
        lambda: ph.plot.price(fit()),
        (
            "home={…}",
            "zip='10115'",
            "at={'living_space': 100}",
        ),
        lambda: ph.plot.price(fit(), home={"zip": sales()["zip"][0], "living_space": 80}),
        lambda: ph.plot.price(fit(), zip=sales()["zip"][0], at={"living_space": 80}),
    ),
    "a price of no kind": case(
        lambda: ph.plot.price(crossed(), zip=sales()["zip"][0]),
        ("at={'kind': …}", "unseen='population'"),
        lambda: ph.plot.price(crossed(), zip=sales()["zip"][0], at={"kind": "loft"}),
        lambda: ph.plot.price(crossed(), zip=sales()["zip"][0], unseen="population"),
    ),
    "ranks of one chain": case(
        lambda: ph.plot.ranks(fit(chains=1)),
        "fit with at least 2 (chains=4)",
        lambda: ph.plot.ranks(fit(chains=4)),
    ),
    # -- verdicts ----------------------------------------------------------------------------------------------
    "one chain": case(
        lambda: warn(fit(chains=1, draws=400)),
        "run at least 2, preferably 4 (chains=4)",
        lambda: warn(fit(chains=4, draws=400)),
    ),
    "too few draws": case(lambda: warn(fit(draws=50)), "draw at least 100 per chain", lambda: warn(fit(draws=400))),
}


def warn(post: ph.Posterior) -> None:
    """The verdicts that ask for something, as warnings."""
    for verdict in post.check():
        if not verdict.good:
            warnings.warn(verdict.text, ph.PriorhoodWarning, stacklevel=2)


def told_and_done(what: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)
        return what()


def weighted_sums() -> ph.Moments:
    return ph.moments(ph.Model(FORMULA, precision_weights="weight"), sales())


def nested(terms: str = "living_space") -> ph.Posterior:
    return fit(f"price ~ living_space + ({terms} | district/zip)")


def crossed() -> ph.Posterior:
    return fit("price ~ living_space + (1 | zip) + (1 | kind)")


@cache
def forged_student() -> ph.Posterior:
    """With Student's errors, which NUTS alone draws: the draws of a fit with Normal ones, and a nu."""
    from dataclasses import replace

    post = fit()
    tree = post.tree.copy()
    draws = tree["posterior"].to_dataset()
    tree["posterior"] = draws.assign(nu=draws["sigma"] * 0 + 4.0)
    return replace(post, data=replace(post.data, model=ph.Model(FORMULA, **STUDENT)), tree=tree)


def parts_with_priors(*, refitted: bool) -> list[ph.Posterior]:
    """Posteriors of halves, one under another prior; or with it refitted."""
    one, two = (ph.fit(FORMULA, part, **SMALL) for part in (sales()[:80], sales()[80:]))
    two = ph.refit(two, priors=["tau ~ HalfNormal(1)"], **FAST)
    return [ph.refit(one, priors=["tau ~ HalfNormal(1)"], **FAST) if refitted else one, two]


def blocks() -> pd.DataFrame:
    """Blocks of the same names in every district."""
    return sales().assign(block=(sales().index % 3).astype(str))


def block_places(*keys: str) -> pd.DataFrame:
    own = blocks()[["district", "block"]].drop_duplicates()
    own = own.assign(centre=np.arange(len(own), dtype=float))
    return own[[*keys, "centre"]].drop_duplicates(subset=list(keys))


def frame_of_polygons(crs: str | None, by: float = 1.0) -> Any:
    geopandas = pytest.importorskip("geopandas")
    frame = geopandas.GeoDataFrame.from_features(polygons()["features"])
    frame["geometry"] = frame.geometry.scale(by, by, origin=(0, 0)) if by != 1 else frame.geometry
    return frame if crs is None else frame.set_crs(crs)


@pytest.mark.filterwarnings("ignore::UserWarning:pytensor")
@pytest.mark.parametrize("name", PYTHON)
def test_who_does_what_a_message_says_gets_further(name):
    one = PYTHON[name]
    said = next((text for text in told(one.wrong) if all(part in text for part in one.says)), None)
    assert said, told(one.wrong)
    for right in one.right:
        again = told(right)
        assert not any(all(part in text for part in one.says) for text in again), again


# -- the command line --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Tables, posteriors, sums and polygons, as a user would have them."""
    found = tmp_path_factory.mktemp("advice")
    sales().to_csv(found / "sales.csv", index=False)
    sales()[:80].to_csv(found / "first.csv", index=False)
    sales()[80:].to_csv(found / "second.csv", index=False)
    sales().assign(mean=1.0).to_csv(found / "clash.csv", index=False)
    sales()[:3].to_csv(found / "few.csv", index=False)
    pd.DataFrame(new_homes()).to_csv(found / "new.csv", index=False)
    sales()[:3].assign(form=b"\xff").to_parquet(found / "bytes.parquet")
    (found / "zips.geojson").write_text(json.dumps(polygons()))
    fit().save(found / "post.nc")
    fit("price ~ 1 + (1 | zip)").save(found / "other.nc")
    fit("price ~ living_space + C(times) + (1 | zip)").save(found / "graded.nc")
    fit("price ~ living_space").save(found / "pooled.nc")
    ph.moments(FORMULA, sales()[:80]).save(found / "first.moments")
    mangled(found)
    return found


SIZE = ("--row", "zip=10115", "--row", "living_space=80")
HOME = (*SIZE, "--row", "price=400000")
# Name: the command, what it says, and what it says to do: one or several commands, one after the other.
COMMANDS = {
    "a formula without quotes": (
        ("fit", "sales.csv", "price", "~", "living_space", "-o", "x.nc"),
        "write a formula in quotes, such as 'price ~ living_space + (living_space | zip)'",
        [("fit", "sales.csv", "price ~ living_space + (living_space | zip)", "-o", "x.nc", *FAST_OPTIONS)],
    ),
    "the formula first": (
        ("fit", FORMULA, "sales.csv", "-o", "x.nc"),
        f"the table comes first, then the formula: write sales.csv '{FORMULA}'",
        [("fit", "sales.csv", FORMULA, "-o", "x.nc", *FAST_OPTIONS)],
    ),
    "a home spelt otherwise": (
        ("plot", "forest", "post.nc", "-o", "x.png", "--at", "living_space:100"),
        "write it like --at living_space=100",
        [("plot", "forest", "post.nc", "-o", "x.png", "--at", "living_space=100")],
    ),
    "a unit spelt otherwise": (
        ("fit", "sales.csv", FORMULA, "-o", "x.nc", "--unit", "price €"),
        "write it like --unit 'price=€'",
        [("fit", "sales.csv", FORMULA, "-o", "x.nc", *FAST_OPTIONS, "--unit", "price=€")],
    ),
    "a unit of no column": (
        ("fit", "sales.csv", FORMULA, "-o", "x.nc", "--unit", "€"),
        "write it like --unit price=€",
        [("fit", "sales.csv", FORMULA, "-o", "x.nc", *FAST_OPTIONS, "--unit", "price=€")],
    ),
    "a category that there is not": (
        ("plot", "forest", "graded.nc", "-o", "x.png", "--at", "times=13"),
        ("choose from '1', '2', '3'", "--at times=1"),
        [("plot", "forest", "graded.nc", "-o", "x.png", "--at", "times=1")],
    ),
    "a row spelt otherwise": (
        ("influence", "post.nc", "--row", "price"),
        "write it like --row price=310000",
        [("influence", "post.nc", *FAST_OPTIONS, "--row", "price=310000", *SIZE)],
    ),
    "quantiles that are none": (
        ("predict", "post.nc", "sales.csv", "-o", "x.csv", "--quantiles", "low,high"),
        "write it like 0.05,0.5,0.95",
        [("predict", "post.nc", "sales.csv", "-o", "x.csv", "--quantiles", "0.05,0.5,0.95")],
    ),
    "a table beside sums": (
        ("fit", "first.moments", "second.csv", "-o", "x.nc"),
        "(priorhood moments TABLE FORMULA -o FILE)",
        [
            ("moments", "second.csv", FORMULA, "-o", "second.moments"),
            ("fit", "first.moments", "second.moments", "-o", "x.nc", *FAST_OPTIONS),
        ],
    ),
    "a condition on sums": (
        ("fit", "first.moments", "-o", "x.nc", "--where", "price > 0"),
        "(priorhood moments TABLE FORMULA)",
        [
            ("moments", "first.csv", FORMULA, "-o", "y.moments", "--where", "price > 0"),
            ("fit", "y.moments", "-o", "x.nc", *FAST_OPTIONS),
        ],
    ),
    "weights of sums": (
        ("fit", "first.moments", "-o", "x.nc", "--se", "error"),
        "omit the option, or compute the sums again",
        [
            ("fit", "first.moments", "-o", "x.nc", *FAST_OPTIONS),
            ("moments", "first.csv", FORMULA, "-o", "z.moments", "--se", "error"),
            ("fit", "z.moments", "-o", "x.nc", "--se", "error", *FAST_OPTIONS),
        ],
    ),
    "sums for a posterior": (
        ("summary", "first.moments"),
        "priorhood fit first.moments -o post.nc computes a posterior",
        [("fit", "first.moments", "-o", "x.nc", *FAST_OPTIONS), ("summary", "x.nc")],
    ),
    "a comparison without rows": (
        ("compare", "post.nc", "other.nc"),
        ("pass the fit's table, --data", "--by place and --by evidence do not need it"),
        [
            ("compare", "post.nc", "other.nc", "--data", "sales.csv"),
            ("compare", "post.nc", "other.nc", "--by", "place"),
            ("compare", "post.nc", "other.nc", "--by", "evidence"),
        ],
    ),
    "a comparison with itself": (
        ("compare", "post.nc", "post.nc", "--by", "evidence"),
        "name each model once",
        [("compare", "post.nc", "other.nc", "--by", "evidence")],
    ),
    "a new place": (
        ("predict", "post.nc", "new.csv", "-o", "x.csv"),
        ("--unseen population", "--unseen draw"),
        [
            ("predict", "post.nc", "new.csv", "-o", "x.csv", "--unseen", "population"),
            ("predict", "post.nc", "new.csv", "-o", "x.csv", "--unseen", "draw"),
        ],
    ),
    "a column of the predictions' name": (
        ("predict", "post.nc", "clash.csv", "-o", "x.csv"),
        "a prefix, such as predicted_",
        [("predict", "post.nc", "clash.csv", "-o", "x.csv", "--prefix", "predicted_")],
    ),
    "a picture of another kind": (
        ("plot", "forest", "post.nc", "-o", "x.txt"),
        ".png",
        [("plot", "forest", "post.nc", "-o", "x.png")],
    ),
    "a posterior for a table": (
        ("fit", "sales.csv", FORMULA, "-o", "first.csv"),
        "this is the name of a table; use the extension .nc, e.g. 'first.nc'",
        [("fit", "sales.csv", FORMULA, "-o", "first.nc", *FAST_OPTIONS)],
    ),
    "a posterior for a page": (
        ("refit", "post.nc", "-o", "X.HTML"),
        "e.g. 'X.nc'",
        [("refit", "post.nc", "-o", "X.nc", *FAST_OPTIONS)],
    ),
    "sums for a picture": (
        ("moments", "sales.csv", FORMULA, "-o", "x.png"),
        "this is the name of a picture; use the extension .moments, e.g. 'x.moments'",
        [("moments", "sales.csv", FORMULA, "-o", "x.moments")],
    ),
    "a folder for a file": (
        ("refit", "post.nc", "-o", "."),
        "add the name of a file",
        [("refit", "post.nc", "-o", "./x.nc", *FAST_OPTIONS)],
    ),
    "a table over itself": (
        ("predict", "post.nc", "few.csv", "-o", "few.csv"),
        "it is read in the same run; choose another name",
        [("predict", "post.nc", "few.csv", "-o", "x.csv")],
    ),
    "a table of another kind": (
        ("predict", "post.nc", "few.csv", "-o", "x.xlsx"),
        "its extension must be one of '.csv'",
        [("predict", "post.nc", "few.csv", "-o", "x.csv")],
    ),
    "bytes as text": (
        ("predict", "post.nc", "bytes.parquet", "-o", "x.csv"),
        "write a Parquet file (.parquet)",
        [("predict", "post.nc", "bytes.parquet", "-o", "x.parquet")],
    ),
    "a map of another kind": (
        ("plot", "map", "post.nc", "--polygons", "zips.geojson", "-o", "x.txt"),
        "or .html",
        [("plot", "map", "post.nc", "--polygons", "zips.geojson", "-o", "x.html")],
    ),
    "polygons of the demo": (
        ("simulate", "-o", "s.csv", "--polygons", "s.shp"),
        "must end in .geojson or .json",
        [("simulate", "-o", "s.csv", "--polygons", "s.geojson")],
    ),
    "a report of another kind": (
        ("report", "post.nc", "-o", "x.pdf"),
        "must end in .html",
        [("report", "post.nc", "-o", "x.html")],
    ),
    "a table for polygons": (
        ("plot", "map", "post.nc", "--polygons", "sales.csv", "-o", "x.png"),
        "pass a file of polygons, such as GeoJSON",
        [("plot", "map", "post.nc", "--polygons", "zips.geojson", "-o", "x.png")],
    ),
    "a column of polygons that are not there": (
        ("report", "post.nc", "-o", "x.html", "--column", "zip"),
        "add --polygons",
        [("report", "post.nc", "-o", "x.html", "--column", "zip", "--polygons", "zips.geojson")],
    ),
    "a prior that the model has not": (
        ("refit", "pooled.nc", "-o", "x.nc", "--prior", "tau ~ HalfNormal(1)"),
        "the formula has no grouping term",
        [("refit", "post.nc", "-o", "x.nc", "--prior", "tau ~ HalfNormal(1)", *FAST_OPTIONS)],
    ),
    "a choice that a posterior has made": (
        ("calibrate", "post.nc", "--se", "error"),
        "requires a formula",
        [("calibrate", FORMULA, "sales.csv", "--se", "error", "--refits", "20")],
    ),
    "too high a minimum": (
        ("moments", "sales.csv", FORMULA, "-o", "x.moments", "--minimum", "1000"),
        "set a lower minimum (--minimum)",
        [("moments", "sales.csv", FORMULA, "-o", "x.moments", "--minimum", "2")],
    ),
    "a price of no home": (
        ("plot", "price", "post.nc", "-o", "x.png"),
        ("Pass --home TABLE", "--group 10115", "--at living_space=100"),
        [
            ("plot", "price", "post.nc", "-o", "x.png", "--group", "10115", "--at", "living_space=80"),
            ("plot", "price", "post.nc", "-o", "x.png", "--home", "few.csv"),
        ],
    ),
    "influence without places": (
        ("influence", "pooled.nc"),
        "pass --row …",
        [("influence", "pooled.nc", *FAST_OPTIONS, *HOME)],
    ),
    "a level without places left out": (
        ("compare", "post.nc", "other.nc", "--level", "zip", "--data", "sales.csv"),
        "use it with --by place",
        [("compare", "post.nc", "other.nc", "--level", "zip", "--by", "place")],
    ),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_do_what_their_messages_say(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    wrong, says, right = COMMANDS[name]
    ran = run_cli(*wrong)
    assert ran.code == 2
    said = " ".join(ran.err.split())
    for part in (says,) if isinstance(says, str) else says:
        assert part in said
    for command in right:
        ran = run_cli(*command)
        assert ran.code in (0, 1), ran.err  # 1: a verdict that asks for something


# -- tables as they come -----------------------------------------------------------------------------------


def mangled(folder: Path) -> None:
    """Tables with what keeps them from being read as they are."""
    rows = sales()[["zip", "living_space", "price"]].assign(price=sales()["price"].astype(int))
    price, size = rows["price"], rows["living_space"]
    tables = {
        "nulls": rows.assign(price=price.astype(str).where(rows.index > 1, "n/a")),
        "thousands": rows.assign(price=[f"{one:,}" for one in price]),
        "commas": rows.assign(living_space=[f"{one:.1f}".replace(".", ",") for one in size]),
        "zero": rows.assign(price=price.where(rows.index != 5, 0)),
        "dates": rows.assign(sold=pd.date_range("2020-01-01", periods=len(rows)).astype(str)),
        "kinds": rows.assign(kind=np.where(rows.index % 2 == 0, "K1", "K2")),
        "latin": rows.assign(town="Köln", zip="Köln " + rows["zip"]),
    }
    for name, frame in tables.items():
        frame.to_csv(
            folder / f"{name}.csv", index=False, sep=";" if name == "commas" else ",",
            encoding="latin-1" if name == "latin" else "utf-8",
        )  # fmt: skip
    (folder / "uneven.csv").write_text(rows.to_csv(index=False) + "10115,80,400000,5\n")
    (folder / "titled.csv").write_text("Sales of 2024\n\n" + rows.to_csv(index=False))
    (folder / "padded.csv").write_text("Sales of 2024,,\n" + rows.to_csv(index=False))
    (folder / "separator.csv").write_text("sep=;\n" + rows[["zip", "price"]].to_csv(index=False, sep=";"))
    (folder / "commented.csv.gz").write_bytes(
        gzip.compress(b"# Sales, of 2024\n" + rows.to_csv(index=False).encode())
    )
    (folder / "commented plain.csv").write_text("not to be written over")
    lines = rows.to_csv(index=False).splitlines(keepends=True)
    (folder / "named twice.csv").write_text("".join([*lines[:50], lines[0], *lines[50:]]))
    share = [f"{one / 3:.1f} %".replace(".", ",") for one in size]
    millions = [f"{one / 1e6:.3f}".replace(".", ",") + " Mio. €" for one in price]
    measured = rows.assign(living_space=[f"{one:.1f}" for one in size])
    measured.assign(price=[f"{one:,}".replace(",", ".") for one in price]).to_csv(
        folder / "pointed.csv", index=False
    )
    measured.assign(share=share).to_csv(folder / "shares.csv", index=False, sep=";")
    measured.assign(price=millions).to_csv(folder / "millions.csv", index=False, sep=";")
    (folder / "even.csv").write_text(rows.to_csv(index=False) + "10115,80,400000\n")
    with duckdb.connect(str(folder / "two.duckdb")) as database:
        database.execute("CREATE TABLE homes AS SELECT zip, living_space, price FROM rows")
        database.execute("CREATE TABLE others AS SELECT 1 AS one")
    with duckdb.connect(str(folder / "dated.duckdb")) as database:
        database.register("dated", tables["dates"])
        database.execute("CREATE TABLE homes AS SELECT * REPLACE (sold::TIMESTAMP AS sold) FROM dated")
    with duckdb.connect(str(folder / "both.duckdb")) as database:
        database.register("dated", tables["dates"])
        database.execute('CREATE SCHEMA "the town"; CREATE TABLE "the town"."our homes" AS FROM dated')
        database.execute("CREATE TABLE others AS SELECT 1 AS one")


# The table, the formula; what is said; how the table and options become what is said to do.
TABLES = {
    "texts that mean nothing": (("nulls.csv", FORMULA), "--null n/a", [("nulls.csv", FORMULA, "--null", "n/a")]),
    "texts to be left out": (
        ("nulls.csv", FORMULA),
        "filter them out (--where)",
        [("nulls.csv", FORMULA, "--where", "price <> 'n/a'")],
    ),
    "thousands": (("thousands.csv", FORMULA), "--thousands ','", [("thousands.csv", FORMULA, "--thousands", ",")]),
    "decimal commas": (("commas.csv", FORMULA), "--decimal ','", [("commas.csv", FORMULA, "--decimal", ",")]),
    "decimal commas as categories": (
        ("commas.csv", "price ~ C(living_space) + (1 | zip)"),
        "read the table with --decimal ',', and write living_space without C()",
        [("commas.csv", "price ~ living_space + (1 | zip)", "--decimal", ",")],
    ),
    "the log of nothing": (
        ("zero.csv", "log(price) ~ 1 + (1 | zip)"),
        "filter them out (--where)",
        [("zero.csv", "log(price) ~ 1 + (1 | zip)", "--where", "price > 0")],
    ),
    "names among the rows": (
        ("named twice.csv", FORMULA),
        """leave it out with --where "living_space <> 'living_space'\"""",
        [("named twice.csv", FORMULA, "--where", "living_space <> 'living_space'")],
    ),
    "a line that is longer": (("uneven.csv", FORMULA), "or leave it out", [("even.csv", FORMULA)]),
    "several tables": (
        ("two.duckdb", FORMULA),
        "name one of them, for example 'two.duckdb::homes'",
        [("two.duckdb::homes", FORMULA)],
    ),
    "a condition that is none": (
        ("sales.csv", FORMULA, "--where", "price >"),
        "write it like 'living_space > 0 and price > 0'",
        [("sales.csv", FORMULA, "--where", "living_space > 0 and price > 0")],
    ),
    **{
        f"a condition as written in Python: {wrong}": (
            ("kinds.csv", FORMULA, "--where", wrong),
            f"write {right!r}",
            [("kinds.csv", FORMULA, "--where", right)],
        )
        for wrong, right in (
            ("kind = K1", "kind = 'K1'"),
            ('kind = "K1"', "kind = 'K1'"),
            ("kind == K1", "kind == 'K1'"),
            ("kind in (K1, K2)", "kind in ('K1', 'K2')"),
            ("kind = ‘K1’", "kind = 'K1'"),
            ("(price > 1) & (living_space > 2)", "(price > 1) AND (living_space > 2)"),
            ("(price>1)&(kind==K1)", "(price>1) AND (kind=='K1')"),
            ("price < 1 | living_space > 2", "price < 1 OR living_space > 2"),
            ("~(price < 3)", "NOT (price < 3)"),
            ("price.notna() & kind.isin(['K1'])", "price IS NOT NULL AND kind IN ('K1')"),
        )
    },
    "a text compared with a number": (
        ("kinds.csv", FORMULA, "--where", "kind = 1"),
        "compare it with text in single quotes, like kind = 'K1'",
        [("kinds.csv", FORMULA, "--where", "kind = 'K1'")],
    ),
    "a text as true or false": (
        ("kinds.csv", FORMULA, "--where", "not kind"),
        "compare it with text in single quotes, like kind = 'K1'",
        [("kinds.csv", FORMULA, "--where", "not kind = 'K1'")],
    ),
    "a number compared with a text": (
        ("kinds.csv", FORMULA, "--where", "price > 'a'"),
        "compare it with a number, without quotes",
        [("kinds.csv", FORMULA, "--where", "price > 1")],
    ),
    "decimals with a comma in a condition": (
        ("kinds.csv", FORMULA, "--where", "living_space > 20,5"),
        "write decimals with a point",
        [("kinds.csv", FORMULA, "--where", "living_space > 20.5")],
    ),
    "polygons for a table": (
        ("zips.geojson", FORMULA),
        "tables are .csv, .tsv, .parquet or .jsonl",
        [("sales.csv", FORMULA)],
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_read_as_their_messages_say(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    wrong, says, right = TABLES[name]
    ran = run_cli("moments", *wrong, "-o", "read.moments")
    assert ran.code == 2
    assert says in " ".join(ran.err.split())
    for command in right:
        ran = run_cli("moments", *command, "-o", "read.moments")
        assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("table", "formula", "program", "written", "then"),
    [
        ("latin.csv", "price ~ 1 + (1 | zip)", "iconv ", "latin-utf8.csv", "price ~ 1 + (1 | zip)"),
        ("dates.csv", "price ~ sold + (1 | zip)", "python -c ", "dates days.csv", "price ~ days + (1 | zip)"),
        (
            "dated.duckdb",
            "price ~ sold + (1 | zip)",
            "python -c ",
            "dated days.parquet",
            "price ~ days + (1 | zip)",
        ),
        (
            "both.duckdb::the town.our homes",
            "price ~ sold + (1 | zip)",
            "python -c ",
            "both days.parquet",
            "price ~ days + (1 | zip)",
        ),
        ("titled.csv", "price ~ 1 + (1 | zip)", "tail ", "titled plain.csv", "price ~ 1 + (1 | zip)"),
        ("padded.csv", "price ~ 1 + (1 | zip)", "tail ", "padded plain.csv", "price ~ 1 + (1 | zip)"),
        ("separator.csv", "price ~ 1 + (1 | zip)", "tail ", "separator plain.csv", "price ~ 1 + (1 | zip)"),
        (
            "commented.csv.gz",
            "price ~ 1 + (1 | zip)",
            "gzip -dc ",
            "commented plain 2.csv",
            "price ~ 1 + (1 | zip)",
        ),
    ],
)
def test_programs_that_messages_name_write_what_can_be_read(
    table, formula, program, written, then, folder, monkeypatch
):
    """The command is taken from the message, letter by letter, and run by the shell."""
    monkeypatch.chdir(folder)
    if program != "python -c " and shutil.which(program.split()[0]) is None:
        pytest.skip(f"{program.split()[0]} is not installed")
    ran = run_cli("moments", table, formula, "-o", "read.moments")
    assert ran.code == 2
    command = ran.err[ran.err.index(program) :].strip().replace("python -c", f"{shlex.quote(sys.executable)} -c")
    subprocess.run(command, shell=True, check=True, cwd=folder)  # what a user would do
    assert (folder / written).is_file()
    ran = run_cli("moments", written, then, "-o", "read.moments")
    assert ran.code == 0, ran.err


SHARES = "price ~ living_space + share + (1 | zip)"


@pytest.mark.parametrize(
    ("table", "formula", "options"),
    [
        ("pointed", FORMULA, ()),
        ("pointed", FORMULA, ("--thousands", ".")),
        *(("shares", SHARES, options) for options in ((), ("--decimal", ","), ("--thousands", "."))),
        *(("millions", FORMULA, options) for options in ((), ("--decimal", ","), ("--thousands", "."))),
    ],
)
def test_tables_of_two_decimal_signs_are_read_once_one_column_is_converted(
    table, formula, options, folder, monkeypatch
):
    """Every command that a message names is run; no option that contradicts a column is named."""
    monkeypatch.chdir(folder)
    name = f"{table}.csv"
    for _ in range(4):
        ran = run_cli("moments", name, formula, *options, "-o", "read.moments")
        if "python -c " not in ran.err:
            break
        command = next(line for line in ran.err.splitlines() if "python -c " in line)
        command = command[command.index("python -c ") :].replace("python -c", f"{shlex.quote(sys.executable)} -c")
        subprocess.run(command, shell=True, check=True, cwd=folder)
        name = shlex.split(command)[-1].rpartition("d.to_csv('")[2].partition("'")[0]
    assert ran.code == 0, ran.err
    found, size = ph.load_moments(folder / "read.moments"), sales()["living_space"]
    means = dict(zip(found.moments.columns, found.moments.pooled()[0], strict=True))
    assert means["living_space"] == pytest.approx(size.mean(), abs=0.1)
    assert means["price"] == pytest.approx(sales()["price"].mean(), rel=0.01)

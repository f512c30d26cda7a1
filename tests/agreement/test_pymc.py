"""From a posterior to PyMC and back: its draws under the names of a PyMC model's variables (Posterior.for_pymc).

With the draws given, PyMC's y = m + s e has an error e of known distribution for every draw and row. So e, brought
to a standard Normal by its distribution function, is n = rows × draws independent standard Normal numbers: |Σ e|/√n
and |Σ e² − n|/√(2n) lie above 5 in one of 10⁶ right models. Against predict(), the shares of PyMC's draws below its
quantiles are means of independent indicators: 5.5 standard errors are exceeded in one of 10⁷.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import priorhood as ph
from priorhood.data.sources.table import read
from priorhood.posterior.posterior import assemble
from priorhood.posterior.predictive import draw_prior
from priorhood.suffstats.fit_data import FitData
from table_moments import design_and_moments

pytestmark = [
    pytest.mark.filterwarnings(r"ignore:\s*ArviZ is undergoing:FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:pytensor"),
]
FAST = {"mode": "FAST_COMPILE"}
CHAINS, DRAWS = 2, 250


def _pymc():
    pytest.importorskip("pymc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pymc
    return pymc


def table(rows: int, seed: int) -> pd.DataFrame:
    """Homes in 8 places of 4 districts of 2 cities, of 3 kinds, with errors and weights of their own."""
    rng = np.random.default_rng(seed)
    z = np.concatenate([np.arange(8), rng.integers(0, 8, rows - 8)])
    x, v = rng.normal(5, 2, rows), rng.normal(0, 1, rows)
    return pd.DataFrame(
        {
            "city": np.array(["B", "A"])[z % 2],
            "district": np.array(["north", "south"])[z // 2 % 2],
            "zip": [f"{k // 4}" for k in z],
            "place": [f"p{k}" for k in z],
            "kind": np.tile(["flat", "house", "loft"], rows)[:rows],
            "x": x,
            "v": v,
            "e": rng.uniform(10, 60, rows),
            "w": 10.0 ** rng.uniform(-1, 1, rows),
            "n": rng.integers(1, 5, rows),
            "y": 300 + 20 * x + 5 * v + 30 * np.sin(z) + 40 * rng.normal(size=rows),
        }
    )


ROWS = table(90, 1)
NEW = table(24, 2).drop(columns="y")
TAU = ["tau ~ HalfNormal(1)", "sigma ~ HalfNormal(1)"]
NEAR = ["mu ~ Normal(0, 1)", "nu ~ Gamma(20, 0.5)"]  # no draw from the prior beyond the largest number
MODELS = {
    "pooled": ph.Model("y ~ x + kind"),
    "correlated": ph.Model("y ~ x + (x | place)", TAU),
    "correlated, three terms": ph.Model("y ~ x + v + (x + v | place)", TAU),
    "correlated, a category": ph.Model("y ~ x + kind + (0 + kind | place)", TAU),
    "correlated, two families": ph.Model("y ~ x + (x | place)", ["tau[x] ~ Gamma(2, 0.5)"]),
    "correlated, bounded": ph.Model("y ~ x + v + (x + v | place)", ["tau ~ Uniform(0.01, 2)"]),
    "independent": ph.Model("y ~ x + (x || place)", TAU),
    "independent, two families": ph.Model("y ~ x + (x || place)", ["tau[x] ~ Gamma(2, 0.5)"]),
    "a known spread": ph.Model("y ~ x + (x || place)", ["tau[x] ~ Fixed(0.3)"]),
    "no population": ph.Model("y ~ 0 + x + (1 | place)", TAU),
    "nested": ph.Model("y ~ x + (x | district/zip)", TAU),
    "three levels": ph.Model("y ~ x + (x || city/district/zip)", TAU),
    "levels with terms of their own": ph.Model(
        "y ~ x + (1 | city) + (x | city:district) + (1 | city:district:zip)", TAU
    ),
    "crossed": ph.Model("y ~ x + (x | place) + (1 + x | kind)", TAU),
    "nested and crossed": ph.Model("y ~ x + (1 | district/zip) + (0 + x | kind)", TAU),
    "noise alike": ph.Model("y ~ x + (x || place)", noise="place"),
    "noise apart": ph.Model("y ~ x + (1 | place)", ["sigma ~ Exponential(1)"], noise="place"),
    "known errors": ph.Model("y ~ x + (x | place)", TAU[:1], se="e"),
    "precision": ph.Model("y ~ x + (x | place)", TAU, precision_weights="w"),
    "frequency": ph.Model("y ~ x + (x | place)", TAU, frequency_weights="n"),
    "log": ph.Model("log(y) ~ log(x**2) + (log(x**2) | place)", TAU),
    "log, another unit": ph.Model("log(y) ~ x + (1 | place)", TAU, outcome_unit=0.1),
    "Student": ph.Model("y ~ x + (x | place)", [*TAU, "nu ~ Gamma(2, 8)"], family="student"),
    "Student, noise": ph.Model("y ~ x + (1 | place)", family="student", noise="place"),
    "Student, log": ph.Model("log(y) ~ x + (1 | place)", [*TAU, *NEAR], family="student"),
}
SLOW = {
    "correlated, three terms", "no population", "three levels", "noise apart", "precision", "log, another unit",
    "Student, noise", "a known spread", "independent",
}  # fmt: skip


def posterior(name: str) -> ph.Posterior:
    """Of the rows by the exact engine; of a model that only NUTS takes draws from the prior, which serve too."""
    model = MODELS[name]
    if model.family == "normal":
        return ph.fit(model, ROWS, chains=CHAINS, draws=DRAWS, seed=3)
    design, found = design_and_moments(read(ROWS), model.formula)
    data = FitData.learn(model, design, found)
    one = draw_prior(data, CHAINS * DRAWS, np.random.default_rng(4))
    facts = {"engine": "prior", "notes": "[]", "seed": 4, "store": "draws"}
    return assemble(data, replace(one, stats={"lp": np.zeros(one.mu.shape[:2])}), facts)


def forward(model, given, caplog, **options):
    """PyMC's draws of y (S, rows), and the names of the variables that it drew anew."""
    pm = _pymc()
    caplog.clear()
    with caplog.at_level(logging.INFO, logger="pymc"), warnings.catch_warnings(), model:
        warnings.simplefilter("ignore")
        found = pm.sample_posterior_predictive(
            given, random_seed=8, progressbar=False, compile_kwargs=dict(FAST), **options
        )
    said = next(r.getMessage() for r in caplog.records if r.getMessage().startswith("Sampling: ["))
    y = np.asarray(found["predictions" if options.get("predictions") else "posterior_predictive"]["y"])
    return y.reshape(-1, y.shape[-1]), set(said[len("Sampling: [") : -1].split(", "))


def errors(post: ph.Posterior, rows: pd.DataFrame, y: np.ndarray) -> np.ndarray:
    """What e in y = m + s e was, as standard Normal numbers (S, rows): m and s written out from the draws."""
    model, unit, S = post.model, post.scale.unit, len(y)
    flat = {name: np.asarray(post[name]).reshape(S, *post[name].shape[2:]) for name in post.parameters}
    if model.se:
        s = np.broadcast_to(rows["e"].to_numpy(), y.shape)
    elif model.noise:
        at = {label: i for i, label in enumerate(post["sigma"]["place"].values.tolist())}
        s = unit * flat["sigma"][:, [at[p] for p in rows["place"]]]
    else:
        s = unit * np.broadcast_to(flat["sigma"][:, None], y.shape)
    if model.precision_weights:
        s = s / np.sqrt(rows["w"].to_numpy())
    m = np.asarray(post.expected(rows)).reshape(S, -1)
    if model.formula.log_outcome:
        y = np.log(y)
        # expected() is the mean of exp(y) with Normal errors, exp of the centre with Student's.
        m = np.log(m) - (0.5 * s**2 if model.family == "normal" else 0)
    e = (y - m) / s
    if model.family == "normal":
        return e
    # Beyond 8 sds a distribution function of doubles has no more to say.
    return stats.norm.ppf(stats.t(flat["nu"][:, None]).cdf(e).clip(1e-15, 1 - 1e-15))


def assert_standard_normal(e: np.ndarray) -> None:
    n = e.size
    assert abs(e.sum()) / np.sqrt(n) < 5
    assert abs((e**2).sum() - n) / np.sqrt(2 * n) < 5


def assert_predicted(post: ph.Posterior, rows: pd.DataFrame, y: np.ndarray) -> None:
    levels = (0.05, 0.5, 0.95)
    found = post.predict(rows, quantiles=levels)
    for level in levels:
        share = (y < found[f"q{100 * level:g}"].to_numpy()).mean(axis=0)
        # Student's quantiles hold to 4e-4 in probability, see predict.
        assert np.abs(share - level).max() < 5.5 * np.sqrt(level * (1 - level) / len(y)) + 4e-4


@pytest.mark.parametrize("parameterization", ["centered", "noncentered"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in MODELS])
def test_pymc_predicts_rows_seen_and_new_as_we_do(name, parameterization, caplog):
    """y alone is drawn anew, around what our draws say of its row, with errors of its distribution."""
    pm, post = _pymc(), posterior(name)
    model = post.model.to_pymc(ROWS, parameterization)
    given = post.for_pymc(model)
    y, drawn = forward(model, given, caplog)
    assert drawn == {"y"}
    assert_standard_normal(errors(post, ROWS, y))
    assert_predicted(post, ROWS, y)
    with model:
        pm.set_data(**post.rows_for_pymc(NEW))
    y, drawn = forward(model, given, caplog, predictions=True)
    assert drawn == {"y"}
    assert y.shape == (CHAINS * DRAWS, len(NEW))
    assert_standard_normal(errors(post, NEW, y))
    assert_predicted(post, NEW, y)


@pytest.mark.parametrize("parameterization", ["centered", "noncentered"])
@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in MODELS])
def test_every_variable_is_what_the_parameters_say(name, parameterization):
    """PyMC's own mu, beta, tau, omega and sigma, computed from the variables that it draws, are ours."""
    post = posterior(name)
    model = post.model.to_pymc(ROWS, parameterization)
    given = post.for_pymc(model)["posterior"]
    wanted = [n for n in post.parameters if model[n] not in model.free_RVs]
    free = [v.name for v in model.free_RVs]
    if not wanted:
        assert set(free) <= set(post.parameters)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        compute = model.compile_fn(
            [model[n] for n in wanted], inputs=model.free_RVs, point_fn=False, mode="FAST_COMPILE",
            on_unused_input="ignore",
        )  # fmt: skip
    for chain, draw in [(0, 0), (0, 7), (-1, -1)]:
        found = compute(*(np.asarray(given[n])[chain, draw] for n in free))
        for parameter, value in zip(wanted, found, strict=True):
            np.testing.assert_allclose(value, np.asarray(post[parameter])[chain, draw], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["correlated", "independent"])
def test_a_posterior_that_is_not_completed_is_found_out(name, caplog):
    """The control: PyMC draws the places from the prior, and the errors are not standard Normal.

    The non-centred form, since PyMC 6 keeps a centred one's beta, though it draws what that depends on.
    """
    post = posterior(name)
    model = post.model.to_pymc(ROWS, "noncentered")
    bare = [{n: np.asarray(post[n])[0, s] for n in post.parameters} for s in range(DRAWS)]
    y, drawn = forward(model, bare, caplog)
    assert drawn > {"y"}
    one = replace(post, tree=post.tree.sel(chain=[0]))
    with pytest.raises(AssertionError):
        assert_standard_normal(errors(one, ROWS, y))
    with pytest.raises(AssertionError):
        assert_predicted(one, ROWS, y)


# -- log-likelihoods ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["correlated", "log, another unit", "known errors", "frequency", "Student, log"])
def test_log_likelihoods_are_on_one_scale(name):
    """Of every draw and row, in the outcome's own units: to rounding."""
    pm, post = _pymc(), posterior(name)
    model = post.model.to_pymc(ROWS, "noncentered")
    with warnings.catch_warnings(), model:
        warnings.simplefilter("ignore")
        given = pm.compute_log_likelihood(post.for_pymc(model), progressbar=False, compile_kwargs=dict(FAST))
    ours = ph.posterior_predictive(post, ROWS)["log_likelihood"]["y"]
    np.testing.assert_allclose(np.asarray(given["log_likelihood"]["y"]), ours.values, rtol=1e-8, atol=1e-8)


def test_arviz_compares_models_of_both_without_taking_a_unit_for_a_finding(tmp_path):
    pm = _pymc()
    az = pytest.importorskip("arviz")
    post = posterior("correlated")
    model = post.model.to_pymc(ROWS)
    with warnings.catch_warnings(), model:
        warnings.simplefilter("ignore")
        theirs = pm.compute_log_likelihood(post.for_pymc(model), progressbar=False, compile_kwargs=dict(FAST))
    post.attach(ph.posterior_predictive(post, ROWS)).save(tmp_path / "post.nc")
    ours = az.from_netcdf(tmp_path / "post.nc")
    other = ph.fit("y ~ 1", ROWS, chains=CHAINS, draws=DRAWS, seed=3)
    other.attach(ph.posterior_predictive(other, ROWS)).save(tmp_path / "other.nc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        elpd = [float(getattr(az.loo(one), "elpd_loo", None) or az.loo(one).elpd) for one in (ours, theirs)]
        found = az.compare({"ours": ours, "pymc": theirs, "other": az.from_netcdf(tmp_path / "other.nc")})
    assert elpd[0] == pytest.approx(elpd[1], abs=1e-6)
    assert list(found.index[:2]) in (["ours", "pymc"], ["pymc", "ours"])
    assert abs(float(found["elpd_diff"].iloc[1])) < 1e-6
    # 90 rows × log(100) would be 414.
    assert 5 < abs(float(found["elpd_diff"].iloc[2])) < 200


# -- other rows, other models ------------------------------------------------------------------------------


def test_summaries_are_drawn_and_files_are_as_good(caplog, tmp_path):
    ph.fit(MODELS["correlated"], ROWS, chains=CHAINS, draws=DRAWS, seed=3, store="summaries").save(
        tmp_path / "post.nc"
    )
    post = ph.load(tmp_path / "post.nc")
    assert post.summed
    model = post.model.to_pymc(ROWS, "noncentered")
    y, drawn = forward(model, post.for_pymc(model), caplog)
    assert drawn == {"y"}
    sigma = np.asarray(post["sigma"]).reshape(-1, 1) * post.scale.unit
    assert_standard_normal((y - np.asarray(post.expected(ROWS)).reshape(y.shape)) / sigma)
    assert_predicted(post, ROWS, y)


def test_a_model_of_any_rows_has_the_posteriors_scale(caplog):
    """New rows learn another scale; Posterior.to_pymc keeps the posterior's, and knows no outcome of theirs."""
    post = posterior("crossed")
    with pytest.raises(
        ph.ModelError, match=r"standardizes 'x' with .* posterior with .*Posterior\.to_pymc\(rows\)"
    ):
        post.for_pymc(post.model.to_pymc(ROWS.iloc[:80]))
    model = post.to_pymc(NEW, "noncentered")
    assert np.isnan(model["outcome"].get_value()).all()
    y, drawn = forward(model, post.for_pymc(model), caplog)
    assert drawn == {"y"}
    assert_standard_normal(errors(post, NEW, y))
    seen = post.to_pymc(ROWS)
    for name, held in post.model.to_pymc(ROWS).named_vars.items():
        if held in seen.data_vars:
            np.testing.assert_allclose(seen[name].get_value(), held.get_value(), rtol=1e-12)


def test_rows_that_cannot_be_used_are_said_and_counted():
    post = posterior("correlated")
    rows = NEW.assign(x=NEW["x"].where(NEW.index != 3))
    with pytest.warns(ph.PriorhoodWarning, match=r"1 of 24 rows are left out \(.*x.*\)"):
        found = post.rows_for_pymc(rows)
    assert found["coords"]["row"].tolist() == [i for i in range(24) if i != 3]
    assert len(found["new_data"]["X"]) == 23
    with pytest.raises(ph.TableError, match=r"place .*p99.* was not in the data of.*predict\(rows, unseen="):
        post.rows_for_pymc(NEW.assign(place=["p99", *NEW["place"][1:]]))
    assert post.predict(NEW.assign(place="p99"), unseen="draw")["status"].eq("new").all()
    nested = posterior("nested")
    with pytest.raises(ph.TableError, match=r"24 rows lack their place.*\(district, zip\).*predict\(rows\)"):
        nested.rows_for_pymc(NEW.drop(columns="district"))
    assert nested.predict(NEW.drop(columns="district"))["status"].eq("unknown").all()


def test_other_models_are_refused_with_what_differs():
    pm, post = _pymc(), posterior("correlated")
    with pm.Model() as stranger:
        pm.Normal("y", observed=[1.0])
    with pytest.raises(ph.ModelError, match=r"no variable 'X'.*Posterior\.to_pymc"):
        post.for_pymc(stranger)
    for formula, options, says in [
        ("log(y) ~ x + (x | place)", {}, "outcome of the PyMC model is 'log\\(y\\)', that of the posterior 'y'"),
        ("y ~ v + (v | place)", {}, "differ in column: .*'?x"),
        ("y ~ x + (x || place)", {}, "the posterior has omega, but the PyMC model does not"),
        ("y ~ x + (x | place)", {"family": "student"}, "the PyMC model has nu, but the posterior does not"),
        ("y ~ x + (x | place)", {"precision_weights": "w"}, "the PyMC model has precision_weights"),
        ("y ~ x + (x | place)", {"outcome_unit": 10}, "units of 10, the posterior's in units of 100"),
    ]:
        with pytest.raises(ph.ModelError, match=says):
            post.for_pymc(ph.Model(formula, **options).to_pymc(ROWS))
    with pytest.raises(ph.ModelError, match=r"differ in place: .*p0.*Posterior\.to_pymc\(rows\)"):
        post.for_pymc(post.model.to_pymc(ROWS[ROWS["place"] != "p0"]))
    with post.model.to_pymc(ROWS) as extended:
        pm.HalfNormal("extra")
    with pytest.raises(ph.ModelError, match=r"variable 'extra'.*call for_pymc before you extend"):
        post.for_pymc(extended)


@pytest.mark.parametrize("name", ["se", "nu", "sigma_z"])
def test_a_group_may_be_called_like_what_the_model_lacks(name, caplog):
    rows = ROWS.rename(columns={"place": name})
    post = ph.fit(ph.Model(f"y ~ x + (x | {name})", TAU), rows, chains=CHAINS, draws=DRAWS, seed=3)
    model = post.model.to_pymc(rows)
    y, drawn = forward(model, post.for_pymc(model), caplog)
    assert drawn == {"y"}
    assert_predicted(post, rows, y)


@pytest.mark.parametrize("name", ["row", "response", "z", "spread", "X", "outcome"])
def test_a_group_called_like_a_name_of_the_model_is_refused(name):
    rows = ROWS.rename(columns={"place": name})
    with pytest.raises(ph.ModelError, match=f"a group cannot be called '{name}'.*rename it"):
        ph.Model(f"y ~ x + (x | {name})").to_pymc(rows)

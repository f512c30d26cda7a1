"""Draws from prior and posterior against the obvious loop, scipy's distributions, and themselves."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pytest
import xarray as xr
from scipy import stats
from scipy.special import ndtri

import priorhood as ph
from priorhood.engines.draws import Draws, Effects
from priorhood.posterior import predictive
from priorhood.posterior.posterior import assemble
from priorhood.prediction import predict
from priorhood.prediction.coefficients import HEAVY, NOISE, stream
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.standardize import learn_scale
from table_moments import design_and_moments

MODELS = {
    "slopes": ph.Model("price ~ living_space + (living_space | zip)"),
    "pooled": ph.Model("price ~ living_space"),
    "intercepts": ph.Model("price ~ living_space + (1 | zip)"),
    "log": ph.Model("log(price) ~ living_space + (living_space || zip)"),
    "noise": ph.Model("price ~ living_space + (living_space | zip)", "sigma ~ Exponential(5)", noise="zip"),
    "noise, alike": ph.Model("price ~ living_space + (living_space | zip)", noise="zip"),
    "student": ph.Model("price ~ living_space + (living_space | zip)", family="student"),
    "student, noise, log": ph.Model("log(price) ~ living_space + (1 | zip)", family="student", noise="zip"),
    "se": ph.Model("price ~ living_space + (1 | zip)", se="error"),
    "se, log": ph.Model("log(price) ~ living_space + (1 | zip)", se="error"),
    "precision": ph.Model("price ~ living_space + (1 | zip)", precision_weights="w"),
    "weights, noise, log": ph.Model(
        "log(price) ~ living_space + (1 | zip)", noise="zip", precision_weights="w", frequency_weights="n"
    ),
}


@pytest.fixture(scope="module")
def table(sales):
    """Sales with a positive price and its standard error."""
    at = np.arange(len(sales))
    price = sales["price"].clip(lower=20_000.0)
    return sales.assign(price=price, error=0.05 + 0.03 * (at % 5), w=1.0 + at % 4, n=1 + at % 3)


def drawn(model, table, chains=2, draws=60, seed=11):
    """A posterior of any model without an engine: draws around parameters that fit a little."""
    rng = np.random.default_rng(seed)
    if model.se and not model.formula.log_outcome:
        table = table.assign(error=table["error"] * 1e5)
    design, found = design_and_moments(ph.read(table), model.formula, weights=model.weights)
    scale = learn_scale(found, design, standardize=True, unit=None)
    shape, J = (chains, draws), len(found.n)
    F = len(design.population_columns)
    level = float(found.pooled()[0][-1] / scale.unit)
    mu = rng.normal(0.3, 0.1, (*shape, F)) + np.array([level, *np.zeros(F - 1)])
    beta = tau = omega = None
    if model.formula.levels:
        K = len(design.level_columns(0))
        beta = rng.normal(0, 0.3, (*shape, J, K)) + mu[..., None, :K]
        tau = rng.uniform(0.2, 0.4, (*shape, K))
        if model.formula.levels[0].correlated and K > 1:
            omega = np.broadcast_to(np.array([[1, 0.5], [0.5, 1]]), (*shape, 2, 2)).copy()
    sigma = None
    if model.se is None:
        sigma = rng.uniform(0.4, 0.9, (*shape, J) if model.noise else shape)
    nu = rng.uniform(3, 8, shape) if model.family == "student" else None
    effects = (Effects(beta, tau, omega),) if model.formula.levels else ()
    alike = "sigma_median" in model.priors
    draws_ = Draws(
        mu, effects, sigma, stats={"lp": rng.normal(size=shape), "diverging": np.zeros(shape, bool)}, nu=nu,
        facts={"engine": "nuts", "engine_reason": "a test's"},
        sigma_median=rng.uniform(0.5, 0.7, shape) if alike else None,
        sigma_spread=rng.uniform(0.1, 0.4, shape) if alike else None,
    )  # fmt: skip
    return assemble(FitData(model, design, found, scale), draws_, {"seed": 3, "notes": "[]"})


@pytest.fixture(scope="module")
def posts(table):
    return {name: drawn(model, table) for name, model in MODELS.items()}


def own_table(name, table):
    return table.assign(error=table["error"] * 1e5) if name == "se" else table


def loop(post, frame):
    """For every row: xᵀβ, sd and nu of every draw, standardized, one number at a time."""
    model, scale = post.model, post.scale
    tree = post.tree["posterior"].to_dataset().stack(sample=("chain", "draw"))
    S = tree.sizes["sample"]
    for i in range(len(frame)):
        row = frame.iloc[i]
        x = (row["living_space"] - scale.centre[1]) / scale.spread[1]
        m, s = np.empty(S), np.empty(S)
        for at in range(S):
            one = tree.isel(sample=at)
            a, b = one["mu"].values if "mu" in one else (0.0, 0.0)
            if "beta" in one:
                own = one["beta"].sel(zip=row["zip"])
                a = float(own[0])
                b = float(own[1]) if own.size > 1 else b
            m[at] = a + b * x
            if model.se:
                s[at] = row["error"] / scale.unit
            else:
                s[at] = one["sigma"].sel(zip=row["zip"]) if model.noise else one["sigma"]
            if model.precision_weights:
                s[at] /= np.sqrt(row["w"])
        yield m, s


# -- the posterior ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_draws_against_the_obvious_loop(posts, table, name):
    post = posts[name]
    frame = own_table(name, table)
    found = predictive.posterior_predictive(post, frame, seed=8)
    values = found["posterior_predictive"]["price"].stack(sample=("chain", "draw"))
    S = values.sizes["sample"]
    logged = name.endswith("log")
    picked = [0, 1, 130, 255, 256, 299]  # two blocks of random numbers
    for i, (m, s) in zip(picked, loop(post, frame.iloc[picked]), strict=True):
        z = stream(8, NOISE, i // 256).standard_normal((256, S))[i % 256]
        if post.model.family == "student":
            nu = post["nu"].values.ravel()
            z = z / np.sqrt(stream(8, HEAVY, i // 256).standard_gamma(nu / 2, (256, S))[i % 256] / (nu / 2))
        y = (m + s * z) * post.scale.unit
        np.testing.assert_allclose(values.sel(row=i).values, np.exp(y) if logged else y, rtol=1e-9)
    drawn_too = post.predict_draws(frame, seed=8)
    np.testing.assert_array_equal(drawn_too.values, found["posterior_predictive"]["price"].values)


@pytest.mark.parametrize("name", MODELS)
def test_log_likelihood_against_scipy(posts, table, name):
    post = posts[name]
    frame = own_table(name, table)
    found = predictive.posterior_predictive(post, frame)["log_likelihood"]["price"].stack(sample=("chain", "draw"))
    unit = post.scale.unit
    picked = [0, 7, 256, 298]
    for i, (m, s) in zip(picked, loop(post, frame.iloc[picked]), strict=True):
        price = frame["price"].iloc[i]
        y, jacobian = (np.log(price), -np.log(price)) if name.endswith("log") else (price, 0.0)
        if post.model.family == "student":
            expected = stats.t.logpdf(y, post["nu"].values.ravel(), m * unit, s * unit)
        else:
            expected = stats.norm.logpdf(y, m * unit, s * unit)
        np.testing.assert_allclose(found.sel(row=i).values, expected + jacobian, rtol=1e-9)


@pytest.mark.parametrize(
    "name", ["noise", "noise, alike", "log", "student", "student, noise, log", "se", "se, log"]
)
def test_the_likelihood_is_a_density_of_the_outcome_in_its_own_units(posts, table, name):
    """Its integral over all outcomes is 1, for every draw."""
    post = posts[name]
    row = own_table(name, table).iloc[[5]]
    # Equal steps of probability far into the tails of a wide Normal; of the log where outcomes are positive.
    reach = ndtri(np.linspace(1e-12, 1 - 1e-12, 4001))
    draws = predictive.posterior_predictive(post, row)["posterior_predictive"]["price"].values
    logged = name.endswith("log")
    centre = np.median(np.log(draws) if logged else draws)
    width = 8 * np.std(np.log(draws) if logged else draws)
    grid = np.sort(np.concatenate([centre + width * reach, centre + width * np.linspace(-40, 40, 4000)]))
    frame = pd.concat([row] * len(grid), ignore_index=True).assign(price=np.exp(grid) if logged else grid)
    found = predictive.posterior_predictive(post, frame)["log_likelihood"]["price"].values.reshape(-1, len(grid))
    # ∫ p(y) dy over the grid; by d log y where that is the grid.
    area = np.trapezoid(np.exp(found) * (np.exp(grid) if logged else 1.0), grid, axis=1)
    # The heaviest tail, nu = 3, has less than 1e-4 beyond 40 widths.
    np.testing.assert_allclose(area, 1.0, atol=2e-3)


def test_labels_dimensions_and_attributes(posts, table):
    post = posts["slopes"]
    found = predictive.posterior_predictive(post, table)
    assert list(found.children) == [
        "posterior", "sample_stats", "posterior_predictive", "log_likelihood", "observed_data",
    ]  # fmt: skip
    for group in ("posterior_predictive", "log_likelihood"):
        assert found[group]["price"].dims == ("chain", "draw", "row")
        assert found[group]["price"].dtype == np.float64
        assert found[group]["row"].values.tolist() == list(range(300))
        assert found[group]["zip"].dims == ("row",)
        assert found[group]["zip"].values.tolist() == table["zip"].tolist()
    np.testing.assert_allclose(found["observed_data"]["price"], table["price"], rtol=1e-14)
    xr.testing.assert_identical(found["posterior"].to_dataset(), post.tree["posterior"].to_dataset())
    assert ph.Model.from_dict(json.loads(found.attrs["model"])) == post.model
    assert json.loads(found.attrs["scale"]) == post.scale.to_dict()
    assert (found.attrs["seed"], found.attrs["rows_read"], found.attrs["rows_used"]) == (3, 300, 300)
    assert found["posterior_predictive"].attrs["seed"] == 3
    without = predictive.posterior_predictive(post, table, log_likelihood=False)
    assert "log_likelihood" not in without.children


def test_threads_and_chunks_do_not_matter(posts, table, monkeypatch):
    for name in ("slopes", "student, noise, log"):
        whole = predictive.posterior_predictive(posts[name], table)
        for threads, chunk in ((1, 2**19), (5, 1000), (2, 1)):
            monkeypatch.setattr(predict, "cores", lambda threads=threads: threads)
            monkeypatch.setattr(predict, "CHUNK", chunk)
            again = predictive.posterior_predictive(posts[name], table)
            for group in ("posterior_predictive", "log_likelihood"):
                np.testing.assert_allclose(again[group]["price"], whole[group]["price"], rtol=1e-11)
        # Rows that come after change nothing.
        part = predictive.posterior_predictive(posts[name], table.iloc[:290])
        first = whole["posterior_predictive"]["price"][:, :, :290]
        np.testing.assert_allclose(part["posterior_predictive"]["price"], first, rtol=1e-11)


def test_memory_is_the_result_and_chunks(table):
    post = drawn(MODELS["slopes"], table, chains=2, draws=500)
    frame = pd.concat([table] * 20, ignore_index=True)
    predictive.posterior_predictive(post, table)  # imports and caches
    tracemalloc.start()
    found = predictive.posterior_predictive(post, frame)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    result = sum(found[g]["price"].nbytes for g in ("posterior_predictive", "log_likelihood"))
    threads = predict.cores()
    # A chunk: locations, errors and what is written, with room for one more.
    assert peak - result < 20e6 + threads * 4 * 8 * predict.CHUNK


def test_rows_left_out_are_counted_and_change_nothing(posts, table):
    rows = table.reset_index(drop=True)
    rows["zip"] = rows["zip"].astype(object)
    rows.loc[1, "living_space"] = np.nan
    rows.loc[2, "zip"] = None
    rows.loc[258, "price"] = np.nan
    rows.loc[259, "living_space"] = np.inf
    rows.loc[[260, 261], "price"] = -5.0  # no logarithm
    post = posts["log"]
    whole = predictive.posterior_predictive(post, table)
    found = predictive.posterior_predictive(post, rows)
    kept = np.setdiff1d(np.arange(300), [1, 2, 258, 259, 260, 261])
    assert found["log_likelihood"]["row"].values.tolist() == kept.tolist()
    assert json.loads(found.attrs["rows_dropped"]) == [
        ["missing", "price", 1],
        ["missing", "living_space", 1],
        ["missing", "zip", 1],
        ["impossible value", "", 3],
    ]
    assert (found.attrs["rows_read"], found.attrs["rows_used"]) == (300, 294)
    for group in ("posterior_predictive", "log_likelihood"):
        expected = whole[group]["price"].sel(row=kept)
        np.testing.assert_allclose(found[group]["price"], expected, rtol=1e-11)
    np.testing.assert_allclose(found["observed_data"]["price"], table["price"].iloc[kept])
    kept_too = predictive.posterior_predictive(post, ph.read(rows, where="living_space > 80"))
    assert kept_too["observed_data"]["row"].values.tolist() == [
        i for i in kept if table["living_space"].iloc[i] > 80
    ]
    assert json.loads(kept_too.attrs["rows_dropped"])[0][0] == "where condition not met"
    with pytest.raises(ph.ModelError, match=r"none of the 2 rows can be used .*missing 'price'"):
        predictive.posterior_predictive(post, table.head(2).assign(price=np.nan))


def test_weights_of_rows(posts, table):
    """Without the column of precisions a row has weight 1; one of 0 equal rows is not there."""
    post = posts["weights, noise, log"]
    rows = table.reset_index(drop=True).assign(n=table["n"].astype(float))
    rows.loc[[2, 3], "n"] = 0
    rows.loc[[4], "n"] = np.nan
    rows.loc[5, "w"] = np.nan
    rows.loc[6, "w"] = -1.0
    rows.loc[2, "zip"] = "new"  # of no row that is there
    found = predictive.posterior_predictive(post, rows, seed=8)
    kept = np.setdiff1d(np.arange(300), range(2, 7))
    assert found["log_likelihood"]["row"].values.tolist() == kept.tolist()
    assert json.loads(found.attrs["rows_dropped"]) == [
        ["missing", "w", 1], ["missing", "n", 1], ["frequency weight of 0 in", "n", 2], ["impossible value", "", 1],
    ]  # fmt: skip
    bare = predictive.posterior_predictive(post, table.drop(columns=["w", "n"]), seed=8)
    ones = predictive.posterior_predictive(post, table.assign(w=1), seed=8)
    for group in ("posterior_predictive", "log_likelihood"):
        np.testing.assert_array_equal(bare[group]["price"], ones[group]["price"])


@pytest.mark.parametrize("make", [pl.from_pandas, "csv"], ids=["polars", "csv"])
@pytest.mark.parametrize("name", ["noise", "se"])
def test_other_kinds_of_tables(posts, table, tmp_path, name, make):
    frame = own_table(name, table)
    if make == "csv":
        frame.to_csv(tmp_path / "rows.csv", index=False)
        source = tmp_path / "rows.csv"
    else:
        source = make(frame)
    found, expected = (predictive.posterior_predictive(posts[name], t) for t in (source, frame))
    for group in ("posterior_predictive", "log_likelihood"):
        np.testing.assert_allclose(found[group]["price"], expected[group]["price"], rtol=1e-11)


def test_without_an_outcome_there_is_nothing_observed(posts, table):
    found = predictive.posterior_predictive(posts["log"], table.drop(columns="price"))
    assert list(found.children) == ["posterior", "sample_stats", "posterior_predictive"]
    whole = predictive.posterior_predictive(posts["log"], table)
    np.testing.assert_array_equal(found["posterior_predictive"]["price"], whole["posterior_predictive"]["price"])


def new_sigma(post, label, count):
    """A new group's sd, standardized: from its prior, or around the groups' median."""
    rng = stream(3, 4, *label.encode())
    if "sigma_median" not in post.parameters:
        return ph.Exponential(5).sample(rng, count)
    median, spread = (post[name].values.ravel() for name in ("sigma_median", "sigma_spread"))
    return stats.lognorm(spread, scale=median).ppf(stats.norm.cdf(rng.standard_normal(count)))


@pytest.mark.parametrize("name", ["noise", "noise, alike"])
@pytest.mark.parametrize("unseen", ["population", "draw"])
def test_unseen_groups_are_those_of_predict(posts, table, unseen, name):
    post = posts[name]
    rows = table.head(40).assign(zip=["new1", "new2"] * 20)
    with pytest.raises(ph.TableError, match="were not in the data"):
        predictive.posterior_predictive(post, rows)
    found = predictive.posterior_predictive(post, rows, unseen=unseen)
    assert found.attrs["unseen"] == unseen
    assert found["posterior_predictive"]["zip"].values.tolist() == rows["zip"].tolist()
    np.testing.assert_array_equal(found["posterior_predictive"]["price"], post.predict_draws(rows, unseen=unseen))
    # The density uses the same coefficients and sigma that the draws came from: z is the noise's stream.
    density = found["log_likelihood"]["price"].values.reshape(-1, 40)
    values = found["posterior_predictive"]["price"].values.reshape(-1, 40)
    z = stream(3, NOISE, 0).standard_normal((40, len(values))).T
    sigma = post.scale.unit * np.stack([new_sigma(post, label, len(values)) for label in rows["zip"]], axis=1)
    m = values - sigma * z
    np.testing.assert_allclose(density, stats.norm.logpdf(rows["price"].to_numpy(), m, sigma), rtol=1e-6)


def test_half_the_memory_on_request(posts, table):
    whole = predictive.posterior_predictive(posts["log"], table)
    half = predictive.posterior_predictive(posts["log"], table, dtype="float32")
    for group in ("posterior_predictive", "log_likelihood"):
        assert half[group]["price"].dtype == np.float32
        np.testing.assert_allclose(half[group]["price"], whole[group]["price"], rtol=1e-6)
    prior = predictive.prior_predictive(MODELS["slopes"], table, draws=20, seed=1, dtype="float32")
    assert prior["prior_predictive"]["price"].dtype == np.float32
    for make in (
        lambda: predictive.posterior_predictive(posts["log"], table, dtype="float16"),
        lambda: predictive.prior_predictive(MODELS["slopes"], table, dtype=int),
    ):
        with pytest.raises(ph.ModelError, match="dtype must be 'float64' or 'float32'"):
            make()


def test_refusals(posts, table):
    with pytest.raises(ph.ModelError, match="unseen must be one of"):
        predictive.posterior_predictive(posts["slopes"], table, unseen="guess")
    with pytest.raises(ph.ModelError, match="seed"):
        predictive.posterior_predictive(posts["slopes"], table, seed=-1)
    with pytest.raises(ph.ModelError, match="draws"):
        predictive.prior_predictive(MODELS["slopes"], table, draws=0)
    with pytest.raises(ph.TableError, match="no column 'error'"):
        predictive.posterior_predictive(posts["se"], table.drop(columns="error"))
    with pytest.raises(ph.TableError, match="no column 'price'"):
        predictive.prior_predictive(MODELS["slopes"], table.drop(columns="price"))
    with pytest.raises(ph.TableError, match=r"column 'price' .* holds text, not numbers, such as 'dear'"):
        predictive.posterior_predictive(posts["slopes"], table.assign(price="dear"))


def test_progress_is_told(posts, table):
    told = []
    predictive.posterior_predictive(posts["slopes"], table, progress=lambda *what: told.append(what))
    assert told == [("simulating", 1, 2), ("simulating", 2, 2)]


def test_an_outcome_that_is_arithmetic(table, tmp_path):
    rows = table.assign(area=np.linspace(0.9, 1.1, len(table)))
    post = drawn(ph.Model("log(price / area) ~ living_space + (1 | zip)"), rows)
    found = predictive.posterior_predictive(post, rows)
    assert list(found["observed_data"].data_vars) == ["price per area"]
    np.testing.assert_allclose(found["observed_data"]["price per area"], rows["price"] / rows["area"])
    whole = post.attach(found)
    whole.save(tmp_path / "whole.nc")
    assert ph.load(tmp_path / "whole.nc").tree.identical(whole.tree)


# -- the prior --------------------------------------------------------------------------------------------


PRIORS = {
    "mu[Intercept]": ph.Normal(2, 3),
    "mu": ph.Normal(-1, 0.5),
    "tau[Intercept]": ph.HalfNormal(2),
    "tau": ph.Gamma(3, 0.5),
    "sigma": ph.Exponential(4),
    "nu": ph.Gamma(2, 10),
    "omega": ph.LKJ(1.5),
}
SCIPY = {
    "mu": [stats.norm(2, 3), stats.norm(-1, 0.5), stats.norm(-1, 0.5)],
    "tau": [stats.halfnorm(scale=2), stats.gamma(3, scale=0.5), stats.gamma(3, scale=0.5)],
    "sigma": [stats.expon(scale=4)],
    "nu": [stats.gamma(2, scale=10)],
}
WIDE = "price ~ living_space + rooms + (living_space + rooms | zip)"


@pytest.fixture(scope="module")
def wide(table):
    return table.assign(rooms=1 + np.arange(len(table)) % 4)


@pytest.fixture(scope="module")
def prior(wide):
    return predictive.prior_predictive(ph.Model(WIDE, PRIORS, family="student"), wide, draws=8000, seed=5)


@pytest.mark.parametrize("name", SCIPY)
def test_prior_draws_have_their_priors_distributions(prior, name):
    values = prior["prior"][name].values[0].reshape(8000, -1)
    for k, expected in enumerate(SCIPY[name]):
        # Mean and variance within five of their standard errors, and the whole distribution.
        mean, variance, _, kurtosis = expected.stats("mvsk")
        assert values[:, k].mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / 8000))
        error = variance * np.sqrt((kurtosis + 2) / 8000)
        assert values[:, k].var() == pytest.approx(variance, abs=5 * error)
        assert stats.kstest(values[:, k], expected.cdf).pvalue > 1e-4


def test_prior_correlations_are_lkj(prior):
    omega = prior["prior"]["omega"].values[0]
    np.testing.assert_allclose(np.diagonal(omega, axis1=1, axis2=2), 1.0, atol=1e-12)
    assert np.linalg.eigvalsh(omega).min() > 0
    # Every entry: (r + 1)/2 ~ Beta(b, b) with b = eta + (K − 2)/2, and none stands out.
    for i, j in ((1, 0), (2, 0), (2, 1)):
        assert stats.kstest((omega[:, i, j] + 1) / 2, stats.beta(2, 2).cdf).pvalue > 1e-4
    # The determinant's density needs all entries together: E det Ω = ∏ E(1 − z²) over the partial ones.
    b = ph.LKJ(1.5).shapes(3)
    first = np.prod(1 - 1 / (2 * b + 1))
    second = np.prod(4 * b * (b + 1) / ((2 * b + 1) * (2 * b + 3)))
    det = np.linalg.det(omega)
    assert det.mean() == pytest.approx(first, abs=5 * np.sqrt((second - first**2) / 8000))


def test_prior_coefficients_are_those_of_the_groups_distribution(prior):
    """L⁻¹ (β − mu)/τ of every group is standard Normal."""
    draws = prior["prior"]
    beta, mu, tau, omega = (draws[n].values[0] for n in ("beta", "mu", "tau", "omega"))
    scaled = (beta - mu[:, None]) / tau[:, None]
    z = np.linalg.solve(np.linalg.cholesky(omega)[:, None], scaled[..., None])[..., 0]
    count = z[..., 0].size
    assert z.shape == (8000, 12, 3)
    second = np.einsum("sgk,sgl->kl", z, z) / count
    np.testing.assert_allclose(z.mean(axis=(0, 1)), 0.0, atol=5 / np.sqrt(count))
    np.testing.assert_allclose(second, np.eye(3), atol=5 * np.sqrt(2 / count))
    assert stats.kstest(z[:, 4, 2], stats.norm.cdf).pvalue > 1e-4


def test_prior_outcomes_are_those_of_the_prior_parameters(prior, wide):
    """(y − xᵀβ)/σ of every row is Student's t with the draw's nu: its distribution function is uniform."""
    draws = prior["prior"]
    design, found = design_and_moments(ph.read(wide), ph.Model(WIDE).formula)
    scale = learn_scale(found, design, standardize=True, unit=None)
    x = np.stack([np.ones(300), wide["living_space"], wide["rooms"]], axis=1)
    x = (x - scale.centre) / scale.spread
    beta = draws["beta"].sel(zip=wide["zip"].tolist()).values[0]
    y = prior["prior_predictive"]["price"].values[0] / scale.unit
    residual = (y - np.einsum("nk,snk->sn", x, beta)) / draws["sigma"].values[0][:, None]
    u = stats.t.cdf(residual[:, ::60], draws["nu"].values[0][:, None])
    assert stats.kstest(u.ravel(), "uniform").pvalue > 1e-4


@pytest.mark.parametrize("name", MODELS)
def test_the_prior_is_named_and_shaped_like_the_posterior(posts, table, name):
    post = posts[name]
    tree = predictive.prior_predictive(MODELS[name], own_table(name, table), draws=30, seed=2)
    assert list(tree.children) == ["prior", "prior_predictive", "observed_data"]
    made, there = tree["prior"].to_dataset(), post.tree["posterior"].to_dataset()
    assert list(made.data_vars) == list(there.data_vars)
    assert dict(made.sizes) == {**there.sizes, "chain": 1, "draw": 30}
    for variable in there.data_vars:
        assert made[variable].dims == there[variable].dims
    for coordinate in set(there.coords) - {"chain", "draw"}:
        np.testing.assert_array_equal(made[coordinate], there[coordinate])
    assert tree["prior_predictive"]["price"].sizes == {"chain": 1, "draw": 30, "row": 300}
    assert json.loads(tree.attrs["scale"]) == post.scale.to_dict()
    assert tree.attrs["seed"] == 2
    again = predictive.prior_predictive(MODELS[name], own_table(name, table), draws=30, seed=2)
    assert again.identical(tree)


def test_a_seed_is_chosen_and_recorded(table):
    one = predictive.prior_predictive("price ~ living_space", table, draws=5)
    assert one.identical(
        predictive.prior_predictive("price ~ living_space", table, draws=5, seed=one.attrs["seed"])
    )


def test_a_fixed_scale_has_no_distribution(table):
    tree = predictive.prior_predictive(ph.Model(MODELS["intercepts"].formula, "tau ~ Fixed(20)"), table, draws=9)
    np.testing.assert_array_equal(tree["prior"]["tau"], 20.0)


def test_rows_of_the_prior_are_those_of_a_fit(table):
    rows = table.reset_index(drop=True)
    rows.loc[3, "living_space"] = np.nan
    tree = predictive.prior_predictive(MODELS["slopes"], rows, draws=9, seed=1)
    assert tree["observed_data"]["row"].values.tolist() == [0, 1, 2, *range(4, 300)]
    rows.loc[rows["zip"] == rows["zip"][0], "price"] = np.nan
    tree = predictive.prior_predictive(MODELS["slopes"], rows, draws=9, seed=1)
    assert rows["zip"][0] not in tree["prior"]["zip"]
    assert tree.attrs["rows_used"] == (rows["zip"] != rows["zip"][0]).sum() - (rows["zip"][3] != rows["zip"][0])
    rows.loc[rows["zip"] != rows["zip"][0], "living_space"] = np.inf
    with pytest.raises(ph.TableError, match="infinite"):
        predictive.prior_predictive(MODELS["slopes"], rows, draws=9)


# -- calibration ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("widened", [1.0, 1.3], ids=["right", "control"])
@pytest.mark.parametrize("name", ["slopes", "log", "noise", "noise, alike", "student"])
def test_outcomes_are_uniform_in_their_predictive_distribution(table, name, widened):
    """Parameters and outcomes drawn from a prior; predictions under these parameters; the control has 1.3 σ."""
    priors = {"mu[Intercept]": ph.Normal(4, 1), "tau": ph.HalfNormal(1), "sigma": ph.Gamma(4, 0.1)}
    unit = 1.0 if name == "log" else 1e5
    if name == "noise, alike":
        del priors["sigma"]
        priors |= {"sigma_median": ph.Gamma(4, 0.1), "sigma_spread": ph.HalfNormal(0.5)}
    like = MODELS[name]
    model = ph.Model(like.formula, priors, noise=like.noise, family=like.family, outcome_unit=unit)
    rows = pd.concat([table] * 14, ignore_index=True)
    truth = predictive.prior_predictive(model, rows, draws=1, seed=6)
    design, found = design_and_moments(ph.read(rows), model.formula)
    scale = learn_scale(found, design, standardize=True, unit=unit)
    count = 400
    fixed = {
        variable: np.repeat(values.values, count, axis=1) for variable, values in truth["prior"].data_vars.items()
    }
    draws = Draws(
        fixed["mu"], (Effects(fixed["beta"], fixed["tau"], fixed.get("omega")),), widened * fixed["sigma"],
        stats={}, facts={"engine": "nuts", "engine_reason": "a test's"}, nu=fixed.get("nu"),
    )  # fmt: skip
    post = assemble(FitData(model, design, found, scale), draws, {"seed": 1, "notes": "[]"})
    y = truth["prior_predictive"]["price"].values[0, 0]
    made = predictive.posterior_predictive(post, rows, log_likelihood=False)["posterior_predictive"][
        "price"
    ].values[0]
    rank = (made < y).sum(axis=0)
    u = (rank + np.random.default_rng(7).random(len(y))) / (count + 1)
    p = stats.kstest(u, "uniform").pvalue
    assert p > 1e-3 if widened == 1.0 else p < 1e-6


# -- with ArviZ, and in the file ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted_well(many):
    return ph.fit("price ~ living_space + (living_space | zip)", many, seed=3)


@pytest.fixture(scope="module")
def many():
    """Sales with some in every ZIP code, so that no one of them is all that is known of it."""
    frame, _ = ph.simulate(6, 240, seed=2)
    return frame


@pytest.fixture(scope="module")
def trees(fitted_well, many):
    return (
        predictive.prior_predictive(fitted_well.model, many, draws=50, seed=1),
        predictive.posterior_predictive(fitted_well, many),
    )


def test_arviz_loo(trees):
    azs = pytest.importorskip("arviz_stats")
    found = azs.loo(trees[1])
    # The model is right: the effective parameters are fewer than its 12 coefficients and sigma.
    assert 4 < found.p < 14
    assert found.n_data_points == 240
    # elpd in the outcome's own units, against the sum of log densities.
    lppd = np.log(np.exp(trees[1]["log_likelihood"]["price"]).mean(("chain", "draw"))).sum()
    assert found.elpd == pytest.approx(float(lppd) - found.p, abs=1e-6)


def test_arviz_loo_of_a_loaded_file(fitted_well, trees, tmp_path):
    az = pytest.importorskip("arviz")
    path = tmp_path / "all.nc"
    fitted_well.attach(*trees).save(path)
    opened = az.from_netcdf(path)
    found = az.loo(opened)
    direct = az.loo(trees[1]) if hasattr(az, "plot_ppc_dist") else found
    assert float(found.elpd_loo if hasattr(found, "elpd_loo") else found.elpd) == pytest.approx(
        float(direct.elpd_loo if hasattr(direct, "elpd_loo") else direct.elpd), rel=1e-10
    )
    assert {"prior", "prior_predictive", "posterior_predictive", "log_likelihood", "observed_data"} <= {
        str(name).strip("/") for name in (opened.children if hasattr(opened, "children") else opened.groups())
    }


def test_arviz_draws_predictive_checks(fitted_well, trees, tmp_path):
    az = pytest.importorskip("arviz")
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    path = tmp_path / "all.nc"
    fitted_well.attach(*trees).save(path)
    opened = az.from_netcdf(path)
    if hasattr(az, "plot_ppc_dist"):
        az.plot_ppc_dist(opened, num_samples=20)
        az.plot_ppc_dist(opened, group="prior_predictive", num_samples=20)
        az.plot_prior_posterior(opened, var_names=["sigma"])
    else:
        az.plot_ppc(opened, num_pp_samples=20)
        az.plot_ppc(opened, group="prior", num_pp_samples=20)
        az.plot_dist_comparison(opened, var_names=["sigma"])
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_attached_groups_come_back_from_the_file(fitted, sales, tmp_path, dtype):
    prior = predictive.prior_predictive(fitted.model, sales, draws=20, seed=1, dtype=dtype)
    made = predictive.posterior_predictive(fitted, sales, dtype=dtype)
    whole = fitted.attach(prior, made)
    assert set(whole.tree.children) == {
        "posterior", "sample_stats", "moments",
        "prior", "prior_predictive", "posterior_predictive", "log_likelihood", "observed_data",
    }  # fmt: skip
    whole.save(tmp_path / "whole.nc")
    back = ph.load(tmp_path / "whole.nc")
    assert back.tree.identical(whole.tree)
    assert back.tree["log_likelihood"]["price"].dtype == dtype
    # Nothing else changes: it summarizes and predicts as before, and what was given is as it was.
    pd.testing.assert_frame_equal(back.summary(), fitted.summary())
    pd.testing.assert_frame_equal(back.predict(sales.head(3)), fitted.predict(sales.head(3)))
    assert set(fitted.tree.children) == {"posterior", "sample_stats", "moments"}
    assert whole.tree.attrs == fitted.tree.attrs


def test_attached_groups_are_replaced_and_strange_ones_refused(fitted, sales):
    first, second = (predictive.prior_predictive(fitted.model, sales, draws=n, seed=1) for n in (20, 30))
    both = fitted.attach(first).attach(second)
    assert both.tree["prior"].sizes["draw"] == 30
    other = xr.DataTree.from_dict({"posterior": xr.Dataset({"mu": 1.0}), "moments": xr.Dataset()})
    assert fitted.attach(other).tree.identical(fitted.tree)
    with pytest.raises(ph.ModelError, match=r"cannot attach the group 'priors' .*; did you mean 'prior'"):
        fitted.attach(xr.DataTree.from_dict({"priors": xr.Dataset()}))
    with pytest.raises(ph.ModelError, match="attach needs trees"):
        fitted.attach({"prior": 1})
    assert dataclasses.is_dataclass(both)

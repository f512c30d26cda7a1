"""Predictions against brute force over the stored draws."""

from __future__ import annotations

import re

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import optimize, stats

import priorhood as ph
from priorhood.engines.draws import Draws, Effects
from priorhood.engines.mixture import precisions
from priorhood.posterior.posterior import assemble
from priorhood.prediction.coefficients import NEW_SIGMA, UNKNOWN, correlation_factor, stream
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.standardize import learn_scale
from table_moments import design_and_moments


@pytest.fixture(scope="module")
def data():
    """Sales with a second predictor, a category and a positive outcome."""
    sales, _ = ph.simulate(12, 300, seed=5)
    at = np.arange(len(sales))
    return sales.assign(
        worth=np.exp(11.5 + 0.008 * sales["living_space"] + 0.3 * np.sin(7.0 * at)),
        rooms=1 + at % 4,
        kind=np.where(at % 3 == 0, "loft", "flat"),
    )


FORMULAS = {
    "slopes": "price ~ living_space + (living_space | zip)",
    "intercepts": "price ~ living_space + rooms + kind + (1 | zip)",
    "no centre": "price ~ living_space + (0 + living_space | zip)",
    "independent": "price ~ living_space * rooms + (living_space || zip)",
    "only by group": "price ~ 1 + (living_space | zip)",
    "pooled": "price ~ living_space + kind",
    "log": "log(worth) ~ living_space + (living_space | zip)",
    "log of both": "log(worth) ~ log(living_space) + I(rooms**2) + (1 | zip)",
}


@pytest.fixture(scope="module")
def posts(data):
    return {name: ph.fit(text, data, chains=2, draws=150, seed=3) for name, text in FORMULAS.items()}


COLUMN = {
    "Intercept": lambda f: np.ones(len(f)),
    "living_space": lambda f: f["living_space"].to_numpy(),
    "rooms": lambda f: f["rooms"].to_numpy(float),
    "living_space:rooms": lambda f: (f["living_space"] * f["rooms"]).to_numpy(),
    "log(living_space)": lambda f: np.log(f["living_space"].to_numpy()),
    "I(rooms ** 2)": lambda f: f["rooms"].to_numpy(float) ** 2,
    "kind[loft]": lambda f: (f["kind"] == "loft").to_numpy(float),
}


def brute(post, frame):
    """Location (rows, draws) and sd (draws,) of every row of known groups, in (the log of) its units."""
    tree = post.tree["posterior"].to_dataset().stack(sample=("chain", "draw"))
    x = {
        name: (COLUMN[name](frame) - post.scale.centre[d]) / post.scale.spread[d]
        for d, name in enumerate(post.design.names)
    }
    m = np.zeros((len(frame), tree.sizes["sample"]))
    varying = []
    if "beta" in tree:
        term = tree["beta"].dims[1] if tree["beta"].dims[0] == "zip" else tree["beta"].dims[0]
        varying = [str(t) for t in tree[term].values]
        rows = tree["beta"].sel(zip=frame["zip"].tolist()).transpose("zip", term, "sample").values
        m += sum(x[t][:, None] * rows[:, k] for k, t in enumerate(varying))
    if "mu" in tree:
        for t in tree["term"].values.astype(str):
            if t not in varying:
                m += x[t][:, None] * tree["mu"].sel(term=t).values
    return m * post.scale.unit, tree["sigma"].values * post.scale.unit


def mixture(t, m, s):
    return stats.norm.cdf(t, m, s).mean()


@pytest.mark.parametrize("name", FORMULAS)
def test_against_the_mixture_of_normals(posts, data, name):
    post, logged = posts[name], name.startswith("log")
    frame = data.iloc[::25].reset_index(drop=True)
    levels, cuts = [0.01, 0.05, 0.5, 0.9, 0.999], [120_000.0, 350_000.0]
    found = post.predict(frame, quantiles=levels, below=cuts, above=cuts)
    m, s = brute(post, frame)
    into, back = (np.log, np.exp) if logged else (float, float)
    for i, row in found.iterrows():
        width = np.sqrt(m[i].var() + (s**2).mean())
        if logged:
            first, second = np.exp(m[i] + s**2 / 2).mean(), np.exp(2 * m[i] + 2 * s**2).mean()
        else:
            first, second = m[i].mean(), (m[i] ** 2 + s**2).mean()
        assert row["mean"] == pytest.approx(first, rel=1e-5, abs=1e-5 * width)
        assert row["sd"] == pytest.approx(np.sqrt(second - first**2), rel=1e-5)
        for q in levels:
            root = optimize.brentq(
                lambda t, i=i, q=q: mixture(t, m[i], s) - q,
                m[i].mean() - 9 * width,
                m[i].mean() + 9 * width,
                xtol=1e-12,
            )
            # 2e-7 in probability is more of the outcome in the tails, where the density is low.
            density = stats.norm.pdf(root, m[i], s).mean() * width
            reach = max(1e-5, 4e-7 / density)
            value = into(row[f"q{100 * q:g}"])
            assert value == pytest.approx(root, abs=reach * width), (name, q)
            assert mixture(value, m[i], s) == pytest.approx(q, abs=1e-6)
            assert row[f"q{100 * q:g}"] == pytest.approx(back(root), rel=1e-4, abs=2 * reach * width)
        for cut in cuts:
            assert row[f"below_{cut:g}"] == pytest.approx(mixture(into(cut), m[i], s), abs=1e-6)
            assert row[f"below_{cut:g}"] + row[f"above_{cut:g}"] == pytest.approx(1.0, abs=1e-12)
    assert (found["status"] == "known").all()


def test_a_threshold_at_or_below_zero_under_a_log(posts, data):
    found = posts["log"].predict(data.head(3), below=[0.0, -5.0], above=[0.0])
    assert found["below_0"].tolist() == found["below_-5"].tolist() == [0.0] * 3
    assert found["above_0"].tolist() == [1.0] * 3
    # Of rows that cannot be predicted nothing is known.
    gone = data.head(2).assign(living_space=[np.nan, 80.0])
    assert np.isnan(posts["log"].predict(gone, below=0)["below_0"]).tolist() == [True, False]


def test_quantiles_are_ordered_and_mean_of_a_log_lies_above_its_median(posts, data):
    found = posts["log"].predict(data, quantiles=[0.25, 0.5, 0.75])
    assert (found["q25"] < found["q50"]).all()
    assert (found["q50"] < found["q75"]).all()
    assert (found["mean"] > found["q50"]).all()


def test_names_of_columns(posts, data):
    found = posts["slopes"].predict(data.head(2), quantiles=[0.025, 0.5], below=[1e5, 1.5], above=2e6, prefix="p_")
    assert list(found)[len(data.columns) :] == [
        "p_mean", "p_sd", "p_q2.5", "p_q50", "p_below_100000", "p_below_1.5", "p_above_2000000", "p_status",
    ]  # fmt: skip
    bare = posts["slopes"].predict(data.head(2), quantiles=[])
    assert list(bare)[len(data.columns) :] == ["mean", "sd", "status"]


# -- rows that lack something -----------------------------------------------------------------------------


def test_alignment_and_statuses(posts, data):
    post = posts["log of both"]
    rows = data.head(8).reset_index(drop=True)
    rows.loc[1, "living_space"] = np.nan
    rows.loc[2, "zip"] = None
    rows.loc[3, "zip"] = "   "
    rows.loc[4, "zip"] = "99999"
    rows.loc[5, "living_space"] = -3.0  # no logarithm
    rows["zip"] = rows["zip"].astype(object)
    found = post.predict(rows, unseen="population")
    assert found["status"].tolist() == [
        "known",
        "missing",
        "unknown",
        "unknown",
        "new",
        "invalid",
        "known",
        "known",
    ]
    numbers = ["mean", "sd", "q5", "q50", "q95"]
    assert found.loc[[1, 5], numbers].isna().all(axis=None)
    assert found.loc[[0, 2, 3, 4, 6, 7], numbers].notna().all(axis=None)
    whole = post.predict(data.head(8).reset_index(drop=True))
    pd.testing.assert_frame_equal(found.loc[[0, 6, 7], numbers], whole.loc[[0, 6, 7], numbers])
    # Nothing changes in what was given.
    pd.testing.assert_frame_equal(found[rows.columns], rows)


def test_order_of_rows_does_not_matter(posts, data):
    rows = pd.concat([data] * 3, ignore_index=True)
    rows.loc[::7, "zip"] = "99999"
    rows.loc[::11, "living_space"] = np.nan
    shuffled = rows.sample(frac=1.0, random_state=1)
    one = posts["slopes"].predict(rows, unseen="draw")
    other = posts["slopes"].predict(shuffled, unseen="draw")
    pd.testing.assert_frame_equal(other.sort_index(), one, check_exact=False, rtol=1e-9)


def test_empty_table(posts, data):
    found = posts["slopes"].predict(data.head(0))
    assert len(found) == 0
    assert {"mean", "status"} <= set(found)


# -- new groups -------------------------------------------------------------------------------------------


def test_a_new_group_in_the_population_is_the_average_one(posts, data):
    post = posts["slopes"]
    rows = data.head(5).assign(zip="99999")
    found = post.predict(rows, unseen="population")
    draws = post.tree["posterior"].to_dataset().stack(sample=("chain", "draw"))
    x = (rows["living_space"].to_numpy() - post.scale.centre[1]) / post.scale.spread[1]
    mu = draws["mu"].transpose("term", "sample").values
    m = (mu[0] + x[:, None] * mu[1]) * post.scale.unit
    s = draws["sigma"].values * post.scale.unit
    np.testing.assert_allclose(found["mean"], m.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(found["sd"], np.sqrt(m.var(axis=1) + (s**2).mean()), rtol=1e-9)


def test_a_drawn_group_is_one_for_all_its_rows(posts, data):
    """Two rows of one new group at the same place are the same; at different places they are correlated."""
    post = posts["slopes"]
    rows = pd.DataFrame({"zip": ["a", "b", "a", "b"], "living_space": [80.0, 80.0, 80.0, 80.0]})
    found = post.predict(rows, unseen="draw", seed=1)
    assert found.loc[0, "mean"] == found.loc[2, "mean"]
    assert found.loc[0, "q95"] == found.loc[2, "q95"]
    assert found.loc[0, "mean"] != found.loc[1, "mean"]
    # One line for the group in every draw: the location is linear in living_space.
    line = pd.DataFrame({"zip": ["a"] * 3, "living_space": [60.0, 80.0, 100.0]})
    mean = post.predict(line, unseen="draw", seed=1)["mean"]
    assert mean[1] == pytest.approx((mean[0] + mean[2]) / 2, rel=1e-12)


def test_a_drawn_group_has_the_spread_of_the_groups(posts):
    """mean and sd of mu + diag(tau) L z, over 300 draws × many new groups."""
    post = posts["slopes"]
    count = 400
    rows = pd.DataFrame({"zip": [f"new{i}" for i in range(count)], "living_space": 130.0})
    found = post.predict(rows, unseen="draw", seed=2)
    draws = post.tree["posterior"].to_dataset().stack(sample=("chain", "draw"))
    x = np.array([1.0, (130.0 - post.scale.centre[1]) / post.scale.spread[1]])
    mu, tau = (draws[n].transpose("term", "sample").values for n in ("mu", "tau"))
    omega = draws["omega"].transpose("sample", "term", "term_bis").values
    centre = x @ mu
    spread = np.einsum("i,is,sij,js,j->s", x, tau, omega, tau, x)
    sigma = draws["sigma"].values
    variance = (spread + sigma**2).mean() + centre.var()
    # The mean of count × 300 independent draws of the group's effect; five of its standard errors.
    error = np.sqrt(spread.mean() / (count * centre.size))
    assert found["mean"].mean() / post.scale.unit == pytest.approx(centre.mean(), abs=5 * error)
    second = ((found["sd"] ** 2 + found["mean"] ** 2) / post.scale.unit**2).mean()
    fourth = 3 * (spread**2).mean() + 4 * ((centre**2) * spread).mean()
    assert second - centre.mean() ** 2 == pytest.approx(variance, abs=5 * np.sqrt(fourth / (count * centre.size)))


def test_a_drawn_group_depends_on_its_label_and_the_seed_only(posts, data):
    post = posts["slopes"]
    rows = data.head(20).assign(zip=["n1", "n2"] * 10)
    one = post.predict(rows, unseen="draw", seed=7)
    assert one.equals(post.predict(rows, unseen="draw", seed=7))
    assert not np.allclose(one["mean"], post.predict(rows, unseen="draw", seed=8)["mean"], rtol=1e-6)
    numbers = ["mean", "sd", "q5", "q50", "q95"]
    # Bit for bit, whatever else is in the table, in whatever chunks and order, on whatever backend.
    for other in (
        post.predict(rows.iloc[::-1], unseen="draw", seed=7).sort_index(),
        pd.concat([post.predict(rows.iloc[i : i + 3], unseen="draw", seed=7) for i in range(0, 20, 3)]),
        post.predict(pd.concat([rows, data.assign(zip="n0")]), unseen="draw", seed=7).iloc[:20],
        post.predict(pl.from_pandas(rows), unseen="draw", seed=7).to_pandas(),
    ):
        np.testing.assert_allclose(other[numbers].to_numpy(), one[numbers].to_numpy(), rtol=1e-12)
    np.testing.assert_array_equal(
        post.predict(rows.iloc[::-1], unseen="draw", seed=7).sort_index()[numbers].to_numpy(),
        one[numbers].to_numpy(),
    )


def test_the_seed_of_the_posterior_is_the_default(posts, data):
    post = posts["slopes"]
    rows = data.head(4).assign(zip="new")
    assert post.predict(rows, unseen="draw").equals(post.predict(rows, unseen="draw", seed=3))


def test_a_new_group_of_another_label_is_independent(posts):
    post = posts["intercepts"]
    new = pd.DataFrame({"zip": [f"n{i}" for i in range(300)], "living_space": 80.0, "rooms": 2, "kind": "flat"})
    drawn = post.predict_draws(new, unseen="draw", seed=1).stack(sample=("chain", "draw")).values
    # 300 labels; under independence given the parameters, neighbours' correlation over labels is small.
    away = drawn - drawn.mean(axis=0)
    neighbours = np.corrcoef(away[:-1].ravel(), away[1:].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(away.size)


def test_an_unknown_group_is_the_known_ones_by_their_rows(posts, data):
    post = posts["slopes"]
    row = pd.DataFrame({"zip": [None], "living_space": [110.0]}).astype({"zip": object})
    found = post.predict(row, below=300_000).iloc[0]
    known = pd.DataFrame({"zip": post.moments.labels, "living_space": 110.0})
    share = post.moments.n / post.moments.n.sum()
    m, s = brute(post, known)
    mean = share @ m.mean(axis=1)
    assert found["status"] == "unknown"
    # One known group a draw: the spread between groups over the number of draws; five standard errors.
    error = np.sqrt((share @ (m - mean) ** 2).mean() / m.shape[1])
    assert found["mean"] == pytest.approx(mean, abs=5 * error)
    below = stats.norm.cdf(300_000, m, s)
    error = np.sqrt((share @ (below - (share @ below)) ** 2).mean() / m.shape[1])
    assert found["below_300000"] == pytest.approx(share @ below.mean(axis=1), abs=5 * error)
    # The average over groups is wider than the average group.
    assert found["sd"] > post.predict(row.assign(zip="new"), unseen="population")["sd"].iloc[0]


# -- kinds of frames --------------------------------------------------------------------------------------


def test_pandas_keeps_its_index(posts, data):
    rows = data.head(5).set_index(pd.Index(["e", "d", "c", "b", "a"], name="key"))
    found = posts["slopes"].predict(rows)
    assert isinstance(found, pd.DataFrame)
    pd.testing.assert_index_equal(found.index, rows.index)
    pd.testing.assert_frame_equal(found[rows.columns], rows)
    np.testing.assert_array_equal(found["mean"], posts["slopes"].predict(data.head(5))["mean"])


KINDS = {
    "polars": (pl.from_pandas, pl.DataFrame, lambda r: r.to_pandas()),
    "polars-lazy": (lambda f: pl.from_pandas(f).lazy(), pl.LazyFrame, lambda r: r.collect().to_pandas()),
    "pyarrow": (lambda f: pa.Table.from_pandas(f, preserve_index=False), pa.Table, lambda r: r.to_pandas()),
    "duckdb": (duckdb.from_df, duckdb.DuckDBPyRelation, lambda r: r.df()),
    "mapping": (lambda f: f.to_dict("list"), pd.DataFrame, lambda r: r),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_frame_given_comes_back(posts, data, kind):
    make, wanted, back = KINDS[kind]
    rows = data.head(6).reset_index(drop=True)
    rows.loc[2, "living_space"] = np.nan
    found = posts["slopes"].predict(make(rows))
    assert isinstance(found, wanted)
    expected = posts["slopes"].predict(rows)
    result = back(found)
    assert list(result) == list(expected)
    assert result["status"].tolist() == expected["status"].tolist()
    for column in ("living_space", "mean", "sd", "q5", "q95"):
        np.testing.assert_allclose(result[column].astype(float), expected[column], rtol=1e-12)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_file_comes_back_as_pandas(posts, data, tmp_path, suffix):
    rows = data.head(6).reset_index(drop=True)
    path = tmp_path / f"rows.{suffix}"
    rows.to_csv(path, index=False) if suffix == "csv" else rows.to_parquet(path)
    found = posts["slopes"].predict(path)
    assert isinstance(found, pd.DataFrame)
    assert found["zip"].tolist() == rows["zip"].tolist()
    np.testing.assert_allclose(found["mean"], posts["slopes"].predict(rows)["mean"], rtol=1e-12)


# -- draws ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["slopes", "log", "pooled"])
def test_draws_agree_with_summaries(data, name):
    post = ph.fit(FORMULAS[name], data, chains=2, draws=2000, seed=3)
    rows = data.iloc[::40].reset_index(drop=True)
    drawn = post.predict_draws(rows, seed=5)
    assert drawn.dims == ("chain", "draw", "row")
    assert drawn.sizes == {"chain": 2, "draw": 2000, "row": len(rows)}
    assert drawn.name == ("worth" if name == "log" else "price")
    values = drawn.values.reshape(-1, len(rows))
    n = len(values)
    found = post.predict(rows, quantiles=[0.1, 0.5, 0.9])
    error = found["sd"] / np.sqrt(n)
    np.testing.assert_array_less(np.abs(values.mean(axis=0) - found["mean"]), 5 * error)
    for q in (0.1, 0.5, 0.9):
        share = (values <= found[f"q{100 * q:g}"].to_numpy()).mean(axis=0)
        np.testing.assert_array_less(np.abs(share - q), 5 * np.sqrt(q * (1 - q) / n))
    np.testing.assert_array_equal(post.predict_draws(rows, seed=5).values, drawn.values)
    assert not np.array_equal(post.predict_draws(rows, seed=6).values, drawn.values)


def test_draws_of_rows_that_lack_something(posts, data):
    rows = data.head(3).reset_index(drop=True)
    rows.loc[1, "living_space"] = np.nan
    drawn = posts["slopes"].predict_draws(rows)
    assert np.isnan(drawn.values[:, :, 1]).all()
    assert np.isfinite(drawn.values[:, :, [0, 2]]).all()
    assert drawn["status"].values.tolist() == ["known", "missing", "known"]


def test_a_negative_seed_is_refused(posts, data):
    with pytest.raises(ph.ModelError, match="seed"):
        posts["slopes"].predict(data.head(2).assign(zip="new"), unseen="draw", seed=-1)


def test_factors_of_correlations_also_where_rounding_left_them_singular():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(50, 3, 3))
    V = A @ A.swapaxes(1, 2)
    sd = np.sqrt(np.diagonal(V, axis1=1, axis2=2))
    omega = V / sd[:, :, None] / sd[:, None, :]
    np.testing.assert_allclose(correlation_factor(omega), np.linalg.cholesky(omega), atol=1e-9)
    singular = np.array([[[1.0, 1.0, 0.5], [1.0, 1.0, 0.5], [0.5, 0.5, 1.0]]])
    L = correlation_factor(singular)
    np.testing.assert_allclose(L @ L.swapaxes(1, 2), singular, atol=1e-12)


# -- errors of other kinds ---------------------------------------------------------------------------------


ERRORS = {
    "noise": ph.Model("price ~ living_space + (living_space | zip)", noise="zip"),
    "student": ph.Model("price ~ living_space + (1 | zip)", family="student"),
    "student, noise": ph.Model("price ~ living_space + (1 | zip)", family="student", noise="zip"),
    "noise, log": ph.Model("log(worth) ~ living_space + (1 | zip)", noise="zip"),
    "student, log": ph.Model("log(worth) ~ living_space + (1 | zip)", family="student"),
    "se": ph.Model("price ~ living_space + (1 | zip)", se="error"),
    "se, log": ph.Model("log(worth) ~ living_space + (1 | zip)", se="error"),
    "precision": ph.Model("price ~ living_space + (1 | zip)", precision_weights="w"),
    "precision, noise, log": ph.Model(
        "log(worth) ~ living_space + (1 | zip)", noise="zip", precision_weights="w", frequency_weights="n"
    ),
    "student, precision": ph.Model("price ~ living_space + (1 | zip)", family="student", precision_weights="w"),
}


@pytest.fixture(scope="module")
def measured(data):
    """With known errors: of the price, and of the log of the worth; with weights."""
    at = np.arange(len(data))
    return data.assign(error=np.where(at % 2, 30_000.0, 70_000.0), w=1.0 + at % 5, n=1 + at % 3)


def made(model, table, least_nu=3.0, draws=400, seed=4):
    """A posterior without an engine: draws around the middle of the data."""
    rng = np.random.default_rng(seed)
    design, found = design_and_moments(ph.read(table), model.formula, weights=model.weights)
    scale = learn_scale(found, design, standardize=True, unit=None)
    shape, J, K = (2, draws), len(found.n), len(design.level_columns(0))
    level = found.pooled()[0][-1] / scale.unit
    mu = rng.normal(0.5, 0.1, (*shape, 2)) + np.array([level, 0.0])
    beta = mu[..., None, :K] + rng.normal(0, 0.4, (J, K)) + rng.normal(0, 0.05, (*shape, J, K))
    sigma = (
        rng.uniform(0.3, 0.5, (*shape, J)) * np.linspace(0.5, 2, J) if model.noise else rng.uniform(0.3, 0.5, shape)
    )
    tau, omega = rng.uniform(0.2, 0.4, (*shape, K)), np.broadcast_to(np.eye(2), (*shape, 2, 2))
    given = Draws(
        mu, (Effects(beta, tau, omega if K == 2 else None),), None if model.se else sigma,
        stats={"lp": rng.normal(size=shape), "diverging": np.zeros(shape, bool)},
        facts={"engine": "nuts", "engine_reason": "a test's"},
        nu=rng.uniform(least_nu, 12, shape) if model.family == "student" else None,
        sigma_median=rng.uniform(0.3, 0.5, shape) if "sigma_median" in model.priors else None,
        sigma_spread=rng.uniform(0.1, 0.4, shape) if "sigma_median" in model.priors else None,
    )  # fmt: skip
    return assemble(FitData(model, design, found, scale), given, {"seed": 3, "notes": "[]"})


def errors_of(post, frame):
    """The sd and nu (or None) of every row and draw, in (the log of) the outcome's units."""
    unit = post.scale.unit
    if post.model.precision_weights:
        unit = unit / np.sqrt(frame["w"].to_numpy()[:, None])
    nu = post["nu"].values.ravel() if "nu" in post.parameters else None
    if post.model.se:
        return np.broadcast_to(frame["error"].to_numpy()[:, None], (len(frame), post["mu"][..., 0].size)), nu
    if post.model.noise:
        own = post["sigma"].sel(zip=frame["zip"].tolist()).stack(sample=("chain", "draw"))
        return own.transpose("zip", "sample").values * unit, nu
    return np.broadcast_to(post["sigma"].values.ravel() * unit, (len(frame), post["sigma"].size)), nu


def locations_of(post, frame):
    """(rows, draws), in (the log of) the outcome's units."""
    tree = post.tree["posterior"].to_dataset().stack(sample=("chain", "draw"))
    x = (frame["living_space"].to_numpy() - post.scale.centre[1]) / post.scale.spread[1]
    term = "term" if "term" in tree["beta"].dims else "zip_term"
    beta = tree["beta"].sel(zip=frame["zip"].tolist()).transpose("zip", term, "sample").values
    slope = beta[:, 1] if beta.shape[1] == 2 else tree["mu"].sel(term="living_space").values
    return (beta[:, 0] + x[:, None] * slope) * post.scale.unit


@pytest.mark.parametrize("name", ERRORS)
def test_other_errors_against_the_exact_mixture(measured, name):
    logged, heavy = name.endswith("log"), name.startswith("student")
    table = measured.assign(error=measured["error"] / 2e5) if logged else measured
    post = made(ERRORS[name], table)
    frame = table.iloc[::23].reset_index(drop=True)
    levels, cut = [0.001, 0.05, 0.5, 0.9, 0.999], 250_000.0
    found = post.predict(frame, quantiles=levels, below=cut)
    m, (s, nu) = locations_of(post, frame), errors_of(post, frame)

    def probability(t, i):
        return (stats.t.cdf((t - m[i]) / s[i], nu) if heavy else stats.norm.cdf(t, m[i], s[i])).mean()

    # What the mixture of Normals promises of Student's t.
    near = 4e-4 if heavy else 1e-6
    variance = s**2 * (nu / (nu - 2) if heavy else 1.0)
    for i, row in found.iterrows():
        if logged and heavy:
            assert row["mean"] == row["sd"] == np.inf
        elif logged:
            first, second = np.exp(m[i] + s[i] ** 2 / 2).mean(), np.exp(2 * m[i] + 2 * s[i] ** 2).mean()
            assert row["mean"] == pytest.approx(first, rel=1e-9)
            assert row["sd"] == pytest.approx(np.sqrt(second - first**2), rel=1e-6)
        else:
            assert row["mean"] == pytest.approx(m[i].mean(), rel=1e-9)
            assert row["sd"] == pytest.approx(np.sqrt(m[i].var() + variance[i].mean()), rel=1e-9)
        for q in levels:
            value = row[f"q{100 * q:g}"]
            assert probability(np.log(value) if logged else value, i) == pytest.approx(q, abs=near)
        expected = probability(np.log(cut) if logged else cut, i)
        assert row["below_250000"] == pytest.approx(expected, abs=near)


def test_students_t_as_a_mixture_of_normals():
    """The error stated of precisions, for one location; against scipy's t."""
    t = np.linspace(-30, 30, 301)
    for S in (100, 1000, 4000):
        for nu in (1.0, 2.5, 4.0, 30.0):
            root = precisions(np.full(S, nu), np.random.default_rng(S)).ravel()
            assert root.size >= 16_000
            assert root.size % S == 0
            off = stats.norm.cdf(t[:, None] * root).mean(axis=1) - stats.t.cdf(t, nu)
            assert np.abs(off).max() < 3e-5


def test_moments_that_do_not_exist(data):
    for least, mean, sd in ((1.5, True, False), (0.5, False, False), (2.01, True, True)):
        post = made(ERRORS["student"], data, least_nu=least)
        found = post.predict(data.head(3), quantiles=[0.0001, 0.5])
        assert np.isfinite(found["mean"]).all() == mean
        assert np.isfinite(found["sd"]).all() == sd
        assert np.isinf(found["sd"]).all() or sd
        assert (found["q0.01"] < found["q50"]).all()
        assert np.isfinite(found["q0.01"]).all()


@pytest.mark.parametrize("unseen", ["population", "draw"])
def test_a_new_groups_noise_comes_from_its_prior(data, unseen):
    post = made(ph.Model(ERRORS["noise"].formula, "sigma ~ Gamma(3, 0.2)", noise="zip"), data)
    rows = data.head(6).assign(zip=["n1", "n2"] * 3)
    drawn = {label: ph.Gamma(3, 0.2).sample(stream(9, NEW_SIGMA, *label.encode()), 800) for label in ("n1", "n2")}
    found = post.predict(rows, unseen=unseen, seed=9)
    again = post.predict(rows.iloc[[5]], unseen=unseen, seed=9)
    pd.testing.assert_frame_equal(again, found.iloc[[5]])
    if unseen == "population":
        mu = post["mu"].values.reshape(-1, 2)
        for i, row in rows.iterrows():
            m = mu @ np.array([1, (row["living_space"] - post.scale.centre[1]) / post.scale.spread[1]])
            sd = np.sqrt(m.var() + (drawn[row["zip"]] ** 2).mean()) * post.scale.unit
            assert found["sd"][i] == pytest.approx(sd, rel=1e-9)
    made_draws = post.predict_draws(rows, unseen=unseen, seed=9)
    assert made_draws.std() == pytest.approx(np.sqrt((found["sd"] ** 2).mean()), rel=0.1)


def test_an_unknown_group_has_the_noise_of_the_group_it_stands_for(data):
    """Coefficients and sigma of a draw are of one group: the product's mean tells."""
    post = made(ERRORS["noise"], data)
    row = pd.DataFrame({"zip": [None], "living_space": [100.0]}).astype({"zip": object})
    found = post.predict(row).iloc[0]
    share = post.moments.n / post.moments.n.sum()
    rng = stream(3, UNKNOWN)
    places = (rng.permutation(800) + rng.random()) / 800
    chosen = np.searchsorted(np.cumsum(share), places).clip(0, len(share) - 1)
    beta = post["beta"].values.reshape(800, -1, 2)[np.arange(800), chosen]
    sigma = post["sigma"].values.reshape(800, -1)[np.arange(800), chosen]
    m = beta @ np.array([1, (100.0 - post.scale.centre[1]) / post.scale.spread[1]])
    assert found["mean"] == pytest.approx(m.mean() * post.scale.unit, rel=1e-9)
    for q in (5, 95):
        t = found[f"q{q}"] / post.scale.unit
        assert stats.norm.cdf(t, m, sigma).mean() == pytest.approx(q / 100, abs=1e-6)


def test_known_errors_are_needed_of_every_row(measured, tmp_path):
    post = made(ERRORS["se"], measured)
    rows = measured.head(6).reset_index(drop=True)
    with pytest.raises(ph.TableError, match=r"no column 'error' \(the standard errors.*outcome's units"):
        post.predict(rows.drop(columns="error"))
    with pytest.raises(ph.TableError, match=r"column 'error' .* holds text, not numbers, such as 'small'"):
        post.predict(rows.assign(error="small"))
    rows.loc[[1, 2, 3], "error"] = [np.nan, 0.0, np.inf]
    found = post.predict(rows)
    assert found["status"].tolist() == ["known", "missing", "invalid", "invalid", "known", "known"]
    assert found.loc[1:3, ["mean", "sd", "q5"]].isna().all(axis=None)
    assert np.isnan(post.predict_draws(rows).values).any(axis=(0, 1)).tolist() == [0, 1, 1, 1, 0, 0]
    rows.to_csv(tmp_path / "rows.csv", index=False)
    read = post.predict(tmp_path / "rows.csv")
    numbers = ["mean", "sd", "q5", "q50", "q95"]
    pd.testing.assert_frame_equal(read[numbers], found[numbers])
    assert read["status"].tolist() == found["status"].tolist()
    pd.testing.assert_frame_equal(post.predict(pl.from_pandas(rows)).to_pandas()[numbers], found[numbers])


def test_a_file_keeps_what_other_errors_need(measured, tmp_path):
    for name in ("student, noise", "se"):
        post = made(ERRORS[name], measured)
        post.save(tmp_path / "post.nc")
        rows = measured.head(4)
        pd.testing.assert_frame_equal(ph.load(tmp_path / "post.nc").predict(rows), post.predict(rows))


# -- predictors that are true or false -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gardens():
    sales, _ = ph.simulate(8, 240, seed=4)
    garden = np.arange(240) % 5 < 2
    return sales.assign(
        garden=garden, said=np.where(garden, "yes", "no"), held=garden.astype(object), number=garden.astype(int)
    )


NEITHER = (
    r"'{0}' is neither true nor false in {1}: {2}; in the fit it was true or false: write true and false, or 1"
)


@pytest.mark.parametrize("term", ["garden", "I(garden * living_space)"])
def test_words_for_what_was_true_or_false_are_mapped_as_the_message_says(gardens, term):
    post = ph.fit(f"price ~ living_space + {term} + (1 | zip)", gardens, chains=2, draws=50, seed=1)
    rows = gardens.head(5)
    for words, mapped in ((["ja", "Nein"], True), (["perhaps", "not"], False)):
        frame = rows.assign(garden=np.where(rows["garden"], *words))
        with pytest.raises(ph.TableError, match="write true and false, or 1 and 0") as problem:
            post.predict(frame)
        assert "name a column of numbers" not in str(problem.value)
        code = re.search(r": (frame\['garden'\].*?) in pandas", str(problem.value))
        assert bool(code) == mapped
        if code:
            said = post.predict(frame.assign(garden=eval(code[1], {"frame": frame})))
            assert said["mean"].tolist() == post.predict(rows)["mean"].tolist()


@pytest.mark.parametrize("column", ["garden", "said", "held"])
@pytest.mark.parametrize("kind", ["frame", "file", "product"])
def test_what_was_true_or_false_stays_so(gardens, column, kind, tmp_path):
    """Wherever rows come in; truth values, and 1 and 0, are what they were."""
    term = f"I({column} * living_space)" if kind == "product" else column
    source = gardens
    if kind == "file":
        source = tmp_path / "sales.csv"
        gardens.to_csv(source, index=False)
    fitted = ph.fit(f"price ~ living_space + {term} + (1 | zip)", source, chains=2, draws=50, seed=1)
    fitted.save(tmp_path / "post.nc")
    for post in (fitted, ph.load(tmp_path / "post.nc")):
        plain = post.predict(gardens.head(5))["mean"].tolist()
        for same in ([True, True, False, False, False], [1, 1, 0, 0, 0], ["True", "true", "false", "no", "no"]):
            assert post.predict(gardens.head(5).assign(**{column: same}))["mean"].tolist() == plain
        gone = post.predict(gardens.head(2).assign(**{column: [None, 1.0]}))
        assert gone["status"].tolist() == ["missing", "known"]
        for wrong in (2, 0.5, -1):
            rows = gardens.assign(**{column: gardens["number"].astype(float)})
            rows.loc[[6, 9], column] = wrong
            says = NEITHER.format(column, "2 rows, the first of them row 7", wrong)
            calls = (post.predict, post.predict_draws, post.expected, post.assess, post.posterior_predictive)
            for call in (*calls, post.plot.predictive):
                with pytest.raises(ph.TableError, match=says):
                    call(rows)
            post.predict(ph.read(rows, where=f"{column} in (0, 1)"))
            unused = f"so the predictor '{column}' cannot be used"
            says = rf"'{column}' is neither true nor false in 2 rows, {unused}: {wrong} "
            for call in (post.loo, post.update):
                with pytest.raises(ph.TableError, match=says):
                    call(rows)
            with pytest.raises(ph.TableError, match=says.replace("2 rows", "1 row")):
                post.influence(row=rows.iloc[6].to_dict())
            says = rf"at={{'{column}': True}}, not {wrong}"
            with pytest.raises(ph.ModelError, match=says):
                post.homes({column: wrong})
        assert post.homes({column: "true"})[column].tolist() == post.homes({column: 1})[column].tolist()


def test_numbers_and_older_files_stay_numbers(gardens, tmp_path):
    """A column of 1 and 0 is a number, as is one of a file that does not say more."""
    post = ph.fit("price ~ living_space + number + (1 | zip)", gardens, chains=2, draws=50, seed=1)
    rows = gardens.head(3).assign(number=[2.0, 0.5, 1.0])
    assert post.predict(rows)["status"].tolist() == ["known"] * 3
    assert "boolean_columns" not in post.tree.attrs
    post = ph.fit("price ~ living_space + garden + (1 | zip)", gardens, chains=2, draws=50, seed=1)
    assert post.tree.attrs["boolean_columns"] == '["garden"]'
    tree = post.tree.copy()
    tree.attrs = {name: value for name, value in tree.attrs.items() if name != "boolean_columns"}
    tree.attrs["priorhood_format"] = 4  # without checksums
    tree.to_netcdf(tmp_path / "old.nc")
    old = ph.load(tmp_path / "old.nc")
    assert old.design.truths == set()
    assert old.predict(rows.assign(garden=rows["number"]))["status"].tolist() == ["known"] * 3


@pytest.mark.parametrize("words", [(True, False), ("yes", "no")])
def test_places_that_are_true_or_false(gardens, words, tmp_path):
    """A predictor of the places (places=), which rows to predict may have themselves."""
    labels = sorted(set(gardens["zip"]))
    places = {"zip": labels, "coast": [words[at % 3 > 0] for at in range(len(labels))]}
    ph.fit("price ~ living_space + coast + (1 | zip)", gardens, places=places, chains=2, draws=50, seed=1).save(
        tmp_path / "post.nc"
    )
    post = ph.load(tmp_path / "post.nc")
    assert post.design.truths == {"coast"}
    assert post.predict(gardens)["status"].eq("known").all()
    with pytest.raises(ph.TableError, match=NEITHER.format("coast", "240 rows, the first of them row 1", 0.3)):
        post.predict(gardens.assign(coast=0.3))
    new = {"zip": ["new"], "coast": [2]}
    with pytest.raises(ph.TableError, match="'coast' is neither true nor false in 9 rows"):
        post.update(gardens.head(9).assign(zip="new"), places=new)
    post.report(tmp_path / "page.html")


def test_true_and_false_after_update_merge_and_pool(gardens, tmp_path):
    text = "price ~ living_space + garden + (1 | zip)"
    how = {"chains": 2, "draws": 50, "seed": 1}
    numbers = gardens.assign(garden=gardens["number"])
    first = ph.fit(text, gardens[:120], **how)
    assert ph.update(first, numbers[120:], **how).design.truths == {"garden"}
    assert ph.merge(first, ph.fit(text, gardens[120:], **how), **how).design.truths == {"garden"}
    # Where it was a number, it may have been any.
    assert ph.merge(first, ph.fit(text, numbers[120:], **how), **how).design.truths == set()
    sums = ph.moments(text, gardens[:120])
    sums.save(tmp_path / "a.moments")
    again = ph.load_moments(tmp_path / "a.moments")
    assert ph.pool(again, ph.moments(text, gardens[120:])).design.truths == {"garden"}
    assert ph.fit(text, again, **how).design.truths == {"garden"}


def test_the_average_home_has_a_share_of_gardens(gardens):
    """What homes() gives can be predicted, and pictures show lines between false and true."""
    pytest.importorskip("matplotlib")
    post = ph.fit("price ~ living_space + garden + (1 | zip)", gardens, chains=2, draws=50, seed=1)
    homes = post.homes()
    assert homes["garden"].between(0.3, 0.5).all()
    assert post.predict(homes)["status"].eq("known").all()
    with pytest.raises(ph.TableError, match="'garden' is neither true nor false in 8 rows"):
        post.predict(homes.assign(garden=homes["garden"] + 0.01))
    post.plot.forest(at={})
    post.plot.price(zip=homes["zip"][0])
    post.plot.prior_lines(x="garden")
    for table in (None, gardens):
        post.plot.lines("garden", table)

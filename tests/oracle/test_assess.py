"""Residuals and their p-values against plain loops over rows and draws, and against data from the model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import priorhood as ph
from priorhood.evaluation.residuals import DRAWS, effect_p, residuals, thinned, two_sided
from unit.posterior.test_predictive import drawn

MODEL = ph.Model(
    "y ~ x + (x | g)", ["mu ~ Normal(0, 2)", "tau ~ HalfNormal(1)", "sigma ~ HalfNormal(2)"],
    outcome_unit=1, standardize=False,
)  # fmt: skip


def world(seed, places=10, rows=12):
    """Rows from MODEL, their parameters from its prior; LKJ(2) correlations of two terms are 2 Beta(2, 2) − 1."""
    rng = np.random.default_rng(seed)
    g = np.repeat(np.arange(places), rng.integers(1, 2 * rows, places))
    x = rng.normal(size=len(g))
    rho = 2 * rng.beta(2, 2) - 1
    tau = np.abs(rng.normal(size=2))
    beta = rng.multivariate_normal(rng.normal(0, 2, 2), [[1, rho], [rho, 1]] * np.outer(tau, tau), places)
    sigma = abs(rng.normal(0, 2))
    y = beta[g, 0] + beta[g, 1] * x + sigma * rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{k}" for k in g]})


def fitted(frame, model=MODEL, draws=100, **options):
    return ph.fit(model, frame, chains=2, draws=draws, seed=1, **options)


def loops(post, frame):
    """Residuals (rows, draws) of y ~ x + (x | g), one row and draw at a time."""
    tree = post.tree["posterior"].to_dataset().stack(s=("chain", "draw"))
    z = np.empty((len(frame), tree.sizes["s"]))
    for i, row in enumerate(frame.itertuples()):
        b = tree["beta"].sel(g=row.g).transpose("term", "s").values
        sigma = tree["sigma"].sel(g=row.g).values if "g" in tree["sigma"].dims else tree["sigma"].values
        z[i] = (row.y - b[0] - b[1] * row.x) / (sigma / np.sqrt(getattr(row, "w", 1.0)))
    return z


@pytest.mark.parametrize("options", [{}, {"noise": "g"}, {"precision_weights": "w"}])
def test_residuals_are_those_of_plain_loops(options):
    frame = world(3).assign(w=lambda f: 1.0 + np.arange(len(f)) % 3)
    model = ph.Model(MODEL.formula, outcome_unit=1, standardize=False, **options)
    post = fitted(frame if "precision_weights" in options else (frame := frame.drop(columns="w")), model)
    found, z = residuals(post, frame, "error", 1), loops(post, frame)
    assert found.in_sample
    np.testing.assert_allclose(found.pit, stats.norm.cdf(z).mean(axis=1), rtol=1e-10)
    np.testing.assert_allclose(found.z, z.mean(axis=1), rtol=1e-8, atol=1e-10)
    for at, label in enumerate(found.labels):
        here = (frame["g"] == label).to_numpy()
        own, n = z[here], int(here.sum())
        root = np.sqrt(frame.loc[here, "w"].to_numpy() if "w" in frame else np.ones(n))
        W = np.column_stack([np.ones(n), frame.loc[here, "x"]]) * root[:, None]
        place = found.places[at]
        np.testing.assert_allclose(place.level[0], stats.norm.cdf(W[:, 0] @ own / np.linalg.norm(root)).mean())
        np.testing.assert_allclose(place.inside[2], (np.abs(own) <= stats.norm.ppf(0.95)).mean())
        if n > 2:
            across = W[:, 1] - W[:, 0] * (W[:, 0] @ W[:, 1]) / (W[:, 0] @ W[:, 0])
            t = across @ own / np.linalg.norm(across)
            np.testing.assert_allclose(place.slopes[:, 0], [stats.norm.cdf(t).mean(), stats.norm.sf(t).mean()])
            rest = own - W @ np.linalg.lstsq(W, own, rcond=None)[0]
            chi = stats.chi2(n - 2)
            total = (rest**2).sum(axis=0)
            np.testing.assert_allclose(place.spread, [chi.cdf(total).mean(), chi.sf(total).mean()], rtol=1e-7)


@pytest.mark.parametrize("options", [{}, {"noise": "zip"}, {"precision_weights": "w"}])
def test_students_residuals_are_normal_scores(options):
    frame = world(3).assign(w=lambda f: 1.0 + np.arange(len(f)) % 3).rename(columns={"g": "zip"})
    post = drawn(ph.Model("y ~ x + (x | zip)", family="student", **options), frame.assign(price=frame["y"]))
    found = residuals(post, frame, "error", 1)
    draws = post.tree["posterior"].to_dataset().stack(s=("chain", "draw"))
    for i in (0, 11, 40):
        row = frame.iloc[i]
        b = draws["beta"].sel(zip=row["zip"]).transpose("term", "s").values
        x = (row["x"] - post.scale.centre[1]) / post.scale.spread[1]
        sigma = draws["sigma"].sel(zip=row["zip"]).values if "noise" in options else draws["sigma"].values
        sigma = sigma / np.sqrt(row["w"]) if "precision_weights" in options else sigma
        p = stats.t.cdf((row["y"] / post.scale.unit - b[0] - b[1] * x) / sigma, draws["nu"].values)
        np.testing.assert_allclose(found.pit[i], p.mean(), rtol=1e-8)
        np.testing.assert_allclose(found.z[i], stats.norm.ppf(p).mean(), rtol=1e-6)


def test_pit_is_the_predicted_probability():
    frame = world(4)
    post = fitted(frame)
    found = ph.assess(post, frame).rows()
    for row in (0, 7, 20):
        told = post.predict(frame.iloc[[row]], below=float(frame["y"][row]))
        np.testing.assert_allclose(found["pit"][row], told.filter(like="below").iloc[0, 0], atol=1e-6)


def test_effects_are_whitened_by_their_own_spread():
    frame = world(5)
    post = fitted(frame)
    draws = post.tree["posterior"].to_dataset().stack(s=("chain", "draw"))
    labels, p = effect_p(post, thinned(post, DRAWS))["g"]
    total = np.zeros(len(labels))
    for s in range(draws.sizes["s"]):
        one = draws.isel(s=s)
        Sigma = one["omega"].values * np.outer(one["tau"], one["tau"])
        off = one["beta"].transpose("g", "term").values - one["mu"].values
        total += stats.chi2(2).sf(np.einsum("ja,ab,jb->j", off, np.linalg.inv(Sigma), off))
    np.testing.assert_allclose(p, np.minimum(2 * total / draws.sizes["s"], 1), rtol=1e-6)


def one_draw(post):
    """The same posterior with one draw only: every p-value of it is uniform on the model's own data."""
    from dataclasses import replace

    tree = post.tree.copy()
    kept = tree["posterior"].to_dataset().isel(chain=[0], draw=[-1])
    tree["posterior"] = type(tree)(kept)
    return replace(post, tree=tree)


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_stated():
    """400 worlds from the prior: at most 1 % are called wrong. P(10 or more alarms) is 0.008 at a rate of 1 %."""
    alarms = 0
    for seed in range(400):
        frame = world(1000 + seed)
        alarms += not ph.assess(fitted(frame), frame).good
    assert alarms <= 9


DESIGNS = {
    "nested": ("y ~ x + (1 | d/g)", {}), "crossed": ("y ~ x + (1 | g) + (1 | k)", {}),
    "noise": ("y ~ x + (1 | g)", {"noise": "g"}), "precision": ("y ~ x + (1 | g)", {"precision_weights": "w"}),
    "frequency": ("y ~ x + (1 | g)", {"frequency_weights": "n"}), "known errors": ("y ~ x + (1 | g)", {"se": "se"}),
}  # fmt: skip


def designed(design, seed):
    """300 rows of a design's model, its parameters from the prior: 12 places in 4 districts, 5 kinds across."""
    rng = np.random.default_rng(seed)
    g, k, x, w = rng.integers(0, 12, 300), rng.integers(0, 5, 300), rng.normal(size=300), rng.uniform(0.3, 3, 300)
    mu, tau, sigma = rng.normal(0, 2, 2), np.abs(rng.normal(size=3)), np.abs(rng.normal(0, 2, 13))
    a, b, c = (t * rng.normal(size=size) for t, size in zip(tau, (12, 4, 5), strict=True))
    sd = {"noise": sigma[g], "precision": sigma[12] / np.sqrt(w), "known errors": w**-0.5}.get(design, sigma[12])
    y = mu[0] + mu[1] * x + a[g] + sd * rng.normal(size=300)
    y += b[g % 4] if design == "nested" else c[k] if design == "crossed" else 0.0
    return pd.DataFrame({
        "y": y, "x": x, "w": w, "se": w**-0.5, "n": rng.integers(1, 4, 300),
        **{name: [f"{name}{one:02d}" for one in of] for name, of in (("g", g), ("d", g % 4), ("k", k))},
    })  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("design", DESIGNS)
def test_false_alarms_of_every_design_are_as_rare_as_stated(design):
    """100 worlds from the prior: P(5 or more alarms) is 0.003 at a rate of 1 %; the rows of a frequency repeat."""
    formula, options = DESIGNS[design]
    priors = ["mu ~ Normal(0, 2)", "tau ~ HalfNormal(1)", *([] if "se" in options else ["sigma ~ HalfNormal(2)"])]
    model = ph.Model(formula, priors, outcome_unit=1, standardize=False, **options)
    alarms = 0
    for seed in range(100):
        frame = designed(design, seed)
        alarms += not ph.assess(fitted(frame, model), frame).good
    assert alarms <= 4


def test_single_draws_p_values_are_uniform():
    """40 worlds, 10 places each: the share of p-values under 0.1 is 10 %, to 1e-4 of false alarm for each question.

    Negative control: under twice the true sigma it is not.
    """
    single, wrong = {}, []
    for seed in range(40):
        frame = world(seed)
        post = one_draw(fitted(frame, draws=50))
        found = ph.assess(post, frame)
        for name, p in found.questions.items():
            single.setdefault(name, []).extend(p[found.n > 2] / 2)
        if seed < 20:
            tree = post.tree.copy()
            draws = tree["posterior"].to_dataset()
            tree["posterior"] = type(tree)(draws.assign(sigma=2 * draws["sigma"]))
            wrong.extend(two_sided(residuals(type(post)(post.data, tree), frame, "error", 1).column("spread")) / 2)
    for name, values in single.items():
        count = int((np.array(values) < 0.1).sum())
        assert stats.binomtest(count, len(values), 0.1).pvalue > 1e-4, name
    assert stats.binomtest(int((np.array(wrong) < 0.1).sum()), len(wrong), 0.1).pvalue < 1e-6


def test_what_is_asked_of_few_rows_is_not_asked():
    frame = pd.concat([world(6), pd.DataFrame({"y": [0.0], "x": [1.0], "g": ["lone"]})])
    found = ph.assess(fitted(frame), frame)
    at = found.residuals.labels.tolist().index("lone")
    assert found.questions["spread"][at] == found.questions["slope of x"][at] == 1.0


# -- what is wrong is named ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def right():
    """Twelve places of 30 rows, y = 10 + a_g + (2 + b_g) x + e."""
    rng = np.random.default_rng(8)
    g = np.repeat(np.arange(12), 30)
    x = rng.normal(size=len(g))
    y = 10 + rng.normal(size=12)[g] + (2 + 0.3 * rng.normal(size=12)[g]) * x + rng.normal(size=len(g))
    return pd.DataFrame({"y": y, "x": x, "g": [f"g{k:02d}" for k in g]})


def assessed(frame, formula="y ~ x + (x | g)", **options):
    return ph.assess(fitted(frame, ph.Model(formula, **options)), frame)


def named(found, about):
    return next(v.text for v in found.bad if v.about == about)


def test_right_rows_are_good(right):
    found = assessed(right)
    assert found.good, found
    assert found.in_sample
    assert "360 of 360 rows compared with the model in 12 gs; these are the rows of the fit" in str(found)


def test_one_place_is_spoken_of_as_one(right):
    post = fitted(right, ph.Model("y ~ x + (x | g)"))
    one = right[right["g"] == "g03"]
    assert "the only g does not stand out: level" in str(ph.assess(post, one))
    odd = ph.assess(post, one.assign(y=one["y"] + 5 * (one["x"] > 0)))
    assert named(odd, "spread").startswith(
        "in 1 of 1 g the residual sd differs from that of the others: g03 (30 rows"
    )


def test_a_place_that_scatters_more_is_named(right):
    there = right["g"] == "g03"
    rng = np.random.default_rng(1)
    frame = right.assign(y=right["y"] + np.where(there, 4 * rng.normal(size=len(right)), 0))
    found = assessed(frame)
    assert "g03" in named(found, "spread")
    assert "noise='g'" in named(found, "spread")
    assert "spread" in found.summary()["wrong"].iloc[0]
    assert not [v for v in assessed(frame, noise="g").bad if v.about == "spread"]


def test_a_slope_reversed_is_named(right):
    frame = right.assign(y=right["y"] - np.where(right["g"] == "g05", 4 * right["x"], 0))
    text = named(assessed(frame, "y ~ x + (1 | g)"), "slope of x")
    assert "g05" in text
    assert "flatter" in text
    assert "fit 'y ~ x + (x | g)'" in text


def test_places_off_the_line_are_named(right):
    frame = right.assign(y=right["y"] + np.where(right["g"] == "g07", 3.0, 0))
    text = named(assessed(frame, "y ~ x + (0 + x | g)"), "level")
    assert "g07" in text
    assert "fit 'y ~ x + (x | g)'" in text


def test_an_outlying_place_is_named():
    rng = np.random.default_rng(2)
    g = np.repeat(np.arange(40), 10)
    y = 0.3 * rng.normal(size=40)[g] + 0.3 * rng.normal(size=400) + np.where(g == 11, 8.0, 0)
    frame = pd.DataFrame({"y": y, "g": [f"g{k:02d}" for k in g]})
    assert "g11" in named(assessed(frame, "y ~ 1 + (1 | g)"), "effect")


def test_heavy_tails_are_found_and_student_mends_the_advice(right):
    rng = np.random.default_rng(3)
    frame = right.assign(y=right["y"] + 3 * rng.standard_t(2, size=len(right)))
    found = assessed(frame)
    assert "family='student'" in named(found, "intervals")


def test_a_lone_outlier_is_named_by_its_position(right):
    y = right["y"].to_numpy().copy()
    y[123] += 12
    text = named(assessed(right.assign(y=y)), "rows")
    assert "row 123 (g04" in text
    assert text.startswith("1 of 360 rows is an outlier")

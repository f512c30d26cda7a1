"""Weights from the rows to the saved file. Repeated rows judge frequencies, a dense Normal precisions.

What each kind means for σ is tested as well: 25 equal rows tell of σ, one row of weight 25 does not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import special, stats

import priorhood as ph

Z = 4.5
TEXT = "y ~ x + (1 | g)"
PRIORS = {
    "mu[Intercept]": ph.Normal(0, 3), "mu[x]": ph.Normal(0, 2), "tau": ph.HalfNormal(1.5),
    "sigma": ph.Exponential(2),
}  # fmt: skip
HOW = {"draws": 200, "seed": 2}


def table(n=40, seed=14):
    rng = np.random.default_rng(seed)
    g = np.arange(n) % 6
    x = rng.normal(50, 10, n)
    w = 10.0 ** rng.uniform(-1, 1, n)
    y = 5000 + 80 * (x - 50) + 1500 * rng.normal(size=6)[g] + 1800 / np.sqrt(w) * rng.normal(size=n)
    return pd.DataFrame(
        {"g": [f"g{i}" for i in g], "x": x, "y": y, "w": w, "n": rng.integers(0, 6, n), "e": 1800 / np.sqrt(w)}
    )


def repeated(frame):
    return frame.loc[frame.index.repeat(frame["n"])].reset_index(drop=True)


def model(text=TEXT, **options):
    return ph.Model(text, PRIORS, outcome_unit=1000, **options)


def the_same(one, other, rtol=1e-6):
    assert one.log_evidence == pytest.approx(other.log_evidence, abs=1e-6)
    assert one.parameters == other.parameters
    for name in one.parameters:
        np.testing.assert_allclose(one[name].values, other[name].values, rtol=rtol, atol=1e-6)


# -- frequencies ------------------------------------------------------------------------------------------

SETTINGS = {
    "correlated": ("y ~ x + (x | g)", {}, None),
    "precision": ("y ~ x + (1 | g)", {"precision_weights": "w"}, None),
    "known errors": ("y ~ x + (1 | g)", {"se": "e"}, None),
    "log, outliers": ("log(price) ~ x + (x || g)", {}, 0.5),
    "pooled, precision, outliers": ("price ~ x", {"precision_weights": "w"}, 0.3),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_a_row_that_stands_for_n_is_n_rows(case):
    """Scale, dropped rows, notes, evidence and all draws are those of the table with every row n times."""
    text, options, factor = SETTINGS[case]
    frame = table().assign(price=lambda f: np.exp(f["y"] / 5000))
    one, two = (
        ph.fit(ph.Model(text, **options, **how), rows, drop_outliers=factor, **HOW)
        for rows, how in ((frame, {"frequency_weights": "n"}), (repeated(frame), {}))
    )
    the_same(one, two)
    np.testing.assert_allclose(one.scale.centre, two.scale.centre, rtol=1e-12)
    np.testing.assert_allclose(one.scale.spread, two.scale.spread, rtol=1e-12)
    assert one.scale.unit == two.scale.unit
    np.testing.assert_array_equal(one.moments.n, two.moments.n)
    assert one.attrs["rows_used"] == two.attrs["rows_used"] == one.moments.n.sum()
    assert one.notes == two.notes
    # The account is of rows of the table.
    assert one.attrs["rows_read"] == len(frame)
    gone = {d.reason: d.rows for d in one.moments.dropped}
    assert gone.pop("frequency weight of 0 in") == (frame["n"] == 0).sum()
    assert bool(gone) == (factor is not None)
    assert one.moments.listed == len(frame) - (frame["n"] == 0).sum() - sum(gone.values())


def test_counts_of_one_are_no_counts():
    the_same(ph.fit(model(frequency_weights="n"), table().assign(n=1), **HOW), ph.fit(model(), table(), **HOW))


# -- precisions -------------------------------------------------------------------------------------------


def raw_log_evidence(frame, unit, points=160):
    """log p(y) of the outcome as it is from every row's covariance; τ, σ by the trapezoid rule on log τ, log σ."""
    w = frame["w"].to_numpy()
    x = frame["x"].to_numpy()
    centre = np.average(x, weights=w)
    z = (x - centre) / np.sqrt(np.average((x - centre) ** 2, weights=w))
    X = np.column_stack([np.ones(len(x)), z])
    same = (frame["g"].to_numpy()[:, None] == frame["g"].to_numpy()).astype(float)
    fixed = X @ np.diag([3.0**2, 2.0**2]) @ X.T
    y = frame["y"].to_numpy() / unit
    t, s = np.meshgrid(np.linspace(-14, 3, 4 * points), np.linspace(-1.5, 2.5, points), indexing="ij")
    tau, sigma = np.exp(t.ravel()), np.exp(s.ravel())
    log_p = np.empty(len(tau))
    for at in np.array_split(np.arange(len(tau)), 50):
        V = fixed + tau[at, None, None] ** 2 * same + sigma[at, None, None] ** 2 * np.diag(1 / w)
        L = np.linalg.cholesky(V)
        r = np.linalg.solve(V, np.broadcast_to(y[:, None], (len(at), len(y), 1)))[..., 0] @ y
        log_p[at] = -0.5 * r - np.log(np.diagonal(L, axis1=1, axis2=2)).sum(axis=1) - len(y) / 2 * np.log(2 * np.pi)
    log_p += stats.halfnorm.logpdf(tau, scale=1.5) + stats.expon.logpdf(sigma, scale=2) + np.log(tau * sigma)
    top = log_p.max()
    weights = np.exp(log_p - top)
    cell = (t[1, 0] - t[0, 0]) * (s[0, 1] - s[0, 0])
    moments = {"tau": weights @ tau / weights.sum(), "sigma": weights @ sigma / weights.sum()}
    return top + np.log(weights.sum() * cell) - len(y) * np.log(unit), moments


def test_against_the_dense_normal():
    """Evidence in the outcome's units and posterior means of the scales; without the weights both are far off."""
    frame = table(24)
    post = ph.fit(model(precision_weights="w"), frame, seed=1)
    expected, means = raw_log_evidence(frame, 1000.0)
    error = post.attrs["log_evidence_error"]
    assert error < 0.02
    assert post.log_evidence == pytest.approx(expected, abs=Z * error + 1e-3)
    for name, mean in means.items():
        draws = post[name].values.ravel()
        assert draws.mean() == pytest.approx(mean, abs=Z * draws.std() / np.sqrt(0.7 * draws.size))
    ignored = ph.fit(model(), frame, seed=1)
    assert abs(ignored.log_evidence - expected) > 5


def test_weights_of_one_are_no_weights():
    the_same(ph.fit(model(precision_weights="w"), table().assign(w=1.0), **HOW), ph.fit(model(), table(), **HOW))


def test_e_squared_times_the_weights_is_e_times_sigma():
    """log σ moves by 1, which is whole steps of the grid on which proposals lie."""
    one = ph.fit(model(precision_weights="w"), table(), **HOW)
    wide = ph.Model(TEXT, {**PRIORS, "sigma": ph.Exponential(2 * np.e)}, outcome_unit=1000, precision_weights="w")
    two = ph.fit(wide, table().assign(w=lambda f: np.e**2 * f["w"]), **HOW)
    assert two.log_evidence == pytest.approx(one.log_evidence, abs=1e-6)
    np.testing.assert_allclose(two["sigma"].values, np.e * one["sigma"].values, rtol=1e-6)
    np.testing.assert_allclose(two["beta"].values, one["beta"].values, rtol=1e-6, atol=1e-6)


def test_means_of_rows_weigh_as_many_rows():
    """With σ known, the mean of k rows of one x and place is all there is to know of them."""
    frame = table()
    k = np.random.default_rng(3).integers(1, 5, len(frame))
    rows = frame.loc[frame.index.repeat(k)].reset_index(drop=True)
    rows["y"] += 900 * np.random.default_rng(4).normal(size=len(rows))
    keys = np.repeat(np.arange(len(frame)), k)
    means = frame.assign(y=rows["y"].groupby(keys).mean().to_numpy(), w=k)
    known = {**PRIORS, "tau": ph.Fixed(1.2), "sigma": ph.Fixed(1.5)}
    one = ph.fit(ph.Model(TEXT, known, outcome_unit=1000, precision_weights="w"), means, **HOW)
    two = ph.fit(ph.Model(TEXT, known, outcome_unit=1000), rows, **HOW)
    for name in ("mu", "beta"):
        np.testing.assert_allclose(one[name].values, two[name].values, rtol=1e-6, atol=1e-6)


def test_repeated_rows_tell_of_sigma_and_precise_ones_do_not():
    """N rows, 25 times over, are 25 N to know σ by; N rows of weight 25 are N, and σ is five times as large.

    Without groups and under flat priors (N − D − 1) s²/σ² is chi-square of ν = N − D − 1: log σ has the sd
    √ψ′(ν/2) / 2. That of 4,000 draws is known to about 1.3 %.
    """
    frame = table().assign(n=25, w=25.0)
    flat = {"mu": ph.Normal(0, 1e4), "sigma": ph.Exponential(1e4)}

    def log_sigma(**options):
        post = ph.fit(ph.Model("y ~ x", flat, outcome_unit=1000, **options), frame, seed=5)
        return np.log(post["sigma"].values)

    plain, frequent, precise = log_sigma(), log_sigma(frequency_weights="n"), log_sigma(precision_weights="w")
    few, many = (0.5 * np.sqrt(special.polygamma(1, (N - 3) / 2)) for N in (40, 40 * 25))
    for draws, sd in ((plain, few), (frequent, many), (precise, few)):
        assert draws.std() == pytest.approx(sd, rel=Z * 0.013)
    assert few / many > 5
    error = few * np.sqrt(2 / 2800)
    assert precise.mean() - plain.mean() == pytest.approx(np.log(5), abs=Z * error)


# -- afterwards -------------------------------------------------------------------------------------------


def test_saved_updated_and_merged(tmp_path):
    both = model(precision_weights="w", frequency_weights="n")
    frame = table()
    whole = ph.fit(both, frame, **HOW)
    whole.save(tmp_path / "whole.nc")
    back = ph.load(tmp_path / "whole.nc")
    assert back.model == both
    assert back.attrs["rows_used"] == frame["n"].sum()
    assert back.moments.listed == (frame["n"] > 0).sum()
    by_group = (frame["n"] * frame["w"]).groupby(frame["g"]).sum()
    np.testing.assert_allclose(back.moments.weight, by_group, rtol=1e-12)
    assert back.moments.log_weight == pytest.approx((frame["n"] * np.log(frame["w"])).sum(), rel=1e-12)
    the_same(ph.refit(back, **HOW), whole)
    first = np.arange(len(frame)) % 3 > 0
    begun, rest = (ph.fit(both, part, **HOW) for part in (frame[first], frame[~first]))
    the_same(ph.update(begun, frame[~first], **HOW), whole)
    the_same(ph.merge(begun, rest, **HOW), whole)


@pytest.mark.parametrize("option", ["precision_weights", "frequency_weights"])
def test_weighted_and_unweighted_are_not_merged(option):
    frame = table()
    column = option[0].replace("p", "w").replace("f", "n")
    weighted, plain = (ph.fit(model(**how), frame, **HOW) for how in ({option: column}, {}))
    with pytest.raises(ph.ModelError, match=f"cannot merge: {option} is {column} in file 1, None in file 2"):
        ph.merge(weighted, plain, **HOW)
    with pytest.raises(ph.ModelError, match=f"cannot merge: {option} is None in file 1, {column} in file 2"):
        ph.merge(plain, weighted, **HOW)
    with pytest.raises(ph.TableError, match=f"no column '{column}' \\(the {option.replace('_', ' ')}\\)"):
        ph.update(weighted, frame.drop(columns=column), **HOW)


def test_predictions():
    """sd² = Var(xᵀβ) + E σ²/w; a row without the column has weight 1; frequencies are of no account."""
    frame = table()
    post = ph.fit(model(precision_weights="w", frequency_weights="n"), frame, **HOW)
    rows = frame.head(4).drop(columns="n").assign(w=[1.0, 4.0, np.nan, -2.0])
    found = post.predict(rows)
    assert found["status"].tolist() == ["known", "known", "missing", "invalid"]
    bare = post.predict(rows.drop(columns="w"))
    assert bare["status"].tolist() == ["known"] * 4
    assert bare["sd"][0] == found["sd"][0]
    noise = (post["sigma"].values ** 2).mean() * 1000**2
    assert bare["sd"][1] ** 2 - found["sd"][1] ** 2 == pytest.approx(noise * (1 - 1 / 4), rel=1e-9)
    assert bare["mean"][1] == found["mean"][1]
    with pytest.raises(ph.TableError, match=r"column 'w' .* holds text, .* 'much'; name a column"):
        post.predict(rows.assign(w="much"))


def test_equations_say_it():
    post = ph.fit(model(precision_weights="w", frequency_weights="n"), table(), **HOW)
    assert "ε ~ Normal(0, sigma / √w)\n  a row stands for n identical rows\n" in post.equations()
    assert post.model.with_priors("tau ~ HalfNormal(1)").weights == post.model.weights
    assert ph.Model.from_dict(post.model.to_dict()) == post.model

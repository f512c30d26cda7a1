"""Leave-one-out against dense Normals given θ, against refits of everything, and against ArviZ's PSIS-LOO."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from arviz_stats.base import array_stats
from scipy import integrate, stats

import priorhood as ph
from oracle.test_groupings import Dense, rows
from priorhood.diagnostics.psis import smooth_weights
from priorhood.engines.exact.conditional import ConditionalPosterior, log_places, picks, without_row
from priorhood.engines.exact.theta import constrain, from_prior
from priorhood.evaluation.elpd import DensitySums
from unit.posterior.test_predictive import drawn

FORMULAS = (
    "y ~ x + (x | city/district/zip)",
    "y ~ 1 + (x | district) + (1 | district:zip)",
    "y ~ x + (x | district/zip) + (x || kind)",
    "y ~ x + (1 | zip) + (1 | kind) + (0 + x | year)",
)


class Posed:
    """A dense model, three draws of θ from the prior, and what the closed forms say of its rows."""

    def __init__(self, formula):
        self.dense = dense = Dense(ph.Model(formula), rows())
        rng = np.random.default_rng(1)
        self.values = constrain(dense.problem, 0.5 * from_prior(dense.problem, 3, rng))
        self.given = ConditionalPosterior(dense.problem, self.values, self.values.sigma)
        self.cell = self._cells()
        self.residual = dense.y - dense.X @ dense.problem.shift[: dense.X.shape[1]]
        self.mean = dense.R[:, : dense.sizes[0]] @ dense.problem.root_mean

    def _cells(self):
        columns = [self.dense.table[c].astype(str) for c in self.dense.model.formula.keys]
        own = ["/".join(one) for one in zip(*columns, strict=True)]
        return np.unique(own, return_inverse=True)[1]

    def covariance(self, s):
        noise = self.values.sigma[s] ** 2 * np.eye(len(self.residual))
        return self.dense.R @ self.dense.prior(self.values, s) @ self.dense.R.T + noise

    def rows(self):
        leaf = self.dense.hierarchy.levels[0].of_cell
        m, C = self.given.cells(leaf, picks(self.dense.problem, np.arange(len(leaf))))
        mu = np.einsum("ia,isa->is", self.dense.X, m[self.cell])
        variance = np.einsum("ia,isab,ib->is", self.dense.X, C[self.cell], self.dense.X)
        return without_row(mu, variance, self.residual[:, None], self.values.sigma[None] ** 2)


@pytest.fixture(scope="module", params=FORMULAS)
def posed(request):
    return Posed(request.param)


def test_a_row_given_theta_is_that_of_the_dense_inverse(posed):
    out, within, z = posed.rows()
    y = posed.dense.y
    for s in range(3):
        V = posed.covariance(s)
        inverse = np.linalg.inv(V)
        off, sd = inverse @ (y - posed.mean) / np.diag(inverse), np.diag(inverse) ** -0.5
        np.testing.assert_allclose(z[:, s], off / sd, atol=1e-8)
        np.testing.assert_allclose(out[:, s], stats.norm.logpdf(off, 0, sd), atol=1e-8)
        # Given all rows: the prediction of another row just like it.
        noise = posed.values.sigma[s] ** 2
        known = V - noise * np.eye(len(y))
        m, v = posed.mean + known @ inverse @ (y - posed.mean), np.diag(known - known @ inverse @ known)
        np.testing.assert_allclose(within[:, s], stats.norm.logpdf(y, m, np.sqrt(v + noise)), atol=1e-8)


def left_out_by_the_dense_normal(posed, s, keep):
    V, y = posed.covariance(s), posed.dense.y
    whole = stats.multivariate_normal(posed.mean, V).logpdf(y)
    if not keep.any():
        return whole
    return whole - stats.multivariate_normal(posed.mean[keep], V[np.ix_(keep, keep)]).logpdf(y[keep])


def test_a_place_of_any_level_given_theta_is_that_of_the_dense_normal(posed):
    for at, level in enumerate(posed.dense.hierarchy.levels):
        own = level.of_cell[posed.cell]
        n = np.bincount(own, minlength=level.size).astype(float)
        c = np.bincount(own, weights=posed.residual**2, minlength=level.size)
        found = log_places(posed.given, at, n, c, np.zeros(level.size))[0]
        right = np.array([
            [left_out_by_the_dense_normal(posed, s, own != v) for s in range(3)] for v in range(level.size)
        ])  # fmt: skip
        np.testing.assert_allclose(found, right, atol=1e-7)
        # Another place's message, the negative control, is seen.
        assert np.abs(found - np.roll(right, 1, axis=0)).max() > 0.1


def test_smoothed_weights_are_those_of_arviz():
    rng = np.random.default_rng(1)
    ratios = rng.standard_t(4, (6, 1000)) * np.array([0.1, 0.5, 1, 2, 3, 5])[:, None]
    logs, k = smooth_weights(ratios)
    for own, value, given in zip(logs, k, ratios, strict=True):
        theirs, their_k = array_stats.psislw(-given)
        np.testing.assert_allclose(own, theirs - np.log(np.exp(theirs).sum()), atol=1e-9)
        assert value == pytest.approx(float(their_k), abs=1e-9)


def test_weights_that_are_alike_stay_alike():
    logs, k = smooth_weights(np.zeros((2, 200)))
    np.testing.assert_allclose(logs, -np.log(200))
    assert (k == -np.inf).all()


# -- refits: log p(y_i | y₋ᵢ) is a difference of two evidences ---------------------------------------------

SCALES = ["mu ~ Normal(0, 5)", "tau ~ Exponential(1)", "sigma ~ Exponential(1)"]
RAW = {"standardize": False, "outcome_unit": 1}


def forty(seed=3):
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(8), [1, 1, 2, 4, 5, 7, 9, 11])
    x = rng.normal(size=40)
    y = 1 + rng.normal(0, 0.7, 8)[place] + (0.5 + rng.normal(0, 0.4, 8)[place]) * x + rng.normal(0, 0.6, 40)
    return pd.DataFrame({"d": np.array(["n", "s", "w"])[place % 3], "g": [f"g{p}" for p in place], "x": x, "y": y,
                         "w": rng.uniform(0.3, 3, 40)})  # fmt: skip


def evidence(model, table):
    post = ph.fit(model, table, seed=5, draws=500)
    return post.log_evidence, post.attrs["log_evidence_error"]


def refitted(model, table, parts):
    """log p(y_part | the others) and its error by refits without each part."""
    whole, error = evidence(model, table)
    rest = [evidence(model, table[~part]) for part in parts]
    return np.array([whole - value for value, _ in rest]), np.array([np.hypot(error, e) for _, e in rest])


@pytest.mark.parametrize("options", [{}, {"precision_weights": "w"}], ids=["plain", "precision weights"])
def test_rows_agree_with_refits(options):
    table = forty()
    model = ph.Model("y ~ x + (x | g)", SCALES, **RAW, **options)
    found = ph.loo(ph.fit(model, table, seed=1), table)
    some = np.array([0, 2, 9, 20, 39])
    told, error = refitted(model, table, [np.arange(40) == i for i in some])
    own = found.pointwise["elpd"].to_numpy()[some]
    assert found.check.good
    np.testing.assert_allclose(own, told, atol=5 * error.max() + 0.02)


@pytest.mark.parametrize(
    ("formula", "level"), [("y ~ x + (x | g)", "g"), ("y ~ x + (1 | d/g)", "d"), ("y ~ x + (1 | d/g)", "g"),
                           ("y ~ x + (1 | g) + (1 | d)", "d")],
)  # fmt: skip
def test_places_agree_with_refits(formula, level):
    table = forty()
    model = ph.Model(formula, SCALES, **RAW)
    found = ph.loo_places(ph.fit(model, table, seed=1), level, draws=4000)
    labels = [str(label).rpartition("/")[2] for label in found.pointwise.index]
    assert found.pointwise["rows"].tolist() == [int((table[level] == label).sum()) for label in labels]
    told, error = refitted(model, table, [(table[level] == label).to_numpy() for label in labels])
    # Where leaving out moves θ far the weights say so; there a difference is no surprise.
    ok = found.pointwise["pareto_k"].to_numpy() < 0.5
    assert ok.mean() > 0.6
    np.testing.assert_allclose(found.pointwise["elpd"].to_numpy()[ok], told[ok], atol=5 * error.max() + 0.08)


def test_without_the_correction_for_the_shift_of_theta_it_is_another_number(monkeypatch):
    """The negative control: the mean over θ | y instead of θ | y₋ᵢ is too high, by more than any error here."""
    table = forty()
    post = ph.fit(ph.Model("y ~ x + (x | g)", SCALES, **RAW), table, seed=1)
    found = ph.loo(post, table)

    def alike(log_ratios):
        return np.full(log_ratios.shape, -np.log(log_ratios.shape[1])), np.zeros(len(log_ratios))

    monkeypatch.setattr("priorhood.evaluation.elpd.smooth_weights", alike)
    wrong = ph.loo(post, table)
    assert wrong.elpd - found.elpd > 10 * found.mcse


def test_eight_schools_by_quadrature():
    """θ is one number there, log tau: both evidences are integrals that need no sampler."""
    y = np.array([28.0, 8, -3, 7, -1, 1, 18, 12])
    se = np.array([15.0, 10, 16, 11, 9, 11, 10, 18])
    table = pd.DataFrame({"school": [*"ABCDEFGH"], "effect": y, "se": se})
    model = ph.Model("effect ~ 1 + (1 | school)", ["mu ~ Normal(0, 5)", "tau ~ HalfCauchy(5)"], se="se", **RAW)
    post = ph.fit(model, table, seed=1)

    def log_evidence(keep):
        def density(u):
            tau = np.exp(u)
            V = np.diag(se[keep] ** 2 + tau**2) + 25.0
            return stats.multivariate_normal(np.zeros(keep.sum()), V).pdf(y[keep]) * stats.halfcauchy.pdf(
                tau, scale=5
            ) * tau  # fmt: skip

        return np.log(integrate.quad(density, -12, 9, limit=200, epsabs=0, epsrel=1e-8)[0])

    every = np.ones(8, dtype=bool)
    right = np.array([log_evidence(every) - log_evidence(np.arange(8) != i) for i in range(8)])
    by_row, by_place = ph.loo(post, table, draws=4000), ph.loo_places(post, draws=4000)
    for found in (by_row, by_place):
        np.testing.assert_allclose(found.pointwise["elpd"], right, atol=0.01)
    # One row a place: leaving out either is the same, but for the wider draws of θ that places are given beside.
    off = np.abs(by_row.pointwise["elpd"].to_numpy() - by_place.pointwise["elpd"].to_numpy())
    assert (off < 5 * by_row.pointwise["mcse"].to_numpy()).all()
    assert (by_place.pointwise["mcse"] < 0.01).all()


# -- against ArviZ ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small():
    table, _ = ph.simulate(25, 300, seed=4)
    return table, ph.fit("price ~ living_space + (living_space | zip)", table, seed=1)


def test_it_agrees_with_arviz_within_both_errors_and_its_weights_are_better(small):
    table, post = small
    found = ph.loo(post, table)
    log = ph.posterior_predictive(post, table)["log_likelihood"]["price"].values.reshape(4000, -1).T
    theirs = DensitySums(np.zeros(4000))
    told = theirs.add(log, log, np.ones(len(log)))
    bad = told["pareto_k"] > found.good_k
    # Where their weights have a good tail, every row agrees; the rest are theirs alone.
    fine = told["pareto_k"] < 0.5
    off = (found.pointwise["elpd"].to_numpy() - told["elpd"])[fine]
    assert abs(off.sum()) < 4 * np.hypot(found.mcse, theirs.error)
    assert np.abs(off).max() < 0.2
    assert bad.sum() > 0
    assert not len(found.bad)
    assert abs(found.p - told["p"].sum()) < 0.15 * found.p
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = array_stats.loo(log[0].reshape(4, 1000), chain_axis=0, draw_axis=1)
    assert told["elpd"][0] - np.log(1.0) == pytest.approx(float(one[0]), abs=1e-8)


def loo_of_arviz(post, table, outcome):
    """Elpd and Pareto k of every row, ArviZ's, from the log-likelihoods of posterior_predictive."""
    log = ph.posterior_predictive(post, table)["log_likelihood"][outcome].values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = [
            array_stats.loo(log[..., i], chain_axis=0, draw_axis=1, log_jacobian=0) for i in range(log.shape[2])
        ]
    return np.array([float(one[0]) for one in found]), np.array([float(one[1]) for one in found])


@pytest.mark.parametrize(
    ("formula", "options"),
    [("y ~ x + (x | g)", {}), ("log(z) ~ x + (1 | g)", {"noise": "g"}), ("y ~ x", {"precision_weights": "w"})],
)  # fmt: skip
def test_students_rows_are_arvizs(formula, options):
    """Errors that do not integrate out: PSIS of the coefficients' draws, which need not be a posterior's."""
    table = forty().assign(z=lambda f: np.exp(f["y"]), price=lambda f: f["y"], zip=lambda f: f["g"])
    post = drawn(ph.Model(formula, family="student", **options), table, draws=150)
    found = ph.loo(post, table)
    elpd, k = loo_of_arviz(post, table, "z" if "z" in formula else "y")
    assert found.way.startswith("PSIS")
    np.testing.assert_allclose(found.pointwise["elpd"], elpd, atol=1e-8)
    np.testing.assert_allclose(found.pointwise["pareto_k"], k, atol=1e-6)
    assert found.draws == 300


@pytest.mark.parametrize(
    ("formula", "options"),
    [("y ~ x + (x | d/g)", {}), ("y ~ x + (1 | g) + (x || d)", {}), ("y ~ x + (1 | g)", {"noise": "g"}),
     ("y ~ x + (1 | g)", {"se": "w"})],
)  # fmt: skip
def test_rows_of_any_grouping_are_arvizs(formula, options, monkeypatch):
    """The same way for models that do integrate out, so that levels, crossed effects and noise are compared too."""
    table = forty()
    post = ph.fit(ph.Model(formula, SCALES[:2], **options), table, seed=1, chains=2, draws=150)
    monkeypatch.setattr("priorhood.evaluation.loo.collapse_refusal", lambda _: "a test says so")
    found = ph.loo(post, table)
    elpd, k = loo_of_arviz(post, table, "y")
    np.testing.assert_allclose(found.pointwise["elpd"], elpd, atol=1e-8)
    np.testing.assert_allclose(found.pointwise["pareto_k"], k, atol=1e-6)


def test_pit_values_are_uniform_where_the_model_is_right(small):
    table, post = small
    pit = ph.loo(post, table).pointwise["pit"]
    # A right model fails once in a thousand seeds.
    assert stats.kstest(pit, "uniform").pvalue > 0.001


def test_the_fit_is_not_needed_twice_for_rows_that_repeat():
    """A row that stands for n equal ones: one of the n is left out, n times."""
    table = forty().assign(n=np.random.default_rng(1).integers(1, 4, 40))
    counted = ph.fit(ph.Model("y ~ x + (1 | g)", frequency_weights="n"), table, seed=1)
    again = table.loc[table.index.repeat(table["n"])].reset_index(drop=True)
    written = ph.fit("y ~ x + (1 | g)", again, seed=1)
    one, two = ph.loo(counted, table), ph.loo(written, again)
    assert one.elpd == pytest.approx(two.elpd, rel=1e-6)
    assert one.se == pytest.approx(two.se, rel=1e-6)
    assert one.p == pytest.approx(two.p, rel=1e-5)


def test_a_log_outcome_is_judged_on_the_outcomes_own_scale(small):
    table, _ = small
    fitted = ph.fit("log(price) ~ living_space + (1 | zip)", table, seed=1, draws=300)
    logs = table.assign(logs=np.log(table["price"]))
    model = ph.Model("logs ~ living_space + (1 | zip)", outcome_unit=1)
    plain = ph.fit(model, logs, seed=1, draws=300)
    jacobian = np.log(table["price"]).sum()
    assert ph.loo(fitted, table).elpd == pytest.approx(ph.loo(plain, logs).elpd - jacobian, abs=1e-6)
    assert ph.loo_places(fitted).elpd == pytest.approx(ph.loo_places(plain).elpd - jacobian, abs=1e-6)


def test_a_sigma_of_its_own_for_every_place():
    table = forty(7)
    table = table[~table["g"].isin(["g0", "g1", "g2"])].reset_index(drop=True)
    model = ph.Model("y ~ x + (1 | g)", ["mu ~ Normal(0, 5)", "tau ~ Exponential(1)"], noise="g", **RAW)
    post = ph.fit(model, table, seed=1)
    by_row, by_place = ph.loo(post, table, draws=4000), ph.loo_places(post, draws=4000)
    some = np.array([0, 5, 12, 30])
    told, error = refitted(model, table, [np.arange(len(table)) == i for i in some])
    np.testing.assert_allclose(by_row.pointwise["elpd"].to_numpy()[some], told, atol=5 * error.max() + 0.05)
    places = by_place.pointwise.index[:2]
    told, error = refitted(model, table, [(table["g"] == g).to_numpy() for g in places])
    np.testing.assert_allclose(by_place.pointwise["elpd"].to_numpy()[:2], told, atol=5 * error.max() + 0.1)


def test_no_group_at_all_is_a_plain_regression():
    table = forty()
    post = ph.fit(ph.Model("y ~ x", [SCALES[0], SCALES[2]], **RAW), table, seed=1)
    found = ph.loo(post, table)
    told, error = refitted(post.model, table, [np.arange(40) == i for i in (0, 7)])
    np.testing.assert_allclose(found.pointwise["elpd"].to_numpy()[[0, 7]], told, atol=5 * error.max() + 0.01)
    with pytest.raises(ph.ModelError, match="no place to leave out"):
        ph.loo_places(post)


# -- places one by one, on random designs: weights, known errors, levels, predictors of places, noise ------------


def random_design(seed):
    """A model and its rows: what rows count, what varies and what is nested differ from seed to seed."""
    rng = np.random.default_rng(seed)
    kind = seed % 6
    nested = kind in (3, 5)
    sizes = rng.integers(1, 6, int(rng.integers(6, 8) if nested else rng.integers(4, 7)))
    place = np.repeat(np.arange(len(sizes)), sizes)
    x, z, e = rng.normal(size=len(place)), rng.normal(size=len(sizes)), rng.normal(size=len(place))
    se, w = rng.uniform(0.2, 2, len(place)), rng.uniform(0.1, 5, len(place))
    spread = se if kind in (0, 3) else 0.6 / np.sqrt(w) if kind in (1, 4) else 0.6
    y = 1 + rng.normal(0, 0.7, len(sizes))[place] + rng.normal(0.5, 0.4, len(sizes))[place] * x
    table = pd.DataFrame({"d": np.array(["n", "s"])[place % 2], "g": [f"g{p}" for p in place], "x": x,
                          "z": z[place], "y": y + 0.3 * z[place] + spread * e, "se": se, "w": w})  # fmt: skip
    formula = ["y ~ x + (x | g)", "y ~ x + (x || g)", "y ~ x + (x | g)", "y ~ x + (1 | d/g)", "y ~ x + z + (1 | g)",
               "y ~ x + z + (1 | d/g)"][kind]  # fmt: skip
    options = [{"se": "se"}, {"precision_weights": "w"}, {}, {"se": "se"}, {"precision_weights": "w"}, {}][kind]
    priors = SCALES[:2] if kind in (0, 3) else SCALES
    return ph.Model(formula, priors, **RAW, **options), table


def refits_of_places(model, table, index):
    labels = [str(label).rpartition("/")[2] for label in index]
    whole, error = light_evidence(model, table)
    rest = [light_evidence(model, table[table["g"] != label]) for label in labels]
    return np.array([whole - value for value, _ in rest]), np.array([np.hypot(error, e) for _, e in rest])


def light_evidence(model, table):
    post = ph.fit(model, table, seed=5, chains=2, draws=300)
    return post.log_evidence, post.attrs["log_evidence_error"]


@pytest.mark.parametrize("seed", [pytest.param(s, marks=[] if s < 12 else pytest.mark.slow) for s in range(24)])
def test_every_place_that_is_not_flagged_agrees_with_its_refit(seed):
    """Within five Monte Carlo errors of both, and 0.02 for the smoothing's bias, of about 110 places.

    Normal errors would go beyond in one of 10⁵ suites; those of heavy weights are flagged by their Pareto k.
    """
    model, table = random_design(seed)
    post = ph.fit(model, table, seed=1)
    found = ph.loo_places(post)
    right, error = refits_of_places(model, table, found.pointwise.index)
    off = found.pointwise["elpd"].to_numpy() - right
    allowed = 5 * np.hypot(found.pointwise["mcse"].to_numpy(), error) + 0.02
    sound = found.pointwise["pareto_k"].to_numpy() <= found.good_k
    assert sound.mean() > 0.6
    assert (np.abs(off) <= allowed)[sound].all(), np.abs(off)[sound].max()
    if model.weights.has_precisions:
        # The negative control, and what is left of older files: Σ log w shared out by rows.
        moments = replace(post.moments, log_weights=None)
        older = ph.loo_places(replace(post, data=post.data.with_moments(moments)))
        wrong = older.pointwise["elpd"].to_numpy() - right
        # Of known errors some are ten times others, so that it shows in every design.
        assert (np.abs(wrong) > allowed)[sound].any() or not model.se
        assert older.elpd == pytest.approx(found.elpd, abs=1e-9)
        several = found.pointwise["rows"].to_numpy() > 1
        np.testing.assert_array_equal(older.pointwise["approximate"], several)
        assert not older.check.good
        assert "approximate elpd" in str(older)
    assert not found.pointwise["approximate"].any()

"""Every mode of θ, or a refusal: posteriors with two modes and with mass at the ends of θ, against quadrature.

Deterministic: data and draws have fixed seeds. A comparison fails a right engine with the probability of five
standard errors, 6e-7, some hundreds of times in all.
"""

from __future__ import annotations

import importlib
import itertools
import json
import re
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import priorhood as ph
from oracle import quadrature
from priorhood.data.sources.table import read
from priorhood.engines import adapt
from priorhood.engines.exact.marginal import collapse
from priorhood.engines.exact.mode import Density
from priorhood.model.priors import parse_distribution
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.standardize import learn_scale
from table_moments import design_and_moments

ROOT = Path(__file__).parents[2]
explore = importlib.import_module("priorhood.engines.exact.sampler")
search = importlib.import_module("priorhood.engines.exact.mode_search")


@pytest.fixture(scope="module")
def stress_search():
    """The program of the search, which is not installed."""
    patch = pytest.MonkeyPatch()
    patch.syspath_prepend(str(ROOT))
    yield importlib.import_module("bench.stress_search")
    patch.undo()


def scale(text):
    return quadrature.scale_of(parse_distribution(text))


# -- posteriors of two modes, and of mass at the ends -----------------------------------------------------

OUTLYING = np.tile([-0.3, 0, 0.3], 6) + np.repeat([0, 0.2, -0.1, 0.1, -0.2, 4], 3)
SIX = np.array([3, -3, 3.2, -3.1, 1.5, -1.2])
FAR_APART = np.array([2.9, -2.8, 3.3, -3.2, 1.1, -1.4, 0.2, 2.0])


def places(stress_search, y, group, tau, sigma, mu_sd=1.0):
    """y ~ 1 + (1 | b)."""
    one = np.ones(len(y))
    dense = quadrature.regression(y, [one], [(0, mu_sd)], [(group, [one], [scale(tau)], None)], scale(sigma))
    return posed(
        stress_search, "y ~ 1 + (1 | b)", (f"tau ~ {tau}", f"sigma ~ {sigma}", f"mu ~ Normal(0, {mu_sd})"),
        {"y": y, "b": [f"b{i}" for i in group]}, dense, (("tau", 0), ("sigma", 0)),
    )  # fmt: skip


def posed(stress_search, formula, priors, frame, dense, names, options=None):
    return stress_search.Posed("", formula, priors, options or {}, frame, dense, names, True)


def outlying(s):
    """Six places, one of them far off: a large spread, or a large noise."""
    return places(s, OUTLYING, np.repeat(np.arange(6), 3), "InverseGamma(5, 0.01)", "InverseGamma(5, 0.01)")


def alone(s, prior="InverseGamma(3, 0.01)"):
    """One row a place: the spread or the noise, and nothing tells which."""
    return places(s, SIX, np.arange(6), prior, prior)


def alone_t(s):
    return alone(s, "HalfStudentT(3, 0.001)")


def alone_gamma(s):
    return places(s, FAR_APART, np.arange(8), "Gamma(0.3, 0.01)", "Gamma(3, 0.001)", 5.0)


def alone_log_normal(s):
    return places(s, FAR_APART, np.arange(8), "LogNormal(-6, 0.7)", "LogNormal(-5, 0.7)", 5.0)


def only_children(s):
    """12 regions of which 11 have one ZIP code, known errors: the region's spread or the code's."""
    region = np.concatenate([[0, 0, 0], np.arange(1, 12)])
    y = np.array([0.1, -0.2, 0.3, 1.1, -0.9, 0.2, 0.8, -1.3, 0.5, -0.4, 1.4, -0.7, 0.6, -0.1])
    one, code = np.ones(14), np.arange(14)
    prior = "InverseGamma(3, 0.02)"
    levels = [(code, [one], [scale(prior)], None), (region, [one], [scale(prior)], None)]
    dense = quadrature.regression(y, [one], [(0, 1)], levels, None, known=np.full(14, 0.2))
    frame = {"y": y, "a": [f"a{i:02d}" for i in region], "b": [f"b{i:02d}" for i in code], "e": np.full(14, 0.2)}
    priors = (f"tau ~ {prior}", f"tau_a ~ {prior}", "mu ~ Normal(0, 1)")
    return posed(s, "y ~ 1 + (1 | a/b)", priors, frame, dense, (("tau", 0), ("tau_a", 0)), {"se": "e"})


def nearly_constant(s):
    """A predictor of which all values are near 1: its spread, or the intercept's."""
    rng = np.random.default_rng(3)
    group = np.repeat(np.arange(6), 3)
    x = 1 + 0.02 * rng.normal(size=18)
    y = np.array([1.2, -0.6, 0.4, -1.1, 0.7, -0.3])[group] + 0.3 * rng.normal(size=18)
    one, prior = np.ones(18), "InverseGamma(3, 0.02)"
    level = [(group, [one, x], [scale(prior)] * 2, None)]
    dense = quadrature.regression(y, [one, x], [(0, 1), (0, 1)], level, scale("Exponential(1)"))
    priors = (f"tau ~ {prior}", "sigma ~ Exponential(1)", "mu ~ Normal(0, 1)")
    frame = {"y": y, "x": x, "b": [f"b{i}" for i in group]}
    return posed(s, "y ~ x + (x || b)", priors, frame, dense, (("tau", 0), ("tau", 1), ("sigma", 0)))


def crossed(s):
    """Two groupings that nearly agree, and the noise: three ways to explain six outlying rows."""
    a, b = np.repeat(np.arange(4), 4), np.repeat(np.arange(4), 4)
    b[[3, 11]] = [1, 3]
    y = np.array([2.1, -1.9, 0.3, -0.8])[a] + np.tile([0.2, -0.1, 0.0, 0.15], 4)
    one, prior = np.ones(16), "InverseGamma(4, 0.01)"
    levels = [(b, [one], [scale(prior)], None), (a, [one], [scale(prior)], None)]
    dense = quadrature.regression(y, [one], [(0, 1)], levels, scale(prior))
    priors = (f"tau ~ {prior}", f"tau_a ~ {prior}", f"sigma ~ {prior}", "mu ~ Normal(0, 1)")
    frame = {"y": y, "a": [f"a{i}" for i in a], "b": [f"b{i}" for i in b]}
    return posed(s, "y ~ 1 + (1 | b) + (1 | a)", priors, frame, dense, (("tau", 0), ("tau_a", 0), ("sigma", 0)))


def unlike_errors(s):
    """Known errors of two kinds: the precise ones say that the spread is small, the others that it is large."""
    y = np.array([0.0, 0.02, -0.02, 30.0, -25.0, 40.0, -35.0])
    known = np.array([0.01, 0.01, 0.01, 8.0, 8.0, 8.0, 8.0])
    one, place = np.ones(7), np.arange(7)
    dense = quadrature.regression(
        y, [one], [(0, 1)], [(place, [one], [scale("HalfCauchy(1)")], None)], None, known=known
    )
    frame = {"y": y, "b": [f"b{i}" for i in place], "e": known}
    priors = ("tau ~ HalfCauchy(1)", "mu ~ Normal(0, 1)")
    return posed(s, "y ~ 1 + (1 | b)", priors, frame, dense, (("tau", 0),), {"se": "e"})


TWO_MODES = [
    outlying, alone, alone_t, alone_gamma, alone_log_normal, only_children, nearly_constant, crossed, unlike_errors
]  # fmt: skip


def no_spread(s, tau, sigma="Exponential(1)", rows=4):
    """Six places that do not differ: nothing keeps tau off 0."""
    rng = np.random.default_rng(8)
    return places(s, rng.normal(size=6 * rows), np.repeat(np.arange(6), rows), tau, sigma)


def correlation(s, eta):
    """4 places × 3 rows, spreads and noise known: θ is the correlation alone."""
    rng = np.random.default_rng(4)
    group, x, one = np.repeat(np.arange(4), 3), rng.normal(size=12), np.ones(12)
    y = rng.normal(size=12)
    dense = quadrature.regression(y, [one, x], [(0, 1)] * 2, [(group, [one, x], [0.7, 0.7], eta)], 1.0)
    priors = ("tau ~ Fixed(0.7)", "sigma ~ Fixed(1)", f"omega ~ LKJ({eta})", "mu ~ Normal(0, 1)")
    frame = {"y": y, "x": x, "b": [f"b{i}" for i in group]}
    return posed(s, "y ~ x + (x | b)", priors, frame, dense, (("omega", 0),))


def apart(s, tau, sigma="Exponential(1)"):
    """Six places that differ, four rows each: nothing but the rows keeps tau and sigma from the ends."""
    rng = np.random.default_rng(9)
    y = np.repeat(2.0 * rng.normal(size=6), 4) + rng.normal(size=24)
    return places(s, y, np.repeat(np.arange(6), 4), tau, sigma)


ENDS = {
    "InverseGamma(0.001, 0.001)": lambda s: apart(s, "InverseGamma(0.001, 0.001)", "InverseGamma(0.001, 0.001)"),
    "HalfStudentT(0.001, 1)": lambda s: apart(s, "HalfStudentT(0.001, 1)"),
    "sigma Gamma(0.01, 100)": lambda s: apart(s, "Exponential(1)", "Gamma(0.01, 100)"),
    "LKJ(0.3)": lambda s: correlation(s, 0.3),
    "LKJ(0.1)": lambda s: correlation(s, 0.1),
    "LKJ(0.05)": lambda s: correlation(s, 0.05),
    "Gamma(0.2, 1)": lambda s: no_spread(s, "Gamma(0.2, 1)"),
    "Gamma(0.05, 1)": lambda s: no_spread(s, "Gamma(0.05, 1)"),
    "LogNormal(0, 200)": lambda s: no_spread(s, "LogNormal(0, 200)"),
    "HalfStudentT(0.05, 1)": lambda s: no_spread(s, "HalfStudentT(0.05, 1)"),
    "InverseGamma(0.05, 1)": lambda s: no_spread(s, "InverseGamma(0.05, 1)"),
    "Uniform(0, 0.001)": lambda s: no_spread(s, "Uniform(0, 0.001)"),
    "Uniform(0.5, 0.6)": lambda s: no_spread(s, "Uniform(0.5, 0.6)"),
}
BEYOND = {
    "tau Gamma(0.001, 1)": (lambda s: no_spread(s, "Gamma(0.001, 1)"), "tau is too close to 0"),
    "LKJ(0.001)": (lambda s: correlation(s, 0.001), "correlations are 1 up to rounding"),
    "sigma Gamma(0.2, 1), one row": (
        lambda s: no_spread(s, "Exponential(1)", "Gamma(0.2, 1)", rows=1),
        "sigma is too small to be recovered from the sums",
    ),
}  # fmt: skip
MADE = {make.__name__: make for make in TWO_MODES} | ENDS


seeds = pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])


@seeds
@pytest.mark.parametrize("name", MADE)
def test_all_of_the_posterior_is_found(stress_search, name, seed):
    found = stress_search.judge(seed, MADE[name](stress_search), draws=5000)
    assert found.verdict == stress_search.RIGHT, found


@seeds
@pytest.mark.parametrize("name", BEYOND)
def test_a_posterior_that_goes_on_where_numbers_end_is_refused(stress_search, name, seed):
    make, reason = BEYOND[name]
    found = stress_search.judge(seed, make(stress_search), draws=1000)
    assert found.verdict == stress_search.REFUSED
    assert reason in found.reason


def test_the_advice_on_ends_is_taken(stress_search):
    """An Exponential in place of the Gamma is fitted, as the refusal says."""
    advised = no_spread(stress_search, "Exponential(1)", "Exponential(1)", rows=1)
    assert stress_search.judge(1, advised, draws=1000).verdict == stress_search.RIGHT


REFUSED_FOR_A_PRIOR = {
    "sigma, Gamma": lambda s: no_spread(s, "Exponential(1)", "Gamma(0.2, 1)", rows=1),
    "sigma, far too small": lambda s: no_spread(s, "Exponential(1)", "Exponential(1e-8)", rows=1),
    "sigma, LogNormal": lambda s: s.random_design(612),
    "sigma, Uniform": lambda s: s.random_design(210),
    "sigma, two scales": lambda s: s.random_design(443),
    "sigma, against many rows": lambda s: no_spread(s, "Exponential(1)", "Exponential(1e-30)"),
    "tau to 0": lambda s: no_spread(s, "Gamma(0.001, 1)"),
    "tau to 0, wide": lambda s: no_spread(s, "LogNormal(0, 1000)"),
    "omega": lambda s: correlation(s, 0.001),
    "sigma_spread, Exponential": lambda s: s.random_design(1103),
    "sigma_spread, LogNormal": lambda s: s.random_design(1151),
    "sigma_spread, Gamma": lambda s: s.random_design(1123),
}


@pytest.mark.parametrize("name", REFUSED_FOR_A_PRIOR)
def test_every_prior_that_a_refusal_advises_is_fitted(stress_search, name):
    """In place of the one that it names, which is the only change."""
    made = REFUSED_FOR_A_PRIOR[name](stress_search)

    def fit(priors):
        model = ph.Model(made.formula, list(priors), standardize=False, outcome_unit=1, **made.options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ph.PriorhoodWarning)
            return ph.fit(model, {k: list(v) for k, v in made.frame.items()}, seed=1, draws=1000)

    with pytest.raises(ph.SamplingError) as problem:
        fit(made.priors)
    said, parameter = str(problem.value), name.split(",")[0].split()[0]
    named = [p for p in made.priors if p.split("[")[0].split()[0] == parameter]
    assert len(named) == 1
    prior = str(parse_distribution(named[0].partition("~")[2]))
    assert prior in said
    advised = re.findall(r"[A-Z]\w+\([\d.e, +-]+\)", said.rpartition(", such as ")[2])
    assert advised
    for other in advised:
        fit([f"{parameter} ~ {other}" if p == named[0] else p for p in made.priors])


@pytest.mark.parametrize("make", [outlying, alone, alone_t, only_children, nearly_constant])
def test_one_climb_alone_would_not_be_right(stress_search, make, monkeypatch):
    """The control: without starts of small scales, lines and heavy draws to go on from."""
    monkeypatch.setattr(explore, "with_more", lambda *_: None)
    monkeypatch.setattr(search, "_starts_at_peaks", lambda density, *_: np.empty((0, density.dim)))
    monkeypatch.setattr(search, "_humps", lambda density, *_: np.empty((0, density.dim)))
    verdict = stress_search.judge(1, make(stress_search), draws=5000).verdict
    assert verdict in (stress_search.SILENT, stress_search.REFUSED)
    if make in (outlying, alone):
        assert verdict == stress_search.SILENT


def test_sds_alike_that_a_prior_makes_one_are_refused_and_the_advice_is_taken():
    rng = np.random.default_rng(15)
    table = {"y": rng.normal(size=11), "g": ["a"] * 6 + ["b"] * 5}
    options = {"noise": "g", "standardize": False, "outcome_unit": 1.0}
    priors = ["tau ~ Fixed(1)", "sigma_median ~ Exponential(1)"]
    strong = ph.Model("y ~ 1 + (1 | g)", [*priors, "sigma_spread ~ Gamma(0.1, 10)"], **options)
    with pytest.raises(ph.SamplingError, match=r"all sigmas are equal up to rounding.*such as HalfNormal"):
        ph.fit(strong, table, seed=1, chains=2, draws=100)
    for advised in (
        ph.Model("y ~ 1 + (1 | g)", [*priors, "sigma_spread ~ HalfNormal(1)"], **options),
        ph.Model("y ~ 1 + (1 | g)", ["tau ~ Fixed(1)"], standardize=False, outcome_unit=1.0),
    ):
        assert ph.fit(advised, table, seed=1, chains=2, draws=100).attrs["pareto_k"] < 0.7


# -- the quadrature itself --------------------------------------------------------------------------------


def test_quadrature_has_the_values_known_in_closed_form(stress_search):
    """E sigma 1.364, E tau 0.061, P(sigma < 0.6) 0.048, log p(y) −63.317; and E tau of the six rows alone."""
    found = quadrature.integrate(outlying(stress_search).dense)
    assert found.log_evidence == pytest.approx(-63.317, abs=2e-3)
    assert found.mean(1) == pytest.approx(1.364, abs=1e-3)
    assert found.mean(0) == pytest.approx(0.061, abs=1e-3)
    assert found.below(1, 0.6) == pytest.approx(0.048, abs=1e-3)
    assert quadrature.integrate(alone(stress_search).dense).mean(0) == pytest.approx(1.217, abs=1e-3)
    assert quadrature.integrate(alone_t(stress_search).dense).mean(0) == pytest.approx(1.214, abs=1e-3)


def test_quadrature_of_one_normal_is_exact():
    """One row, known error: y ~ Normal(0, 1 + 1 + tau²), with tau uniform: SciPy's own quadrature."""
    from scipy import integrate, stats

    one = np.ones(1)
    dense = quadrature.regression(
        [2.0], [one], [(0, 1)], [([0], [one], [scale("Uniform(0.5, 4)")], None)], None, known=[1.0]
    )
    found = quadrature.integrate(dense, tolerance=1e-6)
    total, _ = integrate.quad(lambda t: stats.norm(0, np.sqrt(2 + t**2)).pdf(2.0) / 3.5, 0.5, 4)
    half, _ = integrate.quad(lambda t: stats.norm(0, np.sqrt(2 + t**2)).pdf(2.0) / 3.5, 0.5, 2)
    assert found.log_evidence == pytest.approx(np.log(total), abs=1e-6)
    assert found.below(0, 2.0) == pytest.approx(half / total, abs=1e-4)


@pytest.mark.parametrize("index", [*range(40), *(i for i in range(1000, 1040) if i % 4 < 2)])
def test_quadrature_and_engine_have_one_density(stress_search, index):
    """The same number at random θ: two derivations of one model and its priors, in one coordinate."""
    design = stress_search.random_design(index)
    model = ph.Model(design.formula, list(design.priors), standardize=False, outcome_unit=1.0, **design.options)
    try:
        columns, found = design_and_moments(read(design.frame), model.formula, weights=model.weights)
    except ph.PriorhoodError:
        return  # a grouping of one place
    numbers = learn_scale(found, columns, standardize=False, unit=1.0)
    density = Density(collapse(adapt.to_exact(FitData(model, columns, found, numbers))), 1)
    theta = density.centre + np.random.default_rng(index).normal(size=(20, density.dim))
    # The engine's θ has a correlation after the spreads, as the quadrature's axes do.
    np.testing.assert_allclose(density(theta), design.dense.log_posterior(theta), rtol=1e-7, atol=1e-6)


@pytest.mark.long
def test_quadrature_of_two_sds_alike_is_that_of_a_plain_grid(stress_search):
    """A third computation: Normals of five rows on a grid of both log σ, from narrow to wide."""
    from scipy import stats

    rng = np.random.default_rng(9)
    b, one = np.array([0, 0, 0, 1, 1]), np.ones(5)
    y = np.array([0.2, -0.3, 0.1, 2.0, -2.5])
    for median, spread in [(0.3, 0.01), (0.5, 0.1), (1.0, 0.19), (0.6, 0.21), (0.1, 1.0), (2.0, 1.5)]:
        weights = 10.0 ** rng.uniform(-1, 1, 5)
        alike = quadrature.regression(
            y, [one], [(0, 1)], [(b, [one], [0.7], None)], (median, spread), weights=weights, noise=b
        )
        z = np.linspace(-9, 9, 361 if spread > 1 else 121)
        cov = np.outer(one, one) + 0.49 * quadrature.same(b)

        def normal(cov):
            return -0.5 * (y @ np.linalg.solve(cov, y) + np.linalg.slogdet(2 * np.pi * cov)[1])

        heights = np.empty((len(z), len(z)))
        for i, first in enumerate(median * np.exp(spread * z)):
            for j, second in enumerate(median * np.exp(spread * z)):
                noise = np.diag(np.where(b == 0, first, second) ** 2 / weights)
                heights[i, j] = normal(cov + noise)
        share = stats.norm.pdf(z) * (z[1] - z[0])
        want = np.log(share @ np.exp(heights - heights.max()) @ share) + heights.max()
        assert quadrature.integrate(alike).log_evidence == pytest.approx(want, abs=2e-4), (median, spread)


# -- rows exactly on lines --------------------------------------------------------------------------------


def on_lines(rows=4, places=5, slope=2.0):
    group = np.repeat(np.arange(places), rows)
    x = np.tile(np.arange(rows), places) + 0.1 * group
    y = np.array([1.0, 3.0, -2.0, 0.5, 7.0])[group] + slope * x
    return {"y": y, "x": x, "g": [f"g{i}" for i in group], "w": 1.0 + group, "n": np.full(len(x), 2)}


LINES = {
    "places": {"formula": "y ~ x + (1 | g)"},
    "slopes": {"formula": "y ~ x + (x | g)"},
    "precision weights": {"formula": "y ~ x + (1 | g)", "precision_weights": "w"},
    "frequency weights": {"formula": "y ~ x + (1 | g)", "frequency_weights": "n"},
    "noise by place": {"formula": "y ~ x + (1 | g)", "noise": "g"},
    **{
        f"sigma ~ {prior}": {"formula": "y ~ x + (1 | g)", "priors": [f"sigma ~ {prior}", f"tau ~ {prior}"]}
        for prior in (
            "HalfCauchy(1)", "HalfNormal(0.01)", "HalfStudentT(3, 100)", "Gamma(2, 1)", "InverseGamma(3, 0.01)",
            "LogNormal(0, 1)", "Uniform(0, 3)",
        )
    },
}  # fmt: skip


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("name", LINES)
def test_rows_on_lines_are_refused_under_every_seed(name, rows):
    for seed in range(3):
        with pytest.raises(ph.PriorhoodError, match=r"exact|0 up to rounding"):
            ph.fit(ph.Model(**LINES[name]), on_lines(rows), seed=seed, chains=2, draws=50)


def test_rows_near_lines_are_fitted():
    """Not refused: noise of a ten-thousandth of the scatter; as many coefficients as rows; known noise."""
    table = on_lines()
    noisy = table | {"y": table["y"] + 1e-4 * np.random.default_rng(1).normal(size=len(table["y"]))}
    post = ph.fit(ph.Model("y ~ x + (1 | g)", outcome_unit=1.0), noisy, seed=1)
    assert 0.5e-4 < float(post["sigma"].median()) < 2e-4
    rng = np.random.default_rng(2)
    two = on_lines(2) | {"y": rng.normal(size=10)}
    assert ph.fit("y ~ x + (x | g)", two, seed=1, draws=200).attrs["pareto_k"] < 0.7
    ph.fit(ph.Model("y ~ x + (1 | g)", ["sigma ~ Fixed(0.1)"]), table, seed=1, draws=200)


# -- the search for silent errors -------------------------------------------------------------------------

FIRST, OF_A_KIND = 50, 2
CONTROLS = (1012, 1017, 1086, 1003)


def altered(s, posed, row=-1):
    """The quadrature's model with a weight or a place's noise altered by a fifth, or a row less."""
    dense = posed.dense.dense if isinstance(posed.dense, quadrature.Alike) else posed.dense
    if posed.structure == s.FREQUENCY:
        changed = replace(
            dense,
            y=dense.y[:-1],
            mean=dense.mean[:-1],
            V0=dense.V0[:-1, :-1],
            G=np.ascontiguousarray(dense.G[:, :-1, :-1]),
        )
    else:
        G = dense.G.copy()
        rows = slice(None) if posed.structure == s.OWN else row
        G[-1][rows, rows] /= 1.2
        changed = replace(dense, G=G)
    if isinstance(posed.dense, quadrature.Alike):
        return replace(posed, dense=replace(posed.dense, dense=changed, tables={}))
    return replace(posed, dense=changed)


@pytest.mark.long
@pytest.mark.parametrize("kind", range(4))
def test_one_weight_altered_is_seen(stress_search, kind):
    """The control of weights and noise by place: right, and silently wrong beside an altered quadrature."""
    s = stress_search
    index = CONTROLS[kind]
    posed = s.random_design(index)
    assert posed.structure == s.KINDS[kind]
    assert s.judge(index, posed, draws=5000).verdict == s.RIGHT
    assert s.judge(index, altered(s, posed), draws=5000).verdict == s.SILENT


def test_no_small_design_is_wrong_in_silence(stress_search):
    """The first fifty designs of one or two scales; see bench.stress_search."""
    chosen = (i for i in itertools.count() if len(stress_search.random_design(i).names) <= 2)
    found = [stress_search.judge(i, draws=2500) for i in itertools.islice(chosen, FIRST)]
    counts = {v: sum(one.verdict == v for one in found) for v in {one.verdict for one in found}}
    assert counts.get(stress_search.SILENT, 0) == 0, [one for one in found if one.verdict == stress_search.SILENT]
    assert counts[stress_search.RIGHT] >= 0.9 * FIRST


@pytest.mark.long
@pytest.mark.parametrize("kind", range(4))
def test_no_small_design_of_weights_or_noise_by_place_is_wrong_in_silence(stress_search, kind):
    """The first two of each kind with one or two scales."""
    numbers = itertools.count(stress_search.FIRST_OF_KINDS + kind, len(stress_search.KINDS))
    chosen = (i for i in numbers if len(stress_search.random_design(i).names) in (1, 2))
    for i in itertools.islice(chosen, OF_A_KIND):
        found = stress_search.judge(i, draws=2500)
        assert found.structure == stress_search.KINDS[kind]
        assert found.verdict in (stress_search.RIGHT, stress_search.REFUSED), found


@pytest.mark.slow
@pytest.mark.parametrize("part", range(29))
def test_no_design_is_wrong_in_silence(stress_search, part):
    """Those of the record, which is without a few whose quadrature takes longer than a minute."""
    assert stress_search.DESIGNS == 29 * 40
    measured = {
        one["index"]: one["verdict"] for one in json.loads(stress_search.MEASURED.read_text(encoding="utf-8"))
    }
    chosen = sorted(set(measured).intersection(range(40 * part, 40 * part + 40)))
    assert len(chosen) >= 30
    found = {index: stress_search.judge(index) for index in chosen}
    assert not [one for one in found.values() if one.verdict == stress_search.SILENT]
    # Under priors of the data's scale, none is refused but those that were.
    refused = [i for i, one in found.items() if one.sane and one.verdict == stress_search.REFUSED]
    assert [measured[index] for index in refused] == [stress_search.REFUSED] * len(refused)


def test_the_page_shows_what_was_measured(stress_search):
    """The table is that of the record, in which no design is wrong in silence."""
    found = json.loads(stress_search.MEASURED.read_text(encoding="utf-8"))
    assert {one["index"] for one in found} >= set(range(1000))
    assert not [one for one in found if one["verdict"] == stress_search.SILENT]
    page = stress_search.PAGE.read_text(encoding="utf-8")
    shown = page.partition("<!-- search:start -->")[2].partition("<!-- search:end -->")[0]
    assert shown.strip() == stress_search.markdown(found)

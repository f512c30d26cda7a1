"""The general engine: its model is the written-out density; names, samplers, interruptions, refusals."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import priorhood as ph
from priorhood.engines import nuts
from priorhood.engines.nuts import sample as sampling
from priorhood.model.priors import cholesky_of_partial

RNG = np.random.default_rng(5)
J = 6
GROUP = np.repeat(np.arange(J), [1, 2, 5, 4, 3, 7])
TABLE = {
    "y": (300 + 40 * RNG.standard_normal(len(GROUP))).tolist(),
    "a": RNG.normal(80, 20, len(GROUP)).tolist(),
    "b": RNG.normal(0, 1, len(GROUP)).tolist(),
    "e": RNG.uniform(10, 60, len(GROUP)).tolist(),
    "w": (10.0 ** RNG.uniform(-1, 1, len(GROUP))).tolist(),
    "n": RNG.integers(1, 5, len(GROUP)).tolist(),
    "g": [f"g{i}" for i in GROUP],
}
MODELS = {
    "plain": ph.Model("y ~ a + (a || g)"),
    "pooled": ph.Model("y ~ a + b"),
    "intercept only": ph.Model("y ~ 1"),
    "one varying": ph.Model("y ~ a + b + (1 | g)"),
    "slope without population": ph.Model("y ~ 1 + (1 + a || g)"),
    "no intercept": ph.Model("y ~ 0 + a + (0 + a | g)"),
    "families": ph.Model(
        "y ~ a + (a || g)",
        [
            "tau[Intercept] ~ HalfCauchy(2)",
            "tau[a] ~ Gamma(3, 0.4)",
            "sigma ~ HalfNormal(2)",
            "mu[a] ~ Normal(1, 2)",
        ],
    ),
    "half t, uniform": ph.Model(
        "y ~ a + (a || g)",
        ["tau[Intercept] ~ HalfStudentT(3, 2)", "tau[a] ~ Uniform(0.2, 2.5)", "sigma ~ LogNormal(0.3, 0.8)"],
    ),
    "inverse gamma": ph.Model("y ~ a + (a || g)", ["tau ~ InverseGamma(3, 2)", "sigma ~ Uniform(0, 4)"]),
    "alike": ph.Model(
        "y ~ a + (a || g)",
        ["tau[Intercept] ~ Uniform(0.1, 3)", "tau[a] ~ Uniform(0, 5)", "sigma ~ InverseGamma(0.5, 0.2)"],
    ),
    "log-normal": ph.Model("y ~ a + (a || g)", ["tau ~ LogNormal(-0.5, 2)", "sigma ~ HalfStudentT(1.5, 2)"]),
    "half t twice": ph.Model(
        "y ~ a + (a || g)", ["tau[Intercept] ~ HalfStudentT(3, 2)", "tau[a] ~ HalfStudentT(9, 0.5)"]
    ),
    "unpooled": ph.Model("y ~ 0 + (a || g)", ["tau[Intercept] ~ Fixed(20)", "tau[a] ~ Fixed(5)"]),
    "fixed sigma": ph.Model("y ~ a + (a || g)", ["sigma ~ Fixed(0.7)", "tau ~ HalfNormal(3)"]),
    "student": ph.Model("y ~ a + (a || g)", ["nu ~ Gamma(2, 8)"], family="student"),
    "noise": ph.Model("y ~ a + (a || g)", ["sigma ~ Exponential(2.5)"], noise="g"),
    "student, uniform": ph.Model("y ~ a", ["nu ~ Uniform(1, 40)"], family="student"),
    "student, inverse gamma": ph.Model("y ~ a", ["nu ~ InverseGamma(2, 8)"], family="student"),
    "alike noise": ph.Model(
        "y ~ a + (a || g)", ["sigma_median ~ HalfNormal(2)", "sigma_spread ~ Gamma(3, 0.2)"], noise="g"
    ),
    "known spread of noise": ph.Model("y ~ a + (1 | g)", ["sigma_spread ~ Fixed(0.5)"], noise="g"),
    "student noise": ph.Model("y ~ a + (1 | g)", family="student", noise="g"),
    "se": ph.Model("y ~ a + (a || g)", se="e"),
    "precision": ph.Model("y ~ a + (a || g)", precision_weights="w"),
    "student noise precision": ph.Model("y ~ a + (1 | g)", family="student", noise="g", precision_weights="w"),
    "student frequency": ph.Model("y ~ a + (a || g)", family="student", frequency_weights="n"),
    "precision and frequency": ph.Model("y ~ a + (1 | g)", precision_weights="w", frequency_weights="n"),
    "log": ph.Model("log(y) ~ log(a) + (log(a) || g)"),
    "raw": ph.Model("y ~ a + (a || g)", ["mu ~ Normal(300, 90)"], standardize=False, outcome_unit=1),
}
SCIPY = {
    ph.Exponential: lambda p: stats.expon(scale=p.scale),
    ph.HalfNormal: lambda p: stats.halfnorm(scale=p.sd),
    ph.HalfCauchy: lambda p: stats.halfcauchy(scale=p.scale),
    ph.Gamma: lambda p: stats.gamma(p.shape, scale=p.scale),
    ph.InverseGamma: lambda p: stats.invgamma(p.shape, scale=p.scale),
    ph.LogNormal: lambda p: stats.lognorm(p.sd, scale=np.exp(p.mean)),
    ph.Uniform: lambda p: stats.uniform(p.lower, p.upper - p.lower),
}


def density(prior, value) -> float:
    """log p(value); nothing for what is fixed."""
    if isinstance(prior, ph.Fixed):
        return 0.0
    if isinstance(prior, ph.HalfStudentT):
        return float(np.sum(np.log(2) + stats.t(prior.nu, scale=prior.scale).logpdf(value)))
    return float(np.sum(SCIPY[type(prior)](prior).logpdf(value)))


def draw_positive(prior, rng, shape=()):
    return np.full(shape, prior.value) if isinstance(prior, ph.Fixed) else rng.uniform(0.3, 2.0, shape)


class Point:
    """Parameters at random, and the written-out joint density of them and the rows."""

    def __init__(self, model: ph.Model, seed: int) -> None:
        # The scale and columns as fit() learns them; the density itself is written out below from the table.
        post = ph.fit(model, TABLE, draws=10, seed=1, engine="exact") if _collapses(model) else None
        self.design, self.scale = (post.design, post.scale) if post else _learned(model)
        rng = np.random.default_rng(seed)
        self.prior = prior = model.resolve(self.design)
        names = [c.name for c in self.design.population_columns]
        varying = [c.name for c in self.design.level_columns(0)] if model.formula.levels else []
        columns = self.columns(model)
        self.values = {}
        total = 0.0
        self.mu = {n: rng.normal() for n in names}
        if names:
            self.values["mu"] = np.array(list(self.mu.values()))
            total += sum(stats.norm(p.mean, p.sd).logpdf(self.mu[n]) for n, p in zip(names, prior.mu, strict=True))
        location = sum((columns[n] * self.mu[n] for n in names if n not in varying), np.zeros(len(GROUP)))
        if varying:
            tau = np.array([draw_positive(p, rng) for p in prior.tau[0]])
            total += sum(density(p, t) for p, t in zip(prior.tau[0], tau, strict=True))
            mean = np.array([self.mu.get(n, 0.0) for n in varying])
            beta = mean + tau * rng.standard_normal((J, len(varying)))
            total += stats.norm(mean, tau).logpdf(beta).sum()
            self.values |= {"tau": tau, "beta": beta}
            location = location + sum(columns[n] * beta[GROUP, k] for k, n in enumerate(varying))
        y = np.array(TABLE["y"])
        y = (np.log(y) if model.formula.log_outcome else y) / self.scale.unit
        if model.se:
            spread = np.array(TABLE["e"]) / self.scale.unit
        else:
            if prior.sigma_median is not None:
                median, apart = (draw_positive(p, rng) for p in (prior.sigma_median, prior.sigma_spread))
                self.values |= {"sigma_median": median, "sigma_spread": apart}
                total += density(prior.sigma_median, median) + density(prior.sigma_spread, apart)
                sigma = rng.uniform(0.3, 2.0, J)
                total += stats.lognorm(apart, scale=median).logpdf(sigma).sum()
            else:
                sigma = draw_positive(prior.sigma, rng, (J,) if model.noise else ())
                total += density(prior.sigma, sigma)
            self.values["sigma"] = sigma
            spread = sigma[GROUP] if model.noise else sigma
        times = np.array(TABLE["n"]) if model.frequency_weights else 1.0
        # The outcome is in its own units, and itself where the formula takes its log.
        jacobian = np.log(self.scale.unit) + (np.log(TABLE["y"]) if model.formula.log_outcome else np.zeros(len(y)))
        total -= (times * jacobian).sum()
        if model.precision_weights:
            spread = spread / np.sqrt(TABLE["w"])
        if model.family == "student":
            self.values["nu"] = nu = rng.uniform(2, 9)
            total += density(prior.nu, nu) + (times * stats.t(nu, location, spread).logpdf(y)).sum()
        else:
            total += (times * stats.norm(location, spread).logpdf(y)).sum()
        self.log_density = float(total)

    def bounds(self, base: str, term: str) -> tuple[np.ndarray, np.ndarray]:
        """Of Uniform priors: of all spreads, or of the one of a term."""
        prior = {
            "tau": self.prior.tau[0] if self.prior.tau else (),
            "sigma": [self.prior.sigma],
            "nu": [self.prior.nu],
        }
        names = [f"{c.name}]" for c in self.design.level_columns(0)] if term else []
        chosen = [p for k, p in enumerate(prior[base]) if not term or names[k] == term]
        low, high = np.array([p.lower for p in chosen]), np.array([p.upper for p in chosen])
        return (low, high) if base == "tau" and not term else (low[0], high[0])

    def columns(self, model: ph.Model) -> dict[str, np.ndarray]:
        """The standardized columns, from the table by hand."""
        found = {"Intercept": np.ones(len(GROUP))}
        for name, raw in (("a", TABLE["a"]), ("b", TABLE["b"]), ("log(a)", np.log(TABLE["a"]))):
            values = np.array(raw)
            if name in self.design.names:
                weights = np.ones(len(GROUP)) if model.se is None else np.array(TABLE["e"]) ** -2.0
                weights = weights * (TABLE["w"] if model.precision_weights else 1.0)
                weights = weights * (TABLE["n"] if model.frequency_weights else 1.0)
                middle = np.average(values, weights=weights)
                centred = values - (0 if model.formula.text == MODELS["no intercept"].formula.text else middle)
                sd = np.sqrt(np.average((values - np.average(values, weights=weights)) ** 2, weights=weights))
                found[name] = centred / sd if model.standardize else values
        return found


def _collapses(model: ph.Model) -> bool:
    return model.family == "normal"


def _learned(model: ph.Model):
    weights = {"precision_weights": model.precision_weights, "frequency_weights": model.frequency_weights}
    plain = ph.Model(model.formula.text, **weights)
    post = ph.fit(plain, TABLE, draws=10, seed=1)
    return post.design, post.scale


@pytest.mark.parametrize("name", MODELS)
def test_the_model_is_the_written_out_density(name):
    """log p(parameters, rows) of the centred PyMC model at random points: to rounding."""
    model = MODELS[name]
    built = model.to_pymc(TABLE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logp = built.compile_logp(jacobian=False, mode="FAST_COMPILE")  # three points need no compiler
    free = {variable.name: built.rvs_to_values[variable].name for variable in built.free_RVs}
    for seed in range(3):
        point = Point(model, seed)
        given = {}
        for variable, value_name in free.items():
            base, _, term = variable.partition("[")
            value = point.values[base]
            if term:
                varying = [c.name for c in point.design.level_columns(0)]
                value = value[varying.index(term[:-1])]
            # PyMC's value variables are logs where the parameter is positive, logits where it has bounds.
            if value_name.endswith("_interval__"):
                low, high = point.bounds(base, term)
                value = np.log((value - low) / (high - value))
            given[value_name] = np.log(value) if value_name.endswith("_log__") else np.asarray(value)
        assert float(logp(given)) == pytest.approx(point.log_density, rel=1e-10, abs=1e-8)


def log_density_of(model: ph.Model):
    """The compiled density of the centred PyMC model, without Jacobians, and the model."""
    built = model.to_pymc(TABLE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return built.compile_logp(jacobian=False, mode="FAST_COMPILE"), built


CORRELATED = {
    "half t": [ph.HalfStudentT(3, 2), ph.HalfStudentT(5, 0.4)],
    "inverse gamma": [ph.InverseGamma(3, 2), ph.InverseGamma(0.7, 0.1)],
    "log-normal": [ph.LogNormal(-1, 0.6), ph.LogNormal(0.5, 2)],
    "gamma": [ph.Gamma(3, 0.4), ph.Gamma(2, 1)],
    "half t and inverse gamma": [ph.HalfStudentT(3, 2), ph.InverseGamma(3, 2)],
    "log-normal and exponential": [ph.LogNormal(-1, 0.6), ph.Exponential(3)],
}


@pytest.mark.parametrize("name", CORRELATED)
def test_correlated_spreads_have_their_priors(name):
    """The density under two priors differs by the priors' ratio, at any point; LKJCholeskyCov has one family."""
    right = dict(zip(("tau[Intercept]", "tau[a]"), CORRELATED[name], strict=True))
    base = log_density_of(ph.Model("y ~ a + (a | g)", ["tau ~ HalfNormal(1.7)"]))
    other = log_density_of(ph.Model("y ~ a + (a | g)", right))
    rng = np.random.default_rng(3)
    shapes = {"mu": 2, "beta": (J, 2), "sigma_log__": ()}
    (key,) = {v.name for v in base[1].value_vars} - set(shapes)
    for _ in range(3):
        point = {name: rng.standard_normal(shape) for name, shape in (shapes | {key: 3}).items()}
        # The packed factor Λ by rows, its diagonal as logs: τ are its rows' lengths.
        tau = np.array([np.exp(point[key][0]), np.hypot(point[key][1], np.exp(point[key][2]))])
        ratio = sum(density(p, v) for p, v in zip(right.values(), tau, strict=True))
        ratio -= density(ph.HalfNormal(1.7), tau)
        assert float(other[0](point) - base[0](point)) == pytest.approx(ratio, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("formula", ["y ~ a + (a | g)", "y ~ a + b + (a + b | g)"])
def test_bounded_and_correlated_spreads_are_the_written_out_density(formula):
    priors = [
        "tau ~ Uniform(0.2, 2.5)",
        "tau[a] ~ InverseGamma(3, 2)",
        "omega ~ LKJ(1.6)",
        "sigma ~ Exponential(3)",
    ]
    logp, built = log_density_of(ph.Model(formula, priors))
    design, scale = _learned(ph.Model(formula))
    K = len(design.names)
    columns = np.ones((len(GROUP), K))
    for k, name in enumerate(design.names[1:], start=1):
        columns[:, k] = (np.array(TABLE[name]) - scale.centre[k]) / scale.spread[k]
    rng = np.random.default_rng(4)
    for _ in range(3):
        mu, beta, sigma = rng.normal(size=K), rng.normal(size=(J, K)), rng.uniform(0.3, 2)
        tau, z = rng.uniform(0.3, 2, K), rng.uniform(-0.8, 0.8, K * (K - 1) // 2)
        factor = tau[:, None] * cholesky_of_partial(z[None], K)[0]
        b = [1.6 + (K - 2 - j) / 2 for i in range(K) for j in range(i)]
        want = stats.norm(0, [20] + [5] * (K - 1)).logpdf(mu).sum() + density(ph.Exponential(3), sigma)
        want += sum(density(ph.InverseGamma(3, 2) if k == 1 else ph.Uniform(0.2, 2.5), tau[k]) for k in range(K))
        want += stats.beta(b, b).logpdf((z + 1) / 2).sum()
        want += stats.multivariate_normal(np.zeros(K), factor @ factor.T).logpdf(beta - mu).sum()
        y = np.array(TABLE["y"]) / scale.unit
        want += stats.norm((columns * beta[GROUP]).sum(axis=1), sigma).logpdf(y).sum() - len(y) * np.log(scale.unit)
        given = {"mu": mu, "beta": beta, "sigma_log__": np.log(sigma), "partial_logodds__": 2 * np.arctanh(z)}
        for k, name in enumerate(design.names):
            logit = np.log((tau[k] - 0.2) / (2.5 - tau[k]))
            given |= {"tau[a]_log__": np.log(tau[1])} if k == 1 else {f"tau[{name}]_interval__": logit}
        assert set(given) == {v.name for v in built.value_vars}
        assert float(logp(given)) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("parameterization", ["centered", "noncentered"])
@pytest.mark.parametrize("formula", ["y ~ a + (a | g)", "y ~ a + (a || g)", "y ~ a + b + (a + b | g)"])
def test_prior_draws_of_pymc_have_the_priors_moments(formula, parameterization):
    """z = (beta − mu)/tau has correlation omega and sd 1, in both forms; omega is LKJ(2)."""
    pm = _pymc()
    names = ["mu", "beta", "tau"] + ([] if "||" in formula else ["omega"])
    with warnings.catch_warnings(), ph.Model(formula, ["mu ~ Normal(1, 2)"]).to_pymc(TABLE, parameterization):
        warnings.simplefilter("ignore")
        prior = pm.sample_prior_predictive(
            4000, random_seed=3, var_names=names, compile_kwargs={"mode": "FAST_COMPILE"}
        )
    draws = {name: np.asarray(prior["prior"][name])[0] for name in prior["prior"].data_vars}
    z = (draws["beta"] - draws["mu"][:, None, :]) / draws["tau"][:, None, :]
    n = z.shape[0] * z.shape[1]
    assert np.abs(z.mean(axis=(0, 1))).max() < 5 / np.sqrt(n)
    assert np.abs(z.var(axis=(0, 1)) - 1).max() < 5 * np.sqrt(2 / n)
    assert abs(draws["mu"].mean() - 1) < 5 * 2 / np.sqrt(draws["mu"].size)
    if "||" in formula:
        return
    K = z.shape[2]
    away = z[..., 0] * z[..., 1] - draws["omega"][:, 1, 0][:, None]
    assert abs(away.mean()) < 5 * away.std() / np.sqrt(n)
    # (omega_ij + 1)/2 ~ Beta(b, b), b = eta + K/2 − 1, whose variance is 1/(4 (2b + 1))
    sd = 1 / np.sqrt(2 * (2 + K / 2 - 1) + 1)
    assert abs(draws["omega"][:, 1, 0].std() / sd - 1) < 0.06


def _pymc():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pymc
    return pymc


@pytest.mark.parametrize("formula", ["y ~ a + (a | g)", "y ~ a + b + (1 + a || g)", "y ~ a"])
def test_names_dims_and_coords_are_those_of_the_exact_engine(formula):
    post = ph.fit(formula, TABLE, draws=10, seed=1)
    for parameterization in ("centered", "noncentered"):
        model = ph.Model(formula).to_pymc(TABLE, parameterization)
        for name in post.parameters:
            assert name in model.named_vars
            assert tuple(model.named_vars_to_dims.get(name, ())) == post[name].dims[2:]
            for dim in post[name].dims[2:]:
                assert list(model.coords[dim]) == list(post[name][dim].values)


def test_a_user_can_extend_the_model():
    pm = _pymc()
    model = ph.Model("y ~ a + (a || g)").to_pymc(TABLE)
    with model:
        pm.Deterministic("twice", 2 * model["mu"], dims="term")
        pm.Potential("slopes", -(model["mu"][1] ** 2))
    assert model["y"] in model.observed_RVs
    assert {"X", "outcome", "g_index"} <= {v.name for v in model.data_vars}


def small() -> object:
    return ph.simulate(8, 120, 4)[0]


# nutpie is the one that tests/agreement compares.
@pytest.mark.long
@pytest.mark.parametrize("sampler", ["pymc", "numpyro"])
def test_every_sampler_gives_the_same_posterior(sampler):
    model = ph.Model("price ~ living_space + (1 | zip)", ["tau ~ HalfNormal(1)", "sigma ~ HalfNormal(1)"])
    exact = ph.fit(model, small(), seed=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)
        post = ph.fit(model, small(), seed=1, engine="nuts", sampler=sampler, parameterization="noncentered")
    assert post.attrs["sampler"].startswith(sampler)
    assert post.attrs["engine_reason"] == "requested"
    assert {"lp", "energy", "diverging", "acceptance_rate", "n_steps", "tree_depth"} <= set(
        post.tree["sample_stats"].data_vars
    )
    ours, theirs = exact.summary(standardized=True), post.summary(standardized=True)
    z = (ours["mean"] - theirs["mean"]) / np.hypot(ours["mcse_mean"], theirs["mcse_mean"])
    assert np.abs(z).max() < 5


COMPILED = {}


@pytest.fixture
def compiled_once(monkeypatch):
    """`fitted` by nutpie asks for one model of the same rows again and again: it is compiled once."""
    nutpie = _nutpie()
    compile_model = nutpie.compile_pymc_model

    def once(model, **options):
        assert model.named_vars.keys() >= {"mu", "sigma"}
        assert "beta" not in model.named_vars
        if not COMPILED:
            COMPILED["price ~ living_space"] = compile_model(model, **options)
        return COMPILED["price ~ living_space"]

    monkeypatch.setattr(nutpie, "compile_pymc_model", once)


def fitted(**options):
    given = {"seed": 1, "engine": "nuts", "draws": 100, "tune": 200, "chains": 2, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ph.PriorhoodWarning)
        return ph.fit("price ~ living_space", small(), **given)


def test_the_same_seed_gives_the_same_draws_and_progress_is_told(compiled_once):
    told = []
    one, two = fitted(progress=lambda *now: told.append(now)), fitted()
    assert np.array_equal(one["mu"].values, two["mu"].values)
    assert not np.array_equal(one["mu"].values, fitted(seed=2)["mu"].values)
    assert [stage for stage, *_ in told][:1] == ["reading rows"]
    assert {"compiling the model", "sampling"} <= {stage for stage, *_ in told}


def test_too_few_draws_are_said_to_be_too_few(compiled_once):
    with pytest.warns(ph.PriorhoodWarning, match="20 draws per chain are too few to judge convergence"):
        ph.fit("price ~ living_space", small(), seed=1, engine="nuts", draws=20, tune=200, chains=2)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"engine": "gibbs"}, ("'gibbs'", "auto, exact, nuts")),
        ({"engine": "nuts", "sampler": "stan"}, ("'stan'", "nutpie, pymc, numpyro")),
        ({"engine": "nuts", "parameterization": "half"}, ("'half'", "'centered'", "'noncentered'")),
        ({"engine": "nuts", "tune": 0}, ("tune", "at least 1", "0")),
        ({"engine": "nuts", "target_accept": 1.5}, ("target_accept", "0.9", "1.5")),
        ({"sampler": "nutpie"}, ("sampler", "exact engine fits this model", "engine='nuts'")),
        ({"engine": "exact", "tune": 100}, ("tune", "engine='nuts'")),
    ],
)
def test_options_that_cannot_be_are_refused(options, says):
    with pytest.raises(ph.ModelError) as caught:
        ph.fit("price ~ living_space", small(), **options)
    for text in says:
        assert text in str(caught.value)


@pytest.mark.parametrize("model", ["student", "student noise"])
def test_the_exact_engine_says_who_takes_what_it_refuses(model):
    with pytest.raises(ph.ModelError, match=r"does not support.*engine='nuts' can fit"):
        ph.fit(MODELS[model], TABLE, engine="exact")


def absent(monkeypatch, *libraries):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        "priorhood.engines.nuts.settings.importlib.util.find_spec",
        lambda name: None if name in libraries else there(name),
    )


@pytest.mark.parametrize(
    ("missing", "options", "says"),
    [
        ("pymc", {}, "PyMC, which is not installed: pip install pymc nutpie (priorhood's extra [pymc])"),
        ("nutpie", {"sampler": "nutpie"}, "nutpie is not installed: pip install nutpie (priorhood's extra [pymc])"),
        (
            "numpyro",
            {"sampler": "numpyro"},
            "numpyro is not installed: pip install numpyro (priorhood's extra [numpyro])",
        ),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(monkeypatch, missing, options, says):
    absent(monkeypatch, missing)
    with pytest.raises(ph.ModelError) as caught:
        ph.fit("price ~ living_space", small(), engine="nuts", **options)
    assert says in str(caught.value)


def test_auto_without_pymc_says_why_and_what_to_install(monkeypatch):
    absent(monkeypatch, "pymc")
    with pytest.raises(ph.ModelError, match=r"Student-t.*NUTS can fit this model.*extra \[pymc\]"):
        ph.fit(MODELS["student"], TABLE)
    with pytest.raises(ph.ModelError, match=r"extra \[pymc\]"):
        MODELS["plain"].to_pymc(TABLE)


def test_without_nutpie_pymc_samples(monkeypatch):
    absent(monkeypatch, "nutpie")
    assert nuts.default_sampler() == "pymc"


def test_correlations_with_a_fixed_spread_are_left_to_the_exact_engine():
    model = ph.Model("y ~ a + (a | g)", ["tau[a] ~ Fixed(1)"])
    with pytest.raises(ph.ModelError, match=r"support a fixed tau together with correlations; use the exact"):
        model.to_pymc(TABLE)


# -- interruptions -----------------------------------------------------------------------------------------


def test_an_interrupted_nutpie_keeps_nothing(monkeypatch, compiled_once):
    nutpie = _nutpie()

    class Interrupted:
        cancelled = False

        def wait(self):
            raise KeyboardInterrupt

        def cancel(self):
            Interrupted.cancelled = True

    def sample(*args, progress_callback=None, **options):
        return Interrupted()

    monkeypatch.setattr(nutpie, "sample", sample)
    with pytest.raises(KeyboardInterrupt, match="no draws are kept"):
        fitted(sampler="nutpie")
    assert Interrupted.cancelled


def _nutpie():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import nutpie
    return nutpie


def test_an_interrupted_pymc_keeps_nothing(monkeypatch):
    """PyMC ends quietly when interrupted, with the draws it has: they are not passed on as a posterior."""
    calls = 0

    def stop(stage, done, total):
        nonlocal calls
        calls += stage == "sampling"
        if calls > 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="no draws are kept"):
        fitted(sampler="pymc", progress=stop, threads=1)
    assert calls > 3


def test_a_sampler_that_fails_is_named(monkeypatch):
    def broken(*args, **options):
        raise RuntimeError("bad initial energy\nsecond line")

    monkeypatch.setattr(sampling, "_with_nutpie", broken)
    with pytest.raises(ph.SamplingError, match="sampler nutpie failed: bad initial energy"):
        fitted(sampler="nutpie")


@pytest.mark.parametrize("swallowed", [1, 3])
def test_an_interrupt_swallowed_by_another_language_is_sent_again(swallowed, capfd):
    """What is raised in a callback from C is printed by Python and lost, as in llvmlite while it compiles."""
    from priorhood.cli.signals import interruptible

    calls = 0

    @ctypes.CFUNCTYPE(None)
    def callback():
        nonlocal calls
        calls += 1
        if calls == 1:
            signal.raise_signal(signal.SIGINT)
        deadline = time.monotonic() + 20
        while calls <= swallowed and time.monotonic() < deadline:
            time.sleep(0.01)

    def compiles():
        for _ in range(swallowed):
            callback()
        time.sleep(30)

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), interruptible():
        compiles()
    assert time.monotonic() - started < 15
    assert calls == swallowed
    assert "KeyboardInterrupt" not in capfd.readouterr().err


def test_an_error_that_an_interrupt_left_behind_is_the_interrupt():
    """As numba's "no compiled object yet", of a library that was being compiled."""
    from priorhood.cli.signals import interruptible

    before = signal.getsignal(signal.SIGINT)

    def fails(*, interrupted):
        try:
            if interrupted:
                signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            pass
        raise ph.SamplingError("no compiled object yet")

    with pytest.raises(KeyboardInterrupt), interruptible():
        fails(interrupted=True)
    assert signal.getsignal(signal.SIGINT) is before
    with pytest.raises(ph.SamplingError), interruptible():
        fails(interrupted=False)


def test_other_lost_errors_are_printed_still(capfd, monkeypatch):
    from priorhood.cli.signals import interruptible

    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)

    @ctypes.CFUNCTYPE(None)
    def callback():
        raise ZeroDivisionError("lost")

    with interruptible():
        callback()
    assert "ZeroDivisionError: lost" in capfd.readouterr().err
    assert sys.unraisablehook is sys.__unraisablehook__


def test_an_interrupted_command_takes_nothing_apart(tmp_path):
    """What LLVM was doing has two owners where it was interrupted, and crashes when Python deletes it."""
    program = """
import os, priorhood.cli as cli
from priorhood.data.sources.duckdb_io import spill_folder
class Linked:
    def __del__(self):
        os.abort()
def fit():
    module = Linked()
    spill_folder().mkdir()
    raise KeyboardInterrupt
cli.COMMANDS["fit"] = fit
cli.main()
"""
    ended = subprocess.run(
        [sys.executable, "-c", program, "fit"],
        capture_output=True, text=True, check=False, timeout=60, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (130, "priorhood: interrupted; nothing was written\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.parametrize("sampler", ["nutpie", "pymc"])
def test_ctrl_c_leaves_the_former_file_as_it_was(sampler, tmp_path):
    small().to_csv(tmp_path / "s.csv", index=False)
    (tmp_path / "post.nc").write_bytes(b"as it was")
    command = [
        str(Path(sys.executable).with_name("priorhood")), "fit", "s.csv", "price ~ living_space + (1 | zip)",
        "-o", "post.nc", "--engine", "nuts", "--sampler", sampler, "--draws", "300000", "--seed", "1",
    ]  # fmt: skip
    with subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        time.sleep(8)
        assert child.poll() is None, child.communicate()
        os.kill(child.pid, signal.SIGINT)
        _out, err = child.communicate(timeout=300)
    assert child.returncode == 130, err
    assert "interrupted; nothing was written" in err
    assert "Traceback" not in err
    assert (tmp_path / "post.nc").read_bytes() == b"as it was"
    assert [p.name for p in tmp_path.iterdir() if p.name not in ("s.csv", "post.nc")] == []

"""Priors: densities, draws, the text form, domains; LKJ against what is known of its marginals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

import priorhood as ph
from priorhood.priors import DEFAULTS, FAMILIES, parse_distribution, parse_prior, read_priors

LEVEL = 1e-3  # of the goodness-of-fit tests; the seeds are fixed, so it passes or fails once for all

FAMILY = [
    (ph.Normal(1.5, 0.7), stats.norm(1.5, 0.7), -np.inf),
    (ph.Normal(0, 20), stats.norm(0, 20), -np.inf),
    (ph.HalfNormal(2.5), stats.halfnorm(scale=2.5), 0.0),
    (ph.HalfCauchy(0.3), stats.halfcauchy(scale=0.3), 0.0),
    (ph.Exponential(5), stats.expon(scale=5), 0.0),
    (ph.Exponential(0.02), stats.expon(scale=0.02), 0.0),
    (ph.Gamma(2, 10), stats.gamma(2, scale=10), 0.0),
    (ph.Gamma(0.7, 0.2), stats.gamma(0.7, scale=0.2), 0.0),
]


@pytest.mark.parametrize(("prior", "known", "low"), FAMILY, ids=lambda v: str(v)[:25])
def test_density(prior, known, low):
    total, error = integrate.quad(lambda x: float(np.exp(prior.logpdf(np.array(x)))), low, np.inf, limit=200)
    assert total == pytest.approx(1.0, abs=max(1e-6, 2 * error))
    x = known.ppf(np.linspace(0.01, 0.99, 50))
    np.testing.assert_allclose(prior.logpdf(x), known.logpdf(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("prior", "known", "low"), FAMILY, ids=lambda v: str(v)[:25])
def test_samples(prior, known, low):
    drawn = prior.sample(np.random.default_rng(7), 4000)
    assert stats.kstest(drawn, known.cdf).pvalue > LEVEL
    # The test can fail: a tenth more spread is seen at this size.
    assert stats.kstest(1.2 * drawn, known.cdf).pvalue < LEVEL


@pytest.mark.parametrize("prior", [ph.Gamma(2, 10), ph.Gamma(0.7, 0.2)], ids=str)
def test_mean_and_sd_of_a_gamma(prior):
    """Within 4 standard errors; that of the sd by the kurtosis 3 + 6/shape."""
    n, sd = 40_000, np.sqrt(prior.shape) * prior.scale
    drawn = prior.sample(np.random.default_rng(9), n)
    assert abs(drawn.mean() - prior.shape * prior.scale) < 4 * sd / np.sqrt(n)
    assert abs(drawn.std() - sd) < 4 * sd * np.sqrt((2 + 6 / prior.shape) / 4 / n)


def test_what_is_fixed_has_no_distribution():
    known = ph.Fixed(0.3)
    np.testing.assert_array_equal(known.logpdf(np.array([0.3, 7.0])), 0.0)
    np.testing.assert_array_equal(known.sample(np.random.default_rng(1), (3, 2)), np.full((3, 2), 0.3))
    assert parse_distribution(known.scaled(50.0)) == ph.Fixed(15)


AWKWARD = [0.1 + 0.2, 1 / 3, 1e-12, 2.5e17, 5.0, np.nextafter(1.0, 2.0)]


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_text_reads_back_exactly(family, value):
    prior = FAMILIES[family](-value, value) if family == "Normal" else FAMILIES[family](value)
    assert parse_distribution(str(prior)) == prior
    assert parse_distribution(repr(prior)) == prior
    assert eval(repr(prior), dict(FAMILIES)) == prior


@pytest.mark.parametrize(
    ("text", "key", "prior"),
    [
        ("tau ~ Exponential(5)", "tau", ph.Exponential(5)),
        ("  tau [ living_space ]~Exponential( scale = 5 )", "tau[living_space]", ph.Exponential(5)),
        ("mu[type[loft]] ~ Normal(mean=-1, sd=2e3)", "mu[type[loft]]", ph.Normal(-1, 2000)),
        ("mu[a:b] ~ Normal(sd=3)", "mu[a:b]", ph.Normal(0, 3)),
        ("omega ~ LKJ(eta=1)", "omega", ph.LKJ(1)),
        ("sigma ~ HalfCauchy(2)", "sigma", ph.HalfCauchy(2)),
        ("nu ~ Gamma(2, scale=10)", "nu", ph.Gamma(2, 10)),
        ("tau[area] ~ Fixed(20)", "tau[area]", ph.Fixed(20)),
    ],
)
def test_prior_as_text(text, key, prior):
    assert parse_prior(text) == (key, prior)


def test_what_is_not_given_is_the_default():
    assert read_priors(None) == DEFAULTS
    assert read_priors("tau ~ HalfNormal(1)") == {**DEFAULTS, "tau": ph.HalfNormal(1)}
    assert read_priors({"tau[x]": "HalfNormal(1)", "sigma": ph.HalfCauchy(2)}) == {
        **DEFAULTS, "tau[x]": ph.HalfNormal(1), "sigma": ph.HalfCauchy(2),
    }  # fmt: skip


def test_a_prior_for_all_of_mu_holds_for_the_intercept():
    chosen = read_priors("mu ~ Normal(0, 3)")
    assert chosen["mu"] == ph.Normal(0, 3)
    assert "mu[Intercept]" not in chosen
    both = read_priors(["mu ~ Normal(0, 3)", "mu[Intercept] ~ Normal(1, 2)"])
    assert both["mu[Intercept]"] == ph.Normal(1, 2)


@pytest.mark.parametrize("key", ["mu", "mu[x]", "tau", "tau[x]", "sigma", "nu", "omega"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_domains(key, family):
    fits = {"mu": {"Normal"}, "omega": {"LKJ"}}.get(
        key.partition("[")[0], {"HalfNormal", "HalfCauchy", "Exponential", "Gamma", "Fixed"}
    )
    if family in fits:
        assert read_priors({key: FAMILIES[family]()})[key] == FAMILIES[family]()
    else:
        with pytest.raises(ph.PriorError, match="does not fit"):
            read_priors({key: FAMILIES[family]()})


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "5", None, True, [1]])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_impossible_numbers(family, value):
    with pytest.raises(ph.PriorError, match=family):
        FAMILIES[family](0, value) if family == "Normal" else FAMILIES[family](value)


@pytest.mark.parametrize(
    "text", ["tau ~ __import__('os').getcwd()", "tau ~ Exponential(__import__('os'))", "tau ~ print(1)"]
)
def test_text_is_not_run(text):
    with pytest.raises(ph.PriorError):
        parse_prior(text)


@pytest.mark.parametrize(
    "prior", [ph.Normal(1, 2), ph.HalfNormal(2), ph.HalfCauchy(2), ph.Exponential(2), ph.Gamma(3, 2)], ids=str
)
def test_scaled_text_is_the_distribution_of_a_multiple(prior):
    scaled = parse_distribution(prior.scaled(50.0))
    x = np.array([0.3, 1.0, 4.0])
    np.testing.assert_allclose(scaled.logpdf(50.0 * x), prior.logpdf(x) - np.log(50.0), rtol=1e-12)


# -- LKJ ------------------------------------------------------------------------------------------------


def correlations(partial, K):
    """Canonical partial correlations (S, K(K−1)/2) → correlation matrices, by their recursion."""
    S = len(partial)
    L = np.zeros((S, K, K))
    L[:, 0, 0] = 1.0
    at = 0
    for i in range(1, K):
        left = np.ones(S)
        for j in range(i):
            L[:, i, j] = partial[:, at] * np.sqrt(left)
            left = left * (1 - partial[:, at] ** 2)
            at += 1
        L[:, i, i] = np.sqrt(left)
    return L @ L.swapaxes(1, 2)


@pytest.mark.parametrize("K", [2, 3, 4])
@pytest.mark.parametrize("eta", [1.0, 2.0, 0.5])
def test_lkj_marginal_of_every_correlation(K, eta):
    """(ρ + 1)/2 ~ Beta(b, b), b = eta + (K − 2)/2, for every pair (Lewandowski, Kurowicka, Joe 2009)."""
    omega = correlations(ph.LKJ(eta).sample(np.random.default_rng(K), (6000, K)), K)
    b = eta + (K - 2) / 2
    for i in range(K):
        for j in range(i):
            assert stats.kstest((omega[:, i, j] + 1) / 2, stats.beta(b, b).cdf).pvalue > LEVEL
            assert stats.kstest((omega[:, i, j] + 1) / 2, stats.beta(b + 1, b + 1).cdf).pvalue < LEVEL


@pytest.mark.parametrize("K", [2, 3, 4])
def test_lkj_shapes_give_the_density_of_the_matrix(K):
    """Π (1 − z²)^(b − 1) = |Ω|^(eta − 1) × the Jacobian |∂Ω/∂z|, up to one constant."""
    eta = 1.7
    b = ph.LKJ(eta).shapes(K)
    pairs = K * (K - 1) // 2
    assert b.shape == (pairs,)
    lower = np.tril_indices(K, -1)
    constants = []
    for z in np.random.default_rng(1).uniform(-0.7, 0.7, (6, pairs)):
        steps = np.eye(pairs) * 1e-6
        ahead, behind = correlations(z + steps, K), correlations(z - steps, K)
        jacobian = np.array([(a - c)[lower] / 2e-6 for a, c in zip(ahead, behind, strict=True)])
        target = (eta - 1) * np.linalg.slogdet(correlations(z[None], K)[0])[1] + np.linalg.slogdet(jacobian)[1]
        constants.append(((b - 1) * np.log1p(-(z**2))).sum() - target)
    np.testing.assert_allclose(constants, constants[0], atol=1e-6)


def test_refit_priors_replace_what_is_named_and_nothing_else():
    model = ph.Model("y ~ a + (a | g)", ["tau ~ HalfNormal(1)", "sigma ~ HalfCauchy(2)"])
    # The defaults' own value, given on purpose, counts as given.
    back = model.with_priors("tau ~ Exponential(5)")
    assert back.priors["tau"] == ph.Exponential(5)
    assert back.priors["sigma"] == ph.HalfCauchy(2)
    # A general prior for mu holds for the intercept, unless that has one of its own.
    assert "mu[Intercept]" not in model.with_priors("mu ~ Normal(0, 3)").priors
    own = model.with_priors("mu[Intercept] ~ Normal(1, 2)").with_priors("mu ~ Normal(0, 3)")
    assert own.priors["mu[Intercept]"] == ph.Normal(1, 2)
    assert own.priors["mu"] == ph.Normal(0, 3)

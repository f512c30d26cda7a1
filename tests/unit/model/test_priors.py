"""Priors: densities, draws, the text form, domains; LKJ against what is known of its marginals."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest
from scipy import integrate, special, stats

import priorhood as ph
from cases import pose_rows
from priorhood.engines.exact.theta import constrain, log_prior
from priorhood.model.priors import DEFAULTS, FAMILIES, parse_distribution, parse_prior, read_priors

LEVEL = 1e-3  # of the goodness-of-fit tests; the seeds are fixed, so it passes or fails once for all


class HalfT:
    """Student's t folded at 0, from SciPy's t."""

    def __init__(self, nu, scale):
        self.whole = stats.t(nu, scale=scale)

    def logpdf(self, x):
        return np.log(2) + self.whole.logpdf(x)

    def cdf(self, x):
        return 2 * self.whole.cdf(x) - 1

    def ppf(self, p):
        return self.whole.ppf((1 + p) / 2)


FAMILY = [
    (ph.Normal(1.5, 0.7), stats.norm(1.5, 0.7), -np.inf),
    (ph.Normal(0, 20), stats.norm(0, 20), -np.inf),
    (ph.HalfNormal(2.5), stats.halfnorm(scale=2.5), 0.0),
    (ph.HalfCauchy(0.3), stats.halfcauchy(scale=0.3), 0.0),
    (ph.Exponential(5), stats.expon(scale=5), 0.0),
    (ph.Exponential(0.02), stats.expon(scale=0.02), 0.0),
    (ph.Gamma(2, 10), stats.gamma(2, scale=10), 0.0),
    (ph.Gamma(0.7, 0.2), stats.gamma(0.7, scale=0.2), 0.0),
    (ph.HalfStudentT(3, 2.5), HalfT(3, 2.5), 0.0),
    (ph.HalfStudentT(0.8, 0.3), HalfT(0.8, 0.3), 0.0),
    (ph.HalfStudentT(3e6, 2), HalfT(3e6, 2), 0.0),
    (ph.InverseGamma(3, 2), stats.invgamma(3, scale=2), 0.0),
    (ph.InverseGamma(0.6, 0.1), stats.invgamma(0.6, scale=0.1), 0.0),
    (ph.LogNormal(-1, 0.5), stats.lognorm(0.5, scale=np.exp(-1)), 0.0),
    (ph.LogNormal(2, 1.5), stats.lognorm(1.5, scale=np.exp(2)), 0.0),
    (ph.Uniform(0, 0.5), stats.uniform(0, 0.5), 0.0),
    (ph.Uniform(2, 7), stats.uniform(2, 5), 2.0),
]


@pytest.mark.parametrize(("prior", "known", "low"), FAMILY, ids=lambda v: str(v)[:25])
def test_density(prior, known, low):
    high = prior.upper if isinstance(prior, ph.Uniform) else np.inf
    total, error = integrate.quad(lambda x: float(np.exp(prior.logpdf(np.array(x)))), low, high, limit=200)
    assert total == pytest.approx(1.0, abs=max(1e-6, 2 * error))
    x = known.ppf(np.linspace(0.01, 0.99, 50))
    np.testing.assert_allclose(prior.logpdf(x), known.logpdf(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("prior", "known", "low"), FAMILY, ids=lambda v: str(v)[:25])
def test_samples(prior, known, low):
    drawn = prior.sample(np.random.default_rng(7), 4000)
    assert stats.kstest(drawn, known.cdf).pvalue > LEVEL
    # The test can fail: a tenth more spread is seen at this size.
    assert stats.kstest(1.2 * drawn, known.cdf).pvalue < LEVEL


POSITIVE = [(prior, known) for prior, known, _ in FAMILY if not isinstance(prior, ph.Normal)]


@pytest.mark.parametrize(("prior", "known"), POSITIVE, ids=lambda v: str(v)[:25])
def test_the_coordinate_has_the_density_of_the_scale(prior, known):
    """P(u₁ < u < u₂), by quadrature of logpdf + log-Jacobian over u, is P(x₁ < x < x₂); u of x of u is u."""
    x = known.ppf(np.linspace(0.05, 0.95, 7))
    u = prior.coordinate(np.log(x))
    np.testing.assert_allclose(prior.constrain(u), x, rtol=1e-12)

    def density(at):
        at = np.array(at)
        return float(np.exp(prior.logpdf(prior.constrain(at)) + prior.log_jacobian(at)))

    shares = [integrate.quad(density, a, b)[0] for a, b in pairwise(u)]
    np.testing.assert_allclose(shares, np.full(6, 0.15), rtol=1e-8)


@pytest.mark.parametrize(("prior", "known"), POSITIVE, ids=lambda v: str(v)[:25])
def test_no_scale_is_too_small_or_too_large_for_a_density(prior, known):
    """Pytest turns NumPy's warnings into errors; −∞ where there is no density, never nan."""
    log_x = np.array([-300.0, -100.0, 0.0, 100.0, 300.0])
    assert not np.isnan(prior.logpdf(np.exp(log_x))).any()
    assert not np.isnan(prior.coordinate(log_x)).any()
    u = np.array([-300.0, -40.0, 0.0, 40.0, 300.0])
    assert not np.isnan(prior.logpdf(prior.constrain(u)) + prior.log_jacobian(u)).any()
    if not isinstance(prior, ph.Gamma):  # whose density at 0 is NumPy's 0 · log 0
        assert not np.isnan(prior.logpdf(np.array([0.0]))).any()


def test_uniform_has_no_mass_outside_its_bounds():
    prior = ph.Uniform(2, 7)
    np.testing.assert_array_equal(np.isfinite(prior.logpdf(np.array([1.99, 2, 5, 7, 7.01]))), [0, 1, 1, 1, 0])
    np.testing.assert_array_equal(prior.coordinate(np.log([1, 1.9, 7.1, 9])), [-np.inf, -np.inf, np.inf, np.inf])
    ends = prior.constrain(np.array([-1e4, -40, 40, 1e4]))
    np.testing.assert_array_equal(ends, [2, 2, 7, 7])
    for tight in (ph.Uniform(0, 1e-30), ph.Uniform(1e10, 2e10), ph.Uniform(1, np.nextafter(1, 2))):
        assert np.isfinite(tight.logpdf(tight.constrain(np.linspace(-60, 60, 999)))).all()


@pytest.mark.parametrize("prior", [ph.InverseGamma(0.001, 0.001), ph.HalfStudentT(0.001, 1), ph.LogNormal(0, 900)])
def test_tails_beyond_what_a_double_holds(prior):
    """Half the draws are beyond; they stay numbers above 0."""
    drawn = prior.sample(np.random.default_rng(3), 2000)
    assert np.isfinite(drawn).all()
    assert (drawn > 0).all()


def test_half_t_between_cauchy_and_normal():
    x = np.linspace(0.01, 8, 50)
    np.testing.assert_allclose(ph.HalfStudentT(1, 2).logpdf(x), ph.HalfCauchy(2).logpdf(x), rtol=1e-12)
    np.testing.assert_allclose(ph.HalfStudentT(2.5e17, 2).logpdf(x), ph.HalfNormal(2).logpdf(x), rtol=1e-12)
    # On both sides of where the two ways to compute its constant meet.
    near = [ph.HalfStudentT(nu, 2).logpdf(x) for nu in (999_999.9, 1_000_000.1)]
    np.testing.assert_allclose(near[0], near[1], atol=1e-9)


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


def made(family, value):
    """A prior of the family with an awkward number for every parameter that takes it."""
    first = {"Normal": (-value, value), "LogNormal": (-value, value), "Uniform": (value, 3 * value)}
    count = len(fields(FAMILIES[family]))
    return FAMILIES[family](*first.get(family, (value,) * count))


@pytest.mark.parametrize("value", AWKWARD)
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_text_reads_back_exactly(family, value):
    prior = made(family, value)
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
        ("tau ~ HalfStudentT(3, 2.5)", "tau", ph.HalfStudentT(nu=3, scale=2.5)),
        ("tau ~ InverseGamma(shape=3, scale=2)", "tau", ph.InverseGamma(3, 2)),
        ("sigma ~ LogNormal(-1, sd=0.5)", "sigma", ph.LogNormal(mean=-1, sd=0.5)),
        ("nu ~ Uniform(2, 30)", "nu", ph.Uniform(lower=2, upper=30)),
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


SCALES = {
    "Exponential", "HalfNormal", "HalfStudentT", "HalfCauchy", "Gamma", "InverseGamma", "LogNormal", "Uniform",
    "Fixed",
}  # fmt: skip


@pytest.mark.parametrize("key", ["mu", "mu[x]", "tau", "tau[x]", "sigma", "nu", "omega"])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_domains(key, family):
    fits = {"mu": {"Normal"}, "omega": {"LKJ"}}.get(key.partition("[")[0], SCALES)
    if family in fits:
        assert read_priors({key: FAMILIES[family]()})[key] == FAMILIES[family]()
    else:
        with pytest.raises(ph.PriorError, match="does not fit"):
            read_priors({key: FAMILIES[family]()})


@pytest.mark.parametrize("value", [0, -1, float("inf"), float("nan"), "5", None, True, [1]])
@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_impossible_numbers(family, value):
    with pytest.raises(ph.PriorError, match=family):
        FAMILIES[family](0, value) if family in ("Normal", "LogNormal", "Uniform") else FAMILIES[family](value)
    if len(fields(FAMILIES[family])) > 1:
        with pytest.raises(ph.PriorError, match=family):
            FAMILIES[family](1, value)


@pytest.mark.parametrize(
    ("numbers", "says"),
    [((-1, 2), "at least 0"), ((2, 2), r"lower \(2\)"), ((3,), r"\(3\), not 1"), ((0, 1e999), "finite")],
)
def test_impossible_bounds(numbers, says):
    with pytest.raises(ph.PriorError, match=f"Uniform: .*{says}"):
        ph.Uniform(*numbers)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tau ~ HalfT(3, 1)", "unknown prior family 'HalfT': write HalfStudentT(nu, scale)"),
        ("tau ~ student_t(3, 0, 2.5)", "student_t(3, 0, 2.5) for an sd is HalfStudentT(3, 2.5)"),
        ("tau ~ half_normal(2)", "write HalfNormal(sd)"),
        ("tau ~ normal(0, 1)", "write HalfNormal(sd)"),
        ("sigma ~ InvGamma(1, 1)", "write InverseGamma(shape, scale)"),
        ("sigma ~ cauchy(0, 5)", "write HalfCauchy(scale)"),
        ("nu ~ gamma(2, 0.1)", "write Gamma(shape, scale); scale is 1/rate"),
        ("tau ~ exponential(1)", "write Exponential(scale); scale is the mean, 1/rate"),
        ("tau ~ constant(3)", "write Fixed(value)"),
        ("sigma ~ HalfFlat()", "write Uniform(lower, upper)"),
        ("omega ~ LKJCholeskyCov(2)", "write LKJ(eta)"),
        ("omega ~ Wishart(3)", "'LKJ'"),
        ("mu ~ normal(0, 1)", "write Normal(mean, sd)"),
        ("mu ~ Nromal(0, 1)", "did you mean 'Normal'"),
        ("tau ~ Weibull(3, 1)", "'Uniform'"),
    ],
)
def test_names_of_other_tools_get_advice(text, says):
    with pytest.raises(ph.PriorError) as caught:
        parse_prior(text)
    assert str(caught.value).startswith(f"prior for {text.partition(' ')[0]}: ")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "text", ["mu ~ StudentT(3, 0, 1)", "mu[a] ~ Cauchy(0, 5)", "mu ~ double_exponential(0, 1)", "mu ~ Flat()",
             "mu ~ Uniform(0, 1)", "mu ~ HalfStudentT(3, 1)"],
)  # fmt: skip
def test_coefficients_take_normal_priors(text):
    with pytest.raises(ph.PriorError, match=r"requires Normal priors.*large sd.*by hand.*to_pymc"):
        read_priors(text)


@pytest.mark.parametrize(
    "text", ["tau ~ __import__('os').getcwd()", "tau ~ Exponential(__import__('os'))", "tau ~ print(1)"]
)
def test_text_is_not_run(text):
    with pytest.raises(ph.PriorError):
        parse_prior(text)


@pytest.mark.parametrize(
    "prior",
    [ph.Normal(1, 2), ph.HalfNormal(2), ph.HalfCauchy(2), ph.Exponential(2), ph.Gamma(3, 2), ph.HalfStudentT(3, 2),
     ph.InverseGamma(3, 2), ph.Uniform(0.2, 5), ph.LogNormal(1 - np.log(50), 2)],
    ids=str,
)  # fmt: skip
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


@pytest.mark.parametrize("K", [2, 3, 4, 6])
@pytest.mark.parametrize("eta", [1.0, 2.0, 0.5])
def test_lkj_marginal_of_every_correlation(K, eta):
    """(ρ + 1)/2 ~ Beta(b, b), b = eta + (K − 2)/2, for every pair (Lewandowski, Kurowicka, Joe 2009)."""
    omega = correlations(ph.LKJ(eta).sample(np.random.default_rng(K), (6000, K)), K)
    b = eta + (K - 2) / 2
    for i in range(K):
        for j in range(i):
            assert stats.kstest((omega[:, i, j] + 1) / 2, stats.beta(b, b).cdf).pvalue > LEVEL
            assert stats.kstest((omega[:, i, j] + 1) / 2, stats.beta(b + 1, b + 1).cdf).pvalue < LEVEL


@pytest.mark.parametrize("K", [2, 3, 4, 6])
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


def log_constant(eta, K):
    """Log ∫ |Ω|^(eta − 1) dΩ over the correlation matrices (Lewandowski, Kurowicka, Joe 2009, equation 16)."""
    k = np.arange(1, K)
    b = eta + (K - k - 1) / 2
    return ((2 * eta - 2 + K - k) * (K - k)).sum() * np.log(2) + ((K - k) * special.betaln(b, b)).sum()


@pytest.mark.parametrize("K", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("eta", [1.0, 2.0, 0.5])
def test_lkj_density_is_normalized(eta, K):
    """Log p(atanh z) of exact/ is that of Ω by the published constant, with |∂Ω/∂z| and dz/d(atanh z)."""
    pairs = K * (K - 1) // 2
    rng = np.random.default_rng(K)
    X = rng.normal(size=(2, K))
    spread = {"tau": (ph.Fixed(1),) * K, "sigma": ph.Fixed(1)}
    case = pose_rows(X, np.zeros(2), np.zeros(2, int), 1, cols=range(K), eta=eta, constant=None, **spread)
    lower = np.tril_indices(K, -1)
    for z in rng.uniform(-0.7, 0.7, (3, pairs)):
        steps = np.eye(pairs) * 1e-6
        jacobian = (correlations(z + steps, K) - correlations(z - steps, K))[:, *lower] / 2e-6
        log_omega = (eta - 1) * np.linalg.slogdet(correlations(z[None], K)[0])[1] - log_constant(eta, K)
        want = log_omega + np.linalg.slogdet(jacobian)[1] + np.log1p(-(z**2)).sum()
        theta = np.arctanh(z)[None]
        got = log_prior(case.problem, theta, constrain(case.problem, theta))
        assert got[0] == pytest.approx(want, abs=1e-6)


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


def test_an_argument_given_twice_is_refused():
    with pytest.raises(ph.PriorError, match="has an argument twice"):
        read_priors("mu ~ Normal(sd=1, mean=0, mean=2)")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"units": "€"}, "units must be a dictionary such as {'price': '€'}, not '€'"),
        ({"standardize": "no"}, "standardize must be True or False, not 'no'"),
        ({"outcome_unit": 1e300}, r"from 1e-100 to 1e\+100, not 1e\+300"),
        ({"outcome_unit": 1e-300}, r"from 1e-100 to 1e\+100, not 1e-300"),
    ],
)
def test_options_of_another_kind_are_refused(given, said):
    with pytest.raises(ph.ModelError, match=said):
        ph.Model("price ~ area + (1 | zip)", **given)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tau ~ Exponential(0,5)", ["Exponential(0.5)"]),
        ("tau ~ Exponential(scale=0,5)", ["Exponential(scale=0.5)"]),
        ("tau ~ Exponential(1,000)", ["Exponential(1000)", "Exponential(1.000)"]),
        ("tau ~ Exponential(1.000,5)", ["Exponential(1000.5)"]),
        ("tau ~ Exponential(10 000)", ["Exponential(10000)"]),
        ("tau ~ Exponential(10\u2019000)", ["Exponential(10000)"]),
        ("mu ~ Normal(0, 0,5)", ["Normal(0, 0.5)"]),
        ("mu ~ Normal(\u22120,5, 1,5)", ["Normal(-0.5, 1.5)"]),
        ("mu ~ Normal(\u22121, 2)", ["Normal(-1, 2)"]),
        ("sigma_median ~ LogNormal(-1,5; 1)", ["LogNormal(-1.5, 1)"]),
        ("tau ~ HalfStudentT(3, 2,5)", ["HalfStudentT(3, 2.5)"]),
        ("omega ~ LKJ\uff08\uff12\uff09", ["LKJ(2)"]),
    ],
)
def test_numbers_as_elsewhere_are_said_and_what_is_said_can_be_read(text, meant):
    """Decimal commas, thousands and another keyboard's signs."""
    with pytest.raises(ph.PriorError) as problem:
        parse_prior(text)
    assert str(problem.value).endswith(f"; write {' or '.join(meant)}")
    for distribution in meant:
        parse_prior(f"{text.partition('~')[0]}~ {distribution}")


@pytest.mark.parametrize("text", ["mu ~ Normal(0,5)", "tau ~ Gamma(2,5)", "tau ~ Uniform(0,5)"])
def test_a_comma_between_two_numbers_is_one(text):
    assert parse_prior(text)[1] == parse_distribution(text.partition("~")[2].replace(",", ", "))


@pytest.mark.parametrize("text", ["mu ~ Normal(0,0,0,5)", "tau ~ Exponential(0, 5)", "tau ~ Exponential(rate=5)"])
def test_what_may_mean_several_things_is_not_guessed(text):
    with pytest.raises(ph.PriorError, match=r"takes numbers for: (mean, sd|scale .scale is the mean, 1/rate.)$"):
        parse_prior(text)


def test_a_tilde_of_another_keyboard():
    with pytest.raises(
        ph.PriorError, match=r"'∼' .U\+223C. is not the character '~'; write 'tau ~ Exponential.5.'$"
    ):
        parse_prior("tau ∼ Exponential(5)")

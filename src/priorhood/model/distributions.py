"""Families of priors: densities, draws, and the unconstrained coordinates of scales.

All densities are on the standardized scale and normalized, since the evidence log p(y) needs their constants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, ClassVar, Union

import numpy as np

from priorhood.errors import PriorError

if TYPE_CHECKING:
    from priorhood._arrays import Array

_LOG_2 = math.log(2.0)
_LOG_PI = math.log(math.pi)
_TINY = 1e-300  # replaces x = 0 in a logarithm or a denominator


def _ratio(x: Array | float, scale: Array | float, power: int = 1) -> Array:
    """Return (x/scale)^power, infinite where it overflows a double."""
    with np.errstate(over="ignore"):
        return np.asarray((x / scale) ** power)


def _log_heavy(x: Array, scale: float, nu: float) -> Array:
    """Return log(1 + (x/scale)²/nu), also where the square overflows a double."""
    z = _ratio(x, scale)
    near = np.minimum(z, 1e100)
    return np.where(z < 1e100, np.log1p(near**2 / nu), 2.0 * np.log(np.maximum(z, 1.0)) - math.log(nu))


def _finite_exp(log_x: Array) -> Array:
    """Return exp(log_x), clipped to the range of a double."""
    return np.asarray(np.exp(np.clip(log_x, -690.0, 690.0)))


class _Family:
    """Base of all families: checked numbers, scaling, and the text form, which parse_distribution reads back."""

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            name, value, family = field.name, getattr(self, field.name), type(self).__name__
            if isinstance(value, bool) or not isinstance(value, int | float | np.number):
                raise PriorError(f"{family}: {name} must be a number, not {value!r}")
            number = float(value)
            if not math.isfinite(number):
                raise PriorError(f"{family}: {name} must be finite, not {number}")
            if number <= 0 and name not in ("mean", "lower"):
                raise PriorError(f"{family}: {name} must be greater than 0, not {number:g}")
            object.__setattr__(self, name, number)

    def __str__(self) -> str:
        shown = (f"{f.name}={_short(getattr(self, f.name))}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"

    __repr__ = __str__

    def scaled(self, factor: float) -> str:
        """Return the text form of the distribution of x · factor."""
        numbers = [
            amount(getattr(self, f.name) * (1 if f.name in ("nu", "shape", "eta") else factor))
            for f in fields(self)  # type: ignore[arg-type]
        ]
        return f"{type(self).__name__}({', '.join(numbers)})"


class _Positive(_Family):
    """A prior of a scale x > 0. The exact engine explores x in the unconstrained coordinate u = log x."""

    domain: ClassVar[str] = "positive"

    def coordinate(self, log_x: Array | float) -> Any:
        """Return u(x), from log x, elementwise; infinite where x is outside the support."""
        return log_x

    def constrain(self, u: Array) -> Array:
        """Return x(u), elementwise."""
        return np.asarray(np.exp(u))

    def log_jacobian(self, u: Array) -> Array:
        """Return log dx/du, elementwise: the log density of u is logpdf(x) plus this."""
        return u


def amount(value: float) -> str:
    """Return a number as text for people: with thousands separators if large, with four digits if small."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _short(value: float) -> str:
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


@dataclass(frozen=True, repr=False)
class Normal(_Family):
    """Normal(mean, sd), for population coefficients: p(x) = exp(−½((x − mean)/sd)²) / (sd √2π).

    Parameters
    ----------
    mean : float
        mean of x
    sd : float
        sd of x; must be positive

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.Model("price ~ area", {"mu[area]": ph.priors.Normal(0, 2)}).priors["mu[area]"]
    Normal(mean=0, sd=2)
    """

    mean: float = 0.0
    sd: float = 1.0
    domain: ClassVar[str] = "real"

    def logpdf(self, x: Array) -> Array:
        """Return the log density, elementwise."""
        return -0.5 * ((x - self.mean) / self.sd) ** 2 - math.log(self.sd) - 0.5 * (_LOG_2 + _LOG_PI)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Return independent draws."""
        return rng.normal(self.mean, self.sd, size)


@dataclass(frozen=True, repr=False)
class HalfNormal(_Positive):
    """The absolute value of a Normal(0, sd): p(x) = √(2/π)/sd exp(−½(x/sd)²) for x > 0.

    Parameters
    ----------
    sd : float
        sd of the Normal; must be positive

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.priors.HalfNormal(2)
    HalfNormal(sd=2)
    """

    sd: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Return the log density, elementwise."""
        return 0.5 * (_LOG_2 - _LOG_PI) - math.log(self.sd) - 0.5 * _ratio(x, self.sd, 2)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Return independent draws."""
        return np.abs(rng.normal(0.0, self.sd, size))


@dataclass(frozen=True, repr=False)
class HalfStudentT(_Positive):
    """The absolute value of scale times Student's t with nu degrees of freedom.

    p(x) = c (1 + (x/scale)²/nu)^(−(nu + 1)/2) for x > 0, c = 2 Γ((nu + 1)/2) / (Γ(nu/2) √(nu π) scale). HalfCauchy
    has nu = 1, and HalfNormal is the limit of large nu.

    Parameters
    ----------
    nu : float
        degrees of freedom; must be positive
    scale : float
        scale of x; must be positive

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.priors.HalfStudentT(3, 2.5)
    HalfStudentT(nu=3, scale=2.5)
    """

    nu: float = 3.0
    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Return the log density, elementwise."""
        nu = self.nu
        if nu < 1e6:
            gammas = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2)
        else:  # Stirling's series, since they nearly cancel
            gammas = 0.5 * math.log(nu / 2) - 1 / (4 * nu)
        norm = _LOG_2 + gammas - 0.5 * (math.log(nu) + _LOG_PI) - math.log(self.scale)
        return norm - 0.5 * (nu + 1) * _log_heavy(x, self.scale, nu)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Return independent draws."""
        # Draws from heavy tails may underflow to 0 or overflow to infinity.
        return np.clip(np.abs(self.scale * rng.standard_t(self.nu, size)), 1e-300, 1e300)


@dataclass(frozen=True, repr=False)
class HalfCauchy(_Positive):
    """The absolute value of a Cauchy(0, scale): p(x) = 2 / (π scale (1 + (x/scale)²)) for x > 0.

    Parameters
    ----------
    scale : float
        median of x; must be positive

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.priors.HalfCauchy(1)
    HalfCauchy(scale=1)
    """

    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Return the log density, elementwise."""
        return _LOG_2 - _LOG_PI - math.log(self.scale) - _log_heavy(x, self.scale, 1.0)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Return independent draws."""
        return np.abs(self.scale * rng.standard_cauchy(size))


@dataclass(frozen=True, repr=False)
class Exponential(_Positive):
    """The exponential distribution: p(x) = exp(−x/scale)/scale for x > 0.

    Parameters
    ----------
    scale : float
        mean of x, 1/rate; must be positive

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.Model("price ~ area + (1 | zip)", "tau ~ Exponential(2)").priors["tau"]
    Exponential(scale=2)
    """

    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Return the log density, elementwise."""
        return -_ratio(x, self.scale) - math.log(self.scale)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Return independent draws."""
        return rng.exponential(self.scale, size)


@dataclass(frozen=True, repr=False)
class Gamma(_Positive):
    """The gamma distribution: p(x) = x^(shape − 1) exp(−x/scale) / (Γ(shape) scale^shape) for x > 0.

    Parameters
    ----------
    shape : float
        shape of the distribution; must be positive
    scale : float
        scale of x, 1/rate; must be positive. The mean of x is shape · scale

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.priors.Gamma(2, 10)
    Gamma(shape=2, scale=10)
    """

    shape: float = 2.0
    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Return the log density, elementwise."""
        norm = math.lgamma(self.shape) + self.shape * math.log(self.scale)
        return (self.shape - 1.0) * np.log(x) - _ratio(x, self.scale) - norm

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Return independent draws."""
        return rng.gamma(self.shape, self.scale, size)


@dataclass(frozen=True, repr=False)
class InverseGamma(_Positive):
    """The inverse gamma distribution: p(x) = scale^shape x^(−shape − 1) exp(−scale/x) / Γ(shape) for x > 0.

    Parameters
    ----------
    shape : float
        shape of the distribution; must be positive
    scale : float
        scale of x; must be positive. scale/x has a Gamma(shape, 1) distribution

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.priors.InverseGamma(3, 2)
    InverseGamma(shape=3, scale=2)
    """

    shape: float = 2.0
    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Return the log density, elementwise; −∞ at 0."""
        above = np.maximum(x, _TINY)
        norm = self.shape * math.log(self.scale) - math.lgamma(self.shape)
        return np.where(x > 0, norm - (self.shape + 1.0) * np.log(above) - _ratio(self.scale, above), -np.inf)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Return independent draws."""
        # With a small shape, g often underflows; log g = log g' + log(uniform)/shape, where g' has shape + 1.
        log_g = np.log(rng.gamma(self.shape + 1.0, 1.0, size)) + np.log1p(-rng.random(size)) / self.shape
        return _finite_exp(math.log(self.scale) - log_g)


@dataclass(frozen=True, repr=False)
class LogNormal(_Positive):
    """The lognormal distribution: log x ~ Normal(mean, sd).

    Parameters
    ----------
    mean : float
        mean of log x; exp(mean) is the median of x
    sd : float
        sd of log x; must be positive

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.priors.LogNormal(0, 0.5)
    LogNormal(mean=0, sd=0.5)
    """

    mean: float = 0.0
    sd: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Return the log density, elementwise; −∞ at 0."""
        log_x = np.log(np.maximum(x, _TINY))
        square = -0.5 * ((log_x - self.mean) / self.sd) ** 2
        return np.where(x > 0, square - log_x - math.log(self.sd) - 0.5 * (_LOG_2 + _LOG_PI), -np.inf)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Return independent draws."""
        return _finite_exp(rng.normal(self.mean, self.sd, size))

    def scaled(self, factor: float) -> str:
        """Return the text form of the distribution of x · factor."""
        return f"LogNormal({amount(self.mean + math.log(factor))}, {amount(self.sd)})"


@dataclass(frozen=True, repr=False)
class Uniform(_Positive):
    """The uniform distribution: p(x) = 1/(upper − lower) for lower ≤ x ≤ upper, 0 elsewhere.

    Its coordinate is u = log((x − lower)/(upper − x)), which is Logistic(0, 1): a posterior that piles up at a
    bound has a mode and exponential tails in u, while in log x it would end at its highest point.

    Parameters
    ----------
    lower : float
        lower bound; must be at least 0
    upper : float
        upper bound; must be above lower

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.priors.Uniform(0, 100)
    Uniform(lower=0, upper=100)
    """

    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lower < 0:
            raise PriorError(f"Uniform: lower must be at least 0, not {self.lower:g}: a scale cannot be negative")
        if self.upper <= self.lower:
            raise PriorError(
                f"Uniform: upper must be greater than lower ({_short(self.lower)}), not {_short(self.upper)}; for "
                f"a known scale use Fixed"
            )

    def coordinate(self, log_x: Array | float) -> Any:
        """Return u(x), from log x; infinite where x is outside the support."""
        with np.errstate(divide="ignore", over="ignore"):
            x = np.exp(log_x)
            return np.log(np.maximum(x - self.lower, 0.0)) - np.log(np.maximum(self.upper - x, 0.0))

    def constrain(self, u: Array) -> Array:
        """Return x(u)."""
        small = np.exp(-np.abs(u))
        share = np.where(u < 0, small, 1.0) / (1.0 + small)
        return np.clip(self.lower + (self.upper - self.lower) * share, self.lower, self.upper)

    def log_jacobian(self, u: Array) -> Array:
        """Return log dx/du."""
        away = np.abs(u)
        return math.log(self.upper - self.lower) - away - 2.0 * np.log1p(np.exp(-away))

    def logpdf(self, x: Array) -> Array:
        """Return the log density, elementwise; −∞ outside the bounds."""
        return np.where((x >= self.lower) & (x <= self.upper), -math.log(self.upper - self.lower), -np.inf)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Return independent draws."""
        return rng.uniform(self.lower, self.upper, size)


@dataclass(frozen=True, repr=False)
class Fixed(_Positive):
    """A known scale, with no distribution and nothing to learn; tau ~ Fixed(20) makes unpooled regressions.

    Parameters
    ----------
    value : float
        the known value; must be positive

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.priors.Fixed(20)
    Fixed(value=20)
    """

    value: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Return 0 everywhere: a known number has no density."""
        return np.zeros_like(np.asarray(x, dtype=float))

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:  # noqa: ARG002
        """Return the value, repeated for every draw."""
        return np.full(size, self.value)


def cholesky_of_partial(z: Array, K: int) -> Array:
    """Return lower Cholesky factors of Ω (S, K, K) from canonical partial correlations (S, K(K−1)/2).

    L_ij = z_ij ∏_{k<j} √(1 − z_ik²), L_ii = ∏_{k<i} √(1 − z_ik²); rows have length one.
    """
    L = np.zeros((len(z), K, K))
    L[:, 0, 0] = 1.0
    pair = 0
    for i in range(1, K):
        left = np.ones(len(z))
        for j in range(i):
            L[:, i, j] = z[:, pair] * left
            left = left * np.sqrt((1.0 - z[:, pair]) * (1.0 + z[:, pair]))
            pair += 1
        L[:, i, i] = left
    return L


@dataclass(frozen=True, repr=False)
class LKJ(_Family):
    """The LKJ distribution of correlation matrices: p(Ω) ∝ |Ω|^(eta − 1).

    Its canonical partial correlations are independent: z of the pair (i, j), j < i (from 0), has
    (z + 1)/2 ~ Beta(b, b) with b = eta + (K − 2 − j)/2.

    Parameters
    ----------
    eta : float
        concentration; must be positive. 1 is uniform; larger values pull the correlations towards 0

    References
    ----------
    Lewandowski, Kurowicka, Joe (2009), Generating random correlation matrices based on vines and extended onion
    method, Journal of Multivariate Analysis 100, 1989–2001

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.priors.LKJ(2)
    LKJ(eta=2)
    """

    eta: float = 2.0
    domain: ClassVar[str] = "correlation"

    def shapes(self, K: int) -> Array:
        """Return the Beta shape b of every pair (1,0), (2,0), (2,1), (3,0), …: (K(K−1)/2,)."""
        return np.array([self.eta + (K - 2 - j) / 2 for i in range(K) for j in range(i)])

    def sample(self, rng: np.random.Generator, size: tuple[int, int]) -> Array:
        """Return draws of canonical partial correlations (draws, K(K−1)/2), for size = (draws, K)."""
        draws, K = size
        b = self.shapes(K)
        return 2.0 * rng.beta(b, b, (draws, len(b))) - 1.0

    def cholesky(self, rng: np.random.Generator, draws: int, K: int) -> Array:
        """Return draws of lower Cholesky factors of Ω (draws, K, K)."""
        return cholesky_of_partial(self.sample(rng, (draws, K)), K)


ScalePrior = Union[
    Exponential, HalfNormal, HalfStudentT, HalfCauchy, Gamma, InverseGamma, LogNormal, Uniform, Fixed
]  # fmt: skip
Prior = Union[Normal, ScalePrior, LKJ]

_ALL = (
    Normal, Exponential, HalfNormal, HalfStudentT, HalfCauchy, Gamma, InverseGamma, LogNormal, Uniform, Fixed, LKJ,
)  # fmt: skip
FAMILIES: dict[str, type[Any]] = {family.__name__: family for family in _ALL}

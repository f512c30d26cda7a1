"""Families of priors: densities, draws, and the unconstrained coordinate of those of scales.

All densities are those of the standardized scale and are normalized, since the evidence
log p(y) needs their constants.
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
_LEAST = 1e-300  # stands for 0 where a density has a logarithm of x or divides by it


def _number(family: str, name: str, value: object, *, positive: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise PriorError(f"{family}: {name} must be a number, not {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise PriorError(f"{family}: {name} must be finite, not {number}")
    if positive and number <= 0:
        raise PriorError(f"{family}: {name} must be greater than 0, not {number:g}")
    return number


def _finite(x: Array) -> Array:
    """Draws held within what a double holds: heavy tails go beyond, down to 0 and up to infinity."""
    return np.clip(x, 1e-300, 1e300)


def _ratio(x: Array | float, scale: Array | float, power: int = 1) -> Array:
    """(x/scale)^power, infinite where that is beyond a double."""
    with np.errstate(over="ignore"):
        return np.asarray((x / scale) ** power)


def _log_heavy(x: Array, scale: float, nu: float) -> Array:
    """log(1 + (x/scale)²/nu), also where the square is beyond a double."""
    z = _ratio(x, scale)
    near = np.minimum(z, 1e100)
    return np.where(z < 1e100, np.log1p(near**2 / nu), 2.0 * np.log(np.maximum(z, 1.0)) - math.log(nu))


def _finite_exp(log_x: Array) -> Array:
    return np.asarray(np.exp(np.clip(log_x, -690.0, 690.0)))


class _Text:
    """The text form shared by all families: `Exponential(scale=5)`; `repr` is read back exactly."""

    def __str__(self) -> str:
        shown = (f"{f.name}={_short(getattr(self, f.name))}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"

    __repr__ = __str__


class _Positive(_Text):
    """A prior of a scale x > 0, with the unconstrained coordinate u in which the exact engine explores x: log x.

    Its numbers are greater than 0 unless the family says otherwise.
    """

    domain: ClassVar[str] = "positive"

    def __post_init__(self) -> None:
        for field in fields(self):  # type: ignore[arg-type]
            number = _number(type(self).__name__, field.name, getattr(self, field.name), positive=True)
            object.__setattr__(self, field.name, number)

    def coordinate(self, log_x: Array | float) -> Any:
        """U of x, from log x, elementwise; infinite where x is outside the support."""
        return log_x

    def constrain(self, u: Array) -> Array:
        """X of u, elementwise."""
        return np.asarray(np.exp(u))

    def log_jacobian(self, u: Array) -> Array:
        """Log dx/du, elementwise: what the density of u has beside logpdf(x)."""
        return u


def amount(value: float) -> str:
    """A number for reading: thousands separated, four digits where it is small."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _short(value: float) -> str:
    text = repr(float(value))
    return text[:-2] if text.endswith(".0") else text


@dataclass(frozen=True, repr=False)
class Normal(_Text):
    """p(x) = exp(−½((x − mean)/sd)²) / (sd √2π), for population coefficients."""

    mean: float = 0.0
    sd: float = 1.0
    domain: ClassVar[str] = "real"

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", _number("Normal", "mean", self.mean, positive=False))
        object.__setattr__(self, "sd", _number("Normal", "sd", self.sd, positive=True))

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        return -0.5 * ((x - self.mean) / self.sd) ** 2 - math.log(self.sd) - 0.5 * (_LOG_2 + _LOG_PI)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return rng.normal(self.mean, self.sd, size)

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"Normal({amount(self.mean * factor)}, {amount(self.sd * factor)})"


@dataclass(frozen=True, repr=False)
class HalfNormal(_Positive):
    """p(x) = √(2/π)/sd exp(−½(x/sd)²) for x > 0."""

    sd: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        return 0.5 * (_LOG_2 - _LOG_PI) - math.log(self.sd) - 0.5 * _ratio(x, self.sd, 2)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return np.abs(rng.normal(0.0, self.sd, size))

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"HalfNormal({amount(self.sd * factor)})"


@dataclass(frozen=True, repr=False)
class HalfStudentT(_Positive):
    """p(x) = c (1 + (x/scale)²/nu)^(−(nu + 1)/2) for x > 0, with nu degrees of freedom.

    c = 2 Γ((nu + 1)/2) / (Γ(nu/2) √(nu π) scale). HalfCauchy has nu = 1, and HalfNormal is the limit of large nu.
    """

    nu: float = 3.0
    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        nu = self.nu
        if nu < 1e6:
            gammas = math.lgamma((nu + 1) / 2) - math.lgamma(nu / 2)
        else:  # where they nearly cancel, Stirling's series
            gammas = 0.5 * math.log(nu / 2) - 1 / (4 * nu)
        norm = _LOG_2 + gammas - 0.5 * (math.log(nu) + _LOG_PI) - math.log(self.scale)
        return norm - 0.5 * (nu + 1) * _log_heavy(x, self.scale, nu)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return _finite(np.abs(self.scale * rng.standard_t(self.nu, size)))

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"HalfStudentT({amount(self.nu)}, {amount(self.scale * factor)})"


@dataclass(frozen=True, repr=False)
class HalfCauchy(_Positive):
    """p(x) = 2 / (π scale (1 + (x/scale)²)) for x > 0."""

    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        return _LOG_2 - _LOG_PI - math.log(self.scale) - _log_heavy(x, self.scale, 1.0)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return np.abs(self.scale * rng.standard_cauchy(size))

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"HalfCauchy({amount(self.scale * factor)})"


@dataclass(frozen=True, repr=False)
class Exponential(_Positive):
    """p(x) = exp(−x/scale)/scale for x > 0; scale is the mean, 1/rate."""

    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        return -_ratio(x, self.scale) - math.log(self.scale)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return rng.exponential(self.scale, size)

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"Exponential({amount(self.scale * factor)})"


@dataclass(frozen=True, repr=False)
class Gamma(_Positive):
    """p(x) = x^(shape − 1) exp(−x/scale) / (Γ(shape) scale^shape) for x > 0; its mean is shape · scale."""

    shape: float = 2.0
    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        norm = math.lgamma(self.shape) + self.shape * math.log(self.scale)
        return (self.shape - 1.0) * np.log(x) - _ratio(x, self.scale) - norm

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return rng.gamma(self.shape, self.scale, size)

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"Gamma({amount(self.shape)}, {amount(self.scale * factor)})"


@dataclass(frozen=True, repr=False)
class InverseGamma(_Positive):
    """p(x) = scale^shape x^(−shape − 1) exp(−scale/x) / Γ(shape) for x > 0: scale over a Gamma(shape, 1)."""

    shape: float = 2.0
    scale: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise; −∞ at 0."""
        above = np.maximum(x, _LEAST)
        norm = self.shape * math.log(self.scale) - math.lgamma(self.shape)
        return np.where(x > 0, norm - (self.shape + 1.0) * np.log(above) - _ratio(self.scale, above), -np.inf)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        # g of a small shape is often too small for a double; log g = log g' + log(uniform)/shape, g' of shape + 1.
        log_g = np.log(rng.gamma(self.shape + 1.0, 1.0, size)) + np.log1p(-rng.random(size)) / self.shape
        return _finite_exp(math.log(self.scale) - log_g)

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"InverseGamma({amount(self.shape)}, {amount(self.scale * factor)})"


@dataclass(frozen=True, repr=False)
class LogNormal(_Positive):
    """log x ~ Normal(mean, sd): mean and sd are those of the log, and exp(mean) is the median of x."""

    mean: float = 0.0
    sd: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "mean", _number("LogNormal", "mean", self.mean, positive=False))
        object.__setattr__(self, "sd", _number("LogNormal", "sd", self.sd, positive=True))

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise; −∞ at 0."""
        log_x = np.log(np.maximum(x, _LEAST))
        square = -0.5 * ((log_x - self.mean) / self.sd) ** 2
        return np.where(x > 0, square - log_x - math.log(self.sd) - 0.5 * (_LOG_2 + _LOG_PI), -np.inf)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return _finite_exp(rng.normal(self.mean, self.sd, size))

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"LogNormal({amount(self.mean + math.log(factor))}, {amount(self.sd)})"


@dataclass(frozen=True, repr=False)
class Uniform(_Positive):
    """p(x) = 1/(upper − lower) for lower ≤ x ≤ upper, 0 elsewhere; lower is at least 0.

    Its coordinate is u = log((x − lower)/(upper − x)), which is Logistic(0, 1): a posterior that leans against a
    bound has a mode and exponential tails in u, where in log x it would end at its highest point.
    """

    lower: float = 0.0
    upper: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "lower", _number("Uniform", "lower", self.lower, positive=False))
        object.__setattr__(self, "upper", _number("Uniform", "upper", self.upper, positive=True))
        if self.lower < 0:
            raise PriorError(f"Uniform: lower must be at least 0, as scales are, not {self.lower:g}")
        if self.upper <= self.lower:
            raise PriorError(
                f"Uniform: upper must be greater than lower, {_short(self.lower)}, not {_short(self.upper)}; for a "
                f"known scale write Fixed"
            )

    def coordinate(self, log_x: Array | float) -> Any:
        """U of x, from log x; infinite where x is outside the support."""
        with np.errstate(divide="ignore", over="ignore"):
            x = np.exp(log_x)
            return np.log(np.maximum(x - self.lower, 0.0)) - np.log(np.maximum(self.upper - x, 0.0))

    def constrain(self, u: Array) -> Array:
        """X of u."""
        small = np.exp(-np.abs(u))
        share = np.where(u < 0, small, 1.0) / (1.0 + small)
        return np.clip(self.lower + (self.upper - self.lower) * share, self.lower, self.upper)

    def log_jacobian(self, u: Array) -> Array:
        """Log dx/du: what the density of u has beside logpdf(x)."""
        away = np.abs(u)
        return math.log(self.upper - self.lower) - away - 2.0 * np.log1p(np.exp(-away))

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise; −∞ outside the bounds."""
        return np.where((x >= self.lower) & (x <= self.upper), -math.log(self.upper - self.lower), -np.inf)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return rng.uniform(self.lower, self.upper, size)

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"Uniform({amount(self.lower * factor)}, {amount(self.upper * factor)})"


@dataclass(frozen=True, repr=False)
class Fixed(_Positive):
    """A scale that is known: no distribution, nothing to learn. tau ~ Fixed(20) makes unpooled regressions."""

    value: float = 1.0

    def logpdf(self, x: Array) -> Array:
        """0 everywhere: a known number has no density, and adds nothing to one."""
        return np.zeros_like(np.asarray(x, dtype=float))

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:  # noqa: ARG002
        """The value."""
        return np.full(size, self.value)

    def scaled(self, factor: float) -> str:
        """The text of a multiple of the value."""
        return f"Fixed({amount(self.value * factor)})"


def cholesky_of_partial(z: Array, K: int) -> Array:
    """Canonical partial correlations (S, K(K−1)/2) → lower Cholesky factor of Ω (S, K, K).

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
class LKJ(_Text):
    """p(Ω) ∝ |Ω|^(eta − 1) over correlation matrices (Lewandowski, Kurowicka, Joe 2009).

    Its canonical partial correlations are independent: z of the pair (i, j), j < i (from 0), has
    (z + 1)/2 ~ Beta(b, b) with b = eta + (K − 2 − j)/2.
    """

    eta: float = 2.0
    domain: ClassVar[str] = "correlation"

    def __post_init__(self) -> None:
        object.__setattr__(self, "eta", _number("LKJ", "eta", self.eta, positive=True))

    def shapes(self, K: int) -> Array:
        """The Beta shape b of every pair (1,0), (2,0), (2,1), (3,0), … (K(K−1)/2,)."""
        return np.array([self.eta + (K - 2 - j) / 2 for i in range(K) for j in range(i)])

    def sample(self, rng: np.random.Generator, size: tuple[int, int]) -> Array:
        """Canonical partial correlations, size = (draws, K) → (draws, K(K−1)/2)."""
        draws, K = size
        b = self.shapes(K)
        return 2.0 * rng.beta(b, b, (draws, len(b))) - 1.0

    def cholesky(self, rng: np.random.Generator, draws: int, K: int) -> Array:
        """Lower Cholesky factors of Ω (draws, K, K)."""
        return cholesky_of_partial(self.sample(rng, (draws, K)), K)


ScalePrior = Union[
    Exponential, HalfNormal, HalfStudentT, HalfCauchy, Gamma, InverseGamma, LogNormal, Uniform, Fixed
]  # fmt: skip
Prior = Union[Normal, ScalePrior, LKJ]

_ALL = (
    Normal, Exponential, HalfNormal, HalfStudentT, HalfCauchy, Gamma, InverseGamma, LogNormal, Uniform, Fixed, LKJ,
)  # fmt: skip
FAMILIES: dict[str, type[Any]] = {family.__name__: family for family in _ALL}

"""Prior distributions: density, draws, spread and the text form; one table of families.

All densities are those of the standardized scale and are normalized, since the evidence
log p(y) needs their constants.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Union

import numpy as np
import numpy.typing as npt

from priorhood.errors import PriorError, near

Array = npt.NDArray[np.float64]

_LOG_2 = math.log(2.0)
_LOG_PI = math.log(math.pi)


def _number(family: str, name: str, value: object, *, positive: bool) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.number):
        raise PriorError(f"{family}: {name} must be a number, not {value!r}")
    number = float(value)
    if not math.isfinite(number):
        raise PriorError(f"{family}: {name} must be finite, not {number}")
    if positive and number <= 0:
        raise PriorError(f"{family}: {name} must be greater than 0, not {number:g}")
    return number


class _Text:
    """The text form shared by all families: `Exponential(scale=5)`; `repr` is read back exactly."""

    def __str__(self) -> str:
        shown = (f"{f.name}={_short(getattr(self, f.name))}" for f in fields(self))  # type: ignore[arg-type]
        return f"{type(self).__name__}({', '.join(shown)})"

    __repr__ = __str__


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
class HalfNormal(_Text):
    """p(x) = √(2/π)/sd exp(−½(x/sd)²) for x > 0."""

    sd: float = 1.0
    domain: ClassVar[str] = "positive"

    def __post_init__(self) -> None:
        object.__setattr__(self, "sd", _number("HalfNormal", "sd", self.sd, positive=True))

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        return 0.5 * (_LOG_2 - _LOG_PI) - math.log(self.sd) - 0.5 * (x / self.sd) ** 2

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return np.abs(rng.normal(0.0, self.sd, size))

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"HalfNormal({amount(self.sd * factor)})"


@dataclass(frozen=True, repr=False)
class HalfCauchy(_Text):
    """p(x) = 2 / (π scale (1 + (x/scale)²)) for x > 0."""

    scale: float = 1.0
    domain: ClassVar[str] = "positive"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _number("HalfCauchy", "scale", self.scale, positive=True))

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        return _LOG_2 - _LOG_PI - math.log(self.scale) - np.log1p((x / self.scale) ** 2)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return np.abs(self.scale * rng.standard_cauchy(size))

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"HalfCauchy({amount(self.scale * factor)})"


@dataclass(frozen=True, repr=False)
class Exponential(_Text):
    """p(x) = exp(−x/scale)/scale for x > 0; scale is the mean, 1/rate."""

    scale: float = 1.0
    domain: ClassVar[str] = "positive"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _number("Exponential", "scale", self.scale, positive=True))

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        return -x / self.scale - math.log(self.scale)

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return rng.exponential(self.scale, size)

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"Exponential({amount(self.scale * factor)})"


@dataclass(frozen=True, repr=False)
class Gamma(_Text):
    """p(x) = x^(shape − 1) exp(−x/scale) / (Γ(shape) scale^shape) for x > 0; its mean is shape · scale."""

    shape: float = 2.0
    scale: float = 1.0
    domain: ClassVar[str] = "positive"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", _number("Gamma", "shape", self.shape, positive=True))
        object.__setattr__(self, "scale", _number("Gamma", "scale", self.scale, positive=True))

    def logpdf(self, x: Array) -> Array:
        """Log density, elementwise."""
        norm = math.lgamma(self.shape) + self.shape * math.log(self.scale)
        return (self.shape - 1.0) * np.log(x) - x / self.scale - norm

    def sample(self, rng: np.random.Generator, size: int | tuple[int, ...]) -> Array:
        """Independent draws."""
        return rng.gamma(self.shape, self.scale, size)

    def scaled(self, factor: float) -> str:
        """The text of the distribution of a multiple of x."""
        return f"Gamma({amount(self.shape)}, {amount(self.scale * factor)})"


@dataclass(frozen=True, repr=False)
class Fixed(_Text):
    """A scale that is known: no distribution, nothing to learn. tau ~ Fixed(20) makes unpooled regressions."""

    value: float = 1.0
    domain: ClassVar[str] = "positive"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", _number("Fixed", "value", self.value, positive=True))

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


Scale = Union[HalfNormal, HalfCauchy, Exponential, Gamma, Fixed]
Prior = Union[Normal, HalfNormal, HalfCauchy, Exponential, Gamma, Fixed, LKJ]

FAMILIES: dict[str, type[Any]] = {
    f.__name__: f for f in (Normal, HalfNormal, HalfCauchy, Exponential, Gamma, Fixed, LKJ)
}

# Which families a parameter takes, by the first part of its name (up to an underscore or bracket).
DOMAINS = {
    "mu": "real", "tau": "positive", "sigma": "positive", "sigma_median": "positive", "sigma_spread": "positive",
    "nu": "positive", "omega": "correlation",
}  # fmt: skip

# The notebook's priors: price of an average home, slopes, spreads, correlation. That of nu, the degrees of
# freedom of Student-t errors, is Juárez & Steel's (2010), which the neighbours have too.
DEFAULTS: dict[str, Prior] = {
    "mu[Intercept]": Normal(0, 20),
    "mu": Normal(0, 5),
    "tau": Exponential(5),
    "sigma": Exponential(5),
    "sigma_median": Exponential(5),
    "sigma_spread": HalfNormal(1),
    "nu": Gamma(2, 10),
    "omega": LKJ(2),
}

# What the groups' sigma have in common with noise; a prior for sigma itself stands in their place.
COMMON = ("sigma_median", "sigma_spread")


def parse_distribution(text: str) -> Prior:
    """`Exponential(scale=5)` or `Exponential(5)` → the distribution.

    Raises
    ------
    PriorError : not a call of a known family with numbers.
    """
    text = text.strip()
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise PriorError(f"prior {text!r} cannot be read; write it like Exponential(scale=5)") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise PriorError(f"prior {text!r} is no distribution; write it like Exponential(scale=5)")
    family = FAMILIES.get(call.func.id)
    if family is None:
        raise PriorError(f"prior family {call.func.id!r} is not known: {near(call.func.id, FAMILIES)}")
    try:
        args = [ast.literal_eval(arg) for arg in call.args]
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        prior: Prior = family(*args, **named)
    except (TypeError, ValueError) as problem:
        if isinstance(problem, PriorError):
            raise
        expected = ", ".join(f.name for f in fields(family))
        raise PriorError(f"prior {text!r}: {family.__name__} takes numbers for: {expected}") from None
    return prior


def parse_prior(text: str) -> tuple[str, Prior]:
    """`tau[living_space] ~ Exponential(scale=5)` → its key and distribution."""
    name, tilde, right = text.partition("~")
    if not tilde:
        raise PriorError(f"prior {text!r} has no '~'; write it like 'tau[area] ~ Exponential(scale=5)'")
    key = check_key(name)
    return key, _named(key, right)


def _named(key: str, text: str) -> Prior:
    """The distribution, with errors that name the parameter."""
    try:
        return parse_distribution(text)
    except PriorError as problem:
        raise PriorError(f"prior for {key.strip()}: {problem}") from None


def check_key(key: str) -> str:
    """A parameter's name, blanks removed: `mu`, `tau[area]`, `sigma`, `omega`."""
    match = re.fullmatch(
        r"\s*(mu|tau|sigma|sigma_median|sigma_spread|nu|omega)\s*(\[\s*(.+?)\s*\])?\s*", key, re.DOTALL
    )
    if match is None or (match[1] not in ("mu", "tau") and match[2]):
        raise PriorError(
            f"prior for {key.strip()!r}: the parameters are mu, mu[term], tau, tau[term], sigma, "
            f"sigma_median, sigma_spread, nu, omega"
        )
    return f"{match[1]}[{match[3]}]" if match[3] else match[1]


def check_domain(key: str, prior: object) -> Prior:
    """The prior, if its family fits the parameter that key names."""
    if not isinstance(prior, (Normal, HalfNormal, HalfCauchy, Exponential, Gamma, Fixed, LKJ)):
        raise PriorError(f"prior for {key}: {prior!r} is none of {', '.join(FAMILIES)}")
    wanted = DOMAINS[key.partition("[")[0]]
    if prior.domain != wanted:
        fitting = [name for name, family in FAMILIES.items() if family.domain == wanted]
        raise PriorError(f"prior for {key}: {prior} does not fit a {wanted} parameter; use {' or '.join(fitting)}")
    return prior


def read_priors(given: object, over: dict[str, Prior] | None = None) -> dict[str, Prior]:
    """Priors as given (texts, or a mapping of names to objects or texts) over the defaults or others."""
    chosen = given_priors(given)
    base = DEFAULTS if over is None else over
    # A prior for every group's own sigma stands in place of what they have in common, and the other way round.
    if over is not None and ("sigma" in chosen or any(key in chosen for key in COMMON)):
        replaced = COMMON if "sigma" in chosen else ("sigma",)
        base = {key: prior for key, prior in base.items() if key not in replaced}
    # A general prior for mu holds for the intercept too, as its name says, unless that has one of its own.
    if "mu" in chosen and base.get("mu[Intercept]") == DEFAULTS["mu[Intercept]"]:
        base = {key: prior for key, prior in base.items() if key != "mu[Intercept]"}
    return {**base, **chosen}


def given_priors(given: object) -> dict[str, Prior]:
    """Priors as given, checked: texts, or a mapping of names to objects or texts."""
    chosen: dict[str, Prior] = {}
    if given is None:
        pairs: list[tuple[str, Prior]] = []
    elif isinstance(given, str):
        pairs = [parse_prior(given)]
    elif isinstance(given, dict):
        pairs = [
            (check_key(key), _named(key, value) if isinstance(value, str) else value)
            for key, value in given.items()
        ]
    elif isinstance(given, list | tuple):
        pairs = [parse_prior(text) for text in given]
    else:
        raise PriorError(f"priors must be texts or a mapping of names to distributions, not {given!r}")
    for key, prior in pairs:
        if key in chosen:
            raise PriorError(f"prior for {key} is given twice: {chosen[key]} and {prior}")
        chosen[key] = check_domain(key, prior)
    return chosen

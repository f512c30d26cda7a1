"""Priors as users write them: their text form, the names of parameters, the defaults, advice."""

from __future__ import annotations

import ast
import math
import re
import unicodedata
from contextlib import suppress
from dataclasses import fields

from priorhood._text import join_words, suggestion
from priorhood.errors import PriorError
from priorhood.model.distributions import (
    FAMILIES,
    LKJ,
    Exponential,
    Fixed,
    Gamma,
    HalfCauchy,
    HalfNormal,
    HalfStudentT,
    InverseGamma,
    LogNormal,
    Normal,
    Prior,
    ScalePrior,
    Uniform,
    cholesky_of_partial,
)
from priorhood.model.expression import tidy_label
from priorhood.model.tokens import alone, brief, cut, dimension, unquoted, unusual, usual

# With the distributions, which other packages import from here.
__all__ = [
    "DEFAULTS", "DOMAINS", "FAMILIES", "LKJ", "Exponential", "Fixed", "Gamma", "HalfCauchy", "HalfNormal",
    "HalfStudentT", "InverseGamma", "LogNormal", "Normal", "Prior", "ScalePrior", "StoredPriors", "Uniform",
    "check_key", "cholesky_of_partial", "given_priors", "parse_distribution", "parse_prior",
    "read_priors", "split_label",
]  # fmt: skip

# The domain of a parameter's families, by the first part of its name (up to an underscore or bracket).
DOMAINS = {
    "mu": "real", "tau": "positive", "sigma": "positive", "sigma_median": "positive", "sigma_spread": "positive",
    "nu": "positive", "omega": "correlation",
}  # fmt: skip

# The notebook's priors: price of an average home, slopes, spreads, correlation. That of nu, the degrees of
# freedom of Student-t errors, is Juárez & Steel's (2010), which brms and bambi have too.
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

# Between these no square of a ratio of scales is too small or too large for a number; beyond, no data are near.
MIN_SIZE, MAX_SIZE = 1e-30, 1e30
# Bounds of shapes, degrees of freedom, eta and the sd of a log, which have no unit: beyond, densities lose digits.
MIN_PURE, MAX_PURE = 1e-6, 1e10
# Letters of one distribution.
LONGEST = 1_000

# The hyperparameters of the groups' sigma with noise; a prior for sigma itself takes their place.
COMMON = ("sigma_median", "sigma_spread")

# Other tools' names for the families of scales and correlations, without underscores and capitals.
ELSEWHERE = {
    **{name.casefold(): name for name in FAMILIES},
    **dict.fromkeys(("halft", "halfstudent", "studentt", "student", "t"), "HalfStudentT"),
    **dict.fromkeys(("invgamma", "igamma"), "InverseGamma"),
    **dict.fromkeys(("lkjcorr", "lkjcorrcholesky", "lkjcholesky", "lkjcov", "lkjcholeskycov"), "LKJ"),
    **dict.fromkeys(("constant", "deterministic"), "Fixed"),
    **dict.fromkeys(("flat", "halfflat"), "Uniform"),
    "cauchy": "HalfCauchy",
}
REMARKS = {
    "Exponential": "scale is the mean, 1/rate",
    "Gamma": "scale is 1/rate",
    "HalfStudentT": "student_t(3, 0, 2.5) of an sd is HalfStudentT(3, 2.5)",
    "LogNormal": "mean and sd are those of the log",
}
OF_COEFFICIENTS = (
    "the exact engine integrates all coefficients out, which takes Normal priors. A vague one is Normal with a "
    "great sd; for another family change the prior by hand in the model that Model.to_pymc() gives"
)
# Other tools' families for coefficients, written likewise.
NOT_NORMAL = {"studentt", "student", "t", "cauchy", "laplace", "doubleexponential", "flat", "logistic", "horseshoe"}


def parse_distribution(text: str, domain: str | None = None) -> Prior:
    """Return the distribution that a text is, `Exponential(scale=5)` or `Exponential(5)`.

    Parameters
    ----------
    text : str
        a call of a family, with numbers
    domain : str
        of the parameter ("real", "positive", "correlation"), for advice alone

    Raises
    ------
    PriorError : not a call of a known family with numbers

    Examples
    --------
    >>> parse_distribution("Exponential(5)")
    Exponential(scale=5)
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise PriorError(f"prior {brief(text)} has {len(text):,} letters; the most are {LONGEST:,}")
    try:
        return _read(text, domain)
    except PriorError:
        # Other readings: with the signs and digits of an English keyboard, without thousands, with decimal commas.
        plain = "".join(str(unicodedata.digit(letter, letter)) for letter in usual(text))
        parts = re.sub(r",\s+|;\s*", "; ", plain)  # of numbers, commas are those without a blank
        whole = re.sub(r"(?<=\d)[,\s'](?=\d{3}(?!\d))", "", parts)
        comma = re.sub(r"(?<=\d)\.(?=\d{3},)", "", parts).replace(",", ".")
        found = []
        for guess in (plain, whole.replace(";", ","), comma.replace(";", ",")):
            with suppress(PriorError):
                _read(guess)
                found.append(guess)
        if not found:
            raise
    if found[0] == plain:
        raise PriorError(f"prior {brief(text)} has signs of another keyboard; write {plain}")
    meant = join_words(dict.fromkeys(found), "or")
    raise PriorError(f"prior {brief(text)} has no plain numbers, like 1250.5; write {meant}")


def _read(text: str, domain: str | None = None) -> Prior:
    """The distribution that a text is, as it is written."""
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise PriorError(f"prior {brief(text)} cannot be read; write it like Exponential(scale=5)") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise PriorError(f"prior {brief(text)} is no distribution; write it like Exponential(scale=5)")
    family = FAMILIES.get(call.func.id)
    if family is None:
        raise PriorError(f"prior family {brief(call.func.id)} is not known: {_instead(call.func.id, domain)}")
    try:
        args = [ast.literal_eval(arg) for arg in call.args]
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        if len(named) < len(call.keywords):
            raise PriorError(f"prior {brief(text)} gives an argument twice")
        prior: Prior = family(*args, **named)
    except (TypeError, ValueError) as problem:
        if isinstance(problem, PriorError):
            raise
        expected = ", ".join(f.name for f in fields(family))
        remark = f" ({REMARKS[family.__name__]})" if family.__name__ in REMARKS else ""
        raise PriorError(f"prior {brief(text)}: {family.__name__} takes numbers for: {expected}{remark}") from None
    return prior


def _instead(name: str, domain: str | None) -> str:
    """Advice for a family that is not known, for a parameter of the domain."""
    folded = name.replace("_", "").casefold()
    fitting = [own for own, family in FAMILIES.items() if domain in (None, family.domain)]
    if domain == "real" and folded in NOT_NORMAL:
        return OF_COEFFICIENTS
    own = {"normal": "HalfNormal"}.get(folded) if domain == "positive" else None
    own = own or ELSEWHERE.get(folded)
    if own not in fitting:
        return suggestion(name, fitting)
    numbers = ", ".join(f.name for f in fields(FAMILIES[own]))
    remark = f"; {REMARKS[own]}" if own in REMARKS else ""
    return f"write {own}({numbers}){remark}"


def parse_prior(text: str) -> tuple[str, Prior]:
    """Return the key and the distribution of a prior.

    Parameters
    ----------
    text : str
        `tau[living_space] ~ Exponential(scale=5)`

    Raises
    ------
    PriorError : no '~', no such parameter, no such distribution

    Examples
    --------
    >>> parse_prior("tau[ area ] ~ Exponential(5)")
    ('tau[area]', Exponential(scale=5))
    """
    if not isinstance(text, str):
        raise PriorError(f"prior {text!r} is no text; write it like 'tau[area] ~ Exponential(scale=5)'")
    # Not at a '~' within a name in backticks.
    name, tilde, right = re.fullmatch(r"((?:`[^`]*`|[^`~])*)(~?)(.*)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    if not tilde and "~" in usual(text):
        odd = next(letter for letter in text if usual(letter) == "~")
        raise PriorError(f"prior {brief(text)}: {unusual(text, odd)}")
    if not tilde:
        raise PriorError(f"prior {brief(text)} has no '~'; write it like 'tau[area] ~ Exponential(scale=5)'")
    key = check_key(name)
    return key, _named(key, right)


def _named(key: str, text: str) -> Prior:
    """The distribution, with errors that name the parameter."""
    try:
        return parse_distribution(text, DOMAINS[base_of(key)])
    except PriorError as problem:
        raise PriorError(f"prior for {cut(key.strip())}: {problem}") from None


def check_key(key: str) -> str:
    """Return a parameter's name in its one form: `mu`, `tau[area]`, `sigma`, `omega`, `tau_district[log(area)]`.

    Raises
    ------
    PriorError : no name of a parameter

    Examples
    --------
    >>> check_key(" tau[log( area )] ")
    'tau[log(area)]'
    """
    match = re.fullmatch(
        r"\s*(mu|sigma|sigma_median|sigma_spread|nu|(?:tau|omega)(_(?:`[^`]+`|[^`\[]+?))?)\s*(\[\s*(.+?)\s*\])?\s*",
        key, re.DOTALL,
    )  # fmt: skip
    if match is None or (base_of(match[1]) not in ("mu", "tau") and match[3]):
        raise PriorError(
            f"prior for {brief(key.strip())}: the parameters are mu, mu[term], tau, tau[term], sigma, "
            f"sigma_median, sigma_spread, nu, omega, and tau_group, tau_group[term], omega_group of a further "
            f"grouping, by its column"
        )
    name = match[1] if match[2] is None else f"{base_of(match[1])}_{alone(dimension(unquoted(match[2][1:])))}"
    return f"{name}[{tidy_label(match[4])}]" if match[4] else name


def split_label(label: str) -> tuple[str, str]:
    """Return a parameter's name and what stands in its brackets.

    Examples
    --------
    >>> split_label("tau_district[area]")
    ('tau_district', 'area')
    """
    name = re.match(r"(?:`[^`]*`|[^`\[])*", label).group()  # type: ignore[union-attr]
    inside = label[len(name) :]
    return name, inside[1:-1] if inside.endswith("]") else inside[1:]


def base_of(key: str) -> str:
    """Return the kind of parameter that a key names.

    Examples
    --------
    >>> base_of("tau_district[area]")
    'tau'
    """
    return key.partition("[")[0].partition("_")[0]


class StoredPriors(dict[str, Prior]):
    """Priors of a model read from a file or copied.

    Those of parameters that the model does not have are left out, not refused; their numbers may be of any size.
    """


def _check_size(key: str, prior: Prior) -> None:
    """Raise for a number with which no posterior can be computed."""
    for field in fields(prior):
        name, value = field.name, abs(getattr(prior, field.name))
        logs = isinstance(prior, LogNormal)
        pure = name in ("shape", "nu", "eta") or (logs and name == "sd")
        least, most = (MIN_PURE, MAX_PURE) if pure else (MIN_SIZE, MAX_SIZE)
        if name in ("mean", "lower"):
            least = 0.0
        if logs and name == "mean":
            most = round(math.log(MAX_SIZE))
        elif name == "nu":
            most = MAX_SIZE  # where it is Normal
        if not least <= value <= most:
            scale = "" if pure else "; priors are of the model's scale, on which the outcome's sd is near 1"
            raise PriorError(
                f"prior for {key}: {name} of {prior} must be "
                f"{f'at least {least:g}' if value < least else f'at most {most:g}'} in size{scale}"
            )


def read_priors(given: object, over: dict[str, Prior] | None = None) -> dict[str, Prior]:
    """Return priors as given over the defaults.

    Parameters
    ----------
    given : str, list of str, dict or None
        texts, or a mapping of names to distributions or texts
    over : dict
        other priors in place of the defaults

    Raises
    ------
    PriorError : a prior that cannot be read, or that does not fit its parameter

    Examples
    --------
    >>> read_priors("sigma ~ HalfNormal(2)")["sigma"]
    HalfNormal(sd=2)
    """
    chosen = given_priors(given)
    base = DEFAULTS if over is None else over
    # A prior for every group's own sigma takes the place of their hyperparameters', and the other way round.
    if over is not None and ("sigma" in chosen or any(key in chosen for key in COMMON)):
        replaced = COMMON if "sigma" in chosen else ("sigma",)
        base = {key: prior for key, prior in base.items() if key not in replaced}
    # A general prior for mu holds for the intercept too, as its name says, unless that has one of its own.
    if "mu" in chosen and base.get("mu[Intercept]") == DEFAULTS["mu[Intercept]"]:
        base = {key: prior for key, prior in base.items() if key != "mu[Intercept]"}
    return {**base, **chosen}


def given_priors(given: object) -> dict[str, Prior]:
    """Return priors as given, checked and without the defaults; see read_priors."""
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
        wanted = DOMAINS[base_of(key)]
        if type(prior) not in FAMILIES.values():
            raise PriorError(f"prior for {key}: {prior!r} is none of {', '.join(FAMILIES)}")
        if prior.domain != wanted:
            fitting = [name for name, family in FAMILIES.items() if family.domain == wanted]
            advice = f": {OF_COEFFICIENTS}" if wanted == "real" else ""
            raise PriorError(
                f"prior for {key}: {prior} does not fit a {wanted} parameter; use "
                f"{join_words(fitting, 'or')}{advice}"
            )
        if not isinstance(given, StoredPriors):
            _check_size(key, prior)
        chosen[key] = prior
    return chosen

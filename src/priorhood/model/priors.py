"""Priors as users write them: their text form, the names of parameters, the defaults, advice."""

from __future__ import annotations

import ast
import math
import re
import unicodedata
from contextlib import suppress
from dataclasses import fields

from priorhood._arguments import brief_value
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

# The notebook's priors: price of an average home, slopes, spreads, correlation. The prior of nu, the degrees of
# freedom of Student-t errors, is Juárez & Steel's (2010), which brms and bambi use too.
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

# Within these bounds the square of a ratio of scales neither underflows nor overflows; data are never beyond them.
MIN_SIZE, MAX_SIZE = 1e-30, 1e30
# Bounds of shapes, degrees of freedom, eta and the sd of a log, which have no unit: beyond, densities lose digits.
MIN_PURE, MAX_PURE = 1e-6, 1e10
# Smallest and largest absolute value of a number, by its name; the others are scales.
LIMITS: dict[object, tuple[float, float]] = {
    "mean": (0.0, MAX_SIZE), "lower": (0.0, MAX_SIZE), "shape": (MIN_PURE, MAX_PURE), "eta": (MIN_PURE, MAX_PURE),
    "nu": (MIN_PURE, MAX_SIZE),  # Student's t with a large nu is Normal
    (LogNormal, "mean"): (0.0, round(math.log(MAX_SIZE))), (LogNormal, "sd"): (MIN_PURE, MAX_PURE),
}  # fmt: skip
# Characters of one distribution.
LONGEST = 1_000

# The hyperparameters of the groups' sigmas with noise=; a prior for sigma itself replaces them.
COMMON = ("sigma_median", "sigma_spread")

# Names used by other tools for families of scales and correlations, in lower case without underscores.
SYNONYMS = {
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
    "HalfStudentT": "student_t(3, 0, 2.5) for an sd is HalfStudentT(3, 2.5)",
    "LogNormal": "mean and sd are those of the log",
}
ONLY_NORMAL = (
    "the exact engine integrates all coefficients out, which requires Normal priors. For a vague prior use Normal "
    "with a large sd; for another family change the prior by hand in the model that Model.to_pymc() returns"
)
# Other tools' families for coefficients, in lower case without underscores.
NOT_NORMAL = {"studentt", "student", "t", "cauchy", "laplace", "doubleexponential", "flat", "logistic", "horseshoe"}


def parse_distribution(text: str, domain: str | None = None) -> Prior:
    """Parse a distribution from its text form, `Exponential(scale=5)` or `Exponential(5)`.

    Parameters
    ----------
    text : str
        call of a family with numbers
    domain : str
        domain of the parameter ("real", "positive", "correlation"), only used for advice

    Raises
    ------
    PriorError
        if the text is not a call of a known family with numbers

    Examples
    --------
    >>> parse_distribution("Exponential(5)")
    Exponential(scale=5)
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise PriorError(f"prior {brief(text)} has {len(text):,} characters; at most {LONGEST:,} are allowed")
    try:
        return _read(text, domain)
    except PriorError:
        # Other readings: ASCII signs and digits; no thousands separators; decimal commas.
        plain = "".join(str(unicodedata.digit(letter, letter)) for letter in usual(text))
        parts = re.sub(r",\s+|;\s*", "; ", plain)  # a comma without a blank after it belongs to a number
        whole = re.sub(r"(?<=\d)[,\s'](?=\d{3}(?!\d))", "", parts)
        comma = re.sub(r"(?<=\d)\.(?=\d{3},)", "", parts).replace(",", ".")
        readable = []
        for guess in (plain, whole.replace(";", ","), comma.replace(";", ",")):
            with suppress(PriorError):
                _read(guess)
                readable.append(guess)
        if not readable:
            raise
    if readable[0] == plain:
        raise PriorError(f"prior {brief(text)} has characters that only look like ASCII; write {plain}")
    meant = join_words(dict.fromkeys(readable), "or")
    raise PriorError(f"prior {brief(text)}: numbers must be written like 1250.5; write {meant}")


def _read(text: str, domain: str | None = None) -> Prior:
    """Parse a distribution as it is written, without guesses."""
    try:
        call = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise PriorError(f"prior {brief(text)} cannot be read; write it like Exponential(scale=5)") from None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise PriorError(f"prior {brief(text)} is not a distribution; write it like Exponential(scale=5)")
    name = call.func.id
    family = FAMILIES.get(name)
    if family is None:
        folded = name.replace("_", "").casefold()
        synonym = "HalfNormal" if (domain, folded) == ("positive", "normal") else SYNONYMS.get(folded)
        if domain == "real" and folded in NOT_NORMAL:
            advice = ONLY_NORMAL
        elif synonym is not None and domain in (None, FAMILIES[synonym].domain):
            numbers = ", ".join(f.name for f in fields(FAMILIES[synonym]))
            advice = f"write {synonym}({numbers})" + (f"; {REMARKS[synonym]}" if synonym in REMARKS else "")
        else:
            advice = suggestion(name, [known for known, f in FAMILIES.items() if domain in (None, f.domain)])
        raise PriorError(f"unknown prior family {brief(name)}: {advice}")
    try:
        args = [ast.literal_eval(arg) for arg in call.args]
        named = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
        if len(named) < len(call.keywords):
            raise PriorError(f"prior {brief(text)} has an argument twice")
        prior: Prior = family(*args, **named)
    except (TypeError, ValueError) as problem:
        if isinstance(problem, PriorError):
            raise
        expected = ", ".join(f.name for f in fields(family))
        remark = f" ({REMARKS[family.__name__]})" if family.__name__ in REMARKS else ""
        raise PriorError(f"prior {brief(text)}: {family.__name__} takes numbers for: {expected}{remark}") from None
    return prior


def parse_prior(text: str) -> tuple[str, Prior]:
    """Parse a prior into its parameter's name and its distribution.

    Parameters
    ----------
    text : str
        prior, like `tau[living_space] ~ Exponential(scale=5)`

    Raises
    ------
    PriorError
        if there is no '~', no such parameter or no such distribution

    Examples
    --------
    >>> parse_prior("tau[ area ] ~ Exponential(5)")
    ('tau[area]', Exponential(scale=5))
    """
    if not isinstance(text, str):
        raise PriorError(f"prior {text!r} is not a string; write it like 'tau[area] ~ Exponential(scale=5)'")
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
    """Parse the distribution of a parameter; errors name the parameter."""
    try:
        return parse_distribution(text, DOMAINS[base_of(key)])
    except PriorError as problem:
        raise PriorError(f"prior for {cut(key.strip())}: {problem}") from None


def check_key(key: str) -> str:
    """Return a parameter's name in its normal form: `mu`, `tau[area]`, `sigma`, `omega`, `tau_district[log(area)]`.

    Raises
    ------
    PriorError
        if it is not the name of a parameter

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
        meant = _meant(key.strip())
        raise PriorError(
            f"prior for {brief(key.strip())}: {f'{meant} The' if meant else 'the'} parameters are mu, mu[term], "
            f"tau, tau[term], sigma, sigma_median, sigma_spread, nu, omega, and tau_group, tau_group[term], "
            f"omega_group for further groupings (group is the column's name)"
        )
    name = match[1] if match[2] is None else f"{base_of(match[1])}_{alone(dimension(unquoted(match[2][1:])))}"
    return f"{name}[{tidy_label(match[4])}]" if match[4] else name


# Other names of parameters, in lower case.
_OTHERS = dict.fromkeys(("sd", "var", "variance", "scale"), "tau (between places) or sigma (of the residuals)") | {
    **dict.fromkeys(("cor", "corr", "rho", "lkj"), "omega"),
    **dict.fromkeys(("intercept", "alpha"), "mu[Intercept]"),
}


def _meant(key: str) -> str:
    """Return what a name that is not a parameter's may mean, as a sentence; or ''."""
    if key.lower() in _OTHERS:
        return f"write {_OTHERS[key.lower()]}."
    close = suggestion(key, DOMAINS)
    close = close if close.startswith("did you") else ""
    if re.fullmatch(r"`[^`]+`|[^\W\d]\w*(\(\s*\w+\s*\))?", key):
        return f"{close.replace('?', ', or') or 'did you mean'} mu[{cut(key)}], a coefficient?"
    return close


def split_label(label: str) -> tuple[str, str]:
    """Split a label into the parameter's name and the content of its brackets.

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
    """Priors of a model that is copied or read from a file.

    Priors of parameters that the model does not have are left out without an error; numbers may have any size.
    """


def read_priors(given: object, over: dict[str, Prior] | None = None) -> dict[str, Prior]:
    """Return the given priors, and the defaults of the other parameters.

    Parameters
    ----------
    given : str, list of str, dict or None
        strings, or a mapping of names to distributions or strings
    over : dict
        priors to use instead of the defaults

    Raises
    ------
    PriorError
        if a prior cannot be read or does not fit its parameter

    Examples
    --------
    >>> read_priors("sigma ~ HalfNormal(2)")["sigma"]
    HalfNormal(sd=2)
    """
    chosen = given_priors(given)
    base = DEFAULTS if over is None else over
    # Independent priors of the groups' sigmas replace those of their hyperparameters, and the other way round.
    if over is not None and ("sigma" in chosen or any(key in chosen for key in COMMON)):
        replaced = COMMON if "sigma" in chosen else ("sigma",)
        base = {key: prior for key, prior in base.items() if key not in replaced}
    # A general prior for mu also applies to the intercept, unless the intercept has a prior of its own.
    if "mu" in chosen and base.get("mu[Intercept]") == DEFAULTS["mu[Intercept]"]:
        base = {key: prior for key, prior in base.items() if key != "mu[Intercept]"}
    return {**base, **chosen}


def given_priors(given: object) -> dict[str, Prior]:
    """Return the given priors, checked, without the defaults; see read_priors."""
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
        raise PriorError(f"priors must be strings or a mapping of names to distributions, not {brief_value(given)}")
    for key, prior in pairs:
        if key in chosen:
            raise PriorError(f"prior for {key} is given twice: {chosen[key]} and {prior}")
        wanted = DOMAINS[base_of(key)]
        if type(prior) not in FAMILIES.values():
            raise PriorError(f"prior for {key}: {prior!r} is not one of {', '.join(FAMILIES)}")
        if prior.domain != wanted:
            fitting = [name for name, family in FAMILIES.items() if family.domain == wanted]
            advice = f": {ONLY_NORMAL}" if wanted == "real" else ""
            raise PriorError(
                f"prior for {key}: {prior} does not fit a {wanted} parameter; use "
                f"{join_words(fitting, 'or')}{advice}"
            )
        for field in () if isinstance(given, StoredPriors) else fields(prior):
            name, value = field.name, abs(getattr(prior, field.name))
            low, high = LIMITS.get((type(prior), name)) or LIMITS.get(name, (MIN_SIZE, MAX_SIZE))
            if not low <= value <= high:
                limit = f"at least {low:g}" if value < low else f"at most {high:g}"
                unit = "; priors are on the standardized scale, where the outcome's sd is near 1"
                raise PriorError(
                    f"prior for {key}: the absolute value of {name} in {prior} must be {limit}"
                    f"{'' if low == MIN_PURE else unit}"
                )
        chosen[key] = prior
    return chosen

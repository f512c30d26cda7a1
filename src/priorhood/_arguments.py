"""Validation of users' arguments: whole and finite numbers, seeds, and the names of arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from inspect import signature
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

from priorhood._text import argument, join_words, suggestion
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Collection
    from inspect import Signature

P = ParamSpec("P")
R = TypeVar("R")

# More draws of a parameter are pointless: the Monte Carlo error of a mean is a thousandth of the sd.
MAX_DRAWS = 1_000_000
# Over all chains: several gigabytes for θ alone.
MAX_TOTAL_DRAWS = 10_000_000
MAX_CHAINS = 1_000
MAX_THREADS = 1_024


def check_whole(name: str, value: object, minimum: int, maximum: int) -> int:
    """Return the number, if it is whole and within bounds.

    Raises
    ------
    ModelError
        It is not.

    Examples
    --------
    >>> check_whole("chains", 4, 1, 1000)
    4
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < minimum:
        raise ModelError(f"{name} must be a whole number of at least {minimum}, not {value!r}")
    if value > maximum:
        raise ModelError(f"{name} must be at most {maximum:,}, not {value:,}")
    return int(value)


def check_finite(name: str, value: object) -> float:
    """Return the number, if it is finite.

    Raises
    ------
    ModelError
        It is not.

    Examples
    --------
    >>> check_finite("below", 350_000)
    350000.0
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise ModelError(f"{name} must be a finite number, not {value!r}")
    return float(value)


def brief_value(value: object) -> str:
    """Return a value for a message; the type of one that may be long, like a frame."""
    return repr(value) if isinstance(value, str | int | float | list | tuple | None) else type(value).__name__


def check_choice(name: str, value: object, options: Collection[str]) -> None:
    """Raise unless the value is one of the options.

    Raises
    ------
    ModelError
        It is not.

    Examples
    --------
    >>> check_choice("by", "row", ("row", "place"))
    """
    if not isinstance(value, str) or value not in options:
        raise ModelError(f"{name} must be one of {', '.join(options)}, not {brief_value(value)}")


def check_seed(seed: object) -> int:
    """Return a seed, if it can be stored in a file: a whole number from 0 to 2⁶³ − 1."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ModelError(f"seed must be a whole number from 0 to 2**63 - 1, not {seed!r}")
    return int(seed)


# Names of arguments in other packages, and ours.
OTHER_NAMES = {
    "random_seed": ("seed",),
    "random_state": ("seed",),
    "rng": ("seed",),
    "data": ("table",),
    "df": ("table",),
    "frame": ("table",),
    "formula": ("model",),
    "posterior": ("post",),
    "prior": ("priors",),
    "iter": ("draws",),
    "num_samples": ("draws",),
    "n_samples": ("draws",),
    "samples": ("draws",),
    "num_chains": ("chains",),
    "n_chains": ("chains",),
    "warmup": ("tune",),
    "num_warmup": ("tune",),
    "burn_in": ("tune",),
    "cores": ("threads",),
    "n_jobs": ("threads",),
    "progressbar": ("progress",),
    "weights": ("precision_weights", "frequency_weights"),
    "hdi_prob": ("interval",),
    "ci": ("interval",),
    "probs": ("quantiles",),
    "newdata": ("table",),
    "path": ("out",),
    "areas": ("polygons",),
    "geometry": ("polygons",),
}

# Those that have no counterpart here, in lower case, and why.
NOT_NEEDED = {"reml": "it is not needed, since the posterior integrates the coefficients out"}

# Arguments of Model; functions that take a model refer to it.
MODEL_ARGUMENTS = frozenset({
    "priors", "outcome_unit", "standardize", "units", "family", "noise", "se", "precision_weights",
    "frequency_weights",
})  # fmt: skip


# Results that functions take first, and where they come from.
RESULTS = {
    "Posterior": "fit() or load('post.nc')",
    "Assessment": "assess()",
    "Calibration": "calibrate()",
    "Elpd": "loo() or loo_places()",
    "Sensitivity": "sensitivity()",
}


# Advice for compare(first, second).
MODELS_APART = "put several models in a list or a dict, compare([first, second], table)"


def _not_plain(value: object) -> bool:
    return not (value is None or isinstance(value, str | int | float | np.number | np.bool_ | Path))


def _no_names(value: object) -> bool:
    """Return whether a value is neither a text nor several."""
    return not isinstance(value, str) and (not isinstance(value, Iterable) or hasattr(value, "columns"))


# Texts that the functions themselves check, with more to say: choices out of a few, and conditions.
OWN_CHECKS = frozenset({
    "by", "dtype", "engine", "family", "kind", "parameterization", "store", "unseen", "where",
})  # fmt: skip
# By annotation: a function from a value to what it must be instead; "" if it may be right.
_CHECKS: dict[str, Callable[[object], str]] = {
    "str": lambda value: "" if isinstance(value, str) else "a text",
    "str | None": lambda value: "a text" if _not_plain(value) else "",
    "bool": lambda value: "True or False" if _not_plain(value) else "",
    "float": lambda value: "a finite number" if _not_plain(value) or isinstance(value, str | None) else "",
    "float | None": lambda value: "a finite number" if _not_plain(value) else "",
    **dict.fromkeys(
        ("str | Sequence[str] | None", "Sequence[str] | None", "list[str] | str | None"),
        lambda value: "a name or a list of names" if value is not None and _no_names(value) else "",
    ),
    **dict.fromkeys(
        ("Iterable[str]", "str | Iterable[object]"),
        lambda value: "a text or a list of texts" if _no_names(value) else "",
    ),
    "str | Path": lambda value: "" if isinstance(value, str | PathLike) else "the name of a file",
    "Mapping[str, Any] | None": lambda value: (
        "" if value is None or isinstance(value, Mapping)
        else f"a dict of predictors, such as {argument('at', {'living_space': 100})}"
    ),
}  # fmt: skip


def suggest_argument_names(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a public function: arguments that it does not take, or that are missing, raise an error with advice.

    They are unknown keywords; too few or too many arguments; another first argument than the result that the
    function takes, according to its annotation; a frame, a function or the like in place of a text, a number,
    names, a file or a home (at=). Other values are left to the function, which knows more about them.

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.fit("price ~ 1", [], random_seed=1)
    Traceback (most recent call last):
        ...
    priorhood.errors.ModelError: fit has no argument random_seed: it is called seed
    """
    taken = signature(function)
    parameters = taken.parameters
    any_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    known = [name for name in parameters if name not in ("self", "cls")]
    first = next(iter(parameters.values()), None)
    wanted = first.annotation if first is not None and first.kind is first.POSITIONAL_OR_KEYWORD else ""
    wanted = wanted if wanted in RESULTS else ""
    checks = {
        n: _CHECKS[p.annotation] for n, p in parameters.items() if p.annotation in _CHECKS and n not in OWN_CHECKS
    }
    function_name = function.__qualname__.removesuffix(".__init__")
    if function.__module__.startswith("priorhood.plot."):
        function_name = f"plot.{function_name}"

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        given = args[0] if args else kwargs.get(known[0]) if known and known[0] in kwargs else function
        if wanted and given is not function and not _is_a(given, wanted):
            advice = f"pass the result of {RESULTS[wanted]}"
            if any(_is_a(other, wanted) for other in args):
                advice = f"the {wanted if wanted != 'Posterior' else 'posterior'} comes first in {function_name}()"
            article = "an" if wanted[0] in "AE" else "a"
            raise ModelError(f"expected {article} {wanted}, got {type(given).__name__}; {advice}")
        for name in kwargs:
            if name not in parameters and not any_name:
                ours = OTHER_NAMES.get(name, ())
                here = [other for other in ours if other in known]
                of_model = [f"{other}=…" for other in (name, *ours) if other in MODEL_ARGUMENTS]
                if here:
                    advice = f"it is called {join_words(here, 'or')}"
                elif of_model and "model" in known:
                    advice = f"pass it to the model, Model(formula, {join_words(of_model, 'or')})"
                elif name.lower() in NOT_NEEDED:
                    advice = NOT_NEEDED[name.lower()]
                else:
                    advice = suggestion(name, known)
                raise ModelError(f"{function_name} has no argument {name}: {advice}")
        try:
            bound = taken.bind(*args, **kwargs).arguments
        except TypeError as problem:
            raise ModelError(_miscalled(function_name, taken, args, kwargs, str(problem))) from None
        for name, check in checks.items():
            if name in bound and (needed := check(bound[name])):
                raise ModelError(f"{name} must be {needed}, not {brief_value(bound[name])}")
        return function(*args, **kwargs)

    return wrapper


def _miscalled(name: str, taken: Signature, args: tuple[object, ...], kwargs: dict[str, object], why: str) -> str:
    """Return the error for arguments that do not fit a function's signature: too many, too few, or one twice."""
    listed = [p for p in taken.parameters.values() if p.name not in ("self", "cls")]
    args = args[len(taken.parameters) - len(listed) :]
    in_order = [p for p in listed if p.kind is p.POSITIONAL_OR_KEYWORD]
    if in_order and in_order[0].name == "models" and args and any(_is_a(args[0], n) for n in ("Posterior", "Elpd")):
        return f"{name}: {MODELS_APART}"
    if len(args) > len(in_order):
        count = f"only {join_words(p.name for p in in_order)}" if in_order else "no argument"
        by_name = [p.name for p in listed if p.kind is p.KEYWORD_ONLY]
        example = f"{by_name[0]}=…" if by_name else ""
        if "priors" in by_name:
            example = argument("priors", {"tau": "HalfNormal(1)"})
        return f"{name} takes {count} without a name{f'; name the others, such as {example}' if example else ''}"
    needed = [p.name for p in in_order if p.default is p.empty]
    missing = [n for n in needed[len(args) :] if n not in kwargs]
    if not missing:
        return f"{name}: {why}"
    if len(needed) == 1:
        source = RESULTS.get(in_order[0].annotation)
        return f"{name} needs {needed[0]}{f', the result of {source}' if source else ''}"
    advice = "; the model of sums is sums.model()" if args and _is_a(args[0], "Moments") else ""
    absent = f"{join_words(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    return f"{name} needs {join_words(needed)}, in this order: {absent}{advice}"


def _is_a(value: object, kind: str) -> bool:
    # By name: this module is below the classes.
    return any(base.__name__ == kind for base in type(value).__mro__)

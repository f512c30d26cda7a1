"""Validation of users' arguments: whole and finite numbers, seeds, and the names of arguments."""

from __future__ import annotations

import math
from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import numpy as np

from priorhood._text import join_words, suggestion
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Callable

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

# Arguments of Model; functions that take a model refer to it.
MODEL_ARGUMENTS = frozenset({
    "priors", "outcome_unit", "standardize", "units", "family", "noise", "se", "precision_weights",
    "frequency_weights",
})  # fmt: skip


def suggest_argument_names(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a public function: an unknown keyword, or no posterior as `post`, raises an error with advice.

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.fit("price ~ 1", [], random_seed=1)
    Traceback (most recent call last):
        ...
    priorhood.errors.ModelError: fit has no argument random_seed: it is called seed
    """
    parameters = signature(function).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        raise TypeError(f"{function.__name__} accepts any keyword")
    known = [name for name in parameters if name not in ("self", "cls")]
    function_name = function.__qualname__.removesuffix(".__init__")

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        if known and known[0] == "post" and args and not _is_posterior(args[0]):
            advice = "pass the result of fit() or load('post.nc')"
            if any(map(_is_posterior, args)):
                advice = f"the posterior comes first in {function_name}()"
            raise ModelError(f"expected a Posterior, got {type(args[0]).__name__}; {advice}")
        for name in kwargs:
            if name not in parameters:
                ours = OTHER_NAMES.get(name, ())
                here = [other for other in ours if other in known]
                of_model = [f"{other}=…" for other in (name, *ours) if other in MODEL_ARGUMENTS]
                if here:
                    advice = f"it is called {join_words(here, 'or')}"
                elif of_model and "model" in known:
                    advice = f"pass it to the model, Model(formula, {join_words(of_model, 'or')})"
                else:
                    advice = suggestion(name, known)
                raise ModelError(f"{function_name} has no argument {name}: {advice}")
        return function(*args, **kwargs)

    return wrapper


def _is_posterior(value: object) -> bool:
    # By name: this module is below the class.
    return any(base.__name__ == "Posterior" for base in type(value).__mro__)

"""Settings of NUTS, and checks that it can run here."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from priorhood._arguments import MAX_DRAWS, brief_value, check_whole
from priorhood._text import join_words
from priorhood.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLERS = ("nutpie", "pymc", "numpyro")
PARAMETERIZATIONS = ("centered", "noncentered")
MAX_TREEDEPTH = 10


@dataclass(frozen=True)
class Settings:
    """Settings of NUTS.

    Attributes
    ----------
    sampler : str
        "nutpie", "pymc" or "numpyro"
    parameterization : str
        "centered" or "noncentered", see build
    tune : int
        number of adaptation steps, which are not kept
    target_accept : float
        target acceptance rate, which determines the step size
    """

    sampler: str
    parameterization: str = "centered"
    tune: int = 1000
    target_accept: float = 0.8


def installed(name: str) -> bool:
    """Return True if a library can be imported, without importing it."""
    return importlib.util.find_spec(name) is not None


def unavailable(sampler: str | None = None) -> str | None:
    """Return why NUTS cannot run here, and what to install; None if it can."""
    if sampler is not None and sampler not in SAMPLERS:
        return f"unknown sampler {sampler!r}: use one of {', '.join(SAMPLERS)}"
    if not installed("pymc"):
        return "NUTS needs PyMC, which is not installed: pip install pymc nutpie (priorhood's extra [pymc])"
    if sampler is not None and not installed(sampler):
        extra = "numpyro" if sampler == "numpyro" else "pymc"
        return f"the sampler {sampler} is not installed: pip install {sampler} (priorhood's extra [{extra}])"
    return None


def default_sampler() -> str:
    """Return the fastest sampler that is installed."""
    return "nutpie" if installed("nutpie") else "pymc"


def check_installed(parameterization: str) -> None:
    """Raise ModelError unless a PyMC model of this parameterization can be built here."""
    reason = unavailable()
    if reason:
        raise ModelError(reason)
    check(Settings("pymc", parameterization))


def check(settings: Settings) -> Settings:
    """Return the settings, or raise ModelError if they are not valid."""
    given: object = settings.parameterization
    if not isinstance(given, str) or given not in PARAMETERIZATIONS:
        known = join_words(map(repr, PARAMETERIZATIONS), "or")
        raise ModelError(f"parameterization must be {known}, not {brief_value(given)}")
    check_whole("tune", settings.tune, 1, MAX_DRAWS)
    if not isinstance(settings.target_accept, int | float) or not 0 < settings.target_accept < 1:
        raise ModelError(f"target_accept must lie between 0 and 1, such as 0.9, not {settings.target_accept!r}")
    return settings


@contextmanager
def quiet() -> Iterator[None]:
    """Silence the libraries' logs and warnings: diagnostics reports what is relevant."""
    loggers = [logging.getLogger(name) for name in ("pymc", "pytensor", "arviz", "jax")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)

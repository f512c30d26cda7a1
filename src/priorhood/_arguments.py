"""Arguments of users, checked: whole numbers, finite ones, seeds."""

from __future__ import annotations

import math

import numpy as np

from priorhood.errors import ModelError

# More draws of a parameter than this say nothing new: a mean's error is a thousandth of the sd.
MOST_DRAWS = 1_000_000
# All chains together: some gigabytes of θ alone.
MOST_IN_ALL = 10_000_000
MOST_CHAINS = 1_000
MOST_THREADS = 1_024


def whole(name: str, value: object, least: int, most: int) -> int:
    """The number, if it is whole and within bounds.

    Raises
    ------
    ModelError
    """
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ModelError(f"{name} must be a whole number of at least {least}, not {value!r}")
    if value > most:
        raise ModelError(f"{name} must be at most {most:,}, not {value:,}")
    return int(value)


def finite(name: str, value: object) -> float:
    """The number, if it is finite.

    Raises
    ------
    ModelError
    """
    if not isinstance(value, int | float | np.number) or not math.isfinite(value):
        raise ModelError(f"{name} must be a finite number, not {value!r}")
    return float(value)


def check_seed(seed: object) -> int:
    """A seed as a file can hold it: a whole number from 0 to 2⁶³ − 1."""
    if not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise ModelError(f"seed must be a whole number from 0 to 2**63 - 1, not {seed!r}")
    return int(seed)

"""Errors that users can fix: each says what is wrong, where, and what to do, so that no traceback is needed."""

from __future__ import annotations

import sys
import warnings


class PriorhoodError(ValueError):
    """A problem in the input that its user can fix; the command line prints it and exits with 2.

    Parameters
    ----------
    message : str
        What is wrong, where, and what to do.
    reason : str
        The problem without its numbers and advice, for counting; the message if not given.

    Examples
    --------
    >>> import priorhood as ph
    >>> try:
    ...     ph.Model("price ~ area", family="gaussian")
    ... except ph.PriorhoodError as problem:
    ...     print(problem)
    family 'gaussian' is not known; write 'normal'
    """

    def __init__(self, message: object = "", *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or str(message)


class TableError(PriorhoodError):
    """A file, frame or column that cannot be used as it is."""


class FormulaError(PriorhoodError):
    """A formula that cannot be read, or that needs a feature that this version does not have."""


class PriorError(PriorhoodError):
    """A prior that is not a distribution, or not of a parameter of the model."""


class ModelError(PriorhoodError):
    """A model that the data cannot inform, that no engine can fit, or an argument out of range."""


class FileError(PriorhoodError):
    """A saved posterior that cannot be read or written."""


class SamplingError(PriorhoodError):
    """Posterior draws that could not be made to the promised quality."""


class PriorhoodWarning(UserWarning):
    """A question that the data cannot answer, or draws to check; the fit goes on."""


def warn(message: str) -> None:
    """Warn at the line that called this package, however deep in it the warning arises."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "priorhood":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, PriorhoodWarning, stacklevel=level)

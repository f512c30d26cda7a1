"""Errors that users can fix: each says what is wrong, where, and how to fix it, so that no traceback is needed."""

from __future__ import annotations

import sys
import warnings


class PriorhoodError(ValueError):
    """A problem with the input that the user can fix; the command prints it and exits with status 2.

    Parameters
    ----------
    message : str
        What is wrong, where, and how to fix it.
    reason : str
        The problem without numbers or advice, to group equal problems; defaults to the message.

    Examples
    --------
    >>> import priorhood as ph
    >>> try:
    ...     ph.Model("price ~ area", family="gaussian")
    ... except ph.PriorhoodError as problem:
    ...     print(problem)
    unknown family 'gaussian'; write 'normal'
    """

    def __init__(self, message: object = "", *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or str(message)


class TableError(PriorhoodError):
    """A file, frame or column that cannot be used as it is."""


class FormulaError(PriorhoodError):
    """A formula that cannot be parsed, or that needs a feature that this version does not have."""


class PriorError(PriorhoodError):
    """A prior that is not a distribution, or that is given for a parameter that the model does not have."""


class ModelError(PriorhoodError):
    """A model that the data cannot identify or that no engine can fit, or an argument out of range."""


class FileError(PriorhoodError):
    """A file that cannot be read or written."""


class SamplingError(PriorhoodError):
    """Posterior draws that could not be obtained with sufficient quality."""


class PriorhoodWarning(UserWarning):
    """Warning that the data are uninformative about a parameter, or that draws need checking; the fit continues."""


def warn(message: str) -> None:
    """Issue a warning that points to the line that called this package, not to a line inside it."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == "priorhood":
        level, frame = level + 1, frame.f_back
    warnings.warn(message, PriorhoodWarning, stacklevel=level)

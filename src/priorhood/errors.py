"""What can go wrong for a user: what is wrong, where, and what to do. No traceback is needed to act."""

from __future__ import annotations


class PriorhoodError(ValueError):
    """A problem in the input that its user can fix; the command line prints it and exits with 2."""


class TableError(PriorhoodError):
    """A file, frame or column that cannot be used as it is."""


class FormulaError(PriorhoodError):
    """A formula that cannot be read, or that asks for what this version does not have."""


class PriorError(PriorhoodError):
    """A prior that is no distribution, or that names no parameter of the model."""


class ModelError(PriorhoodError):
    """A model that the data cannot inform, or that no engine takes."""


class FileError(PriorhoodError):
    """A saved posterior that cannot be read or written."""


class SamplingError(PriorhoodError):
    """Draws that could not be made to the promised quality."""


class PriorhoodWarning(UserWarning):
    """Something the data cannot tell, or draws that want a second look; the fit goes on."""

"""Hierarchical regressions by place: tables of sales in; posteriors and prices out."""

from importlib.metadata import version as _version

from priorhood.errors import (
    FileError,
    FormulaError,
    ModelError,
    PriorError,
    PriorhoodError,
    SamplingError,
    TableError,
)
from priorhood.fit import PriorhoodWarning, equations, fit, merge, refit, update
from priorhood.model import Model
from priorhood.posterior import Posterior, load
from priorhood.priors import LKJ, Exponential, HalfCauchy, HalfNormal, Normal
from priorhood.simulate import simulate
from priorhood.table import Table, read

__version__ = _version("priorhood")

__all__ = [
    "LKJ",
    "Exponential",
    "FileError",
    "FormulaError",
    "HalfCauchy",
    "HalfNormal",
    "Model",
    "ModelError",
    "Normal",
    "Posterior",
    "PriorError",
    "PriorhoodError",
    "PriorhoodWarning",
    "SamplingError",
    "Table",
    "TableError",
    "equations",
    "fit",
    "load",
    "merge",
    "read",
    "refit",
    "simulate",
    "update",
]

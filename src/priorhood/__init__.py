"""Hierarchical regressions by place: tables of sales in; posteriors and prices out."""

from importlib.metadata import version as _version

from priorhood import plot
from priorhood.calibrate import Calibration, calibrate
from priorhood.check import Check, Verdict
from priorhood.city import simulate_areas
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
from priorhood.forward import posterior_predictive, prior_predictive
from priorhood.model import Model
from priorhood.posterior import Posterior
from priorhood.priors import (
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
    Uniform,
)
from priorhood.report import report
from priorhood.saved import load
from priorhood.simulate import simulate
from priorhood.table import Table, read

__version__ = _version("priorhood")

__all__ = [
    "LKJ",
    "Calibration",
    "Check",
    "Exponential",
    "FileError",
    "Fixed",
    "FormulaError",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "InverseGamma",
    "LogNormal",
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
    "Uniform",
    "Verdict",
    "calibrate",
    "equations",
    "fit",
    "load",
    "merge",
    "plot",
    "posterior_predictive",
    "prior_predictive",
    "read",
    "refit",
    "report",
    "simulate",
    "simulate_areas",
    "update",
]

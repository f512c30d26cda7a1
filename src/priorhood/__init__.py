"""Hierarchical regressions by place: tables of sales in; posteriors and prices out."""

from importlib.metadata import version as _version

from priorhood import _interrupt, plot
from priorhood.data.sources.table import Table, read
from priorhood.datasets import simulate, simulate_areas
from priorhood.diagnostics.check import Check
from priorhood.diagnostics.verdict import Verdict
from priorhood.errors import (
    FileError,
    FormulaError,
    ModelError,
    PriorError,
    PriorhoodError,
    SamplingError,
    TableError,
)
from priorhood.evaluation.assess import Assessment, assess
from priorhood.evaluation.compare import compare
from priorhood.evaluation.elpd import Elpd
from priorhood.evaluation.influence import Influence, influence
from priorhood.evaluation.loo import loo, loo_places
from priorhood.evaluation.sbc import Calibration, calibrate
from priorhood.evaluation.sensitivity import Sensitivity, sensitivity
from priorhood.fitting.federated import Sums, load_moments, moments, pool
from priorhood.fitting.fit import PriorhoodWarning, equations, fit, merge, refit, update
from priorhood.model.model import Model
from priorhood.model.priors import (
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
from priorhood.posterior.io import load
from priorhood.posterior.posterior import Posterior
from priorhood.posterior.predictive import posterior_predictive, prior_predictive
from priorhood.reporting import report

__version__ = _version("priorhood")

__all__ = [
    "LKJ",
    "Assessment",
    "Calibration",
    "Check",
    "Elpd",
    "Exponential",
    "FileError",
    "Fixed",
    "FormulaError",
    "Gamma",
    "HalfCauchy",
    "HalfNormal",
    "HalfStudentT",
    "Influence",
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
    "Sensitivity",
    "Sums",
    "Table",
    "TableError",
    "Uniform",
    "Verdict",
    "assess",
    "calibrate",
    "compare",
    "equations",
    "fit",
    "influence",
    "load",
    "load_moments",
    "loo",
    "loo_places",
    "merge",
    "moments",
    "plot",
    "pool",
    "posterior_predictive",
    "prior_predictive",
    "read",
    "refit",
    "report",
    "sensitivity",
    "simulate",
    "simulate_areas",
    "update",
]

"""The general engine: a plain PyMC model, centred or not, sampled by NUTS; the reference for the exact engine.

PyMC, nutpie and NumPyro are imported only where a model is built or sampled.
"""

from priorhood.engines.nuts.build import build
from priorhood.engines.nuts.regression import Regression, RegressionGrouping
from priorhood.engines.nuts.sample import draw
from priorhood.engines.nuts.settings import Settings, check, check_installed, default_sampler, unavailable
from priorhood.engines.nuts.to_pymc import regression_of

__all__ = [
    "Regression",
    "RegressionGrouping",
    "Settings",
    "build",
    "check",
    "check_installed",
    "default_sampler",
    "draw",
    "regression_of",
    "unavailable",
]

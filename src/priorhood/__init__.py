"""Bayesian regressions whose coefficients differ from place to place, and predictions with them."""

from priorhood import _import_interrupt  # isort: skip  # first, so that Ctrl-C is handled during the other imports

import sys as _sys
from types import ModuleType as _Module

TYPE_CHECKING = False  # without importing typing
if TYPE_CHECKING:
    from priorhood import datasets, errors, plot, priors
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
        PriorhoodWarning,
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
    from priorhood.fitting.federated import Moments, load_moments, moments, pool
    from priorhood.fitting.fit import equations, fit, merge, refit, update
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

    __version__: str

__all__ = [
    "Model",
    "Moments",
    "Posterior",
    "PriorhoodError",
    "PriorhoodWarning",
    "assess",
    "calibrate",
    "compare",
    "datasets",
    "errors",
    "fit",
    "influence",
    "load",
    "loo",
    "loo_places",
    "merge",
    "moments",
    "plot",
    "posterior_predictive",
    "prior_predictive",
    "priors",
    "read",
    "refit",
    "report",
    "sensitivity",
    "update",
]

# The module of each name, "priorhood" for modules; also of names not in __all__: classes that functions return, and
# names in namespaces. A module is imported on first use of its names: importing all takes longer than a fit.
_HOMES = {
    "priorhood": "datasets errors plot priors",
    "priorhood.data.sources.table": "Table read",
    "priorhood.datasets": "simulate simulate_areas",
    "priorhood.diagnostics.check": "Check",
    "priorhood.diagnostics.verdict": "Verdict",
    "priorhood.errors": (
        "FileError FormulaError ModelError PriorError PriorhoodError PriorhoodWarning SamplingError TableError"
    ),
    "priorhood.evaluation.assess": "Assessment assess",
    "priorhood.evaluation.compare": "compare",
    "priorhood.evaluation.elpd": "Elpd",
    "priorhood.evaluation.influence": "Influence influence",
    "priorhood.evaluation.loo": "loo loo_places",
    "priorhood.evaluation.sbc": "Calibration calibrate",
    "priorhood.evaluation.sensitivity": "Sensitivity sensitivity",
    "priorhood.fitting.federated": "Moments load_moments moments pool",
    "priorhood.fitting.fit": "equations fit merge refit update",
    "priorhood.model.model": "Model",
    "priorhood.model.priors": (
        "LKJ Exponential Fixed Gamma HalfCauchy HalfNormal HalfStudentT InverseGamma LogNormal Normal Uniform"
    ),
    "priorhood.posterior.io": "load",
    "priorhood.posterior.posterior": "Posterior",
    "priorhood.posterior.predictive": "posterior_predictive prior_predictive",
    "priorhood.reporting": "report",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


class _Package(_Module):
    """The package, which imports a name's module when the name is first used."""

    def __getattr__(self, name: str) -> object:
        from importlib import import_module, metadata

        if name == "__version__":
            value: object = metadata.version(__name__)
        elif name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        elif _HOME[name] == __name__:
            value = import_module(f"{__name__}.{name}")
        else:
            value = getattr(import_module(_HOME[name]), name)
        vars(self)[name] = value
        return value

    def __setattr__(self, name: str, value: object) -> None:
        # Python sets an imported module as an attribute of its package; it must not replace a function so named.
        if not (isinstance(value, _Module) and _HOME.get(name, __name__) != __name__):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        # A function of a notebook that uses the package is sent to other processes with it, by joblib and the like,
        # which know how to pickle modules of Python's own class only.
        from importlib import import_module

        return import_module, (__name__,)

    def __dir__(self) -> list[str]:
        return sorted({*__all__, *(name for name in vars(self) if name.startswith("__"))})


_sys.modules[__name__].__class__ = _Package

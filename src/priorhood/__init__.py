"""Hierarchical regressions by place: tables of sales in; posteriors and prices out."""

from priorhood import _starting  # isort: skip  # before all else that Ctrl-C could meet

import sys as _sys
from types import ModuleType as _Module

TYPE_CHECKING = False  # typing's, without typing
if TYPE_CHECKING:
    from priorhood import plot
    from priorhood.assess import assess
    from priorhood.assessment import Assessment
    from priorhood.calibrate import Calibration, calibrate
    from priorhood.check import Check
    from priorhood.city import simulate_areas
    from priorhood.compare import compare
    from priorhood.elpd import Elpd
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
    from priorhood.influence import Influence, influence
    from priorhood.leaveout import loo, loo_places
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
    from priorhood.sensitivity import Sensitivity, sensitivity
    from priorhood.simulate import simulate
    from priorhood.sums import Sums, load_moments, moments, pool
    from priorhood.table import Table, read
    from priorhood.verdict import Verdict

    __version__: str

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

# Where each public name is; "priorhood" has modules. A module is loaded when a name of it is asked for: all of them
# together take longer than a fit, and most programs need few.
_HOMES = {
    "priorhood": "plot",
    "priorhood.assess": "assess",
    "priorhood.assessment": "Assessment",
    "priorhood.calibrate": "Calibration calibrate",
    "priorhood.check": "Check",
    "priorhood.city": "simulate_areas",
    "priorhood.compare": "compare",
    "priorhood.elpd": "Elpd",
    "priorhood.errors": "FileError FormulaError ModelError PriorError PriorhoodError SamplingError TableError",
    "priorhood.fit": "PriorhoodWarning equations fit merge refit update",
    "priorhood.forward": "posterior_predictive prior_predictive",
    "priorhood.influence": "Influence influence",
    "priorhood.leaveout": "loo loo_places",
    "priorhood.model": "Model",
    "priorhood.posterior": "Posterior",
    "priorhood.priors": (
        "LKJ Exponential Fixed Gamma HalfCauchy HalfNormal HalfStudentT InverseGamma LogNormal Normal Uniform"
    ),
    "priorhood.report": "report",
    "priorhood.saved": "load",
    "priorhood.sensitivity": "Sensitivity sensitivity",
    "priorhood.simulate": "simulate",
    "priorhood.sums": "Sums load_moments moments pool",
    "priorhood.table": "Table read",
    "priorhood.verdict": "Verdict",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}


class _Package(_Module):
    """The package, which gets its names from their modules as they are asked for."""

    def __getattr__(self, name: str) -> object:
        from importlib import import_module, metadata

        if name == "__version__":
            found: object = metadata.version(__name__)
        elif name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        elif _HOME[name] == __name__:
            found = import_module(f"{__name__}.{name}")
        else:
            found = getattr(import_module(_HOME[name]), name)
        vars(self)[name] = found
        return found

    def __setattr__(self, name: str, value: object) -> None:
        # An imported module becomes an attribute of its package; a function of the same name stays the function.
        if not (isinstance(value, _Module) and _HOME.get(name, __name__) != __name__):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*__all__, *(name for name in vars(self) if name.startswith("__"))})


_sys.modules[__name__].__class__ = _Package

"""Results → pictures; each function returns a matplotlib Figure. Only this room needs matplotlib."""

from priorhood.plot.calibration import calibration
from priorhood.plot.diagnostics import diagnostics
from priorhood.plot.ranks import ranks
from priorhood.plot.sensitivity import sensitivity
from priorhood.plot.trace import trace

__all__ = ["calibration", "diagnostics", "ranks", "sensitivity", "trace"]

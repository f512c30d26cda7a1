"""Results → pictures; each function returns a matplotlib Figure. Only this room needs matplotlib."""

from priorhood.plot.calibration import calibration
from priorhood.plot.compare import compare, loo
from priorhood.plot.trace import trace

__all__ = ["calibration", "compare", "loo", "trace"]

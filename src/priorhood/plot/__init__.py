"""Results → pictures; each function returns a matplotlib Figure. Only this room needs matplotlib."""

from priorhood.plot.calibration import calibration
from priorhood.plot.pit import misfit, pit
from priorhood.plot.predictive import predictive
from priorhood.plot.prior import prior_lines
from priorhood.plot.trace import trace

__all__ = ["calibration", "misfit", "pit", "predictive", "prior_lines", "trace"]

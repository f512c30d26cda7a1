"""Results → pictures; each function returns a matplotlib Figure. Only this room needs matplotlib."""

from priorhood.plot.calibration import calibration
from priorhood.plot.correlation import correlation
from priorhood.plot.forest import forest
from priorhood.plot.lines import lines
from priorhood.plot.price import price
from priorhood.plot.priors import priors
from priorhood.plot.shrinkage import shrinkage
from priorhood.plot.trace import trace

__all__ = ["calibration", "correlation", "forest", "lines", "price", "priors", "shrinkage", "trace"]

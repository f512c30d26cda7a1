"""Results → pictures; each function returns a matplotlib Figure (interactive_map: a page).

Only this room needs matplotlib.
"""

from priorhood.plot.calibration import calibration
from priorhood.plot.compare import compare, loo
from priorhood.plot.correlation import correlation
from priorhood.plot.diagnostics import diagnostics
from priorhood.plot.forest import forest
from priorhood.plot.lines import lines
from priorhood.plot.maps import map  # noqa: A004  # the word for it
from priorhood.plot.pit import misfit, pit
from priorhood.plot.predictive import predictive
from priorhood.plot.price import price
from priorhood.plot.prior import prior_lines
from priorhood.plot.priors import priors
from priorhood.plot.ranks import ranks
from priorhood.plot.sensitivity import sensitivity
from priorhood.plot.shrinkage import shrinkage
from priorhood.plot.trace import trace
from priorhood.plot.web_map import InteractiveMap, interactive_map

__all__ = [
    "InteractiveMap",
    "calibration",
    "compare",
    "correlation",
    "diagnostics",
    "forest",
    "interactive_map",
    "lines",
    "loo",
    "map",
    "misfit",
    "pit",
    "predictive",
    "price",
    "prior_lines",
    "priors",
    "ranks",
    "sensitivity",
    "shrinkage",
    "trace",
]

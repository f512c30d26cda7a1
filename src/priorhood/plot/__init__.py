"""Pictures of posteriors and results; every function returns a matplotlib Figure, interactive_map a page.

Matplotlib is loaded when the first picture is drawn.
"""

from priorhood.plot.checks.calibration import calibration
from priorhood.plot.checks.compare import compare, loo
from priorhood.plot.checks.pit import misfit, pit
from priorhood.plot.checks.predictive import predictive
from priorhood.plot.checks.sensitivity import sensitivity
from priorhood.plot.draws.diagnostics import diagnostics
from priorhood.plot.draws.ranks import ranks
from priorhood.plot.draws.trace import trace
from priorhood.plot.maps.interactive import InteractiveMap, interactive_map
from priorhood.plot.maps.static import map  # noqa: A004  # the word for it
from priorhood.plot.parameters.prior_lines import prior_lines
from priorhood.plot.parameters.prior_posterior import priors
from priorhood.plot.places.correlation import correlation
from priorhood.plot.places.forest import forest
from priorhood.plot.places.lines import lines
from priorhood.plot.places.price import price
from priorhood.plot.places.shrinkage import shrinkage

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


def __dir__() -> list[str]:
    return sorted(__all__)

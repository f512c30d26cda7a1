"""Results → pictures; each function returns a matplotlib Figure (interactive_map: a page).

Only this room needs matplotlib.
"""

from priorhood.plot.calibration import calibration
from priorhood.plot.maps import map  # noqa: A004  # the word for it
from priorhood.plot.trace import trace
from priorhood.plot.web_map import InteractiveMap, interactive_map

__all__ = ["InteractiveMap", "calibration", "interactive_map", "map", "trace"]

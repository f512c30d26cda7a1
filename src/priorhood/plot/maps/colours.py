"""Colours of a map's places: of values on a scale, of categories, of missing ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

    from priorhood.plot.maps.values import MapValues

GREY = "#DDDDDD"  # no data


def place_colours(values: MapValues) -> list[str]:
    """Return the colour of every place, #RRGGBB; grey if its value is unknown."""
    from matplotlib.colors import to_hex

    colours = colour_map(values)
    low, high = values.limits
    share = np.clip((values.values - low) / (high - low), 0, 1)
    return [to_hex(colours(float(one))) if np.isfinite(one) else GREY for one in share]


def colour_stops(values: MapValues, count: int = 9) -> list[str]:
    """Return colours of the scale from its lower to its upper limit, for a legend."""
    from matplotlib.colors import to_hex

    colours = colour_map(values)
    return [to_hex(colours(one)) for one in np.linspace(0, 1, count).tolist()]


def colour_map(values: MapValues) -> Colormap:
    """Return a colour map for any kind of colour vision; diverging only if the values have a centre."""
    import matplotlib as mpl
    from matplotlib.colors import LinearSegmentedColormap

    if values.diverging:
        return LinearSegmentedColormap.from_list(
            "blue to orange", ["#0B4F8A", "#8DB8DE", "#F4F4F0", "#F0A25E", "#A04000"]
        )
    return mpl.colormaps["viridis"]

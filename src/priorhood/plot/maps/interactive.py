"""The same map as a page of its own: every place tells its numbers; nothing is fetched from anywhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import answers_other_names
from priorhood._text import visible
from priorhood.errors import FileError
from priorhood.plot.maps.static import GREY, colour_stops, coloured
from priorhood.plot.maps.values import Mapped, mapped, percent, with_exact, with_unit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from priorhood.plot.maps.areas import Ring
    from priorhood.posterior.posterior import Posterior

ENDINGS = (".html", ".htm")
SIZE = 1000  # units of the drawing's longer side


@dataclass(frozen=True)
class Shape:
    """A polygon as SVG draws it: path data (fill-rule evenodd), colour, and what it tells as (name, value)."""

    label: str
    path: str
    colour: str
    told: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class InteractiveMap:
    """One HTML file: the map in SVG and a little JavaScript. Notebooks show it.

    html : the whole page
    """

    html: str

    def save(self, path: str | Path) -> None:
        """Write the page.

        Raises
        ------
        FileError : the place cannot be written, or its name does not end in .html
        """
        from pathlib import Path

        from priorhood._system import write_text

        if Path(path).suffix.lower() not in ENDINGS:
            raise FileError(f"cannot write a page to {str(path)!r}; its name must end in .html")
        write_text(path, self.html)

    def _repr_html_(self) -> str:
        # A frame of its own: the page's style and script do not meet the notebook's.
        return f'<iframe srcdoc="{escape(self.html)}" style="width:100%;height:640px;border:0"></iframe>'


@answers_other_names
def interactive_map(
    post: Posterior,
    polygons: object,
    show: str | None = None,
    *,
    at: Mapping[str, Any] | None = None,
    below: float | None = None,
    column: str | None = None,
    level: str | None = None,
    crs: object = None,
) -> InteractiveMap:
    """The map of plot.map as one self-contained HTML page, where every place tells its numbers.

    Arguments and errors as of plot.map. With `below`, every place tells the probability too, whatever is shown.

    Returns
    -------
    InteractiveMap; `.save("map.html")` writes it
    """
    found = mapped(post, polygons, show, at=at, below=below, column=column, level=level, crs=crs, details=True)
    return InteractiveMap(_page(found, below))


def shapes(found: Mapped, below: float | None = None) -> tuple[list[Shape], tuple[int, int]]:
    """All polygons as SVG draws them, those without a place last, and the drawing's width and height."""
    areas = found.areas
    rings, colours = areas.rings(), coloured(found)
    drawn = [
        Shape(label, path_data(rings[label]), colours[one], _told(found, one, below))
        for one, label in enumerate(areas.labels)
    ]
    for label, outline in zip(areas.unmatched_areas, areas.other_rings(), strict=True):
        drawn.append(Shape(label, path_data(outline), GREY, ((areas.level, "not in the data"),)))
    west, south, east, north = areas.box
    longer = max(east - west, north - south)
    return drawn, (round(SIZE * (east - west) / longer), round(SIZE * (north - south) / longer))


def path_data(rings: list[Ring]) -> str:
    """Rings in the unit box as the `d` of an SVG path."""
    parts = []
    for ring in rings:
        points = [f"{SIZE * x:.1f} {SIZE * y:.1f}" for x, y in ring[:-1]]
        parts.append(f"M{'L'.join(dict.fromkeys(points))}Z")
    return "".join(parts)


def _told(found: Mapped, one: int, below: float | None) -> tuple[tuple[str, str], ...]:
    """What a place says of itself."""
    unit, held = found.outcome_unit, found.details
    told = []
    if found.values[one] not in [values[one] for values in held.values()]:
        told.append(("Shown here", found.text(found.values[one])))
    if "price" in held:
        told.append(("Average" if found.centre == "mean" else "Median", _amount(held["price"][one], unit)))
        bounds = f"{_amount(held['low'][one], '')} to {_amount(held['high'][one], unit)}"
        told.append(("90 % interval", bounds if np.isfinite(held["low"][one]) else "not known"))
    if "below" in held and below is not None:
        share = float(held["below"][one])
        told.append(
            (f"Below {with_exact(below)} {unit}".strip(), percent(share) if np.isfinite(share) else "not known")
        )
    if "rows" in held:
        told.append(("Rows of data", f"{held['rows'][one]:,.0f}"))
    return tuple(told)


def _amount(value: float, unit: str) -> str:
    return with_unit(float(value), unit) if np.isfinite(value) else "not known"


# -- the page ---------------------------------------------------------------------------------------------


def _page(found: Mapped, below: float | None) -> str:
    drawn, (wide, tall) = shapes(found, below)
    own = len(found.areas.labels)
    paths = []
    for one, shape in enumerate(drawn):
        about = f"{shape.label}: " + ", ".join(f"{name} {value}" for name, value in shape.told)
        focus = (
            f' tabindex="{0 if one == 0 else -1}" role="img" aria-label="{_escaped(about)}"' if one < own else ""
        )
        colour = f' fill="{shape.colour}"' if shape.colour != GREY else ' class="none"'
        paths.append(f'<path data-i="{one}"{colour}{focus} d="{shape.path}"/>')
    told = [[visible(one.label), [[*map(visible, pair)] for pair in one.told]] for one in drawn]
    data = json.dumps(told, ensure_ascii=False).replace("<", "\\u003c")
    options = "".join(f'<option value="{_escaped(label)}">' for label in found.areas.labels)
    return PAGE.format(
        title=_escaped(found.title), note=_escaped(found.note), account=_escaped(found.areas.account() + "."),
        level=_escaped(found.areas.level), wide=wide + 4, tall=tall + 4,
        paths="\n".join(paths), data=data, options=options,
        legend=_legend(found),
    )  # fmt: skip


def _legend(found: Mapped) -> str:
    low, high = found.limits
    stops = ", ".join(colour_stops(found))
    ends = [found.text(low), found.text(high)]
    there = found.values[np.isfinite(found.values)]
    if len(there) and there.min() < low:
        ends[0] = f"≤ {ends[0]}"
    if len(there) and there.max() > high:
        ends[1] = f"≥ {ends[1]}"
    grey = '<span class="key"></span> no data' if len(found.areas.others) or len(there) < len(found.values) else ""
    bar = f'<span class="bar" style="background:linear-gradient(to right, {stops})"></span>'
    return f"<span>{_escaped(ends[0])}</span>{bar}<span>{_escaped(ends[1])}</span>{grey}"


def check_page(path: Path) -> bool:
    """Whether a map is to be a page, by its name's ending."""
    return path.suffix.lower() in ENDINGS


def _escaped(text: str) -> str:
    """A text within HTML, in quotes too."""
    return escape(visible(text))


PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #222; --soft: #595959; --paper: #fff; --none: #ddd; --edge: #fff; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #eee; --soft: #b0b0b0; --paper: #181818; --none: #444; --edge: #181818; }}
}}
body {{ font: 15px/1.4 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 1rem; }}
main {{ display: flex; flex-wrap: wrap; gap: 1rem; max-width: 1200px; }}
h1 {{ font-size: 1.2rem; margin: 0; }}
p {{ margin: .2rem 0; color: var(--soft); }}
svg {{ flex: 1 1 420px; min-width: 0; max-height: 82vh; }}
path {{ fill-rule: evenodd; stroke: var(--edge); stroke-width: .8; outline: none; }}
path {{ vector-effect: non-scaling-stroke; }}
path.none {{ fill: var(--none); }}
path.on {{ stroke: var(--ink); stroke-width: 2.5; }}
aside {{ flex: 0 0 230px; }}
dl {{ display: grid; grid-template-columns: auto 1fr; gap: .1rem .8rem; margin: .3rem 0; }}
dt {{ color: var(--soft); }} dd {{ margin: 0; text-align: right; font-variant-numeric: tabular-nums; }}
.legend {{ display: flex; align-items: center; gap: .5rem; margin: .6rem 0; font-size: .9rem; flex-wrap: wrap; }}
.bar {{ width: 180px; height: 12px; }}
.key {{ width: 12px; height: 12px; background: var(--none); margin-left: 1rem; }}
input {{ font: inherit; width: 100%; box-sizing: border-box; padding: .25rem; }}
</style>
</head>
<body>
<h1>{title}</h1>
<p>{note}</p>
<div class="legend">{legend}</div>
<main>
<svg viewBox="-2 -2 {wide} {tall}" preserveAspectRatio="xMidYMin" role="group" aria-label="{title}">
{paths}
</svg>
<aside>
<label>Find a {level}<input id="find" list="labels"></label><datalist id="labels">{options}</datalist>
<h2 id="name" style="font-size:1.05rem;margin:.8rem 0 0"></h2>
<dl id="told" aria-live="polite"></dl>
<p id="hint">Point at a {level}, or use Tab and the arrow keys.</p>
</aside>
</main>
<p style="font-size:.8rem">{account}</p>
<script>
"use strict";
const data = {data};
const paths = [...document.querySelectorAll("path")];
const own = paths.filter(path => path.hasAttribute("tabindex"));
let on = null;
function show(path) {{
  if (on) on.classList.remove("on");
  on = path;
  path.classList.add("on");
  const [label, told] = data[path.dataset.i];
  document.getElementById("name").textContent = label;
  document.getElementById("hint").hidden = true;
  document.getElementById("told").replaceChildren(...told.flatMap(([name, value]) => {{
    const left = document.createElement("dt"), right = document.createElement("dd");
    left.textContent = name;
    right.textContent = value;
    return [left, right];
  }}));
}}
function go(path) {{
  own.forEach(one => one.setAttribute("tabindex", one === path ? 0 : -1));
  path.focus();
}}
paths.forEach(path => {{
  path.addEventListener("pointerenter", () => show(path));
  path.addEventListener("focus", () => show(path));
  path.addEventListener("click", () => path.hasAttribute("tabindex") ? go(path) : show(path));
}});
document.querySelector("svg").addEventListener("keydown", event => {{
  const at = own.indexOf(document.activeElement), last = own.length - 1;
  const to = {{ ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: last }};
  if (at < 0 || !(event.key in to)) return;
  event.preventDefault();
  go(own[Math.min(Math.max(to[event.key], 0), last)]);
}});
document.getElementById("find").addEventListener("input", event => {{
  const path = own.find(one => data[one.dataset.i][0] === event.target.value.trim());
  if (path) show(path);
}});
</script>
</body>
</html>
"""

"""Map as a page of its own: every place shows its numbers; the browser fetches nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import escape_control
from priorhood.errors import FileError
from priorhood.plot.figure.page import amount
from priorhood.plot.figure.style import number
from priorhood.plot.maps.areas import read_areas
from priorhood.plot.maps.static import colour_stops, coloured
from priorhood.plot.maps.values import Mapped, mapped, percent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from priorhood.posterior.posterior import Posterior

ENDINGS = (".html", ".htm")


@dataclass(frozen=True)
class InteractiveMap:
    """One HTML file: the map in SVG and a little JavaScript. Notebooks show it.

    Parameters
    ----------
    html : str
        The whole page.

    Examples
    --------
    >>> import priorhood as ph
    >>> ph.plot.InteractiveMap("<p>a map</p>")._repr_html_()[:7]
    '<iframe'
    """

    html: str

    def save(self, path: str | Path) -> None:
        """Write the page.

        Parameters
        ----------
        path : str or Path
            The file, .html.

        Raises
        ------
        FileError
            The file cannot be written, or its name does not end in .html.

        Examples
        --------
        >>> import pathlib, tempfile
        >>> import priorhood as ph
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder) / "map.html"
        ...     ph.plot.InteractiveMap("<p>a map</p>").save(file)
        ...     file.read_text()
        '<p>a map</p>'
        """
        from pathlib import Path

        from priorhood._system import write_text

        if not check_page(Path(path)):
            raise FileError(f"cannot write a page to {str(path)!r}; its name must end in .html")
        write_text(path, self.html)

    def _repr_html_(self) -> str:
        # In a frame of its own the page's style and script do not meet the notebook's.
        return f'<iframe srcdoc="{escape(self.html)}" style="width:100%;height:640px;border:0"></iframe>'


@suggest_argument_names
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
    """Return the map of `plot.map` as one self-contained HTML page, where every place shows its numbers.

    Parameters
    ----------
    post, polygons, show, at, below, column, level, crs
        As for `plot.map`. With `below`, every place shows the probability too, whatever is shown.

    Returns
    -------
    InteractiveMap
        `.save("map.html")` writes it.

    Raises
    ------
    ModelError, TableError, FileError
        As for `plot.map`.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(8, 160, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> page = ph.plot.interactive_map(post, ph.datasets.simulate_areas(8))
    >>> page.html.count("<path")
    8
    """
    areas = read_areas(polygons, post, column=column, level=level, crs=crs)
    found = mapped(post, areas, show, at=at, below=below, details=True)
    return InteractiveMap(_page(found, below))


def check_page(path: Path) -> bool:
    """Whether a map is to be a page, by its name's ending."""
    return path.suffix.lower() in ENDINGS


def _numbers(found: Mapped, one: int, below: float | None) -> list[tuple[str, str]]:
    """Numbers of a place as (name, value)."""

    def text(name: str, unit: str = found.outcome_unit) -> str:
        value = float(found.details[name][one])
        return amount(value, unit) if np.isfinite(value) else "not known"

    told = []
    if found.values[one] not in [values[one] for values in found.details.values()]:
        told.append(("Shown here", found.text(found.values[one])))
    bounds = f"{text('low', '')} to {text('high')}"
    told.append(("Average" if found.centre == "mean" else "Median", text("price")))
    told.append(("90 % interval", bounds if np.isfinite(found.details["low"][one]) else "not known"))
    if below is not None:
        share = float(found.details["below"][one])
        threshold = f"Below {number(below)} {found.outcome_unit}".strip()
        told.append((threshold, percent(share) if np.isfinite(share) else "not known"))
    return [*told, ("Rows of data", f"{found.details['rows'][one]:,.0f}")]


def _page(found: Mapped, below: float | None) -> str:
    """The page: template, polygons, numbers of every place, legend."""

    def safe(text: str) -> str:
        return escape(escape_control(text))

    areas = found.areas
    drawing, colours = areas.drawing(), coloured(found)
    told = [(label, _numbers(found, one, below)) for one, label in enumerate(areas.labels)]
    paths = []
    for one, ((label, numbers), path) in enumerate(zip(told, drawing.paths.values(), strict=True)):
        about = f"{label}: " + ", ".join(f"{name} {value}" for name, value in numbers)
        colour = f'fill="{colours[one]}"' if np.isfinite(found.values[one]) else 'class="none"'
        focus = f'tabindex="{0 if one == 0 else -1}" role="img" aria-label="{safe(about)}"'
        paths.append(f'<path data-i="{one}" {colour} {focus} d="{path}"/>')
    for label, path in zip(areas.unmatched_areas, drawing.others, strict=True):
        paths.append(f'<path data-i="{len(told)}" class="none" d="{path}"/>')
        told.append((label, [(areas.level, "not in the data")]))
    data = [[escape_control(label), [[*map(escape_control, pair)] for pair in numbers]] for label, numbers in told]

    low, high = found.limits
    there = found.values[np.isfinite(found.values)]
    least = f"{'≤ ' if (there < low).any() else ''}{found.text(low)}"
    most = f"{'≥ ' if (there > high).any() else ''}{found.text(high)}"
    grey = len(areas.others) or len(there) < len(found.values)
    stops = ", ".join(colour_stops(found))
    bar = f'<span class="bar" style="background:linear-gradient(to right, {stops})"></span>'
    legend = f"<span>{safe(least)}</span>{bar}<span>{safe(most)}</span>"
    return PAGE.format(
        title=safe(found.title), note=safe(found.note), account=safe(areas.account() + "."),
        level=safe(areas.level), box=" ".join(f"{side:g}" for side in drawing.box), paths="\n".join(paths),
        data=json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
        options="".join(f'<option value="{safe(label)}">' for label in areas.labels),
        legend=legend + ('<span class="key"></span> no data' if grey else ""),
    )  # fmt: skip


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
<svg viewBox="{box}" preserveAspectRatio="xMidYMin" role="group" aria-label="{title}">
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

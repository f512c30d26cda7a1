"""Map as a self-contained page on which every place shows its numbers; the browser loads nothing else."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._text import escape_control
from priorhood.errors import FileError
from priorhood.plot.maps.areas import read_areas
from priorhood.plot.maps.colours import colour_stops, place_colours
from priorhood.plot.maps.values import map_values

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from priorhood.posterior.posterior import Posterior

ENDINGS = (".html", ".htm")


@dataclass(frozen=True)
class InteractiveMap:
    """Map as one HTML file, in SVG with a little JavaScript. Notebooks show it.

    Parameters
    ----------
    html : str
        The complete page.

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
            The file; its name must end in .html.

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
        # In a separate frame, style and script of the page do not affect the notebook.
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
    """Return the map of `plot.map` as one self-contained HTML page on which every place shows its numbers.

    Parameters
    ----------
    post, polygons, show, at, below, column, level, crs
        As for `plot.map`. With `below`, every place also shows the probability, regardless of `show`.

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
    values = map_values(post, areas, show, at=at, below=below, details=True)
    drawing, colours = areas.drawing(), place_colours(values)
    notes = [(label, values.numbers(place, below)) for place, label in enumerate(areas.labels)]
    paths = []
    for place, ((label, numbers), path) in enumerate(zip(notes, drawing.paths.values(), strict=True)):
        about = f"{label}: " + ", ".join(f"{name} {value}" for name, value in numbers)
        colour = f'fill="{colours[place]}"' if np.isfinite(values.values[place]) else 'class="none"'
        focus = f'tabindex="{0 if place == 0 else -1}" role="img" aria-label="{_safe(about)}"'
        paths.append(f'<path data-i="{place}" {colour} {focus} d="{path}"/>')
    for label, path in zip(areas.unmatched_areas, drawing.others, strict=True):
        paths.append(f'<path data-i="{len(notes)}" class="none" d="{path}"/>')
        notes.append((label, [(areas.level, "not in the data")]))
    data = [[escape_control(label), [[*map(escape_control, pair)] for pair in numbers]] for label, numbers in notes]

    low, high = values.limits
    known = values.values[np.isfinite(values.values)]
    least = f"{'≤ ' if (known < low).any() else ''}{values.text(low)}"
    most = f"{'≥ ' if (known > high).any() else ''}{values.text(high)}"
    grey = len(areas.others) or len(known) < len(values.values)
    stops = ", ".join(colour_stops(values))
    bar = f'<span class="bar" style="background:linear-gradient(to right, {stops})"></span>'
    legend = f"<span>{_safe(least)}</span>{bar}<span>{_safe(most)}</span>"
    return InteractiveMap(PAGE.format(
        title=_safe(values.title), note=_safe(values.note), account=_safe(areas.account() + "."),
        level=_safe(areas.level), box=" ".join(f"{side:g}" for side in drawing.box), paths="\n".join(paths),
        data=json.dumps(data, ensure_ascii=False).replace("<", "\\u003c"),
        options="".join(f'<option value="{_safe(label)}">' for label in areas.labels),
        legend=legend + ('<span class="key"></span> no data' if grey else ""),
    ))  # fmt: skip


def check_page(path: Path) -> bool:
    """Return whether the name of a file is that of a page."""
    return path.suffix.lower() in ENDINGS


def _safe(text: str) -> str:
    """Return the text escaped for HTML, with control characters made visible."""
    return escape(escape_control(text))


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

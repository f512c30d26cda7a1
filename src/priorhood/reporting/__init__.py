"""A posterior as one page that a browser opens without a network: what was fitted, found, and what a home costs."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from priorhood._arguments import answers_other_names
from priorhood._system import check_writable, write_text
from priorhood._text import visible
from priorhood.errors import FileError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from priorhood.posterior.posterior import Posterior

SCRIPTS = ("mixture.js", "charts.js", "places.js", "cost.js", "page.js")
ENDINGS = (".html", ".htm")


@answers_other_names
def report(
    post: Posterior,
    out: str | Path,
    polygons: object = None,
    *,
    at: Mapping[str, Any] | None = None,
    below: float | None = None,
    title: str | None = None,
    column: str | None = None,
    level: str | None = None,
    crs: str | None = None,
) -> None:
    """Write a report of a posterior: one HTML file that needs nothing else, and no network.

    What was fitted, how far to trust it, what was found (a map, a table and a profile of every place), what a
    home costs (computed in the page from some of the draws), how it was made.

    Parameters
    ----------
    out : the file to write, .html
    polygons : of the places, GeoJSON and whatever else areas.read_areas takes; no map if None
    at : values of predictors of the home that map and table show, {"living_space": 100}; see Posterior.homes
    below : the price in the outcome's units whose probability map and table show; a round number near that of
        the average place if None
    title : of the page; "Price by zip" if None
    column : of the polygons, which holds the labels; level : the grouping that they belong to, the finest if
        None; crs : of their coordinates

    Raises
    ------
    ModelError : polygons for a model without groups; a predictor that the formula does not have, or a value
        that it cannot take
    FileError : a file that cannot be written, or is no .html
    """
    check_report(out)
    text = page(post, polygons, at, below, title, column, level, crs)
    write_text(out, text)


def check_report(out: str | Path, *inputs: str | Path) -> None:
    """Raise before any work is done if a report cannot be written there."""
    check_writable(out, *inputs)
    if not str(out).lower().endswith(ENDINGS):
        raise FileError(f"cannot write a report to {str(out)!r}; its name must end in .html")


def page(
    post: Posterior,
    places: object,
    at: Mapping[str, Any] | None,
    below: float | None,
    title: str | None,
    column: str | None,
    level: str | None,
    crs: str | None,
) -> str:
    """The page as text: template, style, scripts and data."""
    from priorhood.prediction.expected import checked_home
    from priorhood.reporting.content import content

    checked_home(post.design, at or {})
    areas = _areas(post, places, column, level, crs)
    data = content(post, areas, at=at or {}, below=below, title=title, level=level)
    return assembled(data)


def _areas(post: Posterior, places: object, column: str | None, level: str | None, crs: str | None) -> Any:
    """The polygons of the places, or None."""
    if not post.hierarchy.levels and (places is not None or level is not None):
        raise ModelError(
            f"{post.model.formula.text!r} has no group, so there are no places to show on a map: fit it with a "
            f"part like '+ (1 | zip)' (priorhood fit), or leave the polygons out"
        )
    if places is None:
        given = next((name for name, value in (("column", column), ("crs", crs)) if value is not None), None)
        if given:
            raise ModelError(f"{given}= is about the polygons, which are not given: add polygons= (--polygons)")
        return None
    from priorhood.plot.maps.areas import read_areas

    return read_areas(places, post, column=column, level=level, crs=crs)


def assembled(data: Mapping[str, Any]) -> str:
    """Template, style, scripts and data in one text; no data can end its script element."""
    folder = files("priorhood.reporting")
    text = folder.joinpath("page.html").read_text(encoding="utf-8")
    # < and > appear in JSON within strings only.
    data = _shown(data)
    held = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028")):
        held = held.replace(sign, code)
    scripts = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = folder.joinpath("page.css").read_text(encoding="utf-8")
    for name, part in (("style", style), ("scripts", scripts), ("title", _escaped(str(data["title"])))):
        text = text.replace(f"<!--{name}-->", part)
    # Last, so that nothing in the data is taken for one of the marks above.
    return text.replace("<!--data-->", held)


def _shown(data: Any) -> Any:
    """The data with every text as a browser may show it; labels come from files."""
    if isinstance(data, str):
        return visible(data)
    if isinstance(data, dict):
        return {_shown(name): _shown(value) for name, value in data.items()}
    return [_shown(value) for value in data] if isinstance(data, list | tuple) else data


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)

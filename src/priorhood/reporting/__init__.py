"""Report of a posterior: one page for a browser, offline, with model, results and a price calculator."""

from __future__ import annotations

import json
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from priorhood._arguments import suggest_argument_names
from priorhood._system import check_writable, write_text
from priorhood._text import argument, escape_control
from priorhood.errors import FileError, ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from priorhood.posterior.posterior import Posterior

SCRIPTS = ("mixture.js", "charts.js", "places.js", "calculator.js", "page.js")
ENDINGS = (".html", ".htm")


@suggest_argument_names
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
    """Write a report of a posterior: one HTML file that works offline.

    It shows what was fitted, how far to trust it, the results (a map, a table and a profile of every place), what a
    home costs (computed in the page from some of the draws), and how the report was made.

    Parameters
    ----------
    post : Posterior
        A fitted model.
    out : str or Path
        The file to write; its name must end in .html.
    polygons : path, GeoDataFrame or mapping, optional
        Polygons of the places, such as GeoJSON; no map if None.
    at : mapping, optional
        Predictors of the home that map and table show, {"living_space": 100}; see Posterior.homes.
    below : float, optional
        Threshold in the outcome's units for the probability in map and table; a round number near the mean of the
        average place if None.
    title : str, optional
        Title of the page; such as "Price by zip" if None.
    column : str, optional
        The property of the polygons with the labels; chosen automatically if None.
    level : str, optional
        The level of nested places to show; the finest if None.
    crs : str, optional
        CRS of the polygons, such as "EPSG:4326", if the file does not state it.

    Raises
    ------
    ModelError
        Polygons for a model without groups; an unknown predictor, or an invalid value of one.
    FileError
        The file cannot be written, or its name does not end in .html.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import priorhood as ph
    >>> sales = ph.datasets.simulate(5, 100, seed=1)[0]
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, chains=2, draws=100, seed=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = Path(folder) / "report.html"
    ...     ph.report(post, page, at={"living_space": 100}, title="Homes")
    ...     "<title>Homes</title>" in page.read_text(encoding="utf-8")
    True
    """
    from priorhood.prediction.expected import checked_home
    from priorhood.reporting.content import content

    check_report(out)
    checked_home(post.design, at or {})
    if not post.hierarchy.levels and (polygons is not None or level is not None):
        raise ModelError(
            f"{post.model.formula.text!r} has no group, so there are no places to show on a map: fit it with a "
            f"term such as '+ (1 | zip)' (priorhood fit), or leave the polygons out"
        )
    areas = None
    if polygons is not None:
        from priorhood.plot.maps.areas import read_areas

        areas = read_areas(polygons, post, column=column, level=level, crs=crs)
    elif column is not None or crs is not None:
        given = "crs" if column is None else "column"
        raise ModelError(
            f"{argument(given)} refers to polygons, but none are passed: add {argument('polygons', ...)}"
        )
    write_text(out, assemble(content(post, areas, at=at or {}, below=below, title=title, level=level)))


def check_report(out: str | Path, *inputs: str | Path) -> None:
    """Check, before any work is done, that a report can be written to this file.

    Examples
    --------
    >>> check_report("report.pdf")
    Traceback (most recent call last):
        ...
    priorhood.errors.FileError: cannot write a report to 'report.pdf'; its name must end in .html
    """
    check_writable(out, *inputs)
    if not str(out).lower().endswith(ENDINGS):
        raise FileError(f"cannot write a report to {str(out)!r}; its name must end in .html")


def assemble(data: Mapping[str, Any]) -> str:
    """Return template, style, scripts and data as one text; the data cannot close its script element."""
    folder = files("priorhood.reporting")
    text = folder.joinpath("page.html").read_text(encoding="utf-8")
    # < and > only occur inside strings in JSON.
    data = _escape(data)
    encoded = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    for sign, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("\u2028", "\\u2028")):
        encoded = encoded.replace(sign, code)
    scripts = "\n".join(folder.joinpath(name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = folder.joinpath("page.css").read_text(encoding="utf-8")
    for name, part in (("style", style), ("scripts", scripts), ("title", escape(str(data["title"])))):
        text = text.replace(f"<!--{name}-->", part)
    # Last, so that nothing in the data is mistaken for one of the placeholders above.
    return text.replace("<!--data-->", encoded)


def _escape(data: Any) -> Any:
    """Return the data with control characters escaped in every text, since labels come from files."""
    if isinstance(data, str):
        return escape_control(data)
    if isinstance(data, dict):
        return {_escape(name): _escape(value) for name, value in data.items()}
    return [_escape(value) for value in data] if isinstance(data, list | tuple) else data

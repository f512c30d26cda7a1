"""`priorhood plot KIND`: the pictures of ph.plot, drawn from a saved posterior and written to a file."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from priorhood.cli.options import (
    ROWS,
    Group,
    Picture,
    Places,
    Polygons,
    Reading,
    Saved,
    check_order,
    check_thresholds,
    takes,
)
from priorhood.cli.output import say
from priorhood.errors import FileError, ModelError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from priorhood.plot.maps.areas import Areas
    from priorhood.posterior.posterior import Posterior

ENDINGS = (".png", ".svg", ".pdf")
# Command → the function of ph whose result the function of ph.plot draws (empty if it draws the posterior itself),
# and its help. The options are that function's parameters.
PICTURES = {
    "trace": ("", "Trace plots: density and draws of every chain."),
    "predictive": ("", "Observed outcomes compared with replicated ones."),
    "pit": ("assess", "Distribution of PIT values, overall and by place."),
    "misfit": ("assess", "Places that the model fits badly, and in what way."),
    "diagnostics": ("", "R-hat, effective sample sizes, Monte Carlo errors and sampler statistics."),
    "ranks": ("", "Rank plots: do the chains agree?"),
    "sensitivity": ("sensitivity", "Shift of every parameter under scaled priors."),
    "lines": ("", "Outcome against a predictor: lines of places, with intervals, and of the average place."),
    "shrinkage": ("", "Partial pooling: arrows from every place's own estimate to its posterior mean."),
    "forest": ("", "Sorted intervals for all places: of a coefficient or, with --at, of a home's expected price."),
    "priors": ("", "Prior and posterior densities."),
    "correlation": ("", "Intercept against slope of all places, and the posterior of their correlation."),
    "price": ("", "Price distribution of a home, and the probability of a price below a threshold."),
}  # fmt: skip


def check_picture(out: Path, *inputs: str | Path | None, kind: str = "plot", others: str = "") -> None:
    """Check, before any work is done, that a picture can be drawn and written to this file.

    Raises
    ------
    FileError : the file cannot be written, or its name has another ending
    ModelError : matplotlib is not installed
    """
    from priorhood._system import check_writable
    from priorhood.plot.figure.style import check_matplotlib

    check_writable(out, *(given for given in inputs if given))
    if out.suffix.lower() not in ENDINGS:
        raise FileError(f"cannot write a {kind} to {str(out)!r}; its name must end in {', '.join(ENDINGS)}{others}")
    check_matplotlib()


def write_picture(figure: Figure, out: Path) -> None:
    """Write a picture atomically, in the format of the file's extension."""
    from priorhood._system import write_atomically

    write_atomically(out, lambda file: figure.savefig(file, format=out.suffix[1:].lower()))


def joined_areas(post: Posterior, polygons: str, options: dict[str, Any]) -> Areas:
    """Return the polygons of a posterior's places; a warning names places that have none."""
    from priorhood.plot.maps.areas import read_areas

    areas = read_areas(polygons, post, **{name: options[name] for name in ("column", "level", "crs")})
    if areas.unmatched_places:
        say(f"warning: {areas.account()}")
    return areas


def places_of(post: Posterior, labels: list[str] | None) -> dict[str, Any]:
    """Return `--group 10115 --group 12047` as the argument zip=["10115", "12047"] for the formula's group.

    Raises
    ------
    ModelError
        The formula has no group.
    """
    if not labels:
        return {}
    group = post.model.formula.group
    if not group:
        raise ModelError(f"{post.model.formula.text!r} has no group, so there are no places to choose with --group")
    return {group: labels}


NOTHING_READ = Reading()


def picture(name: str) -> Callable[..., None]:
    """Return the command that draws a picture of PICTURES."""
    evaluation, description = PICTURES[name]

    def draw(
        file: Saved, out: Picture, group: Group = None, *, options: dict[str, Any], reading: Reading = NOTHING_READ
    ) -> None:
        from priorhood import plot
        from priorhood.posterior.io import load

        rows = next((parameter for parameter in ROWS if parameter in options), "")
        check_picture(out, file, options.get(rows), options.get("places"))
        post = load(file)
        check_thresholds(post, options)
        if rows:
            options[rows] = reading.rows_if(options[rows], ROWS[rows], options.get("places"))
        if "places" in options:
            options["places"] = reading.places(options["places"])
        if evaluation:
            evaluate = getattr(import_module(f"priorhood.evaluation.{evaluation}"), evaluation)
            figure = getattr(plot, name)(evaluate(post, **options))
        else:
            figure = getattr(plot, name)(post, **options, **places_of(post, group))
        write_picture(figure, out)
        say(f"written to {out}")

    draw.__doc__ = description
    return takes(rows=True, options=evaluation or f"plot.{name}")(draw)


@takes(options="plot.prior_lines")
def prior(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A saved posterior (.nc), or a formula.")],
    out: Picture,
    table: Annotated[
        str | None, typer.Option("--data", metavar="TABLE", help="The rows, required with a formula.")
    ] = None,
    places: Places = None,
    *,
    options: dict[str, Any],
    reading: Reading,
) -> None:
    """Prior predictive check: lines of the average place and of individual places, drawn from the prior."""
    from priorhood.plot import prior_lines
    from priorhood.posterior.io import load

    check_picture(out, model if "~" not in model else None, table, places)
    subject = model if "~" in model else load(model)
    rows, known = reading.rows_if(table, "--data", places), reading.places(places)
    write_picture(prior_lines(subject, rows, places=known, **options), out)
    say(f"written to {out}")


@takes(options="plot.map: show at below column level crs")
def map_places(
    file: Saved,
    out: Annotated[Path, typer.Option("-o", "--out", help="Output file (PNG, SVG, PDF, or interactive HTML).")],
    positional: Annotated[str | None, typer.Argument(metavar="POLYGONS", hidden=True)] = None,
    polygons: Polygons = None,
    *,
    options: dict[str, Any],
) -> None:
    """Map of the price of a given home in every place, or of the probability that it costs less than --below."""
    from priorhood import plot
    from priorhood._system import check_writable
    from priorhood.posterior.io import load

    areas = polygons or positional
    if areas is None or (polygons and positional):
        raise ModelError(f"a map needs {'one file of ' if areas else ''}polygons: --polygons zips.geojson")
    check_order(file, areas, "polygons")
    page = out.suffix.lower() in (".html", ".htm")
    if page:
        check_writable(out, file, areas)
    else:
        check_picture(out, file, areas, kind="map", others=" or .html")
    post = load(file)
    check_thresholds(post, options)
    joined = joined_areas(post, areas, options)
    if page:
        plot.interactive_map(post, joined, **options).save(out)
    else:
        write_picture(plot.map(post, joined, **options), out)
    say(f"written to {out}")

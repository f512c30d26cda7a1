"""Posterior → what a report says, as plain data: one function a section."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood._text import counted, listed, near, plural, rows_of
from priorhood.errors import ModelError
from priorhood.model.equations import equations_of
from priorhood.reporting.calculator import MOST_PLACES, calculator
from priorhood.reporting.places import check_labels, places_of
from priorhood.reporting.words import unit_of, with_unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from priorhood.posterior.posterior import Posterior


def content(
    post: Posterior, areas: Any, *, at: Mapping[str, Any], below: float | None, title: str | None, level: str | None
) -> dict[str, Any]:
    """Everything that the page shows, as JSON can hold it.

    Raises
    ------
    ModelError : a name in `at` or a level that the formula does not have; a threshold that is no number
    """
    if below is not None and not math.isfinite(below):
        raise ModelError(f"below must be a finite number, not {below!r}")
    depth = _depth(post, level)
    _check_size(post, depth)
    check_labels(post, at)
    home = calculator(post, at)
    places = places_of(post, home["options"], depth, at, below)
    verdicts = [v.to_dict() for v in post.check()]
    formula = post.model.formula
    shapes = None
    if areas is not None:
        drawing, account = areas.drawing(), areas.account()
        others = "".join(drawing.others)
        shapes = {"paths": drawing.paths, "others": others, "box": drawing.box, "account": account}
    return {
        "title": title or _title(post),
        "outcome": {"name": formula.outcome_name, "unit": unit_of(post, formula.outcome_name)},
        "summary": _summary(post, places),
        "summary_checks": _checks(verdicts),
        "fitted": _fitted(post),
        "trust": {"verdicts": verdicts, "notes": list(post.notes)},
        "places": places,
        "map": shapes,
        "home": home,
        "made": _made(post),
    }


def _depth(post: Posterior, level: str | None) -> int:
    """The position of the level whose places are shown."""
    names = [one.name for one in post.hierarchy.levels]
    if level is None:
        return 0
    if level not in names:
        raise ModelError(f"the formula has no level {level!r}: {near(level, names)}")
    return names.index(level)


def _check_size(post: Posterior, depth: int) -> None:
    """Raise for more places than a page holds.

    Raises
    ------
    ModelError
    """
    levels = post.hierarchy.levels
    if not levels or levels[depth].size <= MOST_PLACES:
        return
    fits = [one.name for one in levels[depth + 1 :] if one.size <= MOST_PLACES]
    coarser = f"show the {plural(fits[0])} (level={fits[0]!r}, --level {fits[0]}), or " if fits else ""
    raise ModelError(
        f"a page holds at most {MOST_PLACES:,} places, and there are {levels[depth].size:,} "
        f"{plural(levels[depth].name)}: {coarser}write a table of all: post.predict(post.homes())"
    )


def _title(post: Posterior) -> str:
    """Price by zip; price by living_space and type where there are no groups."""
    names = [one.name for one in post.hierarchy.groupings] or list(post.design.variables)
    return _capital(post.model.formula.outcome_name + (f" by {listed(names)}" if names else ""))


def _summary(post: Posterior, places: dict[str, Any]) -> list[str]:
    """What was found, in two or three sentences."""
    a, formula = post.attrs, post.model.formula
    groups = listed([counted(one.size, one.title) for one in post.hierarchy.groupings])
    home, average = places["home"], places["average"]
    where = f" in the average {formula.group}" if formula.group else ""
    if formula.group and places["name"] != formula.group:
        where += f" of the average {places['name']}"
    lead = f"At {home}, the" if home else "The"
    told, low, high = (with_unit(average[key], average["sd"], places["unit"]) for key in ("mean", "low", "high"))
    sentences = [
        f"{rows_of(int(a['rows_used']))}{' in ' if groups else ''}{groups}.",
        f"{lead} expected {formula.outcome_name}{where} is {told} (90\u00a0% interval {low} to {high})"
        f"{'' if places['centre'] == 'mean' else ', by its median, for the mean is infinite'}.",
    ]
    if places["apart"] is not None and len(places["rows"]) > 1:
        sentences.append(_range_of(places))
    return sentences


def _range_of(places: dict[str, Any]) -> str:
    """From the least place to the dearest, and how far places are apart."""
    unit = places["unit"]
    ends = [end(places["rows"], key=lambda row: row["mean"]) for end in (min, max)]
    low, high = (f"{with_unit(row['mean'], row['sd'], unit)} in {row['label']}" for row in ends)
    apart = with_unit(places["apart"], places["apart"], unit)
    return f"It goes from {low} to {high}; {plural(places['name'])} differ by an sd of {apart}."


def _checks(verdicts: list[dict[str, Any]]) -> list[Any]:
    """What the checks come to, and whether all are good."""
    bad = [v["about"] for v in verdicts if not v["good"]]
    if not bad:
        return ["The one check is good." if len(verdicts) == 1 else f"All {len(verdicts)} checks are good.", True]
    ask = "asks" if len(bad) == 1 else "ask"
    return [f"{len(bad)} of {len(verdicts)} checks {ask} for a second look: {', '.join(bad)}.", False]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _fitted(post: Posterior) -> dict[str, Any]:
    """Equations, priors, and the account of rows."""
    equations = equations_of(post.model, post.design, post.scale)
    a = post.attrs
    rows = [["read", int(a["rows_read"])], ["used", post.moments.listed]]
    if post.model.frequency_weights:
        rows.append([f"stand for (by {post.model.frequency_weights})", int(a["rows_used"])])
    return {
        "formula": equations.formula,
        "equations": equations.lines,
        "priors": [list(row) for row in equations.priors],
        "rows": rows,
        "dropped": [[d.why, d.rows] for d in post.moments.dropped],
    }


def _made(post: Posterior) -> list[list[str]]:
    """Engine, seed, versions: what another person needs to make the same draws."""
    a = post.attrs
    size = post._sizes
    # Its name only: where it lies is no one else's business.
    source = post.tree.encoding.get("source")
    rows = [["posterior", Path(source).name]] if source else []
    rows += [
        ["engine", f"{a['engine']}: {a['engine_reason']}" if a.get("engine_reason") else str(a["engine"])],
        ["draws", f"{size['chain']} chains × {size['draw']:,}"],
        ["seed", str(a["seed"])],
    ]
    if "acceptance" in a:
        rows.append(["acceptance", f"{a['acceptance']:.0%}"])
    if "log_evidence" in a:
        rows.append(["log evidence", f"{a['log_evidence']:,.2f} ± {a['log_evidence_error']:.2g}"])
    rows += [[key, str(a[key])] for key in ("sampler", "parameterization", "divergences") if key in a]
    if "created_at" in a:
        rows.append(["drawn at", str(a["created_at"])])
    versions = json.loads(a["versions"]) if "versions" in a else {}
    rows += [[name, str(version)] for name, version in versions.items()]
    rows.append(["file format", str(a["priorhood_format"])])
    return rows

"""Content of a report as plain data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from priorhood._arguments import check_finite
from priorhood._text import argument, code_or_command, count_noun, join_words, plural, row_count, suggestion
from priorhood.errors import ModelError
from priorhood.model.equations import equations_of
from priorhood.reporting.calculator import MAX_PLACES, calculator
from priorhood.reporting.places import check_labels, places_of
from priorhood.reporting.words import unit_of, with_unit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from priorhood.posterior.posterior import Posterior


def content(
    post: Posterior, areas: Any, *, at: Mapping[str, Any], below: float | None, title: str | None, level: str | None
) -> dict[str, Any]:
    """Return everything that the page shows, ready for JSON.

    Raises
    ------
    ModelError : a name in `at` or a level that the formula does not have; a threshold that is not finite; too many
        places for one page
    """
    if below is not None:
        below = check_finite("below", below)
    formula, levels = post.model.formula, post.hierarchy.levels
    names = [one.name for one in levels]
    if level is not None and level not in names:
        raise ModelError(f"the formula has no level {level!r}: {suggestion(level, names)}")
    depth = 0 if level is None else names.index(level)
    if levels and levels[depth].size > MAX_PLACES:
        fits = [one.name for one in levels[depth + 1 :] if one.size <= MAX_PLACES]
        coarser = f"show the {plural(fits[0])} ({argument('level', fits[0])}), or " if fits else ""
        table = code_or_command("with post.predict(post.homes())", "with priorhood predict")
        raise ModelError(
            f"a page shows at most {MAX_PLACES:,} places, but there are {levels[depth].size:,} "
            f"{plural(levels[depth].name)}: {coarser}write a table of all {table}"
        )
    check_labels(post, at)
    home = calculator(post, at)
    places = places_of(post, home["options"], depth, at, below)
    if not title:  # "Price by zip", or "Price by living_space and type" without groups
        by = join_words([one.name for one in post.hierarchy.groupings] or list(post.design.variables))
        title = formula.outcome_name + (f" by {by}" if by else "")
        title = title[:1].upper() + title[1:]
    verdicts = [v.to_dict() for v in post.check()]
    bad = [v["about"] for v in verdicts if not v["good"]]
    checks = "The only check passed." if len(verdicts) == 1 else f"All {len(verdicts)} checks passed."
    if bad:
        need = "needs" if len(bad) == 1 else "need"
        checks = f"{len(bad)} of {len(verdicts)} checks {need} attention: {', '.join(bad)}."
    equations = equations_of(post.model, post.design, post.scale)
    rows = [["read", int(post.attrs["rows_read"])], ["used", post.moments.listed]]
    if post.model.frequency_weights:
        rows.append([f"represented (by {post.model.frequency_weights})", int(post.attrs["rows_used"])])
    shapes = None
    if areas is not None:
        drawing = areas.drawing()
        shapes = {"paths": drawing.paths, "others": "".join(drawing.others), "box": drawing.box,
                  "account": areas.account()}  # fmt: skip
    return {
        "title": title,
        "outcome": {"name": formula.outcome_name, "unit": unit_of(post, formula.outcome_name)},
        "summary": _summary(post, places),
        "summary_checks": [checks, not bad],
        "fitted": {
            "formula": equations.formula,
            "equations": equations.lines,
            "priors": [list(row) for row in equations.priors],
            "rows": rows,
            "dropped": [[dropped.why, dropped.rows] for dropped in post.moments.dropped],
        },
        "trust": {"verdicts": verdicts, "notes": list(post.notes)},
        "places": places,
        "map": shapes,
        "home": home,
        "made": _made(post),
    }


def _summary(post: Posterior, places: dict[str, Any]) -> list[str]:
    """Return the results in two or three sentences."""
    formula, average, unit = post.model.formula, places["average"], places["unit"]
    groups = join_words([count_noun(one.size, one.title) for one in post.hierarchy.groupings])
    where = f" in the average {formula.group}" if formula.group else ""
    if formula.group and places["name"] != formula.group:
        where += f" of the average {places['name']}"
    lead = f"At {places['home']}, the" if places["home"] else "The"
    mean, low, high = (with_unit(average[key], average["sd"], unit) for key in ("mean", "low", "high"))
    sentences = [
        f"{row_count(int(post.attrs['rows_used']))}{' in ' if groups else ''}{groups}.",
        f"{lead} expected {formula.outcome_name}{where} is {mean} (90\u00a0% interval {low} to {high})"
        f"{'' if places['centre'] == 'mean' else '; this is the median, because the mean is infinite'}.",
    ]
    if places["apart"] is not None and len(places["rows"]) > 1:
        extremes = [pick(places["rows"], key=lambda row: row["mean"]) for pick in (min, max)]
        low, high = (f"{with_unit(row['mean'], row['sd'], unit)} in {row['label']}" for row in extremes)
        apart = with_unit(places["apart"], places["apart"], unit)
        sentences.append(f"It ranges from {low} to {high}; the sd across {plural(places['name'])} is {apart}.")
    return sentences


def _made(post: Posterior) -> list[list[str]]:
    """Return engine, seed and versions: everything needed to reproduce the draws."""
    a = post.attrs
    size = post._sizes
    # Only the name of the file: its folder is private.
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

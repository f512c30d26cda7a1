"""`priorhood sensitivity`: the posterior under other priors."""

from __future__ import annotations

from typing import Any

from priorhood.cli.options import Json, Saved, takes
from priorhood.cli.output import announce_compile, console, print_frame, print_json, progress, records


@takes(options="sensitivity")
def sensitivity(file: Saved, *, options: dict[str, Any], as_json: Json = False) -> None:
    """Measure how far the posterior moves when each prior is made narrower or wider, from the file alone."""
    from priorhood.evaluation.sensitivity import sensitivity as run
    from priorhood.posterior.io import load

    post = load(file)
    announce_compile(quiet=as_json, by_group=post.model.noise is not None)
    with progress(quiet=as_json) as report:
        result = run(post, progress=report, **options)
    if as_json:
        print_json(good=result.good, verdict=result.verdict, note=result.note, table=records(result.table))
        return
    # The parameter that moves most for each prior and factor, and all that move far.
    ranked = result.table.assign(size=result.table["shift"].abs())
    ranked = ranked.sort_values("size", ascending=False, kind="stable")
    most = ~ranked.duplicated(["prior", "factor"])
    columns = ["prior", "factor", "parameter", "shift", "sd_ratio", "log_evidence_change", "far"]
    print_frame(
        ranked[most | ranked["far"]].sort_index()[columns],
        "for each prior, the parameter that moves most: its shift in posterior sds",
    )
    console().print(f"{'✓' if result.good else '✗'} {result.verdict}", soft_wrap=True)
    if result.note:
        console().print(result.note, soft_wrap=True)

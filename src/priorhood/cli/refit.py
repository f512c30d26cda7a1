"""`priorhood refit`: a saved fit under other priors."""

from __future__ import annotations

from typing import Any

from priorhood.cli.fit import save_fit
from priorhood.cli.options import Json, OutNc, Saved, takes


@takes(run="refit")
def refit(file: Saved, out: OutNc, *, run: dict[str, Any], as_json: Json = False) -> None:
    """Fit again with other priors, from a saved posterior alone."""
    from priorhood.fitting.fit import refit as run_refit
    from priorhood.posterior.io import load

    post = load(file)
    save_fit(
        lambda report: run_refit(post, progress=report, **run),
        out, str(file), as_json=as_json,
    )  # fmt: skip

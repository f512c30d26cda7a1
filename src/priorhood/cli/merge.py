"""`priorhood merge`: saved fits of one model, pooled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from priorhood.cli.fit import save_fit
from priorhood.cli.options import Json, OutNc, takes


@takes(run="merge")
def merge(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Saved posteriors (.nc) of the same model.", show_default=False),
    ],
    out: OutNc,
    *,
    run: dict[str, Any],
    as_json: Json = False,
) -> None:
    """Pool several saved posteriors of one model into the posterior of all their rows."""
    from priorhood.fitting.fit import merge as run_merge
    from priorhood.posterior.io import load

    posts = [load(file) for file in files]
    save_fit(
        lambda report: run_merge(*posts, progress=report, **run),
        out, *map(str, files), as_json=as_json,
    )  # fmt: skip

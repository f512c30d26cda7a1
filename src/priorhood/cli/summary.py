"""`priorhood summary`: what a saved posterior says."""

from __future__ import annotations

from typing import Annotated

import typer

from priorhood.cli.options import Json, Saved
from priorhood.cli.output import print_summary


def summary(
    file: Saved,
    standardized: Annotated[
        bool, typer.Option("--standardized", help="Use the standardized scale instead of the data's units.")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Include the parameters of every place.")] = False,
    as_json: Json = False,
) -> None:
    """Print the model and the estimates of a saved fit, and how it was made."""
    from priorhood.posterior.io import load

    print_summary(load(file), as_json=as_json, everything=everything, standardized=standardized)

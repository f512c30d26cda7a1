"""lme4's lmer: the point estimate that most people take."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from bench.case import MODELS, Reference, Result
from bench.clock import ONE_THREAD, output_of, whole_process

if TYPE_CHECKING:
    import pandas as pd

    from bench.case import Effort

NAME = "lme4"
SCRIPT = Path(__file__).parents[1] / "scripts" / "lmer.R"


def unavailable() -> str | None:
    """Why it cannot be run here."""
    if shutil.which("Rscript") is None:
        return "there is no Rscript on the path"
    asked = ["Rscript", "-e", 'quit(status = !requireNamespace("lme4", quietly = TRUE))']
    return "R has no package lme4" if subprocess.run(asked, capture_output=True).returncode else None


def run(model: str, frame: pd.DataFrame, reference: Reference, effort: Effort) -> Result:
    """Fits inside one R after warm-up, and whole R processes that read the CSV and fit once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame.to_csv(folder / "sales.csv", index=False)
        scale = [repr(reference.centre), repr(reference.spread), repr(reference.unit)]
        command = ["Rscript", str(SCRIPT), "sales.csv", MODELS[model], *scale]
        told = json.loads(output_of([*command, str(effort.fits)], folder, ONE_THREAD))
        ended = [whole_process([*command, "1"], folder, ONE_THREAD) for _ in range(effort.processes + 1)][1:]
    means = {k: np.array(told[k], dtype=float) for k in reference.mean}
    return Result(
        NAME,
        model,
        "point estimate",
        tuple(told["seconds"]),
        process=tuple(e.seconds for e in ended),
        difference=reference.difference(means),
        versions={"lme4": told["lme4"], "R": told["R"]},
        threads="1 thread",
    )

"""priorhood itself: from a frame in memory to labelled draws of every parameter in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

import priorhood as ph
from bench.case import CHAINS, DRAWS, MODELS, Measurement, sales
from bench.clock import repeat

if TYPE_CHECKING:
    import pandas as pd

    from bench.case import Effort

NAME = "priorhood"
AGAIN = f"python -m bench --only {NAME}"


def measure(effort: Effort) -> list[Measurement]:
    """Both models on the demo's sales."""
    frame = sales()
    return [one for model in MODELS for one in _model(model, frame, effort)]


def _model(model: str, frame: pd.DataFrame, effort: Effort) -> list[Measurement]:
    """Time whole fits, each with another seed; judge the draws of some of them."""
    formula = ph.Model(MODELS[model])

    def fits(rows: object, count: int) -> tuple[float, ...]:
        return repeat(
            lambda at: ph.fit(formula, rows, seed=1000 + at, chains=CHAINS, draws=DRAWS), count, warm_up=3
        )

    seconds = fits(frame, effort.fits)
    from_polars = fits(pl.from_pandas(frame), effort.fits)
    posts = [ph.fit(formula, frame, seed=1 + at, chains=CHAINS, draws=DRAWS) for at in range(effort.seeds)]
    summaries = [post.summary(standardized=True) for post in posts]
    parameters = len(summaries[0])
    least = tuple(float(s["ess_bulk"].min()) for s in summaries)
    greatest = tuple(float(s["r_hat"].max()) for s in summaries)
    told = f"{CHAINS} × {DRAWS} draws of {parameters} parameters, {model}"
    return [
        Measurement(f"fit_{model}", f"pandas frame → {told}", "s", seconds, AGAIN, target=0.10),
        Measurement(f"fit_polars_{model}", f"Polars frame → {told}", "s", from_polars, AGAIN, target=0.10),
        Measurement(
            f"ess_{model}", f"least bulk ESS of them, {model}", "", least, AGAIN,
            target=3000.0, at_most=False, worst=True,
        ),
        Measurement(
            f"rhat_{model}", f"greatest R-hat of them, {model}", "", greatest, AGAIN, target=1.01, worst=True,
        ),
    ]  # fmt: skip

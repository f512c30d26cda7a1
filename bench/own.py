"""priorhood itself: from a frame in memory to draws of every parameter in memory, beside lme4's estimate."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

import priorhood as ph
from bench.case import CHAINS, DRAWS, MODELS, Measurement, sales
from bench.clock import repeat
from bench.contenders import CONTENDERS
from bench.contest import Limits, answered
from bench.environments import command_of

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

    estimated = _by_lme4(model, frame, effort)
    seconds = fits(frame, effort.fits)
    # Before and after: what else the machine does is the same for both.
    estimated += _by_lme4(model, frame, effort)
    from_polars = fits(pl.from_pandas(frame), effort.fits)
    posts = [ph.fit(formula, frame, seed=1 + at, chains=CHAINS, draws=DRAWS) for at in range(effort.seeds)]
    summaries = [post.summary(standardized=True) for post in posts]
    parameters = len(summaries[0])
    least = tuple(float(s["ess_bulk"].min()) for s in summaries)
    greatest = tuple(float(s["r_hat"].max()) for s in summaries)
    told = f"{CHAINS} × {DRAWS} draws of {parameters} parameters, {model}"
    beside = []
    if estimated:
        ratio = statistics.median(seconds) / statistics.median(estimated)
        beside = [
            Measurement(
                f"lme4_{model}", f"lme4, one thread: data frame → estimate, {model}", "s", estimated, AGAIN
            ),
            Measurement(
                f"fit_lme4_{model}",
                f"pandas frame → {told}, in lme4's estimates",
                "×",
                (ratio,),
                AGAIN,
                target=0.7 if model == "correlated" else None,
            ),
        ]
    return [
        Measurement(f"fit_{model}", f"pandas frame → {told}", "s", seconds, AGAIN, target=0.10),
        *beside,
        Measurement(f"fit_polars_{model}", f"Polars frame → {told}", "s", from_polars, AGAIN, target=0.10),
        Measurement(
            f"ess_{model}", f"least bulk ESS of them, {model}", "", least, AGAIN,
            target=3000.0, at_most=False, worst=True,
        ),
        Measurement(
            f"rhat_{model}", f"greatest R-hat of them, {model}", "", greatest, AGAIN, target=1.01, worst=True,
        ),
    ]  # fmt: skip


def _by_lme4(model: str, frame: pd.DataFrame, effort: Effort) -> tuple[float, ...]:
    """Seconds of lme4's further fits of the same rows, standardized as it wants them; none without it."""
    lme4 = CONTENDERS["lme4"]
    command, _ = command_of(lme4)
    if not command:
        return ()
    space = frame["living_space"]
    rows = {"g": frame["zip"], "x": (space - space.mean()) / space.std(), "y": frame["price"] / 100_000}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pl.DataFrame({column: values.to_numpy() for column, values in rows.items()}).write_csv(folder / "rows.csv")
        asked = {
            "data": str(folder / "rows.csv"), "model": model, "places": sorted(set(frame["zip"])), "chains": CHAINS,
            "draws": DRAWS,
        }  # fmt: skip
        found = answered(lme4, asked, Limits(fits=effort.fits // 2), command, folder, twice=False)
    return tuple(found.get("fits", ()))

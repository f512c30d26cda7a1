"""Leave-one-row-out and leave-one-place-out of the benchmark's model; ArviZ's PSIS-LOO of the same posterior."""

from __future__ import annotations

import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import priorhood as ph
from bench.case import CORRELATED, Measurement, sales
from bench.clock import repeat

if TYPE_CHECKING:
    from bench.case import Effort

AGAIN = "python -m bench --only leaveout"


def _places(post: ph.Posterior, _: int) -> None:
    ph.loo_places(post)


def _rows(post: ph.Posterior, frame: Any, _: int) -> None:
    ph.loo(post, frame)


def _arviz(post: ph.Posterior, frame: Any, _: int) -> None:
    from arviz_stats.base import array_stats

    drawn = ph.posterior_predictive(post, frame)["log_likelihood"]["price"].values
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in range(drawn.shape[2]):
            array_stats.loo(drawn[:, :, row], chain_axis=0, draw_axis=1)


def measure(effort: Effort) -> list[Measurement]:
    """From a posterior (and its rows in memory) to elpd with standard error and Pareto k."""
    frame = sales()
    post = ph.fit(CORRELATED, frame, seed=1)
    told = ph.loo(post, frame)
    note = f"{len(told.bad)} rows with a Pareto k over {told.good_k:.2f}, Monte Carlo error {told.mcse:.2g}"
    jobs: dict[str, tuple[Any, int, float | None, str]] = {
        "places, 219 ZIP codes": (partial(_places, post), effort.fits // 3, 2.0, ""),
        "rows, 7,500": (partial(_rows, post, frame), effort.fits // 3, None, note),
        "rows, 7,500, log-likelihoods and ArviZ's PSIS": (partial(_arviz, post, frame), 1, None, ""),
    }
    return [
        Measurement(
            f"leave out {what}", f"leave-one-out, {what}", "s", repeat(job, times), AGAIN, target, note=said
        )
        for what, (job, times, target, said) in jobs.items()
    ]

"""A residual sd for every ZIP code, by the exact engine: fits, worst ESS, and the kernel of one θ."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import priorhood as ph
from bench.case import CHAINS, DRAWS, MODELS, Measurement, sales
from bench.clock import repeat
from priorhood.data.sources.table import read
from priorhood.engines.adapt import to_exact
from priorhood.suffstats import collect
from priorhood.suffstats.fit_data import FitData

if TYPE_CHECKING:
    from bench.case import Effort
    from priorhood.engines.exact.group_noise import GroupNoiseDensity

AGAIN = "python -m bench --only noise"
PRIORS = {"alike": None, "independent": "sigma ~ Exponential(5)"}
BATCH = 200


def _fit(model: ph.Model, frame: Any, at: int) -> ph.Posterior:
    return ph.fit(model, frame, seed=1000 + at, chains=CHAINS, draws=DRAWS)


def _density(model: ph.Model, frame: Any) -> tuple[GroupNoiseDensity, np.ndarray]:
    """The density on one thread, and θ near the mode, as most proposals are."""
    from priorhood.engines.exact.group_noise import GroupNoiseDensity
    from priorhood.engines.exact.mode_search import find_modes

    design, found = collect.collect_moments(read(frame), model.formula)
    problem = to_exact(FitData.learn(model, design, found))
    density, rng = GroupNoiseDensity(problem, 1), np.random.default_rng(1)  # type: ignore[arg-type]
    modes = find_modes(density, rng)
    factor = np.linalg.cholesky(modes.covariances[0])
    return density, modes.means[0] + rng.standard_normal((BATCH, len(factor))) @ factor.T


def measure(effort: Effort) -> list[Measurement]:
    """The benchmark's two formulas under both priors of the residual sds."""
    frame = sales()
    found = []
    for formula, (name, prior) in ((f, p) for f in MODELS for p in PRIORS.items()):
        model = ph.Model(MODELS[formula], prior, noise="zip")
        key = f"{formula}_{name}"
        seconds = repeat(partial(_fit, model, frame), max(effort.fits // 5, 2), warm_up=1)
        told = f"{CHAINS} × {DRAWS} draws, noise by ZIP code, {name}, {formula}"
        found.append(Measurement(f"noise_fit_{key}", f"pandas frame → {told}", "s", seconds, AGAIN, target=2.0))
        least = tuple(float(_fit(model, frame, -at).summary()["ess_bulk"].min()) for at in range(effort.seeds))
        found.append(
            Measurement(
                f"noise_ess_{key}", f"least bulk ESS, {told}", "", least, AGAIN, target=2000.0, at_most=False,
                worst=True,
            )
        )  # fmt: skip
    for name, prior in PRIORS.items():
        model = ph.Model(MODELS["independent"], prior, noise="zip")
        density, theta = _density(model, frame)
        each = BATCH * density.problem.base.J
        times = repeat(lambda _, f=density, x=theta: f(x), effort.fits, warm_up=1)
        nanoseconds = tuple(1e9 * t / each for t in times)
        found.append(
            Measurement(f"noise_kernel_{name}", f"(θ, group), one thread, {name}", "ns", nanoseconds, AGAIN)
        )
    return found

"""The compiled kernel: nanoseconds a (θ, group) on one core, for both models, and the kernel of noise by place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

import priorhood as ph
from bench.case import DATA_SEED, FORMULAS, PLACES, ROWS, Measurement, sales
from bench.process import repeat
from priorhood.data.rows import prepare_rows
from priorhood.engines.adapt import to_exact
from priorhood.engines.exact.group_noise import GroupNoiseDensity
from priorhood.engines.exact.marginal import collapse, log_marginal
from priorhood.engines.exact.mode_search import find_modes
from priorhood.engines.exact.theta import Theta
from priorhood.suffstats.collect import collect_moments
from priorhood.suffstats.fit_data import FitData

if TYPE_CHECKING:
    from bench.case import Effort

# places, rows, posterior draws of θ taken as the batch
SIZES = ((PLACES, ROWS, 4000), (20_000, 200_000, 200))
BATCH = 200
# How the residual sds of places vary, in words, by the name of the prior
POOLING = {"alike": "partially pooled", "independent": "unpooled"}


def measure(effort: Effort) -> list[Measurement]:
    """The kernel at two sizes, on θ from the posterior."""
    measured = []
    for places, rows, thetas in SIZES:
        frame, _ = ph.simulate(places, rows, DATA_SEED)
        for label, formula in FORMULAS.items():
            post = ph.fit(formula, frame, seed=1, draws=thetas // 4)
            tau = post["tau"].values.reshape(thetas, -1)
            K = tau.shape[1]
            omega = post["omega"].values.reshape(thetas, K, K) if label == "correlated" else np.eye(K)
            chol = np.linalg.cholesky(np.broadcast_to(omega, (thetas, K, K)))
            theta, collapsed = Theta((tau,), (chol,), post["sigma"].values.ravel()), collapse(to_exact(post.data))
            seconds = repeat(lambda _, c=collapsed, t=theta: log_marginal(c, t, threads=1), effort.fits)
            ns = tuple(s / (thetas * places) * 1e9 for s in seconds)
            what = f"kernel, one core, {places:,} groups, {label}"
            measured.append(Measurement(f"kernel_{label}_{places}", what, "ns per (θ, group)", ns, target=25.0))
    return measured


def measure_noise(priors: dict[str, str | None], effort: Effort) -> list[Measurement]:
    """The kernel of a residual sd for every ZIP code, on θ near the mode, as most proposals are."""
    measured = []
    for name, prior in priors.items():
        model = ph.Model(FORMULAS["independent"], prior, noise="zip")
        rows = prepare_rows(sales(), model.formula)
        problem = to_exact(FitData.learn(model, rows.design, collect_moments(rows)))
        density, rng = GroupNoiseDensity(problem, 1), np.random.default_rng(1)
        modes = find_modes(density, rng)
        factor = np.linalg.cholesky(modes.covariances[0])
        theta = modes.means[0] + rng.standard_normal((BATCH, len(factor))) @ factor.T
        times = repeat(lambda _, f=density, x=theta: f(x), effort.fits, warm_up=1)
        ns = tuple(1e9 * t / (BATCH * problem.base.J) for t in times)
        what = f"(θ, group), one thread, residual sd by ZIP code: {POOLING[name]}"
        measured.append(Measurement(f"noise_kernel_{name}", what, "ns", ns))
    return measured

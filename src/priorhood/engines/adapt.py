"""The exact engine's Problem of a model and its sufficient statistics: no labels, no units (math.md, section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.model.priors import Fixed

if TYPE_CHECKING:
    from priorhood.engines import exact
    from priorhood.suffstats.fit_data import FitData


def to_exact(data: FitData) -> exact.Problem | exact.GroupNoiseProblem:
    """Return the exact engine's problem of a model and its sums (math.md, section 2)."""
    from priorhood.engines import exact

    model, design, scale, moments = data.model, data.design, data.scale, data.moments
    resolved, hierarchy = data.resolved, data.hierarchy
    sums = exact.CentredSums(moments.n, *data.standardized, moments.weight, moments.log_weight)
    noise: exact.PooledNoise | exact.UnpooledNoise | None = None
    if resolved.sigma_median is not None and resolved.sigma_spread is not None:
        noise = exact.PooledNoise(resolved.sigma_median, resolved.sigma_spread)
    elif model.noise is not None and resolved.sigma is not None and not isinstance(resolved.sigma, Fixed):
        noise = exact.UnpooledNoise(resolved.sigma)
    # With w = 1/se² in the outcome's own unit, σ²/w = (se/unit)² is the error variance of the standardized outcome.
    known = Fixed(1.0) if noise else Fixed(1.0 / scale.unit)
    sigma = known if noise or resolved.sigma is None else resolved.sigma
    depth = len(hierarchy.levels)
    varying: list[dict[str, Any]] = [
        {
            "cols": np.array(design.index(design.level_columns(at)), dtype=np.int64),
            "tau": resolved.tau[at],
            "omega": resolved.omega[at],
        }
        for at in range(len(hierarchy.groupings))
    ]
    problem = exact.build_problem(
        sums,
        exact.Root(
            cols=np.array(design.index(design.population_columns), dtype=np.int64),
            mean=np.array([p.mean for p in resolved.mu]),
            sd=np.array([p.sd for p in resolved.mu]),
        ),
        tuple(exact.Level(**varying[at], starts=hierarchy.starts(at)) for at in range(depth)),
        sigma,
        constant=design.constant,
        crossed=tuple(
            exact.Crossed(**given, of_cell=places.of_cell, size=places.size)
            for places, given in zip(hierarchy.crossed, varying[depth:], strict=True)
        ),
        leaf=hierarchy.levels[0].of_cell if hierarchy.levels else None,
    )
    if noise is None:
        return problem
    return exact.GroupNoiseProblem(problem, exact.compress(sums, problem.shift), noise)

"""priorhood with the paper's model and priors, from the file."""

from __future__ import annotations

from typing import Any

import numpy as np
import protocol

import priorhood as ph

FORMULA = "y ~ 0 + x1 + x2 + x3 + x4 + x5 + (1 | g)"
PRIORS = ("mu ~ Normal(0, 10)", "tau ~ HalfStudentT(3, 2.5)", "sigma ~ HalfStudentT(3, 2.5)")


def fit(path: str, asked: protocol.Asked, seed: int) -> ph.Posterior:
    """As many draws as asked for, columns and outcome as they are."""
    model = ph.Model(FORMULA, PRIORS, standardize=False, outcome_unit=1.0)
    return ph.fit(model, path, seed=seed, chains=asked["chains"], draws=asked["draws"])


def collect(post: ph.Posterior, path: str, asked: protocol.Asked) -> protocol.Found:
    """Without an intercept of the population, a group's coefficient is its effect."""
    found: dict[str, Any] = {name: np.asarray(post[name]) for name in ("mu", "tau", "sigma")}
    return found | {"beta": np.asarray(post["beta"].sel(g=[str(place) for place in asked["places"]]))}


if __name__ == "__main__":
    protocol.run(fit, collect, {"priorhood": ph.__version__}, read=lambda asked: asked["data"])

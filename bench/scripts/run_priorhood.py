"""priorhood: every fit from the file, so that the pass over the rows is part of each."""

from __future__ import annotations

from typing import Any

import numpy as np
import protocol

import priorhood as ph

# The last one is that of the published grid, with the paper's priors.
FORMULAS = {
    "independent": "y ~ x + (x || g)",
    "correlated": "y ~ x + (x | g)",
    "grid": "y ~ 0 + x1 + x2 + x3 + x4 + x5 + (1 | g)",
}
PRIORS = {"grid": ("mu ~ Normal(0, 10)", "tau ~ HalfStudentT(3, 2.5)", "sigma ~ HalfStudentT(3, 2.5)")}


def fit(path: str, asked: protocol.Asked, seed: int) -> ph.Posterior:
    """The posterior of all places; columns and outcome as they are, for the same priors as the others'."""
    which = asked["model"]
    model = ph.Model(FORMULAS[which], PRIORS.get(which), standardize=False, outcome_unit=1.0)
    return ph.fit(model, path, seed=seed, chains=asked["chains"], draws=asked["draws"])


def collect(post: ph.Posterior, path: str, asked: protocol.Asked) -> protocol.Parameters:
    """The draws of the population and of the places asked for."""
    draws: dict[str, Any] = {name: np.asarray(post[name]) for name in ("mu", "tau", "sigma")}
    if asked["model"] == "correlated":
        draws["omega"] = np.asarray(post["omega"])[..., 1, 0]
    # Of very many places no draws are stored: those asked for are made.
    return draws | {"beta": np.asarray(post.draws(g=[str(place) for place in asked["places"]]))}


if __name__ == "__main__":
    protocol.run(fit, collect, {"priorhood": ph.__version__}, read=lambda asked: asked["data"])

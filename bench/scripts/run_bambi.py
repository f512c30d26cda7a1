"""bambi: lme4's formulas for PyMC. Its effects of a group are independent: `(x | g)` has no correlation there."""

from __future__ import annotations

from typing import Any

import bambi as bmb
import numpy as np
import protocol
import pymc as pm


def priors() -> dict[str, bmb.Prior]:
    """Priorhood's defaults."""
    spread = bmb.Prior("Exponential", lam=0.2)
    effect = bmb.Prior("Normal", mu=0.0, sigma=spread)
    return {
        "Intercept": bmb.Prior("Normal", mu=0.0, sigma=20.0),
        "x": bmb.Prior("Normal", mu=0.0, sigma=5.0),
        "1|g": effect,
        "x|g": effect,
        "sigma": spread,
    }


def fit(rows: protocol.Rows, asked: protocol.Asked, seed: int) -> Any:
    """Build, compile and sample; centred, as the others."""
    model = bmb.Model(
        "y ~ x + (x | g)", rows.frame, priors=priors(), categorical=["g"], noncentered=False, auto_scale=False,
        center_predictors=False,
    )  # fmt: skip
    return model.fit(
        draws=asked["draws"], tune=asked["tune"], chains=asked["chains"], cores=asked["cores"], random_seed=seed,
        inference_method="pymc", progressbar=False, compute_convergence_checks=False,
    )  # fmt: skip


def collect(tree: Any, rows: protocol.Rows, asked: protocol.Asked) -> protocol.Parameters:
    """Means and spreads as priorhood has them; a place's coefficients are the average plus its effects."""
    drawn = tree["posterior"]
    mu = np.stack([np.asarray(drawn[name]) for name in ("Intercept", "x")], axis=-1)
    tau = np.stack([np.asarray(drawn[name]) for name in ("1|g_sigma", "x|g_sigma")], axis=-1)
    effects = np.stack([np.asarray(drawn[name])[:, :, rows.places] for name in ("1|g", "x|g")], axis=-1)
    return {"mu": mu, "tau": tau, "sigma": np.asarray(drawn["sigma"]), "beta": mu[:, :, None] + effects}


if __name__ == "__main__":
    protocol.run(fit, collect, {"bambi": bmb.__version__, "PyMC": pm.__version__})

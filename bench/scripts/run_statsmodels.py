"""statsmodels' MixedLM: a point estimate, by REML."""

from __future__ import annotations

from typing import Any

import numpy as np
import protocol
import statsmodels
import statsmodels.api as sm
from statsmodels.regression.mixed_linear_model import MixedLMParams


def fit(rows: protocol.Rows, asked: protocol.Asked, seed: int) -> Any:
    """The estimate and every place's effects; the seed changes nothing."""
    design = np.column_stack([np.ones_like(rows.x), rows.x])
    model = sm.MixedLM(rows.y, design, groups=rows.codes, exog_re=design)
    # Without correlations the covariances are held at 0.
    free = None
    if asked["model"] == "independent":
        free = MixedLMParams.from_components(fe_params=np.ones(2), cov_re=np.eye(2))
    result = model.fit(reml=True, free=free)
    return result, result.random_effects


def collect(fitted: Any, rows: protocol.Rows, asked: protocol.Asked) -> protocol.Parameters:
    """Scales as sds, the places' predicted coefficients."""
    result, effects = fitted
    spread = np.asarray(result.cov_re)
    tau = np.sqrt(np.diag(spread))
    mu = np.asarray(result.fe_params)
    out = {"mu": mu, "tau": tau, "sigma": np.sqrt(result.scale)}
    if asked["model"] == "correlated":
        out["omega"] = spread[1, 0] / tau.prod()
    return out | {"beta": mu + np.stack([np.asarray(effects[place]) for place in rows.places])}


if __name__ == "__main__":
    protocol.run(fit, collect, {"statsmodels": statsmodels.__version__})

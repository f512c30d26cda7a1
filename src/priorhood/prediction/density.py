"""The predictive density of a row: its density averaged over all draws (math.md, equation 18)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from priorhood.prediction.places import Groups
from priorhood.prediction.rows import locations, table_rows

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.data.sources.table import Table
    from priorhood.prediction.coefficients import Coefficients

BLOCK = 2**20  # values computed at a time


def predictive_density(c: Coefficients, table: Table, at: Array, unseen: str, seed: int) -> Array:
    """Return the density p(t) = mean_s Normal(t | m_s, σ_s²), or Student's, of every row's outcome.

    Parameters
    ----------
    c : Coefficients
        draws of the model's parameters
    table : Table
        rows to predict
    at : array (T,)
        outcomes t in their own units; if the formula takes the log, the density is p(log t)/t, and 0 at t ≤ 0
    unseen, seed : str, int
        see Posterior.predict

    Returns
    -------
    array (n, T)
        density per unit of the outcome, exact up to rounding, without simulation; NaN for rows that cannot be
        predicted
    """
    rows = table_rows(c, table, unseen)
    groups = Groups(c, rows.spots, unseen, seed)
    out = np.full((len(rows.X), len(at)), np.nan)
    logged = c.design.formula.log_outcome
    inside = at > 0 if logged else np.ones(len(at), dtype=bool)
    t = c.scale.from_outcome(at[inside], log=logged)
    per_unit = c.scale.unit * (at[inside] if logged else 1.0)
    step = max(BLOCK // len(c.mu), 1)
    nu = c.nu

    def density(z: Array) -> Array:
        if nu is None:
            return np.asarray(np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))
        from scipy.special import gammaln

        norm = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * math.pi)
        return np.asarray(np.exp(norm - (nu + 1) / 2 * np.log1p(z * z / nu)))

    for row in np.flatnonzero(rows.usable):
        m = locations(rows, groups, np.array([row]))[0]
        sigma, kind = groups.sigmas(rows.group[[row]])
        out[row] = 0.0
        s = sigma[kind[0]] * rows.error[row]
        parts = [density((t[lo : lo + step, None] - m) / s) @ (1.0 / s) for lo in range(0, len(t), step)]
        out[row, inside] = np.concatenate(parts or [np.zeros(0)]) / len(m) / per_unit
    return out

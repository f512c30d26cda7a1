"""The predictive density of a row: the average of its densities under all draws (math.md, equation 18)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from priorhood.prediction.places import Groups
from priorhood.prediction.rows import frame_to_predict, kept_rows, locations, read_rows

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.data.sources.table import Table
    from priorhood.model.design import Design
    from priorhood.model.scale import Scale
    from priorhood.prediction.coefficients import Coefficients

BLOCK = 2**20  # values at a time


def predictive_density(
    c: Coefficients, design: Design, scale: Scale, table: Table, at: Array, unseen: str, seed: int
) -> Array:
    """p(t) = mean_s Normal(t | m_s, σ_s²) of every row, or Student's, at some outcomes: (n, T), per unit of them.

    Parameters
    ----------
    at : (T,) outcomes in their own units; where the formula takes the log, p(log t)/t, and 0 at t ≤ 0

    Returns
    -------
    (n, T), exact but for rounding, without simulation; NaN for rows that cannot be predicted
    """
    frame = kept_rows(frame_to_predict(table, design, c.row_weights, unseen=unseen))
    rows = read_rows(design, scale, c, frame, table.name, unseen)
    groups = Groups(c, rows.spots, unseen, seed)
    out = np.full((len(rows.X), len(at)), np.nan)
    logged = design.formula.log_outcome
    inside = at > 0 if logged else np.ones(len(at), dtype=bool)
    t = (np.log(at[inside]) if logged else at) / scale.unit
    per_unit = scale.unit * (at[inside] if logged else 1.0)
    for row in np.flatnonzero(rows.usable):
        m = locations(rows, groups, np.array([row]))[0]
        sigma, kind = groups.sigmas(rows.group[[row]])
        out[row] = 0.0
        out[row, inside] = _average(t, m, sigma[kind[0]] * rows.error[row], c.nu) / per_unit
    return out


def _average(t: Array, m: Array, sigma: Array, nu: Array | None) -> Array:
    """The mean over draws of the errors' density at t: (T,)."""
    step = max(BLOCK // len(m), 1)
    return np.concatenate(
        [_errors((t[lo : lo + step, None] - m) / sigma, nu) @ (1.0 / sigma) for lo in range(0, len(t), step)]
        or [np.zeros(0)]
    ) / len(m)


def _errors(z: Array, nu: Array | None) -> Array:
    """The standard Normal density, or Student's with nu (S,) degrees of freedom."""
    if nu is None:
        return np.asarray(np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi))
    from scipy.special import gammaln

    norm = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * np.log(nu * math.pi)
    return np.asarray(np.exp(norm - (nu + 1) / 2 * np.log1p(z * z / nu)))

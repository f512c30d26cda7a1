"""What the rows of every place say on their own: least squares from the sums, without pooling (math.md, eq. 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.suffstats.fit_data import FitData

# The least eigenvalue of a place's XᵀX, its diagonal made 1, that still tells all coefficients apart.
SINGULAR = 1e-10


def unpooled(data: FitData, others: Array) -> Array:
    """Least squares of every finest place's rows alone; the limit of its coefficients as τ → ∞.

    b_j = (Σ w x xᵀ)⁻¹ Σ w x (y − zᵀg),  x the columns whose coefficient differs between the places

    Parameters
    ----------
    others : g (cells, D), standardized: what is known of the rest, the population's own coefficients and the
        effects of crossed groupings; 0 elsewhere

    Returns
    -------
    (J, C), standardized, in the order of design.coefficient_columns(0). NaN where a place's rows do not tell all
    its coefficients: too few of them, or a predictor that is the same in all

    Notes
    -----
    O(cells D²); no rows are needed. Checked against numpy's lstsq of the rows in tests/oracle.
    """
    design, moments, places = data.design, data.moments, data.hierarchy.levels[0]
    D = len(design.columns)
    mean, scatter = data.standardized
    sums = scatter + moments.mass[:, None, None] * mean[:, :, None] * mean[:, None, :]
    left = np.einsum("cde,ce->cd", sums[:, :D, :D], others)
    A, b = np.zeros((places.size, D, D)), np.zeros((places.size, D))
    np.add.at(A, places.of_cell, sums[:, :D, :D])
    np.add.at(b, places.of_cell, sums[:, :D, D] - left)
    cols = design.index(design.coefficient_columns(0))
    A, b = A[np.ix_(range(places.size), cols, cols)], b[:, cols]
    size = np.sqrt(np.einsum("jcc->jc", A))
    whole = (size > 0).all(axis=1)
    size[~whole] = 1.0
    A /= size[:, :, None] * size[:, None, :]
    whole &= np.linalg.eigvalsh(A)[:, 0] > SINGULAR
    found = np.full(b.shape, np.nan)
    found[whole] = np.linalg.solve(A[whole], (b / size)[whole][:, :, None])[:, :, 0] / size[whole]
    return found

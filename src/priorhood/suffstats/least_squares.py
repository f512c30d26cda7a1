"""Least squares of every place's rows alone, from the sums: no pooling (math.md, eq. 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.suffstats.fit_data import FitData

# Smallest eigenvalue of a place's XᵀX, scaled to a diagonal of 1, at which its coefficients are determined.
SINGULAR = 1e-10


def unpooled(data: FitData, others: Array) -> Array:
    """Fit every finest place's rows alone by least squares; the limit of its coefficients as τ → ∞.

    b_j = (Σ w x xᵀ)⁻¹ Σ w x (y − zᵀg),  x the columns whose coefficient differs between the places

    Parameters
    ----------
    data : FitData
        The sums.
    others : (cells, D) array
        The other coefficients g, standardized: of the population alone and of crossed groupings; 0 elsewhere.

    Returns
    -------
    (J, C) array
        The coefficients, standardized, in the order of design.coefficient_columns(0). NaN if a place's rows do not
        determine its coefficients: too few rows, or a constant predictor.

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
    determined = (size > 0).all(axis=1)
    size[~determined] = 1.0
    A /= size[:, :, None] * size[:, None, :]
    determined &= np.linalg.eigvalsh(A)[:, 0] > SINGULAR
    found = np.full(b.shape, np.nan)
    found[determined] = np.linalg.solve(A[determined], (b / size)[determined][:, :, None])[:, :, 0]
    found[determined] /= size[determined]
    return found

"""The sums of outcomes that a model could have made on given predictors: no row is made (math.md, section 2)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from priorhood.model.hierarchy import hierarchy_of
from priorhood.suffstats.standardize import standardized

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.engines.draws import Draws
    from priorhood.model.design import Design
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.model.scale import Scale
    from priorhood.suffstats.moments import Moments

# Directions in which a group's columns hardly differ, beside those in which they do.
FLAT = 1e-12
# Coefficients in memory at a time.
MOST = 2_000_000


def _coefficients(design: Design, draws: Draws, part: slice, hierarchy: Hierarchy, cells: int) -> Array:
    """β of every column in every cell, of one chain's draws in a slice: (S, cells, D)."""
    mu = draws.mu[0, part]
    found = np.zeros((len(mu), cells, len(design.columns)))
    found[:, :, design.index(design.population_columns)] = mu[:, None, :]
    for at, (places, effects) in enumerate(zip(hierarchy.groupings, draws.effects, strict=True)):
        columns = design.index(design.coefficient_columns(at))
        if effects.beta is None:  # of summaries no outcomes are made
            raise TypeError(places.name)
        if at == 0:  # whole coefficients, those passed down by coarser levels too
            found[:, :, columns] = effects.beta[0, part][:, places.of_cell]
        elif at >= len(hierarchy.levels):
            found[:, :, columns] += effects.beta[0, part][:, places.of_cell]
    return found


def _noise(draws: Draws, part: slice, scale: Scale, hierarchy: Hierarchy) -> Array:
    """σ of one chain's draws in a slice, (S, 1), or of every cell, (S, cells); of known errors the unit's."""
    count = len(draws.mu[0, part])
    sigma = np.full(count, 1.0 / scale.unit) if draws.sigma is None else draws.sigma[0, part]
    return np.asarray(sigma.reshape(count, 1) if sigma.ndim == 1 else sigma[:, hierarchy.levels[0].of_cell])


def simulate_sums(found: Moments, design: Design, scale: Scale, truth: Draws, rng: np.random.Generator) -> Moments:
    """The moments of rows with the same predictors, and outcomes drawn under the first of `truth`'s draws.

    With y = Xβ + ε, ε_i ~ Normal(0, σ²/w_i), a group of n rows, mass m = Σ w, mean x̄ and centred scatter
    S = R Rᵀ of rank r has, independently of each other,

        ȳ = x̄ᵀβ + σ e/√m,    S_xy = Sβ + σ R z,    S_yy = βᵀSβ + 2σ βᵀR z + σ² (|z|² + q),
        e ~ Normal(0, 1),    z ~ Normal(0, I_r),    q ~ χ²(n − 1 − r)

    Notes
    -----
    O(J D³), free of the number of rows. Exact in distribution: tests/oracle/test_outcomes.py.
    """
    D, J = len(design.columns), len(found.n)
    mean, scatter = standardized(found, design, scale)
    X, S = mean[:, :D], scatter[:, :D, :D]
    hierarchy = hierarchy_of(design.formula, found.labels)
    b = _coefficients(design, truth, slice(1), hierarchy, J)[0]
    sigma = np.broadcast_to(_noise(truth, slice(1), scale, hierarchy)[0], J)
    R, rank = _root(S, found.n)
    z = rng.standard_normal((J, D)) * (np.arange(D) < rank[:, None])
    left = found.n - 1 - rank
    q = 2.0 * rng.standard_gamma(left / 2)
    moved = sigma[:, None] * np.einsum("jab,jb->ja", R, z)
    fitted = np.einsum("jab,jb->ja", S, b)
    own = [d for d, column in enumerate(design.columns) if column.factors]
    outcome = np.einsum("ja,ja->j", X, b) + sigma * rng.standard_normal(J) / np.sqrt(found.mass)
    within = np.einsum("ja,ja->j", b, fitted + 2 * moved) + sigma**2 * ((z**2).sum(axis=1) + q)
    new_mean, new_scatter = found.mean.copy(), found.scatter.copy()
    new_mean[:, -1] = outcome * scale.unit
    cross = (fitted + moved)[:, own] * scale.spread[own] * scale.unit
    new_scatter[:, :-1, -1] = new_scatter[:, -1, :-1] = cross
    new_scatter[:, -1, -1] = np.maximum(within, 0.0) * scale.unit**2
    return replace(found, mean=new_mean, scatter=new_scatter)


def _root(S: Array, n: Array) -> tuple[Array, Array]:
    """R (J, D, D) with S = R Rᵀ, its columns beyond the rank 0, and the ranks (J,), under n of each group.

    S is scaled to a unit diagonal first, so that a column's own unit does not decide what is flat.
    """
    size = np.sqrt(np.maximum(np.einsum("jaa->ja", S), 0.0))
    size = np.where(size > 0, size, 1.0)
    values, vectors = np.linalg.eigh(S / (size[:, :, None] * size[:, None, :]))
    values, vectors = values[:, ::-1], vectors[:, :, ::-1]
    # Rows leave one dimension less than they are; what is beyond is rounding.
    there = (values > FLAT) & (np.arange(S.shape[1]) < n[:, None] - 1)
    root = vectors * np.sqrt(np.where(there, values, 0.0))[:, None, :]
    return size[:, :, None] * root, there.sum(axis=1).astype(float)


def log_likelihood(found: Moments, design: Design, scale: Scale, draws: Draws) -> Array:
    """Log p(y | β, σ) of all rows for every draw of one chain, up to a constant of the data: (S,).

    Σ_j −n_j log σ − (Σ w(y − xᵀβ_j)²) / 2σ²
    """
    hierarchy, J, total = hierarchy_of(design.formula, found.labels), len(found.n), draws.mu.shape[1]
    mean, scatter = standardized(found, design, scale)
    out = np.empty(total)
    step = max(1, MOST // (J * (len(design.columns) + 1)))
    for lo in range(0, total, step):
        part = slice(lo, lo + step)
        b = _coefficients(design, draws, part, hierarchy, J)
        contrast = np.concatenate([-b, np.ones((*b.shape[:2], 1))], axis=2)
        sigma = _noise(draws, part, scale, hierarchy)
        spread = (contrast.swapaxes(0, 1) @ scatter).swapaxes(0, 1)
        residual = np.einsum("sja,sja->sj", spread, contrast)
        residual += found.mass * np.einsum("ja,sja->sj", mean, contrast) ** 2
        out[part] = (-found.n * np.log(sigma) - residual / (2 * sigma**2)).sum(axis=1)
    return out

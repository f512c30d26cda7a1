"""The dense, obvious computation of what exact/ does with sums: one big Normal, no cleverness.

Joint of all coefficients and outcomes given θ, from the design matrix of every single row.
"""

from __future__ import annotations

from decimal import Decimal, localcontext

import numpy as np
from scipy.linalg import cho_factor, cho_solve


def coefficients(root_cols, root_sd, levels, D):
    """Prior covariance of every node's coefficients, by node, as loadings on independent effects.

    levels: finest first, of (cols, parent index of every node or None at the root, Σ (K, K)).
    Returns loadings of each leaf (J, D, E), of the root (D, E), and the effects' covariance (E, E).
    """
    sizes = [len(root_cols), *(len(cols) * count for cols, count, _, _ in reversed(levels))]
    E = sum(sizes)
    cov = np.zeros((E, E))
    root = np.zeros((D, E))
    for k, col in enumerate(root_cols):
        root[col, k] = 1.0
        cov[k, k] = root_sd[k] ** 2
    above = [root]
    at = len(root_cols)
    for cols, count, parent, sigma in reversed(levels):
        here = []
        for node in range(count):
            load = above[parent[node] if parent is not None else 0].copy()
            for k, col in enumerate(cols):
                load[col, at + k] += 1.0
            cov[at : at + len(cols), at : at + len(cols)] = sigma
            at += len(cols)
            here.append(load)
        above = here
    return np.array(above), root, cov


def log_density(y, X, group, leaf, root, cov, root_mean_full, sd):
    """log Normal(y | X m₀, R cov Rᵀ + diag(sd²)) with row i's loadings R_i = x_iᵀ leaf[group_i]; sd (N,).

    Up to 60 rows in decimal arithmetic of 60 digits: a wide prior or a huge offset makes the dense
    matrix too ill-conditioned for doubles, and an oracle must not be the one that is wrong.
    """
    R = np.einsum("id,ide->ie", X, leaf[group])
    if len(y) <= 60:
        return _log_density_in_decimals(y, X, R, cov, root_mean_full, sd)
    V = R @ cov @ R.T + np.diag(sd**2)
    r = y - X @ root_mean_full
    factor = cho_factor(V, lower=True)
    return -0.5 * (len(y) * np.log(2 * np.pi) + 2 * np.log(np.diag(factor[0])).sum() + r @ cho_solve(factor, r))


def _log_density_in_decimals(y, X, R, cov, root_mean_full, sd):
    """The same by a textbook Cholesky, V = L Lᵀ, L w = r."""
    with localcontext() as context:
        context.prec = 60
        number = np.vectorize(Decimal, otypes=[object])
        R, cov = number(R), number(cov)
        V = R @ cov @ R.T
        r = number(y) - number(X) @ number(root_mean_full)
        n = len(y)
        L = np.full((n, n), Decimal(0), dtype=object)
        log_det, square = Decimal(0), Decimal(0)
        w = []
        for i in range(n):
            V[i, i] += Decimal(float(sd[i])) ** 2
            for j in range(i):
                L[i, j] = (V[i, j] - sum(L[i, :j] * L[j, :j], Decimal(0))) / L[j, j]
            L[i, i] = (V[i, i] - sum(L[i, :i] ** 2, Decimal(0))).sqrt()
            w.append((r[i] - sum(L[i, :i] * np.array(w, dtype=object), Decimal(0))) / L[i, i])
            log_det += L[i, i].ln()
            square += w[i] ** 2
        return float(-log_det - square / 2) - 0.5 * n * np.log(2 * np.pi)


def conditional(y, X, group, leaf, root, cov, root_mean_full, sd):
    """Mean and covariance of (root coefficients, all leaves' coefficients) given y and θ."""
    R = np.einsum("id,ide->ie", X, leaf[group])
    V = R @ cov @ R.T + np.diag(sd**2)
    D = X.shape[1]
    load = np.concatenate([root, leaf.reshape(-1, leaf.shape[-1])])
    gain = load @ cov @ R.T
    r = y - X @ root_mean_full
    mean = np.tile(root_mean_full, len(load) // D) + gain @ np.linalg.solve(V, r)
    return mean, load @ cov @ load.T - gain @ np.linalg.solve(V, gain.T)

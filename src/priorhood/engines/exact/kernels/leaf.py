"""Equation (10) for the finest places, given draws of θ and of all coefficients above; compiled.

As in upward.py the inner loops run over the nodes of a block, and all is in units in which σ has dropped out
of the sums. The parents' coefficients are known, so that only the columns that vary are eliminated.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from priorhood.engines.exact.kernels.upward import BLOCK, FAST

ORDER = 6  # powers of a coefficient that are summed; the sum of its variances follows them


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _solve_block(A, b, lo, n, parent, lam, cols, T, M, u, inv):
    """Solve equation (10) for nodes lo … lo+n of one θ: M = L D Lᵀ, inv = 1/D, u = D⁻¹L⁻¹Λᵀ Zᵀ(b − A β_parent).

    A (D, D, J), b (D, J): sums; parent (D, ≥n); lam (K, K): Λ̃; T (K, K, ≥n) is scratch.
    """
    D, K = A.shape[0], cols.shape[0]
    for k in range(K):
        v = inv[k]  # until D is known, the residual of column k
        own = cols[k]
        q = b[own]
        for i in range(n):
            v[i] = q[lo + i]
        for d in range(D):
            p = A[own, d]
            f = parent[d]
            for i in range(n):
                v[i] -= p[lo + i] * f[i]
    for k in range(K):
        x = u[k]
        v = inv[k]
        f = lam[k, k]
        for i in range(n):
            x[i] = v[i] * f
        for r in range(k + 1, K):
            f = lam[r, k]
            v = inv[r]
            for i in range(n):
                x[i] += v[i] * f
        for c in range(K):
            t = T[c, k]
            p = A[cols[c], cols[k]]
            f = lam[k, k]
            for i in range(n):
                t[i] = p[lo + i] * f
            for r in range(k + 1, K):
                f = lam[r, k]
                p = A[cols[c], cols[r]]
                for i in range(n):
                    t[i] += p[lo + i] * f
    for k in range(K):
        for c in range(k + 1):
            m = M[k, c]
            f = lam[k, k]
            g = 1.0 if c == k else 0.0
            t = T[k, c]
            for i in range(n):
                m[i] = t[i] * f + g
            for r in range(k + 1, K):
                f = lam[r, k]
                t = T[r, c]
                for i in range(n):
                    m[i] += t[i] * f
    _decompose_block(n, K, M, u, inv)


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _decompose_block(n, K, M, u, inv):
    """Factor M = L D Lᵀ in place, fill inv with 1/D, and set u ← D⁻¹L⁻¹u."""
    for k in range(K):
        m = M[k, k]
        w = inv[k]
        for i in range(n):
            w[i] = 1.0 / m[i]
        x = u[k]
        for r in range(k + 1, K):
            l = M[r, k]
            # Column k below the pivot still holds L·D; it serves the updates before it is divided.
            for c in range(k + 1, r + 1):
                m = M[r, c]
                if c == r:
                    for i in range(n):
                        m[i] -= l[i] * w[i] * l[i]
                else:
                    y = M[c, k]
                    for i in range(n):
                        m[i] -= l[i] * y[i]
            v = u[r]
            for i in range(n):
                l[i] *= w[i]
                v[i] -= l[i] * x[i]
    for k in range(K):
        x = u[k]
        w = inv[k]
        for i in range(n):
            x[i] *= w[i]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _back(n, K, M, u):
    """Set u ← L⁻ᵀu."""
    for k in range(K - 1, -1, -1):
        v = u[k]
        for r in range(k + 1, K):
            l = M[r, k]
            x = u[r]
            for i in range(n):
                v[i] -= l[i] * x[i]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _take_parents(above, s, of_place, lo, n, parent):
    """Fill parent (D, ≥n) with the coefficients of every node's parent under one θ, from above (parents, D, S)."""
    first = of_place[lo]
    alike = True
    for i in range(n):
        alike = alike and of_place[lo + i] == first
    for d in range(parent.shape[0]):
        target = parent[d]
        if alike:
            f = above[first, d, s]
            for i in range(n):
                target[i] = f
        else:
            for i in range(n):
                target[i] = above[of_place[lo + i], d, s]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _mean_and_variance(n, lam, cols, sigma, parent, M, u, inv, w, r, mean, variance):
    """Fill m and v of the r-th varying column from the results of _solve_block and _back."""
    K = cols.shape[0]
    f = parent[cols[r]]
    for i in range(n):
        mean[i] = f[i]
        variance[i] = 0.0
    for k in range(r + 1):
        g = lam[r, k]
        x = u[k]
        for i in range(n):
            mean[i] += g * x[i]
    square = sigma * sigma
    for k in range(K):
        g = lam[r, k]
        x = w[k]
        for i in range(n):
            x[i] = g
        for c in range(k):
            l = M[k, c]
            y = w[c]
            for i in range(n):
                x[i] -= l[i] * y[i]
        y = inv[k]
        for i in range(n):
            variance[i] += square * x[i] * x[i] * y[i]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _add_powers(n, mean, variance, anchor, sums):
    """Add E(β − anchor)^p of a Normal(mean, variance), and its variance, to sums (ORDER + 1, ≥n)."""
    a, b, c, d, e, f = sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]
    within = sums[6]
    for i in range(n):
        x = mean[i] - anchor[i]
        v = variance[i]
        x2 = x * x
        v2 = v * v
        a[i] += x
        b[i] += x2 + v
        c[i] += x * (x2 + 3.0 * v)
        d[i] += x2 * (x2 + 6.0 * v) + 3.0 * v2
        e[i] += x * (x2 * (x2 + 10.0 * v) + 15.0 * v2)
        f[i] += x2 * (x2 * (x2 + 15.0 * v) + 45.0 * v2) + 15.0 * v2 * v
        within[i] += v


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def sum_powers(A, b, lo, n, of_place, above, lam, cols, sigma, anchor, sums):
    """Sum over θ the powers of every coefficient about an anchor, for nodes lo … lo+n.

    above (parents, D, S), lam (S, K, K), sigma (S,); fills anchor (K, ≥n), sums (K, ORDER + 1, ≥n).
    """
    D, K = A.shape[0], cols.shape[0]
    parent = np.empty((D, BLOCK))
    T, M = np.empty((K, K, BLOCK)), np.empty((K, K, BLOCK))
    u, inv, w = np.empty((K, BLOCK)), np.empty((K, BLOCK)), np.empty((K, BLOCK))
    mean, variance = np.empty(BLOCK), np.empty(BLOCK)
    sums[:] = 0.0
    for s in range(sigma.shape[0]):
        _take_parents(above, s, of_place, lo, n, parent)
        _solve_block(A, b, lo, n, parent, lam[s], cols, T, M, u, inv)
        _back(n, K, M, u)
        for r in range(K):
            _mean_and_variance(n, lam[s], cols, sigma[s], parent, M, u, inv, w, r, mean, variance)
            if s == 0:
                anchor[r, :n] = mean[:n]
            _add_powers(n, mean, variance, anchor[r], sums[r])


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def conditionals(A, b, of_place, above, lam, cols, sigma, mean, variance):
    """Fill m and v of nodes 0 … J under every θ, (J, K, S), so that a coefficient's draws lie together."""
    D, K, J = A.shape[0], cols.shape[0], of_place.shape[0]
    parent = np.empty((D, BLOCK))
    T, M = np.empty((K, K, BLOCK)), np.empty((K, K, BLOCK))
    u, inv, w = np.empty((K, BLOCK)), np.empty((K, BLOCK)), np.empty((K, BLOCK))
    m, v = np.empty(BLOCK), np.empty(BLOCK)
    for lo in range(0, J, BLOCK):
        n = min(BLOCK, J - lo)
        for s in range(sigma.shape[0]):
            _take_parents(above, s, of_place, lo, n, parent)
            _solve_block(A, b, lo, n, parent, lam[s], cols, T, M, u, inv)
            _back(n, K, M, u)
            for r in range(K):
                _mean_and_variance(n, lam[s], cols, sigma[s], parent, M, u, inv, w, r, m, v)
                for i in range(n):
                    mean[lo + i, r, s] = m[i]
                    variance[lo + i, r, s] = v[i]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def draw_nodes(A, b, of_place, above, lam, cols, sigma, z, out):
    """Draw by equation (10) nodes 0 … J, a multiple of BLOCK, under every θ: z and out (S, K, J).

    Only whole blocks, so that a place's bits do not depend on its position in a block.
    """
    D, K = A.shape[0], cols.shape[0]
    parent = np.empty((D, BLOCK))
    T, M = np.empty((K, K, BLOCK)), np.empty((K, K, BLOCK))
    u, inv = np.empty((K, BLOCK)), np.empty((K, BLOCK))
    for lo in range(0, of_place.shape[0], BLOCK):
        for s in range(sigma.shape[0]):
            _take_parents(above, s, of_place, lo, BLOCK, parent)
            _solve_block(A, b, lo, BLOCK, parent, lam[s], cols, T, M, u, inv)
            for k in range(K):
                x = u[k]
                y = inv[k]
                noise = z[s, k]
                for i in range(BLOCK):
                    x[i] += sigma[s] * np.sqrt(y[i]) * noise[lo + i]
            _back(BLOCK, K, M, u)
            for r in range(K):
                target = out[s, r]
                f = parent[cols[r]]
                for i in range(BLOCK):
                    target[lo + i] = f[i]
                for k in range(r + 1):
                    g = lam[s, r, k]
                    x = u[k]
                    for i in range(BLOCK):
                        target[lo + i] += g * x[i]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _pair_powers(p, q, r, det, first, second, m0, m1, s00, s01, s11, gram, square, anchor, sums):
    """Sum powers as sum_powers does, of one place with two varying columns, for which (10) fits one loop.

    With A = (p q; q r) of determinant det, Σ = ΛΛᵀ/σ² of determinant gram, and scores s = b − Aβ_parent:

        m = β_parent + (Σs + |Σ| adj(A) s)/|M|,   v = σ² diag(Σ + |Σ| adj(A))/|M|,   |M| = 1 + tr ΣA + |Σ||A|

    Every term of v and |M| is positive or a quadratic form. first, second (S,) : b less what other columns
    explain; m0, m1 (S,) : β_parent; s00 … square (S,) : Σ, |Σ| and σ²; sums (2, ORDER + 1, place).
    """
    a1 = a2 = a3 = a4 = a5 = a6 = a7 = 0.0
    b1 = b2 = b3 = b4 = b5 = b6 = b7 = 0.0
    for s in range(square.shape[0]):
        g = first[s] - p * m0[s] - q * m1[s]
        h = second[s] - q * m0[s] - r * m1[s]
        w = 1.0 / (1.0 + s00[s] * p + 2.0 * s01[s] * q + s11[s] * r + gram[s] * det)
        x = m0[s] + w * (s00[s] * g + s01[s] * h + gram[s] * (r * g - q * h)) - anchor[0]
        y = m1[s] + w * (s01[s] * g + s11[s] * h + gram[s] * (p * h - q * g)) - anchor[1]
        u = square[s] * w * (s00[s] + gram[s] * r)
        v = square[s] * w * (s11[s] + gram[s] * p)
        x2 = x * x
        u2 = u * u
        a1 += x
        a2 += x2 + u
        a3 += x * (x2 + 3.0 * u)
        a4 += x2 * (x2 + 6.0 * u) + 3.0 * u2
        a5 += x * (x2 * (x2 + 10.0 * u) + 15.0 * u2)
        a6 += x2 * (x2 * (x2 + 15.0 * u) + 45.0 * u2) + 15.0 * u2 * u
        a7 += u
        y2 = y * y
        v2 = v * v
        b1 += y
        b2 += y2 + v
        b3 += y * (y2 + 3.0 * v)
        b4 += y2 * (y2 + 6.0 * v) + 3.0 * v2
        b5 += y * (y2 * (y2 + 10.0 * v) + 15.0 * v2)
        b6 += y2 * (y2 * (y2 + 15.0 * v) + 45.0 * v2) + 15.0 * v2 * v
        b7 += v
    for at, value in enumerate((a1, a2, a3, a4, a5, a6, a7)):
        sums[0, at] = value
    for at, value in enumerate((b1, b2, b3, b4, b5, b6, b7)):
        sums[1, at] = value


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def sum_pairs(A, b, lo, n, of_place, above, spread, square, cols, anchor, sums):
    """Sum powers as sum_powers does, of two columns: spread (4, S) is Σ₀₀, Σ₀₁, Σ₁₁, |Σ| of ΛΛᵀ/σ²; square σ²."""
    D, S = A.shape[0], square.shape[0]
    i, j = cols[0], cols[1]
    first, second = np.empty(S), np.empty(S)
    for node in range(lo, lo + n):
        m = above[of_place[node]]
        first[:] = b[i, node]
        second[:] = b[j, node]
        for d in range(D):
            if d not in (i, j):
                f, g = A[i, d, node], A[j, d, node]
                own = m[d]
                for s in range(S):
                    first[s] -= f * own[s]
                    second[s] -= g * own[s]
        p, q, r = A[i, i, node], A[i, j, node], A[j, j, node]
        det = max(p * r - q * q, 0.0)
        # The anchor is the mean under the first θ, so that powers about it are of the spread's size.
        for step in range(2):
            size = 1 if step == 0 else S
            one = np.zeros(2) if step == 0 else anchor[:, node - lo]
            _pair_powers(
                p, q, r, det, first, second, m[i], m[j], spread[0], spread[1], spread[2], spread[3], square[:size],
                one, sums[:, :, node - lo],
            )  # fmt: skip
            if step == 0:
                anchor[0, node - lo] = sums[0, 0, node - lo]
                anchor[1, node - lo] = sums[1, 0, node - lo]

"""The upward pass: nodes send messages to their parents (math.md, equations 6 to 8); compiled.

The kernels work on a *block* of nodes at a time and run their inner loops over the nodes of
that block, never over the entries of a small matrix: the arrays have the node as last axis, so
the compiler turns each inner loop into vector instructions, and a block fits the fastest cache.

Everything is kept in units in which σ has dropped out of the leaves: with P̃ = σ²P, h̃ = σ²h and
Λ̃ = Λ/σ the leaf messages are the plain sums A_j, b_j of equation (5), whatever θ is.
"""

from __future__ import annotations

import math

import numba as nb
import numpy as np

# Sums may be reordered and products fused; NaN and infinity keep their meaning.
FAST = {"reassoc", "contract", "nsz", "arcp"}
BLOCK = 128
LANES = 8
TILE = 4


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _decompose(n, D, K, T, M, u, inv):
    """Factor M = L D Lᵀ in place, and multiply T, u by L⁻¹, for a block of n nodes."""
    for k in range(K):
        m = M[k, k]
        w = inv[k]
        for i in range(n):
            w[i] = 1.0 / m[i]
        for r in range(k + 1, K):
            l = M[r, k]
            # Column k below the pivot still holds L·D; it serves the updates before it is divided.
            for c in range(k + 1, r + 1):
                m = M[r, c]
                if c == r:
                    for i in range(n):
                        m[i] -= l[i] * w[i] * l[i]
                else:
                    # Row c of column k was divided already when r was c.
                    x = M[c, k]
                    for i in range(n):
                        m[i] -= l[i] * x[i]
            for i in range(n):
                l[i] *= w[i]
            for d in range(D):
                t = T[d, r]
                x = T[d, k]
                for i in range(n):
                    t[i] -= l[i] * x[i]
            v = u[r]
            x = u[k]
            for i in range(n):
                v[i] -= l[i] * x[i]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def factor_block(P, h, lo, n, lam, cols, T, M, u, inv):
    """Factor equation (6) for nodes lo … lo+n: M = L D Lᵀ, then V = L⁻¹Tᵀ and v = L⁻¹u.

    P (D, D, J), h (D, J): messages; lam (K, K): Λ̃, lower triangular; cols (K,): Z. Fills T (D, K, ≥n)
    with Vᵀ, M (K, K, ≥n) with L below and D on the diagonal, u (K, ≥n) with v, and inv (K, ≥n) with 1/D.
    """
    D, K = P.shape[0], cols.shape[0]
    for k in range(K):
        for d in range(D):
            t = T[d, k]
            f = lam[k, k]
            p = P[d, cols[k]]
            for i in range(n):
                t[i] = p[lo + i] * f
            for r in range(k + 1, K):
                f = lam[r, k]
                if f != 0.0:
                    p = P[d, cols[r]]
                    for i in range(n):
                        t[i] += p[lo + i] * f
        v = u[k]
        f = lam[k, k]
        q = h[cols[k]]
        for i in range(n):
            v[i] = q[lo + i] * f
        for r in range(k + 1, K):
            f = lam[r, k]
            if f != 0.0:
                q = h[cols[r]]
                for i in range(n):
                    v[i] += q[lo + i] * f
    for k in range(K):
        for c in range(k + 1):
            m = M[k, c]
            f = lam[k, k]
            g = 1.0 if c == k else 0.0
            t = T[cols[k], c]
            for i in range(n):
                m[i] = t[i] * f + g
            for r in range(k + 1, K):
                f = lam[r, k]
                if f != 0.0:
                    t = T[cols[r], c]
                    for i in range(n):
                        m[i] += t[i] * f
    _decompose(n, D, K, T, M, u, inv)


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def log_pivots(M, K, n):
    """Return Σ log of the n·K pivots with few logarithms: pivots are at least 1, so products only grow.

    Products of LANES pivots are gathered until they pass 1e150; a product that overflows is split
    again.
    """
    total = 0.0
    gathered = 1.0
    for k in range(K):
        m = M[k, k]
        for lo in range(0, n, LANES):
            product = 1.0
            for i in range(lo, min(lo + LANES, n)):
                product *= m[i]
            if product < 1e150:
                gathered *= product
                if gathered > 1e150:
                    total += math.log(gathered)
                    gathered = 1.0
            else:
                for i in range(lo, min(lo + LANES, n)):
                    total += math.log(m[i])
    return total + math.log(gathered)


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _subtract_products(V, L, at, up_P):
    """Set P ← P − V Vᵀ in the lower half of slot `at` of up_P; V (≥D, ≥L) has rows of 0 up to a multiple of TILE.

    The only step whose cost grows with D²: a tile of 2 × TILE sums shares its loads and only reads, so that the
    compiler keeps the sums in registers.
    """
    D = up_P.shape[0]
    for d in range(0, D, 2):
        one, two = V[d], V[d + 1]
        for e in range(0, d + 2, TILE):
            v0, v1, v2, v3 = V[e], V[e + 1], V[e + 2], V[e + 3]
            a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = 0.0
            for i in range(L):
                x, y = one[i], two[i]
                a0 += x * v0[i]
                a1 += x * v1[i]
                a2 += x * v2[i]
                a3 += x * v3[i]
                b0 += y * v0[i]
                b1 += y * v1[i]
                b2 += y * v2[i]
                b3 += y * v3[i]
            for r, sums in ((d, (a0, a1, a2, a3)), (d + 1, (b0, b1, b2, b3))):
                if r < D:
                    for c in range(TILE):
                        if e + c <= r:
                            up_P[r, e + c, at] -= sums[c]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def eliminate(P, h, first, starts, lam, cols, up_P, up_h, up_first, work):
    """Send the messages of one level's nodes to their parents, equations (6) to (8).

    P (D, D, nodes), h (D, nodes): the level's nodes begin at `first`; child c of parent p has
    starts[p] ≤ c < starts[p + 1]. On entry slot up_first + p of up_P, up_h holds the sum of the
    children's own messages; on return, the sum of their messages with δ integrated out. Returns Σ log|M|
    and σ² Σ uᵀM⁻¹u.
    """
    T, M, u, inv, V = work
    D, K = P.shape[0], cols.shape[0]
    logdet = 0.0
    quad = 0.0
    for p in range(starts.shape[0] - 1):
        at = up_first + p
        for lo in range(starts[p], starts[p + 1], BLOCK):
            n = min(BLOCK, starts[p + 1] - lo)
            factor_block(P, h, first + lo, n, lam, cols, T, M, u, inv)
            logdet += log_pivots(M, K, n)
            # T M⁻¹ Tᵀ = V Vᵀ: a row of V has the entries of all nodes and columns side by side.
            for k in range(K):
                v = u[k]
                w = inv[k]
                s = 0.0
                for i in range(n):
                    w[i] = math.sqrt(w[i])
                    v[i] *= w[i]
                    s += v[i] * v[i]
                quad += s
                for d in range(D):
                    t = T[d, k]
                    x = V[d, k * n : k * n + n]
                    s = 0.0
                    for i in range(n):
                        x[i] = t[i] * w[i]
                        s += x[i] * v[i]
                    up_h[d, at] -= s
            _subtract_products(V, K * n, at, up_P)
        for d in range(D):
            for e in range(d):
                up_P[e, d, at] = up_P[d, e, at]
    return logdet, quad


@nb.njit(cache=True, nogil=True)
def _add_children(P, h, first, starts, up_first):
    """Add the messages of an upper level's nodes to their parents' slots of the same arrays."""
    D = P.shape[0]
    for p in range(starts.shape[0] - 1):
        for c in range(starts[p], starts[p + 1]):
            for d in range(D):
                h[d, up_first + p] += h[d, first + c]
                for e in range(D):
                    P[d, e, up_first + p] += P[d, e, first + c]


@nb.njit(cache=True, nogil=True)
def workspace(D, K):
    """Return scratch arrays of one thread for blocks of nodes: T, M, u, 1/D, and V of eliminate."""
    return (
        np.empty((D, K, BLOCK)),
        np.empty((K, K, BLOCK)),
        np.empty((K, BLOCK)),
        np.empty((K, BLOCK)),
        np.zeros((-(-D // TILE) * TILE, K * BLOCK)),
    )


@nb.njit(cache=True, nogil=True)
def root_space(root):
    """Return scratch of factor_root: Λ̃, the Cholesky factor of M, v = L⁻¹u; the width of Λ̃'s widest triangle."""
    F = root[0].shape[0]
    band = 1
    for f in range(root[2].shape[0]):
        F += root[2][f, 0] * root[2][f, 1]
        band = max(band, root[2][f, 1])
    return np.zeros((F, F)), np.empty((F, F)), np.empty(F), band


@nb.njit(cache=True, nogil=True)
def _fill_root(lam, levels, root, sigma, factor, v):
    """Fill Λ̃ and σ × the prior mean of the root's ε: the population's, then every crossed grouping's places."""
    at = root[0].shape[0]
    v[:] = 0.0
    for k in range(at):
        factor[k, k] = root[0][k] / sigma
        v[k] = root[1][k] * sigma
    for f in range(root[2].shape[0]):
        K = root[2][f, 1]
        for _ in range(root[2][f, 0]):
            for r in range(K):
                for c in range(r + 1):
                    factor[at + r, at + c] = lam[levels + f, r, c]
            at += K


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _cholesky(L, F):
    """Replace the lower half of a matrix (F, F) by its Cholesky factor, row by row; TILE rows share their loads."""
    for top in range(0, F, TILE):
        n = min(TILE, F - top)
        for j in range(top):
            y = L[j]
            inverse = 1.0 / y[j]
            if n == TILE:
                r0, r1, r2, r3 = L[top], L[top + 1], L[top + 2], L[top + 3]
                s0 = s1 = s2 = s3 = 0.0
                for k in range(j):
                    s0 += r0[k] * y[k]
                    s1 += r1[k] * y[k]
                    s2 += r2[k] * y[k]
                    s3 += r3[k] * y[k]
                r0[j] = (r0[j] - s0) * inverse
                r1[j] = (r1[j] - s1) * inverse
                r2[j] = (r2[j] - s2) * inverse
                r3[j] = (r3[j] - s3) * inverse
            else:
                for r in range(top, top + n):
                    x = L[r]
                    s = 0.0
                    for k in range(j):
                        s += x[k] * y[k]
                    x[j] = (x[j] - s) * inverse
        for r in range(top, top + n):
            x = L[r]
            for j in range(top, r + 1):
                y = L[j]
                s = 0.0
                for k in range(j):
                    s += x[k] * y[k]
                x[j] = math.sqrt(x[j] - s) if j == r else (x[j] - s) / y[j]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def factor_root(P, h, lam, tree, root, sigma, spare):
    """Factor equation (6) at the root: M = L Lᵀ and v = L⁻¹u fill `spare`; returns log|M| and uᵀM⁻¹u σ².

    Λ̃ is diagonal except for the small triangles of crossed effects.
    """
    factor, L, v, band = spare
    levels = tree[4].shape[0] - 1
    cols = tree[0][tree[1][levels] : tree[1][levels + 1]]
    at = tree[4][levels]
    F = cols.shape[0]
    _fill_root(lam, levels, root, sigma, factor, v)
    # A row of ΛᵀP, then its products with Λ: a row of M.
    row = np.empty(F)
    for k in range(F):
        for c in range(min(k + band, F)):
            s = 0.0
            for r in range(k, min(k + band, F)):
                s += factor[r, k] * P[cols[r], cols[c], at]
            row[c] = s
        for c in range(k + 1):
            s = 0.0
            for r in range(c, min(c + band, F)):
                s += row[r] * factor[r, c]
            L[k, c] = s
        L[k, k] += 1.0
        for r in range(k, min(k + band, F)):
            v[k] += factor[r, k] * h[cols[r], at]
    _cholesky(L, F)
    logdet = 0.0
    quad = 0.0
    for k in range(F):
        x = L[k]
        s = v[k]
        for j in range(k):
            s -= x[j] * v[j]
        v[k] = s / x[k]
        quad += v[k] * v[k]
        logdet += math.log(x[k])
    return 2.0 * logdet, quad


@nb.njit(cache=True, nogil=True)
def level_of(at, A, b, P, h, lam, tree):
    """Return the at-th level's arguments of eliminate and of the way down; the finest level is 0.

    Messages P, h and the first node in them, child pointers, Λ̃, columns, and the first slot of the parents: the
    same types for all levels, so that the kernels that use them are compiled once.
    """
    cols, cols_at, starts, starts_at, first = tree
    own = cols[cols_at[at] : cols_at[at + 1]]
    pointers = starts[starts_at[at] : starts_at[at + 1]]
    if at == 0:
        return A, b, 0, pointers, lam[at], own, first[1]
    return P, h, first[at], pointers, lam[at], own, first[at + 1]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def climb(A, b, P, h, lam, tree, root, sigma, work, spare):
    """Eliminate all levels for one θ, finest first, then the root: fills P, h, spare; returns Σ log|M|, Σ uᵀM⁻¹u.

    P (D, D, slots), h (D, slots) hold, on entry, the leaves' sums in their parents' slots and 0
    elsewhere. root = (prior sd s₀, prior mean of ε, number of places and K of every crossed grouping); its columns
    are the tree's last.
    """
    logdet = 0.0
    quad = 0.0
    for at in range(tree[4].shape[0] - 1):
        nodes_P, nodes_h, here, starts, factor, cols, above = level_of(at, A, b, P, h, lam, tree)
        if at > 0:
            _add_children(P, h, here, starts, above)
        more, part = eliminate(nodes_P, nodes_h, here, starts, factor, cols, P, h, above, work)
        logdet += more
        quad += part
    more, part = factor_root(P, h, lam, tree, root, sigma, spare)
    return logdet + more, (quad + part) / sigma**2

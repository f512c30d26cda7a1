"""The downward pass: exact draws of every coefficient given θ (math.md, equation 10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from priorhood.engines.exact.kernels.two_terms import add_places, fill_top
from priorhood.engines.exact.kernels.upward import (
    BLOCK,
    FAST,
    climb,
    factor_block,
    factor_root,
    level_of,
    root_space,
    workspace,
)
from priorhood.engines.exact.marginal import Collapsed, in_streams
from priorhood.engines.exact.theta import Theta, factors

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Index
    from priorhood.engines.exact.problem import Problem


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _descend_block(parent, n, lo, lam, cols, sigma, z, T, M, u, inv, beta):
    """Draw one block of siblings by equation (10): parent (D,), z (K, nodes) → beta (D, nodes)."""
    D, K = T.shape[0], cols.shape[0]
    for k in range(K):
        v = u[k]
        w = inv[k]
        for d in range(D):
            f = parent[d]
            if f != 0.0:
                t = T[d, k]
                for i in range(n):
                    v[i] -= t[i] * f
        noise = z[k]
        for i in range(n):
            v[i] = v[i] * w[i] + sigma * np.sqrt(w[i]) * noise[lo + i]
    for k in range(K - 1, -1, -1):
        v = u[k]
        for r in range(k + 1, K):
            l = M[r, k]
            x = u[r]
            for i in range(n):
                v[i] -= l[i] * x[i]
    for d in range(D):
        target = beta[d]
        f = parent[d]
        for i in range(n):
            target[lo + i] = f
    for r in range(K):
        target = beta[cols[r]]
        for k in range(r + 1):
            f = lam[r, k]
            if f != 0.0:
                v = u[k]
                for i in range(n):
                    target[lo + i] += f * v[i]


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _descend_level(level, sigma, z, above, beta, work):
    """Draw all nodes of a level into beta (D, nodes) given their parents' coefficients above (D, slots).

    z (K, nodes) and beta are laid out as the level's messages are.
    """
    P, h, first, starts, lam, cols, up_first = level
    T, M, u, inv, _ = work
    D = P.shape[0]
    parent = np.empty(D)
    for p in range(starts.shape[0] - 1):
        for d in range(D):
            parent[d] = above[d, up_first + p]
        for lo in range(starts[p], starts[p + 1], BLOCK):
            n = min(BLOCK, starts[p + 1] - lo)
            factor_block(P, h, first + lo, n, lam, cols, T, M, u, inv)
            _descend_block(parent, n, first + lo, lam, cols, sigma, z, T, M, u, inv, beta)


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _draw_root(tree, sigma, z, spare, beta):
    """Draw the root by equation (10) after factor_root: β = Λ̃ε, ε = L⁻ᵀ(v + σz); beta (D, slots) is 0 on entry."""
    factor, L, v, band = spare
    levels = tree[4].shape[0] - 1
    cols = tree[0][tree[1][levels] : tree[1][levels + 1]]
    at = tree[4][levels]
    F = cols.shape[0]
    for k in range(F):
        v[k] += sigma * z[k, at]
    for k in range(F - 1, -1, -1):
        x = L[k]
        v[k] /= x[k]
        f = v[k]
        for j in range(k):
            v[j] -= x[j] * f
    for r in range(F):
        s = 0.0
        for k in range(max(0, r - band + 1), r + 1):
            s += factor[r, k] * v[k]
        beta[cols[r], at] = s


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _draw_effects(A, b, P0, h0, lam, tree, root, sigma, z_leaf, z_upper, leaf, upper):
    """Run up, then down, for a batch of θ: fill leaf (S, D, J), which may be empty, and upper (S, D, slots)."""
    levels = tree[4].shape[0] - 1
    spare = root_space(root)
    work = workspace(A.shape[0], lam.shape[2])
    P = np.empty_like(P0)
    h = np.empty_like(h0)
    for s in range(sigma.shape[0]):
        P[:] = P0
        h[:] = h0
        climb(A, b, P, h, lam[s], tree, root, sigma[s], work, spare)
        upper[s] = 0.0
        _draw_root(tree, sigma[s], z_upper[s], spare, upper[s])
        for back in range(levels):
            at = levels - 1 - back
            if at == 0 and leaf.shape[2] == 0:
                continue
            level = level_of(at, A, b, P, h, lam[s], tree)
            _descend_level(
                level, sigma[s], z_upper[s] if at else z_leaf[s], upper[s], upper[s] if at else leaf[s], work
            )


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _draw_tops(x, lam, tree, root, sigma, z, upper):
    """Fill upper (S, 2, slots) as _draw_effects does, for a problem of the shape of two_terms."""
    S = sigma.shape[0]
    sums, logdet = np.empty((S, 6)), np.empty(S)
    add_places(x, lam[:, 0], sums, logdet)
    spare = root_space(root)
    P, h = np.empty((2, 2, 1)), np.empty((2, 1))
    for s in range(S):
        fill_top(sums[s], tree[0], P, h)
        factor_root(P, h, lam[s], tree, root, sigma[s], spare)
        upper[s] = 0.0
        _draw_root(tree, sigma[s], z[s], spare, upper[s])


@dataclass(frozen=True)
class EffectDraws:
    """Draws of all coefficients.

    Attributes
    ----------
    mu : array (S, F)
        coefficients of problem.root_cols
    levels : tuple of array (S, C, size)
        coefficients, not differences, of coefficient_columns, by level
    crossed : tuple of array (S, K, size)
        effects, which are added to the coefficients of the levels, by crossed grouping
    """

    mu: Array
    levels: tuple[Array, ...]
    crossed: tuple[Array, ...]


def coefficient_columns(problem: Problem, at: int) -> Index:
    """Return the columns whose coefficients differ between a level's nodes: its own, then coarser levels'."""
    every = (int(d) for level in problem.levels[at:] for d in level.cols)
    return np.array(list(dict.fromkeys(every)), dtype=np.int64)


def draw_effects(
    collapsed: Collapsed,
    values: Theta,
    rng: np.random.Generator,
    threads: int = 1,
    done: Callable[[int], None] | None = None,
    *,
    finest: bool = True,
) -> EffectDraws:
    """Draw all coefficients once for every θ of a batch.

    ε | β_parent ~ Normal(M⁻¹(u − Tᵀβ_parent), M⁻¹),   β = β_parent + Z Λ ε            (math.md, eq. 10)

    Parameters
    ----------
    collapsed : Collapsed
        the problem as flat arrays
    values : Theta
        batch of S θ
    rng : numpy.random.Generator
        random numbers
    threads : int
        number of threads, which does not change the draws
    done : callable
        called with the number of draws of every finished run, to show progress
    finest : bool
        whether the finest groups are drawn; if not, their coefficients are (S, C, 0)

    Notes
    -----
    O(S (J D² K + D³))
    """
    problem = collapsed.problem
    S, J = len(values.sigma), problem.J if problem.levels and finest else 0
    lam = factors(problem, values)
    slots = collapsed.h0.shape[1]
    widest = max([len(problem.root_cols) + problem.crossed_columns, *(level.K for level in problem.levels)])
    leaves = problem.levels[0].K if problem.levels else 0
    draws = EffectDraws(
        mu=np.empty((S, len(problem.root_cols))),
        levels=tuple(
            np.empty((S, len(coefficient_columns(problem, at)), level.size if at or finest else 0))
            for at, level in enumerate(problem.levels)
        ),
        crossed=tuple(np.empty((S, grouping.K, grouping.size)) for grouping in problem.crossed),
    )

    def run(stream: np.random.Generator, part: slice) -> None:
        size = part.stop - part.start
        leaf = np.empty((size, problem.D, J))
        upper = np.empty((size, problem.D, slots))
        noise = (
            stream.standard_normal((size, leaves, J)),
            # One column more than the slots, so that a seed gives the same numbers as in earlier versions.
            stream.standard_normal((size, widest, slots + 1)),
        )
        if collapsed.places is not None and not finest:
            _draw_tops(
                collapsed.places, lam[part], collapsed.tree, collapsed.root, values.sigma[part], noise[1], upper
            )
        else:
            _draw_effects(
                problem.A, problem.b, collapsed.P0, collapsed.h0, lam[part], collapsed.tree, collapsed.root,
                values.sigma[part], *noise, leaf, upper,
            )  # fmt: skip
        _store(collapsed, draws, part, leaf, upper)

    in_streams(run, S, rng, cost=problem.J * problem.D, threads=threads, done=done)
    return draws


def _store(collapsed: Collapsed, draws: EffectDraws, part: slice, leaf: Array, upper: Array) -> None:
    """Store the kernel's coefficients (draws, D, nodes), of the outcome minus X·shift, as those of the outcome."""
    problem, first = collapsed.problem, collapsed.tree[4]
    top = upper[:, :, int(first[-1])]
    draws.mu[part] = top[:, problem.root_cols] + problem.shift[problem.root_cols]
    for at, level in enumerate(problem.levels):
        if not draws.levels[at].shape[2]:
            continue
        nodes = leaf if at == 0 else upper[:, :, first[at] : first[at] + level.size]
        cols = coefficient_columns(problem, at)
        varying = nodes if cols.tolist() == list(range(problem.D)) else nodes[:, cols]
        np.add(varying, problem.shift[cols, None], out=draws.levels[at][part])
    column = problem.D - problem.crossed_columns
    for grouping, target in zip(problem.crossed, draws.crossed, strict=True):
        effects = top[:, column : column + grouping.size * grouping.K]
        target[part] = effects.reshape(len(top), grouping.size, grouping.K).swapaxes(1, 2)
        column += grouping.size * grouping.K

"""Log p(y | θ), every coefficient integrated out (math.md, equation 9)."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numba as nb
import numpy as np

from priorhood.engines.exact.kernels import two_terms
from priorhood.engines.exact.kernels.upward import FAST, climb, root_space, workspace
from priorhood.engines.exact.theta import Theta, factors

if TYPE_CHECKING:
    from collections.abc import Callable

    from priorhood._arrays import Array, Index
    from priorhood.engines.exact.problem import Problem

WORTH_THREADS = 100_000  # θ × nodes × columns, about half a millisecond
STREAM = 64  # draws per random stream; constant, so that results do not depend on the number of threads
_LOG_2PI = math.log(2.0 * math.pi)


@nb.njit(fastmath=FAST, cache=True, nogil=True, error_model="numpy")
def _log_marginals(A, b, c, N, P0, h0, lam, tree, root, sigma, out):
    """Fill out (S,) with equation (9) for a batch of θ."""
    spare = root_space(root)
    work = workspace(A.shape[0], lam.shape[2])
    P = np.empty_like(P0)
    h = np.empty_like(h0)
    offset = np.sum(root[1] ** 2)
    for s in range(sigma.shape[0]):
        P[:] = P0
        h[:] = h0
        logdet, quad = climb(A, b, P, h, lam[s], tree, root, sigma[s], work, spare)
        out[s] = 0.5 * (quad - logdet - offset - c / sigma[s] ** 2) - N * (math.log(sigma[s]) + 0.5 * _LOG_2PI)


@dataclass(frozen=True)
class Collapsed:
    """A Problem as flat arrays for the kernels: the part of the upward pass that does not depend on θ.

    Attributes
    ----------
    problem : Problem
        the problem
    P0, h0 : array (D, D, slots), (D, slots)
        sums of the leaves' messages in their parents' slots
    tree : tuple of array
        columns of every level, and their ends; child pointers, and their ends; first slot of every level
    root : tuple of array
        prior sd, prior mean of ε, and size and K of every crossed grouping
    places : array or None
        two_terms.sums_of the problem, if that module fits it
    """

    problem: Problem
    P0: Array
    h0: Array
    tree: tuple[Index, Index, Index, Index, Index]
    root: tuple[Array, Array, Index]
    places: Array | None = None


def collapse(problem: Problem) -> Collapsed:
    """Return the tree as flat arrays, with the leaves' sums added to their parents' slots.

    Slots: the nodes of level 2, …, of level L, and the root.
    """
    levels = problem.levels
    sizes = [level.size for level in levels]
    first = np.concatenate([[0], np.cumsum([0, *sizes[1:]])]).astype(np.int64)
    if not levels:
        first = np.zeros(1, np.int64)
    slots = int(first[-1]) + 1
    P0 = np.zeros((problem.D, problem.D, slots))
    h0 = np.zeros((problem.D, slots))
    starts = levels[0].starts if levels else np.array([0, problem.J])
    parents = len(starts) - 1
    P0[:, :, :parents] = np.add.reduceat(problem.A, starts[:-1], axis=2)
    h0[:, :parents] = np.add.reduceat(problem.b, starts[:-1], axis=1)
    # The root's columns are the tree's last.
    effects = np.arange(problem.D - problem.crossed_columns, problem.D)
    cols = [*(np.asarray(level.cols, np.int64) for level in levels), np.append(problem.root_cols, effects)]
    pointers = [np.asarray(level.starts, np.int64) for level in levels]
    tree = (_joined(cols), _ends(cols), _joined(pointers), _ends(pointers), first)
    sizes_crossed = np.array([(one.size, one.K) for one in problem.crossed], np.int64).reshape(-1, 2)
    root = (problem.root_sd, problem.root_offset, sizes_crossed)
    return Collapsed(problem, P0, h0, tree, root, two_terms.sums_of(problem) if two_terms.fits(problem) else None)


def _joined(parts: list[Index]) -> Index:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _ends(parts: list[Index]) -> Index:
    return np.cumsum([0, *map(len, parts)]).astype(np.int64)


def log_marginal(collapsed: Collapsed, values: Theta, threads: int = 1) -> Array:
    """Return the log density of all outcomes given θ, every coefficient integrated out (math.md, eq. 9).

    log p(y | θ) = log Normal(y | X m₀, Σ_ℓ X Z Σ_ℓ Zᵀ Xᵀ + X S₀ Xᵀ + σ² W⁻¹), ℓ over levels and crossed groupings

    Parameters
    ----------
    collapsed : Collapsed
        the problem as flat arrays
    values : Theta
        batch of S θ
    threads : int
        number of threads

    Returns
    -------
    array (S,)
        log densities on the standardized scale

    Notes
    -----
    O(S (J D² K + D³)), independent of the number of rows; D includes crossed effects. The oracle is
    tests/oracle/dense.py.
    """
    problem = collapsed.problem
    lam = factors(problem, values)
    out = np.empty(len(values.sigma))

    def chunk(lo: int, hi: int) -> None:
        if collapsed.places is not None:
            two_terms.log_marginals(
                collapsed.places, problem.c, problem.N,
                lam[lo:hi], collapsed.tree, collapsed.root, values.sigma[lo:hi], out[lo:hi],
            )  # fmt: skip
            return
        _log_marginals(
            problem.A, problem.b, problem.c, problem.N, collapsed.P0, collapsed.h0,
            lam[lo:hi], collapsed.tree, collapsed.root, values.sigma[lo:hi], out[lo:hi],
        )  # fmt: skip

    in_chunks(chunk, len(out), cost=problem.J * problem.D, threads=threads)
    return out + 0.5 * problem.log_weight


def in_chunks(work: Callable[[int, int], None], count: int, cost: int, threads: int) -> None:
    """Call work(lo, hi) over 0 … count, on several threads if that saves time.

    The kernels release the interpreter lock and every item is computed alone, so the result has the
    same bits for any number of threads.
    """
    if threads <= 1 or count * cost < WORTH_THREADS:
        work(0, count)
        return
    # More pieces than threads, so that a slow thread does not delay the others.
    edges = np.linspace(0, count, min(4 * threads, count) + 1).astype(int)
    list(_pool(threads, os.getpid()).map(work, edges[:-1].tolist(), edges[1:].tolist()))


def in_streams(
    work: Callable[[np.random.Generator, slice], None],
    draws: int,
    rng: np.random.Generator,
    *,
    cost: int,
    threads: int,
    done: Callable[[int], None] | None = None,
) -> None:
    """Call work(stream, part) for runs of STREAM draws, each with a separate random stream; see in_chunks.

    done : called with the number of draws of every finished run
    """
    seeds = np.random.SeedSequence(rng.integers(2**63, size=4).tolist()).spawn(-(-draws // STREAM))
    streams = [np.random.Generator(np.random.SFC64(seed)) for seed in seeds]

    def run(lo: int, hi: int) -> None:
        for at in range(lo, hi):
            part = slice(at * STREAM, min(draws, (at + 1) * STREAM))
            work(streams[at], part)
            if done:
                done(part.stop - part.start)

    in_chunks(run, len(streams), cost=STREAM * cost, threads=threads)


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:  # noqa: ARG001
    """Return a cached pool: starting its threads takes as long as a thousand θ of a small problem.

    There is one per process: a fork copies the pool but not its threads, and would wait for them forever.
    """
    return ThreadPoolExecutor(threads, thread_name_prefix="priorhood")

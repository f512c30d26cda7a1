"""Means and covariances of every coefficient given θ, and a place's message to its parent (math.md, sections 3, 5).

The steps are those of marginal.py and effects.py, for means and covariances instead of densities and draws, with
stacks of small matrices: a batch of S draws of θ at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from priorhood._arrays import Array, Index
    from priorhood.engines.exact.problem import Problem
    from priorhood.engines.exact.theta import Theta

_LOG_2PI = math.log(2.0 * math.pi)
STACK = 2**20  # numbers in one stack of matrices: more would not fit the cache
# Share of a row's variance below which the remaining variance is rounding error.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Step:
    """Equations (6) to (8) for n nodes and S draws of θ, and the terms of (10) for the way down.

    Attributes
    ----------
    P, h : array (n, S, D, D), (n, S, D)
        messages sent, with δ integrated out
    gain : array (n, S)
        term added by (8)
    lam : array (S, D, K)
        ZΛ
    W, X, v : array (n, S, K, D), (n, S, K, D), (n, S, K)
        M⁻¹ times Tᵀ, (ZΛ)ᵀ and u
    """

    P: Array
    h: Array
    gain: Array
    lam: Array
    W: Array
    X: Array
    v: Array

    def down(self, mean: Array, cov: Array, pick: Array | None = None) -> tuple[Array, Array]:
        """Return mean (n, S, C) and covariance (n, S, C, C) of pickᵀβ from those of the nodes' parents.

        β | β_parent, rows ~ Normal(G β_parent + ZΛ v, ZΛ X), G = I − ZΛ W; pick (n, D, C) is I if None
        """
        take = np.eye(self.lam.shape[1]) if pick is None else pick.swapaxes(-1, -2)[:, None]
        lam = self.lam if pick is None else take @ self.lam
        G = take - lam @ self.W
        own, spread = (lam @ self.v[..., None])[..., 0], lam @ (self.X if pick is None else self.X @ pick[:, None])
        return (G @ mean[..., None])[..., 0] + own, G @ cov @ G.swapaxes(-1, -2) + spread


def step(P: Array, h: Array, lam: Array, offset: Array | None = None) -> Step:
    """Integrate δ = Λε out of messages P (n, S, D, D), h (n, S, D); lam (S, D, K) is ZΛ.

    offset : (S, K) prior mean of ε; 0 if None
    """
    D, K = lam.shape[1:]
    T = P @ lam
    up = lam.swapaxes(-1, -2)
    M = np.eye(K) + up @ T
    u = (up @ h[..., None])[..., 0]
    u = u if offset is None else u + offset
    right = np.concatenate([T.swapaxes(-1, -2), np.broadcast_to(up, (*M.shape[:-1], D)), u[..., None]], axis=-1)
    solved = np.linalg.solve(M, right)
    W, X, v = solved[..., :D], solved[..., D : 2 * D], solved[..., 2 * D]
    sent = (T @ v[..., None])[..., 0]
    gain = 0.5 * (u * v).sum(axis=-1) - 0.5 * np.linalg.slogdet(M)[1]
    return Step(P - T @ W, h - sent, gain, lam, W, X, v)


@dataclass
class Nodes:
    """A level's nodes: messages before δ is integrated out (n, S, …), gains below, moments of β | y, θ."""

    P: Array
    h: Array
    gain: Array
    mean: Array
    cov: Array

    @staticmethod
    def empty(n: int, S: int, D: int) -> Nodes:
        """Return n nodes without messages."""
        zeros = np.zeros
        return Nodes(zeros((n, S, D, D)), zeros((n, S, D)), zeros((n, S)), zeros((n, S, D)), zeros((n, S, D, D)))


def loading(lam: Array, cols: Index, D: int) -> Array:
    """Return ZΛ (S, D, K) of Λ (S, K, K)."""
    out = np.zeros((len(lam), D, lam.shape[-1]))
    out[:, cols] = lam
    return out


class ConditionalPosterior:
    """Posterior of all coefficients given a batch of S draws of θ, by level; that of the leaves on demand.

    Parameters
    ----------
    problem, values : Problem, Theta
        the sums, and S draws of θ
    sigma : array (S,) or (S, J)
        residual sd, or that of every finest group
    root : array (S, D) or None
        population coefficients minus the shift, if they are in θ; integrated out if None
    """

    def __init__(self, problem: Problem, values: Theta, sigma: Array, root: Array | None = None) -> None:
        self.problem, self.values, self.sigma = problem, values, sigma
        self.S, self.D = len(sigma), problem.D
        self.A = np.ascontiguousarray(problem.A.transpose(2, 0, 1))
        self.b = np.ascontiguousarray(problem.b.T)
        self.lam = [
            loading(tau[:, :, None] * corr, level.cols, self.D)
            for level, tau, corr in zip(problem.levels, values.tau, values.corr, strict=False)
        ]
        self.parent = [np.repeat(np.arange(len(x.starts) - 1), np.diff(x.starts)) for x in problem.levels]
        sizes = [level.size for level in problem.levels[1:]] + [1]
        self.upper = [Nodes.empty(size, self.S, self.D) for size in sizes]
        # Messages of all levels, up to the root.
        for block in () if problem.levels else self.blocks(self.leaves):
            P, h = self.messages(block)
            self.root.P[0] += P.sum(axis=0)
            self.root.h[0] += h.sum(axis=0)
        for at, level in enumerate(problem.levels):
            above = self.upper[at]
            for block in self.blocks(level.size):
                message, parents = self.sent(at, block), self.parent[at][block]
                for p in np.unique(parents):
                    children = parents == p
                    above.P[p] += message.P[children].sum(axis=0)
                    above.h[p] += message.h[children].sum(axis=0)
                    above.gain[p] += message.gain[children].sum(axis=0)
        self._descend(root)

    @property
    def root(self) -> Nodes:
        """Node of the population."""
        return self.upper[-1]

    @property
    def leaves(self) -> int:
        """Number of finest groups."""
        return self.problem.J

    def messages(self, leaves: slice) -> tuple[Array, Array]:
        """Return the leaves' own messages A/σ² (n, S, D, D), b/σ² (n, S, D)."""
        precision = 1.0 / (self.sigma[None] if self.sigma.ndim == 1 else self.sigma[:, leaves].T) ** 2
        return self.A[leaves, None] * precision[..., None, None], self.b[leaves, None] * precision[..., None]

    def blocks(self, count: int) -> Iterator[slice]:
        """Yield slices of nodes whose matrices make one stack."""
        size = max(1, STACK // (self.S * self.D * self.D))
        for lo in range(0, count, size):
            yield slice(lo, min(count, lo + size))

    def sent(self, at: int, nodes: slice) -> Step:
        """Return the messages of a level's nodes to their parents; the gains include those of all levels below."""
        if at == 0:
            return step(*self.messages(nodes), self.lam[0])
        level = self.upper[at - 1]
        message = step(level.P[nodes], level.h[nodes], self.lam[at])
        message.gain[:] += level.gain[nodes]
        return message

    def _descend(self, root: Array | None) -> None:
        """Fill mean and covariance of β | y, θ from the root down to the level above the leaves."""
        problem, top = self.problem, self.root
        if root is None:
            # ZΛ of the root and the prior mean of its ε: the population's, then the crossed effects'.
            F, extra = len(problem.root_cols), problem.crossed_columns
            lam, offset = np.zeros((self.S, self.D, F + extra)), np.zeros((self.S, F + extra))
            lam[:, problem.root_cols, np.arange(F)] = problem.root_sd
            offset[:, :F] = problem.root_offset
            row, column, at = self.D - extra, F, len(problem.levels)
            crossed = zip(problem.crossed, self.values.tau[at:], self.values.corr[at:], strict=True)
            for grouping, tau, corr in crossed:
                K = grouping.K
                for _ in range(grouping.size):
                    lam[:, row : row + K, column : column + K] = tau[:, :, None] * corr
                    row, column = row + K, column + K
            message = step(top.P, top.h, lam, offset)
            # The root has no parent: β = ZΛε.
            top.mean[:], top.cov[:] = (lam @ message.v[..., None])[..., 0], lam @ message.X
        else:
            top.mean[0] = root
        for at in range(len(problem.levels) - 1, 0, -1):
            here, above = self.upper[at - 1], self.upper[at]
            for block in self.blocks(len(here.P)):
                parents = self.parent[at][block]
                moved = self.sent(at, block).down(above.mean[parents], above.cov[parents])
                here.mean[block], here.cov[block] = moved

    def cells(self, leaf: Index, pick: Array | None) -> tuple[Array, Array]:
        """Return mean (n, S, C) and covariance (n, S, C, C) of the coefficients of cells' rows, given y, θ.

        Parameters
        ----------
        leaf : array (n,)
            finest groups of the cells
        pick : array (n, D, C) or None
            the cells' coefficients are pickᵀβ_leaf, in which crossed effects are added to the columns that they
            change; β_leaf itself if None
        """
        if not self.problem.levels:
            return self.root.mean[np.zeros_like(leaf)], self.root.cov[np.zeros_like(leaf)]
        precision = (self.sigma[None] if self.sigma.ndim == 1 else self.sigma[:, leaf].T) ** -2.0
        A, b = self.A[leaf, None] * precision[..., None, None], self.b[leaf, None] * precision[..., None]
        above, parents = self.upper[0], self.parent[0][leaf]
        return step(A, b, self.lam[0]).down(above.mean[parents], above.cov[parents], pick)


def picks(problem: Problem, cells: Index) -> Array | None:
    """Return matrices (n, D, C) of the wide columns that copy the design's columns, for cells; see problem.widened.

    None without crossed groupings.
    """
    if not problem.crossed:
        return None
    C = problem.D - problem.crossed_columns
    out = np.zeros((len(cells), problem.D, C))
    out[:, np.arange(C), np.arange(C)] = 1.0
    first = C
    for grouping in problem.crossed:
        for k, col in enumerate(grouping.cols):
            out[np.arange(len(cells)), first + grouping.of_cell[cells] * grouping.K + k, col] += 1.0
        first += grouping.size * grouping.K
    return out


# -- leave out --------------------------------------------------------------------------------------------


def without_row(mean: Array, variance: Array, y: Array, noise: Array) -> tuple[Array, Array, Array]:
    """Return log p(y_i | other rows, θ), log p(y_i | all rows, θ), (y_i − mean)/sd given the others: (rows, S).

    mean, variance : mean and variance of x_iᵀβ given all rows and θ; noise : σ²/w_i; all broadcast to (rows, S)

    With [V⁻¹]_ii = 1/noise − variance/noise², the variance is 1/[V⁻¹]_ii and y − mean₋ᵢ = [V⁻¹r]_i/[V⁻¹]_ii
    (math.md, equation 23).
    """
    gap = np.maximum(noise - variance, ROUNDING * noise)
    off = (y - mean) ** 2
    out = np.log(gap) - 2.0 * np.log(noise) - off / gap
    within = -np.log(noise + variance) - off / (noise + variance)
    return 0.5 * (out - _LOG_2PI), 0.5 * (within - _LOG_2PI), (y - mean) / np.sqrt(gap)


def without_place(message: Step, const: Array, mean: Array, cov: Array) -> tuple[Array, Array, Array]:
    """Return log p(y_v | others, θ), log p(y_v | all, θ) of v as a new place, |I − P'C|, for places v: (n, S) each.

    const : (n, S) log of the factor that the message omits; mean, cov : moments of the parents' β given all rows, θ

    The message is L(β) = exp(const − ½βᵀP'β + h'ᵀβ) of the parent's β ~ Normal(mean, cov): the first is
    −log E 1/L, the second log E L (math.md, equation 24).
    """
    moved = (message.P @ mean[..., None])[..., 0]
    height = const - ((0.5 * moved - message.h) * mean).sum(axis=-1)
    out, determinant = _tilted(message.P, moved - message.h, cov, -1.0)
    within, _ = _tilted(message.P, moved - message.h, cov, 1.0)
    return height - out, height + within, determinant


def _tilted(P: Array, g: Array, cov: Array, sign: float) -> tuple[Array, Array]:
    """Return log E exp(∓(½eᵀPe + gᵀe)), e ~ Normal(0, cov), and |I ± P cov|; sign is that of the determinant."""
    M = np.eye(P.shape[-1]) + sign * (P @ cov)
    direction, logdet = np.linalg.slogdet(M)
    fine = direction > 0
    solved = np.linalg.solve(np.where(fine[..., None, None], M, np.eye(P.shape[-1])), g[..., None])
    square = (g * (cov @ solved)[..., 0]).sum(axis=-1)
    return np.where(fine, 0.5 * square - 0.5 * logdet, np.inf), np.where(fine, np.exp(logdet), 0.0)


def log_places(
    given: ConditionalPosterior, at: int, n: Array, c: Array, log_weight: Array
) -> tuple[Array, Array, Array]:
    """Return without_place for all places of a level: (size, S) each.

    n, c, log_weight : (size,) rows, Σ w(y − xᵀshift)² and Σ log w of every place
    """
    size = given.problem.levels[at].size
    out, within, determinant = (np.empty((size, given.S)) for _ in range(3))
    log_sigma, above = np.log(given.sigma), given.upper[at]
    for block in given.blocks(size):
        message, parents = given.sent(at, block), given.parent[at][block]
        const = message.gain - n[block, None] * (log_sigma + 0.5 * _LOG_2PI) + 0.5 * log_weight[block, None]
        const = const - c[block, None] / (2.0 * given.sigma**2)
        means, covs = above.mean[parents], above.cov[parents]
        out[block], within[block], determinant[block] = without_place(message, const, means, covs)
    return out, within, determinant

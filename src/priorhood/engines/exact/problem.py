"""Input of the exact engine: standardized arrays without labels or units (math.md, sections 1, 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.model.priors import Fixed

if TYPE_CHECKING:
    from priorhood._arrays import Array, Index
    from priorhood.model.priors import LKJ, ScalePrior


@dataclass(frozen=True)
class Varying:
    """Coefficients that vary by a grouping: Z_ℓ, and the priors of their spreads and correlations.

    Attributes
    ----------
    cols : array (K,)
        columns of the design whose coefficients vary
    tau : tuple of prior
        K priors of the spreads; a Fixed spread is known and not a coordinate of θ
    omega : LKJ or None
        prior of the correlations; None if the effects are independent (`||`)
    """

    cols: Index
    tau: tuple[ScalePrior, ...]
    omega: LKJ | None

    @property
    def K(self) -> int:  # noqa: N802
        """Number of varying coefficients."""
        return len(self.cols)

    @property
    def free(self) -> list[int]:
        """Positions of the spreads to be learned."""
        return [k for k, prior in enumerate(self.tau) if not isinstance(prior, Fixed)]

    @property
    def pairs(self) -> int:
        """Number of correlations to be learned."""
        return self.K * (self.K - 1) // 2 if self.omega else 0


@dataclass(frozen=True)
class Level(Varying):
    """One level of the tree of groups.

    Attributes
    ----------
    starts : array (parents + 1,)
        the children of parent p are the nodes starts[p] … starts[p+1]−1
    """

    starts: Index

    @property
    def size(self) -> int:
        """Number of nodes."""
        return int(self.starts[-1])


@dataclass(frozen=True)
class Crossed(Varying):
    """A crossed grouping: its effects are columns of the root (see widened).

    Attributes
    ----------
    of_cell : array (cells,)
        place of every cell
    size : int
        number of places
    """

    of_cell: Index
    size: int


@dataclass(frozen=True)
class Problem:
    """Sums of equation (5) for the outcome minus X·shift, and the model's priors.

    Attributes
    ----------
    A, b : array (D, D, J), (D, J)
        sums; the D columns are the design's and then one column per effect of a crossed grouping, place by place
    c : float
        Σ w(y − Xᵀshift)²
    N : float
        number of rows
    levels : tuple of Level
        nested groupings, finest first; the root is the parent of the last
    crossed : tuple of Crossed
        crossed groupings
    root_cols : array (F,)
        columns with a population coefficient
    root_mean, root_sd : array (F,)
        their Normal priors
    shift : array (D,)
        coefficients subtracted from the outcome so that no sum cancels; 0 outside root_cols
    sigma : prior
        prior of the residual sd σ; a Fixed σ is known and not a coordinate of θ
    weight, log_weight : float
        Σ w (N if all weights are 1) and Σ log w
    scatter : float
        mean of (y − Xᵀshift)² over the rows; c/N if all weights are 1
    """

    A: Array
    b: Array
    c: float
    N: float
    levels: tuple[Level, ...]
    crossed: tuple[Crossed, ...]
    root_cols: Index
    root_mean: Array
    root_sd: Array
    shift: Array
    sigma: ScalePrior
    weight: float
    log_weight: float
    scatter: float

    @property
    def base(self) -> Problem:
        """Problem itself; see GroupNoiseProblem.base."""
        return self

    @property
    def dim(self) -> int:
        """Length of θ."""
        return (not self.known_noise) + sum(len(x.free) + x.pairs for x in self.varying)

    @property
    def varying(self) -> tuple[Varying, ...]:
        """All groupings whose spreads and correlations are part of θ, in θ's order."""
        return self.levels + self.crossed

    @property
    def crossed_columns(self) -> int:
        """Number of columns that are effects of crossed groupings, the last ones."""
        return sum(one.size * one.K for one in self.crossed)

    @property
    def known_noise(self) -> bool:
        """True if σ is known."""
        return isinstance(self.sigma, Fixed)

    @property
    def D(self) -> int:  # noqa: N802
        """Number of columns, including those of crossed effects."""
        return int(self.A.shape[0])

    @property
    def J(self) -> int:  # noqa: N802
        """Number of finest groups."""
        return int(self.A.shape[2])

    @property
    def root_offset(self) -> Array:
        """Prior mean (F,) of the root's ε: (m₀ − shift)/s₀."""
        return np.asarray((self.root_mean - self.shift[self.root_cols]) / self.root_sd)


@dataclass(frozen=True)
class CentredSums:
    """Standardized moments of the cells' rows about their means.

    Attributes
    ----------
    n : array (cells,)
        number of rows
    mean : array (cells, D+1)
        means of the design's columns and, last, of the outcome
    scatter : array (cells, D+1, D+1)
        centred sums of products
    weight : array (cells,) or None
        Σ w of the weights w of (1), with which mean and scatter are weighted; None if all are 1
    log_weight : float
        Σ log w of all rows
    """

    n: Array
    mean: Array
    scatter: Array
    weight: Array | None = None
    log_weight: float = 0.0

    @property
    def mass(self) -> Array:
        """Σ w of every cell: (cells,)."""
        return self.n if self.weight is None else self.weight


@dataclass(frozen=True)
class Root:
    """The columns `cols` (F,) with a population coefficient, and the mean and sd (F,) of their Normal priors."""

    cols: Index
    mean: Array
    sd: Array


def build_problem(
    sums: CentredSums,
    root: Root,
    levels: tuple[Level, ...],
    sigma: ScalePrior,
    *,
    constant: int | None,
    crossed: tuple[Crossed, ...] = (),
    leaf: Index | None = None,
) -> Problem:
    """Return the Problem of standardized centred moments.

    Parameters
    ----------
    sums : CentredSums
        moments of the cells
    root, levels, crossed : Root, tuple of Level, tuple of Crossed
        population and groupings
    sigma : prior
        prior of the residual sd
    constant : int or None
        column of the intercept
    leaf : array (cells,) or None
        finest group of every cell; None if the cells are these groups

    Notes
    -----
    The shift is the pooled least-squares fit: with it, c is a sum of squared residuals, even with a large offset of
    the outcome, and (9) does not cancel.
    """
    n, mean, scatter, weight, mass = sums.n, sums.mean, sums.scatter, sums.weight, sums.mass
    rows, D = float(n.sum()), mean.shape[1] - 1
    shift = _pooled_fit(sums, root.cols, constant)
    contrast = np.append(-shift, 1.0)
    residual = mean @ contrast
    X = mean[:, :D]
    A = scatter[:, :D, :D] + mass[:, None, None] * X[:, :, None] * X[:, None, :]
    b = scatter[:, :D, :] @ contrast + (mass * residual)[:, None] * X
    c = max(float(np.einsum("jab,a,b->", scatter, contrast, contrast) + mass @ residual**2), 0.0)
    within = 0.0 if weight is None else np.einsum("j,jab,a,b->", n / weight, scatter, contrast, contrast)
    A, b, shift = widened(A, b, shift, crossed, leaf)
    return Problem(
        A=np.ascontiguousarray(A.transpose(1, 2, 0)),
        b=np.ascontiguousarray(b.T),
        c=c,
        N=rows,
        levels=levels,
        crossed=crossed,
        root_cols=root.cols,
        root_mean=root.mean,
        root_sd=root.sd,
        shift=shift,
        sigma=sigma,
        weight=float(mass.sum()),
        log_weight=sums.log_weight,
        scatter=c / rows if weight is None else max(float(within + n @ residual**2), 0.0) / rows,
    )


def widened(
    A: Array, b: Array, shift: Array, crossed: tuple[Crossed, ...], leaf: Index | None
) -> tuple[Array, Array, Array]:
    """Return the sums of the finest groups, with one column per effect of a crossed grouping, from the cells' sums.

    A row in place t of a crossed grouping has its values z = x[cols] in the columns of t and 0 in those of the
    grouping's other places, so the cell's sums contain every product that A and b need.

    Returns
    -------
    A (J, D', D'), b (J, D'), shift (D',); D' = D + Σ size · K
    """
    if leaf is None or (not crossed and np.array_equal(leaf, np.arange(len(A)))):
        return A, b, shift
    D = A.shape[1]
    at = np.cumsum([D, *(one.size * one.K for one in crossed)])
    # Columns of the wide design that are not 0 in a cell, and the design's columns that they copy.
    nonzero = [np.broadcast_to(np.arange(D), (len(A), D))]
    for grouping, first in zip(crossed, at, strict=False):
        nonzero.append(first + grouping.of_cell[:, None] * grouping.K + np.arange(grouping.K))
    wide = np.concatenate(nonzero, axis=1)
    copied = np.concatenate([np.arange(D), *(one.cols for one in crossed)])
    J = int(leaf.max()) + 1
    A_wide, b_wide = np.zeros((J, at[-1], at[-1])), np.zeros((J, at[-1]))
    np.add.at(A_wide, (leaf[:, None, None], wide[:, :, None], wide[:, None, :]), A[:, copied[:, None], copied])
    np.add.at(b_wide, (leaf[:, None], wide), b[:, copied])
    return A_wide, b_wide, np.append(shift, np.zeros(at[-1] - D))


def _pooled_fit(sums: CentredSums, root_cols: Index, constant: int | None) -> Array:
    """Return the least-squares coefficients (D,) of root_cols for all rows together; 0 elsewhere."""
    mass, mean, scatter, D = sums.mass, sums.mean, sums.scatter, sums.mean.shape[1] - 1
    shift = np.zeros(D)
    if constant is None:
        raw = scatter.sum(0) + np.einsum("j,ja,jb->ab", mass, mean, mean)
        shift[root_cols] = np.linalg.lstsq(raw[np.ix_(root_cols, root_cols)], raw[root_cols, D], rcond=1e-12)[0]
        return shift
    grand = (mass @ mean) / mass.sum()
    off = mean - grand
    pooled = scatter.sum(0) + np.einsum("j,ja,jb->ab", mass, off, off)
    slopes = np.array([d for d in root_cols if d != constant], dtype=np.int64)
    if len(slopes):
        shift[slopes] = np.linalg.lstsq(pooled[np.ix_(slopes, slopes)], pooled[slopes, D], rcond=1e-12)[0]
    if constant in root_cols:
        shift[constant] = grand[D] - grand[slopes] @ shift[slopes]
    return shift

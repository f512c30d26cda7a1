"""What the exact engine is given: standardized arrays, no labels, no units (math.md, sections 1, 2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from priorhood.priors import Fixed

if TYPE_CHECKING:
    from priorhood.priors import LKJ, Scale

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Level:
    """One grouping level: Z_ℓ, the tree, and the priors of its spreads and correlations.

    cols : (K,) columns of the design whose coefficient varies at this level
    starts : (parents + 1,) children of parent p are the nodes starts[p] … starts[p+1]−1
    tau : K priors of the spreads; a Fixed one is known and no coordinate of θ
    omega : prior of the correlations; None where the effects are independent (`||`)
    """

    cols: Index
    starts: Index
    tau: tuple[Scale, ...]
    omega: LKJ | None

    @property
    def size(self) -> int:
        """Number of nodes."""
        return int(self.starts[-1])

    @property
    def K(self) -> int:  # noqa: N802
        """Number of varying coefficients."""
        return len(self.cols)

    @property
    def free(self) -> list[int]:
        """The spreads that are to be learned."""
        return [k for k, prior in enumerate(self.tau) if not isinstance(prior, Fixed)]

    @property
    def pairs(self) -> int:
        """Number of correlations that are to be learned."""
        return self.K * (self.K - 1) // 2 if self.omega else 0


@dataclass(frozen=True)
class Problem:
    """The sums of equation (5) for the outcome less X·shift, and the model's priors.

    A : (D, D, J); b : (D, J); c : Σ w(y − Xᵀshift)²; N : rows
    levels : finest first; the last one's parent is the root
    root_cols : (F,) columns that have a population coefficient
    root_mean, root_sd : (F,) their Normal prior
    shift : (D,) coefficients subtracted from the outcome so that no sum cancels; 0 outside root_cols
    sigma : prior of the residual sd σ; where it is Fixed, σ is known and no coordinate of θ
    weight, log_weight : Σ w, N where all weights are 1; Σ log w
    scatter : mean of (y − Xᵀshift)² over the rows, c/N where all weights are 1
    """

    A: Array
    b: Array
    c: float
    N: float
    levels: tuple[Level, ...]
    root_cols: Index
    root_mean: Array
    root_sd: Array
    shift: Array
    sigma: Scale
    weight: float
    log_weight: float
    scatter: float

    @property
    def known_noise(self) -> bool:
        """Whether σ is known."""
        return isinstance(self.sigma, Fixed)

    @property
    def D(self) -> int:  # noqa: N802
        """Number of columns."""
        return int(self.A.shape[0])

    @property
    def J(self) -> int:  # noqa: N802
        """Number of finest groups."""
        return int(self.A.shape[2])

    @property
    def root_offset(self) -> Array:
        """(F,) prior mean of the root's ε: (m₀ − shift)/s₀."""
        return np.asarray((self.root_mean - self.shift[self.root_cols]) / self.root_sd)


def pose(
    n: Array,
    mean: Array,
    scatter: Array,
    levels: tuple[Level, ...],
    root_cols: Index,
    root_mean: Array,
    root_sd: Array,
    sigma: Scale,
    constant: int | None,
    weight: Array | None = None,
    log_weight: float = 0.0,
) -> Problem:
    """Standardized centred moments → Problem.

    Parameters
    ----------
    n : (J,) rows; mean : (J, D+1) of the design's columns and, last, the outcome
    scatter : (J, D+1, D+1) centred sums of products
    constant : the intercept's column, or None
    weight : (J,) Σ w, where rows have the weights w of (1), as mean and scatter then have; log_weight : Σ log w

    Notes
    -----
    The shift is the pooled least-squares fit: with it, c is a sum of squared residuals however
    large the outcome's offset is, and (9) does not cancel.
    """
    mass = n if weight is None else weight
    rows, D = float(n.sum()), mean.shape[1] - 1
    shift = _pooled_fit(mass, mean, scatter, root_cols, constant)
    contrast = np.append(-shift, 1.0)
    residual = mean @ contrast
    X = mean[:, :D]
    A = scatter[:, :D, :D] + mass[:, None, None] * X[:, :, None] * X[:, None, :]
    b = scatter[:, :D, :] @ contrast + (mass * residual)[:, None] * X
    c = max(float(np.einsum("jab,a,b->", scatter, contrast, contrast) + mass @ residual**2), 0.0)
    within = 0.0 if weight is None else np.einsum("j,jab,a,b->", n / weight, scatter, contrast, contrast)
    return Problem(
        A=np.ascontiguousarray(A.transpose(1, 2, 0)),
        b=np.ascontiguousarray(b.T),
        c=c,
        N=rows,
        levels=levels,
        root_cols=root_cols,
        root_mean=root_mean,
        root_sd=root_sd,
        shift=shift,
        sigma=sigma,
        weight=float(mass.sum()),
        log_weight=log_weight,
        scatter=c / rows if weight is None else max(float(within + n @ residual**2), 0.0) / rows,
    )


def _pooled_fit(mass: Array, mean: Array, scatter: Array, root_cols: Index, constant: int | None) -> Array:
    """The least-squares coefficients of root_cols for all rows together: (D,), 0 elsewhere."""
    D = mean.shape[1] - 1
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

"""Small posed problems with their rows, shared by the oracle, calibration and other tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.exact import Level, Problem, pose
from priorhood.priors import LKJ, Exponential

if TYPE_CHECKING:
    from priorhood.exact.coordinates import Theta


@dataclass(frozen=True)
class Case:
    """Rows and the Problem made of their sums; parents of every level's nodes, None at the root."""

    y: np.ndarray
    X: np.ndarray
    group: np.ndarray
    problem: Problem
    parents: tuple[np.ndarray | None, ...]
    root_mean: np.ndarray

    def covariances(self, values: Theta, at: int) -> list[tuple]:
        """Levels for the dense oracle under the at-th θ."""
        found = []
        for level, parent, tau, corr in zip(
            self.problem.levels, self.parents, values.tau, values.corr, strict=True
        ):
            factor = tau[at][:, None] * corr[at]
            found.append((level.cols, level.size, parent, factor @ factor.T))
        return found


def moments_of(X: np.ndarray, y: np.ndarray, group: np.ndarray, J: int):
    """Counts, means and centred scatter by two plain passes."""
    W = np.column_stack([X, y])
    n = np.bincount(group, minlength=J).astype(float)
    mean = np.zeros((J, W.shape[1]))
    np.add.at(mean, group, W)
    mean /= n[:, None]
    off = W - mean[group]
    scatter = np.zeros((J, W.shape[1], W.shape[1]))
    np.add.at(scatter, group, off[:, :, None] * off[:, None, :])
    return n, mean, scatter


def pose_rows(
    X, y, group, J, *, cols=(0, 1), correlated=True, root_cols=None, root_mean=0.0, root_sd=2.0, parents=None,
    tau=None, sigma=None, eta=2.0, constant=0,
) -> Case:  # fmt: skip
    """Rows → Case, with one level, or two where parents of the groups are given."""
    root = np.arange(X.shape[1]) if root_cols is None else np.asarray(root_cols)
    sizes = [J] if parents is None else [J, int(max(parents)) + 1]
    starts = [np.array([0, sizes[-1]])]
    tree: list[np.ndarray | None] = [None]
    if parents is not None:
        starts.insert(0, np.concatenate([[0], np.cumsum(np.bincount(parents))]))
        tree.insert(0, np.asarray(parents))
    levels = tuple(
        Level(
            np.asarray(cols, dtype=np.int64),
            start.astype(np.int64),
            (tau or Exponential(1),) * len(cols),
            LKJ(eta) if correlated and len(cols) > 1 else None,
        )
        for start in starts
    )
    if not cols:
        levels, tree = (), []
    mean = np.full(len(root), float(root_mean))
    problem = pose(
        *moments_of(X, y, group, J), levels, root.astype(np.int64), mean, np.full(len(root), float(root_sd)),
        sigma or Exponential(1), constant,
    )  # fmt: skip
    full = np.zeros(X.shape[1])
    full[root] = mean
    return Case(y, X, group, problem, tuple(tree), full)


def random_case(rng: np.random.Generator, J=5, most=4, D=3, offset=0.0, spread=1.0, **options) -> Case:
    """Random rows, one to `most` in a group, the first column constant."""
    group = np.repeat(np.arange(J), rng.integers(1, most + 1, J))
    X = rng.normal(size=(len(group), D))
    X[:, 0] = 1.0
    y = offset + spread * rng.normal(size=len(group))
    return pose_rows(X, y, group, J, **options)


def named_cases() -> dict[str, Case]:
    """Every shape that once could go wrong, degenerate ones included."""
    rng = np.random.default_rng(20)
    cases = {
        "plain": random_case(rng),
        "independent": random_case(rng, correlated=False),
        "one group": random_case(rng, J=1, most=9, D=2),
        "one row a group": random_case(rng, J=9, most=1, D=2),
        "one row in all": random_case(rng, J=1, most=1, D=2),
        "more columns than rows of a group": random_case(rng, J=4, most=2, D=7, cols=(0, 1, 4)),
        "huge offset": random_case(rng, J=6, offset=1e7, spread=1.0),
        "huge offset, wide prior": random_case(rng, J=6, offset=1e9, root_sd=1e6),
        "four terms": random_case(rng, J=12, most=8, D=4, cols=(0, 1, 2, 3)),
        "a term without population part": random_case(rng, J=6, D=2, cols=(0,), root_cols=[1]),
        "no intercept": random_case(rng, J=6, D=2, cols=(1,), root_cols=[1], constant=None),
        "slope only": random_case(rng, J=6, D=2, cols=(1,)),
        "nested": random_case(rng, J=7, parents=np.array([0, 0, 0, 1, 1, 2, 2])),
        "nested, many terms": random_case(rng, J=5, D=4, cols=(0, 1, 3), parents=np.array([0, 0, 1, 1, 1])),
        "pooled": random_case(rng, J=1, most=9, D=3, cols=()),
        "many groups": random_case(rng, J=300, most=2, D=2),
        "prior far away": random_case(rng, root_mean=50.0, root_sd=0.1),
    }
    group = np.repeat(np.arange(4), 3)
    flat = np.ones((12, 2))
    cases["constant predictor"] = pose_rows(flat, rng.normal(size=12), group, 4)
    cases["no variation between groups"] = pose_rows(
        np.column_stack([np.ones(12), np.tile([0.0, 1.0, 2.0], 4)]), np.tile([1.0, 2.0, 4.0], 4), group, 4
    )
    return cases

"""Small posed problems with their rows, shared by the oracle, calibration and other tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from priorhood.engines.exact import CentredSums, Level, Problem, Root, build_problem
from priorhood.model.priors import LKJ, Exponential, Fixed

if TYPE_CHECKING:
    from priorhood.engines.exact.theta import Theta


@dataclass(frozen=True)
class Case:
    """Rows and the Problem made of their sums; parents of every level's nodes, None at the root.

    weights : (N,) of the rows
    """

    y: np.ndarray
    X: np.ndarray
    group: np.ndarray
    problem: Problem
    parents: tuple[np.ndarray | None, ...]
    root_mean: np.ndarray
    weights: np.ndarray

    def noise(self, values: Theta, at: int) -> np.ndarray:
        """Every row's own sd under the at-th θ."""
        return values.sigma[at] / np.sqrt(self.weights)

    def covariances(self, values: Theta, at: int) -> list[tuple]:
        """Levels for the dense oracle under the at-th θ."""
        found = []
        for level, parent, tau, corr in zip(
            self.problem.levels, self.parents, values.tau, values.corr, strict=True
        ):
            factor = tau[at][:, None] * corr[at]
            found.append((level.cols, level.size, parent, factor @ factor.T))
        return found


def moments_of(X: np.ndarray, y: np.ndarray, group: np.ndarray, J: int, weights: np.ndarray | float = 1.0):
    """Counts, weighted means and centred scatter by two plain passes."""
    W = np.column_stack([X, y])
    w = np.broadcast_to(weights, len(y))
    mean = np.zeros((J, W.shape[1]))
    np.add.at(mean, group, w[:, None] * W)
    mean /= np.bincount(group, weights=w, minlength=J)[:, None]
    off = W - mean[group]
    scatter = np.zeros((J, W.shape[1], W.shape[1]))
    np.add.at(scatter, group, w[:, None, None] * off[:, :, None] * off[:, None, :])
    return np.bincount(group, minlength=J).astype(float), mean, scatter


def pose_rows(
    X, y, group, J, *, cols=(0, 1), correlated=True, root_cols=None, root_mean=0.0, root_sd=2.0, parents=None,
    tau=None, sigma=None, eta=2.0, constant=0, weights=None,
) -> Case:  # fmt: skip
    """Rows → Case, with one level, or two where parents of the groups are given; tau one prior or one a column."""
    root = np.arange(X.shape[1]) if root_cols is None else np.asarray(root_cols, dtype=np.int64)
    sizes = [J] if parents is None else [J, int(max(parents)) + 1]
    starts = [np.array([0, sizes[-1]])]
    tree: list[np.ndarray | None] = [None]
    if parents is not None:
        starts.insert(0, np.concatenate([[0], np.cumsum(np.bincount(parents))]))
        tree.insert(0, np.asarray(parents))
    levels = tuple(
        Level(
            np.asarray(cols, dtype=np.int64),
            tau if isinstance(tau, tuple) else (tau or Exponential(1),) * len(cols),
            LKJ(eta) if correlated and len(cols) > 1 else None,
            start.astype(np.int64),
        )
        for start in starts
    )
    if not cols:
        levels, tree = (), []
    mean = np.full(len(root), float(root_mean))
    w = np.ones(len(y)) if weights is None else weights
    mass = None if weights is None else np.bincount(group, weights=w, minlength=J)
    sums = CentredSums(*moments_of(X, y, group, J, w), mass, float(np.log(w).sum()))
    prior = Root(root, mean, np.full(len(root), float(root_sd)))
    problem = build_problem(sums, prior, levels, sigma or Exponential(1), constant=constant)
    full = np.zeros(X.shape[1])
    full[root] = mean
    return Case(y, X, group, problem, tuple(tree), full, w)


def random_case(
    rng: np.random.Generator, J=5, most=4, D=3, offset=0.0, spread=1.0, weight=1.0, decades=None, **options
) -> Case:
    """Random rows, one to `most` in a group, the first column constant; weights over so many decades, if any."""
    group = np.repeat(np.arange(J), rng.integers(1, most + 1, J))
    X = rng.normal(size=(len(group), D))
    X[:, 0] = 1.0
    y = offset + spread * rng.normal(size=len(group))
    if decades is not None:
        options["weights"] = weight * 10.0 ** rng.uniform(-decades / 2, decades / 2, len(group))
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
    six = random_case(np.random.default_rng(21), J=6, most=8, D=6, cols=range(6))
    # Products of places and the root's factor are taken in tiles of four columns.
    wide = {
        f"{D} columns": random_case(
            np.random.default_rng(D), J=150, D=D, cols=(0, 2), parents=np.arange(150) // 40 if D % 2 else None
        )
        for D in (8, 9, 10, 11, 37)
    }
    return cases | weighted_cases(rng) | known_cases(rng) | {"six terms": six} | wide


def weighted_cases(rng: np.random.Generator) -> dict[str, Case]:
    """Rows that count differently: known standard errors, w = 1/se²."""
    known = {"sigma": Fixed(1)}
    return {
        "weighted": random_case(rng, decades=2),
        "weights over eight decades": random_case(rng, J=6, decades=8),
        "weighted, huge offset": random_case(rng, J=6, offset=1e7, root_sd=1e6, decades=2),
        "weighted, nested": random_case(rng, J=7, parents=np.array([0, 0, 0, 1, 1, 2, 2]), decades=2),
        "weighted, many groups": random_case(rng, J=300, most=2, D=2, decades=2),
        "weighted, no intercept": random_case(rng, J=6, D=2, cols=(1,), root_cols=[1], constant=None, decades=2),
        "known errors, one row a group": random_case(rng, J=8, most=1, D=1, cols=(0,), decades=1, **known),
        "known errors": random_case(rng, J=6, D=2, decades=2, **known),
        "known errors, outcome in 100,000": random_case(rng, D=2, weight=1e-8, decades=2, sigma=Fixed(1e-5)),
        "known errors, pooled": random_case(rng, J=1, most=9, D=2, cols=(), decades=2, **known),
    }


def known_cases(rng: np.random.Generator) -> dict[str, Case]:
    """Scales that are known, and no coordinates of θ."""
    both = (Fixed(20), Fixed(5))
    return {
        "known noise": random_case(rng, sigma=Fixed(0.7)),
        "known spreads": random_case(rng, correlated=False, tau=both),
        "known spreads, correlation to learn": random_case(rng, tau=both),
        "first spread known": random_case(rng, tau=(Fixed(0.5), Exponential(1))),
        "second spread known": random_case(rng, tau=(Exponential(1), Fixed(0.5))),
        "no population": random_case(rng, J=6, D=2, correlated=False, root_cols=[], tau=both),
        "no population, all known": random_case(
            rng, J=6, D=2, correlated=False, root_cols=[], tau=both, sigma=Fixed(0.5), offset=5.0
        ),
        "all known": random_case(rng, correlated=False, tau=both, sigma=Fixed(0.5)),
        "all known, weighted": random_case(rng, correlated=False, tau=both, sigma=Fixed(1), decades=2),
        "all known, nested": random_case(
            rng, J=5, cols=(0,), tau=Fixed(2), sigma=Fixed(0.5), parents=np.array([0, 0, 1, 1, 1])
        ),
        "pooled, noise known": random_case(rng, J=1, most=9, D=3, cols=(), sigma=Fixed(0.5)),
    }

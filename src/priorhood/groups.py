"""The draws of any group: known, new or unknown (math.md, section 7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import xarray as xr

    from priorhood.design import Design
    from priorhood.model import Model
    from priorhood.priors import Scale as ScalePrior

Array = npt.NDArray[np.float64]

# Streams of random numbers, so that one purpose does not disturb another.
NEW_GROUP, UNKNOWN, NOISE, NEW_SIGMA, TAILS, HEAVY, PRIOR = range(1, 8)


def stream(seed: int, purpose: int, *more: int) -> np.random.Generator:
    """The random numbers of one purpose: the same whatever other purposes take."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, purpose, *more])))


@dataclass(frozen=True)
class Coefficients:
    """Draws, flattened to (S, …), standardized, with what is known of the groups and the errors.

    mu (S, F) and its columns; beta (S, J, K) and its columns; spread (S, K, K) = diag(τ) chol Ω
    sigma : (S,), or of every group (S, J); 1 where the errors are known
    nu : (S,), degrees of freedom of Student-t errors; None where they are Normal
    noise : the prior of a new group's sigma where groups have their own, independent ones
    common : (S,) median and spread of the groups' sigma where they are alike; se : column of known errors
    labels (J,), weights (J,): the groups and their shares of the rows
    """

    mu: Array
    mu_cols: npt.NDArray[np.int64]
    beta: Array
    beta_cols: npt.NDArray[np.int64]
    spread: Array
    sigma: Array
    nu: Array | None
    noise: ScalePrior | None
    common: tuple[Array, Array] | None
    se: str | None
    labels: npt.NDArray[np.str_]
    weights: Array


def coefficients_of(
    draws: xr.Dataset, model: Model, design: Design, labels: npt.NDArray[np.str_], weights: Array
) -> Coefficients:
    """The draws of a labelled dataset (chain, draw, …) as prediction takes them."""
    S = draws.sizes["chain"] * draws.sizes["draw"]

    def flat(name: str, *shape: int) -> Array:
        values: Array = draws[name].values if name in draws else np.zeros((S, *shape))
        return values.reshape(S, *values.shape[2:]) if name in draws else values

    varying = design.level_columns(0) if model.formula.levels else ()
    K = len(varying)
    corr = correlation_factor(flat("omega")) if "omega" in draws else np.eye(K)
    return Coefficients(
        mu=flat("mu", 0),
        mu_cols=np.array(design.index(design.population_columns), dtype=np.int64),
        beta=flat("beta", 0, K),
        beta_cols=np.array(design.index(varying), dtype=np.int64),
        spread=flat("tau", K)[:, :, None] * corr,
        sigma=flat("sigma") if model.se is None else np.ones(S),
        nu=flat("nu") if "nu" in draws else None,
        noise=model.resolve(design).sigma if model.noise else None,
        common=(flat("sigma_median"), flat("sigma_spread")) if "sigma_median" in draws else None,
        se=model.se,
        labels=labels,
        weights=weights,
    )


def correlation_factor(omega: Array) -> Array:
    """Lower Cholesky factors of correlation matrices (S, K, K), also of those that rounding left singular."""
    K = omega.shape[-1]
    L = np.zeros_like(omega)
    for i in range(K):
        for j in range(i):
            rest = omega[:, i, j] - (L[:, i, :j] * L[:, j, :j]).sum(axis=1)
            pivot = L[:, j, j]
            L[:, i, j] = np.divide(rest, pivot, out=np.zeros_like(rest), where=pivot > 1e-8)
        L[:, i, i] = np.sqrt(np.maximum(1.0 - (L[:, i, :i] ** 2).sum(axis=1), 0.0))
    return L


@dataclass(frozen=True)
class Groups:
    """Index of a group among the rows' → its draws, made where it is new or unknown.

    A new group's draw depends on the seed and its label only, so neither the order nor the chunking of
    rows changes it. An unknown group is one of the known ones: every posterior draw takes one, as often
    as its share of the rows.
    """

    c: Coefficients
    new: tuple[str, ...]
    unseen: str
    seed: int

    def _chosen(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """For a row without a group: every draw, and the known group that it takes."""
        S = len(self.c.mu)
        rng = stream(self.seed, UNKNOWN)
        places = (rng.permutation(S) + rng.random()) / S
        chosen = np.searchsorted(np.cumsum(self.c.weights), places).clip(0, len(self.c.labels) - 1)
        return np.arange(S), chosen

    def beta(self, group: int) -> Array:
        """Its coefficients (S, K): those of the average group, or drawn around them, where it is new."""
        c, J = self.c, len(self.c.labels)
        if group < 0:
            return np.asarray(c.beta[self._chosen()])
        if group < J:
            return np.asarray(c.beta[:, group])
        base = np.zeros((len(c.mu), len(c.beta_cols)))
        for k, column in enumerate(c.beta_cols):
            at = np.flatnonzero(c.mu_cols == column)
            if len(at):
                base[:, k] = c.mu[:, at[0]]
        if self.unseen == "population":
            return base
        noise = stream(self.seed, NEW_GROUP, *self.new[group - J].encode()).standard_normal(base.shape)
        return np.asarray(base + np.einsum("skl,sl->sk", c.spread, noise))

    def sigma(self, group: int) -> Array:
        """Its own residual sd (S,); where it is new, from what the groups' have in common, or from its prior."""
        c, J = self.c, len(self.c.labels)
        if group < 0:
            return np.asarray(c.sigma[self._chosen()])
        if group < J:
            return np.asarray(c.sigma[:, group])
        rng = stream(self.seed, NEW_SIGMA, *self.new[group - J].encode())
        if c.common is not None:
            median, spread = c.common
            return np.asarray(median * np.exp(spread * rng.standard_normal(len(median))))
        # Groups with their own sigma have either something in common or a prior.
        return c.noise.sample(rng, len(c.sigma))  # type: ignore[union-attr]

    def sigmas(self, groups: npt.NDArray[np.int64]) -> tuple[Array, npt.NDArray[np.int64]]:
        """The different sds (G, S) of rows in these groups, and which of them each row has."""
        if self.c.sigma.ndim == 1:
            return self.c.sigma[None], np.zeros(len(groups), np.int64)
        unique, kind = np.unique(groups, return_inverse=True)
        return np.stack([self.sigma(int(group)) for group in unique]), kind

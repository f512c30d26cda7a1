"""Draws and summaries as an engine returns them: arrays without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from priorhood._arrays import Array


# Quantiles of the finest groups' coefficients that are kept if their draws are not; summary() has 90 % intervals.
QUANTILES = (0.05, 0.5, 0.95)


def flatten_chains(values: Array) -> Array:
    """Merge the leading dimensions (chains, draws) into one: (S, …), also of arrays without elements."""
    return values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])


def term_dimension(group: str, columns: Sequence[Any], population: Sequence[Any]) -> str:
    """Return the dimension of a grouping's coefficients: the population's if both have the same columns."""
    return "term" if tuple(columns) == tuple(population) else f"{group}_term"


def spread_dimension(
    group: str, varying: Sequence[Any], coefficients: Sequence[Any], population: Sequence[Any]
) -> str:
    """Return the dimension of a grouping's spreads: its coefficients', unless coarser levels add to these."""
    if tuple(varying) == tuple(population):
        return "term"
    return f"{group}_term" if tuple(varying) == tuple(coefficients) else f"{group}_varying"


@dataclass(frozen=True)
class Effects:
    """Draws of one grouping, with leading dimensions (chains, draws).

    Attributes
    ----------
    beta : array (…, places, C) or None
        coefficients of all columns that vary by the level or a coarser one, or the effects of a crossed grouping;
        None if only summaries are kept
    tau : array (…, K)
        spreads
    omega : array (…, K, K) or None
        correlations; None if the effects are independent
    """

    beta: Array | None
    tau: Array
    omega: Array | None


@dataclass(frozen=True)
class Summaries:
    """Summaries of the finest groups' coefficients, standardized, over all draws.

    Attributes
    ----------
    mean, sd : array (J, C)
        posterior means and sds
    quantiles : array (J, C, Q)
        quantiles at the probabilities QUANTILES
    """

    mean: Array
    sd: Array
    quantiles: Array


@dataclass(frozen=True)
class Draws:
    """Posterior draws, standardized, with leading dimensions (chains, draws).

    Attributes
    ----------
    mu : array (…, F)
        population coefficients
    effects : tuple of Effects
        one per grouping: levels, finest first, then crossed groupings
    sigma : array (…) or (…, J), or None
        residual sd, or that of every group; None if the errors are known
    stats : dict of str to array
        sample_stats with ArviZ's names
    facts : dict
        numbers about the run, for the attributes
    nu : array (…) or None
        degrees of freedom of Student-t errors
    sigma_median, sigma_spread : array (…) or None
        median and spread of the groups' sigmas, if these are pooled
    summaries : Summaries or None
        summaries of the finest groups' coefficients, if these are not drawn
    """

    mu: Array
    effects: tuple[Effects, ...]
    sigma: Array | None
    stats: dict[str, npt.NDArray[Any]]
    facts: dict[str, float | int | str]
    nu: Array | None = None
    sigma_median: Array | None = None
    sigma_spread: Array | None = None
    summaries: Summaries | None = None

    @property
    def beta(self) -> Array | None:
        """Coefficients of the finest groups (…, J, C)."""
        return self.effects[0].beta if self.effects else None

    @property
    def tau(self) -> Array | None:
        """Spreads of the finest groups' effects (…, K)."""
        return self.effects[0].tau if self.effects else None

    @property
    def omega(self) -> Array | None:
        """Correlations of the finest groups' effects (…, K, K)."""
        return self.effects[0].omega if self.effects else None

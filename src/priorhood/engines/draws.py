"""Draws and summaries as an engine returns them: arrays without labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from priorhood._arrays import Array


# Quantiles kept of the finest groups' coefficients if their draws are not; 90 % is the interval of summary().
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

    beta : (…, places, C); of a level the coefficients of all columns that vary by it or a coarser level, of a
        crossed grouping its effects, differences from the other coefficients; None if only summaries are kept
    tau : (…, K); omega : (…, K, K), or None if the effects are independent
    """

    beta: Array | None
    tau: Array
    omega: Array | None


@dataclass(frozen=True)
class Summaries:
    """Summaries of the finest groups' coefficients, standardized, over all draws.

    mean, sd : (J, C); quantiles : (J, C, Q), of the probabilities QUANTILES
    """

    mean: Array
    sd: Array
    quantiles: Array


@dataclass(frozen=True)
class Draws:
    """Posterior draws, standardized, with leading dimensions (chains, draws).

    mu : (…, F); effects : one per grouping, levels finest first, then crossed ones
    sigma : residual sd, (…) or (…, J) by group; None if the errors are known
    stats : sample_stats by ArviZ's names; facts : numbers about the run, for the attributes
    nu : (…) degrees of freedom of Student-t errors; or None
    sigma_median, sigma_spread : (…) of the groups' sigma, if these are pooled; or None
    summaries : of the finest groups' coefficients, if these are not drawn; or None
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

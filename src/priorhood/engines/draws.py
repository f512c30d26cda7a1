"""What an engine returns: arrays, no labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from priorhood._arrays import Array


# Of the finest groups' coefficients these are kept where the draws are not; 90 % is the interval of summary().
QUANTILES = (0.05, 0.5, 0.95)


def term_dimension(group: str, columns: Sequence[Any], population: Sequence[Any]) -> str:
    """The dimension of a grouping's coefficients: the population's where both have the same columns."""
    return "term" if tuple(columns) == tuple(population) else f"{group}_term"


def spread_dimension(
    group: str, varying: Sequence[Any], coefficients: Sequence[Any], population: Sequence[Any]
) -> str:
    """The dimension of a grouping's spreads: its coefficients', unless coarser levels add to those."""
    if tuple(varying) == tuple(population):
        return "term"
    return f"{group}_term" if tuple(varying) == tuple(coefficients) else f"{group}_varying"


@dataclass(frozen=True)
class Effects:
    """Draws of one grouping: leading dimensions (chains, draws).

    beta (…, places, C) : a level's coefficients, of all columns that vary by it or a coarser level; of a crossed
        grouping its effects, differences to the others' coefficients; None where only summaries are kept
    tau (…, K); omega (…, K, K) or None where the effects are independent
    """

    beta: Array | None
    tau: Array
    omega: Array | None


@dataclass(frozen=True)
class Summaries:
    """Of the finest groups' coefficients, standardized, over all draws: mean and sd (J, C), quantiles (J, C, Q).

    Q : the probabilities QUANTILES
    """

    mean: Array
    sd: Array
    quantiles: Array


@dataclass(frozen=True)
class Draws:
    """What an engine returns, arrays only, standardized: leading dimensions (chains, draws).

    mu (…, F); effects : of every grouping, levels finest first, then crossed ones
    sigma : residual sd (…), of every group (…, J), or None where the errors are known
    nu : degrees of freedom of Student-t errors (…), or None
    sigma_median, sigma_spread : (…) of the groups' sigma, where they have a distribution in common; or None
    summaries : of the finest groups' coefficients, where these are not drawn; or None
    stats : sample_stats by ArviZ's names; facts : numbers about the run, for the attributes
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
        """The finest groups' coefficients (…, J, C)."""
        return self.effects[0].beta if self.effects else None

    @property
    def tau(self) -> Array | None:
        """Their spreads (…, K)."""
        return self.effects[0].tau if self.effects else None

    @property
    def omega(self) -> Array | None:
        """Their correlations (…, K, K)."""
        return self.effects[0].omega if self.effects else None

"""Input of NUTS: standardized rows, priors and names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from priorhood._arrays import Index, Labels
    from priorhood.engines.observations import Observations
    from priorhood.model.priors import LKJ, Normal, ScalePrior
    from priorhood.model.scale import Scale


@dataclass(frozen=True)
class RegressionGrouping:
    """One grouping: its places, the coefficients that vary, and their priors.

    name : of its dimension; suffix : of its parameters' names, as in tau_district
    labels : (size,) of its places; of_cell : (cells,) place of every cell of the sums
    parent : (size,) place of the next coarser level; None if its mean is mu, or it is crossed
    varying, coefficients : positions of the columns with a spread of its own, and of those in its coefficients
    term, spread_term : dimensions of its coefficients and of its spreads
    tau, omega : priors; omega is None if the effects are independent
    """

    name: str
    suffix: str
    labels: Labels
    of_cell: Index
    parent: Index | None
    varying: tuple[int, ...]
    coefficients: tuple[int, ...]
    term: str
    spread_term: str
    tau: tuple[ScalePrior, ...]
    omega: LKJ | None


@dataclass(frozen=True)
class Regression:
    """Standardized rows, priors, and the names of PyMC's variables.

    scale : the standardization; outcome : text of the outcome; logged : whether that is a log
    columns : (D,) names of the design's columns; constant : the intercept's position, or None
    population : positions of the columns with a coefficient in mu
    groupings : the nested levels, finest first, then crossed ones; levels : number of nested levels
    mu, sigma, nu : priors; None if the model has no such parameter
    noise : whether every finest group has a sigma of its own
    sigma_median, sigma_spread : priors of pooled sigmas' median and spread, instead of one of sigma; else None
    """

    rows: Observations
    scale: Scale
    outcome: str
    logged: bool
    columns: tuple[str, ...]
    constant: int | None
    population: tuple[int, ...]
    groupings: tuple[RegressionGrouping, ...]
    levels: int
    mu: tuple[Normal, ...]
    sigma: ScalePrior | None
    nu: ScalePrior | None
    noise: bool
    sigma_median: ScalePrior | None = None
    sigma_spread: ScalePrior | None = None

    def index(self, at: int) -> Index:
        """Return the place of every row in a grouping: (N,)."""
        return self.groupings[at].of_cell[self.rows.cell]

    @cached_property
    def data(self) -> dict[str, npt.NDArray[Any]]:
        """Values of PyMC's data containers, by their names; the outcome in its own units."""
        y = self.scale.to_outcome(self.rows.y)
        weights = {
            "se": self.rows.se,
            "precision_weights": self.rows.precision,
            "frequency_weights": self.rows.times,
        }
        return {
            "X": self.rows.X,
            "outcome": np.exp(y) if self.logged else y,
            **{f"{self.groupings[at].name}_index": self.index(at) for at in self.located},
            **{name: held for name, held in weights.items() if held is not None},
        }

    @property
    def located(self) -> tuple[int, ...]:
        """Groupings whose coefficients enter a row's location: the finest level, and crossed ones."""
        return tuple(at for at in range(len(self.groupings)) if at == 0 or at >= self.levels)

    def effect(self, at: int) -> str:
        """Return the name of a grouping's coefficients: beta, beta_district, delta_type."""
        return f"{'beta' if at < self.levels else 'delta'}{self.groupings[at].suffix}"

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """Names of the parameters."""
        names = ["mu"] if self.population else []
        for at, grouping in enumerate(self.groupings):
            names += [self.effect(at), f"tau{grouping.suffix}"]
            names += [f"omega{grouping.suffix}"] if grouping.omega is not None else []
        names += ["sigma"] if self.noise or self.sigma is not None else []
        others = ("sigma_median", "sigma_spread", "nu")
        return (*names, *(name for name in others if getattr(self, name) is not None))

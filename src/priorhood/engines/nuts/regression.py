"""What NUTS is given: standardized rows, priors, names."""

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
    """One grouping: its places, the coefficients that vary, their priors.

    name : of its dimension; suffix : of its parameters' names, tau_district
    labels : (size,) of its places; of_cell : (cells,) the place of every cell of the sums
    parent : (size,) the place of the next coarser level; None where its mean is mu, or it is crossed
    varying, coefficients : positions of the columns with a spread of its own, and of those in its coefficients
    tau, omega : priors; omega is None where the effects are independent
    """

    name: str
    suffix: str
    labels: Labels
    of_cell: Index
    parent: Index | None
    varying: tuple[int, ...]
    coefficients: tuple[int, ...]
    tau: tuple[ScalePrior, ...]
    omega: LKJ | None


@dataclass(frozen=True)
class Regression:
    """What NUTS is given: standardized rows, priors, and the names that its variables shall have.

    scale : how the rows were standardized; outcome : its text; logged : whether that is the log of a number above 0
    columns : (D,) names of the design's columns; constant : the intercept's, or None
    population : positions of the columns with a coefficient in mu
    groupings : the nested levels, finest first, then crossed ones; levels : how many are nested
    mu, sigma, nu : priors; None where the model has no such parameter
    noise : whether every finest group has a sigma of its own
    sigma_median, sigma_spread : priors of what those have in common, in place of one for sigma; else None
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
        """(N,) the place of every row in a grouping."""
        return self.groupings[at].of_cell[self.rows.cell]

    @cached_property
    def data(self) -> dict[str, npt.NDArray[Any]]:
        """What PyMC's containers of the rows hold, by their names; the outcome in its own units."""
        y = self.rows.y * self.scale.unit
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
        """The groupings whose coefficients a row's location takes: the finest level, and those across it."""
        return tuple(at for at in range(len(self.groupings)) if at == 0 or at >= self.levels)

    def effect(self, at: int) -> str:
        """The name of a grouping's coefficients: beta, beta_district, delta_type."""
        return f"{'beta' if at < self.levels else 'delta'}{self.groupings[at].suffix}"

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters."""
        names = ["mu"] if self.population else []
        for at, grouping in enumerate(self.groupings):
            names += [self.effect(at), f"tau{grouping.suffix}"]
            names += [f"omega{grouping.suffix}"] if grouping.omega is not None else []
        names += ["sigma"] if self.noise or self.sigma is not None else []
        others = ("sigma_median", "sigma_spread", "nu")
        return (*names, *(name for name in others if getattr(self, name) is not None))

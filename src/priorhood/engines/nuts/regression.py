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

    Attributes
    ----------
    name : str
        name of the dimension
    suffix : str
        suffix of the parameters' names, as in tau_district
    labels : array (size,)
        labels of the places
    of_cell : array (cells,)
        place of every cell of the sums
    parent : array (size,) or None
        place of the next coarser level; None if the mean is mu or the grouping is crossed
    varying, coefficients : tuple of int
        positions of the columns that vary by this grouping, and of the columns of its coefficients
    term, spread_term : str
        dimensions of the coefficients and of the spreads
    tau : tuple of prior
        priors of the spreads
    omega : LKJ or None
        prior of the correlations; None if the effects are independent
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

    Attributes
    ----------
    rows : Observations
        standardized rows
    scale : Scale
        the standardization
    outcome : str
        text of the outcome
    logged : bool
        whether the outcome is a log
    columns : tuple of str
        names of the D columns of the design
    constant : int or None
        position of the intercept
    population : tuple of int
        positions of the columns with a coefficient in mu
    groupings : tuple of RegressionGrouping
        nested levels, finest first, then crossed groupings
    levels : int
        number of nested levels
    mu : tuple of Normal
        priors of the population coefficients
    sigma, nu : prior or None
        None if the model has no such parameter
    noise : bool
        whether every finest group has its own sigma
    sigma_median, sigma_spread : prior or None
        priors of the median and spread of pooled sigmas, instead of that of sigma
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
        """Values of PyMC's data containers, by name; the outcome in its own units."""
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
        """Groupings with coefficients in a row's location: the finest level and the crossed ones."""
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

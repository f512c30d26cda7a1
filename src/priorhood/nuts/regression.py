"""What NUTS is given: standardized rows, priors, names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from priorhood.observations import Observations
    from priorhood.priors import LKJ, Normal, Scale


@dataclass(frozen=True)
class Regression:
    """What NUTS is given: standardized rows, priors, and the names that its variables shall have.

    columns : (D,) names of the design's columns; constant : the intercept's, or None
    population, varying : positions of the columns with a coefficient in mu, in beta
    group, labels : name and labels of the groups; '' and one label without groups
    mu, tau, omega, sigma, nu : priors; None where the model has no such parameter
    noise : whether every group has a sigma of its own
    sigma_median, sigma_spread : priors of what those have in common, in place of one for sigma; else None
    """

    rows: Observations
    columns: tuple[str, ...]
    constant: int | None
    population: tuple[int, ...]
    varying: tuple[int, ...]
    group: str
    labels: npt.NDArray[np.str_]
    mu: tuple[Normal, ...]
    tau: tuple[Scale, ...]
    omega: LKJ | None
    sigma: Scale | None
    nu: Scale | None
    noise: bool
    sigma_median: Scale | None = None
    sigma_spread: Scale | None = None

    @property
    def term(self) -> str:
        """The dimension of the terms that vary by group."""
        return "term" if self.varying == self.population else f"{self.group}_term"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of its parameters."""
        there = {
            "mu": bool(self.population),
            "beta": bool(self.varying),
            "tau": bool(self.varying),
            "omega": self.omega is not None,
            "sigma": self.noise or self.sigma is not None,
            "sigma_median": self.sigma_median is not None,
            "sigma_spread": self.sigma_spread is not None,
            "nu": self.nu is not None,
        }
        return tuple(name for name, has in there.items() if has)

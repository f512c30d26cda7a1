"""The standardized scale: centre and spread of every column, and the outcome's unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from priorhood._arrays import Array


@dataclass(frozen=True)
class Scale:
    """The standardization: x_std = (x − centre) / spread for every design column, y_std = y / unit.

    Attributes
    ----------
    centre, spread : array (D,)
        0 and 1 for the intercept
    unit : float
        unit of the outcome, or of its log if the formula takes the log
    """

    centre: Array
    spread: Array
    unit: float

    def natural(self) -> Array:
        """Return the factors (D,) from standardized coefficients to the data's units: unit / spread."""
        return np.asarray(self.unit / self.spread)

    def to_outcome(self, values: Any, *, log: bool = False) -> Any:
        """Convert values of the outcome from the standardized scale to its own units.

        Parameters
        ----------
        values : float or array
            values on the standardized scale
        log : bool
            whether the formula takes the outcome's log, which is then undone

        Examples
        --------
        >>> import numpy as np
        >>> from priorhood.model.scale import Scale
        >>> scale = Scale(centre=np.zeros(1), spread=np.ones(1), unit=100_000.0)
        >>> float(scale.to_outcome(3.5)), float(scale.from_outcome(350_000))
        (350000.0, 3.5)
        """
        with np.errstate(over="ignore"):
            return np.exp(values * self.unit) if log else values * self.unit

    def from_outcome(self, values: Any, *, log: bool = False) -> Any:
        """Convert values of the outcome to the standardized scale; the inverse of to_outcome.

        With log=True, values of 0 and below become −∞.
        """
        with np.errstate(divide="ignore"):
            return (np.log(np.maximum(values, 0.0)) if log else values) / self.unit

    def to_dict(self) -> dict[str, Any]:
        """Return the scale as a dictionary for JSON."""
        return {"centre": self.centre.tolist(), "spread": self.spread.tolist(), "unit": self.unit}

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Scale:
        """Return the scale from the result of to_dict."""
        return cls(np.array(stored["centre"]), np.array(stored["spread"]), float(stored["unit"]))


# Up to here squares of values, times any weight and number of rows, do not overflow a double.
LARGEST = 1e100

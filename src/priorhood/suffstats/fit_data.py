"""A model with its design, sums and scale."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from priorhood.model.hierarchy import hierarchy_of
from priorhood.suffstats.standardize import learn_scale, standardized

if TYPE_CHECKING:
    from priorhood._arrays import Array
    from priorhood.model.design import Design
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.model.model import Model, ResolvedPriors
    from priorhood.model.scale import Scale
    from priorhood.suffstats.moments import CellMoments


@dataclass(frozen=True)
class FitData:
    """All inputs of a fit besides its options, and all contents of a posterior besides its draws.

    Attributes
    ----------
    model : Model
        The model as stated.
    design : Design
        Its columns, with the categories found.
    moments : CellMoments
        Sums of the used rows.
    scale : Scale
        Standardization of the columns and the outcome.
    """

    model: Model
    design: Design
    moments: CellMoments
    scale: Scale

    @classmethod
    def learn(cls, model: Model, design: Design, moments: CellMoments, scale: Scale | None = None) -> FitData:
        """Check the model's priors against the design, and learn the scale from the sums if none is given.

        Raises
        ------
        PriorError
            A prior for a parameter that is not in the model.
        ModelError
            A column or the outcome does not vary.
        """
        resolved = model.resolve(design)
        if scale is None:
            scale = learn_scale(moments, design, standardize=model.standardize, unit=model.outcome_unit)
        found = cls(model.with_design(design), design, moments, scale)
        vars(found)["resolved"] = resolved
        return found

    @cached_property
    def resolved(self) -> ResolvedPriors:
        """The prior of every parameter."""
        return self.model.resolve(self.design)

    @cached_property
    def hierarchy(self) -> Hierarchy:
        """The places of every grouping, and their parents."""
        return hierarchy_of(self.model.formula, self.moments.labels)

    @cached_property
    def standardized(self) -> tuple[Array, Array]:
        """The cells' moments on the standardized scale: mean (J, D+1), scatter (J, D+1, D+1)."""
        return standardized(self.moments, self.design, self.scale)

    def with_moments(self, moments: CellMoments) -> FitData:
        """Return other sums with the same model and scale; the hierarchy is kept if the cells are the same."""
        found = replace(self, moments=moments)
        vars(found)["resolved"] = self.resolved
        if moments.labels is self.moments.labels:
            vars(found)["hierarchy"] = self.hierarchy
        return found

    def with_model(self, model: Model) -> FitData:
        """Return the same sums and scale with other priors."""
        found = FitData.learn(model, self.design, self.moments, self.scale)
        vars(found)["hierarchy"] = self.hierarchy
        vars(found)["standardized"] = self.standardized
        return found

"""What a posterior says of itself: parameters and their units, draws of places, the summary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.diagnostics.summary import bounds_of, summarize_draws, summarize_mixtures
from priorhood.engines.draws import QUANTILES
from priorhood.errors import ModelError, near
from priorhood.model.design import INTERCEPT
from priorhood.model.hierarchy import Hierarchy, hierarchy_of, labels_by_column
from priorhood.model.priors import base_of, split_label
from priorhood.posterior import finest_places
from priorhood.posterior.lazy_draws import OnDemand, on_demand
from priorhood.posterior.tree import SUMMARIES
from priorhood.suffstats.io import stored_places

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    import xarray as xr

    from priorhood._arrays import Index, Labels
    from priorhood.data.place_table import PlaceTable
    from priorhood.model.design import Design
    from priorhood.model.model import Model
    from priorhood.model.scale import Scale
    from priorhood.suffstats.moments import CellMoments

INTERVAL = 0.9
KINDS = ("mu", "beta", "delta", "tau", "omega", "sigma", "nu")
PURE = ("omega", "nu")  # kinds of numbers without a unit


@dataclass(frozen=True)
class Reading:
    """Draws with their model and sums, as they are read; see Posterior, which is asked for more.

    tree : xarray DataTree with groups posterior, sample_stats and moments; open to ArviZ
    """

    model: Model
    design: Design
    scale: Scale
    moments: CellMoments
    tree: xr.DataTree

    @property
    def attrs(self) -> dict[str, Any]:
        """Engine, seed, evidence, versions and the account of rows."""
        return {str(k): v.item() if isinstance(v, np.generic) else v for k, v in self.tree.attrs.items()}

    @property
    def seed(self) -> int:
        """The seed of the draws."""
        return int(self.tree.attrs["seed"])

    @property
    def parameters(self) -> list[str]:
        """The parameters' names in reading order: mu, beta, delta, tau, omega, sigma, nu."""
        there = map(str, self.tree["posterior"].data_vars)
        return sorted(there, key=lambda name: KINDS.index(base_of(name)))

    @cached_property
    def hierarchy(self) -> Hierarchy:
        """The places of all groupings, and which lies in which."""
        return hierarchy_of(self.model.formula, self.moments.labels)

    @cached_property
    def place_table(self) -> PlaceTable | None:
        """What is known of the places themselves, from places=; None where nothing is."""
        return stored_places(self.tree)

    @property
    def cells(self) -> dict[str, Labels]:
        """The label of every cell of the sums in every key column."""
        return labels_by_column(self.model.formula, self.moments.labels)

    @property
    def log_evidence(self) -> float:
        """Log p(y) of the outcome in its own units (of its log where the formula takes the log).

        Raises
        ------
        ModelError : drawn by NUTS, which does not give it
        """
        if "log_evidence" not in self.tree.attrs:
            raise ModelError(f"the engine {self.tree.attrs['engine']} gives no evidence; engine='exact' does")
        return float(self.tree.attrs["log_evidence"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about what the data cannot tell."""
        return tuple(json.loads(self.tree.attrs["notes"]))

    def __getitem__(self, name: str) -> xr.DataArray:
        """Draws of one parameter on the standardized scale: post["mu"]."""
        draws = self.tree["posterior"].to_dataset()
        if name in draws:
            return draws[name]
        if self.summed and name == self.model.formula.effect_name(0):
            raise ModelError(finest_places.not_stored(name, self.hierarchy, self.attrs))
        raise ModelError(f"the posterior has no parameter {name!r}; {near(name, map(str, draws.data_vars))}")

    @property
    def summed(self) -> bool:
        """Whether the finest places' coefficients are kept as summaries, without their draws."""
        return SUMMARIES in self.tree.children

    @property
    def store(self) -> str:
        """What is kept of the finest places' coefficients: "draws" or "summaries"."""
        return "summaries" if self.summed else "draws"

    def priors(self) -> dict[str, Any]:
        """The prior of every parameter; Model(formula, priors=…) takes it back."""
        return dict(self.model.priors)

    def equations(self) -> str:
        """The model with its numbers, and its priors in the data's units."""
        return self.model.equations(self.design, self.scale)

    @cached_property
    def _on_demand(self) -> OnDemand:
        """All that the finest places' draws are made of."""
        return self._made(None)

    def _made(self, at: Index | None) -> OnDemand:
        stored = self.tree["posterior"].to_dataset()
        return on_demand(stored, self.model, self.design, self.scale, self.moments, self.seed, at)

    def draws(self, *, standardized: bool = False, **places: object) -> xr.DataArray:
        """Draws of the coefficients of chosen places: post.draws(zip=["10115", "12047"]).

        Taken from the stored ones; where only summaries are stored, made from the draws of θ and the places' own
        sums: the same whichever places are asked for together, and after the posterior was saved.

        Parameters
        ----------
        standardized : on the model's scale rather than in the data's units
        places : the formula's group = one label or several, as the posterior writes them

        Returns
        -------
        (chain, draw, group, term); intercepts are at the centre of the predictors

        Raises
        ------
        ModelError : no places given, labels that are not there, not the formula's group
        """
        found = finest_places.draws(self.tree, self.model, self.hierarchy, places, lambda: self._on_demand)
        return found if standardized else found * self._natural_of(found)

    def coefficients(self, quantiles: Sequence[float] = QUANTILES, *, standardized: bool = False) -> xr.Dataset:
        """Mean, sd and quantiles of all coefficients of the finest places, whether their draws are stored or not.

        Returns
        -------
        beta_mean, beta_sd, beta_q5, … by (group, term); intercepts are at the centre of the predictors
        """
        found = finest_places.coefficients(
            self.tree, self.design, self.moments.labels, quantiles, lambda: self._on_demand
        )
        return found if standardized else found * self._natural_of(next(iter(found.values())))

    def natural_factor(self, name: str) -> xr.DataArray | float:
        """What a parameter on the standardized scale is multiplied by to be in the data's units."""
        if base_of(name) in PURE or name == "sigma_spread":
            return 1.0
        if name in ("sigma", "sigma_median"):
            return self.scale.unit
        return self._natural_of(self[name])

    def natural_of(self, name: str, draws: xr.DataArray) -> xr.DataArray | float:
        """The same for draws of a parameter that may not be stored."""
        return self.natural_factor(name) if name in self.parameters else self._natural_of(draws)

    def _natural_of(self, array: xr.DataArray) -> xr.DataArray:
        """The same by an array's last dimension, its terms."""
        import xarray as xr

        dim = str(array.dims[-1])
        natural = dict(zip(self.design.names, self.scale.natural(), strict=True))
        return xr.DataArray([natural[str(t)] for t in array[dim].values], dims=[dim])

    def natural(self, name: str) -> xr.DataArray:
        """Draws of one parameter in the data's units; intercepts are at the centre of the predictors."""
        return self[name] * self.natural_factor(name)

    def summary(
        self,
        var_names: list[str] | str | None = None,
        *,
        standardized: bool = False,
        interval: float = INTERVAL,
    ) -> pd.DataFrame:
        """Mean, sd, interval and convergence of every parameter.

        Parameters
        ----------
        var_names : parameters to show; all if None. Also of places without stored draws, whose numbers are
            those of the mixture over θ: they have no mcse_mean, ess_bulk, ess_tail and r_hat, which are NaN
        standardized : on the model's scale rather than in the data's units
        interval : probability of the equal-tailed interval

        Returns
        -------
        frame, one row a parameter, labelled like beta[10115, living_space]: mean, sd, median,
        eti90_lb, eti90_ub (bounds of the 90 % equal-tailed interval), unit, mcse_mean, ess_bulk,
        ess_tail, r_hat
        """
        import pandas as pd

        if not 0 < interval < 1:
            raise ModelError(f"interval must be between 0 and 1, like 0.9, not {interval!r}")
        chosen = [var_names] if isinstance(var_names, str) else var_names
        beta = self.model.formula.effect_name(0) if self.summed else ""
        every = sorted([*self.parameters, *([beta] if beta else [])], key=lambda name: KINDS.index(base_of(name)))
        rows = []
        for name in every if chosen is None else chosen:
            if beta and name == beta:
                told = self.coefficients(bounds_of(interval), standardized=standardized)
                frame = summarize_mixtures(name, told, interval)
            else:
                frame = summarize_draws(name, self[name] if standardized else self.natural(name), interval)
            frame.insert(5, "unit", "" if standardized else finest_places.units(self.unit_of, list(frame.index)))
            rows.append(frame)
        return pd.concat(rows)

    def unit_of(self, label: str) -> str:
        """The unit of a parameter by its label, `beta[10115, area]`."""
        name, inside = split_label(label)
        if base_of(name) in PURE or name == "sigma_spread":
            return ""
        if name in ("sigma", "sigma_median"):
            return self.model.unit_of(INTERCEPT)
        if base_of(name) in ("beta", "delta"):
            # Labels of places may have commas; terms are those of the model.
            terms = sorted(self.design.names, key=len, reverse=True)
            inside = next((term for term in terms if inside.endswith(f", {term}")), "")
        return self.model.unit_of(inside or INTERCEPT)

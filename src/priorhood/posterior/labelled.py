"""What a posterior says of itself: parameters and their units, draws of places, the summary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood._arguments import answers_other_names
from priorhood._text import near
from priorhood.diagnostics.summary import bounds_of, labels_along, summarize_draws, summarize_mixtures
from priorhood.engines.draws import QUANTILES
from priorhood.errors import ModelError
from priorhood.model.design import INTERCEPT
from priorhood.model.hierarchy import Hierarchy, labels_by_column
from priorhood.model.priors import base_of, split_label
from priorhood.posterior import finest_places
from priorhood.posterior.lazy_draws import OnDemand, on_demand
from priorhood.posterior.tree import SUMMARIES
from priorhood.suffstats.io import PLACES, stored_places
from priorhood.suffstats.netcdf import ArrayTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    import xarray as xr

    from priorhood._arrays import Array, Index, Labels
    from priorhood.data.place_table import PlaceTable
    from priorhood.model.design import Design
    from priorhood.model.model import Model
    from priorhood.model.scale import Scale
    from priorhood.suffstats.fit_data import FitData
    from priorhood.suffstats.moments import CellMoments

INTERVAL = 0.9
KINDS = ("mu", "beta", "delta", "tau", "omega", "sigma", "nu")
PURE = ("omega", "nu")  # kinds of numbers without a unit


@dataclass(frozen=True)
class Reading:
    """Draws with their model and sums, as they are read; see Posterior, which is asked for more.

    tree : xarray DataTree with groups posterior, sample_stats and moments; open to ArviZ. Of a fit, whose arrays
        are given in its place, it is made when it is first asked for
    """

    data: FitData
    tree: xr.DataTree

    def __post_init__(self) -> None:
        if isinstance(self.tree, ArrayTree):
            self.__dict__["_held"] = self.__dict__.pop("tree")

    @property
    def model(self) -> Model:
        """The model as fitted."""
        return self.data.model

    @property
    def design(self) -> Design:
        """The model's columns, with the categories found."""
        return self.data.design

    @property
    def moments(self) -> CellMoments:
        """The sums of the rows used."""
        return self.data.moments

    @property
    def scale(self) -> Scale:
        """Centre and spread of every column, and the outcome's unit."""
        return self.data.scale

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The tree of a fit, once: from then on it is what counts, changed or not."""
            if name != "tree" or "_held" not in self.__dict__:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            self.__dict__["tree"] = self._held.tree()
            del self.__dict__["_held"]
            return self.__dict__["tree"]

    @property
    def _arrays(self) -> ArrayTree | None:
        """The arrays of a fit, as long as nobody has asked for the tree; None from then on."""
        return self.__dict__.get("_held")

    @property
    def _attrs(self) -> dict[Any, Any]:
        return (self._arrays or self.tree).attrs

    @property
    def _sizes(self) -> dict[str, int]:
        """How long the dimensions of the draws are: chain, draw, those of places and terms."""
        if self._arrays is None:
            return {str(dim): size for dim, size in self.tree["posterior"].sizes.items()}
        group = self._arrays.groups["posterior"]
        every = [*group.variables.values(), *group.coords.values()]
        return {dim: size for dims, values in every for dim, size in zip(dims, values.shape, strict=True)}

    def _dims(self, name: str) -> tuple[str, ...]:
        """The dimensions of a parameter's draws, chain and draw first."""
        held = self._arrays
        return tuple(map(str, self[name].dims)) if held is None else held.groups["posterior"].variables[name][0]

    @property
    def attrs(self) -> dict[str, Any]:
        """Engine, seed, evidence, versions and the account of rows."""
        return {str(k): v.item() if isinstance(v, np.generic) else v for k, v in self._attrs.items()}

    @property
    def seed(self) -> int:
        """The seed of the draws."""
        return int(self._attrs["seed"])

    @property
    def parameters(self) -> list[str]:
        """The parameters' names in reading order: mu, beta, delta, tau, omega, sigma, nu."""
        held = self._arrays
        there: Iterable[Any] = (
            self.tree["posterior"].data_vars if held is None else held.groups["posterior"].variables
        )
        return sorted(map(str, there), key=lambda name: KINDS.index(base_of(name)))

    @property
    def hierarchy(self) -> Hierarchy:
        """The places of all groupings, and which lies in which."""
        return self.data.hierarchy

    @cached_property
    def place_table(self) -> PlaceTable | None:
        """What is known of the places themselves, from places=; None where nothing is."""
        held = self._arrays
        return None if held is not None and PLACES not in held.groups else stored_places(self.tree)

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
        if "log_evidence" not in self._attrs:
            raise ModelError(f"the engine {self._attrs['engine']} gives no evidence; engine='exact' does")
        return float(self._attrs["log_evidence"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about what the data cannot tell."""
        return tuple(json.loads(self._attrs["notes"]))

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
        return SUMMARIES in (self.tree.children if self._arrays is None else self._arrays.groups)

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
        return on_demand(stored, self.data, self.seed, at)

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
            self.tree, self.design, self.hierarchy, quantiles, lambda: self._on_demand
        )
        return found if standardized else found * self._natural_of(next(iter(found.values())))

    def natural_factor(self, name: str) -> xr.DataArray | float:
        """What a parameter on the standardized scale is multiplied by to be in the data's units."""
        return self._natural_of(self[name]) if (plain := self._plain_factor(name)) is None else plain

    def _plain_factor(self, name: str) -> float | None:
        """The same where it is one number; None where it depends on the term."""
        if base_of(name) in PURE or name == "sigma_spread":
            return 1.0
        return self.scale.unit if name in ("sigma", "sigma_median") else None

    def _factor(self, name: str, along: Sequence[npt.NDArray[Any]]) -> Array | float:
        """The same by the coordinates of the dimensions after chain and draw, of which the last are the terms."""
        if (plain := self._plain_factor(name)) is not None:
            return plain
        natural = dict(zip(self.design.names, self.scale.natural(), strict=True))
        return np.array([natural[str(term)] for term in along[-1]])

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

    @answers_other_names
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

        labels, columns = self._summary_columns(var_names, standardized=standardized, interval=interval)
        return pd.DataFrame(columns, index=pd.Index(labels, name="parameter"))

    def _summary_columns(
        self, var_names: list[str] | str | None = None, *, standardized: bool = False, interval: float = INTERVAL
    ) -> tuple[list[str], dict[str, Any]]:
        """The index and the columns of summary(), without pandas."""
        if not 0 < interval < 1:
            raise ModelError(f"interval must be between 0 and 1, like 0.9, not {interval!r}")
        chosen = [var_names] if isinstance(var_names, str) else var_names
        beta = self.model.formula.effect_name(0) if self.summed else ""
        every = sorted([*self.parameters, *([beta] if beta else [])], key=lambda name: KINDS.index(base_of(name)))
        index: list[str] = []
        units: list[str] = []
        parts: list[dict[str, Any]] = []
        for name in every if chosen is None else chosen:
            if beta and name == beta:
                told = self.coefficients(bounds_of(interval), standardized=standardized)
                labels, own = summarize_mixtures(name, told, interval)
            else:
                values, along = self._stored(name)
                values = values if standardized else values * self._factor(name, along)
                labels, own = summarize_draws(name, values, labels_along(name, along), interval)
            index += labels
            units += [""] * len(labels) if standardized else finest_places.units(self.unit_of, labels)
            parts.append(own)
        whole = [(name, np.concatenate([part[name] for part in parts])) for name in parts[0]]
        return index, dict([*whole[:5], ("unit", units), *whole[5:]])

    def _stored(self, name: str) -> tuple[Array, list[npt.NDArray[Any]]]:
        """Draws of one parameter, standardized, and the coordinates of its dimensions after chain and draw."""
        held = None if self._arrays is None else self._arrays.groups["posterior"]
        if held is None or name not in held.variables:
            draws = self[name]
            return draws.values, [draws[dim].values for dim in draws.dims[2:]]
        dims, values = held.variables[name]
        return values, [held.coords[dim][1] for dim in dims[2:]]

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

"""Draws → Posterior: a labelled DataTree that ArviZ opens; the summary; what is made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood import finest
from priorhood import predict as predicting
from priorhood.check import Check, check_draws
from priorhood.design import INTERCEPT
from priorhood.draws import QUANTILES
from priorhood.errors import ModelError, near
from priorhood.expect import expected_rows, typical_homes
from priorhood.files import write_atomically
from priorhood.groups import Coefficients, coefficients_of
from priorhood.hierarchy import Hierarchy, hierarchy_of, labels_by_column
from priorhood.machine import cores
from priorhood.ondemand import OnDemand, numbers_of, on_demand
from priorhood.placing import placed_to_predict, together
from priorhood.priors import base_of
from priorhood.summary import bounds_of, summarize_draws, summarize_mixtures
from priorhood.table import Table, read
from priorhood.tree import SUMMARIES, attached, stored_places, tree_of, with_places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import xarray as xr

    from priorhood.design import Design
    from priorhood.draws import Draws
    from priorhood.gazetteer import Gazetteer
    from priorhood.model import Model
    from priorhood.moments import Moments
    from priorhood.scale import Scale

Array = npt.NDArray[np.float64]

INTERVAL = 0.9
KINDS = ("mu", "beta", "delta", "tau", "omega", "sigma", "nu")
PURE = ("omega", "nu")  # kinds of numbers without a unit


@dataclass(frozen=True)
class Posterior:
    """A fitted model: draws, the sums they came from, and all that is needed to go on without the rows.

    tree : xarray DataTree with groups posterior, sample_stats and moments; open to ArviZ
    """

    model: Model
    design: Design
    scale: Scale
    moments: Moments
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
    def gazetteer(self) -> Gazetteer | None:
        """What is known of the places themselves, from places=; None where nothing is."""
        return stored_places(self.tree)

    @property
    def cells(self) -> dict[str, npt.NDArray[np.str_]]:
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
            raise ModelError(finest.not_stored(name, self.hierarchy, self.attrs))
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

    def __repr__(self) -> str:
        size = self.tree["posterior"].sizes
        places = ", ".join(f"{one.size:,} {one.name}" for one in self.hierarchy.groupings) or "no groups"
        rows = f"{self.moments.rows:,} rows, {places}"
        kept = ", of places their summaries" if self.summed else ""
        return (
            f"Posterior({self.model.formula.text!r}: {rows}, {size['chain']} chains × {size['draw']} draws{kept})"
        )

    # -- reading it ---------------------------------------------------------------------------------------

    @cached_property
    def _on_demand(self) -> OnDemand:
        """All that the finest places' draws are made of."""
        return self._made(None)

    def _made(self, at: npt.NDArray[np.int64] | None) -> OnDemand:
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
        found = finest.draws(self.tree, self.model, self.hierarchy, places, lambda: self._on_demand)
        return found if standardized else found * self._natural_of(found)

    def coefficients(self, quantiles: Sequence[float] = QUANTILES, *, standardized: bool = False) -> xr.Dataset:
        """Mean, sd and quantiles of all coefficients of the finest places, whether their draws are stored or not.

        Returns
        -------
        beta_mean, beta_sd, beta_q5, … by (group, term); intercepts are at the centre of the predictors
        """
        found = finest.coefficients(self.tree, self.design, self.moments.labels, quantiles, lambda: self._on_demand)
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
            frame.insert(5, "unit", "" if standardized else finest.units(self.unit_of, list(frame.index)))
            rows.append(frame)
        return pd.concat(rows)

    def unit_of(self, label: str) -> str:
        """The unit of a parameter by its label, `beta[10115, area]`."""
        name, _, inside = label.partition("[")
        if base_of(name) in PURE or name == "sigma_spread":
            return ""
        if name in ("sigma", "sigma_median"):
            return self.model.unit_of(INTERCEPT)
        term = inside[:-1].partition(", ")[2] if base_of(name) in ("beta", "delta") else inside[:-1]
        return self.model.unit_of(term or INTERCEPT)

    def check(self) -> Check:
        """Verdicts on the draws, printed one sentence a line: what is wrong, with which parameters, what to do."""
        groups = {name: self.tree[name].to_dataset() for name in ("posterior", "sample_stats")}
        rows = {}
        if self.hierarchy.levels:
            finest = self.hierarchy.levels[0]
            counts = finest.total(self.moments.n).astype(int)
            rows = dict(zip(finest.labels.tolist(), counts.tolist(), strict=True))
        return check_draws(groups["posterior"], groups["sample_stats"], self.attrs, rows)

    def notebook_names(self) -> Any:
        """The draws under a hierarchical notebook's names, for its ArviZ calls: alpha, beta, mu_alpha, ….

        Returns
        -------
        a DataTree whose groups can be filtered with where; with ArviZ before 1.0, which knows none, its
        InferenceData. See notebook.notebook_names for the names

        Raises
        ------
        ModelError : not an intercept and one numeric slope by one group
        """
        # Loads xarray.
        from priorhood.notebook import for_arviz, notebook_names

        groups = {name: node.to_dataset() for name, node in self.tree.children.items()}
        return for_arviz(notebook_names(groups, self.design, self.attrs))

    # -- using it ------------------------------------------------------------------------------------------

    def predict(
        self,
        table: object,
        *,
        quantiles: Sequence[float] = (0.05, 0.5, 0.95),
        below: float | Sequence[float] | None = None,
        above: float | Sequence[float] | None = None,
        unseen: str = "error",
        prefix: str = "",
        seed: int | None = None,
        places: object = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Any:
        """The predictive distribution of every row: Normal(xᵀβ, σ²) or Student(nu, xᵀβ, σ) over all draws.

        Parameters
        ----------
        table : whatever read() takes, with the predictors and the group; a mapping of columns too. Where the
            errors are known, also with the standard error of every outcome to predict, in its units. With
            precision weights a row may have its weight, sd σ/√w; without the column it is 1. Frequencies
            are of no account here
        quantiles : probabilities; below, above : thresholds in the outcome's units
        unseen : for a group that the fit did not have: "error"; "population", the average group, of nested
            places the nearest parent that is known; "draw", a group drawn around that, one for all its rows
        prefix : put before the names of the new columns
        places : more places with their predictors, where the model was fitted with places. What the fit's
            table of places says is known anyway, and serves rows without such a column of their own

        Returns
        -------
        the rows as given, in order, as the kind of frame that was given (pandas for a file or mapping), with
        mean, sd, q5, q50 (the median), q95, below_X, above_X in the outcome's own units, and status: known,
        new, unknown (no group given: averaged over the known ones by their rows), missing (a predictor), or
        invalid (log of a number ≤ 0); the last two have no numbers. Under a log outcome mean is that of
        the price, E exp(m + σ²/2), and lies above the median.

        Notes
        -----
        Probabilities and quantiles are those of the mixture over all draws, without simulation, to 1e-6.
        Student's t is there a mixture of Normals: probabilities then hold to 4e-4, see mixture.precisions. Its
        mean and sd are exact: the sd is infinite where any draw has nu ≤ 2, the mean none (NaN) where any has
        nu ≤ 1, and both are infinite under a log outcome.

        Where groups have their own residual sd, a new group's is drawn from what they have in common, or from
        its prior where they are independent; also with "population".
        """
        wanted = predicting.request(
            quantiles, below, above, unseen, prefix, self.seed if seed is None else seed, cores()
        )
        rows = self.placed(table, places)
        return predicting.predict_table(self._coefficients(), self.design, self.scale, rows, wanted, progress)

    def predict_draws(
        self, table: object, *, unseen: str = "error", seed: int | None = None, places: object = None
    ) -> xr.DataArray:
        """Predictive draws of every row of a table: (chain, draw, row), in the outcome's own units.

        Memory grows with rows × draws; predict() gives summaries without that. NaN where a predictor is
        missing; the coordinate status says so. Arguments as of predict().
        """
        sizes = self.tree["posterior"].sizes
        wanted = predicting.request((), None, None, unseen, "", self.seed if seed is None else seed, 1)
        return predicting.predict_draws(
            self._coefficients(), self.design, self.scale, self.placed(table, places), wanted.unseen, wanted.seed,
            (sizes["chain"], sizes["draw"]), cores(),
        )  # fmt: skip

    def expected(
        self, table: object, *, unseen: str = "error", seed: int | None = None, places: object = None
    ) -> xr.DataArray:
        """What every row is expected to cost under every draw, E(y_i | θ), without the noise of single rows.

        xᵀβ in the outcome's own units; exp(xᵀβ + σ²/2) where the formula takes the log; there the centre,
        exp(xᵀβ), with Student-t and with known errors. Its mean over the draws is predict()'s; its sd is smaller,
        that of what is not known of the place.

        Returns
        -------
        (chain, draw, row), NaN where a predictor is missing; the coordinate status says so. Rows need no standard
        errors or weights. Arguments as of predict(); memory grows with rows × draws.
        """
        import xarray as xr

        wanted = predicting.request((), None, None, unseen, "", self.seed if seed is None else seed, 1)
        values, status = expected_rows(
            self._coefficients(), self.design, self.scale, self.placed(table, places), wanted.unseen, wanted.seed
        )
        shape = (*(self.tree["posterior"].sizes[d] for d in ("chain", "draw")), values.shape[1])
        return xr.DataArray(
            values.reshape(shape), dims=("chain", "draw", "row"), name=self.design.formula.outcome_name,
            coords={"row": np.arange(shape[-1]), "status": ("row", status)},
        )  # fmt: skip

    def homes(self, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """One and the same home in every place: rows for predict() and expected(), in the places' order.

        Parameters
        ----------
        at : values of predictors, {"living_space": 100}. Of the others the mean over all rows is taken, of a
            category the most frequent one, of a crossed grouping its average (predict it with
            unseen="population"). Predictors of the places are their own

        Raises
        ------
        ModelError : a name that the formula does not have; a predictor whose mean is not known
        """
        known = frozenset(() if self.gazetteer is None else self.gazetteer.columns)
        return typical_homes(self.design, self.moments, self.hierarchy, known, at or {})

    def placed(self, table: object, places: object = None) -> Table:
        """Rows to predict, with the places' predictors that they do not bring themselves."""
        formula = self.model.formula
        return placed_to_predict(read(table), together(places, formula, self.gazetteer), formula, self.cells)

    def knowing(self, gazetteer: Gazetteer | None) -> Posterior:
        """The same posterior with what is known of the places in its tree."""
        return replace(self, tree=with_places(self.tree, gazetteer))

    def _coefficients(self, thinned: xr.Dataset | None = None) -> Coefficients:
        """The draws as predictions take them: all, or some of them."""
        stored = self.tree["posterior"].to_dataset()
        made = None
        if self.summed:
            made = self._on_demand if thinned is None else self._made(numbers_of(stored, thinned))
        return coefficients_of(
            stored if thinned is None else thinned, self.model, self.design, self.moments.labels,
            self.moments.n / self.moments.n.sum(), made,
        )  # fmt: skip

    # -- the file ----------------------------------------------------------------------------------------

    def attach(self, *trees: xr.DataTree) -> Posterior:
        """The same posterior with more groups in its tree, to be saved together in one file.

        Parameters
        ----------
        trees : of prior_predictive() and posterior_predictive(). Taken are prior, prior_predictive,
            posterior_predictive, log_likelihood and observed_data; a group already there is replaced.
            posterior, sample_stats and moments stay as they are

        Raises
        ------
        ModelError : no tree, or one with a group of another name
        """
        return replace(self, tree=attached(self.tree, trees))

    def save(self, path: str | Path) -> None:
        """Write one netCDF file; an interrupted save leaves a former file as it was.

        Raises
        ------
        FileError : the place cannot be written
        """
        write_atomically(path, lambda name: self.tree.to_netcdf(name, engine="h5netcdf"))


def assemble(
    model: Model, design: Design, scale: Scale, moments: Moments, draws: Draws, facts: dict[str, Any]
) -> Posterior:
    """Label an engine's arrays."""
    return Posterior(model, design, scale, moments, tree_of(model, design, scale, moments, draws, facts))

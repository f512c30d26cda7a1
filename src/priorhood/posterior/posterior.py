"""The posterior of a model: labelled draws, their summaries and units, predictions, PyMC, the file."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._system import check_netcdf, cores, write_atomically
from priorhood._text import preview, suggestion
from priorhood.data.join_places import placed_to_predict, together
from priorhood.data.sources.table import read
from priorhood.diagnostics.check import Check, check_draws
from priorhood.diagnostics.summary import bounds_of, labels_along, summarize_draws, summarize_mixtures
from priorhood.engines import nuts
from priorhood.engines.draws import QUANTILES, Summaries
from priorhood.engines.observations import Observations
from priorhood.errors import ModelError, warn
from priorhood.model.design import INTERCEPT
from priorhood.model.hierarchy import labels_by_column
from priorhood.model.priors import base_of, split_label
from priorhood.posterior.lazy_draws import asked, make_lazy_draws, numbers_of
from priorhood.posterior.pymc_draws import completed, regression_of
from priorhood.posterior.tree import SUMMARIES, attached, summarized, tree_of
from priorhood.posterior.verbs import PosteriorMethods
from priorhood.prediction.coefficients import coefficients_of
from priorhood.prediction.expected import expected_rows, typical_homes
from priorhood.prediction.observed import used_rows
from priorhood.prediction.predict import predict_draws, predict_table, request
from priorhood.suffstats.io import PLACES, stored_places, with_places
from priorhood.suffstats.netcdf import Arrays, ArrayTree, write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    import pandas as pd
    import pymc as pm
    import xarray as xr

    from priorhood._arrays import Array, Labels
    from priorhood.data.place_table import PlaceTable
    from priorhood.data.sources.table import Table
    from priorhood.engines.draws import Draws
    from priorhood.model.design import Design
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.model.model import Model
    from priorhood.model.scale import Scale
    from priorhood.posterior.lazy_draws import LazyDraws
    from priorhood.prediction.coefficients import Coefficients
    from priorhood.prediction.finite_moments import Tails
    from priorhood.prediction.predict import Predictions, Request
    from priorhood.suffstats.fit_data import FitData
    from priorhood.suffstats.moments import CellMoments

INTERVAL = 0.9
KINDS = ("mu", "beta", "delta", "tau", "omega", "sigma", "nu")
PURE = ("omega", "nu")  # kinds of parameters without a unit


@dataclass(frozen=True)
class Posterior(PosteriorMethods):
    """A fitted model: draws, the sums they came from, and all that is needed to go on without the rows.

    Parameters
    ----------
    data : FitData
        The model, its columns, the sums of the rows and the scale.
    tree : xarray.DataTree
        Groups posterior, sample_stats and moments; ArviZ reads it. A fit gives arrays in its place, of which the
        tree is made when something first needs it.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
    >>> ph.fit("price ~ living_space + (1 | zip)", sales, seed=1)
    Posterior('price ~ living_space + (1 | zip)': 200 rows, 5 zip, 4 chains × 1000 draws)
    """

    data: FitData
    tree: xr.DataTree

    def __post_init__(self) -> None:
        if isinstance(self.tree, ArrayTree):
            self.__dict__["_arrays"] = self.__dict__.pop("tree")

    if TYPE_CHECKING:

        @property
        def _arrays(self) -> ArrayTree | None: ...
    else:

        def __getattr__(self, name: str) -> Any:
            """The tree of a fit, made once: from then on it counts, changed or not, and _arrays is None."""
            if name == "_arrays":
                return None
            if name != "tree" or self._arrays is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            self.__dict__["tree"] = self._arrays.tree()
            del self.__dict__["_arrays"]
            return self.__dict__["tree"]

    def __repr__(self) -> str:
        size = self._sizes
        places = ", ".join(f"{one.size:,} {one.title}" for one in self.hierarchy.groupings) or "no groups"
        draws = f"{size['chain']} chains × {size['draw']} draws"
        kept = ", of places their summaries" if self.summed else ""
        return f"Posterior({self.model.formula.text!r}: {self.moments.rows:,} rows, {places}, {draws}{kept})"

    # -- what was fitted -------------------------------------------------------------------------------------

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
        """Sums of the rows used."""
        return self.data.moments

    @property
    def scale(self) -> Scale:
        """Centre and spread of every column, and the outcome's unit."""
        return self.data.scale

    @property
    def hierarchy(self) -> Hierarchy:
        """The places of all groupings, and their parents."""
        return self.data.hierarchy

    @property
    def attrs(self) -> dict[str, Any]:
        """Engine, seed, evidence, versions and the account of rows."""
        return {str(k): v.item() if isinstance(v, np.generic) else v for k, v in self._attrs.items()}

    @property
    def seed(self) -> int:
        """Seed of the draws."""
        return int(self._attrs["seed"])

    @property
    def log_evidence(self) -> float:
        """Log p(y) of the outcome in its own units (of its log where the formula takes the log).

        Raises
        ------
        ModelError
            The draws are from NUTS, which does not give it.
        """
        if "log_evidence" not in self._attrs:
            raise ModelError(f"the engine {self._attrs['engine']} gives no evidence; engine='exact' does")
        return float(self._attrs["log_evidence"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about what the data cannot tell."""
        return tuple(json.loads(self._attrs["notes"]))

    @property
    def store(self) -> str:
        """What is kept of the finest places' coefficients: "draws" or "summaries"."""
        return "summaries" if self.summed else "draws"

    @property
    def summed(self) -> bool:
        """Whether the finest places' coefficients are kept as summaries, without their draws."""
        return SUMMARIES in (self.tree.children if self._arrays is None else self._arrays.groups)

    @property
    def cells(self) -> dict[str, Labels]:
        """Label of every cell of the sums, by key column."""
        return labels_by_column(self.model.formula, self.moments.labels)

    @cached_property
    def place_table(self) -> PlaceTable | None:
        """Predictors of the places themselves, from places=; None where there are none."""
        return None if self._arrays is not None and PLACES not in self._arrays.groups else stored_places(self.tree)

    def priors(self) -> dict[str, Any]:
        """The prior of every parameter; Model(formula, priors=…) takes it back.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> sorted(post.priors())
        ['mu', 'mu[Intercept]', 'sigma']
        """
        return dict(self.model.priors)

    def equations(self) -> str:
        """The model with its numbers, and its priors in the data's units.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> print(post.equations().splitlines()[0])
        price ~ area
        """
        return self.model.equations(self.design, self.scale)

    # -- draws -------------------------------------------------------------------------------------------------

    @property
    def _attrs(self) -> dict[Any, Any]:
        return (self._arrays or self.tree).attrs

    @property
    def _stored(self) -> Arrays:
        """The group `posterior`, without making the tree of it."""
        if self._arrays is not None:
            return self._arrays.groups["posterior"]
        group = self.tree["posterior"].to_dataset()
        named = [{str(k): (tuple(map(str, v.dims)), v.values) for k, v in part.items()}
                 for part in (group.data_vars, group.coords)]  # fmt: skip
        return Arrays(*named)

    @property
    def _sizes(self) -> dict[str, int]:
        """Lengths of the dimensions of the draws: chain, draw, those of places and terms."""
        every = [*self._stored.variables.values(), *self._stored.coords.values()]
        return {dim: size for dims, values in every for dim, size in zip(dims, values.shape, strict=True)}

    def _dims(self, name: str) -> tuple[str, ...]:
        """Dimensions of a parameter's draws, chain and draw first."""
        return self._stored.variables[name][0]

    @property
    def parameters(self) -> list[str]:
        """The parameters' names in reading order: mu, beta, delta, tau, omega, sigma, nu."""
        return sorted(self._stored.variables, key=lambda name: KINDS.index(base_of(name)))

    def __getitem__(self, name: str) -> xr.DataArray:
        """Draws of one parameter on the standardized scale: post["mu"]."""
        draws = self.tree["posterior"].to_dataset()
        if name in draws:
            return draws[name]
        if self.summed and name == self.model.formula.effect_name(0):
            level = self.hierarchy.levels[0]
            raise ModelError(
                f"no draws of {name} are stored ({self.attrs['store_reason']}): draws of chosen places are made by "
                f"post.draws({level.name}=[{str(level.labels[0])!r}]), means, sds and quantiles of all by "
                f"post.coefficients(); a fit with store='draws' (--store draws) keeps them all"
            )
        raise ModelError(f"the posterior has no parameter {name!r}; {suggestion(name, map(str, draws.data_vars))}")

    @cached_property
    def _on_demand(self) -> LazyDraws:
        """The finest places given all draws of the other parameters."""
        return make_lazy_draws(self.tree["posterior"].to_dataset(), self.data, self.seed)

    def draws(self, *, standardized: bool = False, **places: object) -> xr.DataArray:
        """Draws of the coefficients of chosen places: post.draws(zip=["10115", "12047"]).

        They are the stored ones. Where only summaries are stored, they are made from the draws of θ and the places'
        own sums: the same in whatever company the places are, and after the posterior was saved.

        Parameters
        ----------
        standardized : bool
            Whether to give them on the model's scale rather than in the data's units.
        **places
            The formula's group = one label or several, as the posterior writes them.

        Returns
        -------
        xarray.DataArray (chain, draw, group, term)
            Intercepts are at the centre of the predictors.

        Raises
        ------
        ModelError
            No places given, labels that the posterior does not have, not the formula's group.

        Examples
        --------
        >>> import priorhood as ph
        >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, seed=1)
        >>> post.draws(zip=post.hierarchy.levels[0].labels[:2]).sizes["zip"]
        2
        """
        import xarray as xr

        formula = self.model.formula
        at = asked(formula, self.hierarchy, places)
        if at is None:
            raise ModelError(f"draws() takes places by their labels: {formula.group or 'group'}=…")
        beta, stored, level = formula.effect_name(0), self.tree["posterior"].to_dataset(), self.hierarchy.levels[0]
        if beta in stored:
            found = stored[beta].isel({level.name: at})
        else:
            named = self.tree[SUMMARIES].to_dataset()[f"{beta}_mean"]
            term = str(named.dims[-1])
            coords: dict[str, Any] = {name: stored[name].values for name in ("chain", "draw")}
            coords |= {level.name: level.labels[at], term: named[term].values}
            values = self._on_demand.draws(at).reshape(stored.sizes["chain"], stored.sizes["draw"], len(at), -1)
            found = xr.DataArray(values, dims=("chain", "draw", *named.dims), coords=coords, name=beta)
        return found if standardized else found * self.natural_factor(beta, found)

    def coefficients(self, quantiles: Sequence[float] = QUANTILES, *, standardized: bool = False) -> xr.Dataset:
        """Mean, sd and quantiles of all coefficients of the finest places, whether their draws are stored or not.

        Parameters
        ----------
        quantiles : sequence of float
            Probabilities.
        standardized : bool
            Whether to give them on the model's scale rather than in the data's units.

        Returns
        -------
        xarray.Dataset (group, term)
            beta_mean, beta_sd, beta_q5, …; intercepts are at the centre of the predictors.

        Examples
        --------
        >>> import priorhood as ph
        >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, seed=1)
        >>> list(post.coefficients((0.1, 0.9)))
        ['beta_mean', 'beta_sd', 'beta_q10', 'beta_q90']
        """
        formula = self.model.formula
        if not formula.levels:
            raise ModelError(f"{formula.text!r} has no group, so there are no places")
        if not all(0 < level < 1 for level in quantiles):
            raise ModelError(f"quantiles must lie between 0 and 1, like 0.05,0.5,0.95, not {preview(quantiles)}")
        stored, beta = self.tree["posterior"].to_dataset(), formula.effect_name(0)
        if beta not in stored and tuple(quantiles) == QUANTILES:
            found = self.tree[SUMMARIES].to_dataset()
        else:
            if beta in stored:
                flat = stored[beta].transpose("chain", "draw", ...).values
                flat = flat.reshape(-1, *flat.shape[2:])
                several = np.moveaxis(np.quantile(flat, quantiles, axis=0), 0, -1)
                summaries = Summaries(flat.mean(axis=0), flat.std(axis=0), several)
            else:
                summaries = self._on_demand.leaves.summarize(quantiles, cores())
            found = summarized(self.design, self.hierarchy, summaries, quantiles)
        return found if standardized else found * self.natural_factor(beta, next(iter(found.values())))

    # -- units -------------------------------------------------------------------------------------------------

    def natural(self, name: str) -> xr.DataArray:
        """Draws of one parameter in the data's units; intercepts are at the centre of the predictors.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.natural("mu").sizes["draw"]
        1000
        """
        return self[name] * self.natural_factor(name)

    def natural_factor(self, name: str, draws: xr.DataArray | None = None) -> xr.DataArray | float:
        """Factor that takes a parameter from the standardized scale to the data's units.

        Parameters
        ----------
        name : str
            The parameter.
        draws : xarray.DataArray, optional
            Its draws, where they are not stored; the last dimension is that of the terms.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.natural_factor("sigma") == post.scale.unit
        True
        """
        import xarray as xr

        if (plain := self._plain_factor(name)) is not None:
            return plain
        draws = self[name] if draws is None else draws
        dim = str(draws.dims[-1])
        return xr.DataArray(self._term_factors(draws[dim].values), dims=[dim])

    def _plain_factor(self, name: str) -> float | None:
        """The factor of a parameter where it is one number; None where it depends on the term."""
        if base_of(name) in PURE or name == "sigma_spread":
            return 1.0
        return self.scale.unit if name in ("sigma", "sigma_median") else None

    def _term_factors(self, terms: npt.NDArray[Any]) -> Array:
        """The factors of coefficients of some terms."""
        natural = dict(zip(self.design.names, self.scale.natural(), strict=True))
        return np.array([natural[str(term)] for term in terms])

    def unit_of(self, label: str) -> str:
        """The unit of a parameter by its label, `beta[10115, area]`.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.unit_of("mu[area]")
        'price per area'
        """
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

    # -- summary and verdicts ----------------------------------------------------------------------------------

    @suggest_argument_names
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
        var_names : str or list of str, optional
            Parameters to show; all if None. Places without stored draws have the numbers of the mixture over θ, and
            no mcse_mean, ess_bulk, ess_tail and r_hat, which are NaN.
        standardized : bool
            Whether to give them on the model's scale rather than in the data's units.
        interval : float
            Probability of the equal-tailed interval.

        Returns
        -------
        pandas.DataFrame
            One row a parameter, labelled like beta[10115, living_space]: mean, sd, median, eti90_lb, eti90_ub
            (bounds of the 90 % equal-tailed interval), unit, mcse_mean, ess_bulk, ess_tail, r_hat.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> list(post.summary().index)
        ['mu[Intercept]', 'mu[area]', 'sigma']
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
        stored = self._stored
        for name in every if chosen is None else chosen:
            if beta and name == beta:
                found = self.coefficients(bounds_of(interval), standardized=standardized)
                labels, own = summarize_mixtures(name, found, interval)
            else:
                if name not in stored.variables:
                    self[name]  # raises
                dims, values = stored.variables[name]
                along = [stored.coords[dim][1] for dim in dims[2:]]
                if not standardized:
                    plain = self._plain_factor(name)
                    values = values * (self._term_factors(along[-1]) if plain is None else plain)
                labels, own = summarize_draws(name, values, labels_along(name, along), interval)
            if standardized:
                units += [""] * len(labels)
            else:  # one look at the unit of every term: there may be millions of places
                terms = [label.partition(", ")[2] for label in labels]
                first = {term: label for label, term in zip(labels, terms, strict=True) if term}
                of_term = {term: self.unit_of(label) for term, label in first.items()}
                units += [of_term[t] if t else self.unit_of(label) for t, label in zip(terms, labels, strict=True)]
            index += labels
            parts.append(own)
        whole = [(name, np.concatenate([part[name] for part in parts])) for name in parts[0]]
        return index, dict([*whole[:5], ("unit", units), *whole[5:]])

    def check(self) -> Check:
        """Verdicts on the draws, printed one sentence a line: what is wrong, with which parameters, what to do.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.check().good
        True
        """
        rows = {}
        if self.hierarchy.levels:
            finest = self.hierarchy.levels[0]
            counts = finest.total(self.moments.n).astype(int)
            rows = dict(zip(finest.labels.tolist(), counts.tolist(), strict=True))
        posterior, stats = (self.tree[name].to_dataset() for name in ("posterior", "sample_stats"))
        return check_draws(posterior, stats, self.attrs, rows)

    # -- predictions -------------------------------------------------------------------------------------------

    @suggest_argument_names
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
        table : anything read() takes
            With the predictors and the group; a mapping of columns too. Where the errors are known, also with the
            standard error of every outcome to predict, in its units. With precision weights a row may have its
            weight, sd σ/√w; without the column it is 1. Frequencies do not matter here.
        quantiles : sequence of float
            Probabilities.
        below, above : float or sequence of float, optional
            Thresholds in the outcome's units.
        unseen : str
            For a group that the fit did not have: "error"; "population", the average group, of nested places the
            nearest parent that is known, and so for a table without the group's column; "draw", a group drawn
            around that, one for all its rows.
        prefix : str
            Put before the names of the new columns.
        seed : int, optional
            Of new groups' draws; the posterior's if None.
        places : anything read() takes, optional
            More places with their predictors, where the model was fitted with places. The fit's own table of places
            serves rows without such a column of their own.
        progress : callable, optional
            Called with (stage, done, total).

        Returns
        -------
        frame
            The rows as given, in order, as the kind of frame that was given (pandas for a file or mapping), texts
            that are numbers by read()'s decimal and thousands as numbers, with mean, sd, q5, q50 (the median), q95,
            below_X, above_X in the outcome's own units, and status: known, new, unknown (no group given: averaged
            over the known ones by their rows), missing (a predictor), or invalid (log of a number ≤ 0); the last
            two have no numbers. Under a log outcome mean is that of the price, E exp(m + σ²/2), and lies above the
            median; mean and sd are those with every scale below its posterior 1 − 1e-6 quantile, and infinite where
            the 1 − 1e-4 quantile makes another mean (by over 1 %) or sd (5 %), for which a warning gives advice.

        Notes
        -----
        Probabilities and quantiles are those of the mixture over all draws, without simulation, to 1e-6. Student's
        t is there a mixture of Normals: probabilities then hold to 4e-4, see mixture.precisions. Its mean and sd
        are exact: the sd is infinite where any draw has nu ≤ 2, the mean none (NaN) where any has nu ≤ 1, and both
        are infinite under a log outcome.

        Where groups have their own residual sd, a new group's is drawn from what they have in common, or from its
        prior where they are independent; also with "population".

        Examples
        --------
        >>> import priorhood as ph
        >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, seed=1)
        >>> found = post.predict(sales[["zip", "living_space"]].head(3), below=300_000)
        >>> list(found.columns)
        ['zip', 'living_space', 'mean', 'sd', 'q5', 'q50', 'q95', 'below_300000', 'status']
        """
        wanted = request(quantiles, below, above, unseen, seed=self.seed if seed is None else seed)
        frame, found = self._predicted(table, wanted, prefix=prefix, places=places, progress=progress)
        if found.note:
            warn(found.note)
        return frame

    def _predicted(
        self,
        table: object,
        wanted: Request,
        *,
        prefix: str = "",
        places: object = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> tuple[Any, Predictions]:
        """The frame of predict(), and its numbers; infinite moments are told by these alone, without a warning."""
        rows = self.placed(table, places)
        return predict_table(self._coefficients(), rows, wanted, self._tails, progress, prefix=prefix)

    @suggest_argument_names
    def predict_draws(
        self, table: object, *, unseen: str = "error", seed: int | None = None, places: object = None
    ) -> xr.DataArray:
        """Predictive draws of every row of a table, in the outcome's own units.

        Parameters
        ----------
        table, unseen, seed, places
            As of predict().

        Returns
        -------
        xarray.DataArray (chain, draw, row)
            NaN where a predictor is missing; the coordinate status says so. Memory grows with rows × draws;
            predict() gives summaries without that.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.predict_draws({"area": [60, 80]}).shape
        (4, 1000, 2)
        """
        wanted = request(unseen=unseen, seed=self.seed if seed is None else seed)
        rows = self.placed(table, places)
        return self._by_row(*predict_draws(self._coefficients(), rows, wanted.unseen, wanted.seed))

    @suggest_argument_names
    def expected(
        self, table: object, *, unseen: str = "error", seed: int | None = None, places: object = None
    ) -> xr.DataArray:
        """Expected outcome of every row under every draw, E(y_i | θ), without the noise of single rows.

        xᵀβ in the outcome's own units; exp(xᵀβ + σ²/2) where the formula takes the log; there the centre, exp(xᵀβ),
        with Student-t and with known errors. Its mean over the draws is predict()'s; its sd is smaller, the
        uncertainty of the place and its line alone. Under a log outcome that mean may be infinite though every draw
        is finite; predict() says so.

        Parameters
        ----------
        table, unseen, seed, places
            As of predict(); rows need no standard errors or weights.

        Returns
        -------
        xarray.DataArray (chain, draw, row)
            NaN where a predictor is missing; the coordinate status says so. Memory grows with rows × draws.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.expected({"area": [60, 80]}).dims
        ('chain', 'draw', 'row')
        """
        wanted = request(unseen=unseen, seed=self.seed if seed is None else seed)
        rows = self.placed(table, places)
        return self._by_row(*expected_rows(self._coefficients(), rows, wanted.unseen, wanted.seed))

    def _by_row(self, values: Array, status: Labels) -> xr.DataArray:
        """Values (S, n) of every draw and row, labelled."""
        import xarray as xr

        shape = (self._sizes["chain"], self._sizes["draw"], values.shape[1])
        return xr.DataArray(
            values.reshape(shape), dims=("chain", "draw", "row"), name=self.design.formula.outcome_name,
            coords={"row": np.arange(shape[-1]), "status": ("row", status)},
        )  # fmt: skip

    @suggest_argument_names
    def homes(self, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """One and the same home in every place: rows for predict() and expected(), in the places' order.

        Parameters
        ----------
        at : mapping, optional
            Values of predictors, {"living_space": 100}. Others have the mean over all rows, categories the most
            frequent one, crossed groupings their average (predict it with unseen="population"). Predictors of the
            places are their own.

        Raises
        ------
        ModelError
            A name that the formula does not have; a predictor whose mean is not known.

        Examples
        --------
        >>> import priorhood as ph
        >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, seed=1)
        >>> post.homes({"living_space": 100}).shape
        (5, 2)
        """
        known = frozenset(() if self.place_table is None else self.place_table.columns)
        return typical_homes(self.design, self.moments, self.hierarchy, known, at or {})

    def placed(self, table: object, places: object = None) -> Table:
        """Rows to predict, with the places' predictors that they do not have themselves.

        Examples
        --------
        >>> import priorhood as ph
        >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, seed=1)
        >>> post.placed(sales.head(2)).columns
        ('zip', 'living_space', 'price')
        """
        formula = self.model.formula
        return placed_to_predict(read(table), together(places, formula, self.place_table), formula, self.cells)

    def _coefficients(self, thinned: xr.Dataset | None = None) -> Coefficients:
        """The draws as predictions take them: all, or some of them."""
        stored = self.tree["posterior"].to_dataset()
        if thinned is None:
            return coefficients_of(stored, self.data, self._on_demand if self.summed else None)
        made = make_lazy_draws(stored, self.data, self.seed, numbers_of(stored, thinned)) if self.summed else None
        return coefficients_of(thinned, self.data, made)

    @cached_property
    def _tails(self) -> Tails | None:
        """The tails of the scales, on which it depends whether moments exist: under a log outcome."""
        if not self.model.formula.log_outcome:
            return None
        # Loads the exact engine.
        from priorhood.prediction.finite_moments import tails_of

        return tails_of(self._coefficients(), cores())

    # -- PyMC and ArviZ ----------------------------------------------------------------------------------------

    def notebook_names(self) -> Any:
        """The draws under a hierarchical notebook's names, for its ArviZ calls: alpha, beta, mu_alpha, ….

        Returns
        -------
        xarray.DataTree
            Its groups can be filtered with where; with ArviZ before 1.0, which takes no trees, its InferenceData.
            See posterior.notebook_names for the names.

        Raises
        ------
        ModelError
            The model is not an intercept and one numeric slope by one group.

        Examples
        --------
        >>> import priorhood as ph
        >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
        >>> post = ph.fit("price ~ living_space + (living_space || zip)", sales, seed=1)
        >>> sorted(post.notebook_names().posterior.data_vars)
        ['alpha', 'beta', 'mu_alpha', 'mu_beta', 'sigma', 'sigma_alpha', 'sigma_beta']
        """
        # Loads xarray.
        from priorhood.posterior.notebook_names import for_arviz, notebook_names

        groups = {name: node.to_dataset() for name, node in self.tree.children.items()}
        return for_arviz(notebook_names(groups, self.design, self.attrs))

    @suggest_argument_names
    def to_pymc(self, table: object, parameterization: str = "centered", *, places: object = None) -> pm.Model:
        """A PyMC model of any rows on this posterior's scale, with its columns and places; see Model.to_pymc.

        Model.to_pymc learns scale, categories and places from its rows, which are the fit's. This one takes them
        from the posterior, whatever the rows: homes to predict, some of the fit's, all rows of a merged posterior.

        Parameters
        ----------
        table : anything read() takes
            As for predict(); outcomes that it does not have are NaN.
        parameterization : str
            "centered" or "noncentered".
        places : anything read() takes, optional
            More places with their predictors, see predict.

        Raises
        ------
        ModelError
            PyMC is not installed; a model that NUTS does not take; no row that can be used.
        TableError
            A column that is not there; a row in a place that the fit did not have, or without its place.
        """
        nuts.check_installed(parameterization)
        return nuts.build(self._regression(table, places), parameterization)

    def rows_for_pymc(self, table: object, *, places: object = None) -> dict[str, Any]:
        """Other rows for a PyMC model: `pm.set_data(**post.rows_for_pymc(rows))`.

        The predictors are standardized as the posterior's were, places are found by label. Rows without a
        predictor, with impossible values or not in where= are left out, as for a fit: the coordinate `row` has
        the positions in the table. Outcomes that the table does not have are NaN.

        Returns
        -------
        dict
            new_data, the values of the model's containers by name, and coords.

        Raises
        ------
        TableError, ModelError
            As of to_pymc.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.rows_for_pymc({"area": [60, 80]})["coords"]["row"].tolist()
        [0, 1]
        """
        r = self._regression(table, places)
        return {"new_data": dict(r.data), "coords": {"row": np.asarray(r.rows.row)}}

    def for_pymc(self, model: pm.Model) -> Any:
        """The posterior with all variables that a model of to_pymc draws, as pymc.sample would have returned it.

        PyMC draws every variable that a posterior lacks anew, from its prior. A model of to_pymc has some that
        ours has not: `spread`, the factor of a covariance; `z` and `sigma_z` of the non-centred form; `tau[…]`
        where priors are of several families; `partial`; `beta_own`. They follow from tau, omega, beta, mu and
        sigma and are returned with these, in groups posterior, sample_stats, observed_data and constant_data.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            For pymc.sample_posterior_predictive and pymc.compute_log_likelihood; InferenceData with ArviZ before
            1.0, a DataTree since.

        Raises
        ------
        ModelError
            A model of other columns, places or parameters; one with variables of its own, which are added
            afterwards.
        """
        posterior, stats = (self.tree[name].to_dataset() for name in ("posterior", "sample_stats"))
        return completed(posterior, stats, self._regression(None), self._coefficients(), model)

    def _regression(self, table: object, places: object = None) -> nuts.Regression:
        """The rows of a table as NUTS takes them, on this posterior's scale; without a table, none."""
        weights, none = self.model.weights, np.zeros(0)
        rows = Observations(
            X=np.zeros((0, len(self.design.columns))), y=none, cell=np.zeros(0, dtype=np.int64),
            se=None if weights.se is None else none,
            precision=None if weights.precision is None else none,
            times=None if weights.frequency is None else none,
        )  # fmt: skip
        own = nuts.regression_of(self.data, rows)
        if table is None:
            return own
        source, c = self.placed(table, places), self._coefficients()
        return regression_of(used_rows(source, c, "population"), c, own, source.name)

    # -- the file ----------------------------------------------------------------------------------------------

    def with_places(self, place_table: PlaceTable | None) -> Posterior:
        """The same posterior with the places' own predictors in its tree.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.with_places(None) is post
        True
        """
        if place_table is None:
            return self
        held: Any = self._arrays or self.tree
        return replace(self, tree=with_places(held, place_table))

    def attach(self, *trees: xr.DataTree) -> Posterior:
        """The same posterior with more groups in its tree, to be saved together in one file.

        Parameters
        ----------
        *trees : xarray.DataTree
            Of prior_predictive() and posterior_predictive(). Taken are prior, prior_predictive,
            posterior_predictive, log_likelihood and observed_data; a group already there is replaced. posterior,
            sample_stats and moments stay as they are.

        Raises
        ------
        ModelError
            No tree, or one with a group of another name.

        Examples
        --------
        >>> import priorhood as ph
        >>> rows = {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}
        >>> post = ph.fit("price ~ area", rows, seed=1)
        >>> "prior" in post.attach(ph.prior_predictive(post.model, rows, draws=10, seed=1)).tree
        True
        """
        return replace(self, tree=attached(self.tree, trees))

    @suggest_argument_names
    def save(self, path: str | Path) -> None:
        """Write one netCDF file; an interrupted save leaves a former file as it was.

        Raises
        ------
        FileError
            The file cannot be written; a name like that of a table, a picture or a page.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.save("post.nc")
        >>> (ph.load("post.nc")["mu"] == post["mu"]).all().item()
        True
        """
        check_netcdf(path, "a posterior", ".nc")
        write_atomically(path, lambda file: write_tree(file, self._arrays or self.tree))


def assemble(data: FitData, draws: Draws, facts: dict[str, Any]) -> Posterior:
    """Label an engine's arrays."""
    tree: Any = tree_of(data, draws, facts)
    return Posterior(data, tree)

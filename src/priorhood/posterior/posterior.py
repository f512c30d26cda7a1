"""The posterior of a model: labelled draws, summaries, units, predictions, PyMC and the file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import suggest_argument_names
from priorhood._system import check_netcdf, cores, write_atomically
from priorhood._text import argument, code_or_command, count_noun, preview, row_count, suggestion
from priorhood.data.join_places import combine_places, join_places_to_predict
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
from priorhood.posterior.lazy_draws import chosen_places, draw_positions, make_lazy_draws
from priorhood.posterior.pymc_draws import pymc_inference_data, regression_of_rows
from priorhood.posterior.tree import SUMMARIES, attach_groups, label_summaries, make_tree
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
DIMENSIONLESS = ("omega", "nu")  # kinds of parameters without a unit


@dataclass(frozen=True)
class Posterior(PosteriorMethods):
    """A fitted model: its draws, the sums of the rows, and all that later steps need without the rows.

    Parameters
    ----------
    data : FitData
        The model, its columns, the sums of the rows and the scale.
    tree : xarray.DataTree
        Groups posterior, sample_stats and moments, readable by ArviZ. A fit passes arrays instead, and the tree is
        built from them when it is first needed.

    Examples
    --------
    >>> import priorhood as ph
    >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
    >>> ph.fit("price ~ living_space + (1 | zip)", sales, seed=1)
    Posterior('price ~ living_space + (1 | zip)': 200 rows, 5 zips, 4 chains × 1000 draws)
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
            """Build the tree on first access; from then on it is authoritative and _arrays is None."""
            if name == "_arrays":
                return None
            if name != "tree" or self._arrays is None:
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
            self.__dict__["tree"] = self._arrays.tree()
            del self.__dict__["_arrays"]
            return self.__dict__["tree"]

    def __repr__(self) -> str:
        size = self._sizes
        places = ", ".join(count_noun(level.size, level.title) for level in self.hierarchy.groupings) or "no groups"
        draws = f"{size['chain']} chains × {size['draw']} draws"
        stored = ", summaries of places" if self.summed else ""
        rows = row_count(self.moments.rows)
        return f"Posterior({self.model.formula.text!r}: {rows}, {places}, {draws}{stored})"

    # -- what was fitted -------------------------------------------------------------------------------------

    @property
    def model(self) -> Model:
        """The model as fitted."""
        return self.data.model

    @property
    def design(self) -> Design:
        """The model's columns, with the categories of the data."""
        return self.data.design

    @property
    def moments(self) -> CellMoments:
        """Sums of the rows that were used."""
        return self.data.moments

    @property
    def scale(self) -> Scale:
        """Centre and spread of every column, and the unit of the outcome."""
        return self.data.scale

    @property
    def hierarchy(self) -> Hierarchy:
        """The places of all groupings and their parents."""
        return self.data.hierarchy

    @property
    def attrs(self) -> dict[str, Any]:
        """Engine, seed, evidence, versions, and how many rows were used and dropped."""
        return {str(k): v.item() if isinstance(v, np.generic) else v for k, v in self._attrs.items()}

    @property
    def seed(self) -> int:
        """Seed of the draws."""
        return int(self._attrs["seed"])

    @property
    def log_evidence(self) -> float:
        """Log p(y) of the outcome in its own units, or of its log if the formula takes the log.

        Raises
        ------
        ModelError
            The draws are from NUTS, which does not compute it.
        """
        if "log_evidence" not in self._attrs:
            why = self._attrs["engine_reason"].removeprefix("requested").removeprefix("; ")
            advice = f"and the exact engine cannot fit this model ({why}); compare {argument('by', 'row')} instead"
            raise ModelError(
                "NUTS does not compute the evidence, "
                + (advice if why else f"but the exact engine does: fit with {argument('engine', 'exact')}")
            )
        return float(self._attrs["log_evidence"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about what the data cannot determine."""
        return tuple(json.loads(self._attrs["notes"]))

    @property
    def store(self) -> str:
        """The stored form of the finest places' coefficients: "draws" or "summaries"."""
        return "summaries" if self.summed else "draws"

    @property
    def summed(self) -> bool:
        """True if only summaries of the finest places' coefficients are stored, without draws."""
        return SUMMARIES in (self.tree.children if self._arrays is None else self._arrays.groups)

    @property
    def cells(self) -> dict[str, Labels]:
        """The label of every cell of the sums, by key column."""
        return labels_by_column(self.model.formula, self.moments.labels)

    @cached_property
    def place_table(self) -> PlaceTable | None:
        """Predictors of the places themselves, from places=; None if there are none."""
        return None if self._arrays is not None and PLACES not in self._arrays.groups else stored_places(self.tree)

    def priors(self) -> dict[str, Any]:
        """Return the prior of every parameter, in the form that Model(formula, priors=…) accepts.

        Returns
        -------
        dict
            Priors by parameter name.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> sorted(post.priors())
        ['mu', 'mu[Intercept]', 'sigma']
        """
        return dict(self.model.priors)

    def equations(self) -> str:
        """Return the model's equations, and its priors in the data's units.

        Returns
        -------
        str
            The equations and the priors.

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
        """The group `posterior`, without building the tree."""
        if self._arrays is not None:
            return self._arrays.groups["posterior"]
        group = self.tree["posterior"].to_dataset()
        named = [{str(k): (tuple(map(str, v.dims)), v.values) for k, v in part.items()}
                 for part in (group.data_vars, group.coords)]  # fmt: skip
        return Arrays(*named)

    @property
    def _sizes(self) -> dict[str, int]:
        """Lengths of the dimensions of the draws: chain, draw, places and terms."""
        arrays = [*self._stored.variables.values(), *self._stored.coords.values()]
        return {dim: size for dims, values in arrays for dim, size in zip(dims, values.shape, strict=True)}

    @property
    def parameters(self) -> list[str]:
        """The names of the parameters, in the order mu, beta, delta, tau, omega, sigma, nu."""
        return sorted(self._stored.variables, key=lambda name: KINDS.index(base_of(name)))

    def __getitem__(self, name: str) -> xr.DataArray:
        """Return the draws of one parameter on the standardized scale: post["mu"]."""
        draws = self.tree["posterior"].to_dataset()
        if name in draws:
            return draws[name]
        if self.summed and name == self.model.formula.effect_name(0):
            level = self.hierarchy.levels[0]
            chosen = code_or_command(
                f"post.draws({level.name}=[{str(level.labels[0])!r}]) generates draws of chosen places, and "
                f"post.coefficients() returns means, sds and quantiles of all places; ",
                "",
            )
            raise ModelError(
                f"no draws of {name} are stored ({self.attrs['store_reason']}): {chosen}a fit with "
                f"{argument('store', 'draws')} stores all draws"
            )
        raise ModelError(f"the posterior has no parameter {name!r}; {suggestion(name, map(str, draws.data_vars))}")

    @cached_property
    def _lazy_draws(self) -> LazyDraws:
        """The conditional posterior of the finest places, given all draws of the other parameters."""
        return make_lazy_draws(self.tree["posterior"].to_dataset(), self.data, self.seed)

    def draws(self, *, standardized: bool = False, **places: object) -> xr.DataArray:
        """Return draws of the coefficients of chosen places: post.draws(zip=["10115", "12047"]).

        If only summaries are stored, the draws are generated from the draws of θ and the places' own sums: the same
        no matter which other places are requested, and also after saving and loading.

        Parameters
        ----------
        standardized : bool
            Whether to return them on the model's scale rather than in the data's units.
        **places
            One or more labels of the formula's group, as the keyword argument of its name.

        Returns
        -------
        xarray.DataArray (chain, draw, group, term)
            The draws; intercepts are at the centre of the predictors.

        Raises
        ------
        ModelError
            No places are given, the keyword is not the formula's group, or the posterior does not have a label.

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
        chosen = chosen_places(formula, self.hierarchy, places)
        if chosen is None:
            raise ModelError(f"draws() needs the labels of places: {formula.group or 'group'}=…")
        beta, stored, level = formula.effect_name(0), self.tree["posterior"].to_dataset(), self.hierarchy.levels[0]
        if beta in stored:
            draws = stored[beta].isel({level.name: chosen})
        else:
            means = self.tree[SUMMARIES].to_dataset()[f"{beta}_mean"]
            term = str(means.dims[-1])
            coords: dict[str, Any] = {name: stored[name].values for name in ("chain", "draw")}
            coords |= {level.name: level.labels[chosen], term: means[term].values}
            values = self._lazy_draws.draws(chosen)
            values = values.reshape(stored.sizes["chain"], stored.sizes["draw"], len(chosen), -1)
            draws = xr.DataArray(values, dims=("chain", "draw", *means.dims), coords=coords, name=beta)
        return draws if standardized else draws * self.natural_factor(beta, draws)

    @suggest_argument_names
    def coefficients(self, quantiles: Sequence[float] = QUANTILES, *, standardized: bool = False) -> xr.Dataset:
        """Return mean, sd and quantiles of all coefficients of the finest places, with or without stored draws.

        Parameters
        ----------
        quantiles : sequence of float
            Probabilities of the quantiles.
        standardized : bool
            Whether to return them on the model's scale rather than in the data's units.

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
        several = isinstance(quantiles, Iterable) and not isinstance(quantiles, str)
        given: tuple[Any, ...] = tuple(quantiles) if several else (quantiles,)
        if not all(isinstance(level, int | float | np.number) and 0 < level < 1 for level in given):
            raise ModelError(f"quantiles must lie between 0 and 1, such as 0.05,0.5,0.95, not {preview(given)}")
        quantiles = given
        stored, beta = self.tree["posterior"].to_dataset(), formula.effect_name(0)
        if beta not in stored and tuple(quantiles) == QUANTILES:
            summaries = self.tree[SUMMARIES].to_dataset()
        else:
            if beta in stored:
                flat = stored[beta].transpose("chain", "draw", ...).values
                flat = flat.reshape(-1, *flat.shape[2:])
                by_place = np.moveaxis(np.quantile(flat, quantiles, axis=0), 0, -1)
                arrays = Summaries(flat.mean(axis=0), flat.std(axis=0), by_place)
            else:
                arrays = self._lazy_draws.leaves.summarize(quantiles, cores())
            summaries = label_summaries(self.design, self.hierarchy, arrays, quantiles).dataset()
        if standardized:
            return summaries
        return summaries * self.natural_factor(beta, next(iter(summaries.values())))

    # -- units -------------------------------------------------------------------------------------------------

    def natural(self, name: str) -> xr.DataArray:
        """Return draws of one parameter in the data's units; intercepts are at the centre of the predictors.

        Returns
        -------
        xarray.DataArray
            The draws (chain, draw, …).

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.natural("mu").sizes["draw"]
        1000
        """
        return self[name] * self.natural_factor(name)

    def natural_factor(self, name: str, draws: xr.DataArray | None = None) -> xr.DataArray | float:
        """Return the factor that converts a parameter from the standardized scale to the data's units.

        Parameters
        ----------
        name : str
            The parameter.
        draws : xarray.DataArray, optional
            Its draws, if they are not stored; the last dimension is that of the terms.

        Returns
        -------
        float or xarray.DataArray
            One factor, or one per term.

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
        """Return the factor of a parameter if it is a single number; None if it depends on the term."""
        if base_of(name) in DIMENSIONLESS or name == "sigma_spread":
            return 1.0
        return self.scale.unit if name in ("sigma", "sigma_median") else None

    def _term_factors(self, terms: npt.NDArray[Any]) -> Array:
        """Return the factors of the coefficients of some terms."""
        natural = dict(zip(self.design.names, self.scale.natural(), strict=True))
        return np.array([natural[str(term)] for term in terms])

    def unit_of(self, label: str) -> str:
        """Return the unit of a parameter by its label, `beta[10115, area]`.

        Returns
        -------
        str
            The unit; empty for parameters without one.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.unit_of("mu[area]")
        'price per area'
        """
        name, inside = split_label(label)
        if base_of(name) in DIMENSIONLESS or name == "sigma_spread":
            return ""
        if name in ("sigma", "sigma_median"):
            return self.model.unit_of(INTERCEPT)
        if base_of(name) in ("beta", "delta"):
            # Labels of places may contain commas; terms are those of the model.
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
        """Return mean, sd, interval and convergence diagnostics of every parameter.

        Parameters
        ----------
        var_names : str or list of str, optional
            Parameters to show; by default all. For places without stored draws, the numbers are those of the exact
            mixture over θ, and mcse_mean, ess_bulk, ess_tail and r_hat are NaN.
        standardized : bool
            Whether to return them on the model's scale rather than in the data's units.
        interval : float
            Probability of the equal-tailed interval.

        Returns
        -------
        pandas.DataFrame
            One row per parameter, labelled like beta[10115, living_space]: mean, sd, median, eti90_lb, eti90_ub
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
        """Return the index and the columns of summary(), without pandas."""
        if not 0 < interval < 1:
            raise ModelError(f"interval must be between 0 and 1, such as 0.9, not {interval!r}")
        beta = self.model.formula.effect_name(0) if self.summed else ""
        if isinstance(var_names, str):
            names = [var_names]
        elif var_names is not None:
            names = var_names
        else:
            names = sorted([*self.parameters, *([beta] if beta else [])], key=lambda n: KINDS.index(base_of(n)))
        index: list[str] = []
        units: list[str] = []
        parts: list[dict[str, Any]] = []
        stored = self._stored
        for name in names:
            if beta and name == beta:
                mixtures = self.coefficients(bounds_of(interval), standardized=standardized)
                labels, part = summarize_mixtures(name, mixtures, interval)
            else:
                if name not in stored.variables:
                    self[name]  # raises
                dims, values = stored.variables[name]
                coords = [stored.coords[dim][1] for dim in dims[2:]]
                if not standardized:
                    plain = self._plain_factor(name)
                    values = values * (self._term_factors(coords[-1]) if plain is None else plain)
                labels, part = summarize_draws(name, values, labels_along(name, coords), interval)
            if standardized:
                units += [""] * len(labels)
            else:  # the unit is looked up once per term: there may be millions of places
                terms = [label.partition(", ")[2] for label in labels]
                examples = {term: label for label, term in zip(labels, terms, strict=True) if term}
                by_term = {term: self.unit_of(label) for term, label in examples.items()}
                units += [by_term[t] if t else self.unit_of(label) for t, label in zip(terms, labels, strict=True)]
            index += labels
            parts.append(part)
        columns = [(name, np.concatenate([part[name] for part in parts])) for name in parts[0]]
        return index, dict([*columns[:5], ("unit", units), *columns[5:]])

    def check(self) -> Check:
        """Check the draws; the verdicts print one sentence per line: the problem, the parameters, and what to do.

        Returns
        -------
        Check
            The verdicts, and a table of measures by parameter.

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
        """Return the predictive distribution of every row: Normal(xᵀβ, σ²) or Student(nu, xᵀβ, σ) over all draws.

        Parameters
        ----------
        table : table
            Anything read() takes, with the predictors and the group. If the standard errors are known, it also
            needs that of every outcome to predict, in the outcome's units. With precision weights, a row's sd is
            σ/√w; without the column, w is 1. Frequencies are ignored.
        quantiles : sequence of float
            Probabilities of the quantiles.
        below, above : float or sequence of float, optional
            Thresholds in the outcome's units; if the formula's outcome is price - 100000 or price / 1000, these and
            the predictions are of that: only a log is undone.
        unseen : str
            How to predict for a group that the fit did not have: "error" refuses; "population" uses the average
            group, or for nested places the nearest known parent, and accepts a table without the group's column;
            "draw" draws one group around that for all of its rows.
        prefix : str
            Prefix of the names of the new columns.
        seed : int, optional
            Seed of new groups' draws; the posterior's by default.
        places : table, optional
            More places with their predictors, if the model was fitted with places. Rows without these predictors
            use the fit's own table of places.
        progress : callable, optional
            Called with (stage, done, total).

        Returns
        -------
        frame
            The rows in order, in the same kind of frame (pandas for a file or mapping), with text columns of
            numbers converted according to read()'s decimal and thousands, plus mean, sd, q5, q50 (the median), q95,
            below_X and above_X in the outcome's own units, and status: known, new, unknown (no group given: average
            of the known groups, weighted by their rows), missing (a predictor), or invalid (log of a number ≤ 0);
            the last two have no numbers. With a log outcome, mean is that of the price, E exp(m + σ²/2), and lies
            above the median; mean and sd are computed with every scale below its posterior 1 − 1e-6 quantile, and
            reported as infinite, with a warning, if the 1 − 1e-4 quantile changes the mean by more than 1 % or the
            sd by more than 5 %.

        Notes
        -----
        Probabilities and quantiles are those of the mixture over all draws, without simulation, to 1e-6. Student's
        t is represented by a mixture of Normals, which makes probabilities accurate to 4e-4, see
        mixture.precisions. Its mean and sd are exact: the sd is infinite if any draw has nu ≤ 2, the mean is
        undefined (NaN) if any has nu ≤ 1, and both are infinite with a log outcome.

        If groups have their own residual sd, that of a new group is drawn from their common distribution, or from
        its prior if they are independent; also with "population".

        Examples
        --------
        >>> import priorhood as ph
        >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, seed=1)
        >>> prices = post.predict(sales[["zip", "living_space"]].head(3), below=300_000)
        >>> list(prices.columns)
        ['zip', 'living_space', 'mean', 'sd', 'q5', 'q50', 'q95', 'below_300000', 'status']
        """
        options = request(quantiles, below, above, unseen, seed=self.seed if seed is None else seed)
        frame, predictions = self._predicted(table, options, prefix=prefix, places=places, progress=progress)
        if predictions.note:
            warn(predictions.note)
        return frame

    def _predicted(
        self,
        table: object,
        options: Request,
        *,
        prefix: str = "",
        places: object = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> tuple[Any, Predictions]:
        """Return the frame of predict() and its numbers, without the warning about infinite moments."""
        rows = self.placed(table, places)
        return predict_table(self._coefficients(), rows, options, self._tails, progress, prefix=prefix)

    @suggest_argument_names
    def predict_draws(
        self, table: object, *, unseen: str = "error", seed: int | None = None, places: object = None
    ) -> xr.DataArray:
        """Return predictive draws of every row of a table, in the outcome's own units.

        Parameters
        ----------
        table, unseen, seed, places
            Same as in predict().

        Returns
        -------
        xarray.DataArray (chain, draw, row)
            NaN where a predictor is missing, as the coordinate status shows. Memory grows with rows × draws;
            predict() returns summaries without that.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.predict_draws({"area": [60, 80]}).shape
        (4, 1000, 2)
        """
        options = request(unseen=unseen, seed=self.seed if seed is None else seed)
        rows = self.placed(table, places)
        return self._by_row(*predict_draws(self._coefficients(), rows, options.unseen, options.seed))

    @suggest_argument_names
    def expected(
        self, table: object, *, unseen: str = "error", seed: int | None = None, places: object = None
    ) -> xr.DataArray:
        """Return the expected outcome of every row under every draw, E(y_i | θ), without residual noise.

        xᵀβ in the outcome's own units; exp(xᵀβ + σ²/2) if the formula takes the log, or the median, exp(xᵀβ), with
        Student-t or known errors. Its mean over the draws is that of predict(); its sd is smaller: only the
        uncertainty of the place and its line. With a log outcome, that mean may be infinite although every draw is
        finite; predict() warns about that.

        Parameters
        ----------
        table, unseen, seed, places
            Same as in predict(); rows need no standard errors or weights.

        Returns
        -------
        xarray.DataArray (chain, draw, row)
            NaN where a predictor is missing, as the coordinate status shows. Memory grows with rows × draws.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.expected({"area": [60, 80]}).dims
        ('chain', 'draw', 'row')
        """
        options = request(unseen=unseen, seed=self.seed if seed is None else seed)
        rows = self.placed(table, places)
        return self._by_row(*expected_rows(self._coefficients(), rows, options.unseen, options.seed))

    def _by_row(self, values: Array, status: Labels) -> xr.DataArray:
        """Label values (S, n) of every draw and row."""
        import xarray as xr

        shape = (self._sizes["chain"], self._sizes["draw"], values.shape[1])
        return xr.DataArray(
            values.reshape(shape), dims=("chain", "draw", "row"), name=self.design.formula.outcome_name,
            coords={"row": np.arange(shape[-1]), "status": ("row", status)},
        )  # fmt: skip

    @suggest_argument_names
    def homes(self, at: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """Return the same home in every place: rows for predict() and expected(), in the places' order.

        Parameters
        ----------
        at : mapping, optional
            Values of predictors, {"living_space": 100}. Other predictors are set to their mean over all rows, other
            categories to the most frequent one, crossed groupings to their average (predict with
            unseen="population"). Predictors of the places keep the places' own values.

        Returns
        -------
        pandas.DataFrame
            One row per place.

        Raises
        ------
        ModelError
            The formula does not have a name, or the mean of a predictor is unknown.

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
        """Return rows to predict, with the places' predictors that they lack.

        Returns
        -------
        Table
            The rows.

        Examples
        --------
        >>> import priorhood as ph
        >>> sales, _ = ph.datasets.simulate(places=5, rows=200, seed=1)
        >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, seed=1)
        >>> post.placed(sales.head(2)).columns
        ('zip', 'living_space', 'price')
        """
        formula = self.model.formula
        return join_places_to_predict(
            read(table), combine_places(places, formula, self.place_table), formula, self.cells
        )

    def _coefficients(self, thinned: xr.Dataset | None = None) -> Coefficients:
        """Return the draws, or some of them, in the form that predictions use."""
        stored = self.tree["posterior"].to_dataset()
        if thinned is None:
            return coefficients_of(stored, self.data, self._lazy_draws if self.summed else None)
        lazy = None
        if self.summed:
            lazy = make_lazy_draws(stored, self.data, self.seed, draw_positions(stored, thinned))
        return coefficients_of(thinned, self.data, lazy)

    @cached_property
    def _tails(self) -> Tails | None:
        """The tails of the scales, which determine whether moments exist; None unless the outcome is a log."""
        if not self.model.formula.log_outcome:
            return None
        # Loads the exact engine.
        from priorhood.prediction.finite_moments import tails_of

        return tails_of(self._coefficients(), cores())

    # -- PyMC and ArviZ ----------------------------------------------------------------------------------------

    def notebook_names(self) -> Any:
        """Return the draws under names common in notebooks, for ArviZ: alpha, beta, mu_alpha, ….

        Returns
        -------
        xarray.DataTree or arviz.InferenceData
            A tree whose groups can be filtered with where; InferenceData with ArviZ before 1.0, which does not
            accept trees. See posterior.notebook_names for the names.

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
        """Return a PyMC model of any rows, with this posterior's scale, columns and places; see Model.to_pymc.

        Model.to_pymc learns scale, categories and places from its rows, which must be those of the fit. This method
        takes them from the posterior, so the rows can be homes to predict, some of the fit's rows, or all rows of a
        merged posterior.

        Parameters
        ----------
        table : table
            Rows as for predict(); missing outcomes are NaN.
        parameterization : str
            "centered" or "noncentered".
        places : table, optional
            More places with their predictors, see predict.

        Returns
        -------
        pymc.Model
            The model.

        Raises
        ------
        ModelError
            PyMC is not installed, NUTS does not support the model, or no row can be used.
        TableError
            A column is missing, or a row lacks its place or is in a place that the fit did not have.
        """
        nuts.check_installed(parameterization)
        return nuts.build(self._regression(table, places), parameterization)

    def rows_for_pymc(self, table: object, *, places: object = None) -> dict[str, Any]:
        """Return other rows for a PyMC model: `pm.set_data(**post.rows_for_pymc(rows))`.

        The predictors are standardized like the posterior's, and places are matched by label. Rows that lack a
        predictor, have impossible values or do not satisfy where= are left out, as in a fit; the coordinate `row`
        has the positions of the others in the table. Missing outcomes are NaN.

        Returns
        -------
        dict
            new_data, the values of the model's data containers by name, and coords.

        Raises
        ------
        TableError, ModelError
            For the same reasons as to_pymc.

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
        """Return the posterior with all free variables of a model of to_pymc, as pymc.sample would return it.

        PyMC redraws every free variable that a posterior lacks from its prior. A model of to_pymc has some that
        this posterior lacks: `spread`, the factor of a covariance; `z` and `sigma_z` of the non-centred form;
        `tau[…]` if its priors are of several families; `partial`; `beta_own`. They follow from tau, omega, beta, mu
        and sigma, and are returned with these in groups posterior, sample_stats, observed_data and constant_data.

        Returns
        -------
        arviz.InferenceData or xarray.DataTree
            For pymc.sample_posterior_predictive and pymc.compute_log_likelihood; InferenceData with ArviZ before
            1.0, otherwise a DataTree.

        Raises
        ------
        ModelError
            The model has other columns, places or parameters, or additional variables; add those afterwards.
        """
        posterior, stats = (self.tree[name].to_dataset() for name in ("posterior", "sample_stats"))
        return pymc_inference_data(posterior, stats, self._regression(None), self._coefficients(), model)

    def _regression(self, table: object, places: object = None) -> nuts.Regression:
        """Return the rows of a table for NUTS, on this posterior's scale; without a table, no rows."""
        weights, empty = self.model.weights, np.zeros(0)
        rows = Observations(
            X=np.zeros((0, len(self.design.columns))), y=empty, cell=np.zeros(0, dtype=np.int64),
            se=None if weights.se is None else empty,
            precision=None if weights.precision is None else empty,
            times=None if weights.frequency is None else empty,
        )  # fmt: skip
        regression = nuts.regression_of(self.data, rows)
        if table is None:
            return regression
        source, c = self.placed(table, places), self._coefficients()
        return regression_of_rows(used_rows(source, c, "population"), c, regression, source.name)

    # -- the file ----------------------------------------------------------------------------------------------

    def with_places(self, place_table: PlaceTable | None) -> Posterior:
        """Return the same posterior with the places' own predictors in its tree.

        Returns
        -------
        Posterior
            A posterior with the table of places.

        Examples
        --------
        >>> import priorhood as ph
        >>> post = ph.fit("price ~ area", {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}, seed=1)
        >>> post.with_places(None) is post
        True
        """
        if place_table is None:
            return self
        tree: Any = self._arrays or self.tree
        return replace(self, tree=with_places(tree, place_table))

    def attach(self, *trees: xr.DataTree) -> Posterior:
        """Return the same posterior with more groups in its tree, to be saved together in one file.

        Parameters
        ----------
        *trees : xarray.DataTree
            Results of prior_predictive() and posterior_predictive(). The groups copied are prior, prior_predictive,
            posterior_predictive, log_likelihood and observed_data; they replace groups of the same name. posterior,
            sample_stats and moments are left unchanged.

        Returns
        -------
        Posterior
            A posterior with these groups.

        Raises
        ------
        ModelError
            An argument is not a tree, or has a group of another name.

        Examples
        --------
        >>> import priorhood as ph
        >>> rows = {"area": [50, 70, 90, 110], "price": [1, 2, 2, 4]}
        >>> post = ph.fit("price ~ area", rows, seed=1)
        >>> "prior" in post.attach(ph.prior_predictive(post.model, rows, draws=10, seed=1)).tree
        True
        """
        return replace(self, tree=attach_groups(self.tree, trees))

    @suggest_argument_names
    def save(self, path: str | Path) -> None:
        """Save the posterior in one netCDF file; an interrupted save leaves an existing file unchanged.

        Parameters
        ----------
        path : str or pathlib.Path
            The file, usually with the extension .nc.

        Raises
        ------
        FileError
            The file cannot be written, or has the extension of a table, an image or a page.

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
    """Label an engine's arrays as a Posterior."""
    tree: Any = make_tree(data, draws, facts)
    return Posterior(data, tree)

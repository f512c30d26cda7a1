"""Draws → Posterior: a labelled DataTree that ArviZ opens; the summary; what is made of it."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import answers_other_names
from priorhood._system import check_netcdf, cores, write_atomically
from priorhood.data.join_places import placed_to_predict, together
from priorhood.data.sources.table import Table, read
from priorhood.diagnostics.check import Check, check_draws
from priorhood.engines import nuts
from priorhood.engines.observations import Observations
from priorhood.errors import PriorhoodWarning
from priorhood.posterior.labelled import Reading
from priorhood.posterior.lazy_draws import numbers_of
from priorhood.posterior.pymc_draws import completed, new_data, regression_of
from priorhood.posterior.tree import attached, tree_of
from priorhood.posterior.verbs import Verbs
from priorhood.prediction import predict as predicting
from priorhood.prediction.coefficients import Coefficients, coefficients_of
from priorhood.prediction.expected import expected_rows, typical_homes
from priorhood.prediction.observed import used_rows
from priorhood.suffstats.io import with_places
from priorhood.suffstats.netcdf import write_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import pandas as pd
    import pymc as pm
    import xarray as xr

    from priorhood.data.place_table import PlaceTable
    from priorhood.engines.draws import Draws
    from priorhood.prediction.finite_moments import Tails
    from priorhood.suffstats.fit_data import FitData


@dataclass(frozen=True)
class Posterior(Reading, Verbs):
    """A fitted model: draws, the sums they came from, and all that is needed to go on without the rows.

    tree : xarray DataTree with groups posterior, sample_stats and moments; open to ArviZ
    """

    def __repr__(self) -> str:
        size = self._sizes
        places = ", ".join(f"{one.size:,} {one.title}" for one in self.hierarchy.groupings) or "no groups"
        rows = f"{self.moments.rows:,} rows, {places}"
        kept = ", of places their summaries" if self.summed else ""
        return (
            f"Posterior({self.model.formula.text!r}: {rows}, {size['chain']} chains × {size['draw']} draws{kept})"
        )

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
        from priorhood.posterior.notebook_names import for_arviz, notebook_names

        groups = {name: node.to_dataset() for name, node in self.tree.children.items()}
        return for_arviz(notebook_names(groups, self.design, self.attrs))

    # -- PyMC ----------------------------------------------------------------------------------------------

    @answers_other_names
    def to_pymc(self, table: object, parameterization: str = "centered", *, places: object = None) -> pm.Model:
        """A PyMC model of any rows on this posterior's scale, with its columns and places; see Model.to_pymc.

        Model.to_pymc learns scale, categories and places from its rows, which are the fit's. This one takes them
        from the posterior, whatever the rows: homes to predict, some of the fit's, all rows of a merged posterior.

        Parameters
        ----------
        table : whatever read() takes, as for predict(); outcomes that it does not have are NaN
        parameterization : "centered" or "noncentered"
        places : more places with their predictors, see predict

        Raises
        ------
        ModelError : PyMC is not installed; a model that NUTS does not take; no row that can be used
        TableError : a column that is not there; a row in a place that the fit did not have, or that does not say
            its place
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
        new_data, the values of the model's containers by name, and coords

        Raises
        ------
        TableError, ModelError : as of to_pymc
        """
        return new_data(self._regression(table, places))

    def for_pymc(self, model: pm.Model) -> Any:
        """The posterior with all variables that a model of to_pymc draws, as pymc.sample would have returned it.

        PyMC draws anew, from its prior, every variable that a posterior lacks. A model of to_pymc has some that
        ours has not: `spread`, the factor of a covariance; `z` and `sigma_z` of the non-centred form; `tau[…]`
        where priors are of several families; `partial`; `beta_own`. They follow from tau, omega, beta, mu and
        sigma and are here, beside these, in groups posterior, sample_stats, observed_data and constant_data.

        Returns
        -------
        what pymc.sample_posterior_predictive and pymc.compute_log_likelihood take: InferenceData with ArviZ
        before 1.0, a DataTree since

        Raises
        ------
        ModelError : a model of other rows, columns, places or parameters; one that has been extended by variables
            of its own, which is done afterwards
        """
        g = self.tree
        empty = self._regression(None)
        return completed(
            g["posterior"].to_dataset(), g["sample_stats"].to_dataset(), empty, self._coefficients(), model
        )

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
        used = used_rows(source, self.design, self.scale, c, "population")
        return regression_of(used, c, self.scale, own, source.name)

    # -- using it ------------------------------------------------------------------------------------------

    @answers_other_names
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
            places the nearest parent that is known, and so for a table without the group's column; "draw", a group
            drawn around that, one for all its rows
        prefix : put before the names of the new columns
        places : more places with their predictors, where the model was fitted with places. What the fit's
            table of places says is known anyway, and serves rows without such a column of their own

        Returns
        -------
        the rows as given, in order, as the kind of frame that was given (pandas for a file or mapping), texts that
        are numbers by read()'s decimal and thousands as numbers, with mean, sd, q5, q50 (the median), q95, below_X,
        above_X in the outcome's own units, and status: known, new, unknown (no group given: averaged over the known
        ones by their rows), missing (a predictor), or invalid (log of a number ≤ 0); the last two have no numbers.
        Under a log outcome mean is that of the price, E exp(m + σ²/2), and lies above the median; mean and sd are
        those with every scale below its posterior 1 − 1e-6 quantile, and infinite where the 1 − 1e-4 quantile makes
        another mean (by over 1 %) or sd (5 %), which a warning says, and what to do.

        Notes
        -----
        Probabilities and quantiles are those of the mixture over all draws, without simulation, to 1e-6.
        Student's t is there a mixture of Normals: probabilities then hold to 4e-4, see mixture.precisions. Its
        mean and sd are exact: the sd is infinite where any draw has nu ≤ 2, the mean none (NaN) where any has
        nu ≤ 1, and both are infinite under a log outcome.

        Where groups have their own residual sd, a new group's is drawn from what they have in common, or from
        its prior where they are independent; also with "population".
        """
        found, note = self._predicted(
            table, quantiles, below=below, above=above, unseen=unseen, prefix=prefix, seed=seed, places=places,
            progress=progress,
        )  # fmt: skip
        if note:
            warnings.warn(note, PriorhoodWarning, stacklevel=2)
        return found

    def _predicted(
        self,
        table: object,
        quantiles: Sequence[float] = (),
        *,
        below: float | Sequence[float] | None = None,
        above: float | Sequence[float] | None = None,
        unseen: str = "error",
        prefix: str = "",
        seed: int | None = None,
        places: object = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> tuple[Any, str | None]:
        """What predict() gives, and what it says of it: a note on moments that are infinite."""
        wanted = predicting.request(
            quantiles, below, above, unseen, prefix, self.seed if seed is None else seed, cores()
        )
        rows = self.placed(table, places)
        return predicting.predict_table(
            self._coefficients(), self.design, self.scale, rows, wanted, progress, self._tails
        )

    @answers_other_names
    def predict_draws(
        self, table: object, *, unseen: str = "error", seed: int | None = None, places: object = None
    ) -> xr.DataArray:
        """Predictive draws of every row of a table: (chain, draw, row), in the outcome's own units.

        Memory grows with rows × draws; predict() gives summaries without that. NaN where a predictor is
        missing; the coordinate status says so. Arguments as of predict().
        """
        sizes = self._sizes
        wanted = predicting.request((), None, None, unseen, "", self.seed if seed is None else seed, 1)
        return predicting.predict_draws(
            self._coefficients(), self.design, self.scale, self.placed(table, places), wanted.unseen, wanted.seed,
            (sizes["chain"], sizes["draw"]), cores(),
        )  # fmt: skip

    @answers_other_names
    def expected(
        self, table: object, *, unseen: str = "error", seed: int | None = None, places: object = None
    ) -> xr.DataArray:
        """What every row is expected to cost under every draw, E(y_i | θ), without the noise of single rows.

        xᵀβ in the outcome's own units; exp(xᵀβ + σ²/2) where the formula takes the log; there the centre,
        exp(xᵀβ), with Student-t and with known errors. Its mean over the draws is predict()'s; its sd is smaller,
        that of what is not known of the place. Under a log outcome that mean may be infinite though every draw is
        finite; predict() says so.

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
        shape = (*(self._sizes[d] for d in ("chain", "draw")), values.shape[1])
        return xr.DataArray(
            values.reshape(shape), dims=("chain", "draw", "row"), name=self.design.formula.outcome_name,
            coords={"row": np.arange(shape[-1]), "status": ("row", status)},
        )  # fmt: skip

    @answers_other_names
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
        known = frozenset(() if self.place_table is None else self.place_table.columns)
        return typical_homes(self.design, self.moments, self.hierarchy, known, at or {})

    def placed(self, table: object, places: object = None) -> Table:
        """Rows to predict, with the places' predictors that they do not bring themselves."""
        formula = self.model.formula
        return placed_to_predict(read(table), together(places, formula, self.place_table), formula, self.cells)

    def with_places(self, place_table: PlaceTable | None) -> Posterior:
        """The same posterior with what is known of the places in its tree."""
        if place_table is None:
            return self
        held: Any = self._arrays or self.tree
        return replace(self, tree=with_places(held, place_table))

    def _coefficients(self, thinned: xr.Dataset | None = None) -> Coefficients:
        """The draws as predictions take them: all, or some of them."""
        stored = self.tree["posterior"].to_dataset()
        made = None
        if self.summed:
            made = self._on_demand if thinned is None else self._made(numbers_of(stored, thinned))
        return coefficients_of(stored if thinned is None else thinned, self.data, made)

    @cached_property
    def _tails(self) -> Tails | None:
        """How far the scales reach, where that decides whether moments exist: under a log outcome."""
        # Loads the exact engine.
        from priorhood.prediction.finite_moments import tails_of

        if not self.model.formula.log_outcome:
            return None
        return tails_of(self.data, self._coefficients(), cores())

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

    @answers_other_names
    def save(self, path: str | Path) -> None:
        """Write one netCDF file; an interrupted save leaves a former file as it was.

        Raises
        ------
        FileError : the place cannot be written; a name like that of a table, a picture or a page
        """
        check_netcdf(path, "a posterior", ".nc")
        write_atomically(path, lambda file: write_tree(file, self._arrays or self.tree))


def assemble(data: FitData, draws: Draws, facts: dict[str, Any]) -> Posterior:
    """Label an engine's arrays."""
    tree: Any = tree_of(data, draws, facts)
    return Posterior(data, tree)

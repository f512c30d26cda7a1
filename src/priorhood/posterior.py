"""Draws → Posterior: a labelled DataTree that ArviZ opens; the file; the summary.

Nothing but this module writes a DataTree.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from priorhood import predict as predicting
from priorhood.design import INTERCEPT, Design
from priorhood.errors import FileError, ModelError, near
from priorhood.files import write_atomically
from priorhood.model import Model
from priorhood.moments import Moments
from priorhood.rows import Dropped
from priorhood.scale import Scale
from priorhood.summary import summarize_draws

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    import xarray as xr

    from priorhood.draws import Draws

Array = npt.NDArray[np.float64]

FORMAT = 1
INTERVAL = 0.9


def cores() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


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
        """The parameters' names in reading order: mu, beta, tau, omega, sigma; those that the model has."""
        there = self.tree["posterior"].data_vars
        return [name for name in ("mu", "beta", "tau", "omega", "sigma") if name in there]

    @property
    def log_evidence(self) -> float:
        """Log p(y) of the outcome in its own units (of its log where the formula takes the log)."""
        return float(self.tree.attrs["log_evidence"])

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings about what the data cannot tell."""
        return tuple(json.loads(self.tree.attrs["notes"]))

    def __getitem__(self, name: str) -> xr.DataArray:
        """Draws of one parameter on the standardized scale: post["mu"]."""
        draws = self.tree["posterior"].to_dataset()
        if name not in draws:
            raise ModelError(f"the posterior has no parameter {name!r}; {near(name, map(str, draws.data_vars))}")
        return draws[name]

    def priors(self) -> dict[str, Any]:
        """The prior of every parameter; Model(formula, priors=…) takes it back."""
        return dict(self.model.priors)

    def equations(self) -> str:
        """The model with its numbers, and its priors in the data's units."""
        return self.model.equations(self.design, self.scale)

    def __repr__(self) -> str:
        size = self.tree["posterior"].sizes
        return (
            f"Posterior({self.model.formula.text!r}: {self.moments.rows:,} rows, {len(self.moments.n):,} "
            f"{self.moments.group or 'groups'}, {size['chain']} chains × {size['draw']} draws)"
        )

    # -- reading it ---------------------------------------------------------------------------------------

    def natural_factor(self, name: str) -> xr.DataArray | float:
        """What a parameter on the standardized scale is multiplied by to be in the data's units."""
        import xarray as xr

        if name == "omega":
            return 1.0
        if name == "sigma":
            return self.scale.unit
        array = self[name]
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
        var_names : parameters to show; all if None
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
        names = self.parameters
        rows = []
        for name in names if chosen is None else chosen:
            draws = self[name] if standardized else self.natural(name)
            frame = summarize_draws(name, draws, interval)
            frame.insert(5, "unit", ["" if standardized else self._unit(label) for label in frame.index])
            rows.append(frame)
        return pd.concat(rows)

    def _unit(self, label: str) -> str:
        """The unit of a parameter by its label, `beta[10115, area]`."""
        name, _, inside = label.partition("[")
        if name == "omega":
            return ""
        term = inside[:-1].partition(", ")[2] if name == "beta" else inside[:-1]
        return self.model.unit_of(term or INTERCEPT)

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
        progress: Callable[[str, int, int], None] | None = None,
    ) -> Any:
        """The predictive distribution of every row of a table: Normal(xᵀβ, σ²) averaged over the draws.

        Parameters
        ----------
        table : whatever read() takes, with the predictors and the group; a mapping of columns too
        quantiles : probabilities; below, above : thresholds in the outcome's units
        unseen : for a group that the fit did not have: "error"; "population", the average group;
            "draw", a group drawn from the population of groups, one for all its rows
        prefix : put before the names of the new columns

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
        """
        wanted = predicting.request(
            quantiles, below, above, unseen, prefix, self.seed if seed is None else seed, cores()
        )
        return predicting.predict_table(self._coefficients(), self.design, self.scale, table, wanted, progress)

    def predict_draws(self, table: object, *, unseen: str = "error", seed: int | None = None) -> xr.DataArray:
        """Predictive draws of every row of a table: (chain, draw, row), in the outcome's own units.

        Memory grows with rows × draws; predict() gives summaries without that. NaN where a predictor is
        missing; the coordinate status says so.
        """
        sizes = self.tree["posterior"].sizes
        wanted = predicting.request((), None, None, unseen, "", self.seed if seed is None else seed, 1)
        return predicting.predict_draws(
            self._coefficients(), self.design, self.scale, table, wanted.unseen, wanted.seed,
            (sizes["chain"], sizes["draw"]),
        )  # fmt: skip

    def _coefficients(self) -> predicting.Coefficients:
        draws = self.tree["posterior"].to_dataset()

        def flat(name: str, *shape: int) -> Array:
            if name not in draws:
                return np.zeros((draws["sigma"].size, *shape))
            values = draws[name].values
            return values.reshape(-1, *values.shape[2:])

        levels = len(self.model.formula.levels)
        varying = self.design.level_columns(0) if levels else ()
        K = len(varying)
        tau = flat("tau", K)
        corr = predicting.correlation_factor(flat("omega", K, K)) if "omega" in draws else np.eye(K)
        return predicting.Coefficients(
            mu=flat("mu", 0),
            mu_cols=np.array(self.design.index(self.design.population_columns), dtype=np.int64),
            beta=flat("beta", 0, K),
            beta_cols=np.array(self.design.index(varying), dtype=np.int64),
            spread=tau[:, :, None] * corr,
            sigma=flat("sigma"),
            labels=self.moments.labels,
            weights=self.moments.n / self.moments.n.sum(),
        )

    # -- the file ----------------------------------------------------------------------------------------

    def save(self, path: str | Path) -> None:
        """Write one netCDF file; an interrupted save leaves a former file as it was.

        Raises
        ------
        FileError : the place cannot be written
        """
        write_atomically(path, lambda name: self.tree.to_netcdf(name, engine="h5netcdf"))


# -- making the tree --------------------------------------------------------------------------------------


def assemble(
    model: Model, design: Design, scale: Scale, moments: Moments, draws: Draws, facts: dict[str, Any]
) -> Posterior:
    """Label an engine's arrays."""
    import xarray as xr

    population = [c.name for c in design.population_columns]
    lead = ("chain", "draw")
    coords: dict[str, Any] = {
        "chain": np.arange(draws.sigma.shape[0]),
        "draw": np.arange(draws.sigma.shape[1]),
    }
    variables: dict[str, Any] = {}
    if draws.beta is not None and draws.tau is not None:
        # beta comes first: some versions of ArviZ label a variable's values wrongly where another one
        # made `term` an earlier dimension of the dataset than the group.
        group = moments.group
        varying = [c.name for c in design.level_columns(0)]
        # Where every coefficient varies there is one list of terms; else the group's has its own name.
        term = "term" if varying == population else f"{group}_term"
        coords |= {group: moments.labels, term: varying}
        variables["beta"] = ((*lead, group, term), draws.beta)
    if population:
        coords["term"] = population
        variables["mu"] = ((*lead, "term"), draws.mu)
    if draws.beta is not None and draws.tau is not None:
        variables["tau"] = ((*lead, term), draws.tau)
        if draws.omega is not None:
            coords[f"{term}_bis"] = varying
            variables["omega"] = ((*lead, term, f"{term}_bis"), draws.omega)
    variables["sigma"] = (lead, draws.sigma)
    stats = {name: (lead, values) for name, values in draws.stats.items()}
    only = {k: coords[k] for k in lead}
    tree = xr.DataTree.from_dict(
        {
            "/posterior": xr.Dataset(variables, coords=coords, attrs=_arviz_attrs(draws)),
            "/sample_stats": xr.Dataset(stats, coords=only, attrs=_arviz_attrs(draws)),
            "/moments": _moments_dataset(moments),
        }
    )
    tree.attrs = {**_described(model, design, scale, moments), **draws.facts, **facts}
    return Posterior(model, design, scale, moments, tree)


def _described(model: Model, design: Design, scale: Scale, moments: Moments) -> dict[str, Any]:
    """What was chosen and learned, as attributes of the file."""
    return {
        "priorhood_format": FORMAT,
        "model": json.dumps(model.to_dict()),
        "categories": json.dumps({k: list(v) for k, v in design.categories.items()}),
        "numeric_categories": json.dumps(sorted(design.numeric)),
        "scale": json.dumps(scale.to_dict()),
        "rows_read": moments.read,
        "rows_used": moments.rows,
        "rows_dropped": json.dumps([[d.reason, d.column, d.rows] for d in moments.dropped]),
    }


def _arviz_attrs(draws: Draws) -> dict[str, str]:
    return {"inference_library": "priorhood", "sampling_engine": str(draws.facts.get("engine", ""))}


def _moments_dataset(moments: Moments) -> xr.Dataset:
    import xarray as xr

    group = moments.group or "group"
    columns = list(moments.columns)
    return xr.Dataset(
        {
            "n": ((group,), moments.n),
            "mean": ((group, "column"), moments.mean),
            "scatter": ((group, "column", "column_bis"), moments.scatter),
        },
        coords={group: moments.labels, "column": columns, "column_bis": columns},
    )


# -- reading the file -------------------------------------------------------------------------------------


def load(path: str | Path) -> Posterior:
    """Read a saved posterior; the rows are not needed.

    Raises
    ------
    FileError : no such file, not whole, not a posterior of priorhood, or of a newer version
    """
    import xarray as xr

    target = Path(path)
    if not target.is_file():
        raise FileError(f"no file {str(path)!r}" + _nearby(target))
    try:
        with xr.open_datatree(target, engine="h5netcdf") as opened:
            tree = opened.load()
    except Exception as problem:  # noqa: BLE001  # whatever the readers raise on foreign bytes
        detail = str(problem).splitlines()[0] if str(problem) else type(problem).__name__
        raise FileError(
            f"{str(path)!r} cannot be read as a saved posterior; it is cut off or no netCDF file ({detail})"
        ) from None
    return _understood(str(path), tree)


def _nearby(target: Path) -> str:
    if not target.parent.is_dir():
        return f": there is no folder {str(target.parent)!r}"
    hint = near(target.name, [f.name for f in target.parent.iterdir() if f.suffix == ".nc"])
    return f": {hint}" if hint.startswith("did you") else ""


def _understood(path: str, tree: xr.DataTree) -> Posterior:
    version = tree.attrs.get("priorhood_format")
    if version is None:
        raise FileError(f"{path!r} is a netCDF file but no posterior of priorhood")
    if not isinstance(version, int | np.integer):
        raise FileError(f"{path!r} has the file format {version!r}, which no version of priorhood has written")
    if int(version) > FORMAT:
        raise FileError(
            f"{path!r} has file format {version}, this version of priorhood reads up to {FORMAT}; upgrade priorhood"
        )
    try:
        model = Model.from_dict(json.loads(tree.attrs["model"]))
        categories = {k: tuple(v) for k, v in json.loads(tree.attrs["categories"]).items()}
        design = Design(model.formula, categories, frozenset(json.loads(tree.attrs["numeric_categories"])))
        scale = Scale.from_dict(json.loads(tree.attrs["scale"]))
        moments = _stored_moments(tree, model)
    except (KeyError, json.JSONDecodeError) as problem:
        raise FileError(f"{path!r} is a posterior with a part missing: {problem}") from None
    return Posterior(model, design, scale, moments, tree)


def _stored_moments(tree: xr.DataTree, model: Model) -> Moments:
    stored = tree["moments"].to_dataset()
    group = model.formula.groups[0] if model.formula.groups else ""
    return Moments(
        group=group,
        labels=stored[group or "group"].values.astype(str),
        columns=tuple(str(c) for c in stored["column"].values),
        n=stored["n"].values,
        mean=stored["mean"].values,
        scatter=stored["scatter"].values,
        read=int(tree.attrs["rows_read"]),
        dropped=tuple(Dropped(*d) for d in json.loads(tree.attrs["rows_dropped"])),
    )

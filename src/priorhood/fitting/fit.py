"""Fit a model to a table, or to sums of tables; fit again from the sums alone: refit, update, merge."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from priorhood._arguments import answers_other_names
from priorhood._text import some
from priorhood.data.join_places import placed
from priorhood.data.labels import alike, unlike
from priorhood.data.schema import ordered_categories
from priorhood.data.sources.duckdb_io import using
from priorhood.data.sources.table import read
from priorhood.engines.observations import read_observations
from priorhood.errors import ModelError, PriorhoodWarning
from priorhood.fitting.federated import Moments, check_copies, copied_places, one_by_one, pool
from priorhood.fitting.run import FitOptions, fit_moments, nuts_settings
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR
from priorhood.model.hierarchy import shown
from priorhood.model.model import Model, as_model
from priorhood.posterior.posterior import Posterior
from priorhood.suffstats import collect
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.moments import merge as merged
from priorhood.suffstats.recode import recoded, same_formula, united
from priorhood.suffstats.similar_labels import warn_of_lookalikes

if TYPE_CHECKING:
    from priorhood.engines.observations import Observations
    from priorhood.fitting.run import Progress
    from priorhood.model.design import Design
    from priorhood.model.scale import Scale
    from priorhood.suffstats.moments import CellMoments

__all__ = ["PriorhoodWarning", "equations", "fit", "merge", "refit", "update"]


@answers_other_names
def fit(
    model: Model | str,
    table: object,
    *,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    engine: str = "auto",
    sampler: str | None = None,
    parameterization: str | None = None,
    tune: int | None = None,
    target_accept: float | None = None,
    places: object = None,
    drop_outliers: float | None = None,
    threads: int | None = None,
    store: str = "auto",
    progress: Progress | None = None,
) -> Posterior:
    """Fit a model to a table of rows, or to the sums of one or several.

    Parameters
    ----------
    model : a Model, or a formula for one with default priors
    table : whatever read() takes; or Moments, or a list of them, one a site: the posterior of all rows together.
        What needs the rows is refused there: NUTS, and so Student-t errors; places and drop_outliers are for
        moments()
    chains, draws : posterior draws; 4 × 1000 serve nearly every purpose
    seed : the same seed gives the same draws; one is chosen and recorded if None. NUTS keeps that within a
        process: elsewhere its compiled model may round otherwise, and its chains go other ways
    engine : "exact"; "nuts", the general one, which needs PyMC; "auto" for the exact one where it takes the
        model and NUTS elsewhere
    sampler, parameterization, tune, target_accept : of NUTS alone. "nutpie" (the default where installed),
        "pymc" or "numpyro"; "centered" (the default) or "noncentered", see Model.to_pymc; steps to adapt
        each chain (1000); aimed-at acceptance (0.8), higher for smaller steps
    places : a table with one row per place, whatever read() takes: the group's column (for nested groups those
        that it needs) and predictors that the formula names, such as the distance to the centre. Found by
        label, kept in the posterior, for places without rows too. Rows of a place that it does not have are
        left out, with a warning
    drop_outliers : leave out rows whose log of outcome per first predictor lies outside the quartiles
        ± this factor × their distance (1.5 is usual)
    threads : all cores if None; the draws do not depend on it
    store : what is kept of the finest groups' coefficients: "draws"; "summaries", their means, sds and 5, 50
        and 95 % quantiles, and draws of chosen places when asked for (Posterior.draws); "auto" for summaries where
        the draws would be more than 50 million numbers and one sigma is all groups'
    progress : called with (stage, done, total)

    Raises
    ------
    PriorhoodError : names the column, rows or values and what to do
    """
    parts = _parts(table)
    model = _model(model, parts, table)
    options = FitOptions.checked(
        chains, draws, seed=seed, threads=threads, progress=progress, engine=engine, store=store
    )
    given = {
        "sampler": sampler,
        "parameterization": parameterization,
        "tune": tune,
        "target_accept": target_accept,
    }
    given = {option: value for option, value in given.items() if value is not None}
    options = replace(options, nuts=given)
    if engine == "nuts" or given:
        nuts_settings(given)  # before the rows are read
    if parts is not None:
        _rows_only(places=places, drop_outliers=drop_outliers)
        return _fit_sums(model, parts, options)
    options.progress("reading rows", 0, 1)
    with using(threads):
        source, place_table = placed(read(table), places, model.formula)
        design, found = collect.collect_moments(source, model.formula, drop_outliers, weights=model.weights)
    options.progress("reading rows", 1, 1)
    data = FitData.learn(model, design, found)
    warn_of_lookalikes(source, design, found, data)

    def rows(scale: Scale) -> Observations:
        with using(threads):
            return read_observations(
                source, design, scale, found.labels, drop_outliers=drop_outliers, weights=model.weights
            )

    return fit_moments(data, options, rows).with_places(place_table)


def _parts(table: object) -> Moments | None:
    """The sums that were given in place of a table, pooled; None for a table."""
    if isinstance(table, Moments | Posterior):
        return pool(table)
    if isinstance(table, list | tuple) and any(isinstance(part, Moments | Posterior) for part in table):
        odd = next((part for part in table if not isinstance(part, Moments | Posterior)), None)
        if odd is not None:
            raise ModelError(
                f"sums and {type(odd).__name__} cannot be fitted together: take its sums first (moments)"
            )
        return pool(*table)
    return None


def _model(given: Model | str, sums: Moments | None, table: object) -> Model:
    """A model with default priors of a formula; sums of the same one say what their rows count."""
    model = as_model(given, table)
    if model is given or sums is None or not same_formula(model.formula, sums.formula):
        return model
    return sums.model()


def _rows_only(**given: object) -> None:
    """Raise for what can be done with rows alone."""
    for name, value in given.items():
        if value is not None:
            option = name.replace("_", "-")
            raise ModelError(
                f"{name} (--{option}) needs the rows, and here are sums: give it where they are taken (moments)"
            )


def _fit_sums(model: Model, sums: Moments, options: FitOptions) -> Posterior:
    """The posterior of all rows that the sums are of.

    Raises
    ------
    ModelError : sums of another formula or with other weights; a factor of one category
    """
    if not same_formula(model.formula, sums.formula):
        raise ModelError(f"the sums were taken for {sums.formula.text!r}, not for {model.formula.text!r}")
    if model.weights != sums.weights:
        raise ModelError(
            f"the sums were taken with {_said(sums.model())}, the model has {_said(model)}; give the model the same"
        )
    for factor, categories in sums.design.categories.items():
        ordered_categories(Expression(factor), categories, sums.name, whole=True)
        if len(categories) == 1:
            raise ModelError(
                f"categorical predictor {factor!r} has only the category {categories[0]!r} in all parts; "
                f"leave it out"
            )
    return fit_moments(FitData.learn(model, sums.design, sums.moments), options).with_places(sums.place_table)


def _said(model: Model) -> str:
    """The columns of weights in a model's own words."""
    words = {name: getattr(model, name) for name in ("se", "precision_weights", "frequency_weights")}
    return ", ".join(f"{name}={column!r}" for name, column in words.items() if column) or "no weights"


@answers_other_names
def refit(
    post: Posterior,
    *,
    priors: object = None,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    threads: int | None = None,
    store: str | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """The same rows under other priors, from the sums in a posterior; no row is read.

    Parameters
    ----------
    priors : those to replace, as Model takes them; the others stay
    store : see fit; what the fit was asked for if None
    """
    options = FitOptions.again(post, chains, draws, seed, threads, progress, store)
    data = FitData.learn(post.model.with_priors(priors), post.design, post.moments)
    return fit_moments(data, options).with_places(post.place_table)


@answers_other_names
def update(
    post: Posterior,
    table: object,
    *,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    places: object = None,
    drop_outliers: float | None = None,
    threads: int | None = None,
    store: str | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Add new rows: the posterior that a fit to the old and new rows together would give.

    Only the new rows are read. The scale is learned again from all rows, as that fit would. Categories that the
    posterior does not have become coefficients of the new one, with a warning. Rows count again if they were among
    the old ones; where the sums of a place say that they were, there is a warning.

    Parameters
    ----------
    places : more places with their predictors, beside those that the posterior knows; see fit
    store : see fit; what the posterior's fit was asked for if None

    Raises
    ------
    TableError : as of fit; a place with another value than the posterior knows
    """
    options = FitOptions.again(post, chains, draws, seed, threads, progress, store)
    options.progress("reading rows", 0, 1)
    model = post.model
    with using(threads):
        source, place_table = placed(read(table), places, model.formula, post.place_table, post.cells)
        design, new = collect.collect_moments(
            source, model.formula, drop_outliers, post.design, weights=model.weights, grow=True
        )
    options.progress("reading rows", 1, 1)
    warn_of_lookalikes(source, design, new)
    _tell_new(post.design, design)
    _tell_alike(post, new)
    before = recoded(post.moments, post.design, design)
    data = FitData.learn(model, design, merged(before, new))
    together = fit_moments(data, options).with_places(place_table)
    _tell_counted(before, new)
    return together


def _tell_new(before: Design, design: Design) -> None:
    """Warn of categories that a posterior did not have."""
    for factor, categories in design.categories.items():
        new = [c for c in categories if c not in before.categories[factor]]
        if new:
            warnings.warn(
                f"predictor {factor!r} has categories that the posterior did not have: {some(new)}; they have "
                f"coefficients now, relative to {categories[0]!r}",
                PriorhoodWarning,
                stacklevel=3,
            )


def _tell_counted(before: CellMoments, new: CellMoments) -> None:
    """Warn of new rows whose sums are those that a posterior has of their places: they are there already."""
    places = copied_places(before, new)
    if not len(places):
        return
    if len(places) == len(new.n):
        what = "their sums are the very same in every place" if new.keys else "their sums are the very same"
    else:
        what = f"in {len(places):,} places their sums are the very same, such as {some(shown(places).tolist(), 3)}"
    warnings.warn(
        f"these rows look as if the posterior counted them already: {what}. They count twice now; give new rows "
        f"alone",
        PriorhoodWarning,
        stacklevel=3,
    )


def _tell_alike(post: Posterior, new: CellMoments) -> None:
    """Warn of places that are new to a posterior but for how they are spelled."""
    known = {label.replace(SEPARATOR, "/"): None for label in post.moments.labels.tolist()}
    there = [label.replace(SEPARATOR, "/") for label in new.labels.tolist()]
    found = alike([label for label in there if label not in known], known)
    if found:
        one, other = next(iter(found.items()))
        more = f" and {len(found) - 1:,} more like it" if len(found) > 1 else ""
        warnings.warn(
            f"place {one!r}{more} is new to the posterior, which has {other!r}: "
            f"{unlike(one, other, post.model.formula.keys)}",
            PriorhoodWarning,
            stacklevel=3,
        )


@answers_other_names
def merge(
    *posts: Posterior,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    threads: int | None = None,
    store: str | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Posteriors of one model from different rows → the posterior of all rows together.

    Categories may differ: one that a posterior has never seen has no rows there. Seed, and what is stored, are
    those of the first one if None.

    Raises
    ------
    ModelError : the models or priors differ; a column that is numbers in one and categories in another
    """
    one_by_one("merge", posts, Posterior)
    if len(posts) < 2:
        raise ModelError(f"merge needs at least two posteriors, and {len(posts) or 'none'} was given")
    first = posts[0]
    options = FitOptions.again(first, chains, draws, seed, threads, progress, store)
    for at, other in enumerate(posts[1:], start=2):
        _check_same(first, other, at)
    design = reduce(united, (post.design for post in posts))
    found = [recoded(post.moments, post.design, design) for post in posts]
    check_copies(found, [f"file {at}" for at in range(1, len(posts) + 1)], "cannot merge: ", "give each file once")
    together, place_table = found[0], first.place_table
    for at, other in enumerate(posts[1:], start=2):
        together = merged(together, found[at - 1])
        if other.place_table is not None:
            theirs = replace(other.place_table, name=f"file {at}")
            place_table = theirs if place_table is None else place_table.joined(theirs)
    return fit_moments(FitData.learn(first.model, design, together), options).with_places(place_table)


@answers_other_names
def equations(model: Model | str, table: object, *, places: object = None) -> str:
    """A model's equations with the numbers and units of a table, before fitting: one pass over the rows."""
    model = as_model(model, table)
    source, _ = placed(read(table), places, model.formula)
    design, found = collect.collect_moments(source, model.formula, weights=model.weights)
    return model.equations(design, FitData.learn(model, design, found).scale)


def _check_same(first: Posterior, other: Posterior, at: int) -> None:
    mine, theirs = first.model.to_dict(), other.model.to_dict()
    # What the priors follow from comes before them.
    kinds = {
        "formula": "formula", "family": "family of errors", "noise": "noise", "se": "se",
        "precision_weights": "precision_weights", "frequency_weights": "frequency_weights", "priors": "priors",
        "standardize": "standardize", "outcome_unit": "outcome_unit",
    }  # fmt: skip
    for key, what in kinds.items():
        if mine[key] != theirs[key]:
            raise ModelError(
                f"cannot merge: {what} of file 1 is {mine[key]}, of file {at} {theirs[key]}; only the same model "
                f"fitted to different rows can be merged (refit one of them first)"
            )

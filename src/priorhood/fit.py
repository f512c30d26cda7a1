"""Fit a model to a table; fit again from the sums alone: refit, update, merge."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from priorhood import gather
from priorhood import moments as sums
from priorhood.engines import fit_moments, new_run, nuts_settings
from priorhood.errors import ModelError, PriorhoodWarning
from priorhood.model import Model
from priorhood.observations import observe
from priorhood.placing import placed
from priorhood.scale import learn_scale
from priorhood.sources import using
from priorhood.table import read

if TYPE_CHECKING:
    from priorhood.engines import Progress
    from priorhood.observations import Observations
    from priorhood.posterior import Posterior
    from priorhood.scale import Scale

__all__ = ["PriorhoodWarning", "equations", "fit", "merge", "refit", "update"]


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
    """Fit a model to a table of rows.

    Parameters
    ----------
    model : a Model, or a formula for one with default priors
    table : whatever read() takes
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
    model = model if isinstance(model, Model) else Model(model)
    run = new_run(chains, draws, seed, threads, progress, engine, store)
    given = {
        "sampler": sampler,
        "parameterization": parameterization,
        "tune": tune,
        "target_accept": target_accept,
    }
    given = {option: value for option, value in given.items() if value is not None}
    if engine == "nuts" or given:
        nuts_settings(given)  # before the rows are read
    run.tell("reading rows", 0, 1)
    with using(threads):
        source, gazetteer = placed(read(table), places, model.formula)
        design, found = gather.take(source, model.formula, drop_outliers, weights=model.weights)
    run.tell("reading rows", 1, 1)

    def rows(scale: Scale) -> Observations:
        with using(threads):
            return observe(source, design, scale, found.labels, drop_outliers=drop_outliers, weights=model.weights)

    return fit_moments(model, design, found, run, engine, rows, given).knowing(gazetteer)


def refit(
    post: Posterior,
    *,
    priors: object = None,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    threads: int | None = None,
    store: str = "auto",
    progress: Progress | None = None,
) -> Posterior:
    """The same rows under other priors, from the sums in a posterior; no row is read.

    Parameters
    ----------
    priors : those to replace, as Model takes them; the others stay
    store : see fit
    """
    run = new_run(chains, draws, post.seed if seed is None else seed, threads, progress, store=store)
    return fit_moments(post.model.with_priors(priors), post.design, post.moments, run).knowing(post.gazetteer)


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
    store: str = "auto",
    progress: Progress | None = None,
) -> Posterior:
    """Add new rows: the posterior that a fit to the old and new rows together would give.

    Only the new rows are read. The scale is learned again from all rows, as that fit would.

    Parameters
    ----------
    places : more places with their predictors, beside those that the posterior knows; see fit
    store : see fit

    Raises
    ------
    TableError : as of fit; a place with another value than the posterior knows
    """
    run = new_run(chains, draws, post.seed if seed is None else seed, threads, progress, store=store)
    run.tell("reading rows", 0, 1)
    model = post.model
    with using(threads):
        source, gazetteer = placed(read(table), places, model.formula, post.gazetteer, post.cells)
        _, new = gather.take(source, model.formula, drop_outliers, post.design, weights=model.weights)
    run.tell("reading rows", 1, 1)
    return fit_moments(model, post.design, sums.merge(post.moments, new), run).knowing(gazetteer)


def merge(
    *posts: Posterior,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    threads: int | None = None,
    store: str = "auto",
    progress: Progress | None = None,
) -> Posterior:
    """Posteriors of one model from different rows → the posterior of all rows together.

    Raises
    ------
    ModelError : the models, priors or categories differ
    """
    if len(posts) < 2:
        raise ModelError("merge needs at least two posteriors")
    first = posts[0]
    run = new_run(chains, draws, first.seed if seed is None else seed, threads, progress, store=store)
    together, gazetteer = first.moments, first.gazetteer
    for at, other in enumerate(posts[1:], start=2):
        _check_same(first, other, at)
        if any(sums.same(other.moments, earlier.moments) for earlier in posts[: at - 1]):
            raise ModelError(f"cannot merge: file {at} holds the same rows as one before it; give each file once")
        together = sums.merge(together, other.moments)
        if other.gazetteer is not None:
            theirs = replace(other.gazetteer, name=f"file {at}")
            gazetteer = theirs if gazetteer is None else gazetteer.joined(theirs)
    return fit_moments(first.model, first.design, together, run).knowing(gazetteer)


def equations(model: Model | str, table: object, *, places: object = None) -> str:
    """A model's equations with the numbers and units of a table, before fitting: one pass over the rows."""
    model = model if isinstance(model, Model) else Model(model)
    source, _ = placed(read(table), places, model.formula)
    design, found = gather.take(source, model.formula, weights=model.weights)
    scale = learn_scale(found, design, standardize=model.standardize, unit=model.outcome_unit)
    return model.equations(design, scale)


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
    if first.design.categories != other.design.categories:
        factor = next(k for k, v in first.design.categories.items() if other.design.categories.get(k) != v)
        raise ModelError(
            f"cannot merge: the categories of {factor!r} differ ({', '.join(first.design.categories[factor])} in "
            f"file 1, {', '.join(other.design.categories.get(factor, ()))} in file {at}); fit all rows together"
        )

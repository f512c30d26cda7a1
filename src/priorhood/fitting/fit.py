"""Fit a model to a table, or to sums of tables; fit again from the sums alone: refit, update, merge."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from priorhood._arguments import suggest_argument_names
from priorhood._text import argument, code_or_command, preview
from priorhood.data.labels import match_spelling, spelling_advice
from priorhood.data.rows import prepare_rows
from priorhood.data.sources.duckdb_io import using
from priorhood.engines.observations import read_observations
from priorhood.errors import ModelError, PriorhoodWarning, warn
from priorhood.fitting.engine_choice import FitOptions, fit_moments, nuts_settings
from priorhood.fitting.federated import Moments, check_copies, check_separate, copied_places, identical_sums, pool
from priorhood.fitting.similar_labels import warn_of_similar_labels
from priorhood.model.design import ordered_categories, union_design
from priorhood.model.expression import Expression
from priorhood.model.formula import SEPARATOR, same_formula
from priorhood.model.hierarchy import shown
from priorhood.model.model import Model, as_model
from priorhood.posterior.posterior import Posterior
from priorhood.suffstats import collect
from priorhood.suffstats.fit_data import FitData
from priorhood.suffstats.moments import merge as merged
from priorhood.suffstats.recode import recode

if TYPE_CHECKING:
    from priorhood.engines.observations import Observations
    from priorhood.fitting.engine_choice import Progress

__all__ = ["PriorhoodWarning", "equations", "fit", "merge", "refit", "update"]


@suggest_argument_names
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
    """Fit a model to a table of rows, or to the sums of one or several tables.

    Parameters
    ----------
    model : Model or str
        A model, or a formula for one with default priors.
    table : table, Moments, or list of Moments
        Anything that read() takes; or Moments, one or a list with one per site: the posterior of all rows together.
        NUTS, and so Student-t errors, need the rows; places and drop_outliers are then options of moments().
    chains, draws : int
        Number of chains, and of posterior draws per chain; 4 × 1000 suffice for nearly every purpose.
    seed : int, optional
        Random seed; the same seed gives the same draws. If None, one is chosen and recorded. With NUTS this holds
        within a process: elsewhere its compiled model may round differently, and its chains diverge.
    engine : {"auto", "exact", "nuts"}
        "nuts", the general engine, needs PyMC; "auto" uses the exact engine if it supports the model, else NUTS.
    sampler, parameterization, tune, target_accept : optional
        NUTS only. Sampler "nutpie" (the default if installed), "pymc" or "numpyro"; "centered" (the default) or
        "noncentered", see Model.to_pymc; tuning steps per chain (1000); target acceptance rate (0.8), higher for
        smaller steps.
    places : table, optional
        A table with one row per place: the group's column (for nested groups as many columns as identify a place)
        and predictors that the formula names, such as the distance to the centre. It is matched by label and kept
        in the posterior, including places without rows. Rows of places missing from it are left out, with a
        warning.
    drop_outliers : float, optional
        Leave out rows for which log(outcome / first numeric predictor) lies more than this many IQRs outside the
        quartiles (1.5 is usual).
    threads : int, optional
        Number of threads; all cores if None. The draws do not depend on it.
    store : {"auto", "draws", "summaries"}
        Form in which the finest groups' coefficients are stored: all draws; or "summaries", their means, sds and
        5, 50 and 95 % quantiles, with draws of chosen places on demand (Posterior.draws). "auto" stores summaries
        if there are more than 50 million draws and all groups share one sigma.
    progress : callable, optional
        Function called with (stage, done, total).

    Returns
    -------
    Posterior

    Raises
    ------
    PriorhoodError
        The model or the table cannot be used; names the column, rows or values, and a remedy.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (living_space | zip)", sales, draws=250, seed=1)
    >>> post["mu"].sizes["chain"], post["mu"].sizes["draw"]
    (4, 250)
    """
    parts = table if isinstance(table, list | tuple) else [table]
    sums: Moments | None = None
    if any(isinstance(part, Moments | Posterior) for part in parts):
        other = next((part for part in parts if not isinstance(part, Moments | Posterior)), None)
        if other is not None:
            kind = type(other).__name__
            raise ModelError(
                f"cannot fit sums and a {kind} together; compute the sums of the {kind} with moments() first"
            )
        sums = pool(*parts)
    given, model = model, as_model(model, table)
    if sums is not None and model is not given and same_formula(model.formula, sums.formula):
        model = sums.model()  # which has the columns of weights too
    options = FitOptions.checked(
        chains, draws, seed=seed, threads=threads, progress=progress, engine=engine, store=store
    )
    settings = {
        "sampler": sampler,
        "parameterization": parameterization,
        "tune": tune,
        "target_accept": target_accept,
    }
    options = replace(options, nuts={name: value for name, value in settings.items() if value is not None})
    if engine == "nuts" or options.nuts:
        nuts_settings(options.nuts)  # before the rows are read
    if sums is not None:
        for name, value in {"places": places, "drop_outliers": drop_outliers}.items():
            if value is not None:
                raise ModelError(
                    f"{argument(name)} requires the rows, but you passed sums; pass it to "
                    f"{code_or_command('moments()', 'priorhood moments')} instead"
                )
        return _fit_sums(model, sums, options)
    options.progress("reading rows", 0, 1)
    with using(threads):
        rows = prepare_rows(table, model.formula, weights=model.weights, places=places, drop_outliers=drop_outliers)
        found = collect.collect_moments(rows)
    options.progress("reading rows", 1, 1)
    data = FitData.learn(model, rows.design, found)
    warn_of_similar_labels(rows, found, data)

    def observations() -> Observations:
        with using(threads):
            return read_observations(rows, data.scale, found.labels)

    return fit_moments(data, options, observations).with_places(rows.place_table)


def _fit_sums(model: Model, sums: Moments, options: FitOptions) -> Posterior:
    """Return the posterior of all rows in the sums.

    Raises
    ------
    ModelError
        Sums of another formula or with other weights; a factor with one category only.
    """
    if not same_formula(model.formula, sums.formula):
        raise ModelError(f"the sums were computed for {sums.formula.text!r}, not for {model.formula.text!r}")
    if model.weights != sums.weights:
        raise ModelError(
            f"the sums were computed with {_weights_of(sums.model())}, the model has {_weights_of(model)}; "
            f"use the same in the model"
        )
    for factor, categories in sums.design.categories.items():
        ordered_categories(Expression(factor), categories, sums.name, whole=True)
        if len(categories) == 1:
            raise ModelError(
                f"categorical predictor {factor!r} has only the category {categories[0]!r} in all parts; "
                f"leave it out"
            )
    return fit_moments(FitData.learn(model, sums.design, sums.moments), options).with_places(sums.place_table)


def _weights_of(model: Model) -> str:
    """Return the columns of weights as the model's arguments name them."""
    columns = {name: getattr(model, name) for name in ("se", "precision_weights", "frequency_weights")}
    given = [argument(name, column) for name, column in columns.items() if column]
    return code_or_command(", ", " ").join(given) or "no weights"


@suggest_argument_names
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
    """Fit the same rows again under other priors, from the sums in a posterior; no rows are read.

    Parameters
    ----------
    post : Posterior
        The posterior to start from.
    priors : optional
        Priors to replace, in a form that Model accepts; the others stay.
    chains, draws, threads, progress : optional
        See fit().
    seed, store : optional
        See fit(); those of the posterior's own fit if None.

    Returns
    -------
    Posterior

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales, draws=250, seed=1)
    >>> other = ph.refit(post, priors="tau ~ HalfNormal(1)", draws=250)
    >>> print(other.priors()["tau"])
    HalfNormal(sd=1)
    """
    options = FitOptions.again(post, chains, draws, seed, threads, progress, store)
    data = FitData.learn(post.model.with_priors(priors), post.design, post.moments)
    return fit_moments(data, options).with_places(post.place_table)


@suggest_argument_names
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
    """Add new rows: return the posterior that a fit to the old and new rows together would give.

    Only the new rows are read. The scale is learned again from all rows, as that fit would do. Categories that are
    new to the posterior get coefficients, with a warning. Rows that are already in the posterior are counted twice;
    if the sums of a place show it, there is a warning.

    Parameters
    ----------
    post : Posterior
        The posterior of the old rows.
    table : table
        The new rows, anything that read() takes.
    chains, draws, drop_outliers, threads, progress : optional
        See fit().
    seed, store : optional
        See fit(); those of the posterior's own fit if None.
    places : table, optional
        Places with their predictors, in addition to those in the posterior; see fit().

    Returns
    -------
    Posterior

    Raises
    ------
    TableError
        See fit(); also a place whose values differ from those in the posterior.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> post = ph.fit("price ~ living_space + (1 | zip)", sales[:150], draws=250, seed=1)
    >>> ph.update(post, sales[150:], draws=250).moments.rows
    200
    """
    options = FitOptions.again(post, chains, draws, seed, threads, progress, store)
    options.progress("reading rows", 0, 1)
    model = post.model
    with using(threads):
        rows = prepare_rows(
            table, model.formula, weights=model.weights, places=places, drop_outliers=drop_outliers, fitted=post,
            grow=True,
        )  # fmt: skip
        design, new = rows.design, collect.collect_moments(rows)
    options.progress("reading rows", 1, 1)
    warn_of_similar_labels(rows, new)
    for factor, categories in design.categories.items():
        added = [c for c in categories if c not in post.design.categories[factor]]
        if added:
            warn(
                f"predictor {factor!r} has categories new to the posterior: {preview(added)}; they now have "
                f"coefficients, relative to {categories[0]!r}"
            )
    # Places that differ from known ones only in spelling.
    known = {label.replace(SEPARATOR, "/"): None for label in post.moments.labels.tolist()}
    labels = [label.replace(SEPARATOR, "/") for label in new.labels.tolist()]
    spellings = match_spelling([label for label in labels if label not in known], known)
    if spellings:
        label, meant = next(iter(spellings.items()))
        more = f" (and {len(spellings) - 1:,} more like it)" if len(spellings) > 1 else ""
        warn(
            f"place {label!r}{more} is new to the posterior, which has {meant!r}: "
            f"{spelling_advice(label, meant, model.formula.keys)}"
        )
    before = recode(post.moments, post.design, design)
    data = FitData.learn(model, design, merged(before, new))
    together = fit_moments(data, options).with_places(rows.place_table)
    copies = copied_places(before, new)
    if len(copies):
        what = f"{identical_sums(len(copies))}, e.g. {preview(shown(copies).tolist(), 3)}"
        if len(copies) == len(new.n):
            what = "every place has identical sums" if new.keys else "their sums are identical"
        warn(
            f"these rows seem to be in the posterior already: {what}. They are now counted twice; pass only new "
            f"rows"
        )
    return together


@suggest_argument_names
def merge(
    *posts: Posterior,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    threads: int | None = None,
    store: str | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Merge posteriors of one model from different rows: return the posterior of all rows together.

    Categories may differ: a category missing from a posterior has no rows there.

    Parameters
    ----------
    *posts : Posterior
        At least two posteriors.
    chains, draws, threads, progress : optional
        See fit().
    seed, store : optional
        See fit(); those of the first posterior's fit if None.

    Returns
    -------
    Posterior

    Raises
    ------
    ModelError
        The models or priors differ; a column is numeric in one and categorical in another.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> a, b = (ph.fit("price ~ living_space + (1 | zip)", part, draws=250) for part in (sales[:99], sales[99:]))
    >>> ph.merge(a, b, draws=250).moments.rows
    200
    """
    check_separate("merge", posts, Posterior)
    if len(posts) < 2:
        raise ModelError(f"merge needs at least two posteriors, got {len(posts)}")
    first = posts[0]
    options = FitOptions.again(first, chains, draws, seed, threads, progress, store)
    # Priors come after the choices that they follow from.
    names = {
        "formula": "formula", "family": "the error family", "noise": "noise", "se": "se",
        "precision_weights": "precision_weights", "frequency_weights": "frequency_weights", "priors": "priors",
        "standardize": "standardize", "outcome_unit": "outcome_unit",
    }  # fmt: skip
    mine = first.model.to_dict()
    for at, other in enumerate(posts[1:], start=2):
        theirs = other.model.to_dict()
        for key, what in names.items():
            if mine[key] != theirs[key]:
                raise ModelError(
                    f"cannot merge: {what} is {mine[key]} in file 1, {theirs[key]} in file {at}; only fits of the "
                    f"same model to different rows can be merged (refit one of them first)"
                )
    design = reduce(union_design, (post.design for post in posts))
    parts = [recode(post.moments, post.design, design) for post in posts]
    check_copies(parts, [f"file {at}" for at in range(1, len(posts) + 1)], "cannot merge: ", "pass each file once")
    place_table = first.place_table
    for at, other in enumerate(posts[1:], start=2):
        if other.place_table is not None:
            renamed = replace(other.place_table, name=f"file {at}")
            place_table = renamed if place_table is None else place_table.joined(renamed)
    return fit_moments(FitData.learn(first.model, design, reduce(merged, parts)), options).with_places(place_table)


@suggest_argument_names
def equations(model: Model | str, table: object, *, places: object = None) -> str:
    """Return a model's equations with the numbers and units of a table, before a fit; takes one pass over the rows.

    Parameters
    ----------
    model : Model or str
        A model, or a formula for one with default priors.
    table : table
        Anything that read() takes.
    places : table, optional
        See fit().

    Returns
    -------
    str
        One line per distribution.

    Examples
    --------
    >>> import priorhood as ph
    >>> from priorhood.datasets import simulate
    >>> sales, _ = simulate(8, 200, seed=1)
    >>> from priorhood.fitting.fit import equations
    >>> print(equations("price ~ 1", sales).splitlines()[2].strip())
    price / 100,000 = mu[Intercept] + ε,  ε ~ Normal(0, sigma)
    """
    model = as_model(model, table)
    rows = prepare_rows(table, model.formula, weights=model.weights, places=places)
    return model.equations(rows.design, FitData.learn(model, rows.design, collect.collect_moments(rows)).scale)

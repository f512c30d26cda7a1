"""Choose an engine, fit; fit again from the sums alone: refit, update, merge."""

from __future__ import annotations

import json
import os
import platform
import time
import warnings
from collections.abc import Callable
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from priorhood import gather
from priorhood import moments as sums
from priorhood.design import INTERCEPT
from priorhood.errors import ModelError
from priorhood.model import Model
from priorhood.posterior import Posterior, assemble, cores
from priorhood.predict import check_seed
from priorhood.scale import Scale, learn_scale, standardized
from priorhood.table import read

if TYPE_CHECKING:
    from priorhood import exact
    from priorhood.design import Design
    from priorhood.moments import Moments

Progress = Callable[[str, int, int], None]

ENGINES = ("auto", "exact")


class PriorhoodWarning(UserWarning):
    """Something the data cannot tell, though the model can be fitted."""


def fit(
    model: Model | str,
    table: object,
    *,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    engine: str = "auto",
    drop_outliers: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Fit a model to a table of rows.

    Parameters
    ----------
    model : a Model, or a formula for one with default priors
    table : whatever read() takes
    chains, draws : posterior draws; 4 × 1000 serve nearly every purpose
    seed : the same seed gives the same draws; one is chosen and recorded if None
    engine : "exact", or "auto" for the best that takes the model
    drop_outliers : leave out rows whose log of outcome per first predictor lies outside the quartiles
        ± this factor × their distance (1.5 is usual)
    threads : all cores if None; the draws do not depend on it
    progress : called with (stage, done, total)

    Raises
    ------
    PriorhoodError : names the column, rows or values and what to do
    """
    model = model if isinstance(model, Model) else Model(model)
    _check_counts(chains, draws, engine, threads)
    tell = progress or _silent
    tell("reading rows", 0, 1)
    design, found = gather.take(read(table), model.formula, drop_outliers)
    tell("reading rows", 1, 1)
    return _fit_moments(model, design, found, chains, draws, seed, threads, tell)


def refit(
    post: Posterior,
    *,
    priors: object = None,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """The same rows under other priors, from the sums in a posterior; no row is read.

    Parameters
    ----------
    priors : those to replace, as Model takes them; the others stay
    """
    _check_counts(chains, draws, "auto", threads)
    model = post.model.with_priors(priors)
    again = post.seed if seed is None else seed
    return _fit_moments(model, post.design, post.moments, chains, draws, again, threads, progress or _silent)


def update(
    post: Posterior,
    table: object,
    *,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    drop_outliers: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Add new rows: the posterior that a fit to the old and new rows together would give.

    Only the new rows are read. The scale is learned again from all rows, as that fit would.
    """
    _check_counts(chains, draws, "auto", threads)
    tell = progress or _silent
    tell("reading rows", 0, 1)
    _, new = gather.take(read(table), post.model.formula, drop_outliers, post.design)
    tell("reading rows", 1, 1)
    together = sums.merge(post.moments, new)
    again = post.seed if seed is None else seed
    return _fit_moments(post.model, post.design, together, chains, draws, again, threads, tell)


def merge(
    *posts: Posterior,
    chains: int = 4,
    draws: int = 1000,
    seed: int | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Posterior:
    """Posteriors of one model from different rows → the posterior of all rows together.

    Raises
    ------
    ModelError : the models, priors or categories differ
    """
    if len(posts) < 2:
        raise ModelError("merge needs at least two posteriors")
    _check_counts(chains, draws, "auto", threads)
    first = posts[0]
    together = first.moments
    for at, other in enumerate(posts[1:], start=2):
        _check_same(first, other, at)
        if any(sums.same(other.moments, earlier.moments) for earlier in posts[: at - 1]):
            raise ModelError(f"cannot merge: file {at} holds the same rows as one before it; give each file once")
        together = sums.merge(together, other.moments)
    again = first.seed if seed is None else seed
    return _fit_moments(first.model, first.design, together, chains, draws, again, threads, progress or _silent)


def equations(model: Model | str, table: object) -> str:
    """A model's equations with the numbers and units of a table, before fitting: one pass over the rows."""
    model = model if isinstance(model, Model) else Model(model)
    design, found = gather.take(read(table), model.formula)
    scale = learn_scale(found, design, standardize=model.standardize, unit=model.outcome_unit)
    return model.equations(design, scale)


def _check_same(first: Posterior, other: Posterior, at: int) -> None:
    mine, theirs = first.model.to_dict(), other.model.to_dict()
    for key, what in (("formula", "formula"), ("priors", "priors"), ("standardize", "standardize"),
                      ("outcome_unit", "outcome_unit")):  # fmt: skip
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


def _check_counts(chains: int, draws: int, engine: str, threads: int | None) -> None:
    for name, value, least in (("chains", chains, 1), ("draws", draws, 10)):
        if not isinstance(value, int) or value < least:
            raise ModelError(f"{name} must be a whole number of at least {least}, not {value!r}")
    if threads is not None and (not isinstance(threads, int) or threads < 1):
        raise ModelError(f"threads must be a whole number of at least 1, not {threads!r}")
    if engine not in ENGINES:
        raise ModelError(f"engine {engine!r} is not known; this version has {' and '.join(ENGINES)}")


def _silent(stage: str, done: int, total: int) -> None:
    pass


def check_informed(design: Design, found: Moments) -> tuple[str, ...]:
    """Refuse what no data of this form can tell; return notes on what they can hardly tell.

    Raises
    ------
    ModelError : one group, or more columns than rows
    """
    D = len(design.columns)
    if found.rows < D:
        raise ModelError(
            f"the model has {D} coefficients but only {found.rows} rows can be used; leave predictors out"
        )
    if not found.group:
        return ()
    if len(found.n) == 1:
        raise ModelError(
            f"all {found.rows:,} rows have the one {found.group} {str(found.labels[0])!r}: nothing can be learned "
            f"about how {found.group}s differ; drop the group part of the formula"
        )
    if found.n.max() == 1:
        return (
            f"every {found.group} has one row: the spread between {found.group}s (tau) and the noise within "
            f"(sigma) cannot be told apart by the data, only by their priors",
        )
    return ()


def _far_prior(model: Model, design: Design, scale: Scale, found: Moments) -> tuple[str, ...]:
    """A note where the intercept's prior is far from where the outcome is: it would pull the fit."""
    if INTERCEPT not in [c.name for c in design.population_columns]:
        return ()
    prior = model.resolve(design).mu[[c.name for c in design.population_columns].index(INTERCEPT)]
    mean, _ = standardized(found, design, scale)
    level = float(found.n @ mean[:, -1] / found.n.sum())
    away = abs(level - prior.mean) / prior.sd
    if away < 3 or (scale.centre.any() == 0 and len(design.columns) > 1 and away < 10):
        return ()
    return (
        f"the prior mu[Intercept] ~ {prior} is {away:.0f} of its sds from the outcome's mean ({level:.4g} on the "
        f"model's scale) and will pull the fit; give a wider prior, or an outcome_unit near the outcome's sd",
    )


def _fit_moments(
    model: Model,
    design: Design,
    found: Moments,
    chains: int,
    draws: int,
    seed: int | None,
    threads: int | None,
    tell: Progress,
) -> Posterior:
    """The one path from sums to a posterior."""
    # Loads or compiles kernels: only where they are used.
    from priorhood import exact

    scale = learn_scale(found, design, standardize=model.standardize, unit=model.outcome_unit)
    notes = check_informed(design, found) + _far_prior(model, design, scale, found)
    for note in notes:
        warnings.warn(note, PriorhoodWarning, stacklevel=3)
    chosen = int(np.random.default_rng().integers(2**31)) if seed is None else check_seed(seed)
    started = time.perf_counter()
    problem = pose(model, design, scale, found)
    if problem.c <= 1e-14 * found.pooled()[1][-1, -1] / scale.unit**2:
        raise ModelError(
            f"the outcome {model.formula.outcome!r} is an exact function of the predictors: there is no noise to "
            f"learn. Look for an outcome computed from a predictor"
        )
    reason = exact.refuses(problem) or _too_large(problem, chains * draws)
    if reason:
        raise ModelError(reason)
    rng = np.random.default_rng(chosen)
    result = exact.draw(problem, chains, draws, rng, threads or cores(), tell)
    # log p(y) of the raw outcome: a density, so it takes the unit's Jacobian.
    evidence = float(result.facts["log_evidence_standardized"]) - found.rows * float(np.log(scale.unit))
    facts = {
        "log_evidence": evidence,
        "engine_reason": "Gaussian errors and one tree of groups: all coefficients integrate out",
        "seed": chosen,
        "notes": json.dumps(list(notes)),
        "sampling_time": time.perf_counter() - started,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": json.dumps(_versions()),
    }
    return assemble(model, design, scale, found, result, facts)


def _too_large(problem: exact.Problem, draws: int) -> str | None:
    """Why the draws would not fit into memory; None where they do."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not told by this system
        return None
    values = draws * sum(level.size * (level.K + 1) for level in problem.levels)
    needed = 2 * 8 * values  # the coefficients, and the random numbers they are made of
    if needed < 0.7 * memory:
        return None
    return (
        f"{draws:,} draws of every group's coefficients need about {needed / 1e9:.0f} GB, and this machine has "
        f"{memory / 1e9:.0f} GB; ask for fewer draws (draws=, --draws)"
    )


@cache
def _versions() -> dict[str, str]:
    return {
        "priorhood": metadata.version("priorhood"),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def pose(model: Model, design: Design, scale: Scale, found: Moments) -> exact.Problem:
    """The model and the sums as the exact engine takes them: standardized arrays (math.md, section 2)."""
    from priorhood import exact

    resolved = model.resolve(design)
    mean, scatter = standardized(found, design, scale)
    # The last level's parent is the root: one run of children over all groups.
    levels = tuple(
        exact.Level(
            cols=np.array(design.index(design.level_columns(at)), dtype=np.int64),
            starts=np.array([0, len(found.n)], dtype=np.int64),
            tau=resolved.tau[at],
            omega=resolved.omega[at],
        )
        for at in range(len(model.formula.levels))
    )
    return exact.pose(
        found.n,
        mean,
        scatter,
        levels,
        root_cols=np.array(design.index(design.population_columns), dtype=np.int64),
        root_mean=np.array([p.mean for p in resolved.mu]),
        root_sd=np.array([p.sd for p in resolved.mu]),
        sigma=resolved.sigma,
        constant=design.constant,
    )

"""From sums to a posterior: which engine takes the model, what it is given, what is said of its draws."""

from __future__ import annotations

import json
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import MOST_CHAINS, MOST_DRAWS, MOST_IN_ALL, MOST_THREADS, check_seed, whole
from priorhood._system import cores, memory
from priorhood._text import plural
from priorhood.engines import nuts
from priorhood.engines.adapt import to_exact
from priorhood.errors import ModelError, PriorhoodWarning, SamplingError
from priorhood.fitting.identifiability import (
    check_informed,
    empty_cells,
    far_prior,
    far_sigma,
    sum_of_the_others,
    truths,
)
from priorhood.model.hierarchy import hierarchy_of
from priorhood.posterior.posterior import Posterior, assemble
from priorhood.suffstats.standardize import learn_scale

if TYPE_CHECKING:
    from priorhood.engines import exact
    from priorhood.engines.draws import Draws
    from priorhood.engines.observations import Observations
    from priorhood.model.design import Design
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.model.model import Model
    from priorhood.model.scale import Scale
    from priorhood.suffstats.moments import CellMoments

Progress = Callable[[str, int, int], None]

ENGINES = ("auto", "exact", "nuts")
STORES = ("auto", "draws", "summaries")
# Draws of the finest groups' coefficients beyond which these are summed up instead: 400 MB in memory and in the
# file, and so much again while they are drawn.
MOST_STORED = 50_000_000


@dataclass(frozen=True)
class Run:
    """How much is drawn, from which seed (as given), on how many threads, and who is told of the progress.

    store : what is kept of the finest groups' coefficients: "draws", "summaries", or by size, "auto"
    """

    chains: int
    draws: int
    seed: int | None
    threads: int
    tell: Progress
    store: str = "auto"


def new_run(
    chains: int,
    draws: int,
    seed: int | None,
    threads: int | None,
    progress: Progress | None,
    engine: str = "auto",
    store: str = "auto",
) -> Run:
    """Check what every fit is told."""
    chains, draws = whole("chains", chains, 1, MOST_CHAINS), whole("draws", draws, 10, MOST_DRAWS)
    if chains * draws > MOST_IN_ALL:
        raise ModelError(
            f"{chains:,} chains × {draws:,} draws are more than {MOST_IN_ALL:,} draws in all: give fewer"
        )
    threads = None if threads is None else whole("threads", threads, 1, MOST_THREADS)
    seed = None if seed is None else check_seed(seed)
    if engine not in ENGINES:
        raise ModelError(f"engine {engine!r} is not known; there are {', '.join(ENGINES)}")
    if store not in STORES:
        raise ModelError(f"store must be one of {', '.join(STORES)}, not {store!r}")
    return Run(chains, draws, seed, threads or cores(), progress or _silent, store)


def nuts_settings(given: dict[str, Any]) -> nuts.Settings:
    """What was said of NUTS, checked, over what is usual.

    Raises
    ------
    ModelError : not installed, or a setting that cannot be
    """
    reason = nuts.unavailable(given.get("sampler"))
    if reason:
        raise ModelError(reason)
    return nuts.check(nuts.Settings(**{"sampler": nuts.default_sampler(), **given}))


def _silent(stage: str, done: int, total: int) -> None:
    pass


def fit_moments(
    model: Model,
    design: Design,
    found: CellMoments,
    run: Run,
    engine: str = "auto",
    rows: Callable[[Scale], Observations] | None = None,
    given: dict[str, Any] | None = None,
    scale: Scale | None = None,
) -> Posterior:
    """The one path from sums to a posterior; `rows` gives NUTS what it needs besides, `given` its options.

    scale : of an earlier fit, so that priors and parameters mean the same; learned from the sums if None
    """
    model = model.settled(design)
    scale = scale or learn_scale(found, design, standardize=model.standardize, unit=model.outcome_unit)
    notes = check_informed(model, design, found) + empty_cells(design, found)
    notes += truths(design, found) + sum_of_the_others(design, found) + far_prior(model, design, scale, found)
    notes += far_sigma(model, design, scale, found)
    for note in notes:
        warnings.warn(note, PriorhoodWarning, stacklevel=3)
    seed = int(np.random.default_rng().integers(2**31)) if run.seed is None else check_seed(run.seed)
    run = replace(run, seed=seed)
    started = time.perf_counter()
    problem, refusal = _collapsed(model, design, scale, found, run)
    # Crossed effects that the exact engine does not take may be too wide for its matrices.
    if problem is not None or not model.formula.crossed:
        _check_kept(model, problem or to_exact(model, design, scale, found), engine)
    taken = TAKEN_BY_GROUP if model.noise is not None else TAKEN_ACROSS if model.formula.crossed else TAKEN
    chosen, reason = _choose(engine, refusal, taken, has_rows=rows is not None)
    stored, why = _stored(model, design, found, run, chosen)
    asked, run = run.store, replace(run, store=stored)
    if chosen == "exact" and problem is not None:
        if given:
            raise ModelError(
                f"{next(iter(given))} is an option of NUTS, and the exact engine takes this model; to use NUTS all "
                f"the same give engine='nuts' (--engine nuts)"
            )
        try:
            result, facts = _by_exact(model, problem, scale, found, run)
        except SamplingError as refused:
            # What the engine knows of is its own difficulty; so far a prior is the cause of any.
            far = far_prior(model, design, scale, found, least=50)
            raise SamplingError(f"no engine explores this posterior: {far[0]}") if far else refused from None
    elif rows is not None:
        regression = nuts.regression_of(model, design, scale, found.labels, rows(scale))
        settings = nuts_settings(given or {})
        result = nuts.draw(regression, settings, run.chains, run.draws, seed, run.threads, run.tell)
        facts = {}
    facts |= {
        "engine_reason": reason,
        "store": stored,
        "store_asked": asked,
        "store_reason": why,
        "seed": seed,
        "notes": json.dumps(list(notes)),
        "sampling_time": time.perf_counter() - started,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": json.dumps(_versions(chosen)),
    }
    post = assemble(model, design, scale, found, result, facts)
    for verdict in post.check() if chosen == "nuts" else ():
        if not verdict.good:
            warnings.warn(verdict.text, PriorhoodWarning, stacklevel=3)
    return post


def _check_kept(model: Model, problem: exact.Problem | exact.GroupNoiseProblem, engine: str) -> None:
    """Refuse a residual sd that is known to be far below what the rows scatter; warn where NUTS is to try.

    Raises
    ------
    ModelError : with the prior, and how far
    """
    from priorhood.engines import exact

    reason = exact.lost(problem)
    if reason is None:
        return
    if engine != "nuts" and model.family == "normal":
        raise ModelError(reason)
    warnings.warn(reason, PriorhoodWarning, stacklevel=4)


def exact_refusal(model: Model, design: Design, scale: Scale, found: CellMoments, run: Run) -> str | None:
    """Why the exact engine does not take the model; None where it does."""
    return _collapsed(model, design, scale, found, run)[1]


def draw_exact(model: Model, design: Design, scale: Scale, found: CellMoments, run: Run) -> Draws:
    """A fit's way from sums to draws under a given scale, without labels, notes and other engines.

    Raises
    ------
    ModelError, SamplingError : the exact engine does not take the model, or these sums
    """
    problem, refusal = _collapsed(model, design, scale, found, run)
    if problem is None or refusal:
        raise ModelError(str(refusal))
    run = replace(run, store=_stored(model, design, found, run, "exact")[0])
    return _by_exact(model, problem, scale, found, run)[0]


def _by_exact(
    model: Model, problem: exact.Problem | exact.GroupNoiseProblem, scale: Scale, found: CellMoments, run: Run
) -> tuple[Draws, dict[str, Any]]:
    # Loads or compiles kernels: only where they are used.
    from priorhood.engines import exact

    base = problem.base if isinstance(problem, exact.GroupNoiseProblem) else problem
    if model.se is None and base.c <= 1e-14 * found.pooled()[1][-1, -1] / scale.unit**2:
        if found.rows <= len(base.root_cols):
            raise ModelError(
                f"the model has as many coefficients as there are rows to use, {found.rows:,}, and goes exactly "
                f"through every row: there is no noise to learn. It takes more rows, or fewer predictors"
            )
        raise ModelError(
            f"the outcome {model.formula.outcome!r} is an exact function of the predictors: there is no noise to "
            f"learn. Look for an outcome computed from a predictor"
        )
    if isinstance(problem, exact.GroupNoiseProblem):
        _check_scatter(problem, found)
    result = exact.draw(
        problem, run.chains, run.draws, np.random.default_rng(run.seed), run.threads, run.tell,
        stored=run.store != "summaries",
    )  # fmt: skip
    if model.se is not None:
        result = replace(result, sigma=None)  # known, and so no parameter
    if model.noise is not None and result.sigma is not None and result.sigma.ndim == 2:
        result = replace(result, sigma=np.repeat(result.sigma[:, :, None], len(found.n), axis=2))  # known, the same
    # log p(y) of the raw outcome: a density, so it takes the unit's Jacobian.
    evidence = float(result.facts["log_evidence_standardized"]) - found.rows * float(np.log(scale.unit))
    return result, {"log_evidence": evidence}


def _check_scatter(problem: exact.GroupNoiseProblem, found: CellMoments) -> None:
    """Refuse groups that say that their residual sd is 0: the density has no bound there.

    Raises
    ------
    ModelError : with their names
    """
    exact_lines = problem.rows.exact
    if not len(exact_lines):
        return
    group = found.keys[0]
    names = [f"{str(found.labels[j])!r} ({found.n[j]:.0f} rows)" for j in exact_lines[:3]]
    more = f" and {len(exact_lines) - 3} more" if len(exact_lines) > 3 else ""
    raise ModelError(
        f"in {group} {', '.join(names)}{more} all rows lie exactly on a line or are the same, so a residual "
        f"sd of its own would be 0: leave out repeated rows or such {plural(group)} (where=), or let all share one "
        f"sigma (leave noise out)"
    )


# -- the choice of an engine -------------------------------------------------------------------------------

TAKEN = "Gaussian errors and one tree of groups: all coefficients integrate out"
TAKEN_BY_GROUP = "Gaussian errors: every group's coefficients and its residual sd integrate out"
TAKEN_ACROSS = "Gaussian errors, one tree of groups and few effects across it: all coefficients integrate out"


def _collapsed(
    model: Model, design: Design, scale: Scale, found: CellMoments, run: Run
) -> tuple[exact.Problem | exact.GroupNoiseProblem | None, str | None]:
    """What the exact engine is given, or why it does not take the model.

    Raises
    ------
    ModelError : no engine could take it: the draws would not fit into memory
    """
    hierarchy = hierarchy_of(model.formula, found.labels)
    sizes = [(places.size, len(design.coefficient_columns(at))) for at, places in enumerate(hierarchy.groupings)]
    summed = run.store != "draws" and _summable(model) and _beyond(hierarchy, design, run)
    kept = sizes[1:] if summed or run.store == "summaries" else sizes
    values = run.chains * run.draws * sum(size * (terms + 1) for size, terms in kept)
    large = _too_large(values, run.chains * run.draws)
    if large:
        raise ModelError(large)
    if model.family == "student":
        return (
            None,
            "with Student-t errors the rows do not collapse to sums, so the exact engine does not take them",
        )
    from priorhood.engines import exact

    if hierarchy.crossed:
        reason = _too_wide(hierarchy, [size * terms for size, terms in sizes])
        if reason:
            return None, reason
    if model.noise is not None and len(hierarchy.groupings) > 1:
        return None, (
            f"with a residual sd for every {model.noise} (noise) the exact engine takes one grouping, neither "
            f"nested nor crossed ones"
        )
    problem = to_exact(model, design, scale, found)
    return problem, exact.refuses(problem)


def _summable(model: Model) -> bool:
    """Whether the finest groups' coefficients have a closed form given θ."""
    return model.family == "normal" and model.noise is None and bool(model.formula.groupings)


def _beyond(hierarchy: Hierarchy, design: Design, run: Run) -> bool:
    """Whether the draws of the finest groups' coefficients are more than are stored."""
    return bool(hierarchy.levels) and _numbers(hierarchy, design, run) > MOST_STORED


def _numbers(hierarchy: Hierarchy, design: Design, run: Run) -> int:
    """Draws of the finest groups' coefficients."""
    return run.chains * run.draws * hierarchy.levels[0].size * len(design.coefficient_columns(0))


def _stored(model: Model, design: Design, found: CellMoments, run: Run, engine: str) -> tuple[str, str]:
    """What is kept of the finest groups' coefficients, "draws" or "summaries", and why.

    Raises
    ------
    ModelError : summaries of what has no closed form
    """
    summable = engine == "exact" and _summable(model)
    if run.store == "summaries" and not summable:
        why = (
            "the model has no groups" if not model.formula.groupings
            else f"there is a residual sd for every {model.noise} (noise)" if model.noise is not None
            else "NUTS draws all together"
        )  # fmt: skip
        raise ModelError(f"store='summaries' (--store summaries) needs coefficients with a closed form, but {why}")
    if run.store != "auto":
        return run.store, "asked for"
    hierarchy = hierarchy_of(model.formula, found.labels)
    if not hierarchy.levels:
        return "draws", "no groups"
    count = _numbers(hierarchy, design, run)
    told = f"{count:,} draws of {model.formula.effect_name(0)} are"
    if not _beyond(hierarchy, design, run):
        return "draws", f"{told} at most {MOST_STORED:,}"
    if not summable:
        return "draws", f"{told} more than {MOST_STORED:,}, but have no closed form"
    return "summaries", f"{told} more than {MOST_STORED:,}"


def _too_wide(hierarchy: Hierarchy, effects: list[int]) -> str | None:
    """Why the exact engine does not take the crossed groupings, with their effects; None where it does."""
    from priorhood.engines import exact

    depth = len(hierarchy.levels)
    reason = exact.too_wide(sum(effects[depth:]), hierarchy.levels[0].size)
    if reason is None or depth > 1:
        return reason
    # One of them is large: the other way round it may be taken.
    largest = max(range(1, len(effects)), key=lambda at: effects[at])
    rest = sum(effects) - effects[largest]
    if exact.too_wide(rest, hierarchy.groupings[largest].size) is None:
        return f"{reason}: write the part of {hierarchy.groupings[largest].name} first"
    return reason


def _choose(engine: str, refusal: str | None, taken: str, *, has_rows: bool) -> tuple[str, str]:
    """Engine and reason.

    Raises
    ------
    ModelError : the engine asked for does not take the model; says which one does
    """
    if engine == "nuts" and not has_rows:
        raise ModelError("NUTS needs the rows, of which only the sums are here; leave engine out, or fit a table")
    if engine == "nuts":
        return "nuts", "asked for" + (f"; {refusal}" if refusal else "")
    if refusal is None:
        return "exact", taken
    if not has_rows:
        raise ModelError(f"{refusal}; NUTS does, but needs the rows: fit the model again from a table")
    if engine == "exact":
        raise ModelError(f"{refusal}; engine='nuts' (--engine nuts) does")
    missing = nuts.unavailable()
    if missing:
        raise ModelError(f"{refusal}; NUTS does. {missing}")
    return "nuts", refusal


def _too_large(values: int, draws: int) -> str | None:
    """Why the draws would not fit into memory; None where they do."""
    needed = 2 * 8 * values  # the coefficients, and the random numbers they are made of
    there = memory()
    if there is None or needed < 0.7 * there:
        return None
    return (
        f"{draws:,} draws of every group's coefficients need about {needed / 1e9:.0f} GB, and this machine has "
        f"{there / 1e9:.0f} GB; ask for fewer draws (draws=, --draws)"
    )


@cache
def _versions(engine: str) -> dict[str, str]:
    return {
        "priorhood": metadata.version("priorhood"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        **({"pymc": metadata.version("pymc")} if engine == "nuts" else {}),
    }

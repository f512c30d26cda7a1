"""From sums to a posterior: which engine takes the model, what it is given, what is said of its draws."""

from __future__ import annotations

import json
import platform
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
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
from priorhood.fitting.identifiability import far_prior, identifiability_notes
from priorhood.posterior.posterior import Posterior, assemble

if TYPE_CHECKING:
    from priorhood.engines import exact
    from priorhood.engines.draws import Draws
    from priorhood.engines.observations import Observations
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.model.model import Model
    from priorhood.model.scale import Scale
    from priorhood.suffstats.fit_data import FitData
    from priorhood.suffstats.moments import CellMoments

Progress = Callable[[str, int, int], None]

ENGINES = ("auto", "exact", "nuts")
STORES = ("auto", "draws", "summaries")
# Draws of the finest groups' coefficients beyond which these are summed up instead: 400 MB in memory and in the
# file, and so much again while they are drawn.
MOST_STORED = 50_000_000


def silent(stage: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True)
class FitOptions:
    """How a posterior is drawn; made by `checked` or `again`.

    seed : None for one that is chosen and recorded
    store : what is kept of the finest groups' coefficients: "draws", "summaries", or by size, "auto"
    nuts : the options of NUTS that were given
    """

    chains: int
    draws: int
    seed: int | None
    threads: int
    progress: Progress = silent
    engine: str = "auto"
    store: str = "auto"
    nuts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def checked(
        cls,
        chains: int,
        draws: int,
        *,
        seed: int | None = None,
        threads: int | None = None,
        progress: Progress | None = None,
        engine: str = "auto",
        store: str = "auto",
    ) -> FitOptions:
        """Options as a user gave them; threads : all cores if None.

        Raises
        ------
        ModelError : a number out of bounds; an engine or store that is not known
        """
        chains, draws = whole("chains", chains, 1, MOST_CHAINS), whole("draws", draws, 10, MOST_DRAWS)
        if chains * draws > MOST_IN_ALL:
            raise ModelError(
                f"{chains:,} chains × {draws:,} draws are more than {MOST_IN_ALL:,} draws in all: give fewer"
            )
        threads = cores() if threads is None else whole("threads", threads, 1, MOST_THREADS)
        seed = None if seed is None else check_seed(seed)
        if engine not in ENGINES:
            raise ModelError(f"engine {engine!r} is not known; there are {', '.join(ENGINES)}")
        if store not in STORES:
            raise ModelError(f"store must be one of {', '.join(STORES)}, not {store!r}")
        return cls(chains, draws, seed, threads, progress or silent, engine, store)

    @classmethod
    def again(
        cls,
        post: Posterior,
        chains: int,
        draws: int,
        seed: int | None,
        threads: int | None,
        progress: Progress | None,
        store: str | None,
    ) -> FitOptions:
        """Options of a fit from a posterior's sums; seed and store : as of the posterior's own fit if None.

        Raises
        ------
        ModelError : no posterior; as of `checked`
        """
        if not isinstance(post, Posterior):
            raise ModelError(
                f"a posterior is needed first, not {type(post).__name__}: one that was fitted, or load('post.nc') "
                f"of a saved one"
            )
        asked = str(post.attrs.get("store_asked", "auto")) if store is None else store
        seed = post.seed if seed is None else seed
        return cls.checked(chains, draws, seed=seed, threads=threads, progress=progress, store=asked)

    def alone(self, seed: int | None = None) -> FitOptions:
        """The same for one of several fits at a time: one thread, no progress; another seed if given."""
        return replace(self, threads=1, progress=silent, seed=self.seed if seed is None else seed)


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


def fit_moments(
    data: FitData, options: FitOptions, rows: Callable[[Scale], Observations] | None = None
) -> Posterior:
    """The one path from sums to a posterior; `rows` gives NUTS what it needs besides."""
    model = data.model
    notes = identifiability_notes(data)
    for note in notes:
        warnings.warn(note, PriorhoodWarning, stacklevel=3)
    seed = int(np.random.default_rng().integers(2**31)) if options.seed is None else options.seed
    options = replace(options, seed=seed)
    started = time.perf_counter()
    problem, refusal = _collapsed(data, options)
    # Crossed effects that the exact engine does not take may be too wide for its matrices.
    if problem is not None or not model.formula.crossed:
        _check_kept(model, problem or to_exact(data), options.engine)
    taken = TAKEN_BY_GROUP if model.noise is not None else TAKEN_ACROSS if model.formula.crossed else TAKEN
    chosen, reason = _choose(options.engine, refusal, taken, has_rows=rows is not None)
    stored, why = _stored(data, options, chosen)
    asked, options = options.store, replace(options, store=stored)
    if chosen == "exact" and problem is not None:
        if options.nuts:
            raise ModelError(
                f"{next(iter(options.nuts))} is an option of NUTS, and the exact engine takes this model; to use "
                f"NUTS all the same give engine='nuts' (--engine nuts)"
            )
        try:
            result, facts = _by_exact(data, problem, options)
        except SamplingError as refused:
            # What the engine knows of is its own difficulty; so far a prior is the cause of any.
            far = far_prior(data, least=50)
            raise SamplingError(f"no engine explores this posterior: {far[0]}") if far else refused from None
    elif rows is not None:
        regression = nuts.regression_of(data, rows(data.scale))
        settings = nuts_settings(options.nuts)
        result = nuts.draw(
            regression, settings, options.chains, options.draws, seed, options.threads, options.progress
        )
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
    post = assemble(data, result, facts)
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

    reason = exact.refuses_known_noise(problem)
    if reason is None:
        return
    if engine != "nuts" and model.family == "normal":
        raise ModelError(reason)
    warnings.warn(reason, PriorhoodWarning, stacklevel=4)


def exact_refusal(data: FitData, options: FitOptions) -> str | None:
    """Why the exact engine does not take the model; None where it does."""
    return _collapsed(data, options)[1]


def draw_exact(data: FitData, options: FitOptions) -> Draws:
    """A fit's way from sums to draws under a given scale, without labels, notes and other engines.

    Raises
    ------
    ModelError, SamplingError : the exact engine does not take the model, or these sums
    """
    problem, refusal = _collapsed(data, options)
    if problem is None or refusal:
        raise ModelError(str(refusal))
    options = replace(options, store=_stored(data, options, "exact")[0])
    return _by_exact(data, problem, options)[0]


def _by_exact(
    data: FitData, problem: exact.Problem | exact.GroupNoiseProblem, options: FitOptions
) -> tuple[Draws, dict[str, Any]]:
    model, scale, found = data.model, data.scale, data.moments
    # Loads or compiles kernels: only where they are used.
    from priorhood.engines import exact

    base = problem.base if isinstance(problem, exact.GroupNoiseProblem) else problem
    if model.se is None and base.c <= 1e-14 * found.pooled()[1][-1, -1] / scale.unit**2:
        if found.rows <= len(base.root_cols):
            raise ModelError(
                f"the model has as many coefficients as there are rows to use, {found.rows:,}, and goes exactly "
                f"through every row: there is no noise to learn. It takes more rows, or fewer predictors",
                reason="the model goes exactly through every row",
            )
        raise ModelError(
            f"the outcome {model.formula.outcome!r} is an exact function of the predictors: there is no noise to "
            f"learn. Look for an outcome computed from a predictor",
            reason=f"the outcome {model.formula.outcome!r} is an exact function of the predictors",
        )
    if isinstance(problem, exact.GroupNoiseProblem):
        _check_scatter(problem, found)
    result = exact.draw(
        problem, options.chains, options.draws, np.random.default_rng(options.seed), options.threads,
        options.progress, stored=options.store != "summaries",
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
        f"sigma (leave noise out)",
        reason=f"all rows of some {plural(group)} lie exactly on a line or are the same",
    )


# -- the choice of an engine -------------------------------------------------------------------------------

TAKEN = "Gaussian errors and one tree of groups: all coefficients integrate out"
TAKEN_BY_GROUP = "Gaussian errors: every group's coefficients and its residual sd integrate out"
TAKEN_ACROSS = "Gaussian errors, one tree of groups and few effects across it: all coefficients integrate out"


def _collapsed(
    data: FitData, options: FitOptions
) -> tuple[exact.Problem | exact.GroupNoiseProblem | None, str | None]:
    """What the exact engine is given, or why it does not take the model.

    Raises
    ------
    ModelError : no engine could take it: the draws would not fit into memory
    """
    model, design, hierarchy = data.model, data.design, data.hierarchy
    sizes = [(places.size, len(design.coefficient_columns(at))) for at, places in enumerate(hierarchy.groupings)]
    summed = options.store != "draws" and _summable(model) and _numbers(data, options) > MOST_STORED
    kept = sizes[1:] if summed or options.store == "summaries" else sizes
    values = options.chains * options.draws * sum(size * (terms + 1) for size, terms in kept)
    large = _too_large(values, options.chains * options.draws)
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
    problem = to_exact(data)
    return problem, exact.refuses(problem)


def _summable(model: Model) -> bool:
    """Whether the finest groups' coefficients have a closed form given θ."""
    return model.family == "normal" and model.noise is None and bool(model.formula.groupings)


def _numbers(data: FitData, options: FitOptions) -> int:
    """How many draws there are of the finest groups' coefficients."""
    size = data.hierarchy.levels[0].size if data.hierarchy.levels else 0
    return options.chains * options.draws * size * len(data.design.coefficient_columns(0)) if size else 0


def _stored(data: FitData, options: FitOptions, engine: str) -> tuple[str, str]:
    """What is kept of the finest groups' coefficients, "draws" or "summaries", and why.

    Raises
    ------
    ModelError : summaries of what has no closed form
    """
    model = data.model
    summable = engine == "exact" and _summable(model)
    if options.store == "summaries" and not summable:
        why = (
            "the model has no groups" if not model.formula.groupings
            else f"there is a residual sd for every {model.noise} (noise)" if model.noise is not None
            else "NUTS draws all together"
        )  # fmt: skip
        raise ModelError(f"store='summaries' (--store summaries) needs coefficients with a closed form, but {why}")
    if options.store != "auto":
        return options.store, "asked for"
    if not data.hierarchy.levels:
        return "draws", "no groups"
    count = _numbers(data, options)
    told = f"{count:,} draws of {model.formula.effect_name(0)} are"
    if count <= MOST_STORED:
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

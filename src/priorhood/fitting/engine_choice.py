"""The choice of an engine for a model; from sums to a posterior, with the facts stored about its draws."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood._arguments import (
    MAX_CHAINS,
    MAX_DRAWS,
    MAX_THREADS,
    MAX_TOTAL_DRAWS,
    check_choice,
    check_seed,
    check_whole,
)
from priorhood._system import cores, memory
from priorhood._text import argument, plural
from priorhood.engines import nuts
from priorhood.engines.adapt import to_exact
from priorhood.errors import ModelError, SamplingError, warn
from priorhood.fitting.identifiability import far_noise, far_prior, identifiability_notes
from priorhood.posterior.posterior import Posterior, assemble

if TYPE_CHECKING:
    from priorhood.engines import exact
    from priorhood.engines.draws import Draws
    from priorhood.engines.observations import Observations
    from priorhood.model.hierarchy import Hierarchy
    from priorhood.model.model import Model
    from priorhood.suffstats.fit_data import FitData

Progress = Callable[[str, int, int], None]

ENGINES = ("auto", "exact", "nuts")
STORES = ("auto", "draws", "summaries")
# More draws of the finest groups' coefficients than this are stored as summaries: they take 400 MB in memory and in
# the file, and as much again while they are drawn.
MAX_STORED = 50_000_000


def silent(stage: str, done: int, total: int) -> None:
    """Report no progress."""


@dataclass(frozen=True)
class FitOptions:
    """Options of a fit; made by `checked` or `again`.

    Attributes
    ----------
    chains, draws : int
        Number of chains, and of draws per chain.
    seed : int or None
        Random seed; None if one is to be chosen and recorded.
    threads : int
        Number of threads.
    progress : callable
        Function called with (stage, done, total).
    engine : {"auto", "exact", "nuts"}
        The engine asked for.
    store : {"auto", "draws", "summaries"}
        Form in which the finest groups' coefficients are stored; by size if "auto".
    nuts : dict of str to object
        The options of NUTS that were given.
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
        """Return a user's options, checked; threads are all cores if None.

        Raises
        ------
        ModelError
            A number out of bounds; an engine or store that is not known.
        """
        chains, draws = check_whole("chains", chains, 1, MAX_CHAINS), check_whole("draws", draws, 10, MAX_DRAWS)
        if chains * draws > MAX_TOTAL_DRAWS:
            raise ModelError(
                f"{chains:,} chains × {draws:,} draws are more than {MAX_TOTAL_DRAWS:,} draws in total: use fewer"
            )
        threads = cores() if threads is None else check_whole("threads", threads, 1, MAX_THREADS)
        seed = None if seed is None else check_seed(seed)
        check_choice("engine", engine, ENGINES)
        check_choice("store", store, STORES)
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
        """Return the options of a fit from a posterior's sums; seed and store are those of its own fit if None.

        Raises
        ------
        ModelError
            Not a posterior, or as in `checked`.
        """
        if not isinstance(post, Posterior):
            raise ModelError(
                f"expected a Posterior, got {type(post).__name__}; pass the result of fit() or load('post.nc')"
            )
        store = str(post.attrs.get("store_asked", "auto")) if store is None else store
        seed = post.seed if seed is None else seed
        return cls.checked(chains, draws, seed=seed, threads=threads, progress=progress, store=store)

    def alone(self, seed: int | None = None) -> FitOptions:
        """Return options for one of several fits at a time: one thread, no progress; another seed if given."""
        return replace(self, threads=1, progress=silent, seed=self.seed if seed is None else seed)


def nuts_settings(given: dict[str, Any]) -> nuts.Settings:
    """Return the settings of NUTS, checked: the given options, and defaults for the others.

    Raises
    ------
    ModelError
        No sampler is installed, or a setting is not valid.
    """
    reason = nuts.unavailable(given.get("sampler"))
    if reason:
        raise ModelError(reason)
    return nuts.check(nuts.Settings(**{"sampler": nuts.default_sampler(), **given}))


def fit_moments(
    data: FitData, options: FitOptions, observations: Callable[[], Observations] | None = None
) -> Posterior:
    """Draw a posterior from sums, the last step of every fit; `observations` reads the rows for NUTS."""
    model = data.model
    notes = identifiability_notes(data)
    for note in notes:
        warn(note)
    seed = int(np.random.default_rng().integers(2**31)) if options.seed is None else options.seed
    options = replace(options, seed=seed)
    started = time.perf_counter()
    problem, refusal = _collapsed(data, options)
    # A residual sd fixed far below the rows' scatter is refused; NUTS may try, with a warning. Crossed effects that
    # the exact engine does not support may be too wide for its matrices.
    if problem is not None or not model.formula.crossed:
        from priorhood.engines import exact

        known_noise = exact.lost_noise_reason(problem or to_exact(data))
        if known_noise is not None and options.engine != "nuts" and model.family == "normal":
            raise ModelError(known_noise)
        if known_noise is not None:
            warn(known_noise)
        elif far := far_noise(data):
            warn(far[0])
            notes += far
    supported = BY_GROUP if model.noise is not None else CROSSED if model.formula.crossed else NESTED
    chosen, reason = _choose(options.engine, refusal, supported, has_rows=observations is not None)
    store, store_reason = _stored(data, options, chosen)
    store_asked, options = options.store, replace(options, store=store)
    if chosen == "exact" and problem is not None:
        if options.nuts:
            raise ModelError(
                f"{next(iter(options.nuts))} is an option of NUTS, but the exact engine fits this model; to use "
                f"NUTS anyway, set {argument('engine', 'nuts')}"
            )
        try:
            result, facts = _draw_exact(data, problem, options)
        except SamplingError as refused:
            # The most likely cause of the engine's difficulty is a prior that is so far off.
            far = far_prior(data, min_distance=50)
            raise SamplingError(f"no engine can explore this posterior: {far[0]}") if far else refused from None
    elif observations is not None:
        regression = nuts.regression_of(data, observations())
        settings = nuts_settings(options.nuts)
        result = nuts.draw(
            regression, settings, options.chains, options.draws, seed, options.threads, options.progress
        )
        facts = {}
    facts |= {
        "engine_reason": reason,
        "store": store,
        "store_asked": store_asked,
        "store_reason": store_reason,
        "seed": seed,
        "notes": json.dumps(list(notes)),
        "sampling_time": time.perf_counter() - started,
        "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": json.dumps(_versions(chosen)),
    }
    post = assemble(data, result, facts)
    for verdict in post.check() if chosen == "nuts" else ():
        if not verdict.good:
            warn(verdict.text)
    return post


def exact_refusal(data: FitData, options: FitOptions) -> str | None:
    """Return why the exact engine does not support the model; None if it does."""
    return _collapsed(data, options)[1]


def draw_exact(data: FitData, options: FitOptions) -> Draws:
    """Draw from sums by the exact engine, without labels and notes.

    Raises
    ------
    ModelError, SamplingError
        The exact engine does not support the model, or cannot explore its posterior.
    """
    problem, refusal = _collapsed(data, options)
    if problem is None or refusal:
        raise ModelError(str(refusal))
    options = replace(options, store=_stored(data, options, "exact")[0])
    return _draw_exact(data, problem, options)[0]


def _draw_exact(
    data: FitData, problem: exact.Problem | exact.GroupNoiseProblem, options: FitOptions
) -> tuple[Draws, dict[str, Any]]:
    """Return the exact engine's draws, and facts about them: the log evidence of the outcome in its own unit."""
    model, scale, moments = data.model, data.scale, data.moments
    # Imported here since it loads or compiles kernels.
    from priorhood.engines import exact

    base = problem.base
    if model.se is None and base.c <= 1e-14 * moments.pooled()[1][-1, -1] / scale.unit**2:
        if moments.rows <= len(base.root_cols):
            raise ModelError(
                f"the model has as many coefficients as there are rows to use, {moments.rows:,}, and fits every "
                f"row exactly: there is no residual variation to estimate. Use more rows, or fewer predictors",
                reason="the model fits every row exactly",
            )
        raise ModelError(
            f"the outcome {model.formula.outcome!r} is an exact function of the predictors: there is no residual "
            f"variation to estimate. Check whether the outcome was computed from a predictor",
            reason=f"the outcome {model.formula.outcome!r} is an exact function of the predictors",
        )
    if isinstance(problem, exact.GroupNoiseProblem) and len(problem.rows.exact):
        # The density is unbounded as such a group's residual sd goes to 0.
        groups, key = problem.rows.exact, moments.keys[0]
        names = [f"{str(moments.labels[j])!r} ({moments.n[j]:.0f} rows)" for j in groups[:3]]
        more = f" and {len(groups) - 3} more" if len(groups) > 3 else ""
        raise ModelError(
            f"in {key} {', '.join(names)}{more} all rows lie exactly on a line or are identical, so a "
            f"separate residual sd would be 0: leave out repeated rows or these {plural(key)} "
            f"({argument('where')}), or use one sigma for all (omit {argument('noise')})",
            reason=f"all rows of some {plural(key)} lie exactly on a line or are identical",
        )
    compiling = not exact.compiled(problem)
    if compiling:
        options.progress("compiling the engine", 0, 1)
    result = exact.draw(
        problem, options.chains, options.draws, np.random.default_rng(options.seed), options.threads,
        options.progress, stored=options.store != "summaries",
    )  # fmt: skip
    if compiling:
        options.progress("compiling the engine", 1, 1)
    if model.se is not None:
        result = replace(result, sigma=None)  # known, and so no parameter
    if model.noise is not None and result.sigma is not None and result.sigma.ndim == 2:
        sigma = np.repeat(result.sigma[:, :, None], len(moments.n), axis=2)
        result = replace(result, sigma=sigma)  # known, the same for all groups
    # log p(y) of the raw outcome: a density, so it needs the unit's Jacobian.
    evidence = float(result.facts["log_evidence_standardized"]) - moments.rows * float(np.log(scale.unit))
    return result, {"log_evidence": evidence}


# -- the choice of an engine -------------------------------------------------------------------------------

# Reasons for the exact engine.
NESTED = "Gaussian errors and nested groups only: all coefficients are integrated out"
BY_GROUP = "Gaussian errors: every group's coefficients and its residual sd are integrated out"
CROSSED = (
    "Gaussian errors, one nested hierarchy of groups, and few effects of crossed groups: all coefficients are "
    "integrated out"
)


def _collapsed(
    data: FitData, options: FitOptions
) -> tuple[exact.Problem | exact.GroupNoiseProblem | None, str | None]:
    """Return the exact engine's problem, or why it does not support the model.

    Raises
    ------
    ModelError
        The draws of any engine would not fit into memory.
    """
    model, design, hierarchy = data.model, data.design, data.hierarchy
    sizes = [(places.size, len(design.coefficient_columns(at))) for at, places in enumerate(hierarchy.groupings)]
    summed = options.store != "draws" and _summable(model) and _numbers(data, options) > MAX_STORED
    kept = sizes[1:] if summed or options.store == "summaries" else sizes
    values = options.chains * options.draws * sum(size * (terms + 1) for size, terms in kept)
    needed, available = 2 * 8 * values, memory()  # the coefficients, and the random numbers they are made of
    if available is not None and needed >= 0.7 * available:
        raise ModelError(
            f"{options.chains * options.draws:,} draws of every group's coefficients need about "
            f"{needed / 1e9:.0f} GB, but this machine has {available / 1e9:.0f} GB; use fewer draws "
            f"({argument('draws')})"
        )
    if model.family == "student":
        return None, (
            "with Student-t errors the rows cannot be reduced to sums, so the exact engine does not support them"
        )
    from priorhood.engines import exact

    if hierarchy.crossed:
        reason = _too_wide(hierarchy, [size * terms for size, terms in sizes])
        if reason:
            return None, reason
    if model.noise is not None and len(hierarchy.groupings) > 1:
        return None, (
            f"with a residual sd for every {model.noise} (noise) the exact engine supports only a single "
            f"grouping, without nested or crossed ones"
        )
    problem = to_exact(data)
    return problem, exact.unsupported_reason(problem)


def _summable(model: Model) -> bool:
    """Return whether the finest groups' coefficients have a closed form given θ."""
    return model.family == "normal" and model.noise is None and bool(model.formula.groupings)


def _numbers(data: FitData, options: FitOptions) -> int:
    """Return how many draws of the finest groups' coefficients there are."""
    size = data.hierarchy.levels[0].size if data.hierarchy.levels else 0
    return options.chains * options.draws * size * len(data.design.coefficient_columns(0)) if size else 0


def _stored(data: FitData, options: FitOptions, engine: str) -> tuple[str, str]:
    """Return the form in which the finest groups' coefficients are stored, "draws" or "summaries", and the reason.

    Raises
    ------
    ModelError
        Summaries of coefficients without a closed form.
    """
    model = data.model
    summable = engine == "exact" and _summable(model)
    if options.store == "summaries" and not summable:
        why = (
            "the model has no groups" if not model.formula.groupings
            else f"there is a residual sd for every {model.noise} ({argument('noise', model.noise)})" if model.noise
            else "NUTS draws all parameters jointly"
        )  # fmt: skip
        raise ModelError(f"{argument('store', 'summaries')} needs coefficients with a closed form, but {why}")
    if options.store != "auto":
        return options.store, "requested"
    if not data.hierarchy.levels:
        return "draws", "no groups"
    count = _numbers(data, options)
    size = f"{model.formula.effect_name(0)} has {count:,} draws,"
    if count <= MAX_STORED:
        return "draws", f"{size} at most {MAX_STORED:,}"
    if not summable:
        return "draws", f"{size} more than {MAX_STORED:,}, but their posterior has no closed form"
    return "summaries", f"{size} more than {MAX_STORED:,}"


def _too_wide(hierarchy: Hierarchy, effects: list[int]) -> str | None:
    """Return why the exact engine does not support the crossed groupings; None if it does.

    effects : number of effects of every grouping
    """
    from priorhood.engines import exact

    depth = len(hierarchy.levels)
    reason = exact.too_many_effects(sum(effects[depth:]), hierarchy.levels[0].size)
    if reason is None or depth > 1:
        return reason
    # With the largest grouping first it may support them.
    largest = max(range(1, len(effects)), key=lambda at: effects[at])
    rest = sum(effects) - effects[largest]
    if exact.too_many_effects(rest, hierarchy.groupings[largest].size) is None:
        return f"{reason}: write the grouping term of {hierarchy.groupings[largest].name} first"
    return reason


def _choose(engine: str, refusal: str | None, supported: str, *, has_rows: bool) -> tuple[str, str]:
    """Return the engine and the reason for it.

    Raises
    ------
    ModelError
        The requested engine does not support the model; names the one that does.
    """
    if engine == "nuts" and not has_rows:
        raise ModelError(
            f"NUTS needs the rows, but only their sums were given; drop {argument('engine')}, or fit a table"
        )
    if engine == "nuts":
        return "nuts", "requested" + (f"; {refusal}" if refusal else "")
    if refusal is None:
        return "exact", supported
    if not has_rows:
        raise ModelError(f"{refusal}; NUTS can fit this model, but needs the rows: fit it again from a table")
    if engine == "exact":
        raise ModelError(f"{refusal}; {argument('engine', 'nuts')} can fit this model")
    missing = nuts.unavailable()
    if missing:
        raise ModelError(f"{refusal}; NUTS can fit this model. {missing}")
    return "nuts", refusal


@cache
def _versions(engine: str) -> dict[str, str]:
    return {
        "priorhood": metadata.version("priorhood"),
        "numpy": np.__version__,
        "python": platform.python_version(),
        **({"pymc": metadata.version("pymc")} if engine == "nuts" else {}),
    }

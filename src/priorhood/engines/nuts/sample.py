"""Draw from a regression by one of the samplers."""

from __future__ import annotations

import importlib
import inspect
import time
from collections.abc import Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from priorhood.engines.draws import Draws, Effects
from priorhood.engines.nuts.build import build
from priorhood.engines.nuts.settings import MAX_TREEDEPTH, Settings, quiet
from priorhood.errors import SamplingError

if TYPE_CHECKING:
    from priorhood.engines.nuts.regression import Regression

Tell = Callable[[str, int, int], None]
Sampled = tuple[Any, float, float]  # tree, seconds to compile, seconds to sample

INTERRUPTED = "sampling was interrupted; no draws are kept"
# The samplers' names of sample statistics, by ArviZ's names.
STATS = {
    "lp": ("lp", "logp"),
    "energy": ("energy",),
    "acceptance_rate": ("acceptance_rate", "mean_tree_accept"),
    "diverging": ("diverging",),
    "n_steps": ("n_steps",),
    "tree_depth": ("tree_depth", "depth"),
    "step_size": ("step_size",),
}


def draw(r: Regression, settings: Settings, chains: int, draws: int, seed: int, threads: int, tell: Tell) -> Draws:
    """Build, compile and sample.

    Raises
    ------
    SamplingError
        if the sampler fails
    KeyboardInterrupt
        if sampling is interrupted; no draws are kept
    """
    tell("compiling the model", 0, 1)
    run = _with_nutpie if settings.sampler == "nutpie" else _with_pymc
    with quiet():
        for library in ("pymc", settings.sampler):
            importlib.import_module(library)  # not part of the time to build the model
        started = time.perf_counter()
        model = build(r, settings.parameterization)
        built = time.perf_counter() - started
        try:
            tree, compiled, sampled = run(model, r.parameters, settings, chains, draws, seed, threads, tell)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(INTERRUPTED) from None
        except (RuntimeError, ValueError, FloatingPointError) as problem:
            if "Not enough samples" in str(problem):  # PyMC was interrupted before the first draw
                raise KeyboardInterrupt(INTERRUPTED) from None
            detail = str(problem).strip().splitlines()[0] if str(problem).strip() else type(problem).__name__
            raise SamplingError(f"the sampler {settings.sampler} failed: {detail}") from problem
    posterior = tree["posterior"]
    if posterior.sizes["chain"] < chains or posterior.sizes["draw"] < draws:
        # An interrupted sampler may return the draws so far without an error, even before the end of the warm-up.
        raise KeyboardInterrupt(INTERRUPTED)
    values = {name: np.asarray(posterior[name], dtype=np.float64) for name in r.parameters}
    stats = {}
    for name, theirs in STATS.items():
        theirs_found = next((t for t in theirs if t in tree["sample_stats"]), None)
        if theirs_found is not None:
            stats[name] = np.asarray(tree["sample_stats"][theirs_found])
    return Draws(
        mu=values.get("mu", np.zeros((chains, draws, 0))),
        effects=tuple(
            Effects(values[r.effect(at)], values[f"tau{g.suffix}"], values.get(f"omega{g.suffix}"))
            for at, g in enumerate(r.groupings)
        ),
        sigma=values.get("sigma"),
        nu=values.get("nu"),
        sigma_median=values.get("sigma_median"),
        sigma_spread=values.get("sigma_spread"),
        stats=stats,
        facts={
            "engine": "nuts",
            "sampler": f"{settings.sampler} {metadata.version(settings.sampler)}",
            "parameterization": settings.parameterization,
            "tune": settings.tune,
            "target_accept": settings.target_accept,
            "max_treedepth": MAX_TREEDEPTH,
            "divergences": int(stats["diverging"].sum()),
            "compile_time": built + compiled,
            "draw_time": sampled,
        },
    )


def _with_nutpie(
    model: Any,
    names: tuple[str, ...],
    settings: Settings,
    chains: int,
    draws: int,
    seed: int,
    threads: int,
    tell: Tell,
) -> Sampled:
    import nutpie

    started = time.perf_counter()
    compiled = nutpie.compile_pymc_model(model, var_names=list(names))
    ready = time.perf_counter()
    tell("compiling the model", 1, 1)
    tell("sampling", 0, chains * (settings.tune + draws))
    options: dict[str, Any] = {}
    if "progress_callback" in inspect.signature(nutpie.sample).parameters:
        options["progress_callback"] = lambda now: tell(
            "sampling", sum(chain.finished_draws for chain in now), chains * (settings.tune + draws)
        )
    sampler = nutpie.sample(
        compiled, draws=draws, tune=settings.tune, chains=chains, cores=min(threads, chains), seed=seed,
        progress_bar=False, save_warmup=False, blocking=False, target_accept=settings.target_accept,
        maxdepth=MAX_TREEDEPTH, **options,
    )  # fmt: skip
    try:
        found = sampler.wait()
    except KeyboardInterrupt:
        sampler.cancel()
        raise
    return found, ready - started, time.perf_counter() - ready


def _with_pymc(
    model: Any,
    names: tuple[str, ...],
    settings: Settings,
    chains: int,
    draws: int,
    seed: int,
    threads: int,
    tell: Tell,
) -> Sampled:
    """Sample with PyMC's own sampler, or with NumPyro through PyMC."""
    import pymc as pm
    import pytensor

    total = chains * (settings.tune + draws)
    done = 0

    def count(**_: Any) -> None:
        nonlocal done
        done += 1
        if done % 50 == 0 or done == total:
            tell("sampling", done, total)

    options: dict[str, Any] = {"nuts_sampler": settings.sampler, "target_accept": settings.target_accept}
    if settings.sampler == "numpyro":
        # On a single device, chains can only run in parallel within one program.
        options["nuts_sampler_kwargs"] = {"chain_method": "vectorized"}
    else:
        options |= {"callback": lambda **now: count(**now), "max_treedepth": MAX_TREEDEPTH}
        if not pytensor.config.cxx:  # type: ignore[attr-defined]
            options["compile_kwargs"] = {"mode": "NUMBA"}  # no C compiler: its fallback is plain Python
    started = time.perf_counter()
    with model:
        found = pm.sample(
            draws, tune=settings.tune, chains=chains, cores=min(threads, chains), random_seed=seed,
            progressbar=False, compute_convergence_checks=False, var_names=list(names),
            idata_kwargs={"log_likelihood": False}, **options,
        )  # fmt: skip
    seconds = time.perf_counter() - started
    sampling = float(found["posterior"].attrs.get("sampling_time", seconds))
    return found, seconds - sampling, sampling

"""`priorhood fit | refit | update | merge`: what ends in a saved posterior."""

from __future__ import annotations

import _thread
import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from priorhood.cli.moments import Given, parts_of, pooled, same_weights, table_and_formula
from priorhood.cli.options import (
    Chains,
    Decimal,
    DrawCount,
    Family,
    FrequencyWeights,
    Json,
    KnownErrors,
    Noise,
    NoStandardize,
    Null,
    OutcomeUnit,
    Outliers,
    OutNc,
    Places,
    PrecisionWeights,
    Priors,
    Rows,
    Saved,
    Seed,
    Store,
    StoreAgain,
    Thousands,
    Threads,
    Where,
    spelled,
    units_of,
)
from priorhood.cli.output import announce_compile, console, heard, print_summary, progress, say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from priorhood.data.sources.table import Table
    from priorhood.fitting.federated import Moments
    from priorhood.posterior.posterior import Posterior


RESENT = 50  # times an interrupt that another language swallowed is sent again


def _interrupt_main() -> None:
    if hasattr(signal, "pthread_kill"):  # wakes the thread where it waits, which interrupt_main does not
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        _thread.interrupt_main()


@contextmanager
def heeded() -> Iterator[None]:
    """Ctrl-C ends what is inside in any case.

    Compilers and samplers call back through other languages, where an exception is printed and lost: such an
    interrupt is not printed but sent again, and what swallows it silently ends once it is done. An error that
    comes after an interrupt is no error.
    """
    came: list[int] = []
    again: list[threading.Timer] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    def lost(what: sys.UnraisableHookArgs) -> None:
        if not issubclass(what.exc_type, KeyboardInterrupt):
            hook(what)
        elif len(again) < RESENT:
            again.append(threading.Timer(0.1, _interrupt_main))
            again[-1].daemon = True
            again[-1].start()

    if threading.current_thread() is not threading.main_thread():  # where signals cannot be handled
        yield
        return
    before, hook = signal.signal(signal.SIGINT, interrupt), sys.unraisablehook
    sys.unraisablehook = lost
    try:
        yield
    except Exception:
        # What an interrupt left half done says something else of its own.
        if came:
            raise KeyboardInterrupt from None
        raise
    finally:
        signal.signal(signal.SIGINT, lambda *_: None)  # one sent again late ends here, not in what comes after
        for timer in again:
            timer.cancel()
            timer.join()
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _fitted(
    make: Callable[[Callable[[str, int, int], None]], Posterior],
    out: Path,
    inputs: list[str],
    *,
    as_json: bool,
    exact: bool = True,
    by_group: bool = False,
) -> None:
    """Fit, save, report: the common end of fit, refit, update and merge."""
    from priorhood._system import check_netcdf, check_writable

    check_writable(out, *inputs)
    check_netcdf(out, "a posterior", ".nc")
    if exact:
        announce_compile(quiet=as_json, by_group=by_group)
    started = time.perf_counter()
    with heeded(), heard(quiet=as_json), progress(quiet=as_json) as tell:

        def announced(stage: str, done: int, total: int) -> None:
            if stage == "compiling the model" and done == 0 and not as_json:
                say("compiling the model for NUTS (10 seconds to a minute), then sampling …")
            tell(stage, done, total)

        post = make(announced)
    seconds = time.perf_counter() - started
    post.save(out)
    print_summary(post, as_json=as_json, everything=False, standardized=False, facts={"out": str(out)})
    if not as_json:
        console().print(f"fitted in {seconds:.2f} s, written to {out}", soft_wrap=True)


def fit(
    given: Given,
    out: OutNc,
    places: Places = None,
    where: Where = None,
    drop_outliers: Outliers = None,
    prior: Priors = None,
    outcome_unit: OutcomeUnit = "auto",
    no_standardize: NoStandardize = False,
    unit: Annotated[
        list[str] | None, typer.Option("--unit", help="Unit for printing: 'price=€'; repeatable.")
    ] = None,
    family: Family = "normal",
    noise: Noise = None,
    se: KnownErrors = None,
    precision_weights: PrecisionWeights = None,
    frequency_weights: FrequencyWeights = None,
    engine: Annotated[str, typer.Option(help="auto, exact or nuts.")] = "auto",
    sampler: Annotated[str | None, typer.Option(help="Of NUTS: nutpie, pymc or numpyro.")] = None,
    parameterization: Annotated[str | None, typer.Option(help="Of NUTS: centered or noncentered.")] = None,
    tune: Annotated[int | None, typer.Option(help="Of NUTS: steps to adapt every chain.")] = None,
    target_accept: Annotated[float | None, typer.Option(help="Of NUTS: aimed-at acceptance, like 0.95.")] = None,
    chains: Chains = 4,
    draws: DrawCount = 1000,
    seed: Seed = None,
    threads: Threads = None,
    store: Store = "auto",
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    as_json: Json = False,
) -> None:
    """Fit a model to a table, or to the sums of several, and save the posterior."""
    from priorhood.data.sources.table import read
    from priorhood.fitting.fit import fit as run
    from priorhood.model.model import Model

    files, formula = parts_of(given)
    rows: Table | Moments
    if files:
        with heard(quiet=as_json):
            rows = pooled(
                files, formula, places=places, where=where, drop_outliers=drop_outliers, null=null,
                decimal=decimal, thousands=thousands,
            )  # fmt: skip
        same_weights(rows, se=se, precision_weights=precision_weights, frequency_weights=frequency_weights)
        formula, se = rows.formula.text, rows.weights.se
        precision_weights, frequency_weights = rows.weights.precision, rows.weights.frequency
    else:
        table, formula = table_and_formula(given, "fit")
    model = Model(
        formula, prior, outcome_unit=outcome_unit, standardize=not no_standardize, units=units_of(unit or []),
        family=family, noise=noise, se=se, precision_weights=precision_weights,
        frequency_weights=frequency_weights,
    )  # fmt: skip
    if not files:
        rows = read(table, where=where, **spelled(null, decimal, thousands))
    known = None if places is None else read(places, **spelled(null, decimal, thousands))
    _fitted(
        lambda tell: run(
            model, rows, places=known, chains=chains, draws=draws, seed=seed, engine=engine, sampler=sampler,
            parameterization=parameterization, tune=tune, target_accept=target_accept,
            drop_outliers=drop_outliers, threads=threads, store=store, progress=tell,
        ),
        out,
        [*(files or [table]), *([places] if places else [])],
        as_json=as_json,
        exact=engine != "nuts" and family == "normal",
        by_group=noise is not None,
    )  # fmt: skip


def refit(
    file: Saved,
    out: OutNc,
    prior: Priors = None,
    chains: Chains = 4,
    draws: DrawCount = 1000,
    seed: Seed = None,
    threads: Threads = None,
    store: StoreAgain = None,
    as_json: Json = False,
) -> None:
    """Fit again under other priors, from a saved file alone."""
    from priorhood.fitting.fit import refit as run
    from priorhood.posterior.io import load

    post = load(file)
    _fitted(
        lambda tell: run(
            post, priors=prior, chains=chains, draws=draws, seed=seed, threads=threads, store=store, progress=tell
        ),
        out,
        [],
        as_json=as_json,
        by_group=post.model.noise is not None,
    )


def update(
    file: Saved,
    table: Rows,
    out: OutNc,
    places: Places = None,
    where: Where = None,
    drop_outliers: Outliers = None,
    chains: Chains = 4,
    draws: DrawCount = 1000,
    seed: Seed = None,
    threads: Threads = None,
    store: StoreAgain = None,
    null: Null = None,
    decimal: Decimal = None,
    thousands: Thousands = None,
    as_json: Json = False,
) -> None:
    """Add new rows to a saved posterior; only the new rows are read."""
    from priorhood.data.sources.table import read
    from priorhood.fitting.fit import update as run
    from priorhood.posterior.io import load

    post = load(file)
    rows = read(table, where=where, **spelled(null, decimal, thousands))
    known = None if places is None else read(places, **spelled(null, decimal, thousands))
    _fitted(
        lambda tell: run(
            post, rows, places=known, chains=chains, draws=draws, seed=seed, drop_outliers=drop_outliers,
            threads=threads, store=store, progress=tell,
        ),
        out,
        [table, *([places] if places else [])],
        as_json=as_json,
    )  # fmt: skip


def merge(
    files: Annotated[list[Path], typer.Argument(help="Saved posteriors of one model.", show_default=False)],
    out: OutNc,
    chains: Chains = 4,
    draws: DrawCount = 1000,
    seed: Seed = None,
    threads: Threads = None,
    store: StoreAgain = None,
    as_json: Json = False,
) -> None:
    """The posterior of all rows behind several saved posteriors of one model."""
    from priorhood.fitting.fit import merge as run
    from priorhood.posterior.io import load

    posts = [load(file) for file in files]
    _fitted(
        lambda tell: run(
            *posts, chains=chains, draws=draws, seed=seed, threads=threads, store=store, progress=tell
        ),
        out,
        [],
        as_json=as_json,
        by_group=posts[0].model.noise is not None,
    )

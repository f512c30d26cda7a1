"""`priorhood`: parse, call, write. The words and options are those of the Python functions."""

from __future__ import annotations

import json
import sys
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from priorhood.cli_calibrate import calibrate
from priorhood.errors import ModelError, PriorhoodError, rows_of
from priorhood.options import (
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
    Out,
    OutcomeUnit,
    Outliers,
    OutNc,
    Places,
    PrecisionWeights,
    Priors,
    Rows,
    Saved,
    Seed,
    Threads,
    Where,
    units_of,
)
from priorhood.screen import announce_compile, console, print_summary, progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from priorhood.posterior import Posterior

INTERRUPTED = 130  # what Typer makes of Ctrl-C

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> NoReturn:
    """Entry point: a problem in the input is one message and exit code 2, never a traceback."""
    try:
        app(standalone_mode=True)
    except PriorhoodError as problem:
        _say(f"priorhood: {problem}")
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _say("priorhood: interrupted; nothing was written")
        raise
    except BrokenPipeError:
        sys.exit(1)
    sys.exit(0)


def _say(message: str) -> None:
    print(message, file=sys.stderr)


@contextmanager
def _heard(*, quiet: bool) -> Iterator[None]:
    """Print our warnings as sentences."""
    from priorhood.fit import PriorhoodWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PriorhoodWarning)
        yield
    for warning in caught:
        if issubclass(warning.category, PriorhoodWarning) and not quiet:
            _say(f"warning: {warning.message}")


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
    from priorhood.files import check_writable

    check_writable(out, *inputs)
    if exact:
        announce_compile(quiet=as_json, by_group=by_group)
    started = time.perf_counter()
    with _heard(quiet=as_json), progress(quiet=as_json) as tell:

        def announced(stage: str, done: int, total: int) -> None:
            if stage == "compiling the model" and done == 0 and not as_json:
                _say("compiling the model for NUTS (10 seconds to a minute), then sampling …")
            tell(stage, done, total)

        post = make(announced)
    seconds = time.perf_counter() - started
    post.save(out)
    print_summary(post, as_json=as_json, everything=False, standardized=False, facts={"out": str(out)})
    if not as_json:
        console().print(f"fitted in {seconds:.2f} s, written to {out}", soft_wrap=True)


def _version(value: bool) -> None:  # noqa: FBT001
    if value:
        from importlib.metadata import version

        print(f"priorhood {version('priorhood')}")
        raise typer.Exit


@app.callback()
def _everything(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Hierarchical regressions by place: a table of sales in; posterior and prices out."""


@app.command()
def fit(
    table: Rows,
    formula: Annotated[
        str, typer.Argument(metavar="FORMULA", help="'price ~ living_space + (living_space | zip)'")
    ],
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
    null: Null = None,
    decimal: Decimal = ".",
    as_json: Json = False,
) -> None:
    """Fit a model to a table and save the posterior."""
    from priorhood.fit import fit as run
    from priorhood.model import Model
    from priorhood.table import read

    model = Model(
        formula, prior, outcome_unit=outcome_unit, standardize=not no_standardize, units=units_of(unit or []),
        family=family, noise=noise, se=se, precision_weights=precision_weights,
        frequency_weights=frequency_weights,
    )  # fmt: skip
    rows = read(table, where=where, nulls=null or (), decimal=decimal)
    known = None if places is None else read(places, nulls=null or (), decimal=decimal)
    _fitted(
        lambda tell: run(
            model, rows, places=known, chains=chains, draws=draws, seed=seed, engine=engine, sampler=sampler,
            parameterization=parameterization, tune=tune, target_accept=target_accept,
            drop_outliers=drop_outliers, threads=threads, progress=tell,
        ),
        out,
        [table, *([places] if places else [])],
        as_json=as_json,
        exact=engine != "nuts" and family == "normal",
        by_group=noise is not None,
    )  # fmt: skip


@app.command()
def summary(
    file: Saved,
    standardized: Annotated[bool, typer.Option("--standardized", help="On the model's own scale.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Every group too.")] = False,
    as_json: Json = False,
) -> None:
    """Print what a saved posterior says."""
    from priorhood.saved import load

    print_summary(load(file), as_json=as_json, everything=everything, standardized=standardized, facts={})


@app.command()
def predict(
    file: Saved,
    table: Rows,
    out: Annotated[Path, typer.Option("-o", "--out", help="CSV or Parquet file to write.")],
    below: Annotated[list[float] | None, typer.Option(help="Probability below this; repeatable.")] = None,
    above: Annotated[list[float] | None, typer.Option(help="Probability above this; repeatable.")] = None,
    quantiles: Annotated[str, typer.Option(help="Comma-separated probabilities.")] = "0.05,0.5,0.95",
    unseen: Annotated[str, typer.Option(help="New groups: error, population or draw.")] = "error",
    places: Places = None,
    prefix: Annotated[str, typer.Option(help="Put before the new columns' names.")] = "",
    seed: Seed = None,
    null: Null = None,
    decimal: Decimal = ".",
    as_json: Json = False,
) -> None:
    """Write a table with the predictive distribution of every row beside it."""
    from priorhood.saved import load
    from priorhood.table import check_output, read, write_frame

    check_output(out, file, table, *([places] if places else []))
    post = load(file)
    rows = read(table, nulls=null or (), decimal=decimal)
    known = None if places is None else read(places, nulls=null or (), decimal=decimal)
    levels = _quantiles(quantiles)
    with progress(quiet=as_json) as tell:
        result = post.predict(
            rows, quantiles=levels, below=below, above=above, unseen=unseen, prefix=prefix, seed=seed, places=known,
            progress=tell,
        )  # fmt: skip
    write_frame(result, out)
    counts = {str(k): int(v) for k, v in result[prefix + "status"].value_counts().items()}
    if as_json:
        print(json.dumps({"out": str(out), "rows": len(result), "status": counts}))
    else:
        told = ", ".join(f"{count:,} {status}" for status, count in counts.items())
        print(f"{rows_of(len(result))} predicted ({told}), written to {out}")


def _quantiles(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ModelError(f"--quantiles {text!r}: write it like 0.05,0.5,0.95") from None


@app.command()
def refit(
    file: Saved,
    out: OutNc,
    prior: Priors = None,
    chains: Chains = 4,
    draws: DrawCount = 1000,
    seed: Seed = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Fit again under other priors, from a saved file alone."""
    from priorhood.fit import refit as run
    from priorhood.saved import load

    post = load(file)
    _fitted(
        lambda tell: run(post, priors=prior, chains=chains, draws=draws, seed=seed, threads=threads, progress=tell),
        out,
        [],
        as_json=as_json,
        by_group=post.model.noise is not None,
    )


@app.command()
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
    null: Null = None,
    decimal: Decimal = ".",
    as_json: Json = False,
) -> None:
    """Add new rows to a saved posterior; only the new rows are read."""
    from priorhood.fit import update as run
    from priorhood.saved import load
    from priorhood.table import read

    post = load(file)
    rows = read(table, where=where, nulls=null or (), decimal=decimal)
    known = None if places is None else read(places, nulls=null or (), decimal=decimal)
    _fitted(
        lambda tell: run(
            post, rows, places=known, chains=chains, draws=draws, seed=seed, drop_outliers=drop_outliers,
            threads=threads, progress=tell,
        ),
        out,
        [table, *([places] if places else [])],
        as_json=as_json,
    )  # fmt: skip


@app.command()
def merge(
    files: Annotated[list[Path], typer.Argument(help="Saved posteriors of one model.", show_default=False)],
    out: OutNc,
    chains: Chains = 4,
    draws: DrawCount = 1000,
    seed: Seed = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """The posterior of all rows behind several saved posteriors of one model."""
    from priorhood.fit import merge as run
    from priorhood.saved import load

    posts = [load(file) for file in files]
    _fitted(
        lambda tell: run(*posts, chains=chains, draws=draws, seed=seed, threads=threads, progress=tell),
        out,
        [],
        as_json=as_json,
        by_group=posts[0].model.noise is not None,
    )


app.command()(calibrate)


@app.command()
def simulate(
    out: Out,
    places: Annotated[int, typer.Option(help="Number of ZIP codes.")] = 219,
    rows: Annotated[int, typer.Option(help="Number of sales.")] = 7500,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 2412,
    as_json: Json = False,
) -> None:
    """Write simulated Berlin-like sales: zip, living_space, price."""
    from priorhood.simulate import simulate as run
    from priorhood.table import check_output, write_frame

    check_output(out)
    frame, _ = run(places, rows, seed)
    write_frame(frame, out)
    if as_json:
        print(json.dumps({"out": str(out), "rows": len(frame), "places": places, "seed": seed}))
    else:
        print(f"{len(frame):,} simulated sales in {places:,} ZIP codes, written to {out}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the files.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Random seed.")] = 2412,
) -> None:
    """The main job on simulated sales: simulate, fit, summary, predict."""
    from priorhood.errors import FileError

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileError(f"cannot make the folder {str(out)!r}: {problem.strerror}") from None
    sales, post, prices = out / "sales.csv", out / "posterior.nc", out / "predictions.csv"
    formula = "price ~ living_space + (living_space | zip)"
    screen = console()
    screen.print(f"\n[bold]$ priorhood simulate -o {sales}[/bold]", soft_wrap=True)
    simulate(sales, seed=seed)
    screen.print(
        f'\n[bold]$ priorhood fit {sales} "{formula}" -o {post} --unit price=€ --unit living_space=m²[/bold]',
        soft_wrap=True,
    )
    fit(str(sales), formula, post, seed=seed, unit=["price=€", "living_space=m²"])
    screen.print(f"\n[bold]$ priorhood predict {post} {sales} -o {prices} --below 350000[/bold]", soft_wrap=True)
    predict(post, str(sales), prices, below=[350_000.0])

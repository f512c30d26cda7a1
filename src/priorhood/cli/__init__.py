"""`priorhood`: parse, call, write. The words and options are those of the Python functions."""

from __future__ import annotations

import os
import sys
from typing import Annotated, NoReturn

import typer

from priorhood.cli.assessing import assess
from priorhood.cli.calibrating import calibrate
from priorhood.cli.checking import check
from priorhood.cli.comparing import compare
from priorhood.cli.demo import demo, simulate
from priorhood.cli.drawing import DRAWN
from priorhood.cli.fitting import fit, merge, refit, update
from priorhood.cli.mapping import map_places
from priorhood.cli.plotting import plot
from priorhood.cli.reading import predict, summary
from priorhood.cli.reporting import report
from priorhood.cli.screen import say, shown
from priorhood.cli.sites import moments
from priorhood.cli.what_if import influence, sensitivity
from priorhood.errors import PriorhoodError

INTERRUPTED = 130  # what Typer makes of Ctrl-C

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> NoReturn:
    """Entry point: a problem in the input is one message and exit code 2, never a traceback."""
    with shown():
        _run()


def _run() -> NoReturn:
    try:
        app(standalone_mode=True)
    except PriorhoodError as problem:
        say(f"priorhood: {problem}")
        sys.exit(2)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            _end_interrupted()
        raise
    except BrokenPipeError:
        sys.exit(1)
    except OSError as problem:
        named = f": {str(problem.filename)!r}" if problem.filename else ""
        say(f"priorhood: {problem.strerror or problem}{named}")
        sys.exit(2)
    except MemoryError:
        say("priorhood: this machine has no memory for that; nothing was written. Give fewer draws or rows")
        sys.exit(2)
    sys.exit(0)


def _end_interrupted() -> NoReturn:
    """End at once, without Python's own clearing up.

    An interrupt that meets LLVM between two of its steps leaves a module with two owners, and taking that apart
    crashes. So it is called while the exception still holds what it met.
    """
    from multiprocessing import active_children

    from priorhood.sources import clear_spilled

    say("priorhood: interrupted; nothing was written")
    for child in active_children():
        child.terminate()
    clear_spilled()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(INTERRUPTED)


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


for command in (
    fit,
    summary,
    check,
    predict,
    refit,
    update,
    merge,
    moments,
    assess,
    compare,
    calibrate,
    sensitivity,
    influence,
    report,
    simulate,
    demo,
):
    app.command()(command)
for picture in DRAWN:
    plot.command()(picture)
plot.command("map")(map_places)
app.add_typer(plot, name="plot")

"""`priorhood`: parse, call, write. The words and options are those of the Python functions."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from priorhood.cli.compare import compare
from priorhood.cli.demo import demo, simulate
from priorhood.cli.evaluate import assess, calibrate
from priorhood.cli.fit import fit, merge, refit, update
from priorhood.cli.moments import moments
from priorhood.cli.output import heard, say, shown
from priorhood.cli.plot import DRAWN, map_places, plot
from priorhood.cli.posterior import check, predict, summary
from priorhood.cli.report import report
from priorhood.cli.what_if import influence, sensitivity
from priorhood.errors import PriorhoodError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

INTERRUPTED, TERMINATED = 130, 143  # what Typer makes of Ctrl-C, and shells of SIGTERM

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def main() -> NoReturn:
    """Entry point: a problem in the input is one message and exit code 2, never a traceback."""
    with shown(), _signals():
        _run()


def _run() -> NoReturn:
    try:
        with heard(quiet=False):
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


@contextmanager
def _signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM end a command with one sentence, also where what they meet turns them into another error.

    A module that is interrupted while it loads raises an ImportError; a callback prints the interrupt and loses it.
    """
    if threading.current_thread() is not threading.main_thread():  # where signals cannot be handled
        yield
        return
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    def lost(what: sys.UnraisableHookArgs) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            _end_interrupted()
        hook(what)

    hook, before = sys.unraisablehook, {name: signal.getsignal(name) for name in (signal.SIGINT, signal.SIGTERM)}
    sys.unraisablehook = lost
    signal.signal(signal.SIGINT, interrupt)
    if before[signal.SIGTERM] is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, lambda *_: _end("priorhood: stopped by SIGTERM", TERMINATED))
    try:
        yield
    except KeyboardInterrupt:
        _end_interrupted()
    except Exception:
        if came:
            _end_interrupted()
        raise
    finally:
        sys.unraisablehook = hook
        for name, handler in before.items():
            signal.signal(name, handler)


def _end_interrupted() -> NoReturn:
    """End at once, without Python's own clearing up.

    An interrupt that meets LLVM between two of its steps leaves a module with two owners, and taking that apart
    crashes. So it is called while the exception still holds what it met.
    """
    _end("priorhood: interrupted; nothing was written", INTERRUPTED)


def _end(said: str, code: int) -> NoReturn:
    """Say it and be gone, with all that is outside of this process."""
    from multiprocessing import active_children

    from priorhood.data.sources.duckdb_io import clear_spilled

    say(said)
    for child in active_children():
        child.terminate()
    clear_spilled()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


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

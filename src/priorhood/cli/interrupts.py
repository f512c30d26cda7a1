"""Ctrl-C and SIGTERM: a command ends with one sentence, and leaves no half-written file."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from priorhood.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

INTERRUPTED, TERMINATED = 130, 143  # Typer's exit code of Ctrl-C, and that of shells for SIGTERM
RESENT = 50  # times an interrupt that another language swallowed is sent again


@contextmanager
def _noticed(lost: Callable[[], None]) -> Iterator[list[int]]:
    """Collect interrupts, as they arrive; call `lost` for one that was raised in a callback, printed and lost."""
    came: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        came.append(number)
        signal.default_int_handler(number, frame)

    def unraisable(what: sys.UnraisableHookArgs) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            lost()
        else:
            hook(what)

    before, hook = signal.signal(signal.SIGINT, interrupt), sys.unraisablehook
    sys.unraisablehook = unraisable
    try:
        yield came
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """End the process with one sentence on Ctrl-C and SIGTERM, also where they turn into another error.

    A module that is interrupted while it loads raises an ImportError; a callback prints the interrupt and loses it.
    """
    if threading.current_thread() is not threading.main_thread():  # where signals cannot be handled
        yield
        return
    terminate = signal.getsignal(signal.SIGTERM)
    with _noticed(end_interrupted) as came:
        if terminate is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, lambda *_: _end("priorhood: stopped by SIGTERM", TERMINATED))
        try:
            yield
        except KeyboardInterrupt:
            end_interrupted()
        except Exception:
            if came:
                end_interrupted()
            raise
        finally:
            signal.signal(signal.SIGTERM, terminate)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end the block in any case.

    Compilers and samplers call back through other languages, where an exception is printed and lost: such an
    interrupt is not printed but sent again, and a block that swallows one ends once it is done. An error that
    follows an interrupt is reported as the interrupt.
    """
    again: list[threading.Timer] = []

    def interrupt_main() -> None:
        if hasattr(signal, "pthread_kill"):  # wakes the thread where it waits, which interrupt_main does not
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            _thread.interrupt_main()

    def resend() -> None:
        if len(again) < RESENT:
            again.append(threading.Timer(0.1, interrupt_main))
            again[-1].daemon = True
            again[-1].start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _noticed(resend) as came:
        try:
            yield
        except Exception:
            if came:
                raise KeyboardInterrupt from None
            raise
        finally:
            signal.signal(signal.SIGINT, lambda *_: None)  # one sent again late ends here, not in what comes after
            for timer in again:
                timer.cancel()
                timer.join()
    if came:
        raise KeyboardInterrupt


def end_interrupted() -> NoReturn:
    """End at once, without Python's own clearing up.

    An interrupt between two steps of LLVM leaves a module with two owners, and deleting that crashes. So this is
    called while the exception still holds it.
    """
    _end("priorhood: interrupted; nothing was written", INTERRUPTED)


def _end(message: str, code: int) -> NoReturn:
    """Print the message and end, with child processes and temporary files."""
    from multiprocessing import active_children

    from priorhood.data.sources.duckdb_io import clear_spilled

    say(message)
    for child in active_children():
        child.terminate()
    clear_spilled()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)

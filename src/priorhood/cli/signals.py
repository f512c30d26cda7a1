"""Ctrl-C and SIGTERM while a command runs: it ends with one sentence, and leaves no half-written file."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn

from priorhood._import_interrupt import INTERRUPTED, MESSAGE
from priorhood.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

TERMINATED = 143  # a shell's exit status after SIGTERM
MAX_RESENT = 50  # times that an interrupt swallowed by another language is sent again


@contextmanager
def _collect_interrupts(on_lost: Callable[[], None]) -> Iterator[list[int]]:
    """Collect interrupts as they arrive; call `on_lost` for one raised in a callback, which prints and drops it."""
    interrupts: list[int] = []

    def interrupt(number: int, frame: FrameType | None) -> None:
        interrupts.append(number)
        signal.default_int_handler(number, frame)

    def unraisable(what: sys.UnraisableHookArgs) -> None:
        if issubclass(what.exc_type, KeyboardInterrupt):
            on_lost()
        else:
            hook(what)

    before, hook = signal.signal(signal.SIGINT, interrupt), sys.unraisablehook
    sys.unraisablehook = unraisable
    try:
        yield interrupts
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGINT, before)


@contextmanager
def end_on_signals() -> Iterator[None]:
    """End the process with one sentence on Ctrl-C and SIGTERM, even if they turn into another error.

    A module that is interrupted while it loads raises an ImportError; a callback prints the interrupt and drops it.
    """
    if threading.current_thread() is not threading.main_thread():  # which cannot handle signals
        yield
        return
    terminate = signal.getsignal(signal.SIGTERM)
    with _collect_interrupts(end_interrupted) as interrupts:
        if terminate is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, lambda *_: _end("priorhood: stopped by SIGTERM", TERMINATED))
        try:
            yield
        except KeyboardInterrupt:
            end_interrupted()
        except Exception:
            if interrupts:
                end_interrupted()
            raise
        finally:
            signal.signal(signal.SIGTERM, terminate)


@contextmanager
def interruptible() -> Iterator[None]:
    """Ensure that Ctrl-C ends the block.

    Compilers and samplers call back through other languages, where an exception is printed and dropped: such an
    interrupt is not printed but sent again, and a block that swallows one ends once it is done. An error that
    follows an interrupt is reported as the interrupt.
    """
    timers: list[threading.Timer] = []

    def interrupt_main() -> None:
        if hasattr(signal, "pthread_kill"):  # wakes the waiting thread, which interrupt_main does not
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        else:
            _thread.interrupt_main()

    def resend() -> None:
        if len(timers) < MAX_RESENT:
            timers.append(threading.Timer(0.1, interrupt_main))
            timers[-1].daemon = True
            timers[-1].start()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _collect_interrupts(resend) as interrupts:
        try:
            yield
        except Exception:
            if interrupts:
                raise KeyboardInterrupt from None
            raise
        finally:
            signal.signal(signal.SIGINT, lambda *_: None)  # a late one ends here, not in the code that follows
            for timer in timers:
                timer.cancel()
                timer.join()
    if interrupts:
        raise KeyboardInterrupt


def end_interrupted() -> NoReturn:
    """End at once, without Python's own cleanup.

    An interrupt between two steps of LLVM leaves a module with two owners, and deleting that crashes. So this is
    called while the exception still holds it.
    """
    _end(MESSAGE, INTERRUPTED)


def _end(message: str, code: int) -> NoReturn:
    """Print the message, end child processes, remove temporary files and exit.

    Nothing is imported: an interrupt may have left any module half-loaded. What is not loaded has left nothing.
    """
    with suppress(ValueError):  # not in the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        say(message)
        for child in _loaded("multiprocessing", "active_children", list)():
            child.terminate()
        _loaded("priorhood.data.sources.duckdb_io", "clear_spill_folders", lambda: None)()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def _loaded(module: str, function: str, otherwise: Callable[[], Any]) -> Callable[[], Any]:
    """Return the function of a module if it is loaded that far, else the other function."""
    found: Callable[[], Any] = getattr(sys.modules.get(module), function, otherwise)
    return found

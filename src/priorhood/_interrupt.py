"""Ctrl-C while the command's modules load: one sentence, as afterwards."""

from __future__ import annotations

import os
import signal
import sys
import threading

INTERRUPTED = 130  # a shell's exit status after Ctrl-C


def _is_command() -> bool:
    """Whether this process is the command, `priorhood …` or `python -m priorhood …`, not another program."""
    words = sys.orig_argv
    if sys.argv[:1] == ["-m"]:  # Python's own argument while it looks for the module
        return words[words.index("-m") + 1 :][:1] == ["priorhood"] if "-m" in words else False
    return os.path.splitext(os.path.basename(sys.argv[0]))[0] == "priorhood" if sys.argv else False  # noqa: PTH119, PTH122


def _end(*_: object) -> None:
    """Say so and end the process."""
    os.write(2, b"priorhood: interrupted; nothing was written\n")
    os._exit(INTERRUPTED)


# A module interrupted while it loads would print an error of its own, or a traceback.
if _is_command() and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, _end)

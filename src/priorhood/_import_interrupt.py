"""Handle Ctrl-C while the command's modules are loading: print one sentence, as cli/signals.py does later."""

from __future__ import annotations

import os
import signal
import sys
import threading

INTERRUPTED = 130  # a shell's exit status after Ctrl-C
MESSAGE = "priorhood: interrupted; nothing was written"


# The program: `priorhood …`, or in `python -m priorhood …` what follows -m: while Python looks for that module,
# sys.argv begins with "-m".
_name = os.path.splitext(os.path.basename(sys.argv[0]))[0] if sys.argv else ""  # noqa: PTH119, PTH122
if _name == "-m":
    _name = sys.orig_argv[sys.orig_argv.index("-m") + 1] if "-m" in sys.orig_argv[:-1] else ""


def _exit(*_: object) -> None:
    """Print that the command was interrupted, and end the process."""
    os.write(2, f"{MESSAGE}\n".encode())
    os._exit(INTERRUPTED)


# Interrupted while it loads, a module would print its own error or a traceback.
if _name == "priorhood" and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, _exit)
